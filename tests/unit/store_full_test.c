/*
 * store_full_test.c - what lived in pools that were full comes back in pools of the same size, from
 * the tables and from the journal alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ledger/core/order.h"
#include "ledger_parts.h"
#include "store_database.h"
#include "store_life.h"
#include "store_random.h"
#include "store_standby.h"

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
}

static void
until_forgotten(void)
{
    while (life.ledger.orders_count > 0)
        run_ms(1);
}

static void
fill_up(uint64_t account, int *n)
{
    while (life.ledger.orders_count < life_limits.orders_max)
        place(account, ++*n);
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
            fill_up(account, &n);
            place(account, ++n);
            cr_assert_eq(life.ledger.orders_count, ORDERS, "nobody has room");
            if (round == 2 && i == 3)
                break;
            end_orders_of(account);
            until_forgotten();
        }
    }
    until_projected();
    comes_back(digest(&life.ledger));
    cr_expect_eq(life.ledger.orders_count, ORDERS);
    life_end();
    database_drop();
    life_limits = usual;
}

/* A process that began just then had no more of them, and all the room. */
Test(store_full, what_ended_just_before_a_start_takes_no_room)
{
    struct ledger_limits usual = life_limits;
    life_limits.orders_max = 64;
    life_limits.orders_high = 0;
    life_limits.keep_us = INT64_C(60000000);
    conninfo = database_make();
    life_begin();
    uint64_t account = account_in(7);
    int n = 0;
    fill_up(account, &n);
    end_orders_of(account);
    life_end();
    life_begin();
    cr_assert_eq(life.ledger.orders_count, 0);
    fill_up(account, &n);
    until_projected();
    comes_back(digest(&life.ledger));
    life_end();
    database_drop();
    life_limits = usual;
}

/* ---- A standby ---------------------------------------------------------------------------- */

static char reader[64], reader_conninfo[2100];

/* A role that reads the tables. */
static void
reader_make(void)
{
    char sql[512];
    snprintf(reader, sizeof reader, "scrip_store_reader_%d", (int)getpid());
    snprintf(reader_conninfo, sizeof reader_conninfo, "%s user='%s'", conninfo, reader);
    snprintf(sql, sizeof sql,
             "CREATE ROLE %s LOGIN; GRANT USAGE ON SCHEMA ledger TO %s; "
             "GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO %s",
             reader, reader, reader);
    database_ask(sql);
}

static void
reader_drop(void)
{
    char sql[128];
    database_drop();
    snprintf(sql, sizeof sql, "DROP ROLE %s", reader);
    database_ask(sql);
}

/* How many connections it may have. */
static void
reader_limit(int count)
{
    char sql[128];
    snprintf(sql, sizeof sql, "ALTER ROLE %s CONNECTION LIMIT %d", reader, count);
    database_ask(sql);
}

static void
until_reader_has(int count)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT count(*) >= %d FROM pg_stat_activity WHERE usename = '%s'",
             count, reader);
    while (strcmp(database_ask(sql), "t") != 0)
        run_ms(1);
}

/* All orders are one account's, and then another's. */
static void
hand_over(const uint64_t *accounts, uint32_t *has_all, uint32_t to, int *n)
{
    end_orders_of(accounts[*has_all]);
    until_forgotten();
    *has_all = to;
    fill_up(accounts[to], n);
    until_projected();
}

/* A standby reads the tables over several connections while their owner writes on: one of them is
 * there at once, the others when another shard has all the orders. */
Test(store_full, a_standby_has_room_for_what_its_owner_had, .timeout = 110)
{
    enum { ORDERS = 64, ACCOUNTS = 4 };
    static const uint32_t shards[ACCOUNTS] = {0, 63, 31, 40};
    struct ledger_limits usual = life_limits;
    life_limits.orders_max = ORDERS;
    life_limits.orders_high = 0;
    conninfo = database_make();
    const char *own = conninfo;
    reader_make();
    life_begin();
    uint64_t accounts[ACCOUNTS];
    for (uint32_t i = 0; i < ACCOUNTS; i++)
        accounts[i] = account_in(shards[i]);
    int n = 0;
    uint32_t has_all = 0;
    for (uint32_t first = 0; first < ACCOUNTS; first++) {
        hand_over(accounts, &has_all, first, &n);
        reader_limit(2); /* one follows the stamps */
        conninfo = reader_conninfo;
        standby_begin();
        conninfo = own;
        until_reader_has(2);
        hand_over(accounts, &has_all, (first + 1) % ACCOUNTS, &n);
        reader_limit(-1);
        for (uint32_t more = 0; more < 2 || !restore_is_following(standby.restore); more++)
            hand_over(accounts, &has_all, (has_all + 1) % ACCOUNTS, &n);
        standby_take();
        standby_end();
        life_end();
        life_begin();
        cr_assert_eq(life.ledger.orders_count, ORDERS);
    }
    life_end();
    reader_drop();
    life_limits = usual;
}

/* ---- Any life ----------------------------------------------------------------------------- */

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
