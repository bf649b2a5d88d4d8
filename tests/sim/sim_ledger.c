/*
 * sim_ledger.c - the ledger's process: the real take.c, link.c and journal.c on a store that fails.
 *
 * In place of project.c, query.c and restore.c, which speak to PostgreSQL, stand a few lines over
 * tables in memory. What outlives a crash is what was committed: the store's journal, and the
 * tables as they stood at some committed point.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/store_fake.h"
#include "sim/sim.h"

#define OUT_SLOTS     (LEDGER_OUT_MAX + 8)
#define QUESTIONS_MAX 64

static const struct ledger_limits limits = {.accounts_max = 64,
                                            .balances_max = 1024,
                                            .orders_max = 3000,
                                            .orders_high = 120,
                                            .assets_max = 16,
                                            .symbols_max = 8,
                                            .fills_max = 4096,
                                            .changes_max = 1024,
                                            .stories_max = 1024,
                                            .events_max = 4096,
                                            .waiters_max = 1024,
                                            .keep_us = 7000000};

static const struct ledger_policy policy = {
    .spot_opening = {100000 * DECIMAL_ONE},
    .futures_opening = {5000 * DECIMAL_ONE},
    .slippage_max = {DECIMAL_ONE / 20},
    .fill_preset = FILL_PRESET_realistic,
    .orders_per_account_max = 40,
    .tiers_count = 2,
    .tiers = {{{100000}, {200000}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}},
              {{0}, {33333}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}}}};

/* A look-up in the tables that is on its way. */
struct sim_question {
    struct msg cmd;
    struct order_wish orders[3]; /* of a list */
    uint32_t peer;
    code_t source;
    int64_t due_us;
    bool is_used;
};

static struct sim_ledger *
of_serve(struct serve *v)
{
    return (struct sim_ledger *)((uint8_t *)v - offsetof(struct sim_ledger, serve));
}

/* ---- In place of project.c and query.c ------------------------------------------------------ */

void
project_note(struct project *p, const struct msg *cmd)
{
    (void)p;
    (void)cmd;
}

bool
project_has_room(const struct project *p, uint32_t commands)
{
    (void)p;
    (void)commands;
    return true;
}

/* The rows are true at what was applied, so they wait for a moment when all of it is committed. */
static void
project_turn_sim(struct sim *s)
{
    struct sim_ledger *l = &s->ledger;
    if (s->now_us < l->project_us || !journal_is_empty(l->serve.journal))
        return;
    l->project_us = s->now_us + (int64_t)sim_draw(s, 400000);
    tables_project(&l->tables, &l->serve.ledger);
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        l->stamps[i] = journal_committed(l->serve.journal, i);
}

struct query {
    struct sim *sim;
};

