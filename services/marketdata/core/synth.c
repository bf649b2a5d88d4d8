/*
 * synth.c - the walk, the book around it, and what each update says.
 *
 * After every update the book's sides are laid out anew and compared with what was shown before:
 * the differences are the diff. That keeps the book, the quotes and the trades consistent by
 * construction.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/synth.h"

#include <string.h>

#include "base/map.h"

#define MARK_EVERY_US 1000000
#define MARK_SMOOTH   4 /* a mark takes in this part of the way to the middle */
#define ID_MAX_TRADES ((UINT64_C(1) << 53) - 1)

/* Where well-known symbols start; others start at 100, or at 1000 ticks if that is off range. */
static const struct {
    const char *symbol;
    int64_t price;
} STARTS[] = {
    {"BTCUSDT", 60000 * DECIMAL_ONE},       {"ETHUSDT", 2500 * DECIMAL_ONE},
    {"BNBUSDT", 550 * DECIMAL_ONE},         {"SOLUSDT", 150 * DECIMAL_ONE},
    {"XRPUSDT", DECIMAL_ONE * 58 / 100},    {"ADAUSDT", DECIMAL_ONE * 36 / 100},
    {"DOGEUSDT", DECIMAL_ONE * 11 / 100},   {"LTCUSDT", 65 * DECIMAL_ONE},
    {"LINKUSDT", 11 * DECIMAL_ONE},         {"ETHBTC", DECIMAL_ONE * 417 / 10000},
    {"BNBBTC", DECIMAL_ONE * 917 / 100000}, {"XRPETH", DECIMAL_ONE * 232 / 1000000},
};

size_t
synth_bytes(uint32_t count, uint32_t levels)
{
    /* Per symbol two sides and two lists of changes of twice the size; once the scratch. */
    size_t lists = (size_t)count * 6 * levels + levels;
    return count * sizeof(struct synth_symbol) + lists * sizeof(struct level) +
           (count * 4 + 2) * (size_t)16;
}

/* xorshift64*: any seed but 0. */
static uint64_t
draw(struct synth_symbol *y)
{
    y->random ^= y->random >> 12;
    y->random ^= y->random << 25;
    y->random ^= y->random >> 27;
    return y->random * UINT64_C(2685821657736338717);
}

/* 0 to below - 1. */
static int64_t
draw_below(struct synth_symbol *y, int64_t below)
{
    return (int64_t)((draw(y) >> 1) % (uint64_t)below);
}

static int64_t
clamp(int64_t v, int64_t least, int64_t most)
{
    return v < least ? least : v > most ? most : v;
}

static int64_t
start_price(const struct synth_symbol *y)
{
    for (size_t i = 0; i < sizeof(STARTS) / sizeof(STARTS[0]); i++) {
        if (strcmp(STARTS[i].symbol, y->rules.symbol.text) == 0)
            return STARTS[i].price / y->tick;
    }
    int64_t hundred = 100 * DECIMAL_ONE / y->tick;
    return hundred >= 1000 ? hundred : 1000;
}

/* About 200 smallest orders, in steps. */
static int64_t
usual_lot(const struct synth_symbol *y)
{
    int64_t notional = y->rules.notional_min.v > 0 ? y->rules.notional_min.v : 5 * DECIMAL_ONE;
    int64_t lot;
    notional = clamp(notional, 1, INT64_MAX / 400) * 200;
    if (decimal_div_floor(notional, y->start * y->tick, &lot) != OK)
        lot = INT64_MAX;
    return clamp(lot / y->step, 1, INT64_C(100000000000000000) / y->step);
}

