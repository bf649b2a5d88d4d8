/*
 * ledger.c - the ledger's memory, and its doors: which function a message goes to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/ledger.h"

#include <string.h>

#include "ledger/core/account.h"
#include "ledger/core/admit.h"
#include "ledger/core/amend.h"
#include "ledger/core/balance.h"
#include "ledger/core/cancel.h"
#include "ledger/core/contingent.h"
#include "ledger/core/events.h"
#include "ledger/core/exchange.h"
#include "ledger/core/list.h"
#include "ledger/core/order.h"
#include "ledger/core/paper.h"
#include "ledger/core/place.h"
#include "ledger/core/query.h"
#include "ledger/core/real.h"
#include "ledger/core/replace.h"
#include "ledger/core/settings.h"
#include "ledger/core/settle.h"
#include "ledger/core/waiter.h"
#include "ledger/core/why.h"

#define REPORT_FILLS    64 /* limit of order_report's list */
#define CHANGES_AT_ONCE 2  /* an account_open records two */

/* ---- Memory --------------------------------------------------------------------------------- */

/* The pools hold the system accounts and their cash on top of what was asked for. */
static struct ledger_limits
limits_with_system(const struct ledger_limits *limits)
{
    struct ledger_limits own = *limits;
    own.accounts_max += SYSTEM_KINDS * LEDGER_SHARDS;
    own.balances_max += LEDGER_TYPES * LEDGER_SHARDS;
    CHECK(own.symbols_max <= UINT16_MAX && own.assets_max < UINT16_MAX && own.assets_max > 0);
    CHECK(own.fills_max >= 1024 && own.changes_max >= 1024 && own.events_max > 0);
    CHECK(own.stories_max >= 1024);
    CHECK(own.orders_high <= own.orders_max);
    return own;
}

static void *
carve(uint8_t **at, size_t count, size_t size)
{
    uint8_t *here = *at;
    *at += (count * size + 15) & ~(size_t)15;
    return here;
}

/* Lays the pools out from `at`; returns where they end. Also run on NULL, to learn the size. */
static uint8_t *
ledger_carve(struct ledger *l, const struct ledger_limits *m, uint8_t *at, bool init_maps)
{
    struct {
        struct map *map;
        uint32_t max;
    } maps[] = {{&l->account_by_id, m->accounts_max}, {&l->order_by_id, m->orders_max},
                {&l->order_by_client, m->orders_max}, {&l->balance_by_key, m->balances_max},
                {&l->symbol_by_code, m->symbols_max}, {&l->asset_by_code, m->assets_max}};
    uint32_t walk = m->accounts_max > m->orders_max ? m->accounts_max : m->orders_max;

    l->accounts = carve(&at, m->accounts_max, sizeof(*l->accounts));
    l->balances = carve(&at, m->balances_max, sizeof(*l->balances));
    l->symbols = carve(&at, m->symbols_max, sizeof(*l->symbols));
    l->assets = carve(&at, m->assets_max, sizeof(*l->assets));
    l->orders = carve(&at, m->orders_max, sizeof(*l->orders));
    l->fills = carve(&at, m->fills_max, sizeof(*l->fills));
    l->changes = carve(&at, m->changes_max, sizeof(*l->changes));
    l->stories = carve(&at, m->stories_max, sizeof(*l->stories));
    l->events = carve(&at, m->events_max, sizeof(*l->events));
    l->waiters = carve(&at, m->waiters_max, sizeof(*l->waiters));
    l->groups = carve(&at, groups_max(m), sizeof(*l->groups));
    l->dirty_accounts.items = carve(&at, m->accounts_max, sizeof(uint32_t));
    l->dirty_balances.items = carve(&at, m->balances_max, sizeof(uint32_t));
    l->dirty_orders.items = carve(&at, m->orders_max, sizeof(uint32_t));
    l->scratch = carve(&at, walk, sizeof(*l->scratch));
    l->scratch_balances = carve(&at, m->assets_max * LEDGER_WALLETS, sizeof(uint32_t));
    l->holds = carve(&at, m->assets_max * LEDGER_WALLETS, sizeof(*l->holds));
    l->sums = carve(&at, m->assets_max, sizeof(*l->sums));
    l->sums_in = carve(&at, m->assets_max, sizeof(*l->sums_in));
    l->incomes = carve(&at, (size_t)LEDGER_SHARDS * m->assets_max, sizeof(*l->incomes));
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        void *bytes = carve(&at, map_bytes(maps[i].max), 1);
        if (init_maps)
            map_init(maps[i].map, maps[i].max, bytes);
    }
    return at;
}

