/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_NBDDISK_H
#define BF_TEST_NBDDISK_H

/*
 * A disk that fails on demand: nbdkit serves an image to nbdfuse, which shows it as one file. What heldfs does for single
 * requests of known blocks, this does with a real block server: errors of the N-th request, of whatever kind, and all that nbdkit's filters can do.
 */

#include <stdint.h>

struct nbddisk;

/*
 * The image, named "image" in the folder that nbdkit runs in, has this many blocks of 4096 bytes, identity (tempfile.h). args are those of nbdkit that say
 * what it serves, up to NULL; args NULL: the image, with requests that are counted and fail as nbddisk_fail() says.
 * To be called before the calling process has threads. 0; -ENODEV no /dev/fuse or nbdfuse here; -EPERM this process may not mount; -ECHILD it
 * ended instead (what it printed is shown); another negative errno.
 */
int nbddisk_start(struct nbddisk **ret, uint64_t n_blocks, const char *const *args);

/* Ends it; requests that it has not answered fail. NULL is fine. */
void nbddisk_stop(struct nbddisk *disk);

/* Where the file is, for open(2), with O_DIRECT where each access is to come here, as the kernel caches it otherwise; and the image behind it. */
const char *nbddisk_path(const struct nbddisk *disk);
const char *nbddisk_image(const struct nbddisk *disk);

/* Requests are "pread", "pwrite", "flush", or "any". From now on counted anew, the first-th to last-th (from 1 on) fail with this error, such as "EIO". */
void nbddisk_fail(struct nbddisk *disk, const char *op, unsigned first, unsigned last, const char *error);

/* None fails any more; counts go on. */
void nbddisk_heal(struct nbddisk *disk);

/* How many came since nbddisk_fail(). */
unsigned nbddisk_count(struct nbddisk *disk, const char *op);

/* For --filter=pause: the answers to all requests that came before are given, and no others, until it goes on. */
#define NBDDISK_PAUSE "pause-control=pause"
void nbddisk_pause(struct nbddisk *disk);
void nbddisk_go_on(struct nbddisk *disk);

/* For --filter=error: whether it fails requests. */
#define NBDDISK_TRIGGER "error-file=trigger"
void nbddisk_trigger(struct nbddisk *disk, int fails);

#endif
