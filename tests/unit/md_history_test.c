/*
 * md_history_test.c - candles to a real PostgreSQL and back: which of two stays, what is folded
 * where an interval was not stored, partitions made for any time, and 1s candles that go again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/loop.h"
#include "marketdata/shell/history.h"
#include "store_database.h"

#define HOUR     INT64_C(3600000000)
#define MINUTE   (HOUR / 60)
#define SECOND   (MINUTE / 60)
#define DAY      (24 * HOUR)
#define MARCH_1  INT64_C(1709251200000000) /* 2024-03-01T00:00:00Z, a Friday */
#define ROWS_MAX 1500u

static struct loop *loop;
static struct history *history;

static struct history_row got[ROWS_MAX];
static uint32_t got_count;
static bool is_answered, is_refused;

static void
on_late(void *arg)
{
    cr_assert_fail("waited too long for %s", (const char *)arg);
}

/* Turns until the condition stops the loop. */
static void
run(const char *what)
{
    struct loop_timer *t = loop_timer_new(loop, 30000, 0, on_late, (void *)(uintptr_t)what);
    loop_run(loop);
    loop_timer_end(&t);
}

static void
on_poll(void *arg)
{
    (void)arg;
    if (history_is_up(history))
        loop_stop(loop);
}

static void
no_open(void *arg)
{
    (void)arg;
}

static void
open_with(int64_t keep_1s_us)
{
    history = history_open(&(struct history_options){.loop = loop,
                                                     .conninfo = database_make(),
                                                     .queue_max = 1024,
                                                     .keep_1s_us = keep_1s_us,
                                                     .on_open_wanted = no_open});
    struct loop_timer *t = loop_timer_new(loop, 5, 5, on_poll, NULL);
    run("the database");
    loop_timer_end(&t);
}

static void
begin(void)
{
    loop = loop_new();
    open_with(6 * HOUR);
}

static void
end(void)
{
    history_close(&history);
    loop_destroy(&loop);
    database_drop();
}

TestSuite(history, .init = begin, .fini = end, .timeout = 120);

/* ---- Writing and reading ---------------------------------------------------------------- */

