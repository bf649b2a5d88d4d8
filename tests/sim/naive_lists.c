/*
 * naive_lists.c - the naive ledger: pairs, pending orders, replacements.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "naive_ledger.h"

/* Orders of one command at most. */
#define LIST_MAX 3

/* A wish of a list as the order_place that it stands for. */
static struct order_place
place_of(uint64_t account_id, const struct order_wish *from)
{
    struct order_place to;
    memset(&to, 0, sizeof(to));
    to.account_id = account_id;
#define COPY(tag, kind, name, flags, sentence) to.name = from->name;
    FIELDS_order_wish(COPY, COPY, COPY, COPY)
#undef COPY
        return to;
}

static struct order_place
place_of_replace(const struct order_replace *from)
{
    struct order_place to;
    memset(&to, 0, sizeof(to));
    to.account_id = from->account_id;
#define COPY(tag, kind, name, flags, sentence) to.name = from->name;
    FIELDS_order_wish(COPY, COPY, COPY, COPY)
#undef COPY
        return to;
}

static bool
no(text_t *why, const char *what)
{
    *why = text_of("%s", what);
    return false;
}

/* ---- What an end does to others ------------------------------------------------------------- */

/* The one it is paired with ends with it. */
static enum order_end
end_of_other(enum order_end end)
{
    switch (end) {
    case ORDER_END_CLIENT_CANCEL:
        return ORDER_END_CLIENT_CANCEL;
    case ORDER_END_WOULD_TAKE:
    case ORDER_END_BOOK_FULL:
        return ORDER_END_LIST_REJECTED;
    default:
        return ORDER_END_OCO_TRIGGER;
    }
}

static enum order_end
end_of_pending(const struct naive_order *o, enum order_end end)
{
    if (o->is_replacement)
        return ORDER_END_CANCEL_FAILED;
    return end == ORDER_END_CLIENT_CANCEL ? ORDER_END_CLIENT_CANCEL
                                          : ORDER_END_OTO_PHASE_ONE_EXPIRED;
}

static struct naive_order *
partner_of(const struct naive_ledger *n, const struct naive_order *o)
{
    return o->partner != 0 ? naive_ledger_order(n, o->partner) : NULL;
}

/* Its time has passed while it waited. */
static bool
is_late(const struct naive_ledger *n, const struct naive_order *o)
{
    return o->cmd.expire_us != 0 && o->cmd.expire_us <= n->now_us;
}

/* The order it waited for has ended. A pair becomes live as one, or not at all. */
static void
wake(struct naive_ledger *n, struct naive_order *o, enum order_end end)
{
    struct naive_order *p = partner_of(n, o);
    uint64_t waited_for = o->waits_for;
    bool is_pair = p != NULL && p->waits_for == waited_for && p->end == ORDER_END_NONE;
    enum order_end result = ORDER_END_NONE;
    if (o->becomes != ORDER_END_NONE && o->becomes != end)
        result = end_of_pending(o, end);
    else if (is_late(n, o) || (is_pair && is_late(n, p)))
        result = is_late(n, o) ? ORDER_END_GTD_REACHED : ORDER_END_OCO_TRIGGER;
    else if (naive_ledger_free_for(n, o) <
             (is_pair ? naive_ledger_pair_need(n, o) : naive_ledger_need(o)))
        result = ORDER_END_NOT_ACTIVATED;
    bool is_of_time = result == ORDER_END_GTD_REACHED || result == ORDER_END_OCO_TRIGGER;
    o->waits_for = 0;
    o->end = result;
    if (is_pair) {
        p->waits_for = 0;
        p->end = !is_of_time     ? result
                 : is_late(n, p) ? ORDER_END_GTD_REACHED
                                 : ORDER_END_OCO_TRIGGER;
    }
}

static void
wake_all(struct naive_ledger *n, uint64_t id, enum order_end end)
{
    for (uint32_t i = 0; i < n->orders_count; i++)
        if (n->orders[i].waits_for == id && n->orders[i].end == ORDER_END_NONE)
            wake(n, &n->orders[i], end);
}

void
naive_ledger_decided(struct naive_ledger *n, uint64_t id)
{
    struct naive_order *o = naive_ledger_order(n, id), *p = partner_of(n, o);
    enum order_end end = o->end;
    if (p != NULL && p->end == ORDER_END_NONE && p->waits_for == 0) {
        p->end = end_of_other(end);
        wake_all(n, p->id, p->end);
    }
    if (end != ORDER_END_NONE)
        wake_all(n, id, end);
}

/* ---- Noting --------------------------------------------------------------------------------- */

bool
naive_ledger_note_list(struct naive_ledger *n, const struct list_place *cmd, text_t *why)
{
    uint64_t ids[LIST_MAX] = {0};
    uint32_t count = cmd->orders_count;
    uint32_t first_of_pair = cmd->contingency == CONTINGENCY_OTOCO ? 1 : 0;
    bool is_refused = false;
    for (uint32_t i = 0; i < count; i++)
        is_refused = is_refused || cmd->orders[i].is_refused;
    if (count != (cmd->contingency == CONTINGENCY_OTOCO ? 3u : 2u))
        return no(why, "a list has another number of orders than its kind");
    for (uint32_t i = 0; i < count; i++) {
        const struct order_place one = place_of(cmd->account_id, &cmd->orders[i]);
        struct naive_order *o = naive_ledger_add(n, &one);
        ids[i] = o->id;
        if (is_refused && o->end == ORDER_END_NONE)
            o->end = ORDER_END_LIST_REJECTED; /* chance rejects all or none */
        if (i > 0 && ids[i] != ids[0] + i)
            return no(why, "the ids of a list are not consecutive");
        if (cmd->contingency != CONTINGENCY_OCO && i > 0 && !is_refused) {
            o->waits_for = ids[0];
            o->becomes = ORDER_END_COMPLETE;
        }
    }
    if (cmd->contingency != CONTINGENCY_OTO) {
        naive_ledger_order(n, ids[first_of_pair])->partner = ids[first_of_pair + 1];
        naive_ledger_order(n, ids[first_of_pair + 1])->partner = ids[first_of_pair];
    }
    const struct naive_order *first = naive_ledger_order(n, ids[0]);
    if (naive_ledger_free_for(n, first) < 0)
        return no(why, "a list was taken without the funds for it");
    return true;
}

bool
naive_ledger_note_replace(struct naive_ledger *n, const struct order_replace *cmd, text_t *why)
{
    const struct order_place one = place_of_replace(cmd);
    const struct naive_order *old = naive_ledger_order(n, cmd->cancel_order_id);
    bool is_open = old != NULL && old->end == ORDER_END_NONE;
    if (!is_open && cmd->mode != REPLACE_MODE_ALLOW_FAILURE)
        return no(why, "an order that is over was replaced");
    struct naive_order *o = naive_ledger_add(n, &one);
    if (!is_open || o->end != ORDER_END_NONE)
        return naive_ledger_free_for(n, o) >= 0 ||
               no(why, "a replacement was taken without the funds for it");
    o->waits_for = cmd->cancel_order_id;
    o->is_replacement = true;
    o->becomes = cmd->mode == REPLACE_MODE_ALLOW_FAILURE ? ORDER_END_NONE : ORDER_END_CLIENT_CANCEL;
    return true;
}
