/*
 * settle.c - fills, ends and ranks from the matcher.
 *
 * Each fill is two postings against the shard's house account (what is paid, what is received) and
 * one to the fees account, so the shard sums to zero whoever traded with whom. The quote amount
 * is price times quantity rounded down for both sides; the fee is rounded up and taken from what
 * is received. After the fills the hold is cut to what the remainder needs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/settle.h"

#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/contingent.h"
#include "ledger/core/events.h"
#include "ledger/core/kind.h"
#include "ledger/core/list.h"
#include "ledger/core/order.h"
#include "ledger/core/story.h"
#include "ledger/core/waiter.h"

/* What all fills of a report come to. */
struct fill_sums {
    qty_t quantity;
    money_t quote, fee;
};

/* ---- Judging ------------------------------------------------------------------------------ */

/* Amounts of one fill; false when they do not fit int64. */
static bool
fill_amounts(const struct ledger_order *o, const struct match_fill *f, money_t *quote, money_t *fee)
{
    if (f->price.v <= 0 || f->quantity.v <= 0 || notional_floor(f->price, f->quantity, quote) != OK)
        return false;
    money_t received = o->side == SIDE_BUY ? money_of_qty(f->quantity) : *quote;
    *fee = fee_ceil(received, f->is_maker ? o->maker_fee_rate : o->taker_fee_rate);
    return true;
}

static bool
price_is_worse(const struct ledger_order *o, price_t price)
{
    return o->side == SIDE_BUY ? price.v > o->worst_price.v : price.v < o->worst_price.v;
}

/* A buyer never spends more than its amount. A seller's last fill may bring more than it asked for,
 * by what the step adds, but it sells nothing once it has got its amount. */
static bool
over_quote(const struct ledger_order *o, money_t quote, money_t left)
{
    return o->side == SIDE_BUY ? quote.v > left.v : left.v <= 0;
}

/* NULL, or what is wrong with the fills. */
static const char *
judge_fills(const struct ledger_order *o, const struct order_report *r, struct fill_sums *sums)
{
    *sums = (struct fill_sums){.fee = {0}};
    if (r->fills_count > 0 && order_is_armed(o) && r->triggered_us == 0)
        return "it fills and was never set off";
    money_t quote_left = money_sub(o->quote_quantity, o->executed_quote);
    for (uint32_t i = 0; i < r->fills_count; i++) {
        const struct match_fill *f = &r->fills[i];
        money_t quote, fee;
        if (!fill_amounts(o, f, &quote, &fee))
            return "a fill's amount is out of range";
        if (price_is_worse(o, f->price))
            return "a fill is worse than the limit";
        /* Comparing with what is left keeps the sums from overflowing. */
        bool sells_or_counts = o->side == SIDE_SELL || o->quantity.v > 0;
        if (sells_or_counts && f->quantity.v > order_remaining(o).v - sums->quantity.v)
            return "the fills are more than the remaining quantity";
        if (o->quantity.v == 0 && over_quote(o, quote, money_sub(quote_left, sums->quote)))
            return "the fills are more than the remaining quote amount";
        if (money_try_add(sums->quote, quote, &sums->quote) != OK ||
            money_try_add(sums->fee, fee, &sums->fee) != OK ||
            __builtin_add_overflow(sums->quantity.v, f->quantity.v, &sums->quantity.v))
            return "a fill's amount is out of range";
    }
    return NULL;
}

/* What self-trade prevention takes off comes after the fills of its step. */
static const char *
judge_prevented(const struct ledger_order *o, const struct order_report *r,
                const struct fill_sums *sums)
{
    if (r->prevented.v == 0)
        return NULL;
    bool fits = o->quantity.v > 0 && r->prevented.v > 0 &&
                r->prevented.v <= order_remaining(o).v - sums->quantity.v;
    return fits ? NULL : "more is prevented than remains";
}

static const char *
judge_trigger(const struct ledger_order *o, const struct order_report *r)
{
    if (r->triggered_us != 0 && (r->triggered_us < 0 || !order_is_armed(o)))
        return "nothing is there to be set off";
    int64_t best = r->trail_extreme.v;
    if (best == 0)
        return NULL;
    if (best < 0 || o->trailing_delta == 0 || !order_is_armed(o))
        return "it does not trail";
    int64_t told = o->trail_extreme.v;
    bool better = o->side == SIDE_BUY ? best <= told : best >= told;
    return told == 0 || better ? NULL : "it trailed further before";
}

