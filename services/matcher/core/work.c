/*
 * work.c - one match loop for takers, one for what crosses at rest.
 *
 * Both stop between two fills when the outbox is full: all they need to go on is in the books and
 * in `struct work`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/work.h"

#include "matcher/core/house.h"
#include "matcher/core/life.h"
#include "matcher/core/pair.h"
#include "matcher/core/report.h"

/* What an order of this type is once it is set off. */
static enum order_type
plain_type(enum order_type type)
{
    switch (type) {
    case ORDER_TYPE_STOP_LOSS:
    case ORDER_TYPE_TAKE_PROFIT:
    case ORDER_TYPE_TRAILING_STOP:
        return ORDER_TYPE_MARKET;
    case ORDER_TYPE_STOP_LOSS_LIMIT:
    case ORDER_TYPE_TAKE_PROFIT_LIMIT:
        return ORDER_TYPE_LIMIT;
    case ORDER_TYPE_NONE:
    case ORDER_TYPE_MARKET:
    case ORDER_TYPE_LIMIT:
    case ORDER_TYPE_LIMIT_MAKER:
        break;
    }
    return type;
}

/* What only some orders wish. */
static bool
wishes_are_valid(const struct order_work *w)
{
    int64_t total;
    if (w->stop_price.v < 0 || w->trail_extreme.v < 0 || w->trailing_delta >= TRIGGER_DELTA_MAX)
        return false;
    if (order_is_conditional(w->type) && w->stop_price.v == 0 && w->trailing_delta == 0)
        return false;
    if (w->slippage_bps >= TRIGGER_DELTA_MAX || w->iceberg_quantity.v < 0 || w->expire_us < 0)
        return false;
    return w->executed.v >= 0 && !__builtin_add_overflow(w->executed.v, w->quantity.v, &total);
}

bool
work_is_valid(const struct order_work *w)
{
    int64_t quote;
    if (w->price.v <= 0 || w->quantity.v < 0 || w->funds.v < 0 || w->step_size.v < 0)
        return false;
    if (w->quantity.v == INT64_MAX || !wishes_are_valid(w))
        return false;
    bool by_funds = w->type == ORDER_TYPE_MARKET && w->funds.v > 0;
    if (w->quantity.v == 0)
        return by_funds && w->side == SIDE_BUY;
    /* A buyer's fills cost at most this; beyond int64 no ledger could have reserved it. */
    return w->side == SIDE_SELL || by_funds ||
           decimal_mul_floor(w->price.v, w->quantity.v, &quote) == OK;
}

void
work_begin(struct match *m, const struct order_work *w, uint32_t book, uint16_t ledger,
           uint64_t corr)
{
    bool by_funds = w->type == ORDER_TYPE_MARKET && w->funds.v > 0;
    m->work = (struct work){
        .order_id = w->order_id,
        .corr = corr,
        .book = book,
        .record = RESTING_NONE,
        .ledger = ledger,
        .type = w->type,
        .in_force = w->time_in_force,
        .price = w->price.v,
        .total = w->executed.v + w->quantity.v,
        .taker = {.side = w->side,
                  .limit = w->price.v,
                  .quantity = w->quantity.v > 0 ? w->quantity.v : INT64_MAX,
                  .funds = by_funds ? w->funds.v : 0,
                  .step_size = w->step_size.v > 0 ? w->step_size.v : 1,
                  .account = w->account_id,
                  .prevention = w->self_trade_prevention,
                  .slippage_bps = w->slippage_bps,
                  .by_funds = by_funds},
    };
    m->is_working = true;
}

void
work_record(struct match *m, uint32_t record)
{
    const struct resting *r = &m->books.orders.at[record];
    struct order_more *more = &m->books.orders.more[record];
    const struct order_work w = {
        .order_id = r->id,
        .account_id = r->account,
        .side = (enum side)r->side,
        .type = plain_type((enum order_type)more->type),
        .time_in_force = (enum time_in_force)more->in_force,
        .price = {r->price},
        .quantity = {r->quantity},
        .funds = {more->funds},
        .step_size = {more->step_size},
        .self_trade_prevention = (enum self_trade_prevention)r->prevention,
        .slippage_bps = more->slippage_bps,
    };
    work_begin(m, &w, r->book, r->ledger, more->corr);
    more->corr = 0;
    m->work.record = record;
    if (!more->is_untold)
        return;
    more->is_untold = false;
    m->gathered.triggered_us = m->now_us;
    pair_decided(m, record);
}

/* A record of a plain order, for what is left of it. RESTING_NONE when the pool is full. */
static uint32_t
plain_record(struct match *m)
{
    const struct work *w = &m->work;
    uint32_t record = resting_new(&m->books.orders, w->order_id);
    if (record == RESTING_NONE)
        return RESTING_NONE;
    struct resting *r = &m->books.orders.at[record];
    r->price = w->price;
    r->total = w->total;
    r->account = w->taker.account;
    r->side = w->taker.side & 3;
    r->ledger = w->ledger;
    r->model = FILL_MODEL_NONE;
    r->prevention = w->taker.prevention & 7;
    return record;
}

