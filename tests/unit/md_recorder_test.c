/*
 * md_recorder_test.c - a market recorded to segment files: whole, cut off, damaged, on a full disk,
 * by a process that is killed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "base/check.h"
#include "market/recording.h"
#include "marketdata/shell/recorder.h"

#define START_NS   INT64_C(1795280400000000000)
#define MS_NS      INT64_C(1000000)
#define TEXT_MAX   (8u << 20)
#define LINE_BYTES 256

static char folder[64], why[RECORDING_WHY_BYTES];
static char text[TEXT_MAX], other[TEXT_MAX];

static void
begin(void)
{
    snprintf(folder, sizeof(folder), "/tmp/md_recorder_XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
}

static glob_t
segments(void)
{
    glob_t found;
    char pattern[80];
    snprintf(pattern, sizeof(pattern), "%s/*", folder);
    if (glob(pattern, 0, NULL, &found) != 0)
        found = (glob_t){0};
    return found;
}

static void
end(void)
{
    glob_t found = segments();
    for (size_t i = 0; i < found.gl_pathc; i++)
        unlink(found.gl_pathv[i]);
    globfree(&found);
    cr_assert_eq(rmdir(folder), 0);
}

TestSuite(recording, .init = begin, .fini = end);
TestSuite(recorder, .init = begin, .fini = end);

/* ---- Segments by themselves ------------------------------------------------------------- */

static size_t
line_make(char *out, int n)
{
    return (size_t)snprintf(
        out, LINE_BYTES,
        "%lld {\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":%lld,"
        "\"s\":\"BTCUSDT\",\"t\":%d}}\n",
        (long long)(START_NS + n * MS_NS), (long long)((START_NS + n * MS_NS) / MS_NS - 3), n);
}

/* A segment of `frames` frames with three lines each; its text stands in `text`. */
static const char *
segment_make(int frames, bool is_closed)
{
    static char path[160];
    struct recording_writer *w = recording_create(folder, TRADING_TYPE_spot, START_NS / 1000, why);
    cr_assert(w != NULL, "%s", why);
    size_t at = 0;
    for (int i = 0; i < frames; i++) {
        struct recording_frame f = {.begins_books = i % 4 == 0, .ends_books = i % 4 == 1};
        size_t from = at;
        for (int n = 0; n < 3; n++) {
            size_t length = line_make(text + at, 100 * i + n);
            recording_line(&f, text + at, length - 1);
            at += length;
        }
        cr_assert(recording_put(w, text + from, at - from, &f, why), "%s", why);
    }
    text[at] = '\0';
    snprintf(path, sizeof(path), "%s", recording_writer_path(w));
    if (is_closed) {
        cr_assert(recording_end(&w, why), "%s", why);
    } else {
        /* As after a kill: what was put is there, the index is not. */
        struct stat before;
        cr_assert(stat(path, &before) == 0);
        recording_end(&w, why);
        cr_assert(truncate(path, before.st_size) == 0);
    }
    return path;
}

/* All lines of a segment, and how it ended. */
static enum recording_result
read_all(struct recording *r, char *out)
{
    const char *lines;
    size_t length, at = 0;
    struct recording_frame f;
    enum recording_result result;
    while ((result = recording_next(r, &lines, &length, &f, why)) == RECORDING_FRAME) {
        cr_assert(at + length < TEXT_MAX);
        memcpy(out + at, lines, length);
        at += length;
    }
    out[at] = '\0';
    return result;
}

/* What any zstd makes of a file. */
static void
plain_zstd(const char *path, char *out)
{
    static char packed[TEXT_MAX];
    FILE *f = fopen(path, "rb");
    cr_assert(f != NULL);
    ZSTD_inBuffer in = {packed, fread(packed, 1, sizeof(packed), f), 0};
    fclose(f);
    ZSTD_outBuffer to = {out, TEXT_MAX - 1, 0};
    ZSTD_DStream *z = ZSTD_createDStream();
    size_t left = 1;
    while (in.pos < in.size) {
        left = ZSTD_decompressStream(z, &to, &in);
        cr_assert(!ZSTD_isError(left), "%s", ZSTD_getErrorName(left));
    }
    cr_assert_eq(left, 0);
    ZSTD_freeDStream(z);
    out[to.pos] = '\0';
}

