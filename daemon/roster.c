/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring.h"
#include "roster.h"

/* A client that waits for a daemon looks for one twice a second at least: this is a few times that. */
#define ROSTER_WAIT_USEC 3000000u

static_assert(sizeof(struct roster_record) == 64, "records do not straddle pages: each is written at once");

void roster_init(struct roster *roster) {
        *roster = (struct roster) { .fd = -1 };
        pthread_mutex_init(&roster->mutex, NULL);
}

static void roster_read(struct roster *roster) {
        ssize_t n = pread(roster->fd, roster->records, sizeof(roster->records), 0);
        size_t n_whole = n > 0 ? (size_t) n / sizeof(roster->records[0]) : 0;

        memset(roster->records + n_whole, 0, (ROSTER_MAX - n_whole) * sizeof(roster->records[0]));
        for (size_t i = 0; i < n_whole; i++)
                if (roster->records[i].memory_inode != 0) {
                        roster->is_left[i] = true;
                        roster->n_left++;
                }
}

/* Not another's, who could make openers wait. */
static bool roster_is_own(int fd) {
        struct stat st;

        return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid();
}

int roster_open(struct roster *roster, const char *path) {
        roster->path = strdup(path);
        if (!roster->path)
                return -ENOMEM;
        roster->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (roster->fd < 0)
                return -errno;
        if (!roster_is_own(roster->fd)) {
                close(roster->fd);
                roster->fd = -1;
                return -EPERM;
        }
        roster_read(roster);
        roster->until = ring_now() + ROSTER_WAIT_USEC;
        return 0;
}

void roster_fini(struct roster *roster) {
        bool is_empty = true;

        for (unsigned i = 0; i < ROSTER_MAX; i++)
                is_empty &= roster->records[i].memory_inode == 0;
        if (roster->fd >= 0) {
                if (is_empty)
                        (void) unlink(roster->path);
                close(roster->fd);
        }
        free(roster->path);
        pthread_mutex_destroy(&roster->mutex);
        roster_init(roster);
}

static void roster_write(struct roster *roster, unsigned i) {
        if (roster->fd >= 0)
                (void) !pwrite(roster->fd, &roster->records[i], sizeof(roster->records[i]), (off_t) (i * sizeof(roster->records[i])));
}

static void roster_clear(struct roster *roster, unsigned i) {
        roster->n_left -= roster->is_left[i];
        roster->is_left[i] = false;
        roster->records[i] = (struct roster_record) { .memory_inode = 0 };
        roster_write(roster, i);
}

/* What has not come back by now is not waited for any more, and not by the next daemon either. */
static void roster_expire(struct roster *roster) {
        if (roster->n_left == 0 || ring_now() < roster->until)
                return;
        for (unsigned i = 0; i < ROSTER_MAX; i++)
                if (roster->is_left[i])
                        roster_clear(roster, i);
}

/* The record of that name; 0: a free one. ROSTER_MAX: there is none. */
static unsigned roster_find(const struct roster *roster, uint64_t memory_inode) {
        unsigned i = 0;

        while (i < ROSTER_MAX && roster->records[i].memory_inode != memory_inode)
                i++;
        return i;
}

static void roster_set(struct roster *roster, unsigned i, const struct roster_record *record) {
        roster->n_left -= roster->is_left[i];
        roster->is_left[i] = false;
        roster->records[i] = *record;
        roster_write(roster, i);
}

void roster_add(struct roster *roster, const struct roster_record *record) {
        unsigned i;

        pthread_mutex_lock(&roster->mutex);
        i = roster_find(roster, record->memory_inode);
        roster_expire(roster);
        if (i == ROSTER_MAX)
                i = roster_find(roster, 0);
        if (i < ROSTER_MAX)
                roster_set(roster, i, record);
        pthread_mutex_unlock(&roster->mutex);
}

void roster_remove(struct roster *roster, uint64_t memory_inode) {
        unsigned i;

        pthread_mutex_lock(&roster->mutex);
        i = roster_find(roster, memory_inode);
        if (i < ROSTER_MAX)
                roster_clear(roster, i);
        pthread_mutex_unlock(&roster->mutex);
}

static bool roster_has_left(const struct roster *roster, const struct roster_record *record) {
        for (unsigned i = 0; roster->n_left > 0 && i < ROSTER_MAX; i++) {
                const struct roster_record *left = &roster->records[i];

                if (roster->is_left[i] && left->device == record->device && left->inode == record->inode && left->block_size == record->block_size &&
                    left->is_huge == record->is_huge)
                        return true;
        }
        return false;
}

bool roster_is_awaited(struct roster *roster, const struct roster_record *record) {
        bool is_awaited;

        pthread_mutex_lock(&roster->mutex);
        roster_expire(roster);
        is_awaited = roster_has_left(roster, record);
        pthread_mutex_unlock(&roster->mutex);
        return is_awaited;
}
