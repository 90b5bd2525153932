/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "address.h"
#include "ask.h"
#include "errmsg.h"

/* So often, before a pager counts as silent, or a report as gone. */
#define ASK_TRIES 5

/* How long it is waited between them. */
#define ASK_PAUSE_USEC 2000u

void answer_fini(struct answer *answer) {
        free(answer->lines);
        answer->lines = NULL;
}

int ask_connect(const char *socket, struct bf_client **ret) {
        struct address address;
        int r;

        r = address_parse(NULL, socket, &address);
        return r < 0 ? r : client_new(&address, ret);
}

static int ask_read(int fd, void *buf, size_t length) {
        size_t n = 0;

        while (n < length) {
                ssize_t r = pread(fd, (char *) buf + n, length - n, (off_t) n);

                if (r < 0)
                        return -errno;
                if (r == 0)
                        return -EAGAIN; /* it was emptied: others asked for much at the same time */
                n += (size_t) r;
        }
        return 0;
}

/* Appends what one pager says; adds to ret_bytes. */
static int ask_once(struct bf_client *client, enum report_kind kind, unsigned pager, void **bytes, size_t *n_bytes, unsigned *ret_pagers) {
        struct call call = { .handle = NULL };
        size_t length;
        void *grown;
        int fd, r;

        wire_init(&call.msg, WIRE_REPORT, 0);
        call.msg.report.kind = kind;
        call.msg.report.pager = pager;
        r = session_call(&client->session, &call);
        if (r < 0)
                return r;
        fd = chan_packet_take(&call.reply, 0);
        length = (size_t) call.reply.msg.report_reply.length;
        grown = realloc(*bytes, *n_bytes + length + 1);
        if (grown)
                *bytes = grown;
        r = grown ? ask_read(fd, (char *) grown + *n_bytes, length) : -ENOMEM;
        close(fd);
        if (r < 0)
                return r;
        *n_bytes += length;
        *ret_pagers = call.reply.msg.report_reply.pagers;
        return 0;
}

static int ask_patiently(struct bf_client *client, enum report_kind kind, unsigned pager, void **bytes, size_t *n_bytes, unsigned *ret_pagers) {
        int r = -EBUSY;

        for (unsigned i = 0; i < ASK_TRIES && (r == -EBUSY || r == -EAGAIN); i++) {
                if (i > 0)
                        (void) usleep(ASK_PAUSE_USEC << i);
                r = ask_once(client, kind, pager, bytes, n_bytes, ret_pagers);
        }
        return r;
}

static bool ask_is_of_pagers(enum report_kind kind) {
        return kind == REPORT_FILES || kind == REPORT_HANDLES;
}

int ask(struct bf_client *client, enum report_kind kind, size_t line, struct answer *ret) {
        struct answer answer = { .lines = NULL };
        unsigned n_pagers = 1;
        size_t n_bytes = 0;

        for (unsigned i = 0; i < (ask_is_of_pagers(kind) ? n_pagers : 1); i++) {
                int r = ask_patiently(client, kind, i, &answer.lines, &n_bytes, &n_pagers);

                if (r == -EBUSY) {
                        answer.n_silent++;
                        n_pagers = i + 1 < n_pagers ? n_pagers : i + 2; /* whether there are more is asked of the next one */
                } else if (r == -ENOENT && i > 0)
                        break;
                else if (r < 0) {
                        answer_fini(&answer);
                        return errmsg_fail(r, NULL, "cannot get a report of %s", client->dial.daemon);
                }
        }
        answer.n = n_bytes / line;
        *ret = answer;
        return 0;
}

int ask_stats(struct bf_client *client, struct report_stats *ret) {
        struct answer answer = { .n = 0 };
        int r;

        r = ask(client, REPORT_STATS, sizeof(*ret), &answer);
        if (r < 0)
                return r;
        if (answer.n == 1)
                *ret = *(const struct report_stats *) answer.lines;
        answer_fini(&answer);
        return answer.n == 1 ? 0 : errmsg_set(-EPROTO, "bigfiled is of another version than bfctl: restart it");
}
