/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl reclaim: room in the pool. */

#include <inttypes.h>
#include <stdio.h>

#include "bfclient.h"
#include "commands.h"
#include "complain.h"
#include "json.h"
#include "size.h"

/* 0: all. */
static uint64_t reclaim_bytes(const struct bfctl *bfctl) {
        uint64_t bytes = 0;

        if (bfctl->operand)
                (void) size_parse(bfctl->operand, &bytes);
        return bytes;
}

bool command_reclaim_check(const struct bfctl *bfctl) {
        uint64_t bytes;

        if (!bfctl->operand || (size_parse(bfctl->operand, &bytes) == 0 && bytes > 0))
                return true;
        complain("\"%s\" is no size (a number of bytes above 0, or with K, M, G or T; see bfctl --help)", bfctl->operand);
        return false;
}

static void reclaim_print(const struct bfctl *bfctl, uint64_t bytes) {
        struct json_object *json;
        char size[SIZE_TEXT_MAX];

        if (!bfctl->as_json) {
                printf("reclaimed %s (%" PRIu64 " bytes)\n", size_format(bytes, size), bytes);
                return;
        }
        json = json_new("bfctl.reclaim/1");
        json_add_number(json, "reclaimed_bytes", bytes);
        json_print(json);
}

int command_reclaim(struct bfctl *bfctl) {
        uint64_t bytes;
        int r;

        r = bf_pool_reclaim(bfctl->client, reclaim_bytes(bfctl), &bytes);
        if (r == 0)
                reclaim_print(bfctl, bytes);
        return r;
}
