/*
 * sheet.h - a CSV file, written field by field; there whole or not at all.
 *
 * Without a folder nothing is written, and every call does nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_SHEET_H
#define SCRIPCTL_SHEET_H

#include "base/money.h"
#include "scripctl/fresh.h"
#include "wire/codec.h"

struct sheet {
    struct fresh file;
    struct bytes buffer;
    bool is_open, is_row; /* in the middle of a row */
    char why[WHY_BYTES];  /* the first thing that failed; "" = nothing */
};

/* `columns` is the first line, with commas. */
void sheet_open(struct sheet *s, const char *folder, const char *name, const char *columns);
/* Quoted where it has to be. */
void sheet_text(struct sheet *s, const char *text);
void sheet_uint(struct sheet *s, uint64_t value);
/* All eight decimals. */
void sheet_amount(struct sheet *s, int64_t amount);
/* RFC 3339 with microseconds; nothing for 0. */
void sheet_time(struct sheet *s, int64_t time_us);
void sheet_row_end(struct sheet *s);
/* The file is there now; false when anything failed, see `why`. */
bool sheet_keep(struct sheet *s);
/* Takes away what was not kept. */
void sheet_drop(struct sheet *s);

#endif
