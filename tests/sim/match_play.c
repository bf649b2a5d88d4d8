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
#include "sim/naive_compare.h"
#include "sim/play_dice.h"

#define LEDGERS    3
#define SYMBOLS    PLAY_SYMBOLS
#define RECENT_IDS 256
#define SILENCE_US 1000000

struct ledger {
    struct frame frame;
    bool is_synced, is_lost;
    uint64_t sent;            /* orders since the hello */
    struct order_work *again; /* to be sent again */
    uint32_t again_count, again_at;
    struct order_work second; /* of a pair of which the first was sent; id 0 = none */
};

struct match_play {
    struct play_dice dice;
    struct play_market markets[SYMBOLS];
    void *memory;
    struct match *core;
    struct naive_book *naive;
    struct ledger ledgers[LEDGERS];
    uint64_t next_id, corr;
    uint64_t recent[RECENT_IDS];
    uint32_t recent_count;
    struct outbox box;
    struct out outs[16];
    uint8_t lists[MATCH_OUT_BYTES] __attribute__((aligned(16)));
    struct telling ours;
    bool has_explained;
    struct story explained;
    uint32_t explained_count;
    struct match_play_counts counts;
    char wrong[2048];
};

static int64_t
below(struct match_play *p, int64_t n)
{
    return play_below(&p->dice, n);
}

/* ---- Feeding the core ----------------------------------------------------------------------- */

static const char *
take_report(struct match_play *p, const struct out *o)
{
    const struct order_report *r = &o->msg.order_report;
    if (r->fills_count > MATCH_FILLS_MAX)
        return "a report has too many fills";
    if (r->fills_count == 0 && r->end == ORDER_END_NONE && r->rank == 0 &&
        r->trail_extreme.v == 0 && r->prevented.v == 0 && !r->was_trimmed)
        return "a report says nothing";
    p->counts.reports++;
    p->counts.fills += r->fills_count;
    p->counts.triggered += r->triggered_us != 0;
    p->counts.prevented += r->prevented.v != 0;
    p->counts.trimmed += r->trimmed_to.v != 0;
    p->counts.expired += r->end == ORDER_END_GTD_REACHED;
    p->counts.stories += r->stories_count;
    for (uint32_t i = 0; i < r->fills_count; i++)
        p->counts.printed += r->fills[i].evidence.source == LIQUIDITY_TRADE;
    return telling_add(&p->ours, r, o->msg.corr, o->peer - 1);
}

static const char *
collect(struct match_play *p)
{
    const char *wrong = NULL;
    for (uint32_t i = 0; i < p->box.count && wrong == NULL; i++) {
        const struct out *o = &p->box.slots[i];
        if (o->msg.type == MSG_order_report)
            wrong = take_report(p, o);
        if (o->msg.type != MSG_order_explained)
            continue;
        p->has_explained = true;
        p->explained_count = o->msg.order_explained.stories_count;
        if (p->explained_count > 0)
            p->explained = o->msg.order_explained.stories[0];
    }
    outbox_clear(&p->box);
    return wrong;
}

static const char *
go_on(struct match_play *p)
{
    for (;;) {
        const char *wrong = collect(p);
        if (wrong != NULL || !match_busy(p->core))
            return wrong;
        p->counts.pauses++;
        match_resume(p->core, &p->box);
    }
}

