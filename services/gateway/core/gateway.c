/*
 * gateway.c - the table of requests in flight.
 *
 * Resends and deadlines have one fixed distance each, so both queues are in order of time when
 * each entry joins at the end; what has more time than that joins it again. No I/O, no clock, no
 * allocation after init.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/check.h"
#include "gateway/core/gateway_priv.h"

static size_t
map_part(uint32_t max)
{
    return (map_bytes(max) + 15) & ~(size_t)15;
}

size_t
gw_bytes(uint32_t calls_max)
{
    return map_part(calls_max) + GW_SECRETS * GW_SECRET_MAX + calls_max * sizeof(struct gw_call);
}

void
gw_init(struct gw *g, const struct gw_options *o, void *bytes)
{
    CHECK(o->calls_max > 0 && o->resend_us > 0 && o->timeout_us > 0 && o->silent_us > 0);
    memset(g, 0, sizeof *g);
    g->resend_us = o->resend_us;
    g->timeout_us = o->timeout_us;
    g->silent_us = o->silent_us;
    map_init(&g->by_corr, o->calls_max, bytes);
    char *secrets = (char *)bytes + map_part(o->calls_max);
    g->secrets = (uint8_t(*)[GW_SECRET_MAX])secrets;
    g->calls = (struct gw_call *)(secrets + GW_SECRETS * GW_SECRET_MAX);
    g->calls_max = o->calls_max;
    g->resends = g->deadlines = (struct gw_queue){GW_NONE, GW_NONE};
    for (uint32_t i = 0; i < o->calls_max; i++) {
        g->calls[i].corr = 0;
        g->calls[i].resend_next = i + 1 < o->calls_max ? i + 1 : GW_NONE;
    }
    g->free_first = 0;
    g->sweep = GW_NONE;
    g->swept_us = -1;
}

static void
resend_push(struct gw *g, uint32_t i)
{
    struct gw_call *c = &g->calls[i];
    c->resend_next = GW_NONE;
    c->resend_prev = g->resends.last;
    if (g->resends.last == GW_NONE)
        g->resends.first = i;
    else
        g->calls[g->resends.last].resend_next = i;
    g->resends.last = i;
}

static void
resend_push_first(struct gw *g, uint32_t i)
{
    struct gw_call *c = &g->calls[i];
    c->resend_prev = GW_NONE;
    c->resend_next = g->resends.first;
    if (g->resends.first == GW_NONE)
        g->resends.last = i;
    else
        g->calls[g->resends.first].resend_prev = i;
    g->resends.first = i;
}

static void
resend_unlink(struct gw *g, uint32_t i)
{
    struct gw_call *c = &g->calls[i];
    if (c->resend_prev == GW_NONE)
        g->resends.first = c->resend_next;
    else
        g->calls[c->resend_prev].resend_next = c->resend_next;
    if (c->resend_next == GW_NONE)
        g->resends.last = c->resend_prev;
    else
        g->calls[c->resend_next].resend_prev = c->resend_prev;
}

static void
deadline_push(struct gw *g, uint32_t i)
{
    struct gw_call *c = &g->calls[i];
    c->deadline_next = GW_NONE;
    c->deadline_prev = g->deadlines.last;
    if (g->deadlines.last == GW_NONE)
        g->deadlines.first = i;
    else
        g->calls[g->deadlines.last].deadline_next = i;
    g->deadlines.last = i;
}

static void
deadline_unlink(struct gw *g, uint32_t i)
{
    struct gw_call *c = &g->calls[i];
    if (c->deadline_prev == GW_NONE)
        g->deadlines.first = c->deadline_next;
    else
        g->calls[c->deadline_prev].deadline_next = c->deadline_next;
    if (c->deadline_next == GW_NONE)
        g->deadlines.last = c->deadline_prev;
    else
        g->calls[c->deadline_next].deadline_prev = c->deadline_prev;
}

/* Its server's absence is all there is to say. A probe is there to find the end of it. */
static bool
call_is_hopeless(const struct gw_call *c)
{
    return !c->is_probe && (!c->mutates || !c->was_sent);
}

