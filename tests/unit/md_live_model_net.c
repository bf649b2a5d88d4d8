/*
 * md_live_model_net.c - the made-up exchange's connections, REST and faults.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "md_live_model.h"

#define ATTEMPTS_5_MIN_MAX 60
#define BATCH_MAX          50

static void
broken(struct model *m, const char *what)
{
    if (m->broken[0] == '\0')
        snprintf(m->broken, sizeof(m->broken), "%s at %" PRIu64, what, m->now_ms);
}

/* ---- Connections ------------------------------------------------------------------------ */

void
model_close(struct model *m, uint32_t sock)
{
    struct model_sock *c = &m->socks[sock];
    for (uint32_t i = 0; i < c->count; i++)
        free(c->queue[(c->head + i) % MODEL_QUEUE].text);
    memset(c, 0, sizeof(*c));
}

/* Whether the root may carry the stream: a wrong one is silent for ever. */
static bool
root_fits(const struct model *m, const char *path, const char *stream)
{
    bool is_public = strstr(stream, "@bookTicker") != NULL || strstr(stream, "@depth") != NULL;
    if (m->is_spot)
        return strncmp(path, "/stream?", 8) == 0;
    return strncmp(path, is_public ? "/public/stream?" : "/market/stream?", 15) == 0;
}

static void
stream_add(struct model *m, struct model_sock *c, const char *stream, size_t length)
{
    for (uint32_t i = 0; i < c->stream_count; i++) {
        if (strlen(c->streams[i]) == length && strncmp(c->streams[i], stream, length) == 0) {
            c->is_dead[i] = false;
            return;
        }
    }
    if (c->stream_count == MODEL_STREAMS || length >= sizeof(c->streams[0])) {
        broken(m, "too many streams");
        return;
    }
    snprintf(c->streams[c->stream_count], sizeof(c->streams[0]), "%.*s", (int)length, stream);
    c->is_dead[c->stream_count++] = false;
}

static void
stream_remove(struct model_sock *c, const char *stream, size_t length)
{
    for (uint32_t i = 0; i < c->stream_count; i++) {
        if (strlen(c->streams[i]) != length || strncmp(c->streams[i], stream, length) != 0)
            continue;
        c->stream_count--;
        memcpy(c->streams[i], c->streams[c->stream_count], sizeof(c->streams[0]));
        c->is_dead[i] = c->is_dead[c->stream_count];
        return;
    }
}

static void
attempt_count(struct model *m)
{
    m->attempts_ms[m->attempts++ % 4096] = m->now_ms;
    uint32_t recent = 0;
    for (uint32_t i = 0; i < m->attempts && i < 4096; i++)
        recent += m->attempts_ms[i] + 300000 > m->now_ms;
    if (recent > ATTEMPTS_5_MIN_MAX)
        broken(m, "too many connections in 5 minutes");
}

void
model_connect(struct model *m, uint32_t sock, const char *path)
{
    struct model_sock *c = &m->socks[sock];
    if (c->is_open || c->is_opening)
        broken(m, "a connection is opened twice");
    model_close(m, sock);
    attempt_count(m);
    c->is_opening = true;
    c->due_ms = m->now_ms + 5 + model_dice(m, 100);
    const char *at = strstr(path, "streams=");
    if (at == NULL) {
        broken(m, "no streams in a URL");
        return;
    }
    for (at += 8; *at != '\0';) {
        size_t length = strcspn(at, "/");
        char name[48];
        snprintf(name, sizeof(name), "%.*s", (int)length, at);
        if (!root_fits(m, path, name))
            broken(m, "a stream under a wrong root");
        stream_add(m, c, at, length);
        at += length + (at[length] == '/');
    }
}

static void
pace_count(struct model *m, struct model_sock *c)
{
    uint32_t recent = 0, limit = m->is_spot ? 4 : 8;
    c->said_ms[c->said++ % 16] = m->now_ms;
    for (uint32_t i = 0; i < 16 && i < c->said; i++)
        recent += c->said_ms[i] + 1000 > m->now_ms;
    if (recent > limit)
        broken(m, "too many messages a second");
}

static void
answer(struct model *m, struct model_sock *c, const char *text)
{
    if (c->count == MODEL_QUEUE)
        return;
    if (c->last_due_ms < m->now_ms + 10)
        c->last_due_ms = m->now_ms + 10;
    c->queue[(c->head + c->count++) % MODEL_QUEUE] =
        (struct model_message){c->last_due_ms, strdup(text)};
}

