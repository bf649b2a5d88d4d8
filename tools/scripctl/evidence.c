/*
 * evidence.c - see evidence.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/evidence.h"

#include "scripctl/shadow_parts.h"

#define AHEAD_MAX_US INT64_C(86400000000) /* an exchange's clock may be off, not by a day */
#define BPS          10000

/* A fill under judgement. */
struct judged {
    const struct shadow_order *o;
    const struct match_fill *f;
    uint32_t number;  /* in its report, from 1 */
    wide done, quote; /* of the order, before it */
    bool has_rank, is_set_off;
    int64_t now_us;
    char *why;
};

#define AMOUNT(v)   amount_text(v).text
#define NO(j, ...)  shadow_wrong((j)->why, __VA_ARGS__)
#define ORDER_ID(j) ((unsigned long long)(j)->o->id)

static bool
is_stop(enum order_type type)
{
    return type == ORDER_TYPE_STOP_LOSS || type == ORDER_TYPE_STOP_LOSS_LIMIT ||
           type == ORDER_TYPE_TAKE_PROFIT || type == ORDER_TYPE_TAKE_PROFIT_LIMIT ||
           type == ORDER_TYPE_TRAILING_STOP;
}

static bool
has_limit(enum order_type type)
{
    return type == ORDER_TYPE_LIMIT || type == ORDER_TYPE_LIMIT_MAKER ||
           type == ORDER_TYPE_STOP_LOSS_LIMIT || type == ORDER_TYPE_TAKE_PROFIT_LIMIT;
}

static bool
may_rest(const struct shadow_order *o)
{
    return has_limit(o->type) && o->time_in_force != TIME_IN_FORCE_IOC &&
           o->time_in_force != TIME_IN_FORCE_FOK;
}

/* Whether `a` is worse for the order than `b`. */
static bool
is_worse(const struct shadow_order *o, int64_t a, int64_t b)
{
    return o->side == SIDE_BUY ? a > b : a < b;
}

/* ---- Price and quantity ------------------------------------------------------------------- */

static bool
price_is_allowed(const struct judged *j)
{
    const struct shadow_order *o = j->o;
    const struct match_fill *f = j->f;
    if (f->price.v <= 0 || f->quantity.v <= 0)
        return NO(j, "fill %u of order %llu is of nothing", j->number, ORDER_ID(j));
    if (o->price.v > 0 && is_worse(o, f->price.v, o->price.v))
        return NO(j, "fill %u of order %llu at %s is worse than its limit %s", j->number,
                  ORDER_ID(j), AMOUNT(f->price.v), AMOUNT(o->price.v));
    if (is_worse(o, f->price.v, o->worst_price.v))
        return NO(j, "fill %u of order %llu at %s is worse than its worst price %s", j->number,
                  ORDER_ID(j), AMOUNT(f->price.v), AMOUNT(o->worst_price.v));
    return true;
}

/* A seller by quote amount may get a step more than it asked for with its last fill. */
static bool
quantity_is_allowed(const struct judged *j)
{
    const struct shadow_order *o = j->o;
    wide quote = wide_floor(j->f->price.v, j->f->quantity.v);
    wide limit = o->quantity.v > 0 ? o->quantity.v : o->side == SIDE_SELL ? o->hold.v : INT64_MAX;
    wide left = limit - j->done;
    if (j->f->quantity.v > left)
        return NO(j, "fill %u of order %llu is of %s, and %s is left", j->number, ORDER_ID(j),
                  AMOUNT(j->f->quantity.v), AMOUNT((int64_t)left));
    if (o->quantity.v > 0)
        return true;
    wide rest = o->quote_quantity.v - j->quote;
    if (o->side == SIDE_BUY ? quote > rest : rest <= 0)
        return NO(j, "fill %u of order %llu comes to more than its quote amount", j->number,
                  ORDER_ID(j));
    return true;
}

