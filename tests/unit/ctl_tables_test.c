/*
 * ctl_tables_test.c - tables that the ledger wrote are what verify makes of its journal, and each
 * row that somebody changed is named.
 *
 * The real cores make a journal; a real ledger on a real PostgreSQL reads its first part and writes
 * the tables; the rest comes to the journal behind them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_real.h"
#include "scripctl/proof.h"
#include "store_database.h"
#include "store_life.h"

#define REAL_ACCOUNT 1009 /* of a shard that no other has */

static struct ctl_journal journal;
static struct proof proofs[LEDGER_SHARDS];
static char named[8192]; /* differences, a line each */

/* ---- A database --------------------------------------------------------------------------- */

static void
put_hex(char *out, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void
copy_row(PGconn *c, const struct journal_record *r)
{
    static char payload[1 << 16], line[(1 << 16) + 512];
    char hash[2 * HASH_BYTES + 1];
    put_hex(payload, r->payload, r->payload_length);
    put_hex(hash, r->hash, HASH_BYTES);
    int length = snprintf(line, sizeof line, "%u\t%llu\t%lld\t%u\t%s\t%lld\t\\\\x%s\t\\\\x%s\t1\n",
                          r->shard, (unsigned long long)r->seq, (long long)r->time_us, r->kind,
                          r->source.text, (long long)r->corr, payload, hash);
    cr_assert_eq(PQputCopyData(c, line, length), 1);
}

static void
journal_put(uint32_t from, uint32_t to)
{
    PGconn *c = PQconnectdb(conninfo);
    PQclear(PQexec(c, "COPY ledger.journal FROM STDIN"));
    for (uint32_t i = from; i < to; i++)
        copy_row(c, &journal.records[i]);
    cr_assert_eq(PQputCopyEnd(c, NULL), 1);
    PGresult *r = PQgetResult(c);
    cr_assert_eq(PQresultStatus(r), PGRES_COMMAND_OK, "%s", PQerrorMessage(c));
    PQclear(r);
    PQfinish(c);
}

static void
setup(void)
{
    ctl_journal_init(&journal);
    ctl_real_begin(&journal, REAL_ACCOUNT);
    ctl_real_live();
    ctl_real_end();
    ctl_journal_make(&journal, 11, 5, 5000);
    uint32_t tables = journal.count * 3 / 4;
    conninfo = database_make();
    database_ask("SELECT ledger.partition_at(1700000000000000, 168)");
    journal_put(0, tables);
    life_begin();
    until_projected();
    life_end();
    journal_put(tables, journal.count);
}

static void
teardown(void)
{
    database_drop();
    ctl_journal_fini(&journal);
}

TestSuite(ctl_tables, .init = setup, .fini = teardown, .timeout = 110);

/* ---- Verifying ---------------------------------------------------------------------------- */

static void
on_difference(void *arg, const struct tables_difference *d)
{
    char text[WHY_BYTES * 2];
    (void)arg;
    size_t at = strlen(named);
    snprintf(named + at, sizeof named - at, "%s\n", tables_say(d, text));
}

/* Everything that is wrong, a line each; "" when all is right. */
static const char *
verdict(void)
{
    struct progress progress;
    struct anchor_keys *keys = anchor_keys_new();
    struct anchors *anchors = anchors_new(keys);
    bool shards[LEDGER_SHARDS];
    char why[WHY_BYTES];
    memset(shards, true, sizeof shards);
    memset(proofs, 0, sizeof proofs);
    named[0] = '\0';
    progress_begin(&progress, "", "", 0, true);
    cr_assert(anchors_judge(anchors, why), "%s", why);
    cr_assert(proof_run(&(struct proof_options){.source = {conninfo, NULL}, .anchors = anchors},
                        shards, &progress, on_difference, NULL, proofs, why),
              "%s", why);
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        if (proofs[i].wrong[0] != '\0')
            snprintf(named + strlen(named), sizeof named - strlen(named), "%s\n", proofs[i].wrong);
    anchors_destroy(&anchors);
    anchor_keys_destroy(&keys);
    return named;
}

/* Changes the tables, and what verify must say of it. */
static void
must_name(const char *change, const char *back, const char *says)
{
    database_ask(change);
    const char *said = verdict();
    cr_expect(strstr(said, says) != NULL, "%s\nexpected %s\nsaid %s", change, says, said);
    cr_expect_eq(strchr(said, '\n'), said + strlen(said) - 1, "%s\nmore was said: %s", change,
                 said);
    database_ask(back);
}

Test(ctl_tables, what_the_ledger_wrote_is_right)
{
    uint64_t rows = 0, records = 0, behind = 0;
    cr_expect_str_empty(verdict());
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++) {
        rows += proofs[i].table_rows;
        records += proofs[i].records;
        behind += proofs[i].records > proofs[i].tables_at;
    }
    cr_expect_eq(records, journal.count);
    cr_expect_gt(rows, 3000);
    cr_expect_gt(behind, 0, "the journal goes on behind the tables");
}

