/*
 * recorder.c - the loop's half of the recorder: lines into a queue, when a segment begins, when
 * the books are written.
 *
 * A line costs the loop a lock and a copy. Segments are cut here, where the lines come in order:
 * the books of all symbols follow the cut, a few in each turn, between the lines that come
 * meanwhile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/instrument.h"
#include "host/log.h"
#include "host/metrics.h"
#include "marketdata/shell/recorder_parts.h"

#define TICK_MS         50
#define BOOKS_BUDGET_US 1000
#define JSON_BYTES      512u
#define BEGIN           "{\"stream\":\"@scrip\",\"data\":{\"mark\":\"begin\"}}"

/* A market's recording as the loop sees it. */
struct lane {
    bool has_begun;
    int64_t segment; /* number of the aligned time that the segment belongs to */
    int64_t last_ns; /* latest receive time */
    bool is_in_books, first_book;
    int64_t books_ns; /* when all books are due anew */
    uint64_t missed;  /* lines that found no room, since the last one that did */
};

struct recorder {
    struct recorder_options o;
    struct recorder_thread thread;
    struct lane lanes[RECORDER_MARKETS];
    struct loop_timer *tick;
    struct recorder_told told; /* as of the last tick */
    uint64_t full;             /* lines that found no room, ever */
    struct metric *lines, *plain, *packed, *segments, *lost, *errors, *deleted;
};

static uint32_t
index_of(enum trading_type market)
{
    return market == TRADING_TYPE_futures ? 1 : 0;
}

static enum trading_type
market_of(uint32_t index)
{
    return index == 1 ? TRADING_TYPE_futures : TRADING_TYPE_spot;
}

/* ---- Into the queue --------------------------------------------------------------------- */

/* With the lock. False when the queue is full. */
static bool
queue_put(struct recorder *r, uint32_t lane, enum recorder_kind kind, int64_t received_ns,
          const char *json, size_t length)
{
    struct recorder_queue *q = &r->thread.queue;
    size_t bytes = sizeof(struct recorder_item) + length;
    if (q->length + bytes > r->o.queue_bytes_max)
        return false;
    if (q->length + bytes > q->room) {
        while (q->length + bytes > q->room)
            q->room = q->room == 0 ? 2 * RECORDER_WAKE_BYTES : 2 * q->room;
        q->bytes = realloc(q->bytes, q->room);
        CHECK(q->bytes != NULL);
    }
    struct recorder_item head = {.received_ns = received_ns,
                                 .length = (uint32_t)length,
                                 .market = (uint16_t)lane,
                                 .kind = (uint16_t)kind};
    memcpy(q->bytes + q->length, &head, sizeof(head));
    if (length > 0)
        memcpy(q->bytes + q->length + sizeof(head), json, length);
    q->length += bytes;
    if (q->length >= RECORDER_WAKE_BYTES && !r->thread.has_signalled) {
        r->thread.has_signalled = true;
        pthread_cond_signal(&r->thread.more);
    }
    return true;
}

static bool
put(struct recorder *r, uint32_t lane, enum recorder_kind kind, int64_t received_ns,
    const char *json, size_t length)
{
    pthread_mutex_lock(&r->thread.lock);
    bool done = queue_put(r, lane, kind, received_ns, json, length);
    pthread_mutex_unlock(&r->thread.lock);
    return done;
}

/* ---- Segments and books ----------------------------------------------------------------- */

/* As many books as one turn has time for. */
static void
books_write(struct recorder *r, uint32_t lane)
{
    struct lane *l = &r->lanes[lane];
    int64_t until_us = loop_measure_us() + BOOKS_BUDGET_US;
    while (l->is_in_books) {
        bool is_first = l->first_book;
        l->first_book = false;
        if (!r->o.on_book(r->o.arg, market_of(lane), is_first)) {
            l->is_in_books = false;
            put(r, lane, RECORDER_BOOKS_DONE, l->last_ns, NULL, 0);
        }
        if (loop_measure_us() >= until_us)
            return;
    }
}

static void
books_begin(struct recorder *r, uint32_t lane)
{
    struct lane *l = &r->lanes[lane];
    if (r->o.on_book == NULL)
        return;
    l->books_ns = r->o.books_ms > 0 ? l->last_ns + r->o.books_ms * 1000000 : INT64_MAX;
    if (!put(r, lane, RECORDER_BOOKS, l->last_ns, NULL, 0))
        return;
    l->is_in_books = l->first_book = true;
    books_write(r, lane);
}

