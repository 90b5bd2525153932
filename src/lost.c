/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <poll.h>
#include <sys/eventfd.h>

#include "lost.h"
#include "uffd.h"

/* Faults of one handle answered in one go, so that who keeps faulting keeps nobody else waiting. */
#define LOST_FAULTS_MAX 64

/*
 * Faults that the daemon had read and not answered are raised again by waking who waits. A daemon that has closed this connection but goes on may
 * have had a read of faults under way, which takes one more after that: hence again, after 10 ms, 20 ms and so on up to five seconds.
 */
#define LOST_WAKES_MAX 10
#define LOST_WAKE_FIRST_MSEC 10

/* A fault for which there is no mapping was raised in one that is being unmapped, by bf_munmap(), which wakes who waits there. */
static void lost_answer_fileh(struct bf_fileh *fileh) {
        uintptr_t address;

        pthread_mutex_lock(&fileh->lock);
        for (unsigned n = 0; n < LOST_FAULTS_MAX && uffd_read_fault(fileh->uffd, &address) > 0; n++)
                if (fileh_find_mapping(fileh, address))
                        uffd_refuse(fileh->uffd, address, fileh->page_size);
        pthread_mutex_unlock(&fileh->lock);
}

static void lost_wake_fileh(struct bf_fileh *fileh) {
        struct mapping *mapping;

        pthread_mutex_lock(&fileh->lock);
        LIST_FOREACH(mapping, &fileh->mappings, entry)
                uffd_wake(fileh->uffd, mapping->address, mapping->length);
        pthread_mutex_unlock(&fileh->lock);
}

/* Does all there is to do now, and names the descriptors to wait for; returns how many. */
static nfds_t lost_pass(struct handles *handles, bool wake) {
        struct bf_fileh *fileh;
        nfds_t n = 0;

        pthread_mutex_lock(&handles->lock);
        handles->polls[n++] = (struct pollfd) { .fd = handles->changed, .events = POLLIN };
        LIST_FOREACH(fileh, &handles->filehs, entry) {
                if (wake)
                        lost_wake_fileh(fileh);
                lost_answer_fileh(fileh);
                handles->polls[n++] = (struct pollfd) { .fd = fileh->uffd, .events = POLLIN };
        }
        pthread_mutex_unlock(&handles->lock);
        return n;
}

/* Nobody else looks at the descriptors named: one that is closed meanwhile is followed by handles_notify(). */
void lost_serve(struct handles *handles, struct session *session) {
        unsigned n_wakes = 0;
        bool wake = true;

        handles_lose(handles);
        while (!session_is_ending(session)) {
                nfds_t n = lost_pass(handles, wake);
                int timeout = n_wakes < LOST_WAKES_MAX ? LOST_WAKE_FIRST_MSEC << n_wakes : -1;
                eventfd_t value;

                wake = poll(handles->polls, n, timeout) == 0;
                n_wakes += wake;
                (void) eventfd_read(handles->changed, &value);
        }
}
