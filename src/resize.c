/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bf_resize(): grows the file, then tells the daemon. */

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "api.h"
#include "backing.h"
#include "errmsg.h"
#include "fileh.h"
#include "ledger_read.h"

/* The file, unless it has that size already: another process may have grown it, even further. Nothing of a file is ever cut off here. */
static int resize_file(struct bf_fileh *fileh, uint64_t size) {
        uint64_t size_now;
        int r;

        r = backing_size(fileh->file, fileh->name, &size_now);
        if (r < 0)
                return r;
        if (fileh_is_lost(fileh)) /* before the file is changed, not after */
                return fileh_fail(fileh, -ENOTCONN, NULL, "grow");
        if (size_now >= size)
                return 0;
        do
                r = ftruncate(fileh->file, (off_t) size) < 0 ? -errno : 0;
        while (r == -EINTR);
        return r < 0 ? fileh_fail(fileh, r, NULL, "grow") : 0;
}

static int resize_tell(struct bf_fileh *fileh, uint64_t size) {
        struct call call;
        int r;

        fileh_begin_call(fileh, WIRE_RESIZE, &call);
        call.msg.resize.size = size;
        r = session_call(fileh->session, &call);
        return r < 0 ? fileh_fail(fileh, r, "the file itself has grown", "grow the memory of") : 0;
}

static int resize_locked(struct bf_fileh *fileh, uint64_t size) {
        uint64_t size_now;
        int r;

        r = ledger_read_size(fileh->ledger, &size_now);
        if (r < 0)
                return fileh_fail(fileh, r, NULL, "grow");
        if (size < size_now)
                return errmsg_set(-EINVAL, "cannot grow %s to %" PRIu64 " bytes: it has %" PRIu64, fileh->name, size, size_now);
        if (size > WIRE_FILE_MAX)
                return fileh_fail(fileh, -EFBIG, NULL, "grow");
        r = resize_file(fileh, size);
        return r < 0 ? r : resize_tell(fileh, size);
}

int bf_resize(struct bf_fileh *fileh, uint64_t size) {
        API_CALL;
        int r;

        r = fileh_check(fileh);
        if (r < 0)
                return r;
        if (fileh->is_readonly)
                return errmsg_set(-EBADF, "cannot grow %s: it was opened read-only", fileh->name);
        if (fileh->is_named)
                return errmsg_set(-EOPNOTSUPP, "cannot grow %s: only its server can", fileh->name);
        if (fileh->is_served)
                return errmsg_set(-EOPNOTSUPP, "cannot grow %s: a process serves it, in the size that it said", fileh->name);
        pthread_mutex_lock(&fileh->growth);
        r = resize_locked(fileh, size);
        pthread_mutex_unlock(&fileh->growth);
        return r;
}
