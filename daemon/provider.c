/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chan.h"
#include "log.h"
#include "memory.h"
#include "provider.h"

#define PROVIDER_ERRNO_MAX 4095

struct provider_slot {
        struct provider_ask *ask; /* NULL: it is free */
        uint32_t number;          /* of what was asked last */
        uint32_t next_free;       /* + 1; 0: none */
};

/* A connection with a process. It stays until the read of its socket has ended. */
struct provider_line {
        struct provider *provider; /* NULL: it is lost, nothing that comes from it counts */
        struct ring *ring;
        int socket;
        char *area;
        uint64_t area_bytes;
        struct ring_op read_op;
        struct provide_answer answer; /* the one being read */
};

/* What one file is asked through: it stays when the process goes, and another one may come. */
struct provider {
        LIST_ENTRY(provider) entry; /* pager->providers -> provider->entry */
        struct pager *pager;
        struct served *served;      /* held */
        uint64_t peer;              /* who serves it, if somebody does */
        struct provider_line *line; /* with him; NULL: nobody does */
        struct provider_slot slots[PROVIDE_SLOTS_MAX];
        uint32_t first_free; /* + 1; the one used last: its memory is the warmest */
        unsigned n_busy;
        STAILQ_HEAD(, provider_ask) waiting; /* for a slot, or for somebody who serves -> ask->entry */
        struct ring_op grace_op;
        bool grace_is_set;
        bool is_ending;
};

static struct served_list *provider_list(const struct provider *provider) {
        return &provider->pager->commons->served;
}

/* Where the bytes from that offset on lie in the area. */
static char *provider_place(const struct provider *provider, uint32_t slot, uint64_t offset) {
        uint64_t block_size = provider->served->about.block_size;

        return provider->line->area + slot * provide_slot_bytes(block_size) + offset % block_size;
}

uint32_t provider_ask_max(const struct served *served, uint64_t offset) {
        uint64_t block_size = served->about.block_size;

        return (uint32_t) (provide_slot_bytes(block_size) - offset % block_size);
}

/* --- ending what was asked ---------------------------------------------------------------------------------------------------------------------- */

static void provider_run_back(struct pager *pager, struct pager_call *call) {
        struct provider_ask *ask = (struct provider_ask *) ((char *) call - offsetof(struct provider_ask, call));

        (void) pager;
        ask->done(ask);
}

/* In a later turn, also where it is this pager's own. */
static void provider_send_back(struct provider_ask *ask, int error) {
        ask->error = error;
        ask->call.run = provider_run_back;
        ask->home->post(ask->home, &ask->call);
}

static void provider_finish(struct provider *provider, struct provider_ask *ask, int error, uint32_t n_done) {
        ask->n_done = n_done;
        if (ask->home != provider->pager) {
                provider_send_back(ask, error);
                return;
        }
        ask->error = error;
        ask->done(ask);
}

static struct provider_ask *provider_free_slot(struct provider *provider, uint32_t slot) {
        struct provider_slot *s = &provider->slots[slot];
        struct provider_ask *ask = s->ask;

        s->ask = NULL;
        s->next_free = provider->first_free;
        provider->first_free = slot + 1;
        provider->n_busy--;
        return ask;
}

static void provider_fail_waiting(struct provider *provider) {
        struct provider_ask *ask;

        while ((ask = STAILQ_FIRST(&provider->waiting))) {
                STAILQ_REMOVE_HEAD(&provider->waiting, entry);
                provider_send_back(ask, -EIO);
        }
}

/* --- the end of who serves ---------------------------------------------------------------------------------------------------------------------- */

static void provider_free(struct provider *provider) {
        LIST_REMOVE(provider, entry);
        provider->served->provider = NULL;
        served_put(provider_list(provider), provider->served);
        free(provider);
}

/* Nobody serves it, and nothing waits. */
static void provider_free_if_idle(struct provider *provider) {
        if (!provider->line && !provider->grace_is_set && STAILQ_EMPTY(&provider->waiting))
                provider_free(provider);
}

static void provider_line_free(struct provider_line *line) {
        close(line->socket);
        munmap(line->area, line->area_bytes);
        free(line);
}

static void provider_forget_threads(struct served *served) {
        atomic_store(&served->peer, 0);
        for (unsigned i = 0; i < PROVIDE_THREADS_MAX; i++)
                atomic_store(&served->threads[i], 0);
}

