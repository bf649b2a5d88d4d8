/*
 * match_take_test.c - the take loop by itself: self-trade prevention, icebergs, slippage, venues.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "matcher/core/taker.h"

#define P(units) ((int64_t)(units)*DECIMAL_ONE)
enum { ME = 7, OTHER = 8 }; /* accounts */

static struct books books;
static struct book book;
static void *memory;

static void
open_book(void)
{
    const struct books_limits limits = {
        .orders_max = 1000, .levels_max = 100, .house_levels_max = 100, .books_max = 2};
    size_t size = (books_bytes(&limits) + 63) & ~(size_t)63;
    memory = aligned_alloc(64, size);
    memset(memory, 0, size);
    books_init(&books, &limits, memory);
    book_open(&book, code_of("BTCUSDT"), 0);
    books.now_us = 1000;
}

static void
close_book(void)
{
    cr_assert_null(book_verify(&books, &book), "%s", book_verify(&books, &book));
    cr_assert_null(resting_check(&books.orders), "%s", resting_check(&books.orders));
    free(memory);
}

TestSuite(take, .init = open_book, .fini = close_book);

static uint32_t
rest(uint64_t id, uint64_t account, enum side side, int64_t price, int64_t quantity)
{
    uint32_t record = resting_new(&books.orders, id);
    cr_assert_neq(record, RESTING_NONE);
    struct resting *r = &books.orders.at[record];
    r->rank = books_next_rank(&books);
    r->quantity = P(quantity);
    r->price = P(price);
    r->account = account;
    r->ledger = 0;
    r->side = side & 3;
    r->state = RESTING_IN_BOOK;
    r->prevention = SELF_TRADE_PREVENTION_ALLOW;
    cr_assert(book_link(&books, &book, record, RESTING_NONE));
    return record;
}

static uint32_t
rest_iceberg(uint64_t id, enum side side, int64_t price, int64_t quantity, int64_t slice)
{
    uint32_t record = resting_new(&books.orders, id);
    struct resting *r = &books.orders.at[record];
    struct order_more *more = resting_more(&books.orders, record);
    r->rank = books_next_rank(&books);
    r->quantity = P(slice);
    r->price = P(price);
    r->account = OTHER;
    r->ledger = 0;
    r->side = side & 3;
    r->state = RESTING_IN_BOOK;
    r->prevention = SELF_TRADE_PREVENTION_ALLOW;
    more->slice = P(slice);
    more->hidden = P(quantity - slice);
    cr_assert(book_link(&books, &book, record, RESTING_NONE));
    return record;
}

static void
show(enum side side, int64_t price, int64_t quantity)
{
    book_show(&books, &book, side,
              &(struct house_level){.price = P(price), .left = P(quantity), .sequence = 1});
}

static struct taker
taker(enum side side, int64_t limit, int64_t quantity, enum self_trade_prevention mode)
{
    return (struct taker){.side = side,
                          .limit = P(limit),
                          .quantity = P(quantity),
                          .step_size = 1,
                          .account = ME,
                          .prevention = mode};
}

/* The next step is a fill of this size against this order; 0 = the house. */
static struct fill
expect_fill(struct taker *t, uint64_t maker, int64_t quantity)
{
    struct fill f;
    cr_assert(taker_next(&books, &book, t, &f), "no fill against %lu", (unsigned long)maker);
    cr_assert(!f.is_prevented);
    cr_assert_eq(f.maker.order_id, maker);
    cr_assert_eq(f.is_house, maker == 0);
    cr_assert_eq(f.quantity, P(quantity));
    return f;
}

static void
expect_nothing(struct taker *t)
{
    struct fill f;
    cr_assert(!taker_next(&books, &book, t, &f));
}

