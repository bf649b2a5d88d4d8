/*
 * anchor.c - anchor list, export, check and keygen.
 *
 * An anchor proves something to whoever kept it where the deployment's owner cannot write. Checking
 * holds the kept ones and those of the table against each other, and each record they vouch for
 * against the journal; that the records between fit each other is what `verify` proves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scripctl/progress.h"
#include "scripctl/records.h"
#include "scripctl/scratch.h"
#include "scripctl/source.h"
#include "scripctl/value.h"

#define LEAP       4096 /* records: to one further away a new cursor is opened */
#define PATH_BYTES 4096

/* The database of a command that needs one; NULL: refused, with *status. */
static struct records *
database_open(const struct call *c, enum status *status)
{
    if (c->o.database == NULL) {
        *status = refuse(c, STATUS_FAILED, "NO_SOURCE",
                         "anchors are in a database: name it with "
                         "--database");
        return NULL;
    }
    return source_open(c, status);
}

/* ---- list --------------------------------------------------------------------------------- */

struct listing {
    const struct call *c;
    const struct anchor_keys *keys; /* NULL = signatures are not checked */
    uint64_t shown, limit;
    bool is_any_wrong;
};

static const char *
signature_word(const struct listing *l, const char *text, size_t length, const struct anchor *a)
{
    if (l->keys == NULL)
        return "unchecked";
    switch (anchor_check(l->keys, text, length, a)) {
    case ANCHOR_HOLDS:
        return "holds";
    case ANCHOR_KEY_UNKNOWN:
        return "of another key";
    case ANCHOR_FORGED:
        return "forged";
    }
    return "";
}

static bool
list_row(void *arg, const char *text, size_t length)
{
    struct listing *l = arg;
    struct out *o = l->c->out;
    struct anchor a;
    size_t used;
    if (!anchor_read(text, length, &a, &used) || used != length) {
        complain("a row of ledger.anchor is no anchor");
        l->is_any_wrong = true;
        return ++l->shown < l->limit;
    }
    uint64_t records = 0;
    for (uint32_t i = 0; i < a.heads_count; i++)
        records += a.heads[i].seq;
    const char *word = signature_word(l, text, length, &a);
    l->is_any_wrong = l->is_any_wrong || word[0] == 'f' || word[0] == 'o';
    out_uint(o, a.group);
    out_uint(o, a.number);
    out_time(o, a.time_us);
    out_uint(o, a.epoch);
    out_uint(o, a.heads_count);
    out_uint(o, records);
    out_hex(o, a.key, ANCHOR_KEY_BYTES);
    out_text(o, word);
    out_hex(o, a.digest, HASH_BYTES);
    out_row_end(o);
    return ++l->shown < l->limit;
}

enum status
anchor_list(const struct call *c)
{
    enum status status = STATUS_OK;
    char why[ANCHOR_WHY_BYTES];
    struct listing l = {.c = c, .limit = c->o.limit == 0 ? UINT64_MAX : (uint64_t)c->o.limit};
    struct anchor_keys *keys = NULL;
    if (c->o.anchor_key_count > 0 && (keys = anchor_keys_named(c, &status)) == NULL)
        return status;
    l.keys = keys;
    struct records *r = database_open(c, &status);
    if (r != NULL) {
        out_table(c->out, "group> number> time epoch> shards> records> key signature digest");
        if (!anchor_table_each(records_connection(r), c->o.since, c->o.until, list_row, &l, why))
            status = refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", why);
        else if (l.is_any_wrong)
            status = STATUS_NO;
        else if (l.shown == 0)
            out_say(c->out, "There are no anchors.");
        records_close(&r);
    }
    anchor_keys_destroy(&keys);
    return status;
}

/* ---- export ------------------------------------------------------------------------------- */

struct exporting {
    FILE *file;
    uint64_t count;
};

static bool
export_row(void *arg, const char *text, size_t length)
{
    struct exporting *e = arg;
    e->count++;
    return fwrite(text, 1, length, e->file) == length;
}

static enum status
export_to(const struct call *c, FILE *file, uint64_t *count)
{
    enum status status = STATUS_OK;
    char why[ANCHOR_WHY_BYTES];
    struct exporting e = {.file = file};
    struct records *r = database_open(c, &status);
    if (r == NULL)
        return status;
    if (!anchor_table_each(records_connection(r), c->o.since, c->o.until, export_row, &e, why))
        status = refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", why);
    else if (e.count == 0)
        status = refuse(c, STATUS_NO, "NOT_FOUND", "there are no anchors");
    else if (fflush(file) != 0 || ferror(file))
        status = refuse(c, STATUS_FAILED, "NOT_WRITTEN", "%s: %s", c->words[0], strerror(errno));
    records_close(&r);
    *count = e.count;
    return status;
}

