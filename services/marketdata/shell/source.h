/*
 * source.h - where market data comes from: one interface, one file per kind.
 *
 * A source is pulled: next() gives its next event, with the time that paces it, or says that
 * there is none yet. A source that hears from outside (a live stream) calls on_ready when next()
 * has something to give; one that reads a file never waits and never needs it.
 *
 * A kind that can be steered or takes symbols while it runs fills in the operations that say so;
 * the others leave them NULL.
 *
 * To add a kind: a row in spec.h's table of kinds, one file with its struct source_ops, and a
 * line in source.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_SOURCE_H
#define SCRIP_MARKETDATA_SOURCE_H

#include "host/loop.h"
#include "marketdata/core/event.h"
#include "marketdata/core/spec.h"

#define SOURCE_WHY_BYTES 256u

enum source_step {
    SOURCE_EVENT, /* *out is the next event; its lists are lent until the next call */
    SOURCE_MORE,  /* worked without a result; call again */
    SOURCE_STATE, /* *out is how things stood at the place a seek led to: due at once */
    SOURCE_WAIT,  /* nothing now; on_ready will be called */
    SOURCE_END,   /* nothing more, ever */
};

/* What every source counts; owned by the feed, which shows it as metrics. */
struct source_counts {
    uint64_t skipped; /* lines that could not be read */
    uint64_t ignored; /* well-formed, but nothing for us */
    /* File and reason of the last line skipped; of a live source, what keeps it from the exchange.
     */
    char why[SOURCE_WHY_BYTES];
    /* When a skipped line was last logged: a source that is opened round after round stays quiet.
     */
    bool has_logged;
    int64_t logged_us;
};

/* What a source that hears an exchange needs of the process. All borrowed; NULL in tests that only
 * read files. */
struct source_net {
    const struct marketdata_config *config; /* addresses, time limits */
    struct ws_clients *sockets;
    struct fetch *fetch;
    struct budget *budgets[3]; /* by enum trading_type: the request weight of that host */
    struct recorder *recorder; /* NULL when nothing is recorded */
};

struct source_env {
    struct loop *loop; /* clock, sockets; NULL in tests that only read */
    const struct source_net *net;
    const struct symbol_rules *rules;
    uint32_t rules_count;
    struct source_counts *counts;
    void *arg;
    void (*on_ready)(void *arg);
    /* The exchange told rules of symbols: they replace those of the file. NULL = not wanted. */
    void (*on_rules)(void *arg, const struct symbol_rules *rules, uint32_t count);
};

struct source_ops {
    const char *kind; /* "playback" */
    /* Opens, or opens anew for another round. Refuses with a sentence in `why`. */
    enum err (*open)(const struct spec *spec, const struct source_env *env, void **self,
                     char why[SOURCE_WHY_BYTES]);
    enum source_step (*next)(void *self, struct md_event *out);
    void (*close)(void **self);
    /* Where it stands, for logs: a file's name. */
    const char *(*where)(const void *self);
    /* Takes a symbol on, or lets it go, while it runs. */
    enum err (*symbol_add)(void *self, code_t symbol, char why[SOURCE_WHY_BYTES]);
    void (*symbol_remove)(void *self, code_t symbol);
    /* The book made of what it gave waits for a snapshot, which it may have to ask for. */
    void (*book_lost)(void *self, code_t symbol);
    /* Goes on from this recorded time; the next event is the first at or after it. */
    enum err (*seek)(void *self, int64_t to_us, char why[SOURCE_WHY_BYTES]);
    /* Other rules from now on, borrowed; those of `env` are not looked at again. */
    void (*rules_set)(void *self, const struct symbol_rules *rules, uint32_t count);
    /* Fills in what only it knows: where, times, connections, gaps. */
    void (*view)(const void *self, struct source_view *out);
};

extern const struct source_ops source_playback;
extern const struct source_ops source_synthetic;
extern const struct source_ops source_binance;

const struct source_ops *source_of(enum spec_kind kind);
/* The same on a loop: files are read ahead of it (ahead.h), unless they are still being written. */
const struct source_ops *source_for(const struct spec *spec);

#endif
