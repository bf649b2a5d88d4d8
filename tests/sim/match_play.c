/*
 * match_play.c - random traders, random markets, faulty streams and dying ledgers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/match_play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matcher/core/match.h"
#include "sim/naive_book.h"

#define LEDGERS    3
#define SYMBOLS    3
#define RECENT_IDS 256
#define LEVELS_MAX 24
#define OUTS_MAX   8192

/* Reports of one order during one operation, joined. */
struct joined {
    uint64_t order_id, rank, corr;
    uint32_t ledger, fills_count, first_fill, last_fill;
    enum order_end end;
    bool was_pulled;
};

struct joins {
    struct joined at[OUTS_MAX];
    uint32_t count;
    struct match_fill *fills; /* of all orders; each order's are chained by next */
    uint32_t *next;
    uint32_t fills_count, fills_room;
};

struct ledger {
    struct frame frame;
    bool is_synced, is_lost;
    uint64_t sent;            /* orders since the hello */
    struct order_work *again; /* to be sent again */
    uint32_t again_count, again_at;
};

struct match_play {
    struct match_play_options options;
    size_t used;
    uint64_t dice;
    void *memory;
    struct match *core;
    struct naive_book *naive;
    int64_t now_us;
    struct ledger ledgers[LEDGERS];
    uint64_t sequences[SYMBOLS];
    uint64_t next_id, corr;
    uint64_t recent[RECENT_IDS];
    uint32_t recent_count;
    int64_t middle; /* around which prices move, in ticks */
    int64_t tick, spread;
    struct outbox box;
    struct out outs[16];
    uint8_t lists[MATCH_OUT_BYTES] __attribute__((aligned(16)));
    struct level bids[LEVELS_MAX], asks[LEVELS_MAX];
    struct joins ours, theirs;
    uint64_t pauses, fills, reports;
    char wrong[512];
};

/* ---- Dice ---------------------------------------------------------------------------------- */

static uint64_t
roll(struct match_play *p)
{
    if (p->options.data != NULL) {
        if (p->used >= p->options.length)
            return 0;
        return p->options.data[p->used++];
    }
    p->dice ^= p->dice >> 12;
    p->dice ^= p->dice << 25;
    p->dice ^= p->dice >> 27;
    return (p->dice * UINT64_C(0x2545f4914f6cdd1d)) >> 32;
}

static int64_t
below(struct match_play *p, int64_t n)
{
    return (int64_t)(roll(p) % (uint64_t)n);
}

static int64_t
price(struct match_play *p)
{
    int64_t ticks = p->middle + below(p, 2 * p->spread + 1) - p->spread;
    if (below(p, 50) == 0)
        ticks = 1 + below(p, 1000000);
    return (ticks > 0 ? ticks : 1) * p->tick;
}

static int64_t
quantity(struct match_play *p)
{
    static const int64_t units[] = {1, 1000, 100000, DECIMAL_ONE};
    return (1 + below(p, 60)) * units[below(p, 4)];
}

/* ---- Comparing ------------------------------------------------------------------------------ */

static struct joined *
joined_of(struct joins *j, uint64_t order_id)
{
    for (uint32_t i = 0; i < j->count; i++)
        if (j->at[i].order_id == order_id)
            return &j->at[i];
    if (j->count == OUTS_MAX)
        return NULL;
    j->at[j->count] = (struct joined){.order_id = order_id, .first_fill = UINT32_MAX};
    return &j->at[j->count++];
}

static void
join_fill(struct joins *j, struct joined *o, const struct match_fill *f)
{
    if (j->fills_count == j->fills_room) {
        j->fills_room = j->fills_room * 2 + 64;
        j->fills = realloc(j->fills, j->fills_room * sizeof(*j->fills));
        j->next = realloc(j->next, j->fills_room * sizeof(*j->next));
    }
    uint32_t new = j->fills_count++;
    j->fills[new] = *f;
    j->next[new] = UINT32_MAX;
    if (o->fills_count++ == 0)
        o->first_fill = new;
    else
        j->next[o->last_fill] = new;
    o->last_fill = new;
}

/* Two reports of one order are one, as long as the first does not end it. */
static bool
join(struct joins *j, const struct order_report *r, uint64_t corr, uint32_t ledger)
{
    struct joined *o = joined_of(j, r->order_id);
    if (o == NULL || o->end != ORDER_END_NONE)
        return false;
    o->ledger = ledger;
    o->corr = corr;
    o->end = r->end;
    o->was_pulled = r->was_pulled;
    if (r->rank != 0)
        o->rank = r->rank;
    for (uint32_t i = 0; i < r->fills_count; i++)
        join_fill(j, o, &r->fills[i]);
    return true;
}

