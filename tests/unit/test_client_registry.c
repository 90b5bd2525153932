/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The table of all mappings: which address belongs to whom (case V1 of tests/conformance/README.md), claims, what a forked child sees, and searches from threads and from a
 * signal handler while it changes.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"
#include "registry.h"

static int owners[3];

static struct registry_entry entry_at(uintptr_t address, size_t length, void *owner) {
        return (struct registry_entry) { .process = process_id(), .address = address, .length = length, .owner = owner, .ledger = -1 };
}

static struct registry_slot *add(uintptr_t address, size_t length, void *owner) {
        const struct registry_entry entry = entry_at(address, length, owner);
        struct registry_slot *slot = NULL;

        assert_int_equal(registry_add(&entry, &slot), 0);
        return slot;
}

static void *owner_at(uintptr_t address) {
        struct registry_entry entry;
        struct registry_ticket ticket;

        return registry_find(address, &entry, &ticket) ? entry.owner : NULL;
}

static int setup(void **state) {
        (void) state;
        return process_init();
}

/* Twelve addresses in and about three neighbours that come and go in any order. */
static void check_neighbours(unsigned present) {
        static const uintptr_t probes[12] = { 0, 0x0fff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x2800, 0x3fff, 0x4000, 0x4fff, 0x5000, UINTPTR_MAX };
        static const int whose[12] = { -1, -1, 0, 0, 0, 1, 1, 1, 2, 2, -1, -1 };

        for (size_t i = 0; i < 12; i++) {
                void *expected = whose[i] >= 0 && present & 1u << whose[i] ? &owners[whose[i]] : NULL;

                assert_ptr_equal(owner_at(probes[i]), expected);
        }
}

static void test_neighbours(void **state) {
        struct registry_slot *slots[3];

        (void) state;
        check_neighbours(0);
        slots[2] = add(0x4000, 0x1000, &owners[2]);
        check_neighbours(4);
        slots[0] = add(0x1000, 0x1000, &owners[0]);
        check_neighbours(5);
        slots[1] = add(0x2000, 0x2000, &owners[1]);
        check_neighbours(7);
        registry_remove(slots[0]);
        check_neighbours(6);
        slots[0] = add(0x1000, 0x1000, &owners[0]);
        check_neighbours(7);
        registry_remove(slots[1]);
        check_neighbours(5);
        registry_remove(slots[2]);
        check_neighbours(1);
        registry_remove(slots[0]);
        check_neighbours(0);
}

static void test_many(void **state) {
        struct registry_slot *slots[1000];

        (void) state;
        for (size_t i = 0; i < 1000; i++)
                slots[i] = add(0x10000 + i * 0x2000, 0x1000, &slots[i]);
        for (size_t i = 0; i < 1000; i++) {
                assert_ptr_equal(owner_at(0x10000 + i * 0x2000 + 0xfff), &slots[i]);
                assert_null(owner_at(0x10000 + i * 0x2000 + 0x1000));
        }
        for (size_t i = 0; i < 1000; i++)
                registry_remove(slots[i]);
        assert_null(owner_at(0x10000));
}

static void test_entry(void **state) {
        const struct registry_entry entry = {
                .process = process_id(), .address = 0x1000, .length = 0x2000, .offset = 0x7000, .block_size = 4096, .owner = &owners[0], .ledger = 17,
        };
        struct registry_entry found;
        struct registry_ticket ticket;
        struct registry_slot *slot;

        (void) state;
        assert_int_equal(registry_add(&entry, &slot), 0);
        assert_true(registry_find(0x1fff, &found, &ticket));
        assert_int_equal(found.process, entry.process);
        assert_int_equal(found.address, entry.address);
        assert_int_equal(found.length, entry.length);
        assert_int_equal(found.offset, entry.offset);
        assert_int_equal(found.block_size, entry.block_size);
        assert_ptr_equal(found.owner, entry.owner);
        assert_int_equal(found.ledger, entry.ledger);
        assert_int_equal(found.error, 0);

        registry_set_error(slot, ENOTCONN);
        assert_true(registry_find(0x1fff, &found, &ticket));
        assert_int_equal(found.error, ENOTCONN);
        assert_true(registry_is_current(&ticket));
        registry_remove(slot);
        assert_false(registry_is_current(&ticket));
        slot = add(0x1000, 0x2000, &owners[0]);
        assert_false(registry_is_current(&ticket)); /* the same range again is not the same entry */
        registry_remove(slot);
}

