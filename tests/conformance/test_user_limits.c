/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What one user may have of the daemon, over all his clients: he is told so in words when he wants more, gets it when he gives something back or dies,
 * and another user, who has all that he may have himself, notices nothing.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "opsfile.h"
#include "rig.h"
#include "watchdog.h"

#define N_PAGES 20
#define OTHER_UID 65533

#define MAX_PEERS 3
#define MAX_HANDLES 5
#define MAX_MAPPINGS 7

struct scene {
        struct rig *rig;
        const char *address;
        const char *path; /* both may read it */
        struct bf_client *clients[MAX_PEERS];
        struct bf_fileh *filehs[MAX_HANDLES];
        uint64_t *maps[MAX_MAPPINGS];
};

static void start(struct rig *rig, struct scene *scene) {
        if (geteuid() != 0) {
                print_message("skipped: needs root\n");
                skip();
        }
        rig_daemon(rig, "--pool", "64M", "--socket-mode", "0666", "--uid-peers", "3", "--uid-handles", "5", "--uid-mappings", "7", NULL);
        *scene = (struct scene) { .rig = rig, .address = rig_address(rig), .path = rig_identity(rig, "data", N_PAGES) };
}

/* All that a user may have. What he had before may still be going: then he waits for it. */
static void take_all(struct scene *scene) {
        int r;

        for (unsigned i = 0; i < MAX_PEERS; i++) {
                while ((r = bf_connect(&scene->clients[i], scene->address)) == -EUSERS)
                        sched_yield();
                CHILD_CHECK(r == 0);
        }
        for (unsigned i = 0; i < MAX_HANDLES; i++)
                CHILD_CHECK(bf_open(scene->clients[i % MAX_PEERS], scene->path, O_RDONLY, NULL, &scene->filehs[i]) == 0);
        for (unsigned i = 0; i < MAX_MAPPINGS; i++)
                CHILD_CHECK(bf_mmap(scene->filehs[i % MAX_HANDLES], 0, N_PAGES * RIG_PAGE, PROT_READ, (void **) &scene->maps[i]) == 0);
        for (unsigned i = 0; i < MAX_MAPPINGS; i++)
                CHILD_CHECK(*rig_word(scene->maps[i], i, 0) == i);
}

static void give_all_back(const struct scene *scene) {
        for (unsigned i = 0; i < MAX_PEERS; i++)
                bf_disconnect(scene->clients[i]);
}

/* More of anything is refused, and says with which option of the daemon it has to do; less of it makes room for just as much. */
static void want_more(struct scene *scene) {
        struct bf_client *client = NULL;
        struct bf_fileh *fileh = NULL;
        void *map = NULL;

        for (unsigned i = 0; i < 3; i++) {
                CHILD_CHECK(bf_connect(&client, scene->address) == -EUSERS);
                CHILD_CHECK(strstr(bf_errmsg(), "--uid-peers"));
                CHILD_CHECK(bf_open(scene->clients[i], scene->path, O_RDONLY, NULL, &fileh) == -EUSERS);
                CHILD_CHECK(strstr(bf_errmsg(), "--uid-handles"));
                CHILD_CHECK(bf_mmap(scene->filehs[i], 0, RIG_PAGE, PROT_READ, &map) == -EUSERS);
                CHILD_CHECK(strstr(bf_errmsg(), "--uid-mappings"));
        }
        CHILD_CHECK(!client && !fileh && !map);
        CHILD_CHECK(bf_munmap(scene->maps[4]) == 0);
        CHILD_CHECK(bf_mmap(scene->filehs[0], 0, RIG_PAGE, PROT_READ, &map) == 0);
        CHILD_CHECK(bf_mmap(scene->filehs[0], 0, RIG_PAGE, PROT_READ, &map) == -EUSERS);
        CHILD_CHECK(bf_close(scene->filehs[4]) == 0);
        CHILD_CHECK(bf_open(scene->clients[2], scene->path, O_RDONLY, NULL, &fileh) == 0);
        CHILD_CHECK(bf_open(scene->clients[2], scene->path, O_RDONLY, NULL, &fileh) == -EUSERS);
        for (unsigned i = 0; i < 4; i++)
                CHILD_CHECK(*rig_word(scene->maps[i], 10 + i, 0) == 10 + i);
}

