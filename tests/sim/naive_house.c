/*
 * naive_house.c - the slow matcher's view of the market: levels in plain arrays.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/check.h"
#include "sim/naive_book.h"

static void
show(struct naive_house *h, enum side side, struct naive_level l)
{
    uint32_t k = side - 1;
    bool is_too_much = (__int128)l.price * l.left / DECIMAL_ONE > INT64_MAX;
    for (uint32_t i = 0; i < h->counts[k]; i++)
        if (h->levels[k][i].price == l.price) {
            h->levels[k][i] = h->levels[k][--h->counts[k]];
            break;
        }
    if (l.price <= 0 || l.left <= 0 || is_too_much)
        return;
    if (h->counts[k] == h->rooms[k]) {
        h->rooms[k] = h->rooms[k] * 2 + 16;
        h->levels[k] = realloc(h->levels[k], h->rooms[k] * sizeof(l));
        CHECK(h->levels[k] != NULL);
    }
    h->levels[k][h->counts[k]++] = l;
}

static void
withdraw(struct naive_house *h)
{
    h->is_live = false;
    for (int k = 0; k < 2; k++)
        h->counts[k] = 0, h->quote_price[k] = 0, h->quote_quantity[k] = 0;
}

static void
show_quote(struct naive_house *h, enum side side, struct naive_level l)
{
    uint32_t k = side - 1;
    if (h->quote_price[k] == l.price && h->quote_quantity[k] == l.left)
        return;
    h->quote_price[k] = l.price;
    h->quote_quantity[k] = l.left;
    h->counts[k] = 0;
    show(h, side, l);
}

static void
show_side(struct naive_house *h, enum side side, const struct level *levels, uint32_t count,
          uint64_t sequence, int64_t time_us)
{
    for (uint32_t i = 0; i < count; i++)
        show(h, side,
             (struct naive_level){levels[i].price.v, levels[i].quantity.v, sequence, time_us});
}

static void
take_snapshot(struct naive_house *h, const struct md_book *b)
{
    withdraw(h);
    h->is_live = true;
    h->sequence = b->sequence;
    h->source = b->source;
    if (h->source == LIQUIDITY_DEPTH) {
        show_side(h, SIDE_BUY, b->bids, b->bids_count, b->sequence, b->time_us);
        show_side(h, SIDE_SELL, b->asks, b->asks_count, b->sequence, b->time_us);
    }
    if (h->source == LIQUIDITY_QUOTE) {
        if (b->bids_count > 0)
            show_quote(h, SIDE_BUY,
                       (struct naive_level){b->bids[0].price.v, b->bids[0].quantity.v, b->sequence,
                                            b->time_us});
        if (b->asks_count > 0)
            show_quote(h, SIDE_SELL,
                       (struct naive_level){b->asks[0].price.v, b->asks[0].quantity.v, b->sequence,
                                            b->time_us});
    }
}

static void
take_tick(struct naive_house *h, const struct msg *m)
{
    if (m->type == MSG_md_depth && h->source == LIQUIDITY_DEPTH) {
        const struct md_depth *d = &m->md_depth;
        show_side(h, SIDE_BUY, d->bids, d->bids_count, d->sequence, d->time_us);
        show_side(h, SIDE_SELL, d->asks, d->asks_count, d->sequence, d->time_us);
    }
    if (m->type == MSG_md_quote && h->source != LIQUIDITY_DEPTH) {
        const struct md_quote *q = &m->md_quote;
        if (h->source != LIQUIDITY_QUOTE)
            withdraw(h);
        h->is_live = true;
        h->source = LIQUIDITY_QUOTE;
        show_quote(h, SIDE_BUY,
                   (struct naive_level){q->bid.v, q->bid_quantity.v, q->sequence, q->time_us});
        show_quote(h, SIDE_SELL,
                   (struct naive_level){q->ask.v, q->ask_quantity.v, q->sequence, q->time_us});
    }
    if (m->type == MSG_md_trade && h->source == LIQUIDITY_TRADE) {
        const struct public_trade *t = &m->md_trade.trade;
        struct naive_level l = {t->price.v, t->quantity.v, m->md_trade.sequence, t->time_us};
        for (enum side s = SIDE_BUY; s <= SIDE_SELL; s++) {
            h->counts[s - 1] = 0;
            show(h, s, l);
        }
    }
}

/* A numbered message of the stream: whether it counts now. Withdraws the house when in doubt. */
static bool
is_next(struct naive_house *h, uint64_t sequence)
{
    if (sequence <= h->heard) { /* the publisher began anew */
        withdraw(h);
        h->heard = sequence - 1;
        return false;
    }
    if (!h->is_live)
        return false;
    if (sequence > h->sequence + 1) {
        withdraw(h);
        return false;
    }
    h->heard = sequence;
    if (sequence <= h->sequence)
        return false;
    h->sequence = sequence;
    return true;
}

bool
naive_house_take(struct naive_house *h, const struct msg *m)
{
    switch (m->type) {
    case MSG_md_book: {
        uint64_t sequence = m->md_book.sequence;
        bool is_news = !h->is_live || sequence > h->sequence;
        if (m->corr == 0) {
            is_news = is_news || sequence <= h->heard;
            h->heard = sequence;
        }
        if (is_news)
            take_snapshot(h, &m->md_book);
        return is_news;
    }
    case MSG_md_beat:
        if (m->md_beat.sequence < h->heard || m->md_beat.sequence > h->sequence)
            withdraw(h);
        if (m->md_beat.sequence < h->heard)
            h->heard = m->md_beat.sequence;
        return false;
    case MSG_md_trade:
        return is_next(h, m->md_trade.sequence) && (take_tick(h, m), true);
    case MSG_md_quote:
        return is_next(h, m->md_quote.sequence) && (take_tick(h, m), true);
    case MSG_md_depth:
        return is_next(h, m->md_depth.sequence) && (take_tick(h, m), true);
    default:
        return false;
    }
}
