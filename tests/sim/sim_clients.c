/*
 * sim_clients.c - users behind the gateways: they ask, try again under the same client order id
 * when they are told to or learn nothing, and remember their answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "sim/sim.h"

uint64_t
sim_account_id(uint32_t account)
{
    return 1 + (uint64_t)account * 7;
}

/* Whether a command with an id is under way: clients send these one after the other. */
bool
sim_has_command(const struct sim *s, uint64_t account_id)
{
    for (uint32_t i = 0; i < SIM_INTENTS_MAX; i++) {
        const struct intent *t = &s->intents[i];
        if (t->is_active && t->account_id == account_id && judge_command_of(&t->cmd) != 0)
            return true;
    }
    return false;
}

static struct intent *
intent_new(struct sim *s, uint32_t account)
{
    for (uint32_t i = 0; i < SIM_INTENTS_MAX; i++) {
        struct intent *t = &s->intents[i];
        if (t->is_active)
            continue;
        memset(t, 0, sizeof *t);
        t->is_active = true;
        t->account_id = sim_account_id(account);
        t->gateway = (uint32_t)sim_draw(s, SIM_GATEWAYS);
        t->cmd.corr = ++s->next_corr;
        t->send_us = s->now_us;
        return t;
    }
    return NULL;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static const cid_t *
cid_asked_for(const struct msg *m)
{
    switch ((int)m->type) {
    case MSG_order_place:
        return &m->order_place.client_order_id;
    case MSG_order_cancel:
        return &m->order_cancel.client_order_id;
    case MSG_order_get:
        return &m->order_get.client_order_id;
    default:
        return NULL;
    }
}

/* What its gateway has been told of the order that it is about: the answer may not say less. */
static void
remember_known(struct sim *s, struct intent *t)
{
    const cid_t *cid = cid_asked_for(&t->cmd);
    t->known = t->known_elsewhere = (struct told){.executed = 0};
    t->known_sequence = s->gateways[t->gateway].sequences[(t->account_id - 1) / 7];
    if (cid == NULL || cid->text[0] == '\0')
        return;
    const struct promise *p = judge_promise_of(s, cid);
    if (p == NULL)
        return;
    t->known = p->at[t->gateway];
    t->known_elsewhere = p->told;
}

static void
ask_anew(struct sim *s, struct intent *t, int64_t after_us)
{
    t->cmd.corr = ++s->next_corr;
    t->gateway = (uint32_t)sim_draw(s, SIM_GATEWAYS);
    t->send_us = s->now_us + after_us;
    t->is_sent = false;
    if (s->mutation == SIM_client_new_id && t->cmd.type == MSG_order_place) {
        char *end = t->cmd.order_place.client_order_id.text;
        snprintf(end + strcspn(end, "-"), 12, "-%u", s->step);
    }
}

static void
push(struct sim *s, struct intent *t)
{
    if (!t->is_active || t->is_sent || t->send_us > s->now_us)
        return;
    remember_known(s, t);
    t->is_sent = true;
    sim_trace(s, "client", "asks", &t->cmd);
    if (sim_gateway_ask(s, t->gateway, &t->cmd, (uint64_t)(t - s->intents) + 1) != OK)
        ask_anew(s, t, 50000 + (int64_t)sim_draw(s, 400000));
}

/* ---- Hearing --------------------------------------------------------------------------------- */

void
sim_client_hears(struct sim *s, uint64_t owner, const struct msg *m, enum err e)
{
    struct intent *t = &s->intents[owner - 1];
    CHECK(t->is_active && t->is_sent);
    /* Nobody can ask again for an id that the gateway made. */
    bool is_made = t->cmd.type == MSG_order_place && t->cmd.order_place.id_was_made;
    bool is_again = m == NULL || (m->type == MSG_refused && err_again(m->refused.error));
    sim_trace(s, "client", m != NULL ? "is told" : err_name(e), m);
    if (m != NULL) {
        judge_answer(s, t, m);
        s->counts.answers++;
    }
    if (is_again && !is_made)
        ask_anew(s, t, 50000 + (int64_t)sim_draw(s, 400000));
    else
        t->is_active = false;
}

void
sim_clients_turn(struct sim *s)
{
    const struct judge *j = &s->judge;
    for (uint32_t i = 0; i < SIM_INTENTS_MAX; i++)
        push(s, &s->intents[i]);
    if (!sim_fault(s, s->is.wish))
        return;
    for (uint64_t i = sim_draw(s, 4); i > 0; i--) {
        bool is_full =
            j->promises_count + 3 > j->promises_max || s->next_command == j->promises_max;
        struct intent *t = is_full ? NULL : intent_new(s, (uint32_t)sim_draw(s, s->accounts));
        if (t != NULL)
            sim_wish(s, t);
    }
}

uint32_t
sim_clients_waiting(const struct sim *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SIM_INTENTS_MAX; i++)
        count += s->intents[i].is_active;
    return count;
}

void
sim_clients_new(struct sim *s)
{
    for (uint32_t i = 0; i < s->accounts; i++) {
        struct intent *t = intent_new(s, i);
        CHECK(t != NULL);
        t->cmd.type = MSG_account_open;
        t->cmd.account_open.account_id = t->account_id;
        t->cmd.account_open.user_id = 1;
    }
}
