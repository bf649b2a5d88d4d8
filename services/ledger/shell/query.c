/*
 * query.c - see query.h. One slot per question, in a ring, asked and answered in order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/metrics.h"
#include "host/pg.h"
#include "ledger/shell/rows.h"

#define PAGE_ROWS     100 /* when the request does not say */
#define PAGE_ROWS_MAX 500

struct question {
    struct query *query;
    uint32_t peer;
    struct msg cmd;
    code_t source;
    uint16_t shard;
    uint64_t seq; /* what the tables must know first; 0 = nothing */
    bool has_order;
    struct order order; /* a look-up's first half */
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
    } page;
    struct metric *m_asked, *m_waiting;
};

/* ---- Statements --------------------------------------------------------------------------- */

/* Absent filters are 0 or ''. One row more than the page tells whether there is another page. */
static const char order_list_where[] =
    "WHERE t.account_id = $1 AND t.order_id < $2 AND ($3 = '' OR t.symbol = $3) "
    "AND ($4 = 0 OR t.status = $4) AND t.created_us >= $5 AND t.created_us < $6 "
    "ORDER BY t.order_id DESC LIMIT $7";
static const Oid order_list_types[] = {PG_INT8, PG_INT8, PG_TEXT, PG_INT2,
                                       PG_INT8, PG_INT8, PG_INT4};

static const char trade_list_where[] =
    "WHERE t.account_id = $1 AND t.trade_id < $2 AND ($3 = '' OR t.symbol = $3) "
    "AND t.time_us >= $4 AND t.time_us < $5 ORDER BY t.trade_id DESC LIMIT $6";
static const Oid trade_list_types[] = {PG_INT8, PG_INT8, PG_TEXT, PG_INT8, PG_INT8, PG_INT4};

static const char order_trades_where[] =
    "WHERE t.account_id = $1 AND t.order_id = $2 AND t.trade_id < $3 "
    "AND t.time_us >= $4 AND t.time_us < $5 ORDER BY t.trade_id DESC LIMIT $6";
static const Oid order_trades_types[] = {PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_INT4};

static const char change_list_where[] =
    "WHERE t.account_id = $1 AND t.wallet = $2 AND t.change_id < $3 "
    "ORDER BY t.change_id DESC LIMIT $4";
static const Oid change_list_types[] = {PG_INT8, PG_INT2, PG_INT8, PG_INT4};

static const char order_by_id_where[] = "WHERE t.account_id = $1 AND t.order_id = $2";
static const Oid order_by_id_types[] = {PG_INT8, PG_INT8};

/*
 * The index has the ids that clients chose. One that the gateway made ("scrip-...") is looked for
 * among the account's latest orders only.
 */
#define ORDER_OF_CLIENT                                                                            \
    "coalesce((SELECT max(o.order_id) FROM ledger.\"order\" AS o WHERE o.account_id = $1 "         \
    "AND o.client_order_id = $2 AND NOT o.id_was_made), "                                          \
    "(SELECT max(n.order_id) FROM (SELECT m.order_id, m.client_order_id "                          \
    "FROM ledger.\"order\" AS m WHERE m.account_id = $1 AND $2 LIKE 'scrip-%' "                    \
    "ORDER BY m.order_id DESC LIMIT 10000) AS n WHERE n.client_order_id = $2))"

static const char order_by_client_where[] =
    "WHERE t.account_id = $1 AND t.order_id = " ORDER_OF_CLIENT;
static const Oid order_by_client_types[] = {PG_INT8, PG_TEXT};

static const char fills_by_id_where[] =
    "WHERE t.account_id = $1 AND t.order_id = $2 ORDER BY t.trade_id DESC LIMIT 500";

static const char fills_by_client_where[] =
    "WHERE t.account_id = $1 AND t.order_id = " ORDER_OF_CLIENT
    " ORDER BY t.trade_id DESC LIMIT 500";

static void
prepare(struct query *q, const char *name, enum table table, const char *from, const char *where,
        int count, const Oid *types)
{
    char list[ROWS_SQL_BYTES], sql[2 * ROWS_SQL_BYTES];
    rows_select_list(table, "t", list);
    int length = snprintf(sql, sizeof sql, "SELECT %s FROM %s AS t %s", list, from, where);
    CHECK(length > 0 && (size_t)length < sizeof sql);
    pg_prepare(q->pg, name, sql, count, types);
}

