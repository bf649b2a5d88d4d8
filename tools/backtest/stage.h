/*
 * stage.h - a matcher of one's own: the core, its memory, one ledger's session.
 *
 * Everything goes through match_apply(), as in the service; the caller hears what it says to its
 * ledger: reports, and what it saw of an order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BACKTEST_STAGE_H
#define SCRIP_BACKTEST_STAGE_H

#include "matcher/core/match.h"

/* An order_report or order_explained; to be copied. The matcher may not be given anything from
 * within the call. */
typedef void stage_said(void *arg, const struct msg *m);

struct stage {
    struct match_limits limits;
    void *memory;
    struct match *match;
    struct outbox out;
    struct out outs[64];
    uint8_t lists[4 * MATCH_OUT_BYTES] __attribute__((aligned(16)));
    uint64_t frames;
    void *arg;
    stage_said *on_said;
};

void stage_init(struct stage *s, const struct books_limits *books, void *arg, stage_said *on_said);
void stage_fini(struct stage *s);
/* A new matcher that knows nothing but its ledger. */
void stage_begin(struct stage *s, int64_t now_us);

/* A message of the market. */
void stage_market(struct stage *s, const struct msg *m, int64_t now_us);
/* A message of the ledger. */
void stage_ledger(struct stage *s, const struct msg *m, int64_t now_us);
/* Everything that is due until then, each at its own time. */
void stage_until(struct stage *s, int64_t now_us);
/* Whether a symbol that was heard of awaits its book: to be asked after each of its messages. */
bool stage_lacks_book(const struct stage *s, code_t symbol);

#endif