static const char *
judge_trim(const struct ledger_order *o, const struct order_report *r, const struct fill_sums *sums)
{
    int64_t to = r->trimmed_to.v;
    if (to == 0)
        return NULL;
    if (!r->was_trimmed || o->quantity.v == 0 || to < 0 || to >= o->quantity.v)
        return "an amendment only lowers a quantity";
    int64_t done = o->executed.v + o->prevented.v + sums->quantity.v + r->prevented.v;
    return to > done && r->end == ORDER_END_NONE ? NULL : "it is lowered below what is done";
}

/* What an order comes to when a report is settled. */
struct outcome {
    qty_t executed;
    money_t quote;
    bool is_armed; /* still waiting for its trigger */
    bool is_all;   /* nothing is left of it */
    bool is_lost;  /* and of that something went by self-trade prevention, in this step */
};

/* A buyer by quote amount may be left with less than a step costs, which only the matcher can
 * tell: it has never got all. */
static struct outcome
outcome_of(const struct ledger_order *o, const struct order_report *r, const struct fill_sums *sums)
{
    struct outcome out = {.executed = qty_add(o->executed, sums->quantity),
                          .quote = money_add(o->executed_quote, sums->quote),
                          .is_armed = order_is_armed(o) && r->triggered_us == 0};
    if (o->quantity.v > 0)
        out.is_all = out.executed.v + o->prevented.v + r->prevented.v == o->quantity.v;
    else
        out.is_all = o->side == SIDE_SELL && out.quote.v >= o->quote_quantity.v;
    out.is_lost = out.is_all && r->prevented.v > 0;
    return out;
}

static const char *
must_be(bool is_so, const char *otherwise)
{
    return is_so ? NULL : otherwise;
}

/* NULL, or why the order cannot end so. */
static const char *
judge_end(const struct ledger_order *o, const struct order_report *r, const struct outcome *out)
{
    bool by_quote_buyer = o->quantity.v == 0 && o->side == SIDE_BUY;
    bool none = out->executed.v == 0;
    enum time_in_force in_force = (enum time_in_force)o->time_in_force;
    bool takes = kind_is_market((enum order_type)o->type) || in_force == TIME_IN_FORCE_IOC;
    if (out->is_lost && r->end != ORDER_END_SELF_TRADE)
        return "nothing is left of it but it has not ended";
    bool was_prevented = o->prevented.v > 0 && r->end == ORDER_END_SELF_TRADE;
    if (out->is_all && !out->is_lost && r->end != ORDER_END_COMPLETE && !was_prevented)
        return "everything is filled but the order has not ended";
    switch (r->end) {
    case ORDER_END_NONE:
    case ORDER_END_CLIENT_CANCEL:
    case ORDER_END_BOOK_FULL:
    case ORDER_END_SYMBOL_REMOVED:
        return NULL;
    case ORDER_END_INSUFFICIENT_LIQUIDITY:
    case ORDER_END_SELF_TRADE:
        return must_be(!out->is_armed, "it was never set off");
    case ORDER_END_MARKET_STALE:
        return must_be(takes && !out->is_armed, "only an order that takes ends so");
    case ORDER_END_COMPLETE:
        return must_be(out->is_all || (by_quote_buyer && !none), "it is not completely filled");
    case ORDER_END_IOC_REMAINDER:
        return must_be(in_force == TIME_IN_FORCE_IOC && o->type != ORDER_TYPE_MARKET &&
                           !out->is_armed,
                       "only an IOC order ends so");
    case ORDER_END_FOK_UNFILLABLE:
        /* Usually untouched. Where the link broke between two reports of one sweep, the rest was
         * worked anew and may not be had any more; what was taken stays taken. */
        return must_be(in_force == TIME_IN_FORCE_FOK && !out->is_armed, "only a FOK order ends so");
    case ORDER_END_WOULD_TAKE:
        return must_be(o->type == ORDER_TYPE_LIMIT_MAKER && none && o->rank == 0,
                       "only a new LIMIT_MAKER order ends so");
    case ORDER_END_GTD_REACHED:
        return must_be(o->expire_us != 0, "only an order with a time of expiry ends so");
    case ORDER_END_OCO_TRIGGER:
    case ORDER_END_OTO_PHASE_ONE_EXPIRED:
    case ORDER_END_LIST_REJECTED:
    case ORDER_END_SIMULATED_REJECT:
    case ORDER_END_NOT_ACTIVATED:
    case ORDER_END_CANCEL_FAILED:
    case ORDER_END_EXCHANGE_REFUSED:
    case ORDER_END_NOT_PLACED:
    case ORDER_END_EXCHANGE_EXPIRED:
        return "no matcher ends an order so";
    }
    return "an unknown end";
}

