/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Clients that hand a daemon what no daemon of its user made, or what they were given for less: nothing of it is taken up, and who had it before gets it back
 * unchanged.
 */

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger.h"
#include "rawpeer.h"
#include "tempfile.h"
#include "uffd_abi.h"
#include "watchdog.h"

#define SIZE (RAWPEER_PAGES * (uint64_t) RIG_PAGE)
#define NOBODY 65534

/* What ADOPT brings; all descriptors are borrowed. */
struct bundle {
        uint32_t flags;
        int file, uffd, memory, ledger;
        uint64_t size, block_size;
};

struct scene {
        struct rig *rig;
        int device;                  /* to make userfaultfds from */
        struct rawpeer_file handles[2]; /* two handles of one file, made by a daemon that is dead */
        int file;
        int line; /* to another daemon */
};

static struct scene start(void **state) {
        struct scene scene = { .rig = rig_here(state) };
        int line;

        rig_daemon(scene.rig, "--socket-mode", "666", NULL);
        line = rawpeer_greet(scene.rig, &scene.device);
        for (unsigned i = 0; i < 2; i++)
                rawpeer_open(scene.rig, line, scene.device, &scene.handles[i]);
        scene.file = rawpeer_open_backing(scene.rig);
        daemonproc_kill(&scene.rig->daemon);
        close(line);
        rig_daemon(scene.rig, "--socket-mode", "666", NULL);
        scene.line = rawpeer_greet(scene.rig, NULL);
        return scene;
}

static struct bundle bundle_of(const struct scene *scene, unsigned i) {
        const struct rawpeer_file *handle = &scene->handles[i];

        return (struct bundle) {
                .file = scene->file, .uffd = handle->uffd, .memory = handle->memory, .ledger = handle->ledger, .size = SIZE, .block_size = RIG_PAGE
        };
}

static int adopt_with(int line, const struct bundle *bundle, int spill) {
        int fds[5] = { bundle->file, bundle->uffd, bundle->memory, bundle->ledger, spill };
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, WIRE_ADOPT, 0);
        msg.header.flags = bundle->flags;
        msg.open.size = bundle->size;
        msg.open.block_size = bundle->block_size;
        return rawpeer_call(line, &msg, fds, spill < 0 ? 4 : 5, &reply);
}

/* Nothing is spilled: it can do without its spill file. */
static int adopt(int line, const struct bundle *bundle) {
        return adopt_with(line, bundle, -1);
}

/* Each handle can be taken up as it was: nothing has happened to it. Then all goes. */
static void end(struct scene *scene) {
        for (unsigned i = 0; i < 2; i++) {
                struct bundle bundle = bundle_of(scene, i);

                assert_int_equal(adopt(scene->line, &bundle), 0);
                rawpeer_close_file(&scene->handles[i]);
        }
        close(scene->line);
        close(scene->file);
        close(scene->device);
}

static void test_what_is_right_is_taken_up_once(void **state) {
        struct scene scene = start(state);
        struct bundle bundle = bundle_of(&scene, 0);
        int other = rawpeer_greet(scene.rig, NULL);

        assert_int_equal(adopt(other, &bundle), 0);
        assert_int_equal(adopt(scene.line, &bundle), -EBUSY);
        bundle.flags = WIRE_OPEN_SHARED; /* the one who has it does not share it */
        assert_int_equal(adopt(scene.line, &bundle), -EBUSY);
        close(other);
        for (unsigned i = 0; i < 2; i++)
                rawpeer_close_file(&scene.handles[i]);
        close(scene.line);
        close(scene.file);
        close(scene.device);
}

static int make_memfd(const char *name, uint64_t size, unsigned seals) {
        int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t) size), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static void test_memories_that_are_none(void **state) {
        struct scene scene = start(state);
        const int memories[] = {
                make_memfd("bigfiled", SIZE, 0),                     /* anybody can shrink it */
                make_memfd("bigfiled", SIZE - 1, F_SEAL_SHRINK),     /* too small */
                make_memfd("bigfiled", SIZE, F_SEAL_SHRINK),         /* not the one that the ledger is of */
                make_memfd("bigfiled-ledger", SIZE, F_SEAL_SHRINK),
                dup(scene.handles[0].ledger),
                dup(scene.handles[1].memory),
                dup(scene.file),
                eventfd(0, EFD_CLOEXEC),
                open("/dev/zero", O_RDWR | O_CLOEXEC),
                open(scene.rig->dir, O_RDONLY | O_CLOEXEC),
        };

        for (unsigned i = 0; i < sizeof(memories) / sizeof(*memories); i++) {
                struct bundle bundle = bundle_of(&scene, 0);

                bundle.memory = memories[i];
                assert_int_equal(adopt(scene.line, &bundle), -EINVAL);
                close(memories[i]);
        }
        end(&scene);
}

