/*
 * send.c - see send.h: the parts of a replay into another deployment, one behind the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/send.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "host/log.h"
#include "scripctl/agree.h"
#include "scripctl/asker.h"
#include "scripctl/backtest_actions.h"
#include "scripctl/plan.h"
#include "scripctl/progress.h"
#include "scripctl/source.h"

#define LISTS_BYTES  65536
#define SAMPLE       100     /* orders looked for beforehand, from either end */
#define FIXES        4       /* messages that make a new account what it was */
#define PATIENCE_US  5000000 /* how long orders may take to come to agree */
#define AGAIN_US     100000  /* between two looks at them */
#define FILL_FIELDS  0xfc00u /* of settings_set: all of the fill rules */
#define COMMAND_SALT UINT64_C(0x9f3a6c1275e84bd1)

struct send {
    const struct call *c;
    struct plan plan;
    rate_t speed; /* 0 = as fast as it goes */
    uint32_t next;
    int64_t start_us; /* of the sending */
    int64_t round_us; /* no further look before; 0 = one is under way */
    int64_t patience_us;
    uint32_t known;     /* accounts and orders that are there beforehand */
    bool is_itself;     /* an order of the record, to the microsecond */
    bool is_silent;     /* nobody answers */
    struct money *cash; /* there, of accounts that were just opened */
    struct arena lists;
    struct progress progress;
};

/* Hands out the numbers below `count` to `put`, as room is there; `put` false: nothing was asked.
 */
static int64_t
hand_out(struct send *s, struct asker *a, uint32_t count,
         bool (*put)(struct send *s, struct asker *a, uint32_t i))
{
    while (s->next < count && asker_room(a) > 0 && !s->is_silent) {
        uint32_t i = s->next++;
        (void)put(s, a, i);
    }
    return s->next < count && !s->is_silent ? 0 : -1;
}

static bool
goes_on(struct send *s)
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
    return hand_out(s, a, s->plan.accounts_count, put_account_get);
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
    return goes_on(arg);
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
    return hand_out(s, a, s->plan.orders_count, put_sample);
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
    return goes_on(s) && !s->is_itself && (s->known == 0 || s->c->o.yes);
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
    return hand_out(s, a, s->plan.accounts_count, put_account_open);
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
        if (b->wallet == TRADING_TYPE_spot && code_same(b->asset, code_of("USDT")))
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
    return hand_out(s, a, s->plan.accounts_count * FIXES, put_fix);
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
    m.settings_get.account_id = s->plan.accounts[i / LEDGER_WALLETS].id;
    m.settings_get.trading_type = (enum trading_type)(i % LEDGER_WALLETS + 1);
    asker_put(a, m.settings_get.account_id, &m, i / LEDGER_WALLETS + 1);
    return true;
}

