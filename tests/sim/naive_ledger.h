/*
 * naive_ledger.h - an independent judge of the ledger: a notebook of what happened, and the sums.
 *
 * It shares no code with services/ledger: it keeps the list of orders and the list of fills, and
 * whenever it is asked it adds everything up again from the first line. Slow and plain on purpose.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_NAIVE_LEDGER_H
#define SCRIP_TESTS_NAIVE_LEDGER_H

#include "ledger/core/ledger.h"

struct naive_order {
    uint64_t id;
    struct order_place cmd; /* as enriched; quantity: as it was lowered last */
    struct match_fill *fills;
    uint32_t fills_count;
    enum order_end end;
    uint64_t rank;
    int64_t prevented, triggered_us;
    uint64_t partner;       /* the other order of its pair, 0 = none */
    uint64_t waits_for;     /* PENDING_NEW: the order whose end it waits for */
    enum order_end becomes; /* PENDING_NEW: the end it waits for; NONE = any */
    bool is_replacement;
    /* of a REAL order, which cmd.environment makes it: */
    enum exchange_state state;
    uint64_t exchange_id;
    int64_t placed_quantity, placed_price;
    struct exchange_fill *told; /* those that count, as they were told */
    uint32_t told_count;
};

/* What an account has at the exchange, of one asset or contract. */
struct naive_there {
    enum wallet wallet;
    code_t asset;
    int64_t free, held;
};

/* Paper money given (or taken, below zero) from a shard's issuance. */
struct naive_grant {
    enum trading_type wallet;
    int64_t amount;
};

struct naive_account {
    uint64_t id;
    struct naive_grant *grants;
    uint32_t grants_count;
    uint32_t *orders; /* its orders, as they came */
    uint32_t orders_count;
    enum environment bound[2]; /* by trading type; NONE = on paper */
    int64_t as_of_us[2];
    struct naive_there *there;
    uint32_t there_count;
};

struct naive_ledger {
    struct naive_account *accounts;
    uint32_t accounts_count;
    struct naive_order *orders; /* of all shards, as they came */
    uint32_t orders_count;
    uint32_t *by_shard[LEDGER_SHARDS]; /* the nth order of a shard */
    uint32_t by_shard_count[LEDGER_SHARDS];
    int64_t now_us; /* of the command at hand, for what is good till a time; set by the caller */
};

void naive_ledger_free(struct naive_ledger *n);

/* For naive_lists.c, where the end of one order decides about others: */
__extension__ typedef __int128 naive_wide;
struct naive_order *naive_ledger_order(const struct naive_ledger *n, uint64_t id);
/* What an order holds; what is free to it. */
naive_wide naive_ledger_held(const struct naive_ledger *n, const struct naive_order *o);
naive_wide naive_ledger_need(const struct naive_order *o);
naive_wide naive_ledger_free_for(const struct naive_ledger *n, const struct naive_order *o);
struct naive_order *naive_ledger_add(struct naive_ledger *n, const struct order_place *cmd);
/* The larger need of a live pair, or its own. */
naive_wide naive_ledger_pair_need(const struct naive_ledger *n, const struct naive_order *o);
/* Whether the ledger may take these; they are noted. */
bool naive_ledger_note_list(struct naive_ledger *n, const struct list_place *cmd, text_t *why);
bool naive_ledger_note_replace(struct naive_ledger *n, const struct order_replace *cmd,
                               text_t *why);
/* For naive_real.c: what bridges tell. A report is judged as an order_report is, see below. */
struct naive_account *naive_ledger_account(const struct naive_ledger *n, uint64_t id);
void *naive_ledger_more(void *items, uint32_t count, size_t size);
bool naive_ledger_is_real(const struct naive_order *o);
naive_wide naive_ledger_executed(const struct naive_order *o);
naive_wide naive_ledger_executed_quote(const struct naive_order *o);
bool naive_ledger_note_real(struct naive_ledger *n, const struct order_place *cmd, text_t *why);
bool naive_ledger_note_heard(struct naive_ledger *n, const struct bridge_report *r);
bool naive_ledger_note_settle(struct naive_ledger *n, const struct order_settle *cmd, text_t *why);
bool naive_ledger_note_settings(struct naive_ledger *n, const struct settings_set *cmd,
                                text_t *why);
bool naive_ledger_note_exchange(struct naive_ledger *n, const struct exchange_account *cmd,
                                text_t *why);
/* Something decisive happened to an order; what follows from it for its pair, and from an end for
 * who waited for it. */
void naive_ledger_decided(struct naive_ledger *n, uint64_t id);

/*
 * Notes a command that the ledger took (as enriched). For an order_report or a bridge_report, which
 * the ledger judges by the books alone, call it whatever the ledger did: true when the report is a
 * good one and was noted, false when it must be refused. False with `why` for any other command
 * means that the ledger took what it must not take.
 */
bool naive_ledger_apply(struct naive_ledger *n, const struct msg *cmd, text_t *why);

/*
 * Adds everything up again and compares it with the ledger: every balance of every account, system
 * accounts too; every open order's hold, fills and status; finished ones as far as the ledger has
 * them in memory. True, or false with the first difference.
 */
bool naive_ledger_compare(const struct naive_ledger *n, const struct ledger *l, text_t *why);

#endif
