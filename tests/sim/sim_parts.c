/*
 * sim_parts.c - in place of those parts of the ledger's shell that speak to PostgreSQL or to the
 * market, and of its settings: project.c, restore.c, query.c, market.c, policy.c, ahead.c.
 *
 * serve.c, which is real, calls these. A new part of it that needs a database needs its few lines
 * here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "host/pages.h"
#include "sim/sim.h"

#define QUESTIONS_MAX 64

static const struct ledger_limits limits = {.accounts_max = 64,
                                            .balances_max = 1024,
                                            .orders_max = 1500,
                                            .orders_high = 60,
                                            .assets_max = 16,
                                            .symbols_max = 8,
                                            .fills_max = 4096,
                                            .changes_max = 1024,
                                            .stories_max = 1024,
                                            .events_max = 1024,
                                            .waiters_max = 1024,
                                            .keep_us = SIM_KEEP_US};

static const struct ledger_policy policy = {
    .spot_opening = {100000 * DECIMAL_ONE},
    .futures_opening = {5000 * DECIMAL_ONE},
    .slippage_max = {DECIMAL_ONE / 20},
    .fill_preset = FILL_PRESET_realistic,
    .orders_per_account_max = 40,
    .trading_mode = LEDGER_TRADES_TESTNET,
    .bridge_send_us = 3000000,
    .tiers_count = 2,
    .tiers = {{{100000}, {200000}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}},
              {{0}, {33333}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}}}};

void
sim_limits(struct ledger_limits *l, struct ledger_policy *p)
{
    *l = limits;
    *p = policy;
}

/* ---- Settings, memory, market ---------------------------------------------------------------- */

enum err
policy_limits(const struct ledger_config *c, struct ledger_limits *out, text_t *why)
{
    (void)c;
    (void)why;
    *out = limits;
    return OK;
}

enum err
policy_read(const struct ledger_config *c, struct ledger_policy *out, text_t *why)
{
    (void)c;
    (void)why;
    *out = policy;
    return OK;
}

/* "N of M": each Mth shard. */
enum err
policy_shards(const char *text, bool owned[LEDGER_SHARDS], text_t *why)
{
    (void)why;
    uint32_t group = (uint32_t)(text[0] - '0'), groups = (uint32_t)(text[2] - '0');
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        owned[i] = i % groups == group;
    return OK;
}

bool
sim_owns(const struct sim *s, uint32_t group, uint32_t shard)
{
    return shard % s->groups_count == group;
}

void *
pages_take(size_t bytes)
{
    return calloc(1, bytes);
}

void
pages_give(void *at, size_t bytes)
{
    (void)bytes;
    free(at);
}

struct ahead *
ahead_new(const struct ledger *l)
{
    (void)l;
    return NULL;
}

void
ahead_end(struct ahead **a)
{
    (void)a;
}

void
ahead_turn(struct ahead *a)
{
    (void)a;
}

enum err
market_rules(struct ledger *l, const char *path)
{
    (void)path;
    sim_market_tell(l);
    return OK;
}

struct market {
    bool is_open;
};

struct market *
market_open(const struct market_options *o)
{
    (void)o;
    struct market *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    return m;
}

void
market_close(struct market **m)
{
    free(*m);
    *m = NULL;
}

bool
market_is_loaded(const struct market *m)
{
    return m != NULL;
}

/* ---- In place of anchoring.c: no key, no anchors ----------------------------------------------
 */

struct anchoring *
anchoring_open(const struct anchoring_options *o)
{
    (void)o;
    return NULL;
}

void
anchoring_close(struct anchoring **a)
{
    (void)a;
}

void
anchoring_hurry(struct anchoring *a)
{
    (void)a;
}

bool
anchoring_is_done(const struct anchoring *a)
{
    (void)a;
    return true;
}

void
anchoring_turn(struct anchoring *a, int64_t steady_us)
{
    (void)a;
    (void)steady_us;
}

