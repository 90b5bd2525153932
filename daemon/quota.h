/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_QUOTA_H
#define BF_QUOTA_H

/*
 * How many dirty bytes a user may have, over all his filehs. A page that is dirty already can always be written; the first write to a clean one
 * waits, when he has no more left, until some of his are stored or dropped; and fails, with EDQUOT, after the time that a load waits for room. Other users
 * do not wait behind him: everybody waits for his own account alone.
 */

#include <stdbool.h>
#include <stdint.h>

struct fileh;
struct mapping;
struct pager;

/* May one more of its pages become dirty? */
bool quota_has_left(const struct fileh *fileh);
bool quota_has_left_for(const struct fileh *fileh, uint64_t n_pages);

/* Must a write to this page, which is in the memory, wait? */
bool quota_holds(const struct fileh *fileh, uint32_t id);

/* A thread that wants to write the block through the mapping waits. -ENOMEM. */
int quota_wait(struct mapping *mapping, uint64_t block);

/* Nobody waits through that mapping any more. */
void quota_forget_mapping(struct pager *pager, const struct mapping *mapping);

/* After pages became clean or went: those who may write now are woken, and ask again. */
void quota_changed(struct pager *pager);

#endif
