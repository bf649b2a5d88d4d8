/*
 * md_recording_test.c - the core against what Binance really sent, judged by files that others
 * made.
 *
 * The recordings are not part of the project: SCRIP_DATA names the folder that holds them.
 * Without it every test here is skipped, loudly.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "base/map.h"
#include "market/rules.h"
#include "marketdata/core/md.h"
#include "marketdata/shell/source.h"
#include "wire/json.h"

#define QUOTES_MAX 200000u

static const struct md_limits LIMITS = {.symbols_max = 4,
                                        .levels_max = MD_LEVELS_MAX,
                                        .kept_levels_max = 16384,
                                        .ring_messages = 1024,
                                        .ring_bytes = 1u << 16,
                                        .stale_after_us = 10000000,
                                        .heal_after_us = 5000000,
                                        .price_every_us = 100000,
                                        .candle_every_us = 250000,
                                        .beat_every_us = 1000000,
                                        .candle_grace_us = 2000000};

/* A core with one symbol, fed from files. */
struct rig {
    struct symbol_rules rules[64];
    uint32_t rules_count;
    struct md md;
    void *md_memory, *symbol_memory;
    struct md_symbol *symbol;
    struct spec spec;
    struct source_counts counts;
    void *source;
    struct out slots[MD_OUT_MAX];
    struct outbox out;
    void *lists;
};

static const char *
data_folder(void)
{
    return getenv("SCRIP_DATA");
}

static struct rig *
rig_new(const char *symbol, const char *files)
{
    struct rig *r = calloc(1, sizeof(*r));
    char why[256], line[SPEC_FILES_BYTES];
    cr_assert(rules_load(SCRIP_RULES_FILE, r->rules, 64, &r->rules_count, why) == OK, "%s", why);
    r->md_memory = malloc(md_bytes(&LIMITS));
    r->symbol_memory = malloc(md_symbol_bytes(&LIMITS));
    md_init(&r->md, &LIMITS, r->rules, r->rules_count, r->md_memory);
    cr_assert(md_symbol_add(&r->md, code_of(symbol), 1, r->symbol_memory) == OK);
    r->symbol = md_symbol_find(&r->md, code_of(symbol));
    r->lists = malloc(MD_LISTS_BYTES);
    outbox_init(&r->out, r->slots, MD_OUT_MAX, r->lists, MD_LISTS_BYTES);
    if (files == NULL)
        return r;

    /* "folder/a,folder/b" from "a,b". */
    char paths[SPEC_FILES_BYTES] = "", list[SPEC_FILES_BYTES], *rest = list;
    snprintf(list, sizeof(list), "%s", files);
    for (char *part; (part = strsep(&rest, ",")) != NULL;)
        snprintf(paths + strlen(paths), sizeof(paths) - strlen(paths), "%s%s/%s",
                 *paths != '\0' ? "," : "", data_folder(), part);
    snprintf(line, sizeof(line), "playback:%.1900s:symbols=%s:speed=max", paths, symbol);
    struct spec specs[SPEC_SOURCES_MAX];
    uint32_t count;
    cr_assert(spec_read(line, specs, &count, why) == OK, "%s", why);
    r->spec = specs[0];
    struct source_env env = {
        .rules = r->rules, .rules_count = r->rules_count, .counts = &r->counts};
    cr_assert(source_playback.open(&r->spec, &env, &r->source, why) == OK, "%s", why);
    return r;
}

static void
rig_free(struct rig *r)
{
    if (r->source != NULL)
        source_playback.close(&r->source);
    free(r->md_memory);
    free(r->symbol_memory);
    free(r->lists);
    free(r);
}

/* The next event, applied; false at the end. The messages it gave stand in r->out. */
static bool
rig_step(struct rig *r, struct md_event *e)
{
    enum source_step step;
    do {
        step = source_playback.next(r->source, e);
    } while (step == SOURCE_MORE);
    if (step == SOURCE_END)
        return false;
    cr_assert(step == SOURCE_EVENT);
    outbox_clear(&r->out);
    cr_assert(md_apply(&r->md, e, e->at_us, &r->out) == OK);
    return true;
}

