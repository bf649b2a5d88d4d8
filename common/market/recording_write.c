/*
 * recording_write.c - a segment is made: head, frames as they come, the index at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "market/recording_form.h"

#define LEVEL      3
#define PATH_BYTES 512u

struct recording_writer {
    char path[PATH_BYTES];
    int fd;
    bool has_failed;
    uint64_t bytes; /* in the file, all of them whole */
    ZSTD_CCtx *zstd;
    EVP_MD_CTX *sha256;
    uint8_t *packed;
    size_t packed_max;
    struct recording_frame *frames;
    uint32_t frame_count, frame_room;
};

static bool
fail(struct recording_writer *w, const char *what, char *why)
{
    w->has_failed = true;
    snprintf(why, RECORDING_WHY_BYTES, "%.200s: %s", w->path, what);
    return false;
}

/* All of it, or the file is cut back to what it was: a disk that is full takes a part. */
static bool
put(struct recording_writer *w, const void *bytes, size_t length, char *why)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n = write(w->fd, (const char *)bytes + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            const char *what = n < 0 ? strerror(errno) : "nothing was written";
            if (done > 0 && ftruncate(w->fd, (off_t)w->bytes) != 0)
                what = "a part of a frame stands at its end";
            return fail(w, what, why);
        }
        done += (size_t)n;
    }
    CHECK(EVP_DigestUpdate(w->sha256, bytes, length) == 1);
    w->bytes += length;
    return true;
}

static bool
head_put(struct recording_writer *w, enum trading_type market, int64_t start_us, char *why)
{
    uint8_t head[FORM_HEAD_BYTES];
    form_put_skip(head, FORM_SKIP_MAGIC, FORM_HEAD_PAYLOAD);
    memcpy(head + FORM_SKIP_BYTES, FORM_HEAD_TEXT, 8);
    form_put(head + FORM_SKIP_BYTES + 8, RECORDING_VERSION);
    form_put(head + FORM_SKIP_BYTES + 16, (uint64_t)market);
    form_put(head + FORM_SKIP_BYTES + 24, (uint64_t)start_us);
    return put(w, head, sizeof(head), why);
}

static void
writer_free(struct recording_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    ZSTD_freeCCtx(w->zstd);
    EVP_MD_CTX_free(w->sha256);
    free(w->packed);
    free(w->frames);
    free(w);
}

/* A name that is there is never written to: its time moves on by a microsecond. */
static bool
file_make(struct recording_writer *w, const char *folder, enum trading_type market,
          int64_t *start_us, char *why)
{
    for (int tries = 0; tries < 1000; tries++) {
        char name[RECORDING_NAME_BYTES];
        recording_name(market, *start_us, name);
        int length = snprintf(w->path, sizeof(w->path), "%s/%s", folder, name);
        CHECK(length > 0 && (size_t)length < sizeof(w->path));
        w->fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (w->fd >= 0)
            return true;
        if (errno != EEXIST)
            break;
        ++*start_us;
    }
    return fail(w, strerror(errno), why);
}

struct recording_writer *
recording_create(const char *folder, enum trading_type market, int64_t start_us,
                 char why[RECORDING_WHY_BYTES])
{
    struct recording_writer *w = calloc(1, sizeof(*w));
    CHECK(w != NULL);
    w->zstd = ZSTD_createCCtx();
    w->sha256 = EVP_MD_CTX_new();
    w->packed_max = ZSTD_compressBound(RECORDING_PLAIN_MAX);
    w->packed = malloc(w->packed_max);
    CHECK(w->zstd != NULL && w->sha256 != NULL && w->packed != NULL);
    CHECK(EVP_DigestInit_ex(w->sha256, EVP_sha256(), NULL) == 1);
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL)) &&
          !ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1)));
    if (file_make(w, folder, market, &start_us, why)) {
        if (head_put(w, market, start_us, why))
            return w;
        unlink(w->path);
    }
    writer_free(w);
    return NULL;
}

