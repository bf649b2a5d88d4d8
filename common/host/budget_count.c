/*
 * budget_count.c - what is spent in each window of a limit, how much may be, and the share of a
 * process that is alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/budget_priv.h"
#include "host/log.h"
#include "host/metrics.h"

#define START_WAIT_US 1000000 /* for Redis, before the first request is judged without it */
#define ALONE_PARTS   16      /* of a window: then a process alone looks again */

/* ---- Windows ----------------------------------------------------------------------------- */

/*
 * A cancel lowers risk and may use all of it. Orders leave room for the cancels of a minute in
 * which everything is taken back. Snapshots and heals (SYNC) leave a fifth for trading; what only
 * informs (READ) leaves a tenth more, so that a busy screen never delays a book's heal.
 */
static uint32_t
percent_of(enum budget_priority p)
{
    static const uint32_t percent[BUDGET_PRIORITIES] = {
        [BUDGET_CANCEL] = 100, [BUDGET_ORDER] = 95, [BUDGET_SYNC] = 80, [BUDGET_READ] = 70};
    return percent[p];
}

uint32_t
budget_most(const struct budget *b, const struct budget_limit *l, enum budget_priority p)
{
    return b->frees_reserve ? l->limit : (uint32_t)((uint64_t)l->limit * percent_of(p) / 100);
}

uint32_t
budget_ceiling(const struct budget *b, const struct budget_limit *l, enum budget_priority p,
               int64_t window)
{
    if (!b->frees_reserve)
        return budget_most(b, l, p);
    int64_t window_ms = l->window_us / 1000;
    int64_t left_ms = window_ms - (loop_now_us(b->loop) - window * l->window_us) / 1000;
    if (left_ms < 0)
        left_ms = 0;
    if (left_ms > window_ms)
        left_ms = window_ms;
    int64_t reserve = (int64_t)l->limit * (100 - percent_of(p));
    return l->limit - (uint32_t)(reserve * left_ms / window_ms / 100);
}

/* When a ceiling has risen to `need`, which the limit itself allows. */
static int64_t
risen_us(const struct budget *b, const struct budget_limit *l, enum budget_priority p,
         int64_t window, uint32_t need)
{
    if (!b->frees_reserve)
        return budget_window_over_us(l, window);
    int64_t window_ms = l->window_us / 1000;
    int64_t reserve = (int64_t)l->limit * (100 - percent_of(p));
    int64_t left_ms =
        reserve == 0 ? window_ms : ((int64_t)l->limit - need + 1) * 100 * window_ms / reserve;
    int64_t at_us = (window + 1) * l->window_us - (left_ms - 1) * 1000;
    int64_t soon_us = loop_now_us(b->loop) + 1000;
    return at_us > soon_us ? at_us : soon_us;
}

void
budget_span_fill(const struct budget *b, struct budget_limit *l, struct budget_span *out)
{
    int64_t now_us = loop_now_us(b->loop);
    out->limit = l;
    out->windows[0] = (now_us - l->edge_us) / l->window_us;
    out->windows[1] = (now_us + l->edge_us) / l->window_us;
    out->count = out->windows[0] == out->windows[1] ? 1 : 2;
}

struct window *
budget_window(struct budget_limit *l, int64_t index)
{
    struct window *w = &l->windows[(uint64_t)index % BUDGET_WINDOWS];
    if (w->index < index)
        *w = (struct window){.index = index};
    return w->index == index ? w : NULL;
}

int64_t
budget_window_over_us(const struct budget_limit *l, int64_t index)
{
    return (index + 1) * l->window_us + l->edge_us;
}

int64_t
budget_no_room_until_us(const struct budget *b, const struct budget_span *s, uint32_t amount,
                        enum budget_priority p)
{
    int64_t until_us = 0;
    for (uint32_t i = 0; amount > 0 && s->limit->limit > 0 && i < s->count; i++) {
        const struct window *w = budget_window(s->limit, s->windows[i]);
        uint64_t need = (uint64_t)(w == NULL ? s->limit->limit : w->known) + amount;
        int64_t at_us = 0;
        if (need > budget_most(b, s->limit, p))
            at_us = budget_window_over_us(s->limit, s->windows[i]);
        else if (need > budget_ceiling(b, s->limit, p, s->windows[i]))
            at_us = risen_us(b, s->limit, p, s->windows[i], (uint32_t)need);
        until_us = at_us > until_us ? at_us : until_us;
    }
    return until_us;
}

void
budget_block(struct budget *b, struct budget_limit *l, enum budget_priority p, int64_t until_us)
{
    if (loop_now_us(b->loop) >= l->blocked_until_us || p < l->blocked)
        l->blocked = p;
    l->blocked_until_us = until_us;
}

/* ---- Alone ------------------------------------------------------------------------------- */

