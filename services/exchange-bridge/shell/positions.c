/*
 * positions.c - see positions.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/positions.h"

#include <stdlib.h>

struct position {
    uint64_t account_id; /* 0 = free */
    code_t symbol;
    qty_t quantity;
};

struct positions {
    struct position *list;
    uint32_t used, max;
};

struct positions *
positions_open(uint32_t positions_max)
{
    struct positions *p = calloc(1, sizeof *p);
    CHECK(p != NULL);
    p->list = calloc(positions_max, sizeof *p->list);
    p->max = positions_max;
    CHECK(p->list != NULL);
    return p;
}

void
positions_close(struct positions **p)
{
    if (*p == NULL)
        return;
    free((*p)->list);
    free(*p);
    *p = NULL;
}

static struct position *
find(const struct positions *p, uint64_t account_id, code_t symbol)
{
    for (uint32_t i = 0; i < p->used; i++)
        if (p->list[i].account_id == account_id && code_same(p->list[i].symbol, symbol))
            return &p->list[i];
    return NULL;
}

qty_t
positions_of(const struct positions *p, uint64_t account_id, code_t symbol)
{
    const struct position *one = find(p, account_id, symbol);
    return one == NULL ? (qty_t){0} : one->quantity;
}

static void
note(struct positions *p, uint64_t account_id, const struct exchange_position *e)
{
    struct position *one = find(p, account_id, e->symbol);
    for (uint32_t i = 0; one == NULL && e->quantity.v != 0 && i < p->max; i++)
        if (i == p->used || p->list[i].account_id == 0)
            one = &p->list[i];
    if (one == NULL)
        return;
    if (one == &p->list[p->used])
        p->used++;
    *one = (struct position){e->quantity.v == 0 ? 0 : account_id, e->symbol, e->quantity};
}

void
positions_note(struct positions *p, uint64_t account_id, const struct exchange_position *list,
               uint32_t count, bool is_whole)
{
    for (uint32_t i = 0; is_whole && i < p->used; i++)
        if (p->list[i].account_id == account_id)
            p->list[i] = (struct position){0};
    for (uint32_t i = 0; i < count; i++)
        note(p, account_id, &list[i]);
}
