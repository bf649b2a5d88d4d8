/*
 * keys.c - the store's life: its connection, reading the table, and what is answered from it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/keys.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange-bridge/shell/keys_priv.h"
#include "host/log.h"

#define RETRY_MS 1000

static const char sql_keys[] =
    "SELECT number, user_id, trading_type, environment, kind, api_key_tail, encode(sealed, 'hex'),"
    " master_key_id, stored_us, checked_us, is_valid, can_trade, can_withdraw, warning"
    " FROM bridge.exchange_key ORDER BY number";
static const char sql_bindings[] = "SELECT account_id, trading_type, user_id, environment"
                                   " FROM bridge.account_binding ORDER BY account_id, trading_type";
static const char sql_deployments[] =
    "SELECT id, until_us FROM bridge.deployment_before UNION ALL"
    " SELECT id, NULL FROM bridge.deployment ORDER BY until_us NULLS LAST";

/* ---- Reading the table --------------------------------------------------------------------- */

static void
on_keys(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct keys *k = arg;
    if (outcome == PG_ROWS)
        key_table_take_keys(&k->fresh, result);
}

static void
on_bindings(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct keys *k = arg;
    if (outcome == PG_ROWS)
        key_table_take_bindings(&k->fresh, result);
}

static void
on_deployments(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct keys *k = arg;
    if (outcome == PG_ROWS)
        key_table_take_deployments(&k->fresh, result);
}

static void
disown(struct keys *k, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    const char *const values[] = {text};
    if (pg_send_prepared(k->pg, "disown", 1, values, NULL, NULL, false, NULL, NULL))
        (void)!pg_sync(k->pg, NULL, NULL); /* a connection that broke holds no locks */
}

/* Another replica may have sealed by a key that was added to the file since it was read. */
static void
master_keys_follow(struct keys *k)
{
    for (uint32_t i = 0; i < k->table.row_count; i++) {
        if (vault_has(k->vault, &k->table.rows[i].master_key_id))
            continue;
        if (vault_reload(k->vault) == OK && vault_has(k->vault, &k->table.rows[i].master_key_id))
            log_line(LOG_INFO, "master_keys_read", "newest=%s", vault_newest(k->vault).text);
        else
            log_line(LOG_WARN, "master_key_missing", "key_id=%s",
                     k->table.rows[i].master_key_id.text);
        return;
    }
}

static void
table_replace(struct keys *k)
{
    struct key_table old = k->table;
    key_table_index(&k->fresh);
    k->table = k->fresh;
    k->fresh = (struct key_table){0};
    for (uint32_t i = 0; i < old.row_count; i++) {
        struct key_row *row = key_table_row(&k->table, old.rows[i].key.number);
        if (row != NULL)
            row->owner = old.rows[i].owner;
        else if (old.rows[i].owner == OWNER_US)
            disown(k, old.rows[i].key.number);
    }
    master_keys_follow(k);
    bool is_other = !k->ready || old.digest != k->table.digest;
    k->ready = true;
    key_table_free(&old);
    if (is_other && k->o.on_change != NULL)
        k->o.on_change(k->o.arg);
}

static void
on_loaded(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct keys *k = arg;
    k->loading = false;
    if (outcome != PG_ROWS || k->fresh.deployment[0] == '\0') {
        const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
        if (outcome != PG_LOST)
            log_line(LOG_ERROR, "keys_not_read", "sqlstate=%s", state != NULL ? state : "none");
        key_table_free(&k->fresh);
        if (outcome != PG_LOST) /* on_down comes otherwise */
            loop_timer_again(k->retry, RETRY_MS);
        return;
    }
    k->loads_done = k->loads_begun;
    table_replace(k);
    for (struct change *c = k->changes; c != NULL; c = c->next)
        if (c->load != 0 && c->load <= k->loads_done)
            change_finish(c, OK);
    if (k->load_again)
        keys_load(k);
}

