/*
 * store_restore_test.c - tables and journal lead back to the very same state, wherever it stopped.
 *
 * Random commands run through core, journal and tables on a real PostgreSQL. At random moments the
 * process "dies": everything is dropped as it stands, commits and projections in flight. What is
 * restored from the tables and the journal's tail must have the digest of a fresh ledger that was
 * given the whole journal from its first record, and hold everything that was acknowledged.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_parts.h"
#include "store_database.h"
#include "store_life.h"
#include "store_random.h"
#include "store_standby.h"
#include "wire/codec.h"

/* ---- The judge ---------------------------------------------------------------------------- */

static struct {
    struct ledger ledger;
    void *memory;
    struct outbox out;
    struct arena lists;
    uint64_t records;
} judge;

/* Finished orders are forgotten. */
static void
judge_settle(void)
{
    ledger_settle_nowhere(&judge.ledger);
    ledger_evict(&judge.ledger, INT64_MAX);
}

static void
judge_record(void *arg, const struct journal_record *r)
{
    (void)arg;
    struct msg cmd;
    arena_reset(&judge.lists);
    outbox_clear(&judge.out);
    cr_assert_eq(msg_unpack_payload(r->payload, r->payload_length, (enum msg_type)r->kind,
                                    &judge.lists, &cmd),
                 OK);
    cr_assert_eq(ledger_replay(&judge.ledger, &cmd, r->time_us, &judge.out), OK);
    /* A life wrote rows and forgot finished orders as it went on; its places would not do else. */
    if (++judge.records % 64 == 0)
        judge_settle();
}

static void
judge_done(void *arg, enum store_outcome outcome)
{
    cr_assert_eq(outcome, STORE_DONE);
    loop_stop(((struct life *)arg)->loop);
}

/* The digest of the whole journal in a fresh ledger. */
static uint64_t
judge_digest(void)
{
    struct ledger_limits usual = life_limits;
    life_limits.orders_max *= 2; /* one shard after the other: more are open than ever were */
    ledger_make(&judge.ledger, &judge.memory, &judge.out);
    life_limits = usual;
    judge.records = 0;
    arena_init(&judge.lists, aligned_alloc(16, 1 << 20), 1 << 20);
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++) {
        cr_assert(store_read(life.store, i, 0, 1000000, judge_record, judge_done, &life));
        loop_run(life.loop);
        judge_settle();
    }
    uint64_t hash = digest(&judge.ledger);
    free(judge.lists.bytes);
    ledger_free(judge.memory, &judge.out);
    return hash;
}

/* Whether rows that the commands must have made are there. */
static void
tables_have(void)
{
    static const char *const rows[] = {
        "ledger.trade WHERE evidence_is_stale",
        "ledger.\"order\" WHERE status > 2",
        "ledger.\"order\" WHERE status = 8", /* pending */
        "ledger.\"order\" WHERE type BETWEEN 4 AND 8 AND executed_quantity > 0",
        "ledger.\"order\" WHERE end_reason = 9",  /* the other order of a pair came first */
        "ledger.\"order\" WHERE end_reason = 10", /* what it waited for was not filled */
        "ledger.settings WHERE paper_balance >= balance_min",
        "ledger.settings WHERE fill_preset = 4 AND latency_spread_us = 0 AND seed <> 0",
        "ledger.order_story",
    };
    char sql[256];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(sql, sizeof sql, "SELECT count(*) > 5 FROM %s", rows[i]);
        cr_expect_str_eq(database_ask(sql), "t", "%s", rows[i]);
    }
}

/* All that the tables say; an empty balance says nothing. */
static void
tables_digest(char out[512])
{
    static const char sql[] =
        "SELECT concat_ws(' ', "
        "(SELECT md5(string_agg(t::text, ',' ORDER BY shard)) FROM ledger.shard AS t), "
        "(SELECT md5(string_agg(t::text, ',' ORDER BY account_id)) FROM ledger.account AS t), "
        "(SELECT md5(string_agg(t::text, ',' ORDER BY account_id, wallet)) "
        "FROM ledger.settings AS t), "
        "(SELECT md5(string_agg(t::text, ',' ORDER BY account_id, wallet, asset)) "
        "FROM ledger.balance AS t WHERE free <> 0 OR held <> 0), "
        "(SELECT md5(string_agg(t::text, ',' ORDER BY order_id)) FROM ledger.\"order\" AS t), "
        "(SELECT md5(string_agg(t::text, ',' ORDER BY trade_id)) FROM ledger.trade AS t), "
        "(SELECT md5(string_agg(t::text, ',' ORDER BY change_id)) FROM ledger.balance_change AS "
        "t), "
        "(SELECT md5(string_agg(t::text, ',' ORDER BY order_id)) FROM ledger.order_story AS t))";
    snprintf(out, 512, "%s", database_ask(sql));
}

