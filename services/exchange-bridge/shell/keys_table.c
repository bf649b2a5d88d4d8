/*
 * keys_table.c - rows of the schema bridge as a table in memory, and its indexes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "exchange-bridge/shell/keys_priv.h"

static uint64_t
use_key(uint64_t user_id, enum trading_type type, enum environment e)
{
    return user_id << 4 | (uint64_t)type << 2 | (uint64_t)e;
}

static uint64_t
account_key(uint64_t account_id, enum trading_type type)
{
    return account_id << 2 | (uint64_t)type;
}

void
key_table_free(struct key_table *t)
{
    for (uint32_t i = 0; i < t->row_count; i++)
        free(t->rows[i].sealed);
    free(t->rows);
    free(t->bindings);
    free(t->before);
    free(t->map_memory);
    *t = (struct key_table){0};
}

static uint64_t
number_at(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? 0 : strtoull(PQgetvalue(r, row, column), NULL, 10);
}

static bool
bool_at(const PGresult *r, int row, int column)
{
    return PQgetvalue(r, row, column)[0] == 't';
}

static uint8_t
hex_value(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void
bytes_at(const PGresult *r, int row, int column, struct key_row *to)
{
    const char *text = PQgetvalue(r, row, column);
    size_t length = (size_t)PQgetlength(r, row, column) / 2;
    to->sealed = malloc(length);
    CHECK(to->sealed != NULL);
    to->sealed_length = (uint32_t)length;
    for (size_t i = 0; i < length; i++)
        to->sealed[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
}

static code_t
code_at(const PGresult *r, int row, int column)
{
    code_t code = {0};
    if (code_from(PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column), &code) != OK)
        code = (code_t){0};
    return code;
}

void
key_table_take_keys(struct key_table *t, const PGresult *r)
{
    t->row_count = (uint32_t)PQntuples(r);
    t->rows = calloc(t->row_count + 1, sizeof *t->rows);
    CHECK(t->rows != NULL);
    for (int i = 0; i < PQntuples(r); i++) {
        struct key_row *row = &t->rows[i];
        struct guard_key *use = &row->key.is_for;
        struct exchange_key *view = &row->key.view;
        row->key.number = number_at(r, i, 0);
        *use = (struct guard_key){.is_known = true,
                                  .user_id = number_at(r, i, 1),
                                  .trading_type = (enum trading_type)number_at(r, i, 2),
                                  .environment = (enum environment)number_at(r, i, 3)};
        view->trading_type = use->trading_type;
        view->environment = use->environment;
        view->kind = (enum key_kind)number_at(r, i, 4);
        view->api_key_tail = code_at(r, i, 5);
        bytes_at(r, i, 6, row);
        row->master_key_id = code_at(r, i, 7);
        view->stored_us = (int64_t)number_at(r, i, 8);
        view->checked_us = (int64_t)number_at(r, i, 9);
        view->is_valid = bool_at(r, i, 10);
        view->can_trade = bool_at(r, i, 11);
        view->can_withdraw = bool_at(r, i, 12);
        view->warning = text_of("%s", PQgetvalue(r, i, 13));
    }
}

void
key_table_take_bindings(struct key_table *t, const PGresult *r)
{
    t->binding_count = (uint32_t)PQntuples(r);
    t->bindings = calloc(t->binding_count + 1, sizeof *t->bindings);
    CHECK(t->bindings != NULL);
    for (int i = 0; i < PQntuples(r); i++)
        t->bindings[i] =
            (struct guard_binding){.is_known = true,
                                   .account_id = number_at(r, i, 0),
                                   .trading_type = (enum trading_type)number_at(r, i, 1),
                                   .user_id = number_at(r, i, 2),
                                   .environment = (enum environment)number_at(r, i, 3)};
}

/* The last one is the id of now, and has no time. */
void
key_table_take_deployments(struct key_table *t, const PGresult *r)
{
    int count = PQntuples(r);
    t->before = calloc((size_t)count + 1, sizeof *t->before);
    CHECK(t->before != NULL);
    for (int i = 0; i < count; i++) {
        bool is_now = i == count - 1;
        char *to = is_now ? t->deployment : t->before[i].id;
        if (PQgetlength(r, i, 0) != sizeof t->deployment - 1 || PQgetisnull(r, i, 1) != is_now)
            return; /* without an id of now nothing is done */
        memcpy(to, PQgetvalue(r, i, 0), sizeof t->deployment);
        t->before[i].until_us = (int64_t)number_at(r, i, 1);
        t->before_count = (uint32_t)i;
    }
}

void
key_table_index(struct key_table *t)
{
    size_t keys_bytes = map_bytes(t->row_count + 1),
           accounts_bytes = map_bytes(t->binding_count + 1);
    uint8_t *memory = t->map_memory = calloc(1, 2 * keys_bytes + accounts_bytes);
    CHECK(memory != NULL);
    map_init(&t->by_number, t->row_count + 1, memory);
    map_init(&t->by_use, t->row_count + 1, memory + keys_bytes);
    map_init(&t->by_account, t->binding_count + 1, memory + 2 * keys_bytes);
    t->digest = 0;
    for (uint32_t i = 0; i < t->row_count; i++) {
        const struct key_view *k = &t->rows[i].key;
        const struct guard_key *use = &k->is_for;
        map_set(&t->by_number, k->number, i);
        map_set(&t->by_use, use_key(use->user_id, use->trading_type, use->environment), i);
        t->digest = map_mix(t->digest ^ k->number);
    }
    for (uint32_t i = 0; i < t->binding_count; i++) {
        const struct guard_binding *b = &t->bindings[i];
        uint64_t account = account_key(b->account_id, b->trading_type);
        map_set(&t->by_account, account, i);
        t->digest = map_mix(t->digest ^ account);
        t->digest = map_mix(t->digest ^ (b->user_id << 2 | (uint64_t)b->environment));
    }
}

static uint32_t
map_find(const struct map *m, uint64_t key)
{
    return m->count == 0 ? MAP_NONE : map_get(m, key);
}

struct key_row *
key_table_row(const struct key_table *t, uint64_t number)
{
    uint32_t at = number == 0 ? MAP_NONE : map_find(&t->by_number, number);
    return at == MAP_NONE ? NULL : &t->rows[at];
}

struct key_row *
key_table_use(const struct key_table *t, uint64_t user_id, enum trading_type type,
              enum environment e)
{
    if (user_id == 0 || type == TRADING_TYPE_NONE || e == ENVIRONMENT_NONE)
        return NULL;
    uint32_t at = map_find(&t->by_use, use_key(user_id, type, e));
    /* Of an id that no user can have a part would be lost in the key. */
    return at == MAP_NONE || t->rows[at].key.is_for.user_id != user_id ? NULL : &t->rows[at];
}

const struct guard_binding *
key_table_binding(const struct key_table *t, uint64_t account_id, enum trading_type type)
{
    if (account_id == 0 || type == TRADING_TYPE_NONE)
        return NULL;
    uint32_t at = map_find(&t->by_account, account_key(account_id, type));
    return at == MAP_NONE || t->bindings[at].account_id != account_id ? NULL : &t->bindings[at];
}
