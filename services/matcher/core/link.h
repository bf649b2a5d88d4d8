/*
 * link.h - the matcher's end of a session with one ledger.
 *
 * A ledger speaks in sessions: link_hello begins one, its frames are numbered from 1. Whatever is
 * missing, unreadable or of a session nobody began loses the link: the matcher then holds none of
 * that ledger's orders, says link_lost, and waits for the next hello. What it decided but the
 * ledger never received did not happen: the ledger sends its open orders again.
 *
 *   NONE ---hello---> SYNCING ---synced---> WORKING
 *                        ^  \                  |
 *                        |   +---gap, silence--+--> LOST
 *                        +--------hello-------------+
 *
 * Epochs rise with each owner of the ledger's shards, sessions within an epoch. Frames of an
 * older epoch or session are dropped and counted: their sender was deposed or moved on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_LINK_H
#define SCRIP_MATCHER_CORE_LINK_H

#include "matcher/core/chain.h"

enum link_state { LINK_NONE, LINK_SYNCING, LINK_WORKING, LINK_LOST };

struct link {
    code_t ledger; /* the sender's name: whose orders these are */
    enum link_state state;
    uint32_t peer; /* the shell's number for who began the session */
    uint64_t epoch, session;
    uint64_t received; /* number of the last frame */
    uint64_t synced;   /* orders received since the hello */
    int64_t heard_us;
    int64_t told_us; /* when link_lost was last said */
    /* orders that wait for the end of the resync, in order of arrival */
    struct chain waiting_list;
    uint32_t waiting;
    bool has_orders; /* may have some, waiting or resting */
};

enum link_verdict {
    LINK_TAKE,  /* the message counts */
    LINK_BEGIN, /* it is a hello that begins a session: drop this ledger's orders */
    LINK_DROP,  /* it is of the past */
    LINK_BREAK  /* something is missing: the link is LOST from here on */
};

void link_init(struct link *l, code_t ledger);
/* Judges one message by the head of its frame, and counts the frame. The link's state follows. */
enum link_verdict link_judge(struct link *l, uint32_t peer, const struct frame *f,
                             enum msg_type type, int64_t now_us);
/* Ends the session from this side. */
void link_lose(struct link *l);
/* Whether a live session has been silent for too long. */
bool link_is_silent(const struct link *l, int64_t now_us, int64_t silence_us);

#endif
