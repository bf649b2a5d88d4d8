/*
 * allowance.h - who may spend what of an exchange's limit, and when: the rules without the Redis.
 *
 * Of each window of a limit Redis has two numbers: what is SPENT of it, and what is KEPT free for
 * single processes. One process's part of what is kept is its allowance: it alone may spend it,
 * without asking anybody.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_ALLOWANCE_H
#define SCRIP_BASE_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The invariant: what was really spent in a window, and every allowance of it that is still held,
 * is never more than spent + kept in Redis; and no command of a process raises spent + kept beyond
 * the limit.
 *
 * 1. Shared. A request of a process is counted by Redis in every window in which the exchange may
 *    count it (`edge` on both sides of now), if there is room beside what is kept. A grant is used
 *    only while now's windows are among those it was counted in. A reply that is late, or never
 *    comes, leaves too much counted, never too little.
 * 2. Ahead. For the next ALLOWANCE_AHEAD windows each process has its share of the limit kept, and
 *    gives it back with its first command in that window: so whoever is cut off from Redis has
 *    his share in the windows that follow, and in a quiet world nothing of the limit lies idle.
 *    What is given back is gone when the command leaves, whatever becomes of it; what is asked for
 *    is held when the reply has come. Who trades holds a little of the present window back, until
 *    its last quarter, for cancels when Redis is lost in the middle of it.
 * 3. A Redis that is born (it began empty, or with old numbers) does not know what was spent
 *    before: of the window of its birth nothing is granted (closed), and in the next
 *    ALLOWANCE_AHEAD (covered) the whole limit is kept at first: each process that could have an
 *    allowance there gives its own share back when it comes. Its windows are named by its birth,
 *    and each command names the birth its sender knows: an older one is not carried out.
 * 4. Redis is away for longer: no process holds anything any more, and each has its share of a
 *    window from when it has failed to reach Redis before that window: any Redis that there may be
 *    since then was born after that, so that the window is closed or covered. It says so when it
 *    is back, and a Redis that lost nothing counts as born then.
 * 5. The exchange's own count raises what is spent and never lowers it.
 *
 * What it rests on:
 * - each clock is right by `edge`, the way to the exchange included;
 * - the shares of all processes are the whole limit at most;
 * - a process that cannot reach a Redis which others do reach can do so again, or holds still,
 *   when ALLOWANCE_AHEAD windows are over - else it goes by the exchange's own count;
 * - of those who spent, one is left to tell a Redis that lost its numbers, and comes before a
 *   process that knows nothing (which waits for him, if that Redis has only just begun).
 *
 * A limit with windows longer than ALLOWANCE_LONG_US (orders of a day) is too long to be closed:
 * there each process without Redis has its share of what was left when it last heard, and a Redis
 * that is born begins with the highest count that is told it in its first minute.
 */
#define ALLOWANCE_AHEAD   2
#define ALLOWANCE_WINDOWS 8 /* that are remembered, by index */
#define ALLOWANCE_LONG_US INT64_C(60000000)

/* This process and the Redis of a host. */
struct allowance {
    uint32_t percent;  /* of each limit: the share of this process */
    bool is_by_itself; /* there is no Redis to share by */
    bool is_trading;   /* holds a little back for cancels */
    int64_t opened_us;
    bool is_met;     /* the birth of the Redis that is there now is known */
    bool is_another; /* it was not the one before */
    int64_t born_us; /* 0 = nothing was spent before it */
    int64_t heard_us;
    int64_t failed_us;  /* when the last attempt to reach it began that failed; 0 = none since */
    int64_t guessed_us; /* the attempt that a share was taken by, not yet told; 0 = none */
};

struct allowance_window {
    int64_t index;   /* since the epoch */
    uint32_t known;  /* spent by all, as far as was heard */
    uint32_t base;   /* long ones: `known` when Redis was lost */
    uint32_t own;    /* may be spent by this process without Redis, which keeps it free */
    uint32_t alone;  /* has been spent so */
    uint32_t untold; /* of `alone`, not yet told Redis */
    uint32_t kept;   /* for others, when it was last heard */
    bool is_begun;   /* a command in it has left: nothing more will be kept for us */
    bool is_asked;   /* Redis was asked to keep our share */
    bool is_to_tell; /* Redis may not know all that we know */
    bool is_vain;    /* not long before it Redis could not be reached */
};

