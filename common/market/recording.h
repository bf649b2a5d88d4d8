/*
 * recording.h - a recorded market in segment files: written frame by frame, and read back from any
 * place. docs/recordings.md has the form.
 *
 *     head | frame | frame | ... | index        (a file that was cut off has no index)
 *
 * Head and index are skippable frames of zstd, so that `zstd -dc` gives the plain raw recording. A
 * frame holds whole lines and can be read by itself. Nothing here knows what a line says, but for
 * recording_line(), which finds in it what the index tells.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKET_RECORDING_H
#define SCRIP_MARKET_RECORDING_H

#include "base/msg.h"

#define RECORDING_VERSION      1u
#define RECORDING_FRAME_BYTES  (256u << 10)      /* of lines: a frame ends behind so many */
#define RECORDING_PLAIN_MAX    (4u << 20)        /* of lines in one frame, at most */
#define RECORDING_LINE_MAX     ((1u << 20) - 32) /* a reader's line has its time too */
#define RECORDING_FRAMES_MAX   (1u << 20)
#define RECORDING_NAME_BYTES   48u
#define RECORDING_WHY_BYTES    256u
#define RECORDING_SHA256_BYTES 32u

/* What is known of a frame: an entry of the index. Times are 0 where no line has one. */
struct recording_frame {
    uint64_t offset; /* in the file */
    uint32_t bytes, plain_bytes;
    int64_t first_us, last_us;               /* receive times */
    int64_t first_market_us, last_market_us; /* exchange times */
    uint32_t lines, trades, marks;
    bool begins_books; /* the full books of all symbols begin here */
    bool ends_books;   /* and these are all of them, latest here */
};

/* All frames of a file together. */
struct recording_sum {
    uint64_t frames, bytes, plain_bytes, lines, trades, marks;
    int64_t first_us, last_us, first_market_us, last_market_us;
};

/* Takes one line, without its newline, into the account of its frame. */
void recording_line(struct recording_frame *f, const char *line, size_t length);
/* A remark of the recorder, in a line of its own. */
struct recording_mark {
    char what[16];
    code_t symbol; /* as the exchange has it, in capitals; empty = of the whole recording */
    uint64_t first, last, lines;
};

/* False when the line is none; it is without its newline. */
bool recording_mark_read(const char *line, size_t length, struct recording_mark *out);
struct recording_trade {
    code_t symbol; /* in capitals */
    uint64_t id;
};

/* Symbol and id of a line of a @trade stream, whatever kind of trade it is. */
bool recording_trade_read(const char *line, size_t length, struct recording_trade *out);
/* "spot" or "usdm": the word for a market in names and commands. */
const char *recording_market(enum trading_type market);
/* spot-20261121T193000.250000Z.zst; names of one market sort by time. */
void recording_name(enum trading_type market, int64_t start_us, char out[RECORDING_NAME_BYTES]);
/* The other way round; false for any other file's name. `name` is without folders. */
bool recording_name_read(const char *name, enum trading_type *market, int64_t *start_us);

/* ---- Writing ---------------------------------------------------------------------------- */

struct recording_writer;

/* Makes a new file; where one of that name is there, `start_us` moves on until there is none.
 * NULL with the reason in `why`. */
struct recording_writer *recording_create(const char *folder, enum trading_type market,
                                          int64_t start_us, char why[RECORDING_WHY_BYTES]);
/* Compresses and writes whole lines as one frame; `told` has what recording_line() found in them.
 * False with the reason: the file is then good up to the frame before, and takes no more. */
MUST_USE bool recording_put(struct recording_writer *w, const char *lines, size_t length,
                            const struct recording_frame *told, char why[RECORDING_WHY_BYTES]);
/* Waits until the disk has what was put. */
MUST_USE bool recording_sync(struct recording_writer *w, char why[RECORDING_WHY_BYTES]);
/* Writes the index, unless a write has failed, and closes. False when the file is without one. */
bool recording_end(struct recording_writer **w, char why[RECORDING_WHY_BYTES]);
const char *recording_writer_path(const struct recording_writer *w);
uint64_t recording_writer_bytes(const struct recording_writer *w);

/* ---- Reading ---------------------------------------------------------------------------- */

struct recording;

enum recording_result {
    RECORDING_FRAME, /* the next frame's lines */
    RECORDING_END,   /* nothing more; see recording_is_whole() */
    RECORDING_WRONG, /* not what its head, its index or a checksum says */
};

/* Whether these first bytes of a file are a segment's head. */
bool recording_is_head(const void *bytes, size_t length);
/* NULL with the reason in `why` when it cannot be read or is no segment. */
struct recording *recording_open(const char *path, char why[RECORDING_WHY_BYTES]);
/* The same of bytes in memory, which are borrowed. */
struct recording *recording_open_bytes(const void *bytes, size_t length,
                                       char why[RECORDING_WHY_BYTES]);
void recording_close(struct recording **r);
enum trading_type recording_type(const struct recording *r);
int64_t recording_start_us(const struct recording *r);
uint64_t recording_bytes(const struct recording *r);
/* It was closed: its index stands at its end and is sound. */
bool recording_is_whole(const struct recording *r);
/* Of a whole file: the entries of its index. NULL and 0 of a torn one. */
const struct recording_frame *recording_frames(const struct recording *r, uint32_t *count);
/* The next frame's lines, lent until the next call; *f is filled in by what the index says of it,
 * or by where it stands alone. A last frame that was cut off is none: RECORDING_END. */
enum recording_result recording_next(struct recording *r, const char **lines, size_t *length,
                                     struct recording_frame *f, char why[RECORDING_WHY_BYTES]);
/* Goes to a frame of the index: the next one is this one. */
void recording_seek(struct recording *r, uint32_t frame);
/* The frame from which on a reader knows the books by `to_us`, a receive time: where the latest
 * full books before it begin. 0 when there are none. */
uint32_t recording_frame_for(const struct recording *r, int64_t to_us);
/* What all frames come to: by the index, or by reading the lines of a torn file. False with the
 * reason when a frame is wrong; *sum then tells what is before it. Goes to the first frame. */
bool recording_survey(struct recording *r, struct recording_sum *sum,
                      char why[RECORDING_WHY_BYTES]);
/* Reads the file through: its SHA-256, each frame's checksum, the index against what the lines
 * say. False with the reason. A torn file is right up to its end. Goes to the first frame. */
bool recording_check(struct recording *r, struct recording_sum *sum, char why[RECORDING_WHY_BYTES]);

#endif
