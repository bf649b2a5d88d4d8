/*
 * real_report.c - what bridges report of REAL orders, and what operators settle.
 *
 * Reports are sent until they are answered, by any bridge, in any order: each is judged against
 * where the order stands, and what is known already changes nothing and is not journaled. What
 * contradicts itself changes nothing either; it is counted and told to the log.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/account.h"
#include "ledger/core/events.h"
#include "ledger/core/order.h"
#include "ledger/core/real.h"
#include "ledger/core/send.h"
#include "ledger/core/settle.h"
#include "ledger/core/twin.h"
#include "ledger/core/waiter.h"

#define UNRESOLVED_ROWS_MAX 500

/* What a report comes to for an order as it stands. */
struct heard {
    bool moves;     /* its state goes forward */
    bool ends;      /* PLACED, and that was the end of it */
    bool is_behind; /* fills are missing before those told */
    qty_t executed;
    money_t quote;
    uint32_t fills; /* that count */
};

/* ---- Judging ------------------------------------------------------------------------------ */

enum step { STEP_NONE, STEP_MOVES, STEP_WRONG };

/* A state only goes forward. One that lags behind is no news; but what was refused, or never
 * placed, cannot be there, and what is there cannot have been refused. */
static enum step
step_of(const struct ledger_order *o, enum exchange_state to)
{
    bool is_placed = o->exchange_state == EXCHANGE_STATE_PLACED;
    switch (to) {
    case EXCHANGE_STATE_NONE:
    case EXCHANGE_STATE_SENDING:
        return STEP_WRONG;
    case EXCHANGE_STATE_UNKNOWN:
        return o->exchange_state == EXCHANGE_STATE_SENDING ? STEP_MOVES : STEP_NONE;
    case EXCHANGE_STATE_PLACED:
        if (order_is_unresolved(o))
            return STEP_MOVES;
        return is_placed ? STEP_NONE : STEP_WRONG;
    case EXCHANGE_STATE_REFUSED:
    case EXCHANGE_STATE_NOT_PLACED:
        if (order_is_unresolved(o))
            return STEP_MOVES;
        return is_placed ? STEP_WRONG : STEP_NONE;
    }
    return STEP_WRONG;
}

/* What an order's status at the exchange is the end by; NONE while it is open there. */
static enum order_end
end_of(enum order_status said)
{
    switch (said) {
    case ORDER_STATUS_NONE:
    case ORDER_STATUS_NEW:
    case ORDER_STATUS_PARTIALLY_FILLED:
    case ORDER_STATUS_PENDING_NEW:
        return ORDER_END_NONE;
    case ORDER_STATUS_FILLED:
        return ORDER_END_COMPLETE;
    case ORDER_STATUS_CANCELED:
        return ORDER_END_CLIENT_CANCEL;
    case ORDER_STATUS_REJECTED:
        return ORDER_END_EXCHANGE_REFUSED;
    case ORDER_STATUS_EXPIRED:
        return ORDER_END_EXCHANGE_EXPIRED;
    case ORDER_STATUS_EXPIRED_IN_MATCH:
        return ORDER_END_SELF_TRADE;
    }
    return ORDER_END_NONE;
}

/* It is the next one. */
static bool
fill_counts(qty_t executed, const struct exchange_fill *f)
{
    return f->executed_after.v - f->quantity.v == executed.v;
}

/* Its quote amount; where the exchange tells none, price times quantity. */
static bool
fill_quote(const struct exchange_fill *f, money_t *quote)
{
    *quote = f->quote_quantity;
    if (f->price.v <= 0 || f->quantity.v <= 0 || f->executed_after.v < f->quantity.v ||
        quote->v < 0)
        return false;
    return quote->v > 0 || notional_floor(f->price, f->quantity, quote) == OK;
}

/* NULL, or what is wrong with the fills. */
static const char *
judge_fills(const struct ledger_order *o, const struct bridge_report *r, struct heard *h)
{
    for (uint32_t i = 0; i < r->fills_count; i++) {
        const struct exchange_fill *f = &r->fills[i];
        money_t quote;
        if (!fill_quote(f, &quote))
            return "a fill's amount is out of range";
        if (o->quantity.v > 0 && f->executed_after.v > o->quantity.v)
            return "the fills are more than the order";
        if (f->executed_after.v <= h->executed.v)
            continue;
        if (!fill_counts(h->executed, f)) {
            h->is_behind = true;
            continue;
        }
        if (money_try_add(h->quote, quote, &h->quote) != OK)
            return "a fill's amount is out of range";
        h->executed = f->executed_after;
        h->fills++;
    }
    return NULL;
}

