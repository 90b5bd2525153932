/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_WRITEOUT_H
#define BF_WRITEOUT_H

/* Writeouts: dirty pages are stored, in order of offset, and marked as stored. One at a time for each fileh; the next waits. */

#include "pager.h"

struct fileh;

/* flags: WIRE_WRITEOUT_*, valid. Answers when it has ended. -ENOMEM. */
int writeout_new(struct fileh *fileh, unsigned flags, const struct reply_to *to);

#endif
