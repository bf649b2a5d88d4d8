/*
 * md_time.c - what the passing of time does to a symbol.
 *
 * Two clocks: ours (`now_us`) paces what is sent and tells a stale stream; the market's, which a
 * replay may have anywhere, ends candles and moves the 24-hour window.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/md_priv.h"

#define TICKER_EVERY_US INT64_C(1000000)

int64_t
md_market_now(const struct md_symbol *s, int64_t now_us)
{
    if (s->market_us == 0 || s->has_ended || now_us <= s->market_at_us)
        return s->market_us;
    return s->market_us + (now_us - s->market_at_us);
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
    if (s->is_away || now_us - s->heard_us > m->limits.stale_after_us)
        return STREAM_STATE_STALE;
    if (s->misses_trades)
        return STREAM_STATE_HEALING;
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
    md_ticker_changed(s);
    if (md_has_price(s))
        price_publish(s, now_us, out);
    beat_publish(s, now_us, out);
}

void
md_end_publish(struct md_symbol *s, struct outbox *out)
{
    s->has_ended = true;
    s->state = STREAM_STATE_ENDED;
    if (md_has_price(s))
        price_publish(s, s->price_published_us, out);
    beat_publish(s, s->beat_published_us, out);
}

static void
ticker_publish(struct md_symbol *s, int64_t now_us, struct outbox *out)
{
    struct md_ticker *m = &outbox_put(out, OUT_PUBLISH, 0, MSG_md_ticker, 0)->md_ticker;
    md_view_ticker(s, m);
    m->written_us = now_us;
    s->ticker_is_news = false;
    s->ticker_published_us = now_us;
}

void
md_tick(struct md *m, struct md_symbol *s, int64_t now_us, struct outbox *out)
{
    CHECK(outbox_room(out) >= MD_OUT_MAX);
    if (s->market_us != 0 && stats_advance(&s->stats, md_market_now(s, now_us)))
        md_ticker_changed(s);
    stats_settle(&s->stats);
    md_candles_tick(m, s, now_us, out);
    md_debts_tick(s, now_us, out);
    md_state_update(m, s, now_us, out);
    int64_t quiet_us = now_us - s->price_published_us;
    if (md_has_price(s) && (quiet_us >= m->limits.beat_every_us ||
                            (s->price_is_changed && quiet_us >= m->limits.price_every_us)))
        price_publish(s, now_us, out);
    if (md_has_price(s) && s->ticker_is_news && now_us - s->ticker_published_us >= TICKER_EVERY_US)
        ticker_publish(s, now_us, out);
    if (now_us - s->beat_published_us >= m->limits.beat_every_us)
        beat_publish(s, now_us, out);
}
