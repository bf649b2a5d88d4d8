/*
 * allowance.c - what a process gives back, has kept, and may spend alone, window by window.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/allowance.h"

#include <stddef.h>

/* Half of what clocks and ways to the exchange may differ by; less for short windows. */
#define EDGE_US_MAX INT64_C(1000000)
#define EDGE_PARTS  20
/* Two clocks that are each off, and the edge that a request is counted in besides. */
#define EDGES 3
/* Of the weight: held back in a window by who trades, until so much of it is over. */
#define BACK_PERCENT  2
#define BACK_QUARTERS 3

/* ---- Windows ----------------------------------------------------------------------------- */

void
allowance_limit_init(struct allowance_limit *l, uint32_t limit, int64_t window_us)
{
    *l = (struct allowance_limit){.limit = limit, .window_us = window_us};
    l->edge_us = window_us / EDGE_PARTS;
    if (l->edge_us > EDGE_US_MAX)
        l->edge_us = EDGE_US_MAX;
}

bool
allowance_is_long(const struct allowance_limit *l)
{
    return l->window_us > ALLOWANCE_LONG_US;
}

static uint32_t
share(const struct allowance *a, const struct allowance_limit *l)
{
    return (uint32_t)((uint64_t)l->limit * a->percent / 100);
}

void
allowance_span(const struct allowance_limit *l, int64_t now_us, struct allowance_span *out)
{
    out->windows[0] = (now_us - l->edge_us) / l->window_us;
    out->windows[1] = (now_us + l->edge_us) / l->window_us;
    out->count = out->windows[0] == out->windows[1] ? 1 : 2;
}

bool
allowance_is_counted(const struct allowance_limit *l, const struct allowance_span *counted,
                     int64_t now_us)
{
    struct allowance_span now;
    allowance_span(l, now_us, &now);
    return now.windows[0] >= counted->windows[0] &&
           now.windows[now.count - 1] <= counted->windows[counted->count - 1];
}

/* The last window in which something may have been spent before that time, by any clock. */
static int64_t
last_before(const struct allowance_limit *l, int64_t time_us)
{
    return (time_us + EDGES * l->edge_us) / l->window_us;
}

static bool
is_covered(const struct allowance *a, const struct allowance_limit *l, int64_t index)
{
    int64_t last = last_before(l, a->born_us);
    return a->born_us > 0 && !allowance_is_long(l) && index > last &&
           index <= last + ALLOWANCE_AHEAD;
}

/* Whether our share is in what a Redis that was born keeps: not, if another process may have spent
 * it in our place before we began. */
static bool
is_covered_for_us(const struct allowance *a, const struct allowance_limit *l, int64_t index)
{
    return is_covered(a, l, index) && index > last_before(l, a->opened_us);
}

struct allowance_window *
allowance_window(const struct allowance *a, struct allowance_limit *l, int64_t index)
{
    struct allowance_window *w = &l->windows[(uint64_t)index % ALLOWANCE_WINDOWS];
    if (w->index < index) {
        *w = (struct allowance_window){.index = index};
        w->own = is_covered_for_us(a, l, index) ? share(a, l) : 0;
    }
    return w->index == index ? w : NULL;
}

/* ---- The Redis of now -------------------------------------------------------------------- */

bool
allowance_meet(struct allowance *a, int64_t born_us, int64_t guessed_us, int64_t now_us)
{
    if (a->guessed_us != guessed_us)
        return false;
    a->is_another = a->heard_us == 0 || a->born_us != born_us;
    a->is_met = true;
    a->born_us = born_us;
    a->heard_us = now_us;
    a->failed_us = a->guessed_us = 0;
    return true;
}

void
allowance_renew(const struct allowance *a, struct allowance_limit *l)
{
    for (int i = 0; a->is_another && i < ALLOWANCE_WINDOWS; i++) {
        struct allowance_window *w = &l->windows[i];
        uint32_t most = share(a, l);
        w->is_to_tell |= allowance_is_long(l) && w->known > 0;
        w->is_asked = false;
        if (allowance_is_long(l) || a->born_us == 0 || w->index <= last_before(l, a->born_us))
            continue;
        w->own = !w->is_begun && is_covered_for_us(a, l, w->index) && w->alone < most
                     ? most - w->alone
                     : 0;
    }
}

