/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"
#include "journal.h"

#if HAVE_LIBSYSTEMD

#define SD_JOURNAL_SUPPRESS_LOCATION

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include "log.h"

#define JOURNAL_FIELDS_MAX 8
#define JOURNAL_TEXT_MAX 6000

static const int journal_priorities[N_LOG_LEVELS] = {
        [LOG_LEVEL_ERROR] = 3,
        [LOG_LEVEL_WARNING] = 4,
        [LOG_LEVEL_INFO] = 6,
        [LOG_LEVEL_DEBUG] = 7,
};

struct journal_entry {
        struct iovec fields[JOURNAL_FIELDS_MAX];
        int n_fields;
        char text[JOURNAL_TEXT_MAX];
        size_t n_text;
};

/* A field that has no room is left out. */
static void __attribute__((format(printf, 2, 3))) journal_add(struct journal_entry *entry, const char *format, ...) {
        char *text = entry->text + entry->n_text;
        size_t room = sizeof(entry->text) - entry->n_text;
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text, room, format, args);
        va_end(args);
        if (n < 0 || (size_t) n >= room || entry->n_fields == JOURNAL_FIELDS_MAX)
                return;
        entry->fields[entry->n_fields++] = (struct iovec) { .iov_base = text, .iov_len = (size_t) n };
        entry->n_text += (size_t) n + 1;
}

static bool journal_write(enum log_level level, const char *text, const struct log_about *about) {
        struct journal_entry entry = { .n_fields = 0 };

        journal_add(&entry, "MESSAGE=%s", text);
        journal_add(&entry, "PRIORITY=%d", journal_priorities[level]);
        if (about->pid > 0)
                journal_add(&entry, "BIGFILED_PEER_PID=%d", (int) about->pid);
        if (about->has_uid)
                journal_add(&entry, "BIGFILED_PEER_UID=%u", (unsigned) about->uid);
        if (about->file)
                journal_add(&entry, "BIGFILED_FILE=%s", about->file);
        if (about->inode != 0)
                journal_add(&entry, "BIGFILED_DEVICE=%u:%u", major(about->device), minor(about->device));
        if (about->inode != 0)
                journal_add(&entry, "BIGFILED_INODE=%" PRIu64, about->inode);
        if (about->error != 0)
                journal_add(&entry, "ERRNO=%d", -about->error);
        return sd_journal_sendv(entry.fields, entry.n_fields) >= 0;
}

void journal_begin(void) {
        if (log_find_journal())
                log_set_sink(journal_write);
}

#else

#include "log.h"

void journal_begin(void) {
        (void) log_find_journal();
}

#endif
