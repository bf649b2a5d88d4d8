/*
 * ledger_random_test.c - random commands and reports, good and bad, against the naive judge.
 *
 * One seed drives everything. After each command the judge is asked the same question; every few
 * commands the books are proved, projected, evicted or loaded anew from the tables; at the end the
 * whole journal is replayed and the digests must be equal. Some accounts trade really: see
 * ledger_random_real.c. SCRIP_SEED picks another seed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_parts.h"
#include "ledger_random.h"

#define STEPS         200000u
#define OUT_SLOTS     (LEDGER_OUT_MAX + 8)
#define CHECK_EVERY   100u
#define COMPARE_EVERY 5000u
#define RESTART_EVERY 20011u

static const struct ledger_limits limits = {.accounts_max = 200,
                                            .balances_max = 8192,
                                            .orders_max = 4096,
                                            .orders_high = 2000,
                                            .assets_max = 16,
                                            .symbols_max = 8,
                                            .fills_max = 2048,
                                            .changes_max = 1024,
                                            .stories_max = 1024,
                                            .events_max = 512,
                                            .waiters_max = 4096,
                                            .keep_us = 50000};

static const struct ledger_policy policy = {
    .spot_opening = {100000 * DECIMAL_ONE},
    .futures_opening = {5000 * DECIMAL_ONE},
    .slippage_max = {DECIMAL_ONE / 20},
    .orders_per_account_max = 12,
    .trading_mode = LEDGER_TRADES_LIVE,
    .bridge_send_us = 1000,
    .tiers_count = 3,
    .tiers = {{{100000}, {200000}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}},
              {{0}, {0}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}},
              {{33333}, {77777777}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}}}};

/* ---- The world ------------------------------------------------------------------------------ */

/* The last one is a contract: it takes no orders on paper. */
#define SYMBOLS 4u
static const char *const symbols[] = {"BTCUSDT", "ETHUSDT", "ETHBTC", "BTCUSDT_PERP"};
static const char *const bases[] = {"BTC", "ETH", "ETH", "BTC"};
static const char *const quotes[] = {"USDT", "USDT", "BTC", "USDT"};
static const int64_t lasts[] = {10012345678, 3333333333, 34567890, 10012345678};

static void
market(struct world *w)
{
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        const struct symbol_rules rules = {.symbol = code_of(symbols[i]),
                                           .base_asset = code_of(bases[i]),
                                           .quote_asset = code_of(quotes[i]),
                                           .is_trading = true,
                                           .trading_type =
                                               i == 3 ? TRADING_TYPE_futures : TRADING_TYPE_spot,
                                           .step_size = {i == 0 ? 1000 : 0}};
        const struct md_price price = {.symbol = rules.symbol, .last = {lasts[i]}};
        cr_assert_eq(ledger_set_rules(&w->ledger, &rules), OK);
        ledger_set_price(&w->ledger, &price);
    }
}

static void
process_start(struct world *w)
{
    free(w->memory);
    w->memory = calloc(1, ledger_bytes(&limits));
    cr_assert_not_null(w->memory);
    ledger_init(&w->ledger, &limits, &policy, w->memory);
    market(w);
}

static void
books_must_balance(const struct world *w)
{
    text_t why;
    cr_assert(ledger_check(&w->ledger, &why), "after %u records: %s", w->records_count, why.text);
}

static void
judge_must_agree(const struct world *w)
{
    text_t why;
    cr_assert(naive_ledger_compare(&w->naive, &w->ledger, &why), "after %u records: %s",
              w->records_count, why.text);
}

/* ---- Commands ------------------------------------------------------------------------------- */

/* The lists of a journaled report must outlive the call. */
static void
record_keep(struct world *w, const struct msg *cmd)
{
    if ((w->records_count & (w->records_count - 1)) == 0) {
        uint32_t room = w->records_count == 0 ? 1 : w->records_count * 2;
        w->records = realloc(w->records, room * sizeof(*w->records));
        cr_assert_not_null(w->records);
    }
    struct record *r = &w->records[w->records_count++];
    *r = (struct record){*cmd, w->now_us};
    record_lists_keep(&r->cmd);
}

static void
order_watch(struct world *w, uint64_t id)
{
    if (w->orders_count < OPEN_MAX)
        w->orders[w->orders_count++] = id;
    else
        w->orders[draw(w, OPEN_MAX)] = id;
}

static enum ledger_outcome
look_up(struct world *w, struct msg *cmd)
{
    struct order_view view;
    w->looked_up++;
    cr_assert_eq(cmd->type, MSG_order_place);
    bool found = tables_find(&w->tables, cmd->order_place.account_id, 0,
                             &cmd->order_place.client_order_id, &view);
    return ledger_found(&w->ledger, 1, cmd, found ? &view : NULL, w->now_us, &w->out);
}

