/*
 * store_pg_test.c - the journal's store on a real PostgreSQL: append, read, lease, fence, and
 * commits whose outcome is lost with the connection.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/store.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/journal.h"
#include "store_database.h"

#define LIMIT_MS 20000
#define START_US INT64_C(1700000000000000)
#define HOUR_US  INT64_C(3600000000)

struct owner {
    struct loop *loop;
    struct store *store;
    struct loop_timer *limit;
    char heard[256]; /* U up, D down, F fenced, L lease; d done, l lost, t taken, f fenced ... */
    uint64_t epoch;
    uint32_t read_count;
    struct journal_record last;
    uint8_t last_payload[64];
};

static struct owner one, two;
static const char *conninfo;

static void
hear(struct owner *o, char c)
{
    size_t length = strlen(o->heard);
    cr_assert_lt(length, sizeof o->heard - 1);
    o->heard[length] = c;
    loop_stop(o->loop);
}

/* Runs until one of these was heard; the last one decides. */
static void
await(struct owner *o, char c)
{
    while (strchr(o->heard, c) == NULL)
        loop_run(o->loop);
    o->heard[0] = '\0';
    memset(o->heard, 0, sizeof o->heard);
}

static void
on_up(void *arg)
{
    hear(arg, 'U');
}

static void
on_down(void *arg)
{
    hear(arg, 'D');
}

static void
on_fenced(void *arg)
{
    hear(arg, 'F');
}

static void
on_limit(void *arg)
{
    (void)arg;
    cr_assert_fail("nothing was heard for too long");
}

static void
on_lease(void *arg, enum store_outcome outcome, uint64_t epoch)
{
    struct owner *o = arg;
    cr_assert_eq(outcome, STORE_DONE);
    o->epoch = epoch;
    hear(o, 'L');
}

static void
on_done(void *arg, enum store_outcome outcome)
{
    hear(arg, "dltfrg"[outcome]);
}

static void
on_record(void *arg, const struct journal_record *r)
{
    struct owner *o = arg;
    o->read_count++;
    o->last = *r;
    memcpy(o->last_payload, r->payload, r->payload_length);
    o->last.payload = o->last_payload;
}

static void
owner_open(struct owner *o, const char *name)
{
    memset(o, 0, sizeof *o);
    o->loop = loop_new();
    o->limit = loop_timer_new(o->loop, LIMIT_MS, 0, on_limit, o);
    o->store = store_pg_open(&(struct store_pg_options){
        .loop = o->loop,
        .conninfo = conninfo,
        .group = 3,
        .owner = name,
        .watch = {.arg = o, .on_up = on_up, .on_down = on_down, .on_fenced = on_fenced},
    });
    await(o, 'U');
}

static void
owner_close(struct owner *o)
{
    if (o->loop == NULL)
        return;
    store_close(&o->store);
    loop_timer_end(&o->limit);
    loop_destroy(&o->loop);
}

static uint64_t
lease_at(struct owner *o, int64_t now_us)
{
    cr_assert(store_lease_take(o->store, now_us, on_lease, o));
    await(o, 'L');
    return o->epoch;
}

static uint64_t
lease(struct owner *o)
{
    return lease_at(o, START_US);
}

static void
begin(void)
{
    conninfo = database_make();
    memset(&two, 0, sizeof two);
    owner_open(&one, "one");
}

static void
end(void)
{
    owner_close(&one);
    owner_close(&two);
    database_drop();
}

TestSuite(store_pg, .init = begin, .fini = end);

static struct journal_record
record(uint16_t shard, uint64_t seq)
{
    static const uint8_t payload[] = {0x81, 0x00, 0xff, 0x07};
    struct journal_record r = {.shard = shard,
                               .kind = MSG_order_place,
                               .seq = seq,
                               .time_us = START_US + 1,
                               .corr = UINT64_C(0xf000000000000001),
                               .source = code_of("gateway-0"),
                               .payload = payload,
                               .payload_length = sizeof payload};
    memset(r.hash, (int)seq, sizeof r.hash);
    return r;
}

static void
append_after(struct owner *o, uint16_t shard, uint64_t first, uint32_t count,
             const struct journal_record *after)
{
    struct journal_record records[16];
    for (uint32_t i = 0; i < count; i++)
        records[i] = record(shard, first + i);
    cr_assert(store_append(o->store, records, count, after, on_done, o));
}

