/*
 * ladder.h - the prices of one side of a book in order, as a B+tree of pooled nodes.
 *
 * A ladder maps int64 keys to slots of some pool. Keys are "how good for a taker": ladder_key()
 * turns a price of a side into one, so that the best price of either side has the greatest key
 * and lies at the end of the last leaf. Knows nothing of orders or quantities. The best entry is
 * O(1); find, add and remove are O(log n); nothing is allocated after ladder_nodes_init().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_LADDER_H
#define SCRIP_MATCHER_CORE_LADDER_H

#include "base/msg.h"

#define LADDER_NONE   UINT32_MAX
#define LADDER_FANOUT 30 /* a node is six cache lines */
#define LADDER_NO_KEY INT64_MIN

struct ladder_node {
    uint32_t count;
    uint32_t prev, next; /* leaves: neighbours with smaller and greater keys; prev: free list */
    uint32_t is_used;
    int64_t keys[LADDER_FANOUT];   /* inner nodes: no key of child i is below keys[i], for i > 0 */
    uint32_t slots[LADDER_FANOUT]; /* leaves: the caller's; inner nodes: children */
} __attribute__((aligned(64)));

struct ladder_nodes {
    struct ladder_node *at;
    uint32_t free;  /* first of the given-back nodes */
    uint32_t fresh; /* nodes from here on were never used */
    uint32_t max;
    uint32_t used;
};

struct ladder {
    int64_t best_key;   /* LADDER_NO_KEY when empty: worse than any price */
    uint32_t best_slot; /* LADDER_NONE when empty */
    uint32_t count;
    uint32_t root, last; /* node numbers; `last` is the leaf with the best key */
    uint32_t depth;      /* 0 = empty, 1 = the root is a leaf */
};

/* A place in a ladder while nothing changes it. */
struct ladder_at {
    uint32_t node, i;
};

/* The key of a resting price: greater is better for whoever takes it. Without a branch: sides
 * come at random. */
static inline int64_t
ladder_key(enum side side, int64_t price)
{
    int64_t flip = -(int64_t)(side != SIDE_BUY);
    return (price ^ flip) - flip;
}

/* And back. */
static inline int64_t
ladder_price(enum side side, int64_t key)
{
    return ladder_key(side, key);
}

/* Nodes that are enough for `entries` in at most `ladders` ladders, whatever comes and goes. */
uint32_t ladder_nodes_for(uint32_t entries, uint32_t ladders);
/* Borrows zeroed memory for `max` nodes, aligned to 64. */
void ladder_nodes_init(struct ladder_nodes *n, struct ladder_node *at, uint32_t max);

void ladder_init(struct ladder *l);
/* LADDER_NONE when absent. */
uint32_t ladder_find(const struct ladder_nodes *n, const struct ladder *l, int64_t key);
/* Adds an absent key. False, and nothing changed, when there are no nodes left. */
MUST_USE bool ladder_add(struct ladder_nodes *n, struct ladder *l, int64_t key, uint32_t slot);
/* Removes a key that is there. */
void ladder_remove(struct ladder_nodes *n, struct ladder *l, int64_t key);
/* Gives back all nodes. */
void ladder_clear(struct ladder_nodes *n, struct ladder *l);
/* Key of the worst entry; the ladder is not empty. */
int64_t ladder_worst(const struct ladder_nodes *n, const struct ladder *l);

/* Walks from the best entry to the worst: `for (bool on = ladder_first(..); on; on = ..next)`. */
bool ladder_first(const struct ladder *l, const struct ladder_nodes *n, struct ladder_at *at);
bool ladder_next(const struct ladder_nodes *n, struct ladder_at *at);
/* The best entry that is worse than `key`; false when there is none. */
bool ladder_below(const struct ladder *l, const struct ladder_nodes *n, int64_t key,
                  struct ladder_at *at);
static inline uint32_t
ladder_slot(const struct ladder_nodes *n, struct ladder_at at)
{
    return n->at[at.node].slots[at.i];
}

/* NULL, or what is wrong with the tree. */
const char *ladder_check(const struct ladder_nodes *n, const struct ladder *l);

#endif