static struct fill
expect_prevented(struct taker *t, uint64_t maker, int64_t prevented, enum order_end end)
{
    struct fill f;
    cr_assert(taker_next(&books, &book, t, &f));
    cr_assert(f.is_prevented && !f.is_house);
    cr_assert_eq(f.quantity, 0);
    cr_assert_eq(f.maker.order_id, maker);
    cr_assert_eq(f.maker.prevented, P(prevented));
    cr_assert_eq(f.maker.end, end);
    return f;
}

/* ---- Icebergs ------------------------------------------------------------------------------- */

Test(take, an_iceberg_shows_slice_after_slice_each_behind_the_others)
{
    uint32_t record = rest_iceberg(1, SIDE_SELL, 100, 25, 10);
    rest(2, OTHER, SIDE_SELL, 100, 3);
    struct taker t = taker(SIDE_BUY, 100, 100, 0);
    struct fill f = expect_fill(&t, 1, 10);
    cr_assert_eq(f.maker.end, ORDER_END_NONE);
    cr_assert_eq(f.maker.shown, P(10));
    cr_assert_eq(f.maker.rank, books.orders.at[record].rank);
    cr_assert_gt(f.maker.rank, 1001, "the next slice has a rank of its own");
    expect_fill(&t, 2, 3);
    f = expect_fill(&t, 1, 10);
    cr_assert_neq(f.maker.rank, 0);
    cr_assert_eq(books.orders.more[record].hidden, 0);
    f = expect_fill(&t, 1, 5);
    cr_assert_eq(f.maker.rank, 0);
    cr_assert_eq(f.maker.end, ORDER_END_COMPLETE);
    cr_assert(f.maker.is_kept && f.maker.record == record, "the rest of its record is not ours");
    cr_assert_eq(resting_find(&books.orders, 1), record);
    resting_free(&books.orders, record);
    expect_nothing(&t);
    cr_assert_eq(t.quantity, P(72));
    cr_assert_eq(book.orders, 0);
}

Test(take, a_slice_that_is_only_touched_keeps_its_place)
{
    rest_iceberg(1, SIDE_BUY, 100, 25, 10);
    rest(2, OTHER, SIDE_BUY, 100, 3);
    struct taker t = taker(SIDE_SELL, 100, 4, 0);
    cr_assert_eq(expect_fill(&t, 1, 4).maker.rank, 0);
    t = taker(SIDE_SELL, 100, 7, 0);
    cr_assert_neq(expect_fill(&t, 1, 6).maker.rank, 0);
    expect_fill(&t, 2, 1);
}

Test(take, fill_or_kill_counts_what_icebergs_hide)
{
    rest_iceberg(1, SIDE_SELL, 100, 25, 10);
    struct taker t = taker(SIDE_BUY, 100, 25, 0);
    cr_assert(taker_can_fill(&books, &book, &t));
    t.prevention = SELF_TRADE_PREVENTION_EXPIRE_TAKER;
    cr_assert(taker_can_fill(&books, &book, &t));
    t.quantity++;
    cr_assert(!taker_can_fill(&books, &book, &t));
    t.prevention = 0;
    cr_assert(!taker_can_fill(&books, &book, &t));
}

Test(take, an_order_is_trimmed_in_its_place_hidden_first)
{
    uint32_t record = rest_iceberg(1, SIDE_SELL, 100, 25, 10);
    rest(2, OTHER, SIDE_SELL, 100, 3);
    book_trim(&books, record, P(12));
    cr_assert_eq(book_left(&books, record), P(12));
    cr_assert_eq(books.orders.at[record].quantity, P(10));
    book_trim(&books, record, P(4));
    cr_assert_eq(books.orders.at[record].quantity, P(4));
    cr_assert_eq(books.orders.more[record].hidden, 0);
    cr_assert_null(book_verify(&books, &book));
    struct taker t = taker(SIDE_BUY, 100, 5, 0);
    struct fill f = expect_fill(&t, 1, 4);
    cr_assert(f.maker.is_kept && f.maker.end == ORDER_END_COMPLETE);
    resting_free(&books.orders, record);
    expect_fill(&t, 2, 1);
}

