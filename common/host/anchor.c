/*
 * anchor.c - the text of an anchor, its signature, and the keys; see anchor.h.
 *
 * A text is read by taking its values out and writing it again: what differs in one byte is not an
 * anchor, so there is one text for one content.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIGNATURE_BYTES 64
#define KEY_BYTES       32
#define KEY_FILE_MAX    65536
#define TIME_CHARS      27 /* 2026-11-21T12:00:00.000000Z */
#define SIGNATURE_WORD  "signature "

/* What stands before the 32 bytes of an Ed25519 private key in PKCS#8. */
static const uint8_t key_head[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                   0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

struct anchor_signer {
    EVP_PKEY *key;
    uint8_t id[ANCHOR_KEY_BYTES];
};

struct public_key {
    EVP_PKEY *key;
    uint8_t id[ANCHOR_KEY_BYTES];
};

struct anchor_keys {
    struct public_key keys[ANCHOR_KEYS_MAX];
    uint32_t count;
};

/* ---- Writing ------------------------------------------------------------------------------ */

struct writer {
    char *text;
    size_t length;
};

static void put(struct writer *w, const char *format, ...) PRINTF(2, 3);

static void
put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(w->text + w->length, ANCHOR_TEXT_MAX - w->length, format, args);
    va_end(args);
    CHECK(length >= 0 && w->length + (size_t)length < ANCHOR_TEXT_MAX);
    w->length += (size_t)length;
}

static void
put_hex(struct writer *w, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    CHECK(w->length + 2 * count < ANCHOR_TEXT_MAX);
    for (size_t i = 0; i < count; i++) {
        w->text[w->length++] = digits[bytes[i] >> 4];
        w->text[w->length++] = digits[bytes[i] & 15];
    }
    w->text[w->length] = '\0';
}

static void
put_hex_line(struct writer *w, const char *word, const uint8_t *bytes, size_t count)
{
    put(w, "%s ", word);
    put_hex(w, bytes, count);
    put(w, "\n");
}

static void
put_time(struct writer *w, int64_t time_us)
{
    struct tm t;
    time_t seconds = time_us / 1000000;
    CHECK(time_us >= 0 && gmtime_r(&seconds, &t) != NULL);
    put(w, "time %04d-%02d-%02dT%02d:%02d:%02d.%06dZ\n", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
        t.tm_hour, t.tm_min, t.tm_sec, (int)(time_us % 1000000));
}

/* All lines but the signature. */
static void
put_body(struct writer *w, const struct anchor *a)
{
    put(w, "scrip-anchor 1\nnumber %" PRIu64 "\n", a->number);
    put_time(w, a->time_us);
    put(w, "group %" PRIu32 "\nepoch %" PRIu64 "\n", a->group, a->epoch);
    put_hex_line(w, "previous", a->previous, HASH_BYTES);
    put_hex_line(w, "key", a->key, ANCHOR_KEY_BYTES);
    for (uint32_t i = 0; i < a->heads_count; i++) {
        put(w, "shard %u %" PRIu64 " ", (unsigned)a->heads[i].shard, a->heads[i].seq);
        put_hex(w, a->heads[i].hash, HASH_BYTES);
        put(w, "\n");
    }
}

/* ---- Reading ------------------------------------------------------------------------------ */

struct reader {
    const char *at, *end;
};

static bool
take_word(struct reader *r, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
        return false;
    r->at += length;
    return true;
}

