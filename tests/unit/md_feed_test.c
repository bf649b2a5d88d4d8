/*
 * md_feed_test.c - recordings as they are steered: pause, speed, seek, loop, from raw files and
 * from segments of ours.
 *
 * The market: A and B, a diff of each every 100 ms, a trade of A every second. The book of A has
 * one bid whose quantity is the number of the diff, and an ask that comes and goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "market/recording.h"
#include "market/rules.h"
#include "marketdata/core/sync.h"
#include "marketdata/shell/feed.h"

#define START_US   INT64_C(1795280400000000)
#define SECONDS    120
#define EVENTS_MAX 50000
#define LINE_BYTES 512

static char folder[64];

static void
begin(void)
{
    snprintf(folder, sizeof(folder), "/tmp/md_feed_XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
}

static void
end(void)
{
    glob_t found;
    char pattern[80];
    snprintf(pattern, sizeof(pattern), "%s/*", folder);
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
        globfree(&found);
    }
    cr_assert_eq(rmdir(folder), 0);
}

TestSuite(feed, .init = begin, .fini = end);

/* ---- The market -------------------------------------------------------------------------- */

static size_t
book_line(char *out, int64_t at_us, const char *symbol, int n)
{
    return (size_t)snprintf(out, LINE_BYTES,
                            "%lld000 {\"stream\":\"%s@snapshot\",\"data\":{\"lastUpdateId\":%d,"
                            "\"bids\":[[\"100\",\"%d\"]],\"asks\":[[\"101\",\"1\"]]}}\n",
                            (long long)at_us, symbol, n, n);
}

static size_t
diff_line(char *out, int64_t at_us, const char *symbol, int n)
{
    return (size_t)snprintf(
        out, LINE_BYTES,
        "%lld000 {\"stream\":\"x@depth\",\"data\":{\"e\":\"depthUpdate\",\"E\":%lld,"
        "\"s\":\"%s\",\"U\":%d,\"u\":%d,\"b\":[[\"100\",\"%d\"]],\"a\":[[\"102\",\"%d\"]]}}\n",
        (long long)at_us, (long long)at_us / 1000, symbol, n, n, n, n % 2);
}

static size_t
trade_line(char *out, int64_t at_us, int id)
{
    return (size_t)snprintf(
        out, LINE_BYTES,
        "%lld000 {\"stream\":\"x@trade\",\"data\":{\"e\":\"trade\",\"E\":%lld,\"s\":"
        "\"BTCUSDT\",\"t\":%d,\"p\":\"100\",\"q\":\"1\",\"T\":%lld,\"m\":true}}\n",
        (long long)at_us, (long long)at_us / 1000, id, (long long)at_us / 1000);
}

/* All lines of one second: ten diffs of each symbol, one trade. */
static size_t
second_lines(char *out, int second)
{
    size_t at = 0;
    for (int i = 0; i < 10; i++) {
        int64_t at_us = START_US + second * 1000000 + i * 100000;
        at += diff_line(out + at, at_us, "BTCUSDT", second * 10 + i + 1);
        at += diff_line(out + at, at_us + 1, "ETHUSDT", second * 10 + i + 1);
        if (i == 5)
            at += trade_line(out + at, at_us + 2, second + 1);
    }
    return at;
}

static size_t
books_lines(char *out, int second)
{
    int64_t at_us = START_US + second * 1000000;
    size_t at = book_line(out, at_us, "btcusdt", second * 10);
    return at + book_line(out + at, at_us, "ethusdt", second * 10);
}

static char text[32 * LINE_BYTES];

/* One raw file with the books at its beginning only. */
static const char *
raw_make(void)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/market.txt", folder);
    FILE *f = fopen(path, "w");
    cr_assert(f != NULL);
    for (int s = 0; s < SECONDS; s++) {
        size_t length = s == 0 ? books_lines(text, s) : 0;
        length += second_lines(text + length, s);
        cr_assert_eq(fwrite(text, 1, length, f), length);
    }
    fclose(f);
    return path;
}

static void
frame_put(struct recording_writer *w, size_t length, bool begins_books)
{
    char why[RECORDING_WHY_BYTES];
    struct recording_frame frame = {.begins_books = begins_books, .ends_books = begins_books};
    for (const char *at = text; at < text + length;) {
        const char *newline = strchr(at, '\n');
        recording_line(&frame, at, (size_t)(newline - at));
        at = newline + 1;
    }
    cr_assert(recording_put(w, text, length, &frame, why), "%s", why);
}

