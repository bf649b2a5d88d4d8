/*
 * record.h - the process's recorder: made from the settings, given the core's books.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_RECORD_H
#define SCRIP_MARKETDATA_RECORD_H

#include "marketdata/config.h"
#include "marketdata/core/md.h"
#include "marketdata/shell/recorder.h"

struct record {
    struct recorder *recorder; /* NULL when nothing is recorded */
    const struct md *md;
    uint32_t next; /* symbols whose books are still to be written */
    char *json;
};

/* False when the folder cannot be written. `r` must stay where it is; `md` is borrowed. */
bool record_open(struct record *r, struct loop *loop, const struct marketdata_config *config,
                 const struct md *md);
/* Writes what waits. */
void record_close(struct record *r);

#endif
