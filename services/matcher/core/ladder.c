/*
 * ladder.c - a B+tree whose greatest key is at hand.
 *
 * Keys near the touch are the last of the last leaf, so that most adds and removes move few
 * entries. A node that shrinks to a quarter is joined with a neighbour when both fit into half a
 * node; a separator may be lower than the smallest key behind it, never greater.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/ladder.h"

#include <string.h>

#include "base/check.h"

#define DEPTH_MAX  12 /* 30 entries a node: far beyond any pool of 2^32 */
#define JOIN_BELOW (LADDER_FANOUT / 4)
#define JOIN_MAX   (LADDER_FANOUT / 2)

/* The nodes from the root to a leaf, and which child was taken in each. */
struct path {
    uint32_t node[DEPTH_MAX];
    uint32_t child[DEPTH_MAX];
};

uint32_t
ladder_nodes_for(uint32_t entries, uint32_t ladders)
{
    uint64_t nodes = (uint64_t)entries / 4 + (uint64_t)ladders * 2 + 64;
    CHECK(nodes < LADDER_NONE);
    return (uint32_t)nodes;
}

void
ladder_nodes_init(struct ladder_nodes *n, struct ladder_node *at, uint32_t max)
{
    *n = (struct ladder_nodes){at, LADDER_NONE, 0, max, 0};
}

static uint32_t
node_new(struct ladder_nodes *n)
{
    uint32_t i = n->free;
    if (i != LADDER_NONE) {
        n->free = n->at[i].prev;
    } else {
        CHECK(n->fresh < n->max);
        i = n->fresh++;
    }
    n->used++;
    n->at[i].count = 0;
    n->at[i].prev = n->at[i].next = LADDER_NONE;
    n->at[i].is_used = 1;
    return i;
}

static void
node_free(struct ladder_nodes *n, uint32_t i)
{
    n->at[i].is_used = 0;
    n->at[i].prev = n->free;
    n->free = i;
    n->used--;
}

void
ladder_init(struct ladder *l)
{
    *l = (struct ladder){.best_key = LADDER_NO_KEY,
                         .best_slot = LADDER_NONE,
                         .root = LADDER_NONE,
                         .last = LADDER_NONE};
}

/* How many of the first `count` keys are below `key`, without branches on the data. */
static inline uint32_t
rank_below(const int64_t *keys, uint32_t count, int64_t key)
{
    const int64_t *base = keys;
    while (count > 1) {
        uint32_t half = count / 2;
        base += base[half - 1] < key ? half : 0;
        count -= half;
    }
    return (uint32_t)(base - keys) + (count == 1 && *base < key);
}

/* Which child of an inner node holds a key: the last whose separator is not above it. */
static inline uint32_t
child_of(const struct ladder_node *node, int64_t key)
{
    uint32_t i = rank_below(node->keys + 1, node->count - 1, key);
    return i + 1 < node->count && node->keys[i + 1] == key ? i + 1 : i;
}

static uint32_t
descend(const struct ladder_nodes *n, const struct ladder *l, int64_t key, struct path *p)
{
    uint32_t at = l->root;
    for (uint32_t d = 0; d + 1 < l->depth; d++) {
        p->node[d] = at;
        p->child[d] = child_of(&n->at[at], key);
        at = n->at[at].slots[p->child[d]];
    }
    p->node[l->depth - 1] = at;
    return at;
}

uint32_t
ladder_find(const struct ladder_nodes *n, const struct ladder *l, int64_t key)
{
    if (l->count == 0 || key > l->best_key)
        return LADDER_NONE;
    const struct ladder_node *leaf = &n->at[l->last];
    if (key < leaf->keys[0]) {
        struct path p;
        leaf = &n->at[descend(n, l, key, &p)];
    }
    uint32_t i = rank_below(leaf->keys, leaf->count, key);
    return i < leaf->count && leaf->keys[i] == key ? leaf->slots[i] : LADDER_NONE;
}

static void
node_insert(struct ladder_node *node, uint32_t i, int64_t key, uint32_t slot)
{
    for (uint32_t k = node->count; k > i; k--) {
        node->keys[k] = node->keys[k - 1];
        node->slots[k] = node->slots[k - 1];
    }
    node->keys[i] = key;
    node->slots[i] = slot;
    node->count++;
}

static void
node_delete(struct ladder_node *node, uint32_t i)
{
    node->count--;
    for (uint32_t k = i; k < node->count; k++) {
        node->keys[k] = node->keys[k + 1];
        node->slots[k] = node->slots[k + 1];
    }
}

static void
node_append(struct ladder_node *to, const struct ladder_node *from, uint32_t first)
{
    uint32_t more = from->count - first;
    memcpy(to->keys + to->count, from->keys + first, more * sizeof(to->keys[0]));
    memcpy(to->slots + to->count, from->slots + first, more * sizeof(to->slots[0]));
    to->count += more;
}

