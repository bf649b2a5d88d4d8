/*
 * history_read.c - candles out of PostgreSQL. What an interval lacks is folded from stored shorter
 * ones, by the database (marketdata.folded): only where something is missing, in a second question.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "marketdata/shell/history_priv.h"

#define ROWS_MAX 1500u
#define MONTH_US INT64_C(2678400000000)
#define LAST_US  INT64_C(4102444800000000) /* 2100-01-01: what the database computes with */

static const char first_sql[] = "SELECT " COLUMN_LIST " FROM marketdata.candle WHERE symbol = $1 "
                                "AND width = $2 AND open_time_us BETWEEN $3 AND $4 "
                                "ORDER BY open_time_us LIMIT $5";
static const char last_sql[] = "SELECT * FROM (SELECT " COLUMN_LIST " FROM marketdata.candle "
                               "WHERE symbol = $1 AND width = $2 AND open_time_us BETWEEN $3 AND "
                               "$4 ORDER BY open_time_us DESC LIMIT $5) AS r ORDER BY open_time_us";
/* The same candle may be folded from several widths: the one with the most trades is whole. */
static const char folded_sql[] =
    "SELECT DISTINCT ON (open_time_us) " COLUMN_LIST " "
    "FROM marketdata.folded($1, $2, $3, $4, $5, $6) ORDER BY open_time_us, trades DESC";
/* The minutes that processes left open; all longer candles are folded from minutes. */
static const char open_sql[] =
    "SELECT " COLUMN_LIST " FROM marketdata.candle WHERE symbol = $1 AND NOT is_closed AND "
    "width = 1 AND open_time_us >= $2 ORDER BY open_time_us";
/* What is folded from minutes, but for days, and from days. */
static const char longer_sql[] =
    "SELECT " COLUMN_LIST " FROM marketdata.candle WHERE symbol = $1 AND is_closed AND "
    "width = ANY ('{2,3,4,5,6,7,8,9,10,11}') AND open_time_us >= $2 UNION ALL "
    "SELECT " COLUMN_LIST " FROM marketdata.candle WHERE symbol = $1 AND is_closed AND "
    "width = ANY ('{14,15,16}') AND open_time_us >= $3";

static const Oid range_types[] = {PG_TEXT, PG_INT2, PG_INT8, PG_INT8, PG_INT8, PG_BOOL};
static const Oid open_types[] = {PG_TEXT, PG_INT8, PG_INT8};

/* A question under way. `rows` are those that were stored, while what they lack is folded. */
struct read_call {
    struct history *history;
    struct read_call *next, **link; /* of those under way */
    code_t symbol;
    enum interval interval;
    int64_t from_us, to_us;
    uint32_t limit;
    bool from_start, is_range;
    bool is_near; /* asked for within the time that so many candles take, not yet in all of it */
    struct history_row *rows;
    uint32_t count;
    history_answer *answer;
    void *arg;
};

void
history_read_prepare(struct pg *reader)
{
    pg_prepare(reader, "first", first_sql, 5, range_types);
    pg_prepare(reader, "last", last_sql, 5, range_types);
    pg_prepare(reader, "folded", folded_sql, 6, range_types);
    pg_prepare(reader, "open", open_sql, 2, open_types);
    pg_prepare(reader, "longer", longer_sql, 3, open_types);
}

/* ---- Rows ------------------------------------------------------------------------------- */

static int64_t
number_at(const PGresult *result, int row, enum column column)
{
    return pg_read_int(PQgetvalue(result, row, column), PQgetlength(result, row, column));
}

static bool
row_read(const PGresult *result, int row, struct history_row *out)
{
    const char *symbol = PQgetvalue(result, row, C_SYMBOL);
    int64_t width = number_at(result, row, C_WIDTH);
    if (code_from(symbol, (size_t)PQgetlength(result, row, C_SYMBOL), &out->symbol) != OK ||
        width < 1 || width > (int64_t)INTERVALS)
        return false;
    out->interval = (enum interval)width;
    out->as_of_us = number_at(result, row, C_AS_OF);
    out->candle = (struct candle){
        .open_time_us = number_at(result, row, C_OPEN_TIME),
        .open = {number_at(result, row, C_OPEN)},
        .high = {number_at(result, row, C_HIGH)},
        .low = {number_at(result, row, C_LOW)},
        .close = {number_at(result, row, C_CLOSE)},
        .volume = {number_at(result, row, C_VOLUME)},
        .quote_volume = {number_at(result, row, C_QUOTE_VOLUME)},
        .trades = (uint64_t)number_at(result, row, C_TRADES),
        .taker_buy_volume = {number_at(result, row, C_TAKER_BUY)},
        .taker_buy_quote_volume = {number_at(result, row, C_TAKER_BUY_QUOTE)},
        .is_closed = *PQgetvalue(result, row, C_IS_CLOSED) != 0,
        .is_final = *PQgetvalue(result, row, C_IS_FINAL) != 0,
    };
    return true;
}