size_t
ledger_bytes(const struct ledger_limits *limits)
{
    const struct ledger_limits own = limits_with_system(limits);
    struct ledger l = {.generation = 0};
    uint8_t base[16];
    return (size_t)(ledger_carve(&l, &own, base, false) - base);
}

/* System accounts and their cash are there from the start and cost no row until they are used. */
static void
system_accounts_open(struct ledger *l)
{
    uint32_t cash = asset_take(l, code_of(LEDGER_CASH));
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++) {
        for (enum system_account kind = SYSTEM_ISSUANCE; kind <= SYSTEM_EXCHANGE; kind++)
            CHECK(account_add(l, ledger_system_id(kind, shard), 0, 0) ==
                  &l->accounts[account_system_index(kind, shard)]);
        balance_system(l, SYSTEM_ISSUANCE, shard, WALLET_spot, cash);
        balance_system(l, SYSTEM_ISSUANCE, shard, WALLET_futures, cash);
    }
    for (uint32_t i = 0; i < l->balances_count; i++)
        l->balances[i].dirty = false;
    l->dirty_balances.count = 0;
}

static void
ledger_empty(struct ledger *l, const struct ledger_limits *own, void *memory)
{
    l->limits = *own;
    ledger_carve(l, own, memory, true);
    l->fill_ring.max = own->fills_max;
    l->change_ring.max = own->changes_max;
    l->story_ring.max = own->stories_max;
    l->event_ring.max = own->events_max;
    l->orders_free = l->finished_oldest = l->finished_newest = LEDGER_NONE;
    memset(l->incomes, 0, (size_t)LEDGER_SHARDS * own->assets_max * sizeof(*l->incomes));
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        l->shards[shard].newest_account = LEDGER_NONE;
    waiters_init(l);
    system_accounts_open(l);
}

void
ledger_init(struct ledger *l, const struct ledger_limits *limits,
            const struct ledger_policy *policy, void *memory)
{
    const struct ledger_limits own = limits_with_system(limits);
    memset(l, 0, sizeof(*l));
    ledger_set_policy(l, policy);
    ledger_empty(l, &own, memory);
}

void
ledger_clear(struct ledger *l)
{
    const struct ledger_limits own = l->limits;
    const struct ledger_policy policy = l->policy;
    uint64_t refused = l->reports_refused, diverged = l->reports_diverged;
    uint64_t evicted = l->orders_evicted, real_refused = l->real_refused;
    uint32_t symbols = l->symbols_count;
    int64_t steady_us = l->steady_us;
    bool bridge_away = l->bridge_away;
    void *memory = l->accounts;
    memset(l, 0, sizeof(*l));
    l->policy = policy;
    ledger_empty(l, &own, memory);
    /* The symbols keep their places, and with them the rules and prices. */
    for (uint32_t i = 0; i < symbols; i++)
        map_set(&l->symbol_by_code, map_hash(&l->symbols[i].code, sizeof(code_t)), i);
    l->symbols_count = symbols;
    l->steady_us = steady_us;
    l->bridge_away = bridge_away;
    l->reports_refused = refused;
    l->reports_diverged = diverged;
    l->orders_evicted = evicted;
    l->real_refused = real_refused;
}

/* The places of `from` in a map that has more room. */
static void
map_move(struct map *to, const struct map *from)
{
    for (uint32_t i = 0; i <= from->mask; i++)
        if (from->slots[i].key != 0)
            map_set(to, from->slots[i].key, from->slots[i].value);
}

