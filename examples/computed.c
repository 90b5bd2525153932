/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An array that is computed where it is touched: element i is how many steps i takes to come to 1, if one halves what is even, and triples what is odd and adds 1.
 * It has 2^33 elements, 64 GiB; what was computed stays in the pool as long as there is room.
 *
 *     computed INDEX...       prints these elements
 */

#include <bfclient.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BLOCK_SIZE 65536
#define BLOCK_ELEMENTS (BLOCK_SIZE / sizeof(uint64_t))
#define N_ELEMENTS (UINT64_C(1) << 33)

struct array {
        atomic_uint n_blocks; /* computed */
};

static uint64_t array_element(uint64_t i) {
        uint64_t n = 0;

        while (i > 1) {
                i = i % 2 ? 3 * i + 1 : i / 2;
                n++;
        }
        return n;
}

static int array_load(void *file, uint64_t block, void *buf) {
        struct array *array = file;
        uint64_t *elements = buf;

        for (uint64_t i = 0; i < BLOCK_ELEMENTS; i++)
                elements[i] = array_element(block * BLOCK_ELEMENTS + i);
        array->n_blocks++;
        return 0;
}

static int print_elements(const uint64_t *elements, char **indices) {
        for (; *indices; indices++) {
                char *end;
                uint64_t i = strtoull(*indices, &end, 0);

                if (*end || i >= N_ELEMENTS) {
                        fprintf(stderr, "%s is no number below %" PRIu64 "\n", *indices, N_ELEMENTS);
                        return 1;
                }
                printf("%" PRIu64 "\n", elements[i]);
        }
        return 0;
}

static int fail(const char *what) {
        fprintf(stderr, "%s: %s\n", what, bf_errmsg());
        return 1;
}

int main(int argc, char **argv) {
        const struct bf_file_ops ops = { .load = array_load };
        const struct bf_open_opts opts = { .size = sizeof(opts), .block_size = BLOCK_SIZE };
        struct array array = { .n_blocks = 0 };
        struct bf_client *client;
        struct bf_fileh *fileh;
        void *elements;
        int r;

        (void) argc;
        if (bf_connect(&client, NULL) < 0)
                return fail(argv[0]);
        if (bf_open_ops(client, &ops, &array, N_ELEMENTS * sizeof(uint64_t), &opts, &fileh) < 0 ||
            bf_mmap(fileh, 0, N_ELEMENTS * sizeof(uint64_t), PROT_READ, &elements) < 0) {
                r = fail(argv[0]);
                bf_disconnect(client);
                return r;
        }
        r = print_elements(elements, argv + 1);
        fprintf(stderr, "%u blocks were computed\n", array.n_blocks);
        bf_disconnect(client);
        return r;
}