static bool
same_fill(const struct match_fill *a, const struct match_fill *b)
{
    return a->price.v == b->price.v && a->quantity.v == b->quantity.v &&
           a->is_maker == b->is_maker && a->evidence.source == b->evidence.source &&
           a->evidence.sequence == b->evidence.sequence &&
           a->evidence.price.v == b->evidence.price.v &&
           a->evidence.quantity.v == b->evidence.quantity.v &&
           a->evidence.time_us == b->evidence.time_us;
}

static const char *
differ(struct match_play *p, uint64_t order_id, const char *what)
{
    snprintf(p->wrong, sizeof(p->wrong), "order %llu: %s differs from the naive matcher's",
             (unsigned long long)order_id, what);
    return p->wrong;
}

static const char *
compare_order(struct match_play *p, const struct joined *a, const struct joined *b)
{
    if (a->end != b->end) {
        snprintf(p->wrong, sizeof(p->wrong),
                 "order %llu: ended %s after %u fills, the naive matcher says %s after %u",
                 (unsigned long long)a->order_id, msg_enum_name(MSG_ENUM_order_end, a->end),
                 a->fills_count, msg_enum_name(MSG_ENUM_order_end, b->end), b->fills_count);
        return p->wrong;
    }
    if (a->rank != b->rank)
        return differ(p, a->order_id, "its rank");
    if (a->ledger != b->ledger || a->was_pulled != b->was_pulled || a->corr != b->corr)
        return differ(p, a->order_id, "whom it was told, or for what");
    if (a->fills_count != b->fills_count)
        return differ(p, a->order_id, "the number of its fills");
    uint32_t i = a->first_fill, k = b->first_fill;
    for (; i != UINT32_MAX; i = p->ours.next[i], k = p->theirs.next[k])
        if (!same_fill(&p->ours.fills[i], &p->theirs.fills[k]))
            return differ(p, a->order_id, "a fill");
    return NULL;
}

static const char *
compare(struct match_play *p)
{
    p->theirs.count = p->theirs.fills_count = 0;
    for (uint32_t i = 0; i < p->naive->reports_count; i++) {
        const struct naive_report *n = &p->naive->reports[i];
        struct order_report r = {.order_id = n->order_id,
                                 .rank = n->rank,
                                 .fills = n->fills,
                                 .fills_count = n->fills_count,
                                 .end = n->end,
                                 .was_pulled = n->was_pulled};
        if (!join(&p->theirs, &r, n->corr, n->ledger))
            return "the naive matcher reports an order after its end";
    }
    if (p->ours.count != p->theirs.count)
        return differ(p, p->ours.count, "the number of orders with news");
    for (uint32_t i = 0; i < p->ours.count; i++) {
        const struct joined *a = &p->ours.at[i];
        const struct joined *b = joined_of(&p->theirs, a->order_id);
        const char *wrong = compare_order(p, a, b);
        if (wrong != NULL)
            return wrong;
    }
    naive_book_clear(p->naive);
    return NULL;
}

/* ---- Feeding the core ----------------------------------------------------------------------- */

static const char *
collect(struct match_play *p)
{
    for (uint32_t i = 0; i < p->box.count; i++) {
        const struct out *o = &p->box.slots[i];
        if (o->msg.type != MSG_order_report)
            continue;
        const struct order_report *r = &o->msg.order_report;
        if (r->fills_count > MATCH_FILLS_MAX)
            return "a report has too many fills";
        if (r->fills_count == 0 && r->end == ORDER_END_NONE && r->rank == 0)
            return "a report says nothing";
        if (r->fills_count == 0 && r->end == ORDER_END_COMPLETE)
            return "a complete order ends apart from its last fill";
        p->reports++;
        p->fills += r->fills_count;
        if (!join(&p->ours, r, o->msg.corr, o->peer - 1))
            return "an order is reported after its end";
    }
    outbox_clear(&p->box);
    return NULL;
}

static const char *
feed(struct match_play *p, uint32_t peer, const struct frame *frame, const struct msg *m)
{
    p->ours.count = p->ours.fills_count = 0;
    match_apply(p->core, peer, frame, m, p->now_us, &p->box);
    for (;;) {
        const char *wrong = collect(p);
        if (wrong != NULL || !match_busy(p->core))
            return wrong;
        p->pauses++;
        match_resume(p->core, &p->box);
    }
}