void
keys_load(struct keys *k)
{
    if (k->loading) {
        k->load_again = true;
        return;
    }
    if (!pg_is_up(k->pg))
        return; /* on_up reads */
    k->load_again = false;
    key_table_free(&k->fresh);
    bool sent =
        pg_send_prepared(k->pg, "keys", 0, NULL, NULL, NULL, false, on_keys, k) &&
        pg_send_prepared(k->pg, "bindings", 0, NULL, NULL, NULL, false, on_bindings, k) &&
        pg_send_prepared(k->pg, "deployments", 0, NULL, NULL, NULL, false, on_deployments, k);
    sent = pg_sync(k->pg, on_loaded, k) && sent;
    k->loading = sent;
    k->loads_begun += sent;
    if (!sent)
        loop_timer_again(k->retry, RETRY_MS);
}

static void
on_retry(void *arg)
{
    keys_load(arg);
}

/* ---- The connection ------------------------------------------------------------------------ */

static void
on_up(void *arg)
{
    struct keys *k = arg;
    (void)!pg_send(k->pg, "LISTEN bridge_keys", 0, NULL, NULL, NULL, NULL, false, NULL, NULL);
    (void)!pg_sync(k->pg, NULL, NULL); /* if it broke, on_up comes again */
    keys_load(k);
}

static void
on_down(void *arg)
{
    struct keys *k = arg;
    k->ready = k->loading = k->load_again = false;
    key_table_free(&k->fresh);
    for (uint32_t i = 0; i < k->table.row_count; i++)
        k->table.rows[i].owner = OWNER_UNKNOWN;
    for (struct change *c = k->changes; c != NULL; c = c->next)
        if (c->load != 0)
            change_finish(c, ERR_KEYS_UNAVAILABLE);
    if (k->o.on_change != NULL)
        k->o.on_change(k->o.arg);
}

/* What this process changed it reads again, or has in memory already. */
static void
on_notify(void *arg, const char *channel, bool is_own)
{
    (void)channel;
    if (!is_own)
        keys_load(arg);
}

/* ---- Questions ----------------------------------------------------------------------------- */

bool
keys_ready(const struct keys *k)
{
    return k->ready;
}

bool
keys_find(const struct keys *k, uint64_t user_id, enum trading_type type, enum environment e,
          struct key_view *out)
{
    const struct key_row *row = key_table_use(&k->table, user_id, type, e);
    if (row != NULL)
        *out = row->key;
    return row != NULL;
}

struct guard_binding
keys_binding(const struct keys *k, uint64_t account_id, enum trading_type type)
{
    const struct guard_binding *b =
        k->ready ? key_table_binding(&k->table, account_id, type) : NULL;
    return b != NULL ? *b : (struct guard_binding){0};
}

uint32_t
keys_next_binding(const struct keys *k, uint32_t from, struct guard_binding *out)
{
    if (!k->ready || from >= k->table.binding_count)
        return UINT32_MAX;
    *out = k->table.bindings[from];
    return from;
}

/* Kind, length of the API key, API key, secret; see keys_put(). */
static bool
plain_read(const uint8_t *plain, size_t length, struct sign_key *out)
{
    size_t api_length = length >= 2 ? plain[1] : 0;
    if (length < 2 + api_length || api_length >= sizeof out->api_key ||
        length - 2 - api_length > sizeof out->secret)
        return false;
    *out = (struct sign_key){.kind = (enum key_kind)plain[0],
                             .secret_length = length - 2 - api_length};
    memcpy(out->api_key, plain + 2, api_length);
    memcpy(out->secret, plain + 2 + api_length, out->secret_length);
    return true;
}

enum err
keys_open_secret(const struct keys *k, uint64_t number, struct sign_key *out)
{
    const struct key_row *row = key_table_row(&k->table, number);
    uint8_t plain[KEYS_PLAIN_BYTES];
    if (row == NULL || row->sealed_length > KEYS_SEALED_BYTES)
        return ERR_KEYS_UNAVAILABLE;
    size_t length = row->sealed_length - VAULT_EXTRA_BYTES;
    enum err e = vault_unseal(k->vault, &row->key.is_for, &row->master_key_id, row->sealed,
                              row->sealed_length, plain);
    if (e == OK && !plain_read(plain, length, out))
        e = ERR_KEYS_UNAVAILABLE;
    explicit_bzero(plain, sizeof plain);
    if (e != OK)
        log_line(LOG_ERROR, "key_not_opened", "number=%" PRIu64 " key_id=%s known=%s", number,
                 row->master_key_id.text, vault_has(k->vault, &row->master_key_id) ? "yes" : "no");
    return e;
}

