/*
 * md_candles_test.c - candles of recorded markets, judged by what others made of them.
 *
 * Trades against freqtrade's candles and a naive fold, klines of one interval against those the
 * exchange gave of longer ones, its halts, a listing, its own kline streams. What is left out
 * is known: the exchange's 4h of 2023-03-24 holds an hour that no 1h kline has, and the files'
 * last candles were not over when they were asked for.
 *
 * The recordings are not part of the project: SCRIP_DATA names the folder that holds them.
 * Without it every test here is skipped, loudly.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <json-c/json.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "candle_rig.h"
#include "marketdata/core/binance.h"
#include "wire/json.h"

#define TEXT_MAX (32u << 20)
#define HOUR_US  (60 * MINUTE_US)

static const char *
data_folder(void)
{
    return getenv("SCRIP_DATA");
}

static char *
gunzip(const char *name)
{
    char path[512], *text = malloc(TEXT_MAX);
    snprintf(path, sizeof(path), "%s/%s", data_folder(), name);
    gzFile f = gzopen(path, "rb");
    cr_assert(f != NULL, "%s", path);
    int n = gzread(f, text, TEXT_MAX - 1);
    cr_assert(n > 0 && n < (int)TEXT_MAX - 1, "%s", path);
    text[n] = '\0';
    gzclose(f);
    return text;
}

static char *
unxz(const char *name)
{
    char path[512], *text = malloc(TEXT_MAX), *packed = malloc(TEXT_MAX);
    snprintf(path, sizeof(path), "%s/%s", data_folder(), name);
    FILE *f = fopen(path, "rb");
    cr_assert(f != NULL, "%s", path);
    size_t size = fread(packed, 1, TEXT_MAX, f), in = 0, out = 0;
    fclose(f);
    uint64_t memory = UINT64_MAX;
    cr_assert(lzma_stream_buffer_decode(&memory, 0, NULL, (const uint8_t *)packed, &in, size,
                                        (uint8_t *)text, &out, TEXT_MAX - 1) == LZMA_OK,
              "%s", path);
    text[out] = '\0';
    free(packed);
    return text;
}

static int64_t
decimal_of(const char *text)
{
    int64_t v;
    cr_assert(decimal_read(text, strlen(text), &v) == OK, "%s", text);
    return v;
}

/* open_time,open,high,low,close,volume and, where there are twelve columns, quote volume, trades
 * and what takers bought. A file without counts gets one trade for each candle. */
static void
klines_read(const char *name, enum interval i, struct candle_book *out, uint32_t *columns)
{
    char *text = gunzip(name), *rest = text, *line;
    strsep(&rest, "\n");
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        char *field[12];
        uint32_t n = 0;
        while (n < 12 && (field[n] = strsep(&line, ",")) != NULL)
            n++;
        cr_assert(n == 6 || n == 12, "%s: %u columns", name, n);
        *columns = n;
        struct candle c = {.open_time_us = strtoll(field[0], NULL, 10) * 1000,
                           .open = {decimal_of(field[1])},
                           .high = {decimal_of(field[2])},
                           .low = {decimal_of(field[3])},
                           .close = {decimal_of(field[4])},
                           .volume = {decimal_of(field[5])},
                           .trades = 1,
                           .is_closed = true};
        if (n == 12) {
            c.quote_volume.v = decimal_of(field[7]);
            c.trades = strtoull(field[8], NULL, 10);
            c.taker_buy_volume.v = decimal_of(field[9]);
            c.taker_buy_quote_volume.v = decimal_of(field[10]);
        }
        candle_book_put(out, i, &c);
    }
    free(text);
}

/* Whether they agree in what a file of six columns has. */
static bool
six_same(const struct candle *a, const struct candle *b)
{
    return a->open.v == b->open.v && a->high.v == b->high.v && a->low.v == b->low.v &&
           a->close.v == b->close.v && a->volume.v == b->volume.v;
}

