/*
 * naive_house.c - the slow matcher's view of the market: levels in plain arrays, and what our
 * fills used of them lately.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/check.h"
#include "sim/naive_book.h"

#define NOTHING NAIVE_NOTHING
#define LATE_US 5000000 /* nothing comes later than this */

/* ---- Levels --------------------------------------------------------------------------------- */

uint32_t
naive_best_level(const struct naive_book *n, uint32_t symbol, enum side side)
{
    const struct naive_house *h = &n->houses[symbol];
    uint32_t best = NOTHING;
    for (uint32_t i = 0; i < h->counts[side - 1]; i++)
        if (best == NOTHING ||
            naive_is_better(side, h->levels[side - 1][i].price, h->levels[side - 1][best].price))
            best = i;
    return best;
}

int64_t
naive_best_shown(const struct naive_book *n, uint32_t symbol, enum side side)
{
    uint32_t best = naive_best_level(n, symbol, side);
    return best != NOTHING ? n->houses[symbol].levels[side - 1][best].price : 0;
}

static uint32_t
find_level(const struct naive_house *h, enum side side, int64_t price)
{
    for (uint32_t i = 0; i < h->counts[side - 1]; i++)
        if (h->levels[side - 1][i].price == price)
            return i;
    return NOTHING;
}

int64_t
naive_shown(const struct naive_book *n, uint32_t symbol, enum side side, int64_t price)
{
    const struct naive_house *h = &n->houses[symbol];
    uint32_t i = find_level(h, side, price);
    if (i != NOTHING)
        return h->levels[side - 1][i].shown;
    for (uint32_t k = 0; k < h->uses_count; k++)
        if (h->uses[k].kind == NAIVE_WHOLE && h->uses[k].side == side && h->uses[k].price == price)
            return h->uses[k].quantity;
    return 0;
}

static void
remove_level(struct naive_house *h, enum side side, uint32_t i)
{
    h->levels[side - 1][i] = h->levels[side - 1][--h->counts[side - 1]];
}

bool
naive_house_is_shown(const struct naive_book *n, uint32_t symbol)
{
    const struct naive_house *h = &n->houses[symbol];
    return h->is_live || (h->is_known && n->stale != NAIVE_HOLD);
}

bool
naive_house_is_held(const struct naive_book *n, uint32_t symbol)
{
    const struct naive_house *h = &n->houses[symbol];
    return h->is_known && !h->is_live && n->stale == NAIVE_HOLD;
}

int64_t
naive_held_us(const struct naive_book *n, uint32_t symbol)
{
    const struct naive_house *h = &n->houses[symbol];
    if (n->stale != NAIVE_HOLD)
        return 0;
    return h->held_us + (h->lost_us != 0 ? n->now_us - h->lost_us : 0);
}

/* ---- What is used up ------------------------------------------------------------------------ */

static void
forget_use(struct naive_house *h, uint32_t i)
{
    h->uses_count--;
    for (; i < h->uses_count; i++)
        h->uses[i] = h->uses[i + 1];
}

void
naive_remember_use(struct naive_house *h, struct naive_use use)
{
    if (h->uses_count == NAIVE_USES_MAX)
        forget_use(h, 0);
    h->uses[h->uses_count++] = use;
}

void
naive_use_level(struct naive_book *n, uint32_t symbol, enum side side, uint32_t level,
                int64_t quantity)
{
    struct naive_house *h = &n->houses[symbol];
    struct naive_level *l = &h->levels[side - 1][level];
    l->left -= quantity;
    if (l->left > 0)
        return;
    naive_remember_use(h, (struct naive_use){NAIVE_WHOLE, side, l->price, l->shown, l->time_us});
    remove_level(h, side, level);
}

/* A new word of the market on a level: what was used of the old one stays known. */
static void
replace_level(struct naive_house *h, enum side side, uint32_t level, int64_t time_us)
{
    const struct naive_level *l = &h->levels[side - 1][level];
    if (l->shown > l->left)
        naive_remember_use(
            h, (struct naive_use){NAIVE_DISPLAY, side, l->price, l->shown - l->left, time_us});
}

