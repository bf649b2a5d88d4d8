/*
 * bridge_sign_test.c - the exchange's published signatures, and the forms of keys that are taken.
 *
 * Private keys are made here: none stands in the source.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/sign.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#define API_KEY       "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
#define SPOT_SECRET   "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
#define USDM_SECRET   "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
#define WITH_ALL      "recvWindow=5000&timestamp=1499827319559"
#define UNICODE_TEXT  "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96"
#define LIMIT_ORDER   "&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&" WITH_ALL
#define BASE64_LETTER "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static struct sign_key
key_of(const char *secret)
{
    struct sign_key k = {.api_key = API_KEY, .secret_length = strlen(secret)};
    cr_assert_leq(k.secret_length, sizeof k.secret);
    memcpy(k.secret, secret, k.secret_length);
    return k;
}

static enum err
judge(struct sign_key *k, const char *field)
{
    code_t told;
    enum err e = sign_key_judge(k, &told);
    cr_assert_str_eq(told.text, field);
    return e;
}

static struct sign_key
judged(const char *secret, enum key_kind kind)
{
    struct sign_key k = key_of(secret);
    cr_assert_eq(judge(&k, ""), OK);
    cr_assert_eq(k.kind, kind);
    return k;
}

static void
refused(const char *secret)
{
    struct sign_key k = key_of(secret);
    cr_assert_eq(judge(&k, "api_secret"), ERR_KEY_FORMAT, "%.60s", secret);
}

/* ---- Published signatures ---------------------------------------------------------------- */

static void
hmac_is(const char *secret, const char *text, const char *expected)
{
    char out[SIGN_TEXT_BYTES];
    struct sign_key k = judged(secret, KEY_KIND_HMAC);
    cr_assert_eq(sign_text(&k, text, strlen(text), false, out), 64);
    cr_assert_str_eq(out, expected, "%s", text);
    cr_assert_eq(sign_text(&k, text, strlen(text), true, out), 64);
    cr_assert_str_eq(out, expected);
}

/* Shorter than a block of the hash, as long, and longer: then it is hashed first. */
Test(bridge_sign, hmac_with_secrets_of_all_lengths)
{
    static const char text[] = "symbol=LTCBTC" LIMIT_ORDER;
    for (size_t length = 8; length <= 256; length++) {
        char secret[257] = "", expected[65];
        uint8_t mac[32];
        for (size_t i = 0; i < length; i++)
            secret[i] = (char)('a' + (i * 7 + length) % 26);
        cr_assert(HMAC(EVP_sha256(), secret, (int)length, (const uint8_t *)text, sizeof text - 1,
                       mac, NULL) != NULL);
        for (size_t i = 0; i < sizeof mac; i++)
            snprintf(expected + 2 * i, 3, "%02x", mac[i]);
        hmac_is(secret, text, expected);
    }
}

