/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"

struct json_object *json_new(const char *schema) {
        struct json_object *json = json_object_new_object();

        json_add_text(json, "schema", schema);
        return json;
}

void json_add_number(struct json_object *json, const char *key, uint64_t value) {
        json_object_object_add(json, key, json_object_new_uint64(value));
}

void json_add_real(struct json_object *json, const char *key, double value) {
        char text[32];

        snprintf(text, sizeof(text), "%.3f", value);
        json_object_object_add(json, key, json_object_new_double_s(value, text));
}

/* A name from outside may be no UTF-8, which JSON has to be: what is not becomes a question mark. */
static struct json_object *json_text_new(const char *text) {
        struct json_object *json;
        char *copy = NULL;

        if (asprintf(&copy, "%s", text) < 0)
                return NULL;
        for (unsigned char *c = (unsigned char *) copy; *c;) {
                unsigned n = *c < 0x80 ? 0 : *c >= 0xc2 && *c < 0xe0 ? 1 : (*c & 0xf0) == 0xe0 ? 2 : *c >= 0xf0 && *c < 0xf5 ? 3 : 9, i = 1;

                while (i <= n && n < 9 && (c[i] & 0xc0) == 0x80)
                        i++;
                if (i <= n) {
                        *c = '?';
                        i = 1;
                }
                c += i;
        }
        json = json_object_new_string(copy);
        free(copy);
        return json;
}

void json_add_text(struct json_object *json, const char *key, const char *text) {
        json_object_object_add(json, key, json_text_new(text));
}

void json_add_bool(struct json_object *json, const char *key, bool value) {
        json_object_object_add(json, key, json_object_new_boolean(value));
}

struct json_object *json_add_object(struct json_object *json, const char *key) {
        struct json_object *object = json_object_new_object();

        json_object_object_add(json, key, object);
        return object;
}

struct json_object *json_add_array(struct json_object *json, const char *key) {
        struct json_object *array = json_object_new_array();

        json_object_object_add(json, key, array);
        return array;
}

struct json_object *json_append_object(struct json_object *array) {
        struct json_object *object = json_object_new_object();

        json_object_array_add(array, object);
        return object;
}

void json_append_text(struct json_object *array, const char *text) {
        json_object_array_add(array, json_text_new(text));
}

void json_append_number(struct json_object *array, uint64_t value) {
        json_object_array_add(array, json_object_new_uint64(value));
}

void json_print(struct json_object *json) {
        puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(json);
}

void json_print_line(struct json_object *json) {
        puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(json);
}
