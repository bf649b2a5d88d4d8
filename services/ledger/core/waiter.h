/*
 * waiter.h - requests that are answered when the matcher reports.
 *
 * Volatile: a restarted ledger has none, and the gateway's resent request waits anew. A request
 * resent with the same (peer, corr) waits once. When a pool is full the caller refuses; when one
 * order or account has too many, the oldest is dropped, since its gateway gave up long ago.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_WAITER_H
#define SCRIP_LEDGER_CORE_WAITER_H

#include "ledger/core/ledger.h"
#include "ledger/core/reply.h"

#define WAITERS_PER_ORDER  8
#define GROUPS_PER_ACCOUNT 4

enum waiter_kind {
    WAITER_PLACE,  /* for the first report: rested or ended */
    WAITER_CANCEL, /* for the end */
    WAITER_GROUP,  /* one of an order_cancel_all */
    WAITER_AMEND,  /* for the answer to an order_trim */
    WAITER_WHY,    /* for the answer to an order_explain */
    /* At an open order of a list: */
    WAITER_LIST_PLACE,  /* for the first reports of the orders that are live from the start */
    WAITER_LIST_CANCEL, /* for the end of all */
};

struct ledger_waiter {
    enum waiter_kind kind;
    struct asker who;
    uint32_t order;
    uint32_t next; /* of the same order; free: next free */
    uint32_t group, next_member;
    qty_t quantity; /* WAITER_AMEND: what was asked for */
    bool answered;  /* WAITER_GROUP: its order has ended, it left the order's list */
};

/* One order_cancel_all. */
struct ledger_group {
    struct asker who;
    uint32_t account;
    uint32_t next; /* of the same account; free: next free */
    uint32_t first_member, last_member;
    uint32_t members, left; /* orders asked for, and those not ended yet */
};

uint32_t groups_max(const struct ledger_limits *limits);
void waiters_init(struct ledger *l);

/* Makes `who` wait for the order; false when the pool is full. */
bool waiter_add(struct ledger *l, struct ledger_order *o, enum waiter_kind kind, struct asker who);
/* Answers whom this order's state answers, after a report. `is_first`: it rested or ended. */
void waiters_answer(struct ledger *l, struct ledger_order *o, bool is_first, struct outbox *out);

/* Refuses all who wait for it in this way; with WAITER_CANCEL an order_cancel_all goes on without
 * it. */
void waiters_refuse(struct ledger *l, struct ledger_order *o, enum waiter_kind kind,
                    const struct refused *why, struct outbox *out);

/* As waiter_add(), for an amendment to this quantity. */
bool waiter_add_amend(struct ledger *l, struct ledger_order *o, qty_t quantity, struct asker who);
/* Answers those whose amendment was made (`to`), or can no longer be (0). */
void waiters_trimmed(struct ledger *l, struct ledger_order *o, qty_t to, struct outbox *out);
/* Answers those who wait for the matcher's story of it; NULL: it has none. */
void waiters_explained(struct ledger *l, struct ledger_order *o, const struct story *story,
                       struct outbox *out);
/* Takes off the order the first who waits for its list in this way; false when nobody does. */
bool waiter_take_list(struct ledger *l, struct ledger_order *o, enum waiter_kind kind,
                      struct asker *who);

/* Opens a group; NULL when there is no room for it and `members` waiters. */
struct ledger_group *group_open(struct ledger *l, struct ledger_account *a, struct asker who,
                                uint32_t members);
bool group_waits(const struct ledger *l, const struct ledger_account *a, struct asker who);
void group_add(struct ledger *l, struct ledger_group *g, struct ledger_order *o);

#endif
