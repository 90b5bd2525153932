/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FILEH_NEW_H
#define BF_FILEH_NEW_H

/* What an OPEN or ADOPT asks for: a new fileh, or one there is that it may join. */

#include "fileh.h"

struct fileh_params {
        struct file_identity identity;
        struct directory_route *route; /* borrowed; of a shared one */
        struct served *served;         /* borrowed; of one that a process serves, else NULL */
        uid_t uid;
        bool is_shared;
        bool is_huge;
        bool is_writable;
        uint64_t size;
        uint64_t block_size;
        int fd;
        struct store *store;    /* taken in its place; NULL: fd is a file */
        int direct_fd;          /* the same file, for direct I/O; -1: there is none */
        bool is_direct_refused; /* there was to be one */
        int memory_fd; /* borrowed; of a daemon that is gone, whose pages are taken up; -1: a new memory */
        int ledger_fd; /* the same */
        int spill_fd;  /* the same; -1: none came with it */
};

/* Takes params->fd and direct_fd, or params->store, if it succeeds. The caller holds it, until fileh_unref(). */
int fileh_new(struct pager *pager, const struct fileh_params *params, struct fileh **ret);

/* That user has it open for writing: its pages are his from now on. -ENOMEM. */
int fileh_set_writer(struct fileh *fileh, uid_t uid);

/* Is it of the file that such an open names, in blocks of that size? */
bool fileh_is_of(const struct fileh *fileh, const struct fileh_params *params);

/* May a client with such an open share it? */
bool fileh_may_join(const struct fileh *fileh, const struct fileh_params *params);

/* The shared fileh that such an open would join, or NULL. */
struct fileh *fileh_find_shared(struct pager *pager, const struct fileh_params *params);

/* Is there none, but one may be about to come back from the daemon before? */
bool fileh_is_awaited(struct pager *pager, const struct fileh_params *params);

/* The fileh that has this memory, as another client handed it back before; or NULL. */
struct fileh *fileh_find_adopted(struct pager *pager, uint64_t memory_inode);

#endif
