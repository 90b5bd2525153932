/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_WATCH_H
#define BF_WATCH_H

/*
 * The supervisor's watchdog, if it has set one: it hears from the daemon only as long as the main loop and every pager go on with their work. One that hangs
 * is killed by it, and clients go on with the next one. A pager that waits in the kernel, for a lock that a client holds, is no reason: it serves that
 * client's user alone, others have pagers of their own, and no signal would end it.
 */

struct crew;
struct loop;
struct status;
struct watch;

/* *ret is NULL if nobody watches. Everything is borrowed. status is refreshed whenever the daemon is heard. */
int watch_new(struct loop *loop, struct crew *crew, struct status *status, struct watch **ret);
void watch_free(struct watch *watch);

#endif
