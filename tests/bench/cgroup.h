/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_CGROUP_H
#define BENCH_CGROUP_H

/* A memory cgroup with a limit, below the one that this process is in. Of the first version: where the kernel has the memory controller in the second one
 * alone, there is a reason. */

#include <stdint.h>

#include "reason.h"
#include "undo.h"

struct cgroup {
        char path[UNDO_PATH_MAX];
        char home[UNDO_PATH_MAX]; /* where this process is else */
        struct undo *undo_dir;
        struct undo *undo_enter; /* while this process is in it */
};

/* For so many bytes, with parts of that file among them. Where they are few the kernel may find nothing that it could take back, and kill: pages that are being read
 * ahead, with several windows under way, are none of those. 0; -ENOTSUP with a reason. */
int cgroup_init(struct cgroup *cgroup, uint64_t bytes, int fd, struct reason *reason);

/* No process is in it any more. */
void cgroup_fini(struct cgroup *cgroup);

/* Puts this process, and whatever it starts from then on, into it; and this process back. 0 or a negative errno. */
int cgroup_enter(struct cgroup *cgroup);
int cgroup_leave(struct cgroup *cgroup);

#endif
