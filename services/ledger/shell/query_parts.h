/*
 * query_parts.h - what query.c (the ring of questions and their answers), query_send.c (the
 * statements) and query_twins.c share; private to them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_QUERY_PARTS_H
#define SCRIP_LEDGER_SHELL_QUERY_PARTS_H

#include "host/pg.h"
#include "ledger/shell/query.h"

#define PAGE_ROWS     100 /* when the request does not say */
#define PAGE_ROWS_MAX 500
#define LIST_ORDERS   3

struct metric;

struct question {
    struct query *query;
    uint32_t peer;
    struct msg cmd;
    struct order_wish wishes[LIST_ORDERS]; /* of a list_place: its list was only lent */
    code_t source;
    uint16_t shard;
    uint64_t seq; /* what the tables must know first; 0 = nothing */
    bool has_order;
    struct order order; /* of a look-up; its fills come last */
    struct story story;
};

struct query {
    struct query_options o;
    struct pg *pg;
    struct question *ring;
    uint32_t head, asked, waiting; /* [head, +asked) is sent, [.., +waiting) is not */
    union {
        struct order orders[PAGE_ROWS_MAX];
        struct trade trades[PAGE_ROWS_MAX];
        struct balance_change changes[PAGE_ROWS_MAX];
        struct order_twin twins[PAGE_ROWS_MAX];
    } page;
    struct metric *m_asked, *m_waiting;
};

/* How each kind of question is answered, statement by statement; `arg` is the question. */
struct query_answers {
    pg_answer *page;  /* of order_list, trade_list, balance_history, twin_list */
    pg_answer *order; /* the order of a look-up, */
    pg_answer *story; /* its story, for order_why, */
    pg_answer *fills; /* and its fills: the last answer */
    pg_answer *list;  /* the orders of a list */
};

/* Rows of a page. */
static inline uint32_t
page_rows(uint32_t limit)
{
    return limit == 0 ? PAGE_ROWS : limit;
}

/* Row `i` of an answer into its place; gives the row's id. */
typedef uint64_t query_row_take(struct query *q, uint32_t place, const PGresult *result, int i);
/* All rows that belong to the page; the cursor is the last one's id when there are more. */
uint32_t query_page_take(struct question *k, uint32_t limit, const PGresult *result,
                         query_row_take *take, uint64_t *cursor);
void query_twins_page(struct question *k, const PGresult *result, struct twin_page *page);

void query_prepare(struct query *q);
/* False when the connection is breaking. */
bool query_send(struct question *k, const struct query_answers *answers);

#endif