#define PREPARE(q, name, table, from)                                                              \
    prepare(q, #name, table, from, name##_where, (int)(sizeof name##_types / sizeof(Oid)),         \
            name##_types)

static void
prepare_all(struct query *q)
{
    PREPARE(q, order_list, TABLE_ORDER, "ledger.\"order\"");
    PREPARE(q, trade_list, TABLE_TRADE, "ledger.trade");
    PREPARE(q, order_trades, TABLE_TRADE, "ledger.trade");
    PREPARE(q, change_list, TABLE_CHANGE, "ledger.balance_change");
    PREPARE(q, order_by_id, TABLE_ORDER, "ledger.\"order\"");
    PREPARE(q, order_by_client, TABLE_ORDER, "ledger.\"order\"");
    prepare(q, "fills_by_id", TABLE_TRADE, "ledger.trade", fills_by_id_where, 2, order_by_id_types);
    prepare(q, "fills_by_client", TABLE_TRADE, "ledger.trade", fills_by_client_where, 2,
            order_by_client_types);
}

/* ---- Asking ------------------------------------------------------------------------------- */

/* Text parameters, numbers printed. */
struct values {
    const char *at[8];
    char text[8][24];
    int count;
};

static void
value_number(struct values *v, int64_t n)
{
    snprintf(v->text[v->count], sizeof v->text[0], "%lld", (long long)n);
    v->at[v->count] = v->text[v->count];
    v->count++;
}

static void
value_text(struct values *v, const char *text)
{
    v->at[v->count++] = text;
}

static int64_t
or_last(uint64_t n)
{
    return n == 0 ? INT64_MAX : (int64_t)n;
}

static uint32_t
page_rows(uint32_t limit)
{
    return limit == 0 ? PAGE_ROWS : limit;
}

static bool
send_order_list(struct question *k, pg_answer *answer)
{
    const struct order_list *ask = &k->cmd.order_list;
    struct values v = {0};
    value_number(&v, (int64_t)ask->account_id);
    value_number(&v, or_last(ask->cursor));
    value_text(&v, ask->symbol.text);
    value_number(&v, ask->status);
    value_number(&v, ask->from_us);
    value_number(&v, or_last((uint64_t)ask->to_us));
    value_number(&v, page_rows(ask->limit) + 1);
    return pg_send_prepared(k->query->pg, "order_list", v.count, v.at, NULL, NULL, true, answer, k);
}

static bool
send_trade_list(struct question *k, pg_answer *answer)
{
    const struct trade_list *ask = &k->cmd.trade_list;
    struct values v = {0};
    value_number(&v, (int64_t)ask->account_id);
    if (ask->order_id != 0)
        value_number(&v, (int64_t)ask->order_id);
    value_number(&v, or_last(ask->cursor));
    if (ask->order_id == 0)
        value_text(&v, ask->symbol.text);
    value_number(&v, ask->from_us);
    value_number(&v, or_last((uint64_t)ask->to_us));
    value_number(&v, page_rows(ask->limit) + 1);
    const char *name = ask->order_id != 0 ? "order_trades" : "trade_list";
    return pg_send_prepared(k->query->pg, name, v.count, v.at, NULL, NULL, true, answer, k);
}

static bool
send_change_list(struct question *k, pg_answer *answer)
{
    const struct balance_history *ask = &k->cmd.balance_history;
    struct values v = {0};
    value_number(&v, (int64_t)ask->account_id);
    value_number(&v, ask->trading_type);
    value_number(&v, or_last(ask->cursor));
    value_number(&v, page_rows(ask->limit) + 1);
    return pg_send_prepared(k->query->pg, "change_list", v.count, v.at, NULL, NULL, true, answer,
                            k);
}

/* What a look-up names: the account, and the order by one of its ids. */
struct named {
    uint64_t account_id, order_id;
    const cid_t *client_order_id;
};

static struct named
named_by(const struct msg *cmd)
{
    if (cmd->type == MSG_order_place)
        return (struct named){cmd->order_place.account_id, 0, &cmd->order_place.client_order_id};
    if (cmd->type == MSG_order_cancel)
        return (struct named){cmd->order_cancel.account_id, cmd->order_cancel.order_id,
                              &cmd->order_cancel.client_order_id};
    CHECK(cmd->type == MSG_order_get);
    return (struct named){cmd->order_get.account_id, cmd->order_get.order_id,
                          &cmd->order_get.client_order_id};
}

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

/* Rows of the page, and the cursor when there are more. */
static uint32_t
page_count(const PGresult *result, uint32_t limit, bool *more)
{
    uint32_t rows = (uint32_t)PQntuples(result);
    uint32_t wanted = page_rows(limit);
    *more = rows > wanted;
    return *more ? wanted : rows;
}

static void
orders_page(struct question *k, const PGresult *result)
{
    bool more;
    struct query *q = k->query;
    struct msg m = {.type = MSG_order_page, .corr = k->cmd.corr};
    uint32_t count = page_count(result, k->cmd.order_list.limit, &more);
    for (uint32_t i = 0; i < count; i++) {
        int column = 0;
        struct order_row row;
        rows_get_order(result, (int)i, &column, &row);
        q->page.orders[i] = row.order;
    }
    m.order_page.orders = q->page.orders;
    m.order_page.orders_count = count;
    m.order_page.next_cursor = more ? q->page.orders[count - 1].order_id : 0;
    q->o.on_page(q->o.arg, k->peer, &m);
}

static void
trades_page(struct question *k, const PGresult *result)
{
    bool more;
    struct query *q = k->query;
    struct msg m = {.type = MSG_trade_page, .corr = k->cmd.corr};
    uint32_t count = page_count(result, k->cmd.trade_list.limit, &more);
    for (uint32_t i = 0; i < count; i++) {
        int column = 0;
        struct trade_row row;
        rows_get_trade(result, (int)i, &column, &row);
        q->page.trades[i] = row.trade;
    }
    m.trade_page.trades = q->page.trades;
    m.trade_page.trades_count = count;
    m.trade_page.next_cursor = more ? q->page.trades[count - 1].trade_id : 0;
    q->o.on_page(q->o.arg, k->peer, &m);
}

static void
changes_page(struct question *k, const PGresult *result)
{
    bool more;
    struct query *q = k->query;
    struct msg m = {.type = MSG_balance_changes, .corr = k->cmd.corr};
    uint32_t count = page_count(result, k->cmd.balance_history.limit, &more);
    for (uint32_t i = 0; i < count; i++) {
        int column = 0;
        struct change_row row;
        rows_get_change(result, (int)i, &column, &row);
        q->page.changes[i] = row.change;
    }
    m.balance_changes.changes = q->page.changes;
    m.balance_changes.changes_count = count;
    m.balance_changes.next_cursor = more ? q->page.changes[count - 1].change_id : 0;
    q->o.on_page(q->o.arg, k->peer, &m);
}

static void
page_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct question *k = arg;
    if (outcome != PG_ROWS)
        refuse(k, outcome == PG_LOST ? ERR_LEDGER_UNAVAILABLE : ERR_INTERNAL);
    else if (k->cmd.type == MSG_order_list)
        orders_page(k, result);
    else if (k->cmd.type == MSG_trade_list)
        trades_page(k, result);
    else
        changes_page(k, result);
    question_done(k->query);
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

/* The second half: fills, newest first from the index, oldest first for the reader. */
static void
fills_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct question *k = arg;
    struct query *q = k->query;
    if (outcome != PG_ROWS) {
        refuse(k, outcome == PG_LOST ? ERR_LEDGER_UNAVAILABLE : ERR_INTERNAL);
    } else if (!k->has_order) {
        q->o.on_found(q->o.arg, k->peer, &k->cmd, k->source, NULL);
    } else {
        uint32_t count = (uint32_t)PQntuples(result);
        for (uint32_t i = 0; i < count; i++) {
            int column = 0;
            struct trade_row row;
            rows_get_trade(result, (int)(count - 1 - i), &column, &row);
            q->page.trades[i] = row.trade;
        }
        const struct order_view view = {
            .order = k->order, .fills = q->page.trades, .fills_count = count};
        q->o.on_found(q->o.arg, k->peer, &k->cmd, k->source, &view);
    }
    question_done(q);
}

