/*
 * ledger.h - the whole public face of the ledger core: accounts, balances, orders, their money.
 *
 * The core is a pure state machine: (state, command, now) -> (state, outbox). It allocates nothing
 * after ledger_init(), never reads a clock, never logs. The shell owns sockets, the journal (its
 * sequence numbers and hash chain included: the core knows nothing of records), the tables.
 *
 *   live     ledger_request()   lookup + admission + apply: enriches the command in place
 *   replay   ledger_replay()    apply only: needs no rules, prices or configuration
 *
 * One shard = map_mix(account_id) & 63. Every posting stays inside one shard, so each shard sums
 * to zero per asset alone and can be journaled, digested and moved alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_LEDGER_H
#define SCRIP_LEDGER_CORE_LEDGER_H

#include "base/map.h"
#include "base/msg.h"
#include "base/outbox.h"

#define LEDGER_SHARDS       64
#define LEDGER_NONE         UINT32_MAX /* "no index" in every pool */
#define LEDGER_CASH         "USDT"     /* asset of paper balances */
#define LEDGER_TIERS_MAX    16
#define LEDGER_COMMANDS_MAX 16  /* command ids remembered per account */
#define LEDGER_VIEW_FILLS   500 /* fills in an order_view */
#define LEDGER_OPEN_MAX     500 /* open orders per account, at most */
#define LEDGER_WALLETS      2   /* TRADING_TYPE_spot, TRADING_TYPE_futures */

/* What one command can put into the outbox at most: messages, and bytes of their lists. */
#define LEDGER_OUT_MAX   1200
#define LEDGER_OUT_BYTES (4u << 20)

/* Accounts of the double entry that belong to nobody, one of each kind per shard. */
enum system_account { SYSTEM_ISSUANCE = 1, SYSTEM_HOUSE = 2, SYSTEM_FEES = 3 };

#define SYSTEM_KINDS         3
#define SYSTEM_ACCOUNT_FIRST (UINT64_C(1) << 50)

static inline uint64_t
ledger_system_id(enum system_account kind, uint32_t shard)
{
    return SYSTEM_ACCOUNT_FIRST + (uint64_t)kind * LEDGER_SHARDS + shard;
}

/* Shard of a user's or a system account. */
uint32_t ledger_shard_of(uint64_t account_id);
/* Shard in the high bits of an order, trade or change id. */
static inline uint32_t
ledger_shard_of_id(uint64_t id)
{
    return (uint32_t)(id >> 47) & (LEDGER_SHARDS - 1);
}

/* ---- Configuration ------------------------------------------------------------------------ */

/* Sizes of the pools. Everything is allocated once, by the caller, from ledger_bytes(). */
struct ledger_limits {
    uint32_t accounts_max; /* users' accounts; system accounts come on top */
    uint32_t balances_max; /* users' and system accounts' */
    uint32_t orders_max;   /* open ones and finished ones kept for retries and order_get */
    uint32_t orders_high;  /* ledger_evict() works down to this many */
    uint32_t assets_max;
    uint32_t symbols_max;
    uint32_t fills_max;   /* ring of the latest fills, at least 1024 */
    uint32_t changes_max; /* ring of balance changes not yet drained, at least 1024 */
    uint32_t stories_max; /* ring of orders' stories not yet drained, at least 1024 */
    uint32_t events_max;  /* ring of the latest events, for event_resume */
    uint32_t waiters_max; /* requests that wait for a matcher's report */
    int64_t keep_us;      /* a finished order stays at least that long: retries find it */
};

struct ledger_tier {
    rate_t maker_fee_rate, taker_fee_rate;
    money_t balance_min, balance_max;
};

/* Judged at admission only, and written into the command: a replay never reads it. */
struct ledger_policy {
    money_t spot_opening, futures_opening;
    uint32_t tier_opening;
    enum fill_preset fill_preset;    /* of new accounts; NONE: no fill rules */
    rate_t slippage_max;             /* a market order's worst price is this far from the last */
    uint32_t orders_per_account_max; /* open orders; 1 to LEDGER_OPEN_MAX */
    uint32_t tiers_count;            /* at least 1 */
    struct ledger_tier tiers[LEDGER_TIERS_MAX];
};

/* ---- State ---------------------------------------------------------------------------------- */

