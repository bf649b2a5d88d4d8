/*
 * md.h - the market data core: events of sources in, sequenced messages out.
 *
 * For each symbol: the book kept true (sync.h), the touch, the latest trades, its minutes and days
 * (parts.h) with the candles (candle.h) and 24-hour statistics (stats.h) made of them, and the
 * number of its last message. Everything of the stream "t.<SYMBOL>." (md_trade, md_quote, md_depth,
 * md_mark, md_liquidation, md_book) carries the symbol's next number; a first number taken from the
 * clock at start keeps numbers rising over a restart.
 *
 * State of a symbol's stream:
 *     LIVE     all is well
 *     HEALING  the book has a gap and waits for a snapshot. After heal_after_us without one the
 *              quotes, where there are any, stand in for the book and the stream is LIVE again.
 *              Or trades are missing, until the source has given them
 *     STALE    nothing was heard for stale_after_us, or the source says that it hears nothing
 *     ENDED    the source has ended
 *
 * Messages go to the outbox as OUT_PUBLISH, answers as OUT_REPLY; a candle that was told and has
 * become final since, as it was, as OUT_KEEP. One call writes at most
 * MD_OUT_MAX messages, and CHECKs that there is room for them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_MD_H
#define SCRIP_MARKETDATA_MD_H

#include "base/map.h"
#include "base/outbox.h"
#include "marketdata/core/candle.h"
#include "marketdata/core/event.h"
#include "marketdata/core/parts.h"
#include "marketdata/core/ring.h"
#include "marketdata/core/stats.h"
#include "marketdata/core/sync.h"

#define MD_OUT_MAX        64u
#define MD_LEVELS_MAX     5000u /* what md_book can carry a side */
#define MD_TRADES_MAX     1000u
#define MD_CLOSED_CANDLES 4u /* closed candles remembered per interval */
/* An hour more than statistics need: the last minute of a day may be corrected when the next one
 * has begun. A month and as much as corrections to the last one need. */
#define MD_MINUTES (STATS_MINUTES + 60u)
#define MD_DAYS    40u
/* Room for the lists of one answer or book. */
#define MD_LISTS_BYTES ((size_t)MD_LEVELS_MAX * 2 * sizeof(struct level) + 4096)

struct md_limits {
    uint32_t symbols_max;
    uint32_t levels_max; /* a side of a book, at most MD_LEVELS_MAX */
    uint32_t kept_levels_max;
    uint32_t ring_messages, ring_bytes;
    int64_t stale_after_us, heal_after_us;
    int64_t price_every_us, candle_every_us, beat_every_us;
    int64_t candle_grace_us; /* how long after its end a quiet candle stays open for late trades */
};

/* A candle that is open is its parts but for the open one, and that one: md_candle_now(). */
struct md_candle_slot {
    bool is_open;
    bool needs_fold; /* `base` does not hold: a part was changed */
    bool has_base;
    bool was_remembered;
    int64_t open_time_us, end_us;
    struct candle base; /* 1s: all of it */
    int64_t published_us;
    struct candle closed[MD_CLOSED_CANDLES]; /* a ring */
    uint32_t closed_count;
};

/* The exchange's trades that a public trade stands for. */
struct md_ids {
    uint64_t first, last;
};

struct md_symbol {
    struct symbol_rules rules;
    uint64_t sequence; /* of the last message */
    struct ring ring;
    struct sync sync;
    struct md_touch quote;     /* last quote of the source */
    struct md_touch touch;     /* quote or top of the book, whichever is newer */
    struct md_mark_price mark; /* last one told */
    struct stats stats;
    /* Candles: 1s by itself, all others from minutes and days. */
    struct parts minutes, days;
    struct part *minute;        /* the open one, in `minutes`; NULL when none is */
    int64_t minute_first_us;    /* its first trade of ours; 0 = none */
    uint64_t minute_from;       /* trades_count when it began */
    uint32_t candles_changed;   /* a bit per interval, since it was last published */
    int64_t live_us;            /* minute since which we hear the market; 0 = not yet */
    int64_t remembered_us;      /* oldest minute of an earlier process; 0 = none */
    int64_t remembered_day_us;  /* and day */
    bool has_remembered_minute; /* what it missed is to be told */
    struct md_candle_slot candles[INTERVALS];
    struct public_trade *trades; /* a ring of MD_TRADES_MAX */
    struct md_ids *trade_ids;    /* of the same ones */
    uint64_t trades_count;       /* ever */
    /* The stream. */
    enum stream_state state;
    bool has_ended;
    bool is_away;       /* the source hears nothing of it */
    bool until_alive;   /* or only a part: away until it says ALIVE */
    bool misses_trades; /* the source asks for some, and keeps the later ones back */
    bool takes_aggregates, takes_trades; /* which kind of trade the source turned out to have */
    bool has_gap;                        /* the book was true once and is not now */
    int64_t market_us;                   /* latest exchange time */
    int64_t market_at_us;                /* our clock, when that was heard */
    int64_t heard_us;                    /* our clock, at the last event; 0 = never */
    int64_t waiting_us; /* our clock, when the book began to wait; 0 = it does not */
    bool price_is_changed;
    bool ticker_is_changed; /* for Redis: the shell takes it back */
    bool ticker_is_news;    /* for followers */
    int64_t price_published_us, beat_published_us, ticker_published_us;
    /* Counted, for metrics: gaps of the book, gaps in trades, trades that stay missing. */
    uint64_t gaps, heals, refused, late_trades, trade_gaps, trade_heals, lost_trades;
};

