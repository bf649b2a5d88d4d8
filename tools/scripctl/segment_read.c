/*
 * segment_read.c - the reading half of segment.h.
 *
 * Contents are taken in by large steps into one buffer, and records are lent from there. What a
 * file says is not believed: each number is checked before it is used.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/segment_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/check.h"

#define IN_BYTES     (1u << 17)
#define BUFFER_BYTES (1u << 18)

struct segment_reader {
    struct segment s;
    char name[SEGMENT_NAME_BYTES];
    char *why;
    /* A file, or -1 and nothing more comes than is in the buffer. */
    int fd;
    ZSTD_DCtx *zstd;
    uint8_t *in;
    ZSTD_inBuffer in_buffer;
    size_t hint;  /* 0: the frame has ended */
    bool is_read; /* nothing more is in the file */

    uint8_t *bytes;
    size_t at, end, room;
    uint64_t next;
    uint8_t last_hash[HASH_BYTES];
};

static enum records_result
fail(const struct segment_reader *r, const char *what)
{
    snprintf(r->why, WHY_BYTES, "%s: %s", r->name, what);
    return RECORDS_FAILED;
}

static enum records_result
fail_at(const struct segment_reader *r, const char *what)
{
    snprintf(r->why, WHY_BYTES, "%s: record %" PRIu64 " of shard %u %s", r->name, r->next,
             r->s.shard, what);
    return RECORDS_FAILED;
}

/* ---- Bytes -------------------------------------------------------------------------------- */

/* At least one more byte of the contents, unless they end there; false, and why. */
static bool
decompress(struct segment_reader *r)
{
    ZSTD_outBuffer out = {r->bytes + r->end, r->room - r->end, 0};
    while (out.pos == 0 && r->fd >= 0) {
        if (r->in_buffer.pos == r->in_buffer.size && !r->is_read) {
            ssize_t got = read(r->fd, r->in, IN_BYTES);
            if (got < 0)
                return fail(r, strerror(errno)) == RECORDS_ONE;
            r->is_read = got == 0;
            r->in_buffer = (ZSTD_inBuffer){r->in, (size_t)got, 0};
        }
        if (r->is_read && r->hint == 0)
            break;
        size_t before = r->in_buffer.pos;
        r->hint = ZSTD_decompressStream(r->zstd, &out, &r->in_buffer);
        if (ZSTD_isError(r->hint))
            return fail(r, ZSTD_getErrorName(r->hint)) == RECORDS_ONE;
        if (r->is_read && out.pos == 0 && r->in_buffer.pos == before && r->hint != 0)
            return fail(r, "it ends in the middle") == RECORDS_ONE;
    }
    r->end += out.pos;
    return true;
}

/* That many bytes stand at `at`; false, and why, when there are fewer. */
static bool
need(struct segment_reader *r, size_t length)
{
    if (r->end - r->at >= length)
        return true;
    if (r->fd < 0)
        return fail_at(r, "is cut short") == RECORDS_ONE;
    memmove(r->bytes, r->bytes + r->at, r->end - r->at);
    r->end -= r->at;
    r->at = 0;
    if (length > r->room) {
        r->room = 2 * length;
        r->bytes = realloc(r->bytes, r->room);
        CHECK(r->bytes != NULL);
    }
    while (r->end < length) {
        size_t had = r->end;
        if (!decompress(r))
            return false;
        if (r->end == had)
            return fail_at(r, "is cut short") == RECORDS_ONE;
    }
    return true;
}

static uint64_t
number(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap64(value);
}

/* ---- Opening ------------------------------------------------------------------------------ */

static bool
head_read(struct segment_reader *r)
{
    const struct segment *s = &r->s;
    if (!need(r, SEGMENT_HEAD_BYTES))
        return false;
    const uint8_t *at = r->bytes + r->at;
    if (memcmp(at, SEGMENT_MAGIC, 8) != 0)
        return fail(r, "it is no segment of a journal") == RECORDS_ONE;
    if (number(at + 8) != SEGMENT_VERSION)
        return fail(r, "it is of another version") == RECORDS_ONE;
    if (number(at + 16) != s->shard || number(at + 24) != s->first || number(at + 32) != s->last ||
        memcmp(at + 40, s->before, HASH_BYTES) != 0)
        return fail(r, "its head is not what the manifest says") == RECORDS_ONE;
    r->at += SEGMENT_HEAD_BYTES;
    return true;
}

static struct segment_reader *
reader_new(const struct segment *s, char why[WHY_BYTES])
{
    struct segment_reader *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->s = *s;
    r->why = why;
    r->fd = -1;
    r->next = s->first;
    segment_name(s, r->name);
    return r;
}

