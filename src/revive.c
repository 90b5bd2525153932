/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "errmsg.h"
#include "ledger_read.h"
#include "revive.h"

/* A daemon that goes on after it closed a connection may not be done with a handle yet: it is asked again so many times, after pauses of this length. */
#define BUSY_TRIES_MAX 100
#define BUSY_PAUSE_MSEC 10

static int revive_fail(const struct revive *revive, int r) {
        if (r == -ECANCELED)
                return errmsg_set(r, "this client ends");
        return errmsg_fail(r == -EPIPE ? -ENOTCONN : r, NULL, "cannot go on with %s", revive->dial->daemon);
}

/* Sends a request about a handle. 0: *ret_error is what the daemon said. */
static int revive_ask(struct revive *revive, union wire_msg *msg, uint32_t number, int *ret_error) {
        union wire_msg reply;
        int r;

        msg->handle.handle = number;
        r = dial_ask(&revive->line, msg, NULL, 0, &reply);
        if (r == 0)
                *ret_error = reply.reply.error;
        return r;
}

/* --- a handle ------------------------------------------------------------------------------------------------------------------------------------- */

static int revive_adopt_once(struct revive *revive, const struct bf_fileh *fileh, uint64_t size, union wire_msg *ret_reply) {
        int fds[WIRE_FDS_MAX] = { fileh->file, fileh->uffd, fileh->memory, fileh->ledger };
        unsigned n_fds = 4;
        union wire_msg msg;

        if (fileh->spill >= 0)
                fds[n_fds++] = fileh->spill;
        if (fileh->direct >= 0)
                fds[n_fds++] = fileh->direct;
        wire_init(&msg, WIRE_ADOPT, 0);
        msg.header.flags = fileh->open_flags;
        msg.open.size = size;
        msg.open.block_size = fileh->block_size;
        return dial_ask(&revive->line, &msg, fds, n_fds, ret_reply);
}

/* 0: *ret_number is the handle's with this daemon, or 0: it was refused. */
static int revive_adopt(struct revive *revive, struct bf_fileh *fileh, uint32_t *ret_number) {
        struct pollfd stop = { .fd = revive->stop, .events = POLLIN };
        union wire_msg reply;
        uint64_t size;
        int r;

        *ret_number = 0;
        if (ledger_read_size(fileh->ledger, &size) < 0)
                return 0;
        for (unsigned n_tries = 0; n_tries < BUSY_TRIES_MAX; n_tries++) {
                r = revive_adopt_once(revive, fileh, size, &reply);
                if (r < 0)
                        return r;
                if (reply.open_reply.error == 0)
                        *ret_number = reply.open_reply.handle;
                atomic_store(&fileh->refusal, reply.open_reply.error);
                if (reply.open_reply.error != -EBUSY || poll(&stop, 1, BUSY_PAUSE_MSEC) > 0)
                        return 0;
        }
        return 0;
}

static int revive_advise(struct revive *revive, struct bf_fileh *fileh, uint32_t number) {
        enum bf_advice advice = fileh_advice(fileh);
        union wire_msg msg;
        int error;

        if (advice == BF_ADVICE_NORMAL)
                return 0;
        wire_init(&msg, WIRE_ADVISE, 0);
        msg.range.advice = (uint32_t) advice;
        return revive_ask(revive, &msg, number, &error);
}

/* --- its mappings --------------------------------------------------------------------------------------------------------------------------------- */

static int revive_map(struct revive *revive, const struct mapping *mapping, uint32_t number, int *ret_error) {
        union wire_msg msg;

        wire_init(&msg, WIRE_MAP, 0);
        msg.map.address = (uintptr_t) mapping->address;
        msg.map.offset = mapping->offset;
        msg.map.length = mapping->length;
        return revive_ask(revive, &msg, number, ret_error);
}

/* 0: *ret_error is that of the first mapping refused, or 0. */
static int revive_map_all(struct revive *revive, struct bf_fileh *fileh, uint32_t number, int *ret_error) {
        struct mapping *mapping = NULL;
        int error = 0, r = 0;

        while (r == 0 && error == 0 && (mapping = fileh_next_mapping(fileh, mapping)))
                r = revive_map(revive, mapping, number, &error);
        if (r == 0)
                *ret_error = error;
        return r;
}

/* The daemon has no room for all of the handle: it is to know nothing of it. */
static int revive_give_back(struct revive *revive, struct bf_fileh *fileh, uint32_t number) {
        struct mapping *mapping = NULL;
        union wire_msg msg;
        int error, r = 0;

        while (r == 0 && (mapping = fileh_next_mapping(fileh, mapping))) {
                wire_init(&msg, WIRE_UNMAP, 0);
                msg.unmap.address = (uintptr_t) mapping->address;
                r = revive_ask(revive, &msg, number, &error);
        }
        if (r < 0)
                return r;
        wire_init(&msg, WIRE_CLOSE, 0);
        return revive_ask(revive, &msg, number, &error);
}

/* Faults that were answered with SIGBUS left poison in this process's page tables. What is in the memory stays there, and is shown again when it is touched. */
static void revive_take_away_poison(struct bf_fileh *fileh) {
        struct mapping *mapping;

        pthread_mutex_lock(&fileh->lock);
        LIST_FOREACH(mapping, &fileh->mappings, entry)
                (void) madvise(mapping->address, mapping->length, MADV_DONTNEED);
        pthread_mutex_unlock(&fileh->lock);
}

/* It has all that there is of this handle. */
static int revive_end(struct revive *revive, struct bf_fileh *fileh, uint32_t number) {
        union wire_msg msg;
        int error, r;

        r = revive_advise(revive, fileh, number);
        if (r < 0)
                return r;
        wire_init(&msg, WIRE_SHOWN, 0);
        return revive_ask(revive, &msg, number, &error);
}

/* --- all of them ---------------------------------------------------------------------------------------------------------------------------------- */

static int revive_fileh(struct revive *revive, struct bf_fileh *fileh) {
        uint32_t number;
        int error = 0, r;

        r = revive_adopt(revive, fileh, &number);
        if (r == 0 && number != 0)
                r = revive_map_all(revive, fileh, number, &error);
        if (r == 0 && error != 0) {
                r = revive_give_back(revive, fileh, number);
                number = 0;
        }
        if (r == 0 && number != 0)
                r = revive_end(revive, fileh, number);
        if (r < 0)
                return r;
        session_set_handle(revive->session, &fileh->number, number);
        if (number == 0)
                fileh_lose(fileh);
        else if (fileh_is_lost(fileh)) {
                fileh_regain(fileh);
                revive_take_away_poison(fileh);
        }
        return 0;
}

static int revive_filehs(struct revive *revive) {
        struct bf_fileh *fileh = NULL;
        int r = 0;

        handles_forget_numbers(revive->handles);
        r = serves_again(revive->serves, &revive->line);
        while (r == 0 && (fileh = handles_next(revive->handles, fileh)))
                r = revive_fileh(revive, fileh);
        return r < 0 ? revive_fail(revive, r) : 0;
}

int revive_run(struct revive *revive) {
        int r;

        r = dial_again(revive->dial, &revive->line.socket);
        if (r < 0)
                return r;
        revive->line.stop = revive->stop;
        r = dial_hello(revive->dial, &revive->line, revive->until);
        if (r == 0) {
                session_set_state(revive->session, SESSION_REVIVING);
                r = revive_filehs(revive);
        }
        if (r < 0) {
                close(revive->line.socket);
                return r;
        }
        handles_regain(revive->handles);
        lost_begin(revive->lost);
        session_resume(revive->session, revive->line.socket);
        return 0;
}
