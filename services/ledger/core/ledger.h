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

#include "ledger/core/state.h"

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
/* New REAL orders get BRIDGE_UNAVAILABLE while set: nobody could send them. */
void ledger_set_bridge_away(struct ledger *l, bool away);

/* ---- Commands -------------------------------------------------------------------------------- */

enum ledger_outcome {
    /* The state changed. Journal `cmd` (as enriched) with this now_us for ledger_shard_of_cmd();
     * nothing of the outbox may leave before that record is committed (OUT_MATCHER may). */
    LEDGER_CHANGED,
    /* Nothing to journal. The answer is in the outbox, or comes with a later report. It may rest
     * on commands not yet committed: let it wait for the batch at work. */
    LEDGER_ANSWERED,
    /* The tables must be asked first; the outbox is untouched.
     *   order_list, trade_list, balance_history, twin_list: the shell answers from the tables.
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
 * order_trim, order_explain), OUT_EVENT (event_order, event_trade, event_balance, event_list),
 * OUT_BRIDGE (bridge_place, bridge_cancel, bridge_ask: nothing of it before the commit).
 * The bridges are clients as gateways are: bridge_report is answered with bridge_reported,
 * exchange_account with exchange_noted, or with a refusal, which ends the matter too.
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

/* Shard a command belongs to: its account's, or its order's for a report and order_settle.
 * LEDGER_SHARDS for what is of no shard: unresolved_list, which every ledger answers of its own. */
uint32_t ledger_shard_of_cmd(const struct msg *cmd);

/* ---- Links to matchers ------------------------------------------------------------------------
 */

/* Walks the open orders but for REAL and PENDING_NEW ones, which no matcher knows: start with 0;
 * LEDGER_NONE at the end. Pass the last answer + 1. */
uint32_t ledger_next_open(const struct ledger *l, uint32_t from);
/* What a matcher needs to work it: what is still to fill, and its rank. */
void ledger_order_work(const struct ledger *l, uint32_t order, struct order_work *out);
/* Whether a cancel waits for the matcher: send order_pull again after link_synced. */
bool ledger_is_pulled(const struct ledger *l, uint32_t order);

/* ---- Links to bridges --------------------------------------------------------------------------
 *
 * A bridge_place is put into the outbox once, by the command that places the order, and never by a
 * replay. What became of it is asked with bridge_ask while it is SENDING or UNKNOWN, and a cancel
 * that was asked for is sent again until the end is reported: the shell's timers do both.
 */

/* Walks the open REAL orders: start with 0; LEDGER_NONE at the end. Pass the last answer + 1. */
uint32_t ledger_next_real(const struct ledger *l, uint32_t from);
/* Whether it is SENDING or UNKNOWN, and the bridge_ask that asks what became of it. */
bool ledger_real_ask(const struct ledger *l, uint32_t order, struct bridge_ask *out);
/* Whether it is PLACED and its cancel was asked for, and the bridge_cancel to send again. */
bool ledger_real_cancel(const struct ledger *l, uint32_t order, struct bridge_cancel *out);

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
    struct ledger_settings settings[LEDGER_TYPES];
    struct ledger_command commands[LEDGER_COMMANDS_MAX];
    int64_t exchange_us[LEDGER_TYPES];
    uint32_t dirty; /* drained rows: which parts changed (enum ledger_dirty) */
};

struct balance_row {
    uint64_t account_id; /* system accounts too */
    enum wallet wallet;
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
/* Forgets every finished order that is in the tables, just ended or not: for a load or a replay
 * whose pool is full. What is asked of them the tables can answer, too. Walks them all. */
uint32_t ledger_make_room(struct ledger *l);

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
