/*
 * market.h - the market's stream and its snapshots, in the order in which the core wants them.
 *
 * Follows "t." of marketdata and asks it for snapshots. While a symbol's house waits for one, its
 * messages are kept here, and given to the core behind the snapshot. Which symbols are given is
 * asked at the start and whenever marketdata tells another version of its list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_SHELL_MARKET_H
#define SCRIP_MATCHER_SHELL_MARKET_H

#include "host/loop.h"
#include "matcher/core/match.h"

struct market;

struct market_options {
    struct loop *loop;
    const char *name;
    const char *follow_endpoint, *ask_endpoint;
    size_t held_bytes_max; /* per symbol */
    uint32_t symbols_max;
    const struct match *match;
    void *arg;
    void (*on_tick)(void *arg, const struct msg *m); /* for match_apply() */
    /* For match_watch() and match_unwatch(). */
    void (*on_symbol)(void *arg, code_t symbol, bool is_given);
};

/* NULL with a logged reason. */
struct market *market_open(const struct market_options *o);
void market_close(struct market **m);
/* Sends a question of the core. */
void market_ask(struct market *m, const struct msg *question);
/* Whether the symbols are known and every first snapshot came, or was refused. */
bool market_is_loaded(const struct market *m);
/* Asks for the symbols, unless they are known. To be called a few times a second. */
void market_time(struct market *m);

#endif
