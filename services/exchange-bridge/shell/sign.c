/*
 * sign.c - judges keys and signs with them, by OpenSSL.
 *
 * OpenSSL's readers of PEM and DER try one decoder after the other, which costs more than an
 * Ed25519 signature does. So what a judged key consists of is taken out of its DER here: there is
 * only one way in which OpenSSL itself has written it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/sign.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>

#define API_KEY_MIN     8u
#define TEXT_MIN        8u
#define TEXT_MAX        256u
#define RSA_BITS_MIN    2048
#define RSA_BITS_MAX    4096
#define RSA_NUMBERS     8u
#define SIGNATURE_BYTES (RSA_BITS_MAX / 8)
#define BASE64_BYTES    (4 * ((SIGNATURE_BYTES + 2) / 3) + 1)
#define SEED_BYTES      32u /* of Ed25519: the end of its DER */
#define HMAC_BLOCK      64u /* of SHA-256 */

/* ---- DER --------------------------------------------------------------------------------- */

enum der_tag { DER_INTEGER = 0x02, DER_OCTETS = 0x04, DER_SEQUENCE = 0x30 };

struct der {
    const uint8_t *at, *end;
};

/* Takes the next element; false when it is another one, or cut off. */
static bool
der_take(struct der *d, enum der_tag tag, struct der *out)
{
    if (d->end - d->at < 2 || d->at[0] != tag)
        return false;
    size_t length = d->at[1];
    d->at += 2;
    if (length >= 0x80) { /* the length of the length */
        size_t bytes = length & 0x7f;
        if (bytes > 2 || d->end - d->at < (ptrdiff_t)bytes)
            return false;
        for (length = 0; bytes > 0; bytes--)
            length = length << 8 | *d->at++;
    }
    if (d->end - d->at < (ptrdiff_t)length)
        return false;
    *out = (struct der){d->at, d->at + length};
    d->at = out->end;
    return true;
}

/* ---- Keys for OpenSSL -------------------------------------------------------------------- */

/* What is inside of PKCS#8: version, algorithm, the key. */
static bool
rsa_enter(const struct sign_key *k, struct der *out)
{
    struct der all = {(const uint8_t *)k->secret, (const uint8_t *)k->secret + k->secret_length};
    struct der outer, part;
    return der_take(&all, DER_SEQUENCE, &outer) && der_take(&outer, DER_INTEGER, &part) &&
           der_take(&outer, DER_SEQUENCE, &part) && der_take(&outer, DER_OCTETS, &part) &&
           der_take(&part, DER_SEQUENCE, out) && der_take(out, DER_INTEGER, &part);
}

static EVP_PKEY *
rsa_of(OSSL_PARAM *params)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *x = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (x == NULL || EVP_PKEY_fromdata_init(x) != 1 ||
        EVP_PKEY_fromdata(x, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(x);
    return pkey;
}

static EVP_PKEY *
rsa_open(const struct sign_key *k)
{
    static const char *const names[RSA_NUMBERS] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers of OSSL_PARAM are native");
    uint8_t numbers[SIGN_SECRET_BYTES];
    size_t used = 0;
    OSSL_PARAM params[RSA_NUMBERS + 1];
    struct der inner, number;
    bool is_right = rsa_enter(k, &inner);
    for (size_t i = 0; is_right && i < RSA_NUMBERS; i++) {
        is_right = der_take(&inner, DER_INTEGER, &number);
        if (!is_right)
            break;
        size_t length = (size_t)(number.end - number.at);
        for (size_t b = 0; b < length; b++)
            numbers[used + b] = number.end[-1 - (ptrdiff_t)b];
        params[i] = OSSL_PARAM_construct_BN(names[i], numbers + used, length);
        used += length;
    }
    params[RSA_NUMBERS] = OSSL_PARAM_construct_end();
    EVP_PKEY *pkey = is_right ? rsa_of(params) : NULL;
    OPENSSL_cleanse(numbers, used);
    return pkey;
}

static EVP_PKEY *
pkey_open(const struct sign_key *k)
{
    if (k->secret_length > SIGN_SECRET_BYTES)
        return NULL;
    if (k->kind == KEY_KIND_RSA)
        return rsa_open(k);
    if (k->kind != KEY_KIND_ED25519 || k->secret_length < SEED_BYTES)
        return NULL;
    const char *seed = k->secret + k->secret_length - SEED_BYTES;
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, (const uint8_t *)seed, SEED_BYTES);
}

static const EVP_MD *
digest_of(enum key_kind kind)
{
    return kind == KEY_KIND_RSA ? EVP_sha256() : NULL;
}

