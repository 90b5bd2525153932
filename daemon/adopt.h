/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_ADOPT_H
#define BF_ADOPT_H

/*
 * Taking up the pages of a fileh whose daemon is gone, from the memory and the ledger that its clients have kept. When it ends, the handles that
 * wait for it get their replies and are listened to.
 */

struct fileh;

/* The fileh was made with the descriptors of the old memory and ledger, and has no pages yet. -ENOMEM. */
int adopt_new(struct fileh *fileh);

#endif