/* That nobody serves it is known before the process hears that its connection has ended: it may serve it anew at once. */
static void provider_lose(struct provider *provider) {
        struct provider_line *line = provider->line;

        if (!line)
                return;
        log_debug("served file \"%s\": nobody serves it any more", provider->served->about.name);
        provider->line = NULL;
        line->provider = NULL;
        provider_forget_threads(provider->served);
        served_release(provider_list(provider), provider->served, provider->peer);
        chan_end(line->socket);
        for (uint32_t i = 0; i < PROVIDE_SLOTS_MAX; i++)
                if (provider->slots[i].ask)
                        provider_send_back(provider_free_slot(provider, i), -EIO);
        provider_fail_waiting(provider);
}

void provider_forget_peer(struct pager *pager, uint64_t peer) {
        struct provider *provider, *next;

        for (provider = LIST_FIRST(&pager->providers); provider; provider = next) {
                next = LIST_NEXT(provider, entry);
                if (!provider->line || provider->peer != peer)
                        continue;
                provider_lose(provider);
                provider_free_if_idle(provider);
        }
}

static void provider_end_if_idle(struct provider *provider) {
        if (provider->is_ending && provider->n_busy == 0)
                provider_lose(provider);
}

/* What is under way may end. */
void provider_end_all(struct pager *pager) {
        struct provider *provider, *next;

        for (provider = LIST_FIRST(&pager->providers); provider; provider = next) {
                next = LIST_NEXT(provider, entry);
                provider->is_ending = true;
                provider_fail_waiting(provider);
                provider_end_if_idle(provider);
                if (provider->grace_is_set)
                        ring_cancel(pager->ring, &provider->grace_op);
                else
                        provider_free_if_idle(provider);
        }
}

/* --- asking ------------------------------------------------------------------------------------------------------------------------------------- */

static void provider_begin(struct provider *provider, struct provider_ask *ask) {
        uint32_t slot = provider->first_free - 1;
        struct provider_slot *s = &provider->slots[slot];
        struct provide_ask message = { .op = ask->op, .slot = slot, .offset = ask->offset, .length = ask->length, .number = ++s->number };

        provider->first_free = s->next_free;
        provider->n_busy++;
        s->ask = ask;
        if (ask->op == PROVIDE_STORE)
                memcpy(provider_place(provider, slot, ask->offset), ask->buf, ask->length);
        if (chan_send_bytes(provider->line->socket, &message, sizeof(message)) < 0)
                provider_lose(provider);
}

static void provider_begin_waiting(struct provider *provider) {
        struct provider_ask *ask;

        while (provider->line && provider->first_free != 0 && (ask = STAILQ_FIRST(&provider->waiting))) {
                STAILQ_REMOVE_HEAD(&provider->waiting, entry);
                provider_begin(provider, ask);
        }
}

static void provider_on_grace(struct ring_op *op, int result) {
        struct provider *provider = (struct provider *) ((char *) op - offsetof(struct provider, grace_op));

        (void) result;
        provider->grace_is_set = false;
        if (!provider->line)
                provider_fail_waiting(provider);
        provider_free_if_idle(provider);
}

/* Who served it under the daemon before may be about to come. */
static void provider_wait_for_another(struct provider *provider) {
        if (provider->grace_is_set)
                return;
        provider->grace_is_set = true;
        provider->grace_op.done = provider_on_grace;
        ring_timer(provider->pager->ring, &provider->grace_op, provider->served->grace);
}

static struct provider *provider_get(struct pager *pager, struct served *served) {
        struct provider *provider = served->provider;

        if (provider)
                return provider;
        provider = calloc(1, sizeof(*provider));
        if (!provider)
                return NULL;
        *provider = (struct provider) { .pager = pager, .served = served };
        STAILQ_INIT(&provider->waiting);
        for (uint32_t i = provide_n_slots(served->about.block_size); i > 0; i--) {
                provider->slots[i - 1].next_free = provider->first_free;
                provider->first_free = i;
        }
        served_hold(&pager->commons->served, served);
        served->provider = provider;
        LIST_INSERT_HEAD(&pager->providers, provider, entry);
        return provider;
}

static void provider_take(struct pager *pager, struct provider_ask *ask) {
        bool may_come = ask->served->grace > ring_now();
        struct provider *provider = may_come ? provider_get(pager, ask->served) : ask->served->provider;

        if (!provider || provider->is_ending || (!provider->line && !may_come)) {
                provider_send_back(ask, -EIO);
                return;
        }
        STAILQ_INSERT_TAIL(&provider->waiting, ask, entry);
        if (!provider->line)
                provider_wait_for_another(provider);
        else
                provider_begin_waiting(provider);
}

static void provider_run_there(struct pager *pager, struct pager_call *call) {
        provider_take(pager, (struct provider_ask *) ((char *) call - offsetof(struct provider_ask, call)));
}

