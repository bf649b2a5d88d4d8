/*
 * proof.c - see proof.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scripctl/shadow.h"
#include "scripctl/value.h"

/* One run. */
struct prover {
    const struct proof_options *o;
    struct records *records;
    struct tables *tables; /* NULL without a database, or for the chain alone */
    struct progress *progress;
    struct proof *proofs;
    char *why;
};

/* A shard under way. */
struct going {
    struct prover *p;
    struct proof *proof;
    struct twin *twin;
    uint16_t shard;
    uint64_t seq;                                   /* last one taken */
    const struct anchor_point *points, *points_end; /* that still come */
};

static bool
failed(struct prover *p)
{
    return shadow_wrong(p->why, "%s", records_why(p->records));
}

/* ---- What is wrong ------------------------------------------------------------------------ */

static void
record_wrong(struct proof *p, const struct journal_record *r, const char *what)
{
    char time[VALUE_TIME_BYTES];
    const struct msg_layout *kind = msg_layout((enum msg_type)r->kind);
    p->wrong_seq = r->seq;
    p->wrong_us = r->time_us;
    snprintf(p->wrong_kind, sizeof p->wrong_kind, "%s", kind != NULL ? kind->name : "unknown");
    snprintf(p->wrong, sizeof p->wrong, "shard %u record %llu (%s) of %.40s: %s", r->shard,
             (unsigned long long)r->seq, p->wrong_kind, value_time_text(r->time_us, time), what);
}

static void
tail_wrong(struct going *g, uint64_t known, const char *by)
{
    snprintf(
        g->proof->wrong, sizeof g->proof->wrong,
        "shard %u ends with record %llu, and %s record %llu: the end of the journal is missing",
        g->shard, (unsigned long long)g->seq, by, (unsigned long long)known);
    g->proof->wrong_seq = g->seq + 1;
}

/* ---- Anchors ------------------------------------------------------------------------------ */

static void
points_find(struct going *g)
{
    uint32_t count;
    const struct anchor_point *at = anchors_points(g->p->o->anchors, &count);
    const struct anchor_point *end = at + count;
    while (at < end && at->shard < g->shard)
        at++;
    g->points = at;
    while (at < end && at->shard == g->shard)
        at++;
    g->points_end = at;
}

/* Those of records that are not here cannot be held against anything. */
static void
points_skip(struct going *g, uint64_t first)
{
    while (g->points < g->points_end && g->points->seq < first)
        g->points++;
}

static bool
anchor_fits(struct going *g, const struct journal_record *r)
{
    char time[VALUE_TIME_BYTES], what[WHY_BYTES];
    if (g->points == g->points_end || g->points->seq != r->seq)
        return true;
    const struct anchor_point *point = g->points++;
    g->proof->anchored = r->seq;
    if (memcmp(point->hash, r->hash, HASH_BYTES) == 0)
        return true;
    snprintf(what, sizeof what, "it is not the one that was anchored at %.40s",
             value_time_text(point->time_us, time));
    record_wrong(g->proof, r, what);
    return false;
}

static void
anchor_of_end(struct going *g)
{
    char time[VALUE_TIME_BYTES], by[128];
    const struct anchor_point *last = anchors_last(g->p->o->anchors, g->shard);
    if (last == NULL || last->seq <= g->seq)
        return;
    snprintf(by, sizeof by, "an anchor of %.40s has", value_time_text(last->time_us, time));
    tail_wrong(g, last->seq, by);
}

/* ---- Records ------------------------------------------------------------------------------ */

static void
count_step(struct proof *p, const struct twin_step *step)
{
    p->postings += step->postings_count;
    p->fills += step->trades_count;
    for (uint32_t i = 0; i < step->orders_count; i++)
        p->orders += step->orders[i].is_new;
    if (step->cmd->type == MSG_account_open)
        p->accounts++;
}

