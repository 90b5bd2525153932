/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_CHAN_H
#define BF_CHAN_H

/* One packet out, one packet in, with descriptors, on a SOCK_SEQPACKET Unix socket. It knows sockets; it does not know what the messages mean. */

#include <sys/socket.h>

#include "wire.h"

/* Descriptors that can come with a packet: the kernel lets none have more (SCM_MAX_FD). */
#define CHAN_FDS_MAX 253

struct chan_packet {
        union wire_msg msg;
        size_t size; /* bytes received */
        int fds[CHAN_FDS_MAX]; /* of a message that may be one, WIRE_FDS_MAX at the most */
        unsigned n_fds;
};

/* Closes the descriptors that are still in the packet. */
void chan_packet_close(struct chan_packet *packet);

/* Takes descriptor i out of the packet; the caller owns it. */
int chan_packet_take(struct chan_packet *packet, unsigned i);

/*
 * Sends msg, whose header tells its size, with n_fds descriptors (borrowed; header.n_fds is set here).
 * 0; -EAGAIN the peer's buffer is full (the socket is non-blocking); -EPIPE the peer is gone; another negative errno. Raises no SIGPIPE.
 */
int chan_send(int fd, union wire_msg *msg, const int *fds, unsigned n_fds);

/*
 * Receives one packet; all its descriptors are close-on-exec, and belong to the packet.
 * 1 a packet; 0 the peer is gone; -EAGAIN nothing there; -EMSGSIZE too long; -EMFILE descriptors were lost (this process is at its limit), the
 * message itself is there; another negative errno. On anything but 1 no descriptor is left open.
 */
int chan_receive(int fd, struct chan_packet *ret_packet);

/* The same, but after -EMSGSIZE and -EMFILE the descriptors that came are in the packet, the caller's. */
int chan_receive_all(int fd, struct chan_packet *ret_packet);

/*
 * What recvmsg(2) needs for a packet with all the descriptors that may come: those without room the kernel would close at once, and wait if they are sockets that
 * linger.
 */
struct chan_inbox {
        struct iovec iov;
        struct msghdr header;
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(CHAN_FDS_MAX * sizeof(int))];
        } control;
};

/* Before each packet, which goes to buf. */
void chan_inbox_prepare(struct chan_inbox *inbox, void *buf, size_t size);

/* After one has come: its descriptors, the caller's; their number. */
unsigned chan_inbox_take(struct chan_inbox *inbox, int ret_fds[static CHAN_FDS_MAX]);

/* A connection between two ends, both close-on-exec and blocking. */
int chan_pair(int ret_fds[static 2]);

/* Packets without descriptors that are no messages of wire.h. Sending does not wait: 0, or a negative errno (-EAGAIN, -EPIPE). Receiving does: bytes; 0 the
 * peer is gone; a negative errno. Of a longer packet the rest is lost. */
int chan_send_bytes(int fd, const void *bytes, size_t size);
int chan_receive_bytes(int fd, void *buf, size_t size);

/* The other end sees, once it has read all, that nothing comes any more. */
void chan_end_sending(int fd);

/* Nothing goes through it any more, in either direction; who waits for a packet is woken. */
void chan_end(int fd);

/* A path to connect to or to listen at is shorter; bytes. */
#define CHAN_ADDRESS_MAX 108

/* Connects to the socket at path. *ret_fd is close-on-exec and blocking. */
int chan_connect(const char *path, int *ret_fd);

/* The same, but -EAGAIN where many wait to be accepted already. */
int chan_connect_at_once(const char *path, int *ret_fd);

/* Makes this process the only one that may serve path, as long as *ret_fd is open: an exclusive lock on PATH.lock. -EADDRINUSE another is. */
int chan_lock(const char *path, int *ret_fd);

/* Removes the lock of chan_lock(); takes fd. */
void chan_unlock(const char *path, int fd);

/* Listens at path, mode as given. Removes a socket nobody serves any more. -EADDRINUSE one that is served; -ENAMETOOLONG. */
int chan_listen(const char *path, unsigned mode, int *ret_fd);

/* The path that a listening socket has; buf has room for CHAN_PATH_MAX bytes. -ENOENT: none. */
#define CHAN_PATH_MAX 128
int chan_path(int fd, char *buf);

#endif
