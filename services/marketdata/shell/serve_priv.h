/*
 * serve_priv.h - the state of the process; shared by serve.c, publish.c and answer*.c only.
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
#include "marketdata/shell/serve.h"
#include "wire/bus.h"

#define KLINE_CALLS_MAX 256u

/* What the shell keeps beside each of the core's symbols, by the same index. */
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
    struct symbol_rules *rules;
    uint32_t rules_count;
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
    struct cache *cache;     /* NULL when off */
    struct history *history; /* NULL when off */
    struct loop_timer *tick, *cache_tick, *drain_limit;
    uint32_t kline_calls;
    bool is_draining;
    char reason[256]; /* of serve_not_ready() */
    struct metric *published, *published_bytes, *answered, *refused, *gaps, *heals, *bad_events,
        *late_trades, *foreign, *turned_away;
};

/* Sends what the core put into the outbox, and empties it. */
void publish_outbox(struct serve *s);
/* A question on the ROUTER, and how it is answered or refused. */
void answer_msg(void *arg, const struct bus_in *in);
void answer_reply(struct serve *s, uint32_t peer, enum msg_type type, uint64_t corr,
                  const void *body);
void answer_refuse(struct serve *s, uint32_t peer, uint64_t corr, enum err e, const char *field);
/* One for candles. */
void answer_klines(struct serve *s, const struct bus_in *in);
/* A new follower of prices hears them at once. */
void publish_topic(void *arg, const char *topic, bool followed);
/* Asks the database for what a symbol's earlier process left. */
void answer_history(struct serve *s, uint32_t index);

#endif