static int have_all(int line, void *arg) {
        struct scene scene = *(struct scene *) arg;

        child_hear(line);
        child_become(OTHER_UID);
        take_all(&scene);
        want_more(&scene);
        child_say(line, 1);
        child_hear(line);
        return 1; /* he is killed here */
}

static void test_two_users(void **state) {
        struct scene scene, mine;
        struct child *first, *second;

        start(rig_here(state), &scene);
        mine = scene;
        first = rig_child(scene.rig, have_all, &scene);
        second = rig_child(scene.rig, have_all, &scene);
        child_say(first->line, 1);
        assert_int_equal(child_hear(first->line), 1);
        take_all(&mine); /* as if nobody were there */
        assert_int_equal(rig_pool_stat(mine.clients[0]).filehs, 2 * MAX_HANDLES);
        child_kill(first);
        child_say(second->line, 1); /* the same user again, when his first process is dead: he gets as much */
        assert_int_equal(child_hear(second->line), 1);
        child_kill(second);
        give_all_back(&mine);
}

/* What another daemon allowed is taken up by one that allows less; what is new is not. */
static void test_another_daemon_allows_less(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *filehs[3], *one_more = NULL;
        const char *path = rig_identity(rig, "data", N_PAGES);
        struct bf_client *client;
        uint64_t *maps[3];
        void *one_more_map;

        rig_daemon(rig, NULL);
        client = rig_client(rig);
        for (unsigned i = 0; i < 3; i++) {
                filehs[i] = rig_open(client, path, O_RDWR, 0);
                maps[i] = rig_map(filehs[i], 0, N_PAGES);
                *rig_word(maps[i], i, 0) = 1000 + i;
        }
        daemonproc_kill(&rig->daemon);
        rig_daemon(rig, "--uid-handles", "1", "--uid-mappings", "1", NULL);
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(*rig_word(maps[i], 10, 0), 10);
                assert_int_equal(*rig_word(maps[i], i, 0), 1000 + i);
                assert_int_equal(bf_writeout(filehs[i], RIG_STORE_MARK), 0);
        }
        assert_int_equal(rig_pool_stat(client).filehs, 3);
        assert_int_equal(bf_open(client, path, O_RDWR, NULL, &one_more), -EUSERS);
        assert_int_equal(bf_mmap(filehs[0], 0, RIG_PAGE, PROT_READ, &one_more_map), -EUSERS);
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(bf_munmap(maps[i]), 0);
                assert_int_equal(bf_close(filehs[i]), 0);
        }
        (void) rig_open(client, path, O_RDWR, 0);
}

/* --- dirty bytes ---------------------------------------------------------------------------------------------------------------------------------- */

#define DIRTY_PAGES 512 /* 2M */
#define DIRTY_FILE_PAGES 540

static uint64_t *map_dirty_file(struct bf_client *client, const char *path, struct bf_fileh **ret_fileh) {
        uint64_t *map;

        CHILD_CHECK(bf_open(client, path, O_RDWR, NULL, ret_fileh) == 0);
        CHILD_CHECK(bf_advise(*ret_fileh, 0, 0, BF_ADVICE_RANDOM) == 0);
        CHILD_CHECK(bf_mmap(*ret_fileh, 0, DIRTY_FILE_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, (void **) &map) == 0);
        return map;
}

static void *at(uint64_t *map, uint64_t page) {
        return (void *) (uintptr_t) rig_word(map, page, 0);
}