static int64_t
mode_turn(void *arg, struct asker *a)
{
    struct send *s = arg;
    return hand_out(s, a, s->plan.accounts_count * LEDGER_WALLETS, put_settings_get);
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

/* ---- The commands ---------------------------------------------------------------------------- */

/* When something of the record is due, by the steady clock. */
static int64_t
due_us(const struct send *s, int64_t time_us)
{
    __extension__ __int128 after = time_us - s->plan.begin_us;
    if (s->speed.v == 0)
        return s->start_us;
    return s->start_us + (int64_t)(after * DECIMAL_ONE / s->speed.v);
}

static void
send_one(struct send *s, struct asker *a, uint32_t i)
{
    struct plan_command *command = &s->plan.commands[i];
    struct msg m;
    progress_add(&s->progress, 1);
    if (s->plan.accounts[command->account].is_real ||
        s->plan.accounts[command->account].settings[0].mode == TRADING_MODE_REAL)
        return;
    plan_msg(&s->plan, i, &s->lists, &m);
    command->sent_us = asker_now_us(a);
    s->plan.accounts[command->account].is_waiting = true;
    asker_put(a, command->account_id, &m, i + 1);
}

/* Faster than in the record, what a command rests on need not have happened when it is due: so it
 * waits for the answers to what its account asked before, and for all answers when one of its
 * account's orders had been filled at rest. */
static bool
has_to_wait(const struct send *s, const struct asker *a, const struct plan_command *command)
{
    bool is_faster = s->speed.v == 0 || s->speed.v > DECIMAL_ONE;
    return is_faster && (s->plan.accounts[command->account].is_waiting ||
                         (command->needs_rest && asker_room(a) < ASKER_WINDOW));
}

static int64_t
send_turn(void *arg, struct asker *a)
{
    struct send *s = arg;
    int64_t now_us = asker_now_us(a);
    if (s->start_us == 0)
        s->start_us = now_us;
    while (s->next < s->plan.commands_count && asker_room(a) > 0) {
        int64_t left_us = due_us(s, s->plan.commands[s->next].time_us) - now_us;
        if (left_us > 0)
            return left_us;
        if (has_to_wait(s, a, &s->plan.commands[s->next]))
            return 0;
        send_one(s, a, s->next++);
    }
    return s->next < s->plan.commands_count ? 0 : -1;
}

static void
orders_there(struct plan *p, const struct plan_command *command, const struct msg *m)
{
    if (command->orders_count == 0)
        return;
    if (m->type == MSG_order_view)
        p->orders[command->order].there_id = m->order_view.order.order_id;
    for (uint32_t i = 0;
         m->type == MSG_list_view && i < m->list_view.orders_count && i < command->orders_count;
         i++)
        p->orders[command->order + i].there_id = m->list_view.orders[i].order_id;
}

static void
send_answer(void *arg, uint64_t owner, const struct msg *m, enum err why)
{
    struct send *s = arg;
    struct plan_command *command = &s->plan.commands[owner - 1];
    command->outcome = m == NULL                ? PLAN_UNANSWERED
                       : m->type == MSG_refused ? PLAN_REFUSED
                                                : PLAN_ACCEPTED;
    command->error = m == NULL ? why : m->type == MSG_refused ? m->refused.error : OK;
    s->plan.accounts[command->account].is_waiting = false;
    if (m == NULL)
        return;
    command->took_us = loop_measure_us() - command->sent_us;
    orders_there(&s->plan, command, m);
}

static bool
send_end(void *arg)
{
    struct send *s = arg;
    progress_end(&s->progress);
    progress_begin(&s->progress, "comparing", "orders", s->plan.orders_count, s->c->o.quiet);
    return goes_on(s);
}

/* ---- The orders ------------------------------------------------------------------------------ */

static bool
put_order_get(struct send *s, struct asker *a, uint32_t i)
{
    const struct plan_order *o = &s->plan.orders[i];
    if (o->there_id == 0 || o->agrees)
        return false;
    struct msg m = {.type = MSG_order_get};
    m.order_get = (struct order_get){.account_id = s->plan.commands[o->command].account_id,
                                     .order_id = o->there_id};
    asker_put(a, m.order_get.account_id, &m, i + 1);
    return true;
}

static bool
all_agree(const struct plan *p)
{
    for (uint32_t i = 0; i < p->orders_count; i++)
        if (p->orders[i].there_id != 0 && !p->orders[i].agrees)
            return false;
    return true;
}

/* Looks again at those that differ, until all agree or patience is over. Before the time of the
 * record's last word there is nothing to compare with. */
static int64_t
check_turn(void *arg, struct asker *a)
{
    struct send *s = arg;
    int64_t now_us = asker_now_us(a), begin_us = due_us(s, s->plan.last_us);
    if (now_us < begin_us || now_us < s->round_us)
        return begin_us > s->round_us ? begin_us - now_us : s->round_us - now_us;
    if (hand_out(s, a, s->plan.orders_count, put_order_get) == 0)
        return 0;
    if (asker_room(a) < ASKER_WINDOW)
        return AGAIN_US;
    if (all_agree(&s->plan) || now_us >= begin_us + s->patience_us)
        return -1;
    s->next = 0;
    s->round_us = now_us + AGAIN_US;
    return AGAIN_US;
}

static void
check_answer(void *arg, uint64_t owner, const struct msg *m, enum err why)
{
    struct send *s = arg;
    (void)why;
    if (m != NULL && m->type == MSG_order_view)
        agree_take(&s->plan.orders[owner - 1], &m->order_view);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static enum status
told_why_not(const struct send *s)
{
    const struct call *c = s->c;
    if (s->is_silent)
        return refuse(c, STATUS_FAILED, "NO_ANSWER", "nobody answers at %s", c->o.to);
    if (s->is_itself)
        return refuse(c, STATUS_FAILED, "SAME_DEPLOYMENT",
                      "%s has an order of the record, with its id and the very time: it is the "
                      "deployment that the journal is of. Nothing was sent",
                      c->o.to);
    return refuse(c, STATUS_FAILED, "NOT_FRESH",
                  "%s has %u of the record's accounts and orders already. A fresh paper "
                  "deployment is meant; --yes sends all the same. Nothing was sent",
                  c->o.to, s->known);
}

static enum status
run(struct send *s)
{
    char why[WHY_BYTES];
    const struct asker_work works[] = {
        {s, look_turn, look_answer, look_end}, {s, sample_turn, sample_answer, sample_end},
        {s, open_turn, open_answer, look_end}, {s, fix_turn, fix_answer, look_end},
        {s, mode_turn, mode_answer, look_end}, {s, send_turn, send_answer, send_end},
        {s, check_turn, check_answer, NULL}};
    struct asker *a = asker_open(s->c->o.to, why);
    if (a == NULL)
        return refuse(s->c, STATUS_USAGE, "ENDPOINT_INVALID", "--to: %s", why);
    progress_begin(&s->progress, "sending", "commands", s->plan.commands_count, s->c->o.quiet);
    asker_run(a, works, sizeof works / sizeof works[0]);
    progress_end(&s->progress);
    int64_t took_us = asker_now_us(a) - s->start_us;
    asker_close(&a);
    if (s->start_us == 0)
        return told_why_not(s);
    return agree_tell(s->c, &s->plan, took_us);
}

static bool
read_options(struct send *s)
{
    const char *speed = s->c->o.speed;
    s->speed.v = DECIMAL_ONE;
    s->patience_us = PATIENCE_US;
    if (s->c->o.patience != NULL && !actions_duration(s->c->o.patience, &s->patience_us)) {
        refuse(s->c, STATUS_USAGE, "TIME_INVALID", "--patience: \"%s\" is no time such as 5s",
               s->c->o.patience);
        return false;
    }
    if (speed == NULL)
        return true;
    if (strcmp(speed, "max") == 0) {
        s->speed.v = 0;
        return true;
    }
    if (decimal_read(speed, strlen(speed), &s->speed.v) == OK && s->speed.v > 0)
        return true;
    refuse(s->c, STATUS_USAGE, "SPEED_INVALID", "--speed: \"%s\" is neither max nor a number",
           speed);
    return false;
}

enum status
replay_into(const struct call *c)
{
    struct send s = {.c = c};
    char why[WHY_BYTES];
    enum status status = STATUS_USAGE;
    struct records *r = read_options(&s) ? source_open(c, &status) : NULL;
    if (r == NULL)
        return status;
    log_open("scripctl", LOG_ERROR);
    bool is_made = plan_make(&s.plan, c, r, why);
    records_close(&r);
    s.cash = calloc(s.plan.accounts_count + 1, sizeof *s.cash);
    void *lists = aligned_alloc(16, LISTS_BYTES);
    CHECK(s.cash != NULL && lists != NULL);
    arena_init(&s.lists, lists, LISTS_BYTES);
    if (!is_made)
        status = refuse(c, STATUS_FAILED, "RECORD_INVALID", "%s", why);
    else if (s.plan.commands_count == 0)
        status = refuse(c, STATUS_NO, "NOTHING_TO_SEND", "there is no such command in the journal");
    else
        status = run(&s);
    plan_fini(&s.plan);
    free(s.cash);
    free(lists);
    return status;
}

bool
send_is_meant(const struct call *c)
{
    const struct options *o = &c->o;
    return o->after != 0 || o->since != INT64_MIN || o->symbol != NULL || o->limit != 0 ||
           o->speed != NULL || o->patience != NULL || o->yes;
}
