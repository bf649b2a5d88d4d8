/*
 * users.c - the statements, and their rows.
 *
 * The tables and the function gateway.refresh() are in db/deploy/gateway_*.sql.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/users.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/pg.h"

#define SWEEP_MS    600000
#define ENDED_MS    1000
#define ENDED_S     "60" /* asked for again and again, in case a commit takes that long */
#define VALUES_MAX  5
#define NUMBER_TEXT 24
#define DIGEST_TEXT 67 /* \x and 64 digits, and a NUL */

struct users {
    struct users_options o;
    struct pg *pg;
    struct loop_timer *sweep, *ended;
    bool ended_known, ended_asked; /* all of the past since the connection is up; a question out */
    char refresh_days[NUMBER_TEXT], lock_after[NUMBER_TEXT], lock_max_s[NUMBER_TEXT];
    char token_seconds[NUMBER_TEXT];
    struct question *questions;
};

/* One question under way. */
struct question {
    struct users *u;
    users_answer *answer;
    void *arg;
    enum err no_row;             /* what it means that there is no row; OK = none is expected */
    struct question *next, **at; /* `at` points to what points here */
};

static const char sql_add[] =
    "WITH u AS (INSERT INTO gateway.users (username, password_hash) VALUES ($1, $2) "
    "           ON CONFLICT ((lower(username))) DO NOTHING RETURNING id, username, role),"
    " a AS (INSERT INTO gateway.accounts (user_id, is_default) SELECT id, true FROM u "
    "       RETURNING id),"
    " s AS (INSERT INTO gateway.sessions (user_id) SELECT id FROM u RETURNING id),"
    " r AS (INSERT INTO gateway.refresh_tokens (hash, session_id, expires_at) "
    "       SELECT $3::bytea, s.id, now() + $4::bigint * interval '1 day' FROM s)"
    " SELECT u.id AS user_id, a.id AS account_id, s.id AS session_id, u.username, u.role"
    " FROM u, a, s";
static const char sql_find[] =
    "SELECT u.id AS user_id, a.id AS account_id, u.username, u.role, u.password_hash,"
    " ceil(extract(epoch FROM greatest(u.locked_until - now(), interval '0')))::bigint AS locked"
    " FROM gateway.users u JOIN gateway.accounts a ON a.user_id = u.id AND a.is_default"
    " WHERE lower(u.username) = lower($1)";
static const char sql_get[] =
    "SELECT u.id AS user_id, a.id AS account_id, u.username, u.role,"
    " (extract(epoch FROM u.created_at) * 1000000)::bigint AS created_us"
    " FROM gateway.users u JOIN gateway.accounts a ON a.user_id = u.id AND a.is_default"
    " WHERE u.id = $1::bigint";
static const char sql_logged_in[] =
    "WITH u AS (UPDATE gateway.users SET failed_count = 0, locked_until = NULL"
    "           WHERE id = $1::bigint RETURNING id),"
    " s AS (INSERT INTO gateway.sessions (user_id) SELECT id FROM u RETURNING id),"
    " r AS (INSERT INTO gateway.refresh_tokens (hash, session_id, expires_at)"
    "       SELECT $2::bytea, s.id, now() + $3::bigint * interval '1 day' FROM s)"
    " SELECT s.id AS session_id FROM s";
static const char sql_failed[] =
    "UPDATE gateway.users SET failed_count = failed_count + 1,"
    " locked_until = CASE WHEN failed_count + 1 >= $2::int THEN now() + interval '1 second' *"
    "   least($3::bigint, 2 ^ least(failed_count + 1 - $2::int, 30)) END"
    " WHERE id = $1::bigint";
static const char sql_refresh[] =
    "SELECT r.user_id, r.account_id, r.username, r.role,"
    " (SELECT session_id FROM gateway.refresh_tokens WHERE hash = $1::bytea) AS session_id"
    " FROM gateway.refresh($1::bytea, $2::bytea, $3::bigint) r WHERE r.user_id IS NOT NULL";
static const char sql_log_out[] =
    "UPDATE gateway.sessions s SET revoked_at = coalesce(s.revoked_at, now())"
    " FROM gateway.refresh_tokens r WHERE r.hash = $1::bytea AND r.session_id = s.id"
    " RETURNING s.id AS session_id";
static const char sql_ended[] = "SELECT id FROM gateway.sessions"
                                " WHERE revoked_at > now() - $1::bigint * interval '1 second'";
static const char sql_sweep[] =
    "DELETE FROM gateway.sessions s WHERE NOT EXISTS (SELECT 1 FROM gateway.refresh_tokens r"
    " WHERE r.session_id = s.id AND r.expires_at > now() - interval '1 day')"
    " AND s.created_at < now() - interval '1 day'";

static void
base64url_write(const uint8_t *bytes, size_t length, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    int held = 0;
    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6)
            *out++ = digits[bits >> (held - 6) & 63];
    }
    if (held > 0)
        *out++ = digits[bits << (6 - held) & 63];
    *out = 0;
}

void
refresh_make(char out[REFRESH_TEXT_BYTES])
{
    uint8_t secret[32];
    CHECK(RAND_bytes(secret, sizeof secret) == 1);
    base64url_write(secret, sizeof secret, out);
}

