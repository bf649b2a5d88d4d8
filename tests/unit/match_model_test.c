/*
 * match_model_test.c - the row of a level by itself, and random lives of orders of every fill
 * model.
 *
 * Two matchers hear the same; one has so small an outbox that it pauses between fills. They must
 * say the same. No print may fill more than was traded, and no word on a level more than it shows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matcher/core/match.h"

static uint64_t dice;

static int64_t
below(int64_t n)
{
    dice ^= dice >> 12;
    dice ^= dice << 25;
    dice ^= dice >> 27;
    return (int64_t)((dice * UINT64_C(0x2545f4914f6cdd1d) >> 32) % (uint64_t)n);
}

/* ---- The row of one level -------------------------------------------------------------------- */

#define PLACES_MAX 48

struct row {
    struct queue_pool pool;
    void *memory;
    struct queue_level *q;
    struct queue_place places[PLACES_MAX];
    uint32_t count;
};

static void
row_open(struct row *r, int64_t shown, int64_t unseen)
{
    size_t size = (queues_bytes(4) + 63) & ~(size_t)63;
    r->memory = aligned_alloc(64, size);
    memset(r->memory, 0, size);
    queues_init(&r->pool, 4, r->memory);
    uint32_t i = queue_new(&r->pool, 9, 100, &(struct queue_word){shown, unseen, 1000});
    cr_assert(i == queue_find(&r->pool, 9, 100) && i != QUEUE_NONE);
    r->q = &r->pool.at[i];
    r->count = 0;
}

static void
row_join(struct row *r)
{
    r->q->orders++;
    r->places[r->count++] = queue_join(r->q, 1);
}

static void
row_print(struct row *r, int64_t quantity, int64_t time_us)
{
    queue_print_begins(r->q, time_us, 1);
    queue_printed(r->q, quantity, time_us, 1);
}

static int64_t
row_ahead(const struct row *r, uint32_t place)
{
    return queue_ahead(r->q, r->places[place]);
}

static void
row_close(struct row *r)
{
    queue_free(&r->pool, (uint32_t)(r->q - r->pool.at));
    cr_assert(r->pool.used == 0 && queue_find(&r->pool, 9, 100) == QUEUE_NONE);
    free(r->memory);
}

Test(queue_row, the_picture_of_the_header_is_true)
{
    struct row r;
    row_open(&r, 31, 0);
    queue_level_changed(r.q, 31, 2000, 1);
    row_join(&r); /* only what was there */
    queue_level_changed(r.q, 35, 3000, 1);
    row_join(&r); /* A */
    queue_level_changed(r.q, 37, 4000, 1);
    queue_level_changed(r.q, 43, 5000, 1);
    row_join(&r); /* B */
    queue_level_changed(r.q, 48, 6000, 1);
    cr_assert_eq(row_ahead(&r, 0), 31);
    cr_assert_eq(row_ahead(&r, 1), 35);
    cr_assert_eq(row_ahead(&r, 2), 43);
    /* 6 went: the increase of that size, behind A */
    queue_level_changed(r.q, 42, 7000, 1);
    cr_assert_eq(row_ahead(&r, 2), 43);
    cr_assert_eq(queue_ahead_told(r.q, r.places[2]), 37);
    queue_level_changed(r.q, 42, 8000, 1);
    cr_assert_eq(row_ahead(&r, 1), 35);
    cr_assert_eq(row_ahead(&r, 2), 37);
    /* 7 went, of no known size: of what was there at first */
    queue_level_changed(r.q, 35, 9000, 1);
    queue_level_changed(r.q, 35, 10000, 1);
    cr_assert_eq(row_ahead(&r, 0), 24);
    cr_assert_eq(row_ahead(&r, 1), 28);
    /* 30 printed: all of that, the 4 and the 2 */
    row_print(&r, 30, 11000);
    cr_assert_eq(row_ahead(&r, 1), 0);
    cr_assert_eq(row_ahead(&r, 2), 0);
    queue_level_changed(r.q, 5, 12000, 1);
    cr_assert_eq(r.q->gone, 0);
    row_close(&r);
}

