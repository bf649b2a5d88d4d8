/*
 * live_conn.c - connections of lines, and the streams on them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/live_priv.h"
#include "marketdata/core/live_text.h"

#define ATTEMPTS_WINDOW_US (300 * LIVE_SECOND_US)
#define RETRY_LEAST_US     INT64_C(250000)
#define RETRY_MOST_US      (30 * LIVE_SECOND_US)
#define ANSWER_US          (5 * LIVE_SECOND_US)
#define SILENT_MAX         3u
#define REFUSED_US         (60 * LIVE_SECOND_US)
#define RENEW_LEAST_US     (10 * LIVE_SECOND_US)
#define RENEW_MOST_US      (300 * LIVE_SECOND_US)

/* Between two messages of ours: the exchange takes 5 (spot) or 10 a second, pongs included. */
static int64_t
pace_of(const struct live *l)
{
    return l->o.market == TRADING_TYPE_spot ? 350000 : 150000;
}

static bool
is_on(const struct live_symbol *s, const struct live *l, const struct live_line *line)
{
    return s->is_used && s->line[line->group] == (uint32_t)(line - l->lines);
}

/* ---- Lines ------------------------------------------------------------------------------ */

static struct live_line *
line_with_room(struct live *l, uint32_t group)
{
    struct live_line *empty = NULL;
    for (uint32_t i = 0; i < l->lines_max; i++) {
        struct live_line *line = &l->lines[i];
        if (line->symbols == 0 && empty == NULL)
            empty = line;
        if (line->symbols > 0 && line->group == group && line->symbols < l->lines_symbols)
            return line;
    }
    return empty;
}

static void
line_join(struct live *l, struct live_symbol *s, uint32_t group)
{
    struct live_line *line = line_with_room(l, group);
    CHECK(line != NULL);
    /* A place whose connections still close keeps its group until it is taken anew. */
    line->group = group;
    line->symbols++;
    s->line[group] = (uint32_t)(line - l->lines);
}

void
live_streams_want(struct live *l, struct live_symbol *s)
{
    for (uint32_t g = 0; g < l->groups; g++) {
        if (s->line[g] == LIVE_NONE)
            line_join(l, s, g);
    }
    for (enum live_kind k = 0; k < LIVE_KINDS; k++) {
        uint32_t group = live_group(l, k);
        for (uint32_t slot = 0; group != LIVE_NONE && slot < LIVE_SLOTS; slot++) {
            uint8_t *sub = &s->sub[slot][k];
            if (*sub == LIVE_SUB_NONE)
                *sub = LIVE_SUB_WANTED;
            else if (*sub == LIVE_SUB_UNWANTED)
                *sub = LIVE_SUB_THERE;
            else if (*sub == LIVE_SUB_LEAVING)
                *sub = LIVE_SUB_RENEWING;
            l->lines[s->line[group]].conn[slot].has_work = true;
        }
    }
}

void
live_streams_leave(struct live *l, struct live_symbol *s)
{
    for (uint32_t g = 0; g < l->groups; g++) {
        for (uint32_t slot = 0; s->line[g] != LIVE_NONE && slot < LIVE_SLOTS; slot++)
            l->lines[s->line[g]].conn[slot].has_work = true;
    }
    for (enum live_kind k = 0; k < LIVE_KINDS; k++) {
        for (uint32_t slot = 0; slot < LIVE_SLOTS; slot++) {
            uint8_t *sub = &s->sub[slot][k];
            if (*sub == LIVE_SUB_WANTED)
                *sub = LIVE_SUB_NONE;
            else if (*sub == LIVE_SUB_THERE || *sub == LIVE_SUB_RENEW)
                *sub = LIVE_SUB_UNWANTED;
            else if (*sub == LIVE_SUB_RENEWING)
                *sub = LIVE_SUB_LEAVING;
        }
    }
}

bool
live_streams_gone(const struct live_symbol *s)
{
    for (enum live_kind k = 0; k < LIVE_KINDS; k++) {
        for (uint32_t slot = 0; slot < LIVE_SLOTS; slot++) {
            if (s->sub[slot][k] != LIVE_SUB_NONE)
                return false;
        }
    }
    return true;
}

/* ---- What is carried -------------------------------------------------------------------- */

bool
live_carries(const struct live *l, const struct live_symbol *s, uint32_t slot, enum live_kind kind)
{
    uint32_t group = live_group(l, kind);
    return group != LIVE_NONE && s->line[group] != LIVE_NONE &&
           l->lines[s->line[group]].conn[slot].state == LIVE_OPEN &&
           s->sub[slot][kind] == LIVE_SUB_THERE;
}

