/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>
#include <string.h>

#include "nearest.h"

#define WORD_MAX 32 /* longer ones are never near */

static unsigned nearest_min(unsigned a, unsigned b) {
        return a < b ? a : b;
}

/* How many letters must be put in, left out or replaced to make b of a; a letter swapped with its neighbour counts once (optimal string
 * alignment). */
static unsigned nearest_distance(const char *a, size_t n_a, const char *b, size_t n_b) {
        unsigned d[WORD_MAX + 1][WORD_MAX + 1];

        for (size_t i = 0; i <= n_a; i++)
                d[i][0] = (unsigned) i;
        for (size_t j = 0; j <= n_b; j++)
                d[0][j] = (unsigned) j;
        for (size_t i = 1; i <= n_a; i++)
                for (size_t j = 1; j <= n_b; j++) {
                        d[i][j] = nearest_min(nearest_min(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                d[i][j] = nearest_min(d[i][j], d[i - 2][j - 2] + 1);
                }
        return d[n_a][n_b];
}

const char *nearest_word(const char *text, const char *const *words) {
        const char *nearest = NULL;
        unsigned distance_max = 3; /* too far */
        size_t n_text = strlen(text);

        for (; n_text <= WORD_MAX && *words; words++) {
                size_t n_word = strlen(*words);
                unsigned distance;

                if (n_word > WORD_MAX)
                        continue;
                distance = nearest_distance(text, n_text, *words, n_word);
                if (distance < distance_max && distance * 2 < n_word) {
                        nearest = *words;
                        distance_max = distance;
                }
        }
        return nearest;
}
