/*
 * segment.h - records of one shard in a compressed file: written, and read back with everything
 * checked that can be without replaying.
 *
 * The format is in docs/segments.md. A file is read through twice: its SHA-256 against what the
 * manifest says before a record of it is given, then its contents.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_SEGMENT_H
#define SCRIPCTL_SEGMENT_H

#include "scripctl/records.h"

#define SEGMENT_RECORDS_MAX (1u << 18) /* of one file */
#define SEGMENT_PAYLOAD_MAX (1u << 24)
#define SEGMENT_NAME_BYTES  64

/* What is known of a file: a line of the manifest. */
struct segment {
    uint16_t shard;
    uint64_t first, last;
    int64_t first_us, last_us;                    /* times of these records */
    uint8_t before[HASH_BYTES], hash[HASH_BYTES]; /* of the record before, and of the last one */
    uint64_t bytes;
    uint8_t sha256[HASH_BYTES]; /* of the file */
};

/* 0007/000000000001-000000262144.seg.zst, below the folder. */
void segment_name(const struct segment *s, char out[SEGMENT_NAME_BYTES]);

/* ---- Writing ------------------------------------------------------------------------------ */

struct segment_writer;

/* Of `s` shard, first, last and before must be set. NULL, and why. */
struct segment_writer *segment_create(const char *folder, const struct segment *s,
                                      char why[WHY_BYTES]);
/* Records come in order, without a gap. False, and why. */
bool segment_write(struct segment_writer *w, const struct journal_record *r);
/* After the last one: the file is durable. Completes `s`. */
bool segment_keep(struct segment_writer *w, struct segment *s);
/* Always at the end; nothing is left of a file that was not kept. */
void segment_writer_end(struct segment_writer **w);

/* ---- Reading ------------------------------------------------------------------------------ */

struct segment_reader;

/* NULL, and why: no such file, or its checksum is wrong. `why` is lent until the end. */
struct segment_reader *segment_open(const char *folder, const struct segment *s,
                                    char why[WHY_BYTES]);
/* Contents that lie in memory, uncompressed; for tests. */
struct segment_reader *segment_open_bytes(const struct segment *s, const uint8_t *bytes,
                                          size_t length, char why[WHY_BYTES]);
/* RECORDS_END only when all that the manifest says was there, and nothing behind it. The record is
 * lent until the next call. */
enum records_result segment_next(struct segment_reader *r, struct journal_record *out);
void segment_reader_end(struct segment_reader **r);

#endif
