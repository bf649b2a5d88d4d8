/*
 * gw_fanout_test.c - what followers of any speed get: lanes of topics, books and their changes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "gateway/core/conflate.h"
#include "gateway/core/depth.h"

static uint64_t seed;

static uint32_t
dice(uint32_t sides)
{
    seed = map_mix(seed + 1);
    return (uint32_t)(seed >> 33) % sides;
}

/* ---- Lanes ---- */

#define KEPT      8
#define FOLLOWERS 5

/* Items are their own numbers: kept ones from 1, newest ones from a million. */
static void *
item(uint64_t number)
{
    return (void *)(uintptr_t)number; // NOLINT(performance-no-int-to-ptr)
}

struct follower {
    struct lane_place place;
    uint64_t kept, newest, missed;
};

static void
follower_read(const struct lane *l, struct follower *f)
{
    uint64_t conflated, before = f->newest;
    uint64_t missed = lane_missed(l, &f->place);
    f->missed += missed;
    f->kept += missed;
    uint64_t got = (uint64_t)(uintptr_t)lane_next(l, &f->place, &conflated);
    if (got == 0)
        return;
    if (got >= 1000000) {
        cr_assert_gt(got, before, "never back");
        cr_assert_eq(f->place.kept, l->kept_count, "kept ones go first");
        f->newest = got;
    } else {
        cr_assert_eq(got, ++f->kept, "each once and in order");
    }
}

Test(lane, followers_of_any_speed_hear_the_newest_and_what_they_missed)
{
    for (uint64_t run = 1; run <= 300; run++) {
        void *room[KEPT];
        struct lane l;
        struct follower all[FOLLOWERS] = {0};
        uint64_t kept = 0, newest = 1000000;
        seed = run;
        lane_init(&l, room, KEPT);
        for (int step = 0; step < 400; step++) {
            if (dice(3) == 0)
                lane_put_newest(&l, item(++newest));
            else if (dice(2) == 0)
                lane_put_kept(&l, item(++kept));
            for (uint32_t i = 0; i < FOLLOWERS; i++)
                if (dice(1 + 4 * i) == 0)
                    follower_read(&l, &all[i]);
        }
        for (uint32_t i = 0; i < FOLLOWERS; i++) {
            for (int n = 0; n < KEPT + 2; n++)
                follower_read(&l, &all[i]);
            cr_assert_eq(all[i].kept, kept, "all of them, or told");
            cr_assert(newest == 1000000 || all[i].newest == newest, "the last one counts");
            cr_assert(i > 0 || all[i].missed == 0, "who reads always misses nothing");
        }
    }
}

Test(lane, who_joins_hears_the_newest_and_nothing_of_before)
{
    void *room[KEPT];
    struct lane l;
    uint64_t conflated;
    lane_init(&l, room, KEPT);
    lane_put_kept(&l, item(1));
    struct lane_place early = lane_join(&l);
    cr_assert_null(lane_next(&l, &early, &conflated));
    lane_put_newest(&l, item(1000001));
    lane_put_newest(&l, item(1000002));
    struct lane_place late = lane_join(&l);
    cr_assert_eq(lane_next(&l, &late, &conflated), item(1000002));
    cr_assert_eq(conflated, 0);
    cr_assert_eq(lane_next(&l, &early, &conflated), item(1000002));
    cr_assert_eq(conflated, 1);
    int items = 0;
    while (lane_take(&l) != NULL)
        items++;
    cr_assert_eq(items, 2);
}

/* ---- A market, the way its messages take, and clients ---- */

#define PRICES  60
#define SENT    4096
#define CLIENTS 4
#define MIDDLE  (PRICES / 2)

/* What a client or the market itself believes. */
struct belief {
    int64_t quantity[2][PRICES + 1];
};

struct client {
    uint64_t place, sequence, update_id;
    bool has_book;
    struct belief book;
    uint32_t levels;
};

struct sent {
    struct msg m;
    struct level levels[2][PRICES];
};

static struct world {
    struct belief truth;
    uint64_t first, count; /* of the numbers; sent[n - first] */
    uint64_t update_id;
    struct sent sent[SENT];
    uint32_t held[SENT], held_count; /* what the gateway keeps */
    struct depth depth;
    bool is_asked;
    struct client clients[CLIENTS];
    struct level room[2 * DEPTH_LEVELS_MAX];
} w;

static uint64_t
last_number(void)
{
    return w.first + w.count - 1;
}

static void
truth_levels(struct level *out, int side, uint32_t *count)
{
    *count = 0;
    for (int n = 1; n <= PRICES; n++) {
        int price = side == 0 ? PRICES + 1 - n : n;
        if (w.truth.quantity[side][price] > 0)
            out[(*count)++] = (struct level){{price}, {w.truth.quantity[side][price]}};
    }
}