/* The server ends the sessions that read the tables, until it was seen to have ended some. */
static int cuts;

static void
cut_readers(void)
{
    if (cuts == 3)
        return;
    const char *ended =
        database_ask("SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity "
                     "WHERE datname = current_database() AND query LIKE 'FETCH%'");
    cuts += strcmp(ended, "t") == 0;
}

/* From both, from the tables alone, from the journal alone: the same state and the same tables. */
static void
each_way_back_leads_to_the_same(void)
{
    char before[512], after[512];
    life_begin();
    until_projected();
    uint64_t state = digest(&life.ledger);
    tables_digest(before);
    life_end();

    life_begin();
    cr_expect(project_is_done(life.project), "nothing of the journal was needed");
    cr_expect_eq(digest(&life.ledger), state);
    life_end();

    cuts = 0;
    while_restoring = cut_readers;
    life_begin();
    while_restoring = NULL;
    cr_expect_eq(cuts, 3, "the connections were lost while the tables were read");
    cr_expect_eq(digest(&life.ledger), state);
    life_end();

    database_ask("TRUNCATE ledger.shard, ledger.account, ledger.settings, ledger.balance, "
                 "ledger.\"order\", ledger.trade, ledger.balance_change, ledger.order_story");
    life_begin();
    cr_expect_eq(digest(&life.ledger), state);
    until_projected();
    tables_digest(after);
    cr_expect_str_eq(before, after);
    life_end();
}

Test(store_restore, wherever_it_stops_it_comes_back_the_same, .timeout = 110)
{
    enum { LIVES = 40 };
    conninfo = database_make();
    for (int n = 0; n < LIVES; n++) {
        life_begin();
        for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
            cr_assert_geq(journal_applied(life.journal, i), acknowledged[i]);
        cr_assert_eq(digest(&life.ledger), judge_digest(), "life %d, %d records", n,
                     (int)judge.records);
        if (n == 0)
            for (uint64_t i = 1; i <= RANDOM_ACCOUNTS / 2; i++) {
                struct msg m = {.type = MSG_account_open, .corr = ++next_corr};
                m.account_open = (struct account_open){.account_id = i, .user_id = i};
                request(1, &m);
            }
        /* A few commands a turn, then a stop in the middle of whatever is going on. */
        uint64_t turns = 1 + roll(60);
        for (uint64_t t = 0; t < turns; t++) {
            for (uint64_t c = roll(30); c > 0 && journal_has_room(life.journal); c--)
                random_command(&life.ledger, loop_now_us(life.loop), request);
            if (roll(3) == 0 && !journal_is_empty(life.journal)) {
                loop_run(life.loop); /* until a commit */
            } else {
                run_ms((int64_t)roll(4));
            }
        }
        text_t why;
        cr_assert(ledger_check(&life.ledger, &why), "%s", why.text);
        life_end();
    }
    tables_have();
    each_way_back_leads_to_the_same();
    database_drop();
}

/* Another host's clock is a minute ahead of the one that the last owner wrote by. */
Test(store_restore, what_has_just_ended_is_known_to_a_successor_whose_clock_is_ahead)
{
    conninfo = database_make();
    life_begin();
    for (uint64_t i = 1; i <= RANDOM_ACCOUNTS / 2; i++) {
        struct msg m = {.type = MSG_account_open, .corr = ++next_corr};
        m.account_open = (struct account_open){.account_id = i, .user_id = i};
        request(1, &m);
    }
    for (int i = 0; i < 400 && journal_has_room(life.journal); i++)
        random_command(&life.ledger, loop_now_us(life.loop), request);
    until_projected();
    uint32_t known = life.ledger.orders_count, open = 0;
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        open += life.ledger.shards[i].open_orders;
    cr_assert_gt(known, open, "some have ended");
    life_end();
    database_ask("UPDATE ledger.journal SET time_us = time_us - 60000000");
    database_ask("UPDATE ledger.\"order\" SET created_us = created_us - 60000000, "
                 "updated_us = updated_us - 60000000");
    life_begin();
    cr_expect_eq(life.ledger.orders_count, known);
    life_end();
    database_drop();
}

