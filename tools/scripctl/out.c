/*
 * out.c - results as a table or as JSON lines.
 *
 * A table's cells are kept for a while, so that its columns can be as wide as what stands in them;
 * then they flow, and columns only grow. What comes from the journal is shown without control
 * characters: a terminal obeys them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/money.h"
#include "scripctl/command.h"
#include "scripctl/value.h"
#include "wire/json.h"

#define ROWS_KEPT  256
#define NAME_BYTES 32

struct out {
    FILE *file;
    bool is_json, is_terminal;
    uint32_t terminal_chars; /* 0: not known, nothing is cut */
    uint32_t columns;        /* 0: no table */
    char names[OUT_COLUMNS_MAX][NAME_BYTES];
    bool is_right[OUT_COLUMNS_MAX];
    uint32_t widths[OUT_COLUMNS_MAX];
    bool is_headed;
    uint32_t field, rows;
    struct bytes cells; /* texts, each with its NUL, row by row */
    struct bytes line;
};

struct out *
out_open(FILE *file, bool is_json)
{
    struct out *o = calloc(1, sizeof(*o));
    CHECK(o != NULL);
    o->file = file;
    o->is_json = is_json;
    int fd = fileno(file);
    o->is_terminal = fd >= 0 && isatty(fd) == 1;
    struct winsize size;
    if (o->is_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0)
        o->terminal_chars = size.ws_col;
    return o;
}

/* The end of the program: nobody is left who could be told more than this. */
static void
end_unless_written(struct out *o)
{
    if (!ferror(o->file))
        return;
    if (errno != EPIPE)
        complain("standard output: %s", strerror(errno));
    exit(STATUS_FAILED);
}

static void
put(struct out *o, const void *bytes, size_t length)
{
    fwrite(bytes, 1, length, o->file);
    end_unless_written(o);
}

