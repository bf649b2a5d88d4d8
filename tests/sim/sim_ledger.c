/*
 * sim_ledger.c - the ledger's processes: the real serve.c and what it drives, from start to death.
 *
 * A turn comes in parts. Between two of them the process may be frozen for a while, and wakes with
 * the clock, the buffers and the beliefs that it had; inside of one it may die at any edge to the
 * world. Which of them is owner is decided in the database alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/sim.h"

/* Whose code runs, for __wrap__exit(). */
static struct sim *at_work;

bool
sim_ledger_serves(const struct sim_ledger *l)
{
    return l->serve != NULL && l->serve->serve != NULL;
}

bool
sim_ledger_is_deposed(const struct sim_ledger *l)
{
    return l->serve != NULL && l->serve->epoch != 0 &&
           l->serve->epoch != l->sim->groups[l->group].epoch;
}

struct sim_ledger *
sim_owner(struct sim *s, uint32_t group)
{
    for (uint32_t i = 0; i < s->ledgers_count; i++) {
        struct sim_ledger *l = &s->ledgers[i];
        if (l->group == group && sim_ledger_serves(l) && !sim_ledger_is_deposed(l))
            return l;
    }
    return NULL;
}

/* ---- Start and end --------------------------------------------------------------------------- */

static void
start(struct sim_ledger *l)
{
    struct sim *s = l->sim;
    void *state = NULL;
    l->is_up = true;
    l->has_served = false;
    l->part = PART_STORE;
    l->flush_from = 0;
    l->frozen_us = l->frozen_at = l->woke_us = l->slept_us = 0;
    memset(l->published, 0, sizeof l->published);
    memset(&l->loop, 0, sizeof l->loop);
    l->loop.sim = s;
    l->loop.ledger = l;
    l->loop.apart_us = l->apart_us;
    l->loop.skew_us = sim_skew(s);
    l->loop.now_us = s->now_us + l->apart_us + l->loop.skew_us;
    l->loop.steady_us = s->now_us;
    l->host = (struct host){&l->loop, "ledger", l->name};
    sim_note(s, "ledger", l->index, "starts");
    enum err e = serve_start(&l->host, &l->config, &state);
    CHECK(e == OK);
    l->serve = state;
}

/* Gateways and matchers lose their connections; what was under way arrives or does not. */
static void
disconnect(struct sim_ledger *l)
{
    struct sim *s = l->sim;
    for (uint32_t i = 0; i < s->matchers_count; i++)
        sim_link_down(s, &s->matchers[i], l);
    sim_bridges_disconnect(s, l);
    for (uint32_t i = 0; i < SIM_GATEWAYS; i++) {
        wire_break(s, &s->asks[i][l->index]);
        wire_break(s, &s->answers[i][l->index]);
        wire_break(s, &s->events[i][l->index]);
    }
}

/* Memory and what was buffered are gone; what was sent to the database may be done or not. */
static void
end(struct sim_ledger *l)
{
    struct sim *s = l->sim;
    serve_stop(l->serve);
    sim_loop_end(&l->loop);
    l->serve = NULL;
    l->is_up = false;
    disconnect(l);
    l->up_us = s->now_us + (int64_t)sim_draw(s, sim_chance(s, 500) ? 100000 : 1500000);
}

_Noreturn void __wrap__exit(int status);
_Noreturn void __real__exit(int status);

/* A process that ends itself: it was deposed. */
void
__wrap__exit(int status)
{
    if (at_work == NULL)
        __real__exit(status);
    longjmp(at_work->death, 2);
}

/* ---- A turn ---------------------------------------------------------------------------------- */

static void
clock_read(struct sim_ledger *l)
{
    struct sim *s = l->sim;
    if (sim_fault(s, s->is.clock)) {
        l->loop.skew_us = sim_skew(s);
        s->counts.clock_steps++;
    }
    l->loop.steady_us = s->now_us;
    l->loop.now_us = s->now_us + l->loop.apart_us + l->loop.skew_us;
}

/* Its doors are open: the address leads here, at once or soon. */
static void
serves_now(struct sim_ledger *l)
{
    struct sim *s = l->sim;
    struct sim_group *g = &s->groups[l->group];
    if (l->has_served || !sim_ledger_serves(l))
        return;
    l->has_served = true;
    s->counts.takeovers++;
    sim_note(s, "ledger", l->index, "serves");
    g->served_us[1] = g->served_us[0];
    g->served_us[0] = s->now_us;
    g->next_address = l->index;
    g->address_us = s->now_us + (int64_t)(sim_fault(s, 300) ? sim_draw(s, 600000) : 0);
    for (uint32_t i = 0; i < s->matchers_count; i++)
        l->link_us[i] = s->now_us + (int64_t)sim_draw(s, 20000);
}