static void
segment_begin(struct recorder *r, uint32_t lane, int64_t received_ns)
{
    struct lane *l = &r->lanes[lane];
    l->segment = received_ns / 1000000 / r->o.segment_ms;
    r->told.wants_segment[lane] = false;
    bool is_first = !l->has_begun;
    l->has_begun = put(r, lane, RECORDER_SEGMENT, received_ns, NULL, 0);
    /* What a process before this one recorded ended somewhere else. */
    if (l->has_begun && is_first)
        put(r, lane, RECORDER_LINE, received_ns, BEGIN, strlen(BEGIN));
    if (l->has_begun)
        books_begin(r, lane);
}

/* A queue that was full is given lines again when half of it is empty. */
static bool
has_room(struct recorder *r)
{
    pthread_mutex_lock(&r->thread.lock);
    bool room = r->thread.queue.length <= r->o.queue_bytes_max / 2;
    pthread_mutex_unlock(&r->thread.lock);
    return room;
}

/* Lines were lost for want of room: said in the recording, and the books are told anew. */
static void
missed_tell(struct recorder *r, uint32_t lane, int64_t received_ns)
{
    struct lane *l = &r->lanes[lane];
    char json[JSON_BYTES];
    int n = snprintf(json, sizeof(json),
                     "{\"stream\":\"@scrip\",\"data\":{\"mark\":\"missed\",\"lines\":%llu}}",
                     (unsigned long long)l->missed);
    if (!put(r, lane, RECORDER_LINE, received_ns, json, (size_t)n))
        return;
    log_line(LOG_WARN, "recording_missed", "market=%s lines=%llu",
             recording_market(market_of(lane)), (unsigned long long)l->missed);
    l->missed = 0;
    books_begin(r, lane);
}

void
recorder_line(struct recorder *r, enum trading_type market, int64_t received_ns, const char *json,
              size_t length)
{
    uint32_t lane = index_of(market);
    struct lane *l = &r->lanes[lane];
    if (received_ns > l->last_ns)
        l->last_ns = received_ns;
    if (!l->has_begun || r->told.wants_segment[lane] ||
        received_ns / 1000000 / r->o.segment_ms > l->segment)
        segment_begin(r, lane, received_ns);
    if (l->missed > 0 && has_room(r))
        missed_tell(r, lane, received_ns);
    if (length > RECORDING_LINE_MAX || l->missed > 0 ||
        !put(r, lane, RECORDER_LINE, received_ns, json, length)) {
        l->missed++;
        r->full++;
    }
}

void
recorder_book(struct recorder *r, enum trading_type market, const char *json, size_t length)
{
    uint32_t lane = index_of(market);
    if (length > RECORDING_LINE_MAX ||
        !put(r, lane, RECORDER_LINE, r->lanes[lane].last_ns, json, length))
        r->full++;
}

void
recorder_mark(struct recorder *r, enum trading_type market, int64_t received_ns, const char *what,
              code_t about, uint64_t first, uint64_t last)
{
    char json[JSON_BYTES];
    code_t name = instrument_small(instrument_at_exchange(about));
    int n = snprintf(json, sizeof(json),
                     "{\"stream\":\"%s@scrip\",\"data\":{\"mark\":\"%.32s\",\"first\":%llu,"
                     "\"last\":%llu}}",
                     name.text, what, (unsigned long long)first, (unsigned long long)last);
    recorder_line(r, market, received_ns, json, (size_t)n);
}

const char *
recorder_path(const struct recorder *r, enum trading_type market)
{
    return r->told.path[index_of(market)];
}

/* ---- Life ------------------------------------------------------------------------------- */

static void
told_take(struct recorder *r)
{
    uint64_t errors = r->told.errors, segments = r->told.segments;
    pthread_mutex_lock(&r->thread.lock);
    r->told = r->thread.told;
    for (uint32_t i = 0; i < RECORDER_MARKETS; i++)
        r->thread.told.wants_segment[i] = false;
    pthread_mutex_unlock(&r->thread.lock);
    if (r->told.errors != errors)
        log_line(LOG_ERROR, "recording_failed", "why=\"%s\" lines_lost=%llu", r->told.why,
                 (unsigned long long)r->told.lost);
    if (r->told.segments != segments)
        log_line(LOG_INFO, "recording_segment", "spot=\"%s\" usdm=\"%s\"", r->told.path[0],
                 r->told.path[1]);
    metric_add(r->lines, (int64_t)r->told.lines - metric_value(r->lines));
    metric_add(r->plain, (int64_t)r->told.plain_bytes - metric_value(r->plain));
    metric_add(r->packed, (int64_t)r->told.bytes - metric_value(r->packed));
    metric_add(r->segments, (int64_t)r->told.segments - metric_value(r->segments));
    metric_add(r->deleted, (int64_t)r->told.deleted - metric_value(r->deleted));
    metric_add(r->errors, (int64_t)r->told.errors - metric_value(r->errors));
    metric_add(r->lost, (int64_t)(r->told.lost + r->full) - metric_value(r->lost));
}

