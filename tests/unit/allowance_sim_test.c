/*
 * allowance_sim_test.c - replicas and a Redis that dies, in made-up time: no window of the exchange
 * ever goes over its limit, and when nothing dies nearly all of it is used.
 *
 * Each seed is one world of three replicas with clocks that are off, commands and replies that
 * take their time, and a share of the faults below. The exchange counts by its own clock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allowance_redis.h"

#define REPLICAS    3
#define LIMITS      2
#define LINE_MAX    64 /* commands and replies under way on a connection */
#define WINDOWS_MAX 128
#define STEP_US     1000
#define END_US      INT64_C(20000000)
#define BEGIN_US    INT64_C(1000000000)
#define CLOCK_US    10000 /* clocks are off by so much at most, */
#define WAY_US      10000 /* and so long is the way to the exchange: within the shorter edge */
#define SILENCE_US  200000
#define BACKOFF_US  100000
#define NEVER       INT64_MAX

/* What may happen in a world. Long freezes of a process stand for themselves: beside a Redis that
 * hangs, or a network that is cut, they are the cut that allowance.h rests on not to last. */
enum fault {
    DEATHS = 1,
    OLD_DATA = 2,
    FREEZES = 4,
    CRASHES = 8,
    CUTS = 16,
    HANGS = 32,
    FLUSHES = 64
};

static const uint32_t limits_of[LIMITS] = {1000, 300};
static const int64_t windows_us_of[LIMITS] = {1000000, 400000};

/* ---- Replicas ---------------------------------------------------------------------------- */

struct line {
    struct command items[LINE_MAX];
    int first, count;
    int64_t last_due_us;
};

static struct replica {
    struct allowance a;
    struct allowance_limit limits[LIMITS];
    struct state state;
    int64_t clock_us, wake_us, reborn_us; /* reborn: starts again then */
    int run;                              /* that it is connected to */
    bool is_up, is_cut, has_take, has_meet;
    int64_t tried_us, fails_us, retry_us, backoff_us, meet_at_us, meet_us, heard_us;
    struct line to_redis, back;
    struct allowance_span taken[LIMITS];
    uint32_t wants[LIMITS];
} replicas[REPLICAS];

static int64_t now_us;
static uint64_t used[LIMITS][WINDOWS_MAX];
static uint64_t used_alone, used_shared;
static int64_t wants_below[LIMITS]; /* which of the limits is the narrow one */

static void
line_put(struct line *l, const struct command *c, int64_t delay_us)
{
    cr_assert_lt(l->count, LINE_MAX);
    int64_t due_us = now_us + delay_us;
    l->last_due_us = due_us > l->last_due_us ? due_us : l->last_due_us;
    struct command *to = &l->items[(l->first + l->count++) % LINE_MAX];
    *to = *c;
    to->due_us = l->last_due_us;
}

static bool
line_take(struct line *l, struct command *out)
{
    if (l->count == 0 || l->items[l->first].due_us > now_us)
        return false;
    *out = l->items[l->first];
    l->first = (l->first + 1) % LINE_MAX;
    l->count--;
    return true;
}

static int64_t
delay(void)
{
    return chance(40) == 0 ? chance(60000) : 200 + chance(1500);
}

static void
replica_send(struct replica *r, const struct command *c)
{
    if (r->to_redis.count + r->back.count == 0)
        r->heard_us = now_us;
    line_put(&r->to_redis, c, delay());
}

static void
replica_part(struct replica *r)
{
    if (!r->a.is_met)
        return;
    allowance_part(&r->a);
    for (int i = 0; i < LIMITS; i++)
        allowance_lose(&r->a, &r->limits[i], now_us + r->clock_us);
}

static void
replica_fail(struct replica *r, int64_t begun_us)
{
    if (!allowance_fail(&r->a, begun_us))
        return;
    for (int i = 0; i < LIMITS; i++)
        allowance_miss(&r->a, &r->limits[i], begun_us, now_us + r->clock_us);
}