struct allowance_limit {
    uint32_t limit;
    int64_t window_us, edge_us;
    bool is_weight; /* of the host: the one that cancels need, too */
    struct allowance_window windows[ALLOWANCE_WINDOWS];
};

/* The windows in which a request of now may be counted: 1 or 2. */
struct allowance_span {
    int64_t windows[2];
    uint32_t count;
};

/* What one command says of one window. Redis: spent = max(spent + add, known); kept begins with
 * `kept` where it has none, give is taken off it, and what has room of `ask` is put on. */
struct allowance_tell {
    int64_t index;
    uint32_t limit, known, kept, give, add, ask;
};

void allowance_limit_init(struct allowance_limit *l, uint32_t limit, int64_t window_us);
void allowance_span(const struct allowance_limit *l, int64_t now_us, struct allowance_span *out);
/* Too long to be closed: nothing of it is kept for anybody. */
bool allowance_is_long(const struct allowance_limit *l);
/* Whether what was counted in `counted` may be used now. */
bool allowance_is_counted(const struct allowance_limit *l, const struct allowance_span *counted,
                          int64_t now_us);
/* NULL for one that is too old. */
struct allowance_window *allowance_window(const struct allowance *a, struct allowance_limit *l,
                                          int64_t index);

/* ---- The Redis of now ---- */
/* Its birth, as it said when it was told of that guess; for each limit allowance_renew() follows.
 * False: it has to be asked again, since meanwhile a share was taken. */
bool allowance_meet(struct allowance *a, int64_t born_us, int64_t guessed_us, int64_t now_us);
void allowance_renew(const struct allowance *a, struct allowance_limit *l);
/* The connection is gone; for each limit allowance_lose() follows. */
void allowance_part(struct allowance *a);
void allowance_lose(const struct allowance *a, struct allowance_limit *l, int64_t now_us);
/* It was tried to reach it from begun_us on, and that had failed at end_us; true when that is news,
 * and for each limit allowance_miss() follows. */
bool allowance_fail(struct allowance *a, int64_t begun_us);
void allowance_miss(const struct allowance *a, struct allowance_limit *l, int64_t begun_us,
                    int64_t end_us);
/* Nothing of that window is granted by this Redis. */
bool allowance_is_closed(const struct allowance *a, const struct allowance_limit *l, int64_t index,
                         int64_t now_us);
/* Redis may be asked for something of now. */
bool allowance_is_open(const struct allowance *a, const struct allowance_limit *l, int64_t now_us);

/* ---- Commands ---- */
/* What the next command says of a window; it must be sent. `asks`: to have the share kept in a
 * window that is still to come. */
void allowance_tell(const struct allowance *a, struct allowance_limit *l, int64_t index,
                    int64_t now_us, bool asks, struct allowance_tell *out);
/* The same by a process that ends: it gives back all it has. */
void allowance_leave(const struct allowance *a, struct allowance_limit *l, int64_t index,
                     struct allowance_tell *out);
/* Whether there is something to say of it. */
bool allowance_has_to_tell(const struct allowance *a, struct allowance_limit *l, int64_t index,
                           int64_t now_us, bool asks);
/* It was carried out: what is spent, what is kept for all, and how much more for us. */
void allowance_told(struct allowance *a, struct allowance_limit *l, int64_t index, int64_t now_us,
                    uint64_t spent, uint64_t kept, uint64_t ours);
/* It was not carried out, which is certain. */
void allowance_not_told(const struct allowance *a, struct allowance_limit *l,
                        const struct allowance_tell *t);

/* ---- Alone ---- */
/* Whether that much may be spent in a window without Redis; `ceiling` is the part of the limit
 * that its priority may use. */
bool allowance_has(struct allowance *a, struct allowance_limit *l, int64_t index, uint32_t amount,
                   uint32_t ceiling);
void allowance_spend(const struct allowance *a, struct allowance_limit *l, int64_t index,
                     uint32_t amount);

#endif
