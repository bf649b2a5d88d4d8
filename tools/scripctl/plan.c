/*
 * plan.c - see plan.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/plan.h"

#include <stdlib.h>
#include <string.h>

#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "scripctl/progress.h"

#define WISHES_MAX 8

struct plan_maker {
    struct plan *plan;
    const struct options *o;
    struct twin *twin;
    const struct twin_step *step;
};

/* ---- Accounts -------------------------------------------------------------------------------- */

static money_t
cash_of(const struct ledger *l, const struct ledger_account *a, bool *has_more)
{
    money_t cash = {0};
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next) {
        const struct ledger_balance *b = &l->balances[i];
        bool is_cash = code_same(l->assets[b->asset], code_of(LEDGER_CASH));
        if (is_cash && b->wallet == TRADING_TYPE_spot)
            cash = balance_total(b);
        else if (!is_cash && balance_total(b).v > 0)
            *has_more = true;
    }
    return cash;
}

/* The account as it stands now, with its first command. */
static uint32_t
account_take(struct plan_maker *m, uint64_t id)
{
    struct plan *p = m->plan;
    const struct ledger *l = twin_ledger(m->twin);
    const struct ledger_account *a = account_find(l, id);
    uint32_t place = places_get(&p->by_account, id);
    CHECK(a != NULL);
    if (place != MAP_NONE)
        return place;
    p->accounts = array_room(p->accounts, p->accounts_count, &p->accounts_max, sizeof *p->accounts);
    struct plan_account *to = &p->accounts[p->accounts_count];
    *to = (struct plan_account){.id = id, .user_id = a->user_id, .tier = a->tier};
    memcpy(to->settings, a->settings, sizeof to->settings);
    to->cash = cash_of(l, a, &to->has_more);
    to->is_opened = m->step->cmd->type == MSG_account_open;
    places_set(&p->by_account, id, p->accounts_count);
    return p->accounts_count++;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static uint64_t
account_of(const struct msg *m)
{
    const struct msg_field *f = msg_field_by_name(msg_layout(m->type), "account_id");
    uint64_t id = 0;
    if (f != NULL)
        memcpy(&id, (const uint8_t *)msg_body_const(m) + f->offset, sizeof id);
    return id;
}

/* What the gateway says beside what a client does; all else that is hidden is the ledger's. */
static bool
is_said(const struct msg_field *f)
{
    static const char *const names[] = {"id_was_made", "command_id", "source", "changed_by"};
    if ((f->flags & MSG_FLAG_HID) == 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], f->name) == 0)
            return true;
    return false;
}

static size_t
field_bytes(const struct msg_layout *l, const struct msg_field *f)
{
    size_t end = l->size;
    for (uint32_t i = 0; i < l->field_count; i++)
        if (l->fields[i].offset > f->offset && l->fields[i].offset < end)
            end = l->fields[i].offset;
    return end - f->offset;
}

static void
strip(const struct msg_layout *l, void *body)
{
    for (uint32_t i = 0; i < l->field_count; i++)
        if (!is_said(&l->fields[i]))
            memset((uint8_t *)body + l->fields[i].offset, 0, field_bytes(l, &l->fields[i]));
}

/* Takes out what the ledger wrote in. `wishes` is memory for the orders of a list. */
static void
strip_msg(struct msg *m, struct order_wish wishes[WISHES_MAX])
{
    if (m->type == MSG_list_place) {
        struct list_place *list = &m->list_place;
        CHECK(list->orders_count <= WISHES_MAX);
        for (uint32_t i = 0; i < list->orders_count; i++) {
            wishes[i] = list->orders[i];
            strip(msg_record_at(MSG_RECORD_order_wish), &wishes[i]);
        }
        list->orders = wishes;
    } else if (m->type == MSG_settings_set) {
        /* A preset of one's own is made of its parts; which of them count is said. */
        if (m->settings_set.fill_preset == FILL_PRESET_custom)
            m->settings_set.fill_preset = FILL_PRESET_NONE;
    } else {
        strip(msg_layout(m->type), msg_body(m));
    }
}

