/*
 * scalar.h - one plain field from its text, and the rules of a whole body; private to wire/.
 *
 * Scenarios, query parameters and JSON all read numbers, names and texts through these, so that
 * a decimal means the same wherever it comes from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_WIRE_SCALAR_H
#define SCRIP_WIRE_SCALAR_H

#include "base/msg.h"

#define ID_MAX (((uint64_t)1 << 53) - 1)

/*
 * Reads a field of any kind but records and lists and sets it in `body`. `text` ends with a NUL.
 * Refuses with FIELD_TYPE, FIELD_TOO_LONG, NUMBER_SYNTAX, NUMBER_PRECISION, NUMBER_RANGE or
 * CHOICE_UNKNOWN (of a trading type TRADING_TYPE_INVALID).
 */
MUST_USE enum err scalar_read(const struct msg_field *f, const char *text, size_t length,
                              void *body);

/* Whether a field with the flag POS, a U32 or 64 bits wide, holds more than zero. */
bool scalar_is_positive(const struct msg_field *f, const void *body);

/*
 * Holds a body to its layout's REQ and POS flags: FIELD_MISSING, NUMBER_NOT_POSITIVE. Bit i of
 * `seen` tells whether field i was present. *culprit is the index of the field that failed.
 */
MUST_USE enum err scalar_rules(const struct msg_layout *l, uint64_t seen, const void *body,
                               uint32_t *culprit);

#endif