static struct history_row *
rows_new(uint32_t count)
{
    struct history_row *rows = calloc((size_t)count + 1, sizeof(*rows));
    CHECK(rows != NULL);
    return rows;
}

static struct history_row *
rows_read(const PGresult *result, uint32_t *count)
{
    uint32_t given = (uint32_t)PQntuples(result);
    struct history_row *rows = rows_new(given);
    *count = 0;
    for (uint32_t i = 0; i < given; i++)
        *count += row_read(result, (int)i, &rows[*count]);
    return rows;
}

/* Both in order of time; where both have a candle, the stored one counts. */
static struct history_row *
rows_merged(const struct read_call *call, const struct history_row *folded, uint32_t count,
            uint32_t *merged)
{
    struct history_row *rows = rows_new(call->count + count);
    uint32_t s = 0, f = 0;
    *merged = 0;
    while (s < call->count || f < count) {
        int64_t stored_us = s < call->count ? call->rows[s].candle.open_time_us : INT64_MAX;
        int64_t folded_us = f < count ? folded[f].candle.open_time_us : INT64_MAX;
        if (folded_us < stored_us) {
            rows[(*merged)++] = folded[f++];
        } else {
            f += folded_us == stored_us;
            rows[(*merged)++] = call->rows[s++];
        }
    }
    return rows;
}

/* ---- What is missing -------------------------------------------------------------------- */

struct span {
    int64_t from_us, to_us; /* of opening times; from_us > to_us: none */
};

static void
span_add(struct span *s, int64_t from_us, int64_t to_us)
{
    if (from_us > to_us)
        return;
    if (from_us < s->from_us)
        s->from_us = from_us;
    if (to_us > s->to_us)
        s->to_us = to_us;
}

/* Where candles are missing that could be: before the first, between two, and behind the last as
 * far as the clock has come. */
static struct span
span_missing(const struct read_call *call)
{
    struct span s = {.from_us = INT64_MAX, .to_us = INT64_MIN};
    enum interval i = call->interval;
    if (call->count == 0) {
        span_add(&s, call->from_us, call->to_us);
        return s;
    }
    int64_t first_us = call->rows[0].candle.open_time_us;
    if (call->from_start || call->count < call->limit)
        span_add(&s, call->from_us, first_us - 1);
    int64_t next_us = first_us;
    for (uint32_t n = 0; n < call->count; n++) {
        span_add(&s, next_us, call->rows[n].candle.open_time_us - 1);
        next_us = interval_end(i, call->rows[n].candle.open_time_us);
    }
    bool is_behind = interval_end(i, next_us) < history_now_us(call->history);
    if (is_behind && (!call->from_start || call->count < call->limit))
        span_add(&s, next_us, call->to_us);
    /* Nothing opens in what is shorter: from the middle of one candle to its end. */
    if (s.from_us <= s.to_us && interval_open(i, s.to_us) < s.from_us)
        s.to_us = INT64_MIN;
    return s;
}

/* ---- Questions -------------------------------------------------------------------------- */

static bool
range_send(struct read_call *call, const char *statement, int count, struct span span,
           pg_answer *answer)
{
    char width[12], from[24], to[24], most[12];
    snprintf(width, sizeof(width), "%d", (int)call->interval);
    snprintf(from, sizeof(from), "%" PRId64, span.from_us);
    snprintf(to, sizeof(to), "%" PRId64, span.to_us);
    snprintf(most, sizeof(most), "%u", call->limit);
    const char *values[] = {call->symbol.text, width, from, to, most, call->from_start ? "t" : "f"};
    struct pg *reader = history_reader(call->history);
    return pg_is_up(reader) &&
           pg_send_prepared(reader, statement, count, values, NULL, NULL, true, answer, call);
}

static struct read_call *
call_new(const struct read_call *as)
{
    struct read_call *call = malloc(sizeof(*call));
    CHECK(call != NULL);
    *call = *as;
    call->link = history_calls(as->history);
    call->next = *call->link;
    *call->link = call;
    if (call->next != NULL)
        call->next->link = &call->next;
    return call;
}

/* Without an answer. */
static void
call_free(struct read_call *call)
{
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
    free(call->rows);
    free(call);
}

void
history_read_end(struct history *h)
{
    while (*history_calls(h) != NULL) {
        struct read_call *call = *history_calls(h);
        call->answer(call->arg, NULL, 0);
        call_free(call);
    }
}

static void
call_end(struct read_call *call, const struct history_row *rows, uint32_t count)
{
    call->answer(call->arg, rows, count);
    call_free(call);
}

