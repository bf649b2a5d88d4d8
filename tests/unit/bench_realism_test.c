/*
 * bench_realism_test.c - a guard: the queue model decides real orders as they really went.
 *
 * The first minutes of an order-by-order recording, SCRIP_DATA/l3; without it this test is
 * skipped, loudly. The bounds lie well below what is measured; ./scrip bench realism takes it all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "trial.h"

#define LINES       20000
#define INTERVAL_NS INT64_C(100000000)

static bool
path_of(char path[4096])
{
    const char *folder = getenv("SCRIP_DATA");
    snprintf(path, 4096, "%s/l3/lobster_AAPL_20120621_0930_1030_message_50.csv.gz",
             folder != NULL ? folder : "");
    FILE *file = folder != NULL ? fopen(path, "rb") : NULL;
    if (file == NULL)
        return false;
    fclose(file);
    return true;
}

/* Counts of orders. */
struct counts {
    unsigned all, right, filled, hit, full, exact, differing;
};

static struct counts
judge(int64_t interval_ns, enum fill_model model)
{
    struct counts c = {0};
    struct lobster l;
    char path[4096];
    cr_assert(path_of(path));
    const char *wrong = lobster_read(&l, path, LINES);
    cr_assert_null(wrong, "%s", wrong);
    lobster_prepare(&l, interval_ns);
    struct trial *t = trial_new(&l);
    for (uint32_t i = 0; i < l.orders_count; i++) {
        const struct lobster_order *o = &l.orders[i];
        if (!lobster_is_judged(o))
            continue;
        struct trial_outcome found = trial_run(t, i, model);
        c.all++;
        c.right += found.class == o->class;
        c.filled += o->class != LOBSTER_UNFILLED;
        c.hit += o->class != LOBSTER_UNFILLED && found.class != LOBSTER_UNFILLED;
        c.full += o->class == LOBSTER_FULL;
        c.exact += o->class == LOBSTER_FULL && found.full_ns == o->full_ns;
        if (c.all % 211 != 0)
            continue;
        struct trial_outcome whole = trial_run_whole(t, i, model, 100);
        c.differing += whole.filled != found.filled || whole.full_ns != found.full_ns;
    }
    trial_free(&t);
    lobster_free(&l);
    cr_log_info("model %d, interval %lld ns: %u of %u right, %u of %u fills found, %u of %u exact",
                (int)model, (long long)interval_ns, c.right, c.all, c.hit, c.filled, c.exact,
                c.full);
    return c;
}

/* Orders that never fill are most of all: to be right there is no art, so fills are looked at. */
Test(bench_realism, the_queue_model_decides_as_the_market_did)
{
    struct counts event = judge(0, FILL_MODEL_queue);
    cr_assert(event.all > 5000 && event.filled > 500);
    cr_assert_geq(event.right * 1000, event.all * 995);
    cr_assert_geq(event.hit * 100, event.filled * 97);
    cr_assert_geq(event.exact * 100, event.full * 95);
    cr_assert_eq(event.differing, 0);
}

Test(bench_realism, depth_every_100_ms_is_enough_for_it)
{
    struct counts depth = judge(INTERVAL_NS, FILL_MODEL_queue);
    cr_assert_geq(depth.right * 1000, depth.all * 990);
    cr_assert_geq(depth.hit * 100, depth.filled * 95);
    cr_assert_geq(depth.exact * 100, depth.full * 88);
    cr_assert_eq(depth.differing, 0);
}

Test(bench_realism, touch_flatters_and_through_does_not)
{
    struct counts touch = judge(0, FILL_MODEL_touch), through = judge(0, FILL_MODEL_through);
    cr_assert_eq(touch.hit, touch.filled);
    cr_assert_lt(through.hit * 2, through.filled);
}

int
main(int argc, char **argv)
{
    char path[4096];
    if (!path_of(path)) {
        fprintf(stderr, "SKIPPED: bench_realism_test needs SCRIP_DATA, the folder of recordings, "
                        "with l3/lobster_AAPL_20120621_0930_1030_message_50.csv.gz\n");
        return 77;
    }
    struct criterion_test_set *tests = criterion_initialize();
    int status = 0;
    if (criterion_handle_args(argc, argv, true))
        status = !criterion_run_all_tests(tests);
    criterion_finalize(tests);
    return status;
}
