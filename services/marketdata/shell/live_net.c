/*
 * live_net.c - carries out what the live core wants: WebSockets, requests within the budget.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "market/rules.h"
#include "marketdata/shell/live_priv.h"

#define MESSAGE_BYTES_MAX  (4u << 20)
#define URL_BYTES          (LIVE_TEXT_BYTES + 256)
#define URGENT_PATIENCE_MS 20000
#define PATIENCE_MS        55000
#define BUSY_MS            500

/* ---- The queue -------------------------------------------------------------------------- */

static struct live_input *
input_new(enum live_input_kind kind, uint32_t number, const char *text, size_t length)
{
    struct live_input *in = malloc(sizeof(*in) + length + 1);
    CHECK(in != NULL);
    *in = (struct live_input){.kind = kind, .conn = number, .length = length};
    if (length > 0)
        memcpy(in->text, text, length);
    in->text[length] = '\0';
    return in;
}

static void
input_put(struct live_source *s, struct live_input *in)
{
    if (s->last == NULL)
        s->first = in;
    else
        s->last->next = in;
    s->last = in;
    s->queued_bytes += sizeof(*in) + in->length;
    s->env.on_ready(s->env.arg);
}

void
live_heard(struct live_source *s, enum live_input_kind kind, uint32_t number, const char *text,
           size_t length)
{
    input_put(s, input_new(kind, number, text, length));
}

/* ---- Connections ------------------------------------------------------------------------ */

static uint32_t
index_of(const struct live_socket *c)
{
    return (uint32_t)(c - c->source->sockets);
}

/* What stands between us and the exchange, in words for whoever waits for a price. */
static void
complain(struct live_source *s, const char *where, const char *why)
{
    snprintf(s->env.counts->why, sizeof(s->env.counts->why), "%.100s: %.140s", where, why);
}

static void
on_open(void *arg)
{
    struct live_socket *c = arg;
    c->source->env.counts->why[0] = '\0';
    log_line(LOG_INFO, "exchange_connected", "market=%s connection=%u",
             msg_enum_name(MSG_ENUM_trading_type, c->source->market), index_of(c));
    live_heard(c->source, LIVE_IN_OPENED, index_of(c), NULL, 0);
}

static void
socket_lost(struct live_socket *c, const char *why)
{
    log_line(LOG_WARN, "exchange_lost", "market=%s connection=%u why=\"%s\"",
             msg_enum_name(MSG_ENUM_trading_type, c->source->market), index_of(c), why);
    complain(c->source, c->source->stream_url, why);
    c->client = NULL;
    live_heard(c->source, LIVE_IN_CLOSED, index_of(c), NULL, 0);
}

static void
on_text(void *arg, const char *text, size_t length)
{
    struct live_socket *c = arg;
    struct live_source *s = c->source;
    if (s->queued_bytes > (size_t)s->env.net->config->live_queue_bytes) {
        /* What is left out now is a gap that the core finds and heals. */
        ws_client_close(&c->client);
        socket_lost(c, "more is heard than can be taken");
        return;
    }
    live_heard(s, LIVE_IN_TEXT, index_of(c), text, length);
}

static void
on_alive(void *arg)
{
    struct live_socket *c = arg;
    live_heard(c->source, LIVE_IN_ALIVE, index_of(c), NULL, 0);
}

static void
on_close(void *arg, const char *why)
{
    socket_lost(arg, why);
}

static void
socket_connect(struct live_source *s, const struct live_do *what)
{
    struct live_socket *c = &s->sockets[what->conn];
    char url[URL_BYTES], why[WS_WHY_BYTES] = "";
    snprintf(url, sizeof(url), "%s%s", s->stream_url, what->text);
    struct ws_client_options o = {.url = url,
                                  .connect_ms = s->env.net->config->connect_ms,
                                  .silence_ms = s->env.net->config->silence_ms,
                                  .message_bytes_max = MESSAGE_BYTES_MAX,
                                  .arg = c,
                                  .on_open = on_open,
                                  .on_text = on_text,
                                  .on_alive = on_alive,
                                  .on_close = on_close};
    c->client = ws_client_open(s->env.net->sockets, &o, why);
    if (c->client == NULL)
        socket_lost(c, why);
}

static void
socket_send(struct live_source *s, const struct live_do *what)
{
    struct live_socket *c = &s->sockets[what->conn];
    if (c->client == NULL || ws_client_send(c->client, what->text, strlen(what->text)))
        return;
    ws_client_close(&c->client);
    socket_lost(c, "it takes no messages");
}

/* ---- Requests --------------------------------------------------------------------------- */

static void
request_end(struct live_request *q, enum live_reply reply, int status, const char *body,
            size_t length, int64_t retry_ms)
{
    struct live_input *in = input_new(LIVE_IN_ANSWER, q->ask, body, length);
    in->reply = reply;
    in->status = status;
    in->retry_us = retry_ms * 1000;
    q->is_used = false;
    q->budget_ask = q->fetch_request = 0;
    input_put(q->source, in);
}

