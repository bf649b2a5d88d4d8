/*
 * sim_market.c - three symbols whose markets walk at random: one of depth, one of quotes, one of
 * prints, each with its numbered stream, its gaps and its snapshots.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define BEAT_US 1000000

static const struct {
    const char *symbol, *base, *quote;
    enum liquidity source;
    int64_t mid, tick;
} markets[SIM_SYMBOLS] = {{"BTCUSDT", "BTC", "USDT", LIQUIDITY_DEPTH, 10000000000, 1000000},
                          {"ETHUSDT", "ETH", "USDT", LIQUIDITY_QUOTE, 3000000000, 1000000},
                          {"ETHBTC", "ETH", "BTC", LIQUIDITY_TRADE, 30000000, 10000}};

/* ---- Speaking ------------------------------------------------------------------------------- */

static void
say(struct sim *s, const struct sim_symbol *y, const struct msg *m)
{
    struct sim_matcher *to = &s->matchers[y->matcher];
    if (!to->is_up)
        return;
    bytes_clear(&s->judge.scratch);
    msg_pack(&s->judge.scratch, m);
    sim_trace(s, "market", "says", m);
    wire_send(s, &to->market, s->judge.scratch.data, s->judge.scratch.length);
}

static void
say_book(struct sim *s, struct sim_symbol *y, uint64_t corr)
{
    bool has_levels = y->source != LIQUIDITY_TRADE;
    uint32_t count = !has_levels ? 0 : y->source == LIQUIDITY_QUOTE ? 1 : SIM_LEVELS;
    struct msg m = {.type = MSG_md_book, .corr = corr};
    m.md_book = (struct md_book){.symbol = y->code,
                                 .sequence = y->sequence,
                                 .bids = y->sides[0],
                                 .bids_count = count,
                                 .asks = y->sides[1],
                                 .asks_count = count,
                                 .time_us = s->now_us,
                                 .source = y->source,
                                 .state = STREAM_STATE_LIVE,
                                 .last_price = {y->mid}};
    say(s, y, &m);
}

void
sim_market_answer(struct sim *s, struct sim_matcher *m, const struct msg *ask)
{
    (void)m;
    for (uint32_t i = 0; i < SIM_SYMBOLS; i++)
        if (code_same(s->symbols[i].code, ask->md_snapshot_get.symbol))
            say_book(s, &s->symbols[i], ask->corr);
}

static void
say_quote(struct sim *s, struct sim_symbol *y)
{
    struct msg m = {.type = MSG_md_quote};
    m.md_quote = (struct md_quote){.symbol = y->code,
                                   .sequence = ++y->sequence,
                                   .bid = y->sides[0][0].price,
                                   .bid_quantity = y->sides[0][0].quantity,
                                   .ask = y->sides[1][0].price,
                                   .ask_quantity = y->sides[1][0].quantity,
                                   .time_us = s->now_us};
    say(s, y, &m);
}

/* Somebody took from the best price of a side. */
static void
say_trade(struct sim *s, struct sim_symbol *y)
{
    bool is_bid = sim_chance(s, 500);
    const struct level *best = &y->sides[is_bid ? 0 : 1][0];
    struct msg m = {.type = MSG_md_trade};
    m.md_trade = (struct md_trade){.symbol = y->code, .sequence = ++y->sequence};
    m.md_trade.trade = (struct public_trade){.trade_id = y->sequence,
                                             .price = best->price,
                                             .quantity = {1 + best->quantity.v / 3},
                                             .time_us = s->now_us - (int64_t)sim_draw(s, 2000),
                                             .buyer_is_maker = is_bid};
    if (y->source == LIQUIDITY_TRADE)
        m.md_trade.trade.price.v = y->mid;
    say(s, y, &m);
}

static void
say_mark(struct sim *s, struct sim_symbol *y)
{
    struct msg m = {.type = MSG_md_mark};
    m.md_mark = (struct md_mark){.symbol = y->code, .sequence = ++y->sequence, .mark = {y->mid}};
    say(s, y, &m);
}

/* What changed between two books, as levels set anew. */
static uint32_t
changes(const struct level *old, const struct level *now, struct level *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SIM_LEVELS; i++) {
        bool stays = false;
        for (uint32_t k = 0; k < SIM_LEVELS; k++)
            stays = stays || now[k].price.v == old[i].price.v;
        if (!stays)
            out[count++] = (struct level){.price = old[i].price};
    }
    memcpy(&out[count], now, SIM_LEVELS * sizeof *now);
    return count + SIM_LEVELS;
}

