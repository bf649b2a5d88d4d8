/*
 * sim_wishes.c - what users want: orders of every kind, lists, replacements, amendments, cancels,
 * settings, questions; and the same again, long after.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define BASIS_POINT (DECIMAL_ONE / 10000)
#define REJECT_TAG  14 /* of settings_set.reject_bps */

/* ---- One order ------------------------------------------------------------------------------ */

/* Names an order after the wish for it. */
uint32_t
sim_promise(struct sim *s, struct order_place *p)
{
    uint32_t number = judge_promise(s, p);
    snprintf(p->client_order_id.text, sizeof p->client_order_id.text, "i%u", number);
    s->judge.promises[number].cmd = *p;
    return number;
}

static int64_t
price_near(struct sim *s, const struct sim_symbol *y)
{
    return y->mid + ((int64_t)sim_draw(s, 2 * s->is.spread + 1) - s->is.spread) * y->tick;
}

/* Trails behind the best price, from the start or from an activation price on. */
static void
wish_trailing_stop(struct sim *s, const struct sim_symbol *y, struct order_place *p)
{
    int64_t away = (1 + (int64_t)sim_draw(s, s->is.spread)) * y->tick;
    p->type = ORDER_TYPE_TRAILING_STOP;
    p->time_in_force = TIME_IN_FORCE_NONE;
    p->price.v = p->quote_order_quantity.v = 0;
    if (p->quantity.v == 0)
        p->quantity.v = 1000 * (1 + (int64_t)sim_draw(s, 100000));
    p->callback_rate.v = BASIS_POINT * (1 + (int64_t)sim_draw(s, 20));
    if (sim_chance(s, 500))
        p->activation_price.v = y->mid + (p->side == SIDE_BUY ? -away : away);
}

/* Good till a time that is not far. */
static void
wish_expiry(struct sim *s, struct order_place *p)
{
    p->time_in_force = TIME_IN_FORCE_GTD;
    p->expire_us = s->now_us + 100000 + (int64_t)sim_draw(s, 5000000);
}

/* Set off by a price that is not far; now and then it was passed already, and is refused. */
static void
wish_conditional(struct sim *s, const struct sim_symbol *y, struct order_place *p)
{
    static const enum order_type types[] = {ORDER_TYPE_STOP_LOSS, ORDER_TYPE_STOP_LOSS_LIMIT,
                                            ORDER_TYPE_TAKE_PROFIT, ORDER_TYPE_TAKE_PROFIT_LIMIT};
    p->type = types[sim_draw(s, 4)];
    bool is_stop = p->type == ORDER_TYPE_STOP_LOSS || p->type == ORDER_TYPE_STOP_LOSS_LIMIT;
    bool is_above = is_stop == (p->side == SIDE_BUY);
    bool has_limit =
        p->type == ORDER_TYPE_STOP_LOSS_LIMIT || p->type == ORDER_TYPE_TAKE_PROFIT_LIMIT;
    if (sim_chance(s, 200)) {
        wish_trailing_stop(s, y, p);
        return;
    }
    int64_t away = (1 + (int64_t)sim_draw(s, s->is.spread)) * y->tick;
    p->stop_price.v = y->mid + (is_above ? away : -away);
    p->price.v = has_limit ? price_near(s, y) : 0;
    p->time_in_force = has_limit ? TIME_IN_FORCE_GTC : TIME_IN_FORCE_NONE;
    p->quote_order_quantity.v = 0;
    if (p->quantity.v == 0)
        p->quantity.v = 1000 * (1 + (int64_t)sim_draw(s, 100000));
    if (sim_chance(s, 300))
        p->trailing_delta = 1 + (uint32_t)sim_draw(s, 20);
    if (p->trailing_delta != 0 && sim_chance(s, 500))
        p->stop_price.v = 0;
    p->trigger_source = (enum trigger_source)sim_draw(s, 4);
}

