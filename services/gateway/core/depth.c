/*
 * depth.c - books, steps and the merging of what a follower missed.
 *
 * No I/O, no clock, no allocation after init.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/core/depth.h"

#include "base/check.h"
#include "base/msg_stream.h"

/* A snapshot may be ahead of what is still on its way; numbers further back are another count. */
#define BACK_MAX 1000000u

static size_t
rounded(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

size_t
depth_bytes(uint32_t levels_max)
{
    return 2 * rounded(levels_max * sizeof(struct level)) +
           rounded(DEPTH_STEPS_MAX * sizeof(struct depth_step)) +
           rounded(DEPTH_CHANGES_MAX * sizeof(int64_t));
}

void
depth_init(struct depth *d, code_t symbol, uint32_t levels_max, void *bytes)
{
    char *at = bytes;
    CHECK(levels_max > 0 && levels_max <= DEPTH_LEVELS_MAX);
    *d = (struct depth){.symbol = symbol, .levels_max = levels_max};
    for (int i = 0; i < 2; i++) {
        d->sides[i].levels = (struct level *)at;
        at += rounded(levels_max * sizeof(struct level));
    }
    d->steps = (struct depth_step *)at;
    at += rounded(DEPTH_STEPS_MAX * sizeof(struct depth_step));
    d->changes = (int64_t *)at;
    d->steps_begin = d->steps_end = DEPTH_NO_PLACE + 1;
}

/* ---- Levels ------------------------------------------------------------------------------ */

/* Prices as they are ordered: the best has the highest key. */
static int64_t
key_of(int side, int64_t price)
{
    return side == 0 ? price : -price;
}

/* Place of the first level whose key is not below this one's. */
static uint32_t
level_find(const struct depth_side *s, int side, int64_t price)
{
    uint32_t low = 0, high = s->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key_of(side, s->levels[middle].price.v) < key_of(side, price))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool
level_is(const struct depth_side *s, uint32_t at, int64_t price)
{
    return at < s->count && s->levels[at].price.v == price;
}

static void
level_remove(struct depth_side *s, uint32_t at)
{
    s->count--;
    memmove(&s->levels[at], &s->levels[at + 1], (s->count - at) * sizeof *s->levels);
}

/* ---- Steps ------------------------------------------------------------------------------- */

static struct depth_step *
step_at(const struct depth *d, uint64_t number)
{
    return &d->steps[number % DEPTH_STEPS_MAX];
}

static void
step_forget_first(struct depth *d)
{
    d->steps_begin++;
}

/* Nobody's place from before holds any more. */
static void
steps_reset(struct depth *d)
{
    d->steps_end++;
    d->steps_begin = d->steps_end;
}

static struct depth_step *
step_begin(struct depth *d, uint64_t sequence, uint64_t first_id, uint64_t last_id)
{
    if (d->steps_end - d->steps_begin == DEPTH_STEPS_MAX)
        step_forget_first(d);
    struct depth_step *step = step_at(d, d->steps_end);
    *step = (struct depth_step){.previous = d->changed_sequence,
                                .sequence = sequence,
                                .first_update_id = first_id,
                                .last_update_id = last_id,
                                .changes_begin = d->changes_end,
                                .changes_end = d->changes_end};
    return step;
}

static void
step_touch(struct depth *d, struct depth_step *step, int side, int64_t price)
{
    d->changes[d->changes_end++ % DEPTH_CHANGES_MAX] = side == 0 ? price : -price;
    step->changes_end = d->changes_end;
}

/* The step is whole: what no longer has its prices is forgotten, and be it this one itself. */
static void
step_end(struct depth *d, const struct depth_step *step)
{
    d->changed_sequence = step->sequence;
    d->last_update_id = step->last_update_id;
    d->steps_end++;
    while (d->steps_begin < d->steps_end &&
           d->changes_end - step_at(d, d->steps_begin)->changes_begin > DEPTH_CHANGES_MAX)
        step_forget_first(d);
}

/* Sets a level; a full side loses its worst. */
static void
level_set(struct depth *d, struct depth_step *step, int side, const struct level *l)
{
    struct depth_side *s = &d->sides[side];
    int64_t price = l->price.v;
    if (price <= 0)
        return;
    uint32_t at = level_find(s, side, price);
    bool is_there = level_is(s, at, price);
    if (l->quantity.v <= 0) {
        if (is_there)
            level_remove(s, at);
    } else if (is_there) {
        s->levels[at].quantity = l->quantity;
    } else {
        if (s->count == d->levels_max) {
            if (at == 0)
                return;
            step_touch(d, step, side, s->levels[0].price.v);
            level_remove(s, 0);
            at--;
        }
        memmove(&s->levels[at + 1], &s->levels[at], (s->count - at) * sizeof *s->levels);
        s->levels[at] = *l;
        s->count++;
    }
    step_touch(d, step, side, price);
}

/* ---- What messages mean ------------------------------------------------------------------ */

static void
depth_apply(struct depth *d, const struct md_depth *m)
{
    struct depth_step *step = step_begin(d, m->sequence, m->first_update_id, m->last_update_id);
    for (uint32_t i = 0; i < m->bids_count; i++)
        level_set(d, step, 0, &m->bids[i]);
    for (uint32_t i = 0; i < m->asks_count; i++)
        level_set(d, step, 1, &m->asks[i]);
    d->time_us = m->time_us;
    step_end(d, step);
}

static void
touch_set(struct depth *d, struct depth_step *step, int side, price_t price, qty_t quantity)
{
    struct depth_side *s = &d->sides[side];
    while (s->count > 0 && s->levels[s->count - 1].price.v != price.v) {
        step_touch(d, step, side, s->levels[s->count - 1].price.v);
        s->count--;
    }
    bool is_same = s->count > 0 && s->levels[0].quantity.v == quantity.v;
    if (!is_same)
        level_set(d, step, side, &(struct level){price, quantity});
}

static enum depth_verdict
quote_apply(struct depth *d, const struct md_quote *q)
{
    if (d->source == LIQUIDITY_DEPTH)
        return DEPTH_SAME;
    d->source = LIQUIDITY_QUOTE;
    struct depth_step *step = step_begin(d, q->sequence, q->update_id, q->update_id);
    touch_set(d, step, 0, q->bid, q->bid_quantity);
    touch_set(d, step, 1, q->ask, q->ask_quantity);
    d->time_us = q->time_us;
    step_end(d, step);
    return DEPTH_CHANGED;
}

/* A side of a book, best first; what is out of order is not to be believed and left out. */
static void
side_fill(struct depth *d, int side, const struct level *levels, uint32_t count)
{
    struct depth_side *s = &d->sides[side];
    s->count = 0;
    for (uint32_t i = count < d->levels_max ? count : d->levels_max; i-- > 0;) {
        const struct level *l = &levels[i];
        bool is_next = s->count == 0 ||
                       key_of(side, l->price.v) > key_of(side, s->levels[s->count - 1].price.v);
        if (l->price.v > 0 && l->quantity.v > 0 && is_next)
            s->levels[s->count++] = *l;
    }
}

static void
book_set(struct depth *d, const struct md_book *book)
{
    side_fill(d, 0, book->bids, book->bids_count);
    side_fill(d, 1, book->asks, book->asks_count);
    d->source = book->source;
    if (book->source == LIQUIDITY_NONE) /* of one who does not say */
        d->source = d->sides[0].count + d->sides[1].count > 0 ? LIQUIDITY_DEPTH : LIQUIDITY_TRADE;
    d->sequence = d->changed_sequence = book->sequence;
    d->last_update_id = book->last_update_id;
    d->time_us = book->time_us;
    d->stream = book->state;
    d->state = DEPTH_TRUE;
    d->missing_to = d->resent_to = 0;
    steps_reset(d);
}

/* The message with the next number. */
static enum depth_verdict
take_next(struct depth *d, const struct msg *m)
{
    d->sequence++;
    if (m->type == MSG_md_quote)
        return quote_apply(d, &m->md_quote);
    if (m->type != MSG_md_depth || d->source != LIQUIDITY_DEPTH)
        return DEPTH_SAME;
    depth_apply(d, &m->md_depth);
    return DEPTH_CHANGED;
}

/* ---- The order of numbers ---------------------------------------------------------------- */

static enum depth_verdict
begun_anew(struct depth *d)
{
    d->state = DEPTH_AWAITS_BOOK;
    d->sequence = d->missing_to = d->resent_to = 0;
    return DEPTH_ASK;
}

static enum depth_verdict
gap_found(struct depth *d, uint64_t last_missing)
{
    d->state = DEPTH_AWAITS_RESEND;
    d->missing_to = last_missing;
    d->resent_to = 0;
    return DEPTH_ASK;
}

/* A beat repeats the number of the last message. */
static enum depth_verdict
take_beat(struct depth *d, const struct md_beat *beat)
{
    bool is_other_count = beat->sequence + BACK_MAX < d->sequence;
    d->stream = beat->state;
    if (d->state != DEPTH_TRUE || (beat->sequence <= d->sequence && !is_other_count))
        return DEPTH_SAME;
    return is_other_count ? begun_anew(d) : gap_found(d, beat->sequence);
}

enum depth_verdict
depth_take(struct depth *d, const struct msg *m, bool is_late)
{
    if (msg_stream_symbol(m) == NULL)
        return DEPTH_SAME;
    if (m->type == MSG_md_beat)
        return take_beat(d, &m->md_beat);
    uint64_t number = msg_stream_number(m);
    bool is_other_count = !is_late && number + BACK_MAX < d->sequence;
    if (m->type == MSG_md_book && (number > d->sequence || is_other_count)) {
        book_set(d, &m->md_book); /* it stands for itself */
        return DEPTH_CHANGED;
    }
    if (d->state != DEPTH_TRUE)
        return DEPTH_HOLD;
    if (is_other_count)
        return begun_anew(d);
    if (number <= d->sequence)
        return DEPTH_SAME;
    return number == d->sequence + 1 ? take_next(d, m) : gap_found(d, number - 1);
}

bool
depth_take_book(struct depth *d, const struct md_book *book)
{
    if (d->state != DEPTH_AWAITS_BOOK)
        return false;
    book_set(d, book);
    return true;
}

enum depth_verdict
depth_take_head(struct depth *d, const struct md_resent *head)
{
    if (d->state != DEPTH_AWAITS_RESEND)
        return DEPTH_SAME;
    if (head->from != d->sequence + 1 || head->to < head->from)
        return begun_anew(d);
    d->resent_to = head->to;
    return DEPTH_SAME;
}

bool
depth_take_resent(struct depth *d, const struct msg *m, enum depth_verdict *out)
{
    *out = DEPTH_SAME;
    if (d->state != DEPTH_AWAITS_RESEND || d->resent_to == 0 ||
        msg_stream_number(m) != d->sequence + 1)
        return false;
    if (m->type == MSG_md_book) {
        book_set(d, &m->md_book);
        *out = DEPTH_CHANGED;
        return true; /* the rest of the answer is asked for anew, should it be missing */
    }
    *out = take_next(d, m);
    if (d->sequence < d->resent_to)
        return false;
    d->state = DEPTH_TRUE;
    d->missing_to = d->resent_to = 0;
    return true;
}

/* ---- What followers get ------------------------------------------------------------------ */

/* Ascending, in place: without memory of its own, and quick for what is nearly in order. */
static void
sort(struct level *at, uint32_t count)
{
    static const uint32_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
        for (uint32_t i = gaps[g]; i < count; i++) {
            struct level l = at[i];
            uint32_t j = i;
            for (; j >= gaps[g] && at[j - gaps[g]].price.v > l.price.v; j -= gaps[g])
                at[j] = at[j - gaps[g]];
            at[j] = l;
        }
    }
}

