/*
 * orders.c - see orders.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/orders.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "exchange-bridge/core/fit.h"
#include "exchange-bridge/shell/rules.h"
#include "host/log.h"

#define TICK_MS     20
#define SEND_MAX_US INT64_C(120000000) /* twice what the ledger may ask for */
#define NONE        UINT32_MAX

struct waiter {
    orders_done *done;
    void *arg;
    struct waiter *next;
};

/* An order that something is done about, or was, while it must be remembered. */
struct work {
    struct orders *orders;
    uint64_t order_id; /* 0 = free */
    struct bridge_place m;
    struct flow flow;
    bool is_over;
    struct orders_found found;
    struct waiter *waiters;
    uint32_t next; /* free ones */
};

struct orders {
    struct shell *s;
    struct work *works;
    uint32_t free, used; /* used: none above this has ever been */
    uint32_t count;
    struct map by_id;
    void *map_memory;
    struct loop_timer *tick;
    struct flow_out out;
    struct reply_order heard;
    struct exchange_fill fills[REPLY_FILLS_MAX];
    struct metric *m_refusals, *m_under_way, *m_placed, *m_refused, *m_unknown, *m_not_placed;
    struct metric *m_behind;
};

/* ---- Reports ---- */

struct told {
    struct orders *orders;
    struct bridge_place m;
};

static void work_ask(struct orders *o, enum flow_wish wish, const struct bridge_place *m,
                     struct waiter *waiter);

static void
on_reported(void *arg, const struct msg *m)
{
    struct told *t = arg;
    struct orders *o = t->orders;
    if (m->type == MSG_bridge_reported && m->bridge_reported.is_behind) {
        metric_add(o->m_behind, 1);
        t->m.order.executed_quantity = m->bridge_reported.executed_quantity;
        work_ask(o, FLOW_ASK, &t->m, NULL);
    } else if (m->type == MSG_refused) {
        log_line(LOG_WARN, "report_refused", "order=%" PRIu64 " error=%s", t->m.order.order_id,
                 err_name(m->refused.error));
    }
    pending_free(t);
}

static void
count_report(struct orders *o, enum exchange_state state)
{
    switch (state) {
    case EXCHANGE_STATE_PLACED:
        metric_add(o->m_placed, 1);
        return;
    case EXCHANGE_STATE_REFUSED:
        metric_add(o->m_refused, 1);
        return;
    case EXCHANGE_STATE_NOT_PLACED:
        metric_add(o->m_not_placed, 1);
        return;
    case EXCHANGE_STATE_UNKNOWN:
        metric_add(o->m_unknown, 1);
        return;
    case EXCHANGE_STATE_NONE:
    case EXCHANGE_STATE_SENDING:
        return;
    }
}

static void
tell(struct orders *o, const struct bridge_place *m, const struct bridge_report *r)
{
    struct told *t = pending_new(&o->s->pending, sizeof *t);
    *t = (struct told){o, *m};
    /* What cannot wait here is not lost: the ledger asks until it knows. */
    if (!ledger_link_ask(o->s->ledgers, m->account_id, MSG_bridge_report,
                         ledger_link_corr(o->s->ledgers), r, 0, on_reported, t))
        pending_free(t);
}

void
orders_report(struct orders *o, const struct bridge_place *m, const struct bridge_report *r)
{
    count_report(o, r->exchange_state);
    tell(o, m, r);
}

/* Whoever wants it cancelled hears why nobody asks for that. Nothing is said of the order itself:
 * who may not ask the exchange does not know it. */
static void
report_no_cancel(struct orders *o, const struct bridge_place *m, enum err e)
{
    struct bridge_report r = {.account_id = m->account_id,
                              .order_id = m->order.order_id,
                              .exchange_state = EXCHANGE_STATE_UNKNOWN,
                              .environment = m->order.environment,
                              .was_cancel = true,
                              .error = e,
                              .time_us = loop_now_us(o->s->loop)};
    tell(o, m, &r);
}

/* It was not sent, and will not be. */
static void
report_refused(struct orders *o, const struct bridge_place *m, const struct refused *why)
{
    struct bridge_report r = {.account_id = m->account_id,
                              .order_id = m->order.order_id,
                              .exchange_state = EXCHANGE_STATE_REFUSED,
                              .environment = m->order.environment,
                              .placed_quantity = m->order.quantity,
                              .placed_price = m->order.price,
                              .error = why->error,
                              .message = why->detail,
                              .field = why->field,
                              .time_us = loop_now_us(o->s->loop)};
    orders_report(o, m, &r);
}

/* ---- Guard ---- */

