/*
 * sim.c - the seeded simulation: chooses who moves next and what breaks, and tells how it went.
 *
 *   sim [--seed N] [--runs R] [--steps M] [--mutation NAME] [--expect-failure] [--verbose]
 *
 * One run is one seed; R runs take the seeds N, N + 1, ... After M steps the faults stop, the
 * clients get their answers, and the judge compares everything. A run that fails prints the
 * command that tells its story again. With a mutation the simulation does something wrong on
 * purpose; --expect-failure then ends well only when that was seen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"

#define LISTS_BYTES (1u << 20)
#define REST_MAX_US INT64_C(60000000) /* virtual; by then everybody must have an answer */

struct arguments {
    uint64_t seed;
    uint32_t runs, steps;
    enum sim_mutation mutation;
    bool expect_failure, is_verbose;
};

static const char *const mutations[] = {
#define SIM_NAME(name, sentence) #name,
    SIM_MUTATIONS(SIM_NAME)
#undef SIM_NAME
};

/* What is being run, for a CHECK or a sanitizer that ends the process. */
static char story[160];

static void
on_abort(int signal)
{
    (void)signal;
    ssize_t done = write(STDERR_FILENO, story, strlen(story));
    (void)done;
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void
on_death(void)
{
    on_abort(0);
}

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
wire_character(struct sim *s, struct wire *w, bool is_clients)
{
    w->delay_us = 1 + (int64_t)sim_draw(s, 3000);
    w->lost = rate(s, is_clients ? 20 : 6);
    w->doubled = is_clients ? rate(s, 40) : 0;
    w->damaged = rate(s, 2);
}

static void
character(struct sim *s)
{
    s->accounts = 3 + (uint32_t)sim_draw(s, SIM_ACCOUNTS_MAX - 3);
    s->matchers_count = 1 + (uint32_t)sim_draw(s, SIM_MATCHERS_MAX);
    s->crash_ledger = rate(s, 3);
    s->crash_matcher = rate(s, 2);
    s->store_break = rate(s, 3);
    s->store_refuse = rate(s, 20);
    s->store_slow = rate(s, 10);
    s->wish = 100 + (uint32_t)sim_draw(s, 500);
    s->tick = 50 + (uint32_t)sim_draw(s, 400);
    s->market_gap = rate(s, 4);
    s->patience = 400 + (uint32_t)sim_draw(s, 500);
    s->split = rate(s, 100);
    s->spread = 1 + (uint32_t)sim_draw(s, 15);
    s->favourites = 1 + (uint32_t)sim_draw(s, SIM_SYMBOLS);
    for (uint32_t i = 0; i < SIM_GATEWAYS; i++) {
        wire_character(s, &s->to_ledger[i], true);
        wire_character(s, &s->from_ledger[i], false);
    }
    for (uint32_t i = 0; i < s->matchers_count; i++) {
        s->matchers[i].index = i;
        wire_character(s, &s->matchers[i].to_ledger, false);
        wire_character(s, &s->matchers[i].from_ledger, false);
        s->matchers[i].market.delay_us = 1 + (int64_t)sim_draw(s, 3000);
        s->matchers[i].market.lost = rate(s, 3);
    }
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static void
time_passes(struct sim *s)
{
    uint64_t kind = sim_draw(s, 100);
    uint64_t most = kind < 80 ? 2000 : kind < 98 ? 40000 : 500000;
    s->now_us += (int64_t)sim_draw(s, s->is_calm ? 20000 : most);
}

static void
move_ledger(struct sim *s)
{
    struct sim_ledger *l = &s->ledger;
    if (l->is_up)
        sim_ledger_turn(s);
    else if (l->is_store_up && (s->now_us >= l->up_us || s->is_calm))
        sim_ledger_start(s);
}

static void
move_matcher(struct sim *s, struct sim_matcher *m)
{
    if (!m->is_up && (s->now_us >= m->up_us || s->is_calm))
        sim_matcher_start(s, m);
    if (m->is_up && !s->is_calm && sim_chance(s, s->crash_matcher))
        sim_matcher_crash(s, m);
    if (m->is_up)
        sim_matcher_turn(s, m);
}

static void
step(struct sim *s)
{
    time_passes(s);
    s->counts.turns++;
    for (uint64_t i = 0, from = sim_draw(s, 5); i < 5; i++) {
        if (!s->is_calm && sim_chance(s, 250))
            continue; /* this one sleeps through */
        switch ((from + i) % 5) {
        case 0:
            sim_market_turn(s);
            break;
        case 1:
            sim_clients_turn(s);
            break;
        case 2:
            move_ledger(s);
            break;
        case 3:
            sim_store_turn(s);
            break;
        default:
            for (uint32_t k = 0; k < s->matchers_count; k++)
                move_matcher(s, &s->matchers[k]);
        }
        if (s->failure[0] != '\0')
            return;
    }
    judge_step(s);
}

/* ---- Rest ----------------------------------------------------------------------------------- */

/* NULL, or what is still under way. */
static const char *
unrest(const struct sim *s)
{
    const struct sim_ledger *l = &s->ledger;
    if (!l->is_up || !l->is_store_up)
        return "the ledger is down";
    if (sim_clients_waiting(s) > 0)
        return "a client waits for an answer";
    for (uint32_t i = 0; i < s->matchers_count; i++)
        if (!s->matchers[i].is_up)
            return "a matcher is down";
    for (uint32_t i = 0; i < SIM_GATEWAYS; i++)
        if (!wire_is_empty(&s->to_ledger[i]))
            return "a request is under way";
    if (links_working(l->serve.links) != s->matchers_count)
        return "a link is not working";
    for (uint32_t i = 0; i < l->serve.ledger.orders_reached; i++)
        if (ledger_is_pulled(&l->serve.ledger, i) && ledger_next_open(&l->serve.ledger, i) == i)
            return "a cancel has not ended";
    return journal_is_empty(l->serve.journal) ? NULL : "a commit is under way";
}

/* Whether something, a beat for one, is under way between ledger and matchers. */
static bool
is_spoken(const struct sim *s)
{
    for (uint32_t i = 0; i < s->matchers_count; i++)
        if (!wire_is_empty(&s->matchers[i].to_ledger) ||
            !wire_is_empty(&s->matchers[i].from_ledger))
            return true;
    return false;
}

static void
come_to_rest(struct sim *s)
{
    s->is_calm = true;
    s->crash_after = -1;
    int64_t began_us = s->now_us;
    const char *why = "";
    /* Twice the silence that loses a session: whatever is wrong with the link has shown by then. */
    for (int64_t calm_us = s->now_us; s->failure[0] == '\0' && s->now_us - calm_us < 3000000;) {
        step(s);
        why = unrest(s);
        if (why != NULL)
            calm_us = s->now_us;
        if (s->now_us - began_us > REST_MAX_US)
            sim_fail(s, "no rest within %lld virtual seconds: %s",
                     (long long)(REST_MAX_US / 1000000), why != NULL ? why : "never for long");
    }
    while (s->failure[0] == '\0' && (is_spoken(s) || unrest(s) != NULL))
        step(s);
    if (s->failure[0] == '\0')
        judge_rest(s);
}

/* ---- Runs ----------------------------------------------------------------------------------- */

static void
sim_new(struct sim *s, const struct arguments *a, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->seed = seed;
    s->random = map_mix(seed + 1);
    s->mutation = a->mutation;
    s->is_verbose = a->is_verbose;
    s->steps = a->steps;
    s->now_us = SIM_START_US;
    s->crash_after = -1;
    arena_init(&s->lists, aligned_alloc(16, LISTS_BYTES), LISTS_BYTES);
    arena_init(&s->said, aligned_alloc(16, LISTS_BYTES), LISTS_BYTES);
    CHECK(s->lists.bytes != NULL && s->said.bytes != NULL);
    character(s);
    judge_new(s);
    sim_market_new(s);
    sim_ledger_new(s);
    sim_ledger_mutate(s);
    sim_clients_new(s);
}

static void
sim_free(struct sim *s)
{
    sim_ledger_free(s);
    for (uint32_t i = 0; i < s->matchers_count; i++)
        sim_matcher_free(&s->matchers[i]);
    for (uint32_t i = 0; i < SIM_GATEWAYS; i++) {
        wire_clear(&s->to_ledger[i]);
        wire_clear(&s->from_ledger[i]);
    }
    judge_free(s);
    free(s->lists.bytes);
    free(s->said.bytes);
}

static void
tell_counts(const struct sim *s)
{
    const struct sim_counts *c = &s->counts;
    printf("  seed %llu: %lld virtual ms, %llu requests, %llu answers, %llu refusals, %llu orders, "
           "%llu fills, %llu lists, %llu replacements, %llu amendments, %llu set off, "
           "%llu records, %llu lookups, %llu events, %llu frames lost of %llu, "
           "%llu + %llu crashes, %llu store breaks\n",
           (unsigned long long)s->seed, (long long)((s->now_us - SIM_START_US) / 1000),
           (unsigned long long)c->requests, (unsigned long long)c->answers,
           (unsigned long long)c->refusals, (unsigned long long)c->orders,
           (unsigned long long)c->fills, (unsigned long long)c->lists,
           (unsigned long long)c->replaced, (unsigned long long)c->trimmed,
           (unsigned long long)c->triggered, (unsigned long long)c->records,
           (unsigned long long)c->lookups, (unsigned long long)c->events,
           (unsigned long long)c->lost, (unsigned long long)c->sent,
           (unsigned long long)c->crashes_ledger, (unsigned long long)c->crashes_matcher,
           (unsigned long long)c->store_breaks);
}

/* Whether all was well. */
static bool
run(const struct arguments *a, uint64_t seed, bool tells)
{
    static struct sim s;
    snprintf(story, sizeof story, "\nseed %llu: again with sim --seed %llu --steps %u%s%s\n",
             (unsigned long long)seed, (unsigned long long)seed, a->steps,
             a->mutation != SIM_none ? " --mutation " : "",
             a->mutation != SIM_none ? mutations[a->mutation] : "");
    sim_new(&s, a, seed);
    for (s.step = 1; s.step <= a->steps && s.failure[0] == '\0'; s.step++)
        step(&s);
    if (s.failure[0] == '\0')
        come_to_rest(&s);
    bool is_well = s.failure[0] == '\0';
    if (tells || a->is_verbose)
        tell_counts(&s);
    if (!is_well && !a->expect_failure)
        printf("FAILED at step %u: %s%s", s.step, s.failure, story);
    else if (!is_well)
        printf("seen at seed %llu, step %u: %s\n", (unsigned long long)seed, s.step, s.failure);
    sim_free(&s);
    return is_well;
}

static enum sim_mutation
mutation_by_name(const char *name)
{
    for (int i = 0; i < SIM_MUTATION_COUNT; i++)
        if (strcmp(name, mutations[i]) == 0)
            return (enum sim_mutation)i;
    fprintf(stderr, "sim: there is no mutation %s\n", name);
    exit(2);
}

static void
arguments_read(struct arguments *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--verbose") == 0)
            a->is_verbose = true;
        else if (strcmp(argv[i], "--expect-failure") == 0)
            a->expect_failure = true;
        else if (strcmp(argv[i], "--seed") == 0)
            a->seed = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--runs") == 0)
            a->runs = (uint32_t)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--steps") == 0)
            a->steps = (uint32_t)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--mutation") == 0)
            a->mutation = mutation_by_name(value), i++;
        else {
            fprintf(stderr, "sim: %s is not known; see the head of sim.c\n", argv[i]);
            exit(2);
        }
    }
}

int
main(int argc, char **argv)
{
    struct arguments a = {.seed = 1, .runs = 1, .steps = 2000};
    arguments_read(&a, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(on_death);
    log_open("sim", a.is_verbose ? LOG_DEBUG : LOG_ERROR + 1);
    uint32_t failures = 0;
    for (uint32_t i = 0; i < a.runs; i++) {
        failures += !run(&a, a.seed + i, a.runs == 1);
        if (failures > 0 && (a.expect_failure || failures == 3))
            break;
    }
    if (!a.expect_failure && failures == 0)
        printf("%u runs of %u steps: all is well\n", a.runs, a.steps);
    if (a.expect_failure && failures == 0)
        printf("NOT SEEN: %s in %u runs\n", mutations[a.mutation], a.runs);
    return (failures > 0) != a.expect_failure;
}
