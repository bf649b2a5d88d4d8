/*
 * sim_judge.c - remembers everything that ever left a ledger, and holds it to that.
 *
 * Said is only what the journal knows: an answer or event never goes further than the follower.
 * Orders: one per wish, never less filled than was said, never alive again; who has been told
 * something is never told less through the same gateway, also not by a deposed owner. Fills and
 * events: the same number always means the same thing. Events of an account: no number twice, none
 * left out while a process lives. Answers: no more than there were questions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define CHECK_EVERY 16u

void
judge_new(struct sim *s)
{
    struct judge *j = &s->judge;
    j->promises_max = 2 * s->steps + 1000;
    const struct {
        struct map *map;
        uint32_t max;
    } maps[3] = {{&j->events, 12 * s->steps + 4000},
                 {&j->commands, j->promises_max},
                 {&j->asked, 16 * s->steps + 4000}};
    for (int i = 0; i < 3; i++) {
        j->bytes[i] = malloc(map_bytes(maps[i].max));
        CHECK(j->bytes[i] != NULL);
        map_init(maps[i].map, maps[i].max, j->bytes[i]);
    }
    j->promises = calloc(j->promises_max, sizeof *j->promises);
    CHECK(j->promises != NULL);
}

void
judge_free(struct sim *s)
{
    struct judge *j = &s->judge;
    for (int i = 0; i < 3; i++)
        free(j->bytes[i]);
    free(j->promises);
    bytes_free(&j->scratch);
}

uint32_t
judge_promise(struct sim *s, const struct order_place *cmd)
{
    struct judge *j = &s->judge;
    CHECK(j->promises_count < j->promises_max);
    j->promises[j->promises_count].cmd = *cmd;
    return j->promises_count++;
}

/* ---- What was said -------------------------------------------------------------------------- */

/* The same id must mean the same bytes for ever. */
static void
remember(struct sim *s, struct map *m, const char *what, uint64_t id, uint64_t hash)
{
    uint32_t now = (uint32_t)hash & 0x7fffffff;
    uint32_t before = map_get(m, id);
    if (before == MAP_NONE)
        map_set(m, id, now);
    else if (before != now)
        sim_fail(s, "%s %llu was said with another content before", what, (unsigned long long)id);
}

bool
judge_is_over(enum order_status status)
{
    return status > ORDER_STATUS_PARTIALLY_FILLED && status != ORDER_STATUS_PENDING_NEW;
}

/* The wish behind a client order id: "i<number>"; NULL when there is none. */
struct promise *
judge_promise_of(struct sim *s, const cid_t *cid)
{
    unsigned long number = strtoul(cid->text + 1, NULL, 10);
    if (strncmp(cid->text, "twin-", 5) == 0)
        return NULL; /* nobody wished for it: a real order is mirrored by it */
    if (cid->text[0] != 'i' || number >= s->judge.promises_count) {
        sim_fail(s, "nobody wished for the order %s", cid->text);
        return NULL;
    }
    return &s->judge.promises[number];
}

static bool
is_as_wished(const struct promise *p, const struct order *o)
{
    int64_t placed = o->amended_from.v != 0 ? o->amended_from.v : o->quantity.v;
    return placed >= o->quantity.v && o->account_id == p->cmd.account_id &&
           code_same(o->symbol, p->cmd.symbol) && o->side == p->cmd.side &&
           o->type == p->cmd.type && placed == p->cmd.quantity.v && o->price.v == p->cmd.price.v &&
           o->quote_order_quantity.v == p->cmd.quote_order_quantity.v;
}

/* Whether the second goes on from the first. */
static bool
goes_on(const struct told *before, const struct told *now)
{
    return now->executed >= before->executed && now->executed_quote >= before->executed_quote &&
           (!judge_is_over(before->status) || now->status == before->status);
}

static struct told
told_of(const struct order *o)
{
    return (struct told){o->executed_quantity.v, o->executed_quote_quantity.v, o->status};
}

/* Nothing is said that is not in the journal. */
static void
hear_truth(struct sim *s, const struct order *o, const struct told *told)
{
    const struct ledger *l = &s->follower.ledger;
    uint32_t at = map_get(&l->order_by_id, o->order_id);
    const struct ledger_order *known = at == MAP_NONE ? NULL : &l->orders[at];
    unsigned long long id = o->order_id;
    if (known == NULL || !cid_same(&known->client_order_id, &o->client_order_id)) {
        sim_fail(s, "order %llu was told and is not in the journal", id);
        return;
    }
    const struct told now = {known->executed.v, known->executed_quote.v,
                             (enum order_status)known->status};
    if (!goes_on(told, &now))
        sim_fail(s, "order %llu was told further than the journal knows", id);
}

