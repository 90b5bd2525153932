/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_REQUESTS_H
#define BF_REQUESTS_H

/* What clients ask of a pager, one function a message. The shape of the message is valid already (proto/wire.c); what its fields mean is judged
 * here. */

#include "request.h"

/* Answers it, now or later. */
void requests_handle(struct pager *pager, struct request *request);

#endif