/* ---- The book against the recorded bookTicker ------------------------------------------- */

/* What one side of the comparison said of an update id. */
struct sayings {
    struct map by_id;
    struct md_touch *touches;
    void *map_memory;
};

static void
sayings_init(struct sayings *s)
{
    s->map_memory = malloc(map_bytes(QUOTES_MAX));
    s->touches = calloc(QUOTES_MAX, sizeof(*s->touches));
    map_init(&s->by_id, QUOTES_MAX, s->map_memory);
}

static void
sayings_fini(struct sayings *s)
{
    free(s->map_memory);
    free(s->touches);
}

static void
sayings_add(struct sayings *s, const struct md_touch *t)
{
    uint32_t n = s->by_id.count;
    cr_assert(n < QUOTES_MAX);
    s->touches[n] = *t;
    map_set(&s->by_id, t->update_id, n);
}

static const struct md_touch *
sayings_find(const struct sayings *s, uint64_t update_id)
{
    uint32_t n = map_get(&s->by_id, update_id);
    return n == MAP_NONE ? NULL : &s->touches[n];
}

static bool
touch_same(const struct md_touch *a, const struct md_touch *b)
{
    return a->bid.v == b->bid.v && a->ask.v == b->ask.v && a->bid_quantity.v == b->bid_quantity.v &&
           a->ask_quantity.v == b->ask_quantity.v;
}

static struct md_touch
book_touch(const struct sync *s)
{
    const struct level *bid = book_side_best(&s->book.bids);
    const struct level *ask = book_side_best(&s->book.asks);
    cr_assert(bid != NULL && ask != NULL);
    return (struct md_touch){.update_id = s->last_id,
                             .bid = bid->price,
                             .bid_quantity = bid->quantity,
                             .ask = ask->price,
                             .ask_quantity = ask->quantity};
}

struct judged {
    uint32_t events, diffs, quotes, trades, compared, differing;
};

/* Every id that both the book and a bookTicker speak of is compared, whichever came first. */
static struct judged
judge(struct rig *r)
{
    struct judged j = {0};
    struct sayings books, quotes;
    sayings_init(&books);
    sayings_init(&quotes);
    struct md_event e;
    while (rig_step(r, &e)) {
        j.events++;
        j.trades += e.kind == MD_EVENT_TRADE;
        const struct md_touch *other = NULL;
        struct md_touch mine;
        if (e.kind == MD_EVENT_QUOTE) {
            j.quotes++;
            mine = e.quote;
            sayings_add(&quotes, &mine);
            other = sayings_find(&books, mine.update_id);
        } else if (e.kind == MD_EVENT_DIFF || e.kind == MD_EVENT_BOOK) {
            j.diffs += e.kind == MD_EVENT_DIFF;
            if (r->symbol->sync.state != SYNC_TRUE)
                continue;
            mine = book_touch(&r->symbol->sync);
            sayings_add(&books, &mine);
            other = sayings_find(&quotes, mine.update_id);
        }
        if (other == NULL)
            continue;
        j.compared++;
        j.differing += !touch_same(&mine, other);
    }
    md_check(&r->md);
    sayings_fini(&books);
    sayings_fini(&quotes);
    return j;
}

static void
print_judged(const char *what, const struct judged *j, const struct rig *r, double seconds)
{
    printf("%s: %u events (%u diffs, %u quotes, %u trades), %u update ids compared, %u differ, "
           "%llu gaps; %.0f events/s\n",
           what, j->events, j->diffs, j->quotes, j->trades, j->compared, j->differing,
           (unsigned long long)r->symbol->gaps, j->events / seconds);
}

static double
seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

