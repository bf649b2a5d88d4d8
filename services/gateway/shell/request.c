/*
 * request.c - a request's way in: route, rate, token, message, and off to whoever answers it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "host/log.h"
#include "wire/json.h"

uint64_t
request_handle(const struct request *r)
{
    _Static_assert(1000000 < 1 << REQUEST_PART_SHIFT, "calls_max has room below the part");
    return (uint64_t)r->generation << 32 | (r->index + 1);
}

struct request *
request_find(struct shell *s, uint64_t handle)
{
    uint32_t index = ((uint32_t)handle & ((1u << REQUEST_PART_SHIFT) - 1)) - 1;
    if (index >= (uint32_t)s->config->calls_max)
        return NULL;
    struct request *r = &s->requests[index];
    return r->in_use && r->generation == handle >> 32 ? r : NULL;
}

uint64_t
corr_new(struct shell *s)
{
    uint64_t corr;
    do
        corr = map_mix(s->corr_base + s->corr_count++);
    while (corr == 0);
    return corr;
}

void
request_queue(struct shell *s, struct request *r, enum err late_error)
{
    r->late_error = late_error;
    if (r->is_queued)
        return;
    r->is_queued = true;
    r->deadline_us = loop_steady_us(s->loop) + 2 * s->config->call_timeout_ms * 1000;
    r->next = GW_NONE;
    r->prev = s->queue_last;
    if (s->queue_last == GW_NONE)
        s->queue_first = r->index;
    else
        s->requests[s->queue_last].next = r->index;
    s->queue_last = r->index;
}

void
request_tick(struct shell *s)
{
    int64_t now_us = loop_steady_us(s->loop);
    while (s->queue_first != GW_NONE && s->requests[s->queue_first].deadline_us <= now_us) {
        struct request *r = &s->requests[s->queue_first];
        answer_error(s, r, r->late_error);
    }
}

/* Answers without a place in the table: it is full, or the request could not be read. */
static void
refuse_unheld(struct shell *s, struct http_ref ref, enum err e, const char *detail)
{
    struct bytes text = {0};
    struct refused why = {.error = e,
                          .detail = text_of("%s", detail == NULL ? "" : detail),
                          .retry_after_seconds = err_http(e) == 503};
    struct http_reply reply = {
        .status = err_http(e), .corr = corr_new(s), .retry_after_seconds = why.retry_after_seconds};
    error_write(&text, &why, reply.corr, NULL);
    reply.body = (const char *)text.data;
    reply.length = text.length;
    metric_add(s->answers[reply.status / 100], 1);
    http_reply(s->http, ref, &reply);
    bytes_free(&text);
}

void
request_bad(void *arg, struct http_ref ref, enum err why, const char *detail)
{
    refuse_unheld(arg, ref, why, detail);
}

static struct request *
request_take(struct shell *s, const struct http_request *h)
{
    if (s->requests_free == GW_NONE)
        return NULL;
    struct request *r = &s->requests[s->requests_free];
    s->requests_free = r->next;
    s->requests_count++;
    uint32_t index = r->index, generation = r->generation;
    memset(r, 0, sizeof *r);
    r->index = index;
    r->generation = generation;
    r->in_use = true;
    r->ref = h->ref;
    r->corr = corr_new(s);
    r->start_us = loop_steady_us(s->loop);
    return r;
}

static enum err
token_check(struct shell *s, struct request *r, const struct http1_head *head)
{
    struct http1_text t = head->authorization;
    if (t.at == NULL)
        return ERR_TOKEN_MISSING;
    static const char scheme[] = "bearer ";
    for (size_t i = 0; i < sizeof scheme - 1; i++)
        if (i >= t.length || (t.at[i] | 0x20) != scheme[i])
            return ERR_TOKEN_INVALID;
    return tokens_verify(s->tokens, t.at + sizeof scheme - 1, t.length - (sizeof scheme - 1),
                         loop_now_us(s->loop), &r->who);
}

static enum err
role_check(const struct request *r)
{
    bool is_admin = strcmp(r->who.role, "admin") == 0;
    bool may_audit = is_admin || strcmp(r->who.role, "auditor") == 0;
    switch (r->route->who) {
    case WHO_PUBLIC:
    case WHO_USER:
        break;
    case WHO_AUDITOR:
        return may_audit ? OK : ERR_FORBIDDEN;
    case WHO_ADMIN:
        return is_admin ? OK : ERR_FORBIDDEN;
    }
    return OK;
}

