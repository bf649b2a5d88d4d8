/*
 * budget.c - who asks for weight, in which order, and what they are told.
 *
 * The first few who wait are asked for in Redis at once, in their order; the answer decides about
 * them before the next are looked at, so that priorities hold. An ask that finds no room in a limit
 * blocks it for its own and all lower priorities until there may be some, and whoever cannot wait
 * so long is refused at once. Those who do not need that limit go on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/budget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/budget_priv.h"
#include "host/log.h"
#include "host/metrics.h"

#define TICK_MS 20
/* Windows are looked at so often, whether there is something to tell Redis. */
#define BEAT_PARTS  16
#define BEAT_MS_MAX 1000
/* Without a Retry-After: what Binance's shortest waits are. */
#define TOO_MANY_S 60
#define BANNED_S   120

/* ---- Who waits --------------------------------------------------------------------------- */

static void
ask_append(struct budget *b, struct ask *k)
{
    k->next = NULL;
    *b->last[k->priority] = k;
    b->last[k->priority] = &k->next;
    b->waiting++;
}

/* A number tells its place: they rise, and each place has those of its own. */
static uint64_t
number_next(struct budget *b, const struct ask *k)
{
    uint64_t place = (uint64_t)(k - b->asks);
    return ++b->last_number * b->queue_max + place;
}

static struct ask *
ask_find(struct budget *b, uint64_t number)
{
    struct ask *k = &b->asks[number % b->queue_max];
    return number != 0 && k->number == number ? k : NULL;
}

/* Out of its queue, and gone. */
static void
ask_remove(struct budget *b, struct ask *k)
{
    struct ask **at = &b->first[k->priority];
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    if (b->last[k->priority] == &k->next)
        b->last[k->priority] = at;
    k->next = b->free;
    k->number = 0;
    b->free = k;
    b->waiting--;
}

static void
ask_answer(struct budget *b, struct ask *k, bool is_granted, int64_t retry_after_us)
{
    budget_answer *answer = k->answer;
    void *arg = k->arg;
    metric_add(is_granted ? b->granted[k->priority] : b->refused[k->priority], 1);
    ask_remove(b, k);
    int64_t ms = retry_after_us <= 0 ? 1 : (retry_after_us + 999) / 1000;
    answer(arg, is_granted, is_granted ? 0 : ms);
}

static bool
is_taking(const struct budget *b, uint64_t number)
{
    for (uint32_t i = 0; b->call != NULL && i < b->call->asks_count; i++)
        if (b->call->asks[i] == number)
            return true;
    return false;
}

/* ---- Turns ------------------------------------------------------------------------------- */

/* Until when one waits at least, as far as is known. */
static int64_t
blocked_until_us(const struct budget *b, const struct ask *k)
{
    int64_t now_us = loop_now_us(b->loop);
    int64_t until_us = b->banned_until_us > now_us ? b->banned_until_us : 0;
    for (uint32_t i = 0; i < k->needs_count; i++) {
        const struct budget_limit *l = k->needs[i].limit;
        if (k->needs[i].amount > 0 && k->priority >= l->blocked && l->blocked_until_us > now_us &&
            l->blocked_until_us > until_us)
            until_us = l->blocked_until_us;
    }
    return until_us;
}

static bool
is_hopeless(const struct budget *b, const struct ask *k, int64_t until_us)
{
    int64_t now_us = loop_now_us(b->loop);
    int64_t wait_us = until_us > now_us ? until_us - now_us : 0;
    return k->give_up_us < loop_steady_us(b->loop) + wait_us && !is_taking(b, k->number);
}

/* The first of those who wait and are not blocked; refuses on the way who cannot wait so long.
 * Answers may ask and drop, so each one begins the walk of its priority anew. */
static uint32_t
collect(struct budget *b, struct ask **out, uint32_t max)
{
    uint32_t count = 0;
    for (int p = 0; p < BUDGET_PRIORITIES; p++) {
        for (struct ask *k = b->first[p]; k != NULL && count < max;) {
            struct ask *next = k->next;
            int64_t until_us = blocked_until_us(b, k);
            if (is_hopeless(b, k, until_us)) {
                ask_answer(b, k, false, until_us == 0 ? 0 : until_us - loop_now_us(b->loop));
                p = 0;
                count = 0;
                next = b->first[0];
            } else if (until_us == 0) {
                out[count++] = k;
            }
            k = next;
        }
    }
    return count;
}

