/*
 * sim_gateway.c - three gateways: the real table of requests in flight, and connections that break,
 * move, and lead to ledgers that were deposed.
 *
 * The address of a group leads to the ledger that opened its doors last, at once or a little
 * later. A gateway keeps the connection that it has: to the old owner, while that lives.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define CALLS_MAX 128
#define RESEND_US 400000
#define SILENT_US 1500000 /* three beats of the connection; and of the server */

/* ---- Connections ----------------------------------------------------------------------------- */

static bool
is_reachable(const struct sim *s, const struct sim_ledger *l)
{
    return sim_ledger_serves(l) && (s->now_us >= l->frozen_us || s->is_calm);
}

/* Whether a connection to it ends: its process did, it was silent for too long, or just so;
 * `elsewhere` of 1000 while the address leads to another. */
static bool
is_ended(struct sim *s, const struct sim_ledger *l, uint32_t elsewhere)
{
    bool is_silent = !is_reachable(s, l) && s->now_us - l->frozen_at > SILENT_US;
    bool is_elsewhere = s->groups[l->group].address != l->index;
    return !sim_ledger_serves(l) || is_silent ||
           sim_fault(s, is_elsewhere ? elsewhere : s->is.move);
}

/* Where the group's address leads, if somebody is there. */
static struct sim_ledger *
at_address(struct sim *s, uint32_t group)
{
    struct sim_group *g = &s->groups[group];
    if (s->now_us >= g->address_us)
        g->address = g->next_address;
    if (!sim_ledger_serves(&s->ledgers[g->address])) {
        struct sim_ledger *owner = sim_owner(s, group);
        if (owner != NULL)
            g->address = g->next_address = owner->index;
    }
    struct sim_ledger *l = &s->ledgers[g->address];
    return is_reachable(s, l) ? l : NULL;
}

static void
connect_requests(struct sim *s, uint32_t number, uint32_t group)
{
    struct sim_gateway *g = &s->gateways[number];
    uint32_t *target = &g->target[group];
    if (*target != SIM_NOBODY && is_ended(s, &s->ledgers[*target], 5)) {
        wire_break(s, &s->asks[number][*target]);
        wire_break(s, &s->answers[number][*target]);
        *target = SIM_NOBODY;
        g->link_us[group] = s->now_us + 20000 + (int64_t)sim_draw(s, 480000);
        gw_link(&g->gw, s->now_us, group, false);
    }
    struct sim_ledger *l = s->now_us >= g->link_us[group] ? at_address(s, group) : NULL;
    if (*target != SIM_NOBODY || l == NULL)
        return;
    *target = l->index;
    gw_link(&g->gw, s->now_us, group, true);
}

