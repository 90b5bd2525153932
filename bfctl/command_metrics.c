/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl metrics: the text that a scraper would get. */

#include <stdio.h>

#include "ask.h"
#include "commands.h"
#include "json.h"

int command_metrics(struct bfctl *bfctl) {
        struct json_object *json;
        struct answer answer;
        int r;

        r = ask(bfctl->client, REPORT_METRICS, 1, &answer);
        if (r < 0)
                return r;
        if (bfctl->as_json) {
                ((char *) answer.lines)[answer.n] = '\0'; /* there is room for it */
                json = json_new("bfctl.metrics/1");
                json_add_text(json, "openmetrics", answer.lines);
                json_print(json);
        } else
                fwrite(answer.lines, 1, answer.n, stdout);
        answer_fini(&answer);
        return 0;
}
