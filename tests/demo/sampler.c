/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "sampler.h"

#define SAMPLER_PERIOD_NS 10000000
#define SAMPLER_BYTES_PER_BLOCK 512 /* of st_blocks */

/* The inode of the memory that is mapped at this address, as /proc says; 0: not found. */
static ino_t sampler_find_inode(const void *mapping) {
        FILE *maps = fopen("/proc/self/maps", "re");
        unsigned long begin, inode = 0;
        char line[512];

        while (maps && fgets(line, sizeof(line), maps))
                if (sscanf(line, "%lx-%*x %*s %*s %*s %lu", &begin, &inode) == 2 && begin == (unsigned long) mapping)
                        break;
                else
                        inode = 0;
        if (maps)
                fclose(maps);
        return inode;
}

/* The library has the memory open: a file without a name in any directory. All such share a device, so the inode tells. */
static int sampler_find_memory(const void *mapping) {
        ino_t inode = sampler_find_inode(mapping);
        DIR *dir = opendir("/proc/self/fd");
        struct dirent *entry;
        struct stat st;
        int found = -1;

        while (dir && inode && found < 0 && (entry = readdir(dir)))
                if (fstat(atoi(entry->d_name), &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 && st.st_ino == inode)
                        found = atoi(entry->d_name);
        if (dir)
                closedir(dir);
        return found;
}

static void sampler_take(struct sampler *sampler) {
        struct bf_pool_stat pool;
        struct stat st;
        int r;

        r = bf_pool_stat(sampler->client, &pool);
        if (r < 0) {
                sampler->error = r;
                return;
        }
        sampler->n_samples++;
        if (pool.resident_bytes > sampler->resident_bytes_max)
                sampler->resident_bytes_max = pool.resident_bytes;
        if (sampler->memory >= 0 && fstat(sampler->memory, &st) == 0 && (uint64_t) st.st_blocks * SAMPLER_BYTES_PER_BLOCK > sampler->memory_bytes_max)
                sampler->memory_bytes_max = (uint64_t) st.st_blocks * SAMPLER_BYTES_PER_BLOCK;
}

static void *sampler_run(void *arg) {
        static const struct timespec period = { .tv_nsec = SAMPLER_PERIOD_NS };
        struct sampler *sampler = arg;

        while (!atomic_load(&sampler->is_ending) && sampler->error == 0) {
                sampler_take(sampler);
                nanosleep(&period, NULL);
        }
        return NULL;
}

int sampler_begin(struct sampler *sampler, struct bf_client *client, const void *mapping) {
        sampler->client = client;
        sampler->memory = sampler_find_memory(mapping);
        sampler->n_samples = sampler->resident_bytes_max = sampler->memory_bytes_max = 0;
        sampler->error = 0;
        atomic_init(&sampler->is_ending, false);
        return -pthread_create(&sampler->thread, NULL, sampler_run, sampler);
}

void sampler_end(struct sampler *sampler) {
        atomic_store(&sampler->is_ending, true);
        pthread_join(sampler->thread, NULL);
        if (sampler->error == 0)
                sampler_take(sampler); /* one at least, with all that is there */
}
