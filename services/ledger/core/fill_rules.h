/*
 * fill_rules.h - how an account's orders are filled: presets, what may override them, the draws.
 *
 * A preset names a set of rules. The rules themselves are written into the journaled command, and
 * what is drawn for an order into the order's, so that a replay needs neither this table nor these
 * draws: both may change. An account opened before there were fill rules has none (all absent):
 * no latency, and resting orders fill by what is displayed only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_FILL_RULES_H
#define SCRIP_LEDGER_CORE_FILL_RULES_H

#include "base/msg.h"

#define FILL_LATENCY_MAX_US 60000000
#define FILL_SLIPPAGE_MAX   1000  /* basis points */
#define FILL_REJECT_MAX     10000 /* of ten thousand */

/* The rules of a preset, seed 0. All absent for FILL_PRESET_NONE and custom. */
struct fill_rules fill_rules_of(enum fill_preset preset);

/* Whether the fill rules among the settings can be set: NUMBER_RANGE past a limit, CHOICE_UNKNOWN
 * for custom, which is what overrides lead to. */
MUST_USE enum err fill_rules_judge(const struct settings_set *cmd, struct refused *why);
/* Writes out what a preset stands for, and says in fill_overrides which fields count. Once, live,
 * after they were judged. */
void fill_rules_enrich(struct settings_set *cmd);
/* What the settings say of fill rules; absent ones stay. A preset keeps the seed. */
void fill_rules_merge(struct fill_rules *rules, const struct settings_set *cmd);

struct fill_draw {
    uint32_t latency_us;        /* of the order on its way in */
    uint32_t cancel_latency_us; /* of its cancel or amendment */
    bool is_refused;
};

/*
 * What chance gives an order: latency_us + latency_spread_us * E, with E exponential of mean 1
 * (below 6.55, so that there is an end to waiting), and a refusal in reject_bps of ten thousand.
 * It depends on the seed and the order's id alone.
 */
struct fill_draw fill_rules_draw(const struct fill_rules *rules, uint64_t order_id);

#endif
