/*
 * bridge_shell_stage.c - see bridge_shell_stage.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bridge_shell_stage.h"

#include <stdio.h>

#include "exchange-bridge/shell/rules.h"
#include "host/log.h"

#define TIMERS_MAX 2u

struct shell_stage stage;

/* ---- Clocks and timers ------------------------------------------------------------------- */

struct staged_timer {
    void (*on_time)(void *arg);
    void *arg;
    uint32_t wanted; /* ticks that are waited for */
};
static struct staged_timer timers[TIMERS_MAX];
static uint32_t timers_count;

int64_t __wrap_loop_now_us(const struct loop *l);
int64_t __wrap_loop_steady_us(const struct loop *l);
struct loop_timer *__real_loop_timer_new(struct loop *l, int64_t after_ms, int64_t every_ms,
                                         void (*on_time)(void *arg), void *arg);
struct loop_timer *__wrap_loop_timer_new(struct loop *l, int64_t after_ms, int64_t every_ms,
                                         void (*on_time)(void *arg), void *arg);

int64_t
__wrap_loop_now_us(const struct loop *l)
{
    (void)l;
    return stage.now_us;
}

int64_t
__wrap_loop_steady_us(const struct loop *l)
{
    (void)l;
    return stage.steady_us;
}

static void
on_tick(void *arg)
{
    struct staged_timer *t = arg;
    bool is_wanted = false;
    if (t->wanted == 0)
        return; /* the others are waited for: each comes as often as was wished */
    t->on_time(t->arg);
    t->wanted--;
    for (uint32_t i = 0; i < timers_count; i++)
        is_wanted = is_wanted || timers[i].wanted > 0;
    if (!is_wanted)
        loop_stop(stage.s.loop);
}

struct loop_timer *
__wrap_loop_timer_new(struct loop *l, int64_t after_ms, int64_t every_ms,
                      void (*on_time)(void *arg), void *arg)
{
    cr_assert(after_ms > 0 && every_ms > 0 && timers_count < TIMERS_MAX);
    timers[timers_count] = (struct staged_timer){.on_time = on_time, .arg = arg};
    return __real_loop_timer_new(l, 1, 1, on_tick, &timers[timers_count++]);
}

static void
on_limit(void *arg)
{
    (void)arg;
    cr_assert_fail("the timers did not come within 20 s");
}

void
stage_ticks(uint32_t count)
{
    struct loop_timer *limit = __real_loop_timer_new(stage.s.loop, 20000, 0, on_limit, NULL);
    for (uint32_t i = 0; i < timers_count; i++)
        timers[i].wanted = count;
    loop_run(stage.s.loop);
    loop_timer_end(&limit);
}

void
stage_later(int64_t us)
{
    stage.now_us += us;
    stage.steady_us += us;
    stage_ticks(10);
}

/* ---- Keys -------------------------------------------------------------------------------- */

bool
keys_ready(const struct keys *k)
{
    (void)k;
    return !stage.are_keys_away;
}

bool
keys_find(const struct keys *k, uint64_t user_id, enum trading_type type, enum environment e,
          struct key_view *out)
{
    (void)k;
    if (user_id != USER || stage.is_key_missing)
        return false;
    out->is_for = (struct guard_key){true, user_id, type, e};
    out->number = (type == TRADING_TYPE_futures ? KEY_USDM_TESTNET : KEY_SPOT_TESTNET) +
                  (uint64_t)(e == ENVIRONMENT_live);
    if (stage.other_number != 0)
        out->number = stage.other_number;
    return true;
}

struct guard_binding
keys_binding(const struct keys *k, uint64_t account_id, enum trading_type type)
{
    (void)k;
    for (uint32_t i = 0; i < stage.bindings_count; i++)
        if (stage.bindings[i].account_id == account_id && stage.bindings[i].trading_type == type)
            return stage.bindings[i];
    return (struct guard_binding){0};
}

uint32_t
keys_next_binding(const struct keys *k, uint32_t from, struct guard_binding *out)
{
    (void)k;
    if (from >= stage.bindings_count)
        return UINT32_MAX;
    *out = stage.bindings[from];
    return from;
}

