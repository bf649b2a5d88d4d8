/*
 * refresh.c - see refresh.h.
 *
 * The balances are as of the moment they were asked for: what changes while the answer is on its
 * way is newer, and may be told again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/refresh.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/instrument.h"
#include "exchange-bridge/shell/orders.h"
#include "host/log.h"

#define BALANCES_MAX  1000u /* of exchange_account */
#define POSITIONS_MAX 200u
#define PAGE_ORDERS   500u
#define SEND_MAX_US   INT64_C(60000000)
#define FEW_ORDERS    8u    /* are asked about one by one */
#define OPEN_MAX      4096u /* orders in the exchange's list; of a longer one nothing is believed */

struct refreshes {
    struct shell *s;
    struct exchange_balance balances[BALANCES_MAX];
    struct exchange_position positions[POSITIONS_MAX];
    struct reply_open open[OPEN_MAX];
    struct metric *m_done, *m_failed;
};

/* An order that is open as the ledger has it. */
struct open_order {
    struct order order;
    bool is_listed; /* the exchange's list with it was asked for */
    bool is_same;   /* and has it so, too */
    struct open_order *next;
};

/* One market of one account. Freed when nothing of it is under way. */
struct refresh {
    struct refreshes *all;
    struct guard_binding binding;
    uint32_t under_way; /* orders asked about, lists, pages, the account */
    struct open_order *orders;
    uint32_t orders_count, lists; /* lists under way */
    struct bridge_refreshed found;
    struct refused why; /* the first failure; OK = none */
    refresh_done *done;
    void *arg;
};

static void
note_failure(struct refresh *f, const struct refused *why)
{
    if (f->why.error == OK)
        f->why = *why;
}

static void
part_done(struct refresh *f)
{
    if (--f->under_way > 0)
        return;
    bool is_whole = f->why.error == OK;
    metric_add(is_whole ? f->all->m_done : f->all->m_failed, 1);
    if (f->done != NULL)
        f->done(f->arg, &f->found, is_whole ? NULL : &f->why);
    pending_free(f);
}

/* ---- The account ---- */

static void
on_noted(void *arg, const struct msg *m)
{
    struct refresh *f = arg;
    if (m == NULL)
        note_failure(f, &(struct refused){.error = ERR_LEDGER_UNAVAILABLE});
    else if (m->type == MSG_refused)
        note_failure(f, &m->refused);
    part_done(f);
}

static void
account_tell(struct refresh *f, const struct reply_account *a, int64_t as_of_us)
{
    struct shell *s = f->all->s;
    const struct guard_binding *b = &f->binding;
    struct exchange_account m = {.account_id = b->account_id,
                                 .trading_type = b->trading_type,
                                 .environment = b->environment,
                                 .as_of_us = as_of_us,
                                 .is_whole = true,
                                 .balances = a->balances,
                                 .balances_count = a->balances_count,
                                 .positions = a->positions,
                                 .positions_count = a->positions_count};
    f->found.balances = a->balances_count;
    f->found.as_of_us = as_of_us;
    if (ledger_link_ask(s->ledgers, b->account_id, MSG_exchange_account,
                        ledger_link_corr(s->ledgers), &m, s->config->ledger_ask_ms, on_noted, f))
        return;
    note_failure(f, &(struct refused){.error = ERR_EXCHANGE_BUSY});
    part_done(f);
}

static void
on_account(void *arg, const struct caller_reply *r)
{
    struct refresh *f = arg;
    struct refreshes *all = f->all;
    struct reply_account a = {.balances = all->balances,
                              .positions = all->positions,
                              .balances_max = BALANCES_MAX,
                              .positions_max = POSITIONS_MAX};
    if (r->ruling.verdict != VERDICT_OK) {
        struct refused why = shell_refusal(r);
        note_failure(f, &why);
        part_done(f);
    } else if (!reply_account(f->binding.trading_type, r->body, r->length, &a)) {
        log_line(LOG_WARN, "account_not_readable", "account=%" PRIu64 " length=%zu",
                 f->binding.account_id, r->length);
        struct refused why = {.error = ERR_EXCHANGE_FAILED};
        why.detail = text_of("not readable, or more than %u balances", BALANCES_MAX);
        note_failure(f, &why);
        part_done(f);
    } else {
        account_tell(f, &a, r->sent_us);
    }
}

static void
account_ask(struct refresh *f)
{
    struct shell *s = f->all->s;
    const struct guard_binding *b = &f->binding;
    struct key_view key;
    bool is_spot = b->trading_type == TRADING_TYPE_spot;
    struct call c = {.name = is_spot ? CALL_SPOT_ACCOUNT : CALL_USDM_ACCOUNT};
    f->under_way++;
    if (!keys_find(s->keys, b->user_id, b->trading_type, b->environment, &key)) {
        note_failure(f, &(struct refused){.error = ERR_CREDENTIALS_MISSING});
        part_done(f);
        return;
    }
    struct caller_request q = {
        .environment = b->environment, .call = &c, .key = key.number, .done = on_account, .arg = f};
    if (caller_send(s->caller, &q) == 0) {
        note_failure(f, &(struct refused){.error = ERR_EXCHANGE_BUSY});
        part_done(f);
    }
}

