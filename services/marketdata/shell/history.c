/*
 * history.c - the candle table: one upsert a batch, one pipelined connection each way.
 *
 * A batch in flight keeps its rows in the queue; they leave it when the commit is known. What is
 * unknown (a broken connection) is written again: an upsert may be repeated.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/metrics.h"
#include "host/pg.h"
#include "host/pg_array.h"

#define BATCH_MAX      2000u
#define WRITE_EVERY_MS 500
#define OPEN_EVERY_MS  5000
#define RETRY_MS       5000
#define ROWS_MAX       1500u

enum column {
    C_SYMBOL,
    C_WIDTH,
    C_OPEN_TIME,
    C_OPEN,
    C_HIGH,
    C_LOW,
    C_CLOSE,
    C_VOLUME,
    C_QUOTE_VOLUME,
    C_TRADES,
    C_TAKER_BUY,
    C_TAKER_BUY_QUOTE,
    C_IS_CLOSED,
    C_AS_OF,
    COLUMNS
};

#define COLUMN_LIST                                                                                \
    "symbol, width, open_time_us, open, high, low, close, volume, quote_volume, trades, "          \
    "taker_buy_volume, taker_buy_quote_volume, is_closed, as_of_us"

/* The same candle may come twice in a batch, when a recording is played round and round. */
static const char write_sql[] =
    "INSERT INTO marketdata.candle (" COLUMN_LIST ") "
    "SELECT DISTINCT ON (symbol, width, open_time_us) " COLUMN_LIST " "
    "FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) WITH ORDINALITY "
    "AS r(" COLUMN_LIST ", n) ORDER BY symbol, width, open_time_us, n DESC "
    "ON CONFLICT (symbol, width, open_time_us) DO UPDATE SET open = excluded.open, "
    "high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume, "
    "quote_volume = excluded.quote_volume, trades = excluded.trades, "
    "taker_buy_volume = excluded.taker_buy_volume, "
    "taker_buy_quote_volume = excluded.taker_buy_quote_volume, is_closed = excluded.is_closed, "
    "as_of_us = excluded.as_of_us WHERE excluded.is_closed OR NOT candle.is_closed";

static const char first_sql[] = "SELECT " COLUMN_LIST " FROM marketdata.candle WHERE symbol = $1 "
                                "AND width = $2 AND open_time_us BETWEEN $3 AND $4 "
                                "ORDER BY open_time_us LIMIT $5";
static const char last_sql[] = "SELECT * FROM (SELECT " COLUMN_LIST " FROM marketdata.candle "
                               "WHERE symbol = $1 AND width = $2 AND open_time_us BETWEEN $3 AND "
                               "$4 ORDER BY open_time_us DESC LIMIT $5) AS r ORDER BY open_time_us";
static const char open_sql[] = "SELECT " COLUMN_LIST " FROM marketdata.candle WHERE symbol = $1 "
                               "AND open_time_us >= $2 AND NOT is_closed ORDER BY open_time_us";

static const Oid write_types[COLUMNS] = {
    PG_TEXT_ARRAY, PG_INT2_ARRAY, PG_INT8_ARRAY, PG_INT8_ARRAY, PG_INT8_ARRAY,
    PG_INT8_ARRAY, PG_INT8_ARRAY, PG_INT8_ARRAY, PG_INT8_ARRAY, PG_INT8_ARRAY,
    PG_INT8_ARRAY, PG_INT8_ARRAY, PG_BOOL_ARRAY, PG_INT8_ARRAY,
};
static const enum pg_oid elements[COLUMNS] = {
    PG_TEXT, PG_INT2, PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_INT8,
    PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_BOOL, PG_INT8,
};
static const Oid range_types[] = {PG_TEXT, PG_INT2, PG_INT8, PG_INT8, PG_INT8};
static const Oid open_types[] = {PG_TEXT, PG_INT8};

struct history {
    struct history_options o;
    struct pg *writer, *reader;
    struct loop_timer *write_timer, *open_timer;
    /* Closed candles: a ring. */
    struct history_row *queue;
    uint32_t queue_at, queue_count;
    uint32_t in_flight; /* rows of the queue in the batch that is being written */
    bool is_writing, has_failed, wants_open, is_making_batch;
    uint32_t batch_rows;
    struct pg_array columns[COLUMNS];
    void (*flush_done)(void *arg);
    struct metric *written, *dropped, *waiting, *failures;
};

struct read_call {
    history_answer *answer;
    void *arg;
};

static void write_now(struct history *h);

/* ---- Writing ---------------------------------------------------------------------------- */

