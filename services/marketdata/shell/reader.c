/*
 * reader.c - files, what unpacks them, and a line buffer.
 *
 *   plain   read()      -> buffer  -> lines
 *   packed  libarchive  -> buffer  -> lines
 *   ours    recording.h -> a frame -> lines
 *
 * The buffer holds what was unpacked and not yet handed out: `begin` to `end`. A line that does
 * not fit is passed over up to its newline. The lines of a frame are lent as they lie there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "market/recording.h"
#include "marketdata/shell/reader_files.h"

#define INPUT_BYTES  (64u << 10)
#define UNPACK_BYTES (256u << 10)
#define BUFFER_BYTES (READER_LINE_MAX + UNPACK_BYTES)
#define HEAD_BYTES   64u
#define PATH_BYTES   4096u

enum packing { PACKING_NONE, PACKING_ARCHIVE, PACKING_OURS };

struct reader {
    struct reader_files files;
    uint32_t file_at; /* the open one, or the next */
    bool is_open;
    struct reader_sum *sum; /* while the checksum of the open one is looked at */
    enum packing packing;
    int fd;
    struct archive *archive;
    bool has_member; /* of the archive, being read */
    struct recording *recording;
    bool is_unpacked; /* nothing more comes out of this file or member */
    char *own;        /* of BUFFER_BYTES */
    const char *buffer;
    size_t begin, end;
    bool is_passing_over, is_first, next_is_first, follows;
    bool seeks; /* the next file is opened at seek_us */
    int64_t seek_us, begin_us, end_us;
    char path[PATH_BYTES];
    char why[READER_WHY_BYTES];
};

/* What segments of ours tell of the first and the last line. */
static void
range_find(struct reader *r)
{
    char ignored[RECORDING_WHY_BYTES];
    const struct reader_file *first = &r->files.list[0], *last = first + r->files.count - 1;
    r->begin_us = first->start_us;
    struct recording *recording = last->start_us > 0 ? recording_open(last->path, ignored) : NULL;
    if (recording == NULL)
        return;
    uint32_t count;
    const struct recording_frame *frames = recording_frames(recording, &count);
    if (count > 0)
        r->end_us = frames[count - 1].last_us;
    recording_close(&recording);
}

enum err
reader_open(const char *files, enum trading_type market, struct reader **out,
            char why[READER_WHY_BYTES])
{
    struct reader *r = calloc(1, sizeof(*r));
    CHECK(r != NULL);
    r->fd = -1;
    r->own = malloc(BUFFER_BYTES);
    CHECK(r->own != NULL);
    enum err e = reader_files_find(&r->files, files, market, why);
    if (e == OK)
        range_find(r);
    else
        reader_close(&r);
    *out = r;
    return e;
}

static void
file_close(struct reader *r)
{
    if (r->archive != NULL)
        archive_read_free(r->archive);
    r->archive = NULL;
    recording_close(&r->recording);
    reader_sum_close(&r->sum);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    r->is_open = false;
}

void
reader_close(struct reader **r)
{
    if (*r == NULL)
        return;
    file_close(*r);
    reader_files_free(&(*r)->files);
    free((*r)->own);
    free(*r);
    *r = NULL;
}

void
reader_follow(struct reader *r)
{
    r->follows = true;
}

/* Whether the end of the open file is none. */
static bool
is_followed(const struct reader *r)
{
    return r->follows && r->packing == PACKING_NONE && r->file_at + 1 == r->files.count;
}

static enum reader_step
file_bad(struct reader *r, const char *what)
{
    snprintf(r->why, sizeof(r->why), "%.100s: %.150s", what, r->files.list[r->file_at].path);
    file_close(r);
    r->file_at++;
    return READER_BAD;
}

/* ---- Opening ---------------------------------------------------------------------------- */

static void
lines_begin(struct reader *r)
{
    r->buffer = r->own;
    r->begin = r->end = 0;
    r->is_unpacked = r->is_passing_over = false;
    r->next_is_first = true;
}