Test(bridge_sign, hmac_of_a_query)
{
    hmac_is(SPOT_SECRET, "symbol=LTCBTC" LIMIT_ORDER,
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71");
}

Test(bridge_sign, hmac_of_a_symbol_that_is_encoded)
{
    hmac_is(SPOT_SECRET, "symbol=" UNICODE_TEXT LIMIT_ORDER,
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3");
}

Test(bridge_sign, hmac_of_query_and_body_with_nothing_between)
{
    hmac_is(SPOT_SECRET,
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
            "quantity=1&price=0.1&" WITH_ALL,
            "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77");
}

Test(bridge_sign, hmac_of_the_websocket_api)
{
    hmac_is(SPOT_SECRET,
            "apiKey=" API_KEY "&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL"
            "&symbol=BTCUSDT&timeInForce=GTC&timestamp=1645423376532&type=LIMIT",
            "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24");
}

Test(bridge_sign, hmac_of_futures)
{
    hmac_is(USDM_SECRET,
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
            "&recvWindow=5000&timestamp=1591702613943",
            "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9");
}

/* The published sample has a blank before its timestamp; this is the text without. */
Test(bridge_sign, hmac_of_futures_in_two_parts)
{
    hmac_is(USDM_SECRET,
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
            "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943",
            "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4");
}

/* ---- Key pairs --------------------------------------------------------------------------- */

struct pem {
    char text[SIGN_SECRET_BYTES + 1];
};

static struct pem
pem_of(BIO *b)
{
    struct pem out = {0};
    int length = BIO_read(b, out.text, SIGN_SECRET_BYTES);
    cr_assert_gt(length, 0);
    BIO_free(b);
    return out;
}

static struct pem
private_pem(EVP_PKEY *pkey)
{
    BIO *b = BIO_new(BIO_s_mem());
    cr_assert_eq(PEM_write_bio_PKCS8PrivateKey(b, pkey, NULL, NULL, 0, NULL, NULL), 1);
    return pem_of(b);
}

static EVP_PKEY *
ed25519_new(void)
{
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static size_t
base64_read(const char *text, size_t length, uint8_t *out)
{
    int size = EVP_DecodeBlock(out, (const uint8_t *)text, (int)length);
    cr_assert_gt(size, 0);
    for (size_t i = length; i > 0 && text[i - 1] == '='; i--)
        size--;
    return (size_t)size;
}

/* A query's text, decoded; every character of it must be one that stands in a query as it is. */
static size_t
decoded(const char *text, size_t length, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '%') {
            cr_assert(strchr(BASE64_LETTER, text[i]) != NULL, "%c", text[i]);
            out[used++] = text[i];
            continue;
        }
        cr_assert(strncmp(text + i, "%2B", 3) == 0 || strncmp(text + i, "%2F", 3) == 0 ||
                  strncmp(text + i, "%3D", 3) == 0);
        out[used++] = text[i + 2] == 'B' ? '+' : text[i + 2] == 'F' ? '/' : '=';
        i += 2;
    }
    return used;
}

/* Signs, and asks OpenSSL with the public half whether it is right. */
static void
pair_signs(EVP_PKEY *pkey, enum key_kind kind, size_t signature_bytes)
{
    static const char text[] = "symbol=LTCBTC" LIMIT_ORDER;
    char out[SIGN_TEXT_BYTES], base64[SIGN_TEXT_BYTES];
    uint8_t signature[1024];
    struct pem pem = private_pem(pkey);
    struct sign_key k = judged(pem.text, kind);
    cr_assert_lt(k.secret_length, strlen(pem.text), "a judged key is DER");
    for (int plain = 0; plain < 2; plain++) {
        size_t length = sign_text(&k, text, sizeof text - 1, plain != 0, out);
        cr_assert_eq(length, strlen(out));
        cr_assert_gt(length, 0);
        size_t size = plain ? length : decoded(out, length, base64);
        size = base64_read(plain ? out : base64, size, signature);
        cr_assert_eq(size, signature_bytes);
        EVP_MD_CTX *x = EVP_MD_CTX_new();
        const EVP_MD *digest = kind == KEY_KIND_RSA ? EVP_sha256() : NULL;
        cr_assert_eq(EVP_DigestVerifyInit(x, NULL, digest, NULL, pkey), 1);
        cr_assert_eq(EVP_DigestVerify(x, signature, size, (const uint8_t *)text, sizeof text - 1),
                     1);
        EVP_MD_CTX_free(x);
    }
    EVP_PKEY_free(pkey);
}

Test(bridge_sign, ed25519_is_right_by_the_public_key)
{
    for (int i = 0; i < 50; i++) /* so that every character of base64 comes */
        pair_signs(ed25519_new(), KEY_KIND_ED25519, 64);
}

Test(bridge_sign, rsa_is_right_by_the_public_key)
{
    pair_signs(EVP_RSA_gen(2048), KEY_KIND_RSA, 256);
    pair_signs(EVP_RSA_gen(2056), KEY_KIND_RSA, 257);
    pair_signs(EVP_RSA_gen(3072), KEY_KIND_RSA, 384);
    pair_signs(EVP_RSA_gen(4096), KEY_KIND_RSA, 512);
}

/* RFC 8032, 7.1, the first one. */
Test(bridge_sign, ed25519_of_the_standard)
{
    static const uint8_t seed[32] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60,
                                     0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
                                     0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19,
                                     0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
    char out[SIGN_TEXT_BYTES];
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    struct pem pem = private_pem(pkey);
    struct sign_key k = judged(pem.text, KEY_KIND_ED25519);
    cr_assert_eq(sign_text(&k, "", 0, true, out), 88);
    cr_assert_str_eq(out, "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0l"
                          "v18FlbviRlUUFDjnoQCw==");
    EVP_PKEY_free(pkey);
}

/* ---- Forms ------------------------------------------------------------------------------- */

Test(bridge_sign, pem_may_have_other_ends_of_lines_and_empty_ones)
{
    EVP_PKEY *pkey = ed25519_new();
    struct pem pem = private_pem(pkey);
    char text[400] = "\r\n";
    size_t used = 2;
    for (const char *c = pem.text; *c != 0; c++) {
        if (*c == '\n')
            text[used++] = '\r';
        text[used++] = *c;
    }
    text[used] = 0;
    (void)judged(text, KEY_KIND_ED25519);
    EVP_PKEY_free(pkey);
}

Test(bridge_sign, other_forms_of_keys_are_refused)
{
    EVP_PKEY *small = EVP_RSA_gen(1024), *large = EVP_RSA_gen(4104), *ed = ed25519_new();
    EVP_PKEY *ec = EVP_EC_gen("P-256"), *pss = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    struct pem pem = private_pem(small);
    refused(pem.text);
    pem = private_pem(large);
    refused(pem.text);
    pem = private_pem(ec);
    refused(pem.text);
    pem = private_pem(pss);
    refused(pem.text);
    BIO *b = BIO_new(BIO_s_mem());
    cr_assert_eq(PEM_write_bio_PUBKEY(b, ed), 1);
    pem = pem_of(b);
    refused(pem.text);
    b = BIO_new(BIO_s_mem());
    cr_assert_eq(PEM_write_bio_PKCS8PrivateKey(b, ed, EVP_aes_256_cbc(), "word", 4, NULL, NULL), 1);
    pem = pem_of(b);
    refused(pem.text);
    b = BIO_new(BIO_s_mem());
    cr_assert_eq(PEM_write_bio_PrivateKey_traditional(b, small, NULL, NULL, 0, NULL, NULL), 1);
    pem = pem_of(b);
    refused(pem.text);
    EVP_PKEY_free(small);
    EVP_PKEY_free(large);
    EVP_PKEY_free(ed);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(pss);
}

Test(bridge_sign, a_damaged_pem_is_refused)
{
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    struct pem pem = private_pem(pkey);
    EVP_PKEY_free(pkey);
    size_t length = strlen(pem.text);
    char half[SIGN_SECRET_BYTES];
    for (size_t cut = 30; cut < length - 2; cut += 97) {
        memcpy(half, pem.text, cut);
        half[cut] = 0;
        refused(half);
    }
    for (size_t at = 100; at < length - 40; at += 53) { /* a number that is another one */
        struct pem other = pem;
        if (other.text[at] == '\n')
            continue;
        other.text[at] = other.text[at] == 'A' ? 'B' : 'A';
        struct sign_key k = key_of(other.text);
        code_t field;
        char out[SIGN_TEXT_BYTES];
        if (sign_key_judge(&k, &field) == OK)
            cr_assert_gt(sign_text(&k, "a", 1, true, out), 0, "what is taken signs");
    }
    refused("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n");
    refused("-----BEGIN PRIVATE KEY-----");
}

Test(bridge_sign, texts_that_are_no_secret_are_refused)
{
    refused("");
    refused("short");
    refused("sixteen blanks  here");
    refused("with-a-line-end\n");
    refused("not-ascii-\xc3\xa4-at-all");
    char text[SIGN_SECRET_BYTES + 1];
    memset(text, 'a', sizeof text);
    text[256] = 0;
    (void)judged(text, KEY_KIND_HMAC);
    text[256] = 'a';
    text[257] = 0;
    refused(text);
    struct sign_key k = key_of("a secret");
    k.secret_length = SIGN_SECRET_BYTES + 1;
    cr_assert_eq(judge(&k, "api_secret"), ERR_KEY_FORMAT);
}

Test(bridge_sign, an_api_key_is_letters_and_digits)
{
    static const char *const wrong[] = {"", "short", "with blank here", "line\r\nX-Evil: 1",
                                        "a=b&c=defgh"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct sign_key k = key_of(SPOT_SECRET);
        snprintf(k.api_key, sizeof k.api_key, "%s", wrong[i]);
        cr_assert_eq(judge(&k, "api_key"), ERR_KEY_FORMAT, "%s", wrong[i]);
    }
    struct sign_key k = key_of(SPOT_SECRET);
    memset(k.api_key, 'k', sizeof k.api_key); /* not terminated */
    cr_assert_eq(judge(&k, "api_key"), ERR_KEY_FORMAT);
}

Test(bridge_sign, what_was_not_judged_signs_nothing)
{
    char out[SIGN_TEXT_BYTES];
    struct sign_key k = key_of(SPOT_SECRET);
    cr_assert_eq(sign_text(&k, "a", 1, false, out), 0);
    k.kind = KEY_KIND_RSA;
    cr_assert_eq(sign_text(&k, "a", 1, false, out), 0);
    cr_assert_str_eq(out, "");
    k.kind = KEY_KIND_ED25519;
    k.secret_length = 31;
    cr_assert_eq(sign_text(&k, "a", 1, false, out), 0);
}

Test(bridge_sign, a_wiped_key_is_nothing)
{
    struct sign_key k = judged(SPOT_SECRET, KEY_KIND_HMAC), zero;
    memset(&zero, 0, sizeof zero);
    sign_wipe(&k);
    cr_assert_arr_eq((const char *)&k, (const char *)&zero, sizeof k);
}