/* Every candle that was told or is open now, against a naive fold of the same. */
static uint32_t
all_same(const struct candle_rig *r, const struct candle_book *naive, bool with_seconds)
{
    uint32_t compared = 0;
    for (enum interval i = INTERVAL_1m; (uint32_t)i <= INTERVALS; i++) {
        if (i == INTERVAL_1s && !with_seconds)
            continue;
        struct candle open;
        bool is_open = md_candle_now(r->symbol, i, &open);
        const struct candle_list *list = &naive->of[i], *told = &r->told.of[i];
        for (uint32_t n = 0; n < list->count; n++) {
            const struct candle *c = &list->items[n];
            const struct candle *mine = candle_book_find(&r->told, i, c->open_time_us);
            if (is_open && open.open_time_us == c->open_time_us)
                mine = &open;
            cr_assert(mine != NULL, "%s at %ld was not told", interval_name(i), c->open_time_us);
            cr_assert(candle_same(mine, c), "%s at %ld differs", interval_name(i), c->open_time_us);
            compared++;
        }
        cr_assert_leq(told->count, list->count, "%s: some were invented", interval_name(i));
    }
    return compared;
}

/* ---- Trades ----------------------------------------------------------------------------- */

/* [ms, "id", null, "buy" or "sell", price, amount, cost] */
static void
trade_of_json(struct json_object *row, struct public_trade *t)
{
    *t = (struct public_trade){0};
    t->time_us = json_object_get_int64(json_object_array_get_idx(row, 0)) * 1000;
    t->trade_id = strtoull(json_object_get_string(json_object_array_get_idx(row, 1)), NULL, 10);
    t->buyer_is_maker =
        strcmp(json_object_get_string(json_object_array_get_idx(row, 3)), "sell") == 0;
    cr_assert(json_decimal(json_object_array_get_idx(row, 4), &t->price.v) == OK);
    cr_assert(json_decimal(json_object_array_get_idx(row, 5), &t->quantity.v) == OK);
}

Test(candles, trades_give_freqtrades_minutes_and_the_naive_candles_of_all_intervals)
{
    struct candle_rig *r = candle_rig_new("XRPETH");
    struct candle_book naive = {0}, theirs = {0};
    uint32_t columns, minutes = 0;
    char *json = gunzip("trades/spot_XRPETH_trades_20191011_13_freqtrade.json.gz");
    struct json_object *rows = json_parse(json, strlen(json), 4);
    cr_assert(rows != NULL);
    klines_read("klines/spot_XRPETH_1m_20191011_13_from_freqtrade.csv.gz", INTERVAL_1m, &theirs,
                &columns);
    uint32_t trades = (uint32_t)json_object_array_length(rows);
    for (uint32_t n = 0; n < trades; n++) {
        struct md_event e = {.kind = MD_EVENT_TRADE};
        trade_of_json(json_object_array_get_idx(rows, n), &e.trade);
        e.time_us = e.trade.time_us;
        naive_trade(&naive, &e.trade, 1);
        candle_rig_apply(r, &e, e.time_us);
        if (n % 100 == 0)
            candle_rig_tick(r, e.time_us);
    }
    uint32_t compared = all_same(r, &naive, true);
    for (; minutes < theirs.of[INTERVAL_1m].count; minutes++) {
        const struct candle *c = &theirs.of[INTERVAL_1m].items[minutes];
        const struct candle *mine = candle_book_find(&naive, INTERVAL_1m, c->open_time_us);
        cr_assert(mine != NULL && six_same(mine, c), "minute %ld differs", c->open_time_us);
    }
    cr_assert_eq(minutes, 2469);
    cr_assert_eq(naive.of[INTERVAL_1m].count, 2469);
    printf("XRPETH: %u trades; %u minutes equal freqtrade's; %u candles of all 16 intervals equal "
           "a naive fold\n",
           trades, minutes, compared);
    json_object_put(rows);
    free(json);
    candle_book_free(&naive);
    candle_book_free(&theirs);
    candle_rig_free(r);
}

/* ---- Klines, longer from shorter -------------------------------------------------------- */

