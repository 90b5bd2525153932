/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files that NBD servers have: what any file does, by real servers; which may be opened; what they cannot do. */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 256
#define STORE_MARK_SYNC (BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED | BF_WRITEOUT_SYNC)

static struct bf_client *start(struct rig *rig) {
        rig_daemon(rig, "--pool", "4M", "--allow-nbd", rig_allow_nbd(rig), NULL);
        return rig_client(rig);
}

static int open_nbd(struct bf_client *client, const char *uri, int oflag, struct bf_fileh **ret) {
        return bf_open(client, uri, oflag, NULL, ret);
}

static void fill(uint64_t *map, size_t n_pages, uint64_t key) {
        for (size_t page = 0; page < n_pages; page++)
                for (size_t word = 0; word < RIG_PAGE / 8; word++)
                        *rig_word(map, page, word) = key + page * 1000 + word;
}

static void assert_filled(uint64_t *map, size_t n_pages, uint64_t key) {
        for (size_t page = 0; page < n_pages; page++)
                for (size_t word = 0; word < RIG_PAGE / 8; word++)
                        assert_int_equal(*rig_word(map, page, word), key + page * 1000 + word);
}

/* Written, stored, and there again for who opens it anew and for another client. */
static void check_round_trip(struct rig *rig, struct bf_client *client, const char *uri) {
        struct bf_fileh *fileh = rig_open(client, uri, O_RDWR, 0);
        uint64_t *map = rig_map(fileh, 0, N_PAGES);

        assert_int_equal(rig_stat(fileh).size, N_PAGES * RIG_PAGE);
        fill(map, N_PAGES, 7);
        assert_int_equal(bf_writeout(fileh, STORE_MARK_SYNC), 0);
        assert_int_equal(rig_stat(fileh).dirty_bytes, 0);
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_close(fileh), 0);

        fileh = rig_open(rig_client(rig), uri, O_RDONLY, 0);
        assert_int_equal(bf_mmap(fileh, 0, N_PAGES * RIG_PAGE, PROT_READ, (void **) &map), 0);
        assert_filled(map, N_PAGES, 7);
        assert_int_equal(rig_stat(fileh).loads, N_PAGES);
}

static void test_memory_of_nbdkit(void **state) {
        struct rig *rig = rig_here(state);
        struct nbdserver *server = rig_nbdkit(rig, (const char *[]) { "memory", "1M", NULL });

        check_round_trip(rig, start(rig), server->uri);
}

static void test_file_of_qemu(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "image", N_PAGES);
        struct nbdserver *server = rig_qemu_nbd(rig, (const char *[]) { "--format", "raw", path, NULL });

        check_round_trip(rig, start(rig), server->uri);
        assert_int_equal(rig_file_word(path, 3), 7 + 3000);
}

static void test_discard_and_invalidate(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "image", N_PAGES);
        struct nbdserver *server = rig_nbdkit(rig, (const char *[]) { "file", path, NULL });
        struct bf_fileh *fileh = rig_open(start(rig), server->uri, O_RDWR, 0);
        uint64_t *map = rig_map(fileh, 0, N_PAGES), word = 77;

        *rig_word(map, 5, 0) = 1;
        assert_int_equal(bf_discard(fileh), 0);
        assert_int_equal(*rig_word(map, 5, 0), 5);
        assert_int_equal(tempfile_write(path, 5 * RIG_PAGE, &word, sizeof(word)), 0);
        assert_int_equal(bf_invalidate(fileh, 5 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(map, 5, 0), 77);
}

/* The last page has what the file has, and zeros; what is written behind the end goes nowhere. */
static void check_odd_size(struct rig *rig, const char *path, const char *uri) {
        struct bf_fileh *fileh = rig_open(start(rig), uri, O_RDWR, 0);
        uint64_t *map = rig_map(fileh, 0, 4);
        uint64_t size = 3 * RIG_PAGE + 1024, word;

        assert_int_equal(rig_stat(fileh).size, size);
        assert_int_equal(*rig_word(map, 3, 127), 3);
        assert_int_equal(*rig_word(map, 3, 128), 0);
        *rig_word(map, 3, 127) = 11;
        *rig_word(map, 3, 128) = 12;
        assert_int_equal(bf_writeout(fileh, STORE_MARK_SYNC), 0);
        assert_int_equal(tempfile_read(path, size - 8, &word, 8), 0);
        assert_int_equal(word, 11);
        assert_int_equal(tempfile_read(path, size, &word, 8), -ENODATA);
}

