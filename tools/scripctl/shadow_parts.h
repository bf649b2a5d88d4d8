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
    wide due;               /* what the record under way moves it by, as its trades say */
    wide orders_held;       /* what its open orders hold */
    uint32_t next_listed;   /* of those that are due or were touched */
    uint32_t next_exchange; /* of the same account and exchange wallet */
    uint16_t asset;
    uint8_t wallet;
    bool is_listed;
};

struct shadow_account {
    uint64_t id, user_id, event_sequence, orders_placed;
    uint32_t tier, commands_next;
    struct ledger_settings settings[LEDGER_TYPES];
    int64_t exchange_us[LEDGER_TYPES];
    uint32_t first_exchange[LEDGER_TYPES]; /* balances of the wallet at the exchange */
    uint32_t real_open[LEDGER_TYPES];      /* orders */
};

/* Numbers last given. */
struct shadow_shard {
    uint64_t orders, trades, changes;
};

struct shadow {
    struct places balance_by_key, order_by_id, account_by_id, code_by_hash;
    struct places exchange_trades; /* of real orders, by order and number; each counts once */
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

static inline bool
shadow_is_open(enum order_status status)
{
    return status == ORDER_STATUS_NEW || status == ORDER_STATUS_PARTIALLY_FILLED ||
           status == ORDER_STATUS_PENDING_NEW;
}

static inline bool
shadow_is_live(enum order_status status)
{
    return shadow_is_open(status) && status != ORDER_STATUS_PENDING_NEW;
}

static inline bool
shadow_is_real(const struct order *o)
{
    return o->environment != ENVIRONMENT_NONE;
}

/* The orders that a command places. */
struct shadow_asked {
    struct order_wish orders[3];
    uint32_t count;
    uint64_t account_id;
    enum contingency contingency;
    bool is_refused;  /* one of them */
    bool is_real;     /* the first; a second one mirrors it */
    uint64_t twin_of; /* the first one's id */
};

/* The first order's id is the shard's next one. */
struct shadow_asked shadow_asked_by(const struct msg *cmd, uint64_t next_id);
/* Whether an order that was not known begins as it should. */
bool shadow_begins(struct shadow *s, const struct twin_step *step, const struct shadow_asked *asked,
                   uint32_t leg, const struct order_row *row, char why[WHY_BYTES]);

/* What is held for it is what the rest of it needs at worst; a real order holds nothing here. */
bool shadow_holds(const struct shadow *s, const struct shadow_order *o, char why[WHY_BYTES]);

struct order_wish shadow_wish_of_place(const struct order_place *from);
struct order_wish shadow_wish_of_replace(const struct order_replace *from);

/* Trades of the record: as the report has them, with quote and fee worked out again. */
bool shadow_trades(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);
bool shadow_orders(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);
/* Balances that were set or opened, settings, tiers, counters. */
bool shadow_changes(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);
bool shadow_account_rows(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);
/* NULL when it was never opened. */
struct shadow_account *shadow_account(const struct shadow *s, uint64_t account_id);
/* Whether the command takes the account's wallet away from its exchange. */
bool shadow_leaves_exchange(const struct shadow_account *a, const struct msg *cmd,
                            enum trading_type type);
/* The number is the shard's next one. */
bool shadow_next_trade(struct shadow *s, const struct twin_step *step, uint32_t i,
                       char why[WHY_BYTES]);

/* shadow_real.c: orders at the exchange, and wallets there. */
enum trading_type shadow_type_of(code_t symbol);
static inline bool
shadow_is_exchange(enum wallet w)
{
    return w == WALLET_exchange_spot || w == WALLET_exchange_futures;
}
bool shadow_real_before(const struct shadow *s, const struct msg *cmd, int64_t now_us,
                        char why[WHY_BYTES]);
/* The order that was asked for, without what the command says of its twin; and the twin's. */
struct order_wish shadow_wish_of_real(const struct order_place *from);
struct order_wish shadow_wish_of_twin(const struct order_place *from, uint64_t real_id);
bool shadow_real_trades(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);
/* What a report or an operator makes of it, but for its fills. */
void shadow_real_moves(struct shadow_order *o, const struct msg *cmd);
/* The end that the command is for the order as it stands now. */
enum order_end shadow_real_end(const struct shadow_order *o, const struct msg *cmd);
bool shadow_exchange(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES]);

#endif
