/*
 * manifest.c - see manifest.h.
 *
 * The checksum stands in the last line but one and covers every byte before that line, so that it
 * can be checked without reading JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "scripctl/fresh.h"

#define FORMAT     "scrip-journal"
#define VERSION    1
#define TAIL_BEGIN "  \"sha256\": \""
#define TAIL_END   "\"\n}\n"
#define HEX_CHARS  (2 * HASH_BYTES)
#define TAIL_BYTES (sizeof TAIL_BEGIN - 1 + HEX_CHARS + sizeof TAIL_END - 1)
#define TEXT_MAX   (INT64_C(1) << 30)

static bool fail(char why[WHY_BYTES], const char *format, ...) PRINTF(2, 3);

static bool
fail(char why[WHY_BYTES], const char *format, ...)
{
    char sentence[WHY_BYTES - 64];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    snprintf(why, WHY_BYTES, MANIFEST_NAME ": %s", sentence);
    return false;
}

static void
hex_put(const uint8_t bytes[HASH_BYTES], char out[HEX_CHARS + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < HASH_BYTES; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[HEX_CHARS] = '\0';
}

static bool
hex_read(const char *text, uint8_t out[HASH_BYTES])
{
    for (int i = 0; i < (int)HEX_CHARS; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        out[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : out[i / 2] | digit);
    }
    return true;
}

static void
digest_of(const char *text, size_t length, uint8_t out[HASH_BYTES])
{
    unsigned written = 0;
    CHECK(EVP_Digest(text, length, out, &written, EVP_sha256(), NULL) == 1 &&
          written == HASH_BYTES);
}

/* ---- The list ----------------------------------------------------------------------------- */

const struct segment *
manifest_shard(const struct manifest *m, uint16_t shard, uint32_t *count)
{
    uint32_t from = 0, to = 0;
    while (from < m->count && m->files[from].shard < shard)
        from++;
    for (to = from; to < m->count && m->files[to].shard == shard;)
        to++;
    *count = to - from;
    return *count == 0 ? NULL : &m->files[from];
}

bool
manifest_add(struct manifest *m, const struct segment *s, char why[WHY_BYTES])
{
    uint32_t count, at = 0;
    const struct segment *files = manifest_shard(m, s->shard, &count);
    if (files != NULL) {
        const struct segment *last = &files[count - 1];
        if (s->first != last->last + 1)
            return fail(why, "shard %u: record %" PRIu64 " does not follow record %" PRIu64,
                        s->shard, s->first, last->last);
        if (memcmp(s->before, last->hash, HASH_BYTES) != 0)
            return fail(
                why, "shard %u: the hash before record %" PRIu64 " is not that of record %" PRIu64,
                s->shard, s->first, last->last);
    }
    while (at < m->count && m->files[at].shard <= s->shard)
        at++;
    if (m->count == m->room) {
        m->room = m->room == 0 ? 256 : 2 * m->room;
        m->files = realloc(m->files, m->room * sizeof *m->files);
        CHECK(m->files != NULL);
    }
    memmove(&m->files[at + 1], &m->files[at], (m->count - at) * sizeof *m->files);
    m->files[at] = *s;
    m->count++;
    m->records += s->last - s->first + 1;
    return true;
}

void
manifest_free(struct manifest *m)
{
    free(m->files);
    *m = (struct manifest){0};
}

/* ---- Writing ------------------------------------------------------------------------------ */

