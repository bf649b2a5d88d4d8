/*
 * token.h - access tokens: signed and verified with libjwt, and remembered once verified.
 *
 * HS256 only. Each key has an id that stands in the token's header; the first key signs, all
 * verify, so a key is rotated by putting a new one in front and dropping the old one when its
 * last token has run out. A token is verified once; after that it is found by its text, compared
 * in constant time, until it expires or its session ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_TOKEN_H
#define SCRIP_GATEWAY_SHELL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TOKEN_BYTES    1024
#define USERNAME_BYTES 33
#define ROLE_BYTES     12

struct tokens;

struct token_holder {
    uint64_t user_id, account_id, session_id;
    int64_t expires_us;
    char username[USERNAME_BYTES];
    char role[ROLE_BYTES];
};

struct token_options {
    const char *keys;     /* "kid:hex,kid:hex", or empty: */
    const char *key_file; /* the same text in a file, made when absent */
    const char *issuer;
    int64_t life_us;
    uint32_t cache_max, ended_max;
};

/* CONFIG_BAD_VALUE or FILE_UNREADABLE after logging why; no key is ever logged. */
MUST_USE enum err tokens_open(const struct token_options *o, struct tokens **out);
void tokens_close(struct tokens **t);
/* Writes a token and sets the holder's expires_us. Returns its length. */
size_t tokens_sign(struct tokens *t, struct token_holder *holder, int64_t now_us,
                   char out[TOKEN_BYTES]);
/* TOKEN_INVALID, also of a session that has ended, or TOKEN_EXPIRED. */
MUST_USE enum err tokens_verify(struct tokens *t, const char *token, size_t length, int64_t now_us,
                                struct token_holder *out);
/* The tokens of a session that has ended are refused from now on. */
void tokens_end_session(struct tokens *t, uint64_t session_id, int64_t now_us);
bool tokens_session_ended(const struct tokens *t, uint64_t session_id);

#endif