Test(recording, the_book_of_spot_equals_the_recorded_book_ticker)
{
    struct rig *r = rig_new("BTCUSDT", "l2_raw/spot_btcusdt_20240808.txt.xz,"
                                       "l2_raw/spot_btcusdt_20240809.txt.xz");
    double start = seconds_now();
    struct judged j = judge(r);
    print_judged("spot, both files joined", &j, r, seconds_now() - start);
    cr_assert_eq(j.differing, 0);
    cr_assert_geq(j.compared, 1000);
    cr_assert_eq(r->symbol->gaps, 0);
    cr_assert_eq(r->counts.skipped, 0);
    cr_assert_eq(j.trades, 19904);
    cr_assert_eq(j.diffs, 6495);
    cr_assert_eq(j.quotes, 73174);
    rig_free(r);
}

Test(recording, the_book_of_futures_equals_the_recorded_book_ticker)
{
    struct rig *r = rig_new("BTCUSDT", "l2_raw/usdm_btcusdt_20240808.txt.xz");
    double start = seconds_now();
    struct judged j = judge(r);
    print_judged("futures", &j, r, seconds_now() - start);
    cr_assert_eq(j.differing, 0);
    cr_assert_geq(j.compared, 600);
    cr_assert_eq(r->symbol->gaps, 0);
    cr_assert_eq(r->counts.skipped, 0);
    rig_free(r);
}

/* ---- Trades against the extracted CSVs -------------------------------------------------- */

static bool
next_trade(struct rig *r, struct public_trade *out)
{
    struct md_event e;
    while (rig_step(r, &e)) {
        if (e.kind == MD_EVENT_TRADE) {
            *out = e.trade;
            return true;
        }
    }
    return false;
}

static uint32_t
trades_equal(const char *recording, const char *csv)
{
    struct rig *a = rig_new("BTCUSDT", recording), *b = rig_new("BTCUSDT", csv);
    struct public_trade x, y;
    uint32_t count = 0;
    while (next_trade(a, &x)) {
        cr_assert(next_trade(b, &y), "the CSV ends after %u trades", count);
        cr_assert_eq(x.trade_id, y.trade_id);
        cr_assert_eq(x.price.v, y.price.v);
        cr_assert_eq(x.quantity.v, y.quantity.v);
        cr_assert_eq(x.time_us, y.time_us);
        cr_assert_eq(x.buyer_is_maker, y.buyer_is_maker);
        count++;
    }
    cr_assert(!next_trade(b, &y), "the CSV has more than %u trades", count);
    cr_assert_eq(a->counts.skipped + b->counts.skipped, 0);
    /* The same trades leave the same candles and statistics. */
    cr_assert_eq(memcmp(a->symbol->candles, b->symbol->candles, sizeof(a->symbol->candles)), 0);
    cr_assert_eq(a->symbol->stats.volume, b->symbol->stats.volume);
    rig_free(a);
    rig_free(b);
    return count;
}

Test(recording, the_trades_of_spot_equal_the_csv)
{
    cr_assert_eq(trades_equal("l2_raw/spot_btcusdt_20240808.txt.xz,"
                              "l2_raw/spot_btcusdt_20240809.txt.xz",
                              "trades/spot_BTCUSDT_trades_20240808.csv.gz"),
                 19904);
}

Test(recording, the_trades_of_futures_equal_the_csv)
{
    cr_assert_eq(trades_equal("l2_raw/usdm_btcusdt_20240808.txt.xz",
                              "trades/usdm_BTCUSDT_trades_20240808.csv.gz"),
                 21313);
}

/* ---- Candles against freqtrade's -------------------------------------------------------- */

static char *
gunzip(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", data_folder(), name);
    gzFile f = gzopen(path, "rb");
    cr_assert(f != NULL, "%s", path);
    size_t room = 16u << 20;
    char *text = malloc(room);
    int n = gzread(f, text, (unsigned)room - 1);
    cr_assert(n > 0 && n < (int)room - 1);
    text[n] = '\0';
    gzclose(f);
    return text;
}

