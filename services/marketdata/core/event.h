/*
 * event.h - what a source says about the market, one thing at a time.
 *
 * Every source, recorded, synthetic or live, speaks in these; md_apply() takes them. Lists are
 * lent until the source is asked for its next event.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_EVENT_H
#define SCRIP_MARKETDATA_EVENT_H

#include "base/msg.h"

enum md_event_kind {
    MD_EVENT_NONE,        /* something was read that says nothing to us */
    MD_EVENT_TRADE,       /* `trade`, its time too */
    MD_EVENT_QUOTE,       /* `quote` */
    MD_EVENT_DIFF,        /* changed levels and their update ids */
    MD_EVENT_BOOK,        /* the whole book as of last_id */
    MD_EVENT_MARK,        /* `mark` */
    MD_EVENT_BEGIN,       /* the source starts (again) with this symbol at time_us */
    MD_EVENT_END,         /* the source has nothing more for this symbol */
    MD_EVENT_KLINE,       /* `kline` of `interval`: the exchange's own candle, open or closed */
    MD_EVENT_LIQUIDATION, /* `liquidation` */
    MD_EVENT_ALIVE,       /* nothing new, but this symbol's streams were proved to be there */
    MD_EVENT_GAP,    /* trades first_id to last_id are missing; the source asks for them and keeps
                        back the later ones */
    MD_EVENT_HEALED, /* all of them were given, but for `lost` that stay missing */
    MD_EVENT_AWAY,   /* the source hears nothing of this symbol: it is stale at once */
    MD_EVENT_KINDS
};

/* Best bid and ask; a price of 0 means that there is none. */
struct md_touch {
    uint64_t update_id; /* 0 where the exchange gives none */
    price_t bid, ask;
    qty_t bid_quantity, ask_quantity;
    int64_t time_us;
};

/* What positions are valued at. */
struct md_mark_price {
    price_t mark, index;
    rate_t funding_rate;
    int64_t funding_us; /* when it is next due; 0 = never */
};

/* A forced order that closed somebody's position. */
struct md_forced_order {
    enum side side;
    qty_t quantity, executed;
    price_t price, average_price;
};

struct md_event {
    enum md_event_kind kind;
    code_t symbol;     /* empty for a REST snapshot: the source knows whose it is */
    int64_t at_us;     /* when it was received: what paces a replay; 0 where unknown */
    int64_t time_us;   /* exchange time; 0 where the exchange gives none */
    bool is_aggregate; /* a trade of the aggregated stream */
    struct public_trade trade;
    uint64_t first_trade, last_trade; /* ids that an aggregated trade stands for; 0 = not told */
    struct md_touch quote;
    struct md_mark_price mark;
    struct candle kline;
    uint64_t kline_last_trade; /* id of the last trade in it; 0 = none, or not told */
    enum interval interval;
    struct md_forced_order liquidation;
    uint64_t lost;
    bool until_alive; /* AWAY: only a part of it is heard; what comes meanwhile does not end that,
                         ALIVE does */
    uint64_t first_id, last_id; /* update ids: U and u, or lastUpdateId */
    bool has_previous_id;       /* futures: diffs are chained by pu */
    uint64_t previous_id;
    const struct level *bids, *asks;
    uint32_t bid_count, ask_count;
};

#endif
