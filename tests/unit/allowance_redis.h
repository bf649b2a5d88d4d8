/*
 * allowance_redis.h - a Redis in made-up time: it speaks as the scripts of host/budget_redis.c do,
 * and can be made to die, to come back with old numbers, to lose all; and chance, by a seed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_ALLOWANCE_REDIS_H
#define SCRIP_TESTS_ALLOWANCE_REDIS_H

#include "base/allowance.h"

#define KEYS_MAX   512
#define TELLS_MAX  4
#define NEWBORN_US 400000

struct key {
    int limit;
    int64_t born_us, index;
    uint64_t spent, kept;
    bool has_kept;
};

struct state {
    int run; /* 0 = none */
    int64_t born_us;
};

struct data {
    struct state state;
    struct key keys[KEYS_MAX];
    int count;
};

enum kind { MEET, TAKE, TELL };

struct command {
    enum kind kind;
    int64_t due_us;
    struct state state;           /* as the sender knows it */
    int64_t guessed_us, clock_us; /* MEET */
    struct {
        int limit;
        struct allowance_tell tell;
        uint32_t amount; /* 0 = not asked for */
        uint64_t spent, kept, more;
    } windows[TELLS_MAX];
    int count;
    /* The reply: */
    bool is_stale, is_granted, is_newborn;
};

extern struct allowance_redis {
    bool is_alive, hangs;
    int run;
    int64_t began_us;
    struct data data, old;
} redis;

void chance_seed(uint64_t seed);
int64_t chance(int64_t below);
void redis_meet(struct command *c, int64_t now_us);
void redis_take(struct command *c);
void redis_begin(bool with_old_data, int64_t now_us);

#endif
