/*
 * recording_read.c - a segment is read: by its index when it was closed, frame behind frame when
 * it was cut off.
 *
 * `in` is a window of the file that moves forward; a frame is unpacked once it lies there whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "market/recording_form.h"

#define WINDOW_BYTES (RECORDING_PLAIN_MAX + (64u << 10))

struct recording {
    int fd;               /* -1: of `bytes` */
    const uint8_t *bytes; /* NULL: of `fd` */
    uint64_t size;
    enum trading_type market;
    int64_t start_us;
    bool has_index, is_whole; /* an index that is there and not sound is not whole */
    uint64_t index_at;
    struct recording_frame *frames;
    uint32_t frame_count, frame_at; /* of a whole file: the next one */
    uint64_t at;                    /* where the next frame begins */
    uint8_t *in;
    uint64_t in_at;
    size_t in_count;
    char *plain;
    ZSTD_DCtx *zstd;
};

bool
recording_is_head(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    return length >= FORM_SKIP_BYTES + 8 && form_get_le(at) == FORM_SKIP_MAGIC &&
           memcmp(at + FORM_SKIP_BYTES, FORM_HEAD_TEXT, 8) == 0;
}

size_t
recording_take(const struct recording *r, uint64_t offset, void *out, size_t length)
{
    if (offset >= r->size)
        return 0;
    if (length > r->size - offset)
        length = (size_t)(r->size - offset);
    if (r->bytes != NULL) {
        memcpy(out, r->bytes + offset, length);
        return length;
    }
    size_t done = 0;
    while (done < length) {
        ssize_t n = pread(r->fd, (char *)out + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

static bool
head_read(struct recording *r)
{
    uint8_t head[FORM_HEAD_BYTES];
    if (recording_take(r, 0, head, sizeof(head)) != sizeof(head) ||
        !recording_is_head(head, sizeof(head)) || form_get_le(head + 4) != FORM_HEAD_PAYLOAD ||
        form_get(head + FORM_SKIP_BYTES + 8) != RECORDING_VERSION)
        return false;
    uint64_t market = form_get(head + FORM_SKIP_BYTES + 16);
    r->market = (enum trading_type)market;
    r->start_us = (int64_t)form_get(head + FORM_SKIP_BYTES + 24);
    r->at = FORM_HEAD_BYTES;
    return market == TRADING_TYPE_spot || market == TRADING_TYPE_futures;
}

/* Entries that lie one behind the other, from the head to the index. */
static bool
entries_read(struct recording *r, const uint8_t *at)
{
    uint64_t end = FORM_HEAD_BYTES;
    for (uint32_t i = 0; i < r->frame_count; i++, at += FORM_ENTRY_BYTES) {
        struct recording_frame *f = &r->frames[i];
        form_get_entry(at, f);
        if (f->offset != end || f->bytes == 0 || f->plain_bytes == 0 ||
            f->plain_bytes > RECORDING_PLAIN_MAX)
            return false;
        end += f->bytes;
    }
    return end == r->index_at;
}

static bool
index_sound(struct recording *r, const uint8_t *index, size_t bytes)
{
    uint8_t sha256[RECORDING_SHA256_BYTES];
    const uint8_t *tail = index + bytes - FORM_TAIL_BYTES;
    uint64_t count = form_get(index + FORM_SKIP_BYTES + 8);
    if (form_get_le(index) != FORM_INDEX_MAGIC ||
        form_get_le(index + 4) != bytes - FORM_SKIP_BYTES ||
        memcmp(index + FORM_SKIP_BYTES, FORM_INDEX_TEXT, 8) != 0 || count > RECORDING_FRAMES_MAX ||
        bytes != FORM_SKIP_BYTES + FORM_INDEX_HEAD + count * FORM_ENTRY_BYTES + FORM_TAIL_BYTES)
        return false;
    CHECK(EVP_Digest(index, (size_t)(tail - index), sha256, NULL, EVP_sha256(), NULL) == 1);
    if (memcmp(sha256, tail, sizeof(sha256)) != 0)
        return false;
    r->frame_count = (uint32_t)count;
    r->frames = calloc(count + 1, sizeof(*r->frames));
    CHECK(r->frames != NULL);
    return entries_read(r, index + FORM_SKIP_BYTES + FORM_INDEX_HEAD);
}

/* A file that was closed says at its very end how long its index is. */
static void
index_read(struct recording *r)
{
    uint8_t end[16];
    if (r->size < FORM_HEAD_BYTES + sizeof(end) ||
        recording_take(r, r->size - sizeof(end), end, sizeof(end)) != sizeof(end) ||
        memcmp(end + 8, FORM_END_TEXT, 8) != 0)
        return;
    uint64_t bytes = form_get(end);
    r->has_index = true;
    if (bytes < FORM_SKIP_BYTES + FORM_INDEX_HEAD + FORM_TAIL_BYTES ||
        bytes > r->size - FORM_HEAD_BYTES)
        return;
    r->index_at = r->size - bytes;
    uint8_t *index = malloc(bytes);
    CHECK(index != NULL);
    r->is_whole =
        recording_take(r, r->index_at, index, bytes) == bytes && index_sound(r, index, bytes);
    free(index);
    if (!r->is_whole)
        r->frame_count = 0;
}

static struct recording *
open_either(struct recording *r, const char *about, char *why)
{
    if (!head_read(r)) {
        snprintf(why, RECORDING_WHY_BYTES, "%.180s: no recording of version %u", about,
                 RECORDING_VERSION);
        recording_close(&r);
        return NULL;
    }
    index_read(r);
    r->in = malloc(WINDOW_BYTES);
    r->plain = malloc(RECORDING_PLAIN_MAX);
    r->zstd = ZSTD_createDCtx();
    CHECK(r->in != NULL && r->plain != NULL && r->zstd != NULL);
    return r;
}

struct recording *
recording_open(const char *path, char why[RECORDING_WHY_BYTES])
{
    struct recording *r = calloc(1, sizeof(*r));
    CHECK(r != NULL);
    struct stat s;
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 || fstat(r->fd, &s) != 0) {
        snprintf(why, RECORDING_WHY_BYTES, "%.180s: %s", path, strerror(errno));
        recording_close(&r);
        return NULL;
    }
    r->size = (uint64_t)s.st_size;
    return open_either(r, path, why);
}

struct recording *
recording_open_bytes(const void *bytes, size_t length, char why[RECORDING_WHY_BYTES])
{
    struct recording *r = calloc(1, sizeof(*r));
    CHECK(r != NULL);
    r->fd = -1;
    r->bytes = bytes;
    r->size = length;
    return open_either(r, "the bytes", why);
}

void
recording_close(struct recording **r)
{
    if (*r == NULL)
        return;
    if ((*r)->fd >= 0)
        close((*r)->fd);
    ZSTD_freeDCtx((*r)->zstd);
    free((*r)->frames);
    free((*r)->in);
    free((*r)->plain);
    free(*r);
    *r = NULL;
}

enum trading_type
recording_type(const struct recording *r)
{
    return r->market;
}

int64_t
recording_start_us(const struct recording *r)
{
    return r->start_us;
}

uint64_t
recording_bytes(const struct recording *r)
{
    return r->size;
}

bool
recording_is_whole(const struct recording *r)
{
    return r->is_whole;
}

bool
recording_has_index(const struct recording *r)
{
    return r->has_index;
}

const struct recording_frame *
recording_frames(const struct recording *r, uint32_t *count)
{
    *count = r->frame_count;
    return r->frames;
}

/* ---- Frames ----------------------------------------------------------------------------- */

static enum recording_result
wrong(const struct recording *r, const char *what, char *why)
{
    snprintf(why, RECORDING_WHY_BYTES, "the frame at byte %llu %s", (unsigned long long)r->at,
             what);
    return RECORDING_WRONG;
}

/* The next frame in the window; 0 when it is not whole there, even with the window at it. */
static size_t
frame_find(struct recording *r, const uint8_t **frame, bool *is_cut)
{
    for (int tries = 0; tries < 2; tries++) {
        if (r->at >= r->in_at && r->at - r->in_at < r->in_count) {
            size_t skip = (size_t)(r->at - r->in_at);
            *frame = r->in + skip;
            size_t n = ZSTD_findFrameCompressedSize(*frame, r->in_count - skip);
            if (!ZSTD_isError(n))
                return n;
            *is_cut = ZSTD_getErrorCode(n) == ZSTD_error_srcSize_wrong;
        }
        if (tries == 0) {
            r->in_at = r->at;
            r->in_count = recording_take(r, r->at, r->in, WINDOW_BYTES);
        }
    }
    return 0;
}

/* A machine that lost its power leaves zeros where lines were to be. */
static bool
is_zeros(const struct recording *r)
{
    for (size_t i = (size_t)(r->at - r->in_at); i < r->in_count; i++) {
        if (r->in[i] != 0)
            return false;
    }
    return true;
}

static enum recording_result
unpack(struct recording *r, const uint8_t *frame, size_t bytes, size_t *length, char *why)
{
    unsigned long long plain = ZSTD_getFrameContentSize(frame, bytes);
    if (plain == 0 || plain > RECORDING_PLAIN_MAX) /* unknown and wrong sizes are huge */
        return wrong(r, "is none of a recording", why);
    *length = ZSTD_decompressDCtx(r->zstd, r->plain, RECORDING_PLAIN_MAX, frame, bytes);
    if (ZSTD_isError(*length))
        return wrong(r, ZSTD_getErrorName(*length), why);
    if (*length != plain || r->plain[*length - 1] != '\n')
        return wrong(r, "does not end with a line", why);
    return RECORDING_FRAME;
}

/* Beyond the last frame of a file without an index. */
static enum recording_result
torn_end(const struct recording *r, bool is_cut, char *why)
{
    return is_cut || r->in_count == 0 || is_zeros(r) ? RECORDING_END
                                                     : wrong(r, "cannot be read", why);
}

enum recording_result
recording_next(struct recording *r, const char **lines, size_t *length, struct recording_frame *f,
               char why[RECORDING_WHY_BYTES])
{
    const uint8_t *frame;
    bool is_cut = false;
    if (r->is_whole ? r->frame_at == r->frame_count : r->at >= r->size)
        return RECORDING_END;
    size_t bytes = frame_find(r, &frame, &is_cut);
    if (bytes == 0)
        return r->is_whole ? wrong(r, "cannot be read", why) : torn_end(r, is_cut, why);
    if (!r->is_whole && form_get_le(frame) == FORM_INDEX_MAGIC)
        return RECORDING_END;
    enum recording_result result = unpack(r, frame, bytes, length, why);
    if (result != RECORDING_FRAME)
        return result;
    *f = r->is_whole ? r->frames[r->frame_at++] : (struct recording_frame){.offset = r->at};
    if (r->is_whole && (f->bytes != bytes || f->plain_bytes != *length))
        return wrong(r, "is not as the index says", why);
    f->bytes = (uint32_t)bytes;
    f->plain_bytes = (uint32_t)*length;
    *lines = r->plain;
    r->at += bytes;
    return RECORDING_FRAME;
}

void
recording_seek(struct recording *r, uint32_t frame)
{
    r->frame_at = frame < r->frame_count ? frame : r->frame_count;
    r->at = frame < r->frame_count ? r->frames[frame].offset : FORM_HEAD_BYTES;
}

uint32_t
recording_frame_for(const struct recording *r, int64_t to_us)
{
    uint32_t begin = 0, best = 0;
    for (uint32_t i = 0; i < r->frame_count && r->frames[i].first_us <= to_us; i++) {
        if (r->frames[i].begins_books)
            begin = i;
        if (r->frames[i].ends_books && r->frames[i].last_us <= to_us)
            best = begin;
    }
    return best;
}