/* ---- Self-trade prevention ------------------------------------------------------------------ */

Test(take, allow_trades_with_oneself)
{
    rest(1, ME, SIDE_SELL, 100, 5);
    struct taker t = taker(SIDE_BUY, 100, 5, SELF_TRADE_PREVENTION_ALLOW);
    expect_fill(&t, 1, 5);
    cr_assert(t.is_done && !t.is_prevented);
}

Test(take, expire_taker_ends_the_takers_rest_and_leaves_the_maker)
{
    rest(1, OTHER, SIDE_SELL, 100, 5);
    uint32_t own = rest(2, ME, SIDE_SELL, 100, 5);
    struct taker t = taker(SIDE_BUY, 100, 8, SELF_TRADE_PREVENTION_EXPIRE_TAKER);
    expect_fill(&t, 1, 5);
    expect_nothing(&t);
    cr_assert(t.is_done && t.is_prevented);
    cr_assert_eq(t.prevented, P(3));
    cr_assert_eq(books.orders.at[own].quantity, P(5));
}

Test(take, expire_maker_ends_the_maker_and_goes_on)
{
    rest(1, ME, SIDE_SELL, 100, 5);
    rest(2, OTHER, SIDE_SELL, 100, 5);
    struct taker t = taker(SIDE_BUY, 100, 4, SELF_TRADE_PREVENTION_EXPIRE_MAKER);
    struct fill f = expect_prevented(&t, 1, 5, ORDER_END_SELF_TRADE);
    cr_assert(!f.maker.is_kept);
    cr_assert_eq(resting_find(&books.orders, 1), RESTING_NONE);
    expect_fill(&t, 2, 4);
    cr_assert(t.is_done && !t.is_prevented);
    cr_assert_eq(t.prevented, 0);
}

Test(take, expire_maker_ends_an_iceberg_with_all_that_it_hides)
{
    uint32_t record = rest_iceberg(1, SIDE_SELL, 100, 25, 10);
    books.orders.at[record].account = ME;
    struct taker t = taker(SIDE_BUY, 100, 4, SELF_TRADE_PREVENTION_EXPIRE_MAKER);
    struct fill f = expect_prevented(&t, 1, 25, ORDER_END_SELF_TRADE);
    cr_assert(f.maker.is_kept && f.maker.record == record);
    resting_free(&books.orders, record);
    expect_nothing(&t);
    cr_assert(!t.is_done);
}

Test(take, expire_both_ends_both)
{
    rest(1, ME, SIDE_BUY, 100, 5);
    rest(2, OTHER, SIDE_BUY, 99, 5);
    struct taker t = taker(SIDE_SELL, 90, 8, SELF_TRADE_PREVENTION_EXPIRE_BOTH);
    expect_prevented(&t, 1, 5, ORDER_END_SELF_TRADE);
    cr_assert(t.is_done && t.is_prevented);
    cr_assert_eq(t.prevented, P(8));
    expect_nothing(&t);
    cr_assert_eq(book.orders, 1);
}

Test(take, decrement_lowers_both_by_the_smaller)
{
    uint32_t own = rest(1, ME, SIDE_SELL, 100, 5);
    struct taker t = taker(SIDE_BUY, 100, 3, SELF_TRADE_PREVENTION_DECREMENT);
    expect_prevented(&t, 1, 3, ORDER_END_NONE);
    cr_assert(t.is_done && t.is_prevented && !t.has_filled);
    cr_assert_eq(t.prevented, P(3));
    cr_assert_eq(books.orders.at[own].quantity, P(2));
    rest(2, OTHER, SIDE_SELL, 100, 9);
    t = taker(SIDE_BUY, 100, 6, SELF_TRADE_PREVENTION_DECREMENT);
    expect_prevented(&t, 1, 2, ORDER_END_SELF_TRADE);
    expect_fill(&t, 2, 4);
    cr_assert(t.is_done && !t.is_prevented);
    cr_assert_eq(t.prevented, P(2));
}

