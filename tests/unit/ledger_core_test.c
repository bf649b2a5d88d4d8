/*
 * ledger_core_test.c - what stories cannot say: rows that contradict each other, journals that do
 * not apply, messages no codec would let through, the largest answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/core/balance.h"
#include "ledger/core/filter.h"
#include "ledger/core/ledger.h"
#include "scenarios/ledger_tables.h"

static const struct ledger_limits limits = {.accounts_max = 4,
                                            .balances_max = 64,
                                            .orders_max = 600,
                                            .orders_high = 600,
                                            .assets_max = 4,
                                            .symbols_max = 4,
                                            .fills_max = 1024,
                                            .changes_max = 1024,
                                            .stories_max = 1024,
                                            .events_max = 4096,
                                            .waiters_max = 4096};

static const struct ledger_policy policy = {.spot_opening = {100000 * DECIMAL_ONE},
                                            .futures_opening = {DECIMAL_ONE},
                                            .slippage_max = {DECIMAL_ONE / 20},
                                            .orders_per_account_max = LEDGER_OPEN_MAX,
                                            .tiers_count = 1,
                                            .tiers = {{{0}, {0}, {0}, {INT64_MAX}}}};

struct bench {
    struct ledger l;
    void *memory;
    struct outbox out;
};

static struct bench *
bench_new(void)
{
    struct bench *b = calloc(1, sizeof(*b));
    cr_assert_not_null(b);
    b->memory = calloc(1, ledger_bytes(&limits));
    cr_assert_not_null(b->memory);
    ledger_init(&b->l, &limits, &policy, b->memory);
    outbox_init(&b->out, calloc(LEDGER_OUT_MAX + 8, sizeof(struct out)), LEDGER_OUT_MAX + 8,
                malloc(LEDGER_OUT_BYTES), LEDGER_OUT_BYTES);
    const struct symbol_rules rules = {.symbol = code_of("BTCUSDT"),
                                       .base_asset = code_of("BTC"),
                                       .quote_asset = code_of("USDT"),
                                       .is_trading = true};
    const struct md_price price = {.symbol = rules.symbol, .last = {100 * DECIMAL_ONE}};
    cr_assert_eq(ledger_set_rules(&b->l, &rules), OK);
    ledger_set_price(&b->l, &price);
    return b;
}

static void
bench_free(struct bench *b)
{
    text_t why;
    cr_expect(ledger_check(&b->l, &why), "%s", why.text);
    free(b->memory);
    free(b->out.slots);
    free(b->out.lists.bytes);
    free(b);
}

static enum ledger_outcome
ask(struct bench *b, struct msg *cmd)
{
    outbox_clear(&b->out);
    return ledger_request(&b->l, cmd->type == MSG_order_report ? 0 : 1, cmd, 1000, &b->out);
}

static void
open_account(struct bench *b)
{
    struct msg cmd = {.type = MSG_account_open};
    cmd.account_open = (struct account_open){.account_id = 69, .user_id = 1};
    cr_assert_eq(ask(b, &cmd), LEDGER_CHANGED);
}

static struct msg
limit_order(uint32_t number)
{
    struct msg cmd = {.type = MSG_order_place, .corr = number + 1};
    struct order_place *p = &cmd.order_place;
    *p = (struct order_place){.account_id = 69,
                              .symbol = code_of("BTCUSDT"),
                              .side = SIDE_BUY,
                              .type = ORDER_TYPE_LIMIT,
                              .quantity = {DECIMAL_ONE},
                              .price = {100 * DECIMAL_ONE}};
    snprintf(p->client_order_id.text, sizeof(p->client_order_id.text), "n%u", number);
    return cmd;
}

static enum err
refused_with(const struct bench *b)
{
    cr_assert_eq(b->out.count, 1);
    cr_assert_eq(b->out.slots[0].msg.type, MSG_refused);
    return b->out.slots[0].msg.refused.error;
}

/* ---- Messages that no codec lets through ------------------------------------------------------
 */

Test(ledger_core, an_amount_below_zero_is_refused)
{
    struct bench *b = bench_new();
    open_account(b);
    struct msg cmd = limit_order(1);
    cmd.order_place.quantity.v = -1;
    cr_expect_eq(ask(b, &cmd), LEDGER_ANSWERED);
    cr_expect_eq(refused_with(b), ERR_NUMBER_NOT_POSITIVE);
    cmd.order_place.quantity.v = 1;
    cmd.order_place.price.v = INT64_MIN;
    cr_expect_eq(ask(b, &cmd), LEDGER_ANSWERED);
    cr_expect_eq(refused_with(b), ERR_NUMBER_NOT_POSITIVE);
    bench_free(b);
}

