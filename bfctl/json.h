/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_JSON_H
#define BF_JSON_H

/* JSON for programs: documents with a "schema", which says what is in them (NAME.schema.json in tests/e2e). Only json.c knows json-c. */

#include <stdbool.h>
#include <stdint.h>

struct json_object;

/* "bfctl.stats/1" */
struct json_object *json_new(const char *schema);

/* Each adds one more; the key is its own already. */
void json_add_number(struct json_object *json, const char *key, uint64_t value);
void json_add_real(struct json_object *json, const char *key, double value);
void json_add_text(struct json_object *json, const char *key, const char *text);
void json_add_bool(struct json_object *json, const char *key, bool value);
struct json_object *json_add_object(struct json_object *json, const char *key);
struct json_object *json_add_array(struct json_object *json, const char *key);

/* One more in an array. */
struct json_object *json_append_object(struct json_object *array);
void json_append_text(struct json_object *array, const char *text);
void json_append_number(struct json_object *array, uint64_t value);

/* On standard output; frees it. A line: all on one. */
void json_print(struct json_object *json);
void json_print_line(struct json_object *json);

#endif
