/*
 * link.c - see link.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/endpoints.h"
#include "host/log.h"
#include "host/metrics.h"
#include "wire/bus.h"

#define LINKS_MAX     64
#define TICK_MS       100
#define BEAT_US       500000
#define SILENCE_US    1500000
#define TAKE_IN_US    20      /* a matcher may be silent so long for each order it has to take in */
#define HELLO_US      1500000 /* unanswered that long, it is said again in a new session */
#define HELLO_CALM_US 200000  /* link_lost of an older session may still be under way */
#define AWAY_US       2000000 /* new orders wait so long for a matcher that is being replaced */
#define SEND_TURN_MAX 4000    /* open orders sent in one turn, so that others get theirs */

enum link_state { LINK_HELLO, LINK_SENDING, LINK_WORKING };

struct link {
    struct links *links;
    struct bus *bus;
    char endpoint[ENDPOINT_BYTES];
    uint32_t index;
    enum link_state state;
    uint64_t session;
    uint64_t received;   /* number of the last frame of this session */
    bool in_frame;       /* more messages of that frame are to come */
    uint32_t next_order; /* where sending goes on */
    uint64_t sent_orders;
    bool sending_pulls;
    int64_t began_us, heard_us, beat_us; /* steady */
    int64_t patient_us;                  /* steady; until then its silence says nothing */
    int64_t left_us;                     /* steady; when it last worked */
    bool is_away;                        /* new orders are refused */
    bool was_down;                       /* its connection was, and no session was begun since */
    uint32_t silent_sessions;            /* in a row, for the log */
    struct metric *m_state;
};

struct links {
    struct links_options o;
    struct loop_timer *timer;
    struct link links[LINKS_MAX];
    uint32_t count;
    bool is_paused;
    struct metric *m_sessions, *m_stale, *m_reports;
};

/* ---- Symbols and their matcher ------------------------------------------------------------ */

static struct link *
link_of(struct links *l, const code_t *symbol)
{
    return &l->links[map_hash(symbol, sizeof *symbol) % l->count];
}

static void
set_away(struct link *k, bool is_away)
{
    struct ledger *core = k->links->o.ledger;
    k->is_away = is_away;
    for (uint32_t i = 0; i < core->symbols_count; i++)
        if (link_of(k->links, &core->symbols[i].code) == k)
            ledger_set_matcher_away(core, &core->symbols[i].code, is_away);
}

/* A matcher that is restarted is back within a second: what is placed meanwhile is open here, and
 * goes to it with all the others. */
static void
set_state(struct link *k, enum link_state state)
{
    if (k->state == LINK_WORKING)
        k->left_us = loop_steady_us(k->links->o.loop);
    k->state = state;
    metric_set(k->m_state, state);
    if (state == LINK_WORKING)
        set_away(k, false);
}

static bool
is_mine(const struct link *k, uint32_t order)
{
    const struct ledger *core = k->links->o.ledger;
    return link_of(k->links, &core->symbols[core->orders[order].symbol].code) == k;
}

/* ---- Sessions ----------------------------------------------------------------------------- */

static uint64_t
open_orders(const struct ledger *core)
{
    uint64_t open = 0;
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        open += core->shards[i].open_orders;
    return open;
}

static void
session_begin(struct link *k, const char *why)
{
    struct links *l = k->links;
    int64_t now = loop_steady_us(l->o.loop);
    k->session++;
    k->received = 0;
    k->in_frame = false;
    k->began_us = k->heard_us = k->beat_us = now;
    metric_add(l->m_sessions, 1);
    if (k->silent_sessions++ < 3 || k->silent_sessions % 40 == 0)
        log_line(LOG_INFO, "link_hello", "matcher=%s session=%llu why=\"%s\"", k->endpoint,
                 (unsigned long long)k->session, why);
    bus_set_session(k->bus, 0, k->session);
    k->patient_us = 0;
    const struct link_hello hello = {.orders = open_orders(l->o.ledger)};
    bus_put(k->bus, 0, MSG_link_hello, 0, &hello);
    set_state(k, LINK_HELLO);
}

static void
send_pull(struct link *k, uint32_t order)
{
    const struct ledger *core = k->links->o.ledger;
    const struct ledger_order *o = &core->orders[order];
    const struct order_pull pull = {.order_id = o->id,
                                    .symbol = core->symbols[o->symbol].code,
                                    .latency_us = o->cancel_latency_us};
    bus_put(k->bus, 0, MSG_order_pull, 0, &pull);
}

static void
send_trim(struct link *k, uint32_t order)
{
    const struct ledger *core = k->links->o.ledger;
    const struct ledger_order *o = &core->orders[order];
    const struct order_trim trim = {.order_id = o->id,
                                    .symbol = core->symbols[o->symbol].code,
                                    .quantity = o->trimmed_to,
                                    .latency_us = o->cancel_latency_us};
    bus_put(k->bus, 0, MSG_order_trim, 0, &trim);
}

