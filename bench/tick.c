/*
 * tick.c - what a market tick costs with a thousand, 100 thousand and a million orders in hand.
 *
 *   tick [RUNS]
 *
 * Half of the orders rest away from the touch, half are armed for prices away from it, spread over
 * many prices on both sides. Ticks by turns change two levels a side of the market's book near the
 * touch, and are a trade there; they fire nothing, and go through the whole core. The ratio is the
 * time with a thousand over the time with a million.
 *
 * Beside it: how many trades a second of a day of a market (day.h), again and again, go through
 * the core with ten thousand orders resting around the price. Prints fill them; for each that is
 * complete a new one comes. Prints one JSON object.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "day.h"
#include "matcher/core/match.h"

#define TICKS    1000000
#define TICK     INT64_C(1000000) /* 0.01 */
#define MIDDLE   INT64_C(5000000) /* 50,000.00 */
#define AWAY     INT64_C(100000)  /* 1,000.00 between the touch and the nearest order */
#define LEVELS   50000            /* prices a side that the orders are spread over */
#define RUNS_MAX 50

#define DAY_ORDERS 10000
#define DAY_TRADES 1000000        /* at least */
#define DAY_WIDTH  INT64_C(20000) /* 200.00 either side of the price */
#define LISTS      (1u << 20)

static const uint32_t depths[] = {1000, 100000, 1000000};
#define DEPTHS (sizeof(depths) / sizeof(depths[0]))

struct world {
    void *memory;
    size_t size;
    struct match *match;
    struct outbox out;
    struct out outs[256];
    uint8_t lists[LISTS] __attribute__((aligned(16)));
    code_t symbol;
    uint64_t sequence, next_id;
    int64_t now_us;
    uint64_t dice;
};

static const struct frame frame = {.sender = {"ledger-0"}, .epoch = 1, .session = 1, .sequence = 1};

static uint32_t
count_complete(const struct outbox *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < out->count; i++) {
        const struct msg *m = &out->slots[i].msg;
        count += m->type == MSG_order_report && m->order_report.end == ORDER_END_COMPLETE;
    }
    return count;
}

/* Applies a message to its end; gives how many orders are complete. */
static uint32_t
feed(struct world *w, bool is_market, const struct msg *m)
{
    match_apply(w->match, !is_market, is_market ? NULL : &frame, m, w->now_us, &w->out);
    uint32_t complete = count_complete(&w->out);
    outbox_clear(&w->out);
    while (match_busy(w->match)) {
        match_resume(w->match, &w->out);
        complete += count_complete(&w->out);
        outbox_clear(&w->out);
    }
    return complete;
}

static void
world_open(struct world *w, uint32_t orders)
{
    const struct match_limits limits = {
        .books = {.orders_max = orders + 1,
                  .levels_max = 4 * LEVELS + 16,
                  .house_levels_max = 10000,
                  .books_max = 16,
                  .queues_max = 2 * LEVELS,
                  .stories_max = 2 * DAY_ORDERS},
        .ledgers_max = 4,
        .silence_us = INT64_MAX,
        .ask_again_us = 1000000,
        .errands_max = 16,
    };
    w->size = match_bytes(&limits);
    w->memory = mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(w->memory != MAP_FAILED);
    w->match = match_init(&limits, w->memory);
    w->symbol = code_of("BTCUSDT");
    w->sequence = 0;
    w->next_id = 1;
    w->now_us = 1;
    w->dice = 88172645463325252u;
    outbox_init(&w->out, w->outs, 256, w->lists, sizeof(w->lists));
    (void)feed(w, false, &(struct msg){.type = MSG_link_hello});
    (void)feed(w, false, &(struct msg){.type = MSG_link_synced});
}

static void
world_close(struct world *w)
{
    munmap(w->memory, w->size);
}

static struct msg
limit_order(struct world *w, enum side side, int64_t price)
{
    struct msg m = {.type = MSG_order_work};
    m.order_work = (struct order_work){
        .order_id = w->next_id++,
        .account_id = 1,
        .symbol = w->symbol,
        .side = side,
        .type = ORDER_TYPE_LIMIT,
        .time_in_force = TIME_IN_FORCE_GTC,
        .price = {price},
        .quantity = {DECIMAL_ONE},
    };
    return m;
}

