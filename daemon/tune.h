/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TUNE_H
#define BF_TUNE_H

/* A running pager gets other settings. The size of the pool and the limits of users are shared (pool_resize(), accounts_set_limits()). */

struct pager;
struct pager_options;

/*
 * Takes over the times and sizes; not where the spill files are. Nobody loses anything: who has more than he may now keeps it. Who waits already waits as
 * long as he was to, and whoever comes behind him may have to wait as long as he.
 */
void tune_pager(struct pager *pager, const struct pager_options *options);

#endif
