/*
 * parts.c - the ring of minutes or days.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/parts.h"

#include <string.h>

void
parts_init(struct parts *p, uint32_t max, int64_t width_us, struct arena *memory)
{
    *p = (struct parts){.max = max, .width_us = width_us, .newest_us = -1};
    p->slots = arena_take(memory, max, sizeof(*p->slots));
    CHECK(p->slots != NULL);
}

void
parts_reset(struct parts *p)
{
    memset(p->slots, 0, p->max * sizeof(*p->slots));
    p->newest_us = -1;
    p->in_debt = 0;
}

static struct part *
slot_of(const struct parts *p, int64_t open_us)
{
    return &p->slots[(open_us / p->width_us) % p->max];
}

struct part *
parts_find(const struct parts *p, int64_t open_us)
{
    if (open_us < 0 || open_us <= p->newest_us - (int64_t)p->max * p->width_us)
        return NULL;
    struct part *part = slot_of(p, open_us);
    return part->state != PART_NONE && part->candle.open_time_us == open_us ? part : NULL;
}

int64_t
parts_reach(const struct parts *p)
{
    int64_t reach = p->newest_us - (int64_t)(p->max - 1) * p->width_us;
    return reach < 0 ? 0 : reach;
}

struct part *
parts_make(struct parts *p, int64_t open_us)
{
    CHECK(open_us >= 0 && open_us % p->width_us == 0);
    struct part *part = parts_find(p, open_us);
    if (part != NULL)
        return part;
    if (open_us < parts_reach(p))
        return NULL;
    part = slot_of(p, open_us);
    parts_paid(p, part);
    *part = (struct part){.candle.open_time_us = open_us, .state = PART_OURS};
    if (open_us > p->newest_us)
        p->newest_us = open_us;
    return part;
}

int64_t
parts_oldest(const struct parts *p)
{
    for (int64_t at = parts_reach(p); at <= p->newest_us; at += p->width_us) {
        if (parts_find(p, at) != NULL)
            return at;
    }
    return INT64_MAX;
}

/* The part of a range that the ring reaches. */
static void
range_clip(const struct parts *p, int64_t *from_us, int64_t *to_us)
{
    int64_t reach = parts_reach(p), end = p->newest_us + p->width_us;
    if (*from_us < reach)
        *from_us = reach;
    if (*to_us > end)
        *to_us = end;
}

bool
parts_fold(const struct parts *p, int64_t from_us, int64_t to_us, struct candle *out)
{
    int64_t open_us = from_us;
    bool has = false;
    if (p->newest_us < 0)
        return false;
    range_clip(p, &from_us, &to_us);
    for (int64_t at = from_us; at < to_us; at += p->width_us) {
        const struct part *part = parts_find(p, at);
        if (part == NULL)
            continue;
        if (has) {
            candle_join(out, &part->candle);
        } else {
            *out = part->candle;
            out->open_time_us = open_us;
            out->is_closed = out->is_final = false;
            has = true;
        }
    }
    return has;
}

bool
parts_are_final(const struct parts *p, int64_t from_us, int64_t to_us)
{
    /* From the end: what is not final is mostly the newest. */
    for (int64_t at = to_us - p->width_us; at >= from_us; at -= p->width_us) {
        const struct part *part = parts_find(p, at);
        if (part == NULL || !part->candle.is_final)
            return false;
    }
    return true;
}

struct part *
parts_last(const struct parts *p, int64_t from_us, int64_t to_us)
{
    range_clip(p, &from_us, &to_us);
    for (int64_t at = to_us - p->width_us; at >= from_us; at -= p->width_us) {
        struct part *part = parts_find(p, at);
        if (part != NULL)
            return part;
    }
    return NULL;
}

void
parts_owe(struct parts *p, struct part *part, enum part_debt debt)
{
    p->in_debt += part->debt == 0;
    part->debt |= debt;
}

void
parts_paid(struct parts *p, struct part *part)
{
    if (part->debt != 0 && p->in_debt > 0)
        p->in_debt--;
    part->debt = 0;
}

struct part *
parts_in_debt(const struct parts *p, int64_t from_us, int64_t to_us)
{
    if (p->in_debt == 0)
        return NULL;
    range_clip(p, &from_us, &to_us);
    for (int64_t at = from_us; at < to_us; at += p->width_us) {
        struct part *part = parts_find(p, at);
        if (part != NULL && part->debt != 0)
            return part;
    }
    return NULL;
}

struct part *
parts_oldest_in_debt(struct parts *p)
{
    struct part *part = parts_in_debt(p, 0, INT64_MAX);
    if (part == NULL)
        p->in_debt = 0; /* what was owed fell out of the ring */
    return part;
}