void
allowance_part(struct allowance *a)
{
    a->is_met = false;
}

void
allowance_lose(const struct allowance *a, struct allowance_limit *l, int64_t now_us)
{
    struct allowance_span s;
    allowance_span(l, now_us, &s);
    for (uint32_t i = 0; i < s.count; i++) {
        struct allowance_window *w = allowance_window(a, l, s.windows[i]);
        if (w != NULL)
            w->base = w->known;
    }
}

bool
allowance_fail(struct allowance *a, int64_t begun_us)
{
    bool is_news = begun_us > a->failed_us;
    if (is_news)
        a->failed_us = begun_us;
    return is_news;
}

/* A Redis that lives after that attempt was born after it, so that these windows are closed by it
 * or covered; and whatever lived before it had died before they began. */
void
allowance_miss(const struct allowance *a, struct allowance_limit *l, int64_t begun_us,
               int64_t end_us)
{
    int64_t last = begun_us / l->window_us + ALLOWANCE_AHEAD;
    for (int64_t i = last_before(l, end_us) + 1; i <= last; i++) {
        struct allowance_window *w = allowance_window(a, l, i);
        if (w != NULL)
            w->is_vain = true;
    }
}

bool
allowance_is_closed(const struct allowance *a, const struct allowance_limit *l, int64_t index,
                    int64_t now_us)
{
    if (a->born_us == 0 || index > last_before(l, a->born_us))
        return false;
    return !allowance_is_long(l) || now_us < a->born_us + ALLOWANCE_LONG_US;
}

bool
allowance_is_open(const struct allowance *a, const struct allowance_limit *l, int64_t now_us)
{
    struct allowance_span s;
    allowance_span(l, now_us, &s);
    bool is_open = a->is_met;
    for (uint32_t i = 0; i < s.count; i++)
        is_open &= !allowance_is_closed(a, l, s.windows[i], now_us);
    return is_open;
}

/* ---- Commands ---------------------------------------------------------------------------- */

static bool
has_begun(const struct allowance_limit *l, int64_t index, int64_t now_us)
{
    return index <= (now_us + l->edge_us) / l->window_us;
}

/* What is held back of a window that has begun. */
static uint32_t
back_of(const struct allowance *a, const struct allowance_limit *l, int64_t index, int64_t now_us)
{
    bool is_young = now_us < index * l->window_us + l->window_us / 4 * BACK_QUARTERS;
    return a->is_trading && l->is_weight && is_young
               ? (uint32_t)((uint64_t)l->limit * BACK_PERCENT / 100)
               : 0;
}

/* What is ours of it and not needed any more. */
static uint32_t
spare(const struct allowance *a, const struct allowance_limit *l, const struct allowance_window *w,
      int64_t now_us)
{
    uint32_t back = back_of(a, l, w->index, now_us);
    return has_begun(l, w->index, now_us) && w->own > back ? w->own - back : 0;
}

static bool
is_to_ask(const struct allowance *a, const struct allowance_limit *l,
          const struct allowance_window *w, int64_t now_us)
{
    return !allowance_is_long(l) && !has_begun(l, w->index, now_us) && !w->is_asked &&
           !allowance_is_closed(a, l, w->index, now_us) && !is_covered(a, l, w->index) &&
           w->own + w->alone < share(a, l);
}

bool
allowance_has_to_tell(const struct allowance *a, struct allowance_limit *l, int64_t index,
                      int64_t now_us, bool asks)
{
    const struct allowance_window *w = allowance_window(a, l, index);
    if (w == NULL || (!allowance_is_long(l) && allowance_is_closed(a, l, index, now_us)))
        return false;
    return w->untold > 0 || w->is_to_tell || spare(a, l, w, now_us) > 0 ||
           (asks && is_to_ask(a, l, w, now_us));
}

