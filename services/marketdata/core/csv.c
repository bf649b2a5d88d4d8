/*
 * csv.c - columns found by name or by form, then read as exact decimals.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/csv.h"

#include <string.h>

#include "base/scan.h"
#include "marketdata/core/binance.h"
#include "marketdata/core/candle.h"

#define DAY_US    INT64_C(86400000000)
#define MINUTE_US INT64_C(60000000)

struct row {
    struct slice field[CSV_COLUMNS_MAX];
    uint32_t count;
};

static bool
split(const char *line, size_t length, struct row *out)
{
    if (length > 0 && line[length - 1] == '\r')
        length--;
    out->count = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && line[i] != ',')
            continue;
        if (out->count == CSV_COLUMNS_MAX)
            return false;
        out->field[out->count++] = (struct slice){line + begin, i - begin, 'n'};
        begin = i + 1;
    }
    return true;
}

/* Names that the files of various years and their copies give to what we read. */
static const struct {
    const char *name;
    enum csv_field field;
} NAMES[] = {
    {"id", CSV_ID},
    {"trade_id", CSV_ID},
    {"agg_trade_id", CSV_ID},
    {"aggTradeId", CSV_ID},
    {"price", CSV_PRICE},
    {"qty", CSV_QUANTITY},
    {"quantity", CSV_QUANTITY},
    {"time", CSV_TIME},
    {"timestamp", CSV_TIME},
    {"transact_time", CSV_TIME},
    {"is_buyer_maker", CSV_MAKER},
    {"isBuyerMaker", CSV_MAKER},
    {"open_time", CSV_OPEN_TIME},
    {"date", CSV_OPEN_TIME},
    {"open", CSV_OPEN},
    {"high", CSV_HIGH},
    {"low", CSV_LOW},
    {"close", CSV_CLOSE},
    {"volume", CSV_VOLUME},
    {"close_time", CSV_CLOSE_TIME},
    {"quote_volume", CSV_QUOTE_VOLUME},
    {"quote_asset_volume", CSV_QUOTE_VOLUME},
    {"count", CSV_COUNT},
    {"trades", CSV_COUNT},
    {"number_of_trades", CSV_COUNT},
    {"taker_buy_volume", CSV_TAKER_BUY},
    {"taker_base", CSV_TAKER_BUY},
    {"taker_buy_base_asset_volume", CSV_TAKER_BUY},
    {"taker_buy_quote_volume", CSV_TAKER_BUY_QUOTE},
    {"taker_quote", CSV_TAKER_BUY_QUOTE},
    {"taker_buy_quote_asset_volume", CSV_TAKER_BUY_QUOTE},
    {"first_trade_id", CSV_FIRST_ID},
    {"first_id", CSV_FIRST_ID},
    {"last_trade_id", CSV_LAST_ID},
    {"last_id", CSV_LAST_ID},
};

static bool
has(const struct csv_layout *l, enum csv_field first, enum csv_field last)
{
    for (int f = (int)first; f <= (int)last; f++) {
        if (l->column[f] < 0)
            return false;
    }
    return true;
}

static enum err
layout_by_names(const struct row *r, struct csv_layout *l)
{
    bool is_aggregate = false;
    for (uint32_t i = 0; i < r->count; i++) {
        for (size_t n = 0; n < sizeof(NAMES) / sizeof(NAMES[0]); n++) {
            if (!slice_is(r->field[i], NAMES[n].name) || l->column[NAMES[n].field] >= 0)
                continue;
            l->column[NAMES[n].field] = (int8_t)i;
            is_aggregate |= strncmp(NAMES[n].name, "agg", 3) == 0;
        }
    }
    if (has(l, CSV_ID, CSV_MAKER))
        l->kind = is_aggregate ? CSV_AGG_TRADES : CSV_TRADES;
    else if (has(l, CSV_OPEN_TIME, CSV_VOLUME))
        l->kind = CSV_KLINES;
    return l->kind == CSV_UNKNOWN ? ERR_LINE_INVALID : OK;
}

static bool
bool_read(struct slice s, bool *out)
{
    *out = slice_is(s, "True") || slice_is(s, "true") || slice_is(s, "1");
    return *out || slice_is(s, "False") || slice_is(s, "false") || slice_is(s, "0");
}

