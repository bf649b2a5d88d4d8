/*
 * backtest_engine.h - a ledger and a matcher in one process, on the clock that they are told.
 *
 * The very cores of the services, wired as their shells wire them: what is due happens before
 * anything that comes later, a report is settled before the next message, and what the ledger then
 * asks of the matcher follows at once. Nothing takes time but the latency of the fill rules. The
 * rows that a deployment writes into its tables are handed out as they change.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_BACKTEST_ENGINE_H
#define SCRIPCTL_BACKTEST_ENGINE_H

#include "backtest/stage.h"
#include "host/store.h"
#include "ledger/core/ledger.h"

struct engine_options {
    const struct symbol_rules *rules;
    uint32_t rules_count;
    struct ledger_policy policy;
    uint32_t accounts, orders, symbols; /* at most: accounts, orders ever, symbols with orders */
    struct ledger_sink sink;
    void *arg;
    void (*on_reply)(void *arg, const struct msg *m); /* `corr` is the request's */
};

struct engine;

struct engine *engine_new(const struct engine_options *o, int64_t now_us);
void engine_destroy(struct engine **e);

/* A message of marketdata: of its stream, or a price. */
void engine_market(struct engine *e, const struct msg *m, int64_t now_us);
/* A request of a client. Its answer comes within the call, or with a later report. */
void engine_request(struct engine *e, struct msg *cmd, int64_t now_us);
/* Why an order filled or not: `row` is what a table would have of it, story included. */
void engine_why(struct engine *e, const struct order_story *row, uint64_t account_id, uint64_t corr,
                int64_t now_us);
/* Everything that is due until then, each at its time. */
void engine_until(struct engine *e, int64_t now_us);

const struct ledger *engine_ledger(const struct engine *e);
const struct stage *engine_stage(const struct engine *e);
/* Commands and reports that changed the ledger: what a journal would have. */
uint64_t engine_records(const struct engine *e);
/* Proves the books of both; false with the first violation. */
bool engine_check(const struct engine *e, text_t *why);
/* SHA-256 over the ledger's state, shard by shard. */
void engine_hash(const struct engine *e, uint8_t out[HASH_BYTES]);

#endif
