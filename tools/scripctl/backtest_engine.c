/*
 * backtest_engine.c - see backtest_engine.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/backtest_engine.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define CLIENT           1u /* its peer number at the ledger */
#define HOUSE_LEVELS_MAX 200000u
#define RING_MAX         16384u
#define OUT_SLOTS        (LEDGER_OUT_MAX + 8)

struct engine {
    struct engine_options o;
    struct ledger ledger;
    struct stage stage;
    void *memory;
    struct outbox out;
    /* What the ledger has asked of the matcher, and is not yet applied: the matcher may be busy. */
    struct msg *asked;
    uint32_t asked_first, asked_count, asked_max;
    uint64_t records;
    int64_t now_us;
};

static void
ask_matcher(struct engine *e, const struct msg *m)
{
    if (e->asked_count == e->asked_max) {
        e->asked_max = e->asked_max == 0 ? 64 : 2 * e->asked_max;
        e->asked = realloc(e->asked, e->asked_max * sizeof *e->asked);
        CHECK(e->asked != NULL);
    }
    e->asked[e->asked_count++] = *m;
}

/* What the ledger said, and the rows that it changed. */
static void
carry_out(struct engine *e)
{
    for (uint32_t i = 0; i < e->out.count; i++) {
        const struct out *o = &e->out.slots[i];
        if (o->to == OUT_MATCHER)
            ask_matcher(e, &o->msg);
        else if (o->to == OUT_REPLY && o->peer == CLIENT)
            e->o.on_reply(e->o.arg, &o->msg);
    }
    outbox_clear(&e->out);
    if (ledger_dirty_rows(&e->ledger) > 0)
        ledger_projected(&e->ledger, ledger_drain(&e->ledger, &e->o.sink));
}

static enum ledger_outcome
apply(struct engine *e, uint32_t peer, struct msg *cmd, int64_t now_us)
{
    if (now_us > e->now_us)
        e->now_us = now_us;
    CHECK(ledger_ready(&e->ledger, &e->out));
    enum ledger_outcome outcome = ledger_request(&e->ledger, peer, cmd, e->now_us, &e->out);
    e->records += outcome == LEDGER_CHANGED;
    return outcome;
}

/* The matcher speaks. */
static void
on_said(void *arg, const struct msg *m)
{
    struct engine *e = arg;
    struct msg said = *m;
    CHECK(apply(e, 0, &said, e->stage.match->now_us) != LEDGER_LOOKUP);
    carry_out(e);
}

/* Gives the matcher what it was asked, and what is asked because of that. */
static void
pump(struct engine *e, int64_t now_us)
{
    while (e->asked_first < e->asked_count) {
        struct msg m = e->asked[e->asked_first++];
        stage_ledger(&e->stage, &m, now_us);
    }
    e->asked_first = e->asked_count = 0;
}

void
engine_until(struct engine *e, int64_t now_us)
{
    while (match_next_us(e->stage.match) <= now_us) {
        int64_t due_us = match_next_us(e->stage.match);
        stage_until(&e->stage, due_us);
        pump(e, due_us);
    }
}

void
engine_market(struct engine *e, const struct msg *m, int64_t now_us)
{
    if (m->type == MSG_md_price) {
        ledger_set_steady(&e->ledger, now_us);
        ledger_set_price(&e->ledger, &m->md_price);
        return;
    }
    engine_until(e, now_us);
    stage_market(&e->stage, m, now_us);
    pump(e, now_us);
}

void
engine_request(struct engine *e, struct msg *cmd, int64_t now_us)
{
    engine_until(e, now_us);
    ledger_set_steady(&e->ledger, now_us);
    if (apply(e, CLIENT, cmd, now_us) == LEDGER_LOOKUP) {
        /* Every order ever placed is in memory: the tables would have nothing more. */
        enum ledger_outcome outcome =
            cmd->type == MSG_list_place
                ? ledger_found_list(&e->ledger, CLIENT, cmd, NULL, e->now_us, &e->out)
                : ledger_found(&e->ledger, CLIENT, cmd, NULL, e->now_us, &e->out);
        e->records += outcome == LEDGER_CHANGED;
    }
    carry_out(e);
    pump(e, now_us);
}

