/*
 * asker.h - many questions to another deployment's ledgers, over ZeroMQ, as a gateway asks them.
 *
 * So many are under way at a time; what is not answered is sent again, until its time is over. What
 * is put is sent in that order, and again in that order when a connection breaks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_ASKER_H
#define SCRIPCTL_ASKER_H

#include "base/msg.h"
#include "scripctl/records.h"

#define ASKER_WINDOW 512 /* under way at a time */

struct asker;

/* `endpoint` is a ledger's ("tcp://127.0.0.1:7201"), or as in the gateway's ledger_endpoints
 * "0-31=ENDPOINT,32-63=ENDPOINT". NULL, and why. */
struct asker *asker_open(const char *endpoint, char why[WHY_BYTES]);
void asker_close(struct asker **a);

/* One part of what is to be asked. Whatever is NULL is not there. */
struct asker_work {
    void *arg;
    /* Puts what is due. Gives in how many microseconds there will be more, 0 for at once (as room
     * comes), below 0 when there is nothing more. */
    int64_t (*on_turn)(void *arg, struct asker *a);
    /* `m` is lent; NULL: there was no answer, `why` says for what reason. */
    void (*on_answer)(void *arg, uint64_t owner, const struct msg *m, enum err why);
    /* All is answered or given up. False: the parts behind this one are not begun. */
    bool (*on_end)(void *arg);
};

/* Works them off, one part behind the other. Once. */
void asker_run(struct asker *a, const struct asker_work *works, uint32_t count);
/* How many more can be put now. */
uint32_t asker_room(const struct asker *a);
/* From within on_turn, with room. `owner` comes with the answer, and is not 0. */
void asker_put(struct asker *a, uint64_t account_id, const struct msg *m, uint64_t owner);
/* A clock that never jumps, microseconds. */
int64_t asker_now_us(const struct asker *a);

#endif