Test(recording, names_sort_by_time_and_are_read_back)
{
    char name[RECORDING_NAME_BYTES];
    enum trading_type market;
    int64_t start_us;
    recording_name(TRADING_TYPE_futures, INT64_C(1795280400250000), name);
    cr_assert_str_eq(name, "usdm-20261121T170000.250000Z.zst");
    cr_assert(recording_name_read(name, &market, &start_us));
    cr_assert(market == TRADING_TYPE_futures && start_us == INT64_C(1795280400250000));
    cr_assert(!recording_name_read("usdm-20261121T170000.250000Z.zst.old", &market, &start_us));
    cr_assert(!recording_name_read("coin-20261121T170000.250000Z.zst", &market, &start_us));
    cr_assert(!recording_name_read("spot-20261321T170000.250000Z.zst", &market, &start_us));
    cr_assert(!recording_name_read("", &market, &start_us));
}

Test(recording, a_segment_is_read_back_and_any_zstd_gives_its_lines)
{
    const char *path = segment_make(40, true);
    struct recording_sum sum;
    struct recording *r = recording_open(path, why);
    cr_assert(r != NULL, "%s", why);
    cr_assert(recording_is_whole(r) && recording_type(r) == TRADING_TYPE_spot);
    cr_assert_eq(recording_start_us(r), START_NS / 1000);
    cr_assert(read_all(r, other) == RECORDING_END);
    cr_assert_str_eq(other, text);
    cr_assert(recording_check(r, &sum, why), "%s", why);
    cr_assert(sum.lines == 120 && sum.trades == 120 && sum.frames == 40);
    cr_assert_eq(sum.last_us, START_NS / 1000 + 3902 * 1000);
    cr_assert_eq(sum.first_market_us, START_NS / 1000 - 3000);
    recording_close(&r);
    plain_zstd(path, other);
    cr_assert_str_eq(other, text);
}

Test(recording, a_reader_goes_to_the_books_before_a_time)
{
    struct recording *r = recording_open(segment_make(40, true), why);
    /* Books begin in frames 0, 4, 8... and are whole one frame later; a frame is 100 ms. */
    cr_assert_eq(recording_frame_for(r, START_NS / 1000 + 1050000), 8);
    cr_assert_eq(recording_frame_for(r, START_NS / 1000 + 890000), 4, "those of 8 are not whole");
    cr_assert_eq(recording_frame_for(r, 0), 0);
    cr_assert_eq(recording_frame_for(r, INT64_MAX), 36);
    recording_seek(r, 36);
    cr_assert(read_all(r, other) == RECORDING_END);
    cr_assert(strncmp(other, "1795280403600", 13) == 0);
    recording_close(&r);
}

Test(recording, a_file_that_was_cut_off_gives_its_whole_frames)
{
    const char *path = segment_make(12, true);
    struct recording *r = recording_open(path, why);
    uint32_t count;
    const struct recording_frame *frames = recording_frames(r, &count);
    uint64_t ends[12], size = recording_bytes(r);
    for (uint32_t i = 0; i < count; i++)
        ends[i] = frames[i].offset + frames[i].bytes;
    recording_close(&r);
    for (uint64_t cut = size - 1; cut >= 40; cut -= cut > ends[11] + 5 ? 97 : 1) {
        size_t expected = 0;
        struct recording_sum sum;
        for (uint32_t i = 0; i < count; i++)
            expected += ends[i] <= cut ? 3 : 0;
        cr_assert(truncate(path, (off_t)cut) == 0);
        r = recording_open(path, why);
        cr_assert(r != NULL, "%s", why);
        cr_assert(!recording_is_whole(r));
        cr_assert(recording_survey(r, &sum, why), "at %llu: %s", (unsigned long long)cut, why);
        cr_assert_eq(sum.lines, expected, "at %llu", (unsigned long long)cut);
        recording_close(&r);
    }
    /* A lost power leaves zeros. */
    cr_assert(truncate(path, 8192) == 0);
    r = recording_open(path, why);
    cr_assert(read_all(r, other) == RECORDING_END);
    recording_close(&r);
}