static void
sending_done(struct link *k)
{
    if (k->sending_pulls) {
        set_state(k, LINK_WORKING);
        log_line(LOG_INFO, "link_synced", "matcher=%s session=%llu orders=%llu", k->endpoint,
                 (unsigned long long)k->session, (unsigned long long)k->sent_orders);
        k->silent_sessions = 0;
        return;
    }
    const struct link_synced synced = {.orders = k->sent_orders};
    bus_put(k->bus, 0, MSG_link_synced, 0, &synced);
    k->sending_pulls = true;
    k->next_order = 0;
    loop_soon(k->links->o.loop);
}

/* First every open order, then synced, then the amendments and pulls that the last session left
 * unanswered. */
static void
send_some(struct link *k)
{
    const struct ledger *core = k->links->o.ledger;
    for (uint32_t sent = 0; sent < SEND_TURN_MAX;) {
        uint32_t order = ledger_next_open(core, k->next_order);
        if (order == LEDGER_NONE) {
            sending_done(k);
            return;
        }
        k->next_order = order + 1;
        if (!is_mine(k, order))
            continue;
        if (k->sending_pulls) {
            if (core->orders[order].trimmed_us != 0)
                send_trim(k, order);
            if (!ledger_is_pulled(core, order))
                continue;
            send_pull(k, order);
        } else {
            struct order_work work;
            memset(&work, 0, sizeof work);
            ledger_order_work(core, order, &work);
            bus_put(k->bus, 0, MSG_order_work, 0, &work);
            k->sent_orders++;
        }
        sent++;
    }
    loop_soon(k->links->o.loop);
}

/* ---- Receiving ---------------------------------------------------------------------------- */

/* Whether the message counts. A frame of another session is of the past. */
static bool
frame_counts(struct link *k, const struct bus_in *in)
{
    const struct frame *f = in->frame;
    if (f->epoch != k->links->o.epoch || f->session != k->session) {
        metric_add(k->links->m_stale, 1);
        return false;
    }
    uint64_t expected = k->in_frame ? k->received : k->received + 1;
    if (f->sequence != expected) {
        session_begin(k, "a frame is missing");
        return false;
    }
    k->received = f->sequence;
    k->in_frame = !in->last;
    k->heard_us = loop_steady_us(k->links->o.loop);
    return true;
}

/* A matcher that was restarted cannot know our session yet says that it lost it. */
static void
on_lost(struct link *k, const struct frame *f)
{
    bool is_old = f->epoch == k->links->o.epoch && f->session != 0 && f->session < k->session;
    bool is_calm = loop_steady_us(k->links->o.loop) - k->began_us > HELLO_CALM_US;
    if (is_old || (k->state == LINK_HELLO && !is_calm))
        metric_add(k->links->m_stale, 1);
    else
        session_begin(k, "the matcher lost the link");
}

static void
on_msg(void *arg, const struct bus_in *in)
{
    struct link *k = arg;
    struct links *l = k->links;
    if (in->msg->type == MSG_link_lost) {
        on_lost(k, in->frame);
        return;
    }
    if (!frame_counts(k, in))
        return;
    struct msg m = *in->msg;
    switch ((int)m.type) {
    case MSG_link_ready:
        if (k->state != LINK_HELLO)
            break;
        k->next_order = 0;
        k->sent_orders = 0;
        k->sending_pulls = false;
        k->patient_us = loop_steady_us(l->o.loop) + (int64_t)open_orders(l->o.ledger) * TAKE_IN_US;
        set_state(k, LINK_SENDING);
        loop_soon(l->o.loop);
        break;
    case MSG_link_beat:
        if (m.link_beat.frames > k->received)
            session_begin(k, "a beat tells of more frames");
        break;
    case MSG_order_report:
        metric_add(l->m_reports, 1);
        if (!l->o.on_report(l->o.arg, in->frame->sender, &m))
            session_begin(k, "a report could not be taken");
        break;
    case MSG_order_explained:
        l->o.on_explained(l->o.arg, &m);
        break;
    default:
        log_msg("link_unexpected", &m);
    }
}

static void
on_bad_frame(void *arg, uint32_t peer, enum err why)
{
    (void)peer;
    session_begin(arg, err_name(why));
}

/* Who comes back was restarted, or has missed something. */
static void
on_link(void *arg, bool is_up)
{
    struct link *k = arg;
    if (is_up && k->was_down)
        session_begin(k, "the connection is back");
    k->was_down = !is_up;
}

/* ---- Upkeep ------------------------------------------------------------------------------- */

static void
link_tick(struct link *k)
{
    struct links *l = k->links;
    int64_t now = loop_steady_us(l->o.loop);
    if (l->is_paused)
        k->heard_us = now;
    if (k->state != LINK_WORKING && !k->is_away && now - k->left_us >= AWAY_US)
        set_away(k, true);
    if (k->state == LINK_HELLO) {
        if (now - k->began_us >= HELLO_US)
            session_begin(k, "hello was not answered");
        return;
    }
    if (now - k->heard_us >= SILENCE_US && now >= k->patient_us) {
        session_begin(k, "nothing was heard");
        return;
    }
    if (now - k->beat_us >= BEAT_US) {
        const struct link_beat beat = {.frames = bus_frames_sent(k->bus, 0)};
        bus_put(k->bus, 0, MSG_link_beat, 0, &beat);
        k->beat_us = now;
    }
}

