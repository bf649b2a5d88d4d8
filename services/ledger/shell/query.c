/*
 * query.c - see query.h. One slot per question, in a ring, asked and answered in order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/query.h"

#include <stdlib.h>
#include <string.h>

#include "host/metrics.h"
#include "ledger/shell/query_parts.h"
#include "ledger/shell/rows.h"

/* ---- Answers ------------------------------------------------------------------------------ */

static void
question_done(struct query *q)
{
    q->head = (q->head + 1) % q->o.waiting_max;
    q->asked--;
}

static void
refuse(struct question *k, enum err why)
{
    struct msg m = {.type = MSG_refused, .corr = k->cmd.corr};
    m.refused = (struct refused){.error = why, .retry_after_seconds = err_again(why) ? 1 : 0};
    k->query->o.on_page(k->query->o.arg, k->peer, &m);
}

static uint64_t
order_take(struct query *q, uint32_t place, const PGresult *result, int i)
{
    int column = 0;
    struct order_row row;
    rows_get_order(result, i, &column, &row);
    q->page.orders[place] = row.order;
    return row.order.order_id;
}

static uint64_t
trade_take(struct query *q, uint32_t place, const PGresult *result, int i)
{
    int column = 0;
    struct trade_row row;
    rows_get_trade(result, i, &column, &row);
    q->page.trades[place] = row.trade;
    return row.trade.trade_id;
}

static uint64_t
change_take(struct query *q, uint32_t place, const PGresult *result, int i)
{
    int column = 0;
    struct change_row row;
    rows_get_change(result, i, &column, &row);
    q->page.changes[place] = row.change;
    return row.change.change_id;
}

uint32_t
query_page_take(struct question *k, uint32_t limit, const PGresult *result, query_row_take *take,
                uint64_t *cursor)
{
    uint32_t rows = (uint32_t)PQntuples(result), wanted = page_rows(limit);
    bool more = rows > wanted;
    uint32_t count = more ? wanted : rows;
    uint64_t id = 0;
    for (uint32_t i = 0; i < count; i++)
        id = take(k->query, i, result, (int)i);
    *cursor = more ? id : 0;
    return count;
}

static void
orders_page(struct question *k, const PGresult *result, struct order_page *page)
{
    page->orders = k->query->page.orders;
    page->orders_count =
        query_page_take(k, k->cmd.order_list.limit, result, order_take, &page->next_cursor);
}

static void
trades_page(struct question *k, const PGresult *result, struct trade_page *page)
{
    page->trades = k->query->page.trades;
    page->trades_count =
        query_page_take(k, k->cmd.trade_list.limit, result, trade_take, &page->next_cursor);
}

static void
changes_page(struct question *k, const PGresult *result, struct balance_changes *page)
{
    page->changes = k->query->page.changes;
    page->changes_count =
        query_page_take(k, k->cmd.balance_history.limit, result, change_take, &page->next_cursor);
}

static void
page_found(struct question *k, const PGresult *result)
{
    struct msg m = {.corr = k->cmd.corr};
    if (k->cmd.type == MSG_order_list) {
        m.type = MSG_order_page;
        orders_page(k, result, &m.order_page);
    } else if (k->cmd.type == MSG_trade_list) {
        m.type = MSG_trade_page;
        trades_page(k, result, &m.trade_page);
    } else if (k->cmd.type == MSG_twin_list) {
        m.type = MSG_twin_page;
        query_twins_page(k, result, &m.twin_page);
    } else {
        m.type = MSG_balance_changes;
        changes_page(k, result, &m.balance_changes);
    }
    k->query->o.on_page(k->query->o.arg, k->peer, &m);
}

/* The last answer of a question: what was found, or why nothing can be said. */
static void
answer_last(struct question *k, enum pg_outcome outcome, const PGresult *result,
            void (*tell)(struct question *k, const PGresult *result))
{
    if (outcome == PG_ROWS)
        tell(k, result);
    else
        refuse(k, outcome == PG_LOST ? ERR_LEDGER_UNAVAILABLE : ERR_INTERNAL);
    question_done(k->query);
}

