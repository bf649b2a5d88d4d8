/*
 * streams.c - see streams.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/streams.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instrument.h"
#include "exchange-bridge/core/follow.h"
#include "exchange-bridge/shell/orders.h"
#include "exchange-bridge/shell/refresh.h"
#include "host/log.h"
#include "host/ws_client.h"

#define TICK_MS       100
#define OWN_TICKS     10u /* a lock is asked for once a second */
#define FOLLOWERS_MAX 1024u
#define MESSAGE_BYTES (1u << 20)
#define URL_BYTES     512u
#define SIGNED_BYTES  4096u
#define BALANCES_MAX  500u
#define POSITIONS_MAX 200u
#define HELD_MAX      64u
#define ASK_LATER_US  INT64_C(60000000)

/* One key with a bound account. */
struct follower {
    struct streams *streams;
    struct guard_binding binding; /* account_id 0 = free */
    uint64_t key;
    bool is_bound; /* still */
    struct follow follow;
    struct ws_client *client;
    char listen_key[REPLY_LISTEN_KEY_BYTES];
    uint64_t subscription; /* the request's id */
    uint32_t calls;        /* under way: its place is kept so long */
    int64_t as_of_us;      /* of the last balances that were told */
    /* What was told while the account is read, to be applied behind it. */
    struct exchange_balance balances[HELD_MAX];
    struct exchange_position positions[HELD_MAX];
    uint32_t balances_count, positions_count;
    int64_t held_us;
};

struct streams {
    struct shell *s;
    struct ws_clients *clients;
    struct follower *followers;
    uint32_t used, ticks;
    uint64_t subscriptions;
    struct loop_timer *tick;
    struct stream_event event;
    struct exchange_balance balances[BALANCES_MAX];
    struct exchange_position positions[POSITIONS_MAX];
    struct metric *m_left_out, *m_live, *m_connects, *m_events, *m_orders, *m_unreadable;
};

static void step(struct follower *f, enum follow_in in);

/* ---- What is heard ---- */

static void
account_tell(struct follower *f, const struct exchange_balance *balances, uint32_t balances_count,
             const struct exchange_position *positions, uint32_t positions_count, int64_t time_us)
{
    struct shell *s = f->streams->s;
    /* Two changes of one millisecond keep their order. */
    f->as_of_us = time_us > f->as_of_us ? time_us : f->as_of_us + 1;
    struct exchange_account m = {.account_id = f->binding.account_id,
                                 .trading_type = f->binding.trading_type,
                                 .environment = f->binding.environment,
                                 .as_of_us = f->as_of_us,
                                 .balances = balances,
                                 .balances_count = balances_count,
                                 .positions = positions,
                                 .positions_count = positions_count};
    if (!ledger_link_ask(s->ledgers, m.account_id, MSG_exchange_account,
                         ledger_link_corr(s->ledgers), &m, s->config->ledger_ask_ms, NULL, NULL))
        step(f, FOLLOW_CHANGED);
}

/* The later of two words on one asset counts. */
static bool
hold(struct follower *f, const struct reply_account *a, int64_t time_us)
{
    for (uint32_t i = 0; i < a->balances_count; i++) {
        uint32_t at = 0;
        while (at < f->balances_count && !code_same(f->balances[at].asset, a->balances[i].asset))
            at++;
        if (at == HELD_MAX)
            return false;
        f->balances[at] = a->balances[i];
        f->balances_count += at == f->balances_count;
    }
    for (uint32_t i = 0; i < a->positions_count; i++) {
        uint32_t at = 0;
        while (at < f->positions_count &&
               !code_same(f->positions[at].symbol, a->positions[i].symbol))
            at++;
        if (at == HELD_MAX)
            return false;
        f->positions[at] = a->positions[i];
        f->positions_count += at == f->positions_count;
    }
    f->held_us = time_us;
    return true;
}

static void
on_account_event(struct follower *f, const struct stream_event *e)
{
    const struct reply_account *a = &e->account;
    if (!f->follow.is_catching_up)
        account_tell(f, a->balances, a->balances_count, a->positions, a->positions_count,
                     e->time_us);
    else if (!hold(f, a, e->time_us))
        step(f, FOLLOW_CHANGED);
}

static void
held_tell(struct follower *f)
{
    if (f->balances_count + f->positions_count > 0)
        account_tell(f, f->balances, f->balances_count, f->positions, f->positions_count,
                     f->held_us);
}