/* Each price once: asks, which are negative, come first. Gives their number. */
static uint32_t
unite(struct level *at, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || at[kept - 1].price.v != at[i].price.v)
            at[kept++] = at[i];
    return kept;
}

static void
turn(struct level *at, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct level l = at[i];
        at[i] = at[count - 1 - i];
        at[count - 1 - i] = l;
    }
}

static void
quantity_fill(const struct depth *d, int side, struct level *l)
{
    const struct depth_side *s = &d->sides[side];
    uint32_t at = level_find(s, side, l->price.v);
    l->quantity.v = level_is(s, at, l->price.v) ? s->levels[at].quantity.v : 0;
}

bool
depth_since(const struct depth *d, uint64_t *place, struct level *room, struct md_depth *out,
            uint64_t *previous)
{
    if (*place < d->steps_begin || *place >= d->steps_end)
        return false;
    const struct depth_step *first = step_at(d, *place), *last = step_at(d, d->steps_end - 1);
    uint32_t count = 0, asks = 0;
    for (uint64_t i = first->changes_begin; i < last->changes_end; i++)
        room[count++] = (struct level){.price = {d->changes[i % DEPTH_CHANGES_MAX]}};
    sort(room, count);
    count = unite(room, count);
    while (asks < count && room[asks].price.v < 0) {
        room[asks].price.v = -room[asks].price.v;
        asks++;
    }
    turn(room, asks); /* the lowest ask first */
    turn(room + asks, count - asks);
    for (uint32_t i = 0; i < count; i++)
        quantity_fill(d, i < asks, &room[i]);
    *out = (struct md_depth){.symbol = d->symbol,
                             .sequence = last->sequence,
                             .first_update_id = first->first_update_id,
                             .last_update_id = last->last_update_id,
                             .bids = room + asks,
                             .bids_count = count - asks,
                             .asks = room,
                             .asks_count = asks,
                             .time_us = d->time_us};
    *previous = first->previous;
    *place = d->steps_end;
    return true;
}

