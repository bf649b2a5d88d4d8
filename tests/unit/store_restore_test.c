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

#include "ledger/shell/journal.h"
#include "ledger/shell/project.h"
#include "ledger/shell/restore.h"
#include "store_database.h"
#include "store_random.h"
#include "wire/codec.h"

#define LIMIT_MS  30000
#define OUT_SLOTS LEDGER_OUT_MAX

static const char *conninfo;
static uint64_t acknowledged[LEDGER_SHARDS]; /* seq that a released answer rests on */
static uint64_t next_corr;
static const char *expected_why = ""; /* part of the reason that a restore must give */

/* One life of a ledger process. */
struct life {
    struct loop *loop;
    struct loop_timer *limit, *tick;
    struct store *store;
    struct journal *journal;
    struct project *project;
    struct restore *restore;
    struct ledger ledger;
    void *memory;
    struct outbox out;
    bool owned[LEDGER_SHARDS];
    uint64_t epoch;
    bool is_restored;
};

static struct life life;

/* ---- A ledger ----------------------------------------------------------------------------- */

static void
ledger_make(struct ledger *l, void **memory, struct outbox *out)
{
    const struct ledger_limits limits = {
        .accounts_max = 100,
        .balances_max = 1000,
        .orders_max = 4000,
        .orders_high = 300,
        .assets_max = 16,
        .symbols_max = 8,
        .fills_max = 131072,
        .changes_max = 4096,
        .stories_max = 4096,
        .events_max = 1024,
        .waiters_max = 1024,
    };
    const struct ledger_policy policy = {
        .spot_opening = {INT64_C(1000000) * DECIMAL_ONE},
        .futures_opening = {INT64_C(1000) * DECIMAL_ONE},
        .slippage_max = {DECIMAL_ONE / 20},
        .fill_preset = FILL_PRESET_realistic,
        .orders_per_account_max = 100,
        .tiers_count = 1,
        .tiers = {{.maker_fee_rate = {DECIMAL_ONE / 1000},
                   .taker_fee_rate = {DECIMAL_ONE / 1000},
                   .balance_min = {10 * DECIMAL_ONE},
                   .balance_max = {INT64_C(10000000) * DECIMAL_ONE}}},
    };
    const struct symbol_rules rules = {.symbol = code_of("BTCUSDT"),
                                       .base_asset = code_of("BTC"),
                                       .quote_asset = code_of("USDT"),
                                       .is_trading = true};
    const struct md_price price = {.symbol = code_of("BTCUSDT"),
                                   .last = {RANDOM_PRICE},
                                   .average = {RANDOM_PRICE},
                                   .bid = {RANDOM_PRICE},
                                   .ask = {RANDOM_PRICE},
                                   .mark = {RANDOM_PRICE}};
    *memory = calloc(1, ledger_bytes(&limits));
    cr_assert_not_null(*memory);
    ledger_init(l, &limits, &policy, *memory);
    cr_assert_eq(ledger_set_rules(l, &rules), OK);
    ledger_set_price(l, &price);
    outbox_init(out, calloc(OUT_SLOTS, sizeof(struct out)), OUT_SLOTS,
                aligned_alloc(16, LEDGER_OUT_BYTES), LEDGER_OUT_BYTES);
}

static void
ledger_free(void *memory, struct outbox *out)
{
    free(memory);
    free(out->slots);
    free(out->lists.bytes);
}

static void
digest_sink(void *arg, const void *bytes, size_t length)
{
    uint64_t *hash = arg;
    const uint8_t *b = bytes;
    for (size_t i = 0; i < length; i++)
        *hash = (*hash ^ b[i]) * UINT64_C(1099511628211);
}

static uint64_t
digest(const struct ledger *l)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        ledger_digest(l, i, digest_sink, &hash);
    return hash;
}

/* ---- A life ------------------------------------------------------------------------------- */

static void
on_turn(void *arg)
{
    struct life *s = arg;
    journal_turn(s->journal, loop_steady_us(s->loop));
    if (s->project != NULL)
        project_turn(s->project, loop_steady_us(s->loop));
    if (s->restore != NULL && !s->is_restored)
        restore_turn(s->restore);
    ledger_evict(&s->ledger, loop_now_us(s->loop));
}

static void
on_limit(void *arg)
{
    (void)arg;
    cr_assert_fail("nothing happened for too long");
}

static void
stop(void *arg)
{
    loop_stop(((struct life *)arg)->loop);
}

static void
on_reply(void *arg, uint32_t peer, const uint8_t *data, size_t length)
{
    (void)arg, (void)peer, (void)length;
    cr_assert(data[0] != 0);
}

