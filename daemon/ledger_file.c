/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger_file.h"
#include "log.h"
#include "memory.h"

#define LEDGER_FILE_NAME "bigfiled-ledger"
#define LEDGER_HEADER_BYTES 4096

_Static_assert(sizeof(struct ledger_header) <= LEDGER_GUESSES_OFFSET &&
               LEDGER_GUESSES_OFFSET + LEDGER_GUESSES_MAX * sizeof(struct ledger_guess) <= LEDGER_HEADER_BYTES, "the header's page has room for both");

static struct ledger_file *ledger_file_of(struct pagemap_memory *memory) {
        return (struct ledger_file *) ((char *) memory - offsetof(struct ledger_file, memory));
}

static size_t ledger_table_bytes(uint64_t capacity) {
        return capacity * sizeof(uint64_t);
}

static int ledger_file_table_map(const struct ledger_file *ledger, uint64_t capacity, uint64_t **ret_words) {
        void *words = mmap(NULL, ledger_table_bytes(capacity), PROT_READ | PROT_WRITE, MAP_SHARED, ledger->fd, (off_t) ledger_table_offset(capacity));
        if (words == MAP_FAILED)
                return -errno;
        *ret_words = words;
        return 0;
}

static int ledger_file_table_punch(const struct ledger_file *ledger, uint64_t capacity) {
        int r;

        do
                r = fallocate(ledger->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) ledger_table_offset(capacity),
                              (off_t) ledger_table_bytes(capacity));
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : 0;
}

/* Zeros: a daemon that ended while it changed tables may have left words there. */
static int ledger_file_table_get(struct pagemap_memory *memory, uint64_t capacity, uint64_t **ret_words) {
        struct ledger_file *ledger = ledger_file_of(memory);
        uint64_t end = ledger_table_offset(capacity) + ledger_table_bytes(capacity);
        int r;

        if (end > ledger->length) {
                if (ftruncate(ledger->fd, (off_t) end) < 0)
                        return -errno;
                ledger->length = end;
        }
        r = ledger_file_table_punch(ledger, capacity);
        return r < 0 ? r : ledger_file_table_map(ledger, capacity, ret_words);
}

static void ledger_file_table_put(struct pagemap_memory *memory, uint64_t capacity, uint64_t *words) {
        struct ledger_file *ledger = ledger_file_of(memory);

        munmap(words, ledger_table_bytes(capacity));
        (void) ledger_file_table_punch(ledger, capacity);
}