static void
say_depth(struct sim *s, struct sim_symbol *y, struct level old[2][SIM_LEVELS])
{
    struct level bids[2 * SIM_LEVELS], asks[2 * SIM_LEVELS];
    struct msg m = {.type = MSG_md_depth};
    m.md_depth = (struct md_depth){.symbol = y->code,
                                   .sequence = ++y->sequence,
                                   .bids = bids,
                                   .bids_count = changes(old[0], y->sides[0], bids),
                                   .asks = asks,
                                   .asks_count = changes(old[1], y->sides[1], asks),
                                   .time_us = s->now_us};
    say(s, y, &m);
}

/* ---- Walking -------------------------------------------------------------------------------- */

static void
walk(struct sim *s, struct sim_symbol *y)
{
    int64_t away = y->mid - markets[y - s->symbols].mid;
    int64_t pull = away > 20 * y->tick ? -2 : away < -20 * y->tick ? 2 : 0;
    y->mid += ((int64_t)sim_draw(s, 7) - 3 + pull) * y->tick;
    for (uint32_t i = 0; i < SIM_LEVELS; i++) {
        int64_t step = (int64_t)(i + 1) * y->tick;
        y->sides[0][i] = (struct level){{y->mid - step}, {1 + (int64_t)sim_draw(s, 300000000)}};
        y->sides[1][i] = (struct level){{y->mid + step}, {1 + (int64_t)sim_draw(s, 300000000)}};
    }
}

static struct md_price
price_of(const struct sim_symbol *y)
{
    return (struct md_price){.symbol = y->code,
                             .last = {y->mid},
                             .bid = y->sides[0][0].price,
                             .ask = y->sides[1][0].price,
                             .mark = {y->mid}};
}

static void
tell_price(struct sim *s, const struct sim_symbol *y)
{
    const struct md_price price = price_of(y);
    for (uint32_t i = 0; i < s->ledgers_count; i++)
        if (sim_ledger_serves(&s->ledgers[i]))
            ledger_set_price(&s->ledgers[i].serve->ledger, &price);
}

static void
tick(struct sim *s, struct sim_symbol *y)
{
    struct level old[2][SIM_LEVELS];
    memcpy(old, y->sides, sizeof old);
    walk(s, y);
    tell_price(s, y);
    if (sim_fault(s, s->is.market_gap))
        y->sequence += 2; /* the publisher lost something */
    else if (sim_fault(s, s->is.market_gap))
        y->sequence = 0; /* it began anew */
    if (y->source == LIQUIDITY_DEPTH)
        say_depth(s, y, old);
    if (y->source == LIQUIDITY_QUOTE || sim_chance(s, 200))
        say_quote(s, y);
    if (y->source == LIQUIDITY_TRADE || sim_chance(s, 400))
        say_trade(s, y);
    if (sim_chance(s, 300))
        say_mark(s, y);
}

void
sim_market_turn(struct sim *s)
{
    for (uint32_t i = 0; i < SIM_SYMBOLS; i++) {
        struct sim_symbol *y = &s->symbols[i];
        if (sim_fault(s, s->is.tick))
            tick(s, y);
        if (s->now_us - y->beat_us < BEAT_US)
            continue;
        y->beat_us = s->now_us;
        tell_price(s, y);
        struct msg m = {.type = MSG_md_beat};
        m.md_beat = (struct md_beat){y->code, y->sequence, STREAM_STATE_LIVE};
        say(s, y, &m);
    }
}

void
sim_market_tell(struct ledger *l)
{
    for (uint32_t i = 0; i < SIM_SYMBOLS; i++) {
        const struct symbol_rules rules = {.symbol = code_of(markets[i].symbol),
                                           .base_asset = code_of(markets[i].base),
                                           .quote_asset = code_of(markets[i].quote),
                                           .is_trading = true,
                                           .tick_size = {markets[i].tick},
                                           .step_size = {1000},
                                           .order_amends_max = 5};
        CHECK(ledger_set_rules(l, &rules) == OK);
    }
}

void
sim_market_new(struct sim *s)
{
    for (uint32_t i = 0; i < SIM_SYMBOLS; i++) {
        struct sim_symbol *y = &s->symbols[i];
        y->code = code_of(markets[i].symbol);
        y->source = markets[i].source;
        y->mid = markets[i].mid;
        y->tick = markets[i].tick;
        /* The links spread symbols by this rule. */
        y->matcher = (uint32_t)(map_hash(&y->code, sizeof y->code) % s->matchers_count);
        walk(s, y);
    }
}
