/*
 * store_full_test.c - what lived in pools that were full comes back in pools of the same size, from
 * the tables and from the journal alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ledger/core/order.h"
#include "ledger_parts.h"
#include "store_database.h"
#include "store_life.h"
#include "store_random.h"

static void
tables_lost(void)
{
    database_ask("TRUNCATE ledger.shard, ledger.account, ledger.settings, ledger.balance, "
                 "ledger.\"order\", ledger.trade, ledger.balance_change, ledger.order_story");
}

/* By what the tables have, and by the journal alone. */
static void
comes_back(uint64_t state)
{
    life_end();
    life_begin();
    cr_expect_eq(digest(&life.ledger), state, "from the tables");
    life_end();
    tables_lost();
    life_begin();
    cr_expect_eq(digest(&life.ledger), state, "from the journal");
    until_projected();
    cr_expect_eq(digest(&life.ledger), state);
}

/* An account in the given shard. */
static uint64_t
account_in(uint32_t shard)
{
    uint64_t id = 1;
    while (ledger_shard_of(id) != shard)
        id++;
    open_account(id);
    return id;
}

static void
place(uint64_t account, int n)
{
    struct msg m = {.type = MSG_order_place, .corr = ++next_corr};
    m.order_place = (struct order_place){.account_id = account,
                                         .symbol = code_of("BTCUSDT"),
                                         .side = SIDE_BUY,
                                         .type = ORDER_TYPE_LIMIT,
                                         .time_in_force = TIME_IN_FORCE_GTC,
                                         .price = {RANDOM_PRICE},
                                         .quantity = {DECIMAL_ONE}};
    snprintf(m.order_place.client_order_id.text, CID_BYTES, "n%d", n);
    request(1, &m);
}

static void
end_orders_of(uint64_t account)
{
    struct ledger *l = &life.ledger;
    for (uint32_t i = 0; i < l->orders_reached; i++) {
        const struct ledger_order *o = &l->orders[i];
        if (!order_is_open(o) || l->accounts[o->account].id != account)
            continue;
        struct msg m = {.type = MSG_order_report};
        m.order_report = (struct order_report){
            .order_id = o->id, .end = ORDER_END_CLIENT_CANCEL, .was_pulled = true};
        request(0, &m);
    }
    until_projected();
    run_ms(2); /* what has ended is forgotten */
    cr_assert_eq(l->orders_count, 0);
}

/* One shard after the other, as their records lie in the journal, would need twice as many. */
Test(store_full, every_shard_had_all_the_orders_at_its_time)
{
    enum { ORDERS = 64 };
    static const uint32_t shards[] = {63, 0, 31, 1};
    struct ledger_limits usual = life_limits;
    life_limits.orders_max = ORDERS;
    life_limits.orders_high = 0;
    conninfo = database_make();
    life_begin();
    int n = 0;
    for (size_t i = 0; i < sizeof shards / sizeof shards[0]; i++) {
        uint64_t account = account_in(shards[i]);
        for (int round = 0; round < 3; round++) {
            while (life.ledger.orders_count < ORDERS)
                place(account, ++n);
            place(account, ++n);
            cr_assert_eq(life.ledger.orders_count, ORDERS, "nobody has room");
            if (round < 2 || i < 3)
                end_orders_of(account);
        }
    }
    until_projected();
    comes_back(digest(&life.ledger));
    cr_expect_eq(life.ledger.orders_count, ORDERS);
    life_end();
    database_drop();
    life_limits = usual;
}

/* A random life with room, and then pools of just what it needed. */
Test(store_full, nothing_needs_more_than_it_did_in_life, .timeout = 110)
{
    struct ledger_limits usual = life_limits;
    life_limits.orders_high = 0;
    conninfo = database_make();
    life_begin();
    for (uint64_t i = 1; i <= RANDOM_ACCOUNTS / 2; i++)
        open_account(i);
    const struct ledger *l = &life.ledger;
    uint32_t most = 0;
    for (int turn = 0; turn < 400; turn++) {
        for (uint64_t c = roll(30); c > 0 && journal_has_room(life.journal); c--) {
            random_command(&life.ledger, loop_now_us(life.loop), request);
            most = l->orders_count > most ? l->orders_count : most;
        }
        run_ms((int64_t)roll(4));
    }
    until_projected();
    life_limits.orders_max = most;
    life_limits.accounts_max = l->accounts_count - SYSTEM_KINDS * LEDGER_SHARDS;
    life_limits.balances_max = l->balances_count - LEDGER_TYPES * LEDGER_SHARDS;
    life_limits.assets_max = l->assets_count > 8 ? l->assets_count : 8;
    life_limits.symbols_max = l->symbols_count;
    life_limits.changes_max = life_limits.stories_max = 1024;
    comes_back(digest(l));
    life_end();
    database_drop();
    life_limits = usual;
}
