/*
 * tick.c - what a market tick costs with a thousand and with a million orders resting.
 *
 *   tick [RUNS]
 *
 * The orders rest away from the touch, spread over many prices on both sides; each tick changes
 * two levels a side of the market's book near the touch, fires nothing, and goes through the whole
 * core. The ratio is the time with a thousand over the time with a million. Prints one JSON
 * object.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "clock.h"
#include "matcher/core/match.h"

#define TICKS    1000000
#define TICK     INT64_C(1000000) /* 0.01 */
#define MIDDLE   INT64_C(5000000) /* 50,000.00 */
#define AWAY     INT64_C(100000)  /* 1,000.00 between the touch and the nearest order */
#define LEVELS   50000            /* prices a side that the orders are spread over */
#define RUNS_MAX 50

struct world {
    void *memory;
    size_t size;
    struct match *match;
    struct outbox out;
    struct out outs[16];
    uint8_t lists[MATCH_OUT_BYTES] __attribute__((aligned(16)));
    uint64_t sequence;
};

static void
feed(struct world *w, const struct frame *frame, const struct msg *m)
{
    match_apply(w->match, frame != NULL, frame, m, 1, &w->out);
    CHECK(!match_busy(w->match));
    outbox_clear(&w->out);
}

static void
rest_orders(struct world *w, uint32_t orders, code_t symbol)
{
    const struct frame frame = {
        .sender = code_of("ledger-0"), .epoch = 1, .session = 1, .sequence = 1};
    struct msg m = {.type = MSG_link_hello};
    feed(w, &frame, &m);
    m.type = MSG_link_synced;
    feed(w, &frame, &m);
    for (uint32_t i = 0; i < orders; i++) {
        enum side side = i % 2 == 0 ? SIDE_BUY : SIDE_SELL;
        int64_t away = AWAY + (int64_t)((uint64_t)i * 2654435761u % LEVELS);
        m = (struct msg){.type = MSG_order_work};
        m.order_work = (struct order_work){
            .order_id = i + 1,
            .account_id = 1,
            .symbol = symbol,
            .side = side,
            .type = ORDER_TYPE_LIMIT,
            .time_in_force = TIME_IN_FORCE_GTC,
            .price = {(side == SIDE_BUY ? MIDDLE - away : MIDDLE + away) * TICK},
            .quantity = {DECIMAL_ONE},
        };
        feed(w, &frame, &m);
    }
    CHECK(match_book(w->match, symbol)->orders == orders);
}

static void
show_book(struct world *w, code_t symbol)
{
    static struct level bids[1000], asks[1000];
    for (int i = 0; i < 1000; i++) {
        bids[i] = (struct level){{(MIDDLE - 1 - i) * TICK}, {DECIMAL_ONE}};
        asks[i] = (struct level){{(MIDDLE + 1 + i) * TICK}, {DECIMAL_ONE}};
    }
    struct msg m = {.type = MSG_md_book};
    m.md_book = (struct md_book){.symbol = symbol,
                                 .sequence = ++w->sequence,
                                 .bids = bids,
                                 .bids_count = 1000,
                                 .asks = asks,
                                 .asks_count = 1000,
                                 .source = LIQUIDITY_DEPTH};
    feed(w, NULL, &m);
}

/* Levels near the touch change, come and go. */
static void
tick(struct world *w, code_t symbol, uint64_t i)
{
    int64_t far = (int64_t)(i * 2654435761u % 900);
    int64_t gone = i % 3 == 0 ? 0 : DECIMAL_ONE;
    const struct level bids[2] = {{{(MIDDLE - 1 - far % 20) * TICK}, {gone}},
                                  {{(MIDDLE - 1 - far) * TICK}, {DECIMAL_ONE + far}}};
    const struct level asks[2] = {{{(MIDDLE + 1 + far % 20) * TICK}, {gone}},
                                  {{(MIDDLE + 1 + far) * TICK}, {DECIMAL_ONE + far}}};
    struct msg m = {.type = MSG_md_depth};
    m.md_depth = (struct md_depth){.symbol = symbol,
                                   .sequence = ++w->sequence,
                                   .bids = bids,
                                   .bids_count = 2,
                                   .asks = asks,
                                   .asks_count = 2,
                                   .time_us = (int64_t)i};
    feed(w, NULL, &m);
}

static double
run(uint32_t orders)
{
    static struct world w;
    const struct match_limits limits = {
        .books = {.orders_max = orders + 1,
                  .levels_max = 2 * LEVELS + 16,
                  .house_levels_max = 10000,
                  .books_max = 16},
        .ledgers_max = 4,
        .silence_us = INT64_MAX,
        .ask_again_us = 1000000,
    };
    const code_t symbol = code_of("BTCUSDT");
    w.size = match_bytes(&limits);
    w.memory = mmap(NULL, w.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(w.memory != MAP_FAILED);
    w.match = match_init(&limits, w.memory);
    w.sequence = 0;
    outbox_init(&w.out, w.outs, 16, w.lists, sizeof(w.lists));
    rest_orders(&w, orders, symbol);
    show_book(&w, symbol);
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < TICKS; i++)
        tick(&w, symbol, i);
    uint64_t took = now_ns() - start;
    CHECK(match_book(w.match, symbol)->orders == orders && match_check(w.match) == NULL);
    munmap(w.memory, w.size);
    return (double)took / TICKS;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
    char *end = NULL;
    long runs = argc > 1 ? strtol(argv[1], &end, 10) : 5;
    if (runs < 1 || runs > RUNS_MAX || (end != NULL && *end != '\0')) {
        fprintf(stderr, "RUNS is 1 to %d\n", RUNS_MAX);
        return 2;
    }
    double few[RUNS_MAX], many[RUNS_MAX];
    for (long i = 0; i < runs; i++) {
        few[i] = run(1000);
        many[i] = run(1000000);
    }
    qsort(few, (size_t)runs, sizeof(few[0]), compare);
    qsort(many, (size_t)runs, sizeof(many[0]), compare);
    printf("{\"name\":\"tick\",\"ratio\":%.4f,\"aim\":0.5,\"unit\":\"time per tick with 1,000 "
           "orders resting over that with 1,000,000\",\"raw\":{\"ns_1k\":%.1f,\"ns_1m\":%.1f}}\n",
           few[runs / 2] / many[runs / 2], few[runs / 2], many[runs / 2]);
    return 0;
}