/* False when the record is wrong. */
static bool
take(struct going *g, const struct journal_record *r)
{
    struct tables *tables = g->p->tables;
    if (!twin_apply(g->twin, r)) {
        record_wrong(g->proof, r, twin_wrong(g->twin));
        return false;
    }
    if (!anchor_fits(g, r))
        return false;
    g->seq = r->seq;
    g->proof->records++;
    count_step(g->proof, twin_step(g->twin));
    if (tables != NULL && r->seq <= tables_stamp(tables, g->shard)) {
        tables_note(tables, twin_step(g->twin));
        if (r->seq == tables_stamp(tables, g->shard))
            tables_at(tables, g->shard, twin_ledger(g->twin), r->hash);
    }
    progress_add(g->p->progress, 1);
    return true;
}

/* The chain alone may begin anywhere; where nothing tells the hash before it, with the first hash
 * as it is. */
static void
chain_begin(struct going *g, const struct records_extent *extent, const struct journal_record *r)
{
    if (extent->first == 1 || g->proof->records > 0)
        return;
    if (extent->has_before)
        twin_begin(g->twin, g->shard, extent->first, extent->before);
    else
        twin_begin_at(g->twin, r);
}

static bool
run_records(struct going *g, const struct records_extent *extent)
{
    struct records_cursor *c = records_read(g->p->records, g->shard, 0, 0);
    struct journal_record r;
    enum records_result result;
    bool is_right = true;
    while (is_right && (result = records_next(c, &r)) == RECORDS_ONE) {
        chain_begin(g, extent, &r);
        is_right = take(g, &r);
    }
    bool is_read = !is_right || result == RECORDS_END;
    records_end(&c);
    return is_read || failed(g->p);
}

/* Last record of the shard in the database itself; 0 = it has none, or there is no database. */
static uint64_t
live_last(struct going *g)
{
    char shard[12];
    const char *const values[] = {shard};
    PGconn *db = records_connection(g->p->records);
    if (db == NULL)
        return 0;
    snprintf(shard, sizeof shard, "%u", g->shard);
    PGresult *r = PQexecParams(db,
                               "SELECT seq FROM ledger.journal WHERE shard = $1::smallint "
                               "ORDER BY seq DESC LIMIT 1",
                               1, NULL, values, NULL, NULL, 0);
    uint64_t last = PQntuples(r) == 1 ? strtoull(PQgetvalue(r, 0, 0), NULL, 10) : 0;
    PQclear(r);
    return last;
}

/* Whether more was known of the shard than the journal has. */
static void
judge_end(struct going *g)
{
    const struct tables *tables = g->p->tables;
    if (g->proof->wrong[0] != '\0')
        return;
    uint64_t live = live_last(g), read = g->seq;
    if (live != 0 && live < read) {
        g->seq = live;
        tail_wrong(g, read, "segment files have");
        return;
    }
    anchor_of_end(g);
    if (g->proof->wrong[0] == '\0' && tables != NULL && tables_stamp(tables, g->shard) > g->seq)
        tail_wrong(g, tables_stamp(tables, g->shard), "its tables are of");
}

/* An archived beginning is somewhere else; one of which nothing is known is gone. */
static bool
begins(struct prover *p, uint16_t shard, const struct records_extent *extent)
{
    struct proof *proof = &p->proofs[shard];
    if (extent->last == 0 || extent->first == 1 || p->o->is_chain_only)
        return true;
    if (!extent->has_before) {
        proof->is_there = true;
        proof->first = proof->wrong_seq = extent->first;
        snprintf(
            proof->wrong, sizeof proof->wrong,
            "shard %u begins with record %llu, and no archive is known to have what was before "
            "it",
            shard, (unsigned long long)extent->first);
        return true;
    }
    return shadow_wrong(p->why,
                        "shard %u begins with record %llu: what is before it was archived; name "
                        "the folder with --archive, or verify --chain-only",
                        shard, (unsigned long long)extent->first);
}