/* Digits, up to INT64_MAX. */
static bool
take_number(struct reader *r, uint64_t *out)
{
    const char *start = r->at;
    uint64_t value = 0;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        uint64_t digit = (uint64_t)(*r->at - '0');
        if (value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return r->at > start;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
take_hex(struct reader *r, uint8_t *out, size_t count)
{
    if ((size_t)(r->end - r->at) < 2 * count)
        return false;
    for (size_t i = 0; i < count; i++, r->at += 2) {
        int high = hex_digit(r->at[0]), low = hex_digit(r->at[1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int
number_at(const char *at, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++)
        value = value * 10 + (at[i] - '0');
    return value;
}

/* What is no time of the calendar is found when it is written again. */
static bool
take_time(struct reader *r, int64_t *out)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
    const char *at = r->at;
    if (r->end - at < TIME_CHARS)
        return false;
    for (int i = 0; i < TIME_CHARS; i++)
        if (form[i] == 'd' ? at[i] < '0' || at[i] > '9' : at[i] != form[i])
            return false;
    struct tm t = {
        .tm_year = number_at(at, 4) - 1900,
        .tm_mon = number_at(at + 5, 2) - 1,
        .tm_mday = number_at(at + 8, 2),
        .tm_hour = number_at(at + 11, 2),
        .tm_min = number_at(at + 14, 2),
        .tm_sec = number_at(at + 17, 2),
    };
    *out = (int64_t)timegm(&t) * 1000000 + number_at(at + 20, 6);
    r->at += TIME_CHARS;
    return *out >= 0;
}

static bool
take_head(struct reader *r, struct anchor *a)
{
    uint64_t shard;
    if (!take_number(r, &shard) || shard >= ANCHOR_SHARDS_MAX || a->heads_count > shard)
        return false;
    struct anchor_point *head = &a->heads[a->heads_count];
    if (a->heads_count > 0 && head[-1].shard >= shard)
        return false;
    *head = (struct anchor_point){.shard = (uint16_t)shard, .time_us = a->time_us};
    if (!take_word(r, " ") || !take_number(r, &head->seq) || head->seq == 0 || !take_word(r, " ") ||
        !take_hex(r, head->hash, HASH_BYTES) || !take_word(r, "\n"))
        return false;
    a->heads_count++;
    return true;
}

static bool
take_body(struct reader *r, struct anchor *a)
{
    uint64_t group;
    if (!take_word(r, "scrip-anchor 1\nnumber ") || !take_number(r, &a->number) || a->number == 0 ||
        !take_word(r, "\ntime ") || !take_time(r, &a->time_us) || !take_word(r, "\ngroup ") ||
        !take_number(r, &group) || group > INT32_MAX || !take_word(r, "\nepoch ") ||
        !take_number(r, &a->epoch) || !take_word(r, "\nprevious ") ||
        !take_hex(r, a->previous, HASH_BYTES) || !take_word(r, "\nkey ") ||
        !take_hex(r, a->key, ANCHOR_KEY_BYTES) || !take_word(r, "\n"))
        return false;
    a->group = (uint32_t)group;
    while (take_word(r, "shard "))
        if (!take_head(r, a))
            return false;
    return a->heads_count > 0;
}

bool
anchor_read(const char *text, size_t length, struct anchor *out, size_t *used)
{
    struct reader r = {.at = text, .end = text + length};
    uint8_t signature[SIGNATURE_BYTES];
    *out = (struct anchor){0};
    if (!take_body(&r, out))
        return false;
    size_t body_length = (size_t)(r.at - text);
    if (!take_word(&r, SIGNATURE_WORD) || !take_hex(&r, signature, SIGNATURE_BYTES) ||
        !take_word(&r, "\n"))
        return false;
    char again[ANCHOR_TEXT_MAX];
    struct writer w = {.text = again};
    put_body(&w, out);
    if (w.length != body_length || memcmp(again, text, body_length) != 0)
        return false;
    *used = (size_t)(r.at - text);
    SHA256((const unsigned char *)text, *used, out->digest);
    return true;
}

/* ---- The private key ---------------------------------------------------------------------- */

static bool
key_id(EVP_PKEY *key, uint8_t out[ANCHOR_KEY_BYTES])
{
    uint8_t raw[KEY_BYTES], digest[HASH_BYTES];
    size_t length = sizeof raw;
    if (EVP_PKEY_get_raw_public_key(key, raw, &length) != 1 || length != sizeof raw)
        return false;
    SHA256(raw, sizeof raw, digest);
    memcpy(out, digest, ANCHOR_KEY_BYTES);
    return true;
}

/* Reads a whole file into `out`; its length, or -1 and why. */
static ssize_t
file_read(int fd, const char *path, char *out, size_t size, char why[ANCHOR_WHY_BYTES])
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, out + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            snprintf(why, ANCHOR_WHY_BYTES, "%s: %s", path, strerror(errno));
            return -1;
        }
        if (got == 0)
            return (ssize_t)length;
        length += (size_t)got;
    }
    snprintf(why, ANCHOR_WHY_BYTES, "%s: larger than a key file can be", path);
    return -1;
}

/* Never asks at the terminal. */
static int
no_password(char *buffer, int size, int is_writing, void *arg)
{
    (void)buffer, (void)size, (void)is_writing, (void)arg;
    return -1;
}

static EVP_PKEY *
private_key_of(const char *pem, size_t length)
{
    unsigned char *der = NULL;
    long der_length = 0;
    EVP_PKEY *key = NULL;
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    CHECK(bio != NULL);
    if (PEM_bytes_read_bio_secmem(&der, &der_length, NULL, PEM_STRING_PKCS8INF, bio, no_password,
                                  NULL) == 1 &&
        der_length == sizeof key_head + KEY_BYTES && memcmp(der, key_head, sizeof key_head) == 0)
        key =
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, der + sizeof key_head, KEY_BYTES);
    if (der != NULL)
        OPENSSL_secure_clear_free(der, (size_t)der_length);
    BIO_free(bio);
    return key;
}

