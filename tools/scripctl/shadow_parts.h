/*
 * shadow_parts.h - what the files of the second account share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_SHADOW_PARTS_H
#define SCRIPCTL_SHADOW_PARTS_H

#include "scripctl/places.h"
#include "scripctl/shadow.h"

__extension__ typedef __int128 wide;

struct shadow_balance {
    uint64_t account_id;
    money_t free, held;
    wide due;             /* what the record under way moves it by, as its trades say */
    wide orders_held;     /* what its open orders hold */
    uint32_t next_listed; /* of those that are due or were touched */
    uint16_t asset;
    uint8_t wallet;
    bool is_listed;
};

struct shadow_account {
    uint64_t id, user_id, event_sequence, orders_placed;
    uint32_t tier, commands_next;
    struct ledger_settings settings[LEDGER_WALLETS];
};

/* Numbers last given. */
struct shadow_shard {
    uint64_t orders, trades, changes;
};

struct shadow {
    struct places balance_by_key, order_by_id, account_by_id, code_by_hash;
    struct shadow_balance *balances;
    struct shadow_order *orders;
    struct shadow_account *accounts;
    code_t *codes; /* assets and symbols */
    wide *sums;    /* per code and wallet, of one record */
    uint32_t balances_count, balances_max, orders_reached, orders_max, orders_free;
    uint32_t accounts_count, accounts_max, codes_count, codes_max;
    uint32_t first_listed;
    struct twin_posting *postings;
    uint32_t *posting_balance;
    uint32_t postings_count, postings_max, posting_balance_max;
    struct shadow_shard shards[LEDGER_SHARDS];
};

#define SHADOW_NONE UINT32_MAX

/* Finds or opens. */
uint32_t shadow_balance_take(struct shadow *s, uint64_t account_id, enum wallet wallet,
                             code_t asset);
uint16_t shadow_code(struct shadow *s, code_t code);
/* A balance is to be looked at when the record's rows are in. */
void shadow_list(struct shadow *s, uint32_t balance);
/* It must have moved by that much more. */
void shadow_due(struct shadow *s, uint32_t balance, wide amount);

/* floor or ceil of a * b / 10^8, in wide numbers. */
static inline wide
wide_floor(int64_t a, int64_t b)
{
    return (wide)a * b / DECIMAL_ONE;
}

static inline wide
wide_ceil(int64_t a, int64_t b)
{
    return ((wide)a * b + DECIMAL_ONE - 1) / DECIMAL_ONE;
}

struct order_wish shadow_wish_of_place(const struct order_place *from);
struct order_wish shadow_wish_of_replace(const struct order_replace *from);

/* Trades of the record: as the report has them, with quote and fee worked out again. */
bool shadow_trades(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);
bool shadow_orders(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);
/* Balances that were set or opened, settings, tiers, counters. */
bool shadow_changes(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);
bool shadow_account_rows(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);

#endif
