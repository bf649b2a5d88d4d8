/*
 * live_streams.c - what each stream of a symbol says: given once, and seen against the others, so
 * that one that has died is found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/live_priv.h"

#define AHEAD_US        INT64_C(500000) /* of two connections, one may be ahead so long */
#define DEPTH_BEHIND_US (2 * LIVE_SECOND_US)
#define QUOTE_BEHIND_US (5 * LIVE_SECOND_US)
#define MARK_SILENT_US  (10 * LIVE_SECOND_US)
#define KLINE_SILENT_US (130 * LIVE_SECOND_US) /* a quiet symbol's speaks once a minute */
#define BOOK_LEAST_US   INT64_C(250000)
#define BOOK_MOST_US    (30 * LIVE_SECOND_US)
#define LOST_AGAIN_US   (60 * LIVE_SECOND_US)

/* ---- Books ------------------------------------------------------------------------------ */

/* Without its levels: what sync makes of its ids is what the core's will. The core also forgets
 * what it keeps when there are too many levels. */
static enum sync_step
sync_ids(const struct live *l, struct live_book *b, const struct md_event *e)
{
    struct md_event bare = {.kind = e->kind,
                            .first_id = e->first_id,
                            .last_id = e->last_id,
                            .has_previous_id = e->has_previous_id,
                            .previous_id = e->previous_id};
    uint32_t levels = e->bid_count + e->ask_count;
    if (e->kind == MD_EVENT_DIFF && b->kept_levels + levels > l->o.kept_levels_max)
        b->sync.kept_count = 0;
    enum sync_step step = sync_apply(&b->sync, &bare);
    if (b->sync.kept_count == 0)
        b->kept_levels = 0;
    else if (e->kind == MD_EVENT_DIFF && step != SYNC_INVALID)
        b->kept_levels = (b->sync.kept_count == 1 ? 0 : b->kept_levels) + levels;
    return step;
}

bool
live_book_waits(const struct live_symbol *s)
{
    return s->book.sync.state == SYNC_WAITING;
}

static void
book_wants(struct live *l, struct live_book *b)
{
    if (!b->is_asked && b->ask_us < l->now_us)
        b->ask_us = l->now_us;
    l->is_due = true;
}

/* Whether a diff is the next one, as far as is known. */
static bool
diff_follows(const struct live_book *b, const struct md_event *e)
{
    if (b->diff_id == 0)
        return true;
    return e->has_previous_id ? e->previous_id <= b->diff_id : e->first_id <= b->diff_id + 1;
}

/* While two connections carry a symbol, one of them is ahead of the other now and then. */
static bool
is_only_ahead(struct live *l, struct live_symbol *s, uint32_t slot, const struct md_event *e)
{
    struct live_book *b = &s->book;
    if (diff_follows(b, e)) {
        b->ahead_us = 0;
        return false;
    }
    if (!live_carries(l, s, 1 - slot, LIVE_DEPTH))
        return false;
    if (b->ahead_us == 0)
        b->ahead_us = l->now_us;
    return l->now_us - b->ahead_us < AHEAD_US;
}

static void
diff_take(struct live *l, struct live_symbol *s, uint32_t slot, const struct md_event *e,
          const char *text, size_t length)
{
    struct live_book *b = &s->book;
    if (e->last_id <= b->diff_id) {
        l->counts.doubled++;
        return;
    }
    if (is_only_ahead(l, s, slot, e))
        return;
    uint64_t before = b->diff_id;
    bool is_next =
        before == 0 || (e->has_previous_id ? e->previous_id == before : e->first_id == before + 1);
    b->ahead_us = 0;
    b->diff_id = e->last_id;
    s->watch[LIVE_DEPTH].behind_us = s->watch[LIVE_DEPTH].wait_us = 0;
    enum sync_step step = sync_ids(l, b, e);
    if (step == SYNC_GAP)
        l->counts.gaps++;
    if (b->sync.state == SYNC_WAITING)
        book_wants(l, b);
    if (step == SYNC_INVALID) {
        l->counts.invalid++;
        return;
    }
    live_give(l, s, e, text, length);
    if (!is_next)
        live_mark(l, "break", before + 1, e->first_id - 1);
}