/* An order of this deployment; others only change the account, which is told by itself. */
static void
on_order_event(struct follower *f, const struct stream_event *e)
{
    struct shell *s = f->streams->s;
    const struct reply_order *o = &e->order;
    uint64_t order_id;
    struct bridge_place m = {.account_id = f->binding.account_id,
                             .user_id = f->binding.user_id,
                             .trading_type = f->binding.trading_type};
    if (!call_order_id(keys_deployment(s->keys), &o->client_id, &order_id) ||
        !instrument_from_exchange(m.trading_type, o->symbol, &m.order.symbol))
        return;
    m.order.order_id = order_id;
    m.order.account_id = m.account_id;
    m.order.mode = TRADING_MODE_REAL;
    m.order.environment = f->binding.environment;
    m.order.exchange_state = EXCHANGE_STATE_PLACED;
    /* It was there: nothing is concluded from its absence in a query soon after. */
    m.order.send_by_us = loop_now_us(s->loop) + ASK_LATER_US;
    struct bridge_report r = {.account_id = m.account_id,
                              .order_id = order_id,
                              .exchange_state = EXCHANGE_STATE_PLACED,
                              .environment = m.order.environment,
                              .exchange_order_id = o->exchange_order_id,
                              .status = o->status,
                              .executed_quantity = o->executed,
                              .fills = o->fills,
                              .fills_count = o->fills_count,
                              .placed_quantity = o->quantity,
                              .placed_price = o->price,
                              .time_us = e->time_us};
    metric_add(f->streams->m_orders, 1);
    orders_report(s->orders, &m, &r);
}

static void
on_answer(struct follower *f, const struct stream_event *e)
{
    if (e->id != f->subscription)
        return;
    if (e->code == 200) {
        step(f, FOLLOW_SUBSCRIBED);
        return;
    }
    log_line(LOG_WARN, "user_stream_refused", "key=%" PRIu64 " code=%" PRId64 " why=\"%s\"", f->key,
             e->error, e->message);
    step(f, FOLLOW_FAILED);
}

static void
on_text(void *arg, const char *text, size_t length)
{
    struct follower *f = arg;
    struct streams *t = f->streams;
    struct stream_event *e = &t->event;
    e->account = (struct reply_account){.balances = t->balances,
                                        .positions = t->positions,
                                        .balances_max = BALANCES_MAX,
                                        .positions_max = POSITIONS_MAX};
    metric_add(t->m_events, 1);
    if (!reply_stream_event(f->binding.trading_type, text, length, e)) {
        metric_add(t->m_unreadable, 1);
        step(f, FOLLOW_CHANGED);
        return;
    }
    switch (e->kind) {
    case STREAM_EVENT_NONE:
        return;
    case STREAM_EVENT_ORDER:
        on_order_event(f, e);
        return;
    case STREAM_EVENT_ACCOUNT:
        on_account_event(f, e);
        return;
    case STREAM_EVENT_CHANGED:
        step(f, FOLLOW_CHANGED);
        return;
    case STREAM_EVENT_ENDED:
        step(f, FOLLOW_ENDED);
        return;
    case STREAM_EVENT_SHUTDOWN:
        step(f, FOLLOW_SHUTDOWN);
        return;
    case STREAM_EVENT_ANSWER:
        on_answer(f, e);
        return;
    }
}

/* ---- What is done ---- */

static void
on_open(void *arg)
{
    step(arg, FOLLOW_OPENED);
}

static void
on_close(void *arg, const char *why)
{
    struct follower *f = arg;
    f->client = NULL;
    log_line(LOG_WARN, "user_stream_lost", "key=%" PRIu64 " why=\"%s\"", f->key, why);
    step(f, FOLLOW_CLOSED);
}

static const char *
base_url(const struct follower *f)
{
    const struct bridge_config *c = f->streams->s->config;
    bool is_spot = f->binding.trading_type == TRADING_TYPE_spot;
    if (f->binding.environment == ENVIRONMENT_live)
        return is_spot ? c->spot_live_ws_url : c->usdm_live_ws_url;
    return is_spot ? c->spot_testnet_ws_url : c->usdm_testnet_ws_url;
}