/* The file's size and SHA-256 are the manifest's. */
static bool
file_check(struct segment_reader *r)
{
    uint8_t digest[HASH_BYTES];
    unsigned length = 0;
    uint64_t bytes = 0;
    ssize_t got;
    EVP_MD_CTX *sha256 = EVP_MD_CTX_new();
    CHECK(sha256 != NULL && EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) == 1);
    while ((got = read(r->fd, r->in, IN_BYTES)) > 0) {
        CHECK(EVP_DigestUpdate(sha256, r->in, (size_t)got) == 1);
        bytes += (uint64_t)got;
    }
    CHECK(EVP_DigestFinal_ex(sha256, digest, &length) == 1 && length == HASH_BYTES);
    EVP_MD_CTX_free(sha256);
    if (got < 0 || lseek(r->fd, 0, SEEK_SET) != 0)
        return fail(r, strerror(errno)) == RECORDS_ONE;
    if (bytes != r->s.bytes)
        return fail(r, "its size is not what the manifest says") == RECORDS_ONE;
    return memcmp(digest, r->s.sha256, HASH_BYTES) == 0 ||
           fail(r, "its SHA-256 is not what the manifest says") == RECORDS_ONE;
}

struct segment_reader *
segment_open(const char *folder, const struct segment *s, char why[WHY_BYTES])
{
    struct segment_reader *r = reader_new(s, why);
    r->room = BUFFER_BYTES;
    r->bytes = malloc(r->room);
    r->in = malloc(IN_BYTES);
    r->zstd = ZSTD_createDCtx();
    CHECK(r->bytes != NULL && r->in != NULL && r->zstd != NULL);
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", folder, r->name);
    if (length > 0 && (size_t)length < sizeof path)
        r->fd = open(path, O_RDONLY | O_CLOEXEC);
    else
        errno = ENAMETOOLONG;
    if (r->fd < 0)
        (void)fail(r, strerror(errno));
    r->hint = 1;
    if (r->fd < 0 || !file_check(r) || !head_read(r))
        segment_reader_end(&r);
    return r;
}

struct segment_reader *
segment_open_bytes(const struct segment *s, const uint8_t *bytes, size_t length,
                   char why[WHY_BYTES])
{
    struct segment_reader *r = reader_new(s, why);
    r->room = r->end = length;
    r->bytes = malloc(length + 1);
    CHECK(r->bytes != NULL);
    memcpy(r->bytes, bytes, length);
    if (!head_read(r))
        segment_reader_end(&r);
    return r;
}

void
segment_reader_end(struct segment_reader **r)
{
    if (*r == NULL)
        return;
    if ((*r)->fd >= 0)
        close((*r)->fd);
    ZSTD_freeDCtx((*r)->zstd);
    free((*r)->in);
    free((*r)->bytes);
    free(*r);
    *r = NULL;
}

/* ---- Records ------------------------------------------------------------------------------ */

/* A text of the process, then NULs to the end. */
static bool
source_read(const uint8_t *at, code_t *out)
{
    memcpy(out->text, at, CODE_BYTES);
    size_t length = strnlen(out->text, CODE_BYTES);
    for (size_t i = length; i < CODE_BYTES; i++)
        if (out->text[i] != '\0')
            return false;
    return length < CODE_BYTES;
}

static enum records_result
end_read(struct segment_reader *r)
{
    if (r->at == r->end && r->fd >= 0) {
        r->at = r->end = 0;
        if (!decompress(r))
            return RECORDS_FAILED;
    }
    if (r->at < r->end)
        return fail(r, "something stands behind its last record");
    if (memcmp(r->last_hash, r->s.hash, HASH_BYTES) != 0)
        return fail(r, "its last record is not the one that the manifest says");
    return RECORDS_END;
}

enum records_result
segment_next(struct segment_reader *r, struct journal_record *out)
{
    if (r->next > r->s.last)
        return end_read(r);
    if (!need(r, SEGMENT_RECORD_BYTES))
        return RECORDS_FAILED;
    const uint8_t *at = r->bytes + r->at;
    uint64_t length = number(at), shard = number(at + 48), seq = number(at + 56);
    uint64_t kind = number(at + 72);
    if (length > SEGMENT_PAYLOAD_MAX || kind > UINT32_MAX || shard != r->s.shard || seq != r->next)
        return fail_at(r, "is malformed");
    if (!need(r, SEGMENT_RECORD_BYTES + (size_t)length))
        return RECORDS_FAILED;
    at = r->bytes + r->at;
    *out = (struct journal_record){
        .shard = r->s.shard,
        .kind = (uint32_t)kind,
        .seq = seq,
        .time_us = (int64_t)number(at + 64),
        .corr = number(at + 80 + CODE_BYTES),
        .payload = at + SEGMENT_RECORD_BYTES,
        .payload_length = (uint32_t)length,
        .epoch = number(at + 8),
    };
    memcpy(out->hash, at + 16, HASH_BYTES);
    if (!source_read(at + 80, &out->source))
        return fail_at(r, "is malformed");
    memcpy(r->last_hash, out->hash, HASH_BYTES);
    r->at += SEGMENT_RECORD_BYTES + (size_t)length;
    r->next++;
    return RECORDS_ONE;
}