/* Of an order that the exchange has. */
static const char *
judge_placed(const struct ledger_order *o, const struct bridge_report *r, struct heard *h)
{
    if (o->exchange_order_id != 0 && r->exchange_order_id != 0 &&
        o->exchange_order_id != r->exchange_order_id)
        return "the exchange has two orders of this name";
    if (r->placed_quantity.v < 0 || r->placed_price.v < 0 || r->executed_quantity.v < 0)
        return "an amount is below zero";
    const char *wrong = judge_fills(o, r, h);
    if (wrong != NULL)
        return wrong;
    if (!order_is_open(o))
        return h->fills > 0 || h->is_behind || r->executed_quantity.v > o->executed.v
                   ? "it is filled after its end"
                   : NULL;
    h->is_behind |= r->executed_quantity.v > h->executed.v;
    bool is_end = end_of(r->status) != ORDER_END_NONE;
    h->ends = is_end && h->executed.v == r->executed_quantity.v;
    return h->ends && r->status == ORDER_STATUS_FILLED && h->executed.v == 0
               ? "it is filled by nothing"
               : NULL;
}

static const char *
judge(const struct ledger_order *o, const struct bridge_report *r, struct heard *h)
{
    *h = (struct heard){.executed = o->executed, .quote = o->executed_quote};
    if (!order_is_real(o))
        return "it is an order on paper";
    if (o->environment != r->environment)
        return "it is an order of another environment";
    enum step step = step_of(o, r->exchange_state);
    if (step == STEP_WRONG)
        return "its state does not follow the one before";
    h->moves = step == STEP_MOVES;
    if (r->exchange_state == EXCHANGE_STATE_PLACED)
        return judge_placed(o, r, h);
    return r->fills_count > 0 ? "what is not there has no fills" : NULL;
}

/* Whether it says for the first time how it was sent, or under which id. */
static bool
is_news(const struct ledger_order *o, const struct bridge_report *r)
{
    return r->exchange_state == EXCHANGE_STATE_PLACED && order_is_open(o) &&
           ((o->exchange_order_id == 0 && r->exchange_order_id != 0) ||
            (o->placed_quantity.v == 0 && r->placed_quantity.v != 0) ||
            (o->placed_price.v == 0 && r->placed_price.v != 0));
}

/* ---- Settling ----------------------------------------------------------------------------- */

static void
fill_settle(struct ledger *l, const struct turn *t, struct ledger_order *o,
            const struct exchange_fill *f)
{
    money_t quote;
    CHECK(fill_quote(f, &quote));
    settle_fill(l, t, o,
                (struct trade){.price = f->price,
                               .quantity = f->quantity,
                               .quote_quantity = quote,
                               .fee = f->fee,
                               .fee_asset = f->fee_asset,
                               .is_maker = f->is_maker,
                               .evidence = {.source = LIQUIDITY_EXCHANGE,
                                            .sequence = f->trade_id,
                                            .price = f->price,
                                            .quantity = f->quantity,
                                            .time_us = f->time_us}});
}

static void
placed_settle(struct ledger *l, const struct turn *t, struct ledger_order *o,
              const struct bridge_report *r, const struct heard *h)
{
    if (o->exchange_order_id == 0)
        o->exchange_order_id = r->exchange_order_id;
    if (o->placed_quantity.v == 0)
        o->placed_quantity = r->placed_quantity;
    if (o->placed_price.v == 0)
        o->placed_price = r->placed_price;
    for (uint32_t i = 0; i < r->fills_count; i++)
        if (fill_counts(o->executed, &r->fills[i]))
            fill_settle(l, t, o, &r->fills[i]);
    if (h->ends && r->status == ORDER_STATUS_REJECTED) {
        o->refused_by = (uint16_t)r->error;
        o->exchange_code = r->exchange_code;
    }
    if (h->ends)
        order_set_status(l, o, r->status, end_of(r->status));
    else if (o->executed.v > 0)
        order_set_status(l, o, ORDER_STATUS_PARTIALLY_FILLED, ORDER_END_NONE);
}