void
model_send(struct model *m, uint32_t sock, const char *text)
{
    struct model_sock *c = &m->socks[sock];
    char reply[128];
    const char *id = strstr(text, "\"id\":"), *at = strchr(text, '[');
    bool is_subscribe = strstr(text, "\"SUBSCRIBE\"") != NULL;
    uint32_t count = 0;
    pace_count(m, c);
    if (!c->is_open || id == NULL || at == NULL) {
        broken(m, "a message that is none");
        return;
    }
    if (c->is_silent)
        return;
    if (is_subscribe && m->refuse_subscribe > 0) {
        m->refuse_subscribe--;
        snprintf(reply, sizeof(reply), "{\"code\":2,\"msg\":\"Invalid request: no.\",\"id\":%ld}",
                 strtol(id + 5, NULL, 10));
        answer(m, c, reply);
        return;
    }
    while (*at != ']') {
        at = strchr(at, '"') + 1;
        size_t length = strcspn(at, "\"");
        if (is_subscribe)
            stream_add(m, c, at, length);
        else
            stream_remove(c, at, length);
        at += length + 1;
        count++;
    }
    if (count > BATCH_MAX)
        broken(m, "too many streams in a message");
    snprintf(reply, sizeof(reply), "{\"result\":null,\"id\":%ld}", strtol(id + 5, NULL, 10));
    answer(m, c, reply);
}

/* ---- REST ------------------------------------------------------------------------------- */

static struct model_symbol *
symbol_in(struct model *m, const char *path)
{
    const char *at = strstr(path, "symbol=");
    for (int i = 0; at != NULL && i < MODEL_SYMBOLS; i++) {
        size_t length = strlen(m->symbols[i].name);
        if (strncmp(at + 7, m->symbols[i].name, length) == 0 &&
            (at[7 + length] == '&' || at[7 + length] == '\0'))
            return &m->symbols[i];
    }
    return NULL;
}

static uint64_t
number_in(const char *path, const char *name)
{
    const char *at = strstr(path, name);
    return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

static char *
trades_body(const struct model *m, const struct model_symbol *s, uint64_t from)
{
    size_t room = 1000 * 200, length = 1;
    char *body = malloc(room);
    body[0] = '[';
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->trade_count && count < 1000; i++) {
        const struct model_trade *t = &s->trades[i];
        const char *maker = t->buyer_is_maker ? "true" : "false";
        if (t->id < from)
            continue;
        const char *comma = count++ > 0 ? "," : "";
        if (m->is_spot)
            length += (size_t)snprintf(
                body + length, room - length,
                "%s{\"id\":%" PRIu64 ",\"price\":\"%u.00\",\"qty\":\"%u.50\",\"quoteQty\":\"1\","
                "\"time\":%" PRIu64 ",\"isBuyerMaker\":%s,\"isBestMatch\":true}",
                comma, t->id, t->price, t->quantity, t->time_ms, maker);
        else
            length += (size_t)snprintf(body + length, room - length,
                                       "%s{\"a\":%" PRIu64 ",\"p\":\"%u.00\",\"q\":\"%u.50\",\"f\":"
                                       "%" PRIu64 ",\"l\":%" PRIu64 ",\"T\":%" PRIu64 ",\"m\":%s}",
                                       comma, t->id, t->price, t->quantity, t->first, t->last,
                                       t->time_ms, maker);
    }
    snprintf(body + length, room - length, "]");
    return body;
}

static char *
depth_body(struct model *m, struct model_symbol *s)
{
    char bids[2048] = "", asks[2048] = "";
    if (m->stale_snapshots > 0 && s->older[0] != '\0') {
        m->stale_snapshots--;
        return strdup(s->older);
    }
    char *sides[2] = {bids, asks};
    for (int side = 0; side < 2; side++) {
        size_t length = 0;
        for (int n = 0; n < MODEL_LEVELS; n++) {
            if (s->quantity[side][n] > 0)
                length += (size_t)snprintf(sides[side] + length, 2048 - length,
                                           "%s[\"%d.00\",\"%u\"]", length > 0 ? "," : "",
                                           side == 0 ? 1000 - n : 1001 + n, s->quantity[side][n]);
        }
    }
    char *body = malloc(8192);
    snprintf(body, 8192, "{\"lastUpdateId\":%" PRIu64 ",\"bids\":[%s],\"asks\":[%s]}", s->update_id,
             bids, asks);
    return body;
}

static char *
klines_body(const struct model *m, uint64_t start_ms, bool is_day)
{
    uint64_t width = is_day ? 86400000 : 60000;
    size_t room = 1000 * 160, length = 1;
    char *body = malloc(room);
    body[0] = '[';
    uint64_t at =
        is_day ? (m->now_ms / width - 31) * width : (start_ms + width - 1) / width * width;
    for (uint32_t count = 0; at <= m->now_ms && count < 1000; at += width, count++)
        length +=
            (size_t)snprintf(body + length, room - length,
                             "%s[%" PRIu64 ",\"1000\",\"1010\",\"990\",\"1000\",\"5\",%" PRIu64
                             ",\"5000\",7,\"2\",\"2000\",\"0\"]",
                             count > 0 ? "," : "", at, at + width - 1);
    snprintf(body + length, room - length, "]");
    return body;
}