static void
maps_move(struct ledger *l, const struct ledger *from)
{
    map_move(&l->account_by_id, &from->account_by_id);
    map_move(&l->order_by_id, &from->order_by_id);
    map_move(&l->order_by_client, &from->order_by_client);
    map_move(&l->balance_by_key, &from->balance_by_key);
    map_move(&l->symbol_by_code, &from->symbol_by_code);
    map_move(&l->asset_by_code, &from->asset_by_code);
}

#define POOL_MOVE(pool, count) memcpy(l->pool, from.pool, (size_t)(count) * sizeof(*l->pool))

void
ledger_grow(struct ledger *l, const struct ledger_limits *limits, void *memory)
{
    const struct ledger from = *l;
    const struct ledger_limits own = limits_with_system(limits), *old = &from.limits;
    CHECK(own.accounts_max >= old->accounts_max && own.balances_max >= old->balances_max);
    CHECK(own.orders_max >= old->orders_max && own.assets_max >= old->assets_max);
    CHECK(own.symbols_max >= old->symbols_max && own.waiters_max == old->waiters_max);
    CHECK(own.fills_max == old->fills_max && own.changes_max == old->changes_max);
    CHECK(own.stories_max == old->stories_max && own.events_max == old->events_max);

    l->limits = own;
    ledger_carve(l, &own, memory, true);
    POOL_MOVE(accounts, from.accounts_count);
    POOL_MOVE(balances, from.balances_count);
    POOL_MOVE(symbols, from.symbols_count);
    POOL_MOVE(assets, from.assets_count);
    POOL_MOVE(orders, from.orders_reached);
    POOL_MOVE(fills, own.fills_max);
    POOL_MOVE(changes, own.changes_max);
    POOL_MOVE(stories, own.stories_max);
    POOL_MOVE(events, own.events_max);
    POOL_MOVE(waiters, own.waiters_max);
    POOL_MOVE(groups, groups_max(&own));
    POOL_MOVE(dirty_accounts.items, from.dirty_accounts.count);
    POOL_MOVE(dirty_balances.items, from.dirty_balances.count);
    POOL_MOVE(dirty_orders.items, from.dirty_orders.count);
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        memcpy(&l->incomes[(size_t)shard * own.assets_max],
               &from.incomes[(size_t)shard * old->assets_max],
               old->assets_max * sizeof(*l->incomes));
    maps_move(l, &from);
}

/* ---- Configuration and market --------------------------------------------------------------- */

void
ledger_set_policy(struct ledger *l, const struct ledger_policy *policy)
{
    CHECK(policy->tiers_count >= 1 && policy->tiers_count <= LEDGER_TIERS_MAX);
    CHECK(policy->orders_per_account_max >= 1 && policy->orders_per_account_max <= LEDGER_OPEN_MAX);
    CHECK(policy->slippage_max.v >= 0 && policy->slippage_max.v < DECIMAL_ONE);
    for (uint32_t i = 0; i < policy->tiers_count; i++) {
        const struct ledger_tier *tier = &policy->tiers[i];
        CHECK(tier->maker_fee_rate.v >= 0 && tier->maker_fee_rate.v < DECIMAL_ONE);
        CHECK(tier->taker_fee_rate.v >= 0 && tier->taker_fee_rate.v < DECIMAL_ONE);
        CHECK(tier->balance_min.v >= 0);
    }
    l->policy = *policy;
}

enum err
ledger_set_rules(struct ledger *l, const struct symbol_rules *rules)
{
    uint32_t i = symbol_take(l, rules->symbol);
    if (i == LEDGER_NONE)
        return ERR_SYMBOL_UNKNOWN;
    l->symbols[i].rules = *rules;
    l->symbols[i].is_known = true;
    return OK;
}

/* Nothing is sold below zero: such a price is none. */
static price_t
price_known(price_t price)
{
    return price.v > 0 ? price : (price_t){0};
}

/* A price told again with the same time is no news of the clock: it has gone on since. That of a
 * stream that stands still, such as a recording that pauses, stands still too. */
static void
market_clock_set(const struct ledger *l, struct ledger_symbol *s, const struct md_price *price)
{
    bool stands = price->state == STREAM_STATE_STALE || price->state == STREAM_STATE_ENDED;
    if (price->time_us != s->told_us)
        s->market_us = s->told_us = price->time_us;
    else if (stands != s->clock_stands)
        s->market_us = admit_market_us(l, s);
    else
        return;
    s->heard_us = l->steady_us;
    s->clock_stands = stands;
}