/* What only the way here needed is let go of, so that matching need not look at it. */
static void
shed_more(struct match *m, uint32_t record)
{
    struct resting *r = &m->books.orders.at[record];
    const struct order_more *more = &m->books.orders.more[record];
    if (r->model != FILL_MODEL_NONE || more->slice > 0 || more->timer != RESTING_NONE ||
        more->pair != RESTING_NONE || more->story != RESTING_NONE)
        return;
    r->has_more = 0;
    r->total = more->total;
}

bool
work_rest(struct match *m, uint32_t book, uint32_t record, uint32_t hint)
{
    struct resting *r = &m->books.orders.at[record];
    if (r->has_more) {
        struct order_more *more = &m->books.orders.more[record];
        if (more->slice > 0 && more->slice < r->quantity) {
            more->hidden = r->quantity - more->slice;
            r->quantity = more->slice;
        }
        story_begin(&m->books, &m->book[book], record);
        shed_more(m, record);
    }
    r->state = RESTING_IN_BOOK;
    if (book_link(&m->books, &m->book[book], record, hint))
        return true;
    r->state = RESTING_AT_WORK; /* in no list */
    r->book = book;
    return false;
}

/* Rests what is left. Gives the rank, or 0 when there is no room. */
static uint64_t
rest(struct match *m)
{
    struct work *w = &m->work;
    if (w->record == RESTING_NONE)
        w->record = plain_record(m);
    if (w->record == RESTING_NONE)
        return 0;
    struct resting *r = &m->books.orders.at[w->record];
    r->rank = books_next_rank(&m->books);
    r->quantity = w->taker.quantity;
    return work_rest(m, w->book, w->record, RESTING_NONE) ? r->rank : 0;
}

/* Says how the order's work ended; an order that does not rest is forgotten. */
static void
finish(struct match *m, struct outbox *out, uint64_t rank, enum order_end end)
{
    uint32_t record = m->work.record;
    struct order_report *told = report_end(m, out, rank, end);
    m->is_working = false;
    if (record == RESTING_NONE || end == ORDER_END_NONE)
        return;
    if (m->books.orders.at[record].has_more)
        life_ended(m, out, &m->book[m->work.book], record, told);
    life_forget(m, record);
}

/* Whether the house was there and had to go: its market had a gap or fell silent. */
static bool
is_withdrawn(const struct match *m, const struct book *b)
{
    return house_is_held(&m->books, b) && b->house.source != LIQUIDITY_NONE;
}

/* Says where the order stands after it took what it could. */
static void
work_end(struct match *m, struct outbox *out)
{
    const struct work *w = &m->work;
    enum order_end end = ORDER_END_NONE;
    uint64_t rank = 0;
    bool is_stale = is_withdrawn(m, &m->book[w->book]);
    bool is_lost = w->taker.is_prevented || (!w->taker.by_funds && w->taker.prevented > 0);
    if (w->taker.is_done)
        end = is_lost ? ORDER_END_SELF_TRADE : ORDER_END_COMPLETE;
    else if (w->type == ORDER_TYPE_MARKET)
        end = is_stale ? ORDER_END_MARKET_STALE : ORDER_END_INSUFFICIENT_LIQUIDITY;
    else if (w->type == ORDER_TYPE_LIMIT && w->in_force == TIME_IN_FORCE_IOC)
        end = is_stale ? ORDER_END_MARKET_STALE : ORDER_END_IOC_REMAINDER;
    else if ((rank = rest(m)) == 0)
        end = ORDER_END_BOOK_FULL;
    finish(m, out, rank, end);
}

/* What an order may ask for before it takes anything. */
static enum order_end
refusal(const struct match *m)
{
    const struct work *w = &m->work;
    const struct book *b = &m->book[w->book];
    if (w->taker.has_filled)
        return ORDER_END_NONE;
    if (w->type == ORDER_TYPE_LIMIT_MAKER && taker_would_take(b, &w->taker))
        return ORDER_END_WOULD_TAKE;
    if (w->type == ORDER_TYPE_LIMIT && w->in_force == TIME_IN_FORCE_FOK &&
        !taker_can_fill(&m->books, b, &w->taker))
        return ORDER_END_FOK_UNFILLABLE;
    return ORDER_END_NONE;
}

/* Tells a side that rested of a trade with another order, or of one that was prevented; a side
 * that neither changed is not told. */
