/*
 * log.c - writes key=value lines, one write(2) each, so that lines of several processes on one
 * terminal or file never mix.
 *
 * The format is walked piece by piece, because only here can be told where a value begins and
 * ends: a value with blanks, quotes or = is quoted, control bytes are escaped, and so no value
 * can forge another pair or another line. Process-wide by nature: one descriptor, one level.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/log.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wire/codec.h"

#define LINE_BYTES  4096
#define VALUE_BYTES 2048
#define SPEC_BYTES  16

_Static_assert(LINE_BYTES <= PIPE_BUF, "a pipe takes a line whole");
/* One case for long, long long, size_t and intmax_t: all are 64 bits wide on what Scrip runs on. */
_Static_assert(sizeof(long) == 8 && sizeof(size_t) == 8, "an LP64 machine");

static struct {
    char service[32];
    enum log_level least;
} state = {"scrip", LOG_INFO};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct line {
    char text[LINE_BYTES];
    size_t length;
};

static void
line_byte(struct line *l, char c)
{
    if (l->length < LINE_BYTES - 1)
        l->text[l->length++] = c;
}

static void
line_text(struct line *l, const char *s)
{
    for (; *s != '\0'; s++)
        line_byte(l, *s);
}

/* Control bytes become \n, \t or \xNN; inside quotes, quote and backslash get a backslash. */
static void
line_escaped(struct line *l, const char *s, bool quoted)
{
    static const char hex[] = "0123456789abcdef";
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '\n' || c == '\t' || c == '\r') {
            line_byte(l, '\\');
            line_byte(l, c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        } else if (c < 0x20 || c == 0x7f) {
            line_text(l, "\\x");
            line_byte(l, hex[c >> 4]);
            line_byte(l, hex[c & 15]);
        } else {
            if (quoted && (c == '"' || c == '\\'))
                line_byte(l, '\\');
            line_byte(l, (char)c);
        }
    }
}

static void
line_value(struct line *l, const char *value)
{
    bool quoted = value[0] == '\0' || strpbrk(value, " \"=\t\r\n") != NULL;
    if (quoted)
        line_byte(l, '"');
    line_escaped(l, value, quoted);
    if (quoted)
        line_byte(l, '"');
}

/* One value under construction: what the literal text and the conversions gave so far. */
struct value {
    char text[VALUE_BYTES];
    size_t length;
    bool has_key; /* an = of the format came before it */
};

static void
value_byte(struct value *v, char c)
{
    if (v->length < VALUE_BYTES - 1)
        v->text[v->length++] = c;
}

static void
value_done(struct value *v, struct line *l)
{
    v->text[v->length] = '\0';
    if (v->has_key)
        line_value(l, v->text);
    else
        line_escaped(l, v->text, false);
    v->length = 0;
    v->has_key = false;
}

/* Formats one conversion of `spec` (a whole "%-5ld") with its argument. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void
value_convert(struct value *v, const char *spec, va_list *arguments)
{
    char *to = v->text + v->length;
    size_t room = VALUE_BYTES - v->length;
    const char *last = spec + strlen(spec) - 1;
    bool is_long = strchr(spec, 'l') != NULL || strchr(spec, 'z') != NULL ||
                   strchr(spec, 'j') != NULL || strchr(spec, 't') != NULL;
    int star = strchr(spec, '*') != NULL ? va_arg(*arguments, int) : -1;
    int wrote = 0;
    switch (*last) {
    case 's': {
        const char *s = va_arg(*arguments, const char *);
        if (s == NULL)
            s = "(none)";
        wrote = star >= 0 ? snprintf(to, room, spec, star, s) : snprintf(to, room, spec, s);
        break;
    }
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        if (is_long)
            wrote = snprintf(to, room, spec, va_arg(*arguments, long));
        else
            wrote = snprintf(to, room, spec, va_arg(*arguments, int));
        break;
    case 'c':
        wrote = snprintf(to, room, spec, va_arg(*arguments, int));
        break;
    case 'p':
        wrote = snprintf(to, room, spec, va_arg(*arguments, void *));
        break;
    case 'f':
    case 'g':
    case 'e':
        wrote = snprintf(to, room, spec, va_arg(*arguments, double));
        break;
    default:
        CHECK(false); /* a conversion that is not known here */
    }
    size_t length = wrote < 0 ? 0 : (size_t)wrote;
    v->length += length < room ? length : room - 1;
}
#pragma GCC diagnostic pop

