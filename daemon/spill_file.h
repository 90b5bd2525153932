/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SPILL_FILE_H
#define BF_SPILL_FILE_H

/*
 * The file that dirty pages of one fileh go to when RAM is short: without a name, so that it is gone with its last user, and sparse, as a page has the
 * same place in it as in the fileh's own file. Clients keep a read-only descriptor of it, and hand it to the next daemon. It knows no pages.
 */

#include <stdbool.h>
#include <stdint.h>

#include "store.h"

struct spill_file {
        struct store *store; /* NULL: there is none */
        struct ring *ring;   /* borrowed */
        int fd;              /* the store's, too */
        uint64_t device;
        uint64_t inode;
        uint64_t n_bytes; /* that it takes of the disk, when last looked at */
        uint64_t end;     /* behind all that was ever written to, or is about to be */

        /* Which parts of it were written to: a bit for each, of this size; the last is of all that lies behind it, too. */
        uint64_t *parts; /* NULL: none */
        unsigned part_shift;
};

/* Could one be made in that folder now? 0 or a negative errno. It may wait for the disk. */
int spill_file_try(int dir_fd);

/* Begins to make one in a folder; op ends with the descriptor, for spill_file_init(), or a negative errno. */
void spill_file_create(struct ring *ring, struct ring_op *op, int dir_fd);

/* size: of what is to be spilled there, about. Takes fd if it succeeds. */
int spill_file_init(struct spill_file *file, struct ring *ring, int fd, uint64_t size);

/* Takes up the one of a daemon that is gone, as a client hands it back; the descriptor is borrowed. -EINVAL: it is not the file with these numbers,
 * made by a daemon of this user. */
struct spill_file_origin {
        int fd;
        uint64_t device;
        uint64_t inode;
};
int spill_file_adopt(struct spill_file *file, struct ring *ring, const struct spill_file_origin *origin, uint64_t size);

/* Its room on the disk is given back in the background. Fine if there is none. */
void spill_file_fini(struct spill_file *file);

bool spill_file_is_there(const struct spill_file *file);

/* A read-only descriptor, the caller's. */
int spill_file_open(const struct spill_file *file, int *ret_fd);

/* Looks at how much it takes of the disk; returns by how much that has changed. */
int64_t spill_file_look(struct spill_file *file);

/* From begin to before end is about to be written to. -ENOMEM. */
int spill_file_mark(struct spill_file *file, uint64_t begin, uint64_t end);

/* The first part, from offset on, that was written to, up to the end. False: there is none. */
bool spill_file_next_marked(const struct spill_file *file, uint64_t offset, uint64_t *ret_begin, uint64_t *ret_end);

/* There is nothing in the part that begins there. */
void spill_file_unmark(struct spill_file *file, uint64_t begin);

#endif