static void
hear_order(struct sim *s, const struct sim_ledger *l, const struct order *o)
{
    struct promise *p = judge_promise_of(s, &o->client_order_id);
    if (p == NULL)
        return;
    unsigned long long id = o->order_id;
    if (p->order_id != 0 && p->order_id != o->order_id) {
        sim_fail(s, "%s is order %llu and was %llu", o->client_order_id.text, id,
                 (unsigned long long)p->order_id);
        return;
    }
    if (!is_as_wished(p, o))
        sim_fail(s, "order %llu is not what was wished for", id);
    const struct told told = told_of(o);
    hear_truth(s, o, &told);
    p->order_id = o->order_id;
    if (sim_ledger_is_deposed(l))
        return; /* it may know less than others have said since */
    if (!goes_on(&p->told, &told))
        sim_fail(s, "order %llu is less than was said, or alive again", id);
    p->told = told;
}

static void
hear_trade(struct sim *s, const struct trade *t)
{
    if (map_get(&s->follower.trades, t->trade_id) != (uint32_t)follow_trade_hash(t))
        sim_fail(s, "fill %llu was told and is not so in the journal",
                 (unsigned long long)t->trade_id);
}

static uint64_t
event_head(const struct msg *m, uint64_t *sequence)
{
    switch ((int)m->type) {
    case MSG_event_order:
        *sequence = m->event_order.sequence;
        return m->event_order.account_id;
    case MSG_event_trade:
        *sequence = m->event_trade.sequence;
        return m->event_trade.account_id;
    case MSG_event_list:
        *sequence = m->event_list.sequence;
        return m->event_list.account_id;
    default:
        *sequence = m->event_balance.sequence;
        return m->event_balance.account_id;
    }
}

static bool
is_event(const struct msg *m)
{
    return m->type == MSG_event_order || m->type == MSG_event_trade || m->type == MSG_event_list ||
           m->type == MSG_event_balance;
}

static const struct ledger_account *
known_account(const struct sim *s, uint64_t id)
{
    const struct ledger *l = &s->follower.ledger;
    uint32_t at = map_get(&l->account_by_id, id);
    return at == MAP_NONE ? NULL : &l->accounts[at];
}

static void
hear_event(struct sim *s, const struct msg *m)
{
    uint64_t sequence;
    uint64_t account = event_head(m, &sequence);
    const struct ledger_account *a = known_account(s, account);
    struct bytes *b = &s->judge.scratch;
    bytes_clear(b);
    msg_pack_payload(b, m->type, &m->frame);
    remember(s, &s->judge.events, "event", account << 32 | sequence, map_hash(b->data, b->length));
    if (a == NULL || a->event_sequence < sequence)
        sim_fail(s, "event %llu of account %llu is not in the journal",
                 (unsigned long long)sequence, (unsigned long long)account);
    if (m->type == MSG_event_trade)
        hear_trade(s, &m->event_trade.trade);
}

void
judge_event(struct sim *s, struct sim_ledger *l, const struct msg *m)
{
    uint64_t sequence;
    uint64_t account = event_head(m, &sequence);
    uint64_t i = (account - 1) / 7;
    uint64_t *own = &l->published[i], *all = &s->judge.published[i];
    s->counts.events++;
    hear_event(s, m);
    if (m->type == MSG_event_order)
        hear_order(s, l, &m->event_order.order);
    if (*own != 0 && sequence != *own + 1)
        sim_fail(s, "account %llu: event %llu follows %llu", (unsigned long long)account,
                 (unsigned long long)sequence, (unsigned long long)*own);
    *own = sequence;
    if (sim_ledger_is_deposed(l))
        return;
    if (sequence <= *all)
        sim_fail(s, "event %llu of account %llu was published before", (unsigned long long)sequence,
                 (unsigned long long)account);
    *all = sequence;
}

