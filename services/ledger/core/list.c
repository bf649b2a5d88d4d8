/*
 * list.c - order lists: see list.h.
 *
 * A retry is known by the first order's client order id, and is the same when every order of it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/list.h"

#include "ledger/core/account.h"
#include "ledger/core/admit.h"
#include "ledger/core/balance.h"
#include "ledger/core/cancel.h"
#include "ledger/core/events.h"
#include "ledger/core/kind.h"
#include "ledger/core/order.h"
#include "ledger/core/place.h"
#include "ledger/core/real.h"
#include "ledger/core/shape.h"
#include "ledger/core/twin.h"
#include "ledger/core/waiter.h"

typedef void list_answer_to(const struct ledger *l, struct outbox *out, struct asker who,
                            const struct list_legs *legs);

/* ---- A list as it stands ------------------------------------------------------------------ */

struct list_legs
list_legs(const struct ledger *l, uint32_t account, uint64_t list_id)
{
    struct list_legs legs = {.contingency = CONTINGENCY_NONE};
    for (uint32_t i = 0; list_id != 0 && i < LIST_ORDERS_MAX; i++) {
        struct ledger_order *o = order_find(l, list_id + i);
        if (o == NULL || o->list_id != list_id || o->account != account)
            continue;
        legs.at[i] = o;
        legs.contingency = (enum contingency)o->contingency;
        legs.count = contingent_orders(legs.contingency);
    }
    return legs;
}

bool
list_is_whole(const struct list_legs *legs)
{
    bool whole = legs->count > 0;
    for (uint32_t i = 0; i < legs->count; i++)
        whole = whole && legs->at[i] != NULL;
    return whole;
}

bool
list_is_open(const struct list_legs *legs)
{
    bool open = false;
    for (uint32_t i = 0; i < legs->count; i++)
        open = open || (legs->at[i] != NULL && order_is_open(legs->at[i]));
    return open;
}

/* Whether the orders that are live from the start have been heard of. */
static bool
list_has_spoken(const struct list_legs *legs)
{
    uint32_t live = legs->contingency == CONTINGENCY_OCO ? 2 : 1;
    bool spoken = true;
    for (uint32_t i = 0; i < live; i++)
        spoken = spoken && (legs->at[i] == NULL || order_has_spoken(legs->at[i]));
    return spoken;
}

/* One of its orders, from memory or else from the tables. False when neither has it. */
static bool
list_order(const struct ledger *l, const struct list_legs *legs, const struct list_view *row,
           uint32_t leg, struct order *out)
{
    if (legs->at[leg] != NULL) {
        *out = order_say(l, legs->at[leg]);
        return true;
    }
    if (row == NULL || leg >= row->orders_count)
        return false;
    *out = row->orders[leg];
    return true;
}

struct list
list_say(const struct ledger *l, const struct list_legs *legs, const struct list_view *row)
{
    struct list said = row == NULL ? (struct list){.list_id = 0} : row->list;
    struct order o;
    if (legs->count > 0)
        said.status = LIST_STATUS_ALL_DONE;
    for (uint32_t i = 0; i < legs->count; i++) {
        if (!list_order(l, legs, row, i, &o))
            continue;
        said.list_id = o.list_id;
        said.contingency = legs->contingency;
        said.symbol = o.symbol;
        said.created_us = o.created_us;
        if (o.updated_us > said.updated_us)
            said.updated_us = o.updated_us;
        /* What its first order meets at the door, the list does. */
        if (i == 0 && o.status == ORDER_STATUS_REJECTED)
            said.status = LIST_STATUS_REJECT;
    }
    if (list_is_open(legs))
        said.status = LIST_STATUS_EXECUTING;
    return said;
}

void
list_answer(const struct ledger *l, struct outbox *out, struct asker who,
            const struct list_legs *legs, const struct list_view *row)
{
    if (who.peer == 0)
        return;
    struct order *list = arena_take(&out->lists, LIST_ORDERS_MAX, sizeof(*list));
    CHECK(list != NULL);
    uint32_t count = 0;
    for (uint32_t i = 0; i < LIST_ORDERS_MAX; i++)
        count += list_order(l, legs, row, i, &list[count]);
    struct msg *m = outbox_put(out, OUT_REPLY, who.peer, MSG_list_view, who.corr);
    m->list_view.list = list_say(l, legs, row);
    m->list_view.orders = list;
    m->list_view.orders_count = count;
}

