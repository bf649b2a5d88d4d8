/*
 * md_candles.c - a symbol's candles of all intervals, made of as little as possible.
 *
 * A trade touches the second, the open minute and the sums of the day. 3m to 1d are the minutes
 * before the open one (`base`, joined as each minute ends) and the open one; 3d, 1w and 1M are the
 * days before today and today. A base is folded anew when one of its parts was changed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "marketdata/core/md_priv.h"

static struct md_candle_slot *
slot_of(struct md_symbol *s, enum interval i)
{
    return &s->candles[i - 1];
}

static uint32_t
bit_of(enum interval i)
{
    return 1u << i;
}

bool
md_of_minutes(enum interval i)
{
    return i > INTERVAL_1m && i <= INTERVAL_1d;
}

bool
md_of_days(enum interval i)
{
    return i >= INTERVAL_3d;
}

struct parts *
md_parts_of(struct md_symbol *s, enum interval i)
{
    return md_of_days(i) ? &s->days : &s->minutes;
}

/* ---- What a candle is now --------------------------------------------------------------- */

/* The parts of a candle but for the open one. */
static bool
base_fold(const struct md_symbol *s, enum interval i, struct candle *out)
{
    const struct md_candle_slot *slot = &s->candles[i - 1];
    if (!slot->needs_fold) {
        *out = slot->base;
        return slot->has_base;
    }
    int64_t end_us = slot->end_us;
    if (md_of_days(i)) {
        const struct md_candle_slot *day = &s->candles[INTERVAL_1d - 1];
        if (day->is_open && day->open_time_us < end_us)
            end_us = day->open_time_us;
        return parts_fold(&s->days, slot->open_time_us, end_us, out);
    }
    if (s->minute != NULL && s->minute->candle.open_time_us < end_us)
        end_us = s->minute->candle.open_time_us;
    return parts_fold(&s->minutes, slot->open_time_us, end_us, out);
}

static void
base_settle(struct md_symbol *s, enum interval i)
{
    struct md_candle_slot *slot = slot_of(s, i);
    struct candle base;
    if (!slot->needs_fold)
        return;
    slot->has_base = base_fold(s, i, &base);
    if (slot->has_base)
        slot->base = base;
    slot->needs_fold = false;
}

static bool
part_join(bool has, struct candle *out, const struct candle *part, int64_t open_us)
{
    if (has) {
        candle_join(out, part);
    } else {
        *out = *part;
        out->open_time_us = open_us;
    }
    return true;
}

bool
md_candle_now(const struct md_symbol *s, enum interval i, struct candle *out)
{
    CHECK(i >= 1 && (uint32_t)i <= INTERVALS);
    const struct md_candle_slot *slot = &s->candles[i - 1];
    if (!slot->is_open)
        return false;
    if (i == INTERVAL_1m) {
        *out = s->minute->candle;
        return true;
    }
    bool has = base_fold(s, i, out);
    struct candle today;
    const struct candle *open = NULL;
    if (md_of_minutes(i) && s->minute != NULL)
        open = &s->minute->candle;
    else if (md_of_days(i) && md_candle_now(s, INTERVAL_1d, &today))
        open = &today;
    if (open != NULL && open->open_time_us >= slot->open_time_us &&
        open->open_time_us < slot->end_us)
        has = part_join(has, out, open, slot->open_time_us);
    out->is_closed = out->is_final = false;
    return has;
}

/* Place of a closed candle that is remembered; MD_CLOSED_CANDLES when it is not. */
static uint32_t
closed_place(const struct md_candle_slot *slot, int64_t open_us)
{
    uint32_t held = slot->closed_count < MD_CLOSED_CANDLES ? slot->closed_count : MD_CLOSED_CANDLES;
    for (uint32_t n = 0; n < held; n++) {
        if (slot->closed[n].open_time_us == open_us)
            return n;
    }
    return MD_CLOSED_CANDLES;
}

struct candle *
md_closed_find(struct md_candle_slot *slot, int64_t open_us)
{
    uint32_t place = closed_place(slot, open_us);
    return place == MD_CLOSED_CANDLES ? NULL : &slot->closed[place];
}

/* ---- What memory holds ------------------------------------------------------------------ */