/* A new word replaces all displays of a side that are used up. */
static void
replace_whole(struct naive_house *h, enum side side, int64_t time_us)
{
    for (uint32_t i = 0; i < h->uses_count; i++)
        if (h->uses[i].kind == NAIVE_WHOLE && h->uses[i].side == side) {
            h->uses[i].kind = NAIVE_DISPLAY;
            h->uses[i].time_us = time_us;
        }
}

/* A word of this time on a level; how much of what it shows is used up already. */
static int64_t
used_of_display(struct naive_house *h, enum side side, int64_t price, int64_t time_us)
{
    int64_t used = 0;
    for (uint32_t i = 0; i < h->uses_count;) {
        struct naive_use *u = &h->uses[i];
        bool is_here = u->side == side && u->price == price, is_over = false;
        switch (u->kind) {
        case NAIVE_WHOLE:
            if (is_here)
                *u = (struct naive_use){NAIVE_DISPLAY, side, price, u->quantity, time_us};
            break;
        case NAIVE_DISPLAY:
            is_over = time_us - u->time_us > LATE_US;
            break;
        case NAIVE_PRINT:
            if (is_here && u->time_us > time_us)
                used += u->quantity;
            else
                is_over = is_here || time_us - u->time_us > LATE_US;
            break;
        }
        if (is_over)
            forget_use(h, i);
        else
            i++;
    }
    return used;
}

/* As much of a print as hit a display that was used up. */
static int64_t
used_of_print(struct naive_house *h, const struct naive_print *p)
{
    int64_t used = 0;
    uint32_t i = find_level(h, p->resting, p->price);
    if (i != NOTHING) {
        struct naive_level *l = &h->levels[p->resting - 1][i];
        used = l->shown - l->left < p->quantity ? l->shown - l->left : p->quantity;
        l->shown -= used;
    }
    for (i = 0; i < h->uses_count && used < p->quantity;) {
        struct naive_use *u = &h->uses[i];
        bool is_hit = u->side == p->resting && u->price == p->price && u->kind != NAIVE_PRINT &&
                      (u->kind == NAIVE_WHOLE || p->time_us <= u->time_us);
        int64_t part = p->quantity - used < u->quantity ? p->quantity - used : u->quantity;
        if (is_hit) {
            used += part;
            u->quantity -= part;
        }
        if (is_hit && u->quantity == 0)
            forget_use(h, i);
        else
            i++;
    }
    return used;
}

/* ---- Words on levels ------------------------------------------------------------------------ */

static void
show(struct naive_book *n, uint32_t symbol, enum side side, struct naive_level l)
{
    struct naive_house *h = &n->houses[symbol];
    uint32_t k = side - 1, i = find_level(h, side, l.price);
    int64_t used = used_of_display(h, side, l.price, l.time_us);
    bool is_too_much = (__int128)l.price * l.left / DECIMAL_ONE > INT64_MAX;
    l.shown = l.left;
    l.since_us = i != NOTHING ? h->levels[k][i].since_us : n->now_us;
    if (i != NOTHING) {
        replace_level(h, side, i, l.time_us);
        remove_level(h, side, i);
    }
    if (l.left <= 0 || is_too_much)
        return;
    h->levels[k] = naive_grown(h->levels[k], h->counts[k], &h->rooms[k], sizeof(l));
    h->levels[k][h->counts[k]++] = l;
    if (used > 0)
        naive_use_level(n, symbol, side, h->counts[k] - 1, used < l.left ? used : l.left);
}

/* The only level that is shown on a side. */
static void
show_only(struct naive_book *n, uint32_t symbol, enum side side, struct naive_level l)
{
    struct naive_house *h = &n->houses[symbol];
    bool is_level = l.price > 0 && l.left > 0;
    replace_whole(h, side, l.time_us);
    for (uint32_t i = 0; i < h->counts[side - 1];)
        if (!is_level || h->levels[side - 1][i].price != l.price) {
            replace_level(h, side, i, l.time_us);
            remove_level(h, side, i);
        } else {
            i++;
        }
    if (is_level)
        show(n, symbol, side, l);
}