/* ---- Ticks ---------------------------------------------------------------------------------- */

static void
show_book(struct world *w)
{
    static struct level bids[1000], asks[1000];
    for (int i = 0; i < 1000; i++) {
        bids[i] = (struct level){{(MIDDLE - 1 - i) * TICK}, {DECIMAL_ONE}};
        asks[i] = (struct level){{(MIDDLE + 1 + i) * TICK}, {DECIMAL_ONE}};
    }
    struct msg m = {.type = MSG_md_book};
    m.md_book = (struct md_book){.symbol = w->symbol,
                                 .sequence = ++w->sequence,
                                 .bids = bids,
                                 .bids_count = 1000,
                                 .asks = asks,
                                 .asks_count = 1000,
                                 .source = LIQUIDITY_DEPTH,
                                 .last_price = {MIDDLE * TICK}};
    (void)feed(w, true, &m);
}

/* Every second one rests, the others are armed: stops and stops that trail, by the last price and
 * by the touch. */
static void
take_orders(struct world *w, uint32_t orders)
{
    for (uint32_t i = 0; i < orders; i++) {
        enum side side = i / 2 % 2 == 0 ? SIDE_BUY : SIDE_SELL;
        int64_t away = AWAY + (int64_t)((uint64_t)i * 2654435761u % LEVELS);
        int64_t below = (MIDDLE - away) * TICK, above = (MIDDLE + away) * TICK;
        struct msg m = limit_order(w, side, side == SIDE_BUY ? below : above);
        if (i % 2 == 1) {
            m.order_work.type = ORDER_TYPE_STOP_LOSS;
            m.order_work.stop_price.v = side == SIDE_BUY ? above : below;
            m.order_work.price.v = side == SIDE_BUY ? 2 * above : 1;
            m.order_work.trigger_source = i % 8 < 4 ? TRIGGER_SOURCE_LAST : TRIGGER_SOURCE_BID_ASK;
            if (i % 16 == 1) {
                m.order_work.stop_price.v = 0;
                m.order_work.trailing_delta = 500 + i % 64;
            }
        }
        (void)feed(w, false, &m);
    }
    CHECK(match_book(w->match, w->symbol)->orders == orders / 2);
    CHECK(w->match->triggers.armed == orders / 2);
}

/* Levels near the touch change, come and go. */
static void
tick_depth(struct world *w, uint64_t i)
{
    int64_t far = (int64_t)(i * 2654435761u % 900);
    int64_t gone = i % 3 == 0 ? 0 : DECIMAL_ONE;
    const struct level bids[2] = {{{(MIDDLE - 1 - far % 20) * TICK}, {gone}},
                                  {{(MIDDLE - 1 - far) * TICK}, {DECIMAL_ONE + far}}};
    const struct level asks[2] = {{{(MIDDLE + 1 + far % 20) * TICK}, {gone}},
                                  {{(MIDDLE + 1 + far) * TICK}, {DECIMAL_ONE + far}}};
    struct msg m = {.type = MSG_md_depth};
    m.md_depth = (struct md_depth){.symbol = w->symbol,
                                   .sequence = ++w->sequence,
                                   .bids = bids,
                                   .bids_count = 2,
                                   .asks = asks,
                                   .asks_count = 2,
                                   .time_us = (int64_t)i};
    (void)feed(w, true, &m);
}

static struct msg
trade(struct world *w, int64_t price, int64_t quantity, int64_t time_us)
{
    struct msg m = {.type = MSG_md_trade};
    m.md_trade.symbol = w->symbol;
    m.md_trade.sequence = ++w->sequence;
    m.md_trade.trade.price.v = price;
    m.md_trade.trade.quantity.v = quantity;
    m.md_trade.trade.time_us = time_us;
    return m;
}

