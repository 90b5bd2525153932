/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <unistd.h>

#include "chan.h"
#include "errmsg.h"
#include "fileh.h"
#include "nofork.h"
#include "serve.h"
#include "serve_blocks.h"

/* A daemon that goes on after it closed a connection may not have seen the end of it: it is asked again so many times, after pauses of this length. */
#define BUSY_TRIES_MAX 100
#define BUSY_PAUSE_MSEC 10

/* A connection with a daemon about the file. It stays until the last thread is out of it. */
struct line {
        int socket;
        int socket_entry; /* of nofork.h */
        char *area;
        size_t area_bytes;
        unsigned n_refs; /* under serve->lock */
};

struct serve {
        LIST_ENTRY(serve) entry; /* serves->all -> serve->entry */
        struct serves *serves;
        struct serve_blocks blocks;
        unsigned n_threads_max;
        char name[WIRE_SERVED_NAME_MAX];
        int token;
        int r; /* what came of the first try to serve it */
        bool is_stopped;
        pthread_mutex_t lock; /* guards what follows */
        pthread_cond_t changed; /* there is another line, or it ends */
        struct line *line; /* NULL: none */
        bool is_ending;
        pthread_t threads[PROVIDE_THREADS_MAX];
        unsigned n_threads;
        unsigned n_idle; /* of them, those that wait for something to do */
};

static _Thread_local const struct serve *serve_here;

static void serve_grow(struct serve *serve);

/* --- lines -------------------------------------------------------------------------------------------------------------------------------------- */

static void serve_line_unref(struct line *line) {
        if (!line || --line->n_refs > 0)
                return;
        nofork_remove(line->socket_entry);
        close(line->socket);
        munmap(line->area, line->area_bytes);
        free(line);
}

/* Takes socket; area is borrowed. */
static int serve_line_new(const struct serve *serve, int socket, int area, struct line **ret) {
        struct line *line = malloc(sizeof(*line));
        size_t n_bytes = provide_area_bytes(serve->blocks.block_size);
        void *address = line ? mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, area, 0) : MAP_FAILED;

        if (address == MAP_FAILED) {
                close(socket);
                free(line);
                return -ENOMEM;
        }
        (void) madvise(address, n_bytes, MADV_DONTFORK);
        *line = (struct line) { .socket = socket, .socket_entry = nofork_add(socket), .area = address, .area_bytes = n_bytes, .n_refs = 1 };
        *ret = line;
        return 0;
}

static void serve_set_line(struct serve *serve, struct line *line) {
        pthread_mutex_lock(&serve->lock);
        if (serve->line)
                chan_end(serve->line->socket);
        serve_line_unref(serve->line);
        serve->line = line;
        pthread_cond_broadcast(&serve->changed);
        pthread_mutex_unlock(&serve->lock);
}

/* The descriptors of a reply that says yes. */
static int serve_take_reply(struct serve *serve, struct chan_packet *reply) {
        struct line *line;
        int area, r;

        if (reply->n_fds != 3)
                return -EPROTO;
        if (serve->token < 0)
                serve->token = chan_packet_take(reply, 0);
        area = chan_packet_take(reply, 2);
        r = serve_line_new(serve, chan_packet_take(reply, 1), area, &line);
        close(area);
        if (r == 0)
                serve_set_line(serve, line);
        return r;
}

/* --- threads ------------------------------------------------------------------------------------------------------------------------------------ */

/* The line to work on, held; NULL: it ends. */
static struct line *serve_get_line(struct serve *serve) {
        struct line *line;

        pthread_mutex_lock(&serve->lock);
        while (!serve->line && !serve->is_ending)
                pthread_cond_wait(&serve->changed, &serve->lock);
        line = serve->is_ending ? NULL : serve->line;
        if (line) {
                line->n_refs++;
                serve->n_idle++;
        }
        pthread_mutex_unlock(&serve->lock);
        return line;
}

/* It has ended. */
static void serve_put_line(struct serve *serve, struct line *line) {
        pthread_mutex_lock(&serve->lock);
        serve->n_idle--;
        if (serve->line == line) {
                serve->line = NULL;
                line->n_refs--; /* not the last one: that is the caller's */
        }
        serve_line_unref(line);
        pthread_mutex_unlock(&serve->lock);
}

/* Who takes something up and leaves nobody to take up the next sees to it that there is one more. False: nothing is to be done any more. */
static bool serve_begin(struct serve *serve) {
        bool goes_on;

        pthread_mutex_lock(&serve->lock);
        serve->n_idle--;
        goes_on = !serve->is_ending;
        if (goes_on && serve->n_idle == 0)
                serve_grow(serve);
        pthread_mutex_unlock(&serve->lock);
        return goes_on;
}

