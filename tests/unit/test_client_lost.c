/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The memory of a client whose daemon is gone, with no other to be found: when the time to wait for one has passed, every touch that would need a
 * page is SIGBUS, whether it came before or after the end, and nothing hangs. The daemon is this test: it fills the memory, reads faults or leaves
 * them, and closes the connection. A test that hangs is ended by the harness.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bfclient.h"
#include "keeper.h"
#include "msec.h"
#include "process.h"
#include "uffd.h"
#include "uffd_abi.h"

#define PAGE ((size_t) 4096)
#define N_PAGES 16

/* How long to wait for another daemon. */
#define IMPATIENT_MSEC 0
#define PATIENT_MSEC 200
#define STUBBORN_MSEC 3600000

struct stage {
        struct session session;
        struct handles handles;
        struct dial dial; /* nobody serves this address */
        struct keeper keeper;
        struct bf_fileh *fileh;
        struct mapping mapping;
        int daemon; /* the other end of the session */
};

static _Thread_local sigjmp_buf touch_jump;

static void touch_on_sigbus(int signal) {
        siglongjmp(touch_jump, signal);
}

struct touch {
        pthread_t thread;
        char *address;
        bool write;
        int signal; /* 0: the touch succeeded */
};

static void *touch_run(void *data) {
        struct touch *touch = data;
        volatile char *p = touch->address;

        touch->signal = sigsetjmp(touch_jump, 1);
        if (touch->signal == 0) {
                if (touch->write)
                        *p = 'w';
                else
                        (void) *p;
        }
        return NULL;
}

static int touch_now(char *address, bool write) {
        struct touch touch = { .address = address, .write = write };

        (void) touch_run(&touch);
        return touch.signal;
}

static void touch_start(struct touch *touch, char *address, bool write) {
        *touch = (struct touch) { .address = address, .write = write };
        assert_int_equal(pthread_create(&touch->thread, NULL, touch_run, touch), 0);
}

/* Shows a page in the mapping, write-protected, as the daemon does. */
static void stage_show(struct stage *stage, size_t page) {
        static char content[PAGE];
        struct uffdio_copy copy = {
                .dst = (uintptr_t) stage->mapping.address + page * PAGE, .src = (uintptr_t) content, .len = PAGE, .mode = UFFDIO_COPY_MODE_WP,
        };

        memset(content, 'c', sizeof(content));
        assert_int_equal(ioctl(stage->fileh->uffd, UFFDIO_COPY, &copy), 0);
}

static void stage_map(struct stage *stage) {
        struct bf_fileh *fileh = stage->fileh;
        struct registry_entry entry;

        stage->mapping = (struct mapping) { .fileh = fileh, .length = N_PAGES * PAGE };
        stage->mapping.address = mmap(NULL, stage->mapping.length, PROT_READ | PROT_WRITE, MAP_SHARED, fileh->memory, 0);
        assert_ptr_not_equal(stage->mapping.address, MAP_FAILED);
        assert_int_equal(uffd_register(fileh->uffd, stage->mapping.address, stage->mapping.length, true), 0);
        entry = (struct registry_entry) {
                .process = process_id(),
                .address = (uintptr_t) stage->mapping.address,
                .length = stage->mapping.length,
                .block_size = PAGE,
                .ledger = -1,
        };
        assert_int_equal(registry_add(&entry, &stage->mapping.slot), 0);
        assert_int_equal(fileh_link_mapping(fileh, &stage->mapping), 0);
}

static int stage_start_keeper(struct stage *stage, int64_t timeout) {
        const struct keeper_params params = { .session = &stage->session, .handles = &stage->handles, .dial = &stage->dial, .timeout = timeout };

        stage->dial = (struct dial) {
                .address = { .kind = ADDRESS_UNIX, .path = "/nonexistent/bigfiled.sock" }, .daemon = strdup("the test"), .device = -1,
        };
        return keeper_start(&stage->keeper, &params);
}

