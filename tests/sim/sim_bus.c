/*
 * sim_bus.c - the bus and the loop that the ledger's shell is linked against.
 *
 * The functions of wire/bus.h and host/loop.h are defined here anew: what the real ones do over
 * ZeroMQ and libev happens here over wires, in virtual time. A loop reads its clock once a turn;
 * a process that is frozen in the middle of one goes on with the old time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

void
sim_edge(struct sim *s)
{
    if (s->running == NULL || s->fuse < 0 || s->fuse-- > 0)
        return;
    longjmp(s->death, 1);
}

/* ---- Out ------------------------------------------------------------------------------------ */

/* Where frames to a peer go; NULL = nobody is there. */
static struct wire *
route(const struct bus *b, uint32_t peer)
{
    struct sim *s = b->sim;
    const struct sim_ledger *l = b->loop->ledger;
    switch (b->end) {
    case END_BRIDGE:
        return &s->bridges[b->index].from_ledger[l->index];
    case END_SERVES:
        if (peer > SIM_GATEWAYS)
            return &s->bridges[peer - 1 - SIM_GATEWAYS].reported[l->index];
        if (s->gateways[peer - 1].target[l->group] == l->index)
            return &s->answers[peer - 1][l->index];
        return NULL;
    case END_PUBLISHES:
        if (s->gateways[peer - 1].follows[l->group] == l->index)
            return &s->events[peer - 1][l->index];
        return NULL;
    case END_ASKS:
        return &s->matchers[b->index].from_ledger[l->index];
    case END_MATCHER: {
        struct sim_matcher *m = &s->matchers[b->index];
        uint32_t holder = peer <= s->groups_count ? m->holder[peer - 1] : SIM_NOBODY;
        return holder != SIM_NOBODY ? &m->to_ledger[holder] : NULL;
    }
    }
    return NULL;
}

/* What an endpoint stands for. */
static void
bus_place(struct bus *b)
{
    const char *at = b->o.endpoint;
    b->index = (uint32_t)(at[strlen(at) - 1] - '0');
    b->peers = SIM_GATEWAYS + 1;
    if (strncmp(at, "sim:serve", 9) == 0)
        b->end = END_SERVES, b->peers = SIM_GATEWAYS + 1 + SIM_BRIDGES;
    else if (strncmp(at, "sim:bridge", 10) == 0)
        b->end = END_BRIDGE, b->peers = 1;
    else if (strncmp(at, "sim:publish", 11) == 0)
        b->end = END_PUBLISHES;
    else if (strncmp(at, "sim:matcher", 11) == 0)
        b->end = END_ASKS, b->peers = 1;
    else
        b->end = END_MATCHER, b->peers = SIM_PEERS;
}

struct bus *
bus_open(struct loop *l, const struct bus_options *o)
{
    struct bus *b = calloc(1, sizeof *b);
    CHECK(b != NULL);
    b->sim = l->sim;
    b->loop = l;
    b->next = l->buses;
    l->buses = b;
    b->o = *o;
    snprintf(b->name, sizeof b->name, "%s", o->name);
    bus_place(b);
    if (b->o.on_topic != NULL)
        b->o.on_topic(b->o.arg, "", true); /* everybody listens to everything */
    if (b->end == END_BRIDGE)
        b->o.on_link(b->o.arg, true);
    return b;
}

void
bus_close(struct bus **b)
{
    if (*b == NULL)
        return;
    struct bus **at = &(*b)->loop->buses;
    while (*at != *b)
        at = &(*at)->next;
    *at = (*b)->next;
    /* Only dead processes close here: what was buffered is gone. */
    for (uint32_t i = 0; i < SIM_PEERS; i++)
        bytes_free(&(*b)->to[i].buffer);
    free(*b);
    *b = NULL;
}

static void
receiver_flush(struct bus *b, uint32_t peer)
{
    struct receiver *r = &b->to[peer];
    struct wire *w = r->buffer.length > 0 ? route(b, peer) : NULL;
    if (w != NULL)
        wire_send(b->sim, w, r->buffer.data, r->buffer.length);
    bytes_clear(&r->buffer);
}

void
bus_flush(struct bus *b)
{
    for (uint32_t i = 0; i < b->peers; i++)
        receiver_flush(b, i);
}

void
bus_set_epoch(struct bus *b, uint64_t epoch)
{
    bus_flush(b);
    b->epoch = epoch;
}

void
bus_set_peer_epoch(struct bus *b, uint32_t peer, uint64_t epoch)
{
    receiver_flush(b, peer);
    b->to[peer].epoch = epoch;
}

void
bus_set_session(struct bus *b, uint32_t peer, uint64_t session)
{
    receiver_flush(b, peer);
    b->to[peer].session = session;
    b->to[peer].sent = 0;
}

