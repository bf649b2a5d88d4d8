/*
 * md_priv.h - what md.c, md_time.c and md_view.c share; nobody else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_MD_PRIV_H
#define SCRIP_MARKETDATA_MD_PRIV_H

#include "marketdata/core/md.h"

/* The whole book, or what stands in for it. `limit` levels a side. */
void md_book_fill(const struct md_symbol *s, uint32_t limit, struct arena *lists,
                  struct md_book *out);
/* Ends the open candle of an interval: publishes and remembers it. */
void md_candle_close(struct md_symbol *s, enum interval i, struct outbox *out);
/* Sets the stream's state as of now; a change is told at once. */
void md_state_update(const struct md *m, struct md_symbol *s, int64_t now_us, struct outbox *out);
bool md_quote_known(const struct md_symbol *s);

#endif
