/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_REQUEST_OPEN_H
#define BF_REQUEST_OPEN_H

/* OPEN and ADOPT: a fileh is made or joined, at once or when what it waits for is there. */

#include "request.h"

/* Each returns REQUEST_TAKEN, or what to answer. */
int request_open(struct pager *pager, struct request *request);
int request_adopt(struct pager *pager, struct request *request);

/* A peer is gone: what it asked and waits for is not done. The pager ends: nobody's is. */
void request_open_forget(struct pager *pager, uint64_t peer);
void request_open_forget_all(struct pager *pager);

#endif
