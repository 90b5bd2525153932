/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The client's side of the lab: it maps, registers, and then only touches memory when told. No assertion of cmocka here: it is another process. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
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

static __thread sigjmp_buf client_back;
static __thread volatile sig_atomic_t client_guarded;

static void client_on_signal(int signo) {
        if (client_guarded)
                siglongjmp(client_back, signo);
        _exit(1);
}

static int client_make_uffd(const struct lab_client *client) {
        int flags = O_CLOEXEC | O_NONBLOCK;

        if (client->flags & LAB_LENT)
                return ioctl(client->device, USERFAULTFD_IOC_NEW, flags);
        return (int) syscall(SYS_userfaultfd, flags | (client->flags & LAB_USER_MODE ? UFFD_USER_MODE_ONLY : 0));
}

/* Far from where the system puts what is mapped: nothing else comes to lie there when it is unmapped, as what a sanitizer maps would. */
#define CLIENT_MAP_BEGIN UINT64_C(0x200000000000)
#define CLIENT_MAP_STEP (UINT64_C(1) << 30)

static int client_map(const struct lab_client *client, int uffd, uint64_t *ret_address) {
        static uint64_t hint = CLIENT_MAP_BEGIN;
        bool readonly = client->flags & LAB_READONLY;
        struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | (readonly ? 0 : UFFDIO_REGISTER_MODE_WP) };
        void *p = mmap((void *) (uintptr_t) hint, client->length, readonly ? PROT_READ : PROT_READ | PROT_WRITE, (readonly ? MAP_PRIVATE : MAP_SHARED) | MAP_NORESERVE,
                       client->memfd, 0);

        hint += CLIENT_MAP_STEP;
        if (p == MAP_FAILED)
                return -errno;
        if (!(client->flags & LAB_FORKABLE) && madvise(p, client->length, MADV_DONTFORK) < 0)
                return -errno;
        reg.range = (struct uffdio_range) { .start = (uintptr_t) p, .len = client->length };
        if (ioctl(uffd, UFFDIO_REGISTER, &reg) < 0)
                return -errno;
        *ret_address = (uintptr_t) p;
        return 0;
}

static int client_pipe(const struct lab_order *order, bool out, uint64_t *ret_value) {
        void *memory = (void *) (uintptr_t) order->address;
        int fds[2], r = 0;

        *ret_value = order->value;
        if (pipe(fds) < 0)
                return -errno;
        if (write(fds[1], out ? memory : &order->value, sizeof(uint64_t)) < 0 || read(fds[0], out ? ret_value : memory, sizeof(uint64_t)) < 0)
                r = -errno;
        close(fds[0]);
        close(fds[1]);
        return r;
}

static uint64_t client_count_vmas(const struct lab_client *client, uint64_t address) {
        FILE *f = fopen("/proc/self/maps", "re");
        unsigned long long start, stop;
        uint64_t n = 0;
        char line[512];

        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "%llx-%llx", &start, &stop) == 2 && start >= address && stop <= address + client->length)
                        n++;
        if (f)
                fclose(f);
        return n;
}

/* What a child of this process finds there. */
static void client_fork_read(const struct lab_client *client, const struct lab_order *order, struct lab_answer *answer) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
                signal(SIGSEGV, SIG_DFL);
                client->shared->value = *(volatile uint64_t *) (uintptr_t) order->address;
                _exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                answer->error = -errno;
        answer->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        answer->value = client->shared->value;
}