/* Decides about the first of those; false when the answer has to be waited for. */
static bool
decide(struct budget *b, struct ask *const *asks, uint32_t count)
{
    if (!budget_is_alone(b)) {
        (void)budget_take_shared(b, asks, count); /* else the link is busy: at the next tick */
        return false;
    }
    if (budget_is_starting(b))
        return false;
    if (budget_take_alone(b, asks[0]))
        ask_answer(b, asks[0], true, 0);
    return true;
}

static void
pump(struct budget *b)
{
    struct ask *asks[BUDGET_BATCH];
    if (b->is_pumping)
        return;
    b->is_pumping = true;
    bool goes_on = true;
    while (goes_on && b->call == NULL) {
        uint32_t count = collect(b, asks, BUDGET_BATCH);
        goes_on = count > 0 && !b->is_held && decide(b, asks, count);
    }
    b->is_pumping = false;
    const struct allowance_window *w =
        budget_window(b, &b->own, loop_now_us(b->loop) / b->own.count.window_us);
    metric_set(b->used, w == NULL ? 0 : w->known);
    if (b->waiting == 0)
        loop_timer_stop(b->tick);
}

/* An answer may take long. */
static bool
is_of_now(const struct budget *b, const struct budget_span *s)
{
    struct allowance_span counted = {.count = s->count};
    for (uint32_t n = 0; n < s->count; n++)
        counted.windows[n] = s->tells[n].index;
    return allowance_is_counted(&s->limit->count, &counted, loop_now_us(b->loop));
}

/* Until when it need not be asked for again, where it found no room; what is kept for others may
 * be given back any moment. */
static int64_t
refused_until_us(struct budget *b, const struct ask *k, const struct budget_part *need,
                 int64_t window)
{
    const struct budget_limit *l = need->limit;
    const struct allowance_window *w = budget_window(b, need->limit, window);
    int64_t until_us = budget_no_room_until_us(b, need->limit, window, need->amount, k->priority);
    bool is_used = need->amount > 0 && l->count.limit > 0 && w != NULL;
    if (until_us > 0 || !is_used)
        return until_us;
    bool is_kept = (uint64_t)w->known + w->kept + w->own + need->amount > l->count.limit;
    bool is_closed = allowance_is_closed(&b->allowance, &l->count, window, loop_now_us(b->loop));
    return is_kept || is_closed ? loop_now_us(b->loop) + TICK_MS * 1000 : 0;
}

/* Whether all that was counted for it is of now; where it found no room it is blocked. */
static bool
is_settled(struct budget *b, const struct take_call *call, const struct ask *k, bool is_granted)
{
    bool is_late = false;
    for (uint32_t i = 0; i < k->needs_count; i++)
        for (uint32_t n = 0; n < call->spans_count; n++) {
            const struct budget_span *s = &call->spans[n];
            int64_t until_us = 0;
            if (s->limit != k->needs[i].limit)
                continue;
            is_late |= !is_of_now(b, s);
            for (uint32_t t = 0; !is_granted && t < s->count; t++) {
                int64_t at_us = refused_until_us(b, k, &k->needs[i], s->tells[t].index);
                until_us = at_us > until_us ? at_us : until_us;
            }
            if (until_us > loop_now_us(b->loop))
                budget_block(b, k->needs[i].limit, k->priority, until_us);
        }
    return is_granted && !is_late;
}

/* What is held back here is for cancels, whether Redis is there or not. */
static bool
is_held_back(struct budget *b, const struct ask *k)
{
    int64_t until_us[BUDGET_NEEDS];
    bool is_kept = k->priority == BUDGET_CANCEL && loop_now_us(b->loop) >= b->banned_until_us;
    for (uint32_t i = 0; i < k->needs_count; i++)
        is_kept &= k->needs[i].amount == 0 || !allowance_is_long(&k->needs[i].limit->count);
    return is_kept && budget_take_own(b, k, until_us);
}

/* One that was asked for: granted, or blocked where it found no room, or to be asked again. */
static void
settle(struct budget *b, const struct take_call *call, struct ask *k, bool is_granted)
{
    if ((!is_granted && is_held_back(b, k)) || is_settled(b, call, k, is_granted))
        ask_answer(b, k, true, 0);
}