enum ledger_outcome
run(struct world *w, struct msg *cmd)
{
    text_t why = text_of("%s", "");
    bool is_report = cmd->type == MSG_order_report || cmd->type == MSG_bridge_report;
    uint32_t peer = cmd->type == MSG_order_report ? 0 : 1;
    cmd->corr = ++w->next_id;
    if (!ledger_ready(&w->ledger, &w->out))
        tables_project(&w->tables, &w->ledger);
    enum ledger_outcome outcome = ledger_request(&w->ledger, peer, cmd, w->now_us, &w->out);
    if (outcome == LEDGER_LOOKUP)
        outcome = look_up(w, cmd);
    bool changed = outcome == LEDGER_CHANGED;
    w->naive.now_us = w->now_us;
    if (changed || is_report) {
        bool agreed = naive_ledger_apply(&w->naive, cmd, &why) == changed;
        cr_assert(agreed, "step %llu, %s: %s", (unsigned long long)w->next_id,
                  msg_layout(cmd->type)->name, why.text);
    }
    if (changed && cmd->type == MSG_order_place)
        for (uint32_t i = 0; i < w->out.count; i++)
            if (w->out.slots[i].msg.type == MSG_order_work)
                order_watch(w, w->out.slots[i].msg.order_work.order_id);
    real_hear(w, changed);
    if (changed)
        record_keep(w, cmd);
    w->changed += changed;
    w->refused += !changed;
    outbox_clear(&w->out);
    return outcome;
}

uint64_t
account(struct world *w)
{
    return 1 + draw(w, ACCOUNTS) * 7;
}

static void
place(struct world *w)
{
    struct msg cmd = {.type = MSG_order_place};
    struct order_place *p = &cmd.order_place;
    uint32_t symbol = (uint32_t)draw(w, chance(w, 950) ? 3 : SYMBOLS);
    p->account_id = account(w);
    /* Sometimes an id that was used before, by an order in memory or one long gone. */
    p->id_was_made = chance(w, 900);
    uint64_t id = p->id_was_made ? ++w->next_id : draw(w, 3000);
    snprintf(p->client_order_id.text, sizeof(p->client_order_id.text), "%s-%llu",
             p->id_was_made ? "made" : "own", (unsigned long long)id);
    p->symbol = code_of(symbols[symbol]);
    p->side = chance(w, 550) ? SIDE_BUY : SIDE_SELL;
    p->type = (enum order_type)(1 + draw(w, 3));
    int64_t step = symbol == 0 ? 1000 : 1;
    int64_t quantity = (1 + (int64_t)draw(w, 5 * DECIMAL_ONE)) / step * step + step;
    if (p->type == ORDER_TYPE_MARKET && chance(w, 500)) {
        p->quote_order_quantity.v = 1 + (int64_t)draw(w, (uint64_t)lasts[symbol] * 5);
    } else {
        p->quantity.v = quantity;
    }
    if (p->type != ORDER_TYPE_MARKET)
        p->price.v = lasts[symbol] / 2 + (int64_t)draw(w, (uint64_t)lasts[symbol]);
    if (p->type == ORDER_TYPE_LIMIT)
        p->time_in_force = (enum time_in_force)draw(w, 4);
    run(w, &cmd);
}

/* A price the order may be filled at, or now and then one it may not. */
static int64_t
fill_price(struct world *w, const struct order_place *p)
{
    int64_t worst = p->worst_price.v;
    int64_t away = (int64_t)draw(w, (uint64_t)worst / 20 + 2);
    if (chance(w, 20))
        away = -away;
    int64_t price = p->side == SIDE_BUY ? worst - away : worst + away;
    return price > 0 ? price : 1;
}

static int64_t
fill_quantity(struct world *w, const struct ledger_order *o, int64_t left, int64_t funds,
              int64_t price)
{
    if (o->quantity.v == 0) {
        int64_t most;
        bool sells = o->side == SIDE_SELL;
        if (funds <= 0 || (sells ? decimal_div_ceil(funds, price, &most)
                                 : decimal_div_floor(funds, price, &most)) != OK)
            most = left;
        left = o->side == SIDE_BUY || most < left ? most : left;
    }
    if (left <= 0)
        return 1;
    if (chance(w, 400))
        return left;
    if (chance(w, 15))
        return left + 1;
    return 1 + (int64_t)draw(w, (uint64_t)left);
}

