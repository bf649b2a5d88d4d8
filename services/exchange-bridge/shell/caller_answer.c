/*
 * caller_answer.c - what came back of a call: what it means, and what it tells of limits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/scan.h"
#include "exchange-bridge/core/reply.h"
#include "exchange-bridge/shell/caller_priv.h"

#define LIMITED_S  60 /* where the exchange does not say how long */
#define FIREWALL_S 180

static bool
is_json(const char *text, size_t length)
{
    struct scan scan = {text, text + length};
    struct slice value;
    return scan_value(&scan, &value) && (value.kind == '{' || value.kind == '[') &&
           scan_done(&scan);
}

void
caller_slot_judge(struct slot *s, const struct fetch_reply *r)
{
    char message[128] = "";
    struct answer a = {.status = r->status,
                       .was_sent = r->was_sent,
                       .timed_out = r->timed_out,
                       .message = message};
    bool is_good = r->status >= 200 && r->status <= 299;
    a.has_body = r->status > 0 && is_json(r->body, r->length);
    if (a.has_body && !is_good && !reply_error(r->body, r->length, &a.code, message))
        a.code = 0;
    s->last.status = r->status;
    s->last.code = a.code;
    s->last.message = text_of("%s", r->status == 0 ? r->why : message);
    s->last.ruling = verdict_of(s->call.name, &a);
    s->last.retry_after_s = r->retry_after_s > 0 ? (uint32_t)r->retry_after_s : 0;
}

void
caller_slot_learn(struct slot *s, const struct fetch_reply *r)
{
    struct budget *b = s->host->budget;
    struct fetch_reply counted = *r;
    bool is_of_account = s->last.code == -1015; /* too many orders: others may go on */
    if (is_of_account)
        counted.status = 200;
    budget_learn(b, &counted);
    caller_lane_learn(s, r);
    if (s->last.ruling.verdict != VERDICT_LIMITED)
        return;
    if (is_of_account)
        caller_lane_fill(s, r->retry_after_s);
    else if (r->status != 429 && r->status != 418)
        budget_ban(b, r->retry_after_s > 0 ? r->retry_after_s
                      : r->status == 403   ? FIREWALL_S
                                           : LIMITED_S);
    int64_t wait_us = caller_host_banned_us(s->host);
    if (wait_us > s->last.retry_after_s * INT64_C(1000000))
        s->last.retry_after_s = (uint32_t)((wait_us + 999999) / 1000000);
}
