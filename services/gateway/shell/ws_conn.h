/*
 * ws_conn.h - one WebSocket as ws.c (the connection) and ws_op.c (what it says and hears) see it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_WS_CONN_H
#define SCRIP_GATEWAY_SHELL_WS_CONN_H

#include "gateway/shell/shell.h"
#include "gateway/shell/ws.h"

struct lws;
struct note_link;

/* Close codes beyond RFC 6455's. */
enum ws_close_code {
    WS_GOING_AWAY = 1001,
    WS_TEXT_ONLY = 1003,
    WS_TOO_BIG = 1009,
    WS_TOKEN_EXPIRED = 4001,
    WS_TOO_SLOW = 4008,
    WS_TOO_MANY = 4029,
};

/* A text for one or many clients, counted. */
struct note {
    uint32_t refs;
    size_t length;
    char *text; /* with room before it for the frame's head */
};

/* What the answer of the ledger is awaited for. */
enum ws_question { WS_ASK_NONE, WS_ASK_SUBSCRIBE, WS_ASK_RESUME, WS_ASK_HEAL };

struct ws_conn {
    struct ws *ws;
    uint32_t index, generation;
    struct lws *wsi; /* NULL = free */

    /* Owned by ws.c: */
    struct bytes in;                 /* a message being put together */
    struct note_link *first, **last; /* waiting to be sent */
    size_t queued_bytes;
    int close_code; /* 0 = open */
    const char *close_reason;
    int64_t close_by_us;
    int64_t heard_us, pinged_us;
    bool ping_due;
    int64_t messages_full_us; /* of the limit on its messages (GCRA) */
    uint32_t next;

    /* Owned by ws_op.c: */
    bool is_signed_in;
    struct token_holder who;
    struct cursor cursor;
    enum ws_question question;
    uint64_t question_corr;
    int64_t ask_at_us; /* when the ledger is asked (again) unprompted; 0 = never */
    bool has_looked;   /* for an end of events lost while the subscription was on its way */
    uint32_t resume_left;
    uint64_t resume_sequence;
    char id[64];          /* the client's own mark of an operation, as JSON; "" = none */
    char question_id[64]; /* of the operation that waits for the ledger */
};

struct ws {
    struct shell *shell;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct ws_conn *conns;
    uint32_t conns_max, free_first, count;
    struct stream stream;
    void *stream_room;
    struct loop_timer *timer;
    struct bytes text;
    /* The event_resumed whose events are coming. */
    uint64_t resuming_corr;
    uint32_t resuming_conn;
    struct metric *open, *sent, *slow, *gaps;
};

/* ---- ws.c ---- */
struct note *note_new(const char *text, size_t length);
void note_drop(struct note *n); /* of the one who made it */
/* Queues; cuts a client off that is too slow. */
void ws_send(struct ws_conn *c, struct note *n);
void ws_send_text(struct ws_conn *c, const struct bytes *text);
void ws_cut(struct ws_conn *c, int code, const char *reason);

/* ---- ws_op.c ---- */
void ws_op(struct ws_conn *c, const char *text, size_t length);
/* Drops what the connection was subscribed to. */
void ws_forget(struct ws_conn *c);
/* Every second: expiry, questions to ask again. */
void ws_op_tick(struct ws_conn *c);

#endif