static void
on_folded(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct read_call *call = arg;
    uint32_t count = 0, merged = 0;
    if (outcome != PG_ROWS) { /* refused: what is stored is still true */
        call_end(call, outcome == PG_FAILED ? call->rows : NULL, call->count);
        return;
    }
    struct history_row *folded = rows_read(result, &count);
    struct history_row *rows = rows_merged(call, folded, count, &merged);
    uint32_t wanted = merged < call->limit ? merged : call->limit;
    call_end(call, call->from_start ? rows : rows + (merged - wanted), wanted);
    free(rows);
    free(folded);
}

static void on_stored(void *arg, enum pg_outcome outcome, const PGresult *result);

/* A range without an end looks into every partition there is, which takes milliseconds with years
 * of them: so first where the candles are, unless some are missing. */
static struct span
span_near(const struct read_call *call)
{
    int64_t width_us = interval_us(call->interval) > 0 ? interval_us(call->interval) : MONTH_US;
    int64_t reach_us = width_us * 2 * (call->limit + 1), now_us = history_now_us(call->history);
    struct span s = {call->from_us, call->to_us};
    if (call->from_start)
        s.to_us = s.to_us - s.from_us > reach_us ? s.from_us + reach_us : s.to_us;
    else if ((s.to_us < now_us ? s.to_us : now_us) - reach_us > s.from_us)
        s.from_us = (s.to_us < now_us ? s.to_us : now_us) - reach_us;
    return s;
}

static bool
stored_send(struct read_call *call)
{
    struct span all = {call->from_us, call->to_us}, near = span_near(call);
    bool is_same = near.from_us == all.from_us && near.to_us == all.to_us;
    call->is_near = !is_same && !call->is_near;
    return range_send(call, call->from_start ? "first" : "last", 5, call->is_near ? near : all,
                      on_stored);
}

static void
on_stored(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct read_call *call = arg;
    if (outcome != PG_ROWS) {
        call_end(call, NULL, 0);
        return;
    }
    if (call->is_near && (uint32_t)PQntuples(result) < call->limit) {
        if (stored_send(call))
            pg_sync(history_reader(call->history), NULL, NULL);
        else
            call_end(call, NULL, 0);
        return;
    }
    call->rows = rows_read(result, &call->count);
    struct span missing = {.from_us = 1, .to_us = 0};
    if (call->is_range && call->interval != INTERVAL_1s && call->interval != INTERVAL_1m)
        missing = span_missing(call);
    if (missing.from_us > missing.to_us) {
        call_end(call, call->rows, call->count);
    } else if (!range_send(call, "folded", 6, missing, on_folded)) {
        call_end(call, NULL, 0);
    } else {
        pg_sync(history_reader(call->history), NULL, NULL);
    }
}

bool
history_read(struct history *h, code_t symbol, enum interval i, int64_t from_us, int64_t to_us,
             uint32_t limit, bool from_start, history_answer *answer, void *arg)
{
    struct read_call *call =
        call_new(&(struct read_call){.history = h,
                                     .symbol = symbol,
                                     .interval = i,
                                     .from_us = from_us > 0 ? from_us : 0,
                                     .to_us = to_us < LAST_US ? to_us : LAST_US,
                                     .limit = limit < ROWS_MAX ? limit : ROWS_MAX,
                                     .from_start = from_start,
                                     .is_range = true,
                                     .answer = answer,
                                     .arg = arg});
    if (!stored_send(call)) {
        call_free(call);
        return false;
    }
    pg_sync(history_reader(h), NULL, NULL);
    return true;
}

/* All rows of a statement, as they are stored. */
static bool
all_send(struct history *h, const char *statement, int count, const char *const *values,
         history_answer *answer, void *arg)
{
    struct read_call *call =
        call_new(&(struct read_call){.history = h, .answer = answer, .arg = arg});
    struct pg *reader = history_reader(h);
    if (!pg_is_up(reader) ||
        !pg_send_prepared(reader, statement, count, values, NULL, NULL, true, on_stored, call)) {
        call_free(call);
        return false;
    }
    pg_sync(reader, NULL, NULL);
    return true;
}

bool
history_read_open(struct history *h, code_t symbol, int64_t from_us, history_answer *answer,
                  void *arg)
{
    char from[24];
    snprintf(from, sizeof(from), "%" PRId64, from_us);
    const char *values[] = {symbol.text, from};
    return all_send(h, "open", 2, values, answer, arg);
}

bool
history_read_longer(struct history *h, code_t symbol, int64_t minutes_us, int64_t days_us,
                    history_answer *answer, void *arg)
{
    char minutes[24], days[24];
    snprintf(minutes, sizeof(minutes), "%" PRId64, minutes_us);
    snprintf(days, sizeof(days), "%" PRId64, days_us);
    const char *values[] = {symbol.text, minutes, days};
    return all_send(h, "longer", 3, values, answer, arg);
}
