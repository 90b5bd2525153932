/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger_file.h"
#include "memory.h"

#define LEDGER_HEADER_BYTES 4096

static struct ledger_file *ledger_file_of(struct pagemap_memory *memory) {
        return (struct ledger_file *) ((char *) memory - offsetof(struct ledger_file, memory));
}

static size_t ledger_table_bytes(uint64_t capacity) {
        return capacity * sizeof(uint64_t);
}

static int ledger_file_table_get(struct pagemap_memory *memory, uint64_t capacity, uint64_t **ret_words) {
        struct ledger_file *ledger = ledger_file_of(memory);
        uint64_t end = ledger_table_offset(capacity) + ledger_table_bytes(capacity);
        void *words;

        if (end > ledger->length) {
                if (ftruncate(ledger->fd, (off_t) end) < 0)
                        return -errno;
                ledger->length = end;
        }
        words = mmap(NULL, ledger_table_bytes(capacity), PROT_READ | PROT_WRITE, MAP_SHARED, ledger->fd, (off_t) ledger_table_offset(capacity));
        if (words == MAP_FAILED)
                return -errno;
        *ret_words = words;
        return 0;
}

/* The hole reads as zeros: the table can come back later. */
static void ledger_file_table_put(struct pagemap_memory *memory, uint64_t capacity, uint64_t *words) {
        struct ledger_file *ledger = ledger_file_of(memory);

        munmap(words, ledger_table_bytes(capacity));
        (void) fallocate(ledger->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) ledger_table_offset(capacity),
                         (off_t) ledger_table_bytes(capacity));
}

/* A memfd that nobody else can shrink, or open for writing. */
static int ledger_file_create(int *ret_fd) {
        int fd = memfd_create("bigfiled-ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

        if (fd < 0)
                return -errno;
        if (fchmod(fd, 0600) < 0 || ftruncate(fd, LEDGER_HEADER_BYTES) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

int ledger_file_init(struct ledger_file *ledger, uint64_t block_size, uint64_t size) {
        struct ledger_header *header;
        int fd = -1, r;

        r = ledger_file_create(&fd);
        if (r < 0)
                return r;
        header = mmap(NULL, LEDGER_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (header == MAP_FAILED) {
                r = -errno;
                close(fd);
                return r;
        }
        *header = (struct ledger_header) { .magic = LEDGER_MAGIC, .block_size = block_size, .size = size };
        *ledger = (struct ledger_file) {
                .memory = { .header = header, .table_get = ledger_file_table_get, .table_put = ledger_file_table_put },
                .fd = fd,
                .length = LEDGER_HEADER_BYTES,
        };
        return 0;
}

void ledger_file_fini(struct ledger_file *ledger) {
        munmap(ledger->memory.header, LEDGER_HEADER_BYTES);
        close(ledger->fd);
        ledger->fd = -1;
}

int ledger_file_open(const struct ledger_file *ledger, int *ret_fd) {
        return memory_reopen_readonly(ledger->fd, ret_fd);
}

void ledger_file_set_size(struct ledger_file *ledger, uint64_t size) {
        __atomic_store_n(&ledger->memory.header->size, size, __ATOMIC_RELEASE);
}
