/*
 * pack.h - ranges of a journal into segment files of a folder, for export and archive.
 *
 * Files are added behind what the folder has of a shard, and the manifest is written anew with each
 * of them: what is stopped on its way is taken up where it was. The hash chain is checked on the
 * way, so that a folder never has what does not fit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_PACK_H
#define SCRIPCTL_PACK_H

#include "scripctl/manifest.h"
#include "scripctl/progress.h"

struct pack {
    const char *folder;
    struct manifest manifest;
    struct journal_hasher *hasher;
    struct progress *progress;
    char why[WHY_BYTES];
};

/* Records the folder has no room for, or that do not fit, end it: false, and why. */
bool pack_open(struct pack *p, const char *folder, struct progress *progress);
void pack_close(struct pack *p);
/* How many of these records the folder does not have yet. */
uint64_t pack_missing(const struct pack *p, uint16_t shard, uint64_t first, uint64_t last);
/* Adds those. */
bool pack_range(struct pack *p, struct records *r, uint16_t shard, uint64_t first, uint64_t last);
/* Reads the files that have these records, and proves their chain; `hash` is that of the last. */
bool pack_check(struct pack *p, uint16_t shard, uint64_t first, uint64_t last,
                uint8_t hash[HASH_BYTES]);

#endif