/* What any order may wish beside. */
static void
wish_more(struct sim *s, struct order_place *p)
{
    bool may_rest = p->price.v != 0 && p->time_in_force != TIME_IN_FORCE_IOC &&
                    p->time_in_force != TIME_IN_FORCE_FOK;
    if (sim_chance(s, 500))
        p->fill_model = (enum fill_model)(1 + sim_draw(s, 3));
    if (sim_chance(s, 500))
        p->self_trade_prevention = (enum self_trade_prevention)(1 + sim_draw(s, 5));
    if (may_rest && p->quantity.v > 10000 && sim_chance(s, 400)) {
        p->iceberg_quantity.v = (p->quantity.v / 3000 + 1) * 1000;
    } else if (may_rest && p->type == ORDER_TYPE_LIMIT && sim_chance(s, 300)) {
        wish_expiry(s, p);
    }
}

static void
wish_place(struct sim *s, struct intent *t)
{
    struct order_place *p = &t->cmd.order_place;
    const struct sim_symbol *y = &s->symbols[sim_draw(s, s->is.favourites)];
    static const enum order_type types[] = {ORDER_TYPE_MARKET, ORDER_TYPE_LIMIT, ORDER_TYPE_LIMIT,
                                            ORDER_TYPE_LIMIT, ORDER_TYPE_LIMIT_MAKER};
    t->cmd.type = MSG_order_place;
    p->account_id = t->account_id;
    p->symbol = y->code;
    p->side = sim_chance(s, 550) ? SIDE_BUY : SIDE_SELL;
    p->type = types[sim_draw(s, 5)];
    p->id_was_made = sim_chance(s, 500);
    /* Small ones make deep books, large ones sweep them. */
    p->quantity.v = (1 + (int64_t)sim_draw(s, UINT64_C(1000000) >> sim_draw(s, 8))) * 1000;
    if (p->type == ORDER_TYPE_MARKET && sim_chance(s, 400)) {
        p->quantity.v = 0;
        p->quote_order_quantity.v = 1 + (int64_t)sim_draw(s, 5 * (uint64_t)y->mid);
    }
    if (p->type != ORDER_TYPE_MARKET)
        p->price.v = price_near(s, y);
    if (p->type == ORDER_TYPE_LIMIT)
        p->time_in_force = sim_chance(s, s->is.patience) ? TIME_IN_FORCE_GTC
                           : sim_chance(s, 400)          ? TIME_IN_FORCE_IOC
                                                         : TIME_IN_FORCE_FOK;
    if (sim_chance(s, 300))
        wish_conditional(s, y, p);
    if (sim_chance(s, 400))
        wish_more(s, p);
    (void)sim_promise(s, p);
}

/* An order of this account that a client wished for, maybe long ago; NULL when it has none. */
static const struct promise *
any_order(struct sim *s, uint64_t account_id)
{
    const struct judge *j = &s->judge;
    uint32_t recent = j->promises_count < 120 ? j->promises_count : 120;
    for (int tries = 0; tries < 40 && j->promises_count > 0; tries++) {
        uint64_t back = sim_chance(s, 800) ? sim_draw(s, recent) : sim_draw(s, j->promises_count);
        const struct promise *p = &j->promises[j->promises_count - 1 - back];
        if (p->cmd.account_id == account_id)
            return p;
    }
    return NULL;
}

/* ---- Lists, replacements, amendments -------------------------------------------------------- */

static struct order_wish
wish_of(const struct order_place *from)
{
    struct order_wish to;
    memset(&to, 0, sizeof to);
#define COPY(tag, kind, name, flags, sentence) to.name = from->name;
    FIELDS_order_wish(COPY, COPY, COPY, COPY)
#undef COPY
        return to;
}

enum leg { LEG_FIRST, LEG_BETTER, LEG_WORSE };

/* An order of a list: the working one; of a pair the one at a better price, and the one that is set
 * off at a worse. Either of a pair may be an order with a limit. */