/* The same market in three segments, with books every ten seconds; the last one may be torn. */
static const char *
segments_make(enum trading_type market)
{
    char why[RECORDING_WHY_BYTES];
    struct recording_writer *w = NULL;
    for (int s = 0; s < SECONDS; s++) {
        if (s % 40 == 0) {
            if (w != NULL)
                cr_assert(recording_end(&w, why), "%s", why);
            w = recording_create(folder, market, START_US + s * 1000000, why);
            cr_assert(w != NULL, "%s", why);
        }
        size_t length = s % 10 == 0 ? books_lines(text, s) : 0;
        length += second_lines(text + length, s);
        text[length] = '\0';
        frame_put(w, length, s % 10 == 0);
    }
    cr_assert(recording_end(&w, why), "%s", why);
    return folder;
}

/* ---- The rig ---------------------------------------------------------------------------- */

struct seen {
    enum md_event_kind kind;
    code_t symbol;
    int64_t at_us;
    uint64_t id; /* of a trade, or the last update */
    int64_t bid_quantity;
};

struct rig {
    struct loop *loop;
    struct symbol_rules rules[64];
    struct spec specs[SPEC_SOURCES_MAX];
    struct feed *feed;
    struct seen seen[EVENTS_MAX];
    uint32_t count;
    bool (*is_done)(struct rig *g);
};

static void
on_event(void *arg, uint32_t source, const struct md_event *e)
{
    struct rig *g = arg;
    cr_assert(source == 0 && g->count < EVENTS_MAX);
    struct seen *s = &g->seen[g->count++];
    *s = (struct seen){.kind = e->kind, .symbol = e->symbol, .at_us = e->at_us};
    s->id = e->kind == MD_EVENT_TRADE ? e->trade.trade_id : e->last_id;
    s->bid_quantity = e->bid_count > 0 ? e->bids[0].quantity.v / DECIMAL_ONE : 0;
    for (uint32_t i = 0; e->kind == MD_EVENT_BOOK && i < e->ask_count; i++)
        cr_assert_gt(e->asks[i].quantity.v, 0, "what has gone is in no book");
}

static void
on_turn(void *arg)
{
    struct rig *g = arg;
    feed_turn(g->feed);
    if (g->is_done != NULL && g->is_done(g))
        loop_stop(g->loop);
}

static struct rig *
rig_open(const char *files, const char *options)
{
    struct rig *g = calloc(1, sizeof(*g));
    char line[SPEC_FILES_BYTES + 200], why[SOURCE_WHY_BYTES];
    uint32_t count, rules_count;
    snprintf(line, sizeof(line), "playback:%s:clock=kept:%s", files, options);
    cr_assert(spec_read(line, g->specs, &count, why) == OK, "%s", why);
    cr_assert(rules_load(SCRIP_RULES_FILE, g->rules, 64, &rules_count, why) == OK, "%s", why);
    g->loop = loop_new();
    struct feed_options o = {.loop = g->loop,
                             .specs = g->specs,
                             .spec_count = count,
                             .rules = g->rules,
                             .rules_count = rules_count,
                             .gap_max_us = 1000000,
                             .arg = g,
                             .on_event = on_event};
    cr_assert(feed_open(&o, &g->feed, why) == OK, "%s", why);
    loop_on_turn(g->loop, on_turn, g);
    return g;
}

static void
rig_close(struct rig *g)
{
    feed_close(&g->feed);
    loop_destroy(&g->loop);
    free(g);
}

static void
rig_run(struct rig *g, bool (*is_done)(struct rig *g))
{
    g->is_done = is_done;
    loop_soon(g->loop);
    loop_run(g->loop);
}

static void
steer(struct rig *g, const struct md_playback_set *set)
{
    char why[SOURCE_WHY_BYTES] = "";
    cr_assert(feed_steer(g->feed, set, why) == OK, "%s", why);
}

static bool
has_ended(struct rig *g)
{
    return feed_has_ended(g->feed, 0);
}

/* All events after a seek, as text. */
static char *
played_from(struct rig *g, int64_t to_us)
{
    char *out = malloc(EVENTS_MAX * 96), *at = out;
    g->count = 0;
    steer(g, &(struct md_playback_set){.action = PLAYBACK_ACTION_SEEK, .to_us = to_us});
    rig_run(g, has_ended);
    for (uint32_t i = 0; i < g->count; i++) {
        const struct seen *s = &g->seen[i];
        at += snprintf(at, 96, "%d %s %lld %llu %lld\n", s->kind, s->symbol.text,
                       (long long)s->at_us, (unsigned long long)s->id, (long long)s->bid_quantity);
    }
    return out;
}

