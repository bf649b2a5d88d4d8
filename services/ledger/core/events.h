/*
 * events.h - what the owners of accounts are told, and a bounded memory of it.
 *
 * Each event of an account has the next sequence number, which is part of the state. The ring
 * keeps the process's latest events; a client that comes back gets those it missed, or a snapshot
 * when the ring has moved on. The ring is not part of the state: after a restart it is empty.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_EVENTS_H
#define SCRIP_LEDGER_CORE_EVENTS_H

#include "ledger/core/ledger.h"
#include "ledger/core/reply.h"

#define EVENTS_RESUME_MAX 1000 /* more missed ones than that: a snapshot */

struct ledger_event {
    uint64_t account_id, sequence;
    uint64_t previous; /* place + 1 of the account's event before; 0 = none */
    enum msg_type type;
    int64_t time_us;
    union {
        struct order order;
        struct trade trade;
        struct balance balance;
        struct list list;
    };
};

void event_of_order(struct ledger *l, const struct ledger_order *o, struct outbox *out);
void event_of_list(struct ledger *l, const struct ledger_account *a, const struct list *list,
                   struct outbox *out);
void event_of_trade(struct ledger *l, const struct ledger_account *a, const struct trade *t,
                    struct outbox *out);
void event_of_balance(struct ledger *l, const struct ledger_balance *b, int64_t now_us,
                      struct outbox *out);

/* event_resume: answers event_resumed, followed by the missed events. */
void events_resume(const struct ledger *l, struct asker who, const struct event_resume *ask,
                   struct outbox *out);

#endif