static bool
evidence_is_sane(const struct judged *j)
{
    const struct evidence *e = &j->f->evidence;
    if (e->source == LIQUIDITY_NONE)
        return NO(j, "fill %u of order %llu has no evidence", j->number, ORDER_ID(j));
    if (e->price.v <= 0 || e->quantity.v <= 0)
        return NO(j, "fill %u of order %llu: its evidence shows nothing", j->number, ORDER_ID(j));
    if (j->f->quantity.v > e->quantity.v)
        return NO(j, "fill %u of order %llu is of %s, its evidence shows %s", j->number,
                  ORDER_ID(j), AMOUNT(j->f->quantity.v), AMOUNT(e->quantity.v));
    if (e->time_us < 0 || e->time_us > j->now_us + AHEAD_MAX_US)
        return NO(j, "fill %u of order %llu: its evidence is of a time to come", j->number,
                  ORDER_ID(j));
    if (e->source == LIQUIDITY_USER && (e->sequence != 0 || e->is_stale))
        return NO(j, "fill %u of order %llu: another user's order is no market data", j->number,
                  ORDER_ID(j));
    return true;
}

/* ---- Price and evidence ------------------------------------------------------------------- */

static bool
maker_is_allowed(const struct judged *j)
{
    const struct shadow_order *o = j->o;
    const struct evidence *e = &j->f->evidence;
    if (!may_rest(o) || !j->has_rank)
        return NO(j, "fill %u of order %llu is a maker's, and the order never rested", j->number,
                  ORDER_ID(j));
    if (j->f->price.v != o->price.v)
        return NO(j, "fill %u of order %llu at %s is not at its own price %s", j->number,
                  ORDER_ID(j), AMOUNT(j->f->price.v), AMOUNT(o->price.v));
    bool has_to_pass = e->source != LIQUIDITY_USER && o->fill_model == FILL_MODEL_through;
    if (is_worse(o, e->price.v, o->price.v) || (has_to_pass && e->price.v == o->price.v))
        return NO(j, "fill %u of order %llu: its evidence at %s does not %s %s", j->number,
                  ORDER_ID(j), AMOUNT(e->price.v), has_to_pass ? "go through" : "reach",
                  AMOUNT(o->price.v));
    return true;
}

/* What a taker pays for what is displayed at a price. */
static wide
slipped(const struct shadow_order *o, int64_t shown)
{
    wide worse = o->side == SIDE_BUY ? ((wide)shown * (BPS + o->slippage_bps) + BPS - 1) / BPS
                                     : (wide)shown * (BPS - (wide)o->slippage_bps) / BPS;
    bool is_beyond = o->side == SIDE_BUY ? worse > o->worst_price.v : worse < o->worst_price.v;
    return is_beyond ? o->worst_price.v : worse;
}

static bool
taker_is_allowed(const struct judged *j)
{
    const struct shadow_order *o = j->o;
    const struct evidence *e = &j->f->evidence;
    /* Two orders at rest that cross after a session was lost: the later one takes. */
    bool met_at_rest = e->source == LIQUIDITY_USER && j->has_rank;
    if (o->type == ORDER_TYPE_LIMIT_MAKER && !met_at_rest)
        return NO(j, "fill %u of order %llu takes, and LIMIT_MAKER orders do not", j->number,
                  ORDER_ID(j));
    wide price = e->source == LIQUIDITY_USER ? e->price.v : slipped(o, e->price.v);
    if (is_worse(o, e->price.v, o->worst_price.v) || j->f->price.v != price)
        return NO(j, "fill %u of order %llu at %s does not follow from its evidence at %s",
                  j->number, ORDER_ID(j), AMOUNT(j->f->price.v), AMOUNT(e->price.v));
    return true;
}

static bool
fill_is_allowed(const struct judged *j)
{
    if (!j->is_set_off)
        return NO(j, "fill %u of order %llu comes before the order is set off", j->number,
                  ORDER_ID(j));
    return price_is_allowed(j) && quantity_is_allowed(j) && evidence_is_sane(j) &&
           (j->f->is_maker ? maker_is_allowed(j) : taker_is_allowed(j));
}

bool
evidence_allows(const struct shadow_order *o, const struct order_report *r, int64_t now_us,
                char why[WHY_BYTES])
{
    struct judged j = {.o = o,
                       .done = (wide)o->executed.v + o->prevented.v,
                       .quote = o->executed_quote.v,
                       .has_rank = o->rank != 0,
                       .is_set_off =
                           !is_stop(o->type) || o->triggered_us != 0 || r->triggered_us != 0,
                       .now_us = now_us,
                       .why = why};
    for (uint32_t i = 0; i < r->fills_count; i++) {
        j.f = &r->fills[i];
        j.number = i + 1;
        if (!fill_is_allowed(&j))
            return false;
        j.done += j.f->quantity.v;
        j.quote += wide_floor(j.f->price.v, j.f->quantity.v);
    }
    return true;
}