static enum packing
packing_of(const unsigned char *head, size_t length)
{
    static const struct {
        const char *magic;
        size_t length;
    } KNOWN[] = {{"\x1f\x8b", 2},
                 {"\xfd"
                  "7zXZ\0",
                  6},
                 {"\x28\xb5\x2f\xfd", 4},
                 {"PK\x03\x04", 4},
                 {"PK\x05\x06", 4},
                 {"BZh", 3}};
    if (recording_is_head(head, length))
        return PACKING_OURS;
    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++) {
        if (length >= KNOWN[i].length && memcmp(head, KNOWN[i].magic, KNOWN[i].length) == 0)
            return PACKING_ARCHIVE;
    }
    return PACKING_NONE;
}

static bool
archive_open(struct reader *r)
{
    r->archive = archive_read_new();
    CHECK(r->archive != NULL);
    r->has_member = false;
    struct archive *a = r->archive;
    return archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
           archive_read_support_filter_xz(a) == ARCHIVE_OK &&
           archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
           archive_read_support_filter_bzip2(a) == ARCHIVE_OK &&
           archive_read_support_format_zip(a) == ARCHIVE_OK &&
           archive_read_support_format_raw(a) == ARCHIVE_OK &&
           archive_read_support_format_empty(a) == ARCHIVE_OK &&
           archive_read_open_fd(a, r->fd, INPUT_BYTES) == ARCHIVE_OK;
}

static bool
ours_open(struct reader *r)
{
    r->recording = recording_open(r->files.list[r->file_at].path, r->why);
    if (r->recording == NULL)
        return false;
    if (r->seeks)
        recording_seek(r->recording, recording_frame_for(r->recording, r->seek_us));
    return true;
}

