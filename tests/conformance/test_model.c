/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Random operations against a model in memory: a million steps by default, most of them plain reads and writes, in a pool far smaller than the files.
 * Two clients; file X: an isolated handle that writes and an isolated one that reads; file Y: one shared fileh with two handles that write. Each
 * handle has several mappings that overlap. A second thread takes pages away meanwhile. BF_MODEL_STEPS and BF_MODEL_SEED in the environment set
 * the number of steps and the seed, which is printed; BF_MODEL_DIRTY how many pages of a view may be dirty: with more than fit into the pool, they are spilled.
 * With BF_MODEL_SERVED a third client serves the files (bf_open_ops), in blocks of so many bytes.
 */

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "model.h"
#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define STEPS 1000000
#define SECONDS_MAX 900
#define N_WINDOWS 3
#define DIRTY_MAX 20 /* of a view, unless said otherwise; the pool has 64 pages */
#define HOT_PAGES 12

struct window {
        uint64_t *map;
        size_t first, n;
};

struct actor {
        struct bf_client *client;
        struct bf_fileh *fileh;
        struct model_view *view;
        const char *path;
        const char *name; /* by which it is opened: the path, unless a client serves it */
        int oflag;
        uint32_t flags;
        struct window windows[N_WINDOWS]; /* the first shows the whole file */
        size_t hot;                       /* where it is busy now */
};

enum { WRITER, READER, SHARED_ONE, SHARED_TWO, N_ACTORS };

struct world {
        struct rig *rig;
        struct model_file files[2];
        struct model_view views[3]; /* of WRITER, of READER, of both SHARED */
        struct actor actors[N_ACTORS];
        uint64_t random;
        uint64_t seed;
        size_t dirty_max;
        atomic_uint_fast64_t step;
        atomic_bool stop;
};

static struct world world;

static uint64_t random_below(uint64_t n) {
        world.random ^= world.random << 13;
        world.random ^= world.random >> 7;
        world.random ^= world.random << 17;
        return (world.random * UINT64_C(0x2545f4914f6cdd1d) >> 33) % n;
}

static void check(bool right, const struct actor *actor, size_t page, const char *what) {
        if (!right)
                fail_msg("%s: actor %td, page %zu, step %" PRIuFAST64 " (BF_MODEL_SEED=%" PRIu64 ")", what, actor - world.actors, page,
                         atomic_load(&world.step), world.seed);
}

static void map_window(struct actor *actor, size_t i) {
        struct window *window = &actor->windows[i];
        size_t n_pages = actor->view->file->n_pages;
        void *map;

        window->first = i == 0 ? 0 : random_below(n_pages - 1);
        window->n = i == 0 ? n_pages : 1 + random_below(n_pages - window->first);
        assert_int_equal(bf_mmap(actor->fileh, window->first * RIG_PAGE, window->n * RIG_PAGE,
                                 actor->oflag == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ, &map), 0);
        window->map = map;
}

static void open_actor(struct actor *actor) {
        actor->fileh = rig_open(actor->client, actor->name, actor->oflag, actor->flags);
        for (size_t i = 0; i < N_WINDOWS; i++)
                map_window(actor, i);
}

static void close_actor(struct actor *actor) {
        for (size_t i = 0; i < N_WINDOWS; i++)
                assert_int_equal(bf_munmap(actor->windows[i].map), 0);
        assert_int_equal(bf_close(actor->fileh), 0);
}

/* --- memory ------------------------------------------------------------------------------------------------------------------------------------- */

/* Mostly near where the actor was last. */
static size_t choose_page(struct actor *actor) {
        size_t n_pages = actor->view->file->n_pages;

        if (random_below(200) == 0)
                actor->hot = random_below(n_pages);
        return random_below(8) ? (actor->hot + random_below(HOT_PAGES)) % n_pages : random_below(n_pages);
}

/* The page through any mapping that shows it. */
static volatile uint64_t *find_page(const struct actor *actor, size_t page) {
        const struct window *window = &actor->windows[random_below(N_WINDOWS)];

        if (page < window->first || page >= window->first + window->n)
                window = &actor->windows[0];
        return rig_word(window->map, page - window->first, 0);
}

static struct model_image read_image(const volatile uint64_t *words) {
        struct model_image image;

        for (size_t slot = 0; slot < MODEL_SLOTS; slot++)
                image.words[slot] = words[model_word(slot)];
        return image;
}

