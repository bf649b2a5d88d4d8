/*
 * link.h - the ledger's end of its sessions with the matchers.
 *
 * What a matcher decided but the ledger never received did not happen. A session makes that
 * exact: it begins with a hello that empties the matcher, the open orders follow, and frames are
 * numbered, so that a missing one shows and begins the next session.
 *
 *   HELLO ──ready──► SENDING ──all open orders, synced──► WORKING
 *     ▲                 │                                   │
 *     └─────────────────┴── gap, silence, link_lost ────────┘
 *
 * Two seconds after it last worked a matcher is away, and new orders for it are refused.
 *
 * Symbols are spread over the matchers by the hash of their name, in the order of the endpoints:
 * the same list everywhere, or orders and prices will not meet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_LINK_H
#define SCRIP_LEDGER_SHELL_LINK_H

#include "host/loop.h"
#include "ledger/core/ledger.h"

struct links;

struct links_options {
    struct loop *loop;
    struct ledger *ledger;
    const char *endpoints; /* of the matchers, with commas between */
    uint32_t group;        /* "ledger-<group>" is our name there */
    uint64_t epoch;
    void *arg;
    /* False: it could not be taken; the session is begun anew. */
    bool (*on_report)(void *arg, code_t matcher, struct msg *report);
    void (*on_explained)(void *arg, struct msg *said);
};

/* Opens the sockets and says hello. NULL, logged, when an endpoint makes no sense. */
struct links *links_open(const struct links_options *o);
void links_close(struct links **l);

/* An order_work, order_pull, order_trim or order_explain of the core. Dropped when the session is
 * not WORKING: the next one sends all open orders and pending pulls, and who waits for the answer
 * to another asks again. */
void links_send(struct links *l, const struct msg *m);
/* Takes no more reports until told otherwise; meanwhile silence is no fault. */
void links_pause(struct links *l, bool paused);
/* Every turn: sends the next part of the open orders. */
void links_turn(struct links *l);
/* How many matchers there are, and how many of them work. */
uint32_t links_count(const struct links *l);
uint32_t links_working(const struct links *l);

#endif