static void
tell_resting(struct match *m, struct outbox *out, const struct book *b, const struct filled *who,
             const struct match_fill *fill)
{
    if (fill == NULL && who->prevented == 0 && who->end == ORDER_END_NONE)
        return;
    struct order_report *r = report_alone(m, out, who->order_id, who->ledger, 0, fill);
    r->end = who->end;
    r->rank = who->rank;
    r->prevented.v = who->prevented;
    life_touched(m, out, b, who, r);
}

/* Tells both sides of a taker's fill. `left` is what the taker wanted before it. */
static void
tell_take(struct match *m, struct outbox *out, const struct fill *f, int64_t left)
{
    const struct work *w = &m->work;
    const struct book *b = &m->book[w->book];
    if (f->is_prevented) {
        tell_resting(m, out, b, &f->maker, NULL);
        return;
    }
    struct match_fill fill = report_of(m, b, f, &f->maker, false);
    report_fill(m, out, &fill);
    m->counts.fills++;
    if (w->record != RESTING_NONE)
        pair_decided(m, w->record);
    if (f->is_house)
        return;
    struct filled taker = {.price = w->taker.limit,
                           .shown = left != INT64_MAX ? left : f->quantity};
    fill = report_of(m, b, f, &taker, true);
    tell_resting(m, out, b, &f->maker, &fill);
}

/* What self-trade prevention took off the taker belongs to its next report. An order by quote
 * amount asked for no quantity of which it could be a part. */
static void
gather_prevented(struct match *m)
{
    struct work *w = &m->work;
    if (!w->taker.by_funds)
        m->gathered.prevented += w->taker.prevented - w->prevented;
    w->prevented = w->taker.prevented;
}

bool
work_run(struct match *m, struct outbox *out)
{
    struct work *w = &m->work;
    struct book *b = &m->book[w->book];
    report_for(m, out, w->order_id, w->ledger, w->corr);
    enum order_end refused = refusal(m);
    while (report_room(out)) {
        if (refused != ORDER_END_NONE) {
            finish(m, out, 0, refused);
            return true;
        }
        struct fill f;
        int64_t left = w->taker.quantity;
        bool is_more = taker_next(&m->books, b, &w->taker, &f);
        if (w->taker.prevented != w->prevented)
            gather_prevented(m);
        if (is_more)
            tell_take(m, out, &f, left);
        /* The fill that completes an order and its end are one report: the ledger takes no
         * completely filled order that goes on. */
        if (!is_more || w->taker.is_done || w->taker.quantity == 0) {
            work_end(m, out);
            return true;
        }
    }
    report_flush(m, out);
    return false;
}

void
work_dirty(struct match *m, uint32_t book)
{
    if (m->book[book].is_dirty)
        return;
    m->book[book].is_dirty = true;
    m->book[book].dirty_next = m->dirty;
    m->dirty = book;
}

/* A resting order that the house moved through: its fills come in one report. */
static void
tell_fire(struct match *m, struct outbox *out, const struct book *b, const struct fill *f)
{
    const struct filled *who = &f->taker;
    report_for(m, out, who->order_id, who->ledger, 0);
    struct match_fill fill = report_of(m, b, f, &f->maker, true);
    report_fill(m, out, &fill);
    m->counts.fills++;
    if (who->rank != 0)
        m->gathered.rank = who->rank;
    if (who->end != ORDER_END_NONE)
        life_touched(m, out, b, who, report_end(m, out, 0, who->end));
    else if (m->books.orders.at[who->record].has_more)
        pair_decided(m, who->record);
}

/* Two resting orders that crossed: a report for each. */
static void
tell_uncross(struct match *m, struct outbox *out, const struct book *b, const struct fill *f)
{
    const struct filled *who[2] = {&f->maker, &f->taker};
    m->counts.fills += !f->is_prevented;
    for (int i = 0; i < 2; i++) {
        struct match_fill fill = report_of(m, b, f, who[1 - i], i == 0);
        tell_resting(m, out, b, who[i], f->is_prevented ? NULL : &fill);
    }
}

bool
work_fire(struct match *m, struct outbox *out)
{
    while (m->dirty != BOOK_NONE) {
        struct book *b = &m->book[m->dirty];
        struct fill f;
        if (!report_room(out)) {
            report_flush(m, out);
            return false;
        }
        if (book_fire(&m->books, b, &f)) {
            tell_fire(m, out, b, &f);
            continue;
        }
        report_flush(m, out);
        m->gathered.order_id = 0;
        if (book_uncross(&m->books, b, &f)) {
            tell_uncross(m, out, b, &f);
            continue;
        }
        m->dirty = b->dirty_next;
        b->is_dirty = false;
        b->dirty_next = BOOK_NONE;
    }
    return true;
}

void
work_refuse(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger, uint64_t corr,
            enum order_end end)
{
    report_alone(m, out, order_id, ledger, corr, NULL)->end = end;
}
