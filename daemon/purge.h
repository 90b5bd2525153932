/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PURGE_H
#define BF_PURGE_H

/* Taking the clean pages of one fileh out of RAM because somebody asks for it. */

#include <stdint.h>

struct fileh;
struct reply_to;

/* So many bytes of them. It is answered with how many there were. -ENOMEM. */
int purge_begin(struct fileh *fileh, uint64_t bytes, const struct reply_to *to);

#endif
