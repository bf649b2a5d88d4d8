/*
 * recording_form.h - the bytes of a segment; shared by its writer and its reader only.
 *
 * Numbers of zstd's own are little-endian, ours are big-endian.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKET_RECORDING_FORM_H
#define SCRIP_MARKET_RECORDING_FORM_H

#include <string.h>

#include "market/recording.h"

#define FORM_SKIP_MAGIC   0x184D2A50u /* the head; the index has the next one */
#define FORM_INDEX_MAGIC  0x184D2A51u
#define FORM_SKIP_BYTES   8u /* magic and length */
#define FORM_HEAD_TEXT    "SCRIPMKT"
#define FORM_INDEX_TEXT   "SCRIPIDX"
#define FORM_END_TEXT     "SCRIPEND"
#define FORM_HEAD_PAYLOAD 32u /* text, version, market, start */
#define FORM_HEAD_BYTES   (FORM_SKIP_BYTES + FORM_HEAD_PAYLOAD)
#define FORM_INDEX_HEAD   16u /* text, entries */
#define FORM_ENTRY_BYTES  72u
/* Behind the entries: SHA-256 of the index frame up to here, SHA-256 of the file up to here, bytes
 * of the index frame, text. */
#define FORM_TAIL_BYTES (2 * RECORDING_SHA256_BYTES + 16u)

static inline uint8_t *
form_put(uint8_t *at, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static inline uint64_t
form_get(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return __builtin_bswap64(value);
}

static inline void
form_put_skip(uint8_t *at, uint32_t magic, uint32_t length)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(magic >> (8 * i));
        at[4 + i] = (uint8_t)(length >> (8 * i));
    }
}

static inline uint32_t
form_get_le(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* One entry of the index, FORM_ENTRY_BYTES. */
void form_put_entry(uint8_t *at, const struct recording_frame *f);
void form_get_entry(const uint8_t *at, struct recording_frame *f);

/* Bytes of the file as they lie there; fewer only at its end. */
size_t recording_take(const struct recording *r, uint64_t offset, void *out, size_t length);
/* An index stands at its end, sound or not. */
bool recording_has_index(const struct recording *r);

#endif
