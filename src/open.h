/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_OPEN_H
#define BF_OPEN_H

/* bf_open() and its kin, and bf_close(). */

#include "fileh.h"

/* Closes a handle without mappings, whatever the daemon says, and frees it. */
void fileh_discard(struct bf_fileh *fileh);

#endif
