/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ledger_read.h"

#define READ_WORDS 8 /* words read at a time: nearly always the search ends within them */

/* The daemon moves entries within microseconds. It may be kept off its CPU meanwhile, which takes milliseconds: then it is better to sleep. */
#define TRIES_MAX 2000
#define TRIES_AWAKE 1000
#define TRY_PAUSE_NSEC 1000000

static int ledger_pread(int fd, void *buffer, size_t size, uint64_t offset) {
        ssize_t n;

        do
                n = pread(fd, buffer, size, (off_t) offset);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EIO;
}

/* One look: 1 done, 0 entries are being moved; what does not tell of entries is good all the same. */
static int ledger_try_header(int fd, struct ledger_header *ret_header) {
        struct ledger_header header;
        int r;

        r = ledger_pread(fd, &header, sizeof(header), 0);
        if (r < 0)
                return r;
        if (header.magic != LEDGER_MAGIC || header.block_size == 0 || header.capacity < LEDGER_CAPACITY_MIN ||
            header.capacity > LEDGER_BLOCK_MAX || header.capacity & (header.capacity - 1))
                return -EIO;
        *ret_header = header;
        return header.seq & 1 ? 0 : 1;
}

/* The search itself; what it finds is worth nothing if entries were moved meanwhile. */
static int ledger_search(int fd, uint64_t capacity, uint64_t block, uint64_t *ret_word) {
        uint64_t i = ledger_home(block, capacity);

        for (uint64_t n = 0; n < capacity;) {
                uint64_t words[READ_WORDS];
                size_t n_words = capacity - i < READ_WORDS ? (size_t) (capacity - i) : READ_WORDS;
                int r;

                r = ledger_pread(fd, words, n_words * sizeof(*words), ledger_table_offset(capacity) + i * sizeof(*words));
                if (r < 0)
                        return r;
                for (size_t k = 0; k < n_words; k++)
                        if (words[k] == 0 || ledger_word_is(words[k], block)) {
                                *ret_word = words[k];
                                return 0;
                        }
                n += n_words;
                i = (i + n_words) & (capacity - 1);
        }
        *ret_word = 0;
        return 0;
}

/* One look at a word: 1 done, 0 entries were moved meanwhile. */
static int ledger_try_word(int fd, uint64_t block, uint64_t *ret_word) {
        struct ledger_header before, after;
        uint64_t word = 0;
        int r;

        r = ledger_try_header(fd, &before);
        if (r <= 0)
                return r;
        atomic_thread_fence(memory_order_acquire);
        r = ledger_search(fd, before.capacity, block, &word);
        if (r < 0)
                return r;
        atomic_thread_fence(memory_order_acquire);
        r = ledger_try_header(fd, &after);
        if (r <= 0 || after.seq != before.seq)
                return r < 0 ? r : 0;
        *ret_word = word;
        return 1;
}

/* Between two tries: false, enough of it. */
static bool ledger_pause(unsigned *n_tries) {
        static const struct timespec pause = { .tv_nsec = TRY_PAUSE_NSEC };

        if (++*n_tries > TRIES_AWAKE)
                (void) nanosleep(&pause, NULL);
        return *n_tries < TRIES_MAX;
}

int ledger_read_size(int fd, uint64_t *ret_size) {
        struct ledger_header header;
        int r;

        r = ledger_try_header(fd, &header);
        if (r < 0)
                return r;
        *ret_size = header.size;
        return 0;
}

int ledger_read_header(int fd, struct ledger_header *ret_header) {
        struct ledger_header header;
        unsigned n_tries = 0;
        int r;

        do {
                r = ledger_try_header(fd, &header);
                if (r > 0)
                        *ret_header = header;
                if (r != 0)
                        return r < 0 ? r : 0;
        } while (ledger_pause(&n_tries));
        return -EAGAIN;
}

int ledger_read_word(int fd, uint64_t block, uint64_t *ret_word) {
        unsigned n_tries = 0;
        int r;

        do {
                r = ledger_try_word(fd, block, ret_word);
                if (r != 0)
                        return r < 0 ? r : 0;
        } while (ledger_pause(&n_tries));
        return -EAGAIN;
}
