/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process.h"

/* The number of this process, in a page which the kernel wipes in a forked child (MADV_WIPEONFORK, since Linux 4.14). */
static _Atomic(_Atomic uint64_t *) process_number;

/* The last number given; a child inherits it, so its own is another. */
static _Atomic uint64_t process_last;

int process_init(void) {
        size_t size = (size_t) sysconf(_SC_PAGESIZE);
        _Atomic uint64_t *page, *none = NULL;

        if (atomic_load(&process_number))
                return 0;
        page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
                return -ENOMEM;
        if (madvise(page, size, MADV_WIPEONFORK) < 0 || !atomic_compare_exchange_strong(&process_number, &none, page)) {
                munmap(page, size);
                return atomic_load(&process_number) ? 0 : -ENOMEM;
        }
        return 0;
}

uint64_t process_id(void) {
        _Atomic uint64_t *number = atomic_load(&process_number);
        uint64_t id, none = 0;

        if (!number)
                return 0;
        id = atomic_load(number);
        if (id)
                return id;
        id = atomic_fetch_add(&process_last, 1) + 1;
        return atomic_compare_exchange_strong(number, &none, id) ? id : none;
}
