/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a handle's user does with its pages as a whole: bf_writeout(), bf_discard(), bf_invalidate(), bf_load(), bf_advise(). Each is one request. */

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#include "api.h"
#include "errmsg.h"
#include "fileh.h"
#include "ledger_read.h"
#include "serve.h"

#define WRITEOUT_FLAGS (BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED | BF_WRITEOUT_SYNC)

#define SAME_IN_MESSAGES(name) static_assert((int) WIRE_##name == (int) BF_##name, "what the header and the messages call by one name is one number")

SAME_IN_MESSAGES(WRITEOUT_STORE);
SAME_IN_MESSAGES(WRITEOUT_MARKSTORED);
SAME_IN_MESSAGES(WRITEOUT_SYNC);
SAME_IN_MESSAGES(ADVICE_NORMAL);
SAME_IN_MESSAGES(ADVICE_SEQUENTIAL);
SAME_IN_MESSAGES(ADVICE_RANDOM);
SAME_IN_MESSAGES(ADVICE_WILLNEED);
SAME_IN_MESSAGES(ADVICE_DONTNEED);

/* In one of the functions that serve the file, who waits for them may wait for himself. */
static int transact_check_itself(const struct bf_fileh *fileh, const char *what) {
        return serve_is_of(fileh) ? fileh_fail(fileh, -EDEADLK, "this is one of the functions that serve it", what) : 0;
}

static int transact_check_writeout(const struct bf_fileh *fileh, unsigned flags) {
        if (flags & ~WRITEOUT_FLAGS)
                return errmsg_set(-EINVAL, "cannot write out %s: unknown flags 0x%x", fileh->name, flags & ~WRITEOUT_FLAGS);
        if (!(flags & (BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED)))
                return errmsg_set(-EINVAL, "cannot write out %s: neither BF_WRITEOUT_STORE nor BF_WRITEOUT_MARKSTORED is given", fileh->name);
        if (flags & BF_WRITEOUT_SYNC && !(flags & BF_WRITEOUT_STORE))
                return errmsg_set(-EINVAL, "cannot write out %s: BF_WRITEOUT_SYNC is given without BF_WRITEOUT_STORE", fileh->name);
        if (fileh->is_readonly)
                return errmsg_set(-EBADF, "cannot write out %s: it was opened read-only", fileh->name);
        return flags & BF_WRITEOUT_STORE ? transact_check_itself(fileh, "write out") : 0;
}

static const char *transact_writeout_hint(int r) {
        if (r == -EBUSY)
                return "another process that shares the file has not come back since the daemon started anew; all is still dirty: try again, or end that process";
        return "pages not stored are still dirty";
}

int bf_writeout(struct bf_fileh *fileh, unsigned flags) {
        API_CALL;
        struct call call;
        int r;

        r = fileh_check(fileh);
        if (r < 0)
                return r;
        r = transact_check_writeout(fileh, flags);
        if (r < 0)
                return r;
        fileh_begin_call(fileh, WIRE_WRITEOUT, &call);
        call.msg.header.flags = flags;
        r = session_call(fileh->session, &call);
        return r < 0 ? fileh_fail(fileh, r, transact_writeout_hint(r), "write out") : 0;
}

int bf_discard(struct bf_fileh *fileh) {
        API_CALL;
        struct call call;
        int r;

        r = fileh_check(fileh);
        if (r < 0)
                return r;
        fileh_begin_call(fileh, WIRE_DISCARD, &call);
        r = session_call(fileh->session, &call);
        return r < 0 ? fileh_fail(fileh, r, NULL, "discard the changes of") : 0;
}

/* ret_flags (may be NULL): those of the reply, if one came. */
static int transact_send_range(struct bf_fileh *fileh, enum wire_id id, enum wire_advice advice, uint64_t offset, uint64_t length,
                               uint32_t *ret_flags) {
        struct call call;
        int r;

        fileh_begin_call(fileh, id, &call);
        call.msg.range.advice = advice;
        call.msg.range.offset = offset;
        call.msg.range.length = length;
        r = session_call(fileh->session, &call);
        if (ret_flags && call.reply.size > 0)
                *ret_flags = call.reply.msg.header.flags;
        return r;
}