/* The same for who placed it: when its first orders were rejected, why. */
static void
list_answer_placed(const struct ledger *l, struct outbox *out, struct asker who,
                   const struct list_legs *legs, const struct list_view *row, bool was_known)
{
    struct order o;
    struct refused why = refusal(OK);
    if (who.peer == 0)
        return;
    for (uint32_t i = 0; why.error == OK && i < LIST_ORDERS_MAX; i++) {
        if (!list_order(l, legs, row, i, &o) || o.end_reason == ORDER_END_LIST_REJECTED)
            continue;
        why = refusal(rejection_of(o.status, o.end_reason));
        why.order_id = o.order_id;
    }
    if (why.error != OK && list_say(l, legs, row).status == LIST_STATUS_REJECT) {
        reply_refused(out, who, &why);
        return;
    }
    list_answer(l, out, who, legs, row);
    out->slots[out->count - 1].msg.list_view.was_known = was_known;
}

struct ledger_order *
list_keeper(const struct list_legs *legs)
{
    for (uint32_t i = legs->count; i > 0; i--)
        if (legs->at[i - 1] != NULL && order_is_open(legs->at[i - 1]))
            return legs->at[i - 1];
    return NULL;
}

/* Who waits for the list in this way is answered, or else goes on waiting at an order of it that is
 * still open: finished ones leave memory. */
static void
list_waiters(struct ledger *l, const struct turn *t, const struct list_legs *legs,
             enum waiter_kind kind, bool is_ready, list_answer_to *answer)
{
    struct ledger_order *keeper = list_keeper(legs);
    struct asker who;
    for (uint32_t i = 0; i < legs->count; i++) {
        struct ledger_order *o = legs->at[i];
        if (o == NULL || (o == keeper && !is_ready))
            continue;
        while (waiter_take_list(l, o, kind, &who)) {
            if (is_ready)
                answer(l, t->out, who, legs);
            else
                CHECK(waiter_add(l, keeper, kind, who)); /* it has just given its place back */
        }
    }
}

static void
answer_placed(const struct ledger *l, struct outbox *out, struct asker who,
              const struct list_legs *legs)
{
    list_answer_placed(l, out, who, legs, NULL, false);
}

static void
answer_cancelled(const struct ledger *l, struct outbox *out, struct asker who,
                 const struct list_legs *legs)
{
    bool cancelled = false;
    struct refused why = refusal(ERR_ORDER_DONE);
    why.order_id = list_say(l, legs, NULL).list_id;
    for (uint32_t i = 0; i < legs->count; i++)
        cancelled |= legs->at[i] != NULL && legs->at[i]->end == ORDER_END_CLIENT_CANCEL;
    if (cancelled)
        list_answer(l, out, who, legs, NULL);
    else
        reply_refused(out, who, &why);
}

void
list_settled(struct ledger *l, const struct turn *t, const struct ledger_order *o)
{
    const struct list_legs legs = list_legs(l, o->account, o->list_id);
    bool is_done = !list_is_open(&legs);
    if (is_done) {
        const struct list said = list_say(l, &legs, NULL);
        event_of_list(l, &l->accounts[o->account], &said, t->out);
    }
    list_waiters(l, t, &legs, WAITER_LIST_PLACE, list_has_spoken(&legs), answer_placed);
    list_waiters(l, t, &legs, WAITER_LIST_CANCEL, is_done, answer_cancelled);
}

/* ---- Which orders make a list ------------------------------------------------------------- */

static enum err
list_refuse(enum err e, const char *detail, struct refused *why)
{
    *why = refusal_of(e, "orders", text_of("%s", detail));
    return e;
}

static enum err
list_shape(const struct list_place *cmd, struct order_place orders[LIST_ORDERS_MAX],
           struct refused *why)
{
    if (cmd->contingency > CONTINGENCY_OTOCO ||
        cmd->orders_count != contingent_orders(cmd->contingency))
        return list_refuse(ERR_LIST_INVALID, "OCO and OTO lists have 2 orders, OTOCO lists 3", why);
    for (uint32_t i = 0; i < cmd->orders_count; i++) {
        orders[i] = shape_of_wish(&cmd->orders[i], cmd->account_id);
        if (!code_same(orders[i].symbol, cmd->symbol))
            return list_refuse(ERR_LIST_INVALID, "its orders have the list's symbol", why);
        enum err e = shape_order(&orders[i], why);
        if (e != OK)
            return e;
    }
    return OK;
}

#define KINDS_BETTER (KIND(LIMIT_MAKER) | KIND(TAKE_PROFIT) | KIND(TAKE_PROFIT_LIMIT))
#define KINDS_WORSE  (KIND(STOP_LOSS) | KIND(STOP_LOSS_LIMIT) | KIND(TRAILING_STOP))