/* Moves the upper half of a full node into a new one and returns that. */
static uint32_t
node_split(struct ladder_nodes *n, struct ladder *l, uint32_t left, bool is_leaf)
{
    uint32_t right = node_new(n);
    struct ladder_node *a = &n->at[left], *b = &n->at[right];
    node_append(b, a, LADDER_FANOUT / 2);
    a->count = LADDER_FANOUT / 2;
    if (is_leaf) {
        b->prev = left;
        b->next = a->next;
        if (a->next != LADDER_NONE)
            n->at[a->next].prev = right;
        else
            l->last = right;
        a->next = right;
    }
    return right;
}

/* Splits the leaf of a path and every full node above it, then tells which leaf takes `key`. */
static uint32_t
make_room(struct ladder_nodes *n, struct ladder *l, struct path *p, int64_t key)
{
    uint32_t d = l->depth - 1;
    uint32_t leaf = p->node[d];
    uint32_t right = node_split(n, l, leaf, true);
    int64_t separator = n->at[right].keys[0];
    uint32_t chosen = key < separator ? leaf : right;
    while (d-- > 0) {
        struct ladder_node *parent = &n->at[p->node[d]];
        uint32_t i = p->child[d] + 1;
        if (parent->count < LADDER_FANOUT) {
            node_insert(parent, i, separator, right);
            return chosen;
        }
        uint32_t upper = node_split(n, l, p->node[d], false);
        if (i <= parent->count)
            node_insert(parent, i, separator, right);
        else
            node_insert(&n->at[upper], i - parent->count, separator, right);
        separator = n->at[upper].keys[0];
        right = upper;
    }
    uint32_t root = node_new(n);
    node_insert(&n->at[root], 0, LADDER_NO_KEY, l->root);
    node_insert(&n->at[root], 1, separator, right);
    l->root = root;
    l->depth++;
    CHECK(l->depth <= DEPTH_MAX);
    return chosen;
}

bool
ladder_add(struct ladder_nodes *n, struct ladder *l, int64_t key, uint32_t slot)
{
    if (l->root == LADDER_NONE) {
        if (n->used == n->max)
            return false;
        l->root = l->last = node_new(n);
        l->depth = 1;
    }
    uint32_t leaf = l->last;
    bool is_last = l->depth == 1 || key >= n->at[leaf].keys[0];
    if (!is_last || n->at[leaf].count == LADDER_FANOUT) {
        struct path p;
        leaf = descend(n, l, key, &p);
        if (n->at[leaf].count == LADDER_FANOUT) {
            if (n->max - n->used < l->depth + 1)
                return false;
            leaf = make_room(n, l, &p, key);
        }
    }
    struct ladder_node *node = &n->at[leaf];
    uint32_t i = rank_below(node->keys, node->count, key);
    CHECK(i == node->count || node->keys[i] != key);
    node_insert(node, i, key, slot);
    l->count++;
    if (key > l->best_key) {
        l->best_key = key;
        l->best_slot = slot;
    }
    return true;
}

/* Takes a leaf out of the chain of leaves. */
static void
leaf_unlink(struct ladder_nodes *n, struct ladder *l, uint32_t leaf)
{
    const struct ladder_node *node = &n->at[leaf];
    if (node->prev != LADDER_NONE)
        n->at[node->prev].next = node->next;
    if (node->next != LADDER_NONE)
        n->at[node->next].prev = node->prev;
    else
        l->last = node->prev;
}

/* Appends child i + 1 of a parent to child i, and drops it. */
static void
join(struct ladder_nodes *n, struct ladder *l, uint32_t parent, uint32_t i, bool is_leaf)
{
    struct ladder_node *up = &n->at[parent];
    uint32_t left = up->slots[i], right = up->slots[i + 1];
    struct ladder_node *from = &n->at[right];
    if (is_leaf)
        leaf_unlink(n, l, right);
    else
        from->keys[0] = up->keys[i + 1]; /* its own first separator bounds nothing */
    node_append(&n->at[left], from, 0);
    node_free(n, right);
    node_delete(up, i + 1);
}

/* Drops an empty node or joins a small one with a neighbour. True when the parent lost a child. */
static bool
shrink(struct ladder_nodes *n, struct ladder *l, uint32_t parent, uint32_t i, bool is_leaf)
{
    struct ladder_node *up = &n->at[parent];
    uint32_t count = n->at[up->slots[i]].count;
    if (count == 0) {
        if (is_leaf)
            leaf_unlink(n, l, up->slots[i]);
        node_free(n, up->slots[i]);
        node_delete(up, i);
        return true;
    }
    if (count > JOIN_BELOW)
        return false;
    if (i + 1 < up->count && count + n->at[up->slots[i + 1]].count <= JOIN_MAX) {
        join(n, l, parent, i, is_leaf);
        return true;
    }
    if (i > 0 && count + n->at[up->slots[i - 1]].count <= JOIN_MAX) {
        join(n, l, parent, i - 1, is_leaf);
        return true;
    }
    return false;
}

/* After a removal: an empty tree has no nodes, and a root with one child is not needed. */
static void
settle_root(struct ladder_nodes *n, struct ladder *l)
{
    while (l->depth > 1 && n->at[l->root].count == 1) {
        uint32_t child = n->at[l->root].slots[0];
        node_free(n, l->root);
        l->root = child;
        l->depth--;
    }
    if (l->count == 0) {
        node_free(n, l->root);
        ladder_init(l);
    }
}

