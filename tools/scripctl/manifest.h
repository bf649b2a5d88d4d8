/*
 * manifest.h - what is in a folder of segments: each file with its records, hashes and SHA-256.
 *
 * manifest.json is the last thing written and the first thing read: a file that it does not name is
 * not there. Its format is in docs/segments.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_MANIFEST_H
#define SCRIPCTL_MANIFEST_H

#include "scripctl/segment.h"

#define MANIFEST_NAME "manifest.json"

/* By (shard, first); the files of a shard follow each other without a gap. */
struct manifest {
    struct segment *files;
    uint32_t count, room;
    uint64_t records;
};

enum manifest_result { MANIFEST_READ, MANIFEST_ABSENT, MANIFEST_BAD };

/* Why is said for MANIFEST_BAD and MANIFEST_ABSENT. */
enum manifest_result manifest_read(const char *folder, struct manifest *out, char why[WHY_BYTES]);
/* The text between the checksum's line and its beginning; the checksum is not looked at. */
bool manifest_parse(const char *text, size_t length, struct manifest *out, char why[WHY_BYTES]);
/* The whole text with its checksum; to be freed. */
char *manifest_text(const struct manifest *m, size_t *length);
/* Durably in place of the one that was there. */
bool manifest_write(const char *folder, const struct manifest *m, char why[WHY_BYTES]);
/* A file that follows what there is of its shard. False, and why, when it does not. */
bool manifest_add(struct manifest *m, const struct segment *s, char why[WHY_BYTES]);
void manifest_free(struct manifest *m);

/* The files of a shard, one after the other; NULL and 0 when there are none. */
const struct segment *manifest_shard(const struct manifest *m, uint16_t shard, uint32_t *count);

#endif
