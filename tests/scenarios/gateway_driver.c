/*
 * gateway_driver.c - drives the gateway's core by stories: requests in flight, rates, streams.
 *
 *   at ms=1500                                       the clock, in milliseconds
 *   still ms=3000                                    the gateway itself does nothing for so long
 *   start corr=1 to=ledger mutates=yes               a request is put in flight; to=bridge has a
 *                                                    replica, bridge2
 *   answer corr=1 from=ledger epoch=3                an answer arrives; refused=LEDGER_BUSY
 *   heard from=ledger epoch=3                        something else arrives
 *   link to=ledger up=no                             its connection is gone (or up=yes: there)
 *   due                                              what has to be done now
 *   take key=7                                       a request: 3 at once, then 10 a second
 *   follow conn=1 topic=p.BTCUSDT.                   and leave, close conn=1
 *   cursor after=5 | event n=6 | resent n=6 | resumed n=6 | recheck
 *
 * What the market adds is in gateway_market.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/core/gateway.h"
#include "gateway/core/limit.h"
#include "gateway/core/stream.h"
#include "gateway_market.h"
#include "scenario.h"

#define CALLS_MAX 4
#define CONNS_MAX 4
#define SUBS_MAX  8

struct stage {
    int64_t now_us;
    struct gw gw;
    struct limit limit;
    struct stream stream;
    struct cursor cursor;
    struct gateway_market *market;
    void *memory[3];
};

static const char *const servers[] = {"ledger", "market", "bridge", "bridge2"};
#define SERVERS (sizeof servers / sizeof servers[0])

static void *
gateway_open(void)
{
    struct stage *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    struct gw_options o = {
        .calls_max = CALLS_MAX, .resend_us = 500000, .timeout_us = 5000000, .silent_us = 1500000};
    s->memory[0] = calloc(1, gw_bytes(CALLS_MAX));
    s->memory[1] = calloc(1, limit_bytes(2));
    s->memory[2] = calloc(1, stream_bytes(CONNS_MAX, SUBS_MAX));
    CHECK(s->memory[0] != NULL && s->memory[1] != NULL && s->memory[2] != NULL);
    gw_init(&s->gw, &o, s->memory[0]);
    gw_add_server(&s->gw, ERR_LEDGER_UNAVAILABLE);
    gw_add_server(&s->gw, ERR_MARKET_UNAVAILABLE);
    gw_add_replica(&s->gw, gw_add_server(&s->gw, ERR_BRIDGE_UNAVAILABLE));
    limit_init(&s->limit, 2, s->memory[1]);
    stream_init(&s->stream, CONNS_MAX, SUBS_MAX, 3, s->memory[2]);
    s->market = gateway_market_open();
    return s;
}

static void
gateway_close(void *state)
{
    struct stage *s = state;
    gateway_market_close(s->market);
    for (int i = 0; i < 3; i++)
        free(s->memory[i]);
    free(s);
}

static uint64_t
number(const char *line, const char *key)
{
    const char *text = scenario_value(line, key);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static uint32_t
server_of(const char *line, const char *key)
{
    const char *name = scenario_value(line, key);
    for (uint32_t i = 0; name != NULL && i < SERVERS; i++)
        if (strcmp(servers[i], name) == 0)
            return i;
    return 0;
}

static void
due_say(struct stage *s, struct scenario_out *out)
{
    for (;;) {
        struct gw_due due = gw_due(&s->gw, s->now_us);
        if (due.kind == GW_DUE_NOTHING)
            return;
        if (due.kind == GW_DUE_PROBE)
            scenario_say(out, "probe to=%s", servers[due.server]);
        else if (due.kind == GW_DUE_RESEND)
            scenario_say(out, "resend corr=%llu to=%s", (unsigned long long)due.corr,
                         servers[due.server]);
        else
            scenario_say(out, "give-up corr=%llu error=%s", (unsigned long long)due.corr,
                         err_name(due.error));
    }
}

static bool
calls_input(struct stage *s, const char *line, struct scenario_out *out)
{
    uint64_t corr = number(line, "corr"), owner;
    if (scenario_is(line, "start")) {
        const char *mutates = scenario_value(line, "mutates");
        bool is_change = mutates != NULL && strcmp(mutates, "yes") == 0;
        uint32_t server = gw_replica_from(&s->gw, s->now_us, server_of(line, "to"));
        enum err e =
            gw_start(&s->gw, s->now_us, server, corr, corr, is_change, (const uint8_t *)"x", 1);
        if (e == OK && !gw_is_linked(&s->gw, server))
            scenario_say(out, "wait corr=%llu to=%s", (unsigned long long)corr, servers[server]);
        else if (e == OK)
            scenario_say(out, "send corr=%llu to=%s", (unsigned long long)corr, servers[server]);
        else
            scenario_say(out, "refused corr=%llu error=%s", (unsigned long long)corr, err_name(e));
    } else if (scenario_is(line, "answer")) {
        const char *name = scenario_value(line, "refused");
        enum err refused = name == NULL ? OK : err_by_name(name);
        if (gw_ask_next(&s->gw, s->now_us, server_of(line, "from"), corr, refused) ||
            !gw_answer_settles(&s->gw, corr, refused)) {
            scenario_say(out, "unsettled corr=%llu", (unsigned long long)corr);
            return true;
        }
        bool found = gw_answer(&s->gw, s->now_us, server_of(line, "from"), number(line, "epoch"),
                               corr, &owner);
        scenario_say(out, "%s corr=%llu", found ? "answered" : "dropped", (unsigned long long)corr);
    } else if (scenario_is(line, "heard")) {
        gw_heard(&s->gw, s->now_us, server_of(line, "from"), number(line, "epoch"));
    } else if (scenario_is(line, "link")) {
        const char *up = scenario_value(line, "up");
        gw_link(&s->gw, s->now_us, server_of(line, "to"), up != NULL && strcmp(up, "yes") == 0);
    } else if (scenario_is(line, "still")) {
        int64_t still_us = (int64_t)number(line, "ms") * 1000;
        s->now_us += still_us;
        gw_stood_still(&s->gw, still_us);
    } else if (scenario_is(line, "due")) {
        due_say(s, out);
    } else {
        return false;
    }
    return true;
}

static bool
stream_input(struct stage *s, const char *line, struct scenario_out *out)
{
    uint32_t conn = (uint32_t)number(line, "conn");
    char topic[STREAM_TOPIC_BYTES] = "";
    const char *text = scenario_value(line, "topic");
    uint32_t sub;
    bool flag;
    if (text != NULL)
        memcpy(topic, text, strnlen(text, sizeof topic - 1));
    if (scenario_is(line, "follow")) {
        enum err e = stream_add(&s->stream, conn, topic, &sub, &flag);
        scenario_say(out, "%s conn=%u topic=%s%s", e == OK ? "follows" : err_name(e), conn, topic,
                     flag ? " first" : "");
    } else if (scenario_is(line, "leave")) {
        bool was = stream_remove(&s->stream, conn, topic, &flag);
        scenario_say(out, "%s conn=%u topic=%s%s", was ? "left" : "was-not-there", conn, topic,
                     flag ? " last" : "");
    } else if (scenario_is(line, "close")) {
        while (stream_pop(&s->stream, conn, topic, &flag))
            scenario_say(out, "left conn=%u topic=%s%s", conn, topic, flag ? " last" : "");
    } else {
        return false;
    }
    stream_check(&s->stream);
    return true;
}

static bool
cursor_input(struct stage *s, const char *line, struct scenario_out *out)
{
    static const char *const verdicts[] = {"deliver", "drop", "ask"};
    uint64_t n = number(line, "n");
    if (scenario_is(line, "cursor")) {
        cursor_start(&s->cursor, number(line, "after"));
        scenario_say(out, "ask after=%llu", (unsigned long long)s->cursor.last);
    } else if (scenario_is(line, "event")) {
        scenario_say(out, "%s n=%llu", verdicts[cursor_event(&s->cursor, n)],
                     (unsigned long long)n);
    } else if (scenario_is(line, "resent")) {
        scenario_say(out, "%s n=%llu", verdicts[cursor_resent(&s->cursor, n)],
                     (unsigned long long)n);
    } else if (scenario_is(line, "resumed")) {
        if (cursor_resumed(&s->cursor, n))
            scenario_say(out, "ask after=%llu", (unsigned long long)s->cursor.last);
        else
            scenario_say(out, "live after=%llu", (unsigned long long)s->cursor.last);
    } else if (scenario_is(line, "recheck")) {
        scenario_say(out, "%s", cursor_recheck(&s->cursor) ? "ask" : "wait");
    } else {
        return false;
    }
    return true;
}

static void
gateway_input(void *state, const char *line, struct scenario_out *out)
{
    struct stage *s = state;
    uint32_t retry = 0;
    if (scenario_is(line, "at")) {
        s->now_us = (int64_t)number(line, "ms") * 1000;
    } else if (scenario_is(line, "take")) {
        struct limit_rate rate = {100000, 3};
        if (limit_take(&s->limit, number(line, "key"), rate, s->now_us, &retry))
            scenario_say(out, "taken");
        else
            scenario_say(out, "RATE_LIMITED retry_after_seconds=%u", retry);
    } else if (!gateway_market_input(s->market, line, out) && !calls_input(s, line, out) &&
               !stream_input(s, line, out) && !cursor_input(s, line, out)) {
        scenario_fail(out, "not understood: %s", line);
    }
    gw_check(&s->gw);
}

const struct scenario_core gateway_scenario = {
    .service = "gateway",
    .open = gateway_open,
    .close = gateway_close,
    .input = gateway_input,
};