void
ladder_remove(struct ladder_nodes *n, struct ladder *l, int64_t key)
{
    CHECK(l->count > 0);
    struct ladder_node *node = &n->at[l->last];
    if (node->count > JOIN_BELOW + 1 && key >= node->keys[0]) {
        uint32_t i = rank_below(node->keys, node->count, key);
        CHECK(i < node->count && node->keys[i] == key);
        node_delete(node, i);
        l->count--;
    } else {
        struct path p;
        uint32_t leaf = descend(n, l, key, &p);
        node = &n->at[leaf];
        uint32_t i = rank_below(node->keys, node->count, key);
        CHECK(i < node->count && node->keys[i] == key);
        node_delete(node, i);
        l->count--;
        for (uint32_t d = l->depth - 1; d > 0; d--)
            if (!shrink(n, l, p.node[d - 1], p.child[d - 1], d == l->depth - 1))
                break;
        settle_root(n, l);
    }
    if (key == l->best_key && l->count > 0) {
        const struct ladder_node *last = &n->at[l->last];
        l->best_key = last->keys[last->count - 1];
        l->best_slot = last->slots[last->count - 1];
    }
}

static void
free_below(struct ladder_nodes *n, uint32_t node, uint32_t depth)
{
    if (depth > 1)
        for (uint32_t i = 0; i < n->at[node].count; i++)
            free_below(n, n->at[node].slots[i], depth - 1);
    node_free(n, node);
}

void
ladder_clear(struct ladder_nodes *n, struct ladder *l)
{
    if (l->root != LADDER_NONE)
        free_below(n, l->root, l->depth);
    ladder_init(l);
}

int64_t
ladder_worst(const struct ladder_nodes *n, const struct ladder *l)
{
    CHECK(l->count > 0);
    uint32_t at = l->root;
    for (uint32_t d = 1; d < l->depth; d++)
        at = n->at[at].slots[0];
    return n->at[at].keys[0];
}

bool
ladder_first(const struct ladder *l, const struct ladder_nodes *n, struct ladder_at *at)
{
    if (l->count == 0)
        return false;
    *at = (struct ladder_at){l->last, n->at[l->last].count - 1};
    return true;
}

bool
ladder_next(const struct ladder_nodes *n, struct ladder_at *at)
{
    if (at->i > 0) {
        at->i--;
        return true;
    }
    at->node = n->at[at->node].prev;
    if (at->node == LADDER_NONE)
        return false;
    at->i = n->at[at->node].count - 1;
    return true;
}

bool
ladder_below(const struct ladder *l, const struct ladder_nodes *n, int64_t key,
             struct ladder_at *at)
{
    if (l->count == 0 || key > l->best_key)
        return ladder_first(l, n, at);
    struct path p;
    uint32_t leaf = descend(n, l, key, &p);
    uint32_t below = rank_below(n->at[leaf].keys, n->at[leaf].count, key);
    *at = (struct ladder_at){leaf, below > 0 ? below - 1 : 0};
    return below > 0 || ladder_next(n, at);
}

/* Counts the nodes of a subtree and checks that its keys keep to [low, high). */
static const char *
check_below(const struct ladder_nodes *n, uint32_t at, uint32_t depth, int64_t low, int64_t high)
{
    const struct ladder_node *node = &n->at[at];
    if (!node->is_used || node->count == 0 || node->count > LADDER_FANOUT)
        return "ladder: a node in use is free, empty or too full";
    for (uint32_t i = depth > 1 ? 1 : 0; i < node->count; i++) {
        if (node->keys[i] < low || node->keys[i] >= high)
            return "ladder: a key is outside of what its parent says";
        if (i > (depth > 1 ? 1u : 0u) && node->keys[i] <= node->keys[i - 1])
            return "ladder: keys do not rise";
    }
    for (uint32_t i = 0; depth > 1 && i < node->count; i++) {
        int64_t from = i == 0 ? low : node->keys[i];
        int64_t to = i + 1 < node->count ? node->keys[i + 1] : high;
        const char *wrong = check_below(n, node->slots[i], depth - 1, from, to);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

const char *
ladder_check(const struct ladder_nodes *n, const struct ladder *l)
{
    if (l->count == 0)
        return l->root == LADDER_NONE && l->best_key == LADDER_NO_KEY
                   ? NULL
                   : "ladder: an empty one has nodes or a best key";
    const char *wrong = check_below(n, l->root, l->depth, INT64_MIN + 1, INT64_MAX);
    if (wrong != NULL)
        return wrong;
    uint32_t count = 0;
    int64_t above = INT64_MAX;
    struct ladder_at at;
    for (bool on = ladder_first(l, n, &at); on; on = ladder_next(n, &at), count++) {
        int64_t key = n->at[at.node].keys[at.i];
        if (count == 0 && (key != l->best_key || ladder_slot(n, at) != l->best_slot))
            return "ladder: the best entry is another";
        if (key >= above)
            return "ladder: the leaves are not in order";
        above = key;
    }
    return count == l->count ? NULL : "ladder: the leaves hold another number of entries";
}
