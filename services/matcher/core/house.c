/*
 * house.c - market messages into house levels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/house.h"

#include "base/msg_stream.h"
#include "matcher/core/model.h"

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
    struct house *h = &b->house;
    if (s->stale_fills == STALE_HOLD)
        hide(s, b);
    if (h->state == HOUSE_LIVE)
        h->lost_us = s->now_us;
    h->state = HOUSE_AWAITING;
    return HOUSE_LOST;
}

void
house_withdraw(struct books *s, struct book *b)
{
    hide(s, b);
    if (b->house.state == HOUSE_LIVE)
        b->house.lost_us = s->now_us;
    b->house.state = HOUSE_UNKNOWN;
}

int64_t
house_held_us(const struct books *s, const struct book *b)
{
    const struct house *h = &b->house;
    if (s->stale_fills != STALE_HOLD)
        return 0;
    return h->held_us + (h->lost_us != 0 ? s->now_us - h->lost_us : 0);
}

bool
house_is_late(const struct book *b, int64_t time_us)
{
    return b->house.source == LIQUIDITY_DEPTH && time_us != 0 && time_us < b->house.word_us;
}

/* The market's word on its levels, of its own time; quotes may bear the time they came at. */
static void
word(struct books *s, struct book *b, int64_t time_us)
{
    b->house.word_us = b->house.source == LIQUIDITY_DEPTH ? time_us : 0;
    b->house.word_at_us = s->now_us;
    b->spent.unseen_count = 0;
}

/* One side of a quote: what did not change is not news. */
static void
show_quote(struct books *s, struct book *b, enum side side, const struct house_level *shown)
{
    int i = side == SIDE_BUY ? 0 : 1;
    if (b->house.quote[i].price == shown->price && b->house.quote[i].quantity == shown->left)
        return;
    int64_t before = b->house.quote[i].price;
    b->house.quote[i].price = shown->price;
    b->house.quote[i].quantity = shown->left;
    book_show_only(s, b, side, shown);
    if (b->sides[i].users.count > 0)
        model_quoted(s, b, side, before, shown);
}

static void
show_levels(struct books *s, struct book *b, enum side side, const struct level *levels,
            uint32_t count, uint64_t sequence, int64_t time_us)
{
    for (uint32_t i = 0; i < count; i++) {
        struct house_level shown = {levels[i].price.v, levels[i].quantity.v, sequence, time_us};
        if (shown.price <= 0)
            continue;
        book_show(s, b, side, &shown);
        if (b->queues > 0 && ladder_key(side, shown.price) <= b->sides[side - 1].users.best_key)
            model_shown(s, b, side, shown.price, shown.left, time_us);
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

/* What the publisher says of its own stream: nothing about older ones. */
static bool
is_doubted(enum stream_state state)
{
    return state == STREAM_STATE_STALE || state == STREAM_STATE_HEALING;
}

static enum house_outcome
take_book(struct books *s, struct book *b, const struct md_book *book)
{
    b->house.is_doubtful = is_doubted(book->state);
    if (b->house.is_doubtful && s->stale_fills == STALE_HOLD)
        return house_lose(s, b);
    book_replace(s, b, SIDE_BUY, book->time_us);
    book_replace(s, b, SIDE_SELL, book->time_us);
    hide(s, b);
    if (b->house.lost_us != 0)
        b->house.held_us += s->now_us - b->house.lost_us;
    b->house.lost_us = 0;
    b->house.state = HOUSE_LIVE;
    b->house.asked_us = 0;
    b->house.sequence = book->sequence;
    b->house.source = source_of(book);
    if (book->last_price.v > 0)
        b->house.last = book->last_price;
    word(s, b, book->time_us);
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
    if (b->queues > 0)
        model_shown_all(s, b, b->house.word_us);
    story_touch(s, b);
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
    word(s, b, 0);
    story_touch(s, b);
    return HOUSE_CHANGED;
}

static enum house_outcome
take_trade(struct books *s, struct book *b, const struct md_trade *t)
{
    b->house.last = t->trade.price;
    bool fills = model_print(s, b, t);
    if (b->house.source != LIQUIDITY_TRADE)
        return fills ? HOUSE_CHANGED : HOUSE_SAME;
    struct house_level print = {t->trade.price.v, t->trade.quantity.v, t->sequence,
                                t->trade.time_us};
    book_show_only(s, b, SIDE_BUY, &print);
    book_show_only(s, b, SIDE_SELL, &print);
    story_touch(s, b);
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
        word(s, b, m->md_depth.time_us);
        story_touch(s, b);
        return HOUSE_CHANGED;
    case MSG_md_mark:
        b->house.mark = m->md_mark.mark;
        return HOUSE_SAME;
    default:
        return HOUSE_SAME;
    }
}

static enum house_outcome
take_beat(struct books *s, struct book *b, const struct md_beat *beat)
{
    struct house *h = &b->house;
    bool fell_back = beat->sequence < h->heard;
    if (fell_back)
        h->heard = beat->sequence;
    h->is_doubtful = is_doubted(beat->state);
    bool is_held_back = h->is_doubtful && s->stale_fills == STALE_HOLD;
    if (h->state != HOUSE_LIVE || fell_back || beat->sequence > h->sequence || is_held_back)
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
    uint64_t sequence = msg_stream_number(m);
    if (m->type == MSG_md_beat)
        return take_beat(s, b, &m->md_beat);

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
