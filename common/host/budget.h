/*
 * budget.h - the request weight that an exchange allows one address, shared by all processes.
 *
 * A limit counts in aligned windows (Binance: 6000 a minute for spot, from second 0). The count
 * lives in Redis, changed by one atomic script, so that no two processes spend the same weight;
 * what the exchange says it has counted wins when it is higher. Near the edge of a window nobody
 * knows in which one the exchange will count a request: it is counted in both. 429 and 418 stop
 * every process until their time is over.
 *
 * A process that cannot reach Redis spends its allowance of a window: `alone_percent` of the limit,
 * which Redis has kept free for it, or which no Redis can have given to others. In the window in
 * which Redis was lost that is a little of the weight, for cancels; of a Redis that came back empty
 * nothing is granted in that window. base/allowance.h tells why no window goes over its limit then.
 *
 * Who asks waits in order of priority; each priority may use the limit up to its own percentage
 * (100, 95, 80, 70), so that reads leave room for orders and orders for cancels. What is kept free
 * so may shrink to nothing towards the window's end: then it would be lost to everybody.
 *
 * Further limits of the same host (orders of an account) have windows of their own. An ask names
 * what it needs of each, and is granted all of it in one step, or waits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_BUDGET_H
#define SCRIP_HOST_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "host/fetch.h"
#include "host/redis_link.h"

struct budget;
struct budget_limit;

#define BUDGET_HOST_BYTES 256u
#define BUDGET_PARTS_MAX  3u

enum budget_priority { BUDGET_CANCEL, BUDGET_ORDER, BUDGET_SYNC, BUDGET_READ, BUDGET_PRIORITIES };

struct budget_options {
    struct loop *loop;
    struct redis_link *redis; /* NULL = alone; borrowed */
    const char *host;         /* names the limit in Redis: "api.binance.com"; copied */
    uint32_t limit;           /* weight a window */
    int64_t window_ms;        /* aligned to the epoch */
    uint32_t alone_percent;   /* of the limit, while Redis is away; of all processes 100 at most */
    uint32_t queue_max;       /* that wait at most */
    bool frees_reserve;       /* what lower priorities leave free shrinks until the window ends */
};

/* Granted: send now, retry_after_ms is 0. Refused: it says when there may be room (no room within
 * the patience, queue full, banned). */
typedef void budget_answer(void *arg, bool is_granted, int64_t retry_after_ms);

/* "api.binance.com" of "https://api.binance.com/": what the weight is counted for. */
void budget_host_of(const char *url, char out[BUDGET_HOST_BYTES]);
struct budget *budget_open(const struct budget_options *o);
/* Whoever waits is refused first. */
void budget_close(struct budget **b);
/* The exchange's own limit, from exchangeInfo. */
void budget_set_limit(struct budget *b, uint32_t limit);
/* Asks for weight; the answer may come at once. Waits at most `patience_ms` for a window with
 * room. Gives a number for budget_drop(), 0 when it was answered at once. */
uint64_t budget_ask(struct budget *b, uint32_t weight, enum budget_priority priority,
                    int64_t patience_ms, budget_answer *answer, void *arg);
void budget_drop(struct budget *b, uint64_t ask);
/* While it is held nobody is granted anything: the asker has its hands full. */
void budget_hold(struct budget *b, bool is_held);
/* To be told of every reply of the exchange: its own count (of used_weight_1m), 429 and 418 with
 * their Retry-After. */
void budget_learn(struct budget *b, const struct fetch_reply *r);
/* Weight left in this window as far as is known, and until when all wait (0 = nobody does). */
uint32_t budget_left(const struct budget *b);
int64_t budget_banned_until_us(const struct budget *b);

/* ---- Further limits of the host ---- */

/* `name` tells it from the others in Redis; copied. A limit of 0 is none: always room. */
struct budget_limit *budget_limit_open(struct budget *b, const char *name, uint32_t limit,
                                       int64_t window_ms);
/* Nobody who waits may need it; those that are left are closed with the budget. */
void budget_limit_close(struct budget *b, struct budget_limit **l);
void budget_limit_set(struct budget *b, struct budget_limit *l, uint32_t limit);
/* The exchange's own count; -1 = it did not say. `date_us` is its clock, -1 = not known. */
void budget_limit_learn(struct budget *b, struct budget_limit *l, int64_t count, int64_t date_us);
/* The exchange says that it is used up, whatever was counted. */
void budget_limit_fill(struct budget *b, struct budget_limit *l);

struct budget_part {
    struct budget_limit *limit;
    uint32_t amount;
};
/* As budget_ask(), for weight and all parts together; the parts are copied. */
uint64_t budget_ask_all(struct budget *b, uint32_t weight, const struct budget_part *parts,
                        uint32_t parts_count, enum budget_priority priority, int64_t patience_ms,
                        budget_answer *answer, void *arg);
/* Stops all processes for so long, as a 429 does. */
void budget_ban(struct budget *b, int64_t wait_s);

#endif
