/*
 * send.c - see send.h; and what a new session with a matcher begins with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/send.h"

#include "ledger/core/contingent.h"
#include "ledger/core/order.h"
#include "ledger/core/real.h"

struct msg *
send_matcher(const struct turn *t, const struct ledger_order *o, enum msg_type type)
{
    CHECK(!order_is_real(o));
    return outbox_put(t->out, OUT_MATCHER, 0, type, t->who.corr);
}

void
send_bridge(const struct ledger *l, const struct turn *t, const struct ledger_order *o,
            enum msg_type type)
{
    CHECK(order_is_real(o) && t->live);
    struct msg *m = outbox_put(t->out, OUT_BRIDGE, 0, type, t->who.corr);
    const struct bridge_place said = real_say(l, o);
    if (type == MSG_bridge_cancel)
        m->bridge_cancel = real_as_cancel(&said);
    else if (type == MSG_bridge_ask)
        m->bridge_ask = real_as_ask(&said);
    else
        m->bridge_place = said;
}

/* ---- Links to matchers ------------------------------------------------------------------------
 */

uint32_t
ledger_next_open(const struct ledger *l, uint32_t from)
{
    for (uint32_t i = from; i < l->orders_reached; i++)
        if (order_is_live(&l->orders[i]) && !order_is_real(&l->orders[i]))
            return i;
    return LEDGER_NONE;
}

void
ledger_order_work(const struct ledger *l, uint32_t order, struct order_work *out)
{
    order_ask_matcher(l, &l->orders[order], out);
}

bool
ledger_is_pulled(const struct ledger *l, uint32_t order)
{
    const struct ledger_order *o = &l->orders[order];
    return o->pulled_us != 0 || contingent_replacement(l, o) != NULL;
}