/* Dirty up to the limit: then a write fails, to a page that is there (520) and to one that is not (521), and nothing else does. */
static int write_too_much(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client;
        struct bf_fileh *fileh;
        struct probe_hit hit;
        uint64_t *map;

        child_hear(line);
        child_become(OTHER_UID);
        probe_install();
        CHILD_CHECK(bf_connect(&client, scene->address) == 0);
        map = map_dirty_file(client, scene->path, &fileh);
        CHILD_CHECK(*rig_word(map, 520, 0) == 520);
        for (uint64_t page = 0; page < DIRTY_PAGES; page++)
                *rig_word(map, page, 0) = page + 1000;
        child_say(line, 1);
        for (uint64_t page = 520; page < 522; page++) {
                CHILD_CHECK(probe_write(at(map, page), 1, &hit) == SIGBUS);
                CHILD_CHECK(hit.known == 0 && hit.error == EDQUOT);
        }
        CHILD_CHECK(*rig_word(map, 522, 0) == 522);
        CHILD_CHECK(bf_load(fileh, 523 * RIG_PAGE, RIG_PAGE) == 0);
        for (uint64_t page = 0; page < DIRTY_PAGES; page++) {
                CHILD_CHECK(*rig_word(map, page, 0) == page + 1000);
                *rig_word(map, page, 1) = 1;
        }
        CHILD_CHECK(bf_writeout(fileh, RIG_STORE_MARK) == 0);
        CHILD_CHECK(probe_write(at(map, 520), 1, &hit) == SIGBUS); /* a failed page stays so */
        CHILD_CHECK(bf_invalidate(fileh, 520 * RIG_PAGE, 2 * RIG_PAGE) == 0);
        for (uint64_t page = 520; page < 522; page++) {
                CHILD_CHECK(*rig_word(map, page, 0) == page);
                *rig_word(map, page, 0) = page + 1000;
        }
        child_say(line, 2);
        child_hear(line);
        return 0;
}

static void test_dirty_bytes_of_two_users(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig };
        struct bf_fileh *fileh;
        struct child *child;
        uint64_t *map;

        if (geteuid() != 0) {
                print_message("skipped: needs root\n");
                skip();
        }
        rig_daemon(rig, "--pool", "64M", "--socket-mode", "0666", "--uid-dirty", "2M", "--room-timeout", "0.2", NULL);
        scene.address = rig_address(rig);
        scene.path = rig_identity(rig, "his", DIRTY_FILE_PAGES);
        assert_int_equal(chown(scene.path, OTHER_UID, OTHER_UID), 0);
        child = rig_child(rig, write_too_much, &scene);
        fileh = rig_open(rig_client(rig), rig_identity(rig, "mine", DIRTY_FILE_PAGES), O_RDWR, 0);
        map = rig_map(fileh, 0, DIRTY_FILE_PAGES);
        child_say(child->line, 1);
        assert_int_equal(child_hear(child->line), 1);
        for (uint64_t page = 0; page < DIRTY_PAGES; page++) /* while he waits */
                *rig_word(map, page, 0) = page + 2000;
        assert_int_equal(child_hear(child->line), 2);
        for (uint64_t page = 0; page < DIRTY_PAGES; page++)
                assert_int_equal(*rig_word(map, page, 0), page + 2000);
        assert_int_equal(rig_pool_stat(rig->clients[0]).dirty_bytes, (DIRTY_PAGES + 2) * RIG_PAGE);
        child_say(child->line, 1);
        assert_int_equal(child_wait(child), 0);
}

static int fill_account(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;

        CHILD_CHECK(bf_connect(&client, scene->address) == 0);
        map = map_dirty_file(client, scene->path, &fileh);
        for (uint64_t page = 0; page < 4; page++)
                *rig_word(map, page, 0) = 1;
        child_say(line, 1);
        child_hear(line);
        return 0;
}