const char *
keys_deployment(const struct keys *k)
{
    (void)k;
    return stage.deployment;
}

const char *
keys_deployment_at(const struct keys *k, int64_t created_us)
{
    (void)k;
    return created_us < stage.restored_us ? "olddep" : stage.deployment;
}

bool
keys_own(struct keys *k, uint64_t number)
{
    (void)k;
    cr_assert_neq(number, 0);
    stage.own_asked++;
    return !stage.is_not_owner;
}

void
stage_bind(enum trading_type type, enum environment e)
{
    stage.bindings[stage.bindings_count++] = (struct guard_binding){true, ACCOUNT, USER, type, e};
}

/* ---- Calls ------------------------------------------------------------------------------- */

uint64_t
caller_send(struct caller *c, const struct caller_request *r)
{
    (void)c;
    if (stage.is_caller_full)
        return 0;
    cr_assert_lt(stage.calls_count, sizeof stage.calls / sizeof stage.calls[0]);
    struct staged_call *to = &stage.calls[stage.calls_count++];
    *to = (struct staged_call){*r, *r->call};
    return stage.calls_count;
}

int64_t
caller_exchange_us(const struct caller *c, enum environment e, enum trading_type type)
{
    (void)c, (void)e, (void)type;
    return stage.is_exchange_clock_unknown ? 0 : stage.now_us;
}

int64_t
caller_recv_window_ms(const struct caller *c)
{
    (void)c;
    return 5000;
}

size_t
caller_sign_ws(struct caller *c, enum environment e, uint64_t key, char *out, size_t size)
{
    (void)c;
    stage.signed_for = e;
    stage.signed_by = key;
    return stage.is_signing_off ? 0 : (size_t)snprintf(out, size, "{\"signature\":\"x\"}");
}

void
stage_end(uint32_t call, enum verdict v, enum err e, const char *body)
{
    cr_assert_lt(call, stage.calls_count, "no such call");
    struct staged_call *c = &stage.calls[call];
    cr_assert(c->r.done != NULL, "an answer comes once");
    caller_done *done = c->r.done;
    c->r.done = NULL;
    struct caller_reply r = {.ruling = {v, e},
                             .code = e == OK ? 0 : -2010,
                             .message = text_of("said"),
                             .body = body,
                             .length = strlen(body)};
    done(c->r.arg, &r);
}

void
stage_end_order(uint32_t call, const char *status, const char *executed)
{
    char body[400];
    cr_assert_lt(call, stage.calls_count, "no such call");
    snprintf(
        body, sizeof body,
        "{\"symbol\":\"%s\",\"orderId\":5,\"clientOrderId\":\"%s\",\"status\":\"%s\","
        "\"origQty\":\"1\",\"executedQty\":\"%s\",\"price\":\"100\",\"updateTime\":1790000000001}",
        stage.calls[call].call.symbol.text, stage.calls[call].call.client_id.text, status,
        executed);
    stage_end(call, VERDICT_OK, OK, body);
}

/* ---- Ledgers ----------------------------------------------------------------------------- */

uint64_t
ledger_link_corr(struct ledger_link *l)
{
    (void)l;
    return 1;
}

static void
account_note(struct staged_word *w, const struct exchange_account *a)
{
    w->account = *a;
    cr_assert(a->balances_count <= 80 && a->positions_count <= 80);
    if (a->balances_count > 0)
        memcpy(w->balances, a->balances, a->balances_count * sizeof *a->balances);
    if (a->positions_count > 0)
        memcpy(w->positions, a->positions, a->positions_count * sizeof *a->positions);
    w->account.balances = w->balances;
    w->account.positions = w->positions;
}

bool
ledger_link_ask(struct ledger_link *l, uint64_t account_id, enum msg_type type, uint64_t corr,
                const void *body, int64_t patience_ms, ledger_answer *done, void *arg)
{
    (void)l, (void)corr;
    if (stage.is_ledger_full)
        return false;
    cr_assert_lt(stage.told_count, sizeof stage.told / sizeof stage.told[0]);
    struct staged_word *w = &stage.told[stage.told_count++];
    *w = (struct staged_word){.type = type,
                              .account_id = account_id,
                              .patience_ms = patience_ms,
                              .done = done,
                              .arg = arg};
    if (type == MSG_exchange_account) {
        account_note(w, body);
        return true;
    }
    w->report = *(const struct bridge_report *)body;
    if (w->report.fills_count > 0)
        memcpy(w->fills, w->report.fills, w->report.fills_count * sizeof *w->fills);
    w->report.fills = w->fills;
    return true;
}

