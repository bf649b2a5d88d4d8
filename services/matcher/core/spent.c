/*
 * spent.c - a list of a few uses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/spent.h"

static void
drop(struct spent_list *l, uint32_t i)
{
    l->count--;
    for (; i < l->count; i++)
        l->at[i] = l->at[i + 1];
}

void
spent_add(struct spent_list *l, struct spent use)
{
    if (l->count == SPENT_MAX)
        drop(l, 0);
    l->at[l->count++] = use;
}

int64_t
spent_displayed(struct spent_list *l, enum side side, int64_t price, int64_t time_us)
{
    int64_t used = 0;
    for (uint32_t i = 0; i < l->count;) {
        struct spent *e = &l->at[i];
        bool is_here = e->side == side && e->price == price;
        if (e->kind == SPENT_WHOLE && is_here) {
            e->kind = SPENT_DISPLAY;
            e->time_us = time_us;
        } else if (e->kind == SPENT_PRINT && is_here && e->time_us > time_us) {
            used += e->quantity;
        } else if (e->kind != SPENT_WHOLE &&
                   ((e->kind == SPENT_PRINT && is_here) || time_us - e->time_us > SPENT_LATE_US)) {
            drop(l, i);
            continue;
        }
        i++;
    }
    return used;
}

int64_t
spent_printed(struct spent_list *l, enum side side, int64_t price, int64_t time_us,
              int64_t quantity)
{
    int64_t used = 0;
    for (uint32_t i = 0; i < l->count && used < quantity;) {
        struct spent *e = &l->at[i];
        if (e->side != side || e->price != price || e->kind == SPENT_PRINT ||
            (e->kind == SPENT_DISPLAY && time_us > e->time_us)) {
            i++;
            continue;
        }
        int64_t part = quantity - used < e->quantity ? quantity - used : e->quantity;
        used += part;
        e->quantity -= part;
        if (e->quantity == 0)
            drop(l, i);
    }
    return used;
}

int64_t
spent_whole(const struct spent_list *l, enum side side, int64_t price)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->at[i].kind == SPENT_WHOLE && l->at[i].side == side && l->at[i].price == price)
            return l->at[i].quantity;
    return 0;
}

void
spent_replace(struct spent_list *l, enum side side, int64_t time_us)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->at[i].kind == SPENT_WHOLE && l->at[i].side == side) {
            l->at[i].kind = SPENT_DISPLAY;
            l->at[i].time_us = time_us;
        }
}

void
spent_see(struct spent_list *l, enum side side, int64_t price, int64_t quantity)
{
    for (uint32_t i = 0; i < l->unseen_count; i++)
        if (l->unseen[i].side == side && l->unseen[i].price == price) {
            int64_t *sum = &l->unseen[i].quantity;
            *sum = quantity < INT64_MAX - *sum ? *sum + quantity : INT64_MAX;
            return;
        }
    if (l->unseen_count == SPENT_UNSEEN_MAX)
        return;
    uint32_t i = l->unseen_count++;
    l->unseen[i].side = side;
    l->unseen[i].price = price;
    l->unseen[i].quantity = quantity;
}

int64_t
spent_unseen(const struct spent_list *l, enum side side, int64_t price)
{
    for (uint32_t i = 0; i < l->unseen_count; i++)
        if (l->unseen[i].side == side && l->unseen[i].price == price)
            return l->unseen[i].quantity;
    return 0;
}
