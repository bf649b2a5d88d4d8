/*
 * naive_ledger.c - the judge's own arithmetic, in 128 bits and from the beginning each time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "naive_ledger.h"

#include <stdlib.h>
#include <string.h>

typedef naive_wide wide;

#define ONE ((wide)100000000)

#define more(items, count, size) naive_ledger_more(items, count, size)

/* Room for one more item at the end of an array; doubles at powers of two. */
void *
naive_ledger_more(void *items, uint32_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return items;
    void *grown = realloc(items, (count == 0 ? 1 : (size_t)count * 2) * size);
    CHECK(grown != NULL);
    return grown;
}

void
naive_ledger_free(struct naive_ledger *n)
{
    for (uint32_t i = 0; i < n->orders_count; i++) {
        free(n->orders[i].fills);
        free(n->orders[i].told);
    }
    for (uint32_t s = 0; s < LEDGER_SHARDS; s++)
        free(n->by_shard[s]);
    for (uint32_t i = 0; i < n->accounts_count; i++) {
        free(n->accounts[i].grants);
        free(n->accounts[i].orders);
        free(n->accounts[i].there);
    }
    free(n->accounts);
    free(n->orders);
    memset(n, 0, sizeof(*n));
}

static bool
no(text_t *why, text_t what)
{
    *why = what;
    return false;
}

/* ---- Sums --------------------------------------------------------------------------------------
 */

static wide
floor_of(wide price, wide quantity)
{
    return price * quantity / ONE;
}

static wide
ceil_of(wide a, wide b)
{
    return (a * b + ONE - 1) / ONE;
}

static bool
buys(const struct naive_order *o)
{
    return o->cmd.side == SIDE_BUY;
}

static wide
fill_quote(const struct match_fill *f)
{
    return floor_of(f->price.v, f->quantity.v);
}

static wide
fill_fee(const struct naive_order *o, const struct match_fill *f)
{
    rate_t rate = f->is_maker ? o->cmd.maker_fee_rate : o->cmd.taker_fee_rate;
    return ceil_of(buys(o) ? f->quantity.v : fill_quote(f), rate.v);
}

static wide
executed(const struct naive_order *o)
{
    if (naive_ledger_is_real(o))
        return naive_ledger_executed(o);
    wide sum = 0;
    for (uint32_t i = 0; i < o->fills_count; i++)
        sum += o->fills[i].quantity.v;
    return sum;
}

static wide
executed_quote(const struct naive_order *o)
{
    if (naive_ledger_is_real(o))
        return naive_ledger_executed_quote(o);
    wide sum = 0;
    for (uint32_t i = 0; i < o->fills_count; i++)
        sum += fill_quote(&o->fills[i]);
    return sum;
}

/* Enough for the worst that can happen to what is left. */
wide
naive_ledger_need(const struct naive_order *o)
{
    if (naive_ledger_is_real(o))
        return 0;
    wide left = o->cmd.quantity.v - executed(o) - o->prevented;
    if (!buys(o))
        return o->cmd.quantity.v == 0 ? o->cmd.hold.v - executed(o) : left;
    if (o->cmd.quantity.v == 0)
        return o->cmd.quote_order_quantity.v - executed_quote(o);
    return ceil_of(o->cmd.worst_price.v, left);
}

static bool
is_live(const struct naive_order *o)
{
    return o->end == ORDER_END_NONE && o->waits_for == 0;
}

wide
naive_ledger_pair_need(const struct naive_ledger *n, const struct naive_order *o)
{
    const struct naive_order *p = o->partner != 0 ? naive_ledger_order(n, o->partner) : NULL;
    wide need = naive_ledger_need(o);
    wide other = p != NULL && p->end == ORDER_END_NONE ? naive_ledger_need(p) : 0;
    return need > other ? need : other;
}

/* A pair holds once, in its first order. */
wide
naive_ledger_held(const struct naive_ledger *n, const struct naive_order *o)
{
    if (!is_live(o))
        return 0;
    const struct naive_order *p = o->partner != 0 ? naive_ledger_order(n, o->partner) : NULL;
    bool has_partner = p != NULL && is_live(p);
    return has_partner && p->id < o->id ? 0 : naive_ledger_pair_need(n, o);
}