/* Plays a file's candles as the exchange's closed minutes, each in the first minute of its
 * interval: longer candles are made of them as of minutes. */
static struct candle_rig *
klines_play(const char *name, enum interval i, struct candle_book *file, struct candle_book *naive)
{
    struct candle_rig *r = candle_rig_new("BTCUSDT");
    uint32_t columns;
    klines_read(name, i, file, &columns);
    const struct candle_list *list = &file->of[i];
    candle_rig_begin(r, list->items[0].open_time_us);
    for (uint32_t n = 0; n < list->count; n++) {
        const struct candle *c = &list->items[n];
        int64_t end_us = c->open_time_us + interval_us(i);
        for (enum interval k = INTERVAL_1m; (uint32_t)k <= INTERVALS; k++) {
            if (k != INTERVAL_1s)
                naive_part(naive, k, c);
        }
        candle_rig_kline(r, INTERVAL_1m, c, 0, end_us);
        candle_rig_tick(r, end_us);
    }
    candle_rig_settle(r);
    return r;
}

/* The candles of a file, but for its last, that ours equal. */
static uint32_t
file_same(const struct candle_rig *r, const char *name, enum interval i, uint32_t *absent,
          uint32_t *differing)
{
    struct candle_book theirs = {0};
    uint32_t columns, same = 0;
    klines_read(name, i, &theirs, &columns);
    *absent = *differing = 0;
    for (uint32_t n = 0; n + 1 < theirs.of[i].count; n++) {
        const struct candle *c = &theirs.of[i].items[n];
        const struct candle *mine = candle_book_find(&r->told, i, c->open_time_us);
        *absent += mine == NULL;
        *differing += mine != NULL && !six_same(mine, c);
        same += mine != NULL && six_same(mine, c);
    }
    candle_book_free(&theirs);
    return same;
}

Test(candles, a_day_of_recorded_minutes_gives_its_longer_candles)
{
    struct candle_book file = {0}, naive = {0};
    struct candle_rig *r =
        klines_play("klines/spot_BTCUSDT_1m_20201201_12col.csv.gz", INTERVAL_1m, &file, &naive);
    uint32_t compared = all_same(r, &naive, false);
    cr_assert_eq(file.of[INTERVAL_1m].count, 1441);
    cr_assert(candle_book_find(&r->told, INTERVAL_1d, 1606780800000000) != NULL);
    printf("BTCUSDT 2020-12-01: %u minutes of 12 columns, %u candles from 1m to 1M equal a naive "
           "fold\n",
           file.of[INTERVAL_1m].count, compared);
    candle_book_free(&file);
    candle_book_free(&naive);
    candle_rig_free(r);
}

Test(candles, recorded_minutes_give_the_hours_and_days_of_other_files)
{
    struct candle_book file = {0}, naive = {0};
    uint32_t absent, differing;
    struct candle_rig *r =
        klines_play("klines/spot_BTCUSDT_1m_to_20240322.csv.gz", INTERVAL_1m, &file, &naive);
    uint32_t compared = all_same(r, &naive, false);
    uint32_t hours = file_same(r, "klines/spot_BTCUSDT_1h_202202_202602.csv.gz", INTERVAL_1h,
                               &absent, &differing);
    cr_assert_eq(hours, 514);
    cr_assert_eq(differing, 0);
    uint32_t days =
        file_same(r, "klines/spot_BTCUSDT_1d_to_20240322.csv.gz", INTERVAL_1d, &absent, &differing);
    cr_assert_eq(days, 21);
    cr_assert_eq(differing, 0);
    printf("BTCUSDT 2024-03: %u minutes; %u candles equal a naive fold, %u hours and %u days equal "
           "the exchange's\n",
           file.of[INTERVAL_1m].count, compared, hours, days);
    candle_book_free(&file);
    candle_book_free(&naive);
    candle_rig_free(r);
}

