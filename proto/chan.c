/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "chan.h"

void chan_packet_close(struct chan_packet *packet) {
        for (unsigned i = 0; i < packet->n_fds; i++)
                if (packet->fds[i] >= 0)
                        close(packet->fds[i]);
        packet->n_fds = 0;
}

int chan_packet_take(struct chan_packet *packet, unsigned i) {
        int fd = packet->fds[i];

        packet->fds[i] = -1;
        return fd;
}

int chan_send(int fd, union wire_msg *msg, const int *fds, unsigned n_fds) {
        struct iovec iov = { .iov_base = msg, .iov_len = msg->header.size };
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
        } control = { .bytes = { 0 } };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        struct cmsghdr *c;

        if (n_fds > WIRE_FDS_MAX)
                return -EINVAL;
        msg->header.n_fds = (uint16_t) n_fds;
        if (n_fds > 0) {
                m.msg_control = control.bytes;
                m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        for (;;) {
                if (sendmsg(fd, &m, MSG_NOSIGNAL) >= 0)
                        return 0;
                if (errno != EINTR)
                        return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
        }
}

/* --- receiving ---------------------------------------------------------------------------------------------------------------------------------- */

void chan_inbox_prepare(struct chan_inbox *inbox, void *buf, size_t size) {
        inbox->iov = (struct iovec) { .iov_base = buf, .iov_len = size };
        inbox->header = (struct msghdr) { .msg_iov = &inbox->iov, .msg_iovlen = 1, .msg_control = inbox->control.bytes, .msg_controllen = sizeof(inbox->control.bytes) };
}

unsigned chan_inbox_take(struct chan_inbox *inbox, int ret_fds[static CHAN_FDS_MAX]) {
        unsigned n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(&inbox->header); c; c = CMSG_NXTHDR(&inbox->header, c)) {
                size_t n_here;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n_here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n_here && n < CHAN_FDS_MAX; i++)
                        memcpy(&ret_fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        }
        return n;
}

