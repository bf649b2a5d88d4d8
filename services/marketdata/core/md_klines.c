/*
 * md_klines.c - candles that others made: the exchange's own, and those an earlier process left.
 *
 * The exchange's closed candle is final. Its open minute is what it knew when it was told; trades
 * that we saw beyond it are added to it. What is already past is told again only where followers
 * or the database know it otherwise: a minute of this run (from `live_us` on), one that was told
 * before, one that the database lacks (behind the oldest it remembers). md_tick() pays these debts,
 * a few at a time, each candle that contains corrected parts once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/md_priv.h"

#define MINUTES_A_TICK 2
#define DAYS_A_TICK    2

/* ---- The exchange's own ----------------------------------------------------------------- */

/* Whether a closed candle that was told quietly contains this minute. */
static bool
is_within_told(struct md_symbol *s, int64_t open_us)
{
    for (enum interval i = INTERVAL_3m; i <= INTERVAL_1d; i++) {
        if (md_closed_find(&s->candles[i - 1], interval_open(i, open_us)) != NULL)
            return true;
    }
    return false;
}

/* A minute that is over is another one now, or is known now. */
static void
minute_owe(struct md_symbol *s, struct part *p)
{
    int64_t open_us = p->candle.open_time_us;
    bool is_missed = s->remembered_us != 0 && open_us >= s->remembered_us;
    if (p->is_told || is_missed || (s->live_us != 0 && open_us >= s->live_us))
        parts_owe(&s->minutes, p, DEBT_SELF);
    else if (is_within_told(s, open_us))
        parts_owe(&s->minutes, p, DEBT_AROUND);
    md_part_changed(s, open_us, false);
}

static void
last_from(struct md_symbol *s, const struct candle *c)
{
    if (s->trades_count == 0 && c->open_time_us >= s->minutes.newest_us)
        s->stats.last = c->close;
}

static void
part_final(struct part *p, const struct candle *k)
{
    p->candle = *k;
    p->candle.is_closed = p->candle.is_final = true;
    p->state = PART_FINAL;
}

static void
minute_closed(struct md_symbol *s, const struct candle *k, struct outbox *out)
{
    if (s->minute != NULL && k->open_time_us > s->minute->candle.open_time_us)
        md_minute_end(s, out);
    /* One of this run, of which no trade was heard: it begins now, and ends. */
    if (s->live_us != 0 && k->open_time_us >= s->live_us && k->open_time_us > s->minutes.newest_us)
        md_minute_begin(s, k->open_time_us, out);
    bool was_known = parts_find(&s->minutes, k->open_time_us) != NULL;
    struct part *p = parts_make(&s->minutes, k->open_time_us);
    if (p == NULL)
        return;
    struct candle before = p->candle;
    bool is_new = !was_known || !candle_same(&before, k);
    part_final(p, k);
    if (is_new)
        stats_change(&s->stats, was_known ? &before : NULL, &p->candle);
    last_from(s, k);
    if (p == s->minute) {
        s->candles_changed = ~0u;
        md_minute_end(s, out);
    } else if (is_new) {
        minute_owe(s, p);
    } else if (!before.is_final) {
        parts_owe(&s->minutes, p, DEBT_FINAL);
    }
}

/* What the exchange knew, and the trades after it that we saw. False when some of them may have
 * been forgotten. */
static bool
seen_add(const struct md_symbol *s, struct candle *c, uint64_t told_last)
{
    uint64_t from = s->minute_from;
    bool is_cut = s->trades_count - from > MD_TRADES_MAX;
    if (is_cut)
        from = s->trades_count - MD_TRADES_MAX;
    for (uint64_t n = from; n < s->trades_count; n++) {
        const struct public_trade *t = &s->trades[n % MD_TRADES_MAX];
        const struct md_ids *ids = &s->trade_ids[n % MD_TRADES_MAX];
        if (n == from && is_cut && ids->first > told_last + 1)
            return false;
        if (ids->first <= told_last || t->time_us < c->open_time_us ||
            t->time_us >= c->open_time_us + MINUTE_US)
            continue;
        struct candle_trade one = candle_trade_of(t, ids->last - ids->first + 1);
        if (candle_is_flat(c))
            candle_begin(c, c->open_time_us, &one);
        else
            candle_add(c, &one);
    }
    return true;
}