Test(take, decrement_takes_funds_where_a_buyer_has_those)
{
    rest(1, ME, SIDE_SELL, 100, 2);
    rest(2, OTHER, SIDE_SELL, 100, 9);
    struct taker t = taker(SIDE_BUY, 100, 0, SELF_TRADE_PREVENTION_DECREMENT);
    t.by_funds = true;
    t.quantity = INT64_MAX;
    t.funds = P(500);
    expect_prevented(&t, 1, 2, ORDER_END_SELF_TRADE);
    cr_assert_eq(t.funds, P(300));
    expect_fill(&t, 2, 3);
    cr_assert(t.is_done && !t.is_prevented);
}

Test(take, fill_or_kill_counts_only_what_it_would_come_to)
{
    rest(1, OTHER, SIDE_SELL, 100, 5);
    rest(2, ME, SIDE_SELL, 100, 5);
    rest(3, OTHER, SIDE_SELL, 100, 5);
    show(SIDE_SELL, 101, 5);
    struct taker t = taker(SIDE_BUY, 101, 15, SELF_TRADE_PREVENTION_EXPIRE_MAKER);
    cr_assert(taker_can_fill(&books, &book, &t), "own orders step aside");
    t.quantity++;
    cr_assert(!taker_can_fill(&books, &book, &t));
    t = taker(SIDE_BUY, 101, 5, SELF_TRADE_PREVENTION_EXPIRE_TAKER);
    cr_assert(taker_can_fill(&books, &book, &t));
    t.quantity++;
    cr_assert(!taker_can_fill(&books, &book, &t), "behind an own order nothing counts");
    t.prevention = SELF_TRADE_PREVENTION_DECREMENT;
    cr_assert(!taker_can_fill(&books, &book, &t));
    t.prevention = SELF_TRADE_PREVENTION_ALLOW;
    t.quantity = P(20);
    cr_assert(taker_can_fill(&books, &book, &t));
    show(SIDE_SELL, 100, 2);
    t = taker(SIDE_BUY, 101, 7, SELF_TRADE_PREVENTION_EXPIRE_BOTH);
    cr_assert(taker_can_fill(&books, &book, &t), "the house comes before an own order");
}

/* Two crossing orders at rest, the second of which is the taker with this mode. */
static struct fill
uncross(enum self_trade_prevention mode)
{
    rest(1, ME, SIDE_SELL, 100, 5);
    uint32_t second = rest(2, ME, SIDE_BUY, 101, 3);
    books.orders.at[second].prevention = mode & 7;
    struct fill f;
    cr_assert(book_uncross(&books, &book, &f));
    cr_assert_eq(f.is_prevented, mode > SELF_TRADE_PREVENTION_ALLOW);
    cr_assert_eq(f.maker.order_id, 1);
    cr_assert_eq(f.taker.order_id, 2);
    return f;
}

Test(take, crossing_at_rest_allows)
{
    struct fill f = uncross(SELF_TRADE_PREVENTION_ALLOW);
    cr_assert_eq(f.quantity, P(3));
    cr_assert_eq(f.price, P(100));
}

Test(take, crossing_at_rest_expires_the_later)
{
    struct fill f = uncross(SELF_TRADE_PREVENTION_EXPIRE_TAKER);
    cr_assert(f.maker.end == ORDER_END_NONE && f.maker.prevented == 0);
    cr_assert(f.taker.end == ORDER_END_SELF_TRADE && f.taker.prevented == P(3));
    cr_assert_eq(book.orders, 1);
}

Test(take, crossing_at_rest_expires_the_earlier)
{
    struct fill f = uncross(SELF_TRADE_PREVENTION_EXPIRE_MAKER);
    cr_assert(f.maker.end == ORDER_END_SELF_TRADE && f.maker.prevented == P(5));
    cr_assert(f.taker.end == ORDER_END_NONE && f.taker.prevented == 0);
}

