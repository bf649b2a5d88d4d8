/*
 * verify.c - scripctl verify: proves a journal, and that the tables are what it comes to.
 *
 * A shard at a time: every record through a twin (chain, double entry, holds, fills), anchors on
 * the way, rows noted up to the tables' stamp; then the tables. The first wrong record of a shard
 * ends it. Shards share nothing, so --jobs gives each process some of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scripctl/anchor.h"
#include "scripctl/proof.h"
#include "scripctl/source.h"
#include "scripctl/verify_jobs.h"

/* ---- Anchors ------------------------------------------------------------------------------ */

static bool
anchors_of_table(struct anchors *a, const char *conninfo, char why[ANCHOR_WHY_BYTES])
{
    PGconn *db = PQconnectdb(conninfo);
    bool is_well = anchor_table_add(db, a, why);
    PQfinish(db);
    return is_well;
}

/* What is vouched for: by files, and by the database's own table when there is a key. STATUS_NO
 * when an anchor is not genuine. */
static enum status
anchors_open(const struct call *c, struct anchor_keys *keys, struct anchors *a)
{
    char why[ANCHOR_WHY_BYTES];
    for (uint32_t i = 0; i < c->o.anchor_key_count; i++)
        if (!anchor_keys_add(keys, c->o.anchor_key[i], why))
            return refuse(c, STATUS_FAILED, "KEY_UNREADABLE", "%s", why);
    if (c->o.anchor_count > 0 && c->o.anchor_key_count == 0)
        return refuse(c, STATUS_USAGE, "USAGE", "--anchor needs --anchor-key, the public key");
    for (uint32_t i = 0; i < c->o.anchor_count; i++)
        if (!anchors_add_file(a, c->o.anchor[i], why))
            return refuse(c, STATUS_NO, "ANCHOR_WRONG", "%s", why);
    if (c->o.anchor_key_count > 0 && c->o.database != NULL &&
        !anchors_of_table(a, c->o.database, why))
        return refuse(c, STATUS_NO, "ANCHOR_WRONG", "%s", why);
    if (!anchors_judge(a, why))
        return refuse(c, STATUS_NO, "ANCHOR_WRONG", "%s", why);
    return STATUS_OK;
}

/* ---- What came of it ---------------------------------------------------------------------- */

static const char columns_people[] =
    "shard> records> fills> postings> accounts> orders> tables_at> anchored> seconds> records/s> "
    "verdict";
static const char columns_json[] =
    "shard first last records fills postings accounts orders tables_at table_rows differences "
    "anchored seconds records_per_second is_right wrong_seq wrong_time wrong_kind wrong";

static int64_t
per_second(uint64_t records, int64_t took_us)
{
    return took_us <= 0 ? 0 : (int64_t)(records * 1000000 / (uint64_t)took_us);
}

static void
put_seconds(struct out *o, int64_t took_us)
{
    char text[32];
    snprintf(text, sizeof text, "%lld.%03lld", (long long)(took_us / 1000000),
             (long long)(took_us / 1000 % 1000));
    out_text(o, text);
}

static void
put_counts(struct out *o, const struct proof *p)
{
    out_uint(o, p->records);
    out_uint(o, p->fills);
    out_uint(o, p->postings);
    out_uint(o, p->accounts);
    out_uint(o, p->orders);
}

static void
put_json(struct out *o, uint32_t shard, const struct proof *p)
{
    out_uint(o, shard);
    out_uint(o, p->first);
    out_uint(o, p->last);
    put_counts(o, p);
    out_uint(o, p->tables_at);
    out_uint(o, p->table_rows);
    out_uint(o, p->differences);
    out_uint(o, p->anchored);
    put_seconds(o, p->took_us);
    out_int(o, per_second(p->records, p->took_us));
    out_bool(o, proof_is_right(p));
    out_uint(o, p->wrong_seq);
    out_time(o, p->wrong_us);
    out_text(o, p->wrong_kind);
    out_text(o, p->wrong[0] == '\0' ? NULL : p->wrong);
    out_row_end(o);
}

static void
put_line(struct out *o, const char *shard, const struct proof *p)
{
    out_text(o, shard);
    put_counts(o, p);
    out_uint(o, p->tables_at);
    out_uint(o, p->anchored);
    put_seconds(o, p->took_us);
    out_int(o, per_second(p->records, p->took_us));
    out_text(o, proof_is_right(p) ? "right" : p->wrong[0] != '\0' ? "WRONG" : "TABLES DIFFER");
    out_row_end(o);
}

