/*
 * flow.c - the generator of the stream, with the reference book that knows its answer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRICES    65536
#define PRICE_MIN 16
#define PRICE_MAX 65000
#define CENTER    32768
#define USERS     1000

struct reference_order {
    uint32_t id, price, quantity, prev, next, live_at;
    uint8_t side;
    uint16_t user;
};

struct reference {
    uint64_t dice;
    uint32_t next_id;
    struct reference_order *orders; /* by id */
    uint32_t *live;                 /* ids of what rests */
    uint32_t live_count;
    uint32_t head[2][PRICES], tail[2][PRICES], count[2][PRICES];
    uint32_t best[2], resting[2]; /* by side; best 0 = none */
};

static uint64_t
roll(struct reference *r)
{
    r->dice ^= r->dice >> 12;
    r->dice ^= r->dice << 25;
    r->dice ^= r->dice >> 27;
    return r->dice * UINT64_C(0x2545F4914F6CDD1D);
}

static uint32_t
below(struct reference *r, uint32_t n)
{
    return (uint32_t)(((roll(r) >> 32) * n) >> 32);
}

/* About geometric with this mean: -log2 of a random number, from its leading zeros and a straight
 * line through its next 16 bits. */
static uint32_t
distance(struct reference *r, uint32_t mean)
{
    uint64_t u = roll(r) | 1;
    int zeros = __builtin_clzll(u);
    uint64_t fraction = zeros < 63 ? (u << (zeros + 1)) >> 48 : 0;
    uint64_t log = ((uint64_t)(zeros + 1) << 16) - fraction;
    return (uint32_t)((log * UINT64_C(45426) * mean) >> 32); /* ln 2 = 45426 / 65536 */
}

static void
rest(struct reference *r, uint32_t id)
{
    struct reference_order *o = &r->orders[id];
    int s = o->side;
    uint32_t p = o->price;
    o->next = 0;
    o->prev = r->tail[s][p];
    if (o->prev != 0)
        r->orders[o->prev].next = id;
    else
        r->head[s][p] = id;
    r->tail[s][p] = id;
    r->count[s][p]++;
    o->live_at = r->live_count;
    r->live[r->live_count++] = id;
    r->resting[s]++;
    if (r->best[s] == 0 || (s == FLOW_BUY ? p > r->best[s] : p < r->best[s]))
        r->best[s] = p;
}

static void
drop(struct reference *r, uint32_t id)
{
    struct reference_order *o = &r->orders[id];
    int s = o->side;
    uint32_t p = o->price;
    if (o->prev != 0)
        r->orders[o->prev].next = o->next;
    else
        r->head[s][p] = o->next;
    if (o->next != 0)
        r->orders[o->next].prev = o->prev;
    else
        r->tail[s][p] = o->prev;
    uint32_t moved = r->live[--r->live_count];
    r->live[o->live_at] = moved;
    r->orders[moved].live_at = o->live_at;
    r->resting[s]--;
    if (--r->count[s][p] > 0 || p != r->best[s])
        return;
    r->best[s] = 0;
    if (r->resting[s] == 0)
        return;
    while (r->count[s][p] == 0)
        p = s == FLOW_BUY ? p - 1 : p + 1;
    r->best[s] = p;
}

/* Adds against cancels, steered so that the book keeps its depth. */
static enum flow_kind
next_kind(struct reference *r, uint64_t depth)
{
    uint32_t dice = below(r, 1000);
    if (dice < 100)
        return r->resting[0] < 4 || r->resting[1] < 4 ? FLOW_ADD : FLOW_TAKE;
    int64_t off = ((int64_t)depth - (int64_t)r->live_count) * 4000 / (int64_t)depth;
    int64_t adds = 475 + off;
    adds = adds < 100 ? 100 : adds > 800 ? 800 : adds;
    if (dice < 100 + adds)
        return FLOW_ADD;
    return r->live_count < 8 ? FLOW_ADD : FLOW_CANCEL;
}

static void
make_add(struct reference *r, struct flow_op *op, uint32_t mean)
{
    /* The thinner side gets the new order a little more often. */
    int64_t tilt =
        ((int64_t)r->resting[1] - (int64_t)r->resting[0]) * 500 / (int64_t)(r->live_count + 1);
    int s = (int64_t)below(r, 1000) < 500 + tilt ? FLOW_BUY : FLOW_SELL;
    uint32_t bid = r->best[0], ask = r->best[1];
    if (bid == 0)
        bid = ask != 0 ? ask - 1 : CENTER - 1;
    if (ask == 0)
        ask = r->best[0] != 0 ? bid + 1 : CENTER + 1;
    uint32_t gap = ask - bid, price;
    if (gap > 1 && below(r, 4) == 0) {
        uint32_t better = 1 + below(r, gap - 1 < 4 ? gap - 1 : 4);
        price = s == FLOW_BUY ? bid + better : ask - better;
    } else {
        uint32_t d = distance(r, mean);
        if (s == FLOW_BUY)
            price = bid > PRICE_MIN + d ? bid - d : PRICE_MIN;
        else
            price = ask + d < PRICE_MAX ? ask + d : PRICE_MAX;
    }
    struct reference_order *o = &r->orders[r->next_id];
    *o = (struct reference_order){.id = r->next_id, .price = price, .side = (uint8_t)s};
    o->quantity = 1 + below(r, 100);
    o->user = (uint16_t)(1 + below(r, USERS));
    *op = (struct flow_op){FLOW_ADD, o->side, o->user, o->id, price, o->quantity};
    rest(r, r->next_id++);
}

