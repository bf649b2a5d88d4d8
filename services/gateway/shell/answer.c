/*
 * answer.c - how a request ends: a body, or the one error shape, with its status and headers.
 *
 * {"error":{"code":"FUNDS_TOO_LOW","message":"...","field":"...","correlation_id":"..."}}
 * The only place that asks for an error's HTTP status.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/shell/shell.h"
#include "host/log.h"
#include "wire/json.h"

static void
add_text(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

static void
add_member(struct bytes *out, const char *name, const char *value)
{
    if (value[0] == 0)
        return;
    add_text(out, ",\"");
    add_text(out, name);
    add_text(out, "\":");
    json_write_text(out, value);
}

static void
add_number(struct bytes *out, const char *name, uint64_t value)
{
    char text[64];
    if (value == 0)
        return;
    snprintf(text, sizeof text, ",\"%s\":%" PRIu64, name, value);
    add_text(out, text);
}

/* What a person has to do before the same request can succeed. */
static const char *
action_of(enum err e)
{
    if (e == ERR_TOKEN_MISSING || e == ERR_TOKEN_INVALID || e == ERR_REFRESH_INVALID)
        return "log in";
    if (e == ERR_TOKEN_EXPIRED)
        return "exchange the refresh token, or log in";
    if (e == ERR_CREDENTIALS_MISSING)
        return "configure exchange credentials";
    if (e == ERR_CREDENTIALS_INVALID)
        return "replace the exchange credentials";
    if (e == ERR_CONFIRMATION_MISSING)
        return "send confirm_real: true";
    return "";
}

void
error_write(struct bytes *out, const struct refused *why, uint64_t corr,
            const cid_t *client_order_id)
{
    char hex[17];
    snprintf(hex, sizeof hex, "%016" PRIx64, corr);
    add_text(out, "{\"error\":{\"code\":");
    json_write_text(out, err_name(why->error));
    add_member(out, "message", err_sentence(why->error));
    add_member(out, "field", why->field.text);
    add_member(out, "detail", why->detail.text);
    if (err_http(why->error) == 502)
        add_member(out, "details", why->detail.text);
    add_member(out, "action_required", action_of(why->error));
    add_number(out, "retry_after_seconds", why->retry_after_seconds);
    if (err_again(why->error))
        add_text(out, ",\"retry_suggested\":true");
    add_number(out, "order_id", why->order_id);
    if (client_order_id != NULL)
        add_member(out, "client_order_id", client_order_id->text);
    add_member(out, "correlation_id", hex);
    add_text(out, "}}");
}

/* When to come back: in a second where nobody knows better, and not at all where it is no use. */
static uint32_t
retry_after(const struct refused *why)
{
    int status = err_http(why->error);
    bool may_retry = status == 503 || status == 429;
    return may_retry && why->retry_after_seconds == 0 ? 1 : why->retry_after_seconds;
}

void
refusal_write(struct bytes *out, const struct refused *why, uint64_t corr,
              const cid_t *client_order_id)
{
    struct refused w = *why;
    w.retry_after_seconds = retry_after(why);
    error_write(out, &w, corr, w.error == ERR_OUTCOME_UNKNOWN ? client_order_id : NULL);
}

static void
request_free(struct shell *s, struct request *r)
{
    if (r->is_queued) {
        if (r->prev == GW_NONE)
            s->queue_first = r->next;
        else
            s->requests[r->prev].next = r->next;
        if (r->next == GW_NONE)
            s->queue_last = r->prev;
        else
            s->requests[r->next].prev = r->prev;
    }
    basket_drop(&r->basket);
    mode_drop(&r->mode);
    r->in_use = false;
    r->generation = (r->generation + 1) & INT32_MAX;
    r->next = s->requests_free;
    s->requests_free = r->index;
    s->requests_count--;
}

static void
answer_send(struct shell *s, struct request *r, struct http_reply *reply)
{
    int64_t took_us = loop_steady_us(s->loop) - r->start_us;
    reply->corr = r->corr;
    reply->no_store =
        r->route == NULL || r->route->who != WHO_PUBLIC || r->route->rate == RATE_LOGIN_RATE;
    metric_add(s->answers[reply->status / 100], 1);
    metric_observe_us(s->latency, took_us);
    if (log_on(LOG_DEBUG))
        log_corr(LOG_DEBUG, r->corr, "answered", "status=%d took_us=%" PRId64 " path=%s",
                 reply->status, took_us, r->route == NULL ? "none" : r->route->path);
    struct http_ref ref = r->ref;
    request_free(s, r);
    http_reply(s->http, ref, reply);
}

void
answer_text(struct shell *s, struct request *r, int status, const char *type, const char *text,
            size_t length)
{
    struct http_reply reply = {
        .status = status, .content_type = type, .body = text, .length = length};
    answer_send(s, r, &reply);
}

/*
 * Sending an answer may at once begin the next request of a pipeline, which writes the next text:
 * the text is therefore taken out of the shared buffer for the time of the call.
 */
void
answer_json(struct shell *s, struct request *r, int status, const struct bytes *body)
{
    answer_text(s, r, status, NULL, (const char *)body->data, body->length);
}

void
answer_body(struct shell *s, struct request *r, int status, const struct msg_layout *l,
            const void *body)
{
    struct bytes text = s->text;
    s->text = (struct bytes){0};
    bytes_clear(&text);
    json_write_body(&text, l, body);
    answer_json(s, r, status, &text);
    bytes_free(&s->text);
    s->text = text;
}

/* The sentence of OUTCOME_UNKNOWN is about orders. Whatever has no client order id sets something,
 * or ends it, and may be done twice. */
static struct refused
refusal_of(const struct request *r, const struct refused *why)
{
    struct refused w = *why;
    bool is_of_user = r->route != NULL && r->route->who != WHO_PUBLIC;
    if (w.error == ERR_OUTCOME_UNKNOWN && is_of_user && r->client_order_id.text[0] == 0 &&
        w.detail.text[0] == 0)
        w.detail = text_of("it may be done already; sending the same again does no harm");
    return w;
}

void
answer_refused(struct shell *s, struct request *r, const struct refused *why)
{
    struct bytes text = s->text;
    int status = err_http(why->error);
    bool may_retry = status == 503 || status == 429;
    s->text = (struct bytes){0};
    bytes_clear(&text);
    const struct refused told = refusal_of(r, why);
    refusal_write(&text, &told, r->corr, &r->client_order_id);
    if (status >= 500)
        log_corr(status == 500 ? LOG_WARN : LOG_DEBUG, r->corr, "request_failed",
                 "error=%s path=%s", err_name(why->error), r->route == NULL ? "" : r->route->path);
    struct http_reply reply = {.status = status,
                               .body = (const char *)text.data,
                               .length = text.length,
                               .retry_after_seconds = may_retry ? retry_after(why) : 0,
                               .allow = r->allow[0] == 0 ? NULL : r->allow,
                               .authenticate = status == 401};
    answer_send(s, r, &reply);
    bytes_free(&s->text);
    s->text = text;
}

void
answer_error(struct shell *s, struct request *r, enum err e)
{
    struct refused why = {.error = e};
    answer_refused(s, r, &why);
}

void
answer_field(struct shell *s, struct request *r, enum err e, code_t field, text_t detail)
{
    struct refused why = {.error = e, .field = field, .detail = detail};
    answer_refused(s, r, &why);
}
