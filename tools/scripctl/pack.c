/*
 * pack.c - see pack.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/pack.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool fail(struct pack *p, const char *format, ...) PRINTF(2, 3);

static bool
fail(struct pack *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->why, sizeof p->why, format, args);
    va_end(args);
    return false;
}

static bool
read_failed(struct pack *p, const struct records *r)
{
    return fail(p, "%s", records_why(r));
}

bool
pack_open(struct pack *p, const char *folder, struct progress *progress)
{
    *p = (struct pack){.folder = folder, .progress = progress};
    p->hasher = journal_hasher_new();
    return manifest_read(folder, &p->manifest, p->why) != MANIFEST_BAD;
}

void
pack_close(struct pack *p)
{
    manifest_free(&p->manifest);
    journal_hasher_destroy(&p->hasher);
}

/* The last file that the folder has of a shard; NULL = none. */
static const struct segment *
last_file(const struct pack *p, uint16_t shard)
{
    uint32_t count;
    const struct segment *files = manifest_shard(&p->manifest, shard, &count);
    return files == NULL ? NULL : &files[count - 1];
}

uint64_t
pack_missing(const struct pack *p, uint16_t shard, uint64_t first, uint64_t last)
{
    const struct segment *end = last_file(p, shard);
    if (end != NULL && end->last >= first)
        first = end->last + 1;
    return last < first ? 0 : last - first + 1;
}

/* The hash of the record before `seq`. */
static bool
hash_before(struct pack *p, struct records *r, uint16_t shard, uint64_t seq,
            uint8_t out[HASH_BYTES])
{
    struct records_extent extent;
    if (!records_extent(r, shard, &extent))
        return read_failed(p, r);
    memset(out, 0, HASH_BYTES);
    if (seq == 1)
        return true;
    if (seq <= extent.first) {
        memcpy(out, extent.before, HASH_BYTES);
        return (seq == extent.first && extent.has_before) ||
               fail(p,
                    "shard %u: the hash before record %" PRIu64 " is not known: name the archive "
                    "that has that record",
                    shard, seq);
    }
    struct journal_record record;
    struct records_cursor *c = records_read(r, shard, seq - 2, seq - 1);
    enum records_result result = records_next(c, &record);
    if (result == RECORDS_ONE)
        memcpy(out, record.hash, HASH_BYTES);
    records_end(&c);
    if (result == RECORDS_FAILED)
        return read_failed(p, r);
    return result == RECORDS_ONE ||
           fail(p, "shard %u: record %" PRIu64 " is missing", shard, seq - 1);
}

/* One record fits behind `hash`, which becomes its own. */
static bool
record_check(struct pack *p, const struct journal_record *r, uint16_t shard, uint64_t seq,
             uint8_t hash[HASH_BYTES])
{
    uint8_t right[HASH_BYTES];
    if (r->seq != seq || r->shard != shard)
        return fail(p, "shard %u: record %" PRIu64 " is missing", shard, seq);
    journal_hash(p->hasher, hash, r, right);
    if (memcmp(right, r->hash, HASH_BYTES) != 0)
        return fail(p, "shard %u: the hash of record %" PRIu64 " does not fit", shard, seq);
    memcpy(hash, right, HASH_BYTES);
    return true;
}

static bool
file_fill(struct pack *p, struct records *r, struct records_cursor *c, struct segment_writer *w,
          const struct segment *s)
{
    uint8_t hash[HASH_BYTES];
    memcpy(hash, s->before, HASH_BYTES);
    for (uint64_t seq = s->first; seq <= s->last; seq++) {
        struct journal_record record;
        enum records_result result = records_next(c, &record);
        if (result == RECORDS_FAILED)
            return read_failed(p, r);
        if (result == RECORDS_END)
            return fail(p, "shard %u: record %" PRIu64 " is missing", s->shard, seq);
        if (!record_check(p, &record, s->shard, seq, hash) || !segment_write(w, &record))
            return false;
        progress_add(p->progress, 1);
    }
    return true;
}