struct ledger_shard {
    /* persistent */
    uint64_t order_sequence, trade_sequence, change_sequence; /* last one given */
    /* derived */
    uint32_t accounts, open_orders; /* users' accounts */
    uint32_t newest_account;        /* the system's included */
};

/* A command id that was run, and a hash of what it asked for. */
struct ledger_command {
    uint64_t id, hash;
};

struct ledger_settings {
    enum trading_mode mode;
    bool dry_run_mode, auto_trading;
    money_t margin_per_trade;
    uint32_t leverage;
    struct fill_rules fill;
};

struct ledger_account {
    /* persistent */
    uint64_t id, user_id;
    uint64_t event_sequence; /* of its last event */
    uint64_t orders_placed;  /* ever; more than `orders` says that some are in tables only */
    uint32_t tier;
    uint32_t commands_next;                          /* slot the next command id goes to */
    struct ledger_settings settings[LEDGER_WALLETS]; /* by trading_type - 1 */
    struct ledger_command commands[LEDGER_COMMANDS_MAX];
    /* derived */
    uint32_t shard;
    uint32_t older;                       /* account of the shard */
    uint32_t first_balance, last_balance; /* in the order they were opened */
    uint32_t balances;
    uint32_t newest_open; /* open orders, newest first */
    uint32_t open_orders;
    uint32_t orders; /* in memory, open or finished */
    /* volatile */
    uint64_t last_event;  /* place in the event ring + 1; 0 = none */
    uint32_t first_group; /* order_cancel_all requests that wait */
    uint32_t dirty;       /* of enum ledger_dirty */
};

__extension__ typedef __int128 ledger_sum;

enum ledger_dirty { DIRTY_ACCOUNT = 1, DIRTY_SPOT_SETTINGS = 2, DIRTY_FUTURES_SETTINGS = 4 };

struct ledger_balance {
    money_t free, held; /* persistent; a system account's free may be negative, held is 0 */
    uint32_t account;
    uint16_t asset;
    uint8_t wallet; /* enum trading_type */
    bool dirty;
    uint32_t next; /* of the same account */
};

struct ledger_symbol {
    code_t code;
    /* volatile: told by the shell, read by admission only */
    struct symbol_rules rules;
    price_t last, average, bid, ask, mark; /* 0 = not known */
    int64_t told_us;                       /* exchange time as last told; 0 = never */
    int64_t market_us, heard_us;           /* the market's clock stood there at that steady time */
    bool clock_stands;                     /* its stream gives nothing: time does not go on */
    bool is_middle;                        /* `last` is no trade's price */
    bool is_known;                         /* has rules */
    bool matcher_away;
};

/* On which end of the order it waits for a PENDING_NEW order becomes live. */
enum ledger_rule {
    RULE_NONE = 0,  /* it never waited */
    RULE_COMPLETE,  /* pending orders of a list: COMPLETE */
    RULE_CANCELLED, /* a replacement, STOP_ON_FAILURE: CLIENT_CANCEL */
    RULE_ANY_END,   /* a replacement, ALLOW_FAILURE */
};

/*
 *   order_place ──► NEW ──fill──► PARTIALLY_FILLED ──fill──► FILLED
 *                  ▲ │                 │
 *   the end that   │ ├─────────────────┴──► CANCELED   CLIENT_CANCEL
 *   it waited for  │ │                 ├──► EXPIRED    IOC_REMAINDER, INSUFFICIENT_LIQUIDITY,
 *                  │ │                 │               FOK_UNFILLABLE, MARKET_STALE, GTD_REACHED,
 *                  │ ├─────────────────┤               SYMBOL_REMOVED, OCO_TRIGGER
 *                  │ │                 └──► EXPIRED_IN_MATCH   SELF_TRADE
 *                  │ └────────────────────► REJECTED   WOULD_TAKE, BOOK_FULL, LIST_REJECTED;
 *                  │                                   at once: SIMULATED_REJECT
 *   PENDING_NEW ───┴──────────────────────► CANCELED, EXPIRED (OTO_PHASE_ONE_EXPIRED, GTD_REACHED),
 *                                           REJECTED (NOT_ACTIVATED, CANCEL_FAILED)
 *
 * Live is NEW and PARTIALLY_FILLED; open is live or PENDING_NEW. A stop order is armed (NEW with a
 * rank) until a report sets it off.
 */