Test(ctl_tables, each_changed_row_is_named)
{
    must_name("UPDATE ledger.balance SET free = free + 1 WHERE account_id = 3 AND wallet = 1 AND "
              "asset = 'USDT'",
              "UPDATE ledger.balance SET free = free - 1 WHERE account_id = 3 AND wallet = 1 AND "
              "asset = 'USDT'",
              "ledger.balance, account_id 3, wallet 1, asset USDT: free is ");
    must_name("UPDATE ledger.settings SET leverage = 7 WHERE account_id = 2 AND wallet = 2",
              "UPDATE ledger.settings SET leverage = 20 WHERE account_id = 2 AND wallet = 2",
              "ledger.settings, account_id 2, wallet 2: leverage is 7 in the table and 20 by the "
              "journal\n");
    must_name("UPDATE ledger.account SET tier = tier + 5 WHERE account_id = 4",
              "UPDATE ledger.account SET tier = tier - 5 WHERE account_id = 4",
              "ledger.account, account_id 4: tier is ");
    must_name("UPDATE ledger.\"order\" SET executed_quantity = executed_quantity + 1 WHERE "
              "order_id = (SELECT min(order_id) FROM ledger.\"order\" WHERE end_reason > 0)",
              "UPDATE ledger.\"order\" SET executed_quantity = executed_quantity - 1 WHERE "
              "order_id = (SELECT min(order_id) FROM ledger.\"order\" WHERE end_reason > 0)",
              ": executed_quantity is ");
    must_name("UPDATE ledger.\"order\" SET held = held + 1 WHERE order_id = "
              "(SELECT min(order_id) FROM ledger.\"order\" WHERE end_reason = 0)",
              "UPDATE ledger.\"order\" SET held = held - 1 WHERE order_id = "
              "(SELECT min(order_id) FROM ledger.\"order\" WHERE end_reason = 0)",
              ": held is ");
    must_name("UPDATE ledger.settings SET paper_balance = paper_balance + 1 WHERE ctid = (SELECT "
              "min(ctid) FROM ledger.settings WHERE paper_balance + 1 < balance_max)",
              "UPDATE ledger.settings SET paper_balance = paper_balance - 1 WHERE ctid = (SELECT "
              "max(ctid) FROM ledger.settings WHERE paper_balance % 2 = 1)",
              ": paper_balance is ");
}

Test(ctl_tables, rows_that_are_gone_or_came_are_named)
{
    database_ask("CREATE TABLE public.kept AS SELECT * FROM ledger.trade ORDER BY trade_id LIMIT "
                 "1");
    must_name("DELETE FROM ledger.trade WHERE trade_id = (SELECT trade_id FROM public.kept)",
              "INSERT INTO ledger.trade SELECT * FROM public.kept", ": the row is missing\n");
    database_ask("UPDATE public.kept SET trade_id = trade_id + 1000000");
    must_name("INSERT INTO ledger.trade SELECT * FROM public.kept",
              "DELETE FROM ledger.trade WHERE trade_id = (SELECT trade_id FROM public.kept)",
              ": there should be no such row\n");
    database_ask("CREATE TABLE public.kept_balance AS SELECT * FROM ledger.balance WHERE "
                 "account_id = 1 AND wallet = 1 AND asset = 'USDT'");
    must_name("DELETE FROM ledger.balance WHERE account_id = 1 AND wallet = 1 AND asset = 'USDT'",
              "INSERT INTO ledger.balance SELECT * FROM public.kept_balance",
              "ledger.balance, account_id 1, wallet 1, asset USDT: the row is missing\n");
}

Test(ctl_tables, a_truncated_journal_is_behind_its_tables)
{
    char says[256];
    const char *shard = database_ask("SELECT shard FROM ledger.shard ORDER BY seq DESC LIMIT 1");
    uint32_t of = (uint32_t)strtoul(shard, NULL, 10);
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT seq FROM ledger.shard WHERE shard = %u", of);
    uint64_t stamp = strtoull(database_ask(sql), NULL, 10);
    snprintf(sql, sizeof sql, "DELETE FROM ledger.journal WHERE shard = %u AND seq >= %llu", of,
             (unsigned long long)stamp);
    database_ask(sql);
    snprintf(says, sizeof says,
             "shard %u ends with record %llu, and its tables are of record %llu: the end of the "
             "journal is missing\n",
             of, (unsigned long long)stamp - 1, (unsigned long long)stamp);
    cr_expect_str_eq(verdict(), says);
}
