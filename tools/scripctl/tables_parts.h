/*
 * tables_parts.h - what the files of the comparison share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_TABLES_PARTS_H
#define SCRIPCTL_TABLES_PARTS_H

#include <openssl/evp.h>

#include "scripctl/places.h"
#include "scripctl/tables.h"

#define BUCKETS        1024
#define BUCKETS_LOOKED 16     /* of a shard: more are only counted */
#define ROWS_LOOKED    200000 /* noted by a second replay */
#define NAMED_MAX      20     /* differences told of a shard */

/* Tables of what is finished. */
enum finished { FINISHED_ORDER, FINISHED_TRADE, FINISHED_CHANGE, FINISHED_STORY, FINISHED_COUNT };

/* What the journal has more than the table; all zero when both have the same rows. */
struct bucket {
    int64_t rows;
    uint64_t sum[2];
    bool is_looked;
};

struct live_account {
    struct account_row row;
    struct limits_row limits[LEDGER_TYPES];
    bool has_limits[LEDGER_TYPES];
    bool is_seen, settings_seen[LEDGER_TYPES];
};

struct live_balance {
    struct balance_row row;
    bool is_seen;
};

struct live_order {
    struct order_row row;
    bool is_seen;
    uint32_t next_free;
};

/* A finished row of a bucket that differs, noted by the second replay. */
struct looked {
    char *bytes; /* its cells one after the other */
    struct cells cells;
    bool is_seen;
};

struct shard_tables {
    struct stamp_row stamp;    /* in the table; seq 0 = no row */
    struct stamp_row expected; /* by the journal */
    bool is_reached;           /* tables_at() was called */
    bool is_seen;
    uint64_t differences, named, rows;
    struct bucket (*buckets)[BUCKETS]; /* per enum finished */
};

struct tables {
    tables_found *on_difference;
    void *arg;
    struct shard_tables shards[LEDGER_SHARDS];
    struct places account_by_id, balance_by_key, order_by_id, looked_by_key;
    struct live_account *accounts;
    struct live_balance *balances;
    struct live_order *orders;
    struct looked *looked;
    uint32_t accounts_count, accounts_max, balances_count, balances_max;
    uint32_t orders_reached, orders_max, orders_free, looked_count, looked_max;
    struct cells_maker makers[TABLES];
    EVP_MD_CTX *digest;
    EVP_MD *sha256;
    uint8_t key[32]; /* of the fingerprints, drawn anew in each run */
};

extern const enum table tables_finished[FINISHED_COUNT];

struct bucket *tables_bucket(struct tables *t, uint16_t shard, enum finished f, uint64_t id);
void tables_fingerprint(struct tables *t, struct bucket *b, const struct cells *c, bool is_found);
/* Place of a balance; MAP_NONE when none is live. `slot` is where it would be kept. */
uint32_t tables_balance(const struct tables *t, uint64_t account_id, enum wallet wallet,
                        code_t asset, uint64_t *slot);
uint64_t tables_looked_key(const struct tables *t, const struct cells *c);

/* The difference of two rows, either of them NULL. */
void tables_differ(struct tables *t, uint16_t shard, const struct cells *found,
                   const struct cells *expected);

#endif
