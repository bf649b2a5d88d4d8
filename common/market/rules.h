/*
 * rules.h - the symbols' trading rules, read from a file in Binance's exchangeInfo layout.
 *
 * Takes a whole recorded exchangeInfo answer, spot or USD-M futures, new or old: NOTIONAL or
 * MIN_NOTIONAL, PERCENT_PRICE_BY_SIDE or PERCENT_PRICE. exchangeFilters are written into every
 * symbol's rules. Filters it does not know are skipped. A symbol with a contractType is a futures
 * symbol, and a perpetual one is named BTCUSDT_PERP here (one whose name leaves no room for that is
 * skipped).
 * This is only the loader; what the rules refuse is decided by the ledger's core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKET_RULES_H
#define SCRIP_MARKET_RULES_H

#include "base/msg.h"

#define RULES_WHY_BYTES 256
#define RULES_MAX       4000u /* what md_symbols can carry */

/*
 * Fills `out` with at most `max` symbols, sorted by name. Amounts are read from their text. A
 * largest quantity, price or notional beyond int64 becomes 0, which means no limit.
 * Refuses with FILE_UNREADABLE (also a file above 64 MB) or LINE_INVALID (not exchangeInfo JSON,
 * a symbol twice, a value that is not a decimal, more than `max` symbols, none at all) and says
 * in `why` what and where, as one sentence.
 */
MUST_USE enum err rules_load(const char *path, struct symbol_rules *out, uint32_t max,
                             uint32_t *count, char why[RULES_WHY_BYTES]);
/* The same from text in memory. */
MUST_USE enum err rules_read(const char *json, size_t length, struct symbol_rules *out,
                             uint32_t max, uint32_t *count, char why[RULES_WHY_BYTES]);
/* Puts one into a list that is sorted by name, in place of an older one; nothing happens when there
 * is no room. Gives whether the list differs from before. */
bool rules_put(struct symbol_rules *rules, uint32_t max, uint32_t *count,
               const struct symbol_rules *one);
/* By binary search; NULL when the symbol is not there. */
const struct symbol_rules *rules_find(const struct symbol_rules *rules, uint32_t count,
                                      code_t symbol);

#endif
