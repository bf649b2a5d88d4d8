/*
 * live.h - hears an exchange: connections, subscriptions, what is missing and how it is got back.
 *
 * A state machine without a socket. The shell tells it what happened (opened, closed, a text, an
 * answer, the time); it says what to do (connect, send, close, ask REST) and gives the events of
 * the market in the order in which they are true: trades by their ids, each once, without a hole
 * that is not told; diffs and a snapshot so that sync.c can keep the book.
 *
 * A line is a set of streams on one connection; while it is swapped, on two.
 *
 *     connection   IDLE --> OPENING --> OPEN --> IDLE (backoff with jitter) or CLOSING --> IDLE
 *     line         one OPEN --(23 h, serverShutdown)--> two OPEN --(all heard on the new)--> one
 *     stream       NONE -> WANTED -> ASKED -> THERE -> UNWANTED -> LEAVING -> NONE
 *                             ^---- refused      `---> RENEW -> RENEWING -> WANTED
 *     trades       true --(an id is skipped, or a kline knows more)--> GAP: later ones held back
 *                  GAP --(REST or a late message fills it)--> true    (HEALED)
 *                  GAP --(heal_us is over, or no room)------> true    (HEALED with `lost`; what was
 *                                                              lost is asked for, for the record)
 *     book         sync.h; while it waits, snapshots are asked for with backoff
 *     symbol       heard --(a line of it has no connection)--> AWAY --(all are back)--> ALIVE
 *
 * All memory is the caller's. Time is told (live_time), randomness comes from a seed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_LIVE_H
#define SCRIP_MARKETDATA_LIVE_H

#include "base/map.h"
#include "marketdata/core/binance_list.h"
#include "marketdata/core/event.h"
#include "marketdata/core/sync.h"

#define LIVE_GROUPS_MAX    2u /* USD-M: public and market streams have roots of their own */
#define LIVE_SLOTS         2u /* connections of a line: the one that is, the one to come */
#define LIVE_NONE          UINT32_MAX
#define LIVE_HELD_BYTES    384u /* a trade's text longer than this is written anew */
#define LIVE_WRITTEN_BYTES 1024u
#define LIVE_URL_STREAMS   100u /* in the URL of a connection; further ones are subscribed to */
#define LIVE_BATCH_MAX     50u  /* streams in one SUBSCRIBE */
#define LIVE_TEXT_BYTES    16384u
#define LIVE_RULES_NAMED   100u /* more symbols: the whole exchangeInfo is asked for */
#define LIVE_LOST_MAX      64u
#define LIVE_FORCED_MAX    8u
#define LIVE_TICK_US       INT64_C(50000) /* live_tick() is wanted this often */

enum live_kind {
    LIVE_TRADES,
    LIVE_QUOTES,
    LIVE_DEPTH,
    LIVE_KLINES,
    LIVE_MARKS,
    LIVE_FORCED,
    LIVE_KINDS
};

struct live_options {
    enum trading_type market; /* spot or futures: USD-M */
    uint32_t symbols_max;
    uint32_t streams_max;     /* on a connection */
    uint32_t attempts_max;    /* connections begun in any 5 minutes, half of them at once */
    uint32_t asks_max;        /* REST requests under way */
    uint32_t held_max;        /* trades kept back, all symbols together */
    uint32_t levels_max;      /* a side, of one message */
    uint32_t kept_levels_max; /* as the core's sync has */
    uint32_t snapshot_levels; /* a side, that are asked for: 100, 500 or 1000 */
    int64_t swap_us;          /* a connection is replaced when it is so old */
    int64_t overlap_us;       /* two connections run at most so long together */
    int64_t heal_us;          /* a gap is waited for so long */
    uint64_t seed;
};

/* ---- Connections ------------------------------------------------------------------------ */

enum live_conn_state { LIVE_IDLE, LIVE_OPENING, LIVE_OPEN, LIVE_CLOSING };

enum live_sub {
    LIVE_SUB_NONE,
    LIVE_SUB_WANTED,
    LIVE_SUB_ASKED,
    LIVE_SUB_THERE,
    LIVE_SUB_UNWANTED,
    LIVE_SUB_LEAVING,
    LIVE_SUB_RENEW,
    LIVE_SUB_RENEWING
};

struct live_conn {
    enum live_conn_state state;
    bool is_wanted;
    bool has_work;     /* a stream may have to be subscribed to, or left */
    uint32_t failures; /* since a message was last heard */
    int64_t due_us;    /* IDLE: not before */
    int64_t opened_us;
    int64_t full_us;  /* all streams there since; 0 = not yet */
    int64_t swap_us;  /* when it is to be replaced */
    int64_t pace_us;  /* next message not before */
    uint32_t batch;   /* streams a message: halved by a refusal */
    uint32_t silent;  /* messages in a row that were never answered */
    uint64_t request; /* the message that waits for its answer; 0 = none */
    int64_t request_us;
};

