/*
 * bridge_flow_test.c - a real order at the exchange: never placed twice, told as it is.
 *
 * First single stories, then a simulated exchange that takes orders or not, fills them meanwhile,
 * answers or not, and lags behind itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/flow.h"

#include <criterion/criterion.h>

#include "base/map.h"

#define SECOND INT64_C(1000000)

static struct flow flow;
static struct flow_out out;
static struct flow_clock at = {.recv_window_us = 5 * SECOND};

static struct bridge_place
wish(enum trading_type market)
{
    return (struct bridge_place){
        .account_id = 1,
        .user_id = 1,
        .trading_type = market,
        .order = {.order_id = 77,
                  .symbol = code_of(market == TRADING_TYPE_spot ? "BTCUSDT" : "BTCUSDT_PERP"),
                  .side = SIDE_BUY,
                  .type = ORDER_TYPE_LIMIT,
                  .status = ORDER_STATUS_NEW,
                  .quantity = {10},
                  .price = {100},
                  .mode = TRADING_MODE_REAL,
                  .environment = ENVIRONMENT_testnet,
                  .send_by_us = 5 * SECOND}};
}

static void
clock_set(int64_t us)
{
    at.now_us = at.exchange_us = us;
}

static void
begin(enum flow_wish w)
{
    struct bridge_place m = wish(TRADING_TYPE_spot);
    clock_set(SECOND);
    flow_init(&flow, &m, "abc123");
    flow_ask(&flow, w, &m.order, &at, &out);
}

static void
hear(enum verdict v, enum err e, const struct reply_order *o)
{
    struct flow_heard h = {.ruling = {v, e}, .message = "said", .order = o};
    flow_answer(&flow, &h, &at, &out);
}

static struct reply_order
there(enum order_status status, int64_t executed)
{
    return (struct reply_order){.exchange_order_id = 5,
                                .status = status,
                                .quantity = {10},
                                .price = {100},
                                .executed = {executed}};
}

static void
sleep_on(void)
{
    cr_assert_neq(flow_wake_us(&flow), 0);
    clock_set(flow_wake_us(&flow));
    flow_wake(&flow, &at, &out);
}

Test(bridge_flow, what_is_placed_is_told_at_once)
{
    begin(FLOW_PLACE);
    cr_assert(out.has_call);
    cr_assert_eq(out.call.name, CALL_SPOT_ORDER_PLACE);
    cr_assert_str_eq(out.call.client_id.text, "scrip-abc123-77");
    struct reply_order o = there(ORDER_STATUS_FILLED, 10);
    o.fills_count = 2;
    o.fills[0] = (struct exchange_fill){.trade_id = 1, .price = {100}, .quantity = {4}};
    o.fills[1] = (struct exchange_fill){.trade_id = 2, .price = {100}, .quantity = {6}};
    hear(VERDICT_OK, OK, &o);
    cr_assert(out.has_report && out.is_over && !out.has_call);
    cr_assert_eq(out.report.exchange_state, EXCHANGE_STATE_PLACED);
    cr_assert_eq(out.report.status, ORDER_STATUS_FILLED);
    cr_assert_eq(out.report.fills_count, 2);
    cr_assert_eq(out.report.fills[0].executed_after.v, 4);
    cr_assert_eq(out.report.fills[1].executed_after.v, 10);
}

Test(bridge_flow, a_second_placement_is_a_question)
{
    begin(FLOW_PLACE);
    struct bridge_place m = wish(TRADING_TYPE_spot);
    flow_ask(&flow, FLOW_PLACE, &m.order, &at, &out);
    cr_assert_not(out.has_call);
    struct reply_order o = there(ORDER_STATUS_NEW, 0);
    hear(VERDICT_OK, OK, &o);
    cr_assert(out.is_over);
    flow_ask(&flow, FLOW_PLACE, &m.order, &at, &out);
    cr_assert_eq(out.call.name, CALL_SPOT_ORDER_GET);
}

Test(bridge_flow, after_the_last_time_to_send_it_is_only_asked_about)
{
    struct bridge_place m = wish(TRADING_TYPE_futures);
    clock_set(6 * SECOND);
    flow_init(&flow, &m, "abc123");
    flow_ask(&flow, FLOW_PLACE, &m.order, &at, &out);
    cr_assert_eq(out.call.name, CALL_USDM_ORDER_GET);
    cr_assert_str_eq(out.call.symbol.text, "BTCUSDT");
}

Test(bridge_flow, a_refusal_is_told_in_the_exchanges_words)
{
    begin(FLOW_PLACE);
    struct flow_heard h = {.ruling = {VERDICT_REFUSED, ERR_FUNDS_TOO_LOW},
                           .code = -2010,
                           .message = "Account has insufficient balance for requested action."};
    flow_answer(&flow, &h, &at, &out);
    cr_assert(out.is_over);
    cr_assert_eq(out.report.exchange_state, EXCHANGE_STATE_REFUSED);
    cr_assert_eq(out.report.error, ERR_FUNDS_TOO_LOW);
    cr_assert_eq(out.report.exchange_code, -2010);
    cr_assert_str_eq(out.report.message.text, h.message);
}

Test(bridge_flow, what_never_left_is_refused_and_not_unknown)
{
    begin(FLOW_PLACE);
    hear(VERDICT_LIMITED, ERR_EXCHANGE_BUSY, NULL);
    cr_assert(out.is_over);
    cr_assert_eq(out.report.exchange_state, EXCHANGE_STATE_REFUSED);
    cr_assert_eq(out.report.error, ERR_EXCHANGE_BUSY);
}

Test(bridge_flow, an_order_that_is_there_twice_is_asked_about)
{
    begin(FLOW_PLACE);
    const struct answer a = {.status = 400,
                             .was_sent = true,
                             .has_body = true,
                             .code = -2010,
                             .message = "Duplicate order sent."};
    struct flow_heard h = {
        .ruling = verdict_of(CALL_SPOT_ORDER_PLACE, &a), .code = a.code, .message = a.message};
    flow_answer(&flow, &h, &at, &out);
    cr_assert_eq(out.report.exchange_state, EXCHANGE_STATE_UNKNOWN);
    cr_assert_not(out.is_over);
    sleep_on();
    cr_assert_eq(out.call.name, CALL_SPOT_ORDER_GET);
}

Test(bridge_flow, nobody_knows_until_it_is_surely_absent)
{
    begin(FLOW_PLACE);
    hear(VERDICT_UNKNOWN, ERR_EXCHANGE_TIMEOUT, NULL);
    cr_assert(out.has_report && !out.is_over);
    cr_assert_eq(out.report.exchange_state, EXCHANGE_STATE_UNKNOWN);
    for (int i = 0; i < 100 && !out.is_over; i++) {
        sleep_on();
        cr_assert_eq(out.call.name, CALL_SPOT_ORDER_GET);
        hear(VERDICT_ABSENT, OK, NULL);
        cr_assert(!out.has_report || at.now_us > 25 * SECOND);
    }
    cr_assert(out.is_over && out.has_report);
    cr_assert_eq(out.report.exchange_state, EXCHANGE_STATE_NOT_PLACED);
}

/* What the exchange tells of orders comes from a copy of its own, which may lag. */
Test(bridge_flow, a_single_absence_is_not_enough)
{
    begin(FLOW_PLACE);
    hear(VERDICT_UNKNOWN, ERR_EXCHANGE_TIMEOUT, NULL);
    clock_set(100 * SECOND);
    flow_wake(&flow, &at, &out);
    hear(VERDICT_ABSENT, OK, NULL);
    cr_assert(!out.has_report && !out.is_over);
    sleep_on();
    cr_assert_eq(out.call.name, CALL_SPOT_ORDER_GET);
    struct reply_order o = there(ORDER_STATUS_NEW, 0);
    hear(VERDICT_OK, OK, &o);
    cr_assert(out.is_over);
    cr_assert_eq(out.report.exchange_state, EXCHANGE_STATE_PLACED);
}

