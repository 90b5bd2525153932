/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_REPORT_PLOTS_H
#define BENCH_REPORT_PLOTS_H

/* Draws results: how the times of single accesses are distributed, and what the size of the pool does to throughput and hits. */

struct results;

/* Writes files *.svg into the folder dir, which is made if it is not there. 0 or a negative errno. */
int report_plots(const char *dir, const struct results *results);

#endif
