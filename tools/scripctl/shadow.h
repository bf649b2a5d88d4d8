/*
 * shadow.h - a second account of what records moved, which shares nothing with the core's.
 *
 * It is told what a record said and which rows came of it, and keeps balances, open orders and
 * accounts of its own. For each record it works out from the command and the trades what every
 * balance must have moved by, in its own arithmetic, and holds the rows against that:
 *
 *   zero sum   for each asset of a wallet, what all balances moved by comes to nothing
 *   explained  each balance moved by just what the record's trades and changes say
 *   holds      no user is below zero, and what is held is what open orders hold, which is what the
 *              rest of each needs at worst
 *   orders     say what was asked for; done amounts are the sums of their trades; nothing moves
 *              but by a report, an end or a start, and only the way it may
 *   accounts   settings and tiers change by their commands only, and are in range
 *   exchange   a real order moves by reports of its own environment only, each fill once and as the
 *              report has it; what an account has at the exchange is what was told last
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_SHADOW_H
#define SCRIPCTL_SHADOW_H

#include "scripctl/twin.h"

/* An open order as the rows have told of it. */
struct shadow_order {
    uint64_t id, account_id, list_id, waits_for, rank;
    uint64_t fixed; /* of what never changes of it */
    enum side side;
    enum order_type type;
    enum time_in_force time_in_force;
    enum order_status status;
    enum fill_model fill_model;
    enum contingency contingency;
    enum ledger_rule rule;
    price_t price, worst_price, trail_extreme;
    qty_t quantity, executed, prevented, amended_from, iceberg_quantity;
    money_t quote_quantity, executed_quote, hold, held;
    rate_t maker_fee_rate, taker_fee_rate;
    int64_t created_us, updated_us, live_us, triggered_us, expire_us;
    uint32_t fills, amends, leg, slippage_bps;
    /* real orders */
    enum environment environment;
    enum exchange_state exchange_state;
    uint64_t exchange_order_id;
    int64_t exchange_code, send_by_us;
    enum err refused_by;
    qty_t placed_quantity;
    price_t placed_price;
    uint16_t symbol;
    uint32_t base, quote, house_base, house_quote, fees; /* balances it is settled against */
};

struct shadow;

struct shadow *shadow_new(void);
void shadow_destroy(struct shadow **s);

/* NULL when it is not open. */
const struct shadow_order *shadow_order(const struct shadow *s, uint64_t order_id);
/* Users' accounts that were opened. */
uint64_t shadow_accounts(const struct shadow *s);

/* Takes the balances that a record changed; gives `count` postings, lent until the next call. */
const struct twin_posting *shadow_post(struct shadow *s, const struct balance_row *rows,
                                       uint32_t count);
/* Whether a command may be applied: its amounts are such as the core can count with, and its fills
 * are allowed (evidence.h). False, and why. */
bool shadow_before(const struct shadow *s, const struct msg *cmd, int64_t now_us,
                   char why[WHY_BYTES]);
/* Judges what came of it, after shadow_post(). False, and why. */
bool shadow_after(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);

/* Writes the sentence and gives false. */
bool shadow_wrong(char why[WHY_BYTES], const char *format, ...) PRINTF(2, 3);

/* An amount as text, for sentences. */
struct amount_text {
    char text[DECIMAL_BYTES];
};
struct amount_text amount_text(int64_t amount);

#endif
