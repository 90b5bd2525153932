/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

/* A subject is a way to have the file in memory. To add one: a file subject_x.c, its kind below, and in the lists of the workloads it is for. */

#include <stdbool.h>
#include <stdint.h>

#include "content.h"
#include "reason.h"
#include "setup.h"

struct subject_kind;

/* The first member of each subject's own struct. */
struct subject {
        const struct subject_kind *kind;
        uint8_t *memory; /* the whole file, readable and writable; NULL where kind->fetch is to be asked */
};

/* What operations may answer besides 0 and a negative errno. */
enum subject_answer {
        SUBJECT_HAS_NONE = 1, /* this subject cannot do that, or, when it is made, cannot be had on this machine; then there is a reason */
};

/* How it was so far. */
struct subject_counts {
        uint64_t cpu_ns; /* that its server took, if it has one */
        uint64_t n_loads; /* blocks loaded, or touches that had to wait for the disk */
};

/* An operation that fails says on stderr why. Those marked may be NULL. */
struct subject_kind {
        const char *name;  /* for programs */
        const char *title; /* for people */
        const void *variant; /* what kinds of one file differ in, for that file alone */
        unsigned seconds_max; /* a long workload stops after that time with what it has; 0: never */
        int (*new)(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret);
        void (*free)(struct subject *subject);
        int (*drop)(struct subject *subject);             /* afterwards each page faults again when touched, and none is dirty */
        int (*store)(struct subject *subject, bool sync); /* may be NULL. Dirty pages go to the file and are clean; sync: and to the disk */
        int (*enter)(struct subject *subject);            /* may be NULL. Before a run, and leave after it */
        int (*leave)(struct subject *subject);
        int (*count)(struct subject *subject, struct subject_counts *ret_counts); /* may be NULL; what it does not know it leaves alone */

        /* For a subject without memory: the words of a block, valid until the next call, NULL on failure; and writes the tag of a block. */
        const uint64_t *(*fetch)(struct subject *subject, uint64_t block);
        int (*tag)(struct subject *subject, uint64_t block, uint64_t tag);

        /* May be NULL. In a process forked off: the same file from there, as a subject of its own. */
        int (*attach)(struct subject *subject, const struct setup *setup, struct subject **ret);
};

extern const struct subject_kind subject_floor;        /* a bare loop that answers with one page */
extern const struct subject_kind subject_floor_2m;     /* with 2 MiB */
extern const struct subject_kind subject_mmap_normal;
extern const struct subject_kind subject_mmap_random;
extern const struct subject_kind subject_mmap_normal_limited; /* in a memory cgroup of the pool's size, like the next two */
extern const struct subject_kind subject_mmap_random_limited;
extern const struct subject_kind subject_bigfile_limited;
extern const struct subject_kind subject_bigfile;
extern const struct subject_kind subject_bigfile_huge;
extern const struct subject_kind subject_bigfile_direct;
extern const struct subject_kind subject_bigfile_server; /* the daemon alone, for clients in other processes */
extern const struct subject_kind subject_nbd;            /* bigfile, of an NBD server; of one that takes its time */
extern const struct subject_kind subject_nbd_slow;
extern const struct subject_kind subject_libnbd;         /* the same server without memory: a block at a time; and all of it, also of the slow one */
extern const struct subject_kind subject_nbdcopy;
extern const struct subject_kind subject_nbdcopy_slow;
extern const struct subject_kind subject_file;           /* pread and pwrite of blocks */
extern const struct subject_kind subject_file_huge;      /* pread of 2 MiB into a warm huge page */
extern const struct subject_kind subject_signal;         /* a pager in a SIGSEGV handler */
extern const struct subject_kind subject_fuse;           /* mmap of a file that another process serves through FUSE */
extern const struct subject_kind subject_fuse_random;
extern const struct subject_kind subject_ops;            /* bf_open_ops */
extern const struct subject_kind subject_ops_2m;
extern const struct subject_kind subject_ops_ahead;      /* with BF_ADVICE_SEQUENTIAL */
extern const struct subject_kind subject_ops_2m_ahead;
extern const struct subject_kind subject_ops_huge;
extern const struct subject_kind subject_ops_small_huge; /* blocks of 4 KiB, opened with huge pages */
extern const struct subject_kind subject_sim_lru;        /* a trace simulated, nothing measured, like the next ones */
extern const struct subject_kind subject_sim_fifo;
extern const struct subject_kind subject_sim_proven;
extern const struct subject_kind subject_sim_belady;

static inline uint64_t *subject_words(const struct subject *subject, uint64_t block) {
        return (uint64_t *) (void *) (subject->memory + block * CONTENT_BLOCK);
}

static inline const uint64_t *subject_look(struct subject *subject, uint64_t block) {
        return subject->kind->fetch ? subject->kind->fetch(subject, block) : subject_words(subject, block);
}

static inline int subject_write(struct subject *subject, uint64_t block, uint64_t tag) {
        if (subject->kind->tag)
                return subject->kind->tag(subject, block, tag);
        *(volatile uint64_t *) (subject_words(subject, block) + CONTENT_TAG) = tag;
        return 0;
}

#endif
