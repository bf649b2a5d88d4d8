/*
 * metrics.h - counters, gauges and histograms with a Prometheus text view.
 *
 * Registered at start, updated by the loop thread only. Names follow Prometheus:
 * scrip_ledger_commands_total. Labels are fixed at registration: `error="FUNDS_TOO_LOW"`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_METRICS_H
#define SCRIP_HOST_METRICS_H

#include <stdint.h>

struct bytes;
struct metric;

/* Never fail: 1024 metrics at most, CHECKed. The same name and labels give the same metric.
 * `labels` is "" or `kind="x"`. Texts are copied. */
struct metric *metric_counter(const char *name, const char *labels, const char *sentence);
struct metric *metric_gauge(const char *name, const char *labels, const char *sentence);
/* Microseconds, in buckets of powers of two from 16 us to 16 s. */
struct metric *metric_histogram(const char *name, const char *labels, const char *sentence);

void metric_add(struct metric *m, int64_t n);
void metric_set(struct metric *m, int64_t value);
void metric_observe_us(struct metric *m, int64_t us);
int64_t metric_value(const struct metric *m);
/* Appends the whole registry in the text format. */
void metrics_write(struct bytes *out);

#endif
