/*
 * live_trades.c - every trade once and in order: what is skipped, kept back, filled in, given up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "marketdata/core/live_priv.h"
#include "marketdata/core/live_text.h"

#define BEHIND_US     (2 * LIVE_SECOND_US) /* a kline may be ahead of the trades so long */
#define AHEAD_US      INT64_C(300000)
#define ASK_FIRST_US  INT64_C(100000) /* what comes out of order needs no request */
#define ASK_LEAST_US  INT64_C(250000)
#define ASK_MOST_US   (5 * LIVE_SECOND_US)
#define LOST_LEAST_US (5 * LIVE_SECOND_US)
#define LOST_MOST_US  (120 * LIVE_SECOND_US)

/* The last raw trade that a message stands for. */
static uint64_t
raw_of(const struct md_event *e)
{
    return e->is_aggregate && e->last_trade != 0 ? e->last_trade : e->trade.trade_id;
}

/* ---- Held trades ------------------------------------------------------------------------ */

static void
held_free(struct live *l, uint32_t index)
{
    l->held[index].next = l->held_free;
    l->held_free = index;
}

/* By id; nearly always the last. False when it is there already. */
static bool
held_link(struct live *l, struct live_trades *t, uint32_t index)
{
    uint64_t id = l->held[index].trade.trade_id;
    uint32_t before = LIVE_NONE, at = t->head;
    if (t->tail != LIVE_NONE && l->held[t->tail].trade.trade_id < id) {
        before = t->tail;
        at = LIVE_NONE;
    }
    while (at != LIVE_NONE && l->held[at].trade.trade_id < id) {
        before = at;
        at = l->held[at].next;
    }
    if (at != LIVE_NONE && l->held[at].trade.trade_id == id)
        return false;
    l->held[index].next = at;
    if (before == LIVE_NONE)
        t->head = index;
    else
        l->held[before].next = index;
    if (at == LIVE_NONE)
        t->tail = index;
    t->held++;
    return true;
}

static void
held_take(struct live *l, struct live_symbol *s, const struct md_event *e, const char *text,
          size_t length)
{
    uint32_t index = l->held_free;
    CHECK(index != LIVE_NONE);
    l->held_free = l->held[index].next;
    struct live_held *h = &l->held[index];
    h->trade = e->trade;
    h->first_trade = e->first_trade;
    h->last_trade = e->last_trade;
    h->is_backfill = text == NULL;
    h->length = text != NULL && length <= LIVE_HELD_BYTES ? (uint32_t)length : 0;
    if (h->length > 0)
        memcpy(h->text, text, length);
    if (!held_link(l, &s->trades, index)) {
        l->counts.doubled++;
        held_free(l, index);
    }
    /* The next trade must find room. */
    if (l->held_free == LIVE_NONE)
        s->trades.gives_up = true;
}

void
live_trades_forget(struct live *l, struct live_symbol *s)
{
    struct live_trades *t = &s->trades;
    while (t->head != LIVE_NONE) {
        uint32_t index = t->head;
        t->head = l->held[index].next;
        held_free(l, index);
    }
    t->tail = LIVE_NONE;
    t->held = 0;
}

/* ---- Giving ----------------------------------------------------------------------------- */

/* What was lost is marked where it is missing. */
static void
lost_mark(struct live *l, struct live_trades *t)
{
    if (t->lost_last != 0)
        live_mark(l, "lost", t->lost_first, t->lost_last);
    t->lost_first = t->lost_last = 0;
}

static void
trade_give(struct live *l, struct live_symbol *s, const struct md_event *e, const char *text,
           size_t length)
{
    struct live_trades *t = &s->trades;
    t->last_id = e->trade.trade_id;
    if (raw_of(e) > t->last_raw)
        t->last_raw = raw_of(e);
    if (t->want_raw <= t->last_raw)
        t->want_raw = 0;
    if (t->known_raw <= t->last_raw)
        s->watch[LIVE_TRADES].behind_us = 0;
    live_give(l, s, e, text, length);
    lost_mark(l, t);
}

static void
written_give(struct live *l, struct live_symbol *s, const struct md_event *e, bool is_backfill)
{
    struct pen p = pen_on(l->written, LIVE_WRITTEN_BYTES);
    live_trade_write(&p, l, s, e, is_backfill ? "backfill" : NULL);
    trade_give(l, s, e, p.text, p.length);
}

static void
held_give(struct live *l, struct live_symbol *s)
{
    struct live_trades *t = &s->trades;
    uint32_t index = t->head;
    const struct live_held *h = &l->held[index];
    struct md_event e = {.kind = MD_EVENT_TRADE,
                         .symbol = s->name,
                         .time_us = h->trade.time_us,
                         .is_aggregate = l->o.market != TRADING_TYPE_spot,
                         .trade = h->trade,
                         .first_trade = h->first_trade,
                         .last_trade = h->last_trade};
    t->head = h->next;
    if (t->head == LIVE_NONE)
        t->tail = LIVE_NONE;
    t->held--;
    if (h->length == 0) {
        written_give(l, s, &e, h->is_backfill);
    } else {
        memcpy(l->written, h->text, h->length);
        trade_give(l, s, &e, l->written, h->length);
    }
    held_free(l, index);
}

