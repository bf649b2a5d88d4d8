/*
 * keys_change.c - what is stored, deleted, noted and bound: a statement each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange-bridge/shell/keys_priv.h"
#include "host/log.h"

#define NUMBER_BYTES 24

/* Another key is another number. One that an account is bound with stays as it is. */
static const char sql_put[] =
    "INSERT INTO bridge.exchange_key AS k (user_id, trading_type, environment, kind, api_key_tail,"
    " sealed, master_key_id, stored_us, checked_us, is_valid, can_trade, can_withdraw, warning)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, nullif($9::bigint, 0), $10, $11, $12,"
    "         nullif($13, ''))"
    " ON CONFLICT (user_id, trading_type, environment) DO UPDATE SET number = EXCLUDED.number,"
    " kind = EXCLUDED.kind, api_key_tail = EXCLUDED.api_key_tail, sealed = EXCLUDED.sealed,"
    " master_key_id = EXCLUDED.master_key_id, stored_us = EXCLUDED.stored_us,"
    " checked_us = EXCLUDED.checked_us, is_valid = EXCLUDED.is_valid,"
    " can_trade = EXCLUDED.can_trade, can_withdraw = EXCLUDED.can_withdraw,"
    " warning = EXCLUDED.warning"
    " WHERE NOT EXISTS (SELECT FROM bridge.account_binding b WHERE (b.user_id, b.trading_type,"
    " b.environment) = (k.user_id, k.trading_type, k.environment))"
    " RETURNING number";
/* A binding with it that is being made is waited for, so that the next statement sees it. */
static const char sql_lock[] =
    "SELECT FROM bridge.exchange_key"
    " WHERE (user_id, trading_type, environment) = ($1, $2, $3) FOR UPDATE";
static const char sql_delete[] =
    "DELETE FROM bridge.exchange_key WHERE (user_id, trading_type, environment) = ($1, $2, $3)";
static const char sql_note[] =
    "UPDATE bridge.exchange_key SET checked_us = nullif($2::bigint, 0), is_valid = $3,"
    " can_trade = $4, can_withdraw = $5, warning = nullif($6, '') WHERE number = $1";
/* The same again is as good; what it is bound to otherwise stays. */
static const char sql_bind[] =
    "INSERT INTO bridge.account_binding AS b (account_id, trading_type, user_id, environment,"
    " bound_us) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (account_id, trading_type) DO UPDATE SET bound_us = b.bound_us"
    " WHERE (b.user_id, b.environment) = (EXCLUDED.user_id, EXCLUDED.environment)"
    " RETURNING account_id";
static const char sql_free[] =
    "DELETE FROM bridge.account_binding WHERE (account_id, trading_type) = ($1, $2)";

/* ---- A change's life ----------------------------------------------------------------------- */

struct change *
change_new(struct keys *k, keys_done *done, void *arg)
{
    struct change *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    *c = (struct change){.keys = k, .done = done, .arg = arg, .next = k->changes};
    k->changes = c;
    return c;
}

void
change_finish(struct change *c, enum err e)
{
    c->load = 0;
    c->error = e;
    c->is_finished = true;
    loop_timer_again(c->keys->tell, 0);
}

void
change_settle(struct change *c)
{
    struct keys *k = c->keys;
    if (!pg_is_up(k->pg)) {
        change_finish(c, ERR_KEYS_UNAVAILABLE);
        return;
    }
    /* One that is under way may have begun before. */
    c->load = k->loads_begun + 1;
    keys_load(k);
}

static void
on_statement(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct change *c = arg;
    if (outcome == PG_ROWS) {
        bool is_met = PQntuples(result) > 0 || c->no_row == OK;
        c->error = is_met ? OK : c->no_row;
    } else if (outcome == PG_FAILED) {
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        bool is_referenced = state != NULL && strcmp(state, "23503") == 0;
        c->error = is_referenced && c->referenced != OK ? c->referenced : ERR_KEYS_UNAVAILABLE;
        if (c->error == ERR_KEYS_UNAVAILABLE)
            log_line(LOG_ERROR, "keys_not_changed", "sqlstate=%s", state != NULL ? state : "none");
    } else if (!c->has_sync) {
        change_finish(c, ERR_KEYS_UNAVAILABLE);
    }
}

static void
on_commit(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    (void)result;
    struct change *c = arg;
    if (outcome == PG_ROWS && c->error == OK && !c->is_noted)
        change_settle(c);
    else if (outcome == PG_ROWS)
        change_finish(c, c->error);
    else
        change_finish(c, c->error != OK && outcome != PG_LOST ? c->error : ERR_KEYS_UNAVAILABLE);
}

void
change_send(struct change *c, const char *statement, int count, const char *const *values,
            const int *lengths, const int *formats)
{
    struct pg *pg = c->keys->pg;
    if (pg_send_prepared(pg, statement, count, values, lengths, formats, false, on_statement, c))
        c->has_sync = pg_sync(pg, on_commit, c);
    else
        change_finish(c, ERR_KEYS_UNAVAILABLE);
}

