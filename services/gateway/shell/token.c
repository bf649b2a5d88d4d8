/*
 * token.c - keys, signatures and the table of verified tokens.
 *
 * The header of a token is read before libjwt sees it: an algorithm other than HS256 (among them
 * "none") or an unknown key id is refused at once, so that libjwt is only ever asked whether a
 * signature by one certain key holds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/token.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <jwt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "gateway/core/ended.h"
#include "host/log.h"
#include "host/metrics.h"
#include "wire/json.h"

#define KEYS_MAX      8
#define KID_BYTES     24
#define KEY_BYTES_MIN 32
#define KEY_BYTES_MAX 64
#define KEYS_TEXT_MAX 2048
#define HEADER_BYTES  512

struct key {
    char kid[KID_BYTES];
    uint8_t bytes[KEY_BYTES_MAX];
    int length;
};

struct cached {
    uint64_t hash; /* 0 = free */
    uint32_t length;
    char token[TOKEN_BYTES];
    struct token_holder holder;
};

struct tokens {
    struct key keys[KEYS_MAX];
    uint32_t key_count;
    char issuer[64];
    int64_t life_us;
    struct map map;
    void *map_room;
    struct cached *cache;
    uint32_t cache_max, cache_next; /* the oldest entry is given away */
    struct ended ended;
    void *ended_room;
    struct metric *hits, *misses, *forgotten;
};

/* ---- Keys -------------------------------------------------------------------------------- */

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
key_read(const char *text, size_t length, struct key *out)
{
    const char *colon = memchr(text, ':', length);
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof out->kid)
        return false;
    memset(out, 0, sizeof *out);
    memcpy(out->kid, text, (size_t)(colon - text));
    for (const char *c = out->kid; *c != 0; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '-' || *c == '_'))
            return false;
    const char *hex = colon + 1;
    size_t digits = length - (size_t)(hex - text);
    if (digits % 2 != 0 || digits / 2 < KEY_BYTES_MIN || digits / 2 > KEY_BYTES_MAX)
        return false;
    for (size_t i = 0; i < digits; i += 2) {
        int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out->bytes[i / 2] = (uint8_t)(high * 16 + low);
    }
    out->length = (int)(digits / 2);
    return true;
}

static bool
keys_read(struct tokens *t, const char *text)
{
    while (*text != 0) {
        size_t length = strcspn(text, ",\n");
        if (length > 0) {
            if (t->key_count == KEYS_MAX || !key_read(text, length, &t->keys[t->key_count]))
                return false;
            t->key_count++;
        }
        text += length + (text[length] != 0);
    }
    return t->key_count > 0;
}

static enum err
key_file_make(const char *path)
{
    uint8_t secret[KEY_BYTES_MIN];
    char text[KEY_BYTES_MIN * 2 + 8] = "k1:";
    if (RAND_bytes(secret, sizeof secret) != 1)
        return ERR_FILE_UNREADABLE;
    for (size_t i = 0; i < sizeof secret; i++) {
        text[3 + i * 2] = "0123456789abcdef"[secret[i] >> 4];
        text[4 + i * 2] = "0123456789abcdef"[secret[i] & 15];
    }
    text[3 + sizeof secret * 2] = '\n';
    size_t length = 4 + sizeof secret * 2;

    /* Written beside and linked into place: of two gateways that start at once one wins, and
     * nobody ever reads half a key. */
    char beside[512];
    if ((size_t)snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid()) >= sizeof beside)
        return ERR_FILE_UNREADABLE;
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ERR_FILE_UNREADABLE;
    bool ok = write(fd, text, length) == (ssize_t)length && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    ok = ok && (link(beside, path) == 0 || errno == EEXIST);
    unlink(beside);
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(text, sizeof text);
    return ok ? OK : ERR_FILE_UNREADABLE;
}

static enum err
key_file_read(struct tokens *t, const char *path)
{
    char text[KEYS_TEXT_MAX] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        if (key_file_make(path) != OK) {
            log_line(LOG_ERROR, "key_file_failed", "path=%s errno=%d", path, errno);
            return ERR_FILE_UNREADABLE;
        }
        log_line(LOG_INFO, "key_file_made", "path=%s", path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    struct stat st;
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    bool is_open_to_others = fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 077) != 0;
    if (fd >= 0)
        close(fd);
    if (is_open_to_others)
        log_line(LOG_WARN, "key_file_readable_by_others", "path=%s", path);
    bool ok = n > 0 && keys_read(t, text);
    OPENSSL_cleanse(text, sizeof text);
    if (!ok)
        log_line(LOG_ERROR, "key_file_unreadable", "path=%s", path);
    return ok ? OK : ERR_FILE_UNREADABLE;
}