/* Four threads wait to write: two to pages that are there, two to pages that are not. */
static void check_writers_freed(struct rig *rig, struct bf_fileh *fileh, uint64_t *map, void (*make_room)(struct rig *rig, struct bf_fileh *fileh)) {
        struct worker *writers[4];

        for (uint64_t i = 0; i < 4; i++) {
                if (i < 2)
                        assert_int_equal(*rig_word(map, 520 + i, 0), 520 + i);
                writers[i] = rig_worker(rig, worker_write, at(map, 520 + i), NULL, 7 + i, 0);
                worker_wait_fault(writers[i]);
        }
        assert_int_equal(*rig_word(map, 530, 0), 530); /* readers do not wait */
        for (uint64_t i = 0; i < 4; i++)
                assert_false(worker_is_done(writers[i]));
        make_room(rig, fileh);
        for (uint64_t i = 0; i < 4; i++) {
                worker_join(writers[i]);
                assert_int_equal(writers[i]->hit.signo, 0);
                assert_int_equal(*rig_word(map, 520 + i, 0), 7 + i);
        }
        assert_states(fileh, 520, "DDDDE");
        assert_true(rig_pool_stat(rig->clients[0]).dirty_bytes <= DIRTY_PAGES * RIG_PAGE);
        assert_int_equal(bf_discard(fileh), 0);
}

static void by_writeout(struct rig *rig, struct bf_fileh *fileh) {
        (void) rig;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
}

static void by_discard(struct rig *rig, struct bf_fileh *fileh) {
        (void) rig;
        assert_int_equal(bf_discard(fileh), 0);
}

static void by_invalidate(struct rig *rig, struct bf_fileh *fileh) {
        (void) rig;
        assert_int_equal(bf_invalidate(fileh, 10 * RIG_PAGE, 4 * RIG_PAGE), 0);
}

/* Of the other client of the same user, who has four dirty pages. */
static void by_a_death(struct rig *rig, struct bf_fileh *fileh) {
        (void) fileh;
        child_kill(&rig->children[0]);
}

static void test_writers_are_freed(void **state) {
        static void (*const ways[])(struct rig *rig, struct bf_fileh *fileh) = { by_writeout, by_discard, by_invalidate, by_a_death };
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig };
        struct bf_fileh *fileh;
        struct child *child;
        uint64_t *map;

        rig_daemon(rig, "--pool", "64M", "--uid-dirty", "2M", "--room-timeout", "1000", NULL);
        scene.address = rig_address(rig);
        scene.path = rig_identity(rig, "data", DIRTY_FILE_PAGES);
        child = rig_child(rig, fill_account, &scene);
        assert_int_equal(child_hear(child->line), 1);
        fileh = rig_open(rig_client(rig), rig_identity(rig, "mine", DIRTY_FILE_PAGES), O_RDWR, 0);
        map = rig_map(fileh, 0, DIRTY_FILE_PAGES);
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                for (uint64_t page = 0; page < DIRTY_PAGES - 4; page++)
                        *rig_word(map, page, 0) = page;
                assert_int_equal(rig_pool_stat(rig->clients[0]).dirty_bytes, DIRTY_PAGES * RIG_PAGE);
                check_writers_freed(rig, fileh, map, ways[i]);
        }
}