static void
append(struct owner *o, uint16_t shard, uint64_t first, uint32_t count)
{
    append_after(o, shard, first, count, NULL);
}

/* Two appends at once, the second behind the last record of the first; what was heard of them. */
static void
append_two(struct owner *o, uint64_t first, const char *heard)
{
    append(o, 5, first, 3);
    const struct journal_record last = record(5, first + 2);
    append_after(o, 6, first, 2, &last);
    while (strlen(o->heard) < 2)
        loop_run(o->loop);
    cr_expect_str_eq(o->heard, heard);
    memset(o->heard, 0, sizeof o->heard);
}

static uint32_t
count_read(struct owner *o, uint16_t shard, uint64_t after)
{
    o->read_count = 0;
    cr_assert(store_read(o->store, shard, after, 1000, on_record, on_done, o));
    await(o, 'd');
    return o->read_count;
}

Test(store_pg, what_was_appended_is_read_back_byte_for_byte)
{
    cr_assert_eq(lease(&one), 1);
    append(&one, 5, 1, 3);
    await(&one, 'd');
    append(&one, 63, 1, 1);
    await(&one, 'd');
    cr_expect_eq(count_read(&one, 5, 0), 3);
    cr_expect_eq(count_read(&one, 5, 2), 1);
    cr_expect_eq(count_read(&one, 6, 0), 0);
    cr_expect_eq(count_read(&one, 63, 0), 1);
    struct journal_record want = record(63, 1);
    cr_expect_eq(one.last.time_us, want.time_us);
    cr_expect_eq(one.last.corr, want.corr);
    cr_expect_eq(one.last.kind, want.kind);
    cr_expect(code_same(one.last.source, want.source));
    cr_expect_eq(one.last.payload_length, want.payload_length);
    cr_expect_arr_eq(one.last.payload, want.payload, want.payload_length);
    cr_expect_arr_eq(one.last.hash, want.hash, HASH_BYTES);
    cr_expect_str_eq(database_ask("SELECT min(epoch) FROM ledger.journal"), "1");
}

/* A process that ends while it restores. */
Test(store_pg, reads_under_way_end_with_the_store)
{
    for (int i = 0; i < STORE_READS_MAX; i++)
        cr_assert(store_read(one.store, 5, 0, 1000, on_record, on_done, &one));
    cr_assert_not(store_read(one.store, 5, 0, 1000, on_record, on_done, &one));
    await(&one, 'd');
    cr_assert(store_read(one.store, 5, 0, 1000, on_record, on_done, &one));
}

Test(store_pg, a_batch_is_all_or_nothing)
{
    lease(&one);
    append(&one, 5, 1, 3);
    await(&one, 'd');
    append(&one, 5, 3, 4); /* its first number is taken */
    await(&one, 't');
    cr_expect_eq(count_read(&one, 5, 0), 3);
    append(&one, 5, 4, 1);
    await(&one, 'd');
    cr_expect_eq(count_read(&one, 5, 0), 4);
}

Test(store_pg, a_second_append_follows_the_first_on_its_way)
{
    lease(&one);
    append_two(&one, 1, "dd");
    cr_expect_eq(count_read(&one, 5, 0), 3);
    cr_expect_eq(count_read(&one, 6, 0), 2);
}

Test(store_pg, behind_a_first_append_that_failed_the_second_writes_nothing)
{
    lease(&one);
    append(&one, 5, 1, 1);
    await(&one, 'd');
    append_two(&one, 1, "tg"); /* its first number is taken */
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.journal"), "1");
}

static void
append_at(struct owner *o, uint64_t seq, int64_t time_us, char heard)
{
    struct journal_record r = record(5, seq);
    r.time_us = time_us;
    cr_assert(store_append(o->store, &r, 1, NULL, on_done, o));
    await(o, heard);
}

Test(store_pg, what_finds_no_partition_is_refused_and_has_one_when_it_comes_again)
{
    lease(&one);
    append_at(&one, 1, START_US + 100 * HOUR_US, 'd'); /* made ahead */
    int64_t far_us = START_US + 100000 * HOUR_US;
    append_at(&one, 2, far_us, 'r');
    append_at(&one, 2, far_us, 'd');
    append_at(&one, 3, START_US + 5000 * HOUR_US, 'r'); /* between those that are there */
    append_at(&one, 3, START_US + 5000 * HOUR_US, 'd');
    cr_expect_eq(count_read(&one, 5, 0), 3);
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.partitions AS a JOIN "
                                  "ledger.partitions AS b ON a.from_us < b.to_us AND "
                                  "b.from_us < a.to_us AND a.name <> b.name"),
                     "0");
}

