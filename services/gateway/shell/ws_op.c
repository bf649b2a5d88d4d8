/*
 * ws_op.c - the language of the stream: operations from clients, events to them.
 *
 *   {"op":"auth","token":...}  {"op":"subscribe","channel":"orders"}  {"op":"resume","after":17}
 *   {"op":"subscribe","channel":"ticks"|"trades"|"candles","symbols":[...],"interval":"1m"}
 *   {"op":"unsubscribe",...}   {"op":"ping"}          each answered with ok or an error
 *
 * Account events are numbered; a gap on the way here is healed by asking the ledger, so a client
 * sees every number once and in order, or a snapshot that stands in for what is too old.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/shell/ws_conn.h"
#include "wire/json.h"

#define FIRST_LOOK_US 400000   /* a subscription takes a moment to reach the publisher */
#define LOOK_US       10000000 /* and the last event before a silence may get lost */
#define ASK_AGAIN_US  1000000
#define OP_BYTES      16

/* ---- Writing ----------------------------------------------------------------------------- */

static void
add_text(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

static void
say_ok(struct ws_conn *c, const char *op, const char *more)
{
    struct bytes *out = &c->ws->text;
    bytes_clear(out);
    add_text(out, "{\"op\":");
    json_write_text(out, op);
    add_text(out, ",\"ok\":true");
    if (c->id[0] != 0) {
        add_text(out, ",\"id\":");
        add_text(out, c->id);
    }
    add_text(out, more);
    add_text(out, "}");
    ws_send_text(c, out);
}

static void
say_refused(struct ws_conn *c, const char *op, const struct refused *why)
{
    struct bytes *out = &c->ws->text;
    bytes_clear(out);
    error_write(out, why, corr_new(c->ws->shell), NULL);
    CHECK(out->length > 1);
    out->length--; /* the closing brace: the operation stands beside the error */
    add_text(out, ",\"op\":");
    json_write_text(out, op);
    if (c->id[0] != 0) {
        add_text(out, ",\"id\":");
        add_text(out, c->id);
    }
    add_text(out, "}");
    ws_send_text(c, out);
}

static void
say_error(struct ws_conn *c, const char *op, enum err e, const char *field, const char *detail)
{
    struct refused why = {.error = e, .detail = text_of("%s", detail)};
    memcpy(why.field.text, field, strnlen(field, CODE_BYTES - 1));
    say_refused(c, op, &why);
}

/* ---- Topics ------------------------------------------------------------------------------ */

static struct bus *
topic_bus(struct ws *w, const char *topic)
{
    if (topic[0] != 'a')
        return w->shell->market;
    return w->shell->events[call_ledger_of(w->shell, strtoull(topic + 1, NULL, 10))];
}

static enum err
topic_add(struct ws_conn *c, const char *topic)
{
    bool is_first;
    enum err e = stream_add(&c->ws->stream, c->index, topic, &is_first);
    if (e == OK && is_first)
        bus_follow(topic_bus(c->ws, topic), topic);
    return e;
}

static void
topic_remove(struct ws_conn *c, const char *topic)
{
    bool was_last;
    if (stream_remove(&c->ws->stream, c->index, topic, &was_last) && was_last)
        bus_unfollow(topic_bus(c->ws, topic), topic);
}

void
ws_forget(struct ws_conn *c)
{
    char topic[STREAM_TOPIC_BYTES];
    bool was_last;
    while (stream_pop(&c->ws->stream, c->index, topic, &was_last))
        if (was_last)
            bus_unfollow(topic_bus(c->ws, topic), topic);
    gw_forget(&c->ws->shell->gw, c->question_corr);
    c->question_corr = 0;
    c->question = WS_ASK_NONE;
    c->cursor = (struct cursor){0};
    c->ask_at_us = 0;
}

static void
account_topic(const struct ws_conn *c, char out[STREAM_TOPIC_BYTES])
{
    snprintf(out, STREAM_TOPIC_BYTES, "a%" PRIu64 ".", c->who.account_id);
}

/* ---- Asking the ledger ------------------------------------------------------------------- */

/* Asks for what the cursor misses, or (from_now) only where the account is. */
static enum err
question_ask(struct ws_conn *c, enum ws_question question, bool from_now)
{
    struct shell *s = c->ws->shell;
    uint64_t owner = WS_OWNER | (uint64_t)c->generation << 32 | c->index;
    uint32_t server = call_ledger_of(s, c->who.account_id);
    uint64_t corr = corr_new(s);
    struct event_resume resume = {.account_id = c->who.account_id, .after = c->cursor.last};
    struct account_get get = {.account_id = c->who.account_id};
    gw_forget(&s->gw, c->question_corr);
    enum err e = from_now ? call_send(s, server, MSG_account_get, corr, owner, false, &get)
                          : call_send(s, server, MSG_event_resume, corr, owner, false, &resume);
    c->question = e == OK ? question : WS_ASK_NONE;
    c->question_corr = e == OK ? corr : 0;
    c->ask_at_us = e == OK ? 0 : loop_steady_us(s->loop) + ASK_AGAIN_US;
    return e;
}

static void
heal(struct ws_conn *c)
{
    enum err e = question_ask(c, WS_ASK_HEAL, false);
    (void)e; /* refused: ask_at_us is set, and the timer asks again */
}

/* The answer is whole: all up to `sequence` was delivered. */
static void
resumed(struct ws_conn *c, uint64_t sequence)
{
    struct ws *w = c->ws;
    c->question = WS_ASK_NONE;
    c->question_corr = 0;
    w->resuming_corr = 0;
    if (cursor_resumed(&c->cursor, sequence)) {
        heal(c);
        return;
    }
    bool is_early = c->ask_at_us == 0 && !c->has_looked;
    c->has_looked = true;
    c->ask_at_us = loop_steady_us(w->shell->loop) + (is_early ? FIRST_LOOK_US : LOOK_US);
}

static void
question_failed(struct ws_conn *c, enum ws_question question, enum err e)
{
    char topic[STREAM_TOPIC_BYTES];
    c->question_corr = 0;
    c->question = WS_ASK_NONE;
    if (question == WS_ASK_HEAL) {
        c->ask_at_us = loop_steady_us(c->ws->shell->loop) + ASK_AGAIN_US;
        return;
    }
    account_topic(c, topic);
    topic_remove(c, topic);
    c->cursor = (struct cursor){0};
    memcpy(c->id, c->question_id, sizeof c->id);
    struct refused why = {.error = e, .retry_after_seconds = 1};
    say_refused(c, question == WS_ASK_RESUME ? "resume" : "subscribe", &why);
    c->id[0] = 0;
}

static void
say_sequence(struct ws_conn *c, enum ws_question question, uint64_t sequence, bool is_snapshot)
{
    char more[128];
    memcpy(c->id, c->question_id, sizeof c->id);
    snprintf(more, sizeof more, ",\"channel\":\"orders\",\"sequence\":%" PRIu64 "%s", sequence,
             is_snapshot ? ",\"is_snapshot\":true" : "");
    if (question != WS_ASK_HEAL)
        say_ok(c, question == WS_ASK_RESUME ? "resume" : "subscribe", more);
    c->id[0] = 0;
}

static void
on_resumed(struct ws_conn *c, enum ws_question question, const struct event_resumed *m,
           uint64_t corr)
{
    say_sequence(c, question, m->sequence, m->is_snapshot);
    if (m->is_snapshot) {
        struct bytes *out = &c->ws->text;
        char head[64];
        bytes_clear(out);
        snprintf(head, sizeof head,
                 "{\"event\":\"snapshot\",\"sequence\":%" PRIu64 ",\"data\":", m->sequence);
        add_text(out, head);
        json_write_body(out, msg_layout(MSG_event_resumed), m);
        add_text(out, "}");
        ws_send_text(c, out);
    }
    if (m->is_snapshot || m->events == 0) {
        resumed(c, m->sequence);
        return;
    }
    c->resume_left = m->events;
    c->resume_sequence = m->sequence;
    c->ws->resuming_corr = corr;
    c->ws->resuming_conn = c->index;
}

void
ws_answer(struct ws *w, uint64_t owner, const struct msg *m, enum err e)
{
    uint32_t index = (uint32_t)owner;
    if (index >= w->conns_max)
        return;
    struct ws_conn *c = &w->conns[index];
    if (c->wsi == NULL || c->generation != (owner >> 32 & INT32_MAX) || c->close_code != 0)
        return;
    enum ws_question question = c->question;
    if (m == NULL)
        question_failed(c, question, e);
    else if (m->type == MSG_refused)
        question_failed(c, question, m->refused.error);
    else if (m->type == MSG_event_resumed)
        on_resumed(c, question, &m->event_resumed, m->corr);
    else if (m->type == MSG_account_view) {
        say_sequence(c, question, m->account_view.event_sequence, false);
        resumed(c, m->account_view.event_sequence);
    } else
        question_failed(c, question, ERR_INTERNAL);
}

void
ws_op_tick(struct ws_conn *c)
{
    struct shell *s = c->ws->shell;
    bool has_ended = tokens_session_ended(s->tokens, c->who.session_id);
    if (c->is_signed_in && (has_ended || c->who.expires_us <= loop_now_us(s->loop))) {
        ws_cut(c, WS_TOKEN_EXPIRED, err_name(has_ended ? ERR_TOKEN_INVALID : ERR_TOKEN_EXPIRED));
        return;
    }
    if (c->ask_at_us == 0 || c->ask_at_us > loop_steady_us(s->loop) || c->question != WS_ASK_NONE)
        return;
    if (c->cursor.is_asking || cursor_recheck(&c->cursor))
        heal(c);
}

/* ---- Events ------------------------------------------------------------------------------ */

/* An account event's number and text; NULL for other messages. What happened to what is in its one
 * record, which names it. */
static struct note *
event_note(struct ws *w, const struct msg *m, uint64_t *sequence)
{
    const struct msg_layout *l = msg_layout(m->type);
    if (strncmp(l->name, "event_", 6) != 0)
        return NULL;
    const struct msg_field *number = msg_field_by_name(l, "sequence");
    const struct msg_field *part = msg_field_by_tag(l, 3);
    if (number == NULL || part == NULL || part->kind != KIND_RECORD)
        return NULL;
    struct bytes *out = &w->text;
    const uint8_t *body = msg_body_const(m);
    char head[80];
    memcpy(sequence, body + number->offset, sizeof *sequence);
    bytes_clear(out);
    snprintf(head, sizeof head,
             "{\"event\":\"%s\",\"sequence\":%" PRIu64 ",\"data\":", part->items->name, *sequence);
    add_text(out, head);
    json_write_body(out, part->items, body + part->offset);
    add_text(out, "}");
    return note_new((const char *)out->data, out->length);
}

bool
ws_takes_event(struct ws *w, uint32_t server, const struct msg *m)
{
    (void)server;
    uint64_t sequence;
    struct note *n = event_note(w, m, &sequence);
    if (n == NULL)
        return false;
    struct ws_conn *c = &w->conns[w->resuming_conn];
    if (w->resuming_corr != 0 && w->resuming_corr == m->corr && c->question_corr == m->corr) {
        if (cursor_resent(&c->cursor, sequence) == CURSOR_DELIVER)
            ws_send(c, n);
        if (c->close_code == 0 && --c->resume_left == 0)
            resumed(c, c->resume_sequence);
    }
    note_drop(n);
    return true;
}

void
ws_account_event(struct ws *w, const char *topic, const struct msg *m)
{
    uint32_t sub = stream_first(&w->stream, topic);
    uint64_t sequence;
    struct note *n = sub == STREAM_NONE ? NULL : event_note(w, m, &sequence);
    if (n == NULL)
        return;
    for (uint32_t next; sub != STREAM_NONE; sub = next) {
        struct ws_conn *c = &w->conns[stream_conn(&w->stream, sub)];
        next = stream_next(&w->stream, sub); /* a client that is cut off leaves the list */
        if (!c->cursor.has_started)
            continue;
        switch (cursor_event(&c->cursor, sequence)) {
        case CURSOR_DELIVER:
            ws_send(c, n);
            break;
        case CURSOR_ASK:
            metric_add(w->gaps, 1);
            heal(c);
            break;
        case CURSOR_DROP:
            break;
        }
    }
    note_drop(n);
}

void
ws_market_event(struct ws *w, const char *topic, const struct msg *m)
{
    uint32_t sub = stream_first(&w->stream, topic);
    bool is_public = (topic[0] == 'p' && m->type == MSG_md_price) ||
                     (topic[0] == 't' && m->type == MSG_md_trade) ||
                     (topic[0] == 'c' && m->type == MSG_md_candle);
    if (sub == STREAM_NONE || !is_public)
        return;
    struct bytes *out = &w->text;
    bytes_clear(out);
    add_text(out, topic[0] == 'p'   ? "{\"event\":\"ticks\",\"data\":"
                  : topic[0] == 't' ? "{\"event\":\"trades\",\"data\":"
                                    : "{\"event\":\"candles\",\"data\":");
    json_write_body(out, msg_layout(m->type), &m->frame);
    add_text(out, "}");
    struct note *n = note_new((const char *)out->data, out->length);
    for (uint32_t next; sub != STREAM_NONE; sub = next) {
        next = stream_next(&w->stream, sub);
        ws_send(&w->conns[stream_conn(&w->stream, sub)], n);
    }
    note_drop(n);
}

/* ---- Operations -------------------------------------------------------------------------- */

static const char *
text_member(struct json_object *message, const char *name)
{
    struct json_object *value;
    if (!json_object_object_get_ex(message, name, &value) ||
        !json_object_is_type(value, json_type_string))
        return "";
    return json_object_get_string(value);
}

static void
op_auth(struct ws_conn *c, struct json_object *message)
{
    const char *token = text_member(message, "token");
    struct token_holder who = {0};
    struct shell *s = c->ws->shell;
    enum err e = token[0] == 0
                     ? ERR_TOKEN_MISSING
                     : tokens_verify(s->tokens, token, strlen(token), loop_now_us(s->loop), &who);
    if (e != OK) {
        say_error(c, "auth", e, "token", "");
        return;
    }
    if (c->is_signed_in && who.account_id != c->who.account_id) {
        say_error(c, "auth", ERR_FORBIDDEN, "token", "this connection belongs to another account");
        return;
    }
    c->is_signed_in = true;
    c->who = who;
    char more[128];
    snprintf(more, sizeof more,
             ",\"user_id\":%" PRIu64 ",\"account_id\":%" PRIu64 ",\"expires_us\":%" PRId64,
             who.user_id, who.account_id, who.expires_us);
    say_ok(c, "auth", more);
}

/* Follows the account's events, after a number or from now on. */
static void
account_follow(struct ws_conn *c, const char *op, bool from_now, uint64_t after)
{
    char topic[STREAM_TOPIC_BYTES];
    if (!c->is_signed_in) {
        say_error(c, op, ERR_TOKEN_MISSING, "", "send {\"op\":\"auth\",\"token\":...} first");
        return;
    }
    account_topic(c, topic);
    enum err e = topic_add(c, topic);
    if (e != OK) {
        say_error(c, op, e, "", "");
        return;
    }
    cursor_start(&c->cursor, after);
    c->has_looked = false;
    c->ask_at_us = 0;
    memcpy(c->question_id, c->id, sizeof c->question_id); /* others may come before the answer */
    enum ws_question question = from_now ? WS_ASK_SUBSCRIBE : WS_ASK_RESUME;
    e = question_ask(c, question, from_now);
    if (e != OK) {
        c->ask_at_us = 0;
        question_failed(c, question, e);
    }
}

static void
op_resume(struct ws_conn *c, struct json_object *message)
{
    struct json_object *after;
    if (!json_object_object_get_ex(message, "after", &after) ||
        !json_object_is_type(after, json_type_int) || json_object_get_int64(after) < 0) {
        say_error(c, "resume", ERR_FIELD_MISSING, "after", "the last sequence that was seen");
        return;
    }
    account_follow(c, "resume", false, (uint64_t)json_object_get_int64(after));
}

static bool
symbol_valid(const char *symbol)
{
    size_t length = strlen(symbol);
    for (const char *c = symbol; *c != 0; c++)
        if (!((*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '-'))
            return false;
    return length > 0 && length <= 23;
}

/* A market topic from a channel and a symbol; false when there is no such channel. */
static bool
market_topic(const char *channel, const char *symbol, const char *interval,
             char out[STREAM_TOPIC_BYTES])
{
    int length = 0;
    if (strcmp(channel, "ticks") == 0)
        length = snprintf(out, STREAM_TOPIC_BYTES, "p.%s.", symbol);
    else if (strcmp(channel, "trades") == 0)
        length = snprintf(out, STREAM_TOPIC_BYTES, "t.%s.", symbol);
    else if (strcmp(channel, "candles") == 0)
        length = snprintf(out, STREAM_TOPIC_BYTES, "c.%s.%s.", symbol, interval);
    return length > 0 && length < STREAM_TOPIC_BYTES;
}

/* Does it for each symbol; the first refusal is the answer, what came before it stands. */
static enum err
market_follow(struct ws_conn *c, struct json_object *message, bool is_add, const char **field)
{
    const char *channel = text_member(message, "channel");
    const char *interval = text_member(message, "interval");
    struct json_object *symbols;
    char topic[STREAM_TOPIC_BYTES];
    *field = "channel";
    if (!market_topic(channel, "X", "1m", topic))
        return ERR_CHOICE_UNKNOWN;
    *field = "interval";
    if (channel[0] == 'c' && msg_enum_by_name(MSG_ENUM_interval, interval) == 0)
        return interval[0] == 0 ? ERR_FIELD_MISSING : ERR_CHOICE_UNKNOWN;
    *field = "symbols";
    if (!json_object_object_get_ex(message, "symbols", &symbols) ||
        !json_object_is_type(symbols, json_type_array) || json_object_array_length(symbols) == 0)
        return ERR_FIELD_MISSING;
    for (size_t i = 0; i < json_object_array_length(symbols); i++) {
        struct json_object *item = json_object_array_get_idx(symbols, i);
        if (!json_object_is_type(item, json_type_string))
            return ERR_FIELD_TYPE;
        const char *symbol = json_object_get_string(item);
        if (!symbol_valid(symbol) || !symbols_known(c->ws->shell, symbol) ||
            !market_topic(channel, symbol, interval, topic))
            return ERR_SYMBOL_UNKNOWN;
        enum err e = OK;
        if (is_add)
            e = topic_add(c, topic);
        else
            topic_remove(c, topic);
        if (e != OK)
            return e;
    }
    return OK;
}

static void
op_subscribe(struct ws_conn *c, struct json_object *message, const char *op, bool is_add)
{
    const char *channel = text_member(message, "channel"), *field;
    if (strcmp(channel, "orders") == 0 && is_add) {
        account_follow(c, op, true, 0);
        return;
    }
    if (strcmp(channel, "orders") == 0) {
        char topic[STREAM_TOPIC_BYTES];
        account_topic(c, topic);
        topic_remove(c, topic);
        c->cursor = (struct cursor){0};
        c->ask_at_us = 0;
        say_ok(c, op, ",\"channel\":\"orders\"");
        return;
    }
    enum err e = market_follow(c, message, is_add, &field);
    if (e != OK) {
        bool is_channel = strcmp(field, "channel") == 0;
        say_error(c, op, e, field, is_channel ? "orders, ticks, trades or candles" : "");
        return;
    }
    char more[64];
    snprintf(more, sizeof more, ",\"channel\":\"%s\"", channel);
    say_ok(c, op, more);
}

static void
op_ping(struct ws_conn *c)
{
    char more[48];
    snprintf(more, sizeof more, ",\"time_us\":%" PRId64, loop_now_us(c->ws->shell->loop));
    say_ok(c, "ping", more);
}

static void
op_dispatch(struct ws_conn *c, struct json_object *message, const char *op)
{
    if (strcmp(op, "auth") == 0)
        op_auth(c, message);
    else if (strcmp(op, "subscribe") == 0)
        op_subscribe(c, message, op, true);
    else if (strcmp(op, "unsubscribe") == 0)
        op_subscribe(c, message, op, false);
    else if (strcmp(op, "resume") == 0)
        op_resume(c, message);
    else if (strcmp(op, "ping") == 0)
        op_ping(c);
    else
        say_error(c, op, ERR_STREAM_MESSAGE_INVALID, "op",
                  "operations: auth, subscribe, unsubscribe, resume, ping");
}

void
ws_op(struct ws_conn *c, const char *text, size_t length)
{
    struct json_object *message = json_parse(text, length, 3), *id;
    char op[OP_BYTES];
    c->id[0] = 0;
    if (message == NULL || !json_object_is_type(message, json_type_object)) {
        say_error(c, "", ERR_STREAM_MESSAGE_INVALID, "", "a message is one JSON object");
        json_object_put(message);
        return;
    }
    snprintf(op, sizeof op, "%s", text_member(message, "op"));
    if (json_object_object_get_ex(message, "id", &id) &&
        (json_object_is_type(id, json_type_int) || json_object_is_type(id, json_type_string)))
        snprintf(c->id, sizeof c->id, "%s", json_object_to_json_string(id));
    if (strlen(c->id) == sizeof c->id - 1)
        c->id[0] = 0; /* cut: not JSON any more */
    op_dispatch(c, message, op);
    c->id[0] = 0;
    json_object_put(message);
}
