/*
 * ledger_random_real.c - the exchange of ledger_random_test.c: a truth, told badly.
 *
 * Each REAL order has one fate. Reports tell parts of it, late, twice, in any order, and now and
 * then nonsense; at the end all of it is told once more, and then the ledger knows the truth.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_random.h"

/* ---- What goes out ------------------------------------------------------------------------ */

static bool
is_real(const struct world *w, uint64_t order_id)
{
    uint32_t i = map_get(&w->ledger.order_by_id, order_id);
    cr_assert_neq(i, MAP_NONE, "a message about an order that is not there");
    return w->ledger.orders[i].environment != ENVIRONMENT_NONE;
}

static uint64_t
matcher_order(const struct msg *m)
{
    switch (m->type) {
    case MSG_order_work:
        return m->order_work.order_id;
    case MSG_order_pull:
        return m->order_pull.order_id;
    case MSG_order_trim:
        return m->order_trim.order_id;
    default:
        return m->order_explain.order_id;
    }
}

/* It is sent once, by the command that placed it. */
static void
truth_begin(struct world *w, const struct bridge_place *m)
{
    cr_assert_lt(w->truths_count, TRUTH_MAX);
    for (uint32_t i = 0; i < w->truths_count; i++)
        cr_assert_neq(w->truths[i].order_id, m->order.order_id, "an order is sent twice");
    w->twins += m->order.twin != 0;
    w->truths[w->truths_count++] = (struct truth){.order_id = m->order.order_id,
                                                  .account_id = m->account_id,
                                                  .environment = m->order.environment,
                                                  .fate = EXCHANGE_STATE_SENDING,
                                                  .status = ORDER_STATUS_NEW,
                                                  .quantity = m->order.quantity.v};
}

void
real_hear(struct world *w, bool changed)
{
    for (uint32_t i = 0; i < w->out.count; i++) {
        const struct out *o = &w->out.slots[i];
        if (o->to == OUT_MATCHER)
            cr_assert_not(is_real(w, matcher_order(&o->msg)), "a matcher hears of a real order");
        if (o->to != OUT_BRIDGE)
            continue;
        uint64_t id = o->msg.bridge_place.order.order_id; /* the other two begin alike */
        cr_assert(is_real(w, id), "a bridge hears of an order on paper");
        cr_assert_eq(o->msg.bridge_place.order.mode, TRADING_MODE_REAL);
        if (o->msg.type != MSG_bridge_place)
            continue;
        cr_assert(changed);
        truth_begin(w, &o->msg.bridge_place);
    }
}

/* ---- What happens ------------------------------------------------------------------------- */

static int64_t
truth_executed(const struct truth *t)
{
    return t->fills_count == 0 ? 0 : t->fills[t->fills_count - 1].executed_after.v;
}

static void
truth_fill(struct world *w, struct truth *t)
{
    int64_t done = truth_executed(t), left = t->quantity > 0 ? t->quantity - done : 1000000;
    if (left <= 0 || t->fills_count == FILLS_MAX)
        return;
    int64_t quantity = chance(w, 300) ? left : 1 + (int64_t)draw(w, (uint64_t)left);
    struct exchange_fill *f = &t->fills[t->fills_count++];
    *f = (struct exchange_fill){.trade_id = ++w->next_id,
                                .price = {1 + (int64_t)draw(w, 10000000000)},
                                .quantity = {quantity},
                                .executed_after = {done + quantity},
                                .fee = {(int64_t)draw(w, 1000) - 100},
                                .fee_asset = code_of("BNB"),
                                .is_maker = chance(w, 500),
                                .time_us = w->now_us};
    if (chance(w, 800))
        f->quote_quantity.v = 1 + (int64_t)draw(w, 1000000000000);
    if (t->quantity > 0 && done + quantity == t->quantity)
        t->status = ORDER_STATUS_FILLED;
}

static bool
truth_is_over(const struct truth *t)
{
    return t->fate == EXCHANGE_STATE_REFUSED || t->fate == EXCHANGE_STATE_NOT_PLACED ||
           t->status != ORDER_STATUS_NEW;
}

