/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "closer.h"
#include "inject.h"
#include "log.h"
#include "peer.h"
#include "reports.h"
#include "server.h"
#include "survey.h"
#include "tracers.h"

/* So long nobody is let in when descriptors have run out, and one of those that were turned away is not closed yet. */
#define SERVER_PAUSE_USEC 10000

struct server_peer {
        LIST_ENTRY(server_peer) entry; /* server->peers -> entry */
        struct peer *peer;
};

struct server {
        struct peer_host host;
        struct server_params params;
        uint64_t last_peer_id;
        LIST_HEAD(, server_peer) peers;
        struct loop_event *on_listen;
        struct loop_event *on_replies;
        struct loop_event *on_pause_end;
        struct reports reports;
        struct tracers *tracers;
        int reserve_fd; /* given up for a moment to turn a client away when descriptors have run out; -1: it is not back yet */
};

static struct server_peer *server_find(struct server *server, uint64_t id) {
        struct server_peer *p;

        LIST_FOREACH(p, &server->peers, entry)
                if (peer_id(p->peer) == id)
                        return p;
        return NULL;
}

static void server_remove(struct server *server, struct server_peer *p) {
        reports_forget(&server->reports, peer_id(p->peer));
        LIST_REMOVE(p, entry);
        peer_free(p->peer);
        free(p);
}

static void server_on_gone(struct peer_host *host, struct peer *peer, const char *why) {
        struct server *server = (struct server *) ((char *) host - offsetof(struct server, host));

        log_about(LOG_LEVEL_DEBUG, peer_about(peer), "client %llu (%s) is gone: %s", (unsigned long long) peer_id(peer), peer_name(peer), why);
        server_remove(server, server_find(server, peer_id(peer)));
        status_changed(server->params.status);
        if (server->params.listen_fd < 0)
                loop_quit(host->loop);
}

/* Takes fd if it succeeds. */
static int server_add(struct server *server, int fd) {
        struct server_peer *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        r = peer_new(&server->host, ++server->last_peer_id, fd, &p->peer);
        if (r < 0) {
                free(p);
                return r;
        }
        LIST_INSERT_HEAD(&server->peers, p, entry);
        INJECT(SERVER_ACCEPTED);
        status_changed(server->params.status);
        log_about(LOG_LEVEL_DEBUG, peer_about(p->peer), "client %llu: %s", (unsigned long long) peer_id(p->peer), peer_name(p->peer));
        return 0;
}

