/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FILEH_H
#define BF_FILEH_H

/*
 * What a client keeps of its handles and their mappings. Bookkeeping only: no messages are sent from here, and no memory is mapped.
 *
 * Locks, outermost first: handles->lock, fileh->lock. No request is sent with either held: the keeper takes both when the daemon is gone, and it is
 * the keeper that ends requests.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bfclient.h"
#include "registry.h"
#include "session.h"

struct mapping {
        LIST_ENTRY(mapping) entry; /* fileh->mappings -> mapping->entry */
        struct bf_fileh *fileh;
        char *address;
        size_t length;   /* whole blocks, like offset */
        uint64_t offset; /* in the file */
        struct registry_slot *slot;
};

struct bf_fileh {
        LIST_ENTRY(bf_fileh) entry; /* handles->filehs -> fileh->entry */
        struct handles *handles;
        struct session *session;
        char *name; /* of the file, for messages */
        bool is_readonly;
        uint64_t block_size;
        size_t page_size; /* of the memory: what a fault is about */
        uint32_t number;  /* the handle in messages */
        int file;
        int uffd;
        int memory;
        int ledger;
        pthread_mutex_t growth; /* one bf_resize() at a time, or one could shrink what the other has grown; outermost */
        pthread_mutex_t lock;   /* guards what follows */
        LIST_HEAD(, mapping) mappings;
        bool is_lost; /* the daemon is gone: no new mappings */
};

/* All handles of a client. */
struct handles {
        int changed;          /* eventfd: wakes the keeper while it serves them in place of the daemon */
        pthread_mutex_t lock; /* guards what follows */
        LIST_HEAD(, bf_fileh) filehs;
        unsigned n_filehs;
        bool is_lost; /* the daemon is gone: no new handles */
        /* One for each handle and one for changed, made before the handle: where the keeper needs them, it could not do without. Used only when
         * is_lost */
        struct pollfd *polls;
};

int handles_init(struct handles *handles);
void handles_fini(struct handles *handles);

/* -ENOTCONN if the daemon is gone, -ENOMEM. */
int handles_add(struct handles *handles, struct bf_fileh *fileh);
void handles_remove(struct handles *handles, struct bf_fileh *fileh);

/* From now on there are no new handles and mappings, and bf_fault_error() says ENOTCONN where it knows nothing better. */
void handles_lose(struct handles *handles);

/* Tells the keeper that a handle went, or that all is to end. */
void handles_notify(struct handles *handles);

/* Copies name, its beginning if it is very long. All descriptors are -1. -ENOMEM. */
int fileh_new(struct session *session, struct handles *handles, const char *name, struct bf_fileh **ret);

/* Closes what it has. NULL is fine. */
void fileh_free(struct bf_fileh *fileh);

/* -ENOTCONN if the daemon is gone. */
int fileh_link_mapping(struct bf_fileh *fileh, struct mapping *mapping);

bool fileh_has_mappings(struct bf_fileh *fileh);

/* The mapping that an address lies in, or NULL. Under fileh->lock. */
struct mapping *fileh_find_mapping(struct bf_fileh *fileh, uintptr_t address);

/* Sets bf_errmsg() to "cannot WHAT FILE: words of the errno (hint)", and returns the error. hint may be NULL. */
int fileh_fail(const struct bf_fileh *fileh, int error, const char *hint, const char *what);

/* What every function on a handle asks first: 0; -EINVAL NULL; -ENOTCONN in a forked child. Sets bf_errmsg(). */
int fileh_check(const struct bf_fileh *fileh);

#endif
