/*
 * sim_clients.c - users behind three gateways: they wish, repeat themselves every 500 ms until
 * they are answered, and try again under the same client order id when told to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define RESEND_US  500000
#define GIVE_UP_US 5000000 /* then the client asks again with a new correlation id */

uint64_t
sim_account_id(uint32_t account)
{
    return 1 + (uint64_t)account * 7;
}

/* ---- Wishes --------------------------------------------------------------------------------- */

/* Names an order after the wish for it. */
static uint32_t
promise(struct sim *s, struct order_place *p)
{
    uint32_t number = judge_promise(s, p);
    snprintf(p->client_order_id.text, sizeof p->client_order_id.text, "i%u", number);
    s->judge.promises[number].cmd = *p;
    return number;
}

static int64_t
price_near(struct sim *s, const struct sim_symbol *y)
{
    return y->mid + ((int64_t)sim_draw(s, 2 * s->spread + 1) - s->spread) * y->tick;
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
    int64_t away = (1 + (int64_t)sim_draw(s, s->spread)) * y->tick;
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
        p->time_in_force = TIME_IN_FORCE_GTD;
        p->expire_us = s->now_us + 100000 + (int64_t)sim_draw(s, 5000000);
    }
}

static void
wish_place(struct sim *s, struct intent *t)
{
    struct order_place *p = &t->cmd.order_place;
    const struct sim_symbol *y = &s->symbols[sim_draw(s, s->favourites)];
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
        p->time_in_force = sim_chance(s, s->patience) ? TIME_IN_FORCE_GTC
                           : sim_chance(s, 400)       ? TIME_IN_FORCE_IOC
                                                      : TIME_IN_FORCE_FOK;
    if (sim_chance(s, 300))
        wish_conditional(s, y, p);
    if (sim_chance(s, 400))
        wish_more(s, p);
    promise(s, p);
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

/* One order of a list: a limit order away from the market, or a stop on its other side. */
static struct order_place
leg_of(struct sim *s, const struct sim_symbol *y, uint64_t account_id, enum side side,
       int64_t quantity, bool is_stop)
{
    int64_t away = (1 + (int64_t)sim_draw(s, s->spread)) * y->tick;
    bool is_above = (side == SIDE_SELL) != is_stop;
    int64_t price = y->mid + (is_above ? away : -away);
    struct order_place p;
    memset(&p, 0, sizeof p);
    p.account_id = account_id;
    p.symbol = y->code;
    p.side = side;
    p.quantity.v = quantity;
    p.type = is_stop              ? ORDER_TYPE_STOP_LOSS
             : sim_chance(s, 500) ? ORDER_TYPE_LIMIT
                                  : ORDER_TYPE_LIMIT_MAKER;
    *(is_stop ? &p.stop_price : &p.price) = (price_t){price};
    if (p.type == ORDER_TYPE_LIMIT)
        p.time_in_force = TIME_IN_FORCE_GTC;
    return p;
}

/* The limit order and the stop of a pair; of an OTO list the working order first. */
static void
wish_list(struct sim *s, struct intent *t)
{
    const struct sim_symbol *y = &s->symbols[sim_draw(s, s->favourites)];
    struct list_place *l = &t->cmd.list_place;
    enum side side = sim_chance(s, 500) ? SIDE_BUY : SIDE_SELL, other = side_other(side);
    int64_t quantity = (1 + (int64_t)sim_draw(s, 100000)) * 1000;
    uint32_t first = 0;
    t->cmd.type = MSG_list_place;
    l->account_id = t->account_id;
    l->symbol = y->code;
    l->contingency = (enum contingency)(1 + sim_draw(s, 3));
    l->orders_count = l->contingency == CONTINGENCY_OTOCO ? 3 : 2;
    l->orders = t->orders;
    for (uint32_t i = 0; i < l->orders_count; i++) {
        bool is_working = i == 0 && l->contingency != CONTINGENCY_OCO;
        bool is_stop = !is_working && i == l->orders_count - 1;
        enum side own = l->contingency == CONTINGENCY_OCO || is_working ? side : other;
        struct order_place p = leg_of(s, y, t->account_id, own, quantity, is_stop);
        uint32_t number = promise(s, &p);
        first = i == 0 ? number : first;
        s->judge.promises[number].list = first + 1;
        t->orders[i] = wish_of(&p);
    }
}

static void
wish_replace(struct sim *s, struct intent *t, const struct promise *old)
{
    cid_t cid = old->cmd.client_order_id;
    struct order_place p = old->cmd;
    const struct sim_symbol *y = &s->symbols[sim_draw(s, s->favourites)];
    struct order_replace *r = &t->cmd.order_replace;
    p = leg_of(s, y, t->account_id, p.side, (1 + (int64_t)sim_draw(s, 100000)) * 1000, false);
    s->judge.promises[promise(s, &p)].is_replacement = true;
    t->cmd.type = MSG_order_replace;
    r->account_id = t->account_id;
#define COPY(tag, kind, name, flags, sentence) r->name = p.name;
    FIELDS_order_wish(COPY, COPY, COPY, COPY)
#undef COPY
        r->cancel_client_order_id = cid;
    r->mode = (enum replace_mode)sim_draw(s, 3);
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
    } else if (!p->cmd.id_was_made && p->list == 0 && !p->is_replacement) {
        /* the same order again, long after */
        t->cmd.type = MSG_order_place;
        t->cmd.order_place = p->cmd;
    } else {
        wish_place(s, t);
    }
}

