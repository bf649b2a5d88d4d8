/*
 * sheet.c - see sheet.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/sheet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "scripctl/value.h"

#define BUFFER_BYTES 65536u

static void
flush(struct sheet *s)
{
    if (s->why[0] == '\0' && s->buffer.length > 0)
        (void)fresh_write(&s->file, s->buffer.data, s->buffer.length, s->why);
    bytes_clear(&s->buffer);
}

void
sheet_open(struct sheet *s, const char *folder, const char *name, const char *columns)
{
    *s = (struct sheet){.file = {.fd = -1}};
    if (folder == NULL)
        return;
    s->is_open = true;
    if (!fresh_open(&s->file, folder, name, s->why))
        return;
    bytes_add(&s->buffer, columns, strlen(columns));
    bytes_add(&s->buffer, "\n", 1);
}

static void
field(struct sheet *s, const char *text, size_t length)
{
    if (!s->is_open)
        return;
    if (s->is_row)
        bytes_add(&s->buffer, ",", 1);
    s->is_row = true;
    bytes_add(&s->buffer, text, length);
}

void
sheet_text(struct sheet *s, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        field(s, text, strlen(text));
        return;
    }
    field(s, "\"", 1);
    for (; s->is_open && *text != '\0'; text++) {
        if (*text == '"')
            bytes_add(&s->buffer, "\"", 1);
        bytes_add(&s->buffer, text, 1);
    }
    if (s->is_open)
        bytes_add(&s->buffer, "\"", 1);
}

void
sheet_uint(struct sheet *s, uint64_t value)
{
    char text[24];
    field(s, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, value));
}

void
sheet_amount(struct sheet *s, int64_t amount)
{
    char text[DECIMAL_BYTES];
    field(s, text, decimal_write(amount, text));
}

void
sheet_time(struct sheet *s, int64_t time_us)
{
    char text[VALUE_TIME_BYTES];
    sheet_text(s, time_us == 0 ? "" : value_time_text(time_us, text));
}

void
sheet_row_end(struct sheet *s)
{
    if (!s->is_open)
        return;
    bytes_add(&s->buffer, "\n", 1);
    s->is_row = false;
    if (s->buffer.length >= BUFFER_BYTES)
        flush(s);
}

bool
sheet_keep(struct sheet *s)
{
    if (!s->is_open)
        return true;
    flush(s);
    return s->why[0] == '\0' && fresh_keep(&s->file, s->why);
}

void
sheet_drop(struct sheet *s)
{
    if (s->is_open)
        fresh_drop(&s->file);
    bytes_free(&s->buffer);
    s->is_open = false;
}
