/*
 * auth.c - sign-up, log-in, refresh, log-out and "who am I".
 *
 * Each is a flow of a few steps off the loop: password hash, users' database, and for a new user
 * the ledger, which opens the account. A step's answer may come when the request was answered
 * already (its time was over); the flow then ends there. An unknown user costs a log-in the same
 * hash as a known one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "gateway/shell/shell.h"
#include "wire/json.h"

#define FLOWS_MAX          1024
#define NAME_BURST         50
#define NAME_TOKEN_US      3000000
#define PASSWORD_CHARS_MIN 10
#define PASSWORD_CHARS_MAX 128

struct flow {
    struct shell *shell;
    uint64_t handle; /* of the request */
    bool is_sign_up;
    char username[USERNAME_BYTES];
    char password[PASSWORD_BYTES];
    char refresh[REFRESH_TEXT_BYTES];
    struct token_holder holder;
};

/* ---- Reading the bodies ------------------------------------------------------------------ */

struct text_field {
    const char *name;
    char *out;
    size_t size;
    enum err too_long;
};

static code_t
field_named(const char *name)
{
    code_t field = {{0}};
    memcpy(field.text, name, strnlen(name, CODE_BYTES - 1));
    return field;
}

static enum err
member_read(const struct text_field *f, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string))
        return ERR_FIELD_TYPE;
    const char *text = json_object_get_string(value);
    size_t length = (size_t)json_object_get_string_len(value);
    if (length >= f->size || strlen(text) != length)
        return f->too_long;
    memcpy(f->out, text, length + 1);
    return OK;
}

/* All of these text fields and no others. */
static enum err
body_read(const struct http_request *h, const struct text_field *fields, size_t count,
          code_t *field)
{
    *field = code_of("");
    struct json_object *body = json_parse(h->body, h->body_length, 2);
    if (body == NULL || !json_object_is_type(body, json_type_object)) {
        json_object_put(body);
        return ERR_BODY_NOT_JSON;
    }
    enum err e = OK;
    json_object_object_foreach(body, key, value)
    {
        size_t i = 0;
        while (i < count && strcmp(fields[i].name, key) != 0)
            i++;
        enum err found = i == count ? ERR_FIELD_UNKNOWN : member_read(&fields[i], value);
        if (found != OK && (e == OK || found < e)) {
            e = found;
            *field = field_named(key);
        }
    }
    for (size_t i = 0; i < count && e == OK; i++)
        if (!json_object_object_get_ex(body, fields[i].name, NULL)) {
            e = ERR_FIELD_MISSING;
            *field = field_named(fields[i].name);
        }
    json_object_put(body);
    return e;
}

static bool
username_valid(const char *name)
{
    size_t length = strlen(name);
    for (const char *c = name; *c != 0; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '.' || *c == '_' || *c == '-'))
            return false;
    return length >= 3 && length <= 32;
}

/* Characters, not bytes: json-c has checked that it is UTF-8. */
static bool
password_valid(const char *password)
{
    size_t count = 0;
    for (const char *c = password; *c != 0; c++)
        count += (*c & 0xc0) != 0x80;
    return count >= PASSWORD_CHARS_MIN && count <= PASSWORD_CHARS_MAX;
}

/* ---- The flow ---------------------------------------------------------------------------- */

static struct flow *
flow_new(struct shell *s, struct request *r)
{
    if (s->flows >= FLOWS_MAX)
        return NULL;
    struct flow *f = calloc(1, sizeof *f);
    CHECK(f != NULL);
    f->shell = s;
    f->handle = request_handle(r);
    s->flows++;
    request_queue(s, r, ERR_USERS_UNAVAILABLE);
    return f;
}

static void
flow_free(struct flow *f)
{
    f->shell->flows--;
    OPENSSL_cleanse(f, sizeof *f);
    free(f);
}

/* Ends the flow with an error. */
static void
flow_fail(struct flow *f, enum err e)
{
    struct request *r = request_find(f->shell, f->handle);
    if (r != NULL)
        answer_error(f->shell, r, e);
    flow_free(f);
}

