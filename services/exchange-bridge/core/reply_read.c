/*
 * reply_read.c - see reply_read.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/reply_read.h"

#include <string.h>

#define TIME_MS_MIN INT64_C(100000000000) /* 1973 */
#define TIME_MS_MAX INT64_C(100000000000000)

static bool
member_take(struct slice name, struct slice value, const struct member *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_is(name, list[i].name)) {
            if (list[i].value->kind != 0)
                return false;
            *list[i].value = value;
            return true;
        }
    return true;
}

static bool
object_read(struct scan *s, const struct member *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *list[i].value = (struct slice){0};
    if (!scan_take(s, '{'))
        return false;
    if (scan_take(s, '}'))
        return true;
    do {
        struct slice name, value;
        if (!scan_name(s, &name) || !scan_value(s, &value) ||
            !member_take(name, value, list, count))
            return false;
    } while (scan_take(s, ','));
    return scan_take(s, '}');
}

bool
text_members(const char *json, size_t length, const struct member *list, size_t count)
{
    struct scan s = {json, json + length};
    return object_read(&s, list, count) && scan_done(&s);
}

bool
members_read(struct slice object, const struct member *list, size_t count)
{
    if (object.kind != '{')
        return false;
    return text_members(object.at, object.length, list, count);
}

bool
items_begin(struct items *it, struct slice list)
{
    if (list.kind != '[')
        return false;
    *it = (struct items){.scan = {list.at, list.at + list.length}};
    return scan_take(&it->scan, '[');
}

bool
items_next(struct items *it, struct slice *out)
{
    if (scan_take(&it->scan, ']')) {
        it->is_whole = scan_done(&it->scan);
        return false;
    }
    bool goes_on = !it->has_begun || scan_take(&it->scan, ',');
    it->has_begun = true;
    return goes_on && scan_value(&it->scan, out);
}

/* ---- Values ------------------------------------------------------------------------------- */

bool
is_there(struct slice s)
{
    return s.kind != 0 && !(s.kind == 'w' && slice_is(s, "null"));
}

bool
read_true(struct slice s)
{
    return s.kind == 'w' && slice_is(s, "true");
}

static bool
is_plain(struct slice s)
{
    return s.kind == 's' && s.length > 0 && memchr(s.at, '\\', s.length) == NULL;
}

bool
read_code(struct slice s, code_t *out)
{
    return is_plain(s) && code_from(s.at, s.length, out) == OK;
}

bool
read_client_id(struct slice s, cid_t *out)
{
    *out = (cid_t){""};
    if (s.kind != 's')
        return false;
    if (is_plain(s) && cid_from(s.at, s.length, out) != OK)
        *out = (cid_t){""};
    return true;
}

bool
read_signed(struct slice s, int64_t *out)
{
    return slice_decimal(s, out) && *out <= AMOUNT_MAX && *out >= -AMOUNT_MAX;
}

bool
read_amount(struct slice s, int64_t *out)
{
    return read_signed(s, out) && *out >= 0;
}

enum amount_kind
read_any_amount(struct slice s, int64_t *out)
{
    if (s.kind != 's' && s.kind != 'n')
        return AMOUNT_REFUSED;
    enum err e = decimal_read(s.at, s.length, out);
    if (e == OK && *out <= AMOUNT_MAX && *out >= -AMOUNT_MAX)
        return AMOUNT_FINE;
    return e == OK || e == ERR_NUMBER_RANGE ? AMOUNT_TOO_LARGE : AMOUNT_REFUSED;
}

bool
read_average(struct slice s, int64_t *out)
{
    const char *point = s.length > 0 ? memchr(s.at, '.', s.length) : NULL;
    if (point != NULL && s.length > (size_t)(point - s.at) + 9) {
        for (size_t i = (size_t)(point - s.at) + 9; i < s.length; i++)
            if (s.at[i] < '0' || s.at[i] > '9')
                return false;
        s.length = (size_t)(point - s.at) + 9;
    }
    return read_signed(s, out);
}

bool
read_u32(struct slice s, uint32_t *out)
{
    uint64_t value;
    if (!slice_u64(s, &value) || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

bool
read_i64(struct slice s, int64_t *out)
{
    bool is_below = s.kind == 'n' && s.length > 0 && s.at[0] == '-';
    uint64_t value;
    if (is_below) {
        s.at++;
        s.length--;
    }
    if (!slice_u64(s, &value) || value > INT64_MAX)
        return false;
    *out = is_below ? -(int64_t)value : (int64_t)value;
    return true;
}

bool
read_time(struct slice s, int64_t *out)
{
    int64_t ms;
    if (!read_i64(s, &ms) || ms < TIME_MS_MIN || ms >= TIME_MS_MAX)
        return false;
    *out = ms * 1000;
    return true;
}

bool
read_trade_id(struct slice s, uint64_t *out)
{
    if (!slice_u64(s, out))
        return false;
    if (*out == 0)
        *out = 1;
    return true;
}

void
read_sentence(struct slice s, char out[128])
{
    size_t length = 0;
    memset(out, 0, 128);
    for (size_t i = 0; s.kind == 's' && i < s.length && length < 127; i++) {
        char c = s.at[i];
        if (c == '\\' && i + 1 < s.length) {
            c = s.at[++i];
            if (c == 'u')
                i = s.length - i > 4 ? i + 4 : s.length;
            if (c != '"' && c != '\\' && c != '/')
                c = c == 'u' ? '?' : ' ';
        }
        out[length++] = c >= ' ' && c <= '~' ? c : '?';
    }
}

enum order_status
read_status(struct slice s, qty_t executed)
{
    char name[24] = "";
    if (!is_plain(s) || s.length >= sizeof(name))
        return ORDER_STATUS_NONE;
    memcpy(name, s.at, s.length);
    if (strcmp(name, "PENDING_CANCEL") == 0)
        return executed.v > 0 ? ORDER_STATUS_PARTIALLY_FILLED : ORDER_STATUS_NEW;
    return (enum order_status)msg_enum_by_name(MSG_ENUM_order_status, name);
}
