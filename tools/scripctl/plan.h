/*
 * plan.h - what a journal says that clients did, ready to be done again elsewhere, and what came of
 * it.
 *
 * Commands that clients sent are in the journal as they were accepted; what the ledger wrote into
 * them is taken out again. Cancels and amendments are questions to the matcher and not in the
 * journal themselves: they are told by the reports that carried them out, and planned for that time
 * less the latency that the order had drawn for them. A client's order id names its order, so that
 * nothing has to wait for the ids of the other deployment.
 * Reports are not planned: they, and the twin that applies them, say how each order ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_PLAN_H
#define SCRIPCTL_PLAN_H

#include "scripctl/command.h"
#include "scripctl/places.h"
#include "scripctl/records.h"
#include "scripctl/twin.h"
#include "wire/codec.h"

#define PLAN_NONE       UINT32_MAX
#define PLAN_ORDERS_MAX 4 /* that one command places */

enum plan_outcome { PLAN_WAITS, PLAN_ACCEPTED, PLAN_REFUSED, PLAN_UNANSWERED };

struct plan_command {
    int64_t time_us;
    int64_t answered_us; /* in the record; of orders by the first word on them, INT64_MAX = never */
    uint64_t seq; /* of its record; of a cancel or amendment, of the report that tells of it */
    uint64_t account_id;
    enum msg_type type;
    uint32_t account;             /* place of its account */
    uint32_t order, orders_count; /* that it placed: the first of them, by their places in a list */
    size_t at;                    /* of its payload in `payloads` */
    uint32_t length;
    uint16_t shard;
    bool is_told;    /* by a report */
    bool follows;    /* all that its account asked before had been answered in the record */
    bool needs_rest; /* an order of its account was filled at rest since its last command */
    /* what the other deployment makes of it */
    enum plan_outcome outcome;
    enum err error;
    int64_t sent_us, took_us;
};

struct plan_order {
    struct order order; /* as it stands at the end of the range */
    int64_t fee_base, fee_quote;
    uint32_t fills;
    uint32_t command;
    bool is_replaced; /* its cancel comes with another order */
    /* of the other deployment */
    uint64_t there_id; /* 0 = it is not there */
    bool is_known, agrees;
    struct order there;
    int64_t there_fee_base, there_fee_quote;
    uint32_t there_fills;
};

struct plan_account {
    uint64_t id, user_id;
    money_t cash; /* of the spot wallet, when its first command came (or when it was opened) */
    struct ledger_settings settings[LEDGER_TYPES];
    uint32_t tier;
    bool is_opened;      /* within the range */
    bool has_more;       /* it had other assets than cash */
    int64_t answered_us; /* the last of its commands so far */
    /* of the other deployment */
    bool is_there, is_real;
    enum err fix_error; /* why its cash, fill rules or tier could not be set */
    uint32_t commands;
    bool was_filled; /* at rest, since its last command */
    bool is_waiting; /* for an answer */
};

struct plan {
    struct plan_command *commands; /* by time */
    uint32_t commands_count, commands_max;
    struct plan_order *orders;
    uint32_t orders_count, orders_max;
    struct plan_account *accounts;
    uint32_t accounts_count, accounts_max;
    struct bytes payloads;
    struct places by_order, by_account, told_lists;
    uint64_t records; /* read */
    uint64_t fills;   /* of planned orders */
    uint64_t before;  /* cancels of orders from before the range */
    uint64_t real;    /* orders for an exchange: left out */
    uint64_t ties; /* commands of the very time of another account's: which was first is unknown */
    int64_t begin_us, last_us; /* of the first command; of the last record */
};

/* Reads the journal by the options of the call (range, shards, account, symbol). False, and why,
 * when it cannot be read or does not apply. */
bool plan_make(struct plan *p, const struct call *c, struct records *r, char why[WHY_BYTES]);
/* The same record by record, all shards by time; what it is made of. */
struct plan_maker;
struct plan_maker *plan_begin(struct plan *p, const struct options *o);
/* False, and why, when the record does not apply. */
bool plan_take(struct plan_maker *m, const struct journal_record *r, char why[WHY_BYTES]);
void plan_end(struct plan_maker **m);
void plan_fini(struct plan *p);
/* The command as a message; its lists are put into `lists`. */
void plan_msg(const struct plan *p, uint32_t command, struct arena *lists, struct msg *out);

#endif