/* ns per tick. */
static double
run_ticks(struct world *w, uint32_t orders)
{
    world_open(w, orders);
    show_book(w);
    take_orders(w, orders);
    int64_t start = now_ns();
    for (uint64_t i = 0; i < TICKS; i++) {
        w->now_us++;
        if (i % 2 == 0) {
            tick_depth(w, i);
        } else {
            int64_t price = MIDDLE + (int64_t)(i * 2654435761u % 100) - 50;
            struct msg m = trade(w, price * TICK, DECIMAL_ONE, (int64_t)i);
            (void)feed(w, true, &m);
        }
    }
    int64_t took = now_ns() - start;
    CHECK(match_book(w->match, w->symbol)->orders == orders / 2 && match_check(w->match) == NULL);
    CHECK(w->match->triggers.armed == orders / 2);
    world_close(w);
    return (double)took / TICKS;
}

/* ---- A day ---------------------------------------------------------------------------------- */

/* A new order at random, not in reach of the last price; gives how many are complete by it. */
static uint32_t
place(struct world *w, int64_t last)
{
    w->dice ^= w->dice << 13;
    w->dice ^= w->dice >> 7;
    w->dice ^= w->dice << 17;
    enum side side = w->dice % 2 == 0 ? SIDE_BUY : SIDE_SELL;
    int64_t away = (1 + (int64_t)((w->dice >> 20) % DAY_WIDTH)) * TICK;
    struct msg m = limit_order(w, side, side == SIDE_BUY ? last - away : last + away);
    m.order_work.quantity.v = DECIMAL_ONE / 100;
    m.order_work.fill_model = FILL_MODEL_touch;
    return feed(w, false, &m);
}

/* Trades a second; new orders for complete ones are part of it. */
static double
run_day(struct world *w, const struct day *d, uint64_t *fills)
{
    world_open(w, DAY_ORDERS);
    struct msg m = {.type = MSG_md_book};
    m.md_book = (struct md_book){.symbol = w->symbol,
                                 .sequence = ++w->sequence,
                                 .source = LIQUIDITY_TRADE,
                                 .last_price = {d->trades[0].price}};
    (void)feed(w, true, &m);
    for (int i = 0; i < DAY_ORDERS; i++)
        (void)place(w, d->trades[0].price);
    uint64_t trades = 0;
    int64_t start = now_ns();
    for (; trades < DAY_TRADES; trades++) {
        const struct day_trade *t = &d->trades[trades % d->count];
        w->now_us++;
        struct msg print = trade(w, t->price, t->quantity, t->time_us);
        for (uint32_t complete = feed(w, true, &print); complete > 0; complete--)
            complete += place(w, t->price);
    }
    int64_t took = now_ns() - start;
    CHECK(match_book(w->match, w->symbol)->orders == DAY_ORDERS && match_check(w->match) == NULL);
    *fills = w->match->counts.fills;
    world_close(w);
    return (double)trades * 1e9 / (double)took;
}

/* ---- All of it ------------------------------------------------------------------------------ */

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double
median(double *values, long count)
{
    qsort(values, (size_t)count, sizeof(*values), compare);
    return values[count / 2];
}

int
main(int argc, char **argv)
{
    static struct world w;
    static double ns[DEPTHS][RUNS_MAX], rate[RUNS_MAX];
    char *end = NULL;
    long runs = argc > 1 ? strtol(argv[1], &end, 10) : 5;
    if (runs < 1 || runs > RUNS_MAX || (end != NULL && *end != '\0')) {
        fprintf(stderr, "RUNS is 1 to %d\n", RUNS_MAX);
        return 2;
    }
    struct day day;
    uint64_t fills = 0;
    day_open(&day);
    for (long i = 0; i < runs; i++) {
        for (size_t k = 0; k < DEPTHS; k++)
            ns[k][i] = run_ticks(&w, depths[k]);
        rate[i] = run_day(&w, &day, &fills);
    }
    double few = median(ns[0], runs), some = median(ns[1], runs), many = median(ns[2], runs);
    printf("{\"name\":\"tick\",\"ratio\":%.4f,\"aim\":0.5,\"unit\":\"time per tick with 1,000 "
           "orders resting and armed over that with 1,000,000\",\"raw\":{\"ns_1k\":%.1f,"
           "\"ns_100k\":%.1f,\"ns_1m\":%.1f,\"day_trades_per_s\":%.0f,\"day_fills\":%llu,"
           "\"day_is_recorded\":%s}}\n",
           few / many, few, some, many, median(rate, runs), (unsigned long long)fills,
           day.is_recorded ? "true" : "false");
    day_close(&day);
    return 0;
}
