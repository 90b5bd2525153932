/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The test's side of the lab. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/memfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chan.h"
#include "kernel_lab.h"

#define LAB_SECONDS 30      /* for each test: then SIGALRM ends the program */
#define LAB_PATIENCE 100    /* milliseconds in which nothing is to happen */
#define LAB_EVENT_WAIT 10000 /* milliseconds for what is to happen */

uint64_t lab_at(const struct lab *lab, unsigned mapping, uint64_t page) {
        return lab->addresses[mapping] + page * lab->page_size;
}

/* Skips the test where this kernel cannot do what every test here needs. */
static void lab_need_features(void) {
        struct uffdio_api api = { .api = UFFD_API };
        int fd = (int) syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

        if (fd < 0) {
                print_message("skipped: cannot create a userfaultfd: %s\n", strerror(errno));
                skip();
        }
        assert_int_equal(ioctl(fd, UFFDIO_API, &api), 0);
        close(fd);
        if ((api.features & BF_UFFD_FEATURES) != BF_UFFD_FEATURES) {
                print_message("skipped: the kernel's userfaultfd has %#llx, and %#llx is needed (Linux 6.6)\n", (unsigned long long) api.features,
                              (unsigned long long) BF_UFFD_FEATURES);
                skip();
        }
}

/* The client's own process: it keeps its ends of the lines only, so that it sees the test end. */
static _Noreturn void lab_client_process(struct lab *lab, struct lab_client *client) {
        for (unsigned i = 0; i < LAB_HANDS; i++)
                close(lab->hands[i]);
        _exit(lab_client_run(client));
}

static int lab_open_memory(const struct lab *lab, bool readonly) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", lab->memfd);
        return open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
}

static void lab_start_client(struct lab *lab, unsigned flags) {
        struct lab_client client = { .flags = flags, .page_size = lab->page_size, .length = lab->length, .shared = lab->shared, .device = -1 };

        client.memfd = lab_open_memory(lab, flags & LAB_READONLY);
        assert_true(client.memfd >= 0);
        if (flags & LAB_LENT) {
                client.device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
                if (client.device < 0) {
                        print_message("skipped: cannot open /dev/userfaultfd: %s\n", strerror(errno));
                        skip();
                }
        }
        for (unsigned i = 0; i < LAB_HANDS; i++) {
                int fds[2];

                assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
                lab->hands[i] = fds[0];
                client.hands[i] = fds[1];
        }
        fflush(NULL);
        lab->pid = fork();
        if (lab->pid == 0)
                lab_client_process(lab, &client);
        assert_true(lab->pid > 0);
        for (unsigned i = 0; i < LAB_HANDS; i++)
                close(client.hands[i]);
        if (client.device >= 0)
                close(client.device);
        close(client.memfd);
}

int lab_setup(void **state) {
        struct lab *lab = calloc(1, sizeof(*lab));

        if (!lab)
                return -1;
        *lab = (struct lab) { .memfd = -1, .uffd = -1 };
        for (unsigned i = 0; i < LAB_HANDS; i++)
                lab->hands[i] = -1;
        *state = lab;
        return 0;
}

struct lab *lab_begin(void **state, unsigned flags) {
        struct lab *lab = *state;
        struct chan_packet packet;

        lab_need_features();
        alarm(LAB_SECONDS);
        lab->shared = mmap(NULL, sizeof(*lab->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(lab->shared, MAP_FAILED);
        lab->page_size = flags & LAB_HUGE ? LAB_HUGE_PAGE : LAB_PAGE;
        lab->length = flags & LAB_HUGE ? LAB_HUGE_PAGES * LAB_HUGE_PAGE : LAB_LENGTH;
        lab->memfd = memfd_create("lab", MFD_CLOEXEC | MFD_ALLOW_SEALING | (flags & LAB_HUGE ? MFD_HUGETLB | MFD_HUGE_2MB : 0));
        assert_true(lab->memfd >= 0);
        assert_int_equal(ftruncate(lab->memfd, (off_t) lab->length), 0);
        lab_start_client(lab, flags);
        assert_int_equal(chan_receive(lab->hands[0], &packet), 1);
        if (packet.msg.header.flags == EPERM && geteuid() != 0) {
                print_message("skipped: this user may not have a userfaultfd\n");
                skip();
        }
        assert_int_equal(packet.msg.header.flags, 0); /* the errno that the client met */
        assert_int_equal(packet.n_fds, 1);
        lab->uffd = chan_packet_take(&packet, 0);
        lab->addresses[0] = packet.msg.map.address;
        lab->addresses[1] = packet.msg.map.offset;
        return lab;
}

void lab_kill(struct lab *lab) {
        if (lab->pid <= 0)
                return;
        kill(lab->pid, SIGKILL);
        waitpid(lab->pid, NULL, 0);
        lab->pid = 0;
}

static void lab_close(int fd) {
        if (fd >= 0)
                close(fd);
}

int lab_teardown(void **state) {
        struct lab *lab = *state;

        alarm(0);
        lab_kill(lab);
        for (unsigned i = 0; i < LAB_HANDS; i++)
                lab_close(lab->hands[i]);
        lab_close(lab->uffd);
        lab_close(lab->memfd);
        if (lab->shared)
                munmap(lab->shared, sizeof(*lab->shared));
        free(lab);
        return 0;
}

void lab_order(struct lab *lab, unsigned hand, enum lab_op op, uint64_t address, uint64_t value) {
        struct lab_order order = { .op = op, .address = address, .value = value };

        assert_int_equal(send(lab->hands[hand], &order, sizeof(order), MSG_NOSIGNAL), sizeof(order));
}

struct lab_answer lab_answer(struct lab *lab, unsigned hand) {
        struct lab_answer answer;

        assert_int_equal(recv(lab->hands[hand], &answer, sizeof(answer), 0), sizeof(answer));
        return answer;
}

struct lab_answer lab_do(struct lab *lab, unsigned hand, enum lab_op op, uint64_t address, uint64_t value) {
        lab_order(lab, hand, op, address, value);
        return lab_answer(lab, hand);
}

static bool lab_is_readable(int fd, int timeout) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };

        return poll(&pollfd, 1, timeout) == 1 && pollfd.revents == POLLIN;
}

void lab_assert_asleep(struct lab *lab, unsigned hand) {
        assert_false(lab_is_readable(lab->hands[hand], LAB_PATIENCE));
}

void lab_assert_fault(struct lab *lab, uint64_t address, uint64_t flags) {
        struct uffd_msg msg;

        assert_true(lab_is_readable(lab->uffd, LAB_EVENT_WAIT));
        assert_int_equal(read(lab->uffd, &msg, sizeof(msg)), sizeof(msg));
        assert_int_equal(msg.event, UFFD_EVENT_PAGEFAULT);
        assert_int_equal(msg.arg.pagefault.address & ~(lab->page_size - 1), address);
        assert_int_equal(msg.arg.pagefault.flags, flags);
}

void lab_assert_no_event(struct lab *lab) {
        struct uffd_msg msg;

        assert_int_equal(read(lab->uffd, &msg, sizeof(msg)), -1);
        assert_int_equal(errno, EAGAIN);
}

uint64_t lab_take_move(struct lab *lab, uint64_t from) {
        struct uffd_msg msg;

        assert_true(lab_is_readable(lab->uffd, LAB_EVENT_WAIT));
        assert_int_equal(read(lab->uffd, &msg, sizeof(msg)), sizeof(msg));
        assert_int_equal(msg.event, UFFD_EVENT_REMAP);
        assert_int_equal(msg.arg.remap.from, from);
        assert_int_equal(msg.arg.remap.len, lab->page_size);
        return msg.arg.remap.to;
}

/* done: where the kernel says how far it came */
static int lab_ioctl(struct lab *lab, unsigned long request, void *arg, const __s64 *done, int64_t *ret_done) {
        int r = ioctl(lab->uffd, request, arg) < 0 ? -errno : 0;

        if (ret_done)
                *ret_done = *done;
        return r;
}

int lab_copy(struct lab *lab, uint64_t address, uint64_t n_pages, uint64_t value, uint64_t mode, int64_t *ret_done) {
        static _Alignas(4096) uint64_t buf[LAB_HUGE_PAGES * LAB_HUGE_PAGE / sizeof(uint64_t)];
        struct uffdio_copy copy = { .dst = address, .src = (uintptr_t) buf, .len = n_pages * lab->page_size, .mode = mode };

        for (uint64_t i = 0; i < copy.len / sizeof(*buf); i++)
                buf[i] = value + i * sizeof(*buf) / lab->page_size;
        return lab_ioctl(lab, UFFDIO_COPY, &copy, &copy.copy, ret_done);
}

int lab_continue(struct lab *lab, uint64_t address, uint64_t n_pages, uint64_t mode, int64_t *ret_done) {
        struct uffdio_continue c = { .range = { .start = address, .len = n_pages * lab->page_size }, .mode = mode };

        return lab_ioctl(lab, UFFDIO_CONTINUE, &c, &c.mapped, ret_done);
}

int lab_poison(struct lab *lab, uint64_t address, uint64_t n_pages, int64_t *ret_done) {
        struct uffdio_poison p = { .range = { .start = address, .len = n_pages * lab->page_size } };

        return lab_ioctl(lab, UFFDIO_POISON, &p, &p.updated, ret_done);
}

int lab_protect(struct lab *lab, uint64_t address, uint64_t n_pages, bool protect) {
        struct uffdio_writeprotect wp = {
                .range = { .start = address, .len = n_pages * lab->page_size },
                .mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
        };

        return lab_ioctl(lab, UFFDIO_WRITEPROTECT, &wp, NULL, NULL);
}

int lab_wake(struct lab *lab, uint64_t address, uint64_t n_pages) {
        struct uffdio_range range = { .start = address, .len = n_pages * lab->page_size };

        return lab_ioctl(lab, UFFDIO_WAKE, &range, NULL, NULL);
}

int lab_punch(struct lab *lab, uint64_t page, uint64_t n_pages) {
        off_t offset = (off_t) (page * lab->page_size), length = (off_t) (n_pages * lab->page_size);

        return fallocate(lab->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) < 0 ? -errno : 0;
}

/* By a mapping of our own that nobody has registered: huge pages have no write(2). */
void lab_fill(struct lab *lab, uint64_t page, uint64_t value) {
        uint64_t *memory = mmap(NULL, lab->page_size, PROT_READ | PROT_WRITE, MAP_SHARED, lab->memfd, (off_t) (page * lab->page_size));

        assert_ptr_not_equal(memory, MAP_FAILED);
        *memory = value;
        munmap(memory, lab->page_size);
}

uint64_t lab_peek(struct lab *lab, uint64_t page) {
        uint64_t value;

        assert_int_equal(pread(lab->memfd, &value, sizeof(value), (off_t) (page * lab->page_size)), sizeof(value));
        return value;
}

int lab_run_as(uid_t uid, int (*fn)(void *arg), void *arg) {
        int status;
        pid_t pid;

        if (geteuid() != 0) {
                print_message("skipped: only root can become another user\n");
                skip();
        }
        fflush(NULL);
        pid = fork();
        if (pid == 0) {
                if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                        _exit(255);
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(fn(arg));
        }
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}