static void test_ledgers_that_are_none(void **state) {
        struct scene scene = start(state);
        const int ledgers[] = {
                make_memfd("bigfiled-ledger", 8192, 0),
                make_memfd("bigfiled-ledger", 100, F_SEAL_SHRINK),
                make_memfd("bigfiled-ledger", 8192, F_SEAL_SHRINK), /* empty */
                make_memfd("bigfiled", 8192, F_SEAL_SHRINK),
                dup(scene.handles[0].memory),
                dup(scene.handles[1].ledger),
                dup(scene.file),
                eventfd(0, EFD_CLOEXEC),
                open("/dev/zero", O_RDWR | O_CLOEXEC),
        };

        for (unsigned i = 0; i < sizeof(ledgers) / sizeof(*ledgers); i++) {
                struct bundle bundle = bundle_of(&scene, 0);

                bundle.ledger = ledgers[i];
                assert_int_equal(adopt(scene.line, &bundle), -EINVAL);
                close(ledgers[i]);
        }
        end(&scene);
}

/* A file of this user without a name, as a daemon makes one. */
static int make_nameless(const struct scene *scene) {
        int fd = open(scene->rig->dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        return fd;
}

/* The spill file is the one that the ledger names, and no other. Brought as it was given, for reading only, it is taken. */
static void test_spill_files_that_are_none(void **state) {
        struct scene scene = start(state);
        struct bundle bundle = bundle_of(&scene, 0);
        const int files[] = {
                make_nameless(&scene), dup(scene.handles[1].spill),           dup(scene.file), dup(scene.handles[0].memory),
                eventfd(0, EFD_CLOEXEC), open("/dev/zero", O_RDWR | O_CLOEXEC), open(scene.rig->dir, O_RDONLY | O_CLOEXEC),
        };

        for (unsigned i = 0; i < sizeof(files) / sizeof(*files); i++) {
                assert_int_equal(adopt_with(scene.line, &bundle, files[i]), -EINVAL);
                close(files[i]);
        }
        assert_int_equal(fcntl(scene.handles[0].spill, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(adopt_with(scene.line, &bundle, scene.handles[0].spill), 0);
        rawpeer_close_file(&scene.handles[0]);
        bundle = bundle_of(&scene, 1);
        assert_int_equal(adopt(scene.line, &bundle), 0);
        rawpeer_close_file(&scene.handles[1]);
        close(scene.line);
        close(scene.file);
        close(scene.device);
}

static void test_fields_that_do_not_fit(void **state) {
        struct scene scene = start(state);
        struct bundle bundles[5];

        for (unsigned i = 0; i < 5; i++)
                bundles[i] = bundle_of(&scene, 0);
        bundles[0].size = SIZE + 1;
        bundles[1].size = UINT64_MAX;
        bundles[2].block_size = 2 * RIG_PAGE;
        bundles[3].block_size = 0;
        bundles[4].flags = WIRE_OPEN_HUGE;
        bundles[4].block_size = WIRE_BLOCK_MAX;
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(adopt(scene.line, &bundles[i]), -EINVAL);
        end(&scene);
}

/* The pages are of one file. Another in its place would be read into it, and be written from it. */
static void test_another_file(void **state) {
        struct scene scene = start(state);
        struct bundle bundle = bundle_of(&scene, 0);

        bundle.file = open(rig_identity(scene.rig, "another", RAWPEER_PAGES), O_RDWR | O_CLOEXEC);
        assert_int_equal(adopt(scene.line, &bundle), -EINVAL);
        bundle.flags = WIRE_OPEN_SHARED;
        assert_int_equal(adopt(scene.line, &bundle), -EINVAL);
        bundle.flags = WIRE_OPEN_SHARED | WIRE_OPEN_READONLY;
        assert_int_equal(adopt(scene.line, &bundle), -EINVAL);
        close(bundle.file);
        end(&scene);
}

/* Who was given the memory read-only does not come back as one who may write, whatever file he can write. */
static void test_a_readonly_memory_makes_no_writer(void **state) {
        struct scene scene = start(state);
        struct bundle bundle = bundle_of(&scene, 0);
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", bundle.memory);
        bundle.memory = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(adopt(scene.line, &bundle), -EINVAL);
        bundle.flags = WIRE_OPEN_SHARED;
        assert_int_equal(adopt(scene.line, &bundle), -EINVAL);
        close(bundle.memory);
        end(&scene);
}

/* A handle that was closed in order is nobody's. */
static void test_what_was_closed_is_gone(void **state) {
        struct scene scene = start(state);
        struct bundle bundle = bundle_of(&scene, 0);
        int other = rawpeer_greet(scene.rig, NULL);
        struct chan_packet reply;
        union wire_msg msg;
        int fds[4] = { bundle.file, bundle.uffd, bundle.memory, bundle.ledger };

        wire_init(&msg, WIRE_ADOPT, 0);
        msg.open.size = SIZE;
        msg.open.block_size = RIG_PAGE;
        assert_int_equal(rawpeer_call(other, &msg, fds, 4, &reply), 0);
        wire_init(&msg, WIRE_CLOSE, 0);
        msg.handle.handle = reply.msg.open_reply.handle;
        assert_int_equal(rawpeer_call(other, &msg, NULL, 0, &reply), 0);
        assert_int_equal(adopt(scene.line, &bundle), -EINVAL);
        close(other);
        for (unsigned i = 0; i < 2; i++)
                rawpeer_close_file(&scene.handles[i]);
        close(scene.line);
        close(scene.file);
        close(scene.device);
}

static bool log_has(const struct scene *scene, const char *words) {
        FILE *log = fopen(scene->rig->daemon.log, "re");
        char line[1024];
        bool found = false;

        assert_non_null(log);
        while (!found && fgets(line, sizeof(line), log))
                found = strstr(line, words);
        fclose(log);
        return found;
}

/* a ledger that a daemon of another version made: refused, with words in the log; nothing of it is lost, so that the right version can take it up */
static void test_a_ledger_of_another_version(void **state) {
        struct scene scene = start(state);
        struct bundle bundle = bundle_of(&scene, 0);
        uint64_t magic = LEDGER_MAGIC, another = LEDGER_MAGIC - (UINT64_C(1) << 56);
        char path[64];
        int ledger;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", bundle.ledger);
        ledger = open(path, O_RDWR | O_CLOEXEC); /* as the daemon's own user */
        assert_true(ledger >= 0);
        assert_int_equal(pwrite(ledger, &another, sizeof(another), offsetof(struct ledger_header, magic)), sizeof(another));
        assert_int_equal(adopt(scene.line, &bundle), -EINVAL);
        assert_true(log_has(&scene, "another version of bigfiled"));
        assert_int_equal(pwrite(ledger, &magic, sizeof(magic), offsetof(struct ledger_header, magic)), sizeof(magic));
        close(ledger);
        end(&scene);
}

/* In a process of another user, where no assertion of cmocka can be used: makes a memory and a ledger as a daemon makes them, down to every number. */
static int forge(int line, void *arg) {
        struct ledger_header header = { .magic = LEDGER_MAGIC, .capacity = LEDGER_CAPACITY_MIN, .block_size = RIG_PAGE, .size = SIZE };
        const struct scene *scene = arg;
        int memory, ledger, daemon, uffd;
        struct uffdio_api api = { .api = UFFD_API, .features = BF_UFFD_FEATURES };
        struct chan_packet reply;
        union wire_msg msg;
        struct stat st;

        CHILD_CHECK(setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
        memory = memfd_create("bigfiled", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        ledger = memfd_create("bigfiled-ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        CHILD_CHECK(ftruncate(memory, SIZE) == 0 && fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0 && fstat(memory, &st) == 0);
        header.memory_inode = st.st_ino;
        CHILD_CHECK(ftruncate(ledger, 8192) == 0 && fcntl(ledger, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
        CHILD_CHECK(pwrite(ledger, &header, sizeof(header), 0) == sizeof(header));

        CHILD_CHECK(chan_connect(scene->rig->daemon.socket, &daemon) == 0);
        wire_init(&msg, WIRE_HELLO, 1);
        msg.hello.version = WIRE_VERSION;
        CHILD_CHECK(chan_send(daemon, &msg, NULL, 0) == 0 && chan_receive(daemon, &reply) == 1 && reply.n_fds == 1);
        uffd = ioctl(reply.fds[0], USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        CHILD_CHECK(uffd >= 0 && ioctl(uffd, UFFDIO_API, &api) == 0);
        wire_init(&msg, WIRE_ADOPT, 2);
        msg.open.size = SIZE;
        msg.open.block_size = RIG_PAGE;
        CHILD_CHECK(chan_send(daemon, &msg, (int[]) { scene->file, uffd, memory, ledger }, 4) == 0 && chan_receive(daemon, &reply) == 1);
        child_say(line, (uint64_t) -reply.msg.reply.error);
        return 0;
}

static void test_forged_by_another_user(void **state) {
        struct scene scene;
        struct child *child;

        if (geteuid() != 0) {
                print_message("skipped: only root can become another user\n");
                skip();
        }
        scene = start(state);
        assert_int_equal(chmod(scene.rig->dir, 0711), 0);
        child = rig_child(scene.rig, forge, &scene);
        assert_int_equal(child_hear(child->line), EINVAL);
        assert_int_equal(child_wait(child), 0);
        end(&scene);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_what_is_right_is_taken_up_once),
                RIG_TEST(test_memories_that_are_none),
                RIG_TEST(test_ledgers_that_are_none),
                RIG_TEST(test_spill_files_that_are_none),
                RIG_TEST(test_fields_that_do_not_fit),
                RIG_TEST(test_another_file),
                RIG_TEST(test_a_readonly_memory_makes_no_writer),
                RIG_TEST(test_what_was_closed_is_gone),
                RIG_TEST(test_a_ledger_of_another_version),
                RIG_TEST(test_forged_by_another_user),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("bad adopt", tests, NULL, NULL);
}
