/*
 * basket.c - several orders in one request, each placed and answered by itself.
 *
 * {"orders":[{...},...]} becomes as many order_place messages, sent at once in the order given;
 * {"results":[...]} waits until each has its answer, its refusal or its time-out. What is wrong
 * with one order is its own result and keeps none of the others from being placed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/shell/shell.h"
#include "host/log.h"
#include "wire/json.h"

#define BASKET_MAX       50
#define PREFIX_CHARS_MAX (CID_CHARS_MAX - 3) /* "-50" follows it */

struct basket {
    uint32_t count, waiting;
    struct {
        uint64_t corr;
        cid_t client_order_id;
        struct bytes text; /* of its answer */
    } results[BASKET_MAX];
};

void
basket_drop(struct basket **b)
{
    if (*b == NULL)
        return;
    for (uint32_t i = 0; i < BASKET_MAX; i++)
        bytes_free(&(*b)->results[i].text);
    free(*b);
    *b = NULL;
}

/* ---- Results ------------------------------------------------------------------------------ */

static void
basket_finish(struct shell *s, struct request *r)
{
    static const char head[] = "{\"results\":[", tail[] = "]}";
    struct bytes text = {0};
    bytes_add(&text, head, sizeof head - 1);
    for (uint32_t i = 0; i < r->basket->count; i++) {
        const struct bytes *result = &r->basket->results[i].text;
        if (i > 0)
            bytes_add(&text, ",", 1);
        bytes_add(&text, result->data, result->length);
    }
    bytes_add(&text, tail, sizeof tail - 1);
    answer_json(s, r, 200, &text);
    bytes_free(&text);
}

/* One of them is done, or (after the last was sent) their sending is. */
static void
basket_done(struct shell *s, struct request *r)
{
    if (--r->basket->waiting == 0)
        basket_finish(s, r);
}

static void
result_refuse(struct basket *b, uint32_t i, const struct refused *why)
{
    refusal_write(&b->results[i].text, why, b->results[i].corr, &b->results[i].client_order_id);
}

static void
on_order_answer(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    struct basket *b = r->basket;
    struct refused why = {.error = m == NULL ? e : ERR_INTERNAL};
    CHECK(r->part < b->count && b->results[r->part].text.length == 0);
    if (m != NULL && m->type == MSG_order_view) {
        json_write_body(&b->results[r->part].text, msg_layout(m->type), &m->order_view);
    } else {
        if (m != NULL && m->type == MSG_refused)
            why = m->refused;
        else if (m != NULL)
            log_corr(LOG_ERROR, m->corr, "answer_unexpected", "type=%d", (int)m->type);
        result_refuse(b, r->part, &why);
    }
    basket_done(s, r);
}

/* ---- Orders ------------------------------------------------------------------------------- */

/* Without an id of its own an order gets one of the basket's, which repeats with the basket, or one
 * that does not. */
static void
order_name(const struct request *r, const cid_t *prefix, uint32_t number, struct order_place *order)
{
    char *id = order->client_order_id.text;
    if (id[0] != 0)
        return;
    order->id_was_made = prefix->text[0] == 0;
    if (order->id_was_made)
        snprintf(id, CID_BYTES, "scrip-%016" PRIx64 "-%u", r->corr, number);
    else
        snprintf(id, CID_BYTES, "%.*s-%u", PREFIX_CHARS_MAX, prefix->text, number % 100);
}

static void
order_send(struct shell *s, struct request *r, uint32_t i, const struct order_wish *from,
           const struct json_fault *fault, const cid_t *prefix)
{
#define COPY(tag, kind, name, flags, sentence) to->name = from->name;
    struct order_place order = {.account_id = r->who.account_id}, *to = &order;
    FIELDS_order_wish(COPY, COPY, COPY, COPY);
#undef COPY
    struct basket *b = r->basket;
    struct refused why = {.error = fault->error, .field = fault->field};
    order_name(r, prefix, i + 1, &order);
    b->results[i].corr = corr_new(s);
    b->results[i].client_order_id = order.client_order_id;
    if (why.error == OK) {
        uint64_t owner = request_handle(r) | (uint64_t)i << REQUEST_PART_SHIFT;
        why.error = call_send(s, call_ledger_of(s, r->who.account_id), MSG_order_place,
                              b->results[i].corr, owner, true, &order);
    } else {
        why.detail = route_hint(msg_layout(MSG_order_place), why.error, why.field);
    }
    if (why.error == OK)
        return;
    result_refuse(b, i, &why);
    basket_done(s, r);
}

static enum err
prefix_check(const cid_t *prefix, code_t *field)
{
    if (strlen(prefix->text) <= PREFIX_CHARS_MAX)
        return OK;
    *field = code_of("client_order_id");
    return ERR_FIELD_TOO_LONG;
}

void
own_basket(struct shell *s, struct request *r, const struct http_request *h)
{
    struct order_basket body = {.orders_count = 0};
    struct json_fault faults[BASKET_MAX];
    struct refused why = {.error = OK};
    arena_reset(&s->lists);
    why.error = json_read_items(h->body, h->body_length, msg_record_at(MSG_RECORD_order_basket),
                                &body, &s->lists, faults, &why.field);
    if (why.error == OK)
        why.error = prefix_check(&body.client_order_id, &why.field);
    /* The request itself was counted when it came. */
    if (why.error == OK && body.orders_count > 1)
        why.error = request_rate(s, r, body.orders_count - 1, &why.retry_after_seconds);
    if (why.error != OK) {
        metric_add(s->limited, why.error == ERR_RATE_LIMITED);
        answer_refused(s, r, &why);
        return;
    }
    r->basket = calloc(1, sizeof *r->basket);
    CHECK(r->basket != NULL && body.orders_count <= BASKET_MAX);
    r->basket->count = body.orders_count;
    r->basket->waiting = body.orders_count + 1;
    r->on_answer = on_order_answer;
    for (uint32_t i = 0; i < body.orders_count; i++)
        order_send(s, r, i, &body.orders[i], &faults[i], &body.client_order_id);
    basket_done(s, r);
}
