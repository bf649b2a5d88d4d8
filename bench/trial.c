/*
 * trial.c - see trial.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "trial.h"

#include <stdlib.h>
#include <string.h>

#define SHARE      DECIMAL_ONE
#define PRICE_UNIT (DECIMAL_ONE / 10000)
#define ORDER_ID   1

/* What a row may mean to an order of one side, as a number that is small when it does: prices of
 * prints and of the other side, from a tree over all rows. */
struct finder {
    int64_t *least; /* a heap: of each subtree */
    uint32_t leaves;
};

struct changed {
    uint32_t level;
    int64_t after;
};

struct trial {
    const struct lobster *l;
    struct stage stage, whole;
    struct finder finders[2]; /* by enum side - 1 of the order */
    code_t symbol;
    /* the trial under way */
    struct stage *on;
    const struct lobster_order *order;
    uint64_t sequence; /* of the market's messages */
    bool is_whole;
    int64_t now_ns, own_left, wanted;
    int64_t interval_ns;     /* the interval that `changed` is of */
    struct changed *changed; /* levels that it has to tell */
    uint32_t changed_count;
    bool has_ended; /* the paper order */
    bool trim_came_late;
    struct trial_outcome outcome;
    struct level *lists[2];
};

/* ---- Which rows matter ----------------------------------------------------------------------- */

static int64_t
key_of(enum side side, int64_t price)
{
    return side == SIDE_BUY ? price : -price;
}

static void
finder_init(struct finder *f, const struct lobster *l, enum side side)
{
    f->leaves = 1;
    while (f->leaves < l->rows_count)
        f->leaves *= 2;
    f->least = malloc(2 * (size_t)f->leaves * sizeof(*f->least));
    CHECK(f->least != NULL);
    for (uint32_t i = 0; i < f->leaves; i++) {
        const struct lobster_row *row = i < l->rows_count ? &l->rows[i] : NULL;
        bool may = row != NULL && (row->type >= LOBSTER_EXECUTE || row->side != side);
        f->least[f->leaves + i] = may ? key_of(side, row->price) : INT64_MAX;
    }
    for (uint32_t i = f->leaves; i-- > 1;) {
        int64_t a = f->least[2 * i], b = f->least[2 * i + 1];
        f->least[i] = a < b ? a : b;
    }
}

/* The first row from `from` on whose key is at most `key`; LOBSTER_NONE. */
static uint32_t
finder_next(const struct finder *f, uint32_t from, int64_t key)
{
    if (from >= f->leaves)
        return LOBSTER_NONE;
    uint32_t i = f->leaves + from;
    while (f->least[i] > key) {
        while (i % 2 == 1) { /* no more to the right here */
            i /= 2;
            if (i <= 1)
                return LOBSTER_NONE;
        }
        i++;
    }
    while (i < f->leaves)
        i = f->least[2 * i] <= key ? 2 * i : 2 * i + 1;
    return i - f->leaves;
}

/* The next row after `row` that concerns the order. `place` walks along its level's rows. */
static uint32_t
row_after(const struct trial *t, uint32_t row, uint32_t *place)
{
    const struct lobster_level *level = &t->l->levels[t->order->level];
    if (t->is_whole)
        return row + 1 < t->l->rows_count ? row + 1 : LOBSTER_NONE;
    while (*place < level->rows_count && level->rows[*place] <= row)
        (*place)++;
    uint32_t own = *place < level->rows_count ? level->rows[*place] : LOBSTER_NONE;
    uint32_t other =
        finder_next(&t->finders[level->side - 1], row + 1, key_of(level->side, level->price));
    return own < other ? own : other;
}

/* ---- What the matcher is told ---------------------------------------------------------------- */

static int64_t
us_of(int64_t ns)
{
    return ns / 1000;
}

/* What a level displays to others than the order. */
static struct level
level_less_own(const struct trial *t, uint32_t level, int64_t after)
{
    int64_t quantity = after - (level == t->order->level ? t->own_left : 0);
    CHECK(quantity >= 0);
    return (struct level){{t->l->levels[level].price * PRICE_UNIT}, {quantity * SHARE}};
}