void
change_prepare(struct keys *k)
{
    static const Oid put_types[13] = {[5] = 17}; /* bytea */
    static const Oid seal_types[4] = {20, 17, 17, 25};
    pg_prepare(k->pg, "put", sql_put, 13, put_types);
    pg_prepare(k->pg, "lock", sql_lock, 3, NULL);
    pg_prepare(k->pg, "delete", sql_delete, 3, NULL);
    pg_prepare(k->pg, "note", sql_note, 6, NULL);
    pg_prepare(k->pg, "bind", sql_bind, 5, NULL);
    pg_prepare(k->pg, "free", sql_free, 2, NULL);
    pg_prepare(k->pg, "seal", keys_sql_seal, 4, seal_types);
}

/* ---- The changes --------------------------------------------------------------------------- */

static const char *
number_text(int64_t n, char out[NUMBER_BYTES])
{
    snprintf(out, NUMBER_BYTES, "%" PRId64, n);
    return out;
}

static const char *
bool_text(bool b)
{
    return b ? "t" : "f";
}

/* Kind, length of the API key, API key, secret. */
static size_t
plain_write(const struct sign_key *s, uint8_t out[KEYS_PLAIN_BYTES])
{
    size_t api_length = strnlen(s->api_key, sizeof s->api_key - 1);
    CHECK(s->secret_length <= sizeof s->secret);
    out[0] = (uint8_t)s->kind;
    out[1] = (uint8_t)api_length;
    memcpy(out + 2, s->api_key, api_length);
    memcpy(out + 2 + api_length, s->secret, s->secret_length);
    return 2 + api_length + s->secret_length;
}

void
keys_put(struct keys *k, const struct guard_key *is_for, const struct sign_key *secret,
         const struct exchange_key *view, keys_done *done, void *arg)
{
    struct change *c = change_new(k, done, arg);
    c->no_row = ERR_KEY_IN_USE;
    uint8_t plain[KEYS_PLAIN_BYTES], sealed[KEYS_SEALED_BYTES];
    code_t key_id;
    size_t length = plain_write(secret, plain);
    enum err e = vault_seal(k->vault, is_for, plain, length, &key_id, sealed);
    OPENSSL_cleanse(plain, sizeof plain);
    if (e != OK) {
        change_finish(c, e);
        return;
    }
    char text[6][NUMBER_BYTES];
    const char *const values[13] = {number_text((int64_t)is_for->user_id, text[0]),
                                    number_text(is_for->trading_type, text[1]),
                                    number_text(is_for->environment, text[2]),
                                    number_text(secret->kind, text[3]),
                                    view->api_key_tail.text,
                                    (const char *)sealed,
                                    key_id.text,
                                    number_text(view->stored_us, text[4]),
                                    number_text(view->checked_us, text[5]),
                                    bool_text(view->is_valid),
                                    bool_text(view->can_trade),
                                    bool_text(view->can_withdraw),
                                    view->warning.text};
    const int lengths[13] = {[5] = (int)(length + VAULT_EXTRA_BYTES)}, formats[13] = {[5] = 1};
    (void)!pg_send_prepared(k->pg, "lock", 3, values, NULL, NULL, false, NULL, NULL);
    change_send(c, "put", 13, values, lengths, formats);
}

void
keys_delete(struct keys *k, const struct guard_key *is_for, keys_done *done, void *arg)
{
    struct change *c = change_new(k, done, arg);
    c->referenced = ERR_KEY_IN_USE;
    char text[3][NUMBER_BYTES];
    const char *const values[3] = {number_text((int64_t)is_for->user_id, text[0]),
                                   number_text(is_for->trading_type, text[1]),
                                   number_text(is_for->environment, text[2])};
    change_send(c, "delete", 3, values, NULL, NULL);
}

void
keys_note_check(struct keys *k, uint64_t number, const struct exchange_key *view)
{
    struct key_row *row = key_table_row(&k->table, number);
    if (row == NULL)
        return;
    row->key.view.checked_us = view->checked_us;
    row->key.view.is_valid = view->is_valid;
    row->key.view.can_trade = view->can_trade;
    row->key.view.can_withdraw = view->can_withdraw;
    row->key.view.warning = view->warning;
    char text[2][NUMBER_BYTES];
    const char *const values[6] = {number_text((int64_t)number, text[0]),
                                   number_text(view->checked_us, text[1]),
                                   bool_text(view->is_valid),
                                   bool_text(view->can_trade),
                                   bool_text(view->can_withdraw),
                                   view->warning.text};
    struct change *c = change_new(k, NULL, NULL);
    c->is_noted = true;
    change_send(c, "note", 6, values, NULL, NULL);
}

void
keys_bind(struct keys *k, const struct guard_binding *b, keys_done *done, void *arg)
{
    struct change *c = change_new(k, done, arg);
    char text[5][NUMBER_BYTES];
    const char *const values[5] = {
        number_text((int64_t)b->account_id, text[0]), number_text(b->trading_type, text[1]),
        number_text((int64_t)b->user_id, text[2]), number_text(b->environment, text[3]),
        number_text(loop_now_us(k->o.loop), text[4])};
    if (b->environment == ENVIRONMENT_NONE) {
        change_send(c, "free", 2, values, NULL, NULL);
        return;
    }
    c->no_row = ERR_ENVIRONMENT_MISMATCH;
    c->referenced = ERR_CREDENTIALS_MISSING;
    change_send(c, "bind", 5, values, NULL, NULL);
}