Test(feed, a_seek_gives_true_books_and_then_the_first_event_at_or_after)
{
    struct rig *g = rig_open(raw_make(), "speed=max");
    rig_run(g, has_ended);
    g->count = 0;
    int64_t to_us = START_US + 61 * 1000000 + 450000;
    steer(g, &(struct md_playback_set){.action = PLAYBACK_ACTION_SEEK, .to_us = to_us});
    rig_run(g, has_ended);
    const struct seen *s = g->seen;
    cr_assert(s[0].kind == MD_EVENT_BEGIN && s[1].kind == MD_EVENT_BOOK);
    cr_assert(code_same(s[1].symbol, code_of("BTCUSDT")));
    cr_assert(s[1].at_us == to_us && s[1].id == 615 && s[1].bid_quantity == 615);
    cr_assert(s[2].kind == MD_EVENT_TRADE && s[2].id == 61 && s[2].at_us == to_us);
    cr_assert(s[3].kind == MD_EVENT_BEGIN && s[4].kind == MD_EVENT_BOOK);
    cr_assert(code_same(s[4].symbol, code_of("ETHUSDT")) && s[4].bid_quantity == 615);
    cr_assert(s[5].kind == MD_EVENT_DIFF && s[5].at_us == START_US + 61500000 && s[5].id == 616);
    /* Exactly at an event: that one. */
    free(played_from(g, START_US + 61500000));
    cr_assert(g->seen[5].at_us == START_US + 61500000);
    rig_close(g);
}

Test(feed, segments_and_a_raw_file_give_the_same_from_every_place)
{
    struct rig *raw = rig_open(raw_make(), "speed=max");
    segments_make(TRADING_TYPE_spot);
    struct rig *ours = rig_open(folder, "speed=max");
    static const int64_t PLACES[] = {0,        1,        1050000,  10000000,
                                     39999999, 40000000, 77777777, 119900001};
    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
        /* Books that ours tells again on the way change nothing: they are left out. */
        char *a = played_from(raw, START_US + PLACES[i]);
        char *b = played_from(ours, START_US + PLACES[i]);
        char *to = b;
        int books = 0;
        for (char *line = b, *next; *line != '\0'; line = next) {
            next = strchr(line, '\n') + 1;
            size_t length = (size_t)(next - line);
            if (line[0] == '0' + MD_EVENT_BOOK && ++books > 2)
                continue;
            memmove(to, line, length);
            to += length;
        }
        *to = '\0';
        cr_assert(strlen(a) > 100 || PLACES[i] > 119000000, "place %zu", i);
        if (PLACES[i] > 0)
            cr_assert_str_eq(a, b, "place %zu", i);
        free(a);
        free(b);
    }
    struct source_view v;
    feed_view(ours->feed, 0, &v);
    cr_assert(v.begin_us == START_US && v.end_us >= START_US + 119900000, "%lld",
              (long long)v.end_us);
    rig_close(raw);
    rig_close(ours);
}

static bool
has_hundred(struct rig *g)
{
    return g->count >= 100;
}

static void
on_time(void *arg)
{
    struct rig *g = arg;
    loop_stop(g->loop);
}

/* So long that three seconds of the market would have been given at this speed. */
static void
rig_idle(struct rig *g)
{
    struct loop_timer *t = loop_timer_new(g->loop, 30, 0, on_time, g);
    rig_run(g, NULL);
    loop_timer_end(&t);
}

Test(feed, a_pause_holds_the_market_and_a_seek_in_it_shows_the_place)
{
    struct rig *g = rig_open(raw_make(), "speed=100");
    struct source_view v;
    rig_run(g, has_hundred);
    steer(g, &(struct md_playback_set){.action = PLAYBACK_ACTION_PAUSE});
    uint32_t count = g->count;
    feed_view(g->feed, 0, &v);
    cr_assert(v.state == SOURCE_STATE_PAUSED);
    rig_idle(g);
    cr_assert_eq(g->count, count, "nothing came");
    int64_t at_us = v.market_us;
    feed_view(g->feed, 0, &v);
    cr_assert(v.market_us == at_us && at_us > START_US);

    g->count = 0;
    int64_t to_us = START_US + 90 * 1000000 + 50000;
    steer(g, &(struct md_playback_set){.action = PLAYBACK_ACTION_SEEK, .to_us = to_us});
    rig_idle(g);
    cr_assert(g->seen[0].kind == MD_EVENT_BEGIN && g->seen[1].kind == MD_EVENT_BOOK);
    cr_assert_eq(g->seen[1].bid_quantity, 901);
    cr_assert_eq(g->count, 5, "it is still paused");
    feed_view(g->feed, 0, &v);
    cr_assert(v.market_us == to_us && v.state == SOURCE_STATE_PAUSED && v.symbols == 2);

    count = g->count;
    steer(g, &(struct md_playback_set){.action = PLAYBACK_ACTION_SPEED});
    steer(g, &(struct md_playback_set){.action = PLAYBACK_ACTION_PLAY});
    rig_run(g, has_ended);
    cr_assert(g->seen[count].kind == MD_EVENT_DIFF && g->seen[count].id == 902);
    cr_assert(g->seen[g->count - 1].kind == MD_EVENT_END);
    rig_close(g);
}

