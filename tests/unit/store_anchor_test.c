/*
 * store_anchor_test.c - when the ledger anchors its heads, and what keeps it from that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/anchor.h"
#include "host/metrics.h"
#include "host/store_fake.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/anchoring.h"
#include "store_database.h"

static char folder[64], key_file[96], public_file[96], files[96], why[ANCHOR_WHY_BYTES];
static const char *conninfo;
static struct loop *loop;
static struct store *store;
static struct journal *journal;
static struct anchoring *anchoring;
static bool owned[LEDGER_SHARDS];
static struct metric *written, *failures, *file_failures;
static int fenced;
static int64_t retry_us = 20000;

static void
on_nothing(void *arg, uint32_t peer, const uint8_t *data, size_t length)
{
    (void)arg, (void)peer, (void)data, (void)length;
}

static void
on_no_event(void *arg, uint64_t account_id, const uint8_t *data, size_t length)
{
    (void)arg, (void)account_id, (void)data, (void)length;
}

static void
on_fenced(void *arg, const char *reason)
{
    (void)arg, (void)reason;
    fenced++;
    loop_stop(loop);
}

static void
on_turn(void *arg)
{
    (void)arg;
    anchoring_turn(anchoring, loop_steady_us(loop));
}

static void
on_time(void *arg)
{
    loop_stop(arg);
}

/* One millisecond of the loop. */
static void
run(void)
{
    struct loop_timer *timer = loop_timer_new(loop, 1, 0, on_time, loop);
    loop_run(loop);
    loop_timer_end(&timer);
}

static void
set_head(uint16_t shard, uint64_t seq)
{
    uint8_t hash[HASH_BYTES];
    memset(hash, (int)(shard + seq), HASH_BYTES);
    journal_set_head(journal, shard, seq, hash);
}

static void
open_anchoring(uint64_t epoch, int64_t interval_us, const char *in_folder)
{
    anchoring = anchoring_open(&(struct anchoring_options){
        .loop = loop,
        .conninfo = conninfo,
        .journal = journal,
        .owned = owned,
        .epoch = epoch,
        .key_file = key_file,
        .folder = in_folder,
        .interval_us = interval_us,
        .retry_us = retry_us,
        .on_fenced = on_fenced,
    });
    cr_assert_not_null(anchoring);
}