static void
page_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    answer_last(arg, outcome, result, page_found);
}

static void
order_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct question *k = arg;
    k->has_order = outcome == PG_ROWS && PQntuples(result) == 1;
    if (!k->has_order)
        return;
    int column = 0;
    struct order_row row;
    rows_get_order(result, 0, &column, &row);
    k->order = row.order;
}

static void
story_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct question *k = arg;
    if (outcome != PG_ROWS || PQntuples(result) == 0)
        return; /* an order that filled at once has none */
    int column = 0;
    struct story_row row;
    rows_get_story(result, 0, &column, &row);
    k->story = row.story;
}

/* The order and its fills: newest first from the index, oldest first for the reader. */
static void
found(struct question *k, const PGresult *result)
{
    struct query *q = k->query;
    uint32_t fills = (uint32_t)PQntuples(result);
    for (uint32_t i = 0; i < fills; i++)
        (void)trade_take(q, i, result, (int)(fills - 1 - i));
    const struct order_view view = {
        .order = k->order, .fills = q->page.trades, .fills_count = fills};
    const struct order_story told = {
        .order = k->order, .fills = q->page.trades, .fills_count = fills, .story = k->story};
    if (k->cmd.type == MSG_order_why)
        q->o.on_story(q->o.arg, k->peer, &k->cmd, k->has_order ? &told : NULL);
    else
        q->o.on_found(q->o.arg, k->peer, &k->cmd, k->source, k->has_order ? &view : NULL);
}

static void
fills_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    answer_last(arg, outcome, result, found);
}

/* The next order of a list, from a row; false when the row is no such order. */
static bool
list_add(struct list_view *view, struct order orders[LIST_ORDERS], const struct order_row *row)
{
    const struct order *o = &row->order;
    struct list *list = &view->list;
    if (o->list_id == 0 || row->leg != view->orders_count)
        return false;
    if (view->orders_count == 0)
        *list = (struct list){.list_id = o->list_id,
                              .contingency = row->contingency,
                              .status = o->status == ORDER_STATUS_REJECTED ? LIST_STATUS_REJECT
                                                                           : LIST_STATUS_ALL_DONE,
                              .symbol = o->symbol,
                              .created_us = o->created_us};
    if (o->list_id != list->list_id)
        return false;
    if (o->updated_us > list->updated_us)
        list->updated_us = o->updated_us;
    orders[view->orders_count++] = *o;
    return true;
}

/* Who places a list under the client order id of an order that heads none is told of one of no
 * kind, which is not the same. */
static void
list_found(struct question *k, const PGresult *result)
{
    struct query *q = k->query;
    struct list_view view = {.orders = q->page.orders};
    bool is_list = true;
    for (int i = 0; i < PQntuples(result) && i < LIST_ORDERS && is_list; i++) {
        int column = 0;
        struct order_row row;
        rows_get_order(result, i, &column, &row);
        is_list = list_add(&view, q->page.orders, &row);
        if (!is_list && i == 0 && k->cmd.type == MSG_list_place) {
            view.list.list_id = row.order.order_id;
            q->page.orders[view.orders_count++] = row.order;
        }
    }
    q->o.on_list(q->o.arg, k->peer, &k->cmd, k->source, view.orders_count == 0 ? NULL : &view);
}

static void
list_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    answer_last(arg, outcome, result, list_found);
}

static const struct query_answers answers = {
    .page = page_answer,
    .order = order_answer,
    .story = story_answer,
    .fills = fills_answer,
    .list = list_answer,
};

/* ---- The ring ----------------------------------------------------------------------------- */

static uint32_t
limit_of(const struct msg *cmd)
{
    switch ((int)cmd->type) {
    case MSG_order_list:
        return cmd->order_list.limit;
    case MSG_trade_list:
        return cmd->trade_list.limit;
    case MSG_balance_history:
        return cmd->balance_history.limit;
    case MSG_twin_list:
        return cmd->twin_list.limit;
    default:
        return 0;
    }
}