static void
on_tick(void *arg)
{
    struct links *l = arg;
    for (uint32_t i = 0; i < l->count; i++)
        link_tick(&l->links[i]);
}

void
links_turn(struct links *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->links[i].state == LINK_SENDING)
            send_some(&l->links[i]);
}

static const code_t *
symbol_of(const struct msg *m)
{
    switch ((int)m->type) {
    case MSG_order_work:
        return &m->order_work.symbol;
    case MSG_order_pull:
        return &m->order_pull.symbol;
    case MSG_order_trim:
        return &m->order_trim.symbol;
    case MSG_order_explain:
        return &m->order_explain.symbol;
    default:
        CHECK(false); /* nothing else is for a matcher */
    }
}

/* Whether a message goes out while open orders are being sent. An order that becomes live in the
 * meantime (another one's end did it) is sent at once where the walk has passed its place; the walk
 * meets the others. Pulls and trims follow behind all orders. */
static bool
is_missed(struct link *k, const struct msg *m)
{
    if (k->sending_pulls || m->type != MSG_order_work)
        return k->sending_pulls;
    uint32_t order = map_get(&k->links->o.ledger->order_by_id, m->order_work.order_id);
    if (order == MAP_NONE || order >= k->next_order)
        return false;
    k->sent_orders++;
    return true;
}

void
links_send(struct links *l, const struct msg *m)
{
    struct link *k = link_of(l, symbol_of(m));
    if (k->state == LINK_WORKING || (k->state == LINK_SENDING && is_missed(k, m)))
        bus_put(k->bus, 0, m->type, m->corr, &m->frame);
}

void
links_pause(struct links *l, bool paused)
{
    if (l->is_paused == paused)
        return;
    l->is_paused = paused;
    log_line(LOG_WARN, paused ? "links_paused" : "links_resumed", "matchers=%u", l->count);
    for (uint32_t i = 0; i < l->count; i++) {
        l->links[i].heard_us = loop_steady_us(l->o.loop);
        bus_pause(l->links[i].bus, paused);
    }
}

uint32_t
links_count(const struct links *l)
{
    return l->count;
}

uint32_t
links_working(const struct links *l)
{
    uint32_t working = 0;
    for (uint32_t i = 0; i < l->count; i++)
        working += l->links[i].state == LINK_WORKING;
    return working;
}

/* ---- Life --------------------------------------------------------------------------------- */

static bool
link_open(void *arg, const char *endpoint)
{
    char name[24], labels[24];
    struct links *l = arg;
    struct link *k = &l->links[l->count];
    if (l->count == LINKS_MAX)
        return false;
    k->links = l;
    k->index = l->count;
    k->is_away = true;
    snprintf(k->endpoint, sizeof k->endpoint, "%s", endpoint);
    snprintf(name, sizeof name, "ledger-%u", l->o.group);
    snprintf(labels, sizeof labels, "matcher=\"%u\"", k->index);
    k->m_state = metric_gauge("scrip_ledger_link_state", labels,
                              "0 hello, 1 sending open orders, 2 working.");
    k->bus = bus_open(l->o.loop, &(struct bus_options){
                                     .role = BUS_ASK,
                                     .endpoint = k->endpoint,
                                     .name = name,
                                     .arg = k,
                                     .on_msg = on_msg,
                                     .on_bad_frame = on_bad_frame,
                                     .on_link = on_link,
                                 });
    if (k->bus == NULL)
        return false;
    l->count++;
    return true;
}

struct links *
links_open(const struct links_options *o)
{
    struct links *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    l->o = *o;
    l->m_sessions = metric_counter("scrip_ledger_link_sessions_total", "", "Sessions begun.");
    l->m_stale = metric_counter("scrip_ledger_link_stale_total", "",
                                "Messages of another epoch or session, dropped.");
    l->m_reports = metric_counter("scrip_ledger_reports_total", "", "Reports of the matchers.");
    if (!endpoints_read(o->endpoints, l, link_open) || l->count == 0) {
        log_line(LOG_ERROR, "links_failed", "matcher_endpoints=%s", o->endpoints);
        links_close(&l);
        return NULL;
    }
    l->timer = loop_timer_new(o->loop, TICK_MS, TICK_MS, on_tick, l);
    for (uint32_t i = 0; i < l->count; i++) {
        bus_set_epoch(l->links[i].bus, o->epoch);
        session_begin(&l->links[i], "start");
    }
    return l;
}

void
links_close(struct links **l)
{
    if (*l == NULL)
        return;
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        bus_close(&(*l)->links[i].bus);
    if ((*l)->timer != NULL)
        loop_timer_end(&(*l)->timer);
    free(*l);
    *l = NULL;
}
