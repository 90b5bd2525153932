/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_ROSTER_H
#define BF_ROSTER_H

/*
 * Which shared filehs there are, in a small file beside the socket, where the next daemon finds it. For a moment it knows what is about to come back to it,
 * before any of the users is there: who opens such a file as shared waits for it, and joins.
 *
 * The file is a table of records of one size, each written at once in its place, so that it is right whenever the daemon is killed: a record too many costs who
 * opens that file a moment, after a restart. Without the file (it cannot be written, say) nobody waits.
 *
 * The main thread opens it before there are clients; from then on any thread may use it.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define ROSTER_MAX 1024 /* records; the shared filehs beyond that are not waited for */

struct roster_record {
        uint64_t device; /* of the file */
        uint64_t inode;
        uint64_t block_size;
        uint64_t is_huge;
        uint64_t memory_inode; /* 0: the record is free */
        uint64_t reserved[3];
};

struct roster {
        pthread_mutex_t mutex;
        char *path;
        int fd;          /* -1: none */
        uint64_t until;  /* what the daemon before has left is waited for until then (monotonic, microseconds) */
        unsigned n_left; /* of these records, how many are not taken up yet */
        bool is_left[ROSTER_MAX];
        struct roster_record records[ROSTER_MAX];
};

void roster_init(struct roster *roster);

/* Takes up what the daemon before has left at this path; it, and what is added, is there for the next one. A negative errno: nothing is. */
int roster_open(struct roster *roster, const char *path);

/* Removes the file if there is nothing in it. */
void roster_fini(struct roster *roster);

/* There is such a fileh now, made or taken up (memory_inode is its name); it is no more. */
void roster_add(struct roster *roster, const struct roster_record *record);
void roster_remove(struct roster *roster, uint64_t memory_inode);

/* May a fileh of that file, in such blocks, be about to come back? The record's memory_inode is not looked at. */
bool roster_is_awaited(struct roster *roster, const struct roster_record *record);

#endif
