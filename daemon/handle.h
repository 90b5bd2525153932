/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_HANDLE_H
#define BF_HANDLE_H

/* A handle: one client's hold on a fileh, with the userfaultfd through which its faults come and the mappings that show the fileh in its memory. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "mapping.h"
#include "pager.h"
#include "ring.h"
#include "uffd.h"

#define HANDLE_EVENTS 16

struct fileh;

struct handle {
        uint32_t id;   /* in pager->handles */
        uint64_t peer; /* whose it is */
        pid_t pid;     /* of that process; 0: nobody knows */
        struct fileh *fileh;
        TAILQ_ENTRY(handle) entry; /* fileh->handles -> handle->entry */
        int uffd;
        bool readonly;
        struct mapping **mappings; /* by address */
        unsigned n_mappings;
        bool has_moved;    /* some of them are not where they were shown (remap.h) */
        unsigned n_strays; /* of its faults (stray.h) */
        uint64_t n_faults;

        int claim_fd;        /* of a shared fileh: its client's description of the memory, with the lock that is its claim (claim.h); else -1 */
        uint32_t place;      /* of the claim */
        bool is_shown;       /* all its mappings are known: false until SHOWN, if its client had it from another daemon */
        bool awaits_fileh;   /* its client gets this reply, and is listened to, when the fileh is ready (opening.c) */
        struct reply_to opening;

        /* The reading of faults (fault.c). */
        bool is_closed;  /* freed when read_op has ended */
        bool is_reading; /* read_op is under way */
        bool is_polling; /* and is a poll */
        struct ring_op read_op;
        uint8_t events[HANDLE_EVENTS * UFFD_EVENT_BYTES];
};

/* Takes uffd if it succeeds, and holds the fileh. */
int handle_new(struct fileh *fileh, uint64_t peer, int uffd, bool readonly, struct handle **ret);

/* It comes from another daemon, with mappings that are not known yet. memory_fd, of its client, is taken. */
void handle_expect(struct handle *handle, int memory_fd);

/* They all are. */
void handle_set_shown(struct handle *handle);

/* A descriptor of the memory for its client, the caller's; of a shared fileh it bears the client's claim. -EAGAIN: see claim_set_present(). */
int handle_open_memory(struct handle *handle, int *ret_fd);

/* It has no mappings. is_asked: its client lets go of the memory; else he may have it mapped still, unknown to all. The handle is freed, and lets go of the
 * fileh, when the reading of faults has ended: handle_freed() then. */
void handle_close(struct handle *handle, bool is_asked);
void handle_freed(struct handle *handle);

/* -EEXIST: it overlaps another mapping of the handle. */
int handle_map(struct handle *handle, uint64_t address, uint64_t offset, uint64_t length);

/* The mapping is one of this handle's. */
void handle_unmap(struct handle *handle, struct mapping *mapping);

/* The mapping that an address lies in, or NULL. */
struct mapping *handle_find(const struct handle *handle, uint64_t address);

/* Write-protects blocks in every mapping of the fileh, or un-protects them. A negative errno: some mapping could not be; whose it is, is dropped. */
int handles_protect(struct fileh *fileh, uint64_t first, uint64_t n, bool protect);

#endif
