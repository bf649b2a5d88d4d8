/*
 * vault.c - OpenSSL's AES-256-GCM, and the lines that master keys are read from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/vault.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/log.h"

#define KEY_BYTES   32u
#define KEYS_MAX    16u
#define TEXT_MAX    8192u
#define LABEL_BYTES 128u

struct master_key {
    code_t id;
    uint8_t bytes[KEY_BYTES];
};

struct key_set {
    uint32_t count;
    struct master_key keys[KEYS_MAX];
};

struct vault {
    char *file;      /* NULL: they came as text, and cannot be read again */
    EVP_CIPHER *gcm; /* looked up once: that costs as much as opening a secret */
    struct key_set known;
    struct key_set fresh; /* while they are read */
    char text[TEXT_MAX];  /* likewise */
};

/* ---- Reading ------------------------------------------------------------------------------- */

static int
hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, tolower((unsigned char)c));
    return at == NULL ? -1 : (int)(at - digits);
}

/* One `KEYID:HEX`. Why not, or NULL. */
static const char *
line_take(struct key_set *s, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    struct master_key key = {0};
    if (colon == NULL)
        return "a line is not KEYID:64 hex digits";
    for (const char *c = line; c < colon; c++)
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL)
            return "a key's id has characters other than letters, digits, dot, dash, underscore";
    if (colon == line || code_from(line, (size_t)(colon - line), &key.id) != OK)
        return "a key's id has none or more than 23 characters";
    if (length - (size_t)(colon + 1 - line) != 2 * KEY_BYTES)
        return "a key has not 64 hex digits";
    for (uint32_t i = 0; i < s->count; i++)
        if (code_same(s->keys[i].id, key.id))
            return "an id is there twice";
    if (s->count == KEYS_MAX)
        return "there are more than 16 keys";
    bool is_right = true;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        int high = hex_digit(colon[1 + 2 * i]), low = hex_digit(colon[2 + 2 * i]);
        is_right = is_right && high >= 0 && low >= 0;
        key.bytes[i] = (uint8_t)(is_right ? high << 4 | low : 0);
    }
    if (is_right)
        s->keys[s->count++] = key;
    OPENSSL_cleanse(&key, sizeof key);
    return is_right ? NULL : "a key has not 64 hex digits";
}

/* Lines, or words of one line as an environment variable may have them; # begins a remark. */
static const char *
text_take(struct key_set *s, const char *text)
{
    const char *why = NULL;
    while (why == NULL && *(text += strspn(text, " \t\r\n,")) != '\0') {
        size_t length = strcspn(text, *text == '#' ? "\n" : " \t\r\n,");
        if (*text != '#')
            why = line_take(s, text, length);
        text += length;
    }
    return why;
}

static const char *
file_read(struct vault *v)
{
    FILE *f = fopen(v->file, "re");
    if (f == NULL)
        return strerror(errno);
    setvbuf(f, NULL, _IONBF, 0); /* no copy of it in the heap */
    size_t length = fread(v->text, 1, sizeof v->text - 1, f);
    bool failed = ferror(f) != 0;
    fclose(f);
    v->text[length] = '\0';
    return failed ? "it cannot be read" : length == sizeof v->text - 1 ? "it is too long" : NULL;
}

/* From the file, or from `text`. */
static enum err
vault_read(struct vault *v, const char *text)
{
    const char *why = NULL;
    v->fresh.count = 0;
    if (v->file != NULL) {
        why = file_read(v);
        text = v->text;
    }
    if (why == NULL)
        why = text_take(&v->fresh, text);
    if (why == NULL && v->fresh.count == 0 && v->file != NULL)
        why = "it holds no key";
    if (why == NULL)
        v->known = v->fresh;
    else
        log_line(LOG_ERROR, "master_keys_refused", "file=%s reason=\"%s\"",
                 v->file != NULL ? v->file : "none", why);
    OPENSSL_cleanse(&v->fresh, sizeof v->fresh);
    OPENSSL_cleanse(v->text, sizeof v->text);
    return why == NULL ? OK : ERR_CONFIG_BAD_VALUE;
}