static void
truth_book(struct msg *m, struct level bids[PRICES], struct level asks[PRICES])
{
    uint32_t bid_count, ask_count;
    truth_levels(bids, 0, &bid_count);
    truth_levels(asks, 1, &ask_count);
    m->type = MSG_md_book;
    m->md_book = (struct md_book){.symbol = w.depth.symbol,
                                  .sequence = last_number(),
                                  .last_update_id = w.update_id,
                                  .source = LIQUIDITY_DEPTH,
                                  .bids = bids,
                                  .bids_count = bid_count,
                                  .asks = asks,
                                  .asks_count = ask_count};
}

/* The market's next message: mostly a change of the book. */
static struct sent *
market_move(void)
{
    struct sent *s = &w.sent[w.count++];
    uint64_t number = last_number();
    memset(&s->m, 0, sizeof s->m);
    uint32_t kind = dice(20);
    if (kind == 0) {
        truth_book(&s->m, s->levels[0], s->levels[1]);
    } else if (kind < 6) {
        s->m.type = MSG_md_trade;
        s->m.md_trade.symbol = w.depth.symbol;
        s->m.md_trade.sequence = number;
    } else if (kind < 8) {
        s->m.type = MSG_md_liquidation;
        s->m.md_liquidation.symbol = w.depth.symbol;
        s->m.md_liquidation.sequence = number;
    } else {
        struct md_depth *d = &s->m.md_depth;
        s->m.type = MSG_md_depth;
        *d = (struct md_depth){.symbol = w.depth.symbol,
                               .sequence = number,
                               .first_update_id = w.update_id + 1,
                               .bids = s->levels[0],
                               .asks = s->levels[1]};
        w.update_id += 1 + dice(3);
        d->last_update_id = w.update_id;
        for (uint32_t n = 1 + dice(6); n > 0; n--) {
            int side = (int)dice(2);
            uint32_t *count = side == 0 ? &d->bids_count : &d->asks_count;
            int64_t price = side == 0 ? 1 + dice(MIDDLE) : MIDDLE + 1 + dice(PRICES - MIDDLE);
            int64_t quantity = dice(3) == 0 ? 0 : 1 + dice(9);
            w.truth.quantity[side][price] = quantity;
            s->levels[side][(*count)++] = (struct level){{price}, {quantity}};
        }
    }
    return s;
}

static void
take(uint64_t index, bool is_late)
{
    enum depth_verdict v = depth_take(&w.depth, &w.sent[index].m, is_late);
    depth_check(&w.depth);
    if (v == DEPTH_HOLD || v == DEPTH_ASK)
        w.held[w.held_count++] = (uint32_t)index;
    w.is_asked |= v == DEPTH_ASK;
}

static void
replay(void)
{
    uint32_t count = w.held_count, held[SENT];
    memcpy(held, w.held, count * sizeof held[0]);
    w.held_count = 0;
    for (uint32_t i = 0; i < count; i++)
        take(held[i], true);
}

/* Market data answers what the gateway asked, with less than it wants now and then. */
static void
answer(void)
{
    struct depth *d = &w.depth;
    w.is_asked = false;
    if (d->state == DEPTH_TRUE)
        return; /* a book of the stream came first */
    if (d->state == DEPTH_AWAITS_BOOK) {
        struct level bids[PRICES], asks[PRICES];
        struct msg m;
        truth_book(&m, bids, asks);
        if (depth_take_book(d, &m.md_book))
            replay();
        return;
    }
    struct md_resent head = {.symbol = d->symbol, .from = d->sequence + 1, .to = d->missing_to};
    if (dice(4) == 0)
        head.from = head.to = 0; /* too old */
    else if (dice(4) == 0)
        head.to = head.from;
    if (depth_take_head(d, &head) == DEPTH_ASK) {
        w.is_asked = true;
        return;
    }
    for (uint64_t n = head.from; n <= head.to; n++) {
        enum depth_verdict v;
        if (depth_take_resent(d, &w.sent[n - w.first].m, &v)) {
            replay();
            break;
        }
    }
    depth_check(d);
    w.is_asked |= d->state != DEPTH_TRUE;
}

static void
levels_apply(struct client *c, int side, const struct level *levels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(i == 0 || (side == 0 ? levels[i].price.v < levels[i - 1].price.v
                                       : levels[i].price.v > levels[i - 1].price.v),
                  "the best first, each once");
        c->book.quantity[side][levels[i].price.v] = levels[i].quantity.v;
    }
}