static void test_claims(void **state) {
        struct registry_slot *slot, *next;
        void *owner = &owners[2];

        (void) state;
        assert_int_equal(registry_claim(0x1000, &owner), -EINVAL);
        slot = add(0x1000, 0x2000, &owners[0]);
        assert_int_equal(registry_claim(0x2000, &owner), -EINVAL); /* inside, not where it begins */
        assert_ptr_equal(owner, &owners[2]);
        assert_int_equal(registry_claim(0x1000, &owner), 0);
        assert_ptr_equal(owner, &owners[0]);
        assert_int_equal(registry_claim(0x1000, &owner), -EINVAL);
        assert_ptr_equal(owner_at(0x1000), &owners[0]);
        registry_unclaim(slot);
        assert_int_equal(registry_claim(0x1000, &owner), 0);

        next = add(0x1000, 0x1000, &owners[1]); /* what takes its place while it goes */
        assert_ptr_equal(owner_at(0x1000), &owners[1]);
        assert_int_equal(registry_claim(0x1000, &owner), 0);
        assert_ptr_equal(owner, &owners[1]);
        registry_remove(slot);
        assert_ptr_equal(owner_at(0x1000), &owners[1]);
        registry_remove(next);
        assert_null(owner_at(0x1000));
}

/* In a child: 0 if all is as it should be, else the number of the check. */
static int check_in_child(uint64_t parent) {
        struct registry_entry entry;
        struct registry_ticket ticket;
        void *owner;

        if (process_id() == parent || process_id() == 0)
                return 1;
        if (!registry_find(0x1000, &entry, &ticket) || entry.process != parent)
                return 2;
        if (registry_claim(0x1000, &owner) != -ENOTCONN)
                return 3;
        (void) add(0x1000, 0x1000, &owners[1]);
        if (!registry_find(0x1000, &entry, &ticket) || entry.process != process_id() || entry.owner != &owners[1])
                return 4;
        if (registry_claim(0x1000, &owner) != 0 || owner != &owners[1])
                return 5;
        return 0;
}

/* A child's own mapping goes before the one it inherited, which is not its own to unmap. */
static void test_child(void **state) {
        struct registry_slot *slot = add(0x1000, 0x1000, &owners[0]);
        uint64_t parent = process_id();
        int status;
        pid_t pid;

        (void) state;
        pid = fork();
        if (pid == 0)
                _exit(check_in_child(parent));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(process_id(), parent);
        registry_remove(slot);
}

/* Also after a fork that runs no handlers. */
static void test_child_without_handlers(void **state) {
        uint64_t parent = process_id();
        int status;
        pid_t pid;

        (void) state;
        pid = _Fork();
        if (pid == 0)
                _exit(process_id() == parent);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

/* Entries come and go at one range; whoever finds one finds it whole: owner and offset belong together. */
struct churn {
        _Atomic int stop;
        _Atomic unsigned n_torn;
        _Atomic unsigned n_found;
};

static struct churn churn;

static void churn_look(void) {
        struct registry_entry entry;
        struct registry_ticket ticket;

        if (!registry_find(0x1234, &entry, &ticket))
                return;
        atomic_fetch_add(&churn.n_found, 1);
        if ((uintptr_t) entry.owner != entry.offset || entry.block_size != entry.offset || entry.address != 0x1000 || entry.length != 0x1000)
                atomic_fetch_add(&churn.n_torn, 1);
}

static void *churn_run(void *data) {
        for (uintptr_t i = (uintptr_t) data; !atomic_load(&churn.stop); i += 16) {
                const struct registry_entry entry = { .process = process_id(), .address = 0x1000, .length = 0x1000, .offset = i, .block_size = i,
                                                      .owner = (void *) i, .ledger = -1 };
                struct registry_slot *slot;

                if (registry_add(&entry, &slot) == 0)
                        registry_remove(slot);
        }
        return NULL;
}

static void churn_on_signal(int signal) {
        (void) signal;
        churn_look();
}

static void test_churn(void **state) {
        const struct itimerval often = { .it_interval.tv_usec = 100, .it_value.tv_usec = 100 }, never = { 0 };
        struct sigaction action = { .sa_handler = churn_on_signal, .sa_flags = SA_RESTART }, action_before;
        pthread_t threads[3];

        (void) state;
        assert_int_equal(sigaction(SIGPROF, &action, &action_before), 0);
        for (uintptr_t i = 0; i < 3; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, churn_run, (void *) (i + 1)), 0);
        assert_int_equal(setitimer(ITIMER_PROF, &often, NULL), 0); /* strikes the threads that change things, too */
        for (unsigned i = 0; i < 200000 || atomic_load(&churn.n_found) < 1000; i++)
                churn_look();
        assert_int_equal(setitimer(ITIMER_PROF, &never, NULL), 0);
        atomic_store(&churn.stop, 1);
        for (size_t i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(sigaction(SIGPROF, &action_before, NULL), 0);
        assert_int_equal(atomic_load(&churn.n_torn), 0);
        assert_null(owner_at(0x1000));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_neighbours),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_entry),
                cmocka_unit_test(test_claims),
                cmocka_unit_test(test_child),
                cmocka_unit_test(test_child_without_handlers),
                cmocka_unit_test(test_churn),
        };

        return cmocka_run_group_tests(tests, setup, NULL);
}
