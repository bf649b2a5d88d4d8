/*
 * stream.h - who of the connected clients hears what, and where each stands in an account's events.
 *
 * Topics are the bus's own ("a7." an account's events, "p.BTCUSDT." prices); the table joins them
 * with connections, tells when a topic gains its first and loses its last one, and is bounded.
 * Each subscription has its place in the topic (conflate.h, depth.h); those of a connection that
 * have something to send form its waiting list, first come first served.
 * A cursor holds a connection's place in its account's numbered events: it delivers each number
 * once and in order, and says when the ledger has to be asked for what was missed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_CORE_STREAM_H
#define SCRIP_GATEWAY_CORE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "gateway/core/conflate.h"

#define STREAM_TOPIC_BYTES 48
#define STREAM_NONE        UINT32_MAX

struct stream_topic {
    char text[STREAM_TOPIC_BYTES]; /* "" = free */
    uint64_t hash;
    uint32_t first_sub; /* of its subscribers */
    uint32_t next;      /* of the same hash, or the next free one */
};

struct stream_sub {
    uint32_t topic, conn; /* topic STREAM_NONE = free */
    uint32_t topic_next, topic_prev;
    uint32_t conn_next, conn_prev; /* conn_next links the free ones */
    uint32_t wait_next, wait_prev;
    bool is_waiting;
    /* The owner's: */
    uint32_t levels;         /* of a book's snapshot */
    struct lane_place place; /* of a book: `kept` is the place among its steps */
};

struct stream_conn {
    uint32_t first, count; /* its subscriptions */
    uint32_t wait_first, wait_last;
};

struct stream {
    struct map by_hash;
    struct stream_topic *topics;
    struct stream_sub *subs;
    struct stream_conn *conns;
    uint32_t conns_max, per_conn_max, subs_max;
    uint32_t free_topic, free_sub, sub_count;
};

size_t stream_bytes(uint32_t conns_max, uint32_t subs_max);
/* Borrows `bytes`, of stream_bytes(). At most per_conn_max subscriptions a connection. */
void stream_init(struct stream *s, uint32_t conns_max, uint32_t subs_max, uint32_t per_conn_max,
                 void *bytes);
/* Subscribes; again is harmless. *sub is the subscription; *is_first: nobody else had this topic.
 * Refuses with STREAM_LIMIT. CHECKs that the topic is 1 to 47 characters. */
MUST_USE enum err stream_add(struct stream *s, uint32_t conn, const char *topic, uint32_t *sub,
                             bool *is_first);
/* Whether it was there; *was_last: nobody has the topic any more. */
bool stream_remove(struct stream *s, uint32_t conn, const char *topic, bool *was_last);
/* Takes one subscription off a connection that closes; false when there is none left. */
bool stream_pop(struct stream *s, uint32_t conn, char topic[STREAM_TOPIC_BYTES], bool *was_last);
bool stream_has(const struct stream *s, uint32_t conn, const char *topic);
/* Walks a topic's connections: STREAM_NONE when there is none (left). */
uint32_t stream_first(const struct stream *s, const char *topic);
uint32_t stream_next(const struct stream *s, uint32_t sub);
uint32_t stream_conn(const struct stream *s, uint32_t sub);
/* The number of a topic, of which there are as many as subscriptions; and of a subscription's. */
uint32_t stream_topic(const struct stream *s, const char *topic);
uint32_t stream_topic_of(const struct stream *s, uint32_t sub);
const char *stream_topic_text(const struct stream *s, uint32_t topic); /* "" of a free one */
/* Walks a connection's subscriptions, which may be removed on the way once the next is known. */
uint32_t stream_conn_first(const struct stream *s, uint32_t conn);
uint32_t stream_conn_next(const struct stream *s, uint32_t sub);

/* Puts a subscription at the end of its connection's waiting list, unless it is there. */
void stream_wake(struct stream *s, uint32_t sub);
/* The one that waits longest, STREAM_NONE when none does. */
uint32_t stream_waiting(const struct stream *s, uint32_t conn);
/* It has nothing more to send. */
void stream_rest(struct stream *s, uint32_t sub);
void stream_check(const struct stream *s);

enum cursor_verdict {
    CURSOR_DELIVER, /* it is the next one */
    CURSOR_DROP,    /* already delivered, or the answer that is awaited will bring it */
    CURSOR_ASK,     /* something is missing: ask the ledger for all after `last` */
};

struct cursor {
    uint64_t last;    /* number of the last delivered event */
    uint64_t seen;    /* highest number heard of while asking */
    bool is_asking;   /* the ledger was asked and has not answered yet */
    bool has_started; /* `last` means something */
};

/* Starts after a number the client knows, or after 0 to go on from wherever the account is (the
 * first answer then only tells its number). The ledger is to be asked at once. */
void cursor_start(struct cursor *c, uint64_t after);
/* An event came by subscription. After CURSOR_ASK the cursor takes the question as asked. */
enum cursor_verdict cursor_event(struct cursor *c, uint64_t sequence);
/* An event came within the answer to a question. */
enum cursor_verdict cursor_resent(struct cursor *c, uint64_t sequence);
/* The answer is complete: all up to `sequence` was in it. True when more is missing already: ask
 * again. */
bool cursor_resumed(struct cursor *c, uint64_t sequence);
/* Time for a look whether the end of the account's events was lost; true when to ask. */
bool cursor_recheck(struct cursor *c);

#endif