static const char *
feed(struct match_play *p, uint32_t peer, const struct frame *frame, const struct msg *m)
{
    match_apply(p->core, peer, frame, m, p->dice.now_us, &p->box);
    return go_on(p);
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

static void
note_id(struct match_play *p, uint64_t id)
{
    uint32_t slot = (uint32_t)(id % RECENT_IDS);
    if (p->recent_count < RECENT_IDS)
        slot = p->recent_count++;
    p->recent[slot] = id;
}

static uint64_t
recent_id(struct match_play *p)
{
    return p->recent_count > 0 ? p->recent[below(p, p->recent_count)] : 1;
}

static const char *
send_order(struct match_play *p, uint32_t ledger, const struct order_work *w)
{
    struct msg m = {.type = MSG_order_work, .corr = p->corr++, .order_work = *w};
    struct ledger *l = &p->ledgers[ledger];
    l->sent++;
    note_id(p, w->order_id);
    if (l->is_synced)
        naive_book_work(p->naive, ledger, w, m.corr, p->dice.now_us);
    else
        naive_book_wait(p->naive, ledger, w, m.corr, p->dice.now_us);
    return feed_ledger(p, ledger, &m);
}

/* An order, or the first of two; the second is what this ledger sends next. */
static const char *
send_new(struct match_play *p, uint32_t ledger)
{
    struct ledger *l = &p->ledgers[ledger];
    struct order_work w = play_order(&p->dice, p->naive->symbols, p->next_id++);
    if (below(p, 10) == 0) {
        play_pair(&p->dice, &w, &l->second, p->next_id++);
        p->counts.pairs++;
    } else if (below(p, 200) == 0) {
        w.order_id = recent_id(p);
    }
    return send_order(p, ledger, &w);
}

static const char *
send_second(struct match_play *p, uint32_t ledger)
{
    struct order_work w = p->ledgers[ledger].second;
    p->ledgers[ledger].second.order_id = 0;
    return send_order(p, ledger, &w);
}

static uint32_t
errand_latency(struct match_play *p)
{
    return below(p, 3) == 0 ? (uint32_t)below(p, 100) : 0;
}

static const char *
send_pull(struct match_play *p, uint32_t ledger)
{
    struct msg m = {.type = MSG_order_pull, .corr = p->corr++};
    m.order_pull.order_id = recent_id(p);
    m.order_pull.latency_us = errand_latency(p);
    naive_book_pull(p->naive, ledger, &m.order_pull, m.corr, p->dice.now_us);
    return feed_ledger(p, ledger, &m);
}

static const char *
send_trim(struct match_play *p, uint32_t ledger)
{
    struct msg m = {.type = MSG_order_trim, .corr = p->corr++};
    m.order_trim.order_id = recent_id(p);
    m.order_trim.latency_us = errand_latency(p);
    uint32_t i = naive_book_find(p->naive, m.order_trim.order_id);
    int64_t total = i != NAIVE_NOTHING ? p->naive->orders[i].total : play_quantity(&p->dice);
    /* Mostly less than there is, now and then more. */
    int64_t most = total < INT64_MAX / 2 ? total + total / 16 + 1 : total;
    m.order_trim.quantity.v = total > 0 ? 1 + below(p, most) : 1;
    naive_book_trim(p->naive, ledger, &m.order_trim, m.corr, p->dice.now_us);
    return feed_ledger(p, ledger, &m);
}

static const char *
send_explain(struct match_play *p, uint32_t ledger)
{
    struct msg m = {.type = MSG_order_explain, .corr = p->corr++};
    struct story story = {0};
    m.order_explain.order_id = recent_id(p);
    uint32_t i = naive_book_find(p->naive, m.order_explain.order_id);
    bool is_here = i != NAIVE_NOTHING && p->naive->orders[i].ledger == ledger;
    p->naive->now_us = p->dice.now_us;
    if (is_here)
        naive_book_explain(p->naive, i, &story);
    p->has_explained = false;
    const char *wrong = feed_ledger(p, ledger, &m);
    if (wrong != NULL || !p->has_explained)
        return wrong;
    if (is_here != (p->explained_count > 0))
        return "an order is explained that is not here, or one that is here is not";
    /* Of who has no story it is free whether his extreme is kept once he was set off. */
    if (is_here && !p->naive->orders[i].has_story && story.trail_extreme.v != 0)
        story.trail_extreme = p->explained.trail_extreme;
    const char *field = is_here ? story_differs(&p->explained, &story) : NULL;
    if (field == NULL)
        return NULL;
    snprintf(p->wrong, sizeof(p->wrong), "order %llu is explained otherwise: %s",
             (unsigned long long)m.order_explain.order_id, field);
    return p->wrong;
}

/* ---- Sessions ------------------------------------------------------------------------------- */

/* An open order as its ledger knows it: from what it was told. */
static struct order_work
known_order(struct match_play *p, const struct naive_order *o)
{
    struct order_work w = o->work;
    w.rank = below(p, 20) == 0 ? 0 : o->rank;
    w.executed.v = o->total > 0 ? o->total - o->work.quantity.v : 0;
    w.is_triggered = o->is_set_off;
    w.trail_extreme.v = o->told;
    return w;
}

/* Remembers a ledger's open orders, in any order; now and then one of a pair alone. */
static void
remember_open(struct match_play *p, uint32_t ledger)
{
    struct ledger *l = &p->ledgers[ledger];
    l->again = realloc(l->again, (p->naive->orders_count + 1) * sizeof(*l->again));
    CHECK(l->again != NULL);
    l->again_count = l->again_at = 0;
    l->second.order_id = 0;
    for (uint32_t i = 0; i < p->naive->orders_count; i++) {
        const struct naive_order *o = &p->naive->orders[i];
        if (o->ledger == ledger && (o->work.list_id == 0 || below(p, 50) != 0))
            l->again[l->again_count++] = known_order(p, o);
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
    p->counts.sessions++;
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
    naive_book_synced(p->naive, ledger, p->dice.now_us);
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
    struct msg m = {.type = MSG_order_work};
    m.order_work = play_order(&p->dice, p->naive->symbols, p->next_id++);
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
    if (l->second.order_id != 0)
        return send_second(p, ledger);
    if (dice < 200)
        return send_pull(p, ledger);
    if (dice < 260)
        return send_trim(p, ledger);
    if (dice < 280)
        return send_explain(p, ledger);
    return send_new(p, ledger);
}

/* ---- The market and time -------------------------------------------------------------------- */

static const char *
play_market(struct match_play *p)
{
    uint32_t s = (uint32_t)below(p, SYMBOLS);
    struct msg m = play_tick(&p->dice, &p->markets[s], &p->naive->houses[s], p->naive->symbols[s]);
    naive_book_market(p->naive, &m, p->dice.now_us);
    return feed(p, 0, NULL, &m);
}

/* Time goes on a little; now and then so much that markets have fallen silent. */
static const char *
play_time(struct match_play *p)
{
    p->dice.now_us += below(p, 4);
    if (below(p, 300) == 0)
        p->dice.now_us += below(p, 20000);
    if (below(p, 3000) == 0)
        p->dice.now_us += SILENCE_US;
    if (below(p, 100) == 0) {
        naive_book_time(p->naive, p->dice.now_us);
        match_time(p->core, p->dice.now_us, &p->box);
    } else if (match_next_us(p->core) <= p->dice.now_us || below(p, 50) == 0) {
        naive_book_due(p->naive, p->dice.now_us);
        match_due(p->core, p->dice.now_us, &p->box);
    } else {
        return NULL;
    }
    return go_on(p);
}

static const char *
compare(struct match_play *p)
{
    return telling_compare(&p->ours, p->naive, p->wrong, sizeof(p->wrong));
}

/* ---- The game ------------------------------------------------------------------------------- */

static void
begin_core(struct match_play *p, uint32_t orders_max)
{
    p->naive->errands_max = below(&*p, 4) == 0 ? 2 : 256;
    p->naive->stale = (enum naive_stale)(below(p, 2) * below(p, 3));
    p->naive->silence_us = SILENCE_US;
    struct match_limits limits = {
        .books = {.orders_max = orders_max,
                  .levels_max = orders_max,
                  /* never full: the naive matcher knows no such limit */
                  .house_levels_max = p->dice.data != NULL ? 4096 : 65536,
                  .books_max = SYMBOLS,
                  .queues_max = orders_max,
                  .stories_max = orders_max},
        .ledgers_max = LEDGERS,
        .silence_us = INT64_MAX / 2,
        .market_silence_us = SILENCE_US,
        .ask_again_us = 1000000,
        .stale_fills = (enum stale_fills)p->naive->stale,
        .errands_max = p->naive->errands_max,
    };
    size_t size = (match_bytes(&limits) + 63) & ~(size_t)63;
    p->memory = aligned_alloc(64, size);
    CHECK(p->memory != NULL);
    memset(p->memory, 0, size);
    p->core = match_init(&limits, p->memory);
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        enum venue venue = below(p, 4) != 0 ? VENUE_FIRST : (enum venue)(1 + below(p, 2));
        p->naive->houses[i].venue = (enum naive_venue)venue;
        match_set_venue(p->core, p->naive->symbols[i], venue);
    }
}

struct match_play *
match_play_new(const struct match_play_options *o)
{
    struct match_play *p = calloc(1, sizeof(*p));
    CHECK(p != NULL);
    play_dice_init(&p->dice, o->seed, o->data, o->length);
    p->naive = naive_book_new(o->orders_max);
    p->naive->symbols_count = SYMBOLS;
    for (uint32_t i = 0; i < SYMBOLS; i++)
        snprintf(p->naive->symbols[i].text, CODE_BYTES, "SYM%u", i);
    outbox_init(&p->box, p->outs, 8, p->lists, sizeof(p->lists));
    begin_core(p, o->orders_max);
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
    telling_fini(&(*p)->ours);
    free((*p)->memory);
    free(*p);
    *p = NULL;
}

const char *
match_play_step(struct match_play *p, int *over)
{
    *over = play_is_over(&p->dice);
    play_drift(&p->dice);
    const char *wrong = play_time(p);
    if (wrong == NULL)
        wrong = compare(p);
    if (wrong == NULL)
        wrong = below(p, 4) == 0 ? play_market(p) : play_ledger(p);
    return wrong != NULL ? wrong : compare(p);
}

const char *
match_play_check(struct match_play *p)
{
    return match_check(p->core);
}

const struct match_play_counts *
match_play_counts(const struct match_play *p)
{
    return &p->counts;
}