void
stage_reported(uint32_t word, int64_t executed, bool is_behind)
{
    struct staged_word *w = &stage.told[word];
    struct msg m = {.type = MSG_bridge_reported};
    cr_assert_lt(word, stage.told_count, "no such word");
    m.bridge_reported = (struct bridge_reported){
        .order_id = w->report.order_id, .executed_quantity = {executed}, .is_behind = is_behind};
    w->done(w->arg, &m);
}

/* ---- Rules ------------------------------------------------------------------------------- */

bool
rules_known(const struct rules *r, enum environment e, enum trading_type type)
{
    (void)r, (void)e, (void)type;
    return !stage.are_rules_unknown;
}

const struct symbol_rules *
rules_of(const struct rules *r, enum environment e, enum trading_type type, code_t symbol)
{
    (void)r, (void)e, (void)symbol;
    stage.rules.trading_type = type;
    return stage.are_rules_unknown || stage.is_symbol_unknown ? NULL : &stage.rules;
}

money_t
rules_notional_cap(const struct rules *r, enum environment e, code_t symbol)
{
    (void)r, (void)e, (void)symbol;
    return stage.notional_cap;
}

/* ---- Readings ---------------------------------------------------------------------------- */

void
refresh_begin(struct refreshes *r, const struct guard_binding *b, refresh_done *done, void *arg)
{
    (void)r;
    cr_assert_lt(stage.readings_count, sizeof stage.readings / sizeof stage.readings[0]);
    stage.readings[stage.readings_count++] = (struct staged_reading){*b, done, arg};
}

void
stage_read(uint32_t reading, int64_t as_of_us, enum err e)
{
    cr_assert_lt(reading, stage.readings_count, "no such reading");
    struct staged_reading *a = &stage.readings[reading];
    struct bridge_refreshed r = {.account_id = a->binding.account_id, .as_of_us = as_of_us};
    struct refused why = {.error = e};
    refresh_done *done = a->done;
    cr_assert(done != NULL, "a reading ends once");
    a->done = NULL;
    done(a->arg, &r, e == OK ? NULL : &why);
}

/* ---- WebSockets -------------------------------------------------------------------------- */

struct ws_clients *
ws_clients_open(struct loop *l, const char *ca_file)
{
    (void)l, (void)ca_file;
    return stage.is_ws_away ? NULL : (struct ws_clients *)&stage;
}

void
ws_clients_close(struct ws_clients **w)
{
    stage.ws_closed++;
    *w = NULL;
}

struct ws_client *
ws_client_open(struct ws_clients *w, const struct ws_client_options *o, char why[WS_WHY_BYTES])
{
    (void)w;
    if (stage.is_ws_refused) {
        snprintf(why, WS_WHY_BYTES, "not a valid address");
        return NULL;
    }
    cr_assert_lt(stage.sockets_count, sizeof stage.sockets / sizeof stage.sockets[0]);
    struct ws_client *c = &stage.sockets[stage.sockets_count++];
    c->o = *o;
    snprintf(c->url, sizeof c->url, "%s", o->url);
    return c;
}

void
ws_client_close(struct ws_client **c)
{
    cr_assert_not((*c)->is_closed);
    (*c)->is_closed = true;
    *c = NULL;
}

bool
ws_client_send(struct ws_client *c, const char *text, size_t length)
{
    snprintf(c->sent, sizeof c->sent, "%.*s", (int)length, text);
    return !stage.is_ws_full;
}

static struct ws_client *
socket_of(uint32_t socket)
{
    cr_assert_lt(socket, stage.sockets_count, "no such connection");
    struct ws_client *c = &stage.sockets[socket];
    cr_assert_not(c->is_closed, "a closed connection says nothing more");
    return c;
}