struct live_line {
    uint32_t group;
    uint32_t symbols; /* that have it; 0 = not in use */
    uint32_t current; /* slot */
    bool is_swapping;
    int64_t heard_us;
    struct live_conn conn[LIVE_SLOTS];
};

/* ---- Symbols ---------------------------------------------------------------------------- */

/* A stream seen against the others of its symbol. */
struct live_watch {
    int64_t behind_us;  /* since when others know more; 0 = they do not */
    int64_t renew_us;   /* not renewed before */
    int64_t wait_us;    /* doubles with each renewal that did not help */
    int64_t refused_us; /* refused by the exchange: not asked for again before */
};

struct live_held {
    uint32_t next;
    uint32_t length; /* 0: the text is to be written */
    bool is_backfill;
    uint64_t first_trade, last_trade;
    struct public_trade trade;
    char text[LIVE_HELD_BYTES];
};

struct live_trades {
    uint64_t last_id;    /* given; 0 = none yet */
    uint64_t last_raw;   /* the trade it ends with: aggregated ones stand for several */
    uint64_t known_raw;  /* the latest kline ends with this one */
    uint64_t want_raw;   /* to be caught up with, because no message came; 0 = nothing */
    uint32_t head, tail; /* held, by id */
    uint32_t held;
    bool has_gap;                   /* told, and not yet healed */
    uint64_t gap_to;                /* last id of the hole that was told */
    int64_t gap_us;                 /* when */
    int64_t ahead_us;               /* since when one of two connections is ahead; 0 = it is not */
    bool gives_up;                  /* the core is to go on without what is missing */
    uint64_t lost;                  /* in this gap */
    uint64_t lost_first, lost_last; /* to be marked before what follows; 0 = nothing */
    bool is_asked;
    uint32_t failures;
    int64_t ask_us; /* not before */
};

struct live_book {
    struct sync sync; /* ids only, no levels: whether the core's book is true */
    uint32_t kept_levels;
    bool has_been_true;
    uint64_t diff_id; /* last update id of the last diff given */
    int64_t ahead_us; /* since when one of two connections is ahead; 0 = it is not */
    bool is_asked;
    uint32_t failures;
    int64_t ask_us;
    uint32_t losses; /* by the core, one soon after the other */
    int64_t lost_us; /* the last of them */
};

/* The exchange's own minutes, and its days. */
struct live_klines {
    int64_t closed_us;         /* open time of the last closed one that is known; 0 = none */
    int64_t event_us, open_us; /* of the last one heard */
    bool is_wanted, is_asked;
    uint32_t failures;
    int64_t ask_us;
};

enum live_pending { LIVE_TELL_AWAY = 1, LIVE_TELL_ALIVE = 2, LIVE_TELL_TRADES = 4 };

struct live_symbol {
    code_t name;                              /* ours */
    char wire[CODE_BYTES], lower[CODE_BYTES]; /* the exchange's */
    bool is_used, is_leaving, has_rules;
    bool is_away, has_given;
    int64_t missed_us;   /* away: a stream was missing then */
    uint32_t generation; /* of this place: an answer to an earlier symbol is not for this one */
    uint32_t line[LIVE_GROUPS_MAX];
    uint8_t sub[LIVE_SLOTS][LIVE_KINDS]; /* enum live_sub */
    uint8_t heard[LIVE_SLOTS];           /* bits of kinds */
    struct live_watch watch[LIVE_KINDS];
    struct live_trades trades;
    struct live_book book;
    struct live_klines minutes, days;
    uint64_t quote_id;
    int64_t mark_us;              /* exchange time of the last one */
    int64_t heard_us[LIVE_KINDS]; /* our clock; 0 = never */
    uint64_t forced[LIVE_FORCED_MAX];
    uint32_t forced_count;
    unsigned pending; /* enum live_pending */
    bool is_dirty;
    uint32_t next_dirty;
    int64_t told_us; /* our clock: last event or ALIVE */
};

/* ---- Requests --------------------------------------------------------------------------- */

enum live_ask_kind {
    LIVE_ASK_NONE,
    LIVE_ASK_RULES,
    LIVE_ASK_TRADES,
    LIVE_ASK_BOOK,
    LIVE_ASK_LOST,
    LIVE_ASK_MINUTES,
    LIVE_ASK_DAYS,
    LIVE_ASK_KINDS
};

struct live_ask {
    enum live_ask_kind kind;
    uint32_t number; /* what the shell answers with; rises */
    uint32_t symbol, generation;
    uint32_t place; /* of what was lost */
    uint64_t from;
    int64_t asked_us;
};

/* Trades the core went on without. */
struct live_lost {
    bool is_used, is_asked;
    uint32_t symbol, generation;
    uint64_t first, last;
    uint32_t failures;
    int64_t ask_us;
};

enum live_do_kind { LIVE_DO_NOTHING, LIVE_DO_CONNECT, LIVE_DO_SEND, LIVE_DO_CLOSE, LIVE_DO_ASK };

