/*
 * proof.c - the walks that prove the books, shard by shard: ledger_check() and ledger_digest().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/contingent.h"
#include "ledger/core/order.h"

#include <string.h>

/* ---- ledger_check ------------------------------------------------------------------------------
 */

static bool
broken(text_t *why, text_t what)
{
    *why = what;
    return false;
}

/* Where the holds of an account's orders on this balance are summed up. */
static int64_t *
hold_sum(const struct ledger *l, const struct ledger_balance *b)
{
    return &l->holds[b->asset * LEDGER_WALLETS + b->wallet - 1];
}

/* What is at the exchange stays apart from paper: one system account is its other side, and a user
 * has it only in mode REAL. */
static bool
check_wallet(const struct ledger_account *a, const struct ledger_balance *b, text_t *why)
{
    enum wallet w = (enum wallet)b->wallet;
    bool at_exchange = wallet_is_exchange(w), fits;
    if (account_is_system(a))
        fits = at_exchange == (a->id >= ledger_system_id(SYSTEM_EXCHANGE, 0));
    else
        fits = !at_exchange || (b->free.v == 0 && b->held.v == 0) ||
               a->settings[w == WALLET_exchange_futures].mode == TRADING_MODE_REAL;
    return fits || broken(why, text_of("account %llu has what no such account has",
                                       (unsigned long long)a->id));
}

/* Its balances go into the sums of the shard, and wait for what its orders hold. */
static bool
check_balances(const struct ledger *l, const struct ledger_account *a, text_t *why)
{
    uint32_t listed = 0;
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next) {
        const struct ledger_balance *b = &l->balances[i];
        bool may_lack = account_is_system(a) || b->wallet == WALLET_exchange_futures;
        if (b->held.v < 0 || (b->free.v < 0 && !may_lack))
            return broken(why, text_of("account %llu: %s is below zero", (unsigned long long)a->id,
                                       l->assets[b->asset].text));
        if (!check_wallet(a, b, why))
            return false;
        l->sums[b->asset] += (ledger_sum)b->free.v + b->held.v;
        *hold_sum(l, b) = 0;
        listed++;
    }
    if (listed != a->balances)
        return broken(
            why, text_of("account %llu: its balances are miscounted", (unsigned long long)a->id));
    return true;
}

/* What it waits for is open and knows of it; those that it knows of wait for it. */
static bool
check_waiting(const struct ledger *l, const struct ledger_order *o, text_t *why)
{
    unsigned long long id = o->id;
    if (order_is_pending(o) != (o->waits_for != 0))
        return broken(why, text_of("order %llu is pending and waits for nothing", id));
    uint64_t before = 0;
    for (uint32_t i = o->first_dependent; i != LEDGER_NONE; i = l->orders[i].next_dependent) {
        const struct ledger_order *d = &l->orders[i];
        if (d->waits_for != o->id || d->account != o->account || d->id <= before)
            return broken(why, text_of("order %llu: who waits for it is wrong", id));
        before = d->id;
    }
    if (o->waits_for == 0)
        return true;
    const struct ledger_order *first = order_find(l, o->waits_for);
    bool is_listed = false;
    if (first != NULL && order_is_live(first))
        for (uint32_t i = first->first_dependent; i != LEDGER_NONE && !is_listed;
             i = l->orders[i].next_dependent)
            is_listed = &l->orders[i] == o;
    return is_listed || broken(why, text_of("order %llu waits for what is not open", id));
}

/* A REAL order is open only while its account is bound to the same environment; what is the
 * exchange's is of REAL orders alone. */
static bool
check_real(const struct ledger *l, const struct ledger_order *o, text_t *why)
{
    const struct ledger_settings *s =
        &l->accounts[o->account].settings[order_type_of(l, o) - TRADING_TYPE_spot];
    bool fits;
    if (order_is_real(o))
        fits = s->mode == TRADING_MODE_REAL && s->environment == o->environment &&
               o->exchange_state >= EXCHANGE_STATE_SENDING &&
               o->exchange_state <= EXCHANGE_STATE_PLACED && o->waits_for == 0 && o->list_id == 0 &&
               o->rank == 0 && o->twin_of == 0;
    else
        fits = o->exchange_state == EXCHANGE_STATE_NONE && o->exchange_order_id == 0 &&
               o->send_by_us == 0 && o->twin == 0;
    return fits ||
           broken(why, text_of("order %llu is half a real order", (unsigned long long)o->id));
}

