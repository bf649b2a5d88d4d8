/*
 * follow.h - one key's user data stream: connected, kept, made anew; and when the account is read
 * by REST, because a stream tells only what happens while it is heard.
 *
 *   IDLE ──owned──► KEY (futures) ──► OPENING ──► SUBSCRIBING (spot) ──► LIVE ──┐
 *                    ▲   │               │              │                     │ lost, ended,
 *                    │   └─ refused ─────┴──────────────┴──► PAUSING ◄────────┘ its day is over
 *                    └───────────────── time ───────────────────┘
 *
 * After each connect, every `catch_up_us`, and when something changed that was not told in full,
 * the account is read; what changes meanwhile is read again a second behind it. What the stream
 * tells meanwhile is newer than the reading, and is told behind it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_FOLLOW_H
#define SCRIP_BRIDGE_CORE_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

enum follow_state {
    FOLLOW_IDLE, /* another replica's, or nobody's */
    FOLLOW_KEY,  /* a listen key is asked for */
    FOLLOW_OPENING,
    FOLLOW_SUBSCRIBING,
    FOLLOW_LIVE,
    FOLLOW_PAUSING,
};

/* What happened. */
enum follow_in {
    FOLLOW_TIME,
    FOLLOW_OWNED,
    FOLLOW_DISOWNED,
    FOLLOW_HAS_KEY,
    FOLLOW_OPENED,
    FOLLOW_SUBSCRIBED,
    FOLLOW_FAILED,    /* a step of connecting was refused */
    FOLLOW_CLOSED,    /* the connection is gone */
    FOLLOW_ENDED,     /* the exchange ended the subscription or the listen key */
    FOLLOW_SHUTDOWN,  /* it will end the connection: another one is made now */
    FOLLOW_CHANGED,   /* something is not as it was, and was not told in full */
    FOLLOW_CAUGHT_UP, /* the account was read */
    FOLLOW_NOT_CAUGHT_UP,
};

/* What is to be done, a set of these. A closed connection says nothing more. */
enum follow_act {
    FOLLOW_DO_ASK_KEY = 1,
    FOLLOW_DO_OPEN = 2,
    FOLLOW_DO_SUBSCRIBE = 4,
    FOLLOW_DO_CLOSE = 8,
    FOLLOW_DO_RENEW_KEY = 16,
    FOLLOW_DO_CATCH_UP = 32,
    FOLLOW_DO_TELL = 64, /* of balances, what the stream said while the account was read */
};

struct follow {
    enum follow_state state;
    bool has_listen_key; /* futures */
    int64_t catch_up_us, swap_us;
    uint32_t failures; /* in a row */
    int64_t step_us;   /* PAUSING: when to go on; LIVE: when its day is over */
    int64_t renew_us, catch_at_us;
    int64_t read_us;                 /* when it was read last */
    bool is_catching_up, is_changed; /* changed: since the reading under way began */
    uint64_t random;
};

void follow_init(struct follow *f, bool has_listen_key, int64_t catch_up_us, int64_t swap_us,
                 uint64_t seed);
unsigned follow_step(struct follow *f, enum follow_in in, int64_t now_us);

#endif
