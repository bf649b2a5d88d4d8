/*
 * caller.c - a call's way: held until its exchange is healthy, asking for room, sent, judged, and
 * sent again or over.
 *
 *   HELD -> ASKING -> (SIGNING, by a slow key) -> SENT -> (verdict) -> its end
 *     ^        ^                                   |
 *     +--------+-----------------------------------+-> PAUSED
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "exchange-bridge/core/flow.h"
#include "exchange-bridge/shell/caller_priv.h"
#include "host/log.h"

#define GRANTS_AT_ONCE  16u /* by one budget, before it hears that our hands are full */
#define BODY_BYTES_MAX  (64u << 20)
#define BACKOFF_US      INT64_C(200000)
#define BACKOFF_US_MAX  INT64_C(5000000)
#define KEY_REFUSED_US  INT64_C(60000000)
#define OWN_PATIENCE_MS 10000

/* ---- Slots ------------------------------------------------------------------------------- */

static void on_timer(void *arg);

static struct slot *
slot_new(struct caller *c)
{
    struct slot *s = c->free;
    c->free = s->next;
    struct loop_timer *timer = s->timer;
    uint64_t place = (uint64_t)(s - c->slots);
    *s = (struct slot){.caller = c, .timer = timer};
    s->number = ++c->last_number * c->slots_count + place;
    if (s->timer == NULL) {
        s->timer = loop_timer_new(c->loop, 0, 0, on_timer, s);
        loop_timer_stop(s->timer);
    }
    c->used++;
    metric_set(c->waiting, c->used - c->in_flight);
    return s;
}

static void
slot_free(struct slot *s)
{
    struct caller *c = s->caller;
    if (s->trial != NULL) {
        sign_wipe(s->trial);
        free(s->trial);
        s->trial = NULL;
    }
    if (s->lane != NULL)
        s->lane->users--;
    loop_timer_stop(s->timer);
    s->state = SLOT_FREE;
    s->number = 0;
    s->next = c->free;
    c->free = s;
    c->used--;
    metric_set(c->waiting, c->used - c->in_flight);
}

/* ---- The end ----------------------------------------------------------------------------- */

static void
verdict_count(struct caller *c, enum call_name name, enum verdict v)
{
    struct metric **m = &c->verdicts[name][v];
    char labels[96];
    if (*m == NULL) {
        snprintf(labels, sizeof labels, "call=\"%s\",verdict=\"%s\"", call_facts(name)->name,
                 verdict_name(v));
        *m = metric_counter("scrip_bridge_calls_total", labels,
                            "Calls to exchanges by what became of them.");
    }
    metric_add(*m, 1);
}

static void
slot_end(struct slot *s, const char *body, size_t length)
{
    struct caller *c = s->caller;
    struct caller_reply out = s->last;
    caller_done *done = s->is_dropped ? NULL : s->done;
    void *arg = s->arg;
    out.body = body;
    out.length = length;
    if ((out.ruling.error == ERR_EXCHANGE_LIMITED || out.ruling.error == ERR_EXCHANGE_BUSY) &&
        out.retry_after_s == 0)
        out.retry_after_s = 1;
    verdict_count(c, s->call.name, out.ruling.verdict);
    metric_observe_us(c->took_us, loop_measure_us() - s->began_us);
    slot_free(s);
    if (done != NULL)
        done(arg, &out);
}

void
caller_slot_over(struct slot *s, enum verdict verdict, enum err error, int64_t retry_ms,
                 const char *message)
{
    bool was_told = s->last.attempts > 0 && s->last.ruling.verdict == verdict;
    s->state = SLOT_OVER;
    if (!was_told) { /* else the exchange's own words are better */
        s->last.ruling = (struct ruling){verdict, error};
        s->last.message = text_of("%s", message);
        s->last.code = 0;
        s->last.status = 0;
    }
    s->last.retry_after_s = (uint32_t)((retry_ms + 999) / 1000);
    loop_timer_again(s->timer, 0);
}

/* ---- The way ----------------------------------------------------------------------------- */

