/*
 * parts.h - what longer candles are made of: the last minutes of a symbol, or its last days.
 *
 * A ring by open time. A part that fell out of it, or that was never there, is unknown; minutes in
 * which nothing was traded are there only if the exchange said so. What is said of a part that is
 * over may change it (a late trade, the exchange's own candle): it is then marked to be told
 * again, it and what contains it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_PARTS_H
#define SCRIP_MARKETDATA_PARTS_H

#include "base/arena.h"
#include "marketdata/core/candle.h"

enum part_state {
    PART_NONE,
    PART_OURS, /* from trades, from an open candle of the exchange, or from the database */
    PART_FINAL /* the exchange closed it, be it for an earlier process */
};

/* Bits. */
enum part_debt {
    DEBT_FINAL = 1,  /* it has become final as it was: only the database is to know */
    DEBT_AROUND = 2, /* candles that contain it are to be told again */
    DEBT_SELF = 4    /* it too */
};

struct part {
    struct candle candle;
    uint64_t told_last; /* the exchange's open candle counted the trades up to this id; 0 = none */
    enum part_state state;
    uint32_t debt;
    bool is_told; /* published as closed, or known to the database */
};

struct parts {
    struct part *slots;
    uint32_t max;
    int64_t width_us;
    int64_t newest_us; /* -1 while empty */
    uint32_t in_debt;
};

/* Takes `max` parts from `memory`. */
void parts_init(struct parts *p, uint32_t max, int64_t width_us, struct arena *memory);
void parts_reset(struct parts *p);
/* NULL when it is unknown. */
struct part *parts_find(const struct parts *p, int64_t open_us);
/* The part, made with state PART_OURS and an empty candle when it was unknown; NULL when it is
 * older than the ring reaches. */
struct part *parts_make(struct parts *p, int64_t open_us);
/* The oldest time the ring reaches. */
int64_t parts_reach(const struct parts *p);
/* Open time of the oldest part that is known; INT64_MAX while there is none. */
int64_t parts_oldest(const struct parts *p);
/* Joins the known parts of from_us <= open time < to_us to *out; false when there are none. */
bool parts_fold(const struct parts *p, int64_t from_us, int64_t to_us, struct candle *out);
/* Whether every part of that range is there and final. */
bool parts_are_final(const struct parts *p, int64_t from_us, int64_t to_us);

/* Debts add up; parts_paid() ends them. */
void parts_owe(struct parts *p, struct part *part, enum part_debt debt);
void parts_paid(struct parts *p, struct part *part);
/* The oldest part in debt, of all or of from_us <= open time < to_us; NULL when there is none. */
struct part *parts_oldest_in_debt(struct parts *p);
struct part *parts_in_debt(const struct parts *p, int64_t from_us, int64_t to_us);
/* The latest known part of from_us <= open time < to_us, or NULL. */
struct part *parts_last(const struct parts *p, int64_t from_us, int64_t to_us);

#endif
