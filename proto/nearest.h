/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_NEAREST_H
#define BF_NEAREST_H

/* What did the user mean? Pure. */

/* The word of the list (which NULL ends) that is nearest to text, if it is near enough to be a slip; else NULL. */
const char *nearest_word(const char *text, const char *const *words);

#endif
