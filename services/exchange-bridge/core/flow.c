/*
 * flow.c - see flow.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/flow.h"

#include "base/instrument.h"

#define PAUSE_FIRST_US INT64_C(250000)
#define PAUSE_MAX_US   INT64_C(8000000)
#define PAGE_TRADES    1000u
#define FIRST_TRADE    1u
#define ABSENT_ENOUGH  2u

void
flow_init(struct flow *f, const struct bridge_place *m, const char *deployment)
{
    *f = (struct flow){.market = m->trading_type,
                       .account_id = m->account_id,
                       .order = m->order,
                       .client_id = call_client_id(deployment, m->order.order_id),
                       .send_by_us = m->order.send_by_us};
}

static int64_t
last_moment(const struct flow *f, const struct flow_clock *c)
{
    return f->send_by_us + c->recv_window_us + FLOW_ENGINE_US + FLOW_MARGIN_US;
}

/* By either clock: the order may have been signed by the exchange's, and sent by ours. */
static bool
is_late(const struct flow *f, const struct flow_clock *c)
{
    return c->now_us > last_moment(f, c) && c->exchange_us > last_moment(f, c);
}

/* ---- Calls ---- */

static enum call_name
name_of(const struct flow *f, enum call_name spot, enum call_name usdm)
{
    return f->market == TRADING_TYPE_futures ? usdm : spot;
}

static struct call *
begin(struct flow *f, enum flow_state state, enum call_name spot, enum call_name usdm,
      struct flow_out *out)
{
    f->state = state;
    out->has_call = true;
    out->call = (struct call){.name = name_of(f, spot, usdm),
                              .symbol = instrument_at_exchange(f->order.symbol),
                              .client_id = f->client_id};
    return &out->call;
}

static void
place(struct flow *f, struct flow_out *out)
{
    CHECK(!f->was_placed);
    f->was_placed = true;
    begin(f, FLOW_PLACING, CALL_SPOT_ORDER_PLACE, CALL_USDM_ORDER_PLACE, out)->wish = f->order;
}

static void
cancel(struct flow *f, struct flow_out *out)
{
    f->is_cancel = false;
    f->was_cancel = true;
    begin(f, FLOW_CANCELLING, CALL_SPOT_ORDER_CANCEL, CALL_USDM_ORDER_CANCEL, out);
}

static void
query(struct flow *f, const struct flow_clock *clock, struct flow_out *out)
{
    f->was_late = is_late(f, clock);
    /* By the exchange's own number where the ledger knows it: that outlives whatever becomes of
     * names. */
    begin(f, FLOW_ASKING, CALL_SPOT_ORDER_GET, CALL_USDM_ORDER_GET, out)->exchange_order_id =
        f->order.exchange_order_id;
}

static void
trades(struct flow *f, struct flow_out *out)
{
    struct call *c = begin(f, FLOW_TRADES, CALL_SPOT_ORDER_TRADES, CALL_USDM_ORDER_TRADES, out);
    c->exchange_order_id = f->seen.exchange_order_id;
    c->from_id = f->from_id;
    c->limit = PAGE_TRADES;
}

/* ---- Reports ---- */

static struct bridge_report *
report(struct flow *f, enum exchange_state state, struct flow_out *out)
{
    out->has_report = true;
    out->report = (struct bridge_report){.account_id = f->account_id,
                                         .order_id = f->order.order_id,
                                         .exchange_state = state,
                                         .environment = f->order.environment,
                                         .was_cancel = f->was_cancel};
    return &out->report;
}

static void
end(struct flow *f, struct flow_out *out)
{
    f->state = FLOW_IDLE;
    f->is_cancel = f->was_cancel = false;
    out->is_over = true;
}

static void
report_failed(struct flow *f, enum exchange_state state, enum err error, struct flow_out *out)
{
    struct bridge_report *r = report(f, state, out);
    r->error = error;
    r->exchange_code = f->code;
    r->message = f->message;
    r->placed_quantity = f->order.quantity;
    r->placed_price = f->order.price;
}

