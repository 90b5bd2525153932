/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "memory.h"

#define MEMORY_NAME "bigfiled"
#define MEMORY_HUGE_PAGES_FREE "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

static uint64_t memory_n_huge_pages_free(void) {
        unsigned long n = 0;
        FILE *f = fopen(MEMORY_HUGE_PAGES_FREE, "re");

        if (!f)
                return 0;
        if (fscanf(f, "%lu", &n) != 1)
                n = 0;
        fclose(f);
        return n;
}

uint64_t memory_n_missing(const struct memory *memory, uint64_t bytes) {
        uint64_t page_size = memory_page_size(memory), n_wanted = (bytes + page_size - 1) / page_size, n_free = memory->huge ? memory_n_huge_pages_free() : n_wanted;

        return n_free < n_wanted ? n_wanted - n_free : 0;
}

/* Sealed against shrinking, so that nobody can make another's touch SIGBUS; and private to its owner, or another uid that holds a read-only
 * descriptor could reopen it for writing. */
static int memory_prepare(int fd, uint64_t size) {
        if (ftruncate(fd, (off_t) size) < 0 || fchmod(fd, 0600) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
                return -errno;
        return 0;
}

int memory_init(struct memory *memory, uint64_t size, bool huge) {
        int fd, r;

        if (huge && memory_n_huge_pages_free() == 0) /* opening a handle would succeed, and every touch of it fail */
                return -ENOMEM;
        fd = memfd_create(MEMORY_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0u));
        if (fd < 0)
                return -errno;
        r = memory_prepare(fd, size);
        if (r < 0) {
                close(fd);
                return r;
        }
        *memory = (struct memory) { .fd = fd, .huge = huge };
        return 0;
}

int memory_adopt(struct memory *memory, int fd, uint64_t size, bool huge) {
        struct statfs fs;
        int copy, r;

        r = memory_reopen_own(fd, MEMORY_NAME, size, &copy);
        if (r < 0)
                return r;
        if (fstatfs(copy, &fs) < 0 || huge != (fs.f_type == HUGETLBFS_MAGIC)) {
                close(copy);
                return -EINVAL;
        }
        *memory = (struct memory) { .fd = copy, .huge = huge };
        return 0;
}

int memory_inode(const struct memory *memory, uint64_t *ret) {
        struct stat st;

        if (fstat(memory->fd, &st) < 0)
                return -errno;
        *ret = st.st_ino;
        return 0;
}

/* hugetlbfs tells no holes. */
static int memory_next_of_huge(const struct memory *memory, uint64_t offset, uint64_t *ret_begin, uint64_t *ret_end) {
        struct stat st;

        if (fstat(memory->fd, &st) < 0)
                return -errno;
        if (offset >= (uint64_t) st.st_size)
                return -ENXIO;
        *ret_begin = offset;
        *ret_end = (uint64_t) st.st_size;
        return 0;
}

int memory_next_data(const struct memory *memory, uint64_t offset, uint64_t *ret_begin, uint64_t *ret_end) {
        off_t begin, end;

        if (memory->huge)
                return memory_next_of_huge(memory, offset, ret_begin, ret_end);
        begin = lseek(memory->fd, (off_t) offset, SEEK_DATA);
        if (begin < 0)
                return -errno;
        end = lseek(memory->fd, begin, SEEK_HOLE);
        if (end < 0)
                return -errno;
        *ret_begin = (uint64_t) begin;
        *ret_end = (uint64_t) end;
        return 0;
}

/* One call for what is asked most often, of pages here and there: what is in RAM from there on ends where it begins, if it is not in RAM. */
bool memory_has_data(const struct memory *memory, uint64_t begin, uint64_t end, struct memory_data *known) {
        off_t hole;

        if (begin >= known->begin && end <= known->end)
                return true;
        hole = memory->huge ? (off_t) end : lseek(memory->fd, (off_t) begin, SEEK_HOLE); /* hugetlbfs tells no holes */
        *known = (struct memory_data) { begin, hole < 0 ? begin : (uint64_t) hole };
        return end <= known->end;
}