/* Time from which a candle of this interval lies within what is known. */
static int64_t
known_from(const struct md_symbol *s, enum interval i)
{
    if (i == INTERVAL_1s)
        return 0;
    return parts_oldest(md_of_days(i) || i == INTERVAL_1d ? &s->days : &s->minutes);
}

static bool
known_at(const struct md_symbol *s, enum interval i, int64_t open_us, struct candle *out)
{
    const struct md_candle_slot *slot = &s->candles[i - 1];
    if (slot->is_open && slot->open_time_us == open_us)
        return md_candle_now(s, i, out);
    if (i == INTERVAL_1s) {
        uint32_t place = closed_place(slot, open_us);
        if (place != MD_CLOSED_CANDLES)
            *out = slot->closed[place];
        return place != MD_CLOSED_CANDLES;
    }
    const struct parts *parts = md_of_days(i) || i == INTERVAL_1d ? &s->days : &s->minutes;
    int64_t end_us = interval_end(i, open_us);
    if (!parts_fold(parts, open_us, end_us, out))
        return false;
    out->is_closed = end_us <= s->market_us;
    out->is_final = out->is_closed && parts_are_final(parts, open_us, end_us);
    return true;
}

uint32_t
md_candles_known(const struct md_symbol *s, enum interval i, int64_t from_us, int64_t to_us,
                 uint32_t max, struct candle *out)
{
    CHECK(i >= 1 && (uint32_t)i <= INTERVALS);
    const struct md_candle_slot *slot = &s->candles[i - 1];
    int64_t oldest_us = known_from(s, i), newest_us = s->market_us;
    uint32_t count = 0;
    if (slot->is_open && slot->open_time_us < oldest_us)
        oldest_us = slot->open_time_us;
    if (i == INTERVAL_1s)
        oldest_us = newest_us - 60 * interval_us(i);
    if (from_us < oldest_us)
        from_us = oldest_us;
    if (newest_us < s->minutes.newest_us)
        newest_us = s->minutes.newest_us;
    int64_t at = interval_open(i, to_us < newest_us ? to_us : newest_us);
    /* Backwards, into the end of `out`. */
    for (; at >= from_us && count < max; at = interval_open(i, at - 1)) {
        if (known_at(s, i, at, &out[max - 1 - count]))
            count++;
    }
    memmove(out, &out[max - count], count * sizeof(*out));
    return count;
}

/* ---- Telling ---------------------------------------------------------------------------- */

static void
candle_say(const struct md_symbol *s, enum out_to to, enum interval i, const struct candle *c,
           struct outbox *out)
{
    struct md_candle *m = &outbox_put(out, to, 0, MSG_md_candle, 0)->md_candle;
    m->symbol = s->rules.symbol;
    m->interval = i;
    m->candle = *c;
}

void
md_candle_publish(struct md_symbol *s, enum interval i, const struct candle *c, struct outbox *out)
{
    candle_say(s, OUT_PUBLISH, i, c, out);
}

void
md_candle_keep(struct md_symbol *s, enum interval i, const struct candle *c, struct outbox *out)
{
    candle_say(s, OUT_KEEP, i, c, out);
    struct candle *there = md_closed_find(slot_of(s, i), c->open_time_us);
    if (there != NULL)
        *there = *c;
}

void
md_closed_tell(struct md_symbol *s, enum interval i, struct candle *c, struct outbox *out)
{
    struct md_candle_slot *slot = slot_of(s, i);
    c->is_closed = true;
    md_candle_publish(s, i, c, out);
    struct candle *there = md_closed_find(slot, c->open_time_us);
    uint32_t newest = (slot->closed_count - 1) % MD_CLOSED_CANDLES;
    if (there != NULL)
        *there = *c;
    else if (slot->closed_count == 0 || slot->closed[newest].open_time_us < c->open_time_us)
        slot->closed[slot->closed_count++ % MD_CLOSED_CANDLES] = *c;
}

/* ---- Beginning and ending --------------------------------------------------------------- */

/* The day that ended becomes a part of longer candles. The exchange's own stands. */
static void
day_keep(struct md_symbol *s, struct candle *c)
{
    struct part *day = parts_make(&s->days, c->open_time_us);
    if (day == NULL)
        return;
    if (day->state == PART_FINAL)
        *c = day->candle;
    else
        day->candle = *c;
    day->candle.is_closed = true;
    day->is_told = true;
    parts_paid(&s->days, day);
    for (enum interval i = INTERVAL_3d; (uint32_t)i <= INTERVALS; i++)
        slot_of(s, i)->needs_fold = true;
}

