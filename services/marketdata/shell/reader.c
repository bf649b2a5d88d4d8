/*
 * reader.c - files, decompressors and a line buffer.
 *
 *   read() -> input[64 KiB] -> plain copy | zlib | liblzma -> buffer -> lines
 *
 * The buffer holds what was unpacked and not yet handed out: `begin` to `end`. A line that does
 * not fit is passed over up to its newline.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define INPUT_BYTES    (64u << 10)
#define UNPACK_BYTES   (256u << 10)
#define BUFFER_BYTES   (READER_LINE_MAX + UNPACK_BYTES)
#define LZMA_MEM_BYTES (UINT64_C(256) << 20)
#define MAGIC_BYTES    6

enum packing { PACKING_UNKNOWN, PACKING_NONE, PACKING_GZIP, PACKING_XZ };

struct reader {
    char **paths;
    size_t path_count, path_at; /* path_at: the open one, or the next */
    int fd;                     /* -1 = none is open */
    enum packing packing;
    z_stream gzip;
    lzma_stream xz;
    bool gzip_ended;  /* one member has ended; another may follow */
    bool is_unpacked; /* nothing more comes out of this file */
    bool at_file_end; /* read() gave 0 */
    unsigned char *input;
    size_t input_at, input_count;
    char *buffer;
    size_t begin, end;
    bool is_passing_over, is_first, next_is_first;
    bool follows;
    char why[READER_WHY_BYTES];
};

static enum err
refuse(char *why, const char *what, const char *path)
{
    snprintf(why, READER_WHY_BYTES, "%s %.180s", what, path);
    return ERR_FILE_UNREADABLE;
}

static void
path_add(struct reader *r, const char *path)
{
    char **grown = realloc(r->paths, (r->path_count + 1) * sizeof(*grown));
    CHECK(grown != NULL);
    r->paths = grown;
    r->paths[r->path_count] = strdup(path);
    CHECK(r->paths[r->path_count] != NULL);
    r->path_count++;
}

static enum err
pattern_add(struct reader *r, const char *pattern, char *why)
{
    glob_t found;
    int failed = glob(pattern, 0, NULL, &found);
    if (failed != 0 || found.gl_pathc == 0) {
        if (failed == 0)
            globfree(&found);
        return refuse(why, "there is no file", pattern);
    }
    enum err e = OK;
    for (size_t i = 0; i < found.gl_pathc && e == OK; i++) {
        if (access(found.gl_pathv[i], R_OK) != 0)
            e = refuse(why, "cannot read", found.gl_pathv[i]);
        else
            path_add(r, found.gl_pathv[i]);
    }
    globfree(&found);
    return e;
}

enum err
reader_open(const char *files, struct reader **out, char why[READER_WHY_BYTES])
{
    struct reader *r = calloc(1, sizeof(*r));
    char *list = strdup(files);
    CHECK(r != NULL && list != NULL);
    r->fd = -1;
    r->input = malloc(INPUT_BYTES);
    r->buffer = malloc(BUFFER_BYTES);
    CHECK(r->input != NULL && r->buffer != NULL);

    enum err e = OK;
    char *rest = list;
    for (char *part; e == OK && (part = strsep(&rest, ",")) != NULL;)
        e = *part == '\0' ? refuse(why, "a file name is empty in", files)
                          : pattern_add(r, part, why);
    free(list);
    if (e != OK)
        reader_close(&r);
    *out = r;
    return e;
}

static void
file_close(struct reader *r)
{
    if (r->fd < 0)
        return;
    close(r->fd);
    r->fd = -1;
    if (r->packing == PACKING_GZIP)
        inflateEnd(&r->gzip);
    else if (r->packing == PACKING_XZ)
        lzma_end(&r->xz);
    r->packing = PACKING_UNKNOWN;
}

void
reader_close(struct reader **r)
{
    if (*r == NULL)
        return;
    file_close(*r);
    for (size_t i = 0; i < (*r)->path_count; i++)
        free((*r)->paths[i]);
    free((*r)->paths);
    free((*r)->input);
    free((*r)->buffer);
    free(*r);
    *r = NULL;
}

void
reader_follow(struct reader *r)
{
    r->follows = true;
}

/* Whether what is there of the open file is all there is. */
static bool
is_followed(const struct reader *r)
{
    return r->follows && r->packing == PACKING_NONE && r->path_at + 1 == r->path_count;
}

/* The next file, opened; false when there is none. */
static bool
file_open(struct reader *r)
{
    if (r->path_at == r->path_count)
        return false;
    r->input_at = r->input_count = 0;
    r->begin = r->end = 0;
    r->is_unpacked = r->at_file_end = r->gzip_ended = r->is_passing_over = false;
    r->next_is_first = true;
    r->fd = open(r->paths[r->path_at], O_RDONLY | O_CLOEXEC);
    return true;
}

static enum reader_step
file_bad(struct reader *r, const char *what)
{
    snprintf(r->why, sizeof(r->why), "%s: %.180s", what, r->paths[r->path_at]);
    file_close(r);
    r->path_at++;
    return READER_BAD;
}