/* What an account is told to have, when nothing has happened to it since. */
static void
hear_account(struct sim *s, const struct sim_ledger *l, const struct account_view *v)
{
    const struct ledger *all = &s->follower.ledger;
    const struct ledger_account *a = known_account(s, v->account_id);
    unsigned long long id = v->account_id;
    if (a == NULL || a->event_sequence < v->event_sequence) {
        sim_fail(s, "account %llu was told further than the journal knows", id);
        return;
    }
    s->counts.told_behind += sim_ledger_is_deposed(l) && a->event_sequence > v->event_sequence;
    for (uint32_t i = 0; a->event_sequence == v->event_sequence && i < v->balances_count; i++) {
        const struct balance *told = &v->balances[i];
        for (uint32_t b = a->first_balance; b != LEDGER_NONE; b = all->balances[b].next)
            if (all->balances[b].wallet == told->wallet &&
                code_same(all->assets[all->balances[b].asset], told->asset) &&
                (all->balances[b].free.v != told->free.v ||
                 all->balances[b].held.v != told->held.v))
                sim_fail(s, "account %llu was told another balance of %s", id, told->asset.text);
    }
}

/* ---- Questions and answers ------------------------------------------------------------------- */

static uint64_t
question_key(const struct sim_ledger *l, uint32_t peer, uint64_t corr)
{
    const uint64_t key[] = {l->index, l->serve->epoch, peer, corr};
    return map_hash(key, sizeof key);
}

void
judge_asked(struct sim *s, const struct sim_ledger *l, uint32_t peer, const struct msg *m)
{
    struct map *asked = &s->judge.asked;
    uint64_t key = question_key(l, peer, m->corr);
    uint32_t count = map_get(asked, key);
    if (count != MAP_NONE || asked->count < asked->max)
        map_set(asked, key, count == MAP_NONE ? 1 : count + 1);
}

static void
count_answer(struct sim *s, const struct sim_ledger *l, uint32_t peer, const struct msg *m)
{
    struct map *asked = &s->judge.asked;
    uint64_t key = question_key(l, peer, m->corr);
    uint32_t count = map_get(asked, key);
    if (asked->count == asked->max)
        return;
    if (count == MAP_NONE || count == 0)
        sim_fail(s, "%s answers what was not asked, or twice", msg_layout(m->type)->name);
    else
        map_set(asked, key, count - 1);
}

static void
hear_orders(struct sim *s, const struct sim_ledger *l, const struct order *orders, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        hear_order(s, l, &orders[i]);
}

void
judge_reply(struct sim *s, const struct sim_ledger *l, uint32_t peer, const struct msg *m)
{
    if (is_event(m)) {
        hear_event(s, m);
        return;
    }
    s->counts.deposed_answers += sim_ledger_is_deposed(l);
    count_answer(s, l, peer, m);
    switch ((int)m->type) {
    case MSG_order_view:
        hear_order(s, l, &m->order_view.order);
        for (uint32_t i = 0; i < m->order_view.fills_count; i++)
            hear_trade(s, &m->order_view.fills[i]);
        break;
    case MSG_order_page:
        hear_orders(s, l, m->order_page.orders, m->order_page.orders_count);
        break;
    case MSG_list_view:
        hear_orders(s, l, m->list_view.orders, m->list_view.orders_count);
        break;
    case MSG_event_resumed:
        hear_orders(s, l, m->event_resumed.orders, m->event_resumed.orders_count);
        break;
    case MSG_account_view:
        hear_account(s, l, &m->account_view);
        break;
    default:
        break;
    }
}

/* ---- At a gateway and its clients ------------------------------------------------------------ */

static void
gateway_knows(struct sim *s, uint32_t gateway, const struct order *o)
{
    struct promise *p = judge_promise_of(s, &o->client_order_id);
    const struct told now = told_of(o);
    if (p != NULL && goes_on(&p->at[gateway], &now))
        p->at[gateway] = now;
}

/* The number of an account's last event, as an answer tells it; 0 = it tells none. */
static uint64_t
sequence_told(const struct msg *m)
{
    if (m->type == MSG_account_view)
        return m->account_view.event_sequence;
    return m->type == MSG_event_resumed ? m->event_resumed.sequence : 0;
}

void
judge_heard(struct sim *s, uint32_t gateway, uint32_t group, uint64_t epoch, const struct msg *m)
{
    uint64_t sequence, account, *last = &s->gateways[gateway].epoch[group];
    if (epoch < *last)
        sim_fail(s, "gateway %u took a word of epoch %llu after one of epoch %llu", gateway,
                 (unsigned long long)epoch, (unsigned long long)*last);
    *last = epoch;
    if (m->type == MSG_order_view)
        gateway_knows(s, gateway, &m->order_view.order);
    else if (m->type == MSG_event_order)
        gateway_knows(s, gateway, &m->event_order.order);
    if (!is_event(m))
        return;
    account = event_head(m, &sequence);
    uint64_t *known = &s->gateways[gateway].sequences[(account - 1) / 7];
    *known = sequence > *known ? sequence : *known;
}