static void
report_unknown(struct flow *f, struct flow_out *out)
{
    if (f->told_unknown)
        return;
    f->told_unknown = true;
    report_failed(f, EXCHANGE_STATE_UNKNOWN, f->error == OK ? ERR_OUTCOME_UNKNOWN : f->error, out);
}

/* ---- What goes on ---- */

/* A question again, later and later; given up when nothing more can come of it here. */
static void
pause(struct flow *f, const struct flow_clock *clock, struct flow_out *out)
{
    if (f->give_up_us == 0)
        f->give_up_us =
            (last_moment(f, clock) > clock->now_us ? last_moment(f, clock) : clock->now_us) +
            FLOW_PATIENCE_US;
    if (clock->now_us > f->give_up_us) {
        end(f, out);
        return;
    }
    int64_t pause_us = PAUSE_FIRST_US << (f->pauses < 5 ? f->pauses : 5);
    f->pauses++;
    f->state = FLOW_PAUSING;
    f->wake_us = clock->now_us + (pause_us < PAUSE_MAX_US ? pause_us : PAUSE_MAX_US);
}

static bool
is_open(enum order_status s)
{
    return s == ORDER_STATUS_NEW || s == ORDER_STATUS_PARTIALLY_FILLED ||
           s == ORDER_STATUS_PENDING_NEW;
}

/* The exchange's order and its fills up to `counted` are known: told, and over unless it is to be
 * cancelled. What is told stands even when the order has gone on since. */
static void
settle(struct flow *f, const struct exchange_fill *fills, uint32_t count, bool is_last,
       struct flow_out *out)
{
    struct bridge_report *r = report(f, EXCHANGE_STATE_PLACED, out);
    CHECK(count <= REPLY_FILLS_MAX);
    if (count > 0)
        memcpy(out->fills, fills, count * sizeof *fills);
    r->fills = out->fills;
    r->fills_count = count;
    r->exchange_order_id = f->seen.exchange_order_id;
    /* A page that more follow is no end: its order is open as far as it tells. */
    r->status = is_last ? f->seen.status : ORDER_STATUS_PARTIALLY_FILLED;
    r->executed_quantity = is_last ? f->seen.executed : f->counted;
    r->placed_quantity = f->seen.quantity.v != 0 ? f->seen.quantity : f->order.quantity;
    r->placed_price = f->seen.price.v != 0 ? f->seen.price : f->order.price;
    r->time_us = f->seen.time_us;
    if (!is_last)
        return;
    r->error = f->was_cancel && is_open(f->seen.status) ? f->error : OK;
    r->exchange_code = r->error == OK ? 0 : f->code;
    if (r->error != OK)
        r->message = f->message;
    if (f->is_cancel && is_open(f->seen.status))
        cancel(f, out);
    else
        end(f, out);
}

/* Fills of one placement's reply begin with the first; each tells how far the order then was. */
static qty_t
count_up(struct exchange_fill *to, const struct exchange_fill *from, uint32_t count, qty_t before)
{
    for (uint32_t i = 0; i < count; i++) {
        to[i] = from[i];
        before = qty_add(before, from[i].quantity);
        to[i].executed_after = before;
    }
    return before;
}

/* The order as the exchange has it: tells it, or asks for the fills that the ledger lacks. */
static void
found(struct flow *f, const struct reply_order *o, struct flow_out *out)
{
    f->seen.exchange_order_id = o->exchange_order_id;
    f->seen.status = o->status;
    f->seen.quantity = o->quantity;
    f->seen.executed = o->executed;
    f->seen.price = o->price;
    f->seen.time_us = o->time_us;
    f->order.exchange_state = EXCHANGE_STATE_PLACED;
    f->order.exchange_order_id = o->exchange_order_id;
    f->gone_us = 0;
    struct exchange_fill fills[REPLY_FILLS_MAX];
    qty_t told = count_up(fills, o->fills, o->fills_count, (qty_t){0});
    if (o->fills_count > 0 && told.v == o->executed.v) {
        settle(f, fills, o->fills_count, true, out);
    } else if (o->executed.v == f->known.v && o->fills_count == 0) {
        settle(f, NULL, 0, true, out);
    } else {
        f->counted = (qty_t){0};
        f->from_id = 0;
        trades(f, out);
    }
}