static const char *odd_file(struct rig *rig) {
        const char *path = rig_identity(rig, "odd", 4);

        assert_int_equal(truncate(path, 3 * RIG_PAGE + 1024), 0);
        return path;
}

static void test_odd_size_of_nbdkit(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = odd_file(rig);

        check_odd_size(rig, path, rig_nbdkit(rig, (const char *[]) { "file", path, NULL })->uri);
}

static void test_odd_size_of_qemu(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = odd_file(rig);

        check_odd_size(rig, path, rig_qemu_nbd(rig, (const char *[]) { "--format", "raw", path, NULL })->uri);
}

/* Blocks larger than a server takes at once go in parts. */
static void test_large_blocks(void **state) {
        struct rig *rig = rig_here(state);
        const char *const args[] = { "--filter=blocksize-policy", "memory", "8M", "blocksize-minimum=512", "blocksize-preferred=4096", "blocksize-maximum=1M",
                                     "blocksize-error-policy=error", NULL };
        struct nbdserver *server = rig_nbdkit(rig, args);
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map, n;

        rig_daemon(rig, "--pool", "32M", "--allow-nbd", rig_allow_nbd(rig), NULL);
        client = rig_client(rig);
        assert_int_equal(bf_open(client, server->uri, O_RDWR, &(struct bf_open_opts) { .size = sizeof(struct bf_open_opts), .block_size = 2 << 20 }, &fileh), 0);
        map = rig_map(fileh, 0, 2048);
        fill(map, 2048, 3);
        assert_int_equal(bf_writeout(fileh, STORE_MARK_SYNC), 0);
        assert_int_equal(bf_pool_reclaim(client, 0, &n), 0);
        assert_int_equal(rig_stat(fileh).resident_bytes, 0);
        assert_filled(map, 2048, 3);
}

static void test_shared_by_name(void **state) {
        struct rig *rig = rig_here(state);
        struct nbdserver *server = rig_nbdkit(rig, (const char *[]) { "memory", "1M", NULL });
        struct bf_client *client = start(rig);
        uint64_t *a = rig_map(rig_open(client, server->uri, O_RDWR, BF_SHARED), 0, 2);
        uint64_t *b = rig_map(rig_open(rig_client(rig), server->uri, O_RDWR, BF_SHARED), 0, 2);
        uint64_t *alone = rig_map(rig_open(client, server->uri, O_RDWR, 0), 0, 2);

        *rig_word(a, 1, 1) = 5;
        assert_int_equal(*rig_word(b, 1, 1), 5);
        assert_int_equal(*rig_word(alone, 1, 1), 0);
}

static void test_tcp(void **state) {
        struct rig *rig = rig_here(state);
        struct nbdserver *server = rig_nbdkit_tcp(rig, (const char *[]) { "memory", "1M", NULL });

        rig_daemon(rig, "--pool", "4M", "--allow-nbd", server->uri, NULL);
        check_round_trip(rig, rig_client(rig), server->uri);
}

/* A server that holds all requests holds up nobody who asks another one, or a file. */
static void test_a_hung_server_stops_nobody_else(void **state) {
        struct rig *rig = rig_here(state);
        const char *control = rig_path(rig, "pause"), *path = rig_identity(rig, "image", 4);
        char setting[128];
        struct nbdserver *hung, *other;
        struct bf_client *client;
        struct worker *reader;

        snprintf(setting, sizeof(setting), "pause-control=%s", control);
        hung = rig_nbdkit(rig, (const char *[]) { "--filter=pause", "file", path, setting, NULL });
        other = rig_nbdkit(rig, (const char *[]) { "file", path, NULL });
        rig_daemon(rig, "--pool", "4M", "--pagers", "1", "--allow-nbd", rig_allow_nbd(rig), NULL);
        client = rig_client(rig);
        nbdserver_pause(control);
        reader = rig_worker(rig, worker_read, (void *) (uintptr_t) rig_word(rig_map(rig_open(client, hung->uri, O_RDWR, 0), 0, 4), 3, 0), NULL, 0, 0);
        worker_wait_fault(reader);
        assert_int_equal(*rig_word(rig_map(rig_open(client, other->uri, O_RDWR, 0), 0, 4), 2, 0), 2);
        assert_int_equal(*rig_word(rig_map(rig_open(client, path, O_RDWR, 0), 0, 4), 1, 0), 1);
        assert_false(worker_is_done(reader));
        nbdserver_go_on(control);
        worker_join(reader);
        assert_int_equal(reader->value, 3);
}