static const char *
feed_ledger(struct match_play *p, uint32_t ledger, const struct msg *m)
{
    struct ledger *l = &p->ledgers[ledger];
    if (l->frame.sequence == 0 || below(p, 2) == 0)
        l->frame.sequence++;
    return feed(p, ledger + 1, &l->frame, m);
}

/* ---- Ledgers -------------------------------------------------------------------------------- */

static struct order_work
order(struct match_play *p)
{
    struct order_work w = {.order_id = p->next_id++, .account_id = 1, .price = {price(p)}};
    w.symbol = p->naive->symbols[below(p, SYMBOLS)];
    w.side = below(p, 2) == 0 ? SIDE_BUY : SIDE_SELL;
    w.time_in_force = TIME_IN_FORCE_GTC;
    w.quantity.v = quantity(p);
    int64_t kind = below(p, 100);
    w.type = kind < 20 ? ORDER_TYPE_MARKET : kind < 85 ? ORDER_TYPE_LIMIT : ORDER_TYPE_LIMIT_MAKER;
    if (kind >= 20 && kind < 28)
        w.time_in_force = TIME_IN_FORCE_IOC;
    if (kind >= 28 && kind < 36)
        w.time_in_force = TIME_IN_FORCE_FOK;
    if (kind < 12) {
        w.funds.v = 1 + quantity(p) / 4 * (1 + below(p, 50));
        w.step_size.v = below(p, 3) == 0 ? 0 : 1 + below(p, 2) * 99999;
        if (w.side == SIDE_BUY && kind < 10)
            w.quantity.v = 0;
    }
    if (w.type == ORDER_TYPE_MARKET && below(p, 2) == 0)
        w.price.v = w.side == SIDE_BUY ? p->middle * 4 * p->tick : 1;
    if (below(p, 200) == 0)
        w.quantity.v = below(p, 2) - 1;
    /* Such a quantity may take, but not rest: the sum of its level could pass int64. */
    if (below(p, 200) == 0 && w.type == ORDER_TYPE_MARKET)
        w.quantity.v = INT64_MAX - below(p, 2);
    if (below(p, 200) == 0 && p->recent_count > 0)
        w.order_id = p->recent[below(p, p->recent_count)];
    return w;
}

static void
note_id(struct match_play *p, uint64_t id)
{
    uint32_t slot = (uint32_t)(id % RECENT_IDS);
    if (p->recent_count < RECENT_IDS)
        slot = p->recent_count++;
    p->recent[slot] = id;
}

static const char *
send_order(struct match_play *p, uint32_t ledger, const struct order_work *w)
{
    struct msg m = {.type = MSG_order_work, .corr = p->corr++, .order_work = *w};
    struct ledger *l = &p->ledgers[ledger];
    l->sent++;
    note_id(p, w->order_id);
    if (l->is_synced)
        naive_book_work(p->naive, ledger, w, m.corr, p->now_us);
    else
        naive_book_wait(p->naive, ledger, w, m.corr, p->now_us);
    return feed_ledger(p, ledger, &m);
}

static const char *
send_pull(struct match_play *p, uint32_t ledger)
{
    if (p->recent_count == 0)
        return NULL;
    struct msg m = {.type = MSG_order_pull, .corr = p->corr++};
    m.order_pull.order_id = p->recent[below(p, p->recent_count)];
    naive_book_pull(p->naive, ledger, m.order_pull.order_id, m.corr, p->now_us);
    return feed_ledger(p, ledger, &m);
}

/* Remembers a ledger's open orders as its own books would, ranks included. */
static void
remember_open(struct match_play *p, uint32_t ledger)
{
    struct ledger *l = &p->ledgers[ledger];
    l->again = realloc(l->again, (p->naive->orders_count + 1) * sizeof(*l->again));
    l->again_count = l->again_at = 0;
    for (uint32_t i = 0; i < p->naive->orders_count; i++) {
        const struct naive_order *o = &p->naive->orders[i];
        if (o->ledger != ledger)
            continue;
        struct order_work w = o->work;
        w.rank = below(p, 20) == 0 ? 0 : o->rank;
        l->again[l->again_count++] = w;
    }
    for (uint32_t i = l->again_count; i > 1; i--) {
        uint32_t k = (uint32_t)below(p, i);
        struct order_work w = l->again[k];
        l->again[k] = l->again[i - 1];
        l->again[i - 1] = w;
    }
}

