/*
 * keys_rotate.c - seals what old master keys sealed by the newest one, a row at a time.
 *
 * A row that somebody else changes meanwhile is left to them and looked at again: the statement
 * names the bytes that it replaces.
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

#define PASSES_MAX 5

const char keys_sql_seal[] = "UPDATE bridge.exchange_key SET sealed = $3, master_key_id = $4"
                             " WHERE number = $1 AND sealed = $2 RETURNING number";

struct rotation {
    struct keys *keys;
    bool dry_run;
    keys_rotated *done;
    void *arg;
    uint64_t after; /* rows up to this number are through */
    uint32_t passes;
    bool is_behind;   /* a row was changed by somebody else */
    uint32_t counted; /* sealed in the passes before this one, which finds them current */
    struct bridge_rotated result;
    /* The row under way. */
    uint64_t number;
    code_t key_id;
    size_t length;
    uint8_t nonce[VAULT_NONCE_BYTES]; /* of what is replaced */
    uint8_t sealed[KEYS_SEALED_BYTES];
};

static void rotation_go(struct rotation *r);

static void
rotation_end(struct rotation *r, enum err e)
{
    uint32_t *current = &r->result.current;
    *current -= *current < r->counted ? *current : r->counted;
    log_line(LOG_INFO, "keys_rotated",
             "error=%s dry_run=%s rotated=%" PRIu32 " current=%" PRIu32 " unreadable=%" PRIu32
             " key_id=%s",
             err_name(e), r->dry_run ? "yes" : "no", r->result.rotated, r->result.current,
             r->result.unreadable, r->result.key_id.text);
    r->done(r->arg, e, &r->result);
    free(r);
}

/* The table is read anew: begins, or looks at what was left. */
static void
on_read(void *arg, enum err e)
{
    struct rotation *r = arg;
    if (e != OK) {
        rotation_end(r, e);
        return;
    }
    r->after = 0;
    r->is_behind = false;
    r->counted = r->result.rotated;
    r->result.current = r->result.unreadable = 0;
    rotation_go(r);
}

/* In memory, too, unless a later table is there already. */
static void
row_take(const struct rotation *r)
{
    struct key_row *row = key_table_row(&r->keys->table, r->number);
    if (row == NULL || row->sealed_length != r->length ||
        memcmp(row->sealed, r->nonce, sizeof r->nonce) != 0)
        return;
    memcpy(row->sealed, r->sealed, r->length);
    row->master_key_id = r->key_id;
}

static void
on_sealed(void *arg, enum err e)
{
    struct rotation *r = arg;
    if (e == ERR_COMMAND_DIFFERS) {
        r->is_behind = true;
    } else if (e != OK) {
        rotation_end(r, e);
        return;
    } else {
        r->result.rotated++;
        row_take(r);
    }
    rotation_go(r);
}

/* Opens it by the old key and seals it by the newest. */
static enum err
row_seal(struct rotation *r, const struct key_row *row)
{
    uint8_t plain[KEYS_PLAIN_BYTES];
    struct vault *v = r->keys->vault;
    if (row->sealed_length > KEYS_SEALED_BYTES)
        return ERR_KEYS_UNAVAILABLE;
    enum err e = vault_unseal(v, &row->key.is_for, &row->master_key_id, row->sealed,
                              row->sealed_length, plain);
    if (e == OK)
        e = vault_seal(v, &row->key.is_for, plain, row->sealed_length - VAULT_EXTRA_BYTES,
                       &r->key_id, r->sealed);
    OPENSSL_cleanse(plain, sizeof plain);
    r->number = row->key.number;
    r->length = row->sealed_length;
    memcpy(r->nonce, row->sealed, sizeof r->nonce);
    return e;
}

static void
row_send(struct rotation *r, const struct key_row *row)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, r->number);
    const char *const values[4] = {number, (const char *)row->sealed, (const char *)r->sealed,
                                   r->key_id.text};
    const int lengths[4] = {0, (int)row->sealed_length, (int)r->length, 0};
    const int formats[4] = {0, 1, 1, 0};
    struct change *c = change_new(r->keys, on_sealed, r);
    c->no_row = ERR_COMMAND_DIFFERS;
    c->is_noted = true;
    change_send(c, "seal", 4, values, lengths, formats);
}

/* Rows are in the order of their numbers. On with the first that is to be sealed, or to the end. */
static void
rotation_go(struct rotation *r)
{
    const struct key_table *t = &r->keys->table;
    code_t newest = vault_newest(r->keys->vault);
    for (uint32_t i = 0; i < t->row_count; i++) {
        const struct key_row *row = &t->rows[i];
        if (row->key.number <= r->after)
            continue;
        r->after = row->key.number;
        if (code_same(row->master_key_id, newest)) {
            r->result.current++;
        } else if (row_seal(r, row) != OK) {
            r->result.unreadable++;
        } else if (r->dry_run) {
            r->result.rotated++;
        } else {
            row_send(r, row);
            return;
        }
    }
    if (r->is_behind && ++r->passes < PASSES_MAX)
        change_settle(change_new(r->keys, on_read, r));
    else
        rotation_end(r, r->is_behind ? ERR_KEYS_UNAVAILABLE : OK);
}

void
keys_rotate(struct keys *k, bool dry_run, keys_rotated *done, void *arg)
{
    struct rotation *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    enum err e = vault_reload(k->vault);
    *r = (struct rotation){.keys = k, .dry_run = dry_run, .done = done, .arg = arg};
    r->result.key_id = vault_newest(k->vault);
    struct change *c = change_new(k, on_read, r);
    if (e != OK || code_empty(r->result.key_id))
        change_finish(c, ERR_KEYS_UNAVAILABLE);
    else
        change_settle(c);
}
