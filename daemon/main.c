/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Builds the daemon's parts, runs it, and takes it down in reverse. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "chan.h"
#include "cmdline.h"
#include "commons.h"
#include "crew.h"
#include "http.h"
#include "inject.h"
#include "journal.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "notify.h"
#include "options_show.h"
#include "reload.h"
#include "server.h"
#include "settle.h"
#include "size.h"
#include "spill_file.h"
#include "status.h"
#include "survey.h"
#include "uffd.h"
#include "uffd_features.h"
#include "uri.h"
#include "watch.h"

struct daemon {
        int argc;
        char **argv;
        struct options options;
        struct commons commons;
        struct loop *loop;
        struct loop_event *on_signal[3];
        struct crew *crew;
        struct status *status;
        struct watch *watch; /* NULL: nobody watches */
        struct server *server;
        struct http *http; /* NULL: none */
        int lock_fd; /* -1, or of the socket's path, which is ours to remove at the end */
};

/* Says what an older kernel lacks. */
static int main_check_kernel(void) {
        char missing[UFFD_FEATURES_TEXT_MAX];
        uint64_t features;
        int r;

        r = uffd_probe(&features);
        if (r < 0) {
                log_error("cannot create a userfaultfd: %s (the kernel needs CONFIG_USERFAULTFD, and Linux 6.6 or newer)", strerror(-r));
                return r;
        }
        if (uffd_features_missing(features, missing) > 0) {
                log_error("the kernel's userfaultfd lacks %s: bigfiled needs Linux 6.6 or newer", missing);
                return -ENOSYS;
        }
        return 0;
}

/* To all that may be had. */
static void main_raise_descriptor_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
}

static void main_on_quit(void *owner) {
        struct daemon *d = owner;

        loop_quit(d->loop);
}

static void main_on_hangup(void *owner) {
        struct daemon *d = owner;
        struct reload reload = { .argc = d->argc, .argv = d->argv, .options = &d->options, .commons = &d->commons, .crew = d->crew };

        notify_reloading();
        (void) reload_run(&reload);
        notify_reloaded();
        status_refresh(d->status);
}

static int main_catch_signals(struct daemon *d) {
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN); /* a write beyond RLIMIT_FSIZE then says EFBIG */
        d->on_signal[0] = loop_on_signal(d->loop, SIGTERM, main_on_quit, d);
        d->on_signal[1] = loop_on_signal(d->loop, SIGINT, main_on_quit, d);
        d->on_signal[2] = loop_on_signal(d->loop, SIGHUP, main_on_hangup, d);
        return d->on_signal[0] && d->on_signal[1] && d->on_signal[2] ? 0 : -ENOMEM;
}

static const char *main_socket_path(const struct daemon *d) {
        return d->options.socket_path ? d->options.socket_path : OPTIONS_SOCKET_DEFAULT;
}

/* The socket that systemd made, unless another one is asked for; -1: none. */
static int main_take_listening(const struct daemon *d) {
        int fd = notify_listen_fd();
        char path[CHAN_PATH_MAX];

        if (fd < 0 || !d->options.socket_path || (chan_path(fd, path) == 0 && strcmp(path, d->options.socket_path) == 0))
                return fd;
        log_warning("the socket that systemd made is not served: socket is %s", d->options.socket_path);
        close(fd);
        return -1;
}