/* Written aside, and named only when it is whole; an older file is not written over, since kept
 * anchors are what counts. */
static enum status
export_file(const struct call *c, const char *path, uint64_t *count)
{
    char aside[PATH_BYTES];
    if (snprintf(aside, sizeof aside, "%s.new", path) >= (int)sizeof aside || !scratch_add(aside))
        return refuse(c, STATUS_USAGE, "NOT_WRITTEN", "%s: the path is too long", path);
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL)
        return refuse(c, STATUS_FAILED, "NOT_WRITTEN", "%s: %s", aside, strerror(errno));
    enum status status = export_to(c, file, count);
    bool is_whole = status == STATUS_OK && fsync(fd) == 0;
    is_whole = fclose(file) == 0 && is_whole;
    if (status == STATUS_OK && (!is_whole || link(aside, path) != 0))
        status = refuse(c, STATUS_FAILED, "NOT_WRITTEN", "%s: %s", path, strerror(errno));
    (void)unlink(aside);
    scratch_keep(aside);
    return status;
}

enum status
anchor_export(const struct call *c)
{
    const char *path = c->words[0];
    uint64_t count = 0;
    if (strcmp(path, "-") == 0)
        return export_to(c, stdout, &count);
    enum status status = export_file(c, path, &count);
    if (status != STATUS_OK)
        return status;
    out_table(c->out, "file anchors>");
    out_text(c->out, path);
    out_uint(c->out, count);
    out_row_end(c->out);
    return STATUS_OK;
}

/* ---- check -------------------------------------------------------------------------------- */

struct checking {
    const struct call *c;
    struct records *records;
    struct records_cursor *cursor; /* of the shard at work; NULL = none */
    struct records_extent extent;
    uint64_t at; /* the cursor is behind this record */
    uint16_t shard;
    uint64_t compared, beyond; /* beyond: records that are not here any more */
};

static enum status
contradicted(const struct checking *k, const struct anchor_point *p, const char *what)
{
    char time[VALUE_TIME_BYTES];
    return refuse(k->c, STATUS_NO, "ANCHOR_CONTRADICTED", "shard %u record %" PRIu64 " %s %s",
                  (unsigned)p->shard, p->seq, what, value_time_text(p->time_us, time));
}

static enum status
compare(struct checking *k, const struct anchor_point *p, const uint8_t hash[HASH_BYTES])
{
    k->compared++;
    if (memcmp(hash, p->hash, HASH_BYTES) == 0)
        return STATUS_OK;
    return contradicted(k, p, "is not the one anchored at");
}

/* Reads on to the record of the point; from anew when it is far away. */
static enum status
read_point(struct checking *k, const struct anchor_point *p)
{
    struct journal_record record = {.seq = k->at};
    if (k->cursor == NULL || p->seq - k->at > LEAP) {
        if (k->cursor != NULL)
            records_end(&k->cursor);
        k->cursor = records_read(k->records, p->shard, p->seq - 1, 0);
        k->at = p->seq - 1;
    }
    while (k->at < p->seq) {
        switch (records_next(k->cursor, &record)) {
        case RECORDS_FAILED:
            return source_failed(k->c, k->records);
        case RECORDS_END:
            return contradicted(k, p, "is not in the journal, and was anchored at");
        case RECORDS_ONE:
            k->at = record.seq;
        }
    }
    if (k->at != p->seq)
        return contradicted(k, p, "is not in the journal, and was anchored at");
    return compare(k, p, record.hash);
}

static enum status
check_point(struct checking *k, const struct anchor_point *p)
{
    if (k->shard != p->shard) {
        if (k->cursor != NULL)
            records_end(&k->cursor);
        k->shard = p->shard;
        k->at = 0;
        if (!records_extent(k->records, p->shard, &k->extent))
            return source_failed(k->c, k->records);
    }
    if (p->seq > k->extent.last)
        return contradicted(k, p, "is behind the journal's end, and was anchored at");
    if (p->seq >= k->extent.first)
        return read_point(k, p);
    if (p->seq + 1 == k->extent.first && k->extent.has_before)
        return compare(k, p, k->extent.before);
    k->beyond++;
    return STATUS_OK;
}