static bool
check_open_order(const struct ledger *l, const struct ledger_order *o, text_t *why)
{
    unsigned long long id = o->id;
    if (!check_real(l, o, why))
        return false;
    if (o->held.v != contingent_hold_needed(l, o).v)
        return broken(why, text_of("order %llu does not hold what it needs", id));
    /* At the exchange the last fill may be heard of before the end is. */
    if (o->quantity.v > 0 && order_remaining(o).v < (order_is_real(o) ? 0 : 1))
        return broken(why, text_of("order %llu is filled and still open", id));
    if (!check_waiting(l, o, why))
        return false;
    *hold_sum(l, order_pays(l, o)) += o->held.v;
    l->sums_in[order_gets(l, o)->asset] += order_income(o).v;
    return true;
}

static bool
check_open_orders(const struct ledger *l, const struct ledger_account *a, text_t *why)
{
    uint32_t listed = 0;
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older) {
        const struct ledger_order *o = &l->orders[i];
        bool in_order = o->older == LEDGER_NONE || l->orders[o->older].id < o->id;
        if (&l->accounts[o->account] != a || !order_is_open(o) || !in_order)
            return broken(why, text_of("account %llu: its list of open orders is wrong",
                                       (unsigned long long)a->id));
        if (!check_open_order(l, o, why))
            return false;
        listed++;
    }
    if (listed != a->open_orders || a->orders < listed || a->orders_placed < a->orders)
        return broken(
            why, text_of("account %llu: its orders are miscounted", (unsigned long long)a->id));
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next)
        if (!wallet_is_exchange((enum wallet)l->balances[i].wallet) &&
            l->balances[i].held.v != *hold_sum(l, &l->balances[i]))
            return broken(why,
                          text_of("account %llu: %s held is not what its orders hold",
                                  (unsigned long long)a->id, l->assets[l->balances[i].asset].text));
    return true;
}

bool
ledger_check_shard(const struct ledger *l, uint32_t shard, text_t *why)
{
    const struct ledger_shard *s = &l->shards[shard];
    uint32_t accounts = 0, open = 0;
    *why = text_of("%s", "");
    memset(l->sums, 0, l->assets_count * sizeof(*l->sums));
    memset(l->sums_in, 0, l->assets_count * sizeof(*l->sums_in));
    for (uint32_t i = s->newest_account; i != LEDGER_NONE; i = l->accounts[i].older) {
        const struct ledger_account *a = &l->accounts[i];
        if (!check_balances(l, a, why) || !check_open_orders(l, a, why))
            return false;
        accounts++;
        open += a->open_orders;
    }
    if (open != s->open_orders || accounts != s->accounts + SYSTEM_KINDS)
        return broken(why, text_of("shard %u is miscounted", shard));
    for (uint32_t asset = 0; asset < l->assets_count; asset++) {
        if (l->sums[asset] != 0)
            return broken(
                why, text_of("shard %u: the sum of %s is not zero", shard, l->assets[asset].text));
        if (l->sums_in[asset] != *income_sum(l, shard, asset))
            return broken(why, text_of("shard %u: what orders may bring of %s is miscounted", shard,
                                       l->assets[asset].text));
    }
    return true;
}

static bool
check_in_use(const struct ledger *l, const struct ledger_order *o, text_t *why)
{
    unsigned long long id = o->id;
    if (order_find(l, o->id) != o || order_find_client(l, o->account, &o->client_order_id) != o)
        return broken(why, text_of("order %llu is not found by its ids", id));
    if (!order_is_open(o) && (o->held.v != 0 || o->end == ORDER_END_NONE))
        return broken(why, text_of("order %llu is finished and still holds", id));
    return true;
}

/* What the shards' proofs leave out: whether orders are found, those that are finished, and that
 * every account and order stands in its shard. */
static bool
check_pools(const struct ledger *l, text_t *why)
{
    uint32_t accounts = 0, in_use = 0, open = 0, listed_open = 0;
    uint64_t placed = 0;
    for (uint32_t i = 0; i < l->accounts_count; i++)
        placed += l->accounts[i].orders;
    for (uint32_t s = 0; s < LEDGER_SHARDS; s++) {
        accounts += l->shards[s].accounts + SYSTEM_KINDS;
        listed_open += l->shards[s].open_orders;
    }
    for (uint32_t i = 0; i < l->orders_reached; i++) {
        const struct ledger_order *o = &l->orders[i];
        if (o->id == 0)
            continue;
        if (!check_in_use(l, o, why))
            return false;
        in_use++;
        open += order_is_open(o);
    }
    if (accounts != l->accounts_count)
        return broken(why, text_of("the shards' accounts are not all accounts"));
    if (in_use != l->orders_count || placed != l->orders_count)
        return broken(why, text_of("%u orders are in use, counted are %u, the accounts' are %llu",
                                   in_use, l->orders_count, (unsigned long long)placed));
    if (open != listed_open)
        return broken(why, text_of("the shards' open orders are not all open orders"));
    return true;
}

