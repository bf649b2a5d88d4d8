/*
 * bus.c - sockets by role: their settings, and what comes in through them.
 *
 * One ZeroMQ context per process. Every limit and time of a socket is set here, with its reason;
 * nothing is left to a default. A message is handed over once the one behind it has been read, so
 * that `last` is known; the two have an arena each, so that a frame's length does not matter.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "wire/bus_parts.h"

#define QUEUE_MAX          10000
#define FRAMES_MAX         256
#define LINGER_MS          500 /* for answers still under way at the end */
#define RECONNECT_MS       20
#define RECONNECT_MAX_MS   100
#define HEARTBEAT_MS       500
#define HEARTBEAT_LIMIT_MS 1500
#define KEEPALIVE_IDLE_S   1
#define KEEPALIVE_EVERY_S  1
#define KEEPALIVE_COUNT    2
#define UNACKED_MAX_MS     1500
#define HANDSHAKE_MS       2000
#define CONNECT_MS         2000
#define BACKLOG            512
#define COMPLAIN_US        1000000

static struct {
    void *context;
    struct bus_limits limits;
    int open;
    uint64_t links; /* watched so far */
} process;

void
bus_setup(const struct bus_limits *limits)
{
    CHECK(process.context == NULL);
    process.limits = *limits;
    if (process.limits.io_threads == 0)
        process.limits.io_threads = 2; /* a name look-up blocks one of them for seconds */
    if (process.limits.arena_bytes == 0)
        process.limits.arena_bytes = 4u << 20;
    if (process.limits.frame_bytes == 0)
        process.limits.frame_bytes = 256u << 10;
    process.context = zmq_ctx_new();
    CHECK(process.context != NULL);
    zmq_ctx_set(process.context, ZMQ_IO_THREADS, process.limits.io_threads);
}

void
bus_teardown(void)
{
    if (process.context == NULL)
        return;
    if (process.open > 0) /* ending the context would wait for ever */
        log_line(LOG_WARN, "bus_left_open", "sockets=%d", process.open);
    else
        zmq_ctx_term(process.context);
    process.context = NULL;
    process.open = 0;
}

static void
option(void *socket, int name, int value)
{
    CHECK(zmq_setsockopt(socket, name, &value, sizeof value) == 0);
}

