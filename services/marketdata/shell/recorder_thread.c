/*
 * recorder_thread.c - the recorder's own half: lines to frames, frames to the disk.
 *
 * A frame ends at RECORDING_FRAME_BYTES of lines or after a second, and where books begin. The
 * disk is waited for at most once a second. A segment that a write failed on is left as it is, up
 * to its last whole frame; what comes is lost until a new one can be begun.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/loop.h"
#include "marketdata/shell/recorder_parts.h"

#define LOOK_MS   200
#define SECOND_US INT64_C(1000000)
#define RETAIN_US (60 * SECOND_US)
#define HEAD_MAX  24u /* "<receive time> " in front of a line */

/* A market's recording as the thread sees it. */
struct track {
    struct recording_writer *writer; /* NULL: none was begun, or it failed */
    bool wants_segment;              /* and has said so */
    int64_t again_us;                /* after a failure: when a new segment is asked for */
    char *lines;                     /* of the frame that is being filled */
    size_t length;
    struct recording_frame frame;
    int64_t frame_us; /* when its first line came */
    bool is_dirty;    /* the disk was not waited for since the last frame */
    uint64_t lost;    /* lines since the failure */
};

struct work {
    struct recorder_thread *t;
    struct recorder_queue queue; /* emptied here while the loop fills the other one */
    struct track tracks[RECORDER_MARKETS];
    int64_t now_us, synced_us, retained_us; /* steady clock */
    int64_t heard_us;                       /* latest receive time: what segments age by */
};

static void
failed(struct work *w, struct track *k, const char *why)
{
    char ignored[RECORDING_WHY_BYTES];
    if (k->writer != NULL)
        recording_end(&k->writer, ignored);
    k->again_us = w->now_us + SECOND_US;
    k->wants_segment = false;
    pthread_mutex_lock(&w->t->lock);
    w->t->told.errors++;
    w->t->told.path[k - w->tracks][0] = '\0';
    snprintf(w->t->told.why, sizeof(w->t->told.why), "%s", why);
    pthread_mutex_unlock(&w->t->lock);
}

/* Asks the loop for a new segment: it cuts where the lines come in order. */
static void
segment_want(struct work *w, struct track *k)
{
    k->wants_segment = true;
    pthread_mutex_lock(&w->t->lock);
    w->t->told.wants_segment[k - w->tracks] = true;
    pthread_mutex_unlock(&w->t->lock);
}

static void
lost_add(struct work *w, struct track *k, uint64_t lines)
{
    k->lost += lines;
    pthread_mutex_lock(&w->t->lock);
    w->t->told.lost += lines;
    pthread_mutex_unlock(&w->t->lock);
}

static void
frame_end(struct work *w, struct track *k)
{
    char why[RECORDING_WHY_BYTES];
    if (k->length == 0)
        return;
    if (k->writer == NULL) {
        lost_add(w, k, k->frame.lines);
    } else {
        uint64_t before = recording_writer_bytes(k->writer);
        if (recording_put(k->writer, k->lines, k->length, &k->frame, why)) {
            k->is_dirty = true;
            pthread_mutex_lock(&w->t->lock);
            w->t->told.lines += k->frame.lines;
            w->t->told.plain_bytes += k->length;
            w->t->told.bytes += recording_writer_bytes(k->writer) - before;
            pthread_mutex_unlock(&w->t->lock);
            if (!k->wants_segment &&
                recording_writer_bytes(k->writer) >= (uint64_t)w->t->o.segment_bytes)
                segment_want(w, k);
        } else {
            lost_add(w, k, k->frame.lines);
            failed(w, k, why);
        }
    }
    k->length = 0;
    k->frame = (struct recording_frame){0};
}

static void
line_add(struct work *w, struct track *k, int64_t received_ns, const char *json, size_t length)
{
    if (k->length == 0)
        k->frame_us = w->now_us;
    char *at = k->lines + k->length;
    int head = snprintf(at, HEAD_MAX, "%lld ", (long long)received_ns);
    memcpy(at + head, json, length);
    at[(size_t)head + length] = '\n';
    recording_line(&k->frame, at, (size_t)head + length);
    k->length += (size_t)head + length + 1;
    if (k->length >= RECORDING_FRAME_BYTES)
        frame_end(w, k);
}

