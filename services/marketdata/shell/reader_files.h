/*
 * reader_files.h - which files a reader is to read, and what stands beside them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_READER_FILES_H
#define SCRIP_MARKETDATA_READER_FILES_H

#include "marketdata/shell/reader.h"

struct reader_file {
    char *path;
    int64_t start_us; /* of a segment of ours; 0 else */
};

struct reader_files {
    struct reader_file *list;
    uint32_t count;
};

/* What the list of paths, patterns and folders comes to; see reader_open(). */
MUST_USE enum err reader_files_find(struct reader_files *f, const char *files,
                                    enum trading_type market, char why[READER_WHY_BYTES]);
void reader_files_free(struct reader_files *f);

/* A SHA-256 that is being compared with what NAME.CHECKSUM says, piece by piece. */
struct reader_sum;

/* NULL when nothing stands beside the file. */
struct reader_sum *reader_sum_open(const char *path);
/* One piece. 0 = go on, 1 = it is right, -1 = it is not, or cannot be read. */
int reader_sum_step(struct reader_sum *s);
void reader_sum_close(struct reader_sum **s);

#endif
