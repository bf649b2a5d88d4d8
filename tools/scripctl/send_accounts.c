/*
 * send_accounts.c - before the first command: what the other deployment has already, and accounts
 * as they were.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/map.h"
#include "scripctl/send_parts.h"

#define SAMPLE       100     /* orders looked for beforehand, from either end */
#define FIXES        4       /* messages that make a new account what it was */
#define FILL_FIELDS  0xfc00u /* of settings_set: all of the fill rules */
#define COMMAND_SALT UINT64_C(0x9f3a6c1275e84bd1)

/* Hands out the numbers below `count` to `put`, as room is there; `put` false: nothing was asked.
 */
int64_t
send_hand_out(struct send *s, struct asker *a, uint32_t count,
              bool (*put)(struct send *s, struct asker *a, uint32_t i))
{
    while (s->next < count && asker_room(a) > 0 && !s->is_silent) {
        uint32_t i = s->next++;
        (void)put(s, a, i);
    }
    return s->next < count && !s->is_silent ? 0 : -1;
}

bool
send_goes_on(struct send *s)
{
    s->next = 0;
    return !s->is_silent;
}

/* ---- What is there beforehand ---------------------------------------------------------------- */

static bool
put_account_get(struct send *s, struct asker *a, uint32_t i)
{
    struct msg m = {.type = MSG_account_get};
    m.account_get.account_id = s->plan.accounts[i].id;
    asker_put(a, m.account_get.account_id, &m, i + 1);
    return true;
}

static int64_t
look_turn(void *arg, struct asker *a)
{
    struct send *s = arg;
    return send_hand_out(s, a, s->plan.accounts_count, put_account_get);
}

static void
look_answer(void *arg, uint64_t owner, const struct msg *m, enum err why)
{
    struct send *s = arg;
    (void)why;
    s->is_silent |= m == NULL;
    s->plan.accounts[owner - 1].is_there = m != NULL && m->type == MSG_account_view;
    s->known += m != NULL && m->type == MSG_account_view;
}

static bool
look_end(void *arg)
{
    return send_goes_on(arg);
}

/* The first ones and the last ones, of accounts that are there. */
static bool
put_sample(struct send *s, struct asker *a, uint32_t i)
{
    const struct plan_order *o = &s->plan.orders[i];
    const struct plan_account *account = &s->plan.accounts[s->plan.commands[o->command].account];
    bool is_chosen = i < SAMPLE || i + SAMPLE >= s->plan.orders_count;
    if (!is_chosen || !account->is_there)
        return false;
    struct msg m = {.type = MSG_order_get};
    m.order_get =
        (struct order_get){.account_id = account->id, .client_order_id = o->order.client_order_id};
    asker_put(a, account->id, &m, i + 1);
    return true;
}

static int64_t
sample_turn(void *arg, struct asker *a)
{
    struct send *s = arg;
    return send_hand_out(s, a, s->plan.orders_count, put_sample);
}

static void
sample_answer(void *arg, uint64_t owner, const struct msg *m, enum err why)
{
    struct send *s = arg;
    const struct order *here = &s->plan.orders[owner - 1].order;
    (void)why;
    if (m == NULL || m->type != MSG_order_view)
        return;
    s->known++;
    s->is_itself |= m->order_view.order.order_id == here->order_id &&
                    m->order_view.order.created_us == here->created_us;
}

static bool
sample_end(void *arg)
{
    struct send *s = arg;
    return send_goes_on(s) && !s->is_itself && (s->known == 0 || s->c->o.yes);
}

/* ---- Accounts -------------------------------------------------------------------------------- */

static bool
put_account_open(struct send *s, struct asker *a, uint32_t i)
{
    const struct plan_account *account = &s->plan.accounts[i];
    if (account->is_there)
        return false;
    struct msg m = {.type = MSG_account_open};
    m.account_open = (struct account_open){.account_id = account->id, .user_id = account->user_id};
    asker_put(a, account->id, &m, i + 1);
    return true;
}

static int64_t
open_turn(void *arg, struct asker *a)
{
    struct send *s = arg;
    return send_hand_out(s, a, s->plan.accounts_count, put_account_open);
}

static void
open_answer(void *arg, uint64_t owner, const struct msg *m, enum err why)
{
    struct send *s = arg;
    (void)why;
    s->is_silent |= m == NULL;
    if (m == NULL || m->type != MSG_account_view)
        return;
    for (uint32_t i = 0; i < m->account_view.balances_count; i++) {
        const struct balance *b = &m->account_view.balances[i];
        if (b->wallet == WALLET_spot && code_same(b->asset, code_of("USDT")))
            s->cash[owner - 1] = money_add(b->free, b->held);
    }
}

