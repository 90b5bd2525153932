/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PAGER_THREAD_H
#define BF_PAGER_THREAD_H

/* The thread that runs a pager, and what other threads ask of it: requests go in, replies come out (outbox.h). Descriptors go with them. */

#include <stdbool.h>
#include <stdint.h>

#include "outbox.h"
#include "pager.h"
#include "request.h"

struct pager_thread;

/* The pagers of a daemon stand in a ring: what one cannot do alone it passes on to the next. */
struct pager_thread_params {
        struct commons *commons; /* these two are borrowed */
        struct outbox *outbox;
        unsigned index;
        struct pager_options options;
        struct pager_thread *const *threads; /* all of them, commons->n_pagers */
};

int pager_thread_new(const struct pager_thread_params *params, struct pager_thread **ret);

/* Begins to close everything. It waits a while for what is under way. */
void pager_thread_end(struct pager_thread *thread);

/* Waits until it has ended. False: something hangs, and the process must end with _exit(). */
bool pager_thread_join(struct pager_thread *thread);

/* Once all have ended: until then they may poke each other. */
void pager_thread_free(struct pager_thread *thread);

/* Each request is answered by one reply. Takes the request's descriptors and its route if it succeeds. -ENOMEM. */
int pager_thread_request(struct pager_thread *thread, const struct request *request);

/* Closes descriptors that clients sent, which it takes: this thread must not wait for them (ring_close()). */
void pager_thread_close(struct pager_thread *thread, const int *fds, unsigned n_fds);

/* From now on these hold (tune.h). -ENOMEM. */
int pager_thread_tune(struct pager_thread *thread, const struct pager_options *options);

/* Has the thread look whether something came in, and says how often it had done so before: for who wants to know whether it still does. */
unsigned pager_thread_poke(struct pager_thread *thread);

/* Does it wait for something in the kernel, such as a lock that a client holds, where no signal reaches it? */
bool pager_thread_is_in_kernel(const struct pager_thread *thread);

/* A peer is gone: its handles are closed. What that needs was allocated when the peer came. */
struct pager_farewell;
struct pager_farewell *pager_farewell_new(void);
void pager_farewell_free(struct pager_farewell *farewell);
void pager_thread_farewell(struct pager_thread *thread, struct pager_farewell *farewell, uint64_t peer); /* takes it */

#endif