/* By this process's own rows alone. */
static enum err
guard(struct orders *o, const struct bridge_place *m, struct key_view *key)
{
    struct guard_binding b = keys_binding(o->s->keys, m->account_id, m->trading_type);
    enum environment e = m->order.environment;
    bool has_key = keys_find(o->s->keys, m->user_id, m->trading_type, e, key);
    enum err why = guard_order(o->s->mode, m, &b, has_key ? &key->is_for : NULL);
    if (why != OK) {
        metric_add(o->m_refusals, 1);
        log_line(LOG_ERROR, "guard_refused",
                 "error=%s account=%" PRIu64 " user=%" PRIu64 " order=%" PRIu64 " environment=%d",
                 err_name(why), m->account_id, m->user_id, m->order.order_id, (int)e);
    }
    return why;
}

/* ---- Works ---- */

static struct work *
work_find(const struct orders *o, uint64_t order_id)
{
    uint32_t i = map_get(&o->by_id, order_id);
    return i == MAP_NONE ? NULL : &o->works[i];
}

static void
work_forget(struct orders *o, struct work *w)
{
    map_remove(&o->by_id, w->order_id);
    *w = (struct work){.next = o->free};
    o->free = (uint32_t)(w - o->works);
    o->count--;
}

static struct work *
work_new(struct orders *o, const struct bridge_place *m)
{
    uint32_t i = o->free;
    if (i == NONE)
        return NULL;
    struct work *w = &o->works[i];
    o->free = w->next;
    if (i >= o->used)
        o->used = i + 1;
    *w = (struct work){.orders = o, .order_id = m->order.order_id, .m = *m, .is_over = true};
    flow_init(&w->flow, m, keys_deployment_at(o->s->keys, m->order.created_us));
    map_set(&o->by_id, w->order_id, i);
    o->count++;
    return w;
}

static void
waiters_tell(struct work *w)
{
    struct waiter *next = w->waiters;
    w->waiters = NULL;
    while (next != NULL) {
        struct waiter *one = next;
        next = one->next;
        one->done(one->arg, &w->found);
        pending_free(one);
    }
}

static struct flow_clock
clock_of(const struct orders *o, const struct bridge_place *m)
{
    const struct shell *s = o->s;
    return (struct flow_clock){
        .now_us = loop_now_us(s->loop),
        .exchange_us = caller_exchange_us(s->caller, m->order.environment, m->trading_type),
        .recv_window_us = caller_recv_window_ms(s->caller) * 1000};
}

static void
note_found(struct work *w, const struct bridge_report *r)
{
    const struct order *was = &w->m.order;
    w->found.is_changed =
        w->found.is_changed || r->exchange_state != was->exchange_state ||
        (r->exchange_state == EXCHANGE_STATE_PLACED &&
         (r->status != was->status || r->executed_quantity.v != was->executed_quantity.v));
    w->found.is_unresolved = r->exchange_state == EXCHANGE_STATE_UNKNOWN;
}

static void on_reply(void *arg, const struct caller_reply *r);

/* False when it could not be sent: `why` is then what the flow is told. */
static bool
call_send(struct work *w, const struct call *c, struct flow_heard *why)
{
    struct orders *o = w->orders;
    struct key_view key;
    bool is_placement = call_facts(c->name)->class_ == CALL_PLACES;
    *why = (struct flow_heard){.message = "not sent"};
    why->ruling = (struct ruling){VERDICT_KEY, guard(o, &w->m, &key)};
    if (why->ruling.error != OK)
        return false;
    struct caller_request q = {.environment = w->m.order.environment,
                               .call = c,
                               .key = key.number,
                               .send_by_us = is_placement ? w->flow.send_by_us : 0,
                               .is_urgent = w->flow.order.reduce_only,
                               .done = on_reply,
                               .arg = w};
    why->ruling = (struct ruling){VERDICT_LIMITED, ERR_EXCHANGE_BUSY};
    return caller_send(o->s->caller, &q) != 0;
}

/* What the flow wants now, and what it wants when that fails at once. */
static void
act(struct work *w)
{
    struct orders *o = w->orders;
    struct flow_out *out = &o->out;
    for (;;) {
        if (out->has_report) {
            note_found(w, &out->report);
            orders_report(o, &w->m, &out->report);
        }
        if (out->is_over) {
            w->is_over = true;
            waiters_tell(w);
            return;
        }
        struct flow_heard failed;
        if (!out->has_call && flow_wake_us(&w->flow) != 0) {
            w->found.is_unresolved = true; /* it goes on, and nobody waits for that */
            waiters_tell(w);
            return;
        }
        if (!out->has_call || call_send(w, &out->call, &failed))
            return;
        struct flow_clock clock = clock_of(o, &w->m);
        flow_answer(&w->flow, &failed, &clock, out);
    }
}