Test(ledger_core, an_order_type_of_a_later_version_is_refused)
{
    struct bench *b = bench_new();
    open_account(b);
    struct msg cmd = limit_order(1);
    cmd.order_place.type = (enum order_type)9;
    cr_expect_eq(ask(b, &cmd), LEDGER_ANSWERED);
    cr_expect_eq(refused_with(b), ERR_ORDER_TYPE_UNSUPPORTED);
    bench_free(b);
}

Test(ledger_core, prices_at_the_ends_of_int64_are_survived)
{
    struct bench *b = bench_new();
    open_account(b);
    struct md_price price = {.symbol = code_of("BTCUSDT"), .last = {INT64_MAX}};
    struct msg cmd = limit_order(1);
    cmd.order_place.type = ORDER_TYPE_MARKET;
    cmd.order_place.price.v = 0;
    cmd.order_place.quantity.v = 1;
    ledger_set_price(&b->l, &price);
    cr_expect_eq(ask(b, &cmd), LEDGER_CHANGED);
    cr_expect_eq(cmd.order_place.worst_price.v, INT64_MAX, "no room for slippage above");

    price.last.v = price.average.v = INT64_MIN;
    ledger_set_price(&b->l, &price);
    cmd.order_place.client_order_id.text[0] = 'x';
    cr_expect_eq(ask(b, &cmd), LEDGER_ANSWERED);
    cr_expect_eq(refused_with(b), ERR_PRICE_UNKNOWN, "below zero is no price");
    bench_free(b);
}

/* ---- Journals that do not apply
 * ------------------------------------------------------------------ */

Test(ledger_core, a_journal_that_does_not_apply_is_told_so)
{
    struct bench *b = bench_new();
    struct msg cmd = limit_order(1);
    cr_expect_eq(ledger_replay(&b->l, &cmd, 1, &b->out), ERR_INTERNAL, "nobody's order");
    open_account(b);
    outbox_clear(&b->out);
    cr_expect_eq(ledger_replay(&b->l, &cmd, 1, &b->out), ERR_INTERNAL, "never enriched");
    cr_expect_eq(ask(b, &cmd), LEDGER_CHANGED);
    outbox_clear(&b->out);
    cr_expect_eq(ledger_replay(&b->l, &cmd, 1, &b->out), ERR_INTERNAL, "placed twice");
    cmd.order_place.client_order_id.text[0] = 'x';
    cmd.order_place.hold.v = 1000000 * DECIMAL_ONE;
    cr_expect_eq(ledger_replay(&b->l, &cmd, 1, &b->out), ERR_INTERNAL, "without the funds");
    cmd = (struct msg){.type = MSG_order_report};
    cmd.order_report.order_id = 99;
    cmd.order_report.end = ORDER_END_CLIENT_CANCEL;
    cr_expect_eq(ledger_replay(&b->l, &cmd, 1, &b->out), ERR_INTERNAL, "unknown order");
    cmd = (struct msg){.type = MSG_account_get};
    cr_expect_eq(ledger_replay(&b->l, &cmd, 1, &b->out), ERR_INTERNAL, "not a command");
    cr_expect_eq(b->l.accounts[b->l.accounts_count - 1].open_orders, 1);
    bench_free(b);
}

/* ---- Proof ----------------------------------------------------------------------------------- */

static void
must_show(const struct bench *b, const char *violation)
{
    uint32_t own = ledger_shard_of(69);
    text_t why;
    cr_expect(!ledger_check(&b->l, &why));
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        cr_expect_eq(ledger_check_shard(&b->l, shard, &why), shard != own);
    cr_expect(!ledger_check_shard(&b->l, own, &why));
    cr_expect_not_null(strstr(why.text, violation), "%s", why.text);
}

Test(ledger_core, books_that_do_not_add_up_are_seen_in_their_own_shard)
{
    struct bench *b = bench_new();
    open_account(b);
    struct msg cmd = limit_order(1);
    cr_assert_eq(ask(b, &cmd), LEDGER_CHANGED);
    struct ledger_account *a = &b->l.accounts[b->l.accounts_count - 1];
    struct ledger_balance *cash = &b->l.balances[a->first_balance];
    struct ledger_order *o = &b->l.orders[a->newest_open];

    cash->free.v++;
    must_show(b, "the sum of USDT is not zero");
    cash->free.v--;
    cash->free.v++, cash->held.v--;
    must_show(b, "held is not what its orders hold");
    cash->free.v--, cash->held.v++;
    o->held.v--;
    must_show(b, "does not hold what it needs");
    o->held.v++;
    a->balances++;
    must_show(b, "its balances are miscounted");
    a->balances--;
    a->open_orders++;
    must_show(b, "its orders are miscounted");
    a->open_orders--;
    b->l.shards[a->shard].accounts++;
    must_show(b, "is miscounted");
    b->l.shards[a->shard].accounts--;
    bench_free(b);
}