void memory_fini(struct memory *memory) {
        if (memory->fd >= 0)
                close(memory->fd);
        memory->fd = -1;
}

uint64_t memory_page_size(const struct memory *memory) {
        return memory->huge ? UINT64_C(2) << 20 : UINT64_C(4096);
}

int memory_grow(struct memory *memory, uint64_t size) {
        return ftruncate(memory->fd, (off_t) size) < 0 ? -errno : 0;
}

int memory_reopen(int fd, int flags, int *ret_fd) {
        char path[64];
        int copy;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        copy = open(path, flags | O_CLOEXEC);
        if (copy < 0)
                return -errno;
        *ret_fd = copy;
        return 0;
}

int memory_reopen_readonly(int fd, int *ret_fd) {
        return memory_reopen(fd, O_RDONLY, ret_fd);
}

static bool memory_has_name(int fd, const char *name) {
        char path[64], expected[64], target[64];
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        snprintf(expected, sizeof(expected), "/memfd:%s (deleted)", name);
        n = readlink(path, target, sizeof(target));
        return n == (ssize_t) strlen(expected) && memcmp(target, expected, (size_t) n) == 0;
}

/* Only the kernel's own files in memory have seals. Any other file may be served by a process of the client's, which can say of it what it likes, or nothing
 * for ever. */
static bool memory_is_sealed(int fd) {
        int seals = fcntl(fd, F_GET_SEALS);

        return seals >= 0 && seals & F_SEAL_SHRINK;
}

/* Nobody but a daemon of this user can have made such a file: its owner is not what a client can choose. That it is a file of the kernel's is asked
 * first. */
int memory_reopen_own(int fd, const char *name, uint64_t size, int *ret_fd) {
        struct stat st;

        if (!memory_is_sealed(fd) || !memory_has_name(fd, name))
                return -EINVAL;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (uint64_t) st.st_size < size)
                return -EINVAL;
        return memory_reopen(fd, O_RDWR, ret_fd);
}

int memory_open(const struct memory *memory, bool readonly, int *ret_fd) {
        int copy;

        if (readonly)
                return memory_reopen_readonly(memory->fd, ret_fd);
        copy = fcntl(memory->fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0)
                return -errno;
        *ret_fd = copy;
        return 0;
}

int memory_open_anew(const struct memory *memory, bool readonly, int *ret_fd) {
        return memory_reopen(memory->fd, readonly ? O_RDONLY : O_RDWR, ret_fd);
}

int memory_punch(struct memory *memory, uint64_t offset, uint64_t length) {
        int r;

        do
                r = fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) offset, (off_t) length);
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : 0;
}

int memory_read(struct memory *memory, uint64_t offset, void *buf, size_t length) {
        for (size_t done = 0; done < length;) {
                ssize_t n = pread(memory->fd, (char *) buf + done, length - done, (off_t) (offset + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                done += (size_t) n;
        }
        return 0;
}

/* hugetlbfs has no write(2). The range lies in one page. */
static int memory_write_huge(struct memory *memory, uint64_t offset, const void *buf, size_t length) {
        uint64_t page_size = memory_page_size(memory), begin = offset & ~(page_size - 1);
        char *window = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, (off_t) begin);

        if (window == MAP_FAILED)
                return -errno;
        memcpy(window + (offset - begin), buf, length);
        munmap(window, page_size);
        return 0;
}

int memory_write(struct memory *memory, uint64_t offset, const void *buf, size_t length) {
        if (memory->huge)
                return memory_write_huge(memory, offset, buf, length);
        for (size_t done = 0; done < length;) {
                ssize_t n = pwrite(memory->fd, (const char *) buf + done, length - done, (off_t) (offset + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                done += (size_t) n;
        }
        return 0;
}