/* A client reads one event, if there is one. */
static void
client_read(struct client *c)
{
    struct md_depth change;
    struct md_book book;
    uint64_t previous;
    if (!depth_is_due(&w.depth, c->place))
        return;
    if (depth_since(&w.depth, &c->place, w.room, &change, &previous)) {
        cr_assert(c->has_book);
        cr_assert_eq(previous, c->sequence, "nothing is missing in between");
        cr_assert_eq(change.first_update_id, c->update_id + 1);
        levels_apply(c, 0, change.bids, change.bids_count);
        levels_apply(c, 1, change.asks, change.asks_count);
        c->sequence = change.sequence;
        c->update_id = change.last_update_id;
        return;
    }
    depth_snapshot(&w.depth, c->levels, &c->place, w.room, &book);
    memset(&c->book, 0, sizeof c->book);
    cr_assert_leq(book.bids_count, c->levels);
    levels_apply(c, 0, book.bids, book.bids_count);
    levels_apply(c, 1, book.asks, book.asks_count);
    c->sequence = book.sequence;
    c->update_id = book.last_update_id;
    c->has_book = true;
}

/* The gateway's book, and whoever has heard all of it. */
static void
compare(void)
{
    struct belief own = {0};
    for (int side = 0; side < 2; side++)
        for (uint32_t i = 0; i < w.depth.sides[side].count; i++)
            own.quantity[side][w.depth.sides[side].levels[i].price.v] =
                w.depth.sides[side].levels[i].quantity.v;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        const struct client *c = &w.clients[i];
        if (c->place == w.depth.steps_end && c->levels >= PRICES)
            cr_assert_eq(memcmp(&c->book, &own, sizeof own), 0, "client %u", i);
    }
    if (w.depth.state == DEPTH_TRUE && w.depth.sequence == last_number()) {
        cr_assert_eq(memcmp(&own, &w.truth, sizeof own), 0);
        cr_assert_eq(w.depth.last_update_id, w.update_id);
    }
}

static void
beat(void)
{
    struct msg m = {.type = MSG_md_beat};
    m.md_beat = (struct md_beat){.symbol = w.depth.symbol, .sequence = last_number()};
    w.is_asked |= depth_take(&w.depth, &m, false) == DEPTH_ASK;
}

static void
world_run(uint64_t run, void *room)
{
    memset(&w, 0, sizeof w);
    seed = run * 7919;
    w.first = 1000 + dice(1000);
    depth_init(&w.depth, code_of("BTCUSDT"), PRICES, room);
    for (uint32_t i = 0; i < CLIENTS; i++)
        w.clients[i].levels = i == 3 ? 5 : PRICES;
    uint32_t loss = dice(3) == 0 ? 0 : 4 + dice(40); /* one of so many gets lost */
    w.is_asked = true;
    for (int step = 0; step < 900; step++) {
        market_move();
        if (loss == 0 || dice(loss) != 0)
            take(w.count - 1, false);
        if (dice(30) == 0)
            beat();
        if (w.is_asked && dice(5) == 0)
            answer();
        for (uint32_t i = 0; i < CLIENTS; i++)
            if (dice(1 + 15 * i * i) == 0)
                client_read(&w.clients[i]);
        compare();
    }
    for (int i = 0; i < 200 && w.depth.sequence != last_number(); i++) {
        beat();
        if (w.is_asked)
            answer();
    }
    cr_assert_eq(w.depth.state, DEPTH_TRUE);
    cr_assert_eq(w.depth.sequence, last_number());
    for (uint32_t i = 0; i < CLIENTS; i++)
        client_read(&w.clients[i]);
    compare();
}

Test(depth, a_client_of_any_speed_has_the_gateways_book)
{
    void *room = calloc(1, depth_bytes(PRICES));
    for (uint64_t run = 1; run <= 400; run++)
        world_run(run, room);
    free(room);
}

/* ---- Single rules ---- */

static struct depth depth;
static void *depth_room;

static void
depth_set_up(void)
{
    depth_room = calloc(1, depth_bytes(3));
    depth_init(&depth, code_of("BTCUSDT"), 3, depth_room);
}

static void
depth_tear_down(void)
{
    free(depth_room);
}

TestSuite(touch, .init = depth_set_up, .fini = depth_tear_down);

static enum depth_verdict
quote(uint64_t sequence, int64_t bid, int64_t ask)
{
    struct msg m = {.type = MSG_md_quote};
    m.md_quote = (struct md_quote){.symbol = depth.symbol,
                                   .sequence = sequence,
                                   .update_id = sequence * 10,
                                   .bid = {bid},
                                   .bid_quantity = {7},
                                   .ask = {ask},
                                   .ask_quantity = {8}};
    enum depth_verdict v = depth_take(&depth, &m, false);
    depth_check(&depth);
    return v;
}

