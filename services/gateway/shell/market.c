/*
 * market.c - GET /api/market/ticker: hashes scrip:ticker:<SYMBOL>, all on one pipelined connection.
 *
 * Redis is a cache: while it is away tickers answer CACHE_UNAVAILABLE and everything else goes on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/market.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/shell/shell.h"
#include "host/log.h"
#include "host/redis_link.h"
#include "wire/json.h"

#define TICKERS_MAX 4000
#define LINE_BYTES  2048

struct market_cache {
    struct redis_link *link;
};

/* One question for tickers: of one symbol, or of all. */
struct ticker_flow {
    struct shell *shell;
    uint64_t handle;
    bool is_all;
    char symbol[CODE_BYTES];
    uint32_t expected, answered, count;
    struct md_ticker *rows;
};

struct market_cache *
market_cache_open(struct loop *l, const char *address)
{
    struct market_cache *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    /* Room for the hashes of all symbols, for some who ask at once. */
    m->link = redis_link_open(&(struct redis_link_options){
        .loop = l, .address = address, .label = "cache", .in_flight_max = 4 * TICKERS_MAX});
    if (m->link == NULL) {
        free(m);
        return NULL;
    }
    return m;
}

void
market_cache_close(struct market_cache **cache)
{
    struct market_cache *m = *cache;
    if (m == NULL)
        return;
    redis_link_close(&m->link);
    free(m);
    *cache = NULL;
}

/* The hash's fields by name, read like any other text of a message. */
static bool
ticker_read(const redisReply *reply, struct md_ticker *out)
{
    static uint8_t no_lists[16] __attribute__((aligned(16)));
    struct arena arena;
    struct msg m;
    code_t field;
    char line[LINE_BYTES];
    if (reply->elements < 2)
        return false;
    size_t at = (size_t)snprintf(line, sizeof line, "md_ticker");
    for (size_t i = 0; i + 1 < reply->elements && at < sizeof line; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING)
            at += (size_t)snprintf(line + at, sizeof line - at, " %s=%s", name->str, value->str);
    }
    arena_init(&arena, no_lists, sizeof no_lists);
    if (at >= sizeof line || msg_read_text(line, &arena, &m, &field) != OK ||
        m.type != MSG_md_ticker)
        return false;
    *out = m.md_ticker;
    return true;
}

/* A ticker and how old it is, by our clock: market data's may be ahead. */
static void
ticker_write(struct bytes *out, const struct md_ticker *t, int64_t now_us)
{
    char age[48];
    int64_t age_us = t->written_us == 0 || t->written_us > now_us ? 0 : now_us - t->written_us;
    json_write_body(out, msg_layout(MSG_md_ticker), t);
    out->length--; /* the closing brace */
    int length = snprintf(age, sizeof age, ",\"age_ms\":%lld}", (long long)(age_us / 1000));
    bytes_add(out, age, (size_t)length);
}

static void
flow_answer(struct ticker_flow *f)
{
    struct shell *s = f->shell;
    struct request *r = request_find(s, f->handle);
    int64_t now_us = loop_now_us(s->loop);
    if (r != NULL && !f->is_all && f->count == 0 && symbols_known(s, f->symbol)) {
        answer_error(s, r, ERR_MARKET_UNAVAILABLE); /* the cache was emptied; it fills again */
    } else if (r != NULL && !f->is_all && f->count == 0) {
        answer_field(s, r, ERR_SYMBOL_UNKNOWN, code_of("symbol"), text_of("%s", ""));
    } else if (r != NULL && !f->is_all) {
        struct bytes text = {0};
        ticker_write(&text, &f->rows[0], now_us);
        answer_json(s, r, 200, &text);
        bytes_free(&text);
    } else if (r != NULL) {
        struct bytes text = {0};
        bytes_add(&text, "{\"tickers\":[", 12);
        for (uint32_t i = 0; i < f->count; i++) {
            if (i > 0)
                bytes_add(&text, ",", 1);
            ticker_write(&text, &f->rows[i], now_us);
        }
        bytes_add(&text, "]}", 2);
        answer_json(s, r, 200, &text);
        bytes_free(&text);
    }
    free(f->rows);
    free(f);
}

