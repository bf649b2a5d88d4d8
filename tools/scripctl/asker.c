/*
 * asker.c - see asker.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/asker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/core/gateway.h"
#include "host/shards.h"
#include "ledger/core/ledger.h"
#include "scripctl/value.h"
#include "wire/bus.h"

#define RESEND_US  500000
#define TIMEOUT_US 10000000
#define TICK_MS    20
#define CALLS_MAX  (ASKER_WINDOW + LEDGER_SHARDS) /* a probe for each server */

struct asker_server {
    struct asker *asker;
    uint32_t number; /* of gw */
    struct bus *bus;
};

struct asker {
    struct loop *loop;
    struct loop_timer *timer;
    struct gw gw;
    void *gw_memory;
    struct asker_server servers[LEDGER_SHARDS];
    uint32_t servers_count;
    uint32_t of_shard[LEDGER_SHARDS];
    struct bytes packed;
    char name[CODE_BYTES];
    uint64_t corr;
    uint32_t under_way;            /* without probes */
    const struct asker_work *work; /* at hand */
    uint32_t works_left;           /* that one included */
};

/* ---- In and out ------------------------------------------------------------------------------ */

static void
done(struct asker *a, uint64_t owner, const struct msg *m, enum err why)
{
    a->under_way--;
    a->work->on_answer(a->work->arg, owner, m, why);
}

static void
on_msg(void *arg, const struct bus_in *in)
{
    const struct asker_server *s = arg;
    struct asker *a = s->asker;
    int64_t now_us = loop_steady_us(a->loop);
    enum err refused = in->msg->type == MSG_refused ? in->msg->refused.error : OK;
    uint64_t owner;
    if (!gw_answer_settles(&a->gw, in->msg->corr, refused))
        gw_heard(&a->gw, now_us, s->number, in->frame->epoch);
    else if (gw_answer(&a->gw, now_us, s->number, in->frame->epoch, in->msg->corr, &owner) &&
             owner != 0)
        done(a, owner, in->msg, OK);
}

static void
on_link(void *arg, bool is_up)
{
    const struct asker_server *s = arg;
    gw_link(&s->asker->gw, loop_steady_us(s->asker->loop), s->number, is_up);
}

/* A question that any answer will do for: whether a server that was away is back. */
static void
probe(struct asker *a, uint32_t server)
{
    struct msg m = {.type = MSG_account_get};
    m.account_get.account_id = 1;
    bytes_clear(&a->packed);
    msg_pack_body(&a->packed, m.type, ++a->corr, &m.account_get);
    if (gw_start_probe(&a->gw, loop_steady_us(a->loop), server, a->corr, a->packed.data,
                       a->packed.length) == OK)
        bus_put_packed(a->servers[server].bus, 0, a->packed.data, a->packed.length);
}

/* Sends again what is due for it, and gives up what is too late. */
static void
repair(struct asker *a)
{
    struct gw_due due;
    while ((due = gw_due(&a->gw, loop_steady_us(a->loop))).kind != GW_DUE_NOTHING) {
        if (due.kind == GW_DUE_RESEND)
            bus_put_packed(a->servers[due.server].bus, 0, due.packed, due.length);
        else if (due.kind == GW_DUE_PROBE)
            probe(a, due.server);
        else if (due.owner != 0)
            done(a, due.owner, NULL, due.error);
    }
}

/* What is under way has all come to its end: the next part, if there is one. */
static void
work_end(struct asker *a)
{
    bool goes_on = a->work->on_end == NULL || a->work->on_end(a->work->arg);
    if (!goes_on || --a->works_left == 0) {
        a->works_left = 0;
        loop_stop(a->loop);
        return;
    }
    a->work++;
    loop_soon(a->loop);
}

static void
on_turn(void *arg)
{
    struct asker *a = arg;
    if (a->works_left == 0)
        return;
    repair(a);
    int64_t next_us = a->work->on_turn(a->work->arg, a);
    if (next_us < 0 && a->under_way == 0) {
        work_end(a);
        return;
    }
    int64_t next_ms = next_us <= 0 ? TICK_MS : (next_us + 999) / 1000;
    loop_timer_again(a->timer, next_ms < TICK_MS ? next_ms : TICK_MS);
}

static void
on_time(void *arg)
{
    (void)arg; /* waking the loop is all */
}

void
asker_run(struct asker *a, const struct asker_work *works, uint32_t count)
{
    a->work = works;
    a->works_left = count;
    if (count == 0)
        return;
    loop_timer_again(a->timer, 0);
    loop_run(a->loop);
}

