/*
 * flow.h - one deterministic stream of orders for measuring matching engines, and its answer.
 *
 * The stream is the public SCRFLOW1 one: integer arithmetic only, so that one seed gives the same
 * operations on every machine, and a price-time engine the same trades. The first `preload`
 * operations build the book and are not measured. Ids are dense; a TAKE is sized to be filled in
 * full on arrival; a CANCEL names an order that rests. The expected trades come from a reference
 * book of its own, as a hash over all of them in order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BENCH_FLOW_H
#define SCRIP_BENCH_FLOW_H

#include <stdbool.h>
#include <stdint.h>

enum flow_kind { FLOW_ADD, FLOW_CANCEL, FLOW_TAKE };
enum flow_side { FLOW_BUY, FLOW_SELL };

/* The record of the file format, field by field. */
struct flow_op {
    uint8_t kind, side;
    uint16_t user;
    uint32_t id, price, quantity; /* ticks and lots */
};

struct flow {
    uint64_t preload, count; /* of operations; `ops` holds both */
    struct flow_op *ops;
    uint32_t id_max;
    uint64_t trades, hash, resting; /* what an engine must answer */
};

#define FLOW_HASH_INIT UINT64_C(0x9E3779B97F4A7C15)

static inline uint64_t
flow_hash(uint64_t hash, uint64_t maker, uint64_t taker, uint64_t price, uint64_t quantity)
{
    uint64_t x = (maker << 32 | taker) ^ (price << 24) * UINT32_C(0x9E3779B1) ^ quantity;
    hash = (hash ^ x) * UINT64_C(0xD6E8FEB86659FD93);
    return hash ^ (hash >> 32);
}

/* `depth` orders are kept resting, at a mean distance of `mean` ticks from the touch. */
void flow_make(struct flow *f, uint64_t seed, uint64_t depth, uint64_t count, uint32_t mean);
/* Reads a SCRFLOW1 file; false when it is none. */
bool flow_read(struct flow *f, const char *path);
void flow_free(struct flow *f);

#endif
