/*
 * store_random.c - see store_random.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store_random.h"

#include <stdio.h>

#include "ledger/core/kind.h"
#include "ledger/core/shape.h"

#define PRICE RANDOM_PRICE

static uint64_t seed = 20261121;
static uint64_t next_command, next_client, next_rank;

uint64_t
roll(uint64_t below)
{
    seed = map_mix(seed + 1);
    return seed % below;
}

static int64_t
cents(uint64_t below)
{
    return (int64_t)roll(below) * DECIMAL_ONE / 100;
}

/* ---- Orders ------------------------------------------------------------------------------- */

static struct order_wish
wish(enum order_type type, enum side side)
{
    struct order_wish w = {.symbol = code_of("BTCUSDT"), .side = side, .type = type};
    snprintf(w.client_order_id.text, CID_BYTES, "c%d", (int)++next_client);
    w.quantity.v = (int64_t)(4 + roll(1000)) * DECIMAL_ONE / 1000;
    if (roll(3) == 0)
        w.self_trade_prevention = (enum self_trade_prevention)(1 + roll(5));
    if (roll(4) == 0)
        w.fill_model = (enum fill_model)(1 + roll(3));
    return w;
}

static struct order_wish
limit_wish(enum side side)
{
    struct order_wish w = wish(ORDER_TYPE_LIMIT, side);
    w.price.v = PRICE - 5 * DECIMAL_ONE + cents(1000);
    if (roll(4) == 0)
        w.iceberg_quantity.v = w.quantity.v / 3;
    else if (roll(4) == 0)
        w.time_in_force = TIME_IN_FORCE_DAY;
    return w;
}

/* On the right side of the market, so that most of them are taken. */
static struct order_wish
stop_wish(enum order_type type, enum side side)
{
    struct order_wish w = wish(type, side);
    int64_t away = cents(500) + DECIMAL_ONE / 100;
    price_t stop = {PRICE + (kind_rises(type, side) ? away : -away)};
    w.trigger_source = (enum trigger_source)roll(4);
    if (type == ORDER_TYPE_TRAILING_STOP) {
        w.callback_rate.v = (int64_t)(1 + roll(5)) * DECIMAL_ONE / 100;
        if (roll(2) == 0)
            w.activation_price = stop;
        return w;
    }
    w.stop_price = stop;
    if (roll(3) == 0)
        w.trailing_delta = 50 + (uint32_t)roll(100);
    if (type == ORDER_TYPE_STOP_LOSS_LIMIT || type == ORDER_TYPE_TAKE_PROFIT_LIMIT)
        w.price = w.stop_price;
    return w;
}

static struct order_wish
any_wish(void)
{
    enum side side = roll(2) == 0 ? SIDE_BUY : SIDE_SELL;
    uint64_t what = roll(6);
    if (what <= 1)
        return wish(ORDER_TYPE_MARKET, side);
    if (what <= 3)
        return limit_wish(side);
    return stop_wish((enum order_type)(ORDER_TYPE_STOP_LOSS + roll(5)), side);
}

static struct msg
order_command(uint64_t account)
{
    struct msg m = {.type = MSG_order_place};
    struct order_wish w = any_wish();
    m.order_place = shape_of_wish(&w, account);
    return m;
}

/* A better price and a stop around the market. */
static void
pair_wishes(struct order_wish pair[2], enum side side)
{
    pair[0] = wish(ORDER_TYPE_LIMIT_MAKER, side);
    pair[0].price.v =
        side == SIDE_SELL ? PRICE + DECIMAL_ONE + cents(100) : PRICE - DECIMAL_ONE - cents(100);
    pair[1] = stop_wish(ORDER_TYPE_STOP_LOSS, side);
    pair[1].trigger_source = TRIGGER_SOURCE_LAST;
    pair[1].quantity = pair[0].quantity;
}

