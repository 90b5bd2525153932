/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "hugepages.h"
#include "undo.h"

#define HUGEPAGES_N "/proc/sys/vm/nr_hugepages"
#define HUGEPAGES_FREE "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

static int hugepages_read(const char *path, uint64_t *ret_n) {
        FILE *file = fopen(path, "re");
        int n;

        if (!file)
                return -errno;
        n = fscanf(file, "%" SCNu64, ret_n);
        fclose(file);
        return n == 1 ? 0 : -EIO;
}

uint64_t hugepages_n_free(void) {
        uint64_t n;

        return hugepages_read(HUGEPAGES_FREE, &n) < 0 ? 0 : n;
}

static int hugepages_write(uint64_t n) {
        FILE *file = fopen(HUGEPAGES_N, "we");
        int r = 0;

        if (!file)
                return -errno;
        if (fprintf(file, "%" PRIu64 "\n", n) < 0)
                r = -errno;
        if (fclose(file) != 0 && r == 0)
                r = -errno;
        return r;
}

int hugepages_init(struct hugepages *hugepages, uint64_t n) {
        uint64_t n_before, n_free = hugepages_n_free();
        char text[32];
        int r;

        *hugepages = (struct hugepages){ 0 };
        if (n <= n_free)
                return 0;
        r = hugepages_read(HUGEPAGES_N, &n_before);
        if (r < 0)
                return r;
        snprintf(text, sizeof(text), "%" PRIu64 "\n", n_before);
        hugepages->undo = undo_write(HUGEPAGES_N, text);
        r = hugepages_write(n_before + n - n_free);
        if (r == 0 && hugepages_n_free() < n)
                r = -ENOMEM;
        if (r < 0)
                hugepages_fini(hugepages);
        return r;
}

void hugepages_fini(struct hugepages *hugepages) {
        undo_run(hugepages->undo);
        *hugepages = (struct hugepages){ 0 };
}