static code_t
pays_with(const struct naive_order *o)
{
    return buys(o) ? o->cmd.quote_asset : o->cmd.base_asset;
}

/* Free and held of one account in one asset, added up from the first line of the notebook. */
static void
add_up(const struct naive_ledger *n, const struct naive_account *a, enum trading_type wallet,
       code_t asset, wide *free_sum, wide *held_sum)
{
    *free_sum = *held_sum = 0;
    if (code_same(asset, code_of(LEDGER_CASH)))
        for (uint32_t i = 0; i < a->grants_count; i++)
            if (a->grants[i].wallet == wallet)
                *free_sum += a->grants[i].amount;
    for (uint32_t i = 0; wallet == TRADING_TYPE_spot && i < a->orders_count; i++) {
        const struct naive_order *o = &n->orders[a->orders[i]];
        int sign = buys(o) ? 1 : -1;
        if (naive_ledger_is_real(o))
            continue;
        if (code_same(asset, o->cmd.base_asset))
            *free_sum += sign * executed(o);
        if (code_same(asset, o->cmd.quote_asset))
            *free_sum -= sign * executed_quote(o);
        if (code_same(asset, buys(o) ? o->cmd.base_asset : o->cmd.quote_asset))
            for (uint32_t k = 0; k < o->fills_count; k++)
                *free_sum -= fill_fee(o, &o->fills[k]);
        if (code_same(asset, pays_with(o))) {
            *held_sum += naive_ledger_held(n, o);
            *free_sum -= naive_ledger_held(n, o);
        }
    }
}

/* ---- Noting -------------------------------------------------------------------------------------
 */

struct naive_account *
naive_ledger_account(const struct naive_ledger *n, uint64_t id)
{
    for (uint32_t i = 0; i < n->accounts_count; i++)
        if (n->accounts[i].id == id)
            return &n->accounts[i];
    return NULL;
}

static void
grant(struct naive_account *a, enum trading_type wallet, int64_t amount)
{
    a->grants = more(a->grants, a->grants_count, sizeof(*a->grants));
    a->grants[a->grants_count++] = (struct naive_grant){wallet, amount};
}

static bool
note_open(struct naive_ledger *n, const struct account_open *cmd, text_t *why)
{
    if (naive_ledger_account(n, cmd->account_id) != NULL)
        return no(why, text_of("an account was opened twice"));
    n->accounts = more(n->accounts, n->accounts_count, sizeof(*n->accounts));
    struct naive_account *a = &n->accounts[n->accounts_count++];
    *a = (struct naive_account){.id = cmd->account_id};
    grant(a, TRADING_TYPE_spot, cmd->spot_balance.v);
    grant(a, TRADING_TYPE_futures, cmd->futures_balance.v);
    return true;
}

static bool
note_balance_set(struct naive_ledger *n, const struct balance_set *cmd, text_t *why)
{
    struct naive_account *a = naive_ledger_account(n, cmd->account_id);
    if (a == NULL)
        return no(why, text_of("a balance was set of nobody"));
    wide free_sum, held_sum;
    add_up(n, a, cmd->trading_type, code_of(LEDGER_CASH), &free_sum, &held_sum);
    if (cmd->balance.v < held_sum || cmd->balance.v < cmd->balance_min.v ||
        cmd->balance.v > cmd->balance_max.v)
        return no(why, text_of("a balance was set that must be refused"));
    grant(a, cmd->trading_type, (int64_t)(cmd->balance.v - free_sum - held_sum));
    return true;
}

static bool
judge_order(const struct naive_ledger *n, const struct naive_account *a,
            const struct naive_order *fresh, text_t *why)
{
    const struct order_place *cmd = &fresh->cmd;
    for (uint32_t i = 0; i < a->orders_count; i++)
        if (cid_same(&n->orders[a->orders[i]].cmd.client_order_id, &cmd->client_order_id))
            return no(why,
                      text_of("client order id %s was taken twice", cmd->client_order_id.text));
    if (naive_ledger_need(fresh) != cmd->hold.v || cmd->hold.v <= 0)
        return no(why, text_of("an order holds something else than it needs"));
    return cmd->is_refused || naive_ledger_free_for(n, fresh) >= cmd->hold.v ||
           no(why, text_of("an order was taken without the funds for it"));
}