static void
hide(struct naive_house *h)
{
    for (int k = 0; k < 2; k++)
        h->counts[k] = 0, h->quote_price[k] = 0, h->quote_quantity[k] = 0;
}

static void
row_shown(struct naive_book *n, uint32_t symbol, enum side side, int64_t price, int64_t quantity,
          int64_t word_us)
{
    uint32_t row = naive_row_find(n, symbol, side, price);
    if (row != NOTHING)
        naive_row_shown(&n->rows[row], quantity > 0 ? quantity : 0, word_us);
}

/* Of a quote's side that did not change nothing is news. Better prices that the market has left
 * hold nothing any more. */
static void
show_quote(struct naive_book *n, uint32_t symbol, enum side side, struct naive_level l)
{
    struct naive_house *h = &n->houses[symbol];
    uint32_t k = side - 1;
    int64_t before = h->quote_price[k];
    if (before == l.price && h->quote_quantity[k] == l.left)
        return;
    h->quote_price[k] = l.price;
    h->quote_quantity[k] = l.left;
    show_only(n, symbol, side, l);
    if (l.price > 0)
        row_shown(n, symbol, side, l.price, l.left, 0);
    for (uint32_t i = 0; i < n->rows_count && before != 0; i++) {
        const struct naive_row *q = &n->rows[i];
        bool is_left = q->symbol == symbol && q->side == side &&
                       naive_is_within(side, before, q->price) &&
                       (l.price <= 0 || naive_is_better(side, q->price, l.price));
        if (is_left)
            naive_row_shown(&n->rows[i], 0, 0);
    }
}

static void
show_side(struct naive_book *n, uint32_t symbol, enum side side, const struct level *levels,
          uint32_t count, uint64_t sequence, int64_t time_us)
{
    for (uint32_t i = 0; i < count; i++) {
        struct naive_level l = {.price = levels[i].price.v,
                                .left = levels[i].quantity.v,
                                .sequence = sequence,
                                .time_us = time_us};
        if (l.price <= 0)
            continue;
        show(n, symbol, side, l);
        row_shown(n, symbol, side, l.price, l.left, time_us);
    }
}

static void
say_word(struct naive_book *n, struct naive_house *h, int64_t time_us)
{
    h->word_us = h->source == LIQUIDITY_DEPTH ? time_us : 0;
    h->word_at_us = n->now_us;
    h->unseen_count = 0;
}

static struct naive_level
first_of(const struct level *levels, uint32_t count, const struct md_book *b)
{
    struct naive_level l = {.sequence = b->sequence, .time_us = b->time_us};
    if (count == 0)
        return (struct naive_level){0};
    l.price = levels[0].price.v;
    l.left = levels[0].quantity.v;
    return l;
}

/* A snapshot is a word on every level. */
static void
take_snapshot(struct naive_book *n, uint32_t symbol, const struct md_book *b)
{
    struct naive_house *h = &n->houses[symbol];
    for (enum side side = SIDE_BUY; side <= SIDE_SELL; side++) {
        replace_whole(h, side, b->time_us);
        for (uint32_t i; (i = naive_best_level(n, symbol, side)) != NOTHING;) {
            replace_level(h, side, i, b->time_us);
            remove_level(h, side, i);
        }
    }
    hide(h);
    h->held_us += h->lost_us != 0 ? n->now_us - h->lost_us : 0;
    h->lost_us = 0;
    h->is_live = true;
    h->sequence = b->sequence;
    h->source = b->source;
    if (b->source == LIQUIDITY_NONE)
        h->source = b->bids_count + b->asks_count > 0 ? LIQUIDITY_DEPTH : LIQUIDITY_TRADE;
    h->last = b->last_price.v > 0 ? b->last_price.v : h->last;
    say_word(n, h, b->time_us);
    if (h->source == LIQUIDITY_DEPTH) {
        show_side(n, symbol, SIDE_BUY, b->bids, b->bids_count, b->sequence, b->time_us);
        show_side(n, symbol, SIDE_SELL, b->asks, b->asks_count, b->sequence, b->time_us);
    }
    if (h->source == LIQUIDITY_QUOTE) {
        show_quote(n, symbol, SIDE_BUY, first_of(b->bids, b->bids_count, b));
        show_quote(n, symbol, SIDE_SELL, first_of(b->asks, b->asks_count, b));
    }
    naive_rows_shown(n, symbol);
    naive_story_touch(n, symbol);
}

