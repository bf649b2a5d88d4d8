/*
 * bridges.c - see bridges.h. What is open is looked at a part a tick, what is due at once; the
 * books say what each order still needs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/bridges.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/endpoints.h"
#include "host/log.h"
#include "host/metrics.h"
#include "ledger/core/order.h"
#include "wire/bus.h"

#define BRIDGES_MAX  16
#define KNOWN_MAX    65536u /* open real orders looked after at a time; the others wait */
#define LOOKED_MAX   1024u  /* of those not due, in a tick */
#define TICK_MS      100
#define PROBE_US     500000
#define SILENCE_US   2000000 /* who says nothing for so long is away */
#define ASK_US       2000000 /* an order not heard of for so long is asked about */
#define ASK_MAX_US   30000000
#define UNRESOLVED_S 60 /* then it is said in the log */
#define NEVER_US     INT64_MAX

struct bridge_link {
    struct bridges *bridges;
    struct bus *bus;
    char endpoint[ENDPOINT_BYTES];
    bool is_up;
    int64_t heard_us, probed_us; /* steady */
};

/* An open real order. */
struct known {
    uint64_t order_id;
    int64_t due_us;   /* steady; when the next message about it is due */
    int64_t wait_us;  /* then until the one after it */
    int64_t asked_us; /* steady; 0 = nothing is under way */
    int64_t created_us;
    uint32_t bridge; /* that was told last */
    uint32_t asks;   /* since it was heard of */
    bool is_unresolved, is_said;
};

struct bridges {
    struct bridges_options o;
    struct loop_timer *timer;
    struct bridge_link links[BRIDGES_MAX];
    uint32_t count;
    struct known *known;
    uint32_t known_count, look_next;
    uint32_t ask_below; /* places below it are to be asked about next */
    struct map by_order;
    void *map_memory;
    bool is_incomplete; /* the books have real orders that are not known here */
    uint32_t asks_under_way, unresolved;
    struct metric *m_open, *m_unresolved, *m_oldest, *m_working, *m_places, *m_asks, *m_cancels;
};

/* ---- Bridges ------------------------------------------------------------------------------ */

static bool
link_works(const struct bridge_link *k, int64_t now_us)
{
    return k->is_up && now_us - k->heard_us < SILENCE_US;
}

/* The first that works from there on; where none does, that one. */
static struct bridge_link *
link_from(struct bridges *b, uint32_t from, int64_t now_us)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (link_works(&b->links[(from + i) % b->count], now_us))
            return &b->links[(from + i) % b->count];
    return &b->links[b->count == 0 ? 0 : from % b->count];
}

/* New real orders are taken while there is one. */
static uint32_t
count_working(struct bridges *b)
{
    int64_t now_us = loop_steady_us(b->o.loop);
    uint32_t working = 0;
    for (uint32_t i = 0; i < b->count; i++)
        working += link_works(&b->links[i], now_us);
    metric_set(b->m_working, working);
    ledger_set_bridge_away(b->o.ledger, working == 0);
    return working;
}

static void
on_msg(void *arg, const struct bus_in *in)
{
    struct bridge_link *k = arg;
    k->heard_us = loop_steady_us(k->bridges->o.loop);
    if (in->msg->type == MSG_refused && log_on(LOG_DEBUG))
        log_msg("bridge_refused", in->msg);
}

static void
on_link(void *arg, bool is_up)
{
    struct bridge_link *k = arg;
    if (k->is_up != is_up)
        log_line(LOG_INFO, is_up ? "bridge_up" : "bridge_down", "bridge=%s", k->endpoint);
    k->is_up = is_up;
    k->heard_us = loop_steady_us(k->bridges->o.loop);
    (void)count_working(k->bridges);
}

/* Any answer will do, a refusal too. */
static void
probe(struct bridge_link *k, int64_t now_us)
{
    const struct bridge_schedule_get ask = {.account_id = 1, .trading_type = TRADING_TYPE_spot};
    if (!k->is_up || now_us - k->probed_us < PROBE_US)
        return;
    k->probed_us = now_us;
    bus_put(k->bus, 0, MSG_bridge_schedule_get, (uint64_t)now_us, &ask);
}

