/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_CLOSING_H
#define BF_CLOSING_H

/* How handles, filehs and peers come to their end, with everything that still goes on for them. */

#include <stdint.h>

struct handle;
struct pager;
struct reply_to;

/* With its mappings. The last handle of a fileh closes it: its pages are dropped, nothing of them is stored; unless another user of it has not come
 * back yet from the daemon before. Who asked for it (to, or NULL: nobody did) is answered when that is done. */
void closing_handle(struct handle *handle, const struct reply_to *to);

/* All handles of a peer. */
void closing_peer(struct pager *pager, uint64_t peer);

/* All there are. */
void closing_everything(struct pager *pager);

#endif