Test(recording, no_byte_can_be_changed_unseen)
{
    const char *path = segment_make(6, true);
    struct recording *r = recording_open(path, why);
    uint64_t size = recording_bytes(r);
    recording_close(&r);
    char *bytes = malloc(size);
    int fd = open(path, O_RDONLY);
    cr_assert(read(fd, bytes, size) == (ssize_t)size);
    close(fd);
    for (uint64_t i = 0; i < size; i++) {
        struct recording_sum sum;
        bytes[i] ^= 1;
        r = recording_open_bytes(bytes, size, why);
        /* The last bytes say that the file was closed: without them it is a torn one. */
        cr_assert(r == NULL || !recording_check(r, &sum, why) || i >= size - 16, "byte %llu",
                  (unsigned long long)i);
        cr_assert(r == NULL || i < size - 16 || !recording_is_whole(r));
        recording_close(&r);
        bytes[i] ^= 1;
    }
    free(bytes);
}

/* ---- The recorder ----------------------------------------------------------------------- */

struct rig {
    struct loop *loop;
    struct recorder *recorder;
    struct loop_timer *tick;
    bool (*is_done)(struct rig *g);
    int books, book_at;
};

static bool
on_book(void *arg, enum trading_type market, bool is_first)
{
    struct rig *g = arg;
    char json[128];
    if (is_first)
        g->book_at = 0;
    if (g->book_at == g->books)
        return false;
    int n = snprintf(json, sizeof(json),
                     "{\"stream\":\"s%d@snapshot\",\"data\":{\"lastUpdateId\":1,\"bids\":[],"
                     "\"asks\":[]},\"scrip\":\"book\"}",
                     g->book_at++);
    recorder_book(g->recorder, market, json, (size_t)n);
    return true;
}

static void
rig_open(struct rig *g, struct recorder_options o)
{
    g->loop = loop_new();
    o.loop = g->loop;
    o.folder = folder;
    o.arg = g;
    o.on_book = on_book;
    if (o.segment_ms == 0)
        o.segment_ms = 3600000;
    if (o.segment_bytes == 0)
        o.segment_bytes = 1 << 30;
    if (o.queue_bytes_max == 0)
        o.queue_bytes_max = 64u << 20;
    g->recorder = recorder_open(&o);
    cr_assert(g->recorder != NULL);
}

static void
rig_close(struct rig *g)
{
    recorder_close(&g->recorder);
    loop_destroy(&g->loop);
}

static void
rig_look(void *arg)
{
    struct rig *g = arg;
    if (g->is_done(g))
        loop_stop(g->loop);
}

/* Runs the loop until it is so. */
static void
rig_wait(struct rig *g, bool (*is_done)(struct rig *g))
{
    g->is_done = is_done;
    g->tick = loop_timer_new(g->loop, 5, 5, rig_look, g);
    loop_run(g->loop);
    loop_timer_end(&g->tick);
}

static void
rig_line(struct rig *g, enum trading_type market, int64_t ms, const char *json)
{
    recorder_line(g->recorder, market, START_NS + ms * MS_NS, json, strlen(json));
}

static void
rig_trade(struct rig *g, int64_t ms, int id)
{
    char json[128];
    snprintf(json, sizeof(json),
             "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"t\":%d}}", id);
    rig_line(g, TRADING_TYPE_spot, ms, json);
}

/* The lines of a segment, by its place in the folder, with their receive times. */
static const char *
lines_of(size_t index)
{
    glob_t found = segments();
    cr_assert(index < found.gl_pathc, "there are %zu segments", found.gl_pathc);
    struct recording *r = recording_open(found.gl_pathv[index], why);
    cr_assert(r != NULL, "%s", why);
    cr_assert(read_all(r, other) == RECORDING_END, "%s", why);
    recording_close(&r);
    globfree(&found);
    return other;
}

static bool
is_whole(size_t index)
{
    glob_t found = segments();
    struct recording *r = recording_open(found.gl_pathv[index], why);
    bool whole = recording_is_whole(r);
    recording_close(&r);
    globfree(&found);
    return whole;
}