/* Where the message of a call lies. */
static uint8_t *
call_packed(const struct gw *g, uint32_t i)
{
    struct gw_call *c = &g->calls[i];
    return c->secret == 0 ? c->packed : g->secrets[c->secret - 1];
}

/* The number of a secret's place, + 1; 0 when all are taken. */
static uint32_t
secret_take(struct gw *g)
{
    for (uint32_t place = 0; place < GW_SECRETS; place++)
        if ((g->secrets_used & 1u << place) == 0) {
            g->secrets_used |= 1u << place;
            return place + 1;
        }
    return 0;
}

static void
call_free(struct gw *g, uint32_t i)
{
    struct gw_call *c = &g->calls[i];
    if (c->secret != 0) {
        memset(call_packed(g, i), 0, c->length);
        g->secrets_used &= ~(1u << (c->secret - 1));
    }
    if (g->sweep == i)
        g->sweep = c->deadline_next;
    resend_unlink(g, i);
    deadline_unlink(g, i);
    map_remove(&g->by_corr, c->corr);
    g->servers[c->server].in_flight--;
    g->servers[c->server].probes -= c->is_probe;
    g->servers[c->server].hopeless -= call_is_hopeless(c);
    g->count--;
    c->corr = 0;
    c->resend_next = g->free_first;
    g->free_first = i;
}

/* A call is due now; the queue stays in order of time. */
static void
call_hurry(struct gw *g, int64_t now_us, uint32_t i)
{
    resend_unlink(g, i);
    uint32_t first = g->resends.first;
    g->calls[i].resend_at_us = first != GW_NONE && g->calls[first].resend_at_us < now_us
                                   ? g->calls[first].resend_at_us
                                   : now_us;
    resend_push_first(g, i);
}

/* All in flight to a server is due, and what waits for one of its group, as it was started. */
static void
server_hurry(struct gw *g, int64_t now_us, uint32_t server)
{
    for (uint32_t i = g->deadlines.last; i != GW_NONE; i = g->calls[i].deadline_prev) {
        uint32_t at = g->calls[i].server;
        bool waits = g->servers[at].first == g->servers[server].first && g->servers[at].is_down;
        if (at == server || waits)
            call_hurry(g, now_us, i);
    }
}

void
gw_link(struct gw *g, int64_t now_us, uint32_t server, bool is_up)
{
    CHECK(server < g->server_count);
    struct gw_server *s = &g->servers[server];
    if (s->is_down != is_up)
        return;
    s->is_down = !is_up;
    if (is_up)
        s->asked_us = s->in_flight > 0 ? now_us : 0;
    else
        s->down_us = now_us;
    if (gw_replica_from(g, now_us, server) != server || is_up)
        server_hurry(g, now_us, server);
}

void
gw_stood_still(struct gw *g, int64_t still_us)
{
    for (uint32_t i = 0; i < g->server_count; i++) {
        struct gw_server *s = &g->servers[i];
        s->down_us += still_us;
        if (s->asked_us != 0)
            s->asked_us += still_us;
    }
    for (uint32_t i = g->deadlines.first; i != GW_NONE; i = g->calls[i].deadline_next) {
        g->calls[i].deadline_us += still_us;
        g->calls[i].give_up_us += still_us;
    }
}

