/*
 * real.c - see real.h: what bridges are told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/real.h"

#include "ledger/core/order.h"

struct bridge_place
real_say(const struct ledger *l, const struct ledger_order *o)
{
    const struct ledger_account *a = &l->accounts[o->account];
    return (struct bridge_place){.account_id = a->id,
                                 .user_id = a->user_id,
                                 .trading_type = order_type_of(l, o),
                                 .order = order_say(l, o)};
}

uint32_t
ledger_next_real(const struct ledger *l, uint32_t from)
{
    for (uint32_t i = from; i < l->orders_reached; i++)
        if (order_is_real(&l->orders[i]) && order_is_live(&l->orders[i]))
            return i;
    return LEDGER_NONE;
}

bool
ledger_real_ask(const struct ledger *l, uint32_t order, struct bridge_ask *out)
{
    const struct ledger_order *o = &l->orders[order];
    const struct bridge_place said = real_say(l, o);
    *out = (struct bridge_ask){said.account_id, said.user_id, said.trading_type, said.order};
    return order_is_live(o) && (o->exchange_state == EXCHANGE_STATE_SENDING ||
                                o->exchange_state == EXCHANGE_STATE_UNKNOWN);
}

bool
ledger_real_cancel(const struct ledger *l, uint32_t order, struct bridge_cancel *out)
{
    const struct ledger_order *o = &l->orders[order];
    const struct bridge_place said = real_say(l, o);
    *out = (struct bridge_cancel){said.account_id, said.user_id, said.trading_type, said.order};
    return order_is_live(o) && o->exchange_state == EXCHANGE_STATE_PLACED && o->pulled_us != 0;
}
