/*
 * md_live_model.h - an exchange made up for tests of the live source: what is true, and what it
 * says of that over connections and REST that fail.
 *
 * It is written from the protocol alone and shares nothing with what it tests. Everything follows
 * from the seed and the calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TEST_MD_LIVE_MODEL_H
#define SCRIP_TEST_MD_LIVE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_SYMBOLS    3
#define MODEL_TRADES_MAX 16384
#define MODEL_LEVELS     24
#define MODEL_BOOKS      8192
#define MODEL_SOCKS      32
#define MODEL_STREAMS    64
#define MODEL_QUEUE      2048
#define MODEL_RESTS      16

struct model_trade {
    uint64_t id, first, last; /* an aggregated one stands for several */
    uint32_t price, quantity;
    uint64_t time_ms;
    bool buyer_is_maker;
};

struct model_book {
    uint64_t update_id;
    uint64_t digest;
};

struct model_symbol {
    char name[16], lower[16]; /* the exchange's */
    bool is_listed;
    struct model_trade trades[MODEL_TRADES_MAX];
    uint32_t trade_count;
    uint64_t last_raw;
    uint32_t quantity[2][MODEL_LEVELS]; /* bid 0 at 1000 going down, ask 0 at 1001 going up */
    bool changed[2][MODEL_LEVELS];
    uint64_t update_id, published_id, first_changed;
    uint64_t quote_update;
    struct model_book books[MODEL_BOOKS]; /* as of each diff, a ring */
    uint32_t books_count;
    char older[4096]; /* a snapshot of some time ago */
    uint64_t minute_ms, minute_raw, minute_trades, kline_ms;
    uint64_t forced;
};

struct model_message {
    uint64_t due_ms;
    char *text;
};

struct model_sock {
    bool is_opening, is_open, is_silent;
    uint64_t due_ms, last_due_ms, cut_ms, heard_ms;
    char streams[MODEL_STREAMS][40];
    bool is_dead[MODEL_STREAMS]; /* subscribed, and says nothing */
    uint32_t stream_count;
    struct model_message queue[MODEL_QUEUE];
    uint32_t head, count;
    uint64_t said_ms[16]; /* by the client: pace */
    uint32_t said;
};

struct model_rest {
    bool is_used;
    uint32_t ask;
    uint64_t due_ms;
    bool is_refused; /* by the budget */
    int status;
    char *body;
};

struct model {
    bool is_spot;
    uint64_t random, now_ms;
    struct model_symbol symbols[MODEL_SYMBOLS];
    struct model_sock socks[MODEL_SOCKS];
    struct model_rest rests[MODEL_RESTS];
    uint64_t attempts_ms[4096];
    uint32_t attempts;
    /* Faults, as counts of things still to go wrong or times until which they do. */
    uint32_t drop, duplicate, reorder;
    char pattern[24]; /* of the streams that these hit */
    uint64_t refuse_until_ms, rest_fail_until_ms, rest_slow_until_ms, budget_until_ms;
    uint32_t refuse_subscribe, stale_snapshots, rest_lost;
    /* Broken rules of the client's. */
    char broken[128];
};

void model_init(struct model *m, bool is_spot, uint64_t seed);
void model_fini(struct model *m);
uint64_t model_dice(struct model *m, uint64_t below);
/* What the market does in this step; streams say it. */
void model_step(struct model *m, bool is_quiet);
/* The client connects: path and query. */
void model_connect(struct model *m, uint32_t sock, const char *path);
void model_send(struct model *m, uint32_t sock, const char *text);
void model_close(struct model *m, uint32_t sock);
/* The client asks. */
void model_ask(struct model *m, uint32_t ask, const char *path);
/* A fault by dice. */
void model_fault(struct model *m);
void model_faults_end(struct model *m);
/* NULL when the book was never told as of this id. */
const struct model_book *model_book_at(const struct model_symbol *s, uint64_t update_id);
const struct model_trade *model_trade_of(const struct model_symbol *s, uint64_t id);
uint64_t model_digest(const uint32_t quantity[2][MODEL_LEVELS]);

#endif
