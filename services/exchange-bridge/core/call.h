/*
 * call.h - what can be asked of the exchange: the calls, their parameters, and the bytes of a
 * query.
 *
 * A call is written as `name=value&...`, percent-encoded, without timestamp, recvWindow and
 * signature: those are the shell's, which signs the very bytes it sends. Amounts are written as
 * plain decimals. Everything goes in the query string, whatever the method.
 *
 * Source of the calls, their weights and parameters: Binance's API documents of spot (2026-07) and
 * of USD-M futures (2026-08).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_CALL_H
#define SCRIP_BRIDGE_CORE_CALL_H

#include "base/msg.h"

#define CALL_QUERY_BYTES 1024u

/* Rows of calls.def: CALL(NAME, market, method, path, weight, units, security, class, priority). */
enum call_name {
    CALL_NONE,
#define CALL(name, ...) CALL_##name,
#include "exchange-bridge/core/calls.def"
#undef CALL
    CALL_COUNT
};

/* What a lost answer means: a read may be asked again, a placement never, a cancel once asked. */
enum call_class { CALL_READS, CALL_PLACES, CALL_CANCELS, CALL_SETS };
enum call_security { CALL_PUBLIC, CALL_KEYED, CALL_SIGNED };
/* Of host/budget.h, in the same order. */
enum call_priority { CALL_BY_CANCEL, CALL_BY_ORDER, CALL_BY_SYNC, CALL_BY_READ };

struct call_facts {
    const char *name;
    enum trading_type market;
    const char *method, *path;
    uint32_t weight; /* at most, of the request limit */
    uint32_t units;  /* of the account's order limits */
    enum call_security security;
    enum call_class class_;
    enum call_priority priority;
};

/* Only the fields that the call takes; the others are 0. Queries and cancels name the order by the
 * exchange's id where it is known, else by the client's. */
struct call {
    enum call_name name;
    code_t symbol;     /* as Binance names it */
    struct order wish; /* placements: side, type, amounts, prices, time in force, reduce_only */
    cid_t client_id;   /* of the order at the exchange */
    uint64_t exchange_order_id;
    uint64_t from_id; /* trades from this id */
    uint32_t limit;
};

const struct call_facts *call_facts(enum call_name name);
/* How the order is called at the exchange: letters, digits, - and _, at most 36. It never changes:
 * `deployment` is 6 characters that one deployment keeps for ever. */
cid_t call_client_id(const char *deployment, uint64_t order_id);
/* And back: false when the id is none of this deployment's. */
bool call_order_id(const char *deployment, const cid_t *id, uint64_t *order_id);
/* Whether any deployment calls this order so: a restored database is another one. */
bool call_is_order(const cid_t *id, uint64_t order_id);
/* Whether the exchange has such an order; ERR_REAL_UNSUPPORTED with `field` when not. What passes
 * can be written. */
MUST_USE enum err call_judge_order(const struct order *o, enum trading_type market, code_t *field);
/* Writes the query, NUL-terminated; its length. CHECKs that it fits: every call does. */
size_t call_write(const struct call *c, char out[CALL_QUERY_BYTES]);

#endif