static void serve_end(struct serve *serve) {
        pthread_mutex_lock(&serve->lock);
        serve->n_idle++;
        pthread_mutex_unlock(&serve->lock);
}

/* What the daemon says is within the bounds that both have agreed on: it made the area. */
static bool serve_is_valid(const struct serve *serve, const struct provide_ask *ask) {
        uint64_t block_size = serve->blocks.block_size;

        return (ask->op == PROVIDE_LOAD || ask->op == PROVIDE_STORE) && ask->slot < provide_n_slots(block_size) && ask->length > 0 &&
               ask->offset < serve->blocks.size && ask->length <= serve->blocks.size - ask->offset &&
               ask->length <= provide_slot_bytes(block_size) - ask->offset % block_size &&
               (ask->page_size == 0 || ask->page_size >= PROVIDE_PAGE_MIN);
}

/* False: the line has ended. */
static bool serve_one(struct serve *serve, struct line *line) {
        uint64_t block_size = serve->blocks.block_size;
        struct provide_answer answer;
        struct provide_ask ask;
        int n = chan_receive_bytes(line->socket, &ask, sizeof(ask));

        if (n != (int) sizeof(ask) || !serve_is_valid(serve, &ask))
                return false;
        answer = (struct provide_answer) { .kind = PROVIDE_DONE, .slot = ask.slot, .number = ask.number };
        if (serve_begin(serve)) {
                serve_here = serve;
                serve_blocks_run(&serve->blocks, &ask, line->area + ask.slot * provide_slot_bytes(block_size),
                                 (const uint64_t *) (const void *) (line->area + provide_mask_offset(block_size, ask.slot)), &answer);
                serve_here = NULL;
                if (chan_send_bytes(line->socket, &answer, sizeof(answer)) < 0)
                        chan_end(line->socket); /* who waits for it gets an error, and not nothing for ever */
        }
        serve_end(serve);
        return true;
}

static void *serve_main(void *data) {
        struct serve *serve = data;
        struct provide_answer hello = { .kind = PROVIDE_THREAD, .number = (uint32_t) gettid() };
        struct line *line;

        while ((line = serve_get_line(serve))) {
                (void) chan_send_bytes(line->socket, &hello, sizeof(hello));
                while (serve_one(serve, line))
                        ;
                serve_put_line(serve, line);
        }
        return NULL;
}