uint64_t
bus_frames_sent(const struct bus *b, uint32_t peer)
{
    return b->to[peer].sent;
}

static struct bytes *
receiver_begin(struct bus *b, uint32_t peer)
{
    CHECK(peer < b->peers);
    struct receiver *r = &b->to[peer];
    sim_edge(b->sim);
    if (r->buffer.length > 0)
        return &r->buffer;
    if (r->session != 0)
        r->sent++;
    struct frame head = {
        .epoch = r->epoch != 0 ? r->epoch : b->epoch, .session = r->session, .sequence = r->sent};
    head.sender = code_of(b->name);
    msg_pack_body(&r->buffer, MSG_frame, 0, &head);
    return &r->buffer;
}

/* Mutations: what a matcher is not told of an order. */
static void
forget(const struct sim *s, struct order_work *w)
{
    if (s->mutation == SIM_ranks_lost)
        w->rank = 0;
    if (s->mutation == SIM_pairs_apart)
        w->list_id = 0;
    if (s->mutation == SIM_triggers_forgotten)
        w->is_triggered = false;
}

void
bus_put(struct bus *b, uint32_t peer, enum msg_type type, uint64_t corr, const void *body)
{
    struct sim *s = b->sim;
    if (s->mutation == SIM_pulls_lost && type == MSG_order_pull && !sim_chance(s, 500))
        return;
    if (s->mutation == SIM_trims_lost && type == MSG_order_trim)
        return;
    if (s->mutation == SIM_asks_forgotten && type == MSG_bridge_ask)
        return;
    if (s->mutation == SIM_places_again && type == MSG_bridge_ask)
        bus_put(b, peer, MSG_bridge_place, corr, body); /* of the same fields */
    struct order_work work;
    if (type == MSG_order_work) {
        memcpy(&work, body, sizeof work);
        forget(s, &work);
        body = &work;
    }
    msg_pack_body(receiver_begin(b, peer), type, corr, body);
    if (b->end == END_SERVES) {
        struct msg m = {.type = type, .corr = corr};
        memcpy(msg_body(&m), body, msg_layout(type)->size);
        judge_reply(s, b->loop->ledger, peer, &m);
    }
    /* Frames end where they like: the real bus ends them with the turn or when they are long. */
    if (b->to[peer].session != 0 && sim_fault(s, s->is.split)) {
        struct wire *w = route(b, peer);
        receiver_flush(b, peer);
        if (w != NULL)
            w->is_split = true;
    }
}

/* A message of the ledger on its way out: from here on the world may know it. */
static struct msg
unpacked(struct sim *s, const uint8_t *data, size_t length)
{
    struct msg m;
    size_t at = 0;
    arena_reset(&s->said);
    enum err e = msg_unpack(data, length, &at, &s->said, &m);
    if (e != OK)
        sim_fail(s, "the ledger said something unreadable: %s", err_name(e));
    return m;
}

void
bus_put_packed(struct bus *b, uint32_t peer, const uint8_t *data, size_t length)
{
    bytes_add(receiver_begin(b, peer), data, length);
    const struct msg m = unpacked(b->sim, data, length);
    if (b->end == END_BRIDGE)
        return;
    sim_trace(b->sim, b->name, "answers", &m);
    judge_reply(b->sim, b->loop->ledger, peer, &m);
}

void
bus_publish_packed(struct bus *b, const char *topic, const uint8_t *data, size_t length)
{
    (void)topic;
    const struct msg m = unpacked(b->sim, data, length);
    sim_trace(b->sim, b->name, "publishes", &m);
    judge_event(b->sim, b->loop->ledger, &m);
    for (uint32_t peer = 1; peer <= SIM_GATEWAYS; peer++)
        if (route(b, peer) != NULL)
            bytes_add(receiver_begin(b, peer), data, length);
}

void
bus_pause(struct bus *b, bool paused)
{
    b->is_paused = paused;
}

void
bus_teardown(void)
{
}

/* ---- In ------------------------------------------------------------------------------------- */

/* Mutations: frames that belong to others are made to fit; true when they still do not. */
static bool
is_refitted(struct bus *b, struct frame *f, const struct msg *m)
{
    struct sim *s = b->sim;
    bool is_of_others = s->mutation == SIM_stale_reports && f->epoch != b->epoch;
    bool is_mixed = s->mutation == SIM_sessions_mixed || is_of_others;
    if (b->end != END_ASKS || f->session == 0 || !is_mixed)
        return true;
    if ((is_of_others || f->session != b->to[0].session) && m->type != MSG_order_report)
        return false;
    f->epoch = b->epoch;
    f->session = b->to[0].session;
    return true;
}