static bool
is_own_fault(enum err e)
{
    return e == ERR_INTERNAL || e == ERR_WIRE_UNKNOWN || e == ERR_ORDER_DIFFERS ||
           e == ERR_COMMAND_DIFFERS || e == ERR_CLIENT_ID_INVALID;
}

uint64_t
judge_command_of(const struct msg *cmd)
{
    if (cmd->type == MSG_balance_set)
        return cmd->balance_set.command_id;
    if (cmd->type == MSG_settings_set)
        return cmd->settings_set.command_id;
    return cmd->type == MSG_tier_set ? cmd->tier_set.command_id : 0;
}

/* An order_view in answer to a request for one order. */
static void
answer_order(struct sim *s, const struct intent *t, const struct order *o)
{
    const struct told now = told_of(o);
    if (!goes_on(&t->known, &now))
        sim_fail(s, "gateway %u had been told more of order %llu before it asked", t->gateway,
                 (unsigned long long)o->order_id);
    s->counts.stale_reads += !goes_on(&t->known_elsewhere, &now);
    if (t->cmd.type == MSG_order_cancel && o->status != ORDER_STATUS_CANCELED)
        sim_fail(s, "a cancel was answered with an order that is not cancelled");
    if (t->cmd.type == MSG_order_place && s->mutation != SIM_client_new_id &&
        !cid_same(&o->client_order_id, &t->cmd.order_place.client_order_id))
        sim_fail(s, "an order_place was answered with another order");
}

void
judge_answer(struct sim *s, const struct intent *t, const struct msg *a)
{
    enum err e = a->type == MSG_refused ? a->refused.error : OK;
    if (is_own_fault(e))
        sim_fail(s, "%s was answered %s", msg_layout(t->cmd.type)->name, err_name(e));
    s->counts.refusals += e != OK;
    if (sequence_told(a) != 0 && sequence_told(a) < t->known_sequence)
        sim_fail(s, "gateway %u had been told of later events of account %llu before it asked",
                 t->gateway, (unsigned long long)t->account_id);
    if (e == OK && judge_command_of(&t->cmd) != 0)
        map_set(&s->judge.commands, judge_command_of(&t->cmd), 1);
    if (a->type == MSG_order_view)
        answer_order(s, t, &a->order_view.order);
    else if (e == OK && t->cmd.type == MSG_order_place)
        sim_fail(s, "an order_place was answered with something else");
    else if (e == OK && t->cmd.type == MSG_list_place && a->type != MSG_list_view)
        sim_fail(s, "a list_place was answered with something else");
}

/* ---- At any moment -------------------------------------------------------------------------- */

static void
check_ledger(struct sim *s, const struct sim_ledger *l)
{
    text_t why;
    const struct serve *v = l->serve;
    if (v->violated > 0)
        sim_fail(s, "ledger %u: %s", l->index, v->violation.text);
    if (sim_ledger_is_deposed(l))
        return; /* it may hear what is meant for its successor */
    if (v->ledger.reports_refused > 0)
        sim_fail(s, "ledger %u refused a report", l->index);
    if (s->step % CHECK_EVERY == 0 && !ledger_check(&v->ledger, &why))
        sim_fail(s, "ledger_check: %s", why.text);
}

void
judge_step(struct sim *s)
{
    follow_compare(s, s->step % (4 * CHECK_EVERY) == 0);
    for (uint32_t i = 0; i < s->ledgers_count; i++)
        if (sim_ledger_serves(&s->ledgers[i]))
            check_ledger(s, &s->ledgers[i]);
    for (uint32_t i = 0; i < s->matchers_count && s->step % CHECK_EVERY == 1; i++) {
        const char *wrong = s->matchers[i].is_up ? match_check(s->matchers[i].core) : NULL;
        if (wrong != NULL)
            sim_fail(s, "matcher %u: %s", i, wrong);
    }
    for (uint32_t i = 0; i < SIM_GATEWAYS && s->step % CHECK_EVERY == 2; i++)
        gw_check(&s->gateways[i].gw);
}
