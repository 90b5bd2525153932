/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl files: which files are open, and what of each is in RAM. */

#include <math.h>
#include <stdio.h>

#include "commands.h"
#include "json.h"
#include "line_json.h"

#define FILES_TEXT_MAX 1024

/* Rates are over all the time that each has been open: for those of now there is bfctl top. */
static int files_ask(struct bfctl *bfctl, struct file_lines *ret) {
        const struct file_lines none = { .lines = NULL };
        int r;

        r = file_lines_ask(bfctl->client, ret);
        if (r == 0)
                file_lines_rate(ret, &none, INFINITY);
        return r;
}

static void files_words(const struct file_lines *files) {
        char text[FILES_TEXT_MAX];

        columns_write_titles(&file_columns, true, text, sizeof(text));
        puts(text);
        for (size_t i = 0; i < files->n; i++) {
                columns_write(&file_columns, &files->lines[i], true, 0, text, sizeof(text));
                puts(text);
        }
        if (files->n_silent > 0)
                printf("(%u threads for page faults wait in the kernel for what a client holds: their files are not shown)\n", files->n_silent);
}

static void files_json(const struct file_lines *files) {
        struct json_object *json = json_new("bfctl.files/1"), *array;

        json_add_number(json, "silent_pagers", files->n_silent);
        array = json_add_array(json, "files");
        for (size_t i = 0; i < files->n; i++)
                file_line_json(json_append_object(array), &files->lines[i]);
        json_print(json);
}

bool command_files_check(const struct bfctl *bfctl) {
        return !bfctl->sort || columns_find(&file_columns, bfctl->sort);
}

int command_files(struct bfctl *bfctl) {
        struct file_lines files;
        int r;

        r = files_ask(bfctl, &files);
        if (r < 0)
                return r;
        columns_sort(columns_find(&file_columns, bfctl->sort ? bfctl->sort : file_columns.sort), files.lines, files.n, sizeof(files.lines[0]));
        if (bfctl->as_json)
                files_json(&files);
        else
                files_words(&files);
        file_lines_fini(&files);
        return 0;
}
