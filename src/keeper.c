/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bfclient.h"
#include "keeper.h"
#include "msec.h"
#include "mutant.h"
#include "revive.h"

#define KEEPER_STACK_SIZE (256u << 10) /* with room for the thread-local variables of a large program, which are on it too */

/* Between attempts to reach a daemon: an eighth of the time that none was there, so that the attempts add little to that. To start a private one costs more: these
 * double, and one that ends as soon as it is started is not started again more often than that, either. */
#define PAUSE_FIRST_MSEC 10
#define PAUSE_MAX_MSEC 500
#define PAUSE_SHARE 8

/* A daemon that takes a connection has so long to answer the first message, also when the timeout has passed. */
#define GREETING_MSEC 1000

static void keeper_serve(struct keeper *keeper) {
        const int socket = keeper->params.session->socket;
        bool is_connected = true;

        while (is_connected) {
                if (lost_look(&keeper->lost)) {
                        struct pollfd p = { .fd = socket, .events = POLLIN };

                        lost_sleep(&keeper->lost, &socket, 1, MSEC_NEVER);
                        if (poll(&p, 1, 0) == 0)
                                continue;
                }
                is_connected = session_receive(keeper->params.session);
        }
}

static void keeper_lose(struct keeper *keeper) {
        keeper->has_lost = true;
        handles_lose(keeper->params.handles);
        session_set_state(keeper->params.session, SESSION_LOST);
        lost_begin(&keeper->lost);
}

/* Without a daemon until then, or the end of the client. */
static void keeper_wait(struct keeper *keeper, int64_t until) {
        while (!session_is_ending(keeper->params.session) && msec_until(until) > 0) {
                if (keeper->has_lost)
                        (void) lost_look(&keeper->lost);
                lost_sleep(&keeper->lost, &keeper->end, 1, until);
        }
}

static int64_t keeper_pause(struct keeper *keeper, int64_t gone) {
        int64_t pause = keeper->has_lost ? PAUSE_MAX_MSEC : keeper->pause, next;

        next = keeper->params.dial->is_private ? pause * 2 : (msec_now() - gone) / PAUSE_SHARE;
        keeper->pause = next < PAUSE_FIRST_MSEC ? PAUSE_FIRST_MSEC : next < PAUSE_MAX_MSEC ? next : PAUSE_MAX_MSEC;
        return msec_now() + pause;
}

static bool keeper_attempt(struct keeper *keeper, int64_t limit) {
        const struct keeper_params *params = &keeper->params;
        int64_t latest = msec_now() + GREETING_MSEC;
        struct revive revive = {
                .session = params->session,
                .handles = params->handles,
                .serves = params->serves,
                .dial = params->dial,
                .lost = &keeper->lost,
                .stop = keeper->end,
                .until = !keeper->has_lost && limit < latest ? limit : latest,
        };
        int r;

        r = revive_run(&revive);
        if (r < 0) {
                session_set_reason(params->session, bf_errmsg());
                if (keeper->has_lost)
                        handles_lose(params->handles); /* some had been found again */
                session_set_state(params->session, keeper->has_lost ? SESSION_LOST : SESSION_SUSPENDED);
                return false;
        }
        keeper->has_lost = false;
        keeper->reached = msec_now();
        return true;
}

/* From the end of a connection to another one, or the end of the client. */
static void keeper_reconnect(struct keeper *keeper) {
        int64_t gone = msec_now(), limit = gone + keeper->params.timeout, next;

        session_suspend(keeper->params.session);
        if (BF_MUTANT == MUTANT_NO_UFFD)
                handles_close_uffds(keeper->params.handles);
        if (!keeper->params.dial->is_private || msec_now() - keeper->reached >= PAUSE_MAX_MSEC)
                keeper->pause = PAUSE_FIRST_MSEC;
        if (keeper->params.timeout == 0 && !session_is_ending(keeper->params.session))
                keeper_lose(keeper);
        do {
                next = keeper_pause(keeper, gone);
                if (!keeper->has_lost && limit <= next) {
                        keeper_wait(keeper, limit);
                        if (!session_is_ending(keeper->params.session))
                                keeper_lose(keeper);
                }
                keeper_wait(keeper, next);
        } while (!session_is_ending(keeper->params.session) && !keeper_attempt(keeper, limit));
}

static void *keeper_main(void *data) {
        struct keeper *keeper = data;

        do {
                keeper_serve(keeper);
                keeper_reconnect(keeper);
        } while (!session_is_ending(keeper->params.session));
        session_suspend(keeper->params.session);
        return NULL;
}

/* Signals are for the program's own threads. */
static int keeper_set_attributes(pthread_attr_t *attributes) {
        sigset_t all;
        int e;

        sigfillset(&all);
        e = pthread_attr_setsigmask_np(attributes, &all);
        if (e == 0)
                e = pthread_attr_setstacksize(attributes, KEEPER_STACK_SIZE);
        return -e;
}

static int keeper_launch(struct keeper *keeper) {
        pthread_attr_t attributes;
        int r;

        r = -pthread_attr_init(&attributes);
        if (r < 0)
                return r;
        r = keeper_set_attributes(&attributes);
        if (r == 0)
                r = -pthread_create(&keeper->thread, &attributes, keeper_main, keeper);
        pthread_attr_destroy(&attributes);
        if (r == 0)
                (void) pthread_setname_np(keeper->thread, "bf-keeper");
        return r;
}

int keeper_start(struct keeper *keeper, const struct keeper_params *params) {
        int r;

        *keeper = (struct keeper) { .params = *params, .pause = PAUSE_FIRST_MSEC, .reached = msec_now() };
        keeper->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (keeper->end < 0)
                return -errno;
        lost_init(&keeper->lost, params->handles);
        r = keeper_launch(keeper);
        if (r < 0) {
                close(keeper->end);
                return r;
        }
        keeper->is_running = true;
        return 0;
}

void keeper_stop(struct keeper *keeper) {
        if (!keeper->is_running)
                return;
        session_end(keeper->params.session);
        (void) eventfd_write(keeper->end, 1);
        (void) pthread_join(keeper->thread, NULL);
        lost_fini(&keeper->lost);
        close(keeper->end);
        keeper->is_running = false;
}