/* ---- What is lost ----------------------------------------------------------------------- */

/* Remembered, to be asked for later; the oldest gives way. */
static void
lost_keep(struct live *l, const struct live_symbol *s, uint64_t first, uint64_t last)
{
    struct live_lost *place = &l->lost[0];
    for (uint32_t i = 0; i < LIVE_LOST_MAX; i++) {
        struct live_lost *lost = &l->lost[i];
        if (!lost->is_used) {
            place = lost;
            break;
        }
        if (!lost->is_asked && lost->ask_us < place->ask_us)
            place = lost;
    }
    *place =
        (struct live_lost){.is_used = true,
                           .symbol = live_index(l, s),
                           .generation = s->generation,
                           .first = first,
                           .last = last,
                           .ask_us = l->now_us + live_backoff(l, 0, LOST_LEAST_US, LOST_MOST_US)};
}

bool
live_lost_backfill(struct live *l, struct live_lost *lost, const struct md_event *e)
{
    uint64_t id = e->trade.trade_id;
    struct live_symbol *s = live_symbol_of(l, lost->symbol, lost->generation);
    if (s == NULL || id > lost->last)
        return false;
    if (id < lost->first)
        return true;
    struct pen p = pen_on(l->written, LIVE_WRITTEN_BYTES);
    live_trade_write(&p, l, s, e, "late");
    CHECK(!l->has_given);
    l->has_given = true;
    l->given = (struct live_given){.event = *e, .text = p.text, .length = p.length};
    l->given.event.symbol = s->name;
    l->given.event.at_us = l->wall_us;
    l->counts.found_late++;
    lost->first = id + 1;
    return true;
}

/* ---- The door --------------------------------------------------------------------------- */

void
live_trade_take(struct live *l, struct live_symbol *s, const struct md_event *e, const char *text,
                size_t length)
{
    struct live_trades *t = &s->trades;
    uint64_t id = e->trade.trade_id;
    /* The first one begins, unless a kline told which trade came before. */
    if (t->last_id == 0) {
        trade_give(l, s, e, text, length);
        return;
    }
    if (id <= t->last_id) {
        l->counts.doubled++;
        return;
    }
    if (id == t->last_id + 1) {
        if (text == NULL)
            written_give(l, s, e, true);
        else
            trade_give(l, s, e, text, length);
        if (t->has_gap)
            live_dirty(l, s, LIVE_TELL_TRADES);
        return;
    }
    held_take(l, s, e, text, length);
    live_dirty(l, s, LIVE_TELL_TRADES);
    l->is_due = true;
}

/* ---- Holes ------------------------------------------------------------------------------ */

static void
held_skip(struct live *l, struct live_trades *t)
{
    while (t->head != LIVE_NONE && l->held[t->head].trade.trade_id <= t->last_id) {
        uint32_t index = t->head;
        t->head = l->held[index].next;
        t->held--;
        l->counts.doubled++;
        held_free(l, index);
    }
    if (t->head == LIVE_NONE)
        t->tail = LIVE_NONE;
}

/* Whether something is missing behind what was given, and its last id as far as that is known. */
static bool
hole_find(const struct live *l, const struct live_trades *t, uint64_t *last)
{
    if (t->head != LIVE_NONE) {
        *last = l->held[t->head].trade.trade_id - 1;
        return *last > t->last_id;
    }
    /* Aggregated trades: nobody tells the ids of those that stand for these. */
    *last = l->o.market == TRADING_TYPE_spot ? t->want_raw : UINT64_MAX;
    return t->want_raw > t->last_raw;
}

static void
gap_tell(struct live *l, struct live_symbol *s, uint64_t last)
{
    struct live_trades *t = &s->trades;
    struct md_event e = {.kind = MD_EVENT_GAP,
                         .first_id = t->last_id + 1,
                         .last_id = last == UINT64_MAX ? t->last_id + 1 : last};
    t->ahead_us = 0;
    t->has_gap = true;
    t->gap_to = last;
    t->gap_us = l->now_us;
    if (t->ask_us < l->now_us + ASK_FIRST_US)
        t->ask_us = l->now_us + ASK_FIRST_US;
    l->counts.gaps++;
    live_give(l, s, &e, NULL, 0);
    live_mark(l, "gap", e.first_id, e.last_id);
}