Test(bridge_flow, a_clock_of_the_exchange_that_is_not_known_proves_nothing)
{
    begin(FLOW_ASK);
    for (int i = 0; i < 200 && !out.is_over; i++) {
        hear(VERDICT_ABSENT, OK, NULL);
        cr_assert_not(out.has_report);
        if (out.is_over)
            break;
        clock_set(flow_wake_us(&flow));
        at.exchange_us = 0;
        flow_wake(&flow, &at, &out);
    }
    cr_assert(out.is_over, "the ledger asks again");
}

/* As after a testnet was wiped. */
Test(bridge_flow, what_was_there_and_is_not_any_more_has_ended)
{
    struct bridge_place m = wish(TRADING_TYPE_spot);
    m.order.exchange_state = EXCHANGE_STATE_PLACED;
    m.order.executed_quantity.v = 3;
    clock_set(100 * SECOND);
    flow_init(&flow, &m, "abc123");
    flow_ask(&flow, FLOW_CANCEL, &m.order, &at, &out);
    hear(VERDICT_GONE, OK, NULL);
    for (int i = 0; i < 100 && !out.is_over; i++) {
        cr_assert_eq(out.call.name, CALL_SPOT_ORDER_GET);
        hear(VERDICT_ABSENT, OK, NULL);
        cr_assert(!out.has_report || at.now_us >= 160 * SECOND, "not at once");
        if (!out.is_over)
            sleep_on();
    }
    cr_assert(out.is_over && out.has_report);
    cr_assert_eq(out.report.exchange_state, EXCHANGE_STATE_PLACED);
    cr_assert_eq(out.report.status, ORDER_STATUS_EXPIRED);
    cr_assert_eq(out.report.executed_quantity.v, 3);
}

