/*
 * binance_list_fuzz.c - REST answers from strangers: what is read is sound, and ends.
 *
 * The first byte says what the list is to hold. The rest is read from memory of its own length, so
 * that a read past its end is seen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "marketdata/core/binance.h"
#include "marketdata/core/binance_list.h"
#include "marketdata/core/candle.h"

static void
item_is_sound(const struct md_event *e)
{
    CHECK(e->time_us > 0);
    if (e->kind == MD_EVENT_KLINE) {
        CHECK(candle_is_valid(&e->kline) && e->time_us >= e->kline.open_time_us);
        return;
    }
    CHECK(e->kind == MD_EVENT_TRADE && e->trade.trade_id > 0);
    CHECK(e->trade.price.v > 0 && e->trade.quantity.v > 0 && e->last_trade >= e->first_trade);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = malloc(size);
    CHECK(text != NULL);
    memcpy(text, data + 1, size - 1);
    struct binance_list l;
    struct md_event e;
    uint32_t items = 0;
    binance_list_begin(&l, (enum binance_items)(data[0] % 3), INTERVAL_1m, text, size - 1);
    while (binance_list_next(&l, &e)) {
        item_is_sound(&e);
        CHECK(++items <= size);
    }
    CHECK(!binance_list_has_more(&l) && !binance_list_next(&l, &e));
    struct binance_control control;
    if (binance_control_read(text, size - 1, &control))
        CHECK(!control.is_refused || control.is_answer);
    free(text);
    return 0;
}