uint32_t
asker_room(const struct asker *a)
{
    return ASKER_WINDOW - a->under_way;
}

void
asker_put(struct asker *a, uint64_t account_id, const struct msg *m, uint64_t owner)
{
    uint32_t server = a->of_shard[ledger_shard_of(account_id)];
    int64_t now_us = loop_steady_us(a->loop);
    CHECK(asker_room(a) > 0 && owner != 0);
    bytes_clear(&a->packed);
    msg_pack_body(&a->packed, m->type, ++a->corr, msg_body_const(m));
    bool mutates = msg_layout(m->type)->effect[0] == 'M';
    enum err e =
        gw_start(&a->gw, now_us, server, a->corr, owner, mutates, a->packed.data, a->packed.length);
    a->under_way++;
    if (e != OK)
        done(a, owner, NULL, e);
    else if (gw_is_linked(&a->gw, server))
        bus_put_packed(a->servers[server].bus, 0, a->packed.data, a->packed.length);
}

int64_t
asker_now_us(const struct asker *a)
{
    return loop_steady_us(a->loop);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

static bool
server_open(void *arg, unsigned from, unsigned to, const char *endpoint)
{
    struct asker *a = arg;
    struct asker_server *s = &a->servers[a->servers_count];
    *s = (struct asker_server){.asker = a};
    for (unsigned shard = from; shard <= to; shard++) {
        if (a->of_shard[shard] != GW_NONE)
            return false;
        a->of_shard[shard] = a->servers_count;
    }
    s->number = gw_add_server(&a->gw, ERR_LEDGER_UNAVAILABLE);
    CHECK(s->number == a->servers_count);
    a->servers_count++;
    gw_link(&a->gw, loop_steady_us(a->loop), s->number, false);
    s->bus = bus_open(a->loop, &(struct bus_options){.role = BUS_ASK,
                                                     .endpoint = endpoint,
                                                     .name = a->name,
                                                     .queue_max = 100000,
                                                     .arg = s,
                                                     .on_msg = on_msg,
                                                     .on_link = on_link});
    return s->bus != NULL;
}

/* "0-31=ENDPOINT,32-63=ENDPOINT", or one endpoint for all. */
static bool
servers_open(struct asker *a, const char *text)
{
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        a->of_shard[i] = GW_NONE;
    if (text[0] < '0' || text[0] > '9')
        return server_open(a, 0, LEDGER_SHARDS - 1, text);
    if (!shards_read(text, a, server_open))
        return false;
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        if (a->of_shard[i] == GW_NONE)
            return false;
    return true;
}

struct asker *
asker_open(const char *endpoint, char why[WHY_BYTES])
{
    struct asker *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    a->loop = loop_new();
    a->gw_memory = calloc(1, gw_bytes(CALLS_MAX));
    CHECK(a->gw_memory != NULL);
    gw_init(&a->gw,
            &(struct gw_options){.calls_max = CALLS_MAX,
                                 .resend_us = RESEND_US,
                                 .timeout_us = TIMEOUT_US,
                                 .silent_us = TIMEOUT_US},
            a->gw_memory);
    a->timer = loop_timer_new(a->loop, TICK_MS, 0, on_time, a);
    loop_on_turn(a->loop, on_turn, a);
    snprintf(a->name, sizeof a->name, "replay-%d", (int)getpid());
    /* No run asks with the numbers of another one. */
    a->corr = (uint64_t)value_now_us() << 10;
    if (servers_open(a, endpoint))
        return a;
    snprintf(why, WHY_BYTES,
             "\"%.200s\" is neither an endpoint such as tcp://127.0.0.1:7201 nor endpoints for all "
             "shards such as 0-31=ENDPOINT,32-63=ENDPOINT",
             endpoint);
    asker_close(&a);
    return NULL;
}

void
asker_close(struct asker **asker)
{
    struct asker *a = *asker;
    if (a == NULL)
        return;
    for (uint32_t i = 0; i < a->servers_count; i++)
        if (a->servers[i].bus != NULL)
            bus_close(&a->servers[i].bus);
    loop_off_turn(a->loop, on_turn, a);
    loop_timer_end(&a->timer);
    loop_destroy(&a->loop);
    bus_teardown();
    free(a->gw_memory);
    bytes_free(&a->packed);
    free(a);
    *asker = NULL;
}