Test(queue_row, what_is_not_known_is_learnt_with_the_first_word)
{
    struct row r;
    row_open(&r, -1, 0);
    row_join(&r);
    row_join(&r);
    cr_assert_eq(row_ahead(&r, 0), INT64_MAX);
    row_print(&r, 5, 0);
    queue_level_changed(r.q, 7, 0, 1);
    row_join(&r);
    queue_level_changed(r.q, 9, 0, 1);
    row_join(&r);
    cr_assert_eq(row_ahead(&r, 0), 7);
    cr_assert_eq(row_ahead(&r, 1), 7);
    cr_assert_eq(row_ahead(&r, 2), 7);
    cr_assert_eq(row_ahead(&r, 3), 9);
    row_close(&r);
}

static void
row_is_sound(const struct row *r, int64_t was[PLACES_MAX])
{
    int64_t sum = 0, least = 0;
    cr_assert_null(queue_check(r->q), "%s", queue_check(r->q));
    for (uint32_t i = 0; i < r->q->count; i++)
        sum += r->q->segments[i].quantity;
    for (uint32_t i = 0; i < r->count; i++) {
        int64_t ahead = row_ahead(r, i);
        cr_assert(ahead >= 0 && ahead <= was[i], "what is ahead of an order rose");
        cr_assert(ahead <= sum || r->places[i].after == UINT32_MAX);
        if (r->places[i].after != UINT32_MAX) {
            cr_assert_geq(ahead, least, "an order overtook another");
            least = ahead;
        }
        was[i] = ahead;
    }
}

Test(queue_row, random_words_never_move_an_order_back)
{
    dice = 4711;
    for (uint32_t run = 0; run < 3000; run++) {
        struct row r;
        int64_t was[PLACES_MAX], now_us = 1000;
        row_open(&r, below(1000), below(100));
        for (uint32_t n = 0; n < 300; n++) {
            now_us += below(3);
            int64_t what = below(100);
            if (what < 8 && r.count < PLACES_MAX) {
                row_join(&r);
                was[r.count - 1] = INT64_MAX;
            } else if (what < 60) {
                int64_t shown = r.q->shown + below(200) - 100;
                queue_level_changed(r.q, shown > 0 ? shown : 0, now_us, now_us);
            } else {
                row_print(&r, 1 + below(60), below(3) != 0 ? now_us : now_us - 2);
            }
            row_is_sound(&r, was);
        }
        row_close(&r);
    }
}

Test(queue_row, a_ladder_finds_what_is_worse_than_a_key)
{
    static struct ladder_node at[64] __attribute__((aligned(64)));
    static bool has[500];
    struct ladder_nodes n;
    struct ladder l;
    dice = 99;
    ladder_nodes_init(&n, at, 64);
    ladder_init(&l);
    for (uint32_t i = 0; i < 3000; i++) {
        int64_t key = below(500);
        if (has[key])
            ladder_remove(&n, &l, key);
        else
            cr_assert(ladder_add(&n, &l, key, (uint32_t)key));
        has[key] = !has[key];
        int64_t from = below(502) - 1, expected = from - 1;
        while (expected >= 0 && (expected >= 500 || !has[expected]))
            expected--;
        struct ladder_at found;
        cr_assert_eq(ladder_below(&l, &n, from, &found), expected >= 0);
        if (expected >= 0)
            cr_assert_eq(n.at[found.node].keys[found.i], expected);
    }
}

/* ---- Random lives ---------------------------------------------------------------------------- */

#define ORDERS_MAX 256
#define LEVELS     12
#define SAID_MAX   512 /* lines after one message */

struct world {
    struct match *match;
    void *memory;
    struct outbox box;
    struct out outs[256];
    uint8_t lists[1u << 18] __attribute__((aligned(16)));
    struct frame frame;
    struct said {
        uint64_t order_id;
        uint32_t number;
        char text[96];
    } said[SAID_MAX];
    uint32_t said_count;
    uint64_t pauses;
};

/* What one message of the market can fill at most. */
struct budget {
    uint64_t sequence;
    int64_t left[2 * LEVELS + 2], price[2 * LEVELS + 2];
    uint32_t count;
};

static struct budget budgets[64];

