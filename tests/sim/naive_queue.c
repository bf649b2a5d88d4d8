/*
 * naive_queue.c - the slow matcher's rows: what the market displays at a price, front to back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "sim/naive_book.h"

#define NOTHING     NAIVE_NOTHING
#define PRINTS_ONLY UINT32_MAX /* `after` of who found no room for another edge */

uint32_t
naive_row_find(const struct naive_book *n, uint32_t symbol, enum side side, int64_t price)
{
    for (uint32_t i = 0; i < n->rows_count; i++)
        if (n->rows[i].symbol == symbol && n->rows[i].side == side && n->rows[i].price == price)
            return i;
    return NOTHING;
}

static void
remove_at(struct naive_row *q, uint32_t i)
{
    q->count--;
    memmove(&q->segments[i], &q->segments[i + 1], (q->count - i) * sizeof(q->segments[0]));
}

static int64_t
sum_of(const struct naive_row *q)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < q->count; i++)
        sum += q->segments[i].quantity;
    return sum;
}

static uint32_t
edges_of(const struct naive_row *q)
{
    uint32_t edges = 0;
    for (uint32_t i = 0; i < q->count; i++)
        edges += q->segments[i].is_edge;
    return edges;
}

/* More came, behind all others. */
static void
arrive(struct naive_row *q, int64_t quantity)
{
    if (quantity <= 0 || sum_of(q) > INT64_MAX - quantity)
        return;
    bool is_full = q->count == NAIVE_SEGMENTS_MAX;
    if (is_full && !q->segments[q->count - 1].is_edge) {
        q->segments[q->count - 1].quantity += quantity;
        q->segments[q->count - 1].is_mixed = true;
        return;
    }
    if (is_full) { /* the first one that nobody stands behind becomes part of the next */
        uint32_t i = 0;
        while (q->segments[i].is_edge)
            i++;
        q->segments[i + 1].quantity += q->segments[i].quantity;
        q->segments[i + 1].is_mixed = true;
        remove_at(q, i);
    }
    q->segments[q->count++] =
        (struct naive_segment){.quantity = quantity, .serial = q->next_serial++};
}

static void
eat(struct naive_row *q, int64_t quantity)
{
    while (q->count > 0 && quantity > 0) {
        int64_t part = quantity < q->segments[0].quantity ? quantity : q->segments[0].quantity;
        q->segments[0].quantity -= part;
        quantity -= part;
        if (q->segments[0].quantity == 0)
            remove_at(q, 0);
    }
}

/* What has gone, and no print explains, was cancelled. */
static void
settle(struct naive_row *q)
{
    int64_t left = q->gone, mixed = 0;
    q->gone = 0;
    if (left == 0)
        return;
    for (uint32_t i = q->count; i-- > 0;)
        if (!q->segments[i].is_mixed && q->segments[i].quantity == left) {
            remove_at(q, i);
            return;
        }
    for (uint32_t i = 0; i < q->count; i++)
        mixed += q->segments[i].is_mixed ? q->segments[i].quantity : 0;
    int64_t of_mixed = left < mixed ? left : mixed;
    left -= of_mixed;
    for (uint32_t i = 0; i < q->count; i++) {
        struct naive_segment *g = &q->segments[i];
        if (!g->is_mixed)
            continue;
        int64_t cut = (int64_t)((__int128)of_mixed * g->quantity / mixed);
        mixed -= g->quantity;
        of_mixed -= cut;
        g->quantity -= cut;
    }
    for (uint32_t i = q->count; i-- > 0;) {
        struct naive_segment *g = &q->segments[i];
        int64_t cut = g->is_mixed ? 0 : left < g->quantity ? left : g->quantity;
        g->quantity -= cut;
        left -= cut;
        if (g->quantity == 0)
            remove_at(q, i);
    }
}

/* The first that is known of a row; whoever stands there already stands behind all of it. */
static void
begin(struct naive_row *q, int64_t shown, int64_t unseen, int64_t word_us, bool has_orders)
{
    q->is_known = true;
    q->shown = shown;
    q->unseen = unseen < shown ? unseen : shown;
    q->word_us = word_us;
    if (q->shown > q->unseen)
        q->segments[q->count++] = (struct naive_segment){q->shown - q->unseen, 1, true, has_orders};
}

/* What the market displays at a price; below 0 = nobody knows. */
static int64_t
word_of(const struct naive_book *n, uint32_t symbol, enum side side, int64_t price)
{
    const struct naive_house *h = &n->houses[symbol];
    int64_t shown = naive_shown(n, symbol, side, price);
    if (!naive_house_is_shown(n, symbol))
        return -1;
    if (shown > 0 || h->counts[side - 1] == 0)
        return shown > 0 ? shown : -1;
    /* Of depth all levels up to the worst are known, of quotes only the best. */
    int64_t known = naive_best_shown(n, symbol, side);
    for (uint32_t i = 0; i < h->counts[side - 1] && h->source != LIQUIDITY_QUOTE; i++)
        if (naive_is_better(side, known, h->levels[side - 1][i].price))
            known = h->levels[side - 1][i].price;
    return naive_is_better(side, price, known) ? 0 : -1;
}

