/*
 * reader.h - the lines of several files as one, plain, gzip or xz, in bounded pieces.
 *
 * Which of the three a file is, its first bytes tell. One call does at most one piece of work
 * (reads 64 KiB, or unpacks 256 KiB), so that the loop never waits for a large file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_READER_H
#define SCRIP_MARKETDATA_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/err.h"

#define READER_LINE_MAX  (1u << 20)
#define READER_WHY_BYTES 256u

struct reader;

enum reader_step {
    READER_LINE, /* *line holds the next line, without its newline */
    READER_MORE, /* worked; call again */
    READER_LONG, /* a line longer than READER_LINE_MAX was passed over */
    READER_WAIT, /* the followed file has nothing more as yet */
    READER_BAD,  /* the rest of this file cannot be read (reader_why); the next file follows */
    READER_END,
};

/* `files` is paths and patterns joined by commas. Refuses with FILE_UNREADABLE when one of them
 * names no readable file. */
MUST_USE enum err reader_open(const char *files, struct reader **out, char why[READER_WHY_BYTES]);
void reader_close(struct reader **r);
/* More may be written to the last file, when it is plain: its end is none, and neither is the end
 * of a line that has no newline yet. */
void reader_follow(struct reader *r);
/* Lines are lent until the next call. */
enum reader_step reader_next(struct reader *r, const char **line, size_t *length);
/* The file that the last line came from, and whether that line was its first. */
const char *reader_path(const struct reader *r);
bool reader_is_first_line(const struct reader *r);
/* Why the last READER_BAD. */
const char *reader_why(const struct reader *r);

#endif