static void
open_stream(struct follower *f)
{
    struct streams *t = f->streams;
    char url[URL_BYTES], why[WS_WHY_BYTES] = "the address is too long";
    bool is_spot = f->binding.trading_type == TRADING_TYPE_spot;
    int length = snprintf(url, sizeof url, "%s%s%s", base_url(f), is_spot ? "" : "/ws/",
                          is_spot ? "" : f->listen_key);
    metric_add(t->m_connects, 1);
    if (f->client != NULL)
        ws_client_close(&f->client);
    if (length > 0 && (size_t)length < sizeof url)
        f->client = ws_client_open(t->clients,
                                   &(struct ws_client_options){
                                       .url = url,
                                       .connect_ms = t->s->config->connect_ms,
                                       .silence_ms = t->s->config->silence_ms,
                                       .message_bytes_max = MESSAGE_BYTES,
                                       .arg = f,
                                       .on_open = on_open,
                                       .on_text = on_text,
                                       .on_close = on_close,
                                   },
                                   why);
    if (f->client != NULL)
        return;
    log_line(LOG_ERROR, "user_stream_not_opened", "key=%" PRIu64 " why=\"%s\"", f->key, why);
    step(f, FOLLOW_FAILED);
}

static void
subscribe(struct follower *f)
{
    char params[SIGNED_BYTES], text[SIGNED_BYTES + 256];
    struct shell *s = f->streams->s;
    f->subscription = ++f->streams->subscriptions;
    bool is_signed =
        caller_sign_ws(s->caller, f->binding.environment, f->key, params, sizeof params) > 0;
    int length = !is_signed ? 0
                            : snprintf(text, sizeof text,
                                       "{\"id\":%" PRIu64
                                       ",\"method\":\"userDataStream.subscribe.signature\","
                                       "\"params\":%s}",
                                       f->subscription, params);
    if (length <= 0 || f->client == NULL || !ws_client_send(f->client, text, (size_t)length))
        step(f, FOLLOW_FAILED);
}

static void
on_listen_key(void *arg, const struct caller_reply *r)
{
    struct follower *f = arg;
    f->calls--;
    if (r->ruling.verdict == VERDICT_OK && reply_listen_key(r->body, r->length, f->listen_key)) {
        step(f, FOLLOW_HAS_KEY);
        return;
    }
    log_line(LOG_WARN, "listen_key_refused", "key=%" PRIu64 " error=%s why=\"%s\"", f->key,
             err_name(r->ruling.error), r->message.text);
    if (f->follow.state == FOLLOW_KEY)
        step(f, FOLLOW_FAILED);
}

/* A listen key that is not there any more: the stream is made anew with another. */
static void
on_renewed(void *arg, const struct caller_reply *r)
{
    struct follower *f = arg;
    f->calls--;
    if (r->ruling.verdict != VERDICT_OK && r->ruling.verdict != VERDICT_DONE)
        step(f, FOLLOW_ENDED);
}

static void
listen_key_call(struct follower *f, enum call_name name, caller_done *done)
{
    struct call c = {.name = name};
    struct caller_request q = {
        .environment = f->binding.environment, .call = &c, .key = f->key, .done = done, .arg = f};
    if (caller_send(f->streams->s->caller, &q) != 0)
        f->calls++;
    else
        step(f, FOLLOW_FAILED);
}

static void
on_caught_up(void *arg, const struct bridge_refreshed *r, const struct refused *why)
{
    struct follower *f = arg;
    f->calls--;
    if (r->as_of_us > f->as_of_us)
        f->as_of_us = r->as_of_us;
    step(f, why == NULL ? FOLLOW_CAUGHT_UP : FOLLOW_NOT_CAUGHT_UP);
    f->balances_count = f->positions_count = 0; /* told, or another owner's by now */
    if (why != NULL)
        log_line(LOG_WARN, "catch_up_failed", "account=%" PRIu64 " error=%s detail=\"%s\"",
                 f->binding.account_id, err_name(why->error), why->detail.text);
}

static void
step(struct follower *f, enum follow_in in)
{
    struct shell *s = f->streams->s;
    unsigned acts = follow_step(&f->follow, in, loop_steady_us(s->loop));
    if ((acts & FOLLOW_DO_CLOSE) != 0 && f->client != NULL)
        ws_client_close(&f->client);
    if (acts & FOLLOW_DO_TELL)
        held_tell(f);
    if (acts & FOLLOW_DO_CATCH_UP) {
        f->calls++;
        refresh_begin(s->refreshes, &f->binding, on_caught_up, f);
    }
    if (acts & FOLLOW_DO_ASK_KEY)
        listen_key_call(f, CALL_USDM_LISTEN_KEY_CREATE, on_listen_key);
    if (acts & FOLLOW_DO_RENEW_KEY)
        listen_key_call(f, CALL_USDM_LISTEN_KEY_RENEW, on_renewed);
    if (acts & FOLLOW_DO_OPEN)
        open_stream(f);
    if (acts & FOLLOW_DO_SUBSCRIBE)
        subscribe(f);
}

