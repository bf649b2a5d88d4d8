/*
 * err.h - every refusal Scrip knows, expanded from common/tbl/errors.def.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_ERR_H
#define SCRIP_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

enum err {
    OK = 0,
#define ERROR(name, number, http, again, binance, sentence) ERR_##name = number,
#include "tbl/errors.def"
#undef ERROR
};

/* "INSUFFICIENT_BALANCE"; "OK" for OK; "UNKNOWN_ERROR" for a number that is in no row. */
const char *err_name(enum err e);
/* The sentence shown to users, without a full stop's worth of internals. */
const char *err_sentence(enum err e);
/* HTTP status. Only the gateway calls this. */
int err_http(enum err e);
/* Whether the same request may succeed when sent again unchanged. */
bool err_again(enum err e);
/* Binance's code for the compatible API (negative), 0 where it has none. */
int err_binance(enum err e);
/* Whether a number is OK or in a row. */
bool err_known(uint32_t number);
/* Finds a row by name; ERR_INTERNAL when there is none. */
enum err err_by_name(const char *name);

#endif
