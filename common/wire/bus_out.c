/*
 * bus_out.c - messages to frames to sockets.
 *
 * Messages are packed right into the buffer of their receiver; the end of the turn hands each
 * buffer to libzmq with one copy. The first frames of a turn go out sooner, after a few messages,
 * so that the far side works while this one does; each has room for twice as many as the one
 * before, so that however much a turn says, its frames are few. A frame takes its number when it is
 * begun, so that one that libzmq refuses leaves a gap for the receiver to see.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "wire/bus_parts.h"

/* Begins a frame when there is none: its head is the first message. */
static void
receiver_begin(struct bus *b, struct receiver *r)
{
    if (r->buffer.length != 0)
        return;
    if (r->session != 0)
        r->sent++;
    r->messages = 0;
    if (r->messages_max == 0)
        r->messages_max = b->frame_messages;
    struct frame head = {.epoch = r->epoch != 0 ? r->epoch : b->epoch,
                         .session = r->session,
                         .sequence = r->session != 0 ? r->sent : 0};
    memcpy(head.sender.text, b->name, sizeof head.sender.text);
    msg_pack_body(&r->buffer, MSG_frame, 0, &head);
}

/* Sends `address` (an identity or a topic; may be empty for BUS_ASK) and the payload. */
static bool
frame_send(struct bus *b, const void *address, size_t address_length, const struct bytes *payload)
{
    loop_watch_used(b->watch);
    /* The first part decides: at the high-water mark, or without a route, libzmq refuses it and
     * takes nothing; once it is taken, the second part is taken too. */
    if (b->o.role != BUS_ASK &&
        zmq_send(b->socket, address, address_length, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
        return false;
    return zmq_send(b->socket, payload->data, payload->length, ZMQ_DONTWAIT) >= 0;
}

static void
copy_wipe(void *data, void *length)
{
    explicit_bzero(data, *(size_t *)length);
    free(length);
}

/* A part whose memory libzmq gives back wiped. */
static bool
secret_send(struct bus *b, const void *address, size_t address_length, const struct bytes *payload)
{
    size_t *copy = malloc(sizeof *copy + payload->length);
    zmq_msg_t part;
    CHECK(copy != NULL);
    *copy = payload->length;
    memcpy(copy + 1, payload->data, payload->length);
    CHECK(zmq_msg_init_data(&part, copy + 1, payload->length, copy_wipe, copy) == 0);
    loop_watch_used(b->watch);
    bool taken = b->o.role == BUS_ASK ||
                 zmq_send(b->socket, address, address_length, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0;
    taken = taken && zmq_msg_send(&part, b->socket, ZMQ_DONTWAIT) >= 0;
    if (!taken)
        zmq_msg_close(&part);
    return taken;
}

static void
receiver_send(struct bus *b, struct receiver *r, const void *address, size_t address_length)
{
    if (r->buffer.length == 0)
        return;
    if (r->buffer.length > FRAME_BYTES_MAX) {
        log_line(LOG_ERROR, "frame_too_large", "endpoint=%s bytes=%zu limit=%u", b->o.endpoint,
                 r->buffer.length, FRAME_BYTES_MAX);
        metric_add(b->metrics.dropped, 1);
    } else if ((r->is_secret ? secret_send : frame_send)(b, address, address_length, &r->buffer)) {
        metric_add(b->metrics.frames_out, 1);
        metric_add(b->metrics.bytes_out, (int64_t)r->buffer.length);
    } else {
        metric_add(b->metrics.dropped, 1);
    }
    if (r->is_secret)
        explicit_bzero(r->buffer.data, r->buffer.length);
    r->is_secret = false;
    /* A rare large frame must not keep its memory for ever. */
    if (r->buffer.room > 4 * b->frame_bytes)
        bytes_free(&r->buffer);
    else
        bytes_clear(&r->buffer);
}

static void
peer_send(struct bus *b, struct peer *p)
{
    receiver_send(b, &p->out, p->identity, p->identity_length);
}

static void
bus_out_send(struct bus *b)
{
    receiver_send(b, &b->out, b->topic, strlen(b->topic));
}

void
bus_flush(struct bus *b)
{
    bus_out_send(b);
    b->out.messages_max = 0;
    for (uint32_t i = 0; i < b->dirty_count; i++) {
        struct peer *p = peers_at(&b->peers, b->dirty[i]);
        if (p == NULL)
            continue; /* given away meanwhile, and flushed then */
        p->out.queued = false;
        peer_send(b, p);
        p->out.messages_max = 0;
    }
    b->dirty_count = 0;
}

/* The receiver behind a number, its frame begun; NULL when there is none any more. */
static struct receiver *
receiver_of(struct bus *b, uint32_t peer)
{
    struct receiver *r = &b->out;
    if (b->o.role == BUS_SERVE) {
        struct peer *p = peers_at(&b->peers, peer);
        if (p == NULL) {
            metric_add(b->metrics.dropped, 1);
            return NULL;
        }
        r = &p->out;
        if (!r->queued) {
            /* Numbers of peers given away in this turn may stand here too. */
            if (b->dirty_count == PEERS_MAX)
                bus_flush(b);
            b->dirty[b->dirty_count++] = peer;
            r->queued = true;
        }
    } else {
        CHECK(b->o.role == BUS_ASK);
    }
    receiver_begin(b, r);
    return r;
}

/* After a message: a long frame goes out now, so that the far side can begin to work. */
static void
receiver_added(struct bus *b, struct receiver *r, uint32_t peer)
{
    metric_add(b->metrics.messages_out, 1);
    r->messages++;
    if (r->buffer.length < b->frame_bytes && r->messages < r->messages_max)
        return;
    r->messages_max = r->messages_max > UINT32_MAX / 2 ? UINT32_MAX : 2 * r->messages_max;
    if (b->o.role == BUS_SERVE)
        peer_send(b, peers_at(&b->peers, peer));
    else
        bus_out_send(b);
}

void
bus_put(struct bus *b, uint32_t peer, enum msg_type type, uint64_t corr, const void *body)
{
    struct receiver *r = receiver_of(b, peer);
    if (r == NULL)
        return;
    msg_pack_body(&r->buffer, type, corr, body);
    receiver_added(b, r, peer);
}

void
bus_put_packed(struct bus *b, uint32_t peer, const uint8_t *data, size_t length)
{
    struct receiver *r = receiver_of(b, peer);
    if (r == NULL)
        return;
    bytes_add(&r->buffer, data, length);
    receiver_added(b, r, peer);
}

void
bus_put_secret(struct bus *b, uint32_t peer, const uint8_t *data, size_t length)
{
    bus_flush(b); /* a frame of its own */
    struct receiver *r = receiver_of(b, peer);
    if (r == NULL)
        return;
    r->is_secret = true;
    bytes_add(&r->buffer, data, length);
    metric_add(b->metrics.messages_out, 1);
    bus_flush(b);
}

/* Whether anybody would hear it; then the frame of this topic is begun. */
static bool
topic_begin(struct bus *b, const char *topic)
{
    CHECK(b->o.role == BUS_PUBLISH);
    size_t length = strlen(topic);
    CHECK(length > 0 && length < TOPIC_BYTES);
    if (!topics_heard(&b->topics, topic))
        return false;
    if (strcmp(b->topic, topic) != 0) {
        bus_out_send(b);
        memcpy(b->topic, topic, length + 1);
    }
    receiver_begin(b, &b->out);
    return true;
}

void
bus_publish(struct bus *b, const char *topic, enum msg_type type, uint64_t corr, const void *body)
{
    if (!topic_begin(b, topic))
        return;
    msg_pack_body(&b->out.buffer, type, corr, body);
    receiver_added(b, &b->out, 0);
}

void
bus_publish_packed(struct bus *b, const char *topic, const uint8_t *data, size_t length)
{
    if (!topic_begin(b, topic))
        return;
    bytes_add(&b->out.buffer, data, length);
    receiver_added(b, &b->out, 0);
}

void
bus_set_epoch(struct bus *b, uint64_t epoch)
{
    bus_flush(b); /* what is packed was said in the old epoch */
    b->epoch = epoch;
}

void
bus_set_session(struct bus *b, uint32_t peer, uint64_t session)
{
    bus_flush(b); /* and what is packed belongs to the old session */
    struct peer *p = b->o.role == BUS_SERVE ? peers_at(&b->peers, peer) : NULL;
    if (b->o.role == BUS_SERVE && p == NULL)
        return;
    struct receiver *r = p != NULL ? &p->out : &b->out;
    r->session = session;
    r->sent = 0;
}

void
bus_set_peer_epoch(struct bus *b, uint32_t peer, uint64_t epoch)
{
    CHECK(b->o.role == BUS_SERVE);
    bus_flush(b);
    struct peer *p = peers_at(&b->peers, peer);
    if (p != NULL)
        p->out.epoch = epoch;
}

uint64_t
bus_frames_sent(const struct bus *b, uint32_t peer)
{
    if (b->o.role != BUS_SERVE)
        return b->out.sent;
    const struct peer *p = peers_at(&b->peers, peer);
    return p != NULL ? p->out.sent : 0;
}