static void step_read(struct actor *actor) {
        size_t page = choose_page(actor), slot = random_below(MODEL_SLOTS), other;
        const volatile uint64_t *words = find_page(actor, page);

        if (random_below(64)) {
                check(model_see(actor->view, page, slot, words[model_word(slot)]), actor, page, "a word that cannot be");
                return;
        }
        other = 2 + random_below(60); /* between two slots */
        check(words[other] == page, actor, page, "a word that was never written");
        if (actor->view->pages[page].dirty) { /* cannot change from word to word, as a clean one can */
                struct model_image image = read_image(words);

                check(model_see_page(actor->view, page, &image), actor, page, "a page that cannot be");
        }
}

static void step_write(struct actor *actor) {
        size_t page = choose_page(actor), slot = random_below(MODEL_SLOTS);
        uint64_t value = atomic_load(&world.step) << 8 | (uint64_t) (actor - world.actors);
        bool was_dirty = actor->view->pages[page].dirty;
        struct model_image after;

        if (!was_dirty && actor->view->n_dirty >= world.dirty_max)
                return;
        find_page(actor, page)[model_word(slot)] = value;
        after = read_image(find_page(actor, page));
        check(model_write(actor->view, page, slot, value, was_dirty ? NULL : &after), actor, page, "a page that was written into is not what it was");
        if (was_dirty)
                check(model_see_page(actor->view, page, &after), actor, page, "a dirty page is not what was written");
}

/* --- calls -------------------------------------------------------------------------------------------------------------------------------------- */

static void invalidate(struct actor *actor, size_t first, size_t n) {
        assert_int_equal(bf_invalidate(actor->fileh, first * RIG_PAGE, n * RIG_PAGE), 0);
        model_invalidate(actor->view, first, n);
}

static void check_file(const struct actor *actor, size_t page) {
        uint64_t words[512];
        struct model_image image;

        assert_int_equal(tempfile_read(actor->path, page * RIG_PAGE, words, sizeof(words)), 0);
        image = read_image(words);
        for (size_t slot = 0; slot < MODEL_SLOTS; slot++) {
                check(image.words[slot] == model_file_page(actor->view->file, page)->words[slot], actor, page, "the file is not what was stored");
                words[model_word(slot)] = page;
        }
        for (size_t i = 0; i < 512; i++)
                check(words[i] == page, actor, page, "a word of the file that was never written");
}

static void step_writeout(struct actor *actor) {
        static const unsigned flags[] = { BF_WRITEOUT_STORE, BF_WRITEOUT_MARKSTORED, RIG_STORE_MARK, RIG_STORE_MARK,
                                          RIG_STORE_MARK | BF_WRITEOUT_SYNC };
        unsigned chosen = flags[random_below(sizeof(flags) / sizeof(flags[0]))];
        struct actor *reader = &world.actors[READER];

        if (actor == reader)
                return;
        for (size_t page = 0; page < reader->view->file->n_pages; page++)
                if (reader->view->file == actor->view->file && model_is_behind(reader->view, page))
                        invalidate(reader, page, 1);
        assert_int_equal(bf_writeout(actor->fileh, chosen), 0);
        if (chosen & BF_WRITEOUT_STORE)
                model_store(actor->view);
        if (chosen & BF_WRITEOUT_MARKSTORED)
                model_mark(actor->view);
        check_file(actor, choose_page(actor));
}

static void step_discard(struct actor *actor) {
        assert_int_equal(bf_discard(actor->fileh), 0);
        model_discard(actor->view);
}

static void step_invalidate(struct actor *actor) {
        invalidate(actor, choose_page(actor), 1 + random_below(20));
}

static void step_remap(struct actor *actor) {
        size_t i = random_below(N_WINDOWS);

        assert_int_equal(bf_munmap(actor->windows[i].map), 0);
        map_window(actor, i);
}

/* All handles of a view are closed and opened again: what was dirty is lost, nothing is stored. */
static void step_reopen(struct actor *actor) {
        for (size_t i = 0; i < N_ACTORS; i++)
                if (world.actors[i].view == actor->view)
                        close_actor(&world.actors[i]);
        model_invalidate(actor->view, 0, actor->view->file->n_pages);
        for (size_t i = 0; i < N_ACTORS; i++)
                if (world.actors[i].view == actor->view)
                        open_actor(&world.actors[i]);
}

static void step_hint(struct actor *actor) {
        uint64_t offset = choose_page(actor) * RIG_PAGE, n = 1 + random_below(8);
        uint64_t end = actor->view->file->n_pages * RIG_PAGE, length = offset + n * RIG_PAGE < end ? n * RIG_PAGE : end - offset;

        if (actor->oflag == O_RDONLY) { /* no load of its own beside a store of another: the kernel promises no whole pages then */
                assert_int_equal(bf_advise(actor->fileh, offset, length, BF_ADVICE_DONTNEED), 0);
                return;
        }
        switch (random_below(4)) {
        case 0:
                assert_int_equal(bf_advise(actor->fileh, offset, length, BF_ADVICE_WILLNEED), 0);
                break;
        case 1:
                assert_int_equal(bf_advise(actor->fileh, offset, length, BF_ADVICE_DONTNEED), 0);
                break;
        case 2:
                assert_int_equal(bf_advise(actor->fileh, 0, 0, (enum bf_advice) random_below(BF_ADVICE_RANDOM + 1)), 0);
                break;
        default:
                assert_int_equal(bf_load(actor->fileh, offset, length), 0);
        }
}