/* The signature's length; 0 when it cannot be made. */
static size_t
pkey_sign(enum key_kind kind, EVP_PKEY *pkey, const char *text, size_t length,
          uint8_t out[SIGNATURE_BYTES])
{
    size_t size = SIGNATURE_BYTES;
    EVP_MD_CTX *x = EVP_MD_CTX_new();
    if (x == NULL || EVP_DigestSignInit(x, NULL, digest_of(kind), NULL, pkey) != 1 ||
        EVP_DigestSign(x, out, &size, (const uint8_t *)text, length) != 1)
        size = 0;
    EVP_MD_CTX_free(x);
    return size;
}

/* ---- Judging ----------------------------------------------------------------------------- */

/* Whether it signs, and its own public half agrees: the numbers belong together. */
static bool
proves_itself(const struct sign_key *k)
{
    static const char text[] = "scrip";
    uint8_t signature[SIGNATURE_BYTES];
    EVP_PKEY *pkey = pkey_open(k);
    size_t size = pkey == NULL ? 0 : pkey_sign(k->kind, pkey, text, sizeof text, signature);
    EVP_MD_CTX *x = EVP_MD_CTX_new();
    bool is_right = size > 0 && x != NULL &&
                    EVP_DigestVerifyInit(x, NULL, digest_of(k->kind), NULL, pkey) == 1 &&
                    EVP_DigestVerify(x, signature, size, (const uint8_t *)text, sizeof text) == 1;
    EVP_MD_CTX_free(x);
    EVP_PKEY_free(pkey);
    return is_right;
}

static int
no_password(char *out, int size, int is_writing, void *arg)
{
    (void)out, (void)size, (void)is_writing, (void)arg;
    return -1;
}

static EVP_PKEY *
pem_read(const struct sign_key *k)
{
    uint8_t *der = NULL;
    long length = 0;
    EVP_PKEY *pkey = NULL;
    BIO *text = BIO_new_mem_buf(k->secret, (int)k->secret_length);
    if (text != NULL && PEM_bytes_read_bio(&der, &length, NULL, PEM_STRING_PKCS8INF, text,
                                           no_password, NULL) == 1) {
        const uint8_t *at = der;
        PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, length);
        if (info != NULL && at == der + length)
            pkey = EVP_PKCS82PKEY(info);
        PKCS8_PRIV_KEY_INFO_free(info);
        OPENSSL_clear_free(der, (size_t)length);
    }
    BIO_free(text);
    return pkey;
}

/* Into the form that is kept; false when it does not fit. */
static bool
der_write(struct sign_key *k, const EVP_PKEY *pkey)
{
    uint8_t *der = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
    int length = info == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    bool fits = length > 0 && (size_t)length <= SIGN_SECRET_BYTES;
    if (fits) {
        OPENSSL_cleanse(k->secret, SIGN_SECRET_BYTES);
        memcpy(k->secret, der, (size_t)length);
        k->secret_length = (size_t)length;
    }
    if (length > 0)
        OPENSSL_clear_free(der, (size_t)length);
    PKCS8_PRIV_KEY_INFO_free(info);
    return fits;
}

static bool
pem_judge(struct sign_key *k)
{
    EVP_PKEY *pkey = pem_read(k);
    bool is_right = false;
    if (pkey != NULL && EVP_PKEY_is_a(pkey, "ED25519")) {
        k->kind = KEY_KIND_ED25519;
        is_right = true;
    } else if (pkey != NULL && EVP_PKEY_is_a(pkey, "RSA")) {
        int bits = EVP_PKEY_get_bits(pkey);
        k->kind = KEY_KIND_RSA;
        is_right = bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    }
    is_right = is_right && der_write(k, pkey) && proves_itself(k);
    EVP_PKEY_free(pkey);
    return is_right;
}

static bool
text_judge(struct sign_key *k)
{
    k->kind = KEY_KIND_HMAC;
    for (size_t i = 0; i < k->secret_length; i++)
        if (k->secret[i] <= ' ' || k->secret[i] > '~')
            return false;
    return k->secret_length >= TEXT_MIN && k->secret_length <= TEXT_MAX;
}