static const char *
send_hello(struct match_play *p, uint32_t ledger)
{
    struct ledger *l = &p->ledgers[ledger];
    if (!l->is_lost)
        remember_open(p, ledger);
    naive_book_drop(p->naive, ledger);
    l->frame.session++;
    if (below(p, 4) == 0)
        l->frame.epoch++;
    l->frame.sequence = 1;
    l->is_synced = l->is_lost = false;
    l->sent = 0;
    l->again_at = 0;
    struct msg m = {.type = MSG_link_hello};
    return feed(p, ledger + 1, &l->frame, &m);
}

/* One more order of the resync, or its end. */
static const char *
send_again(struct match_play *p, uint32_t ledger)
{
    struct ledger *l = &p->ledgers[ledger];
    if (l->again_at < l->again_count)
        return send_order(p, ledger, &l->again[l->again_at++]);
    struct msg m = {.type = MSG_link_synced};
    m.link_synced.orders = l->sent;
    l->is_synced = true;
    naive_book_synced(p->naive, ledger, p->now_us);
    return feed_ledger(p, ledger, &m);
}

/* A frame is lost on the way: the session is over. */
static const char *
lose_frame(struct match_play *p, uint32_t ledger)
{
    struct ledger *l = &p->ledgers[ledger];
    remember_open(p, ledger);
    naive_book_drop(p->naive, ledger);
    l->frame.sequence += 2;
    l->is_lost = true;
    struct msg m = {.type = MSG_order_work, .order_work = order(p)};
    return feed(p, ledger + 1, &l->frame, &m);
}

static const char *
play_ledger(struct match_play *p)
{
    uint32_t ledger = (uint32_t)below(p, LEDGERS);
    struct ledger *l = &p->ledgers[ledger];
    int64_t dice = below(p, 1000);
    if (l->is_lost || dice < 1)
        return send_hello(p, ledger);
    if (dice < 2)
        return lose_frame(p, ledger);
    if (!l->is_synced && dice < 900)
        return send_again(p, ledger);
    if (dice < 250)
        return send_pull(p, ledger);
    struct order_work w = order(p);
    return send_order(p, ledger, &w);
}

/* ---- The market ----------------------------------------------------------------------------- */

static uint32_t
levels(struct match_play *p, struct level *out, uint32_t max)
{
    uint32_t count = (uint32_t)below(p, max + 1);
    for (uint32_t i = 0; i < count; i++)
        out[i] = (struct level){{price(p)}, {below(p, 4) == 0 ? 0 : quantity(p)}};
    return count;
}

static void
make_book(struct match_play *p, struct md_book *b)
{
    b->bids_count = levels(p, p->bids, LEVELS_MAX);
    b->asks_count = levels(p, p->asks, LEVELS_MAX);
    b->bids = p->bids;
    b->asks = p->asks;
    b->source = (enum liquidity)(1 + below(p, 3));
    b->time_us = p->now_us;
}

/* The next message of a symbol's stream, now and then with a number that should not be. */
static uint64_t
next_sequence(struct match_play *p, uint32_t s)
{
    int64_t dice = below(p, 1000);
    if (dice < 4)
        p->sequences[s] += (uint64_t)(1 + below(p, 3));
    if (dice == 4)
        p->sequences[s] = (uint64_t)below(p, 3);
    return ++p->sequences[s];
}

