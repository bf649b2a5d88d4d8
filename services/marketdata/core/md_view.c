/*
 * md_view.c - what is known of a symbol, as messages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/md_priv.h"

#define DEPTH_LIMIT_DEFAULT  100u
#define TRADES_LIMIT_DEFAULT 500u

/* The middle of the touch, or its only side; 0 when there is none. */
static price_t
touch_middle(const struct md_touch *t)
{
    if (t->bid.v > 0 && t->ask.v > 0)
        return (price_t){t->bid.v + (t->ask.v - t->bid.v) / 2};
    return t->bid.v > 0 ? t->bid : t->ask;
}

bool
md_has_price(const struct md_symbol *s)
{
    return s->stats.last.v > 0 || touch_middle(&s->touch).v > 0;
}

void
md_view_price(const struct md_symbol *s, struct md_price *out)
{
    price_t last = s->stats.last.v > 0 ? s->stats.last : touch_middle(&s->touch);
    price_t average = stats_average(&s->stats);
    *out = (struct md_price){.symbol = s->rules.symbol,
                             .last = last,
                             .is_middle = s->stats.last.v <= 0,
                             .bid = s->touch.bid,
                             .ask = s->touch.ask,
                             .average = average.v > 0 ? average : last,
                             .time_us = s->market_us,
                             .state = s->state,
                             .mark = s->mark.mark};
}

void
md_view_ticker(const struct md_symbol *s, struct md_ticker *out)
{
    const struct stats *t = &s->stats;
    price_t last = t->last.v > 0 ? t->last : touch_middle(&s->touch);
    /* After a day without trades the last price is all there is. */
    bool has_trades = t->trades > 0;
    *out = (struct md_ticker){.symbol = s->rules.symbol,
                              .last_price = last,
                              .bid = s->touch.bid,
                              .bid_quantity = s->touch.bid_quantity,
                              .ask = s->touch.ask,
                              .ask_quantity = s->touch.ask_quantity,
                              .open_price = has_trades ? t->open : last,
                              .high_price = has_trades ? t->high : last,
                              .low_price = has_trades ? t->low : last,
                              .volume = {t->volume},
                              .quote_volume = {t->quote_volume},
                              .trades = t->trades,
                              .time_us = s->market_us,
                              .state = s->state};
    out->price_change.v = out->last_price.v - out->open_price.v;
}

/* One level for a side of a quote, in memory of `lists`. */
static uint32_t
quote_level(price_t price, qty_t quantity, struct arena *lists, const struct level **out)
{
    if (price.v <= 0 || quantity.v <= 0)
        return 0;
    struct level *l = arena_take(lists, 1, sizeof(*l));
    CHECK(l != NULL);
    *l = (struct level){.price = price, .quantity = quantity};
    *out = l;
    return 1;
}

void
md_book_fill(const struct md_symbol *s, uint32_t limit, struct arena *lists, struct md_book *out)
{
    *out = (struct md_book){.symbol = s->rules.symbol,
                            .sequence = s->sequence,
                            .time_us = s->market_us,
                            .state = s->state,
                            .last_price = s->stats.last};
    if (s->sync.state == SYNC_TRUE) {
        out->source = LIQUIDITY_DEPTH;
        out->last_update_id = s->sync.last_id;
        out->bids_count = book_side_copy(&s->sync.book.bids, limit, lists, &out->bids);
        out->asks_count = book_side_copy(&s->sync.book.asks, limit, lists, &out->asks);
    } else if (md_quote_known(s)) {
        const struct md_touch *q = &s->quote;
        out->source = LIQUIDITY_QUOTE;
        out->last_update_id = q->update_id;
        out->bids_count = quote_level(q->bid, q->bid_quantity, lists, &out->bids);
        out->asks_count = quote_level(q->ask, q->ask_quantity, lists, &out->asks);
    } else {
        out->source = LIQUIDITY_TRADE;
    }
}

/* ---- Questions -------------------------------------------------------------------------- */

static enum err
symbol_for(const struct md *m, code_t symbol, const struct md_symbol **out)
{
    *out = md_symbol_find(m, symbol);
    if (*out == NULL && md_rules_find(m, symbol) == NULL)
        return ERR_SYMBOL_UNKNOWN;
    return *out == NULL || (*out)->heard_us == 0 ? ERR_MARKET_UNAVAILABLE : OK;
}

static enum err
ask_book(struct md *m, uint32_t peer, uint64_t corr, code_t symbol, uint32_t limit,
         struct outbox *out)
{
    const struct md_symbol *s;
    if (limit > MD_LEVELS_MAX)
        return ERR_NUMBER_RANGE;
    enum err e = symbol_for(m, symbol, &s);
    if (e != OK)
        return e;
    struct msg *reply = outbox_put(out, OUT_REPLY, peer, MSG_md_book, corr);
    md_book_fill(s, limit, &out->lists, &reply->md_book);
    return OK;
}

static enum err
ask_trades(struct md *m, uint32_t peer, uint64_t corr, const struct md_trades_get *get,
           struct outbox *out)
{
    const struct md_symbol *s;
    if (get->limit > MD_TRADES_MAX)
        return ERR_NUMBER_RANGE;
    enum err e = symbol_for(m, get->symbol, &s);
    if (e != OK)
        return e;
    uint64_t count = get->limit == 0 ? TRADES_LIMIT_DEFAULT : get->limit;
    if (count > s->trades_count)
        count = s->trades_count;
    struct public_trade *list = arena_take(&out->lists, count, sizeof(*list));
    CHECK(list != NULL || count == 0);
    for (uint64_t i = 0; i < count; i++)
        list[i] = s->trades[(s->trades_count - count + i) % MD_TRADES_MAX];
    struct msg *reply = outbox_put(out, OUT_REPLY, peer, MSG_md_trades, corr);
    reply->md_trades.symbol = get->symbol;
    reply->md_trades.trades = list;
    reply->md_trades.trades_count = (uint32_t)count;
    return OK;
}

static enum err
ask_symbols(struct md *m, uint32_t peer, uint64_t corr, const struct md_symbols_get *get,
            struct outbox *out)
{
    const struct symbol_rules *list = m->rules;
    uint32_t count = m->rules_count;
    if (!code_empty(get->symbol)) {
        list = md_rules_find(m, get->symbol);
        if (list == NULL)
            return ERR_SYMBOL_UNKNOWN;
        count = 1;
    }
    struct msg *reply = outbox_put(out, OUT_REPLY, peer, MSG_md_symbols, corr);
    reply->md_symbols.symbols = list;
    reply->md_symbols.symbols_count = count;
    return OK;
}

enum err
md_ask(struct md *m, uint32_t peer, const struct msg *ask, struct outbox *out)
{
    CHECK(outbox_room(out) >= MD_OUT_MAX);
    switch (ask->type) {
    case MSG_md_snapshot_get:
        return ask_book(m, peer, ask->corr, ask->md_snapshot_get.symbol, MD_LEVELS_MAX, out);
    case MSG_md_depth_get: {
        uint32_t limit = ask->md_depth_get.limit;
        return ask_book(m, peer, ask->corr, ask->md_depth_get.symbol,
                        limit == 0 ? DEPTH_LIMIT_DEFAULT : limit, out);
    }
    case MSG_md_trades_get:
        return ask_trades(m, peer, ask->corr, &ask->md_trades_get, out);
    case MSG_md_symbols_get:
        return ask_symbols(m, peer, ask->corr, &ask->md_symbols_get, out);
    default:
        return ERR_WIRE_UNKNOWN;
    }
}
