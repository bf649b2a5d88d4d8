/*
 * ahead.h - a look at messages that will be applied soon.
 *
 * With many orders resting, what a message costs is waiting for memory: the index, the order, its
 * neighbours, each known only by the one before. Several messages at hand wait together. This
 * changes nothing and decides nothing; a message may be looked at and never come.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_AHEAD_H
#define SCRIP_MATCHER_CORE_AHEAD_H

#include "matcher/core/match.h"

#define MATCH_AHEAD_MAX BOOKS_AHEAD_MAX

/* Whether a look ahead would be worth its time, for messages of this type. */
static inline bool
match_may_look_ahead(const struct match *m, enum msg_type type)
{
    return books_are_deep(&m->books) && (type == MSG_order_work || type == MSG_order_pull);
}

/* At most MATCH_AHEAD_MAX messages of such types. */
void match_look_ahead(const struct match *m, const struct msg *msgs, uint32_t count);

#endif
