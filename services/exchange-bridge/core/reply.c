/*
 * reply.c - errors, the time, limits and leverage brackets; see reply.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/reply.h"

#include <string.h>

#include "exchange-bridge/core/reply_read.h"

bool
reply_error(const char *json, size_t length, int64_t *code, char message[128])
{
    struct slice number, text;
    const struct member list[] = {{"code", &number}, {"msg", &text}};
    int64_t value;
    if (!text_members(json, length, MEMBERS(list)) || !read_i64(number, &value) || value >= 0)
        return false;
    *code = value;
    read_sentence(text, message);
    return true;
}

bool
reply_server_time(const char *json, size_t length, int64_t *time_us)
{
    struct slice time;
    const struct member list[] = {{"serverTime", &time}};
    return text_members(json, length, MEMBERS(list)) && read_time(time, time_us);
}

bool
reply_listen_key(const char *json, size_t length, char out[REPLY_LISTEN_KEY_BYTES])
{
    struct slice key;
    const struct member list[] = {{"listenKey", &key}};
    if (!text_members(json, length, MEMBERS(list)) || key.kind != 's' || key.length == 0 ||
        key.length >= REPLY_LISTEN_KEY_BYTES)
        return false;
    /* It becomes a part of a URL. */
    for (size_t i = 0; i < key.length; i++) {
        char c = key.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '-' || c == '_'))
            return false;
    }
    memset(out, 0, REPLY_LISTEN_KEY_BYTES);
    memcpy(out, key.at, key.length);
    return true;
}

/* ---- Limits ------------------------------------------------------------------------------- */

static bool
limit_read(struct slice object, struct reply_limits *out)
{
    struct slice type, interval, number, limit;
    const struct member list[] = {{"rateLimitType", &type},
                                  {"interval", &interval},
                                  {"intervalNum", &number},
                                  {"limit", &limit}};
    const struct {
        const char *type, *interval;
        uint32_t number;
        uint32_t *to;
    } known[] = {{"REQUEST_WEIGHT", "MINUTE", 1, &out->weight_1m},
                 {"ORDERS", "SECOND", 10, &out->orders_10s},
                 {"ORDERS", "MINUTE", 1, &out->orders_1m},
                 {"ORDERS", "DAY", 1, &out->orders_1d}};
    uint32_t count, most;
    if (!members_read(object, MEMBERS(list)) || !read_u32(number, &count) ||
        !read_u32(limit, &most))
        return false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (slice_is(type, known[i].type) && slice_is(interval, known[i].interval) &&
            count == known[i].number)
            *known[i].to = most;
    return true;
}

bool
reply_limits(const char *json, size_t length, struct reply_limits *out)
{
    struct slice limits, item;
    struct items it;
    const struct member list[] = {{"rateLimits", &limits}};
    *out = (struct reply_limits){0};
    if (!text_members(json, length, MEMBERS(list)) || !items_begin(&it, limits))
        return false;
    while (items_next(&it, &item))
        if (!limit_read(item, out))
            return false;
    return it.is_whole;
}

/* ---- Brackets ----------------------------------------------------------------------------- */

/* Digits with or without a point, without what is behind the exponent; `places` are behind the
 * point. */
static enum amount_kind
mantissa_read(const char *at, const char *end, int64_t *out, int64_t *places)
{
    enum amount_kind kind = at < end ? AMOUNT_FINE : AMOUNT_REFUSED;
    bool is_behind = false;
    *out = *places = 0;
    for (; at < end; at++) {
        if (*at == '.' && !is_behind) {
            is_behind = true;
            continue;
        }
        if (*at < '0' || *at > '9')
            return AMOUNT_REFUSED;
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *at - '0', out))
            kind = AMOUNT_TOO_LARGE;
        *places += is_behind;
    }
    return kind;
}

/* Brackets have JSON numbers, large and small ones perhaps with an exponent: 1.5E7, 4.0E-4. */
static enum amount_kind
number_read(struct slice s, int64_t *out)
{
    size_t e = 0;
    while (e < s.length && s.at[e] != 'e' && s.at[e] != 'E')
        e++;
    if (e == s.length)
        return s.length > 0 && s.at[0] == '-' ? AMOUNT_REFUSED : read_any_amount(s, out);
    struct slice power = {s.at + e + 1, s.length - e - 1, 'n'};
    if (power.length > 0 && power.at[0] == '+') {
        power.at++;
        power.length--;
    }
    int64_t shift, places;
    if (s.kind != 'n' || !read_i64(power, &shift) || shift < -30 || shift > 30)
        return AMOUNT_REFUSED;
    enum amount_kind kind = mantissa_read(s.at, s.at + e, out, &places);
    if (kind != AMOUNT_FINE)
        return kind;
    for (shift += 8 - places; shift > 0; shift--)
        if (__builtin_mul_overflow(*out, 10, out))
            return AMOUNT_TOO_LARGE;
    for (; shift < 0; shift++)
        *out /= 10;
    return AMOUNT_FINE;
}

static bool
amount_read(struct slice s, int64_t *out)
{
    return number_read(s, out) == AMOUNT_FINE;
}

/* The highest bracket's cap may be beyond all that is counted here: it has none then. */
static bool
cap_read(struct slice s, int64_t *out)
{
    enum amount_kind kind = number_read(s, out);
    if (kind == AMOUNT_TOO_LARGE)
        *out = INT64_MAX;
    return kind != AMOUNT_REFUSED;
}

static bool
bracket_read(struct slice object, struct bracket *out)
{
    struct slice number, leverage, cap, floor, rate, cumulative;
    const struct member list[] = {{"bracket", &number},        {"initialLeverage", &leverage},
                                  {"notionalCap", &cap},       {"notionalFloor", &floor},
                                  {"maintMarginRatio", &rate}, {"cum", &cumulative}};
    return members_read(object, MEMBERS(list)) && read_u32(number, &out->bracket) &&
           read_u32(leverage, &out->leverage) && cap_read(cap, &out->notional_cap.v) &&
           amount_read(floor, &out->notional_floor.v) &&
           amount_read(rate, &out->maintenance_rate.v) &&
           amount_read(cumulative, &out->cumulative.v) && out->leverage > 0 &&
           out->notional_floor.v <= out->notional_cap.v;
}

static bool
symbol_brackets(struct slice object, struct bracket *out, uint32_t max, uint32_t *count)
{
    struct slice symbol, brackets, item;
    const struct member list[] = {{"symbol", &symbol}, {"brackets", &brackets}};
    struct items it;
    code_t name;
    if (!members_read(object, MEMBERS(list)) || !read_code(symbol, &name) ||
        !items_begin(&it, brackets))
        return false;
    while (items_next(&it, &item)) {
        if (*count == max)
            return false;
        struct bracket *b = &out[(*count)++];
        *b = (struct bracket){.symbol = name};
        if (!bracket_read(item, b))
            return false;
    }
    return it.is_whole;
}

bool
reply_brackets(const char *json, size_t length, struct bracket *out, uint32_t max, uint32_t *count)
{
    struct scan s = {json, json + length};
    struct slice all, item;
    struct items it;
    *count = 0;
    if (!scan_value(&s, &all) || !scan_done(&s))
        return false;
    if (all.kind == '{')
        return symbol_brackets(all, out, max, count);
    if (!items_begin(&it, all))
        return false;
    while (items_next(&it, &item))
        if (!symbol_brackets(item, out, max, count))
            return false;
    return it.is_whole;
}
