/*
 * tables.c - what the tables should be, noted record by record; see tables.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/tables.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scripctl/tables_parts.h"

const enum table tables_finished[FINISHED_COUNT] = {TABLE_ORDER, TABLE_TRADE, TABLE_CHANGE,
                                                    TABLE_STORY};

struct tables *
tables_new(tables_found *on_difference, void *arg)
{
    struct tables *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->on_difference = on_difference;
    t->arg = arg;
    t->orders_free = MAP_NONE;
    places_init(&t->account_by_id);
    places_init(&t->balance_by_key);
    places_init(&t->order_by_id);
    places_init(&t->looked_by_key);
    for (int i = 0; i < TABLES; i++)
        cells_maker_init(&t->makers[i], (enum table)i);
    t->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    t->digest = EVP_MD_CTX_new();
    CHECK(t->sha256 != NULL && t->digest != NULL);
    CHECK(RAND_bytes(t->key, sizeof t->key) == 1);
    return t;
}

void
tables_destroy(struct tables **tables)
{
    struct tables *t = *tables;
    if (t == NULL)
        return;
    places_fini(&t->account_by_id);
    places_fini(&t->balance_by_key);
    places_fini(&t->order_by_id);
    places_fini(&t->looked_by_key);
    for (int i = 0; i < TABLES; i++)
        cells_maker_fini(&t->makers[i]);
    for (uint32_t i = 0; i < t->looked_count; i++)
        free(t->looked[i].bytes);
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        free(t->shards[i].buckets);
    EVP_MD_CTX_free(t->digest);
    EVP_MD_free(t->sha256);
    free(t->accounts);
    free(t->balances);
    free(t->orders);
    free(t->looked);
    free(t);
    *tables = NULL;
}

uint64_t
tables_stamp(const struct tables *t, uint16_t shard)
{
    return t->shards[shard].stamp.seq;
}

uint64_t
tables_differences(const struct tables *t, uint16_t shard)
{
    return t->shards[shard].differences;
}

uint64_t
tables_rows(const struct tables *t, uint16_t shard)
{
    return t->shards[shard].rows;
}

/* ---- Fingerprints ------------------------------------------------------------------------- */

struct bucket *
tables_bucket(struct tables *t, uint16_t shard, enum finished f, uint64_t id)
{
    struct shard_tables *s = &t->shards[shard];
    if (s->buckets == NULL) {
        s->buckets = calloc(FINISHED_COUNT, sizeof *s->buckets);
        CHECK(s->buckets != NULL);
    }
    return &s->buckets[f][map_mix(id) % BUCKETS];
}

/* SHA-256 under a key that nobody knew when the rows were written, so that sums of it say what
 * sets of rows are equal. */
static void
cells_hash(const struct tables *t, const struct cells *c, uint64_t out[4])
{
    int32_t head[1 + ROWS_COLUMNS_MAX] = {(int32_t)c->table};
    unsigned length;
    for (int i = 0; i < c->count; i++)
        head[1 + i] = c->at[i].length;
    CHECK(EVP_DigestInit_ex2(t->digest, t->sha256, NULL) == 1);
    CHECK(EVP_DigestUpdate(t->digest, t->key, sizeof t->key) == 1);
    CHECK(EVP_DigestUpdate(t->digest, head, sizeof head[0] * (size_t)(1 + c->count)) == 1);
    for (int i = 0; i < c->count; i++)
        if (c->at[i].length > 0)
            CHECK(EVP_DigestUpdate(t->digest, c->at[i].data, (size_t)c->at[i].length) == 1);
    CHECK(EVP_DigestFinal_ex(t->digest, (uint8_t *)out, &length) == 1 && length == 32);
}

void
tables_fingerprint(struct tables *t, struct bucket *b, const struct cells *c, bool is_found)
{
    uint64_t hash[4];
    cells_hash(t, c, hash);
    b->rows += is_found ? -1 : 1;
    for (int i = 0; i < 2; i++)
        b->sum[i] += is_found ? -hash[i] : hash[i];
}

/* ---- What lives --------------------------------------------------------------------------- */

static struct live_account *
account_take(struct tables *t, uint64_t id)
{
    uint32_t place = places_get(&t->account_by_id, id);
    if (place == MAP_NONE) {
        t->accounts =
            array_room(t->accounts, t->accounts_count, &t->accounts_max, sizeof *t->accounts);
        place = t->accounts_count++;
        memset(&t->accounts[place], 0, sizeof t->accounts[place]);
        places_set(&t->account_by_id, id, place);
    }
    return &t->accounts[place];
}

