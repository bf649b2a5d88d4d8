/*
 * err.c - the table of refusals, looked up by number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/err.h"

#include <stddef.h>
#include <string.h>

struct err_row {
    const char *name;
    const char *sentence;
    int http;
    int binance;
    bool again;
};

/* Numbers reach to the hundreds only, so the table is indexed by them; gaps have no name. */
static const struct err_row err_rows[] = {
    [OK] = {"OK", "", 200, 0, false},
#define ERROR(name, number, http, again, binance, sentence)                                        \
    [number] = {#name, sentence, http, binance, again},
#include "tbl/errors.def"
#undef ERROR
};

#define ERR_ROWS (sizeof(err_rows) / sizeof(err_rows[0]))

static const struct err_row err_row_unknown = {"UNKNOWN_ERROR", "internal error", 500, -1000,
                                               false};

static const struct err_row *
err_row(enum err e)
{
    size_t number = (size_t)e;
    if (number >= ERR_ROWS || err_rows[number].name == NULL)
        return &err_row_unknown;
    return &err_rows[number];
}

const char *
err_name(enum err e)
{
    return err_row(e)->name;
}

const char *
err_sentence(enum err e)
{
    return err_row(e)->sentence;
}

int
err_http(enum err e)
{
    return err_row(e)->http;
}

bool
err_again(enum err e)
{
    return err_row(e)->again;
}

int
err_binance(enum err e)
{
    return err_row(e)->binance;
}

bool
err_known(uint32_t number)
{
    return number < ERR_ROWS && err_rows[number].name != NULL;
}

enum err
err_by_name(const char *name)
{
    for (size_t i = 0; i < ERR_ROWS; i++)
        if (err_rows[i].name != NULL && strcmp(err_rows[i].name, name) == 0)
            return (enum err)i;
    return ERR_INTERNAL;
}