static bool
prove(struct prover *p, uint16_t shard)
{
    struct records_extent extent;
    struct going g = {.p = p, .proof = &p->proofs[shard], .shard = shard};
    if (!records_extent(p->records, shard, &extent))
        return failed(p);
    if (!begins(p, shard, &extent))
        return false;
    if (g.proof->wrong[0] != '\0')
        return true;
    int64_t began_us = value_now_us();
    points_find(&g);
    g.proof->first = extent.first;
    g.proof->is_there = extent.last != 0 || g.points < g.points_end ||
                        (p->tables != NULL && tables_stamp(p->tables, shard) != 0);
    if (!g.proof->is_there)
        return true;
    points_skip(&g, extent.first);
    g.twin = twin_new(&(struct twin_options){.is_chain_only = p->o->is_chain_only});
    bool is_read = extent.last == 0 || run_records(&g, &extent);
    twin_destroy(&g.twin);
    g.proof->last = g.seq;
    if (is_read)
        judge_end(&g);
    g.proof->took_us = value_now_us() - began_us;
    return is_read;
}

/* ---- Tables ------------------------------------------------------------------------------- */

/* A second replay of a shard whose finished rows differ somewhere. */
static bool
look(struct prover *p, uint16_t shard)
{
    struct twin *t = twin_new(&(struct twin_options){.is_trusting = true});
    struct records_cursor *c = records_read(p->records, shard, 0, tables_stamp(p->tables, shard));
    struct journal_record r;
    enum records_result result;
    while ((result = records_next(c, &r)) == RECORDS_ONE && twin_apply(t, &r))
        tables_look(p->tables, twin_step(t));
    records_end(&c);
    twin_destroy(&t);
    return result != RECORDS_FAILED || failed(p);
}

static bool
prove_tables(struct prover *p, const bool shards[LEDGER_SHARDS])
{
    bool is_well = tables_compare(p->tables, records_connection(p->records), p->why);
    bool must_look = false;
    for (uint16_t i = 0; is_well && i < LEDGER_SHARDS; i++)
        if (shards[i] && tables_must_look(p->tables, i)) {
            must_look = true;
            is_well = look(p, i);
        }
    if (is_well && must_look)
        is_well = tables_name(p->tables, records_connection(p->records), p->why);
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++) {
        struct proof *proof = &p->proofs[i];
        if (!shards[i] || tables_stamp(p->tables, i) > proof->last)
            continue;
        proof->tables_at = tables_stamp(p->tables, i);
        proof->table_rows = tables_rows(p->tables, i);
        proof->differences = tables_differences(p->tables, i);
    }
    return is_well;
}

/* Of all shards that are to be proved, as far as they say. */
static uint64_t
records_total(struct prover *p, const bool shards[LEDGER_SHARDS])
{
    uint64_t total = 0;
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++) {
        struct records_extent extent;
        if (shards[i] && records_extent(p->records, i, &extent) && extent.last != 0)
            total += extent.last - extent.first + 1;
    }
    return total;
}

/* ---- The run ------------------------------------------------------------------------------ */

/* The caller's, with those that are named counted. */
struct teller {
    tables_found *on_difference;
    void *arg;
    struct proof *proofs;
};

static void
on_found(void *arg, const struct tables_difference *d)
{
    struct teller *t = arg;
    t->proofs[d->shard].named++;
    t->on_difference(t->arg, d);
}

bool
proof_run(const struct proof_options *o, const bool shards[LEDGER_SHARDS],
          struct progress *progress, tables_found *on_difference, void *arg,
          struct proof proofs[LEDGER_SHARDS], char why[WHY_BYTES])
{
    struct teller teller = {on_difference, arg, proofs};
    struct prover p = {.o = o, .progress = progress, .proofs = proofs, .why = why};
    p.records = records_open(&o->source, why);
    bool is_well = p.records != NULL;
    if (is_well && o->source.database != NULL && !o->is_chain_only) {
        p.tables = tables_new(on_found, &teller);
        is_well = tables_stamps(p.tables, records_connection(p.records), why);
    }
    if (is_well)
        progress->total = records_total(&p, shards);
    for (uint16_t i = 0; is_well && i < LEDGER_SHARDS; i++)
        is_well = !shards[i] || prove(&p, i);
    if (is_well && p.tables != NULL)
        is_well = prove_tables(&p, shards);
    tables_destroy(&p.tables);
    records_close(&p.records);
    return is_well;
}
