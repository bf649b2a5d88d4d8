/*
 * csv_fuzz.c - CSV files from strangers: what is read can be applied, and nothing else happens.
 *
 * The input is a file: its first line gives the layout, each further line is a row. What the
 * reader gives goes through the core, which checks itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "marketdata/core/candle.h"
#include "marketdata/core/csv.h"

static void
row_is_sound(const struct md_event *rows, uint32_t count)
{
    CHECK(count <= CSV_EVENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct md_event *e = &rows[i];
        CHECK(e->kind == MD_EVENT_TRADE || e->kind == MD_EVENT_QUOTE);
        CHECK(e->at_us > 0 && e->time_us > 0);
        if (e->kind == MD_EVENT_TRADE)
            CHECK(e->trade.price.v > 0 && e->trade.quantity.v > 0);
        else
            CHECK(e->quote.bid.v > 0 && e->quote.bid.v < e->quote.ask.v &&
                  e->quote.bid_quantity.v >= 0);
    }
}

static void
candles_are_sound(const struct csv_layout *layout, const char *line, size_t length)
{
    struct candle c;
    int64_t end_us;
    if (layout != NULL && csv_candle(layout, line, length, &c, &end_us) == OK)
        CHECK(candle_is_valid(&c) && (end_us == 0 || end_us > c.open_time_us));
    if (csv_rest_candle(line, length, &c, &end_us) == OK)
        CHECK(candle_is_valid(&c) && end_us > c.open_time_us);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct csv_layout layout;
    struct md_event rows[CSV_EVENTS_MAX];
    bool has_layout = false, is_header;
    const char *at = (const char *)data, *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline == NULL ? end : newline) - at);
        /* A copy of its own, so that a read past the line is seen. */
        char *line = malloc(length + 1);
        CHECK(line != NULL);
        memcpy(line, at, length);
        uint32_t count = 0;
        if (!has_layout) {
            if (csv_layout_read(line, length, &layout, &is_header) != OK)
                at = end;
            has_layout = true;
        } else if (csv_row(&layout, line, length, (price_t){1000000}, rows, &count) == OK) {
            row_is_sound(rows, count);
        } else {
            CHECK(count == 0);
        }
        candles_are_sound(at == end || layout.kind != CSV_KLINES ? NULL : &layout, line, length);
        free(line);
        if (at == end || newline == NULL)
            break;
        at = newline + 1;
    }
    return 0;
}
