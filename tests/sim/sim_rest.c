/*
 * sim_rest.c - when everything has come to rest: everybody agrees with everybody.
 *
 * Owners and matchers have the same open orders with the same ranks; the naive ledger, which reads
 * the whole journal, has the balances of both the owners and the follower; all that was ever said
 * is there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "sim/naive_ledger.h"
#include "sim/sim.h"

/* ---- Whether it is at rest ------------------------------------------------------------------- */

static const char *
unrest_of_group(struct sim *s, uint32_t group)
{
    struct sim_ledger *l = sim_owner(s, group);
    if (l == NULL)
        return "nobody owns a group";
    const struct ledger *core = &l->serve->ledger;
    if (links_working(l->serve->links) != s->matchers_count)
        return "a link is not working";
    for (uint32_t i = 0; i < core->orders_reached; i++)
        if (ledger_is_pulled(core, i) && ledger_next_open(core, i) == i)
            return "a cancel has not ended";
    const char *untold = sim_exchange_unrest(s, core, group);
    if (untold != NULL)
        return untold;
    if (query_waiting(l->serve->query) > 0)
        return "a look-up is under way";
    return journal_is_empty(l->serve->journal) ? NULL : "a commit is under way";
}

const char *
sim_unrest(struct sim *s)
{
    const char *why = NULL;
    if (!s->database.is_up)
        return "the database is down";
    if (sim_clients_waiting(s) > 0)
        return "a client waits for an answer";
    for (uint32_t i = 0; i < s->matchers_count; i++)
        if (!s->matchers[i].is_up)
            return "a matcher is down";
    for (uint32_t i = 0; i < s->ledgers_count; i++)
        if (sim_ledger_is_deposed(&s->ledgers[i]))
            return "a deposed owner lives";
    for (uint32_t i = 0; i < s->groups_count && why == NULL; i++)
        why = unrest_of_group(s, i);
    return why;
}

/* ---- At rest: the books of both ------------------------------------------------------------- */

/* Of an iceberg at rest with what is hidden. */
static int64_t
left_of(const struct books *b, uint32_t order)
{
    bool rests = b->orders.at[order].state == RESTING_IN_BOOK;
    return rests ? book_left(b, order) : b->orders.at[order].quantity;
}

static void
same_open_order(struct sim *s, const struct ledger *l, uint32_t order)
{
    const struct ledger_order *o = &l->orders[order];
    unsigned long long id = o->id;
    struct order_work w;
    memset(&w, 0, sizeof w);
    ledger_order_work(l, order, &w);
    for (uint32_t i = 0; i < SIM_SYMBOLS; i++) {
        if (!code_same(s->symbols[i].code, w.symbol))
            continue;
        const struct books *b = &s->matchers[s->symbols[i].matcher].core->books;
        uint32_t at = resting_find(&b->orders, o->id);
        if (at == RESTING_NONE)
            sim_fail(s, "order %llu is open in the ledger and not in the book", id);
        else if (left_of(b, at) != w.quantity.v)
            sim_fail(s, "order %llu: %lld left in the ledger, %lld in the book", id,
                     (long long)w.quantity.v, (long long)left_of(b, at));
        else if (b->orders.at[at].rank != o->rank || o->rank == 0)
            sim_fail(s, "order %llu has another rank in the book", id);
    }
    if (ledger_is_pulled(l, order))
        sim_fail(s, "the cancel of order %llu never ended", id);
    if (o->first_waiter != LEDGER_NONE)
        sim_fail(s, "somebody still waits for order %llu", id);
}

static void
same_open_orders(struct sim *s)
{
    uint32_t ours = 0, theirs = 0;
    for (uint32_t group = 0; group < s->groups_count; group++) {
        const struct ledger *l = &sim_owner(s, group)->serve->ledger;
        for (uint32_t i = ledger_next_open(l, 0); i != LEDGER_NONE;
             i = ledger_next_open(l, i + 1), ours++)
            same_open_order(s, l, i);
    }
    for (uint32_t i = 0; i < s->matchers_count; i++)
        theirs += s->matchers[i].core->books.orders.used;
    if (ours != theirs)
        sim_fail(s, "%u orders are open in the ledger, %u in the books", ours, theirs);
}

/* ---- At rest: the journal ------------------------------------------------------------------- */

/* Each wish made one order at most. */
static void
made(struct sim *s, const cid_t *cid)
{
    struct promise *p = judge_promise_of(s, cid);
    if (p != NULL && ++p->journaled > 1)
        sim_fail(s, "%s made two orders", p->cmd.client_order_id.text);
}

