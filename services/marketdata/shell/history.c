/*
 * history.c - the candle table written: one upsert a batch, one pipelined connection each way.
 *
 * A batch in flight keeps its rows in the queue; they leave it when the commit is known. What is
 * unknown (a broken connection) is written again: an upsert may be repeated.
 *
 * Partitions are made ahead every few minutes. A batch with candles of other times, such as those
 * of a recording, makes theirs first, in its own transaction.
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
#include "marketdata/shell/history_priv.h"

#define BATCH_MAX          2000u
#define WRITE_EVERY_MS     500
#define OPEN_EVERY_MS      5000
#define RETRY_MS           5000
#define KEEP_EVERY_MS      300000
#define PARTITIONS_SEEN    256u
#define LOCK_NOT_AVAILABLE "55P03" /* somebody reads: tried again in the next round */
#define PLACE_HOUR_US      INT64_C(3600000000)
#define PLACE_DAY_US       (24 * PLACE_HOUR_US)

/* The same candle may come twice in a batch: corrected, or when a recording is played round and
 * round. What the exchange said (is_final) gives way only to what it says later. A closed candle is
 * not replaced by an open one, and neither by one with fewer trades: of that this process has seen
 * only a part. */
static const char write_sql[] =
    "INSERT INTO marketdata.candle (" COLUMN_LIST ") "
    "SELECT DISTINCT ON (symbol, width, open_time_us) " COLUMN_LIST " "
    "FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) WITH ORDINALITY "
    "AS r(" COLUMN_LIST ", n) ORDER BY symbol, width, open_time_us, is_final DESC, is_closed DESC, "
    "CASE WHEN is_final THEN 0 ELSE trades END DESC, n DESC "
    "ON CONFLICT (symbol, width, open_time_us) DO UPDATE SET open = excluded.open, "
    "high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume, "
    "quote_volume = excluded.quote_volume, trades = excluded.trades, "
    "taker_buy_volume = excluded.taker_buy_volume, "
    "taker_buy_quote_volume = excluded.taker_buy_quote_volume, is_closed = excluded.is_closed, "
    "as_of_us = excluded.as_of_us, is_final = excluded.is_final "
    "WHERE excluded.is_final OR (NOT candle.is_final AND "
    "((excluded.is_closed AND NOT candle.is_closed) OR "
    "(excluded.is_closed = candle.is_closed AND excluded.trades >= candle.trades)))";
static const char partitions_sql[] = "SELECT marketdata.partitions_for($1, $2)";
static const char ahead_sql[] = "SELECT marketdata.partitions_ahead($1, $2)";
static const char drop_sql[] = "SELECT marketdata.seconds_drop($1)";

static const Oid write_types[COLUMNS] = {
    PG_TEXT_ARRAY, PG_INT2_ARRAY, PG_INT8_ARRAY, PG_INT8_ARRAY, PG_INT8_ARRAY,
    PG_INT8_ARRAY, PG_INT8_ARRAY, PG_INT8_ARRAY, PG_INT8_ARRAY, PG_INT8_ARRAY,
    PG_INT8_ARRAY, PG_INT8_ARRAY, PG_BOOL_ARRAY, PG_INT8_ARRAY, PG_BOOL_ARRAY,
};
static const enum pg_oid elements[COLUMNS] = {
    PG_TEXT, PG_INT2, PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_INT8,
    PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_BOOL, PG_INT8, PG_BOOL,
};
static const Oid partitions_types[] = {PG_INT2_ARRAY, PG_INT8_ARRAY};
static const Oid ahead_types[] = {PG_INT8, PG_BOOL};

/* A time that is known to have its partition: an hour of 1s candles, a day of others. */
struct place {
    enum { PLACE_SECONDS, PLACE_MINUTES, PLACE_HOURS } kind;
    int64_t number;
};

struct history {
    struct history_options o;
    struct pg *writer, *reader;
    struct read_call *calls; /* questions under way */
    struct loop_timer *write_timer, *open_timer, *keep_timer;
    /* Closed candles: a ring. */
    struct history_row *queue;
    uint32_t queue_at, queue_count;
    uint32_t in_flight; /* rows of the queue in the batch that is being written */
    bool is_writing, has_failed, wants_open, is_making_batch;
    uint32_t batch_rows;
    struct pg_array columns[COLUMNS];
    /* Places that rows of batches had: a ring. Those that are new go with the batch. */
    struct place seen[PARTITIONS_SEEN];
    uint32_t seen_count; /* ever */
    struct pg_array new_widths, new_times;
    int64_t newest_second_us; /* opening time of the newest 1s candle */
    void (*flush_done)(void *arg);
    struct metric *written, *dropped, *waiting, *failures;
};

