/*
 * bridge_test.c - the exchange bridge refuses what it cannot do yet, plainly and to the asker.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/bridge.h"

#include <criterion/criterion.h>
#include <string.h>

static struct bridge bridge;
static struct out slots[1];
static struct outbox out;
static uint8_t lists[16] __attribute__((aligned(16)));

static void
set_up(void)
{
    bridge_init(&bridge);
    outbox_init(&out, slots, 1, lists, sizeof lists);
}

TestSuite(bridge, .init = set_up);

static const struct refused *
ask(const struct msg *m)
{
    outbox_clear(&out);
    bridge_apply(&bridge, 3, m, &out);
    cr_assert_eq(out.count, 1);
    cr_assert_eq(slots[0].to, OUT_REPLY);
    cr_assert_eq(slots[0].peer, 3);
    cr_assert_eq(slots[0].msg.type, MSG_refused);
    cr_assert_eq(slots[0].msg.corr, m->corr);
    return &slots[0].msg.refused;
}

Test(bridge, a_balance_sync_is_not_available_yet)
{
    const struct refused *r = ask(
        &(struct msg){.type = MSG_bridge_balance_sync,
                      .corr = 7,
                      .bridge_balance_sync = {.account_id = 1, .trading_type = TRADING_TYPE_spot}});
    cr_assert_eq(r->error, ERR_NOT_AVAILABLE_YET);
    cr_assert_str_eq(r->detail.text, "live trading is not part of this deployment yet");
    cr_assert_eq(r->order_id, 0);
    cr_assert_eq(bridge.asked, 1);
}

Test(bridge, a_refused_order_is_named)
{
    const struct refused *r =
        ask(&(struct msg){.type = MSG_bridge_place, .bridge_place = {.order = {.order_id = 41}}});
    cr_assert_eq(r->error, ERR_NOT_AVAILABLE_YET);
    cr_assert_eq(r->order_id, 41);
    r = ask(&(struct msg){.type = MSG_bridge_cancel, .bridge_cancel = {.order = {.order_id = 42}}});
    cr_assert_eq(r->error, ERR_NOT_AVAILABLE_YET);
    cr_assert_eq(r->order_id, 42);
    r = ask(&(struct msg){.type = MSG_bridge_ask, .bridge_ask = {.order = {.order_id = 43}}});
    cr_assert_eq(r->error, ERR_NOT_AVAILABLE_YET);
    cr_assert_eq(r->order_id, 43);
    cr_assert_eq(bridge.asked, 3);
    cr_assert_eq(bridge.misplaced, 0);
}

Test(bridge, a_message_for_somebody_else_is_refused)
{
    const struct refused *r = ask(&(struct msg){.type = MSG_order_get});
    cr_assert_eq(r->error, ERR_REQUEST_MALFORMED);
    r = ask(&(struct msg){.type = MSG_bridge_report});
    cr_assert_eq(r->error, ERR_REQUEST_MALFORMED);
    cr_assert_eq(bridge.asked, 0);
    cr_assert_eq(bridge.misplaced, 2);
}
