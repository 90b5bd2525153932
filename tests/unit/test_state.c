/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The life of a page: each state x event against a list of its own, read off the rules of the handle's semantics; what is not in the list must be
 * impossible. And properties that any such table has to have.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "state.h"

struct row {
        enum page_state state;
        enum page_event event;
        enum page_state next;
        enum page_action action;
};

static const struct row rows[] = {
        /* a fault on an empty page begins a load; invalidating it does nothing */
        { PAGE_EMPTY, EVENT_READ, PAGE_LOADING, ACTION_LOAD },
        { PAGE_EMPTY, EVENT_WRITE, PAGE_LOADING, ACTION_LOAD },
        { PAGE_EMPTY, EVENT_INVALIDATE, PAGE_EMPTY, ACTION_NONE },

        /* a fault on a loading page waits and starts no second load; a writer who waited makes it dirty at once */
        { PAGE_LOADING, EVENT_READ, PAGE_LOADING, ACTION_WAIT_LOAD },
        { PAGE_LOADING, EVENT_WRITE, PAGE_LOADING, ACTION_WAIT_LOAD },
        { PAGE_LOADING, EVENT_LOADED, PAGE_LOADED, ACTION_PLACE },
        { PAGE_LOADING, EVENT_LOADED_WRITE, PAGE_DIRTY, ACTION_PLACE },
        { PAGE_LOADING, EVENT_LOAD_FAILED, PAGE_FAILED, ACTION_POISON },
        { PAGE_LOADING, EVENT_LOAD_ENDED, PAGE_EMPTY, ACTION_NONE },
        { PAGE_LOADING, EVENT_INVALIDATE, PAGE_EMPTY, ACTION_ABANDON },

        /* clean: read-only, and reclaim may end it */
        { PAGE_LOADED, EVENT_READ, PAGE_LOADED, ACTION_MAP_RO },
        { PAGE_LOADED, EVENT_WRITE, PAGE_DIRTY, ACTION_MAP_RW },
        { PAGE_LOADED, EVENT_LOAD_FAILED, PAGE_FAILED, ACTION_POISON },
        { PAGE_LOADED, EVENT_LOAD_ENDED, PAGE_EMPTY, ACTION_NONE },
        { PAGE_LOADED, EVENT_INVALIDATE, PAGE_EMPTY, ACTION_DROP },
        { PAGE_LOADED, EVENT_EVICT, PAGE_EMPTY, ACTION_DROP },
        { PAGE_LOADED, EVENT_VANISHED, PAGE_EMPTY, ACTION_DROP },

        /* clean, but stored since the last flush: the same, until a flush says what became of it */
        { PAGE_UNSYNCED, EVENT_READ, PAGE_UNSYNCED, ACTION_MAP_RO },
        { PAGE_UNSYNCED, EVENT_WRITE, PAGE_DIRTY, ACTION_MAP_RW },
        { PAGE_UNSYNCED, EVENT_LOAD_FAILED, PAGE_FAILED, ACTION_POISON },
        { PAGE_UNSYNCED, EVENT_LOAD_ENDED, PAGE_EMPTY, ACTION_NONE },
        { PAGE_UNSYNCED, EVENT_SYNCED, PAGE_LOADED, ACTION_NONE },
        { PAGE_UNSYNCED, EVENT_SYNC_FAILED, PAGE_DIRTY, ACTION_NONE },
        { PAGE_UNSYNCED, EVENT_INVALIDATE, PAGE_EMPTY, ACTION_DROP },
        { PAGE_UNSYNCED, EVENT_EVICT, PAGE_EMPTY, ACTION_DROP },
        { PAGE_UNSYNCED, EVENT_VANISHED, PAGE_EMPTY, ACTION_DROP },

        /* dirty: writable for everyone, until it is stored, marked or dropped */
        { PAGE_DIRTY, EVENT_READ, PAGE_DIRTY, ACTION_MAP_RW },
        { PAGE_DIRTY, EVENT_WRITE, PAGE_DIRTY, ACTION_MAP_RW },
        { PAGE_DIRTY, EVENT_LOAD_FAILED, PAGE_FAILED, ACTION_POISON },
        { PAGE_DIRTY, EVENT_LOAD_ENDED, PAGE_EMPTY, ACTION_NONE },
        { PAGE_DIRTY, EVENT_STORE, PAGE_STORING, ACTION_PROTECT },
        { PAGE_DIRTY, EVENT_MARK, PAGE_UNSYNCED, ACTION_PROTECT },
        { PAGE_DIRTY, EVENT_DISCARD, PAGE_EMPTY, ACTION_DROP },
        { PAGE_DIRTY, EVENT_INVALIDATE, PAGE_EMPTY, ACTION_DROP },
        { PAGE_DIRTY, EVENT_VANISHED, PAGE_EMPTY, ACTION_DROP },
        { PAGE_DIRTY, EVENT_UNWRITTEN, PAGE_LOADED, ACTION_NONE },

        /* on its way to the file: protected, so that it holds still; if it was not to be marked, or the store failed, it is dirty as before */
        { PAGE_STORING, EVENT_READ, PAGE_STORING, ACTION_MAP_RO },
        { PAGE_STORING, EVENT_WRITE, PAGE_STORING_DIRTIED, ACTION_MAP_RW },
        { PAGE_STORING, EVENT_STORED, PAGE_DIRTY, ACTION_UNPROTECT },
        { PAGE_STORING, EVENT_MARK, PAGE_UNSYNCED, ACTION_NONE },
        { PAGE_STORING, EVENT_MARK_SYNCED, PAGE_LOADED, ACTION_NONE },
        { PAGE_STORING, EVENT_DISCARD, PAGE_STORING_DROPPED, ACTION_DROP },
        { PAGE_STORING, EVENT_INVALIDATE, PAGE_STORING_DROPPED, ACTION_DROP },
        { PAGE_STORING, EVENT_VANISHED, PAGE_STORING_DROPPED, ACTION_DROP },

        /* written meanwhile: it stays dirty, whatever becomes of the store */
        { PAGE_STORING_DIRTIED, EVENT_READ, PAGE_STORING_DIRTIED, ACTION_MAP_RW },
        { PAGE_STORING_DIRTIED, EVENT_WRITE, PAGE_STORING_DIRTIED, ACTION_MAP_RW },
        { PAGE_STORING_DIRTIED, EVENT_STORED, PAGE_DIRTY, ACTION_NONE },
        { PAGE_STORING_DIRTIED, EVENT_MARK, PAGE_DIRTY, ACTION_NONE },
        { PAGE_STORING_DIRTIED, EVENT_MARK_SYNCED, PAGE_DIRTY, ACTION_NONE },
        { PAGE_STORING_DIRTIED, EVENT_DISCARD, PAGE_STORING_DROPPED, ACTION_DROP },
        { PAGE_STORING_DIRTIED, EVENT_INVALIDATE, PAGE_STORING_DROPPED, ACTION_DROP },
        { PAGE_STORING_DIRTIED, EVENT_VANISHED, PAGE_STORING_DROPPED, ACTION_DROP },

        /* dropped meanwhile: whoever wants it waits for the store, for a load now could read the file as it was */
        { PAGE_STORING_DROPPED, EVENT_READ, PAGE_STORING_DROPPED, ACTION_WAIT_STORE },
        { PAGE_STORING_DROPPED, EVENT_WRITE, PAGE_STORING_DROPPED, ACTION_WAIT_STORE },
        { PAGE_STORING_DROPPED, EVENT_STORED, PAGE_EMPTY, ACTION_WAKE },
        { PAGE_STORING_DROPPED, EVENT_MARK, PAGE_EMPTY, ACTION_WAKE },
        { PAGE_STORING_DROPPED, EVENT_MARK_SYNCED, PAGE_EMPTY, ACTION_WAKE },
        { PAGE_STORING_DROPPED, EVENT_DISCARD, PAGE_STORING_DROPPED, ACTION_NONE },
        { PAGE_STORING_DROPPED, EVENT_INVALIDATE, PAGE_STORING_DROPPED, ACTION_NONE },

        /* on its way to the spill file: protected, so that it holds still; if that fails, it is dirty as before */
        { PAGE_DIRTY, EVENT_SPILL, PAGE_SPILLING, ACTION_PROTECT },
        { PAGE_SPILLING, EVENT_READ, PAGE_SPILLING, ACTION_MAP_RO },
        { PAGE_SPILLING, EVENT_WRITE, PAGE_SPILLING_DIRTIED, ACTION_MAP_RW },
        { PAGE_SPILLING, EVENT_SPILLED, PAGE_SPILLED, ACTION_DROP },
        { PAGE_SPILLING, EVENT_SPILL_FAILED, PAGE_DIRTY, ACTION_UNPROTECT },
        { PAGE_SPILLING, EVENT_DISCARD, PAGE_SPILLING_DROPPED, ACTION_DROP },
        { PAGE_SPILLING, EVENT_INVALIDATE, PAGE_SPILLING_DROPPED, ACTION_DROP },
        { PAGE_SPILLING, EVENT_VANISHED, PAGE_SPILLING_DROPPED, ACTION_DROP },

        /* written meanwhile: it stays in RAM */
        { PAGE_SPILLING_DIRTIED, EVENT_READ, PAGE_SPILLING_DIRTIED, ACTION_MAP_RW },
        { PAGE_SPILLING_DIRTIED, EVENT_WRITE, PAGE_SPILLING_DIRTIED, ACTION_MAP_RW },
        { PAGE_SPILLING_DIRTIED, EVENT_SPILLED, PAGE_DIRTY, ACTION_NONE },
        { PAGE_SPILLING_DIRTIED, EVENT_SPILL_FAILED, PAGE_DIRTY, ACTION_NONE },
        { PAGE_SPILLING_DIRTIED, EVENT_DISCARD, PAGE_SPILLING_DROPPED, ACTION_DROP },
        { PAGE_SPILLING_DIRTIED, EVENT_INVALIDATE, PAGE_SPILLING_DROPPED, ACTION_DROP },
        { PAGE_SPILLING_DIRTIED, EVENT_VANISHED, PAGE_SPILLING_DROPPED, ACTION_DROP },

        /* dropped meanwhile: whoever wants it waits, for its place could be written again while it is being written */
        { PAGE_SPILLING_DROPPED, EVENT_READ, PAGE_SPILLING_DROPPED, ACTION_WAIT_STORE },
        { PAGE_SPILLING_DROPPED, EVENT_WRITE, PAGE_SPILLING_DROPPED, ACTION_WAIT_STORE },
        { PAGE_SPILLING_DROPPED, EVENT_SPILLED, PAGE_EMPTY, ACTION_WAKE },
        { PAGE_SPILLING_DROPPED, EVENT_SPILL_FAILED, PAGE_EMPTY, ACTION_WAKE },
        { PAGE_SPILLING_DROPPED, EVENT_DISCARD, PAGE_SPILLING_DROPPED, ACTION_NONE },
        { PAGE_SPILLING_DROPPED, EVENT_INVALIDATE, PAGE_SPILLING_DROPPED, ACTION_NONE },

        /* spilled: a touch brings it back, a writeout stores it from there */
        { PAGE_SPILLED, EVENT_READ, PAGE_UNSPILLING, ACTION_LOAD },
        { PAGE_SPILLED, EVENT_WRITE, PAGE_UNSPILLING, ACTION_LOAD },
        { PAGE_SPILLED, EVENT_STORE, PAGE_STORING_SPILLED, ACTION_NONE },
        { PAGE_SPILLED, EVENT_MARK, PAGE_EMPTY, ACTION_NONE },
        { PAGE_SPILLED, EVENT_DISCARD, PAGE_EMPTY, ACTION_NONE },
        { PAGE_SPILLED, EVENT_INVALIDATE, PAGE_EMPTY, ACTION_NONE },

        /* on its way back: dirty again, whoever touched it, or spilled as before; a writeout does not wait for it */
        { PAGE_UNSPILLING, EVENT_READ, PAGE_UNSPILLING, ACTION_WAIT_LOAD },
        { PAGE_UNSPILLING, EVENT_WRITE, PAGE_UNSPILLING, ACTION_WAIT_LOAD },
        { PAGE_UNSPILLING, EVENT_LOADED, PAGE_DIRTY, ACTION_PLACE },
        { PAGE_UNSPILLING, EVENT_LOAD_FAILED, PAGE_SPILLED, ACTION_POISON },
        { PAGE_UNSPILLING, EVENT_LOAD_ENDED, PAGE_SPILLED, ACTION_NONE },
        { PAGE_UNSPILLING, EVENT_STORE, PAGE_STORING_SPILLED, ACTION_ABANDON },
        { PAGE_UNSPILLING, EVENT_MARK, PAGE_EMPTY, ACTION_ABANDON },
        { PAGE_UNSPILLING, EVENT_DISCARD, PAGE_EMPTY, ACTION_ABANDON },
        { PAGE_UNSPILLING, EVENT_INVALIDATE, PAGE_EMPTY, ACTION_ABANDON },

        /* on its way from the spill file to the file: it stays there if the store fails, or does not count */
        { PAGE_STORING_SPILLED, EVENT_READ, PAGE_STORING_SPILLED, ACTION_WAIT_STORE },
        { PAGE_STORING_SPILLED, EVENT_WRITE, PAGE_STORING_SPILLED, ACTION_WAIT_STORE },
        { PAGE_STORING_SPILLED, EVENT_STORED, PAGE_SPILLED, ACTION_WAKE },
        { PAGE_STORING_SPILLED, EVENT_MARK, PAGE_EMPTY, ACTION_WAKE },
        { PAGE_STORING_SPILLED, EVENT_MARK_SYNCED, PAGE_EMPTY, ACTION_WAKE },
        { PAGE_STORING_SPILLED, EVENT_DISCARD, PAGE_STORING_DROPPED, ACTION_NONE },
        { PAGE_STORING_SPILLED, EVENT_INVALIDATE, PAGE_STORING_DROPPED, ACTION_NONE },

        /* failed: SIGBUS until it is invalidated */
        { PAGE_FAILED, EVENT_READ, PAGE_FAILED, ACTION_POISON },
        { PAGE_FAILED, EVENT_WRITE, PAGE_FAILED, ACTION_POISON },
        { PAGE_FAILED, EVENT_INVALIDATE, PAGE_EMPTY, ACTION_NONE },
};