struct ledger_order {
    /* persistent */
    uint64_t id;
    cid_t client_order_id;
    uint32_t account;
    uint16_t symbol;
    uint8_t side, type, time_in_force, status, end; /* enums of messages.def */
    bool id_was_made;
    price_t price;           /* limit; 0 for a market order */
    price_t worst_price;     /* no fill is worse: the limit, or the cap of a market order */
    price_t reference_price; /* last price known when it was accepted */
    qty_t quantity;          /* 0 for an order by quote amount */
    money_t quote_quantity;  /* 0 for an order by quantity */
    qty_t step_size;
    qty_t executed;
    money_t executed_quote;
    money_t hold; /* reserved at the start, in the asset it pays with */
    money_t held; /* still reserved, in the asset it pays with */
    rate_t maker_fee_rate, taker_fee_rate;
    uint64_t rank;  /* time priority; 0 = never rested */
    uint32_t fills; /* ever */
    int64_t created_us, updated_us;
    /* persistent, 0 where it does not apply; those marked * are in struct order too */
    uint8_t trigger_source, self_trade_prevention; /* * * */
    uint8_t fill_preset, fill_model;               /* * * */
    uint8_t contingency, leg;                      /* of its list, and its place in it, from 0 */
    uint8_t rule;                                  /* enum ledger_rule; stays when it became live */
    uint16_t refused_by;     /* * enum err, when it was rejected at becoming live */
    price_t stop_price;      /* * */
    uint32_t trailing_delta; /* * basis points */
    int64_t triggered_us;    /* * */
    price_t trail_extreme;   /* best price told since it began to trail */
    qty_t iceberg_quantity;  /* * */
    int64_t expire_us;       /* * */
    int64_t live_us;         /* since when it is for the matcher; 0 = PENDING_NEW or never */
    qty_t prevented;         /* * prevented_quantity */
    qty_t amended_from;      /* * quantity as placed, once it was lowered */
    uint32_t amends;         /* how often it was lowered */
    uint64_t list_id;        /* * id of the list's first order */
    uint64_t waits_for;      /* * PENDING_NEW only: id of an open order */
    uint64_t replaces;       /* * */
    uint32_t latency_us;     /* * */
    uint32_t cancel_latency_us;
    uint32_t slippage_bps; /* * */
    int64_t market_us;     /* * */
    /* derived */
    uint32_t base_balance, quote_balance;
    uint32_t house_base, house_quote, fees; /* balances it is settled against */
    uint32_t same_hash;                     /* next order whose client id has the same hash */
    uint32_t newer, older;    /* open: of its account; finished: by time of finishing; free: next */
    uint32_t first_dependent; /* orders that wait for this one, by rising id */
    uint32_t next_dependent;  /* of those that wait for the same order */
    uint64_t first_fill, last_fill; /* places in the fill ring + 1; 0 = none kept */
    uint32_t fills_kept;
    /* volatile */
    uint32_t first_waiter;
    int64_t pulled_us;  /* when an order_pull was last sent and not answered; 0 = none */
    int64_t trimmed_us; /* the same of an order_trim, which was to this: */
    qty_t trimmed_to;
    uint8_t pins; /* order_cancel_all requests that will list it: not to be evicted */
    bool dirty;
    bool was_drained; /* ever, or loaded: the tables have a row of it */
    uint64_t drained; /* generation it was last drained in */
};

struct ledger_fill {
    struct trade trade;
    uint64_t account_id;
    uint64_t next; /* place + 1 of the order's next fill; 0 = last */
    uint32_t order;
};

struct ledger_change {
    uint64_t account_id;
    enum trading_type wallet;
    struct balance_change change;
};

struct ledger_story {
    uint64_t account_id, order_id;
    struct story story;
};

struct ledger_event;  /* events.h */
struct ledger_waiter; /* waiter.h */
struct ledger_group;  /* waiter.h */

struct ledger_ring {
    uint64_t put;     /* how many were ever put; the next place is put % max */
    uint64_t drained; /* how many of them were drained */
    uint32_t max;
};

/* So many more can be put before what was not drained would be lost. */
static inline uint64_t
ledger_ring_room(const struct ledger_ring *ring)
{
    return ring->max - (ring->put - ring->drained);
}