uint32_t
tables_balance(const struct tables *t, uint64_t account_id, enum wallet wallet, code_t asset,
               uint64_t *slot)
{
    uint64_t key = map_mix(map_hash(&asset, sizeof asset) ^ map_mix(account_id * 4 + wallet));
    uint32_t place;
    key += key == 0;
    while ((place = places_get(&t->balance_by_key, key)) != MAP_NONE) {
        const struct balance_row *row = &t->balances[place].row;
        if (row->account_id == account_id && row->wallet == wallet && code_same(row->asset, asset))
            break;
        key += key == UINT64_MAX ? 2 : 1;
    }
    *slot = key;
    return place;
}

static void
note_posting(struct tables *t, const struct twin_posting *p)
{
    uint64_t slot;
    uint32_t place = tables_balance(t, p->account_id, p->wallet, p->asset, &slot);
    if (place == MAP_NONE) {
        t->balances =
            array_room(t->balances, t->balances_count, &t->balances_max, sizeof *t->balances);
        place = t->balances_count++;
        t->balances[place].is_seen = false;
        places_set(&t->balance_by_key, slot, place);
    }
    t->balances[place].row =
        (struct balance_row){p->account_id, p->wallet, p->asset, p->free, p->held};
}

static void
note_limits(struct tables *t, const struct balance_set *c)
{
    struct live_account *a = account_take(t, c->account_id);
    uint32_t i = c->trading_type - TRADING_TYPE_spot;
    if (i >= LEDGER_TYPES)
        return;
    a->has_limits[i] = true;
    a->limits[i] = (struct limits_row){c->account_id, c->trading_type, c->balance, c->balance_min,
                                       c->balance_max};
}

static bool
is_finished(const struct order_row *row)
{
    return row->order.end_reason != ORDER_END_NONE;
}

static void
note_open(struct tables *t, const struct order_row *row)
{
    uint32_t place = places_get(&t->order_by_id, row->order.order_id);
    if (place == MAP_NONE) {
        place = t->orders_free;
        if (place != MAP_NONE) {
            t->orders_free = t->orders[place].next_free;
        } else {
            t->orders = array_room(t->orders, t->orders_reached, &t->orders_max, sizeof *t->orders);
            place = t->orders_reached++;
        }
        places_set(&t->order_by_id, row->order.order_id, place);
    }
    t->orders[place] = (struct live_order){.row = *row};
}

static void
forget_open(struct tables *t, uint64_t order_id)
{
    uint32_t place = places_get(&t->order_by_id, order_id);
    if (place == MAP_NONE)
        return;
    places_drop(&t->order_by_id, order_id);
    t->orders[place].row.order.order_id = 0;
    t->orders[place].next_free = t->orders_free;
    t->orders_free = place;
}

/* ---- Noting ------------------------------------------------------------------------------- */

typedef void note_row(struct tables *t, uint16_t shard, enum finished f, uint64_t id,
                      const struct cells *c);

static void
note_fingerprint(struct tables *t, uint16_t shard, enum finished f, uint64_t id,
                 const struct cells *c)
{
    tables_fingerprint(t, tables_bucket(t, shard, f, id), c, false);
}

/* Every row of a step that nothing will change any more. */
static void
each_finished(struct tables *t, const struct twin_step *step, note_row *note)
{
    uint16_t shard = step->record->shard;
    for (uint32_t i = 0; i < step->orders_count; i++)
        if (is_finished(&step->orders[i]))
            note(t, shard, FINISHED_ORDER, step->orders[i].order.order_id,
                 cells_of_order(&t->makers[TABLE_ORDER], &step->orders[i]));
    for (uint32_t i = 0; i < step->trades_count; i++)
        note(t, shard, FINISHED_TRADE, step->trades[i].trade.trade_id,
             cells_of_trade(&t->makers[TABLE_TRADE], &step->trades[i]));
    for (uint32_t i = 0; i < step->changes_count; i++)
        note(t, shard, FINISHED_CHANGE, step->changes[i].change.change_id,
             cells_of_change(&t->makers[TABLE_CHANGE], &step->changes[i]));
    for (uint32_t i = 0; i < step->stories_count; i++)
        note(t, shard, FINISHED_STORY, step->stories[i].order_id,
             cells_of_story(&t->makers[TABLE_STORY], &step->stories[i]));
}