static int stage_setup(void **state, int64_t timeout) {
        static struct stage stage;
        int fds[2], uffd;

        if (uffd_new(-1, true, &uffd) < 0) {
                print_message("skipped: %s\n", bf_errmsg());
                *state = NULL;
                return 0;
        }
        assert_int_equal(process_init(), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        stage.daemon = fds[1];
        session_init(&stage.session, fds[0], strdup("the test"));
        assert_int_equal(handles_init(&stage.handles), 0);
        assert_int_equal(fileh_new(&stage.session, &stage.handles, "file", &stage.fileh), 0);
        stage.fileh->block_size = stage.fileh->page_size = PAGE;
        stage.fileh->uffd = uffd;
        stage.fileh->memory = memfd_create("memory", MFD_CLOEXEC);
        assert_int_equal(ftruncate(stage.fileh->memory, N_PAGES * PAGE), 0);
        assert_int_equal(handles_add(&stage.handles, stage.fileh), 0);
        fileh_set_open(stage.fileh);
        stage_map(&stage);
        assert_int_equal(stage_start_keeper(&stage, timeout), 0);
        *state = &stage;
        return 0;
}

static int stage_setup_impatient(void **state) {
        return stage_setup(state, IMPATIENT_MSEC);
}

static int stage_setup_patient(void **state) {
        return stage_setup(state, PATIENT_MSEC);
}

static int stage_setup_stubborn(void **state) {
        return stage_setup(state, STUBBORN_MSEC);
}

static void stage_unmap(struct stage *stage) {
        pthread_mutex_lock(&stage->fileh->lock);
        registry_remove(stage->mapping.slot);
        munmap(stage->mapping.address, stage->mapping.length);
        LIST_REMOVE(&stage->mapping, entry);
        pthread_mutex_unlock(&stage->fileh->lock);
}

static int stage_teardown(void **state) {
        struct stage *stage = *state;

        if (!stage)
                return 0;
        stage_unmap(stage);
        handles_remove(&stage->handles, stage->fileh);
        fileh_free(stage->fileh);
        keeper_stop(&stage->keeper);
        session_fini(&stage->session);
        handles_fini(&stage->handles);
        dial_fini(&stage->dial);
        close(stage->daemon);
        return 0;
}

/* The stage, or the end of this test where there is no userfaultfd. SIGBUS is caught from here on. */
static struct stage *stage_enter(void **state) {
        struct sigaction action = { .sa_handler = touch_on_sigbus, .sa_flags = SA_NODEFER };

        if (!*state)
                skip();
        assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
        return *state;
}

static void stage_end_daemon(struct stage *stage) {
        assert_int_equal(shutdown(stage->daemon, SHUT_RDWR), 0);
}

/* The daemon ends, and the keeper has seen it. */
static void stage_suspend(struct stage *stage) {
        stage_end_daemon(stage);
        while (session_is_connected(&stage->session))
                usleep(1000);
}

static void test_missing(void **state) {
        struct stage *stage = stage_enter(state);
        struct touch touches[2];

        touch_start(&touches[0], stage->mapping.address, false);
        touch_start(&touches[1], stage->mapping.address + PAGE, true);
        stage_end_daemon(stage);
        for (size_t i = 0; i < 2; i++) {
                pthread_join(touches[i].thread, NULL);
                assert_int_equal(touches[i].signal, SIGBUS);
        }
        assert_int_equal(touch_now(stage->mapping.address + 2 * PAGE, false), SIGBUS);
        assert_int_equal(touch_now(stage->mapping.address + 3 * PAGE, true), SIGBUS);
        assert_int_equal(touch_now(stage->mapping.address, false), SIGBUS); /* and again */
}

/* A touch whose fault the daemon has read. */
static void stage_take_fault(struct stage *stage, struct touch *touch) {
        struct pollfd p = { .fd = stage->fileh->uffd, .events = POLLIN };
        uintptr_t address;

        touch_start(touch, stage->mapping.address + 5 * PAGE + 7, false);
        assert_int_equal(poll(&p, 1, -1), 1);
        assert_int_equal(uffd_read_fault(stage->fileh->uffd, &address), 1);
        assert_int_equal(address, (uintptr_t) stage->mapping.address + 5 * PAGE);
}

/* The daemon ended before it answered: nothing tells of that fault any more. */
static void test_fault_taken(void **state) {
        struct stage *stage = stage_enter(state);
        struct touch touch;

        stage_take_fault(stage, &touch);
        stage_end_daemon(stage);
        pthread_join(touch.thread, NULL);
        assert_int_equal(touch.signal, SIGBUS);
}

/* In RAM, but not in this mapping: only the daemon knows whether the content is right. */
static void test_minor(void **state) {
        struct stage *stage = stage_enter(state);

        assert_int_equal(pwrite(stage->fileh->memory, "x", 1, 4 * PAGE), 1);
        stage_end_daemon(stage);
        assert_int_equal(touch_now(stage->mapping.address + 4 * PAGE, false), SIGBUS);
}

/* A page that is there can be read on; a write that nobody would know of cannot be made. */
static void test_protected(void **state) {
        struct stage *stage = stage_enter(state);
        struct touch touch;

        stage_show(stage, 6);
        stage_show(stage, 7);
        touch_start(&touch, stage->mapping.address + 6 * PAGE, true);
        stage_end_daemon(stage);
        pthread_join(touch.thread, NULL);
        assert_int_equal(touch.signal, SIGBUS);
        assert_int_equal(touch_now(stage->mapping.address + 6 * PAGE, false), SIGBUS);
        assert_int_equal(touch_now(stage->mapping.address + 7 * PAGE, false), 0);
        assert_int_equal(stage->mapping.address[7 * PAGE], 'c');
        assert_int_equal(touch_now(stage->mapping.address + 7 * PAGE, true), SIGBUS);
}

/* What was protected and has been dropped since bears the mark of it still. */
static void test_dropped(void **state) {
        struct stage *stage = stage_enter(state);

        stage_show(stage, 8);
        assert_int_equal(fallocate(stage->fileh->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8 * PAGE, PAGE), 0);
        stage_end_daemon(stage);
        assert_int_equal(touch_now(stage->mapping.address + 8 * PAGE, false), SIGBUS);
}

static void test_reason(void **state) {
        struct stage *stage = stage_enter(state);
        int error = 0;

        assert_int_equal(bf_fault_error(stage->mapping.address, &error), -ENOENT);
        stage_end_daemon(stage);
        assert_int_equal(touch_now(stage->mapping.address, false), SIGBUS);
        assert_int_equal(bf_fault_error(stage->mapping.address, &error), 0);
        assert_int_equal(error, ENOTCONN);
        assert_int_equal(bf_fault_error(&error, &error), -ENOENT);
}

/* No handle and no mapping can come to be when the keeper has looked at what there is. */
static void test_nothing_new(void **state) {
        struct stage *stage = stage_enter(state);
        struct mapping mapping = { .fileh = stage->fileh };
        struct bf_fileh *fileh;

        stage_end_daemon(stage);
        assert_int_equal(touch_now(stage->mapping.address, false), SIGBUS);
        assert_int_equal(fileh_link_mapping(stage->fileh, &mapping), -ENOTCONN);
        assert_int_equal(fileh_new(&stage->session, &stage->handles, "other", &fileh), 0);
        assert_int_equal(handles_add(&stage->handles, fileh), -ENOTCONN);
        fileh_free(fileh);
}

#define N_THREADS 8

static void *crowd_run(void *data) {
        struct stage *stage = data;
        size_t n = 0;

        for (size_t page = 0; page < N_PAGES; page++)
                n += touch_now(stage->mapping.address + page * PAGE, page % 2) == SIGBUS;
        return (void *) n;
}

static void test_crowd(void **state) {
        struct stage *stage = stage_enter(state);
        pthread_t threads[N_THREADS];

        for (size_t i = 0; i < N_THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, stage), 0);
        stage_end_daemon(stage);
        for (size_t i = 0; i < N_THREADS; i++) {
                void *n;

                pthread_join(threads[i], &n);
                assert_int_equal((size_t) n, N_PAGES);
        }
}