/* Signals are for the program's own threads; but for those that a thread brings upon itself, as when it touches memory that cannot be loaded. */
static void serve_block_signals(sigset_t *ret_before) {
        static const int own[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
        sigset_t set;

        sigfillset(&set);
        for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
                sigdelset(&set, own[i]);
        pthread_sigmask(SIG_BLOCK, &set, ret_before);
}

/* Under the lock. Without one more thread those that are there have more to do. */
static void serve_grow(struct serve *serve) {
        sigset_t before;

        if (serve->n_threads == serve->n_threads_max)
                return;
        serve_block_signals(&before);
        if (pthread_create(&serve->threads[serve->n_threads], NULL, serve_main, serve) == 0) {
                (void) pthread_setname_np(serve->threads[serve->n_threads], "bf-serve");
                serve->n_threads++;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool serve_is_here(const struct serve *serve) {
        return serve && serve_here == serve;
}

bool serve_is_of(const struct bf_fileh *fileh) {
        if (!serve_here || !fileh->is_served)
                return false;
        return fileh->serve == serve_here || (serve_here->name[0] && strcmp(fileh->name + strlen(SERVE_PREFIX), serve_here->name) == 0);
}

/* --- its life ----------------------------------------------------------------------------------------------------------------------------------- */

void serves_init(struct serves *serves) {
        *serves = (struct serves) { .all = LIST_HEAD_INITIALIZER(serves->all) };
        pthread_mutex_init(&serves->lock, NULL);
}

void serves_fini(struct serves *serves) {
        assert(LIST_EMPTY(&serves->all));
        pthread_mutex_destroy(&serves->lock);
}

static void serve_fill_message(const struct serve *serve, union wire_msg *msg) {
        wire_init(msg, WIRE_SERVE, 0);
        msg->serve.size = serve->blocks.size;
        msg->serve.block_size = serve->blocks.block_size;
        memcpy(msg->serve.name, serve->name, sizeof(serve->name));
}

/* On the keeper's thread: when that sees the end of the connection, the file is there for another daemon. */
static void serve_on_reply(struct call *call, int r) {
        struct serve *serve = call->owner;

        serve->r = r == 0 ? serve_take_reply(serve, &call->reply) : r;
        if (serve->r < 0)
                return;
        pthread_mutex_lock(&serve->serves->lock);
        LIST_INSERT_HEAD(&serve->serves->all, serve, entry);
        pthread_mutex_unlock(&serve->serves->lock);
}

static const char *serve_hint(int r) {
        switch (r) {
        case -EEXIST:
                return "a process of this user serves a file of that name";
        case -EUSERS:
                return "this user's processes serve as many files as they may together";
        default:
                return NULL;
        }
}

static int serve_ask_daemon(struct session *session, struct serve *serve) {
        struct call call = { .on_reply = serve_on_reply, .owner = serve };
        int r;

        serve_fill_message(serve, &call.msg);
        r = session_call(session, &call);
        chan_packet_close(&call.reply);
        return r < 0 ? r : serve->r;
}

static struct serve *serve_alloc(struct serves *serves, const struct serve_params *params) {
        struct serve *serve = calloc(1, sizeof(*serve));

        if (!serve)
                return NULL;
        serve->serves = serves;
        serve->n_threads_max = params->n_threads;
        serve->token = -1;
        serve_blocks_init(&serve->blocks, params->ops, params->file);
        serve->blocks.size = params->size;
        serve->blocks.block_size = params->block_size;
        memcpy(serve->name, params->name, strlen(params->name));
        pthread_mutex_init(&serve->lock, NULL);
        pthread_cond_init(&serve->changed, NULL);
        return serve;
}

int serve_new(struct session *session, struct serves *serves, const struct serve_params *params, struct serve **ret) {
        struct serve *serve = serve_alloc(serves, params);
        int r = -ENOMEM;

        if (serve)
                r = serve_ask_daemon(session, serve);
        if (r == 0) {
                pthread_mutex_lock(&serve->lock);
                serve_grow(serve);
                r = serve->n_threads > 0 ? 0 : -EAGAIN;
                pthread_mutex_unlock(&serve->lock);
                if (r < 0)
                        serve_stop(serve);
        }
        if (r < 0) {
                serve_free(serve, false);
                return errmsg_fail(r, serve_hint(r), "cannot serve the file \"%s\"", params->name);
        }
        *ret = serve;
        return 0;
}

/* The daemon sees that nothing comes any more, and closes its end: then it has no such file any more, and the name may be used at once. */
static void serve_hang_up(struct serve *serve) {
        pthread_mutex_lock(&serve->lock);
        serve->is_ending = true;
        if (serve->line)
                chan_end_sending(serve->line->socket);
        pthread_cond_broadcast(&serve->changed);
        pthread_mutex_unlock(&serve->lock);
}

void serve_stop(struct serve *serve) {
        if (serve->is_stopped)
                return;
        serve->is_stopped = true;
        pthread_mutex_lock(&serve->serves->lock);
        LIST_REMOVE(serve, entry);
        pthread_mutex_unlock(&serve->serves->lock);
        serve_hang_up(serve);
        for (unsigned i = 0; i < serve->n_threads; i++) /* none begins another one any more */
                (void) pthread_join(serve->threads[i], NULL);
        serve_line_unref(serve->line);
        serve->line = NULL;
}

void serve_free(struct serve *serve, bool is_released) {
        if (!serve)
                return;
        assert(!serve->line);
        if (is_released && serve->blocks.ops.release)
                serve->blocks.ops.release(serve->blocks.file);
        if (serve->token >= 0)
                close(serve->token);
        pthread_cond_destroy(&serve->changed);
        pthread_mutex_destroy(&serve->lock);
        serve_blocks_fini(&serve->blocks);
        free(serve);
}

int serve_token(const struct serve *serve) {
        return serve->token;
}

/* --- another daemon ----------------------------------------------------------------------------------------------------------------------------- */

/* 0: it came; the file is served, or refused for good. */
static int serve_again(struct serve *serve, const struct dial_line *line) {
        struct chan_packet reply;
        union wire_msg msg;
        int r;

        for (unsigned n_tries = 0; n_tries < BUSY_TRIES_MAX; n_tries++) {
                serve_fill_message(serve, &msg);
                r = dial_ask_packet(line, &msg, &serve->token, 1, &reply);
                if (r < 0)
                        return r;
                if (reply.msg.reply.error == 0)
                        (void) serve_take_reply(serve, &reply);
                chan_packet_close(&reply);
                if (reply.msg.reply.error != -EBUSY)
                        return 0;
                r = dial_pause(line, BUSY_PAUSE_MSEC);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* None goes meanwhile: who stops serving takes the lock. */
int serves_again(struct serves *serves, const struct dial_line *line) {
        struct serve *serve;
        int r = 0;

        pthread_mutex_lock(&serves->lock);
        LIST_FOREACH(serve, &serves->all, entry) {
                r = serve_again(serve, line);
                if (r < 0)
                        break;
        }
        pthread_mutex_unlock(&serves->lock);
        return r;
}
