/*
 * kept.h - the table marketdata.symbol: symbols that were added and removed while running.
 *
 * Read once, when the database first answers; written row by row. A row that could not be written
 * is the caller's to write again, after on_loaded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_KEPT_H
#define SCRIP_MARKETDATA_KEPT_H

#include "host/loop.h"
#include "marketdata/shell/symbols.h"

struct kept;

struct kept_options {
    struct loop *loop;
    const char *conninfo;
    void *arg;
    /* One row of the table, before on_loaded. */
    void (*on_row)(void *arg, uint32_t source, code_t symbol, bool is_removed);
    /* After every connect: all rows were told (the first time), and rows can be written. */
    void (*on_loaded)(void *arg);
};

struct kept *kept_open(const struct kept_options *o);
void kept_close(struct kept **k);
/* `is_kept`: the row is committed. */
typedef void kept_answer(void *arg, bool is_kept);
/* Writes a row; false, without an answer, while the database is away. */
bool kept_put(struct kept *k, const struct symbol_change *c, kept_answer *answer, void *arg);

#endif
