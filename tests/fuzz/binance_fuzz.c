/*
 * binance_fuzz.c - lines of recordings: refused, or an event whose parts lie where they may.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "fuzz.h"
#include "marketdata/core/binance.h"

#define LEVELS 32

static struct level levels[2 * LEVELS];

static void
levels_lie_in_the_room(const struct level *list, uint32_t count)
{
    CHECK(count <= LEVELS);
    CHECK(count == 0 || (list >= levels && list + count <= levels + 2 * LEVELS));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct binance_room room = {.levels = levels, .levels_max = LEVELS};
    const char *at = (const char *)data, *end = at + size;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop != NULL ? stop : end) - at);
        struct md_event e;
        if (binance_line(at, length, &room, &e) == OK) {
            CHECK((unsigned)e.kind < MD_EVENT_KINDS);
            CHECK(strnlen(e.symbol.text, CODE_BYTES) < CODE_BYTES);
            CHECK(e.kind != MD_EVENT_TRADE || (e.trade.price.v > 0 && e.trade.quantity.v > 0));
            if (e.kind == MD_EVENT_DIFF || e.kind == MD_EVENT_BOOK) {
                levels_lie_in_the_room(e.bids, e.bid_count);
                levels_lie_in_the_room(e.asks, e.ask_count);
            }
        }
        at += length + 1;
    }
    return 0;
}