bool
live_carried(const struct live *l, const struct live_symbol *s)
{
    for (enum live_kind k = 0; k < LIVE_KINDS; k++) {
        if (live_group(l, k) == LIVE_NONE || l->now_us < s->watch[k].refused_us)
            continue;
        if (!live_carries(l, s, 0, k) && !live_carries(l, s, 1, k))
            return false;
    }
    return true;
}

/* Every stream that speaks often was heard on this connection. */
static bool
is_heard(const struct live *l, const struct live_line *line, uint32_t slot)
{
    unsigned needed = 0;
    for (enum live_kind k = 0; k < LIVE_FORCED; k++)
        needed |= live_group(l, k) == line->group ? 1u << k : 0;
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        const struct live_symbol *s = &l->symbols[i];
        if (is_on(s, l, line) && !s->is_leaving && (s->heard[slot] & needed) != needed)
            return false;
    }
    return true;
}

/* ---- Connections that come and go ------------------------------------------------------- */

/* No stream is on this connection any more; those that stay are wanted on its next one. */
static void
streams_forget(struct live *l, struct live_line *line, uint32_t slot)
{
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        struct live_symbol *s = &l->symbols[i];
        for (enum live_kind k = 0; is_on(s, l, line) && k < LIVE_KINDS; k++) {
            if (live_group(l, k) != line->group)
                continue;
            s->sub[slot][k] = s->is_leaving ? LIVE_SUB_NONE : LIVE_SUB_WANTED;
            s->heard[slot] &= (uint8_t) ~(1u << k);
        }
    }
}

static void
conn_end(struct live *l, struct live_line *line, uint32_t slot, enum live_conn_state state)
{
    struct live_conn *c = &line->conn[slot];
    uint32_t failures = c->failures;
    streams_forget(l, line, slot);
    *c = (struct live_conn){.state = state,
                            .failures = failures + 1,
                            .due_us = l->now_us +
                                      live_backoff(l, failures, RETRY_LEAST_US, RETRY_MOST_US)};
}

/* What has no symbol left needs no connection. */
static void
line_close(struct live *l, struct live_line *line)
{
    for (uint32_t slot = 0; slot < LIVE_SLOTS; slot++) {
        enum live_conn_state state = line->conn[slot].state;
        bool is_there = state == LIVE_OPEN || state == LIVE_OPENING;
        conn_end(l, line, slot, is_there || state == LIVE_CLOSING ? LIVE_CLOSING : LIVE_IDLE);
        line->conn[slot].failures = 0;
    }
    line->is_swapping = false;
}

void
live_streams_drop(struct live *l, struct live_symbol *s)
{
    for (uint32_t g = 0; g < l->groups; g++) {
        struct live_line *line = s->line[g] == LIVE_NONE ? NULL : &l->lines[s->line[g]];
        s->line[g] = LIVE_NONE;
        if (line != NULL && --line->symbols == 0)
            line_close(l, line);
    }
}

/* A connection was lost: whoever it alone carried is away. */
static void
conn_lost(struct live *l, struct live_line *line, uint32_t slot, enum live_conn_state state)
{
    uint32_t other = 1 - slot;
    bool was_open = line->conn[slot].state == LIVE_OPEN;
    conn_end(l, line, slot, state);
    if (line->current == slot && line->conn[other].state == LIVE_OPEN) {
        line->current = other;
        line->is_swapping = false;
    }
    if (was_open)
        l->counts.reconnects++;
    if (!was_open || line->conn[line->current].state == LIVE_OPEN)
        return;
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        struct live_symbol *s = &l->symbols[i];
        if (!is_on(s, l, line) || s->is_leaving)
            continue;
        /* What begins on the next connection may begin anew. */
        if (live_group(l, LIVE_QUOTES) == line->group)
            s->quote_id = 0;
        if (s->has_given && !s->is_away) {
            s->pending &= ~(unsigned)LIVE_TELL_ALIVE;
            live_dirty(l, s, LIVE_TELL_AWAY);
        }
    }
}

void
live_opened(struct live *l, uint32_t conn)
{
    struct live_line *line = &l->lines[conn / LIVE_SLOTS];
    uint32_t slot = conn % LIVE_SLOTS;
    struct live_conn *c = &line->conn[slot];
    if (c->state != LIVE_OPENING)
        return;
    c->state = LIVE_OPEN;
    c->opened_us = c->pace_us = line->heard_us = l->now_us;
    c->swap_us = l->now_us + l->o.swap_us - (int64_t)live_random(l, (uint64_t)l->o.swap_us / 20);
    c->batch = LIVE_BATCH_MAX;
    c->has_work = true;
    l->is_due = true;
    if (line->conn[line->current].state != LIVE_OPEN) {
        line->current = slot;
        line->is_swapping = false;
    }
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        struct live_symbol *s = &l->symbols[i];
        for (enum live_kind k = 0; is_on(s, l, line) && k < LIVE_KINDS; k++) {
            if (live_group(l, k) == line->group && s->sub[slot][k] == LIVE_SUB_ASKED)
                s->sub[slot][k] = s->is_leaving ? LIVE_SUB_UNWANTED : LIVE_SUB_THERE;
        }
    }
}

