/*
 * caller_priv.h - what caller.c (a call's way), caller_host.c (an exchange's clock, limits and
 * health), caller_send.c (its bytes, signed) and caller_answer.c (what came back) share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_CALLER_PRIV_H
#define SCRIP_BRIDGE_SHELL_CALLER_PRIV_H

#include "base/map.h"
#include "exchange-bridge/core/breaker.h"
#include "exchange-bridge/core/server_clock.h"
#include "exchange-bridge/shell/caller.h"
#include "host/budget.h"
#include "host/metrics.h"

#define CALLER_HOSTS     4u
#define CALLER_LANES     1024u /* keys that are remembered */
#define CALLER_OWN_SLOTS 16u   /* for asking the time */
#define CALLER_URL_BYTES 4096u
#define CALLER_VERDICTS  (VERDICT_UNKNOWN + 1)

enum orders_window { ORDERS_10S, ORDERS_1M, ORDERS_1D, ORDERS_WINDOWS };

enum slot_state {
    SLOT_FREE,
    SLOT_HELD,    /* until its host is healthy and the clock is known */
    SLOT_ASKING,  /* for room in the limits */
    SLOT_SIGNING, /* a slow key: until it is its turn */
    SLOT_SENT,
    SLOT_PAUSED, /* before it is sent again */
    SLOT_OVER,   /* its end is told in the next turn */
};

/* A key on a host: its order limits, and whether it was refused. */
struct lane {
    uint64_t number; /* of keys.h; 0 = the place is free */
    struct caller_host_state *host;
    enum key_kind kind; /* NONE until it was looked at */
    uint32_t users;
    int64_t used_us;
    bool has_limits;
    struct budget_limit *orders[ORDERS_WINDOWS];
    int64_t refused_until_us[CALL_SETS + 1]; /* by class: a key may read and not trade */
};

struct slot {
    struct caller *caller;
    struct slot *next; /* of the free ones, of those that are held, or that wait to be signed */
    struct caller_host_state *host;
    struct lane *lane; /* NULL without a stored key */
    enum slot_state state;
    uint64_t number;
    struct call call;
    const struct call_facts *facts;
    uint64_t key;
    struct sign_key *trial;
    enum budget_priority priority;
    int64_t began_us, give_up_us; /* steady clock */
    int64_t send_by_us;           /* of this machine's clock; 0 = any time */
    bool is_dropped, is_own, has_learnt_clock;
    uint32_t failures; /* definite ones, so far */
    uint64_t ask, request;
    int64_t left_us;          /* steady clock, when it was last sent */
    int64_t timeout_ms;       /* that it then had */
    struct caller_reply last; /* body and length stay empty */
    caller_done *done;
    void *arg;
    struct loop_timer *timer;
};

struct caller_host_state {
    struct caller *caller;
    enum environment environment;
    enum trading_type type;
    char *base_url; /* "" = there is none */
    struct budget *budget;
    uint32_t orders[ORDERS_WINDOWS]; /* limits; 0 = none of that kind */
    struct breaker breaker;
    struct server_clock clock;
    bool is_wanted, is_asked; /* its clock */
    uint32_t quick_left;      /* times that it is asked at once again */
    int64_t asked_us;         /* steady clock, when that request left */
    struct ruling why;        /* why its clock could not be had, the last time */
    struct loop_timer *timer;
    struct slot *held, **held_last;
    struct metric *is_open, *offset;
};

struct caller {
    struct loop *loop;
    struct keys *keys;
    struct fetch *fetch;
    struct caller_host_state hosts[CALLER_HOSTS];
    uint32_t waiting_max, in_flight_max;
    int64_t timeout_ms, recv_window_ms, patience_ms;
    struct slot *slots, *free;
    struct slot *signing, **signing_last; /* by slow keys */
    struct loop_timer *sign;
    uint32_t slots_count, used, in_flight; /* in flight: sent, or waiting to be signed */
    uint64_t last_number, random;
    struct lane lanes[CALLER_LANES];
    struct map lane_of;
    void *lane_bytes;
    struct metric *verdicts[CALL_COUNT][CALLER_VERDICTS];
    struct metric *waiting, *flying, *took_us, *busy;
};

/* ---- caller.c ---- */
/* Goes on with a call from the beginning: held, asking, or over. */
void caller_slot_go(struct slot *s);
/* A call of the host's own: no patience, no repetition. False when there is no slot. */
bool caller_send_own(struct caller_host_state *h, enum call_name name, caller_done *done);
/* A call's end without a further answer, told in the next turn. */
void caller_slot_over(struct slot *s, enum verdict verdict, enum err error, int64_t retry_ms,
                      const char *message);
/* There is room and it is granted: out with it, or held back after all. */
void caller_on_room(void *arg, bool is_granted, int64_t retry_after_ms);
void caller_on_fetch(void *arg, const struct fetch_reply *r);

/* ---- caller_host.c ---- */
struct caller_host_state *caller_host_find(const struct caller *c, enum environment e,
                                           enum trading_type type);
void caller_host_open(struct caller *c, const struct caller_host *h, struct redis_link *redis);
void caller_host_close(struct caller_host_state *h);
/* Whether it may be sent to now; its clock is asked for when that is what is missing. */
bool caller_host_takes(struct caller_host_state *h, const struct slot *s);
/* Keeps the call until it may. */
void caller_host_keep(struct caller_host_state *h, struct slot *s);
void caller_host_let_go(struct caller_host_state *h, struct slot *s);
/* What became of a request: health. */
void caller_host_heard(struct caller_host_state *h, const struct fetch_reply *r);
/* The clock is not what it was thought to be. */
void caller_host_relearn(struct caller_host_state *h);
/* How long everybody leaves it alone, as it wished. */
int64_t caller_host_banned_us(const struct caller_host_state *h);
/* From now on its clock is kept. */
void caller_host_want(struct caller_host_state *h);

/* ---- caller_send.c ---- */
/* The lane of a key; NULL when there are too many. */
struct lane *caller_lane(struct caller *c, struct caller_host_state *h, uint64_t key);
/* Opens its order limits; false when the key cannot be opened. */
bool caller_lane_limits(struct caller *c, struct lane *l);
void caller_lane_learn(struct slot *s, const struct fetch_reply *r);
/* The exchange says that the account has placed too much. */
void caller_lane_fill(struct slot *s, int64_t retry_after_s);
void caller_lanes_close(struct caller *c);
/* Whether its signature keeps the loop for long: RSA takes 0.8 ms with 2048 bit, 6 ms with 4096. */
bool caller_slot_signs_slowly(const struct slot *s);
/* Signs it and sends it; false when it is over instead. */
bool caller_slot_send(struct slot *s);

/* ---- caller_answer.c ---- */
/* What came back, as a verdict; the slot's `last` tells it. */
void caller_slot_judge(struct slot *s, const struct fetch_reply *r);
/* Counts of the exchange; how long everybody waits. */
void caller_slot_learn(struct slot *s, const struct fetch_reply *r);

#endif