static struct order_place
leg_of(struct sim *s, const struct sim_symbol *y, const struct list_place *l, enum side side,
       enum leg leg)
{
    static const enum order_type types[3][4] = {
        {ORDER_TYPE_LIMIT, ORDER_TYPE_LIMIT_MAKER, ORDER_TYPE_LIMIT, ORDER_TYPE_LIMIT_MAKER},
        {ORDER_TYPE_LIMIT_MAKER, ORDER_TYPE_LIMIT_MAKER, ORDER_TYPE_TAKE_PROFIT,
         ORDER_TYPE_TAKE_PROFIT_LIMIT},
        {ORDER_TYPE_STOP_LOSS, ORDER_TYPE_STOP_LOSS, ORDER_TYPE_STOP_LOSS_LIMIT,
         ORDER_TYPE_TRAILING_STOP}};
    int64_t away = (1 + (int64_t)sim_draw(s, s->is.spread)) * y->tick;
    bool is_above = (side == SIDE_SELL) != (leg == LEG_WORSE);
    int64_t level = y->mid + (is_above ? away : -away);
    struct order_place p;
    memset(&p, 0, sizeof p);
    p.account_id = l->account_id;
    p.symbol = y->code;
    p.side = side;
    p.type = types[leg][sim_draw(s, 4)];
    if (p.type == ORDER_TYPE_TRAILING_STOP) {
        p.callback_rate.v = BASIS_POINT * (1 + (int64_t)sim_draw(s, 20));
        return p;
    }
    bool is_limit = p.type == ORDER_TYPE_LIMIT || p.type == ORDER_TYPE_LIMIT_MAKER;
    *(is_limit ? &p.price : &p.stop_price) = (price_t){level};
    if (p.type == ORDER_TYPE_STOP_LOSS_LIMIT || p.type == ORDER_TYPE_TAKE_PROFIT_LIMIT)
        p.price.v = price_near(s, y);
    if (p.price.v != 0 && p.type != ORDER_TYPE_LIMIT_MAKER)
        p.time_in_force = TIME_IN_FORCE_GTC;
    if (p.type != ORDER_TYPE_LIMIT_MAKER && p.price.v != 0 && sim_chance(s, 300))
        wish_expiry(s, &p);
    return p;
}

/* Of an OTO list the working order first. */
static void
wish_list(struct sim *s, struct intent *t)
{
    const struct sim_symbol *y = &s->symbols[sim_draw(s, s->is.favourites)];
    struct list_place *l = &t->cmd.list_place;
    enum side side = sim_chance(s, 500) ? SIDE_BUY : SIDE_SELL, other = side_other(side);
    int64_t quantity = (1 + (int64_t)sim_draw(s, 100000)) * 1000;
    uint32_t first = s->judge.promises_count;
    t->cmd.type = MSG_list_place;
    l->account_id = t->account_id;
    l->symbol = y->code;
    l->contingency = (enum contingency)(1 + sim_draw(s, 3));
    l->orders_count = l->contingency == CONTINGENCY_OTOCO ? 3 : 2;
    l->orders = t->orders;
    for (uint32_t i = 0; i < l->orders_count; i++) {
        bool is_working = i == 0 && l->contingency != CONTINGENCY_OCO;
        bool is_worse = !is_working && i == l->orders_count - 1;
        enum side own = l->contingency == CONTINGENCY_OCO || is_working ? side : other;
        struct order_place p = leg_of(s, y, l, own,
                                      is_working ? LEG_FIRST
                                      : is_worse ? LEG_WORSE
                                                 : LEG_BETTER);
        p.quantity.v = quantity;
        struct promise *promise = &s->judge.promises[sim_promise(s, &p)];
        promise->list = first + 1;
        promise->contingency = l->contingency;
        t->orders[i] = wish_of(&p);
    }
}

/* The list of which this was promised, once more. */
static void
repeat_list(struct sim *s, struct intent *t, const struct promise *p)
{
    const struct promise *first = &s->judge.promises[p->list - 1];
    struct list_place *l = &t->cmd.list_place;
    t->cmd.type = MSG_list_place;
    l->account_id = t->account_id;
    l->symbol = first->cmd.symbol;
    l->contingency = first->contingency;
    l->orders_count = l->contingency == CONTINGENCY_OTOCO ? 3 : 2;
    l->orders = t->orders;
    for (uint32_t i = 0; i < l->orders_count; i++)
        t->orders[i] = wish_of(&first[i].cmd);
}

