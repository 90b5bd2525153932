/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Loads of what can be had without waiting. */

#include <errno.h>
#include <string.h>

#include "fileh.h"
#include "load_now.h"
#include "mapping.h"
#include "pager.h"
#include "place.h"
#include "quota.h"
#include "store.h"

/* What is larger is read by another thread, also if it is cached: that takes long, and two threads are faster. */
#define LOAD_NOW_MAX (UINT64_C(512) << 10)

/* What lies in RAM is copied from where it lies. */
static bool load_now_view(struct mapping *mapping, uint64_t block, uint64_t n, bool write) {
        struct fileh *fileh = mapping->fileh;
        uint64_t offset = block << fileh->block_shift, length = n << fileh->block_shift;
        const void *content;
        int r;

        if (offset + length > fileh->size) /* what is behind the end is not as it should be */
                return false;
        content = store_view(fileh->store, offset, (uint32_t) length);
        if (!content)
                return false;
        r = place_now(mapping, block, n, content, write);
        store_viewed(fileh->store, r != -EFAULT);
        return r == 0;
}

static bool load_now_read(struct fileh *fileh, uint64_t block, uint64_t n, void *buf) {
        uint64_t offset = block << fileh->block_shift, length = n << fileh->block_shift;

        if (offset >= fileh->size)
                return false;
        if (length > fileh->size - offset) {
                memset((char *) buf + (fileh->size - offset), 0, length - (fileh->size - offset));
                length = fileh->size - offset;
        }
        return store_read_now(fileh->store, buf, offset, (uint32_t) length);
}

static bool load_now_copy(struct mapping *mapping, uint64_t block, uint64_t n, bool write) {
        struct fileh *fileh = mapping->fileh;
        uint64_t length = n << fileh->block_shift;
        void *buf = bufs_get(&fileh->pager->bufs, length);
        bool is_placed = buf && load_now_read(fileh, block, n, buf) && place_now(mapping, block, n, buf, write) == 0;

        bufs_put(&fileh->pager->bufs, buf, length);
        return is_placed;
}

bool load_now(struct mapping *mapping, uint64_t block, uint64_t n, bool write) {
        struct fileh *fileh = mapping->fileh;
        struct pager *pager = fileh->pager;
        uint64_t length = n << fileh->block_shift, began = latency_now();
        bool is_placed;

        if (length > LOAD_NOW_MAX || !store_has_now(fileh->store) || (write && (n > 1 || !quota_has_left(fileh))))
                return false;
        if (!TAILQ_EMPTY(&pager->room_queue) || !pool_take(pager->pool, length))
                return false;
        is_placed = load_now_view(mapping, block, n, write) || load_now_copy(mapping, block, n, write);
        if (is_placed)
                (void) pager_record(pager, REPORT_LOAD, began);
        else
                pager_give_room(pager, length);
        return is_placed;
}
