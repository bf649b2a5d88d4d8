/*
 * naive_compare.h - whether two matchers told the same of one message.
 *
 * A report may be cut where an outbox is full, so all that one message caused for an order is
 * joined; orders are then compared field by field, and in the order of their last reports. Free is
 * only when the extreme of a trailing order is told that moved by less than has to be told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_SIM_NAIVE_COMPARE_H
#define SCRIP_TESTS_SIM_NAIVE_COMPARE_H

#include "sim/naive_book.h"

/* Reports of one order during one message, joined. */
struct joined {
    uint64_t order_id, rank, corr, corr_last;
    uint32_t ledger, fills_count, first_fill, last_fill;
    uint32_t at; /* its last report, by number; 0 = nothing but an extreme was told */
    enum order_end end;
    bool was_pulled, has_story, may_be_silent;
    int64_t triggered_us, trail_extreme, prevented;
    uint64_t trims; /* a hash of the answers to trims */
    struct story story;
};

/* What one matcher tells. */
struct telling {
    struct joined *at;
    uint32_t count, room, reports;
    struct match_fill *fills; /* of all orders; each order's are chained by next */
    uint32_t *next;
    uint32_t fills_count, fills_room;
};

void telling_fini(struct telling *t);
void telling_clear(struct telling *t);
/* NULL, or what is wrong with the report itself. */
const char *telling_add(struct telling *t, const struct order_report *r, uint64_t corr,
                        uint32_t ledger);
/* NULL, or what differs between a matcher's reports and those that have gathered in the naive one,
 * which are cleared; the naive one learns which extremes were told. */
const char *telling_compare(struct telling *ours, struct naive_book *n, char *wrong, size_t bytes);
/* The first field in which two stories differ; NULL = none. */
const char *story_differs(const struct story *a, const struct story *b);

#endif
