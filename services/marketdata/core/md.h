/*
 * md.h - the market data core: events of sources in, sequenced messages out.
 *
 * For each symbol: the book kept true (sync.h), the touch, the latest trades, candles (candle.h),
 * 24-hour statistics (stats.h), and the number of its last message. Everything of the stream
 * "t.<SYMBOL>." (md_trade, md_quote, md_depth, md_mark, md_book) carries the symbol's next number;
 * a first number taken from the clock at start keeps numbers rising over a restart.
 *
 * State of a symbol's stream:
 *     LIVE     all is well
 *     HEALING  the book has a gap and waits for a snapshot. After heal_after_us without one the
 *              quotes, where there are any, stand in for the book and the stream is LIVE again
 *     STALE    nothing was heard for stale_after_us
 *     ENDED    the source has ended
 *
 * Messages go to the outbox as OUT_PUBLISH, answers as OUT_REPLY. One call writes at most
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
#include "marketdata/core/ring.h"
#include "marketdata/core/stats.h"
#include "marketdata/core/sync.h"

#define MD_OUT_MAX        40u
#define MD_LEVELS_MAX     5000u /* what md_book can carry a side */
#define MD_TRADES_MAX     1000u
#define MD_CLOSED_CANDLES 4u /* closed candles remembered per interval */
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

struct md_candle_slot {
    struct candle now; /* trades == 0: none is open */
    int64_t first_trade_us;
    bool is_changed; /* since it was last published */
    int64_t published_us;
    bool was_remembered;
    struct candle closed[MD_CLOSED_CANDLES]; /* a ring */
    uint32_t closed_count;
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
    struct md_candle_slot candles[INTERVALS];
    struct public_trade *trades; /* a ring of MD_TRADES_MAX */
    uint64_t trades_count;       /* ever */
    /* The stream. */
    enum stream_state state;
    bool has_ended;
    bool takes_aggregates, takes_trades; /* which kind of trade the source turned out to have */
    bool has_gap;                        /* the book was true once and is not now */
    int64_t market_us;                   /* latest exchange time */
    int64_t heard_us;                    /* our clock, at the last event; 0 = never */
    int64_t waiting_us; /* our clock, when the book began to wait; 0 = it does not */
    bool price_is_changed, ticker_is_changed;
    int64_t price_published_us, beat_published_us;
    /* Counted, for metrics. */
    uint64_t gaps, heals, refused, late_trades;
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
/* Adds a symbol with its memory (zeroed here); again is harmless. Refuses with SYMBOL_UNKNOWN (it
 * has no rules) or MARKET_UNAVAILABLE (symbols_max are there): the memory is then not used. */
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

/* What a restarted process reads back: candles that were still open, as of `as_of_us`, and the
 * closed minutes of the last day. Each is taken at most once, and only if it lies before
 * everything that was heard since. */
void md_remember_open(struct md_symbol *s, enum interval i, const struct candle *c,
                      int64_t as_of_us);
void md_remember_minute(struct md_symbol *s, const struct candle *c);

/* CHECKs books, candles and totals. */
void md_check(const struct md *m);

#endif