static void
read_orders(struct sim *s, const struct msg *cmd)
{
    const struct order_report *r = &cmd->order_report;
    switch ((int)cmd->type) {
    case MSG_order_place:
        made(s, &cmd->order_place.client_order_id);
        s->counts.rejected += cmd->order_place.is_refused;
        break;
    case MSG_order_replace:
        made(s, &cmd->order_replace.client_order_id);
        s->counts.replaced++;
        break;
    case MSG_list_place:
        for (uint32_t i = 0; i < cmd->list_place.orders_count; i++)
            made(s, &cmd->list_place.orders[i].client_order_id);
        s->counts.lists++;
        break;
    case MSG_order_report:
        s->counts.triggered += r->triggered_us != 0;
        s->counts.trimmed += r->trimmed_to.v != 0;
        break;
    default:
        break;
    }
}

static void
read_journal(struct sim *s, struct naive_ledger *n)
{
    text_t why = text_of("%s", "");
    for (uint32_t i = 0; i < s->database.count; i++) {
        const struct msg cmd = sim_record_cmd(s, &s->database.records[i]);
        n->now_us = s->database.records[i].time_us;
        if (!naive_ledger_apply(n, &cmd, &why)) {
            sim_trace(s, "judge", "does not understand", &cmd);
            sim_fail(s, "record %u should not be in the journal: %s", i, why.text);
        }
        read_orders(s, &cmd);
        uint64_t command = judge_command_of(&cmd);
        if (command == 0)
            continue;
        if (map_get(&s->judge.commands, command) == 2)
            sim_fail(s, "command %llu ran twice", (unsigned long long)command);
        map_set(&s->judge.commands, command, 2);
    }
    s->counts.records = s->database.count;
}

static void
same_promises(struct sim *s, const struct ledger *l)
{
    for (uint32_t i = 0; i < s->judge.promises_count; i++) {
        const struct promise *p = &s->judge.promises[i];
        if (p->order_id == 0)
            continue;
        uint32_t at = map_get(&l->order_by_id, p->order_id);
        const struct ledger_order *o = at == MAP_NONE ? NULL : &l->orders[at];
        if (o == NULL || !cid_same(&o->client_order_id, &p->cmd.client_order_id))
            sim_fail(s, "order %llu was told and is gone", (unsigned long long)p->order_id);
        else if (o->executed.v < p->told.executed || o->executed_quote.v < p->told.executed_quote ||
                 (judge_is_over(p->told.status) && o->status != p->told.status))
            sim_fail(s, "order %llu is not what was told", (unsigned long long)p->order_id);
    }
}

static void
same_commands(struct sim *s)
{
    const struct map *m = &s->judge.commands;
    for (uint64_t id = 1; id <= s->next_command; id++)
        if (map_get(m, id) == 1)
            sim_fail(s, "command %llu was answered and is gone", (unsigned long long)id);
    for (uint32_t i = 0; i < s->accounts; i++)
        if (map_get(&s->follower.ledger.account_by_id, sim_account_id(i)) == MAP_NONE)
            sim_fail(s, "account %llu is gone", (unsigned long long)sim_account_id(i));
}

void
judge_rest(struct sim *s)
{
    text_t why;
    struct naive_ledger naive;
    const struct ledger *all = &s->follower.ledger;
    memset(&naive, 0, sizeof naive);
    same_open_orders(s);
    read_journal(s, &naive);
    for (uint32_t group = 0; group < s->groups_count; group++)
        if (!ledger_check(&sim_owner(s, group)->serve->ledger, &why))
            sim_fail(s, "ledger_check: %s", why.text);
    if (!ledger_check(all, &why))
        sim_fail(s, "ledger_check of the journal: %s", why.text);
    /* The owners' states were compared with this one in each step. */
    follow_compare(s, true);
    if (s->groups_count == 1 &&
        !naive_ledger_compare(&naive, &sim_owner(s, 0)->serve->ledger, &why))
        sim_fail(s, "the naive ledger: %s", why.text);
    if (!naive_ledger_compare(&naive, all, &why))
        sim_fail(s, "the naive ledger, of the journal: %s", why.text);
    sim_exchange_judge(s, all);
    same_promises(s, all);
    same_commands(s);
    s->counts.orders = all->orders_count;
    s->counts.fills = all->fill_ring.put;
    naive_ledger_free(&naive);
}
