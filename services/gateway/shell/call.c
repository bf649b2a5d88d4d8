/*
 * call.c - the buses to ledger, market data and bridge, and the traffic of requests on them.
 *
 * The core decides (sent, sent again, answered, given up); this file owns the sockets and hands
 * answers to the request or the WebSocket that waits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "base/msg_stream.h"
#include "gateway/shell/shell.h"
#include "gateway/shell/ws.h"
#include "host/endpoints.h"
#include "host/log.h"
#include "host/shards.h"

#define STILL_US 500000 /* between two turns of a loop that has a timer every 20 ms */

struct server_arg {
    struct shell *shell;
    uint32_t server;
};

/* Lives as long as the process: the buses keep pointers into it. */
static struct server_arg *
server_arg(struct shell *s, uint32_t server)
{
    struct server_arg *args = s->memory[6];
    args[server] = (struct server_arg){s, server};
    return &args[server];
}

uint32_t
call_ledger_of(const struct shell *s, uint64_t account_id)
{
    return s->shard_server[shard_of_account(account_id)];
}

uint32_t
call_bridge_of(const struct shell *s, uint64_t account_id)
{
    if (s->bridge_count == 0)
        return GW_NONE;
    return s->bridge_first + (uint32_t)(map_mix(account_id) % s->bridge_count);
}

/* The time, told to the core before anything else of now where this process has stood still: a
 * machine that was paused, a debugger. What was sent to us meanwhile is about to be read. */
static int64_t
now_awake(struct shell *s)
{
    int64_t now_us = loop_steady_us(s->loop), still_us = now_us - s->beat_us;
    s->beat_us = now_us;
    if (still_us >= STILL_US) {
        log_line(LOG_WARN, "stood_still", "ms=%lld", (long long)(still_us / 1000));
        gw_stood_still(&s->gw, still_us);
    }
    return now_us;
}

static bool
is_bridge(const struct shell *s, uint32_t server)
{
    return server - s->bridge_first < s->bridge_count;
}

static enum err
call_begin(struct shell *s, uint32_t server, enum msg_type type, uint64_t corr, uint64_t owner,
           bool mutates, const void *body)
{
    int64_t now_us = now_awake(s);
    if (server == GW_NONE)
        return ERR_BRIDGE_UNAVAILABLE;
    server = gw_replica_from(&s->gw, now_us, server);
    bytes_clear(&s->packed);
    msg_pack_body(&s->packed, type, corr, body);
    enum err e =
        gw_start(&s->gw, now_us, server, corr, owner, mutates, s->packed.data, s->packed.length);
    if (e == OK && gw_is_linked(&s->gw, server))
        bus_put_packed(s->servers[server], 0, s->packed.data, s->packed.length);
    return e;
}

enum err
call_send(struct shell *s, uint32_t server, enum msg_type type, uint64_t corr, uint64_t owner,
          bool matters, const void *body)
{
    bool mutates = matters || msg_layout(type)->effect[0] == 'M';
    return call_begin(s, server, type, corr, owner, mutates, body);
}

enum err
call_send_lightly(struct shell *s, uint32_t server, enum msg_type type, uint64_t corr,
                  uint64_t owner, const void *body)
{
    return call_begin(s, server, type, corr, owner, false, body);
}

enum err
call_send_secret(struct shell *s, uint32_t server, enum msg_type type, uint64_t corr,
                 uint64_t owner, const void *body)
{
    int64_t now_us = now_awake(s);
    struct bytes packed = {0};
    if (server == GW_NONE)
        return ERR_BRIDGE_UNAVAILABLE;
    server = gw_replica_from(&s->gw, now_us, server);
    bytes_reserve(&packed, GW_SECRET_MAX); /* it does not move */
    msg_pack_body(&packed, type, corr, body);
    enum err e = gw_start_secret(&s->gw, now_us, server, corr, owner, packed.data, packed.length);
    if (e == OK && gw_is_linked(&s->gw, server))
        bus_put_secret(s->servers[server], 0, packed.data, packed.length);
    explicit_bzero(packed.data, packed.length);
    bytes_free(&packed);
    return e;
}

/* An answer, or why there is none, to the one who waits. */
static void
deliver(struct shell *s, uint64_t owner, const struct msg *m, enum err e)
{
    if (owner == 0)
        return;
    if (owner == SYMBOLS_OWNER) {
        symbols_answer(s, m);
        return;
    }
    if ((owner & WS_BOOK_OWNER) == WS_BOOK_OWNER) {
        ws_book_answer(s->ws, owner, m);
        return;
    }
    if ((owner & WS_OWNER) != 0) {
        ws_answer(s->ws, owner, m, e);
        return;
    }
    struct request *r = request_find(s, owner);
    if (r == NULL) {
        metric_add(s->late, 1);
        return;
    }
    r->part = (uint32_t)owner >> REQUEST_PART_SHIFT;
    r->on_answer(s, r, m, e);
}

