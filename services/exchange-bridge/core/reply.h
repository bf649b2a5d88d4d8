/*
 * reply.h - what the exchange says, read: orders, trades, balances, positions, rules, brackets, and
 * the events of user data streams. No allocation; bytes of strangers: nothing is trusted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_REPLY_H
#define SCRIP_BRIDGE_CORE_REPLY_H

#include "exchange-bridge/core/call.h"

#define REPLY_FILLS_MAX 64u

#define REPLY_LISTEN_KEY_BYTES 128u

/* {"code":-1121,"msg":"..."} anywhere at the top; false when there is none. Codes of errors are
 * below zero. */
bool reply_error(const char *json, size_t length, int64_t *code, char message[128]);
bool reply_server_time(const char *json, size_t length, int64_t *time_us);
/* POST listenKey; fit to be a part of a URL. */
MUST_USE bool reply_listen_key(const char *json, size_t length, char out[REPLY_LISTEN_KEY_BYTES]);

/* An order as any reply or event tells it. All amounts are below a quarter of int64. */
struct reply_order {
    code_t symbol; /* as Binance names it */
    uint64_t exchange_order_id;
    cid_t client_id; /* the order's own, also where a cancel has one of its own */
    enum order_status status;
    qty_t quantity, executed;
    price_t price;
    int64_t time_us; /* when it last changed */
    uint32_t fills_count;
    /* Of a placement: from the first one on, counted up, perhaps not all that it has. Of an event:
     * the one that it tells. */
    struct exchange_fill fills[REPLY_FILLS_MAX];
};
/* Placement, query, cancel; of either market. */
MUST_USE bool reply_order(const char *json, size_t length, struct reply_order *out);

/* What openOrders tells of one of its orders. */
struct reply_open {
    cid_t client_id;
    enum order_status status;
    qty_t executed;
};
/* Those past `max` make it false. */
MUST_USE bool reply_open_orders(const char *json, size_t length, struct reply_open *out,
                                uint32_t max, uint32_t *count);

/* Trades of one order, oldest first. executed_after is counted from 0 at the first one of the list:
 * who reads on by pages adds what he had. Those past `max` are left; `there` counts them, too. */
MUST_USE bool reply_trades(enum trading_type market, const char *json, size_t length,
                           uint64_t exchange_order_id, struct exchange_fill *out, uint32_t max,
                           uint32_t *count, uint32_t *there);

struct reply_account {
    bool can_trade, can_withdraw; /* of spot; futures tell can_trade alone */
    int64_t time_us;
    uint32_t balances_count, positions_count, balances_max,
        positions_max;                   /* rooms are the caller's */
    struct exchange_balance *balances;   /* not zero; of an event: all that it names */
    struct exchange_position *positions; /* by our names */
    uint32_t left_out;                   /* whose name or amount is larger than anything here */
};
/* GET /api/v3/account, /fapi/v2/account and v3 (which tells no can_trade): `max` rooms are given,
 * what does not fit makes it false. `time_us` is when it last changed, 0 where that is not told.
 * Positions of both sides of one symbol are added. */
MUST_USE bool reply_account(enum trading_type market, const char *json, size_t length,
                            struct reply_account *out);

/* What a key may do, whatever its account may: of GET apiRestrictions. */
struct reply_rights {
    bool can_withdraw, can_trade_spot, can_trade_futures;
};
MUST_USE bool reply_rights(const char *json, size_t length, struct reply_rights *out);

/* One event of a user data stream. */
enum stream_event_kind {
    STREAM_EVENT_NONE,     /* of no concern here */
    STREAM_EVENT_ORDER,    /* executionReport, ORDER_TRADE_UPDATE */
    STREAM_EVENT_ACCOUNT,  /* outboundAccountPosition, ACCOUNT_UPDATE: only what changed */
    STREAM_EVENT_CHANGED,  /* balanceUpdate and its like: ask for the account */
    STREAM_EVENT_ENDED,    /* listenKeyExpired, eventStreamTerminated */
    STREAM_EVENT_SHUTDOWN, /* serverShutdown: connect anew at once */
    STREAM_EVENT_ANSWER,   /* to a request of ours: `id`, status in `code`, `error` */
};
struct stream_event {
    enum stream_event_kind kind;
    int64_t time_us; /* of the event */
    uint64_t id;
    int64_t code;  /* ANSWER: 200 = done */
    int64_t error; /* ANSWER: the exchange's error code, 0 = none */
    char message[128];
    struct reply_order order; /* with at most one fill */
    struct reply_account account;
};
/* `out->account`'s rooms are the caller's. False: not readable. What is readable and cannot be told
 * here (a status that is not known, more than there is room for, hedged positions) is CHANGED. */
MUST_USE bool reply_stream_event(enum trading_type market, const char *json, size_t length,
                                 struct stream_event *out);

/* exchangeInfo's limits: request weight a minute, orders of two windows; 0 = not told. */
struct reply_limits {
    uint32_t weight_1m;
    uint32_t orders_10s, orders_1m, orders_1d;
};
bool reply_limits(const char *json, size_t length, struct reply_limits *out);

/* One leverage bracket of a symbol; a cap of INT64_MAX is none. */
struct bracket {
    code_t symbol; /* as Binance names it */
    uint32_t bracket, leverage;
    money_t notional_floor, notional_cap, cumulative;
    rate_t maintenance_rate;
};
/* leverageBracket of all symbols or one; those past `max` make it false. */
MUST_USE bool reply_brackets(const char *json, size_t length, struct bracket *out, uint32_t max,
                             uint32_t *count);

#endif