/* `secret` of the call: whether it is one. */
static enum err
call_start(struct gw *g, int64_t now_us, uint32_t server, uint64_t corr, const struct gw_call *call,
           const uint8_t *packed, size_t length)
{
    CHECK(server < g->server_count && corr != 0);
    CHECK(length > 0 && length <= (call->secret != 0 ? GW_SECRET_MAX : GW_PACKED_MAX));
    struct gw_server *s = &g->servers[server];
    if (g->free_first == GW_NONE)
        return ERR_GATEWAY_BUSY;
    CHECK(map_get(&g->by_corr, corr) == MAP_NONE);
    uint32_t secret = call->secret != 0 ? secret_take(g) : 0;
    if (call->secret != 0 && secret == 0)
        return ERR_GATEWAY_BUSY;

    /* Nothing below can fail. */
    uint32_t i = g->free_first;
    struct gw_call *c = &g->calls[i];
    g->free_first = c->resend_next;
    c->corr = corr;
    c->owner = call->owner;
    c->server = server;
    c->mutates = call->mutates;
    c->is_probe = call->is_probe;
    c->was_sent = !s->is_down;
    c->was_resent = false;
    c->copies = c->was_sent;
    c->answers = 0;
    c->turned_away = 0;
    c->resend_at_us = now_us + g->resend_us;
    c->deadline_us = now_us + g->timeout_us;
    c->give_up_us = now_us + s->timeout_us;
    c->length = (uint32_t)length;
    c->secret = secret;
    memcpy(call_packed(g, i), packed, length);
    resend_push(g, i);
    deadline_push(g, i);
    map_set(&g->by_corr, corr, i);
    g->count++;
    s->in_flight++;
    s->probes += c->is_probe;
    s->hopeless += call_is_hopeless(c);
    if (s->asked_us == 0) /* else it owes an answer for longer */
        s->asked_us = now_us;
    return OK;
}

enum err
gw_start(struct gw *g, int64_t now_us, uint32_t server, uint64_t corr, uint64_t owner, bool mutates,
         const uint8_t *packed, size_t length)
{
    CHECK(server < g->server_count);
    if (gw_is_away(g, now_us, server))
        return g->servers[server].away_error;
    const struct gw_call call = {.owner = owner, .mutates = mutates};
    return call_start(g, now_us, server, corr, &call, packed, length);
}

enum err
gw_start_secret(struct gw *g, int64_t now_us, uint32_t server, uint64_t corr, uint64_t owner,
                const uint8_t *packed, size_t length)
{
    CHECK(server < g->server_count);
    if (gw_is_away(g, now_us, server))
        return g->servers[server].away_error;
    const struct gw_call call = {.owner = owner, .mutates = true, .secret = 1};
    return call_start(g, now_us, server, corr, &call, packed, length);
}

enum err
gw_start_probe(struct gw *g, int64_t now_us, uint32_t server, uint64_t corr, const uint8_t *packed,
               size_t length)
{
    const struct gw_call call = {.is_probe = true};
    return call_start(g, now_us, server, corr, &call, packed, length);
}

void
gw_heard(struct gw *g, int64_t now_us, uint32_t server, uint64_t epoch)
{
    CHECK(server < g->server_count);
    struct gw_server *s = &g->servers[server];
    if (epoch < s->epoch)
        return;
    s->epoch = epoch;
    s->asked_us = s->in_flight > 0 ? now_us : 0;
}

bool
gw_answer_settles(struct gw *g, uint64_t corr, enum err refused)
{
    uint32_t i = refused == OK || corr == 0 ? MAP_NONE : map_get(&g->by_corr, corr);
    if (i == MAP_NONE || !g->calls[i].mutates || !g->calls[i].was_resent)
        return true;
    struct gw_call *c = &g->calls[i];
    c->answers++;
    bool is_turned_away = refused == ERR_LEDGER_UNAVAILABLE || refused == ERR_LEDGER_BUSY;
    return !is_turned_away && c->answers >= c->copies;
}

/* Whatever it was asked is answered, or nobody waits for it. */
static void
owes_nothing(struct gw_server *s)
{
    if (s->in_flight == 0)
        s->asked_us = 0;
}

bool
gw_ask_next(struct gw *g, int64_t now_us, uint32_t server, uint64_t corr, enum err refused)
{
    bool is_cut_off = refused == ERR_BRIDGE_UNAVAILABLE || refused == ERR_KEYS_UNAVAILABLE;
    uint32_t i = is_cut_off && corr != 0 ? map_get(&g->by_corr, corr) : MAP_NONE;
    if (i == MAP_NONE || g->servers[g->calls[i].server].first != g->servers[server].first)
        return false;
    struct gw_call *c = &g->calls[i];
    uint32_t bits = c->turned_away | replica_bit(g, server);
    /* To a probe that is as good an answer as any. */
    if (c->is_probe || replica_without(g, now_us, server, bits) == GW_NONE)
        return false;
    c->turned_away = bits;
    c->answers++;
    if (c->server == server)
        call_hurry(g, now_us, i);
    return true;
}