bool
ledger_check(const struct ledger *l, text_t *why)
{
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        if (!ledger_check_shard(l, shard, why))
            return false;
    return check_pools(l, why);
}

/* ---- ledger_digest -----------------------------------------------------------------------------
 */

struct digest {
    const struct ledger *l;
    ledger_digest_sink *sink;
    void *arg;
};

static void
digest_word(const struct digest *d, uint64_t word)
{
    uint8_t bytes[8];
    for (uint32_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(word >> (8 * i));
    d->sink(d->arg, bytes, sizeof(bytes));
}

static void
digest_words(const struct digest *d, const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        digest_word(d, words[i]);
}
#define DIGEST(d, ...)                                                                             \
    do {                                                                                           \
        const uint64_t words_[] = {__VA_ARGS__};                                                   \
        digest_words(d, words_, sizeof(words_) / sizeof(words_[0]));                               \
    } while (0)

typedef int digest_compare(const struct ledger *l, uint32_t a, uint32_t b);

static int
by_account(const struct ledger *l, uint32_t a, uint32_t b)
{
    return (l->accounts[a].id > l->accounts[b].id) - (l->accounts[a].id < l->accounts[b].id);
}

static int
by_order(const struct ledger *l, uint32_t a, uint32_t b)
{
    return (l->orders[a].id > l->orders[b].id) - (l->orders[a].id < l->orders[b].id);
}

static int
by_balance(const struct ledger *l, uint32_t a, uint32_t b)
{
    const struct ledger_balance *x = &l->balances[a];
    const struct ledger_balance *y = &l->balances[b];
    if (x->wallet != y->wallet)
        return (x->wallet > y->wallet) - (x->wallet < y->wallet);
    return memcmp(&l->assets[x->asset], &l->assets[y->asset], sizeof(code_t));
}

static void
sift_down(const struct ledger *l, uint32_t *items, uint32_t root, uint32_t count,
          digest_compare *compare)
{
    for (uint32_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && compare(l, items[child], items[child + 1]) < 0)
            child++;
        if (compare(l, items[root], items[child]) >= 0)
            return;
        uint32_t moved = items[root];
        items[root] = items[child];
        items[child] = moved;
        root = child;
    }
}

/* Heap sort: libc's qsort may allocate. */
static void
sort(const struct ledger *l, uint32_t *items, uint32_t count, digest_compare *compare)
{
    for (uint32_t i = count / 2; i > 0; i--)
        sift_down(l, items, i - 1, count, compare);
    for (uint32_t last = count; last > 1; last--) {
        uint32_t moved = items[0];
        items[0] = items[last - 1];
        items[last - 1] = moved;
        sift_down(l, items, 0, last - 1, compare);
    }
}

/* What came with REAL orders is told only where there is some of it: the bytes of a state on paper
 * stay what they were before. */
static void
digest_real_settings(const struct digest *d, const struct ledger_settings *s, int64_t exchange_us)
{
    if (!s->live_twin && s->environment == ENVIRONMENT_NONE && exchange_us == 0 &&
        s->real_since_us == 0 && code_empty(s->api_key_tail))
        return;
    DIGEST(d, s->live_twin, s->environment, (uint64_t)exchange_us, (uint64_t)s->real_since_us);
    d->sink(d->arg, &s->api_key_tail, sizeof(s->api_key_tail));
}

static void
digest_real_order(const struct digest *d, const struct ledger_order *o)
{
    if (order_is_real(o))
        DIGEST(d, o->environment, o->exchange_state, o->reduce_only, o->twin_refused,
               o->exchange_order_id, (uint64_t)o->exchange_code, (uint64_t)o->send_by_us,
               (uint64_t)o->placed_quantity.v, (uint64_t)o->placed_price.v, o->twin);
    else if (o->twin_of != 0)
        DIGEST(d, o->twin_of);
}