/* A body that cannot be read is no answer: a placement's outcome is open then, and what only asks
 * may ask again. */
static void
read_body(struct work *w, const struct caller_reply *r, struct flow_heard *h)
{
    struct orders *o = w->orders;
    enum trading_type market = w->m.trading_type;
    bool is_read = true;
    if (h->ruling.verdict != VERDICT_OK && h->ruling.verdict != VERDICT_DONE)
        return;
    if (w->flow.state == FLOW_TRADES) {
        is_read = reply_trades(market, r->body, r->length, w->flow.seen.exchange_order_id, o->fills,
                               REPLY_FILLS_MAX, &h->fills_count, &h->fills_there);
        h->fills = o->fills;
    } else if (w->flow.state != FLOW_CANCELLING) {
        is_read = reply_order(r->body, r->length, &o->heard);
        h->order = &o->heard;
    }
    if (!is_read)
        h->ruling = (struct ruling){VERDICT_UNKNOWN, ERR_EXCHANGE_FAILED};
}

static void
on_reply(void *arg, const struct caller_reply *r)
{
    struct work *w = arg;
    struct flow_heard h = {.ruling = r->ruling, .code = r->code, .message = r->message.text};
    struct flow_clock clock = clock_of(w->orders, &w->m);
    read_body(w, r, &h);
    flow_answer(&w->flow, &h, &clock, &w->orders->out);
    act(w);
}

static void
on_tick(void *arg)
{
    struct orders *o = arg;
    int64_t now = loop_now_us(o->s->loop);
    for (uint32_t i = 0; o->count > 0 && i < o->used; i++) {
        struct work *w = &o->works[i];
        int64_t wake_us = flow_wake_us(&w->flow); /* of those that pause; none of a free one */
        if (w->is_over && now > w->flow.send_by_us) {
            work_forget(o, w);
        } else if (wake_us != 0 && wake_us <= now) {
            struct flow_clock clock = clock_of(o, &w->m);
            flow_wake(&w->flow, &clock, &o->out);
            act(w);
        }
    }
    metric_set(o->m_under_way, o->count);
}

/* ---- What is asked for ---- */

static void
work_ask(struct orders *o, enum flow_wish wish, const struct bridge_place *m, struct waiter *waiter)
{
    struct work *w = work_find(o, m->order.order_id);
    if (w == NULL)
        w = work_new(o, m);
    if (w == NULL) {
        if (waiter != NULL) {
            waiter->done(waiter->arg, &(struct orders_found){.is_unresolved = true});
            pending_free(waiter);
        }
        return;
    }
    if (waiter != NULL) {
        waiter->next = w->waiters;
        w->waiters = waiter;
    }
    if (w->is_over) {
        w->found = (struct orders_found){.is_unresolved = true};
        w->is_over = false;
    }
    w->m.order.executed_quantity = m->order.executed_quantity;
    w->m.order.status = m->order.status;
    w->m.order.exchange_state = m->order.exchange_state;
    struct flow_clock clock = clock_of(o, m);
    flow_ask(&w->flow, wish, &m->order, &clock, &o->out);
    act(w);
}

/* As the environment's own rules have it. */
static enum err
make_fit(struct orders *o, struct bridge_place *m, struct refused *why)
{
    struct order *order = &m->order;
    why->error = call_judge_order(order, m->trading_type, &why->field);
    if (why->error != OK)
        return why->error;
    const struct symbol_rules *rules =
        rules_of(o->s->rules, order->environment, m->trading_type, order->symbol);
    if (rules == NULL) {
        bool are_known = rules_known(o->s->rules, order->environment, m->trading_type);
        why->error = are_known ? ERR_SYMBOL_UNKNOWN : ERR_EXCHANGE_UNREACHABLE;
        why->detail = text_of(are_known ? "the exchange has no such symbol"
                                        : "the exchange's rules have not been read yet");
        return why->error;
    }
    struct fit_by by = {.rules = rules,
                        .notional_min = {o->s->config->notional_min},
                        .reference = m->reference_price,
                        .position = m->position,
                        .notional_cap =
                            rules_notional_cap(o->s->rules, order->environment, order->symbol)};
    why->error = fit_order(order, &by, why);
    return why->error;
}

static void
place(struct orders *o, const struct bridge_place *m)
{
    struct bridge_place fit = *m;
    struct refused why = {0};
    if (o->free == NONE)
        why.error = ERR_EXCHANGE_BUSY;
    else if (make_fit(o, &fit, &why) == OK) {
        work_ask(o, FLOW_PLACE, &fit, NULL);
        return;
    }
    report_refused(o, m, &why);
}