bool
budget_is_starting(const struct budget *b)
{
    return b->redis != NULL && b->ups == 0 && !b->was_alone &&
           loop_steady_us(b->loop) - b->opened_us < START_WAIT_US;
}

static void
alone_begin(struct budget *b)
{
    for (struct budget_limit *l = &b->own; l != NULL; l = l->next) {
        struct budget_span s;
        budget_span_fill(b, l, &s);
        for (uint32_t i = 0; i < s.count; i++) {
            struct window *w = budget_window(l, s.windows[i]);
            if (w != NULL)
                w->base = w->known;
        }
    }
    b->was_alone = true;
    log_line(LOG_WARN, "budget_alone", "host=%s percent=%u", b->own.name, b->alone_percent);
}

static void
alone_end(struct budget *b)
{
    b->was_alone = false;
    log_line(LOG_INFO, "budget_shared", "host=%s", b->own.name);
}

/* Until the windows of now are over: others may be spending their shares of them. */
static void
alone_for_now(struct budget *b, bool tells)
{
    for (struct budget_limit *l = &b->own; l != NULL; l = l->next) {
        struct budget_span s;
        budget_span_fill(b, l, &s);
        if (l == &b->own)
            b->alone_until_us = budget_window_over_us(l, s.windows[s.count - 1]);
        for (uint32_t i = 0; tells && i < s.count; i++) {
            struct window *w = budget_window(l, s.windows[i]);
            if (w != NULL)
                budget_tell(b, l, w);
        }
    }
}

void
budget_be_alone(struct budget *b)
{
    if (!b->was_alone)
        alone_begin(b);
    alone_for_now(b, false);
}

bool
budget_is_alone(struct budget *b)
{
    bool is_up = b->redis != NULL && redis_link_is_up(b->redis);
    uint32_t ups = b->redis == NULL ? 0 : redis_link_ups(b->redis);
    bool was_lost = b->was_alone || (ups != b->ups && b->ups != 0);
    if (!b->was_alone && (!is_up || was_lost))
        alone_begin(b);
    if (is_up && ups != b->ups) {
        b->ups = ups;
        b->knows_script = false;
        if (was_lost) /* what was spent since is told, and shared again is the next window */
            alone_for_now(b, true);
    }
    if (b->was_alone && is_up && loop_now_us(b->loop) >= b->alone_until_us)
        alone_end(b);
    metric_set(b->is_alone, b->was_alone);
    return b->was_alone;
}

/* The most that this process may spend alone in a window. */
static uint32_t
alone_room(const struct budget *b, const struct budget_limit *l, const struct window *w,
           enum budget_priority p)
{
    uint64_t left = w->base < l->limit ? l->limit - w->base : 0;
    uint64_t share = left * b->alone_percent / 100;
    return (uint32_t)(share * budget_ceiling(b, l, p, w->index) / l->limit);
}

/* When this process may have room by itself; 0 = it has. */
static int64_t
alone_until_us(const struct budget *b, const struct budget_span *s, uint32_t amount,
               enum budget_priority p)
{
    int64_t until_us = budget_no_room_until_us(b, s, amount, p);
    for (uint32_t i = 0; until_us == 0 && amount > 0 && s->limit->limit > 0 && i < s->count; i++) {
        const struct window *w = budget_window(s->limit, s->windows[i]);
        if (w->alone + amount <= alone_room(b, s->limit, w, p))
            continue;
        until_us = budget_window_over_us(s->limit, s->windows[i]);
        int64_t look_us = loop_now_us(b->loop) + s->limit->window_us / ALONE_PARTS;
        if (b->frees_reserve && p > BUDGET_CANCEL && look_us < until_us)
            until_us = look_us;
    }
    return until_us;
}

bool
budget_take_alone(struct budget *b, const struct ask *k)
{
    struct budget_span spans[BUDGET_NEEDS];
    bool has_room = true;
    for (uint32_t i = 0; i < k->needs_count; i++) {
        budget_span_fill(b, k->needs[i].limit, &spans[i]);
        int64_t until_us = alone_until_us(b, &spans[i], k->needs[i].amount, k->priority);
        if (until_us == 0)
            continue;
        budget_block(b, k->needs[i].limit, k->priority, until_us);
        has_room = false;
    }
    for (uint32_t i = 0; has_room && i < k->needs_count; i++) {
        uint32_t amount = k->needs[i].amount;
        for (uint32_t n = 0; amount > 0 && n < spans[i].count; n++) {
            struct window *w = budget_window(k->needs[i].limit, spans[i].windows[n]);
            if (w == NULL)
                continue;
            w->alone += amount;
            w->known += amount;
            w->unreported += amount;
            budget_tell(b, k->needs[i].limit, w);
        }
    }
    return has_room;
}
