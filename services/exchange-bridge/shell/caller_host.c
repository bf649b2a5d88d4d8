/*
 * caller_host.c - an exchange as the caller knows it: its clock, its health, its limits.
 *
 * The clock is asked for every minute, and that question is also the probe by which an open
 * breaker finds out whether the exchange is back: no order is risked for it. Who may not be sent
 * yet is kept here, in the order in which they came; priorities are the budget's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "exchange-bridge/core/reply.h"
#include "exchange-bridge/shell/caller_priv.h"
#include "host/log.h"

#define SPOT_WEIGHT       6000u
#define USDM_WEIGHT       2400u
#define WEIGHT_WINDOW_MS  60000
#define ALONE_PERCENT     20u
#define FAILURES_MAX      5u
#define BREAKER_US        INT64_C(1000000)
#define BREAKER_US_MAX    INT64_C(30000000)
#define CLOCK_EVERY_MS    60000
#define CLOCK_QUICK_MS    20
#define CLOCK_QUICK_TIMES 2u
#define CLOCK_AGAIN_MS    500

/* ---- Who is kept ------------------------------------------------------------------------- */

void
caller_host_keep(struct caller_host_state *h, struct slot *s)
{
    s->state = SLOT_HELD;
    s->next = NULL;
    *h->held_last = s;
    h->held_last = &s->next;
    int64_t wait_us = s->give_up_us - loop_steady_us(h->caller->loop);
    loop_timer_again(s->timer, wait_us <= 0 ? 0 : (wait_us + 999) / 1000);
}

void
caller_host_let_go(struct caller_host_state *h, struct slot *s)
{
    struct slot **at = &h->held;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    if (h->held_last == &s->next)
        h->held_last = at;
    loop_timer_stop(s->timer);
}

/* All who were kept try again; those who still may not are kept again. */
static void
release(struct caller_host_state *h)
{
    struct slot *s = h->held;
    h->held = NULL;
    h->held_last = &h->held;
    while (s != NULL) {
        struct slot *next = s->next;
        loop_timer_stop(s->timer);
        caller_slot_go(s);
        s = next;
    }
}

/* ---- The clock --------------------------------------------------------------------------- */

static void
ask_in(struct caller_host_state *h, int64_t ms)
{
    loop_timer_again(h->timer, ms);
}

static void
on_time(void *arg, const struct caller_reply *r)
{
    struct caller_host_state *h = arg;
    struct caller *c = h->caller;
    int64_t now_us = loop_measure_us(), server_us = 0;
    h->is_asked = false;
    h->why = r->ruling;
    if (r->ruling.verdict == VERDICT_OK && reply_server_time(r->body, r->length, &server_us)) {
        server_clock_learn(&h->clock, h->asked_us, now_us, server_us);
        int64_t here_us = loop_now_us(c->loop) + now_us - loop_steady_us(c->loop);
        metric_set(h->offset, server_clock_us(&h->clock, now_us) - here_us);
        bool is_quick = h->quick_left > 0;
        h->quick_left -= is_quick;
        ask_in(h, is_quick ? CLOCK_QUICK_MS : CLOCK_EVERY_MS);
        release(h);
        return;
    }
    int64_t wait_ms = CLOCK_AGAIN_MS;
    if (h->breaker.state == BREAKER_OPEN)
        wait_ms = (h->breaker.probe_us - loop_steady_us(c->loop)) / 1000 + 1;
    if (r->ruling.verdict == VERDICT_LIMITED && r->retry_after_s * INT64_C(1000) > wait_ms)
        wait_ms = r->retry_after_s * INT64_C(1000);
    ask_in(h, wait_ms > 0 ? wait_ms : 1);
}

static void
on_timer(void *arg)
{
    struct caller_host_state *h = arg;
    int64_t now_us = loop_steady_us(h->caller->loop);
    if (!h->is_wanted || h->is_asked)
        return;
    if (h->breaker.state == BREAKER_OPEN && !breaker_take_probe(&h->breaker, now_us)) {
        ask_in(h, (h->breaker.probe_us - now_us) / 1000 + 1);
        return;
    }
    enum call_name name = h->type == TRADING_TYPE_spot ? CALL_SPOT_TIME : CALL_USDM_TIME;
    h->is_asked = caller_send_own(h, name, on_time);
    if (!h->is_asked)
        ask_in(h, CLOCK_AGAIN_MS);
}

void
caller_host_want(struct caller_host_state *h)
{
    if (h->is_wanted || *h->base_url == '\0')
        return;
    h->is_wanted = true;
    ask_in(h, 0);
}

void
caller_host_relearn(struct caller_host_state *h)
{
    server_clock_forget(&h->clock);
    h->quick_left = CLOCK_QUICK_TIMES;
    if (!h->is_asked)
        ask_in(h, 0);
}

/* ---- Health ------------------------------------------------------------------------------ */

bool
caller_host_takes(struct caller_host_state *h, const struct slot *s)
{
    if (s->is_own)
        return true;
    caller_host_want(h);
    return h->breaker.state == BREAKER_CLOSED &&
           (s->facts->security != CALL_SIGNED || h->clock.count > 0);
}

