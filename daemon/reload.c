/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdbool.h>
#include <string.h>

#include "cmdline.h"
#include "commons.h"
#include "crew.h"
#include "log.h"
#include "options_show.h"
#include "reload.h"
#include "settle.h"

static bool reload_differs(const struct options *a, const struct options *b, const struct option_row *row) {
        char a_text[OPTION_TEXT_MAX], b_text[OPTION_TEXT_MAX];

        option_format(a, row, a_text);
        option_format(b, row, b_text);
        return strcmp(a_text, b_text) != 0;
}

/* True: the row is to be taken over. The next reload compares with what is in force then, so what waits for a restart is told again. */
static bool reload_judge(const struct options *now, const struct options *next, const struct option_row *row) {
        char before[OPTION_TEXT_MAX], after[OPTION_TEXT_MAX];

        if (row->when == OPTION_COMMAND_LINE || !reload_differs(now, next, row))
                return false;
        option_show(now, row, before);
        option_show(next, row, after);
        if (row->when == OPTION_RESTART) {
                log_each(LOG_LEVEL_WARNING, "%s: %s instead of %s when bigfiled is restarted: it cannot change before", row->key, after, before);
                return false;
        }
        log_each(LOG_LEVEL_INFO, "%s: %s, it was %s", row->key, after, before);
        return true;
}

/* Returns how many have changed. */
static unsigned reload_take_over(struct options *options, struct options *next) {
        unsigned n = 0;

        for (const struct option_row *row = options_table; row->key; row++)
                if (reload_judge(options, next, row)) {
                        option_swap(options, next, row);
                        n++;
                }
        return n;
}

static void reload_settle_spill(struct options *options, uint64_t spill_bytes_before, struct counters *counters) {
        uint64_t before = options->pager.spill_bytes;

        if (options->spill_bytes == spill_bytes_before || options->pager.spill_dir_fd < 0)
                return;
        settle_spill(options);
        counters_add(counters, COUNTER_SPILL_LIMIT_BYTES, (int64_t) (options->pager.spill_bytes - before));
}

/* The pagers hear of it even if they have nothing else to do: with a smaller pool they have to reclaim, with a larger one somebody may get room. */
static void reload_apply(const struct reload *reload, uint64_t spill_bytes_before) {
        struct options *options = reload->options;

        reload_settle_spill(options, spill_bytes_before, &reload->commons->counters);
        log_set_level(options->log_level);
        accounts_set_limits(&reload->commons->accounts, &options->limits);
        pool_resize(&reload->commons->pool, options->pool_bytes);
        if (crew_tune(reload->crew, &options->pager) < 0)
                log_each(LOG_LEVEL_ERROR, "no memory to tell all pagers what has changed: reload again");
}

bool reload_run(const struct reload *reload) {
        uint64_t spill_bytes_before = reload->options->spill_bytes;
        struct options next;

        if (cmdline_read_again(reload->argc, reload->argv, &next) != CMDLINE_RUN) {
                log_each(LOG_LEVEL_ERROR, "the configuration is not taken: all stays as it was");
                return false;
        }
        settle_limits(&next);
        settle_warn(&next);
        if (reload_take_over(reload->options, &next) == 0)
                log_each(LOG_LEVEL_INFO, "the configuration was read again: nothing of what is in force has changed");
        reload_apply(reload, spill_bytes_before);
        options_fini(&next);
        return true;
}
