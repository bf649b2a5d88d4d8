/*
 * segment_parts.h - the layout of a segment's contents, for its writer and its reader.
 *
 *   head:    magic; version, shard, first, last, 8 bytes each; hash before the first
 *   record:  payload's length, epoch, 8 bytes each; hash; what is hashed: shard, seq, time, kind,
 *            8 bytes each; source, 24 bytes; corr, 8 bytes; payload
 *
 * Numbers are big-endian.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_SEGMENT_PARTS_H
#define SCRIPCTL_SEGMENT_PARTS_H

#include "scripctl/segment.h"

#define SEGMENT_MAGIC      "SCRIPJNL"
#define SEGMENT_VERSION    1
#define SEGMENT_HEAD_BYTES (8 + 4 * 8 + HASH_BYTES)
#define SEGMENT_RECORD_BYTES                                                                       \
    (2 * 8 + HASH_BYTES + 4 * 8 + CODE_BYTES + 8) /* before the payload                            \
                                                   */

#endif