/* SHA-256 as PostgreSQL reads bytea. */
static void
digest_write(const char *text, char out[DIGEST_TEXT])
{
    uint8_t digest[32];
    unsigned length = sizeof digest;
    CHECK(EVP_Digest(text, strlen(text), digest, &length, EVP_sha256(), NULL) == 1);
    out[0] = '\\';
    out[1] = 'x';
    for (size_t i = 0; i < sizeof digest; i++) {
        out[2 + i * 2] = "0123456789abcdef"[digest[i] >> 4];
        out[3 + i * 2] = "0123456789abcdef"[digest[i] & 15];
    }
    out[DIGEST_TEXT - 1] = 0;
}

static const char *
column(const PGresult *result, const char *name)
{
    int at = PQfnumber(result, name);
    return at < 0 || PQgetisnull(result, 0, at) ? NULL : PQgetvalue(result, 0, at);
}

static int64_t
number_column(const PGresult *result, const char *name)
{
    const char *text = column(result, name);
    return text == NULL ? 0 : strtoll(text, NULL, 10);
}

static void
text_column(const PGresult *result, const char *name, char *out, size_t size)
{
    const char *text = column(result, name);
    snprintf(out, size, "%s", text == NULL ? "" : text);
}

static struct question *
question_new(struct users *u, users_answer *answer, void *arg, enum err no_row)
{
    struct question *q = calloc(1, sizeof *q);
    CHECK(q != NULL);
    *q = (struct question){u, answer, arg, no_row, u->questions, &u->questions};
    if (q->next != NULL)
        q->next->at = &q->next;
    u->questions = q;
    return q;
}

static void
question_free(struct question *q)
{
    *q->at = q->next;
    if (q->next != NULL)
        q->next->at = q->at;
    free(q);
}

static void
on_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct question *q = arg;
    struct user_row row = {0};
    enum err e = OK;
    if (outcome != PG_ROWS) {
        if (outcome == PG_FAILED)
            log_line(LOG_WARN, "users_query_failed", "sqlstate=%s",
                     result == NULL ? "none" : PQresultErrorField(result, PG_DIAG_SQLSTATE));
        e = ERR_USERS_UNAVAILABLE;
    } else if (q->no_row != OK && PQntuples(result) == 0) {
        e = q->no_row;
    } else if (PQntuples(result) > 0) {
        row.user_id = (uint64_t)number_column(result, "user_id");
        row.account_id = (uint64_t)number_column(result, "account_id");
        row.session_id = (uint64_t)number_column(result, "session_id");
        row.locked_seconds = (uint32_t)number_column(result, "locked");
        row.created_us = number_column(result, "created_us");
        text_column(result, "username", row.username, sizeof row.username);
        text_column(result, "role", row.role, sizeof row.role);
        text_column(result, "password_hash", row.hash, sizeof row.hash);
    }
    if (q->answer != NULL)
        q->answer(q->arg, e, e == OK ? &row : NULL);
    question_free(q);
}

static bool
ask(struct users *u, const char *statement, int count, const char *const *values, enum err no_row,
    users_answer *answer, void *arg)
{
    if (!pg_is_up(u->pg))
        return false;
    struct question *q = question_new(u, answer, arg, no_row);
    if (!pg_send_prepared(u->pg, statement, count, values, NULL, NULL, false, on_answer, q)) {
        question_free(q);
        return false;
    }
    /* The statement is its own transaction: its answer tells all there is to know. */
    bool sent = pg_sync(u->pg, NULL, NULL);
    (void)sent; /* a connection that broke meanwhile answers PG_LOST */
    return true;
}

static void
on_sweep(void *arg)
{
    struct users *u = arg;
    ask(u, "sweep", 0, NULL, OK, NULL, NULL);
}

/* ---- Sessions that ended ----------------------------------------------------------------- */

static void
on_ended(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct question *q = arg;
    struct users *u = q->u;
    u->ended_asked = false;
    if (outcome == PG_ROWS) {
        u->ended_known = true;
        for (int i = 0; i < PQntuples(result); i++)
            u->o.on_session_ended(u->o.arg, strtoull(PQgetvalue(result, i, 0), NULL, 10));
    }
    if (q->answer != NULL)
        q->answer(q->arg, outcome == PG_ROWS ? OK : ERR_USERS_UNAVAILABLE, NULL);
    question_free(q);
}

/* All that still matters when nothing is known, the last minute afterwards. */
bool
users_ended(struct users *u, users_answer *answer, void *arg)
{
    if (!pg_is_up(u->pg))
        return false;
    struct question *q = question_new(u, answer, arg, OK);
    const char *values[] = {u->ended_known ? ENDED_S : u->token_seconds};
    if (!pg_send_prepared(u->pg, "ended", 1, values, NULL, NULL, false, on_ended, q)) {
        question_free(q);
        return false;
    }
    bool sent = pg_sync(u->pg, NULL, NULL);
    (void)sent; /* as in ask() */
    u->ended_asked = true;
    return true;
}