void
budget_took(struct budget *b, const struct take_call *call, const bool *granted)
{
    bool was_pumping = b->is_pumping;
    b->is_pumping = true; /* answers ask for more, which waits for all of these */
    for (uint32_t i = 0; i < call->asks_count; i++) {
        struct ask *k = ask_find(b, call->asks[i]);
        if (k != NULL)
            settle(b, call, k, granted[i]);
    }
    b->is_pumping = was_pumping;
    pump(b);
}

static void
on_tick(void *arg)
{
    struct budget *b = arg;
    pump(b);
    if (b->waiting > 0)
        loop_timer_again(b->tick, TICK_MS);
}

/* What is spare is given back, what is to come is kept, though nobody asks. */
static void
on_beat(void *arg)
{
    struct budget *b = arg;
    bool was_alone = b->was_alone;
    (void)budget_is_alone(b);
    for (struct budget_limit *l = &b->own; l != NULL; l = l->next)
        budget_tell(b, l);
    if (was_alone && !b->was_alone)
        pump(b);
}

static void
beat_set(struct budget *b)
{
    int64_t ms = BEAT_MS_MAX;
    for (const struct budget_limit *l = &b->own; l != NULL; l = l->next)
        if (l->count.window_us / 1000 / BEAT_PARTS < ms)
            ms = l->count.window_us / 1000 / BEAT_PARTS;
    loop_timer_again(b->beat, ms < TICK_MS ? TICK_MS : ms);
}

void
budget_hold(struct budget *b, bool is_held)
{
    bool was_held = b->is_held;
    b->is_held = is_held;
    if (was_held && !is_held)
        pump(b);
}

/* ---- Asking ------------------------------------------------------------------------------ */

/* How long the longest of the windows lasts that have no room at all for it; 0 = all may. */
static int64_t
never_fits_us(const struct budget *b, const struct ask *k)
{
    int64_t left_us = 0;
    for (uint32_t i = 0; i < k->needs_count; i++) {
        const struct budget_limit *l = k->needs[i].limit;
        bool is_unlimited = i > 0 && l->count.limit == 0;
        if (is_unlimited || k->needs[i].amount <= budget_most(b, l, k->priority))
            continue;
        int64_t us = l->count.window_us - loop_now_us(b->loop) % l->count.window_us;
        left_us = us > left_us ? us : left_us;
    }
    return left_us;
}

static uint64_t
refuse_at_once(struct budget *b, enum budget_priority p, int64_t wait_us, budget_answer *answer,
               void *arg)
{
    metric_add(b->refused[p], 1);
    answer(arg, false, (wait_us + 999) / 1000);
    return 0;
}

uint64_t
budget_ask_all(struct budget *b, uint32_t weight, const struct budget_part *parts,
               uint32_t parts_count, enum budget_priority priority, int64_t patience_ms,
               budget_answer *answer, void *arg)
{
    struct ask *k = b->free;
    CHECK(parts_count <= BUDGET_PARTS_MAX);
    if (k == NULL || b->is_closing)
        return refuse_at_once(b, priority, b->own.count.window_us, answer, arg);
    struct ask *next = k->next;
    *k = (struct ask){.next = next,
                      .priority = priority,
                      .give_up_us = loop_steady_us(b->loop) + patience_ms * 1000,
                      .answer = answer,
                      .arg = arg,
                      .needs_count = parts_count + 1,
                      .needs[0] = {&b->own, weight}};
    for (uint32_t i = 0; i < parts_count; i++)
        k->needs[i + 1] = parts[i];
    int64_t never_us = never_fits_us(b, k);
    if (never_us > 0)
        return refuse_at_once(b, priority, never_us, answer, arg);
    b->free = next;
    b->allowance.is_trading |= priority <= BUDGET_ORDER;
    for (uint32_t i = 0; i < k->needs_count; i++)
        if (k->needs[i].amount > 0)
            k->needs[i].limit->asked_us = loop_steady_us(b->loop);
    uint64_t number = k->number = number_next(b, k);
    if (b->waiting == 0)
        loop_timer_again(b->tick, TICK_MS);
    ask_append(b, k);
    pump(b);
    return k->number == number ? number : 0;
}