void
stage_opened(uint32_t socket)
{
    struct ws_client *c = socket_of(socket);
    c->o.on_open(c->o.arg);
}

void
stage_says(uint32_t socket, const char *text)
{
    struct ws_client *c = socket_of(socket);
    c->o.on_text(c->o.arg, text, strlen(text));
}

void
stage_lost(uint32_t socket)
{
    struct ws_client *c = socket_of(socket);
    c->is_closed = true;
    c->o.on_close(c->o.arg, "it is lost");
}

/* ---- Stage ------------------------------------------------------------------------------- */

struct bridge_place
stage_order(void)
{
    return (struct bridge_place){.account_id = ACCOUNT,
                                 .user_id = USER,
                                 .trading_type = TRADING_TYPE_spot,
                                 .order = {.order_id = ORDER_ID,
                                           .account_id = ACCOUNT,
                                           .symbol = code_of("BTCUSDT"),
                                           .side = SIDE_BUY,
                                           .type = ORDER_TYPE_LIMIT,
                                           .time_in_force = TIME_IN_FORCE_GTC,
                                           .status = ORDER_STATUS_NEW,
                                           .price = {100 * ONE},
                                           .quantity = {ONE},
                                           .created_us = stage.now_us,
                                           .mode = TRADING_MODE_REAL,
                                           .environment = ENVIRONMENT_testnet,
                                           .exchange_state = EXCHANGE_STATE_SENDING,
                                           .send_by_us = stage.now_us + 5 * SECOND}};
}

int64_t
stage_counter(const char *name, const char *labels)
{
    return metric_value(metric_counter(name, labels, ""));
}

int64_t
stage_gauge(const char *name)
{
    return metric_value(metric_gauge(name, "", ""));
}

void
calls_are(uint32_t count, enum call_name last)
{
    cr_assert_eq(stage.calls_count, count, "%u calls, not %u", stage.calls_count, count);
    if (count > 0)
        cr_assert_eq(stage.calls[count - 1].call.name, last);
}

const struct bridge_report *
told_is(uint32_t count, enum exchange_state last)
{
    cr_assert_eq(stage.told_count, count, "%u words, not %u", stage.told_count, count);
    const struct staged_word *w = &stage.told[count - 1];
    cr_assert_eq(w->type, MSG_bridge_report);
    cr_assert_eq(w->account_id, ACCOUNT);
    cr_assert_eq(w->report.exchange_state, last);
    cr_assert_eq(w->report.environment, ENVIRONMENT_testnet);
    return &w->report;
}

void
stage_open(void)
{
    log_open("test", LOG_ERROR + 1);
    stage.now_us = INT64_C(1790000000) * SECOND;
    stage.steady_us = 1000 * SECOND;
    stage.deployment = "abcdef";
    stage.config = (struct bridge_config){.orders_max = 16,
                                          .catch_up_seconds = 60,
                                          .swap_ms = 82800000,
                                          .ledger_ask_ms = 9000,
                                          .connect_ms = 4000,
                                          .silence_ms = 3000,
                                          .notional_min = 5 * ONE,
                                          .ca_file = "",
                                          .spot_live_ws_url = "ws://spot.live",
                                          .spot_testnet_ws_url = "ws://spot.testnet",
                                          .usdm_live_ws_url = "ws://usdm.live",
                                          .usdm_testnet_ws_url = "ws://usdm.testnet"};
    stage.rules = (struct symbol_rules){.symbol = code_of("BTCUSDT"),
                                        .base_asset = code_of("BTC"),
                                        .quote_asset = code_of("USDT"),
                                        .is_trading = true,
                                        .tick_size = {ONE / 10},
                                        .step_size = {ONE / 100}};
    stage.s.loop = loop_new();
    stage.s.config = &stage.config;
    stage.s.mode = GUARD_TESTNET;
    stage.s.orders = orders_open(&stage.s);
}

void
stage_close(void)
{
    streams_close(&stage.s.streams);
    orders_close(&stage.s.orders);
    pending_free_all(&stage.s.pending);
    loop_destroy(&stage.s.loop);
}