static void
slot_close(struct md_symbol *s, enum interval i, struct outbox *out)
{
    struct md_candle_slot *slot = slot_of(s, i);
    struct candle c;
    bool has = md_candle_now(s, i, &c);
    slot->is_open = false;
    if (!has)
        return;
    c.is_final =
        i != INTERVAL_1s && parts_are_final(md_parts_of(s, i), slot->open_time_us, slot->end_us);
    if (i == INTERVAL_1d)
        day_keep(s, &c);
    md_closed_tell(s, i, &c, out);
}

void
md_minute_end(struct md_symbol *s, struct outbox *out)
{
    struct part *minute = s->minute;
    if (minute == NULL)
        return;
    for (enum interval i = INTERVAL_3m; i <= INTERVAL_1d; i++) {
        struct md_candle_slot *slot = slot_of(s, i);
        if (slot->is_open && !slot->needs_fold)
            slot->has_base =
                part_join(slot->has_base, &slot->base, &minute->candle, slot->open_time_us);
    }
    s->minute = NULL;
    slot_of(s, INTERVAL_1m)->is_open = false;
    minute->is_told = true;
    parts_paid(&s->minutes, minute);
    md_closed_tell(s, INTERVAL_1m, &minute->candle, out);
}

static void
slot_open(struct md_symbol *s, enum interval i, int64_t at_us)
{
    struct md_candle_slot *slot = slot_of(s, i);
    slot->is_open = true;
    slot->needs_fold = true; /* earlier parts may be known already */
    slot->has_base = false;
    slot->open_time_us = interval_open(i, at_us);
    slot->end_us = interval_end(i, slot->open_time_us);
    slot->published_us = 0;
    s->candles_changed |= bit_of(i);
}

struct part *
md_minute_begin(struct md_symbol *s, int64_t open_us, struct outbox *out)
{
    md_minute_end(s, out);
    for (enum interval i = INTERVAL_3m; (uint32_t)i <= INTERVALS; i++) {
        if (i != INTERVAL_1s && slot_of(s, i)->is_open && open_us >= slot_of(s, i)->end_us)
            slot_close(s, i, out);
    }
    for (enum interval i = INTERVAL_1m; (uint32_t)i <= INTERVALS; i++) {
        if (i != INTERVAL_1s && !slot_of(s, i)->is_open)
            slot_open(s, i, open_us);
    }
    s->minute = parts_make(&s->minutes, open_us);
    CHECK(s->minute != NULL);
    s->minute_first_us = 0;
    s->minute_from = s->trades_count;
    return s->minute;
}

void
md_part_changed(struct md_symbol *s, int64_t open_us, bool is_day)
{
    const struct md_candle_slot *today = slot_of(s, INTERVAL_1d);
    bool is_today = today->is_open && open_us >= today->open_time_us;
    for (enum interval i = INTERVAL_3m; (uint32_t)i <= INTERVALS; i++) {
        struct md_candle_slot *slot = slot_of(s, i);
        bool is_made_of_it = md_of_days(i) ? is_day || is_today : md_of_minutes(i) && !is_day;
        if (!slot->is_open || !is_made_of_it || open_us < slot->open_time_us ||
            open_us >= slot->end_us)
            continue;
        slot->needs_fold = true;
        s->candles_changed |= bit_of(i);
    }
}

/* ---- Trades ----------------------------------------------------------------------------- */

static void
second_trade(struct md_symbol *s, const struct candle_trade *t, int64_t time_us, struct outbox *out)
{
    struct md_candle_slot *slot = slot_of(s, INTERVAL_1s);
    int64_t open_us = interval_open(INTERVAL_1s, time_us);
    if (slot->is_open && open_us == slot->open_time_us) {
        candle_add(&slot->base, t);
        return;
    }
    struct candle *over = md_closed_find(slot, open_us);
    if (over != NULL) {
        candle_add(over, t);
        md_candle_publish(s, INTERVAL_1s, over, out);
        return;
    }
    if (open_us < slot->open_time_us)
        return;
    if (slot->is_open)
        slot_close(s, INTERVAL_1s, out);
    slot_open(s, INTERVAL_1s, time_us);
    slot->needs_fold = false;
    slot->has_base = true;
    candle_begin(&slot->base, open_us, t);
}