static void
digest_account(const struct digest *d, const struct ledger_account *a)
{
    DIGEST(d, a->id, a->user_id, a->event_sequence, a->orders_placed, a->tier, a->commands_next);
    for (uint32_t i = 0; i < LEDGER_TYPES; i++) {
        const struct ledger_settings *s = &a->settings[i];
        const struct fill_rules *f = &s->fill;
        DIGEST(d, s->mode, s->dry_run_mode, s->auto_trading, (uint64_t)s->margin_per_trade.v,
               s->leverage, f->fill_preset, f->fill_model, f->latency_us, f->latency_spread_us,
               f->slippage_bps, f->reject_bps, f->seed);
        digest_real_settings(d, s, a->exchange_us[i]);
    }
    for (uint32_t i = 0; i < LEDGER_COMMANDS_MAX; i++)
        DIGEST(d, a->commands[i].id, a->commands[i].hash);
}

/* An empty balance says nothing: whether it was ever opened may differ after loading rows. */
static void
digest_balances(const struct digest *d, const struct ledger_account *a, uint32_t *items)
{
    const struct ledger *l = d->l;
    uint32_t count = 0;
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next)
        if (l->balances[i].free.v != 0 || l->balances[i].held.v != 0)
            items[count++] = i;
    sort(l, items, count, by_balance);
    DIGEST(d, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct ledger_balance *b = &l->balances[items[i]];
        d->sink(d->arg, &l->assets[b->asset], sizeof(code_t));
        DIGEST(d, b->wallet, (uint64_t)b->free.v, (uint64_t)b->held.v);
    }
}

static void
digest_order(const struct digest *d, const struct ledger_order *o)
{
    const struct ledger *l = d->l;
    d->sink(d->arg, &o->client_order_id, sizeof(o->client_order_id));
    d->sink(d->arg, &l->symbols[o->symbol].code, sizeof(code_t));
    DIGEST(d, o->id, l->accounts[o->account].id, o->side, o->type, o->time_in_force, o->status,
           o->id_was_made, (uint64_t)o->price.v, (uint64_t)o->worst_price.v,
           (uint64_t)o->reference_price.v, (uint64_t)o->quantity.v, (uint64_t)o->quote_quantity.v,
           (uint64_t)o->step_size.v, (uint64_t)o->executed.v, (uint64_t)o->executed_quote.v,
           (uint64_t)o->hold.v, (uint64_t)o->held.v, (uint64_t)o->maker_fee_rate.v,
           (uint64_t)o->taker_fee_rate.v, o->rank, o->fills, (uint64_t)o->created_us,
           (uint64_t)o->updated_us);
    DIGEST(d, o->trigger_source, o->self_trade_prevention, o->fill_preset, o->fill_model,
           o->contingency, o->leg, o->rule, o->refused_by, (uint64_t)o->stop_price.v,
           o->trailing_delta, (uint64_t)o->triggered_us, (uint64_t)o->trail_extreme.v,
           (uint64_t)o->iceberg_quantity.v, (uint64_t)o->expire_us, (uint64_t)o->live_us,
           (uint64_t)o->prevented.v, (uint64_t)o->amended_from.v, o->amends, o->list_id,
           o->waits_for, o->replaces, o->latency_us, o->cancel_latency_us, o->slippage_bps,
           (uint64_t)o->market_us);
    digest_real_order(d, o);
}

/* The exchange's system account, as long as nothing was ever told of an exchange. */
static bool
is_untold(const struct ledger *l, const struct ledger_account *a)
{
    if (a->id < ledger_system_id(SYSTEM_EXCHANGE, 0))
        return false;
    bool is_empty = true;
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next)
        is_empty &= l->balances[i].free.v == 0;
    return is_empty;
}

void
ledger_digest(const struct ledger *l, uint32_t shard, ledger_digest_sink *sink, void *arg)
{
    const struct digest d = {l, sink, arg};
    const struct ledger_shard *s = &l->shards[shard];
    DIGEST(&d, shard, s->order_sequence, s->trade_sequence, s->change_sequence, s->accounts,
           s->open_orders);

    uint32_t count = 0;
    for (uint32_t i = s->newest_account; i != LEDGER_NONE; i = l->accounts[i].older)
        if (!is_untold(l, &l->accounts[i]))
            l->scratch[count++] = i;
    sort(l, l->scratch, count, by_account);
    for (uint32_t i = 0; i < count; i++) {
        const struct ledger_account *a = &l->accounts[l->scratch[i]];
        digest_account(&d, a);
        digest_balances(&d, a, l->scratch_balances);
    }
    count = 0;
    for (uint32_t i = s->newest_account; i != LEDGER_NONE; i = l->accounts[i].older)
        for (uint32_t k = l->accounts[i].newest_open; k != LEDGER_NONE; k = l->orders[k].older)
            l->scratch[count++] = k;
    sort(l, l->scratch, count, by_order);
    for (uint32_t i = 0; i < count; i++)
        digest_order(&d, &l->orders[l->scratch[i]]);
}