static struct plan_command *
command_add(struct plan_maker *m, const struct msg *cmd, uint64_t account_id, int64_t time_us)
{
    struct plan *p = m->plan;
    struct msg said = *cmd;
    struct order_wish wishes[WISHES_MAX];
    strip_msg(&said, wishes);
    uint32_t account = account_take(m, account_id);
    p->commands = array_room(p->commands, p->commands_count, &p->commands_max, sizeof *p->commands);
    struct plan_command *to = &p->commands[p->commands_count++];
    *to = (struct plan_command){.time_us = time_us,
                                .answered_us = m->step->record->time_us,
                                .shard = m->step->record->shard,
                                .seq = m->step->record->seq,
                                .account_id = account_id,
                                .account = account,
                                .type = cmd->type,
                                .order = PLAN_NONE,
                                .at = p->payloads.length,
                                .needs_rest = p->accounts[account].was_filled};
    p->accounts[account].was_filled = false;
    msg_pack_payload(&p->payloads, cmd->type, msg_body(&said));
    to->length = (uint32_t)(p->payloads.length - to->at);
    p->accounts[account].commands++;
    return to;
}

/* ---- Orders ---------------------------------------------------------------------------------- */

static struct plan_order *
order_of(const struct plan *p, uint64_t order_id)
{
    uint32_t place = order_id == 0 ? MAP_NONE : places_get(&p->by_order, order_id);
    return place == MAP_NONE ? NULL : &p->orders[place];
}

static int
by_leg(const void *a, const void *b)
{
    const struct order_row *const *x = a, *const *y = b;
    return (*x)->leg < (*y)->leg ? -1 : (*x)->leg > (*y)->leg;
}

/* The orders that a command placed, in the order in which it named them. */
static void
orders_add(struct plan_maker *m, struct plan_command *to)
{
    const struct order_row *rows[PLAN_ORDERS_MAX];
    struct plan *p = m->plan;
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->step->orders_count; i++)
        if (m->step->orders[i].is_new && count < PLAN_ORDERS_MAX)
            rows[count++] = &m->step->orders[i];
    qsort(rows, count, sizeof rows[0], by_leg);
    to->order = p->orders_count;
    to->orders_count = count;
    if (count > 0)
        to->answered_us = INT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        p->orders = array_room(p->orders, p->orders_count, &p->orders_max, sizeof *p->orders);
        p->orders[p->orders_count] =
            (struct plan_order){.order = rows[i]->order, .command = p->commands_count - 1};
        places_set(&p->by_order, rows[i]->order.order_id, p->orders_count++);
        struct plan_order *old = order_of(p, rows[i]->order.replaces);
        if (old != NULL)
            old->is_replaced = true;
    }
}

/* What this record made of orders that are planned. */
static void
orders_follow(struct plan_maker *m)
{
    for (uint32_t i = 0; i < m->step->orders_count; i++) {
        struct plan_order *o = order_of(m->plan, m->step->orders[i].order.order_id);
        if (o == NULL)
            continue;
        o->order = m->step->orders[i].order;
        struct plan_command *command = &m->plan->commands[o->command];
        if (command->answered_us == INT64_MAX && command->seq != m->step->record->seq)
            command->answered_us = m->step->record->time_us;
    }
    for (uint32_t i = 0; i < m->step->trades_count; i++) {
        const struct trade *t = &m->step->trades[i].trade;
        struct plan_order *o = order_of(m->plan, t->order_id);
        if (o == NULL)
            continue;
        o->fills++;
        m->plan->fills++;
        if (t->is_maker)
            m->plan->accounts[m->plan->commands[o->command].account].was_filled = true;
        *(t->side == SIDE_BUY ? &o->fee_base : &o->fee_quote) += t->fee.v;
    }
}

/* ---- Reports that tell of a client's wish ---------------------------------------------------- */

static const struct order_row *
row_of(const struct plan_maker *m, uint64_t order_id)
{
    for (uint32_t i = 0; i < m->step->orders_count; i++)
        if (m->step->orders[i].order.order_id == order_id)
            return &m->step->orders[i];
    return NULL;
}

/* When the client said so: before the report by the latency of its way, and after its order. */
static void
told(struct plan_maker *m, const struct order_row *row, const struct msg *cmd)
{
    int64_t time_us = m->step->record->time_us - row->cancel_latency_us;
    if (time_us <= row->order.created_us)
        time_us = row->order.created_us + 1;
    command_add(m, cmd, row->order.account_id, time_us)->is_told = true;
}

