/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_OPENING_H
#define BF_OPENING_H

/*
 * The last steps of OPEN and ADOPT: what a new fileh needs that takes time, its spill file, the pages of an old one, and the last stores of one that a client left
 * behind, is waited for; then clients get their handles, whose faults are read from then on.
 */

#include "pager.h"

struct fileh;
struct handle;

/* A new fileh, not an adopted one: begins to make its spill file, if it is to have one, and to wait for stores of a closed one. */
void opening_begin(struct fileh *fileh);

/* Answers it as soon as the fileh is ready. A negative errno: nothing was answered, and the handle is closed. */
int opening_handle(struct handle *handle, const struct reply_to *to);

/* One of the things that fileh->n_awaited counts has ended; error: the fileh is not to be had, and all who wait are told so. */
void opening_ended(struct fileh *fileh, int error);

#endif