/* The order of a pair that wants a better price than now, and the one that is set off at a worse
 * one. */
static bool
pair_sides(const struct order_place *pair, const struct order_place **better,
           const struct order_place **worse)
{
    bool in_order = (kind_of(pair[0].type) & KINDS_BETTER) != 0;
    *better = &pair[in_order ? 0 : 1];
    *worse = &pair[in_order ? 1 : 0];
    return (kind_of((*better)->type) & KINDS_BETTER) != 0 &&
           (kind_of((*worse)->type) & KINDS_WORSE) != 0;
}

static enum err
pair_valid(const struct order_place *pair, struct refused *why)
{
    const struct order_place *better, *worse;
    if (!pair_sides(pair, &better, &worse))
        return list_refuse(ERR_LIST_INVALID,
                           "a pair is a LIMIT_MAKER or TAKE_PROFIT order and a stop order", why);
    if (pair[0].side != pair[1].side || pair[0].quantity.v != pair[1].quantity.v)
        return list_refuse(ERR_LIST_INVALID, "a pair has one side and one quantity", why);
    return OK;
}

static enum err
list_valid(const struct list_place *cmd, const struct order_place *orders, struct refused *why)
{
    if (cmd->contingency == CONTINGENCY_OCO)
        return pair_valid(orders, why);
    if (orders[0].type != ORDER_TYPE_LIMIT && orders[0].type != ORDER_TYPE_LIMIT_MAKER)
        return list_refuse(ERR_LIST_INVALID, "its first order is a LIMIT or LIMIT_MAKER order",
                           why);
    if (cmd->contingency == CONTINGENCY_OTOCO)
        return pair_valid(&orders[1], why);
    if (orders[1].quantity.v == 0)
        return list_refuse(ERR_LIST_INVALID, "a pending order has a quantity", why);
    return OK;
}

/* Where an order stands against the market: its limit, or the price that sets it off. */
static int64_t
pair_level(const struct order_place *cmd)
{
    return cmd->type == ORDER_TYPE_LIMIT_MAKER ? cmd->price.v : cmd->stop_price.v;
}

/* A seller's better order stands above the market and its other one below; a buyer's the other way
 * round. Pending pairs are compared with each other alone. */
static enum err
pair_prices(const struct order_place *pair, bool is_live, struct refused *why)
{
    const struct order_place *better, *worse;
    CHECK(pair_sides(pair, &better, &worse));
    bool sells = pair[0].side == SIDE_SELL;
    int64_t good = pair_level(better), bad = pair_level(worse), now = better->reference_price.v;
    bool apart = good == 0 || bad == 0 || (sells ? good > bad : good < bad);
    bool rests =
        !is_live || better->type != ORDER_TYPE_LIMIT_MAKER || (sells ? good > now : good < now);
    if (apart && rests)
        return OK;
    return list_refuse(ERR_LIST_PRICES,
                       sells ? "the better price is above the market, the stop price below"
                             : "the better price is below the market, the stop price above",
                       why);
}

static enum err
list_prices(const struct list_place *cmd, const struct order_place *orders, struct refused *why)
{
    if (cmd->contingency == CONTINGENCY_OTO)
        return OK;
    bool is_live = cmd->contingency == CONTINGENCY_OCO;
    return pair_prices(is_live ? orders : &orders[1], is_live, why);
}

/* ---- Placing ------------------------------------------------------------------------------ */

/* Whether the orders of a known list are just these. LEDGER_LOOKUP is needed where neither memory
 * nor `row` has one: false with `missing`. */
static bool
list_same(const struct ledger *l, const struct list_legs *legs, const struct list_view *row,
          const struct list_place *cmd, const struct order_place *orders, bool *missing)
{
    enum contingency known = legs->count > 0 ? legs->contingency : row->list.contingency;
    struct order placed;
    *missing = false;
    if (known != cmd->contingency)
        return false;
    for (uint32_t i = 0; i < cmd->orders_count; i++) {
        if (!list_order(l, legs, row, i, &placed)) {
            *missing = true;
            return false;
        }
        if (!order_same(&placed, &orders[i]) ||
            !cid_same(&placed.client_order_id, &orders[i].client_order_id))
            return false;
    }
    return true;
}

