/*
 * kind.h - what an order's type means: which wait for a trigger, and what they become.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_KIND_H
#define SCRIP_LEDGER_CORE_KIND_H

#include "ledger/core/ledger.h"

#define KIND(type) (1u << ORDER_TYPE_##type)

/* It waits until a price sets it off. */
#define KINDS_STOP                                                                                 \
    (KIND(STOP_LOSS) | KIND(STOP_LOSS_LIMIT) | KIND(TAKE_PROFIT) | KIND(TAKE_PROFIT_LIMIT) |       \
     KIND(TRAILING_STOP))
/* It is a market order once it is worked; all others have a limit. */
#define KINDS_MARKET (KIND(MARKET) | KIND(STOP_LOSS) | KIND(TAKE_PROFIT) | KIND(TRAILING_STOP))

/* A type of a later version is taken for a LIMIT until it is refused. */
static inline unsigned
kind_of(enum order_type type)
{
    return type <= ORDER_TYPE_TRAILING_STOP ? 1u << type : KIND(LIMIT);
}

static inline bool
kind_is_stop(enum order_type type)
{
    return (kind_of(type) & KINDS_STOP) != 0;
}

static inline bool
kind_is_market(enum order_type type)
{
    return (kind_of(type) & KINDS_MARKET) != 0;
}

/* Whether its stop price is met from below: p >= stop. A TRAILING_STOP's is its activation. */
static inline bool
kind_rises(enum order_type type, enum side side)
{
    bool is_loss = type == ORDER_TYPE_STOP_LOSS || type == ORDER_TYPE_STOP_LOSS_LIMIT;
    return is_loss == (side == SIDE_BUY);
}

/* Waiting for its trigger still. */
static inline bool
order_is_armed(const struct ledger_order *o)
{
    return kind_is_stop((enum order_type)o->type) && o->triggered_us == 0;
}

/* Whether it may stand on the book, once it was set off. */
static inline bool
order_may_rest(const struct ledger_order *o)
{
    bool stays = o->time_in_force != TIME_IN_FORCE_IOC && o->time_in_force != TIME_IN_FORCE_FOK;
    return stays && !kind_is_market((enum order_type)o->type);
}

#endif