static void
replica_down(struct replica *r)
{
    r->to_redis.count = r->back.count = 0;
    r->is_up = r->has_take = false;
    r->retry_us = now_us + r->backoff_us;
    r->backoff_us = r->backoff_us * 2 > BACKOFF_US ? BACKOFF_US : r->backoff_us * 2;
    if (r->has_meet)
        replica_fail(r, r->meet_us);
    r->has_meet = false;
    replica_part(r);
}

static bool
is_reached(const struct replica *r)
{
    return redis.is_alive && !r->is_cut && (!r->is_up || r->run == redis.run);
}

static void
replica_connect(struct replica *r)
{
    if (r->is_up || now_us < r->retry_us)
        return;
    if (r->fails_us == NEVER) {
        r->tried_us = now_us + r->clock_us;
        r->fails_us = now_us + chance(4000);
        return;
    }
    if (now_us < r->fails_us)
        return;
    r->fails_us = NEVER;
    r->is_up = is_reached(r);
    if (r->is_up) {
        r->run = redis.run;
        r->backoff_us = 5000;
        r->meet_at_us = 0;
        r->heard_us = now_us;
    } else {
        replica_fail(r, r->tried_us);
        r->retry_us = now_us + r->backoff_us;
        r->backoff_us = r->backoff_us * 2 > BACKOFF_US ? BACKOFF_US : r->backoff_us * 2;
    }
}

/* It leaves now, and the exchange counts it a little later. */
static void
replica_use(struct replica *r, uint64_t *sum)
{
    int64_t there_us = now_us + chance(WAY_US + 1);
    for (int i = 0; i < LIMITS; i++) {
        used[i][(there_us - BEGIN_US) / windows_us_of[i]] += r->wants[i];
        if (i == 0)
            *sum += r->wants[0];
        r->wants[i] = (uint32_t)chance(wants_below[i]);
    }
}

static void
replica_met(struct replica *r, const struct command *c)
{
    r->has_meet = false;
    if (c->is_newborn) {
        r->meet_at_us = now_us + 20000;
        return;
    }
    if (!allowance_meet(&r->a, c->state.born_us, c->guessed_us, now_us + r->clock_us))
        return;
    r->state = c->state;
    for (int i = 0; i < LIMITS; i++)
        allowance_renew(&r->a, &r->limits[i]);
}

static void
replica_answered(struct replica *r, const struct command *c)
{
    bool is_counted = true;
    if (c->kind == TAKE)
        r->has_take = false;
    for (int i = 0; i < c->count; i++) {
        struct allowance_limit *l = &r->limits[c->windows[i].limit];
        const struct allowance_tell *t = &c->windows[i].tell;
        if (c->is_stale)
            allowance_not_told(&r->a, l, t);
        else
            allowance_told(&r->a, l, t->index, now_us + r->clock_us, c->windows[i].spent,
                           c->windows[i].kept, c->windows[i].more);
    }
    if (c->is_stale)
        replica_part(r);
    if (c->kind != TAKE || !c->is_granted || c->is_stale)
        return;
    for (int i = 0; i < LIMITS; i++)
        is_counted &= allowance_is_counted(&r->limits[i], &r->taken[i], now_us + r->clock_us);
    if (is_counted)
        replica_use(r, &used_shared);
}

static void
replica_take(struct replica *r)
{
    int64_t clock_us = now_us + r->clock_us;
    struct command c = {.kind = TAKE, .state = r->state};
    for (int i = 0; i < LIMITS; i++) {
        allowance_span(&r->limits[i], clock_us, &r->taken[i]);
        for (uint32_t n = 0; n < r->taken[i].count; n++, c.count++) {
            allowance_tell(&r->a, &r->limits[i], r->taken[i].windows[n], clock_us, false,
                           &c.windows[c.count].tell);
            bool is_closed =
                allowance_is_closed(&r->a, &r->limits[i], r->taken[i].windows[n], clock_us);
            c.windows[c.count].limit = i;
            c.windows[c.count].amount = is_closed ? UINT32_MAX : r->wants[i];
        }
    }
    r->has_take = true;
    replica_send(r, &c);
}

