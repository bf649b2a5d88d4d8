/*
 * queue.c - see queue.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/queue.h"

#include <string.h>

#include "base/check.h"

#define PRINTS_ONLY UINT32_MAX /* `after` of a place without an edge */
#define EDGES_MAX   (QUEUE_SEGMENTS - 2)

/* ---- The pool -------------------------------------------------------------------------------- */

static size_t
records_bytes(uint32_t max)
{
    return ((size_t)max * sizeof(struct queue_level) + 63) & ~(size_t)63;
}

size_t
queues_bytes(uint32_t max)
{
    return max == 0 ? 0 : records_bytes(max) + map_bytes(max);
}

void
queues_init(struct queue_pool *p, uint32_t max, void *zeroed)
{
    *p = (struct queue_pool){.at = zeroed, .max = max, .free = QUEUE_NONE};
    if (max > 0)
        map_init(&p->by_price, max, (uint8_t *)zeroed + records_bytes(max));
}

static uint64_t
key_of(uint32_t owner, int64_t price)
{
    uint64_t key = map_mix((uint64_t)price + owner * UINT64_C(0x632be59bd9b4e019));
    return key != 0 ? key : 1;
}

uint32_t
queue_find(const struct queue_pool *p, uint32_t owner, int64_t price)
{
    if (p->used == 0)
        return QUEUE_NONE;
    uint32_t i = map_get(&p->by_price, key_of(owner, price));
    if (i == MAP_NONE || p->at[i].price != price || p->at[i].owner != owner)
        return QUEUE_NONE;
    return i;
}

/* ---- The row --------------------------------------------------------------------------------- */

static void
drop(struct queue_level *q, uint32_t i)
{
    q->count--;
    memmove(&q->segments[i], &q->segments[i + 1], (q->count - i) * sizeof(q->segments[0]));
}

static int64_t
length_of(const struct queue_level *q)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < q->count; i++)
        sum += q->segments[i].quantity;
    return sum;
}

/* Merges the first segment that ends in no edge with the one behind it. */
static void
merge(struct queue_level *q)
{
    uint32_t i = 0;
    while (q->segments[i].edge)
        i++;
    CHECK(i + 1 < q->count);
    q->segments[i + 1].quantity += q->segments[i].quantity;
    q->segments[i + 1].mixed = true;
    drop(q, i);
}

static void
add_back(struct queue_level *q, int64_t quantity)
{
    if (quantity <= 0 || length_of(q) > INT64_MAX - quantity)
        return;
    struct queue_segment *last = q->count > 0 ? &q->segments[q->count - 1] : NULL;
    if (q->count == QUEUE_SEGMENTS && !last->edge) {
        last->quantity += quantity;
        last->mixed = true;
        return;
    }
    if (q->count == QUEUE_SEGMENTS)
        merge(q);
    q->segments[q->count++] = (struct queue_segment){quantity, q->next_serial++, false, false};
}

static void
eat_front(struct queue_level *q, int64_t quantity, int64_t now_us)
{
    if (quantity > 0 && q->count > 0)
        q->moved_us = now_us;
    uint32_t gone = 0;
    for (; gone < q->count && quantity >= q->segments[gone].quantity; gone++)
        quantity -= q->segments[gone].quantity;
    if (gone < q->count)
        q->segments[gone].quantity -= quantity;
    q->count -= gone;
    memmove(q->segments, &q->segments[gone], q->count * sizeof(q->segments[0]));
}

/* Cuts mixed segments in proportion to what they hold; gives what is left to cut. */
static int64_t
cut_mixed(struct queue_level *q, int64_t quantity)
{
    int64_t mixed = 0;
    for (uint32_t i = 0; i < q->count; i++)
        mixed += q->segments[i].mixed ? q->segments[i].quantity : 0;
    int64_t part = quantity < mixed ? quantity : mixed;
    quantity -= part;
    for (uint32_t i = 0; i < q->count; i++) {
        struct queue_segment *at = &q->segments[i];
        if (!at->mixed)
            continue;
        int64_t cut = (int64_t)((__int128)part * at->quantity / mixed);
        mixed -= at->quantity;
        at->quantity -= cut;
        part -= cut;
    }
    return quantity;
}

static void
cancel(struct queue_level *q, int64_t quantity)
{
    for (uint32_t i = q->count; i-- > 0;)
        if (!q->segments[i].mixed && q->segments[i].quantity == quantity) {
            drop(q, i);
            return;
        }
    quantity = cut_mixed(q, quantity);
    for (uint32_t i = q->count; i-- > 0 && quantity > 0;) {
        struct queue_segment *at = &q->segments[i];
        if (at->mixed)
            continue;
        int64_t cut = quantity < at->quantity ? quantity : at->quantity;
        at->quantity -= cut;
        quantity -= cut;
    }
    for (uint32_t i = q->count; i-- > 0;)
        if (q->segments[i].quantity == 0)
            drop(q, i);
}

/* What went without a print went by cancellation. */
static void
settle(struct queue_level *q, int64_t now_us)
{
    int64_t gone = q->gone;
    q->gone = 0;
    if (gone == 0)
        return;
    q->moved_us = now_us;
    cancel(q, gone);
}

/* ---- Places ---------------------------------------------------------------------------------- */

