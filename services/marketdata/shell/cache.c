/*
 * cache.c - one HSET a symbol and kind, written as Redis reads it, over a redis_link.
 *
 * Each change of each symbol may end here, so nothing is allocated and
 * nothing formatted by printf: the commands are put together in one buffer, and what is the same
 * in each of them (the names of the fields) is written once, at the start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/cache.h"

#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "host/log.h"
#include "host/metrics.h"
#include "host/redis_link.h"

#define FIELDS_MAX    32u
#define NAME_BYTES    48 /* of a field, as Redis reads it */
#define KEY_BYTES     (16 + CODE_BYTES)
#define VALUE_BYTES   64 /* more than any, as Redis reads it */
#define COMMAND_BYTES (128u + KEY_BYTES + (FIELDS_MAX + 3) * (NAME_BYTES + VALUE_BYTES))
#define COMMANDS_MAX  4u /* of one symbol in one round: see cache_ready() */
#define IN_FLIGHT_MAX 4096u

struct name {
    char text[NAME_BYTES];
    size_t length;
};

/* A message or record as a hash: its fields, and what heads the command. */
struct form {
    const struct msg_layout *layout;
    char head[32]; /* "*N HSET" */
    size_t head_length;
    const char *key; /* before the symbol */
    struct name names[FIELDS_MAX];
};

struct cache {
    struct loop *loop;
    struct redis_link *link;
    uint32_t in_flight;
    struct form ticker, candle;
    struct name interval, symbol, written_us;
    char command[COMMAND_BYTES];
    struct metric *updates, *failures;
};

/* ---- Redis's protocol -------------------------------------------------------------------- */

static char *
put(char *at, const void *data, size_t length)
{
    memcpy(at, data, length);
    return at + length;
}

/* Digits of a number; returns how many. */
static size_t
digits_write(uint64_t value, char out[24])
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

/* $LENGTH TEXT, each on a line. */
static char *
put_text(char *at, const char *text, size_t length)
{
    *at++ = '$';
    if (length < 10)
        *at++ = (char)('0' + length);
    else
        at += digits_write(length, at);
    at = put(at, "\r\n", 2);
    at = put(at, text, length);
    return put(at, "\r\n", 2);
}

static char *
put_number(char *at, int64_t value)
{
    char text[32];
    size_t sign = value < 0;
    text[0] = '-';
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t length = sign + digits_write(magnitude, text + sign);
    return put_text(at, text, length);
}

static char *
put_word(char *at, const char *text)
{
    return put_text(at, text, strlen(text));
}

/* A field as text; amounts with eight decimals, as everywhere users see them. */
static char *
put_field(char *to, const struct msg_field *f, const void *body)
{
    const char *at = (const char *)body + f->offset;
    char decimal[DECIMAL_BYTES];
    int64_t i64;
    uint32_t u32;
    switch ((enum msg_kind)f->kind) {
    case KIND_CODE:
        return put_word(to, ((const code_t *)at)->text);
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        memcpy(&i64, at, sizeof(i64));
        return put_text(to, decimal, decimal_write(i64, decimal));
    case KIND_TIME:
    case KIND_I64:
    case KIND_U64:
    case KIND_ID:
        memcpy(&i64, at, sizeof(i64)); /* counts and ids stay far below 2^63 */
        return put_number(to, i64);
    case KIND_ENUM:
        memcpy(&u32, at, sizeof(u32));
        return put_word(to, msg_enum_name((enum msg_enum)f->enum_id, u32));
    case KIND_BOOL:
        return put_word(to, *(const bool *)at ? "true" : "false");
    default:
        return put_text(to, "", 0); /* neither hash has others */
    }
}

/* ---- Forms ------------------------------------------------------------------------------- */

static struct name
name_of(const char *text)
{
    struct name n;
    CHECK(strlen(text) + 8 < NAME_BYTES);
    n.length = (size_t)(put_word(n.text, text) - n.text);
    return n;
}

static void
form_init(struct form *f, const struct msg_layout *layout, const char *key, uint32_t further)
{
    CHECK(layout->field_count <= FIELDS_MAX);
    f->layout = layout;
    f->key = key;
    char *at = f->head;
    *at++ = '*';
    at += digits_write(2 + 2 * (layout->field_count + further), at);
    at = put(at, "\r\n", 2);
    at = put_word(at, "HSET");
    f->head_length = (size_t)(at - f->head);
    for (uint32_t i = 0; i < layout->field_count; i++)
        f->names[i] = name_of(layout->fields[i].name);
}