static void
truth_move(struct world *w, struct truth *t)
{
    if (truth_is_over(t))
        return;
    if (t->fate == EXCHANGE_STATE_SENDING) {
        uint64_t die = draw(w, 10);
        t->fate = die < 8    ? EXCHANGE_STATE_PLACED
                  : die == 8 ? EXCHANGE_STATE_REFUSED
                             : EXCHANGE_STATE_NOT_PLACED;
    } else if (chance(w, 700)) {
        truth_fill(w, t);
    } else if (chance(w, 500)) {
        const enum order_status ends[] = {ORDER_STATUS_CANCELED, ORDER_STATUS_EXPIRED,
                                          ORDER_STATUS_EXPIRED_IN_MATCH};
        t->status = ends[draw(w, 3)];
    }
}

/* ---- What is told ------------------------------------------------------------------------- */

/* Some of its fills, in some order, some of them twice. */
static uint32_t
fills_told(struct world *w, const struct truth *t, struct exchange_fill list[2 * FILLS_MAX])
{
    uint32_t count = 0;
    uint32_t from = t->fills_count == 0 ? 0 : (uint32_t)draw(w, t->fills_count + 1);
    if (chance(w, 400))
        from = 0;
    for (uint32_t i = from; i < t->fills_count; i++) {
        if (chance(w, 900))
            list[count++] = t->fills[i];
        if (chance(w, 100))
            list[count++] = t->fills[i];
    }
    if (count > 1 && chance(w, 200)) {
        uint32_t a = (uint32_t)draw(w, count), b = (uint32_t)draw(w, count);
        struct exchange_fill moved = list[a];
        list[a] = list[b];
        list[b] = moved;
    }
    return count;
}

static struct bridge_report
whole_truth(const struct truth *t)
{
    struct bridge_report r = {.account_id = t->account_id,
                              .order_id = t->order_id,
                              .environment = t->environment,
                              .exchange_state = t->fate};
    if (t->fate != EXCHANGE_STATE_PLACED)
        return r;
    r.exchange_order_id = t->order_id + 7;
    r.status = t->status;
    r.executed_quantity.v = truth_executed(t);
    r.placed_quantity.v = t->quantity;
    r.fills = t->fills;
    r.fills_count = t->fills_count;
    return r;
}

static bool
is_named(const struct world *w, uint64_t order_id)
{
    uint32_t i = map_get(&w->ledger.order_by_id, order_id);
    return i != MAP_NONE && w->ledger.orders[i].exchange_order_id != 0;
}

/* Of what is known, that it is otherwise. */
static void
contradict(const struct world *w, struct bridge_report *r)
{
    uint32_t i = map_get(&w->ledger.order_by_id, r->order_id);
    enum exchange_state known = i == MAP_NONE
                                    ? EXCHANGE_STATE_NONE
                                    : (enum exchange_state)w->ledger.orders[i].exchange_state;
    if (known == EXCHANGE_STATE_REFUSED || known == EXCHANGE_STATE_NOT_PLACED)
        r->exchange_state = EXCHANGE_STATE_PLACED;
    else if (known == EXCHANGE_STATE_PLACED)
        r->exchange_state = EXCHANGE_STATE_NOT_PLACED;
}

/* What no exchange says. */
static void
nonsense(struct world *w, struct bridge_report *r)
{
    switch (draw(w, 7)) {
    case 0:
        r->account_id += 7;
        break;
    case 1:
        r->environment =
            r->environment == ENVIRONMENT_live ? ENVIRONMENT_testnet : ENVIRONMENT_live;
        break;
    case 2:
        r->order_id = w->orders_count > 0 ? w->orders[draw(w, w->orders_count)] : 1;
        break;
    case 3: /* under its true id it must be known first, or a wrong one would stay */
        if (is_named(w, r->order_id))
            r->exchange_order_id++;
        break;
    case 4:
        r->exchange_state = EXCHANGE_STATE_SENDING;
        break;
    case 5:
        contradict(w, r);
        break;
    default:
        r->placed_price.v = -1;
        break;
    }
}

