/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "directory.h"

bool file_identity_is(const struct file_identity *a, const struct file_identity *b) {
        return a->device == b->device && a->inode == b->inode;
}

static unsigned directory_bucket(const struct file_identity *file) {
        uint64_t h = (file->device ^ file->inode) * UINT64_C(0x9e3779b97f4a7c15);

        return (unsigned) (h >> 32) % DIRECTORY_BUCKETS;
}

void directory_init(struct directory *directory) {
        pthread_mutex_init(&directory->mutex, NULL);
        for (unsigned i = 0; i < DIRECTORY_BUCKETS; i++) {
                LIST_INIT(&directory->entries[i]);
                LIST_INIT(&directory->routes[i]);
        }
}

void directory_fini(struct directory *directory) {
        pthread_mutex_destroy(&directory->mutex);
}

/* --- routes ------------------------------------------------------------------------------------------------------------------------------------- */

static struct directory_route *directory_find_route(struct directory *directory, const struct file_identity *file) {
        struct directory_route *route;

        LIST_FOREACH(route, &directory->routes[directory_bucket(file)], entry)
                if (file_identity_is(&route->file, file))
                        break;
        return route;
}

static struct directory_route *directory_new_route(struct directory *directory, const struct file_identity *file, unsigned pager) {
        struct directory_route *route = malloc(sizeof(*route));

        if (!route)
                return NULL;
        *route = (struct directory_route) { .file = *file, .pager = pager };
        LIST_INSERT_HEAD(&directory->routes[directory_bucket(file)], route, entry);
        return route;
}

struct directory_route *directory_route(struct directory *directory, const struct file_identity *file, unsigned preferred) {
        struct directory_route *route;

        pthread_mutex_lock(&directory->mutex);
        route = directory_find_route(directory, file);
        if (!route)
                route = directory_new_route(directory, file, preferred);
        if (route)
                route->n_refs++;
        pthread_mutex_unlock(&directory->mutex);
        return route;
}

void directory_hold(struct directory *directory, struct directory_route *route) {
        pthread_mutex_lock(&directory->mutex);
        route->n_refs++;
        pthread_mutex_unlock(&directory->mutex);
}

void directory_release(struct directory *directory, struct directory_route *route) {
        bool is_last;

        if (!route)
                return;
        pthread_mutex_lock(&directory->mutex);
        is_last = --route->n_refs == 0;
        if (is_last)
                LIST_REMOVE(route, entry);
        pthread_mutex_unlock(&directory->mutex);
        if (is_last)
                free(route);
}

/* --- filehs ------------------------------------------------------------------------------------------------------------------------------------- */

/* One that has that memory must be of the same file, or it is refused for that. */
static bool directory_has_memory(struct directory *directory, const struct file_identity *file, uint64_t memory_inode) {
        struct directory_entry *entry;

        LIST_FOREACH(entry, &directory->entries[directory_bucket(file)], entry)
                if (entry->memory_inode == memory_inode)
                        return true;
        return false;
}

int directory_enter(struct directory *directory, struct directory_entry *entry, const struct file_identity *file, uint64_t memory_inode) {
        bool is_taken;

        *entry = (struct directory_entry) { .file = *file, .memory_inode = memory_inode };
        STAILQ_INIT(&entry->waiters);
        pthread_mutex_lock(&directory->mutex);
        is_taken = directory_has_memory(directory, file, memory_inode);
        if (!is_taken)
                LIST_INSERT_HEAD(&directory->entries[directory_bucket(file)], entry, entry);
        pthread_mutex_unlock(&directory->mutex);
        return is_taken ? -EBUSY : 0;
}

void directory_leave(struct directory *directory, struct directory_entry *entry) {
        struct directory_waiter *waiter;

        pthread_mutex_lock(&directory->mutex);
        LIST_REMOVE(entry, entry);
        while ((waiter = STAILQ_FIRST(&entry->waiters))) {
                STAILQ_REMOVE_HEAD(&entry->waiters, entry);
                waiter->ended(waiter);
        }
        pthread_mutex_unlock(&directory->mutex);
}

void directory_set_closed(struct directory *directory, struct directory_entry *entry, bool is_storing) {
        pthread_mutex_lock(&directory->mutex);
        entry->memory_inode = 0;
        entry->is_storing = is_storing;
        pthread_mutex_unlock(&directory->mutex);
}

bool directory_await_storing(struct directory *directory, const struct file_identity *file, struct directory_waiter *waiter) {
        struct directory_entry *entry;

        pthread_mutex_lock(&directory->mutex);
        LIST_FOREACH(entry, &directory->entries[directory_bucket(file)], entry)
                if (entry->is_storing && file_identity_is(&entry->file, file)) {
                        STAILQ_INSERT_TAIL(&entry->waiters, waiter, entry);
                        break;
                }
        pthread_mutex_unlock(&directory->mutex);
        return entry;
}