static struct msg
list_command(uint64_t account)
{
    static struct order_wish orders[3];
    struct msg m = {.type = MSG_list_place};
    enum contingency kind = (enum contingency)(1 + roll(3));
    if (kind == CONTINGENCY_OCO) {
        pair_wishes(orders, roll(2) == 0 ? SIDE_BUY : SIDE_SELL);
    } else {
        orders[0] = limit_wish(SIDE_BUY);
        orders[0].iceberg_quantity.v = 0;
        if (kind == CONTINGENCY_OTOCO)
            pair_wishes(&orders[1], SIDE_SELL);
        else
            orders[1] = limit_wish(SIDE_SELL);
    }
    m.list_place = (struct list_place){.account_id = account,
                                       .contingency = kind,
                                       .symbol = code_of("BTCUSDT"),
                                       .orders = orders,
                                       .orders_count = kind == CONTINGENCY_OTOCO ? 3 : 2};
    return m;
}

/* ---- Of orders that are open -------------------------------------------------------------- */

/* A live order from a random place on; NULL when there is none. */
static const struct ledger_order *
any_live(const struct ledger *l)
{
    uint32_t i = ledger_next_open(l, (uint32_t)roll(l->orders_reached + 1));
    return i == LEDGER_NONE ? NULL : &l->orders[i];
}

static struct msg
order_change(const struct ledger *l)
{
    struct msg m = {.type = MSG_NONE};
    const struct ledger_order *o = any_live(l);
    if (o == NULL)
        return m;
    uint64_t account = l->accounts[o->account].id, what = roll(4);
    if (what == 0) {
        struct order_wish w = limit_wish((enum side)o->side);
        struct order_place place = shape_of_wish(&w, account);
        m.type = MSG_order_replace;
        m.order_replace = (struct order_replace){.account_id = account,
                                                 .cancel_order_id = o->id,
                                                 .mode = (enum replace_mode)(1 + roll(2))};
        shape_into_replace(&place, &m.order_replace);
    } else if (what == 1) {
        m.type = MSG_order_amend;
        m.order_amend = (struct order_amend){
            .account_id = account, .order_id = o->id, .quantity = {o->quantity.v * 3 / 4}};
    } else if (what == 2 && o->list_id != 0) {
        m.type = MSG_list_cancel;
        m.list_cancel = (struct list_cancel){account, o->list_id};
    } else {
        m.type = MSG_order_cancel;
        m.order_cancel = (struct order_cancel){.account_id = account, .order_id = o->id};
    }
    return m;
}

/* ---- Settings ----------------------------------------------------------------------------- */

static struct msg
settings_command(uint64_t account)
{
    struct msg m = {.type = MSG_settings_set};
    m.settings_set = (struct settings_set){.account_id = account,
                                           .trading_type = (enum trading_type)(1 + roll(2)),
                                           .leverage = 1,
                                           .auto_trading = TRI_TRUE,
                                           .command_id = next_command};
    if (roll(2) == 0)
        m.settings_set.fill_preset = (enum fill_preset)(1 + roll(3));
    if (roll(2) == 0)
        m.settings_set.fill_overrides = UINT32_C(1) << 12; /* latency_spread_us = 0 */
    if (roll(2) == 0)
        m.settings_set.seed = seed;
    return m;
}

static struct msg
account_command(uint64_t account)
{
    struct msg m = {.type = MSG_account_open};
    uint64_t what = roll(3);
    if (what == 0) {
        m.account_open = (struct account_open){.account_id = account, .user_id = account};
    } else if (what == 1) {
        m.type = MSG_balance_set;
        m.balance_set =
            (struct balance_set){.account_id = account,
                                 .trading_type = (enum trading_type)(1 + roll(2)),
                                 .balance = {(int64_t)(1000 + roll(1000000)) * DECIMAL_ONE},
                                 .command_id = next_command};
    } else {
        m = settings_command(account);
    }
    return m;
}

/* ---- Reports ------------------------------------------------------------------------------ */

/* What is said of one order in one step. */
struct saying {
    struct order_report report;
    struct match_fill fill;
    struct story story;
};