/* ---- Orders ------------------------------------------------------------------------------- */

static struct known *
known_find(const struct bridges *b, uint64_t order_id)
{
    uint32_t place = map_get(&b->by_order, order_id);
    return place == MAP_NONE ? NULL : &b->known[place];
}

/* NULL when there is no room: the books are looked through again when there is. */
static struct known *
known_take(struct bridges *b, const struct ledger_order *o)
{
    struct known *k = known_find(b, o->id);
    if (k != NULL)
        return k;
    if (b->known_count == KNOWN_MAX) {
        b->is_incomplete = true;
        return NULL;
    }
    k = &b->known[b->known_count];
    *k = (struct known){.order_id = o->id,
                        .wait_us = ASK_US,
                        .created_us = o->created_us,
                        .bridge = (uint32_t)map_mix(b->o.ledger->accounts[o->account].id)};
    map_set(&b->by_order, o->id, b->known_count++);
    return k;
}

static void
known_forget(struct bridges *b, struct known *k)
{
    const struct known *last = &b->known[--b->known_count];
    map_remove(&b->by_order, k->order_id);
    if (k == last)
        return;
    *k = *last;
    map_set(&b->by_order, k->order_id, (uint32_t)(k - b->known));
}

/* What was open before this process had the books, or found no room: due at once. */
static void
look_through(struct bridges *b)
{
    const struct ledger *l = b->o.ledger;
    int64_t now_us = loop_steady_us(b->o.loop);
    b->is_incomplete = false;
    for (uint32_t i = ledger_next_real(l, 0); i != LEDGER_NONE && !b->is_incomplete;
         i = ledger_next_real(l, i + 1)) {
        if (known_find(b, l->orders[i].id) != NULL)
            continue;
        struct known *k = known_take(b, &l->orders[i]);
        if (k != NULL)
            k->due_us = now_us;
    }
}

static void
note_unresolved(struct bridges *b, struct known *k, const struct ledger_order *o)
{
    int64_t age_s = (loop_now_us(b->o.loop) - k->created_us) / 1000000;
    k->is_unresolved = true;
    if (k->is_said || age_s < UNRESOLVED_S)
        return;
    k->is_said = true;
    log_line(LOG_WARN, "real_order_unresolved",
             "order=%" PRIu64 " account=%" PRIu64 " environment=%s state=%s age_s=%lld asks=%u",
             k->order_id, b->o.ledger->accounts[o->account].id,
             msg_enum_name(MSG_ENUM_environment, o->environment),
             msg_enum_name(MSG_ENUM_exchange_state, o->exchange_state), (long long)age_s, k->asks);
}

static void
count_told(struct bridges *b, enum msg_type type)
{
    metric_add(type == MSG_bridge_place ? b->m_places
               : type == MSG_bridge_ask ? b->m_asks
                                        : b->m_cancels,
               1);
}

/* To the bridge behind the one that was told last. */
static void
tell(struct bridges *b, struct known *k, const struct msg *m, int64_t now_us)
{
    struct bridge_link *link = link_from(b, k->asks == 0 ? k->bridge : k->bridge + 1, now_us);
    if (!link_works(link, now_us))
        return;
    bus_put(link->bus, 0, m->type, k->order_id, &m->frame);
    count_told(b, m->type);
    k->bridge = (uint32_t)(link - b->links);
    k->asks++;
    k->asked_us = now_us;
    k->due_us = now_us + k->wait_us;
    b->asks_under_way++;
    if (m->type == MSG_bridge_ask && k->wait_us < ASK_MAX_US)
        k->wait_us = 2 * k->wait_us < ASK_MAX_US ? 2 * k->wait_us : ASK_MAX_US;
}

