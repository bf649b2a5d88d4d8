/*
 * store_world.c - see store_world.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store_world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/bus.h"

#define RESEND_MS  500
#define LIMIT_MS   30000
#define ANSWER_MAX 512 /* items of a list in an answer */

static struct world world;
static char folder[64], conninfo_arg[2100];
static struct bus *matcher, *market, *gateway, *follower;
static struct loop_timer *price_timer, *beat_timer, *resend_timer, *limit_timer;
static uint32_t ledger_peer;
static uint64_t link_epoch, link_session, next_rank, next_corr = 1000;

static struct msg answer;
static bool answered, patient;
static struct msg asked;
static union {
    struct order orders[ANSWER_MAX];
    struct trade trades[ANSWER_MAX];
    struct balance balances[ANSWER_MAX];
    struct balance_change changes[ANSWER_MAX];
    struct order_twin twins[ANSWER_MAX];
} lists;

/* ---- The matcher -------------------------------------------------------------------------- */

static void
report(const struct order_report *r)
{
    bus_put(matcher, ledger_peer, MSG_order_report, 0, r);
}

static void
work(const struct order_work *w)
{
    world.works++;
    if (world.is_silent)
        return;
    struct match_fill fill = {
        .price = {WORLD_PRICE},
        .quantity = w->quantity,
        .evidence = {.source = LIQUIDITY_QUOTE, .sequence = 9, .price = {WORLD_PRICE}}};
    struct order_report r = {.order_id = w->order_id};
    if (w->type == ORDER_TYPE_MARKET) {
        r.fills = &fill;
        r.fills_count = 1;
        r.end = ORDER_END_COMPLETE;
    } else if (w->rank == 0) {
        r.rank = ++next_rank;
    } else {
        return; /* known from before: it rests */
    }
    report(&r);
}

static const struct story the_story = {.arrived_us = WORLD_ARRIVED_US, .printed = {5}};

static void
pull(const struct order_pull *p)
{
    world.pulls++;
    const struct order_report r = {.order_id = p->order_id,
                                   .end = ORDER_END_CLIENT_CANCEL,
                                   .was_pulled = true,
                                   .stories = &the_story,
                                   .stories_count = 1};
    if (!world.is_silent)
        report(&r);
}

static void
trim(const struct order_trim *t)
{
    world.trims++;
    const struct order_report r = {
        .order_id = t->order_id, .was_trimmed = true, .trimmed_to = t->quantity};
    report(&r);
}

static void
explain(const struct order_explain *e, uint64_t corr)
{
    world.explains++;
    struct story now = the_story;
    now.waiting_for = WAITING_FOR_PRICE;
    const struct order_explained said = {
        .order_id = e->order_id, .stories = &now, .stories_count = 1};
    bus_put(matcher, ledger_peer, MSG_order_explained, corr, &said);
}

void
world_fill(const struct order *o)
{
    const struct match_fill fill = {
        .price = o->price,
        .quantity = {o->quantity.v - o->executed_quantity.v},
        .is_maker = true,
        .evidence = {.source = LIQUIDITY_TRADE, .sequence = 10, .price = o->price}};
    const struct order_report r = {.order_id = o->order_id,
                                   .fills = &fill,
                                   .fills_count = 1,
                                   .end = ORDER_END_COMPLETE,
                                   .stories = &the_story,
                                   .stories_count = 1};
    report(&r);
}

static void
hello(const struct bus_in *in)
{
    ledger_peer = in->peer;
    link_epoch = in->frame->epoch;
    link_session = in->frame->session;
    bus_set_epoch(matcher, link_epoch);
    bus_set_session(matcher, in->peer, link_session);
    const struct link_ready ready = {0};
    bus_put(matcher, in->peer, MSG_link_ready, 0, &ready);
    world.sessions++;
    world.epoch = link_epoch;
}

