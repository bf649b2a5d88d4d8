/*
 * sim_judge.c - remembers everything that ever left the ledger, and holds it to that.
 *
 * Orders: one per wish, never less filled than was said, never alive again. Fills and events: the
 * same number always means the same thing. Events of an account: no number twice, none left out
 * while a process lives. At rest: the naive ledger, a replay from the first record, the matchers'
 * books and the ledger agree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/store_fake.h"
#include "sim/naive_ledger.h"
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
    } maps[3] = {{&j->trades, 10 * j->promises_max},
                 {&j->events, 20 * j->promises_max},
                 {&j->commands, j->promises_max}};
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

static bool
is_over(enum order_status status)
{
    return status > ORDER_STATUS_PARTIALLY_FILLED && status != ORDER_STATUS_PENDING_NEW;
}

/* The wish behind a client order id: "i<number>"; NULL when there is none. */
static struct promise *
promise_of(struct sim *s, const cid_t *cid)
{
    unsigned long number = strtoul(cid->text + 1, NULL, 10);
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

static void
hear_order(struct sim *s, const struct order *o)
{
    struct promise *p = promise_of(s, &o->client_order_id);
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
    if (o->executed_quantity.v < p->executed || o->executed_quote_quantity.v < p->executed_quote)
        sim_fail(s, "order %llu is less filled than was said", id);
    if (is_over(p->status) && o->status != p->status)
        sim_fail(s, "order %llu was over and is %s", id,
                 msg_enum_name(MSG_ENUM_order_status, o->status));
    p->order_id = o->order_id;
    p->executed = o->executed_quantity.v;
    p->executed_quote = o->executed_quote_quantity.v;
    p->status = o->status;
}

static uint64_t
trade_hash(const struct trade *t)
{
    const uint64_t told[] = {t->order_id,
                             (uint64_t)t->price.v,
                             (uint64_t)t->quantity.v,
                             (uint64_t)t->quote_quantity.v,
                             (uint64_t)t->fee.v,
                             (uint64_t)t->time_us,
                             (uint64_t)t->is_maker};
    return map_hash(told, sizeof told);
}

static void
hear_trade(struct sim *s, const struct trade *t)
{
    remember(s, &s->judge.trades, "fill", t->trade_id, trade_hash(t));
}

static uint64_t
event_head(const struct msg *m, uint64_t *sequence)
{
    if (m->type == MSG_event_order) {
        *sequence = m->event_order.sequence;
        return m->event_order.account_id;
    }
    if (m->type == MSG_event_trade) {
        *sequence = m->event_trade.sequence;
        return m->event_trade.account_id;
    }
    *sequence = m->event_balance.sequence;
    return m->event_balance.account_id;
}

static void
hear_event(struct sim *s, const struct msg *m)
{
    uint64_t sequence;
    uint64_t account = event_head(m, &sequence);
    struct bytes *b = &s->judge.scratch;
    bytes_clear(b);
    msg_pack_payload(b, m->type, &m->frame);
    remember(s, &s->judge.events, "event", account << 32 | sequence, map_hash(b->data, b->length));
    if (m->type == MSG_event_trade)
        hear_trade(s, &m->event_trade.trade);
}

void
judge_event(struct sim *s, const struct msg *m)
{
    struct judge *j = &s->judge;
    uint64_t sequence;
    uint64_t account = event_head(m, &sequence);
    uint64_t i = (account - 1) / 7;
    unsigned long long had = j->published[i];
    s->counts.events++;
    hear_event(s, m);
    if (m->type == MSG_event_order)
        hear_order(s, &m->event_order.order);
    if (sequence <= had)
        sim_fail(s, "event %llu of account %llu was published before", (unsigned long long)sequence,
                 (unsigned long long)account);
    if (j->published_epoch[i] == s->ledger.epoch && sequence != had + 1)
        sim_fail(s, "account %llu: event %llu follows %llu", (unsigned long long)account,
                 (unsigned long long)sequence, had);
    j->published[i] = sequence;
    j->published_epoch[i] = s->ledger.epoch;
}

void
judge_reply(struct sim *s, const struct msg *m)
{
    switch ((int)m->type) {
    case MSG_order_view:
        hear_order(s, &m->order_view.order);
        for (uint32_t i = 0; i < m->order_view.fills_count; i++)
            hear_trade(s, &m->order_view.fills[i]);
        break;
    case MSG_order_page:
        for (uint32_t i = 0; i < m->order_page.orders_count; i++)
            hear_order(s, &m->order_page.orders[i]);
        break;
    case MSG_event_resumed:
        for (uint32_t i = 0; i < m->event_resumed.orders_count; i++)
            hear_order(s, &m->event_resumed.orders[i]);
        break;
    case MSG_event_order:
    case MSG_event_trade:
    case MSG_event_balance:
        hear_event(s, m);
        break;
    default:
        break;
    }
}

/* ---- Answers -------------------------------------------------------------------------------- */

static bool
is_own_fault(enum err e)
{
    return e == ERR_INTERNAL || e == ERR_WIRE_UNKNOWN || e == ERR_ORDER_DIFFERS ||
           e == ERR_COMMAND_DIFFERS || e == ERR_CLIENT_ID_INVALID;
}

static uint64_t
command_of(const struct msg *cmd)
{
    if (cmd->type == MSG_balance_set)
        return cmd->balance_set.command_id;
    if (cmd->type == MSG_settings_set)
        return cmd->settings_set.command_id;
    return cmd->type == MSG_tier_set ? cmd->tier_set.command_id : 0;
}

void
judge_answer(struct sim *s, const struct intent *t, const struct msg *a)
{
    enum err e = a->type == MSG_refused ? a->refused.error : OK;
    if (is_own_fault(e))
        sim_fail(s, "%s was answered %s", msg_layout(t->cmd.type)->name, err_name(e));
    s->counts.refusals += e != OK;
    if (e == OK && command_of(&t->cmd) != 0)
        map_set(&s->judge.commands, command_of(&t->cmd), 1);
    if (t->cmd.type == MSG_order_place && e == OK &&
        (a->type != MSG_order_view ||
         !cid_same(&a->order_view.order.client_order_id, &t->cmd.order_place.client_order_id)) &&
        s->mutation != SIM_client_new_id)
        sim_fail(s, "an order_place was answered with something else");
    if (t->cmd.type == MSG_order_cancel && e == OK &&
        a->order_view.order.status != ORDER_STATUS_CANCELED)
        sim_fail(s, "a cancel was answered with an order that is not cancelled");
}

/* ---- At any moment -------------------------------------------------------------------------- */

void
judge_step(struct sim *s)
{
    text_t why;
    if (s->ledger.is_up) {
        const struct ledger *l = &s->ledger.serve.ledger;
        if (l->reports_refused > 0)
            sim_fail(s, "the ledger refused a report");
        if (s->step % CHECK_EVERY == 0 && !ledger_check(l, &why))
            sim_fail(s, "ledger_check: %s", why.text);
    }
    for (uint32_t i = 0; i < s->matchers_count && s->step % CHECK_EVERY == 1; i++) {
        const char *wrong = s->matchers[i].is_up ? match_check(s->matchers[i].core) : NULL;
        if (wrong != NULL)
            sim_fail(s, "matcher %u: %s", i, wrong);
    }
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
    const struct ledger *l = &s->ledger.serve.ledger;
    uint32_t ours = 0, theirs = 0;
    for (uint32_t i = ledger_next_open(l, 0); i != LEDGER_NONE; i = ledger_next_open(l, i + 1)) {
        same_open_order(s, l, i);
        ours++;
    }
    for (uint32_t i = 0; i < s->matchers_count; i++)
        theirs += s->matchers[i].core->books.orders.used;
    if (ours != theirs)
        sim_fail(s, "%u orders are open in the ledger, %u in the books", ours, theirs);
}

/* ---- At rest: the journal ------------------------------------------------------------------- */

static void
hash_sink(void *arg, const void *bytes, size_t length)
{
    uint64_t *hash = arg;
    *hash = map_mix(*hash ^ map_hash(bytes, length)) + 1;
}

/* Each wish made one order at most. */
static void
made(struct sim *s, const cid_t *cid)
{
    struct promise *p = promise_of(s, cid);
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
    const struct store *store = s->ledger.store;
    text_t why = text_of("%s", "");
    for (uint32_t i = 0; i < store_fake_count(store); i++) {
        const struct msg cmd = sim_record_cmd(s, store_fake_at(store, i));
        if (!naive_ledger_apply(n, &cmd, &why)) {
            sim_trace(s, "judge", "does not understand", &cmd);
            sim_fail(s, "record %u should not be in the journal: %s", i, why.text);
        }
        read_orders(s, &cmd);
        uint64_t command = command_of(&cmd);
        if (command == 0)
            continue;
        if (map_get(&s->judge.commands, command) == 2)
            sim_fail(s, "command %llu ran twice", (unsigned long long)command);
        map_set(&s->judge.commands, command, 2);
    }
    s->counts.records = store_fake_count(store);
}

struct replayed {
    struct sim *sim;
    uint32_t fills;
};

static void
on_account(void *arg, const struct account_row *row)
{
    (void)arg;
    (void)row;
}

static void
on_balance(void *arg, const struct balance_row *row)
{
    (void)arg;
    (void)row;
}

static void
on_order(void *arg, const struct order_row *row)
{
    (void)arg;
    (void)row;
}

/* Every fill that was ever told is in the journal's history, as it was told. */
static void
on_trade(void *arg, const struct trade_row *row)
{
    struct replayed *r = arg;
    const struct map *said = &r->sim->judge.trades;
    uint32_t told = map_get(said, row->trade.trade_id);
    if (told == MAP_NONE)
        return;
    r->fills++;
    if (told != ((uint32_t)trade_hash(&row->trade) & 0x7fffffff))
        sim_fail(r->sim, "fill %llu was told otherwise", (unsigned long long)row->trade.trade_id);
}

static void
on_change(void *arg, const struct change_row *row)
{
    (void)arg;
    (void)row;
}

static void
on_story(void *arg, const struct story_row *row)
{
    (void)arg;
    (void)row;
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
        else if (o->executed.v < p->executed || o->executed_quote.v < p->executed_quote ||
                 (is_over(p->status) && o->status != p->status))
            sim_fail(s, "order %llu is not what was told", (unsigned long long)p->order_id);
    }
}

