/*
 * json.h - messages to and from JSON, driven by the same layouts.
 *
 * Out: ids, counts and times as numbers, amounts as strings with 8 decimals, enums by name,
 * records as objects, lists as arrays. HID fields are never written, OPT ones not when empty, nor
 * an enum or TRI that is absent.
 * In: only fields marked IN are taken; numbers are read from their text, never through a double.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_WIRE_JSON_H
#define SCRIP_WIRE_JSON_H

#include "base/arena.h"
#include "wire/codec.h"

struct json_object;

/* Appends one JSON object of a message body or record. */
void json_write_body(struct bytes *out, const struct msg_layout *l, const void *body);
/* Appends a JSON string with quotes and escapes. */
void json_write_text(struct bytes *out, const char *text);

/*
 * Sets the IN fields of `body` from a request's body text: one JSON object, nesting at most 4.
 * Refuses with BODY_NOT_JSON, FIELD_UNKNOWN, FIELD_REPEATED, FIELD_TYPE, FIELD_TOO_LONG,
 * NUMBER_*, CHOICE_UNKNOWN or TRADING_TYPE_INVALID and names the field; of several, the first row
 * of errors.def is the answer. REQ is checked by json_check_body(), once the caller has filled in
 * the rest. A given zero is noted in the field marked ZEROS, when the message has one. Decimals and
 * integers may be JSON numbers or strings. A list whose records have IN fields is an array of
 * objects; its records are put into `lists` (NULL: lists are refused with FIELD_TOO_LONG), and what
 * is wrong in one is named as in "orders[1].price".
 */
MUST_USE enum err json_read_body(const char *text, size_t length, const struct msg_layout *l,
                                 void *body, struct arena *lists, code_t *field);
/* What is wrong with one item of a list: OK when nothing is. */
struct json_fault {
    enum err error;
    code_t field;
};
/* As json_read_body and json_check_body, for a body with one list of which each item is judged by
 * itself: what is wrong in item i, REQ included, is told in faults[i] (there are as many as the
 * list has items at most), and refuses neither the body nor the others. */
MUST_USE enum err json_read_items(const char *text, size_t length, const struct msg_layout *l,
                                  void *body, struct arena *lists, struct json_fault *faults,
                                  code_t *field);
/* Sets one IN field from text, as a query or path parameter gives it (already %-decoded). */
MUST_USE enum err json_read_field(const char *name, const char *value, const struct msg_layout *l,
                                  void *body, code_t *field);
/* REQ among the IN fields, those of lists included, which must not be empty: FIELD_MISSING with the
 * name. */
MUST_USE enum err json_check_body(const struct msg_layout *l, const void *body, code_t *field);

/* Parses one JSON value with depth and size limits; NULL when malformed or followed by more
 * than blanks. The caller owns the result (json_object_put). For files and WebSocket messages. */
struct json_object *json_parse(const char *text, size_t length, int depth_max);
/* An exact decimal from a JSON number's or string's own text. */
MUST_USE enum err json_decimal(const struct json_object *value, int64_t *out);

#endif