static bool
api_key_judge(const struct sign_key *k)
{
    static const char taken[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = strnlen(k->api_key, SIGN_API_KEY_BYTES);
    return length >= API_KEY_MIN && length < SIGN_API_KEY_BYTES &&
           strspn(k->api_key, taken) == length;
}

enum err
sign_key_judge(struct sign_key *k, code_t *field)
{
    static const char pem[] = "-----BEGIN";
    k->kind = KEY_KIND_NONE;
    *field = code_of("api_key");
    if (!api_key_judge(k))
        return ERR_KEY_FORMAT;
    *field = code_of("api_secret");
    if (k->secret_length == 0 || k->secret_length > SIGN_SECRET_BYTES)
        return ERR_KEY_FORMAT;
    bool is_pem = memmem(k->secret, k->secret_length, pem, sizeof pem - 1) != NULL;
    if (!(is_pem ? pem_judge(k) : text_judge(k)))
        return ERR_KEY_FORMAT;
    *field = (code_t){0};
    return OK;
}

void
sign_wipe(struct sign_key *k)
{
    explicit_bzero(k, sizeof *k);
}

/* ---- Signing ----------------------------------------------------------------------------- */

/* Looked up once: OpenSSL would do so for each signature, which costs more than the hash. */
static const EVP_MD *
sha256(void)
{
    static EVP_MD *found;
    if (found == NULL)
        found = EVP_MD_fetch(NULL, "SHA256", NULL);
    return found;
}

/* SHA-256 of one half of the HMAC's pad and of a text. */
static bool
pad_digest(EVP_MD_CTX *x, uint8_t pad[HMAC_BLOCK], uint8_t with, const void *text, size_t length,
           uint8_t out[SIGNATURE_BYTES])
{
    for (size_t i = 0; i < HMAC_BLOCK; i++)
        pad[i] ^= with;
    return EVP_DigestInit_ex2(x, sha256(), NULL) == 1 &&
           EVP_DigestUpdate(x, pad, HMAC_BLOCK) == 1 && EVP_DigestUpdate(x, text, length) == 1 &&
           EVP_DigestFinal_ex(x, out, NULL) == 1;
}

/* RFC 2104, by digests: a quarter of what OpenSSL's own HMAC costs, which finds and makes its parts
 * anew each time. The signature's length; 0 when it cannot be made. */
static size_t
hmac_sign(const struct sign_key *k, const char *text, size_t length, uint8_t out[SIGNATURE_BYTES])
{
    uint8_t pad[HMAC_BLOCK] = {0};
    EVP_MD_CTX *x = EVP_MD_CTX_new();
    bool is_right = x != NULL && sha256() != NULL && k->secret_length <= SIGN_SECRET_BYTES;
    if (is_right && k->secret_length <= HMAC_BLOCK)
        memcpy(pad, k->secret, k->secret_length);
    else if (is_right)
        is_right = EVP_Digest(k->secret, k->secret_length, pad, NULL, sha256(), NULL) == 1;
    is_right = is_right && pad_digest(x, pad, 0x36, text, length, out) &&
               pad_digest(x, pad, 0x36 ^ 0x5c, out, SHA256_DIGEST_LENGTH, out);
    EVP_MD_CTX_free(x); /* wipes it */
    explicit_bzero(pad, sizeof pad);
    return is_right ? SHA256_DIGEST_LENGTH : 0;
}

static size_t
hex_write(const uint8_t *bytes, size_t length, char out[SIGN_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * length] = 0;
    return 2 * length;
}

/* Three characters of base64 mean something else in a query. */
static size_t
base64_write(const uint8_t *bytes, size_t length, bool plain, char out[SIGN_TEXT_BYTES])
{
    char text[BASE64_BYTES];
    size_t used = 0;
    int count = EVP_EncodeBlock((uint8_t *)text, bytes, (int)length);
    for (int i = 0; i < count; i++) {
        const char *encoded = text[i] == '+' ? "%2B" : text[i] == '/' ? "%2F" : "%3D";
        bool is_as_it_is = plain || strchr("+/=", text[i]) == NULL;
        size_t size = is_as_it_is ? 1 : 3;
        memcpy(out + used, is_as_it_is ? text + i : encoded, size);
        used += size;
    }
    out[used] = 0;
    return used;
}

size_t
sign_text(const struct sign_key *k, const char *text, size_t length, bool plain,
          char out[SIGN_TEXT_BYTES])
{
    uint8_t signature[SIGNATURE_BYTES];
    out[0] = 0;
    if (k->kind == KEY_KIND_HMAC) {
        size_t size = hmac_sign(k, text, length, signature);
        return size == 0 ? 0 : hex_write(signature, size, out);
    }
    EVP_PKEY *pkey = pkey_open(k);
    size_t size = pkey == NULL ? 0 : pkey_sign(k->kind, pkey, text, length, signature);
    EVP_PKEY_free(pkey);
    return size == 0 ? 0 : base64_write(signature, size, plain, out);
}