/* ---- Who is followed ---- */

static struct follower *
find(struct streams *t, const struct guard_binding *b, uint64_t key)
{
    struct follower *room = NULL;
    for (uint32_t i = 0; i < t->used; i++) {
        struct follower *f = &t->followers[i];
        if (f->binding.account_id == 0)
            room = f;
        else if (f->key == key && f->binding.account_id == b->account_id)
            return f;
    }
    if (room == NULL && t->used < FOLLOWERS_MAX)
        room = &t->followers[t->used++];
    if (room == NULL)
        return NULL;
    *room = (struct follower){.streams = t, .binding = *b, .key = key};
    follow_init(&room->follow, b->trading_type == TRADING_TYPE_futures,
                t->s->config->catch_up_seconds * 1000000, t->s->config->swap_ms * 1000,
                key ^ (uint64_t)loop_now_us(t->s->loop));
    return room;
}

static void
bindings_walk(struct streams *t)
{
    struct shell *s = t->s;
    struct guard_binding b;
    int64_t left_out = 0;
    for (uint32_t i = 0; i < t->used; i++)
        t->followers[i].is_bound = false;
    for (uint32_t at = keys_next_binding(s->keys, 0, &b); at != UINT32_MAX;
         at = keys_next_binding(s->keys, at + 1, &b)) {
        struct key_view key;
        if (!guard_mode_allows(s->mode, b.environment) ||
            !keys_find(s->keys, b.user_id, b.trading_type, b.environment, &key))
            continue;
        struct follower *f = find(t, &b, key.number);
        if (f != NULL)
            f->is_bound = true;
        left_out += f == NULL;
    }
    metric_set(t->m_left_out, left_out);
}

/* A follower's place is free once nothing that knows it is under way. */
static void
own(struct follower *f)
{
    struct keys *keys = f->streams->s->keys;
    bool is_owned =
        f->is_bound && keys_ready(keys) && keys_deployment(keys)[0] != 0 && keys_own(keys, f->key);
    step(f, is_owned ? FOLLOW_OWNED : FOLLOW_DISOWNED);
    if (!f->is_bound && f->calls == 0)
        f->binding.account_id = 0;
}

static void
on_tick(void *arg)
{
    struct streams *t = arg;
    bool is_second = t->ticks++ % OWN_TICKS == 0;
    int64_t live = 0;
    if (is_second)
        bindings_walk(t);
    for (uint32_t i = 0; i < t->used; i++) {
        struct follower *f = &t->followers[i];
        if (f->binding.account_id == 0)
            continue;
        if (is_second)
            own(f);
        step(f, FOLLOW_TIME);
        live += f->follow.state == FOLLOW_LIVE;
    }
    metric_set(t->m_live, live);
}

struct streams *
streams_open(struct shell *s)
{
    struct streams *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->s = s;
    t->followers = calloc(FOLLOWERS_MAX, sizeof *t->followers);
    CHECK(t->followers != NULL);
    t->m_left_out = metric_gauge("scrip_bridge_user_streams_left_out", "",
                                 "Bound accounts that there is no room to follow for.");
    t->m_live = metric_gauge("scrip_bridge_user_streams", "", "User data streams that are live.");
    t->m_connects =
        metric_counter("scrip_bridge_user_stream_connects_total", "", "Connections begun.");
    t->m_events = metric_counter("scrip_bridge_user_events_total", "", "Messages of the streams.");
    t->m_orders =
        metric_counter("scrip_bridge_user_orders_total", "", "Of these, about orders of ours.");
    t->m_unreadable =
        metric_counter("scrip_bridge_user_unreadable_total", "", "Of these, not readable.");
    t->clients = ws_clients_open(s->loop, s->config->ca_file);
    t->tick = loop_timer_new(s->loop, TICK_MS, TICK_MS, on_tick, t);
    if (t->clients == NULL)
        streams_close(&t);
    return t;
}

void
streams_close(struct streams **streams)
{
    struct streams *t = *streams;
    if (t == NULL)
        return;
    loop_timer_end(&t->tick);
    if (t->clients != NULL)
        ws_clients_close(&t->clients);
    free(t->followers);
    free(t);
    *streams = NULL;
}
