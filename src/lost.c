/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <sys/eventfd.h>

#include "lost.h"
#include "msec.h"
#include "mutant.h"
#include "uffd.h"

/* Faults of one handle answered in one go, so that who keeps faulting keeps nobody else waiting. */
#define LOST_FAULTS_MAX 64

/*
 * Faults that the daemon had read and not answered are raised again by waking who waits. A daemon that has closed this connection but goes on may
 * have had a read of faults under way, which takes one more after that: hence again, after 10 ms, 20 ms and so on up to five seconds.
 */
#define LOST_WAKES_MAX 11
#define LOST_WAKE_FIRST_MSEC 10

/* Where there is no memory to wait for each handle's faults, they are looked for so often. */
#define LOST_PAUSE_MSEC 10

void lost_init(struct lost *lost, struct handles *handles) {
        *lost = (struct lost) { .handles = handles, .next_wake = MSEC_NEVER };
}

void lost_fini(struct lost *lost) {
        free(lost->polls);
}

void lost_begin(struct lost *lost) {
        lost->n_wakes = LOST_WAKES_MAX;
        lost->next_wake = msec_now();
}

/* A fault for which there is no mapping was raised in one that is being unmapped, by bf_munmap(), which wakes who waits there. */
static bool lost_answer_fileh(struct bf_fileh *fileh) {
        uintptr_t address;
        bool is_lost;

        pthread_mutex_lock(&fileh->lock);
        is_lost = fileh->is_lost && fileh->is_open;
        for (unsigned n = 0; is_lost && n < LOST_FAULTS_MAX && uffd_read_fault(fileh->uffd, &address) > 0; n++)
                if (fileh_find_mapping(fileh, address))
                        uffd_refuse(fileh->uffd, address, fileh->page_size);
        pthread_mutex_unlock(&fileh->lock);
        return is_lost;
}

static void lost_wake_fileh(struct bf_fileh *fileh) {
        struct mapping *mapping;

        pthread_mutex_lock(&fileh->lock);
        LIST_FOREACH(mapping, &fileh->mappings, entry)
                if (BF_MUTANT != MUTANT_NO_WAKE)
                        uffd_wake(fileh->uffd, mapping->address, mapping->length);
        pthread_mutex_unlock(&fileh->lock);
}

/* Whether it is time to wake who waits, once more. */
static bool lost_wakes_now(struct lost *lost) {
        if (lost->next_wake == MSEC_NEVER || msec_until(lost->next_wake) > 0)
                return false;
        lost->next_wake = --lost->n_wakes == 0 ? MSEC_NEVER : msec_now() + (LOST_WAKE_FIRST_MSEC << (LOST_WAKES_MAX - 1 - lost->n_wakes));
        return true;
}

bool lost_look(struct lost *lost) {
        struct handles *handles = lost->handles;
        bool wakes = lost_wakes_now(lost);
        struct bf_fileh *fileh;

        pthread_mutex_lock(&handles->lock);
        lost->n_lost = 0;
        LIST_FOREACH(fileh, &handles->filehs, entry) {
                if (wakes)
                        lost_wake_fileh(fileh);
                lost->n_lost += lost_answer_fileh(fileh);
        }
        pthread_mutex_unlock(&handles->lock);
        return lost->n_lost > 0 || lost->next_wake != MSEC_NEVER;
}

/* Room to wait for n descriptors; false: there is none. */
static bool lost_has_room(struct lost *lost, size_t n) {
        struct pollfd *polls;

        if (n <= lost->n_polls_max)
                return true;
        polls = reallocarray(lost->polls, n, sizeof(*polls));
        if (!polls)
                return false;
        lost->polls = polls;
        lost->n_polls_max = n;
        return true;
}

static nfds_t lost_name_filehs(const struct lost *lost, nfds_t n) {
        struct handles *handles = lost->handles;
        struct bf_fileh *fileh;

        pthread_mutex_lock(&handles->lock);
        LIST_FOREACH(fileh, &handles->filehs, entry)
                if (n < lost->n_polls_max && fileh_is_lost(fileh))
                        lost->polls[n++] = (struct pollfd) { .fd = fileh->uffd, .events = POLLIN };
        pthread_mutex_unlock(&handles->lock);
        return n;
}

/* Nobody else looks at the descriptors named: one that is closed meanwhile is followed by handles_notify(). */
void lost_sleep(struct lost *lost, const int *fds, unsigned n_fds, int64_t until) {
        struct pollfd few[LOST_FDS_MAX + 1] = { { .fd = lost->handles->changed, .events = POLLIN } };
        bool has_room = lost->n_lost == 0 || lost_has_room(lost, n_fds + 1 + lost->n_lost);
        struct pollfd *polls = few;
        nfds_t n = n_fds + 1;
        eventfd_t value;

        for (unsigned i = 0; i < n_fds; i++)
                few[i + 1] = (struct pollfd) { .fd = fds[i], .events = POLLIN };
        if (!has_room)
                until = msec_now() + LOST_PAUSE_MSEC;
        else if (lost->n_lost > 0) {
                for (nfds_t i = 0; i < n; i++)
                        lost->polls[i] = few[i];
                polls = lost->polls;
                n = lost_name_filehs(lost, n);
        }
        if (lost->next_wake < until)
                until = lost->next_wake;
        (void) poll(polls, n, msec_until(until));
        (void) eventfd_read(lost->handles->changed, &value);
}
