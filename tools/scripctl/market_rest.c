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

#include "host/fetch.h"
#include "host/loop.h"
#include "marketdata/core/csv.h"
#include "marketdata/core/scan.h"

#define BODY_BYTES_MAX (4u << 20)
#define TIMEOUT_MS     20000
#define TRIES          6u
#define FIRST_WAIT_MS  500
#define BAN_WAIT_S     60  /* where the exchange does not say how long */
#define WAIT_MAX_S     900 /* for a longer one a person should know */
#define WINDOW_US      INT64_C(60000000)
#define WEIGHT_SPOT    6000
#define WEIGHT_USDM    2400
#define WEIGHT_PERCENT 50
#define URL_BYTES      1024u
#define PERPETUAL      "_PERP"

struct market_rest {
    struct market_rest_options o;
    struct loop *loop;
    struct fetch *fetch;
    int64_t paused_until_us; /* before the next request */
    int64_t weight_max;
    /* The reply that was waited for. */
    int status;
    int64_t retry_after_s;
    char reason[WHY_BYTES / 2];
    struct market_page *page;
    bool is_read;
};

struct market_rest *
market_rest_open(const struct market_rest_options *o)
{
    struct market_rest *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    m->o = *o;
    m->loop = loop_new();
    m->fetch = fetch_open(&(struct fetch_options){.loop = m->loop,
                                                  .ca_file = o->ca_file,
                                                  .in_flight_max = 1,
                                                  .body_bytes_max = BODY_BYTES_MAX,
                                                  .timeout_ms = TIMEOUT_MS});
    return m;
}

void
market_rest_close(struct market_rest **rest)
{
    struct market_rest *m = *rest;
    if (m == NULL)
        return;
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
    m->retry_after_s = r->retry_after_s;
    if (r->status == 0)
        snprintf(m->reason, sizeof m->reason, "%s", r->why);
    else
        snprintf(m->reason, sizeof m->reason, "HTTP %d: %.*s", r->status,
                 (int)(r->length < 200 ? r->length : 200), r->body);
    m->is_read = r->status == 200 && page_read(m->page, r->body, r->length);
    if (r->used_weight_1m >= m->weight_max * WEIGHT_PERCENT / 100) {
        int64_t now_us = loop_now_us(m->loop);
        m->paused_until_us = now_us - now_us % WINDOW_US + WINDOW_US;
    }
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

static bool
is_usdm(code_t symbol)
{
    return strchr(symbol.text, '_') != NULL;
}

static void
url_write(const struct market_rest *m, code_t symbol, enum interval i, int64_t from_us,
          int64_t until_us, char out[URL_BYTES])
{
    size_t name = strlen(symbol.text), suffix = strlen(PERPETUAL);
    if (name > suffix && strcmp(symbol.text + name - suffix, PERPETUAL) == 0)
        name -= suffix;
    const char *url = m->o.url != NULL  ? m->o.url
                      : is_usdm(symbol) ? "https://fapi.binance.com"
                                        : "https://api.binance.com";
    snprintf(out, URL_BYTES,
             "%s%s/klines?symbol=%.*s&interval=%s&startTime=%" PRId64 "&endTime=%" PRId64
             "&limit=%u",
             url, is_usdm(symbol) ? "/fapi/v1" : "/api/v3", (int)name, symbol.text,
             interval_name(i), from_us / 1000, until_us / 1000 - 1, MARKET_PAGE_MAX);
}

/* How long to wait before the same again; negative: it is of no use. */
static int64_t
again_after_ms(const struct market_rest *m, uint32_t tries)
{
    if (m->status == 429 || m->status == 418) {
        int64_t wait_s = m->retry_after_s >= 0 ? m->retry_after_s : BAN_WAIT_S;
        return wait_s > WAIT_MAX_S ? -1 : wait_s * 1000 + 1000;
    }
    if (tries >= TRIES || (m->status >= 400 && m->status < 500))
        return -1;
    return (int64_t)FIRST_WAIT_MS << tries;
}

bool
market_rest_page(struct market_rest *m, code_t symbol, enum interval i, int64_t from_us,
                 int64_t until_us, struct market_page *out, char why[WHY_BYTES])
{
    char url[URL_BYTES];
    url_write(m, symbol, i, from_us, until_us, url);
    m->page = out;
    m->weight_max = is_usdm(symbol) ? WEIGHT_USDM : WEIGHT_SPOT;
    for (uint32_t tries = 1;; tries++) {
        int64_t pause_us = m->paused_until_us - loop_now_us(m->loop);
        if (pause_us > 0)
            wait_ms(m, pause_us / 1000 + 1);
        CHECK(fetch_send(m->fetch,
                         &(struct fetch_request){.url = url, .arg = m, .on_reply = on_reply}) != 0);
        loop_run(m->loop);
        if (m->status == 200 && m->is_read)
            return true;
        int64_t wait = m->status == 200 ? -1 : again_after_ms(m, tries);
        if (wait < 0)
            break;
        wait_ms(m, wait);
    }
    snprintf(why, WHY_BYTES, "%s: %s",
             m->status == 200 ? "this is no list of candles" : symbol.text, m->reason);
    return false;
}