/* ---- Rows
 * ------------------------------------------------------------------------------------------ */

Test(ledger_core, rows_that_contradict_each_other_are_refused)
{
    struct bench *b = bench_new();
    struct ledger *l = &b->l;
    const struct account_row account = {.account_id = 69, .user_id = 1};
    struct balance_row balance = {
        .account_id = 69, .wallet = WALLET_spot, .asset = code_of("USDT"), .free = {5}};
    struct order_row order = {.order = {.order_id = 1,
                                        .account_id = 69,
                                        .client_order_id = {"a"},
                                        .symbol = code_of("BTCUSDT"),
                                        .side = SIDE_BUY,
                                        .status = ORDER_STATUS_FILLED,
                                        .end_reason = ORDER_END_COMPLETE},
                              .base_asset = code_of("BTC"),
                              .quote_asset = code_of("USDT")};
    const struct shard_row shard = {.shard = LEDGER_SHARDS};
    cr_expect_eq(ledger_load_shard(l, &shard), ERR_INTERNAL);
    cr_expect_eq(ledger_load_balance(l, &balance), ERR_INTERNAL, "before its account");
    cr_expect_eq(ledger_load_order(l, &order), ERR_INTERNAL, "before its account");
    cr_expect_eq(ledger_load_account(l, &account), OK);
    cr_expect_eq(ledger_load_account(l, &account), ERR_INTERNAL, "twice");
    balance.free.v = -1;
    cr_expect_eq(ledger_load_balance(l, &balance), ERR_INTERNAL, "below zero");
    balance.account_id = ledger_system_id(SYSTEM_ISSUANCE, 0);
    cr_expect_eq(ledger_load_balance(l, &balance), OK, "issuance is below zero");
    balance = (struct balance_row){
        .account_id = 69, .wallet = WALLET_spot, .asset = code_of("USDT"), .free = {1}};
    cr_expect_eq(ledger_load_balance(l, &balance), OK);
    order.order.order_id = UINT64_C(5) << 47 | 1;
    cr_expect_eq(ledger_load_order(l, &order), ERR_INTERNAL, "of another shard");
    order.order.order_id = 1;
    l->accounts[l->accounts_count - 1].orders_placed = 1;
    cr_expect_eq(ledger_load_order(l, &order), OK);
    cr_expect_eq(ledger_load_order(l, &order), ERR_INTERNAL, "twice");
    struct trade_row trade = {.account_id = 69, .trade = {.trade_id = 1, .order_id = 1}};
    cr_expect_eq(ledger_load_fill(l, &trade), ERR_INTERNAL, "more fills than the order has");
    trade.trade.order_id = 2;
    cr_expect_eq(ledger_load_fill(l, &trade), OK, "of an order that was not loaded");
    bench_free(b);
}

Test(ledger_core, more_rows_than_the_pools_hold_are_refused)
{
    struct bench *b = bench_new();
    struct account_row account = {.account_id = 1, .user_id = 1};
    for (; account.account_id <= limits.accounts_max; account.account_id++)
        cr_expect_eq(ledger_load_account(&b->l, &account), OK);
    cr_expect_eq(ledger_load_account(&b->l, &account), ERR_ACCOUNTS_FULL);
    struct balance_row balance = {.account_id = 1, .wallet = WALLET_spot};
    char asset[8];
    for (uint32_t i = 1; i < limits.assets_max; i++) {
        snprintf(asset, sizeof(asset), "A%u", i);
        balance.asset = code_of(asset);
        cr_expect_eq(ledger_load_balance(&b->l, &balance), OK);
    }
    balance.asset = code_of("ONEMORE");
    cr_expect_eq(ledger_load_balance(&b->l, &balance), ERR_ACCOUNTS_FULL);
    bench_free(b);
}

Test(ledger_core, a_cleared_ledger_loads_its_tables_and_keeps_the_market)
{
    struct bench *b = bench_new();
    static struct tables tables;
    open_account(b);
    struct msg cmd = limit_order(1);
    cr_assert_eq(ask(b, &cmd), LEDGER_CHANGED);
    tables_project(&tables, &b->l);
    cmd = limit_order(2);
    cr_assert_eq(ask(b, &cmd), LEDGER_CHANGED, "memory is ahead of the tables");

    ledger_clear(&b->l);
    cr_expect_eq(b->l.orders_count, 0);
    cr_expect_eq(ledger_dirty_rows(&b->l), 0);
    cr_assert_eq(tables_load(&tables, &b->l, 0), OK);
    cr_expect_eq(b->l.orders_count, 1);
    cr_expect_eq(ask(b, &cmd), LEDGER_CHANGED, "what was not committed can be placed again");
    cmd = limit_order(1);
    cr_expect_eq(ask(b, &cmd), LEDGER_ANSWERED, "what was committed is there");
    tables_free(&tables);
    bench_free(b);
}