/* An order takes its place once. An iceberg's next slice takes a later one, and so does an order
 * that was armed and then set off. */
static const char *
judge_rank(const struct ledger_order *o, const struct order_report *r)
{
    if (r->rank == 0 || r->rank == o->rank)
        return NULL;
    bool is_armed = order_is_armed(o) && r->triggered_us == 0;
    bool was_armed = kind_is_stop((enum order_type)o->type) && !is_armed;
    bool moves = o->iceberg_quantity.v > 0 || was_armed;
    if (o->rank != 0 && (!moves || r->rank < o->rank))
        return "the order has another rank";
    return must_be(is_armed || order_may_rest(o), "this order never rests");
}

/* The three balances every fill of an order is settled against. */
struct counter_side {
    struct ledger_balance *house_in, *house_out, *fees;
};

static struct counter_side
counter_side_of(const struct ledger *l, const struct ledger_order *o)
{
    bool buys = o->side == SIDE_BUY;
    return (struct counter_side){&l->balances[buys ? o->house_quote : o->house_base],
                                 &l->balances[buys ? o->house_base : o->house_quote],
                                 &l->balances[o->fees]};
}

static const char *
judge_room(const struct ledger *l, const struct ledger_order *o, const struct fill_sums *sums)
{
    const struct counter_side counter = counter_side_of(l, o);
    const struct ledger_balance *gets = order_gets(l, o);
    bool buys = o->side == SIDE_BUY;
    money_t base = money_of_qty(sums->quantity);
    bool fits = posting_fits(order_pays(l, o), counter.house_in, buys ? sums->quote : base) &&
                posting_fits(counter.house_out, gets, buys ? base : sums->quote) &&
                posting_fits(gets, counter.fees, sums->fee);
    return fits ? NULL : "the balances would overflow";
}

static const char *
judge(const struct ledger *l, const struct ledger_order *o, const struct order_report *r,
      struct fill_sums *sums)
{
    const char *wrong = judge_rank(o, r);
    if (wrong == NULL)
        wrong = judge_fills(o, r, sums);
    if (wrong == NULL)
        wrong = judge_prevented(o, r, sums);
    if (wrong == NULL)
        wrong = judge_trigger(o, r);
    if (wrong == NULL)
        wrong = judge_trim(o, r, sums);
    if (wrong != NULL)
        return wrong;
    const struct outcome out = outcome_of(o, r, sums);
    wrong = judge_end(o, r, &out);
    return wrong == NULL && r->fills_count > 0 ? judge_room(l, o, sums) : wrong;
}

/* ---- Settling ----------------------------------------------------------------------------- */

void
settle_fill(struct ledger *l, const struct turn *t, struct ledger_order *o, struct trade said)
{
    struct ledger_account *a = &l->accounts[o->account];
    o->executed = qty_add(o->executed, said.quantity);
    o->executed_quote = money_add(o->executed_quote, said.quote_quantity);
    o->fills++;
    said.trade_id = (uint64_t)a->shard << 47 | ++l->shards[a->shard].trade_sequence;
    said.order_id = o->id;
    said.symbol = l->symbols[o->symbol].code;
    said.side = (enum side)o->side;
    said.time_us = t->now_us;
    fill_keep(l, o, &said);
    event_of_trade(l, a, &said, t->out);
}

