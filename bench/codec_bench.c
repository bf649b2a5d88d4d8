/*
 * codec_bench.c - what one message costs: packed, unpacked, printed, as JSON.
 *
 * Medians of RUNS runs of the messages on an order's way. Buffers are reused, as in the services.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "wire/json.h"

#define RUNS  7
#define TIMES 100000

static const char *const lines[] = {
    "order_place account_id=7 client_order_id=strategy-000001 symbol=BTCUSDT side=BUY type=LIMIT "
    "time_in_force=GTC quantity=0.5 price=61234.56 base_asset=BTC quote_asset=USDT "
    "reference_price=61250 maker_fee_rate=0.001 taker_fee_rate=0.001 hold=30617.28",
    "order_work order_id=140737488355329 account_id=7 symbol=BTCUSDT side=BUY type=LIMIT "
    "time_in_force=GTC price=61234.56 quantity=0.5 time_us=1795250000000000",
    "order_report order_id=140737488355329 fills=[{price=61234.56 quantity=0.5 "
    "evidence={source=DEPTH sequence=123456 price=61234.56 quantity=1.25 "
    "time_us=1795250000000000}}] end=COMPLETE",
    "order_view order={order_id=140737488355329 client_order_id=strategy-000001 account_id=7 "
    "symbol=BTCUSDT side=BUY type=LIMIT time_in_force=GTC status=FILLED end_reason=COMPLETE "
    "price=61234.56 quantity=0.5 executed_quantity=0.5 executed_quote_quantity=30617.28 "
    "created_us=1795250000000000 updated_us=1795250000000000 mode=PAPER} "
    "fills=[{trade_id=140737488355330 order_id=140737488355329 symbol=BTCUSDT side=BUY "
    "price=61234.56 quantity=0.5 quote_quantity=30617.28 fee=0.0005 fee_asset=BTC "
    "time_us=1795250000000000 evidence={source=DEPTH sequence=123456 price=61234.56 "
    "quantity=1.25 time_us=1795250000000000}}]",
    "md_quote symbol=BTCUSDT sequence=123456 update_id=987654321 bid=61234.55 bid_quantity=1.25 "
    "ask=61234.56 ask_quantity=0.75 time_us=1795250000000000",
};

static const char body[] = "{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\","
                           "\"quantity\":0.5,\"price\":\"61234.56\"}";

static _Alignas(16) uint8_t kept_bytes[1 << 16], list_bytes[1 << 16];
static struct arena lists;
static struct msg message, read_back;
static struct bytes packed, json;
static char line[4096];
static volatile int64_t sink; /* keeps the compiler from dropping the work */

static void
pack(void)
{
    bytes_clear(&packed);
    msg_pack(&packed, &message);
}

static void
unpack(void)
{
    size_t at = 0;
    arena_reset(&lists);
    sink = msg_unpack(packed.data, packed.length, &at, &lists, &read_back);
}

static void
print(void)
{
    sink = (int64_t)msg_print(&message, line, sizeof(line));
}

static void
write_json(void)
{
    bytes_clear(&json);
    json_write_body(&json, msg_layout(message.type), msg_body(&message));
}

static void
read_json(void)
{
    code_t field;
    struct order_place order = {.account_id = 1};
    sink =
        json_read_body(body, sizeof(body) - 1, msg_layout(MSG_order_place), &order, NULL, &field);
}

static int
by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Median nanoseconds of one call. */
static int64_t
measure(void (*work)(void))
{
    int64_t ns[RUNS];
    for (int run = 0; run < RUNS; run++) {
        int64_t start = now_ns();
        for (int i = 0; i < TIMES; i++)
            work();
        ns[run] = (now_ns() - start) / TIMES;
    }
    qsort(ns, RUNS, sizeof(ns[0]), by_size);
    return ns[RUNS / 2];
}

int
main(void)
{
    arena_init(&lists, list_bytes, sizeof(list_bytes));
    printf("%-14s %6s %9s %9s %9s %9s\n", "message", "bytes", "pack ns", "unpack ns", "print ns",
           "JSON ns");
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct arena kept;
        code_t field;
        arena_init(&kept, kept_bytes, sizeof(kept_bytes));
        enum err e = msg_read_text(lines[i], &kept, &message, &field);
        CHECK(e == OK);
        pack();
        printf("%-14s %6zu %9lld %9lld %9lld %9lld\n", msg_layout(message.type)->name,
               packed.length, (long long)measure(pack), (long long)measure(unpack),
               (long long)measure(print), (long long)measure(write_json));
    }
    printf("order body read from JSON (%zu bytes): %lld ns\n", sizeof(body) - 1,
           (long long)measure(read_json));
    bytes_free(&packed);
    bytes_free(&json);
    return 0;
}