void
depth_snapshot(const struct depth *d, uint32_t levels, uint64_t *place, struct level *room,
               struct md_book *out)
{
    *out = (struct md_book){.symbol = d->symbol,
                            .sequence = d->changed_sequence,
                            .last_update_id = d->last_update_id,
                            .time_us = d->time_us,
                            .source = d->source,
                            .state = d->stream};
    uint32_t counts[2];
    for (int i = 0; i < 2; i++) {
        const struct depth_side *s = &d->sides[i];
        counts[i] = s->count < levels ? s->count : levels;
        for (uint32_t n = 0; n < counts[i]; n++)
            room[(uint32_t)i * counts[0] + n] = s->levels[s->count - 1 - n];
    }
    out->bids = room;
    out->bids_count = counts[0];
    out->asks = room + counts[0];
    out->asks_count = counts[1];
    *place = d->steps_end;
}

void
depth_check(const struct depth *d)
{
    for (int i = 0; i < 2; i++) {
        const struct depth_side *s = &d->sides[i];
        CHECK(s->count <= d->levels_max);
        for (uint32_t n = 0; n < s->count; n++) {
            CHECK(s->levels[n].price.v > 0 && s->levels[n].quantity.v > 0);
            CHECK(n == 0 || key_of(i, s->levels[n - 1].price.v) < key_of(i, s->levels[n].price.v));
        }
    }
    CHECK(d->steps_begin <= d->steps_end && d->steps_end - d->steps_begin <= DEPTH_STEPS_MAX);
    for (uint64_t i = d->steps_begin; i < d->steps_end; i++)
        CHECK(d->changes_end - step_at(d, i)->changes_begin <= DEPTH_CHANGES_MAX);
}