static void
tell_print(struct trial *t, const struct lobster_row *row)
{
    struct msg m = {.type = MSG_md_trade};
    m.md_trade.symbol = t->symbol;
    m.md_trade.sequence = ++t->sequence;
    m.md_trade.trade = (struct public_trade){.price = {row->price * PRICE_UNIT},
                                             .quantity = {row->quantity * SHARE},
                                             .buyer_is_maker = row->side == SIDE_BUY,
                                             .time_us = us_of(row->time_ns)};
    stage_market(t->on, &m, us_of(t->now_ns));
}

/* Tells the changed levels in one word. */
static void
tell_levels(struct trial *t, int64_t time_ns)
{
    uint32_t counts[2] = {0, 0};
    for (uint32_t i = 0; i < t->changed_count; i++) {
        uint32_t level = t->changed[i].level;
        int s = (int)t->l->levels[level].side - 1;
        t->lists[s][counts[s]++] = level_less_own(t, level, t->changed[i].after);
    }
    t->changed_count = 0;
    t->now_ns = time_ns;
    struct msg m = {.type = MSG_md_depth};
    m.md_depth = (struct md_depth){.symbol = t->symbol,
                                   .sequence = ++t->sequence,
                                   .bids = t->lists[0],
                                   .bids_count = counts[0],
                                   .asks = t->lists[1],
                                   .asks_count = counts[1],
                                   .time_us = us_of(time_ns)};
    stage_market(t->on, &m, us_of(time_ns));
}

static void
note_changed(struct trial *t, uint32_t level, int64_t after)
{
    uint32_t i = 0;
    while (i < t->changed_count && t->changed[i].level != level)
        i++;
    t->changed_count += i == t->changed_count;
    t->changed[i] = (struct changed){level, after};
}

/* Before a moment: what the intervals before it have to tell. */
static void
tell_intervals(struct trial *t, int64_t time_ns)
{
    if (t->l->interval_ns > 0 && t->changed_count > 0 &&
        lobster_interval(t->l, time_ns) > t->interval_ns)
        tell_levels(t, t->interval_ns + t->l->interval_ns);
    if (t->l->interval_ns > 0)
        t->interval_ns = lobster_interval(t->l, time_ns);
    t->now_ns = time_ns;
}

/* ---- What the order does --------------------------------------------------------------------- */

static void
on_said(void *arg, const struct msg *m)
{
    struct trial *t = arg;
    const struct order_report *r = &m->order_report;
    CHECK(m->type == MSG_order_report); /* nobody asks for more */
    struct trial_outcome *o = &t->outcome;
    for (uint32_t i = 0; i < r->fills_count; i++) {
        int64_t quantity = r->fills[i].quantity.v / SHARE;
        if (o->filled == 0)
            o->first_ns = t->now_ns;
        o->filled += quantity;
        if (t->now_ns <= t->order->end_ns)
            o->by_end += quantity;
        if (o->full_ns == 0 && o->filled >= t->wanted)
            o->full_ns = t->now_ns;
    }
    t->has_ended |= r->end != ORDER_END_NONE;
    t->trim_came_late |= r->was_trimmed && r->trimmed_to.v == 0;
}

static void
order_enters(struct trial *t, enum fill_model model)
{
    const struct lobster_level *level = &t->l->levels[t->order->level];
    struct msg m = {.type = MSG_order_work};
    m.order_work = (struct order_work){
        .order_id = ORDER_ID,
        .account_id = 1,
        .symbol = t->symbol,
        .side = level->side,
        .type = ORDER_TYPE_LIMIT,
        .time_in_force = TIME_IN_FORCE_GTC,
        .price = {level->price * PRICE_UNIT},
        .quantity = {t->order->quantity * SHARE},
        .time_us = us_of(t->now_ns),
        .fill_model = model,
    };
    t->own_left = t->wanted = t->order->quantity;
    stage_ledger(t->on, &m, us_of(t->now_ns));
}

