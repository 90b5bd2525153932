/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "account.h"
#include "fileh_new.h"
#include "inject.h"
#include "log.h"
#include "roster.h"
#include "store_file.h"
#include "store_ops.h"
#include "turn.h"

static struct roster_record fileh_record(const struct fileh_params *params) {
        return (struct roster_record) {
                .device = params->identity.device,
                .inode = params->identity.inode,
                .block_size = params->block_size,
                .is_huge = params->is_huge,
        };
}

bool fileh_is_awaited(struct pager *pager, const struct fileh_params *params) {
        struct roster_record record = fileh_record(params);

        return params->is_shared && roster_is_awaited(&pager->commons->roster, &record);
}

static int fileh_set_user(struct fileh *fileh, uid_t uid) {
        struct account *account;

        if (uid == fileh->uid)
                return 0;
        account = account_get(&fileh->pager->commons->accounts, uid);
        if (!account)
                return -ENOMEM;
        account_add(account, ACCOUNT_DIRTY_BYTES, fileh->n_counted);
        pager_count_dirty(fileh->pager, fileh->account, -(int64_t) fileh->n_counted);
        account_sub(fileh->account, ACCOUNT_FAILED_PAGES, fileh->n_failed);
        account_add(account, ACCOUNT_FAILED_PAGES, fileh->n_failed);
        atomic_fetch_or(&account->waiting[ACCOUNT_DIRTY_BYTES], atomic_load(&fileh->account->waiting[ACCOUNT_DIRTY_BYTES])); /* who waits, waits for him now */
        turn_change_account(fileh, account);
        account_put(fileh->account);
        fileh->account = account;
        fileh->uid = uid;
        return 0;
}

static int fileh_build_memory(struct fileh *fileh, const struct fileh_params *params) {
        uint64_t size = fileh_round_up(params->size, params->block_size);
        int r;

        if (params->memory_fd >= 0)
                r = memory_adopt(&fileh->memory, params->memory_fd, size, params->is_huge);
        else
                r = memory_init(&fileh->memory, size, params->is_huge);
        if (r < 0)
                return r;
        r = memory_inode(&fileh->memory, &fileh->memory_inode);
        if (r == 0)
                r = directory_enter(&fileh->pager->commons->directory, &fileh->entry, &fileh->identity, fileh->memory_inode);
        if (r < 0)
                memory_fini(&fileh->memory);
        return r;
}

static int fileh_build_ledger(struct fileh *fileh, const struct fileh_params *params) {
        struct ledger_header about = {
                .block_size = params->block_size,
                .size = params->size,
                .file_device = params->identity.device,
                .file_inode = params->identity.inode,
                .is_shared = params->is_shared,
                .memory_inode = fileh->memory_inode,
        };

        if (params->ledger_fd >= 0)
                return ledger_file_adopt(&fileh->ledger, params->ledger_fd, &about);
        return ledger_file_init(&fileh->ledger, &about);
}

static int fileh_build_map(struct fileh *fileh, const struct fileh_params *params) {
        struct pagemap_memory *memory = &fileh->ledger.memory;

        if (params->ledger_fd >= 0)
                return pagemap_init_beside(&fileh->map, memory, memory->header->n_used);
        return pagemap_init(&fileh->map, memory);
}

/* Without its spill file a fileh can be taken up as well, unless pages are there (adopt.c). Another file in its place is a mistake. */
static int fileh_adopt_spill_file(struct fileh *fileh, const struct fileh_params *params) {
        const struct ledger_header *header = fileh->ledger.memory.header;
        const struct spill_file_origin origin = { params->spill_fd, header->spill_device, header->spill_inode };
        int r;

        if (params->spill_fd < 0)
                return 0;
        r = spill_file_adopt(&fileh->spill, fileh->pager->ring, &origin, fileh->size);
        if (r == 0)
                fileh_look_at_spill_file(fileh);
        return r;
}

/* Of a shared fileh a reader may be the first to come back: its pages are the writer's all the same, and nobody else may join as one. */
static int fileh_recall_writer(struct fileh *fileh, const struct fileh_params *params) {
        uint64_t writer = fileh->ledger.memory.header->writer;

        if (params->is_writable)
                ledger_file_set_writer(&fileh->ledger, params->uid);
        if (params->is_writable || writer == 0)
                return 0;
        fileh->has_writer = true;
        return fileh_set_user(fileh, (uid_t) (writer - 1));
}

static int fileh_build_store_file(struct fileh *fileh, const struct fileh_params *params) {
        const struct store_fds fds = { params->fd, params->direct_fd };

        fileh->is_direct = params->direct_fd >= 0;
        fileh->is_direct_refused = params->is_direct_refused;
        return store_file_new(fileh->pager->ring, fileh->pager->views, &fds, params->is_writable, &fileh->store);
}

/* Takes params->store or params->fd if it succeeds. */
static int fileh_build_store(struct fileh *fileh, const struct fileh_params *params) {
        struct pager *pager = fileh->pager;
        int r;

        if (params->store) {
                fileh->store = params->store;
                return 0;
        }
        if (!params->served)
                return fileh_build_store_file(fileh, params);
        r = store_ops_new(pager, params->served, &fileh->store);
        if (r == 0)
                ring_close(pager->ring, params->fd);
        return r;
}