static void
begin(void)
{
    conninfo = database_make();
    snprintf(folder, sizeof folder, "/tmp/scrip-anchoring-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(key_file, sizeof key_file, "%s/key", folder);
    snprintf(public_file, sizeof public_file, "%s/key.pub", folder);
    snprintf(files, sizeof files, "%s/anchors", folder);
    cr_assert(anchor_keys_make(key_file, public_file, why), "%s", why);
    cr_assert_eq(mkdir(files, 0700), 0);
    loop = loop_new();
    loop_on_turn(loop, on_turn, NULL);
    store = store_fake_open(NULL);
    journal = journal_new(&(struct journal_options){
        .store = store,
        .records_max = 64,
        .bytes_max = 16 << 20,
        .held_max = 4 * LEDGER_OUT_MAX,
        .on_reply = on_nothing,
        .on_event = on_no_event,
    });
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        owned[i] = i < 8;
    database_ask("INSERT INTO ledger.lease VALUES (0, 3, 'test', 1)");
    written = metric_counter("scrip_ledger_anchors_total", "", "");
    failures = metric_counter("scrip_ledger_anchor_failures_total", "", "");
    file_failures = metric_counter("scrip_ledger_anchor_file_failures_total", "", "");
}

static void
end(void)
{
    anchoring_close(&anchoring);
    journal_destroy(&journal);
    store_close(&store);
    loop_destroy(&loop);
    database_drop();
    char command[256];
    snprintf(command, sizeof command, "%s/anchor-0-000000000001.txt", files);
    unlink(command);
    snprintf(command, sizeof command, "%s/anchor-0-000000000002.txt", files);
    unlink(command);
    rmdir(files);
    unlink(key_file);
    unlink(public_file);
    rmdir(folder);
}

TestSuite(store_anchor, .init = begin, .fini = end, .timeout = 60);

static void
until(struct metric *m, int64_t value)
{
    while (metric_value(m) < value)
        run();
}

/* All anchors of the table, judged with the key that is there. */
static struct anchors *
anchors_of_table(void)
{
    struct anchor_keys *keys = anchor_keys_new();
    cr_assert(anchor_keys_add(keys, public_file, why), "%s", why);
    struct anchors *set = anchors_new(keys);
    const char *all = database_ask("SELECT string_agg(text, '' ORDER BY number) FROM "
                                   "ledger.anchor");
    cr_assert(anchors_add(set, "table", all, strlen(all), why), "%s", why);
    cr_assert(anchors_judge(set, why), "%s", why);
    anchor_keys_destroy(&keys);
    return set;
}

Test(store_anchor, heads_that_changed_are_anchored)
{
    set_head(1, 5);
    set_head(7, 9);
    set_head(8, 1);     /* of another group */
    retry_us = 5000000; /* a slow connection is no failure */
    open_anchoring(3, 1000, "");
    until(written, 1);
    for (int i = 0; i < 30; i++)
        run();
    cr_expect_eq(metric_value(written), 1, "nothing has changed");
    set_head(1, 6);
    until(written, 2);
    struct anchors *set = anchors_of_table();
    cr_assert_eq(anchors_count(set), 2);
    cr_expect_eq(anchors_missing(set), 0);
    cr_expect_eq(anchors_at(set, 1)->epoch, 3);
    cr_expect_eq(anchors_at(set, 1)->heads_count, 2);
    cr_expect_not_null(anchors_find(set, 1, 5));
    cr_expect_eq(anchors_find(set, 1, 6)->hash[0], 7);
    cr_expect_not_null(anchors_find(set, 7, 9));
    cr_expect_null(anchors_find(set, 8, 1));
    anchors_destroy(&set);
    cr_expect_eq(metric_value(failures), 0);
}

Test(store_anchor, the_last_one_is_written_before_the_end)
{
    set_head(1, 5);
    open_anchoring(3, 3600000000, "");
    until(written, 1);
    set_head(1, 6);
    for (int i = 0; i < 10; i++)
        run();
    cr_expect_eq(metric_value(written), 1, "it is not due");
    anchoring_hurry(anchoring);
    cr_expect(!anchoring_is_done(anchoring));
    while (!anchoring_is_done(anchoring))
        run();
    cr_expect_eq(metric_value(written), 2);
}

Test(store_anchor, the_next_owner_continues_the_chain)
{
    set_head(1, 5);
    open_anchoring(3, 1000, "");
    until(written, 1);
    anchoring_close(&anchoring);
    database_ask("UPDATE ledger.lease SET epoch = 4");
    set_head(2, 1);
    open_anchoring(4, 1000, "");
    until(written, 2);
    struct anchors *set = anchors_of_table();
    cr_expect_eq(anchors_count(set), 2);
    cr_expect_eq(anchors_at(set, 1)->epoch, 4);
    anchors_destroy(&set);
}

Test(store_anchor, a_deposed_owner_writes_none)
{
    set_head(1, 5);
    database_ask("UPDATE ledger.lease SET epoch = 4");
    open_anchoring(3, 1000, "");
    while (fenced == 0)
        run();
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.anchor"), "0");
    cr_expect_eq(metric_value(written), 0);
}

Test(store_anchor, without_a_key_it_is_tried_again)
{
    char aside[128];
    snprintf(aside, sizeof aside, "%s/aside", folder);
    cr_assert_eq(rename(key_file, aside), 0);
    set_head(1, 5);
    open_anchoring(3, 1000, "");
    until(failures, 3);
    anchoring_hurry(anchoring);
    while (!anchoring_is_done(anchoring))
        run();
    cr_expect_eq(metric_value(written), 0);
    cr_assert_eq(rename(aside, key_file), 0);
    until(written, 1);
}

Test(store_anchor, an_outage_of_the_database_delays_it)
{
    set_head(1, 5);
    open_anchoring(3, 1000, "");
    until(written, 1);
    database_ask("ALTER TABLE ledger.anchor ADD CONSTRAINT nothing CHECK (number < 2)");
    set_head(1, 6);
    until(failures, 2);
    database_ask("ALTER TABLE ledger.anchor DROP CONSTRAINT nothing");
    database_ask("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                 "WHERE application_name = 'anchors' AND datname = current_database()");
    until(written, 2);
    struct anchors *set = anchors_of_table();
    cr_expect_eq(anchors_last(set, 1)->seq, 6);
    anchors_destroy(&set);
}

/* A journal that ends before what was anchored, or there with another hash. */
Test(store_anchor, nothing_is_signed_that_contradicts_the_last_one)
{
    set_head(1, 5);
    open_anchoring(3, 1000, "");
    until(written, 1);
    anchoring_close(&anchoring);
    set_head(1, 4);
    set_head(2, 1);
    open_anchoring(3, 1000, "");
    until(failures, 2);
    anchoring_close(&anchoring);
    uint8_t other[HASH_BYTES] = {0};
    journal_set_head(journal, 1, 5, other);
    open_anchoring(3, 1000, "");
    until(failures, 4);
    cr_expect_eq(metric_value(written), 1);
    set_head(1, 5);
    until(written, 2);
}

Test(store_anchor, an_anchor_taken_from_the_table_is_missed)
{
    set_head(1, 5);
    open_anchoring(3, 1000, "");
    until(written, 1);
    database_ask("ALTER TABLE ledger.anchor DISABLE TRIGGER anchor_stays; DELETE FROM "
                 "ledger.anchor");
    set_head(1, 6);
    until(failures, 2);
    cr_expect_eq(metric_value(written), 1);
}

Test(store_anchor, the_table_only_grows)
{
    set_head(1, 5);
    open_anchoring(3, 1000, "");
    until(written, 1);
    static const char *const changes[] = {"DELETE FROM ledger.anchor", "TRUNCATE ledger.anchor",
                                          "UPDATE ledger.anchor SET epoch = 9"};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        PGconn *c = PQconnectdb(conninfo);
        PGresult *r = PQexec(c, changes[i]);
        cr_expect_str_eq(PQresultErrorField(r, PG_DIAG_SQLSTATE), "SF003", "%s", changes[i]);
        PQclear(r);
        PQfinish(c);
    }
    cr_expect_str_eq(database_ask("SELECT epoch FROM ledger.anchor"), "3");
}

static bool
is_file(const char *name)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", files, name);
    return access(path, F_OK) == 0;
}