/* Client ids are made of the deployment's, and a restored database has another. */
Test(bridge_flow, an_order_of_before_a_restore_is_found_and_cancelled_by_its_old_name)
{
    struct bridge_place m = wish(TRADING_TYPE_spot);
    m.order.exchange_state = EXCHANGE_STATE_PLACED;
    m.order.exchange_order_id = 5;
    clock_set(100 * SECOND);
    flow_init(&flow, &m, "newdep");
    flow_ask(&flow, FLOW_CANCEL, &m.order, &at, &out);
    cr_assert_str_eq(out.call.client_id.text, "scrip-newdep-77");
    hear(VERDICT_GONE, OK, NULL);
    cr_assert_eq(out.call.name, CALL_SPOT_ORDER_GET);
    cr_assert_eq(out.call.exchange_order_id, 5);
    struct reply_order o = there(ORDER_STATUS_NEW, 0);
    o.client_id = (cid_t){"scrip-olddep-77"};
    hear(VERDICT_OK, OK, &o);
    cr_assert_eq(out.call.name, CALL_SPOT_ORDER_CANCEL);
    cr_assert_str_eq(out.call.client_id.text, "scrip-olddep-77");
    hear(VERDICT_OK, OK, NULL);
    o.status = ORDER_STATUS_CANCELED;
    hear(VERDICT_OK, OK, &o);
    cr_assert(out.is_over);
    cr_assert_eq(out.report.status, ORDER_STATUS_CANCELED);
}

Test(bridge_flow, another_order_with_its_number_is_not_it)
{
    static const char *const others[] = {"scrip-olddep-78", "mine", "scrip-olddep-77x"};
    for (int i = 0; i < 3; i++) {
        struct bridge_place m = wish(TRADING_TYPE_spot);
        m.order.exchange_state = EXCHANGE_STATE_PLACED;
        m.order.exchange_order_id = 5;
        clock_set(100 * SECOND);
        flow_init(&flow, &m, "newdep");
        flow_ask(&flow, FLOW_ASK, &m.order, &at, &out);
        struct reply_order o = there(ORDER_STATUS_FILLED, 10);
        memcpy(o.client_id.text, others[i], strlen(others[i]) + 1);
        hear(VERDICT_OK, OK, &o);
        cr_assert(!out.has_report && !out.is_over && flow_wake_us(&flow) != 0, "%s", others[i]);
    }
}

