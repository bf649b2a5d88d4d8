/*
 * export.c - scripctl export: a journal, or a part of it, into a folder of segment files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>

#include "scripctl/pack.h"
#include "scripctl/source.h"

struct range {
    uint64_t first, last; /* nothing when last < first */
};

/* The first record from `low` to `high` whose time is not before `time_us`; high + 1 when there is
 * none. Times never fall in a shard, so that it can be searched for by halves. */
static bool
seq_at(struct records *r, uint16_t shard, uint64_t low, uint64_t high, int64_t time_us,
       uint64_t *out)
{
    while (low <= high) {
        uint64_t middle = low + (high - low) / 2;
        struct journal_record record = {0};
        struct records_cursor *c = records_read(r, shard, middle - 1, middle);
        enum records_result result = records_next(c, &record);
        int64_t found_us = record.time_us;
        records_end(&c);
        if (result == RECORDS_FAILED)
            return false;
        if (result == RECORDS_END || found_us >= time_us)
            high = middle - 1;
        else
            low = middle + 1;
    }
    *out = low;
    return true;
}

/* What is asked for of a shard and is there. */
static bool
range_find(const struct call *c, struct records *r, uint16_t shard, struct range *out)
{
    struct records_extent e;
    *out = (struct range){.first = 1};
    if (!records_extent(r, shard, &e))
        return false;
    if (!c->o.shard[shard] || e.last == 0)
        return true;
    out->first = (uint64_t)c->o.after + 1 > e.first ? (uint64_t)c->o.after + 1 : e.first;
    out->last = c->o.upto > 0 && (uint64_t)c->o.upto < e.last ? (uint64_t)c->o.upto : e.last;
    if (c->o.since != INT64_MIN && out->first <= out->last &&
        !seq_at(r, shard, out->first, out->last, c->o.since, &out->first))
        return false;
    uint64_t end;
    if (c->o.until == INT64_MIN || out->first > out->last)
        return true;
    if (!seq_at(r, shard, out->first, out->last, c->o.until, &end))
        return false;
    out->last = end - 1;
    return true;
}

static void
tell(const struct call *c, const struct pack *p)
{
    uint64_t bytes = 0;
    out_table(c->out, "shard> first> last> files> bytes> hash");
    for (uint16_t shard = 0; shard < RECORDS_SHARDS; shard++) {
        uint32_t count;
        uint64_t of_shard = 0;
        const struct segment *files = manifest_shard(&p->manifest, shard, &count);
        if (files == NULL)
            continue;
        for (uint32_t i = 0; i < count; i++)
            of_shard += files[i].bytes;
        bytes += of_shard;
        out_uint(c->out, shard);
        out_uint(c->out, files[0].first);
        out_uint(c->out, files[count - 1].last);
        out_uint(c->out, count);
        out_uint(c->out, of_shard);
        out_hex(c->out, files[count - 1].hash, HASH_BYTES);
        out_row_end(c->out);
    }
    out_say(c->out, "%s has %" PRIu64 " records in %u files of %" PRIu64 " bytes.", p->folder,
            p->manifest.records, p->manifest.count, bytes);
}

static enum status
export_ranges(const struct call *c, struct records *r, struct pack *p)
{
    struct range ranges[RECORDS_SHARDS];
    uint64_t total = 0;
    for (uint16_t shard = 0; shard < RECORDS_SHARDS; shard++) {
        if (!range_find(c, r, shard, &ranges[shard]))
            return source_failed(c, r);
        total += pack_missing(p, shard, ranges[shard].first, ranges[shard].last);
    }
    progress_begin(p->progress, "exporting", "records", total, c->o.quiet);
    bool is_well = true;
    for (uint16_t shard = 0; shard < RECORDS_SHARDS && is_well; shard++)
        if (ranges[shard].last >= ranges[shard].first)
            is_well = pack_range(p, r, shard, ranges[shard].first, ranges[shard].last);
    progress_end(p->progress);
    if (!is_well)
        return refuse(c, STATUS_FAILED, "NOT_EXPORTED",
                      "%s. Files that are whole are kept; the same command goes on behind them",
                      p->why);
    if (p->manifest.count == 0)
        return refuse(c, STATUS_NO, "NO_RECORDS", "there are no such records");
    tell(c, p);
    return STATUS_OK;
}

enum status
export_journal(const struct call *c)
{
    enum status status = STATUS_OK;
    struct records *r = source_open(c, &status);
    if (r == NULL)
        return status;
    struct progress progress;
    struct pack pack;
    if (pack_open(&pack, c->words[0], &progress))
        status = export_ranges(c, r, &pack);
    else
        status = refuse(c, STATUS_FAILED, "NOT_EXPORTED", "%s", pack.why);
    pack_close(&pack);
    records_close(&r);
    return status;
}