int64_t
anchoring_wake_us(const struct anchoring *a)
{
    (void)a;
    return INT64_MAX;
}

/* ---- In place of project.c ------------------------------------------------------------------- */

struct project {
    struct project_options o;
    struct sim_ledger *ledger;
    int64_t due_us;
};

struct project *
project_open(const struct project_options *o)
{
    struct project *p = calloc(1, sizeof *p);
    CHECK(p != NULL);
    p->o = *o;
    p->ledger = o->loop->ledger;
    return p;
}

void
project_close(struct project **p)
{
    free(*p);
    *p = NULL;
}

void
project_set_stamp(struct project *p, uint16_t shard, uint64_t seq)
{
    (void)p;
    (void)shard;
    (void)seq;
}

uint64_t
project_stamp(const struct project *p, uint16_t shard)
{
    return p->ledger->sim->groups[p->ledger->group].stamps[shard];
}

void
project_note(struct project *p, const struct msg *cmd)
{
    (void)cmd;
    sim_edge(p->ledger->sim);
}

bool
project_has_room(const struct project *p, uint32_t commands)
{
    (void)p;
    (void)commands;
    return true;
}

void
project_hurry(struct project *p)
{
    p->due_us = 0;
}

bool
project_is_done(const struct project *p)
{
    return ledger_dirty_rows(p->o.ledger) == 0;
}

bool
project_is_idle(const struct project *p)
{
    (void)p;
    return true;
}

const char *
project_trouble(const struct project *p)
{
    (void)p;
    return NULL;
}

int64_t
project_wake_us(const struct project *p)
{
    (void)p;
    return INT64_MAX;
}

/* Its other connections go the way of the journal's. */
static bool
is_connected(const struct sim_ledger *l)
{
    const struct sim_session *t = l->session;
    return l->sim->database.is_up && t->backend != NULL && !t->backend->is_cut;
}

/* The rows are true at what was applied, so they wait for a moment when all of it is committed; the
 * transaction that writes them looks at the epoch. */
void
project_turn(struct project *p, int64_t steady_us)
{
    struct sim_ledger *l = p->ledger;
    struct sim *s = l->sim;
    struct sim_group *g = &s->groups[l->group];
    if (!l->serve->is_restored || steady_us < p->due_us || !is_connected(l) ||
        !journal_is_empty(p->o.journal))
        return;
    p->due_us = steady_us + (int64_t)sim_draw(s, 300000);
    if (p->o.epoch != g->epoch && s->mutation != SIM_tables_not_fenced) {
        p->o.on_fenced(p->o.arg, "the tables have another owner");
        return;
    }
    tables_project(&g->tables, p->o.ledger);
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        g->stamps[i] = journal_committed(p->o.journal, i);
}

/* ---- In place of restore.c ------------------------------------------------------------------- */

enum restore_stage { RESTORE_TABLES, RESTORE_JOURNAL, RESTORE_DONE };

struct restore {
    struct restore_options o;
    struct sim_ledger *ledger;
    enum restore_stage stage;
    int64_t due_us;
    uint64_t stamps[LEDGER_SHARDS]; /* of the tables, as they were loaded */
};

static void
restore_delay(struct restore *r)
{
    r->due_us = loop_steady_us(r->o.loop) + (int64_t)sim_draw(r->o.loop->sim, 10000);
}

/* A standby waits for its lease. */
struct restore *
restore_begin(const struct restore_options *o)
{
    struct restore *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->o = *o;
    r->ledger = o->loop->ledger;
    if (o->project != NULL)
        restore_delay(r);
    return r;
}

void
restore_take(struct restore *r, struct project *project)
{
    r->o.project = project;
    restore_delay(r);
}

bool
restore_is_following(const struct restore *r)
{
    return r->o.project == NULL;
}

void
restore_end(struct restore **r)
{
    free(*r);
    *r = NULL;
}

const char *
restore_step(const struct restore *r)
{
    (void)r;
    return "restoring";
}