/* Everything up to here was durable before anybody heard of it. */
static void
on_committed(void *arg)
{
    struct life *s = arg;
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        acknowledged[i] = journal_committed(s->journal, i);
    loop_stop(s->loop);
}

static void
on_fenced(void *arg, const char *why)
{
    (void)arg;
    cr_assert_fail("fenced: %s", why);
}

static void
on_restored(void *arg, const char *why)
{
    struct life *s = arg;
    cr_assert(strstr(why, expected_why) != NULL && (expected_why[0] != '\0' || why[0] == '\0'),
              "%s", why);
    s->is_restored = true;
    loop_stop(s->loop);
}

static void
on_lease(void *arg, enum store_outcome outcome, uint64_t epoch)
{
    struct life *s = arg;
    cr_assert_eq(outcome, STORE_DONE);
    s->epoch = epoch;
    loop_stop(s->loop);
}

static void
ignore(void *arg)
{
    (void)arg;
}

static void
lease(struct life *s)
{
    s->store = store_pg_open(&(struct store_pg_options){
        .loop = s->loop,
        .conninfo = conninfo,
        .owner = "test",
        .watch = {.arg = s, .on_up = stop, .on_down = ignore, .on_fenced = ignore},
    });
    s->journal = journal_new(&(struct journal_options){
        .store = s->store,
        .records_max = 4096,
        .bytes_max = 4 << 20,
        .held_max = 8 * LEDGER_OUT_MAX,
        .delay_us = 500,
        .stall_us = 1000000,
        .arg = s,
        .on_reply = on_reply,
        .on_committed = on_committed,
        .on_fenced = on_fenced,
    });
    loop_on_turn(s->loop, on_turn, s);
    while (!store_is_up(s->store))
        loop_run(s->loop);
    while (s->epoch == 0) { /* the life before may still be ending at the server */
        cr_assert(store_lease_take(s->store, 1, on_lease, s));
        loop_run(s->loop);
    }
}

static void
life_begin(void)
{
    memset(&life, 0, sizeof life);
    struct life *s = &life;
    for (int i = 0; i < LEDGER_SHARDS; i++)
        s->owned[i] = true;
    s->loop = loop_new();
    s->limit = loop_timer_new(s->loop, LIMIT_MS, 0, on_limit, s);
    ledger_make(&s->ledger, &s->memory, &s->out);
    lease(s);
    s->project = project_open(&(struct project_options){.loop = s->loop,
                                                        .conninfo = conninfo,
                                                        .ledger = &s->ledger,
                                                        .journal = s->journal,
                                                        .epoch = s->epoch,
                                                        .interval_us = 3000,
                                                        .rows_max = 200,
                                                        .on_fenced = on_fenced});
    s->restore = restore_begin(&(struct restore_options){.loop = s->loop,
                                                         .conninfo = conninfo,
                                                         .store = s->store,
                                                         .ledger = &s->ledger,
                                                         .journal = s->journal,
                                                         .project = s->project,
                                                         .owned = s->owned,
                                                         .arg = s,
                                                         .on_done = on_restored});
    while (!s->is_restored)
        loop_run(s->loop);
    restore_end(&s->restore);
    /* In place of the wake times; not before, so that a restore that nobody wakes is found out. */
    s->tick = loop_timer_new(s->loop, 1, 1, ignore, s);
}

/* As a kill does: sockets close, whatever they were in the middle of. */
static void
life_end(void)
{
    struct life *s = &life;
    project_close(&s->project);
    store_close(&s->store);
    journal_destroy(&s->journal);
    loop_timer_end(&s->limit);
    loop_timer_end(&s->tick);
    loop_destroy(&s->loop);
    ledger_free(s->memory, &s->out);
}

static void
run_ms(int64_t ms)
{
    struct loop_timer *once = loop_timer_new(life.loop, ms, 0, stop, &life);
    loop_run(life.loop);
    loop_timer_end(&once);
}

/* ---- Commands ----------------------------------------------------------------------------- */

static void
request(uint32_t peer, struct msg *cmd)
{
    struct life *s = &life;
    cr_assert(ledger_ready(&s->ledger, &s->out));
    int64_t now_us = loop_now_us(s->loop);
    enum ledger_outcome outcome = ledger_request(&s->ledger, peer, cmd, now_us, &s->out);
    /* A fresh client id: the tables do not know it either. */
    if (outcome == LEDGER_LOOKUP && cmd->type == MSG_list_place)
        outcome = ledger_found_list(&s->ledger, peer, cmd, NULL, now_us, &s->out);
    else if (outcome == LEDGER_LOOKUP)
        outcome = ledger_found(&s->ledger, peer, cmd, NULL, now_us, &s->out);
    if (outcome == LEDGER_CHANGED) {
        journal_append(s->journal, (uint16_t)ledger_shard_of_cmd(cmd), cmd, code_of("test"),
                       now_us);
        project_note(s->project, cmd);
    }
    for (uint32_t i = 0; i < s->out.count; i++)
        if (s->out.slots[i].to == OUT_REPLY && s->out.slots[i].peer != 0)
            journal_reply(s->journal, s->out.slots[i].peer, &s->out.slots[i].msg);
    outbox_clear(&s->out);
}

