/*
 * bridge_caller_stage.c - see bridge_caller_stage.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bridge_caller_stage.h"

#include <stdio.h>
#include <stdlib.h>

struct caller_stage stage;

/* ---- Keys: one, as if it were stored ----------------------------------------------------- */

enum err
keys_open_secret(const struct keys *k, uint64_t number, struct sign_key *out)
{
    (void)k;
    if (number == 0 || stage.is_store_away)
        return ERR_KEYS_UNAVAILABLE;
    stage.opened++;
    if (stage.key != NULL) {
        *out = *stage.key;
        return OK;
    }
    *out = (struct sign_key){
        .kind = KEY_KIND_HMAC, .api_key = API_KEY, .secret_length = sizeof SECRET - 1};
    memcpy(out->secret, SECRET, sizeof SECRET - 1);
    return OK;
}

/* ---- Stage ------------------------------------------------------------------------------- */

static int wanted_count;

void
stage_on_done(void *arg, const struct caller_reply *r)
{
    stage.got[stage.count].mark = (int)(intptr_t)arg;
    stage.got[stage.count].reply = *r;
    snprintf(stage.got[stage.count].body, sizeof stage.got[stage.count].body, "%.*s",
             (int)(r->length < 255 ? r->length : 255), r->body);
    stage.count++;
}

static bool
all_are_there(void)
{
    return stage.count >= wanted_count;
}

void
stage_wait(int done, const char *what)
{
    wanted_count = done;
    net_wait(&stage.net, all_are_there, what);
    cr_assert_eq(stage.count, done, "%s: %d ends", what, stage.count);
}

/* An exchange that behaves so; see exchange_server.py. */
void
stage_caller(const char *words, struct caller_options o)
{
    snprintf(stage.base_url, sizeof stage.base_url, "http://127.0.0.1:%d/n=%s%s%s", stage.net.port,
             stage.name, *words != 0 ? "," : "", words);
    struct caller_host hosts[2] = {
        {.environment = ENVIRONMENT_testnet, .type = TRADING_TYPE_spot, .base_url = stage.base_url},
        {.environment = ENVIRONMENT_live, .type = TRADING_TYPE_spot, .base_url = ""}};
    o.loop = stage.net.loop;
    o.redis = stage.redis;
    o.hosts = hosts;
    o.host_count = 2;
    o.waiting_max = o.waiting_max > 0 ? o.waiting_max : 1000;
    o.in_flight_max = o.in_flight_max > 0 ? o.in_flight_max : 16;
    o.timeout_ms = o.timeout_ms > 0 ? o.timeout_ms : 5000;
    o.recv_window_ms = 5000;
    o.patience_ms = 10000;
    stage.caller = caller_open(&o);
}

static bool is_forgotten;

static void
on_forgotten(void *arg, const struct redisReply *r)
{
    (void)arg, (void)r;
    is_forgotten = true;
}

static bool
it_is_forgotten(void)
{
    return is_forgotten;
}

/* A later test may be given the same port. */
void
stage_ban_forget(void)
{
    char key[128];
    snprintf(key, sizeof key, "scrip:budget:127.0.0.1:%d:banned_until", stage.net.port);
    const char *const words[] = {"DEL", key};
    const size_t lengths[] = {3, strlen(key)};
    is_forgotten = false;
    cr_assert(redis_link_send(stage.redis, 2, words, lengths, on_forgotten, NULL));
    net_wait(&stage.net, it_is_forgotten, "Redis");
}

static bool
is_up(void)
{
    return redis_link_is_up(stage.redis);
}

void
stage_open(void)
{
    net_stage_open(&stage.net, true);
    stage.redis = redis_link_open(&(struct redis_link_options){
        .loop = stage.net.loop, .address = getenv("SCRIP_TEST_REDIS"), .label = "caller"});
    cr_assert(stage.redis != NULL);
    net_wait(&stage.net, is_up, "Redis");
    stage.name = "1";
}

void
stage_close(void)
{
    caller_close(&stage.caller);
    redis_link_close(&stage.redis);
    net_stage_close(&stage.net);
}

static struct call
place_of(uint64_t order)
{
    struct call c = {.name = CALL_SPOT_ORDER_PLACE, .symbol = code_of("BTCUSDT")};
    c.wish = (struct order){.order_id = order,
                            .side = SIDE_BUY,
                            .type = ORDER_TYPE_LIMIT,
                            .time_in_force = TIME_IN_FORCE_GTC,
                            .quantity = {100000000},
                            .price = {100000000}};
    c.client_id = call_client_id("abcdef", order);
    return c;
}

uint64_t
stage_send(struct caller_request r, enum call_name name, int mark)
{
    struct call c = place_of(77);
    c.name = name;
    r.environment = ENVIRONMENT_testnet;
    r.call = &c;
    r.key = r.trial == NULL ? KEY : 0;
    r.done = stage_on_done;
    r.arg = (void *)(intptr_t)mark;
    return caller_send(stage.caller, &r);
}

/* Sends one call and waits for its end. */
struct caller_reply *
stage_ask(struct caller_request r, enum call_name name)
{
    int before = stage.count;
    cr_assert_neq(stage_send(r, name, 1), 0);
    cr_assert_eq(stage.count, before, "an end comes in a later turn");
    stage_wait(before + 1, "the end of a call");
    return &stage.got[before].reply;
}

void
ends(const struct caller_reply *r, enum verdict v, enum err e)
{
    cr_assert_eq(r->ruling.verdict, v, "%s: %s", verdict_name(r->ruling.verdict), r->message.text);
    cr_assert_eq(r->ruling.error, e, "%s", err_name(r->ruling.error));
}

/* ---- What the server was told ------------------------------------------------------------ */

static char told_text[2000];
static bool is_told;

static void
on_told(void *arg, const struct fetch_reply *r)
{
    (void)arg;
    snprintf(told_text, sizeof told_text, "%.*s", (int)(r->length < 1999 ? r->length : 1999),
             r->body);
    is_told = true;
}

static bool
it_is_told(void)
{
    return is_told;
}

void
stage_server(const char *path)
{
    char url[256];
    struct fetch *f = fetch_open(&(struct fetch_options){
        .loop = stage.net.loop, .in_flight_max = 1, .body_bytes_max = 10000, .timeout_ms = 5000});
    snprintf(url, sizeof url, "%s/%s", stage.base_url, path);
    is_told = false;
    fetch_send(f, &(struct fetch_request){.url = url, .on_reply = on_told});
    net_wait(&stage.net, it_is_told, "what the server was told");
    fetch_close(&f);
}

/* How often a method was used; and that nothing was wrong with any request. */
int
stage_told(const char *name)
{
    char mark[64];
    stage_server("_told");
    cr_assert(strstr(told_text, "\"wrong\": []") != NULL, "%s", told_text);
    snprintf(mark, sizeof mark, "\"%s\": ", name);
    const char *at = strstr(told_text, mark);
    return at == NULL ? 0 : (int)strtol(at + strlen(mark), NULL, 10);
}