static void
replay(struct sim *s, struct ledger *l, const struct journal_record *r, struct outbox *out)
{
    const struct msg cmd = sim_record_cmd(s, r);
    enum err e = ledger_replay(l, &cmd, r->time_us, out);
    if (e != OK || ledger_shard_of_cmd(&cmd) != r->shard)
        sim_fail(s, "record %u/%llu does not apply again", r->shard, (unsigned long long)r->seq);
    outbox_clear(out);
    if (!ledger_ready(l, out))
        sim_fail(s, "the tail is longer than memory has room for");
}

static void
replay_shard(struct sim *s, struct restore *r, struct journal_hasher *h, uint16_t shard)
{
    struct serve *v = r->ledger->serve;
    uint8_t before[HASH_BYTES] = {0}, hash[HASH_BYTES];
    const struct journal_record *rec;
    uint64_t seq = 1;
    for (; (rec = sim_record(s, shard, seq)) != NULL && s->failure[0] == '\0'; seq++) {
        bool is_last = s->mutation == SIM_tail_lost && seq == s->database.counts[shard];
        journal_hash(h, before, rec, hash);
        if (memcmp(hash, rec->hash, HASH_BYTES) != 0)
            sim_fail(s, "the chain is broken at %u/%llu", shard, (unsigned long long)seq);
        memcpy(before, hash, HASH_BYTES);
        if (seq > r->stamps[shard] && !is_last && s->mutation != SIM_tables_only)
            replay(s, r->o.ledger, rec, &v->out);
    }
    journal_set_head(r->o.journal, shard, seq - 1, before);
}

/* Finished orders stay for retries, as load.c has it. */
static void
load_tables(struct sim *s, struct restore *r)
{
    int64_t now_us = loop_now_us(r->o.loop);
    int64_t since_us = journal_past_us(r->o.journal, now_us) - limits.keep_us;
    struct sim_group *g = &s->groups[r->ledger->group];
    enum err e = tables_load(&g->tables, r->o.ledger, since_us);
    memcpy(r->stamps, g->stamps, sizeof r->stamps);
    if (e != OK)
        sim_fail(s, "the tables cannot be loaded: %s", err_name(e));
}

static void
read_journal(struct sim *s, struct restore *r)
{
    struct journal_hasher *h = journal_hasher_new();
    text_t why;
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        if (r->o.owned[i])
            replay_shard(s, r, h, i);
    journal_hasher_destroy(&h);
    if (s->failure[0] == '\0' && !ledger_check(r->o.ledger, &why))
        sim_fail(s, "after the restore: %s", why.text);
    r->ledger->unequal = UINT64_MAX;
}

void
restore_turn(struct restore *r)
{
    struct sim *s = r->ledger->sim;
    if (r->o.project == NULL || loop_steady_us(r->o.loop) < r->due_us || !is_connected(r->ledger))
        return;
    r->due_us = loop_steady_us(r->o.loop) + (int64_t)sim_draw(s, sim_fault(s, 200) ? 400000 : 9000);
    switch (r->stage) {
    case RESTORE_TABLES:
        load_tables(s, r);
        r->stage = RESTORE_JOURNAL;
        break;
    case RESTORE_JOURNAL:
        read_journal(s, r);
        r->stage = RESTORE_DONE;
        break;
    case RESTORE_DONE:
        if (s->failure[0] == '\0')
            r->o.on_done(r->o.arg, "");
        break;
    }
}

/* ---- In place of query.c --------------------------------------------------------------------- */

/* A look-up in the tables that is on its way. */
struct question {
    struct msg cmd;
    struct order_wish orders[3]; /* of a list */
    uint32_t peer;
    code_t source;
    int64_t due_us;
    uint64_t after; /* a list's waits until the tables know that much */
    bool is_used;
};

struct query {
    struct query_options o;
    struct sim_ledger *ledger;
    struct question questions[QUESTIONS_MAX];
};