static bool
has_three_rounds(struct rig *g)
{
    uint32_t rounds = 0;
    for (uint32_t i = 0; i < g->count; i++)
        rounds += g->seen[i].kind == MD_EVENT_BEGIN && g->seen[i].symbol.text[0] == 'B';
    return rounds >= 3;
}

Test(feed, loop_and_play_begin_again)
{
    struct rig *g = rig_open(raw_make(), "speed=max");
    steer(g, &(struct md_playback_set){.action = PLAYBACK_ACTION_LOOP, .loop = true});
    rig_run(g, has_three_rounds);
    steer(g, &(struct md_playback_set){.action = PLAYBACK_ACTION_LOOP, .loop = false});
    rig_run(g, has_ended);
    g->count = 0;
    steer(g, &(struct md_playback_set){.action = PLAYBACK_ACTION_PLAY});
    rig_run(g, has_ended);
    cr_assert(g->seen[0].kind == MD_EVENT_BEGIN && g->seen[1].kind == MD_EVENT_BOOK);
    rig_close(g);
}

Test(feed, a_silence_is_cut)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/gap.txt", folder);
    FILE *f = fopen(path, "w");
    cr_assert(f != NULL);
    for (int i = 0; i < 2; i++) {
        trade_line(text, START_US + i * INT64_C(86400000000), i + 1);
        fputs(text, f);
    }
    fclose(f);
    struct rig *g = rig_open(path, "speed=20");
    int64_t from_us = loop_measure_us();
    rig_run(g, has_ended);
    cr_assert_eq(g->seen[2].id, 2);
    cr_assert_lt(loop_measure_us() - from_us, 20 * 1000000, "a day at speed 20 is over an hour");
    rig_close(g);
}

Test(feed, a_symbol_that_was_removed_is_not_given)
{
    char why[SOURCE_WHY_BYTES];
    struct rig *g = rig_open(raw_make(), "speed=max");
    cr_assert(feed_symbol_remove(g->feed, 0, code_of("ETHUSDT"), why) == OK);
    rig_run(g, has_ended);
    for (uint32_t i = 0; i < g->count; i++)
        cr_assert(g->seen[i].symbol.text[0] == 'B');
    g->count = 0;
    cr_assert(feed_symbol_add(g->feed, 0, code_of("ETHUSDT"), why) == OK);
    steer(g, &(struct md_playback_set){.action = PLAYBACK_ACTION_PLAY});
    rig_run(g, has_ended);
    cr_assert(code_same(g->seen[2].symbol, code_of("ETHUSDT")));
    cr_assert(feed_symbol_add(g->feed, 7, code_of("ETHUSDT"), why) == ERR_SOURCE_UNKNOWN);
    rig_close(g);
}

Test(feed, contracts_have_names_of_their_own)
{
    struct rig *g = rig_open(segments_make(TRADING_TYPE_futures), "speed=max");
    rig_run(g, has_ended);
    cr_assert_str_eq(g->seen[0].symbol.text, "BTCUSDT_PERP");
    rig_close(g);
    g = rig_open(raw_make(), "speed=max:market=usdm");
    rig_run(g, has_ended);
    cr_assert_str_eq(g->seen[0].symbol.text, "BTCUSDT_PERP");
    rig_close(g);
}

Test(feed, what_cannot_be_steered_is_refused)
{
    char why[SOURCE_WHY_BYTES];
    struct rig *g = rig_open(raw_make(), "speed=max");
    struct md_playback_set set = {.source = 1, .action = PLAYBACK_ACTION_PLAY};
    cr_assert(feed_steer(g->feed, &set, why) == ERR_SOURCE_UNKNOWN);
    set = (struct md_playback_set){.action = PLAYBACK_ACTION_SEEK};
    cr_assert(feed_steer(g->feed, &set, why) == ERR_NUMBER_RANGE);
    set = (struct md_playback_set){.action = PLAYBACK_ACTION_SPEED, .speed = {-1}};
    cr_assert(feed_steer(g->feed, &set, why) == ERR_NUMBER_RANGE);
    rig_close(g);
}