static enum status
check_points(struct checking *k, const struct anchors *set)
{
    enum status status = STATUS_OK;
    uint32_t count;
    struct progress progress;
    const struct anchor_point *points = anchors_points(set, &count);
    progress_begin(&progress, "checking", "anchored records", count, k->c->o.quiet);
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        status = check_point(k, &points[i]);
        progress_add(&progress, 1);
    }
    progress_end(&progress);
    if (k->cursor != NULL)
        records_end(&k->cursor);
    return status;
}

static enum status
gather(const struct call *c, struct anchors *set, struct records *r)
{
    char why[ANCHOR_WHY_BYTES];
    for (uint32_t i = 0; i < c->words_count; i++)
        if (!anchors_add_file(set, c->words[i], why))
            return refuse(c, STATUS_NO, "ANCHOR_WRONG", "%s", why);
    PGconn *db = r == NULL ? NULL : records_connection(r);
    if (db != NULL && !anchor_table_add(db, set, why))
        return refuse(c, STATUS_NO, "ANCHOR_WRONG", "%s", why);
    if (!anchors_judge(set, why))
        return refuse(c, STATUS_NO, "ANCHOR_WRONG", "%s", why);
    return STATUS_OK;
}

static enum status
checked(const struct checking *k, const struct anchors *set)
{
    struct out *o = k->c->out;
    uint32_t count = anchors_count(set);
    int64_t first_us = INT64_MAX, last_us = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t time_us = anchors_at(set, i)->time_us;
        first_us = time_us < first_us ? time_us : first_us;
        last_us = time_us > last_us ? time_us : last_us;
    }
    out_table(o, "anchors> missing> first last compared> not_here>");
    out_uint(o, count);
    out_uint(o, anchors_missing(set));
    out_time(o, first_us);
    out_time(o, last_us);
    out_uint(o, k->compared);
    out_uint(o, k->beyond);
    out_row_end(o);
    if (k->records == NULL) {
        out_say(o, "All signatures hold. No journal was compared: name --database or --archive.");
        return STATUS_OK;
    }
    if (k->beyond == 0) {
        out_say(o, "All signatures hold, and the journal is the one that was anchored.");
        return STATUS_OK;
    }
    out_say(o, "%" PRIu64 " anchored records were archived: name their folder with --archive.",
            k->beyond);
    return STATUS_FAILED;
}

static enum status
check_with(const struct call *c, const struct anchor_keys *keys, struct records *r)
{
    struct anchors *set = anchors_new(keys);
    struct checking k = {.c = c, .records = r, .shard = RECORDS_SHARDS};
    enum status status = gather(c, set, r);
    if (status == STATUS_OK && r != NULL)
        status = check_points(&k, set);
    if (status == STATUS_OK)
        status = checked(&k, set);
    anchors_destroy(&set);
    return status;
}

enum status
anchor_check_command(const struct call *c)
{
    enum status status = STATUS_OK;
    struct records *r = NULL;
    struct anchor_keys *keys = anchor_keys_named(c, &status);
    if (keys == NULL)
        return status;
    if (c->o.database != NULL || c->o.archive != NULL)
        r = source_open(c, &status);
    if (status == STATUS_OK)
        status = check_with(c, keys, r);
    if (r != NULL)
        records_close(&r);
    anchor_keys_destroy(&keys);
    return status;
}

/* ---- keygen ------------------------------------------------------------------------------- */

enum status
anchor_keygen(const struct call *c)
{
    char why[ANCHOR_WHY_BYTES], public_path[PATH_BYTES];
    const char *path = c->words[0];
    size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".pem") == 0)
        length -= 4;
    if (snprintf(public_path, sizeof public_path, "%.*s.pub.pem", (int)length, path) >=
        (int)sizeof public_path)
        return refuse(c, STATUS_USAGE, "NOT_WRITTEN", "the path is too long");
    struct anchor_keys *keys = anchor_keys_new();
    if (!anchor_keys_make(path, public_path, why) || !anchor_keys_add(keys, public_path, why)) {
        anchor_keys_destroy(&keys);
        return refuse(c, STATUS_FAILED, "NOT_WRITTEN", "%s", why);
    }
    out_table(c->out, "key private public");
    out_hex(c->out, anchor_keys_id(keys, 0), ANCHOR_KEY_BYTES);
    out_text(c->out, path);
    out_text(c->out, public_path);
    out_row_end(c->out);
    anchor_keys_destroy(&keys);
    return STATUS_OK;
}