void
tables_note(struct tables *t, const struct twin_step *step)
{
    for (uint32_t i = 0; i < step->accounts_count; i++)
        account_take(t, step->accounts[i].account_id)->row = step->accounts[i];
    for (uint32_t i = 0; i < step->postings_count; i++)
        note_posting(t, &step->postings[i]);
    if (step->cmd->type == MSG_balance_set)
        note_limits(t, &step->cmd->balance_set);
    for (uint32_t i = 0; i < step->orders_count; i++)
        if (is_finished(&step->orders[i]))
            forget_open(t, step->orders[i].order.order_id);
        else
            note_open(t, &step->orders[i]);
    each_finished(t, step, note_fingerprint);
}

void
tables_at(struct tables *t, uint16_t shard, const struct ledger *l, const uint8_t hash[HASH_BYTES])
{
    struct shard_tables *s = &t->shards[shard];
    s->is_reached = true;
    s->expected = (struct stamp_row){.shard = ledger_shard_row(l, shard), .seq = s->stamp.seq};
    memcpy(s->expected.hash, hash, HASH_BYTES);
}

/* ---- Looking closer ----------------------------------------------------------------------- */

bool
tables_must_look(const struct tables *t, uint16_t shard)
{
    const struct shard_tables *s = &t->shards[shard];
    for (uint32_t i = 0; s->buckets != NULL && i < FINISHED_COUNT; i++)
        for (uint32_t k = 0; k < BUCKETS; k++)
            if (s->buckets[i][k].is_looked)
                return true;
    return false;
}

/* Of the table and the columns of its key. */
uint64_t
tables_looked_key(const struct tables *t, const struct cells *c)
{
    char key[CELLS_TEXT_BYTES];
    uint64_t salt;
    memcpy(&salt, t->key, sizeof salt);
    cells_key(c, key);
    uint64_t hash = map_hash(key, strlen(key)) ^ map_mix(salt + c->table);
    return hash == 0 ? 1 : hash;
}

static void
note_whole(struct tables *t, uint16_t shard, enum finished f, uint64_t id, const struct cells *c)
{
    size_t bytes = 0;
    if (!tables_bucket(t, shard, f, id)->is_looked || t->looked_count == ROWS_LOOKED)
        return;
    t->looked = array_room(t->looked, t->looked_count, &t->looked_max, sizeof *t->looked);
    struct looked *row = &t->looked[t->looked_count];
    for (int i = 0; i < c->count; i++)
        bytes += c->at[i].length > 0 ? (size_t)c->at[i].length : 0;
    *row = (struct looked){.bytes = malloc(bytes + 1), .cells = *c};
    CHECK(row->bytes != NULL);
    char *at = row->bytes;
    for (int i = 0; i < c->count; i++) {
        size_t length = c->at[i].length > 0 ? (size_t)c->at[i].length : 0;
        memcpy(at, c->at[i].data, length);
        row->cells.at[i].data = at;
        at += length;
    }
    places_set(&t->looked_by_key, tables_looked_key(t, &row->cells), t->looked_count++);
}

void
tables_look(struct tables *t, const struct twin_step *step)
{
    each_finished(t, step, note_whole);
}

/* ---- Differences -------------------------------------------------------------------------- */

void
tables_differ(struct tables *t, uint16_t shard, const struct cells *found,
              const struct cells *expected)
{
    struct shard_tables *s = &t->shards[shard];
    const struct cells *either = found != NULL ? found : expected;
    s->differences++;
    if (s->named == NAMED_MAX)
        return;
    s->named++;
    struct tables_difference d = {.shard = shard, .table = cells_table_name(either->table)};
    cells_key(either, d.key);
    if (found != NULL && expected != NULL) {
        int column = cells_differ(found, expected);
        cells_column_name(found->table, column, d.column);
        cells_text(found, column, d.found);
        cells_text(expected, column, d.expected);
    } else {
        snprintf(d.found, sizeof d.found, "%s", found != NULL ? "there" : "");
        snprintf(d.expected, sizeof d.expected, "%s", expected != NULL ? "there" : "");
    }
    t->on_difference(t->arg, &d);
}

const char *
tables_say(const struct tables_difference *d, char out[WHY_BYTES * 2])
{
    if (d->column[0] != '\0')
        snprintf(out, WHY_BYTES * 2, "%s, %s: %s is %s in the table and %s by the journal",
                 d->table, d->key, d->column, d->found, d->expected);
    else if (d->found[0] == '\0')
        snprintf(out, WHY_BYTES * 2, "%s, %s: the row is missing", d->table, d->key);
    else
        snprintf(out, WHY_BYTES * 2, "%s, %s: there should be no such row", d->table, d->key);
    return out;
}
