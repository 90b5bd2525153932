/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_REMAP_H
#define BF_REMAP_H

/*
 * mremap(2) by a client: what the daemon knows of its mappings follows the move, so that the pages go on to be served, and to be protected while they
 * are stored, where they are now. A mapping may end up in pieces, which need not be whole blocks; a block that is torn apart is not served any more.
 */

#include "handle.h"
#include "uffd.h"

/* The mapping goes, and nobody waits through it any more. */
void remap_remove(struct handle *handle, struct mapping *mapping);

/* Takes the move over into the handle's mappings. -ENOMEM, or -E2BIG: there are too many pieces; then the daemon does not know where the client's pages are. */
int remap_follow(struct handle *handle, const struct uffd_move *move);

/* The mapping, or some piece of it, that its client knows by this address; or NULL. */
struct mapping *remap_find_shown(const struct handle *handle, uint64_t address);

#endif
