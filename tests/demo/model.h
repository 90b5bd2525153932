/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DEMO_MODEL_H
#define DEMO_MODEL_H

/* What must be in the file: a hash of each page, kept up to date as changes are committed. It knows nothing of big files. */

#include <stdbool.h>
#include <stdint.h>

#define MODEL_PAGE 4096

struct model {
        uint64_t size; /* of the file, bytes */
        uint64_t n_pages;
        uint64_t *hashes; /* of each page */
        uint64_t *next;   /* of the pages of this round, as changed */
        uint64_t *pages;  /* the pages of this round, in the order they are changed */
        uint64_t n_round;
        uint8_t *is_chosen; /* of each page: whether it is in this round */
        uint64_t seed;
};

/* At most n_round_max pages change in one round. 0 or -ENOMEM. */
int model_init(struct model *model, uint64_t size, uint64_t n_round_max, uint64_t seed);
void model_fini(struct model *model);

/* The bytes of a page that are inside the file. */
uint64_t model_page_bytes(const struct model *model, uint64_t page);

uint64_t model_hash(const void *bytes, uint64_t n);

/* Whether these bytes are what the page must have in the file. */
bool model_fits(const struct model *model, uint64_t page, const void *bytes);

/* Chooses n distinct pages at random, at most half of all, but at least one. */
void model_begin_round(struct model *model, uint64_t n);

/* Changes some bytes of page number i of the round, at bytes, and remembers what it became. */
void model_change(struct model *model, uint64_t i, uint8_t *bytes);

/* From now on the changes of the round must be in the file. */
void model_commit(struct model *model);

/* Ends the round: its changes are forgotten, unless they were committed. */
void model_end_round(struct model *model);

#endif