static void
order_pulled(struct trial *t)
{
    struct msg m = {.type = MSG_order_pull};
    m.order_pull = (struct order_pull){.order_id = ORDER_ID, .symbol = t->symbol};
    if (!t->has_ended)
        stage_ledger(t->on, &m, us_of(t->now_ns));
}

/* The real order was lowered: so is the paper order; what it has beyond is enough. */
static void
order_lowered(struct trial *t, int64_t quantity)
{
    struct msg m = {.type = MSG_order_trim};
    t->wanted -= quantity;
    if (t->outcome.full_ns == 0 && t->outcome.filled >= t->wanted)
        t->outcome.full_ns = t->now_ns;
    m.order_trim = (struct order_trim){
        .order_id = ORDER_ID, .symbol = t->symbol, .quantity = {t->wanted * SHARE}};
    if (!t->has_ended)
        stage_ledger(t->on, &m, us_of(t->now_ns));
    if (t->trim_came_late)
        order_pulled(t);
}

/* ---- The course of a trial ------------------------------------------------------------------- */

static void
apply_row(struct trial *t, const struct lobster_row *row)
{
    bool is_own = row->order != LOBSTER_NONE && &t->l->orders[row->order] == t->order;
    tell_intervals(t, row->time_ns);
    if (row->type >= LOBSTER_EXECUTE)
        tell_print(t, row);
    if (row->type == LOBSTER_PRINT)
        return;
    if (is_own)
        t->own_left -= row->quantity;
    note_changed(t, row->level, row->after);
    if (t->l->interval_ns == 0)
        tell_levels(t, row->time_ns);
    if (is_own && row->type == LOBSTER_REDUCE)
        order_lowered(t, row->quantity);
    if (is_own && row->type == LOBSTER_DELETE)
        order_pulled(t);
}

static void
judge(struct trial *t)
{
    struct trial_outcome *o = &t->outcome;
    o->class = o->by_end >= t->order->wanted ? LOBSTER_FULL
               : o->by_end > 0               ? LOBSTER_PART
                                             : LOBSTER_UNFILLED;
}

static void
begin(struct trial *t, uint32_t order, bool is_whole)
{
    t->order = &t->l->orders[order];
    t->is_whole = is_whole;
    t->on = is_whole ? &t->whole : &t->stage;
    t->outcome = (struct trial_outcome){0};
    t->has_ended = t->trim_came_late = false;
    t->changed_count = 0;
    t->own_left = 0;
}

static void
show_book(struct trial *t, const uint32_t counts[2], int64_t word_ns)
{
    struct msg m = {.type = MSG_md_book};
    m.md_book = (struct md_book){.symbol = t->symbol,
                                 .sequence = ++t->sequence,
                                 .bids = t->lists[0],
                                 .bids_count = counts[0],
                                 .asks = t->lists[1],
                                 .asks_count = counts[1],
                                 .time_us = us_of(word_ns),
                                 .source = LIQUIDITY_DEPTH};
    t->now_ns = word_ns;
    stage_begin(t->on, us_of(word_ns));
    stage_market(t->on, &m, us_of(word_ns));
}

/* The order enters at its first row; then all until it ends. */
static struct trial_outcome
run_on(struct trial *t, enum fill_model model)
{
    const struct lobster_row *first = &t->l->rows[t->order->first];
    tell_intervals(t, first->time_ns);
    order_enters(t, model);
    note_changed(t, first->level, first->after);
    if (t->l->interval_ns == 0)
        tell_levels(t, first->time_ns);
    uint32_t place = t->order->place;
    uint32_t row = row_after(t, t->order->first, &place);
    while (row != LOBSTER_NONE && !t->has_ended) {
        apply_row(t, &t->l->rows[row]);
        row = row_after(t, row, &place);
    }
    CHECK(match_book(t->on->match, t->symbol)->house.state == HOUSE_LIVE); /* it heard it all */
    judge(t);
    return t->outcome;
}