int chan_receive_all(int fd, struct chan_packet *ret_packet) {
        struct chan_inbox inbox;
        ssize_t n;

        ret_packet->n_fds = 0;
        chan_inbox_prepare(&inbox, &ret_packet->msg, sizeof(ret_packet->msg));
        do
                n = recvmsg(fd, &inbox.header, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == ECONNRESET ? 0 : -errno;

        ret_packet->size = (size_t) n;
        ret_packet->n_fds = chan_inbox_take(&inbox, ret_packet->fds);
        if (inbox.header.msg_flags & MSG_TRUNC || ret_packet->n_fds > WIRE_FDS_MAX)
                return -EMSGSIZE;
        if (inbox.header.msg_flags & MSG_CTRUNC)
                return -EMFILE;
        return n == 0 && ret_packet->n_fds == 0 ? 0 : 1;
}

int chan_receive(int fd, struct chan_packet *ret_packet) {
        int r = chan_receive_all(fd, ret_packet);

        if (r < 0)
                chan_packet_close(ret_packet);
        return r;
}

/* --- bytes -------------------------------------------------------------------------------------------------------------------------------------- */

int chan_pair(int ret_fds[static 2]) {
        return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}

int chan_send_bytes(int fd, const void *bytes, size_t size) {
        for (;;) {
                if (send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
                        return 0;
                if (errno != EINTR)
                        return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
        }
}

int chan_receive_bytes(int fd, void *buf, size_t size) {
        ssize_t n;

        do
                n = recv(fd, buf, size, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == ECONNRESET ? 0 : -errno;
        return (int) n;
}

void chan_end_sending(int fd) {
        (void) shutdown(fd, SHUT_WR);
}

void chan_end(int fd) {
        (void) shutdown(fd, SHUT_RDWR);
}

/* --- paths -------------------------------------------------------------------------------------------------------------------------------------- */

static int chan_address(const char *path, struct sockaddr_un *ret_address) {
        size_t n = strlen(path);

        *ret_address = (struct sockaddr_un) { .sun_family = AF_UNIX };
        if (n == 0)
                return -EINVAL;
        if (n >= sizeof(ret_address->sun_path))
                return -ENAMETOOLONG;
        memcpy(ret_address->sun_path, path, n);
        return 0;
}

static int chan_connect_with(const char *path, int flags, int *ret_fd) {
        struct sockaddr_un address;
        int fd, r;

        r = chan_address(path, &address);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
        if (fd < 0)
                return -errno;
        do
                r = connect(fd, (struct sockaddr *) &address, sizeof(address));
        while (r < 0 && errno == EINTR);
        if (r < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

int chan_connect(const char *path, int *ret_fd) {
        return chan_connect_with(path, 0, ret_fd);
}

int chan_connect_at_once(const char *path, int *ret_fd) {
        int fd, r;

        r = chan_connect_with(path, SOCK_NONBLOCK, &fd);
        if (r < 0)
                return r;
        if (fcntl(fd, F_SETFL, 0) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

/* A socket file that refuses connections was left by a daemon that ended; any other answer means that it is in use, or no socket at all. */
static bool chan_is_abandoned(const char *path) {
        struct stat st;
        int fd, r;

        if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
                return false;
        r = chan_connect_with(path, SOCK_NONBLOCK, &fd); /* else a full backlog would hold us up */
        if (r == 0)
                close(fd);
        return r == -ECONNREFUSED;
}

static int chan_lock_path(const char *path, char *buf, size_t size) {
        int n = snprintf(buf, size, "%s.lock", path);

        return n < 0 || (size_t) n >= size ? -ENAMETOOLONG : 0;
}

/* The daemon that had the lock may have removed the file while we waited to open it: then ours is no longer the file at that path. */
static bool chan_lock_is_current(int fd, const char *path) {
        struct stat mine, there;

        return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

int chan_lock(const char *path, int *ret_fd) {
        char lock[sizeof(((struct sockaddr_un *) NULL)->sun_path) + sizeof(".lock")];
        int fd, r;

        r = chan_lock_path(path, lock, sizeof(lock));
        if (r < 0)
                return r;
        for (;;) {
                fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (fd < 0)
                        return -errno;
                r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
                if (r == 0 && chan_lock_is_current(fd, lock))
                        break;
                close(fd);
                if (r < 0)
                        return r == -EWOULDBLOCK ? -EADDRINUSE : r;
        }
        *ret_fd = fd;
        return 0;
}

void chan_unlock(const char *path, int fd) {
        char lock[sizeof(((struct sockaddr_un *) NULL)->sun_path) + sizeof(".lock")];

        if (chan_lock_path(path, lock, sizeof(lock)) == 0)
                (void) unlink(lock);
        close(fd);
}

int chan_listen(const char *path, unsigned mode, int *ret_fd) {
        struct sockaddr_un address;
        mode_t umask_before;
        int fd, r;

        r = chan_address(path, &address);
        if (r < 0)
                return r;
        if (chan_is_abandoned(path))
                (void) unlink(path);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        umask_before = umask(0777 & ~mode);
        r = bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
        umask(umask_before);
        if (r == 0 && listen(fd, 128) < 0)
                r = -errno;
        if (r < 0) {
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

int chan_path(int fd, char *buf) {
        struct sockaddr_un address = { .sun_family = AF_UNSPEC };
        socklen_t length = sizeof(address);

        static_assert(sizeof(address.sun_path) < CHAN_PATH_MAX, "any path has room");
        static_assert(sizeof(address.sun_path) == CHAN_ADDRESS_MAX, "it is the kernel's");
        if (getsockname(fd, (struct sockaddr *) &address, &length) < 0)
                return -errno;
        if (address.sun_family != AF_UNIX || length <= offsetof(struct sockaddr_un, sun_path) || address.sun_path[0] == '\0')
                return -ENOENT;
        memset(buf, 0, CHAN_PATH_MAX);
        memcpy(buf, address.sun_path, length - offsetof(struct sockaddr_un, sun_path));
        return 0;
}