Test(bridge_flow, fills_that_the_ledger_lacks_are_fetched_page_by_page)
{
    static struct exchange_fill page[REPLY_FILLS_MAX];
    begin(FLOW_ASK);
    struct reply_order o = there(ORDER_STATUS_FILLED, 70);
    o.quantity.v = 70;
    hear(VERDICT_OK, OK, &o);
    cr_assert_eq(out.call.name, CALL_SPOT_ORDER_TRADES);
    for (uint32_t i = 0; i < REPLY_FILLS_MAX; i++)
        page[i] = (struct exchange_fill){.trade_id = i + 1, .price = {100}, .quantity = {1}};
    struct flow_heard h = {
        .ruling = {VERDICT_OK, OK}, .fills = page, .fills_count = REPLY_FILLS_MAX};
    h.fills_there = 70;
    flow_answer(&flow, &h, &at, &out);
    cr_assert(out.has_report && out.has_call && !out.is_over);
    cr_assert_eq(out.report.status, ORDER_STATUS_PARTIALLY_FILLED);
    cr_assert_eq(out.report.executed_quantity.v, 64);
    cr_assert_eq(out.call.from_id, 65);
    h.fills_count = h.fills_there = 6;
    flow_answer(&flow, &h, &at, &out);
    cr_assert(out.is_over);
    cr_assert_eq(out.report.status, ORDER_STATUS_FILLED);
    cr_assert_eq(out.report.fills[5].executed_after.v, 70);
}

/* Without a beginning the exchange gives the newest page: an order may have more fills than that.
 */
Test(bridge_flow, a_full_page_is_asked_for_again_from_the_first_fill)
{
    static struct exchange_fill page[REPLY_FILLS_MAX];
    begin(FLOW_ASK);
    struct reply_order o = there(ORDER_STATUS_FILLED, 1200);
    o.quantity.v = 1200;
    hear(VERDICT_OK, OK, &o);
    cr_assert_eq(out.call.limit, 1000);
    for (uint32_t i = 0; i < REPLY_FILLS_MAX; i++)
        page[i] = (struct exchange_fill){.trade_id = i + 201, .price = {100}, .quantity = {1}};
    struct flow_heard h = {.ruling = {VERDICT_OK, OK},
                           .fills = page,
                           .fills_count = REPLY_FILLS_MAX,
                           .fills_there = 1000};
    flow_answer(&flow, &h, &at, &out);
    cr_assert(!out.has_report && out.has_call, "these are not the first");
    cr_assert_eq(out.call.name, CALL_SPOT_ORDER_TRADES);
    cr_assert_eq(out.call.from_id, 1);
    for (uint32_t i = 0; i < REPLY_FILLS_MAX; i++)
        page[i].trade_id = i + 1;
    flow_answer(&flow, &h, &at, &out);
    cr_assert(out.has_report && out.has_call);
    cr_assert_eq(out.report.fills[0].trade_id, 1);
    cr_assert_eq(out.report.executed_quantity.v, 64);
    cr_assert_eq(out.call.from_id, 65);
}

Test(bridge_flow, a_cancel_that_comes_first_waits_for_the_placement)
{
    begin(FLOW_PLACE);
    struct bridge_place m = wish(TRADING_TYPE_spot);
    flow_ask(&flow, FLOW_CANCEL, &m.order, &at, &out);
    cr_assert_not(out.has_call);
    struct reply_order o = there(ORDER_STATUS_NEW, 0);
    hear(VERDICT_OK, OK, &o);
    cr_assert(out.has_report && !out.is_over);
    cr_assert_eq(out.call.name, CALL_SPOT_ORDER_CANCEL);
    hear(VERDICT_UNKNOWN, ERR_EXCHANGE_TIMEOUT, NULL);
    cr_assert_eq(out.call.name, CALL_SPOT_ORDER_GET);
    o = there(ORDER_STATUS_CANCELED, 0);
    hear(VERDICT_OK, OK, &o);
    cr_assert(out.is_over && out.report.was_cancel);
    cr_assert_eq(out.report.status, ORDER_STATUS_CANCELED);
}