struct ledger_list { /* indexes that changed since the last drain */
    uint32_t *items;
    uint32_t count;
};

struct ledger {
    struct ledger_limits limits;
    struct ledger_policy policy;

    struct ledger_shard shards[LEDGER_SHARDS];
    struct ledger_account *accounts;
    struct ledger_balance *balances;
    struct ledger_symbol *symbols;
    code_t *assets;
    struct ledger_order *orders;
    int64_t steady_us; /* volatile: what the markets' clocks go on by */
    uint32_t accounts_count, balances_count, symbols_count, assets_count;
    uint32_t orders_count;   /* in use */
    uint32_t orders_reached; /* slots ever used: those behind were never touched */
    uint32_t orders_free;    /* first free slot below it */
    uint32_t finished_oldest, finished_newest;

    struct map account_by_id, order_by_id, order_by_client, balance_by_key, symbol_by_code,
        asset_by_code;

    struct ledger_fill *fills;
    struct ledger_ring fill_ring;
    struct ledger_change *changes;
    struct ledger_ring change_ring;
    struct ledger_story *stories;
    struct ledger_ring story_ring;
    struct ledger_event *events;
    struct ledger_ring event_ring;
    struct ledger_waiter *waiters;
    uint32_t waiters_free, waiters_spare;
    struct ledger_group *groups;
    uint32_t groups_free;

    struct ledger_list dirty_accounts, dirty_balances, dirty_orders;
    uint64_t generation;                  /* of the last drain */
    uint64_t projected;                   /* generation known to be in the tables */
    ledger_sum *incomes;                  /* what open orders may bring in, per shard and asset */
    uint32_t *scratch, *scratch_balances; /* for walks in canonical order */
    int64_t *holds;                       /* for proofs: of one account, per asset and wallet */
    ledger_sum *sums, *sums_in;           /* for proofs: of one shard, per asset */

    /* counters for the shell's metrics */
    uint64_t reports_refused;
    uint64_t reports_diverged; /* of these, for open orders: begin a new session with the matcher */
    uint64_t orders_evicted;
};

/* ---- Life ------------------------------------------------------------------------------------ */

/* Bytes of the one block ledger_init() needs. */
size_t ledger_bytes(const struct ledger_limits *limits);
/* Borrows `memory` (aligned to 16, zeroed: calloc or mmap). Opens the shards' system accounts. */
void ledger_init(struct ledger *l, const struct ledger_limits *limits,
                 const struct ledger_policy *policy, void *memory);
/* Moves to pools that are larger, in other memory of the same kind; everything keeps its index. The
 * rings and the waiters stay as large as they were. */
void ledger_grow(struct ledger *l, const struct ledger_limits *limits, void *memory);
/* May be called again when the configuration is reloaded. */
void ledger_set_policy(struct ledger *l, const struct ledger_policy *policy);

/* What admission knows of the market. Not part of the state. SYMBOLS past symbols_max are refused
 * with ERR_SYMBOL_UNKNOWN. */
MUST_USE enum err ledger_set_rules(struct ledger *l, const struct symbol_rules *rules);
void ledger_set_price(struct ledger *l, const struct md_price *price);
/* Now, by a clock that nobody sets; at every turn. Each symbol's market clock goes on by it from
 * the time its price was told with: the clock that orders are accepted at. */
void ledger_set_steady(struct ledger *l, int64_t steady_us);
/* New orders get MATCHER_UNAVAILABLE while set. NULL = every symbol. */
void ledger_set_matcher_away(struct ledger *l, const code_t *symbol, bool away);

/* ---- Commands -------------------------------------------------------------------------------- */

enum ledger_outcome {
    /* The state changed. Journal `cmd` (as enriched) with this now_us for ledger_shard_of_cmd();
     * nothing of the outbox may leave before that record is committed (OUT_MATCHER may). */
    LEDGER_CHANGED,
    /* Nothing to journal. The answer is in the outbox, or comes with a later report. It may rest
     * on commands not yet committed: let it wait for the batch at work. */
    LEDGER_ANSWERED,
    /* The tables must be asked first; the outbox is untouched.
     *   order_list, trade_list, balance_history: the shell answers from the tables.
     *   order_place, order_replace, order_amend, order_get, order_cancel: find the order of this
     *   account by client order id or order id (with its latest LEDGER_VIEW_FILLS fills) and call
     *   ledger_found().
     *   list_place (by its first order's client order id), list_get (by its id): find the list with
     *   all its orders and call ledger_found_list().
     *   order_why, of an order that is not open: find it with its fills and its story and call
     *   ledger_found_story(). */
    LEDGER_LOOKUP,
};

