/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_DIRECTORY_H
#define BF_DIRECTORY_H

/*
 * Which filehs there are, over all pagers: so that all who open a file as shared meet at one pager, that a memory is taken up once, and that who opens a file
 * waits for the stores that a dead client has left under way, whichever threads serve the two. Any thread may use it. It knows pagers by their numbers.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* What makes two opens mean the same file. */
struct file_identity {
        uint64_t device;
        uint64_t inode;
};

bool file_identity_is(const struct file_identity *a, const struct file_identity *b);

/* A fileh waits until another one is gone. Embedded by the one that waits. */
struct directory_waiter {
        STAILQ_ENTRY(directory_waiter) entry;            /* entry->waiters -> waiter->entry */
        void (*ended)(struct directory_waiter *waiter); /* called once, by another thread perhaps, with the directory locked: it hands the news on */
};

/* A fileh. Embedded by it. */
struct directory_entry {
        LIST_ENTRY(directory_entry) entry; /* directory->entries -> entry */
        struct file_identity file;
        uint64_t memory_inode; /* 0: it is closed */
        bool is_storing; /* it is closed, and stores of it are under way */
        STAILQ_HEAD(, directory_waiter) waiters;
};

/* Where a file is served as shared. */
struct directory_route {
        LIST_ENTRY(directory_route) entry; /* directory->routes -> entry */
        struct file_identity file;
        unsigned pager;
        unsigned n_refs;
};

#define DIRECTORY_BUCKETS 256

struct directory {
        pthread_mutex_t mutex;
        LIST_HEAD(, directory_entry) entries[DIRECTORY_BUCKETS]; /* by file */
        LIST_HEAD(, directory_route) routes[DIRECTORY_BUCKETS];
};

void directory_init(struct directory *directory);
void directory_fini(struct directory *directory);

/* The pager that serves a file as shared: the one that does so already, or else the preferred one. Held, as long as anyone may be on his way there and as long as
 * there is such a fileh, until directory_release(). NULL: no memory. */
struct directory_route *directory_route(struct directory *directory, const struct file_identity *file, unsigned preferred);
void directory_hold(struct directory *directory, struct directory_route *route);
void directory_release(struct directory *directory, struct directory_route *route); /* NULL is fine */

/* There is such a fileh now. -EBUSY: there is another with that memory. */
int directory_enter(struct directory *directory, struct directory_entry *entry, const struct file_identity *file, uint64_t memory_inode);

/* It is gone: who waits for that is told. */
void directory_leave(struct directory *directory, struct directory_entry *entry);

/* It is closed; perhaps stores of it are under way. Whoever brings its memory will be told that it is gone. */
void directory_set_closed(struct directory *directory, struct directory_entry *entry, bool is_storing);

/* Is there such a fileh of that file? Then the waiter is told when it is gone. */
bool directory_await_storing(struct directory *directory, const struct file_identity *file, struct directory_waiter *waiter);

#endif
