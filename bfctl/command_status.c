/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl status: one screen, in words. */

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "ask.h"
#include "commands.h"
#include "figures.h"
#include "health.h"
#include "json.h"
#include "lines.h"
#include "size.h"

/* A thread may be in the kernel at any moment: only one that is there at each of so many looks is held. */
#define STATUS_LOOKS 4
#define STATUS_PAUSE_USEC 20000u

static void status_words_memory(const struct report_stats *stats) {
        char pool[SIZE_TEXT_MAX], resident[SIZE_TEXT_MAX], dirty[SIZE_TEXT_MAX], spilled[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX];
        uint64_t n_dirty = health_dirty_in_pool(stats);

        printf("pool      %s of %s in use (%.1f %%)\n", size_format(stats->resident_bytes, resident), size_format(stats->pool_bytes, pool),
               figures_percent(stats->resident_bytes, stats->pool_bytes));
        printf("dirty     %s (%.1f %% of the pool)", size_format(n_dirty, dirty), figures_percent(n_dirty, stats->pool_bytes));
        if (stats->spill_limit_bytes > 0 || stats->spilled_bytes > 0)
                printf(", and %s spilled (of at most %s)", size_format(stats->spilled_bytes, spilled), size_format(stats->spill_limit_bytes, limit));
        putchar('\n');
}

static void status_words_latency(const struct report_stats *stats) {
        const uint64_t *counts = stats->latencies[REPORT_FAULT].counts;
        char median[FIGURES_TEXT_MAX], slow[FIGURES_TEXT_MAX];

        printf("faults    %" PRIu64, stats->faults);
        if (histogram_count(counts) > 0)
                printf(", half of them answered within %s, 99 of 100 within %s", figures_time(histogram_quantile(counts, 500000), median),
                       figures_time(histogram_quantile(counts, 990000), slow));
        putchar('\n');
}

/* A fault that waits so long has most likely met a disk, a server or a process that does not answer, or there is no room. */
#define STATUS_LONG_WAIT_NSEC UINT64_C(1000000000)

static void status_words_waits(const struct bfctl *bfctl) {
        char age[FIGURES_TEXT_MAX];
        struct file_lines files;

        if (file_lines_ask(bfctl->client, &files) < 0)
                return;
        for (size_t i = 0; i < files.n; i++) {
                const struct report_file *file = &files.lines[i].file;

                if (file->wait_nsec >= STATUS_LONG_WAIT_NSEC)
                        printf("waiting   %" PRIu64 " page faults, for up to %s, for %s\n", file->waiting, figures_age(file->wait_nsec, age), file->path);
        }
        file_lines_fini(&files);
}

static void status_words(const struct bfctl *bfctl, const struct report_stats *stats) {
        struct health health[HEALTH_MAX];
        unsigned n = health_look(stats, health);
        char age[FIGURES_TEXT_MAX];

        printf("bigfiled at %s: %s\n", bfctl->socket, n > 0 ? health[0].text : "healthy");
        for (unsigned i = 1; i < n; i++)
                printf("          and %s\n", health[i].text);
        status_words_memory(stats);
        printf("peers     %" PRIu64 ", this one included\n", stats->peers);
        printf("handles   %" PRIu64 ", with %" PRIu64 " mappings\n", stats->filehs, stats->mappings);
        if (stats->lingering > 0)
                printf("          %" PRIu64 " of them wait for clients that may come back\n", stats->lingering);
        status_words_latency(stats);
        status_words_waits(bfctl);
        if (stats->load_errors > 0 || stats->store_errors > 0)
                printf("errors    %" PRIu64 " pages could not be loaded, %" PRIu64 " writes failed (the log says of which files)\n", stats->load_errors,
                       stats->store_errors);
        printf("running   for %s, with %" PRIu64 " threads for page faults\n", figures_age(stats->uptime_nsec, age), stats->pagers);
}

static void status_json(const struct bfctl *bfctl, const struct report_stats *stats) {
        struct json_object *json = json_new("bfctl.status/1"), *array;
        struct health health[HEALTH_MAX];
        unsigned n = health_look(stats, health);

        json_add_text(json, "socket", bfctl->socket);
        json_add_text(json, "status", n > 0 ? health[0].word : "healthy");
        array = json_add_array(json, "problems");
        for (unsigned i = 0; i < n; i++)
                json_append_text(array, health[i].word);
        json_add_real(json, "uptime_seconds", (double) stats->uptime_nsec / 1e9);
        for (const struct figure *figure = figures; figure->name; figure++)
                if (figure->is_status)
                        json_add_number(json, figure->name, figure_value(stats, figure));
        json_print(json);
}

static int status_ask(struct bf_client *client, struct report_stats *ret) {
        int r;

        r = ask_stats(client, ret);
        for (unsigned i = 1; r == 0 && ret->pagers_held > 0 && i < STATUS_LOOKS; i++) {
                (void) usleep(STATUS_PAUSE_USEC);
                r = ask_stats(client, ret);
        }
        return r;
}

int command_status(struct bfctl *bfctl) {
        struct report_stats stats;
        int r;

        r = status_ask(bfctl->client, &stats);
        if (r < 0)
                return r;
        if (bfctl->as_json)
                status_json(bfctl, &stats);
        else
                status_words(bfctl, &stats);
        return 0;
}
