/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "fileh.h"
#include "fileh_name.h"

/* The kernel says it without asking the file system. False: the file has no descriptor, or /proc is not there. */
static bool fileh_name_read(const struct fileh *fileh, char path[static FILEH_NAME_MAX]) {
        int fd = fileh->store ? store_fd(fileh->store) : -1;
        char link[40];
        ssize_t n;

        if (fileh->store && fileh->store->kind->path) {
                snprintf(path, FILEH_NAME_MAX, "%s", fileh->store->kind->path(fileh->store));
                return true;
        }
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = fd < 0 ? -1 : readlink(link, path, FILEH_NAME_MAX - 1);
        if (n <= 0)
                return false;
        path[n] = '\0';
        return true;
}

const struct fileh_name *fileh_name_get(const struct fileh *fileh, int error, struct fileh_name *name) {
        bool is_known = fileh_name_read(fileh, name->path);

        if (!is_known)
                snprintf(name->path, sizeof(name->path), "inode %" PRIu64, (uint64_t) fileh->identity.inode);
        name->about = (struct log_about) {
                .has_uid = fileh->account,
                .uid = fileh->account ? fileh->account->uid : 0,
                .file = is_known ? name->path : NULL,
                .device = fileh->identity.device,
                .inode = fileh->identity.inode,
                .error = error,
        };
        return name;
}
