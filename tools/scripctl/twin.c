/*
 * twin.c - see twin.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/twin.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "scripctl/places.h"
#include "scripctl/shadow.h"
#include "wire/codec.h"

#define LIST_BYTES (1u << 20) /* of one command */
#define OUT_SLOTS  (LEDGER_OUT_MAX + 8)

/* Rows of one record. */
struct drained {
    struct balance_row *balances;
    struct order_row *orders;
    struct trade_row *trades;
    struct change_row *changes;
    struct story_row *stories;
    struct account_row *accounts;
    uint32_t balances_count, orders_count, trades_count, changes_count, stories_count;
    uint32_t accounts_count;
    uint32_t balances_max, orders_max, trades_max, changes_max, stories_max, accounts_max;
};

/* Where a shard's chain stands. */
struct head {
    uint64_t seq, epoch;
    int64_t time_us;
    uint8_t hash[HASH_BYTES];
    bool is_open; /* nobody knows the hash before the next record */
};

struct twin {
    struct twin_options o;
    struct ledger ledger;
    struct ledger_limits limits;
    void *memory;
    size_t memory_bytes;
    struct outbox out;
    struct arena lists;
    struct journal_hasher *hasher;
    EVP_MD_CTX *digest;
    struct head heads[LEDGER_SHARDS];
    struct shadow *shadow;
    struct drained rows;
    struct msg cmd;
    struct twin_step step;
    char wrong[WHY_BYTES];    /* without the record's name */
    char why[WHY_BYTES + 96]; /* with it */
};

/* ---- Memory ------------------------------------------------------------------------------- */

/* Pages come when they are touched; limits cost nothing. */
static void *
pages_new(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(pages != MAP_FAILED);
    return pages;
}

static const struct ledger_limits limits_first = {.accounts_max = 4096,
                                                  .balances_max = 16384,
                                                  .orders_max = 8192,
                                                  .assets_max = 64,
                                                  .symbols_max = 64,
                                                  .fills_max = 1024,
                                                  .changes_max = 1024,
                                                  .stories_max = 1024,
                                                  .events_max = 16,
                                                  .waiters_max = 8,
                                                  .keep_us = INT64_MIN / 2};

/* A replay never judges, so that nothing of it but the number of tiers has to make sense. */
static const struct ledger_policy policy_none = {.orders_per_account_max = 1, .tiers_count = 1};

struct twin *
twin_new(const struct twin_options *o)
{
    struct twin *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->o = *o;
    t->limits = limits_first;
    t->memory_bytes = ledger_bytes(&t->limits);
    t->memory = pages_new(t->memory_bytes);
    ledger_init(&t->ledger, &t->limits, &policy_none, t->memory);
    outbox_init(&t->out, pages_new(OUT_SLOTS * sizeof(struct out)), OUT_SLOTS,
                pages_new(LEDGER_OUT_BYTES), LEDGER_OUT_BYTES);
    arena_init(&t->lists, pages_new(LIST_BYTES), LIST_BYTES);
    t->hasher = journal_hasher_new();
    t->digest = EVP_MD_CTX_new();
    CHECK(t->digest != NULL);
    t->shadow = shadow_new();
    return t;
}

void
twin_destroy(struct twin **twin)
{
    struct twin *t = *twin;
    if (t == NULL)
        return;
    munmap(t->memory, t->memory_bytes);
    munmap(t->out.slots, OUT_SLOTS * sizeof(struct out));
    munmap(t->out.lists.bytes, LEDGER_OUT_BYTES);
    munmap(t->lists.bytes, LIST_BYTES);
    journal_hasher_destroy(&t->hasher);
    EVP_MD_CTX_free(t->digest);
    shadow_destroy(&t->shadow);
    free(t->rows.balances);
    free(t->rows.orders);
    free(t->rows.trades);
    free(t->rows.changes);
    free(t->rows.stories);
    free(t->rows.accounts);
    free(t);
    *twin = NULL;
}

/* Makes room for what one record can add at most; true when there was too little. */
static bool
limit_raise(uint32_t *limit, uint32_t used, uint32_t more, uint32_t max)
{
    bool is_short = max - used < more;
    for (; max - used < more; max += *limit / 2) {
        CHECK(*limit <= UINT32_MAX / 4);
        *limit *= 2;
    }
    return is_short;
}

/* The exchange may tell of many assets at once, each of which is new. */
static uint32_t
assets_of(const struct msg *cmd)
{
    const struct exchange_account *c = &cmd->exchange_account;
    return cmd->type == MSG_exchange_account ? c->balances_count + c->positions_count : 2;
}