uint64_t
budget_ask(struct budget *b, uint32_t weight, enum budget_priority priority, int64_t patience_ms,
           budget_answer *answer, void *arg)
{
    return budget_ask_all(b, weight, NULL, 0, priority, patience_ms, answer, arg);
}

void
budget_drop(struct budget *b, uint64_t ask)
{
    struct ask *k = ask_find(b, ask);
    if (k != NULL)
        ask_remove(b, k);
}

/* ---- What the exchange says -------------------------------------------------------------- */

/* The window of the exchange's count: by its own clock, where it tells it. */
static struct allowance_window *
window_told(struct budget *b, struct budget_limit *l, int64_t date_us)
{
    struct allowance_span s;
    int64_t here = loop_now_us(b->loop) / l->count.window_us;
    int64_t there = date_us / l->count.window_us;
    if (date_us > 0 && l->count.window_us >= 2000000 && there - here <= 1 && here - there <= 1)
        return budget_window(b, l, there);
    /* At an edge it may be that of the window before. */
    budget_span_fill(b, l, &s);
    return s.count == 1 ? budget_window(b, l, s.windows[0]) : NULL;
}

static void
known_raise(struct budget *b, struct budget_limit *l, struct allowance_window *w, int64_t count)
{
    if (w == NULL || count <= w->known)
        return;
    w->known = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
    w->is_to_tell = true;
    budget_tell(b, l);
}

void
budget_limit_learn(struct budget *b, struct budget_limit *l, int64_t count, int64_t date_us)
{
    if (count >= 0)
        known_raise(b, l, window_told(b, l, date_us), count);
}

void
budget_limit_fill(struct budget *b, struct budget_limit *l)
{
    struct allowance_span s;
    budget_span_fill(b, l, &s);
    for (uint32_t i = 0; i < s.count; i++)
        known_raise(b, l, budget_window(b, l, s.windows[i]), l->count.limit);
}

void
budget_ban(struct budget *b, int64_t wait_s)
{
    int64_t until_us = loop_now_us(b->loop) + (wait_s > 0 ? wait_s : 1) * 1000000;
    if (until_us > b->banned_until_us)
        b->banned_until_us = until_us;
    if (until_us > b->own_ban_until_us)
        b->own_ban_until_us = until_us;
    metric_add(b->bans, 1);
    budget_tell_ban(b);
    pump(b);
}

void
budget_learn(struct budget *b, const struct fetch_reply *r)
{
    budget_limit_learn(b, &b->own, r->used_weight_1m, r->date_us);
    if (r->status == 429 || r->status == 418) {
        int64_t wait_s = r->retry_after_s;
        if (wait_s < 0)
            wait_s = r->status == 429 ? TOO_MANY_S : BANNED_S;
        log_line(LOG_WARN, "budget_banned", "host=%s status=%d wait_s=%lld", b->own.name, r->status,
                 (long long)wait_s);
        budget_ban(b, wait_s);
    }
    pump(b);
}

void
budget_limit_set(struct budget *b, struct budget_limit *l, uint32_t limit)
{
    if (limit == l->count.limit)
        return;
    l->count.limit = limit;
    l->blocked_until_us = 0;
    pump(b);
}

void
budget_set_limit(struct budget *b, uint32_t limit)
{
    metric_set(b->limits, limit);
    budget_limit_set(b, &b->own, limit);
}

uint32_t
budget_left(const struct budget *b)
{
    int64_t index = loop_now_us(b->loop) / b->own.count.window_us;
    const struct allowance_window *w = &b->own.count.windows[(uint64_t)index % ALLOWANCE_WINDOWS];
    uint32_t used = w->index == index ? w->known : 0;
    return used < b->own.count.limit ? b->own.count.limit - used : 0;
}

int64_t
budget_banned_until_us(const struct budget *b)
{
    return loop_now_us(b->loop) < b->banned_until_us ? b->banned_until_us : 0;
}

/* ---- Life -------------------------------------------------------------------------------- */