void
ledger_set_price(struct ledger *l, const struct md_price *price)
{
    uint32_t i = symbol_find(l, price->symbol);
    if (i == LEDGER_NONE)
        return;
    struct ledger_symbol *s = &l->symbols[i];
    s->last = price_known(price->last);
    s->average = price_known(price->average);
    s->bid = price_known(price->bid);
    s->ask = price_known(price->ask);
    s->mark = price_known(price->mark);
    s->is_middle = price->is_middle;
    market_clock_set(l, s, price);
}

void
ledger_set_steady(struct ledger *l, int64_t steady_us)
{
    l->steady_us = steady_us;
}

void
ledger_set_matcher_away(struct ledger *l, const code_t *symbol, bool away)
{
    for (uint32_t i = 0; i < l->symbols_count; i++)
        if (symbol == NULL || code_same(l->symbols[i].code, *symbol))
            l->symbols[i].matcher_away = away;
}

void
ledger_set_bridge_away(struct ledger *l, bool away)
{
    l->bridge_away = away;
}

/* ---- Doors ------------------------------------------------------------------------------------
 */

bool
ledger_ready(const struct ledger *l, const struct outbox *out)
{
    return outbox_room(out) >= LEDGER_OUT_MAX &&
           out->lists.size - out->lists.used >= LEDGER_OUT_BYTES &&
           ledger_ring_room(&l->fill_ring) >= REPORT_FILLS &&
           ledger_ring_room(&l->change_ring) >= CHANGES_AT_ONCE &&
           ledger_ring_room(&l->story_ring) > 0;
}

/* Commands that mutate, apart from those that place orders. */
static enum ledger_outcome
ledger_apply(struct ledger *l, const struct turn *t, const struct msg *cmd)
{
    switch (cmd->type) {
    case MSG_account_open:
        return account_open_apply(l, t, &cmd->account_open);
    case MSG_balance_set:
        return balance_set_apply(l, t, &cmd->balance_set);
    case MSG_settings_set:
        return settings_set_apply(l, t, &cmd->settings_set);
    case MSG_tier_set:
        return tier_set_apply(l, t, &cmd->tier_set);
    case MSG_order_report:
        return order_report_apply(l, t, &cmd->order_report);
    case MSG_bridge_report:
        return real_report_apply(l, t, &cmd->bridge_report);
    case MSG_exchange_account:
        return exchange_account_apply(l, t, &cmd->exchange_account);
    case MSG_order_settle:
        return real_settle_apply(l, t, &cmd->order_settle);
    default:
        return turn_refuse_plain(t, ERR_WIRE_UNKNOWN);
    }
}

/* Those that place orders, which are judged live and only applied again. */
static enum ledger_outcome
ledger_apply_orders(struct ledger *l, const struct turn *t, const struct msg *cmd)
{
    switch (cmd->type) {
    case MSG_order_place:
        return order_place_apply(l, t, &cmd->order_place);
    case MSG_list_place:
        return list_place_apply(l, t, &cmd->list_place);
    case MSG_order_replace:
        return replace_apply(l, t, &cmd->order_replace);
    default:
        return ledger_apply(l, t, cmd);
    }
}

