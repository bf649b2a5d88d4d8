/*
 * archive.c - scripctl archive: the journal's old partitions into segment files, and off.
 *
 * From the oldest on, each as a whole. One is let go only when its files were read back and its
 * chain proved, the tables are true past it, and a signed anchor vouches for a record at or behind
 * the last one of each shard in it, with a chain that fits up to there: whoever has the anchor can
 * tell that the archive is genuine. Whatever stops it, the same command goes on from there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scripctl/anchor.h"
#include "scripctl/pack.h"
#include "scripctl/partition.h"
#include "scripctl/source.h"
#include "scripctl/value.h"

struct archive {
    const struct call *c;
    PGconn *db;
    struct anchor_keys *keys;
    struct anchors *anchors;
    struct pack pack;
    struct progress progress;
    uint64_t stamps[RECORDS_SHARDS];
    const struct partition *partition;
    struct partition_share shares[RECORDS_SHARDS];
    uint8_t hashes[RECORDS_SHARDS][HASH_BYTES]; /* of the last record of each */
    uint64_t records;
    uint32_t taken; /* partitions that went */
    char why[ANCHOR_WHY_BYTES > WHY_BYTES ? ANCHOR_WHY_BYTES : WHY_BYTES];
};

static enum status
failed(struct archive *a)
{
    return refuse(a->c, STATUS_FAILED, "NOT_ARCHIVED", "%s: %s. The same command goes on from here",
                  a->partition->name, a->why);
}

/* ---- Whether it may go -------------------------------------------------------------------- */

/* The first anchored record of a shard from `seq` on. */
static const struct anchor_point *
anchored_from(const struct archive *a, uint16_t shard, uint64_t seq)
{
    uint32_t count;
    const struct anchor_point *points = anchors_points(a->anchors, &count);
    for (uint32_t i = 0; i < count; i++)
        if (points[i].shard == shard && points[i].seq >= seq)
            return &points[i];
    return NULL;
}

/* Records from `seq`, whose hash is given, up to the anchored one; its hash. */
static bool
chain_to(struct archive *a, struct records *r, uint64_t seq, const struct anchor_point *point,
         uint8_t hash[HASH_BYTES])
{
    struct journal_record record;
    struct records_cursor *c = records_read(r, point->shard, seq - 1, point->seq);
    bool fits = records_next(c, &record) == RECORDS_ONE && record.seq == seq &&
                memcmp(record.hash, hash, HASH_BYTES) == 0;
    while (fits && seq < point->seq) {
        uint8_t before[HASH_BYTES];
        memcpy(before, hash, HASH_BYTES);
        fits = records_next(c, &record) == RECORDS_ONE && record.seq == ++seq;
        if (!fits)
            break;
        journal_hash(a->pack.hasher, before, &record, hash);
        fits = memcmp(hash, record.hash, HASH_BYTES) == 0;
    }
    records_end(&c);
    if (!fits)
        snprintf(a->why, sizeof a->why, "shard %u: the chain is broken at record %" PRIu64,
                 point->shard, seq);
    return fits;
}

static enum status
share_vouched(struct archive *a, struct records *r, uint16_t shard, uint8_t hash[HASH_BYTES])
{
    uint64_t last = a->shares[shard].last;
    const struct anchor_point *point = anchored_from(a, shard, last);
    char time[VALUE_TIME_BYTES];
    if (point == NULL)
        return refuse(a->c, STATUS_NO, "NOT_ANCHORED",
                      "%s stays: no signed anchor vouches for shard %u up to record %" PRIu64
                      " yet",
                      a->partition->name, shard, last);
    if (!chain_to(a, r, last, point, hash))
        return refuse(a->c, STATUS_NO, "CHAIN_BROKEN", "%s stays: %s", a->partition->name, a->why);
    if (memcmp(hash, point->hash, HASH_BYTES) != 0)
        return refuse(a->c, STATUS_NO, "ANCHOR_WRONG",
                      "%s stays: shard %u record %" PRIu64 " is not the one anchored at %s",
                      a->partition->name, shard, point->seq, value_time_text(point->time_us, time));
    return STATUS_OK;
}

static enum status
shares_vouched(struct archive *a, struct records *r)
{
    enum status status = STATUS_OK;
    for (uint16_t shard = 0; shard < RECORDS_SHARDS && status == STATUS_OK; shard++)
        if (a->shares[shard].first != 0)
            status = share_vouched(a, r, shard, a->hashes[shard]);
    return status;
}

/* Its files are read back. */
static enum status
shares_check(struct archive *a)
{
    bool is_well = true;
    progress_begin(&a->progress, "checking", "records", a->records, a->c->o.quiet);
    for (uint16_t shard = 0; shard < RECORDS_SHARDS && is_well; shard++) {
        const struct partition_share *s = &a->shares[shard];
        if (s->first != 0)
            is_well = pack_check(&a->pack, shard, s->first, s->last, a->hashes[shard]);
    }
    progress_end(&a->progress);
    if (is_well)
        return STATUS_OK;
    memcpy(a->why, a->pack.why, sizeof a->pack.why);
    return failed(a);
}

/* What can be told before anything is written. */
static enum status
shares_ready(struct archive *a, struct records *r)
{
    for (uint16_t shard = 0; shard < RECORDS_SHARDS; shard++) {
        const struct partition_share *s = &a->shares[shard];
        struct records_extent e;
        if (s->first == 0)
            continue;
        if (!records_extent(r, shard, &e) || e.live != s->first)
            return refuse(a->c, STATUS_NO, "NOT_OLDEST",
                          "%s stays: of shard %u the journal has records before those in it",
                          a->partition->name, shard);
        if (a->stamps[shard] < s->last)
            return refuse(a->c, STATUS_NO, "TABLES_BEHIND",
                          "%s stays: the tables of shard %u are true at record %" PRIu64
                          ", and a start would need those up to %" PRIu64,
                          a->partition->name, shard, a->stamps[shard], s->last);
        if (anchored_from(a, shard, s->last) == NULL)
            return share_vouched(a, r, shard, (uint8_t[HASH_BYTES]){0});
    }
    return STATUS_OK;
}

