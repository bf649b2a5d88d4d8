/*
 * reply_read.h - members and values of what the exchange says; private to reply*.c.
 *
 * Each reader gives false for what is not there or not of its form. Amounts stay below a quarter of
 * int64, so that nobody behind overflows by adding a few.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_REPLY_READ_H
#define SCRIP_BRIDGE_CORE_REPLY_READ_H

#include "base/scan.h"
#include "exchange-bridge/core/reply.h"

#define AMOUNT_MAX (INT64_MAX / 4)

struct member {
    const char *name;
    struct slice *value; /* kind 0 when it is not there */
};
#define MEMBERS(list) list, sizeof(list) / sizeof((list)[0])

/* The named members of a whole object; others are passed over, one that comes twice is refused. */
bool members_read(struct slice object, const struct member *list, size_t count);
/* The same of a text that is one object. */
bool text_members(const char *json, size_t length, const struct member *list, size_t count);

/* Walks a list: false at its end and where it is broken; `is_whole` tells which. */
struct items {
    struct scan scan;
    bool has_begun, is_whole;
};
bool items_begin(struct items *it, struct slice list);
bool items_next(struct items *it, struct slice *out);

bool is_there(struct slice s); /* and not null */
bool read_true(struct slice s);
/* Of at most 23 characters, with nothing escaped in it. */
bool read_code(struct slice s, code_t *out);
/* One that is too long for any order of ours is left empty. */
bool read_client_id(struct slice s, cid_t *out);
/* 0 and above. */
bool read_amount(struct slice s, int64_t *out);
/* Below zero, too. */
bool read_signed(struct slice s, int64_t *out);
/* Of anything, whatever its sign: REFUSED is not of its form, TOO_LARGE more than is counted here.
 */
enum amount_kind { AMOUNT_FINE, AMOUNT_TOO_LARGE, AMOUNT_REFUSED };
enum amount_kind read_any_amount(struct slice s, int64_t *out);
/* What is behind the eighth decimal is cut off: an average. */
bool read_average(struct slice s, int64_t *out);
bool read_u32(struct slice s, uint32_t *out);
bool read_i64(struct slice s, int64_t *out);
/* Milliseconds, as microseconds. */
bool read_time(struct slice s, int64_t *out);
/* A sentence for people: what is not plain is replaced, what is too long is cut. */
void read_sentence(struct slice s, char out[128]);
/* ORDER_STATUS_NONE when it is none of ours. */
enum order_status read_status(struct slice s, qty_t executed);
/* The first trade ever of a symbol has the id 0, which is "absent" here: it is told as 1. */
bool read_trade_id(struct slice s, uint64_t *out);

/* What several texts have: an order of a REST reply. */
bool order_read(struct slice object, struct reply_order *out);

#endif
