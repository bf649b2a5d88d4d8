/*
 * shadow_command.c - what a command may say, before the core is given it: a journal that somebody
 * else wrote must not bring the core to amounts that it cannot count with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/evidence.h"
#include "scripctl/shadow_parts.h"

/* The fields that a wish has in common with all that holds one. */
#define COPY(tag, kind, name, flags, sentence)       to->name = from->name;
#define COPY_PART(tag, record, name, rest, sentence) to->name = from->name;

struct order_wish
shadow_wish_of_place(const struct order_place *from)
{
    struct order_wish wish = {.quantity = {0}}, *to = &wish;
    FIELDS_order_wish(COPY, COPY_PART, COPY_PART, COPY_PART);
    return wish;
}

struct order_wish
shadow_wish_of_replace(const struct order_replace *from)
{
    struct order_wish wish = {.quantity = {0}}, *to = &wish;
    FIELDS_order_wish(COPY, COPY_PART, COPY_PART, COPY_PART);
    return wish;
}

static bool
rate_is_right(rate_t rate)
{
    return rate.v >= 0 && rate.v < DECIMAL_ONE;
}

/* What is set aside is what it needs at worst; a seller by quote amount sets aside what it has or
 * what it needs at worst, which is for it to say. */
static bool
hold_is_right(const struct order_wish *w)
{
    if (w->quantity.v == 0 && w->side == SIDE_SELL)
        return w->hold.v > 0;
    wide needs = w->quantity.v == 0     ? (wide)w->quote_order_quantity.v
                 : w->side == SIDE_SELL ? (wide)w->quantity.v
                                        : wide_ceil(w->worst_price.v, w->quantity.v);
    return w->hold.v == needs;
}

static bool
wish_is_right(const struct order_wish *w, char why[WHY_BYTES])
{
    bool by_quote = w->quantity.v == 0;
    if (w->side != SIDE_BUY && w->side != SIDE_SELL)
        return shadow_wrong(why, "an order has no side");
    if (w->quantity.v < 0 || w->price.v < 0 || w->stop_price.v < 0 || w->iceberg_quantity.v < 0 ||
        w->step_size.v < 0 || w->reference_price.v < 0 || w->worst_price.v <= 0 ||
        (by_quote ? w->quote_order_quantity.v <= 0 : w->quote_order_quantity.v != 0))
        return shadow_wrong(why, "an order's amounts are out of range");
    bool has_limit = w->type == ORDER_TYPE_LIMIT || w->type == ORDER_TYPE_LIMIT_MAKER ||
                     w->type == ORDER_TYPE_STOP_LOSS_LIMIT ||
                     w->type == ORDER_TYPE_TAKE_PROFIT_LIMIT;
    if (has_limit != (w->price.v != 0))
        return shadow_wrong(why, "an order of type %s has %s limit",
                            msg_enum_name(MSG_ENUM_order_type, w->type), has_limit ? "no" : "a");
    if (has_limit && w->price.v != w->worst_price.v)
        return shadow_wrong(why, "an order's worst price %s is not its limit %s",
                            amount_text(w->worst_price.v).text, amount_text(w->price.v).text);
    if (!rate_is_right(w->maker_fee_rate) || !rate_is_right(w->taker_fee_rate))
        return shadow_wrong(why, "an order's fee rates are out of range");
    if (!hold_is_right(w))
        return shadow_wrong(why, "an order sets aside %s, which is not what it needs at worst",
                            amount_text(w->hold.v).text);
    return true;
}

/* All of one symbol; the orders of a pair of one side and quantity, as they hold only once. */
static bool
list_is_right(const struct list_place *c, char why[WHY_BYTES])
{
    uint32_t pair = c->contingency == CONTINGENCY_OCO ? 0 : 1;
    bool has_pair = c->contingency == CONTINGENCY_OCO || c->contingency == CONTINGENCY_OTOCO;
    for (uint32_t i = 0; i < c->orders_count; i++) {
        const struct order_wish *w = &c->orders[i], *first = &c->orders[0];
        if (!wish_is_right(w, why))
            return false;
        if (!code_same(w->symbol, c->symbol) || !code_same(w->base_asset, first->base_asset) ||
            !code_same(w->quote_asset, first->quote_asset) || w->quantity.v == 0)
            return shadow_wrong(why, "the orders of a list are not of one symbol");
        if (has_pair && i == pair + 1 &&
            (w->side != w[-1].side || w->quantity.v != w[-1].quantity.v))
            return shadow_wrong(why, "the orders of a pair are not of one side and quantity");
    }
    return true;
}

static bool
set_is_right(const struct balance_set *c, char why[WHY_BYTES])
{
    if (c->balance_min.v < 0 || c->balance.v < c->balance_min.v || c->balance.v > c->balance_max.v)
        return shadow_wrong(why, "the balance %s is not between %s and %s",
                            amount_text(c->balance.v).text, amount_text(c->balance_min.v).text,
                            amount_text(c->balance_max.v).text);
    return true;
}

static bool
report_is_right(const struct shadow *s, const struct order_report *r, int64_t now_us,
                char why[WHY_BYTES])
{
    const struct shadow_order *o = shadow_order(s, r->order_id);
    if (r->prevented.v < 0 || r->trimmed_to.v < 0 || r->trail_extreme.v < 0 || r->triggered_us < 0)
        return shadow_wrong(why, "an amount of the report is below zero");
    return o == NULL || evidence_allows(o, r, now_us, why);
}

bool
shadow_before(const struct shadow *s, const struct msg *cmd, int64_t now_us, char why[WHY_BYTES])
{
    switch (cmd->type) {
    case MSG_order_report:
        return report_is_right(s, &cmd->order_report, now_us, why);
    case MSG_bridge_report:
    case MSG_exchange_account:
    case MSG_order_settle:
        return shadow_real_before(s, cmd, now_us, why);
    case MSG_order_place: {
        bool is_real = cmd->order_place.environment != ENVIRONMENT_NONE;
        if (is_real && !shadow_real_before(s, cmd, now_us, why))
            return false;
        if (is_real && !cmd->order_place.has_twin)
            return true;
        const struct order_wish w = shadow_wish_of_place(&cmd->order_place);
        return wish_is_right(&w, why);
    }
    case MSG_order_replace: {
        const struct order_wish w = shadow_wish_of_replace(&cmd->order_replace);
        return wish_is_right(&w, why);
    }
    case MSG_list_place:
        return list_is_right(&cmd->list_place, why);
    case MSG_balance_set:
        return set_is_right(&cmd->balance_set, why);
    default:
        return true;
    }
}