static void
told_cancel(struct plan_maker *m, const struct order_row *row, const struct plan_order *o)
{
    uint64_t list_id = row->order.list_id;
    if (o->is_replaced)
        return;
    /* One order of a list cancels them all. */
    if (list_id != 0 && places_get(&m->plan->told_lists, list_id) != MAP_NONE)
        return;
    if (list_id != 0)
        places_set(&m->plan->told_lists, list_id, 1);
    struct msg cancel = {.type = MSG_order_cancel};
    cancel.order_cancel = (struct order_cancel){.account_id = row->order.account_id,
                                                .client_order_id = row->order.client_order_id};
    told(m, row, &cancel);
}

static void
told_amend(struct plan_maker *m, const struct order_row *row, qty_t quantity)
{
    struct msg amend = {.type = MSG_order_amend};
    amend.order_amend = (struct order_amend){.account_id = row->order.account_id,
                                             .client_order_id = row->order.client_order_id,
                                             .quantity = quantity};
    told(m, row, &amend);
}

static void
take_report(struct plan_maker *m, const struct order_report *r)
{
    const struct order_row *row = row_of(m, r->order_id);
    const struct plan_order *o = order_of(m->plan, r->order_id);
    if (row != NULL && row->order.twin_of != 0)
        return; /* nobody asked: it mirrors an order that was left out */
    bool is_cancel = r->was_pulled && r->end == ORDER_END_CLIENT_CANCEL;
    bool is_amend = r->was_trimmed && r->trimmed_to.v > 0 && row != NULL &&
                    row->order.quantity.v == r->trimmed_to.v;
    if ((is_cancel || is_amend) && (row == NULL || o == NULL))
        m->plan->before++;
    else if (is_cancel)
        told_cancel(m, row, o);
    else if (is_amend)
        told_amend(m, row, r->trimmed_to);
}

/* ---- Records --------------------------------------------------------------------------------- */

static bool
is_in_range(const struct options *o, const struct journal_record *r)
{
    return o->shard[r->shard] && r->seq > (uint64_t)o->after &&
           (o->since == INT64_MIN || r->time_us >= o->since);
}

static bool
is_behind(const struct options *o, const struct journal_record *r)
{
    return o->until != INT64_MIN && r->time_us >= o->until;
}

/* Whether a command is of the account and the symbol that are asked for. */
static bool
is_wanted(const struct options *o, const struct msg *cmd, uint64_t account_id)
{
    const struct msg_field *f = msg_field_by_name(msg_layout(cmd->type), "symbol");
    if (o->account != 0 && account_id != (uint64_t)o->account)
        return false;
    return o->symbol == NULL || f == NULL ||
           strcmp((const char *)msg_body_const(cmd) + f->offset, o->symbol) == 0;
}

/* What went to an exchange, or came from one, is nobody else's: none of it is ever sent anywhere.
 */
static bool
is_of_exchange(const struct msg *cmd)
{
    switch ((int)cmd->type) {
    case MSG_bridge_report:
    case MSG_exchange_account:
    case MSG_order_settle:
        return true;
    case MSG_order_place:
        return cmd->order_place.environment != ENVIRONMENT_NONE;
    case MSG_settings_set:
        return cmd->settings_set.mode == TRADING_MODE_REAL;
    default:
        return false;
    }
}

static void
take(struct plan_maker *m)
{
    const struct msg *cmd = m->step->cmd;
    uint64_t account_id = account_of(cmd);
    bool is_mine = is_in_range(m->o, m->step->record);
    if (is_mine && cmd->type == MSG_order_report) {
        orders_follow(m);
        take_report(m, &cmd->order_report);
        return;
    }
    if (is_of_exchange(cmd)) {
        m->plan->real += is_mine && cmd->type == MSG_order_place;
        orders_follow(m);
        return;
    }
    bool is_asked = is_mine && account_id != 0 && is_wanted(m->o, cmd, account_id);
    if (is_asked && cmd->type == MSG_account_open)
        account_take(m, account_id); /* accounts are opened before everything else */
    else if (is_asked)
        orders_add(m, command_add(m, cmd, account_id, m->step->record->time_us));
    orders_follow(m);
}