Test(take, crossing_at_rest_expires_both)
{
    struct fill f = uncross(SELF_TRADE_PREVENTION_EXPIRE_BOTH);
    cr_assert(f.maker.end == ORDER_END_SELF_TRADE && f.taker.end == ORDER_END_SELF_TRADE);
    cr_assert_eq(book.orders, 0);
}

Test(take, crossing_at_rest_decrements)
{
    struct fill f = uncross(SELF_TRADE_PREVENTION_DECREMENT);
    cr_assert(f.maker.end == ORDER_END_NONE && f.maker.prevented == P(3));
    cr_assert(f.taker.end == ORDER_END_SELF_TRADE && f.taker.prevented == P(3));
    cr_assert_eq(book.orders, 1);
}

/* ---- Slippage ------------------------------------------------------------------------------- */

Test(take, slippage_worsens_the_houses_price_against_the_taker)
{
    book_show(&books, &book, SIDE_SELL,
              &(struct house_level){.price = 100000000001, .left = P(9), .sequence = 1});
    struct taker t = taker(SIDE_BUY, 2000, 1, 0);
    t.slippage_bps = 2;
    struct fill f = expect_fill(&t, 0, 1);
    cr_assert_eq(f.price, 100020000002, "rounded up: %ld", (long)f.price);
    cr_assert_eq(f.maker.price, 100000000001, "evidence is what was shown");
    book_show(&books, &book, SIDE_BUY,
              &(struct house_level){.price = 99999999999, .left = P(9), .sequence = 1});
    t = taker(SIDE_SELL, 1, 1, 0);
    t.slippage_bps = 2;
    cr_assert_eq(expect_fill(&t, 0, 1).price, 99979999999);
}

Test(take, slippage_ends_at_the_limit_and_spares_users)
{
    show(SIDE_SELL, 1000, 1);
    rest(1, OTHER, SIDE_SELL, 1000, 1);
    struct taker t = taker(SIDE_BUY, 1000, 2, 0);
    t.slippage_bps = 50;
    cr_assert_eq(expect_fill(&t, 0, 1).price, P(1000));
    t.limit = P(1001);
    cr_assert_eq(expect_fill(&t, 1, 1).price, P(1000));
    show(SIDE_BUY, 1000, 1);
    t = taker(SIDE_SELL, 1, 1, 0);
    t.slippage_bps = 20000;
    cr_assert_eq(expect_fill(&t, 0, 1).price, P(1));
}

Test(take, a_buyer_by_funds_pays_for_slippage_with_quantity)
{
    show(SIDE_SELL, 100, 50);
    struct taker t = taker(SIDE_BUY, 1000, 0, 0);
    t.by_funds = true;
    t.quantity = INT64_MAX;
    t.step_size = DECIMAL_ONE;
    t.funds = P(1000);
    t.slippage_bps = 100;
    cr_assert_eq(expect_fill(&t, 0, 9).price, P(101));
    cr_assert(t.is_done);
    cr_assert_eq(t.funds, P(91));
}

/* ---- Venues --------------------------------------------------------------------------------- */

Test(take, as_a_participant_the_house_ranks_by_the_time_of_its_price)
{
    book.venue = VENUE_PARTICIPANT;
    rest(1, OTHER, SIDE_SELL, 100, 1);
    books.now_us = 2000;
    show(SIDE_SELL, 100, 2);
    books.now_us = 3000;
    rest(2, OTHER, SIDE_SELL, 100, 3);
    books.now_us = 4000;
    show(SIDE_SELL, 100, 5); /* the same price, another quantity: it keeps its time */
    struct taker t = taker(SIDE_BUY, 100, 9, SELF_TRADE_PREVENTION_EXPIRE_TAKER);
    cr_assert(taker_can_fill(&books, &book, &t));
    expect_fill(&t, 1, 1);
    expect_fill(&t, 0, 5);
    show(SIDE_SELL, 100, 5); /* it was used up: what comes now is new */
    expect_fill(&t, 2, 3);
}