static void write_now(struct history *h);

/* ---- Partitions ------------------------------------------------------------------------- */

static struct place
place_of(enum interval i, int64_t open_us)
{
    if (i == INTERVAL_1s)
        return (struct place){PLACE_SECONDS, open_us / PLACE_HOUR_US};
    bool is_minutes = i == INTERVAL_1m || i == INTERVAL_3m || i == INTERVAL_5m;
    return (struct place){is_minutes ? PLACE_MINUTES : PLACE_HOURS, open_us / PLACE_DAY_US};
}

static void
place_need(struct history *h, enum interval i, int64_t open_us)
{
    struct place wanted = place_of(i, open_us);
    uint32_t held = h->seen_count < PARTITIONS_SEEN ? h->seen_count : PARTITIONS_SEEN;
    for (uint32_t n = 0; n < held; n++) {
        if (h->seen[n].kind == wanted.kind && h->seen[n].number == wanted.number)
            return;
    }
    h->seen[h->seen_count++ % PARTITIONS_SEEN] = wanted;
    pg_array_int2(&h->new_widths, (int16_t)i);
    pg_array_int8(&h->new_times, open_us);
}

static void
partitions_refused(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    (void)arg;
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (outcome == PG_FAILED && (state == NULL || strcmp(state, LOCK_NOT_AVAILABLE) != 0))
        log_line(LOG_ERROR, "candle_partitions_refused", "sqlstate=%s message=\"%s\"",
                 state == NULL ? "?" : state,
                 result == NULL ? "?" : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

/* What is old is told by the market: a recording of last year keeps its own last hours. */
void
history_keep(struct history *h)
{
    if (!pg_is_up(h->writer))
        return;
    int64_t now_us = loop_now_us(h->o.loop), keep_us = h->o.keep_1s_us;
    char now[24], before[24];
    snprintf(now, sizeof(now), "%" PRId64, now_us);
    const char *ahead[] = {now, keep_us > 0 ? "t" : "f"};
    pg_send_prepared(h->writer, "ahead", 2, ahead, NULL, NULL, true, partitions_refused, h);
    pg_sync(h->writer, NULL, NULL);
    int64_t newest_us = keep_us > 0 ? h->newest_second_us : now_us;
    snprintf(before, sizeof(before), "%" PRId64, newest_us - keep_us);
    const char *drop[] = {before};
    pg_send_prepared(h->writer, "drop", 1, drop, NULL, NULL, true, partitions_refused, h);
    pg_sync(h->writer, NULL, NULL);
}

static void
on_keep_time(void *arg)
{
    history_keep(arg);
}

/* ---- Writing ---------------------------------------------------------------------------- */

static void
batch_add(struct history *h, const struct history_row *r)
{
    place_need(h, r->interval, r->candle.open_time_us);
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
    pg_array_bool(&a[C_IS_FINAL], c->is_closed && c->is_final);
    h->batch_rows++;
}

/* Candles of 1s are kept for hours, where they are kept at all, and give way to all others. */
static bool
second_is_kept(struct history *h, const struct history_row *row)
{
    int64_t open_us = row->candle.open_time_us;
    if (!row->candle.is_closed || open_us <= h->newest_second_us - h->o.keep_1s_us)
        return false;
    if (h->queue_count >= h->o.queue_max / 2) {
        metric_add(h->dropped, 1);
        return false;
    }
    if (open_us > h->newest_second_us)
        h->newest_second_us = open_us;
    return true;
}

void
history_put(struct history *h, const struct history_row *row)
{
    /* One that the table refuses would be refused with its whole batch, for ever. */
    if (!candle_is_valid(&row->candle) || row->candle.trades > INT64_MAX) {
        metric_add(h->dropped, 1);
        return;
    }
    if (row->interval == INTERVAL_1s && (h->o.keep_1s_us == 0 || !second_is_kept(h, row)))
        return;
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
        h->seen_count = 0; /* a partition may be gone */
        loop_timer_again(h->write_timer, RETRY_MS);
    }
    h->in_flight = 0;
    bool is_stuck = h->has_failed || outcome != PG_ROWS;
    h->has_failed = false;
    metric_set(h->waiting, h->queue_count);
    bool is_wanted =
        h->flush_done != NULL ? h->queue_count > 0 || h->wants_open : h->queue_count >= BATCH_MAX;
    if (is_wanted && !is_stuck)
        write_now(h);
    else
        flushed(h);
}

static void
batch_make(struct history *h)
{
    for (int i = 0; i < COLUMNS; i++)
        pg_array_clear(&h->columns[i]);
    pg_array_clear(&h->new_widths);
    pg_array_clear(&h->new_times);
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

/* Arrays as parameters of a statement; a refusal ends the transaction. */
static bool
arrays_send(struct history *h, const char *statement, struct pg_array *const *arrays, int count)
{
    const char *values[COLUMNS];
    int lengths[COLUMNS], formats[COLUMNS];
    for (int i = 0; i < count; i++) {
        values[i] = pg_array_value(arrays[i]);
        lengths[i] = pg_array_length(arrays[i]);
        formats[i] = 1;
    }
    return pg_send_prepared(h->writer, statement, count, values, lengths, formats, true,
                            write_answer, h);
}

static bool
batch_send(struct history *h)
{
    struct pg_array *const places[] = {&h->new_widths, &h->new_times};
    struct pg_array *columns[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        columns[i] = &h->columns[i];
    return (h->new_widths.count == 0 || arrays_send(h, "partitions", places, 2)) &&
           arrays_send(h, "candles", columns, COLUMNS);
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
    h->is_writing = batch_send(h) && pg_sync(h->writer, write_synced, h);
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
    pg_array_init(&h->new_widths, PG_INT2);
    pg_array_init(&h->new_times, PG_INT8);
    h->written = metric_counter("scrip_marketdata_candles_written_total", "",
                                "Candles that PostgreSQL has committed.");
    h->dropped =
        metric_counter("scrip_marketdata_candles_dropped_total", "",
                       "Candles that gave way because the queue was full, or make no sense.");
    h->failures = metric_counter("scrip_marketdata_candle_failures_total", "",
                                 "Batches that were not committed and are tried again.");
    h->waiting = metric_gauge("scrip_marketdata_candles_waiting", "",
                              "Closed candles that wait for the database.");
    h->writer = pg_open(
        o->loop, &(struct pg_options){
                     .conninfo = o->conninfo, .label = "candles", .arg = h, .on_up = on_keep_time});
    h->reader = pg_open(o->loop,
                        &(struct pg_options){.conninfo = o->conninfo, .label = "klines", .arg = h});
    pg_prepare(h->writer, "candles", write_sql, COLUMNS, write_types);
    pg_prepare(h->writer, "partitions", partitions_sql, 2, partitions_types);
    pg_prepare(h->writer, "ahead", ahead_sql, 2, ahead_types);
    pg_prepare(h->writer, "drop", drop_sql, 1, ahead_types);
    history_read_prepare(h->reader);
    h->write_timer = loop_timer_new(o->loop, WRITE_EVERY_MS, WRITE_EVERY_MS, on_write_time, h);
    h->open_timer = loop_timer_new(o->loop, OPEN_EVERY_MS, OPEN_EVERY_MS, on_open_time, h);
    h->keep_timer = loop_timer_new(o->loop, KEEP_EVERY_MS, KEEP_EVERY_MS, on_keep_time, h);
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
    history_read_end(h);
    loop_timer_end(&h->write_timer);
    loop_timer_end(&h->open_timer);
    loop_timer_end(&h->keep_timer);
    for (int i = 0; i < COLUMNS; i++)
        pg_array_fini(&h->columns[i]);
    pg_array_fini(&h->new_widths);
    pg_array_fini(&h->new_times);
    free(h->queue);
    free(h);
    *history = NULL;
}

bool
history_is_up(const struct history *h)
{
    return pg_is_up(h->reader) && pg_is_up(h->writer);
}

struct read_call **
history_calls(struct history *h)
{
    return &h->calls;
}

struct pg *
history_reader(struct history *h)
{
    return h->reader;
}

int64_t
history_now_us(const struct history *h)
{
    return loop_now_us(h->o.loop);
}
