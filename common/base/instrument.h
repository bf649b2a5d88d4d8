/*
 * instrument.h - the one name that an instrument has in a deployment, and the exchange's.
 *
 * Binance calls a pair and its USD-M perpetual alike. Here a spot pair has its name (BTCUSDT), the
 * perpetual the same with a mark (BTCUSDT_PERP, as Binance names its coin-margined ones), and a
 * delivery contract the exchange's own (BTCUSDT_240927). So spot names have no "_", and those of
 * USD-M have one. docs/decisions/0016.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_INSTRUMENT_H
#define SCRIP_BASE_INSTRUMENT_H

#include "base/msg.h"

#define INSTRUMENT_PERPETUAL "_PERP"

/* Whether this may be an instrument of that market. */
bool instrument_fits(enum trading_type market, code_t name);
/* Ours from the exchange's; false when there is no room for the mark. An empty one stays empty. */
bool instrument_from_exchange(enum trading_type market, code_t exchange, code_t *out);
/* The exchange's from ours. */
code_t instrument_at_exchange(code_t name);
/* As the exchange names its streams, in small letters; and back. */
code_t instrument_small(code_t exchange);
code_t instrument_large(code_t exchange);

#endif
