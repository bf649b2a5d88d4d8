/*
 * conflate.c - the lane of a topic.
 *
 * No I/O, no clock, no allocation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/core/conflate.h"

#include <stddef.h>

#include "base/check.h"

void
lane_init(struct lane *l, void **kept, uint32_t kept_max)
{
    *l = (struct lane){.kept = kept, .kept_max = kept_max};
    for (uint32_t i = 0; i < kept_max; i++)
        kept[i] = NULL;
}

void *
lane_put_newest(struct lane *l, void *item)
{
    void *old = l->newest;
    l->newest = item;
    l->newest_count++;
    return old;
}

void *
lane_put_kept(struct lane *l, void *item)
{
    CHECK(l->kept_max > 0 && item != NULL);
    uint64_t at = l->kept_count++ % l->kept_max;
    void *old = l->kept[at];
    l->kept[at] = item;
    return old;
}

void *
lane_take(struct lane *l)
{
    void *item = l->newest;
    l->newest = NULL;
    for (uint32_t i = 0; item == NULL && i < l->kept_max; i++) {
        item = l->kept[i];
        l->kept[i] = NULL;
    }
    return item;
}

struct lane_place
lane_join(const struct lane *l)
{
    uint64_t before = l->newest == NULL ? l->newest_count : l->newest_count - 1;
    return (struct lane_place){.newest = before, .kept = l->kept_count};
}

uint64_t
lane_missed(const struct lane *l, struct lane_place *p)
{
    uint64_t lag = l->kept_count - p->kept;
    if (lag <= l->kept_max)
        return 0;
    p->kept = l->kept_count - l->kept_max;
    return lag - l->kept_max;
}

void *
lane_next(const struct lane *l, struct lane_place *p, uint64_t *conflated)
{
    CHECK(l->kept_count - p->kept <= l->kept_max);
    *conflated = 0;
    if (p->kept < l->kept_count)
        return l->kept[p->kept++ % l->kept_max];
    if (p->newest == l->newest_count)
        return NULL;
    *conflated = l->newest_count - p->newest - 1;
    p->newest = l->newest_count;
    return l->newest;
}
