/*
 * past.h - the books of all symbols at a recorded time, from the events before it.
 *
 * What a seek needs: events between a snapshot and the time are applied here, where nobody hears
 * of them, and then each symbol is told once as it stood.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_PAST_H
#define SCRIP_MARKETDATA_PAST_H

#include "marketdata/core/event.h"

struct past;

struct past *past_new(void);
void past_free(struct past **p);
/* Takes books, diffs, quotes and trades; the rest says nothing of how things stood. */
void past_apply(struct past *p, const struct md_event *e);
/* The next thing of how symbols stood, as received at `at_us`: of each its book, or its quote where
 * it has no true book, and its last trade, which is its price. The lists are lent until
 * past_free(). False when all was told. */
bool past_next(struct past *p, int64_t at_us, struct md_event *out);

#endif
