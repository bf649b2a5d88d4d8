/*
 * budget_priv.h - what budget.c (who asks, and in which order) and budget_count.c (what is spent,
 * here and in Redis) share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_BUDGET_PRIV_H
#define SCRIP_HOST_BUDGET_PRIV_H

#include "host/budget.h"

#define BUDGET_WINDOWS 4u /* that are remembered: the last, this one and the next, by index */

/* One who waits. */
struct ask {
    struct ask *next;
    uint64_t number;
    uint32_t weight;
    enum budget_priority priority;
    int64_t give_up_us; /* steady clock */
    budget_answer *answer;
    void *arg;
};

struct window {
    int64_t index;       /* since the epoch */
    uint32_t known;      /* spent by all, as far as was heard */
    uint32_t base;       /* `known` when Redis was lost in it */
    uint32_t alone;      /* spent by this process without Redis */
    uint32_t unreported; /* of `alone`, not yet told to Redis */
};

/* What an answer of Redis finds its budget by; outlives a budget that was closed meanwhile. */
struct take_call {
    struct budget *budget; /* NULL once it is closed */
};

struct budget {
    struct loop *loop;
    struct redis_link *redis;
    char *host;
    uint32_t limit, alone_percent;
    int64_t window_us, edge_us;
    struct window windows[BUDGET_WINDOWS];
    int64_t banned_until_us;
    /* Redis: */
    uint32_t ups;           /* of the link, when it was last looked at */
    int64_t opened_us;      /* steady clock */
    int64_t alone_until_us; /* shared again from then on */
    bool was_alone;
    bool knows_script;
    char script_sha[41];
    /* Who waits: */
    struct ask *asks, *free;
    struct ask *first[BUDGET_PRIORITIES], **last[BUDGET_PRIORITIES];
    uint32_t waiting;
    uint64_t last_number, taking; /* the number that Redis is being asked for; 0 = none */
    struct take_call *call;       /* while Redis is being asked */
    int64_t taking_windows[2];
    uint32_t taking_weight, taking_ceiling;
    bool is_pumping, is_closing;
    /* From this priority on there is no room until then. */
    enum budget_priority blocked;
    int64_t blocked_until_us;
    struct loop_timer *tick;
    struct metric *used, *limits, *is_alone, *bans, *granted[BUDGET_PRIORITIES],
        *refused[BUDGET_PRIORITIES];
};

/* What Redis says to a take. */
struct take {
    bool is_granted;
    int64_t blocked_until_us; /* when there was no room; 0 = to be asked again */
};

/* How much of the limit a priority may use. */
uint32_t budget_ceiling(const struct budget *b, enum budget_priority p);
/* The windows in which a request of now may be counted: 1 or 2. */
uint32_t budget_windows(const struct budget *b, int64_t out[2]);
struct window *budget_window(struct budget *b, int64_t index);
/* Looks at Redis; true while this process keeps to its share by itself. */
bool budget_is_alone(struct budget *b);
/* True in the first moments, when Redis may still be on its way. */
bool budget_is_starting(const struct budget *b);
/* Spends alone; false with the time when there may be room. */
bool budget_take_alone(struct budget *b, const struct ask *k, int64_t *blocked_until_us);
/* Asks Redis; budget_took() is called with its answer in a later turn. False: not sent. */
bool budget_take_shared(struct budget *b, const struct ask *k);
void budget_took(struct budget *b, const struct take *t);
/* Tells Redis what it may not know: spent alone, counted by the exchange, banned. */
void budget_tell(struct budget *b, struct window *w);

#endif