/* Reads more of the file behind what is left of the input. */
static bool
input_fill(struct reader *r)
{
    memmove(r->input, r->input + r->input_at, r->input_count - r->input_at);
    r->input_count -= r->input_at;
    r->input_at = 0;
    ssize_t n;
    do {
        n = read(r->fd, r->input + r->input_count, INPUT_BYTES - r->input_count);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        r->input_count += (size_t)n;
    r->at_file_end = n == 0;
    return n >= 0;
}

static bool
packing_find(struct reader *r)
{
    static const unsigned char GZIP[] = {0x1f, 0x8b}, XZ[] = {0xfd, '7', 'z', 'X', 'Z', 0};
    const unsigned char *head = r->input + r->input_at;
    size_t count = r->input_count - r->input_at;
    if (count >= sizeof(GZIP) && memcmp(head, GZIP, sizeof(GZIP)) == 0) {
        r->gzip = (z_stream){0};
        if (inflateInit2(&r->gzip, 15 + 16) != Z_OK)
            return false;
        r->packing = PACKING_GZIP;
    } else if (count >= sizeof(XZ) && memcmp(head, XZ, sizeof(XZ)) == 0) {
        r->xz = (lzma_stream)LZMA_STREAM_INIT;
        if (lzma_stream_decoder(&r->xz, LZMA_MEM_BYTES, LZMA_CONCATENATED) != LZMA_OK)
            return false;
        r->packing = PACKING_XZ;
    } else {
        r->packing = PACKING_NONE;
    }
    return true;
}

static bool
unpack_plain(struct reader *r, size_t room)
{
    size_t n = r->input_count - r->input_at;
    if (n > room)
        n = room;
    memcpy(r->buffer + r->end, r->input + r->input_at, n);
    r->input_at += n;
    r->end += n;
    r->is_unpacked = r->at_file_end && r->input_at == r->input_count && !is_followed(r);
    return true;
}

static bool
unpack_gzip(struct reader *r, size_t room)
{
    if (r->gzip_ended) {
        r->is_unpacked = r->at_file_end && r->input_at == r->input_count;
        if (r->input_at == r->input_count)
            return true;
        r->gzip_ended = false;
        if (inflateReset(&r->gzip) != Z_OK)
            return false;
    }
    r->gzip.next_in = r->input + r->input_at;
    r->gzip.avail_in = (uInt)(r->input_count - r->input_at);
    r->gzip.next_out = (unsigned char *)r->buffer + r->end;
    r->gzip.avail_out = (uInt)room;
    int result = inflate(&r->gzip, Z_NO_FLUSH);
    r->input_at = r->input_count - r->gzip.avail_in;
    r->end += room - r->gzip.avail_out;
    r->gzip_ended = result == Z_STREAM_END;
    /* Z_BUF_ERROR only says that nothing moved: more input is needed, or the file was cut off. */
    if (result == Z_BUF_ERROR)
        return !r->at_file_end || r->gzip.avail_out < room;
    return result == Z_OK || result == Z_STREAM_END;
}

static bool
unpack_xz(struct reader *r, size_t room)
{
    r->xz.next_in = r->input + r->input_at;
    r->xz.avail_in = r->input_count - r->input_at;
    r->xz.next_out = (unsigned char *)r->buffer + r->end;
    r->xz.avail_out = room;
    lzma_ret result = lzma_code(&r->xz, r->at_file_end ? LZMA_FINISH : LZMA_RUN);
    r->input_at = r->input_count - r->xz.avail_in;
    r->end += room - r->xz.avail_out;
    r->is_unpacked = result == LZMA_STREAM_END;
    return result == LZMA_OK || result == LZMA_STREAM_END ||
           (result == LZMA_BUF_ERROR && !r->at_file_end);
}

/* One piece: reads when the input has run out, unpacks behind `end`. */
static bool
work(struct reader *r)
{
    if (r->begin > 0) {
        memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    bool needs_magic = r->packing == PACKING_UNKNOWN && r->input_count < MAGIC_BYTES;
    if (!r->at_file_end && (r->input_at == r->input_count || needs_magic))
        return input_fill(r);
    if (r->packing == PACKING_UNKNOWN && !packing_find(r))
        return false;

    size_t room = BUFFER_BYTES - r->end;
    if (room > UNPACK_BYTES)
        room = UNPACK_BYTES;
    switch (r->packing) {
    case PACKING_NONE:
        return unpack_plain(r, room);
    case PACKING_GZIP:
        return unpack_gzip(r, room);
    case PACKING_XZ:
        return unpack_xz(r, room);
    case PACKING_UNKNOWN:
        break;
    }
    return false;
}

/* The next whole line of the buffer; the last line of a file may lack its newline. */
static bool
line_take(struct reader *r, const char **line, size_t *length)
{
    char *newline =
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
    if (r->fd < 0) {
        if (!file_open(r))
            return READER_END;
        if (r->fd < 0)
            return file_bad(r, strerror(errno));
    }
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
    if (r->is_unpacked) {
        file_close(r);
        r->path_at++;
        return READER_MORE;
    }
    if (r->at_file_end && r->input_at == r->input_count && is_followed(r)) {
        r->at_file_end = false; /* read again next time */
        return READER_WAIT;
    }
    if (!work(r))
        return file_bad(r, "damaged or cut off");
    return READER_MORE;
}

const char *
reader_path(const struct reader *r)
{
    return r->path_at < r->path_count ? r->paths[r->path_at] : "";
}

bool
reader_is_first_line(const struct reader *r)
{
    return r->is_first;
}

const char *
reader_why(const struct reader *r)
{
    return r->why;
}
