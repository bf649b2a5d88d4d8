/*
 * segment_fuzz.c - contents of segment files: refused, or records whose numbers are all there.
 *
 * The manifest's line is made from the head, so that it is the records that are read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/check.h"
#include "fuzz.h"
#include "scripctl/segment_parts.h"

#define RECORDS_READ 4096 /* more do not fit into an input */

static uint64_t
number(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

/* Reads to the end; the hash of the last record that was given. */
static enum records_result
read_all(const struct segment *s, const uint8_t *data, size_t size, uint8_t hash[HASH_BYTES])
{
    char why[WHY_BYTES] = "";
    struct segment_reader *r = segment_open_bytes(s, data, size, why);
    if (r == NULL) {
        CHECK(why[0] != '\0');
        return RECORDS_FAILED;
    }
    struct journal_record record;
    enum records_result result;
    uint64_t seq = s->first;
    while ((result = segment_next(r, &record)) == RECORDS_ONE) {
        CHECK(record.seq == seq && record.seq <= s->last && record.shard == s->shard);
        CHECK(strnlen(record.source.text, CODE_BYTES) < CODE_BYTES);
        volatile uint8_t sum = 0;
        for (uint32_t i = 0; i < record.payload_length; i++)
            sum = (uint8_t)(sum + record.payload[i]);
        memcpy(hash, record.hash, HASH_BYTES);
        seq++;
    }
    CHECK(result == RECORDS_FAILED || seq == s->last + 1);
    CHECK(result == RECORDS_END || why[0] != '\0');
    segment_reader_end(&r);
    return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct segment s = {.shard = 1, .first = 1, .last = 1};
    if (size >= SEGMENT_HEAD_BYTES) {
        s.shard = (uint16_t)(number(data + 16) % RECORDS_SHARDS);
        s.first = number(data + 24) >> 1;
        s.last = s.first + (number(data + 32) - s.first) % RECORDS_READ;
        memcpy(s.before, data + 40, HASH_BYTES);
    }
    if (read_all(&s, data, size, s.hash) == RECORDS_FAILED) {
        /* With the hash of its last record it is whole, or it was cut. */
        uint8_t hash[HASH_BYTES];
        (void)read_all(&s, data, size, hash);
    }
    return 0;
}
