/*
 * md.c - one event of a source applied to its symbol.
 *
 * What comes from a file or a stream is never believed: values out of range are refused and
 * counted, books that cross count as a gap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/md.h"

#include <string.h>

#include "marketdata/core/md_priv.h"

#define ID_MAX ((UINT64_C(1) << 53) - 1)

size_t
md_bytes(const struct md_limits *l)
{
    return l->symbols_max * sizeof(struct md_symbol *) + 16 + map_bytes(l->symbols_max);
}

void
md_init(struct md *m, const struct md_limits *l, const struct symbol_rules *rules,
        uint32_t rules_count, void *bytes)
{
    CHECK(l->symbols_max > 0 && l->levels_max > 0 && l->levels_max <= MD_LEVELS_MAX);
    *m = (struct md){.limits = *l, .rules = rules, .rules_count = rules_count};
    struct arena a;
    arena_init(&a, bytes, md_bytes(l));
    m->symbols = arena_take(&a, l->symbols_max, sizeof(m->symbols[0]));
    void *map = arena_take(&a, map_bytes(l->symbols_max), 1);
    CHECK(m->symbols != NULL && map != NULL);
    map_init(&m->by_name, l->symbols_max, map);
}

size_t
md_symbol_bytes(const struct md_limits *l)
{
    size_t levels = 2 * (size_t)l->levels_max + l->kept_levels_max;
    /* Each block is aligned to 16: at most 15 bytes are lost before each of the 10. */
    return sizeof(struct md_symbol) + levels * sizeof(struct level) +
           (MD_MINUTES + MD_DAYS) * sizeof(struct part) +
           MD_TRADES_MAX * (sizeof(struct public_trade) + sizeof(struct md_ids)) + l->ring_bytes +
           l->ring_messages * sizeof(struct ring_slot) + 10 * 16;
}