/* False when nothing of it is left to be looked after. */
static bool
look_at(struct bridges *b, struct known *k, int64_t now_us)
{
    const struct ledger *l = b->o.ledger;
    const struct ledger_order *o = order_find(l, k->order_id);
    struct msg m;
    if (o == NULL || !order_is_open(o))
        return false;
    memset(&m, 0, sizeof m);
    k->is_unresolved = false;
    if (ledger_real_ask(l, order_index(l, o), &m.bridge_ask)) {
        m.type = MSG_bridge_ask;
        note_unresolved(b, k, o);
    } else if (ledger_real_cancel(l, order_index(l, o), &m.bridge_cancel)) {
        m.type = MSG_bridge_cancel;
        k->wait_us = ASK_US;
    } else {
        k->due_us = NEVER_US;
        return true;
    }
    if (now_us >= k->due_us && b->asks_under_way < b->o.asks_max)
        tell(b, k, &m, now_us);
    return true;
}

/* Whether something is to be said of it now. Where there are more than may be asked about at a
 * time, the next tick goes on from here, so that none waits for ever. */
static bool
is_due(struct bridges *b, uint32_t i, uint32_t ask_below, int64_t now_us)
{
    if (i >= ask_below || b->known[i].due_us > now_us)
        return false;
    if (b->asks_under_way < b->o.asks_max)
        return true;
    if (b->ask_below == UINT32_MAX)
        b->ask_below = i + 1;
    return false;
}

/* All that is due, and some of the others. From the end on: the last one takes a gap's place. */
static void
look(struct bridges *b, int64_t now_us)
{
    int64_t oldest_us = INT64_MAX;
    uint32_t looked = 0, ask_below = count_working(b) > 0 ? b->ask_below : 0;
    b->unresolved = b->asks_under_way = 0;
    b->ask_below = UINT32_MAX;
    for (uint32_t i = 0; i < b->known_count; i++)
        b->asks_under_way += b->known[i].asked_us != 0 && now_us - b->known[i].asked_us < ASK_US;
    b->look_next = b->look_next < b->known_count ? b->look_next : 0;
    for (uint32_t i = b->known_count; i-- > 0;) {
        struct known *k = &b->known[i];
        bool is_next = i >= b->look_next && i < b->look_next + LOOKED_MAX;
        looked += is_next;
        if ((is_due(b, i, ask_below, now_us) || is_next) && !look_at(b, k, now_us)) {
            known_forget(b, k);
            continue;
        }
        b->unresolved += k->is_unresolved;
        if (k->is_unresolved && k->created_us < oldest_us)
            oldest_us = k->created_us;
    }
    b->look_next += looked;
    int64_t age_us = oldest_us == INT64_MAX ? 0 : loop_now_us(b->o.loop) - oldest_us;
    metric_set(b->m_open, b->known_count);
    metric_set(b->m_unresolved, b->unresolved);
    metric_set(b->m_oldest, age_us / 1000000);
}

static void
on_tick(void *arg)
{
    struct bridges *b = arg;
    int64_t now_us = loop_steady_us(b->o.loop);
    for (uint32_t i = 0; i < b->count; i++)
        probe(&b->links[i], now_us);
    if (b->is_incomplete && b->known_count < KNOWN_MAX)
        look_through(b);
    look(b, now_us);
}

/* ---- From the core ------------------------------------------------------------------------ */

/* An order that is placed with no bridge at work stays in the queue of one, which does not send it
 * any more when its time is over. */
void
bridges_send(struct bridges *b, const uint8_t *data, size_t length)
{
    struct msg m;
    struct arena none = {0};
    size_t at = 0;
    if (msg_unpack(data, length, &at, &none, &m) != OK) {
        log_line(LOG_ERROR, "bridge_unreadable", "bytes=%zu", length); /* nobody would read it */
        return;
    }
    /* All three messages have the same fields. */
    int64_t now_us = loop_steady_us(b->o.loop);
    const struct ledger_order *o = order_find(b->o.ledger, m.bridge_place.order.order_id);
    struct known *k = o == NULL ? NULL : known_take(b, o);
    struct bridge_link *link = link_from(b, k == NULL ? 0 : k->bridge, now_us);
    if (link->bus != NULL) {
        bus_put_packed(link->bus, 0, data, length);
        count_told(b, m.type);
    }
    if (k == NULL)
        return;
    k->bridge = (uint32_t)(link - b->links);
    k->wait_us = ASK_US;
    k->due_us = now_us + ASK_US;
}