static void
tokens_answer(struct shell *s, struct request *r, int status, struct token_holder *holder,
              const char *refresh)
{
    char token[TOKEN_BYTES], text[TOKEN_BYTES + 512];
    int64_t now_us = loop_now_us(s->loop);
    tokens_sign(s->tokens, holder, now_us, token);
    int length =
        snprintf(text, sizeof text,
                 "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%" PRId64
                 ",\"refresh_token\":\"%s\",\"user_id\":%" PRIu64 ",\"account_id\":%" PRIu64
                 ",\"username\":\"%s\",\"role\":\"%s\"}",
                 token, (holder->expires_us - now_us) / 1000000, refresh, holder->user_id,
                 holder->account_id, holder->username, holder->role);
    answer_text(s, r, status, NULL, text, (size_t)length);
    OPENSSL_cleanse(token, sizeof token);
    OPENSSL_cleanse(text, sizeof text);
}

/* Asks the ledger to open the account; again is harmless. `owner` 0: nobody waits. */
static enum err
account_open_send(struct shell *s, const struct token_holder *holder, uint64_t corr, uint64_t owner)
{
    struct account_open body = {.account_id = holder->account_id, .user_id = holder->user_id};
    return call_send(s, call_ledger_of(s, holder->account_id), MSG_account_open, corr, owner, true,
                     &body);
}

static void
holder_set(struct token_holder *holder, const struct user_row *row)
{
    *holder = (struct token_holder){
        .user_id = row->user_id, .account_id = row->account_id, .session_id = row->session_id};
    snprintf(holder->username, sizeof holder->username, "%s", row->username);
    snprintf(holder->role, sizeof holder->role, "%s", row->role);
}

/* ---- Sign-up ----------------------------------------------------------------------------- */

/* The user is there and so is the account, or the ledger said why not. */
static void
on_account_opened(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    if (m != NULL && m->type == MSG_account_view) {
        tokens_answer(s, r, 201, &r->who, r->refresh);
        return;
    }
    /* Opening an account again is harmless, so a missing answer only means "away". */
    struct refused why = {.error = m == NULL ? e : ERR_INTERNAL};
    if (why.error == ERR_OUTCOME_UNKNOWN)
        why.error = ERR_LEDGER_UNAVAILABLE;
    if (m != NULL && m->type == MSG_refused)
        why = m->refused;
    why.detail = text_of("the user was made; its account opens at the next log-in");
    answer_refused(s, r, &why);
}

static void
on_added(void *arg, enum err e, const struct user_row *row)
{
    struct flow *f = arg;
    struct shell *s = f->shell;
    struct request *r = request_find(s, f->handle);
    if (e != OK || r == NULL) {
        flow_fail(f, e);
        return;
    }
    holder_set(&r->who, row);
    memcpy(r->refresh, f->refresh, sizeof r->refresh);
    flow_free(f);
    r->on_answer = on_account_opened;
    e = account_open_send(s, &r->who, r->corr, request_handle(r));
    if (e != OK)
        on_account_opened(s, r, NULL, e);
}

static void
on_hashed(void *arg, bool ok, const char *hash)
{
    struct flow *f = arg;
    if (!ok) {
        flow_fail(f, ERR_INTERNAL);
        return;
    }
    if (request_find(f->shell, f->handle) == NULL) {
        flow_free(f);
        return;
    }
    refresh_make(f->refresh);
    if (!users_add(f->shell->users, f->username, hash, f->refresh, on_added, f))
        flow_fail(f, ERR_USERS_UNAVAILABLE);
}

/* ---- Log-in ------------------------------------------------------------------------------ */

static void
on_logged_in(void *arg, enum err e, const struct user_row *row)
{
    struct flow *f = arg;
    struct shell *s = f->shell;
    struct request *r = request_find(s, f->handle);
    if (e != OK || r == NULL) {
        flow_fail(f, e);
        return;
    }
    f->holder.session_id = row->session_id;
    /* Heals a sign-up that broke off before the ledger had opened the account. What the client
     * sends next stands behind it in the same queue. */
    e = account_open_send(s, &f->holder, corr_new(s), 0);
    (void)e;
    tokens_answer(s, r, 200, &f->holder, f->refresh);
    flow_free(f);
}