wide
naive_ledger_free_for(const struct naive_ledger *n, const struct naive_order *o)
{
    wide free_sum, held_sum;
    add_up(n, naive_ledger_account(n, o->cmd.account_id), TRADING_TYPE_spot, pays_with(o),
           &free_sum, &held_sum);
    return free_sum;
}

struct naive_order *
naive_ledger_add(struct naive_ledger *n, const struct order_place *cmd)
{
    struct naive_account *a = naive_ledger_account(n, cmd->account_id);
    struct naive_order fresh = {.cmd = *cmd};
    uint32_t shard = ledger_shard_of(cmd->account_id);
    uint32_t place = n->orders_count;
    CHECK(a != NULL);
    fresh.id = (uint64_t)shard << 47 | (n->by_shard_count[shard] + 1);
    fresh.end = cmd->is_refused ? ORDER_END_SIMULATED_REJECT : ORDER_END_NONE;
    n->by_shard[shard] =
        more(n->by_shard[shard], n->by_shard_count[shard], sizeof(*n->by_shard[shard]));
    n->by_shard[shard][n->by_shard_count[shard]++] = place;
    a->orders = more(a->orders, a->orders_count, sizeof(*a->orders));
    a->orders[a->orders_count++] = place;
    n->orders = more(n->orders, n->orders_count, sizeof(*n->orders));
    n->orders[n->orders_count] = fresh;
    return &n->orders[n->orders_count++];
}

static bool
note_order(struct naive_ledger *n, const struct order_place *cmd, text_t *why)
{
    if (cmd->environment != ENVIRONMENT_NONE)
        return naive_ledger_note_real(n, cmd, why);
    struct naive_account *a = naive_ledger_account(n, cmd->account_id);
    struct naive_order fresh = {.cmd = *cmd};
    if (a == NULL)
        return no(why, text_of("an order was taken from nobody"));
    if (!judge_order(n, a, &fresh, why))
        return false;
    (void)naive_ledger_add(n, cmd);
    return true;
}

struct naive_order *
naive_ledger_order(const struct naive_ledger *n, uint64_t id)
{
    uint32_t shard = (uint32_t)(id >> 47) & (LEDGER_SHARDS - 1);
    uint64_t place = id & ((UINT64_C(1) << 47) - 1);
    if (place == 0 || place > n->by_shard_count[shard])
        return NULL;
    return &n->orders[n->by_shard[shard][place - 1]];
}

/* Whether an order may end so, once `done` of it are filled for `spent`. */
static bool
may_end(const struct naive_order *o, const struct order_report *r, wide done, wide spent)
{
    bool by_quote = o->cmd.quantity.v == 0;
    bool is_all = !by_quote && done + o->prevented + r->prevented.v == o->cmd.quantity.v;
    if (is_all && r->prevented.v > 0)
        return r->end == ORDER_END_SELF_TRADE;
    if (is_all && o->prevented > 0 && r->end == ORDER_END_SELF_TRADE)
        return true; /* told in a report before this one */
    bool whole = by_quote ? !buys(o) && spent >= o->cmd.quote_order_quantity.v : is_all;
    if (whole)
        return r->end == ORDER_END_COMPLETE;
    if (r->end == ORDER_END_COMPLETE)
        return by_quote && buys(o) && done > 0;
    if (r->end == ORDER_END_IOC_REMAINDER)
        return o->cmd.type != ORDER_TYPE_MARKET && o->cmd.time_in_force == TIME_IN_FORCE_IOC;
    if (r->end == ORDER_END_FOK_UNFILLABLE)
        return o->cmd.time_in_force == TIME_IN_FORCE_FOK;
    if (r->end == ORDER_END_WOULD_TAKE)
        return o->cmd.type == ORDER_TYPE_LIMIT_MAKER && done == 0 && o->rank == 0;
    return true;
}

