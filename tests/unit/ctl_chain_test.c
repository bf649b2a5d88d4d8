/*
 * ctl_chain_test.c - recordings that are held against themselves: what is missing, doubled, out of
 * order, and what the recording tells of by itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "scripctl/market_chain.h"

#define LINE_BYTES 256

static struct chains *chains;
static int64_t now_ms;

static void
begin(void)
{
    chains = chains_new();
    chains_file(chains, TRADING_TYPE_spot);
    now_ms = INT64_C(1795280400000);
}

static void
end(void)
{
    chains_free(&chains);
}

TestSuite(chain, .init = begin, .fini = end);

static void
line(const char *json)
{
    char text[LINE_BYTES + 32];
    int n = snprintf(text, sizeof(text), "%lld000000 %s", (long long)now_ms++, json);
    chains_line(chains, text, (size_t)n);
}

static void
trade(int id, const char *kind)
{
    char json[LINE_BYTES];
    snprintf(json, sizeof(json),
             "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1795280400000,\"s\":"
             "\"BTCUSDT\",\"t\":%d,\"p\":\"1\",\"q\":\"1\",\"T\":1795280400000,\"X\":\"%s\",\"m\":"
             "true}}",
             id, kind);
    line(json);
}

static void
diff(int first, int last)
{
    char json[LINE_BYTES];
    snprintf(json, sizeof(json),
             "{\"stream\":\"btcusdt@depth\",\"data\":{\"e\":\"depthUpdate\",\"E\":1795280400000,"
             "\"s\":\"BTCUSDT\",\"U\":%d,\"u\":%d,\"b\":[],\"a\":[]}}",
             first, last);
    line(json);
}

static void
mark(const char *what, int first, int last)
{
    char json[LINE_BYTES];
    snprintf(json, sizeof(json),
             "{\"stream\":\"btcusdt@scrip\",\"data\":{\"mark\":\"%s\",\"first\":%d,\"last\":%d}}",
             what, first, last);
    line(json);
}

Test(chain, trades_that_are_missing_or_doubled_are_counted)
{
    trade(10, "MARKET");
    trade(11, "MARKET");
    trade(11, "MARKET");
    trade(15, "MARKET");
    const struct chain *s = &chains->list[0];
    cr_assert(s->trades == 4 && s->doubled == 1 && s->missing == 3 && s->marked_missing == 0);
    trade(16, "INSURANCE_FUND"); /* nobody could have traded it, but it has a number */
    trade(17, "MARKET");
    cr_assert(s->missing == 3);
}

Test(chain, what_the_recording_tells_of_is_counted_apart)
{
    trade(10, "MARKET");
    mark("gap", 11, 20);
    mark("lost", 15, 20);
    for (int id = 11; id < 15; id++)
        trade(id, "MARKET");
    trade(21, "MARKET");
    const struct chain *s = &chains->list[0];
    cr_assert(s->missing == 0 && s->marked_missing == 6, "%llu", (unsigned long long)s->missing);
    trade(24, "MARKET");
    cr_assert(s->missing == 2, "the mark told of no more");
}

Test(chain, a_recorder_that_begins_anew_may_begin_anywhere)
{
    trade(10, "MARKET");
    diff(1, 2);
    line("{\"stream\":\"@scrip\",\"data\":{\"mark\":\"begin\"}}");
    trade(100, "MARKET");
    diff(50, 60);
    const struct chain *s = &chains->list[0];
    cr_assert(s->missing == 0 && s->marked_missing == 89 && s->breaks == 0);
    cr_assert(s->marked_breaks == 1 && chains->marks == 1);
    diff(70, 80);
    cr_assert(s->breaks == 1);
}

Test(chain, lines_that_are_malformed_or_late_are_counted)
{
    trade(10, "MARKET");
    now_ms -= 10;
    trade(11, "MARKET");
    line("{\"e\":");
    line("{\"stream\":\"@scrip\",\"data\":{\"mark\":\"missed\",\"lines\":7}}");
    cr_assert(chains->backwards == 1 && chains->malformed == 1 && chains->missed == 7);
    cr_assert(chains->lines == 4);
}

Test(chain, contracts_are_chains_of_their_own)
{
    trade(10, "MARKET");
    chains_file(chains, TRADING_TYPE_futures);
    trade(500, "MARKET");
    cr_assert(chains->count == 2 && chains->list[0].missing == 0);
    cr_assert_str_eq(chains->list[1].symbol.text, "BTCUSDT_PERP");
}
