/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon's pool as a whole: bf_pool_stat(), bf_spill_stat(), bf_pool_reclaim(). */

#include <errno.h>

#include "api.h"
#include "client.h"
#include "errmsg.h"

static int pool_fail(const struct bf_client *client, int r, const char *hint, const char *what) {
        return errmsg_fail(r, hint, "cannot %s of %s", what, client->dial.daemon);
}

static int pool_ask(struct bf_client *client, struct call *call) {
        int r;

        r = client_check(client);
        if (r < 0)
                return r;
        wire_init(&call->msg, WIRE_POOL_STAT, 0);
        r = session_call(&client->session, call);
        return r < 0 ? pool_fail(client, r, NULL, "get the statistics") : 0;
}

int bf_pool_stat(struct bf_client *client, struct bf_pool_stat *ret) {
        API_CALL;
        struct call call = { .handle = NULL };
        const struct wire_pool_stat_reply *reply = &call.reply.msg.pool_stat_reply;
        int r;

        r = pool_ask(client, &call);
        if (r < 0)
                return r;
        *ret = (struct bf_pool_stat) {
                .pool_bytes = reply->pool_bytes,
                .resident_bytes = reply->resident_bytes,
                .dirty_bytes = reply->dirty_bytes,
                .peers = reply->peers,
                .filehs = reply->filehs,
                .mappings = reply->mappings,
                .faults = reply->faults,
                .loads = reply->loads,
                .stores = reply->stores,
                .evictions = reply->evictions,
        };
        return 0;
}

int bf_spill_stat(struct bf_client *client, struct bf_spill_stat *ret) {
        API_CALL;
        struct call call = { .handle = NULL };
        const struct wire_pool_stat_reply *reply = &call.reply.msg.pool_stat_reply;
        int r;

        r = pool_ask(client, &call);
        if (r < 0)
                return r;
        *ret = (struct bf_spill_stat) {
                .limit_bytes = reply->spill_limit_bytes,
                .file_bytes = reply->spill_file_bytes,
                .spilled_bytes = reply->spilled_bytes,
                .spills = reply->spills,
                .unspills = reply->unspills,
        };
        return 0;
}

int bf_pool_reclaim(struct bf_client *client, uint64_t bytes, uint64_t *ret_reclaimed) {
        API_CALL;
        struct call call = { .handle = NULL };
        int r;

        r = client_check(client);
        if (r < 0)
                return r;
        wire_init(&call.msg, WIRE_RECLAIM, 0);
        call.msg.reclaim.bytes = bytes;
        r = session_call(&client->session, &call);
        if (r < 0)
                return pool_fail(client, r, r == -EPERM ? "only root and the user that bigfiled runs as may" : NULL, "reclaim pages");
        if (ret_reclaimed)
                *ret_reclaimed = call.reply.msg.reclaim_reply.bytes;
        return 0;
}