static void
on_tick(void *arg)
{
    struct recorder *r = arg;
    bool wanted[RECORDER_MARKETS];
    for (uint32_t i = 0; i < RECORDER_MARKETS; i++)
        wanted[i] = r->told.wants_segment[i];
    told_take(r);
    for (uint32_t i = 0; i < RECORDER_MARKETS; i++) {
        struct lane *l = &r->lanes[i];
        r->told.wants_segment[i] |= wanted[i];
        if (l->is_in_books)
            books_write(r, i);
        else if (l->has_begun && l->last_ns >= l->books_ns)
            books_begin(r, i);
    }
}

static void
metrics_make(struct recorder *r)
{
    r->lines = metric_counter("scrip_marketdata_recorded_lines_total", "", "Lines recorded.");
    r->plain = metric_counter("scrip_marketdata_recorded_plain_bytes_total", "",
                              "Bytes recorded, before compression.");
    r->packed = metric_counter("scrip_marketdata_recorded_bytes_total", "",
                               "Bytes recorded, as they lie on the disk.");
    r->segments = metric_counter("scrip_marketdata_recorded_segments_total", "", "Segments begun.");
    r->deleted = metric_counter("scrip_marketdata_recorded_deleted_total", "",
                                "Segments deleted by age or for room.");
    r->lost = metric_counter("scrip_marketdata_recorded_lost_total", "",
                             "Lines that could not be recorded.");
    r->errors =
        metric_counter("scrip_marketdata_recorded_errors_total", "", "Failed writes of segments.");
}

/* Made with the folders above it. */
static bool
folder_make(const char *folder)
{
    char path[RECORDER_FOLDER];
    snprintf(path, sizeof(path), "%s", folder);
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(path, 0750) != 0 && errno != EEXIST)
            return false;
        *at = '/';
    }
    if (mkdir(path, 0750) != 0 && errno != EEXIST)
        return false;
    return access(path, W_OK | X_OK) == 0;
}

struct recorder *
recorder_open(const struct recorder_options *o)
{
    if (strlen(o->folder) >= RECORDER_FOLDER || !folder_make(o->folder)) {
        log_line(LOG_ERROR, "recording_folder", "folder=\"%s\" why=\"%s\"", o->folder,
                 strlen(o->folder) >= RECORDER_FOLDER ? "its name is too long" : strerror(errno));
        return NULL;
    }
    struct recorder *r = calloc(1, sizeof(*r));
    CHECK(r != NULL && o->segment_ms > 0);
    r->o = *o;
    struct recorder_thread *t = &r->thread;
    t->o = (struct recorder_options_copy){
        .segment_bytes = o->segment_bytes, .keep_ms = o->keep_ms, .keep_bytes = o->keep_bytes};
    snprintf(t->o.folder, sizeof(t->o.folder), "%s", o->folder);
    r->o.folder = t->o.folder;
    pthread_condattr_t steady;
    CHECK(pthread_mutex_init(&t->lock, NULL) == 0 && pthread_condattr_init(&steady) == 0 &&
          pthread_condattr_setclock(&steady, CLOCK_MONOTONIC) == 0 &&
          pthread_cond_init(&t->more, &steady) == 0);
    pthread_condattr_destroy(&steady);
    metrics_make(r);
    CHECK(pthread_create(&t->id, NULL, recorder_thread_run, t) == 0);
    r->tick = loop_timer_new(o->loop, TICK_MS, TICK_MS, on_tick, r);
    return r;
}

void
recorder_close(struct recorder **recorder)
{
    struct recorder *r = *recorder;
    if (r == NULL)
        return;
    loop_timer_end(&r->tick);
    pthread_mutex_lock(&r->thread.lock);
    r->thread.stops = true;
    pthread_cond_signal(&r->thread.more);
    pthread_mutex_unlock(&r->thread.lock);
    CHECK(pthread_join(r->thread.id, NULL) == 0);
    told_take(r);
    pthread_cond_destroy(&r->thread.more);
    pthread_mutex_destroy(&r->thread.lock);
    free(r->thread.queue.bytes);
    free(r);
    *recorder = NULL;
}
