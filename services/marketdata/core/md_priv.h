/*
 * md_priv.h - what the files of md.h share; nobody else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_MD_PRIV_H
#define SCRIP_MARKETDATA_MD_PRIV_H

#include "marketdata/core/md.h"

/* The whole book, or what stands in for it. `limit` levels a side. */
void md_book_fill(const struct md_symbol *s, uint32_t limit, struct arena *lists,
                  struct md_book *out);
/* Sets the stream's state as of now; a change is told at once. */
void md_state_update(const struct md *m, struct md_symbol *s, int64_t now_us, struct outbox *out);
bool md_quote_known(const struct md_symbol *s);
/* One message of the stream's ends. */
void md_end_publish(struct md_symbol *s, struct outbox *out);

static inline void
md_ticker_changed(struct md_symbol *s)
{
    s->ticker_is_changed = s->ticker_is_news = true;
}

/* ---- md_candles.c ----------------------------------------------------------------------- */

void md_candles_init(struct md_symbol *s, struct arena *memory);
void md_candles_reset(struct md_symbol *s);
/* A trade that is to be remembered next. */
void md_candles_trade(struct md_symbol *s, const struct md_event *e, struct outbox *out);
/* Closes what is over and publishes what changed. */
void md_candles_tick(const struct md *m, struct md_symbol *s, int64_t now_us, struct outbox *out);
/* Whether candles of this interval are made of minutes, or of days. */
bool md_of_minutes(enum interval i);
bool md_of_days(enum interval i);
void md_candle_publish(struct md_symbol *s, enum interval i, const struct candle *c,
                       struct outbox *out);
/* A candle that was told already has become final: for the database alone. */
void md_candle_keep(struct md_symbol *s, enum interval i, const struct candle *c,
                    struct outbox *out);
/* What candles of an interval above 1m are made of. */
struct parts *md_parts_of(struct md_symbol *s, enum interval i);
/* One of the last closed candles, or NULL. */
struct candle *md_closed_find(struct md_candle_slot *slot, int64_t open_us);
/* Remembers and publishes a closed candle. One that is older than those remembered is published
 * alone. */
void md_closed_tell(struct md_symbol *s, enum interval i, struct candle *c, struct outbox *out);
/* Begins the open minute, newer than all that is known, still without a price; what it lies
 * behind ends. */
struct part *md_minute_begin(struct md_symbol *s, int64_t open_us, struct outbox *out);
/* Ends the open minute, if there is one. */
void md_minute_end(struct md_symbol *s, struct outbox *out);
/* A part was changed: open candles that contain it are folded anew. */
void md_part_changed(struct md_symbol *s, int64_t open_us, bool is_day);

/* ---- md_klines.c ------------------------------------------------------------------------ */

MUST_USE enum err md_kline_apply(struct md_symbol *s, const struct md_event *e, struct outbox *out);
/* Tells some of what was corrected. */
void md_debts_tick(struct md_symbol *s, int64_t now_us, struct outbox *out);

#endif