static void
minute_open(struct md_symbol *s, const struct candle *k, uint64_t told_last, struct outbox *out)
{
    if (candle_is_flat(k))
        return; /* that nobody traded is sure once it is closed */
    if (k->open_time_us > s->minutes.newest_us)
        md_minute_begin(s, k->open_time_us, out);
    struct part *p = parts_find(&s->minutes, k->open_time_us);
    if (p == NULL || p->state == PART_FINAL || told_last < p->told_last)
        return;
    struct candle c = *k, before = p->candle;
    c.is_closed = p != s->minute;
    bool is_whole = told_last != 0 && p == s->minute && seen_add(s, &c, told_last);
    if (!is_whole) {
        c = *k;
        c.is_closed = p != s->minute;
        if (c.trades < before.trades)
            return;
    }
    p->candle = c;
    p->told_last = told_last;
    last_from(s, k);
    if (candle_same(&before, &c))
        return;
    stats_change(&s->stats, &before, &c);
    if (p == s->minute)
        s->candles_changed = ~0u;
    else
        minute_owe(s, p);
}

static void
day_owe(struct md_symbol *s, struct part *day)
{
    int64_t open_us = day->candle.open_time_us;
    bool is_missed = s->remembered_day_us != 0 && open_us > s->remembered_day_us;
    bool is_live = s->live_us != 0 && open_us + DAY_US > s->live_us;
    if (day->is_told || is_missed || is_live)
        parts_owe(&s->days, day, DEBT_SELF);
    md_part_changed(s, open_us, true);
}

static void
day_closed(struct md_symbol *s, const struct candle *k)
{
    bool was_known = parts_find(&s->days, k->open_time_us) != NULL;
    struct part *day = parts_make(&s->days, k->open_time_us);
    if (day == NULL)
        return;
    bool is_new = !was_known || !candle_same(&day->candle, k), was_final = day->candle.is_final;
    part_final(day, k);
    const struct md_candle_slot *today = &s->candles[INTERVAL_1d - 1];
    /* A day that we still have open closes with it in its turn. */
    if (today->is_open && today->open_time_us == k->open_time_us)
        return;
    if (is_new)
        day_owe(s, day);
    else if (!was_final)
        parts_owe(&s->days, day, DEBT_FINAL);
}

enum err
md_kline_apply(struct md_symbol *s, const struct md_event *e, struct outbox *out)
{
    const struct candle *k = &e->kline;
    if (e->interval < 1 || (uint32_t)e->interval > INTERVALS || !candle_is_valid(k) ||
        k->open_time_us < 0 || interval_open(e->interval, k->open_time_us) != k->open_time_us)
        return ERR_LINE_INVALID;
    if (e->interval == INTERVAL_1m && k->is_closed)
        minute_closed(s, k, out);
    else if (e->interval == INTERVAL_1m)
        minute_open(s, k, e->kline_last_trade, out);
    else if (e->interval == INTERVAL_1d && k->is_closed)
        day_closed(s, k);
    /* Today is folded from its minutes, as all others are. */
    md_ticker_changed(s);
    return OK;
}

/* ---- Debts ------------------------------------------------------------------------------ */

/* A day that was folded from its minutes is a part of weeks and months. False when the exchange's
 * own stands. */
static bool
day_fold(struct md_symbol *s, const struct candle *c, bool is_same)
{
    struct part *day = parts_make(&s->days, c->open_time_us);
    if (day == NULL || day->state == PART_FINAL)
        return false;
    day->candle = *c;
    day->is_told = true;
    parts_owe(&s->days, day, is_same ? DEBT_FINAL : DEBT_AROUND);
    if (!is_same)
        md_part_changed(s, c->open_time_us, true);
    return true;
}

/* Publishes a closed candle that contains corrected parts, if it is known as another one. One that
 * has only become final is kept. */
static void
fold_tell(struct md_symbol *s, enum interval i, int64_t open_us, bool is_corrected,
          struct outbox *out)
{
    const struct parts *parts = md_parts_of(s, i);
    const struct candle *told = md_closed_find(&s->candles[i - 1], open_us);
    int64_t end_us = interval_end(i, open_us);
    struct candle c;
    /* A part that we do not know may have been known to who told it. */
    if (told == NULL && open_us < parts_oldest(parts))
        return;
    if (!parts_fold(parts, open_us, end_us, &c))
        return;
    c.is_closed = true;
    c.is_final = parts_are_final(parts, open_us, end_us);
    bool is_same = told != NULL ? candle_same(told, &c) : !is_corrected;
    if (is_same && (!c.is_final || (told != NULL && told->is_final)))
        return;
    if (i == INTERVAL_1d && !day_fold(s, &c, is_same))
        return;
    if (!is_same)
        md_closed_tell(s, i, &c, out);
    else if (i != INTERVAL_1d) /* the day pays its own debt */
        md_candle_keep(s, i, &c, out);
}