static void
make_cancel(struct reference *r, struct flow_op *op)
{
    uint32_t id = r->live[below(r, r->live_count)];
    const struct reference_order *o = &r->orders[id];
    *op = (struct flow_op){FLOW_CANCEL, o->side, o->user, id, o->price, o->quantity};
    drop(r, id);
}

static void
make_take(struct reference *r, struct flow *f, struct flow_op *op, uint32_t mean)
{
    /* Pulled back to the centre, so that prices keep to 16 bits. */
    int64_t off = (int64_t)(r->best[0] + r->best[1]) / 2 - CENTER;
    int64_t buys = 500 - off / 8;
    buys = buys < 200 ? 200 : buys > 800 ? 800 : buys;
    int s = (int64_t)below(r, 1000) < buys ? FLOW_BUY : FLOW_SELL, m = 1 - s;
    uint32_t slip = distance(r, mean / 10 + 1);
    uint32_t left = 1 + distance(r, 40), took = 0, limit;
    if (s == FLOW_BUY)
        limit = r->best[m] + slip;
    else
        limit = r->best[m] > slip + PRICE_MIN ? r->best[m] - slip : PRICE_MIN;
    if (limit > PRICE_MAX)
        limit = PRICE_MAX;
    uint32_t taker = r->next_id++;
    uint16_t user = (uint16_t)(1 + below(r, USERS));
    while (left > 0 && r->resting[m] > 1 &&
           (s == FLOW_BUY ? r->best[m] <= limit : r->best[m] >= limit)) {
        struct reference_order *maker = &r->orders[r->head[m][r->best[m]]];
        uint32_t fill = left < maker->quantity ? left : maker->quantity;
        f->hash = flow_hash(f->hash, maker->id, taker, maker->price, fill);
        f->trades++;
        left -= fill;
        took += fill;
        if (fill == maker->quantity)
            drop(r, maker->id);
        else
            maker->quantity -= fill;
    }
    *op = (struct flow_op){FLOW_TAKE, (uint8_t)s, user, taker, limit, took};
}

static void *
zeroed(uint64_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        perror("flow");
        exit(1);
    }
    return memory;
}

void
flow_make(struct flow *f, uint64_t seed, uint64_t depth, uint64_t count, uint32_t mean)
{
    uint64_t total = depth + count;
    *f = (struct flow){.preload = depth, .count = count, .hash = FLOW_HASH_INIT};
    f->ops = zeroed(total, sizeof(*f->ops));
    struct reference *r = zeroed(1, sizeof(*r));
    r->orders = zeroed(total + 2, sizeof(*r->orders));
    r->live = zeroed(total + 2, sizeof(*r->live));
    r->dice = seed * UINT64_C(0x9E3779B97F4A7C15) + UINT64_C(0x632BE59BD9B4E019);
    r->next_id = 1;
    for (uint64_t i = 0; i < total; i++) {
        switch (i < depth ? FLOW_ADD : next_kind(r, depth)) {
        case FLOW_ADD:
            make_add(r, &f->ops[i], mean);
            break;
        case FLOW_CANCEL:
            make_cancel(r, &f->ops[i]);
            break;
        case FLOW_TAKE:
            make_take(r, f, &f->ops[i], mean);
            break;
        }
    }
    f->id_max = r->next_id - 1;
    f->resting = r->live_count;
    free(r->orders);
    free(r->live);
    free(r);
}

/* ---- Files ---------------------------------------------------------------------------------- */

/* The head of a SCRFLOW1 file: 256 bytes, little-endian. */
struct head {
    char magic[8];
    uint32_t head_size, op_size;
    uint64_t seed, preload, count;
    uint32_t users, depth, mean, center, price_min, price_max, quantity_max, id_max;
    uint64_t adds, cancels, takes;
    uint64_t trades, volume, notional, hash, makers_done, resting;
    uint8_t rest[256 - 144];
};
_Static_assert(sizeof(struct head) == 256, "the head of a flow file");
_Static_assert(sizeof(struct flow_op) == 16, "its records");

bool
flow_read(struct flow *f, const char *path)
{
    struct head h;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    bool is_flow = fread(&h, sizeof(h), 1, file) == 1 && memcmp(h.magic, "SCRFLOW1", 8) == 0 &&
                   h.head_size == sizeof(h) && h.op_size == sizeof(struct flow_op) &&
                   h.preload < UINT32_MAX && h.count < UINT32_MAX;
    if (is_flow) {
        *f = (struct flow){.preload = h.preload,
                           .count = h.count,
                           .id_max = h.id_max,
                           .trades = h.trades,
                           .hash = h.hash,
                           .resting = h.resting};
        f->ops = zeroed(h.preload + h.count, sizeof(*f->ops));
        is_flow = fread(f->ops, sizeof(*f->ops), h.preload + h.count, file) == h.preload + h.count;
    }
    fclose(file);
    return is_flow;
}

void
flow_free(struct flow *f)
{
    free(f->ops);
    f->ops = NULL;
}