const char *
keys_deployment(const struct keys *k)
{
    return k->table.deployment;
}

const char *
keys_deployment_at(const struct keys *k, int64_t created_us)
{
    const struct key_table *t = &k->table;
    for (uint32_t i = 0; created_us != 0 && i < t->before_count; i++)
        if (created_us <= t->before[i].until_us)
            return t->before[i].id;
    return t->deployment;
}

/* ---- Whose stream -------------------------------------------------------------------------- */

struct own_question {
    struct keys *keys;
    uint64_t number;
};

static void
on_owned(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct own_question *q = arg;
    struct key_row *row = key_table_row(&q->keys->table, q->number);
    bool is_ours =
        outcome == PG_ROWS && PQntuples(result) == 1 && PQgetvalue(result, 0, 0)[0] == 't';
    if (row != NULL)
        row->owner = is_ours ? OWNER_US : OWNER_UNKNOWN;
    else if (is_ours)
        disown(q->keys, q->number);
    free(q);
}

bool
keys_own(struct keys *k, uint64_t number)
{
    struct key_row *row = key_table_row(&k->table, number);
    if (row == NULL || row->owner != OWNER_UNKNOWN)
        return row != NULL && row->owner == OWNER_US;
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    const char *const values[] = {text};
    struct own_question *q = calloc(1, sizeof *q);
    CHECK(q != NULL);
    *q = (struct own_question){k, number};
    if (!pg_is_up(k->pg) ||
        !pg_send_prepared(k->pg, "own", 1, values, NULL, NULL, false, on_owned, q)) {
        free(q);
        return false;
    }
    row->owner = OWNER_ASKED;
    (void)!pg_sync(k->pg, NULL, NULL);
    return false;
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void
on_tell(void *arg)
{
    struct keys *k = arg;
    for (struct change **at = &k->changes; *at != NULL;) {
        struct change *c = *at;
        if (!c->is_finished) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        if (c->done != NULL)
            c->done(c->arg, c->error);
        free(c);
        at = &k->changes; /* others may have come */
    }
}

struct keys *
keys_open(const struct keys_options *o)
{
    struct keys *k = calloc(1, sizeof *k);
    CHECK(k != NULL);
    k->o = *o;
    if (vault_open(o->master_key_file, o->master_key, &k->vault) != OK) {
        free(k);
        return NULL;
    }
    key_table_index(&k->table);
    k->tell = loop_timer_new(o->loop, 0, 0, on_tell, k);
    k->retry = loop_timer_new(o->loop, RETRY_MS, 0, on_retry, k);
    loop_timer_stop(k->retry);
    k->pg = pg_open(o->loop, &(struct pg_options){.conninfo = o->database,
                                                  .label = "keys",
                                                  .arg = k,
                                                  .on_up = on_up,
                                                  .on_down = on_down,
                                                  .on_notify = on_notify});
    pg_prepare(k->pg, "keys", sql_keys, 0, NULL);
    pg_prepare(k->pg, "bindings", sql_bindings, 0, NULL);
    pg_prepare(k->pg, "deployments", sql_deployments, 0, NULL);
    pg_prepare(k->pg, "own", "SELECT bridge.try_own($1)", 1, NULL);
    pg_prepare(k->pg, "disown", "SELECT bridge.disown($1)", 1, NULL);
    change_prepare(k);
    return k;
}

void
keys_close(struct keys **k)
{
    struct keys *old = *k;
    if (old == NULL)
        return;
    *k = NULL;
    pg_close(&old->pg);
    loop_timer_end(&old->tell);
    loop_timer_end(&old->retry);
    for (struct change *c = old->changes, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    key_table_free(&old->table);
    key_table_free(&old->fresh);
    vault_close(&old->vault);
    free(old);
}
