/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files that one user serves and others open by their name: who may, and whose file it is where several have the name. */

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "opsserver.h"
#include "rig.h"
#include "watchdog.h"

#define OTHER_UID 10001
#define THIRD_UID 10002

struct visitor {
        const char *address;
        uid_t uid;
        gid_t gid;
        gid_t group; /* another one that he is in; 0: none */
        int expected;
};

static int visit(int line, void *arg) {
        const struct visitor *visitor = arg;
        struct bf_client *client;
        struct bf_fileh *fileh;
        void *map;

        if (child_hear(line) == CHILD_GONE)
                return 1;
        CHILD_CHECK(setgroups(visitor->group ? 1 : 0, &visitor->group) == 0);
        CHILD_CHECK(setresgid(visitor->gid, visitor->gid, visitor->gid) == 0 && setresuid(visitor->uid, visitor->uid, visitor->uid) == 0);
        CHILD_CHECK(prctl(PR_SET_DUMPABLE, 1) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        CHILD_CHECK(bf_connect(&client, visitor->address) == 0);
        CHILD_CHECK(bf_open(client, "ops:table", O_RDWR, NULL, &fileh) == visitor->expected);
        if (visitor->expected == 0) {
                CHILD_CHECK(bf_mmap(fileh, 5 * RIG_PAGE, RIG_PAGE, PROT_READ | PROT_WRITE, &map) == 0);
                CHILD_CHECK(*(volatile uint64_t *) map == 5);
        }
        bf_disconnect(client);
        return 0;
}

static void check_visitors(struct rig *rig, int same_group) {
        static struct opsserver server = { .uid = OTHER_UID };
        static struct visitor visitors[5];
        struct child *children[5], *child;

        child = opsserver_new(rig, &server);
        visitors[0] = (struct visitor) { NULL, OTHER_UID, OTHER_UID, 0, 0 };
        visitors[1] = (struct visitor) { NULL, THIRD_UID, THIRD_UID, 0, -ENOENT };
        visitors[2] = (struct visitor) { NULL, THIRD_UID, OTHER_UID, 0, same_group };
        visitors[3] = (struct visitor) { NULL, THIRD_UID, THIRD_UID, OTHER_UID, same_group };
        visitors[4] = (struct visitor) { NULL, 0, 0, 0, 0 };
        for (unsigned i = 0; i < 5; i++) {
                visitors[i].address = rig_address(rig);
                children[i] = rig_child(rig, visit, &visitors[i]);
        }
        opsserver_begin(child);
        for (unsigned i = 0; i < 5; i++) {
                child_say(children[i]->line, 0);
                assert_int_equal(child_wait(children[i]), 0);
        }
}

static void need_root(void) {
        if (geteuid() != 0) {
                print_message("skipped: only root can be another user\n");
                skip();
        }
}

static void test_other_users(void **state) {
        struct rig *rig = rig_here(state);

        need_root();
        rig_daemon(rig, "--pool", "64M", "--socket-mode", "0666", NULL);
        check_visitors(rig, -ENOENT);
}

/* Opens the name as root; the page comes from that server. */
static struct bf_fileh *open_from(struct bf_client *client, const struct child *server) {
        struct bf_fileh *fileh;

        assert_int_equal(bf_open(client, "ops:table", O_RDWR, NULL, &fileh), 0);
        (void) opsserver_ask(server, OPSSERVER_N_CALLS, 0);
        assert_int_equal(bf_load(fileh, 5 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(opsserver_ask(server, OPSSERVER_N_CALLS, 0), 1);
        return fileh;
}

/* Three users serve one name: root gets one that is served before one that is no more, then its own, then the newest. */
static void test_whose_of_one_name(void **state) {
        static struct opsserver servers[3];
        static const uid_t uids[3] = { OTHER_UID, THIRD_UID, 0 };
        struct rig *rig = rig_here(state);
        struct child *children[3];
        struct bf_fileh *filehs[2];
        struct bf_client *client;

        need_root();
        rig_daemon(rig, "--pool", "64M", "--socket-mode", "0666", NULL);
        for (unsigned i = 0; i < 3; i++) {
                servers[i] = (struct opsserver) { .uid = uids[i] };
                children[i] = opsserver_new(rig, &servers[i]);
        }
        opsserver_begin(children[0]);
        opsserver_begin(children[1]);
        client = rig_client(rig);
        filehs[0] = open_from(client, children[1]);
        assert_int_equal(opsserver_ask(children[1], OPSSERVER_CLOSE, 0), 0);
        filehs[1] = open_from(client, children[0]);
        assert_int_equal(bf_close(filehs[0]), 0);
        assert_int_equal(bf_close(filehs[1]), 0);
        opsserver_begin(children[2]);
        assert_int_equal(opsserver_ask(children[1], OPSSERVER_REOPEN, 0), 0);
        (void) open_from(client, children[2]);
}

static void test_others_of_the_group(void **state) {
        struct rig *rig = rig_here(state);

        need_root();
        rig_daemon(rig, "--pool", "64M", "--socket-mode", "0666", "--served-group", "yes", NULL);
        check_visitors(rig, 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_other_users),
                RIG_TEST(test_others_of_the_group),
                RIG_TEST(test_whose_of_one_name),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("ops_users", tests, NULL, NULL);
}