/* The candles of an interval that are over and hold this part; the last part in debt of each tells
 * it, for all of them. */
static void
around_tell(struct md_symbol *s, enum interval i, int64_t part_us, uint32_t debt, int64_t market_us,
            struct outbox *out)
{
    struct parts *parts = md_parts_of(s, i);
    struct md_candle_slot *slot = &s->candles[i - 1];
    int64_t open_us = interval_open(i, part_us), end_us = interval_end(i, open_us);
    bool is_over = end_us <= market_us || md_closed_find(slot, open_us) != NULL;
    bool is_corrected = (debt & (DEBT_AROUND | DEBT_SELF)) != 0;
    if (!is_over || (slot->is_open && slot->open_time_us == open_us))
        return;
    struct part *later = parts_in_debt(parts, part_us + parts->width_us, end_us);
    if (later == NULL)
        fold_tell(s, i, open_us, is_corrected, out);
    else if (is_corrected)
        parts_owe(parts, later, DEBT_AROUND);
}

/* Pays what a part owes of itself; gives what its surroundings are owed. */
static uint32_t
self_tell(struct md_symbol *s, enum interval i, struct parts *parts, struct part *p,
          struct outbox *out)
{
    uint32_t debt = p->debt;
    parts_paid(parts, p);
    if ((debt & DEBT_SELF) != 0) {
        p->is_told = true;
        md_closed_tell(s, i, &p->candle, out);
    } else if ((debt & DEBT_FINAL) != 0 && p->is_told && p->candle.is_final) {
        md_candle_keep(s, i, &p->candle, out);
    }
    return debt;
}

static void
minute_tell(struct md_symbol *s, struct part *p, int64_t market_us, struct outbox *out)
{
    int64_t open_us = p->candle.open_time_us;
    uint32_t debt = self_tell(s, INTERVAL_1m, &s->minutes, p, out);
    for (enum interval i = INTERVAL_3m; i <= INTERVAL_1d; i++)
        around_tell(s, i, open_us, debt, market_us, out);
}

static void
day_tell(struct md_symbol *s, struct part *day, int64_t market_us, struct outbox *out)
{
    int64_t open_us = day->candle.open_time_us;
    uint32_t debt = self_tell(s, INTERVAL_1d, &s->days, day, out);
    for (enum interval i = INTERVAL_3d; (uint32_t)i <= INTERVALS; i++)
        around_tell(s, i, open_us, debt, market_us, out);
}

/* It has come to be known what the database has: what the exchange said besides was missed. What
 * contains its first minute may have been told without those before, and nobody closed what was
 * open behind its last. */
static void
missed_owe(struct md_symbol *s)
{
    struct part *last = NULL, *first = parts_find(&s->minutes, s->remembered_us);
    if (!s->has_remembered_minute)
        return;
    s->has_remembered_minute = false;
    int64_t at = s->remembered_us, reach_us = parts_reach(&s->minutes);
    for (at = at < reach_us ? reach_us : at; at < s->live_us; at += MINUTE_US) {
        struct part *p = parts_find(&s->minutes, at);
        if (p != NULL && p->is_told)
            last = p;
        else if (p != NULL)
            parts_owe(&s->minutes, p, DEBT_SELF);
    }
    if (last != NULL)
        parts_owe(&s->minutes, last, DEBT_AROUND);
    if (first != NULL)
        parts_owe(&s->minutes, first, DEBT_AROUND);
}

void
md_debts_tick(struct md_symbol *s, int64_t now_us, struct outbox *out)
{
    int64_t market_us = md_market_now(s, now_us);
    missed_owe(s);
    for (int n = 0; n < MINUTES_A_TICK; n++) {
        struct part *p = parts_oldest_in_debt(&s->minutes);
        if (p == NULL)
            break;
        minute_tell(s, p, market_us, out);
    }
    for (int n = 0; n < DAYS_A_TICK; n++) {
        struct part *day = parts_oldest_in_debt(&s->days);
        if (day == NULL)
            break;
        day_tell(s, day, market_us, out);
    }
}

/* ---- What an earlier process left ------------------------------------------------------- */