struct trial_outcome
trial_run(struct trial *t, uint32_t order, enum fill_model model)
{
    begin(t, order, false);
    const struct lobster_entry *e = &t->order->entry;
    const struct lobster_level *level = &t->l->levels[t->order->level];
    struct level *list = t->lists[level->side - 1];
    uint32_t counts[2] = {0, 0}, n = 0;
    if (e->shown > 0)
        list[n++] = level_less_own(t, t->order->level, e->shown);
    if (e->worse > 0)
        list[n++] = (struct level){{e->worse * PRICE_UNIT}, {SHARE}};
    counts[level->side - 1] = n;
    show_book(t, counts, e->word_ns);
    /* What the last word on levels does not tell: prints, and by intervals a level's changes. */
    for (uint32_t i = e->from; i < t->order->first; i++) {
        const struct lobster_row *row = &t->l->rows[i];
        if (row->type >= LOBSTER_EXECUTE && row->side == level->side &&
            row->price == level->price) {
            tell_intervals(t, row->time_ns);
            tell_print(t, row);
        }
    }
    return run_on(t, model);
}

struct trial_outcome
trial_run_whole(struct trial *t, uint32_t order, enum fill_model model, uint32_t rows)
{
    begin(t, order, true);
    const struct lobster *l = t->l;
    uint32_t until = t->order->entry.from > rows ? t->order->entry.from - rows : 0;
    /* A snapshot tells whole intervals. */
    while (l->interval_ns > 0 && until > 0 &&
           lobster_interval(l, l->rows[until].time_ns) ==
               lobster_interval(l, l->rows[until - 1].time_ns))
        until--;
    int64_t *shown = calloc(l->levels_count, sizeof(*shown));
    CHECK(shown != NULL);
    for (uint32_t i = 0; i < until; i++)
        if (l->rows[i].level != LOBSTER_NONE)
            shown[l->rows[i].level] = l->rows[i].after;
    uint32_t counts[2] = {0, 0};
    for (uint32_t i = 0; i < l->levels_count; i++) {
        int s = (int)l->levels[i].side - 1;
        if (shown[i] > 0)
            t->lists[s][counts[s]++] = level_less_own(t, i, shown[i]);
    }
    free(shown);
    int64_t word_ns = l->rows[until > 0 ? until - 1 : 0].time_ns;
    if (l->interval_ns > 0)
        word_ns = lobster_interval(l, l->rows[until].time_ns);
    t->interval_ns = word_ns;
    show_book(t, counts, word_ns);
    for (uint32_t i = until; i < t->order->first; i++)
        apply_row(t, &l->rows[i]);
    return run_on(t, model);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

struct trial *
trial_new(const struct lobster *l)
{
    struct trial *t = calloc(1, sizeof(*t));
    CHECK(t != NULL);
    t->l = l;
    t->symbol = code_of("TRIAL");
    t->changed = malloc(l->levels_count * sizeof(*t->changed));
    for (int i = 0; i < 2; i++) {
        t->lists[i] = malloc(l->levels_count * sizeof(*t->lists[i]) + sizeof(*t->lists[i]));
        finder_init(&t->finders[i], l, (enum side)(i + 1));
        CHECK(t->lists[i] != NULL && t->changed != NULL);
    }
    struct books_limits limits = {
        .orders_max = 4, .levels_max = 8, .house_levels_max = 512, .books_max = 1, .queues_max = 4};
    stage_init(&t->stage, &limits, t, on_said);
    limits.house_levels_max = l->levels_count + 16;
    stage_init(&t->whole, &limits, t, on_said);
    return t;
}

void
trial_free(struct trial **t)
{
    if (*t == NULL)
        return;
    stage_fini(&(*t)->stage);
    stage_fini(&(*t)->whole);
    for (int i = 0; i < 2; i++) {
        free((*t)->lists[i]);
        free((*t)->finders[i].least);
    }
    free((*t)->changed);
    free(*t);
    *t = NULL;
}