/* Copies the conversion that starts at `at` and returns the place behind it. */
static const char *
spec_copy(const char *at, char spec[SPEC_BYTES])
{
    size_t length = 1 + strcspn(at + 1, "diuxXoscpfge");
    CHECK(at[length] != '\0' && length + 2 <= SPEC_BYTES);
    memcpy(spec, at, length + 1);
    spec[length + 1] = '\0';
    return at + length + 1;
}

static void
line_pairs(struct line *l, const char *format, va_list *arguments)
{
    struct value v = {.length = 0};
    bool in_quotes = false; /* the format itself quotes: text=\"%s\" */
    for (const char *at = format; *at != '\0';) {
        if (at[0] == '%' && at[1] == '%') {
            value_byte(&v, '%');
            at += 2;
        } else if (*at == '%') {
            char spec[SPEC_BYTES];
            at = spec_copy(at, spec);
            value_convert(&v, spec, arguments);
        } else if (*at == '"' && v.has_key && (in_quotes || v.length == 0)) {
            in_quotes = !in_quotes;
            at++;
        } else if (*at == ' ' && !in_quotes) {
            value_done(&v, l);
            line_byte(l, ' ');
            at++;
        } else if (*at == '=' && !v.has_key) {
            value_done(&v, l);
            line_byte(l, '=');
            v.has_key = true;
            at++;
        } else {
            value_byte(&v, *at++);
        }
    }
    value_done(&v, l);
}

static void
line_head(struct line *l, enum log_level level, const char *event)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char head[160];
    snprintf(head, sizeof head,
             "time=%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ level=%s service=%s event=",
             utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
             now.tv_nsec / 1000, level_names[level], state.service);
    l->length = 0;
    line_text(l, head);
    line_value(l, event);
}

static void
line_corr(struct line *l, uint64_t corr)
{
    char text[32];
    snprintf(text, sizeof text, " corr=%016llx", (unsigned long long)corr);
    line_text(l, text);
}

static void
line_write(struct line *l)
{
    if (l->text[l->length - 1] == ' ') /* there were no pairs */
        l->length--;
    l->text[l->length++] = '\n';
    /* A log that nobody reads must not stop the service: what cannot be written is lost. A pipe
     * that is ready takes PIPE_BUF bytes, and no line is longer. */
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0)
        return;
    ssize_t wrote = write(STDERR_FILENO, l->text, l->length);
    (void)wrote;
}

void
log_open(const char *service, enum log_level least)
{
    snprintf(state.service, sizeof state.service, "%s", service);
    state.least = least;
}

int
log_on(enum log_level level)
{
    return level >= state.least;
}

void
log_line(enum log_level level, const char *event, const char *format, ...)
{
    if (!log_on(level))
        return;
    struct line l;
    line_head(&l, level, event);
    va_list arguments;
    va_start(arguments, format);
    line_byte(&l, ' ');
    line_pairs(&l, format, &arguments);
    va_end(arguments);
    line_write(&l);
}

void
log_corr(enum log_level level, uint64_t corr, const char *event, const char *format, ...)
{
    if (!log_on(level))
        return;
    struct line l;
    line_head(&l, level, event);
    line_corr(&l, corr);
    va_list arguments;
    va_start(arguments, format);
    line_byte(&l, ' ');
    line_pairs(&l, format, &arguments);
    va_end(arguments);
    line_write(&l);
}

void
log_msg(const char *event, const struct msg *m)
{
    if (!log_on(LOG_DEBUG))
        return;
    struct line l;
    line_head(&l, LOG_DEBUG, event);
    char text[LINE_BYTES / 2];
    msg_print(m, text, sizeof text);
    line_byte(&l, ' ');
    line_escaped(&l, text, false);
    line_write(&l);
}