static int main_listen(struct daemon *d, int *ret_fd) {
        const struct options *o = &d->options;
        const char *path = main_socket_path(d);
        int fd = main_take_listening(d), r;

        if (fd >= 0) {
                *ret_fd = fd;
                return 0;
        }
        r = chan_lock(path, &d->lock_fd);
        if (r == 0)
                r = chan_listen(path, o->socket_mode, &fd);
        if (r == -EADDRINUSE)
                log_error("cannot listen at %s: it is served already, or no socket (stop that daemon, or name another path with --socket)", path);
        else if (r == -ENAMETOOLONG)
                log_error("cannot listen at %s: the path is longer than a socket's may be (name another one with --socket)", path);
        else if (r < 0)
                log_error("cannot listen at %s: %s (create the folder with the right permissions, or name another path with --socket)", path,
                          strerror(-r));
        if (r < 0)
                return r;
        if (o->socket_group != (gid_t) -1 && chown(path, (uid_t) -1, o->socket_group) < 0) {
                r = -errno;
                log_error("cannot give %s to group %u: %s", path, (unsigned) o->socket_group, strerror(-r));
                (void) unlink(path);
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

/* Opening the device is what needs a privilege: clients that have none work with ours. */
static int main_open_device(const struct daemon *d) {
        int fd, r;

        if (!d->options.lends)
                return -1;
        r = uffd_open_device(&fd);
        if (r == 0)
                return fd;
        if (d->options.private_fd < 0)
                log_warning("cannot open /dev/userfaultfd to lend it: %s (clients then need vm.unprivileged_userfaultfd=1 or CAP_SYS_PTRACE)",
                            strerror(-r));
        return -1;
}

/* Only the daemon that serves a socket looks at what lies beside it. */
static void main_open_roster(struct daemon *d, int listen_fd) {
        char path[CHAN_PATH_MAX + sizeof(".shared")];
        int r;

        if (chan_path(listen_fd, path) < 0)
                return;
        r = roster_open(&d->commons.roster, strcat(path, ".shared"));
        if (r < 0)
                log_warning("cannot use %s: %s (who opens a shared file just after a restart may not meet those who have it open)", path, strerror(-r));
}

static int main_settings(void *owner, struct report *report) {
        const struct daemon *d = owner;

        return options_report(&d->options, report);
}

static int main_metrics(void *owner, char **ret_text, size_t *ret_length) {
        const struct daemon *d = owner;

        return survey_metrics(&d->commons, d->crew, ret_text, ret_length);
}

static int main_serve_metrics(struct daemon *d) {
        const struct http_params params = {
                .loop = d->loop, .address = d->options.http_address, .type = METRICS_CONTENT_TYPE, .write = main_metrics, .owner = d,
        };
        int r;

        if (!params.address)
                return 0;
        r = http_new(&params, &d->http);
        if (r < 0)
                log_error("cannot serve metrics at %s: %s (name another address with --http-address)", params.address, strerror(-r));
        return r;
}

/* A private daemon reaches what its user does. */
static const char *const main_any_nbd = URI_ANY;

static int main_serve(struct daemon *d) {
        struct server_params params = {
                .loop = d->loop, .commons = &d->commons, .crew = d->crew, .listen_fd = -1, .private_fd = d->options.private_fd,
                .status = d->status,
                .settings = main_settings, .settings_owner = d,
                .allow_nbd = d->options.private_fd < 0 ? &d->options.allow_nbd : &main_any_nbd,
        };
        char size[SIZE_TEXT_MAX];
        int r;

        if (d->options.private_fd < 0) {
                r = main_listen(d, &params.listen_fd);
                if (r < 0)
                        return r;
                main_open_roster(d, params.listen_fd);
        }
        params.lend_fd = main_open_device(d);
        params.is_direct = d->options.is_direct;
        r = server_new(&params, &d->server);
        if (r < 0) {
                log_error("cannot serve: %s", strerror(-r));
                return r;
        }
        r = main_serve_metrics(d);
        if (r < 0)
                return r;
        if (d->options.private_fd < 0)
                log_info("serving, with a pool of %s", size_format(d->commons.pool.bytes, size));
        notify_ready(d->options.ready_fd);
        status_refresh(d->status);
        return loop_run(d->loop);
}

/* Said now, and not only when the pool is full of changes. A folder that lets none be made now may let it then. */
static void main_try_spill_dir(const struct daemon *d) {
        int r = spill_file_try(d->options.pager.spill_dir_fd);

        if (r < 0)
                log_warning("cannot make a file in %s to spill changes to: %s (as long as that is so, who needs room when the pool is full of changes waits; see --spill-dir)",
                            d->options.spill_dir, strerror(-r));
}

/* Without the folder all works, but for transactions larger than the pool. */
static void main_open_spill_dir(struct daemon *d) {
        struct pager_options *pager = &d->options.pager;

        pager->spill_dir_fd = d->options.spill_dir ? open(d->options.spill_dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC) : -1;
        if (d->options.spill_dir && pager->spill_dir_fd < 0)
                log_warning("cannot open %s to spill changes to: %s (when the pool is full of changes, who needs room waits; see --spill-dir)",
                            d->options.spill_dir, strerror(errno));
        if (pager->spill_dir_fd < 0)
                return;
        pager->spill_dir = d->options.spill_dir;
        main_try_spill_dir(d);
        settle_spill(&d->options);
        counters_add(&d->commons.counters, COUNTER_SPILL_LIMIT_BYTES, (int64_t) pager->spill_bytes);
}

static int main_build(struct daemon *d) {
        int r;

        main_raise_descriptor_limit();
        settle_limits(&d->options);
        settle_warn(&d->options);
        commons_init(&d->commons, d->options.pool_bytes, &d->options.limits);
        d->commons.served.is_group = d->options.served_group;
        main_open_spill_dir(d);
        r = loop_new(&d->loop);
        if (r == 0)
                r = main_catch_signals(d);
        if (r == 0)
                r = crew_new(&d->commons, &d->options.pager, d->options.n_pagers, &d->crew);
        if (r == 0)
                r = status_new(d->loop, &d->commons, &d->status);
        if (r == 0)
                r = watch_new(d->loop, d->crew, d->status, &d->watch);
        if (r < 0)
                log_error("cannot start: %s (%s)", strerror(-r),
                          r == -EMFILE ? "see LimitNOFILE=, or ulimit -n" : "io_uring is needed: see kernel.io_uring_disabled and memory limits");
        return r;
}

static void main_stop_listening(struct daemon *d) {
        const char *path = main_socket_path(d);

        if (d->lock_fd < 0)
                return;
        if (d->server)
                (void) unlink(path);
        chan_unlock(path, d->lock_fd);
        d->lock_fd = -1;
}

/* Clients that are connected keep what they have for the next daemon, with all that is dirty, just as if this one were killed. Closing it would drop it. */
static void main_leave(const struct daemon *d) {
        uint64_t n_peers = commons_counter(&d->commons, COUNTER_PEERS);

        if (!d->server || (n_peers == 0 && commons_counter(&d->commons, COUNTER_LINGERING) == 0))
                return;
        log_info("ending: %llu clients are left to the next bigfiled", (unsigned long long) n_peers);
        _exit(EX_OK);
}

static void main_tear_down(struct daemon *d) {
        notify_stopping();
        log_flush();
        main_stop_listening(d);
        http_free(d->http);
        d->http = NULL;
        main_leave(d);
        server_free(d->server);
        watch_free(d->watch);
        status_free(d->status);
        if (!crew_free(d->crew)) {
                log_warning("ending although a file's device does not answer");
                _exit(EX_OK);
        }
        commons_fini(&d->commons);
        for (unsigned i = 0; i < 3; i++)
                loop_event_free(d->on_signal[i]);
        loop_free(d->loop);
        if (d->options.pager.spill_dir_fd >= 0)
                close(d->options.pager.spill_dir_fd);
        options_fini(&d->options);
}

/* A private daemon goes to the background before it has threads; its client waits for the parent's exit code. */
static void main_detach(void) {
        pid_t pid = fork();

        if (pid < 0) {
                log_error("cannot fork: %s", strerror(errno));
                exit(EX_OSERR);
        }
        if (pid > 0)
                _exit(EX_OK);
        (void) setsid();
}

int main(int argc, char **argv) {
        struct daemon d = { .argc = argc, .argv = argv, .lock_fd = -1 };
        int r;

        if (inject_begin(argc, argv))
                return EX_OK;
        journal_begin();
        switch (cmdline_read(argc, argv, &d.options)) {
        case CMDLINE_DONE:
                return EX_OK;
        case CMDLINE_BAD:
                return EX_USAGE;
        case CMDLINE_BAD_CONFIG:
                return EX_CONFIG;
        case CMDLINE_RUN:
                break;
        }
        log_set_level(d.options.log_level);
        if (main_check_kernel() < 0) {
                options_fini(&d.options);
                return EX_UNAVAILABLE;
        }
        if (d.options.private_fd >= 0)
                main_detach();
        r = main_build(&d);
        if (r == 0)
                r = main_serve(&d);
        main_tear_down(&d);
        return r < 0 ? EX_OSERR : EX_OK;
}
