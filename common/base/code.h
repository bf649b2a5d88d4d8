/*
 * code.h - short texts held by value: symbols, assets, client order ids, peer names.
 *
 * Always NUL-terminated and zero-padded, so that two codes are equal when their bytes are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_CODE_H
#define SCRIP_BASE_CODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define CODE_BYTES 24  /* a symbol or an asset: at most 23 characters */
#define CID_BYTES  40  /* a client order id: at most 36 characters */
#define TEXT_BYTES 128 /* one sentence */

#define CID_CHARS_MAX 36

typedef struct code {
    char text[CODE_BYTES];
} code_t;

typedef struct cid {
    char text[CID_BYTES];
} cid_t;

typedef struct text {
    char text[TEXT_BYTES];
} text_t;

/* Copy; refuse with ERR_FIELD_TOO_LONG, and a NUL among the bytes with ERR_FIELD_TYPE. */
MUST_USE enum err code_from(const char *bytes, size_t length, code_t *out);
MUST_USE enum err cid_from(const char *bytes, size_t length, cid_t *out);
MUST_USE enum err text_from(const char *bytes, size_t length, text_t *out);

/* For literals of the program's own; CHECKs the length. */
code_t code_of(const char *literal);
/* Cuts what does not fit. For sentences to people only. */
text_t text_of(const char *format, ...) PRINTF(1, 2);

bool code_same(code_t a, code_t b);
bool code_empty(code_t a);
bool cid_same(const cid_t *a, const cid_t *b);
bool cid_empty(const cid_t *a);
/* Binance's rule for client order ids: ^[.A-Z:/a-z0-9_-]{1,36}$ */
bool cid_valid(const cid_t *a);

#endif
