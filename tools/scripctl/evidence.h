/*
 * evidence.h - whether the fills of a report are allowed: by the order's limit, its worst price and
 * what they rest on.
 *
 * What follows from docs/fills.md alone, worked out without the matcher's code:
 *
 *   any fill      no worse than the limit or the worst price; not before the order was set off; not
 *                 more than is left of it, nor than its evidence shows
 *   maker         at its own price, of an order that may rest and has a rank
 *     DEPTH QUOTE what was displayed crosses its price, for the model `through` goes beyond it
 *     TRADE       the print is at its price or beyond, for `through` beyond
 *     USER        the other order's limit crosses its price
 *   taker         DEPTH QUOTE TRADE at the displayed price worsened by slippage_bps, never beyond
 *                 the order's limit; USER at the other order's price, without slippage. A
 *                 LIMIT_MAKER order takes only from another one at rest, when a lost session let
 *                 them cross
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_EVIDENCE_H
#define SCRIPCTL_EVIDENCE_H

#include "scripctl/shadow.h"

/* `o` is as it stands before the report. False, and why. */
bool evidence_allows(const struct shadow_order *o, const struct order_report *r, int64_t now_us,
                     char why[WHY_BYTES]);

#endif