static void
segment_end(struct work *w, struct track *k)
{
    char why[RECORDING_WHY_BYTES];
    frame_end(w, k);
    if (k->writer != NULL && !recording_end(&k->writer, why))
        failed(w, k, why);
    k->is_dirty = false;
}

static void
segment_begin(struct work *w, uint32_t lane, int64_t received_ns)
{
    struct track *k = &w->tracks[lane];
    char why[RECORDING_WHY_BYTES], json[128];
    enum trading_type market = lane == 1 ? TRADING_TYPE_futures : TRADING_TYPE_spot;
    segment_end(w, k);
    k->writer = recording_create(w->t->o.folder, market, received_ns / 1000, why);
    if (k->writer == NULL) {
        failed(w, k, why);
        return;
    }
    k->wants_segment = false;
    pthread_mutex_lock(&w->t->lock);
    w->t->told.segments++;
    snprintf(w->t->told.path[lane], sizeof(w->t->told.path[lane]), "%s",
             recording_writer_path(k->writer));
    pthread_mutex_unlock(&w->t->lock);
    w->retained_us = 0;
    if (k->lost == 0)
        return;
    int n = snprintf(json, sizeof(json),
                     "{\"stream\":\"@scrip\",\"data\":{\"mark\":\"missed\",\"lines\":%llu}}",
                     (unsigned long long)k->lost);
    k->lost = 0;
    line_add(w, k, received_ns, json, (size_t)n);
}

static void
item_take(struct work *w, const struct recorder_item *item, const char *json)
{
    struct track *k = &w->tracks[item->market];
    if (item->received_ns / 1000 > w->heard_us)
        w->heard_us = item->received_ns / 1000;
    switch ((enum recorder_kind)item->kind) {
    case RECORDER_LINE:
        line_add(w, k, item->received_ns, json, item->length);
        return;
    case RECORDER_SEGMENT:
        segment_begin(w, item->market, item->received_ns);
        return;
    case RECORDER_BOOKS:
        frame_end(w, k);
        k->frame.begins_books = true;
        return;
    case RECORDER_BOOKS_DONE:
        k->frame.ends_books = true;
        return;
    }
}

static void
queue_take(struct work *w)
{
    struct recorder_item item;
    for (size_t at = 0; at < w->queue.length; at += sizeof(item) + item.length) {
        memcpy(&item, w->queue.bytes + at, sizeof(item));
        item_take(w, &item, w->queue.bytes + at + sizeof(item));
    }
    w->queue.length = 0;
}

/* What time does: frames that are old enough, the disk, a new try after a failure. */
static void
time_pass(struct work *w)
{
    char why[RECORDING_WHY_BYTES];
    const char *paths[RECORDER_MARKETS];
    bool syncs = w->now_us - w->synced_us >= SECOND_US;
    for (uint32_t i = 0; i < RECORDER_MARKETS; i++) {
        struct track *k = &w->tracks[i];
        if (k->length > 0 && w->now_us - k->frame_us >= SECOND_US - LOOK_MS * 1000)
            frame_end(w, k);
        if (syncs && k->is_dirty && k->writer != NULL && !recording_sync(k->writer, why))
            failed(w, k, why);
        if (syncs)
            k->is_dirty = false;
        if (k->again_us > 0 && w->now_us >= k->again_us) {
            k->again_us = 0;
            segment_want(w, k);
        }
        paths[i] = k->writer != NULL ? recording_writer_path(k->writer) : "";
    }
    if (syncs)
        w->synced_us = w->now_us;
    if (w->heard_us == 0 || (w->now_us - w->retained_us < RETAIN_US && w->retained_us != 0))
        return;
    w->retained_us = w->now_us;
    uint64_t deleted = recorder_retain(&w->t->o, paths, w->heard_us);
    pthread_mutex_lock(&w->t->lock);
    w->t->told.deleted += deleted;
    pthread_mutex_unlock(&w->t->lock);
}