static uint32_t
chars_of(const char *text)
{
    uint32_t count = 0;
    for (; *text != 0; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* Bytes of the first `max` characters. */
static size_t
cut_at(const char *text, uint32_t max)
{
    size_t at = 0;
    for (uint32_t count = 0; text[at] != 0; at++) {
        if (((unsigned char)text[at] & 0xc0) != 0x80 && count++ == max)
            break;
    }
    return at;
}

/* One line from `columns` texts that follow each other. Returns what is behind the last. */
static const char *
print_row(struct out *o, const char *cell)
{
    uint32_t at = 0;
    bytes_clear(&o->line);
    for (uint32_t i = 0; i < o->columns; i++) {
        bool is_last = i + 1 == o->columns;
        uint32_t chars = chars_of(cell);
        uint32_t pad = chars < o->widths[i] ? o->widths[i] - chars : 0;
        if (o->is_right[i])
            for (uint32_t k = 0; k < pad; k++)
                bytes_add(&o->line, " ", 1);
        size_t length = strlen(cell), shown = length;
        if (is_last && o->terminal_chars > at + 20)
            shown = cut_at(cell, o->terminal_chars - at);
        bytes_add(&o->line, cell, shown);
        if (!o->is_right[i] && !is_last)
            for (uint32_t k = 0; k < pad; k++)
                bytes_add(&o->line, " ", 1);
        if (!is_last)
            bytes_add(&o->line, "  ", 2);
        at += (chars > o->widths[i] ? chars : o->widths[i]) + 2;
        cell += length + 1;
    }
    while (o->line.length > 0 && o->line.data[o->line.length - 1] == ' ')
        o->line.length--;
    bytes_add(&o->line, "\n", 1);
    put(o, o->line.data, o->line.length);
    return cell;
}

static void
print_head(struct out *o)
{
    char head[OUT_COLUMNS_MAX * NAME_BYTES], *at = head;
    for (uint32_t i = 0; i < o->columns; i++) {
        for (const char *c = o->names[i]; *c != 0; c++)
            *at++ = *c == '_' ? ' ' : *c;
        *at++ = 0;
    }
    bool is_bold = o->is_terminal && getenv("NO_COLOR") == NULL;
    if (is_bold)
        put(o, "\033[1m", 4);
    print_row(o, head);
    if (is_bold)
        put(o, "\033[0m", 4);
    o->is_headed = true;
}

static void
print_rows(struct out *o)
{
    if (o->is_json || o->rows == 0)
        return;
    const char *cell = (const char *)o->cells.data;
    for (uint32_t row = 0; row < o->rows; row++) {
        for (uint32_t i = 0; i < o->columns; i++) {
            uint32_t chars = chars_of(cell);
            if (chars > o->widths[i])
                o->widths[i] = chars;
            cell += strlen(cell) + 1;
        }
    }
    if (!o->is_headed)
        print_head(o);
    cell = (const char *)o->cells.data;
    for (uint32_t row = 0; row < o->rows; row++)
        cell = print_row(o, cell);
    bytes_clear(&o->cells);
    o->rows = 0;
}

void
out_flush(struct out *o)
{
    print_rows(o);
    fflush(o->file);
    end_unless_written(o);
}

void
out_close(struct out **o)
{
    if (*o == NULL)
        return;
    out_flush(*o);
    bytes_free(&(*o)->cells);
    bytes_free(&(*o)->line);
    free(*o);
    *o = NULL;
}

bool
out_is_json(const struct out *o)
{
    return o->is_json;
}

void
out_table(struct out *o, const char *columns)
{
    CHECK(o->field == 0);
    print_rows(o);
    if (!o->is_json && o->is_headed)
        put(o, "\n", 1);
    o->columns = 0;
    o->is_headed = false;
    while (*columns != 0) {
        size_t length = strcspn(columns, " ");
        bool is_right = length > 0 && columns[length - 1] == '>';
        size_t name = length - is_right;
        CHECK(o->columns < OUT_COLUMNS_MAX && name > 0 && name < NAME_BYTES);
        memcpy(o->names[o->columns], columns, name);
        o->names[o->columns][name] = 0;
        o->widths[o->columns] = (uint32_t)name;
        o->is_right[o->columns++] = is_right;
        columns += length + (columns[length] == ' ');
    }
}

/* A table's cell: one line, no control characters. */
static void
add_cell(struct out *o, const char *text)
{
    CHECK(o->field < o->columns);
    for (; *text != 0; text++) {
        bool is_control = (unsigned char)*text < 0x20 || *text == 0x7f;
        bytes_add(&o->cells, is_control ? "?" : text, 1);
    }
    bytes_add(&o->cells, "", 1);
    o->field++;
}

/* What stands before a value in JSON. */
static void
add_name(struct out *o)
{
    CHECK(o->field < o->columns);
    const char *before = o->field == 0 ? "{\"" : ",\"";
    bytes_add(&o->line, before, 2);
    bytes_add(&o->line, o->names[o->field], strlen(o->names[o->field]));
    bytes_add(&o->line, "\":", 2);
    o->field++;
}

/* A value that is spelled alike in both. */
static void
add_plain(struct out *o, const char *text)
{
    if (!o->is_json) {
        add_cell(o, text);
        return;
    }
    add_name(o);
    bytes_add(&o->line, text, strlen(text));
}

/* A text in quotes in JSON; NULL is nothing. */
static void
add_quoted(struct out *o, const char *text)
{
    if (!o->is_json) {
        add_cell(o, text == NULL ? "" : text);
        return;
    }
    add_name(o);
    if (text == NULL)
        bytes_add(&o->line, "null", 4);
    else
        json_write_text(&o->line, text);
}

void
out_text(struct out *o, const char *text)
{
    add_quoted(o, text);
}

void
out_int(struct out *o, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    add_plain(o, text);
}

void
out_uint(struct out *o, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    add_plain(o, text);
}

void
out_bool(struct out *o, bool value)
{
    if (o->is_json)
        add_plain(o, value ? "true" : "false");
    else
        add_plain(o, value ? "yes" : "no");
}

void
out_amount(struct out *o, int64_t amount)
{
    char text[DECIMAL_BYTES];
    decimal_write(amount, text);
    add_quoted(o, text);
}

void
out_time(struct out *o, int64_t time_us)
{
    char text[VALUE_TIME_BYTES];
    add_quoted(o, time_us == 0 ? NULL : value_time_text(time_us, text));
}

void
out_hex(struct out *o, const uint8_t *bytes, uint32_t count)
{
    static const char hex[] = "0123456789abcdef";
    char *text = malloc((size_t)count * 2 + 1);
    CHECK(text != NULL);
    for (uint32_t i = 0; i < count; i++) {
        text[2 * i] = hex[bytes[i] >> 4];
        text[2 * i + 1] = hex[bytes[i] & 15];
    }
    text[(size_t)count * 2] = 0;
    add_quoted(o, text);
    free(text);
}

void
out_json(struct out *o, const char *json)
{
    add_plain(o, json);
}

void
out_row_end(struct out *o)
{
    CHECK(o->columns > 0 && o->field == o->columns);
    o->field = 0;
    if (o->is_json) {
        bytes_add(&o->line, "}\n", 2);
        put(o, o->line.data, o->line.length);
        bytes_clear(&o->line);
    } else if (++o->rows == ROWS_KEPT) {
        print_rows(o);
    }
}

void
out_whole(struct out *o, const char *text)
{
    if (!o->is_json) {
        print_rows(o);
        put(o, text, strlen(text));
        return;
    }
    out_table(o, "text");
    out_text(o, text);
    out_row_end(o);
}

void
out_say(struct out *o, const char *format, ...)
{
    if (o->is_json)
        return;
    print_rows(o);
    va_list args;
    va_start(args, format);
    vfprintf(o->file, format, args);
    va_end(args);
    put(o, "\n", 1);
}