enum err
query_ask(struct query *q, uint32_t peer, const struct msg *cmd, code_t source, code_t *field)
{
    struct sim *s = q->sim;
    *field = (code_t){{0}};
    s->counts.lookups++;
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
        struct sim_question *a = &s->ledger.questions[i];
        if (a->is_used)
            continue;
        *a = (struct sim_question){.cmd = *cmd,
                                   .peer = peer,
                                   .source = source,
                                   .due_us = s->now_us + (int64_t)sim_draw(s, 80000),
                                   .is_used = true};
        if (cmd->type == MSG_list_place) {
            CHECK(cmd->list_place.orders_count <= 3);
            memcpy(a->orders, cmd->list_place.orders,
                   cmd->list_place.orders_count * sizeof a->orders[0]);
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
query_turn_sim(struct sim *s)
{
    struct sim_ledger *l = &s->ledger;
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
        struct sim_question *q = &l->questions[i];
        if (!q->is_used || q->due_us > s->now_us)
            continue;
        struct order_view row;
        struct list_view list;
        q->is_used = false;
        if (q->cmd.type == MSG_list_place) {
            q->cmd.list_place.orders = q->orders;
            bool is_known = tables_find_list(&l->tables, q->cmd.list_place.account_id, 0,
                                             &q->orders[0].client_order_id, &list);
            take_list(&l->serve, q->peer, &q->cmd, q->source, is_known ? &list : NULL);
            continue;
        }
        bool found = look_up(&l->tables, &q->cmd, &row);
        take_found(&l->serve, q->peer, &q->cmd, q->source, found ? &row : NULL);
    }
}

/* ---- The store ------------------------------------------------------------------------------ */

/* The append or question in flight ends well, badly, or in silence. */
void
sim_store_turn(struct sim *s)
{
    struct sim_ledger *l = &s->ledger;
    if (!l->is_store_up) {
        if (s->now_us >= l->store_up_us || s->is_calm) {
            l->is_store_up = true;
            store_fake_mend(l->store);
        }
        return;
    }
    if (!s->is_calm && sim_chance(s, s->store_break)) {
        s->counts.store_breaks++;
        sim_trace(s, "store", "breaks", NULL);
        l->is_store_up = false;
        l->store_up_us = s->now_us + (int64_t)sim_draw(s, 2500000);
        store_fake_break(l->store, (uint32_t)sim_draw(s, 3));
        return;
    }
    if (store_fake_calls(l->store) == 0) {
        uint64_t most = !s->is_calm && sim_chance(s, s->store_slow) ? 1500000 : 4000;
        l->store_due_us = s->now_us + (int64_t)sim_draw(s, most);
        return;
    }
    if (s->now_us < l->store_due_us)
        return;
    bool is_refused = !s->is_calm && sim_chance(s, s->store_refuse);
    (void)store_fake_step(l->store, is_refused ? STORE_REFUSED : STORE_DONE);
    l->store_due_us = s->now_us;
}

/* ---- Restore -------------------------------------------------------------------------------- */

struct msg
sim_record_cmd(struct sim *s, const struct journal_record *r)
{
    struct msg cmd;
    memset(&cmd, 0, sizeof cmd);
    arena_reset(&s->said);
    enum err e =
        msg_unpack_payload(r->payload, r->payload_length, (enum msg_type)r->kind, &s->said, &cmd);
    if (e != OK)
        sim_fail(s, "a journal record cannot be read: %s", err_name(e));
    cmd.type = (enum msg_type)r->kind;
    cmd.corr = r->corr;
    return cmd;
}

static void
replay(struct sim *s, struct ledger *l, const struct journal_record *r, struct outbox *out)
{
    const struct msg cmd = sim_record_cmd(s, r);
    enum err e = ledger_replay(l, &cmd, r->time_us, out);
    if (e != OK || ledger_shard_of_cmd(&cmd) != r->shard)
        sim_fail(s, "record %u/%llu does not apply again", r->shard, (unsigned long long)r->seq);
    outbox_clear(out);
}

static void
chain_check(struct sim *s, struct journal *j, struct journal_hasher *h,
            const struct journal_record *r)
{
    uint8_t before[HASH_BYTES], hash[HASH_BYTES];
    journal_head_hash(j, r->shard, before);
    journal_hash(h, before, r, hash);
    if (r->seq != journal_applied(j, r->shard) + 1 || memcmp(hash, r->hash, HASH_BYTES) != 0)
        sim_fail(s, "the chain is broken at %u/%llu", r->shard, (unsigned long long)r->seq);
}

/* The tables, then each record behind their stamps. */
static void
restore(struct sim *s)
{
    struct sim_ledger *l = &s->ledger;
    struct serve *v = &l->serve;
    /* Finished orders stay for retries by the clock of now, as restore.c's STEP_EDGE has it. */
    enum err e = tables_load(&l->tables, &v->ledger, loop_now_us(&l->loop) - limits.keep_us);
    if (e != OK)
        sim_fail(s, "the tables cannot be loaded: %s", err_name(e));
    struct journal_hasher *hasher = journal_hasher_new();
    uint32_t count = store_fake_count(l->store);
    uint32_t forgotten = s->mutation == SIM_tail_lost ? count - 1 : count;
    for (uint32_t i = 0; i < count && s->failure[0] == '\0'; i++) {
        const struct journal_record *r = store_fake_at(l->store, i);
        chain_check(s, v->journal, hasher, r);
        journal_set_head(v->journal, r->shard, r->seq, r->hash);
        if (r->seq <= l->stamps[r->shard] || i == forgotten || s->mutation == SIM_tables_only)
            continue;
        replay(s, &v->ledger, r, &v->out);
        if (!ledger_ready(&v->ledger, &v->out))
            sim_fail(s, "the tail is longer than memory has room for");
    }
    journal_hasher_destroy(&hasher);
    text_t why;
    if (s->failure[0] == '\0' && !ledger_check(&v->ledger, &why))
        sim_fail(s, "after the restore: %s", why.text);
}

void
sim_ledger_replayed(struct sim *s, struct ledger *l, void **memory, const struct ledger_sink *sink)
{
    struct ledger_limits all = limits;
    all.orders_max += store_fake_count(s->ledger.store);
    *memory = calloc(1, ledger_bytes(&all));
    CHECK(*memory != NULL);
    ledger_init(l, &all, &policy, *memory);
    sim_market_tell(s, l, false);
    for (uint32_t i = 0; i < store_fake_count(s->ledger.store); i++) {
        replay(s, l, store_fake_at(s->ledger.store, i), &s->ledger.serve.out);
        if (i % 16 == 15)
            (void)ledger_drain(l, sink);
    }
    (void)ledger_drain(l, sink);
}

/* ---- Life ----------------------------------------------------------------------------------- */

void
sim_ledger_new(struct sim *s)
{
    struct sim_ledger *l = &s->ledger;
    struct serve *v = &l->serve;
    l->store = store_fake_open(NULL);
    l->is_store_up = true;
    l->questions = calloc(QUESTIONS_MAX, sizeof *l->questions);
    v->memory = malloc(ledger_bytes(&limits));
    struct out *slots = calloc(OUT_SLOTS, sizeof *slots);
    void *bytes = aligned_alloc(16, LEDGER_OUT_BYTES);
    v->query = calloc(1, sizeof *v->query);
    CHECK(l->questions != NULL && v->memory != NULL && slots != NULL && bytes != NULL);
    CHECK(v->query != NULL);
    v->query->sim = s;
    outbox_init(&v->out, slots, OUT_SLOTS, bytes, LEDGER_OUT_BYTES);
    l->loop.sim = s;
    snprintf(l->matchers, sizeof l->matchers, "%s",
             s->matchers_count == 1 ? "sim:matcher0" : "sim:matcher0,sim:matcher1");
    l->config.serve_endpoint = "sim:serve";
    l->config.publish_endpoint = "sim:publish";
}

static void
on_fenced(void *arg, const char *why)
{
    struct serve *v = arg;
    sim_fail(of_serve(v)->loop.sim, "fenced: %s", why);
}

static struct journal *
journal_open(struct sim_ledger *l)
{
    return journal_new(&(struct journal_options){
        .store = l->store,
        .records_max = 1024,
        .bytes_max = 1u << 20,
        .held_max = 4 * LEDGER_OUT_MAX,
        .delay_us = 2000,
        .stall_us = 2000000,
        .arg = &l->serve,
        .on_reply = take_reply,
        .on_event = take_event,
        .on_fenced = on_fenced,
    });
}

void
sim_ledger_start(struct sim *s)
{
    struct sim_ledger *l = &s->ledger;
    struct serve *v = &l->serve;
    l->is_up = true;
    l->epoch++;
    l->loop.skew_us = (int64_t)sim_draw(s, 40000) - 20000;
    memset(v->memory, 0, ledger_bytes(&limits));
    ledger_init(&v->ledger, &limits, &policy, v->memory);
    sim_market_tell(s, &v->ledger, false);
    v->config = &l->config;
    v->host = (struct host){&l->loop, "ledger", "ledger-0"};
    v->epoch = l->epoch;
    v->phase = PHASE_SERVING;
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        v->owned[i] = true;
    v->store = l->store;
    v->journal = journal_open(l);
    restore(s);
    ledger_set_matcher_away(&v->ledger, NULL, true);
    v->links = links_open(&(struct links_options){.loop = &l->loop,
                                                  .ledger = &v->ledger,
                                                  .endpoints = l->matchers,
                                                  .group = 0,
                                                  .epoch = l->epoch,
                                                  .arg = v,
                                                  .on_report = take_report});
    CHECK(v->links != NULL);
    CHECK(take_open(v) == OK);
    v->followers.others = 1; /* everybody listens */
}

static void
stop(struct sim_ledger *l)
{
    struct serve *v = &l->serve;
    memset(l->questions, 0, QUESTIONS_MAX * sizeof *l->questions);
    outbox_clear(&v->out);
    links_close(&v->links);
    take_close(v);
    memset(&v->followers, 0, sizeof v->followers);
    journal_destroy(&v->journal);
    l->is_up = false;
}

/* Memory and what was buffered are gone; what was in flight to the store may be in it or not. */
void
sim_ledger_crash(struct sim *s)
{
    struct sim_ledger *l = &s->ledger;
    s->counts.crashes_ledger++;
    s->crash_after = -1;
    sim_trace(s, "ledger", "dies", NULL);
    if (l->is_store_up)
        store_fake_break(l->store, (uint32_t)sim_draw(s, 3));
    l->is_store_up = false;
    l->store_up_us = s->now_us;
    stop(l);
    for (uint32_t i = 0; i < SIM_GATEWAYS; i++) {
        wire_break(s, &s->to_ledger[i]);
        wire_break(s, &s->from_ledger[i]);
    }
    for (uint32_t i = 0; i < s->matchers_count; i++) {
        wire_break(s, &s->matchers[i].to_ledger);
        wire_break(s, &s->matchers[i].from_ledger);
    }
    l->up_us = s->now_us + (int64_t)sim_draw(s, 1500000);
}

void
sim_ledger_free(struct sim *s)
{
    struct sim_ledger *l = &s->ledger;
    if (l->is_up)
        stop(l);
    store_close(&l->store);
    tables_free(&l->tables);
    free(l->questions);
    free(l->serve.memory);
    free(l->serve.query);
    free(l->serve.out.slots);
    free(l->serve.out.lists.bytes);
}

/* One turn of the loop, in the order of serve.c; it may end at any point with the process. */
void
sim_ledger_turn(struct sim *s)
{
    struct sim_ledger *l = &s->ledger;
    struct serve *v = &l->serve;
    bool dies = !s->is_calm && sim_chance(s, s->crash_ledger);
    uint64_t where = sim_draw(s, 4);
    s->crash_after = dies && where == 0 ? (int)sim_draw(s, 10) : -1;
    query_turn_sim(s);
    sim_loop_deliver(&l->loop, (uint32_t)sim_draw(s, 30));
    if (s->crash_after != 0)
        sim_loop_timers(&l->loop);
    if (dies && where <= 1) {
        sim_ledger_crash(s);
        return;
    }
    links_pause(v->links, take_is_crowded(v));
    links_turn(v->links);
    journal_turn(v->journal, s->now_us);
    project_turn_sim(s);
    ledger_evict(&v->ledger, loop_now_us(&l->loop));
    if (dies && where == 2) {
        sim_ledger_crash(s);
        return;
    }
    sim_loop_flush(&l->loop);
    if (dies)
        sim_ledger_crash(s);
}

/* ---- Mutations: what leaves before its commit, what commits before its time ----------------- */

/* The linker gives the shell's calls of journal_reply() and journal_event() to these. */
void __real_journal_reply(struct journal *j, uint32_t peer, const struct msg *m);
void __real_journal_event(struct journal *j, uint64_t account_id, const struct msg *m);
void __wrap_journal_reply(struct journal *j, uint32_t peer, const struct msg *m);
void __wrap_journal_event(struct journal *j, uint64_t account_id, const struct msg *m);

static struct sim_ledger *mutant; /* NULL: nothing leaves early */
static enum sim_mutation mutation;

/* And what the cores do wrong: */
void __real_pair_decided(struct match *m, uint32_t record);
void __wrap_pair_decided(struct match *m, uint32_t record);
int64_t __real_spent_printed(struct spent_list *l, enum side side, int64_t price, int64_t time_us,
                             int64_t quantity);
int64_t __wrap_spent_printed(struct spent_list *l, enum side side, int64_t price, int64_t time_us,
                             int64_t quantity);
money_t __real_order_need(const struct ledger_order *o);
money_t __wrap_order_need(const struct ledger_order *o);

void
sim_ledger_mutate(struct sim *s)
{
    bool is_early = s->mutation == SIM_replies_early || s->mutation == SIM_events_early;
    mutation = s->mutation;
    mutant = is_early ? &s->ledger : NULL;
    store_fake_keep_gaps(s->ledger.store, s->mutation == SIM_gaps_kept);
}

void
__wrap_journal_reply(struct journal *j, uint32_t peer, const struct msg *m)
{
    if (mutant == NULL || mutant->loop.sim->mutation != SIM_replies_early) {
        __real_journal_reply(j, peer, m);
        return;
    }
    struct bytes b = {0};
    msg_pack(&b, m);
    take_reply(&mutant->serve, peer, b.data, b.length);
    bytes_free(&b);
}

void
__wrap_journal_event(struct journal *j, uint64_t account_id, const struct msg *m)
{
    if (mutant == NULL || mutant->loop.sim->mutation != SIM_events_early) {
        __real_journal_event(j, account_id, m);
        return;
    }
    struct bytes b = {0};
    msg_pack(&b, m);
    take_event(&mutant->serve, account_id, b.data, b.length);
    bytes_free(&b);
}

void
__wrap_pair_decided(struct match *m, uint32_t record)
{
    if (mutation != SIM_sibling_kept)
        __real_pair_decided(m, record);
}

int64_t
__wrap_spent_printed(struct spent_list *l, enum side side, int64_t price, int64_t time_us,
                     int64_t quantity)
{
    return mutation != SIM_prints_twice ? __real_spent_printed(l, side, price, time_us, quantity)
                                        : 0;
}

money_t
__wrap_order_need(const struct ledger_order *o)
{
    money_t need = __real_order_need(o);
    if (mutation == SIM_holds_more && o->contingency == CONTINGENCY_OCO)
        need.v++;
    return need;
}
