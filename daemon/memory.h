/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_MEMORY_H
#define BF_MEMORY_H

/*
 * The memory of one fileh: a memfd as large as the file, rounded up to a block. A page is in RAM exactly when its range holds a page.
 * It knows memfds; it does not know page states, nor who maps it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory {
        int fd;
        bool huge;
};

/* size: a multiple of the block size. huge: 2 MiB pages of the host's reserve; -ENOMEM if it has none free. */
int memory_init(struct memory *memory, uint64_t size, bool huge);
void memory_fini(struct memory *memory);

/* How many huge pages the host lacks in its reserve to have so many bytes of this memory in RAM, beside what others use of it; 0 of small pages. */
uint64_t memory_n_missing(const struct memory *memory, uint64_t bytes);

/* Takes up the memory of a daemon that is gone, as a client hands it back: fd is borrowed, and may be read-only. size: as above.
 * -EINVAL: it is not such a memory. */
int memory_adopt(struct memory *memory, int fd, uint64_t size, bool huge);

/* What tells it from any other memory. */
int memory_inode(const struct memory *memory, uint64_t *ret);

/* The next range from offset on that is in RAM; of huge pages that is not told, and it is all the rest. -ENXIO: there is none. */
int memory_next_data(const struct memory *memory, uint64_t offset, uint64_t *ret_begin, uint64_t *ret_end);

/* Is all from begin to end in RAM? known: what was found out before, zeroed at first. */
struct memory_data {
        uint64_t begin;
        uint64_t end;
};
bool memory_has_data(const struct memory *memory, uint64_t begin, uint64_t end, struct memory_data *known);

/* Of the kernel's pages it is made of, bytes. */
uint64_t memory_page_size(const struct memory *memory);

int memory_grow(struct memory *memory, uint64_t size);

/* Another descriptor of it, the caller's: read-write, or read-only; the second function's is an open file description of its own in any case. */
int memory_open(const struct memory *memory, bool readonly, int *ret_fd);
int memory_open_anew(const struct memory *memory, bool readonly, int *ret_fd);

/* Takes the range out of RAM, and so out of every mapping. */
int memory_punch(struct memory *memory, uint64_t offset, uint64_t length);

/* Copies out of it, or into it where no mapping can be used for that: of huge pages, within one. */
int memory_read(struct memory *memory, uint64_t offset, void *buf, size_t length);
int memory_write(struct memory *memory, uint64_t offset, const void *buf, size_t length);

/* Another descriptor of a file that is open, as open(2) with these flags gives one. */
int memory_reopen(int fd, int flags, int *ret_fd);

/* A read-only descriptor of a memfd: who holds only that cannot change it. */
int memory_reopen_readonly(int fd, int *ret_fd);

/* A read-write one, of a memfd of that name that a daemon of this user made: it is his, sealed against shrinking, of that size at least. -EINVAL:
 * it is not. */
int memory_reopen_own(int fd, const char *name, uint64_t size, int *ret_fd);

#endif
