/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_RIG_H
#define BF_TEST_RIG_H

/*
 * What most tests of the conformance suite start with, for cmocka: a directory, a daemon, clients, files, handles, mappings; each test has its
 * own, and all of it is taken down after the test, whether it passed or not. Functions here assert that what they do works. The order in a test
 * that needs them all: rig_daemon(), rig_heldfs() or rig_disk(), rig_child(), and only then a client, for a client has a thread.
 */

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "bfclient.h"
#include "child.h"
#include "daemonproc.h"
#include "heldfs.h"
#include "nbddisk.h"
#include "nbdserver.h"
#include "probe.h"
#include "worker.h"

#define RIG_PAGE 4096
#define RIG_LIST_MAX 64
#define RIG_STORE_MARK (BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED)

/* Options for a daemon that keeps all changes in the pool. */
#define RIG_NO_SPILL "--spill-dir", "none"

/* Options for a daemon with the smallest pool: 64 pages. */
#define RIG_SMALL_POOL "--pool", "256K"
#define RIG_SMALL_PAGES 64

struct rig {
        bool ready; /* rig_here() was called */
        char dir[64];
        char paths[RIG_LIST_MAX][96];
        size_t n_paths;
        struct daemonproc daemon;
        char address[128];
        struct bf_client *clients[RIG_LIST_MAX];
        size_t n_clients;
        struct heldfs *heldfs[RIG_LIST_MAX];
        size_t n_heldfs;
        struct nbddisk *disks[RIG_LIST_MAX];
        size_t n_disks;
        struct nbdserver nbds[RIG_LIST_MAX];
        size_t n_nbds;
        struct child children[RIG_LIST_MAX];
        size_t n_children;
        struct worker *workers[RIG_LIST_MAX];
        size_t n_workers;
};

/* One test in a program's list. */
#define RIG_TEST(function) { #function, function, rig_setup, rig_teardown, (void *) (uintptr_t) #function }
int rig_setup(void **state);
int rig_teardown(void **state);

/* The test's rig; its first use in a test also installs the signal handlers of probe.h. */
struct rig *rig_here(void **state);

/* A daemon with these options: up to NULL. Once in a test. */
void rig_daemon(struct rig *rig, ...) __attribute__((sentinel));

/* nbdkit with these arguments, which live as long as the test, up to NULL; the test is skipped where there is none. And a list of what a daemon has to allow for it. */
struct nbdserver *rig_nbdkit(struct rig *rig, const char *const *args);
struct nbdserver *rig_nbdkit_tcp(struct rig *rig, const char *const *args);
struct nbdserver *rig_qemu_nbd(struct rig *rig, const char *const *args);
const char *rig_allow_nbd(struct rig *rig);

/* A client of that daemon, one more each time. Without a privilege to serve faults the test is skipped. To disconnect one before the end of the
 * test: rig_disconnect(). */
struct bf_client *rig_client(struct rig *rig);
void rig_disconnect(struct rig *rig, struct bf_client *client);

/* The address of the daemon for bf_connect(). */
const char *rig_address(struct rig *rig);

/* The path of a file in the test's directory; good until the end of the test. */
const char *rig_path(struct rig *rig, const char *name);
const char *rig_identity(struct rig *rig, const char *name, uint64_t n_blocks); /* of 4096 bytes; makes it */

/* A held file with blocks of 4096 bytes; the test is skipped where there is no FUSE. */
struct heldfs *rig_heldfs(struct rig *rig, uint64_t n_blocks);
struct heldfs *rig_heldfs_synchronous(struct rig *rig, uint64_t n_blocks);
struct heldfs *rig_heldfs_with(struct rig *rig, const struct heldfs_opts *opts);

/* A disk that fails on demand (nbddisk.h); the test is skipped where there is no FUSE or nbdkit. */
struct nbddisk *rig_disk(struct rig *rig, uint64_t n_blocks, const char *const *args);

/* child_start() for a child that ends with the test. */
struct child *rig_child(struct rig *rig, int (*fn)(int line, void *arg), void *arg);

/* A worker that is joined at the latest at the end of the test. */
struct worker *rig_worker(struct rig *rig, void (*fn)(struct worker *worker), void *at, void *object, uint64_t a, uint64_t b);

/* Opens with pages of 4096 bytes and BF_ADVICE_RANDOM, so that no page is loaded that was not asked for. */
struct bf_fileh *rig_open(struct bf_client *client, const char *path, int oflag, uint32_t flags);

/* Maps whole pages of such a handle, readable and writable. */
uint64_t *rig_map(struct bf_fileh *fileh, uint64_t page, size_t n_pages);

/* The first word of the page with this number in a mapping; any word of it. */
volatile uint64_t *rig_word(uint64_t *map, size_t page, size_t word);

struct bf_stat rig_stat(struct bf_fileh *fileh);
struct bf_pool_stat rig_pool_stat(struct bf_client *client);

/* What was used is free again soon after the answer to a call, or the end of a client: these wait until it is so many bytes, or descriptors. */
void rig_wait_resident(struct bf_client *client, uint64_t bytes);
void rig_wait_fds(struct rig *rig, struct bf_client *client, unsigned n_fds);

/* A page whose content is on its way to the spill file is dirty still, for as long as a disk takes: this waits until n pages from this one on are spilled. */
void rig_wait_spilled(struct bf_fileh *fileh, uint64_t first, uint64_t n);

/* The descriptors of the daemon when it has answered all that it was asked. */
unsigned rig_count_fds(struct rig *rig, struct bf_client *client);

/* The first word of a page as it is in the file. */
uint64_t rig_file_word(const char *path, uint64_t page);

/* Drops the n least recently used clean pages of the pool. */
void rig_reclaim(struct bf_client *client, size_t n_pages);

/* The states of the pages from this one on, a letter each: E empty, G loading (going on), L loaded, D dirty, S storing, P spilled. */
#define assert_states(fileh, page, expected) rig_assert_states(fileh, page, expected, __FILE__, __LINE__)
void rig_assert_states(struct bf_fileh *fileh, uint64_t page, const char *expected, const char *file, int line);

/* What the pages of a mapping allow without a fault, a letter each: - nothing, R reading, W writing too. */
#define assert_access(map, expected) rig_assert_access(map, expected, __FILE__, __LINE__)
void rig_assert_access(const volatile void *map, const char *expected, const char *file, int line);

/* That these blocks, and no others, were read or written, each as often as it is listed; in whatever order, as requests run side by side.
 * Forgets the log. */
#define assert_blocks(heldfs, op, ...) rig_assert_blocks(heldfs, op, (const uint64_t[]) { __VA_ARGS__ __VA_OPT__(,) HELDFS_ANY }, __FILE__, __LINE__)
void rig_assert_blocks(struct heldfs *heldfs, enum heldfs_op op, const uint64_t *expected, const char *file, int line);

#endif
