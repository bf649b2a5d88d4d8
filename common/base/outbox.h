/*
 * outbox.h - what a core asks its shell to send: a bounded array, filled by one apply.
 *
 * The core writes messages and names their receiver; the shell reads them in order, packs, and
 * empties the box. Before a core applies a command it checks with outbox_room() that its
 * largest answer fits, so that nothing fails half-way.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_OUTBOX_H
#define SCRIP_BASE_OUTBOX_H

#include "base/arena.h"
#include "base/msg.h"

/* Who should get it. Each core documents which of these it uses. */
enum out_to {
    OUT_REPLY,   /* the asker: `peer` as given with the command, `corr` in the message */
    OUT_MATCHER, /* the matcher of the message's symbol */
    OUT_LEDGER,  /* the ledger `peer` */
    OUT_EVENT,   /* subscribers of the account in the message */
    OUT_PUBLISH, /* subscribers of the symbol in the message */
    OUT_MARKET,  /* the marketdata of the message's symbol */
    OUT_KEEP,    /* nobody: the shell's database alone */
    OUT_BRIDGE,  /* a bridge; not before what was decided is committed */
};

struct out {
    enum out_to to;
    uint32_t peer; /* the shell's number for a connected peer; 0 = nobody */
    struct msg msg;
};

struct outbox {
    struct out *slots;
    uint32_t count, max;
    struct arena lists; /* memory of the lists in the messages; reset with the box */
};

/* Borrows both blocks. */
void outbox_init(struct outbox *o, struct out *slots, uint32_t max, void *bytes, size_t size);
void outbox_clear(struct outbox *o);
uint32_t outbox_room(const struct outbox *o);
/* Adds a message and returns it for filling in, its body zeroed. CHECKs for room. */
struct msg *outbox_put(struct outbox *o, enum out_to to, uint32_t peer, enum msg_type type,
                       uint64_t corr);

#endif
