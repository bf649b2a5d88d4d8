/*
 * shadow_hold.c - what the second account says that open orders hold.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/shadow_parts.h"

#define ID(id) ((unsigned long long)(id))

/* What the rest of an order needs at worst. */
static wide
need(const struct shadow_order *o)
{
    wide left = (wide)o->quantity.v - o->executed.v - o->prevented.v;
    if (o->quantity.v == 0)
        return o->side == SIDE_SELL ? (wide)o->hold.v - o->executed.v
                                    : (wide)o->quote_quantity.v - o->executed_quote.v;
    return o->side == SIDE_SELL ? left : wide_ceil(o->worst_price.v, (int64_t)left);
}

/* The other live order of its pair. */
static const struct shadow_order *
partner(const struct shadow *s, const struct shadow_order *o)
{
    uint64_t other = 0;
    if (o->contingency == CONTINGENCY_OCO)
        other = o->leg == 0 ? o->list_id + 1 : o->list_id;
    else if (o->contingency == CONTINGENCY_OTOCO && o->leg > 0)
        other = o->leg == 1 ? o->list_id + 2 : o->list_id + 1;
    const struct shadow_order *p = shadow_order(s, other);
    return p != NULL && shadow_is_live(p->status) ? p : NULL;
}

bool
shadow_holds(const struct shadow *s, const struct shadow_order *o, char why[WHY_BYTES])
{
    bool is_real = o->environment != ENVIRONMENT_NONE;
    if (!shadow_is_live(o->status) || is_real)
        return o->held.v == 0 || shadow_wrong(why, "order %llu is not live here and holds %s",
                                              ID(o->id), amount_text(o->held.v).text);
    const struct shadow_order *p = partner(s, o);
    wide needs = need(o), held = o->held.v;
    if (p != NULL) {
        const struct shadow_order *second = p->leg < o->leg ? o : p;
        needs = need(p) > needs ? need(p) : needs;
        held = second->held.v == 0 ? held + p->held.v : -1;
    }
    return held == needs ||
           shadow_wrong(why, "order %llu holds %s, the rest of it needs %s", ID(o->id),
                        amount_text(o->held.v).text, amount_text((int64_t)needs).text);
}
