/*
 * segment.c - see segment.h; what both directions share, and writing. Reading is segment_read.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/segment_parts.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/check.h"
#include "scripctl/fresh.h"

#define LEVEL     3
#define OUT_BYTES (1u << 18)

void
segment_name(const struct segment *s, char out[SEGMENT_NAME_BYTES])
{
    snprintf(out, SEGMENT_NAME_BYTES, "%04u/%012" PRIu64 "-%012" PRIu64 ".seg.zst", s->shard,
             s->first, s->last);
}

struct segment_writer {
    struct fresh file;
    struct segment s;
    ZSTD_CCtx *zstd;
    EVP_MD_CTX *sha256;
    uint8_t *out;
    char *why;
    uint64_t next; /* number of the record that comes next */
};

static bool
fail(const struct segment_writer *w, const char *what)
{
    snprintf(w->why, WHY_BYTES, "shard %u record %" PRIu64 ": %s", w->s.shard, w->next, what);
    return false;
}

/* Compresses, hashes and writes; `mode` ZSTD_e_end ends the file. */
static bool
put(struct segment_writer *w, const void *bytes, size_t length, ZSTD_EndDirective mode)
{
    ZSTD_inBuffer in = {bytes, length, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {w->out, OUT_BYTES, 0};
        left = ZSTD_compressStream2(w->zstd, &out, &in, mode);
        if (ZSTD_isError(left))
            return fail(w, ZSTD_getErrorName(left));
        if (out.pos > 0)
            CHECK(EVP_DigestUpdate(w->sha256, w->out, out.pos) == 1);
        if (!fresh_write(&w->file, w->out, out.pos, w->why))
            return false;
        w->s.bytes += out.pos;
    } while (mode == ZSTD_e_end ? left > 0 : in.pos < in.size);
    return true;
}

static uint8_t *
put_number(uint8_t *at, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

struct segment_writer *
segment_create(const char *folder, const struct segment *s, char why[WHY_BYTES])
{
    struct segment_writer *w = calloc(1, sizeof *w);
    CHECK(w != NULL && s->first > 0 && s->last >= s->first);
    w->s = *s;
    w->s.bytes = 0;
    w->why = why;
    w->next = s->first;
    w->out = malloc(OUT_BYTES);
    w->zstd = ZSTD_createCCtx();
    w->sha256 = EVP_MD_CTX_new();
    CHECK(w->out != NULL && w->zstd != NULL && w->sha256 != NULL);
    CHECK(EVP_DigestInit_ex(w->sha256, EVP_sha256(), NULL) == 1);
    (void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);

    char name[SEGMENT_NAME_BYTES];
    segment_name(s, name);
    uint8_t head[SEGMENT_HEAD_BYTES], *at = head;
    memcpy(at, SEGMENT_MAGIC, 8);
    at = put_number(at + 8, SEGMENT_VERSION);
    at = put_number(at, s->shard);
    at = put_number(at, s->first);
    at = put_number(at, s->last);
    memcpy(at, s->before, HASH_BYTES);
    if (!fresh_open(&w->file, folder, name, why) || !put(w, head, sizeof head, ZSTD_e_continue))
        segment_writer_end(&w);
    return w;
}

bool
segment_write(struct segment_writer *w, const struct journal_record *r)
{
    if (r->seq != w->next || r->shard != w->s.shard || w->next > w->s.last)
        return fail(w, "is missing");
    if (r->payload_length > SEGMENT_PAYLOAD_MAX)
        return fail(w, "is larger than any that a ledger writes");
    uint8_t head[SEGMENT_RECORD_BYTES], *at = head;
    at = put_number(at, r->payload_length);
    at = put_number(at, r->epoch);
    memcpy(at, r->hash, HASH_BYTES);
    at = put_number(at + HASH_BYTES, r->shard);
    at = put_number(at, r->seq);
    at = put_number(at, (uint64_t)r->time_us);
    at = put_number(at, r->kind);
    memcpy(at, r->source.text, CODE_BYTES);
    (void)put_number(at + CODE_BYTES, r->corr);
    if (!put(w, head, sizeof head, ZSTD_e_continue) ||
        !put(w, r->payload, r->payload_length, ZSTD_e_continue))
        return false;
    if (r->seq == w->s.first)
        w->s.first_us = r->time_us;
    w->s.last_us = r->time_us;
    memcpy(w->s.hash, r->hash, HASH_BYTES);
    w->next++;
    return true;
}

bool
segment_keep(struct segment_writer *w, struct segment *s)
{
    if (w->next != w->s.last + 1)
        return fail(w, "is missing");
    if (!put(w, "", 0, ZSTD_e_end) || !fresh_keep(&w->file, w->why))
        return false;
    unsigned length = 0;
    CHECK(EVP_DigestFinal_ex(w->sha256, w->s.sha256, &length) == 1 && length == HASH_BYTES);
    *s = w->s;
    return true;
}

void
segment_writer_end(struct segment_writer **w)
{
    if (*w == NULL)
        return;
    fresh_drop(&(*w)->file);
    ZSTD_freeCCtx((*w)->zstd);
    EVP_MD_CTX_free((*w)->sha256);
    free((*w)->out);
    free(*w);
    *w = NULL;
}
