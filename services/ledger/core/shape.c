/*
 * shape.c - tables of what each order type needs and takes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/shape.h"

#include "base/instrument.h"
#include "ledger/core/kind.h"
#include "ledger/core/reply.h"

/* Amounts stay below a quarter of int64, so that sums of a few never overflow. */
#define AMOUNT_MAX      (INT64_MAX / 4)
#define BASIS_POINTS    10000
#define BASIS_POINT     (DECIMAL_ONE / BASIS_POINTS)
#define KINDS_ALL       0x1feu
#define KINDS_LIMIT     (KINDS_ALL & ~KINDS_MARKET)
#define KINDS_TRAILABLE (KINDS_STOP & ~KIND(TRAILING_STOP))

static enum err
shape_refuse(enum err e, const char *field, const char *detail, struct refused *why)
{
    *why = refusal_of(e, field, text_of("%s", detail));
    return e;
}

static enum err
shape_missing(const struct order_place *cmd, struct refused *why)
{
    unsigned kind = kind_of(cmd->type);
    bool market = cmd->type == ORDER_TYPE_MARKET;
    if (cmd->quantity.v == 0 && !(market && cmd->quote_order_quantity.v != 0))
        return shape_refuse(ERR_FIELD_MISSING, "quantity",
                            market ? "a MARKET order needs quantity or quote_order_quantity"
                                   : "this order type needs a quantity",
                            why);
    if ((kind & KINDS_LIMIT) != 0 && cmd->price.v == 0)
        return shape_refuse(ERR_FIELD_MISSING, "price", "this order type needs a price", why);
    if ((kind & KINDS_TRAILABLE) != 0 && cmd->stop_price.v == 0 && cmd->trailing_delta == 0)
        return shape_refuse(ERR_FIELD_MISSING, "stop_price",
                            "this order type needs stop_price or trailing_delta", why);
    if (cmd->type == ORDER_TYPE_TRAILING_STOP && cmd->callback_rate.v == 0)
        return shape_refuse(ERR_FIELD_MISSING, "callback_rate",
                            "this order type needs a callback_rate", why);
    return OK;
}

struct shape_amount {
    const char *field;
    int64_t amount;
};

#define AMOUNTS 7

static void
shape_amounts(const struct order_place *cmd, struct shape_amount out[AMOUNTS])
{
    const struct shape_amount all[AMOUNTS] = {{"quantity", cmd->quantity.v},
                                              {"quote_order_quantity", cmd->quote_order_quantity.v},
                                              {"price", cmd->price.v},
                                              {"stop_price", cmd->stop_price.v},
                                              {"iceberg_quantity", cmd->iceberg_quantity.v},
                                              {"callback_rate", cmd->callback_rate.v},
                                              {"activation_price", cmd->activation_price.v}};
    for (uint32_t i = 0; i < AMOUNTS; i++)
        out[i] = all[i];
}

static enum err
shape_range(const struct order_place *cmd, struct refused *why)
{
    struct shape_amount all[AMOUNTS];
    shape_amounts(cmd, all);
    uint64_t bits = 0;
    for (uint32_t i = 0; i < AMOUNTS; i++)
        bits |= (uint64_t)all[i].amount;
    for (uint32_t i = 0; bits > AMOUNT_MAX && i < AMOUNTS; i++)
        if (all[i].amount > AMOUNT_MAX)
            return shape_refuse(ERR_NUMBER_RANGE, all[i].field, "it is too large", why);
    if (cmd->trailing_delta >= BASIS_POINTS)
        return shape_refuse(ERR_NUMBER_RANGE, "trailing_delta", "1 to 9999 basis points", why);
    if (cmd->callback_rate.v % BASIS_POINT != 0 || cmd->callback_rate.v >= DECIMAL_ONE)
        return shape_refuse(ERR_NUMBER_RANGE, "callback_rate",
                            "whole basis points, 0.0001 to 0.9999", why);
    for (uint32_t i = 0; bits > AMOUNT_MAX && i < AMOUNTS; i++)
        if (all[i].amount < 0) /* 0 is absent */
            return shape_refuse(ERR_NUMBER_NOT_POSITIVE, all[i].field, "it is below zero", why);
    return OK;
}

