/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "account.h"
#include "fileh.h"
#include "pager.h"
#include "turn.h"

/* What the loads of one fileh may have under way, or this share of the pool; and what those of a user may, of each kind of files. */
#define TURN_FILEH_BYTES (UINT64_C(4) << 20)
#define TURN_FILEH_SHARE 8
#define TURN_USER_SHARE 4

static uint64_t turn_fileh_limit(const struct pager *pager) {
        uint64_t share = pager->pool->bytes / TURN_FILEH_SHARE;

        return share < TURN_FILEH_BYTES ? share : TURN_FILEH_BYTES;
}

static uint64_t turn_user_limit(const struct pager *pager) {
        return pager->pool->bytes / TURN_USER_SHARE;
}

static enum account_item turn_item(const struct fileh *fileh) {
        return fileh->is_served ? ACCOUNT_LOADING_SERVED_BYTES : ACCOUNT_LOADING_BYTES;
}

bool turn_is_of_one_share(const struct fileh *a, const struct fileh *b) {
        return a->account == b->account && a->is_served == b->is_served;
}

/* --- the line ----------------------------------------------------------------------------------------------------------------------------------- */

/* Who gives something back looks who waits after that; who waits says so before he looks once more. */
static void turn_enter_line(struct fileh *fileh, struct account *account) {
        struct pager *pager = fileh->pager;

        if (fileh->is_in_line)
                return;
        fileh->is_in_line = true;
        TAILQ_INSERT_TAIL(&pager->turn_line, fileh, turn_entry);
        atomic_fetch_or(&account->waiting[turn_item(fileh)], pager_bit(pager));
        pager->turn_is_news = true;
}

void turn_leave_line(struct fileh *fileh) {
        struct pager *pager = fileh->pager;
        const struct fileh *other;

        if (!fileh->is_in_line)
                return;
        fileh->is_in_line = false;
        TAILQ_REMOVE(&pager->turn_line, fileh, turn_entry);
        TAILQ_FOREACH(other, &pager->turn_line, turn_entry)
                if (turn_is_of_one_share(other, fileh))
                        return;
        atomic_fetch_and(&fileh->account->waiting[turn_item(fileh)], ~pager_bit(pager));
}

/* Between pagers there is no order: each has its own line. */
static bool turn_is_others(const struct fileh *fileh) {
        return !fileh->is_in_line && atomic_load(&fileh->account->waiting[turn_item(fileh)]) & pager_bit(fileh->pager);
}

/* --- turns -------------------------------------------------------------------------------------------------------------------------------------- */

bool turn_take(struct fileh *fileh, uint64_t bytes) {
        if (fileh->loading_bytes > 0 && fileh->loading_bytes + bytes > turn_fileh_limit(fileh->pager)) {
                turn_leave_line(fileh); /* it comes back when one of its own ends: others have their turn first */
                return false;
        }
        if (turn_is_others(fileh) || !account_take(fileh->account, turn_item(fileh), bytes, turn_user_limit(fileh->pager))) {
                turn_enter_line(fileh, fileh->account);
                return false;
        }
        fileh->loading_bytes += bytes;
        return true;
}

static void turn_give_back(const struct fileh *fileh, uint64_t bytes) {
        struct account *account = fileh->account;
        struct pager *pager = fileh->pager;
        uint64_t waiting;

        account_sub(account, turn_item(fileh), bytes);
        waiting = atomic_load(&account->waiting[turn_item(fileh)]);
        pager->turn_is_news |= waiting & pager_bit(pager);
        pager->turn_others |= waiting;
}

void turn_give(struct fileh *fileh, uint64_t bytes) {
        fileh->loading_bytes -= bytes;
        turn_give_back(fileh, bytes);
}

void turn_change_account(struct fileh *fileh, struct account *account) {
        bool was_in_line = fileh->is_in_line;

        turn_leave_line(fileh);
        account_add(account, turn_item(fileh), fileh->loading_bytes);
        turn_give_back(fileh, fileh->loading_bytes);
        if (was_in_line)
                turn_enter_line(fileh, account);
}
