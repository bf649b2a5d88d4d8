/*
 * sim_matcher.c - a matcher's process around the real core: sessions, beats, market, outbox.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define LEDGER    1u /* its peer number */
#define BEAT_US   500000
#define TIME_US   100000
#define OUT_SLOTS MATCH_OUT_MIN /* few, so that the core has to pause */

static const struct match_limits limits = {.books = {.orders_max = 4096,
                                                     .levels_max = 2048,
                                                     .house_levels_max = 512,
                                                     .books_max = SIM_SYMBOLS,
                                                     .queues_max = 2048,
                                                     .stories_max = 4096},
                                           .ledgers_max = 2,
                                           .silence_us = 1500000,
                                           .ask_again_us = 300000,
                                           .tell_again_us = 200000,
                                           .errands_max = 64};

/* Answers belong to the session that the core took over. */
static void
session_follow(struct sim_matcher *m)
{
    const struct link *l = match_link(m->core, LEDGER);
    CHECK(l != NULL);
    bus_set_epoch(m->bus, l->epoch);
    bus_set_session(m->bus, LEDGER, l->session);
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
        if (o->msg.type == MSG_link_ready || o->msg.type == MSG_link_lost)
            session_follow(m);
        if (o->msg.type == MSG_order_report)
            twin_told(s, m->twin, &o->msg.order_report, o->msg.corr);
        sim_trace(s, "matcher", "says", &o->msg);
        bus_put(m->bus, o->peer, o->msg.type, o->msg.corr, &o->msg.frame);
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
    twin_after(s, m->twin, m->core, msg);
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
    twin_after(m->loop.sim, m->twin, m->core, NULL);
}

void
sim_matcher_start(struct sim *s, struct sim_matcher *m)
{
    char endpoint[16];
    snprintf(endpoint, sizeof endpoint, "sim:bound%u", m->index);
    m->is_up = true;
    m->loop.sim = s;
    m->loop.skew_us = (int64_t)sim_draw(s, 40000) - 20000;
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
    wire_break(s, &m->to_ledger);
    wire_break(s, &m->from_ledger);
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
    wire_clear(&m->to_ledger);
    wire_clear(&m->from_ledger);
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
    const struct link *l = match_link(m->core, LEDGER);
    bool is_live = l != NULL && (l->state == LINK_SYNCING || l->state == LINK_WORKING);
    if (!is_live || s->now_us - m->beat_us < BEAT_US)
        return;
    m->beat_us = s->now_us;
    const struct link_beat beat = {.frames = bus_frames_sent(m->bus, LEDGER)};
    bus_put(m->bus, LEDGER, MSG_link_beat, 0, &beat);
}

void
sim_matcher_turn(struct sim *s, struct sim_matcher *m)
{
    hear_market(s, m);
    carry_out_due(s, m);
    sim_loop_deliver(&m->loop, (uint32_t)sim_draw(s, 20));
    upkeep(s, m);
    sim_loop_flush(&m->loop);
}
