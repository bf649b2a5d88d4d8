/*
 * verdict.h - what an answer of the exchange means: one table over status, code and message.
 *
 * The rows are in verdicts.def, the first that fits decides; tests/unit/bridge_verdict_test.c has a
 * case for each. Source: Binance's error documents and what its clients have learnt.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_VERDICT_H
#define SCRIP_BRIDGE_CORE_VERDICT_H

#include "exchange-bridge/core/call.h"

enum verdict {
    VERDICT_OK,
    VERDICT_DONE,    /* it is so already: as good as OK (margin type, cancelled before) */
    VERDICT_REFUSED, /* final: not executed, and the same request never will be */
    VERDICT_KEY,     /* final, and the key is of no use: stop using it, tell its owner */
    VERDICT_CLOCK,   /* not executed: learn the exchange's time, sign anew, once */
    VERDICT_AGAIN,   /* not executed: the same request may be sent again, after a pause */
    VERDICT_LIMITED, /* not executed: wait as told */
    VERDICT_ABSENT,  /* a query: there is no such order (yet) */
    VERDICT_GONE,    /* a cancel: there is no such open order: ask what became of it */
    VERDICT_UNKNOWN, /* perhaps executed: find out, never resend a placement */
};

/* What came back of a call. */
struct answer {
    int status;          /* of HTTP; 0 = none */
    bool was_sent;       /* without a status: the exchange may have read it */
    bool timed_out;      /* without a status: nothing came in time */
    bool has_body;       /* the body is JSON of the form that belongs to the call */
    int64_t code;        /* of {"code":..,"msg":..}; 0 = none */
    const char *message; /* "" = none */
};

struct ruling {
    enum verdict verdict;
    enum err error; /* what the caller is told in the end; OK where it went well */
};

/* A 2xx whose body cannot be read is UNKNOWN for a placement and AGAIN for a read. */
struct ruling verdict_of(enum call_name call, const struct answer *a);
/* Which row decided, from 0, of how many: for logs and tests. */
uint32_t verdict_row(enum call_name call, const struct answer *a);
uint32_t verdict_rows(void);
const char *verdict_name(enum verdict v);

#endif