/* A number of a command that is the same in every run, and of nobody else. */
static uint64_t
command_id(const struct plan_account *account, uint32_t fix)
{
    return map_mix(account->id * FIXES + fix + 1) ^ COMMAND_SALT;
}

static void
say_fill_rules(const struct plan_account *account, enum trading_type wallet, struct msg *m)
{
    const struct fill_rules *f = &account->settings[wallet - 1].fill;
    m->type = MSG_settings_set;
    m->settings_set = (struct settings_set){
        .account_id = account->id,
        .trading_type = wallet,
        .command_id = command_id(account, (uint32_t)wallet),
        .fill_preset = f->fill_preset == FILL_PRESET_custom ? FILL_PRESET_NONE : f->fill_preset,
        .fill_model = f->fill_model,
        .latency_us = f->latency_us,
        .latency_spread_us = f->latency_spread_us,
        .slippage_bps = f->slippage_bps,
        .reject_bps = f->reject_bps,
        .seed = f->seed,
        .fill_overrides = FILL_FIELDS};
}

/* What makes an account that was opened here what it was there. */
static bool
put_fix(struct send *s, struct asker *a, uint32_t i)
{
    const struct plan_account *account = &s->plan.accounts[i / FIXES];
    uint32_t fix = i % FIXES;
    struct msg m = {.type = MSG_NONE};
    if (account->is_there)
        return false;
    if (fix == 0 && s->cash[i / FIXES].v != account->cash.v) {
        m.type = MSG_balance_set;
        m.balance_set = (struct balance_set){.account_id = account->id,
                                             .trading_type = TRADING_TYPE_spot,
                                             .balance = account->cash,
                                             .command_id = command_id(account, fix)};
    } else if (fix == TRADING_TYPE_spot || fix == TRADING_TYPE_futures) {
        if (account->settings[fix - 1].fill.fill_model != FILL_MODEL_NONE)
            say_fill_rules(account, (enum trading_type)fix, &m);
    } else if (fix == FIXES - 1 && account->tier != 0) {
        m.type = MSG_tier_set;
        m.tier_set = (struct tier_set){.account_id = account->id,
                                       .tier = account->tier,
                                       .command_id = command_id(account, fix)};
    }
    if (m.type == MSG_NONE)
        return false;
    asker_put(a, account->id, &m, i + 1);
    return true;
}

static int64_t
fix_turn(void *arg, struct asker *a)
{
    struct send *s = arg;
    return send_hand_out(s, a, s->plan.accounts_count * FIXES, put_fix);
}

static void
fix_answer(void *arg, uint64_t owner, const struct msg *m, enum err why)
{
    struct send *s = arg;
    (void)why;
    if (m != NULL && m->type == MSG_refused)
        s->plan.accounts[(owner - 1) / FIXES].fix_error = m->refused.error;
    s->is_silent |= m == NULL;
}

static bool
put_settings_get(struct send *s, struct asker *a, uint32_t i)
{
    struct msg m = {.type = MSG_settings_get};
    m.settings_get.account_id = s->plan.accounts[i / LEDGER_TYPES].id;
    m.settings_get.trading_type = (enum trading_type)(i % LEDGER_TYPES + 1);
    asker_put(a, m.settings_get.account_id, &m, i / LEDGER_TYPES + 1);
    return true;
}

static int64_t
mode_turn(void *arg, struct asker *a)
{
    struct send *s = arg;
    return send_hand_out(s, a, s->plan.accounts_count * LEDGER_TYPES, put_settings_get);
}

/* An account whose mode is not known to be PAPER is left alone. */
static void
mode_answer(void *arg, uint64_t owner, const struct msg *m, enum err why)
{
    struct send *s = arg;
    (void)why;
    s->is_silent |= m == NULL;
    if (m == NULL || m->type != MSG_settings_view || m->settings_view.mode != TRADING_MODE_PAPER)
        s->plan.accounts[owner - 1].is_real = true;
}

void
send_before(struct send *s, struct asker_work out[SEND_WORKS_BEFORE])
{
    const struct asker_work works[SEND_WORKS_BEFORE] = {{s, look_turn, look_answer, look_end},
                                                        {s, sample_turn, sample_answer, sample_end},
                                                        {s, open_turn, open_answer, look_end},
                                                        {s, fix_turn, fix_answer, look_end},
                                                        {s, mode_turn, mode_answer, look_end}};
    memcpy(out, works, sizeof works);
}