static void
on_link(void *arg, const struct bus_in *in)
{
    (void)arg;
    if (in->msg->type == MSG_link_hello && in->frame->epoch >= link_epoch)
        hello(in);
    if (in->frame->epoch != link_epoch || in->frame->session != link_session)
        return;
    switch ((int)in->msg->type) {
    case MSG_link_synced:
        world.synced++;
        loop_stop(world.loop);
        break;
    case MSG_order_work:
        work(&in->msg->order_work);
        break;
    case MSG_order_pull:
        pull(&in->msg->order_pull);
        break;
    case MSG_order_trim:
        trim(&in->msg->order_trim);
        break;
    case MSG_order_explain:
        explain(&in->msg->order_explain, in->msg->corr);
        break;
    default:
        break;
    }
}

static void
on_beat(void *arg)
{
    (void)arg;
    const struct link_beat beat = {.frames = bus_frames_sent(matcher, ledger_peer)};
    if (ledger_peer != 0)
        bus_put(matcher, ledger_peer, MSG_link_beat, 0, &beat);
}

static void
on_price(void *arg)
{
    (void)arg;
    const struct md_price price = {.symbol = code_of("BTCUSDT"),
                                   .last = {WORLD_PRICE},
                                   .bid = {WORLD_PRICE},
                                   .ask = {WORLD_PRICE},
                                   .average = {WORLD_PRICE}};
    bus_publish(market, "p.BTCUSDT.", MSG_md_price, 0, &price);
}

/* ---- The gateway -------------------------------------------------------------------------- */

static bool
is_passing(enum err e)
{
    return e == ERR_LEDGER_UNAVAILABLE || e == ERR_LEDGER_BUSY || e == ERR_MATCHER_UNAVAILABLE ||
           e == ERR_PRICE_UNKNOWN || e == ERR_BRIDGE_UNAVAILABLE;
}

static void
keep(void *to, const void *from, size_t count, size_t size)
{
    cr_assert_leq(count, ANSWER_MAX);
    if (count > 0)
        memcpy(to, from, count * size);
}

/* Lists are lent for the call only, so they are copied. */
static void
keep_lists(void)
{
    if (answer.type == MSG_order_page) {
        keep(lists.orders, answer.order_page.orders, answer.order_page.orders_count,
             sizeof lists.orders[0]);
        answer.order_page.orders = lists.orders;
    } else if (answer.type == MSG_trade_page) {
        keep(lists.trades, answer.trade_page.trades, answer.trade_page.trades_count,
             sizeof lists.trades[0]);
        answer.trade_page.trades = lists.trades;
    } else if (answer.type == MSG_order_view) {
        keep(lists.trades, answer.order_view.fills, answer.order_view.fills_count,
             sizeof lists.trades[0]);
        answer.order_view.fills = lists.trades;
    } else if (answer.type == MSG_account_view) {
        keep(lists.balances, answer.account_view.balances, answer.account_view.balances_count,
             sizeof lists.balances[0]);
        answer.account_view.balances = lists.balances;
    } else if (answer.type == MSG_order_story) {
        keep(lists.trades, answer.order_story.fills, answer.order_story.fills_count,
             sizeof lists.trades[0]);
        answer.order_story.fills = lists.trades;
    } else if (answer.type == MSG_list_view) {
        keep(lists.orders, answer.list_view.orders, answer.list_view.orders_count,
             sizeof lists.orders[0]);
        answer.list_view.orders = lists.orders;
    } else if (answer.type == MSG_balance_changes) {
        keep(lists.changes, answer.balance_changes.changes, answer.balance_changes.changes_count,
             sizeof lists.changes[0]);
        answer.balance_changes.changes = lists.changes;
    } else if (answer.type == MSG_twin_page) {
        keep(lists.twins, answer.twin_page.twins, answer.twin_page.twins_count,
             sizeof lists.twins[0]);
        answer.twin_page.twins = lists.twins;
    }
}

