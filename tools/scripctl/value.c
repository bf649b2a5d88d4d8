/*
 * value.c - times, shards and numbers as people write them.
 *
 * The calendar is counted here and not by libc, so that no time zone and no locale has a say.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/value.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_US INT64_C(1000000)
#define DAY_US    (86400 * SECOND_US)

bool
value_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
    bool is_negative = min < 0 && *text == '-';
    const char *at = text + is_negative;
    int64_t value = 0;
    if (*at == 0)
        return false;
    for (; *at != 0; at++) {
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value))
            return false;
    }
    value = is_negative ? -value : value;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

/* Days from 1970-01-01; years count from March, so that the leap day comes last. */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void
date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = y + era * 400 + (*month <= 2);
}

/* Exactly `count` digits within [min, max]. */
static bool
digits(const char **at, int count, int64_t min, int64_t max, int64_t *out)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *out = value;
    return value >= min && value <= max;
}

static bool
skip(const char **at, char c)
{
    bool is_there = **at == c;
    *at += is_there;
    return is_there;
}

static bool
read_date(const char **at, int64_t *out)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year, month, day;
    if (!digits(at, 4, 1970, 9999, &year) || !skip(at, '-') || !digits(at, 2, 1, 12, &month) ||
        !skip(at, '-') || !digits(at, 2, 1, 31, &day))
        return false;
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > lengths[month - 1] + (month == 2 && is_leap))
        return false;
    *out = days_of(year, month, day) * DAY_US;
    return true;
}

/* ".5" and so on; what is finer than a microsecond has no place in the journal. */
static bool
read_fraction(const char **at, int64_t *out)
{
    int64_t unit = SECOND_US / 10;
    *out = 0;
    if (!skip(at, '.'))
        return true;
    const char *first = *at;
    for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10) {
        if (unit == 0 && **at != '0')
            return false;
        *out += (**at - '0') * unit;
    }
    return *at > first;
}

static bool
read_offset(const char **at, int64_t *out)
{
    int64_t hours, minutes;
    *out = 0;
    if (skip(at, 'Z') || skip(at, 'z'))
        return true;
    bool is_west = **at == '-';
    if (!is_west && **at != '+')
        return false;
    (*at)++;
    if (!digits(at, 2, 0, 23, &hours) || !skip(at, ':') || !digits(at, 2, 0, 59, &minutes))
        return false;
    *out = (hours * 3600 + minutes * 60) * (is_west ? -SECOND_US : SECOND_US);
    return true;
}

static bool
read_clock(const char *at, int64_t *out)
{
    int64_t day_us, hour, minute, second, fraction, offset;
    if (!read_date(&at, &day_us))
        return false;
    if (*at == 0) {
        *out = day_us;
        return true;
    }
    if (!(skip(&at, 'T') || skip(&at, 't') || skip(&at, ' ')) || !digits(&at, 2, 0, 23, &hour) ||
        !skip(&at, ':') || !digits(&at, 2, 0, 59, &minute) || !skip(&at, ':') ||
        !digits(&at, 2, 0, 59, &second) || !read_fraction(&at, &fraction) ||
        !read_offset(&at, &offset) || *at != 0)
        return false;
    *out = day_us + (hour * 3600 + minute * 60 + second) * SECOND_US + fraction - offset;
    return true;
}

static bool
read_ago(const char *text, int64_t now_us, int64_t *out)
{
    static const struct {
        char letter;
        int64_t us;
    } units[] = {{'s', SECOND_US}, {'m', 60 * SECOND_US}, {'h', 3600 * SECOND_US}, {'d', DAY_US}};
    char number[20];
    size_t length = strlen(text);
    int64_t count, ago;
    if (length < 3 || length > sizeof(number) || text[0] != '-')
        return false;
    memcpy(number, text + 1, length - 2);
    number[length - 2] = 0;
    if (!value_int(number, 0, INT64_MAX, &count))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text[length - 1] == units[i].letter)
            return !__builtin_mul_overflow(count, units[i].us, &ago) &&
                   !__builtin_sub_overflow(now_us, ago, out);
    }
    return false;
}

bool
value_time(const char *text, int64_t now_us, int64_t *out)
{
    if (strcmp(text, "now") == 0) {
        *out = now_us;
        return true;
    }
    return read_ago(text, now_us, out) || read_clock(text, out);
}

static bool
read_shard(const char **at, int64_t *out)
{
    char number[3] = "";
    size_t length = strspn(*at, "0123456789");
    if (length == 0 || length >= sizeof(number))
        return false;
    memcpy(number, *at, length);
    *at += length;
    return value_int(number, 0, 63, out);
}

bool
value_shards(const char *text, bool out[64])
{
    memset(out, 0, 64 * sizeof(out[0]));
    do {
        int64_t first, last;
        if (!read_shard(&text, &first))
            return false;
        last = first;
        if (skip(&text, '-') && (!read_shard(&text, &last) || last < first))
            return false;
        for (int64_t i = first; i <= last; i++)
            out[i] = true;
    } while (skip(&text, ','));
    return *text == 0;
}

const char *
value_time_text(int64_t time_us, char out[VALUE_TIME_BYTES])
{
    int64_t days = time_us / DAY_US, of_day = time_us % DAY_US, year, month, day;
    if (of_day < 0) {
        of_day += DAY_US;
        days--;
    }
    date_of(days, &year, &month, &day);
    int64_t seconds = of_day / SECOND_US;
    snprintf(out, VALUE_TIME_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", (int)year, (int)month,
             (int)day, (int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60),
             (int)(of_day % SECOND_US));
    return out;
}

bool
value_hex(const char *text, uint64_t *out)
{
    size_t length = strlen(text);
    uint64_t value = 0;
    if (length == 0 || length > 16)
        return false;
    for (; *text != 0; text++) {
        static const char digits_low[] = "0123456789abcdef";
        const char *at = strchr(digits_low, *text >= 'A' && *text <= 'F' ? *text + 32 : *text);
        if (at == NULL)
            return false;
        value = value << 4 | (uint64_t)(at - digits_low);
    }
    *out = value;
    return true;
}

int64_t
value_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}
