/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DEMO_KNOWN_H
#define DEMO_KNOWN_H

/* Makes a file of known content for the demonstration, where there is none yet. */

#include <stdint.h>

/* Each 8-byte word tells its own place. 0 or a negative errno; what was made of it is removed then. */
int known_make(const char *path, uint64_t size);

#endif
