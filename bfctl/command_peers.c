/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl peers: who is connected. */

#include <math.h>
#include <stdio.h>

#include "commands.h"
#include "json.h"
#include "line_json.h"

#define PEERS_TEXT_MAX 1024

static void peers_words(const struct peer_lines *peers) {
        char text[PEERS_TEXT_MAX];

        columns_write_titles(&peer_columns, true, text, sizeof(text));
        puts(text);
        for (size_t i = 0; i < peers->n; i++) {
                columns_write(&peer_columns, &peers->lines[i], true, 0, text, sizeof(text));
                puts(text);
        }
        if (peers->n_silent > 0)
                printf("(%u threads for page faults wait in the kernel for what a client holds: what clients have there is not counted)\n",
                       peers->n_silent);
}

static void peers_json(const struct peer_lines *peers) {
        struct json_object *json = json_new("bfctl.peers/1"), *array;

        json_add_number(json, "silent_pagers", peers->n_silent);
        array = json_add_array(json, "peers");
        for (size_t i = 0; i < peers->n; i++)
                peer_line_json(json_append_object(array), &peers->lines[i]);
        json_print(json);
}

bool command_peers_check(const struct bfctl *bfctl) {
        return !bfctl->sort || columns_find(&peer_columns, bfctl->sort);
}

int command_peers(struct bfctl *bfctl) {
        const struct peer_lines none = { .lines = NULL };
        struct peer_lines peers;
        int r;

        r = peer_lines_ask(bfctl->client, &peers);
        if (r < 0)
                return r;
        peer_lines_rate(&peers, &none, INFINITY); /* over all the time that each has been connected */
        columns_sort(columns_find(&peer_columns, bfctl->sort ? bfctl->sort : peer_columns.sort), peers.lines, peers.n, sizeof(peers.lines[0]));
        if (bfctl->as_json)
                peers_json(&peers);
        else
                peers_words(&peers);
        peer_lines_fini(&peers);
        return 0;
}
