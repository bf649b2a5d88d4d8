/*
 * sim_follow.c - a ledger that replays each record in the moment in which it is committed.
 *
 * It knows neither clocks nor processes nor what failed: it is what the journal says. After each
 * record the books of its shard are proved, and whenever an owner has nothing uncommitted in a
 * shard its state there must be the follower's, byte for byte.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define OUT_SLOTS (LEDGER_OUT_MAX + 8)

uint64_t
follow_trade_hash(const struct trade *t)
{
    const uint64_t told[] = {t->order_id,
                             (uint64_t)t->price.v,
                             (uint64_t)t->quantity.v,
                             (uint64_t)t->quote_quantity.v,
                             (uint64_t)t->fee.v,
                             (uint64_t)t->time_us,
                             (uint64_t)t->is_maker};
    return map_hash(told, sizeof told) & 0x7fffffff;
}

static void
on_trade(void *arg, const struct trade_row *row)
{
    struct sim *s = arg;
    if (map_get(&s->follower.trades, row->trade.trade_id) != MAP_NONE)
        sim_fail(s, "fill %llu happened twice", (unsigned long long)row->trade.trade_id);
    map_set(&s->follower.trades, row->trade.trade_id, (uint32_t)follow_trade_hash(&row->trade));
}

/* ---- Records --------------------------------------------------------------------------------- */

static void
replay(struct sim *s, const struct journal_record *r, uint64_t expected)
{
    struct sim_follower *f = &s->follower;
    unsigned long long seq = r->seq;
    const struct msg cmd = sim_record_cmd(s, r);
    if (r->seq != expected) {
        sim_fail(s, "record %u/%llu follows %llu", r->shard, seq,
                 (unsigned long long)(expected - 1));
        return;
    }
    enum err e = ledger_replay(&f->ledger, &cmd, r->time_us, &f->out);
    const struct msg *said = f->out.count > 0 ? &f->out.slots[0].msg : NULL;
    bool is_refused = said != NULL && said->type == MSG_refused;
    outbox_clear(&f->out);
    if (e != OK || ledger_shard_of_cmd(&cmd) != r->shard)
        sim_fail(s, "record %u/%llu, %s, does not follow from those before it: %s", r->shard, seq,
                 msg_layout(cmd.type)->name,
                 is_refused ? err_name(said->refused.error) : err_name(e));
    f->known &= ~(UINT64_C(1) << r->shard);
    f->unproved |= UINT64_C(1) << r->shard;
    for (uint32_t i = 0; i < s->ledgers_count; i++)
        s->ledgers[i].unequal |= UINT64_C(1) << r->shard;
}

/* Times never fall, whoever writes and whatever its clock does. */
static void
check_times(struct sim *s, uint32_t at)
{
    const struct journal_record *records = s->database.records;
    uint32_t group = records[at].shard % s->groups_count;
    for (uint32_t i = at; i-- > 0;) {
        if (records[i].shard % s->groups_count != group)
            continue;
        if (records[i].time_us > records[at].time_us)
            sim_fail(s, "record %u/%llu is of a time before the one written last",
                     records[at].shard, (unsigned long long)records[at].seq);
        return;
    }
}

static void
prove(struct sim *s)
{
    struct sim_follower *f = &s->follower;
    text_t why;
    for (uint32_t shard = 0; f->unproved != 0; shard++) {
        uint64_t bit = UINT64_C(1) << shard;
        if ((f->unproved & bit) != 0 && !ledger_check_shard(&f->ledger, shard, &why))
            sim_fail(s, "by the journal: %s", why.text);
        f->unproved &= ~bit;
    }
}

void
follow_committed(struct sim *s, uint32_t from)
{
    struct sim_follower *f = &s->follower;
    const struct ledger_sink sink = {.arg = s, .on_trade = on_trade};
    uint32_t behind[LEDGER_SHARDS] = {0};
    for (uint32_t i = from; i < s->database.count; i++)
        behind[s->database.records[i].shard]++;
    for (uint32_t i = from; i < s->database.count && s->failure[0] == '\0'; i++) {
        const struct journal_record *r = &s->database.records[i];
        check_times(s, i);
        replay(s, r, s->database.counts[r->shard] - --behind[r->shard]);
        if (i + 1 == s->database.count || !ledger_ready(&f->ledger, &f->out))
            (void)ledger_drain(&f->ledger, &sink);
    }
    prove(s);
}

/* ---- State ----------------------------------------------------------------------------------- */

static void
hash_sink(void *arg, const void *bytes, size_t length)
{
    uint64_t *hash = arg, word;
    const uint8_t *at = bytes;
    for (; length >= sizeof word; at += sizeof word, length -= sizeof word) {
        memcpy(&word, at, sizeof word);
        *hash = (*hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        *hash ^= *hash >> 29;
    }
    for (; length > 0; length--)
        *hash = (*hash ^ *at++) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t
digest(const struct ledger *l, uint32_t shard)
{
    uint64_t hash = 1;
    ledger_digest(l, shard, hash_sink, &hash);
    return hash;
}

static void
compare_shard(struct sim *s, struct sim_ledger *l, uint32_t shard)
{
    struct sim_follower *f = &s->follower;
    uint64_t bit = UINT64_C(1) << shard;
    if (journal_applied(l->serve->journal, (uint16_t)shard) != s->database.counts[shard])
        return; /* something of it is not committed yet */
    if ((f->known & bit) == 0)
        f->digests[shard] = digest(&f->ledger, shard);
    f->known |= bit;
    if (digest(&l->serve->ledger, shard) != f->digests[shard])
        sim_fail(s, "shard %u: ledger %u has another state than the journal", shard, l->index);
    l->unequal &= ~bit;
    s->counts.compared++;
}

void
follow_compare(struct sim *s, bool all)
{
    for (uint32_t i = 0; i < s->ledgers_count; i++) {
        struct sim_ledger *l = &s->ledgers[i];
        if (!sim_ledger_serves(l) || sim_ledger_is_deposed(l))
            continue;
        if (all)
            l->unequal = UINT64_MAX;
        for (uint32_t shard = 0; l->unequal != 0 && shard < LEDGER_SHARDS; shard++)
            if (!sim_owns(s, l->group, shard))
                l->unequal &= ~(UINT64_C(1) << shard);
            else if ((l->unequal >> shard & 1) != 0)
                compare_shard(s, l, shard);
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

void
follow_new(struct sim *s)
{
    struct sim_follower *f = &s->follower;
    struct ledger_limits limits;
    struct ledger_policy policy;
    uint32_t fills_max = 8 * s->steps + 4000;
    sim_limits(&limits, &policy);
    limits.orders_max = 2 * s->steps + 2000;
    f->memory = calloc(1, ledger_bytes(&limits));
    f->trades_bytes = malloc(map_bytes(fills_max));
    struct out *slots = calloc(OUT_SLOTS, sizeof *slots);
    void *bytes = aligned_alloc(16, LEDGER_OUT_BYTES);
    CHECK(f->memory != NULL && f->trades_bytes != NULL && slots != NULL && bytes != NULL);
    ledger_init(&f->ledger, &limits, &policy, f->memory);
    map_init(&f->trades, fills_max, f->trades_bytes);
    outbox_init(&f->out, slots, OUT_SLOTS, bytes, LEDGER_OUT_BYTES);
    sim_market_tell(&f->ledger);
}

void
follow_free(struct sim *s)
{
    struct sim_follower *f = &s->follower;
    free(f->memory);
    free(f->trades_bytes);
    free(f->out.slots);
    free(f->out.lists.bytes);
}
