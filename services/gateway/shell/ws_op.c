/*
 * ws_op.c - the language of the stream: operations from clients, and their answers.
 *
 *   {"op":"auth","token":...}  {"op":"subscribe","channel":"orders"}  {"op":"resume","after":17}
 *   {"op":"subscribe","channel":"candles","symbols":[...],"interval":"1m"}   channels: ws_market.c
 *   {"op":"subscribe","channel":"depth","symbols":[...],"levels":20}
 *   {"op":"unsubscribe",...}   {"op":"ping"}          each answered with ok or an error
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

#define OP_BYTES       16
#define LEVELS_DEFAULT 100

/* ---- Writing ----------------------------------------------------------------------------- */

static void
add_text(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

void
ws_say_ok(struct ws_conn *c, const char *op, const char *more)
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

void
ws_say_refused(struct ws_conn *c, const char *op, const struct refused *why)
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

void
ws_say_error(struct ws_conn *c, const char *op, enum err e, const char *field, const char *detail)
{
    struct refused why = {.error = e, .detail = text_of("%s", detail)};
    memcpy(why.field.text, field, strnlen(field, CODE_BYTES - 1));
    ws_say_refused(c, op, &why);
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
        ws_say_error(c, "auth", e, "token", "");
        return;
    }
    if (c->is_signed_in && who.account_id != c->who.account_id) {
        ws_say_error(c, "auth", ERR_FORBIDDEN, "token",
                     "this connection belongs to another account");
        return;
    }
    c->is_signed_in = true;
    c->who = who;
    char more[128];
    snprintf(more, sizeof more,
             ",\"user_id\":%" PRIu64 ",\"account_id\":%" PRIu64 ",\"expires_us\":%" PRId64,
             who.user_id, who.account_id, who.expires_us);
    ws_say_ok(c, "auth", more);
}