Test(store_restore, a_changed_record_stops_the_start)
{
    conninfo = database_make();
    life_begin();
    struct msg m = {.type = MSG_account_open, .corr = 1};
    m.account_open = (struct account_open){.account_id = 7, .user_id = 7};
    request(1, &m);
    /* Nothing may be on its way to the tables: it would arrive behind what is deleted below. */
    while (!project_is_done(life.project))
        run_ms(1);
    life_end();
    database_ask("UPDATE ledger.journal SET time_us = time_us + 1");
    database_ask("DELETE FROM ledger.shard");
    database_ask("DELETE FROM ledger.settings");
    database_ask("DELETE FROM ledger.account");
    database_ask("DELETE FROM ledger.balance");
    database_ask("DELETE FROM ledger.balance_change");
    memset(acknowledged, 0, sizeof acknowledged);
    expected_why = "chain is broken";
    life_begin();
    life_end();
    database_drop();
}

/* ---- A standby ---------------------------------------------------------------------------- */

static void
some_commands(uint64_t turns)
{
    for (uint64_t t = 0; t < turns; t++) {
        for (uint64_t c = roll(30); c > 0 && journal_has_room(life.journal); c--)
            random_command(&life.ledger, loop_now_us(life.loop), request);
        run_ms((int64_t)roll(4));
    }
}

/* Behind the tables, whenever it began and however far they were. */
Test(store_restore, a_standby_that_follows_has_the_same_books, .timeout = 110)
{
    conninfo = database_make();
    life_begin();
    for (uint64_t i = 1; i <= RANDOM_ACCOUNTS / 2; i++)
        open_account(i);
    for (int n = 0; n < 6; n++) {
        some_commands(roll(60));
        standby_begin();
        uint64_t wait = roll(3);
        while (wait > 0 && !restore_is_following(standby.restore))
            run_ms(1);
        some_commands(40 * wait);
        while (!journal_is_empty(life.journal))
            run_ms(1);
        standby_take();
        standby_end();
        life_end();
        life_begin();
        cr_assert_eq(digest(&life.ledger), judge_digest(), "standby %d", n);
    }
    tables_have();
    life_end();
    database_drop();
}

/* A server that crashed may have lost what the standby saw in its tables. */
Test(store_restore, a_standby_ahead_of_the_tables_loads_them_anew)
{
    conninfo = database_make();
    life_begin();
    for (uint64_t i = 1; i <= RANDOM_ACCOUNTS / 2; i++)
        open_account(i);
    until_projected();
    life_end();
    database_ask("CREATE TABLE shards AS SELECT * FROM ledger.shard; "
                 "CREATE TABLE accounts AS SELECT * FROM ledger.account");
    life_begin();
    struct msg m = {.type = MSG_settings_set, .corr = ++next_corr};
    m.settings_set = (struct settings_set){.account_id = 1,
                                           .command_id = next_corr,
                                           .trading_type = TRADING_TYPE_futures,
                                           .leverage = 17};
    request(1, &m);
    until_projected();
    standby_begin();
    while (!restore_is_following(standby.restore))
        run_ms(1);
    database_ask("TRUNCATE ledger.shard, ledger.account; "
                 "INSERT INTO ledger.shard SELECT * FROM shards; "
                 "INSERT INTO ledger.account SELECT * FROM accounts; "
                 "UPDATE ledger.settings SET leverage = 1 WHERE leverage = 17");
    standby_take();
    cr_assert_str_eq(database_ask("SELECT count(*) FROM ledger.settings WHERE leverage = 17"), "1");
    standby_end();
    life_end();
    database_drop();
}