static void
note_failure(struct flow *f, const struct flow_heard *h)
{
    f->error = h->ruling.error;
    f->code = h->code;
    f->message = text_of("%s", h->message == NULL ? "" : h->message);
}

static void
placed(struct flow *f, const struct flow_heard *h, const struct flow_clock *clock,
       struct flow_out *out)
{
    bool is_told = h->order != NULL && h->order->status != ORDER_STATUS_NONE;
    note_failure(f, h);
    switch (h->ruling.verdict) {
    case VERDICT_OK:
    case VERDICT_DONE:
        if (is_told)
            found(f, h->order, out);
        else
            query(f, clock, out); /* taken, and its status was not in the answer */
        return;
    case VERDICT_REFUSED:
    case VERDICT_KEY:
    case VERDICT_CLOCK:
    case VERDICT_AGAIN:
    case VERDICT_LIMITED:
        report_failed(f, EXCHANGE_STATE_REFUSED, f->error, out);
        end(f, out);
        return;
    case VERDICT_ABSENT:
    case VERDICT_GONE:
    case VERDICT_UNKNOWN:
        report_unknown(f, out);
        pause(f, clock, out);
        return;
    }
    CHECK(false);
}

/* A testnet that was wiped, an order that was archived: nothing more will come of it. */
static void
gone(struct flow *f, const struct flow_clock *clock, struct flow_out *out)
{
    if (f->gone_us == 0)
        f->gone_us = clock->now_us;
    if (clock->now_us - f->gone_us < FLOW_GONE_US) {
        pause(f, clock, out);
        return;
    }
    f->seen.status = ORDER_STATUS_EXPIRED;
    f->seen.executed = f->known;
    f->seen.quantity = f->order.placed_quantity;
    f->seen.price = f->order.placed_price;
    f->seen.exchange_order_id = f->order.exchange_order_id;
    f->seen.time_us = clock->exchange_us;
    settle(f, NULL, 0, true, out);
    out->report.message = text_of("the exchange does not know this order any more");
}

static void
absent(struct flow *f, const struct flow_clock *clock, struct flow_out *out)
{
    if (f->order.exchange_state == EXCHANGE_STATE_PLACED) {
        gone(f, clock, out);
        return;
    }
    f->absent = f->was_late ? f->absent + 1 : 0;
    if (f->absent < ABSENT_ENOUGH) {
        pause(f, clock, out);
        return;
    }
    report_failed(f, EXCHANGE_STATE_NOT_PLACED, ERR_NOT_PLACED, out);
    end(f, out);
}

/* Whether it is this order, and not one that has its number since a testnet was wiped. Where it
 * goes by a name of before, it is cancelled by that. */
static bool
is_this(struct flow *f, const struct reply_order *o)
{
    if (cid_empty(&o->client_id) || cid_same(&o->client_id, &f->client_id))
        return true;
    if (!call_is_order(&o->client_id, f->order.order_id))
        return false;
    f->client_id = o->client_id;
    f->is_cancel |= f->was_cancel;
    return true;
}

static void
asked(struct flow *f, const struct flow_heard *h, const struct flow_clock *clock,
      struct flow_out *out)
{
    enum verdict v = h->ruling.verdict;
    if ((v == VERDICT_OK || v == VERDICT_DONE) && h->order != NULL &&
        h->order->status != ORDER_STATUS_NONE) {
        if (is_this(f, h->order))
            found(f, h->order, out);
        else
            absent(f, clock, out);
    } else if (v == VERDICT_ABSENT) {
        absent(f, clock, out);
    } else {
        note_failure(f, h);
        pause(f, clock, out);
    }
}

