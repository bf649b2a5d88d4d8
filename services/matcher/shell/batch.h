/*
 * batch.h - the messages of one frame, held until they can be looked at together.
 *
 * Only while many orders rest, and only orders and pulls, which hold no lists. What is held is
 * given back in its order before anything else of that ledger happens.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_SHELL_BATCH_H
#define SCRIP_MATCHER_SHELL_BATCH_H

#include "matcher/core/ahead.h"
#include "wire/bus.h"

struct batch {
    uint32_t peer, count;
    struct frame frame;
    struct msg msgs[MATCH_AHEAD_MAX];
};

/* Whether a message should be held. */
bool batch_wants(const struct batch *b, const struct match *m, const struct bus_in *in);
/* Holds it. True when no more fit, or none come. */
MUST_USE bool batch_hold(struct batch *b, const struct bus_in *in);

#endif
