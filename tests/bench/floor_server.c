/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One thread reads faults, blocking, and answers each with one ioctl, from memory: the file's own pages in the page cache. Another takes commands.
 * It keeps a list of the dirty blocks, one of what is loaded in the order in which it came, and no other state.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "content.h"
#include "floor_server.h"
#include "stats.h"
#include "uffd_abi.h"

struct floor_state {
        const struct floor_server *server;
        const uint8_t *source; /* the file */
        const uint8_t *view;   /* the memory */
        uint64_t *dirty;       /* room for all blocks: each is listed once, as it is writable from then on */
        atomic_size_t n_dirty; /* written by the thread that answers faults, and by commands, never at the same time; like the two below */
        uint64_t *loaded;      /* the first blocks of runs, in a ring of as many as fit into the pool, and one */
        uint64_t n_ring;
        atomic_size_t oldest; /* places in it */
        atomic_size_t next;
};

static uint64_t floor_client_address(const struct floor_state *state, uint64_t block) {
        return (uint64_t) (uintptr_t) state->server->client_memory + block * CONTENT_BLOCK;
}

/* Before the answer, so that the client's next command finds it. */
static void floor_note_dirty(struct floor_state *state, uint64_t block) {
        size_t n = atomic_load_explicit(&state->n_dirty, memory_order_relaxed);

        assert(n < state->server->n_blocks);
        state->dirty[n] = block;
        atomic_store_explicit(&state->n_dirty, n + 1, memory_order_release);
}

static int floor_protect(const struct floor_state *state, uint64_t block, uint64_t n_blocks, uint64_t mode) {
        struct uffdio_writeprotect protect = {
                .range = { .start = floor_client_address(state, block), .len = n_blocks * CONTENT_BLOCK },
                .mode = mode,
        };

        return ioctl(state->server->uffd, UFFDIO_WRITEPROTECT, &protect) < 0 ? -errno : 0;
}

static int floor_punch(const struct floor_state *state, uint64_t block, uint64_t n_blocks) {
        off_t offset = (off_t) (block * CONTENT_BLOCK), length = (off_t) (n_blocks * CONTENT_BLOCK);

        return fallocate(state->server->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) < 0 ? -errno : 0;
}

static bool floor_is_dirty(const struct floor_state *state, uint64_t block) {
        for (size_t i = 0; i < atomic_load_explicit(&state->n_dirty, memory_order_relaxed); i++)
                if (state->dirty[i] / state->server->n_run == block / state->server->n_run)
                        return true;
        return false;
}

/* What is dirty when its turn comes stays, and is forgotten here: the workloads leave room for that. */
static int floor_note_loaded(struct floor_state *state, uint64_t block) {
        size_t oldest = atomic_load_explicit(&state->oldest, memory_order_relaxed), next = atomic_load_explicit(&state->next, memory_order_relaxed);
        int r = 0;

        state->loaded[next] = block;
        next = (next + 1) % state->n_ring;
        if (next == oldest) {
                if (!floor_is_dirty(state, state->loaded[oldest]))
                        r = floor_punch(state, state->loaded[oldest], state->server->n_run);
                atomic_store_explicit(&state->oldest, (oldest + 1) % state->n_ring, memory_order_relaxed);
        }
        atomic_store_explicit(&state->next, next, memory_order_relaxed);
        return r;
}

static int floor_copy(struct floor_state *state, uint64_t block, uint64_t mode) {
        uint64_t first = block & ~(state->server->n_run - 1), n_left = state->server->n_blocks - first;
        struct uffdio_copy copy = {
                .dst = floor_client_address(state, first),
                .src = (uint64_t) (uintptr_t) (state->source + first * CONTENT_BLOCK),
                .len = (n_left < state->server->n_run ? n_left : state->server->n_run) * CONTENT_BLOCK,
                .mode = mode,
        };

        if (ioctl(state->server->uffd, UFFDIO_COPY, &copy) < 0)
                return -errno;
        return floor_note_loaded(state, first);
}

