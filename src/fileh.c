/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "errmsg.h"
#include "fileh.h"

#define FILEH_NAME_MAX 512 /* of a name in messages: reasons are to have room behind it */

int handles_init(struct handles *handles) {
        struct pollfd *polls;
        int fd;

        polls = calloc(1, sizeof(*polls));
        if (!polls)
                return -ENOMEM;
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0) {
                free(polls);
                return -errno;
        }
        *handles = (struct handles) { .changed = fd, .filehs = LIST_HEAD_INITIALIZER(handles->filehs), .polls = polls };
        pthread_mutex_init(&handles->lock, NULL);
        return 0;
}

void handles_fini(struct handles *handles) {
        assert(LIST_EMPTY(&handles->filehs));
        pthread_mutex_destroy(&handles->lock);
        close(handles->changed);
        free(handles->polls);
}

static int handles_add_locked(struct handles *handles, struct bf_fileh *fileh) {
        struct pollfd *polls;

        if (handles->is_lost)
                return -ENOTCONN;
        polls = reallocarray(handles->polls, (size_t) handles->n_filehs + 2, sizeof(*polls));
        if (!polls)
                return -ENOMEM;
        handles->polls = polls;
        handles->n_filehs++;
        LIST_INSERT_HEAD(&handles->filehs, fileh, entry);
        return 0;
}

int handles_add(struct handles *handles, struct bf_fileh *fileh) {
        int r;

        pthread_mutex_lock(&handles->lock);
        r = handles_add_locked(handles, fileh);
        pthread_mutex_unlock(&handles->lock);
        return r;
}

void handles_remove(struct handles *handles, struct bf_fileh *fileh) {
        pthread_mutex_lock(&handles->lock);
        LIST_REMOVE(fileh, entry);
        handles->n_filehs--;
        if (handles->is_lost)
                handles_notify(handles);
        pthread_mutex_unlock(&handles->lock);
}

static void fileh_lose(struct bf_fileh *fileh) {
        struct mapping *mapping;

        pthread_mutex_lock(&fileh->lock);
        fileh->is_lost = true;
        LIST_FOREACH(mapping, &fileh->mappings, entry)
                registry_set_error(mapping->slot, ENOTCONN);
        pthread_mutex_unlock(&fileh->lock);
}

void handles_lose(struct handles *handles) {
        struct bf_fileh *fileh;

        pthread_mutex_lock(&handles->lock);
        handles->is_lost = true;
        LIST_FOREACH(fileh, &handles->filehs, entry)
                fileh_lose(fileh);
        pthread_mutex_unlock(&handles->lock);
}

void handles_notify(struct handles *handles) {
        (void) eventfd_write(handles->changed, 1);
}

int fileh_new(struct session *session, struct handles *handles, const char *name, struct bf_fileh **ret) {
        struct bf_fileh *fileh;

        fileh = calloc(1, sizeof(*fileh));
        if (!fileh)
                return -ENOMEM;
        *fileh = (struct bf_fileh) {
                .session = session,
                .handles = handles,
                .name = strndup(name, FILEH_NAME_MAX),
                .file = -1,
                .uffd = -1,
                .memory = -1,
                .ledger = -1,
                .mappings = LIST_HEAD_INITIALIZER(fileh->mappings),
        };
        pthread_mutex_init(&fileh->growth, NULL);
        pthread_mutex_init(&fileh->lock, NULL);
        if (!fileh->name) {
                fileh_free(fileh);
                return -ENOMEM;
        }
        *ret = fileh;
        return 0;
}

static void fileh_close_fd(int fd) {
        if (fd >= 0)
                close(fd);
}

void fileh_free(struct bf_fileh *fileh) {
        if (!fileh)
                return;
        assert(LIST_EMPTY(&fileh->mappings));
        fileh_close_fd(fileh->ledger);
        fileh_close_fd(fileh->memory);
        fileh_close_fd(fileh->uffd);
        fileh_close_fd(fileh->file);
        pthread_mutex_destroy(&fileh->lock);
        pthread_mutex_destroy(&fileh->growth);
        free(fileh->name);
        free(fileh);
}

int fileh_link_mapping(struct bf_fileh *fileh, struct mapping *mapping) {
        int r = 0;

        pthread_mutex_lock(&fileh->lock);
        if (fileh->is_lost)
                r = -ENOTCONN;
        else
                LIST_INSERT_HEAD(&fileh->mappings, mapping, entry);
        pthread_mutex_unlock(&fileh->lock);
        return r;
}

bool fileh_has_mappings(struct bf_fileh *fileh) {
        bool has_mappings;

        pthread_mutex_lock(&fileh->lock);
        has_mappings = !LIST_EMPTY(&fileh->mappings);
        pthread_mutex_unlock(&fileh->lock);
        return has_mappings;
}

struct mapping *fileh_find_mapping(struct bf_fileh *fileh, uintptr_t address) {
        struct mapping *mapping;

        LIST_FOREACH(mapping, &fileh->mappings, entry)
                if (address - (uintptr_t) mapping->address < mapping->length)
                        return mapping;
        return NULL;
}

int fileh_fail(const struct bf_fileh *fileh, int error, const char *hint, const char *what) {
        if (error == -ENOTCONN)
                hint = fileh->session->daemon;
        return errmsg_fail(error, hint, "cannot %s %s", what, fileh->name);
}

int fileh_check(const struct bf_fileh *fileh) {
        if (!fileh)
                return errmsg_set(-EINVAL, "no handle: the pointer is NULL");
        return session_check(fileh->session);
}
