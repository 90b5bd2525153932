/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "uffd_abi.h"
#include "uffd_features.h"

unsigned uffd_features_missing(uint64_t features, char text[static UFFD_FEATURES_TEXT_MAX]) {
        static const struct {
                uint64_t bit;
                const char *name;
        } needed[] = {
                { UFFD_FEATURE_EVENT_REMAP, "EVENT_REMAP (Linux 4.11)" },
                { UFFD_FEATURE_MISSING_SHMEM, "MISSING_SHMEM (Linux 4.11)" },
                { UFFD_FEATURE_MISSING_HUGETLBFS, "MISSING_HUGETLBFS (Linux 4.11)" },
                { UFFD_FEATURE_THREAD_ID, "THREAD_ID (Linux 4.14)" },
                { UFFD_FEATURE_PAGEFAULT_FLAG_WP, "PAGEFAULT_FLAG_WP (Linux 5.7)" },
                { UFFD_FEATURE_MINOR_HUGETLBFS, "MINOR_HUGETLBFS (Linux 5.13)" },
                { UFFD_FEATURE_MINOR_SHMEM, "MINOR_SHMEM (Linux 5.14)" },
                { UFFD_FEATURE_WP_HUGETLBFS_SHMEM, "WP_HUGETLBFS_SHMEM (Linux 5.19)" },
                { UFFD_FEATURE_POISON, "POISON (Linux 6.6)" },
        };
        unsigned n_missing = 0;
        size_t used = 0;

        text[0] = '\0';
        for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
                if (features & needed[i].bit)
                        continue;
                used += (size_t) snprintf(text + used, UFFD_FEATURES_TEXT_MAX - used, "%s%s", n_missing ? ", " : "", needed[i].name);
                n_missing++;
        }
        return n_missing;
}
