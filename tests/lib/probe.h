/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_PROBE_H
#define BF_TEST_PROBE_H

/*
 * Looking at memory: accesses that may raise SIGBUS or SIGSEGV, and, without any access, what the page tables of this process say, and so which
 * accesses would fault. Any thread may use it. In a cmocka test probe_install() comes first, in each test anew, as cmocka has handlers of its
 * own.
 */

#include <stdbool.h>
#include <stdint.h>

void probe_install(void);

/* What an access met. signo 0: nothing. */
struct probe_hit {
        int signo;
        void *address; /* si_addr */
        int known;     /* what bf_fault_error() returned inside the handler */
        int error;     /* and the errno that it told */
};

/* One access each; returns the signal it raised or 0. *ret_value is untouched then, ret_value and ret_hit may be NULL. */
int probe_read(const void *at, uint64_t *ret_value, struct probe_hit *ret_hit);
int probe_write(void *at, uint64_t value, struct probe_hit *ret_hit);

/* Would a read here go through without a fault? A write? */
bool probe_is_readable(const void *at);
bool probe_is_writable(const void *at);

#endif