/* Waits for lines and takes them over. Gives whether the recorder is to end. */
static bool
queue_wait(struct work *w)
{
    struct recorder_thread *t = w->t;
    int64_t until_us = loop_measure_us() + LOOK_MS * 1000;
    struct timespec until = {.tv_sec = until_us / SECOND_US,
                             .tv_nsec = until_us % SECOND_US * 1000};
    pthread_mutex_lock(&t->lock);
    int late = 0;
    while (!t->stops && t->queue.length < RECORDER_WAKE_BYTES && late == 0)
        late = pthread_cond_timedwait(&t->more, &t->lock, &until);
    struct recorder_queue full = t->queue;
    t->queue = w->queue;
    w->queue = full;
    t->has_signalled = false;
    bool stops = t->stops;
    pthread_mutex_unlock(&t->lock);
    return stops;
}

void *
recorder_thread_run(void *arg)
{
    struct work w = {.t = arg};
    for (uint32_t i = 0; i < RECORDER_MARKETS; i++) {
        w.tracks[i].lines = malloc(RECORDING_FRAME_BYTES + RECORDING_LINE_MAX + HEAD_MAX + 1);
        CHECK(w.tracks[i].lines != NULL);
    }
    for (bool stops = false; !stops;) {
        stops = queue_wait(&w);
        w.now_us = loop_measure_us();
        queue_take(&w);
        time_pass(&w);
    }
    for (uint32_t i = 0; i < RECORDER_MARKETS; i++) {
        segment_end(&w, &w.tracks[i]);
        free(w.tracks[i].lines);
    }
    free(w.queue.bytes);
    return NULL;
}

/* ---- Retention -------------------------------------------------------------------------- */

struct kept {
    char name[RECORDING_NAME_BYTES];
    int64_t start_us, last_us; /* last_us: last written to */
    int64_t bytes;
};

static int
by_start(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    return x->start_us < y->start_us ? -1 : x->start_us > y->start_us;
}

static struct kept *
folder_list(const char *folder, uint32_t *count)
{
    struct kept *list = NULL;
    DIR *dir = opendir(folder);
    *count = 0;
    if (dir == NULL)
        return NULL;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        enum trading_type market;
        struct kept k;
        struct stat s;
        if (!recording_name_read(e->d_name, &market, &k.start_us) ||
            fstatat(dirfd(dir), e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(s.st_mode))
            continue;
        memcpy(k.name, e->d_name, strlen(e->d_name) + 1); /* a name that was read is short */
        k.last_us = (int64_t)s.st_mtime * SECOND_US;
        k.bytes = (int64_t)s.st_size;
        if ((*count & (*count + 1)) == 0) {
            list = realloc(list, (2 * (size_t)*count + 1) * sizeof(*list));
            CHECK(list != NULL);
        }
        list[(*count)++] = k;
    }
    closedir(dir);
    return list;
}

uint64_t
recorder_retain(const struct recorder_options_copy *o, const char *const keep[RECORDER_MARKETS],
                int64_t now_us)
{
    uint32_t count;
    uint64_t deleted = 0;
    int64_t bytes = 0;
    if (o->keep_ms == 0 && o->keep_bytes == 0)
        return 0;
    struct kept *list = folder_list(o->folder, &count);
    if (list == NULL)
        return 0;
    qsort(list, count, sizeof(*list), by_start);
    for (uint32_t i = 0; i < count; i++)
        bytes += list[i].bytes;
    for (uint32_t i = 0; i < count; i++) {
        char path[RECORDER_FOLDER + RECORDING_NAME_BYTES + 1];
        snprintf(path, sizeof(path), "%s/%s", o->folder, list[i].name);
        bool is_old = o->keep_ms > 0 && list[i].last_us < now_us - o->keep_ms * 1000;
        bool is_much = o->keep_bytes > 0 && bytes > o->keep_bytes;
        if ((!is_old && !is_much) || strcmp(path, keep[0]) == 0 || strcmp(path, keep[1]) == 0)
            continue;
        if (unlink(path) == 0) {
            bytes -= list[i].bytes;
            deleted++;
        }
    }
    free(list);
    return deleted;
}