static void
connect_events(struct sim *s, uint32_t number, uint32_t group)
{
    struct sim_gateway *g = &s->gateways[number];
    uint32_t *follows = &g->follows[group];
    if (*follows != SIM_NOBODY && is_ended(s, &s->ledgers[*follows], 100)) {
        wire_break(s, &s->events[number][*follows]);
        *follows = SIM_NOBODY;
        g->follow_us[group] = s->now_us + 20000 + (int64_t)sim_draw(s, 480000);
    }
    struct sim_ledger *l = s->now_us >= g->follow_us[group] ? at_address(s, group) : NULL;
    if (*follows == SIM_NOBODY && l != NULL)
        *follows = l->index;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void
transmit(struct sim *s, uint32_t number, uint32_t group, const uint8_t *data, size_t length)
{
    struct sim_gateway *g = &s->gateways[number];
    struct frame head = {.session = 0};
    char name[16];
    snprintf(name, sizeof name, "gateway-%u", number);
    head.sender = code_of(name);
    if (g->target[group] == SIM_NOBODY)
        return;
    bytes_clear(&g->packed);
    msg_pack_body(&g->packed, MSG_frame, 0, &head);
    bytes_add(&g->packed, data, length);
    wire_send(s, &s->asks[number][g->target[group]], g->packed.data, g->packed.length);
}

/* Whether it must not be lost: what changes something, and what waits for a change. */
static bool
matters(const struct msg *m)
{
    return msg_layout(m->type)->effect[0] == 'M' || m->type == MSG_order_cancel ||
           m->type == MSG_order_cancel_all || m->type == MSG_order_amend;
}

static uint32_t
group_of(const struct sim *s, const struct msg *m)
{
    uint32_t group = 0, shard = ledger_shard_of_cmd(m);
    while (!sim_owns(s, group, shard))
        group++;
    return group;
}

enum err
sim_gateway_ask(struct sim *s, uint32_t gateway, const struct msg *m, uint64_t owner)
{
    struct sim_gateway *g = &s->gateways[gateway];
    struct bytes *b = &s->judge.scratch;
    uint32_t group = group_of(s, m);
    bytes_clear(b);
    msg_pack(b, m);
    enum err e = gw_start(&g->gw, s->now_us, group, m->corr, owner, matters(m), b->data, b->length);
    if (e == OK && gw_is_linked(&g->gw, group))
        transmit(s, gateway, group, b->data, b->length);
    return e;
}

/* A question that any answer will do for. */
static void
probe(struct sim *s, uint32_t number, uint32_t group)
{
    struct sim_gateway *g = &s->gateways[number];
    struct bytes *b = &s->judge.scratch;
    struct msg m = {.type = MSG_account_get, .corr = ++s->next_corr};
    uint64_t account = 1;
    while (!sim_owns(s, group, ledger_shard_of(account)))
        account++;
    m.account_get.account_id = account;
    bytes_clear(b);
    msg_pack(b, &m);
    if (gw_start_probe(&g->gw, s->now_us, group, m.corr, b->data, b->length) == OK)
        transmit(s, number, group, b->data, b->length);
}

static void
carry_out_due(struct sim *s, uint32_t number)
{
    struct sim_gateway *g = &s->gateways[number];
    for (;;) {
        struct gw_due due = gw_due(&g->gw, s->now_us);
        if (due.kind == GW_DUE_NOTHING)
            return;
        if (due.kind == GW_DUE_PROBE)
            probe(s, number, due.server);
        else if (due.kind == GW_DUE_RESEND)
            transmit(s, number, due.server, due.packed, due.length);
        else if (due.owner != 0)
            sim_client_hears(s, due.owner, NULL, due.error);
    }
}

/* ---- Answers and events ---------------------------------------------------------------------- */

/* As call.c has it. */
static void
hear_answer(struct sim *s, uint32_t number, uint32_t group, uint64_t epoch, const struct msg *m)
{
    struct gw *gw = &s->gateways[number].gw;
    uint64_t owner, known = gw->servers[group].epoch, said = epoch;
    bool is_stale = epoch < known;
    s->counts.stale_answers += is_stale;
    if (is_stale && s->mutation == SIM_stale_answers)
        epoch = known;
    enum err refused = m->type == MSG_refused ? m->refused.error : OK;
    if (!gw_answer_settles(gw, m->corr, refused)) {
        gw_heard(gw, s->now_us, group, epoch);
        return;
    }
    if (!gw_answer(gw, s->now_us, group, epoch, m->corr, &owner))
        return;
    if (owner != 0)
        sim_client_hears(s, owner, m, OK);
    judge_heard(s, number, group, said, m);
}

static void
hear_event(struct sim *s, uint32_t number, uint32_t group, uint64_t epoch, const struct msg *m)
{
    struct gw *gw = &s->gateways[number].gw;
    if (epoch < gw->servers[group].epoch && s->mutation != SIM_stale_answers) {
        s->counts.stale_events++;
        return;
    }
    gw_heard(gw, s->now_us, group, epoch);
    judge_heard(s, number, group, epoch, m);
}

static void
hear(struct sim *s, uint32_t number, struct wire *w, uint32_t group, bool is_events)
{
    struct packet *p;
    while ((p = wire_take(s, w)) != NULL) {
        struct msg m;
        uint64_t epoch = 0;
        size_t at = 0;
        arena_reset(&s->lists);
        while (at < p->length && msg_unpack(p->data, p->length, &at, &s->lists, &m) == OK) {
            if (m.type == MSG_frame)
                epoch = m.frame.epoch;
            else if (is_events)
                hear_event(s, number, group, epoch, &m);
            else
                hear_answer(s, number, group, epoch, &m);
        }
        free(p);
    }
}

static void
turn(struct sim *s, uint32_t number)
{
    for (uint32_t group = 0; group < s->groups_count; group++) {
        connect_requests(s, number, group);
        connect_events(s, number, group);
    }
    for (uint32_t k = 0; k < s->ledgers_count; k++) {
        hear(s, number, &s->answers[number][k], s->ledgers[k].group, false);
        hear(s, number, &s->events[number][k], s->ledgers[k].group, true);
    }
    carry_out_due(s, number);
}

/* ---- Life and death
 * ------------------------------------------------------------------------------------ */

static void
start(struct sim *s, uint32_t number)
{
    const struct gw_options o = {.calls_max = CALLS_MAX,
                                 .resend_us = RESEND_US,
                                 .timeout_us = SIM_TIMEOUT_US,
                                 .silent_us = SILENT_US};
    struct sim_gateway *g = &s->gateways[number];
    gw_init(&g->gw, &o, g->memory);
    memset(g->sequences, 0, sizeof g->sequences);
    for (uint32_t group = 0; group < s->groups_count; group++) {
        (void)gw_add_server(&g->gw, ERR_LEDGER_UNAVAILABLE);
        gw_link(&g->gw, s->now_us, group, false);
        g->target[group] = g->follows[group] = SIM_NOBODY;
        g->epoch[group] = 0;
    }
}

/* It knows nothing any more, and who waited for it does not learn the outcome. */
static void
crash(struct sim *s, uint32_t number)
{
    s->counts.crashes_gateway++;
    sim_note(s, "gateway", number, "dies");
    for (uint32_t k = 0; k < s->ledgers_count; k++) {
        wire_break(s, &s->asks[number][k]);
        wire_break(s, &s->answers[number][k]);
        wire_break(s, &s->events[number][k]);
    }
    for (uint32_t i = 0; i < s->judge.promises_count; i++)
        s->judge.promises[i].at[number] = (struct told){.executed = 0};
    start(s, number);
    for (uint32_t i = 0; i < SIM_INTENTS_MAX; i++)
        if (s->intents[i].is_active && s->intents[i].is_sent && s->intents[i].gateway == number)
            sim_client_hears(s, i + 1, NULL, ERR_OUTCOME_UNKNOWN);
}

void
sim_gateways_turn(struct sim *s)
{
    for (uint32_t i = 0; i < SIM_GATEWAYS; i++) {
        if (sim_fault(s, s->is.crash_gateway))
            crash(s, i);
        turn(s, i);
    }
}

void
sim_gateways_new(struct sim *s)
{
    for (uint32_t i = 0; i < SIM_GATEWAYS; i++) {
        s->gateways[i].memory = malloc(gw_bytes(CALLS_MAX));
        CHECK(s->gateways[i].memory != NULL);
        start(s, i);
    }
}

void
sim_gateways_free(struct sim *s)
{
    for (uint32_t i = 0; i < SIM_GATEWAYS; i++) {
        free(s->gateways[i].memory);
        bytes_free(&s->gateways[i].packed);
        for (uint32_t k = 0; k < SIM_LEDGERS_MAX; k++) {
            wire_clear(&s->asks[i][k]);
            wire_clear(&s->answers[i][k]);
            wire_clear(&s->events[i][k]);
        }
    }
}