enum err
request_rate(struct shell *s, const struct request *r, uint32_t count, uint32_t *retry)
{
    const struct gateway_config *c = s->config;
    struct limit_rate rate = {(1000000 + c->account_requests_per_second - 1) /
                                  c->account_requests_per_second,
                              c->account_requests_burst};
    bool ok = limit_take_many(&s->by_account, r->who.account_id, rate, count,
                              loop_steady_us(s->loop), retry);
    return ok ? OK : ERR_RATE_LIMITED;
}

/* OK, or RATE_LIMITED and when to come back. */
static enum err
rate_check(struct shell *s, const struct request *r, uint64_t address_key, uint32_t *retry)
{
    const struct gateway_config *c = s->config;
    int64_t now_us = loop_steady_us(s->loop);
    bool ok = true;
    enum err e = ERR_RATE_LIMITED;
    switch (r->route->rate) {
    case RATE_PUBLIC_RATE: {
        struct limit_rate rate = {(1000000 + c->public_requests_per_second - 1) /
                                      c->public_requests_per_second,
                                  c->public_requests_burst};
        ok = limit_take(&s->by_address, address_key, rate, now_us, retry);
        break;
    }
    case RATE_LOGIN_RATE: {
        struct limit_rate rate = {60000000 / c->logins_per_minute, c->logins_burst};
        ok = limit_take(&s->by_login, address_key, rate, now_us, retry);
        e = ERR_LOGIN_LIMITED;
        break;
    }
    case RATE_ACCOUNT_RATE:
        return request_rate(s, r, 1, retry);
    }
    return ok ? OK : e;
}

/* An id for an order of a list that has none. */
static void
order_fill(const struct request *r, uint8_t *order, uint32_t number)
{
    const struct route_fill *f = &r->route->fill;
    if (order[f->order_client_order_id] != 0)
        return;
    snprintf((char *)order + f->order_client_order_id, CID_BYTES, "scrip-%016" PRIx64 "-%u",
             r->corr, number);
    *(bool *)(order + f->order_id_was_made) = true;
}

/* What the client may not say itself. */
static void
body_fill(const struct request *r, void *body)
{
    const struct route_fill *f = &r->route->fill;
    uint8_t *at = body;
    if (f->account_id != NO_FIELD)
        memcpy(at + f->account_id, &r->who.account_id, sizeof(uint64_t));
    if (f->changed_by != NO_FIELD)
        memcpy(at + f->changed_by, &r->who.user_id, sizeof(uint64_t));
    if (f->user_id != NO_FIELD)
        memcpy(at + f->user_id, &r->who.user_id, sizeof(uint64_t));
    if (f->command_id != NO_FIELD)
        memcpy(at + f->command_id, &r->corr, sizeof(uint64_t));
    if (f->id_was_made != NO_FIELD && at[f->client_order_id] == 0) {
        snprintf((char *)at + f->client_order_id, CID_BYTES, "scrip-%016" PRIx64, r->corr);
        *(bool *)(at + f->id_was_made) = true;
    }
    for (uint32_t i = 0; f->orders != NULL && i < msg_list_count(f->orders, body); i++)
        order_fill(r, (uint8_t *)msg_list(f->orders, body) + i * f->orders->items->size, i + 1);
}

/* The client's name for what it asked, for the case that its outcome is not known: of a list its
 * first order's. */
static const cid_t *
client_order_id_of(const struct route *route, const void *body)
{
    const struct route_fill *f = &route->fill;
    if (f->client_order_id != NO_FIELD)
        return (const cid_t *)((const uint8_t *)body + f->client_order_id);
    if (f->orders == NULL || msg_list_count(f->orders, body) == 0)
        return NULL;
    return (const cid_t *)((const uint8_t *)msg_list(f->orders, body) + f->order_client_order_id);
}

static void
on_ask_answer(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    if (m == NULL) {
        answer_error(s, r, e);
    } else if (m->type == MSG_refused) {
        answer_refused(s, r, &m->refused);
    } else if (m->type != r->route->answer) {
        log_corr(LOG_ERROR, r->corr, "answer_unexpected", "type=%d", (int)m->type);
        answer_error(s, r, ERR_INTERNAL);
    } else {
        const struct msg_layout *l = msg_layout(m->type);
        const uint8_t *body = msg_body_const(m);
        bool was_known = r->route->was_known != NO_FIELD && body[r->route->was_known];
        answer_body(s, r, was_known ? 200 : r->route->status, l, body);
    }
}

/* A list of a symbol that is none would be empty, and look like an answer. */
static bool
filter_known(const struct shell *s, const struct route *route, const void *body)
{
    if (route->to != TO_LEDGER || route_takes_body(route) || route->fill.symbol == NO_FIELD)
        return true;
    const char *symbol = (const char *)body + route->fill.symbol;
    return symbol[0] == 0 || symbols_known(s, symbol);
}