void
caller_host_heard(struct caller_host_state *h, const struct fetch_reply *r)
{
    struct caller *c = h->caller;
    int64_t now_us = loop_steady_us(c->loop);
    bool is_good = r->status > 0 && r->status < 500;
    if (!breaker_heard(&h->breaker, is_good, now_us))
        return;
    bool is_closed = h->breaker.state == BREAKER_CLOSED;
    metric_set(h->is_open, !is_closed);
    log_line(is_closed ? LOG_INFO : LOG_WARN, is_closed ? "exchange_back" : "exchange_left_alone",
             "host=%s status=%d why=\"%s\"", h->base_url, r->status, r->why);
    if (is_closed) {
        release(h);
    } else if (!h->is_asked) {
        h->is_wanted = true;
        ask_in(h, (h->breaker.probe_us - now_us) / 1000 + 1);
    }
}

int64_t
caller_host_banned_us(const struct caller_host_state *h)
{
    int64_t left_us = budget_banned_until_us(h->budget) - loop_now_us(h->caller->loop);
    return left_us > 0 ? left_us : 0;
}

/* ---- Life -------------------------------------------------------------------------------- */

struct caller_host_state *
caller_host_find(const struct caller *c, enum environment e, enum trading_type type)
{
    CHECK(e == ENVIRONMENT_testnet || e == ENVIRONMENT_live);
    CHECK(type == TRADING_TYPE_spot || type == TRADING_TYPE_futures);
    uint32_t index = (e == ENVIRONMENT_live ? 2 : 0) + (type == TRADING_TYPE_futures ? 1 : 0);
    return (struct caller_host_state *)&c->hosts[index];
}

static void
limits_open(struct caller_host_state *h, const struct caller_host *o, struct redis_link *redis)
{
    char name[BUDGET_HOST_BYTES];
    bool is_spot = h->type == TRADING_TYPE_spot;
    uint32_t weight = o->weight_limit > 0 ? o->weight_limit : is_spot ? SPOT_WEIGHT : USDM_WEIGHT;
    int64_t window_ms = o->weight_window_ms > 0 ? o->weight_window_ms : WEIGHT_WINDOW_MS;
    uint32_t alone_percent = o->alone_percent > 0 ? o->alone_percent : ALONE_PERCENT;
    h->orders[ORDERS_10S] = is_spot ? 50 : 300;
    h->orders[ORDERS_1M] = is_spot ? 0 : 1200;
    h->orders[ORDERS_1D] = is_spot ? 160000 : 0;
    budget_host_of(h->base_url, name);
    h->budget = budget_open(&(struct budget_options){.loop = h->caller->loop,
                                                     .redis = redis,
                                                     .host = name,
                                                     .limit = weight,
                                                     .window_ms = window_ms,
                                                     .alone_percent = alone_percent,
                                                     .queue_max = h->caller->slots_count,
                                                     .frees_reserve = true});
}

void
caller_host_open(struct caller *c, const struct caller_host *o, struct redis_link *redis)
{
    struct caller_host_state *h = caller_host_find(c, o->environment, o->type);
    size_t length = strlen(o->base_url);
    char labels[64];
    CHECK(h->base_url == NULL);
    while (length > 0 && o->base_url[length - 1] == '/')
        length--;
    h->base_url = strndup(o->base_url, length);
    CHECK(h->base_url != NULL);
    h->caller = c;
    h->environment = o->environment;
    h->type = o->type;
    h->held_last = &h->held;
    h->quick_left = CLOCK_QUICK_TIMES;
    h->breaker = (struct breaker){
        .failures_max = FAILURES_MAX, .wait_us = BREAKER_US, .wait_us_max = BREAKER_US_MAX};
    h->timer = loop_timer_new(c->loop, 0, 0, on_timer, h);
    loop_timer_stop(h->timer);
    if (length > 0)
        limits_open(h, o, redis);
    snprintf(labels, sizeof labels, "environment=\"%s\",market=\"%s\"",
             msg_enum_name(MSG_ENUM_environment, o->environment),
             msg_enum_name(MSG_ENUM_trading_type, o->type));
    h->is_open = metric_gauge("scrip_bridge_exchange_left_alone", labels,
                              "1 while the exchange fails again and again and is left alone.");
    h->offset = metric_gauge("scrip_bridge_exchange_clock_offset_us", labels,
                             "How far the exchange's clock is ahead of this machine's.");
}

void
caller_host_close(struct caller_host_state *h)
{
    if (h->base_url == NULL)
        return;
    budget_close(&h->budget);
    loop_timer_end(&h->timer);
    free(h->base_url);
}

void
caller_set_limits(struct caller *c, enum environment e, enum trading_type type, uint32_t weight_1m,
                  uint32_t orders_10s, uint32_t orders_1m, uint32_t orders_1d)
{
    struct caller_host_state *h = caller_host_find(c, e, type);
    const uint32_t orders[ORDERS_WINDOWS] = {orders_10s, orders_1m, orders_1d};
    if (h->budget == NULL)
        return;
    if (weight_1m > 0)
        budget_set_limit(h->budget, weight_1m);
    if (orders_10s + orders_1m + orders_1d == 0)
        return;
    for (int w = 0; w < ORDERS_WINDOWS; w++)
        h->orders[w] = orders[w];
    for (uint32_t i = 0; i < CALLER_LANES; i++)
        for (int w = 0; w < ORDERS_WINDOWS; w++)
            if (c->lanes[i].host == h && c->lanes[i].has_limits)
                budget_limit_set(h->budget, c->lanes[i].orders[w], h->orders[w]);
}

int64_t
caller_exchange_us(const struct caller *c, enum environment e, enum trading_type type)
{
    struct caller_host_state *h = caller_host_find(c, e, type);
    if (h->base_url == NULL)
        return 0;
    caller_host_want(h);
    return server_clock_us(&h->clock, loop_measure_us());
}
