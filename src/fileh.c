/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "errmsg.h"
#include "fileh.h"
#include "nofork.h"

#define FILEH_NAME_MAX 512 /* of a name in messages: reasons are to have room behind it */

int handles_init(struct handles *handles) {
        int fd;

        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
                return -errno;
        *handles = (struct handles) { .changed = fd, .filehs = LIST_HEAD_INITIALIZER(handles->filehs) };
        pthread_mutex_init(&handles->lock, NULL);
        return 0;
}

void handles_fini(struct handles *handles) {
        assert(LIST_EMPTY(&handles->filehs));
        pthread_mutex_destroy(&handles->lock);
        close(handles->changed);
}

int handles_add(struct handles *handles, struct bf_fileh *fileh) {
        int r = 0;

        pthread_mutex_lock(&handles->lock);
        if (handles->is_lost)
                r = -ENOTCONN;
        else
                LIST_INSERT_HEAD(&handles->filehs, fileh, entry);
        pthread_mutex_unlock(&handles->lock);
        return r;
}

void handles_remove(struct handles *handles, struct bf_fileh *fileh) {
        pthread_mutex_lock(&handles->lock);
        LIST_REMOVE(fileh, entry);
        if (fileh_is_lost(fileh))
                handles_notify(handles);
        pthread_mutex_unlock(&handles->lock);
}

static void fileh_set_lost(struct bf_fileh *fileh, bool is_lost) {
        struct mapping *mapping;

        pthread_mutex_lock(&fileh->lock);
        fileh->is_lost = is_lost;
        LIST_FOREACH(mapping, &fileh->mappings, entry)
                registry_set_error(mapping->slot, is_lost ? ENOTCONN : 0);
        pthread_mutex_unlock(&fileh->lock);
}

void fileh_lose(struct bf_fileh *fileh) {
        fileh_set_lost(fileh, true);
}

void fileh_regain(struct bf_fileh *fileh) {
        fileh_set_lost(fileh, false);
}

bool fileh_is_lost(struct bf_fileh *fileh) {
        bool is_lost;

        pthread_mutex_lock(&fileh->lock);
        is_lost = fileh->is_lost;
        pthread_mutex_unlock(&fileh->lock);
        return is_lost;
}

void handles_lose(struct handles *handles) {
        struct bf_fileh *fileh;

        pthread_mutex_lock(&handles->lock);
        handles->is_lost = true;
        LIST_FOREACH(fileh, &handles->filehs, entry)
                fileh_lose(fileh);
        pthread_mutex_unlock(&handles->lock);
}

void handles_regain(struct handles *handles) {
        pthread_mutex_lock(&handles->lock);
        handles->is_lost = false;
        pthread_mutex_unlock(&handles->lock);
}

void handles_forget_numbers(struct handles *handles) {
        struct bf_fileh *fileh;

        pthread_mutex_lock(&handles->lock);
        LIST_FOREACH(fileh, &handles->filehs, entry)
                session_set_handle(fileh->session, &fileh->number, 0);
        pthread_mutex_unlock(&handles->lock);
}

static bool fileh_is_staying(struct bf_fileh *fileh) {
        bool is_staying;

        pthread_mutex_lock(&fileh->lock);
        is_staying = fileh->is_open && !fileh->is_leaving;
        pthread_mutex_unlock(&fileh->lock);
        return is_staying;
}

struct bf_fileh *handles_next(struct handles *handles, struct bf_fileh *fileh) {
        pthread_mutex_lock(&handles->lock);
        do
                fileh = fileh ? LIST_NEXT(fileh, entry) : LIST_FIRST(&handles->filehs);
        while (fileh && !fileh_is_staying(fileh));
        pthread_mutex_unlock(&handles->lock);
        return fileh;
}

void handles_close_uffds(struct handles *handles) {
        struct bf_fileh *fileh;

        pthread_mutex_lock(&handles->lock);
        LIST_FOREACH(fileh, &handles->filehs, entry) {
                close(fileh->uffd);
                fileh->uffd = open("/dev/null", O_RDWR | O_CLOEXEC);
        }
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
                .memory_entry = -1,
                .ledger = -1,
                .spill = -1,
                .direct = -1,
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
        fileh_close_fd(fileh->spill);
        fileh_close_fd(fileh->direct);
        fileh_close_fd(fileh->ledger);
        nofork_remove(fileh->memory_entry);
        fileh_close_fd(fileh->memory);
        fileh_close_fd(fileh->uffd);
        fileh_close_fd(fileh->file);
        pthread_mutex_destroy(&fileh->lock);
        pthread_mutex_destroy(&fileh->growth);
        free(fileh->name);
        free(fileh);
}

void fileh_set_open(struct bf_fileh *fileh) {
        pthread_mutex_lock(&fileh->lock);
        fileh->is_open = true;
        pthread_mutex_unlock(&fileh->lock);
}

void fileh_set_leaving(struct bf_fileh *fileh) {
        pthread_mutex_lock(&fileh->lock);
        fileh->is_leaving = true;
        pthread_mutex_unlock(&fileh->lock);
}

void fileh_set_advice(struct bf_fileh *fileh, enum bf_advice advice) {
        pthread_mutex_lock(&fileh->lock);
        fileh->advice = advice;
        pthread_mutex_unlock(&fileh->lock);
}

enum bf_advice fileh_advice(struct bf_fileh *fileh) {
        enum bf_advice advice;

        pthread_mutex_lock(&fileh->lock);
        advice = fileh->advice;
        pthread_mutex_unlock(&fileh->lock);
        return advice;
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

void fileh_unlink_mapping(struct bf_fileh *fileh, struct mapping *mapping) {
        pthread_mutex_lock(&fileh->lock);
        LIST_REMOVE(mapping, entry);
        pthread_mutex_unlock(&fileh->lock);
}

void mapping_set_leaving(struct mapping *mapping, bool is_leaving) {
        pthread_mutex_lock(&mapping->fileh->lock);
        mapping->is_leaving = is_leaving;
        pthread_mutex_unlock(&mapping->fileh->lock);
}

struct mapping *fileh_next_mapping(struct bf_fileh *fileh, struct mapping *mapping) {
        pthread_mutex_lock(&fileh->lock);
        do
                mapping = mapping ? LIST_NEXT(mapping, entry) : LIST_FIRST(&fileh->mappings);
        while (mapping && mapping->is_leaving);
        pthread_mutex_unlock(&fileh->lock);
        return mapping;
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

void fileh_begin_call(struct bf_fileh *fileh, enum wire_id id, struct call *ret_call) {
        *ret_call = (struct call) { .handle = &fileh->number };
        wire_init(&ret_call->msg, id, 0);
}

int fileh_fail(const struct bf_fileh *fileh, int error, const char *hint, const char *what) {
        int refusal = atomic_load(&fileh->refusal);
        char who[SESSION_REASON_MAX];

        if (error == -ENOTCONN && refusal < 0)
                return errmsg_set(error, "cannot %s " ERRMSG_NAME ": another daemon has come, and did not take up this handle: %s (its log may say more; open the file anew)", what,
                                  fileh->name, strerror(-refusal));
        if (error == -ENOTCONN) {
                session_tell(fileh->session, who);
                hint = who;
        }
        return errmsg_fail(error, hint, "cannot %s %s", what, fileh->name);
}

int fileh_check(const struct bf_fileh *fileh) {
        if (!fileh)
                return errmsg_set(-EINVAL, "no handle: the pointer is NULL");
        return session_check(fileh->session);
}