/* What can be asked agrees with the model. */
static void step_look(struct actor *actor) {
        size_t page = choose_page(actor);
        int state = bf_page_state(actor->fileh, page * RIG_PAGE);
        struct bf_pool_stat pool = rig_pool_stat(actor->client);
        struct bf_stat stat = rig_stat(actor->fileh);

        check((state == BF_PAGE_DIRTY || state == BF_PAGE_SPILLED) == actor->view->pages[page].dirty, actor, page, "the state is not what it should be");
        check(stat.dirty_bytes == actor->view->n_dirty * RIG_PAGE, actor, page, "the number of dirty pages is not what it should be");
        check(pool.resident_bytes <= pool.pool_bytes, actor, page, "the pool is larger than itself");
        check(pool.dirty_bytes == (world.views[0].n_dirty + world.views[2].n_dirty) * RIG_PAGE, actor, page, "dirty pages are miscounted");
}

static uint64_t setting(const char *name, uint64_t otherwise) {
        const char *text = getenv(name);

        return text ? strtoull(text, NULL, 0) : otherwise;
}

/* --- who serves the files ----------------------------------------------------------------------------------------------------------------------- */

struct served {
        int fd;
        uint64_t block_size;
};

/* What lies behind the end of the file is zero. */
static int served_load(void *file, uint64_t block, void *buf) {
        const struct served *served = file;
        ssize_t n = pread(served->fd, buf, served->block_size, (off_t) (block * served->block_size));

        if (n < 0)
                return -errno;
        memset((char *) buf + n, 0, served->block_size - (size_t) n);
        return 0;
}

static int served_store(void *file, uint64_t block, const void *buf) {
        const struct served *served = file;
        struct stat st;
        uint64_t offset = block * served->block_size, length = served->block_size;

        if (fstat(served->fd, &st) < 0)
                return -errno;
        if (length > (uint64_t) st.st_size - offset)
                length = (uint64_t) st.st_size - offset;
        return pwrite(served->fd, buf, length, (off_t) offset) == (ssize_t) length ? 0 : -EIO;
}

static void served_release(void *file) {
        struct served *served = file;

        close(served->fd);
        free(served);
}

static void serve(struct bf_client *client, const struct actor *actor, uint64_t block_size) {
        static const struct bf_file_ops ops = { .load = served_load, .store = served_store, .release = served_release };
        const struct bf_open_opts opts = { .size = sizeof(opts), .block_size = block_size, .name = actor->name + strlen("ops:") };
        struct served *served = malloc(sizeof(*served));
        struct bf_fileh *fileh;

        assert_non_null(served);
        *served = (struct served) { .fd = open(actor->path, O_RDWR | O_CLOEXEC), .block_size = block_size };
        assert_true(served->fd >= 0);
        assert_int_equal(bf_open_ops(client, &ops, served, actor->view->file->n_pages * RIG_PAGE, &opts, &fileh), 0);
}

/* Before the actors open them. */
static void serve_all(struct rig *rig) {
        uint64_t block_size = setting("BF_MODEL_SERVED", 0);
        struct bf_client *client;

        for (size_t i = 0; i < N_ACTORS; i++)
                world.actors[i].name = block_size == 0 ? world.actors[i].path : i < SHARED_ONE ? "ops:x" : "ops:y";
        if (block_size == 0)
                return;
        client = rig_client(rig);
        serve(client, &world.actors[WRITER], block_size);
        serve(client, &world.actors[SHARED_ONE], block_size);
}

/* --- the run ------------------------------------------------------------------------------------------------------------------------------------ */

struct kind {
        void (*step)(struct actor *actor);
        unsigned weight;
};

static void take_step(struct actor *actor) {
        static const struct kind rare[] = { { step_writeout, 10 }, { step_discard, 4 }, { step_invalidate, 8 }, { step_remap, 4 },
                                            { step_reopen, 1 },    { step_hint, 10 },   { step_look, 10 } };
        unsigned chosen;

        if (random_below(256) == 0 || actor->view->n_dirty >= world.dirty_max) {
                chosen = (unsigned) random_below(47);
                for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); chosen -= rare[i].weight, i++)
                        if (chosen < rare[i].weight) {
                                rare[i].step(actor);
                                return;
                        }
        }
        if (actor->oflag == O_RDWR && random_below(10) < 3)
                step_write(actor);
        else
                step_read(actor);
}