#define N_ROWS (sizeof(rows) / sizeof(*rows))

static const struct row *find_row(enum page_state state, enum page_event event) {
        for (size_t i = 0; i < N_ROWS; i++)
                if (rows[i].state == state && rows[i].event == event)
                        return &rows[i];
        return NULL;
}

static void test_every_transition_is_as_listed(void **state) {
        (void) state;
        for (size_t i = 0; i < N_ROWS; i++) {
                struct page_transition t = state_transition(rows[i].state, rows[i].event);

                if (t.next != rows[i].next || t.action != rows[i].action)
                        fail_msg("%s, %s: %s with action %d", state_name(rows[i].state), state_event_name(rows[i].event), state_name(t.next),
                                 t.action);
        }
}

/* Does asking for it end the process by an assertion? */
static bool is_impossible(enum page_state state, enum page_event event) {
        const struct rlimit no_core = { 0, 0 };
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                setrlimit(RLIMIT_CORE, &no_core);
                signal(SIGABRT, SIG_DFL);
                dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
                state_transition(state, event);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_every_other_transition_is_impossible(void **state) {
        (void) state;
        for (enum page_state s = PAGE_EMPTY; s < N_PAGE_STATES; s++)
                for (enum page_event e = EVENT_READ; e < N_PAGE_EVENTS; e++)
                        if (!find_row(s, e) && !is_impossible(s, e))
                                fail_msg("%s, %s: is possible", state_name(s), state_event_name(e));
        assert_true(is_impossible(N_PAGE_STATES, EVENT_READ));
        assert_true(is_impossible(PAGE_EMPTY, N_PAGE_EVENTS));
}

static void test_any_page_can_be_touched_and_invalidated(void **state) {
        (void) state;
        for (enum page_state s = PAGE_EMPTY; s < N_PAGE_STATES; s++) {
                assert_false(state_is_resident(state_transition(s, EVENT_INVALIDATE).next));
                assert_non_null(find_row(s, EVENT_READ));
                assert_non_null(find_row(s, EVENT_WRITE));
        }
}

/* Content that exists in RAM alone is given up only where somebody asked for that, or where it is lost already. */
static void test_dirty_content_is_never_dropped_by_the_way(void **state) {
        (void) state;
        for (size_t i = 0; i < N_ROWS; i++) {
                enum page_event e = rows[i].event;
                bool asked = e == EVENT_DISCARD || e == EVENT_INVALIDATE || e == EVENT_VANISHED || e == EVENT_LOAD_FAILED || e == EVENT_LOAD_ENDED ||
                             e == EVENT_UNWRITTEN; /* there was none */

                if (state_is_dirty(rows[i].state) && !state_is_dirty(rows[i].next) && !asked)
                        assert_true(e == EVENT_MARK_SYNCED || e == EVENT_MARK);
                if (state_is_dirty(rows[i].state) && state_is_resident(rows[i].state) && !state_is_dirty(rows[i].next) && !asked)
                        assert_int_equal(rows[i].next, e == EVENT_MARK_SYNCED ? PAGE_LOADED : PAGE_UNSYNCED);
        }
        for (enum page_state s = PAGE_EMPTY; s < N_PAGE_STATES; s++)
                assert_true((find_row(s, EVENT_EVICT) != NULL) == state_is_clean(s));
}

/* Who may write without a further fault has been counted as a writer before. */
static void test_only_dirty_pages_are_writable(void **state) {
        (void) state;
        for (size_t i = 0; i < N_ROWS; i++)
                switch (rows[i].action) {
                case ACTION_MAP_RW:
                        assert_true(rows[i].next == PAGE_DIRTY || rows[i].next == PAGE_STORING_DIRTIED || rows[i].next == PAGE_SPILLING_DIRTIED);
                        break;
                case ACTION_UNPROTECT:
                        assert_int_equal(rows[i].next, PAGE_DIRTY);
                        break;
                case ACTION_MAP_RO:
                        assert_true(state_is_clean(rows[i].next) || rows[i].next == PAGE_STORING || rows[i].next == PAGE_SPILLING);
                        break;
                default:
                        break;
                }
}

/* A page leaves the memory exactly by DROP, or because it never got there. */
static void test_leaving_memory_is_a_drop(void **state) {
        (void) state;
        for (size_t i = 0; i < N_ROWS; i++) {
                bool leaves = state_is_resident(rows[i].state) && !state_is_resident(rows[i].next);
                bool never_came = rows[i].event == EVENT_LOAD_FAILED || rows[i].event == EVENT_LOAD_ENDED;

                assert_true((rows[i].action == ACTION_DROP) == (leaves && !never_came));
        }
}

/* What is in the spill file alone leaves it only for RAM, or where nobody wants it any more; and what is in RAM alone does not leave while it is written. */
static void test_spilled_content_is_somewhere(void **state) {
        (void) state;
        for (size_t i = 0; i < N_ROWS; i++) {
                if (state_is_spilled(rows[i].state) && state_is_dirty(rows[i].next) && !state_is_spilled(rows[i].next))
                        assert_int_equal(rows[i].action, ACTION_PLACE);
                if (!state_is_spilled(rows[i].state) && state_is_spilled(rows[i].next))
                        assert_true(rows[i].state == PAGE_SPILLING && rows[i].event == EVENT_SPILLED);
                if (state_is_spilling(rows[i].state) && !state_is_spilling(rows[i].next))
                        assert_true(rows[i].event == EVENT_SPILLED || rows[i].event == EVENT_SPILL_FAILED);
        }
}

static void test_predicates(void **state) {
        static const struct {
                enum page_state state;
                bool resident, clean, dirty, storing, spilling, spilled, loading, place;
        } expected[] = {
                { PAGE_EMPTY, false, false, false, false, false, false, false, false },
                { PAGE_LOADING, false, false, false, false, false, false, true, false },
                { PAGE_LOADED, true, true, false, false, false, false, false, false },
                { PAGE_DIRTY, true, false, true, false, false, false, false, false },
                { PAGE_STORING, true, false, true, true, false, false, false, false },
                { PAGE_STORING_DIRTIED, true, false, true, true, false, false, false, false },
                { PAGE_STORING_DROPPED, false, false, false, true, false, false, false, true },
                { PAGE_FAILED, false, false, false, false, false, false, false, false },
                { PAGE_UNSYNCED, true, true, false, false, false, false, false, false },
                { PAGE_SPILLING, true, false, true, false, true, false, false, true },
                { PAGE_SPILLING_DIRTIED, true, false, true, false, true, false, false, true },
                { PAGE_SPILLING_DROPPED, false, false, false, false, true, false, false, true },
                { PAGE_SPILLED, false, false, true, false, false, true, false, true },
                { PAGE_UNSPILLING, false, false, true, false, false, true, true, true },
                { PAGE_STORING_SPILLED, false, false, true, true, false, true, false, true },
        };

        (void) state;
        assert_int_equal(sizeof(expected) / sizeof(*expected), N_PAGE_STATES);
        for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
                assert_int_equal(state_is_clean(expected[i].state), expected[i].clean);
                assert_int_equal(state_is_resident(expected[i].state), expected[i].resident);
                assert_int_equal(state_is_dirty(expected[i].state), expected[i].dirty);
                assert_int_equal(state_is_storing(expected[i].state), expected[i].storing);
                assert_int_equal(state_is_spilling(expected[i].state), expected[i].spilling);
                assert_int_equal(state_is_spilled(expected[i].state), expected[i].spilled);
                assert_int_equal(state_is_loading(expected[i].state), expected[i].loading);
                assert_int_equal(state_has_place(expected[i].state), expected[i].place);
        }
}

static void test_names(void **state) {
        (void) state;
        for (enum page_state a = PAGE_EMPTY; a < N_PAGE_STATES; a++)
                for (enum page_state b = PAGE_EMPTY; b < a; b++)
                        assert_string_not_equal(state_name(a), state_name(b));
        for (enum page_event a = EVENT_READ; a < N_PAGE_EVENTS; a++)
                for (enum page_event b = EVENT_READ; b < a; b++)
                        assert_string_not_equal(state_event_name(a), state_event_name(b));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_transition_is_as_listed),
                cmocka_unit_test(test_every_other_transition_is_impossible),
                cmocka_unit_test(test_any_page_can_be_touched_and_invalidated),
                cmocka_unit_test(test_dirty_content_is_never_dropped_by_the_way),
                cmocka_unit_test(test_only_dirty_pages_are_writable),
                cmocka_unit_test(test_leaving_memory_is_a_drop),
                cmocka_unit_test(test_spilled_content_is_somewhere),
                cmocka_unit_test(test_predicates),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
