/*
 * ctl_records_test.c - the journal's records out of a real PostgreSQL, out of segment files, and
 * out of both, by several cursors at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "scripctl/pack.h"
#include "store_database.h"

#define RECORDS 9000 /* of shard 3; several pages */
#define OTHERS  100  /* of shard 40 */

static const char *conninfo;
static char folder[64], why[WHY_BYTES];

/* Hashes that fit: the database computes them as journal_hash() does. */
static const char fill_sql[] =
    "DO $$ DECLARE s int; h bytea; f bytea; t bigint; BEGIN "
    "PERFORM ledger.partition_at(1700000000000000, 1), ledger.partition_at(1700003600000000, 1),"
    " ledger.partition_at(1700007200000000, 1);"
    "FOREACH s IN ARRAY ARRAY[3, 40] LOOP"
    " h := decode(repeat('00', 32), 'hex');"
    " FOR q IN 1..CASE s WHEN 3 THEN %d ELSE %d END LOOP"
    "  t := 1700000000000000 + q::bigint * 700000;"
    "  f := convert_to('payload ' || q, 'UTF8');"
    "  h := sha256(h || int8send(s) || int8send(q) || int8send(t) || int8send(7) ||"
    "   convert_to('gateway-0', 'UTF8') || decode(repeat('00', 15), 'hex') || int8send(q + 5) || "
    "f);"
    "  INSERT INTO ledger.journal VALUES (s, q, t, 7, 'gateway-0', q + 5, f, h, 2);"
    " END LOOP; END LOOP; END $$";

