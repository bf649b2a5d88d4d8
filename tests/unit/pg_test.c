/*
 * pg_test.c - the pipeline against a real PostgreSQL: SCRIP_TEST_PG names an empty one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/pg.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "host/pg_array.h"

static struct loop *loop;
static struct pg *pg;
static struct loop_timer *limit;
static char table[64];

/* What was heard, one character an answer: r rows, f failed, l lost, U up, D down. */
static char heard[1 << 17];
static size_t heard_count, heard_wanted;
static char last_value[128], last_state[8];

static void
hear(char c)
{
    cr_assert_lt(heard_count, sizeof heard - 1);
    heard[heard_count++] = c;
    heard[heard_count] = '\0';
    if (heard_count == heard_wanted)
        loop_stop(loop);
}

static void
await(size_t more)
{
    heard_wanted = heard_count + more;
    loop_run(loop);
}

static void
forget(void)
{
    heard_count = 0;
    heard[0] = '\0';
}

static void
on_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    (void)arg;
    last_value[0] = '\0';
    if (result != NULL && PQntuples(result) > 0)
        snprintf(last_value, sizeof last_value, "%s", PQgetvalue(result, 0, 0));
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    snprintf(last_state, sizeof last_state, "%s", state != NULL ? state : "");
    hear("rfl"[outcome]);
}

static void
on_up(void *arg)
{
    (void)arg;
    hear('U');
}

static void
on_down(void *arg)
{
    (void)arg;
    cr_assert_not(pg_is_up(pg));
    cr_assert_not(pg_sync(pg, on_answer, NULL), "refused at once while down");
    hear('D');
}

static char channel_heard[32];

static void
on_notify(void *arg, const char *channel, bool is_own)
{
    (void)arg;
    snprintf(channel_heard, sizeof channel_heard, "%s", channel);
    hear(is_own ? 'N' : 'n');
}

static void
fail_late(void *arg)
{
    (void)arg;
    cr_assert_fail("waited for %zu answers, heard %zu: %.100s", heard_wanted, heard_count, heard);
}

static bool
send(const char *sql)
{
    return pg_send(pg, sql, 0, NULL, NULL, NULL, NULL, false, on_answer, NULL);
}

static void
set_up(void)
{
    const char *server = getenv("SCRIP_TEST_PG");
    log_open("test", LOG_ERROR + 1);
    loop = loop_new();
    limit = loop_timer_new(loop, 30000, 0, fail_late, NULL);
    pg = pg_open(loop, &(struct pg_options){.conninfo = server,
                                            .label = "test",
                                            .on_up = on_up,
                                            .on_down = on_down,
                                            .on_notify = on_notify});
    await(1);
    cr_assert_str_eq(heard, "U");
    snprintf(table, sizeof table, "pg_test_%d", (int)getpid());
    char sql[256];
    snprintf(sql, sizeof sql, "create table %s (id int primary key deferrable initially deferred)",
             table);
    send(sql);
    pg_sync(pg, on_answer, NULL);
    await(2);
    cr_assert_str_eq(heard, "Urr");
    forget();
}

static void
tear_down(void)
{
    char sql[128];
    forget();
    snprintf(sql, sizeof sql, "drop table %s", table);
    send(sql);
    pg_sync(pg, on_answer, NULL);
    await(2);
    pg_close(&pg);
    loop_timer_end(&limit);
    loop_destroy(&loop);
}

static void
insert(int id)
{
    char sql[128];
    snprintf(sql, sizeof sql, "insert into %s values (%d)", table, id);
    cr_assert(send(sql));
}

static int
row_count(void)
{
    char sql[128];
    snprintf(sql, sizeof sql, "select count(*) from %s", table);
    forget();
    send(sql);
    pg_sync(pg, NULL, NULL);
    await(1);
    return (int)strtol(last_value, NULL, 10);
}

TestSuite(pg, .init = set_up, .fini = tear_down);

Test(pg, a_transaction_is_kept_whole)
{
    for (int id = 1; id <= 10; id++)
        insert(id);
    pg_sync(pg, on_answer, NULL);
    await(11);
    cr_assert_str_eq(heard, "rrrrrrrrrrr");
    cr_assert_eq(row_count(), 10);
}

Test(pg, a_failed_statement_takes_its_transaction_along_and_no_other)
{
    insert(1);
    pg_sync(pg, on_answer, NULL);
    insert(2);
    send("select nonsense");
    insert(3);
    pg_sync(pg, on_answer, NULL);
    insert(4);
    pg_sync(pg, on_answer, NULL);
    await(8);
    cr_assert_str_eq(heard, "rrrfffrr");
    cr_assert_eq(row_count(), 2);
}

