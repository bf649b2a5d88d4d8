/*
 * bus_peers.c - who asked: ROUTER identities to small numbers, in a table of fixed size.
 *
 * A number names a slot and its generation, so that an answer to a peer whose slot was given away
 * finds nobody instead of a stranger.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/bus_parts.h"

#define SLOT_BITS 10
_Static_assert(PEERS_MAX == 1 << SLOT_BITS, "a slot fits its bits");

void
peers_init(struct peers *p)
{
    p->slots = calloc(PEERS_MAX, sizeof *p->slots);
    void *map = malloc(map_bytes(PEERS_MAX));
    CHECK(p->slots != NULL && map != NULL);
    map_init(&p->by_identity, PEERS_MAX, map);
}

void
peers_fini(struct peers *p)
{
    if (p->slots == NULL)
        return;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        bytes_free(&p->slots[i].out.buffer);
    free(p->slots);
    free(p->by_identity.slots);
    p->slots = NULL;
}

struct peer *
peers_at(const struct peers *p, uint32_t number)
{
    struct peer *peer = &p->slots[number & (PEERS_MAX - 1)];
    return peer->identity_length != 0 && peer->generation == number >> SLOT_BITS ? peer : NULL;
}

uint32_t
peers_number(const struct peers *p, const struct peer *peer)
{
    return peer->generation << SLOT_BITS | (uint32_t)(peer - p->slots);
}

static bool
peer_is(const struct peer *peer, const void *identity, size_t length)
{
    return peer->identity_length == length && memcmp(peer->identity, identity, length) == 0;
}

struct peer *
peers_find(struct peers *p, const void *identity, size_t length)
{
    uint32_t slot = map_get(&p->by_identity, map_hash(identity, length));
    if (slot == MAP_NONE || !peer_is(&p->slots[slot], identity, length))
        return NULL;
    p->slots[slot].used = ++p->uses;
    return &p->slots[slot];
}

static struct peer *
peer_oldest(struct peers *p)
{
    struct peer *oldest = &p->slots[0];
    for (uint32_t i = 1; i < PEERS_MAX; i++)
        if (p->slots[i].used < oldest->used)
            oldest = &p->slots[i];
    return oldest;
}

/* Identities made by libzmq itself are binary: those are shown in hex. */
static void
peer_name(struct peer *peer)
{
    bool printable = true;
    for (size_t i = 0; i < peer->identity_length; i++)
        printable = printable && peer->identity[i] > 0x20 && peer->identity[i] < 0x7f;
    size_t at = 0;
    for (size_t i = 0; i < peer->identity_length; i++)
        at += (size_t)snprintf(peer->name + at, sizeof peer->name - at, printable ? "%c" : "%02x",
                               peer->identity[i]);
    peer->name[at] = '\0';
}

struct peer *
peers_add(struct peers *p, const void *identity, size_t length)
{
    CHECK(length > 0 && length <= IDENTITY_BYTES);
    uint64_t hash = map_hash(identity, length);
    if (map_get(&p->by_identity, hash) != MAP_NONE)
        return NULL;
    /* Unused slots have never been used: they are the oldest of all. */
    struct peer *peer = peer_oldest(p);
    if (peer->identity_length != 0)
        map_remove(&p->by_identity, map_hash(peer->identity, peer->identity_length));
    bytes_free(&peer->out.buffer);
    /* 22 bits of generation; 0 is left out, so that no peer has the number 0. */
    uint32_t generation = (peer->generation + 1) & (UINT32_MAX >> SLOT_BITS);
    *peer = (struct peer){.generation = generation == 0 ? 1 : generation,
                          .identity_length = (uint8_t)length,
                          .used = ++p->uses};
    memcpy(peer->identity, identity, length);
    peer_name(peer);
    map_set(&p->by_identity, hash, (uint32_t)(peer - p->slots));
    return peer;
}
