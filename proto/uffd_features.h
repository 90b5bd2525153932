/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_UFFD_FEATURES_H
#define BF_UFFD_FEATURES_H

/* The features that both sides need of userfaultfd (BF_UFFD_FEATURES), by name. It asks the kernel nothing. */

#include <stddef.h>
#include <stdint.h>

/* Room for the names of all of them. */
#define UFFD_FEATURES_TEXT_MAX 256

/* The names of the needed features that are not in the set, with the Linux version that brought each, comma-separated. Returns how many they are. */
unsigned uffd_features_missing(uint64_t features, char text[static UFFD_FEATURES_TEXT_MAX]);

#endif
