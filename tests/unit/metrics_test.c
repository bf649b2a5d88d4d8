/*
 * metrics_test.c - the registry and its Prometheus text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/metrics.h"

#include <criterion/criterion.h>
#include <string.h>

#include "wire/codec.h"

static struct bytes text;

static const char *
scrape(void)
{
    bytes_clear(&text);
    metrics_write(&text);
    bytes_add(&text, "", 1);
    return (const char *)text.data;
}

Test(metrics, counters_and_gauges_are_written)
{
    struct metric *c = metric_counter("scrip_test_total", "", "Things counted.");
    struct metric *g = metric_gauge("scrip_test_depth", "", "A depth.");
    metric_add(c, 2);
    metric_add(c, 3);
    metric_set(g, -7);
    cr_assert_eq(metric_value(c), 5);
    cr_assert_not_null(strstr(scrape(), "# HELP scrip_test_total Things counted.\n"
                                        "# TYPE scrip_test_total counter\n"
                                        "scrip_test_total 5\n"));
    cr_assert_not_null(strstr(scrape(), "# TYPE scrip_test_depth gauge\nscrip_test_depth -7\n"));
}

Test(metrics, one_name_stands_together_whatever_the_order_of_registration)
{
    metric_add(metric_counter("scrip_a_total", "kind=\"x\"", "A."), 1);
    metric_add(metric_counter("scrip_b_total", "", "B."), 2);
    metric_add(metric_counter("scrip_a_total", "kind=\"y\"", "A."), 3);
    cr_assert_not_null(strstr(scrape(), "# TYPE scrip_a_total counter\n"
                                        "scrip_a_total{kind=\"x\"} 1\n"
                                        "scrip_a_total{kind=\"y\"} 3\n"
                                        "# HELP scrip_b_total B.\n"));
    cr_assert_eq(metric_counter("scrip_a_total", "kind=\"y\"", "A."),
                 metric_counter("scrip_a_total", "kind=\"y\"", "A."));
}

Test(metrics, a_histogram_counts_in_powers_of_two)
{
    struct metric *h = metric_histogram("scrip_test_us", "step=\"a\"", "A time.");
    metric_observe_us(h, 0);
    metric_observe_us(h, 16);
    metric_observe_us(h, 17);
    metric_observe_us(h, 32);
    metric_observe_us(h, 16777216);
    metric_observe_us(h, 16777217);
    cr_assert_eq(metric_value(h), 6);
    const char *all = scrape();
    cr_assert_not_null(strstr(all, "scrip_test_us_bucket{step=\"a\",le=\"16\"} 2\n"));
    cr_assert_not_null(strstr(all, "scrip_test_us_bucket{step=\"a\",le=\"32\"} 4\n"));
    cr_assert_not_null(strstr(all, "scrip_test_us_bucket{step=\"a\",le=\"64\"} 4\n"));
    cr_assert_not_null(strstr(all, "scrip_test_us_bucket{step=\"a\",le=\"16777216\"} 5\n"));
    cr_assert_not_null(strstr(all, "scrip_test_us_bucket{step=\"a\",le=\"+Inf\"} 6\n"));
    cr_assert_not_null(strstr(all, "scrip_test_us_sum{step=\"a\"} 33554498\n"));
    cr_assert_not_null(strstr(all, "scrip_test_us_count{step=\"a\"} 6\n"));
}

Test(metrics, the_process_tells_of_itself)
{
    const char *all = scrape();
    cr_assert_not_null(strstr(all, "\nprocess_cpu_seconds_total 0."));
    cr_assert_not_null(strstr(all, "\nprocess_resident_memory_bytes "));
    cr_assert_not_null(strstr(all, "\nprocess_open_fds "));
}