/* Whether a command with an id is under way: clients send these one after the other. */
static bool
has_command(const struct sim *s, uint64_t account_id)
{
    for (uint32_t i = 0; i < SIM_INTENTS_MAX; i++) {
        const struct intent *t = &s->intents[i];
        bool is_command = t->cmd.type == MSG_balance_set || t->cmd.type == MSG_settings_set ||
                          t->cmd.type == MSG_tier_set;
        if (t->is_active && t->account_id == account_id && is_command)
            return true;
    }
    return false;
}

static void
wish_command(struct sim *s, struct intent *t)
{
    uint64_t id = ++s->next_command;
    uint64_t what = sim_draw(s, 3);
    if (has_command(s, t->account_id)) {
        wish_about_order(s, t);
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
                                                    .fill_preset = FILL_PRESET_optimistic,
                                                    .command_id = id};
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

static struct intent *
intent_new(struct sim *s, uint32_t account)
{
    for (uint32_t i = 0; i < SIM_INTENTS_MAX; i++) {
        struct intent *t = &s->intents[i];
        if (t->is_active)
            continue;
        memset(t, 0, sizeof *t);
        t->is_active = true;
        t->account_id = sim_account_id(account);
        t->gateway = (uint32_t)sim_draw(s, SIM_GATEWAYS);
        t->cmd.corr = ++s->next_corr;
        t->send_us = t->corr_us = s->now_us;
        return t;
    }
    return NULL;
}

static void
wish(struct sim *s)
{
    bool is_full = s->judge.promises_count + 3 > s->judge.promises_max ||
                   s->next_command == s->judge.promises_max;
    struct intent *t = is_full ? NULL : intent_new(s, (uint32_t)sim_draw(s, s->accounts));
    if (t == NULL)
        return;
    uint64_t corr = t->cmd.corr;
    uint64_t what = sim_draw(s, 100);
    if (what < 43)
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

/* ---- Sending -------------------------------------------------------------------------------- */

static void
send(struct sim *s, struct intent *t)
{
    struct msg m = t->cmd;
    if (s->mutation == SIM_client_new_id && t->is_sent && m.type == MSG_order_place) {
        char *end = m.order_place.client_order_id.text;
        snprintf(end + strlen(end), 12, "-%u", s->step);
    }
    struct bytes *b = &s->judge.scratch;
    const struct frame head = {.sender = code_of("gateway")};
    bytes_clear(b);
    msg_pack_body(b, MSG_frame, 0, &head);
    msg_pack(b, &m);
    sim_trace(s, "client", t->is_sent ? "repeats" : "asks", &m);
    wire_send(s, &s->to_ledger[t->gateway], b->data, b->length);
    t->is_sent = true;
    t->send_us = s->now_us + RESEND_US;
}

static void
ask_anew(struct sim *s, struct intent *t, int64_t after_us)
{
    t->cmd.corr = ++s->next_corr;
    t->gateway = (uint32_t)sim_draw(s, SIM_GATEWAYS);
    t->corr_us = t->send_us = s->now_us + after_us;
}

static void
push(struct sim *s, struct intent *t)
{
    if (!t->is_active || t->send_us > s->now_us)
        return;
    if (s->now_us - t->corr_us > GIVE_UP_US) {
        if (t->cmd.type == MSG_order_place && t->cmd.order_place.id_was_made) {
            t->is_active = false; /* nobody can ask again for an id that the gateway made */
            return;
        }
        ask_anew(s, t, 0);
    }
    send(s, t);
}

/* ---- Hearing -------------------------------------------------------------------------------- */

static void
answer(struct sim *s, uint32_t gateway, const struct msg *m)
{
    for (uint32_t i = 0; i < SIM_INTENTS_MAX; i++) {
        struct intent *t = &s->intents[i];
        if (!t->is_active || t->cmd.corr != m->corr || t->gateway != gateway)
            continue;
        judge_answer(s, t, m);
        s->counts.answers++;
        bool is_made = t->cmd.type == MSG_order_place && t->cmd.order_place.id_was_made;
        if (m->type == MSG_refused && err_again(m->refused.error) && !is_made)
            ask_anew(s, t, 100000 + (int64_t)sim_draw(s, 800000));
        else
            t->is_active = false;
        return;
    }
}

static void
hear(struct sim *s, uint32_t gateway)
{
    struct packet *p;
    while ((p = wire_take(s, &s->from_ledger[gateway])) != NULL) {
        struct msg m;
        size_t at = 0;
        arena_reset(&s->lists);
        while (at < p->length && msg_unpack(p->data, p->length, &at, &s->lists, &m) == OK)
            if (m.type != MSG_frame)
                answer(s, gateway, &m);
        free(p);
    }
}

void
sim_clients_turn(struct sim *s)
{
    for (uint32_t i = 0; i < SIM_GATEWAYS; i++)
        hear(s, i);
    for (uint32_t i = 0; i < SIM_INTENTS_MAX; i++)
        push(s, &s->intents[i]);
    if (!s->is_calm && sim_chance(s, s->wish))
        for (uint64_t i = sim_draw(s, 4); i > 0; i--)
            wish(s);
}

uint32_t
sim_clients_waiting(const struct sim *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SIM_INTENTS_MAX; i++)
        count += s->intents[i].is_active;
    return count;
}

void
sim_clients_new(struct sim *s)
{
    for (uint32_t i = 0; i < s->accounts; i++) {
        struct intent *t = intent_new(s, i);
        CHECK(t != NULL);
        t->cmd.type = MSG_account_open;
        t->cmd.account_open.account_id = t->account_id;
        t->cmd.account_open.user_id = 1;
    }
}
