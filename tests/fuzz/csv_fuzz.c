/*
 * csv_fuzz.c - Binance's public files: the first line makes a layout, the others are rows of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "fuzz.h"
#include "marketdata/core/csv.h"

#define TICK 1000000 /* 0.01 */

static void
row(struct csv_layout *l, const char *line, size_t length)
{
    struct md_event events[CSV_EVENTS_MAX];
    uint32_t count = 0;
    if (csv_row(l, line, length, (price_t){TICK}, events, &count) != OK)
        return;
    CHECK(count <= CSV_EVENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct md_event *e = &events[i];
        CHECK(e->kind == MD_EVENT_TRADE || e->kind == MD_EVENT_QUOTE || e->kind == MD_EVENT_NONE);
        CHECK(e->kind != MD_EVENT_TRADE || e->trade.price.v > 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    struct csv_layout layout;
    bool have_layout = false, is_header;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop != NULL ? stop : end) - at);
        if (have_layout)
            row(&layout, at, length);
        else if (csv_layout_read(at, length, &layout, &is_header) != OK)
            return 0;
        else if (!is_header)
            row(&layout, at, length);
        have_layout = true;
        at += length + 1;
    }
    return 0;
}
