/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

/* A subject is a way to have the file in memory. To add one: a file subject_x.c, and its kind in the list of driver.c. */

#include <stdbool.h>
#include <stdint.h>

#include "content.h"
#include "setup.h"

struct subject_kind;

/* The first member of each subject's own struct. */
struct subject {
        const struct subject_kind *kind;
        uint8_t *memory; /* the whole file, readable and writable */
};

/* What store() may answer besides 0 and a negative errno. */
enum subject_answer {
        SUBJECT_HAS_NONE = 1, /* this subject has no such operation */
};

/* An operation that fails says on stderr why. */
struct subject_kind {
        const char *name;  /* for programs */
        const char *title; /* for people */
        int (*new)(const struct setup *setup, struct subject **ret);
        void (*free)(struct subject *subject);
        int (*drop)(struct subject *subject);             /* afterwards each page faults again when touched, and none is dirty */
        int (*store)(struct subject *subject, bool sync); /* dirty pages go to the file and are clean; sync: and to the disk */
};

extern const struct subject_kind subject_floor;
extern const struct subject_kind subject_mmap_normal;
extern const struct subject_kind subject_mmap_random;
extern const struct subject_kind subject_bigfile;

static inline uint64_t *subject_words(const struct subject *subject, uint64_t block) {
        return (uint64_t *) (void *) (subject->memory + block * CONTENT_BLOCK);
}

#endif