static enum ledger_outcome
ledger_read(struct ledger *l, const struct turn *t, const struct msg *ask)
{
    struct asker who = t->who;
    struct outbox *out = t->out;
    switch (ask->type) {
    case MSG_account_get:
        query_account(l, who, &ask->account_get, out);
        return LEDGER_ANSWERED;
    case MSG_balance_get:
        query_balance(l, who, &ask->balance_get, out);
        return LEDGER_ANSWERED;
    case MSG_settings_get:
        query_settings(l, who, &ask->settings_get, out);
        return LEDGER_ANSWERED;
    case MSG_order_open_list:
        query_open_orders(l, who, &ask->order_open_list, out);
        return LEDGER_ANSWERED;
    case MSG_event_resume:
        events_resume(l, who, &ask->event_resume, out);
        return LEDGER_ANSWERED;
    case MSG_order_cancel_all:
        cancel_all(l, t, &ask->order_cancel_all);
        return LEDGER_ANSWERED;
    case MSG_order_cancel:
        return cancel_one(l, t, &ask->order_cancel);
    case MSG_order_get:
        return query_order(l, who, &ask->order_get, out);
    case MSG_order_why:
        return why_request(l, t, &ask->order_why);
    case MSG_order_explained:
        return why_explained(l, t, &ask->order_explained);
    case MSG_unresolved_list:
        real_unresolved(l, who, &ask->unresolved_list, out);
        return LEDGER_ANSWERED;
    case MSG_list_get:
        return list_get(l, t, &ask->list_get);
    case MSG_list_cancel:
        return list_cancel(l, t, &ask->list_cancel);
    case MSG_list_open_list:
        list_open_list(l, t, &ask->list_open_list);
        return LEDGER_ANSWERED;
    case MSG_order_list: {
        const struct order_list *list = &ask->order_list;
        return query_tables(l, who, &(struct page){list->account_id, list->cursor, list->limit},
                            out);
    }
    case MSG_trade_list: {
        const struct trade_list *list = &ask->trade_list;
        return query_tables(l, who, &(struct page){list->account_id, list->cursor, list->limit},
                            out);
    }
    case MSG_balance_history: {
        const struct balance_history *list = &ask->balance_history;
        return query_tables(l, who, &(struct page){list->account_id, list->cursor, list->limit},
                            out);
    }
    case MSG_twin_list: {
        const struct twin_list *list = &ask->twin_list;
        return query_tables(l, who, &(struct page){list->account_id, list->cursor, list->limit},
                            out);
    }
    default:
        return turn_refuse_plain(t, ERR_WIRE_UNKNOWN);
    }
}

enum ledger_outcome
ledger_request(struct ledger *l, uint32_t peer, struct msg *cmd, int64_t now_us, struct outbox *out)
{
    CHECK(ledger_ready(l, out));
    const struct turn t = {{peer, cmd->corr}, true, now_us, out};
    switch (cmd->type) {
    case MSG_order_place:
        return order_place_request(l, &t, &cmd->order_place);
    case MSG_list_place:
        return list_place_request(l, &t, &cmd->list_place);
    case MSG_order_replace:
        return replace_request(l, &t, &cmd->order_replace);
    case MSG_order_amend:
        return amend_request(l, &t, cmd);
    case MSG_account_open:
        account_open_enrich(l, &cmd->account_open);
        return ledger_apply(l, &t, cmd);
    case MSG_balance_set:
        balance_set_enrich(l, &cmd->balance_set);
        return ledger_apply(l, &t, cmd);
    case MSG_settings_set:
        return settings_set_request(l, &t, &cmd->settings_set);
    case MSG_tier_set:
    case MSG_order_report:
    case MSG_bridge_report:
    case MSG_exchange_account:
    case MSG_order_settle:
        return ledger_apply(l, &t, cmd);
    default:
        return ledger_read(l, &t, cmd);
    }
}

enum ledger_outcome
ledger_found(struct ledger *l, uint32_t peer, struct msg *cmd, const struct order_view *row,
             int64_t now_us, struct outbox *out)
{
    CHECK(ledger_ready(l, out));
    const struct turn t = {{peer, cmd->corr}, true, now_us, out};
    if (cmd->type == MSG_order_place)
        return order_place_found(l, &t, &cmd->order_place, row);
    if (cmd->type == MSG_order_replace)
        return replace_found(l, &t, &cmd->order_replace, row);
    if (cmd->type == MSG_order_amend)
        return amend_found(l, &t, cmd, row);
    if (cmd->type == MSG_order_cancel)
        return cancel_found(l, &t, &cmd->order_cancel, row);
    CHECK(cmd->type == MSG_order_get);
    query_order_found(l, t.who, &cmd->order_get, row, out);
    return LEDGER_ANSWERED;
}

