/*
 * sim_bridge.h - wires of the simulation, bridges at their ends, and the exchange behind these.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_SIM_SIM_BRIDGE_H
#define SCRIP_TESTS_SIM_SIM_BRIDGE_H

#include "base/map.h"
#include "base/msg.h"

#define SIM_LEDGERS_MAX 3
#define SIM_REAL_FILLS  8
#define SIM_ERRANDS     48

struct ledger;
struct sim;
struct sim_ledger;

/* ---- Wires ---------------------------------------------------------------------------------- */

struct packet {
    struct packet *next;
    int64_t due_us, sent_us;
    size_t length;
    uint8_t data[];
};

/* One direction of a connection: in order, with a delay; frames may get lost, be damaged, or come
 * a second time out of order. What was under way when it broke may come later than all others. */
struct wire {
    struct packet *first, *last;
    struct packet *strays; /* with a time of their own */
    int64_t delay_us;
    uint32_t lost, doubled, damaged; /* of 1000 */
    bool is_split; /* the next frame goes on where the last one ended: worth losing */
};

/* sim_net.c */
void wire_send(struct sim *s, struct wire *w, const uint8_t *data, size_t length);
/* NULL when nothing is due; the caller frees it. */
struct packet *wire_take(struct sim *s, struct wire *w);
void wire_clear(struct wire *w);
/* The connection broke: what was under way arrives, early or late, or does not. */
void wire_break(struct sim *s, struct wire *w);
bool wire_is_empty(const struct wire *w);

/* ---- Bridges -------------------------------------------------------------------------------- */

/* What the exchange has of a real order. */
struct sim_placed {
    struct bridge_place as; /* as it was sent */
    uint32_t received;      /* how often */
    enum order_status status;
    qty_t quantity, executed;
    struct exchange_fill fills[SIM_REAL_FILLS];
    uint32_t fills_count;
};

/* The exchange, which is never away: what is lost is lost on the way to it and back. */
struct sim_exchange {
    struct sim_placed *placed;
    uint32_t count, max;
    struct map by_order;
    void *bytes;
    uint64_t trades;
};

enum sim_errand_kind { ERRAND_PLACE, ERRAND_ARRIVES, ERRAND_CANCEL, ERRAND_ASK };

/* Something that a bridge does at the exchange. */
struct sim_errand {
    enum sim_errand_kind kind;
    struct bridge_place about;
    int64_t due_us, sent_us;
    bool is_used;
};

/* Told to a ledger again and again, until it answers. */
struct sim_said {
    struct msg msg;
    struct exchange_fill fills[SIM_REAL_FILLS];
    struct exchange_balance balances[2];
    int64_t again_us;
    uint32_t group;
    bool is_used;
};

/* A bridge keeps no state of orders: a crash forgets all of this. */
struct sim_bridge {
    bool is_up;
    int64_t up_us, skew_us;
    struct sim_errand errands[SIM_ERRANDS];
    struct sim_said said[SIM_ERRANDS];
    struct wire from_ledger[SIM_LEDGERS_MAX], to_ledger[SIM_LEDGERS_MAX]; /* it is asked */
    struct wire reports[SIM_LEDGERS_MAX], reported[SIM_LEDGERS_MAX];      /* it tells */
};

/* sim_bridge.c: bridges, and the exchange behind them */
void sim_bridges_new(struct sim *s);
void sim_bridges_free(struct sim *s);
void sim_bridges_turn(struct sim *s);
void sim_bridges_disconnect(struct sim *s, const struct sim_ledger *l);
/* Nothing of the exchange's is untold. NULL, or what is still to be told. */
const char *sim_exchange_unrest(struct sim *s, const struct ledger *l, uint32_t group);
/* Every order of the exchange is a ledger's, and the other way round. */
void sim_exchange_judge(struct sim *s, const struct ledger *all);

#endif