void
live_closed(struct live *l, uint32_t conn)
{
    struct live_line *line = &l->lines[conn / LIVE_SLOTS];
    uint32_t slot = conn % LIVE_SLOTS;
    enum live_conn_state state = line->conn[slot].state;
    if (state == LIVE_OPENING || state == LIVE_OPEN)
        conn_lost(l, line, slot, LIVE_IDLE);
    l->is_due = true;
}

void
live_alive(struct live *l, uint32_t conn)
{
    struct live_line *line = &l->lines[conn / LIVE_SLOTS];
    if (line->conn[conn % LIVE_SLOTS].state == LIVE_OPEN)
        line->heard_us = l->now_us;
}

void
live_conn_heard(struct live *l, uint32_t conn)
{
    struct live_line *line = &l->lines[conn / LIVE_SLOTS];
    line->heard_us = l->now_us;
    line->conn[conn % LIVE_SLOTS].failures = 0;
}

/* ---- A second connection ---------------------------------------------------------------- */

static void
swap_begin(struct live *l, struct live_line *line)
{
    if (line->is_swapping || line->conn[line->current].state != LIVE_OPEN)
        return;
    line->is_swapping = true;
    line->conn[1 - line->current].failures = 0;
    l->is_due = true;
}

/* The new one carries all that the old one does. */
static void
swap_end(struct live *l, struct live_line *line)
{
    uint32_t old = line->current, new = 1 - old;
    const struct live_conn *c = &line->conn[new];
    if (c->state != LIVE_OPEN || c->full_us == 0)
        return;
    if (!is_heard(l, line, new) && l->now_us - c->full_us < l->o.overlap_us)
        return;
    conn_end(l, line, old, LIVE_CLOSING);
    line->conn[old].failures = 0;
    line->current = new;
    line->is_swapping = false;
    l->counts.swaps++;
}

/* ---- Subscriptions ---------------------------------------------------------------------- */

static void
sub_answered(struct live *l, struct live_symbol *s, uint8_t *sub, bool is_refused)
{
    if (*sub == LIVE_SUB_ASKED && is_refused)
        *sub = s->is_leaving ? LIVE_SUB_NONE : LIVE_SUB_WANTED;
    else if (*sub == LIVE_SUB_ASKED)
        *sub = s->is_leaving ? LIVE_SUB_UNWANTED : LIVE_SUB_THERE;
    else if (*sub == LIVE_SUB_LEAVING)
        *sub = LIVE_SUB_NONE;
    else if (*sub == LIVE_SUB_RENEWING)
        *sub = LIVE_SUB_WANTED;
    (void)l;
}

/* An answer, or (refused) none. A list that is refused is halved, until what is refused stands
 * alone; that is left alone for a while. */
static void
request_end(struct live *l, struct live_line *line, uint32_t slot, bool is_refused)
{
    struct live_conn *c = &line->conn[slot];
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        struct live_symbol *s = &l->symbols[i];
        for (enum live_kind k = 0; is_on(s, l, line) && k < LIVE_KINDS; k++) {
            if (live_group(l, k) != line->group)
                continue;
            if (is_refused && c->batch == 1 && s->sub[slot][k] == LIVE_SUB_ASKED)
                s->watch[k].refused_us = l->now_us + REFUSED_US;
            sub_answered(l, s, &s->sub[slot][k], is_refused);
        }
    }
    c->request = 0;
    c->has_work = true;
    l->is_due = true;
    if (is_refused) {
        l->counts.refused++;
        c->batch = c->batch > 1 ? c->batch / 2 : 1;
        c->pace_us = l->now_us + LIVE_SECOND_US;
    } else if (c->batch < LIVE_BATCH_MAX) {
        c->batch = c->batch * 2 < LIVE_BATCH_MAX ? c->batch * 2 : LIVE_BATCH_MAX;
    }
}

