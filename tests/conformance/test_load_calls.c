/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Loads that use the library themselves: rule 19; cases E18. The process that serves the file is a client of the daemon that reads it. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 200

/* The file served is made of another big file: its bytes are read from a mapping. */
struct chain {
        char address[128];
        const char *path;
        uint64_t *map;
};

static int read_from_big_file(void *arg, uint64_t offset, void *bytes, size_t n) {
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        struct chain *chain = arg;
        struct bf_client *client;
        struct bf_fileh *fileh;
        int r = 0;

        pthread_mutex_lock(&lock);
        if (!chain->map) {
                r = bf_connect(&client, chain->address);
                if (r == 0)
                        r = bf_open(client, chain->path, O_RDONLY, NULL, &fileh);
                if (r == 0)
                        r = bf_mmap(fileh, 0, N_PAGES * RIG_PAGE, PROT_READ, (void **) &chain->map);
        }
        pthread_mutex_unlock(&lock);
        if (r == 0)
                memcpy(bytes, (char *) chain->map + offset, n);
        return r;
}

/* rule 19: a load that itself touches another big file of the same daemon */
static void test_a_load_may_touch_another_big_file(void **state) {
        struct rig *rig = rig_here(state);
        struct chain chain = { .path = rig_path(rig, "below") };
        struct heldfs_opts opts = { .size = N_PAGES * RIG_PAGE, .block_size = RIG_PAGE, .on_read = read_from_big_file, .arg = &chain };
        struct heldfs *heldfs;
        struct bf_fileh *fileh;
        uint64_t *map, words[512];

        assert_int_equal(tempfile_make_sparse(chain.path, N_PAGES * RIG_PAGE), 0);
        for (uint64_t page = 0; page < N_PAGES; page++) {
                for (size_t i = 0; i < 512; i++)
                        words[i] = page * 3 + 1;
                assert_int_equal(tempfile_write(chain.path, page * RIG_PAGE, words, sizeof(words)), 0);
        }
        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        snprintf(chain.address, sizeof(chain.address), "%s", rig_address(rig));
        heldfs = rig_heldfs_with(rig, &opts);
        fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0);
        map = rig_map(fileh, 0, N_PAGES);
        for (uint64_t i = 0; i < N_PAGES; i++)
                assert_int_equal(*rig_word(map, i * 37 % N_PAGES, 511), i * 37 % N_PAGES * 3 + 1);
}

/* Invalidates, from inside a load, the very page that is being loaded: once. */
struct meddler {
        char address[128];
        char path[128];
        struct bf_fileh *fileh;
        unsigned n_calls;
};

static int invalidate_self(void *arg, uint64_t offset, void *bytes, size_t n) {
        struct meddler *meddler = arg;
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_SHARED };
        struct bf_client *client;
        int r = 0;

        if (offset != 100 * RIG_PAGE || __atomic_fetch_add(&meddler->n_calls, 1, __ATOMIC_SEQ_CST) > 0)
                return 0;
        memset(bytes, 0xee, n);
        r = bf_connect(&client, meddler->address);
        if (r == 0)
                r = bf_open(client, meddler->path, O_RDWR, &opts, &meddler->fileh);
        if (r == 0)
                r = bf_invalidate(meddler->fileh, 100 * RIG_PAGE, RIG_PAGE);
        return r;
}

/* E18: the API called from inside a load, on the page being loaded: that load's data are not used, and nothing hangs */
static void test_a_load_may_invalidate_itself(void **state) {
        struct rig *rig = rig_here(state);
        struct meddler *meddler = mmap(NULL, sizeof(*meddler), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct heldfs_opts opts = { .size = N_PAGES * RIG_PAGE, .block_size = RIG_PAGE, .on_read = invalidate_self, .arg = meddler };
        struct heldfs *heldfs;
        struct bf_fileh *fileh;
        uint64_t *map;

        rig_daemon(rig, "--pool", "64M", NULL);
        snprintf(meddler->address, sizeof(meddler->address), "%s", rig_address(rig));
        heldfs = rig_heldfs_with(rig, &opts);
        snprintf(meddler->path, sizeof(meddler->path), "%s", heldfs_path(heldfs));
        fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, BF_SHARED);
        map = rig_map(fileh, 0, N_PAGES);
        assert_int_equal(*rig_word(map, 100, 0), 100);
        assert_int_equal(*rig_word(map, 100, 511), 100);
        assert_int_equal(meddler->n_calls, 2);
        munmap(meddler, sizeof(*meddler));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_a_load_may_touch_another_big_file),
                RIG_TEST(test_a_load_may_invalidate_itself),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("loads that call", tests, NULL, NULL);
}
