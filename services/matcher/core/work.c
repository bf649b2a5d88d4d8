/*
 * work.c - one match loop for takers, one for what crosses at rest.
 *
 * Both stop between two fills when the outbox is full: all they need to go on is in the books and
 * in `struct work`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/work.h"

#include "matcher/core/report.h"
#include "matcher/core/sync.h"

bool
work_is_valid(const struct order_work *w)
{
    int64_t quote;
    if (w->price.v <= 0 || w->quantity.v < 0 || w->funds.v < 0 || w->step_size.v < 0)
        return false;
    bool by_funds = w->type == ORDER_TYPE_MARKET && w->funds.v > 0;
    if (w->quantity.v == 0)
        return by_funds && w->side == SIDE_BUY;
    if (w->quantity.v == INT64_MAX)
        return false;
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
        .ledger = ledger,
        .type = w->type,
        .in_force = w->time_in_force,
        .price = w->price.v,
        .taker = {.side = w->side,
                  .limit = w->price.v,
                  .quantity = w->quantity.v > 0 ? w->quantity.v : INT64_MAX,
                  .funds = by_funds ? w->funds.v : 0,
                  .step_size = w->step_size.v > 0 ? w->step_size.v : 1,
                  .by_funds = by_funds},
    };
    m->is_working = true;
}

/* Rests what is left. Gives the rank, or 0 when there is no room. */
static uint64_t
rest(struct match *m)
{
    const struct work *w = &m->work;
    uint32_t record = resting_new(&m->books.orders, w->order_id);
    if (record == RESTING_NONE)
        return 0;
    struct resting *r = &m->books.orders.at[record];
    r->rank = books_next_rank(&m->books);
    r->quantity = w->taker.quantity;
    r->price = w->price;
    r->side = w->taker.side & 3;
    r->ledger = w->ledger;
    r->state = RESTING_IN_BOOK;
    if (!book_link(&m->books, &m->book[w->book], record, RESTING_NONE)) {
        resting_free(&m->books.orders, record);
        return 0;
    }
    return r->rank;
}

/* Says where the order stands after it took what it could. */
static void
work_end(struct match *m, struct outbox *out)
{
    const struct work *w = &m->work;
    enum order_end end = ORDER_END_NONE;
    uint64_t rank = 0;
    if (w->taker.is_done)
        end = ORDER_END_COMPLETE;
    else if (w->type == ORDER_TYPE_MARKET)
        end = ORDER_END_INSUFFICIENT_LIQUIDITY;
    else if (w->type == ORDER_TYPE_LIMIT && w->in_force == TIME_IN_FORCE_IOC)
        end = ORDER_END_IOC_REMAINDER;
    else if ((rank = rest(m)) == 0)
        end = ORDER_END_BOOK_FULL;
    report_end(m, out, rank, end);
    m->is_working = false;
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

/* Tells both sides of a taker's fill. `left` is what the taker wanted before it. */
static void
tell_take(struct match *m, struct outbox *out, const struct fill *f, int64_t left)
{
    const struct work *w = &m->work;
    const struct book *b = &m->book[w->book];
    struct match_fill fill = report_of(m, b, f, &f->maker, false);
    report_fill(m, out, &fill);
    m->counts.fills++;
    if (f->is_house)
        return;
    struct filled taker = {.price = w->taker.limit,
                           .shown = left != INT64_MAX ? left : f->quantity};
    fill = report_of(m, b, f, &taker, true);
    struct order_report *r = report_alone(m, out, f->maker.order_id, f->maker.ledger, 0, &fill);
    r->end = f->maker.end;
    r->rank = f->maker.rank;
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
            report_end(m, out, 0, refused);
            m->is_working = false;
            return true;
        }
        struct fill f;
        int64_t left = w->taker.quantity;
        if (!taker_next(&m->books, b, &w->taker, &f)) {
            work_end(m, out);
            return true;
        }
        tell_take(m, out, &f, left);
        /* The fill that completes an order and its end are one report: the ledger takes no
         * completely filled order that goes on. */
        if (w->taker.is_done || w->taker.quantity == 0) {
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
    report_for(m, out, f->taker.order_id, f->taker.ledger, 0);
    struct match_fill fill = report_of(m, b, f, &f->maker, true);
    report_fill(m, out, &fill);
    m->counts.fills++;
    if (f->taker.end != ORDER_END_NONE)
        report_end(m, out, 0, ORDER_END_COMPLETE);
}

/* Two resting orders that crossed: a report for each. */
static void
tell_uncross(struct match *m, struct outbox *out, const struct book *b, const struct fill *f)
{
    const struct filled *who[2] = {&f->maker, &f->taker};
    m->counts.fills++;
    for (int i = 0; i < 2; i++) {
        struct match_fill fill = report_of(m, b, f, who[1 - i], i == 0);
        struct order_report *r = report_alone(m, out, who[i]->order_id, who[i]->ledger, 0, &fill);
        r->end = who[i]->end;
        r->rank = who[i]->rank;
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

void
work_pull(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger, uint64_t corr)
{
    uint32_t record = resting_find(&m->books.orders, order_id);
    if (record == RESTING_NONE || m->books.orders.at[record].ledger != ledger) {
        m->counts.pulls_unknown++;
        return;
    }
    const struct resting *r = &m->books.orders.at[record];
    if (r->state == RESTING_WAITING)
        sync_unlink(m, &m->links[ledger], record);
    else
        book_unlink(&m->books, &m->book[m->books.levels[r->level].owner / 4], record);
    resting_free(&m->books.orders, record);
    struct order_report *report = report_alone(m, out, order_id, ledger, corr, NULL);
    report->end = ORDER_END_CLIENT_CANCEL;
    report->was_pulled = true;
}