void
live_control(struct live *l, uint32_t conn, const struct binance_control *control)
{
    struct live_line *line = &l->lines[conn / LIVE_SLOTS];
    uint32_t slot = conn % LIVE_SLOTS;
    struct live_conn *c = &line->conn[slot];
    if (control->is_shutdown && slot == line->current)
        swap_begin(l, line);
    /* Some refusals name no message: they are of the one that waits. */
    if (!control->is_answer || c->request == 0 ||
        (control->id != c->request && (control->id != 0 || !control->is_refused)))
        return;
    c->silent = 0;
    request_end(l, line, slot, control->is_refused);
}

/* Puts the streams in one of two states into a message, at most `max`, and moves them on. */
static uint32_t
streams_write(struct live *l, struct live_line *line, uint32_t slot, const uint8_t from[2],
              const uint8_t to[2], uint32_t max, const char *between, struct pen *p)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->o.symbols_max && count < max; i++) {
        struct live_symbol *s = &l->symbols[i];
        for (enum live_kind k = 0; is_on(s, l, line) && k < LIVE_KINDS && count < max; k++) {
            uint8_t *sub = &s->sub[slot][k];
            if (live_group(l, k) != line->group || (*sub != from[0] && *sub != from[1]) ||
                l->now_us < s->watch[k].refused_us)
                continue;
            if (count++ > 0)
                pen_text(p, between);
            live_stream_write(p, l, s, k);
            *sub = *sub == from[0] ? to[0] : to[1];
        }
    }
    return count;
}

static const uint8_t from_wanted[2] = {LIVE_SUB_WANTED, LIVE_SUB_WANTED};
static const uint8_t to_asked[2] = {LIVE_SUB_ASKED, LIVE_SUB_ASKED};
static const uint8_t from_unwanted[2] = {LIVE_SUB_UNWANTED, LIVE_SUB_RENEW};
static const uint8_t to_leaving[2] = {LIVE_SUB_LEAVING, LIVE_SUB_RENEWING};

/* Whether every stream of the line is on this connection; `but_refused`: or was refused. */
static bool
is_full(const struct live *l, const struct live_line *line, uint32_t slot, bool but_refused)
{
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        const struct live_symbol *s = &l->symbols[i];
        for (enum live_kind k = 0; is_on(s, l, line) && k < LIVE_KINDS; k++) {
            uint8_t sub = s->sub[slot][k];
            if (live_group(l, k) == line->group && sub != LIVE_SUB_THERE && sub != LIVE_SUB_NONE &&
                (!but_refused || l->now_us >= s->watch[k].refused_us))
                return false;
        }
    }
    return true;
}

static bool
message_write(struct live *l, struct live_line *line, uint32_t slot)
{
    struct live_conn *c = &line->conn[slot];
    for (int is_subscribe = 0; is_subscribe <= 1; is_subscribe++) {
        struct pen p = pen_on(l->text, LIVE_TEXT_BYTES);
        pen_text(&p, is_subscribe ? "{\"method\":\"SUBSCRIBE\",\"params\":[\""
                                  : "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"");
        if (streams_write(l, line, slot, is_subscribe ? from_wanted : from_unwanted,
                          is_subscribe ? to_asked : to_leaving, c->batch, "\",\"", &p) == 0)
            continue;
        pen_text(&p, "\"],\"id\":");
        c->request = ++l->requests;
        c->request_us = l->now_us;
        c->pace_us = l->now_us + pace_of(l);
        pen_u64(&p, c->request);
        pen_text(&p, "}");
        return true;
    }
    c->has_work = !is_full(l, line, slot, false);
    if (c->full_us == 0 && is_full(l, line, slot, true))
        c->full_us = l->now_us;
    return false;
}

void
live_renew(struct live *l, struct live_symbol *s, enum live_kind kind)
{
    struct live_watch *w = &s->watch[kind];
    if (l->now_us < w->renew_us)
        return;
    w->wait_us = w->wait_us == 0 ? RENEW_LEAST_US : w->wait_us * 2;
    if (w->wait_us > RENEW_MOST_US)
        w->wait_us = RENEW_MOST_US;
    w->renew_us = l->now_us + w->wait_us;
    w->behind_us = 0;
    for (uint32_t slot = 0; slot < LIVE_SLOTS; slot++) {
        if (!live_carries(l, s, slot, kind))
            continue;
        s->sub[slot][kind] = LIVE_SUB_RENEW;
        l->lines[s->line[live_group(l, kind)]].conn[slot].has_work = true;
        l->counts.renewals++;
    }
}

/* ---- What to do ------------------------------------------------------------------------- */

/* Half of what is allowed in five minutes at once, the other half one by one: nobody is deaf for
 * minutes because of a bad one. Connections to come leave the half of that to those that are
 * missed. */
static bool
may_attempt(struct live *l, bool is_spare)
{
    int64_t burst = l->o.attempts_max / 2, each_us = ATTEMPTS_WINDOW_US / burst;
    int64_t ahead_us = l->attempts_us > l->now_us ? l->attempts_us - l->now_us : 0;
    if (ahead_us > (is_spare ? burst / 2 : burst - 1) * each_us)
        return false;
    l->attempts_us = l->now_us + ahead_us + each_us;
    return true;
}

static bool
is_wanted(const struct live_line *line, uint32_t slot)
{
    return line->symbols > 0 && (slot == line->current || line->is_swapping);
}

/* Whether no stream may be asked for now. */
static bool
is_empty(const struct live *l, const struct live_line *line, uint32_t slot)
{
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        const struct live_symbol *s = &l->symbols[i];
        for (enum live_kind k = 0; is_on(s, l, line) && k < LIVE_KINDS; k++) {
            if (live_group(l, k) == line->group && s->sub[slot][k] == LIVE_SUB_WANTED &&
                l->now_us >= s->watch[k].refused_us)
                return false;
        }
    }
    return true;
}