Test(take, the_only_level_keeps_its_time_while_its_price_stays)
{
    book.venue = VENUE_PARTICIPANT;
    struct house_level level = {.price = P(100), .left = P(2), .sequence = 1};
    book_show_only(&books, &book, SIDE_SELL, &level);
    books.now_us = 3000;
    rest(1, OTHER, SIDE_SELL, 100, 1);
    books.now_us = 4000;
    level.left = P(4);
    book_show_only(&books, &book, SIDE_SELL, &level);
    struct taker t = taker(SIDE_BUY, 100, 4, 0);
    expect_fill(&t, 0, 4);
    level.price = P(99);
    book_show_only(&books, &book, SIDE_SELL, &level);
    level.price = P(100);
    book_show_only(&books, &book, SIDE_SELL, &level);
    cr_assert_eq(book.sides[SIDE_SELL - 1].house.count, 1);
    t = taker(SIDE_BUY, 100, 4, 0);
    expect_fill(&t, 1, 1);
    level.left = 0;
    book_show_only(&books, &book, SIDE_SELL, &level);
    cr_assert_eq(book.sides[SIDE_SELL - 1].house.count, 0);
}

Test(take, without_the_house_only_users_trade)
{
    book.venue = VENUE_OFF;
    show(SIDE_SELL, 99, 50);
    rest(1, OTHER, SIDE_SELL, 100, 1);
    struct taker t = taker(SIDE_BUY, 100, 2, 0);
    cr_assert(!taker_can_fill(&books, &book, &t));
    cr_assert_eq(book_best(&book, SIDE_SELL), ladder_key(SIDE_SELL, P(100)));
    expect_fill(&t, 1, 1);
    expect_nothing(&t);
    cr_assert(!taker_would_take(&book, &t));
    rest(2, OTHER, SIDE_BUY, 100, 1);
    struct fill f;
    cr_assert(!book_fire(&books, &book, &f), "the house is not there");
}

/* ---- Levels --------------------------------------------------------------------------------- */

Test(take, a_level_that_ran_empty_is_there_again_for_the_next_order)
{
    rest(1, OTHER, SIDE_BUY, 100, 1);
    uint32_t record = rest(2, OTHER, SIDE_BUY, 99, 1), level = books.orders.at[record].level;
    book_unlink(&books, &book, record);
    resting_free(&books.orders, record);
    cr_assert_eq(books.levels_used, 1);
    cr_assert_eq(book.sides[SIDE_BUY - 1].empties, 1);
    cr_assert_null(book_verify(&books, &book));
    record = rest(3, OTHER, SIDE_BUY, 99, 2);
    cr_assert_eq(books.orders.at[record].level, level);
    cr_assert_eq(book.sides[SIDE_BUY - 1].empties, 0);
    struct taker t = taker(SIDE_SELL, 1, 3, 0);
    expect_fill(&t, 1, 1);
    expect_fill(&t, 3, 2);
    cr_assert_eq(book.sides[SIDE_BUY - 1].users.count, 0, "no best level, no levels");
}

Test(take, a_count_walks_over_levels_that_ran_empty)
{
    rest(1, OTHER, SIDE_SELL, 100, 1);
    for (uint64_t id = 2; id < 6; id++) {
        uint32_t record = rest(id, OTHER, SIDE_SELL, 100 + (int64_t)id, 1);
        book_unlink(&books, &book, record);
        resting_free(&books.orders, record);
    }
    uint32_t own = rest(6, ME, SIDE_SELL, 110, 1);
    rest(7, OTHER, SIDE_SELL, 111, 1);
    cr_assert_eq(book.sides[SIDE_SELL - 1].empties, 4);
    struct taker t = taker(SIDE_BUY, 111, 2, SELF_TRADE_PREVENTION_EXPIRE_MAKER);
    cr_assert(taker_can_fill(&books, &book, &t));
    t.quantity++;
    cr_assert(!taker_can_fill(&books, &book, &t));
    t = taker(SIDE_BUY, 111, 2, SELF_TRADE_PREVENTION_EXPIRE_BOTH);
    cr_assert(!taker_can_fill(&books, &book, &t));
    cr_assert_eq(books.orders.at[own].quantity, P(1));
}

