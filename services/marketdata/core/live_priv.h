/*
 * live_priv.h - what the parts of the live source say to each other; for live*.c only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_LIVE_PRIV_H
#define SCRIP_MARKETDATA_LIVE_PRIV_H

#include "marketdata/core/binance.h"
#include "marketdata/core/live.h"

#define LIVE_SECOND_US INT64_C(1000000)
#define LIVE_MINUTE_US (60 * LIVE_SECOND_US)
#define LIVE_DAYS      32u /* of daily klines at start: 31 closed ones and today */

/* ---- live.c ---- */
uint64_t live_random(struct live *l, uint64_t below);
/* least_us doubled with each failure up to most_us, at a random point of the upper part. */
int64_t live_backoff(struct live *l, uint32_t failures, int64_t least_us, int64_t most_us);
uint32_t live_index(const struct live *l, const struct live_symbol *s);
/* The group of a stream; LIVE_NONE where the market has no such stream. */
uint32_t live_group(const struct live *l, enum live_kind kind);
/* Something is to be told of this symbol: live_next() comes to it. */
void live_dirty(struct live *l, struct live_symbol *s, enum live_pending pending);
/* Makes this the next event; `text` NULL: nothing to record. */
void live_give(struct live *l, struct live_symbol *s, const struct md_event *e, const char *text,
               size_t length);
/* Marks the event that was given last. */
void live_mark(struct live *l, const char *mark, uint64_t first, uint64_t last);
/* By our name; NULL when it is not there. */
struct live_symbol *live_symbol_find(const struct live *l, code_t name);
/* The symbol of an earlier request, unless it was let go meanwhile. */
struct live_symbol *live_symbol_of(struct live *l, uint32_t symbol, uint32_t generation);

/* ---- live_conn.c ---- */
bool live_line_find(struct live *l, struct live_symbol *s);
void live_streams_want(struct live *l, struct live_symbol *s);
void live_streams_leave(struct live *l, struct live_symbol *s);
void live_streams_drop(struct live *l, struct live_symbol *s);
bool live_streams_gone(const struct live_symbol *s);
/* Leaves a stream and subscribes to it again, with backoff. */
void live_renew(struct live *l, struct live_symbol *s, enum live_kind kind);
/* Whether every line of the symbol has an open connection that carries it. */
bool live_carried(const struct live *l, const struct live_symbol *s);
bool live_carries(const struct live *l, const struct live_symbol *s, uint32_t slot,
                  enum live_kind kind);
void live_control(struct live *l, uint32_t conn, const struct binance_control *c);
void live_conn_heard(struct live *l, uint32_t conn);
void live_conns_tick(struct live *l);
bool live_conns_poll(struct live *l, struct live_do *out);

/* ---- live_trades.c ---- */
void live_trade_take(struct live *l, struct live_symbol *s, const struct md_event *e,
                     const char *text, size_t length);
/* A kline ends with this trade. */
void live_trades_known(struct live *l, struct live_symbol *s, uint64_t raw);
bool live_trades_next(struct live *l, struct live_symbol *s);
void live_trades_tick(struct live *l, struct live_symbol *s);
/* No more of a request's trades: used = how many were new. */
void live_trades_answered(struct live *l, struct live_symbol *s, bool is_ok, uint64_t used);
void live_trades_forget(struct live *l, struct live_symbol *s);
/* A trade of an answer; false: the rest of it is not wanted. */
bool live_trades_backfill(struct live *l, struct live_symbol *s, const struct md_event *e);
bool live_lost_backfill(struct live *l, struct live_lost *lost, const struct md_event *e);

/* ---- live_streams.c ---- */
void live_event_take(struct live *l, struct live_symbol *s, uint32_t slot, struct md_event *e,
                     const char *text, size_t length);
void live_streams_tick(struct live *l, struct live_symbol *s);
/* A snapshot: whether it was given to the core. */
bool live_book_take(struct live *l, struct live_symbol *s, struct md_event *e, const char *text,
                    size_t length);
bool live_book_waits(const struct live_symbol *s);

/* ---- live_ask.c ---- */
bool live_asks_poll(struct live *l, struct live_do *out);
/* The next item of the answer being read; false when it is over. */
bool live_answer_next(struct live *l);
void live_asks_tick(struct live *l);

#endif
