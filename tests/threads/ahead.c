/*
 * ahead.c - a recording read ahead gives what it gives without; a part of the program threads.
 *
 * Both are taken through the same seeks, asked how they stand in between, and once let go in the
 * middle.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ahead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "marketdata/shell/ahead.h"

#define LINES    6000
#define START_US INT64_C(1795280400000000)

struct reading {
    const struct source_ops *ops;
    void *source;
    struct source_counts counts;
};

static char path[64];

static void
recording_make(void)
{
    snprintf(path, sizeof path, "/tmp/scrip_ahead_XXXXXX");
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    FILE *f = fdopen(fd, "w");
    CHECK(f != NULL);
    for (int i = 1; i <= LINES; i++) {
        long long at_us = START_US + i * 1000;
        if (i % 97 == 0)
            fprintf(f, "%lld000 {\"broken\n", at_us);
        else if (i % 3 == 0)
            fprintf(f,
                    "%lld000 {\"e\":\"depthUpdate\",\"E\":%lld,\"s\":\"BTCUSDT\",\"U\":%d,\"u\":%d,"
                    "\"b\":[[\"100\",\"%d\"],[\"99\",\"%d\"]],\"a\":[[\"101\",\"%d\"]]}\n",
                    at_us, at_us / 1000, i, i, i, i + 1, i + 2);
        else
            fprintf(f,
                    "%lld000 {\"e\":\"trade\",\"E\":%lld,\"s\":\"BTCUSDT\",\"t\":%d,\"p\":\"100\","
                    "\"q\":\"1\",\"T\":%lld,\"m\":true}\n",
                    at_us, at_us / 1000, i, at_us / 1000);
    }
    CHECK(fclose(f) == 0);
}

static void
on_ready(void *arg)
{
    loop_stop(arg);
}

static void
reading_open(struct reading *r, const struct source_ops *ops, struct loop *loop)
{
    static struct spec specs[SPEC_SOURCES_MAX];
    static const struct symbol_rules rules[1] = {{.symbol = {"BTCUSDT"}}};
    char line[128], why[SOURCE_WHY_BYTES] = "";
    uint32_t count;
    snprintf(line, sizeof line, "playback:%s:speed=max:clock=kept", path);
    CHECK(spec_read(line, specs, &count, why) == OK);
    struct source_env env = {.loop = loop,
                             .rules = rules,
                             .rules_count = 1,
                             .counts = &r->counts,
                             .arg = loop,
                             .on_ready = on_ready};
    r->ops = ops;
    CHECK(ops->open(specs, &env, &r->source, why) == OK);
}

/* The next event, waited for; false at the end. */
static bool
reading_next(struct reading *r, struct loop *loop, struct md_event *out)
{
    for (;;) {
        switch (r->ops->next(r->source, out)) {
        case SOURCE_EVENT:
        case SOURCE_STATE:
            return true;
        case SOURCE_END:
            return false;
        case SOURCE_WAIT:
            loop_run(loop);
            break;
        case SOURCE_MORE:
            break;
        }
    }
}

static bool
levels_same(const struct level *a, uint32_t a_count, const struct level *b, uint32_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof *a) == 0);
}

/* At most `most` events of both; gives how many there were. */
static int
compare(struct reading *ahead, struct reading *plain, struct loop *loop, int most)
{
    struct md_event a, b;
    int count = 0;
    for (; count < most; count++) {
        bool has_a = reading_next(ahead, loop, &a), has_b = reading_next(plain, loop, &b);
        CHECK(has_a == has_b);
        if (!has_a)
            break;
        CHECK(a.kind == b.kind && a.at_us == b.at_us && a.last_id == b.last_id);
        CHECK(a.trade.trade_id == b.trade.trade_id);
        CHECK(levels_same(a.bids, a.bid_count, b.bids, b.bid_count));
        CHECK(levels_same(a.asks, a.ask_count, b.asks, b.ask_count));
    }
    return count;
}

static void
seek(struct reading *r, int64_t to_us)
{
    char why[SOURCE_WHY_BYTES];
    CHECK(r->ops->seek(r->source, to_us, why) == OK);
}

void
what_is_read_ahead_is_the_same(struct loop *loop)
{
    struct reading ahead = {0}, plain = {0};
    recording_make();
    reading_open(&ahead, &source_ahead, loop);
    reading_open(&plain, &source_playback, loop);
    CHECK(compare(&ahead, &plain, loop, LINES) == LINES - LINES / 97);
    CHECK(ahead.counts.skipped == plain.counts.skipped && plain.counts.skipped == LINES / 97);
    for (int i = 0; i < 40; i++) {
        struct source_view a = {0}, b = {0};
        int64_t to_us = START_US + i * 7919 % LINES * 1000;
        seek(&ahead, to_us);
        seek(&plain, to_us);
        CHECK(compare(&ahead, &plain, loop, 10 + i * 13) > 0);
        ahead.ops->view(ahead.source, &a);
        plain.ops->view(plain.source, &b);
        CHECK(a.begin_us == b.begin_us && a.end_us == b.end_us);
    }
    ahead.ops->close(&ahead.source);
    plain.ops->close(&plain.source);
    for (int i = 0; i < 20; i++) {
        reading_open(&ahead, &source_ahead, loop);
        ahead.ops->close(&ahead.source);
    }
    unlink(path);
}
