/*
 * random_orders.c - see random_orders.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "random_orders.h"

#include <stdio.h>

#include "base/map.h"

uint64_t
random_draw(struct random_orders *r, uint64_t below)
{
    r->random += UINT64_C(0x9e3779b97f4a7c15);
    return map_mix(r->random) % below;
}

bool
random_chance(struct random_orders *r, uint64_t of_thousand)
{
    return random_draw(r, 1000) < of_thousand;
}

static int64_t
near(struct random_orders *r, int64_t percent_from, int64_t percent_to)
{
    int64_t percent =
        percent_from + (int64_t)random_draw(r, (uint64_t)(percent_to - percent_from + 1));
    return r->last * percent / 100;
}

static void
client_id(struct random_orders *r, struct order_wish *o)
{
    o->id_was_made = random_chance(r, 900);
    uint64_t id = o->id_was_made ? ++r->next_id : random_draw(r, 500);
    snprintf(o->client_order_id.text, sizeof(o->client_order_id.text), "%s-%llu",
             o->id_was_made ? "made" : "own", (unsigned long long)id);
}

static struct order_wish
wish(struct random_orders *r, int64_t now_us, enum side side, enum order_type type,
     int64_t quantity)
{
    struct order_wish o = {
        .symbol = code_of("BTCUSDT"), .side = side, .type = type, .quantity = {quantity}};
    client_id(r, &o);
    bool buys = side == SIDE_BUY;
    bool is_take = type == ORDER_TYPE_TAKE_PROFIT || type == ORDER_TYPE_TAKE_PROFIT_LIMIT;
    bool above = buys != is_take;
    if (type == ORDER_TYPE_LIMIT || type == ORDER_TYPE_STOP_LOSS_LIMIT ||
        type == ORDER_TYPE_TAKE_PROFIT_LIMIT)
        o.price.v = near(r, 80, 120);
    if (type == ORDER_TYPE_LIMIT_MAKER)
        o.price.v = buys ? near(r, 80, 99) : near(r, 101, 120);
    if (type >= ORDER_TYPE_STOP_LOSS && type <= ORDER_TYPE_TAKE_PROFIT_LIMIT) {
        o.stop_price.v = above ? near(r, 101, 115) : near(r, 85, 99);
        o.trailing_delta = random_chance(r, 200) ? 50 : 0;
        o.trigger_source = (enum trigger_source)random_draw(r, 4);
    }
    if (type == ORDER_TYPE_TRAILING_STOP)
        o.callback_rate.v = DECIMAL_ONE / 100;
    if (o.price.v != 0 && type != ORDER_TYPE_LIMIT_MAKER && random_chance(r, 500))
        o.time_in_force = (enum time_in_force)random_draw(r, 6);
    if (o.time_in_force == TIME_IN_FORCE_GTD)
        o.expire_us = now_us + 1000;
    if (o.price.v != 0 && o.time_in_force <= TIME_IN_FORCE_GTC && random_chance(r, 200))
        o.iceberg_quantity.v = quantity / 3 / ORDERS_STEP * ORDERS_STEP;
    o.self_trade_prevention = (enum self_trade_prevention)random_draw(r, 6);
    return o;
}

static int64_t
quantity(struct random_orders *r)
{
    return ORDERS_STEP * (3 + (int64_t)random_draw(r, 1000));
}

struct order_wish
random_wish(struct random_orders *r, int64_t now_us)
{
    enum side side = random_chance(r, 600) ? SIDE_BUY : SIDE_SELL;
    return wish(r, now_us, side, (enum order_type)(1 + random_draw(r, 8)), quantity(r));
}

static void
pair(struct random_orders *r, int64_t now_us, enum side side, struct order_wish out[2])
{
    static const enum order_type better[] = {ORDER_TYPE_LIMIT_MAKER, ORDER_TYPE_TAKE_PROFIT,
                                             ORDER_TYPE_TAKE_PROFIT_LIMIT};
    static const enum order_type worse[] = {ORDER_TYPE_STOP_LOSS, ORDER_TYPE_STOP_LOSS_LIMIT,
                                            ORDER_TYPE_TRAILING_STOP};
    uint32_t first = (uint32_t)random_draw(r, 2);
    int64_t both = quantity(r);
    out[first] = wish(r, now_us, side, better[random_draw(r, 3)], both);
    out[1 - first] = wish(r, now_us, side, worse[random_draw(r, 3)], both);
}

struct list_place
random_list(struct random_orders *r, struct order_wish orders[3], int64_t now_us)
{
    enum side side = random_chance(r, 600) ? SIDE_BUY : SIDE_SELL;
    enum side other = side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    struct list_place p = {.contingency = (enum contingency)(1 + random_draw(r, 3)),
                           .symbol = code_of("BTCUSDT"),
                           .orders = orders,
                           .orders_count = 2};
    if (p.contingency == CONTINGENCY_OCO) {
        pair(r, now_us, side, orders);
        return p;
    }
    enum order_type first = random_chance(r, 500) ? ORDER_TYPE_LIMIT : ORDER_TYPE_LIMIT_MAKER;
    orders[0] = wish(r, now_us, side, first, quantity(r));
    orders[1] = wish(r, now_us, other, (enum order_type)(1 + random_draw(r, 8)), quantity(r));
    if (p.contingency == CONTINGENCY_OTOCO) {
        pair(r, now_us, other, &orders[1]);
        p.orders_count = 3;
    }
    return p;
}

/* The fields that a wish has in common with what holds one. */
#define COPY(tag, kind, name, flags, sentence)       to->name = from->name;
#define COPY_PART(tag, record, name, rest, sentence) to->name = from->name;

struct order_place
random_place_of(const struct order_wish *from)
{
    struct order_place place = {.account_id = 0}, *to = &place;
    FIELDS_order_wish(COPY, COPY_PART, COPY_PART, COPY_PART);
    return place;
}

struct order_replace
random_replace_of(const struct order_wish *from)
{
    struct order_replace replace = {.account_id = 0}, *to = &replace;
    FIELDS_order_wish(COPY, COPY_PART, COPY_PART, COPY_PART);
    return replace;
}
