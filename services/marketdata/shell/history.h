/*
 * history.h - candles in PostgreSQL: written in batches, read for the klines questions.
 *
 * Closed candles wait in a bounded queue until the database has them: an outage delays them, and
 * only when the queue is full does the oldest give way (counted). Open candles are written every
 * few seconds, so that a restarted process goes on with them. Those of 1s are kept for some hours.
 * Reading has a connection of its own. docs/decisions/0015-candle-partitions.md tells of the table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_HISTORY_H
#define SCRIP_MARKETDATA_HISTORY_H

#include "host/loop.h"
#include "marketdata/core/candle.h"

struct history;

struct history_row {
    code_t symbol;
    enum interval interval;
    struct candle candle;
    int64_t as_of_us; /* market time it is true at */
};

struct history_options {
    struct loop *loop;
    const char *conninfo;
    uint32_t queue_max; /* closed candles that wait for the database */
    int64_t keep_1s_us; /* how long candles of 1s are kept; 0 = they are not written */
    void *arg;
    /* Asks for the open candles: call history_put() for each. */
    void (*on_open_wanted)(void *arg);
};

struct history *history_open(const struct history_options *o);
/* What was asked and is not answered is answered with NULL first. */
void history_close(struct history **h);
bool history_is_up(const struct history *h);

/* A closed candle joins the queue; an open one only the batch being made (see on_open_wanted). */
void history_put(struct history *h, const struct history_row *row);
/* Writes what there is, the open candles too; `done` is called when it is written or cannot be. */
void history_flush(struct history *h, void (*done)(void *arg));

/* Makes partitions ahead and drops those of 1s candles that are old; done by itself now and then.
 */
void history_keep(struct history *h);

/* `rows` is oldest first and lent; NULL when the database could not answer. */
typedef void history_answer(void *arg, const struct history_row *rows, uint32_t count);

/* Candles with from_us <= open time <= to_us: the first `limit` when `from_start`, else the last.
 * Where an interval is not stored, it is folded from stored shorter ones. False, without an
 * answer, while the database is away. */
bool history_read(struct history *h, code_t symbol, enum interval i, int64_t from_us, int64_t to_us,
                  uint32_t limit, bool from_start, history_answer *answer, void *arg);
/* The minutes of a symbol that were open when a process ended. */
bool history_read_open(struct history *h, code_t symbol, int64_t from_us, history_answer *answer,
                       void *arg);
/* Its closed candles that are folded from minutes, from a time on, and from days; in any order. */
bool history_read_longer(struct history *h, code_t symbol, int64_t minutes_us, int64_t days_us,
                         history_answer *answer, void *arg);

#endif