/* Whether the outbox, the fill ring and the change ring have room for one more command. When
 * false: send what is in the box, ledger_drain(), then go on. */
bool ledger_ready(const struct ledger *l, const struct outbox *out);

/*
 * The one door for live messages to the ledger: commands and queries of the gateways, reports of
 * the matchers (peer 0). CHECKs ledger_ready(). Refusals are answered as MSG_refused to `peer`.
 * Requests resent with the same (peer, corr) are harmless. Reports that make no sense are refused
 * with REPORT_REFUSED to peer 0 (for the log) and counted.
 * An order_amend of a PENDING_NEW order, and nothing else, becomes another command on its way: the
 * order_report that is to be journaled.
 * Outbox: OUT_REPLY (peer 0: nobody asked, log it), OUT_MATCHER (order_work, order_pull,
 * order_trim, order_explain), OUT_EVENT (event_order, event_trade, event_balance, event_list).
 */
enum ledger_outcome ledger_request(struct ledger *l, uint32_t peer, struct msg *cmd, int64_t now_us,
                                   struct outbox *out);
/* After LEDGER_LOOKUP: `row` is what the tables have, NULL when they have nothing. Never answers
 * LEDGER_LOOKUP. The state may have moved on meanwhile; memory wins over the row. */
enum ledger_outcome ledger_found(struct ledger *l, uint32_t peer, struct msg *cmd,
                                 const struct order_view *row, int64_t now_us, struct outbox *out);
/* The same for list_place and list_get. `row` is true as of all that was applied when the list was
 * asked for. */
enum ledger_outcome ledger_found_list(struct ledger *l, uint32_t peer, struct msg *cmd,
                                      const struct list_view *row, int64_t now_us,
                                      struct outbox *out);
/* Answers order_why: `row` is whole but for its sentence, NULL when there is no such order. */
void ledger_found_story(const struct ledger *l, uint32_t peer, const struct msg *cmd,
                        const struct order_story *row, struct outbox *out);
/* A journaled command again: no admission, no lookup. ERR_INTERNAL (with the state unchanged) when
 * it does not change the state as it did, which means a broken journal or tables. */
MUST_USE enum err ledger_replay(struct ledger *l, const struct msg *cmd, int64_t now_us,
                                struct outbox *out);

/* Shard a command belongs to: its account's, or its order's for a report. */
uint32_t ledger_shard_of_cmd(const struct msg *cmd);

/* ---- Links to matchers ------------------------------------------------------------------------
 */

/* Walks the open orders but for PENDING_NEW ones, which no matcher knows: start with 0; LEDGER_NONE
 * at the end. Pass the last answer + 1. */
uint32_t ledger_next_open(const struct ledger *l, uint32_t from);
/* What a matcher needs to work it: what is still to fill, and its rank. */
void ledger_order_work(const struct ledger *l, uint32_t order, struct order_work *out);
/* Whether a cancel waits for the matcher: send order_pull again after link_synced. */
bool ledger_is_pulled(const struct ledger *l, uint32_t order);

/* ---- Proof ------------------------------------------------------------------------------------
 */

typedef void ledger_digest_sink(void *arg, const void *bytes, size_t length);
/*
 * Feeds one shard's state to `sink` as bytes, in an order that does not depend on memory: shard
 * counters, accounts by id (with settings, commands, balances by wallet and asset), open orders by
 * id. Same commands, same bytes, on every machine; evicting finished orders changes nothing.
 */
void ledger_digest(const struct ledger *l, uint32_t shard, ledger_digest_sink *sink, void *arg);
/*
 * Proves the books of one shard: per asset it sums to zero; no balance below zero; what is held is
 * what the open orders hold; counts and lists agree. True, or false with the first violation in
 * `why`. Walks the shard's accounts, balances and open orders: for a timer, one shard a time.
 */
bool ledger_check_shard(const struct ledger *l, uint32_t shard, text_t *why);
/* Proves every shard, that orders are found by their ids, that finished ones hold nothing, and that
 * the shards are all there is. Walks everything: for tests and the start. */