/* Adds a trade to a minute that does not have it yet. */
static bool
minute_trade(struct md_symbol *s, struct part *p, const struct candle_trade *t, uint64_t first_id)
{
    if (p->state == PART_FINAL || (first_id != 0 && first_id <= p->told_last))
        return false;
    if (p->candle.trades == 0)
        candle_begin(&p->candle, p->candle.open_time_us, t);
    else
        candle_add(&p->candle, t);
    stats_trade(&s->stats, p->candle.open_time_us, t);
    return true;
}

/* A trade of a minute that is over, or that newer ones are known of. */
static void
late_trade(struct md_symbol *s, const struct candle_trade *t, int64_t open_us, uint64_t first_id)
{
    s->late_trades++;
    /* Before our time the trades that were seen are part of what is remembered. */
    if (s->live_us == 0 || open_us < s->live_us)
        return;
    struct part *p = parts_make(&s->minutes, open_us);
    if (p == NULL || !minute_trade(s, p, t, first_id))
        return;
    p->candle.is_closed = true;
    stats_settle(&s->stats);
    parts_owe(&s->minutes, p, DEBT_SELF);
    md_part_changed(s, open_us, false);
}

void
md_candles_trade(struct md_symbol *s, const struct md_event *e, struct outbox *out)
{
    const struct public_trade *trade = &e->trade;
    uint64_t first_id = e->is_aggregate ? e->first_trade : trade->trade_id;
    uint64_t count = 1;
    if (e->is_aggregate && e->first_trade != 0 && e->last_trade > e->first_trade)
        count = e->last_trade - e->first_trade + 1;
    struct candle_trade t = candle_trade_of(trade, count);

    s->stats.last = trade->price;
    stats_advance(&s->stats, trade->time_us);
    second_trade(s, &t, trade->time_us, out);
    struct part *p = s->minute;
    int64_t open_us;
    if (p != NULL && trade->time_us >= p->candle.open_time_us &&
        trade->time_us < p->candle.open_time_us + MINUTE_US) {
        open_us = p->candle.open_time_us;
    } else {
        open_us = interval_open(INTERVAL_1m, trade->time_us);
        if (open_us <= s->minutes.newest_us) {
            late_trade(s, &t, open_us, first_id);
            return;
        }
        p = md_minute_begin(s, open_us, out);
    }
    if (s->minute_first_us == 0)
        s->minute_first_us = trade->time_us;
    minute_trade(s, p, &t, first_id);
    s->candles_changed = ~0u;
}

/* ---- Time ------------------------------------------------------------------------------- */

void
md_candles_tick(const struct md *m, struct md_symbol *s, int64_t now_us, struct outbox *out)
{
    int64_t over_us = md_market_now(s, now_us) - m->limits.candle_grace_us;
    if (s->minute != NULL && over_us >= s->minute->candle.open_time_us + MINUTE_US)
        md_minute_end(s, out);
    for (enum interval i = INTERVAL_1m; (uint32_t)i <= INTERVALS; i++) {
        struct md_candle_slot *slot = slot_of(s, i);
        struct candle c;
        if (!slot->is_open)
            continue;
        if (over_us >= slot->end_us) {
            slot_close(s, i, out);
        } else if (s->candles_changed & bit_of(i) &&
                   now_us - slot->published_us >= m->limits.candle_every_us) {
            base_settle(s, i);
            if (md_candle_now(s, i, &c))
                md_candle_publish(s, i, &c, out);
            s->candles_changed &= ~bit_of(i);
            slot->published_us = now_us;
        }
    }
}

void
md_candles_reset(struct md_symbol *s)
{
    memset(s->candles, 0, sizeof(s->candles));
    parts_reset(&s->minutes);
    parts_reset(&s->days);
    s->minute = NULL;
    s->candles_changed = 0;
    s->live_us = 0;
    s->remembered_us = s->remembered_day_us = 0;
    s->has_remembered_minute = false;
}

void
md_candles_init(struct md_symbol *s, struct arena *memory)
{
    parts_init(&s->minutes, MD_MINUTES, MINUTE_US, memory);
    parts_init(&s->days, MD_DAYS, DAY_US, memory);
    md_candles_reset(s);
}
