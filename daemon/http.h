/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_HTTP_H
#define BF_HTTP_H

/* Serves one text by HTTP, at /metrics, to who is on this host. Only http.c knows libevent's HTTP server. */

#include <stdbool.h>
#include <stddef.h>

#include "loop.h"

struct http;

struct http_params {
        struct loop *loop;   /* borrowed */
        const char *address; /* "unix:PATH", "127.0.0.1:PORT", "[::1]:PORT" */
        const char *type;    /* the Content-Type */
        int (*write)(void *owner, char **ret_text, size_t *ret_length); /* the text, allocated; or a negative errno */
        void *owner;
};

/* Is that such an address? */
bool http_address_is_valid(const char *text);

/* A negative errno: it cannot listen there. */
int http_new(const struct http_params *params, struct http **ret);

/* Removes the socket that it made. */
void http_free(struct http *http);

#endif