static void
healed_tell(struct live *l, struct live_symbol *s)
{
    struct live_trades *t = &s->trades;
    struct md_event e = {.kind = MD_EVENT_HEALED, .lost = t->lost, .last_id = t->last_id};
    t->has_gap = t->gives_up = false;
    t->lost = 0;
    t->failures = 0;
    l->counts.heals++;
    live_give(l, s, &e, NULL, 0);
    live_mark(l, "heal", 0, e.last_id);
    lost_mark(l, t);
}

/* Goes on without what is missing. */
static void
hole_lose(struct live *l, struct live_symbol *s, uint64_t last)
{
    struct live_trades *t = &s->trades;
    uint64_t count = t->want_raw - t->last_raw;
    if (last != UINT64_MAX) {
        lost_keep(l, s, t->last_id + 1, last);
        count = last - t->last_id;
        t->lost_first = t->last_id + 1;
        t->lost_last = t->last_id = last;
    }
    if (t->want_raw > t->last_raw)
        t->last_raw = t->want_raw;
    t->want_raw = 0;
    t->lost += count;
    l->counts.lost += count;
}

/* Of two connections, one is ahead of the other: what is missing is most often on its way. */
static bool
is_only_ahead(struct live *l, struct live_symbol *s)
{
    struct live_trades *t = &s->trades;
    if (t->gives_up || !live_carries(l, s, 0, LIVE_TRADES) || !live_carries(l, s, 1, LIVE_TRADES))
        return false;
    if (t->ahead_us == 0)
        t->ahead_us = l->now_us;
    return l->now_us - t->ahead_us < AHEAD_US;
}

bool
live_trades_next(struct live *l, struct live_symbol *s)
{
    struct live_trades *t = &s->trades;
    uint64_t last;
    held_skip(l, t);
    if (hole_find(l, t, &last)) {
        if (!t->has_gap || t->last_id >= t->gap_to) {
            if (is_only_ahead(l, s))
                return false;
            gap_tell(l, s, last);
            return true;
        }
        if (!t->gives_up)
            return false;
        hole_lose(l, s, last);
    }
    t->ahead_us = 0;
    if (t->head != LIVE_NONE) {
        held_give(l, s);
        return true;
    }
    if (!t->has_gap)
        return false;
    healed_tell(l, s);
    return true;
}

/* ---- Asking ----------------------------------------------------------------------------- */

bool
live_trades_backfill(struct live *l, struct live_symbol *s, const struct md_event *e)
{
    const struct live_trades *t = &s->trades;
    uint64_t id = e->trade.trade_id;
    bool is_past = t->head != LIVE_NONE && id >= l->held[t->head].trade.trade_id;
    if (!t->has_gap || is_past)
        return false;
    if (id > t->last_id)
        live_trade_take(l, s, e, NULL, 0);
    return true;
}

void
live_trades_answered(struct live *l, struct live_symbol *s, bool is_ok, uint64_t used)
{
    struct live_trades *t = &s->trades;
    t->is_asked = false;
    if (is_ok && used > 0) {
        t->failures = 0;
        t->ask_us = l->now_us;
    } else {
        t->ask_us = l->now_us + live_backoff(l, t->failures, ASK_LEAST_US, ASK_MOST_US);
        t->failures++;
    }
    l->is_due = true;
}

void
live_trades_known(struct live *l, struct live_symbol *s, uint64_t raw)
{
    struct live_trades *t = &s->trades;
    struct live_watch *w = &s->watch[LIVE_TRADES];
    /* Before the first trade: whatever was before is not ours to give. */
    if (t->last_raw == 0) {
        t->last_raw = raw;
        if (l->o.market == TRADING_TYPE_spot)
            t->last_id = raw;
    }
    if (raw > t->known_raw)
        t->known_raw = raw;
    if (t->known_raw > t->last_raw && w->behind_us == 0)
        w->behind_us = l->now_us;
}

/* A kline knows trades that nobody sent: their stream has died. */
static void
behind_tick(struct live *l, struct live_symbol *s)
{
    struct live_trades *t = &s->trades;
    struct live_watch *w = &s->watch[LIVE_TRADES];
    if (t->has_gap || w->behind_us == 0 || l->now_us - w->behind_us < BEHIND_US)
        return;
    w->behind_us = 0;
    if (t->known_raw <= t->last_raw)
        return;
    live_renew(l, s, LIVE_TRADES);
    if (t->last_id == 0) {
        /* Aggregated trades have ids of their own: there is none to ask from. */
        t->last_raw = t->known_raw;
        return;
    }
    t->want_raw = t->known_raw;
    live_dirty(l, s, LIVE_TELL_TRADES);
}

void
live_trades_tick(struct live *l, struct live_symbol *s)
{
    struct live_trades *t = &s->trades;
    behind_tick(l, s);
    if (t->ahead_us != 0)
        live_dirty(l, s, LIVE_TELL_TRADES);
    if (t->has_gap && !t->gives_up && l->now_us - t->gap_us >= l->o.heal_us) {
        t->gives_up = true;
        live_dirty(l, s, LIVE_TELL_TRADES);
    }
}
