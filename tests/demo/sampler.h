/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DEMO_SAMPLER_H
#define DEMO_SAMPLER_H

/* A thread that looks a hundred times a second at how much RAM the pool has in use: by the daemon's own count, and by the kernel's. */

#include <bfclient.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sampler {
        struct bf_client *client; /* borrowed */
        int memory;               /* the descriptor of the memory behind the mapping; borrowed; -1: not found */
        pthread_t thread;
        atomic_bool is_ending;
        uint64_t n_samples;          /* this and the next two: valid after sampler_end() */
        uint64_t resident_bytes_max; /* by the daemon's count */
        uint64_t memory_bytes_max;   /* by the kernel's */
        int error;                   /* of bf_pool_stat() */
};

/* mapping: an address that bf_mmap() gave. 0 or a negative errno. */
int sampler_begin(struct sampler *sampler, struct bf_client *client, const void *mapping);

void sampler_end(struct sampler *sampler);

#endif
