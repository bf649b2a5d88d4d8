/*
 * match_parts_test.c - the ladder and the pool of orders against plain arrays; long reports.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "matcher/core/match.h"

#define KEYS 4000

static uint64_t dice = 88172645463325252u;

static uint64_t
roll(uint64_t n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice % n;
}

static void *
zeroed(size_t size)
{
    size = (size + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, size);
    memset(memory, 0, size);
    return memory;
}

/* ---- The ladder ----------------------------------------------------------------------------- */

/* Adds and removes at random, `adds` of 100 steps adding, and compares with a table of flags. */
static void
ladder_churn(struct ladder_nodes *n, struct ladder *l, bool *there, int steps, uint64_t adds)
{
    for (int i = 0; i < steps; i++) {
        int64_t key = (int64_t)roll(KEYS);
        if (there[key] && roll(100) >= adds) {
            ladder_remove(n, l, key - KEYS / 2);
            there[key] = false;
        } else if (!there[key] && roll(100) < adds) {
            cr_assert(ladder_add(n, l, key - KEYS / 2, (uint32_t)key));
            there[key] = true;
        }
        cr_assert_eq(ladder_find(n, l, key - KEYS / 2), there[key] ? (uint32_t)key : LADDER_NONE);
        if (i % 500 == 0)
            cr_assert_null(ladder_check(n, l), "%s", ladder_check(n, l));
    }
}

Test(ladder, holds_what_was_added_and_not_removed)
{
    static bool there[KEYS];
    uint32_t max = ladder_nodes_for(KEYS, 1);
    struct ladder_nodes n;
    struct ladder l;
    ladder_nodes_init(&n, zeroed(max * sizeof(struct ladder_node)), max);
    ladder_init(&l);
    static const uint64_t adds[] = {95, 50, 5, 80, 1, 99, 3, 60, 0};
    for (size_t i = 0; i < sizeof(adds) / sizeof(adds[0]); i++)
        ladder_churn(&n, &l, there, 40000, adds[i]);
    for (int64_t key = 0; key < KEYS; key++)
        if (there[key])
            ladder_remove(&n, &l, key - KEYS / 2);
    cr_assert_eq(l.count, 0);
    cr_assert_eq(n.used, 0, "%u nodes were lost", n.used);
    free(n.at);
}

Test(ladder, walks_from_the_best_to_the_worst)
{
    struct ladder_nodes n;
    struct ladder l;
    ladder_nodes_init(&n, zeroed(200 * sizeof(struct ladder_node)), 200);
    ladder_init(&l);
    for (uint32_t i = 0; i < 1000; i++)
        cr_assert(ladder_add(&n, &l, (int64_t)(i * 617 % 1000), i));
    struct ladder_at at;
    int64_t expected = 999;
    for (bool on = ladder_first(&l, &n, &at); on; on = ladder_next(&n, &at))
        cr_assert_eq(n.at[at.node].keys[at.i], expected--);
    cr_assert_eq(expected, -1);
    cr_assert_eq(ladder_worst(&n, &l), 0);
    ladder_clear(&n, &l);
    cr_assert_eq(n.used, 0);
    free(n.at);
}

Test(ladder, refuses_when_nodes_run_out_and_stays_whole)
{
    struct ladder_nodes n;
    struct ladder l;
    ladder_nodes_init(&n, zeroed(5 * sizeof(struct ladder_node)), 5);
    ladder_init(&l);
    int64_t added = 0;
    while (ladder_add(&n, &l, added, 1))
        added++;
    cr_assert(added >= LADDER_FANOUT);
    cr_assert_eq(l.count, (uint32_t)added);
    cr_assert_null(ladder_check(&n, &l));
    free(n.at);
}

/* ---- The pool of orders --------------------------------------------------------------------- */

