/*
 * list.c - journal list and journal show: records a line each, and records whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/list.h"

#include <stdlib.h>
#include <string.h>

#include "scripctl/source.h"
#include "scripctl/value.h"
#include "scripctl/words.h"

#define LIST_BYTES (1u << 20)

const char *
list_kind(uint32_t kind)
{
    const struct msg_layout *l = msg_layout((enum msg_type)kind);
    return l == NULL ? NULL : l->name;
}

/* ---- Lines ------------------------------------------------------------------------------------
 */

void
list_begin(struct out *o)
{
    if (out_is_json(o))
        out_table(o, "time shard seq kind account_id order_id corr source hash text command");
    else
        out_table(o, "time shard> seq> kind account> corr text");
}

static void
put_id(struct out *o, uint64_t id)
{
    if (id == 0)
        out_text(o, NULL);
    else
        out_uint(o, id);
}

void
list_corr(struct out *o, uint64_t corr)
{
    char text[17];
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)corr);
    out_text(o, corr == 0 ? NULL : text);
}

static void
put_kind(struct out *o, uint32_t kind)
{
    const char *name = list_kind(kind);
    if (name == NULL)
        out_uint(o, kind);
    else
        out_text(o, name);
}

/* A table's time of day is told to the millisecond: what is exact is in JSON and `journal show`. */
static void
put_time(struct out *o, int64_t time_us)
{
    char text[VALUE_TIME_BYTES];
    value_time_text(time_us, text);
    if (out_is_json(o)) {
        out_time(o, time_us);
        return;
    }
    text[10] = ' ';
    text[23] = 0;
    out_text(o, text);
}

void
list_put(struct out *o, const struct filter_hit *hit)
{
    const struct journal_record *r = hit->record;
    struct bytes text = {NULL, 0, 0}, command = {NULL, 0, 0};
    if (hit->cmd == NULL)
        words_add(&text, "its payload of %u bytes cannot be read", r->payload_length);
    else
        words_message(&text, hit->cmd);
    put_time(o, r->time_us);
    out_uint(o, r->shard);
    out_uint(o, r->seq);
    put_kind(o, r->kind);
    put_id(o, hit->account_id);
    if (out_is_json(o)) {
        put_id(o, hit->order_id);
        list_corr(o, r->corr);
        out_text(o, r->source.text);
        out_hex(o, r->hash, HASH_BYTES);
        out_text(o, words_text(&text));
        if (hit->cmd != NULL)
            words_json(&command, msg_layout(hit->cmd->type), msg_body_const(hit->cmd), false);
        out_json(o, hit->cmd == NULL ? "null" : words_text(&command));
    } else {
        list_corr(o, r->corr);
        out_text(o, words_text(&text));
    }
    out_row_end(o);
    bytes_free(&text);
    bytes_free(&command);
}

static enum status
list_all(const struct call *c, struct records *r, struct filter *f)
{
    struct walk *w = walk_begin(r, f->ranges);
    const struct journal_record *record;
    struct filter_hit hit;
    uint64_t shown = 0, limit = c->o.limit == 0 ? UINT64_MAX : (uint64_t)c->o.limit;
    enum records_result result = RECORDS_END;
    list_begin(c->out);
    while (shown < limit && (result = walk_next(w, &record)) == RECORDS_ONE) {
        if (!filter_take(f, record, &hit))
            continue;
        list_put(c->out, &hit);
        shown++;
    }
    walk_end(&w);
    if (result == RECORDS_FAILED)
        return source_failed(c, r);
    if (shown == 0)
        out_say(c->out, "No record is like that.");
    return STATUS_OK;
}

enum status
journal_list(const struct call *c)
{
    enum status status;
    struct filter f;
    struct records *r = source_open(c, &status);
    if (r == NULL)
        return status;
    status = filter_open(&f, c, r);
    if (status == STATUS_OK)
        status = list_all(c, r, &f);
    filter_close(&f);
    records_close(&r);
    return status;
}

/* ---- Records whole ----------------------------------------------------------------------------
 */

/* A record, and how it fits behind the one before it. */
struct shown {
    struct journal_record record;
    struct msg cmd;
    bool is_readable;
    bool has_before; /* false: the record before is not here */
    uint8_t before[HASH_BYTES];
    bool fits;
};