/* ---- What does not go together ------------------------------------------------------------ */

static enum err
shape_clash_in_force(const struct order_place *cmd, struct refused *why)
{
    enum time_in_force in_force = cmd->time_in_force;
    bool is_default = in_force == TIME_IN_FORCE_NONE;
    bool stays = in_force != TIME_IN_FORCE_IOC && in_force != TIME_IN_FORCE_FOK;
    const char *detail = NULL;
    if (cmd->type == ORDER_TYPE_MARKET && !is_default && in_force != TIME_IN_FORCE_IOC)
        detail = "a MARKET order never rests";
    else if (cmd->type == ORDER_TYPE_LIMIT_MAKER && !stays)
        detail = "a LIMIT_MAKER order always rests";
    else if (cmd->type != ORDER_TYPE_MARKET && kind_is_market(cmd->type) && !stays)
        detail = "it waits until it is set off, and never rests then: GTC, GTD or DAY";
    if (detail != NULL)
        return shape_refuse(ERR_FIELDS_CLASH, "time_in_force", detail, why);
    if (cmd->expire_us != 0 && in_force != TIME_IN_FORCE_GTD)
        return shape_refuse(ERR_FIELDS_CLASH, "expire_us", "only with time in force GTD", why);
    return OK;
}

/* A TRAILING_STOP says the same by its rate and its activation price. */
static bool
shape_is_canonical(const struct order_place *cmd)
{
    uint32_t delta = (uint32_t)(cmd->callback_rate.v / BASIS_POINT);
    return (cmd->trailing_delta == 0 || cmd->trailing_delta == delta) &&
           (cmd->stop_price.v == 0 || cmd->stop_price.v == cmd->activation_price.v);
}

static enum err
shape_clash_trigger(const struct order_place *cmd, struct refused *why)
{
    if (cmd->stop_price.v == 0 && cmd->trailing_delta == 0 && cmd->callback_rate.v == 0 &&
        cmd->activation_price.v == 0 && cmd->trigger_source == TRIGGER_SOURCE_NONE)
        return OK;
    const struct {
        bool is_set;
        const char *field;
        unsigned taken_by;
        const char *detail;
    } fields[] = {{cmd->stop_price.v != 0, "stop_price", KINDS_STOP, "only for stop orders"},
                  {cmd->trailing_delta != 0, "trailing_delta", KINDS_STOP, "only for stop orders"},
                  {cmd->trigger_source != TRIGGER_SOURCE_NONE, "trigger_source", KINDS_STOP,
                   "only for stop orders"},
                  {cmd->callback_rate.v != 0, "callback_rate", KIND(TRAILING_STOP),
                   "only for TRAILING_STOP orders"},
                  {cmd->activation_price.v != 0, "activation_price", KIND(TRAILING_STOP),
                   "only for TRAILING_STOP orders"}};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (fields[i].is_set && (fields[i].taken_by & kind_of(cmd->type)) == 0)
            return shape_refuse(ERR_FIELDS_CLASH, fields[i].field, fields[i].detail, why);
    if (cmd->type == ORDER_TYPE_TRAILING_STOP && !shape_is_canonical(cmd))
        return shape_refuse(ERR_FIELDS_CLASH, "callback_rate",
                            "a TRAILING_STOP order has no trailing_delta and no stop_price", why);
    return OK;
}

static enum err
shape_clash(const struct order_place *cmd, struct refused *why)
{
    unsigned kind = kind_of(cmd->type);
    if (cmd->quote_order_quantity.v != 0 &&
        (cmd->type != ORDER_TYPE_MARKET || cmd->quantity.v != 0))
        return shape_refuse(ERR_FIELDS_CLASH, "quote_order_quantity",
                            "only for MARKET orders, and without quantity", why);
    if ((kind & KINDS_LIMIT) == 0 && cmd->price.v != 0)
        return shape_refuse(ERR_FIELDS_CLASH, "price",
                            cmd->type == ORDER_TYPE_MARKET ? "a MARKET order has no price"
                                                           : "it becomes a market order: no price",
                            why);
    enum err e = shape_clash_in_force(cmd, why);
    if (e == OK)
        e = shape_clash_trigger(cmd, why);
    if (e != OK || cmd->iceberg_quantity.v == 0)
        return e;
    bool gtc = cmd->time_in_force == TIME_IN_FORCE_NONE || cmd->time_in_force == TIME_IN_FORCE_GTC;
    if ((kind & KINDS_LIMIT) == 0 || !gtc)
        return shape_refuse(ERR_FIELDS_CLASH, "iceberg_quantity",
                            "only for orders with a limit and time in force GTC", why);
    if (cmd->iceberg_quantity.v > cmd->quantity.v)
        return shape_refuse(ERR_FIELDS_CLASH, "iceberg_quantity", "more than the quantity", why);
    return OK;
}