static void
frame_keep(struct recording_writer *w, const struct recording_frame *f)
{
    if (w->frame_count == w->frame_room) {
        w->frame_room = w->frame_room == 0 ? 1024 : 2 * w->frame_room;
        w->frames = realloc(w->frames, w->frame_room * sizeof(*w->frames));
        CHECK(w->frames != NULL);
    }
    w->frames[w->frame_count++] = *f;
}

bool
recording_put(struct recording_writer *w, const char *lines, size_t length,
              const struct recording_frame *told, char why[RECORDING_WHY_BYTES])
{
    CHECK(length > 0 && length <= RECORDING_PLAIN_MAX);
    if (w->has_failed || w->frame_count == RECORDING_FRAMES_MAX)
        return fail(w, "takes no more", why);
    size_t n = ZSTD_compress2(w->zstd, w->packed, w->packed_max, lines, length);
    CHECK(!ZSTD_isError(n));
    struct recording_frame f = *told;
    f.offset = w->bytes;
    f.bytes = (uint32_t)n;
    f.plain_bytes = (uint32_t)length;
    if (!put(w, w->packed, n, why))
        return false;
    frame_keep(w, &f);
    return true;
}

bool
recording_sync(struct recording_writer *w, char why[RECORDING_WHY_BYTES])
{
    return !w->has_failed && (fdatasync(w->fd) == 0 || fail(w, strerror(errno), why));
}

static void
digest(EVP_MD_CTX *sha256, uint8_t out[RECORDING_SHA256_BYTES])
{
    unsigned length = 0;
    CHECK(EVP_DigestFinal_ex(sha256, out, &length) == 1 && length == RECORDING_SHA256_BYTES);
}

static bool
index_put(struct recording_writer *w, char *why)
{
    size_t body = FORM_INDEX_HEAD + (size_t)w->frame_count * FORM_ENTRY_BYTES;
    size_t bytes = FORM_SKIP_BYTES + body + FORM_TAIL_BYTES;
    uint8_t *index = malloc(bytes), *at = index + FORM_SKIP_BYTES;
    CHECK(index != NULL);
    form_put_skip(index, FORM_INDEX_MAGIC, (uint32_t)(bytes - FORM_SKIP_BYTES));
    memcpy(at, FORM_INDEX_TEXT, 8);
    form_put(at + 8, w->frame_count);
    at += FORM_INDEX_HEAD;
    for (uint32_t i = 0; i < w->frame_count; i++, at += FORM_ENTRY_BYTES)
        form_put_entry(at, &w->frames[i]);
    CHECK(EVP_Digest(index, (size_t)(at - index), at, NULL, EVP_sha256(), NULL) == 1);
    at += RECORDING_SHA256_BYTES;
    /* Of every byte of the file before it. */
    EVP_MD_CTX *all = EVP_MD_CTX_new();
    CHECK(all != NULL && EVP_MD_CTX_copy_ex(all, w->sha256) == 1 &&
          EVP_DigestUpdate(all, index, (size_t)(at - index)) == 1);
    digest(all, at);
    EVP_MD_CTX_free(all);
    at = form_put(at + RECORDING_SHA256_BYTES, bytes);
    memcpy(at, FORM_END_TEXT, 8);
    bool done = put(w, index, bytes, why);
    free(index);
    return done;
}

bool
recording_end(struct recording_writer **w, char why[RECORDING_WHY_BYTES])
{
    bool done = !(*w)->has_failed && index_put(*w, why) &&
                (fsync((*w)->fd) == 0 || fail(*w, strerror(errno), why));
    writer_free(*w);
    *w = NULL;
    return done;
}

const char *
recording_writer_path(const struct recording_writer *w)
{
    return w->path;
}

uint64_t
recording_writer_bytes(const struct recording_writer *w)
{
    return w->bytes;
}