void
engine_why(struct engine *e, const struct order_story *row, uint64_t account_id, uint64_t corr,
           int64_t now_us)
{
    struct msg ask = {.type = MSG_order_why, .corr = corr};
    ask.order_why = (struct order_why){.account_id = account_id, .order_id = row->order.order_id};
    engine_until(e, now_us);
    if (apply(e, CLIENT, &ask, now_us) == LEDGER_LOOKUP)
        ledger_found_story(&e->ledger, CLIENT, &ask, row, &e->out);
    carry_out(e);
    pump(e, now_us);
}

/* ---- What there is --------------------------------------------------------------------------- */

const struct ledger *
engine_ledger(const struct engine *e)
{
    return &e->ledger;
}

const struct stage *
engine_stage(const struct engine *e)
{
    return &e->stage;
}

uint64_t
engine_records(const struct engine *e)
{
    return e->records;
}

bool
engine_check(const struct engine *e, text_t *why)
{
    const char *broken = match_check(e->stage.match);
    if (broken != NULL)
        *why = text_of("matcher: %s", broken);
    else if (e->ledger.reports_refused > 0)
        *why = text_of("the ledger refused a report of the matcher");
    return broken == NULL && e->ledger.reports_refused == 0 && ledger_check(&e->ledger, why);
}

static void
digest(void *arg, const void *bytes, size_t length)
{
    CHECK(EVP_DigestUpdate(arg, bytes, length) == 1);
}

void
engine_hash(const struct engine *e, uint8_t out[HASH_BYTES])
{
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    CHECK(sha != NULL && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1);
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        ledger_digest(&e->ledger, shard, digest, sha);
    CHECK(EVP_DigestFinal_ex(sha, out, NULL) == 1);
    EVP_MD_CTX_free(sha);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

static uint32_t
at_least(uint32_t n, uint32_t least)
{
    return n < least ? least : n;
}

static struct ledger_limits
limits_of(const struct engine_options *o)
{
    uint32_t orders = at_least(o->orders + 64, 1024);
    uint32_t assets = 2 * o->symbols + 2;
    return (struct ledger_limits){
        .accounts_max = at_least(o->accounts, 16),
        .balances_max =
            at_least((o->accounts + SYSTEM_KINDS * LEDGER_SHARDS) * LEDGER_WALLETS * assets, 1024),
        .orders_max = orders,
        .orders_high = orders,
        .assets_max = at_least(assets, 16),
        .symbols_max = at_least(o->rules_count, 8),
        .fills_max = 8 * RING_MAX,
        .changes_max = RING_MAX,
        .stories_max = RING_MAX,
        .events_max = RING_MAX,
        .waiters_max = at_least(2 * orders, RING_MAX),
        .keep_us = 10000000,
    };
}

struct engine *
engine_new(const struct engine_options *o, int64_t now_us)
{
    struct engine *e = calloc(1, sizeof *e);
    struct out *slots = calloc(OUT_SLOTS, sizeof *slots);
    void *lists = aligned_alloc(16, LEDGER_OUT_BYTES);
    CHECK(e != NULL && slots != NULL && lists != NULL);
    e->o = *o;
    e->now_us = now_us;
    outbox_init(&e->out, slots, OUT_SLOTS, lists, LEDGER_OUT_BYTES);
    const struct ledger_limits limits = limits_of(o);
    e->memory = calloc(1, ledger_bytes(&limits));
    CHECK(e->memory != NULL);
    ledger_init(&e->ledger, &limits, &o->policy, e->memory);
    for (uint32_t i = 0; i < o->rules_count; i++)
        CHECK(ledger_set_rules(&e->ledger, &o->rules[i]) == OK);
    const struct books_limits books = {.orders_max = limits.orders_max,
                                       .levels_max = limits.orders_max,
                                       .house_levels_max = HOUSE_LEVELS_MAX,
                                       .books_max = at_least(o->rules_count, 8),
                                       .queues_max = limits.orders_max,
                                       .stories_max = limits.orders_max};
    stage_init(&e->stage, &books, e, on_said);
    stage_begin(&e->stage, now_us);
    return e;
}

void
engine_destroy(struct engine **e)
{
    if (*e == NULL)
        return;
    stage_fini(&(*e)->stage);
    free((*e)->memory);
    free((*e)->asked);
    free((*e)->out.slots);
    free((*e)->out.lists.bytes);
    free(*e);
    *e = NULL;
}
