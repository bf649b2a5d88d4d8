/*
 * bus.h - ZeroMQ by role, on the loop.
 *
 *   serve    ROUTER, bound: answers askers                 ask     DEALER, connected: asks one
 * server publish  XPUB, bound: topics                           follow  SUB, connected: topics
 *
 * Frames go out once per loop turn: bus_put() packs into the buffer of its receiver, and the
 * loop's end of turn sends one ZeroMQ message per receiver (or topic run). Sending never blocks;
 * what ZeroMQ refuses at the high-water mark is dropped and counted, and the layers above repair
 * it (resent commands, link sessions, sequence gaps). Received frames are handed over one by one,
 * at most `frames_max` a turn. All limits are explicit; see bus.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_WIRE_BUS_H
#define SCRIP_WIRE_BUS_H

#include "host/loop.h"
#include "wire/codec.h"

struct bus;

/* Limits of every socket of the process, and its one ZeroMQ context. */
struct bus_limits {
    int io_threads;     /* 0 = 2 */
    size_t arena_bytes; /* for the lists of two received messages, per socket; 0 = 4 MiB */
    size_t frame_bytes; /* a receiver's frame is sent early beyond this; 0 = 256 KiB */
    /* The first frame of a turn to a server or an asker is sent early after this many messages,
     * each further one after twice as many as the one before; 0 = no bound. */
    uint32_t frame_messages;
};
/* Before the first bus_open(); without it the limits are the ones above. service_run() calls
 * both. bus_teardown() waits at most the linger time for what is still to be sent. */
void bus_setup(const struct bus_limits *limits);
void bus_teardown(void);

enum bus_role { BUS_SERVE, BUS_ASK, BUS_PUBLISH, BUS_FOLLOW };

/* One received message. `frame` is the head of the frame it came in; `peer` numbers the asker
 * (BUS_SERVE; stays the same for one identity, until bus_peer_name() is asked for another),
 * 0 elsewhere. `topic` is set for BUS_FOLLOW. All pointers are lent for the call. */
struct bus_in {
    const struct frame *frame;
    const struct msg *msg;
    uint32_t peer;
    const char *topic;
    bool last; /* the frame's last message */
};

struct bus_options {
    enum bus_role role;
    const char *endpoint; /* "tcp://127.0.0.1:7201" or "ipc:///path" */
    const char *name;     /* this process: ROUTER identity, and sender of every frame */
    uint32_t queue_max;   /* ZeroMQ high-water mark, messages; 0 = 10000 */
    uint32_t frames_max;  /* frames handed over a turn; 0 = 256 */
    void *arg;
    void (*on_msg)(void *arg, const struct bus_in *in);
    /* BUS_PUBLISH: a topic gained its first or lost its last follower. May be NULL. */
    void (*on_topic)(void *arg, const char *topic, bool followed);
    /* A frame that cannot be read; counted and logged already. What stood before the fault has
     * been handed over, the rest is dropped. May be NULL. */
    void (*on_bad_frame)(void *arg, uint32_t peer, enum err why);
    /* BUS_ASK: the connection to the server came, or went; at first there is none. It goes when the
     * server's process ends, or after three silent beats. May be NULL. */
    void (*on_link)(void *arg, bool is_up);
};

/* Opens on the loop. NULL with a logged reason when the endpoint cannot be bound. */
struct bus *bus_open(struct loop *l, const struct bus_options *o);
/* Sends what is buffered, then closes; nulls the pointer. Not from within a call of this bus. */
void bus_close(struct bus **b);

/* Epoch and session that head every frame from now on. A new session counts frames from 1. */
void bus_set_epoch(struct bus *b, uint64_t epoch);
/* Per receiver: session of the link with `peer` (0 for BUS_ASK's only server). */
void bus_set_session(struct bus *b, uint32_t peer, uint64_t session);
/* BUS_SERVE: an epoch for the frames to this peer alone; 0 = the one of bus_set_epoch(). A matcher
 * answers each ledger in that ledger's epoch. */
void bus_set_peer_epoch(struct bus *b, uint32_t peer, uint64_t epoch);
/* Frames sent to this receiver in its session, for link_beat. */
uint64_t bus_frames_sent(const struct bus *b, uint32_t peer);

/* Queues a message. `peer` for BUS_SERVE; 0 for BUS_ASK. */
void bus_put(struct bus *b, uint32_t peer, enum msg_type type, uint64_t corr, const void *body);
/* Queues an already packed message (msg_pack) for a receiver. */
void bus_put_packed(struct bus *b, uint32_t peer, const uint8_t *data, size_t length);
/* The same for one with a secret: it leaves in a frame of its own, at once, and every buffer of
 * ours that it was in is wiped. */
void bus_put_secret(struct bus *b, uint32_t peer, const uint8_t *data, size_t length);
/* BUS_PUBLISH: queues under a topic (at most 63 characters). */
void bus_publish(struct bus *b, const char *topic, enum msg_type type, uint64_t corr,
                 const void *body);
void bus_publish_packed(struct bus *b, const char *topic, const uint8_t *data, size_t length);
/* BUS_FOLLOW: topics are prefixes, as in ZeroMQ. */
void bus_follow(struct bus *b, const char *topic);
void bus_unfollow(struct bus *b, const char *topic);
/* Sends what is buffered now; the loop does it at the end of each turn. */
void bus_flush(struct bus *b);
/* Stops or resumes taking frames (back-pressure). A frame under way is handed over to its end. */
void bus_pause(struct bus *b, bool paused);
/* The identity behind a peer number; "" when it was given away. */
const char *bus_peer_name(const struct bus *b, uint32_t peer);

#endif
