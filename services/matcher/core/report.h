/*
 * report.h - fills gathered into order_reports.
 *
 * Every function that may put something takes for granted that report_room() was asked before
 * the step it belongs to: a step is one fill with what it may cause, or the end of an order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_REPORT_H
#define SCRIP_MATCHER_CORE_REPORT_H

#include "matcher/core/match.h"

/* Whether one more step fits. */
bool report_room(const struct outbox *out);
/* Gathers fills for this order from here on; what was gathered for another goes out first. */
void report_for(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger,
                uint64_t corr);
/* Adds a fill to what is gathered. */
void report_fill(struct match *m, struct outbox *out, const struct match_fill *fill);
/* Puts what is gathered, when there are fills; the order goes on. */
void report_flush(struct match *m, struct outbox *out);
/* Puts what is gathered, with or without fills, and says where the order stands now. `rank` is that
 * with which it rests, 0 = none is given here. */
struct order_report *report_end(struct match *m, struct outbox *out, uint64_t rank,
                                enum order_end end);
/* A report of its own with at most one fill. */
struct order_report *report_alone(struct match *m, struct outbox *out, uint64_t order_id,
                                  uint16_t ledger, uint64_t corr, const struct match_fill *fill);
/* The fill of an order, as its report tells it, from the other side of the trade. */
struct match_fill report_of(const struct match *m, const struct book *b, const struct fill *f,
                            const struct filled *other, bool is_maker);

#endif
