/*
 * budget.c - who asks for weight, in which order, and what they are told.
 *
 * One ask at a time goes to Redis; its answer decides about it before the next is looked at, so
 * that priorities hold. An ask that finds no room blocks its own and all lower priorities until
 * the window is over, and whoever cannot wait so long is refused at once.
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
/* Half of what clocks and networks may differ by; less for short windows. */
#define EDGE_US_MAX INT64_C(1000000)
#define EDGE_PARTS  20
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

static struct ask *
ask_find(struct budget *b, uint64_t number)
{
    for (int p = 0; number != 0 && p < BUDGET_PRIORITIES; p++)
        for (struct ask *k = b->first[p]; k != NULL; k = k->next)
            if (k->number == number)
                return k;
    return NULL;
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

/* Refuses those of these priorities who cannot wait until then. Answers may ask and drop, so each
 * one begins the walk anew; those in front stay where they are. */
static void
hopeless_refuse(struct budget *b, enum budget_priority from, int64_t until_us)
{
    int64_t wait_us = until_us - loop_now_us(b->loop);
    int64_t steady_us = loop_steady_us(b->loop);
    for (int p = (int)from; p < BUDGET_PRIORITIES; p++) {
        for (struct ask *k = b->first[p]; k != NULL;) {
            struct ask *next = k->next;
            bool is_hopeless = k->give_up_us < steady_us + wait_us && k->number != b->taking;
            if (is_hopeless)
                ask_answer(b, k, false, wait_us);
            k = is_hopeless ? b->first[p] : next;
        }
    }
}

/* ---- Turns ------------------------------------------------------------------------------- */

static bool
is_blocked(const struct budget *b, enum budget_priority p)
{
    return p >= b->blocked && loop_now_us(b->loop) < b->blocked_until_us;
}

static void
block(struct budget *b, enum budget_priority p, int64_t until_us)
{
    if (loop_now_us(b->loop) >= b->blocked_until_us || p < b->blocked)
        b->blocked = p;
    b->blocked_until_us = until_us;
    hopeless_refuse(b, p, until_us);
}

static struct ask *
next_of(struct budget *b)
{
    for (int p = 0; p < BUDGET_PRIORITIES; p++)
        if (b->first[p] != NULL && !is_blocked(b, (enum budget_priority)p))
            return b->first[p];
    return NULL;
}

/* Decides about one; false when it has to be waited for. */
static bool
decide(struct budget *b, struct ask *k)
{
    int64_t blocked_until_us;
    if (budget_is_alone(b)) {
        if (budget_take_alone(b, k, &blocked_until_us))
            ask_answer(b, k, true, 0);
        else
            block(b, k->priority, blocked_until_us);
        return true;
    }
    if (!budget_take_shared(b, k))
        return false; /* the link is busy: at the next tick */
    b->taking = k->number;
    return false;
}

static void
pump(struct budget *b)
{
    if (b->is_pumping)
        return;
    b->is_pumping = true;
    bool goes_on = true;
    while (goes_on && b->call == NULL) {
        struct ask *k;
        if (loop_now_us(b->loop) < b->banned_until_us) {
            hopeless_refuse(b, BUDGET_CANCEL, b->banned_until_us);
            break;
        }
        if (b->blocked_until_us > loop_now_us(b->loop))
            hopeless_refuse(b, b->blocked, b->blocked_until_us);
        k = next_of(b);
        goes_on =
            k != NULL && !(budget_is_starting(b) && !redis_link_is_up(b->redis)) && decide(b, k);
    }
    b->is_pumping = false;
    const struct window *w = budget_window(b, loop_now_us(b->loop) / b->window_us);
    metric_set(b->used, w == NULL ? 0 : w->known);
    if (b->waiting == 0)
        loop_timer_stop(b->tick);
}

void
budget_took(struct budget *b, const struct take *t)
{
    struct ask *k = ask_find(b, b->taking);
    b->taking = 0;
    /* An answer that took long may be of a window that is over: asked again. */
    int64_t now = loop_now_us(b->loop) / b->window_us;
    bool is_late = now != b->taking_windows[0] && now != b->taking_windows[1];
    if (k != NULL && t->is_granted && !is_late)
        ask_answer(b, k, true, 0);
    else if (k != NULL && t->blocked_until_us != 0)
        block(b, k->priority, t->blocked_until_us);
    pump(b);
}

static void
on_tick(void *arg)
{
    struct budget *b = arg;
    hopeless_refuse(b, BUDGET_CANCEL, loop_now_us(b->loop));
    pump(b);
    if (b->waiting > 0)
        loop_timer_again(b->tick, TICK_MS);
}

/* ---- Asking ------------------------------------------------------------------------------ */

static int64_t
window_left_us(const struct budget *b)
{
    return b->window_us - loop_now_us(b->loop) % b->window_us;
}

uint64_t
budget_ask(struct budget *b, uint32_t weight, enum budget_priority priority, int64_t patience_ms,
           budget_answer *answer, void *arg)
{
    struct ask *k = b->free;
    if (k == NULL || b->is_closing || weight > budget_ceiling(b, priority)) {
        metric_add(b->refused[priority], 1);
        answer(arg, false, (window_left_us(b) + 999) / 1000);
        return 0;
    }
    b->free = k->next;
    uint64_t number = ++b->last_number;
    *k = (struct ask){.number = number,
                      .weight = weight,
                      .priority = priority,
                      .give_up_us = loop_steady_us(b->loop) + patience_ms * 1000,
                      .answer = answer,
                      .arg = arg};
    if (b->waiting == 0)
        loop_timer_again(b->tick, TICK_MS);
    ask_append(b, k);
    pump(b);
    return k->number == number ? number : 0;
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
static struct window *
window_told(struct budget *b, const struct fetch_reply *r)
{
    int64_t at[2];
    int64_t here = loop_now_us(b->loop) / b->window_us;
    int64_t there = r->date_us / b->window_us;
    if (r->date_us > 0 && b->window_us >= 2000000 && there - here <= 1 && here - there <= 1)
        return budget_window(b, there);
    /* At an edge it may be that of the window before. */
    return budget_windows(b, at) == 1 ? budget_window(b, at[0]) : NULL;
}

void
budget_learn(struct budget *b, const struct fetch_reply *r)
{
    int64_t at[2];
    struct window *w = r->used_weight_1m >= 0 ? window_told(b, r) : NULL;
    bool is_news = false;
    if (w != NULL && r->used_weight_1m > w->known) {
        w->known = r->used_weight_1m > UINT32_MAX ? UINT32_MAX : (uint32_t)r->used_weight_1m;
        is_news = true;
    }
    if (r->status == 429 || r->status == 418) {
        int64_t wait_s = r->retry_after_s;
        if (wait_s < 0)
            wait_s = r->status == 429 ? TOO_MANY_S : BANNED_S;
        int64_t until_us = loop_now_us(b->loop) + (wait_s > 0 ? wait_s : 1) * 1000000;
        if (until_us > b->banned_until_us)
            b->banned_until_us = until_us;
        metric_add(b->bans, 1);
        log_line(LOG_WARN, "budget_banned", "host=%s status=%d wait_s=%lld", b->host, r->status,
                 (long long)wait_s);
        is_news = true;
        if (w == NULL) {
            (void)budget_windows(b, at);
            w = budget_window(b, at[1]);
        }
    }
    if (is_news && w != NULL)
        budget_tell(b, w);
    pump(b);
}

void
budget_set_limit(struct budget *b, uint32_t limit)
{
    if (limit == b->limit)
        return;
    b->limit = limit;
    b->blocked_until_us = 0;
    metric_set(b->limits, limit);
    pump(b);
}

uint32_t
budget_left(const struct budget *b)
{
    int64_t index = loop_now_us(b->loop) / b->window_us;
    const struct window *w = &b->windows[(uint64_t)index % BUDGET_WINDOWS];
    uint32_t used = w->index == index ? w->known : 0;
    return used < b->limit ? b->limit - used : 0;
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
    snprintf(labels, sizeof labels, "host=\"%s\"", b->host);
    b->used = metric_gauge("scrip_budget_used", labels, "Request weight spent in this window.");
    b->limits = metric_gauge("scrip_budget_limit", labels, "Request weight allowed in a window.");
    b->is_alone =
        metric_gauge("scrip_budget_alone", labels, "1 while the weight is not shared by Redis.");
    b->bans = metric_counter("scrip_budget_bans_total", labels, "Replies with status 429 or 418.");
    for (int p = 0; p < BUDGET_PRIORITIES; p++) {
        snprintf(labels, sizeof labels, "host=\"%s\",priority=\"%s\"", b->host, names[p]);
        b->granted[p] =
            metric_counter("scrip_budget_granted_total", labels, "Requests that may be sent.");
        b->refused[p] =
            metric_counter("scrip_budget_refused_total", labels, "Requests that may not be sent.");
    }
    metric_set(b->limits, b->limit);
}

struct budget *
budget_open(const struct budget_options *o)
{
    struct budget *b = calloc(1, sizeof *b);
    CHECK(b != NULL && o->window_ms > 0 && o->queue_max > 0);
    b->loop = o->loop;
    b->redis = o->redis;
    b->host = strdup(o->host);
    b->limit = o->limit;
    b->alone_percent = o->alone_percent;
    b->window_us = o->window_ms * 1000;
    b->edge_us = b->window_us / EDGE_PARTS;
    if (b->edge_us > EDGE_US_MAX)
        b->edge_us = EDGE_US_MAX;
    b->opened_us = loop_steady_us(o->loop);
    b->asks = calloc(o->queue_max, sizeof *b->asks);
    CHECK(b->asks != NULL && b->host != NULL);
    for (uint32_t i = 0; i < o->queue_max; i++) {
        b->asks[i].next = b->free;
        b->free = &b->asks[i];
    }
    for (int p = 0; p < BUDGET_PRIORITIES; p++)
        b->last[p] = &b->first[p];
    b->tick = loop_timer_new(o->loop, TICK_MS, 0, on_tick, b);
    loop_timer_stop(b->tick);
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
    if (b->call != NULL)
        b->call->budget = NULL;
    for (int p = 0; p < BUDGET_PRIORITIES; p++)
        while (b->first[p] != NULL)
            ask_answer(b, b->first[p], false, window_left_us(b));
    loop_timer_end(&b->tick);
    free(b->asks);
    free(b->host);
    free(b);
}
