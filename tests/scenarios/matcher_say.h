/*
 * matcher_say.h - what the matcher's core answers, and how its books stand, as lines of a story.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_MATCHER_SAY_H
#define SCRIP_TESTS_MATCHER_SAY_H

#include "matcher/core/match.h"

struct scenario_out;

void matcher_say_report(uint32_t peer, const struct order_report *r, struct scenario_out *out);
/* The book, best prices first; NULL = there is none. */
void matcher_say_book(const struct match *m, const struct book *b, struct scenario_out *out);
/* Every order that is in no book. */
void matcher_say_queues(const struct match *m, struct scenario_out *out);
void matcher_say_waiting(const struct match *m, struct scenario_out *out);
/* The counters that are not zero. */
void matcher_say_counts(const struct match *m, struct scenario_out *out);

#endif