void provider_ask(struct provider_ask *ask) {
        struct pager *home = ask->home;

        assert(ask->length > 0 && ask->length <= provider_ask_max(ask->served, ask->offset));
        ask->n_done = 0;
        if (ask->served->pager == home->index) {
                provider_take(home, ask);
                return;
        }
        ask->call.run = provider_run_there;
        home->post_to(home, ask->served->pager, &ask->call);
}

/* --- answers ------------------------------------------------------------------------------------------------------------------------------------ */

/* False: that answers nothing that was asked. */
static bool provider_on_done(struct provider *provider, const struct provide_answer *answer) {
        struct provider_slot *s = answer->slot < PROVIDE_SLOTS_MAX ? &provider->slots[answer->slot] : NULL;
        int error = answer->error;
        struct provider_ask *ask;

        if (!s || !s->ask || s->number != answer->number || answer->n_done > s->ask->length || error > 0 || error < -PROVIDER_ERRNO_MAX)
                return false;
        ask = s->ask;
        if (error == 0 && answer->n_done < ask->length)
                return false;
        if (ask->op == PROVIDE_LOAD)
                memcpy(ask->buf, provider_place(provider, answer->slot, ask->offset), answer->n_done);
        (void) provider_free_slot(provider, answer->slot);
        provider_begin_waiting(provider);
        provider_finish(provider, ask, error, answer->n_done);
        return true;
}

static bool provider_on_answer(struct provider *provider, const struct provide_answer *answer) {
        switch (answer->kind) {
        case PROVIDE_DONE:
                return provider_on_done(provider, answer);
        case PROVIDE_THREAD:
                served_add_thread(provider->served, answer->number);
                return true;
        default:
                return false;
        }
}

static void provider_line_read(struct provider_line *line);

static void provider_line_on_read(struct ring_op *op, int result) {
        struct provider_line *line = (struct provider_line *) ((char *) op - offsetof(struct provider_line, read_op));
        struct provider *provider = line->provider;

        if (provider && result != -EINTR && (result != (int) sizeof(line->answer) || !provider_on_answer(provider, &line->answer)))
                provider_lose(provider);
        if (provider)
                provider_end_if_idle(provider);
        if (line->provider) {
                provider_line_read(line);
                return;
        }
        provider_line_free(line);
        if (provider)
                provider_free_if_idle(provider);
}

static void provider_line_read(struct provider_line *line) {
        line->read_op.done = provider_line_on_read;
        ring_read_events(line->ring, &line->read_op, line->socket, &line->answer, sizeof(line->answer));
}

/* --- who serves --------------------------------------------------------------------------------------------------------------------------------- */

/* *ret_fd: a descriptor of it for the process. */
static int provider_line_make_area(struct provider_line *line, int *ret_fd) {
        struct memory memory;
        void *area;
        int r;

        r = memory_init(&memory, line->area_bytes, false);
        if (r < 0)
                return r;
        area = mmap(NULL, line->area_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
        if (area == MAP_FAILED) {
                r = -errno;
                memory_fini(&memory);
                return r;
        }
        line->area = area;
        *ret_fd = memory.fd;
        return 0;
}

static int provider_line_open(struct provider_line *line, int ret_fds[static 2]) {
        int pair[2], r;

        r = chan_pair(pair);
        if (r < 0)
                return r;
        r = provider_line_make_area(line, &ret_fds[1]);
        if (r < 0) {
                close(pair[0]);
                close(pair[1]);
                return r;
        }
        line->socket = pair[0];
        ret_fds[0] = pair[1];
        return 0;
}

static int provider_connect(struct provider *provider, int ret_fds[static 2]) {
        uint64_t block_size = provider->served->about.block_size;
        struct provider_line *line = calloc(1, sizeof(*line));
        int r;

        if (!line)
                return -ENOMEM;
        *line = (struct provider_line) {
                .provider = provider,
                .ring = provider->pager->ring,
                .area_bytes = provide_slot_bytes(block_size) * provide_n_slots(block_size),
        };
        r = provider_line_open(line, ret_fds);
        if (r < 0) {
                free(line);
                return r;
        }
        provider->line = line;
        return 0;
}

int provider_new(struct pager *pager, struct served *served, uint64_t peer, int ret_fds[static 2]) {
        struct provider *provider = provider_get(pager, served);
        int r;

        if (!provider)
                return -ENOMEM;
        assert(!provider->line); /* who has claimed the file is told of before, if he is gone */
        r = provider->is_ending ? -ESHUTDOWN : provider_connect(provider, ret_fds);
        if (r < 0) {
                provider_free_if_idle(provider);
                return r;
        }
        served->grace = 0;
        provider->peer = peer;
        atomic_store(&served->peer, peer);
        provider_line_read(provider->line);
        provider_begin_waiting(provider);
        return 0;
}
