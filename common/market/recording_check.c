/*
 * recording_check.c - a segment is read through and held against its checksum and its index.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "market/recording_form.h"

static bool
fail(char *why, const char *what)
{
    snprintf(why, RECORDING_WHY_BYTES, "%s", what);
    return false;
}

/* The SHA-256 at the end of the file covers every byte before it. */
static bool
sha256_right(struct recording *r)
{
    enum { PIECE = 1 << 16 };
    uint8_t said[RECORDING_SHA256_BYTES], found[RECORDING_SHA256_BYTES], *piece = malloc(PIECE);
    EVP_MD_CTX *sha256 = EVP_MD_CTX_new();
    CHECK(piece != NULL && sha256 != NULL && EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) == 1);
    uint64_t end = recording_bytes(r) - RECORDING_SHA256_BYTES - 16, at = 0;
    bool is_read = true;
    while (at < end && is_read) {
        size_t n = end - at < PIECE ? (size_t)(end - at) : PIECE;
        is_read = recording_take(r, at, piece, n) == n;
        CHECK(EVP_DigestUpdate(sha256, piece, n) == 1);
        at += n;
    }
    CHECK(EVP_DigestFinal_ex(sha256, found, NULL) == 1);
    EVP_MD_CTX_free(sha256);
    free(piece);
    return is_read && recording_take(r, end, said, sizeof(said)) == sizeof(said) &&
           memcmp(said, found, sizeof(said)) == 0;
}

/* What the lines of a frame say of it. */
static void
frame_tell(const char *lines, size_t length, struct recording_frame *f)
{
    const char *end = lines + length;
    while (lines < end) {
        const char *newline = memchr(lines, '\n', (size_t)(end - lines));
        recording_line(f, lines, (size_t)(newline - lines));
        lines = newline + 1;
    }
}

static bool
same(const struct recording_frame *a, const struct recording_frame *b)
{
    return a->first_us == b->first_us && a->last_us == b->last_us &&
           a->first_market_us == b->first_market_us && a->last_market_us == b->last_market_us &&
           a->lines == b->lines && a->trades == b->trades && a->marks == b->marks;
}

static void
sum_add(struct recording_sum *sum, const struct recording_frame *f)
{
    sum->frames++;
    sum->bytes += f->bytes;
    sum->plain_bytes += f->plain_bytes;
    sum->lines += f->lines;
    sum->trades += f->trades;
    sum->marks += f->marks;
    if (sum->first_us == 0)
        sum->first_us = f->first_us;
    if (f->last_us > sum->last_us)
        sum->last_us = f->last_us;
    if (sum->first_market_us == 0)
        sum->first_market_us = f->first_market_us;
    if (f->last_market_us > sum->last_market_us)
        sum->last_market_us = f->last_market_us;
}

/* Every frame, unpacked and counted. */
static bool
read_through(struct recording *r, struct recording_sum *sum, char *why)
{
    const char *lines;
    size_t length;
    struct recording_frame f;
    enum recording_result result;
    recording_seek(r, 0);
    while ((result = recording_next(r, &lines, &length, &f, why)) == RECORDING_FRAME) {
        struct recording_frame told = {0};
        frame_tell(lines, length, &told);
        told.bytes = f.bytes;
        told.plain_bytes = f.plain_bytes;
        sum_add(sum, &told);
        if (recording_is_whole(r) && !same(&told, &f))
            return fail(why, "the index contradicts the lines");
    }
    recording_seek(r, 0);
    return result == RECORDING_END;
}

bool
recording_survey(struct recording *r, struct recording_sum *sum, char why[RECORDING_WHY_BYTES])
{
    *sum = (struct recording_sum){0};
    if (!recording_is_whole(r))
        return read_through(r, sum, why);
    uint32_t count;
    const struct recording_frame *frames = recording_frames(r, &count);
    for (uint32_t i = 0; i < count; i++)
        sum_add(sum, &frames[i]);
    return true;
}

bool
recording_check(struct recording *r, struct recording_sum *sum, char why[RECORDING_WHY_BYTES])
{
    *sum = (struct recording_sum){0};
    if (recording_has_index(r) && !recording_is_whole(r))
        return fail(why, "the index at its end is damaged");
    return read_through(r, sum, why) &&
           (!recording_is_whole(r) || sha256_right(r) || fail(why, "its SHA-256 is wrong"));
}