static int
by_time(const void *a, const void *b)
{
    const struct plan_command *x = a, *y = b;
    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    if (x->shard != y->shard)
        return x->shard < y->shard ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void
answers_settle(struct plan *p)
{
    for (uint32_t i = 0; i < p->commands_count; i++) {
        struct plan_command *command = &p->commands[i];
        int64_t *answered_us = &p->accounts[command->account].answered_us;
        command->follows = *answered_us <= command->time_us;
        if (command->answered_us > *answered_us)
            *answered_us = command->answered_us;
    }
}

static void
settle(struct plan *p)
{
    if (p->commands_count > 1)
        qsort(p->commands, p->commands_count, sizeof *p->commands, by_time);
    for (uint32_t i = 0; i < p->commands_count; i++)
        for (uint32_t n = 0; n < p->commands[i].orders_count; n++)
            p->orders[p->commands[i].order + n].command = i;
    answers_settle(p);
    for (uint32_t i = 1; i < p->commands_count; i++)
        p->ties += p->commands[i].time_us == p->commands[i - 1].time_us &&
                   p->commands[i].shard != p->commands[i - 1].shard;
    p->begin_us = p->commands_count > 0 ? p->commands[0].time_us : 0;
}

struct plan_maker *
plan_begin(struct plan *p, const struct options *o)
{
    struct plan_maker *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    *p = (struct plan){.records = 0};
    places_init(&p->by_order);
    places_init(&p->by_account);
    places_init(&p->told_lists);
    *m = (struct plan_maker){
        .plan = p, .o = o, .twin = twin_new(&(struct twin_options){.is_trusting = true})};
    return m;
}

bool
plan_take(struct plan_maker *m, const struct journal_record *r, char why[WHY_BYTES])
{
    if (!twin_apply(m->twin, r)) {
        snprintf(why, WHY_BYTES, "%s", twin_why(m->twin));
        return false;
    }
    m->step = twin_step(m->twin);
    m->plan->records++;
    m->plan->last_us = r->time_us;
    take(m);
    return true;
}

void
plan_end(struct plan_maker **m)
{
    settle((*m)->plan);
    twin_destroy(&(*m)->twin);
    free(*m);
    *m = NULL;
}

static bool
read_all(struct plan_maker *m, struct records *r, bool is_quiet, char why[WHY_BYTES])
{
    struct progress progress;
    enum records_result result = RECORDS_END;
    struct journal_record record;
    struct records_merge *merge = records_merge(r, m->o->shard, 0, (uint64_t)m->o->upto);
    progress_begin(&progress, "reading", "records", 0, is_quiet);
    while (merge != NULL && (result = records_merge_next(merge, &record)) == RECORDS_ONE) {
        if (is_behind(m->o, &record) || !plan_take(m, &record, why))
            break;
        progress_add(&progress, 1);
    }
    if (merge == NULL || result == RECORDS_FAILED)
        snprintf(why, WHY_BYTES, "%s", records_why(r));
    if (merge != NULL)
        records_merge_end(&merge);
    progress_end(&progress);
    return why[0] == '\0';
}

bool
plan_make(struct plan *p, const struct call *c, struct records *r, char why[WHY_BYTES])
{
    struct plan_maker *m = plan_begin(p, &c->o);
    why[0] = '\0';
    bool is_read = read_all(m, r, c->o.quiet, why);
    plan_end(&m);
    return is_read;
}

void
plan_fini(struct plan *p)
{
    free(p->commands);
    free(p->orders);
    free(p->accounts);
    bytes_free(&p->payloads);
    places_fini(&p->by_order);
    places_fini(&p->by_account);
    places_fini(&p->told_lists);
}

void
plan_msg(const struct plan *p, uint32_t command, struct arena *lists, struct msg *out)
{
    const struct plan_command *c = &p->commands[command];
    arena_reset(lists);
    memset(out, 0, sizeof *out);
    CHECK(msg_unpack_payload(p->payloads.data + c->at, c->length, c->type, lists, out) == OK);
    out->type = c->type;
}