static void
replica_alone(struct replica *r)
{
    int64_t clock_us = now_us + r->clock_us;
    bool has = true;
    struct allowance_span s[LIMITS];
    for (int i = 0; i < LIMITS; i++) {
        allowance_span(&r->limits[i], clock_us, &s[i]);
        for (uint32_t n = 0; n < s[i].count; n++)
            has &= r->wants[i] == 0 ||
                   allowance_has(&r->a, &r->limits[i], s[i].windows[n], r->wants[i], limits_of[i]);
    }
    for (int i = 0; has && i < LIMITS; i++)
        for (uint32_t n = 0; n < s[i].count; n++)
            allowance_spend(&r->a, &r->limits[i], s[i].windows[n], r->wants[i]);
    if (has)
        replica_use(r, &used_alone);
}

static void
replica_tell(struct replica *r)
{
    int64_t clock_us = now_us + r->clock_us;
    for (int i = 0; i < LIMITS; i++) {
        struct command c = {.kind = TELL, .state = r->state};
        int64_t now = clock_us / windows_us_of[i];
        for (int64_t w = now - 1; w <= now + ALLOWANCE_AHEAD; w++)
            if (allowance_has_to_tell(&r->a, &r->limits[i], w, clock_us, true)) {
                c.windows[c.count].limit = i;
                allowance_tell(&r->a, &r->limits[i], w, clock_us, true, &c.windows[c.count++].tell);
            }
        if (c.count > 0 && r->to_redis.count + r->back.count < LINE_MAX - 4)
            replica_send(r, &c);
    }
}

static void
replica_turn(struct replica *r)
{
    struct command c;
    while (r->is_up && line_take(&r->back, &c)) {
        r->heard_us = now_us;
        if (c.kind == MEET)
            replica_met(r, &c);
        else
            replica_answered(r, &c);
    }
    bool is_silent = r->to_redis.count + r->back.count > 0 && now_us > r->heard_us + SILENCE_US;
    if (r->is_up && (is_silent || !is_reached(r)) && r->back.count == 0)
        replica_down(r);
    replica_connect(r);
    if (r->is_up && !r->a.is_met && !r->has_meet && now_us >= r->meet_at_us) {
        r->meet_us = now_us + r->clock_us;
        r->has_meet = true;
        replica_send(r, &(struct command){.kind = MEET,
                                          .state = r->state,
                                          .guessed_us = r->a.guessed_us,
                                          .clock_us = r->meet_us});
    }
    if (r->is_up && r->a.is_met && chance(8) == 0)
        replica_tell(r);
    bool is_open = r->is_up && allowance_is_open(&r->a, &r->limits[0], now_us + r->clock_us);
    if (!is_open)
        replica_alone(r);
    else if (!r->has_take)
        replica_take(r);
}

static void
replica_open(struct replica *r)
{
    *r = (struct replica){.clock_us = r->clock_us, .reborn_us = NEVER, .fails_us = NEVER};
    r->a = (struct allowance){.percent = 33, .is_trading = true, .opened_us = now_us + r->clock_us};
    r->backoff_us = 5000;
    for (int i = 0; i < LIMITS; i++) {
        allowance_limit_init(&r->limits[i], limits_of[i], windows_us_of[i]);
        r->limits[i].is_weight = i == 0;
        r->wants[i] = 1;
    }
}

/* ---- The world --------------------------------------------------------------------------- */

/* When Redis is back, a cut is over, the next thing happens. */
static bool redis_is_there = true;
static int64_t redis_at_us, cut_until_us, faults_at_us;

