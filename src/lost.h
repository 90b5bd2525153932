/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LOST_H
#define BF_LOST_H

/* What happens to a client's memory when its daemon is gone: every fault is answered with SIGBUS, so that no thread waits for ever, or reads what the
 * file never held. */

#include "fileh.h"

/* Answers faults until the session ends from this side. On the keeper's thread, when the connection has ended. */
void lost_serve(struct handles *handles, struct session *session);

#endif
