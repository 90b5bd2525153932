/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_CREW_H
#define BF_CREW_H

/*
 * The pagers of the daemon: started as they are needed, and who is served by which. A user has some of his own, so that nobody waits for what another user's
 * processes hold up: their address spaces, the locks of their memory. Only when all there may be are in use do users share. One thread uses a crew.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "commons.h"
#include "outbox.h"
#include "pager_thread.h"

struct crew;

/* Starts those of the first user. n_per_user: how many a user gets, one for a handle as long as there are fewer. commons is borrowed. */
int crew_new(struct commons *commons, const struct pager_options *options, unsigned n_per_user, struct crew **ret);

/* Closes everything, waits a while for what is under way, and ends them. False: something hangs, and the process must end with _exit(). */
bool crew_free(struct crew *crew);

/* The pager for one more handle of a user. */
unsigned crew_choose(struct crew *crew, uid_t uid);

/* For a file that a process of his serves. Handles on it come to the same one, and several may be served before any is opened: not all by one. */
unsigned crew_choose_to_serve(struct crew *crew, uid_t uid);

/* That one, if it is the user's, or nobody's and he may have one more; else as crew_choose(). */
unsigned crew_choose_beside(struct crew *crew, uid_t uid, unsigned pager);

/* He has got it; or has one less. */
void crew_count(struct crew *crew, unsigned pager, int change);

/* A pager that serves the user, or could. */
struct pager_thread *crew_any(struct crew *crew, uid_t uid);

/* NULL: there is no such pager. */
struct pager_thread *crew_thread(struct crew *crew, unsigned pager);

/* All of them, and those that are started later, get other settings (tune.h). -ENOMEM: some may not have heard. */
int crew_tune(struct crew *crew, const struct pager_options *options);

/* How those fare that were asked for a sign of life by the last crew_look(), which asks anew. */
struct crew_look {
        unsigned n_held; /* wait in the kernel for what a client holds: they cannot be helped, and serve none but his user */
        unsigned n_late; /* hang for another reason */
};

void crew_look(struct crew *crew, struct crew_look *ret_look);

/* How many wait in the kernel just now. */
unsigned crew_count_held(const struct crew *crew);

/* Where their replies come out. */
struct outbox *crew_outbox(struct crew *crew);

#endif
