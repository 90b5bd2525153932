/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "inject.h"
#include "outbox.h"

int outbox_init(struct outbox *outbox) {
        outbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (outbox->fd < 0)
                return -errno;
        pthread_mutex_init(&outbox->mutex, NULL);
        STAILQ_INIT(&outbox->items);
        return 0;
}

void outbox_fini(struct outbox *outbox) {
        struct outbox_item *item;

        while ((item = outbox_next(outbox))) {
                for (unsigned i = 0; i < item->reply.n_fds; i++)
                        close(item->reply.fds[i]);
                free(item);
        }
        pthread_mutex_destroy(&outbox->mutex);
        close(outbox->fd);
}

void outbox_put(struct outbox *outbox, struct outbox_item *item) {
        bool was_empty;

        pthread_mutex_lock(&outbox->mutex);
        was_empty = STAILQ_EMPTY(&outbox->items);
        STAILQ_INSERT_TAIL(&outbox->items, item, entry);
        pthread_mutex_unlock(&outbox->mutex);
        INJECT(PAGER_REPLIED);
        if (was_empty)
                (void) !write(outbox->fd, &(uint64_t) { 1 }, sizeof(uint64_t)); /* full only if it was written to 2^64 times already */
}

struct outbox_item *outbox_next(struct outbox *outbox) {
        struct outbox_item *item;
        uint64_t value;

        pthread_mutex_lock(&outbox->mutex);
        item = STAILQ_FIRST(&outbox->items);
        if (item)
                STAILQ_REMOVE_HEAD(&outbox->items, entry);
        else
                (void) !read(outbox->fd, &value, sizeof(value)); /* under the lock: a reply that comes now signals again */
        pthread_mutex_unlock(&outbox->mutex);
        return item;
}