static void
put_table(const struct call *c, const struct proof proofs[LEDGER_SHARDS], const struct proof *all)
{
    bool is_json = out_is_json(c->out);
    out_table(c->out, is_json ? columns_json : columns_people);
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++) {
        char shard[12];
        snprintf(shard, sizeof shard, "%u", i);
        if (!proofs[i].is_there)
            continue;
        if (is_json)
            put_json(c->out, i, &proofs[i]);
        else
            put_line(c->out, shard, &proofs[i]);
    }
    if (!is_json)
        put_line(c->out, "all", all);
}

static void
put_differences(const struct call *c, const struct verify_found *found)
{
    char text[WHY_BYTES * 2];
    if (out_is_json(c->out) && found->count > 0)
        out_table(c->out, "shard table key column found expected");
    for (uint32_t i = 0; i < found->count; i++) {
        const struct tables_difference *d = &found->items[i];
        if (!out_is_json(c->out)) {
            out_say(c->out, "shard %u: %s", d->shard, tables_say(d, text));
            continue;
        }
        out_uint(c->out, d->shard);
        out_text(c->out, d->table);
        out_text(c->out, d->key);
        out_text(c->out, d->column[0] == '\0' ? NULL : d->column);
        out_text(c->out, d->found[0] == '\0' ? NULL : d->found);
        out_text(c->out, d->expected[0] == '\0' ? NULL : d->expected);
        out_row_end(c->out);
    }
}

static struct proof
summed(const struct proof proofs[LEDGER_SHARDS])
{
    struct proof all = {.is_there = true};
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++) {
        const struct proof *p = &proofs[i];
        all.records += p->records;
        all.fills += p->fills;
        all.postings += p->postings;
        all.accounts += p->accounts;
        all.orders += p->orders;
        all.anchored += p->anchored;
        all.took_us += p->took_us;
        all.differences += p->differences;
        if (p->wrong[0] != '\0' && all.wrong[0] == '\0')
            snprintf(all.wrong, sizeof all.wrong, "%s", p->wrong);
    }
    return all;
}

/* The first wrong record of each shard, then the tables, then what it means. */
static enum status
tell(const struct call *c, const struct proof proofs[LEDGER_SHARDS],
     const struct verify_found *found)
{
    const struct proof all = summed(proofs);
    uint32_t wrong = 0;
    put_table(c, proofs, &all);
    put_differences(c, found);
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++) {
        const struct proof *p = &proofs[i];
        wrong += p->is_there && !proof_is_right(p);
        if (p->wrong[0] != '\0')
            out_say(c->out, "%s", p->wrong);
        if (p->differences > p->named)
            out_say(c->out, "shard %u: at least %llu more rows differ", i,
                    (unsigned long long)(p->differences - p->named));
    }
    if (wrong == 0 && c->o.chain_only)
        out_say(c->out, "The chain is right: %llu records. Nothing else was looked at.",
                (unsigned long long)all.records);
    else if (wrong == 0)
        out_say(c->out, "Everything is right: %llu records, %llu fills, %llu postings.",
                (unsigned long long)all.records, (unsigned long long)all.fills,
                (unsigned long long)all.postings);
    else
        out_say(c->out, "WRONG: %u of the shards.", wrong);
    return wrong == 0 ? STATUS_OK : STATUS_NO;
}

/* ---- The command -------------------------------------------------------------------------- */

enum status
verify(const struct call *c)
{
    static struct proof proofs[LEDGER_SHARDS];
    struct anchor_keys *keys = anchor_keys_new();
    struct anchors *anchors = anchors_new(keys);
    struct verify_found found = {.items = NULL};
    const struct proof_options o = {.source = {c->o.database, c->o.archive},
                                    .anchors = anchors,
                                    .is_chain_only = c->o.chain_only};
    char why[WHY_BYTES];
    enum status status = STATUS_OK;
    memset(proofs, 0, sizeof proofs);
    if (c->o.database == NULL && c->o.archive == NULL)
        status = refuse(c, STATUS_FAILED, "NO_SOURCE",
                        "there is nothing to read: name --database, --archive or both");
    if (status == STATUS_OK)
        status = anchors_open(c, keys, anchors);
    if (status == STATUS_OK &&
        !verify_shards(&o, c->o.shard, (uint32_t)c->o.jobs, c->o.quiet, proofs, &found, why))
        status = refuse(c, STATUS_FAILED, "NOT_VERIFIED", "%s", why);
    if (status == STATUS_OK)
        status = tell(c, proofs, &found);
    free(found.items);
    anchors_destroy(&anchors);
    anchor_keys_destroy(&keys);
    return status;
}