static uint32_t
fills(struct world *w, const struct ledger_order *o, struct match_fill list[8], bool *all)
{
    const struct order_place p = {.side = (enum side)o->side, .worst_price = o->worst_price};
    int64_t left = o->quantity.v > 0 ? o->quantity.v - o->executed.v : o->held.v;
    int64_t funds = o->quote_quantity.v - o->executed_quote.v;
    uint32_t count = (uint32_t)draw(w, 4);
    uint32_t put = 0;
    for (; put < count && left > 0; put++) {
        int64_t price = fill_price(w, &p);
        int64_t quantity = fill_quantity(w, o, left, funds, price);
        list[put] = (struct match_fill){{price}, {quantity}, o->rank != 0, {.price = {price}}};
        int64_t quote;
        cr_assert_eq(decimal_mul_floor(price, quantity, &quote), OK);
        funds -= quote;
        if (o->quantity.v > 0 || o->side == SIDE_SELL)
            left -= quantity;
    }
    *all = o->quantity.v > 0 ? left == 0 : o->side == SIDE_SELL && funds <= 0;
    return put;
}

static enum order_end
random_end(struct world *w, const struct ledger_order *o, bool all)
{
    if (chance(w, 20))
        return (enum order_end)draw(w, 9);
    if (all)
        return ORDER_END_COMPLETE;
    if (o->type == ORDER_TYPE_MARKET)
        return o->quantity.v == 0 && o->side == SIDE_BUY && chance(w, 500)
                   ? ORDER_END_COMPLETE
                   : ORDER_END_INSUFFICIENT_LIQUIDITY;
    if (o->time_in_force == TIME_IN_FORCE_IOC)
        return ORDER_END_IOC_REMAINDER;
    if (o->time_in_force == TIME_IN_FORCE_FOK)
        return ORDER_END_FOK_UNFILLABLE;
    if (o->type == ORDER_TYPE_LIMIT_MAKER && o->rank == 0 && chance(w, 200))
        return ORDER_END_WOULD_TAKE;
    return chance(w, 250) ? ORDER_END_CLIENT_CANCEL : ORDER_END_NONE;
}

static void
report(struct world *w)
{
    struct match_fill list[8];
    struct msg cmd = {.type = MSG_order_report};
    struct order_report *r = &cmd.order_report;
    uint32_t place_in = w->orders_count == 0 ? 0 : (uint32_t)draw(w, w->orders_count);
    r->order_id = w->orders_count == 0 ? 1 : w->orders[place_in];
    uint32_t i = map_get(&w->ledger.order_by_id, r->order_id);
    if (i != MAP_NONE) {
        const struct ledger_order *o = &w->ledger.orders[i];
        bool all;
        r->fills_count = fills(w, o, list, &all);
        r->fills = list;
        r->end = random_end(w, o, all);
        bool rests = o->time_in_force == TIME_IN_FORCE_GTC && r->end == ORDER_END_NONE;
        r->rank = rests && o->rank == 0 ? ++w->next_id : 0;
        if (chance(w, 10))
            r->rank = 1 + draw(w, 5);
    } else {
        r->end = ORDER_END_CLIENT_CANCEL;
    }
    r->was_pulled = r->end == ORDER_END_CLIENT_CANCEL;
    run(w, &cmd);
    i = map_get(&w->ledger.order_by_id, r->order_id);
    bool gone = i == MAP_NONE || w->ledger.orders[i].end != 0;
    if (gone && w->orders_count > 0 && chance(w, 950))
        w->orders[place_in] = w->orders[--w->orders_count];
}

static void
other(struct world *w)
{
    struct msg cmd = {.type = MSG_balance_set};
    if (chance(w, 300)) {
        cmd.balance_set = (struct balance_set){.account_id = account(w),
                                               .trading_type = (enum trading_type)(1 + draw(w, 2)),
                                               .balance = {(int64_t)draw(w, 1100000 * DECIMAL_ONE)},
                                               .command_id = 1 + draw(w, 100000)};
    } else if (chance(w, 300)) {
        cmd.type = MSG_settings_set;
        cmd.settings_set = (struct settings_set){.account_id = account(w),
                                                 .trading_type = TRADING_TYPE_futures,
                                                 .leverage = (uint32_t)draw(w, 130),
                                                 .command_id = 1 + draw(w, 100000)};
    } else if (chance(w, 300)) {
        cmd.type = MSG_tier_set;
        cmd.tier_set = (struct tier_set){account(w), (uint32_t)draw(w, 4), 1 + draw(w, 100000)};
    } else if (chance(w, 300)) {
        cmd.type = MSG_account_open;
        cmd.account_open = (struct account_open){.account_id = account(w), .user_id = 1};
    } else if (chance(w, 500)) {
        cmd.type = MSG_order_cancel_all;
        cmd.order_cancel_all.account_id = account(w);
    } else {
        cmd.type = MSG_order_cancel;
        uint32_t i = w->orders_count == 0
                         ? MAP_NONE
                         : map_get(&w->ledger.order_by_id, w->orders[draw(w, w->orders_count)]);
        if (i == MAP_NONE)
            return;
        cmd.order_cancel.order_id = w->ledger.orders[i].id;
        cmd.order_cancel.account_id = w->ledger.accounts[w->ledger.orders[i].account].id;
    }
    run(w, &cmd);
}