static void
make_room(struct twin *t)
{
    const struct ledger *l = &t->ledger;
    const struct ledger_limits *has = &l->limits;
    struct ledger_limits *m = &t->limits;
    uint32_t assets = assets_of(&t->cmd);
    bool is_short = limit_raise(&m->accounts_max, l->accounts_count, 1, has->accounts_max);
    is_short |= limit_raise(&m->balances_max, l->balances_count, 2 * assets + 8, has->balances_max);
    is_short |= limit_raise(&m->orders_max, l->orders_count, 3, has->orders_max);
    is_short |= limit_raise(&m->assets_max, l->assets_count, assets, has->assets_max);
    is_short |= limit_raise(&m->symbols_max, l->symbols_count, 1, has->symbols_max);
    if (!is_short)
        return;
    size_t bytes = ledger_bytes(m);
    void *memory = pages_new(bytes);
    ledger_grow(&t->ledger, m, memory);
    munmap(t->memory, t->memory_bytes);
    t->memory = memory;
    t->memory_bytes = bytes;
}

/* ---- Rows --------------------------------------------------------------------------------- */

#define SINK(noun, list)                                                                           \
    static void sink_##noun(void *arg, const struct noun##_row *row)                               \
    {                                                                                              \
        struct drained *d = arg;                                                                   \
        d->list = array_room(d->list, d->list##_count, &d->list##_max, sizeof *d->list);           \
        d->list[d->list##_count++] = *row;                                                         \
    }

SINK(account, accounts)
SINK(balance, balances)
SINK(order, orders)
SINK(trade, trades)
SINK(change, changes)
SINK(story, stories)

/* What the record did, and out of the core with it: finished orders are forgotten at once. */
static void
drain(struct twin *t, const struct journal_record *r)
{
    struct drained *d = &t->rows;
    const struct ledger_sink sink = {.arg = d,
                                     .on_account = sink_account,
                                     .on_balance = sink_balance,
                                     .on_order = sink_order,
                                     .on_trade = sink_trade,
                                     .on_change = sink_change,
                                     .on_story = sink_story};
    d->accounts_count = d->balances_count = d->orders_count = d->trades_count = 0;
    d->changes_count = d->stories_count = 0;
    ledger_projected(&t->ledger, ledger_drain(&t->ledger, &sink));
    ledger_evict(&t->ledger, r->time_us);
    t->step = (struct twin_step){
        .record = r,
        .cmd = &t->cmd,
        .postings = shadow_post(t->shadow, d->balances, d->balances_count),
        .postings_count = d->balances_count,
        .orders = d->orders,
        .orders_count = d->orders_count,
        .trades = d->trades,
        .trades_count = d->trades_count,
        .changes = d->changes,
        .changes_count = d->changes_count,
        .stories = d->stories,
        .stories_count = d->stories_count,
        .accounts = d->accounts,
        .accounts_count = d->accounts_count,
    };
}

/* ---- Judging ------------------------------------------------------------------------------ */

static bool
chain_fits(struct twin *t, const struct journal_record *r)
{
    const struct head *head = &t->heads[r->shard];
    uint8_t hash[HASH_BYTES];
    unsigned long long seq = r->seq, before = head->seq;
    if (r->seq == head->seq + 2)
        return shadow_wrong(t->wrong, "record %llu before it is missing", before + 1);
    if (r->seq > head->seq + 1)
        return shadow_wrong(t->wrong, "records %llu to %llu before it are missing", before + 1,
                            seq - 1);
    if (r->seq <= head->seq)
        return shadow_wrong(t->wrong, "it comes behind record %llu", before);
    journal_hash(t->hasher, head->hash, r, hash);
    if (!head->is_open && memcmp(hash, r->hash, HASH_BYTES) != 0)
        return shadow_wrong(t->wrong, "its hash is not that of its contents and the record before");
    if (r->time_us < head->time_us)
        return shadow_wrong(t->wrong, "its time is before that of record %llu", before);
    if (r->epoch != 0 && r->epoch < head->epoch)
        return shadow_wrong(t->wrong, "its writer, of epoch %llu, was deposed by epoch %llu",
                            (unsigned long long)r->epoch, (unsigned long long)head->epoch);
    return true;
}

/* The core says of a report what is wrong with it, and of a command which rule refuses it. */
static bool
refused(struct twin *t)
{
    for (uint32_t i = 0; i < t->out.count; i++) {
        const struct out *o = &t->out.slots[i];
        if (o->to != OUT_REPLY || o->msg.type != MSG_refused)
            continue;
        const struct refused *why = &o->msg.refused;
        const char *detail = why->detail.text[0] != '\0' ? why->detail.text : err_name(why->error);
        return shadow_wrong(t->wrong, "it cannot be applied: %s", detail);
    }
    return shadow_wrong(t->wrong, "it cannot be applied: it changes nothing");
}

static bool
unpack(struct twin *t, const struct journal_record *r)
{
    arena_reset(&t->lists);
    enum err e = msg_unpack_payload(r->payload, r->payload_length, (enum msg_type)r->kind,
                                    &t->lists, &t->cmd);
    if (e != OK)
        return shadow_wrong(t->wrong, "its payload cannot be read: %s", err_name(e));
    t->cmd.corr = r->corr;
    uint32_t shard = ledger_shard_of_cmd(&t->cmd);
    if (shard == LEDGER_SHARDS)
        return shadow_wrong(t->wrong, "it is no command to a ledger");
    if (shard != r->shard)
        return shadow_wrong(t->wrong, "it belongs to shard %u", shard);
    return true;
}

static bool
apply(struct twin *t, const struct journal_record *r)
{
    bool is_judged = !t->o.is_trusting && !t->o.skips_books;
    if (is_judged && !shadow_before(t->shadow, &t->cmd, r->time_us, t->wrong))
        return false;
    make_room(t);
    outbox_clear(&t->out);
    if (ledger_replay(&t->ledger, &t->cmd, r->time_us, &t->out) != OK)
        return refused(t);
    drain(t, r);
    return !is_judged || shadow_after(t->shadow, &t->step, t->wrong);
}

static const char *
kind_name(uint32_t kind)
{
    const struct msg_layout *layout = msg_layout((enum msg_type)kind);
    return layout != NULL ? layout->name : "of no known kind";
}

bool
twin_apply(struct twin *t, const struct journal_record *r)
{
    t->wrong[0] = t->why[0] = '\0';
    t->step = (struct twin_step){.record = r, .cmd = &t->cmd};
    bool is_right = r->shard < LEDGER_SHARDS || shadow_wrong(t->wrong, "there is no such shard");
    if (is_right && !t->o.is_trusting)
        is_right = chain_fits(t, r);
    is_right = is_right && unpack(t, r) && (t->o.is_chain_only || apply(t, r));
    if (!is_right) {
        snprintf(t->why, sizeof t->why, "shard %u record %llu (%s): %s", r->shard,
                 (unsigned long long)r->seq, kind_name(r->kind), t->wrong);
        return false;
    }
    struct head *head = &t->heads[r->shard];
    head->seq = r->seq;
    head->time_us = r->time_us;
    head->is_open = false;
    if (r->epoch != 0)
        head->epoch = r->epoch;
    memcpy(head->hash, r->hash, HASH_BYTES);
    return true;
}

/* ---- What it knows ------------------------------------------------------------------------ */

void
twin_begin(struct twin *t, uint16_t shard, uint64_t seq, const uint8_t before[HASH_BYTES])
{
    CHECK(shard < LEDGER_SHARDS && seq > 0);
    t->heads[shard].seq = seq - 1;
    memcpy(t->heads[shard].hash, before, HASH_BYTES);
}

void
twin_begin_at(struct twin *t, const struct journal_record *first)
{
    twin_begin(t, first->shard, first->seq, first->hash);
    t->heads[first->shard].is_open = true;
}

const char *
twin_why(const struct twin *t)
{
    return t->why;
}

const char *
twin_wrong(const struct twin *t)
{
    return t->wrong;
}

const struct twin_step *
twin_step(const struct twin *t)
{
    return &t->step;
}

const struct ledger *
twin_ledger(const struct twin *t)
{
    return &t->ledger;
}

uint64_t
twin_seq(const struct twin *t, uint16_t shard)
{
    return t->heads[shard].seq;
}

static void
digest_add(void *arg, const void *bytes, size_t length)
{
    CHECK(EVP_DigestUpdate(arg, bytes, length) == 1);
}

void
twin_state_hash(struct twin *t, uint16_t shard, uint8_t out[HASH_BYTES])
{
    CHECK(EVP_DigestInit_ex(t->digest, EVP_sha256(), NULL) == 1);
    ledger_digest(&t->ledger, shard, digest_add, t->digest);
    CHECK(EVP_DigestFinal_ex(t->digest, out, NULL) == 1);
}

void
twin_state_hash_all(struct twin *t, uint8_t out[HASH_BYTES])
{
    CHECK(EVP_DigestInit_ex(t->digest, EVP_sha256(), NULL) == 1);
    for (uint16_t shard = 0; shard < LEDGER_SHARDS; shard++)
        ledger_digest(&t->ledger, shard, digest_add, t->digest);
    CHECK(EVP_DigestFinal_ex(t->digest, out, NULL) == 1);
}
