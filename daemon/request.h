/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_REQUEST_H
#define BF_REQUEST_H

/* What a client asks of a pager, with what came with it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "directory.h"
#include "pager.h"
#include "wire.h"

struct commons;
struct served;
struct store;

struct request {
        uint64_t peer;
        union wire_msg msg;

        /* what the main thread knows or has checked, of WIRE_OPEN and WIRE_ADOPT most of all: */
        uid_t uid;
        pid_t pid; /* as the daemon sees it; 0: it does not */
        struct file_identity identity;
        bool may_read_files;           /* of one that the daemon connects to: see uri.h */
        struct store *store;           /* the same: what it connects with, owned by the request; NULL: it has not begun, or it was taken */
        struct directory_route *route; /* owned by the request: where the file is served as shared; NULL: it is not to be shared */
        struct served *served; /* held by the request: the file, if a process serves it or is about to; else NULL */
        int file_fd; /* owned by the request, like the next ones: -1 once taken */
        int uffd;
        int memory_fd; /* of WIRE_ADOPT alone */
        int ledger_fd;
        int spill_fd; /* the same; -1: none came */
        int direct_fd; /* -1: there is none */
        bool is_direct_refused; /* there was to be one */
};

/* Takes out of it the descriptors that nobody took. Returns how many they are. */
unsigned request_take_fds(struct request *request, int fds[static WIRE_FDS_MAX]);

/* Lets go of what it names. */
void request_release(struct commons *commons, struct request *request);

static inline struct reply_to request_reply_to(const struct request *request) {
        return (struct reply_to) { .peer = request->peer, .serial = request->msg.header.serial, .id = request->msg.header.id };
}

/* What those return that answer a request: this, if it will be answered, or has been; or what is to be answered, 0 or a negative errno. */
#define REQUEST_TAKEN 1

static inline int request_taken(int r) {
        return r < 0 ? r : REQUEST_TAKEN;
}

#endif
