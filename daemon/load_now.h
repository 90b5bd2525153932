/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LOAD_NOW_H
#define BF_LOAD_NOW_H

#include <stdbool.h>
#include <stdint.h>

struct mapping;

/* n EMPTY blocks, touched through a mapping or about to be, are loaded at once, if there is room and their content can be had without waiting. False: nothing has
 * changed. */
bool load_now(struct mapping *mapping, uint64_t block, uint64_t n, bool write);

#endif