static void
on_compared(void *arg, bool ok, const char *hash)
{
    struct flow *f = arg;
    (void)hash;
    OPENSSL_cleanse(f->password, sizeof f->password);
    if (!ok) {
        if (f->holder.user_id != 0)
            users_failed(f->shell->users, f->holder.user_id);
        flow_fail(f, ERR_LOGIN_WRONG);
        return;
    }
    refresh_make(f->refresh);
    if (!users_logged_in(f->shell->users, f->holder.user_id, f->refresh, on_logged_in, f))
        flow_fail(f, ERR_USERS_UNAVAILABLE);
}

static void
on_found(void *arg, enum err e, const struct user_row *row)
{
    struct flow *f = arg;
    struct request *r = request_find(f->shell, f->handle);
    if (r == NULL || (e != OK && e != ERR_LOGIN_WRONG)) {
        flow_fail(f, e);
        return;
    }
    if (row != NULL && row->locked_seconds > 0) {
        struct refused why = {.error = ERR_LOGIN_LIMITED,
                              .retry_after_seconds = row->locked_seconds};
        answer_refused(f->shell, r, &why);
        flow_free(f);
        return;
    }
    if (row != NULL)
        holder_set(&f->holder, row);
    enum err busy = hash_pool_compare(f->shell->hashes, row == NULL ? NULL : row->hash, f->password,
                                      on_compared, f);
    if (busy != OK)
        flow_fail(f, busy);
}

/* ---- Refresh ----------------------------------------------------------------------------- */

/* Of a refused refresh token: if that ended its session, the access tokens have ended by now. */
static void
on_ended_heard(void *arg, enum err e, const struct user_row *row)
{
    (void)e;
    (void)row;
    flow_fail(arg, ERR_REFRESH_INVALID);
}

static void
on_refreshed(void *arg, enum err e, const struct user_row *row)
{
    struct flow *f = arg;
    struct request *r = request_find(f->shell, f->handle);
    if (e == ERR_REFRESH_INVALID && users_ended(f->shell->users, on_ended_heard, f))
        return;
    if (e != OK || r == NULL) {
        flow_fail(f, e);
        return;
    }
    holder_set(&f->holder, row);
    tokens_answer(f->shell, r, 200, &f->holder, f->refresh);
    flow_free(f);
}

static void
on_logged_out(void *arg, enum err e, const struct user_row *row)
{
    struct flow *f = arg;
    struct shell *s = f->shell;
    struct request *r = request_find(s, f->handle);
    if (e == OK && row->session_id != 0)
        tokens_end_session(s->tokens, row->session_id, loop_now_us(s->loop));
    if (e != OK || r == NULL) {
        flow_fail(f, e);
        return;
    }
    answer_text(s, r, 200, NULL, "{}", 2);
    flow_free(f);
}

/* ---- The handlers ------------------------------------------------------------------------ */