static void
report_settle(struct ledger *l, const struct turn *t, struct ledger_order *o,
              const struct bridge_report *r, const struct heard *h)
{
    o->updated_us = t->now_us;
    if (h->moves)
        o->exchange_state = (uint8_t)r->exchange_state;
    order_touch(l, o);
    switch (r->exchange_state) {
    case EXCHANGE_STATE_NONE:
    case EXCHANGE_STATE_SENDING:
    case EXCHANGE_STATE_UNKNOWN:
        break;
    case EXCHANGE_STATE_PLACED:
        placed_settle(l, t, o, r, h);
        break;
    case EXCHANGE_STATE_REFUSED:
        o->refused_by = (uint16_t)(r->error == OK ? ERR_EXCHANGE_REFUSED : r->error);
        o->exchange_code = r->exchange_code;
        order_set_status(l, o, ORDER_STATUS_REJECTED, ORDER_END_EXCHANGE_REFUSED);
        break;
    case EXCHANGE_STATE_NOT_PLACED:
        order_set_status(l, o, ORDER_STATUS_REJECTED, ORDER_END_NOT_PLACED);
        break;
    }
    event_of_order(l, o, t->out);
}

/* ---- Answering ---------------------------------------------------------------------------- */

/* To the bridge, and to nobody: the shell logs it. */
static enum ledger_outcome
report_refuse(struct ledger *l, const struct turn *t, const struct bridge_report *r, enum err e,
              const char *wrong)
{
    struct refused why = refusal(e);
    why.order_id = r->order_id;
    why.detail = text_of("%s", wrong);
    l->real_refused++;
    outbox_put(t->out, OUT_REPLY, 0, MSG_refused, t->who.corr)->refused = why;
    return turn_refuse(t, &why);
}

static void
reply_reported(const struct turn *t, const struct ledger_order *o, bool is_behind)
{
    if (t->who.peer == 0)
        return;
    struct msg *m = outbox_put(t->out, OUT_REPLY, t->who.peer, MSG_bridge_reported, t->who.corr);
    m->bridge_reported = (struct bridge_reported){.order_id = o->id,
                                                  .executed_quantity = o->executed,
                                                  .is_open = order_is_open(o),
                                                  .is_behind = is_behind && order_is_open(o)};
}

/* Those who wait for the order, in the exchange's own words where there are some. */
static void
answer_waiters(struct ledger *l, const struct turn *t, struct ledger_order *o,
               const struct bridge_report *r)
{
    const struct order said = order_say(l, o);
    struct refused why = rejection_said(&said);
    if (why.error != OK && r->message.text[0] != '\0')
        why.detail = r->message;
    why.field = r->field;
    if (why.error != OK)
        waiters_refuse(l, o, WAITER_PLACE, &why, t->out);
    waiters_answer(l, o, order_has_spoken(o), t->out);
}

/* A cancel that was asked for while nobody knew of the order is sent now that it is there. */
static void
follow(struct ledger *l, const struct turn *t, struct ledger_order *o, const struct heard *h)
{
    bool is_short = !order_is_open(o) && o->end != ORDER_END_COMPLETE;
    if (is_short)
        twin_pull(l, t, o);
    if (t->live && h->moves && order_is_open(o) && o->exchange_state == EXCHANGE_STATE_PLACED &&
        o->pulled_us != 0)
        send_bridge(l, t, o, MSG_bridge_cancel);
}

/* The exchange will not cancel it, however often it is asked; the order stays as it is. */
static void
cancel_refused(struct ledger *l, const struct turn *t, struct ledger_order *o,
               const struct bridge_report *r)
{
    if (!r->was_cancel || r->error == OK || err_again(r->error) || !order_is_open(o))
        return;
    struct refused why = refusal(r->error);
    why.order_id = o->id;
    why.detail = r->message;
    o->pulled_us = 0;
    waiters_refuse(l, o, WAITER_CANCEL, &why, t->out);
}

/* It was given an id, ended, and is in the tables alone. */
static bool
is_forgotten(const struct ledger *l, uint64_t order_id)
{
    uint64_t sequence = order_id & ((UINT64_C(1) << 47) - 1);
    return sequence != 0 && sequence <= l->shards[ledger_shard_of_id(order_id)].order_sequence;
}

