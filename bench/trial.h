/*
 * trial.h - one real order of a recording as a paper order: what does the matcher make of it?
 *
 * The order is taken out of the level-2 view: what its level displays is told less what of it
 * really stood there. It enters when the real one was announced, is lowered and canceled when that
 * was, and goes on after the real one was filled, so that a late fill is seen too. The matcher is
 * told depth and prints, nothing of orders, and is new for every trial.
 *
 * A trial hears only what can concern its order: changes of its own level, and prints and changes
 * of the other side at its price or through it; its first snapshot has its own level and the next
 * worse one. A whole trial hears everything, from a snapshot of all levels some rows before it
 * came: trial_run_whole() is there to prove that nothing else matters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BENCH_TRIAL_H
#define SCRIP_BENCH_TRIAL_H

#include "backtest/stage.h"
#include "lobster.h"

struct trial_outcome {
    int64_t filled;           /* ever */
    int64_t by_end;           /* until the real order ended */
    int64_t first_ns;         /* of the first fill */
    int64_t full_ns;          /* 0 = it never had all it wanted */
    enum lobster_class class; /* when the real order ended */
};

struct trial;

/* Borrows the recording, which is prepared. */
struct trial *trial_new(const struct lobster *l);
void trial_free(struct trial **t);
struct trial_outcome trial_run(struct trial *t, uint32_t order, enum fill_model model);
/* The same, hearing all from `rows` rows before it entered. */
struct trial_outcome trial_run_whole(struct trial *t, uint32_t order, enum fill_model model,
                                     uint32_t rows);

#endif