/* The end of the client while the daemon is gone, with the keeper asleep: the teardown would hang. */
static void test_end(void **state) {
        struct stage *stage = stage_enter(state);

        stage_end_daemon(stage);
        assert_int_equal(touch_now(stage->mapping.address, false), SIGBUS);
}

struct request {
        pthread_t thread;
        struct session *session;
        int r;
};

static void *request_run(void *data) {
        struct request *request = data;
        struct call call = { .handle = NULL };

        wire_init(&call.msg, WIRE_POOL_STAT, 0);
        request->r = session_call(request->session, &call);
        return NULL;
}

static void request_start(struct request *request, struct stage *stage) {
        *request = (struct request) { .session = &stage->session };
        assert_int_equal(pthread_create(&request->thread, NULL, request_run, request), 0);
}

/* Faults, read by the daemon or not, and requests wait for another daemon as long as they may, and then fail. */
static void test_timeout(void **state) {
        struct stage *stage = stage_enter(state);
        struct touch touches[2];
        struct request request;
        int64_t end;

        stage_take_fault(stage, &touches[0]);
        touch_start(&touches[1], stage->mapping.address, true);
        request_start(&request, stage);
        end = msec_now();
        stage_end_daemon(stage);
        for (size_t i = 0; i < 2; i++) {
                pthread_join(touches[i].thread, NULL);
                assert_int_equal(touches[i].signal, SIGBUS);
                assert_true(msec_now() - end >= PATIENT_MSEC);
        }
        pthread_join(request.thread, NULL);
        assert_int_equal(request.r, -ENOTCONN);
        assert_true(msec_now() - end >= PATIENT_MSEC);
}