/* A new process from the tables alone must be in the same state. */
static void
restart(struct world *w)
{
    tables_project(&w->tables, &w->ledger);
    uint64_t before = digest(&w->ledger);
    process_start(w);
    cr_assert_eq(tables_load(&w->tables, &w->ledger, w->now_us - limits.keep_us), OK);
    cr_assert_eq(digest(&w->ledger), before, "loading the tables gives another state");
    books_must_balance(w);
}

static void
step(struct world *w, uint32_t i)
{
    w->now_us += (int64_t)draw(w, 500);
    if (chance(w, 450))
        place(w);
    else if (chance(w, 950))
        report(w);
    else
        other(w);
    real_step(w);
    if (i % CHECK_EVERY == 0)
        books_must_balance(w);
    if (i % 64 == 0) {
        tables_project(&w->tables, &w->ledger);
        ledger_evict(&w->ledger, w->now_us);
    }
    if (i % COMPARE_EVERY == 0)
        judge_must_agree(w);
    if (i % RESTART_EVERY == 0 && i > 0)
        restart(w);
}

static void
replay_must_agree(struct world *w)
{
    uint64_t before = digest(&w->ledger);
    process_start(w);
    for (uint32_t i = 0; i < w->records_count; i++) {
        const struct record *r = &w->records[i];
        cr_assert_eq(ledger_replay(&w->ledger, &r->cmd, r->now_us, &w->out), OK,
                     "record %u does not apply again", i);
        outbox_clear(&w->out);
        if (i % 64 == 0) {
            tables_project(&w->tables, &w->ledger);
            ledger_evict(&w->ledger, r->now_us);
        }
    }
    cr_assert_eq(digest(&w->ledger), before, "replaying the journal gives another state");
    books_must_balance(w);
    judge_must_agree(w);
}

static struct world *
world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    cr_assert_not_null(w);
    w->random = seed;
    w->now_us = 1700000000000000;
    w->truths = calloc(TRUTH_MAX, sizeof(*w->truths));
    cr_assert_not_null(w->truths);
    outbox_init(&w->out, calloc(OUT_SLOTS, sizeof(struct out)), OUT_SLOTS, malloc(LEDGER_OUT_BYTES),
                LEDGER_OUT_BYTES);
    process_start(w);
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        struct msg cmd = {.type = MSG_account_open};
        cmd.account_open = (struct account_open){.account_id = 1 + i * 7, .user_id = 1};
        run(w, &cmd);
    }
    return w;
}

static void
world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->records_count; i++)
        record_lists_free(&w->records[i].cmd);
    free(w->truths);
    free(w->records);
    free(w->out.slots);
    free(w->out.lists.bytes);
    free(w->memory);
    tables_free(&w->tables);
    naive_ledger_free(&w->naive);
    free(w);
}

Test(ledger_random, agrees_with_the_naive_judge_and_with_its_own_replay)
{
    const char *chosen = getenv("SCRIP_SEED");
    uint64_t seed = chosen == NULL ? 20261121 : strtoull(chosen, NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    struct world *w = world_new(seed);
    for (uint32_t i = 0; i < STEPS; i++)
        step(w, i);
    real_come_to_rest(w);
    judge_must_agree(w);
    /* That the test is about something: */
    real_must_have_happened(w);
    cr_expect_gt(w->changed, STEPS / 3);
    cr_expect_gt(w->refused, STEPS / 20);
    cr_expect_gt(w->looked_up, 100);
    cr_expect_gt(w->ledger.reports_refused, 100);
    replay_must_agree(w);
    printf("real orders %u, reports taken %llu known %llu wrong %llu\n", w->truths_count,
           (unsigned long long)w->heard, (unsigned long long)w->known,
           (unsigned long long)w->wrong);
    printf("changed %llu refused %llu looked up %llu\n", (unsigned long long)w->changed,
           (unsigned long long)w->refused, (unsigned long long)w->looked_up);
    world_free(w);
}
