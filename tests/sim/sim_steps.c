/*
 * sim_steps.c - one run: the seed's character, who moves next and what breaks, coming to rest.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define LISTS_BYTES (1u << 20)
/* Virtual; by then everybody must have an answer. What became of a real order is asked in ever
 * longer times. */
#define REST_MAX_US  INT64_C(60000000)
#define REST_REAL_US INT64_C(240000000)
#define MOVERS       7

/* ---- The seed's character ------------------------------------------------------------------- */

/* Now and then none of it, now and then a lot. */
static uint32_t
rate(struct sim *s, uint32_t usual)
{
    switch (sim_draw(s, 4)) {
    case 0:
        return 0;
    case 1:
        return usual * 4;
    default:
        return usual;
    }
}

static void
wire_character(struct sim *s, struct wire *w, bool is_asks)
{
    w->delay_us = 1 + (int64_t)sim_draw(s, 3000);
    w->lost = rate(s, is_asks ? 20 : 6);
    w->doubled = is_asks ? rate(s, 40) : 0;
    w->damaged = rate(s, 2);
}

static void
wires_character(struct sim *s)
{
    for (uint32_t k = 0; k < s->ledgers_count; k++) {
        for (uint32_t i = 0; i < SIM_GATEWAYS; i++) {
            wire_character(s, &s->asks[i][k], true);
            wire_character(s, &s->answers[i][k], false);
            wire_character(s, &s->events[i][k], false);
        }
        for (uint32_t i = 0; i < s->matchers_count; i++) {
            wire_character(s, &s->matchers[i].to_ledger[k], false);
            wire_character(s, &s->matchers[i].from_ledger[k], false);
        }
        for (uint32_t i = 0; i < SIM_BRIDGES; i++) {
            wire_character(s, &s->bridges[i].from_ledger[k], false);
            wire_character(s, &s->bridges[i].to_ledger[k], false);
            wire_character(s, &s->bridges[i].reports[k], true);
            wire_character(s, &s->bridges[i].reported[k], false);
        }
    }
    for (uint32_t i = 0; i < s->matchers_count; i++) {
        s->matchers[i].index = i;
        s->matchers[i].market.delay_us = 1 + (int64_t)sim_draw(s, 3000);
        s->matchers[i].market.lost = rate(s, 3);
        for (uint32_t group = 0; group < SIM_GROUPS_MAX; group++)
            s->matchers[i].holder[group] = SIM_NOBODY;
    }
}

/* Owners that are cut off from the database again and again and learn it late, successors that
 * serve beside them, and clients who ask both. */
static void
rivals(struct sim *s)
{
    s->groups_count = 1;
    s->ledgers_count = SIM_LEDGERS_MAX;
    s->accounts = 3;
    s->is.is_blind = true;
    s->is.store_cut = 5;
    s->is.store_break = s->is.crash_ledger = 0;
    s->is.freeze = 1;
    s->is.wish = 800;
    s->is.read = 500;
    s->is.pace = 1;
}

/* Owners that come back under their epoch while the server still keeps their old session, slow
 * commits, and others who wait for the lock. */
static void
heirs(struct sim *s)
{
    s->groups_count = 1;
    s->ledgers_count = SIM_LEDGERS_MAX;
    s->is.is_undead = true;
    s->is.store_cut = 5;
    s->is.store_slow = 300;
    s->is.store_break = 0;
    s->is.wish = 800;
}