struct query *
query_open(const struct query_options *o)
{
    struct query *q = calloc(1, sizeof *q);
    CHECK(q != NULL);
    q->o = *o;
    q->ledger = o->loop->ledger;
    return q;
}

void
query_close(struct query **q)
{
    free(*q);
    *q = NULL;
}

bool
query_is_up(const struct query *q)
{
    return is_connected(q->ledger);
}

uint32_t
query_waiting(const struct query *q)
{
    uint32_t count = 0;
    for (uint32_t i = 0; q != NULL && i < QUESTIONS_MAX; i++)
        count += q->questions[i].is_used;
    return count;
}

enum err
query_ask(struct query *q, uint32_t peer, const struct msg *cmd, code_t source, code_t *field)
{
    struct sim *s = q->ledger->sim;
    *field = (code_t){{0}};
    s->counts.lookups++;
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
        struct question *a = &q->questions[i];
        if (a->is_used)
            continue;
        *a = (struct question){.cmd = *cmd,
                               .peer = peer,
                               .source = source,
                               .due_us = s->now_us + (int64_t)sim_draw(s, 80000),
                               .is_used = true};
        if (cmd->type == MSG_list_place) {
            uint16_t shard = (uint16_t)ledger_shard_of_cmd(cmd);
            CHECK(cmd->list_place.orders_count <= 3);
            memcpy(a->orders, cmd->list_place.orders,
                   cmd->list_place.orders_count * sizeof a->orders[0]);
            a->after = journal_applied(q->o.journal, shard);
        }
        return OK;
    }
    return ERR_LEDGER_BUSY;
}

static bool
look_up(struct tables *t, const struct msg *cmd, struct order_view *out)
{
    switch ((int)cmd->type) {
    case MSG_order_place:
        return tables_find(t, cmd->order_place.account_id, 0, &cmd->order_place.client_order_id,
                           out);
    case MSG_order_replace:
        return tables_find(t, cmd->order_replace.account_id, 0, &cmd->order_replace.client_order_id,
                           out);
    case MSG_order_amend:
        return tables_find(t, cmd->order_amend.account_id, cmd->order_amend.order_id,
                           &cmd->order_amend.client_order_id, out);
    case MSG_order_get:
        return tables_find(t, cmd->order_get.account_id, cmd->order_get.order_id,
                           &cmd->order_get.client_order_id, out);
    case MSG_order_cancel:
        return tables_find(t, cmd->order_cancel.account_id, cmd->order_cancel.order_id,
                           &cmd->order_cancel.client_order_id, out);
    default:
        CHECK(false);
        return false;
    }
}

static void
question_answer(struct query *q, struct question *a)
{
    struct tables *t = &q->ledger->sim->groups[q->ledger->group].tables;
    struct order_view row;
    struct list_view list;
    struct msg cmd = a->cmd;
    a->is_used = false;
    sim_edge(q->ledger->sim);
    if (cmd.type != MSG_list_place) {
        bool found = look_up(t, &cmd, &row);
        q->o.on_found(q->o.arg, a->peer, &cmd, a->source, found ? &row : NULL);
        return;
    }
    cmd.list_place.orders = a->orders;
    bool is_known =
        tables_find_list(t, cmd.list_place.account_id, 0, &a->orders[0].client_order_id, &list);
    q->o.on_list(q->o.arg, a->peer, &cmd, a->source, is_known ? &list : NULL);
}

void
query_turn(struct query *q)
{
    struct sim *s = q->ledger->sim;
    const uint64_t *stamps = s->groups[q->ledger->group].stamps;
    for (uint32_t i = 0; i < QUESTIONS_MAX && is_connected(q->ledger); i++) {
        struct question *a = &q->questions[i];
        if (a->is_used && a->due_us <= s->now_us &&
            stamps[ledger_shard_of_cmd(&a->cmd)] >= a->after)
            question_answer(q, a);
    }
}
