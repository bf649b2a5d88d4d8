/*
 * naive_compare.c - joins reports by order and compares them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/naive_compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"

void
telling_fini(struct telling *t)
{
    free(t->at);
    free(t->fills);
    free(t->next);
    *t = (struct telling){0};
}

void
telling_clear(struct telling *t)
{
    t->count = t->fills_count = t->reports = 0;
}

/* NULL when nothing was told of it. */
static struct joined *
find(const struct telling *t, uint64_t order_id)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->at[i].order_id == order_id)
            return &t->at[i];
    return NULL;
}

static struct joined *
joined_of(struct telling *t, uint64_t order_id)
{
    struct joined *j = find(t, order_id);
    if (j != NULL)
        return j;
    t->at = naive_grown(t->at, t->count, &t->room, sizeof(*t->at));
    t->at[t->count] = (struct joined){.order_id = order_id, .first_fill = UINT32_MAX};
    return &t->at[t->count++];
}

static void
join_fill(struct telling *t, struct joined *j, const struct match_fill *f)
{
    uint32_t room = t->fills_room;
    t->fills = naive_grown(t->fills, t->fills_count, &t->fills_room, sizeof(*t->fills));
    t->next = naive_grown(t->next, t->fills_count, &room, sizeof(*t->next));
    uint32_t new = t->fills_count++;
    t->fills[new] = *f;
    t->next[new] = UINT32_MAX;
    if (j->fills_count++ == 0)
        j->first_fill = new;
    else
        t->next[j->last_fill] = new;
    j->last_fill = new;
}

static bool
is_extreme_alone(const struct order_report *r)
{
    return r->trail_extreme.v != 0 && r->rank == 0 && r->fills_count == 0 &&
           r->end == ORDER_END_NONE && r->triggered_us == 0 && r->prevented.v == 0 &&
           !r->was_trimmed;
}

const char *
telling_add(struct telling *t, const struct order_report *r, uint64_t corr, uint32_t ledger)
{
    struct joined *j = joined_of(t, r->order_id);
    if (j->end != ORDER_END_NONE)
        return "an order is reported after its end";
    if (r->stories_count > 0 && r->end == ORDER_END_NONE)
        return "a story comes without an end";
    t->reports++;
    if (!is_extreme_alone(r))
        j->at = t->reports;
    j->ledger = ledger;
    j->corr = j->corr != 0 ? j->corr : corr;
    j->corr_last = corr;
    j->end = r->end;
    j->was_pulled = r->was_pulled;
    j->rank = r->rank != 0 ? r->rank : j->rank;
    j->triggered_us = r->triggered_us != 0 ? r->triggered_us : j->triggered_us;
    j->trail_extreme = r->trail_extreme.v != 0 ? r->trail_extreme.v : j->trail_extreme;
    j->prevented += r->prevented.v;
    if (r->was_trimmed)
        j->trims = map_mix(j->trims + (uint64_t)r->trimmed_to.v + 1);
    if (r->stories_count > 0) {
        j->has_story = true;
        j->story = r->stories[0];
    }
    for (uint32_t i = 0; i < r->fills_count; i++)
        join_fill(t, j, &r->fills[i]);
    if (r->end == ORDER_END_COMPLETE && j->fills_count == 0)
        return "a complete order ends without a fill";
    return NULL;
}

/* What the naive matcher has to tell, as a matcher would. */
static const char *
add_naive(struct telling *t, const struct naive_book *n)
{
    for (uint32_t i = 0; i < n->reports_count; i++) {
        const struct naive_report *from = &n->reports[i];
        struct story story = from->story;
        struct order_report r = {.order_id = from->order_id,
                                 .rank = from->rank,
                                 .fills = from->fills,
                                 .fills_count = from->fills_count,
                                 .end = from->end,
                                 .was_pulled = from->was_pulled,
                                 .was_trimmed = from->was_trimmed,
                                 .triggered_us = from->triggered_us,
                                 .trail_extreme = {from->trail_extreme},
                                 .prevented = {from->prevented},
                                 .trimmed_to = {from->trimmed_to},
                                 .stories = &story,
                                 .stories_count = from->has_story};
        if (telling_add(t, &r, from->corr, from->ledger) != NULL)
            return "the naive matcher reports an order after its end";
        if (from->trail_extreme != 0)
            find(t, from->order_id)->may_be_silent = from->may_be_silent;
    }
    return NULL;
}