static void
say_fill(struct saying *s, const struct order_work *work, bool whole)
{
    s->fill = (struct match_fill){
        .price = work->price,
        .quantity = work->quantity,
        .is_maker = work->rank != 0,
        .evidence = {.source = LIQUIDITY_TRADE, .sequence = seed >> 20, .is_stale = roll(4) == 0}};
    if (!whole && work->quantity.v > 1)
        s->fill.quantity.v = 1 + (int64_t)roll((uint64_t)work->quantity.v - 1);
    s->report.fills = &s->fill;
    s->report.fills_count = 1;
    if (s->fill.quantity.v == work->quantity.v)
        s->report.end = ORDER_END_COMPLETE;
}

/* Armed, trailing, set off, or gone. */
static void
say_of_armed(struct saying *s, const struct ledger_order *o, const struct order_work *work,
             int64_t now_us)
{
    uint64_t what = roll(5);
    if (what == 0 && o->rank == 0)
        s->report.rank = ++next_rank;
    else if (what == 1 && o->trailing_delta != 0)
        s->report.trail_extreme.v =
            o->trail_extreme.v == 0 ? PRICE : o->trail_extreme.v + (o->side == SIDE_BUY ? -1 : 1);
    else if (what == 2)
        s->report.end = ORDER_END_CLIENT_CANCEL;
    else
        s->report.triggered_us = now_us;
    if (s->report.triggered_us == 0)
        return;
    if (order_may_rest(o))
        s->report.rank = ++next_rank;
    else
        say_fill(s, work, roll(2) == 0);
    if (s->report.end == ORDER_END_NONE && kind_is_market((enum order_type)o->type))
        s->report.end = ORDER_END_INSUFFICIENT_LIQUIDITY;
}

static void
say_of_worked(struct saying *s, const struct ledger_order *o, const struct order_work *work)
{
    uint64_t what = roll(6);
    if (o->trimmed_us != 0) {
        s->report.was_trimmed = true;
        s->report.trimmed_to = o->trimmed_to;
    } else if (what <= 2 || !order_may_rest(o)) {
        say_fill(s, work, what == 0);
        if (s->report.end == ORDER_END_NONE && !order_may_rest(o))
            s->report.end = ORDER_END_INSUFFICIENT_LIQUIDITY;
    } else if (what == 3) {
        s->report.was_pulled = roll(2) == 0;
        s->report.end = s->report.was_pulled ? ORDER_END_CLIENT_CANCEL : ORDER_END_SYMBOL_REMOVED;
    } else if (what == 4 && work->quantity.v > 1) {
        s->report.prevented.v = work->quantity.v / 2;
    }
    if (s->report.end == ORDER_END_NONE && (work->rank == 0 || o->iceberg_quantity.v > 0))
        s->report.rank = ++next_rank;
}

static struct msg
report_command(const struct ledger *l, int64_t now_us, struct saying *s)
{
    struct msg m = {.type = MSG_NONE};
    const struct ledger_order *o = any_live(l);
    if (o == NULL)
        return m;
    struct order_work work = {.order_id = 0};
    ledger_order_work(l, (uint32_t)(o - l->orders), &work);
    *s = (struct saying){.report = {.order_id = o->id}};
    if (order_is_armed(o))
        say_of_armed(s, o, &work, now_us);
    else
        say_of_worked(s, o, &work);
    s->story = (struct story){.arrived_us = now_us, .ahead = {cents(100)}, .printed = {1}};
    if (s->report.end != ORDER_END_NONE && roll(2) == 0) {
        s->report.stories = &s->story;
        s->report.stories_count = 1;
    }
    m.type = MSG_order_report;
    m.order_report = s->report;
    return m;
}

void
random_command(const struct ledger *l, int64_t now_us,
               void (*request)(uint32_t peer, struct msg *cmd))
{
    static struct saying saying;
    uint64_t account = 1 + roll(RANDOM_ACCOUNTS), what = roll(40);
    struct msg m;
    next_command++;
    if (what <= 3)
        m = account_command(account);
    else if (what <= 14)
        m = order_command(account);
    else if (what <= 18)
        m = list_command(account);
    else if (what <= 21)
        m = order_change(l);
    else
        m = report_command(l, now_us, &saying);
    m.corr = next_command;
    if (m.type != MSG_NONE)
        request(m.type == MSG_order_report ? 0 : 1, &m);
}
