/*
 * allowance_redis.c - chance, and the scripts of host/budget_redis.c once more, in C.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "allowance_redis.h"

#include <criterion/criterion.h>

struct allowance_redis redis;

static uint64_t chance_state;

void
chance_seed(uint64_t seed)
{
    chance_state = seed * 0x9E3779B97F4A7C15u + 1;
}

int64_t
chance(int64_t below)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return (int64_t)(chance_state >> 11) % below;
}

static struct key *
key_of(int limit, int64_t born_us, int64_t index)
{
    for (int i = 0; i < redis.data.count; i++) {
        struct key *k = &redis.data.keys[i];
        if (k->limit == limit && k->born_us == born_us && k->index == index)
            return k;
    }
    cr_assert_lt(redis.data.count, KEYS_MAX);
    struct key *k = &redis.data.keys[redis.data.count++];
    *k = (struct key){.limit = limit, .born_us = born_us, .index = index};
    return k;
}

void
redis_meet(struct command *c, int64_t now_us)
{
    struct state *s = &redis.data.state;
    bool is_known = c->state.run != 0;
    if (s->run != redis.run) {
        bool is_fresh = !is_known && c->guessed_us == 0;
        c->is_newborn = is_fresh && now_us < redis.began_us + NEWBORN_US;
        if (c->is_newborn)
            return;
        *s = (struct state){redis.run, is_fresh ? 0 : c->clock_us};
    } else if (c->guessed_us > s->born_us ||
               (s->born_us == 0 && is_known && c->state.run != s->run)) {
        s->born_us = c->clock_us;
    }
    c->state = *s;
}

void
redis_take(struct command *c)
{
    const struct state *s = &redis.data.state;
    c->is_stale = s->run != c->state.run || s->born_us != c->state.born_us;
    if (c->is_stale)
        return;
    c->is_granted = c->kind == TAKE;
    for (int i = 0; i < c->count; i++) {
        const struct allowance_tell *t = &c->windows[i].tell;
        struct key *k = key_of(c->windows[i].limit, s->born_us, t->index);
        uint64_t kept = k->has_kept ? k->kept : t->kept;
        k->spent = k->spent + t->add > t->known ? k->spent + t->add : t->known;
        kept = kept > t->give ? kept - t->give : 0;
        uint64_t room = t->limit > k->spent + kept ? t->limit - k->spent - kept : 0;
        c->windows[i].more = room < t->ask ? room : t->ask;
        k->kept = kept + c->windows[i].more;
        k->has_kept = true;
        c->is_granted &=
            c->windows[i].amount == 0 || k->spent + k->kept + c->windows[i].amount <= t->limit;
    }
    for (int i = 0; i < c->count; i++) {
        struct key *k = key_of(c->windows[i].limit, s->born_us, c->windows[i].tell.index);
        if (c->is_granted)
            k->spent += c->windows[i].amount;
        c->windows[i].spent = k->spent;
        c->windows[i].kept = k->kept;
    }
}

void
redis_begin(bool with_old_data, int64_t now_us)
{
    redis.is_alive = true;
    redis.run++;
    redis.began_us = now_us;
    if (with_old_data)
        redis.data = redis.old;
    else
        redis.data = (struct data){.count = 0};
}
