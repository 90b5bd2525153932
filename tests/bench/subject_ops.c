/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A copy of the file that this process has in its memory and serves itself (bf_open_ops): in blocks of 4 KiB or 2 MiB, these also in huge pages. */

#include <bfclient.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "content.h"
#include "hugepages.h"
#include "server.h"
#include "subject.h"

struct subject_ops_variant {
        uint64_t block_size;
        enum bf_advice advice;
        unsigned open_flags;
        bool is_opened_huge; /* what is served in small blocks is opened once more, with huge pages */
};

struct subject_ops {
        struct subject subject;
        struct server server;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint8_t *copy;
        uint64_t size;
        uint64_t block_size;
};

static int subject_ops_check(int r) {
        if (r < 0)
                fprintf(stderr, "bigfile, served: %s\n", bf_errmsg());
        return r;
}

static uint64_t subject_ops_left(const struct subject_ops *self, uint64_t block) {
        uint64_t left = self->size - block * self->block_size;

        return left < self->block_size ? left : self->block_size;
}

static int subject_ops_load(void *file, uint64_t block, void *buf) {
        const struct subject_ops *self = file;

        memcpy(buf, self->copy + block * self->block_size, subject_ops_left(self, block));
        return 0;
}

static const struct bf_file_ops subject_ops_ops = { .load = subject_ops_load };

static void subject_ops_free(struct subject *subject) {
        struct subject_ops *self = (struct subject_ops *) subject;

        bf_disconnect(self->client);
        if (self->server.pid > 0)
                server_stop(&self->server);
        if (self->copy)
                munmap(self->copy, self->size);
        free(self);
}

static int subject_ops_copy(struct subject_ops *self, const struct content *content) {
        void *copy = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (copy == MAP_FAILED)
                return -errno;
        self->copy = copy;
        for (uint64_t done = 0; done < self->size;) {
                ssize_t n = pread(content->fd, self->copy + done, self->size - done, (off_t) done);

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                done += (uint64_t) n;
        }
        return 0;
}

#define SUBJECT_OPS_NAME "bench"

/* What was served goes on to be, as long as the client is connected. */
static int subject_ops_open_huge(struct subject_ops *self) {
        const struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_HUGE };

        return bf_open(self->client, "ops:" SUBJECT_OPS_NAME, O_RDWR, &opts, &self->fileh);
}

static int subject_ops_open(struct subject_ops *self, const struct subject_ops_variant *variant) {
        const struct bf_open_opts opts = { .size = sizeof(opts), .flags = variant->open_flags, .block_size = self->block_size, .name = SUBJECT_OPS_NAME };
        uint64_t page_size = variant->is_opened_huge ? HUGEPAGES_BYTES : self->block_size;
        uint64_t length = (self->size + page_size - 1) / page_size * page_size;
        void *memory;
        int r;

        r = subject_ops_check(bf_connect(&self->client, self->server.address));
        if (r == 0)
                r = subject_ops_check(bf_open_ops(self->client, &subject_ops_ops, self, self->size, &opts, &self->fileh));
        if (r == 0 && variant->is_opened_huge)
                r = subject_ops_check(subject_ops_open_huge(self));
        if (r == 0)
                r = subject_ops_check(bf_advise(self->fileh, 0, 0, variant->advice));
        if (r == 0)
                r = subject_ops_check(bf_mmap(self->fileh, 0, length, PROT_READ | PROT_WRITE, &memory));
        if (r == 0)
                self->subject.memory = memory;
        return r;
}

/* Whether it can be had: 0, or SUBJECT_HAS_NONE with a reason. */
static int subject_ops_prepare(const struct subject_ops_variant *variant, const struct setup *setup, struct reason *reason) {
        uint64_t n_huge = setup->pool_bytes / HUGEPAGES_BYTES;

        if (!(variant->open_flags & BF_HUGE || variant->is_opened_huge) || hugepages_n_free() >= n_huge)
                return 0;
        reason_say(reason, "%ju huge pages are needed, %ju are free (--huge-pages, vm.nr_hugepages)", (uintmax_t) n_huge, (uintmax_t) hugepages_n_free());
        return SUBJECT_HAS_NONE;
}

static int subject_ops_new(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret) {
        const struct subject_ops_variant *variant = kind->variant;
        struct subject_ops *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        *self = (struct subject_ops) { .subject.kind = kind, .size = setup->content->size, .block_size = variant->block_size };
        r = subject_ops_prepare(variant, setup, reason);
        if (r == 0)
                r = server_start(&self->server, setup);
        if (r == 0)
                r = subject_ops_copy(self, setup->content);
        if (r == 0)
                r = subject_ops_open(self, variant);
        if (r != 0) {
                subject_ops_free(&self->subject);
                return r;
        }
        *ret = &self->subject;
        return 0;
}

static int subject_ops_drop(struct subject *subject) {
        struct subject_ops *self = (struct subject_ops *) subject;

        return subject_ops_check(bf_invalidate(self->fileh, 0, self->size));
}

static int subject_ops_count(struct subject *subject, struct subject_counts *ret_counts) {
        struct subject_ops *self = (struct subject_ops *) subject;

        return server_cpu_ns(self->server.pid, &ret_counts->cpu_ns);
}

#define SUBJECT_OPS_KIND(name_, title_, block_size_, advice_, ...)                                                                                          \
        .name = name_, .title = title_, .variant = &(const struct subject_ops_variant){ .block_size = block_size_, .advice = advice_, ##__VA_ARGS__ },      \
        .new = subject_ops_new, .free = subject_ops_free, .drop = subject_ops_drop, .count = subject_ops_count

const struct subject_kind subject_ops = { SUBJECT_OPS_KIND("ops", "bigfile, served", 4096, BF_ADVICE_NORMAL) };
const struct subject_kind subject_ops_2m = { SUBJECT_OPS_KIND("ops-2m", "bigfile, served, 2 MiB", 2 << 20, BF_ADVICE_NORMAL) };
const struct subject_kind subject_ops_ahead = { SUBJECT_OPS_KIND("ops-ahead", "bigfile, served, SEQUENTIAL", 4096, BF_ADVICE_SEQUENTIAL) };
const struct subject_kind subject_ops_2m_ahead = { SUBJECT_OPS_KIND("ops-2m-ahead", "the same, 2 MiB", 2 << 20, BF_ADVICE_SEQUENTIAL) };
const struct subject_kind subject_ops_huge = { SUBJECT_OPS_KIND("ops-huge", "the same, huge pages", 2 << 20, BF_ADVICE_SEQUENTIAL, .open_flags = BF_HUGE) };
const struct subject_kind subject_ops_small_huge = {
        SUBJECT_OPS_KIND("ops-4k-huge", "4 KiB, huge pages", 4096, BF_ADVICE_SEQUENTIAL, .is_opened_huge = true),
};
