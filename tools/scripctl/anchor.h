/*
 * anchor.h - anchors for scripctl's commands: keys that were named, and the table that has them.
 *
 * What an anchor is stands in host/anchor.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_ANCHOR_H
#define SCRIPCTL_ANCHOR_H

#include <libpq-fe.h>

#include "host/anchor.h"
#include "scripctl/command.h"

/* The public keys of --anchor-key. NULL: refused, with *status. */
struct anchor_keys *anchor_keys_named(const struct call *c, enum status *status);

/* A text of the table. `text` is lent; false ends the walk. */
typedef bool anchor_row(void *arg, const char *text, size_t length);
/* Walks through ledger.anchor by (group, number), of since <= time < until (INT64_MIN = no bound).
 * A schema without the table has no anchors. False, and why, when it cannot be read. */
bool anchor_table_each(PGconn *db, int64_t since_us, int64_t until_us, anchor_row *each, void *arg,
                       char why[ANCHOR_WHY_BYTES]);
/* Adds all anchors of the table. False, and why. */
bool anchor_table_add(PGconn *db, struct anchors *a, char why[ANCHOR_WHY_BYTES]);

#endif