static bool
is_conditional(const struct naive_order *o)
{
    return o->cmd.type >= ORDER_TYPE_STOP_LOSS;
}

/* Whether it may rest, or be armed, with this rank. */
static bool
may_rank(const struct naive_order *o, const struct order_report *r)
{
    bool is_new = r->fills_count > 0 || r->triggered_us != 0 || r->prevented.v > 0;
    bool was_set_off = o->triggered_us != 0 || r->triggered_us != 0;
    bool may_renew = is_new ? o->cmd.iceberg_quantity.v > 0 || is_conditional(o) : was_set_off;
    bool may_stay = o->cmd.time_in_force != TIME_IN_FORCE_IOC &&
                    o->cmd.time_in_force != TIME_IN_FORCE_FOK && o->cmd.type != ORDER_TYPE_MARKET;
    if (o->rank != 0 && r->rank != o->rank && !may_renew)
        return false;
    return o->rank != 0 || may_stay || is_conditional(o);
}

static bool
may_report(const struct naive_order *o, const struct order_report *r)
{
    if (o == NULL || o->end != ORDER_END_NONE || naive_ledger_is_real(o))
        return false;
    if (r->was_trimmed && o->waits_for != 0)
        return true;
    if (o->waits_for != 0 ||
        (r->fills_count == 0 && r->rank == 0 && r->end == ORDER_END_NONE && !r->was_trimmed &&
         r->triggered_us == 0 && r->trail_extreme.v == 0 && r->prevented.v == 0))
        return false;
    if (r->triggered_us != 0 && (!is_conditional(o) || o->triggered_us != 0))
        return false; /* it is set off once */
    if (is_conditional(o) && o->triggered_us == 0 && r->triggered_us == 0 && r->fills_count > 0)
        return false;
    if (r->rank != 0 && !may_rank(o, r))
        return false;
    wide done = executed(o);
    wide spent = executed_quote(o);
    for (uint32_t i = 0; i < r->fills_count; i++) {
        const struct match_fill *f = &r->fills[i];
        wide over = f->price.v - (wide)o->cmd.worst_price.v;
        if (f->price.v <= 0 || f->quantity.v <= 0 || (buys(o) ? over > 0 : over < 0))
            return false;
        if (o->cmd.quantity.v == 0 && !buys(o) && spent >= o->cmd.quote_order_quantity.v)
            return false;
        done += f->quantity.v;
        spent += fill_quote(f);
    }
    if (o->cmd.quantity.v > 0 && done + o->prevented + r->prevented.v > o->cmd.quantity.v)
        return false;
    if (o->cmd.quantity.v == 0 && buys(o) && spent > o->cmd.quote_order_quantity.v)
        return false;
    if (!buys(o) && done > o->cmd.hold.v)
        return false;
    return may_end(o, r, done, spent);
}

static bool
note_report(struct naive_ledger *n, const struct order_report *r)
{
    struct naive_order *o = naive_ledger_order(n, r->order_id);
    if (!may_report(o, r))
        return false;
    for (uint32_t i = 0; i < r->fills_count; i++) {
        o->fills = more(o->fills, o->fills_count, sizeof(*o->fills));
        o->fills[o->fills_count++] = r->fills[i];
    }
    if (r->rank != 0)
        o->rank = r->rank;
    if (r->triggered_us != 0)
        o->triggered_us = r->triggered_us;
    if (r->trimmed_to.v > 0)
        o->cmd.quantity = r->trimmed_to;
    o->prevented += r->prevented.v;
    o->end = r->end;
    if (r->fills_count > 0 || r->triggered_us != 0 || r->end != ORDER_END_NONE)
        naive_ledger_decided(n, r->order_id);
    return true;
}