bool
live_book_take(struct live *l, struct live_symbol *s, struct md_event *e, const char *text,
               size_t length)
{
    struct live_book *b = &s->book;
    bool was_gap = b->sync.state == SYNC_WAITING;
    enum sync_step step = sync_ids(l, b, e);
    if (step != SYNC_BEGUN) {
        /* Older than the diffs: another one is asked for, not at once. */
        b->ask_us = l->now_us + live_backoff(l, b->failures, BOOK_LEAST_US, BOOK_MOST_US);
        b->failures++;
        return false;
    }
    if (was_gap && b->has_been_true)
        l->counts.heals++;
    b->has_been_true = true;
    b->failures = 0;
    live_give(l, s, e, text, length);
    l->given.is_snapshot = true;
    l->given.lower = s->lower;
    return true;
}

void
live_book_lost(struct live *l, code_t name)
{
    struct live_symbol *s = live_symbol_find(l, name);
    if (s == NULL || s->book.sync.state != SYNC_TRUE)
        return;
    struct live_book *b = &s->book;
    b->sync.state = SYNC_WAITING;
    b->sync.kept_count = b->kept_levels = 0;
    l->counts.gaps++;
    /* One that crosses again and again must not use up the request weight. */
    if (l->now_us - b->lost_us > LOST_AGAIN_US)
        b->losses = 0;
    b->lost_us = l->now_us;
    b->ask_us = l->now_us + live_backoff(l, b->losses++, BOOK_LEAST_US, BOOK_MOST_US);
    book_wants(l, b);
}

/* ---- The others ------------------------------------------------------------------------- */

static void
quote_take(struct live *l, struct live_symbol *s, const struct md_event *e, const char *text,
           size_t length)
{
    if (e->quote.update_id <= s->quote_id) {
        l->counts.doubled++;
        return;
    }
    s->quote_id = e->quote.update_id;
    s->watch[LIVE_QUOTES].wait_us = 0;
    live_give(l, s, e, text, length);
}

static void
kline_take(struct live *l, struct live_symbol *s, const struct md_event *e, const char *text,
           size_t length)
{
    struct live_klines *k = &s->minutes;
    if (e->kline_last_trade > 0)
        live_trades_known(l, s, e->kline_last_trade);
    if (e->interval != INTERVAL_1m || e->time_us < k->event_us ||
        (e->time_us == k->event_us && e->kline.open_time_us <= k->open_us)) {
        l->counts.doubled++;
        return;
    }
    k->event_us = e->time_us;
    k->open_us = e->kline.open_time_us;
    s->watch[LIVE_KLINES].wait_us = 0;
    /* A closed minute was missed: its kline is asked for. */
    if (k->closed_us > 0 && k->open_us > k->closed_us + LIVE_MINUTE_US)
        k->is_wanted = true;
    if (e->kline.is_closed && !k->is_wanted && k->open_us > k->closed_us)
        k->closed_us = k->open_us;
    live_give(l, s, e, text, length);
}

static void
mark_take(struct live *l, struct live_symbol *s, const struct md_event *e, const char *text,
          size_t length)
{
    if (e->time_us <= s->mark_us) {
        l->counts.doubled++;
        return;
    }
    s->mark_us = e->time_us;
    s->watch[LIVE_MARKS].wait_us = 0;
    live_give(l, s, e, text, length);
}

/* They have no ids: two that are alike are one. */
static void
forced_take(struct live *l, struct live_symbol *s, const struct md_event *e, const char *text,
            size_t length)
{
    const struct md_forced_order *f = &e->liquidation;
    const int64_t parts[] = {e->time_us,    f->side,    f->quantity.v,
                             f->executed.v, f->price.v, f->average_price.v};
    uint64_t hash = map_hash(parts, sizeof(parts));
    for (uint32_t i = 0; i < LIVE_FORCED_MAX; i++) {
        if (s->forced[i] == hash) {
            l->counts.doubled++;
            return;
        }
    }
    s->forced[s->forced_count++ % LIVE_FORCED_MAX] = hash;
    live_give(l, s, e, text, length);
}