void
allowance_tell(const struct allowance *a, struct allowance_limit *l, int64_t index, int64_t now_us,
               bool asks, struct allowance_tell *out)
{
    struct allowance_window *w = allowance_window(a, l, index);
    *out = (struct allowance_tell){.index = index, .limit = l->limit};
    out->kept = is_covered(a, l, index) ? l->limit : 0;
    if (w == NULL)
        return;
    out->known = w->known;
    out->add = w->untold;
    w->untold = 0;
    w->is_to_tell = false;
    if (allowance_is_long(l))
        return;
    uint32_t given = spare(a, l, w, now_us);
    w->own -= given;
    out->give = given + out->add; /* what was spent had been kept */
    w->is_begun |= has_begun(l, index, now_us);
    if (asks && is_to_ask(a, l, w, now_us)) {
        out->ask = share(a, l) - w->own - w->alone;
        w->is_asked = true;
    }
}

void
allowance_leave(const struct allowance *a, struct allowance_limit *l, int64_t index,
                struct allowance_tell *out)
{
    struct allowance_window *w = allowance_window(a, l, index);
    *out = (struct allowance_tell){.index = index, .limit = l->limit};
    out->kept = is_covered(a, l, index) ? l->limit : 0;
    if (w == NULL)
        return;
    out->known = w->known;
    out->add = w->untold;
    out->give = allowance_is_long(l) ? 0 : w->own + w->untold;
    w->own = w->untold = 0;
}

static uint32_t
u32_of(uint64_t n)
{
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

void
allowance_told(struct allowance *a, struct allowance_limit *l, int64_t index, int64_t now_us,
               uint64_t spent, uint64_t kept, uint64_t ours)
{
    struct allowance_window *w = allowance_window(a, l, index);
    a->heard_us = now_us;
    if (w == NULL)
        return;
    if (spent > w->known)
        w->known = u32_of(spent);
    w->own += u32_of(ours);
    w->kept = kept > w->own ? u32_of(kept - w->own) : 0;
}

void
allowance_not_told(const struct allowance *a, struct allowance_limit *l,
                   const struct allowance_tell *t)
{
    struct allowance_window *w = allowance_window(a, l, t->index);
    if (w == NULL)
        return;
    w->untold += t->add;
    w->is_to_tell = true;
    w->is_begun = w->is_asked = false;
    if (!allowance_is_long(l))
        w->own += t->give - t->add;
}

/* ---- Alone ------------------------------------------------------------------------------- */

/* Whether whatever Redis there may be now keeps our share of that window. While a share may still
 * be ours that was asked for, it is that one or none. */
static bool
is_ours(const struct allowance *a, const struct allowance_limit *l,
        const struct allowance_window *w)
{
    if (w->is_begun || w->own > 0 || w->alone > 0)
        return false;
    bool is_heard = a->heard_us > 0 && w->index <= last_before(l, a->heard_us) + ALLOWANCE_AHEAD;
    return a->is_by_itself || (w->is_vain && !a->is_met && !is_heard);
}

static uint64_t
room(const struct allowance *a, const struct allowance_limit *l, const struct allowance_window *w)
{
    if (!allowance_is_long(l))
        return (uint64_t)w->own + w->alone;
    uint64_t left = w->base < l->limit ? l->limit - w->base : 0;
    return left * a->percent / 100;
}

bool
allowance_has(struct allowance *a, struct allowance_limit *l, int64_t index, uint32_t amount,
              uint32_t ceiling)
{
    struct allowance_window *w = allowance_window(a, l, index);
    if (w == NULL)
        return false;
    if (!allowance_is_long(l) && is_ours(a, l, w)) {
        w->own = share(a, l);
        a->guessed_us = a->failed_us;
    }
    uint64_t most = room(a, l, w) * ceiling / l->limit;
    return (uint64_t)w->alone + amount <= most && (uint64_t)w->known + amount <= l->limit;
}

void
allowance_spend(const struct allowance *a, struct allowance_limit *l, int64_t index,
                uint32_t amount)
{
    struct allowance_window *w = allowance_window(a, l, index);
    if (w == NULL)
        return;
    if (!allowance_is_long(l))
        w->own -= amount;
    w->alone += amount;
    w->known += amount;
    w->untold += amount;
}
