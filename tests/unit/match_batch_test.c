/*
 * match_batch_test.c - which messages of a frame wait for each other, and that looking ahead
 * changes nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "matcher/shell/batch.h"

#define DEEP (BOOKS_AHEAD_MIN + 1000)

static struct match *match;
static struct outbox out;
static struct out outs[256];
static uint8_t lists[1 << 20] __attribute__((aligned(16)));
static const struct frame frame = {.sender = {"ledger-0"}, .epoch = 1, .session = 1, .sequence = 1};

static void
feed(const struct msg *m)
{
    match_apply(match, 1, &frame, m, 1, &out);
    cr_assert(!match_busy(match));
    outbox_clear(&out);
}

static struct msg
order(uint64_t id)
{
    struct msg m = {.type = MSG_order_work};
    m.order_work = (struct order_work){.order_id = id,
                                       .account_id = 1,
                                       .symbol = code_of("BTCUSDT"),
                                       .side = id % 2 == 0 ? SIDE_BUY : SIDE_SELL,
                                       .type = ORDER_TYPE_LIMIT,
                                       .time_in_force = TIME_IN_FORCE_GTC,
                                       .price = {DECIMAL_ONE * (id % 2 == 0 ? 1 : 2)},
                                       .quantity = {DECIMAL_ONE}};
    return m;
}

static struct msg
pull(uint64_t id)
{
    struct msg m = {.type = MSG_order_pull};
    m.order_pull.order_id = id;
    return m;
}

/* A match with so many orders resting. */
static void
open_match(uint64_t orders)
{
    const struct match_limits limits = {.books = {.orders_max = 2 * DEEP,
                                                  .levels_max = 100,
                                                  .house_levels_max = 10,
                                                  .books_max = 2},
                                        .ledgers_max = 1,
                                        .silence_us = INT64_MAX,
                                        .ask_again_us = 1};
    size_t size = (match_bytes(&limits) + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, size);
    memset(memory, 0, size);
    match = match_init(&limits, memory);
    outbox_init(&out, outs, 256, lists, sizeof(lists));
    feed(&(struct msg){.type = MSG_link_hello});
    feed(&(struct msg){.type = MSG_link_synced});
    for (uint64_t id = 1; id <= orders; id++) {
        struct msg m = order(id);
        feed(&m);
    }
}

static struct bus_in
in_of(const struct msg *m, bool is_last)
{
    return (struct bus_in){.frame = &frame, .msg = m, .peer = 1, .last = is_last};
}

Test(batch, holds_nothing_while_few_orders_rest)
{
    static struct batch b;
    open_match(100);
    struct msg m = pull(1);
    struct bus_in in = in_of(&m, false);
    cr_assert(!batch_wants(&b, match, &in));
    free(match);
}

Test(batch, holds_orders_and_pulls_until_the_frame_ends_or_it_is_full)
{
    static struct batch b;
    open_match(DEEP);
    struct msg first = pull(1), second = order(DEEP + 1);
    struct msg other = {.type = MSG_link_beat};
    struct bus_in alone = in_of(&first, true), begins = in_of(&first, false);
    struct bus_in ends = in_of(&second, true), beat = in_of(&other, false);
    cr_assert(!batch_wants(&b, match, &alone));
    cr_assert(!batch_wants(&b, match, &beat));
    cr_assert(batch_wants(&b, match, &begins));
    cr_assert(!batch_hold(&b, &begins));
    cr_assert(batch_wants(&b, match, &ends));
    cr_assert(batch_hold(&b, &ends));
    cr_assert(b.count == 2 && b.peer == 1 && b.frame.sequence == 1);
    cr_assert(b.msgs[0].type == MSG_order_pull && b.msgs[1].type == MSG_order_work);
    b.count = 0;
    for (uint32_t i = 1; i < MATCH_AHEAD_MAX; i++)
        cr_assert(!batch_hold(&b, &begins));
    cr_assert(batch_hold(&b, &begins), "no room for another");
    free(match);
}

Test(batch, looking_ahead_changes_nothing)
{
    open_match(DEEP);
    struct msg msgs[MATCH_AHEAD_MAX];
    uint64_t reports = match->counts.reports;
    for (uint32_t i = 0; i < MATCH_AHEAD_MAX; i++)
        msgs[i] = i % 3 == 0   ? order(DEEP + 1 + i)
                  : i % 3 == 1 ? pull(i)
                               : pull(UINT64_C(1) << 40 | i); /* unknown */
    msgs[0].order_work.symbol = code_of("NEVERSEEN");
    match_look_ahead(match, msgs, MATCH_AHEAD_MAX);
    cr_assert_eq(match->counts.reports, reports);
    cr_assert_eq(match->books.orders.used, DEEP);
    cr_assert_null(match_check(match), "%s", match_check(match));
    for (uint32_t i = 0; i < MATCH_AHEAD_MAX; i++)
        feed(&msgs[i]);
    cr_assert_eq(match->books.orders.used, DEEP);
    cr_assert_null(match_check(match), "%s", match_check(match));
    free(match);
}
