/*
 * anchor_set.c - many anchors held against each other; see anchor.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/anchor.h"

#define READ_BYTES (16 * ANCHOR_TEXT_MAX)

struct anchors {
    const struct anchor_keys *keys;
    struct anchor *list;
    uint32_t count, room;
    struct anchor_point *points;
    uint32_t points_count;
    uint64_t missing;
};

struct anchors *
anchors_new(const struct anchor_keys *keys)
{
    struct anchors *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    a->keys = keys;
    return a;
}

void
anchors_destroy(struct anchors **a)
{
    if (*a == NULL)
        return;
    free((*a)->list);
    free((*a)->points);
    free(*a);
    *a = NULL;
}

static void
grow(struct anchors *a)
{
    if (a->count < a->room)
        return;
    a->room = a->room == 0 ? 64 : a->room * 2;
    a->list = realloc(a->list, a->room * sizeof *a->list);
    CHECK(a->list != NULL);
}

/* ---- Adding ------------------------------------------------------------------------------- */

/* The anchor at the beginning of the text; its length, 0 and why. */
static size_t
add_one(struct anchors *a, const char *name, const char *text, size_t length,
        char why[ANCHOR_WHY_BYTES])
{
    size_t used = 0;
    grow(a);
    struct anchor *one = &a->list[a->count];
    if (!anchor_read(text, length, one, &used)) {
        snprintf(why, ANCHOR_WHY_BYTES, "%s: what should be an anchor is malformed", name);
        return 0;
    }
    switch (anchor_check(a->keys, text, used, one)) {
    case ANCHOR_HOLDS:
        a->count++;
        return used;
    case ANCHOR_KEY_UNKNOWN:
        snprintf(why, ANCHOR_WHY_BYTES,
                 "%s: anchor %" PRIu64 " of group %" PRIu32 " is signed with another key", name,
                 one->number, one->group);
        return 0;
    case ANCHOR_FORGED:
        snprintf(why, ANCHOR_WHY_BYTES,
                 "%s: the signature of anchor %" PRIu64 " of group %" PRIu32 " does not hold", name,
                 one->number, one->group);
        return 0;
    }
    CHECK(false);
}

bool
anchors_add(struct anchors *a, const char *name, const char *text, size_t length,
            char why[ANCHOR_WHY_BYTES])
{
    for (size_t at = 0; at < length;) {
        size_t used = add_one(a, name, text + at, length - at, why);
        if (used == 0)
            return false;
        at += used;
    }
    return true;
}

/* Fills the buffer up; false when the file cannot be read. */
static bool
refill(int fd, char *buffer, size_t *have, bool *is_end)
{
    while (*have < READ_BYTES && !*is_end) {
        ssize_t got = read(fd, buffer + *have, READ_BYTES - *have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        *is_end = got == 0;
        *have += (size_t)got;
    }
    return true;
}

static bool
add_all(struct anchors *a, int fd, const char *path, char *buffer, char why[ANCHOR_WHY_BYTES])
{
    size_t have = 0;
    bool is_end = false;
    do {
        if (!refill(fd, buffer, &have, &is_end)) {
            snprintf(why, ANCHOR_WHY_BYTES, "%s: %s", path, strerror(errno));
            return false;
        }
        size_t at = 0;
        /* Nearer to the end of the buffer the rest of an anchor may not have been read yet. */
        while (at < have && (is_end || have - at >= ANCHOR_TEXT_MAX)) {
            size_t used = add_one(a, path, buffer + at, have - at, why);
            if (used == 0)
                return false;
            at += used;
        }
        have -= at;
        memmove(buffer, buffer + at, have);
    } while (!is_end || have > 0);
    return true;
}

bool
anchors_add_file(struct anchors *a, const char *path, char why[ANCHOR_WHY_BYTES])
{
    uint32_t before = a->count;
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(why, ANCHOR_WHY_BYTES, "%s: %s", path, strerror(errno));
        return false;
    }
    char *buffer = malloc(READ_BYTES);
    CHECK(buffer != NULL);
    bool ok = add_all(a, fd, path, buffer, why);
    free(buffer);
    close(fd);
    if (ok && a->count == before) {
        snprintf(why, ANCHOR_WHY_BYTES, "%s: there is no anchor in it", path);
        return false;
    }
    return ok;
}

/* ---- Judging ------------------------------------------------------------------------------ */

static int
by_number(const void *left, const void *right)
{
    const struct anchor *a = left, *b = right;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static int
by_record(const void *left, const void *right)
{
    const struct anchor_point *a = left, *b = right;
    if (a->shard != b->shard)
        return a->shard < b->shard ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return a->time_us < b->time_us ? -1 : a->time_us > b->time_us;
}

/* The same anchor from two files is one. */
static void
drop_copies(struct anchors *a)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        if (kept > 0 && memcmp(a->list[kept - 1].digest, a->list[i].digest, HASH_BYTES) == 0)
            continue;
        if (kept != i)
            a->list[kept] = a->list[i];
        kept++;
    }
    a->count = kept;
}

