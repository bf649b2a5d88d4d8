/*
 * bus_parts.h - what the files of the bus share: a bus, its receivers, peers and topics.
 * Included by wire/bus*.c only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_WIRE_BUS_PARTS_H
#define SCRIP_WIRE_BUS_PARTS_H

#include <zmq.h>

#include "base/map.h"
#include "host/metrics.h"
#include "wire/bus.h"

#define PEERS_MAX      1024
#define IDENTITY_BYTES 64 /* a longer identity is refused */
#define TOPIC_BYTES    64
#define TOPICS_MAX     65536

/* One frame under construction. */
struct receiver {
    struct bytes buffer;    /* empty, or the head and at least one message */
    uint64_t session, sent; /* frames of the session, the one in the buffer included */
    uint64_t epoch;         /* its own; 0 = that of the bus */
    uint32_t messages;      /* in the buffer, the head not counted */
    uint32_t messages_max;  /* of this frame; 0 = the turn has none yet */
    bool queued;            /* stands in the list of receivers to flush */
    bool is_secret;         /* the frame is to be wiped behind it */
};

struct peer {
    struct receiver out;
    uint8_t identity[IDENTITY_BYTES];
    uint8_t identity_length; /* 0 = slot is free */
    uint32_t generation;     /* rises when the slot is given away */
    uint64_t used;           /* number of the last use, for giving away the oldest */
    uint64_t malformed;
    char name[2 * IDENTITY_BYTES + 1]; /* the identity as text, or as hex */
};

/* BUS_SERVE: askers by identity. A peer's number is generation << 10 | slot. */
struct peers {
    struct peer *slots;
    struct map by_identity;
    uint64_t uses;
    uint32_t count;
};

/* BUS_PUBLISH: the topics somebody follows, to skip packing what nobody hears. */
struct topics {
    struct map count_by_hash;
    uint32_t count_by_length[TOPIC_BYTES];
    uint32_t count;
    bool overflowed; /* more than TOPICS_MAX: from then on everything is sent */
    /* The last question and its answer, since messages come in runs of a topic; "" = none. */
    char asked[TOPIC_BYTES];
    bool was_heard;
};

struct bus_metrics {
    struct metric *frames_in, *messages_in, *bytes_in;
    struct metric *frames_out, *messages_out, *bytes_out;
    struct metric *dropped, *malformed, *unknown;
};

struct bus {
    struct bus_options o;
    char name[CODE_BYTES];
    struct loop *loop;
    struct loop_watch *watch;
    void *socket;
    void *monitor; /* tells of the socket's connections; NULL without on_link */
    struct loop_watch *monitor_watch;
    uint64_t epoch;
    bool paused;
    /* Receiving. */
    struct msg now, next;      /* the message handed over, and the one behind it */
    struct arena lists[2];     /* of one and of the other, by turns */
    uint32_t turn;             /* of the message read next */
    bool secret[MSG_TYPE_END]; /* types with SEC fields: wiped once they were handed over */
    int64_t complained_us;
    /* Sending. */
    struct receiver out; /* BUS_ASK's server; BUS_PUBLISH's current topic */
    char topic[TOPIC_BYTES];
    uint32_t dirty[PEERS_MAX]; /* numbers of peers with something in their buffer */
    uint32_t dirty_count;
    size_t frame_bytes;
    uint32_t frame_messages; /* of a turn's first frame to a receiver */
    struct peers peers;
    struct topics topics;
    struct bus_metrics metrics;
};

/* Tells on_link of connections from now on; `number` is no other socket's. */
void bus_link_open(struct bus *b, void *context, uint64_t number);
void bus_link_close(struct bus *b);

void peers_init(struct peers *p);
void peers_fini(struct peers *p);
/* NULL when the number was given away. */
struct peer *peers_at(const struct peers *p, uint32_t number);
/* NULL when the identity is not known. */
struct peer *peers_find(struct peers *p, const void *identity, size_t length);
/* Takes a free slot or gives the longest unused one away. NULL when the identity clashes with
 * another one's hash. */
struct peer *peers_add(struct peers *p, const void *identity, size_t length);
uint32_t peers_number(const struct peers *p, const struct peer *peer);

void topics_init(struct topics *t);
void topics_fini(struct topics *t);
void topics_add(struct topics *t, const char *topic);
void topics_remove(struct topics *t, const char *topic);
/* Whether some followed topic is a prefix of this one. */
bool topics_heard(struct topics *t, const char *topic);

#endif