static void
symbol_init(struct synth_symbol *y, const struct symbol_rules *r, uint64_t seed, uint32_t levels)
{
    y->rules = *r;
    y->random = map_mix(seed ^ map_hash(r->symbol.text, sizeof(r->symbol.text)));
    y->random += y->random == 0;
    y->tick = r->tick_size.v > 0 ? r->tick_size.v : 1;
    y->step = r->step_size.v > 0 ? r->step_size.v : 1;
    int64_t most = r->price_max.v > 0 ? r->price_max.v : INT64_MAX / 4;
    y->least = clamp(r->price_min.v / y->tick, 1, INT64_MAX / 4) + 1;
    y->most = clamp(most / y->tick - 2, y->least, INT64_MAX / 4);
    y->start = y->price = clamp(start_price(y), y->least, y->most);
    /* One hundredth of a percent between the far levels. */
    y->grid = clamp(y->start / 10000, 1, INT64_MAX);
    /* A price range of a few ticks still gets a book. */
    y->grid = clamp(y->grid, 1, clamp((y->most - y->least) / (2 * (int64_t)levels), 1, INT64_MAX));
    y->lot = usual_lot(y);
    y->update_id = 1000;
}

static int64_t
random_quantity(struct synth_symbol *y, bool is_touch)
{
    return (1 + draw_below(y, y->lot * (is_touch ? 20 : 40) / 10 + 1)) * y->step;
}

/* Price of the n-th level, in ticks; 0 when it would leave the range. */
static int64_t
level_ticks(const struct synth_symbol *y, enum side side, uint32_t n)
{
    int64_t ticks;
    if (side == SIDE_BUY)
        ticks = n == 0 ? y->price : (y->price - 1) / y->grid * y->grid - (n - 1) * y->grid;
    else
        ticks = n == 0 ? y->price + 1
                       : (y->price + 2 + y->grid - 1) / y->grid * y->grid + (n - 1) * y->grid;
    return ticks < y->least - 1 || ticks > y->most + 1 ? 0 : ticks;
}

static const struct level *
level_find(const struct level *levels, uint32_t count, int64_t price)
{
    for (uint32_t i = 0; i < count && levels[i].quantity.v > 0; i++) {
        if (levels[i].price.v == price)
            return &levels[i];
    }
    return NULL;
}

/* Lays one side out around the price. What was shown at a price stays; the rest is new. The
 * changes go to y->diff. A level that is not there has quantity 0. */
static void
side_lay_out(struct synth *s, struct synth_symbol *y, enum side side, struct level *shown)
{
    struct level *diff = y->diff[side == SIDE_SELL];
    uint32_t changes = 0;
    memset(s->scratch, 0, s->levels * sizeof(*s->scratch));
    for (uint32_t n = 0; n < s->levels; n++) {
        int64_t ticks = level_ticks(y, side, n);
        if (ticks == 0)
            break;
        struct level *l = &s->scratch[n];
        l->price.v = ticks * y->tick;
        const struct level *old = level_find(shown, s->levels, l->price.v);
        l->quantity.v = old != NULL ? old->quantity.v : random_quantity(y, n == 0);
        if (old == NULL)
            diff[changes++] = *l;
    }
    for (uint32_t n = 0; n < s->levels && shown[n].quantity.v > 0; n++) {
        if (level_find(s->scratch, s->levels, shown[n].price.v) == NULL)
            diff[changes++] = (struct level){.price = shown[n].price};
    }
    memcpy(shown, s->scratch, s->levels * sizeof(*shown));
    y->diff_count[side == SIDE_SELL] = changes;
}

static struct md_event *
queue_event(struct synth *s, const struct synth_symbol *y, enum md_event_kind kind)
{
    CHECK(s->queued < SYNTH_QUEUE);
    struct md_event *e = &s->queue[s->queued++];
    *e = (struct md_event){
        .kind = kind, .symbol = y->rules.symbol, .at_us = y->next_us, .time_us = y->next_us};
    return e;
}

static void
say_trade(struct synth *s, struct synth_symbol *y, enum side taker, int64_t price, int64_t quantity)
{
    struct md_event *e = queue_event(s, y, MD_EVENT_TRADE);
    y->trade_id = y->trade_id < ID_MAX_TRADES ? y->trade_id + 1 : 1;
    e->trade = (struct public_trade){.trade_id = y->trade_id,
                                     .price = {price},
                                     .quantity = {quantity},
                                     .time_us = y->next_us,
                                     .buyer_is_maker = taker == SIDE_SELL};
}

