/*
 * market_chain.h - whether the lines of a recording follow each other: trades by their ids,
 * changes of books by their update ids, all by their receive times.
 *
 * Holes that the recording itself tells of (marks: lost, away, missed, connected, begin) are
 * counted apart.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_MARKET_CHAIN_H
#define SCRIPCTL_MARKET_CHAIN_H

#include "base/map.h"
#include "base/msg.h"
#include "marketdata/core/binance.h"

#define CHAINS_MAX 8192u

/* One symbol. */
struct chain {
    code_t symbol;
    uint64_t trades, missing, doubled, marked_missing;
    uint64_t diffs, breaks, marked_breaks;
    uint64_t books, quotes, marks;
    /* Where it stands: ids of single and of aggregated trades, update id. 0 = not begun. */
    uint64_t last_trade[2], last_update;
    uint64_t told_to;         /* the last trade that the recording says is lost */
    bool may_jump, may_break; /* a mark said so */
};

struct chains {
    struct chain *list;
    uint32_t count;
    uint64_t lines, malformed, backwards, marks, missed;
    int64_t last_us;
    enum trading_type market;
    struct map by_name;
    void *map_memory;
    struct binance_room room;
    bool may_jump; /* and what has not begun may begin anywhere */
};

struct chains *chains_new(void);
void chains_free(struct chains **c);
/* Another file follows, of this market (0 = it does not say). */
void chains_file(struct chains *c, enum trading_type market);
void chains_line(struct chains *c, const char *line, size_t length);

#endif
