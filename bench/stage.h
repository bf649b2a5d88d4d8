/*
 * stage.h - a matcher of its own for measurements: the core, its memory, one ledger's session.
 *
 * Everything goes through match_apply(), as in the service; the caller hears each report.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BENCH_STAGE_H
#define SCRIP_BENCH_STAGE_H

#include "matcher/core/match.h"

struct stage {
    struct match_limits limits;
    void *memory;
    struct match *match;
    struct outbox out;
    struct out outs[64];
    uint8_t lists[4 * MATCH_OUT_BYTES] __attribute__((aligned(16)));
    uint64_t frames;
    void *arg;
    void (*on_report)(void *arg, const struct order_report *r);
};

/* The limits may leave out ledgers and times. */
void stage_init(struct stage *s, const struct books_limits *books, void *arg,
                void (*on_report)(void *arg, const struct order_report *r));
void stage_fini(struct stage *s);
/* A new matcher that knows nothing but its ledger. */
void stage_begin(struct stage *s, int64_t now_us);

/* A message of the market. */
void stage_market(struct stage *s, const struct msg *m, int64_t now_us);
/* A message of the ledger. */
void stage_ledger(struct stage *s, const struct msg *m, int64_t now_us);
/* Everything that is due until then, each at its own time. */
void stage_until(struct stage *s, int64_t now_us);

#endif