enum err
vault_open(const char *file, const char *text, struct vault **out)
{
    struct vault *v =
        mmap(NULL, sizeof *v, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(v != MAP_FAILED);
    CHECK(madvise(v, sizeof *v, MADV_DONTDUMP) == 0);
    if (mlock(v, sizeof *v) != 0)
        log_line(LOG_WARN, "master_keys_may_be_swapped", "reason=\"%s\"", strerror(errno));
    if (file[0] != '\0') {
        v->file = strdup(file);
        CHECK(v->file != NULL);
    }
    v->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    CHECK(v->gcm != NULL);
    enum err e = vault_read(v, text);
    if (e == OK)
        *out = v;
    else
        vault_close(&v);
    return e;
}

void
vault_close(struct vault **v)
{
    struct vault *old = *v;
    if (old == NULL)
        return;
    *v = NULL;
    free(old->file);
    EVP_CIPHER_free(old->gcm);
    OPENSSL_cleanse(old, sizeof *old);
    munmap(old, sizeof *old);
}

enum err
vault_reload(struct vault *v)
{
    return v->file == NULL ? OK : vault_read(v, "");
}

static const struct master_key *
vault_key(const struct vault *v, const code_t *id)
{
    for (uint32_t i = 0; i < v->known.count; i++)
        if (code_same(v->known.keys[i].id, *id))
            return &v->known.keys[i];
    return NULL;
}

code_t
vault_newest(const struct vault *v)
{
    return v->known.count == 0 ? (code_t){0} : v->known.keys[0].id;
}

bool
vault_has(const struct vault *v, const code_t *key_id)
{
    return vault_key(v, key_id) != NULL;
}

/* ---- Sealing ------------------------------------------------------------------------------- */

static int
label_write(const struct guard_key *k, const code_t *key_id, char out[LABEL_BYTES])
{
    int length = snprintf(out, LABEL_BYTES, "scrip-key|%" PRIu64 "|%s|%s|%s", k->user_id,
                          msg_enum_name(MSG_ENUM_trading_type, k->trading_type),
                          msg_enum_name(MSG_ENUM_environment, k->environment), key_id->text);
    CHECK(length > 0 && (size_t)length < LABEL_BYTES);
    return length;
}

enum err
vault_seal(const struct vault *v, const struct guard_key *is_for, const void *plain, size_t length,
           code_t *key_id, uint8_t *out)
{
    if (v->known.count == 0)
        return ERR_KEYS_UNAVAILABLE;
    const struct master_key *key = &v->known.keys[0];
    *key_id = key->id;
    char label[LABEL_BYTES];
    int label_length = label_write(is_for, key_id, label), done = 0, rest = 0;
    uint8_t *nonce = out, *sealed = out + VAULT_NONCE_BYTES;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    CHECK(c != NULL && length <= INT32_MAX);
    CHECK(RAND_bytes(nonce, VAULT_NONCE_BYTES) == 1);
    CHECK(EVP_EncryptInit_ex2(c, v->gcm, key->bytes, nonce, NULL) == 1);
    CHECK(EVP_EncryptUpdate(c, NULL, &done, (const uint8_t *)label, label_length) == 1);
    CHECK(EVP_EncryptUpdate(c, sealed, &done, plain, (int)length) == 1);
    CHECK(EVP_EncryptFinal_ex(c, sealed + done, &rest) == 1);
    CHECK((size_t)done + (size_t)rest == length);
    CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, VAULT_TAG_BYTES, sealed + length) == 1);
    EVP_CIPHER_CTX_free(c); /* wipes the key's schedule */
    return OK;
}

enum err
vault_unseal(const struct vault *v, const struct guard_key *is_for, const code_t *key_id,
             const uint8_t *sealed, size_t length, void *out)
{
    const struct master_key *key = vault_key(v, key_id);
    if (key == NULL || length < VAULT_EXTRA_BYTES || length > INT32_MAX)
        return ERR_KEYS_UNAVAILABLE;
    size_t plain = length - VAULT_EXTRA_BYTES;
    char label[LABEL_BYTES];
    int label_length = label_write(is_for, key_id, label), done = 0, rest = 0;
    uint8_t tag[VAULT_TAG_BYTES];
    memcpy(tag, sealed + VAULT_NONCE_BYTES + plain, sizeof tag);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    CHECK(c != NULL);
    CHECK(EVP_DecryptInit_ex2(c, v->gcm, key->bytes, sealed, NULL) == 1);
    CHECK(EVP_DecryptUpdate(c, NULL, &done, (const uint8_t *)label, label_length) == 1);
    CHECK(EVP_DecryptUpdate(c, out, &done, sealed + VAULT_NONCE_BYTES, (int)plain) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, VAULT_TAG_BYTES, tag) == 1);
    bool is_right = EVP_DecryptFinal_ex(c, (uint8_t *)out + done, &rest) == 1;
    EVP_CIPHER_CTX_free(c);
    if (!is_right) {
        OPENSSL_cleanse(out, plain);
        return ERR_KEYS_UNAVAILABLE;
    }
    return OK;
}
