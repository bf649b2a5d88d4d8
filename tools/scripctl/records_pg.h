/*
 * records_pg.h - the journal's records out of PostgreSQL, in one snapshot; records.c puts segment
 * files before them.
 *
 * Several cursors share the connection: each reads page by page, and the page after the current one
 * is asked for ahead, so that the server works while we do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_RECORDS_PG_H
#define SCRIPCTL_RECORDS_PG_H

#include "scripctl/records.h"

struct records_pg;
struct records_pg_cursor;

/* NULL, and why. `why` is lent until the close, and says why a later call failed, too. */
struct records_pg *records_pg_open(const char *conninfo, char why[WHY_BYTES]);
void records_pg_close(struct records_pg **p);
/* Idle, in its transaction. */
PGconn *records_pg_connection(struct records_pg *p);
/* What each shard has in the database: `first` of what is live, and the hash before it. */
bool records_pg_extents(struct records_pg *p, struct records_extent out[RECORDS_SHARDS]);

/* Records of the shard with after < seq <= to; `pages` read at a time have at most so many rows. */
struct records_pg_cursor *records_pg_read(struct records_pg *p, uint16_t shard, uint64_t after,
                                          uint64_t to, uint32_t rows_max);
enum records_result records_pg_next(struct records_pg_cursor *c, struct journal_record *out);
void records_pg_end(struct records_pg_cursor **c);

#endif