/* A memfd that nobody else can shrink, or open for writing. */
static int ledger_file_create(int *ret_fd) {
        int fd = memfd_create(LEDGER_FILE_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

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

/* Takes fd if it succeeds. */
static int ledger_file_map(struct ledger_file *ledger, int fd, uint64_t length) {
        struct ledger_header *header = mmap(NULL, LEDGER_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (header == MAP_FAILED)
                return -errno;
        *ledger = (struct ledger_file) {
                .memory = { .header = header, .table_get = ledger_file_table_get, .table_put = ledger_file_table_put },
                .fd = fd,
                .length = length,
        };
        return 0;
}

int ledger_file_init(struct ledger_file *ledger, const struct ledger_header *about) {
        int fd = -1, r;

        r = ledger_file_create(&fd);
        if (r < 0)
                return r;
        r = ledger_file_map(ledger, fd, LEDGER_HEADER_BYTES);
        if (r < 0) {
                close(fd);
                return r;
        }
        *ledger->memory.header = *about;
        ledger->memory.header->magic = LEDGER_MAGIC;
        ledger->memory.header->generation = 1;
        return 0;
}

/* The daemon that wrote it knew: who brings it now may be another client than those it was made for. */
static bool ledger_file_is_about(const struct ledger_file *ledger, const struct ledger_header *about) {
        const struct ledger_header *header = ledger->memory.header;

        return header->memory_inode == about->memory_inode && header->file_device == about->file_device &&
               header->file_inode == about->file_inode && header->block_size == about->block_size && header->is_shared == about->is_shared;
}

static bool ledger_file_is_sound(const struct ledger_file *ledger) {
        const struct ledger_header *header = ledger->memory.header;
        uint64_t capacity = header->capacity;

        return header->magic == LEDGER_MAGIC && capacity >= LEDGER_CAPACITY_MIN && (capacity & (capacity - 1)) == 0 && capacity <= ledger->length / sizeof(uint64_t) &&
               ledger_table_offset(capacity) + ledger_table_bytes(capacity) <= ledger->length;
}

int ledger_file_adopt(struct ledger_file *ledger, int fd, const struct ledger_header *about) {
        struct stat st;
        int copy, r;

        r = memory_reopen_own(fd, LEDGER_FILE_NAME, LEDGER_HEADER_BYTES, &copy);
        if (r < 0)
                return r;
        r = fstat(copy, &st) < 0 ? -errno : ledger_file_map(ledger, copy, (uint64_t) st.st_size);
        if (r < 0) {
                close(copy);
                return r;
        }
        if (ledger->memory.header->magic != LEDGER_MAGIC)
                log_warning("a client brings a file whose ledger another version of bigfiled has made: it cannot be taken up (its programs go on when that version runs again)");
        if (ledger_file_is_sound(ledger) && ledger_file_is_about(ledger, about)) {
                ledger->memory.header->seq += ledger->memory.header->seq & 1; /* it ended while it moved entries */
                ledger->memory.header->generation++;
                return 0;
        }
        ledger_file_fini(ledger);
        return -EINVAL;
}

int ledger_file_table(struct ledger_file *ledger, uint64_t **ret_words) {
        return ledger_file_table_map(ledger, ledger->memory.header->capacity, ret_words);
}

void ledger_file_fini(struct ledger_file *ledger) {
        munmap(ledger->memory.header, LEDGER_HEADER_BYTES);
        close(ledger->fd);
        ledger->fd = -1;
}

int ledger_file_open(const struct ledger_file *ledger, int *ret_fd) {
        return memory_reopen_readonly(ledger->fd, ret_fd);
}

void ledger_file_close(struct ledger_file *ledger) {
        __atomic_store_n(&ledger->memory.header->memory_inode, 0, __ATOMIC_RELEASE);
}

void ledger_file_set_writer(struct ledger_file *ledger, uid_t uid) {
        __atomic_store_n(&ledger->memory.header->writer, (uint64_t) uid + 1, __ATOMIC_RELEASE);
}

void ledger_file_set_sync(struct ledger_file *ledger, bool is_under_way) {
        __atomic_store_n(&ledger->memory.header->sync_under_way, is_under_way, __ATOMIC_RELEASE);
}

void ledger_file_set_spill(struct ledger_file *ledger, uint64_t device, uint64_t inode) {
        ledger->memory.header->spill_device = device;
        __atomic_store_n(&ledger->memory.header->spill_inode, inode, __ATOMIC_RELEASE);
}

static struct ledger_guess *ledger_file_guess(const struct ledger_file *ledger, unsigned i) {
        return (struct ledger_guess *) ((char *) ledger->memory.header + LEDGER_GUESSES_OFFSET) + i;
}

const struct ledger_guess *ledger_file_guesses(const struct ledger_file *ledger) {
        return ledger_file_guess(ledger, 0);
}

void ledger_file_set_guess(struct ledger_file *ledger, unsigned i, uint64_t block, uint64_t hash) {
        struct ledger_guess *guess = ledger_file_guess(ledger, i);

        guess->hash = hash;
        __atomic_store_n(&guess->block, block + 1, __ATOMIC_RELEASE);
}

void ledger_file_forget_guess(struct ledger_file *ledger, unsigned i) {
        __atomic_store_n(&ledger_file_guess(ledger, i)->block, 0, __ATOMIC_RELEASE);
}

void ledger_file_set_size(struct ledger_file *ledger, uint64_t size) {
        __atomic_store_n(&ledger->memory.header->size, size, __ATOMIC_RELEASE);
}