/* The exchange's rules are the shell's to read. */
static void
rules_take(struct live_source *s, const char *body, size_t length)
{
    char why[RULES_WHY_BYTES];
    uint32_t count = 0;
    if (s->rules == NULL)
        s->rules = calloc(RULES_MAX, sizeof(*s->rules));
    CHECK(s->rules != NULL);
    if (rules_read(body, length, s->rules, RULES_MAX, &count, why) != OK) {
        log_line(LOG_WARN, "exchange_rules_not_read", "why=\"%s\"", why);
        return;
    }
    if (s->env.on_rules != NULL)
        s->env.on_rules(s->env.arg, s->rules, count);
    for (uint32_t i = 0; i < count; i++)
        live_rules_known(&s->core, s->rules[i].symbol);
}

static void
on_reply(void *arg, const struct fetch_reply *r)
{
    struct live_request *q = arg;
    struct live_source *s = q->source;
    struct budget *budget = s->env.net->budgets[s->market];
    if (budget != NULL)
        budget_learn(budget, r);
    if (r->status != 200)
        log_line(LOG_WARN, "exchange_refused", "market=%s path=\"%s\" status=%d why=\"%s%.120s\"",
                 msg_enum_name(MSG_ENUM_trading_type, s->market), q->path, r->status, r->why,
                 r->status != 0 && r->body != NULL ? r->body : "");
    else if (q->what == LIVE_ASK_RULES)
        rules_take(s, r->body, r->length);
    if (r->status != 200)
        complain(s, s->rest_url, r->status == 0 ? r->why : r->body != NULL ? r->body : "refused");
    bool is_read_here = r->status != 200 || q->what == LIVE_ASK_RULES;
    int64_t retry_ms = r->retry_after_s > 0 ? r->retry_after_s * 1000 : 0;
    request_end(q, r->status == 0 ? LIVE_REPLY_FAILED : LIVE_REPLY_OK, r->status, r->body,
                is_read_here ? 0 : r->length, retry_ms);
}

static void
on_granted(void *arg, bool is_granted, int64_t retry_after_ms)
{
    struct live_request *q = arg;
    struct live_source *s = q->source;
    char url[LIVE_PATH_BYTES + 256];
    q->budget_ask = 0;
    if (!is_granted) {
        request_end(q, LIVE_REPLY_REFUSED, 0, NULL, 0, retry_after_ms);
        return;
    }
    snprintf(url, sizeof(url), "%s%s", s->rest_url, q->path);
    q->fetch_request = fetch_send(
        s->env.net->fetch, &(struct fetch_request){.url = url, .arg = q, .on_reply = on_reply});
    if (q->fetch_request == 0)
        request_end(q, LIVE_REPLY_REFUSED, 0, NULL, 0, BUSY_MS);
}

static struct live_request *
request_place(struct live_source *s)
{
    for (uint32_t i = 0; i < LIVE_ASKS_MAX; i++) {
        if (!s->requests[i].is_used)
            return &s->requests[i];
    }
    return NULL;
}

static void
request_begin(struct live_source *s, const struct live_do *what)
{
    struct live_request *q = request_place(s);
    /* The core gave one up that still is under way here. */
    if (q == NULL) {
        struct live_request busy = {.source = s, .ask = what->ask};
        request_end(&busy, LIVE_REPLY_REFUSED, 0, NULL, 0, BUSY_MS);
        return;
    }
    q->source = s;
    q->is_used = true;
    q->ask = what->ask;
    q->what = what->what;
    q->budget_ask = q->fetch_request = 0;
    snprintf(q->path, sizeof(q->path), "%s", what->text);
    struct budget *budget = s->env.net->budgets[s->market];
    if (budget == NULL) {
        on_granted(q, true, 0);
        return;
    }
    uint64_t ask = budget_ask(budget, what->weight, what->is_urgent ? BUDGET_SYNC : BUDGET_READ,
                              what->is_urgent ? URGENT_PATIENCE_MS : PATIENCE_MS, on_granted, q);
    if (ask != 0)
        q->budget_ask = ask;
}

/* ---- Doing ------------------------------------------------------------------------------ */

void
live_act(struct live_source *s)
{
    struct live_do what;
    while (live_poll(&s->core, &what) != LIVE_DO_NOTHING) {
        switch (what.kind) {
        case LIVE_DO_CONNECT:
            socket_connect(s, &what);
            break;
        case LIVE_DO_SEND:
            socket_send(s, &what);
            break;
        case LIVE_DO_CLOSE:
            if (s->sockets[what.conn].client != NULL)
                ws_client_close(&s->sockets[what.conn].client);
            break;
        case LIVE_DO_ASK:
            request_begin(s, &what);
            break;
        case LIVE_DO_NOTHING:
            break;
        }
    }
}

void
live_net_close(struct live_source *s)
{
    for (uint32_t i = 0; i < s->sockets_count; i++) {
        if (s->sockets[i].client != NULL)
            ws_client_close(&s->sockets[i].client);
    }
    for (uint32_t i = 0; i < LIVE_ASKS_MAX; i++) {
        struct live_request *q = &s->requests[i];
        if (q->is_used && q->budget_ask != 0)
            budget_drop(s->env.net->budgets[s->market], q->budget_ask);
        if (q->is_used && q->fetch_request != 0)
            fetch_drop(s->env.net->fetch, q->fetch_request);
    }
}
