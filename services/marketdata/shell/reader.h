/*
 * reader.h - the lines of several files as one, plain, packed or our own segments, in bounded
 * pieces.
 *
 * What a file is, its first bytes tell: a segment of ours, or gzip, xz, zstd, bzip2 or zip (its
 * members one behind the other), else plain. One call does at most one piece of work (reads 64
 * KiB, unpacks 256 KiB or one frame of a segment, hashes 1 MiB), so that the loop never waits for
 * a large file. Beside a file NAME a file NAME.CHECKSUM may stand, as Binance publishes them: then
 * nothing of NAME is given before its SHA-256 was found to be right.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_READER_H
#define SCRIP_MARKETDATA_READER_H

#include "base/msg.h"

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

/* `files` is paths, patterns and folders joined by commas. Of a folder with segments of ours these
 * are taken, by time; where it has those of two markets, those of `market` (0 = refused). Of any
 * other folder all files, by name. Refuses with FILE_UNREADABLE when one of them names no readable
 * file. */
MUST_USE enum err reader_open(const char *files, enum trading_type market, struct reader **out,
                              char why[READER_WHY_BYTES]);
void reader_close(struct reader **r);
/* More may be written to the last file, when it is plain: its end is none, and neither is the end
 * of a line that has no newline yet. */
void reader_follow(struct reader *r);
/* Lines are lent until the next call. */
enum reader_step reader_next(struct reader *r, const char **line, size_t *length);
/* The file that the last line came from, in an archive with its member, and whether that line was
 * its first. */
const char *reader_path(const struct reader *r);
bool reader_is_first_line(const struct reader *r);
/* The market of that file, when it is a segment of ours; 0 else. */
enum trading_type reader_market(const struct reader *r);
/* Why the last READER_BAD. */
const char *reader_why(const struct reader *r);
/* Goes to a place from which on everything needed to know the books at this recorded time is
 * given: by their index in segments of ours, else to the beginning. */
void reader_seek(struct reader *r, int64_t to_us);
/* Receive times of the first and the last line, as far as segments of ours tell; 0 = unknown. */
void reader_range(const struct reader *r, int64_t *begin_us, int64_t *end_us);

#endif