struct live_do {
    enum live_do_kind kind;
    uint32_t conn;    /* all but ASK */
    uint32_t ask;     /* its number */
    const char *text; /* path and query, or the message; lent until the next call */
    uint32_t weight;
    bool is_urgent; /* what keeps the stream true goes before what only completes it */
    enum live_ask_kind what;
};

/* What an answer was to the shell. */
enum live_reply { LIVE_REPLY_OK, LIVE_REPLY_FAILED, LIVE_REPLY_REFUSED };

/* An event for the core, and what is to be recorded of it. */
struct live_given {
    bool has_event; /* without one, the text is for the record only */
    struct md_event event;
    const char *text; /* JSON; NULL = nothing to record; lent until the next call */
    size_t length;
    const char *mark; /* recorded before the text: gap, heal, lost, away, break; NULL = none */
    uint64_t mark_first, mark_last;
    bool is_snapshot;  /* the text is a REST answer: to be put into an envelope */
    const char *lower; /* then, the symbol in the stream's name */
};

struct live_counts {
    uint64_t reconnects, swaps, renewals;
    uint64_t gaps, heals, lost, found_late; /* trades and books */
    uint64_t doubled;                       /* dropped, because they were there before */
    uint64_t invalid, ignored;
    uint64_t refused; /* subscriptions */
};

struct live {
    struct live_options o;
    uint32_t groups, lines_max, lines_symbols; /* symbols a line has room for */
    struct live_symbol *symbols;
    struct map by_wire, by_name;
    struct live_line *lines;
    struct live_ask *asks;
    struct live_lost lost[LIVE_LOST_MAX];
    struct live_held *held;
    uint32_t held_free;
    struct level *levels;
    char *text;    /* what is said: LIVE_TEXT_BYTES */
    char *written; /* a record that we write: LIVE_WRITTEN_BYTES */
    /* Time. */
    int64_t now_us, wall_us; /* one that never jumps; the one that events are stamped with */
    uint64_t random;
    int64_t attempts_us; /* when all connections begun so far would be paid for */
    uint64_t requests;   /* numbers of our messages */
    uint32_t ask_numbers;
    bool is_due; /* live_poll() has something to do before the next tick */
    /* Rules. */
    bool rules_wanted, rules_asked, rules_whole;
    int64_t rules_us;     /* next asked at, when nothing is wanted */
    int64_t rules_ask_us; /* not before */
    uint32_t rules_failures;
    /* What is being given. */
    uint32_t dirty_first, dirty_last;
    bool has_given;
    struct live_given given;
    struct live_ask answer; /* whose list is being read; kind NONE = none */
    struct binance_list list;
    uint64_t answer_items, answer_used;
    struct live_counts counts;
};

size_t live_bytes(const struct live_options *o);
void live_init(struct live *l, const struct live_options *o, void *bytes);

/* Takes a symbol on; it is subscribed to once it has rules. Again is harmless. Refuses with
 * SYMBOLS_FULL, or SYMBOL_UNKNOWN: it cannot be a name of this market. */
MUST_USE enum err live_symbol_add(struct live *l, code_t name, bool has_rules);
/* Nothing more is given of it. Harmless when it is not there. */
void live_symbol_remove(struct live *l, code_t name);
/* Rules of this symbol are known now. */
void live_rules_known(struct live *l, code_t name);
/* The book that was made of what was given is wrong, though no diff was missing (it crosses): a
 * snapshot is wanted. Harmless while one is waited for. */
void live_book_lost(struct live *l, code_t name);
bool live_symbol_has_rules(const struct live *l, code_t name);

/* ---- What happened ---------------------------------------------------------------------- */

/* Both clocks, before anything else of a turn. */
void live_time(struct live *l, int64_t now_us, int64_t wall_us);
/* Every LIVE_TICK_US. */
void live_tick(struct live *l);
void live_opened(struct live *l, uint32_t conn);
void live_closed(struct live *l, uint32_t conn);
void live_alive(struct live *l, uint32_t conn);
/* A message; lent until live_next() has given false. */
void live_text(struct live *l, uint32_t conn, const char *text, size_t length);
/* An answer; lent until live_next() has given false. REFUSED: no budget for retry_us. Of
 * LIVE_ASK_RULES the shell reads the body itself, and says live_rules_known() before. */
void live_answer(struct live *l, uint32_t ask, enum live_reply reply, int status, const char *body,
                 size_t length, int64_t retry_us);

/* ---- What follows ----------------------------------------------------------------------- */

/* The next event; false when there is no more until something happens. To be emptied after each
 * of the calls above. */
bool live_next(struct live *l, struct live_given *out);
/* What to do next; LIVE_DO_NOTHING when all is done. */
enum live_do_kind live_poll(struct live *l, struct live_do *out);

/* Connections that are open now; and whether every symbol is heard. */
uint32_t live_connections(const struct live *l);
bool live_is_complete(const struct live *l);
/* CHECKs lists and counts. */
void live_check(const struct live *l);

#endif
