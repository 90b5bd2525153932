/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "known.h"
#include "progress.h"

#define KNOWN_CHUNK_WORDS (UINT64_C(1) << 17)

static int known_write(int fd, const void *bytes, uint64_t n) {
        for (uint64_t done = 0; done < n;) {
                ssize_t r = write(fd, (const char *) bytes + done, n - done);

                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return -errno;
                done += (uint64_t) r;
        }
        return 0;
}

static int known_fill(int fd, uint64_t size) {
        static uint64_t words[KNOWN_CHUNK_WORDS];
        int r;

        progress_begin(size);
        for (uint64_t offset = 0; offset < size; offset += sizeof(words)) {
                uint64_t n = size - offset < sizeof(words) ? size - offset : sizeof(words);

                for (uint64_t i = 0; i < KNOWN_CHUNK_WORDS; i++)
                        words[i] = (offset / sizeof(uint64_t) + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
                r = known_write(fd, words, n);
                if (r < 0)
                        return r;
                progress_update(offset + n);
        }
        progress_clear();
        return 0;
}

int known_make(const char *path, uint64_t size) {
        int fd, r;

        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = known_fill(fd, size);
        if (close(fd) < 0 && r == 0)
                r = -errno;
        if (r < 0)
                unlink(path);
        return r;
}