/* What gw_answer_settles() is to know of an answer. */
static enum err
refusal_of_copy(const struct msg *m)
{
    if (m->type != MSG_refused)
        return OK;
    const struct refused *why = &m->refused;
    return why->order_id != 0 && !err_again(why->error) ? OK : why->error;
}

static void
on_answer(void *arg, const struct bus_in *in)
{
    const struct server_arg *a = arg;
    struct shell *s = a->shell;
    uint64_t owner;
    log_msg("answer", in->msg);
    /* The events behind an event_resumed share its correlation id. */
    if (ws_takes_event(s->ws, a->server, in->msg))
        return;
    /* What follows a md_resent is as it was published. */
    if (a->server == s->market_server && in->msg->corr == 0 && msg_stream_symbol(in->msg) != NULL) {
        ws_book_resent(s->ws, in->msg);
        return;
    }
    enum err refused = refusal_of_copy(in->msg);
    int64_t now_us = now_awake(s);
    if (gw_ask_next(&s->gw, now_us, a->server, in->msg->corr, refused) ||
        !gw_answer_settles(&s->gw, in->msg->corr, refused)) {
        gw_heard(&s->gw, now_us, a->server, in->frame->epoch);
        return;
    }
    if (gw_answer(&s->gw, now_us, a->server, in->frame->epoch, in->msg->corr, &owner))
        deliver(s, owner, in->msg, OK);
    else
        metric_add(s->late, 1);
}

static void
on_event(void *arg, const struct bus_in *in)
{
    const struct server_arg *a = arg;
    struct shell *s = a->shell;
    if (in->frame->epoch < s->gw.servers[a->server].epoch)
        return;
    gw_heard(&s->gw, now_awake(s), a->server, in->frame->epoch);
    ws_account_event(s->ws, in->topic, in->msg);
}

static void
on_market(void *arg, const struct bus_in *in)
{
    struct shell *s = arg;
    if (in->msg->type == MSG_md_symbols_beat)
        symbols_beat(s, &in->msg->md_symbols_beat);
    else
        ws_market_event(s->ws, in->topic, in->msg);
}

static void
on_link(void *arg, bool is_up)
{
    const struct server_arg *a = arg;
    struct shell *s = a->shell;
    log_line(is_up ? LOG_INFO : LOG_WARN, is_up ? "service_linked" : "service_lost", "service=%s",
             a->server == s->market_server ? "marketdata"
             : is_bridge(s, a->server)     ? "exchange-bridge"
                                           : "ledger");
    gw_link(&s->gw, now_awake(s), a->server, is_up);
    if (is_up && a->server == s->market_server)
        s->symbols_at_us = 0; /* it may know others now */
    call_tick(s);             /* what waits for it leaves now, or goes to another one */
}

static bool
server_open(struct shell *s, uint32_t server, const char *endpoint)
{
    struct bus_options o = {.role = BUS_ASK,
                            .endpoint = endpoint,
                            .name = s->host->name,
                            .queue_max = 100000,
                            .frames_max = 1024,
                            .arg = server_arg(s, server),
                            .on_msg = on_answer,
                            .on_link = on_link};
    gw_link(&s->gw, loop_steady_us(s->loop), server, false);
    s->servers[server] = bus_open(s->loop, &o);
    return s->servers[server] != NULL;
}

static bool
ledger_take(void *arg, unsigned from, unsigned to, const char *endpoint)
{
    struct shell *s = arg;
    uint32_t server = gw_add_server(&s->gw, ERR_LEDGER_UNAVAILABLE);
    for (unsigned shard = from; shard <= to; shard++) {
        if (s->shard_server[shard] != GW_NONE)
            return false;
        s->shard_server[shard] = server;
    }
    s->ledger_count++;
    return server_open(s, server, endpoint);
}

static bool
events_take(void *arg, unsigned from, unsigned to, const char *endpoint)
{
    struct shell *s = arg;
    uint32_t server = s->shard_server[from];
    for (unsigned shard = from; shard <= to; shard++)
        if (s->shard_server[shard] != server)
            return false;
    if (s->events[server] != NULL)
        return false;
    struct bus_options o = {.role = BUS_FOLLOW,
                            .endpoint = endpoint,
                            .name = s->host->name,
                            .queue_max = 100000,
                            .frames_max = 1024,
                            .arg = server_arg(s, server),
                            .on_msg = on_event};
    s->events[server] = bus_open(s->loop, &o);
    return s->events[server] != NULL;
}