/* One file more, and a manifest that names it. */
static bool
file_add(struct pack *p, struct records *r, struct records_cursor *c, struct segment *s)
{
    struct segment_writer *w = segment_create(p->folder, s, p->why);
    bool is_well = w != NULL && file_fill(p, r, c, w, s) && segment_keep(w, s) &&
                   manifest_add(&p->manifest, s, p->why) &&
                   manifest_write(p->folder, &p->manifest, p->why);
    segment_writer_end(&w);
    return is_well;
}

/* What the folder has of a shard is the beginning of what the journal has, also when nothing is to
 * be added: a journal that was set back or written anew is found out. */
static bool
end_check(struct pack *p, struct records *r, uint16_t shard, uint64_t first)
{
    const struct segment *end = last_file(p, shard);
    struct records_extent e;
    uint8_t hash[HASH_BYTES];
    if (end == NULL)
        return true;
    if (first > end->last + 1)
        return fail(p,
                    "shard %u: the folder ends with record %" PRIu64 ", and what begins with "
                    "%" PRIu64 " would leave a gap",
                    shard, end->last, first);
    if (!records_extent(r, shard, &e))
        return read_failed(p, r);
    if (end->last > e.last)
        return fail(p,
                    "shard %u: the folder has records up to %" PRIu64 ", the journal only up to "
                    "%" PRIu64,
                    shard, end->last, e.last);
    if (!hash_before(p, r, shard, end->last + 1, hash))
        return false;
    return memcmp(end->hash, hash, HASH_BYTES) == 0 ||
           fail(p,
                "shard %u: record %" PRIu64 " is not the one that the folder has: the journal was "
                "written anew, or is another one",
                shard, end->last);
}

bool
pack_range(struct pack *p, struct records *r, uint16_t shard, uint64_t first, uint64_t last)
{
    const struct segment *end = last_file(p, shard);
    if (!end_check(p, r, shard, first))
        return false;
    if (end != NULL)
        first = end->last + 1;
    if (first > last)
        return true;
    struct segment s = {.shard = shard, .first = first};
    if (!hash_before(p, r, shard, first, s.before))
        return false;
    struct records_cursor *c = records_read(r, shard, first - 1, last);
    bool is_well = true;
    while (is_well && s.first <= last) {
        uint64_t most = s.first + SEGMENT_RECORDS_MAX - 1;
        s.last = most < last ? most : last;
        is_well = file_add(p, r, c, &s);
        memcpy(s.before, s.hash, HASH_BYTES);
        s.first = s.last + 1;
    }
    records_end(&c);
    return is_well;
}

static bool
file_check(struct pack *p, const struct segment *s, uint8_t hash[HASH_BYTES])
{
    struct segment_reader *reader = segment_open(p->folder, s, p->why);
    if (reader == NULL)
        return false;
    struct journal_record record;
    enum records_result result = RECORDS_END;
    bool fits = true;
    for (uint64_t seq = s->first; fits; seq++) {
        result = segment_next(reader, &record);
        if (result != RECORDS_ONE)
            break;
        fits = record_check(p, &record, s->shard, seq, hash);
        progress_add(p->progress, 1);
    }
    segment_reader_end(&reader);
    return fits && result == RECORDS_END;
}

bool
pack_check(struct pack *p, uint16_t shard, uint64_t first, uint64_t last, uint8_t hash[HASH_BYTES])
{
    uint32_t count;
    uint64_t next = first;
    const struct segment *files = manifest_shard(&p->manifest, shard, &count);
    for (uint32_t i = 0; i < count && next <= last; i++) {
        if (files[i].last < next || files[i].first > next)
            continue;
        memcpy(hash, files[i].before, HASH_BYTES);
        if (!file_check(p, &files[i], hash))
            return false;
        next = files[i].last + 1;
    }
    return next > last || fail(p, "shard %u: record %" PRIu64 " is not in the folder", shard, next);
}