void
bridges_heard(struct bridges *b, uint64_t order_id)
{
    struct known *k = known_find(b, order_id);
    if (k == NULL)
        return;
    k->asked_us = 0;
    k->asks = 0;
    k->wait_us = ASK_US;
    k->due_us = loop_steady_us(b->o.loop) + ASK_US;
    if (!look_at(b, k, loop_steady_us(b->o.loop)))
        known_forget(b, k);
}

bool
bridges_are_there(struct bridges *b)
{
    return b->count == 0 || count_working(b) > 0;
}

uint32_t
bridges_unresolved(const struct bridges *b)
{
    return b->unresolved;
}

/* ---- Life --------------------------------------------------------------------------------- */

static bool
open_link(void *arg, const char *endpoint)
{
    char name[24];
    struct bridges *b = arg;
    struct bridge_link *k = &b->links[b->count];
    if (b->count == BRIDGES_MAX)
        return false;
    k->bridges = b;
    snprintf(k->endpoint, sizeof k->endpoint, "%s", endpoint);
    snprintf(name, sizeof name, "ledger-%u", b->o.group);
    k->bus = bus_open(b->o.loop, &(struct bus_options){.role = BUS_ASK,
                                                       .endpoint = k->endpoint,
                                                       .name = name,
                                                       .arg = k,
                                                       .on_msg = on_msg,
                                                       .on_link = on_link});
    if (k->bus == NULL)
        return false;
    bus_set_epoch(k->bus, b->o.epoch);
    b->count++;
    return true;
}

static void
open_metrics(struct bridges *b)
{
    b->m_open = metric_gauge("scrip_ledger_real_open_orders", "", "Real orders that are open.");
    b->m_unresolved = metric_gauge("scrip_ledger_real_unresolved_orders", "",
                                   "Of these, with an outcome that nobody knows.");
    b->m_oldest = metric_gauge("scrip_ledger_real_unresolved_seconds", "",
                               "Age of the oldest order with an outcome that nobody knows.");
    b->m_working = metric_gauge("scrip_ledger_bridges_working", "", "Bridges that answer.");
    b->m_places = metric_counter("scrip_ledger_bridge_places_total", "",
                                 "Real orders given to a bridge, each once.");
    b->m_asks = metric_counter("scrip_ledger_bridge_asks_total", "",
                               "Questions to bridges what became of an order.");
    b->m_cancels = metric_counter("scrip_ledger_bridge_cancels_total", "",
                                  "Cancels of real orders asked of bridges.");
}

struct bridges *
bridges_open(const struct bridges_options *o)
{
    struct bridges *b = calloc(1, sizeof *b);
    CHECK(b != NULL);
    b->o = *o;
    b->known = calloc(KNOWN_MAX, sizeof *b->known);
    b->map_memory = malloc(map_bytes(KNOWN_MAX));
    CHECK(b->known != NULL && b->map_memory != NULL);
    map_init(&b->by_order, KNOWN_MAX, b->map_memory);
    b->ask_below = UINT32_MAX;
    b->is_incomplete = true;
    open_metrics(b);
    if (!endpoints_read(o->endpoints, b, open_link)) {
        log_line(LOG_ERROR, "bridges_failed", "bridge_endpoints=%s", o->endpoints);
        bridges_close(&b);
        return NULL;
    }
    ledger_set_bridge_away(o->ledger, true);
    b->timer = loop_timer_new(o->loop, TICK_MS, TICK_MS, on_tick, b);
    return b;
}

void
bridges_close(struct bridges **b)
{
    if (*b == NULL)
        return;
    for (uint32_t i = 0; i < BRIDGES_MAX; i++)
        bus_close(&(*b)->links[i].bus);
    if ((*b)->timer != NULL)
        loop_timer_end(&(*b)->timer);
    free((*b)->known);
    free((*b)->map_memory);
    free(*b);
    *b = NULL;
}
