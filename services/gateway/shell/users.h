/*
 * users.h - users, sessions and refresh tokens in PostgreSQL (schema gateway).
 *
 * Every change is one statement, so it happens whole or not at all. Refresh tokens are stored as
 * SHA-256 and are used once: presenting one again ends its whole session, because one of the two
 * who hold it has stolen it. Answers come on the loop; USERS_UNAVAILABLE also stands for "nobody
 * knows": all of these may be asked again. Sessions that ended here or by another gateway are told
 * to on_session_ended, within a second of their end or of the database's return.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_USERS_H
#define SCRIP_GATEWAY_SHELL_USERS_H

#include "gateway/shell/hash_pool.h"
#include "gateway/shell/token.h"
#include "host/loop.h"

#define REFRESH_TEXT_BYTES 44 /* 32 random bytes as base64url, and a NUL */

struct users;

struct users_options {
    struct loop *loop;
    const char *conninfo;
    int64_t refresh_days, lock_after, lock_max_s;
    int64_t token_seconds; /* life of an access token */
    void *arg;
    void (*on_session_ended)(void *arg, uint64_t session_id); /* maybe more than once */
};

/* What the database knows; the fields that an operation says it fills. */
struct user_row {
    uint64_t user_id, account_id, session_id;
    char username[USERNAME_BYTES];
    char role[ROLE_BYTES];
    char hash[HASH_BYTES];
    uint32_t locked_seconds; /* 0 = not locked */
    int64_t created_us;
};

/* The row is lent for the call, and NULL with an error. */
typedef void users_answer(void *arg, enum err e, const struct user_row *row);

struct users *users_open(const struct users_options *o);
void users_close(struct users **u);
bool users_is_up(const struct users *u);

/* A new refresh token, in text. */
void refresh_make(char out[REFRESH_TEXT_BYTES]);

/* Each returns false, and never calls back, when the database is away. */

/* A user with one account and a session. Fills the ids, name and role. USERNAME_TAKEN. */
bool users_add(struct users *u, const char *username, const char *hash, const char *refresh,
               users_answer *answer, void *arg);
/* Fills all. LOGIN_WRONG when there is no such user. */
bool users_find(struct users *u, const char *username, users_answer *answer, void *arg);
/* By id, for GET /api/user/me. TOKEN_INVALID when there is none any more. */
bool users_get(struct users *u, uint64_t user_id, users_answer *answer, void *arg);
/* A right password: the failures are forgotten and a session begins. Fills its id. */
bool users_logged_in(struct users *u, uint64_t user_id, const char *refresh, users_answer *answer,
                     void *arg);
/* A wrong one is counted; nobody waits for it. */
void users_failed(struct users *u, uint64_t user_id);
/* Exchanges a refresh token. Fills the ids, name and role. REFRESH_INVALID: it may have ended its
 * session, which users_ended() then tells. */
bool users_refresh(struct users *u, const char *old, const char *fresh, users_answer *answer,
                   void *arg);
/* Ends the session of a refresh token, known or not. */
bool users_log_out(struct users *u, const char *refresh, users_answer *answer, void *arg);
/* Asks at once which sessions ended, and answers when on_session_ended has heard of them. */
bool users_ended(struct users *u, users_answer *answer, void *arg);

#endif
