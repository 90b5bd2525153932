/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "chan.h"
#include "inject.h"
#include "log.h"
#include "provider.h"
#include "provider_line.h"

#define PROVIDER_ERRNO_MAX 4095

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

/* What was asked there has ended. */
static struct provider_ask *provider_end_slot(struct provider *provider, struct provider_line *line, uint32_t slot) {
        struct provider_ask *ask = line->slots[slot].ask;

        line->slots[slot].ask = NULL;
        provider->n_asked--;
        if (!line->slots[slot].is_lent)
                provider_line_give_slots(line, slot, 1);
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

static void provider_free_line_if_idle(struct provider_line *line) {
        if (!line->provider && !line->is_reading && line->n_lent == 0)
                provider_line_free(line);
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

/* The slot that was lent for that very content, if the line is still there; or PROVIDER_LINE_NONE. */
static uint32_t provider_lent_slot(const struct provider *provider, const struct provider_ask *ask) {
        const struct store_loan *loan = ask->loan;

        if (!loan || loan->of != provider->line)
                return PROVIDER_LINE_NONE;
        for (uint32_t slot = loan->slot; slot < loan->slot + loan->n_slots; slot++)
                if (ask->buf == provider_line_place(provider->line, slot, ask->offset))
                        return slot;
        return PROVIDER_LINE_NONE;
}

static bool provider_wants_page(const struct provider_ask *ask, uint64_t i) {
        return ask->mask[(ask->mask_first + i) / 64] >> (ask->mask_first + i) % 64 & 1;
}

static void provider_put_mask(uint64_t *mask, const struct provider_ask *ask) {
        uint64_t n = (ask->length + ask->page_size - 1) / ask->page_size;

        memset(mask, 0, (n + 63) / 64 * sizeof(*mask));
        for (uint64_t i = 0; i < n; i++)
                mask[i / 64] |= (uint64_t) provider_wants_page(ask, i) << i % 64;
}

/* Only what is to be stored: between those pages the buffer has what it had before, of whomever. */
static void provider_put_pages(char *place, const struct provider_ask *ask) {
        for (uint64_t i = 0, begin = 0; begin < ask->length; i++, begin += ask->page_size)
                if (provider_wants_page(ask, i))
                        memcpy(place + begin, (const char *) ask->buf + begin, ask->length - begin < ask->page_size ? ask->length - begin : ask->page_size);
}

static void provider_put_content(char *place, const struct provider_ask *ask) {
        if (ask->mask)
                provider_put_pages(place, ask);
        else
                memcpy(place, ask->buf, ask->length);
}

/* Where the process is gone the read that is under way will say so. */
static void provider_begin(struct provider *provider, struct provider_ask *ask) {
        struct provider_line *line = provider->line;
        uint32_t lent = provider_lent_slot(provider, ask), slot = lent != PROVIDER_LINE_NONE ? lent : provider_line_take_slots(line, 1);
        struct provider_slot *s = &line->slots[slot];
        struct provide_ask message = { .op = ask->op, .slot = slot, .offset = ask->offset, .length = ask->length, .number = ++s->number };

        if (ask->mask)
                message.page_size = ask->page_size;
        provider->n_asked++;
        s->ask = ask;
        if (ask->op == PROVIDE_STORE && !s->is_lent)
                provider_put_content(provider_line_place(line, slot, ask->offset), ask);
        if (ask->mask)
                provider_put_mask(provider_line_mask(line, slot), ask);
        if (chan_send_bytes(line->socket, &message, sizeof(message)) < 0)
                chan_end(line->socket);
        INJECT(PROVIDER_ASKED);
}

static bool provider_can_begin(const struct provider *provider, const struct provider_ask *ask) {
        return provider->line && (provider->line->free != 0 || provider_lent_slot(provider, ask) != PROVIDER_LINE_NONE);
}

static void provider_begin_waiting(struct provider *provider) {
        struct provider_ask *ask;

        while ((ask = STAILQ_FIRST(&provider->waiting)) && provider_can_begin(provider, ask)) {
                STAILQ_REMOVE_HEAD(&provider->waiting, entry);
                provider_begin(provider, ask);
        }
}

/* The slots that hold so much, side by side: what is asked for piece by piece lies there as if it had been asked for at once. */
static uint32_t provider_n_slots(const struct served *served, uint64_t offset, uint32_t length) {
        uint32_t in_first = provider_ask_max(served, offset), slot_bytes = (uint32_t) provide_slot_bytes(served->about.block_size);

        return length <= in_first ? 1 : 1 + (length - in_first + slot_bytes - 1) / slot_bytes;
}

bool provider_lend(struct served *served, uint64_t offset, uint32_t length, struct store_loan *ret_loan) {
        struct provider_line *line = served->provider ? served->provider->line : NULL;
        uint32_t first, n = provider_n_slots(served, offset, length);

        if (!line || !STAILQ_EMPTY(&served->provider->waiting))
                return false;
        if (line->n_lent + n >= provide_n_slots(line->block_size))
                return false; /* who has borrowed one may need another one before he gives it back, as for what follows a block that failed */
        first = provider_line_take_slots(line, n);
        if (first == PROVIDER_LINE_NONE)
                return false;
        for (uint32_t i = 0; i < n; i++)
                line->slots[first + i].is_lent = true;
        line->n_lent += n;
        *ret_loan = (struct store_loan) { .buf = provider_line_place(line, first, offset), .of = line, .slot = first, .n_slots = n };
        return true;
}

void provider_take_back(const struct store_loan *loan) {
        struct provider_line *line = loan->of;

        for (uint32_t slot = loan->slot; slot < loan->slot + loan->n_slots; slot++) {
                assert(!line->slots[slot].ask);
                line->slots[slot].is_lent = false;
        }
        line->n_lent -= loan->n_slots;
        provider_line_give_slots(line, loan->slot, loan->n_slots);
        if (line->provider)
                provider_begin_waiting(line->provider);
        else
                provider_free_line_if_idle(line);
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
                memcpy(s->ask->buf, provider_line_place(line, answer->slot, s->ask->offset), answer->n_done);
        INJECT(PROVIDER_ANSWERED);
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

static void provider_read(struct provider_line *line);

static void provider_on_read(struct ring_op *op, int result) {
        struct provider_line *line = (struct provider_line *) ((char *) op - offsetof(struct provider_line, read_op));
        struct provider *provider = line->provider;
        bool has_answer = provider_line_has_answer(line, result);

        if (provider && result != -EINTR && (!has_answer || !provider_on_answer(provider, &line->answer)))
                provider_lose(provider);
        if (provider)
                provider_end_if_idle(provider);
        if (line->provider) {
                provider_read(line);
                return;
        }
        provider_free_line_if_idle(line);
        if (provider)
                provider_free_if_idle(provider);
}

static void provider_read(struct provider_line *line) {
        line->read_op.done = provider_on_read;
        provider_line_read(line);
}

/* --- who serves --------------------------------------------------------------------------------------------------------------------------------- */

int provider_new(struct pager *pager, struct served *served, uint64_t peer, int ret_fds[static 2]) {
        struct provider *provider = provider_get(pager, served);
        int r;

        if (!provider)
                return -ENOMEM;
        assert(!provider->line); /* who has claimed the file is told of before, if he is gone */
        r = provider->is_ending ? -ESHUTDOWN : provider_line_new(pager->ring, served->about.block_size, ret_fds, &provider->line);
        if (r < 0) {
                provider_free_if_idle(provider);
                return r;
        }
        provider->line->provider = provider;
        served->grace = 0;
        provider->peer = peer;
        atomic_store(&served->peer, peer);
        INJECT(PROVIDER_CONNECTED);
        provider_read(provider->line);
        provider_begin_waiting(provider);
        return 0;
}