/* Takes a few pages away every so many steps. */
static void reclaim_on(struct worker *worker) {
        uint_fast64_t next = 0;

        while (!atomic_load(&world.stop)) {
                if (atomic_load(&world.step) < next) {
                        sched_yield();
                        continue;
                }
                next = atomic_load(&world.step) + 300;
                worker->result = bf_pool_reclaim(world.actors[READER].client, 4 * RIG_PAGE, NULL);
                if (worker->result < 0)
                        return;
        }
}

static void make_world(struct rig *rig) {
        static const size_t sizes[] = { 400, 250 };
        struct actor *actors = world.actors;

        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        for (size_t i = 0; i < 2; i++)
                model_file_init(&world.files[i], sizes[i]);
        for (size_t i = 0; i < 3; i++)
                model_view_init(&world.views[i], &world.files[i / 2]);
        actors[WRITER] = (struct actor) { .client = rig_client(rig), .view = &world.views[0], .path = rig_identity(rig, "x", sizes[0]),
                                          .oflag = O_RDWR };
        actors[READER] = (struct actor) { .client = rig_client(rig), .view = &world.views[1], .path = rig->paths[0], .oflag = O_RDONLY };
        actors[SHARED_ONE] = (struct actor) { .client = rig->clients[0], .view = &world.views[2], .path = rig_identity(rig, "y", sizes[1]),
                                              .oflag = O_RDWR, .flags = BF_SHARED };
        actors[SHARED_TWO] = actors[SHARED_ONE];
        actors[SHARED_TWO].client = rig->clients[1];
        serve_all(rig);
        for (size_t i = 0; i < N_ACTORS; i++)
                open_actor(&actors[i]);
}

static void end_world(void) {
        for (size_t i = 0; i < N_ACTORS; i++) {
                struct actor *actor = &world.actors[i];

                if (actor->oflag == O_RDWR) {
                        assert_int_equal(bf_writeout(actor->fileh, RIG_STORE_MARK), 0);
                        model_store(actor->view);
                        model_mark(actor->view);
                }
        }
        for (size_t i = 0; i < N_ACTORS; i++) {
                struct actor *actor = &world.actors[i];

                invalidate(actor, 0, actor->view->file->n_pages);
                for (size_t page = 0; page < actor->view->file->n_pages; page++) {
                        struct model_image image = read_image(find_page(actor, page));

                        check(model_see_page(actor->view, page, &image), actor, page, "at the end, a page");
                        check_file(actor, page);
                }
        }
        for (size_t i = 0; i < 3; i++)
                model_view_fini(&world.views[i]);
        for (size_t i = 0; i < 2; i++)
                model_file_fini(&world.files[i]);
}

static void test_model(void **state) {
        struct rig *rig = rig_here(state);
        uint64_t n_steps = setting("BF_MODEL_STEPS", STEPS);
        struct bf_spill_stat spill;
        struct worker *reclaimer;

        watchdog_arm("test_model", SECONDS_MAX);
        world.seed = setting("BF_MODEL_SEED", (uint64_t) time(NULL));
        world.random = world.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
        print_message("BF_MODEL_SEED=%" PRIu64 " BF_MODEL_STEPS=%" PRIu64 "\n", world.seed, n_steps);
        world.dirty_max = setting("BF_MODEL_DIRTY", DIRTY_MAX);
        make_world(rig);
        reclaimer = rig_worker(rig, reclaim_on, NULL, NULL, 0, 0);
        for (uint64_t i = 1; i <= n_steps; i++) {
                atomic_store(&world.step, i);
                take_step(&world.actors[random_below(N_ACTORS)]);
        }
        atomic_store(&world.stop, true);
        worker_join(reclaimer);
        assert_int_equal(reclaimer->result, 0);
        end_world();
        print_message("%" PRIu64 " faults, %" PRIu64 " loads, %" PRIu64 " stores, %" PRIu64 " evictions\n", rig_pool_stat(rig->clients[0]).faults,
                      rig_pool_stat(rig->clients[0]).loads, rig_pool_stat(rig->clients[0]).stores, rig_pool_stat(rig->clients[0]).evictions);
        assert_int_equal(bf_spill_stat(rig->clients[0], &spill), 0);
        print_message("%" PRIu64 " pages spilled, %" PRIu64 " of them brought back\n", spill.spills, spill.unspills);
        assert_true(spill.unspills > 0 || world.dirty_max < RIG_SMALL_PAGES);
}

int main(void) {
        static const struct CMUnitTest tests[] = { RIG_TEST(test_model) };

        watchdog_start();
        return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
