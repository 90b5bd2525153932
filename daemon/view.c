/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring.h"
#include "view.h"

#define VIEW_SHIFT 21
#define VIEW_BYTES (UINT64_C(1) << VIEW_SHIFT)
#define VIEW_WAYS 4u
#define VIEW_SETS 128u
#define VIEWS (VIEW_WAYS * VIEW_SETS)
#define VIEWS_RESERVED ((VIEWS + 1) * VIEW_BYTES)

/* So much must be wanted of a window before it is opened: opening it costs as much as reading that. */
#define VIEW_WANTED_MIN (UINT64_C(64) << 10)

/* How long it is trusted that what was there is in RAM; and how long it is not looked again when it was not, at first: looking takes the kernel some time for each page that is
 * not. */
#define VIEW_TRUST_USEC 500000u
#define VIEW_PAUSE_USEC_MIN 100000u
#define VIEW_PAUSE_USEC_MAX 3200000u

/* Copying took longer than this: it may have waited for a disk. */
#define VIEW_SLOW_USEC 1000u
#define VIEW_DISTRUST_USEC 10000000u

/* The kernel maps so much at a time of what is there. (fault_around_bytes; where it is set to less, there are no views.) */
#define VIEW_CHUNK (UINT64_C(64) << 10)

/* Of /proc/self/pagemap. */
#define VIEW_PRESENT (UINT64_C(1) << 63)
#define VIEW_PAGE_MIN 4096

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* As the kernel has them (linux/mman.h of 6.5). */
struct view_cachestat_range {
        uint64_t offset;
        uint64_t length;
};

struct view_cachestat {
        uint64_t n_cached;
        uint64_t n_dirty;
        uint64_t n_writeback;
        uint64_t n_evicted;
        uint64_t n_recently_evicted;
};

struct view {
        int fd; /* -1: it is free */
        bool is_open;
        uint64_t number;  /* of the window in the file */
        uint64_t n_bytes; /* inside the file */
        uint32_t mapped;  /* a bit for each chunk of it */
        uint64_t n_wanted;
        uint64_t trusted_till;
        uint64_t paused_till;
        uint64_t pause_usec; /* the last one */
        uint64_t used; /* when it was last asked for */
};

struct views {
        char *area;  /* VIEWS windows of addresses, and what is left of those that were reserved: the kernel maps by addresses that are multiples of a chunk */
        void *reserved;
        int pagemap; /* of this process */
        uint64_t page_size;
        uint64_t distrusted_till;
        struct view *got; /* the last one that was got */
        uint64_t got_at;  /* when */
        long n_waits;    /* of this thread for disks, when last looked at */
        struct view views[VIEWS];
};

struct views *views_new(void) {
        struct views *views = calloc(1, sizeof(*views));