static void
socket_set(struct bus *b)
{
    void *s = b->socket;
    int queue_max = (int)(b->o.queue_max != 0 ? b->o.queue_max : QUEUE_MAX);
    int64_t bytes_max = FRAME_BYTES_MAX;
    option(s, ZMQ_SNDHWM, queue_max);
    option(s, ZMQ_RCVHWM, queue_max);
    /* Unread and before any memory is taken for it. */
    CHECK(zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &bytes_max, sizeof bytes_max) == 0);
    option(s, ZMQ_LINGER, LINGER_MS);
    /* A restarted peer is found within a blink; one that stays away is not hammered. */
    option(s, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    option(s, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    /* Who connects finds out that its server hangs, and connects anew: after three silent beats.
     * Who binds must not beat, or the process may end: see docs/decisions/0011. */
    if (b->o.role == BUS_ASK || b->o.role == BUS_FOLLOW) {
        option(s, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
        option(s, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_LIMIT_MS);
        option(s, ZMQ_HEARTBEAT_TTL, HEARTBEAT_LIMIT_MS);
    }
    /* A peer whose machine vanished sends no FIN: the kernel ends the connection. */
    option(s, ZMQ_TCP_KEEPALIVE, 1);
    option(s, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S);
    option(s, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_EVERY_S);
    option(s, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT);
    option(s, ZMQ_TCP_MAXRT, UNACKED_MAX_MS);
    option(s, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    option(s, ZMQ_CONNECT_TIMEOUT, CONNECT_MS);
    option(s, ZMQ_BACKLOG, BACKLOG);
    option(s, ZMQ_IPV6, 0);
    /* What is sent while the server restarts waits for it, up to the high-water mark. */
    option(s, ZMQ_IMMEDIATE, 0);
    if (b->o.role == BUS_SERVE) {
        option(s, ZMQ_ROUTER_MANDATORY, 1); /* an answer that cannot go is counted, not lost */
        option(s, ZMQ_ROUTER_HANDOVER, 1);  /* a restarted peer takes its name over */
    }
    if (b->o.role == BUS_PUBLISH)
        option(s, ZMQ_XPUB_VERBOSE, 0); /* only first and last follower of a topic matter */
    if (b->o.role == BUS_ASK)
        CHECK(zmq_setsockopt(s, ZMQ_ROUTING_ID, b->name, strlen(b->name)) == 0);
}

static const char *
role_name(enum bus_role role)
{
    static const char *const names[] = {"serve", "ask", "publish", "follow"};
    return names[role];
}

static void
metrics_open(struct bus *b)
{
    char labels[32];
    snprintf(labels, sizeof labels, "role=\"%s\"", role_name(b->o.role));
    struct bus_metrics *m = &b->metrics;
    m->frames_in = metric_counter("scrip_bus_frames_in_total", labels, "Frames received.");
    m->messages_in = metric_counter("scrip_bus_messages_in_total", labels, "Messages received.");
    m->bytes_in = metric_counter("scrip_bus_bytes_in_total", labels, "Bytes received.");
    m->frames_out = metric_counter("scrip_bus_frames_out_total", labels, "Frames sent.");
    m->messages_out = metric_counter("scrip_bus_messages_out_total", labels, "Messages sent.");
    m->bytes_out = metric_counter("scrip_bus_bytes_out_total", labels, "Bytes sent.");
    m->dropped = metric_counter("scrip_bus_dropped_total", labels,
                                "Frames not taken: high-water mark, no route, or too large.");
    m->malformed =
        metric_counter("scrip_bus_malformed_total", labels, "Frames that could not be read.");
    m->unknown = metric_counter("scrip_bus_unknown_total", labels,
                                "Messages of a type this version does not know.");
}

/* ---- Receiving -------------------------------------------------------------------------- */

static void
frame_refuse(struct bus *b, struct peer *p, enum err why, size_t length)
{
    metric_add(b->metrics.malformed, 1);
    if (p != NULL)
        p->malformed++;
    /* At most one line a second: a broken peer must not fill the disk. */
    if (loop_steady_us(b->loop) - b->complained_us >= COMPLAIN_US || b->complained_us == 0) {
        b->complained_us = loop_steady_us(b->loop);
        log_line(
            LOG_WARN, "frame_refused", "endpoint=%s peer=%s error=%s bytes=%zu count=%lld",
            b->o.endpoint, p != NULL ? p->name : "unknown", err_name(why), length,
            (long long)(p != NULL ? (int64_t)p->malformed : metric_value(b->metrics.malformed)));
    }
    if (b->o.on_bad_frame != NULL)
        b->o.on_bad_frame(b->o.arg, p != NULL ? peers_number(&b->peers, p) : 0, why);
}

/* The next message of a type this version knows. *found is false at the frame's end. */
static enum err
message_next(struct bus *b, zmq_msg_t *payload, size_t *at, struct msg *out, bool *found)
{
    const uint8_t *data = zmq_msg_data(payload);
    size_t length = zmq_msg_size(payload);
    *found = false;
    while (*at < length) {
        struct arena *lists = &b->lists[b->turn];
        arena_reset(lists);
        enum err e = msg_unpack(data, length, at, lists, out);
        if (e == OK) {
            b->turn ^= 1;
            *found = true;
            return OK;
        }
        if (e != ERR_WIRE_UNKNOWN)
            return e;
        metric_add(b->metrics.unknown, 1); /* a newer peer's word */
    }
    return OK;
}

static struct peer *
peer_of(struct bus *b, zmq_msg_t *identity)
{
    size_t length = zmq_msg_size(identity);
    if (length == 0 || length > IDENTITY_BYTES)
        return NULL;
    return peers_find(&b->peers, zmq_msg_data(identity), length);
}

/* A slot for an asker seen for the first time; what was to be sent to others goes out before,
 * because one of them may lose its slot. */
static struct peer *
peer_welcome(struct bus *b, zmq_msg_t *identity)
{
    size_t length = zmq_msg_size(identity);
    if (length == 0 || length > IDENTITY_BYTES)
        return NULL;
    bus_flush(b);
    return peers_add(&b->peers, zmq_msg_data(identity), length);
}

/* What was handed over had a secret: it was in its frame, its lists and in `now`. */
static void
secret_wipe(struct bus *b, zmq_msg_t *payload, size_t to, bool more)
{
    struct arena *lists = &b->lists[more ? b->turn : b->turn ^ 1];
    explicit_bzero(lists->bytes, lists->used);
    explicit_bzero(&b->now, sizeof b->now);
    explicit_bzero(zmq_msg_data(payload), to); /* what is behind it is still to be read */
}

static void
messages_hand_over(struct bus *b, struct bus_in *in, zmq_msg_t *payload, size_t at, struct peer *p)
{
    bool have, more;
    enum err e = message_next(b, payload, &at, &b->now, &have);
    while (have) {
        size_t end = at;
        e = message_next(b, payload, &at, &b->next, &more);
        metric_add(b->metrics.messages_in, 1);
        in->msg = &b->now;
        in->last = !more;
        bool is_secret = b->secret[b->now.type];
        b->o.on_msg(b->o.arg, in);
        if (is_secret)
            secret_wipe(b, payload, end, more);
        if (more)
            b->now = b->next;
        have = more;
    }
    if (e != OK) {
        if (in->peer != 0)
            p = peers_at(&b->peers, in->peer);
        frame_refuse(b, p, e, zmq_msg_size(payload));
    }
}

/* `address` is the identity or the topic; NULL for BUS_ASK. */
static void
frame_take(struct bus *b, zmq_msg_t *address, zmq_msg_t *payload)
{
    char topic[TOPIC_BYTES] = "";
    size_t at = 0, length = zmq_msg_size(payload);
    struct peer *p = b->o.role == BUS_SERVE ? peer_of(b, address) : NULL;
    metric_add(b->metrics.frames_in, 1);
    metric_add(b->metrics.bytes_in, (int64_t)length);
    if (b->o.role == BUS_FOLLOW) {
        if (zmq_msg_size(address) >= TOPIC_BYTES) {
            frame_refuse(b, NULL, ERR_WIRE_TOO_LARGE, length);
            return;
        }
        memcpy(topic, zmq_msg_data(address), zmq_msg_size(address));
    }
    struct arena none = {0};
    struct msg head;
    enum err e = msg_unpack(zmq_msg_data(payload), length, &at, &none, &head);
    if (e == OK && head.type != MSG_frame)
        e = ERR_WIRE_MALFORMED;
    /* Only who speaks our language gets a slot. */
    if (e == OK && b->o.role == BUS_SERVE && p == NULL && (p = peer_welcome(b, address)) == NULL)
        e = ERR_WIRE_MALFORMED;
    if (e != OK) {
        frame_refuse(b, p, e, length);
        return;
    }
    struct bus_in in = {.frame = &head.frame,
                        .peer = p != NULL ? peers_number(&b->peers, p) : 0,
                        .topic = b->o.role == BUS_FOLLOW ? topic : NULL};
    messages_hand_over(b, &in, payload, at, p);
}

static void
topic_take(struct bus *b, zmq_msg_t *part)
{
    /* A byte 1 (follow) or 0 (no longer), then the topic. */
    const char *data = zmq_msg_data(part);
    size_t length = zmq_msg_size(part);
    if (length == 0 || (data[0] != 0 && data[0] != 1) || memchr(data + 1, 0, length - 1) != NULL) {
        frame_refuse(b, NULL, ERR_WIRE_MALFORMED, length);
        return;
    }
    if (length > TOPIC_BYTES)
        return; /* longer than anything that is published: it will never match */
    char topic[TOPIC_BYTES] = "";
    memcpy(topic, data + 1, length - 1);
    bool followed = data[0] == 1;
    if (followed)
        topics_add(&b->topics, topic);
    else
        topics_remove(&b->topics, topic);
    if (b->o.on_topic != NULL)
        b->o.on_topic(b->o.arg, topic, followed);
}

/* Reads the parts of one ZeroMQ message, at most two. False when there is none. */
static bool
parts_take(struct bus *b)
{
    zmq_msg_t parts[2], rest;
    int wanted = b->o.role == BUS_SERVE || b->o.role == BUS_FOLLOW ? 2 : 1;
    zmq_msg_init(&parts[0]);
    zmq_msg_init(&parts[1]);
    if (zmq_msg_recv(&parts[0], b->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&parts[0]);
        zmq_msg_close(&parts[1]);
        return false;
    }
    int count = 1;
    bool more = zmq_msg_more(&parts[0]);
    if (more && zmq_msg_recv(&parts[1], b->socket, ZMQ_DONTWAIT) >= 0) {
        count = 2;
        more = zmq_msg_more(&parts[1]);
    }
    while (more) { /* nobody of ours sends this many */
        zmq_msg_init(&rest);
        count++;
        more = zmq_msg_recv(&rest, b->socket, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&rest);
        zmq_msg_close(&rest);
    }
    if (count != wanted)
        frame_refuse(b, b->o.role == BUS_SERVE ? peer_of(b, &parts[0]) : NULL, ERR_WIRE_MALFORMED,
                     zmq_msg_size(&parts[0]));
    else if (b->o.role == BUS_PUBLISH)
        topic_take(b, &parts[0]);
    else
        frame_take(b, wanted == 2 ? &parts[0] : NULL, &parts[wanted - 1]);
    zmq_msg_close(&parts[0]);
    zmq_msg_close(&parts[1]);
    return true;
}

static void
on_readable(void *arg)
{
    struct bus *b = arg;
    uint32_t frames_max = b->o.frames_max != 0 ? b->o.frames_max : FRAMES_MAX;
    for (uint32_t i = 0; i < frames_max && !b->paused; i++)
        if (!parts_take(b))
            break;
}

static void
on_flush(void *arg)
{
    bus_flush(arg);
}

/* ---- Opening and closing ---------------------------------------------------------------- */

static void
bus_free(struct bus *b)
{
    bus_link_close(b);
    zmq_close(b->socket);
    peers_fini(&b->peers);
    topics_fini(&b->topics);
    bytes_free(&b->out.buffer);
    free(b->lists[0].bytes); /* both halves */
    free((char *)b->o.endpoint);
    free(b);
    process.open--;
}

struct bus *
bus_open(struct loop *l, const struct bus_options *o)
{
    static const int types[] = {ZMQ_ROUTER, ZMQ_DEALER, ZMQ_XPUB, ZMQ_SUB};
    if (process.context == NULL)
        bus_setup(&(struct bus_limits){0});
    struct bus *b = calloc(1, sizeof *b);
    CHECK(b != NULL);
    b->o = *o;
    b->o.endpoint = strdup(o->endpoint);
    b->loop = l;
    b->frame_bytes = process.limits.frame_bytes;
    /* What is published has many hearers, and a run of one topic is short. */
    b->frame_messages = o->role == BUS_PUBLISH || process.limits.frame_messages == 0
                            ? UINT32_MAX
                            : process.limits.frame_messages;
    CHECK(b->o.endpoint != NULL && strlen(o->name) > 0 && strlen(o->name) < sizeof b->name);
    memcpy(b->name, o->name, strlen(o->name));
    size_t half = process.limits.arena_bytes / 2 / 16 * 16;
    uint8_t *arena = aligned_alloc(16, 2 * half); /* untouched, it takes no memory */
    CHECK(arena != NULL);
    arena_init(&b->lists[0], arena, half);
    arena_init(&b->lists[1], arena + half, half);
    for (int type = 0; type < MSG_TYPE_END; type++)
        b->secret[type] = msg_is_secret(msg_layout((enum msg_type)type));
    if (o->role == BUS_SERVE)
        peers_init(&b->peers);
    if (o->role == BUS_PUBLISH)
        topics_init(&b->topics);
    b->socket = zmq_socket(process.context, types[o->role]);
    CHECK(b->socket != NULL);
    process.open++;
    socket_set(b);
    metrics_open(b);
    if (o->role == BUS_ASK && o->on_link != NULL)
        bus_link_open(b, process.context, process.links++);

    bool binds = o->role == BUS_SERVE || o->role == BUS_PUBLISH;
    if ((binds ? zmq_bind : zmq_connect)(b->socket, o->endpoint) != 0) {
        log_line(LOG_ERROR, "bus_failed", "role=%s endpoint=%s reason=%s", role_name(o->role),
                 o->endpoint, zmq_strerror(errno));
        bus_free(b);
        return NULL;
    }
    b->watch = loop_watch_zmq(l, b->socket, on_readable, b);
    loop_on_flush(l, on_flush, b);
    return b;
}

void
bus_close(struct bus **b)
{
    struct bus *old = *b;
    if (old == NULL)
        return;
    *b = NULL;
    bus_flush(old);
    loop_off_turn(old->loop, on_flush, old);
    loop_watch_end(&old->watch);
    bus_free(old);
}

void
bus_follow(struct bus *b, const char *topic)
{
    CHECK(b->o.role == BUS_FOLLOW && strlen(topic) < TOPIC_BYTES);
    CHECK(zmq_setsockopt(b->socket, ZMQ_SUBSCRIBE, topic, strlen(topic)) == 0);
    loop_watch_used(b->watch);
}

void
bus_unfollow(struct bus *b, const char *topic)
{
    CHECK(b->o.role == BUS_FOLLOW && strlen(topic) < TOPIC_BYTES);
    zmq_setsockopt(b->socket, ZMQ_UNSUBSCRIBE, topic, strlen(topic)); /* not followed: no matter */
    loop_watch_used(b->watch);
}

void
bus_pause(struct bus *b, bool paused)
{
    b->paused = paused;
    loop_watch_set(b->watch, paused ? 0 : LOOP_READ);
}

const char *
bus_peer_name(const struct bus *b, uint32_t peer)
{
    const struct peer *p = b->o.role == BUS_SERVE ? peers_at(&b->peers, peer) : NULL;
    return p != NULL ? p->name : "";
}