Test(store_anchor, each_is_put_into_the_folder_too)
{
    set_head(1, 5);
    open_anchoring(3, 1000, files);
    until(written, 1);
    while (!is_file("anchor-0-000000000001.txt"))
        run();
    anchoring_hurry(anchoring);
    set_head(1, 6);
    run();
    while (!anchoring_is_done(anchoring))
        run();
    cr_expect(is_file("anchor-0-000000000002.txt"));
    char path[192];
    struct anchor_keys *keys = anchor_keys_new();
    struct anchors *set = anchors_new(keys);
    cr_assert(anchor_keys_add(keys, public_file, why), "%s", why);
    for (int i = 1; i <= 2; i++) {
        snprintf(path, sizeof path, "%s/anchor-0-00000000000%d.txt", files, i);
        cr_expect(anchors_add_file(set, path, why), "%s", why);
    }
    cr_expect(anchors_judge(set, why), "%s", why);
    anchors_destroy(&set);
    anchor_keys_destroy(&keys);

    /* One whose process ended before the file was there. */
    cr_assert_eq(unlink(path), 0);
    anchoring_close(&anchoring);
    open_anchoring(3, 1000, files);
    while (!is_file("anchor-0-000000000002.txt"))
        run();
    cr_expect_eq(metric_value(written), 2);
    cr_expect_eq(metric_value(file_failures), 0);
}

Test(store_anchor, a_file_of_another_anchor_is_never_replaced)
{
    char path[192], text[8] = "";
    snprintf(path, sizeof path, "%s/anchor-0-000000000001.txt", files);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs("other", file);
    fclose(file);
    set_head(1, 5);
    open_anchoring(3, 1000, files);
    until(file_failures, 2);
    cr_expect_eq(metric_value(written), 1);
    file = fopen(path, "r");
    cr_assert_not_null(file);
    cr_expect_eq(fread(text, 1, sizeof text, file), 5);
    fclose(file);
    cr_expect_str_eq(text, "other");
}
