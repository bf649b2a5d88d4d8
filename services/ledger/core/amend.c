/*
 * amend.c - see amend.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/amend.h"

#include "ledger/core/account.h"
#include "ledger/core/filter.h"
#include "ledger/core/order.h"
#include "ledger/core/query.h"
#include "ledger/core/real.h"
#include "ledger/core/send.h"
#include "ledger/core/settle.h"
#include "ledger/core/waiter.h"

/* As with pulls: asked again meanwhile, the matcher has it. */
#define TRIM_AGAIN_US 1000000

static enum ledger_outcome
amend_refuse(const struct turn *t, enum err e, uint64_t order_id)
{
    struct refused why = refusal(e);
    why.order_id = order_id;
    return turn_refuse(t, &why);
}

/* The price its notional is judged at. */
static price_t
amend_price(const struct ledger_order *o)
{
    if (o->price.v != 0)
        return o->price;
    return o->stop_price.v != 0 ? o->stop_price : o->reference_price;
}

static enum err
amend_judge(const struct ledger *l, const struct ledger_order *o, qty_t quantity,
            struct refused *why)
{
    const struct symbol_rules *r = &l->symbols[o->symbol].rules;
    enum err e = filter_amended(r, quantity, amend_price(o), why);
    if (e != OK)
        return e;
    if (r->order_amends_max > 0 && o->amends >= r->order_amends_max) {
        *why = refusal_of(ERR_FILTER_MAX_ORDER_AMENDS, "quantity",
                          text_of("MAX_NUM_ORDER_AMENDS %u: it was amended %u times",
                                  r->order_amends_max, o->amends));
        return ERR_FILTER_MAX_ORDER_AMENDS;
    }
    int64_t done = o->executed.v + o->prevented.v;
    if (quantity.v < o->quantity.v && quantity.v > done)
        return OK;
    char now[DECIMAL_BYTES], least[DECIMAL_BYTES];
    decimal_write_short(o->quantity.v, now);
    decimal_write_short(done, least);
    *why = refusal_of(ERR_AMEND_NOT_LOWER, "quantity",
                      text_of("it is %s, and %s of it is done", now, least));
    return ERR_AMEND_NOT_LOWER;
}

static enum ledger_outcome
amend_send(struct ledger *l, const struct turn *t, struct ledger_order *o, qty_t quantity)
{
    if (!waiter_add_amend(l, o, quantity, t->who))
        return amend_refuse(t, ERR_LEDGER_BUSY, o->id);
    bool is_sent = o->trimmed_us != 0 && o->trimmed_to.v == quantity.v &&
                   t->now_us - o->trimmed_us < TRIM_AGAIN_US;
    if (is_sent)
        return LEDGER_ANSWERED;
    o->trimmed_us = t->now_us;
    o->trimmed_to = quantity;
    struct msg *m = send_matcher(t, o, MSG_order_trim);
    m->order_trim.order_id = o->id;
    m->order_trim.symbol = l->symbols[o->symbol].code;
    m->order_trim.quantity = quantity;
    m->order_trim.latency_us = o->cancel_latency_us;
    return LEDGER_ANSWERED;
}

static enum ledger_outcome
amend_pending(struct ledger *l, const struct turn *t, struct msg *cmd, struct ledger_order *o,
              qty_t quantity)
{
    if (t->who.peer == 0) /* it is the asker that makes it the ledger's own word */
        return turn_refuse_plain(t, ERR_WIRE_UNKNOWN);
    cmd->type = MSG_order_report;
    cmd->order_report =
        (struct order_report){.order_id = o->id, .trimmed_to = quantity, .was_trimmed = true};
    enum ledger_outcome outcome = order_report_apply(l, t, &cmd->order_report);
    CHECK(outcome == LEDGER_CHANGED);
    reply_order(l, t->out, t->who, o);
    return outcome;
}

static enum ledger_outcome
amend_seek(struct ledger *l, const struct turn *t, struct msg *cmd, bool looked_up)
{
    const struct order_amend *ask = &cmd->order_amend;
    const struct order_key key = {ask->account_id, ask->order_id, &ask->client_order_id};
    struct ledger_order *o;
    struct refused why;
    enum err e = order_seek(l, &key, looked_up, &o);
    if (e != OK)
        return turn_refuse_plain(t, e);
    if (o == NULL)
        return LEDGER_LOOKUP;
    if (!order_is_open(o))
        return amend_refuse(t, ERR_ORDER_DONE, o->id);
    if (order_is_real(o)) {
        why = real_unsupported("order_id", "real orders are not amended");
        why.order_id = o->id;
        return turn_refuse(t, &why);
    }
    qty_t quantity = ask->quantity;
    if (o->amends > 0 && quantity.v == o->quantity.v) { /* asked again: it is done */
        reply_order(l, t->out, t->who, o);
        return LEDGER_ANSWERED;
    }
    if (amend_judge(l, o, quantity, &why) != OK) {
        why.order_id = o->id;
        return turn_refuse(t, &why);
    }
    if (order_is_pending(o))
        return amend_pending(l, t, cmd, o, quantity);
    return amend_send(l, t, o, quantity);
}

enum ledger_outcome
amend_request(struct ledger *l, const struct turn *t, struct msg *cmd)
{
    return amend_seek(l, t, cmd, false);
}

enum ledger_outcome
amend_found(struct ledger *l, const struct turn *t, struct msg *cmd, const struct order_view *row)
{
    enum ledger_outcome outcome = amend_seek(l, t, cmd, row == NULL);
    /* It is in the tables and not in memory: only finished orders are. */
    return outcome == LEDGER_LOOKUP ? amend_refuse(t, ERR_ORDER_DONE, row->order.order_id)
                                    : outcome;
}
