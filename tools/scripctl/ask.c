/*
 * ask.c - see ask.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/ask.h"

#include <string.h>

#include "scripctl/value.h"

PGresult *
ask_rows(const struct call *c, struct records *r, const char *sql, const char *const values[])
{
    PGconn *connection = records_connection(r);
    int count = 0;
    while (values != NULL && count < ASK_VALUES_MAX && values[count] != NULL)
        count++;
    PGresult *rows = connection == NULL
                         ? NULL
                         : PQexecParams(connection, sql, count, NULL, values, NULL, NULL, 0);
    if (rows != NULL && PQresultStatus(rows) == PGRES_TUPLES_OK)
        return rows;
    const char *said = connection == NULL ? "there is none" : PQerrorMessage(connection);
    refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "the database: %.*s", (int)strcspn(said, "\n"),
           said);
    PQclear(rows);
    return NULL;
}

int64_t
ask_int(const PGresult *rows, int row, int column)
{
    int64_t value;
    return value_int(PQgetvalue(rows, row, column), INT64_MIN + 1, INT64_MAX, &value) ? value : 0;
}

const char *
ask_text(const PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

bool
ask_is_true(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}