static int64_t
unseen_of(const struct naive_house *h, enum side side, int64_t price)
{
    for (uint32_t i = 0; i < h->unseen_count; i++)
        if (h->unseen[i].side == side && h->unseen[i].price == price)
            return h->unseen[i].quantity;
    return 0;
}

void
naive_row_join(struct naive_book *n, struct naive_order *o)
{
    const struct naive_house *h = &n->houses[o->symbol];
    enum side side = o->work.side;
    int64_t price = o->work.price.v;
    uint32_t row = naive_row_find(n, o->symbol, side, price);
    if (row == NOTHING) {
        int64_t shown = word_of(n, o->symbol, side, price);
        n->rows = naive_grown(n->rows, n->rows_count, &n->rows_room, sizeof(*n->rows));
        row = n->rows_count++;
        n->rows[row] =
            (struct naive_row){.symbol = o->symbol, .side = side, .price = price, .next_serial = 2};
        if (shown >= 0)
            begin(&n->rows[row], shown, shown > 0 ? unseen_of(h, side, price) : 0, h->word_us,
                  false);
    }
    struct naive_row *q = &n->rows[row];
    o->reach = INT64_MAX;
    o->after = 1;
    if (!q->is_known)
        return;
    settle(q);
    o->reach = q->printed + sum_of(q);
    o->after = q->next_serial - 1;
    if (q->count == 0 || q->segments[q->count - 1].is_edge)
        return;
    if (edges_of(q) == NAIVE_SEGMENTS_MAX - 2)
        o->after = PRINTS_ONLY;
    else
        q->segments[q->count - 1].is_edge = true;
}

void
naive_row_leave(struct naive_book *n, const struct naive_order *gone)
{
    uint32_t row = naive_row_find(n, gone->symbol, gone->work.side, gone->work.price.v);
    if (row == NOTHING)
        return;
    for (uint32_t i = 0; i < n->orders_count; i++) {
        const struct naive_order *o = &n->orders[i];
        if (o->place == NAIVE_RESTS && o->work.fill_model == FILL_MODEL_queue &&
            o->symbol == gone->symbol && o->work.side == gone->work.side &&
            o->work.price.v == gone->work.price.v)
            return;
    }
    n->rows[row] = n->rows[--n->rows_count];
}

int64_t
naive_row_ahead(const struct naive_row *q, const struct naive_order *o)
{
    if (!q->is_known)
        return INT64_MAX;
    int64_t most = o->reach > q->printed ? o->reach - q->printed : 0, sum = 0;
    if (o->after == PRINTS_ONLY)
        return most;
    for (uint32_t i = 0; i < q->count; i++)
        if (q->segments[i].serial <= o->after)
            sum += q->segments[i].quantity;
    return sum < most ? sum : most;
}

int64_t
naive_row_ahead_told(const struct naive_row *q, const struct naive_order *o)
{
    struct naive_row settled = *q;
    settle(&settled);
    return q->is_known ? naive_row_ahead(&settled, o) : 0;
}

void
naive_row_shown(struct naive_row *q, int64_t shown, int64_t word_us)
{
    if (!q->is_known) {
        begin(q, shown, 0, word_us, true);
        return;
    }
    settle(q);
    int64_t expected = q->shown > q->unseen ? q->shown - q->unseen : 0;
    q->shown = shown;
    q->unseen = 0;
    q->word_us = word_us;
    if (shown >= expected)
        arrive(q, shown - expected);
    else
        q->gone = expected - shown;
}

void
naive_rows_shown(struct naive_book *n, uint32_t symbol)
{
    for (uint32_t i = 0; i < n->rows_count; i++) {
        struct naive_row *q = &n->rows[i];
        int64_t shown = q->symbol == symbol ? word_of(n, symbol, q->side, q->price) : -1;
        if (shown >= 0)
            naive_row_shown(q, shown, n->houses[symbol].word_us);
    }
}

/* Whether a print came after (1) or before (-1) the last word; 0 where nobody knows, too. */
static int
when(const struct naive_row *q, int64_t time_us)
{
    if (time_us == 0 || q->word_us == 0 || time_us == q->word_us)
        return 0;
    return time_us > q->word_us ? 1 : -1;
}

void
naive_row_print_begins(struct naive_row *q, int64_t time_us)
{
    if (when(q, time_us) > 0)
        settle(q);
}

static int64_t
capped_sum(int64_t a, int64_t b)
{
    return b < INT64_MAX - a ? a + b : INT64_MAX;
}

void
naive_row_printed(struct naive_row *q, int64_t quantity, int64_t time_us)
{
    if (!q->is_known)
        return;
    int order = when(q, time_us);
    int64_t length = sum_of(q), known = 0, back = 0;
    if (order <= 0) {
        known = quantity < q->gone ? quantity : q->gone;
        q->gone -= known;
    }
    if (order < 0)
        back = (quantity < length ? quantity : length) - known;
    else
        q->unseen = capped_sum(q->unseen, quantity - known);
    q->printed = capped_sum(q->printed, quantity);
    eat(q, quantity);
    arrive(q, back);
}