/* ---- The judge ---------------------------------------------------------------------------- */

static struct {
    struct ledger ledger;
    void *memory;
    struct outbox out;
    struct arena lists;
    uint64_t records;
} judge;

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
    judge.records++;
}

static void
judge_done(void *arg, enum store_outcome outcome)
{
    cr_assert_eq(outcome, STORE_DONE);
    loop_stop(((struct life *)arg)->loop);
}

static void
no_account(void *arg, const struct account_row *row)
{
    (void)arg, (void)row;
}
static void
no_balance(void *arg, const struct balance_row *row)
{
    (void)arg, (void)row;
}
static void
no_order(void *arg, const struct order_row *row)
{
    (void)arg, (void)row;
}
static void
no_trade(void *arg, const struct trade_row *row)
{
    (void)arg, (void)row;
}
static void
no_change(void *arg, const struct change_row *row)
{
    (void)arg, (void)row;
}
static void
no_story(void *arg, const struct story_row *row)
{
    (void)arg, (void)row;
}

/* The digest of the whole journal in a fresh ledger. */
static uint64_t
judge_digest(void)
{
    const struct ledger_sink sink = {NULL,     no_account, no_balance, no_order,
                                     no_trade, no_change,  no_story};
    ledger_make(&judge.ledger, &judge.memory, &judge.out);
    judge.records = 0;
    arena_init(&judge.lists, aligned_alloc(16, 1 << 20), 1 << 20);
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++) {
        cr_assert(store_read(life.store, i, 0, 1000000, judge_record, judge_done, &life));
        loop_run(life.loop);
        ledger_projected(&judge.ledger, ledger_drain(&judge.ledger, &sink));
        ledger_evict(&judge.ledger, INT64_MAX);
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

static void
until_projected(void)
{
    while (!journal_is_empty(life.journal) || !project_is_done(life.project))
        run_ms(1);
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

static void
open_account(uint64_t id)
{
    struct msg m = {.type = MSG_account_open, .corr = ++next_corr};
    m.account_open = (struct account_open){.account_id = id, .user_id = id};
    request(1, &m);
}

/* The shard of account 7, and what the tables said of it at first. */
static struct {
    uint16_t shard;
    uint64_t stamp;
} watched;

/* Commands go on until the tables have some of them. */
static void
go_on(void *arg)
{
    struct msg m = {.type = MSG_settings_set, .corr = ++next_corr};
    if (project_stamp(life.project, watched.shard) != watched.stamp) {
        loop_stop(arg);
        return;
    }
    m.settings_set = (struct settings_set){.account_id = 7,
                                           .command_id = next_corr,
                                           .trading_type = TRADING_TYPE_futures,
                                           .leverage = (uint32_t)(next_corr % 100) + 1};
    if (journal_has_room(life.journal))
        request(1, &m);
}

/* Whether the stamp went back when the connection ended behind a write that no commit has put onto
 * the disk yet. Such a commit may still come first: then there is nothing to lose. */
static bool
goes_back(void)
{
    until_projected();
    watched.stamp = project_stamp(life.project, watched.shard);
    loop_on_turn(life.loop, go_on, life.loop);
    while (project_stamp(life.project, watched.shard) == watched.stamp)
        loop_run(life.loop);
    loop_off_turn(life.loop, go_on, life.loop);
    database_ask("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                 "WHERE application_name = 'tables' AND datname = current_database()");
    while (!project_is_idle(life.project)) {
        if (project_stamp(life.project, watched.shard) == watched.stamp)
            return true;
        run_ms(0);
    }
    return false;
}

/* A server that crashes may lose what it committed without waiting for its disk. */
Test(store_restore, stamps_go_back_when_what_they_stand_for_may_be_lost)
{
    conninfo = database_make();
    life_begin();
    open_account(7);
    watched.shard = (uint16_t)ledger_shard_of(7);
    int tries = 0;
    while (!goes_back())
        cr_assert_lt(++tries, 20, "it never went back");
    until_projected();
    cr_assert_eq(project_stamp(life.project, watched.shard),
                 journal_applied(life.journal, watched.shard));
    life_end();
    database_drop();
}
