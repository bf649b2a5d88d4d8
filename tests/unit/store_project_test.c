/*
 * store_project_test.c - the tables behind the journal when they refuse, and when they may lose.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/metrics.h"
#include "ledger_parts.h"
#include "store_database.h"
#include "store_life.h"
#include "store_random.h"

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
Test(store_project, stamps_go_back_when_what_they_stand_for_may_be_lost)
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

/* Times that the text stands in what was logged. */
static int
times_logged(int file, const char *text)
{
    static char log[1 << 16];
    ssize_t length = pread(file, log, sizeof log - 1, 0);
    cr_assert_geq(length, 0);
    log[length] = '\0';
    int times = 0;
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
        times++;
    return times;
}

/* It is tried again and again, for as long as nobody helps. */
Test(store_project, a_table_that_refuses_is_told_of_once)
{
    conninfo = database_make();
    life_begin();
    open_account(7);
    until_projected();
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    int old_error = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    database_ask("ALTER TABLE ledger.account ADD CONSTRAINT nothing CHECK (account_id <> 8)");
    struct metric *failures = metric_counter("scrip_ledger_projection_failures_total", "", "");
    open_account(8);
    while (metric_value(failures) < 3)
        run_ms(1);
    cr_expect_eq(times_logged(fileno(file), "event=projection_refused"), 1);
    cr_expect_str_neq(project_trouble(life.project), "");
    database_ask("ALTER TABLE ledger.account DROP CONSTRAINT nothing");
    until_projected();
    cr_expect_null(project_trouble(life.project));
    dup2(old_error, STDERR_FILENO);
    close(old_error);
    fclose(file);
    life_end();
    database_drop();
}

static void
place_and_fill(uint64_t number)
{
    struct msg m = {.type = MSG_order_place, .corr = ++next_corr};
    m.order_place = (struct order_place){.account_id = 7,
                                         .symbol = code_of("BTCUSDT"),
                                         .side = SIDE_BUY,
                                         .type = ORDER_TYPE_MARKET,
                                         .quantity = {DECIMAL_ONE},
                                         .id_was_made = true};
    snprintf(m.order_place.client_order_id.text, CID_BYTES, "new-%d", (int)number);
    request(1, &m);
    struct match_fill fill = {.price = {RANDOM_PRICE}, .quantity = {DECIMAL_ONE}};
    struct msg report = {.type = MSG_order_report};
    report.order_report =
        (struct order_report){.order_id = life.ledger.orders[life.ledger.orders_reached - 1].id,
                              .fills = &fill,
                              .fills_count = 1,
                              .end = ORDER_END_COMPLETE};
    request(0, &report);
    until_projected();
}

/* A database may be made ready for a newer version while this one serves. */
Test(store_project, columns_that_a_newer_version_adds_are_left_alone)
{
    conninfo = database_make();
    life_begin();
    open_account(7);
    place_and_fill(1);
    database_ask("ALTER TABLE ledger.\"order\" ADD COLUMN mood text NOT NULL DEFAULT 'calm'");
    database_ask("ALTER TABLE ledger.trade ADD COLUMN weight bigint");
    database_ask("ALTER TABLE ledger.account ADD COLUMN colour integer NOT NULL DEFAULT 7");
    place_and_fill(2);
    cr_expect_null(project_trouble(life.project));
    cr_expect_str_eq(database_ask("SELECT string_agg(mood, ' ') FROM ledger.\"order\""),
                     "calm calm");
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.trade WHERE weight IS NULL"), "2");
    uint64_t before = digest(&life.ledger);
    life_end();
    life_begin();
    cr_expect_eq(digest(&life.ledger), before);
    life_end();
    database_drop();
}