enum err
tokens_open(const struct token_options *o, struct tokens **out)
{
    struct tokens *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    enum err e = OK;
    if (o->keys[0] == 0) {
        e = key_file_read(t, o->key_file);
    } else if (!keys_read(t, o->keys)) {
        log_line(LOG_ERROR, "jwt_keys_invalid", "form=kid:hex,kid:hex bytes=%d-%d", KEY_BYTES_MIN,
                 KEY_BYTES_MAX);
        e = ERR_CONFIG_BAD_VALUE;
    }
    if (e != OK) {
        free(t);
        return e;
    }
    snprintf(t->issuer, sizeof t->issuer, "%s", o->issuer);
    t->life_us = o->life_us;
    t->cache_max = o->cache_max;
    t->cache = calloc(o->cache_max, sizeof *t->cache);
    t->map_room = malloc(map_bytes(o->cache_max));
    t->ended_room = calloc(1, ended_bytes(o->ended_max));
    CHECK(t->cache != NULL && t->map_room != NULL && t->ended_room != NULL);
    map_init(&t->map, o->cache_max, t->map_room);
    ended_init(&t->ended, o->ended_max, o->life_us, t->ended_room);
    t->hits = metric_counter("scrip_gateway_token_checks_total", "cached=\"yes\"",
                             "Access tokens checked.");
    t->misses = metric_counter("scrip_gateway_token_checks_total", "cached=\"no\"",
                               "Access tokens checked.");
    t->forgotten = metric_counter("scrip_gateway_sessions_forgotten_total", "",
                                  "Ended sessions forgotten before their tokens had run out.");
    *out = t;
    return OK;
}

void
tokens_close(struct tokens **t)
{
    struct tokens *old = *t;
    if (old == NULL)
        return;
    OPENSSL_cleanse(old->keys, sizeof old->keys);
    free(old->cache);
    free(old->map_room);
    free(old->ended_room);
    free(old);
    *t = NULL;
}

/* ---- Signing ----------------------------------------------------------------------------- */

size_t
tokens_sign(struct tokens *t, struct token_holder *holder, int64_t now_us, char out[TOKEN_BYTES])
{
    char subject[24];
    jwt_t *jwt = NULL;
    const struct key *key = &t->keys[0];
    snprintf(subject, sizeof subject, "%llu", (unsigned long long)holder->user_id);
    holder->expires_us = now_us + t->life_us;
    CHECK(jwt_new(&jwt) == 0);
    CHECK(jwt_set_alg(jwt, JWT_ALG_HS256, key->bytes, key->length) == 0);
    CHECK(jwt_add_header(jwt, "kid", key->kid) == 0);
    CHECK(jwt_add_grant(jwt, "iss", t->issuer) == 0);
    CHECK(jwt_add_grant(jwt, "sub", subject) == 0);
    CHECK(jwt_add_grant(jwt, "name", holder->username) == 0);
    CHECK(jwt_add_grant(jwt, "role", holder->role) == 0);
    CHECK(jwt_add_grant_int(jwt, "acc", (long)holder->account_id) == 0);
    CHECK(jwt_add_grant_int(jwt, "sid", (long)holder->session_id) == 0);
    CHECK(jwt_add_grant_int(jwt, "iat", (long)(now_us / 1000000)) == 0);
    CHECK(jwt_add_grant_int(jwt, "exp", (long)(holder->expires_us / 1000000)) == 0);
    char *text = jwt_encode_str(jwt);
    CHECK(text != NULL && strlen(text) < TOKEN_BYTES);
    size_t length = strlen(text);
    memcpy(out, text, length + 1);
    free(text);
    jwt_free(jwt);
    return length;
}

/* ---- Verifying --------------------------------------------------------------------------- */

