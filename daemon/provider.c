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
        struct provider_ask *ask; /* NULL: nothing is asked */
        bool is_lent;
        uint32_t number;          /* of what was asked last */
        uint32_t next_free;       /* + 1; 0: none */
};

/* A connection with a process. It stays until the read of its socket has ended, and all that was lent is back. */
struct provider_line {
        struct provider *provider; /* NULL: it is lost, nothing that comes from it counts */
        struct ring *ring;
        int socket;
        char *area;
        uint64_t area_bytes;
        uint64_t block_size;
        struct ring_op read_op;
        bool is_reading;
        struct provide_answer answer; /* the one being read */
        struct provider_slot slots[PROVIDE_SLOTS_MAX];
        uint32_t first_free; /* + 1; the one used last: its memory is the warmest */
        unsigned n_lent;
};

/* What one file is asked through: it stays when the process goes, and another one may come. */
struct provider {
        LIST_ENTRY(provider) entry; /* pager->providers -> provider->entry */
        struct pager *pager;
        struct served *served;      /* held */
        uint64_t peer;              /* who serves it, if somebody does */
        struct provider_line *line; /* with him; NULL: nobody does */
        unsigned n_asked;           /* and not answered */
        STAILQ_HEAD(, provider_ask) waiting; /* for a slot, or for somebody who serves -> ask->entry */
        struct ring_op grace_op;
        bool grace_is_set;
        bool is_ending;
};

static struct served_list *provider_list(const struct provider *provider) {
        return &provider->pager->commons->served;
}

/* Where the bytes from that offset on lie in the area. */
static char *provider_place(const struct provider_line *line, uint32_t slot, uint64_t offset) {
        uint64_t block_size = line->block_size;

        return line->area + slot * provide_slot_bytes(block_size) + offset % block_size;
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

/* --- slots ----------------------------------------------------------------------------------------------------------------------------------------- */

static uint32_t provider_take_slot(struct provider_line *line) {
        uint32_t slot = line->first_free - 1;

        line->first_free = line->slots[slot].next_free;
        return slot;
}

static void provider_give_slot(struct provider_line *line, uint32_t slot) {
        line->slots[slot].next_free = line->first_free;
        line->first_free = slot + 1;
}

/* What was asked there has ended. */
static struct provider_ask *provider_end_slot(struct provider *provider, struct provider_line *line, uint32_t slot) {
        struct provider_ask *ask = line->slots[slot].ask;

        line->slots[slot].ask = NULL;
        provider->n_asked--;
        if (!line->slots[slot].is_lent)
                provider_give_slot(line, slot);
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

static void provider_line_free_if_idle(struct provider_line *line) {
        if (line->provider || line->is_reading || line->n_lent > 0)
                return;
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
                if (line->slots[i].ask)
                        provider_send_back(provider_end_slot(provider, line, i), -EIO);
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
        if (provider->is_ending && provider->n_asked == 0)
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

/* Was the slot lent for that very content, and is the line still there? */
static bool provider_is_lent(const struct provider *provider, const struct provider_ask *ask) {
        const struct store_loan *loan = ask->loan;

        return loan && loan->of == provider->line && ask->buf == provider_place(provider->line, loan->slot, ask->offset);
}

static void provider_begin(struct provider *provider, struct provider_ask *ask) {
        struct provider_line *line = provider->line;
        uint32_t slot = provider_is_lent(provider, ask) ? ask->loan->slot : provider_take_slot(line);
        struct provider_slot *s = &line->slots[slot];
        struct provide_ask message = { .op = ask->op, .slot = slot, .offset = ask->offset, .length = ask->length, .number = ++s->number };

        provider->n_asked++;
        s->ask = ask;
        if (ask->op == PROVIDE_STORE && !s->is_lent)
                memcpy(provider_place(line, slot, ask->offset), ask->buf, ask->length);
        if (chan_send_bytes(line->socket, &message, sizeof(message)) < 0)
                provider_lose(provider);
}

static bool provider_can_begin(const struct provider *provider, const struct provider_ask *ask) {
        return provider->line && (provider->line->first_free != 0 || provider_is_lent(provider, ask));
}

static void provider_begin_waiting(struct provider *provider) {
        struct provider_ask *ask;

        while ((ask = STAILQ_FIRST(&provider->waiting)) && provider_can_begin(provider, ask)) {
                STAILQ_REMOVE_HEAD(&provider->waiting, entry);
                provider_begin(provider, ask);
        }
}

bool provider_lend(struct served *served, uint64_t offset, uint32_t length, struct store_loan *ret_loan) {
        struct provider_line *line = served->provider ? served->provider->line : NULL;
        uint32_t slot;

        if (!line || line->first_free == 0 || !STAILQ_EMPTY(&served->provider->waiting) || length > provider_ask_max(served, offset))
                return false;
        slot = provider_take_slot(line);
        line->slots[slot].is_lent = true;
        line->n_lent++;
        *ret_loan = (struct store_loan) { .buf = provider_place(line, slot, offset), .of = line, .slot = slot };
        return true;
}

void provider_take_back(const struct store_loan *loan) {
        struct provider_line *line = loan->of;

        assert(!line->slots[loan->slot].ask);
        line->slots[loan->slot].is_lent = false;
        line->n_lent--;
        provider_give_slot(line, loan->slot);
        if (line->provider)
                provider_begin_waiting(line->provider);
        else
                provider_line_free_if_idle(line);
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

/* The slot of what it answers, or NULL: that is nothing that was asked. */
static struct provider_slot *provider_answered(struct provider_line *line, const struct provide_answer *answer) {
        struct provider_slot *s = answer->slot < PROVIDE_SLOTS_MAX ? &line->slots[answer->slot] : NULL;

        if (!s || !s->ask || s->number != answer->number || answer->n_done > s->ask->length)
                return NULL;
        if (answer->error > 0 || answer->error < -PROVIDER_ERRNO_MAX || (answer->error == 0 && answer->n_done < s->ask->length))
                return NULL;
        return s;
}

static bool provider_on_done(struct provider *provider, const struct provide_answer *answer) {
        struct provider_line *line = provider->line;
        struct provider_slot *s = provider_answered(line, answer);
        struct provider_ask *ask;

        if (!s)
                return false;
        if (s->ask->op == PROVIDE_LOAD && !s->is_lent)
                memcpy(s->ask->buf, provider_place(line, answer->slot, s->ask->offset), answer->n_done);
        ask = provider_end_slot(provider, line, answer->slot);
        provider_begin_waiting(provider);
        provider_finish(provider, ask, answer->error, answer->n_done);
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

        line->is_reading = false;
        if (provider && result != -EINTR && (result != (int) sizeof(line->answer) || !provider_on_answer(provider, &line->answer)))
                provider_lose(provider);
        if (provider)
                provider_end_if_idle(provider);
        if (line->provider) {
                provider_line_read(line);
                return;
        }
        provider_line_free_if_idle(line);
        if (provider)
                provider_free_if_idle(provider);
}

static void provider_line_read(struct provider_line *line) {
        line->is_reading = true;
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
                .block_size = block_size,
        };
        for (uint32_t i = provide_n_slots(block_size); i > 0; i--)
                provider_give_slot(line, i - 1);
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
