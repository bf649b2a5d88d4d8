/*
 * market_rest.c - see market_rest.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/market_rest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instrument.h"
#include "base/scan.h"
#include "host/budget.h"
#include "host/fetch.h"
#include "host/log.h"
#include "host/loop.h"
#include "host/redis_link.h"
#include "marketdata/core/csv.h"

#define BODY_BYTES_MAX (4u << 20)
#define TIMEOUT_MS     20000
#define TRIES          6u
#define FIRST_WAIT_MS  500
#define PATIENCE_MS    120000 /* at a time, for room within the weight */
#define WAIT_MAX_MS    900000 /* for a longer ban a person should know */
#define WINDOW_MS      60000
#define ALONE_PERCENT  15
#define URL_BYTES      1024u
#define HOST_BYTES     256u

/* One of the exchange's markets. */
static const struct venue {
    const char *url, *path;
    uint32_t limit;  /* weight a minute */
    uint32_t weight; /* of a page */
} VENUES[] = {
    {"https://api.binance.com", "/api/v3", 6000, 2},
    {"https://fapi.binance.com", "/fapi/v1", 2400, 5},
};

#define VENUE_COUNT (sizeof(VENUES) / sizeof(VENUES[0]))

struct market_rest {
    struct market_rest_options o;
    struct loop *loop;
    struct fetch *fetch;
    struct redis_link *redis;
    struct budget *budgets[VENUE_COUNT];
    char hosts[VENUE_COUNT][HOST_BYTES];
    /* The answer that was waited for. */
    bool is_granted, is_waiting;
    int64_t retry_after_ms;
    /* And the reply. */
    uint32_t venue;
    int status;
    char reason[WHY_BYTES / 2];
    struct market_page *page;
    bool is_read;
};

/* What the services count the weight for: "api.binance.com" of "https://api.binance.com/". */
static void
host_write(const char *url, char out[HOST_BYTES])
{
    const char *at = strstr(url, "://");
    at = at == NULL ? url : at + 3;
    snprintf(out, HOST_BYTES, "%.*s", (int)strcspn(at, "/"), at);
}

static void
budget_begin(struct market_rest *m, uint32_t venue)
{
    host_write(m->o.url != NULL ? m->o.url : VENUES[venue].url, m->hosts[venue]);
    m->budgets[venue] = budget_open(&(struct budget_options){.loop = m->loop,
                                                             .redis = m->redis,
                                                             .host = m->hosts[venue],
                                                             .limit = VENUES[venue].limit,
                                                             .window_ms = WINDOW_MS,
                                                             .alone_percent = ALONE_PERCENT,
                                                             .queue_max = 1});
}

struct market_rest *
market_rest_open(const struct market_rest_options *o, char why[WHY_BYTES])
{
    struct market_rest *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    m->o = *o;
    log_open("scripctl", LOG_ERROR);
    m->loop = loop_new();
    m->fetch = fetch_open(&(struct fetch_options){.loop = m->loop,
                                                  .ca_file = o->ca_file,
                                                  .in_flight_max = 1,
                                                  .body_bytes_max = BODY_BYTES_MAX,
                                                  .timeout_ms = TIMEOUT_MS});
    if (m->fetch != NULL && o->redis != NULL)
        m->redis = redis_link_open(
            &(struct redis_link_options){.loop = m->loop, .address = o->redis, .label = "weight"});
    if (m->fetch != NULL && (o->redis == NULL || m->redis != NULL)) {
        for (uint32_t v = 0; v < VENUE_COUNT; v++)
            budget_begin(m, v);
        return m;
    }
    snprintf(why, WHY_BYTES, "%s",
             m->fetch == NULL ? "the certificates cannot be read" : "--redis is no address");
    market_rest_close(&m);
    return NULL;
}

void
market_rest_close(struct market_rest **rest)
{
    struct market_rest *m = *rest;
    if (m == NULL)
        return;
    for (uint32_t v = 0; v < VENUE_COUNT; v++) {
        if (m->budgets[v] != NULL)
            budget_close(&m->budgets[v]);
    }
    if (m->redis != NULL)
        redis_link_close(&m->redis);
    fetch_close(&m->fetch);
    loop_destroy(&m->loop);
    free(m);
    *rest = NULL;
}

/* ---- A reply ------------------------------------------------------------------------------ */