enum ledger_outcome
real_report_apply(struct ledger *l, const struct turn *t, const struct bridge_report *r)
{
    struct ledger_order *o = order_find(l, r->order_id);
    if (o == NULL || l->accounts[o->account].id != r->account_id) {
        struct refused why = refusal(
            o == NULL && is_forgotten(l, r->order_id) ? ERR_ORDER_DONE : ERR_ORDER_NOT_FOUND);
        why.order_id = r->order_id;
        return turn_refuse(t, &why);
    }
    struct heard h;
    const char *wrong = judge(o, r, &h);
    if (wrong != NULL) {
        bool is_other = order_is_real(o) && o->environment != r->environment;
        return report_refuse(l, t, r, is_other ? ERR_ENVIRONMENT_MISMATCH : ERR_REPORT_REFUSED,
                             wrong);
    }
    o->heard_us = t->now_us;
    bool changes = h.moves || h.fills > 0 || h.ends || is_news(o, r);
    if (changes) {
        report_settle(l, t, o, r, &h);
        follow(l, t, o, &h);
        answer_waiters(l, t, o, r);
    }
    cancel_refused(l, t, o, r);
    reply_reported(t, o, h.is_behind);
    return changes ? LEDGER_CHANGED : LEDGER_ANSWERED;
}

/* ---- Operators ---------------------------------------------------------------------------- */

static enum ledger_outcome
settle_too_early(const struct turn *t, const struct ledger_order *o, int64_t wait_us)
{
    struct refused why = refusal(ERR_OUTCOME_UNKNOWN);
    why.order_id = o->id;
    why.detail = text_of("it may still reach the exchange");
    why.retry_after_seconds = (uint32_t)(wait_us / 1000000 + 1);
    return turn_refuse(t, &why);
}

enum ledger_outcome
real_settle_apply(struct ledger *l, const struct turn *t, const struct order_settle *cmd)
{
    struct ledger_order *o = order_find(l, cmd->order_id);
    if (o == NULL)
        return turn_refuse_plain(t, is_forgotten(l, cmd->order_id) ? ERR_OUTCOME_KNOWN
                                                                   : ERR_ORDER_NOT_FOUND);
    if (!order_is_real(o) || !order_is_unresolved(o))
        return turn_refuse_plain(t, ERR_OUTCOME_KNOWN);
    if (cmd->settlement != SETTLEMENT_NOT_PLACED) {
        if (t->live)
            send_bridge(l, t, o, MSG_bridge_ask);
        reply_order(l, t->out, t->who, o);
        return LEDGER_ANSWERED;
    }
    int64_t wait_us = o->send_by_us + REAL_LAST_MOMENT_US - t->now_us;
    if (t->live && wait_us > 0)
        return settle_too_early(t, o, wait_us);
    const struct bridge_report r = {.exchange_state = EXCHANGE_STATE_NOT_PLACED,
                                    .message = text_of("settled by %s", cmd->changed_by.text)};
    const struct heard h = {.moves = true};
    report_settle(l, t, o, &r, &h);
    follow(l, t, o, &h);
    answer_waiters(l, t, o, &r);
    reply_order(l, t->out, t->who, o);
    return LEDGER_CHANGED;
}

/* Keeps the lowest ids, sorted; they are few. */
static void
page_insert(const struct ledger *l, uint32_t *page, uint32_t *count, uint32_t i)
{
    uint32_t at = *count;
    if (at == UNRESOLVED_ROWS_MAX + 1 && l->orders[page[at - 1]].id < l->orders[i].id)
        return;
    if (at == UNRESOLVED_ROWS_MAX + 1)
        at--;
    else
        ++*count;
    for (; at > 0 && l->orders[page[at - 1]].id > l->orders[i].id; at--)
        page[at] = page[at - 1];
    page[at] = i;
}

void
real_unresolved(const struct ledger *l, struct asker who, const struct unresolved_list *ask,
                struct outbox *out)
{
    uint32_t page[UNRESOLVED_ROWS_MAX + 1], count = 0;
    for (uint32_t i = ledger_next_real(l, 0); i != LEDGER_NONE; i = ledger_next_real(l, i + 1))
        if (order_is_unresolved(&l->orders[i]) && l->orders[i].id > ask->cursor)
            page_insert(l, page, &count, i);
    uint32_t rows = count > UNRESOLVED_ROWS_MAX ? UNRESOLVED_ROWS_MAX : count;
    struct order *list = arena_take(&out->lists, rows, sizeof(*list));
    CHECK(list != NULL || rows == 0);
    for (uint32_t i = 0; i < rows; i++)
        list[i] = order_say(l, &l->orders[page[i]]);
    struct msg *m = outbox_put(out, OUT_REPLY, who.peer, MSG_order_page, who.corr);
    m->order_page.orders = list;
    m->order_page.orders_count = rows;
    if (count > rows)
        m->order_page.next_cursor = list[rows - 1].order_id;
}
