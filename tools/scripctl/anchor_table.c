/*
 * anchor_table.c - the anchors that a database has, and the keys they are checked with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "scripctl/anchor.h"

struct anchor_keys *
anchor_keys_named(const struct call *c, enum status *status)
{
    char why[ANCHOR_WHY_BYTES];
    if (c->o.anchor_key_count == 0) {
        *status = refuse(c, STATUS_USAGE, "NO_KEY",
                         "--anchor-key names the public key to check "
                         "anchors with");
        return NULL;
    }
    struct anchor_keys *keys = anchor_keys_new();
    for (uint32_t i = 0; i < c->o.anchor_key_count; i++)
        if (!anchor_keys_add(keys, c->o.anchor_key[i], why)) {
            *status = refuse(c, STATUS_FAILED, "KEY_UNREADABLE", "%s", why);
            anchor_keys_destroy(&keys);
            return NULL;
        }
    return keys;
}

/* False, and why, when the last statement failed. */
static bool
is_fine(PGconn *db, const PGresult *result, ExecStatusType wanted, char why[ANCHOR_WHY_BYTES])
{
    if (PQresultStatus(result) == wanted)
        return true;
    snprintf(why, ANCHOR_WHY_BYTES, "ledger.anchor cannot be read: %s", PQerrorMessage(db));
    why[strcspn(why, "\n")] = '\0';
    return false;
}

/* A statement that fails would end the snapshot that others read from. */
static bool
has_table(PGconn *db, bool *is_there, char why[ANCHOR_WHY_BYTES])
{
    PGresult *result = PQexec(db, "SELECT to_regclass('ledger.anchor') IS NOT NULL");
    bool ok = is_fine(db, result, PGRES_TUPLES_OK, why);
    *is_there = ok && PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    return ok;
}

/* Row by row: there may be more of them than fit into memory. */
static bool
take_rows(PGconn *db, anchor_row *each, void *arg, char why[ANCHOR_WHY_BYTES])
{
    bool ok = true, goes_on = true;
    PGresult *result;
    while ((result = PQgetResult(db)) != NULL) {
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE)
            goes_on =
                goes_on && each(arg, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
        else
            ok = is_fine(db, result, PGRES_TUPLES_OK, why) && ok;
        PQclear(result);
    }
    return ok;
}

bool
anchor_table_each(PGconn *db, int64_t since_us, int64_t until_us, anchor_row *each, void *arg,
                  char why[ANCHOR_WHY_BYTES])
{
    bool is_there;
    char since[24], until[24];
    if (!has_table(db, &is_there, why))
        return false;
    if (!is_there)
        return true;
    snprintf(since, sizeof since, "%" PRId64, since_us);
    snprintf(until, sizeof until, "%" PRId64, until_us == INT64_MIN ? INT64_MAX : until_us);
    const char *const values[] = {since, until};
    if (PQsendQueryParams(db,
                          "SELECT text FROM ledger.anchor WHERE time_us >= $1::bigint AND "
                          "time_us < $2::bigint ORDER BY shard_group, number",
                          2, NULL, values, NULL, NULL, 0) != 1 ||
        PQsetSingleRowMode(db) != 1)
        return is_fine(db, NULL, PGRES_TUPLES_OK, why);
    return take_rows(db, each, arg, why);
}

struct adding {
    struct anchors *anchors;
    bool ok;
    char *why;
};

static bool
add_row(void *arg, const char *text, size_t length)
{
    struct adding *a = arg;
    a->ok = anchors_add(a->anchors, "ledger.anchor", text, length, a->why);
    return a->ok;
}

bool
anchor_table_add(PGconn *db, struct anchors *a, char why[ANCHOR_WHY_BYTES])
{
    struct adding adding = {.anchors = a, .ok = true, .why = why};
    return anchor_table_each(db, INT64_MIN, INT64_MIN, add_row, &adding, why) && adding.ok;
}