Test(pg, the_sync_tells_why_its_transaction_failed)
{
    send("select nonsense");
    insert(1);
    pg_sync(pg, on_answer, NULL);
    await(3);
    cr_assert_str_eq(heard, "fff");
    cr_assert_str_eq(last_state, "42703");
}

Test(pg, a_commit_that_fails_is_told_by_the_sync)
{
    insert(1);
    insert(1); /* the key is checked at commit */
    pg_sync(pg, on_answer, NULL);
    insert(2);
    pg_sync(pg, on_answer, NULL);
    await(5);
    cr_assert_str_eq(heard, "rrfrr");
    cr_assert_eq(row_count(), 1);
}

Test(pg, parameters_go_as_text_or_binary)
{
    const Oid types[] = {20, 25};
    const uint8_t number[8] = {0, 0, 0, 0, 0, 0, 1, 2};
    const char *values[] = {(const char *)number, "x"};
    const int lengths[] = {8, 0}, formats[] = {1, 0};
    pg_send(pg, "select $1::bigint || $2", 2, types, values, lengths, formats, false, on_answer,
            NULL);
    pg_sync(pg, NULL, NULL);
    await(1);
    cr_assert_str_eq(last_value, "258x");
}

/* Rows of a table as one array of its row type, whose oid the server is asked for. */
Test(pg, rows_go_as_an_array_of_records)
{
    char sql[256];
    snprintf(sql, sizeof sql, "create table %s_wide (a bigint, b text, c boolean)", table);
    send(sql);
    snprintf(sql, sizeof sql, "select '%s_wide'::regtype::oid", table);
    send(sql);
    pg_sync(pg, NULL, NULL);
    await(2);
    struct pg_array rows;
    pg_array_init(&rows, PG_RECORD);
    for (int64_t i = 0; i < 3; i++) {
        pg_array_begin(&rows);
        pg_array_int8(&rows, i - 1);
        pg_array_text(&rows, i == 1 ? "" : "text");
        pg_array_bool(&rows, i == 2);
        pg_array_end(&rows);
    }
    pg_array_set_type(&rows, (uint32_t)strtoul(last_value, NULL, 10));
    const Oid types[] = {pg_array_type(PG_RECORD)};
    const char *values[] = {pg_array_value(&rows)};
    const int lengths[] = {pg_array_length(&rows)}, formats[] = {1};
    snprintf(sql, sizeof sql, "insert into %s_wide select * from unnest($1::%s_wide[])", table,
             table);
    pg_send(pg, sql, 1, types, values, lengths, formats, false, on_answer, NULL);
    snprintf(sql, sizeof sql, "select string_agg(w::text, ' ' order by a) from %s_wide as w",
             table);
    send(sql);
    snprintf(sql, sizeof sql, "drop table %s_wide", table);
    pg_send(pg, sql, 0, NULL, NULL, NULL, NULL, false, NULL, NULL);
    pg_sync(pg, NULL, NULL);
    await(2);
    cr_assert_str_eq(heard, "rrrr");
    cr_assert_str_eq(last_value, "(-1,text,f) (0,\"\",f) (1,text,t)");
    pg_array_fini(&rows);
}

Test(pg, the_label_is_the_servers_name_for_us)
{
    send("select application_name from pg_stat_activity where pid = pg_backend_pid()");
    pg_sync(pg, NULL, NULL);
    await(1);
    cr_assert_str_eq(last_value, "test");
}

/* A second connection plays the operator: it ends the first one. */
static struct pg *operator_pg;
static int victim;

static void
operator_notify(void *arg)
{
    (void)arg;
    pg_send(operator_pg, "notify pg_test", 0, NULL, NULL, NULL, NULL, false, NULL, NULL);
    pg_sync(operator_pg, NULL, NULL);
}

Test(pg, what_a_channel_is_notified_of_is_heard_also_by_an_idle_connection)
{
    send("listen pg_test");
    pg_sync(pg, NULL, NULL);
    send("notify pg_test");
    pg_sync(pg, NULL, NULL);
    await(3);
    cr_assert_str_eq(heard, "rrN");
    operator_pg = pg_open(loop, &(struct pg_options){.conninfo = getenv("SCRIP_TEST_PG"),
                                                     .label = "operator",
                                                     .on_up = operator_notify});
    await(1);
    cr_assert_str_eq(heard, "rrNn");
    cr_assert_str_eq(channel_heard, "pg_test");
    pg_close(&operator_pg);
}

