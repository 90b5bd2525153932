/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_MAP_H
#define BF_MAP_H

/* bf_mmap() and bf_munmap(): makes a window of a handle's memory, and tells the daemon. */

#include "fileh.h"

/* Unmaps, whatever the daemon says, and frees the mapping. */
void mapping_discard(struct mapping *mapping);

#endif
