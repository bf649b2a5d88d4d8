/*
 * gw_token_test.c - access tokens: rotation, expiry, and every forgery that is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/shell/token.h"
#include "host/log.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const int64_t now_us = INT64_C(1795000000000000);

static struct tokens *
open_with(const char *keys)
{
    struct tokens *t = NULL;
    struct token_options o = {.keys = keys,
                              .key_file = "",
                              .issuer = "scrip",
                              .life_us = 900 * INT64_C(1000000),
                              .cache_max = 4,
                              .ended_max = 2};
    log_open("test", LOG_ERROR + 1);
    cr_assert_eq(tokens_open(&o, &t), OK);
    return t;
}

static size_t
sign(struct tokens *t, uint64_t user, char out[TOKEN_BYTES])
{
    struct token_holder h = {.user_id = user,
                             .account_id = user + 100,
                             .session_id = user + 200,
                             .username = "alice",
                             .role = "user"};
    return tokens_sign(t, &h, now_us, out);
}

static enum err
verify(struct tokens *t, const char *token, int64_t at_us)
{
    struct token_holder h;
    return tokens_verify(t, token, strlen(token), at_us, &h);
}

Test(token, what_was_signed_comes_back)
{
    struct tokens *t = open_with("k1:" KEY_A);
    struct token_holder h;
    char token[TOKEN_BYTES];
    size_t length = sign(t, 7, token);
    for (int i = 0; i < 2; i++) { /* the second time from the table */
        cr_assert_eq(tokens_verify(t, token, length, now_us, &h), OK);
        cr_assert_eq(h.user_id, 7);
        cr_assert_eq(h.account_id, 107);
        cr_assert_str_eq(h.username, "alice");
    }
    cr_assert_eq(verify(t, token, now_us + 899 * INT64_C(1000000)), OK);
    cr_assert_eq(verify(t, token, now_us + 900 * INT64_C(1000000)), ERR_TOKEN_EXPIRED);
    tokens_close(&t);
    t = open_with("k1:" KEY_A);
    cr_assert_eq(verify(t, token, now_us + 900 * INT64_C(1000000)), ERR_TOKEN_EXPIRED);
    tokens_close(&t);
}

Test(token, more_tokens_than_the_table_holds)
{
    struct tokens *t = open_with("k1:" KEY_A);
    char token[10][TOKEN_BYTES];
    for (uint64_t i = 0; i < 10; i++)
        sign(t, i + 1, token[i]);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 10; i++)
            cr_assert_eq(verify(t, token[i], now_us), OK);
    tokens_close(&t);
}

Test(token, with_a_session_its_tokens_end)
{
    struct tokens *t = open_with("k1:" KEY_A);
    char seen[TOKEN_BYTES], unseen[TOKEN_BYTES], other[TOKEN_BYTES];
    sign(t, 7, seen);
    sign(t, 8, unseen);
    sign(t, 9, other);
    cr_assert_eq(verify(t, seen, now_us), OK);
    tokens_end_session(t, 207, now_us);
    tokens_end_session(t, 207, now_us);
    tokens_end_session(t, 208, now_us);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(verify(t, seen, now_us), ERR_TOKEN_INVALID);
        cr_assert_eq(verify(t, unseen, now_us), ERR_TOKEN_INVALID);
        cr_assert_eq(verify(t, other, now_us), OK);
    }
    tokens_close(&t);
}

Test(token, keys_rotate)
{
    struct tokens *old = open_with("k1:" KEY_A), *both = open_with("k2:" KEY_B ",k1:" KEY_A),
                  *fresh = open_with("k2:" KEY_B), *other = open_with("k1:" KEY_B);
    char by_old[TOKEN_BYTES], by_both[TOKEN_BYTES];
    sign(old, 1, by_old);
    sign(both, 1, by_both);
    cr_assert_eq(verify(both, by_old, now_us), OK);
    cr_assert_eq(verify(fresh, by_both, now_us), OK);
    cr_assert_eq(verify(fresh, by_old, now_us), ERR_TOKEN_INVALID, "its key is gone");
    cr_assert_eq(verify(other, by_old, now_us), ERR_TOKEN_INVALID, "same id, another key");
    tokens_close(&old);
    tokens_close(&both);
    tokens_close(&fresh);
    tokens_close(&other);
}