void
md_remember_open(struct md_symbol *s, enum interval i, const struct candle *c, int64_t as_of_us)
{
    CHECK(i >= 1 && (uint32_t)i <= INTERVALS);
    struct md_candle_slot *slot = &s->candles[i - 1];
    if (slot->was_remembered)
        return;
    slot->was_remembered = true;
    struct part *p = s->minute;
    /* Longer candles are folded from minutes; the exchange knows its minute whole. */
    if (i != INTERVAL_1m || p == NULL || p->told_last != 0 || !candle_is_valid(c) ||
        candle_is_flat(c) || p->candle.open_time_us != c->open_time_us ||
        s->minute_first_us <= as_of_us)
        return;
    struct candle whole = *c;
    whole.is_closed = false;
    candle_join(&whole, &p->candle);
    p->candle = whole;
    s->candles_changed = ~0u;
    s->stats.is_stale = true;
    stats_settle(&s->stats);
    md_ticker_changed(s);
}

/* A part of an earlier process, unless we know it better. Gives whether it is news. */
static bool
part_remember(struct parts *parts, const struct candle *c, struct part **out)
{
    *out = NULL;
    if (c->open_time_us < 0 || c->open_time_us % parts->width_us != 0 || !candle_is_valid(c))
        return false;
    struct part *p = parts_find(parts, c->open_time_us);
    bool is_new = p == NULL;
    if (is_new)
        p = parts_make(parts, c->open_time_us);
    if (p == NULL)
        return false;
    *out = p;
    bool is_same = !is_new && candle_same(&p->candle, c);
    if (is_new && c->is_closed && c->is_final) {
        part_final(p, c);
    } else if (is_new) {
        p->candle = *c;
        p->candle.is_closed = true;
    } else if (p->state == PART_FINAL && !p->is_told && c->is_closed && !(is_same && c->is_final)) {
        /* The exchange has corrected it since, or said it for the first time. */
        parts_owe(parts, p, is_same ? DEBT_FINAL : DEBT_SELF);
    } else if (p->state != PART_FINAL) {
        return false;
    }
    p->is_told |= c->is_closed; /* one that nobody closed is still to be told */
    return is_new;
}

void
md_remember_minute(struct md_symbol *s, const struct candle *c)
{
    struct part *p;
    if (s->minute != NULL && c->open_time_us >= s->minute->candle.open_time_us)
        return;
    bool is_new = part_remember(&s->minutes, c, &p);
    if (p == NULL)
        return;
    if ((s->remembered_us == 0 || c->open_time_us < s->remembered_us) &&
        c->open_time_us < s->live_us) {
        s->remembered_us = c->open_time_us;
        s->has_remembered_minute = true;
    }
    if (!is_new)
        return;
    s->stats.is_stale = true;
    md_part_changed(s, c->open_time_us, false);
    if (is_within_told(s, c->open_time_us))
        parts_owe(&s->minutes, p, DEBT_AROUND);
    stats_settle(&s->stats);
    md_ticker_changed(s);
}

void
md_remember_day(struct md_symbol *s, const struct candle *c)
{
    struct part *day;
    const struct md_candle_slot *today = &s->candles[INTERVAL_1d - 1];
    if (today->is_open && c->open_time_us >= today->open_time_us)
        return;
    bool is_new = part_remember(&s->days, c, &day);
    if (day == NULL)
        return;
    if (s->remembered_day_us == 0 || c->open_time_us < s->remembered_day_us)
        s->remembered_day_us = c->open_time_us;
    if (is_new)
        md_part_changed(s, c->open_time_us, true);
}

void
md_remember_longer(struct md_symbol *s, enum interval i, const struct candle *c)
{
    CHECK(md_of_days(i) || (md_of_minutes(i) && i != INTERVAL_1d));
    struct md_candle_slot *slot = &s->candles[i - 1];
    struct parts *parts = md_parts_of(s, i);
    int64_t open_us = c->open_time_us, end_us = interval_end(i, open_us);
    struct candle ours;
    /* What is open, or closed since, is told in its turn. */
    if (!c->is_closed || (slot->is_open && slot->open_time_us <= open_us) ||
        md_closed_find(slot, open_us) != NULL)
        return;
    if (open_us < parts_oldest(parts) || !parts_fold(parts, open_us, end_us, &ours))
        return;
    bool is_final = parts_are_final(parts, open_us, end_us), is_same = candle_same(&ours, c);
    /* It was folded from more than we know, or there is nothing to say of it. */
    if (is_same ? !is_final || c->is_final : !is_final && (c->is_final || ours.trades < c->trades))
        return;
    struct part *last = parts_last(parts, open_us, end_us);
    CHECK(last != NULL);
    parts_owe(parts, last, is_same ? DEBT_FINAL : DEBT_AROUND);
}