static void
run_part(struct sim_ledger *l)
{
    struct sim *s = l->sim;
    switch (l->part) {
    case PART_STORE:
        clock_read(l);
        sim_session_turn(l->session);
        break;
    case PART_FRAMES:
        sim_loop_deliver(&l->loop, (uint32_t)sim_draw(s, 30));
        break;
    case PART_TIMERS:
        sim_loop_timers(&l->loop);
        break;
    case PART_TURN:
        l->loop.on_turn(l->loop.turn_arg);
        serves_now(l);
        break;
    case PART_SEND:
        l->flush_from = sim_loop_flush(&l->loop, l->flush_from, 1 + (uint32_t)sim_draw(s, 8));
        if (l->flush_from != 0)
            return;
        break;
    case PARTS:
        break;
    }
    l->part = (l->part + 1) % PARTS;
}

static void
freeze(struct sim_ledger *l)
{
    struct sim *s = l->sim;
    s->counts.freezes++;
    l->frozen_at = s->now_us;
    int64_t most = sim_chance(s, 300) ? 100000 : sim_chance(s, 900) ? 2500000 : 2 * SIM_KEEP_US;
    l->frozen_us = s->now_us + (int64_t)sim_draw(s, (uint64_t)most);
    sim_note(s, "ledger", l->index, "freezes");
}

/* To the end of the turn, or to where something comes between. */
static void
run_turn(struct sim_ledger *l)
{
    struct sim *s = l->sim;
    if (l->part == PART_STORE && sim_fault(s, s->is.drain))
        serve_drain(l->serve);
    do {
        run_part(l);
        if (sim_fault(s, s->is.freeze)) {
            freeze(l);
            return;
        }
        if (sim_fault(s, s->is.interrupt))
            return;
    } while (l->part != PART_STORE && s->failure[0] == '\0');
}

static void
live(struct sim_ledger *l)
{
    struct sim *s = l->sim;
    at_work = s;
    s->running = l;
    s->fuse = sim_fault(s, s->is.crash_ledger) ? (int)sim_draw(s, 60) : -1;
    int death = setjmp(s->death);
    if (death == 0)
        run_turn(l);
    at_work = NULL;
    s->running = NULL;
    bool dies_idle = death == 0 && s->fuse >= 0;
    s->fuse = -1;
    if (death == 2) {
        s->counts.deposed++;
        sim_note(s, "ledger", l->index, "is fenced");
        if (!sim_ledger_is_deposed(l))
            sim_fail(s, "ledger %u is owner and was fenced", l->index);
        end(l);
    } else if (death == 1 || dies_idle) {
        s->counts.crashes_ledger++;
        sim_note(s, "ledger", l->index, "dies");
        end(l);
    } else if (l->loop.is_stopped) {
        sim_note(s, "ledger", l->index, "has drained");
        (void)sim_loop_flush(&l->loop, 0, UINT32_MAX);
        end(l);
    }
}

void
sim_ledger_turn(struct sim_ledger *l)
{
    struct sim *s = l->sim;
    if (!l->is_up) {
        if (s->now_us >= l->up_us || s->is_calm)
            start(l);
        return;
    }
    if (s->now_us < l->frozen_us && !s->is_calm) {
        /* Somebody on the way to the database gives it up. */
        if (l->session != NULL && sim_chance(s, 30))
            sim_session_cut(s, l->session);
        return;
    }
    if (l->frozen_at != 0) {
        sim_note(s, "ledger", l->index, "wakes");
        l->woke_us = s->now_us;
        l->slept_us = s->now_us - l->frozen_at;
        l->frozen_at = 0;
    }
    live(l);
}

/* ---- Life ------------------------------------------------------------------------------------ */

void
sim_ledgers_new(struct sim *s)
{
    for (uint32_t i = 0; i < s->ledgers_count; i++) {
        struct sim_ledger *l = &s->ledgers[i];
        l->sim = s;
        l->index = i;
        l->group = i % s->groups_count;
        if (s->is.are_apart)
            l->apart_us = (int64_t)sim_draw(s, SIM_APART_US) - SIM_APART_US / 2;
        l->loop.sim = s;
        snprintf(l->name, sizeof l->name, "ledger-%u%c", l->group, (char)('a' + i));
        snprintf(l->matchers, sizeof l->matchers, "%s",
                 s->matchers_count == 1 ? "sim:matcher0" : "sim:matcher0,sim:matcher1");
        l->config = (struct ledger_config){.serve_endpoint = "sim:serve",
                                           .publish_endpoint = "sim:publish",
                                           .matcher_endpoints = l->matchers,
                                           .bridge_endpoints = "sim:bridge0,sim:bridge1",
                                           .database = "",
                                           .shards = s->groups_count == 1 ? "0 1"
                                                     : l->group == 0      ? "0 2"
                                                                          : "1 2",
                                           .group = l->group,
                                           .check_seconds = 1,
                                           .batch_records_max = 1024,
                                           .batch_bytes_max = 1 << 20,
                                           .held_max = 4 * LEDGER_OUT_MAX,
                                           .commit_delay_us = 2000};
    }
    for (uint32_t i = 0; i < s->groups_count; i++)
        s->groups[i].address = s->groups[i].next_address = i;
}

void
sim_ledger_free(struct sim_ledger *l)
{
    if (l->serve != NULL) {
        serve_stop(l->serve);
        sim_loop_end(&l->loop);
    }
    l->serve = NULL;
}