/* HSET KEY:SYMBOL and all fields of the body. */
static char *
form_write(const struct form *f, char *at, code_t symbol, const void *body)
{
    char key[KEY_BYTES];
    size_t prefix = strlen(f->key), length = strlen(symbol.text);
    memcpy(key, f->key, prefix);
    memcpy(key + prefix, symbol.text, length);
    at = put(at, f->head, f->head_length);
    at = put_text(at, key, prefix + length);
    for (uint32_t i = 0; i < f->layout->field_count; i++) {
        at = put(at, f->names[i].text, f->names[i].length);
        at = put_field(at, &f->layout->fields[i], body);
    }
    return at;
}

/* ---- Sending ----------------------------------------------------------------------------- */

static void
on_reply(void *arg, const struct redisReply *reply)
{
    struct cache *c = arg;
    c->in_flight--;
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        metric_add(c->failures, 1);
    else
        metric_add(c->updates, 1);
}

static void
command_send(struct cache *c, const char *end)
{
    size_t length = (size_t)(end - c->command);
    CHECK(length <= sizeof(c->command));
    if (redis_link_send_packed(c->link, c->command, length, on_reply, c))
        c->in_flight++;
    else
        metric_add(c->failures, 1);
}

void
cache_put(struct cache *c, const struct md_ticker *t)
{
    struct md_ticker now = *t;
    now.written_us = loop_now_us(c->loop);
    command_send(c, form_write(&c->ticker, c->command, t->symbol, &now));
}

void
cache_candle(struct cache *c, code_t symbol, enum interval interval, const struct candle *k)
{
    char *at = form_write(&c->candle, c->command, symbol, k);
    at = put(at, c->symbol.text, c->symbol.length);
    at = put_word(at, symbol.text);
    at = put(at, c->interval.text, c->interval.length);
    at = put_word(at, msg_enum_name(MSG_ENUM_interval, interval));
    at = put(at, c->written_us.text, c->written_us.length);
    at = put_number(at, loop_now_us(c->loop));
    command_send(c, at);
}

static void
words_send(struct cache *c, uint32_t count, const char *const *words)
{
    char *at = c->command;
    *at++ = '*';
    at += digits_write(count, at);
    at = put(at, "\r\n", 2);
    for (uint32_t i = 0; i < count; i++)
        at = put_word(at, words[i]);
    command_send(c, at);
}

void
cache_symbol(struct cache *c, code_t symbol)
{
    words_send(c, 3, (const char *const[]){"SADD", "scrip:symbols", symbol.text});
}

void
cache_remove(struct cache *c, code_t symbol)
{
    char ticker[KEY_BYTES], candle[KEY_BYTES];
    size_t length = strlen(symbol.text) + 1;
    memcpy(put(ticker, c->ticker.key, strlen(c->ticker.key)), symbol.text, length);
    memcpy(put(candle, c->candle.key, strlen(c->candle.key)), symbol.text, length);
    words_send(c, 3, (const char *const[]){"SREM", "scrip:symbols", symbol.text});
    words_send(c, 3, (const char *const[]){"DEL", ticker, candle});
}

bool
cache_ready(const struct cache *c)
{
    return redis_link_is_up(c->link) && c->in_flight < IN_FLIGHT_MAX;
}

/* ---- Life -------------------------------------------------------------------------------- */

struct cache *
cache_open(struct loop *l, const char *address, void (*on_up)(void *arg), void *arg)
{
    struct cache *c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    c->loop = l;
    form_init(&c->ticker, msg_layout(MSG_md_ticker), "scrip:ticker:", 0);
    form_init(&c->candle, msg_record_at(MSG_RECORD_candle), "scrip:candle:", 3);
    c->symbol = name_of("symbol");
    c->interval = name_of("interval");
    c->written_us = name_of("written_us");
    c->updates =
        metric_counter("scrip_marketdata_cache_updates_total", "", "Tickers that Redis confirmed.");
    c->failures = metric_counter("scrip_marketdata_cache_failures_total", "",
                                 "Commands that Redis refused or did not answer.");
    c->link =
        redis_link_open(&(struct redis_link_options){.loop = l,
                                                     .address = address,
                                                     .label = "cache",
                                                     .in_flight_max = IN_FLIGHT_MAX + COMMANDS_MAX,
                                                     .arg = arg,
                                                     .on_up = on_up});
    if (c->link == NULL) {
        free(c);
        return NULL;
    }
    return c;
}

void
cache_close(struct cache **cache)
{
    struct cache *c = *cache;
    if (c == NULL)
        return;
    *cache = NULL;
    redis_link_close(&c->link);
    free(c);
}
