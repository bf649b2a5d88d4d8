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
    /* Each block is aligned to 16: at most 15 bytes are lost before each of the 8. */
    return sizeof(struct md_symbol) + levels * sizeof(struct level) +
           STATS_MINUTES * sizeof(struct stats_bucket) +
           MD_TRADES_MAX * sizeof(struct public_trade) + l->ring_bytes +
           l->ring_messages * sizeof(struct ring_slot) + 8 * 16;
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
    struct stats_bucket *buckets = arena_take(&a, STATS_MINUTES, sizeof(*buckets));
    CHECK(buckets != NULL);
    stats_init(&s->stats, buckets);
    s->trades = arena_take(&a, MD_TRADES_MAX, sizeof(s->trades[0]));
    CHECK(s->trades != NULL);
    ring_init(&s->ring, l->ring_messages, l->ring_bytes, first_sequence, &a);
    map_set(&m->by_name, hash, m->count);
    m->symbols[m->count++] = s;
    return OK;
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

static bool
candle_holds(const struct candle *c, enum interval i, int64_t time_us)
{
    return time_us >= c->open_time_us && time_us - c->open_time_us < interval_us(i);
}

/* Gives whether the trade came too late for its candle. */
static bool
candle_trade(struct md_symbol *s, enum interval i, const struct public_trade *t, struct outbox *out)
{
    struct md_candle_slot *slot = &s->candles[i - 1];
    if (slot->now.trades > 0 && candle_holds(&slot->now, i, t->time_us)) {
        candle_add(&slot->now, t);
        slot->is_changed = true;
        return false;
    }
    int64_t open_us = interval_open(i, t->time_us);
    if (slot->now.trades > 0) {
        if (open_us < slot->now.open_time_us)
            return true;
        md_candle_close(s, i, out);
    } else if (slot->closed_count > 0) {
        uint32_t newest = (slot->closed_count - 1) % MD_CLOSED_CANDLES;
        if (open_us <= slot->closed[newest].open_time_us)
            return true;
    }
    candle_begin(&slot->now, i, t);
    slot->first_trade_us = t->time_us;
    slot->is_changed = true;
    return false;
}

static enum err
trade_apply(struct md_symbol *s, const struct md_event *e, struct outbox *out)
{
    const struct public_trade *t = &e->trade;
    if (t->price.v <= 0 || t->quantity.v <= 0 || t->trade_id == 0 || t->trade_id > ID_MAX ||
        t->time_us <= 0)
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
    s->trades[s->trades_count++ % MD_TRADES_MAX] = *t;
    stats_trade(&s->stats, t);
    bool is_late = false;
    for (uint32_t i = 1; i <= INTERVALS; i++)
        is_late |= candle_trade(s, (enum interval)i, t, out);
    s->late_trades += is_late;
    s->price_is_changed = s->ticker_is_changed = true;
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
        s->price_is_changed = s->ticker_is_changed = true;
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
    s->price_is_changed = s->ticker_is_changed = true;
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
    if (e->time_us > s->market_us)
        s->market_us = e->time_us;
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
    s->waiting_us = 0;
    s->takes_aggregates = s->takes_trades = false;
    sync_reset(&s->sync);
    s->quote = s->touch = (struct md_touch){0};
    s->mark = (struct md_mark_price){0};
    if (e->time_us < s->market_us) {
        stats_reset(&s->stats);
        memset(s->candles, 0, sizeof(s->candles));
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
    case MD_EVENT_NONE:
    case MD_EVENT_KLINE:
    case MD_EVENT_LIQUIDATION:
    case MD_EVENT_ALIVE:
    case MD_EVENT_GAP:
    case MD_EVENT_HEALED:
    case MD_EVENT_AWAY:
    case MD_EVENT_KINDS:
        break;
    }
    return OK;
}

enum err
md_apply(struct md *m, const struct md_event *e, int64_t now_us, struct outbox *out)
{
    CHECK(outbox_room(out) >= MD_OUT_MAX);
    struct md_symbol *s = md_symbol_find(m, e->symbol);
    if (s == NULL)
        return ERR_SYMBOL_UNKNOWN;
    /* Only BEGIN may take the clock back. */
    if (e->time_us < 0)
        return ERR_LINE_INVALID;
    enum err error = event_apply(m, s, e, now_us, out);
    if (error != OK) {
        s->refused++;
        return error;
    }
    if (e->kind != MD_EVENT_BEGIN && e->kind != MD_EVENT_END)
        heard(s, e, now_us);
    md_state_update(m, s, now_us, out);
    return OK;
}

static void
symbol_check(const struct md_symbol *s)
{
    book_check(&s->sync.book);
    CHECK(s->sync.state != SYNC_TRUE || !book_crossed(&s->sync.book));
    for (uint32_t i = 0; i < INTERVALS; i++) {
        const struct candle *c = &s->candles[i].now;
        CHECK(c->trades == 0 || (c->low.v <= c->open.v && c->open.v <= c->high.v));
        CHECK(c->trades == 0 || (c->low.v <= c->close.v && c->close.v <= c->high.v));
        CHECK(c->taker_buy_volume.v <= c->volume.v);
        CHECK(c->trades == 0 || c->open_time_us % interval_us((enum interval)(i + 1)) == 0);
    }
    CHECK(s->stats.trades == 0 || s->stats.low.v <= s->stats.high.v);
}

void
md_check(const struct md *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        symbol_check(m->symbols[i]);
}
