/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl config: what is in force, and where it was said. */

#include <stdio.h>

#include "ask.h"
#include "commands.h"
#include "json.h"

static void config_words(const struct answer *answer) {
        for (size_t i = 0; i < answer->n; i++) {
                const struct report_setting *setting = (const struct report_setting *) answer->lines + i;

                printf("%-14s  %-30s  %s\n", setting->key, setting->value, setting->where);
        }
}

static void config_json(const struct answer *answer) {
        struct json_object *json = json_new("bfctl.config/1"), *array = json_add_array(json, "settings");

        for (size_t i = 0; i < answer->n; i++) {
                const struct report_setting *setting = (const struct report_setting *) answer->lines + i;
                struct json_object *object = json_append_object(array);

                json_add_text(object, "key", setting->key);
                json_add_text(object, "value", setting->value);
                json_add_text(object, "where", setting->where);
                json_add_bool(object, "reload", setting->flags & REPORT_SETTING_RELOADED);
                json_add_bool(object, "in_words", setting->flags & REPORT_SETTING_IN_WORDS);
        }
        json_print(json);
}

int command_config(struct bfctl *bfctl) {
        struct answer answer;
        int r;

        r = ask(bfctl->client, REPORT_CONFIG, sizeof(struct report_setting), &answer);
        if (r < 0)
                return r;
        if (bfctl->as_json)
                config_json(&answer);
        else
                config_words(&answer);
        answer_fini(&answer);
        return 0;
}
