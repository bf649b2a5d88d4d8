/*
 * conflate.h - what of a topic a client that lags behind still gets.
 *
 * A topic's lane keeps its messages once, for all who follow it; a follower has only a place in it,
 * so a slow one costs no memory. Two kinds of messages: of "newest" ones only the last counts (a
 * price, an open candle), the others of a lane are "kept" one by one (trades, closed candles), the
 * last kept_max of them. Who lags further behind is told how many it missed.
 *
 * What an item is, is its owner's matter: an item that leaves the lane is handed back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_CORE_CONFLATE_H
#define SCRIP_GATEWAY_CORE_CONFLATE_H

#include <stdint.h>

struct lane {
    void *newest;
    uint64_t newest_count; /* ever */
    void **kept;           /* a ring */
    uint32_t kept_max;
    uint64_t kept_count; /* ever */
};

/* How much of a lane a follower has. */
struct lane_place {
    uint64_t newest, kept;
};

/* Borrows `kept`, of kept_max items, which may be none. */
void lane_init(struct lane *l, void **kept, uint32_t kept_max);
/* Stands in for the newest one so far, which is given back (or NULL). NULL as item: there is no
 * newest any more. */
void *lane_put_newest(struct lane *l, void *item);
/* Gives back the item that fell out, or NULL. CHECKs that the lane keeps items at all. */
void *lane_put_kept(struct lane *l, void *item);
/* Takes the items out one by one, when nobody follows any more; NULL at the end. */
void *lane_take(struct lane *l);

/* A follower that joins hears the newest and nothing of what was kept. */
struct lane_place lane_join(const struct lane *l);
/* How many kept items a follower will never see, of which it is to be told; then it goes on behind
 * them. */
uint64_t lane_missed(const struct lane *l, struct lane_place *p);
/* What a follower is to be given next, lent, or NULL. Kept ones go first. `conflated` counts newest
 * ones that it will never see. */
void *lane_next(const struct lane *l, struct lane_place *p, uint64_t *conflated);

#endif