/* A key in a file is read for who may open what names it, letter by letter. */
static void test_tls_with_a_key(void **state) {
        static const char key[] = "bf:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
        struct rig *rig = rig_here(state);
        const char *path = rig_path(rig, "key");
        char psk[128], uri[300], list[600];
        struct nbdserver *server;
        struct bf_client *client;
        struct bf_fileh *fileh;

        assert_int_equal(tempfile_make_sparse(path, 0), 0);
        assert_int_equal(tempfile_write(path, 0, key, sizeof(key) - 1), 0);
        snprintf(psk, sizeof(psk), "--tls-psk=%s", path);
        server = rig_nbdkit(rig, (const char *[]) { "--tls=require", psk, "memory", "1M", NULL });
        snprintf(uri, sizeof(uri), "nbds+unix://bf@/?socket=%s&tls-psk-file=%s", server->socket, path);
        snprintf(list, sizeof(list), "%s %s", rig_allow_nbd(rig), uri);
        rig_daemon(rig, "--pool", "4M", "--allow-nbd", list, NULL);
        client = rig_client(rig);
        assert_int_equal(open_nbd(client, uri, O_RDWR, &fileh), 0);
        assert_int_equal(bf_load(fileh, 0, RIG_PAGE), 0);
        assert_true(open_nbd(client, server->uri, O_RDWR, &fileh) < 0); /* without TLS: not the server's way */
        uri[strlen(uri) - 1] = 'x';
        assert_int_equal(open_nbd(client, uri, O_RDWR, &fileh), -EPERM);
}

/* A server's certificate is checked, with the authorities that the host trusts, or with those that are named. */
static void test_tls_with_certificates(void **state) {
        struct rig *rig = rig_here(state);
        struct nbdserver *server = rig_nbdkit_tcp(rig, (const char *[]) { "--tls=require", "--tls-certificates=" TLS_DIR, "memory", "1M", NULL });
        char uri[200], named[400], other[400], list[1200];
        struct bf_client *client;
        struct bf_fileh *fileh;

        snprintf(uri, sizeof(uri), "nbds%s", server->uri + strlen("nbd"));
        snprintf(named, sizeof(named), "%s?tls-certificates=%s", uri, TLS_DIR);
        snprintf(other, sizeof(other), "nbds://127.0.0.1%s?tls-certificates=%s", strrchr(uri, ':'), TLS_DIR);
        snprintf(list, sizeof(list), "%s %s %s", uri, named, other);
        rig_daemon(rig, "--pool", "4M", "--allow-nbd", list, NULL);
        client = rig_client(rig);
        assert_int_equal(open_nbd(client, uri, O_RDWR, &fileh), -EPROTO);   /* nobody knows who signed it */
        assert_int_equal(open_nbd(client, other, O_RDWR, &fileh), -EPROTO); /* it is not for that name */
        check_round_trip(rig, client, named);
}

/* --- what is refused ---------------------------------------------------------------------------------------------------------------------------- */

static void assert_refused(struct bf_client *client, const char *uri, int oflag, int error, const char *words) {
        struct bf_fileh *fileh;

        assert_int_equal(open_nbd(client, uri, oflag, &fileh), error);
        if (!strstr(bf_errmsg(), words))
                fail_msg("\"%s\" says nothing of \"%s\"", bf_errmsg(), words);
}

static void test_nothing_is_allowed_by_default(void **state) {
        struct rig *rig = rig_here(state);
        struct nbdserver *server = rig_nbdkit(rig, (const char *[]) { "memory", "1M", NULL });

        rig_daemon(rig, "--pool", "4M", NULL);
        assert_refused(rig_client(rig), server->uri, O_RDWR, -EPERM, "--allow-nbd");
}

/* Only where the daemon as a whole is to use direct I/O does it not matter. */
static void test_no_direct_io(void **state) {
        const struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_DIRECT };
        struct rig *rig = rig_here(state);
        struct nbdserver *server = rig_nbdkit(rig, (const char *[]) { "memory", "1M", NULL });
        struct bf_client *client;
        struct bf_fileh *fileh;

        rig_daemon(rig, "--pool", "4M", "--direct-io", "yes", "--allow-nbd", "nbd+unix://", NULL);
        client = rig_client(rig);
        assert_int_equal(bf_open(client, server->uri, O_RDWR, &opts, &fileh), -EINVAL);
        assert_non_null(strstr(bf_errmsg(), "BF_DIRECT"));
        assert_int_equal(open_nbd(client, server->uri, O_RDWR, &fileh), 0);
}