bool
gw_answer(struct gw *g, int64_t now_us, uint32_t server, uint64_t epoch, uint64_t corr,
          uint64_t *owner)
{
    CHECK(server < g->server_count);
    if (epoch < g->servers[server].epoch) {
        g->stale++;
        return false;
    }
    gw_heard(g, now_us, server, epoch);
    uint32_t i = corr == 0 ? MAP_NONE : map_get(&g->by_corr, corr);
    /* The one that was asked first may be the one that answers. */
    uint32_t asked = i == MAP_NONE ? GW_NONE : g->calls[i].server;
    if (asked == GW_NONE || g->servers[asked].first != g->servers[server].first) {
        g->unknown++;
        return false;
    }
    *owner = g->calls[i].owner;
    call_free(g, i);
    owes_nothing(&g->servers[asked]);
    return true;
}

void
gw_forget(struct gw *g, uint64_t corr)
{
    uint32_t i = corr == 0 ? MAP_NONE : map_get(&g->by_corr, corr);
    if (i == MAP_NONE)
        return;
    uint32_t server = g->calls[i].server;
    call_free(g, i);
    owes_nothing(&g->servers[server]);
}

static struct gw_due
due_of(const struct gw_call *c, enum gw_due_kind kind)
{
    return (struct gw_due){.kind = kind, .server = c->server, .corr = c->corr, .owner = c->owner};
}

static struct gw_due
call_give_up(struct gw *g, uint32_t i)
{
    const struct gw_call *c = &g->calls[i];
    struct gw_due due = due_of(c, GW_DUE_EXPIRED);
    due.error = c->mutates && c->was_sent ? ERR_OUTCOME_UNKNOWN : g->servers[c->server].away_error;
    g->expired++;
    call_free(g, i);
    return due;
}

/* The next whose time is over. */
static uint32_t
overdue_next(struct gw *g, int64_t now_us)
{
    uint32_t i;
    while ((i = g->deadlines.first) != GW_NONE && g->calls[i].deadline_us <= now_us) {
        struct gw_call *c = &g->calls[i];
        if (c->give_up_us <= now_us)
            return i;
        if (g->sweep == i)
            g->sweep = c->deadline_next;
        deadline_unlink(g, i);
        c->deadline_us = now_us + g->timeout_us;
        deadline_push(g, i);
    }
    return GW_NONE;
}

/* The next that waits for a server that is away and has nothing to wait for; once through all of
 * them at one time. */
static uint32_t
hopeless_next(struct gw *g, int64_t now_us)
{
    if (g->swept_us != now_us) {
        g->swept_us = now_us;
        g->sweep = GW_NONE;
        for (uint32_t server = 0; server < g->server_count; server++)
            if (g->servers[server].hopeless > 0 && gw_is_away(g, now_us, server))
                g->sweep = g->deadlines.first;
    }
    while (g->sweep != GW_NONE) {
        uint32_t i = g->sweep;
        g->sweep = g->calls[i].deadline_next;
        if (call_is_hopeless(&g->calls[i]) && gw_is_away(g, now_us, g->calls[i].server))
            return i;
    }
    return GW_NONE;
}

/* The one before stays silent until something comes from it. */
static void
call_move(struct gw *g, int64_t now_us, struct gw_call *c, uint32_t server)
{
    struct gw_server *from = &g->servers[c->server], *to = &g->servers[server];
    from->in_flight--;
    from->hopeless -= call_is_hopeless(c);
    if (server_works(g, now_us, c->server))
        owes_nothing(from);
    c->server = server;
    to->in_flight++;
    to->hopeless += call_is_hopeless(c);
    if (to->asked_us == 0)
        to->asked_us = now_us;
}

/* To the next of its group, when its server does not work or has turned it away; when all have,
 * they are asked again. */