static void
fill_settle(struct ledger *l, const struct turn *t, struct ledger_order *o,
            const struct counter_side *counter, const struct match_fill *f)
{
    struct ledger_balance *gets = order_gets(l, o);
    money_t quote, fee;
    CHECK(fill_amounts(o, f, &quote, &fee));
    bool buys = o->side == SIDE_BUY;
    money_t paid = buys ? quote : money_of_qty(f->quantity);
    money_t received = buys ? money_of_qty(f->quantity) : quote;

    ledger_post_held(l, order_pays(l, o), counter->house_in, paid);
    ledger_post(l, counter->house_out, gets, received);
    ledger_post(l, gets, counter->fees, fee);
    o->held = money_sub(o->held, paid);
    settle_fill(l, t, o,
                (struct trade){.price = f->price,
                               .quantity = f->quantity,
                               .quote_quantity = quote,
                               .fee = fee,
                               .fee_asset = l->assets[gets->asset],
                               .is_maker = f->is_maker,
                               .evidence = f->evidence});
}

static enum order_status
status_after(const struct ledger_order *o, enum order_end end)
{
    switch (end) {
    case ORDER_END_NONE:
        if (order_is_pending(o))
            return ORDER_STATUS_PENDING_NEW;
        return o->executed.v > 0 ? ORDER_STATUS_PARTIALLY_FILLED : ORDER_STATUS_NEW;
    case ORDER_END_COMPLETE:
        return ORDER_STATUS_FILLED;
    case ORDER_END_CLIENT_CANCEL:
        return ORDER_STATUS_CANCELED;
    case ORDER_END_IOC_REMAINDER:
    case ORDER_END_FOK_UNFILLABLE:
    case ORDER_END_INSUFFICIENT_LIQUIDITY:
    case ORDER_END_SYMBOL_REMOVED:
    case ORDER_END_OCO_TRIGGER:
    case ORDER_END_OTO_PHASE_ONE_EXPIRED:
    case ORDER_END_GTD_REACHED:
    case ORDER_END_MARKET_STALE:
    case ORDER_END_EXCHANGE_EXPIRED:
        return ORDER_STATUS_EXPIRED;
    case ORDER_END_SELF_TRADE:
        return ORDER_STATUS_EXPIRED_IN_MATCH;
    case ORDER_END_WOULD_TAKE:
    case ORDER_END_LIST_REJECTED:
    case ORDER_END_SIMULATED_REJECT:
    case ORDER_END_NOT_ACTIVATED:
    case ORDER_END_CANCEL_FAILED:
    case ORDER_END_EXCHANGE_REFUSED:
    case ORDER_END_NOT_PLACED:
        return ORDER_STATUS_REJECTED;
    case ORDER_END_BOOK_FULL: /* what it had taken before stays taken */
        return o->executed.v > 0 ? ORDER_STATUS_EXPIRED : ORDER_STATUS_REJECTED;
    }
    CHECK(false);
    return ORDER_STATUS_NONE;
}

/* All but fills and end. */
static void
report_note(struct ledger *l, const struct turn *t, struct ledger_order *o,
            const struct order_report *r)
{
    o->updated_us = t->now_us;
    if (r->rank != 0)
        o->rank = r->rank;
    if (r->trail_extreme.v != 0)
        o->trail_extreme = r->trail_extreme;
    if (r->triggered_us != 0)
        o->triggered_us = r->triggered_us;
    if (r->trimmed_to.v != 0)
        order_lower(l, o, r->trimmed_to);
    o->prevented = qty_add(o->prevented, r->prevented);
}

/* Returns the other order of its pair, when this was the end of it; else NULL. */
static struct ledger_order *
report_settle(struct ledger *l, const struct turn *t, struct ledger_order *o,
              const struct order_report *r)
{
    struct ledger_balance *pays = order_pays(l, o);
    struct ledger_order *partner = contingent_decide(l, t, o, r);
    report_note(l, t, o, r);
    if (r->fills_count > 0) {
        const struct counter_side counter = counter_side_of(l, o);
        for (uint32_t i = 0; i < r->fills_count; i++)
            fill_settle(l, t, o, &counter, &r->fills[i]);
    }
    order_set_status(l, o, status_after(o, r->end), r->end);
    money_t over = contingent_release(l, o);

    event_of_order(l, o, t->out);
    if (partner != NULL)
        event_of_order(l, partner, t->out);
    if (r->fills_count > 0 || over.v > 0)
        event_of_balance(l, pays, t->now_us, t->out);
    if (r->fills_count > 0)
        event_of_balance(l, order_gets(l, o), t->now_us, t->out);
    return partner;
}

