/*
 * budget_priv.h - what budget.c (who asks, and in which order), budget_count.c (what is spent, and
 * how much may be) and budget_redis.c (shared with all processes) share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_BUDGET_PRIV_H
#define SCRIP_HOST_BUDGET_PRIV_H

#include <stddef.h>

#include "host/budget.h"

#define BUDGET_WINDOWS 4u  /* that are remembered: the last, this one and the next, by index */
#define BUDGET_BATCH   16u /* asks that Redis is asked for at once */
#define BUDGET_NEEDS   (BUDGET_PARTS_MAX + 1)

/* One who waits. */
struct ask {
    struct ask *next;
    uint64_t number; /* 0 = the place is free */
    enum budget_priority priority;
    int64_t give_up_us; /* steady clock */
    budget_answer *answer;
    void *arg;
    uint32_t needs_count;
    struct budget_part needs[BUDGET_NEEDS]; /* the host's weight first */
};

struct window {
    int64_t index;       /* since the epoch */
    uint32_t known;      /* spent by all, as far as was heard */
    uint32_t base;       /* `known` when Redis was lost in it */
    uint32_t alone;      /* spent by this process without Redis */
    uint32_t unreported; /* of `alone`, not yet told to Redis */
};

struct budget_limit {
    struct budget_limit *next;
    char *name; /* in Redis; the host's own is the host's */
    uint32_t limit;
    int64_t window_us, edge_us;
    struct window windows[BUDGET_WINDOWS];
    /* From this priority on there is no room until then. */
    enum budget_priority blocked;
    int64_t blocked_until_us;
};

/* A limit's windows in which a request of now may be counted: 1 or 2. */
struct budget_span {
    struct budget_limit *limit; /* NULL once it was closed */
    int64_t windows[2];
    uint32_t count;
};

/* What Redis was asked for; outlives a budget that was closed meanwhile. */
struct take_call {
    struct budget *budget; /* NULL once it is closed */
    uint64_t asks[BUDGET_BATCH];
    uint32_t asks_count;
    uint32_t runs[BUDGET_BATCH]; /* of equal asks: how many each has */
    struct budget_span spans[BUDGET_BATCH * BUDGET_PARTS_MAX + 1];
    uint32_t spans_count;
};

struct budget {
    struct loop *loop;
    struct redis_link *redis;
    struct budget_limit own; /* the host's weight; the others are behind it */
    uint32_t alone_percent;
    bool frees_reserve;
    int64_t banned_until_us;
    /* Redis: */
    uint32_t ups;           /* of the link, when it was last looked at */
    int64_t opened_us;      /* steady clock */
    int64_t alone_until_us; /* shared again from then on */
    bool was_alone;
    bool knows_script;
    char script_sha[41];
    struct take_call *call; /* while Redis is being asked */
    /* Who waits: */
    struct ask *asks, *free;
    uint32_t queue_max;
    struct ask *first[BUDGET_PRIORITIES], **last[BUDGET_PRIORITIES];
    uint32_t waiting;
    uint64_t last_number;
    bool is_pumping, is_closing, is_held;
    struct loop_timer *tick;
    struct metric *used, *limits, *is_alone, *bans, *granted[BUDGET_PRIORITIES],
        *refused[BUDGET_PRIORITIES];
};

/* ---- Counting ---- */
/* The most that a priority may ever use. */
uint32_t budget_most(const struct budget *b, const struct budget_limit *l, enum budget_priority p);
/* How much of a window's limit a priority may use now. */
uint32_t budget_ceiling(const struct budget *b, const struct budget_limit *l,
                        enum budget_priority p, int64_t window);
void budget_span_fill(const struct budget *b, struct budget_limit *l, struct budget_span *out);
struct window *budget_window(struct budget_limit *l, int64_t index);
/* When a window is counted in no more. */
int64_t budget_window_over_us(const struct budget_limit *l, int64_t index);
/* When there may be room for that much, as far as is known; 0 = there is. */
int64_t budget_no_room_until_us(const struct budget *b, const struct budget_span *s,
                                uint32_t amount, enum budget_priority p);
/* Looks at Redis; true while this process keeps to its share by itself. */
bool budget_is_alone(struct budget *b);
/* True in the first moments, when Redis may still be on its way. */
bool budget_is_starting(const struct budget *b);
/* Redis is there and of no use: alone until the window is over. */
void budget_be_alone(struct budget *b);
/* Spends alone; false with those limits blocked that have no room. */
bool budget_take_alone(struct budget *b, const struct ask *k);
void budget_block(struct budget *b, struct budget_limit *l, enum budget_priority p,
                  int64_t until_us);

/* ---- Redis ---- */
/* Asks for all of these, in order; budget_took() is called with the answer in a later turn. False:
 * not sent. */
bool budget_take_shared(struct budget *b, struct ask *const *asks, uint32_t count);
/* `granted` has one for each of call->asks. */
void budget_took(struct budget *b, const struct take_call *call, const bool *granted);
/* Tells Redis what it may not know: spent alone, counted by the exchange, banned. */
void budget_tell(struct budget *b, const struct budget_limit *l, struct window *w);
void budget_limit_forget(struct budget *b, const struct budget_limit *l);

#endif
