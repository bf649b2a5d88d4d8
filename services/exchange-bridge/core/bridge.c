/*
 * bridge.c - answers what is asked of the bridge. No I/O, no clock, no allocation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/bridge.h"

void
bridge_init(struct bridge *b)
{
    *b = (struct bridge){0};
}

/* Whether the message is one that the bridge takes, and which order it is about. */
static bool
is_request(const struct msg *m, uint64_t *order_id)
{
    *order_id = 0;
    switch ((int)m->type) {
    case MSG_bridge_balance_sync:
        return true;
    case MSG_bridge_place:
    case MSG_bridge_cancel:
    case MSG_bridge_ask:
        *order_id = m->bridge_place.order.order_id; /* all three have these fields */
        return true;
    case MSG_bridge_schedule_get:
        return true;
    default:
        return false;
    }
}

void
bridge_apply(struct bridge *b, uint32_t peer, const struct msg *m, struct outbox *out)
{
    CHECK(outbox_room(out) >= 1);
    uint64_t order_id;
    struct refused refused = {.error = ERR_REQUEST_MALFORMED};
    if (is_request(m, &order_id)) {
        b->asked++;
        refused.error = ERR_NOT_AVAILABLE_YET;
        refused.detail = text_of("live trading is not part of this deployment yet");
        refused.order_id = order_id;
    } else {
        b->misplaced++;
    }
    outbox_put(out, OUT_REPLY, peer, MSG_refused, m->corr)->refused = refused;
}