static void
on_answer(void *arg, const struct bus_in *in)
{
    (void)arg;
    if (answered || in->msg->corr != asked.corr)
        return;
    if (patient && in->msg->type == MSG_refused && is_passing(in->msg->refused.error))
        return;
    answer = *in->msg;
    keep_lists();
    answered = true;
    loop_stop(world.loop);
}

static void
on_resend(void *arg)
{
    (void)arg;
    if (!answered && asked.corr != 0)
        bus_put(gateway, 0, asked.type, asked.corr, &asked.frame);
}

static void
on_event(void *arg, const struct bus_in *in)
{
    (void)arg;
    world.events++;
    world.list_events += in->msg->type == MSG_event_list;
}

static void
on_limit(void *arg)
{
    (void)arg;
    cr_assert_fail("nothing came for too long (asked: %d)", asked.type);
}

static const struct msg *
ask(struct msg *request)
{
    request->corr = ++next_corr;
    asked = *request;
    answered = false;
    loop_timer_again(limit_timer, LIMIT_MS);
    on_resend(NULL);
    while (!answered)
        loop_run(world.loop);
    loop_timer_stop(limit_timer);
    return &answer;
}

const struct msg *
world_ask(struct msg *request)
{
    patient = true;
    return ask(request);
}

const struct msg *
world_ask_once(struct msg *request)
{
    patient = false;
    return ask(request);
}

void
world_send(const struct msg *request)
{
    bus_put(gateway, 0, request->type, request->corr, &request->frame);
}

void
world_lose_link(void)
{
    const struct link_lost lost = {.expected = 1};
    bus_put(matcher, ledger_peer, MSG_link_lost, 0, &lost);
}

void
world_follow(uint64_t account_id)
{
    char topic[32];
    snprintf(topic, sizeof topic, "a%d.", (int)account_id);
    bus_follow(follower, topic);
}

/* ---- Requests ----------------------------------------------------------------------------- */

struct msg
world_account_open(uint64_t account_id)
{
    struct msg m = {.type = MSG_account_open};
    m.account_open.account_id = account_id;
    m.account_open.user_id = account_id + 100000;
    return m;
}

static struct msg
order(uint64_t account_id, const char *client_id, enum side side, int64_t quantity)
{
    struct msg m = {.type = MSG_order_place};
    m.order_place.account_id = account_id;
    cr_assert_eq(cid_from(client_id, strlen(client_id), &m.order_place.client_order_id), OK);
    m.order_place.symbol = code_of("BTCUSDT");
    m.order_place.side = side;
    m.order_place.quantity.v = quantity;
    return m;
}

struct msg
world_market_order(uint64_t account_id, const char *client_id, enum side side, int64_t quantity)
{
    struct msg m = order(account_id, client_id, side, quantity);
    m.order_place.type = ORDER_TYPE_MARKET;
    return m;
}

struct msg
world_limit_order(uint64_t account_id, const char *client_id, enum side side, int64_t quantity,
                  int64_t price)
{
    struct msg m = order(account_id, client_id, side, quantity);
    m.order_place.type = ORDER_TYPE_LIMIT;
    m.order_place.time_in_force = TIME_IN_FORCE_GTC;
    m.order_place.price.v = price;
    return m;
}

const char *
world_endpoint(const char *socket)
{
    static char text[128];
    snprintf(text, sizeof text, "ipc://%s/%s", folder, socket);
    return text;
}

/* ---- Processes ---------------------------------------------------------------------------- */

static char *
argument(const char *key, const char *socket)
{
    static char texts[16][256];
    static int next;
    char *text = texts[next++ % 16];
    snprintf(text, sizeof texts[0], "--%s=ipc://%s/%s", key, folder, socket);
    return text;
}

/* Where a test may put bridges; most have none. */
static char *
bridges_argument(void)
{
    static char text[256];
    snprintf(text, sizeof text, "--bridge_endpoints=ipc://%s/bridge-a,ipc://%s/bridge-b", folder,
             folder);
    return text;
}