static void
metrics_open(struct budget *b)
{
    static const char *const names[BUDGET_PRIORITIES] = {"cancel", "order", "sync", "read"};
    char labels[320];
    snprintf(labels, sizeof labels, "host=\"%s\"", b->own.name);
    b->used = metric_gauge("scrip_budget_used", labels, "Request weight spent in this window.");
    b->limits = metric_gauge("scrip_budget_limit", labels, "Request weight allowed in a window.");
    b->is_alone =
        metric_gauge("scrip_budget_alone", labels, "1 while the weight is not shared by Redis.");
    b->bans = metric_counter("scrip_budget_bans_total", labels, "Replies with status 429 or 418.");
    for (int p = 0; p < BUDGET_PRIORITIES; p++) {
        snprintf(labels, sizeof labels, "host=\"%s\",priority=\"%s\"", b->own.name, names[p]);
        b->granted[p] =
            metric_counter("scrip_budget_granted_total", labels, "Requests that may be sent.");
        b->refused[p] =
            metric_counter("scrip_budget_refused_total", labels, "Requests that may not be sent.");
    }
    metric_set(b->limits, b->own.count.limit);
}

void
budget_host_of(const char *url, char out[BUDGET_HOST_BYTES])
{
    const char *at = strstr(url, "://");
    at = at == NULL ? url : at + 3;
    size_t length = strcspn(at, "/");
    if (length >= BUDGET_HOST_BYTES)
        length = BUDGET_HOST_BYTES - 1;
    memcpy(out, at, length);
    out[length] = '\0';
}

static void
limit_init(struct budget_limit *l, uint32_t limit, int64_t window_ms)
{
    CHECK(window_ms > 0 && l->name != NULL);
    allowance_limit_init(&l->count, limit, window_ms * 1000);
}

struct budget_limit *
budget_limit_open(struct budget *b, const char *name, uint32_t limit, int64_t window_ms)
{
    struct budget_limit *l = calloc(1, sizeof *l);
    CHECK(l != NULL && asprintf(&l->name, "%s:%s", b->own.name, name) > 0);
    limit_init(l, limit, window_ms);
    l->next = b->own.next;
    b->own.next = l;
    beat_set(b);
    return l;
}

void
budget_limit_close(struct budget *b, struct budget_limit **limit)
{
    struct budget_limit *l = *limit, *at = &b->own;
    if (l == NULL)
        return;
    *limit = NULL;
    while (at->next != l)
        at = at->next;
    at->next = l->next;
    budget_limit_forget(b, l);
    free(l->name);
    free(l);
}

struct budget *
budget_open(const struct budget_options *o)
{
    struct budget *b = calloc(1, sizeof *b);
    CHECK(b != NULL && o->queue_max > 0);
    b->loop = o->loop;
    b->redis = o->redis;
    b->own.name = strdup(o->host);
    limit_init(&b->own, o->limit, o->window_ms);
    b->own.count.is_weight = true;
    b->allowance = (struct allowance){.percent = o->alone_percent,
                                      .is_by_itself = o->redis == NULL,
                                      .opened_us = loop_now_us(o->loop)};
    b->frees_reserve = o->frees_reserve;
    b->opened_us = loop_steady_us(o->loop);
    b->queue_max = o->queue_max;
    b->asks = calloc(o->queue_max, sizeof *b->asks);
    CHECK(b->asks != NULL);
    for (uint32_t i = 0; i < o->queue_max; i++) {
        b->asks[i].next = b->free;
        b->free = &b->asks[i];
    }
    for (int p = 0; p < BUDGET_PRIORITIES; p++)
        b->last[p] = &b->first[p];
    b->tick = loop_timer_new(o->loop, TICK_MS, 0, on_tick, b);
    loop_timer_stop(b->tick);
    b->beat = loop_timer_new(o->loop, BEAT_MS_MAX, BEAT_MS_MAX, on_beat, b);
    beat_set(b);
    metrics_open(b);
    return b;
}

void
budget_close(struct budget **budget)
{
    struct budget *b = *budget;
    if (b == NULL)
        return;
    *budget = NULL;
    b->is_pumping = b->is_closing = true; /* nobody is granted anything any more */
    budget_leave(b);
    budget_calls_forget(b);
    b->call = NULL;
    for (int p = 0; p < BUDGET_PRIORITIES; p++)
        while (b->first[p] != NULL)
            ask_answer(b, b->first[p], false, b->own.count.window_us);
    for (struct budget_limit *l = b->own.next; l != NULL; l = b->own.next)
        budget_limit_close(b, &l);
    loop_timer_end(&b->tick);
    loop_timer_end(&b->beat);
    free(b->own.name);
    free(b->asks);
    free(b);
}