Test(recorder, lines_come_back_in_order_behind_the_books)
{
    struct rig g = {.books = 2};
    rig_open(&g, (struct recorder_options){0});
    rig_trade(&g, 0, 1);
    recorder_mark(g.recorder, TRADING_TYPE_spot, START_NS + MS_NS, "gap", code_of("BTCUSDT"), 2, 3);
    rig_line(&g, TRADING_TYPE_futures, 2, "{\"stream\":\"ethusdt@aggTrade\",\"data\":{}}");
    recorder_mark(g.recorder, TRADING_TYPE_futures, START_NS + 3 * MS_NS, "away",
                  code_of("ETHUSDT_PERP"), 0, 0);
    rig_close(&g);
    cr_assert_str_eq(
        lines_of(0),
        "1795280400000000000 {\"stream\":\"@scrip\",\"data\":{\"mark\":\"begin\"}}\n"
        "1795280400000000000 {\"stream\":\"s0@snapshot\",\"data\":{\"lastUpdateId\":1,\"bids\":[],"
        "\"asks\":[]},\"scrip\":\"book\"}\n"
        "1795280400000000000 {\"stream\":\"s1@snapshot\",\"data\":{\"lastUpdateId\":1,\"bids\":[],"
        "\"asks\":[]},\"scrip\":\"book\"}\n"
        "1795280400000000000 {\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"t\":1}}\n"
        "1795280400001000000 {\"stream\":\"btcusdt@scrip\",\"data\":{\"mark\":\"gap\",\"first\":2,"
        "\"last\":3}}\n");
    cr_assert(strstr(lines_of(1), "ethusdt@aggTrade") != NULL);
    cr_assert(strstr(other, "{\"stream\":\"ethusdt@scrip\",\"data\":{\"mark\":\"away\"") != NULL);
    cr_assert(is_whole(0) && is_whole(1));
}

Test(recorder, segments_end_at_aligned_times)
{
    struct rig g = {.books = 1};
    rig_open(&g, (struct recorder_options){.segment_ms = 60000});
    /* START is a whole minute. */
    rig_trade(&g, 59998, 1);
    rig_trade(&g, 59999, 2);
    rig_trade(&g, 60000, 3);
    rig_trade(&g, 59999, 4); /* a clock that goes back begins nothing */
    rig_trade(&g, 119999, 5);
    rig_trade(&g, 240000, 6);
    rig_close(&g);
    cr_assert(strstr(lines_of(0), "\"t\":2}}") != NULL && strstr(other, "\"t\":3}}") == NULL);
    cr_assert(strstr(lines_of(1), "\"t\":5}}") != NULL && strstr(other, "s0@snapshot") != NULL);
    cr_assert(strstr(lines_of(2), "\"t\":6}}") != NULL && is_whole(2));
}

static bool
has_two_segments(struct rig *g)
{
    glob_t found = segments();
    size_t count = found.gl_pathc;
    globfree(&found);
    rig_trade(g, 1000, 9);
    return count == 2;
}

Test(recorder, a_segment_ends_at_its_size)
{
    struct rig g = {.books = 1};
    rig_open(&g, (struct recorder_options){.segment_bytes = 4096});
    unsigned seed = 7;
    char json[256];
    for (int i = 0; i < 2000; i++) {
        snprintf(json, sizeof(json), "{\"stream\":\"x@x\",\"data\":\"%08x%08x\"}", rand_r(&seed),
                 rand_r(&seed));
        rig_line(&g, TRADING_TYPE_spot, i, json);
    }
    rig_wait(&g, has_two_segments);
    rig_close(&g);
    cr_assert(is_whole(0) && is_whole(1));
}

/* The thread has written lines once the recording has a path. */
static bool
has_begun(struct rig *g)
{
    return recorder_path(g->recorder, TRADING_TYPE_spot)[0] != '\0';
}