/* ---- Ticks ---------------------------------------------------------------------------------- */

static void
take_depth(struct naive_book *n, uint32_t symbol, const struct md_depth *d)
{
    struct naive_house *h = &n->houses[symbol];
    show_side(n, symbol, SIDE_BUY, d->bids, d->bids_count, d->sequence, d->time_us);
    show_side(n, symbol, SIDE_SELL, d->asks, d->asks_count, d->sequence, d->time_us);
    say_word(n, h, d->time_us);
    naive_story_touch(n, symbol);
}

static void
take_quote(struct naive_book *n, uint32_t symbol, const struct md_quote *q)
{
    struct naive_house *h = &n->houses[symbol];
    if (h->source != LIQUIDITY_QUOTE)
        hide(h);
    h->source = LIQUIDITY_QUOTE;
    struct naive_level bid = {.price = q->bid.v, .left = q->bid_quantity.v};
    struct naive_level ask = {.price = q->ask.v, .left = q->ask_quantity.v};
    bid.sequence = ask.sequence = q->sequence;
    bid.time_us = ask.time_us = q->time_us;
    show_quote(n, symbol, SIDE_BUY, bid);
    show_quote(n, symbol, SIDE_SELL, ask);
    say_word(n, h, 0);
    naive_story_touch(n, symbol);
}

/* A print that no word on levels has told yet. */
static void
see_print(struct naive_house *h, const struct naive_print *p)
{
    for (uint32_t i = 0; i < h->unseen_count; i++) {
        struct naive_unseen *u = &h->unseen[i];
        if (u->side != p->resting || u->price != p->price)
            continue;
        u->quantity = p->quantity < INT64_MAX - u->quantity ? u->quantity + p->quantity : INT64_MAX;
        return;
    }
    if (h->unseen_count < NAIVE_UNSEEN_MAX)
        h->unseen[h->unseen_count++] = (struct naive_unseen){p->resting, p->price, p->quantity};
}

static void
take_trade(struct naive_book *n, uint32_t symbol, const struct md_trade *t)
{
    struct naive_house *h = &n->houses[symbol];
    const struct public_trade *trade = &t->trade;
    h->last = trade->price.v;
    if (trade->price.v > 0 && trade->quantity.v > 0)
        naive_story_print(n, symbol, trade->price.v, trade->quantity.v);
    if (h->source == LIQUIDITY_TRADE) {
        struct naive_level l = {.price = trade->price.v,
                                .left = trade->quantity.v,
                                .sequence = t->sequence,
                                .time_us = trade->time_us};
        show_only(n, symbol, SIDE_BUY, l);
        show_only(n, symbol, SIDE_SELL, l);
        naive_story_touch(n, symbol);
        return;
    }
    if (h->venue == NAIVE_OFF || trade->price.v <= 0 || trade->quantity.v <= 0)
        return;
    struct naive_print *p = &n->print;
    *p = (struct naive_print){.is_on = true,
                              .resting = trade->buyer_is_maker ? SIDE_BUY : SIDE_SELL,
                              .price = trade->price.v,
                              .quantity = trade->quantity.v,
                              .time_us = trade->time_us,
                              .sequence = t->sequence,
                              .rank_max = UINT64_MAX};
    bool is_late =
        h->source == LIQUIDITY_DEPTH && trade->time_us != 0 && trade->time_us < h->word_us;
    if (is_late)
        p->rank_max = (uint64_t)h->word_at_us;
    else
        see_print(h, p);
    p->spent = used_of_print(h, p);
    uint32_t row = naive_row_find(n, symbol, p->resting, p->price);
    if (row != NOTHING)
        naive_row_print_begins(&n->rows[row], p->time_us);
}