static void
character(struct sim *s)
{
    s->accounts = 3 + (uint32_t)sim_draw(s, SIM_ACCOUNTS_MAX - 3);
    s->matchers_count = 1 + (uint32_t)sim_draw(s, SIM_MATCHERS_MAX);
    s->groups_count = 1 + (uint32_t)sim_chance(s, 300);
    s->ledgers_count =
        s->groups_count + (uint32_t)sim_draw(s, SIM_LEDGERS_MAX + 1 - s->groups_count);
    s->is = (struct character){.crash_ledger = rate(s, 5),
                               .crash_matcher = rate(s, 4),
                               .crash_gateway = rate(s, 1),
                               .store_break = rate(s, 3),
                               .store_cut = rate(s, 5),
                               .store_refuse = rate(s, 20),
                               .store_slow = rate(s, 30),
                               .freeze = rate(s, 4),
                               .interrupt = rate(s, 30),
                               .drain = rate(s, 1),
                               .clock = rate(s, 4),
                               .move = rate(s, 4),
                               .wish = 100 + (uint32_t)sim_draw(s, 700),
                               .read = rate(s, 100),
                               .tick = 50 + (uint32_t)sim_draw(s, 400),
                               .market_gap = rate(s, 4),
                               .patience = 400 + (uint32_t)sim_draw(s, 500),
                               .split = rate(s, 100),
                               .real = sim_chance(s, 350) ? 700 : 0,
                               .crash_bridge = rate(s, 4),
                               .spread = 1 + (uint32_t)sim_draw(s, 15),
                               .favourites = 1 + (uint32_t)sim_draw(s, SIM_SYMBOLS),
                               .pace = 1u << sim_draw(s, 4)};
    s->is.are_apart = sim_chance(s, 300);
    if (sim_chance(s, 150))
        rivals(s);
    else if (sim_chance(s, 150))
        heirs(s);
    wires_character(s);
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static void
time_passes(struct sim *s)
{
    uint64_t kind = sim_draw(s, 100);
    uint64_t most = s->is_calm  ? 50000
                    : kind < 80 ? 2000
                    : kind < 98 ? 20000 * s->is.pace
                                : 250000 * s->is.pace;
    s->now_us += (int64_t)sim_draw(s, most);
}

static void
move_matchers(struct sim *s)
{
    for (uint32_t i = 0; i < s->matchers_count; i++) {
        struct sim_matcher *m = &s->matchers[i];
        if (!m->is_up && (s->now_us >= m->up_us || s->is_calm))
            sim_matcher_start(s, m);
        if (m->is_up && sim_fault(s, s->is.crash_matcher))
            sim_matcher_crash(s, m);
        if (m->is_up)
            sim_matcher_turn(s, m);
    }
    sim_links_turn(s);
}

static void
move_ledgers(struct sim *s)
{
    uint32_t first = (uint32_t)sim_draw(s, s->ledgers_count);
    for (uint32_t i = 0; i < s->ledgers_count; i++)
        if (!sim_fault(s, 150))
            sim_ledger_turn(&s->ledgers[(first + i) % s->ledgers_count]);
}

static void
step(struct sim *s)
{
    static void (*const movers[MOVERS])(struct sim * s) = {
        sim_market_turn,   sim_clients_turn, move_ledgers,    sim_database_turn,
        sim_gateways_turn, move_matchers,    sim_bridges_turn};
    time_passes(s);
    s->counts.turns++;
    for (uint64_t i = 0, from = sim_draw(s, MOVERS); i < MOVERS; i++) {
        if (sim_fault(s, 250))
            continue; /* this one sleeps through */
        movers[(from + i) % MOVERS](s);
        if (s->failure[0] != '\0')
            return;
    }
    judge_step(s);
}

/* ---- Rest ----------------------------------------------------------------------------------- */

/* Whether something, a beat for one, is under way between ledgers and matchers. */
static bool
is_spoken(const struct sim *s)
{
    for (uint32_t i = 0; i < s->matchers_count; i++)
        for (uint32_t k = 0; k < s->ledgers_count; k++)
            if (s->ledgers[k].is_linked[i] && (!wire_is_empty(&s->matchers[i].to_ledger[k]) ||
                                               !wire_is_empty(&s->matchers[i].from_ledger[k])))
                return true;
    return false;
}

static void
come_to_rest(struct sim *s)
{
    s->is_calm = true;
    int64_t began_us = s->now_us, rest_max_us = s->is.real > 0 ? REST_REAL_US : REST_MAX_US;
    const char *why = "";
    /* Longer than the silence that loses a session: whatever is wrong with a link has shown. */
    for (int64_t calm_us = s->now_us; s->failure[0] == '\0' && s->now_us - calm_us < 2000000;) {
        step(s);
        why = sim_unrest(s);
        if (why != NULL)
            calm_us = s->now_us;
        if (s->now_us - began_us > rest_max_us)
            sim_fail(s, "no rest within %lld virtual seconds: %s",
                     (long long)(rest_max_us / 1000000), why != NULL ? why : "never for long");
    }
    while (s->failure[0] == '\0' && (is_spoken(s) || sim_unrest(s) != NULL))
        step(s);
    if (s->failure[0] == '\0')
        judge_rest(s);
}

/* ---- A run ----------------------------------------------------------------------------------- */

static void
sim_new(struct sim *s)
{
    s->random = map_mix(s->seed + 1);
    s->now_us = SIM_START_US;
    s->fuse = -1;
    arena_init(&s->lists, aligned_alloc(16, LISTS_BYTES), LISTS_BYTES);
    arena_init(&s->said, aligned_alloc(16, LISTS_BYTES), LISTS_BYTES);
    CHECK(s->lists.bytes != NULL && s->said.bytes != NULL);
    character(s);
    judge_new(s);
    follow_new(s);
    sim_market_new(s);
    sim_database_new(s);
    sim_ledgers_new(s);
    sim_gateways_new(s);
    sim_mutate(s);
    sim_bridges_new(s);
    sim_clients_new(s);
}

static void
sim_free(struct sim *s)
{
    for (uint32_t i = 0; i < s->ledgers_count; i++)
        sim_ledger_free(&s->ledgers[i]);
    for (uint32_t i = 0; i < s->matchers_count; i++)
        sim_matcher_free(&s->matchers[i]);
    sim_mutate(NULL);
    sim_database_free(s);
    sim_gateways_free(s);
    sim_bridges_free(s);
    follow_free(s);
    judge_free(s);
    free(s->lists.bytes);
    free(s->said.bytes);
}

void
sim_run(struct sim *s)
{
    sim_new(s);
    for (s->step = 1; s->step <= s->steps && s->failure[0] == '\0'; s->step++)
        step(s);
    if (s->failure[0] == '\0')
        come_to_rest(s);
    s->counts.records = s->database.count;
    sim_free(s);
}
