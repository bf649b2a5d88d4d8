/*
 * sim_matcher.c - a matcher's process around the real core: sessions, beats, market, outbox.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define BEAT_US   500000
#define TIME_US   100000
#define OUT_SLOTS MATCH_OUT_MIN /* few, so that the core has to pause */

static const struct match_limits limits = {.books = {.orders_max = 1024,
                                                     .levels_max = 1024,
                                                     .house_levels_max = 512,
                                                     .books_max = SIM_SYMBOLS,
                                                     .queues_max = 1024,
                                                     .stories_max = 1024},
                                           .ledgers_max = 2,
                                           .silence_us = 1500000,
                                           .ask_again_us = 300000,
                                           .tell_again_us = 200000,
                                           .errands_max = 64};

/* Frames to a ledger bear the epoch and session that the core took over. */
static void
say_session(struct sim_matcher *m, uint32_t peer)
{
    const struct link *l = match_link(m->core, peer);
    CHECK(peer > 0 && peer < SIM_PEERS);
    if (l == NULL || peer > SIM_GROUPS_MAX)
        return;
    struct frame *said = &m->said[peer - 1];
    if (said->epoch == l->epoch && said->session == l->session)
        return;
    *said = (struct frame){.epoch = l->epoch, .session = l->session};
    bus_set_peer_epoch(m->bus, peer, l->epoch);
    bus_set_session(m->bus, peer, l->session);
}

static void
carry_out(struct sim *s, struct sim_matcher *m)
{
    for (uint32_t i = 0; i < m->out.count; i++) {
        const struct out *o = &m->out.slots[i];
        if (o->to == OUT_MARKET) {
            sim_market_answer(s, m, &o->msg);
            continue;
        }
        say_session(m, o->peer);
        const struct link *l = match_link(m->core, o->peer);
        if (o->msg.type == MSG_order_report)
            twin_told(s, m->twin, &o->msg.order_report, o->msg.corr,
                      l != NULL ? (uint32_t)(l - m->core->links) : 0);
        sim_trace(s, "matcher", "says", &o->msg);
        bus_put(m->bus, o->peer, o->msg.type, o->msg.corr, msg_body_const(&o->msg));
    }
    outbox_clear(&m->out);
}

/* Until the core has said all. */
static void
drain(struct sim *s, struct sim_matcher *m)
{
    carry_out(s, m);
    while (match_busy(m->core)) {
        match_resume(m->core, &m->out);
        carry_out(s, m);
    }
}

/* What is due by now happens before anything that comes now. */
static void
carry_out_due(struct sim *s, struct sim_matcher *m)
{
    if (match_next_us(m->core) > loop_now_us(&m->loop))
        return;
    twin_before(m->twin, m->core);
    match_due(m->core, loop_now_us(&m->loop), &m->out);
    drain(s, m);
    twin_due(s, m->twin, m->core);
}

static void
apply(struct sim *s, struct sim_matcher *m, uint32_t peer, const struct frame *f,
      const struct msg *msg)
{
    carry_out_due(s, m);
    twin_before(m->twin, m->core);
    match_apply(m->core, peer, f, msg, loop_now_us(&m->loop), &m->out);
    drain(s, m);
    twin_after(s, m->twin, m->core, f, msg);
}

static void
on_msg(void *arg, const struct bus_in *in)
{
    struct sim_matcher *m = arg;
    apply(m->loop.sim, m, in->peer, in->frame, in->msg);
}

static void
on_bad_frame(void *arg, uint32_t peer, enum err why)
{
    struct sim_matcher *m = arg;
    (void)why;
    twin_before(m->twin, m->core);
    match_unreadable(m->core, peer, loop_now_us(&m->loop), &m->out);
    carry_out(m->loop.sim, m);
    twin_after(m->loop.sim, m->twin, m->core, NULL, NULL);
}

static void
clock_read(struct sim *s, struct sim_matcher *m)
{
    if (sim_fault(s, s->is.clock)) {
        m->loop.skew_us = sim_skew(s);
        s->counts.clock_steps++;
    }
    m->loop.now_us = s->now_us + m->loop.skew_us;
    m->loop.steady_us = s->now_us;
}

void
sim_matcher_start(struct sim *s, struct sim_matcher *m)
{
    char endpoint[16];
    snprintf(endpoint, sizeof endpoint, "sim:bound%u", m->index);
    m->is_up = true;
    m->loop.sim = s;
    m->loop.skew_us = sim_skew(s);
    clock_read(s, m);
    memset(m->said, 0, sizeof m->said);
    m->memory = aligned_alloc(64, (match_bytes(&limits) + 63) & ~(size_t)63);
    CHECK(m->memory != NULL);
    memset(m->memory, 0, match_bytes(&limits));
    m->core = match_init(&limits, m->memory);
    m->twin = twin_new(&limits);
    m->bus = bus_open(&m->loop, &(struct bus_options){.role = BUS_SERVE,
                                                      .endpoint = endpoint,
                                                      .name = "matcher",
                                                      .arg = m,
                                                      .on_msg = on_msg,
                                                      .on_bad_frame = on_bad_frame});
    if (m->out.slots == NULL) {
        struct out *slots = calloc(OUT_SLOTS, sizeof *slots);
        void *bytes = aligned_alloc(16, MATCH_OUT_BYTES);
        CHECK(slots != NULL && bytes != NULL);
        outbox_init(&m->out, slots, OUT_SLOTS, bytes, MATCH_OUT_BYTES);
    }
    for (uint32_t i = 0; i < SIM_SYMBOLS; i++)
        if (s->symbols[i].matcher == m->index) {
            match_watch(m->core, s->symbols[i].code, loop_now_us(&m->loop), &m->out);
            twin_watch(m->twin, s->symbols[i].code);
            carry_out(s, m);
        }
}