/* All that is there may be of several orders, and is ahead of everybody who is here. */
static void
begin(struct queue_level *q, const struct queue_word *word)
{
    int64_t unseen = word->unseen < word->shown ? word->unseen : word->shown;
    q->is_known = true;
    q->shown = word->shown;
    q->unseen = unseen;
    q->gone = 0;
    q->word_us = word->time_us;
    q->count = 0;
    if (word->shown > unseen)
        q->segments[q->count++] =
            (struct queue_segment){word->shown - unseen, 1, true, q->orders > 0};
}

uint32_t
queue_new(struct queue_pool *p, uint32_t owner, int64_t price, const struct queue_word *word)
{
    uint64_t key = key_of(owner, price);
    /* Two levels with one hash cannot both be kept. */
    if (p->used == p->max || map_get(&p->by_price, key) != MAP_NONE)
        return QUEUE_NONE;
    uint32_t i = p->free != QUEUE_NONE ? p->free : p->fresh++;
    if (p->free != QUEUE_NONE)
        p->free = p->at[i].owner;
    p->used++;
    map_set(&p->by_price, key, i);
    struct queue_level *q = &p->at[i];
    *q = (struct queue_level){.price = price, .owner = owner, .next_serial = 2};
    if (word->shown >= 0)
        begin(q, word);
    return i;
}

void
queue_free(struct queue_pool *p, uint32_t queue)
{
    struct queue_level *q = &p->at[queue];
    (void)map_remove(&p->by_price, key_of(q->owner, q->price));
    q->price = 0;
    q->owner = p->free;
    p->free = queue;
    p->used--;
}

struct queue_place
queue_join(struct queue_level *q, int64_t now_us)
{
    if (!q->is_known)
        return (struct queue_place){INT64_MAX, 1};
    settle(q, now_us);
    struct queue_place place = {q->printed + length_of(q), q->next_serial - 1};
    uint32_t edges = 0;
    for (uint32_t i = 0; i < q->count; i++)
        edges += q->segments[i].edge;
    if (q->count == 0 || q->segments[q->count - 1].edge)
        return place;
    if (edges == EDGES_MAX)
        place.after = PRINTS_ONLY;
    else
        q->segments[q->count - 1].edge = true;
    return place;
}

int64_t
queue_ahead(const struct queue_level *q, struct queue_place place)
{
    int64_t most = place.reach > q->printed ? place.reach - q->printed : 0;
    if (!q->is_known)
        return INT64_MAX;
    if (place.after == PRINTS_ONLY)
        return most;
    int64_t sum = 0;
    for (uint32_t i = 0; i < q->count && q->segments[i].serial <= place.after; i++)
        sum += q->segments[i].quantity;
    return sum < most ? sum : most;
}

int64_t
queue_ahead_told(const struct queue_level *q, struct queue_place place)
{
    struct queue_level copy = *q;
    if (!q->is_known)
        return 0;
    settle(&copy, 0);
    return queue_ahead(&copy, place);
}

/* ---- The market's words ---------------------------------------------------------------------- */

void
queue_level_changed(struct queue_level *q, int64_t shown, int64_t word_us, int64_t now_us)
{
    if (!q->is_known) {
        begin(q, &(struct queue_word){.shown = shown, .time_us = word_us});
        return;
    }
    settle(q, now_us);
    int64_t expected = q->shown > q->unseen ? q->shown - q->unseen : 0;
    q->shown = shown;
    q->unseen = 0;
    q->word_us = word_us;
    if (shown >= expected)
        add_back(q, shown - expected);
    else
        q->gone = expected - shown;
}

/* Where either gives no time, they may have happened at once. */
static int
compare_times(const struct queue_level *q, int64_t time_us)
{
    if (time_us == 0 || q->word_us == 0 || time_us == q->word_us)
        return 0;
    return time_us > q->word_us ? 1 : -1;
}

void
queue_print_begins(struct queue_level *q, int64_t time_us, int64_t now_us)
{
    if (compare_times(q, time_us) > 0)
        settle(q, now_us);
}

void
queue_printed(struct queue_level *q, int64_t quantity, int64_t time_us, int64_t now_us)
{
    int order = compare_times(q, time_us);
    int64_t known = 0; /* what the market's word has taken off already */
    int64_t back = 0;  /* what came in its stead, behind all others */
    if (!q->is_known)
        return;
    if (order <= 0) {
        known = quantity < q->gone ? quantity : q->gone;
        q->gone -= known;
    }
    if (order < 0) {
        int64_t length = length_of(q);
        back = (quantity < length ? quantity : length) - known;
    } else {
        int64_t more = quantity - known;
        q->unseen = more < INT64_MAX - q->unseen ? q->unseen + more : INT64_MAX;
    }
    q->printed = quantity < INT64_MAX - q->printed ? q->printed + quantity : INT64_MAX;
    eat_front(q, quantity, now_us);
    add_back(q, back);
}

const char *
queue_check(const struct queue_level *q)
{
    uint32_t edges = 0;
    if (q->count > QUEUE_SEGMENTS || q->gone < 0 || q->unseen < 0 || q->shown < 0)
        return "queue: a level's counts are broken";
    for (uint32_t i = 0; i < q->count; i++) {
        if (q->segments[i].quantity <= 0 ||
            (i > 0 && q->segments[i].serial <= q->segments[i - 1].serial))
            return "queue: a segment is empty or out of place";
        edges += q->segments[i].edge;
    }
    return edges <= EDGES_MAX ? NULL : "queue: a level has too many edges";
}
