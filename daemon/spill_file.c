/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "memory.h"
#include "spill_file.h"
#include "store_file.h"

#define SPILL_FILE_PARTS 32768u
#define SPILL_FILE_PART_SHIFT_MIN 20

/* With O_EXCL nobody can give it a name. */
#define SPILL_FILE_FLAGS (O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC)
#define SPILL_FILE_MODE 0600

int spill_file_try(int dir_fd) {
        int fd = openat(dir_fd, ".", SPILL_FILE_FLAGS, SPILL_FILE_MODE);

        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

void spill_file_create(struct ring *ring, struct ring_op *op, int dir_fd) {
        ring_open(ring, op, dir_fd, ".", SPILL_FILE_FLAGS, SPILL_FILE_MODE);
}

/* What the kernel knows of it: a client may bring another file, and its server may not answer. */
static int spill_file_stat(int fd, struct statx *ret) {
        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_UID | STATX_NLINK | STATX_INO | STATX_SIZE, ret) < 0)
                return -errno;
        return S_ISREG(ret->stx_mode) && ret->stx_uid == geteuid() && ret->stx_nlink == 0 ? 0 : -EINVAL;
}

static dev_t spill_file_device(const struct statx *st) {
        return makedev(st->stx_dev_major, st->stx_dev_minor);
}

int spill_file_init(struct spill_file *file, struct ring *ring, int fd, uint64_t size) {
        struct store *store;
        struct statx st;
        int r;

        r = spill_file_stat(fd, &st);
        if (r < 0)
                return r;
        r = store_file_new(ring, NULL, &(struct store_fds) { .fd = fd, .direct_fd = -1 }, true, &store);
        if (r < 0)
                return r;
        *file = (struct spill_file) { .store = store, .ring = ring, .fd = fd, .device = spill_file_device(&st), .inode = st.stx_ino };
        file->part_shift = SPILL_FILE_PART_SHIFT_MIN;
        while (size >> file->part_shift > SPILL_FILE_PARTS)
                file->part_shift++;
        return 0;
}

/* What was written to is not known: all of it. */
int spill_file_adopt(struct spill_file *file, struct ring *ring, const struct spill_file_origin *origin, uint64_t size) {
        struct statx st;
        int copy, r;

        r = spill_file_stat(origin->fd, &st);
        if (r < 0)
                return r;
        if (spill_file_device(&st) != origin->device || st.stx_ino != origin->inode)
                return -EINVAL;
        r = memory_reopen(origin->fd, O_RDWR, &copy);
        if (r < 0)
                return r;
        r = spill_file_init(file, ring, copy, size);
        if (r < 0) {
                close(copy);
                return r;
        }
        r = st.stx_size > 0 ? spill_file_mark(file, 0, st.stx_size) : 0;
        if (r < 0)
                spill_file_fini(file);
        return r;
}

bool spill_file_is_there(const struct spill_file *file) {
        return file->store;
}

void spill_file_fini(struct spill_file *file) {
        if (!file->store)
                return;
        store_free(file->store);
        free(file->parts);
        *file = (struct spill_file) { .fd = -1 };
}

int spill_file_open(const struct spill_file *file, int *ret_fd) {
        return memory_reopen(file->fd, O_RDONLY, ret_fd);
}

int64_t spill_file_look(struct spill_file *file) {
        uint64_t before = file->n_bytes;
        struct stat st;

        if (fstat(file->fd, &st) == 0)
                file->n_bytes = (uint64_t) st.st_blocks * 512;
        return (int64_t) (file->n_bytes - before);
}

static uint64_t spill_file_part(const struct spill_file *file, uint64_t offset) {
        uint64_t part = offset >> file->part_shift;

        return part < SPILL_FILE_PARTS ? part : SPILL_FILE_PARTS - 1;
}

int spill_file_mark(struct spill_file *file, uint64_t begin, uint64_t end) {
        if (!file->parts)
                file->parts = calloc(SPILL_FILE_PARTS / 64, sizeof(uint64_t));
        if (!file->parts)
                return -ENOMEM;
        for (uint64_t part = spill_file_part(file, begin); part <= spill_file_part(file, end - 1); part++)
                file->parts[part / 64] |= UINT64_C(1) << part % 64;
        if (end > file->end)
                file->end = end;
        return 0;
}

bool spill_file_next_marked(const struct spill_file *file, uint64_t offset, uint64_t *ret_begin, uint64_t *ret_end) {
        uint64_t part = spill_file_part(file, offset), begin;

        while (file->parts && part < SPILL_FILE_PARTS && !(file->parts[part / 64] >> part % 64 & 1))
                part++;
        begin = part << file->part_shift;
        if (!file->parts || part == SPILL_FILE_PARTS || begin >= file->end || offset >= file->end)
                return false;
        *ret_begin = offset > begin ? offset : begin;
        *ret_end = part == SPILL_FILE_PARTS - 1 || (part + 1) << file->part_shift > file->end ? file->end : (part + 1) << file->part_shift;
        return true;
}

void spill_file_unmark(struct spill_file *file, uint64_t begin) {
        uint64_t part = spill_file_part(file, begin);

        file->parts[part / 64] &= ~(UINT64_C(1) << part % 64);
}
