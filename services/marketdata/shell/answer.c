/*
 * answer.c - questions on the ROUTER that the core answers at once, and resends. Candles are
 * answer_klines.c's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/serve_priv.h"

#define RESEND_MESSAGES_MAX 20000u
#define RESEND_BYTES_MAX    (512u << 10) /* within what a follower keeps for one frame's lists */

void
answer_reply(struct serve *s, uint32_t peer, enum msg_type type, uint64_t corr, const void *body)
{
    bus_put(s->server, peer, type, corr, body);
    metric_add(s->answered, 1);
}

void
answer_refuse(struct serve *s, uint32_t peer, uint64_t corr, enum err e, const char *field)
{
    answer_refuse_why(s, peer, corr, e, field, "");
}

void
answer_refuse_why(struct serve *s, uint32_t peer, uint64_t corr, enum err e, const char *field,
                  const char *why)
{
    struct refused r = {.error = e, .field = code_of(field), .detail = text_of("%s", why)};
    if (err_again(e))
        r.retry_after_seconds = 1;
    bus_put(s->server, peer, MSG_refused, corr, &r);
    metric_add(s->refused, 1);
}

/* ---- Resends ---------------------------------------------------------------------------- */

/* The messages that are still there follow in the same frame. What is more than a frame should
 * hold is asked for again by the follower: md_resent says how far this one goes. */
static void
answer_resend(struct serve *s, const struct bus_in *in)
{
    const struct md_resend_get *get = &in->msg->md_resend_get;
    const struct md_symbol *y = md_symbol_find(&s->md, get->symbol);
    if (y == NULL) {
        answer_refuse(s, in->peer, in->msg->corr, ERR_SYMBOL_UNKNOWN, "symbol");
        return;
    }
    struct md_resent head = {.symbol = get->symbol};
    uint64_t to = get->to < y->sequence ? get->to : y->sequence;
    uint64_t number = get->from;
    size_t length, bytes = 0;
    bytes_clear(&s->packed);
    for (; number <= to && number - get->from < RESEND_MESSAGES_MAX; number++) {
        const uint8_t *data = ring_get(&y->ring, number, &length);
        if (data == NULL || bytes + length > RESEND_BYTES_MAX)
            break;
        bytes_add(&s->packed, data, length);
        bytes += length;
    }
    if (number > get->from) {
        head.from = get->from;
        head.to = number - 1;
    }
    /* A frame of its own: the messages belong to this head. */
    bus_flush(s->server);
    answer_reply(s, in->peer, MSG_md_resent, in->msg->corr, &head);
    if (bytes > 0)
        bus_put_packed(s->server, in->peer, s->packed.data, bytes);
    bus_flush(s->server);
}

/* ---- The door --------------------------------------------------------------------------- */

void
answer_msg(void *arg, const struct bus_in *in)
{
    struct serve *s = arg;
    switch (in->msg->type) {
    case MSG_md_snapshot_get:
    case MSG_md_depth_get:
    case MSG_md_trades_get:
    case MSG_md_symbols_get: {
        enum err e = md_ask(&s->md, in->peer, in->msg, &s->out);
        if (e != OK)
            answer_refuse(s, in->peer, in->msg->corr, e,
                          e == ERR_NUMBER_RANGE ? "limit" : "symbol");
        if (e == OK && in->msg->type == MSG_md_symbols_get)
            s->out.slots[0].msg.md_symbols.version = s->listed.version;
        publish_outbox(s, NULL);
        return;
    }
    case MSG_md_resend_get:
        answer_resend(s, in);
        return;
    case MSG_md_klines_get:
        answer_klines(s, in);
        return;
    case MSG_md_sources_get:
    case MSG_md_playback_set:
    case MSG_md_symbol_add:
    case MSG_md_symbol_remove:
        change_msg(s, in);
        return;
    default:
        answer_refuse(s, in->peer, in->msg->corr, ERR_WIRE_UNKNOWN, "");
    }
}
