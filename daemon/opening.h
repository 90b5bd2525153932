/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_OPENING_H
#define BF_OPENING_H

/* The last step of OPEN and ADOPT: the client gets its handle, and the handle's faults are read from then on. */

#include "pager.h"

struct handle;

/* On failure nothing was answered. */
int opening_answer(struct handle *handle, const struct reply_to *to);

#endif