static void
say_quote(struct synth *s, struct synth_symbol *y)
{
    struct md_event *e = queue_event(s, y, MD_EVENT_QUOTE);
    e->quote = (struct md_touch){.update_id = y->update_id,
                                 .bid = y->bids[0].price,
                                 .bid_quantity = y->bids[0].quantity,
                                 .ask = y->asks[0].price,
                                 .ask_quantity = y->asks[0].quantity,
                                 .time_us = y->next_us};
}

/* Once a second: what lies between bid and ask, smoothed, so that one trade does not move it. */
static void
say_mark(struct synth *s, struct synth_symbol *y)
{
    int64_t middle = y->bids[0].price.v + (y->asks[0].price.v - y->bids[0].price.v) / 2;
    if (y->next_us < y->mark_us)
        return;
    y->mark += y->mark == 0 ? middle : (middle - y->mark) / MARK_SMOOTH;
    y->mark_us = y->next_us + MARK_EVERY_US;
    queue_event(s, y, MD_EVENT_MARK)->mark =
        (struct md_mark_price){.mark = {y->mark}, .index = {middle}};
}

static uint32_t
shown_count(const struct level *levels, uint32_t max)
{
    uint32_t n = 0;
    while (n < max && levels[n].quantity.v > 0)
        n++;
    return n;
}

static void
say_book(struct synth *s, struct synth_symbol *y)
{
    side_lay_out(s, y, SIDE_BUY, y->bids);
    side_lay_out(s, y, SIDE_SELL, y->asks);
    struct md_event *e = queue_event(s, y, MD_EVENT_BOOK);
    e->last_id = y->update_id;
    e->bids = y->bids;
    e->asks = y->asks;
    e->bid_count = shown_count(y->bids, s->levels);
    e->ask_count = shown_count(y->asks, s->levels);
    say_quote(s, y);
    say_trade(s, y, SIDE_BUY, y->asks[0].price.v, y->lot * y->step);
    say_mark(s, y);
}

/* Up or down by up to three small steps, the more likely back to the start the farther away. */
static void
move_price(struct synth_symbol *y)
{
    int64_t unit = clamp(y->start / 100000, 1, INT64_MAX);
    int64_t pull = clamp((y->price - y->start) / clamp(y->start / 512, 1, INT64_MAX), -100, 100);
    bool up = draw_below(y, 256) >= 128 + pull;
    int64_t by = unit * (1 + draw_below(y, 3));
    y->price = clamp(y->price + (up ? by : -by), y->least, y->most);
}

/* A taker eats at the touch; a touch that is gone moves the price by one tick. */
static void
trade_at_touch(struct synth *s, struct synth_symbol *y)
{
    enum side taker = draw_below(y, 2) == 0 ? SIDE_BUY : SIDE_SELL;
    struct level *touch = taker == SIDE_BUY ? &y->asks[0] : &y->bids[0];
    int64_t wanted = (1 + draw_below(y, y->lot * 2)) * y->step;
    int64_t quantity = wanted < touch->quantity.v ? wanted : touch->quantity.v;
    say_trade(s, y, taker, touch->price.v, quantity);
    touch->quantity.v -= quantity;
    if (touch->quantity.v == 0)
        y->price = clamp(y->price + (taker == SIDE_BUY ? 1 : -1), y->least, y->most);
}

/* A level whose quantity changed in place is not seen by side_lay_out(). */
static void
diff_add(struct synth_symbol *y, enum side side, const struct level *l)
{
    y->diff[side == SIDE_SELL][y->diff_count[side == SIDE_SELL]++] = *l;
}

static bool
diff_has(const struct synth_symbol *y, enum side side, price_t price)
{
    for (uint32_t i = 0; i < y->diff_count[side == SIDE_SELL]; i++) {
        if (y->diff[side == SIDE_SELL][i].price.v == price.v)
            return true;
    }
    return false;
}