/* As of now and not of this turn's begin: an order is not sent a moment too late. */
static int64_t
now_here_us(const struct caller *c)
{
    return loop_now_us(c->loop) + loop_measure_us() - loop_steady_us(c->loop);
}

/* By the exchange's clock, too: whoever says later that an order was never placed goes by that one,
 * and this machine's may be wrong. */
static bool
is_past_its_moment(const struct slot *s)
{
    int64_t there_us = server_clock_us(&s->host->clock, loop_measure_us());
    return s->send_by_us != 0 &&
           (now_here_us(s->caller) > s->send_by_us || there_us > s->send_by_us + FLOW_MARGIN_US);
}

static bool
is_too_late(const struct slot *s)
{
    return loop_steady_us(s->caller->loop) >= s->give_up_us || is_past_its_moment(s);
}

/* No fetch is without a room: when our hands are full, nobody is granted anything. */
static void
hold(struct caller *c)
{
    metric_set(c->flying, c->in_flight);
    for (uint32_t i = 0; i < CALLER_HOSTS; i++)
        if (c->hosts[i].budget != NULL)
            budget_hold(c->hosts[i].budget, c->in_flight >= c->in_flight_max);
}

static void
room_ask(struct slot *s)
{
    struct caller *c = s->caller;
    struct budget_part parts[ORDERS_WINDOWS];
    uint32_t count = 0;
    int64_t patience_ms = (s->give_up_us - loop_steady_us(c->loop)) / 1000;
    if (s->lane != NULL && s->facts->units > 0) {
        if (!caller_lane_limits(c, s->lane)) {
            caller_slot_over(s, VERDICT_AGAIN, ERR_KEYS_UNAVAILABLE, 0, "the key cannot be opened");
            return;
        }
        for (; count < ORDERS_WINDOWS; count++)
            parts[count] = (struct budget_part){s->lane->orders[count], s->facts->units};
    }
    uint64_t number = s->number;
    s->state = SLOT_ASKING;
    uint64_t ask = budget_ask_all(s->host->budget, s->facts->weight, parts, count, s->priority,
                                  patience_ms, caller_on_room, s);
    if (s->number == number && s->state == SLOT_ASKING)
        s->ask = ask;
}

void
caller_slot_go(struct slot *s)
{
    if (is_too_late(s))
        caller_slot_over(s, VERDICT_AGAIN, ERR_EXCHANGE_TIMEOUT, 0, "it was not sent in time");
    else if (caller_host_takes(s->host, s))
        room_ask(s);
    else
        caller_host_keep(s->host, s);
}

/* Room was granted: out with it, or held back after all. */
static void
leave(struct slot *s)
{
    struct caller *c = s->caller;
    if (is_too_late(s) || !caller_host_takes(s->host, s)) {
        caller_slot_go(s);
        return;
    }
    if (!caller_slot_send(s))
        return;
    s->state = SLOT_SENT;
    if (s->is_own)
        s->host->asked_us = s->left_us;
    c->in_flight++;
    hold(c);
}

/* One in each turn: whoever else is to be heard or sent waits for one slow signature at most. */
static void
on_sign(void *arg)
{
    struct caller *c = arg;
    struct slot *s = c->signing;
    c->signing = s->next;
    if (c->signing == NULL)
        c->signing_last = &c->signing;
    else
        loop_timer_again(c->sign, 0);
    c->in_flight--;
    if (s->is_dropped)
        caller_slot_over(s, VERDICT_AGAIN, ERR_EXCHANGE_BUSY, 0, "");
    else
        leave(s);
    hold(c);
}

/* It counts as under way: what waits here is bounded by what may be. */
static void
sign_later(struct slot *s)
{
    struct caller *c = s->caller;
    s->state = SLOT_SIGNING;
    s->next = NULL;
    if (c->signing == NULL)
        loop_timer_again(c->sign, 0);
    *c->signing_last = s;
    c->signing_last = &s->next;
    c->in_flight++;
    hold(c);
}