/* As no ledger sends it. */
static bool
is_forged(const struct orders *o, const struct bridge_place *m)
{
    bool is_early = m->order.send_by_us > loop_now_us(o->s->loop) + SEND_MAX_US;
    if (is_early)
        log_line(LOG_ERROR, "order_from_nowhere", "order=%" PRIu64, m->order.order_id);
    return is_early || m->order.order_id >> 53 != 0;
}

/* Nothing of it is known here, it is in time, and its name is not one of a deployment of before:
 * under those nothing is sent any more. */
static bool
may_place(const struct orders *o, const struct bridge_place *m)
{
    return work_find(o, m->order.order_id) == NULL &&
           loop_now_us(o->s->loop) <= m->order.send_by_us &&
           keys_deployment_at(o->s->keys, m->order.created_us) == keys_deployment(o->s->keys);
}

static void
report_not_taken(struct orders *o, enum flow_wish wish, const struct bridge_place *m, enum err e)
{
    struct refused why = {.error = e};
    /* What was placed here is not unplaced by a message that contradicts it. */
    if (wish == FLOW_PLACE && work_find(o, m->order.order_id) == NULL)
        report_refused(o, m, &why);
    if (wish == FLOW_CANCEL && !err_again(e))
        report_no_cancel(o, m, e);
}

void
orders_take(struct orders *o, enum flow_wish wish, const struct bridge_place *m)
{
    struct key_view key;
    bool has_rows = keys_ready(o->s->keys) && keys_deployment(o->s->keys)[0] != 0;
    enum err e = has_rows ? guard(o, m, &key) : ERR_KEYS_UNAVAILABLE;
    if (is_forged(o, m))
        return;
    if (e != OK)
        report_not_taken(o, wish, m, e);
    else if (wish == FLOW_PLACE && may_place(o, m))
        place(o, m);
    else
        work_ask(o, wish == FLOW_PLACE ? FLOW_ASK : wish, m, NULL);
}

bool
orders_check(struct orders *o, const struct bridge_place *m, orders_done *done, void *arg)
{
    struct key_view key;
    if (keys_deployment(o->s->keys)[0] == 0 || guard(o, m, &key) != OK)
        return false;
    struct waiter *w = pending_new(&o->s->pending, sizeof *w);
    *w = (struct waiter){.done = done, .arg = arg};
    work_ask(o, FLOW_ASK, m, w);
    return true;
}

bool
orders_busy(const struct orders *o)
{
    bool is_busy = false;
    for (uint32_t i = 0; i < o->used; i++) {
        enum flow_state state = o->works[i].flow.state;
        is_busy = is_busy || state == FLOW_PLACING || state == FLOW_CANCELLING;
    }
    return is_busy;
}

/* ---- Life ---- */

static void
metrics_init(struct orders *o)
{
    static const char sentence[] = "Reports of real orders, by how far they had come.";
    o->m_refusals = metric_counter("scrip_bridge_guard_refusals_total", "",
                                   "Messages that would have sent what may not be sent.");
    o->m_under_way = metric_gauge("scrip_bridge_orders", "", "Orders that are worked on.");
    o->m_placed = metric_counter("scrip_bridge_reports_total", "state=\"PLACED\"", sentence);
    o->m_refused = metric_counter("scrip_bridge_reports_total", "state=\"REFUSED\"", sentence);
    o->m_unknown = metric_counter("scrip_bridge_reports_total", "state=\"UNKNOWN\"", sentence);
    o->m_not_placed =
        metric_counter("scrip_bridge_reports_total", "state=\"NOT_PLACED\"", sentence);
    o->m_behind = metric_counter("scrip_bridge_reports_behind_total", "",
                                 "Reports before which fills were missing.");
}

struct orders *
orders_open(struct shell *s)
{
    struct orders *o = calloc(1, sizeof *o);
    uint32_t max = (uint32_t)s->config->orders_max;
    CHECK(o != NULL);
    o->s = s;
    o->works = calloc(max, sizeof *o->works);
    o->map_memory = malloc(map_bytes(max));
    CHECK(o->works != NULL && o->map_memory != NULL);
    map_init(&o->by_id, max, o->map_memory);
    for (uint32_t i = 0; i < max; i++)
        o->works[i].next = i + 1 < max ? i + 1 : NONE;
    metrics_init(o);
    o->tick = loop_timer_new(s->loop, TICK_MS, TICK_MS, on_tick, o);
    return o;
}

void
orders_close(struct orders **orders)
{
    struct orders *o = *orders;
    if (o == NULL)
        return;
    loop_timer_end(&o->tick);
    free(o->works);
    free(o->map_memory);
    free(o);
    *orders = NULL;
}