static bool
conn_open(struct live *l, struct live_line *line, uint32_t slot)
{
    static const char *const roots[] = {"/public", "/market"};
    struct live_conn *c = &line->conn[slot];
    bool is_spare = line->conn[1 - slot].state == LIVE_OPEN;
    if (l->now_us < c->due_us || is_empty(l, line, slot) || !may_attempt(l, is_spare))
        return false;
    struct pen p = pen_on(l->text, LIVE_TEXT_BYTES);
    if (l->o.market != TRADING_TYPE_spot)
        pen_text(&p, roots[line->group]);
    pen_text(&p, "/stream?streams=");
    streams_write(l, line, slot, from_wanted, to_asked, LIVE_URL_STREAMS, "/", &p);
    c->state = LIVE_OPENING;
    return true;
}

static enum live_do_kind
conn_poll(struct live *l, struct live_line *line, uint32_t slot)
{
    struct live_conn *c = &line->conn[slot];
    switch (c->state) {
    case LIVE_CLOSING:
        c->state = LIVE_IDLE;
        return LIVE_DO_CLOSE;
    case LIVE_IDLE:
        return is_wanted(line, slot) && conn_open(l, line, slot) ? LIVE_DO_CONNECT
                                                                 : LIVE_DO_NOTHING;
    case LIVE_OPEN:
        if (c->has_work && c->request == 0 && l->now_us >= c->pace_us &&
            message_write(l, line, slot))
            return LIVE_DO_SEND;
        return LIVE_DO_NOTHING;
    case LIVE_OPENING:
        return LIVE_DO_NOTHING;
    }
    return LIVE_DO_NOTHING;
}

bool
live_conns_poll(struct live *l, struct live_do *out)
{
    for (uint32_t i = 0; i < l->lines_max; i++) {
        for (uint32_t slot = 0; slot < LIVE_SLOTS; slot++) {
            enum live_do_kind kind = conn_poll(l, &l->lines[i], slot);
            if (kind == LIVE_DO_NOTHING)
                continue;
            *out = (struct live_do){.kind = kind, .conn = i * LIVE_SLOTS + slot, .text = l->text};
            return true;
        }
    }
    return false;
}

static void
line_tick(struct live *l, struct live_line *line)
{
    for (uint32_t slot = 0; slot < LIVE_SLOTS; slot++) {
        struct live_conn *c = &line->conn[slot];
        bool is_there = c->state == LIVE_OPEN || c->state == LIVE_OPENING;
        if (is_there && !is_wanted(line, slot)) {
            conn_end(l, line, slot, LIVE_CLOSING);
            c->failures = 0;
        } else if (c->state == LIVE_OPEN && c->request != 0 &&
                   l->now_us - c->request_us >= ANSWER_US) {
            if (++c->silent >= SILENT_MAX)
                conn_lost(l, line, slot, LIVE_CLOSING);
            else
                request_end(l, line, slot, true);
        }
    }
    if (line->conn[line->current].state == LIVE_OPEN &&
        l->now_us >= line->conn[line->current].swap_us)
        swap_begin(l, line);
    if (line->is_swapping)
        swap_end(l, line);
}

void
live_conns_tick(struct live *l)
{
    for (uint32_t i = 0; i < l->lines_max; i++)
        line_tick(l, &l->lines[i]);
}

uint32_t
live_connections(const struct live *l)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->lines_max; i++) {
        for (uint32_t slot = 0; slot < LIVE_SLOTS; slot++)
            count += l->lines[i].conn[slot].state == LIVE_OPEN;
    }
    return count;
}