static enum ledger_outcome
list_retry(struct ledger *l, const struct turn *t, const struct list_place *cmd,
           const struct order_place *orders, const struct ledger_order *old,
           const struct list_view *row, bool looked_up)
{
    struct list_legs legs = {.contingency = CONTINGENCY_NONE};
    uint64_t first = old != NULL ? old->id : row->list.list_id;
    if (old != NULL && old->list_id != old->id)
        return place_differs(t, first);
    const struct ledger_account *a = account_find(l, cmd->account_id);
    legs = list_legs(l, account_index(l, a), first);
    bool missing;
    if (!list_same(l, &legs, row, cmd, orders, &missing)) {
        if (missing && !looked_up)
            return LEDGER_LOOKUP;
        return missing ? turn_refuse_plain(t, ERR_LEDGER_BUSY) : place_differs(t, first);
    }
    if (!list_has_spoken(&legs)) {
        struct ledger_order *keeper = list_keeper(&legs);
        if (t->who.peer != 0 && !waiter_add(l, keeper, WAITER_LIST_PLACE, t->who))
            return turn_refuse_plain(t, ERR_LEDGER_BUSY);
        return LEDGER_ANSWERED;
    }
    list_answer_placed(l, t->out, t->who, &legs, row, true);
    return LEDGER_ANSWERED;
}

/* The ids are valid, and none of them names an order of two. */
static enum err
list_ids(const struct list_place *cmd, const struct order_place *orders, struct refused *why)
{
    for (uint32_t i = 0; i < cmd->orders_count; i++) {
        enum err e = cid_valid(&orders[i].client_order_id) ? OK : ERR_CLIENT_ID_INVALID;
        for (uint32_t k = 0; e == OK && k < i; k++)
            if (cid_same(&orders[k].client_order_id, &orders[i].client_order_id))
                e = ERR_ORDER_DIFFERS;
        if (e == OK)
            continue;
        *why = refusal(e);
        why->field = code_of("client_order_id");
        return e;
    }
    return OK;
}

/* What the orders of a list are judged by, one after the other. */
static enum err
list_admit(const struct ledger *l, const struct turn *t, const struct ledger_account *a,
           const struct list_place *cmd, struct order_place *orders, struct refused *why)
{
    enum err e = list_valid(cmd, orders, why);
    for (uint32_t i = 0; e == OK && i < cmd->orders_count; i++) {
        bool waits = cmd->contingency != CONTINGENCY_OCO && i > 0;
        const struct admit_with with = {.now_us = t->now_us,
                                        .first = orders,
                                        .before = i,
                                        .in_list = true,
                                        .reference = waits ? orders[0].price : (price_t){0}};
        e = admit_order(l, a, &with, &orders[i], why);
    }
    return e == OK ? list_prices(cmd, orders, why) : e;
}

static enum ledger_outcome
list_place_judge(struct ledger *l, const struct turn *t, struct list_place *cmd,
                 const struct list_view *row, bool looked_up)
{
    struct order_place orders[LIST_ORDERS_MAX];
    struct refused why;
    if (list_shape(cmd, orders, &why) != OK)
        return turn_refuse(t, &why);
    const struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    if (list_ids(cmd, orders, &why) != OK)
        return turn_refuse(t, &why);
    uint32_t account = account_index(l, a);
    const struct ledger_order *old = order_find_client(l, account, &orders[0].client_order_id);
    if (old != NULL || row != NULL)
        return list_retry(l, t, cmd, orders, old, row, looked_up);
    if (!looked_up && !orders[0].id_was_made && order_some_evicted(a))
        return LEDGER_LOOKUP;
    for (uint32_t i = 1; i < cmd->orders_count; i++) {
        old = order_find_client(l, account, &orders[i].client_order_id);
        if (old != NULL)
            return place_differs(t, old->id);
    }
    if (real_is_for(a, cmd->symbol)) {
        why = real_unsupported("contingency", "real orders make no lists");
        return turn_refuse(t, &why);
    }
    for (uint32_t i = 0; i < cmd->orders_count; i++)
        if (twin_judge_id(&orders[i].client_order_id, &why) != OK)
            return turn_refuse(t, &why);
    if (list_admit(l, t, a, cmd, orders, &why) != OK)
        return turn_refuse(t, &why);
    struct order_wish *wishes = arena_take(&t->out->lists, cmd->orders_count, sizeof(*wishes));
    CHECK(wishes != NULL);
    for (uint32_t i = 0; i < cmd->orders_count; i++)
        wishes[i] = shape_to_wish(&orders[i]);
    cmd->orders = wishes;
    return list_place_apply(l, t, cmd);
}

enum ledger_outcome
list_place_request(struct ledger *l, const struct turn *t, struct list_place *cmd)
{
    return list_place_judge(l, t, cmd, NULL, false);
}

