/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FAULT_H
#define BF_FAULT_H

/* Page faults: read from the clients' userfaultfds, decided by the state table, answered at once or by the load they wait for. */

struct handle;

/* Begins to read the faults of a handle. */
void fault_listen(struct handle *handle);

#endif