/* NULL, or what of `later` contradicts `earlier`, of the same group. */
static const char *
contradiction(const struct anchor *earlier, const struct anchor *later, uint32_t *shard)
{
    *shard = ANCHOR_SHARDS_MAX;
    if (later->number == earlier->number)
        return "there is another one of this number";
    if (later->number == earlier->number + 1 &&
        memcmp(later->previous, earlier->digest, HASH_BYTES) != 0)
        return "it follows another anchor than the one before it";
    if (later->epoch < earlier->epoch)
        return "its epoch is lower than before";
    for (uint32_t i = 0, k = 0; i < earlier->heads_count; i++) {
        const struct anchor_point *was = &earlier->heads[i];
        while (k < later->heads_count && later->heads[k].shard < was->shard)
            k++;
        if (k == later->heads_count || later->heads[k].shard != was->shard)
            continue;
        *shard = was->shard;
        if (later->heads[k].seq < was->seq)
            return "the shard's last record is before the one anchored earlier";
    }
    return NULL;
}

static bool
judge_chain(struct anchors *a, char why[ANCHOR_WHY_BYTES])
{
    a->missing = 0;
    for (uint32_t i = 1; i < a->count; i++) {
        const struct anchor *earlier = &a->list[i - 1], *later = &a->list[i];
        uint32_t shard;
        if (later->group != earlier->group)
            continue;
        const char *what = contradiction(earlier, later, &shard);
        if (what != NULL) {
            int length = snprintf(why, ANCHOR_WHY_BYTES, "anchor %" PRIu64 " of group %" PRIu32,
                                  later->number, later->group);
            if (shard < ANCHOR_SHARDS_MAX)
                length += snprintf(why + length, ANCHOR_WHY_BYTES - (size_t)length,
                                   ", shard %" PRIu32, shard);
            snprintf(why + length, ANCHOR_WHY_BYTES - (size_t)length, ": %s", what);
            return false;
        }
        a->missing += later->number - earlier->number - 1;
    }
    return true;
}

static bool
gather_points(struct anchors *a, char why[ANCHOR_WHY_BYTES])
{
    size_t total = 0, kept = 0;
    for (uint32_t i = 0; i < a->count; i++)
        total += a->list[i].heads_count;
    free(a->points);
    a->points_count = 0;
    struct anchor_point *points = a->points = calloc(total + 1, sizeof *points);
    CHECK(points != NULL);
    for (uint32_t i = 0; i < a->count; i++) {
        memcpy(points + kept, a->list[i].heads, a->list[i].heads_count * sizeof *points);
        kept += a->list[i].heads_count;
    }
    qsort(points, total, sizeof *points, by_record);
    kept = 0;
    for (size_t i = 0; i < total; i++) {
        const struct anchor_point *last = kept == 0 ? NULL : &points[kept - 1];
        if (last == NULL || last->shard != points[i].shard || last->seq != points[i].seq) {
            points[kept++] = points[i];
        } else if (memcmp(last->hash, points[i].hash, HASH_BYTES) != 0) {
            snprintf(why, ANCHOR_WHY_BYTES,
                     "shard %u record %" PRIu64 ": two anchors have different hashes of it",
                     (unsigned)last->shard, last->seq);
            return false;
        }
    }
    a->points_count = (uint32_t)kept;
    return true;
}

bool
anchors_judge(struct anchors *a, char why[ANCHOR_WHY_BYTES])
{
    if (a->count > 0)
        qsort(a->list, a->count, sizeof *a->list, by_number);
    drop_copies(a);
    return judge_chain(a, why) && gather_points(a, why);
}

/* ---- Asking ------------------------------------------------------------------------------- */

uint32_t
anchors_count(const struct anchors *a)
{
    return a->count;
}

const struct anchor *
anchors_at(const struct anchors *a, uint32_t i)
{
    CHECK(i < a->count);
    return &a->list[i];
}

uint64_t
anchors_missing(const struct anchors *a)
{
    return a->missing;
}

const struct anchor_point *
anchors_points(const struct anchors *a, uint32_t *count)
{
    *count = a->points_count;
    return a->points;
}

/* How many points stand before (shard, seq). */
static uint32_t
points_before(const struct anchors *a, uint32_t shard, uint64_t seq)
{
    uint32_t low = 0, high = a->points_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct anchor_point *p = &a->points[middle];
        if (p->shard < shard || (p->shard == shard && p->seq < seq))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct anchor_point *
anchors_find(const struct anchors *a, uint16_t shard, uint64_t seq)
{
    uint32_t i = points_before(a, shard, seq);
    bool is_it = i < a->points_count && a->points[i].shard == shard && a->points[i].seq == seq;
    return is_it ? &a->points[i] : NULL;
}

const struct anchor_point *
anchors_last(const struct anchors *a, uint16_t shard)
{
    uint32_t i = points_before(a, shard + 1u, 0);
    return i > 0 && a->points[i - 1].shard == shard ? &a->points[i - 1] : NULL;
}
