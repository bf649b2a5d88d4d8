/*
 * feed_time.c - recorded times and ours: when an event is due, and what time it is there.
 *
 *     due = base_now + (recorded time - base_at) / speed
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/log.h"
#include "marketdata/shell/feed_priv.h"

bool
feed_is_paced(const struct feed_source *s)
{
    return s->spec.kind == SPEC_PLAYBACK || s->spec.kind == SPEC_SYNTHETIC;
}

static bool
is_shifted(const struct feed_source *s)
{
    return s->spec.kind == SPEC_SYNTHETIC || (s->spec.kind == SPEC_PLAYBACK && s->spec.clock_now);
}

void
feed_base_set(struct feed_source *s, const struct md_event *e, int64_t now_us)
{
    s->has_base = true;
    s->has_exchange_shift = false;
    s->base_at_us = e->at_us;
    s->base_now_us = now_us;
    /* At another speed than 1 the market's clock runs away from ours: a further round goes on
     * from where it had come. */
    int64_t begin_us = s->last_time_us >= now_us ? s->last_time_us + 1 : now_us;
    s->shift_us = is_shifted(s) ? begin_us - e->at_us : 0;
}

int64_t
feed_due_us(const struct feed_source *s)
{
    if (s->is_state || !feed_is_paced(s))
        return s->base_now_us;
    if (s->is_paused)
        return INT64_MAX;
    if (s->speed.v == 0)
        return s->base_now_us;
    __int128 passed = (__int128)(s->event.at_us - s->base_at_us) * DECIMAL_ONE;
    return s->base_now_us + (int64_t)(passed / s->speed.v);
}

int64_t
feed_position_us(const struct feed_source *s, int64_t now_us)
{
    if (!s->has_base || s->is_paused)
        return s->has_base ? s->base_at_us : s->last_at_us;
    if (s->speed.v == 0)
        return s->last_at_us;
    __int128 passed = (__int128)(now_us - s->base_now_us) * s->speed.v;
    int64_t at_us = s->base_at_us + (int64_t)(passed / DECIMAL_ONE);
    /* No further than what was handed on: the next event may be late, or not be there yet. */
    if (s->has_event)
        return at_us < s->event.at_us ? at_us : s->event.at_us;
    return at_us < s->last_at_us || s->last_at_us == 0 ? at_us : s->last_at_us;
}

void
feed_base_move(struct feed_source *s, int64_t now_us)
{
    if (!s->has_base)
        return;
    s->base_at_us = feed_position_us(s, now_us);
    s->base_now_us = now_us;
}

void
feed_silence_cut(struct feed_source *s)
{
    int64_t most_us = s->feed->o.gap_max_us;
    int64_t silence_us = s->event.at_us - s->last_at_us;
    if (s->spec.kind != SPEC_PLAYBACK || most_us == 0 || s->last_at_us == 0 ||
        silence_us <= most_us)
        return;
    log_line(LOG_INFO, "playback_silence_cut", "source=%u seconds=%lld to_seconds=%lld",
             (uint32_t)(s - s->feed->sources), (long long)(silence_us / 1000000),
             (long long)(most_us / 1000000));
    s->base_at_us += silence_us - most_us;
}

void
feed_times_set(struct feed_source *s, struct md_event *e)
{
    if (e->time_us == 0) {
        e->time_us = e->at_us + s->shift_us;
    } else if (is_shifted(s)) {
        if (!s->has_exchange_shift) {
            s->exchange_shift_us = e->at_us + s->shift_us - e->time_us;
            s->has_exchange_shift = true;
        }
        e->time_us += s->exchange_shift_us;
        if (e->mark.funding_us > 0)
            e->mark.funding_us += s->exchange_shift_us;
    }
    e->trade.time_us = e->quote.time_us = e->time_us;
    e->at_us += s->shift_us;
}
