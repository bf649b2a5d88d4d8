/*
 * source.c - see source.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/source.h"

struct records *
source_open(const struct call *c, enum status *status)
{
    const struct records_options from = {c->o.database, c->o.archive};
    char why[WHY_BYTES] = "";
    if (from.database == NULL && from.archive == NULL) {
        *status = refuse(c, STATUS_FAILED, "NO_SOURCE",
                         "there is nothing to read: name --database, --archive or both");
        return NULL;
    }
    struct records *r = records_open(&from, why);
    if (r == NULL)
        *status = refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", why);
    return r;
}

enum status
source_failed(const struct call *c, const struct records *r)
{
    return refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", records_why(r));
}