Test(resting, finds_orders_by_ids_of_many_shards)
{
    enum { MAX = 3000 };
    static uint64_t ids[MAX];
    static uint64_t sequences[64];
    struct resting_pool p;
    resting_init(&p, MAX, zeroed(resting_bytes(MAX)));
    uint32_t count = 0;
    for (int i = 0; i < 200000; i++) {
        if (count < MAX && roll(100) < 52) {
            uint64_t shard = roll(64);
            ids[count] = shard << 47 | ++sequences[shard];
            cr_assert_eq(resting_find(&p, ids[count]), RESTING_NONE);
            uint32_t record = resting_new(&p, ids[count]);
            cr_assert(record < MAX && p.at[record].id == ids[count]);
            count++;
        } else if (count > 0) {
            uint32_t k = (uint32_t)roll(count);
            uint32_t record = resting_find(&p, ids[k]);
            cr_assert(record != RESTING_NONE && p.at[record].id == ids[k]);
            resting_free(&p, record);
            cr_assert_eq(resting_find(&p, ids[k]), RESTING_NONE);
            ids[k] = ids[--count];
        }
    }
    cr_assert_null(resting_check(&p));
    while (count < MAX)
        cr_assert(resting_new(&p, 1000000 + count++) != RESTING_NONE);
    cr_assert_eq(resting_new(&p, 7), RESTING_NONE, "a full pool took another order");
    cr_assert_null(resting_check(&p));
    free(p.at);
}

/* Orders of many shards bear ids that count alike: they must not crowd in the index. */
Test(resting, spreads_ids_that_differ_only_in_their_shard)
{
    enum { SHARDS = 64, EACH = 300, MAX = SHARDS * EACH };
    struct resting_pool p;
    resting_init(&p, MAX, zeroed(resting_bytes(MAX)));
    for (uint64_t i = 1; i <= EACH; i++)
        for (uint64_t shard = 0; shard < SHARDS; shard++)
            cr_assert_neq(resting_new(&p, shard << 47 | i), RESTING_NONE);
    uint32_t passed = 0, worst = 0;
    for (uint32_t l = 0; l <= p.index.mask; l++) {
        passed += p.index.passed[l];
        worst = p.index.passed[l] > worst ? p.index.passed[l] : worst;
    }
    cr_assert_lt(passed, MAX / 2, "%u of %u orders had to pass a full line", passed, MAX);
    cr_assert_lt(worst, 64, "a line was passed %u times", worst);
    cr_assert_null(resting_check(&p));
    free(p.at);
}

/* ---- Reports -------------------------------------------------------------------------------- */

struct world {
    struct match *match;
    struct outbox out;
    struct out outs[512];
    uint8_t lists[1 << 17] __attribute__((aligned(16)));
    struct frame frame;
};

static void
feed(struct world *w, const struct msg *m)
{
    outbox_clear(&w->out);
    w->frame.sequence++;
    match_apply(w->match, 1, &w->frame, m, 1, &w->out);
    cr_assert(!match_busy(w->match));
}

static void
order(struct world *w, uint64_t id, enum side side, int64_t quantity)
{
    struct msg m = {.type = MSG_order_work};
    m.order_work = (struct order_work){.order_id = id,
                                       .account_id = 1,
                                       .symbol = code_of("BTCUSDT"),
                                       .side = side,
                                       .type = ORDER_TYPE_LIMIT,
                                       .time_in_force = TIME_IN_FORCE_GTC,
                                       .price = {DECIMAL_ONE},
                                       .quantity = {quantity}};
    feed(w, &m);
}

Test(report, has_at_most_64_fills_and_only_the_last_one_ends_the_order)
{
    static struct world w;
    const struct match_limits limits = {
        .books = {.orders_max = 1000, .levels_max = 100, .house_levels_max = 100, .books_max = 4},
        .ledgers_max = 1,
        .silence_us = INT64_MAX,
        .ask_again_us = 1};
    w.match = match_init(&limits, zeroed(match_bytes(&limits)));
    outbox_init(&w.out, w.outs, 512, w.lists, sizeof(w.lists));
    w.frame = (struct frame){.sender = code_of("ledger-0"), .epoch = 1, .session = 1};
    feed(&w, &(struct msg){.type = MSG_link_hello});
    feed(&w, &(struct msg){.type = MSG_link_synced});
    for (uint64_t id = 1; id <= 200; id++)
        order(&w, id, SIDE_SELL, 1);
    order(&w, 999, SIDE_BUY, 200);
    uint32_t sizes[8], count = 0;
    for (uint32_t i = 0; i < w.out.count; i++) {
        const struct order_report *r = &w.out.slots[i].msg.order_report;
        if (r->order_id != 999)
            continue;
        cr_assert_eq(r->end, count == 3 ? ORDER_END_COMPLETE : ORDER_END_NONE);
        sizes[count++] = r->fills_count;
    }
    cr_assert_eq(count, 4);
    cr_assert(sizes[0] == 64 && sizes[1] == 64 && sizes[2] == 64 && sizes[3] == 8);
    cr_assert_eq(w.out.count, 204);
    cr_assert_null(match_check(w.match));
    free(w.match);
}