Test(store_pg, the_newest_time_comes_with_the_lease)
{
    lease(&one);
    cr_expect_eq(store_newest_us(one.store), 0);
    append(&one, 5, 1, 1);
    await(&one, 'd');
    append_at(&one, 2, START_US + HOUR_US, 'd');
    owner_close(&one);
    owner_open(&one, "one");
    while (lease(&one) == 0)
        ; /* the session before may still be ending */
    cr_expect_eq(store_newest_us(one.store), START_US + HOUR_US);
}

Test(store_pg, a_time_whose_part_of_the_journal_is_archived_is_the_end)
{
    lease(&one);
    database_ask("INSERT INTO ledger.archive VALUES (5, 1, 9, decode(repeat('00', 32), 'hex'), "
                 "decode(repeat('09', 32), 'hex'), 'journal_old', 1600000000000000, "
                 "1700000000000000, 'a', decode(repeat('00', 32), 'hex'))");
    struct journal_record r = record(5, 10);
    const struct journal_record archived = record(5, 9);
    cr_assert(store_append(one.store, &r, 1, &archived, on_done, &one));
    await(&one, 'd'); /* it follows what is archived */
    r.seq = 11;
    r.time_us = START_US - HOUR_US * 1000;
    cr_assert(store_append(one.store, &r, 1, NULL, on_done, &one));
    await(&one, 'F');
}

Test(store_pg, another_record_in_the_place_of_the_one_to_follow_is_a_gap)
{
    lease(&one);
    append(&one, 5, 1, 1);
    await(&one, 'd');
    struct journal_record other = record(5, 1);
    other.hash[31] ^= 1;
    append_after(&one, 6, 1, 1, &other);
    await(&one, 'g');
    cr_expect_eq(count_read(&one, 6, 0), 0);
}

Test(store_pg, a_deposed_writer_with_two_appends_on_their_way_writes_nothing)
{
    lease(&one);
    append_two(&one, 1, "dd");
    database_ask("UPDATE ledger.lease SET epoch = epoch + 1 WHERE shard_group = 3");
    append_two(&one, 4, "ff");
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.journal"), "5");
}

Test(store_pg, only_one_session_has_the_lease)
{
    cr_assert_eq(lease(&one), 1);
    owner_open(&two, "two");
    cr_assert_eq(lease(&two), 0);
    owner_close(&one);
    one.loop = NULL;
    while (lease(&two) == 0)
        ; /* the server needs a moment to see the socket closed */
    cr_expect_eq(two.epoch, 2);
    cr_expect_str_eq(database_ask("SELECT owner FROM ledger.lease WHERE shard_group = 3"), "two");
}

Test(store_pg, a_deposed_writer_writes_nothing)
{
    lease(&one);
    append(&one, 5, 1, 1);
    await(&one, 'd');
    /* Somebody raised the epoch while this process was paused. */
    database_ask("UPDATE ledger.lease SET epoch = epoch + 1 WHERE shard_group = 3");
    append(&one, 5, 2, 1);
    await(&one, 'f');
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.journal"), "1");
}

Test(store_pg, an_epoch_waits_for_the_write_that_was_checked_against_the_old_one)
{
    lease(&one);
    PGconn *writer = PQconnectdb(conninfo), *taker = PQconnectdb(conninfo);
    PQclear(PQexec(writer, "BEGIN"));
    PQclear(PQexec(writer, "SELECT ledger.fence(3, 1)"));
    /* It ends a little later; until then the lease is not to be had. Other tests have databases. */
    const char *gone =
        "SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_database d "
        "ON d.oid = l.database WHERE d.datname = current_database() AND "
        "l.locktype = 'advisory' AND l.classid = 1 AND l.granted";
    while (strcmp(database_ask(gone), "0") != 0)
        ;
    cr_assert_eq(PQsendQuery(taker, "SELECT ledger.lease_take(3, 'taker', 1)"), 1);
    while (strcmp(database_ask("SELECT count(*) FROM pg_locks WHERE NOT granted"), "0") == 0)
        ;
    cr_expect_str_eq(database_ask("SELECT epoch FROM ledger.lease"), "1");
    PGresult *r = PQexec(writer, "COMMIT");
    cr_expect_eq(PQresultStatus(r), PGRES_COMMAND_OK);
    PQclear(r);
    r = PQgetResult(taker);
    cr_expect_str_eq(PQgetvalue(r, 0, 0), "2");
    PQclear(r);
    PQfinish(writer);
    PQfinish(taker);
}