static void test_what_is_not_listed_is_refused(void **state) {
        struct rig *rig = rig_here(state);
        struct nbdserver *server = rig_nbdkit(rig, (const char *[]) { "memory", "1M", NULL });
        struct bf_client *client = start(rig);
        char uri[256];

        snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s/../%s/nbd0.socket", rig->dir, strrchr(rig->dir, '/') + 1);
        assert_refused(client, uri, O_RDWR, -EPERM, "--allow-nbd");
        snprintf(uri, sizeof(uri), "%s&socket=/elsewhere", server->uri);
        assert_refused(client, uri, O_RDWR, -EPERM, "--allow-nbd");
        assert_refused(client, "nbd://localhost/", O_RDWR, -EPERM, "--allow-nbd");
}

static void test_a_private_daemon_allows_all(void **state) {
        struct rig *rig = rig_here(state);
        struct nbdserver *server = rig_nbdkit(rig, (const char *[]) { "memory", "1M", NULL });
        struct bf_client *client;
        struct bf_fileh *fileh;

        assert_int_equal(bf_connect(&client, "spawn:pool=4M"), 0);
        assert_int_equal(open_nbd(client, server->uri, O_RDWR, &fileh), 0);
        bf_disconnect(client);
}

static void test_read_only(void **state) {
        struct rig *rig = rig_here(state);
        struct nbdserver *server = rig_nbdkit(rig, (const char *[]) { "--readonly", "memory", "1M", NULL });
        struct bf_client *client = start(rig);
        struct bf_fileh *fileh;

        assert_refused(client, server->uri, O_RDWR, -EROFS, "reading only");
        assert_int_equal(open_nbd(client, server->uri, O_RDONLY, &fileh), 0);
        assert_int_equal(bf_load(fileh, 0, RIG_PAGE), 0);
        assert_refused(client, server->uri, O_RDWR, -EROFS, "reading only");
}

static void test_no_server(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        char uri[256];

        snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s/none", rig->dir);
        assert_refused(client, uri, O_RDWR, -ENOENT, "log");
        assert_true(daemonproc_says(&rig->daemon, uri));
}

static void test_no_such_export(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "image", 4);
        struct nbdserver *server = rig_qemu_nbd(rig, (const char *[]) { "--format", "raw", "--export-name", "one", path, NULL });
        struct bf_client *client;
        struct bf_fileh *fileh;
        char uri[256];

        rig_daemon(rig, "--pool", "4M", "--allow-nbd", "nbd+unix://", NULL);
        client = rig_client(rig);
        snprintf(uri, sizeof(uri), "nbd+unix:///two?socket=%s", server->socket);
        assert_refused(client, uri, O_RDWR, -ENOENT, "log");
        snprintf(uri, sizeof(uri), "nbd+unix:///one?socket=%s", server->socket);
        assert_int_equal(open_nbd(client, uri, O_RDWR, &fileh), 0);
}

static void test_it_cannot_grow(void **state) {
        struct rig *rig = rig_here(state);
        struct nbdserver *server = rig_nbdkit(rig, (const char *[]) { "memory", "1M", NULL });
        struct bf_client *client = start(rig);
        struct bf_fileh *fileh;

        assert_int_equal(open_nbd(client, server->uri, O_RDWR | O_CREAT, &fileh), -EINVAL);
        assert_int_equal(open_nbd(client, server->uri, O_RDWR | O_CLOEXEC, &fileh), 0);
        assert_int_equal(bf_resize(fileh, 2 << 20), -EOPNOTSUPP);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_memory_of_nbdkit),
                RIG_TEST(test_file_of_qemu),
                RIG_TEST(test_discard_and_invalidate),
                RIG_TEST(test_odd_size_of_nbdkit),
                RIG_TEST(test_odd_size_of_qemu),
                RIG_TEST(test_large_blocks),
                RIG_TEST(test_shared_by_name),
                RIG_TEST(test_tcp),
                RIG_TEST(test_a_hung_server_stops_nobody_else),
                RIG_TEST(test_tls_with_a_key),
                RIG_TEST(test_tls_with_certificates),
                RIG_TEST(test_nothing_is_allowed_by_default),
                RIG_TEST(test_no_direct_io),
                RIG_TEST(test_what_is_not_listed_is_refused),
                RIG_TEST(test_a_private_daemon_allows_all),
                RIG_TEST(test_read_only),
                RIG_TEST(test_no_server),
                RIG_TEST(test_no_such_export),
                RIG_TEST(test_it_cannot_grow),
        };

        watchdog_start();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