void
caller_on_room(void *arg, bool is_granted, int64_t retry_after_ms)
{
    struct slot *s = arg;
    struct caller *c = s->caller;
    s->ask = 0;
    if (!is_granted) {
        bool is_full = c->in_flight >= c->in_flight_max;
        caller_slot_over(s, VERDICT_LIMITED, is_full ? ERR_EXCHANGE_BUSY : ERR_EXCHANGE_LIMITED,
                         retry_after_ms, "no room in the rate limit in time");
    } else if (caller_slot_signs_slowly(s)) {
        sign_later(s);
    } else {
        leave(s);
    }
}

static void
on_timer(void *arg)
{
    struct slot *s = arg;
    switch (s->state) {
    case SLOT_HELD: {
        enum err why = s->host->why.error;
        caller_host_let_go(s->host, s);
        caller_slot_over(s, VERDICT_AGAIN, why == OK ? ERR_EXCHANGE_UNREACHABLE : why,
                         caller_host_banned_us(s->host) / 1000,
                         "the exchange does not answer and is left alone");
        break;
    }
    case SLOT_PAUSED:
        caller_slot_go(s);
        break;
    case SLOT_OVER:
        slot_end(s, "", 0);
        break;
    case SLOT_FREE:
    case SLOT_ASKING:
    case SLOT_SIGNING:
    case SLOT_SENT:
        break;
    }
}

/* ---- Answers ----------------------------------------------------------------------------- */

/* Full jitter: anything up to a bound that doubles. */
static int64_t
backoff_us(struct slot *s)
{
    struct caller *c = s->caller;
    int64_t bound_us = BACKOFF_US;
    for (uint32_t i = 0; i < s->failures && bound_us < BACKOFF_US_MAX; i++)
        bound_us *= 2;
    s->failures++;
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return 1000 + (int64_t)(c->random % (uint64_t)bound_us);
}

static void
key_refused(struct slot *s)
{
    log_line(LOG_WARN, "exchange_refuses_key", "host=%s call=%s key=%llu code=%lld",
             s->host->base_url, s->facts->name, (unsigned long long)s->key,
             (long long)s->last.code);
    if (s->lane != NULL)
        s->lane->refused_until_us[s->facts->class_] =
            loop_steady_us(s->caller->loop) + KEY_REFUSED_US;
}

static bool
has_time_for(const struct slot *s, int64_t wait_us)
{
    const struct caller *c = s->caller;
    return loop_steady_us(c->loop) + wait_us < s->give_up_us &&
           (s->send_by_us == 0 || loop_now_us(c->loop) + wait_us < s->send_by_us);
}

/* Whether it goes on; by the verdict, and nothing that was perhaps executed does. */
static bool
goes_on(struct slot *s)
{
    int64_t wait_us;
    if (s->is_dropped || s->is_own)
        return false;
    switch (s->last.ruling.verdict) {
    case VERDICT_CLOCK:
        if (s->has_learnt_clock)
            return false;
        s->has_learnt_clock = true;
        caller_host_relearn(s->host);
        caller_slot_go(s);
        return true;
    case VERDICT_AGAIN:
        wait_us = backoff_us(s);
        if (!has_time_for(s, wait_us))
            return false;
        s->state = SLOT_PAUSED;
        loop_timer_again(s->timer, (wait_us + 999) / 1000);
        return true;
    case VERDICT_LIMITED:
        wait_us = s->last.retry_after_s * INT64_C(1000000);
        if (!has_time_for(s, wait_us))
            return false;
        caller_slot_go(s);
        return true;
    case VERDICT_KEY:
        key_refused(s);
        return false;
    case VERDICT_OK:
    case VERDICT_DONE:
    case VERDICT_REFUSED:
    case VERDICT_ABSENT:
    case VERDICT_GONE:
    case VERDICT_UNKNOWN:
        return false;
    }
    return false;
}