/* ---- At random ---------------------------------------------------------------------------- */

static struct {
    uint64_t random;
    uint32_t placements, fills;
    bool is_there;
    int64_t lands_us, seen_us; /* when a late one is taken; from when it can be asked about */
    enum order_status status;
    struct exchange_fill fill[REPLY_FILLS_MAX];
    int64_t executed;
} ex;

static uint64_t
draw(uint64_t below)
{
    ex.random = map_mix(ex.random + 0x9e3779b97f4a7c15u);
    return ex.random % below;
}

static void
trade(void)
{
    if (!ex.is_there || ex.status > ORDER_STATUS_PARTIALLY_FILLED)
        return;
    int64_t some = 1 + (int64_t)draw((uint64_t)(10 - ex.executed));
    ex.executed += some;
    ex.fill[ex.fills] =
        (struct exchange_fill){.trade_id = ex.fills + 1, .price = {100}, .quantity = {some}};
    ex.fills++;
    ex.status = ex.executed == 10 ? ORDER_STATUS_FILLED : ORDER_STATUS_PARTIALLY_FILLED;
}

static void
exchange_goes_on(void)
{
    if (ex.lands_us != 0 && at.now_us >= ex.lands_us && !ex.is_there) {
        ex.is_there = true;
        ex.status = ORDER_STATUS_NEW;
        ex.seen_us = at.now_us + (int64_t)draw(2) * SECOND;
    }
    if (draw(3) == 0)
        trade();
}

static void
said(struct flow_heard *h, struct reply_order *o)
{
    *o = there(ex.status, ex.executed);
    h->order = o;
    h->ruling.verdict = VERDICT_OK;
}

/* How the exchange answers this call; what it does has happened whatever it answers. */
static struct flow_heard
serve(const struct call *c, struct reply_order *o)
{
    struct flow_heard h = {.message = "no"};
    bool is_silent = draw(4) == 0;
    if (c->name == CALL_SPOT_ORDER_PLACE) {
        ex.placements++;
        switch (draw(5)) {
        case 0: /* refused */
            h.ruling = is_silent ? (struct ruling){VERDICT_UNKNOWN, ERR_EXCHANGE_TIMEOUT}
                                 : (struct ruling){VERDICT_REFUSED, ERR_EXCHANGE_REFUSED};
            return h;
        case 1: /* taken late, within the window and what the engine may take */
            ex.lands_us = at.now_us + (int64_t)draw(15) * SECOND;
            h.ruling = (struct ruling){VERDICT_UNKNOWN, ERR_EXCHANGE_TIMEOUT};
            return h;
        default:
            ex.is_there = true;
            ex.status = ORDER_STATUS_NEW;
            ex.seen_us = at.now_us + (int64_t)draw(3) * SECOND / 2;
            while (draw(2) == 0)
                trade();
        }
    } else if (c->name == CALL_SPOT_ORDER_CANCEL && ex.is_there && draw(4) != 0 &&
               ex.status <= ORDER_STATUS_PARTIALLY_FILLED) {
        ex.status = ORDER_STATUS_CANCELED;
    }
    bool is_seen = ex.is_there && at.now_us >= ex.seen_us;
    if (is_silent)
        h.ruling = (struct ruling){VERDICT_UNKNOWN, ERR_EXCHANGE_TIMEOUT};
    else if (c->name == CALL_SPOT_ORDER_PLACE)
        said(&h, o);
    else if (c->name == CALL_SPOT_ORDER_CANCEL)
        h.ruling.verdict = VERDICT_GONE;
    else if (c->name == CALL_SPOT_ORDER_GET && !is_seen)
        h.ruling.verdict = VERDICT_ABSENT;
    else if (c->name == CALL_SPOT_ORDER_GET)
        said(&h, o);
    else {
        h.ruling.verdict = VERDICT_OK;
        h.fills = ex.fill;
        h.fills_count = ex.fills - (uint32_t)(ex.fills > 0 && draw(4) == 0); /* one lags */
    }
    return h;
}

