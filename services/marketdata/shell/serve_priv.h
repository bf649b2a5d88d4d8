/*
 * serve_priv.h - the state of the process; shared by serve.c, publish.c, answer*.c and change.c
 * only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_SERVE_PRIV_H
#define SCRIP_MARKETDATA_SERVE_PRIV_H

#include "host/metrics.h"
#include "marketdata/config.h"
#include "marketdata/core/md.h"
#include "marketdata/shell/cache.h"
#include "marketdata/shell/feed.h"
#include "marketdata/shell/history.h"
#include "marketdata/shell/kept.h"
#include "marketdata/shell/net.h"
#include "marketdata/shell/record.h"
#include "marketdata/shell/serve.h"
#include "marketdata/shell/symbols.h"
#include "wire/bus.h"

#define KLINE_CALLS_MAX 256u

/* What the shell keeps beside each of the core's symbols, by the same index. The index of a symbol
 * changes when another one is removed. */
struct serve_symbol {
    uint32_t source;         /* index of the only source that may speak of it */
    void *memory;            /* the core's */
    bool is_cached;          /* its name stands in scrip:symbols */
    bool asked_history;      /* what was there before this process was asked for */
    bool knows_history;      /* and taken in, so that open candles may be written */
    int64_t first_minute_us; /* minute of its first price: older ones come from the database */
};

struct serve {
    struct host *host;
    const struct marketdata_config *config;
    struct symbols listed;
    bool feed_is_behind; /* it has not been given the newest rules */
    struct spec specs[SPEC_SOURCES_MAX];
    uint32_t spec_count;
    struct md md;
    void *md_memory;
    struct serve_symbol *symbols;
    struct out slots[2 * MD_OUT_MAX];
    struct outbox out;
    void *lists;
    struct bytes packed;
    struct bus *publisher, *server;
    struct feed *feed;
    struct record record;    /* what live sources hear */
    struct net net;          /* how they hear it */
    struct cache *cache;     /* NULL when off */
    uint32_t cache_next;     /* the symbol whose turn it is to be written there */
    struct history *history; /* NULL when off */
    struct kept *kept;       /* NULL when off */
    struct loop_timer *tick, *cache_tick, *drain_limit, *begin_limit;
    int64_t beat_us;                  /* steady: when "s." was last told */
    bool has_begun;                   /* what was kept is applied, or is waited for no longer */
    bool has_given[SPEC_SOURCES_MAX]; /* a price, ever */
    uint32_t kline_calls;
    bool is_draining;
    char reason[256]; /* of serve_not_ready() */
    struct metric *published, *published_bytes, *answered, *refused, *gaps, *heals, *bad_events,
        *late_trades, *lost_trades, *foreign, *turned_away, *symbol_count, *not_live;
};

/* Its place in `symbols`, until one is removed; UINT32_MAX when no source has given it. */
uint32_t serve_symbol_index(const struct serve *s, code_t symbol);
/* Takes it out of everything, telling its followers; harmless when it is not there. */
void serve_symbol_remove(struct serve *s, code_t symbol);
/* The sources may speak from now on. */
void serve_begin(struct serve *s);

/* Sends what the core put into the outbox, and empties it. `y` is whom most of it is about, to be
 * spared a look-up, or NULL. */
void publish_outbox(struct serve *s, struct md_symbol *y);
/* A question on the ROUTER, and how it is answered or refused. */
void answer_msg(void *arg, const struct bus_in *in);
void answer_reply(struct serve *s, uint32_t peer, enum msg_type type, uint64_t corr,
                  const void *body);
void answer_refuse(struct serve *s, uint32_t peer, uint64_t corr, enum err e, const char *field);
void answer_refuse_why(struct serve *s, uint32_t peer, uint64_t corr, enum err e, const char *field,
                       const char *why);
/* One for candles. */
void answer_klines(struct serve *s, const struct bus_in *in);
/* One about sources and symbols that change. */
void change_msg(struct serve *s, const struct bus_in *in);
/* An exchange tells rules. */
void change_rules(void *arg, const struct symbol_rules *rules, uint32_t count);
/* At the end of each turn. */
void change_turn(struct serve *s);
/* Tells the version of the list of symbols. */
void change_beat(struct serve *s);
/* What was kept of earlier changes: each row, and their end. */
void change_kept_row(void *arg, uint32_t source, code_t symbol, bool is_removed);
void change_kept_loaded(void *arg);
/* A new follower of prices, tickers or symbols hears them at once. */
void publish_topic(void *arg, const char *topic, bool followed);
/* Asks the database for what a symbol's earlier process left. */
void answer_history(struct serve *s, uint32_t index);

#endif
