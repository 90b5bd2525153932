/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define HTTP_UNIX "unix:"
#define HTTP_BACKLOG 16

/* Who does not send or read for so long is cut off. */
#define HTTP_TIMEOUT_SECONDS 10
#define HTTP_HEADERS_MAX 8192

struct http {
        struct http_params params;
        struct evhttp *server;
        char *path; /* of the Unix socket; NULL */
};

struct http_socket_address {
        socklen_t length;
        union {
                struct sockaddr any;
                struct sockaddr_un path;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
        };
};

static int http_parse_port(const char *text, in_port_t *ret) {
        unsigned long port;
        char *end;

        errno = 0;
        port = strtoul(text, &end, 10);
        if (*text < '0' || *text > '9' || *end || errno != 0 || port == 0 || port > 65535)
                return -EINVAL;
        *ret = htons((in_port_t) port);
        return 0;
}

static int http_parse(const char *text, struct http_socket_address *ret) {
        const char *path = strncmp(text, HTTP_UNIX, strlen(HTTP_UNIX)) == 0 ? text + strlen(HTTP_UNIX) : NULL;

        memset(ret, 0, sizeof(*ret));
        if (path) {
                if (path[0] != '/' || strlen(path) >= sizeof(ret->path.sun_path))
                        return -EINVAL;
                ret->path.sun_family = AF_UNIX;
                strcpy(ret->path.sun_path, path);
                ret->length = sizeof(ret->path);
                return 0;
        }
        if (strncmp(text, "127.0.0.1:", 10) == 0) {
                ret->v4.sin_family = AF_INET;
                ret->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                ret->length = sizeof(ret->v4);
                return http_parse_port(text + 10, &ret->v4.sin_port);
        }
        if (strncmp(text, "[::1]:", 6) != 0)
                return -EINVAL;
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_addr = in6addr_loopback;
        ret->length = sizeof(ret->v6);
        return http_parse_port(text + 6, &ret->v6.sin6_port);
}

bool http_address_is_valid(const char *text) {
        struct http_socket_address address;

        return http_parse(text, &address) == 0;
}

/* --- requests ----------------------------------------------------------------------------------------------------------------------------------- */

static void http_on_metrics(struct evhttp_request *request, void *owner) {
        struct http *http = owner;
        struct evbuffer *buffer;
        char *text;
        size_t length;

        if (http->params.write(http->params.owner, &text, &length) < 0) {
                evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
                return;
        }
        buffer = evbuffer_new();
        if (!buffer || evbuffer_add(buffer, text, length) < 0)
                evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
        else {
                evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", http->params.type);
                evhttp_send_reply(request, HTTP_OK, NULL, buffer);
        }
        if (buffer)
                evbuffer_free(buffer);
        free(text);
}

/* --- its life ----------------------------------------------------------------------------------------------------------------------------------- */

/* A socket that a daemon left which was killed is in the way; one that is served stays. */
static void http_remove_stale(const struct http_socket_address *address) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct stat stat_buf;

        if (fd < 0)
                return;
        if (lstat(address->path.sun_path, &stat_buf) == 0 && S_ISSOCK(stat_buf.st_mode) && connect(fd, &address->any, address->length) < 0 &&
            errno == ECONNREFUSED)
                (void) unlink(address->path.sun_path);
        close(fd);
}

/* libevent leaves descriptors that come to the kernel, which closes them in this thread, and waits where one is a socket that lingers. */
static void http_set_options(int fd, const struct http_socket_address *address) {
        if (address->any.sa_family == AF_UNIX)
                (void) setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &(int) { 0 }, sizeof(int)); /* Linux 6.16 */
        else
                (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int) { 1 }, sizeof(int));
}

static int http_bind(const struct http_socket_address *address, int *ret_fd) {
        int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = 0;

        if (fd < 0)
                return -errno;
        http_set_options(fd, address);
        if (bind(fd, &address->any, address->length) < 0 || listen(fd, HTTP_BACKLOG) < 0)
                r = -errno;
        if (r == 0 && address->any.sa_family == AF_UNIX && chmod(address->path.sun_path, 0660) < 0)
                r = -errno;
        if (r < 0) {
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

static int http_serve(struct http *http, int fd) {
        http->server = evhttp_new(loop_base(http->params.loop));
        if (!http->server || evhttp_accept_socket(http->server, fd) < 0 || evhttp_set_cb(http->server, "/metrics", http_on_metrics, http) < 0)
                return -ENOMEM;
        evhttp_set_allowed_methods(http->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
        evhttp_set_timeout(http->server, HTTP_TIMEOUT_SECONDS);
        evhttp_set_max_headers_size(http->server, HTTP_HEADERS_MAX);
        evhttp_set_max_body_size(http->server, 0);
        return 0;
}

int http_new(const struct http_params *params, struct http **ret) {
        struct http_socket_address address;
        struct http *http;
        int fd = -1, r;

        r = http_parse(params->address, &address);
        if (r < 0)
                return r;
        http = calloc(1, sizeof(*http));
        if (!http)
                return -ENOMEM;
        http->params = *params;
        if (address.any.sa_family == AF_UNIX)
                http_remove_stale(&address);
        r = http_bind(&address, &fd);
        if (r < 0) {
                free(http);
                return r;
        }
        http->path = address.any.sa_family == AF_UNIX ? strdup(address.path.sun_path) : NULL;
        r = http_serve(http, fd);
        if (r < 0) {
                http_free(http);
                return r;
        }
        *ret = http;
        return 0;
}

void http_free(struct http *http) {
        if (!http)
                return;
        if (http->server)
                evhttp_free(http->server);
        if (http->path)
                (void) unlink(http->path);
        free(http->path);
        free(http);
}