Test(candles, four_years_of_recorded_hours_give_the_4h_and_1d_of_other_files)
{
    struct candle_book file = {0}, naive = {0};
    uint32_t absent, differing;
    struct candle_rig *r =
        klines_play("klines/spot_BTCUSDT_1h_202202_202602.csv.gz", INTERVAL_1h, &file, &naive);
    uint32_t compared = all_same(r, &naive, false);
    uint32_t fours = file_same(r, "klines/spot_BTCUSDT_4h_202202_202602.csv.gz", INTERVAL_4h,
                               &absent, &differing);
    cr_assert_eq(fours, 8758);
    cr_assert_eq(absent, 0);
    cr_assert_eq(differing, 1); /* 2023-03-24 12:00 */
    uint32_t days =
        file_same(r, "klines/spot_BTCUSDT_1d_to_20240322.csv.gz", INTERVAL_1d, &absent, &differing);
    cr_assert_eq(days, 295);
    cr_assert_eq(absent + differing, 0);
    printf("BTCUSDT 2022-2026: %u hours; %u candles from 1h to 1M equal a naive fold, %u of 4h and "
           "%u days equal the exchange's, 1 of 4h is the halt's\n",
           file.of[INTERVAL_1h].count, compared, fours, days);
    candle_book_free(&file);
    candle_book_free(&naive);
    candle_rig_free(r);
}

/* ---- Halts and a listing ---------------------------------------------------------------- */

Test(candles, halts_stay_gaps)
{
    static const struct {
        int64_t from_s;
        uint32_t hours;
    } HALTS[] = {
        {1618884000, 2}, {1619326800, 3}, {1628820000, 4}, {1632898800, 2}, {1679662800, 1}};
    static const char *const FILES[] = {"klines/spot_BTCUSDT_1h_202104_202312.csv.gz",
                                        "klines/spot_BNBUSDT_1h_202104_202312.csv.gz",
                                        "klines/spot_XRPUSDT_1h_202104_202312.csv.gz"};
    for (size_t f = 0; f < 3; f++) {
        struct candle_book file = {0}, naive = {0};
        struct candle_rig *r = klines_play(FILES[f], INTERVAL_1h, &file, &naive);
        uint32_t compared = all_same(r, &naive, false), gaps = 0, missing = 0;
        const struct candle_list *hours = &r->told.of[INTERVAL_1h];
        for (uint32_t n = 1; n < hours->count; n++) {
            int64_t step_us = hours->items[n].open_time_us - hours->items[n - 1].open_time_us;
            if (step_us == HOUR_US)
                continue;
            cr_assert_lt(gaps, 5);
            cr_assert_eq(hours->items[n - 1].open_time_us + HOUR_US, HALTS[gaps].from_s * 1000000);
            missing += HALTS[gaps].hours;
            cr_assert_eq(step_us, (HALTS[gaps++].hours + 1) * HOUR_US);
        }
        cr_assert_eq(gaps, 5);
        printf("%s: %u hours, %u halts of %u hours stay gaps, %u candles equal a naive fold\n",
               FILES[f], file.of[INTERVAL_1h].count, gaps, missing, compared);
        candle_book_free(&file);
        candle_book_free(&naive);
        candle_rig_free(r);
    }
}

Test(candles, a_listing_begins_with_its_first_minute)
{
    struct candle_book file = {0}, naive = {0};
    struct candle_rig *r =
        klines_play("klines/spot_ACEUSDT_15m_listing_202312.csv.gz", INTERVAL_15m, &file, &naive);
    uint32_t compared = all_same(r, &naive, false);
    cr_assert_eq(file.of[INTERVAL_15m].count, 1231);
    cr_assert_eq(r->told.of[INTERVAL_15m].items[0].open_time_us, 1702879200000000);
    const struct candle *day = &r->told.of[INTERVAL_1d].items[0];
    cr_assert_eq(day->open_time_us, 1702857600000000);
    cr_assert_eq(day->open.v, 35710000);
    printf("ACEUSDT: %u quarters from its listing on, %u candles equal a naive fold\n",
           file.of[INTERVAL_15m].count, compared);
    candle_book_free(&file);
    candle_book_free(&naive);
    candle_rig_free(r);
}