Test(recorder, a_killed_process_leaves_what_a_second_ago_was_there)
{
    int ready[2];
    cr_assert(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct rig g = {.books = 1};
        rig_open(&g, (struct recorder_options){0});
        for (int i = 0; i < 100000; i++)
            rig_trade(&g, i, i);
        rig_wait(&g, has_begun);
        char path[512];
        struct stat s;
        snprintf(path, sizeof(path), "%s", recorder_path(g.recorder, TRADING_TYPE_spot));
        while (stat(path, &s) != 0 || s.st_size < 20000)
            rig_wait(&g, has_begun);
        cr_assert(write(ready[1], "x", 1) == 1);
        pause();
    }
    char byte;
    cr_assert(read(ready[0], &byte, 1) == 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cr_assert(!is_whole(0));
    char first[200];
    snprintf(first, sizeof(first), "%.150s", strstr(lines_of(0), "btcusdt@trade"));
    cr_assert(strstr(first, "\"t\":0}}") != NULL);

    struct rig g = {.books = 1};
    rig_open(&g, (struct recorder_options){0});
    rig_trade(&g, 0, 7); /* the same name: the next one is taken */
    rig_close(&g);
    cr_assert(!is_whole(0) && is_whole(1));
    cr_assert(strstr(lines_of(1), "\"t\":7}}") != NULL);
}

/* A disk that takes no more than a few pages, and then has room again. */
static int full_ticks;

static bool
is_over_it(struct rig *g)
{
    glob_t found = segments();
    size_t count = found.gl_pathc;
    globfree(&found);
    if (count > 1)
        return true;
    if (full_ticks++ == 100) { /* half a second: frames were refused meanwhile */
        struct rlimit room = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
        cr_assert(setrlimit(RLIMIT_FSIZE, &room) == 0);
    }
    rig_trade(g, full_ticks, full_ticks);
    return false;
}

Test(recorder, a_full_disk_costs_lines_and_nothing_else)
{
    struct rig g = {.books = 1};
    struct rlimit little = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    rig_open(&g, (struct recorder_options){0});
    cr_assert(setrlimit(RLIMIT_FSIZE, &little) == 0);
    unsigned seed = 7;
    char json[256];
    for (int i = 0; i < 20000; i++) {
        snprintf(json, sizeof(json), "{\"stream\":\"x@x\",\"data\":\"%08x%08x\"}", rand_r(&seed),
                 rand_r(&seed));
        rig_line(&g, TRADING_TYPE_spot, i, json);
    }
    rig_wait(&g, is_over_it);
    rig_close(&g);
    cr_assert(!is_whole(0) && is_whole(1));
    cr_assert(strstr(lines_of(1), "{\"mark\":\"missed\",\"lines\":") != NULL);
    lines_of(0);
}

Test(recorder, a_full_queue_loses_lines_and_says_so)
{
    struct rig g = {.books = 1};
    rig_open(&g, (struct recorder_options){.queue_bytes_max = 4096});
    char *json = malloc(3000);
    memset(json, ' ', 3000);
    memcpy(json, "{\"a\":", 5);
    memcpy(json + 2990, "\"b\"}", 5);
    for (int i = 0; i < 5; i++)
        rig_line(&g, TRADING_TYPE_spot, i, json);
    free(json);
    rig_wait(&g, has_begun);
    rig_trade(&g, 10, 10);
    rig_close(&g);
    const char *lines = lines_of(0);
    cr_assert(strstr(lines, "{\"mark\":\"missed\",\"lines\":4}") != NULL, "%.4000s", lines);
    cr_assert(strstr(strstr(lines, "missed"), "s0@snapshot") != NULL, "the books are told anew");
    cr_assert(strstr(lines, "\"t\":10}}") != NULL);
}

static bool
has_one_old(struct rig *g)
{
    (void)g;
    glob_t found = segments();
    size_t count = found.gl_pathc;
    globfree(&found);
    return count == 3;
}

Test(recorder, old_segments_are_deleted_but_never_the_one_being_written)
{
    /* Three of 1000 bytes that are a day old, one strange file; room for 2500. */
    for (int i = 0; i < 3; i++) {
        char path[160], name[RECORDING_NAME_BYTES];
        recording_name(TRADING_TYPE_spot, START_NS / 1000 - 86400000000 + i * 1000000, name);
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        FILE *f = fopen(path, "w");
        cr_assert(f != NULL && ftruncate(fileno(f), 1000) == 0);
        fclose(f);
    }
    char path[160];
    snprintf(path, sizeof(path), "%s/keep.me", folder);
    fclose(fopen(path, "w"));
    struct rig g = {.books = 1};
    rig_open(&g, (struct recorder_options){.keep_bytes = 1500});
    rig_trade(&g, 0, 1);
    rig_wait(&g, has_one_old);
    rig_close(&g);
    glob_t found = segments();
    cr_assert_eq(found.gl_pathc, 3, "the strange one, the youngest, the one being written");
    cr_assert(strstr(found.gl_pathv[1], "T170002") != NULL, "%s", found.gl_pathv[1]);
    globfree(&found);
}