/* ---- The stream ----------------------------------------------------------------------------- */

/* The house awaits a snapshot. */
static void
lose(struct naive_book *n, struct naive_house *h)
{
    if (n->stale == NAIVE_HOLD)
        hide(h);
    if (h->is_live)
        h->lost_us = n->now_us;
    h->is_known = true;
    h->is_live = false;
}

/* A numbered message of the stream: whether it counts now. Withdraws the house when in doubt. */
static bool
is_next(struct naive_book *n, struct naive_house *h, uint64_t sequence)
{
    if (sequence <= h->heard) { /* the publisher began anew */
        lose(n, h);
        h->heard = sequence - 1;
        return false;
    }
    if (!h->is_live || sequence > h->sequence + 1) {
        lose(n, h);
        return false;
    }
    h->heard = sequence;
    if (sequence <= h->sequence)
        return false;
    h->sequence = sequence;
    return true;
}

static bool
take_book(struct naive_book *n, uint32_t symbol, const struct md_book *b, bool is_answer)
{
    struct naive_house *h = &n->houses[symbol];
    bool is_news = !h->is_live || b->sequence > h->sequence;
    if (!is_answer) {
        is_news = is_news || b->sequence <= h->heard;
        h->heard = b->sequence;
    }
    h->is_known = true;
    if (is_news)
        take_snapshot(n, symbol, b);
    return is_news;
}

static void
take_beat(struct naive_book *n, struct naive_house *h, uint64_t sequence)
{
    if (!h->is_live || sequence < h->heard || sequence > h->sequence)
        lose(n, h);
    if (sequence < h->heard)
        h->heard = sequence;
}

/* Whether anything that may trade has changed. */
static bool
take(struct naive_book *n, uint32_t symbol, const struct msg *m)
{
    struct naive_house *h = &n->houses[symbol];
    switch (m->type) {
    case MSG_md_book:
        return take_book(n, symbol, &m->md_book, m->corr != 0);
    case MSG_md_beat:
        take_beat(n, h, m->md_beat.sequence);
        return false;
    case MSG_md_trade:
        if (!is_next(n, h, m->md_trade.sequence))
            return false;
        take_trade(n, symbol, &m->md_trade);
        return true;
    case MSG_md_quote:
        if (!is_next(n, h, m->md_quote.sequence) || h->source == LIQUIDITY_DEPTH)
            return false;
        take_quote(n, symbol, &m->md_quote);
        return true;
    case MSG_md_depth:
        if (!is_next(n, h, m->md_depth.sequence) || h->source != LIQUIDITY_DEPTH)
            return false;
        take_depth(n, symbol, &m->md_depth);
        return true;
    case MSG_md_mark:
        if (is_next(n, h, m->md_mark.sequence))
            h->mark = m->md_mark.mark.v;
        return false;
    default:
        return false;
    }
}

void
naive_book_market(struct naive_book *n, const struct msg *m, int64_t now_us)
{
    /* Every market message begins with its symbol. */
    uint32_t s = naive_symbol(n, m->md_trade.symbol);
    n->now_us = now_us;
    n->houses[s].spoke_us = now_us;
    bool is_news = take(n, s, m);
    naive_prices(n, s);
    if (is_news)
        naive_settle(n, s);
    naive_run(n);
}

void
naive_book_time(struct naive_book *n, int64_t now_us)
{
    n->now_us = now_us;
    for (uint32_t s = 0; s < n->symbols_count; s++) {
        struct naive_house *h = &n->houses[s];
        if (!h->is_live || n->silence_us == 0 || now_us - h->spoke_us <= n->silence_us)
            continue;
        lose(n, h);
        naive_prices(n, s);
    }
    naive_run(n);
    naive_book_due(n, now_us);
}
