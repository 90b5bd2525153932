/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FILEH_H
#define BF_FILEH_H

/*
 * What a client keeps of its handles and their mappings. Bookkeeping only: no messages are sent from here, and no memory is mapped.
 *
 * Locks, outermost first: handles->lock, the session's, fileh->lock. No request is sent with the first or the last held: the keeper takes
 * both when the daemon is gone, and it is the keeper that ends requests.
 *
 * What is there when a daemon is gone is shown to the next one (revive.h), by going through the lists without a lock held. So while the session is REVIVING, a
 * handle or mapping that is not leaving stays in its list: whoever removes one says first that it is leaving, and then asks the session, which has it wait until the
 * next daemon knows all, or finds that no daemon is there.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bfclient.h"
#include "registry.h"
#include "session.h"

struct serve;

struct mapping {
        LIST_ENTRY(mapping) entry; /* fileh->mappings -> mapping->entry */
        struct bf_fileh *fileh;
        char *address;
        size_t length;   /* whole blocks, like offset */
        uint64_t offset; /* in the file */
        struct registry_slot *slot;
        bool is_leaving; /* no other daemon is to know of it; under fileh->lock */
        bool has_moved;  /* by mremap(2): what is at its address now is not ours to unmap */
};

struct bf_fileh {
        LIST_ENTRY(bf_fileh) entry; /* handles->filehs -> fileh->entry */
        struct handles *handles;
        struct session *session;
        char *name; /* of the file, for messages */
        bool is_readonly;
        bool is_named; /* file has the name of what the daemon connects to */
        uint64_t block_size;
        size_t page_size;    /* of the memory: what a fault is about */
        uint32_t open_flags; /* of WIRE_OPEN */
        uint32_t number;     /* the handle in messages, 0: no daemon knows it; under the session's lock */
        int file;
        int direct; /* the same, for direct I/O; -1: none */
        int uffd;
        int memory;
        int memory_entry; /* of nofork.h */
        int ledger;
        int spill;              /* -1: none */
        struct serve *serve;    /* by which this process serves the file; NULL: it does not */
        bool is_served;         /* by this process or another one */
        atomic_int refusal;     /* why the daemon that is there does not know it: a negative errno; 0: it does, or there is none */
        pthread_mutex_t growth; /* one bf_resize() at a time, or one could shrink what the other has grown; outermost */
        pthread_mutex_t lock;   /* guards what follows */
        LIST_HEAD(, mapping) mappings;
        enum bf_advice advice; /* the last one about the whole handle, which another daemon does not know */
        bool is_open;          /* the daemon has opened it: all descriptors are there */
        bool is_leaving;       /* no other daemon is to know of it */
        bool is_lost;          /* no daemon serves it: no new mappings, and faults are answered by the keeper */
};

/* All handles of a client. */
struct handles {
        int changed;          /* eventfd: wakes the keeper while it serves some of them in place of the daemon */
        pthread_mutex_t lock; /* guards what follows */
        LIST_HEAD(, bf_fileh) filehs;
        bool is_lost; /* the daemon is gone, and too long: no new handles */
};

int handles_init(struct handles *handles);
void handles_fini(struct handles *handles);

/* -ENOTCONN if the daemon is gone, -ENOMEM. */
int handles_add(struct handles *handles, struct bf_fileh *fileh);
void handles_remove(struct handles *handles, struct bf_fileh *fileh);

/* From now on there are no new handles and mappings, and bf_fault_error() says ENOTCONN where it knows nothing better. */
void handles_lose(struct handles *handles);

/* There may be new handles again. */
void handles_regain(struct handles *handles);

/* No daemon knows any of them. */
void handles_forget_numbers(struct handles *handles);

/* What must not happen as long as there are mappings (mutant.h). */
void handles_close_uffds(struct handles *handles);

/* Tells the keeper that a handle went. */
void handles_notify(struct handles *handles);

/* The first (fileh NULL) or next handle that is open and not leaving, or NULL. While the session is REVIVING. */
struct bf_fileh *handles_next(struct handles *handles, struct bf_fileh *fileh);

/* Copies name, its beginning if it is very long. All descriptors are -1. -ENOMEM. */
int fileh_new(struct session *session, struct handles *handles, const char *name, struct bf_fileh **ret);

/* Closes what it has. NULL is fine. */
void fileh_free(struct bf_fileh *fileh);

/* All descriptors are there: from now on another daemon can take the handle up. */
void fileh_set_open(struct bf_fileh *fileh);

/* The handle is about to be closed. */
void fileh_set_leaving(struct bf_fileh *fileh);

/* The same for one handle as handles_lose() for all; and pages come again. */
void fileh_lose(struct bf_fileh *fileh);
void fileh_regain(struct bf_fileh *fileh);
bool fileh_is_lost(struct bf_fileh *fileh);

/* For a daemon that takes the handle up. */
void fileh_set_advice(struct bf_fileh *fileh, enum bf_advice advice);
enum bf_advice fileh_advice(struct bf_fileh *fileh);

/* -ENOTCONN if the handle is lost. */
int fileh_link_mapping(struct bf_fileh *fileh, struct mapping *mapping);
void fileh_unlink_mapping(struct bf_fileh *fileh, struct mapping *mapping);

/* The mapping is about to be removed, or not after all. */
void mapping_set_leaving(struct mapping *mapping, bool is_leaving);

/* The first (mapping NULL) or next mapping that is not leaving, or NULL. While the session is REVIVING. */
struct mapping *fileh_next_mapping(struct bf_fileh *fileh, struct mapping *mapping);

bool fileh_has_mappings(struct bf_fileh *fileh);

/* The mapping that an address lies in, or NULL. Under fileh->lock. */
struct mapping *fileh_find_mapping(struct bf_fileh *fileh, uintptr_t address);

/* A request about this handle, whose other fields are for the caller to fill. */
void fileh_begin_call(struct bf_fileh *fileh, enum wire_id id, struct call *ret_call);

/* Sets bf_errmsg() to "cannot WHAT FILE: words of the errno (hint)", and returns the error. hint may be NULL. */
int fileh_fail(const struct bf_fileh *fileh, int error, const char *hint, const char *what);

/* What every function on a handle asks first: 0; -EINVAL NULL; -ENOTCONN in a forked child. Sets bf_errmsg(). */
int fileh_check(const struct bf_fileh *fileh);

#endif