static void
same_replay(struct sim *s, const struct naive_ledger *n)
{
    struct ledger again;
    void *memory;
    text_t why;
    struct replayed r = {.sim = s};
    const struct ledger_sink sink = {&r,       on_account, on_balance, on_order,
                                     on_trade, on_change,  on_story};
    sim_ledger_replayed(s, &again, &memory, &sink);
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++) {
        uint64_t live = 0, replayed = 0;
        ledger_digest(&s->ledger.serve.ledger, shard, hash_sink, &live);
        ledger_digest(&again, shard, hash_sink, &replayed);
        if (live != replayed)
            sim_fail(s, "shard %u: a replay gives another state", shard);
    }
    if (r.fills != s->judge.trades.count)
        sim_fail(s, "%u fills were told, %u of them happened", s->judge.trades.count, r.fills);
    if (!naive_ledger_compare(n, &again, &why))
        sim_fail(s, "the naive ledger, of the replay: %s", why.text);
    same_promises(s, &again);
    s->counts.orders = again.orders_count;
    s->counts.fills = again.fill_ring.put;
    free(memory);
}

static void
same_commands(struct sim *s)
{
    const struct map *m = &s->judge.commands;
    for (uint64_t id = 1; id <= s->next_command; id++)
        if (map_get(m, id) == 1)
            sim_fail(s, "command %llu was answered and is gone", (unsigned long long)id);
    for (uint32_t i = 0; i < s->accounts; i++)
        if (map_get(&s->ledger.serve.ledger.account_by_id, sim_account_id(i)) == MAP_NONE)
            sim_fail(s, "account %llu is gone", (unsigned long long)sim_account_id(i));
}

void
judge_rest(struct sim *s)
{
    text_t why;
    struct naive_ledger naive;
    memset(&naive, 0, sizeof naive);
    same_open_orders(s);
    read_journal(s, &naive);
    if (!ledger_check(&s->ledger.serve.ledger, &why))
        sim_fail(s, "ledger_check: %s", why.text);
    if (!naive_ledger_compare(&naive, &s->ledger.serve.ledger, &why))
        sim_fail(s, "the naive ledger: %s", why.text);
    same_replay(s, &naive);
    same_commands(s);
    naive_ledger_free(&naive);
}