/* ---- Its orders ---- */

static void
on_order(void *arg, const struct orders_found *found)
{
    struct refresh *f = arg;
    f->found.orders_changed += found->is_changed;
    f->found.orders_unresolved += found->is_unresolved;
    part_done(f);
}

static void
order_note(struct refresh *f, const struct order *o)
{
    const struct guard_binding *b = &f->binding;
    bool is_futures = instrument_fits(TRADING_TYPE_futures, o->symbol);
    if (o->mode != TRADING_MODE_REAL || o->environment != b->environment ||
        is_futures != (b->trading_type == TRADING_TYPE_futures))
        return;
    struct open_order *one = pending_new(&f->all->s->pending, sizeof *one);
    *one = (struct open_order){.order = *o, .next = f->orders};
    f->orders = one;
    f->orders_count++;
}

static void
order_check(struct refresh *f, const struct order *o)
{
    const struct guard_binding *b = &f->binding;
    struct bridge_place m = {.account_id = b->account_id,
                             .user_id = b->user_id,
                             .trading_type = b->trading_type,
                             .order = *o};
    m.order.account_id = b->account_id;
    if (m.order.send_by_us == 0) /* not told: nothing is concluded from its absence for long */
        m.order.send_by_us = o->created_us + SEND_MAX_US;
    f->under_way++;
    if (orders_check(f->all->s->orders, &m, on_order, f))
        return;
    f->found.orders_unresolved++;
    part_done(f);
}

/* What the exchange's lists have as the ledger has it needs no question of its own. */
static void
orders_check_others(struct refresh *f)
{
    while (f->orders != NULL) {
        struct open_order *one = f->orders;
        f->orders = one->next;
        f->found.orders_checked++;
        if (!one->is_same)
            order_check(f, &one->order);
        pending_free(one);
    }
}

/* ---- Lists of open orders ---- */

static void
list_done(struct refresh *f)
{
    if (--f->lists == 0)
        orders_check_others(f);
}

static void
compare(struct refresh *f, const struct reply_open *there)
{
    uint64_t order_id;
    if (!call_order_id(keys_deployment(f->all->s->keys), &there->client_id, &order_id))
        return;
    for (struct open_order *one = f->orders; one != NULL; one = one->next)
        if (one->order.order_id == order_id)
            one->is_same = one->order.exchange_state == EXCHANGE_STATE_PLACED &&
                           one->order.status == there->status &&
                           one->order.executed_quantity.v == there->executed.v;
}

/* A list that was not read has none of them, so that each is asked about. */
static void
on_list(void *arg, const struct caller_reply *r)
{
    struct refresh *f = arg;
    struct refreshes *all = f->all;
    uint32_t count = 0;
    bool is_read = r->ruling.verdict == VERDICT_OK &&
                   reply_open_orders(r->body, r->length, all->open, OPEN_MAX, &count);
    for (uint32_t i = 0; is_read && i < count; i++)
        compare(f, &all->open[i]);
    list_done(f);
    part_done(f);
}

static void
list_ask(struct refresh *f, uint64_t key, enum call_name name, code_t symbol)
{
    struct call c = {.name = name, .symbol = symbol};
    struct caller_request q = {
        .environment = f->binding.environment, .call = &c, .key = key, .done = on_list, .arg = f};
    if (caller_send(f->all->s->caller, &q) == 0)
        return;
    f->lists++;
    f->under_way++;
}

static uint32_t
count_symbols(struct refresh *f)
{
    uint32_t count = 0;
    for (struct open_order *one = f->orders; one != NULL; one = one->next) {
        count += !one->is_listed;
        for (struct open_order *o = one; o != NULL; o = o->next)
            o->is_listed = o->is_listed || code_same(o->order.symbol, one->order.symbol);
    }
    return count;
}

/* Lists by symbols or one of all, whatever weighs less. */
static void
lists_ask(struct refresh *f, uint64_t key)
{
    bool is_spot = f->binding.trading_type == TRADING_TYPE_spot;
    enum call_name of_all = is_spot ? CALL_SPOT_OPEN_ORDERS : CALL_USDM_OPEN_ORDERS;
    enum call_name of_one = is_spot ? CALL_SPOT_SYMBOL_OPEN_ORDERS : CALL_USDM_SYMBOL_OPEN_ORDERS;
    f->lists = 1; /* until all are asked for */
    if (count_symbols(f) * call_facts(of_one)->weight >= call_facts(of_all)->weight) {
        list_ask(f, key, of_all, (code_t){0});
        list_done(f);
        return;
    }
    for (struct open_order *one = f->orders; one != NULL; one = one->next) {
        if (one->is_listed)
            list_ask(f, key, of_one, instrument_at_exchange(one->order.symbol));
        for (struct open_order *o = one; o != NULL; o = o->next)
            o->is_listed = o->is_listed && !code_same(o->order.symbol, one->order.symbol);
    }
    list_done(f);
}