static EVP_PKEY *
private_key_read(int fd, const char *path, char why[ANCHOR_WHY_BYTES])
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        snprintf(why, ANCHOR_WHY_BYTES, "%s: not a file", path);
        return NULL;
    }
    if ((st.st_mode & 077) != 0) {
        snprintf(why, ANCHOR_WHY_BYTES,
                 "%s: others than its owner may use it (mode %04o); make it 0600", path,
                 (unsigned)(st.st_mode & 07777));
        return NULL;
    }
    char pem[KEY_FILE_MAX];
    EVP_PKEY *key = NULL;
    ssize_t length = file_read(fd, path, pem, sizeof pem, why);
    if (length >= 0) {
        key = private_key_of(pem, (size_t)length);
        if (key == NULL)
            snprintf(why, ANCHOR_WHY_BYTES,
                     "%s: not an Ed25519 private key (PEM, PKCS#8, without a password)", path);
    }
    OPENSSL_cleanse(pem, sizeof pem);
    return key;
}

struct anchor_signer *
anchor_signer_open(const char *path, char why[ANCHOR_WHY_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        snprintf(why, ANCHOR_WHY_BYTES, "%s: %s", path, strerror(errno));
        return NULL;
    }
    EVP_PKEY *key = private_key_read(fd, path, why);
    close(fd);
    if (key == NULL)
        return NULL;
    struct anchor_signer *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->key = key;
    CHECK(key_id(key, s->id));
    return s;
}

/* libcrypto wipes the key when it frees it. */
void
anchor_signer_close(struct anchor_signer **s)
{
    if (*s == NULL)
        return;
    EVP_PKEY_free((*s)->key);
    free(*s);
    *s = NULL;
}

size_t
anchor_sign(const struct anchor_signer *s, struct anchor *a, char text[ANCHOR_TEXT_MAX])
{
    uint8_t signature[SIGNATURE_BYTES];
    size_t length = sizeof signature;
    struct writer w = {.text = text};
    CHECK(a->number > 0 && a->heads_count > 0 && a->heads_count <= ANCHOR_SHARDS_MAX);
    memcpy(a->key, s->id, ANCHOR_KEY_BYTES);
    put_body(&w, a);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, s->key) == 1);
    CHECK(EVP_DigestSign(context, signature, &length, (const unsigned char *)text, w.length) == 1);
    EVP_MD_CTX_free(context);
    put_hex_line(&w, "signature", signature, sizeof signature);
    SHA256((const unsigned char *)text, w.length, a->digest);
    return w.length;
}

/* ---- A new pair --------------------------------------------------------------------------- */

