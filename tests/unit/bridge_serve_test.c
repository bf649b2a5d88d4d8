/*
 * bridge_serve_test.c - the exchange bridge over its real socket: asked, it refuses; sent rubbish,
 * it goes on.
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

static struct loop *loop;
static char folder[64], endpoint[128];
static struct msg heard;

static void
on_msg(void *arg, const struct bus_in *in)
{
    (void)arg;
    heard = *in->msg;
    loop_stop(loop);
}

static void
fail_late(void *arg)
{
    (void)arg;
    cr_assert_fail("no answer");
}

Test(bridge_serve, whoever_asks_is_told_that_live_trading_is_not_part_of_this)
{
    log_open("test", LOG_ERROR);
    loop = loop_new();
    snprintf(folder, sizeof folder, "/tmp/scrip-bridge-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(endpoint, sizeof endpoint, "ipc://%s/bridge", folder);
    struct host host = {.loop = loop, .service = "bridge", .name = "bridge-0"};
    struct bridge_config config = {.serve_endpoint = endpoint};
    void *state = NULL;
    cr_assert_eq(serve_start(&host, &config, &state), OK);
    struct bus *bus = bus_open(
        loop, &(struct bus_options){
                  .role = BUS_ASK, .endpoint = endpoint, .name = "gateway-0", .on_msg = on_msg});
    struct loop_timer *limit = loop_timer_new(loop, 20000, 0, fail_late, NULL);

    bus_put_packed(bus, 0, (const uint8_t *)"\xc1", 1); /* rubbish behind a good head */
    bus_flush(bus);
    struct bridge_balance_sync sync = {
        .account_id = 1, .trading_type = TRADING_TYPE_spot, .user_id = 1};
    bus_put(bus, 0, MSG_bridge_balance_sync, 77, &sync);
    loop_run(loop);
    cr_assert_eq(heard.type, MSG_refused);
    cr_assert_eq(heard.corr, 77);
    cr_assert_eq(heard.refused.error, ERR_NOT_AVAILABLE_YET);

    loop_timer_end(&limit);
    bus_close(&bus);
    serve_stop(state);
    bus_teardown();
    loop_destroy(&loop);
    snprintf(endpoint, sizeof endpoint, "%s/bridge", folder);
    unlink(endpoint);
    rmdir(folder);
}
