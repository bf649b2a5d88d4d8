/*
 * words.h - messages of the journal in words, and text that grows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_WORDS_H
#define SCRIPCTL_WORDS_H

#include "base/msg.h"
#include "wire/codec.h"

/* Appends; the NUL behind the text is there and not counted. */
void words_add(struct bytes *out, const char *format, ...) PRINTF(2, 3);
/* "0.5", "12": as short as it is exact. */
void words_amount(struct bytes *out, int64_t amount);
/* The text so far, never NULL. */
const char *words_text(const struct bytes *b);

/* "BUY LIMIT 0.5 BTCUSDT at 64000" and what else was asked for. */
void words_wish(struct bytes *out, const struct order_wish *wish);
/* What a message says, in one line. */
void words_message(struct bytes *out, const struct msg *m);
/* What the matcher saw of an order. */
void words_story(struct bytes *out, const struct story *s);
/* Why an order is no longer open. */
const char *words_end(enum order_end end);

/* ---- By the tables ----------------------------------------------------------------------------
 */

/* A body as a JSON object with every field, hidden ones too; SEC ones are "***". Amounts are exact
 * decimal text, times RFC 3339 in fields without the `_us`. Without `is_whole` fields that are 0 or
 * empty are left out, as in the journal; with it only those are that JSON to clients may lack too.
 */
void words_json(struct bytes *out, const struct msg_layout *l, const void *body, bool is_whole);
/* A plain field's value as text. */
void words_value(struct bytes *out, const struct msg_field *f, const void *body);

#endif