static void
world_open(struct world *w, uint32_t outs, uint64_t seed)
{
    const struct match_limits limits = {.books = {.orders_max = ORDERS_MAX,
                                                  .levels_max = 64,
                                                  .house_levels_max = 64,
                                                  .books_max = 1,
                                                  .queues_max = 5,
                                                  .stories_max = 30},
                                        .ledgers_max = 1,
                                        .silence_us = INT64_MAX,
                                        .ask_again_us = 1,
                                        .stale_fills = (enum stale_fills)(seed / 6 % 3),
                                        .errands_max = 4};
    size_t size = (match_bytes(&limits) + 63) & ~(size_t)63;
    memset(w, 0, sizeof(*w));
    w->memory = aligned_alloc(64, size);
    memset(w->memory, 0, size);
    w->match = match_init(&limits, w->memory);
    match_set_venue(w->match, code_of("BTCUSDT"), (enum venue)(seed / 18 % 3));
    w->frame = (struct frame){.sender = code_of("ledger-0"), .epoch = 1, .session = 1};
    outbox_init(&w->box, w->outs, outs, w->lists, sizeof(w->lists));
}

/* A new session drops all orders, and with them what belonged to them. */
static void
world_close(struct world *w)
{
    struct msg hello = {.type = MSG_link_hello};
    w->frame.session++;
    w->frame.sequence = 1;
    match_apply(w->match, 1, &w->frame, &hello, 1, &w->box);
    cr_assert_eq(w->match->books.orders.used, 0);
    cr_assert_eq(w->match->books.stories.used, 0);
    cr_assert_eq(w->match->books.queues.used, 0);
    free(w->memory);
}

/* Fills of the house against what its word can fill. */
static void
budget_take(const struct match_fill *f)
{
    const struct evidence *e = &f->evidence;
    struct budget *b = &budgets[e->sequence % 64];
    if (e->source == LIQUIDITY_USER || b->sequence != e->sequence)
        return;
    for (uint32_t i = 0; i < b->count; i++)
        if (b->price[i] == e->price.v && b->left[i] >= 0) {
            b->left[i] -= f->quantity.v;
            cr_assert_geq(b->left[i], 0, "tick %llu fills more than it shows",
                          (unsigned long long)e->sequence);
            return;
        }
}

static void
say(struct world *w, uint64_t order_id, const char *format, int64_t a, int64_t b, int64_t c,
    int64_t d)
{
    cr_assert_lt(w->said_count, SAID_MAX);
    struct said *l = &w->said[w->said_count];
    l->order_id = order_id;
    l->number = w->said_count++;
    snprintf(l->text, sizeof(l->text), format, (long long)a, (long long)b, (long long)c,
             (long long)d);
}