static void
call_choose(struct gw *g, int64_t now_us, struct gw_call *c)
{
    bool is_turned_away = (c->turned_away & replica_bit(g, c->server)) != 0;
    if (c->is_probe || (!is_turned_away && server_works(g, now_us, c->server)))
        return;
    uint32_t next = replica_without(g, now_us, c->server, c->turned_away);
    if (next == GW_NONE) {
        c->turned_away = 0;
        next = gw_replica_from(g, now_us, c->server);
    }
    if (next != c->server)
        call_move(g, now_us, c, next);
}

/* Whether it goes out now: not while there is no connection. */
static bool
call_resend(struct gw *g, int64_t now_us, uint32_t i)
{
    struct gw_call *c = &g->calls[i];
    call_choose(g, now_us, c);
    struct gw_server *s = &g->servers[c->server];
    resend_unlink(g, i);
    c->resend_at_us = now_us + g->resend_us;
    resend_push(g, i);
    if (s->is_down)
        return false;
    s->hopeless -= call_is_hopeless(c);
    c->was_resent = c->was_sent;
    c->was_sent = true;
    c->copies++;
    s->hopeless += call_is_hopeless(c);
    return true;
}

struct gw_due
gw_due(struct gw *g, int64_t now_us)
{
    struct gw_due due = {.kind = GW_DUE_NOTHING};
    uint32_t i = overdue_next(g, now_us);
    if (i != GW_NONE)
        return call_give_up(g, i);
    if ((i = hopeless_next(g, now_us)) != GW_NONE)
        return call_give_up(g, i);
    while ((i = g->resends.first) != GW_NONE && g->calls[i].resend_at_us <= now_us) {
        const struct gw_call *c = &g->calls[i];
        if (!call_resend(g, now_us, i))
            continue;
        due = due_of(c, GW_DUE_RESEND);
        due.packed = call_packed(g, i);
        due.is_secret = c->secret != 0;
        due.length = c->length;
        g->resent++;
        return due;
    }
    for (uint32_t server = 0; server < g->server_count; server++) {
        struct gw_server *s = &g->servers[server];
        if (s->asked_us == 0 || now_us - s->asked_us < g->resend_us || s->probes > 0 ||
            s->is_down || s->probe_at_us > now_us)
            continue;
        s->probe_at_us = now_us + g->resend_us;
        due.kind = GW_DUE_PROBE;
        due.server = server;
        return due;
    }
    return due;
}

void
gw_check(const struct gw *g)
{
    uint32_t count = 0, in_flight = 0, hopeless = 0, prev = GW_NONE;
    for (uint32_t i = g->resends.first; i != GW_NONE; i = g->calls[i].resend_next) {
        const struct gw_call *c = &g->calls[i];
        CHECK(c->corr != 0 && c->resend_prev == prev);
        CHECK(prev == GW_NONE || g->calls[prev].resend_at_us <= c->resend_at_us);
        CHECK(map_get(&g->by_corr, c->corr) == i);
        CHECK(c->was_sent || !c->was_resent);
        hopeless += call_is_hopeless(c);
        prev = i;
        count++;
    }
    CHECK(count == g->count && g->resends.last == prev);
    count = 0;
    prev = GW_NONE;
    for (uint32_t i = g->deadlines.first; i != GW_NONE; i = g->calls[i].deadline_next) {
        uint32_t secret = g->calls[i].secret;
        CHECK(g->calls[i].deadline_prev == prev);
        CHECK(secret == 0 || (g->secrets_used >> (secret - 1) & 1) != 0);
        prev = i;
        count++;
    }
    CHECK(count == g->count && g->deadlines.last == prev);
    for (uint32_t i = 0; i < g->server_count; i++) {
        in_flight += g->servers[i].in_flight;
        hopeless -= g->servers[i].hopeless;
    }
    CHECK(in_flight == g->count && hopeless == 0);
    for (uint32_t i = g->free_first; i != GW_NONE; i = g->calls[i].resend_next)
        count++;
    CHECK(count == g->calls_max);
}