bool
naive_ledger_apply(struct naive_ledger *n, const struct msg *cmd, text_t *why)
{
    if (cmd->type == MSG_account_open)
        return note_open(n, &cmd->account_open, why);
    if (cmd->type == MSG_balance_set)
        return note_balance_set(n, &cmd->balance_set, why);
    if (cmd->type == MSG_order_place)
        return note_order(n, &cmd->order_place, why);
    if (cmd->type == MSG_list_place)
        return naive_ledger_note_list(n, &cmd->list_place, why);
    if (cmd->type == MSG_order_replace)
        return naive_ledger_note_replace(n, &cmd->order_replace, why);
    if (cmd->type == MSG_order_report)
        return note_report(n, &cmd->order_report);
    if (cmd->type == MSG_bridge_report)
        return naive_ledger_note_heard(n, &cmd->bridge_report);
    if (cmd->type == MSG_order_settle)
        return naive_ledger_note_settle(n, &cmd->order_settle, why);
    if (cmd->type == MSG_settings_set)
        return naive_ledger_note_settings(n, &cmd->settings_set, why);
    if (cmd->type == MSG_exchange_account)
        return naive_ledger_note_exchange(n, &cmd->exchange_account, why);
    return true; /* tiers move no money */
}

/* ---- Comparing
 * ----------------------------------------------------------------------------------- */

/* All sums of the notebook by account and asset, in one pass. */
struct sum {
    uint64_t account_id;
    enum wallet wallet;
    code_t asset;
    wide free, held;
};

struct sums {
    struct sum *items;
    uint32_t count;
    uint32_t *places; /* open addressing over a hash of the key; 0 = none, else item + 1 */
};

#define SUM_PLACES (1u << 16)

static struct sum *
sum_of(struct sums *s, uint64_t account_id, enum wallet wallet, code_t asset)
{
    uint64_t hash = map_mix(account_id * 4 + wallet) ^ map_hash(&asset, sizeof(asset));
    for (uint32_t i = (uint32_t)hash & (SUM_PLACES - 1);; i = (i + 1) & (SUM_PLACES - 1)) {
        if (s->places[i] == 0) {
            CHECK(s->count < SUM_PLACES / 2);
            s->items = more(s->items, s->count, sizeof(*s->items));
            s->items[s->count++] = (struct sum){account_id, wallet, asset, 0, 0};
            s->places[i] = s->count;
            return &s->items[s->count - 1];
        }
        struct sum *sum = &s->items[s->places[i] - 1];
        if (sum->account_id == account_id && sum->wallet == wallet && code_same(sum->asset, asset))
            return sum;
    }
}

static void
sum_grants(struct sums *s, const struct naive_account *a)
{
    uint64_t issuance = ledger_system_id(SYSTEM_ISSUANCE, ledger_shard_of(a->id));
    for (uint32_t i = 0; i < a->grants_count; i++) {
        const struct naive_grant *g = &a->grants[i];
        sum_of(s, a->id, wallet_on_paper(g->wallet), code_of(LEDGER_CASH))->free += g->amount;
        sum_of(s, issuance, wallet_on_paper(g->wallet), code_of(LEDGER_CASH))->free -= g->amount;
    }
}

static void
sum_there(struct sums *s, const struct naive_account *a)
{
    uint64_t other = ledger_system_id(SYSTEM_EXCHANGE, ledger_shard_of(a->id));
    for (uint32_t i = 0; i < a->there_count; i++) {
        const struct naive_there *t = &a->there[i];
        struct sum *own = sum_of(s, a->id, t->wallet, t->asset);
        own->free += t->free;
        own->held += t->held;
        sum_of(s, other, t->wallet, t->asset)->free -= (wide)t->free + t->held;
    }
}

static void
sum_order(struct sums *s, const struct naive_ledger *n, const struct naive_order *o)
{
    if (naive_ledger_is_real(o))
        return;
    uint64_t user = o->cmd.account_id;
    uint32_t shard = ledger_shard_of(user);
    uint64_t house = ledger_system_id(SYSTEM_HOUSE, shard);
    uint64_t fees = ledger_system_id(SYSTEM_FEES, shard);
    code_t gets = buys(o) ? o->cmd.base_asset : o->cmd.quote_asset;
    wide base = (buys(o) ? 1 : -1) * executed(o);
    wide quote = (buys(o) ? -1 : 1) * executed_quote(o);
    sum_of(s, user, WALLET_spot, o->cmd.base_asset)->free += base;
    sum_of(s, house, WALLET_spot, o->cmd.base_asset)->free -= base;
    sum_of(s, user, WALLET_spot, o->cmd.quote_asset)->free += quote;
    sum_of(s, house, WALLET_spot, o->cmd.quote_asset)->free -= quote;
    for (uint32_t i = 0; i < o->fills_count; i++) {
        wide fee = fill_fee(o, &o->fills[i]);
        sum_of(s, user, WALLET_spot, gets)->free -= fee;
        sum_of(s, fees, WALLET_spot, gets)->free += fee;
    }
    struct sum *pays = sum_of(s, user, WALLET_spot, pays_with(o));
    pays->free -= naive_ledger_held(n, o);
    pays->held += naive_ledger_held(n, o);
}