enum ledger_outcome
list_place_found(struct ledger *l, const struct turn *t, struct list_place *cmd,
                 const struct list_view *row)
{
    return list_place_judge(l, t, cmd, row, true);
}

/* ---- Applying ----------------------------------------------------------------------------- */

/* Of a pair the larger hold counts, of others that of the first order. */
static enum err
list_room(struct ledger *l, const struct ledger_account *a, const struct list_place *cmd,
          const struct order_place *orders, struct place_names *names)
{
    const struct order_place *most = &orders[0];
    if (cmd->contingency == CONTINGENCY_OCO && money_less(most->hold, orders[1].hold))
        most = &orders[1];
    enum err e = place_room(l, a, &orders[0], cmd->orders_count, names);
    return e == OK ? place_funds(l, a, most, names) : e;
}

/* A list of which chance rejects one order is rejected as a whole. */
static void
list_reject(struct ledger *l, const struct turn *t, struct ledger_account *a,
            const struct list_place *cmd, const struct order_place *orders,
            const struct place_names *names)
{
    uint64_t id = 0;
    for (uint32_t i = 0; i < cmd->orders_count; i++) {
        const struct place_ties ties = {.contingency = cmd->contingency,
                                        .leg = i,
                                        .end = orders[i].is_refused ? ORDER_END_SIMULATED_REJECT
                                                                    : ORDER_END_LIST_REJECTED};
        const struct ledger_order *o = place_add(l, t, a, &orders[i], names, &ties);
        event_of_order(l, o, t->out);
        id = o->list_id;
    }
    const struct list_legs legs = list_legs(l, account_index(l, a), id);
    const struct list said = list_say(l, &legs, NULL);
    event_of_list(l, a, &said, t->out);
    list_answer_placed(l, t->out, t->who, &legs, NULL, false);
}

static void
list_open(struct ledger *l, const struct turn *t, struct ledger_account *a,
          const struct list_place *cmd, const struct order_place *orders,
          const struct place_names *names)
{
    struct ledger_order *at[LIST_ORDERS_MAX] = {NULL};
    bool is_pair = cmd->contingency == CONTINGENCY_OCO;
    for (uint32_t i = 0; i < cmd->orders_count; i++) {
        bool waits = !is_pair && i > 0;
        const struct place_ties ties = {.contingency = cmd->contingency,
                                        .leg = i,
                                        .waits_for = waits ? at[0]->id : 0,
                                        .rule = waits ? RULE_COMPLETE : RULE_NONE};
        at[i] = place_add(l, t, a, &orders[i], names, &ties);
    }
    if (t->live && t->who.peer != 0)
        CHECK(waiter_add(l, at[cmd->orders_count - 1], WAITER_LIST_PLACE, t->who));
    contingent_start(l, t, at[0], is_pair ? at[1] : NULL);
    for (uint32_t i = 1; !is_pair && i < cmd->orders_count; i++)
        event_of_order(l, at[i], t->out);
    const struct list_legs legs = list_legs(l, account_index(l, a), at[0]->id);
    const struct list said = list_say(l, &legs, NULL);
    event_of_list(l, a, &said, t->out);
}

enum ledger_outcome
list_place_apply(struct ledger *l, const struct turn *t, const struct list_place *cmd)
{
    struct order_place orders[LIST_ORDERS_MAX];
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    if (cmd->orders_count != contingent_orders(cmd->contingency) || cmd->orders_count < 2)
        return turn_refuse_plain(t, ERR_INTERNAL);
    bool is_refused = false;
    for (uint32_t i = 0; i < cmd->orders_count; i++) {
        orders[i] = shape_of_wish(&cmd->orders[i], cmd->account_id);
        is_refused = is_refused || orders[i].is_refused;
        if (!t->live && (!place_is_enriched(&orders[i]) ||
                         order_find_client(l, account_index(l, a), &orders[i].client_order_id)))
            return turn_refuse_plain(t, ERR_INTERNAL);
    }
    if (t->live && t->who.peer != 0 && l->waiters_spare == 0)
        return turn_refuse_plain(t, ERR_LEDGER_BUSY);
    struct place_names names;
    enum err e = list_room(l, a, cmd, orders, &names);
    if (e != OK)
        return turn_refuse_plain(t, e);

    /* Nothing below can fail. */
    if (is_refused)
        list_reject(l, t, a, cmd, orders, &names);
    else
        list_open(l, t, a, cmd, orders, &names);
    return LEDGER_CHANGED;
}