static int server_make_reserve(void) {
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Once there is a descriptor in reserve. */
static void server_listen_again(void *owner) {
        struct server *server = owner;

        server->reserve_fd = server_make_reserve();
        if (server->reserve_fd < 0)
                loop_event_arm_in(server->on_pause_end, SERVER_PAUSE_USEC);
        else
                loop_event_arm(server->on_listen);
}

/* Without a descriptor for the client the listening socket would stay readable for ever: one kept for this turns the client away. */
static void server_turn_away(struct server *server) {
        int fd;

        close(server->reserve_fd);
        fd = accept4(server->params.listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
                closer_close(fd);
        loop_event_disarm(server->on_listen);
        server_listen_again(server);
        log_warning("a client was turned away: too many open files (raise LimitNOFILE= or ulimit -n)");
}

static void server_on_listen(void *owner) {
        struct server *server = owner;
        int fd = accept4(server->params.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;

        if (fd < 0 && (errno == EMFILE || errno == ENFILE))
                server_turn_away(server);
        if (fd < 0)
                return;
        r = server_add(server, fd);
        if (r < 0) {
                if (r != -EUSERS) /* told already, to the log and to some of them */
                        log_warning("a client was turned away: %s", strerror(-r));
                closer_close(fd); /* it may have sent something already */
        }
}

/* --- reports ------------------------------------------------------------------------------------------------------------------------------------ */

static int server_report_peers(const struct server *server, const struct peer *asker, struct report *report) {
        struct server_peer *p;
        int r = 0;

        LIST_FOREACH(p, &server->peers, entry) {
                struct report_peer line;

                if (!peer_is_privileged(asker) && peer_uid(p->peer) != peer_uid(asker))
                        continue;
                peer_describe(p->peer, &line);
                r = report_add(report, &line, sizeof(line));
                if (r < 0)
                        break;
        }
        return r;
}

static int server_report_metrics(const struct server *server, struct report *report) {
        size_t length;
        char *text;
        int r;

        r = survey_metrics(server->params.commons, server->params.crew, &text, &length);
        if (r < 0)
                return r;
        r = report_add(report, text, length);
        free(text);
        return r;
}

static int server_write_report(struct server *server, const struct peer *asker, enum report_kind kind, struct report *report) {
        struct report_stats stats;

        switch (kind) {
        case REPORT_STATS:
                survey_stats(server->params.commons, server->params.crew, &stats);
                return report_add(report, &stats, sizeof(stats));
        case REPORT_METRICS:
                return server_report_metrics(server, report);
        case REPORT_CONFIG:
                return server->params.settings ? server->params.settings(server->params.settings_owner, report) : -EOPNOTSUPP;
        case REPORT_PEERS:
                return server_report_peers(server, asker, report);
        default:
                return -EINVAL;
        }
}

static int server_on_report(struct peer_host *host, const struct peer *asker, enum report_kind kind, int *ret_fd, uint64_t *ret_length) {
        struct server *server = (struct server *) ((char *) host - offsetof(struct server, host));
        struct report report;
        int r;

        r = report_begin(&report);
        if (r < 0)
                return r;
        r = server_write_report(server, asker, kind, &report);
        if (r == 0)
                r = report_end(&report);
        if (r == 0)
                r = reports_keep(&server->reports, peer_id(asker), report.fd, report.length);
        if (r < 0) {
                close(report.fd);
                return r;
        }
        *ret_fd = report.fd;
        *ret_length = report.length;
        return 0;
}

static int server_on_trace(struct peer_host *host, const struct wire_trace *wanted, int *ret_fd) {
        struct server *server = (struct server *) ((char *) host - offsetof(struct server, host));

        return tracers_add(server->tracers, wanted, ret_fd);
}

/* --- replies ------------------------------------------------------------------------------------------------------------------------------------ */

/* A report that cannot be kept track of goes all the same: it is rare. */
static void server_note_report(struct server *server, const struct pager_reply *reply) {
        if (reply->msg.header.id == (WIRE_REPORT | WIRE_REPLY) && reply->n_fds > 0)
                (void) reports_keep(&server->reports, reply->peer, reply->fds[0], reply->msg.report_reply.length);
}

static void server_on_reply(struct server *server, const struct pager_reply *reply) {
        struct server_peer *p = server_find(server, reply->peer);

        if (!p) {
                for (unsigned i = 0; i < reply->n_fds; i++)
                        close(reply->fds[i]);
        } else if (reply->is_drop) {
                log_about(LOG_LEVEL_WARNING, peer_about(p->peer), "client (%s) is disconnected: %s", peer_name(p->peer), reply->why);
                server_on_gone(&server->host, p->peer, reply->why);
        } else {
                server_note_report(server, reply);
                peer_reply(p->peer, reply);
        }
}

static void server_on_replies(void *owner) {
        struct server *server = owner;
        struct outbox_item *item;

        while ((item = outbox_next(crew_outbox(server->params.crew)))) {
                server_on_reply(server, &item->reply);
                free(item);
        }
        status_changed(server->params.status);
}

static int server_start(struct server *server) {
        int private_fd = server->params.private_fd;

        server->on_replies = loop_on_readable(server->params.loop, crew_outbox(server->params.crew)->fd, server_on_replies, server);
        if (!server->on_replies)
                return -ENOMEM;
        if (server->params.listen_fd >= 0) {
                server->on_pause_end = loop_on_timer(server->params.loop, server_listen_again, server);
                server->on_listen = loop_on_readable(server->params.loop, server->params.listen_fd, server_on_listen, server);
                return server->on_pause_end && server->on_listen ? 0 : -ENOMEM;
        }
        if (fcntl(private_fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(private_fd, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;
        return server_add(server, private_fd);
}

int server_new(const struct server_params *params, struct server **ret) {
        struct server *server = calloc(1, sizeof(*server));
        int r;

        if (!server)
                return -ENOMEM;
        *server = (struct server) {
                .host = { .loop = params->loop, .commons = params->commons, .crew = params->crew, .lend_fd = params->lend_fd,
                          .allow_nbd = params->allow_nbd, .is_direct = params->is_direct, .report = server_on_report, .trace = server_on_trace, .gone = server_on_gone },
                .params = *params,
                .reserve_fd = server_make_reserve(),
        };
        LIST_INIT(&server->peers);
        reports_init(&server->reports);
        r = tracers_new(params->loop, params->commons, &server->tracers);
        if (r == 0)
                r = server_start(server);
        if (r < 0) {
                server->params.listen_fd = server->params.lend_fd = -1;
                server_free(server);
                return r;
        }
        *ret = server;
        return 0;
}

void server_free(struct server *server) {
        if (!server)
                return;
        while (!LIST_EMPTY(&server->peers))
                server_remove(server, LIST_FIRST(&server->peers));
        tracers_free(server->tracers);
        reports_fini(&server->reports);
        loop_event_free(server->on_listen);
        loop_event_free(server->on_pause_end);
        loop_event_free(server->on_replies);
        if (server->params.listen_fd >= 0)
                closer_close(server->params.listen_fd); /* with those who have connected, and sent something, and were not let in */
        if (server->params.lend_fd >= 0)
                close(server->params.lend_fd);
        if (server->reserve_fd >= 0)
                close(server->reserve_fd);
        free(server);
}