static void
put_field(struct out *o, const char *name, const char *value, const char *meaning)
{
    out_text(o, name);
    out_text(o, value);
    out_text(o, meaning);
    out_row_end(o);
}

/* "fills[0].evidence.price" and its value; fields that are not in the record are left out. */
static void
put_fields(struct out *o, const char *prefix, const struct msg_layout *l, const void *body)
{
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        struct bytes name = {NULL, 0, 0}, value = {NULL, 0, 0};
        if (msg_field_zero(f, body))
            continue;
        words_add(&name, "%s%s", prefix, f->name);
        if (f->kind == KIND_RECORD) {
            words_add(&name, ".");
            put_fields(o, words_text(&name), f->items, (const uint8_t *)body + f->offset);
        } else if (f->kind == KIND_LIST) {
            size_t length = name.length;
            const uint8_t *item = msg_list(f, body);
            for (uint32_t k = 0; k < msg_list_count(f, body); k++, item += f->items->size) {
                name.length = length;
                words_add(&name, "[%u].", k);
                put_fields(o, words_text(&name), f->items, item);
            }
        } else {
            if ((f->flags & MSG_FLAG_SEC) != 0)
                words_add(&value, "***");
            else
                words_value(&value, f, body);
            put_field(o, words_text(&name), words_text(&value), f->sentence);
        }
        bytes_free(&name);
        bytes_free(&value);
    }
}

static void
hex_of(const uint8_t hash[HASH_BYTES], char out[2 * HASH_BYTES + 1])
{
    for (int i = 0; i < HASH_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static void
show_table(struct out *o, const struct shown *s)
{
    const struct journal_record *r = &s->record;
    const char *kind = list_kind(r->kind);
    char text[2 * HASH_BYTES + 1], time[VALUE_TIME_BYTES];
    struct bytes words = {NULL, 0, 0};
    if (s->is_readable)
        words_message(&words, &s->cmd);
    out_say(o, "Record %llu of shard %u, %s: %s", (unsigned long long)r->seq, r->shard,
            kind == NULL ? "of no known kind" : kind, words_text(&words));
    bytes_free(&words);
    out_table(o, "field value meaning");
    put_field(o, "time", value_time_text(r->time_us, time), "When the ledger took it.");
    put_field(o, "source", r->source.text, "The process that asked for it.");
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)r->corr);
    put_field(o, "corr", text, "Correlation id of the request that caused it.");
    snprintf(text, sizeof(text), "%u", r->payload_length);
    put_field(o, "payload bytes", text, s->is_readable ? "" : "They cannot be read.");
    if (s->is_readable)
        put_fields(o, "  ", msg_layout(s->cmd.type), msg_body_const(&s->cmd));
    hex_of(s->before, text);
    put_field(o, "hash before", s->has_before ? text : "not here",
              r->seq == 1 ? "Zeros: it is the first." : "Of the record before it.");
    hex_of(r->hash, text);
    put_field(o, "hash", text,
              !s->has_before ? "Cannot be checked alone."
              : s->fits      ? "Fits: it is that of this record behind the one before."
                             : "DOES NOT FIT what it is the hash of.");
}

static void
show_json(struct out *o, const struct shown *s)
{
    const struct journal_record *r = &s->record;
    struct bytes text = {NULL, 0, 0}, command = {NULL, 0, 0};
    out_table(o, "time shard seq kind kind_number corr source payload_bytes text command payload "
                 "hash_before hash fits");
    out_time(o, r->time_us);
    out_uint(o, r->shard);
    out_uint(o, r->seq);
    put_kind(o, r->kind);
    out_uint(o, r->kind);
    list_corr(o, r->corr);
    out_text(o, r->source.text);
    out_uint(o, r->payload_length);
    if (s->is_readable) {
        words_message(&text, &s->cmd);
        words_json(&command, msg_layout(s->cmd.type), msg_body_const(&s->cmd), false);
    }
    out_text(o, s->is_readable ? words_text(&text) : NULL);
    out_json(o, s->is_readable ? words_text(&command) : "null");
    out_hex(o, r->payload, r->payload_length);
    if (s->has_before) {
        out_hex(o, s->before, HASH_BYTES);
        out_hex(o, r->hash, HASH_BYTES);
        out_bool(o, s->fits);
    } else {
        out_text(o, NULL);
        out_hex(o, r->hash, HASH_BYTES);
        out_text(o, NULL);
    }
    out_row_end(o);
    bytes_free(&text);
    bytes_free(&command);
}

