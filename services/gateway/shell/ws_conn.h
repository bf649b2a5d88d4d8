/*
 * ws_conn.h - one WebSocket as its parts see it: ws.c (the connection), ws_op.c (what it says),
 * ws_account.c (its account's events), ws_market.c and ws_book.c (the market for all).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_WS_CONN_H
#define SCRIP_GATEWAY_SHELL_WS_CONN_H

#include "gateway/core/depth.h"
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

/* A text for one or many clients, counted: the frame as it goes out. */
struct note {
    uint32_t refs, length;
    unsigned char frame[];
};

/* What the answer of the ledger is awaited for. */
enum ws_question { WS_ASK_NONE, WS_ASK_SUBSCRIBE, WS_ASK_RESUME, WS_ASK_HEAL };

struct ws_conn {
    struct ws *ws;
    uint32_t index, generation;
    struct lws *wsi; /* NULL = free */

    /* Owned by ws.c: */
    struct bytes in;                 /* a message being put together */
    struct note_link *first, **last; /* answers and account events waiting to be sent */
    size_t queued_bytes;
    struct note *taken; /* the next to be sent, whatever it is; or NULL */
    bool is_ready;      /* in the list of those that are written to at the end of the turn */
    bool is_blocked;    /* the socket takes no more; libwebsockets tells when it does */
    bool is_broken;
    int close_code; /* 0 = open */
    const char *close_reason;
    int64_t close_by_us;
    int64_t heard_us, pinged_us;
    bool ping_due;
    int64_t messages_full_us; /* of the limit on its messages (GCRA) */
    uint32_t next;

    /* Owned by ws_op.c and ws_account.c: */
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

struct ws_book;

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
    struct bytes batch; /* what one client is sent in one go */
    uint32_t *ready, ready_count;
    int64_t told_count; /* messages of the market since clients were last written to */
    /* By the number of a topic: */
    struct lane *lanes;
    struct ws_book **books;
    uint32_t books_count, books_made;
    struct level *levels; /* of one book or change of it */
    struct arena lists;   /* of one message that was kept */
    /* The event_resumed whose events are coming. */
    uint64_t resuming_corr;
    uint32_t resuming_conn;
    struct metric *open, *sent, *slow, *gaps, *writes;
    struct metric *conflated, *missed, *snapshots, *book_gauge, *resends, *held;
};

/* ---- ws.c ---- */
struct note *note_new(const struct bytes *text);
void note_drop(struct note *n); /* of the one who made it */
/* Queues answers and account events; cuts a client off that is too slow for them. */
void ws_send(struct ws_conn *c, struct note *n);
void ws_send_text(struct ws_conn *c, const struct bytes *text);
/* It is written to at the end of the turn, or as soon as its socket takes more. */
void ws_ready(struct ws_conn *c);
/* Writes to all who are ready, as at the end of a turn. */
void ws_flush(struct ws *w);
void ws_cut(struct ws_conn *c, int code, const char *reason);

/* ---- ws_op.c ---- */
void ws_op(struct ws_conn *c, const char *text, size_t length);
/* {"op":OP,"ok":true,...} with `more` members; and the error in its stead. */
void ws_say_ok(struct ws_conn *c, const char *op, const char *more);
void ws_say_refused(struct ws_conn *c, const char *op, const struct refused *why);
void ws_say_error(struct ws_conn *c, const char *op, enum err e, const char *field,
                  const char *detail);

/* ---- ws_account.c ---- */
/* Follows the account's events, after a number or from now on. */
void ws_account_follow(struct ws_conn *c, const char *op, bool from_now, uint64_t after);
void ws_account_unfollow(struct ws_conn *c);
/* It closes: nothing is asked for it any more. */
void ws_account_forget(struct ws_conn *c);
/* Every second: expiry, questions to ask again. */
void ws_account_tick(struct ws_conn *c);

/* ---- ws_market.c ---- */
#define WS_CHANNELS "ticks, ticker, trades, candles, depth, mark or liquidations"
/* The letter that a channel's topics begin with; 0 when there is no such channel. */
char ws_channel_key(const char *channel);
void ws_market_open(struct ws *w);
void ws_market_close(struct ws *w);
/* Subscribes to a topic, the market's or an account's; `levels` is of a book's snapshot. */
MUST_USE enum err ws_topic_add(struct ws_conn *c, const char *topic, uint32_t levels);
void ws_topic_remove(struct ws_conn *c, const char *topic);
/* Drops what the connection was subscribed to. */
void ws_forget(struct ws_conn *c);
/* What a connection is to be sent next of the market, to be dropped; NULL when there is nothing. */
struct note *ws_market_next(struct ws_conn *c);
/* All who follow a topic have something to hear. */
void ws_topic_wake(struct ws *w, uint32_t topic);

/* ---- ws_book.c ---- */
MUST_USE enum err ws_book_open(struct ws *w, uint32_t topic, code_t symbol);
void ws_book_close(struct ws *w, uint32_t topic);
/* A message of the symbol's stream. */
void ws_book_message(struct ws *w, uint32_t topic, const struct msg *m);
/* What a follower with this place and these levels hears, to be dropped; NULL when it has all. */
struct note *ws_book_next(struct ws *w, uint32_t topic, uint64_t *place, uint32_t levels);
/* Asks again what was not answered. */
void ws_book_tick(struct ws *w);

#endif