static void
heard(struct live *l, struct live_symbol *s, uint32_t slot, enum live_kind kind)
{
    s->heard[slot] |= (uint8_t)(1u << kind);
    s->heard_us[kind] = l->now_us;
}

void
live_event_take(struct live *l, struct live_symbol *s, uint32_t slot, struct md_event *e,
                const char *text, size_t length)
{
    switch (e->kind) {
    case MD_EVENT_TRADE:
        heard(l, s, slot, LIVE_TRADES);
        live_trade_take(l, s, e, text, length);
        return;
    case MD_EVENT_QUOTE:
        heard(l, s, slot, LIVE_QUOTES);
        quote_take(l, s, e, text, length);
        return;
    case MD_EVENT_DIFF:
        heard(l, s, slot, LIVE_DEPTH);
        diff_take(l, s, slot, e, text, length);
        return;
    case MD_EVENT_KLINE:
        heard(l, s, slot, LIVE_KLINES);
        kline_take(l, s, e, text, length);
        return;
    case MD_EVENT_MARK:
        heard(l, s, slot, LIVE_MARKS);
        mark_take(l, s, e, text, length);
        return;
    case MD_EVENT_LIQUIDATION:
        heard(l, s, slot, LIVE_FORCED);
        forced_take(l, s, e, text, length);
        return;
    case MD_EVENT_BOOK: /* partial depth: nobody subscribed to it */
    case MD_EVENT_NONE:
    case MD_EVENT_BEGIN:
    case MD_EVENT_END:
    case MD_EVENT_ALIVE:
    case MD_EVENT_GAP:
    case MD_EVENT_HEALED:
    case MD_EVENT_AWAY:
    case MD_EVENT_KINDS:
        l->counts.ignored++;
    }
}

/* ---- Streams that have died ------------------------------------------------------------- */

/* `is_behind`: the others of the symbol know more than this stream. */
static void
behind(struct live *l, struct live_symbol *s, enum live_kind kind, bool is_behind, int64_t limit_us)
{
    struct live_watch *w = &s->watch[kind];
    if (!is_behind)
        w->behind_us = 0;
    else if (w->behind_us == 0)
        w->behind_us = l->now_us;
    else if (l->now_us - w->behind_us >= limit_us)
        live_renew(l, s, kind);
}

void
live_streams_tick(struct live *l, struct live_symbol *s)
{
    const struct live_book *b = &s->book;
    bool has_quotes = s->quote_id > 0 && s->heard_us[LIVE_QUOTES] > 0;
    bool has_depth = s->heard_us[LIVE_DEPTH] > 0;
    if (!live_carried(l, s)) {
        for (enum live_kind k = LIVE_QUOTES; k < LIVE_KINDS; k++) {
            s->watch[k].behind_us = 0;
            s->heard_us[k] = s->heard_us[k] > 0 ? l->now_us : 0;
        }
        return;
    }
    /* Each change of the touch is a change of the book; not the other way round, so that quotes
     * are given more time, and twice as much with every renewal that was in vain. */
    behind(l, s, LIVE_DEPTH, has_quotes && s->quote_id > b->diff_id, DEPTH_BEHIND_US);
    behind(l, s, LIVE_QUOTES,
           has_depth && b->diff_id > s->quote_id &&
               s->heard_us[LIVE_DEPTH] > s->heard_us[LIVE_QUOTES] + QUOTE_BEHIND_US,
           LIVE_TICK_US);
    behind(l, s, LIVE_MARKS,
           s->heard_us[LIVE_MARKS] > 0 && l->now_us - s->heard_us[LIVE_MARKS] >= MARK_SILENT_US,
           LIVE_TICK_US);
    behind(l, s, LIVE_KLINES,
           s->heard_us[LIVE_KLINES] > 0 && l->now_us - s->heard_us[LIVE_KLINES] >= KLINE_SILENT_US,
           LIVE_TICK_US);
}
