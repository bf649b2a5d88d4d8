/*
 * md_csv_test.c - klines of archive files and of REST as candles, with all their sums.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <string.h>

#include "marketdata/core/csv.h"

#define MONDAY INT64_C(1722816000000000) /* 2024-08-05T00:00:00Z */

static struct candle candle;
static int64_t end_us;

static enum err
read_behind(const char *first, const char *line)
{
    struct csv_layout layout;
    bool is_header;
    if (csv_layout_read(first, strlen(first), &layout, &is_header) != OK)
        return ERR_FILE_UNREADABLE;
    return csv_candle(&layout, line, strlen(line), &candle, &end_us);
}

static enum err
read_line(const char *line)
{
    return read_behind(line, line);
}

static void
is_whole(int64_t open_us)
{
    cr_assert_eq(candle.open_time_us, open_us);
    cr_assert_eq(end_us, open_us + 60000000);
    cr_assert_eq(candle.open.v, 10000000000);
    cr_assert_eq(candle.high.v, 10200000000);
    cr_assert_eq(candle.low.v, 9900000000);
    cr_assert_eq(candle.close.v, 10100000000);
    cr_assert_eq(candle.volume.v, 150000000);
    cr_assert_eq(candle.quote_volume.v, 15000000000);
    cr_assert_eq(candle.trades, 7);
    cr_assert_eq(candle.taker_buy_volume.v, 50000000);
    cr_assert_eq(candle.taker_buy_quote_volume.v, 5000000000);
    cr_assert(candle.is_closed);
}

Test(csv, klines_have_all_their_sums_in_files_of_every_year)
{
    cr_assert_eq(read_line("1722816000000,100,102,99,101,1.5,1722816059999,150,7,0.5,50,0"), OK);
    is_whole(MONDAY);
    cr_assert_eq(read_line("1722816000000000,100,102,99,101,1.5,1722816059999999,150,7,0.5,50,0"),
                 OK);
    is_whole(MONDAY);
    cr_assert_eq(read_behind("open_time,open,high,low,close,volume,close_time,quote_volume,count,"
                             "taker_buy_volume,taker_buy_quote_volume,ignore",
                             "1722816000000,100,102,99,101,1.5,1722816059999,150,7,0.5,50,0\r"),
                 OK);
    is_whole(MONDAY);
}

Test(csv, rest_gives_the_same)
{
    static const char row[] = "1722816000000,\"100.0\",\"102.0\",\"99.0\",\"101.0\",\"1.5\","
                              "1722816059999,\"150.0\",7,\"0.5\",\"50.0\",\"0\"";
    cr_assert_eq(csv_rest_candle(row, strlen(row), &candle, &end_us), OK);
    is_whole(MONDAY);
    cr_assert_neq(csv_rest_candle(row, strlen(row) - 5, &candle, &end_us), OK, "11 values");
    cr_assert_neq(csv_rest_candle("", 0, &candle, &end_us), OK);
}

Test(csv, what_a_file_does_not_tell_is_not_made_up)
{
    cr_assert_eq(read_line("1722816000000,100,102,99,101,1.5"), OK);
    cr_assert(end_us == 0 && candle.trades == 1 && candle.quote_volume.v == 0);
    cr_assert_eq(read_line("1722816000000,100,100,100,100,0.0"), OK);
    cr_assert_eq(candle.trades, 0, "nothing was traded");
}

Test(csv, sums_of_a_cheap_asset_stop_at_the_largest_number)
{
    cr_assert_eq(read_line("1722816000000,0.00001,0.00001,0.00001,0.00001,1234567890123.00,"
                           "1722816059999,12345678.9,7,0.5,50,0"),
                 OK);
    cr_assert_eq(candle.volume.v, INT64_MAX);
    cr_assert_eq(candle.quote_volume.v, 1234567890000000);
}

Test(csv, what_makes_no_sense_is_refused)
{
    static const char *const BAD[] = {
        "1722816000000,100,102,99,103,1.5,1722816059999,150,7,0.5,50,0", /* above the high */
        "1722816000000,100,102,101,101,1.5,1722816059999,150,7,0.5,50,0",
        "1722816000000,0,102,0,101,1.5,1722816059999,150,7,0.5,50,0",
        "1722816000000,100,102,99,101,-1.5,1722816059999,150,7,0.5,50,0",
        "1722816000000,100,102,99,101,1.5,1722815999999,150,7,0.5,50,0", /* ends before */
        "1722816000000,100,102,99,101,1.5,1722816059999,150,7.5,0.5,50,0",
        "1722816000000,100,102,99,101,12345678901234567890x,1722816059999,150,7,0.5,50,0",
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        cr_assert_eq(read_line(BAD[i]), ERR_LINE_INVALID, "%s", BAD[i]);
}

Test(csv, an_aggregated_trade_tells_for_which_it_stands)
{
    struct csv_layout layout;
    struct md_event events[CSV_EVENTS_MAX];
    uint32_t count;
    bool is_header;
    static const char line[] = "901,61838.00,1.5,10,12,1723161256001,True,True";
    static const char old[] = "902,61838.00,1.5,-1,-1,1723161256001,True,True";
    cr_assert_eq(csv_layout_read(line, strlen(line), &layout, &is_header), OK);
    cr_assert_eq(csv_row(&layout, line, strlen(line), (price_t){1}, events, &count), OK);
    cr_assert(events[0].first_trade == 10 && events[0].last_trade == 12);
    cr_assert_eq(csv_row(&layout, old, strlen(old), (price_t){1}, events, &count), OK);
    cr_assert(events[0].first_trade == 0 && events[0].last_trade == 0);
}