        if (!views)
                return NULL;
        views->reserved = mmap(NULL, VIEWS_RESERVED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        views->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        if (views->reserved == MAP_FAILED || views->pagemap < 0) {
                views_free(views);
                return NULL;
        }
        views->area = (char *) (((uintptr_t) views->reserved + VIEW_BYTES - 1) & ~(VIEW_BYTES - 1));
        views->page_size = (uint64_t) sysconf(_SC_PAGESIZE);
        for (unsigned i = 0; i < VIEWS; i++)
                views->views[i].fd = -1;
        return views;
}

void views_free(struct views *views) {
        if (!views)
                return;
        if (views->reserved != MAP_FAILED)
                munmap(views->reserved, VIEWS_RESERVED);
        if (views->pagemap >= 0)
                close(views->pagemap);
        free(views);
}

static char *view_address(const struct views *views, const struct view *view) {
        return views->area + (uint64_t) (view - views->views) * VIEW_BYTES;
}

static void view_close(struct views *views, struct view *view) {
        if (view->is_open)
                (void) mmap(view_address(views, view), VIEW_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
        *view = (struct view) { .fd = -1 };
}

static unsigned view_set(int fd, uint64_t number) {
        uint64_t h = (number * 67 + (uint64_t) fd) * UINT64_C(0x9e3779b97f4a7c15);

        return (unsigned) (h >> 40) % VIEW_SETS;
}

/* The one of that window, or the one that makes way for it: the oldest of its set. */
static struct view *view_find(struct views *views, int fd, uint64_t number) {
        struct view *set = &views->views[view_set(fd, number) * VIEW_WAYS], *oldest = set;

        for (unsigned i = 0; i < VIEW_WAYS; i++) {
                if (set[i].fd == fd && set[i].number == number)
                        return &set[i];
                if (set[i].used < oldest->used)
                        oldest = &set[i];
        }
        view_close(views, oldest);
        oldest->fd = fd;
        oldest->number = number;
        return oldest;
}

/* Most of it is, or is on its way: that is seen sooner than what view_map() sees, and mapping the rest is not worth the time. */
static bool view_is_cached(const struct views *views, const struct view *view) {
        struct view_cachestat_range range = { .offset = view->number << VIEW_SHIFT, .length = view->n_bytes };
        struct view_cachestat stat = { .n_cached = 0 };

        return syscall(SYS_cachestat, view->fd, &range, &stat, 0) == 0 && stat.n_cached >= view->n_bytes / views->page_size / 2;
}

/* Which chunks are mapped from their first page to the last: nothing of them is touched for the first time. */
static uint32_t view_mapped(const struct views *views, const struct view *view) {
        uint64_t entries[VIEW_BYTES / VIEW_PAGE_MIN], n = view->n_bytes / views->page_size, n_chunk = VIEW_CHUNK / views->page_size;
        ssize_t size = (ssize_t) (n * sizeof(entries[0]));
        off_t offset = (off_t) ((uintptr_t) view_address(views, view) / views->page_size * sizeof(entries[0]));
        uint32_t mapped = UINT32_MAX >> (VIEW_BYTES - view->n_bytes) / VIEW_CHUNK;

        if (pread(views->pagemap, entries, (size_t) size, offset) != size)
                return 0;
        for (uint64_t i = 0; i < n; i++)
                if (!(entries[i] & VIEW_PRESENT))
                        mapped &= ~(UINT32_C(1) << i / n_chunk);
        return mapped;
}

/* Maps the first page of a chunk, if it was read, and with it those around it that were read as well: what is on its way is not waited for, and is missing then; and so
 * is what the kernel has marked to read ahead from, until it is read. As they come along only with a page that was not mapped, all of it is unmapped first. A file that
 * has become shorter meanwhile is an error here, and no signal, as it would be if it was touched. */
static bool view_map_chunk(const struct views *views, const struct view *view, uint64_t skip) {
        char *address = view_address(views, view) + skip, byte;

        if (ring_read_now(view->fd, &byte, 1, (view->number << VIEW_SHIFT) + skip) != 1)
                return true;
        return madvise(address, VIEW_CHUNK, MADV_DONTNEED) == 0 && madvise(address, views->page_size, MADV_POPULATE_READ) == 0;
}

static bool view_map(const struct views *views, struct view *view) {
        for (uint64_t skip = 0; skip < view->n_bytes; skip += VIEW_CHUNK)
                if (!(view->mapped >> skip / VIEW_CHUNK & 1) && !view_map_chunk(views, view, skip))
                        return false;
        view->mapped = view_mapped(views, view);
        return view->mapped != 0;
}

/* Of what is there, none of this waits. */
static bool view_open(struct views *views, struct view *view) {
        uint64_t offset = view->number << VIEW_SHIFT;
        struct stat st;

        if (fstat(view->fd, &st) < 0 || (uint64_t) st.st_size < offset + views->page_size)
                return false;
        view->n_bytes = (uint64_t) st.st_size - offset < VIEW_BYTES ? ((uint64_t) st.st_size - offset) & ~(views->page_size - 1) : VIEW_BYTES;
        if (!view_is_cached(views, view))
                return false;
        if (!view->is_open)
                view->is_open = mmap(view_address(views, view), VIEW_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, view->fd, (off_t) offset) != MAP_FAILED;
        if (!view->is_open)
                return false;
        view->mapped = view_mapped(views, view);
        return view_map(views, view);
}

/* Page faults of this thread that had to wait for a disk. */
static long view_n_waits(void) {
        struct rusage usage;

        return getrusage(RUSAGE_THREAD, &usage) < 0 ? 0 : usage.ru_majflt;
}

static bool view_is_trusted(struct views *views, struct view *view, uint64_t now) {
        if (now < view->trusted_till)
                return true;
        if (now < view->paused_till || now < views->distrusted_till || view->n_wanted < VIEW_WANTED_MIN)
                return false;
        if (!view_open(views, view)) {
                view->pause_usec = view->pause_usec == 0 ? VIEW_PAUSE_USEC_MIN : view->pause_usec * 2;
                if (view->pause_usec > VIEW_PAUSE_USEC_MAX)
                        view->pause_usec = VIEW_PAUSE_USEC_MAX;
                view->paused_till = now + view->pause_usec;
                return false;
        }
        view->trusted_till = now + VIEW_TRUST_USEC;
        view->pause_usec = 0;
        views->n_waits = view_n_waits(); /* those until now were for something else */
        return true;
}

static bool view_has(const struct view *view, uint64_t skip, uint64_t length) {
        if (skip + length > view->n_bytes)
                return false;
        for (uint64_t chunk = skip / VIEW_CHUNK; chunk <= (skip + length - 1) / VIEW_CHUNK; chunk++)
                if (!(view->mapped >> chunk & 1))
                        return false;
        return true;
}

const void *views_get(struct views *views, int fd, uint64_t offset, uint64_t length) {
        uint64_t skip = offset & (VIEW_BYTES - 1), now = ring_now();
        struct view *view;

        if (!views || length > VIEW_BYTES - skip)
                return NULL;
        view = view_find(views, fd, offset >> VIEW_SHIFT);
        view->used = now;
        view->n_wanted += length;
        if (!view_is_trusted(views, view, now) || !view_has(view, skip, length))
                return NULL;
        views->got_at = now;
        views->got = view;
        return view_address(views, view) + skip;
}

/* It may be slow as well because this thread was not scheduled. */
void views_used(struct views *views, bool was_there) {
        uint64_t now = ring_now();
        long n_waits = views->n_waits;

        if (!was_there)
                view_close(views, views->got);
        if (now - views->got_at < VIEW_SLOW_USEC)
                return;
        views->n_waits = view_n_waits();
        if (views->n_waits == n_waits)
                return;
        views->distrusted_till = now + VIEW_DISTRUST_USEC;
        for (unsigned i = 0; i < VIEWS; i++)
                views->views[i].trusted_till = 0;
}

void views_forget(struct views *views, int fd) {
        for (unsigned i = 0; views && i < VIEWS; i++)
                if (views->views[i].fd == fd)
                        view_close(views, &views->views[i]);
}
