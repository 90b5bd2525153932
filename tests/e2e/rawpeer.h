/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_RAWPEER_H
#define BF_TEST_RAWPEER_H

/*
 * A client that speaks the protocol by itself, right or wrong, without the library. For cmocka tests with a rig; beside it an honest client of the
 * library tells whether others suffer.
 */

#include "chan.h"
#include "rig.h"

/* Connects, and no more. */
int rawpeer_connect(const struct rig *rig);

/* Connects and says HELLO. *ret_device (may be NULL: closed) gets the lent /dev/userfaultfd, the caller's. */
int rawpeer_greet(const struct rig *rig, int *ret_device);

/* Any bytes as a packet, with n_fds times the descriptor fd. -EPIPE: the daemon has closed. */
int rawpeer_send(int line, const void *bytes, size_t size, int fd, unsigned n_fds);

/* The same with these descriptors. */
int rawpeer_send_fds(int line, const void *bytes, size_t size, const int *fds, unsigned n_fds);

/* The reply to a request, of which only serial and descriptors are made here; its error, or what it says there. */
int rawpeer_call(int line, union wire_msg *msg, const int *fds, unsigned n_fds, struct chan_packet *ret_reply);

/* The daemon has closed this connection, having said nothing more. */
#define assert_closed(line) rawpeer_assert_closed(line, __FILE__, __LINE__)
void rawpeer_assert_closed(int line, const char *file, int fileline);

/* A userfaultfd made from the lent device, with the handshake done. */
int rawpeer_uffd(int device);

/* A descriptor of a file of 16 identity pages in the rig's directory. */
#define RAWPEER_PAGES 16
int rawpeer_open_backing(const struct rig *rig);

/* That file opened as a big file, with all that is needed for MAP. */
struct rawpeer_file {
        uint32_t handle;
        uint64_t address; /* of the memory mapped and registered, not yet told to the daemon */
        int uffd;
        int memory;
        int ledger;
        int spill;
};
/* With these features of its userfaultfd; false: it cannot be had so. */
bool rawpeer_open_with(const struct rig *rig, int line, int device, uint64_t features, struct rawpeer_file *ret_file);
void rawpeer_open(const struct rig *rig, int line, int device, struct rawpeer_file *ret_file);
void rawpeer_close_file(struct rawpeer_file *file);

/* Someone honest: his pages are right before and after. */
struct bystander {
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;
        struct daemonproc_usage usage; /* of the daemon, with him alone */
        struct bf_pool_stat pool;
};
void bystander_begin(struct rig *rig, struct bystander *bystander);

/* Main thread and pager have time for him: his pages are loaded anew, and his questions answered. */
void bystander_assert_served(const struct bystander *bystander);

/* All is right with him, and the daemon has nothing left of others: waits for that, as closing takes its time. */
void bystander_assert_well(struct rig *rig, struct bystander *bystander);

#endif