/* What was evicted is in the tables; fills that left the ring may only be drained yet. */
static bool
is_of_evicted(enum msg_type type)
{
    return type == MSG_order_place || type == MSG_order_replace || type == MSG_order_amend ||
           type == MSG_order_cancel;
}

static void
keep_wishes(struct question *k)
{
    if (k->cmd.type != MSG_list_place)
        return;
    struct list_place *list = &k->cmd.list_place;
    CHECK(list->orders_count > 0 && list->orders_count <= LIST_ORDERS);
    memcpy(k->wishes, list->orders, list->orders_count * sizeof list->orders[0]);
    list->orders = k->wishes;
}

enum err
query_ask(struct query *q, uint32_t peer, const struct msg *cmd, code_t source, code_t *field)
{
    *field = (code_t){{0}};
    if (limit_of(cmd) > PAGE_ROWS_MAX) {
        *field = code_of("limit");
        return ERR_NUMBER_RANGE;
    }
    if (!pg_is_up(q->pg))
        return ERR_LEDGER_UNAVAILABLE;
    if (q->asked + q->waiting == q->o.waiting_max)
        return ERR_LEDGER_BUSY;
    struct question *k = &q->ring[(q->head + q->asked + q->waiting) % q->o.waiting_max];
    memset(k, 0, sizeof *k);
    k->query = q;
    k->peer = peer;
    k->cmd = *cmd;
    k->source = source;
    k->shard = (uint16_t)ledger_shard_of_cmd(cmd);
    keep_wishes(k);
    if (!is_of_evicted(cmd->type))
        k->seq = journal_applied(q->o.journal, k->shard);
    q->waiting++;
    metric_add(q->m_asked, 1);
    if (project_stamp(q->o.project, k->shard) < k->seq)
        project_hurry(q->o.project);
    return OK;
}

static void
refuse_all_waiting(struct query *q)
{
    while (q->waiting > 0) {
        struct question *k = &q->ring[(q->head + q->asked) % q->o.waiting_max];
        refuse(k, ERR_LEDGER_UNAVAILABLE);
        q->asked++;
        q->waiting--;
        question_done(q);
    }
}

void
query_turn(struct query *q)
{
    bool sent = false;
    while (q->waiting > 0 && pg_is_up(q->pg)) {
        struct question *k = &q->ring[(q->head + q->asked) % q->o.waiting_max];
        if (project_stamp(q->o.project, k->shard) < k->seq) {
            project_hurry(q->o.project);
            break;
        }
        if (!query_send(k, &answers))
            break;
        q->asked++;
        q->waiting--;
        sent = true;
    }
    if (sent)
        (void)pg_sync(q->pg, NULL, NULL);
    metric_set(q->m_waiting, q->waiting);
}

static void
connection_down(void *arg)
{
    /* Those that were sent have been answered as lost before this. */
    refuse_all_waiting(arg);
}

/* ---- Life --------------------------------------------------------------------------------- */

struct query *
query_open(const struct query_options *o)
{
    struct query *q = calloc(1, sizeof *q);
    CHECK(q != NULL && o->waiting_max > 0);
    q->o = *o;
    q->ring = calloc(o->waiting_max, sizeof *q->ring);
    CHECK(q->ring != NULL);
    q->m_asked = metric_counter("scrip_ledger_queries_total", "", "Questions put to the tables.");
    q->m_waiting = metric_gauge("scrip_ledger_queries_waiting", "",
                                "Questions that wait for the tables to catch up.");
    q->pg = pg_open(o->loop, &(struct pg_options){
                                 .conninfo = o->conninfo,
                                 .label = "queries",
                                 .arg = q,
                                 .on_down = connection_down,
                             });
    query_prepare(q);
    return q;
}

void
query_close(struct query **q)
{
    if (*q == NULL)
        return;
    pg_close(&(*q)->pg);
    free((*q)->ring);
    free(*q);
    *q = NULL;
}

bool
query_is_up(const struct query *q)
{
    return pg_is_up(q->pg);
}

uint32_t
query_waiting(const struct query *q)
{
    return q->waiting + q->asked;
}