const struct symbol_rules *
md_rules_find(const struct md *m, code_t symbol)
{
    uint32_t low = 0, high = m->rules_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(m->rules[middle].symbol.text, symbol.text);
        if (order == 0)
            return &m->rules[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct md_symbol *
md_symbol_find(const struct md *m, code_t symbol)
{
    uint32_t i = map_get(&m->by_name, map_hash(symbol.text, sizeof(symbol.text)));
    if (i == MAP_NONE || !code_same(m->symbols[i]->rules.symbol, symbol))
        return NULL;
    return m->symbols[i];
}

enum err
md_symbol_add(struct md *m, code_t symbol, uint64_t first_sequence, void *bytes)
{
    const struct symbol_rules *rules = md_rules_find(m, symbol);
    if (rules == NULL)
        return ERR_SYMBOL_UNKNOWN;
    if (md_symbol_find(m, symbol) != NULL)
        return OK;
    uint64_t hash = map_hash(symbol.text, sizeof(symbol.text));
    /* Two names with one hash cannot both be kept; 2^-64 for a pair. */
    if (m->count == m->limits.symbols_max || map_get(&m->by_name, hash) != MAP_NONE)
        return ERR_MARKET_UNAVAILABLE;

    /* Nothing below can fail. */
    const struct md_limits *l = &m->limits;
    struct arena a;
    arena_init(&a, bytes, md_symbol_bytes(l));
    struct md_symbol *s = arena_take(&a, 1, sizeof(*s));
    CHECK(s != NULL && first_sequence > 0);
    s->rules = *rules;
    s->sequence = first_sequence - 1;
    sync_init(&s->sync, l->levels_max, l->kept_levels_max, &a);
    md_candles_init(s, &a);
    stats_init(&s->stats, &s->minutes);
    s->trades = arena_take(&a, MD_TRADES_MAX, sizeof(s->trades[0]));
    s->trade_ids = arena_take(&a, MD_TRADES_MAX, sizeof(s->trade_ids[0]));
    CHECK(s->trades != NULL && s->trade_ids != NULL);
    ring_init(&s->ring, l->ring_messages, l->ring_bytes, first_sequence, &a);
    map_set(&m->by_name, hash, m->count);
    m->symbols[m->count++] = s;
    return OK;
}

void *
md_symbol_remove(struct md *m, code_t symbol, struct outbox *out)
{
    struct md_symbol *s = md_symbol_find(m, symbol);
    if (s == NULL)
        return NULL;
    uint64_t hash = map_hash(symbol.text, sizeof(symbol.text));
    uint32_t index = map_get(&m->by_name, hash);
    md_end_publish(s, out);
    CHECK(map_remove(&m->by_name, hash));
    struct md_symbol *last = m->symbols[--m->count];
    if (last != s) {
        m->symbols[index] = last;
        map_set(&m->by_name, map_hash(last->rules.symbol.text, sizeof(symbol.text)), index);
    }
    return s;
}

void
md_rules_set(struct md *m, const struct symbol_rules *rules, uint32_t count)
{
    m->rules = rules;
    m->rules_count = count;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct symbol_rules *own = md_rules_find(m, m->symbols[i]->rules.symbol);
        if (own != NULL)
            m->symbols[i]->rules = *own;
    }
}

bool
md_quote_known(const struct md_symbol *s)
{
    return s->quote.bid.v > 0 || s->quote.ask.v > 0;
}

static void
book_publish(struct md_symbol *s, struct outbox *out)
{
    struct msg *m = outbox_put(out, OUT_PUBLISH, 0, MSG_md_book, 0);
    s->sequence++;
    md_book_fill(s, MD_LEVELS_MAX, &out->lists, &m->md_book);
}

/* ---- Trades ----------------------------------------------------------------------------- */

static enum err
trade_apply(struct md_symbol *s, const struct md_event *e, struct outbox *out)
{
    const struct public_trade *t = &e->trade;
    if (t->price.v <= 0 || t->quantity.v <= 0 || t->trade_id == 0 || t->trade_id > ID_MAX ||
        t->time_us <= 0 || e->last_trade < e->first_trade || e->last_trade > ID_MAX)
        return ERR_LINE_INVALID;
    /* A recording may hold the single trades and the aggregated ones: each is counted once. */
    if (e->is_aggregate ? s->takes_trades : s->takes_aggregates)
        return OK;
    s->takes_aggregates |= e->is_aggregate;
    s->takes_trades |= !e->is_aggregate;

    struct md_trade *m = &outbox_put(out, OUT_PUBLISH, 0, MSG_md_trade, 0)->md_trade;
    m->symbol = s->rules.symbol;
    m->sequence = ++s->sequence;
    m->trade = *t;
    md_candles_trade(s, e, out);
    uint64_t at = s->trades_count++ % MD_TRADES_MAX;
    s->trades[at] = *t;
    s->trade_ids[at] = (struct md_ids){t->trade_id, t->trade_id};
    if (e->is_aggregate)
        s->trade_ids[at] = (struct md_ids){e->first_trade, e->last_trade};
    s->price_is_changed = true;
    md_ticker_changed(s);
    return OK;
}

/* ---- Quotes and the book ---------------------------------------------------------------- */

static enum err
quote_apply(struct md_symbol *s, const struct md_event *e, struct outbox *out)
{
    const struct md_touch *q = &e->quote;
    if (q->bid.v < 0 || q->ask.v < 0 || q->bid_quantity.v < 0 || q->ask_quantity.v < 0 ||
        (q->bid.v > 0 && q->ask.v > 0 && q->bid.v >= q->ask.v))
        return ERR_LINE_INVALID;
    if (q->update_id != 0 && q->update_id < s->quote.update_id)
        return OK;

    s->quote = *q;
    s->quote.time_us = e->time_us;
    struct md_quote *m = &outbox_put(out, OUT_PUBLISH, 0, MSG_md_quote, 0)->md_quote;
    *m = (struct md_quote){.symbol = s->rules.symbol,
                           .sequence = ++s->sequence,
                           .update_id = q->update_id,
                           .bid = q->bid,
                           .bid_quantity = q->bid_quantity,
                           .ask = q->ask,
                           .ask_quantity = q->ask_quantity,
                           .time_us = e->time_us};
    if (q->update_id == 0 || s->sync.state != SYNC_TRUE || q->update_id >= s->sync.last_id) {
        s->touch = s->quote;
        s->price_is_changed = true;
        md_ticker_changed(s);
    }
    return OK;
}

static enum err
mark_apply(struct md_symbol *s, const struct md_event *e, struct outbox *out)
{
    const struct md_mark_price *p = &e->mark;
    if (p->mark.v <= 0 || p->index.v < 0 || p->funding_us < 0)
        return ERR_LINE_INVALID;
    s->mark = *p;
    s->price_is_changed = true;
    struct md_mark *m = &outbox_put(out, OUT_PUBLISH, 0, MSG_md_mark, 0)->md_mark;
    *m = (struct md_mark){.symbol = s->rules.symbol,
                          .sequence = ++s->sequence,
                          .mark = p->mark,
                          .index = p->index,
                          .funding_rate = p->funding_rate,
                          .funding_us = p->funding_us,
                          .time_us = e->time_us};
    return OK;
}

static enum err
liquidation_apply(struct md_symbol *s, const struct md_event *e, struct outbox *out)
{
    const struct md_forced_order *o = &e->liquidation;
    if ((o->side != SIDE_BUY && o->side != SIDE_SELL) || o->quantity.v <= 0 || o->price.v <= 0 ||
        o->average_price.v < 0 || o->executed.v < 0)
        return ERR_LINE_INVALID;
    struct md_liquidation *m =
        &outbox_put(out, OUT_PUBLISH, 0, MSG_md_liquidation, 0)->md_liquidation;
    *m = (struct md_liquidation){.symbol = s->rules.symbol,
                                 .sequence = ++s->sequence,
                                 .side = o->side,
                                 .quantity = o->quantity,
                                 .price = o->price,
                                 .average_price = o->average_price,
                                 .executed_quantity = o->executed,
                                 .time_us = e->time_us};
    return OK;
}

/* The top of the book is the touch, unless a quote has overtaken it. */
static void
touch_from_book(struct md_symbol *s, int64_t time_us)
{
    if (s->quote.update_id > s->sync.last_id)
        return;
    const struct level *bid = book_side_best(&s->sync.book.bids);
    const struct level *ask = book_side_best(&s->sync.book.asks);
    s->touch = (struct md_touch){.update_id = s->sync.last_id, .time_us = time_us};
    if (bid != NULL) {
        s->touch.bid = bid->price;
        s->touch.bid_quantity = bid->quantity;
    }
    if (ask != NULL) {
        s->touch.ask = ask->price;
        s->touch.ask_quantity = ask->quantity;
    }
    s->price_is_changed = true;
    md_ticker_changed(s);
}

static void
depth_publish(struct md_symbol *s, const struct md_event *e, struct outbox *out)
{
    struct md_depth *m = &outbox_put(out, OUT_PUBLISH, 0, MSG_md_depth, 0)->md_depth;
    *m = (struct md_depth){.symbol = s->rules.symbol,
                           .sequence = ++s->sequence,
                           .first_update_id = e->first_id,
                           .last_update_id = e->last_id,
                           .bids = e->bids,
                           .bids_count = e->bid_count,
                           .asks = e->asks,
                           .asks_count = e->ask_count,
                           .time_us = e->time_us};
    touch_from_book(s, e->time_us);
}

static void
heard(struct md_symbol *s, const struct md_event *e, int64_t now_us)
{
    s->heard_us = now_us;
    if (e->time_us > s->market_us) {
        s->market_us = e->time_us;
        s->market_at_us = now_us;
    }
}

static enum err
book_apply(const struct md *m, struct md_symbol *s, const struct md_event *e, int64_t now_us,
           struct outbox *out)
{
    if (e->bid_count > MD_LEVELS_MAX || e->ask_count > MD_LEVELS_MAX)
        return ERR_LINE_INVALID;
    enum sync_step step = sync_apply(&s->sync, e);
    if (step != SYNC_INVALID)
        heard(s, e, now_us);
    switch (step) {
    case SYNC_INVALID:
        return ERR_LINE_INVALID;
    case SYNC_KEPT:
        if (s->sync.state == SYNC_WAITING && s->waiting_us == 0)
            s->waiting_us = now_us;
        break;
    case SYNC_APPLIED:
        depth_publish(s, e, out);
        break;
    case SYNC_BEGUN:
        s->heals += s->has_gap;
        s->has_gap = false;
        s->waiting_us = 0;
        touch_from_book(s, e->time_us);
        md_state_update(m, s, now_us, out);
        book_publish(s, out);
        break;
    case SYNC_GAP:
        s->gaps++;
        s->has_gap = true;
        s->waiting_us = now_us;
        md_state_update(m, s, now_us, out);
        book_publish(s, out);
        break;
    }
    return OK;
}

/* ---- Begin, end, and the door ----------------------------------------------------------- */

/* Followers must not keep the levels of the run before. A clock that goes back (a recording that
 * starts again with its own times) takes the history with it. */
static void
begin_apply(const struct md *m, struct md_symbol *s, const struct md_event *e, int64_t now_us,
            struct outbox *out)
{
    s->has_ended = false;
    s->has_gap = false;
    s->is_away = s->until_alive = s->misses_trades = false;
    s->waiting_us = 0;
    s->takes_aggregates = s->takes_trades = false;
    sync_reset(&s->sync);
    s->quote = s->touch = (struct md_touch){0};
    s->mark = (struct md_mark_price){0};
    if (e->time_us < s->market_us) {
        md_candles_reset(s);
        stats_reset(&s->stats);
        s->trades_count = 0;
        s->market_us = 0;
    }
    if (s->heard_us != 0) {
        md_state_update(m, s, now_us, out);
        book_publish(s, out);
    }
}

static enum err
event_apply(struct md *m, struct md_symbol *s, const struct md_event *e, int64_t now_us,
            struct outbox *out)
{
    switch (e->kind) {
    case MD_EVENT_TRADE:
        return trade_apply(s, e, out);
    case MD_EVENT_QUOTE:
        return quote_apply(s, e, out);
    case MD_EVENT_MARK:
        return mark_apply(s, e, out);
    case MD_EVENT_DIFF:
    case MD_EVENT_BOOK:
        return book_apply(m, s, e, now_us, out);
    case MD_EVENT_BEGIN:
        begin_apply(m, s, e, now_us, out);
        return OK;
    case MD_EVENT_END:
        s->has_ended = true;
        return OK;
    case MD_EVENT_KLINE:
        return md_kline_apply(s, e, out);
    case MD_EVENT_LIQUIDATION:
        return liquidation_apply(s, e, out);
    case MD_EVENT_GAP:
        s->trade_gaps += !s->misses_trades;
        s->misses_trades = true;
        return OK;
    case MD_EVENT_HEALED:
        s->trade_heals += s->misses_trades;
        s->lost_trades += e->lost;
        s->misses_trades = false;
        return OK;
    case MD_EVENT_AWAY:
        s->is_away = true;
        s->until_alive = e->until_alive;
        return OK;
    case MD_EVENT_ALIVE:
        s->until_alive = false;
        break;
    case MD_EVENT_NONE:
    case MD_EVENT_KINDS:
        break;
    }
    return OK;
}

/* What every event says beside its contents: that somebody hears this symbol, and since when. */
static void
after(struct md_symbol *s, const struct md_event *e, int64_t now_us)
{
    bool tells_time = e->kind != MD_EVENT_KLINE && e->kind != MD_EVENT_END && e->time_us > 0;
    if (s->live_us == 0 && tells_time)
        s->live_us = interval_open(INTERVAL_1m, e->time_us);
    if (e->kind == MD_EVENT_BEGIN || e->kind == MD_EVENT_END || e->kind == MD_EVENT_AWAY)
        return;
    s->is_away = s->is_away && s->until_alive;
    if (e->kind == MD_EVENT_ALIVE)
        s->heard_us = now_us;
    else
        heard(s, e, now_us);
}

enum err
md_apply(struct md *m, const struct md_event *e, int64_t now_us, struct outbox *out)
{
    struct md_symbol *s = md_symbol_find(m, e->symbol);
    return s == NULL ? ERR_SYMBOL_UNKNOWN : md_symbol_apply(m, s, e, now_us, out);
}

enum err
md_symbol_apply(struct md *m, struct md_symbol *s, const struct md_event *e, int64_t now_us,
                struct outbox *out)
{
    CHECK(outbox_room(out) >= MD_OUT_MAX);
    /* Only BEGIN may take the clock back. */
    if (e->time_us < 0)
        return ERR_LINE_INVALID;
    enum err error = event_apply(m, s, e, now_us, out);
    if (error != OK) {
        s->refused++;
        return error;
    }
    after(s, e, now_us);
    md_state_update(m, s, now_us, out);
    return OK;
}

static void
symbol_check(const struct md_symbol *s)
{
    book_check(&s->sync.book);
    CHECK(s->sync.state != SYNC_TRUE || !book_crossed(&s->sync.book));
    for (enum interval i = 1; (uint32_t)i <= INTERVALS; i++) {
        struct candle c;
        if (!md_candle_now(s, i, &c))
            continue;
        CHECK(candle_is_valid(&c) && !c.is_closed);
        CHECK(interval_open(i, c.open_time_us) == c.open_time_us);
    }
    CHECK((s->minute != NULL) == s->candles[INTERVAL_1m - 1].is_open);
    CHECK(s->minute == NULL || s->minute->candle.open_time_us == s->minutes.newest_us);
    CHECK(s->stats.trades == 0 || s->stats.low.v <= s->stats.high.v);
}

void
md_check(const struct md *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        symbol_check(m->symbols[i]);
}
