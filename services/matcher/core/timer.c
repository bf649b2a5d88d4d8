/*
 * timer.c - the heap of times and the pool of errands.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/timer.h"

#include "base/check.h"

size_t
timers_bytes(uint32_t orders_max, uint32_t errands_max)
{
    return ((size_t)orders_max + errands_max) * sizeof(struct timer) +
           (size_t)errands_max * sizeof(struct errand);
}

void
timers_init(struct timers *t, const struct resting_pool *orders, uint32_t errands_max, void *zeroed)
{
    CHECK(orders->max < TIMER_ERRAND && errands_max < TIMER_ERRAND);
    struct timer *at = zeroed;
    *t = (struct timers){.at = at,
                         .orders = orders,
                         .errands = (struct errand *)(void *)(at + orders->max + errands_max),
                         .errands_free = TIMER_NONE,
                         .errands_max = errands_max};
}

/* ---- The heap ------------------------------------------------------------------------------- */

static bool
is_sooner(const struct timer *a, const struct timer *b)
{
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us;
    if (a->order_id != b->order_id)
        return a->order_id < b->order_id;
    return a->number < b->number;
}

static uint32_t *
place_of(const struct timers *t, uint32_t what)
{
    if ((what & TIMER_ERRAND) != 0)
        return &t->errands[what & ~TIMER_ERRAND].place;
    return &t->orders->more[what].timer;
}

static void
put(struct timers *t, uint32_t place, struct timer timer)
{
    t->at[place] = timer;
    *place_of(t, timer.what) = place;
}

static void
rise(struct timers *t, uint32_t place, struct timer timer)
{
    while (place > 0 && is_sooner(&timer, &t->at[(place - 1) / 2])) {
        put(t, place, t->at[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(t, place, timer);
}

static void
sink(struct timers *t, uint32_t place, struct timer timer)
{
    for (;;) {
        uint32_t child = place * 2 + 1;
        if (child + 1 < t->count && is_sooner(&t->at[child + 1], &t->at[child]))
            child++;
        if (child >= t->count || !is_sooner(&t->at[child], &timer))
            break;
        put(t, place, t->at[child]);
        place = child;
    }
    put(t, place, timer);
}

static void
add(struct timers *t, struct timer timer)
{
    rise(t, t->count++, timer);
}

static void
take_out(struct timers *t, uint32_t place)
{
    *place_of(t, t->at[place].what) = TIMER_NONE;
    struct timer last = t->at[--t->count];
    if (place == t->count)
        return;
    if (place > 0 && is_sooner(&last, &t->at[(place - 1) / 2]))
        rise(t, place, last);
    else
        sink(t, place, last);
}

/* ---- Orders and errands --------------------------------------------------------------------- */

void
timer_set(struct timers *t, uint32_t record, int64_t at_us)
{
    CHECK(t->orders->at[record].has_more && t->orders->more[record].timer == TIMER_NONE);
    add(t, (struct timer){.at_us = at_us, .order_id = t->orders->at[record].id, .what = record});
}

void
timer_clear(struct timers *t, uint32_t record)
{
    if (t->orders->more[record].timer != TIMER_NONE)
        take_out(t, t->orders->more[record].timer);
}

bool
timer_errand(struct timers *t, const struct errand *e, int64_t at_us)
{
    if (t->errands_used == t->errands_max)
        return false;
    uint32_t i = t->errands_free != TIMER_NONE ? t->errands_free : t->errands_fresh;
    if (t->errands_free != TIMER_NONE)
        t->errands_free = t->errands[i].place;
    else
        t->errands_fresh++;
    t->errands_used++;
    t->errands[i] = *e;
    add(t, (struct timer){.at_us = at_us,
                          .order_id = e->order_id,
                          .number = ++t->errands_begun,
                          .what = i | TIMER_ERRAND});
    return true;
}

static void
errand_free(struct timers *t, uint32_t errand)
{
    t->errands[errand].order_id = 0;
    t->errands[errand].place = t->errands_free;
    t->errands_free = errand;
    t->errands_used--;
}

uint32_t
timer_take(struct timers *t, struct errand *errand)
{
    CHECK(t->count > 0);
    uint32_t what = t->at[0].what;
    take_out(t, 0);
    if ((what & TIMER_ERRAND) == 0)
        return what;
    *errand = t->errands[what & ~TIMER_ERRAND];
    errand_free(t, what & ~TIMER_ERRAND);
    return TIMER_NONE;
}

void
timer_drop_errands(struct timers *t, uint16_t ledger)
{
    for (uint32_t i = 0; t->errands_used > 0 && i < t->errands_fresh; i++) {
        if (t->errands[i].order_id == 0 || t->errands[i].ledger != ledger)
            continue;
        take_out(t, t->errands[i].place);
        errand_free(t, i);
    }
}

const char *
timers_check(const struct timers *t)
{
    uint32_t errands = 0, orders = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t what = t->at[i].what;
        if (i > 0 && is_sooner(&t->at[i], &t->at[(i - 1) / 2]))
            return "timers: a time is sooner than the one above it";
        if (*place_of(t, what) != i)
            return "timers: a place is wrong";
        if ((what & TIMER_ERRAND) != 0)
            errands++;
        else if (t->orders->at[what].id != t->at[i].order_id || !t->orders->at[what].has_more)
            return "timers: a time is of an order that is gone";
    }
    for (uint32_t i = 0; i < t->orders->fresh; i++)
        orders += t->orders->at[i].id != 0 && t->orders->at[i].has_more &&
                  t->orders->more[i].timer != TIMER_NONE;
    if (errands != t->errands_used || orders + errands != t->count)
        return "timers: the number of times is wrong";
    return NULL;
}
