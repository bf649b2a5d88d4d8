/*
 * keys_priv.h - what the parts of keys.h share: the table in memory, and changes under way.
 *
 * The table is read as a whole and put in the place of the one before. A change is answered once
 * the table that has it is read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_KEYS_PRIV_H
#define SCRIP_BRIDGE_SHELL_KEYS_PRIV_H

#include "base/map.h"
#include "exchange-bridge/shell/keys.h"
#include "exchange-bridge/shell/vault.h"
#include "host/pg.h"

/* Whose the lock of a key is. Unknown: it has to be asked for (again). */
enum key_owner { OWNER_UNKNOWN, OWNER_ASKED, OWNER_US };

struct key_row {
    struct key_view key;
    code_t master_key_id;
    uint8_t *sealed;
    uint32_t sealed_length;
    enum key_owner owner;
};

/* Of orders that were created up to then. */
struct deployment_before {
    int64_t until_us;
    char id[7];
};

struct key_table {
    struct key_row *rows;
    struct guard_binding *bindings;
    uint32_t row_count, binding_count;
    struct map by_number, by_use, by_account;
    void *map_memory;
    uint64_t digest; /* of which keys and bindings there are */
    char deployment[7];
    struct deployment_before *before; /* by rising time */
    uint32_t before_count;
};

void key_table_free(struct key_table *t);
/* The three results of keys_load(), in its order. */
void key_table_take_keys(struct key_table *t, const PGresult *r);
void key_table_take_bindings(struct key_table *t, const PGresult *r);
void key_table_take_deployments(struct key_table *t, const PGresult *r);
/* Once all of it is there. */
void key_table_index(struct key_table *t);
/* NULL when there is none. */
struct key_row *key_table_row(const struct key_table *t, uint64_t number);
struct key_row *key_table_use(const struct key_table *t, uint64_t user_id, enum trading_type type,
                              enum environment e);
const struct guard_binding *key_table_binding(const struct key_table *t, uint64_t account_id,
                                              enum trading_type type);

/* One statement under way, or waiting to be told of. */
struct change {
    struct keys *keys;
    keys_done *done; /* NULL: nobody asks */
    void *arg;
    enum err error;      /* what it came to */
    enum err no_row;     /* what it means that it met no row; OK: nothing */
    enum err referenced; /* that rows of another table are in its way */
    bool is_noted;       /* in memory already: the table need not be read for it */
    bool has_sync;       /* the answer of its commit will come */
    bool is_finished;    /* waits for the next turn */
    uint64_t load;       /* waits for this reading of the table; 0: does not */
    struct change *next;
};

struct keys {
    struct keys_options o;
    struct vault *vault;
    struct pg *pg;
    struct loop_timer *tell, *retry;
    struct key_table table, fresh; /* fresh: while it is being read */
    uint64_t loads_begun, loads_done;
    bool loading, load_again, ready;
    struct change *changes;
};

#define KEYS_PLAIN_BYTES  (2 + SIGN_API_KEY_BYTES + SIGN_SECRET_BYTES)
#define KEYS_SEALED_BYTES (KEYS_PLAIN_BYTES + VAULT_EXTRA_BYTES)

/* keys.c */
void keys_load(struct keys *k);

/* keys_rotate.c */
extern const char keys_sql_seal[];

/* keys_change.c */
void change_prepare(struct keys *k);
/* A change that is sent with change_send(), or told of with change_finish() or change_settle(). */
struct change *change_new(struct keys *k, keys_done *done, void *arg);
void change_send(struct change *c, const char *statement, int count, const char *const *values,
                 const int *lengths, const int *formats);
void change_finish(struct change *c, enum err e);
/* Done once the table was read anew. */
void change_settle(struct change *c);

#endif
