/*
 * query_send.c - the statements of query.h's questions, and which of them a question is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "ledger/shell/query_parts.h"
#include "ledger/shell/rows.h"

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

/* An order list is its orders; the ids of the others follow the first one's, which is its own. */
#define ORDERS_OF_LIST(id)                                                                         \
    "WHERE t.account_id = $1 AND t.order_id BETWEEN " id " AND " id " + 2 ORDER BY t.order_id"

static const char list_by_id_where[] = ORDERS_OF_LIST("$2");
static const Oid list_by_id_types[] = {PG_INT8, PG_INT8};
static const char list_by_client_where[] = ORDERS_OF_LIST(ORDER_OF_CLIENT);
static const Oid list_by_client_types[] = {PG_INT8, PG_TEXT};

static const char story_by_id_where[] = "WHERE t.account_id = $1 AND t.order_id = $2";
static const Oid story_by_id_types[] = {PG_INT8, PG_INT8};

static const char fills_by_client_where[] =
    "WHERE t.account_id = $1 AND t.order_id = " ORDER_OF_CLIENT
    " ORDER BY t.trade_id DESC LIMIT 500";

/* The order that was made behind the real one, by the same command; when each filled last. */
static const char twin_list_where[] =
    "LEFT JOIN ledger.\"order\" AS p ON p.account_id = t.account_id AND p.order_id = t.order_id + "
    "1 "
    "WHERE t.account_id = $1 AND t.mode = 2 AND t.order_id < $2 AND ($3 = '' OR t.symbol = $3) "
    "AND t.created_us >= $4 AND t.created_us < $5 ORDER BY t.order_id DESC LIMIT $6";
static const Oid twin_list_types[] = {PG_INT8, PG_INT8, PG_TEXT, PG_INT8, PG_INT8, PG_INT4};

static void
prepare_twins(struct query *q)
{
    char real[ROWS_SQL_BYTES], paper[ROWS_SQL_BYTES], sql[3 * ROWS_SQL_BYTES];
    rows_select_list(TABLE_ORDER, "t", real);
    rows_select_list(TABLE_ORDER, "p", paper);
    int length = snprintf(
        sql, sizeof sql,
        "SELECT %s, %s, (SELECT max(x.time_us) FROM ledger.trade AS x WHERE x.order_id = "
        "t.order_id), (SELECT max(y.time_us) FROM ledger.trade AS y WHERE y.order_id = p.order_id) "
        "FROM ledger.\"order\" AS t %s",
        real, paper, twin_list_where);
    CHECK(length > 0 && (size_t)length < sizeof sql);
    pg_prepare(q->pg, "twin_list", sql, (int)(sizeof twin_list_types / sizeof(Oid)),
               twin_list_types);
}

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

void
query_prepare(struct query *q)
{
    PREPARE(q, order_list, TABLE_ORDER, "ledger.\"order\"");
    PREPARE(q, trade_list, TABLE_TRADE, "ledger.trade");
    PREPARE(q, order_trades, TABLE_TRADE, "ledger.trade");
    PREPARE(q, change_list, TABLE_CHANGE, "ledger.balance_change");
    PREPARE(q, order_by_id, TABLE_ORDER, "ledger.\"order\"");
    PREPARE(q, order_by_client, TABLE_ORDER, "ledger.\"order\"");
    PREPARE(q, list_by_id, TABLE_ORDER, "ledger.\"order\"");
    PREPARE(q, list_by_client, TABLE_ORDER, "ledger.\"order\"");
    PREPARE(q, story_by_id, TABLE_STORY, "ledger.order_story");
    prepare(q, "fills_by_id", TABLE_TRADE, "ledger.trade", fills_by_id_where, 2, order_by_id_types);
    prepare(q, "fills_by_client", TABLE_TRADE, "ledger.trade", fills_by_client_where, 2,
            order_by_client_types);
    prepare_twins(q);
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

static bool
send_twin_list(struct question *k, pg_answer *answer)
{
    const struct twin_list *ask = &k->cmd.twin_list;
    struct values v = {0};
    value_number(&v, (int64_t)ask->account_id);
    value_number(&v, or_last(ask->cursor));
    value_text(&v, ask->symbol.text);
    value_number(&v, ask->from_us);
    value_number(&v, or_last((uint64_t)ask->to_us));
    value_number(&v, page_rows(ask->limit) + 1);
    return pg_send_prepared(k->query->pg, "twin_list", v.count, v.at, NULL, NULL, true, answer, k);
}

/* What a look-up names: the account, and the order by one of its ids. */
struct named {
    uint64_t account_id, order_id;
    const cid_t *client_order_id;
};

/* Those that place or find an order by either id. */
#define NAMED(message)                                                                             \
    case MSG_##message:                                                                            \
        return (struct named)                                                                      \
        {                                                                                          \
            cmd->message.account_id, cmd->message.order_id, &cmd->message.client_order_id          \
        }

static struct named
named_by(const struct msg *cmd)
{
    static const cid_t no_cid;
    switch ((int)cmd->type) {
        NAMED(order_cancel);
        NAMED(order_amend);
        NAMED(order_get);
    case MSG_order_place:
        return (struct named){cmd->order_place.account_id, 0, &cmd->order_place.client_order_id};
    case MSG_order_replace:
        return (struct named){cmd->order_replace.account_id, 0,
                              &cmd->order_replace.client_order_id};
    case MSG_order_why:
        return (struct named){cmd->order_why.account_id, cmd->order_why.order_id, &no_cid};
    case MSG_list_get:
        return (struct named){cmd->list_get.account_id, cmd->list_get.list_id, &no_cid};
    case MSG_list_place:
        CHECK(cmd->list_place.orders_count > 0);
        return (struct named){cmd->list_place.account_id, 0,
                              &cmd->list_place.orders[0].client_order_id};
    default:
        CHECK(false); /* no look-up */
    }
}

static bool
send_named(struct question *k, const struct named *by, const char *by_id, const char *by_client,
           pg_answer *answer)
{
    struct values v = {0};
    value_number(&v, (int64_t)by->account_id);
    if (by->order_id != 0)
        value_number(&v, (int64_t)by->order_id);
    else
        value_text(&v, by->client_order_id->text);
    const char *name = by->order_id != 0 ? by_id : by_client;
    return pg_send_prepared(k->query->pg, name, v.count, v.at, NULL, NULL, true, answer, k);
}

static bool
send_look_up(struct question *k, const struct query_answers *answers)
{
    const struct named by = named_by(&k->cmd);
    if (k->cmd.type == MSG_list_place || k->cmd.type == MSG_list_get)
        return send_named(k, &by, "list_by_id", "list_by_client", answers->list);
    return send_named(k, &by, "order_by_id", "order_by_client", answers->order) &&
           (k->cmd.type != MSG_order_why ||
            send_named(k, &by, "story_by_id", NULL, answers->story)) &&
           send_named(k, &by, "fills_by_id", "fills_by_client", answers->fills);
}

bool
query_send(struct question *k, const struct query_answers *answers)
{
    switch ((int)k->cmd.type) {
    case MSG_order_list:
        return send_order_list(k, answers->page);
    case MSG_trade_list:
        return send_trade_list(k, answers->page);
    case MSG_balance_history:
        return send_change_list(k, answers->page);
    case MSG_twin_list:
        return send_twin_list(k, answers->page);
    default:
        return send_look_up(k, answers);
    }
}
