/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl reclaim: room in the pool; of all, of a file, or of what a process has open. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "bfclient.h"
#include "commands.h"
#include "complain.h"
#include "errmsg.h"
#include "json.h"
#include "lines.h"
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

/* --- of some files ------------------------------------------------------------------------------------------------------------------------------ */

/* A file that was closed since it was listed has none any more. */
static int reclaim_file(struct bf_client *client, const struct file_line *line, uint64_t bytes, uint64_t *ret_bytes) {
        struct call call = { .handle = NULL };
        int r;

        wire_init(&call.msg, WIRE_RECLAIM_FILE, 0);
        call.msg.reclaim_file.file = (uint32_t) line->file.number;
        call.msg.reclaim_file.bytes = bytes;
        r = session_call(&client->session, &call);
        *ret_bytes = r == 0 ? call.reply.msg.reclaim_reply.bytes : 0;
        if (r == -ENOENT)
                return 0;
        return r < 0 ? errmsg_fail(r, r == -EPERM ? "only root, the user that bigfiled runs as, and the file's own user may" : NULL,
                                   "cannot reclaim pages of %s", line->file.path)
                     : 0;
}

static bool reclaim_peer_has(const struct answer *handles, const struct peer_lines *peers, pid_t pid, uint64_t file) {
        for (size_t i = 0; i < handles->n; i++)
                if (answer_handle(handles, i)->file == file && peer_lines_pid(peers, answer_handle(handles, i)->peer) == pid)
                        return true;
        return false;
}

/* Leaves those that the process has open. */
static int reclaim_select_peer(struct bfctl *bfctl, struct file_lines *files) {
        struct peer_lines peers;
        struct answer handles;
        size_t n = 0;
        int r;

        r = peer_lines_ask(bfctl->client, &peers);
        if (r < 0)
                return r;
        r = ask(bfctl->client, REPORT_HANDLES, sizeof(struct report_handle), &handles);
        for (size_t i = 0; r == 0 && i < files->n; i++)
                if (reclaim_peer_has(&handles, &peers, bfctl->peer, files->lines[i].file.number))
                        files->lines[n++] = files->lines[i];
        if (r == 0) {
                answer_fini(&handles);
                r = peer_lines_need(&peers, bfctl->peer);
        }
        peer_lines_fini(&peers);
        files->n = n;
        return r;
}

static int reclaim_select_file(struct bfctl *bfctl, struct file_lines *files) {
        size_t n = 0;

        for (size_t i = 0; i < files->n; i++)
                if (file_line_is(&files->lines[i], bfctl->file))
                        files->lines[n++] = files->lines[i];
        files->n = n;
        return n > 0 ? 0 : errmsg_set(-ENOENT, "no file \"%s\" is open (see bfctl files)", bfctl->file);
}

static int reclaim_each(struct bfctl *bfctl, const struct file_lines *files, uint64_t *ret_bytes) {
        uint64_t wanted = reclaim_bytes(bfctl), done = 0, n;
        int r = 0;

        for (size_t i = 0; r == 0 && i < files->n && (wanted == 0 || done < wanted); i++) {
                r = reclaim_file(bfctl->client, &files->lines[i], wanted > 0 ? wanted - done : 0, &n);
                done += n;
        }
        *ret_bytes = done;
        return r;
}

static int reclaim_files(struct bfctl *bfctl, uint64_t *ret_bytes) {
        struct file_lines files;
        int r;

        r = file_lines_ask(bfctl->client, &files);
        if (r < 0)
                return r;
        if (bfctl->file)
                r = reclaim_select_file(bfctl, &files);
        if (r == 0 && bfctl->peer)
                r = reclaim_select_peer(bfctl, &files);
        if (r == 0)
                r = reclaim_each(bfctl, &files, ret_bytes);
        file_lines_fini(&files);
        return r;
}

int command_reclaim(struct bfctl *bfctl) {
        uint64_t bytes;
        int r;

        if (bfctl->file || bfctl->peer)
                r = reclaim_files(bfctl, &bytes);
        else
                r = bf_pool_reclaim(bfctl->client, reclaim_bytes(bfctl), &bytes);
        if (r == 0)
                reclaim_print(bfctl, bytes);
        return r;
}