/* [ms, "id", null, "buy" or "sell", price, amount, cost] */
static void
trade_of_json(struct json_object *row, struct md_event *e)
{
    *e = (struct md_event){.kind = MD_EVENT_TRADE, .symbol = code_of("XRPETH")};
    struct public_trade *t = &e->trade;
    e->time_us = t->time_us = json_object_get_int64(json_object_array_get_idx(row, 0)) * 1000;
    t->trade_id = strtoull(json_object_get_string(json_object_array_get_idx(row, 1)), NULL, 10);
    t->buyer_is_maker =
        strcmp(json_object_get_string(json_object_array_get_idx(row, 3)), "sell") == 0;
    cr_assert(json_decimal(json_object_array_get_idx(row, 4), &t->price.v) == OK);
    cr_assert(json_decimal(json_object_array_get_idx(row, 5), &t->quantity.v) == OK);
}

static int64_t
decimal_of(const char *text)
{
    int64_t v;
    cr_assert(decimal_read(text, strlen(text), &v) == OK, "%s", text);
    return v;
}

/* One line of freqtrade's file against one candle of ours. */
static void
line_same(char *line, const struct candle *c)
{
    char *field[6], *rest = line;
    for (int i = 0; i < 6; i++)
        cr_assert((field[i] = strsep(&rest, ",")) != NULL);
    cr_assert_eq(strtoll(field[0], NULL, 10) * 1000, c->open_time_us);
    cr_assert_eq(decimal_of(field[1]), c->open.v, "open of %s", field[0]);
    cr_assert_eq(decimal_of(field[2]), c->high.v, "high of %s", field[0]);
    cr_assert_eq(decimal_of(field[3]), c->low.v, "low of %s", field[0]);
    cr_assert_eq(decimal_of(field[4]), c->close.v, "close of %s", field[0]);
    cr_assert_eq(decimal_of(field[5]), c->volume.v, "volume of %s", field[0]);
    cr_assert(c->taker_buy_volume.v <= c->volume.v);
}

/* The closed 1-minute candles among the messages of one trade. */
static uint32_t
minutes_compare(struct rig *r, char **expected)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->out.count; i++) {
        const struct msg *m = &r->out.slots[i].msg;
        if (m->type != MSG_md_candle || m->md_candle.interval != INTERVAL_1m ||
            !m->md_candle.candle.is_closed)
            continue;
        line_same(strsep(expected, "\n"), &m->md_candle.candle);
        count++;
    }
    return count;
}

Test(recording, candles_from_the_xrpeth_trades_equal_freqtrades)
{
    struct rig *r = rig_new("XRPETH", NULL);
    char *json = gunzip("trades/spot_XRPETH_trades_20191011_13_freqtrade.json.gz");
    char *csv = gunzip("klines/spot_XRPETH_1m_20191011_13_from_freqtrade.csv.gz"), *expected = csv;
    struct json_object *rows = json_parse(json, strlen(json), 4);
    cr_assert(rows != NULL);
    strsep(&expected, "\n"); /* the header */
    uint32_t count = 0, trades = (uint32_t)json_object_array_length(rows);
    for (uint32_t i = 0; i < trades; i++) {
        struct md_event e;
        trade_of_json(json_object_array_get_idx(rows, i), &e);
        outbox_clear(&r->out);
        cr_assert(md_apply(&r->md, &e, e.time_us, &r->out) == OK);
        count += minutes_compare(r, &expected);
    }
    /* The last minute is still open. */
    struct candle last;
    cr_assert(md_candle_now(r->symbol, INTERVAL_1m, &last));
    line_same(strsep(&expected, "\n"), &last);
    count++;
    cr_assert(expected == NULL || *expected == '\0');
    printf("XRPETH: %u minutes from %u trades equal freqtrade's\n", count, trades);
    cr_assert_eq(count, 2469);
    cr_assert_eq(r->symbol->late_trades, 0);
    json_object_put(rows);
    free(json);
    free(csv);
    rig_free(r);
}

int
main(int argc, char **argv)
{
    if (data_folder() == NULL) {
        fprintf(stderr, "SKIPPED: md_recording_test needs SCRIP_DATA, the folder of recordings\n");
        return 77;
    }
    struct criterion_test_set *tests = criterion_initialize();
    int result = 1;
    if (criterion_handle_args(argc, argv, true))
        result = !criterion_run_all_tests(tests);
    criterion_finalize(tests);
    return result;
}