/* What waits when its mapping goes is forgotten: the daemon ends well, and so does who takes the mapping away. */
static void test_writers_that_go(void **state) {
        struct rig *rig = rig_here(state);
        struct worker *writer;
        struct bf_fileh *fileh;
        uint64_t *map, *other;

        rig_daemon(rig, "--pool", "64M", "--uid-dirty", "2M", "--room-timeout", "1000", NULL);
        fileh = rig_open(rig_client(rig), rig_identity(rig, "mine", DIRTY_FILE_PAGES), O_RDWR, 0);
        map = rig_map(fileh, 0, DIRTY_FILE_PAGES);
        other = rig_map(fileh, 0, DIRTY_FILE_PAGES);
        for (uint64_t page = 0; page < DIRTY_PAGES; page++)
                *rig_word(map, page, 0) = page;
        writer = rig_worker(rig, worker_write, at(other, 520), NULL, 7, 0);
        worker_wait_fault(writer);
        assert_int_equal(bf_load(fileh, 520 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(bf_munmap(other), 0);
        worker_join(writer);
        assert_int_equal(writer->hit.signo, SIGSEGV);
        assert_int_equal(bf_discard(fileh), 0);
        *rig_word(map, 520, 0) = 1;
        assert_states(fileh, 520, "D");
}

/* What is dirty when another daemon takes over is dirty there, be it more than that one allows: it can be written again, and new pages wait. */
static void test_another_daemon_allows_fewer_dirty_bytes(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh;
        struct probe_hit hit;
        uint64_t *map;

        rig_daemon(rig, "--pool", "64M", NULL);
        fileh = rig_open(rig_client(rig), rig_identity(rig, "mine", 2 * DIRTY_PAGES), O_RDWR, 0);
        map = rig_map(fileh, 0, 2 * DIRTY_PAGES);
        for (uint64_t page = 0; page < DIRTY_PAGES + 100; page++)
                *rig_word(map, page, 0) = page + 1000;
        daemonproc_kill(&rig->daemon);
        rig_daemon(rig, "--pool", "64M", "--uid-dirty", "2M", "--room-timeout", "0.2", NULL);
        assert_int_equal(*rig_word(map, 2 * DIRTY_PAGES - 1, 0), 2 * DIRTY_PAGES - 1);
        for (uint64_t page = 0; page < DIRTY_PAGES + 100; page++) {
                assert_int_equal(*rig_word(map, page, 0), page + 1000);
                *rig_word(map, page, 1) = 1;
        }
        assert_int_equal(probe_write(at(map, 2 * DIRTY_PAGES - 1), 1, &hit), SIGBUS);
        assert_int_equal(hit.error, EDQUOT);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        *rig_word(map, 2 * DIRTY_PAGES - 2, 0) = 1;
        assert_int_equal(rig_pool_stat(rig->clients[0]).dirty_bytes, RIG_PAGE);
}

/* --- loads under way ------------------------------------------------------------------------------------------------------------------------------ */

#define HANDLES_OF_FIVE_LEFT 4 /* one serves the file */

static struct opsfile *serve(struct bf_client *server, uint64_t size) {
        struct opsfile *file = opsfile_new(size, RIG_PAGE);
        struct bf_open_opts opts = { .size = sizeof(opts), .name = "served", .block_size = RIG_PAGE };
        struct bf_fileh *fileh;

        assert_int_equal(bf_open_ops(server, &opsfile_ops, file, size, &opts, &fileh), 0);
        return file;
}

static void begin_load(struct bf_fileh *fileh) {
        assert_int_equal(bf_advise(fileh, 0, RIG_PAGE, BF_ADVICE_WILLNEED), 0);
        while (bf_page_state(fileh, 0) != BF_PAGE_LOADING)
                sched_yield();
}

static int open_served(struct bf_client *client, struct bf_fileh **ret_fileh) {
        return bf_open(client, "ops:served", O_RDWR, NULL, ret_fileh);
}

static void by_close(struct rig *rig, struct bf_client *client) {
        struct bf_fileh *fileh;

        (void) rig;
        assert_int_equal(open_served(client, &fileh), 0);
        begin_load(fileh);
        assert_int_equal(bf_close(fileh), 0);
}

static void by_disconnect(struct rig *rig, struct bf_client *client) {
        uint64_t n_filehs = rig_pool_stat(client).filehs;
        struct bf_client *other = rig_client(rig);
        struct bf_fileh *fileh;

        assert_int_equal(open_served(other, &fileh), 0);
        begin_load(fileh);
        rig_disconnect(rig, other);
        while (rig_pool_stat(client).filehs != n_filehs)
                sched_yield();
}

/* A load does not end when its file is closed: who closes many that hang cannot open ever more. */
static void test_closed_files_that_hang(void **state) {
        static void (*const ways[])(struct rig *rig, struct bf_client *client) = { by_close, by_disconnect };
        struct rig *rig = rig_here(state);
        struct bf_fileh *filehs[HANDLES_OF_FIVE_LEFT], *one_more = NULL;
        struct bf_client *client, *server;
        struct opsfile *file;
        unsigned n_fds, n_refused;

        rig_daemon(rig, "--pool", "64M", "--uid-handles", "5", NULL);
        server = rig_client(rig);
        file = serve(server, N_PAGES * RIG_PAGE);
        client = rig_client(rig);
        n_fds = rig_count_fds(rig, client);
        for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
                opsfile_hold(file, OPSFILE_LOAD, OPSFILE_ANY);
                for (unsigned i = 0; i < HANDLES_OF_FIVE_LEFT; i++)
                        ways[way](rig, client);
                n_refused = 0;
                for (unsigned i = 0; i < 3; i++)
                        n_refused += open_served(client, &one_more) == -EUSERS;
                opsfile_release(file, OPSFILE_LOAD);
                assert_int_equal(n_refused, 3);
                assert_non_null(strstr(bf_errmsg(), "--uid-handles"));
                for (unsigned i = 0; i < HANDLES_OF_FIVE_LEFT; i++)
                        while (open_served(client, &filehs[i]) == -EUSERS)
                                sched_yield();
                for (unsigned i = 0; i < HANDLES_OF_FIVE_LEFT; i++) {
                        assert_int_equal(bf_load(filehs[i], 0, N_PAGES * RIG_PAGE), 0);
                        assert_int_equal(bf_close(filehs[i]), 0);
                }
                rig_wait_fds(rig, client, n_fds);
                rig_wait_resident(client, 0);
        }
        rig_disconnect(rig, server);
        opsfile_free(file);
}

/* All that may be under way of served files waits for what is loaded of another one. */
static void load_from_below(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        (void) op;
        assert_int_equal(*rig_word(file->arg, block, 0), block);
}

static void test_one_file_served_from_another(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *below, *filehs[8];
        struct bf_client *client, *server;
        struct heldfs *heldfs;
        struct opsfile *file;

        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        heldfs = rig_heldfs(rig, RIG_SMALL_PAGES);
        client = rig_client(rig);
        below = rig_open(client, heldfs_path(heldfs), O_RDWR, 0);
        server = rig_client(rig);
        file = serve(server, RIG_SMALL_PAGES * RIG_PAGE);
        file->arg = rig_map(below, 0, RIG_SMALL_PAGES);
        file->on_call = load_from_below;
        heldfs_hold(heldfs, HELDFS_READ, HELDFS_ANY, HELDFS_ALWAYS);
        for (unsigned i = 0; i < 8; i++) {
                assert_int_equal(open_served(client, &filehs[i]), 0);
                assert_int_equal(bf_advise(filehs[i], 0, RIG_SMALL_PAGES * RIG_PAGE, BF_ADVICE_WILLNEED), 0);
        }
        heldfs_wait(heldfs, HELDFS_READ, HELDFS_ANY, 1);
        heldfs_clear(heldfs);
        for (unsigned i = 0; i < 8; i++)
                assert_int_equal(bf_load(filehs[i], 0, RIG_SMALL_PAGES * RIG_PAGE), 0);
        rig_disconnect(rig, server);
        opsfile_free(file);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_two_users),
                RIG_TEST(test_another_daemon_allows_less),
                RIG_TEST(test_dirty_bytes_of_two_users),
                RIG_TEST(test_writers_are_freed),
                RIG_TEST(test_writers_that_go),
                RIG_TEST(test_another_daemon_allows_fewer_dirty_bytes),
                RIG_TEST(test_closed_files_that_hang),
                RIG_TEST(test_one_file_served_from_another),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("user limits", tests, NULL, NULL);
}