/* By order; a pause cuts reports, so that those of several orders come in another sequence. */
static int
compare(const void *a, const void *b)
{
    const struct said *x = a, *y = b;
    if (x->order_id != y->order_id)
        return x->order_id < y->order_id ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void
hear(struct world *w, bool is_first)
{
    for (uint32_t i = 0; i < w->box.count; i++) {
        const struct msg *m = &w->box.slots[i].msg;
        if (m->type != MSG_order_report)
            continue;
        const struct order_report *r = &m->order_report;
        for (uint32_t k = 0; k < r->fills_count; k++) {
            const struct match_fill *f = &r->fills[k];
            if (is_first)
                budget_take(f);
            say(w, r->order_id, "%lld at %lld by %lld %lld", f->quantity.v, f->price.v,
                f->evidence.source, (int64_t)f->evidence.sequence);
        }
        if (r->end != ORDER_END_NONE)
            say(w, r->order_id, "ends %lld", r->end, 0, 0, 0);
    }
    outbox_clear(&w->box);
}

static void
apply(struct world *w, const struct msg *m, int64_t now_us, bool is_ledgers, bool is_first)
{
    w->frame.sequence += is_ledgers;
    match_apply(w->match, is_ledgers, is_ledgers ? &w->frame : NULL, m, now_us, &w->box);
    hear(w, is_first);
    while (match_busy(w->match)) {
        w->pauses++;
        match_resume(w->match, &w->box);
        hear(w, is_first);
    }
}

/* Both hear it and say the same. */
static void
tell(struct world w[2], const struct msg *m, int64_t now_us, bool is_ledgers)
{
    for (int i = 0; i < 2; i++) {
        w[i].said_count = 0;
        apply(&w[i], m, now_us, is_ledgers, i == 0);
        const char *wrong = match_check(w[i].match);
        cr_assert_null(wrong, "%s", wrong);
    }
    cr_assert_eq(w[0].said_count, w[1].said_count);
    for (int i = 0; i < 2; i++)
        qsort(w[i].said, w[i].said_count, sizeof(w[i].said[0]), compare);
    for (uint32_t i = 0; i < w[0].said_count; i++)
        cr_assert(w[0].said[i].order_id == w[1].said[i].order_id &&
                      strcmp(w[0].said[i].text, w[1].said[i].text) == 0,
                  "%llu %s / %llu %s", (unsigned long long)w[0].said[i].order_id, w[0].said[i].text,
                  (unsigned long long)w[1].said[i].order_id, w[1].said[i].text);
}

static void
budget_set(uint64_t sequence, const struct level *a, uint32_t a_count, const struct level *b,
           uint32_t b_count)
{
    struct budget *to = &budgets[sequence % 64];
    *to = (struct budget){.sequence = sequence};
    for (uint32_t i = 0; i < a_count + b_count; i++) {
        const struct level *l = i < a_count ? &a[i] : &b[i - a_count];
        to->price[to->count] = l->price.v;
        to->left[to->count++] = l->quantity.v;
    }
}

static int64_t
some_price(void)
{
    return (95 + below(11)) * DECIMAL_ONE;
}

/* Mostly where an order rests. */
static int64_t
order_price(enum side side)
{
    return (side == SIDE_BUY ? 101 - below(10) : 99 + below(10)) * DECIMAL_ONE;
}

static void
order_work(struct world w[2], uint64_t id, int64_t now_us)
{
    struct msg m = {.type = MSG_order_work};
    enum side side = below(2) != 0 ? SIDE_BUY : SIDE_SELL;
    m.order_work = (struct order_work){
        .order_id = id,
        .account_id = 1 + (uint64_t)below(3),
        .symbol = code_of("BTCUSDT"),
        .side = side,
        .type = below(8) == 0 ? ORDER_TYPE_MARKET : ORDER_TYPE_LIMIT,
        .time_in_force = below(6) == 0 ? TIME_IN_FORCE_IOC : TIME_IN_FORCE_GTC,
        .price = {order_price(side)},
        .quantity = {(1 + below(9)) * DECIMAL_ONE},
        .fill_model = (enum fill_model)below(4),
        .iceberg_quantity = {below(6) == 0 ? DECIMAL_ONE : 0},
        .self_trade_prevention = (enum self_trade_prevention)below(5),
    };
    if (m.order_work.time_in_force == TIME_IN_FORCE_IOC)
        m.order_work.iceberg_quantity.v = 0;
    tell(w, &m, now_us, true);
}

static uint32_t
some_levels(struct level *to, uint32_t count, int64_t first)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = (struct level){{(first + i) * DECIMAL_ONE}, {below(4) * DECIMAL_ONE}};
    return count;
}

/* A word on levels: bids below, asks above, moving around. */
static void
word(struct world w[2], uint64_t sequence, int64_t now_us, bool is_answer)
{
    struct level bids[LEVELS], asks[LEVELS];
    int64_t middle = 97 + below(7);
    uint32_t width = 1 + (uint32_t)below(4);
    struct msg m = {.type = MSG_md_depth};
    m.md_depth = (struct md_depth){.symbol = code_of("BTCUSDT"),
                                   .sequence = sequence,
                                   .bids = bids,
                                   .bids_count = some_levels(bids, width, middle - width),
                                   .asks = asks,
                                   .asks_count = some_levels(asks, width, middle),
                                   .time_us = now_us - below(2)};
    budget_set(sequence, bids, width, asks, width);
    if (is_answer) {
        const struct md_depth d = m.md_depth;
        m = (struct msg){.type = MSG_md_book, .corr = 1};
        m.md_book = (struct md_book){.symbol = d.symbol,
                                     .sequence = sequence,
                                     .bids = bids,
                                     .bids_count = width,
                                     .asks = asks,
                                     .asks_count = width,
                                     .time_us = now_us,
                                     .source = LIQUIDITY_DEPTH};
    }
    tell(w, &m, now_us, false);
}

/* A snapshot of a book that has nothing, or levels. */
static void
begin(struct world w[2], enum liquidity source, uint64_t sequence, int64_t now_us)
{
    struct msg m = {.type = MSG_md_book, .corr = 1};
    m.md_book = (struct md_book){
        .symbol = code_of("BTCUSDT"), .sequence = sequence, .source = source, .time_us = now_us};
    if (source == LIQUIDITY_DEPTH)
        word(w, sequence, now_us, true);
    else
        tell(w, &m, now_us, false);
}