static bool
bad_setting(const char *key)
{
    log_line(LOG_ERROR, "setting_invalid", "key=%s", key);
    return false;
}

static bool
ledgers_open(struct shell *s)
{
    for (uint32_t i = 0; i < SHARDS; i++)
        s->shard_server[i] = GW_NONE;
    if (!shards_read(s->config->ledger_endpoints, s, ledger_take))
        return bad_setting("ledger_endpoints");
    for (uint32_t i = 0; i < SHARDS; i++)
        if (s->shard_server[i] == GW_NONE)
            return bad_setting("ledger_endpoints");
    if (!shards_read(s->config->ledger_event_endpoints, s, events_take))
        return bad_setting("ledger_event_endpoints");
    for (uint32_t i = 0; i < s->ledger_count; i++)
        if (s->events[i] == NULL)
            return bad_setting("ledger_event_endpoints");
    return true;
}

static bool
bridge_take(void *arg, const char *endpoint)
{
    struct shell *s = arg;
    if (s->bridge_count == GW_REPLICAS_MAX)
        return false;
    uint32_t server = s->bridge_count == 0 ? gw_add_server(&s->gw, ERR_BRIDGE_UNAVAILABLE)
                                           : gw_add_replica(&s->gw, s->bridge_first);
    if (s->bridge_count++ == 0)
        s->bridge_first = server;
    gw_set_timeout(&s->gw, server, s->config->bridge_timeout_ms * 1000);
    return server_open(s, server, endpoint);
}

enum err
call_open(struct shell *s)
{
    s->memory[6] = calloc(GW_SERVERS_MAX, sizeof(struct server_arg));
    CHECK(s->memory[6] != NULL);
    s->beat_us = loop_steady_us(s->loop);
    if (!ledgers_open(s))
        return ERR_CONFIG_BAD_VALUE;
    s->market_server = gw_add_server(&s->gw, ERR_MARKET_UNAVAILABLE);
    struct bus_options o = {.role = BUS_FOLLOW,
                            .endpoint = s->config->market_endpoint,
                            .name = s->host->name,
                            .queue_max = 100000,
                            .frames_max = 1024,
                            .arg = s,
                            .on_msg = on_market};
    if (!server_open(s, s->market_server, s->config->market_ask_endpoint) ||
        (s->market = bus_open(s->loop, &o)) == NULL) {
        bad_setting("market_endpoint");
        return ERR_CONFIG_BAD_VALUE;
    }
    if (!endpoints_read(s->config->bridge_endpoints, s, bridge_take)) {
        bad_setting("bridge_endpoints");
        return ERR_CONFIG_BAD_VALUE;
    }
    bus_follow(s->market, "s.");
    return OK;
}

void
call_close(struct shell *s)
{
    for (uint32_t i = 0; i < GW_SERVERS_MAX; i++) {
        if (s->servers[i] != NULL)
            bus_close(&s->servers[i]);
        if (s->events[i] != NULL)
            bus_close(&s->events[i]);
    }
    if (s->market != NULL)
        bus_close(&s->market);
    bytes_free(&s->packed);
}

/* A question that any answer will do for. */
static void
probe_send(struct shell *s, uint32_t server)
{
    struct account_get account = {.account_id = 1};
    struct bridge_schedule_get schedule = {.account_id = 1, .trading_type = TRADING_TYPE_spot};
    struct md_symbols_get symbols = {0};
    uint64_t corr = corr_new(s);
    bytes_clear(&s->packed);
    if (server == s->market_server)
        msg_pack_body(&s->packed, MSG_md_symbols_get, corr, &symbols);
    else if (is_bridge(s, server))
        msg_pack_body(&s->packed, MSG_bridge_schedule_get, corr, &schedule);
    else
        msg_pack_body(&s->packed, MSG_account_get, corr, &account);
    if (gw_start_probe(&s->gw, loop_steady_us(s->loop), server, corr, s->packed.data,
                       s->packed.length) == OK)
        bus_put_packed(s->servers[server], 0, s->packed.data, s->packed.length);
}

void
call_tick(struct shell *s)
{
    int64_t now_us = now_awake(s);
    for (;;) {
        struct gw_due due = gw_due(&s->gw, now_us);
        if (due.kind == GW_DUE_NOTHING)
            break;
        if (due.kind == GW_DUE_PROBE) {
            probe_send(s, due.server);
        } else if (due.kind == GW_DUE_RESEND) {
            metric_add(s->resent, 1);
            (due.is_secret ? bus_put_secret : bus_put_packed)(s->servers[due.server], 0, due.packed,
                                                              due.length);
        } else {
            metric_add(s->expired, 1);
            deliver(s, due.owner, NULL, due.error);
        }
    }
    metric_set(s->in_flight, s->gw.count);
}