/* The exchange was asked; an account on paper has none. */
static void
on_refreshed(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    struct refused why = {.error = m == NULL ? e : OK};
    if (m != NULL && m->type == MSG_refused && m->refused.error != ERR_NOT_BOUND)
        why = m->refused;
    r->on_answer = on_ask_answer;
    struct account_get get = {.account_id = r->who.account_id};
    if (why.error == OK)
        why.error = call_send(s, call_ledger_of(s, get.account_id), MSG_account_get, r->corr,
                              request_handle(r), false, &get);
    if (why.error != OK)
        answer_refused(s, r, &why);
}

static void
account_refresh(struct shell *s, struct request *r)
{
    struct bridge_refresh refresh = {.account_id = r->who.account_id, .user_id = r->who.user_id};
    r->on_answer = on_refreshed;
    enum err e = call_send(s, call_bridge_of(s, refresh.account_id), MSG_bridge_refresh, r->corr,
                           request_handle(r), false, &refresh);
    if (e != OK)
        answer_error(s, r, e);
}

static void
request_ask(struct shell *s, struct request *r, const struct http_request *h)
{
    struct msg body; /* as wide as any message */
    code_t field;
    const struct route *route = r->route;
    arena_reset(&s->lists);
    enum err e = route_read(route, h, &s->lists, &body.frame, &field);
    if (e == OK && !filter_known(s, route, &body.frame)) {
        e = ERR_SYMBOL_UNKNOWN;
        field = code_of("symbol");
    }
    if (e != OK) {
        answer_field(s, r, e, field, route_hint(route->layout, e, field));
        return;
    }
    body_fill(r, &body.frame);
    const cid_t *name = client_order_id_of(route, &body.frame);
    if (name != NULL)
        r->client_order_id = *name;
    uint32_t server = route->to == TO_LEDGER   ? call_ledger_of(s, r->who.account_id)
                      : route->to == TO_MARKET ? s->market_server
                                               : call_bridge_of(s, r->who.account_id);
    if (route->request == MSG_account_get && body.account_get.refresh) {
        account_refresh(s, r);
        return;
    }
    if (route->request == MSG_settings_set && mode_begin(s, r, &body.settings_set))
        return;
    r->on_answer = on_ask_answer;
    e = call_send(s, server, route->request, r->corr, request_handle(r), route->mutates,
                  &body.frame);
    if (e != OK)
        answer_error(s, r, e);
}

uint32_t
request_body_limit(void *arg, const struct http1_head *head)
{
    struct shell *s = arg;
    const struct route *route;
    char allow[32];
    if (route_find(s->routes, head->method, head->path, &route, allow, sizeof allow) != OK)
        return (uint32_t)s->config->http_body_bytes; /* refused when it is whole */
    return route->body_max;
}

void
request_begin(void *arg, const struct http_request *h)
{
    struct shell *s = arg;
    struct request *r = request_take(s, h);
    if (r == NULL) {
        refuse_unheld(s, h->ref, ERR_GATEWAY_BUSY, NULL);
        return;
    }
    struct refused why = {.error = route_find(s->routes, h->head->method, h->head->path, &r->route,
                                              r->allow, sizeof r->allow)};
    if (why.error == OK) {
        r->allow[0] = 0;
        if (h->body_length > 0 && !route_takes_body(r->route))
            why.error = ERR_BODY_NOT_TAKEN;
        else if (r->route->who != WHO_PUBLIC)
            why.error = token_check(s, r, h->head);
    }
    if (why.error == OK)
        why.error = rate_check(s, r, h->address_key, &why.retry_after_seconds);
    if (why.error == OK)
        why.error = role_check(r);
    if (why.error != OK) {
        metric_add(s->limited, why.retry_after_seconds > 0);
        answer_refused(s, r, &why);
        return;
    }
    if (r->route->to == TO_OWN)
        r->route->own(s, r, h);
    else
        request_ask(s, r, h);
}

bool
request_websocket(void *arg, const struct http_request *h, int fd, const char *bytes, size_t length)
{
    struct shell *s = arg;
    bool is_stream = h->head->path.length == 3 && memcmp(h->head->path.at, "/ws", 3) == 0;
    if (!is_stream || h->head->method != HTTP1_GET)
        refuse_unheld(s, h->ref, ERR_ROUTE_UNKNOWN, "WebSockets are at /ws");
    else if (h->body_length > 0)
        refuse_unheld(s, h->ref, ERR_BODY_NOT_TAKEN, NULL);
    else if (s->draining || !ws_adopt(s->ws, fd, bytes, length))
        refuse_unheld(s, h->ref, ERR_CONNECTIONS_FULL, NULL);
    else
        return true;
    return false;
}