/* Fills that are not there yet, though the order says that they are, come a moment later. */
static void
trades_told(struct flow *f, const struct flow_heard *h, const struct flow_clock *clock,
            struct flow_out *out)
{
    if (h->ruling.verdict != VERDICT_OK) {
        note_failure(f, h);
        pause(f, clock, out);
        return;
    }
    if (f->from_id == 0 && h->fills_there >= PAGE_TRADES) {
        f->from_id = FIRST_TRADE; /* these are the newest, and not all */
        trades(f, out);
        return;
    }
    struct exchange_fill fills[REPLY_FILLS_MAX];
    uint32_t count = 0;
    qty_t sum = f->counted;
    /* What was filled after the query belongs to the next report. */
    while (count < h->fills_count && count < REPLY_FILLS_MAX && sum.v < f->seen.executed.v) {
        fills[count] = h->fills[count];
        sum = qty_add(sum, h->fills[count].quantity);
        fills[count].executed_after = sum;
        count++;
    }
    f->counted = sum;
    if (sum.v == f->seen.executed.v) {
        settle(f, fills, count, true, out);
    } else if (sum.v < f->seen.executed.v && h->fills_there > count && count > 0) {
        settle(f, fills, count, false, out);
        f->from_id = fills[count - 1].trade_id + 1;
        trades(f, out);
    } else {
        pause(f, clock, out);
    }
}

void
flow_answer(struct flow *f, const struct flow_heard *h, const struct flow_clock *clock,
            struct flow_out *out)
{
    out->has_call = out->has_report = out->is_over = false;
    switch (f->state) {
    case FLOW_PLACING:
        placed(f, h, clock, out);
        return;
    case FLOW_CANCELLING:
        if (h->ruling.verdict != VERDICT_OK && h->ruling.verdict != VERDICT_DONE)
            note_failure(f, h);
        if (h->ruling.verdict == VERDICT_GONE)
            f->error = OK;
        query(f, clock, out);
        return;
    case FLOW_ASKING:
        asked(f, h, clock, out);
        return;
    case FLOW_TRADES:
        trades_told(f, h, clock, out);
        return;
    case FLOW_IDLE:
    case FLOW_PAUSING:
        break; /* no call is under way */
    }
    CHECK(false);
}

/* A question or a cancel that begins now. */
static void
start(struct flow *f, const struct flow_clock *clock, struct flow_out *out)
{
    f->absent = f->pauses = 0;
    f->give_up_us = f->gone_us = 0;
    f->error = OK;
    f->code = 0;
    f->message = (text_t){0};
    if (f->is_cancel)
        cancel(f, out);
    else
        query(f, clock, out);
}

void
flow_ask(struct flow *f, enum flow_wish wish, const struct order *order,
         const struct flow_clock *clock, struct flow_out *out)
{
    out->has_call = out->has_report = out->is_over = false;
    f->known = order->executed_quantity;
    if (order->exchange_state == EXCHANGE_STATE_PLACED)
        f->order.exchange_state = EXCHANGE_STATE_PLACED;
    if (wish == FLOW_CANCEL)
        f->is_cancel = true;
    if (f->state == FLOW_PAUSING && wish == FLOW_CANCEL) {
        cancel(f, out);
        return;
    }
    if (f->state != FLOW_IDLE)
        return; /* its answer answers this, too */
    if (wish == FLOW_PLACE && !f->was_placed && clock->now_us <= f->send_by_us) {
        f->order = *order;
        f->order.exchange_state = EXCHANGE_STATE_SENDING;
        place(f, out);
        return;
    }
    start(f, clock, out);
}

int64_t
flow_wake_us(const struct flow *f)
{
    return f->state == FLOW_PAUSING ? f->wake_us : 0;
}

void
flow_wake(struct flow *f, const struct flow_clock *clock, struct flow_out *out)
{
    out->has_call = out->has_report = out->is_over = false;
    if (f->state == FLOW_PAUSING && clock->now_us >= f->wake_us)
        query(f, clock, out);
}
