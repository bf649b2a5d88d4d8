/*
 * house.c - market messages into house levels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/house.h"

const code_t *
house_symbol(const struct msg *m)
{
    switch (m->type) {
    case MSG_md_trade:
        return &m->md_trade.symbol;
    case MSG_md_quote:
        return &m->md_quote.symbol;
    case MSG_md_depth:
        return &m->md_depth.symbol;
    case MSG_md_book:
        return &m->md_book.symbol;
    case MSG_md_beat:
        return &m->md_beat.symbol;
    default:
        return NULL;
    }
}

static uint64_t
sequence_of(const struct msg *m)
{
    switch (m->type) {
    case MSG_md_trade:
        return m->md_trade.sequence;
    case MSG_md_quote:
        return m->md_quote.sequence;
    case MSG_md_depth:
        return m->md_depth.sequence;
    case MSG_md_book:
        return m->md_book.sequence;
    case MSG_md_beat:
        return m->md_beat.sequence;
    default:
        return 0;
    }
}

static void
hide(struct books *s, struct book *b)
{
    book_hide(s, b, SIDE_BUY);
    book_hide(s, b, SIDE_SELL);
    for (int i = 0; i < 2; i++)
        b->house.quote[i].price = b->house.quote[i].quantity = 0;
}

enum house_outcome
house_lose(struct books *s, struct book *b)
{
    hide(s, b);
    b->house.state = HOUSE_AWAITING;
    return HOUSE_LOST;
}

/* One level is all that a side shows. */
static void
show_only(struct books *s, struct book *b, enum side side, const struct house_level *shown)
{
    book_hide(s, b, side);
    if (shown->price > 0 && shown->left > 0)
        book_show(s, b, side, shown);
}

/* One side of a quote: what did not change is not news. */
static void
show_quote(struct books *s, struct book *b, enum side side, const struct house_level *shown)
{
    int i = side == SIDE_BUY ? 0 : 1;
    if (b->house.quote[i].price == shown->price && b->house.quote[i].quantity == shown->left)
        return;
    b->house.quote[i].price = shown->price;
    b->house.quote[i].quantity = shown->left;
    show_only(s, b, side, shown);
}

static void
show_levels(struct books *s, struct book *b, enum side side, const struct level *levels,
            uint32_t count, uint64_t sequence, int64_t time_us)
{
    for (uint32_t i = 0; i < count; i++) {
        struct house_level shown = {levels[i].price.v, levels[i].quantity.v, sequence, time_us};
        if (shown.price > 0)
            book_show(s, b, side, &shown);
    }
}

/* Older publishers may not say what a book is made of: levels tell. */
static enum liquidity
source_of(const struct md_book *book)
{
    if (book->source != LIQUIDITY_NONE)
        return book->source;
    return book->bids_count + book->asks_count > 0 ? LIQUIDITY_DEPTH : LIQUIDITY_TRADE;
}

static enum house_outcome
take_book(struct books *s, struct book *b, const struct md_book *book)
{
    hide(s, b);
    b->house.state = HOUSE_LIVE;
    b->house.asked_us = 0;
    b->house.sequence = book->sequence;
    b->house.source = source_of(book);
    if (book->last_price.v > 0)
        b->house.last = book->last_price;
    if (b->house.source == LIQUIDITY_QUOTE) {
        struct house_level none = {0, 0, 0, 0}, bid = none, ask = none;
        if (book->bids_count > 0)
            bid = (struct house_level){book->bids[0].price.v, book->bids[0].quantity.v,
                                       book->sequence, book->time_us};
        if (book->asks_count > 0)
            ask = (struct house_level){book->asks[0].price.v, book->asks[0].quantity.v,
                                       book->sequence, book->time_us};
        show_quote(s, b, SIDE_BUY, &bid);
        show_quote(s, b, SIDE_SELL, &ask);
    } else if (b->house.source == LIQUIDITY_DEPTH) {
        show_levels(s, b, SIDE_BUY, book->bids, book->bids_count, book->sequence, book->time_us);
        show_levels(s, b, SIDE_SELL, book->asks, book->asks_count, book->sequence, book->time_us);
    }
    return HOUSE_CHANGED;
}