static bool
same_fill(const struct match_fill *a, const struct match_fill *b)
{
    return a->price.v == b->price.v && a->quantity.v == b->quantity.v &&
           a->is_maker == b->is_maker && a->evidence.source == b->evidence.source &&
           a->evidence.sequence == b->evidence.sequence &&
           a->evidence.price.v == b->evidence.price.v &&
           a->evidence.quantity.v == b->evidence.quantity.v &&
           a->evidence.time_us == b->evidence.time_us &&
           a->evidence.is_stale == b->evidence.is_stale;
}

const char *
story_differs(const struct story *a, const struct story *b)
{
#define DIFFERS(field)                                                                             \
    if (memcmp(&a->field, &b->field, sizeof(a->field)) != 0)                                       \
        return #field;
    DIFFERS(arrived_us)
    DIFFERS(bid_at_arrival)
    DIFFERS(ask_at_arrival)
    DIFFERS(ahead_at_arrival)
    DIFFERS(ahead)
    DIFFERS(printed)
    DIFFERS(cancelled_ahead)
    DIFFERS(held_us)
    DIFFERS(trigger_price)
    DIFFERS(trigger_sequence)
    DIFFERS(trail_extreme)
    DIFFERS(bid)
    DIFFERS(ask)
    DIFFERS(is_stale)
#undef DIFFERS
    return NULL;
}

/* The first thing in which two tellings of an order differ; NULL = none. */
static const char *
differing(const struct telling *ta, const struct joined *a, const struct telling *tb,
          const struct joined *b)
{
    if (a->fills_count != b->fills_count)
        return "the number of its fills";
    uint32_t i = a->first_fill, k = b->first_fill;
    for (; i != UINT32_MAX; i = ta->next[i], k = tb->next[k])
        if (!same_fill(&ta->fills[i], &tb->fills[k]))
            return "a fill";
    if (a->end != b->end)
        return "its end";
    if (a->rank != b->rank)
        return "its rank";
    if (a->triggered_us != b->triggered_us)
        return "when it was set off";
    if (a->prevented != b->prevented)
        return "what was prevented";
    if (a->trims != b->trims)
        return "the answer to a trim";
    if (a->trail_extreme != b->trail_extreme && !(b->may_be_silent && a->trail_extreme == 0))
        return "its extreme";
    if (a->ledger != b->ledger || a->was_pulled != b->was_pulled || a->corr != b->corr ||
        (a->at != 0 && b->at != 0 && a->corr_last != b->corr_last))
        return "whom it was told, or for what";
    if (a->has_story != b->has_story)
        return "whether it has a story";
    return a->has_story ? story_differs(&a->story, &b->story) : NULL;
}

static int
by_place(const void *a, const void *b)
{
    uint32_t x = (*(const struct joined *const *)a)->at, y = (*(const struct joined *const *)b)->at;
    return (x > y) - (x < y);
}

/* The orders in the order of their last reports; those of which only an extreme was told are left
 * out. The caller frees. */
static const struct joined **
in_order(const struct telling *t, uint32_t *count)
{
    const struct joined **list = calloc(t->count + 1, sizeof(*list));
    CHECK(list != NULL);
    *count = 0;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->at[i].at != 0)
            list[(*count)++] = &t->at[i];
    qsort(list, *count, sizeof(*list), by_place);
    return list;
}

static uint64_t
first_out_of_order(const struct telling *a, const struct telling *b)
{
    uint32_t count, others;
    uint64_t id = 0;
    const struct joined **x = in_order(a, &count), **y = in_order(b, &others);
    for (uint32_t i = 0; i < count && i < others && id == 0; i++)
        if (x[i]->order_id != y[i]->order_id)
            id = x[i]->order_id;
    free(x);
    free(y);
    return id;
}

