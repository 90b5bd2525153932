/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <unistd.h>

#include "opsfile.h"
#include "opsserver.h"

static struct bf_fileh *opsserver_serve(struct bf_client *client, struct opsfile *file) {
        const struct bf_open_opts opts = { .size = sizeof(opts), .block_size = file->block_size, .name = "table" };
        struct bf_fileh *fileh = NULL;

        CHILD_CHECK(bf_open_ops(client, &opsfile_ops, file, file->size, &opts, &fileh) == 0);
        return fileh;
}

static uint64_t opsserver_n_calls(struct opsfile *file) {
        unsigned n = file->n_log;

        (void) opsfile_log(file);
        return n;
}

static int opsserver_main(int line, void *arg) {
        const struct opsserver *server = arg;
        struct opsfile *file = opsfile_new(OPSSERVER_PAGES * RIG_PAGE, server->block_size ? server->block_size : RIG_PAGE);
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t wish;

        if (child_hear(line) == CHILD_GONE)
                return 1;
        if (server->uid)
                child_become(server->uid);
        CHILD_CHECK(bf_connect(&client, server->address) == 0);
        fileh = opsserver_serve(client, file);
        child_say(line, 0);
        while ((wish = child_hear(line)) != CHILD_GONE && wish != OPSSERVER_END) {
                uint64_t page = wish / N_OPSSERVER_WISHES, answer = 0;

                switch ((enum opsserver_wish)(wish % N_OPSSERVER_WISHES)) {
                case OPSSERVER_PEEK:
                        answer = *opsfile_word(file, page * RIG_PAGE + 8);
                        break;
                case OPSSERVER_HOLD:
                        opsfile_hold(file, OPSFILE_LOAD, page);
                        break;
                case OPSSERVER_WAIT:
                        opsfile_wait(file, OPSFILE_LOAD, 1);
                        break;
                case OPSSERVER_CLOSE:
                        CHILD_CHECK(bf_close(fileh) == 0 && opsfile_n_releases(file) == 1);
                        break;
                case OPSSERVER_REOPEN:
                        file->n_releases = 0;
                        fileh = opsserver_serve(client, file);
                        break;
                case OPSSERVER_N_CALLS:
                        answer = opsserver_n_calls(file);
                        break;
                case OPSSERVER_FORK:
                        answer = (uint64_t) fork();
                        if (answer == 0)
                                for (;;)
                                        pause();
                        break;
                default:
                        break;
                }
                child_say(line, answer);
        }
        bf_disconnect(client);
        return opsfile_n_releases(file) == 1 ? 0 : 1;
}

uint64_t opsserver_ask(const struct child *child, enum opsserver_wish wish, uint64_t page) {
        child_say(child->line, page * N_OPSSERVER_WISHES + wish);
        return child_hear(child->line);
}

struct child *opsserver_new(struct rig *rig, struct opsserver *server) {
        server->rig = rig;
        server->address = rig_address(rig);
        return rig_child(rig, opsserver_main, server);
}

void opsserver_begin(const struct child *child) {
        child_say(child->line, 0);
        assert_int_equal(child_hear(child->line), 0);
}