/* The next file, once its checksum is right. */
static enum reader_step
file_begin(struct reader *r)
{
    unsigned char head[HEAD_BYTES];
    const char *path = r->files.list[r->file_at].path;
    ssize_t n;
    do {
        n = pread(r->fd, head, sizeof(head), 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return file_bad(r, strerror(errno));
    lines_begin(r);
    snprintf(r->path, sizeof(r->path), "%s", path);
    r->packing = packing_of(head, (size_t)n);
    if (r->packing == PACKING_ARCHIVE && !archive_open(r))
        return file_bad(r, "damaged or cut off");
    if (r->packing == PACKING_OURS && !ours_open(r))
        return file_bad(r, "a segment that cannot be read");
    r->seeks = false;
    return READER_MORE;
}

static enum reader_step
file_open(struct reader *r)
{
    const char *path = r->files.list[r->file_at].path;
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    r->is_open = true;
    if (r->fd < 0)
        return file_bad(r, strerror(errno));
    r->sum = reader_sum_open(path);
    return r->sum != NULL ? READER_MORE : file_begin(r);
}

static enum reader_step
sum_check(struct reader *r)
{
    int said = reader_sum_step(r->sum);
    if (said == 0)
        return READER_MORE;
    if (said < 0)
        return file_bad(r, "its SHA-256 is not what NAME.CHECKSUM beside it says");
    reader_sum_close(&r->sum);
    return file_begin(r);
}

/* ---- Unpacking -------------------------------------------------------------------------- */

/* Behind what is left of the buffer; false when it cannot be read. */
static bool
plain_read(struct reader *r, size_t room, bool *has_more)
{
    ssize_t n;
    do {
        n = read(r->fd, r->own + r->end, room < INPUT_BYTES ? room : INPUT_BYTES);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        r->end += (size_t)n;
    *has_more = n > 0;
    r->is_unpacked = n == 0 && !is_followed(r);
    return n >= 0;
}

/* The members of an archive are files of their own; a packed file has one without a name. */
static bool
member_next(struct reader *r)
{
    struct archive_entry *entry;
    int result = archive_read_next_header(r->archive, &entry);
    if (result == ARCHIVE_EOF) {
        r->has_member = false;
        r->is_unpacked = true;
        return true;
    }
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
        return false;
    lines_begin(r);
    r->has_member = true;
    const char *name = archive_entry_pathname(entry);
    if (archive_format(r->archive) != ARCHIVE_FORMAT_RAW && name != NULL)
        snprintf(r->path, sizeof(r->path), "%s/%s", r->files.list[r->file_at].path, name);
    return true;
}

static bool
archive_unpack(struct reader *r, size_t room)
{
    if (!r->has_member)
        return member_next(r);
    ssize_t n = archive_read_data(r->archive, r->own + r->end, room);
    if (n > 0)
        r->end += (size_t)n;
    r->is_unpacked = n == 0;
    return n >= 0;
}

/* One piece, behind what is left of the buffer. */
static enum reader_step
work(struct reader *r)
{
    struct recording_frame f;
    bool has_more = true, done = true;
    if (r->packing == PACKING_OURS) {
        switch (recording_next(r->recording, &r->buffer, &r->end, &f, r->why)) {
        case RECORDING_FRAME:
            r->begin = 0;
            return READER_MORE;
        case RECORDING_END:
            r->begin = r->end = 0;
            r->is_unpacked = true;
            return READER_MORE;
        case RECORDING_WRONG:
            return file_bad(r, "damaged or cut off");
        }
    }
    memmove(r->own, r->own + r->begin, r->end - r->begin);
    r->end -= r->begin;
    r->begin = 0;
    size_t room = BUFFER_BYTES - r->end;
    if (room > UNPACK_BYTES)
        room = UNPACK_BYTES;
    if (r->packing == PACKING_NONE)
        done = plain_read(r, room, &has_more);
    else
        done = archive_unpack(r, room);
    if (!done)
        return file_bad(r, r->packing == PACKING_NONE ? strerror(errno) : "damaged or cut off");
    return has_more || r->is_unpacked ? READER_MORE : READER_WAIT;
}

/* The next whole line of the buffer; the last line of a file may lack its newline. */
static bool
line_take(struct reader *r, const char **line, size_t *length)
{
    const char *newline =
        r->end > r->begin ? memchr(r->buffer + r->begin, '\n', r->end - r->begin) : NULL;
    if (newline == NULL && !(r->is_unpacked && r->end > r->begin))
        return false;
    size_t stop = newline != NULL ? (size_t)(newline - r->buffer) : r->end;
    *line = r->buffer + r->begin;
    *length = stop - r->begin;
    r->begin = newline != NULL ? stop + 1 : stop;
    r->is_first = r->next_is_first;
    r->next_is_first = false;
    return true;
}

enum reader_step
reader_next(struct reader *r, const char **line, size_t *length)
{
    if (!r->is_open) {
        if (r->file_at >= r->files.count)
            return READER_END;
        return file_open(r);
    }
    if (r->sum != NULL)
        return sum_check(r);
    if (line_take(r, line, length)) {
        if (!r->is_passing_over && *length <= READER_LINE_MAX)
            return READER_LINE;
        r->is_passing_over = false;
        return READER_LONG;
    }
    if (r->end - r->begin > READER_LINE_MAX) {
        r->begin = r->end;
        r->is_passing_over = true;
    }
    if (!r->is_unpacked)
        return work(r);
    if (r->packing == PACKING_ARCHIVE && r->has_member) {
        r->has_member = r->is_unpacked = false;
        return READER_MORE;
    }
    file_close(r);
    r->file_at++;
    return READER_MORE;
}

/* ---- Places ----------------------------------------------------------------------------- */

void
reader_seek(struct reader *r, int64_t to_us)
{
    file_close(r);
    r->file_at = 0;
    for (uint32_t i = 0; i < r->files.count; i++) {
        if (r->files.list[i].start_us > 0 && r->files.list[i].start_us <= to_us)
            r->file_at = i;
    }
    r->seeks = true;
    r->seek_us = to_us;
}

void
reader_range(const struct reader *r, int64_t *begin_us, int64_t *end_us)
{
    *begin_us = r->begin_us;
    *end_us = r->end_us;
}

const char *
reader_path(const struct reader *r)
{
    if (r->is_open && r->sum == NULL)
        return r->path;
    return r->file_at < r->files.count ? r->files.list[r->file_at].path : "";
}

bool
reader_is_first_line(const struct reader *r)
{
    return r->is_first;
}

enum trading_type
reader_market(const struct reader *r)
{
    return r->recording != NULL ? recording_type(r->recording) : 0;
}

const char *
reader_why(const struct reader *r)
{
    return r->why;
}