static void
columns_set(struct csv_layout *l, enum csv_kind kind, const int8_t *columns, enum csv_field first,
            enum csv_field last)
{
    l->kind = kind;
    for (int f = (int)first; f <= (int)last; f++)
        l->column[f] = columns[f - (int)first];
}

/*
 * Without a header. trades: id price qty quoteQty time isBuyerMaker [isBestMatch] (5 columns where
 * quoteQty was left out); aggTrades: id price qty first last time isBuyerMaker [isBestMatch];
 * klines: 12 columns that begin with a time, or the first 6 of them. 7 columns can be either kind
 * of trade: the times stand in different places.
 */
static enum err
layout_by_form(const struct row *r, struct csv_layout *l)
{
    static const int8_t TRADES[] = {0, 1, 2, 4, 5}, SHORT[] = {0, 1, 2, 3, 4};
    static const int8_t AGGREGATES[] = {0, 1, 2, 5, 6}, IDS[] = {3, 4};
    static const int8_t KLINES[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    int64_t t;
    bool b;
    if ((r->count == 12 || r->count == 6) && binance_time_read(r->field[0], &t) &&
        !bool_read(r->field[5], &b)) {
        columns_set(l, CSV_KLINES, KLINES, CSV_OPEN_TIME,
                    r->count == 12 ? CSV_TAKER_BUY_QUOTE : CSV_VOLUME);
    } else if ((r->count == 6 || r->count == 7) && binance_time_read(r->field[4], &t) &&
               bool_read(r->field[5], &b)) {
        columns_set(l, CSV_TRADES, TRADES, CSV_ID, CSV_MAKER);
    } else if ((r->count == 7 || r->count == 8) && binance_time_read(r->field[5], &t) &&
               bool_read(r->field[6], &b)) {
        columns_set(l, CSV_AGG_TRADES, AGGREGATES, CSV_ID, CSV_MAKER);
        columns_set(l, CSV_AGG_TRADES, IDS, CSV_FIRST_ID, CSV_LAST_ID);
    } else if (r->count == 5 && binance_time_read(r->field[3], &t) && bool_read(r->field[4], &b)) {
        columns_set(l, CSV_TRADES, SHORT, CSV_ID, CSV_MAKER);
    }
    return l->kind == CSV_UNKNOWN ? ERR_LINE_INVALID : OK;
}

enum err
csv_layout_read(const char *line, size_t length, struct csv_layout *out, bool *is_header)
{
    struct row r;
    *out = (struct csv_layout){.width_us = 0};
    memset(out->column, -1, sizeof(out->column));
    *is_header = false;
    if (length == 0 || !split(line, length, &r))
        return ERR_LINE_INVALID;
    out->columns = r.count;
    *is_header = line[0] < '0' || line[0] > '9';
    return *is_header ? layout_by_names(&r, out) : layout_by_form(&r, out);
}

static struct slice
field(const struct csv_layout *l, const struct row *r, enum csv_field f)
{
    return r->field[l->column[f]];
}

static enum err
trade_row(const struct csv_layout *l, const struct row *r, struct md_event *out)
{
    *out = (struct md_event){.kind = MD_EVENT_TRADE, .is_aggregate = l->kind == CSV_AGG_TRADES};
    struct public_trade *t = &out->trade;
    if (!slice_u64(field(l, r, CSV_ID), &t->trade_id) ||
        !slice_decimal(field(l, r, CSV_PRICE), &t->price.v) || t->price.v <= 0 ||
        !slice_decimal(field(l, r, CSV_QUANTITY), &t->quantity.v) || t->quantity.v <= 0 ||
        !binance_time_read(field(l, r, CSV_TIME), &t->time_us) ||
        !bool_read(field(l, r, CSV_MAKER), &t->buyer_is_maker))
        return ERR_LINE_INVALID;
    /* Some old rows have -1 for both. */
    if (has(l, CSV_FIRST_ID, CSV_LAST_ID) &&
        (!slice_u64(field(l, r, CSV_FIRST_ID), &out->first_trade) ||
         !slice_u64(field(l, r, CSV_LAST_ID), &out->last_trade) ||
         out->last_trade < out->first_trade))
        out->first_trade = out->last_trade = 0;
    out->at_us = out->time_us = t->time_us;
    return OK;
}

struct kline {
    int64_t open_us, width_us;
    int64_t open, high, low, close, volume;
};

static bool
kline_read(struct csv_layout *l, const struct row *r, struct kline *k)
{
    if (!binance_time_read(field(l, r, CSV_OPEN_TIME), &k->open_us) ||
        !slice_decimal(field(l, r, CSV_OPEN), &k->open) ||
        !slice_decimal(field(l, r, CSV_HIGH), &k->high) ||
        !slice_decimal(field(l, r, CSV_LOW), &k->low) ||
        !slice_decimal(field(l, r, CSV_CLOSE), &k->close) ||
        !slice_decimal(field(l, r, CSV_VOLUME), &k->volume))
        return false;
    if (k->low <= 0 || k->low > k->open || k->low > k->close || k->high < k->open ||
        k->high < k->close || k->volume < 0)
        return false;

    int64_t close_us;
    if (l->column[CSV_CLOSE_TIME] >= 0) {
        if (!binance_time_read(field(l, r, CSV_CLOSE_TIME), &close_us) || close_us <= k->open_us)
            return false;
        /* 12:59:59.999 belongs to the hour that ends at 13:00. */
        l->width_us = close_us - k->open_us + 1000;
    } else if (l->last_open_us > 0) {
        int64_t step = k->open_us - l->last_open_us;
        if (step > 0 && step <= DAY_US && (l->width_us == 0 || step < l->width_us))
            l->width_us = step;
    }
    l->last_open_us = k->open_us;
    k->width_us = l->width_us == 0 ? MINUTE_US : l->width_us;
    return true;
}

/* One point of the path a kline is turned into: a trade, when there is volume, and a quote. */
static void
kline_point(const struct kline *k, uint32_t n, int64_t price, int64_t quantity, price_t tick,
            struct md_event *out, uint32_t *count)
{
    int64_t time_us = k->open_us + k->width_us * n / 3;
    if (n == 3)
        time_us = k->open_us + k->width_us - 1000;
    if (quantity > 0) {
        struct md_event *e = &out[(*count)++];
        *e = (struct md_event){.kind = MD_EVENT_TRADE, .at_us = time_us, .time_us = time_us};
        e->trade = (struct public_trade){.trade_id = (uint64_t)(k->open_us / 1000) * 4 + n + 1,
                                         .price = {price},
                                         .quantity = {quantity},
                                         .time_us = time_us,
                                         .buyer_is_maker = n % 2 == 1};
    }
    struct md_event *e = &out[(*count)++];
    *e = (struct md_event){.kind = MD_EVENT_QUOTE, .at_us = time_us, .time_us = time_us};
    e->quote = (struct md_touch){.bid = {price},
                                 .ask = {price + (tick.v > 0 ? tick.v : 1)},
                                 .bid_quantity = {k->volume},
                                 .ask_quantity = {k->volume},
                                 .time_us = time_us};
}

static enum err
kline_row(struct csv_layout *l, const struct row *r, price_t tick, struct md_event *out,
          uint32_t *count)
{
    struct kline k;
    if (!kline_read(l, r, &k) || k.high > INT64_MAX - tick.v - 1 || k.open_us > INT64_C(1) << 52)
        return ERR_LINE_INVALID;
    bool high_first = k.high - k.open < k.open - k.low;
    int64_t path[] = {k.open, high_first ? k.high : k.low, high_first ? k.low : k.high, k.close};
    int64_t quarter = k.volume / 4;
    *count = 0;
    for (uint32_t n = 0; n < 4; n++)
        kline_point(&k, n, path[n], n < 3 ? quarter : k.volume - 3 * quarter, tick, out, count);
    return OK;
}

enum err
csv_row(struct csv_layout *l, const char *line, size_t length, price_t tick,
        struct md_event out[CSV_EVENTS_MAX], uint32_t *count)
{
    struct row r;
    *count = 0;
    if (!split(line, length, &r) || r.count != l->columns)
        return ERR_LINE_INVALID;
    if (l->kind == CSV_KLINES)
        return kline_row(l, &r, tick, out, count);
    CHECK(l->kind != CSV_UNKNOWN);
    enum err e = trade_row(l, &r, &out[0]);
    *count = e == OK ? 1 : 0;
    return e;
}

/* ---- Klines as candles ------------------------------------------------------------------ */

#define LARGE_DIGITS 11u /* 92,233,720,368 is the largest whole number that we have */

/* A sum of a cheap asset can be too large for us: then the largest number stands for it. */
static bool
sum_read(struct slice s, int64_t *out)
{
    size_t digits = 0, rest;
    if (slice_decimal(s, out))
        return *out >= 0;
    while (digits < s.length && s.at[digits] >= '0' && s.at[digits] <= '9')
        digits++;
    rest = digits + (digits < s.length && s.at[digits] == '.');
    while (rest < s.length && s.at[rest] >= '0' && s.at[rest] <= '9')
        rest++;
    *out = INT64_MAX;
    return digits >= LARGE_DIGITS && s.at[0] != '0' && rest == s.length;
}

static bool
sums_read(const struct csv_layout *l, const struct row *r, struct candle *c)
{
    static const enum csv_field FIELDS[] = {CSV_VOLUME, CSV_QUOTE_VOLUME, CSV_TAKER_BUY,
                                            CSV_TAKER_BUY_QUOTE};
    int64_t *const sums[] = {&c->volume.v, &c->quote_volume.v, &c->taker_buy_volume.v,
                             &c->taker_buy_quote_volume.v};
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        if (l->column[FIELDS[i]] >= 0 && !sum_read(field(l, r, FIELDS[i]), sums[i]))
            return false;
    }
    if (l->column[CSV_COUNT] < 0)
        c->trades = c->volume.v > 0;
    else if (!slice_u64(field(l, r, CSV_COUNT), &c->trades) || c->trades > INT64_MAX)
        return false;
    return true;
}

