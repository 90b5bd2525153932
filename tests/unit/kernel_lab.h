/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_KERNEL_LAB_H
#define BF_TEST_KERNEL_LAB_H

/*
 * Two processes to try the kernel with: the test plays the daemon, a forked client has the memory mapped and registered, and its threads ("hands")
 * touch it when told. Nothing of bigfiled runs here. The test itself never touches registered memory, so it never waits in a fault; an alarm ends
 * what hangs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "uffd_abi.h"

#define LAB_PAGE UINT64_C(4096)
#define LAB_PAGES 64
#define LAB_LENGTH (LAB_PAGES * LAB_PAGE)
#define LAB_HUGE_PAGE (UINT64_C(2) << 20) /* with LAB_HUGE, whose memory is so many of these: */
#define LAB_HUGE_PAGES 4
#define LAB_HANDS 8
#define LAB_MAPPINGS 2
#define LAB_NOBODY 65534

enum lab_flag {
        LAB_READONLY = 1 << 0,  /* the client has the memory read-only, mapped MAP_PRIVATE, and it is not registered for WP */
        LAB_USER_MODE = 1 << 1, /* its userfaultfd does not serve faults inside system calls */
        LAB_FORKABLE = 1 << 2,  /* no MADV_DONTFORK */
        LAB_HUGE = 1 << 3,      /* huge pages; the test has to see that the host has some */
        LAB_LENT = 1 << 4,      /* it runs as LAB_NOBODY and makes its userfaultfd from the /dev/userfaultfd of the test */
};

enum lab_op {
        LAB_READ,       /* one word */
        LAB_WRITE,      /* one word */
        LAB_PIPE_OUT,   /* write(2) of one word from the memory into a pipe */
        LAB_PIPE_IN,    /* read(2) of one word from a pipe into the memory */
        LAB_SPIN,       /* write ever higher numbers to a word, until lab->shared->stop */
        LAB_DONTNEED,   /* madvise one page */
        LAB_UNMAP,      /* munmap the whole mapping at address */
        LAB_MOVE,       /* mremap the page at address to a new place, which is the value of the answer */
        LAB_COUNT_VMAS, /* how many lines of /proc/self/maps lie in the mapping at address */
        LAB_FORK_READ,  /* fork, and read a word in the child */
        LAB_BLOCK,      /* clear O_NONBLOCK of the userfaultfd */
        LAB_CLOSE,      /* close the userfaultfd */
};

struct lab_order {
        enum lab_op op;
        uint64_t address;
        uint64_t value;
};

struct lab_answer {
        int signal; /* that the order met, or 0 */
        int error;  /* of a system call, or 0 */
        uint64_t value;
};

/* Written by both sides. */
struct lab_shared {
        volatile bool stop;
        volatile uint64_t value;
};

struct lab {
        pid_t pid;
        uint64_t page_size;
        uint64_t length; /* of the memory, in bytes */
        int memfd;
        int uffd; /* a copy of the client's */
        int hands[LAB_HANDS];
        uint64_t addresses[LAB_MAPPINGS]; /* of mappings of the whole memory, in the client */
        struct lab_shared *shared;
};

/* One test in a program's list. */
#define LAB_TEST(function) cmocka_unit_test_setup_teardown(function, lab_setup, lab_teardown)
int lab_setup(void **state);
int lab_teardown(void **state);

/* Starts a client, which lives as long as the test. Where the kernel lacks something the test is skipped, with the reason. */
struct lab *lab_begin(void **state, unsigned flags);

/* Kills the client. */
void lab_kill(struct lab *lab);

/* Where a page is in the client. */
uint64_t lab_at(const struct lab *lab, unsigned mapping, uint64_t page);

/* Tells a hand to do it, and leaves it to it. */
void lab_order(struct lab *lab, unsigned hand, enum lab_op op, uint64_t address, uint64_t value);

/* What came of it. */
struct lab_answer lab_answer(struct lab *lab, unsigned hand);

/* Both in one, for what needs no help. */
struct lab_answer lab_do(struct lab *lab, unsigned hand, enum lab_op op, uint64_t address, uint64_t value);

/* Nothing has come of it yet, and nothing does for a while. */
void lab_assert_asleep(struct lab *lab, unsigned hand);

/* The next event is a fault on this page with exactly these of UFFD_PAGEFAULT_FLAG_WRITE, _WP and _MINOR. */
#define LAB_MISSING UINT64_C(0)
void lab_assert_fault(struct lab *lab, uint64_t address, uint64_t flags);
void lab_assert_no_event(struct lab *lab);

/* The next event is that of a move of a page from this address; returns to where. */
uint64_t lab_take_move(struct lab *lab, uint64_t from);

/* One ioctl (or fallocate) each, on pages of lab->page_size. 0 or a negative errno; *ret_done, unless NULL, gets how many bytes were done. */
int lab_copy(struct lab *lab, uint64_t address, uint64_t n_pages, uint64_t value, uint64_t mode, int64_t *ret_done);
int lab_continue(struct lab *lab, uint64_t address, uint64_t n_pages, uint64_t mode, int64_t *ret_done);
int lab_poison(struct lab *lab, uint64_t address, uint64_t n_pages, int64_t *ret_done);
int lab_protect(struct lab *lab, uint64_t address, uint64_t n_pages, bool protect);
int lab_wake(struct lab *lab, uint64_t address, uint64_t n_pages);
int lab_punch(struct lab *lab, uint64_t page, uint64_t n_pages);

/* The first word of a page in the memory, past the client. */
void lab_fill(struct lab *lab, uint64_t page, uint64_t value);
uint64_t lab_peek(struct lab *lab, uint64_t page);

/* Runs fn in a forked process as this uid; returns its exit status. Skips the test if we are not root. */
int lab_run_as(uid_t uid, int (*fn)(void *arg), void *arg);

/* What the client's process does. */
struct lab_client {
        unsigned flags;
        uint64_t page_size;
        uint64_t length;
        int memfd;
        int device; /* /dev/userfaultfd, if LAB_LENT */
        int hands[LAB_HANDS];
        struct lab_shared *shared;
};
int lab_client_run(struct lab_client *client);

#endif