static void
credentials_take(struct shell *s, struct request *r, const struct http_request *h, bool is_sign_up)
{
    struct flow *f = flow_new(s, r);
    if (f == NULL) {
        answer_error(s, r, ERR_GATEWAY_BUSY);
        return;
    }
    f->is_sign_up = is_sign_up;
    /* At log-in a name or password that could not be anybody's is just a wrong one. */
    struct text_field fields[] = {
        {"username", f->username, sizeof f->username,
         is_sign_up ? ERR_USERNAME_INVALID : ERR_LOGIN_WRONG},
        {"password", f->password, sizeof f->password,
         is_sign_up ? ERR_PASSWORD_INVALID : ERR_LOGIN_WRONG},
    };
    code_t field;
    enum err e = body_read(h, fields, 2, &field);
    if (e == OK && is_sign_up && !username_valid(f->username))
        e = ERR_USERNAME_INVALID;
    else if (e == OK && is_sign_up && !password_valid(f->password))
        e = ERR_PASSWORD_INVALID;
    if (e != OK) {
        answer_field(s, r, e, field, text_of("%s", ""));
        flow_free(f);
        return;
    }
    if (is_sign_up) {
        e = hash_pool_make(s->hashes, f->password, on_hashed, f);
        OPENSSL_cleanse(f->password, sizeof f->password);
        if (e != OK)
            flow_fail(f, e);
        return;
    }
    char lower[USERNAME_BYTES];
    size_t length = strlen(f->username);
    for (size_t i = 0; i <= length; i++)
        lower[i] = (char)(f->username[i] >= 'A' && f->username[i] <= 'Z' ? f->username[i] + 32
                                                                         : f->username[i]);
    struct refused why = {.error = ERR_LOGIN_LIMITED};
    struct limit_rate rate = {NAME_TOKEN_US, NAME_BURST};
    if (!limit_take(&s->by_name, map_hash(lower, length), rate, loop_steady_us(s->loop),
                    &why.retry_after_seconds)) {
        answer_refused(s, r, &why);
        flow_free(f);
        return;
    }
    if (!users_find(s->users, f->username, on_found, f))
        flow_fail(f, ERR_USERS_UNAVAILABLE);
}

void
own_register(struct shell *s, struct request *r, const struct http_request *h)
{
    credentials_take(s, r, h, true);
}

void
own_login(struct shell *s, struct request *r, const struct http_request *h)
{
    credentials_take(s, r, h, false);
}

/* Reads {"refresh_token": ...}; NULL after an answer. */
static struct flow *
refresh_take(struct shell *s, struct request *r, const struct http_request *h, char *old,
             size_t size)
{
    struct text_field fields[] = {{"refresh_token", old, size, ERR_REFRESH_INVALID}};
    code_t field;
    enum err e = body_read(h, fields, 1, &field);
    if (e != OK) {
        answer_field(s, r, e, field, text_of("%s", ""));
        return NULL;
    }
    struct flow *f = flow_new(s, r);
    if (f == NULL)
        answer_error(s, r, ERR_GATEWAY_BUSY);
    return f;
}

void
own_refresh(struct shell *s, struct request *r, const struct http_request *h)
{
    char old[128];
    struct flow *f = refresh_take(s, r, h, old, sizeof old);
    if (f == NULL)
        return;
    refresh_make(f->refresh);
    if (!users_refresh(s->users, old, f->refresh, on_refreshed, f))
        flow_fail(f, ERR_USERS_UNAVAILABLE);
    OPENSSL_cleanse(old, sizeof old);
}

void
own_logout(struct shell *s, struct request *r, const struct http_request *h)
{
    char old[128];
    struct flow *f = refresh_take(s, r, h, old, sizeof old);
    if (f == NULL)
        return;
    if (!users_log_out(s->users, old, on_logged_out, f))
        flow_fail(f, ERR_USERS_UNAVAILABLE);
    OPENSSL_cleanse(old, sizeof old);
}

static void
on_got(void *arg, enum err e, const struct user_row *row)
{
    struct flow *f = arg;
    struct request *r = request_find(f->shell, f->handle);
    if (e != OK || r == NULL) {
        flow_fail(f, e);
        return;
    }
    char text[512];
    int length = snprintf(text, sizeof text,
                          "{\"user_id\":%" PRIu64
                          ",\"username\":\"%s\",\"role\":\"%s\",\"account_id\":%" PRIu64
                          ",\"created_us\":%" PRId64 "}",
                          row->user_id, row->username, row->role, row->account_id, row->created_us);
    answer_text(f->shell, r, 200, NULL, text, (size_t)length);
    flow_free(f);
}

void
own_me(struct shell *s, struct request *r, const struct http_request *h)
{
    (void)h;
    struct flow *f = flow_new(s, r);
    if (f == NULL)
        answer_error(s, r, ERR_GATEWAY_BUSY);
    else if (!users_get(s->users, r->who.user_id, on_got, f))
        flow_fail(f, ERR_USERS_UNAVAILABLE);
}