struct md {
    struct md_limits limits;
    const struct symbol_rules *rules; /* by name */
    uint32_t rules_count;
    struct md_symbol **symbols;
    uint32_t count;
    struct map by_name;
};

/* Bytes that md_init needs. `rules` is borrowed, sorted by name. */
size_t md_bytes(const struct md_limits *l);
void md_init(struct md *m, const struct md_limits *l, const struct symbol_rules *rules,
             uint32_t rules_count, void *bytes);
/* Bytes that one symbol needs. */
size_t md_symbol_bytes(const struct md_limits *l);
/* Adds a symbol with its memory (what must be zero is zeroed here); again is harmless. Refuses with
 * SYMBOL_UNKNOWN (it has no rules) or MARKET_UNAVAILABLE (symbols_max are there): the memory is
 * then not used. */
MUST_USE enum err md_symbol_add(struct md *m, code_t symbol, uint64_t first_sequence, void *bytes);
/* Takes a symbol away, telling its followers that its stream has ended; gives its memory, to be
 * freed once the outbox is sent, or NULL. The last of m->symbols takes its place there. */
void *md_symbol_remove(struct md *m, code_t symbol, struct outbox *out);
/* Other rules for all symbols, borrowed, sorted by name. A symbol that lost its rules keeps the
 * ones it had. */
void md_rules_set(struct md *m, const struct symbol_rules *rules, uint32_t count);
/* NULL when the symbol has no rules. */
const struct symbol_rules *md_rules_find(const struct md *m, code_t symbol);
/* NULL when no source has it. */
struct md_symbol *md_symbol_find(const struct md *m, code_t symbol);

/* The door. Refuses with SYMBOL_UNKNOWN (not added) or LINE_INVALID (a value out of its range);
 * then nothing changed but a counter. */
MUST_USE enum err md_apply(struct md *m, const struct md_event *e, int64_t now_us,
                           struct outbox *out);
/* The same for the symbol of the event, where the caller has found it. */
MUST_USE enum err md_symbol_apply(struct md *m, struct md_symbol *s, const struct md_event *e,
                                  int64_t now_us, struct outbox *out);
/* What time does to one symbol: prices and candles that waited for their turn, candles that are
 * over, beats, a stale stream. */
void md_tick(struct md *m, struct md_symbol *s, int64_t now_us, struct outbox *out);

/* Answers md_snapshot_get, md_depth_get, md_trades_get and md_symbols_get. Refuses with
 * NUMBER_RANGE (limit), SYMBOL_UNKNOWN, or MARKET_UNAVAILABLE (nothing known of it yet). */
MUST_USE enum err md_ask(struct md *m, uint32_t peer, const struct msg *ask, struct outbox *out);
/* Views. */
void md_view_price(const struct md_symbol *s, struct md_price *out);
void md_view_ticker(const struct md_symbol *s, struct md_ticker *out);
bool md_has_price(const struct md_symbol *s);
/* The market's clock: the latest exchange time, moved on by how long ago that was heard. */
int64_t md_market_now(const struct md_symbol *s, int64_t now_us);

/* An open candle as it stands; false when none is open. */
bool md_candle_now(const struct md_symbol *s, enum interval i, struct candle *out);
/* The last candles that memory holds of from_us <= open time <= to_us, oldest first, at most
 * `max`; gives how many. Those that may have begun before what is known are left out. */
uint32_t md_candles_known(const struct md_symbol *s, enum interval i, int64_t from_us,
                          int64_t to_us, uint32_t max, struct candle *out);

/* What a restarted process reads back: the minute that was still open, as of `as_of_us`; closed
 * minutes of the last 24 hours; closed days of the last 31. What we know better stands. The open
 * minute is taken at most once, and only if it lies before everything that was heard since; open
 * candles of other intervals are folded from minutes and passed over here. */
void md_remember_open(struct md_symbol *s, enum interval i, const struct candle *c,
                      int64_t as_of_us);
void md_remember_minute(struct md_symbol *s, const struct candle *c);
void md_remember_day(struct md_symbol *s, const struct candle *c);
/* After those: a closed candle of another interval than 1s, 1m and 1d. Is it not what its minutes
 * or days make, it is told again: the process before may have died owing that. */
void md_remember_longer(struct md_symbol *s, enum interval i, const struct candle *c);

/* CHECKs books, candles and totals. */
void md_check(const struct md *m);

#endif
