/*
 * sim_net.c - chance, wires, and the bus and loop that the ledger's shell is linked against.
 *
 * The functions of wire/bus.h and host/loop.h are defined here anew: what the real ones do over
 * ZeroMQ and libev happens here over wires with delays, losses and copies, in virtual time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

/* ---- Chance, failure, story ----------------------------------------------------------------- */

uint64_t
sim_draw(struct sim *s, uint64_t below)
{
    s->random += UINT64_C(0x9e3779b97f4a7c15);
    return map_mix(s->random) % below;
}

bool
sim_chance(struct sim *s, uint32_t of_thousand)
{
    return of_thousand > 0 && sim_draw(s, 1000) < of_thousand;
}

void
sim_fail(struct sim *s, const char *format, ...)
{
    if (s->failure[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(s->failure, sizeof s->failure, format, args);
    va_end(args);
}

void
sim_trace(struct sim *s, const char *who, const char *what, const struct msg *m)
{
    if (!s->is_verbose)
        return;
    char line[1024] = "";
    if (m != NULL)
        msg_print(m, line, sizeof line);
    printf("%6u %10lld %-9s %-9s %s%s%.0llu\n", s->step, (long long)(s->now_us - SIM_START_US), who,
           what, line, m != NULL && m->corr != 0 ? " corr=" : "",
           (unsigned long long)(m != NULL ? m->corr : 0));
}

/* ---- Wires ---------------------------------------------------------------------------------- */

static struct packet *
packet_new(const uint8_t *data, size_t length, int64_t due_us)
{
    struct packet *p = malloc(sizeof *p + length);
    CHECK(p != NULL);
    *p = (struct packet){.due_us = due_us, .length = length};
    memcpy(p->data, data, length);
    return p;
}

void
wire_send(struct sim *s, struct wire *w, const uint8_t *data, size_t length)
{
    s->counts.sent++;
    bool is_lost = !s->is_calm && sim_chance(s, w->is_split && w->lost > 0 ? 100 : w->lost);
    w->is_split = false;
    if (is_lost) {
        s->counts.lost++;
        return;
    }
    int64_t delay = (int64_t)sim_draw(s, (uint64_t)w->delay_us + 1);
    if (!s->is_calm && sim_chance(s, 10))
        delay += (int64_t)sim_draw(s, 300000);
    int64_t due = s->now_us + delay;
    if (w->last != NULL && due < w->last->due_us)
        due = w->last->due_us;
    struct packet *p = packet_new(data, length, due);
    /* No message is complete without its last byte. */
    if (!s->is_calm && sim_chance(s, w->damaged))
        p->length--;
    if (w->last == NULL)
        w->first = p;
    else
        w->last->next = p;
    w->last = p;
    if (!s->is_calm && sim_chance(s, w->doubled)) {
        struct packet *copy = packet_new(data, length, due + (int64_t)sim_draw(s, 700000));
        copy->next = w->strays;
        w->strays = copy;
    }
}

struct packet *
wire_take(struct sim *s, struct wire *w)
{
    for (struct packet **at = &w->strays; *at != NULL; at = &(*at)->next)
        if ((*at)->due_us <= s->now_us) {
            struct packet *p = *at;
            *at = p->next;
            return p;
        }
    struct packet *p = w->first;
    if (p == NULL || p->due_us > s->now_us)
        return NULL;
    w->first = p->next;
    if (w->first == NULL)
        w->last = NULL;
    return p;
}

bool
wire_is_empty(const struct wire *w)
{
    return w->first == NULL && w->strays == NULL;
}

void
wire_clear(struct wire *w)
{
    struct packet *lists[2] = {w->first, w->strays};
    for (int i = 0; i < 2; i++)
        while (lists[i] != NULL) {
            struct packet *p = lists[i];
            lists[i] = p->next;
            free(p);
        }
    w->first = w->last = w->strays = NULL;
}

void
wire_break(struct sim *s, struct wire *w)
{
    uint64_t kept = sim_chance(s, 500) ? 0 : sim_draw(s, 20);
    struct packet **at = &w->first;
    w->last = NULL;
    for (; *at != NULL && kept > 0; kept--) {
        w->last = *at;
        at = &(*at)->next;
    }
    while (*at != NULL) {
        struct packet *p = *at;
        *at = p->next;
        if (sim_chance(s, 100)) {
            /* A frozen process, or a box on the way, speaks when others have taken over. */
            p->due_us = s->now_us + (int64_t)sim_draw(s, 2000000);
            p->next = w->strays;
            w->strays = p;
        } else {
            free(p);
        }
    }
}

/* ---- The bus: out --------------------------------------------------------------------------- */

/* Which wires an endpoint stands for. */
static void
bus_wire(struct bus *b)
{
    struct sim *s = b->sim;
    const char *at = b->o.endpoint;
    uint32_t index = (uint32_t)(at[strlen(at) - 1] - '0');
    if (strncmp(at, "sim:serve", 9) == 0) {
        b->peers = SIM_GATEWAYS + 1;
        for (uint32_t i = 0; i < SIM_GATEWAYS; i++) {
            b->to[i + 1].in = &s->to_ledger[i];
            b->to[i + 1].out = &s->from_ledger[i];
        }
    } else if (strncmp(at, "sim:matcher", 11) == 0) {
        b->peers = 1;
        b->to[0].in = &s->matchers[index].to_ledger;
        b->to[0].out = &s->matchers[index].from_ledger;
    } else if (strncmp(at, "sim:bound", 9) == 0) {
        b->peers = 2;
        b->to[1].in = &s->matchers[index].from_ledger;
        b->to[1].out = &s->matchers[index].to_ledger;
    }
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
    bus_wire(b);
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
    for (uint32_t i = 0; i <= SIM_GATEWAYS; i++)
        bytes_free(&(*b)->to[i].buffer);
    free(*b);
    *b = NULL;
}

void
bus_flush(struct bus *b)
{
    for (uint32_t i = 0; i < b->peers; i++) {
        struct receiver *r = &b->to[i];
        if (r->buffer.length > 0)
            wire_send(b->sim, r->out, r->buffer.data, r->buffer.length);
        bytes_clear(&r->buffer);
    }
}

void
bus_set_epoch(struct bus *b, uint64_t epoch)
{
    bus_flush(b);
    b->epoch = epoch;
}

void
bus_set_session(struct bus *b, uint32_t peer, uint64_t session)
{
    bus_flush(b);
    b->to[peer].session = session;
    b->to[peer].sent = 0;
}

uint64_t
bus_frames_sent(const struct bus *b, uint32_t peer)
{
    return b->to[peer].sent;
}

static struct receiver *
receiver_begin(struct bus *b, uint32_t peer)
{
    CHECK(peer < b->peers);
    struct receiver *r = &b->to[peer];
    if (r->buffer.length > 0)
        return r;
    if (r->session != 0)
        r->sent++;
    struct frame head = {.epoch = b->epoch, .session = r->session, .sequence = r->sent};
    head.sender = code_of(b->name);
    msg_pack_body(&r->buffer, MSG_frame, 0, &head);
    return r;
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
    struct order_work work;
    if (type == MSG_order_work) {
        memcpy(&work, body, sizeof work);
        forget(s, &work);
        body = &work;
    }
    msg_pack_body(&receiver_begin(b, peer)->buffer, type, corr, body);
    /* Frames end where they like: the real bus ends them with the turn or when they are long. */
    if (!s->is_calm && b->to[peer].session != 0 && sim_chance(s, s->split)) {
        bus_flush(b);
        b->to[peer].out->is_split = true;
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
    const struct msg m = unpacked(b->sim, data, length);
    sim_trace(b->sim, "ledger", "answers", &m);
    judge_reply(b->sim, &m);
    bytes_add(&receiver_begin(b, peer)->buffer, data, length);
}

void
bus_publish_packed(struct bus *b, const char *topic, const uint8_t *data, size_t length)
{
    (void)topic;
    const struct msg m = unpacked(b->sim, data, length);
    sim_trace(b->sim, "ledger", "publishes", &m);
    judge_event(b->sim, &m);
}

void
bus_pause(struct bus *b, bool paused)
{
    b->is_paused = paused;
}

/* ---- The bus: in ---------------------------------------------------------------------------- */

/* Mutations of the link: the numbers are made to fit whatever happened to the frames. */
static bool
renumber(struct bus *b, struct frame *f, struct msg *m, bool is_first)
{
    struct sim *s = b->sim;
    bool is_link = b->o.role == BUS_ASK;
    if (s->mutation == SIM_sessions_mixed && is_link && f->session != 0) {
        if (f->session != b->to[0].session && m->type != MSG_order_report)
            return true;
        f->epoch = b->epoch;
        f->session = b->to[0].session;
    } else if (s->mutation != SIM_frames_twice && s->mutation != SIM_loss_hidden) {
        return false;
    }
    if (f->session == 0)
        return false;
    if (f->session != b->counted_session) {
        b->counted_session = f->session;
        b->counted = 0;
    }
    b->counted += is_first;
    f->sequence = b->counted;
    if (m->type == MSG_link_beat)
        m->link_beat.frames = b->counted;
    return false;
}

static bool
is_dying(struct sim *s, const struct bus *b)
{
    bool is_ledgers = b->o.role == BUS_ASK || b->peers == SIM_GATEWAYS + 1;
    return is_ledgers && s->crash_after >= 0 && s->crash_after-- == 0;
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
        if (renumber(b, &frame, &m, is_first))
            continue;
        if (is_dying(s, b)) {
            s->crash_after = 0;
            return;
        }
        sim_trace(s, b->name, "gets", &m);
        b->o.on_msg(
            b->o.arg,
            &(struct bus_in){
                .frame = &frame, .msg = &m, .peer = peer, .topic = "", .last = at == length});
    }
    if (e != OK && b->o.on_bad_frame != NULL)
        b->o.on_bad_frame(b->o.arg, peer, e);
}

/* One frame; false when none is due. */
static bool
bus_deliver(struct bus *b)
{
    struct sim *s = b->sim;
    for (uint32_t i = 0; i < b->peers && !b->is_paused; i++) {
        struct packet *p = b->to[i].in != NULL ? wire_take(s, b->to[i].in) : NULL;
        if (p == NULL)
            continue;
        bool is_link = b->peers <= 2;
        bool is_twice = s->mutation == SIM_frames_twice && is_link && sim_chance(s, 30);
        hand_over(b, i, p->data, p->length);
        if (is_twice && s->crash_after != 0)
            hand_over(b, i, p->data, p->length);
        free(p);
        return true;
    }
    return false;
}

void
sim_loop_deliver(struct loop *l, uint32_t most)
{
    for (bool any = true; any && most > 0;) {
        any = false;
        for (struct bus *b = l->buses; b != NULL && most > 0; b = b->next) {
            if (l->sim->crash_after == 0 || !bus_deliver(b))
                continue;
            any = true;
            most--;
        }
    }
}

void
sim_loop_flush(struct loop *l)
{
    for (struct bus *b = l->buses; b != NULL; b = b->next)
        bus_flush(b);
}

/* ---- The loop ------------------------------------------------------------------------------- */

int64_t
loop_now_us(const struct loop *l)
{
    return l->sim->now_us + l->skew_us;
}

int64_t
loop_steady_us(const struct loop *l)
{
    return l->sim->now_us;
}

void
loop_soon(struct loop *l)
{
    (void)l; /* turns come anyway */
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
    int64_t now = l->sim->now_us;
    for (struct loop_timer *t = l->timers; t != NULL; t = t->next) {
        if (t->due_us > now)
            continue;
        t->due_us = t->every_us > 0 ? now + t->every_us : INT64_MAX;
        t->on_time(t->arg);
    }
}