static void
orders_begin(struct refresh *f)
{
    const struct guard_binding *b = &f->binding;
    struct key_view key;
    if (f->orders_count > FEW_ORDERS &&
        keys_find(f->all->s->keys, b->user_id, b->trading_type, b->environment, &key))
        lists_ask(f, key.number);
    else
        orders_check_others(f);
}

/* ---- As the ledger has them ---- */

static void page_ask(struct refresh *f, uint64_t cursor);

static void
on_page(void *arg, const struct msg *m)
{
    struct refresh *f = arg;
    if (m == NULL || m->type != MSG_order_page) {
        struct refused away = {.error = ERR_LEDGER_UNAVAILABLE};
        note_failure(f, m != NULL && m->type == MSG_refused ? &m->refused : &away);
        orders_begin(f); /* of the pages before */
        part_done(f);
        return;
    }
    for (uint32_t i = 0; i < m->order_page.orders_count; i++)
        order_note(f, &m->order_page.orders[i]);
    if (m->order_page.next_cursor != 0)
        page_ask(f, m->order_page.next_cursor);
    else
        orders_begin(f);
    part_done(f);
}

static void
page_ask(struct refresh *f, uint64_t cursor)
{
    struct shell *s = f->all->s;
    struct order_open_list m = {
        .account_id = f->binding.account_id, .cursor = cursor, .limit = PAGE_ORDERS};
    f->under_way++;
    if (ledger_link_ask(s->ledgers, m.account_id, MSG_order_open_list, ledger_link_corr(s->ledgers),
                        &m, s->config->ledger_ask_ms, on_page, f))
        return;
    note_failure(f, &(struct refused){.error = ERR_EXCHANGE_BUSY});
    orders_begin(f);
    part_done(f);
}

static struct refresh *
refresh_new(struct refreshes *r, const struct guard_binding *b, refresh_done *done, void *arg)
{
    struct refresh *f = pending_new(&r->s->pending, sizeof *f);
    *f = (struct refresh){.all = r, .binding = *b, .under_way = 1, .done = done, .arg = arg};
    f->found.account_id = b->account_id;
    return f;
}

void
refresh_begin(struct refreshes *r, const struct guard_binding *b, refresh_done *done, void *arg)
{
    struct refresh *f = refresh_new(r, b, done, arg);
    page_ask(f, 0);
    account_ask(f);
    part_done(f);
}

void
refresh_account(struct refreshes *r, const struct guard_binding *b)
{
    struct refresh *f = refresh_new(r, b, NULL, NULL);
    account_ask(f);
    part_done(f);
}

/* ---- bridge_refresh ---- */

struct both {
    struct ask *ask;
    uint32_t under_way;
    struct bridge_refreshed sum;
    struct refused why;
};

static void
both_done(void *arg, const struct bridge_refreshed *r, const struct refused *why)
{
    struct both *b = arg;
    b->sum.orders_checked += r->orders_checked;
    b->sum.orders_changed += r->orders_changed;
    b->sum.orders_unresolved += r->orders_unresolved;
    b->sum.balances += r->balances;
    if (r->as_of_us > b->sum.as_of_us)
        b->sum.as_of_us = r->as_of_us;
    if (why != NULL)
        b->why = *why;
    if (--b->under_way > 0)
        return;
    if (b->why.error == OK)
        ask_answer(b->ask, MSG_bridge_refreshed, &b->sum);
    else
        ask_refuse(b->ask, &b->why);
    pending_free(b);
}

void
refresh_take(struct refreshes *r, struct ask *k, const struct bridge_refresh *m)
{
    struct guard_binding found[MARKETS];
    uint32_t count = 0;
    if (!keys_ready(r->s->keys)) {
        ask_refuse_plain(k, ERR_KEYS_UNAVAILABLE);
        return;
    }
    for (uint32_t type = 1; type <= MARKETS; type++) {
        if (m->trading_type != TRADING_TYPE_NONE && (uint32_t)m->trading_type != type)
            continue;
        struct guard_binding b = keys_binding(r->s->keys, m->account_id, (enum trading_type)type);
        if (b.is_known && b.user_id == m->user_id)
            found[count++] = b;
    }
    if (count == 0) {
        ask_refuse_plain(k, ERR_NOT_BOUND);
        return;
    }
    struct both *both = pending_new(&r->s->pending, sizeof *both);
    *both = (struct both){.ask = k, .under_way = count};
    both->sum.account_id = m->account_id;
    for (uint32_t i = 0; i < count; i++)
        refresh_begin(r, &found[i], both_done, both);
}

struct refreshes *
refreshes_open(struct shell *s)
{
    static const char sentence[] = "Accounts read from the exchange as a whole.";
    struct refreshes *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->s = s;
    r->m_done = metric_counter("scrip_bridge_catch_ups_total", "result=\"OK\"", sentence);
    r->m_failed = metric_counter("scrip_bridge_catch_ups_total", "result=\"failed\"", sentence);
    return r;
}

void
refreshes_close(struct refreshes **r)
{
    free(*r);
    *r = NULL;
}