static void
replace_with(struct intent *t, const struct promise *p)
{
    struct order_replace *r = &t->cmd.order_replace;
    t->cmd.type = MSG_order_replace;
    r->account_id = t->account_id;
#define COPY(tag, kind, name, flags, sentence) r->name = p->cmd.name;
    FIELDS_order_wish(COPY, COPY, COPY, COPY)
#undef COPY
        r->cancel_client_order_id = p->replaces;
    r->mode = p->mode;
}

static void
wish_replace(struct sim *s, struct intent *t, const struct promise *old)
{
    const struct list_place of = {.account_id = t->account_id};
    const struct sim_symbol *y = &s->symbols[sim_draw(s, s->is.favourites)];
    cid_t cid = old->cmd.client_order_id;
    enum side side = old->cmd.side;
    struct order_place p = leg_of(s, y, &of, side, sim_chance(s, 700) ? LEG_FIRST : LEG_WORSE);
    p.quantity.v = (1 + (int64_t)sim_draw(s, 100000)) * 1000;
    struct promise *promise = &s->judge.promises[sim_promise(s, &p)];
    promise->is_replacement = true;
    promise->replaces = cid;
    promise->mode = (enum replace_mode)sim_draw(s, 3);
    replace_with(t, promise);
}

static void
wish_amend(struct sim *s, struct intent *t, const struct promise *p)
{
    int64_t part = p->cmd.quantity.v / 1000;
    t->cmd.type = MSG_order_amend;
    t->cmd.order_amend.account_id = t->account_id;
    t->cmd.order_amend.client_order_id = p->cmd.client_order_id;
    t->cmd.order_amend.quantity.v = 1000 * (1 + (int64_t)sim_draw(s, (uint64_t)part + 1));
}

static void
wish_about_order(struct sim *s, struct intent *t)
{
    const struct promise *p = any_order(s, t->account_id);
    uint64_t what = sim_draw(s, 14);
    if (p == NULL) {
        wish_place(s, t);
    } else if (what >= 12) {
        wish_replace(s, t, p);
    } else if (what >= 10) {
        wish_amend(s, t, p);
    } else if (what < 6) {
        t->cmd.type = MSG_order_cancel;
        t->cmd.order_cancel.account_id = t->account_id;
        t->cmd.order_cancel.client_order_id = p->cmd.client_order_id;
        s->counts.cancels++;
    } else if (what < 9) {
        t->cmd.type = MSG_order_get;
        t->cmd.order_get.account_id = t->account_id;
        if (p->order_id != 0 && sim_chance(s, 500))
            t->cmd.order_get.order_id = p->order_id;
        else
            t->cmd.order_get.client_order_id = p->cmd.client_order_id;
    } else if (p->list != 0) {
        repeat_list(s, t, p);
    } else if (p->is_replacement) {
        replace_with(t, p);
    } else if (!p->cmd.id_was_made) {
        /* the same order again, long after */
        t->cmd.type = MSG_order_place;
        t->cmd.order_place = p->cmd;
    } else {
        wish_place(s, t);
    }
}

static enum fill_preset
some_preset(struct sim *s)
{
    static const enum fill_preset presets[] = {FILL_PRESET_optimistic, FILL_PRESET_optimistic,
                                               FILL_PRESET_realistic, FILL_PRESET_harsh};
    return presets[sim_draw(s, 4)];
}

/* Orders go to the exchange from now on, or to paper again. */
static void
wish_mode(struct sim *s, struct intent *t, uint64_t id)
{
    bool is_real = sim_chance(s, 800);
    t->cmd.type = MSG_settings_set;
    t->cmd.settings_set = (struct settings_set){
        .account_id = t->account_id,
        .trading_type = TRADING_TYPE_spot,
        .mode = is_real ? TRADING_MODE_REAL : TRADING_MODE_PAPER,
        .confirm_real = is_real,
        .environment = is_real ? ENVIRONMENT_testnet : ENVIRONMENT_NONE,
        .changed_by = 1,
        .command_id = id,
    };
    if (is_real) {
        t->cmd.settings_set.api_key_tail = code_of("tail");
        t->cmd.settings_set.live_twin = sim_chance(s, 500) ? TRI_TRUE : TRI_FALSE;
    }
}