static enum err
shape_clash_position(const struct order_place *cmd, struct refused *why)
{
    if (!cmd->reduce_only || instrument_fits(TRADING_TYPE_futures, cmd->symbol))
        return OK;
    return shape_refuse(ERR_FIELDS_CLASH, "reduce_only", "only contracts have positions", why);
}

/* What two orders lose to each other is counted in the base asset. */
static enum err
shape_clash_prevention(const struct order_place *cmd, struct refused *why)
{
    if (cmd->self_trade_prevention != SELF_TRADE_PREVENTION_DECREMENT || cmd->quantity.v != 0)
        return OK;
    return shape_refuse(ERR_FIELDS_CLASH, "self_trade_prevention", "DECREMENT needs a quantity",
                        why);
}

/* What makes an order a real one is the ledger's to say. */
static void
shape_own(struct order_place *cmd)
{
    cmd->environment = ENVIRONMENT_NONE;
    cmd->trading_type = TRADING_TYPE_NONE;
    cmd->send_by_us = 0;
    cmd->has_twin = false;
    cmd->twin_refused = OK;
}

enum err
shape_order(struct order_place *cmd, struct refused *why)
{
    shape_own(cmd);
    enum err e = shape_missing(cmd, why);
    if (e == OK)
        e = shape_range(cmd, why);
    if (e == OK)
        e = shape_clash(cmd, why);
    if (e == OK)
        e = shape_clash_prevention(cmd, why);
    if (e == OK)
        e = shape_clash_position(cmd, why);
    if (e != OK)
        return e;
    if (cmd->time_in_force == TIME_IN_FORCE_NONE)
        cmd->time_in_force = cmd->type == ORDER_TYPE_MARKET ? TIME_IN_FORCE_IOC : TIME_IN_FORCE_GTC;
    if (kind_is_stop(cmd->type) && cmd->trigger_source == TRIGGER_SOURCE_NONE)
        cmd->trigger_source = TRIGGER_SOURCE_LAST;
    if (cmd->type == ORDER_TYPE_TRAILING_STOP) {
        cmd->trailing_delta = (uint32_t)(cmd->callback_rate.v / BASIS_POINT);
        cmd->stop_price = cmd->activation_price;
    }
    return OK;
}

/* ---- One order in three commands ---------------------------------------------------------- */

#define COPY(tag, kind, name, flags, sentence)       to->name = from->name;
#define COPY_PART(tag, record, name, rest, sentence) to->name = from->name;

struct order_place
shape_of_wish(const struct order_wish *from, uint64_t account_id)
{
    struct order_place place = {.account_id = account_id};
    struct order_place *to = &place;
    FIELDS_order_wish(COPY, COPY_PART, COPY_PART, COPY_PART);
    return place;
}

struct order_wish
shape_to_wish(const struct order_place *from)
{
    struct order_wish wish = {.id_was_made = false};
    struct order_wish *to = &wish;
    FIELDS_order_wish(COPY, COPY_PART, COPY_PART, COPY_PART);
    return wish;
}

struct order_place
shape_of_replace(const struct order_replace *from)
{
    struct order_place place = {.account_id = from->account_id};
    struct order_place *to = &place;
    FIELDS_order_wish(COPY, COPY_PART, COPY_PART, COPY_PART);
    return place;
}

void
shape_into_replace(const struct order_place *from, struct order_replace *to)
{
    FIELDS_order_wish(COPY, COPY_PART, COPY_PART, COPY_PART);
}
