/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One thread reads faults, blocking, and answers each with one ioctl, from memory: the file's own pages in the page cache. Another takes commands.
 * It keeps a list of the dirty blocks and no other state.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
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
        atomic_size_t n_dirty; /* written by the thread that answers faults, and by commands, never at the same time */
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

static int floor_copy(const struct floor_state *state, uint64_t block, uint64_t mode) {
        struct uffdio_copy copy = {
                .dst = floor_client_address(state, block),
                .src = (uint64_t) (uintptr_t) (state->source + block * CONTENT_BLOCK),
                .len = CONTENT_BLOCK,
                .mode = mode,
        };

        return ioctl(state->server->uffd, UFFDIO_COPY, &copy) < 0 ? -errno : 0;
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
        if (fallocate(state->server->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t) (state->server->n_blocks * CONTENT_BLOCK)) < 0)
                return -errno;
        return 0;
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

        *state = (struct floor_state){ .server = server, .dirty = malloc(server->n_blocks * sizeof(*state->dirty)) };
        source = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, server->file, 0);
        view = mmap(NULL, size, PROT_READ, MAP_SHARED, server->memory, 0);
        if (!state->dirty || source == MAP_FAILED || view == MAP_FAILED)
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