/* A bridge that answers the question too early, or has the answer by chance. */
static void
tell(struct world *w, struct truth *t)
{
    struct exchange_fill list[2 * FILLS_MAX];
    struct msg cmd = {.type = MSG_bridge_report};
    struct bridge_report *r = &cmd.bridge_report;
    *r = whole_truth(t);
    if (r->exchange_state == EXCHANGE_STATE_SENDING || chance(w, 100)) {
        *r = (struct bridge_report){.account_id = t->account_id,
                                    .order_id = t->order_id,
                                    .environment = t->environment,
                                    .exchange_state = EXCHANGE_STATE_UNKNOWN};
    } else if (r->exchange_state == EXCHANGE_STATE_PLACED && chance(w, 700)) {
        r->fills_count = fills_told(w, t, list);
        r->fills = list;
        if (chance(w, 300))
            r->status = ORDER_STATUS_NEW;
    }
    if (chance(w, 30))
        nonsense(w, r);
    r->was_cancel = chance(w, 50);
    if (r->was_cancel && chance(w, 500))
        r->error = ERR_CREDENTIALS_INVALID;
    uint64_t refused = w->ledger.real_refused;
    bool changed = run(w, &cmd) == LEDGER_CHANGED;
    w->heard += changed;
    w->known += !changed;
    w->wrong += w->ledger.real_refused - refused;
}

static struct truth *
any_truth(struct world *w)
{
    if (w->truths_count == 0)
        return NULL;
    /* Mostly one of the latest. */
    uint32_t recent = w->truths_count < 300 ? w->truths_count : 300;
    uint32_t place = chance(w, 950) ? w->truths_count - 1 - (uint32_t)draw(w, recent)
                                    : (uint32_t)draw(w, w->truths_count);
    return &w->truths[place];
}

/* The operator is right: it was never placed. */
static void
settle(struct world *w)
{
    struct truth *t = any_truth(w);
    struct msg cmd = {.type = MSG_order_settle};
    if (t == NULL)
        return;
    bool is_right = t->fate == EXCHANGE_STATE_NOT_PLACED;
    cmd.order_settle = (struct order_settle){
        .order_id = t->order_id,
        .settlement = is_right && chance(w, 700) ? SETTLEMENT_NOT_PLACED : SETTLEMENT_ASK_AGAIN,
        .changed_by = code_of("ada")};
    run(w, &cmd);
}

static void
bind(struct world *w)
{
    struct msg cmd = {.type = MSG_settings_set};
    bool is_real = chance(w, 700);
    cmd.settings_set = (struct settings_set){
        .account_id = 1 + draw(w, ACCOUNTS / 4) * 7, /* the others stay on paper */
        .trading_type = chance(w, 750) ? TRADING_TYPE_spot : TRADING_TYPE_futures,
        .mode = is_real ? TRADING_MODE_REAL : TRADING_MODE_PAPER,
        .environment = is_real ? (enum environment)draw(w, 3) : ENVIRONMENT_NONE,
        .confirm_real = is_real && chance(w, 900),
        .live_twin = (enum tri)draw(w, 3),
        .command_id = ++w->next_id};
    run(w, &cmd);
}

static void
tell_balances(struct world *w)
{
    static const char *const assets[] = {"USDT", "BTC", "ETH", "BNB", "XRP"};
    struct exchange_balance balances[4];
    struct exchange_position position = {.symbol = code_of("BTCUSDT_PERP"),
                                         .quantity = {(int64_t)draw(w, 2000) - 1000}};
    struct msg cmd = {.type = MSG_exchange_account};
    struct exchange_account *e = &cmd.exchange_account;
    const struct naive_account *a = &w->naive.accounts[draw(w, w->naive.accounts_count)];
    bool futures = chance(w, 300);
    *e = (struct exchange_account){.account_id = a->id,
                                   .trading_type =
                                       futures ? TRADING_TYPE_futures : TRADING_TYPE_spot,
                                   .environment = a->bound[futures],
                                   .as_of_us = a->as_of_us[futures] + (int64_t)draw(w, 50) - 10,
                                   .is_whole = chance(w, 400),
                                   .balances = balances,
                                   .balances_count = (uint32_t)draw(w, 5),
                                   .positions = &position,
                                   .positions_count = futures && chance(w, 500)};
    for (uint32_t i = 0; i < e->balances_count; i++)
        balances[i] = (struct exchange_balance){code_of(assets[draw(w, 5)]),
                                                {(int64_t)draw(w, 1000000) - (futures ? 500 : 0)},
                                                {(int64_t)draw(w, 2) * 500}};
    w->there += run(w, &cmd) == LEDGER_CHANGED;
}