static enum err
candle_row(const struct csv_layout *l, const struct row *r, struct candle *out, int64_t *end_us)
{
    *out = (struct candle){.is_closed = true};
    *end_us = 0;
    if (!binance_time_read(field(l, r, CSV_OPEN_TIME), &out->open_time_us) ||
        !slice_decimal(field(l, r, CSV_OPEN), &out->open.v) ||
        !slice_decimal(field(l, r, CSV_HIGH), &out->high.v) ||
        !slice_decimal(field(l, r, CSV_LOW), &out->low.v) ||
        !slice_decimal(field(l, r, CSV_CLOSE), &out->close.v) || !sums_read(l, r, out) ||
        !candle_is_valid(out))
        return ERR_LINE_INVALID;
    if (l->column[CSV_CLOSE_TIME] >= 0) {
        if (!binance_time_read(field(l, r, CSV_CLOSE_TIME), end_us) || *end_us <= out->open_time_us)
            return ERR_LINE_INVALID;
        /* The last millisecond, or microsecond, of the interval. */
        *end_us += *end_us % 1000 == 999 ? 1 : 1000;
    }
    return OK;
}

enum err
csv_candle(const struct csv_layout *l, const char *line, size_t length, struct candle *out,
           int64_t *end_us)
{
    struct row r;
    CHECK(l->kind == CSV_KLINES);
    if (!split(line, length, &r) || r.count != l->columns)
        return ERR_LINE_INVALID;
    return candle_row(l, &r, out, end_us);
}

enum err
csv_rest_candle(const char *row, size_t length, struct candle *out, int64_t *end_us)
{
    static const struct csv_layout REST = {
        .kind = CSV_KLINES,
        .column = {-1, -1, -1, -1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -1, -1},
        .columns = 12};
    struct scan s = {row, row + length};
    struct row r = {.count = 0};
    do {
        if (r.count == CSV_COLUMNS_MAX || !scan_value(&s, &r.field[r.count++]))
            return ERR_LINE_INVALID;
    } while (scan_take(&s, ','));
    if (!scan_done(&s) || r.count != REST.columns)
        return ERR_LINE_INVALID;
    return candle_row(&REST, &r, out, end_us);
}