static void
say_order(char *to, size_t bytes, const struct telling *t, const struct joined *j)
{
    int used = snprintf(to, bytes, " end=%s rank=%llu triggered=%lld prevented=%lld extreme=%lld%s",
                        msg_enum_name(MSG_ENUM_order_end, j->end), (unsigned long long)j->rank,
                        (long long)j->triggered_us, (long long)j->prevented,
                        (long long)j->trail_extreme, j->has_story ? " story" : "");
    for (uint32_t i = j->first_fill; i != UINT32_MAX && used > 0 && (size_t)used < bytes;
         i = t->next[i])
        used +=
            snprintf(to + used, bytes - (size_t)used, " [%lld at %lld, %d %lld at %lld seq %llu]",
                     (long long)t->fills[i].quantity.v, (long long)t->fills[i].price.v,
                     (int)t->fills[i].evidence.source, (long long)t->fills[i].evidence.quantity.v,
                     (long long)t->fills[i].evidence.price.v,
                     (unsigned long long)t->fills[i].evidence.sequence);
}

static const char *
differ(char *wrong, size_t bytes, const struct telling *ta, const struct joined *a,
       const struct telling *tb, const struct joined *b, const char *what)
{
    char ours[600] = " nothing", theirs[600] = " nothing";
    if (a != NULL)
        say_order(ours, sizeof(ours), ta, a);
    if (b != NULL)
        say_order(theirs, sizeof(theirs), tb, b);
    snprintf(wrong, bytes, "order %llu: %s differs\n  matcher:%s\n  naive:  %s",
             (unsigned long long)(a != NULL ? a : b)->order_id, what, ours, theirs);
    if (a != NULL && b != NULL && a->has_story && b->has_story) {
        size_t used = strlen(wrong);
        snprintf(wrong + used, bytes - used,
                 "\n  ahead %lld %lld at arrival %lld %lld printed %lld %lld",
                 (long long)a->story.ahead.v, (long long)b->story.ahead.v,
                 (long long)a->story.ahead_at_arrival.v, (long long)b->story.ahead_at_arrival.v,
                 (long long)a->story.printed.v, (long long)b->story.printed.v);
    }
    return wrong;
}

static const char *
compare(const struct telling *ours, const struct telling *theirs, char *wrong, size_t bytes)
{
    for (uint32_t i = 0; i < ours->count; i++) {
        const struct joined *a = &ours->at[i], *b = find(theirs, a->order_id);
        const char *what = b != NULL ? differing(ours, a, theirs, b) : "that it has news";
        if (what != NULL)
            return differ(wrong, bytes, ours, a, theirs, b, what);
    }
    for (uint32_t i = 0; i < theirs->count; i++) {
        const struct joined *b = &theirs->at[i];
        if (find(ours, b->order_id) == NULL && (b->at != 0 || !b->may_be_silent))
            return differ(wrong, bytes, ours, NULL, theirs, b, "that it has news");
    }
    uint64_t id = first_out_of_order(ours, theirs);
    if (id == 0)
        return NULL;
    snprintf(wrong, bytes, "order %llu is told of out of order", (unsigned long long)id);
    return wrong;
}

const char *
telling_compare(struct telling *ours, struct naive_book *n, char *wrong, size_t bytes)
{
    struct telling theirs = {0};
    const char *what = add_naive(&theirs, n);
    if (what == NULL)
        what = compare(ours, &theirs, wrong, bytes);
    for (uint32_t i = 0; i < ours->count; i++) {
        uint32_t order = naive_book_find(n, ours->at[i].order_id);
        if (order != NAIVE_NOTHING && ours->at[i].trail_extreme != 0)
            n->orders[order].told = ours->at[i].trail_extreme;
    }
    telling_fini(&theirs);
    telling_clear(ours);
    naive_book_clear(n);
    return what;
}