/* Base64url without padding, into text with a NUL. */
static bool
base64url_read(const char *at, size_t length, char *out, size_t size)
{
    char padded[HEADER_BYTES];
    unsigned char plain[HEADER_BYTES];
    size_t whole = (length + 3) / 4 * 4;
    if (length == 0 || length % 4 == 1 || whole >= sizeof padded || whole / 4 * 3 >= size)
        return false;
    for (size_t i = 0; i < whole; i++) {
        char c = i < length ? at[i] : '=';
        padded[i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    int n = EVP_DecodeBlock(plain, (const unsigned char *)padded, (int)whole);
    if (n < 0)
        return false;
    size_t bytes = (size_t)n - (whole - length);
    memcpy(out, plain, bytes);
    out[bytes] = 0;
    return strlen(out) == bytes;
}

/* The key a token's header names; NULL when the header is not one of ours. */
static const struct key *
header_key(const struct tokens *t, const char *token, size_t length)
{
    char text[HEADER_BYTES];
    const char *dot = memchr(token, '.', length);
    if (dot == NULL || !base64url_read(token, (size_t)(dot - token), text, sizeof text))
        return NULL;
    struct json_object *header = json_parse(text, strlen(text), 2), *alg, *kid;
    const struct key *found = NULL;
    if (header != NULL && json_object_is_type(header, json_type_object) &&
        json_object_object_get_ex(header, "alg", &alg) &&
        json_object_object_get_ex(header, "kid", &kid) &&
        json_object_is_type(alg, json_type_string) && json_object_is_type(kid, json_type_string) &&
        strcmp(json_object_get_string(alg), "HS256") == 0)
        for (uint32_t i = 0; i < t->key_count; i++)
            if (strcmp(t->keys[i].kid, json_object_get_string(kid)) == 0)
                found = &t->keys[i];
    json_object_put(header);
    return found;
}

static bool
holder_read(const struct tokens *t, jwt_t *jwt, struct token_holder *out)
{
    const char *issuer = jwt_get_grant(jwt, "iss"), *subject = jwt_get_grant(jwt, "sub");
    const char *name = jwt_get_grant(jwt, "name"), *role = jwt_get_grant(jwt, "role");
    long account = jwt_get_grant_int(jwt, "acc"), expires = jwt_get_grant_int(jwt, "exp");
    long session = jwt_get_grant_int(jwt, "sid");
    if (issuer == NULL || strcmp(issuer, t->issuer) != 0 || subject == NULL || name == NULL ||
        role == NULL || account <= 0 || session <= 0 || expires <= 0)
        return false;
    char *end;
    errno = 0;
    unsigned long long user = strtoull(subject, &end, 10);
    if (errno != 0 || end == subject || *end != 0 || user == 0)
        return false;
    out->user_id = user;
    out->account_id = (uint64_t)account;
    out->session_id = (uint64_t)session;
    out->expires_us = (int64_t)expires * 1000000;
    snprintf(out->username, sizeof out->username, "%s", name);
    snprintf(out->role, sizeof out->role, "%s", role);
    return true;
}

static void
cache_put(struct tokens *t, uint64_t hash, const char *token, size_t length,
          const struct token_holder *holder)
{
    uint32_t at = map_get(&t->map, hash);
    if (at == MAP_NONE) {
        at = t->cache_next;
        t->cache_next = (at + 1) % t->cache_max;
        if (t->cache[at].hash != 0)
            map_remove(&t->map, t->cache[at].hash);
    }
    struct cached *c = &t->cache[at];
    c->hash = hash;
    c->length = (uint32_t)length;
    memcpy(c->token, token, length);
    c->holder = *holder;
    map_set(&t->map, hash, at);
}

/* What a signature does not tell. */
static enum err
holder_check(const struct tokens *t, const struct token_holder *holder, int64_t now_us)
{
    if (holder->expires_us <= now_us)
        return ERR_TOKEN_EXPIRED;
    return ended_has(&t->ended, holder->session_id) ? ERR_TOKEN_INVALID : OK;
}

enum err
tokens_verify(struct tokens *t, const char *token, size_t length, int64_t now_us,
              struct token_holder *out)
{
    if (length == 0 || length >= TOKEN_BYTES)
        return ERR_TOKEN_INVALID;
    uint64_t hash = map_hash(token, length);
    uint32_t at = map_get(&t->map, hash);
    if (at != MAP_NONE && t->cache[at].length == length &&
        CRYPTO_memcmp(t->cache[at].token, token, length) == 0) {
        metric_add(t->hits, 1);
        *out = t->cache[at].holder;
        return holder_check(t, out, now_us);
    }

    metric_add(t->misses, 1);
    const struct key *key = header_key(t, token, length);
    if (key == NULL)
        return ERR_TOKEN_INVALID;
    char text[TOKEN_BYTES];
    memcpy(text, token, length);
    text[length] = 0;
    jwt_t *jwt = NULL;
    if (strlen(text) != length || jwt_decode(&jwt, text, key->bytes, key->length) != 0)
        return ERR_TOKEN_INVALID;
    bool ok = jwt_get_alg(jwt) == JWT_ALG_HS256 && holder_read(t, jwt, out);
    jwt_free(jwt);
    if (!ok)
        return ERR_TOKEN_INVALID;
    enum err e = holder_check(t, out, now_us);
    if (e == OK)
        cache_put(t, hash, token, length, out);
    return e;
}

void
tokens_end_session(struct tokens *t, uint64_t session_id, int64_t now_us)
{
    if (!ended_add(&t->ended, session_id, now_us))
        metric_add(t->forgotten, 1);
}

bool
tokens_session_ended(const struct tokens *t, uint64_t session_id)
{
    return ended_has(&t->ended, session_id);
}
