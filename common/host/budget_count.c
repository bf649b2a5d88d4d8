/*
 * budget_count.c - how much of a limit each priority may use, and the way of a budget with Redis:
 * met, lost, tried in vain. What is counted and kept, window by window, is base/allowance.h.
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
    return b->frees_reserve ? l->count.limit
                            : (uint32_t)((uint64_t)l->count.limit * percent_of(p) / 100);
}

uint32_t
budget_ceiling(const struct budget *b, const struct budget_limit *l, enum budget_priority p,
               int64_t window)
{
    if (!b->frees_reserve)
        return budget_most(b, l, p);
    int64_t window_ms = l->count.window_us / 1000;
    int64_t left_ms = window_ms - (loop_now_us(b->loop) - window * l->count.window_us) / 1000;
    if (left_ms < 0)
        left_ms = 0;
    if (left_ms > window_ms)
        left_ms = window_ms;
    int64_t reserve = (int64_t)l->count.limit * (100 - percent_of(p));
    return l->count.limit - (uint32_t)(reserve * left_ms / window_ms / 100);
}

/* When a window is counted in no more. */
static int64_t
window_over_us(const struct budget_limit *l, int64_t index)
{
    return (index + 1) * l->count.window_us + l->count.edge_us;
}

/* When a ceiling has risen to `need`, which the limit itself allows. */
static int64_t
risen_us(const struct budget *b, const struct budget_limit *l, enum budget_priority p,
         int64_t window, uint32_t need)
{
    if (!b->frees_reserve)
        return window_over_us(l, window);
    int64_t window_ms = l->count.window_us / 1000;
    int64_t reserve = (int64_t)l->count.limit * (100 - percent_of(p));
    int64_t left_ms =
        reserve == 0 ? window_ms : ((int64_t)l->count.limit - need + 1) * 100 * window_ms / reserve;
    int64_t at_us = (window + 1) * l->count.window_us - (left_ms - 1) * 1000;
    int64_t soon_us = loop_now_us(b->loop) + 1000;
    return at_us > soon_us ? at_us : soon_us;
}

void
budget_span_fill(const struct budget *b, const struct budget_limit *l, struct allowance_span *out)
{
    allowance_span(&l->count, loop_now_us(b->loop), out);
}

struct allowance_window *
budget_window(struct budget *b, struct budget_limit *l, int64_t index)
{
    return allowance_window(&b->allowance, &l->count, index);
}

int64_t
budget_no_room_until_us(struct budget *b, struct budget_limit *l, int64_t window, uint32_t amount,
                        enum budget_priority p)
{
    const struct allowance_window *w = budget_window(b, l, window);
    uint64_t need = (uint64_t)(w == NULL ? l->count.limit : w->known) + amount;
    if (amount == 0 || l->count.limit == 0)
        return 0;
    if (need > budget_most(b, l, p))
        return window_over_us(l, window);
    if (need > budget_ceiling(b, l, p, window))
        return risen_us(b, l, p, window, (uint32_t)need);
    return 0;
}

void
budget_block(struct budget *b, struct budget_limit *l, enum budget_priority p, int64_t until_us)
{
    if (loop_now_us(b->loop) >= l->blocked_until_us || p < l->blocked)
        l->blocked = p;
    l->blocked_until_us = until_us;
}

/* ---- Redis ------------------------------------------------------------------------------- */

bool
budget_is_starting(const struct budget *b)
{
    return b->redis != NULL && *b->state == '\0' && !b->was_alone &&
           (b->is_newborn || b->meeting != NULL ||
            loop_steady_us(b->loop) - b->opened_us < START_WAIT_US);
}

void
budget_part(struct budget *b)
{
    if (!b->allowance.is_met)
        return;
    allowance_part(&b->allowance);
    for (struct budget_limit *l = &b->own; l != NULL; l = l->next)
        allowance_lose(&b->allowance, &l->count, loop_now_us(b->loop));
}

void
budget_fail(struct budget *b, int64_t begun_us)
{
    if (!allowance_fail(&b->allowance, begun_us))
        return;
    for (struct budget_limit *l = &b->own; l != NULL; l = l->next)
        allowance_miss(&b->allowance, &l->count, begun_us, loop_now_us(b->loop));
}