char *
manifest_text(const struct manifest *m, size_t *length)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, length);
    CHECK(f != NULL);
    fprintf(f,
            "{\n  \"format\": \"" FORMAT "\",\n  \"version\": %d,\n  \"records\": %" PRIu64
            ",\n  \"files\": [",
            VERSION, m->records);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct segment *s = &m->files[i];
        char name[SEGMENT_NAME_BYTES], before[HEX_CHARS + 1], hash[HEX_CHARS + 1],
            sha256[HEX_CHARS + 1];
        segment_name(s, name);
        hex_put(s->before, before);
        hex_put(s->hash, hash);
        hex_put(s->sha256, sha256);
        fprintf(f,
                "%s\n    {\"path\": \"%s\", \"shard\": %u, \"first\": %" PRIu64
                ", \"last\": %" PRIu64 ", \"first_us\": %" PRId64 ", \"last_us\": %" PRId64
                ", \"before\": \"%s\", \"hash\": \"%s\", \"bytes\": %" PRIu64
                ", \"sha256\": \"%s\"}",
                i == 0 ? "" : ",", name, s->shard, s->first, s->last, s->first_us, s->last_us,
                before, hash, s->bytes, sha256);
    }
    fprintf(f, "\n  ],\n");
    CHECK(fflush(f) == 0);
    uint8_t digest[HASH_BYTES];
    char hex[HEX_CHARS + 1];
    digest_of(text, *length, digest);
    hex_put(digest, hex);
    fprintf(f, TAIL_BEGIN "%s" TAIL_END, hex);
    CHECK(fclose(f) == 0);
    return text;
}

bool
manifest_write(const char *folder, const struct manifest *m, char why[WHY_BYTES])
{
    size_t length = 0;
    char *text = manifest_text(m, &length);
    struct fresh file;
    bool is_written = fresh_open(&file, folder, MANIFEST_NAME, why) &&
                      fresh_write(&file, text, length, why) && fresh_keep(&file, why);
    fresh_drop(&file);
    free(text);
    return is_written;
}

/* ---- Reading ------------------------------------------------------------------------------ */

static bool
get_int(struct json_object *o, const char *key, int64_t min, int64_t max, int64_t *out)
{
    struct json_object *value;
    if (!json_object_object_get_ex(o, key, &value) || !json_object_is_type(value, json_type_int))
        return false;
    *out = json_object_get_int64(value);
    return *out >= min && *out <= max;
}

static bool
get_hash(struct json_object *o, const char *key, uint8_t out[HASH_BYTES])
{
    struct json_object *value;
    return json_object_object_get_ex(o, key, &value) &&
           json_object_is_type(value, json_type_string) &&
           json_object_get_string_len(value) == (int)HEX_CHARS &&
           hex_read(json_object_get_string(value), out);
}

static bool
get_text(struct json_object *o, const char *key, const char *expected)
{
    struct json_object *value;
    return json_object_object_get_ex(o, key, &value) &&
           json_object_is_type(value, json_type_string) &&
           strcmp(json_object_get_string(value), expected) == 0;
}

static bool
file_read(struct json_object *o, struct segment *s)
{
    int64_t shard, first, last, bytes;
    if (!json_object_is_type(o, json_type_object) ||
        !get_int(o, "shard", 0, RECORDS_SHARDS - 1, &shard) ||
        !get_int(o, "first", 1, INT64_MAX - 1, &first) ||
        !get_int(o, "last", first, INT64_MAX - 1, &last) || last - first >= SEGMENT_RECORDS_MAX ||
        !get_int(o, "first_us", INT64_MIN, INT64_MAX, &s->first_us) ||
        !get_int(o, "last_us", INT64_MIN, INT64_MAX, &s->last_us) ||
        !get_int(o, "bytes", 1, INT64_MAX, &bytes) || !get_hash(o, "before", s->before) ||
        !get_hash(o, "hash", s->hash) || !get_hash(o, "sha256", s->sha256))
        return false;
    s->shard = (uint16_t)shard;
    s->first = (uint64_t)first;
    s->last = (uint64_t)last;
    s->bytes = (uint64_t)bytes;
    /* A name of its own making could lead out of the folder. */
    char name[SEGMENT_NAME_BYTES];
    segment_name(s, name);
    return get_text(o, "path", name);
}