pid_t
world_ledger(const char *name)
{
    static char name_arg[64];
    snprintf(name_arg, sizeof name_arg, "--name=%s", name);
    char *args[] = {SCRIP_LEDGER,
                    conninfo_arg,
                    "--rules_file=" SCRIP_SOURCE_DIR "/config/symbols.json",
                    argument("serve_endpoint", "serve"),
                    argument("publish_endpoint", "publish"),
                    argument("matcher_endpoints", "matcher"),
                    argument("market_endpoint", "market"),
                    argument("market_ask_endpoint", "market_ask"),
                    bridges_argument(),
                    "--trading_mode=testnet",
                    name_arg,
                    "--accounts_max=1000",
                    "--balances_max=5000",
                    "--orders_max=2000",
                    "--orders_high=1000",
                    "--keep_seconds=10",
                    "--check_seconds=1",
                    "--log_level=warn",
                    NULL};
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no process behind */
        execv(SCRIP_LEDGER, args);
        _exit(127);
    }
    return pid;
}

int
world_wait(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0)
        world_run(20);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
world_end(pid_t pid, int signal)
{
    cr_assert_eq(kill(pid, signal), 0);
    return world_wait(pid);
}

static void
on_time(void *arg)
{
    (void)arg;
    loop_stop(world.loop);
}

void
world_run(int64_t ms)
{
    struct loop_timer *t = loop_timer_new(world.loop, ms, 0, on_time, NULL);
    loop_run(world.loop);
    loop_timer_end(&t);
}

void
world_await_synced(uint64_t above_epoch)
{
    loop_timer_again(limit_timer, LIMIT_MS);
    uint32_t before = world.epoch > above_epoch ? 0 : world.synced;
    while (world.epoch <= above_epoch || world.synced == before)
        loop_run(world.loop);
    loop_timer_stop(limit_timer);
}

/* ---- Life --------------------------------------------------------------------------------- */

static struct bus *
bus(enum bus_role role, const char *socket, const char *name,
    void (*on_msg)(void *, const struct bus_in *))
{
    char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", folder, socket);
    struct bus *b = bus_open(
        world.loop,
        &(struct bus_options){.role = role, .endpoint = endpoint, .name = name, .on_msg = on_msg});
    cr_assert_not_null(b);
    return b;
}

struct world *
world_open(const char *conninfo)
{
    snprintf(folder, sizeof folder, "/tmp/scrip-world-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(conninfo_arg, sizeof conninfo_arg, "--database=%s", conninfo);
    world.loop = loop_new();
    matcher = bus(BUS_SERVE, "matcher", "matcher-0", on_link);
    market = bus(BUS_PUBLISH, "market", "marketdata-0", NULL);
    gateway = bus(BUS_ASK, "serve", "gateway-0", on_answer);
    follower = bus(BUS_FOLLOW, "publish", "gateway-0", on_event);
    price_timer = loop_timer_new(world.loop, 10, 50, on_price, NULL);
    beat_timer = loop_timer_new(world.loop, 200, 200, on_beat, NULL);
    resend_timer = loop_timer_new(world.loop, RESEND_MS, RESEND_MS, on_resend, NULL);
    limit_timer = loop_timer_new(world.loop, LIMIT_MS, 0, on_limit, NULL);
    loop_timer_stop(limit_timer);
    return &world;
}

void
world_close(void)
{
    static const char *const sockets[] = {"matcher", "market",   "serve",
                                          "publish", "bridge-a", "bridge-b"};
    char path[128];
    loop_timer_end(&price_timer);
    loop_timer_end(&beat_timer);
    loop_timer_end(&resend_timer);
    loop_timer_end(&limit_timer);
    bus_close(&matcher);
    bus_close(&market);
    bus_close(&gateway);
    bus_close(&follower);
    bus_teardown();
    loop_destroy(&world.loop);
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, sockets[i]);
        unlink(path);
    }
    rmdir(folder);
}