/* ---- The exchange's own streams --------------------------------------------------------- */

struct told_by_exchange {
    uint32_t open, closed, beyond;
};

/* What we know of a minute once the exchange told it: that, and the trades we saw after it. */
static void
kline_judge(struct candle_rig *r, const struct md_event *e, struct told_by_exchange *counts)
{
    struct candle c;
    if (e->kline.is_closed) {
        const struct candle *mine = candle_book_find(&r->told, INTERVAL_1m, e->kline.open_time_us);
        cr_assert(mine != NULL && candle_same(mine, &e->kline));
        counts->closed++;
        return;
    }
    cr_assert(md_candle_now(r->symbol, INTERVAL_1m, &c));
    uint64_t last = 0;
    for (uint64_t n = 0; n < r->symbol->trades_count && n < MD_TRADES_MAX; n++) {
        if (r->symbol->trade_ids[n].last > last)
            last = r->symbol->trade_ids[n].last;
    }
    if (last > e->kline_last_trade) {
        cr_assert_geq(c.trades, e->kline.trades);
        cr_assert_eq(c.open.v, e->kline.open.v);
        counts->beyond++;
    } else {
        cr_assert(candle_same(&c, &e->kline), "open minute %ld differs", c.open_time_us);
        counts->open++;
    }
}

/* All lines of one symbol. */
static void
stream_play(char *text, const char *symbol, struct told_by_exchange *counts)
{
    static struct level levels[2 * 5000];
    struct binance_room room = {levels, 5000};
    struct candle_rig *r = candle_rig_new(symbol);
    code_t wanted = code_of(symbol);
    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n'), *json = strstr(line, ": ");
        struct md_event e;
        int64_t at_us = (int64_t)(strtod(line, NULL) * 1e6);
        if (json != NULL && end != NULL && json < end &&
            binance_json(json + 2, (size_t)(end - json - 2), &room, &e) == OK &&
            code_same(e.symbol, wanted) && (e.kind == MD_EVENT_TRADE || e.kind == MD_EVENT_KLINE)) {
            candle_rig_apply(r, &e, at_us);
            candle_rig_tick(r, at_us);
            if (e.kind == MD_EVENT_KLINE)
                kline_judge(r, &e, counts);
        }
        line = end == NULL ? NULL : end + 1;
    }
    candle_rig_settle(r);
    candle_rig_free(r);
}

static struct told_by_exchange
streams_play(const char *name, const char *const *symbols)
{
    struct told_by_exchange counts = {0};
    char *text = unxz(name);
    for (size_t n = 0; symbols[n] != NULL; n++)
        stream_play(text, symbols[n], &counts);
    free(text);
    printf("%s: %u open klines and %u closed ones equal the exchange's, %u with our trades beyond "
           "them\n",
           name, counts.open, counts.closed, counts.beyond);
    return counts;
}

Test(candles, the_exchanges_kline_streams_are_what_we_know)
{
    static const char *const SPOT[] = {"NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR", NULL};
    static const char *const USDM[] = {"SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT", NULL};
    struct told_by_exchange spot = streams_play("l2_raw/cryptofeed_BINANCE.ws.txt.xz", SPOT);
    struct told_by_exchange usdm =
        streams_play("l2_raw/cryptofeed_BINANCE_FUTURES.ws.txt.xz", USDM);
    cr_assert_eq(spot.open + spot.closed + spot.beyond, 2);
    cr_assert_eq(usdm.open + usdm.closed + usdm.beyond, 67);
    cr_assert_geq(usdm.closed, 4);
}

int
main(int argc, char **argv)
{
    if (data_folder() == NULL) {
        fprintf(stderr, "SKIPPED: md_candles_test needs SCRIP_DATA, the folder of recordings\n");
        return 77;
    }
    struct criterion_test_set *tests = criterion_initialize();
    int result = 1;
    if (criterion_handle_args(argc, argv, true))
        result = !criterion_run_all_tests(tests);
    criterion_finalize(tests);
    return result;
}
