/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_STATUS_H
#define BF_STATUS_H

/*
 * A line on how the daemon is, which a supervisor shows. It is told again after something has happened, at most once a second, and if it says something else
 * then; a daemon with nothing to do is not woken for it. Without a supervisor nothing is done at all.
 */

#include <stdint.h>

struct commons;
struct loop;
struct status;

int status_new(struct loop *loop, const struct commons *commons, struct status **ret);
void status_free(struct status *status);

/* Something has happened that the line may tell of. NULL is fine. */
void status_changed(struct status *status);

/* Tells it now, if it says something else than before. */
void status_refresh(struct status *status);

#endif