Test(take, empty_levels_make_way)
{
    rest(1, OTHER, SIDE_BUY, 1000, 1);
    for (uint64_t id = 2; id < 900; id++) {
        uint32_t record = rest(id, OTHER, SIDE_BUY, (int64_t)id, 1);
        book_unlink(&books, &book, record);
        resting_free(&books.orders, record);
    }
    cr_assert_eq(books.levels_used, 1);
    cr_assert_gt(books.empties, 0);
    cr_assert_leq(books.empties, books.empties_max);
    cr_assert_eq(book.sides[SIDE_BUY - 1].users.count, 1 + books.empties);
    for (uint64_t id = 2; id < 101; id++)
        rest(id, OTHER, SIDE_BUY, (int64_t)(2 * id), 1);
    cr_assert_eq(books.levels_used, 100, "empty ones do not count as used");
}

Test(take, looking_ahead_changes_nothing)
{
    rest(1, OTHER, SIDE_BUY, 100, 1);
    const struct book_ahead soon[] = {{.id = 1},
                                      {.id = UINT64_MAX},
                                      {0},
                                      {2, &book, SIDE_BUY, P(100)},
                                      {3, &book, SIDE_SELL, P(7)}};
    books_ahead(&books, soon, 5);
    cr_assert(!books_are_deep(&books));
    for (uint64_t id = 0; id < 100; id++) {
        resting_ahead(&books.orders, id);
        cr_assert_lt(resting_ahead_record(&books.orders, id), 1000);
    }
    cr_assert_eq(books.orders.used, 1);
}

/* ---- All at once ---------------------------------------------------------------------------- */

static uint64_t dice = 88172645463325252u;

static uint64_t
roll(uint64_t n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice % n;
}

static int64_t
total_left(void)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < books.orders.fresh; i++)
        sum += books.orders.at[i].id != 0 ? book_left(&books, i) : 0;
    return sum;
}

/* What left the book was filled or prevented, no more and no less. */
Test(take, nothing_is_lost_whoever_meets_whom)
{
    for (uint64_t id = 1; id < 60000; id++) {
        enum side side = roll(2) == 0 ? SIDE_BUY : SIDE_SELL;
        int64_t price = 95 + (int64_t)roll(10);
        enum self_trade_prevention mode = (enum self_trade_prevention)roll(6);
        struct taker t = taker(side, price, 1 + (int64_t)roll(20), mode);
        t.account = 1 + roll(4);
        int64_t before = total_left(), wanted = t.quantity, gone = 0, filled = 0;
        bool can_fill = taker_can_fill(&books, &book, &t);
        struct fill f;
        while (taker_next(&books, &book, &t, &f)) {
            gone += f.quantity + f.maker.prevented;
            filled += f.quantity;
            if (f.maker.is_kept)
                resting_free(&books.orders, f.maker.record);
        }
        cr_assert_eq(can_fill, filled == wanted);
        cr_assert_eq(total_left(), before - gone);
        if (t.is_prevented || t.is_done)
            cr_assert_eq(filled + t.prevented, wanted);
        if (t.is_done || book.orders >= 60)
            continue;
        uint32_t record = roll(3) == 0 && t.quantity > P(2)
                              ? rest_iceberg(id, side, price, t.quantity / P(1), 1)
                              : rest(id, t.account, side, price, t.quantity / P(1));
        books.orders.at[record].account = t.account;
        if (id % 64 == 0)
            cr_assert_null(book_verify(&books, &book), "%s", book_verify(&books, &book));
    }
}