void
caller_on_fetch(void *arg, const struct fetch_reply *r)
{
    struct slot *s = arg;
    struct caller *c = s->caller;
    s->request = 0;
    c->in_flight--;
    caller_slot_judge(s, r);
    caller_slot_learn(s, r);
    if (!r->timed_out || s->timeout_ms >= c->timeout_ms) /* else our own patience was short */
        caller_host_heard(s->host, r);
    if (!goes_on(s))
        slot_end(s, r->body, r->length);
    hold(c);
}

/* ---- Asking ------------------------------------------------------------------------------ */

/* As the budget leaves room for those who lower risk, so do the slots. */
static bool
has_slot(const struct caller *c, enum budget_priority p)
{
    static const uint32_t percent[BUDGET_PRIORITIES] = {100, 95, 80, 70};
    uint64_t most = (uint64_t)(c->waiting_max + c->in_flight_max) * percent[p] / 100;
    return c->used < most;
}

static enum budget_priority
priority_of(const struct call_facts *f, bool is_urgent)
{
    return is_urgent ? BUDGET_CANCEL : (enum budget_priority)f->priority;
}

static bool
is_refused_key(const struct slot *s)
{
    return s->lane != NULL &&
           loop_steady_us(s->caller->loop) < s->lane->refused_until_us[s->facts->class_];
}

static void
begin(struct slot *s)
{
    if (s->host->base_url == NULL || *s->host->base_url == '\0')
        caller_slot_over(s, VERDICT_REFUSED, ERR_ENVIRONMENT_NOT_ALLOWED, 0,
                         "there is no such exchange here");
    else if (is_refused_key(s))
        caller_slot_over(s, VERDICT_KEY, ERR_CREDENTIALS_INVALID, 0,
                         "the exchange refused this key a moment ago");
    else
        caller_slot_go(s);
}

uint64_t
caller_send(struct caller *c, const struct caller_request *r)
{
    const struct call_facts *f = call_facts(r->call->name);
    struct caller_host_state *h = caller_host_find(c, r->environment, f->market);
    enum budget_priority priority = priority_of(f, r->is_urgent);
    bool has_host = h->base_url != NULL && *h->base_url != '\0';
    struct lane *lane = r->key == 0 || !has_host ? NULL : caller_lane(c, h, r->key);
    if (!has_slot(c, priority) || (r->key != 0 && has_host && lane == NULL)) {
        metric_add(c->busy, 1);
        return 0;
    }
    struct slot *s = slot_new(c);
    s->host = h;
    s->lane = lane;
    if (lane != NULL)
        lane->users++;
    s->call = *r->call;
    s->facts = f;
    s->key = r->key;
    s->priority = priority;
    s->began_us = loop_steady_us(c->loop);
    s->give_up_us = s->began_us + (r->patience_ms > 0 ? r->patience_ms : c->patience_ms) * 1000;
    s->send_by_us = r->send_by_us;
    int64_t left_us = r->send_by_us - loop_now_us(c->loop);
    if (r->send_by_us != 0 && s->began_us + left_us < s->give_up_us)
        s->give_up_us = s->began_us + left_us;
    s->done = r->done;
    s->arg = r->arg;
    if (r->trial != NULL) {
        s->trial = malloc(sizeof *s->trial);
        CHECK(s->trial != NULL);
        *s->trial = *r->trial;
    }
    uint64_t number = s->number;
    begin(s);
    return number;
}

bool
caller_send_own(struct caller_host_state *h, enum call_name name, caller_done *done)
{
    struct caller *c = h->caller;
    if (c->free == NULL)
        return false;
    struct slot *s = slot_new(c);
    s->is_own = true;
    s->host = h;
    s->call = (struct call){.name = name};
    s->facts = call_facts(name);
    s->priority = BUDGET_CANCEL;
    s->began_us = loop_steady_us(c->loop);
    s->give_up_us = s->began_us + OWN_PATIENCE_MS * INT64_C(1000);
    s->done = done;
    s->arg = h;
    caller_slot_go(s);
    return true;
}