/* Mutations: the numbers are made to fit whatever happened to the frames; false = drop it. */
static bool
renumber(struct bus *b, struct frame *f, struct msg *m, bool is_first)
{
    struct sim *s = b->sim;
    bool counts_anew = s->mutation == SIM_sessions_mixed || s->mutation == SIM_stale_reports ||
                       s->mutation == SIM_frames_twice || s->mutation == SIM_loss_hidden;
    if (!counts_anew || b->end == END_SERVES)
        return true;
    if (!is_refitted(b, f, m))
        return false;
    if (f->session == 0 || (b->end == END_MATCHER && s->groups_count > 1))
        return true;
    if (f->session != b->counted_session) {
        b->counted_session = f->session;
        b->counted = 0;
    }
    b->counted += is_first;
    f->sequence = b->counted;
    if (m->type == MSG_link_beat)
        m->link_beat.frames = b->counted;
    return true;
}

/* Counts what comes of a deposed owner. The mutation: a matcher takes it. */
static bool
take_stale(struct bus *b, uint32_t *peer, struct frame *f, const struct msg *m)
{
    struct sim *s = b->sim;
    const struct match *core = b->end == END_MATCHER ? s->matchers[b->index].core : NULL;
    if (core == NULL)
        return true;
    for (uint32_t i = 0; i < core->links_count; i++) {
        const struct link *k = &core->links[i];
        if (!code_same(k->ledger, f->sender) || f->epoch >= k->epoch)
            continue;
        s->counts.stale_work++;
        if (s->mutation != SIM_stale_work)
            return true;
        *f = (struct frame){k->ledger, k->epoch, k->session, k->received};
        *peer = k->peer;
        return m->type == MSG_order_work || m->type == MSG_order_pull;
    }
    return true;
}

static void
hand_over(struct bus *b, uint32_t peer, const uint8_t *data, size_t length)
{
    struct sim *s = b->sim;
    struct msg head;
    size_t at = 0;
    arena_reset(&s->lists);
    enum err e = msg_unpack(data, length, &at, &s->lists, &head);
    for (bool is_first = true; e == OK && at < length; is_first = false) {
        struct msg m;
        e = msg_unpack(data, length, &at, &s->lists, &m);
        if (e != OK)
            break;
        struct frame frame = head.frame;
        uint32_t from = peer;
        if (!renumber(b, &frame, &m, is_first) || !take_stale(b, &from, &frame, &m))
            continue;
        sim_edge(s);
        sim_trace(s, b->name, "gets", &m);
        if (b->end == END_SERVES)
            judge_asked(s, b->loop->ledger, peer, &m);
        b->o.on_msg(
            b->o.arg,
            &(struct bus_in){
                .frame = &frame, .msg = &m, .peer = from, .topic = "", .last = at == length});
    }
    if (e != OK && b->o.on_bad_frame != NULL)
        b->o.on_bad_frame(b->o.arg, peer, e);
}

/* The next frame of a ledger. Without the name of its group, what comes late of an older connection
 * is of a peer that nobody knows. */
static struct packet *
take_of_ledger(struct bus *b, struct sim_ledger *l, uint32_t *peer)
{
    struct sim *s = b->sim;
    struct wire *w = &s->matchers[b->index].from_ledger[l->index];
    bool is_linked = l->is_linked[b->index];
    struct wire late = {.strays = w->strays};
    *peer = is_linked ? l->group + 1 : SIM_PEERS - 1;
    if (is_linked)
        return wire_take(s, w);
    struct packet *p = wire_take(s, &late);
    w->strays = late.strays;
    return p;
}

/* Gateways first, then bridges, which are clients like these. */
static struct wire *
asked_by(const struct bus *b, uint32_t asker)
{
    uint32_t ledger = b->loop->ledger->index;
    return asker < SIM_GATEWAYS ? &b->sim->asks[asker][ledger]
                                : &b->sim->bridges[asker - SIM_GATEWAYS].reports[ledger];
}

static struct packet *
next_frame(struct bus *b, uint32_t *peer)
{
    struct sim *s = b->sim;
    struct packet *p = NULL;
    if (b->end == END_ASKS) {
        *peer = 0;
        return wire_take(s, &s->matchers[b->index].to_ledger[b->loop->ledger->index]);
    }
    if (b->end == END_BRIDGE) {
        *peer = 0;
        return wire_take(s, &s->bridges[b->index].to_ledger[b->loop->ledger->index]);
    }
    uint32_t count = b->end == END_SERVES ? SIM_GATEWAYS + SIM_BRIDGES : s->ledgers_count;
    for (uint32_t i = 0; i < count && p == NULL && b->end != END_PUBLISHES; i++) {
        *peer = i + 1;
        p = b->end == END_SERVES ? wire_take(s, asked_by(b, i))
                                 : take_of_ledger(b, &s->ledgers[i], peer);
    }
    return p;
}

