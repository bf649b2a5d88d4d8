/*
 * bridge_serve_test.c - the exchange bridge over its real socket, with everything else away: it
 * answers, takes rubbish, and does not start with settings that could lead to the wrong exchange.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/serve.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "exchange-bridge/config.h"
#include "host/log.h"
#include "wire/bus.h"

#define CONFIG_DEF    "exchange-bridge/config.def"
#define CONFIG_STRUCT bridge_config
#define CONFIG_ROWS   bridge_rows
#include "host/config_rows.h"

static struct loop *loop;
static char folder[64], door[128], redis[128], ledgers[160];
static struct bridge_config config;
static struct msg heard;
static uint32_t answers, wanted;

/* As read from nothing but defaults and these. */
static void
set_up(void)
{
    char *argv[] = {(char *)"test", (char *)"--database=host=/nowhere"};
    log_open("test", LOG_ERROR + 1);
    loop = loop_new();
    cr_assert_eq(config_read("bridge", bridge_rows, sizeof bridge_rows / sizeof bridge_rows[0],
                             &config, 2, argv, stderr),
                 OK);
    snprintf(folder, sizeof folder, "/tmp/scrip-bridge-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(door, sizeof door, "ipc://%s/bridge", folder);
    snprintf(redis, sizeof redis, "unix:%s/redis", folder);
    snprintf(ledgers, sizeof ledgers, "0-63=ipc://%s/ledger", folder);
    config.serve_endpoint = door;
    config.redis = redis;
    config.ledger_endpoints = ledgers;
}

static void
tear_down(void)
{
    bus_teardown();
    loop_destroy(&loop);
    snprintf(door, sizeof door, "%s/bridge", folder);
    unlink(door);
    rmdir(folder);
}

TestSuite(bridge_serve, .init = set_up, .fini = tear_down);

static enum err
start(void **state)
{
    static struct host host;
    host = (struct host){.loop = loop, .service = "bridge", .name = "bridge-0"};
    return serve_start(&host, &config, state);
}

static void
on_msg(void *arg, const struct bus_in *in)
{
    (void)arg;
    heard = *in->msg;
    if (++answers == wanted)
        loop_stop(loop);
}

static void
fail_late(void *arg)
{
    (void)arg;
    cr_assert_fail("no answer");
}

Test(bridge_serve, each_copy_of_a_request_is_answered_and_rubbish_is_not)
{
    void *state = NULL;
    cr_assert_eq(start(&state), OK);
    cr_assert_not_null(serve_not_ready(state));
    struct bus *bus = bus_open(
        loop, &(struct bus_options){
                  .role = BUS_ASK, .endpoint = door, .name = "gateway-0", .on_msg = on_msg});
    struct loop_timer *limit = loop_timer_new(loop, 20000, 0, fail_late, NULL);
    bus_put_packed(bus, 0, (const uint8_t *)"\xc1", 1); /* rubbish behind a good head */
    bus_flush(bus);
    struct bridge_balance_sync sync = {
        .account_id = 1, .trading_type = TRADING_TYPE_spot, .user_id = 1};
    wanted = 3;
    for (uint32_t copy = 0; copy < wanted; copy++)
        bus_put(bus, 0, MSG_bridge_balance_sync, 77, &sync);
    loop_run(loop);
    cr_assert_eq(heard.type, MSG_refused);
    cr_assert_eq(heard.corr, 77);
    cr_assert_eq(heard.refused.error, ERR_KEYS_UNAVAILABLE);

    /* That there is no key is not known while the store is away. */
    struct bridge_schedule_set every = {
        .account_id = 1, .user_id = 1, .trading_type = TRADING_TYPE_spot, .every_minutes = 60};
    wanted = answers + 1;
    bus_put(bus, 0, MSG_bridge_schedule_set, 79, &every);
    loop_run(loop);
    cr_assert_eq(heard.refused.error, ERR_KEYS_UNAVAILABLE, "%s", err_name(heard.refused.error));

    struct account_get stray = {.account_id = 1};
    wanted = answers + 1;
    bus_put(bus, 0, MSG_account_get, 78, &stray);
    loop_run(loop);
    cr_assert_eq(heard.refused.error, ERR_REQUEST_MALFORMED);
    loop_timer_end(&limit);
    bus_close(&bus);
    serve_stop(state);
}

Test(bridge_serve, an_address_of_another_environment_ends_it_at_once)
{
    void *state = NULL;
    config.spot_testnet_rest_url = "https://api.binance.com";
    cr_assert_eq(start(&state), ERR_CONFIG_BAD_VALUE);
    config.spot_testnet_rest_url = "https://testnet.binance.vision";
    config.usdm_live_ws_url = "wss://fstream.binancefuture.com/private";
    cr_assert_eq(start(&state), ERR_CONFIG_BAD_VALUE);
}

Test(bridge_serve, a_mode_that_is_none_is_not_taken_for_one)
{
    void *state = NULL;
    config.trading_mode = "LIVE";
    cr_assert_eq(start(&state), ERR_CONFIG_BAD_VALUE);
    config.trading_mode = "";
    cr_assert_eq(start(&state), ERR_CONFIG_BAD_VALUE);
}