/* What a fileh is made of, in order; a failure undoes what came before it. */
static int fileh_build(struct fileh *fileh, const struct fileh_params *params) {
        int r;

        r = fileh_build_memory(fileh, params);
        if (r < 0)
                return r;
        r = fileh_build_ledger(fileh, params);
        if (r < 0)
                goto fail_memory;
        r = fileh_recall_writer(fileh, params);
        if (r == 0)
                r = fileh_build_map(fileh, params);
        if (r < 0)
                goto fail_ledger;
        r = -ENOMEM;
        fileh->id = idtable_add(&fileh->pager->filehs, fileh);
        if (!fileh->id)
                goto fail_map;
        r = fileh_adopt_spill_file(fileh, params);
        if (r < 0)
                goto fail_id;
        r = fileh_build_store(fileh, params);
        if (r == 0 && params->memory_fd >= 0)
                store_settle(fileh->store);
        if (r == 0)
                return 0;

        fileh_free_spill_file(fileh);
fail_id:
        idtable_remove(&fileh->pager->filehs, fileh->id);
fail_map:
        pagemap_fini(&fileh->map);
fail_ledger:
        ledger_file_fini(&fileh->ledger);
fail_memory:
        directory_leave(&fileh->pager->commons->directory, &fileh->entry);
        memory_fini(&fileh->memory);
        return r;
}

/* The next daemon is to know of it, as soon as anyone can have it open. */
static void fileh_enrol(struct fileh *fileh, const struct fileh_params *params) {
        struct roster_record record = fileh_record(params);

        record.memory_inode = fileh->memory_inode;
        if (fileh->is_shared)
                roster_add(&fileh->pager->commons->roster, &record);
        fileh->route = params->route;
        if (fileh->route)
                directory_hold(&fileh->pager->commons->directory, fileh->route);
}

int fileh_new(struct pager *pager, const struct fileh_params *params, struct fileh **ret) {
        struct fileh *fileh = calloc(1, sizeof(*fileh));
        int r;

        if (!fileh)
                return -ENOMEM;
        *fileh = (struct fileh) {
                .pager = pager,
                .identity = params->identity,
                .is_shared = params->is_shared,
                .has_writer = params->is_writable,
                .is_served = params->served,
                .uid = params->uid,
                .size = params->size,
                .block_size = params->block_size,
                .block_shift = (unsigned) __builtin_ctzll(params->block_size),
                .spill = { .fd = -1 },
                .n_refs = 1,
                .since = latency_now(),
                .may_miss_somebody = params->is_shared && params->memory_fd >= 0,
        };
        TAILQ_INIT(&fileh->handles);
        TAILQ_INIT(&fileh->loads);
        TAILQ_INIT(&fileh->turn_queue);
        STAILQ_INIT(&fileh->store_waiters);
        STAILQ_INIT(&fileh->writeouts);
        pagelist_init(&fileh->dirty, PAGELIST_DIRTY);
        pagelist_init(&fileh->storing, PAGELIST_DIRTY);
        pagelist_init(&fileh->unsynced, PAGELIST_DIRTY);
        fileh->account = account_get(&pager->commons->accounts, params->uid);
        r = fileh->account ? fileh_build(fileh, params) : -ENOMEM;
        if (r < 0) {
                if (fileh->account)
                        account_put(fileh->account);
                free(fileh);
                return r;
        }
        INJECT(OPENING_BUILT);
        pager_count(pager, COUNTER_FILEHS, 1);
        fileh_enrol(fileh, params);
        *ret = fileh;
        return 0;
}

int fileh_set_writer(struct fileh *fileh, uid_t uid) {
        int r;

        r = fileh_set_user(fileh, uid);
        if (r < 0)
                return r;
        fileh->has_writer = true;
        ledger_file_set_writer(&fileh->ledger, uid);
        return 0;
}

/* Writers share with their own user only; readers with anybody, for who passes a descriptor may read that file anyway. */
bool fileh_may_join(const struct fileh *fileh, const struct fileh_params *params) {
        return fileh->is_shared && params->is_shared && (!params->is_writable || !fileh->has_writer || fileh->uid == params->uid);
}

bool fileh_is_of(const struct fileh *fileh, const struct fileh_params *params) {
        return fileh->block_size == params->block_size && fileh->memory.huge == params->is_huge &&
               file_identity_is(&fileh->identity, &params->identity);
}

struct fileh *fileh_find_shared(struct pager *pager, const struct fileh_params *params) {
        struct fileh *found = NULL;

        for (uint32_t id = idtable_next(&pager->filehs, 0); id; id = idtable_next(&pager->filehs, id)) {
                struct fileh *fileh = idtable_get(&pager->filehs, id);

                if (fileh->is_closing || !fileh_is_of(fileh, params) || !fileh_may_join(fileh, params))
                        continue;
                if (!found || fileh->uid == params->uid)
                        found = fileh;
        }
        return found;
}

struct fileh *fileh_find_adopted(struct pager *pager, uint64_t memory_inode) {
        for (uint32_t id = idtable_next(&pager->filehs, 0); id; id = idtable_next(&pager->filehs, id)) {
                struct fileh *fileh = idtable_get(&pager->filehs, id);

                if (!fileh->is_closing && fileh->ledger.memory.header->memory_inode == memory_inode)
                        return fileh;
        }
        return NULL;
}
