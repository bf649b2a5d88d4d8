/*
 * query.h - questions that memory cannot answer: pages of history, and orders it forgot.
 *
 * A question waits until the tables know everything its shard had applied when it came, so that
 * who has just got an answer finds it in the next list. Orders that were evicted are in the tables
 * for certain and are asked for at once. Everything asked is bounded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_QUERY_H
#define SCRIP_LEDGER_SHELL_QUERY_H

#include "host/loop.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/journal.h"
#include "ledger/shell/project.h"

struct query;

struct query_options {
    struct loop *loop;
    const char *conninfo;
    struct journal *journal;
    struct project *project;
    uint32_t waiting_max; /* questions not yet answered */
    void *arg;
    /* A page or a refusal, ready to leave: it rests on the tables only. */
    void (*on_page)(void *arg, uint32_t peer, const struct msg *page);
    /* The answer to LEDGER_LOOKUP, for ledger_found(); `row` NULL when there is no such order. */
    void (*on_found)(void *arg, uint32_t peer, struct msg *cmd, code_t source,
                     const struct order_view *row);
    /* The same for ledger_found_list() and ledger_found_story(). */
    void (*on_list)(void *arg, uint32_t peer, struct msg *cmd, code_t source,
                    const struct list_view *row);
    void (*on_story)(void *arg, uint32_t peer, const struct msg *cmd,
                     const struct order_story *row);
};

struct query *query_open(const struct query_options *o);
void query_close(struct query **q);
/* Takes a request the core answered with LEDGER_LOOKUP; `why` otherwise, with the field's name. */
MUST_USE enum err query_ask(struct query *q, uint32_t peer, const struct msg *cmd, code_t source,
                            code_t *field);
/* Every turn, after project_turn(). */
void query_turn(struct query *q);
bool query_is_up(const struct query *q);
uint32_t query_waiting(const struct query *q);

#endif
