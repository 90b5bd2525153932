/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SETTLE_H
#define BF_SETTLE_H

/* What the options leave open, as this host has it. */

struct options;

/* The limits of users, of the descriptors that this process may have. */
void settle_limits(struct options *options);

/* Says what will go wrong with what was asked for, as the host is. */
void settle_warn(const struct options *options);

/* How much may be spilled, where pager.spill_dir_fd is. */
void settle_spill(struct options *options);

#endif