static void *client_move(const struct lab_client *client, uint64_t address) {
        void *to = mmap(NULL, client->page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return mremap((void *) (uintptr_t) address, client->page_size, client->page_size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

static void client_act(const struct lab_client *client, int uffd, const struct lab_order *order, struct lab_answer *answer) {
        volatile uint64_t *word = (volatile uint64_t *) (uintptr_t) order->address;

        switch (order->op) {
        case LAB_READ:
                answer->value = *word;
                break;
        case LAB_WRITE:
                *word = order->value;
                break;
        case LAB_PIPE_OUT:
                answer->error = client_pipe(order, true, &answer->value);
                break;
        case LAB_PIPE_IN:
                answer->error = client_pipe(order, false, &answer->value);
                break;
        case LAB_SPIN:
                while (!client->shared->stop)
                        *word = ++answer->value;
                break;
        case LAB_DONTNEED:
                answer->error = madvise((void *) word, client->page_size, MADV_DONTNEED) < 0 ? -errno : 0;
                break;
        case LAB_UNMAP:
                answer->error = munmap((void *) word, client->length) < 0 ? -errno : 0;
                break;
        case LAB_MOVE:
                answer->value = (uint64_t) (uintptr_t) client_move(client, order->address);
                break;
        case LAB_COUNT_VMAS:
                answer->value = client_count_vmas(client, order->address);
                break;
        case LAB_FORK_READ:
                client_fork_read(client, order, answer);
                break;
        case LAB_BLOCK:
                answer->error = fcntl(uffd, F_SETFL, 0) < 0 ? -errno : 0;
                break;
        case LAB_CLOSE:
                answer->error = close(uffd) < 0 ? -errno : 0;
                break;
        }
}

struct client_hand {
        const struct lab_client *client;
        int uffd;
        int line;
};

static void *client_hand_run(void *arg) {
        struct client_hand *hand = arg;
        struct lab_order order;

        while (recv(hand->line, &order, sizeof(order), 0) == sizeof(order)) {
                struct lab_answer answer = { 0 };
                int signo = sigsetjmp(client_back, 1);

                client_guarded = 1;
                if (signo == 0)
                        client_act(hand->client, hand->uffd, &order, &answer);
                else
                        answer = (struct lab_answer) { .signal = signo };
                client_guarded = 0;
                if (send(hand->line, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
                        break;
        }
        return NULL;
}

static int client_become_nobody(void) {
        if (setgroups(0, NULL) < 0 || setresgid(LAB_NOBODY, LAB_NOBODY, LAB_NOBODY) < 0 || setresuid(LAB_NOBODY, LAB_NOBODY, LAB_NOBODY) < 0)
                return -errno;
        return 0;
}

/* Tells the test what was made, with the userfaultfd; or, by a MAP reply, which errno it met. */
static int client_report(const struct lab_client *client, int r, int uffd, const uint64_t *addresses) {
        union wire_msg msg;

        wire_init(&msg, WIRE_MAP, 0);
        if (r < 0) {
                msg.header.flags = (uint32_t) -r;
                return chan_send(client->hands[0], &msg, NULL, 0);
        }
        msg.map.address = addresses[0];
        msg.map.offset = addresses[1];
        return chan_send(client->hands[0], &msg, &uffd, 1);
}

static int client_set_up(const struct lab_client *client, int *ret_uffd, uint64_t *ret_addresses) {
        struct uffdio_api api = { .api = UFFD_API, .features = BF_UFFD_FEATURES };
        int uffd, r;

        r = client->flags & LAB_LENT ? client_become_nobody() : 0;
        if (r < 0)
                return r;
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the uid, which clears it */
        uffd = client_make_uffd(client);
        if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) < 0)
                return -errno;
        for (unsigned i = 0; i < LAB_MAPPINGS && r == 0; i++)
                r = client_map(client, uffd, &ret_addresses[i]);
        *ret_uffd = uffd;
        return r;
}

int lab_client_run(struct lab_client *client) {
        struct sigaction action = { .sa_handler = client_on_signal };
        struct client_hand hands[LAB_HANDS];
        pthread_t threads[LAB_HANDS];
        uint64_t addresses[LAB_MAPPINGS] = { 0 };
        int uffd = -1, r;

        sigaction(SIGBUS, &action, NULL);
        sigaction(SIGSEGV, &action, NULL);
        r = client_set_up(client, &uffd, addresses);
        if (client_report(client, r, uffd, addresses) < 0 || r < 0)
                return 1;
        for (unsigned i = 0; i < LAB_HANDS; i++) {
                hands[i] = (struct client_hand) { .client = client, .uffd = uffd, .line = client->hands[i] };
                if (pthread_create(&threads[i], NULL, client_hand_run, &hands[i]) != 0)
                        return 1;
        }
        for (unsigned i = 0; i < LAB_HANDS; i++)
                pthread_join(threads[i], NULL);
        return 0;
}
