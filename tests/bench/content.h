/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_CONTENT_H
#define BENCH_CONTENT_H

/*
 * The file that every subject shows, and what must be in it.
 *
 * A block is 512 words. Word CONTENT_TAG is what a workload wrote there last, 0 at first; every other one follows from its place and never changes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTENT_BLOCK 4096 /* bytes */
#define CONTENT_WORDS (CONTENT_BLOCK / sizeof(uint64_t))
#define CONTENT_TAG 1

struct content {
        int fd; /* read and write; the file has no name any more */
        uint64_t size;
        uint64_t n_blocks;
        uint64_t sum; /* of all words but the tags */
};

/* Makes the file in the directory dir. It is in the page cache, and clean, afterwards. size: a multiple of CONTENT_BLOCK. */
int content_init(struct content *content, const char *dir, uint64_t size);
void content_fini(struct content *content);

uint64_t content_word(uint64_t block, size_t i);

/* The sum of all words of this block but its tag. */
uint64_t content_sum_block(const uint64_t *words);

/* The same of a block as it must be. */
uint64_t content_sum_of(uint64_t block);

/* Whether the block in the file has this tag, and the first word that is its own. */
bool content_is_stored(const struct content *content, uint64_t block, uint64_t tag);

/* A descriptor of its own, to read and write the same file: what is set of one does not change the other. Or a negative errno. */
int content_reopen(const struct content *content);

/* Takes the file out of the page cache, as far as nobody has it mapped: *ret_left of a thousand blocks are still there, CONTENT_LEFT_MAX at most if it is cold
 * enough. It must be settled. */
#define CONTENT_LEFT_MAX 20
int content_chill(const struct content *content, unsigned *ret_left);

/* Touches and frees memory for the file several times over. A hypervisor may take back memory that was free for some seconds (free page reporting), and giving it
 * again can take longer than reading a disk: whoever is measured after something that took long would pay for that. */
void content_warm_memory(const struct content *content);

/* Waits until the disk has all, so that nothing is written behind the next measurement's back. */
int content_settle(const struct content *content);

#endif