static void
on_ended_due(void *arg)
{
    struct users *u = arg;
    if (!u->ended_asked)
        users_ended(u, NULL, NULL);
}

static void
on_up(void *arg)
{
    struct users *u = arg;
    u->ended_known = false;
    users_ended(u, NULL, NULL);
}

/* ---- Opening and closing ----------------------------------------------------------------- */

struct users *
users_open(const struct users_options *o)
{
    struct users *u = calloc(1, sizeof *u);
    CHECK(u != NULL);
    u->o = *o;
    snprintf(u->refresh_days, sizeof u->refresh_days, "%" PRId64, o->refresh_days);
    snprintf(u->lock_after, sizeof u->lock_after, "%" PRId64, o->lock_after);
    snprintf(u->lock_max_s, sizeof u->lock_max_s, "%" PRId64, o->lock_max_s);
    snprintf(u->token_seconds, sizeof u->token_seconds, "%" PRId64, o->token_seconds);
    struct pg_options options = {
        .conninfo = o->conninfo, .label = "users", .arg = u, .on_up = on_up};
    u->pg = pg_open(o->loop, &options);
    pg_prepare(u->pg, "add", sql_add, 4, NULL);
    pg_prepare(u->pg, "find", sql_find, 1, NULL);
    pg_prepare(u->pg, "get", sql_get, 1, NULL);
    pg_prepare(u->pg, "logged_in", sql_logged_in, 3, NULL);
    pg_prepare(u->pg, "failed", sql_failed, 3, NULL);
    pg_prepare(u->pg, "refresh", sql_refresh, 3, NULL);
    pg_prepare(u->pg, "log_out", sql_log_out, 1, NULL);
    pg_prepare(u->pg, "ended", sql_ended, 1, NULL);
    pg_prepare(u->pg, "sweep", sql_sweep, 0, NULL);
    u->ended = loop_timer_new(o->loop, ENDED_MS, ENDED_MS, on_ended_due, u);
    u->sweep = loop_timer_new(o->loop, SWEEP_MS, SWEEP_MS, on_sweep, u);
    return u;
}

void
users_close(struct users **u)
{
    struct users *old = *u;
    if (old == NULL)
        return;
    loop_timer_end(&old->sweep);
    loop_timer_end(&old->ended);
    pg_close(&old->pg); /* and nothing is answered any more */
    while (old->questions != NULL)
        question_free(old->questions);
    free(old);
    *u = NULL;
}

/* ---- What may be asked ------------------------------------------------------------------- */

bool
users_is_up(const struct users *u)
{
    return pg_is_up(u->pg);
}

bool
users_add(struct users *u, const char *username, const char *hash, const char *refresh,
          users_answer *answer, void *arg)
{
    char digest[DIGEST_TEXT];
    digest_write(refresh, digest);
    const char *values[VALUES_MAX] = {username, hash, digest, u->refresh_days};
    return ask(u, "add", 4, values, ERR_USERNAME_TAKEN, answer, arg);
}

bool
users_find(struct users *u, const char *username, users_answer *answer, void *arg)
{
    const char *values[VALUES_MAX] = {username};
    return ask(u, "find", 1, values, ERR_LOGIN_WRONG, answer, arg);
}

bool
users_get(struct users *u, uint64_t user_id, users_answer *answer, void *arg)
{
    char id[NUMBER_TEXT];
    snprintf(id, sizeof id, "%" PRIu64, user_id);
    const char *values[VALUES_MAX] = {id};
    return ask(u, "get", 1, values, ERR_TOKEN_INVALID, answer, arg);
}

bool
users_logged_in(struct users *u, uint64_t user_id, const char *refresh, users_answer *answer,
                void *arg)
{
    char id[NUMBER_TEXT], digest[DIGEST_TEXT];
    snprintf(id, sizeof id, "%" PRIu64, user_id);
    digest_write(refresh, digest);
    const char *values[VALUES_MAX] = {id, digest, u->refresh_days};
    return ask(u, "logged_in", 3, values, OK, answer, arg);
}

void
users_failed(struct users *u, uint64_t user_id)
{
    char id[NUMBER_TEXT];
    snprintf(id, sizeof id, "%" PRIu64, user_id);
    const char *values[VALUES_MAX] = {id, u->lock_after, u->lock_max_s};
    ask(u, "failed", 3, values, OK, NULL, NULL);
}

bool
users_refresh(struct users *u, const char *old, const char *fresh, users_answer *answer, void *arg)
{
    char old_digest[DIGEST_TEXT], fresh_digest[DIGEST_TEXT];
    digest_write(old, old_digest);
    digest_write(fresh, fresh_digest);
    const char *values[VALUES_MAX] = {old_digest, fresh_digest, u->refresh_days};
    return ask(u, "refresh", 3, values, ERR_REFRESH_INVALID, answer, arg);
}

bool
users_log_out(struct users *u, const char *refresh, users_answer *answer, void *arg)
{
    char digest[DIGEST_TEXT];
    digest_write(refresh, digest);
    const char *values[VALUES_MAX] = {digest};
    return ask(u, "log_out", 1, values, OK, answer, arg);
}
