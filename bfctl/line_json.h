/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LINE_JSON_H
#define BF_LINE_JSON_H

/* A line of lines.h as an object, without rates: they depend on who asks. */

#include "lines.h"

struct json_object;

void file_line_json(struct json_object *json, const struct file_line *line);
void peer_line_json(struct json_object *json, const struct peer_line *line);

#endif