static const char *
play_market(struct match_play *p)
{
    uint32_t s = (uint32_t)below(p, SYMBOLS);
    code_t symbol = p->naive->symbols[s];
    struct msg m = {.type = MSG_NONE};
    int64_t dice = below(p, 100);
    if (!p->naive->houses[s].is_live && dice < 30) {
        m.type = MSG_md_book;
        m.corr = 1;
        make_book(p, &m.md_book);
        m.md_book.symbol = symbol;
        m.md_book.sequence = p->sequences[s];
    } else if (dice < 2) {
        m.type = MSG_md_book;
        make_book(p, &m.md_book);
        m.md_book.symbol = symbol;
        m.md_book.sequence = next_sequence(p, s);
    } else if (dice < 6) {
        m.type = MSG_md_beat;
        m.md_beat.symbol = symbol;
        m.md_beat.sequence = p->sequences[s];
    } else if (dice < 60) {
        m.type = MSG_md_depth;
        m.md_depth = (struct md_depth){.symbol = symbol, .time_us = p->now_us};
        m.md_depth.sequence = next_sequence(p, s);
        m.md_depth.bids_count = levels(p, p->bids, 4);
        m.md_depth.asks_count = levels(p, p->asks, 4);
        m.md_depth.bids = p->bids;
        m.md_depth.asks = p->asks;
    } else if (dice < 85) {
        m.type = MSG_md_quote;
        m.md_quote = (struct md_quote){.symbol = symbol, .time_us = p->now_us};
        m.md_quote.sequence = next_sequence(p, s);
        m.md_quote.bid.v = below(p, 10) == 0 ? 0 : price(p);
        m.md_quote.bid_quantity.v = quantity(p);
        m.md_quote.ask.v = below(p, 10) == 0 ? 0 : price(p);
        m.md_quote.ask_quantity.v = quantity(p);
    } else {
        m.type = MSG_md_trade;
        m.md_trade = (struct md_trade){.symbol = symbol};
        m.md_trade.sequence = next_sequence(p, s);
        m.md_trade.trade = (struct public_trade){
            .trade_id = 1, .price = {price(p)}, .quantity = {quantity(p)}, .time_us = p->now_us};
    }
    naive_book_market(p->naive, &m, p->now_us);
    return feed(p, 0, NULL, &m);
}

/* ---- The game ------------------------------------------------------------------------------- */

struct match_play *
match_play_new(const struct match_play_options *o)
{
    struct match_play *p = calloc(1, sizeof(*p));
    CHECK(p != NULL);
    p->options = *o;
    p->dice = (o->seed * UINT64_C(0x9e3779b97f4a7c15)) | 1;
    struct match_limits limits = {
        .books = {.orders_max = o->orders_max,
                  .levels_max = o->orders_max,
                  /* never full: the naive matcher knows no such limit */
                  .house_levels_max = o->data != NULL ? 4096 : 65536,
                  .books_max = SYMBOLS},
        .ledgers_max = LEDGERS,
        .silence_us = INT64_MAX / 2,
        .ask_again_us = 1000000,
    };
    size_t size = (match_bytes(&limits) + 63) & ~(size_t)63;
    p->memory = aligned_alloc(64, size);
    CHECK(p->memory != NULL);
    memset(p->memory, 0, size);
    p->core = match_init(&limits, p->memory);
    p->naive = naive_book_new(o->orders_max);
    p->naive->symbols_count = SYMBOLS;
    for (uint32_t i = 0; i < SYMBOLS; i++)
        snprintf(p->naive->symbols[i].text, CODE_BYTES, "SYM%u", i);
    outbox_init(&p->box, p->outs, 8, p->lists, sizeof(p->lists));
    static const int64_t ticks[] = {1, 1000000, DECIMAL_ONE};
    static const int64_t spreads[] = {3, 20, 200, 3000};
    p->tick = ticks[below(p, 3)];
    p->spread = spreads[below(p, 4)];
    p->middle = p->spread + below(p, 200);
    p->now_us = 1000000;
    p->next_id = 1;
    p->corr = 1;
    for (uint32_t i = 0; i < LEDGERS; i++) {
        struct ledger *l = &p->ledgers[i];
        snprintf(l->frame.sender.text, CODE_BYTES, "ledger-%u", i);
        l->frame.epoch = 1;
        l->is_lost = true;
    }
    return p;
}

void
match_play_destroy(struct match_play **p)
{
    naive_book_destroy(&(*p)->naive);
    for (uint32_t i = 0; i < LEDGERS; i++)
        free((*p)->ledgers[i].again);
    free((*p)->ours.fills);
    free((*p)->ours.next);
    free((*p)->theirs.fills);
    free((*p)->theirs.next);
    free((*p)->memory);
    free(*p);
    *p = NULL;
}

const char *
match_play_step(struct match_play *p, int *over)
{
    *over = p->options.data != NULL && p->used >= p->options.length;
    p->now_us += below(p, 4);
    if (below(p, 500) == 0)
        p->middle += below(p, 21) - 10;
    if (p->middle < 1)
        p->middle = 1;
    const char *wrong = below(p, 4) == 0 ? play_market(p) : play_ledger(p);
    return wrong != NULL ? wrong : compare(p);
}

const char *
match_play_check(struct match_play *p)
{
    return match_check(p->core);
}

void
match_play_counts(const struct match_play *p, uint64_t *fills, uint64_t *reports, uint64_t *pauses)
{
    *fills = p->fills;
    *reports = p->reports;
    *pauses = p->pauses;
}