static void
op_resume(struct ws_conn *c, struct json_object *message)
{
    struct json_object *after;
    if (!json_object_object_get_ex(message, "after", &after) ||
        !json_object_is_type(after, json_type_int) || json_object_get_int64(after) < 0) {
        ws_say_error(c, "resume", ERR_FIELD_MISSING, "after", "the last sequence that was seen");
        return;
    }
    ws_account_follow(c, "resume", false, (uint64_t)json_object_get_int64(after));
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

/* What a subscription names beside its symbols. */
struct following {
    const char *channel, *interval;
    char key;
    uint32_t levels;
    struct json_object *symbols;
};

/* What is wrong with a message, and with which field of it. */
struct wrong {
    enum err error;
    const char *field;
    text_t detail;
};

static bool
wrong_is(struct wrong *w, enum err e, const char *field, const char *detail)
{
    *w = (struct wrong){.error = e, .field = field, .detail = text_of("%s", detail)};
    return false;
}

static bool
levels_read(struct json_object *message, struct following *f, struct wrong *w)
{
    struct json_object *levels;
    f->levels = LEVELS_DEFAULT;
    if (!json_object_object_get_ex(message, "levels", &levels))
        return true;
    if (f->key != 'd')
        return wrong_is(w, ERR_FIELD_UNKNOWN, "levels", "only of the channel depth");
    if (!json_object_is_type(levels, json_type_int))
        return wrong_is(w, ERR_FIELD_TYPE, "levels", "1 to 5000");
    int64_t count = json_object_get_int64(levels);
    if (count < 1 || count > DEPTH_LEVELS_MAX)
        return wrong_is(w, ERR_NUMBER_RANGE, "levels", "1 to 5000");
    f->levels = (uint32_t)count;
    return true;
}

static bool
following_read(struct json_object *message, struct following *f, struct wrong *w)
{
    *f = (struct following){.channel = text_member(message, "channel"),
                            .interval = text_member(message, "interval")};
    f->key = ws_channel_key(f->channel);
    if (f->key == 0)
        return wrong_is(w, f->channel[0] == 0 ? ERR_FIELD_MISSING : ERR_CHOICE_UNKNOWN, "channel",
                        "orders, " WS_CHANNELS);
    if (f->key == 'c' && msg_enum_by_name(MSG_ENUM_interval, f->interval) == 0)
        return wrong_is(w, f->interval[0] == 0 ? ERR_FIELD_MISSING : ERR_CHOICE_UNKNOWN, "interval",
                        "1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M");
    if (!levels_read(message, f, w))
        return false;
    if (!json_object_object_get_ex(message, "symbols", &f->symbols))
        return wrong_is(w, ERR_FIELD_MISSING, "symbols", "a list of symbols");
    if (!json_object_is_type(f->symbols, json_type_array))
        return wrong_is(w, ERR_FIELD_TYPE, "symbols", "a list of symbols");
    if (json_object_array_length(f->symbols) == 0)
        return wrong_is(w, ERR_FIELD_MISSING, "symbols", "a list of symbols");
    return true;
}

/* Does it for each symbol; the first refusal is the answer, what came before it stands. */
static bool
market_follow(struct ws_conn *c, const struct following *f, bool is_add, struct wrong *w)
{
    for (size_t i = 0; i < json_object_array_length(f->symbols); i++) {
        struct json_object *item = json_object_array_get_idx(f->symbols, i);
        char topic[STREAM_TOPIC_BYTES];
        if (!json_object_is_type(item, json_type_string))
            return wrong_is(w, ERR_FIELD_TYPE, "symbols", "a list of symbols");
        const char *symbol = json_object_get_string(item);
        if (!symbol_valid(symbol) || (is_add && !symbols_known(c->ws->shell, symbol)))
            return wrong_is(w, ERR_SYMBOL_UNKNOWN, "symbols", symbol);
        if (f->key == 'c')
            snprintf(topic, sizeof topic, "c.%s.%s.", symbol, f->interval);
        else
            snprintf(topic, sizeof topic, "%c.%s.", f->key, symbol);
        enum err e = OK;
        if (is_add)
            e = ws_topic_add(c, topic, f->levels);
        else
            ws_topic_remove(c, topic);
        if (e != OK)
            return wrong_is(w, e, "symbols", symbol);
    }
    return true;
}

static void
op_subscribe(struct ws_conn *c, struct json_object *message, const char *op, bool is_add)
{
    struct following f;
    struct wrong w;
    if (strcmp(text_member(message, "channel"), "orders") == 0 && is_add) {
        ws_account_follow(c, op, true, 0);
        return;
    }
    if (strcmp(text_member(message, "channel"), "orders") == 0) {
        ws_account_unfollow(c);
        ws_say_ok(c, op, ",\"channel\":\"orders\"");
        return;
    }
    if (!following_read(message, &f, &w) || !market_follow(c, &f, is_add, &w)) {
        ws_say_error(c, op, w.error, w.field, w.detail.text);
        return;
    }
    char more[64];
    snprintf(more, sizeof more, ",\"channel\":\"%s\"", f.channel);
    ws_say_ok(c, op, more);
}

static void
op_ping(struct ws_conn *c)
{
    char more[48];
    snprintf(more, sizeof more, ",\"time_us\":%" PRId64, loop_now_us(c->ws->shell->loop));
    ws_say_ok(c, "ping", more);
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
        ws_say_error(c, op, ERR_STREAM_MESSAGE_INVALID, "op",
                     "operations: auth, subscribe, unsubscribe, resume, ping");
}

void
ws_op(struct ws_conn *c, const char *text, size_t length)
{
    struct json_object *message = json_parse(text, length, 3), *id;
    char op[OP_BYTES];
    c->id[0] = 0;
    if (message == NULL || !json_object_is_type(message, json_type_object)) {
        ws_say_error(c, "", ERR_STREAM_MESSAGE_INVALID, "", "a message is one JSON object");
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