void
sim_matcher_crash(struct sim *s, struct sim_matcher *m)
{
    s->counts.crashes_matcher++;
    sim_trace(s, "matcher", "dies", NULL);
    m->is_up = false;
    bus_close(&m->bus);
    twin_destroy(&m->twin);
    free(m->memory);
    m->memory = NULL;
    outbox_clear(&m->out);
    for (uint32_t i = 0; i < s->ledgers_count; i++)
        sim_link_down(s, m, &s->ledgers[i]);
    wire_clear(&m->market);
    m->up_us = s->now_us + (int64_t)sim_draw(s, 2500000);
}

void
sim_matcher_free(struct sim_matcher *m)
{
    if (m->is_up)
        bus_close(&m->bus);
    twin_destroy(&m->twin);
    free(m->memory);
    free(m->out.slots);
    free(m->out.lists.bytes);
    for (uint32_t i = 0; i < SIM_LEDGERS_MAX; i++) {
        wire_clear(&m->to_ledger[i]);
        wire_clear(&m->from_ledger[i]);
    }
    wire_clear(&m->market);
}

static void
hear_market(struct sim *s, struct sim_matcher *m)
{
    struct packet *p;
    while ((p = wire_take(s, &m->market)) != NULL) {
        struct msg msg;
        size_t at = 0;
        arena_reset(&s->lists);
        CHECK(msg_unpack(p->data, p->length, &at, &s->lists, &msg) == OK);
        apply(s, m, 0, NULL, &msg);
        free(p);
    }
}

static void
upkeep(struct sim *s, struct sim_matcher *m)
{
    if (s->now_us - m->time_us >= TIME_US) {
        m->time_us = s->now_us;
        twin_before(m->twin, m->core);
        match_time(m->core, loop_now_us(&m->loop), &m->out);
        drain(s, m);
        twin_due(s, m->twin, m->core);
    }
    if (s->now_us - m->beat_us < BEAT_US)
        return;
    m->beat_us = s->now_us;
    for (uint32_t i = 0; i < m->core->links_count; i++) {
        const struct link *l = &m->core->links[i];
        if (l->state != LINK_SYNCING && l->state != LINK_WORKING)
            continue;
        const struct link_beat beat = {.frames = bus_frames_sent(m->bus, l->peer)};
        bus_put(m->bus, l->peer, MSG_link_beat, 0, &beat);
    }
}

void
sim_matcher_turn(struct sim *s, struct sim_matcher *m)
{
    clock_read(s, m);
    hear_market(s, m);
    carry_out_due(s, m);
    sim_loop_deliver(&m->loop, (uint32_t)sim_draw(s, 20));
    upkeep(s, m);
    if (sim_fault(s, s->is.crash_matcher / 2)) {
        sim_matcher_crash(s, m); /* what it has to say is lost */
        return;
    }
    (void)sim_loop_flush(&m->loop, 0, UINT32_MAX);
}

/* ---- Connections of ledgers ----------------------------------------------------------------- */

void
sim_link_down(struct sim *s, struct sim_matcher *m, struct sim_ledger *l)
{
    uint32_t *holder = &m->holder[l->group];
    if (*holder == l->index)
        *holder = SIM_NOBODY;
    l->is_linked[m->index] = false;
    l->link_us[m->index] = s->now_us + 20000 + (int64_t)sim_draw(s, 480000);
    wire_break(s, &m->to_ledger[l->index]);
    wire_break(s, &m->from_ledger[l->index]);
}

/* Who connects under a name takes it over, and the one who had it is disconnected. */
void
sim_link_up(struct sim *s, struct sim_matcher *m, struct sim_ledger *l)
{
    uint32_t holder = m->holder[l->group];
    if (holder != SIM_NOBODY)
        sim_link_down(s, m, &s->ledgers[holder]);
    m->holder[l->group] = l->index;
    l->is_linked[m->index] = true;
}

void
sim_links_turn(struct sim *s)
{
    for (uint32_t i = 0; i < s->ledgers_count; i++) {
        struct sim_ledger *l = &s->ledgers[i];
        bool is_awake = sim_ledger_serves(l) && (s->now_us >= l->frozen_us || s->is_calm);
        for (uint32_t k = 0; k < s->matchers_count && is_awake; k++) {
            struct sim_matcher *m = &s->matchers[k];
            if (l->is_linked[k] && sim_fault(s, s->is.move))
                sim_link_down(s, m, l);
            else if (!l->is_linked[k] && m->is_up && s->now_us >= l->link_us[k])
                sim_link_up(s, m, l);
        }
    }
}
