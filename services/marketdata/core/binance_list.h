/*
 * binance_list.h - lists that Binance's REST answers hold, item by item: trades and klines.
 *
 * Takes trades, historicalTrades, aggTrades and klines, spot and futures. Nothing is built: the
 * answer is walked as its items are asked for. (depth is read by binance_json().)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_BINANCE_LIST_H
#define SCRIP_MARKETDATA_BINANCE_LIST_H

#include "base/scan.h"
#include "marketdata/core/event.h"

enum binance_items { BINANCE_TRADES, BINANCE_AGG_TRADES, BINANCE_KLINES };

struct binance_list {
    enum binance_items items;
    enum interval interval; /* of klines */
    struct scan scan;
    bool has_item, is_over;
    enum err why; /* LINE_INVALID once something was malformed */
};

/* Borrows the text. */
void binance_list_begin(struct binance_list *l, enum binance_items items, enum interval interval,
                        const char *json, size_t length);
/*
 * The next item as an MD_EVENT_TRADE, or an MD_EVENT_KLINE of which is_closed is not told (false);
 * the symbol is left to the caller. False at the end, or at what is malformed: see `why`.
 */
bool binance_list_next(struct binance_list *l, struct md_event *out);
/* Whether another item follows. */
bool binance_list_has_more(const struct binance_list *l);

#endif