bool
budget_meet(struct budget *b, int64_t born_us, int64_t guessed_us)
{
    bool is_met = allowance_meet(&b->allowance, born_us, guessed_us, loop_now_us(b->loop));
    for (struct budget_limit *l = &b->own; is_met && l != NULL; l = l->next)
        allowance_renew(&b->allowance, &l->count);
    return is_met;
}

static void
look(struct budget *b)
{
    bool is_up = redis_link_is_up(b->redis);
    uint32_t ups = redis_link_ups(b->redis);
    if (!is_up || ups != b->ups) {
        budget_part(b);
        b->is_newborn = false;
    }
    if (redis_link_failed_us(b->redis) > b->allowance.failed_us)
        budget_fail(b, redis_link_failed_us(b->redis));
    if (is_up && ups != b->ups) {
        b->ups = ups;
        b->knows_script = false;
        b->meet_at_us = 0;
    }
    if (is_up && !b->allowance.is_met)
        budget_greet(b);
}

bool
budget_is_alone(struct budget *b)
{
    if (b->redis != NULL)
        look(b);
    bool is_alone = !allowance_is_open(&b->allowance, &b->own.count, loop_now_us(b->loop));
    if (budget_is_starting(b))
        return true;
    if (is_alone && !b->was_alone)
        log_line(LOG_WARN, "budget_alone", "host=%s percent=%u", b->own.name, b->allowance.percent);
    if (!is_alone && b->was_alone) {
        log_line(LOG_INFO, "budget_shared", "host=%s", b->own.name);
        for (struct budget_limit *l = &b->own; l != NULL; l = l->next)
            l->blocked_until_us = 0;
    }
    b->was_alone = is_alone;
    metric_set(b->is_alone, is_alone);
    return is_alone;
}

/* ---- Alone ------------------------------------------------------------------------------- */

/* When this process may have room by itself in a window; 0 = it has. */
static int64_t
alone_until_us(struct budget *b, struct budget_limit *l, int64_t window, uint32_t amount,
               enum budget_priority p)
{
    int64_t until_us = budget_no_room_until_us(b, l, window, amount, p);
    if (until_us > 0 || amount == 0 || l->count.limit == 0 ||
        allowance_has(&b->allowance, &l->count, window, amount, budget_ceiling(b, l, p, window)))
        return until_us;
    until_us = window_over_us(l, window);
    int64_t look_us = loop_now_us(b->loop) + l->count.window_us / ALONE_PARTS;
    return b->frees_reserve && p > BUDGET_CANCEL && look_us < until_us ? look_us : until_us;
}

bool
budget_take_own(struct budget *b, const struct ask *k, int64_t until_us[BUDGET_NEEDS])
{
    struct allowance_span spans[BUDGET_NEEDS];
    bool has_room = true;
    for (uint32_t i = 0; i < k->needs_count; i++) {
        budget_span_fill(b, k->needs[i].limit, &spans[i]);
        until_us[i] = 0;
        for (uint32_t n = 0; n < spans[i].count; n++) {
            int64_t at_us = alone_until_us(b, k->needs[i].limit, spans[i].windows[n],
                                           k->needs[i].amount, k->priority);
            until_us[i] = at_us > until_us[i] ? at_us : until_us[i];
        }
        has_room &= until_us[i] == 0;
    }
    for (uint32_t i = 0; has_room && i < k->needs_count; i++)
        for (uint32_t n = 0; k->needs[i].limit->count.limit > 0 && n < spans[i].count; n++)
            allowance_spend(&b->allowance, &k->needs[i].limit->count, spans[i].windows[n],
                            k->needs[i].amount);
    return has_room;
}

bool
budget_take_alone(struct budget *b, const struct ask *k)
{
    int64_t until_us[BUDGET_NEEDS];
    bool has_room = budget_take_own(b, k, until_us);
    for (uint32_t i = 0; !has_room && i < k->needs_count; i++)
        if (until_us[i] > 0)
            budget_block(b, k->needs[i].limit, k->priority, until_us[i]);
    return has_room;
}