/* Best bid and ask are all that is known. */
static void
quote(struct world w[2], uint64_t sequence, int64_t now_us)
{
    int64_t middle = 97 + below(7);
    const struct level bid = {{(middle - 1) * DECIMAL_ONE}, {below(4) * DECIMAL_ONE}};
    const struct level ask = {{middle * DECIMAL_ONE}, {below(4) * DECIMAL_ONE}};
    struct msg m = {.type = MSG_md_quote};
    m.md_quote = (struct md_quote){.symbol = code_of("BTCUSDT"),
                                   .sequence = sequence,
                                   .bid = bid.price,
                                   .bid_quantity = bid.quantity,
                                   .ask = ask.price,
                                   .ask_quantity = ask.quantity,
                                   .time_us = now_us};
    budget_set(sequence, &bid, 1, &ask, 1);
    tell(w, &m, now_us, false);
}

static void
trade(struct world w[2], uint64_t sequence, int64_t now_us)
{
    struct msg m = {.type = MSG_md_trade};
    struct level print = {{some_price()}, {(1 + below(6)) * DECIMAL_ONE}};
    m.md_trade = (struct md_trade){.symbol = code_of("BTCUSDT"), .sequence = sequence};
    m.md_trade.trade = (struct public_trade){.trade_id = 1,
                                             .price = print.price,
                                             .quantity = print.quantity,
                                             .time_us = now_us - below(3),
                                             .buyer_is_maker = below(2) != 0};
    /* Where only trades are known, the last one is displayed on both sides. */
    if (w[0].match->book[0].house.source == LIQUIDITY_TRADE)
        print.quantity.v *= 2;
    budget_set(sequence, &print, 1, NULL, 0);
    tell(w, &m, now_us, false);
}

static void
leave(struct world w[2], uint64_t id, int64_t now_us)
{
    struct msg m = {.type = MSG_order_pull};
    m.order_pull = (struct order_pull){.order_id = id, .symbol = code_of("BTCUSDT")};
    if (below(3) == 0) {
        m.type = MSG_order_trim;
        m.order_trim = (struct order_trim){
            .order_id = id, .symbol = code_of("BTCUSDT"), .quantity = {DECIMAL_ONE}};
    }
    tell(w, &m, now_us, true);
}

static void
play(struct world w[2], uint64_t seed)
{
    uint64_t sequence = 1, id = 0;
    int64_t now_us = 1000000;
    dice = seed;
    tell(w, &(struct msg){.type = MSG_link_hello}, now_us, true);
    tell(w, &(struct msg){.type = MSG_link_synced}, now_us, true);
    enum liquidity source = (enum liquidity)(LIQUIDITY_DEPTH + seed % 3);
    begin(w, source, sequence, now_us);
    for (uint32_t n = 0; n < 4000; n++) {
        int64_t what = below(100);
        now_us += below(4);
        if (what < 30 && w[0].match->books.orders.used < ORDERS_MAX / 2)
            order_work(w, ++id, now_us);
        else if (what < 40 && id > 0)
            leave(w, id - (uint64_t)below(id < 64 ? (int64_t)id : 64), now_us);
        else if (what < 70)
            trade(w, ++sequence, now_us);
        else if (what == 70)
            trade(w, sequence += 3, now_us); /* a gap */
        else if (w[0].match->book[0].house.state != HOUSE_LIVE && what < 80)
            begin(w, source, sequence, now_us);
        else if (source == LIQUIDITY_DEPTH)
            word(w, ++sequence, now_us, false);
        else if (source == LIQUIDITY_QUOTE)
            quote(w, ++sequence, now_us);
    }
}

Test(match_model, lives_of_every_model_are_the_same_with_and_without_pauses)
{
    static struct world w[2];
    uint64_t pauses = 0, fills = 0, full = 0, untold = 0;
    for (uint64_t seed = 1; seed <= 54; seed++) {
        memset(budgets, 0, sizeof(budgets));
        world_open(&w[0], 256, seed);
        world_open(&w[1], MATCH_OUT_MIN, seed);
        play(w, seed);
        pauses += w[1].pauses;
        fills += w[0].match->counts.fills;
        full += w[0].match->books.queues.full;
        untold += w[0].match->books.stories.dropped;
        world_close(&w[0]);
        world_close(&w[1]);
    }
    printf("match_model_test: %llu fills, %llu pauses, %llu queues and %llu stories without room\n",
           (unsigned long long)fills, (unsigned long long)pauses, (unsigned long long)full,
           (unsigned long long)untold);
    cr_assert(fills > 10000 && pauses > 0 && full > 0 && untold > 0);
}
