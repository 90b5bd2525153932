/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "reports.h"

struct reports_entry {
        TAILQ_ENTRY(reports_entry) next; /* reports->entries -> entry->next */
        uint64_t peer;
        int fd;
        uint64_t length;
};

int report_begin(struct report *report) {
        int fd = memfd_create("bigfiled report", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0)
                return -errno;
        (void) fchmod(fd, 0600);
        *report = (struct report) { .fd = fd };
        return 0;
}

int report_add(struct report *report, const void *bytes, size_t n) {
        size_t done = 0;

        while (done < n) {
                ssize_t r = write(report->fd, (const char *) bytes + done, n - done);

                if (r < 0)
                        return -errno;
                done += (size_t) r;
        }
        report->length += n;
        return 0;
}

/* Whoever could begin to write, though it would fail, could hold up who empties it: some kernels take the file's lock first, and wait for what is to be written. */
int report_end(struct report *report) {
        int fd, r;

        if (fcntl(report->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return -errno;
        r = memory_reopen_readonly(report->fd, &fd);
        if (r < 0)
                return r;
        close(report->fd);
        report->fd = fd;
        return 0;
}

void reports_init(struct reports *reports) {
        *reports = (struct reports) { .n = 0 };
        TAILQ_INIT(&reports->entries);
}

static void reports_empty(struct reports *reports, struct reports_entry *entry) {
        TAILQ_REMOVE(&reports->entries, entry, next);
        reports->n--;
        reports->n_bytes -= entry->length;
        (void) !ftruncate(entry->fd, 0);
        close(entry->fd);
        free(entry);
}

void reports_fini(struct reports *reports) {
        while (reports->n > 0)
                reports_empty(reports, TAILQ_FIRST(&reports->entries));
}

int reports_keep(struct reports *reports, uint64_t peer, int fd, uint64_t length) {
        struct reports_entry *entry = malloc(sizeof(*entry));
        int r;

        if (!entry)
                return -ENOMEM;
        *entry = (struct reports_entry) { .peer = peer, .length = length };
        r = memory_reopen(fd, O_RDWR, &entry->fd);
        if (r < 0) {
                free(entry);
                return r;
        }
        while (reports->n > 0 && (reports->n == REPORTS_MAX || reports->n_bytes + length > REPORTS_BYTES_MAX))
                reports_empty(reports, TAILQ_FIRST(&reports->entries));
        TAILQ_INSERT_TAIL(&reports->entries, entry, next);
        reports->n++;
        reports->n_bytes += length;
        return 0;
}

void reports_forget(struct reports *reports, uint64_t peer) {
        struct reports_entry *entry, *next;

        for (entry = TAILQ_FIRST(&reports->entries); entry; entry = next) {
                next = TAILQ_NEXT(entry, next);
                if (entry->peer == peer)
                        reports_empty(reports, entry);
        }
}