static void
on_ticker(void *arg, const struct redisReply *found)
{
    struct ticker_flow *f = arg;
    if (found == NULL || found->type == REDIS_REPLY_ERROR) {
        struct request *r = request_find(f->shell, f->handle);
        if (r != NULL)
            answer_error(f->shell, r, ERR_CACHE_UNAVAILABLE);
    } else if (found->type == REDIS_REPLY_ARRAY && ticker_read(found, &f->rows[f->count])) {
        f->count++;
    }
    if (++f->answered == f->expected)
        flow_answer(f);
}

static bool
ticker_ask(struct ticker_flow *f, const char *symbol)
{
    char key[sizeof "scrip:ticker:" + CODE_BYTES];
    size_t length = (size_t)snprintf(key, sizeof key, "scrip:ticker:%s", symbol);
    const char *const words[] = {"HGETALL", key};
    const size_t lengths[] = {7, length};
    return length < sizeof key &&
           redis_link_send(f->shell->cache->link, 2, words, lengths, on_ticker, f);
}

static int
by_text(const void *a, const void *b)
{
    const redisReply *const *x = a, *const *y = b;
    return strcmp((*x)->str, (*y)->str);
}

static void
on_symbols(void *arg, const struct redisReply *found)
{
    struct ticker_flow *f = arg;
    struct request *r = request_find(f->shell, f->handle);
    if (r == NULL || found == NULL || found->type != REDIS_REPLY_ARRAY) {
        if (r != NULL)
            answer_error(f->shell, r, ERR_CACHE_UNAVAILABLE);
        free(f);
        return;
    }
    size_t count = found->elements < TICKERS_MAX ? found->elements : TICKERS_MAX;
    f->rows = calloc(count + 1, sizeof *f->rows);
    CHECK(f->rows != NULL);
    if (count == 0) {
        flow_answer(f);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (found->element[i]->type != REDIS_REPLY_STRING)
            count = i;
    qsort(found->element, count, sizeof found->element[0], by_text);
    f->expected = (uint32_t)count;
    uint32_t refused = 0;
    for (size_t i = 0; i < count; i++)
        refused += !ticker_ask(f, found->element[i]->str);
    if (refused > 0)
        answer_error(f->shell, r, ERR_CACHE_UNAVAILABLE); /* rather than a part of the list */
    f->expected -= refused;
    if (f->expected == 0)
        flow_answer(f);
}

void
own_ticker(struct shell *s, struct request *r, const struct http_request *h)
{
    struct http1_text query = h->head->query, name, value;
    char symbol[CODE_BYTES] = "";
    while (http1_next_pair(&query, &name, &value)) {
        if (name.length != 6 || memcmp(name.at, "symbol", 6) != 0) {
            code_t field = {{0}};
            memcpy(field.text, name.at,
                   name.length < CODE_BYTES ? name.length : (size_t)CODE_BYTES - 1);
            answer_field(s, r, ERR_FIELD_UNKNOWN, field, text_of("%s", ""));
            return;
        }
        if (!http1_decode(value, true, symbol, sizeof symbol) || symbol[0] == 0) {
            answer_field(s, r, ERR_SYMBOL_UNKNOWN, code_of("symbol"), text_of("%s", ""));
            return;
        }
    }
    struct market_cache *m = s->cache;
    if (!redis_link_is_up(m->link)) {
        answer_error(s, r, ERR_CACHE_UNAVAILABLE);
        return;
    }
    struct ticker_flow *f = calloc(1, sizeof *f);
    CHECK(f != NULL);
    *f = (struct ticker_flow){.shell = s, .handle = request_handle(r), .is_all = symbol[0] == 0};
    memcpy(f->symbol, symbol, sizeof symbol);
    request_queue(s, r, ERR_CACHE_UNAVAILABLE);
    bool is_sent;
    if (f->is_all) {
        const char *const words[] = {"SMEMBERS", "scrip:symbols"};
        const size_t lengths[] = {8, 13};
        is_sent = redis_link_send(m->link, 2, words, lengths, on_symbols, f);
    } else {
        f->expected = 1;
        f->rows = calloc(1, sizeof *f->rows);
        CHECK(f->rows != NULL);
        is_sent = ticker_ask(f, symbol);
    }
    if (!is_sent) {
        answer_error(s, r, ERR_CACHE_UNAVAILABLE);
        free(f->rows);
        free(f);
    }
}
