/*
 * reader_files.c - see reader_files.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/reader_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "market/recording.h"

#define PIECE_BYTES   (1u << 20)
#define CHECKSUM_NAME ".CHECKSUM"
#define SHA256_BYTES  32u

static enum err
refuse(char *why, const char *what, const char *path)
{
    snprintf(why, READER_WHY_BYTES, "%s %.180s", what, path);
    return ERR_FILE_UNREADABLE;
}

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static enum err
file_add(struct reader_files *f, const char *path, char *why)
{
    enum trading_type market;
    struct reader_file file = {.path = strdup(path)};
    CHECK(file.path != NULL);
    if (!recording_name_read(base_name(path), &market, &file.start_us))
        file.start_us = 0;
    f->list = realloc(f->list, (f->count + 1) * sizeof(*f->list));
    CHECK(f->list != NULL);
    f->list[f->count++] = file;
    return access(path, R_OK) == 0 ? OK : refuse(why, "cannot read", path);
}

/* ---- Folders ---------------------------------------------------------------------------- */

static int
is_file(const struct dirent *e)
{
    size_t length = strlen(e->d_name), tail = strlen(CHECKSUM_NAME);
    return e->d_name[0] != '.' && e->d_type != DT_DIR &&
           (length < tail || strcmp(e->d_name + length - tail, CHECKSUM_NAME) != 0);
}

/* Which of a folder's files are meant: bits by market of the segments among them. */
static unsigned
markets_of(struct dirent **names, int count)
{
    unsigned found = 0;
    for (int i = 0; i < count; i++) {
        enum trading_type market;
        int64_t start_us;
        if (recording_name_read(names[i]->d_name, &market, &start_us))
            found |= 1u << market;
    }
    return found;
}

static bool
is_meant(const char *name, unsigned markets, enum trading_type wanted)
{
    enum trading_type market;
    int64_t start_us;
    if (markets == 0)
        return true;
    return recording_name_read(name, &market, &start_us) &&
           ((markets & (markets - 1)) == 0 || market == wanted);
}

static enum err
folder_add(struct reader_files *f, const char *folder, enum trading_type wanted, char *why)
{
    struct dirent **names;
    uint32_t before = f->count;
    int count = scandir(folder, &names, is_file, alphasort);
    if (count < 0)
        return refuse(why, "cannot read", folder);
    unsigned markets = markets_of(names, count);
    enum err e = OK;
    if (wanted == 0 && (markets & (markets - 1)) != 0)
        e = refuse(why, "market=spot or market=usdm: both are in", folder);
    for (int i = 0; i < count; i++) {
        if (e == OK && is_meant(names[i]->d_name, markets, wanted)) {
            char path[4096];
            snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
            e = file_add(f, path, why);
        }
        free(names[i]);
    }
    free(names);
    if (e == OK && f->count == before)
        return refuse(why, "there is no file in", folder);
    return e;
}

static bool
is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static enum err
pattern_add(struct reader_files *f, const char *pattern, enum trading_type market, char *why)
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
        if (is_folder(found.gl_pathv[i]))
            e = folder_add(f, found.gl_pathv[i], market, why);
        else
            e = file_add(f, found.gl_pathv[i], why);
    }
    globfree(&found);
    return e;
}

enum err
reader_files_find(struct reader_files *f, const char *files, enum trading_type market,
                  char why[READER_WHY_BYTES])
{
    char *list = strdup(files), *rest = list;
    CHECK(list != NULL);
    enum err e = OK;
    for (char *part; e == OK && (part = strsep(&rest, ",")) != NULL;)
        e = *part == '\0' ? refuse(why, "a file name is empty in", files)
                          : pattern_add(f, part, market, why);
    free(list);
    return e;
}

void
reader_files_free(struct reader_files *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        free(f->list[i].path);
    free(f->list);
    *f = (struct reader_files){0};
}

/* ---- Checksums -------------------------------------------------------------------------- */

struct reader_sum {
    int fd; /* -1: the file or its checksum cannot be read */
    uint8_t said[SHA256_BYTES];
    EVP_MD_CTX *sha256;
    uint8_t *piece;
};

/* 64 hexadecimal digits, then blanks and the file's name. */
static bool
said_read(int fd, uint8_t out[SHA256_BYTES])
{
    char text[2 * SHA256_BYTES + 1];
    if (read(fd, text, 2 * SHA256_BYTES) != 2 * SHA256_BYTES)
        return false;
    for (size_t i = 0; i < 2 * SHA256_BYTES; i++) {
        int c = tolower((unsigned char)text[i]);
        if (!isxdigit(c))
            return false;
        uint8_t digit = (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
        out[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : out[i / 2] | digit);
    }
    return true;
}

struct reader_sum *
reader_sum_open(const char *path)
{
    char beside[4096];
    snprintf(beside, sizeof(beside), "%s%s", path, CHECKSUM_NAME);
    int fd = open(beside, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return NULL;
    struct reader_sum *s = calloc(1, sizeof(*s));
    CHECK(s != NULL);
    s->fd = -1;
    if (fd >= 0 && said_read(fd, s->said))
        s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    s->piece = malloc(PIECE_BYTES);
    s->sha256 = EVP_MD_CTX_new();
    CHECK(s->piece != NULL && s->sha256 != NULL &&
          EVP_DigestInit_ex(s->sha256, EVP_sha256(), NULL) == 1);
    return s;
}

int
reader_sum_step(struct reader_sum *s)
{
    ssize_t n = s->fd < 0 ? -1 : read(s->fd, s->piece, PIECE_BYTES);
    if (n < 0)
        return s->fd >= 0 && errno == EINTR ? 0 : -1;
    if (n > 0) {
        CHECK(EVP_DigestUpdate(s->sha256, s->piece, (size_t)n) == 1);
        return 0;
    }
    uint8_t found[SHA256_BYTES];
    CHECK(EVP_DigestFinal_ex(s->sha256, found, NULL) == 1);
    return memcmp(found, s->said, sizeof(found)) == 0 ? 1 : -1;
}

void
reader_sum_close(struct reader_sum **s)
{
    if (*s == NULL)
        return;
    if ((*s)->fd >= 0)
        close((*s)->fd);
    EVP_MD_CTX_free((*s)->sha256);
    free((*s)->piece);
    free(*s);
    *s = NULL;
}