static void
operator_kill(void *arg)
{
    (void)arg;
    char sql[128];
    snprintf(sql, sizeof sql, "select pg_terminate_backend(%d)", victim);
    pg_send(operator_pg, sql, 0, NULL, NULL, NULL, NULL, false, NULL, NULL);
    pg_sync(operator_pg, NULL, NULL);
}

static void
victim_find(void)
{
    send("select pg_backend_pid()");
    pg_sync(pg, NULL, NULL);
    await(1);
    victim = (int)strtol(last_value, NULL, 10);
    forget();
}

Test(pg, a_broken_connection_answers_lost_once_and_comes_back)
{
    victim_find();
    send("select pg_sleep(30)");
    insert(1);
    pg_sync(pg, on_answer, NULL);
    insert(2);
    pg_sync(pg, on_answer, NULL);
    operator_pg = pg_open(loop, &(struct pg_options){.conninfo = getenv("SCRIP_TEST_PG"),
                                                     .label = "operator",
                                                     .on_up = operator_kill});
    await(7);
    cr_assert_str_eq(heard, "lllllDU");
    cr_assert(pg_is_up(pg));
    cr_assert_eq(row_count(), 0, "nothing of it was kept");
    pg_close(&operator_pg);
}

Test(pg, an_idle_connection_that_breaks_comes_back)
{
    victim_find();
    operator_pg = pg_open(loop, &(struct pg_options){.conninfo = getenv("SCRIP_TEST_PG"),
                                                     .label = "operator",
                                                     .on_up = operator_kill});
    await(2);
    cr_assert_str_eq(heard, "DU");
    pg_close(&operator_pg);
}

static void
ask_prepared(const char *value)
{
    cr_assert(pg_send_prepared(pg, "twice", 1, &value, NULL, NULL, false, on_answer, NULL));
    pg_sync(pg, NULL, NULL);
    await(1);
}

Test(pg, prepared_statements_survive_a_reconnect)
{
    const Oid types[] = {23};
    pg_prepare(pg, "twice", "select 2 * $1", 1, types);
    pg_prepare(pg, "twice", "select 2 * $1", 1, types);
    ask_prepared("21");
    cr_assert_str_eq(last_value, "42");
    victim_find();
    operator_pg = pg_open(loop, &(struct pg_options){.conninfo = getenv("SCRIP_TEST_PG"),
                                                     .label = "operator",
                                                     .on_up = operator_kill});
    await(2);
    cr_assert_str_eq(heard, "DU");
    ask_prepared("4");
    cr_assert_str_eq(last_value, "8");
    pg_close(&operator_pg);
}

Test(pg, ten_thousand_statements_are_answered_in_order)
{
    for (int id = 0; id < 10000; id++) {
        insert(id);
        if (id % 100 == 99)
            pg_sync(pg, on_answer, NULL);
    }
    await(10100);
    cr_assert_eq(strspn(heard, "r"), 10100);
    cr_assert_eq(row_count(), 10000);
}

Test(pg, large_parameters_pass_a_full_socket)
{
    size_t size = 8u << 20;
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    const char *values[] = {text};
    pg_send(pg, "select length($1::text)", 1, NULL, values, NULL, NULL, false, on_answer, NULL);
    pg_send(pg, "select $1::text", 1, NULL, values, NULL, NULL, false, on_answer, NULL);
    pg_sync(pg, on_answer, NULL);
    await(3);
    cr_assert_str_eq(heard, "rrr");
    free(text);
}

Test(pg, the_queue_is_bounded_and_can_always_be_ended)
{
    int taken = 0;
    while (send("select 1"))
        taken++;
    cr_assert_gt(taken, 60000);
    cr_assert_lt(taken, 65536);
    cr_assert(pg_sync(pg, on_answer, NULL));
    await((size_t)taken + 1);
    cr_assert_eq(strspn(heard, "r"), (size_t)taken + 1);
}

static int away_count;

static void
away_up(void *arg)
{
    (void)arg;
    away_count++;
}

static void
stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

Test(pg, a_server_that_is_away_is_tried_again_quietly)
{
    struct pg *away = pg_open(loop, &(struct pg_options){.conninfo = "host=/nonexistent",
                                                         .label = "away",
                                                         .on_up = away_up,
                                                         .on_down = away_up});
    struct loop_timer *t = loop_timer_new(loop, 300, 0, stop, NULL);
    heard_wanted = 0;
    loop_run(loop);
    cr_assert_eq(away_count, 0);
    cr_assert_not(pg_is_up(away));
    loop_timer_end(&t);
    pg_close(&away);
}