static void
on_written(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void
flush(void)
{
    history_flush(history, on_written);
    run("the writing");
}

/* Prices around `price`; each trade has a quantity of 1. */
static struct history_row
row(enum interval i, int64_t open_us, int64_t price, uint64_t trades)
{
    return (struct history_row){.symbol = code_of("BTCUSDT"),
                                .interval = i,
                                .candle = {.open_time_us = open_us,
                                           .open = {price},
                                           .high = {trades == 0 ? price : price + 3},
                                           .low = {trades == 0 ? price : price - 3},
                                           .close = {trades == 0 ? price : price + 1},
                                           .volume = {(int64_t)trades},
                                           .quote_volume = {(int64_t)trades * 10},
                                           .trades = trades,
                                           .is_closed = true},
                                .as_of_us = open_us};
}

static void
put(enum interval i, int64_t open_us, int64_t price, uint64_t trades)
{
    struct history_row r = row(i, open_us, price, trades);
    history_put(history, &r);
}

static void
on_answer(void *arg, const struct history_row *rows, uint32_t count)
{
    (void)arg;
    is_answered = true;
    is_refused = rows == NULL;
    cr_assert_leq(count, ROWS_MAX);
    got_count = rows == NULL ? 0 : count;
    if (rows != NULL)
        memcpy(got, rows, count * sizeof(*rows));
    loop_stop(loop);
}

static uint32_t
read_back(enum interval i, int64_t from_us, int64_t to_us, uint32_t limit, bool from_start)
{
    is_answered = false;
    cr_assert(history_read(history, code_of("BTCUSDT"), i, from_us, to_us, limit, from_start,
                           on_answer, NULL));
    run("candles");
    cr_assert(is_answered && !is_refused);
    return got_count;
}

Test(history, candles_of_any_time_and_interval_find_their_partition)
{
    for (uint32_t i = 1; i <= 16; i++)
        put((enum interval)i, i == 13 ? MARCH_1 : MARCH_1 - 2000 * DAY, 100 + (int64_t)i, i);
    flush();
    for (uint32_t i = 1; i <= 12; i++) {
        cr_assert_eq(read_back((enum interval)i, 0, INT64_MAX, 10, false), 1, "interval %u", i);
        cr_assert_eq(got[0].candle.open.v, 100 + i);
        cr_assert_eq(got[0].candle.trades, i);
    }
    cr_assert_str_eq(database_ask("SELECT count(*) FROM marketdata.candle"), "16");
}

Test(history, the_first_or_the_last_of_a_range_are_read)
{
    for (int64_t n = 0; n < 100; n++)
        put(INTERVAL_1m, MARCH_1 + n * MINUTE, 100 + n, 1);
    flush();
    cr_assert_eq(read_back(INTERVAL_1m, MARCH_1 + 10 * MINUTE, MARCH_1 + 50 * MINUTE, 5, true), 5);
    cr_assert_eq(got[0].candle.open.v, 110);
    cr_assert_eq(read_back(INTERVAL_1m, MARCH_1 + 10 * MINUTE, MARCH_1 + 50 * MINUTE, 5, false), 5);
    cr_assert_eq(got[0].candle.open.v, 146);
    cr_assert_eq(got[4].candle.open.v, 150);
}

Test(history, what_the_exchange_gave_and_what_is_more_whole_stays)
{
    put(INTERVAL_1h, MARCH_1, 100, 50);
    flush();
    put(INTERVAL_1h, MARCH_1, 200, 20); /* a process that saw only the end of it */
    flush();
    read_back(INTERVAL_1h, MARCH_1, MARCH_1, 1, true);
    cr_assert_eq(got[0].candle.open.v, 100);
    put(INTERVAL_1h, MARCH_1, 300, 50); /* corrected */
    flush();
    read_back(INTERVAL_1h, MARCH_1, MARCH_1, 1, true);
    cr_assert_eq(got[0].candle.open.v, 300);
    database_ask("UPDATE marketdata.candle SET is_final = true");
    put(INTERVAL_1h, MARCH_1, 400, 90);
    flush();
    read_back(INTERVAL_1h, MARCH_1, MARCH_1, 1, true);
    cr_assert_eq(got[0].candle.open.v, 300);
}

static void
put_final(enum interval i, int64_t open_us, int64_t price, uint64_t trades)
{
    struct history_row r = row(i, open_us, price, trades);
    r.candle.is_final = true;
    history_put(history, &r);
}

Test(history, the_exchanges_own_counts_though_it_has_fewer_trades)
{
    put(INTERVAL_1m, MARCH_1, 100, 50);
    put_final(INTERVAL_1m, MARCH_1 + MINUTE, 150, 9); /* in one batch, in any order */
    put(INTERVAL_1m, MARCH_1 + MINUTE, 160, 50);
    flush();
    put_final(INTERVAL_1m, MARCH_1, 200, 49);
    flush();
    put(INTERVAL_1m, MARCH_1, 300, 51);
    flush();
    cr_assert_eq(read_back(INTERVAL_1m, 0, INT64_MAX, 10, false), 2);
    cr_assert(got[0].candle.open.v == 200 && got[0].candle.trades == 49);
    cr_assert(got[0].candle.is_final && got[1].candle.is_final);
    cr_assert_eq(got[1].candle.open.v, 150);
    put_final(INTERVAL_1m, MARCH_1, 400, 48); /* what it says later */
    put_final(INTERVAL_1m, MARCH_1, 500, 47);
    put_final(INTERVAL_1m, MARCH_1 + 2 * MINUTE, 600, 1);
    put(INTERVAL_1m, MARCH_1 + 3 * MINUTE, 700, 1);
    flush();
    cr_assert_eq(read_back(INTERVAL_1m, 0, INT64_MAX, 10, false), 4);
    cr_assert_eq(got[0].candle.open.v, 500);
    cr_assert(got[2].candle.is_final && !got[3].candle.is_final);
    /* A fold is final when all of it is. */
    cr_assert_eq(read_back(INTERVAL_3m, 0, INT64_MAX, 10, false), 2);
    cr_assert(got[0].candle.is_final && !got[1].candle.is_final);
}

Test(history, closed_candles_of_longer_intervals_are_read_in_one_question)
{
    for (uint32_t i = 1; i <= 16; i++)
        put((enum interval)i, i == INTERVAL_1s ? MARCH_1 : MARCH_1 - DAY, 100, 1);
    put(INTERVAL_3m, MARCH_1 + HOUR, 200, 1);
    put_final(INTERVAL_12h, MARCH_1 + HOUR, 200, 1);
    flush();
    database_ask("UPDATE marketdata.candle SET is_closed = false WHERE width = 14");
    cr_assert(history_read_longer(history, code_of("BTCUSDT"), MARCH_1, MARCH_1 - 2 * DAY,
                                  on_answer, NULL));
    run("candles");
    cr_assert(is_answered && !is_refused);
    cr_assert_eq(got_count, 4, "3m and 12h from the one time on, 1w and 1M from the other");
    bool has_final = false;
    for (uint32_t n = 0; n < got_count; n++) {
        cr_assert(got[n].interval == INTERVAL_3m || got[n].interval == INTERVAL_12h ||
                  got[n].interval == INTERVAL_1w || got[n].interval == INTERVAL_1M);
        has_final |= got[n].candle.is_final;
    }
    cr_assert(has_final);
}

Test(history, a_question_that_cannot_be_sent_leaves_nothing_behind)
{
    history_close(&history);
    history = history_open(&(struct history_options){
        .loop = loop, .conninfo = "host=/nowhere", .queue_max = 1, .on_open_wanted = no_open});
    cr_assert_not(history_read_open(history, code_of("BTCUSDT"), 0, on_answer, NULL));
    cr_assert_not(history_read_longer(history, code_of("BTCUSDT"), 0, 0, on_answer, NULL));
    cr_assert_not(
        history_read(history, code_of("BTCUSDT"), INTERVAL_1m, 0, 1, 1, true, on_answer, NULL));
}

Test(history, one_candle_twice_in_a_batch_is_the_later)
{
    put(INTERVAL_1m, MARCH_1, 100, 5);
    put(INTERVAL_1m, MARCH_1, 200, 5);
    put(INTERVAL_1m, MARCH_1, 300, 4);
    flush();
    read_back(INTERVAL_1m, MARCH_1, MARCH_1, 1, true);
    cr_assert_eq(got[0].candle.open.v, 200);
}

/* ---- Folding ---------------------------------------------------------------------------- */

Test(history, an_interval_that_is_not_stored_is_folded_from_minutes)
{
    for (int64_t n = 0; n < 600; n++)
        put(INTERVAL_1m, MARCH_1 + n * MINUTE, 1000 + n, n % 60 == 0 ? 0 : 2);
    flush();
    cr_assert_eq(read_back(INTERVAL_4h, 0, INT64_MAX, 500, false), 3);
    cr_assert_eq(got[0].candle.open_time_us, MARCH_1);
    cr_assert_eq(got[0].candle.open.v, 1001, "a flat minute is no opening price");
    cr_assert_eq(got[0].candle.close.v, 1000 + 239 + 1);
    cr_assert_eq(got[0].candle.high.v, 1000 + 239 + 3);
    cr_assert_eq(got[0].candle.low.v, 1001 - 3);
    cr_assert_eq(got[0].candle.trades, 236 * 2);
    cr_assert_eq(got[0].candle.quote_volume.v, 236 * 20);
    cr_assert(got[0].candle.is_closed && got[1].candle.is_closed);
    cr_assert(!got[2].candle.is_closed, "two hours of it are there");
}

Test(history, holes_of_a_stored_interval_are_filled_and_nothing_else)
{
    for (int64_t n = 0; n < 300; n++)
        put(INTERVAL_1m, MARCH_1 + n * MINUTE, 1000 + n, 2);
    put(INTERVAL_1h, MARCH_1 + HOUR, 7, 999);
    put(INTERVAL_1h, MARCH_1 + 3 * HOUR, 8, 999);
    put(INTERVAL_1h, MARCH_1 + 9 * HOUR, 9, 999);
    flush();
    cr_assert_eq(read_back(INTERVAL_1h, 0, INT64_MAX, 500, false), 6);
    static const int64_t OPENS[] = {1000, 7, 1120, 8, 1240, 9};
    for (uint32_t n = 0; n < 6; n++)
        cr_assert_eq(got[n].candle.open.v, OPENS[n], "hour %u", n);
    /* The last two, the first two, and those of a range that begins in the middle of one. */
    cr_assert_eq(read_back(INTERVAL_1h, 0, INT64_MAX, 2, false), 2);
    cr_assert(got[0].candle.open.v == 1240 && got[1].candle.open.v == 9);
    cr_assert_eq(read_back(INTERVAL_1h, MARCH_1, INT64_MAX, 2, true), 2);
    cr_assert(got[0].candle.open.v == 1000 && got[1].candle.open.v == 7);
    cr_assert_eq(read_back(INTERVAL_1h, MARCH_1 + MINUTE, MARCH_1 + 2 * HOUR, 9, true), 2);
    cr_assert(got[0].candle.open.v == 7 && got[1].candle.open.v == 1120);
}

Test(history, weeks_and_months_are_folded_from_days)
{
    for (int64_t n = 0; n < 40; n++)
        put(INTERVAL_1d, MARCH_1 + n * DAY, 1000 + n, 2);
    flush();
    cr_assert_eq(read_back(INTERVAL_1M, 0, INT64_MAX, 10, false), 2);
    cr_assert_eq(got[0].candle.open_time_us, MARCH_1);
    cr_assert_eq(got[0].candle.trades, 62);
    cr_assert_eq(got[1].candle.open_time_us, MARCH_1 + 31 * DAY);
    cr_assert_eq(read_back(INTERVAL_1w, 0, INT64_MAX, 10, false), 7);
    cr_assert_eq(got[0].candle.open_time_us, MARCH_1 - 4 * DAY, "a Monday");
    cr_assert_eq(got[0].candle.trades, 6);
}

static void
on_no_answer(void *arg, const struct history_row *rows, uint32_t count)
{
    cr_assert(rows == NULL && count == 0);
    (*(uint32_t *)arg)++;
}

Test(history, a_question_at_the_end_is_answered_with_nothing)
{
    uint32_t answers = 0;
    cr_assert(history_read(history, code_of("BTCUSDT"), INTERVAL_4h, 0, INT64_MAX, 500, false,
                           on_no_answer, &answers));
    cr_assert(history_read_open(history, code_of("BTCUSDT"), 0, on_no_answer, &answers));
    history_close(&history);
    cr_assert_eq(answers, 2);
}

/* ---- Seconds ---------------------------------------------------------------------------- */

static bool
has_seconds_before(int64_t time_us)
{
    char sql[128];
    snprintf(
        sql, sizeof(sql),
        "SELECT count(*) > 0 FROM marketdata.candle WHERE width = 13 AND open_time_us < %" PRId64,
        time_us);
    return *database_ask(sql) == 't';
}

Test(history, seconds_are_kept_for_their_hours_and_go_with_their_partition)
{
    put(INTERVAL_1s, MARCH_1, 100, 1);
    flush();
    put(INTERVAL_1s, MARCH_1 + 8 * HOUR, 100, 1);
    put(INTERVAL_1s, MARCH_1 + HOUR, 100, 1); /* older than what is kept: not written at all */
    flush();
    cr_assert_eq(read_back(INTERVAL_1s, 0, INT64_MAX, 10, false), 2);
    history_keep(history);
    flush();
    put(INTERVAL_1m, MARCH_1, 100, 1);
    flush();
    cr_assert(!has_seconds_before(MARCH_1 + HOUR));
    cr_assert_eq(read_back(INTERVAL_1s, 0, INT64_MAX, 10, false), 1);
    cr_assert_eq(got[0].candle.open_time_us, MARCH_1 + 8 * HOUR);
}
