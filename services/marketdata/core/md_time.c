/*
 * md_time.c - what the passing of time does to a symbol.
 *
 * Two clocks: ours (`now_us`) paces what is sent and tells a stale stream; the market's, which a
 * replay may have anywhere, ends candles and moves the 24-hour window.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/md_priv.h"

int64_t
md_market_now(const struct md_symbol *s, int64_t now_us)
{
    if (s->market_us == 0 || s->has_ended || now_us <= s->heard_us)
        return s->market_us;
    return s->market_us + (now_us - s->heard_us);
}

static void
candle_publish(struct md_symbol *s, enum interval i, const struct candle *c, struct outbox *out)
{
    struct md_candle *m = &outbox_put(out, OUT_PUBLISH, 0, MSG_md_candle, 0)->md_candle;
    m->symbol = s->rules.symbol;
    m->interval = i;
    m->candle = *c;
}

void
md_candle_close(struct md_symbol *s, enum interval i, struct outbox *out)
{
    struct md_candle_slot *slot = &s->candles[i - 1];
    CHECK(slot->now.trades > 0);
    slot->now.is_closed = true;
    candle_publish(s, i, &slot->now, out);
    slot->closed[slot->closed_count++ % MD_CLOSED_CANDLES] = slot->now;
    slot->now = (struct candle){0};
    slot->is_changed = false;
    slot->published_us = 0;
}

static void
candles_tick(const struct md *m, struct md_symbol *s, int64_t now_us, struct outbox *out)
{
    int64_t market_us = md_market_now(s, now_us);
    for (uint32_t n = 1; n <= INTERVALS; n++) {
        enum interval i = (enum interval)n;
        struct md_candle_slot *slot = &s->candles[n - 1];
        if (slot->now.trades == 0)
            continue;
        if (market_us - slot->now.open_time_us >= interval_us(i) + m->limits.candle_grace_us) {
            md_candle_close(s, i, out);
        } else if (slot->is_changed && now_us - slot->published_us >= m->limits.candle_every_us) {
            candle_publish(s, i, &slot->now, out);
            slot->is_changed = false;
            slot->published_us = now_us;
        }
    }
}

static void
price_publish(struct md_symbol *s, int64_t now_us, struct outbox *out)
{
    md_view_price(s, &outbox_put(out, OUT_PUBLISH, 0, MSG_md_price, 0)->md_price);
    s->price_is_changed = false;
    s->price_published_us = now_us;
}

static void
beat_publish(struct md_symbol *s, int64_t now_us, struct outbox *out)
{
    struct md_beat *m = &outbox_put(out, OUT_PUBLISH, 0, MSG_md_beat, 0)->md_beat;
    *m = (struct md_beat){.symbol = s->rules.symbol, .sequence = s->sequence, .state = s->state};
    s->beat_published_us = now_us;
}

static enum stream_state
state_as_of(const struct md *m, const struct md_symbol *s, int64_t now_us)
{
    if (s->has_ended)
        return STREAM_STATE_ENDED;
    if (s->heard_us == 0)
        return STREAM_STATE_NONE;
    if (now_us - s->heard_us > m->limits.stale_after_us)
        return STREAM_STATE_STALE;
    if (s->waiting_us != 0 &&
        (!md_quote_known(s) || now_us - s->waiting_us < m->limits.heal_after_us))
        return STREAM_STATE_HEALING;
    return STREAM_STATE_LIVE;
}

void
md_state_update(const struct md *m, struct md_symbol *s, int64_t now_us, struct outbox *out)
{
    enum stream_state state = state_as_of(m, s, now_us);
    if (state == s->state)
        return;
    s->state = state;
    s->ticker_is_changed = true;
    if (md_has_price(s))
        price_publish(s, now_us, out);
    beat_publish(s, now_us, out);
}

void
md_tick(struct md *m, struct md_symbol *s, int64_t now_us, struct outbox *out)
{
    CHECK(outbox_room(out) >= MD_OUT_MAX);
    if (s->market_us != 0 && stats_advance(&s->stats, md_market_now(s, now_us)))
        s->ticker_is_changed = true;
    candles_tick(m, s, now_us, out);
    md_state_update(m, s, now_us, out);
    int64_t quiet_us = now_us - s->price_published_us;
    if (md_has_price(s) && (quiet_us >= m->limits.beat_every_us ||
                            (s->price_is_changed && quiet_us >= m->limits.price_every_us)))
        price_publish(s, now_us, out);
    if (now_us - s->beat_published_us >= m->limits.beat_every_us)
        beat_publish(s, now_us, out);
}

void
md_remember_open(struct md_symbol *s, enum interval i, const struct candle *c, int64_t as_of_us)
{
    CHECK(i >= 1 && (uint32_t)i <= INTERVALS);
    struct md_candle_slot *slot = &s->candles[i - 1];
    if (slot->was_remembered)
        return;
    slot->was_remembered = true;
    if (slot->now.trades == 0 || c->trades == 0 || slot->now.open_time_us != c->open_time_us ||
        slot->first_trade_us <= as_of_us)
        return;
    candle_add_earlier(&slot->now, c);
    slot->is_changed = true;
    if (i == INTERVAL_1m) {
        stats_remember_part(&s->stats, c);
        s->ticker_is_changed = true;
    }
}

void
md_remember_minute(struct md_symbol *s, const struct candle *c)
{
    stats_remember(&s->stats, c);
    s->ticker_is_changed = true;
}