Test(touch, without_depth_the_book_is_one_level_a_side)
{
    struct level room[DEPTH_CHANGES_MAX];
    struct md_depth change;
    uint64_t place = DEPTH_NO_PLACE, previous;
    cr_assert_eq(quote(6, 99, 101), DEPTH_HOLD, "no book yet");
    cr_assert_not(depth_is_due(&depth, place));
    cr_assert(depth_take_book(
        &depth,
        &(struct md_book){.symbol = depth.symbol, .sequence = 5, .source = LIQUIDITY_TRADE}));
    cr_assert_eq(quote(6, 99, 101), DEPTH_CHANGED);
    cr_assert_eq(quote(7, 99, 102), DEPTH_CHANGED);
    place = depth.steps_end - 1;
    cr_assert(depth_since(&depth, &place, room, &change, &previous));
    cr_assert_eq(previous, 6);
    cr_assert_eq(change.bids_count, 0, "what did not change is not told");
    cr_assert_eq(change.asks_count, 2);
    cr_assert(change.asks[0].price.v == 101 && change.asks[0].quantity.v == 0);
    cr_assert(change.asks[1].price.v == 102 && change.asks[1].quantity.v == 8);
    cr_assert_eq(quote(8, 0, 0), DEPTH_CHANGED, "nobody is there");
    cr_assert_eq(depth.sides[0].count + depth.sides[1].count, 0);
}

Test(touch, a_publisher_that_begins_anew_is_asked_for_its_book)
{
    cr_assert(depth_take_book(
        &depth,
        &(struct md_book){.symbol = depth.symbol, .sequence = 5000000, .source = LIQUIDITY_QUOTE}));
    cr_assert_eq(quote(4999999, 1, 2), DEPTH_SAME, "the snapshot was ahead of it");
    cr_assert_eq(quote(17, 1, 2), DEPTH_ASK);
    cr_assert_eq(depth.state, DEPTH_AWAITS_BOOK);
    cr_assert_not(depth_is_due(&depth, 1));
}

Test(touch, a_full_side_loses_its_worst_and_says_so)
{
    static const struct level bids[] = {{{9}, {1}}, {{8}, {1}}, {{7}, {1}}};
    static const struct level better = {{10}, {4}};
    struct level room[DEPTH_CHANGES_MAX];
    struct md_depth change;
    uint64_t previous;
    cr_assert(depth_take_book(&depth, &(struct md_book){.symbol = depth.symbol,
                                                        .sequence = 5,
                                                        .source = LIQUIDITY_DEPTH,
                                                        .bids = bids,
                                                        .bids_count = 3}));
    uint64_t place = depth.steps_end;
    struct msg m = {.type = MSG_md_depth};
    m.md_depth =
        (struct md_depth){.symbol = depth.symbol, .sequence = 6, .bids = &better, .bids_count = 1};
    cr_assert_eq(depth_take(&depth, &m, false), DEPTH_CHANGED);
    depth_check(&depth);
    cr_assert(depth_since(&depth, &place, room, &change, &previous));
    cr_assert_eq(change.bids_count, 2);
    cr_assert(change.bids[0].price.v == 10 && change.bids[0].quantity.v == 4);
    cr_assert(change.bids[1].price.v == 7 && change.bids[1].quantity.v == 0);
}

Test(touch, who_is_too_far_behind_gets_a_snapshot)
{
    struct level room[DEPTH_CHANGES_MAX];
    struct md_depth change;
    struct md_book book;
    uint64_t previous;
    cr_assert(depth_take_book(
        &depth,
        &(struct md_book){.symbol = depth.symbol, .sequence = 5, .source = LIQUIDITY_QUOTE}));
    uint64_t place = depth.steps_end, near = 0;
    for (uint64_t n = 6; n < 6 + 2 * DEPTH_STEPS_MAX; n++) {
        cr_assert_eq(quote(n, 10 + (int64_t)(n % 5), 20 + (int64_t)(n % 7)), DEPTH_CHANGED);
        if (n == 6 + DEPTH_STEPS_MAX)
            near = depth.steps_end;
    }
    cr_assert_not(depth_since(&depth, &place, room, &change, &previous));
    depth_snapshot(&depth, 5, &place, room, &book);
    cr_assert_eq(book.bids_count, 1);
    cr_assert_eq(place, depth.steps_end);
    cr_assert(depth_since(&depth, &near, room, &change, &previous), "all that there are");
    cr_assert_eq(change.bids_count, 5, "each price once");
}