/* A touch that was eaten has quantity 0 and would hide the levels behind it. */
static void
drop_eaten(const struct synth *s, struct level *levels)
{
    if (levels[0].quantity.v > 0)
        return;
    memmove(levels, levels + 1, (s->levels - 1) * sizeof(*levels));
    levels[s->levels - 1] = (struct level){0};
}

static void
say_diff(struct synth *s, struct synth_symbol *y, enum side changed_side, price_t changed)
{
    struct level *bids = y->bids, *asks = y->asks;
    drop_eaten(s, bids);
    drop_eaten(s, asks);
    side_lay_out(s, y, SIDE_BUY, bids);
    side_lay_out(s, y, SIDE_SELL, asks);
    if (changed.v > 0 && !diff_has(y, changed_side, changed)) {
        const struct level *now =
            level_find(changed_side == SIDE_BUY ? bids : asks, s->levels, changed.v);
        struct level gone = {.price = changed};
        diff_add(y, changed_side, now != NULL ? now : &gone);
    }
    struct md_event *e = queue_event(s, y, MD_EVENT_DIFF);
    e->first_id = e->last_id = ++y->update_id;
    e->bids = y->diff[0];
    e->bid_count = y->diff_count[0];
    e->asks = y->diff[1];
    e->ask_count = y->diff_count[1];
    say_quote(s, y);
    say_mark(s, y);
}

static void
update(struct synth *s, struct synth_symbol *y)
{
    enum side side = draw_below(y, 2) == 0 ? SIDE_BUY : SIDE_SELL;
    struct level *levels = side == SIDE_BUY ? y->bids : y->asks;
    price_t changed = {0};
    int64_t what = draw_below(y, 8);
    if (what < 3) {
        move_price(y);
    } else if (what < 6) {
        const price_t bid = y->bids[0].price, ask = y->asks[0].price;
        trade_at_touch(s, y);
        side = s->queue[0].trade.buyer_is_maker ? SIDE_BUY : SIDE_SELL;
        changed = side == SIDE_BUY ? bid : ask;
    } else {
        uint32_t shown = shown_count(levels, s->levels);
        struct level *l = &levels[draw_below(y, shown)];
        l->quantity.v = random_quantity(y, l == levels);
        changed = l->price;
    }
    say_diff(s, y, side, changed);
}

void
synth_init(struct synth *s, const struct symbol_rules *const *rules, uint32_t count, uint64_t seed,
           uint32_t levels, uint32_t rate, int64_t start_us, void *bytes)
{
    CHECK(count > 0 && levels > 0 && rate > 0);
    *s = (struct synth){.count = count, .levels = levels, .every_us = 1000000 / rate};
    struct arena a;
    arena_init(&a, bytes, synth_bytes(count, levels));
    s->symbols = arena_take(&a, count, sizeof(s->symbols[0]));
    s->scratch = arena_take(&a, levels, sizeof(s->scratch[0]));
    CHECK(s->symbols != NULL && s->scratch != NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct synth_symbol *y = &s->symbols[i];
        y->bids = arena_take(&a, levels, sizeof(y->bids[0]));
        y->asks = arena_take(&a, levels, sizeof(y->asks[0]));
        y->diff[0] = arena_take(&a, 2 * (size_t)levels, sizeof(y->bids[0]));
        y->diff[1] = arena_take(&a, 2 * (size_t)levels, sizeof(y->bids[0]));
        CHECK(y->bids != NULL && y->asks != NULL && y->diff[0] != NULL && y->diff[1] != NULL);
        symbol_init(y, rules[i], seed, levels);
        y->next_us = start_us;
    }
}

void
synth_next(struct synth *s, struct md_event *out)
{
    if (s->taken == s->queued) {
        struct synth_symbol *y = &s->symbols[0];
        for (uint32_t i = 1; i < s->count; i++) {
            if (s->symbols[i].next_us < y->next_us)
                y = &s->symbols[i];
        }
        s->queued = s->taken = 0;
        if (y->bids[0].price.v == 0)
            say_book(s, y);
        else
            update(s, y);
        y->next_us += 1 + draw_below(y, 2 * s->every_us);
    }
    *out = s->queue[s->taken++];
}
