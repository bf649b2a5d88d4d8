/*
 * ask.h - questions to a deployment's tables, answered as text, in the snapshot of its records.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_ASK_H
#define SCRIPCTL_ASK_H

#include "scripctl/command.h"
#include "scripctl/records.h"

#define ASK_VALUES_MAX 4

/* Rows of a query with the texts $1, $2 ... (NULL ends them); NULL when it failed: that was
 * refused. */
PGresult *ask_rows(const struct call *c, struct records *r, const char *sql,
                   const char *const values[]);
/* A cell as a number; 0 where it is NULL or none. */
int64_t ask_int(const PGresult *rows, int row, int column);
/* A cell, NULL where that is NULL. */
const char *ask_text(const PGresult *rows, int row, int column);
bool ask_is_true(const PGresult *rows, int row, int column);

#endif