static void
begin(void)
{
    conninfo = database_make();
    char sql[2048];
    snprintf(sql, sizeof sql, fill_sql, RECORDS, OTHERS);
    database_ask(sql);
    snprintf(folder, sizeof folder, "/tmp/scrip-records-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static int
take_away(const char *path, const struct stat *s, int type, struct FTW *place)
{
    (void)s, (void)type, (void)place;
    return remove(path);
}

static void
end(void)
{
    database_drop();
    nftw(folder, take_away, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(ctl_records, .init = begin, .fini = end);

static struct records *
open_from(const char *database, const char *archive)
{
    struct records *r = records_open(&(struct records_options){database, archive}, why);
    cr_assert_not_null(r, "%s", why);
    return r;
}

/* Reads to the end: numbers without a gap from `first`, and how many there were. */
static uint64_t
count(struct records *r, uint16_t shard, uint64_t after, uint64_t to)
{
    struct records_cursor *c = records_read(r, shard, after, to);
    struct journal_record got;
    enum records_result result;
    uint64_t seq = after;
    while ((result = records_next(c, &got)) == RECORDS_ONE) {
        char payload[32];
        snprintf(payload, sizeof payload, "payload %llu", (unsigned long long)++seq);
        cr_assert_eq(got.seq, seq);
        cr_assert_eq(got.payload_length, strlen(payload));
        cr_assert_arr_eq(got.payload, payload, strlen(payload));
        cr_assert(got.shard == shard && got.kind == 7 && got.epoch == 2 && got.corr == seq + 5);
    }
    cr_assert_eq(result, RECORDS_END, "%s", records_why(r));
    records_end(&c);
    return seq - after;
}

static void
pack(struct records *r, uint16_t shard, uint64_t first, uint64_t last)
{
    struct progress progress;
    struct pack p;
    progress_begin(&progress, "packing", "records", 0, true);
    cr_assert(pack_open(&p, folder, &progress), "%s", p.why);
    cr_assert(pack_range(&p, r, shard, first, last), "%s", p.why);
    pack_close(&p);
}

Test(ctl_records, ranges_come_page_by_page_over_partitions)
{
    struct records *r = open_from(conninfo, NULL);
    cr_expect_eq(count(r, 3, 0, 0), RECORDS);
    cr_expect_eq(count(r, 3, 100, 100), 0);
    cr_expect_eq(count(r, 3, 63, 64), 1);
    cr_expect_eq(count(r, 3, 10, 8000), 7990);
    cr_expect_eq(count(r, 3, RECORDS, 0), 0);
    cr_expect_eq(count(r, 4, 0, 0), 0);
    struct records_extent e;
    cr_assert(records_extent(r, 3, &e));
    cr_expect(e.first == 1 && e.last == RECORDS && e.live == 1 && e.has_before);
    cr_assert(records_extent(r, 5, &e));
    cr_expect(e.last == 0 && e.live == 0);
    records_close(&r);
}

Test(ctl_records, cursors_and_questions_share_one_snapshot)
{
    struct records *r = open_from(conninfo, NULL);
    struct records_cursor *a = records_read(r, 3, 0, 0), *b = records_read(r, 3, 500, 0);
    struct journal_record x, y;
    database_ask("DELETE FROM ledger.journal");
    for (uint64_t i = 1; i <= RECORDS; i++) {
        cr_assert_eq(records_next(a, &x), RECORDS_ONE, "%s", records_why(r));
        cr_assert_eq(x.seq, i);
        if (i + 500 <= RECORDS) {
            cr_assert_eq(records_next(b, &y), RECORDS_ONE, "%s", records_why(r));
            cr_assert_eq(y.seq, i + 500);
        }
        if (i % 1000 == 0) {
            PGresult *n = PQexec(records_connection(r), "SELECT count(*) FROM ledger.journal");
            cr_assert_str_eq(PQgetvalue(n, 0, 0), "9100");
            PQclear(n);
        }
    }
    cr_expect_eq(records_next(a, &x), RECORDS_END);
    cr_expect_eq(records_next(a, &x), RECORDS_END);
    records_end(&a);
    records_end(&b);
    records_close(&r);
}

Test(ctl_records, the_archive_comes_first_then_what_the_database_still_has)
{
    struct records *r = open_from(conninfo, NULL);
    pack(r, 3, 1, 4000);
    pack(r, 3, 1, 6000); /* goes on behind what is there */
    records_close(&r);
    database_ask("DELETE FROM ledger.journal WHERE shard = 3 AND seq <= 5000");
    r = open_from(conninfo, folder);
    cr_expect_eq(count(r, 3, 0, 0), RECORDS);
    cr_expect_eq(count(r, 3, 3990, 4010), 20);
    cr_expect_eq(count(r, 3, 5990, 6010), 20);
    cr_expect_eq(count(r, 40, 0, 0), OTHERS);
    struct records_extent e;
    cr_assert(records_extent(r, 3, &e));
    cr_expect(e.first == 1 && e.last == RECORDS && e.live == 5001);
    records_close(&r);
    r = open_from(NULL, folder);
    cr_expect_eq(count(r, 3, 0, 0), 6000);
    cr_expect_null(records_connection(r));
    records_close(&r);
    r = open_from(conninfo, NULL);
    cr_assert(records_extent(r, 3, &e));
    cr_expect(e.first == 5001 && !e.has_before);
    records_close(&r);
}

Test(ctl_records, merged_by_time_then_shard)
{
    struct records *r = open_from(conninfo, NULL);
    bool shards[RECORDS_SHARDS] = {[3] = true, [40] = true};
    struct records_merge *m = records_merge(r, shards, 0, 0);
    struct journal_record got;
    enum records_result result;
    int64_t time_us = 0;
    uint64_t of[RECORDS_SHARDS] = {0};
    while ((result = records_merge_next(m, &got)) == RECORDS_ONE) {
        cr_assert_geq(got.time_us, time_us);
        cr_assert(got.time_us > time_us || got.shard == 40, "at one time the lower shard is first");
        time_us = got.time_us;
        cr_assert_eq(got.seq, ++of[got.shard]);
    }
    cr_expect_eq(result, RECORDS_END, "%s", records_why(r));
    cr_expect(of[3] == RECORDS && of[40] == OTHERS);
    records_merge_end(&m);
    records_close(&r);
}

Test(ctl_records, what_does_not_fit_is_not_packed)
{
    struct progress progress;
    struct pack p;
    progress_begin(&progress, "packing", "records", 0, true);
    struct records *r = open_from(conninfo, NULL);
    pack(r, 3, 1, 10);
    cr_assert(pack_open(&p, folder, &progress));
    cr_expect_not(pack_range(&p, r, 3, 12, 20));
    cr_expect_not_null(strstr(p.why, "would leave a gap"), "%s", p.why);
    records_close(&r);
    database_ask("UPDATE ledger.journal SET hash = sha256('other') WHERE shard = 3 AND seq = 10");
    r = open_from(conninfo, NULL);
    cr_expect_not(pack_range(&p, r, 3, 1, 10));
    cr_expect_not_null(strstr(p.why, "record 10 is not the one that the folder has"), "%s", p.why);
    records_close(&r);
    database_ask(
        "UPDATE ledger.journal SET hash = "
        "(SELECT sha256(h || int8send(3) || int8send(10) || int8send(1700000007000000) || "
        "int8send(7) || convert_to('gateway-0', 'UTF8') || decode(repeat('00', 15), 'hex')"
        " || int8send(15) || convert_to('payload 10', 'UTF8')) FROM (SELECT hash AS h FROM "
        "ledger.journal WHERE shard = 3 AND seq = 9) AS b) WHERE shard = 3 AND seq = 10");
    database_ask("UPDATE ledger.journal SET payload = 'x' WHERE shard = 3 AND seq = 15");
    database_ask("DELETE FROM ledger.journal WHERE shard = 40 AND seq = 7");
    r = open_from(conninfo, NULL);
    cr_expect_not(pack_range(&p, r, 3, 11, 20));
    cr_expect_str_eq(p.why, "shard 3: the hash of record 15 does not fit");
    cr_expect_not(pack_range(&p, r, 40, 1, OTHERS));
    cr_expect_str_eq(p.why, "shard 40: record 7 is missing");
    cr_expect_eq(p.manifest.records, 10);
    uint8_t hash[HASH_BYTES];
    cr_expect(pack_check(&p, 3, 1, 10, hash), "%s", p.why);
    cr_expect_not(pack_check(&p, 3, 1, 11, hash));
    pack_close(&p);
    records_close(&r);
}

Test(ctl_records, why_nothing_can_be_read_is_said)
{
    cr_expect_null(records_open(&(struct records_options){NULL, NULL}, why));
    cr_expect_null(records_open(&(struct records_options){"host=/nowhere", NULL}, why));
    cr_expect_not_null(strstr(why, "no connection"), "%s", why);
    cr_expect_null(records_open(&(struct records_options){NULL, folder}, why));
    cr_expect_not_null(strstr(why, "No such file"), "%s", why);
    database_ask("DROP TABLE ledger.journal CASCADE");
    cr_expect_null(records_open(&(struct records_options){conninfo, NULL}, why));
    cr_expect_not_null(strstr(why, "no journal"), "%s", why);
}