static bool
files_read(struct json_object *root, struct manifest *out, char why[WHY_BYTES])
{
    struct json_object *files;
    int64_t version, records;
    if (!get_text(root, "format", FORMAT))
        return fail(why, "it is no manifest of a journal");
    if (!get_int(root, "version", VERSION, VERSION, &version))
        return fail(why, "it is of another version");
    if (!json_object_object_get_ex(root, "files", &files) ||
        !json_object_is_type(files, json_type_array))
        return fail(why, "it has no files");
    size_t count = json_object_array_length(files);
    for (size_t i = 0; i < count; i++) {
        struct segment s;
        if (!file_read(json_object_array_get_idx(files, i), &s))
            return fail(why, "file %zu of %zu is malformed", i + 1, count);
        if (!manifest_add(out, &s, why))
            return false;
    }
    if (!get_int(root, "records", 0, INT64_MAX, &records) || (uint64_t)records != out->records)
        return fail(why, "its files do not have as many records as it says");
    return true;
}

/* What it is without its checksum has no end; one is put there. */
bool
manifest_parse(const char *text, size_t length, struct manifest *out, char why[WHY_BYTES])
{
    *out = (struct manifest){0};
    if (length > TEXT_MAX)
        return fail(why, "it is too long");
    char *whole = malloc(length + sizeof "\"\":0}");
    CHECK(whole != NULL);
    memcpy(whole, text, length);
    memcpy(whole + length, "\"\":0}", sizeof "\"\":0}");
    struct json_tokener *tokener = json_tokener_new();
    CHECK(tokener != NULL);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    struct json_object *root =
        json_tokener_parse_ex(tokener, whole, (int)(length + sizeof "\"\":0}"));
    bool is_read =
        (json_object_is_type(root, json_type_object) || fail(why, "it is no JSON object")) &&
        files_read(root, out, why);
    json_object_put(root);
    json_tokener_free(tokener);
    free(whole);
    if (!is_read)
        manifest_free(out);
    return is_read;
}

static bool
text_check(const char *text, size_t length, char why[WHY_BYTES])
{
    uint8_t said[HASH_BYTES], digest[HASH_BYTES];
    const char *tail = text + length - TAIL_BYTES;
    size_t begin = sizeof TAIL_BEGIN - 1;
    if (length < TAIL_BYTES || memcmp(tail, TAIL_BEGIN, begin) != 0 ||
        !hex_read(tail + begin, said) ||
        memcmp(tail + begin + HEX_CHARS, TAIL_END, sizeof TAIL_END - 1) != 0)
        return fail(why, "it does not end with its checksum");
    digest_of(text, length - TAIL_BYTES, digest);
    return memcmp(said, digest, HASH_BYTES) == 0 || fail(why, "its checksum is wrong");
}

enum manifest_result
manifest_read(const char *folder, struct manifest *out, char why[WHY_BYTES])
{
    char path[FRESH_PATH_BYTES];
    struct stat file;
    snprintf(path, sizeof path, "%s/" MANIFEST_NAME, folder);
    *out = (struct manifest){0};
    FILE *f = fopen(path, "r");
    if (f == NULL || fstat(fileno(f), &file) != 0) {
        int error = errno;
        snprintf(why, WHY_BYTES, "cannot read %.300s: %s", path, strerror(error));
        if (f != NULL)
            fclose(f);
        return error == ENOENT ? MANIFEST_ABSENT : MANIFEST_BAD;
    }
    size_t length = file.st_size >= 0 && file.st_size < TEXT_MAX ? (size_t)file.st_size : 0;
    char *text = malloc(length + 1);
    CHECK(text != NULL);
    bool is_read = fread(text, 1, length, f) == length || fail(why, "it cannot be read");
    fclose(f);
    is_read = is_read && text_check(text, length, why) &&
              manifest_parse(text, length - TAIL_BYTES, out, why);
    free(text);
    return is_read ? MANIFEST_READ : MANIFEST_BAD;
}