static void
wish_command(struct sim *s, struct intent *t)
{
    uint64_t id = ++s->next_command;
    uint64_t what = sim_draw(s, 3);
    if (sim_has_command(s, t->account_id)) {
        wish_about_order(s, t);
    } else if (sim_chance(s, s->is.real)) {
        wish_mode(s, t, id);
    } else if (what == 0) {
        t->cmd.type = MSG_balance_set;
        t->cmd.balance_set =
            (struct balance_set){.account_id = t->account_id,
                                 .trading_type = TRADING_TYPE_spot,
                                 .balance = {(int64_t)sim_draw(s, 200000 * DECIMAL_ONE)},
                                 .source = BALANCE_SOURCE_manual,
                                 .command_id = id};
    } else if (what == 1 && sim_chance(s, 500)) {
        t->cmd.type = MSG_settings_set;
        t->cmd.settings_set = (struct settings_set){.account_id = t->account_id,
                                                    .trading_type = TRADING_TYPE_spot,
                                                    .fill_preset = some_preset(s),
                                                    .command_id = id};
        if (sim_chance(s, 300)) {
            t->cmd.settings_set.reject_bps = (uint32_t)sim_draw(s, 3000);
            t->cmd.settings_set.fill_overrides = 1u << REJECT_TAG;
        }
    } else if (what == 1) {
        t->cmd.type = MSG_settings_set;
        t->cmd.settings_set = (struct settings_set){.account_id = t->account_id,
                                                    .trading_type = TRADING_TYPE_futures,
                                                    .leverage = 1 + (uint32_t)sim_draw(s, 125),
                                                    .command_id = id};
    } else {
        t->cmd.type = MSG_tier_set;
        t->cmd.tier_set = (struct tier_set){t->account_id, (uint32_t)sim_draw(s, 2), id};
    }
}

static void
wish_question(struct sim *s, struct intent *t)
{
    switch (sim_draw(s, 4)) {
    case 0:
        t->cmd.type = MSG_account_get;
        t->cmd.account_get.account_id = t->account_id;
        break;
    case 1:
        t->cmd.type = MSG_order_open_list;
        t->cmd.order_open_list.account_id = t->account_id;
        break;
    case 2:
        t->cmd.type = MSG_order_cancel_all;
        t->cmd.order_cancel_all.account_id = t->account_id;
        break;
    default:
        t->cmd.type = MSG_event_resume;
        t->cmd.event_resume.account_id = t->account_id;
        t->cmd.event_resume.after = sim_draw(s, 30);
        break;
    }
}

/* How an order stands, or the account. */
static void
wish_read(struct sim *s, struct intent *t)
{
    const struct promise *p = any_order(s, t->account_id);
    if (p == NULL || sim_chance(s, 400)) {
        t->cmd.type = MSG_account_get;
        t->cmd.account_get.account_id = t->account_id;
        return;
    }
    t->cmd.type = MSG_order_get;
    t->cmd.order_get.account_id = t->account_id;
    t->cmd.order_get.client_order_id = p->cmd.client_order_id;
}

void
sim_wish(struct sim *s, struct intent *t)
{
    uint64_t corr = t->cmd.corr;
    uint64_t what = sim_draw(s, 100);
    if (sim_chance(s, s->is.read))
        wish_read(s, t);
    else if (what < 43)
        wish_place(s, t);
    else if (what < 55)
        wish_list(s, t);
    else if (what < 85)
        wish_about_order(s, t);
    else if (what < 92)
        wish_command(s, t);
    else
        wish_question(s, t);
    t->cmd.corr = corr;
    s->counts.requests++;
}