/* ---- One partition ------------------------------------------------------------------------ */

static enum status
shares_pack(struct archive *a, struct records *r)
{
    progress_begin(&a->progress, "archiving", "records", a->records, a->c->o.quiet);
    bool is_well = true;
    for (uint16_t shard = 0; shard < RECORDS_SHARDS && is_well; shard++) {
        const struct partition_share *s = &a->shares[shard];
        if (s->first != 0)
            is_well = pack_range(&a->pack, r, shard, s->first, s->last);
    }
    progress_end(&a->progress);
    if (is_well)
        return STATUS_OK;
    memcpy(a->why, a->pack.why, sizeof a->pack.why);
    return failed(a);
}

/* With a snapshot of its own: nobody waits for it when the partition goes. */
static enum status
partition_pack(struct archive *a)
{
    const struct records_options from = {.database = a->c->o.database};
    struct records *r = records_open(&from, a->why);
    if (r == NULL)
        return failed(a);
    enum status status = shares_ready(a, r);
    if (status == STATUS_OK)
        status = shares_pack(a, r);
    if (status == STATUS_OK)
        status = shares_check(a);
    if (status == STATUS_OK)
        status = shares_vouched(a, r);
    records_close(&r);
    return status;
}

static void
tell(struct archive *a)
{
    if (a->taken == 0)
        out_table(a->c->out, "partition from to records>");
    a->taken++;
    out_text(a->c->out, a->partition->name);
    out_time(a->c->out, a->partition->from_us);
    out_time(a->c->out, a->partition->to_us);
    out_uint(a->c->out, a->records);
    out_row_end(a->c->out);
}

static enum status
partition_archive(struct archive *a)
{
    const struct partition *p = a->partition;
    if (!partition_shares(a->db, p, a->shares, &a->records, a->why))
        return failed(a);
    /* One that is listed was vouched for when it was; now the files are all there is. */
    enum status status = p->is_listed ? shares_check(a) : partition_pack(a);
    if (status != STATUS_OK)
        return status;
    if (!p->is_listed &&
        !partition_list(a->db, p, &a->pack.manifest, a->shares, a->records, a->why))
        return failed(a);
    if (!partition_drop(a->db, p, a->why))
        return failed(a);
    tell(a);
    return STATUS_OK;
}

static enum status
partitions_archive(struct archive *a)
{
    int64_t newest_us = 0, before_us = a->c->o.until == INT64_MIN ? INT64_MAX : a->c->o.until;
    uint32_t count;
    enum status status = STATUS_OK;
    struct partition *all = partitions_read(a->db, &count, a->why);
    if (all == NULL || !partitions_newest_us(a->db, &newest_us, a->why) ||
        !partitions_stamps(a->db, a->stamps, a->why)) {
        free(all);
        return refuse(a->c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", a->why);
    }
    if (newest_us < before_us)
        before_us = newest_us;
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        a->partition = &all[i];
        if (all[i].is_listed || all[i].to_us <= before_us)
            status = partition_archive(a);
    }
    free(all);
    if (status == STATUS_OK && a->taken == 0)
        out_say(a->c->out, "Nothing to archive: no partition ends before the newest record%s.",
                a->c->o.until == INT64_MIN ? "" : " and before that time");
    return status;
}

/* ---- The command -------------------------------------------------------------------------- */

static enum status
anchors_read(struct archive *a)
{
    a->anchors = anchors_new(a->keys);
    for (uint32_t i = 0; i < a->c->o.anchor_count; i++)
        if (!anchors_add_file(a->anchors, a->c->o.anchor[i], a->why))
            return refuse(a->c, STATUS_NO, "ANCHOR_WRONG", "%s", a->why);
    if (!anchor_table_add(a->db, a->anchors, a->why) || !anchors_judge(a->anchors, a->why))
        return refuse(a->c, STATUS_NO, "ANCHOR_WRONG", "%s", a->why);
    return STATUS_OK;
}

enum status
archive_journal(const struct call *c)
{
    if (c->o.database == NULL || c->o.to == NULL)
        return refuse(c, STATUS_USAGE, "USAGE",
                      "name the deployment with --database and the "
                      "folder of the archive with --to");
    if (c->o.anchor_key_count == 0)
        return refuse(c, STATUS_USAGE, "USAGE",
                      "only what is anchored is archived: name the anchors' public key with "
                      "--anchor-key");
    enum status status = STATUS_OK;
    struct archive a = {.c = c, .keys = anchor_keys_named(c, &status)};
    if (a.keys == NULL)
        return status;
    a.db = PQconnectdb(c->o.database);
    if (PQstatus(a.db) != CONNECTION_OK)
        status = refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", PQerrorMessage(a.db));
    if (status == STATUS_OK)
        status = anchors_read(&a);
    if (status == STATUS_OK && !pack_open(&a.pack, c->o.to, &a.progress))
        status = refuse(c, STATUS_FAILED, "NOT_ARCHIVED", "%s", a.pack.why);
    if (status == STATUS_OK)
        status = partitions_archive(&a);
    pack_close(&a.pack);
    PQfinish(a.db);
    anchors_destroy(&a.anchors);
    anchor_keys_destroy(&a.keys);
    return status;
}