/* What the ledger makes of it: see services/ledger/core/real.h. */
static struct {
    enum exchange_state state;
    enum order_status status;
    int64_t executed;
    bool is_ended;
} ledger;

static void
ledger_hears(const struct bridge_report *r)
{
    cr_assert_neq(ledger.state, EXCHANGE_STATE_NOT_PLACED, "nothing comes after it");
    cr_assert_neq(ledger.state, EXCHANGE_STATE_REFUSED);
    ledger.state = r->exchange_state;
    if (r->exchange_state == EXCHANGE_STATE_REFUSED ||
        r->exchange_state == EXCHANGE_STATE_NOT_PLACED) {
        cr_assert(!ex.is_there && ex.lands_us == 0, "it was there all the time");
        ledger.is_ended = true;
    }
    if (r->exchange_state != EXCHANGE_STATE_PLACED)
        return;
    cr_assert(ex.is_there);
    for (uint32_t i = 0; i < r->fills_count; i++)
        if (r->fills[i].executed_after.v - r->fills[i].quantity.v == ledger.executed)
            ledger.executed = r->fills[i].executed_after.v;
    cr_assert_leq(ledger.executed, ex.executed);
    ledger.status = r->status;
    if (r->status > ORDER_STATUS_PARTIALLY_FILLED && ledger.executed == r->executed_quantity.v) {
        cr_assert_eq(ledger.executed, ex.executed, "an end that is none");
        cr_assert_eq(r->status, ex.status);
        ledger.is_ended = true;
    }
}

static void
bridge_restarts(struct bridge_place *m)
{
    m->order.executed_quantity.v = ledger.executed;
    flow_init(&flow, m, "abc123");
}

static void
one_life(uint64_t seed)
{
    memset(&ex, 0, sizeof ex);
    memset(&ledger, 0, sizeof ledger);
    ex.random = seed;
    struct bridge_place m = wish(TRADING_TYPE_spot);
    clock_set(SECOND);
    flow_init(&flow, &m, "abc123");
    flow_ask(&flow, FLOW_PLACE, &m.order, &at, &out);
    for (int turn = 0; turn < 3000 && !ledger.is_ended; turn++) {
        exchange_goes_on();
        struct reply_order o;
        struct flow_heard h = {0};
        bool is_called = out.has_call;
        if (out.has_report)
            ledger_hears(&out.report);
        if (is_called)
            h = serve(&out.call, &o);
        if (draw(40) == 0) { /* killed: the ledger asks whoever comes next */
            bridge_restarts(&m);
            flow_ask(&flow, FLOW_ASK, &m.order, &at, &out);
            continue;
        }
        clock_set(at.now_us + (int64_t)draw(SECOND / 2));
        if (is_called)
            flow_answer(&flow, &h, &at, &out);
        else if (flow_wake_us(&flow) != 0) {
            clock_set(flow_wake_us(&flow));
            flow_wake(&flow, &at, &out);
        } else {
            m.order.executed_quantity.v = ledger.executed;
            flow_ask(&flow,
                     draw(3) == 0                      ? FLOW_CANCEL
                     : flow.was_placed && draw(4) == 0 ? FLOW_PLACE
                                                       : FLOW_ASK,
                     &m.order, &at, &out);
        }
    }
    cr_assert_leq(ex.placements, 1, "seed %llu", (unsigned long long)seed);
    cr_assert(ledger.is_ended, "seed %llu: state %d, at the exchange %d, filled %lld of %lld",
              (unsigned long long)seed, ledger.state, ex.status, (long long)ledger.executed,
              (long long)ex.executed);
}

Test(bridge_flow, whatever_happens_it_is_placed_once_and_told_as_it_is)
{
    for (uint64_t seed = 1; seed <= 20000; seed++)
        one_life(seed);
}