/* Until then pages that are there can be read, nothing is said to be lost, and there may be new handles and mappings. */
static void test_waiting(void **state) {
        struct stage *stage = stage_enter(state);
        struct mapping mapping = { .fileh = stage->fileh };
        struct bf_fileh *fileh;
        int error;

        stage_show(stage, 7);
        stage_suspend(stage);
        assert_int_equal(touch_now(stage->mapping.address + 7 * PAGE, false), 0);
        assert_int_equal(bf_fault_error(stage->mapping.address, &error), -ENOENT);
        assert_false(fileh_is_lost(stage->fileh));
        assert_int_equal(fileh_link_mapping(stage->fileh, &mapping), 0);
        fileh_unlink_mapping(stage->fileh, &mapping);
        assert_int_equal(fileh_new(&stage->session, &stage->handles, "other", &fileh), 0);
        assert_int_equal(handles_add(&stage->handles, fileh), 0);
        handles_remove(&stage->handles, fileh);
        fileh_free(fileh);
}

/* The end of the client is the end of all waiting. */
static void test_end_while_waiting(void **state) {
        struct stage *stage = stage_enter(state);
        struct request request;

        stage_suspend(stage);
        request_start(&request, stage);
        keeper_stop(&stage->keeper);
        pthread_join(request.thread, NULL);
        assert_int_equal(request.r, -ENOTCONN);
}

#define TEST_WITH(name, setup) cmocka_unit_test_setup_teardown(name, setup, stage_teardown)
#define TEST(name) TEST_WITH(name, stage_setup_impatient)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_missing),
                TEST(test_fault_taken),
                TEST(test_minor),
                TEST(test_protected),
                TEST(test_dropped),
                TEST(test_reason),
                TEST(test_nothing_new),
                TEST(test_crowd),
                TEST(test_end),
                TEST_WITH(test_timeout, stage_setup_patient),
                TEST_WITH(test_waiting, stage_setup_stubborn),
                TEST_WITH(test_end_while_waiting, stage_setup_stubborn),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