/* ---- The largest answers
 * ------------------------------------------------------------------------------ */

static void
cancel_everything(struct bench *b)
{
    for (uint32_t i = ledger_next_open(&b->l, 0); i != LEDGER_NONE;
         i = ledger_next_open(&b->l, i + 1)) {
        struct msg cmd = {.type = MSG_order_report};
        cmd.order_report = (struct order_report){
            .order_id = b->l.orders[i].id, .end = ORDER_END_CLIENT_CANCEL, .was_pulled = true};
        cr_assert_eq(ask(b, &cmd), LEDGER_CHANGED);
    }
}

Test(ledger_core, five_hundred_orders_are_cancelled_for_four_askers_at_once)
{
    struct bench *b = bench_new();
    open_account(b);
    for (uint32_t i = 0; i < LEDGER_OPEN_MAX; i++) {
        struct msg cmd = limit_order(i);
        cr_assert_eq(ask(b, &cmd), LEDGER_CHANGED);
    }
    struct msg one_more = limit_order(LEDGER_OPEN_MAX);
    cr_expect_eq(ask(b, &one_more), LEDGER_ANSWERED);
    cr_expect_eq(refused_with(b), ERR_FILTER_MAX_ORDERS);
    struct msg snapshot = {.type = MSG_event_resume};
    snapshot.event_resume = (struct event_resume){.account_id = 69, .after = 9999999};
    cr_expect_eq(ask(b, &snapshot), LEDGER_ANSWERED);
    cr_expect_eq(b->out.slots[0].msg.event_resumed.orders_count, LEDGER_OPEN_MAX);

    for (uint64_t corr = 1; corr <= 4; corr++) {
        struct msg cmd = {.type = MSG_order_cancel_all, .corr = corr};
        cmd.order_cancel_all.account_id = 69;
        cr_assert_eq(ask(b, &cmd), LEDGER_ANSWERED);
        cr_expect_eq(b->out.count, corr == 1 ? LEDGER_OPEN_MAX : 0, "pulled once");
    }
    cancel_everything(b);
    uint32_t pages = 0;
    for (uint32_t i = 0; i < b->out.count; i++)
        if (b->out.slots[i].msg.type == MSG_order_page) {
            cr_expect_eq(b->out.slots[i].msg.order_page.orders_count, LEDGER_OPEN_MAX);
            pages++;
        }
    cr_expect_eq(pages, 4);
    cr_expect_eq(b->l.waiters_spare, limits.waiters_max, "nobody waits any more");
    bench_free(b);
}

Test(ledger_core, a_thousand_missed_events_come_in_one_answer)
{
    struct bench *b = bench_new();
    open_account(b);
    for (uint32_t i = 0; i < LEDGER_OPEN_MAX; i++) {
        struct msg cmd = limit_order(i);
        cr_assert_eq(ask(b, &cmd), LEDGER_CHANGED);
    }
    struct msg cmd = {.type = MSG_event_resume};
    cmd.event_resume = (struct event_resume){.account_id = 69, .after = 2};
    cr_expect_eq(ask(b, &cmd), LEDGER_ANSWERED);
    cr_expect_eq(b->out.count, 1001);
    cr_expect_eq(b->out.slots[0].msg.event_resumed.events, 1000);
    for (uint32_t i = 1; i < b->out.count; i++) {
        const struct msg *m = &b->out.slots[i].msg;
        uint64_t sequence =
            m->type == MSG_event_order ? m->event_order.sequence : m->event_balance.sequence;
        cr_expect_eq(sequence, i + 2);
    }
    bench_free(b);
}

/* ---- Arithmetic
 * ---------------------------------------------------------------------------------------- */

Test(ledger_core, steps_cut_down_and_raise)
{
    int64_t out;
    cr_expect_eq(step_floor(1234, 100), 1200);
    cr_expect_eq(step_floor(1234, 0), 1234);
    cr_expect(step_ceil(1201, 100, &out) && out == 1300);
    cr_expect(step_ceil(1200, 100, &out) && out == 1200);
    cr_expect(!step_ceil(INT64_MAX, 100, &out));
}

Test(ledger_core, a_posting_that_leaves_int64_does_not_fit)
{
    struct ledger_balance from = {.free = {0}}, to = {.free = {0}};
    cr_expect(posting_fits(&from, &to, (money_t){INT64_MAX}));
    from.free.v = -2;
    cr_expect(!posting_fits(&from, &to, (money_t){INT64_MAX}));
    from.free.v = 0;
    to.free.v = INT64_MAX - 2;
    cr_expect(posting_fits(&from, &to, (money_t){2}));
    to.held.v = 1;
    cr_expect(!posting_fits(&from, &to, (money_t){2}));
}
