/*
 * send.c - see send.h: the parts of a replay into another deployment, one behind the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/send.h"

#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "scripctl/agree.h"
#include "scripctl/backtest_actions.h"
#include "scripctl/send_parts.h"
#include "scripctl/source.h"

#define LISTS_BYTES 65536
#define PATIENCE_US 5000000  /* how long orders may take to come to agree */
#define AGAIN_US    100000   /* between two looks at them, or two tries of a command */
#define AWAY_US     30000000 /* a ledger that takes nothing for so long is not waited for again */

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
    plan_msg(&s->plan, i, &s->lists, &m);
    if (command->sent_us == 0)
        command->sent_us = asker_now_us(a);
    s->plan.accounts[command->account].is_waiting = true;
    asker_put(a, command->account_id, &m, i + 1);
}

static void
send_next(struct send *s, struct asker *a)
{
    uint32_t i = s->next++;
    const struct plan_account *account = &s->plan.accounts[s->plan.commands[i].account];
    progress_add(&s->progress, 1);
    if (!account->is_real && account->settings[0].mode != TRADING_MODE_REAL)
        send_one(s, a, i);
}

/* ---- A ledger that is away for a while ------------------------------------------------------- */

static bool
is_passing(enum err e)
{
    return e == ERR_LEDGER_UNAVAILABLE || e == ERR_LEDGER_BUSY || e == ERR_MATCHER_UNAVAILABLE ||
           e == ERR_OUTCOME_UNKNOWN || e == ERR_STORE_FAILED || e == ERR_STORE_FENCED;
}

/* Keeps a command that could not be taken, to be tried again: each may be, as often as one likes.
 */
static bool
keep_again(struct send *s, uint32_t i, enum err e, int64_t now_us)
{
    if (!is_passing(e)) {
        s->away_us = 0;
        return false;
    }
    if (s->away_us == 0)
        s->away_us = now_us;
    s->was_given_up |= now_us - s->away_us > AWAY_US;
    if (s->was_given_up)
        return false;
    s->again[s->again_count++] = i;
    s->again_us = now_us + AGAIN_US;
    return true;
}

static int
by_place(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Tries those again once all answers are there, in their order. True while what follows has to wait
 * for them. */
static bool
try_again(struct send *s, struct asker *a)
{
    bool is_quiet = asker_room(a) == ASKER_WINDOW;
    if (s->again_count == 0) {
        s->is_trying &= !is_quiet;
        return s->is_trying;
    }
    if (!is_quiet || asker_now_us(a) < s->again_us)
        return true;
    uint32_t count = s->again_count, *again = s->again;
    qsort(again, count, sizeof *again, by_place);
    s->is_trying = true;
    /* One that comes back at once takes the place of one that was put already. */
    s->again_count = 0;
    for (uint32_t i = 0; i < count; i++)
        send_one(s, a, again[i]);
    return true;
}

/* What follows an answer in the record waits for that answer, which may take longer here: the other
 * ledger may be away. Faster than in the record, a command waits for the answers to all that its
 * account asked before, and for all answers when one of its account's orders had been filled at
 * rest. */
static bool
has_to_wait(const struct send *s, const struct asker *a, const struct plan_command *command)
{
    bool is_faster = s->speed.v == 0 || s->speed.v > DECIMAL_ONE;
    bool is_waiting = s->plan.accounts[command->account].is_waiting;
    return ((is_faster || command->follows) && is_waiting) ||
           (is_faster && command->needs_rest && asker_room(a) < ASKER_WINDOW);
}

static int64_t
send_turn(void *arg, struct asker *a)
{
    struct send *s = arg;
    int64_t now_us = asker_now_us(a);
    if (s->start_us == 0)
        s->start_us = now_us;
    if (try_again(s, a))
        return AGAIN_US;
    while (s->next < s->plan.commands_count && asker_room(a) > 0) {
        int64_t left_us = due_us(s, s->plan.commands[s->next].time_us) - now_us;
        if (left_us > 0)
            return left_us;
        if (has_to_wait(s, a, &s->plan.commands[s->next]))
            return 0;
        send_next(s, a);
    }
    return s->next < s->plan.commands_count || s->again_count > 0 ? 0 : -1;
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
    int64_t now_us = loop_measure_us();
    bool is_refused = m != NULL && m->type == MSG_refused;
    enum err e = m == NULL ? why : is_refused ? m->refused.error : OK;
    if (keep_again(s, (uint32_t)owner - 1, e, now_us))
        return;
    command->outcome = m == NULL ? PLAN_UNANSWERED : is_refused ? PLAN_REFUSED : PLAN_ACCEPTED;
    command->error = e;
    command->took_us = now_us - command->sent_us;
    s->plan.accounts[command->account].is_waiting = false;
    if (e == OK)
        orders_there(&s->plan, command, m);
}

static bool
send_end(void *arg)
{
    struct send *s = arg;
    progress_end(&s->progress);
    progress_begin(&s->progress, "comparing", "orders", s->plan.orders_count, s->c->o.quiet);
    return send_goes_on(s);
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
    if (send_hand_out(s, a, s->plan.orders_count, put_order_get) == 0)
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
    struct asker_work works[SEND_WORKS_BEFORE + 2];
    send_before(s, works);
    works[SEND_WORKS_BEFORE] = (struct asker_work){s, send_turn, send_answer, send_end};
    works[SEND_WORKS_BEFORE + 1] = (struct asker_work){s, check_turn, check_answer, NULL};
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
    s.again = calloc(s.plan.commands_count + 1, sizeof *s.again);
    void *lists = aligned_alloc(16, LISTS_BYTES);
    CHECK(s.cash != NULL && s.again != NULL && lists != NULL);
    arena_init(&s.lists, lists, LISTS_BYTES);
    if (!is_made)
        status = refuse(c, STATUS_FAILED, "RECORD_INVALID", "%s", why);
    else if (s.plan.commands_count == 0)
        status = refuse(c, STATUS_NO, "NOTHING_TO_SEND", "there is no such command in the journal");
    else
        status = run(&s);
    plan_fini(&s.plan);
    free(s.cash);
    free(s.again);
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
