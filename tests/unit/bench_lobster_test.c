/*
 * bench_lobster_test.c - the level-2 view that bench/lobster.c makes of an order-by-order file,
 * and the trials of bench/trial.c, on a file small enough to see through.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lobster.h"
#include "trial.h"

#define SECOND INT64_C(1000000000)

/* Orders 10 and 20 at 100.00, 30 below, 40 on the other side. 99 and 98 were never announced, 15
 * was announced after it came. */
static const char file_text[] = "1.0,1,10,100,1000000,1\n"
                                "1.1,1,20,50,1000000,1\n"
                                "1.2,1,30,70,999900,1\n"
                                "1.3,1,40,30,1000100,-1\n"
                                "2.0,2,20,10,1000000,1\n"
                                "2.1,4,10,100,1000000,1\n"
                                "2.2,5,0,7,1000000,1\n"
                                "2.3,4,20,40,1000000,1\n"
                                "2.4,4,99,5,999900,1\n"
                                "2.5,3,98,5,999900,1\n"
                                "2.600000000004,3,30,70,999900,1\n"
                                "2.7,7,0,0,-1,-1\n"
                                "2.8,1,15,10,999800,1\n";

static const char *
read_text(struct lobster *l, const char *text)
{
    char path[] = "/tmp/bench-lobster-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    FILE *file = fdopen(fd, "w");
    fputs(text, file);
    fclose(file);
    const char *wrong = lobster_read(l, path, UINT32_MAX);
    unlink(path);
    return wrong;
}

static struct lobster
prepared(int64_t interval_ns)
{
    struct lobster l;
    const char *wrong = read_text(&l, file_text);
    cr_assert_null(wrong, "%s", wrong);
    lobster_prepare(&l, interval_ns);
    return l;
}

Test(bench_lobster, tells_what_became_of_each_order)
{
    struct lobster l = prepared(0);
    cr_assert_eq(l.orders_count, 5);
    cr_assert_eq(l.skipped, 1);
    const struct lobster_order *o = l.orders;
    cr_assert(o[0].class == LOBSTER_FULL && o[0].end_ns == 2 * SECOND + SECOND / 10);
    cr_assert(o[1].class == LOBSTER_FULL && o[1].wanted == 40 && o[1].executed == 40);
    cr_assert(o[2].class == LOBSTER_UNFILLED && o[2].end_ns == 2 * SECOND + SECOND / 10 * 6);
    cr_assert(o[3].last == LOBSTER_NONE && !lobster_is_judged(&o[3]));
    cr_assert(o[4].is_late && !lobster_is_judged(&o[4]));
    cr_assert(o[0].was_best && !o[0].was_behind);
    cr_assert(o[1].was_best && o[1].was_behind);
    cr_assert(o[2].was_best && !o[2].was_behind);
    lobster_free(&l);
}

Test(bench_lobster, shows_levels_after_each_row)
{
    struct lobster l = prepared(0);
    static const int64_t after[] = {100, 150, 70, 30, 140, 40, -1, 0, -1, 0, 10};
    static const int64_t bids[] = {1000000, 1000000, 1000000, 1000000, 1000000, 1000000,
                                   1000000, 999900,  999900,  0,       999800};
    cr_assert_eq(l.rows_count, 11);
    for (uint32_t i = 0; i < l.rows_count; i++) {
        cr_assert(after[i] >= 0 ? l.rows[i].after == after[i] : l.rows[i].type == LOBSTER_PRINT,
                  "row %u", i);
        cr_assert_eq(l.rows[i].best[0], bids[i], "row %u", i);
        cr_assert_eq(l.rows[i].best[1], i < 3 ? 0 : 1000100, "row %u", i);
    }
    const struct lobster_entry *second = &l.orders[1].entry, *third = &l.orders[2].entry;
    cr_assert(second->shown == 100 && second->worse == 0 && second->from == 1);
    cr_assert(second->word_ns == SECOND && !second->crosses && third->shown == 0);
    lobster_free(&l);
}

Test(bench_lobster, by_intervals_a_view_is_what_was_true_when_its_interval_began)
{
    struct lobster l = prepared(SECOND);
    const struct lobster_entry *second = &l.orders[1].entry, *late = &l.orders[4].entry;
    cr_assert(second->shown == 0 && second->from == 0 && second->word_ns == SECOND);
    cr_assert(late->word_ns == 2 * SECOND && late->from == 4 && !late->crosses);
    lobster_free(&l);
}

Test(bench_lobster, refuses_what_is_no_such_file)
{
    struct lobster l;
    cr_assert_not_null(read_text(&l, "time,type\n"));
    cr_assert_not_null(read_text(&l, "2.0,1,1,1,1,1\n1.0,1,2,1,1,1\n"));
    cr_assert_not_null(read_text(&l, ""));
    cr_assert_not_null(lobster_read(&l, "/nowhere", 1));
}

/* Order 20 stands behind 100 shares; 7 hidden ones trade at its price, 5 unannounced through it. */
Test(bench_trial, each_model_gives_the_order_its_own_fate)
{
    struct lobster l = prepared(0);
    struct trial *t = trial_new(&l);
    struct trial_outcome queue = trial_run(t, 1, FILL_MODEL_queue);
    cr_assert(queue.class == LOBSTER_FULL && queue.filled == 40 && queue.by_end == 40);
    cr_assert(queue.first_ns == 2 * SECOND + SECOND / 10 * 2 &&
              queue.full_ns == 2 * SECOND + SECOND / 10 * 3);
    struct trial_outcome touch = trial_run(t, 1, FILL_MODEL_touch);
    cr_assert(touch.class == LOBSTER_FULL && touch.full_ns == 2 * SECOND + SECOND / 10);
    struct trial_outcome through = trial_run(t, 1, FILL_MODEL_through);
    cr_assert(through.class == LOBSTER_UNFILLED && through.filled == 5 && through.by_end == 0);
    struct trial_outcome absent = trial_run(t, 1, FILL_MODEL_NONE);
    cr_assert(absent.class == LOBSTER_UNFILLED && absent.filled == 0);
    cr_assert_eq(trial_run(t, 2, FILL_MODEL_queue).class, LOBSTER_PART);
    trial_free(&t);
    lobster_free(&l);
}

Test(bench_trial, hearing_everything_changes_nothing)
{
    for (int64_t interval_ns = 0; interval_ns <= SECOND; interval_ns += SECOND / 4) {
        struct lobster l = prepared(interval_ns);
        struct trial *t = trial_new(&l);
        for (uint32_t order = 0; order < 3; order++)
            for (int model = 0; model < 4; model++) {
                struct trial_outcome a = trial_run(t, order, (enum fill_model)model);
                struct trial_outcome b = trial_run_whole(t, order, (enum fill_model)model, 3);
                cr_assert(a.filled == b.filled && a.by_end == b.by_end &&
                          a.first_ns == b.first_ns && a.full_ns == b.full_ns);
            }
        trial_free(&t);
        lobster_free(&l);
    }
}