static char *
rules_body(const struct model *m)
{
    char *body = malloc(256);
    body[0] = '\0';
    for (int i = 0; i < MODEL_SYMBOLS; i++) {
        if (m->symbols[i].is_listed)
            snprintf(body + strlen(body), 256 - strlen(body), "%s ", m->symbols[i].name);
    }
    return body;
}

void
model_ask(struct model *m, uint32_t ask, const char *path)
{
    struct model_rest *r = NULL;
    for (uint32_t i = 0; i < MODEL_RESTS && r == NULL; i++) {
        if (!m->rests[i].is_used)
            r = &m->rests[i];
    }
    if (r == NULL) {
        broken(m, "too many requests at once");
        return;
    }
    struct model_symbol *s = symbol_in(m, path);
    *r = (struct model_rest){.is_used = true, .ask = ask, .status = 200};
    r->due_ms = m->now_ms + 10 + model_dice(m, m->now_ms < m->rest_slow_until_ms ? 4000 : 150);
    if (m->rest_lost > 0) {
        m->rest_lost--;
        r->due_ms = UINT64_MAX;
    }
    if (m->now_ms < m->budget_until_ms) {
        r->is_refused = true;
        r->due_ms = m->now_ms;
    } else if (m->now_ms < m->rest_fail_until_ms) {
        r->status = model_dice(m, 2) == 0 ? 0 : 503;
    } else if (strstr(path, "exchangeInfo") != NULL) {
        r->body = rules_body(m);
    } else if (s == NULL) {
        broken(m, "a request without a symbol");
    } else if (strstr(path, "/depth?") != NULL) {
        r->body = depth_body(m, s);
    } else if (strstr(path, m->is_spot ? "/historicalTrades?" : "/aggTrades?") != NULL) {
        r->body = trades_body(m, s, number_in(path, "fromId="));
    } else if (strstr(path, "/klines?") != NULL) {
        r->body =
            klines_body(m, number_in(path, "startTime="), strstr(path, "interval=1d") != NULL);
    } else {
        broken(m, "a request for nothing we have");
    }
}

/* ---- Faults ----------------------------------------------------------------------------- */

static void
pattern_by_dice(struct model *m)
{
    static const char *const PATTERNS[] = {"@trade",      "@aggTrade", "@depth",
                                           "@bookTicker", "@kline",    "@"};
    snprintf(m->pattern, sizeof(m->pattern), "%s", PATTERNS[model_dice(m, 6)]);
}

static struct model_sock *
sock_by_dice(struct model *m)
{
    for (uint32_t i = 0, at = (uint32_t)model_dice(m, MODEL_SOCKS); i < MODEL_SOCKS; i++) {
        if (m->socks[(at + i) % MODEL_SOCKS].is_open)
            return &m->socks[(at + i) % MODEL_SOCKS];
    }
    return NULL;
}

static void
sock_fault(struct model *m, struct model_sock *c)
{
    char text[96];
    switch (model_dice(m, 4)) {
    case 0:
        c->cut_ms = m->now_ms;
        break;
    case 1:
        c->is_silent = true;
        break;
    case 2:
        snprintf(text, sizeof(text),
                 "{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\",\"E\":%" PRIu64
                 "}}",
                 m->now_ms);
        answer(m, c, text);
        c->cut_ms = m->now_ms + 1000 + model_dice(m, 10000);
        break;
    default:
        if (c->stream_count > 0)
            c->is_dead[model_dice(m, c->stream_count)] = true;
    }
}

void
model_fault(struct model *m)
{
    struct model_sock *c = sock_by_dice(m);
    uint64_t until = m->now_ms + 200 + model_dice(m, 5000);
    switch (model_dice(m, 12)) {
    case 0:
    case 1:
        pattern_by_dice(m);
        m->drop = 1 + (uint32_t)model_dice(m, 6);
        break;
    case 2:
        pattern_by_dice(m);
        m->duplicate = 1 + (uint32_t)model_dice(m, 4);
        break;
    case 3:
        pattern_by_dice(m);
        m->reorder = 1 + (uint32_t)model_dice(m, 3);
        break;
    case 4:
        m->refuse_until_ms = until;
        break;
    case 5:
        m->rest_fail_until_ms = until;
        break;
    case 6:
        m->rest_slow_until_ms = until;
        break;
    case 7:
        m->budget_until_ms = until;
        break;
    case 8:
        m->refuse_subscribe = 1 + (uint32_t)model_dice(m, 3);
        m->stale_snapshots = (uint32_t)model_dice(m, 3);
        break;
    case 9:
        m->rest_lost = 1;
        break;
    default:
        if (c != NULL)
            sock_fault(m, c);
    }
}

void
model_faults_end(struct model *m)
{
    m->drop = m->duplicate = m->reorder = m->refuse_subscribe = 0;
    m->stale_snapshots = m->rest_lost = 0;
    m->refuse_until_ms = m->rest_fail_until_ms = m->rest_slow_until_ms = m->budget_until_ms = 0;
}