/* Rows that make no sense are left out, and counted by the difference. */
static bool
page_read(struct market_page *page, const char *body, size_t length)
{
    struct scan s = {body, body + length};
    struct slice row;
    page->count = page->rows = 0;
    if (!scan_take(&s, '['))
        return false;
    if (scan_take(&s, ']'))
        return scan_done(&s);
    do {
        if (!scan_value(&s, &row) || row.kind != '[' || page->rows++ == MARKET_PAGE_MAX)
            return false;
        page->count += csv_rest_candle(row.at + 1, row.length - 2, &page->candles[page->count],
                                       &page->ends_us[page->count]) == OK;
    } while (scan_take(&s, ','));
    return scan_take(&s, ']') && scan_done(&s);
}

static void
on_reply(void *arg, const struct fetch_reply *r)
{
    struct market_rest *m = arg;
    m->status = r->status;
    if (r->status == 0)
        snprintf(m->reason, sizeof m->reason, "%s", r->why);
    else
        snprintf(m->reason, sizeof m->reason, "HTTP %d: %.*s", r->status,
                 (int)(r->length < 200 ? r->length : 200), r->body);
    m->is_read = r->status == 200 && page_read(m->page, r->body, r->length);
    budget_learn(m->budgets[m->venue], r);
    loop_stop(m->loop);
}

/* ---- Asking ------------------------------------------------------------------------------- */

static void
on_time(void *arg)
{
    loop_stop(arg);
}

static void
wait_ms(struct market_rest *m, int64_t ms)
{
    struct loop_timer *t = loop_timer_new(m->loop, ms > 0 ? ms : 1, 0, on_time, m->loop);
    loop_run(m->loop);
    loop_timer_end(&t);
}

static uint32_t
venue_of(code_t symbol)
{
    return strchr(symbol.text, '_') != NULL ? 1 : 0;
}

static void
url_write(const struct market_rest *m, code_t symbol, enum interval i, int64_t from_us,
          int64_t until_us, char out[URL_BYTES])
{
    const struct venue *v = &VENUES[m->venue];
    snprintf(out, URL_BYTES,
             "%s%s/klines?symbol=%s&interval=%s&startTime=%" PRId64 "&endTime=%" PRId64 "&limit=%u",
             m->o.url != NULL ? m->o.url : v->url, v->path, instrument_at_exchange(symbol).text,
             interval_name(i), from_us / 1000, until_us / 1000 - 1, MARKET_PAGE_MAX);
}

static void
on_weight(void *arg, bool is_granted, int64_t retry_after_ms)
{
    struct market_rest *m = arg;
    m->is_granted = is_granted;
    m->retry_after_ms = retry_after_ms;
    if (m->is_waiting)
        loop_stop(m->loop);
}

/* Waits until the next page may be asked for; false when that would be too long. */
static bool
weight_take(struct market_rest *m)
{
    for (;;) {
        m->is_granted = false;
        m->retry_after_ms = -1;
        if (budget_ask(m->budgets[m->venue], VENUES[m->venue].weight, BUDGET_READ, PATIENCE_MS,
                       on_weight, m) != 0) {
            m->is_waiting = true;
            loop_run(m->loop);
            m->is_waiting = false;
        }
        if (m->is_granted)
            return true;
        if (m->retry_after_ms > WAIT_MAX_MS)
            return false;
        wait_ms(m, m->retry_after_ms);
    }
}

static void
page_ask(struct market_rest *m, const char *url)
{
    const struct fetch_request r = {.url = url, .arg = m, .on_reply = on_reply};
    CHECK(fetch_send(m->fetch, &r) != 0);
    loop_run(m->loop);
}

bool
market_rest_page(struct market_rest *m, code_t symbol, enum interval i, int64_t from_us,
                 int64_t until_us, struct market_page *out, char why[WHY_BYTES])
{
    char url[URL_BYTES];
    m->venue = venue_of(symbol);
    m->page = out;
    url_write(m, symbol, i, from_us, until_us, url);
    for (uint32_t tries = 1;; tries++) {
        if (!weight_take(m)) {
            snprintf(why, WHY_BYTES, "%s takes no questions for %" PRId64 " s more",
                     m->hosts[m->venue], m->retry_after_ms / 1000);
            return false;
        }
        page_ask(m, url);
        bool is_limited = m->status == 429 || m->status == 418; /* the budget knows how long */
        if (m->status == 200 && m->is_read)
            return true;
        if (!is_limited && (tries >= TRIES || (m->status >= 200 && m->status < 500)))
            break;
        if (!is_limited)
            wait_ms(m, (int64_t)FIRST_WAIT_MS << tries);
    }
    snprintf(why, WHY_BYTES, "%s: %s",
             m->status == 200 ? "this is no list of candles" : symbol.text, m->reason);
    return false;
}