/* Takes a mapping's part of a range out of this process's page tables; the pages themselves stay in the memory. */
static void mapping_zap(const struct mapping *mapping, uint64_t start, uint64_t end) {
        uint64_t mapping_end = mapping->offset + mapping->length;

        if (start < mapping->offset)
                start = mapping->offset;
        if (end > mapping_end)
                end = mapping_end;
        if (start < end)
                (void) madvise(mapping->address + (start - mapping->offset), (size_t) (end - start), MADV_DONTNEED);
}

/* The poison of failed loads is in this process's page tables, where the daemon does not reach. Under the lock, lest a mapping make way for other
 * memory meanwhile. */
static void transact_forget_failures(struct bf_fileh *fileh, uint64_t offset, uint64_t length) {
        uint64_t mask = fileh->block_size - 1, end;
        struct mapping *mapping;

        if (length == 0)
                return;
        if (__builtin_add_overflow(offset, length, &end) || __builtin_add_overflow(end, mask, &end))
                end = UINT64_MAX;
        pthread_mutex_lock(&fileh->lock);
        LIST_FOREACH(mapping, &fileh->mappings, entry)
                mapping_zap(mapping, offset & ~mask, end & ~mask);
        pthread_mutex_unlock(&fileh->lock);
}

int bf_invalidate(struct bf_fileh *fileh, uint64_t offset, uint64_t length) {
        API_CALL;
        int r;

        r = fileh_check(fileh);
        if (r < 0)
                return r;
        r = transact_send_range(fileh, WIRE_INVALIDATE, 0, offset, length, NULL);
        if (r < 0)
                return fileh_fail(fileh, r, NULL, "invalidate pages of");
        transact_forget_failures(fileh, offset, length);
        return 0;
}

/* What to say of a load that failed beside its errno. */
static const char *transact_load_hint(const struct bf_fileh *fileh, int error, uint64_t offset, uint64_t length) {
        uint64_t size;

        if (error == -ENOMEM)
                return "the pool is full of changes: write them out or discard them";
        if (error == -ENXIO && ledger_read_size(fileh->ledger, &size) == 0 && offset <= size && length <= size - offset)
                return "it was truncated; when it has grown again, bf_invalidate() forgets that";
        if (error == -EIO && fileh->is_served)
                return "the process that serves it has gone, and may come back, or could not load it";
        return NULL;
}

int bf_load(struct bf_fileh *fileh, uint64_t offset, uint64_t length) {
        API_CALL;
        uint32_t flags = 0;
        int r;

        r = fileh_check(fileh);
        if (r == 0)
                r = transact_check_itself(fileh, "load pages of");
        if (r < 0)
                return r;
        r = transact_send_range(fileh, WIRE_LOAD, 0, offset, length, &flags);
        if (flags & WIRE_LOAD_HEALED)
                transact_forget_failures(fileh, offset, length);
        return r < 0 ? fileh_fail(fileh, r, transact_load_hint(fileh, r, offset, length), "load pages of") : 0;
}

int bf_advise(struct bf_fileh *fileh, uint64_t offset, uint64_t length, enum bf_advice advice) {
        API_CALL;
        int r;

        r = fileh_check(fileh);
        if (r < 0)
                return r;
        if ((unsigned) advice >= N_WIRE_ADVICES)
                return errmsg_set(-EINVAL, "unknown advice %d", (int) advice);
        r = transact_send_range(fileh, WIRE_ADVISE, (enum wire_advice) advice, offset, length, NULL);
        if (r < 0)
                return fileh_fail(fileh, r, NULL, "take advice on");
        if (advice != BF_ADVICE_WILLNEED && advice != BF_ADVICE_DONTNEED)
                fileh_set_advice(fileh, advice);
        return 0;
}