static int floor_answer(struct floor_state *state, const struct uffd_msg *msg) {
        uint64_t block = (msg->arg.pagefault.address - floor_client_address(state, 0)) / CONTENT_BLOCK;

        if (msg->arg.pagefault.flags & (UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_WRITE))
                floor_note_dirty(state, block);
        if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
                return floor_protect(state, block, 1, 0);
        return floor_copy(state, block, msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE ? 0 : UFFDIO_COPY_MODE_WP);
}

static void *floor_answer_faults(void *arg) {
        struct floor_state *state = arg;
        struct uffd_msg msg;

        while (read(state->server->uffd, &msg, sizeof(msg)) == (ssize_t) sizeof(msg))
                if (floor_answer(state, &msg) < 0)
                        break;
        _exit(EXIT_FAILURE); /* the control socket ends, and the client says so */
}

/* Protects and writes one run of neighbours. */
static int floor_store_run(const struct floor_state *state, uint64_t block, uint64_t n_blocks) {
        size_t n = n_blocks * CONTENT_BLOCK;
        int r;

        r = floor_protect(state, block, n_blocks, UFFDIO_WRITEPROTECT_MODE_WP);
        if (r < 0)
                return r;
        if (pwrite(state->server->file, state->view + block * CONTENT_BLOCK, n, (off_t) (block * CONTENT_BLOCK)) != (ssize_t) n)
                return -EIO;
        return 0;
}

static int floor_store(struct floor_state *state) {
        size_t n = atomic_load_explicit(&state->n_dirty, memory_order_acquire);
        int r;

        stats_sort(state->dirty, n);
        for (size_t i = 0, j; i < n; i = j) {
                for (j = i + 1; j < n && state->dirty[j] == state->dirty[i] + (j - i); j++)
                        ;
                r = floor_store_run(state, state->dirty[i], j - i);
                if (r < 0)
                        return r;
        }
        atomic_store_explicit(&state->n_dirty, 0, memory_order_release);
        return 0;
}

static int floor_drop(struct floor_state *state) {
        atomic_store_explicit(&state->n_dirty, 0, memory_order_release);
        atomic_store_explicit(&state->oldest, 0, memory_order_relaxed);
        atomic_store_explicit(&state->next, 0, memory_order_relaxed);
        return floor_punch(state, 0, state->server->n_blocks);
}

static int floor_obey(struct floor_state *state, uint8_t command) {
        int r;

        if (command == FLOOR_DROP)
                return floor_drop(state);
        r = floor_store(state);
        if (r == 0 && command == FLOOR_SYNC && fdatasync(state->server->file) < 0)
                r = -errno;
        return r;
}

static int floor_init(struct floor_state *state, const struct floor_server *server) {
        size_t size = server->n_blocks * CONTENT_BLOCK;
        void *source, *view;

        *state = (struct floor_state){ .server = server,
                                       .dirty = malloc(server->n_blocks * sizeof(*state->dirty)),
                                       .n_ring = server->n_pool / server->n_run + 2 };
        state->loaded = malloc(state->n_ring * sizeof(*state->loaded));
        source = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, server->file, 0);
        view = mmap(NULL, size, PROT_READ, MAP_SHARED, server->memory, 0);
        if (!state->dirty || !state->loaded || source == MAP_FAILED || view == MAP_FAILED)
                return -ENOMEM;
        state->source = source;
        state->view = view;
        return 0;
}

noreturn void floor_server_run(const struct floor_server *server) {
        struct floor_state state;
        pthread_t thread;
        uint8_t command, answer;

        if (floor_init(&state, server) < 0 || pthread_create(&thread, NULL, floor_answer_faults, &state) != 0)
                _exit(EXIT_FAILURE);
        while (read(server->control, &command, 1) == 1) {
                answer = (uint8_t) -floor_obey(&state, command);
                if (write(server->control, &answer, 1) != 1)
                        break;
        }
        _exit(EXIT_SUCCESS);
}
