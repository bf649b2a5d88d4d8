/*
 * budget_priv.h - what budget.c (who asks, and in which order), budget_count.c (what is spent, and
 * how much may be) and budget_redis.c (shared with all processes) share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_BUDGET_PRIV_H
#define SCRIP_HOST_BUDGET_PRIV_H

#include <stddef.h>

#include "base/allowance.h"
#include "host/budget.h"

#define BUDGET_BATCH       16u /* asks that Redis is asked for at once */
#define BUDGET_NEEDS       (BUDGET_PARTS_MAX + 1)
#define BUDGET_TELLS       (ALLOWANCE_AHEAD + 2) /* windows of a limit in one command */
#define BUDGET_STATE_BYTES 96u

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

struct budget_limit {
    struct budget_limit *next;
    char *name; /* in Redis; the host's own is the host's */
    struct allowance_limit count;
    int64_t asked_us; /* steady clock: when somebody last needed it; 0 = nobody did */
    /* From this priority on there is no room until then. */
    enum budget_priority blocked;
    int64_t blocked_until_us;
};

/* The windows of a limit in a command. Of a take: those in which a request of now may be counted.
 */
struct budget_span {
    struct budget_limit *limit; /* NULL once it was closed */
    struct allowance_tell tells[BUDGET_TELLS];
    uint32_t count;
};

/* What Redis was asked for; outlives a budget that was closed meanwhile. */
struct take_call {
    struct take_call *next; /* of all under way */
    struct budget *budget;  /* NULL once it is closed */
    uint64_t asks[BUDGET_BATCH];
    uint32_t asks_count;
    uint32_t runs[BUDGET_BATCH]; /* of equal asks: how many each has */
    struct budget_span spans[BUDGET_BATCH * BUDGET_PARTS_MAX + 1];
    uint32_t spans_count;
};

struct meet_call;

struct budget {
    struct loop *loop;
    struct redis_link *redis;
    struct budget_limit own; /* the host's weight; the others are behind it */
    bool frees_reserve;
    int64_t banned_until_us;
    int64_t
        own_ban_until_us; /* heard here; of others' bans nobody else is told, or they would grow */
    /* Redis: */
    struct allowance allowance;
    uint32_t ups;       /* of the link, when it was last looked at */
    int64_t opened_us;  /* steady clock */
    int64_t meet_at_us; /* steady clock: not asked for its birth before */
    struct meet_call *meeting;
    char state[BUDGET_STATE_BYTES]; /* what Redis calls itself and its birth; "" = never met */
    bool is_newborn;                /* Redis is: those who knew it before are waited for */
    bool was_alone;
    bool knows_script;
    char script_sha[41];
    struct take_call *call;  /* while Redis is asked for somebody */
    struct take_call *calls; /* all that Redis has not answered */
    struct loop_timer *beat;
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
void budget_span_fill(const struct budget *b, const struct budget_limit *l,
                      struct allowance_span *out);
struct allowance_window *budget_window(struct budget *b, struct budget_limit *l, int64_t index);
/* When there may be room for that much in a window, as far as is known; 0 = there is. */
int64_t budget_no_room_until_us(struct budget *b, struct budget_limit *l, int64_t window,
                                uint32_t amount, enum budget_priority p);
/* Looks at Redis; true while this process keeps to its allowance. */
bool budget_is_alone(struct budget *b);
/* True in the first moments, when Redis may still be on its way. */
bool budget_is_starting(const struct budget *b);
/* What was counted there is not to be relied on, or Redis is not. */
void budget_part(struct budget *b);
/* It was tried from then on to reach Redis, in vain. */
void budget_fail(struct budget *b, int64_t begun_us);
/* False: it has to be asked again. */
bool budget_meet(struct budget *b, int64_t born_us, int64_t guessed_us);
/* Spends of what this process may spend alone; false with, for each need, when there may be room
 * for it, 0 = there is. */
bool budget_take_own(struct budget *b, const struct ask *k, int64_t until_us[BUDGET_NEEDS]);
/* The same; false with those limits blocked that have no room. */
bool budget_take_alone(struct budget *b, const struct ask *k);
void budget_block(struct budget *b, struct budget_limit *l, enum budget_priority p,
                  int64_t until_us);

/* ---- Redis ---- */
/* Asks Redis for its birth, once it is there. */
void budget_greet(struct budget *b);
/* Asks for all of these, in order; budget_took() is called with the answer in a later turn. False:
 * not sent. */
bool budget_take_shared(struct budget *b, struct ask *const *asks, uint32_t count);
/* `granted` has one for each of call->asks. */
void budget_took(struct budget *b, const struct take_call *call, const bool *granted);
/* Tells Redis what it may not know of a limit, and what may be given back and has to be kept. */
void budget_tell(struct budget *b, struct budget_limit *l);
/* Gives back what is kept for this process. */
void budget_leave(struct budget *b);
/* Tells it of a ban. */
void budget_tell_ban(struct budget *b);
void budget_limit_forget(struct budget *b, const struct budget_limit *l);
/* No answer finds it any more. */
void budget_calls_forget(struct budget *b);

#endif
