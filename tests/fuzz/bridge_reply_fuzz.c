/*
 * bridge_reply_fuzz.c - what a stranger who says to be the exchange answers: every reader of the
 * bridge, of both markets, and what it may say of a text.
 *
 * Each text is read from memory of its own length, so that a read past its end is seen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "exchange-bridge/core/reply.h"
#include "exchange-bridge/core/verdict.h"
#include "fuzz.h"

#define ROOMS      8u
#define AMOUNT_MAX (INT64_MAX / 4)

static void
order_check(const struct reply_order *o)
{
    CHECK(o->exchange_order_id != 0 && !code_empty(o->symbol));
    CHECK(o->fills_count <= REPLY_FILLS_MAX);
    CHECK(o->executed.v >= 0 && o->executed.v <= AMOUNT_MAX && o->quantity.v <= AMOUNT_MAX);
    CHECK(o->price.v >= 0 && o->time_us >= 0);
    for (uint32_t i = 0; i < o->fills_count; i++) {
        const struct exchange_fill *f = &o->fills[i];
        CHECK(f->trade_id != 0 && f->price.v > 0 && f->quantity.v > 0 && f->quote_quantity.v >= 0);
        CHECK(f->executed_after.v >= f->quantity.v && f->executed_after.v <= o->executed.v);
    }
}

static void
account_check(const struct reply_account *a)
{
    CHECK(a->balances_count <= a->balances_max && a->positions_count <= a->positions_max);
    for (uint32_t i = 0; i < a->balances_count; i++)
        CHECK(!code_empty(a->balances[i].asset) && a->balances[i].free.v <= AMOUNT_MAX);
    for (uint32_t i = 0; i < a->positions_count; i++)
        CHECK(!code_empty(a->positions[i].symbol) && a->positions[i].quantity.v <= AMOUNT_MAX);
}

static void
market_read(enum trading_type market, const char *text, size_t length)
{
    static struct reply_order order;
    static struct stream_event event;
    struct exchange_balance balances[ROOMS];
    struct exchange_position positions[ROOMS];
    struct exchange_fill fills[ROOMS];
    struct reply_account account = {.balances = balances,
                                    .positions = positions,
                                    .balances_max = ROOMS,
                                    .positions_max = ROOMS};
    uint32_t count, there;
    if (reply_order(text, length, &order))
        order_check(&order);
    if (reply_trades(market, text, length, 7, fills, ROOMS, &count, &there)) {
        CHECK(count == (there < ROOMS ? there : ROOMS));
        for (uint32_t i = 0; i < count; i++)
            CHECK(fills[i].executed_after.v >= fills[i].quantity.v && fills[i].quantity.v > 0);
    }
    if (reply_account(market, text, length, &account))
        account_check(&account);
    event.account = account;
    if (reply_stream_event(market, text, length, &event)) {
        if (event.kind == STREAM_EVENT_ORDER)
            order_check(&event.order);
        account_check(&event.account);
        CHECK(memchr(event.message, 0, sizeof(event.message)) != NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size > 0 ? size : 1), message[128], key[REPLY_LISTEN_KEY_BYTES];
    struct answer a = {.status = 400, .was_sent = true, .has_body = true};
    struct reply_limits limits;
    struct bracket brackets[ROOMS];
    int64_t time_us;
    uint32_t count;
    CHECK(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    if (reply_error(text, size, &a.code, message)) {
        CHECK(a.code < 0 && strlen(message) < sizeof(message));
        a.message = message;
        CHECK(verdict_of(CALL_SPOT_ORDER_PLACE, &a).verdict != VERDICT_OK);
        CHECK(verdict_of(CALL_USDM_ORDER_PLACE, &a).verdict != VERDICT_OK);
    }
    if (reply_server_time(text, size, &time_us))
        CHECK(time_us > 0);
    if (reply_listen_key(text, size, key))
        CHECK(key[0] != '\0' && strlen(key) < sizeof(key));
    if (reply_limits(text, size, &limits))
        CHECK(text[size - 1] == '}' || (unsigned char)text[size - 1] <= ' ');
    struct reply_rights rights;
    if (reply_rights(text, size, &rights))
        CHECK(memmem(text, size, "enableWithdrawals", 17) != NULL);
    struct reply_open open[ROOMS];
    if (reply_open_orders(text, size, open, ROOMS, &count))
        CHECK(count <= ROOMS);
    if (reply_brackets(text, size, brackets, ROOMS, &count))
        for (uint32_t i = 0; i < count; i++)
            CHECK(brackets[i].leverage > 0 &&
                  brackets[i].notional_floor.v <= brackets[i].notional_cap.v);
    market_read(TRADING_TYPE_spot, text, size);
    market_read(TRADING_TYPE_futures, text, size);
    free(text);
    return 0;
}