/* Gives up what a slot waits for. */
static void
withdraw(struct slot *s)
{
    switch (s->state) {
    case SLOT_HELD:
        caller_host_let_go(s->host, s);
        break;
    case SLOT_ASKING:
        budget_drop(s->host->budget, s->ask);
        break;
    case SLOT_FREE:
    case SLOT_SIGNING:
    case SLOT_SENT:
    case SLOT_PAUSED:
    case SLOT_OVER:
        break;
    }
}

void
caller_drop(struct caller *c, uint64_t call)
{
    struct slot *s = &c->slots[call % c->slots_count];
    if (call == 0 || s->number != call)
        return;
    if (s->state == SLOT_SENT || s->state == SLOT_SIGNING) {
        s->is_dropped = true;
        return;
    }
    withdraw(s);
    slot_free(s);
}

int64_t
caller_recv_window_ms(const struct caller *c)
{
    return c->recv_window_ms;
}

/* ---- Life -------------------------------------------------------------------------------- */

static void
metrics_open(struct caller *c)
{
    c->waiting = metric_gauge("scrip_bridge_calls_waiting", "", "Calls that were not sent yet.");
    c->flying = metric_gauge("scrip_bridge_calls_under_way", "", "Calls without an answer so far.");
    c->took_us = metric_histogram("scrip_bridge_call_us", "",
                                  "Time of a call to an exchange, with all its waiting.");
    c->busy = metric_counter("scrip_bridge_calls_busy_total", "",
                             "Calls refused since as many wait as may.");
}

struct caller *
caller_open(const struct caller_options *o)
{
    struct caller *c = calloc(1, sizeof *c);
    CHECK(c != NULL && o->host_count <= CALLER_HOSTS && o->in_flight_max > 0);
    c->loop = o->loop;
    c->keys = o->keys;
    c->waiting_max = o->waiting_max;
    c->in_flight_max = o->in_flight_max;
    c->timeout_ms = o->timeout_ms;
    c->recv_window_ms = o->recv_window_ms;
    c->patience_ms = o->patience_ms;
    c->slots_count = o->waiting_max + o->in_flight_max + CALLER_OWN_SLOTS;
    c->slots = calloc(c->slots_count, sizeof *c->slots);
    c->lane_bytes = malloc(map_bytes(CALLER_LANES));
    CHECK(c->slots != NULL && c->lane_bytes != NULL);
    CHECK(RAND_bytes((unsigned char *)&c->random, sizeof c->random) == 1);
    c->random |= 1;
    map_init(&c->lane_of, CALLER_LANES, c->lane_bytes);
    for (uint32_t i = c->slots_count; i > 0; i--) {
        c->slots[i - 1].next = c->free;
        c->free = &c->slots[i - 1];
    }
    c->signing_last = &c->signing;
    c->sign = loop_timer_new(o->loop, 0, 0, on_sign, c);
    loop_timer_stop(c->sign);
    uint32_t rooms = c->in_flight_max + GRANTS_AT_ONCE * CALLER_HOSTS + CALLER_OWN_SLOTS;
    c->fetch = fetch_open(&(struct fetch_options){.loop = o->loop,
                                                  .ca_file = o->ca_file,
                                                  .in_flight_max = rooms,
                                                  .body_bytes_max = BODY_BYTES_MAX,
                                                  .timeout_ms = o->timeout_ms});
    for (uint32_t i = 0; i < o->host_count; i++)
        caller_host_open(c, &o->hosts[i], o->redis);
    metrics_open(c);
    return c;
}

void
caller_close(struct caller **caller)
{
    struct caller *c = *caller;
    if (c == NULL)
        return;
    *caller = NULL;
    fetch_close(&c->fetch);
    for (uint32_t i = 0; i < c->slots_count; i++) {
        struct slot *s = &c->slots[i];
        withdraw(s);
        if (s->trial != NULL)
            sign_wipe(s->trial);
        free(s->trial);
        loop_timer_end(&s->timer);
    }
    loop_timer_end(&c->sign);
    caller_lanes_close(c);
    for (uint32_t i = 0; i < CALLER_HOSTS; i++)
        caller_host_close(&c->hosts[i]);
    free(c->slots);
    free(c->lane_bytes);
    free(c);
}
