/*
 * shape.h - which fields of an order go together: the first thing that is judged.
 *
 * It needs neither state nor prices, so that a retry is shaped as the first attempt was.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_SHAPE_H
#define SCRIP_LEDGER_CORE_SHAPE_H

#include "base/msg.h"

/*
 * FIELD_MISSING, NUMBER_RANGE, NUMBER_NOT_POSITIVE, FIELDS_CLASH. Then writes what is meant by
 * absent fields (time in force, trigger source) and by a TRAILING_STOP's callback rate and
 * activation price (trailing delta, stop price). Doing it twice is harmless.
 */
MUST_USE enum err shape_order(struct order_place *cmd, struct refused *why);

/* An order of a list as a command of its own, and back. */
struct order_place shape_of_wish(const struct order_wish *wish, uint64_t account_id);
struct order_wish shape_to_wish(const struct order_place *cmd);
/* The new order of a replacement, and what was written into it back. */
struct order_place shape_of_replace(const struct order_replace *cmd);
void shape_into_replace(const struct order_place *from, struct order_replace *to);

#endif