/* What becomes of a token of libjwt's own making, with things we would not put in. */
static enum err
forge(struct tokens *t, jwt_alg_t alg, const char *kid, const char *issuer, long account,
      long session)
{
    jwt_t *jwt;
    unsigned char key[32];
    memset(key, 0xaa, sizeof key);
    cr_assert_eq(jwt_new(&jwt), 0);
    cr_assert_eq(jwt_set_alg(jwt, alg, alg == JWT_ALG_NONE ? NULL : key,
                             alg == JWT_ALG_NONE ? 0 : (int)sizeof key),
                 0);
    jwt_add_header(jwt, "kid", kid);
    jwt_add_grant(jwt, "iss", issuer);
    jwt_add_grant(jwt, "sub", "1");
    jwt_add_grant(jwt, "name", "alice");
    jwt_add_grant(jwt, "role", "user");
    jwt_add_grant_int(jwt, "acc", account);
    jwt_add_grant_int(jwt, "sid", session);
    jwt_add_grant_int(jwt, "exp", (long)(now_us / 1000000 + 60));
    char *text = jwt_encode_str(jwt);
    jwt_free(jwt);
    enum err e = verify(t, text, now_us);
    free(text);
    return e;
}

Test(token, forgeries_are_refused)
{
    struct tokens *t = open_with("k1:" KEY_A);
    cr_assert_eq(forge(t, JWT_ALG_HS256, "k1", "scrip", 5, 6), OK, "the form is right");
    cr_assert_eq(forge(t, JWT_ALG_NONE, "k1", "scrip", 5, 6), ERR_TOKEN_INVALID);
    cr_assert_eq(forge(t, JWT_ALG_HS512, "k1", "scrip", 5, 6), ERR_TOKEN_INVALID);
    cr_assert_eq(forge(t, JWT_ALG_HS256, "k9", "scrip", 5, 6), ERR_TOKEN_INVALID);
    cr_assert_eq(forge(t, JWT_ALG_HS256, "k1", "other", 5, 6), ERR_TOKEN_INVALID);
    cr_assert_eq(forge(t, JWT_ALG_HS256, "k1", "scrip", 0, 6), ERR_TOKEN_INVALID);
    cr_assert_eq(forge(t, JWT_ALG_HS256, "k1", "scrip", 5, 0), ERR_TOKEN_INVALID);
    char token[TOKEN_BYTES], changed[TOKEN_BYTES];
    size_t length = sign(t, 1, token);
    for (size_t i = 0; i + 1 < length; i++) {
        memcpy(changed, token, sizeof changed);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        cr_assert_eq(verify(t, changed, now_us), ERR_TOKEN_INVALID, "character %zu", i);
    }
    for (size_t i = 0; i < length; i++) {
        memcpy(changed, token, sizeof changed);
        changed[i] = 0;
        cr_assert_eq(verify(t, changed, now_us), ERR_TOKEN_INVALID, "cut at %zu", i);
    }
    static const char *const junk[] = {"",
                                       ".",
                                       "..",
                                       "...",
                                       "a.b.c",
                                       "eyJhbGciOiJub25lIn0..",
                                       "====.====.====",
                                       "\xff\xfe.\xff.\xff"};
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++)
        cr_assert_eq(verify(t, junk[i], now_us), ERR_TOKEN_INVALID);
    memset(changed, 'a', sizeof changed);
    struct token_holder h;
    cr_assert_eq(tokens_verify(t, changed, sizeof changed, now_us, &h), ERR_TOKEN_INVALID);
    tokens_close(&t);
}

Test(token, bad_keys_refuse_to_start)
{
    static const char *const bad[] = {
        "k1",          "k1:",        "k1:aa",          ":" KEY_A, "k1:" KEY_A "a",
        "k1:zz" KEY_A, "k 1:" KEY_A, "k1:" KEY_A ",k2"};
    log_open("test", LOG_ERROR + 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tokens *t = NULL;
        struct token_options o = {.keys = bad[i],
                                  .key_file = "",
                                  .issuer = "scrip",
                                  .life_us = 1,
                                  .cache_max = 4,
                                  .ended_max = 2};
        cr_assert_eq(tokens_open(&o, &t), ERR_CONFIG_BAD_VALUE, "%s", bad[i]);
    }
}

Test(token, a_key_file_is_made_once_and_only_for_its_owner)
{
    char folder[] = "/tmp/gw_token_test.XXXXXX", path[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/keys", folder);
    struct token_options o = {.keys = "",
                              .key_file = path,
                              .issuer = "scrip",
                              .life_us = 1000000,
                              .cache_max = 4,
                              .ended_max = 2};
    struct tokens *one = NULL, *two = NULL;
    char token[TOKEN_BYTES];
    struct stat st;
    log_open("test", LOG_ERROR + 1);
    cr_assert_eq(tokens_open(&o, &one), OK);
    cr_assert_eq(tokens_open(&o, &two), OK);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    sign(one, 1, token);
    cr_assert_eq(verify(two, token, now_us), OK);
    tokens_close(&one);
    tokens_close(&two);
    unlink(path);
    rmdir(folder);
    o.key_file = "/nowhere/keys";
    cr_assert_eq(tokens_open(&o, &one), ERR_FILE_UNREADABLE);
}
