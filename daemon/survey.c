/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "metrics.h"
#include "survey.h"

void survey_stats(const struct commons *commons, const struct crew *crew, struct report_stats *ret) {
        *ret = (struct report_stats) {
                .time_nsec = latency_now(),
                .uptime_nsec = latency_now() - commons->began,
                .pool_bytes = commons->pool.bytes,
                .resident_bytes = pool_used(&commons->pool),
                .dirty_bytes = commons_counter(commons, COUNTER_DIRTY_BYTES),
                .spilled_bytes = commons_counter(commons, COUNTER_SPILLED_BYTES),
                .spill_file_bytes = commons_counter(commons, COUNTER_SPILL_FILE_BYTES),
                .spill_limit_bytes = commons_counter(commons, COUNTER_SPILL_LIMIT_BYTES),
                .peers = commons_counter(commons, COUNTER_PEERS),
                .filehs = commons_counter(commons, COUNTER_FILEHS),
                .lingering = commons_counter(commons, COUNTER_LINGERING),
                .mappings = commons_counter(commons, COUNTER_MAPPINGS),
                .pagers = atomic_load(&commons->n_pagers),
                .pagers_held = crew_count_held(crew),
                .faults = commons_counter(commons, COUNTER_FAULTS),
                .loads = commons_counter(commons, COUNTER_LOADS),
                .stores = commons_counter(commons, COUNTER_STORES),
                .evictions = commons_counter(commons, COUNTER_EVICTIONS),
                .spills = commons_counter(commons, COUNTER_SPILLS),
                .unspills = commons_counter(commons, COUNTER_UNSPILLS),
                .load_errors = commons_counter(commons, COUNTER_LOAD_ERRORS),
                .store_errors = commons_counter(commons, COUNTER_STORE_ERRORS),
        };
        for (enum report_latency i = 0; i < N_REPORT_LATENCIES; i++)
                commons_latency(commons, i, &ret->latencies[i]);
}

int survey_metrics(const struct commons *commons, const struct crew *crew, char **ret_text, size_t *ret_length) {
        struct report_stats stats;

        survey_stats(commons, crew, &stats);
        return metrics_write(&stats, ret_text, ret_length);
}