void
real_step(struct world *w)
{
    if (chance(w, 40))
        bind(w);
    if (chance(w, 30))
        tell_balances(w);
    if (chance(w, 3))
        settle(w);
    struct truth *t = any_truth(w);
    if (t == NULL || !chance(w, 400))
        return;
    truth_move(w, t);
    if (chance(w, 700))
        tell(w, t);
}

/* ---- The end ------------------------------------------------------------------------------ */

void
real_come_to_rest(struct world *w)
{
    for (uint32_t i = 0; i < w->truths_count; i++) {
        struct truth *t = &w->truths[i];
        if (t->fate == EXCHANGE_STATE_SENDING)
            t->fate = EXCHANGE_STATE_NOT_PLACED;
        struct msg cmd = {.type = MSG_bridge_report, .bridge_report = whole_truth(t)};
        run(w, &cmd);
        uint32_t at = map_get(&w->ledger.order_by_id, t->order_id);
        if (at == MAP_NONE) /* it ended long ago; the naive judge has compared it */
            continue;
        const struct ledger_order *o = &w->ledger.orders[at];
        cr_assert_eq(o->exchange_state, t->fate);
        cr_assert_eq(o->executed.v, truth_executed(t));
        bool is_open = t->fate == EXCHANGE_STATE_PLACED && t->status == ORDER_STATUS_NEW;
        cr_assert_eq(o->end == ORDER_END_NONE, is_open);
    }
}

void
real_must_have_happened(const struct world *w)
{
    cr_expect_gt(w->truths_count, 2000);
    cr_expect_gt(w->heard, 5000);
    cr_expect_gt(w->known, 5000);
    cr_expect_gt(w->twins, 200);
    cr_expect_gt(w->there, 500);
    cr_expect_gt(w->wrong, 100);
}

/* ---- Records ------------------------------------------------------------------------------ */

static void
list_keep(const void **list, uint32_t count, size_t size)
{
    if (count == 0) {
        *list = NULL;
        return;
    }
    void *copy = malloc(count * size);
    cr_assert_not_null(copy);
    memcpy(copy, *list, count * size);
    *list = copy;
}

#define KEEP(part, list)                                                                           \
    do {                                                                                           \
        const void *kept_ = cmd->part.list;                                                        \
        list_keep(&kept_, cmd->part.list##_count, sizeof(*cmd->part.list));                        \
        cmd->part.list = kept_;                                                                    \
    } while (0)

void
record_lists_keep(struct msg *cmd)
{
    if (cmd->type == MSG_order_report) {
        KEEP(order_report, fills);
    } else if (cmd->type == MSG_bridge_report) {
        KEEP(bridge_report, fills);
    } else if (cmd->type == MSG_exchange_account) {
        KEEP(exchange_account, balances);
        KEEP(exchange_account, positions);
    }
}

void
record_lists_free(struct msg *cmd)
{
    if (cmd->type == MSG_order_report)
        free((void *)(uintptr_t)cmd->order_report.fills);
    if (cmd->type == MSG_bridge_report)
        free((void *)(uintptr_t)cmd->bridge_report.fills);
    if (cmd->type == MSG_exchange_account) {
        free((void *)(uintptr_t)cmd->exchange_account.balances);
        free((void *)(uintptr_t)cmd->exchange_account.positions);
    }
}
