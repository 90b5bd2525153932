/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_VIEW_H
#define BF_VIEW_H

/*
 * Windows onto files whose content is in the page cache, so that it can be copied from there without being read first. A window is opened where much is wanted, and
 * most of it is in the page cache; what is not, or is on its way there still, is not shown. That is looked at again from time to time. Should the kernel have dropped some of it
 * since, copying waits for the disk: then views are not trusted for a while. One thread uses a set of them.
 */

#include <stdbool.h>
#include <stdint.h>

struct views;

/* NULL: no memory, no addresses, or no /proc; then there are none. */
struct views *views_new(void);
void views_free(struct views *views);

/* The content of the file from offset on, all of it inside the file, in RAM and mapped: good until something else is asked. NULL: it is to be read. views may be NULL. */
const void *views_get(struct views *views, int fd, uint64_t offset, uint64_t length);

/* The copying of what was got last has ended. was_there: it could be had there; else the file has become shorter. */
void views_used(struct views *views, bool was_there);

/* The descriptor is about to be closed. */
void views_forget(struct views *views, int fd);

#endif