static bool
new_file(const char *path, mode_t mode, EVP_PKEY *key, bool is_private, char why[ANCHOR_WHY_BYTES])
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        snprintf(why, ANCHOR_WHY_BYTES, "%s: %s", path, strerror(errno));
        return false;
    }
    BIO *bio = BIO_new_fd(fd, BIO_NOCLOSE);
    CHECK(bio != NULL);
    int ok = is_private ? PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, no_password, NULL)
                        : PEM_write_bio_PUBKEY(bio, key);
    BIO_free(bio);
    if (ok == 1 && fsync(fd) == 0 && close(fd) == 0)
        return true;
    snprintf(why, ANCHOR_WHY_BYTES, "%s: could not be written", path);
    unlink(path);
    return false;
}

bool
anchor_keys_make(const char *path, const char *public_path, char why[ANCHOR_WHY_BYTES])
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    CHECK(key != NULL);
    bool ok = new_file(path, 0600, key, true, why);
    if (ok && !new_file(public_path, 0644, key, false, why)) {
        unlink(path);
        ok = false;
    }
    EVP_PKEY_free(key);
    return ok;
}

/* ---- Public keys -------------------------------------------------------------------------- */

struct anchor_keys *
anchor_keys_new(void)
{
    struct anchor_keys *k = calloc(1, sizeof *k);
    CHECK(k != NULL);
    return k;
}

void
anchor_keys_destroy(struct anchor_keys **k)
{
    if (*k == NULL)
        return;
    for (uint32_t i = 0; i < (*k)->count; i++)
        EVP_PKEY_free((*k)->keys[i].key);
    free(*k);
    *k = NULL;
}

static bool
keys_take(struct anchor_keys *k, EVP_PKEY *key)
{
    struct public_key *p = &k->keys[k->count];
    if (k->count == ANCHOR_KEYS_MAX || !EVP_PKEY_is_a(key, "ED25519") || !key_id(key, p->id)) {
        EVP_PKEY_free(key);
        return false;
    }
    p->key = key;
    k->count++;
    return true;
}

bool
anchor_keys_add(struct anchor_keys *k, const char *path, char why[ANCHOR_WHY_BYTES])
{
    char pem[KEY_FILE_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        snprintf(why, ANCHOR_WHY_BYTES, "%s: %s", path, strerror(errno));
        return false;
    }
    ssize_t length = file_read(fd, path, pem, sizeof pem, why);
    close(fd);
    if (length < 0)
        return false;
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    CHECK(bio != NULL);
    uint32_t before = k->count;
    EVP_PKEY *key;
    bool ok = true;
    while (ok && (key = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL)) != NULL)
        ok = keys_take(k, key);
    BIO_free(bio);
    if (ok && k->count > before)
        return true;
    snprintf(why, ANCHOR_WHY_BYTES, "%s: not Ed25519 public keys in PEM, %d in all at most", path,
             ANCHOR_KEYS_MAX);
    return false;
}

const uint8_t *
anchor_keys_id(const struct anchor_keys *k, uint32_t i)
{
    return i < k->count ? k->keys[i].id : NULL;
}

static bool
holds(EVP_PKEY *key, const char *text, size_t body_length, const uint8_t *signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(context != NULL);
    bool ok = EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestVerify(context, signature, SIGNATURE_BYTES, (const unsigned char *)text,
                               body_length) == 1;
    EVP_MD_CTX_free(context);
    return ok;
}

enum anchor_verdict
anchor_check(const struct anchor_keys *k, const char *text, size_t length, const struct anchor *a)
{
    static const size_t last_line = sizeof SIGNATURE_WORD - 1 + 2 * SIGNATURE_BYTES + 1;
    CHECK(length > last_line);
    size_t body_length = length - last_line;
    uint8_t signature[SIGNATURE_BYTES];
    struct reader r = {.at = text + body_length, .end = text + length};
    CHECK(take_word(&r, SIGNATURE_WORD) && take_hex(&r, signature, SIGNATURE_BYTES));
    enum anchor_verdict verdict = ANCHOR_KEY_UNKNOWN;
    for (uint32_t i = 0; i < k->count && verdict != ANCHOR_HOLDS; i++)
        if (memcmp(k->keys[i].id, a->key, ANCHOR_KEY_BYTES) == 0)
            verdict =
                holds(k->keys[i].key, text, body_length, signature) ? ANCHOR_HOLDS : ANCHOR_FORGED;
    return verdict;
}