/* Requests that were on their way for too long: whoever asked has long given up. While the ledger
 * was frozen they waited at its door. With clocks far apart a request that was first sent two
 * owners ago is not known any more: what the last one wrote may bear times long after it. */
static bool
is_too_old(const struct bus *b, const struct packet *p)
{
    if (b->end != END_SERVES)
        return false;
    const struct sim_ledger *l = b->loop->ledger;
    const struct sim_group *g = &b->sim->groups[l->group];
    int64_t waited_us = p->sent_us < l->woke_us ? l->slept_us : 0;
    if (b->sim->is.are_apart && p->sent_us - SIM_TIMEOUT_US < g->served_us[1])
        return true;
    return b->sim->now_us - p->sent_us - waited_us > SIM_ON_WAY_US;
}

/* One frame; false when none is due. */
static bool
bus_deliver(struct bus *b)
{
    struct sim *s = b->sim;
    struct loop *l = b->loop;
    uint32_t peer;
    struct packet *p = b->is_paused ? NULL : next_frame(b, &peer);
    if (p == NULL)
        return false;
    l->at_hand = p;
    bool is_link = b->end == END_ASKS || b->end == END_MATCHER;
    bool is_twice = s->mutation == SIM_frames_twice && is_link && sim_chance(s, 30);
    if (!is_too_old(b, p))
        hand_over(b, peer, p->data, p->length);
    if (is_twice)
        hand_over(b, peer, p->data, p->length);
    free(p);
    l->at_hand = NULL;
    return true;
}

void
sim_loop_deliver(struct loop *l, uint32_t most)
{
    for (bool any = true; any && most > 0;) {
        any = false;
        for (struct bus *b = l->buses; b != NULL && most > 0; b = b->next) {
            if (!bus_deliver(b))
                continue;
            any = true;
            most--;
        }
    }
}

uint32_t
sim_loop_flush(struct loop *l, uint32_t from, uint32_t most)
{
    uint32_t i = 0;
    for (struct bus *b = l->buses; b != NULL; b = b->next, i++)
        if (i >= from && i - from < most)
            bus_flush(b);
    return from + most < i ? from + most : 0;
}

/* ---- The loop ------------------------------------------------------------------------------- */

int64_t
loop_now_us(const struct loop *l)
{
    return l->now_us;
}

int64_t
loop_steady_us(const struct loop *l)
{
    return l->steady_us;
}

int64_t
loop_measure_us(void)
{
    return 0; /* whatever is measured takes no time */
}

void
loop_soon(struct loop *l)
{
    (void)l; /* turns come anyway */
}

void
loop_stop(struct loop *l)
{
    l->is_stopped = true;
}

void
loop_on_turn(struct loop *l, void (*hook)(void *arg), void *arg)
{
    CHECK(l->on_turn == NULL);
    l->on_turn = hook;
    l->turn_arg = arg;
}

void
loop_off_turn(struct loop *l, void (*hook)(void *arg), void *arg)
{
    CHECK(l->on_turn == hook && l->turn_arg == arg);
    l->on_turn = NULL;
}

struct loop_timer *
loop_timer_new(struct loop *l, int64_t after_ms, int64_t every_ms, void (*on_time)(void *arg),
               void *arg)
{
    struct loop_timer *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    *t = (struct loop_timer){.next = l->timers,
                             .loop = l,
                             .due_us = l->sim->now_us + after_ms * 1000,
                             .every_us = every_ms * 1000,
                             .on_time = on_time,
                             .arg = arg};
    l->timers = t;
    return t;
}

void
loop_timer_again(struct loop_timer *t, int64_t after_ms)
{
    t->due_us = t->loop->steady_us + after_ms * 1000;
}

void
loop_timer_stop(struct loop_timer *t)
{
    t->due_us = INT64_MAX;
}

void
loop_timer_end(struct loop_timer **t)
{
    struct loop_timer **at = &(*t)->loop->timers;
    while (*at != *t)
        at = &(*at)->next;
    *at = (*t)->next;
    free(*t);
    *t = NULL;
}

void
sim_loop_timers(struct loop *l)
{
    for (struct loop_timer *t = l->timers; t != NULL; t = t->next) {
        if (t->due_us > l->steady_us)
            continue;
        t->due_us = t->every_us > 0 ? l->steady_us + t->every_us : INT64_MAX;
        t->on_time(t->arg);
    }
}

void
sim_loop_end(struct loop *l)
{
    while (l->timers != NULL)
        loop_timer_end(&(struct loop_timer *){l->timers});
    while (l->buses != NULL)
        bus_close(&(struct bus *){l->buses});
    free(l->at_hand);
    l->at_hand = NULL;
    l->on_turn = NULL;
}