static const struct ledger_order *
ledger_order_of(const struct ledger *l, uint64_t id)
{
    uint32_t i = map_get(&l->order_by_id, id);
    return i == MAP_NONE ? NULL : &l->orders[i];
}

static bool
same_order(const struct naive_ledger *n, const struct naive_order *o, const struct ledger *l,
           text_t *why)
{
    const struct ledger_order *own = ledger_order_of(l, o->id);
    unsigned long long id = o->id;
    bool open = o->end == ORDER_END_NONE;
    if (own == NULL)
        return !open || no(why, text_of("open order %llu is missing", id));
    uint32_t fills_count = naive_ledger_is_real(o) ? o->told_count : o->fills_count;
    if (own->end != (uint8_t)o->end || own->rank != o->rank || own->fills != fills_count ||
        own->exchange_state != o->state || own->exchange_order_id != o->exchange_id ||
        own->environment != o->cmd.environment)
        return no(why, text_of("order %llu went another way", id));
    if (own->executed.v != executed(o) || own->executed_quote.v != executed_quote(o) ||
        own->held.v != naive_ledger_held(n, o))
        return no(why, text_of("order %llu has other amounts", id));
    bool is_pending = own->status == ORDER_STATUS_PENDING_NEW;
    if (is_pending != (open && o->waits_for != 0))
        return no(why, text_of("order %llu waits for another one, or should", id));
    if (is_pending)
        return true;
    bool is_new = own->status == ORDER_STATUS_NEW;
    bool is_partial = own->status == ORDER_STATUS_PARTIALLY_FILLED;
    if (open != (is_new || is_partial) || (open && is_new != (fills_count == 0)))
        return no(why, text_of("order %llu has another status", id));
    return true;
}

static bool
same_balances(struct sums *s, const struct ledger *l, text_t *why)
{
    uint32_t matched = 0;
    for (uint32_t i = 0; i < l->balances_count; i++) {
        const struct ledger_balance *b = &l->balances[i];
        if (b->free.v == 0 && b->held.v == 0)
            continue;
        uint64_t id = l->accounts[b->account].id;
        uint32_t known = s->count;
        const struct sum *sum = sum_of(s, id, (enum wallet)b->wallet, l->assets[b->asset]);
        if (s->count != known || sum->free != b->free.v || sum->held != b->held.v)
            return no(why, text_of("account %llu has another balance of %s", (unsigned long long)id,
                                   l->assets[b->asset].text));
        matched++;
    }
    uint32_t expected = 0;
    for (uint32_t i = 0; i < s->count; i++)
        expected += s->items[i].free != 0 || s->items[i].held != 0;
    return matched == expected || no(why, text_of("a balance is missing"));
}

bool
naive_ledger_compare(const struct naive_ledger *n, const struct ledger *l, text_t *why)
{
    struct sums s = {.places = calloc(SUM_PLACES, sizeof(uint32_t))};
    CHECK(s.places != NULL);
    bool same = true;
    for (uint32_t i = 0; i < n->accounts_count; i++) {
        sum_grants(&s, &n->accounts[i]);
        sum_there(&s, &n->accounts[i]);
    }
    for (uint32_t i = 0; same && i < n->orders_count; i++) {
        sum_order(&s, n, &n->orders[i]);
        same = same_order(n, &n->orders[i], l, why);
    }
    same = same && same_balances(&s, l, why);
    free(s.items);
    free(s.places);
    return same;
}
