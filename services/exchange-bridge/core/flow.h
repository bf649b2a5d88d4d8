/*
 * flow.h - one real order at the exchange: placed at most once, cancelled, asked about.
 *
 * What goes in is a message, the answer to a call, or the time; what comes out is a call to make, a
 * report for the ledger, a time to be woken at. It keeps nothing over a restart: the ledger asks.
 *
 *     place ──► PLACING ──placed──────────► (fills told? ► TRADES) ──► OVER, report PLACED
 *                  │ ├────refused, not sent──────────────────────────► OVER, report REFUSED
 *                  │ └────nobody knows: report UNKNOWN ─► ASKING
 *     cancel ─► CANCELLING ──whatever was said──────────► ASKING
 *     ask ────► ASKING ──there it is──► (fills missing? ► TRADES) ──► OVER, report PLACED
 *                 │ ▲ ├─absent, twice, after the last moment───────► OVER, report NOT_PLACED
 *                 │ │ └─it was there, absent for a minute──────────► OVER, report EXPIRED
 *              not yet, or no answer
 *                 ▼ │ time
 *               PAUSING ──too long───────────────────────────────────► OVER, the ledger asks again
 *
 * The last moment is when nothing that was sent can be executed any more: send_by_us, then
 * recvWindow, the 10 s the exchange gives itself, and a margin for clocks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_FLOW_H
#define SCRIP_BRIDGE_CORE_FLOW_H

#include "exchange-bridge/core/reply.h"
#include "exchange-bridge/core/verdict.h"

#define FLOW_ENGINE_US   INT64_C(10000000)  /* the exchange gives its engine so long */
#define FLOW_MARGIN_US   INT64_C(5000000)   /* between clocks, and for what it tells late */
#define FLOW_GONE_US     INT64_C(60000000)  /* what is there may be invisible for a moment */
#define FLOW_PATIENCE_US INT64_C(120000000) /* after the last moment; then the ledger asks anew */

enum flow_state {
    FLOW_IDLE, /* over, or not begun */
    FLOW_PLACING,
    FLOW_CANCELLING,
    FLOW_ASKING,
    FLOW_TRADES, /* asking for its fills */
    FLOW_PAUSING,
};
enum flow_wish { FLOW_PLACE, FLOW_CANCEL, FLOW_ASK };

struct flow {
    enum flow_state state;
    enum trading_type market;
    uint64_t account_id;
    struct order order; /* as it goes out */
    cid_t client_id;
    int64_t send_by_us;
    bool was_placed; /* this process has asked for the placement: never again */
    bool is_cancel;  /* a cancel is wished and not sent */
    bool was_cancel; /* the report answers a cancel */
    bool told_unknown;
    uint32_t absent; /* after the last moment, in a row */
    int64_t gone_us; /* it was there: since when it is not; 0 = it is */
    uint32_t pauses; /* in a row */
    bool was_late;   /* the query under way left after the last moment */
    qty_t known;     /* fills that the ledger has */
    int64_t wake_us; /* PAUSING */
    int64_t give_up_us;
    qty_t counted;    /* TRADES: of the pages so far */
    uint64_t from_id; /* TRADES: the next page */
    struct {          /* TRADES: what the query said */
        uint64_t exchange_order_id;
        enum order_status status;
        qty_t quantity, executed;
        price_t price;
        int64_t time_us;
    } seen;
    enum err error; /* of what failed last, for the report */
    int64_t code;
    text_t message;
};

/* The answer to the call. */
struct flow_heard {
    struct ruling ruling;
    int64_t code;
    const char *message;
    const struct reply_order *order;   /* of placements, cancels, queries; NULL = none came */
    const struct exchange_fill *fills; /* of TRADES, with any executed_after */
    uint32_t fills_count, fills_there; /* read, and on the page */
};
/* Clocks: this machine's; the exchange's, 0 = not known. */
struct flow_clock {
    int64_t now_us, exchange_us, recv_window_us;
};
struct flow_out {
    bool has_call, has_report, is_over;
    struct call call;
    struct bridge_report report; /* its fills are lent until the next call */
    struct exchange_fill fills[REPLY_FILLS_MAX];
};

/* For an order that nothing was done about yet. */
void flow_init(struct flow *f, const struct bridge_place *m, const char *deployment);
/* A message about it: begins, joins what is under way, or is kept for later. `order` is as it is to
 * be sent. A second placement counts as a question. */
void flow_ask(struct flow *f, enum flow_wish wish, const struct order *order,
              const struct flow_clock *clock, struct flow_out *out);
void flow_answer(struct flow *f, const struct flow_heard *h, const struct flow_clock *clock,
                 struct flow_out *out);
/* When flow_wake() is due; 0 = not. */
int64_t flow_wake_us(const struct flow *f);
void flow_wake(struct flow *f, const struct flow_clock *clock, struct flow_out *out);

#endif