/* The record before `seq` gives the hash; its first one follows what the extent says. */
static bool
find_before(struct records *r, uint16_t shard, uint64_t seq, struct shown *s)
{
    struct records_extent extent;
    struct journal_record before;
    if (!records_extent(r, shard, &extent))
        return false;
    if (seq <= extent.first) {
        s->has_before = seq == extent.first && extent.has_before;
        memcpy(s->before, extent.before, HASH_BYTES);
        return true;
    }
    struct records_cursor *cursor = records_read(r, shard, seq - 2, seq - 1);
    enum records_result result = cursor == NULL ? RECORDS_FAILED : records_next(cursor, &before);
    s->has_before = result == RECORDS_ONE;
    if (s->has_before)
        memcpy(s->before, before.hash, HASH_BYTES);
    if (cursor != NULL)
        records_end(&cursor);
    return result != RECORDS_FAILED;
}

static enum status
show_record(const struct call *c, const struct journal_record *record, struct shown *s)
{
    uint8_t hash[HASH_BYTES];
    struct arena lists;
    void *memory = malloc(LIST_BYTES);
    CHECK(memory != NULL);
    arena_init(&lists, memory, LIST_BYTES);
    struct journal_hasher *hasher = journal_hasher_new();
    s->record = *record;
    s->is_readable = msg_unpack_payload(record->payload, record->payload_length,
                                        (enum msg_type)record->kind, &lists, &s->cmd) == OK;
    journal_hash(hasher, s->before, record, hash);
    s->fits = memcmp(hash, record->hash, HASH_BYTES) == 0;
    if (out_is_json(c->out))
        show_json(c->out, s);
    else
        show_table(c->out, s);
    journal_hasher_destroy(&hasher);
    free(memory);
    return s->is_readable && (s->fits || !s->has_before) ? STATUS_OK : STATUS_NO;
}

static enum status
show_one(const struct call *c, struct records *r, uint16_t shard, uint64_t seq)
{
    struct shown s = {.fits = false};
    struct journal_record record;
    if (!find_before(r, shard, seq, &s))
        return source_failed(c, r);
    struct records_cursor *cursor = records_read(r, shard, seq - 1, seq);
    enum records_result result = cursor == NULL ? RECORDS_FAILED : records_next(cursor, &record);
    enum status status = STATUS_OK;
    if (result == RECORDS_ONE)
        status = show_record(c, &record, &s);
    else if (result == RECORDS_END)
        status = refuse(c, STATUS_NO, "RECORD_NOT_FOUND", "there is no record %llu of shard %u",
                        (unsigned long long)seq, shard);
    else
        status = source_failed(c, r);
    if (cursor != NULL)
        records_end(&cursor);
    return status;
}

enum status
journal_show(const struct call *c)
{
    int64_t shard;
    uint64_t seqs[WORDS_MAX];
    if (!value_int(c->words[0], 0, RECORDS_SHARDS - 1, &shard))
        return refuse(c, STATUS_USAGE, "USAGE", "'%.40s' is no shard: they are 0 to %d",
                      c->words[0], RECORDS_SHARDS - 1);
    for (uint32_t i = 1; i < c->words_count; i++) {
        int64_t seq;
        if (!value_int(c->words[i], 1, INT64_MAX, &seq))
            return refuse(c, STATUS_USAGE, "USAGE", "'%.40s' is no record: a whole number from 1",
                          c->words[i]);
        seqs[i] = (uint64_t)seq;
    }
    enum status status;
    struct records *r = source_open(c, &status);
    if (r == NULL)
        return status;
    status = STATUS_OK;
    for (uint32_t i = 1; i < c->words_count && status != STATUS_FAILED; i++) {
        enum status one = show_one(c, r, (uint16_t)shard, seqs[i]);
        status = one > status ? one : status;
    }
    records_close(&r);
    return status;
}