static void
redis_die(void)
{
    redis.is_alive = redis.hangs = false;
    for (int i = 0; i < REPLICAS; i++) {
        struct replica *r = &replicas[i];
        r->to_redis.count = 0;
        if (r->back.count > 0) /* some replies are on this side already */
            r->back.count = (int)chance(r->back.count + 1);
    }
}

/* One cut after another would be a long one. */
static bool
all_are_met(void)
{
    bool all = true;
    for (int i = 0; i < REPLICAS; i++)
        all &= replicas[i].is_up && replicas[i].a.is_met;
    return all;
}

/* Somebody is always left who knows what was spent: not all begin anew at once. */
static bool
may_crash(const struct replica *r)
{
    bool may = r->reborn_us == NEVER;
    for (int i = 0; i < REPLICAS; i++) {
        const struct replica *other = &replicas[i];
        may &= other == r ||
               (other->reborn_us == NEVER && now_us > other->a.opened_us + 2 * windows_us_of[0]);
    }
    return may;
}

static void
happen(uint32_t faults)
{
    struct replica *r = &replicas[chance(REPLICAS)];
    uint32_t fault = 1u << chance(7);
    if ((fault & faults) == 0)
        return;
    if (fault == DEATHS && redis.is_alive) {
        redis_die();
        redis_at_us = now_us + chance((int64_t[]){3000, 200000, 4000000}[chance(3)]);
    } else if (fault == OLD_DATA) {
        redis.old = redis.data;
    } else if (fault == FREEZES) {
        r->wake_us = now_us + chance(2500000);
    } else if (fault == CRASHES && may_crash(r)) {
        r->reborn_us = now_us + chance(3) * chance(2000000);
        r->is_up = false;
        r->to_redis.count = r->back.count = 0;
    } else if (fault == CUTS && all_are_met()) {
        r->is_cut = true;
        cut_until_us = now_us + chance(600000);
    } else if (fault == HANGS && redis.is_alive) {
        redis.hangs = true;
        redis_at_us = now_us + chance(2500000);
    } else if (fault == FLUSHES && redis.is_alive) {
        redis.data = (struct data){.count = 0};
    }
}

static void
redis_turn(uint32_t faults)
{
    if (now_us >= redis_at_us) {
        redis_at_us = NEVER;
        redis.hangs = false;
        if (!redis.is_alive)
            redis_begin((faults & OLD_DATA) != 0 && chance(2) == 0, now_us);
    }
    for (int i = 0; i < REPLICAS && redis.is_alive && !redis.hangs; i++) {
        struct command c;
        while (is_reached(&replicas[i]) && line_take(&replicas[i].to_redis, &c)) {
            if (c.kind == MEET)
                redis_meet(&c, now_us);
            else
                redis_take(&c);
            line_put(&replicas[i].back, &c, delay());
        }
    }
}

/* A cut ends before a share could be taken for granted. */
static void
cuts_end(void)
{
    for (int i = 0; i < REPLICAS; i++)
        replicas[i].is_cut &= now_us < cut_until_us;
}

static void
world(uint64_t seed, uint32_t faults)
{
    chance_seed(seed);
    now_us = BEGIN_US;
    memset(used, 0, sizeof used);
    used_alone = used_shared = 0;
    wants_below[0] = seed % 2 == 0 ? 30 : 4;
    wants_below[1] = 8;
    redis.run = 0;
    redis.hangs = false;
    redis_begin(false, now_us);
    redis.is_alive = redis_is_there;
    redis.old = redis.data;
    redis_at_us = NEVER;
    cut_until_us = 0;
    for (int i = 0; i < REPLICAS; i++) {
        replicas[i].clock_us = chance(2 * CLOCK_US + 1) - CLOCK_US;
        replica_open(&replicas[i]);
    }
    for (faults_at_us = now_us + 1000000; now_us < BEGIN_US + END_US; now_us += STEP_US) {
        cuts_end();
        if (faults != 0 && now_us >= faults_at_us) {
            faults_at_us = now_us + chance(200000);
            happen(faults);
        }
        redis_turn(faults);
        for (int i = 0; i < REPLICAS; i++) {
            struct replica *r = &replicas[i];
            if (now_us >= r->reborn_us)
                replica_open(r);
            if (r->reborn_us == NEVER && now_us >= r->wake_us)
                replica_turn(r);
        }
    }
}

