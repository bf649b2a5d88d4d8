/*
 * pair.c - see pair.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/pair.h"

#include "matcher/core/life.h"

#define LIST_MAX 3u /* orders of a list */

/* The other order of a list, which is tied to nobody; RESTING_NONE when it is not here. */
static uint32_t
find_other(const struct match *m, uint64_t order_id, uint64_t list_id, uint16_t ledger)
{
    const struct resting_pool *p = &m->books.orders;
    uint64_t first = order_id > LIST_MAX ? order_id - LIST_MAX + 1 : 1;
    for (uint64_t id = first; id < order_id + LIST_MAX; id++) {
        uint32_t found = id != order_id ? resting_find(p, id) : RESTING_NONE;
        if (found != RESTING_NONE && p->at[found].has_more && p->at[found].ledger == ledger &&
            p->more[found].list_id == list_id && p->more[found].pair == RESTING_NONE)
            return found;
    }
    return RESTING_NONE;
}

void
pair_find(struct match *m, uint32_t record)
{
    const struct resting *r = &m->books.orders.at[record];
    struct order_more *more = m->books.orders.more;
    uint64_t list_id = more[record].list_id;
    uint32_t other = list_id != 0 ? find_other(m, r->id, list_id, r->ledger) : RESTING_NONE;
    if (other == RESTING_NONE)
        return;
    more[record].pair = other;
    more[other].pair = record;
    m->pairs++;
}

/* Whoever comes of this list is turned away. */
static void
refuse_list(struct match *m, uint64_t list_id, uint16_t ledger)
{
    m->refused[m->refused_next++ % MATCH_REFUSED_MAX] =
        (struct refused_list){.list_id = list_id, .ledger = ledger};
}

void
pair_refused(struct match *m, const struct order_work *w, uint16_t ledger)
{
    if (w->list_id == 0)
        return;
    uint32_t other = find_other(m, w->order_id, w->list_id, ledger);
    if (other != RESTING_NONE) {
        life_drop(m, other);
        return;
    }
    refuse_list(m, w->list_id, ledger);
}

bool
pair_was_refused(const struct match *m, const struct order_work *w, uint16_t ledger)
{
    for (uint32_t i = 0; w->list_id != 0 && i < MATCH_REFUSED_MAX; i++)
        if (m->refused[i].list_id == w->list_id && m->refused[i].ledger == ledger)
            return true;
    return false;
}

void
pair_forget_refused(struct match *m, uint16_t ledger)
{
    for (uint32_t i = 0; i < MATCH_REFUSED_MAX; i++)
        if (m->refused[i].ledger == ledger)
            m->refused[i].list_id = 0;
}

static void
ready(struct match *m, uint32_t record)
{
    m->books.orders.at[record].state = RESTING_READY;
    chain_append(m->books.orders.at, &m->ready, record);
}

/* Of a pair, the order that can rest at once starts first; otherwise the one that was first. */
static bool
starts_before(const struct match *m, uint32_t a, uint32_t b)
{
    bool a_waits = order_is_conditional((enum order_type)m->books.orders.more[a].type);
    bool b_waits = order_is_conditional((enum order_type)m->books.orders.more[b].type);
    return a_waits != b_waits ? b_waits : m->books.orders.at[a].id < m->books.orders.at[b].id;
}

void
pair_arrive(struct match *m, uint32_t record)
{
    struct resting *at = m->books.orders.at;
    uint32_t other = m->books.orders.more[record].pair;
    bool is_alone = m->books.orders.more[record].list_id == 0;
    enum resting_state state = other != RESTING_NONE ? (enum resting_state)at[other].state
                                                     : RESTING_DELAYED; /* not here yet */
    if (!is_alone && (state == RESTING_DELAYED || state == RESTING_WAITING)) {
        at[record].state = RESTING_PAIRING;
        return;
    }
    bool both = !is_alone && state == RESTING_PAIRING;
    if (both && starts_before(m, other, record))
        ready(m, other);
    ready(m, record);
    if (both && at[other].state == RESTING_PAIRING)
        ready(m, other);
}

void
pair_untie(struct match *m, uint32_t record)
{
    struct order_more *more = m->books.orders.more;
    uint32_t other = more[record].pair;
    if (other == RESTING_NONE)
        return;
    more[record].pair = more[other].pair = RESTING_NONE;
    m->pairs--;
}

void
pair_decided(struct match *m, uint32_t record)
{
    struct order_more *more = &m->books.orders.more[record];
    uint32_t other = more->pair;
    uint64_t list_id = more->list_id;
    more->list_id = 0; /* it is alone from here on */
    if (other != RESTING_NONE) {
        pair_untie(m, record);
        life_drop(m, other);
    } else if (list_id != 0) { /* its time was over before the other one came */
        refuse_list(m, list_id, m->books.orders.at[record].ledger);
    }
}

const char *
pair_check(const struct match *m)
{
    const struct resting_pool *p = &m->books.orders;
    uint32_t paired = 0;
    for (uint32_t i = 0; i < p->fresh; i++) {
        if (p->at[i].id == 0 || !p->at[i].has_more || p->more[i].pair == RESTING_NONE)
            continue;
        uint32_t other = p->more[i].pair;
        if (p->at[other].id == 0 || !p->at[other].has_more || p->more[other].pair != i)
            return "pairs: an order is not the other's other";
        if (p->more[other].list_id != p->more[i].list_id || p->at[other].ledger != p->at[i].ledger)
            return "pairs: two orders are not of one list";
        paired++;
    }
    return paired == m->pairs * 2 ? NULL : "pairs: their number is wrong";
}
