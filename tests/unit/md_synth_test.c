/*
 * md_synth_test.c - the seeded market: the same for the same seed, and true to its symbol's rules.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "market/rules.h"
#include "marketdata/core/md.h"
#include "marketdata/core/synth.h"

#define LEVELS 20u
#define RATE   20u

static struct symbol_rules rules[64];
static uint32_t rules_count;

static void
begin(void)
{
    char why[RULES_WHY_BYTES];
    cr_assert(rules_load(SCRIP_RULES_FILE, rules, 64, &rules_count, why) == OK, "%s", why);
}

TestSuite(synth, .init = begin);

static void *
start(struct synth *s, uint64_t seed)
{
    const struct symbol_rules *all[64];
    for (uint32_t i = 0; i < rules_count; i++)
        all[i] = &rules[i];
    void *bytes = malloc(synth_bytes(rules_count, LEVELS));
    synth_init(s, all, rules_count, seed, LEVELS, RATE, 1, bytes);
    return bytes;
}

static uint64_t
levels_hash(const struct level *l, uint32_t count)
{
    return count == 0 ? 0 : map_hash(l, count * sizeof(*l));
}

static uint64_t
run_hash(uint64_t seed, uint32_t events)
{
    struct synth s;
    void *bytes = start(&s, seed);
    uint64_t hash = 1;
    for (uint32_t i = 0; i < events; i++) {
        struct md_event e;
        synth_next(&s, &e);
        hash = map_mix(hash ^ levels_hash(e.bids, e.bid_count));
        hash = map_mix(hash ^ levels_hash(e.asks, e.ask_count));
        hash = map_mix(hash ^ (uint64_t)e.time_us ^ (uint64_t)e.trade.price.v ^
                       (uint64_t)e.quote.bid.v ^ e.quote.update_id);
    }
    free(bytes);
    return hash;
}

Test(synth, the_same_seed_gives_the_same_market)
{
    cr_assert_eq(run_hash(7, 20000), run_hash(7, 20000));
    cr_assert_neq(run_hash(7, 20000), run_hash(8, 20000));
}

static void
price_fits(const struct symbol_rules *r, price_t p)
{
    cr_assert_eq(p.v % r->tick_size.v, 0, "%s", r->symbol.text);
    cr_assert(p.v >= r->price_min.v && p.v <= r->price_max.v, "%s", r->symbol.text);
}

static void
levels_fit(const struct symbol_rules *r, const struct level *l, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        price_fits(r, l[i].price);
        cr_assert(l[i].quantity.v >= 0 && l[i].quantity.v % r->step_size.v == 0);
    }
}

static void
event_fits(const struct md_event *e)
{
    const struct symbol_rules *r = rules_find(rules, rules_count, e->symbol);
    levels_fit(r, e->bids, e->bid_count);
    levels_fit(r, e->asks, e->ask_count);
    if (e->kind == MD_EVENT_TRADE) {
        price_fits(r, e->trade.price);
        cr_assert(e->trade.quantity.v > 0 && e->trade.quantity.v % r->step_size.v == 0);
    } else if (e->kind == MD_EVENT_QUOTE) {
        price_fits(r, e->quote.bid);
        price_fits(r, e->quote.ask);
        cr_assert(e->quote.bid_quantity.v > 0 && e->quote.ask_quantity.v > 0);
    } else if (e->kind == MD_EVENT_MARK) {
        cr_assert(e->mark.mark.v > 0 && e->mark.index.v > 0 && e->mark.funding_us == 0);
    }
}

static const struct md_limits LIMITS = {.symbols_max = 16,
                                        .levels_max = 64,
                                        .kept_levels_max = 256,
                                        .ring_messages = 8,
                                        .ring_bytes = 4096,
                                        .stale_after_us = 10000000,
                                        .heal_after_us = 5000000,
                                        .price_every_us = 100000,
                                        .candle_every_us = 250000,
                                        .beat_every_us = 1000000,
                                        .candle_grace_us = 2000000};

/* The quote that follows a diff must be the top of the book that the diffs have made. */
static void
quote_is_top(const struct md_symbol *s, const struct md_event *e)
{
    const struct level *bid = book_side_best(&s->sync.book.bids);
    const struct level *ask = book_side_best(&s->sync.book.asks);
    cr_assert(bid != NULL && ask != NULL);
    cr_assert_eq(bid->price.v, e->quote.bid.v);
    cr_assert_eq(bid->quantity.v, e->quote.bid_quantity.v);
    cr_assert_eq(ask->price.v, e->quote.ask.v);
    cr_assert_eq(ask->quantity.v, e->quote.ask_quantity.v);
}

Test(synth, a_million_events_keep_every_rule_and_every_book_true)
{
    struct synth s;
    struct md md;
    static struct out slots[2 * MD_OUT_MAX];
    struct outbox out;
    void *bytes = start(&s, 11), *memory = malloc(md_bytes(&LIMITS));
    void *symbol_memory[64], *lists = malloc(MD_LISTS_BYTES);
    outbox_init(&out, slots, 2 * MD_OUT_MAX, lists, MD_LISTS_BYTES);
    md_init(&md, &LIMITS, rules, rules_count, memory);
    for (uint32_t i = 0; i < rules_count; i++) {
        symbol_memory[i] = malloc(md_symbol_bytes(&LIMITS));
        cr_assert(md_symbol_add(&md, rules[i].symbol, 1, symbol_memory[i]) == OK);
    }
    for (uint32_t n = 0; n < 1000000; n++) {
        struct md_event e;
        synth_next(&s, &e);
        event_fits(&e);
        outbox_clear(&out);
        cr_assert(md_apply(&md, &e, e.time_us, &out) == OK);
        if (e.kind == MD_EVENT_QUOTE)
            quote_is_top(md_symbol_find(&md, e.symbol), &e);
    }
    md_check(&md);
    for (uint32_t i = 0; i < rules_count; i++) {
        const struct md_symbol *y = md.symbols[i];
        cr_assert_eq(y->gaps + y->refused, 0);
        cr_assert_eq(y->state, STREAM_STATE_LIVE);
        cr_assert_gt(y->trades_count, 5000);
        free(symbol_memory[i]);
    }
    free(bytes);
    free(memory);
    free(lists);
}