enum ledger_outcome
ledger_found_list(struct ledger *l, uint32_t peer, struct msg *cmd, const struct list_view *row,
                  int64_t now_us, struct outbox *out)
{
    CHECK(ledger_ready(l, out));
    const struct turn t = {{peer, cmd->corr}, true, now_us, out};
    if (cmd->type == MSG_list_place)
        return list_place_found(l, &t, &cmd->list_place, row);
    CHECK(cmd->type == MSG_list_get);
    list_get_found(l, &t, &cmd->list_get, row);
    return LEDGER_ANSWERED;
}

void
ledger_found_story(const struct ledger *l, uint32_t peer, const struct msg *cmd,
                   const struct order_story *row, struct outbox *out)
{
    const struct turn t = {{peer, cmd->corr}, true, 0, out};
    CHECK(ledger_ready(l, out) && cmd->type == MSG_order_why);
    why_found(l, &t, &cmd->order_why, row);
}

enum err
ledger_replay(struct ledger *l, const struct msg *cmd, int64_t now_us, struct outbox *out)
{
    CHECK(ledger_ready(l, out));
    const struct turn t = {{0, 0}, false, now_us, out};
    enum ledger_outcome outcome = ledger_apply_orders(l, &t, cmd);
    return outcome == LEDGER_CHANGED ? OK : ERR_INTERNAL;
}

uint32_t
ledger_shard_of_cmd(const struct msg *cmd)
{
    switch (cmd->type) {
    case MSG_order_report:
        return ledger_shard_of_id(cmd->order_report.order_id);
    case MSG_bridge_report:
        return ledger_shard_of_id(cmd->bridge_report.order_id);
    case MSG_order_settle:
        return ledger_shard_of_id(cmd->order_settle.order_id);
    case MSG_exchange_account:
        return ledger_shard_of(cmd->exchange_account.account_id);
    case MSG_account_open:
        return ledger_shard_of(cmd->account_open.account_id);
    case MSG_account_get:
        return ledger_shard_of(cmd->account_get.account_id);
    case MSG_balance_get:
        return ledger_shard_of(cmd->balance_get.account_id);
    case MSG_balance_set:
        return ledger_shard_of(cmd->balance_set.account_id);
    case MSG_balance_history:
        return ledger_shard_of(cmd->balance_history.account_id);
    case MSG_settings_get:
        return ledger_shard_of(cmd->settings_get.account_id);
    case MSG_settings_set:
        return ledger_shard_of(cmd->settings_set.account_id);
    case MSG_tier_set:
        return ledger_shard_of(cmd->tier_set.account_id);
    case MSG_order_place:
        return ledger_shard_of(cmd->order_place.account_id);
    case MSG_order_cancel:
        return ledger_shard_of(cmd->order_cancel.account_id);
    case MSG_order_cancel_all:
        return ledger_shard_of(cmd->order_cancel_all.account_id);
    case MSG_order_get:
        return ledger_shard_of(cmd->order_get.account_id);
    case MSG_order_list:
        return ledger_shard_of(cmd->order_list.account_id);
    case MSG_order_open_list:
        return ledger_shard_of(cmd->order_open_list.account_id);
    case MSG_order_amend:
        return ledger_shard_of(cmd->order_amend.account_id);
    case MSG_order_replace:
        return ledger_shard_of(cmd->order_replace.account_id);
    case MSG_order_why:
        return ledger_shard_of(cmd->order_why.account_id);
    case MSG_order_explained:
        return ledger_shard_of_id(cmd->order_explained.order_id);
    case MSG_list_place:
        return ledger_shard_of(cmd->list_place.account_id);
    case MSG_list_get:
        return ledger_shard_of(cmd->list_get.account_id);
    case MSG_list_cancel:
        return ledger_shard_of(cmd->list_cancel.account_id);
    case MSG_list_open_list:
        return ledger_shard_of(cmd->list_open_list.account_id);
    case MSG_trade_list:
        return ledger_shard_of(cmd->trade_list.account_id);
    case MSG_twin_list:
        return ledger_shard_of(cmd->twin_list.account_id);
    case MSG_event_resume:
        return ledger_shard_of(cmd->event_resume.account_id);
    default:
        return LEDGER_SHARDS; /* not a message to the ledger */
    }
}