/* Those who asked for the order, and then for what it belongs to. */
static void
report_answer(struct ledger *l, const struct turn *t, struct ledger_order *o,
              struct ledger_order *partner)
{
    waiters_answer(l, o, order_has_spoken(o), t->out);
    if (partner != NULL)
        waiters_answer(l, partner, true, t->out);
    contingent_follow(l, t, o);
    if (partner != NULL)
        contingent_follow(l, t, partner);
    if (o->list_id != 0)
        list_settled(l, t, o);
}

/* To nobody: the shell logs it. */
static enum ledger_outcome
report_refuse(struct ledger *l, const struct turn *t, const struct order_report *r,
              const char *wrong)
{
    l->reports_refused++;
    struct msg *m = outbox_put(t->out, OUT_REPLY, 0, MSG_refused, 0);
    m->refused = refusal(ERR_REPORT_REFUSED);
    m->refused.order_id = r->order_id;
    m->refused.detail = text_of("%s", wrong);
    return LEDGER_ANSWERED;
}

static bool
report_says_nothing(const struct order_report *r)
{
    return r->fills_count == 0 && r->rank == 0 && r->end == ORDER_END_NONE &&
           r->triggered_us == 0 && r->trail_extreme.v == 0 && r->prevented.v == 0 &&
           r->trimmed_to.v == 0;
}

/* Of an order that waits for another one only the ledger itself says something: that it was
 * amended. */
static const char *
judge_pending(const struct turn *t, const struct order_report *r)
{
    bool is_own = r->fills_count == 0 && r->rank == 0 && r->triggered_us == 0 &&
                  r->trail_extreme.v == 0 && r->prevented.v == 0 && r->end == ORDER_END_NONE;
    return must_be(is_own && (!t->live || t->who.peer != 0),
                   "the matcher does not know this order");
}

enum ledger_outcome
order_report_apply(struct ledger *l, const struct turn *t, const struct order_report *r)
{
    struct ledger_order *o = order_find(l, r->order_id);
    if (o == NULL)
        return report_refuse(l, t, r, "there is no such order");
    if (order_is_real(o))
        return report_refuse(l, t, r, "no matcher has a real order");
    /* A pull that met an order already gone from the book is no mistake of anybody's. */
    if (!order_is_open(o) && (r->was_pulled || r->was_trimmed) && r->fills_count == 0 &&
        r->rank == 0)
        return LEDGER_ANSWERED;
    if (!order_is_open(o))
        return report_refuse(l, t, r, "the order is finished");
    if (r->was_trimmed)
        o->trimmed_us = 0;
    if (report_says_nothing(r)) {
        if (r->was_pulled)
            o->pulled_us = 0; /* the next cancel pulls again */
        if (r->was_trimmed)
            waiters_trimmed(l, o, r->trimmed_to, t->out);
        return LEDGER_ANSWERED;
    }
    struct fill_sums sums;
    const char *wrong = order_is_pending(o) ? judge_pending(t, r) : NULL;
    if (wrong == NULL)
        wrong = judge(l, o, r, &sums);
    if (wrong != NULL) {
        l->reports_diverged++;
        return report_refuse(l, t, r, wrong);
    }

    /* Nothing below can fail. */
    struct ledger_order *partner = report_settle(l, t, o, r);
    if (r->stories_count > 0 && !order_is_open(o)) {
        story_keep(l, o, &r->stories[0]);
        waiters_explained(l, o, &r->stories[0], t->out);
    }
    if (r->was_pulled)
        o->pulled_us = 0;
    if (r->was_trimmed)
        waiters_trimmed(l, o, r->trimmed_to, t->out);
    report_answer(l, t, o, partner);
    return LEDGER_CHANGED;
}
