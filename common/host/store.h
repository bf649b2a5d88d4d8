/*
 * store.h - where the journal lives: append a batch, read it back, own the right to write it.
 *
 * The seam between a ledger and its durable memory, with two implementations: store_pg.c on
 * PostgreSQL and store_fake.c for tests. Calls return at once; `done` is called later, on the
 * loop, exactly once for each call that returned true.
 *
 * A record's hash is SHA-256 over: the hash before it (32 zero bytes before the first); shard, seq,
 * time and kind, each as 8 big-endian bytes; the source padded with NULs to 24 bytes; corr, 8
 * bytes; the payload. Changing this breaks every journal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_STORE_H
#define SCRIP_HOST_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/code.h"
#include "host/loop.h"

#define HASH_BYTES        32
#define STORE_APPENDS_MAX 2
#define STORE_READS_MAX   2

/* One record of the journal. `payload` is lent. */
struct journal_record {
    uint16_t shard;
    uint32_t kind; /* enum msg_type */
    uint64_t seq;  /* from 1, without gaps, per shard */
    int64_t time_us;
    uint64_t corr;
    code_t source; /* the process that asked for it */
    const uint8_t *payload;
    uint32_t payload_length;
    uint8_t hash[HASH_BYTES];
    uint64_t epoch; /* of its writer; not hashed, and 0 where nobody asked for it */
};

/* Hashing with one context, reused. */
struct journal_hasher;
struct journal_hasher *journal_hasher_new(void);
void journal_hasher_destroy(struct journal_hasher **h);
/* The hash that belongs into `r`, which follows a record with the hash `before`. */
void journal_hash(struct journal_hasher *h, const uint8_t before[HASH_BYTES],
                  const struct journal_record *r, uint8_t out[HASH_BYTES]);

enum store_outcome {
    STORE_DONE,    /* it is durable; or everything asked for was read */
    STORE_LOST,    /* the connection broke: nobody knows whether it was done */
    STORE_TAKEN,   /* a record with one of these numbers is there already; nothing was done */
    STORE_FENCED,  /* another process owns the shard group now; nothing was done */
    STORE_REFUSED, /* the database could not do it (disk full, shutting down); nothing was done */
    STORE_GAP,     /* the batch it follows is not in the journal; nothing was done */
};

const char *store_outcome_name(enum store_outcome o);

typedef void store_done(void *arg, enum store_outcome outcome);
typedef void store_record(void *arg, const struct journal_record *r);
/* Epoch 0: another process has the lease. */
typedef void store_lease(void *arg, enum store_outcome outcome, uint64_t epoch);

struct store;

struct store_ops {
    bool (*append)(struct store *s, const struct journal_record *records, uint32_t count,
                   const struct journal_record *after, store_done *done, void *arg);
    bool (*read)(struct store *s, uint16_t shard, uint64_t after, uint32_t max, store_record *each,
                 store_done *done, void *arg);
    bool (*lease_take)(struct store *s, int64_t now_us, store_lease *done, void *arg);
    int64_t (*newest_us)(const struct store *s);
    bool (*is_up)(const struct store *s);
    void (*close)(struct store **s);
};

/* Who is told when the way to the store opens and closes. The owner's `on_up` comes when the
 * session lock was asked for again and the epoch is still its own; otherwise `on_fenced`. */
struct store_watch {
    void *arg;
    void (*on_up)(void *arg);
    void (*on_down)(void *arg);
    void (*on_fenced)(void *arg);
};

/* First member of each implementation. */
struct store {
    const struct store_ops *ops;
    struct store_watch watch;
};

struct store_pg_options {
    struct loop *loop;
    const char *conninfo;
    uint32_t group;          /* shard group of the lease */
    const char *owner;       /* this process, for people who look at the lease */
    int64_t partition_hours; /* of the journal; 0 = a week */
    struct store_watch watch;
};

/* Opens; connects in the background and again whenever the connection breaks. */
struct store *store_pg_open(const struct store_pg_options *o);

/* Appends records as one transaction, all or none, fenced by the lease. Records are copied before
 * it returns. False while there is no connection. At most STORE_APPENDS_MAX are on their way at a
 * time and are answered in order. `after` is the last record of the append before, NULL when there
 * is none: an append is done only when its `after` is there. Times must not fall from one record to
 * the next, and not be before store_newest_us(). */
static inline bool
store_append(struct store *s, const struct journal_record *records, uint32_t count,
             const struct journal_record *after, store_done *done, void *arg)
{
    return s->ops->append(s, records, count, after, done, arg);
}

/* Reads at most `max` records of a shard with seq > after, in order. False while there is no
 * connection, or STORE_READS_MAX are on their way. */
static inline bool
store_read(struct store *s, uint16_t shard, uint64_t after, uint32_t max, store_record *each,
           store_done *done, void *arg)
{
    return s->ops->read(s, shard, after, max, each, done, arg);
}

/* Tries to become the owner; the epoch it gives fences every append from then on. */
static inline bool
store_lease_take(struct store *s, int64_t now_us, store_lease *done, void *arg)
{
    return s->ops->lease_take(s, now_us, done, arg);
}

/* The newest time that the journal had when the lease was taken; 0 before. */
static inline int64_t
store_newest_us(const struct store *s)
{
    return s->ops->newest_us(s);
}

static inline bool
store_is_up(const struct store *s)
{
    return s->ops->is_up(s);
}

/* Gives the lease back (with the session), and nulls the pointer. */
static inline void
store_close(struct store **s)
{
    (*s)->ops->close(s);
}

#endif
