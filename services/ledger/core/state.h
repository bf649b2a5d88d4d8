/*
 * state.h - what a ledger core is configured with and what it has in memory.
 *
 * Part of ledger.h, which everybody includes. Each field says whether it is part of the state that
 * a replay brings back (persistent), follows from that (derived), or is this process's (volatile).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_STATE_H
#define SCRIP_LEDGER_CORE_STATE_H

#include "base/map.h"
#include "base/msg.h"
#include "base/outbox.h"
#include "base/shard.h"

#define LEDGER_SHARDS       SHARDS
#define LEDGER_NONE         UINT32_MAX /* "no index" in every pool */
#define LEDGER_CASH         "USDT"     /* asset of paper balances */
#define LEDGER_TIERS_MAX    16
#define LEDGER_COMMANDS_MAX 16  /* command ids remembered per account */
#define LEDGER_VIEW_FILLS   500 /* fills in an order_view */
#define LEDGER_OPEN_MAX     500 /* open orders per account, at most */
#define LEDGER_TYPES        2   /* TRADING_TYPE_spot, TRADING_TYPE_futures: settings */
#define LEDGER_WALLETS      4   /* enum wallet: balances */

/* What one command can put into the outbox at most: messages, and bytes of their lists. */
#define LEDGER_OUT_MAX   1200
#define LEDGER_OUT_BYTES (4u << 20)

/* Accounts of the double entry that belong to nobody, one of each kind per shard. SYSTEM_EXCHANGE
 * is the other side of what users have at the exchange, and of nothing else. */
enum system_account {
    SYSTEM_ISSUANCE = 1,
    SYSTEM_HOUSE = 2,
    SYSTEM_FEES = 3,
    SYSTEM_EXCHANGE = 4,
};

#define SYSTEM_KINDS         4
#define SYSTEM_ACCOUNT_FIRST (UINT64_C(1) << 50)

static inline uint64_t
ledger_system_id(enum system_account kind, uint32_t shard)
{
    return SYSTEM_ACCOUNT_FIRST + (uint64_t)kind * LEDGER_SHARDS + shard;
}

/* Shard of a user's or a system account. */
uint32_t ledger_shard_of(uint64_t account_id);
/* A paper wallet, and where the same trading type's money at the exchange is told. */
static inline enum wallet
wallet_on_paper(enum trading_type t)
{
    return t == TRADING_TYPE_futures ? WALLET_futures : WALLET_spot;
}
static inline enum wallet
wallet_at_exchange(enum trading_type t)
{
    return t == TRADING_TYPE_futures ? WALLET_exchange_futures : WALLET_exchange_spot;
}
static inline bool
wallet_is_exchange(enum wallet w)
{
    return w == WALLET_exchange_spot || w == WALLET_exchange_futures;
}

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

/* Which environments a deployment's REAL orders may go to: none, testnet, both. */
enum ledger_trading { LEDGER_TRADES_PAPER, LEDGER_TRADES_TESTNET, LEDGER_TRADES_LIVE };

/* Judged at admission only, and written into the command: a replay never reads it. */
struct ledger_policy {
    money_t spot_opening, futures_opening;
    uint32_t tier_opening;
    enum fill_preset fill_preset;    /* of new accounts; NONE: no fill rules */
    rate_t slippage_max;             /* a market order's worst price is this far from the last */
    uint32_t orders_per_account_max; /* open orders; 1 to LEDGER_OPEN_MAX */
    uint32_t tiers_count;            /* at least 1 */
    struct ledger_tier tiers[LEDGER_TIERS_MAX];
    enum ledger_trading trading_mode;
    int64_t bridge_send_us; /* how long a bridge may take to send a REAL order to the exchange */
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
    bool live_twin; /* real orders are mirrored on paper */
    /* mode REAL only: */
    enum environment environment;
    code_t api_key_tail;
    int64_t real_since_us;
};

struct ledger_account {
    /* persistent */
    uint64_t id, user_id;
    uint64_t event_sequence; /* of its last event */
    uint64_t orders_placed;  /* ever; more than `orders` says that some are in tables only */
    uint32_t tier;
    uint32_t commands_next;                        /* slot the next command id goes to */
    struct ledger_settings settings[LEDGER_TYPES]; /* by trading_type - 1 */
    struct ledger_command commands[LEDGER_COMMANDS_MAX];
    int64_t exchange_us[LEDGER_TYPES]; /* exchange time of its exchange wallet; 0 = never heard */
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
    /* persistent; a system account's free may be negative, held is 0. Of an exchange wallet both
     * are what the exchange says: free may be negative, and held is not what orders here hold. */
    money_t free, held;
    uint32_t account;
    uint16_t asset;
    uint8_t wallet; /* enum wallet */
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
 * A REAL order has an environment. It is NEW from its acceptance on, holds nothing, is no
 * matcher's, and moves by what the exchange is heard to say of it:
 *
 *   SENDING ──► UNKNOWN ──┐
 *      │           │      ├──► REFUSED     REJECTED   EXCHANGE_REFUSED
 *      │           │      └──► NOT_PLACED  REJECTED   NOT_PLACED
 *      └───────────┴─────────► PLACED ──►  FILLED     COMPLETE
 *                                          CANCELED   CLIENT_CANCEL
 *                                          EXPIRED    EXCHANGE_EXPIRED
 *                                          EXPIRED_IN_MATCH   SELF_TRADE
 *                                          REJECTED   EXCHANGE_REFUSED
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
    /* persistent, REAL orders (the last one: their paper twins), all of them in struct order too */
    uint8_t environment, exchange_state; /* enums of messages.def */
    bool reduce_only;
    uint16_t twin_refused; /* enum err */
    uint64_t exchange_order_id;
    int64_t exchange_code, send_by_us;
    qty_t placed_quantity;
    price_t placed_price;
    uint64_t twin, twin_of;
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
    int64_t pulled_us;  /* when an order_pull was last sent and not answered; 0 = none. REAL: when
                         * its cancel was last asked for */
    int64_t heard_us;   /* REAL: when a bridge last reported of it, or it was placed; 0 = never */
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
    bool bridge_away;  /* volatile */
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
    uint64_t real_refused;     /* bridges' reports that contradict what is known: look into each */
    uint64_t orders_evicted;
};

#endif
