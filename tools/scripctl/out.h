/*
 * out.h - results on standard output: a table for people, or one JSON object a line.
 *
 * Both come from the same calls: columns once, then rows field by field. Amounts stay exact
 * decimal text in JSON too; times are RFC 3339 with microseconds. When nobody can read what is
 * written, the program ends with status 3.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_OUT_H
#define SCRIPCTL_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OUT_COLUMNS_MAX 24

struct out;

struct out *out_open(FILE *file, bool is_json);
void out_close(struct out **o);
bool out_is_json(const struct out *o);

/* Begins a table: names with spaces between; one that ends in '>' is set to the right. A table
 * before it is ended. Tables are aligned over a bounded number of rows, so that long ones flow. */
void out_table(struct out *o, const char *columns);
void out_text(struct out *o, const char *text);
void out_int(struct out *o, int64_t value);
void out_uint(struct out *o, uint64_t value);
void out_bool(struct out *o, bool value);
/* An int64 of 10^-8. */
void out_amount(struct out *o, int64_t amount);
/* Microseconds UTC; 0 is shown as nothing, and null in JSON. */
void out_time(struct out *o, int64_t time_us);
/* Bytes as hexadecimal. */
void out_hex(struct out *o, const uint8_t *bytes, uint32_t count);
/* JSON as it is; in a table its text. */
void out_json(struct out *o, const char *json);
void out_row_end(struct out *o);
/* Shows the rows so far: before waiting for more. */
void out_flush(struct out *o);

/* A whole text as it is; in JSON {"text":...}. */
void out_whole(struct out *o, const char *text);
/* A sentence for people; nothing in JSON. */
void out_say(struct out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
