/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "bounds.h"
#include "report.h"

static const char *const report_bound_verdicts[] = {
        [BOUND_TOLD] = "-",
        [BOUND_MET] = "met",
        [BOUND_MISSED] = "missed",
};

static const char *const report_bound_relations[] = {
        [BOUND_NONE] = "",
        [BOUND_AT_MOST] = "at most",
        [BOUND_AT_LEAST] = "at least",
};

static void report_bound(FILE *out, const struct bound *bound, const struct results *results, const char *placement) {
        double value = 0;
        enum bound_verdict verdict = bound_check(bound, results, placement, &value);
        const char *reason = bound_reason(bound, results, placement);

        if (verdict == BOUND_UNKNOWN && reason)
                fprintf(out, "  %-7s %8s %-14s %s (%s): %s\n", "unknown", "", "", bound->title, placement, reason);
        if (verdict == BOUND_UNKNOWN)
                return;
        fprintf(out, "  %-7s %8.3f %-8s ", report_bound_verdicts[verdict], value, report_bound_relations[bound->relation]);
        if (bound->relation != BOUND_NONE)
                fprintf(out, "%-5.4g", bound->limit);
        else
                fprintf(out, "%5s", "");
        fprintf(out, " %s (%s)\n", bound->title, placement);
}

int report_bounds(FILE *out, const struct results *results) {
        fprintf(out, "\nbounds, and other ratios within this run (- has no bound); a rate or part of touches is better above 1, a time below\n");
        for (const struct bound *bound = bounds; bound->title; bound++)
                for (size_t i = 0; report_placements[i]; i++)
                        report_bound(out, bound, results, report_placements[i]);
        return ferror(out) ? -EIO : 0;
}