static void
batch_add(struct history *h, const struct history_row *r)
{
    const struct candle *c = &r->candle;
    struct pg_array *a = h->columns;
    pg_array_text(&a[C_SYMBOL], r->symbol.text);
    pg_array_int2(&a[C_WIDTH], (int16_t)r->interval);
    pg_array_int8(&a[C_OPEN_TIME], c->open_time_us);
    pg_array_int8(&a[C_OPEN], c->open.v);
    pg_array_int8(&a[C_HIGH], c->high.v);
    pg_array_int8(&a[C_LOW], c->low.v);
    pg_array_int8(&a[C_CLOSE], c->close.v);
    pg_array_int8(&a[C_VOLUME], c->volume.v);
    pg_array_int8(&a[C_QUOTE_VOLUME], c->quote_volume.v);
    pg_array_int8(&a[C_TRADES], (int64_t)c->trades);
    pg_array_int8(&a[C_TAKER_BUY], c->taker_buy_volume.v);
    pg_array_int8(&a[C_TAKER_BUY_QUOTE], c->taker_buy_quote_volume.v);
    pg_array_bool(&a[C_IS_CLOSED], c->is_closed);
    pg_array_int8(&a[C_AS_OF], r->as_of_us);
    h->batch_rows++;
}

void
history_put(struct history *h, const struct history_row *row)
{
    if (!row->candle.is_closed) {
        if (h->is_making_batch)
            batch_add(h, row);
        return;
    }
    if (h->queue_count == h->o.queue_max) {
        metric_add(h->dropped, 1);
        h->queue_at = (h->queue_at + 1) % h->o.queue_max;
        h->queue_count--;
        h->in_flight -= h->in_flight > 0;
    }
    h->queue[(h->queue_at + h->queue_count++) % h->o.queue_max] = *row;
}

static void
flushed(struct history *h)
{
    void (*done)(void *) = h->flush_done;
    h->flush_done = NULL;
    if (done != NULL)
        done(h->o.arg);
}

static void
write_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct history *h = arg;
    if (outcome != PG_FAILED)
        return;
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    log_line(LOG_ERROR, "candles_refused", "sqlstate=%s message=\"%s\"",
             state == NULL ? "?" : state, text == NULL ? "?" : text);
    h->has_failed = true;
}

static void
write_synced(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct history *h = arg;
    (void)result;
    h->is_writing = false;
    if (outcome == PG_ROWS && !h->has_failed) {
        metric_add(h->written, h->batch_rows);
        h->queue_at = (h->queue_at + h->in_flight) % h->o.queue_max;
        h->queue_count -= h->in_flight;
    } else {
        metric_add(h->failures, 1);
        loop_timer_again(h->write_timer, RETRY_MS);
    }
    h->in_flight = 0;
    bool is_stuck = h->has_failed || outcome != PG_ROWS;
    h->has_failed = false;
    metric_set(h->waiting, h->queue_count);
    if (h->flush_done != NULL && (h->queue_count > 0 || h->wants_open) && !is_stuck)
        write_now(h);
    else
        flushed(h);
}

static void
batch_make(struct history *h)
{
    for (int i = 0; i < COLUMNS; i++)
        pg_array_clear(&h->columns[i]);
    h->batch_rows = 0;
    h->in_flight = h->queue_count < BATCH_MAX ? h->queue_count : BATCH_MAX;
    for (uint32_t i = 0; i < h->in_flight; i++)
        batch_add(h, &h->queue[(h->queue_at + i) % h->o.queue_max]);
    if (h->wants_open) {
        h->wants_open = false;
        h->is_making_batch = true;
        h->o.on_open_wanted(h->o.arg);
        h->is_making_batch = false;
    }
}

static void
write_now(struct history *h)
{
    if (h->is_writing)
        return;
    if (!pg_is_up(h->writer)) {
        flushed(h);
        return;
    }
    batch_make(h);
    if (h->batch_rows == 0) {
        flushed(h);
        return;
    }
    const char *values[COLUMNS];
    int lengths[COLUMNS], formats[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        values[i] = pg_array_value(&h->columns[i]);
        lengths[i] = pg_array_length(&h->columns[i]);
        formats[i] = 1;
    }
    h->is_writing = pg_send_prepared(h->writer, "candles", COLUMNS, values, lengths, formats, true,
                                     write_answer, h) &&
                    pg_sync(h->writer, write_synced, h);
    if (!h->is_writing) {
        h->in_flight = 0;
        flushed(h);
    }
}

static void
on_write_time(void *arg)
{
    struct history *h = arg;
    metric_set(h->waiting, h->queue_count);
    if (h->queue_count > 0 || h->wants_open)
        write_now(h);
}

static void
on_open_time(void *arg)
{
    ((struct history *)arg)->wants_open = true;
}

void
history_flush(struct history *h, void (*done)(void *arg))
{
    h->flush_done = done;
    h->wants_open = true;
    write_now(h);
}

