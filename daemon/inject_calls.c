/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Calls of the daemon to the C library, the kernel and liburing that can be made to fail. The linker puts these in the place of the real ones
 * (daemon/meson.build lists them), so the code that calls them knows nothing of it.
 */

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inject.h"
#include "uffd_abi.h"

#define CALLS_REPLACED(type, function, ...)    \
        type __real_##function(__VA_ARGS__); \
        type __wrap_##function(__VA_ARGS__); \
        type __wrap_##function(__VA_ARGS__)

/* True: the call is to fail, and errno says why. */
static bool calls_fails(enum inject_point point) {
        int r = inject_error(point);

        if (r < 0)
                errno = -r;
        return r < 0;
}

CALLS_REPLACED(void *, malloc, size_t size) {
        return calls_fails(INJECT_MALLOC) ? NULL : __real_malloc(size);
}

CALLS_REPLACED(void *, calloc, size_t n, size_t size) {
        return calls_fails(INJECT_MALLOC) ? NULL : __real_calloc(n, size);
}

CALLS_REPLACED(void *, realloc, void *p, size_t size) {
        return calls_fails(INJECT_MALLOC) ? NULL : __real_realloc(p, size);
}

CALLS_REPLACED(void *, reallocarray, void *p, size_t n, size_t size) {
        return calls_fails(INJECT_MALLOC) ? NULL : __real_reallocarray(p, n, size);
}

CALLS_REPLACED(void *, aligned_alloc, size_t alignment, size_t size) {
        return calls_fails(INJECT_MALLOC) ? NULL : __real_aligned_alloc(alignment, size);
}

CALLS_REPLACED(int, accept4, int fd, struct sockaddr *address, socklen_t *length, int flags) {
        return calls_fails(INJECT_ACCEPT) ? -1 : __real_accept4(fd, address, length, flags);
}

CALLS_REPLACED(int, dup, int fd) {
        return calls_fails(INJECT_DUP) ? -1 : __real_dup(fd);
}

CALLS_REPLACED(int, ftruncate64, int fd, off_t length) {
        return calls_fails(INJECT_FTRUNCATE) ? -1 : __real_ftruncate64(fd, length);
}

CALLS_REPLACED(int, memfd_create, const char *name, unsigned flags) {
        return calls_fails(INJECT_MEMFD_CREATE) ? -1 : __real_memfd_create(name, flags);
}

CALLS_REPLACED(void *, mmap64, void *at, size_t length, int prot, int flags, int fd, off_t offset) {
        return calls_fails(INJECT_MMAP) ? MAP_FAILED : __real_mmap64(at, length, prot, flags, fd, offset);
}

CALLS_REPLACED(ssize_t, pread64, int fd, void *buf, size_t n, off_t offset) {
        return calls_fails(INJECT_PREAD) ? -1 : __real_pread64(fd, buf, n, offset);
}

CALLS_REPLACED(ssize_t, pwrite64, int fd, const void *buf, size_t n, off_t offset) {
        return calls_fails(INJECT_PWRITE) ? -1 : __real_pwrite64(fd, buf, n, offset);
}

CALLS_REPLACED(int, fallocate64, int fd, int mode, off_t offset, off_t length) {
        return calls_fails(INJECT_PUNCH) ? -1 : __real_fallocate64(fd, mode, offset, length);
}

CALLS_REPLACED(ssize_t, recvmsg, int fd, struct msghdr *m, int flags) {
        return calls_fails(INJECT_RECVMSG) ? -1 : __real_recvmsg(fd, m, flags);
}

CALLS_REPLACED(ssize_t, sendmsg, int fd, const struct msghdr *m, int flags) {
        return calls_fails(INJECT_SENDMSG) ? -1 : __real_sendmsg(fd, m, flags);
}

CALLS_REPLACED(int, io_uring_submit_and_wait, struct io_uring *ring, unsigned n) {
        int r = inject_error(INJECT_RING_WAIT);

        return r < 0 ? r : __real_io_uring_submit_and_wait(ring, n);
}

CALLS_REPLACED(int, io_uring_submit_and_get_events, struct io_uring *ring) {
        int r = inject_error(INJECT_RING_WAIT);

        return r < 0 ? r : __real_io_uring_submit_and_get_events(ring);
}

/* --- those with arguments of more than one kind ------------------------------------------------------------------------------------------------- */

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_fcntl64(int fd, int command, ...) {
        va_list args;
        long arg;

        va_start(args, command);
        arg = va_arg(args, long);
        va_end(args);
        return command == F_DUPFD_CLOEXEC && calls_fails(INJECT_DUP) ? -1 : __real_fcntl64(fd, command, arg);
}

int __wrap_open64(const char *path, int flags, ...) {
        va_list args;
        unsigned mode;

        va_start(args, flags);
        mode = va_arg(args, unsigned);
        va_end(args);
        return calls_fails(INJECT_OPEN) ? -1 : __real_open64(path, flags, mode);
}

/* With nothing done, as the kernel says where the address space of the client is being changed. */
static bool calls_ioctl_fails(unsigned long request, void *arg) {
        switch (request) {
        case UFFDIO_COPY:
                ((struct uffdio_copy *) arg)->copy = 0;
                return calls_fails(INJECT_UFFD_COPY);
        case UFFDIO_CONTINUE:
                ((struct uffdio_continue *) arg)->mapped = 0;
                return calls_fails(INJECT_UFFD_CONTINUE);
        case UFFDIO_POISON:
                ((struct uffdio_poison *) arg)->updated = 0;
                return calls_fails(INJECT_UFFD_POISON);
        case UFFDIO_WRITEPROTECT:
                return calls_fails(INJECT_UFFD_PROTECT);
        case UFFDIO_WAKE:
                return calls_fails(INJECT_UFFD_WAKE);
        }
        return false;
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
        va_list args;
        void *arg;

        va_start(args, request);
        arg = va_arg(args, void *);
        va_end(args);
        return calls_ioctl_fails(request, arg) ? -1 : __real_ioctl(fd, request, arg);
}