/* How many windows went over; what was used of all whole ones, in percent of the limit. */
static int
judge(int limit, int64_t from_us, int *percent)
{
    int over = 0, count = 0;
    uint64_t sum = 0;
    for (int64_t w = 0; w < END_US / windows_us_of[limit]; w++) {
        over += used[limit][w] > limits_of[limit];
        if (w * windows_us_of[limit] < from_us)
            continue;
        sum += used[limit][w];
        count++;
    }
    *percent = (int)(sum * 100 / ((uint64_t)count * limits_of[limit]));
    return over;
}

static void
worlds(const char *name, uint32_t faults, uint64_t seeds)
{
    int over = 0;
    uint64_t alone = 0, shared = 0, first = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        int percent, here = 0;
        world(seed, faults);
        for (int i = 0; i < LIMITS; i++)
            here += judge(i, 0, &percent);
        over += here;
        first = here > 0 && first == 0 ? seed : first;
        alone += used_alone;
        shared += used_shared;
    }
    cr_log_info("%s: %d worlds, %d windows over (first seed %d), %d of %d spent alone", name,
                (int)seeds, over, (int)first, (int)alone, (int)(alone + shared));
    cr_assert_eq(over, 0, "%s: %d windows over the limit, first seed %d", name, over, (int)first);
    cr_assert_gt(shared, 0);
    cr_assert(alone > 0 || (faults & DEATHS) == 0);
}

#define SEEDS 200

Test(allowance_sim, nothing_happens_and_nearly_all_is_used)
{
    int weight, orders;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        world(seed, 0);
        cr_assert_eq(judge(0, 2000000, &weight), 0);
        cr_assert_eq(judge(1, 2000000, &orders), 0);
        cr_assert(weight >= 97 || orders >= 97, "seed %d: %d %%, %d %%", (int)seed, weight, orders);
    }
    cr_log_info("%d %% of the weight, %d %% of the orders", weight, orders);
}

Test(allowance_sim, without_redis_each_has_its_share)
{
    int weight, orders;
    redis_is_there = false;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        world(seed, 0);
        cr_assert_eq(judge(0, 2000000, &weight), 0);
        cr_assert_eq(judge(1, 2000000, &orders), 0);
        cr_assert(weight >= 85 || orders >= 85, "seed %d: %d %%, %d %%", (int)seed, weight, orders);
        cr_assert_eq(used_shared, 0);
    }
    cr_log_info("%d %% of the weight, %d %% of the orders", weight, orders);
    redis_is_there = true;
}

Test(allowance_sim, redis_dies_and_comes_back_empty)
{
    worlds("deaths", DEATHS, SEEDS);
}

Test(allowance_sim, redis_comes_back_with_old_data)
{
    worlds("old data", DEATHS | OLD_DATA, SEEDS);
}

Test(allowance_sim, processes_freeze_while_redis_dies)
{
    worlds("freezes", DEATHS | OLD_DATA | FREEZES, SEEDS);
}

Test(allowance_sim, processes_crash_and_begin_anew)
{
    worlds("crashes", CRASHES | DEATHS | OLD_DATA, SEEDS);
}

Test(allowance_sim, one_is_cut_off_for_a_while)
{
    worlds("cuts", CUTS | DEATHS, SEEDS);
}

Test(allowance_sim, redis_hangs_and_goes_on)
{
    worlds("hangs", HANGS | DEATHS, SEEDS);
}

Test(allowance_sim, redis_is_emptied_while_it_runs)
{
    worlds("flushes", FLUSHES | DEATHS | FREEZES, SEEDS);
}
