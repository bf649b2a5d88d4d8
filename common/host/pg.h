/*
 * pg.h - PostgreSQL on the loop: one connection, queries in a pipeline, reconnects by itself.
 *
 * Queries are queued and answered in order. While the connection is down, queries are refused at
 * once (pg_send gives false); those that were in flight when it broke are answered with
 * PG_LOST, which means: the outcome is unknown.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_PG_H
#define SCRIP_HOST_PG_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "host/loop.h"

struct pg;

enum pg_outcome {
    PG_ROWS,   /* `result` holds what the statement gave, maybe no rows */
    PG_FAILED, /* the server refused; `result` tells (PQresultErrorField) */
    PG_LOST,   /* the connection broke before the answer */
};

struct pg_options {
    const char *conninfo;
    const char *label; /* for logs and metrics: "journal" */
    void *arg;
    /* The connection is up (again): prepare statements, SET, find out what was committed. */
    void (*on_up)(void *arg);
    void (*on_down)(void *arg);
    /* Somebody notified a channel that this connection listens to; whether it was this one. May be
     * NULL. LISTEN is sent in on_up. */
    void (*on_notify)(void *arg, const char *channel, bool is_own);
};

typedef void pg_answer(void *arg, enum pg_outcome outcome, const PGresult *result);

/* Connects in the first turn of the loop and again whenever the connection breaks. The server's
 * answers come in events of the loop, never from within pg_send(). */
struct pg *pg_open(struct loop *l, const struct pg_options *o);
/* At once: what is outstanding is not answered any more. Not from within an answer. */
void pg_close(struct pg **p);
bool pg_is_up(const struct pg *p);

/* Send the whole of a transaction in one turn, or begin it again after on_down. False: not up, or
 * 65536 are outstanding.
 *
 * Statements sent between two pg_sync() calls are one transaction (PostgreSQL's implicit one):
 * when one fails, the rest are skipped, are answered with PG_FAILED, and nothing is kept.
 * Parameters as for PQsendQueryParams; formats NULL = all text. `answer` may be NULL. */
bool pg_send(struct pg *p, const char *sql, int count, const Oid *types, const char *const *values,
             const int *lengths, const int *formats, bool binary_result, pg_answer *answer,
             void *arg);
/* Prepares under a name on this and every later connection, before on_up. */
void pg_prepare(struct pg *p, const char *name, const char *sql, int count, const Oid *types);
bool pg_send_prepared(struct pg *p, const char *name, int count, const char *const *values,
                      const int *lengths, const int *formats, bool binary_result, pg_answer *answer,
                      void *arg);
/* Ends the transaction and sends. `answer` hears PG_ROWS once it is committed, PG_FAILED when it
 * was rolled back (`result` tells of the first failure), PG_LOST when nobody knows. */
bool pg_sync(struct pg *p, pg_answer *answer, void *arg);

#endif
