/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* It knows files, nothing of who uses them. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tempfile.h"
#include "watchdog.h"

/* The directory of this test program; those that tests ask for are in it. */
static char base[64];

static int make_base(void) {
        const char *parent = getenv("TMPDIR");
        char path[sizeof(base)];

        if (base[0])
                return 0;
        snprintf(path, sizeof(path), "%.40s/bftest-XXXXXX", parent ? parent : "/tmp");
        if (!mkdtemp(path) || chmod(path, 0755) < 0)
                return -errno;
        memcpy(base, path, sizeof(base));
        watchdog_at_end_remove(base);
        return 0;
}

int tempfile_dir(char *ret_path, size_t size) {
        static unsigned count;
        char path[80];
        int r;

        r = make_base();
        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "%s/%u", base, count++);
        if (strlen(path) >= size)
                return -ENAMETOOLONG;
        if (mkdir(path, 0755) < 0)
                return -errno;
        strcpy(ret_path, path);
        return 0;
}

static int write_all(int fd, const void *bytes, size_t n, uint64_t offset) {
        for (size_t done = 0; done < n;) {
                ssize_t k = pwrite(fd, (const char *) bytes + done, n - done, (off_t) (offset + done));

                if (k < 0)
                        return -errno;
                done += (size_t) k;
        }
        return 0;
}

static int close_file(int fd, int r) {
        if (close(fd) < 0 && r == 0)
                return -errno;
        return r;
}

int tempfile_make_identity(const char *path, uint64_t n_blocks, uint64_t block_size) {
        uint64_t *block;
        int fd, r = 0;

        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        block = malloc(block_size);
        if (!block)
                return close_file(fd, -ENOMEM);
        for (uint64_t b = 0; b < n_blocks && r == 0; b++) {
                for (uint64_t i = 0; i < block_size / sizeof(*block); i++)
                        block[i] = b;
                r = write_all(fd, block, block_size, b * block_size);
        }
        free(block);
        return close_file(fd, r);
}

int tempfile_make_sparse(const char *path, uint64_t size) {
        int fd;

        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        return close_file(fd, ftruncate(fd, (off_t) size) < 0 ? -errno : 0);
}

int tempfile_read(const char *path, uint64_t offset, void *ret_bytes, size_t n) {
        int fd, r = 0;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        for (size_t done = 0; done < n && r == 0;) {
                ssize_t k = pread(fd, (char *) ret_bytes + done, n - done, (off_t) (offset + done));

                if (k > 0)
                        done += (size_t) k;
                else
                        r = k < 0 ? -errno : -ENODATA;
        }
        return close_file(fd, r);
}

int tempfile_write(const char *path, uint64_t offset, const void *bytes, size_t n) {
        int fd;

        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return close_file(fd, write_all(fd, bytes, n, offset));
}