Test(store_pg, after_a_broken_session_the_owner_goes_on_under_its_epoch)
{
    lease(&one);
    database_ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                 "WHERE application_name = 'journal' AND datname = current_database()");
    await(&one, 'D');
    cr_expect_not(store_is_up(one.store));
    await(&one, 'U');
    append(&one, 5, 1, 1);
    await(&one, 'd');
    cr_expect_str_eq(database_ask("SELECT epoch FROM ledger.journal"), "1");
}

Test(store_pg, after_a_broken_session_a_deposed_owner_is_told)
{
    lease(&one);
    database_ask("UPDATE ledger.lease SET epoch = epoch + 1 WHERE shard_group = 3");
    database_ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                 "WHERE application_name = 'journal' AND datname = current_database()");
    await(&one, 'F');
    cr_expect_not(store_is_up(one.store));
}

/* ---- Commits whose outcome is lost --------------------------------------------------------- */

static char released[65536];

static void
on_reply(void *arg, uint32_t peer, const uint8_t *data, size_t length)
{
    (void)data, (void)length;
    size_t at = strlen(released);
    snprintf(released + at, sizeof released - at, "%u ", peer);
    loop_stop(((struct owner *)arg)->loop);
}

static void
on_journal_fenced(void *arg, const char *why)
{
    (void)arg;
    cr_assert_fail("fenced: %s", why);
}

static struct journal *journal;
static uint32_t put_count, put_until;

static void
put(uint32_t i)
{
    struct msg cmd = {.type = MSG_account_open, .corr = i};
    cmd.account_open = (struct account_open){.account_id = i + 1, .user_id = 1};
    journal_append(journal, (uint16_t)(i % LEDGER_SHARDS), &cmd, code_of("test"),
                   loop_now_us(one.loop));
    struct msg m = {.type = MSG_account_view, .corr = i};
    m.account_view.account_id = 1;
    journal_reply(journal, i + 1, &m);
}

/* One command a turn, so that batches are on their way behind each other. */
static void
on_turn(void *arg)
{
    (void)arg;
    if (put_count < put_until)
        put(put_count++);
    if (put_count < put_until)
        loop_soon(one.loop);
    journal_turn(journal, loop_steady_us(one.loop));
}

/* Sessions are terminated at every moment of a commit; nothing is lost, doubled or reordered. */
Test(store_pg, sessions_terminated_in_flight_lose_and_double_nothing)
{
    enum { ROUNDS = 60, EACH = 5 };
    lease_at(&one, loop_now_us(one.loop));
    journal = journal_new(&(struct journal_options){
        .store = one.store,
        .records_max = 1000,
        .bytes_max = 1 << 20,
        .held_max = 4 * LEDGER_OUT_MAX,
        .delay_us = 0,
        .stall_us = 1000000,
        .arg = &one,
        .on_reply = on_reply,
        .on_event = NULL,
        .on_fenced = on_journal_fenced,
    });
    loop_on_turn(one.loop, on_turn, NULL);
    PGconn *killer = PQconnectdb(conninfo);
    char expected[65536] = "", sql[256];
    size_t at = 0;
    put_count = put_until = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        put_until += EACH;
        for (uint32_t i = put_count; i < put_until; i++)
            at += (size_t)snprintf(expected + at, sizeof expected - at, "%u ", i + 1);
        snprintf(sql, sizeof sql,
                 "SELECT pg_sleep(0.00007 * %u), pg_terminate_backend(pid) FROM pg_stat_activity "
                 "WHERE application_name = 'journal' AND datname = current_database()",
                 round % 15);
        PQsendQuery(killer, sql);
        loop_soon(one.loop);
        while (strcmp(released, expected) != 0)
            loop_run(one.loop);
        for (PGresult *r; (r = PQgetResult(killer)) != NULL;)
            PQclear(r);
    }
    PQfinish(killer);
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.journal"), "300");
    cr_expect_str_eq(database_ask("SELECT count(DISTINCT corr) FROM ledger.journal"), "300");
    loop_off_turn(one.loop, on_turn, NULL);
    journal_destroy(&journal);
}
