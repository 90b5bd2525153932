/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "nofork.h"

/* Tables are never freed and an entry is one word, so that the child needs no lock, which a thread that it does not have may hold. 0: free; else the descriptor
 * plus 1. */
#define NOFORK_TABLE 256
#define NOFORK_TABLES 4096

struct nofork_table {
        atomic_int fds[NOFORK_TABLE];
};

static _Atomic(struct nofork_table *) nofork_tables[NOFORK_TABLES];
static pthread_once_t nofork_once = PTHREAD_ONCE_INIT;
static int nofork_error;

static void nofork_in_child(void) {
        struct nofork_table *table;

        for (unsigned i = 0; i < NOFORK_TABLES && (table = atomic_load(&nofork_tables[i])); i++)
                for (unsigned j = 0; j < NOFORK_TABLE; j++) {
                        int fd = atomic_exchange(&table->fds[j], 0) - 1;

                        if (fd >= 0)
                                close(fd);
                }
}

static void nofork_register(void) {
        nofork_error = -pthread_atfork(NULL, NULL, nofork_in_child);
}

int nofork_init(void) {
        (void) pthread_once(&nofork_once, nofork_register);
        return nofork_error;
}

/* The table of that number, made if there is none. */
static struct nofork_table *nofork_table(unsigned i) {
        struct nofork_table *table = atomic_load(&nofork_tables[i]), *made;

        if (table)
                return table;
        made = calloc(1, sizeof(*made));
        if (!made || atomic_compare_exchange_strong(&nofork_tables[i], &table, made))
                return made;
        free(made);
        return table;
}

int nofork_add(int fd) {
        struct nofork_table *table;

        for (unsigned i = 0; i < NOFORK_TABLES && (table = nofork_table(i)); i++)
                for (unsigned j = 0; j < NOFORK_TABLE; j++) {
                        int none = 0;

                        if (atomic_load(&table->fds[j]) == 0 && atomic_compare_exchange_strong(&table->fds[j], &none, fd + 1))
                                return (int) (i * NOFORK_TABLE + j);
                }
        return -1;
}

void nofork_remove(int entry) {
        if (entry >= 0)
                atomic_store(&atomic_load(&nofork_tables[entry / NOFORK_TABLE])->fds[entry % NOFORK_TABLE], 0);
}