static bool
send_look_up(struct question *k)
{
    struct named by = named_by(&k->cmd);
    struct values v = {0};
    value_number(&v, (int64_t)by.account_id);
    if (by.order_id != 0)
        value_number(&v, (int64_t)by.order_id);
    else
        value_text(&v, by.client_order_id->text);
    bool by_id = by.order_id != 0;
    return pg_send_prepared(k->query->pg, by_id ? "order_by_id" : "order_by_client", v.count, v.at,
                            NULL, NULL, true, order_answer, k) &&
           pg_send_prepared(k->query->pg, by_id ? "fills_by_id" : "fills_by_client", v.count, v.at,
                            NULL, NULL, true, fills_answer, k);
}

static bool
question_send(struct question *k)
{
    switch ((int)k->cmd.type) {
    case MSG_order_list:
        return send_order_list(k, page_answer);
    case MSG_trade_list:
        return send_trade_list(k, page_answer);
    case MSG_balance_history:
        return send_change_list(k, page_answer);
    default:
        return send_look_up(k);
    }
}

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
    default:
        return 0;
    }
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
    /* What was evicted is in the tables; fills that left the ring may only be drained yet. */
    if (cmd->type != MSG_order_place && cmd->type != MSG_order_cancel)
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
        if (!question_send(k))
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
    prepare_all(q);
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