/* ---- Reading ---------------------------------------------------------------------------- */

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
    };
    return true;
}

static void
read_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct read_call call = *(struct read_call *)arg;
    free(arg);
    if (outcome != PG_ROWS) {
        call.answer(call.arg, NULL, 0);
        return;
    }
    int count = PQntuples(result);
    if (count > (int)ROWS_MAX)
        count = (int)ROWS_MAX;
    struct history_row *rows = calloc((size_t)count + 1, sizeof(*rows));
    CHECK(rows != NULL);
    uint32_t read = 0;
    for (int i = 0; i < count; i++)
        read += row_read(result, i, &rows[read]);
    call.answer(call.arg, rows, read);
    free(rows);
}

static bool
read_send(struct history *h, const char *statement, int count, const char *const *values,
          history_answer *answer, void *arg)
{
    if (!pg_is_up(h->reader))
        return false;
    struct read_call *call = malloc(sizeof(*call));
    CHECK(call != NULL);
    *call = (struct read_call){answer, arg};
    if (!pg_send_prepared(h->reader, statement, count, values, NULL, NULL, true, read_answer,
                          call)) {
        free(call);
        return false;
    }
    pg_sync(h->reader, NULL, NULL);
    return true;
}

bool
history_read(struct history *h, code_t symbol, enum interval i, int64_t from_us, int64_t to_us,
             uint32_t limit, bool from_start, history_answer *answer, void *arg)
{
    char width[12], from[24], to[24], most[12];
    snprintf(width, sizeof(width), "%d", (int)i);
    snprintf(from, sizeof(from), "%" PRId64, from_us);
    snprintf(to, sizeof(to), "%" PRId64, to_us);
    snprintf(most, sizeof(most), "%u", limit < ROWS_MAX ? limit : ROWS_MAX);
    const char *values[] = {symbol.text, width, from, to, most};
    return read_send(h, from_start ? "first" : "last", 5, values, answer, arg);
}

bool
history_read_open(struct history *h, code_t symbol, int64_t from_us, history_answer *answer,
                  void *arg)
{
    char from[24];
    snprintf(from, sizeof(from), "%" PRId64, from_us);
    const char *values[] = {symbol.text, from};
    return read_send(h, "open", 2, values, answer, arg);
}

/* ---- Life ------------------------------------------------------------------------------- */

struct history *
history_open(const struct history_options *o)
{
    struct history *h = calloc(1, sizeof(*h));
    CHECK(h != NULL && o->queue_max > 0);
    h->o = *o;
    h->queue = calloc(o->queue_max, sizeof(*h->queue));
    CHECK(h->queue != NULL);
    for (int i = 0; i < COLUMNS; i++)
        pg_array_init(&h->columns[i], elements[i]);
    h->written = metric_counter("scrip_marketdata_candles_written_total", "",
                                "Candles that PostgreSQL has committed.");
    h->dropped = metric_counter("scrip_marketdata_candles_dropped_total", "",
                                "Closed candles that gave way because the queue was full.");
    h->failures = metric_counter("scrip_marketdata_candle_failures_total", "",
                                 "Batches that were not committed and are tried again.");
    h->waiting = metric_gauge("scrip_marketdata_candles_waiting", "",
                              "Closed candles that wait for the database.");
    h->writer = pg_open(
        o->loop, &(struct pg_options){.conninfo = o->conninfo, .label = "candles", .arg = h});
    h->reader = pg_open(o->loop,
                        &(struct pg_options){.conninfo = o->conninfo, .label = "klines", .arg = h});
    pg_prepare(h->writer, "candles", write_sql, COLUMNS, write_types);
    pg_prepare(h->reader, "first", first_sql, 5, range_types);
    pg_prepare(h->reader, "last", last_sql, 5, range_types);
    pg_prepare(h->reader, "open", open_sql, 2, open_types);
    h->write_timer = loop_timer_new(o->loop, WRITE_EVERY_MS, WRITE_EVERY_MS, on_write_time, h);
    h->open_timer = loop_timer_new(o->loop, OPEN_EVERY_MS, OPEN_EVERY_MS, on_open_time, h);
    return h;
}

void
history_close(struct history **history)
{
    struct history *h = *history;
    if (h == NULL)
        return;
    pg_close(&h->writer);
    pg_close(&h->reader);
    loop_timer_end(&h->write_timer);
    loop_timer_end(&h->open_timer);
    for (int i = 0; i < COLUMNS; i++)
        pg_array_fini(&h->columns[i]);
    free(h->queue);
    free(h);
    *history = NULL;
}

bool
history_is_up(const struct history *h)
{
    return pg_is_up(h->reader);
}