static enum house_outcome
take_quote(struct books *s, struct book *b, const struct md_quote *q)
{
    if (b->house.source == LIQUIDITY_DEPTH)
        return HOUSE_SAME;
    if (b->house.source != LIQUIDITY_QUOTE) {
        hide(s, b);
        b->house.source = LIQUIDITY_QUOTE;
    }
    struct house_level bid = {q->bid.v, q->bid_quantity.v, q->sequence, q->time_us};
    struct house_level ask = {q->ask.v, q->ask_quantity.v, q->sequence, q->time_us};
    show_quote(s, b, SIDE_BUY, &bid);
    show_quote(s, b, SIDE_SELL, &ask);
    return HOUSE_CHANGED;
}

static enum house_outcome
take_trade(struct books *s, struct book *b, const struct md_trade *t)
{
    b->house.last = t->trade.price;
    if (b->house.source != LIQUIDITY_TRADE)
        return HOUSE_SAME;
    struct house_level print = {t->trade.price.v, t->trade.quantity.v, t->sequence,
                                t->trade.time_us};
    show_only(s, b, SIDE_BUY, &print);
    show_only(s, b, SIDE_SELL, &print);
    return HOUSE_CHANGED;
}

/* The message that comes next in the stream. */
static enum house_outcome
take_next(struct books *s, struct book *b, const struct msg *m)
{
    switch (m->type) {
    case MSG_md_quote:
        return take_quote(s, b, &m->md_quote);
    case MSG_md_trade:
        return take_trade(s, b, &m->md_trade);
    case MSG_md_depth:
        /* Changes to a book that nobody has shown yet say nothing. */
        if (b->house.source != LIQUIDITY_DEPTH)
            return HOUSE_SAME;
        show_levels(s, b, SIDE_BUY, m->md_depth.bids, m->md_depth.bids_count, m->md_depth.sequence,
                    m->md_depth.time_us);
        show_levels(s, b, SIDE_SELL, m->md_depth.asks, m->md_depth.asks_count, m->md_depth.sequence,
                    m->md_depth.time_us);
        return HOUSE_CHANGED;
    default:
        return HOUSE_SAME;
    }
}

static enum house_outcome
take_beat(struct books *s, struct book *b, uint64_t sequence)
{
    struct house *h = &b->house;
    bool fell_back = sequence < h->heard;
    if (fell_back)
        h->heard = sequence;
    if (h->state != HOUSE_LIVE || fell_back || sequence > h->sequence)
        return house_lose(s, b);
    return HOUSE_SAME;
}

/* An answered snapshot: news when it is ahead of what is known. */
static enum house_outcome
take_answer(struct books *s, struct book *b, const struct md_book *book)
{
    if (b->house.state == HOUSE_LIVE && book->sequence <= b->house.sequence)
        return HOUSE_SAME;
    return take_book(s, b, book);
}

enum house_outcome
house_apply(struct books *s, struct book *b, const struct msg *m)
{
    struct house *h = &b->house;
    if (m->type == MSG_md_book && m->corr != 0)
        return take_answer(s, b, &m->md_book);
    uint64_t sequence = sequence_of(m);
    if (m->type == MSG_md_beat)
        return take_beat(s, b, sequence);

    bool fell_back = sequence <= h->heard;
    if (m->type == MSG_md_book) {
        /* Whole by itself, wherever in the stream it stands. */
        h->heard = sequence;
        return fell_back || h->state != HOUSE_LIVE || sequence > h->sequence
                   ? take_book(s, b, &m->md_book)
                   : HOUSE_SAME;
    }
    if (fell_back) {
        h->heard = sequence - 1;
        return house_lose(s, b);
    }
    if (h->state != HOUSE_LIVE)
        return house_lose(s, b);
    if (sequence > h->sequence + 1)
        return house_lose(s, b);
    h->heard = sequence;
    if (sequence <= h->sequence)
        return HOUSE_SAME;
    h->sequence = sequence;
    return take_next(s, b, m);
}
