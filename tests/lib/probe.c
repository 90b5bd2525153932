/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* It knows signals and /proc/self/pagemap; of the library only bf_fault_error(). */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "bfclient.h"
#include "probe.h"

#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_PROTECTED (UINT64_C(1) << 57) /* by userfaultfd */
#define PAGEMAP_PAGE 4096

struct probe_attempt {
        sigjmp_buf escape;
        struct probe_hit hit;
};

static __thread struct probe_attempt *volatile attempt;

static void on_signal(int signo, siginfo_t *info, void *context) {
        struct probe_attempt *current = attempt;

        (void) context;
        if (!current) { /* not ours: the access is done again, and ends the program */
                signal(signo, SIG_DFL);
                return;
        }
        current->hit.signo = signo;
        current->hit.address = info->si_addr;
        current->hit.known = bf_fault_error(info->si_addr, &current->hit.error);
        siglongjmp(current->escape, 1);
}

void probe_install(void) {
        struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

        sigaction(SIGBUS, &action, NULL);
        sigaction(SIGSEGV, &action, NULL);
}

int probe_read(const void *at, uint64_t *ret_value, struct probe_hit *ret_hit) {
        struct probe_attempt here = {};

        attempt = &here;
        if (sigsetjmp(here.escape, 1) == 0) {
                uint64_t value = *(const volatile uint64_t *) at;

                if (ret_value)
                        *ret_value = value;
        }
        attempt = NULL;
        if (ret_hit)
                *ret_hit = here.hit;
        return here.hit.signo;
}

int probe_write(void *at, uint64_t value, struct probe_hit *ret_hit) {
        struct probe_attempt here = {};

        attempt = &here;
        if (sigsetjmp(here.escape, 1) == 0)
                *(volatile uint64_t *) at = value;
        attempt = NULL;
        if (ret_hit)
                *ret_hit = here.hit;
        return here.hit.signo;
}

static uint64_t pagemap_entry(const void *at) {
        uint64_t entry;
        int fd;

        fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        if (fd < 0 || pread(fd, &entry, sizeof(entry), (off_t) ((uintptr_t) at / PAGEMAP_PAGE * sizeof(entry))) != sizeof(entry))
                abort();
        close(fd);
        return entry;
}

bool probe_is_readable(const void *at) {
        return pagemap_entry(at) & PAGEMAP_PRESENT;
}

bool probe_is_writable(const void *at) {
        return (pagemap_entry(at) & (PAGEMAP_PRESENT | PAGEMAP_PROTECTED)) == PAGEMAP_PRESENT;
}