bool ledger_check(const struct ledger *l, text_t *why);

/* ---- Rows: between memory and tables -----------------------------------------------------------
 */

struct shard_row {
    uint32_t shard;
    uint64_t order_sequence, trade_sequence, change_sequence;
};

struct account_row {
    uint64_t account_id, user_id, event_sequence, orders_placed;
    uint32_t tier, commands_next;
    struct ledger_settings settings[LEDGER_WALLETS];
    struct ledger_command commands[LEDGER_COMMANDS_MAX];
    uint32_t dirty; /* drained rows: which parts changed (enum ledger_dirty) */
};

struct balance_row {
    uint64_t account_id; /* system accounts too */
    enum trading_type wallet;
    code_t asset;
    money_t free, held;
};

struct order_row {
    struct order order; /* status, end, amounts, held, times */
    code_t base_asset, quote_asset;
    bool id_was_made;
    price_t worst_price, reference_price;
    qty_t step_size;
    rate_t maker_fee_rate, taker_fee_rate;
    money_t hold; /* at the start; order.held is what is left of it */
    uint64_t rank;
    uint32_t fills; /* ever */
    int64_t live_us;
    price_t trail_extreme;
    uint32_t amends, cancel_latency_us;
    enum contingency contingency; /* of the list order.list_id */
    uint32_t leg;
    enum ledger_rule rule;
    bool is_new; /* drained rows: the first of this order */
};

struct trade_row {
    uint64_t account_id;
    struct trade trade;
};

struct change_row {
    uint64_t account_id;
    enum trading_type wallet;
    struct balance_change change;
};

/* Written once, with the end of an order that waited or rested; memory keeps it no longer. */
struct story_row {
    uint64_t account_id, order_id;
    struct story story;
};

/* Rows are lent for the call. Where a function is NULL, its rows are let go. */
struct ledger_sink {
    void *arg;
    void (*on_account)(void *arg, const struct account_row *row);
    void (*on_balance)(void *arg, const struct balance_row *row);
    void (*on_order)(void *arg, const struct order_row *row);
    void (*on_trade)(void *arg, const struct trade_row *row);   /* each once, in order */
    void (*on_change)(void *arg, const struct change_row *row); /* each once, in order */
    void (*on_story)(void *arg, const struct story_row *row);   /* each once, in order */
};

/* How many rows a drain would give. */
uint32_t ledger_dirty_rows(const struct ledger *l);
/*
 * Hands over everything that changed since the last drain, as it stands now: an order that opened
 * and finished in between comes once. The rows are true at each shard's last applied command, so
 * they may be written only once the journal is committed up to there. Also call ledger_shard_row()
 * for each shard. Returns the generation of this drain.
 */
uint64_t ledger_drain(struct ledger *l, const struct ledger_sink *sink);
struct shard_row ledger_shard_row(const struct ledger *l, uint32_t shard);
/* The tables now hold that generation: its finished orders may be evicted. */
void ledger_projected(struct ledger *l, uint64_t generation);
/* Forgets the oldest finished orders above orders_high that are in the tables and older than
 * keep_us. Returns how many. Cheap when there is nothing to do: call it every turn. */
uint32_t ledger_evict(struct ledger *l, int64_t now_us);

/*
 * Loading, in this order: shards, accounts, balances, orders by rising id, fills by rising id.
 * Load every open order, and the finished ones of at least the last keep_us. Fills only serve
 * order_view; those of orders that are not in memory are ignored. ERR_ACCOUNTS_FULL,
 * ERR_ORDERS_FULL when the pools are too small, ERR_INTERNAL when a row contradicts what was loaded
 * before.
 */
MUST_USE enum err ledger_load_shard(struct ledger *l, const struct shard_row *row);
MUST_USE enum err ledger_load_account(struct ledger *l, const struct account_row *row);
MUST_USE enum err ledger_load_balance(struct ledger *l, const struct balance_row *row);
MUST_USE enum err ledger_load_order(struct ledger *l, const struct order_row *row);
MUST_USE enum err ledger_load_fill(struct ledger *l, const struct trade_row *row);
/* Forgets everything but the policy and the market: after a failed commit memory is ahead of the
 * disk, so it is thrown away and loaded anew. */
void ledger_clear(struct ledger *l);

#endif
