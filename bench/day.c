/*
 * day.c - rows of a recording: id, price, quantity, time in milliseconds, and more.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "day.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/check.h"
#include "base/money.h"

#define MADE_UP 20000 /* trades */
#define TICK    INT64_C(1000000)

static void
add(struct day *d, struct day_trade trade)
{
    if ((d->count & (d->count - 1)) == 0) {
        d->trades = realloc(d->trades, (d->count > 0 ? 2 * d->count : 1) * sizeof(*d->trades));
        CHECK(d->trades != NULL);
    }
    d->trades[d->count++] = trade;
}

/* False for the head of the table and for what is no row. */
static bool
read_row(char *line, struct day_trade *trade)
{
    char *rest = line;
    const char *id = strsep(&rest, ","), *price = strsep(&rest, ",");
    const char *quantity = strsep(&rest, ","), *time = strsep(&rest, ",");
    if (id == NULL || price == NULL || quantity == NULL || time == NULL)
        return false;
    trade->time_us = strtoll(time, NULL, 10) * 1000;
    return decimal_read(price, strlen(price), &trade->price) == OK &&
           decimal_read(quantity, strlen(quantity), &trade->quantity) == OK && trade->price > 0 &&
           trade->quantity > 0;
}

static void
read_file(struct day *d, const char *folder)
{
    char path[4096], line[512];
    snprintf(path, sizeof(path), "%s/trades/spot_BTCUSDT_trades_20240808.csv.gz", folder);
    gzFile file = gzopen(path, "rb");
    if (file == NULL)
        return;
    struct day_trade trade;
    while (gzgets(file, line, sizeof(line)) != NULL)
        if (read_row(line, &trade))
            add(d, trade);
    gzclose(file);
    d->is_recorded = d->count > 0;
}

static void
make_up(struct day *d)
{
    uint64_t dice = 88172645463325252u;
    struct day_trade trade = {.price = 6000000 * TICK, .time_us = 1000000};
    for (int i = 0; i < MADE_UP; i++) {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        trade.price += ((int64_t)(dice % 201) - 100) * TICK;
        trade.quantity = (int64_t)(1 + (dice >> 32) % 1000) * 100000;
        trade.time_us += (int64_t)((dice >> 16) % 50000);
        add(d, trade);
    }
}

void
day_open(struct day *d)
{
    const char *folder = getenv("SCRIP_DATA");
    *d = (struct day){0};
    if (folder != NULL)
        read_file(d, folder);
    if (!d->is_recorded)
        make_up(d);
}

void
day_close(struct day *d)
{
    free(d->trades);
    d->trades = NULL;
}
