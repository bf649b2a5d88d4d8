/*
 * load.c - see load.h. A lane asks for one table after the other; each answer decides the next.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/load.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/pg.h"
#include "ledger/shell/rows.h"

#define LANES_MAX   16
#define PAGE_ROWS   2000
#define PAGES_AHEAD 2        /* asked for before they are needed */
#define FILL_ORDERS 2000     /* orders whose fills are asked for at once */
#define RECENT_US   30000000 /* finished orders that a retry may still ask for */
#define LIST_BYTES  (LEDGER_SHARDS * 24 + 3)
#define SQL_BYTES   (3 * ROWS_SQL_BYTES)
/* NEW, PARTIALLY_FILLED and PENDING_NEW: the index order_open has them. */
#define OPEN_STATUS "(1, 2, 8)"

/* In the order in which the core wants them. */
enum step {
    STEP_SHARDS,
    STEP_ACCOUNTS,
    STEP_BALANCES,
    STEP_LIVE,    /* orders that a matcher knows, in any order */
    STEP_PENDING, /* those that wait for others, by rising id */
    STEP_EDGES,   /* of each shard: the newest order that is not recent */
    STEP_RECENT,  /* finished orders after it */
    STEP_FILLS,   /* of open orders */
    STEP_DONE
};

static const char *const step_names[] = {"loading shards", "loading accounts", "loading balances",
                                         "loading orders", "loading orders",   "loading orders",
                                         "loading orders", "loading fills",    "loading"};

struct lane {
    struct load *load;
    struct pg *pg;
    enum step step;
    char shards[LIST_BYTES]; /* '{0,1,2}' */
    uint16_t first, last;    /* the lowest and the highest of them */
    uint32_t in_flight;      /* pages */
    bool is_last;            /* the cursor has no more */
    uint64_t edges[LEDGER_SHARDS];
    uint64_t *with_fills; /* open orders that have fills */
    uint32_t with_fills_count, with_fills_room, with_fills_at;
};

struct load {
    struct load_options o;
    struct lane lanes[LANES_MAX];
    uint32_t count;
    char moment[64]; /* the first lane's snapshot, for as long as that lasts */
    bool is_lost;
    uint64_t rows;
    char why[256];
};

static void fail(struct load *l, const char *format, ...) PRINTF(2, 3);

static void
fail(struct load *l, const char *format, ...)
{
    if (l->why[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(l->why, sizeof l->why, format, args);
    va_end(args);
}

/* ---- Rows into memory --------------------------------------------------------------------- */

static void
take_shard(struct load *l, const PGresult *result, int i)
{
    int column = 0;
    struct stamp_row row;
    rows_get_stamp(result, i, &column, &row);
    enum err e = ledger_load_shard(l->o.ledger, &row.shard);
    if (e != OK) {
        fail(l, "shard %u: %s", row.shard.shard, err_name(e));
        return;
    }
    journal_set_head(l->o.journal, (uint16_t)row.shard.shard, row.seq, row.hash);
}

static void
take_account(struct load *l, const PGresult *result, int i)
{
    int column = 0;
    struct account_row row;
    struct settings_row spot, futures;
    rows_get_account(result, i, &column, &row);
    rows_get_settings(result, i, &column, &spot);
    rows_get_settings(result, i, &column, &futures);
    row.settings[TRADING_TYPE_spot - 1] = spot.settings;
    row.settings[TRADING_TYPE_futures - 1] = futures.settings;
    enum err e = ledger_load_account(l->o.ledger, &row);
    if (e != OK)
        fail(l, "account %" PRIu64 ": %s", row.account_id, err_name(e));
}

static void
take_balance(struct load *l, const PGresult *result, int i)
{
    int column = 0;
    struct balance_row row;
    rows_get_balance(result, i, &column, &row);
    enum err e = ledger_load_balance(l->o.ledger, &row);
    if (e != OK)
        fail(l, "balance of account %" PRIu64 " in %s: %s", row.account_id, row.asset.text,
             err_name(e));
}

static void
remember_fills(struct lane *n, uint64_t order_id)
{
    if (n->with_fills_count == n->with_fills_room) {
        n->with_fills_room = n->with_fills_room == 0 ? 1024 : 2 * n->with_fills_room;
        n->with_fills = realloc(n->with_fills, n->with_fills_room * sizeof *n->with_fills);
        CHECK(n->with_fills != NULL);
    }
    n->with_fills[n->with_fills_count++] = order_id;
}

static void
take_order(struct lane *n, const PGresult *result, int i)
{
    int column = 0;
    struct order_row row;
    struct load *l = n->load;
    rows_get_order(result, i, &column, &row);
    struct ledger *own = l->o.ledger;
    bool is_open = row.order.end_reason == ORDER_END_NONE;
    /* Finished ones only serve retries, and the tables can answer these too. */
    if (!is_open && own->orders_count >= own->limits.orders_high)
        return;
    if (own->orders_count == own->limits.orders_max) /* other lanes have loaded finished ones */
        (void)ledger_make_room(own);
    enum err e = ledger_load_order(own, &row);
    if (e != OK)
        fail(l, "order %" PRIu64 ": %s", row.order.order_id, err_name(e));
    else if (is_open && row.fills > 0)
        remember_fills(n, row.order.order_id);
}

static void
take_edge(struct lane *n, const PGresult *result, int i)
{
    int64_t shard = pg_read_int(PQgetvalue(result, i, 0), PQgetlength(result, i, 0));
    int64_t edge = pg_read_int(PQgetvalue(result, i, 1), PQgetlength(result, i, 1));
    if (shard >= 0 && shard < LEDGER_SHARDS)
        n->edges[shard] = (uint64_t)edge;
}

static void
take_fill(struct load *l, const PGresult *result, int i)
{
    int column = 0;
    struct trade_row row;
    rows_get_trade(result, i, &column, &row);
    enum err e = ledger_load_fill(l->o.ledger, &row);
    if (e != OK)
        fail(l, "trade %" PRIu64 ": %s", row.trade.trade_id, err_name(e));
}

static void
take_row(struct lane *n, const PGresult *result, int i)
{
    switch (n->step) {
    case STEP_SHARDS:
        take_shard(n->load, result, i);
        break;
    case STEP_ACCOUNTS:
        take_account(n->load, result, i);
        break;
    case STEP_BALANCES:
        take_balance(n->load, result, i);
        break;
    case STEP_LIVE:
    case STEP_PENDING:
    case STEP_RECENT:
        take_order(n, result, i);
        break;
    case STEP_EDGES:
        take_edge(n, result, i);
        break;
    case STEP_FILLS:
        take_fill(n->load, result, i);
        break;
    case STEP_DONE:
        CHECK(false);
    }
}

/* ---- Questions ---------------------------------------------------------------------------- */

static void step_open(struct lane *n);

/* A server that ends the session says so first; all is asked again, as after any loss. */
static bool
is_ended(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state != NULL && (strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0);
}

static void
note(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct load *l = ((struct lane *)arg)->load;
    if (outcome != PG_FAILED)
        return;
    if (is_ended(result) || l->is_lost)
        l->is_lost = true;
    else
        fail(l, "the tables cannot be read: %s",
             PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

static void
say(struct lane *n, const char *sql)
{
    (void)pg_send(n->pg, sql, 0, NULL, NULL, NULL, NULL, false, note, n);
}

static void page_answer(void *arg, enum pg_outcome outcome, const PGresult *result);

static void
fetch(struct lane *n)
{
    char sql[64];
    snprintf(sql, sizeof sql, "FETCH %d FROM page", PAGE_ROWS);
    while (n->in_flight < PAGES_AHEAD &&
           pg_send(n->pg, sql, 0, NULL, NULL, NULL, NULL, true, page_answer, n))
        n->in_flight++;
    (void)pg_sync(n->pg, NULL, NULL);
}

static void
page_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct lane *n = arg;
    struct load *l = n->load;
    n->in_flight--;
    note(n, outcome, result);
    loop_soon(l->o.loop);
    if (outcome != PG_ROWS)
        return;
    int rows = PQntuples(result);
    for (int i = 0; i < rows && l->why[0] == '\0'; i++)
        take_row(n, result, i);
    l->rows += (uint64_t)rows;
    n->is_last = n->is_last || rows < PAGE_ROWS;
    if (l->why[0] == '\0' && !n->is_last) {
        fetch(n);
    } else if (l->why[0] == '\0' && n->in_flight == 0) {
        say(n, "CLOSE page");
        if (n->step != STEP_FILLS || n->with_fills_at == n->with_fills_count)
            n->step++;
        step_open(n);
    }
}

static void ask(struct lane *n, const char *format, ...) PRINTF(2, 3);

static void
ask(struct lane *n, const char *format, ...)
{
    static const char declare[] = "DECLARE page NO SCROLL CURSOR FOR ";
    char sql[SQL_BYTES];
    memcpy(sql, declare, sizeof declare);
    va_list args;
    va_start(args, format);
    int length = vsnprintf(sql + sizeof declare - 1, sizeof sql - sizeof declare + 1, format, args);
    va_end(args);
    CHECK(length > 0 && (size_t)length < sizeof sql - sizeof declare);
    n->is_last = false;
    say(n, sql);
    fetch(n);
}

static void
ask_accounts(struct lane *n)
{
    char account[ROWS_SQL_BYTES], spot[ROWS_SQL_BYTES], futures[ROWS_SQL_BYTES];
    rows_select_list(TABLE_ACCOUNT, "a", account);
    rows_select_list(TABLE_SETTINGS, "s", spot);
    rows_select_list(TABLE_SETTINGS, "f", futures);
    ask(n,
        "SELECT %s, %s, %s FROM ledger.account AS a "
        "JOIN ledger.settings AS s ON s.account_id = a.account_id AND s.wallet = %d "
        "JOIN ledger.settings AS f ON f.account_id = a.account_id AND f.wallet = %d "
        "WHERE a.shard = ANY ('%s')",
        account, spot, futures, TRADING_TYPE_spot, TRADING_TYPE_futures, n->shards);
}

/* An id has its shard in the bits from 47 up. The pages of the table are read once, in their order:
 * through the index they would be read once for each order. */
static void
ask_open(struct lane *n, const char *condition, const char *order)
{
    char list[ROWS_SQL_BYTES];
    rows_select_list(TABLE_ORDER, "t", list);
    say(n, "SET LOCAL enable_seqscan = off");
    say(n, "SET LOCAL enable_indexscan = off");
    ask(n,
        "SELECT %s FROM ledger.\"order\" AS t WHERE t.status IN " OPEN_STATUS
        " AND t.order_id > %" PRIu64 " AND t.order_id < %" PRIu64
        " AND (t.order_id >> 47) = ANY ('%s')%s%s",
        list, (uint64_t)n->first << 47, (uint64_t)(n->last + 1) << 47, n->shards, condition, order);
}

/* Account by account: there is no index by order id alone. */
static void
ask_edges(struct lane *n)
{
    for (uint64_t shard = 0; shard < LEDGER_SHARDS; shard++)
        n->edges[shard] = shard << 47;
    say(n, "SET LOCAL enable_seqscan = on");
    say(n, "SET LOCAL enable_indexscan = on");
    ask(n,
        "SELECT a.shard, max(t.order_id) FROM ledger.account AS a CROSS JOIN LATERAL "
        "(SELECT o.order_id FROM ledger.\"order\" AS o WHERE o.account_id = a.account_id "
        "AND o.created_us < %" PRId64 " ORDER BY o.order_id DESC LIMIT 1) AS t "
        "WHERE a.shard = ANY ('%s') GROUP BY a.shard",
        journal_past_us(n->load->o.journal, loop_now_us(n->load->o.loop)) - RECENT_US, n->shards);
}

static void
ask_recent(struct lane *n)
{
    char list[ROWS_SQL_BYTES], edges[LIST_BYTES];
    size_t at = 0;
    for (uint32_t shard = n->first; shard <= n->last; shard++)
        at += (size_t)snprintf(edges + at, sizeof edges - at, "%c%" PRIu64,
                               shard == n->first ? '{' : ',', n->edges[shard]);
    rows_select_list(TABLE_ORDER, "t", list);
    ask(n,
        "SELECT %s FROM unnest('%s}'::bigint[]) WITH ORDINALITY AS e (edge, place) "
        "JOIN ledger.account AS a ON a.shard = e.place + %d "
        "CROSS JOIN LATERAL (SELECT * FROM ledger.\"order\" AS o WHERE "
        "o.account_id = a.account_id AND o.order_id > e.edge AND o.status NOT IN " OPEN_STATUS
        " ORDER BY o.order_id) AS t WHERE a.shard = ANY ('%s')",
        list, edges, n->first - 1, n->shards);
}

static void
ask_fills(struct lane *n)
{
    uint32_t left = n->with_fills_count - n->with_fills_at;
    uint32_t count = left < FILL_ORDERS ? left : FILL_ORDERS;
    char list[ROWS_SQL_BYTES];
    rows_select_list(TABLE_TRADE, "t", list);
    size_t size = 24 * (size_t)count + SQL_BYTES, at;
    char *sql = malloc(size);
    CHECK(sql != NULL);
    at = (size_t)snprintf(sql, size,
                          "DECLARE page NO SCROLL CURSOR FOR SELECT %s FROM ledger.trade AS t "
                          "WHERE t.order_id IN (0",
                          list);
    for (uint32_t i = 0; i < count; i++)
        at +=
            (size_t)snprintf(sql + at, size - at, ",%" PRIu64, n->with_fills[n->with_fills_at + i]);
    snprintf(sql + at, size - at, ") ORDER BY t.trade_id");
    n->with_fills_at += count;
    n->is_last = false;
    say(n, sql);
    free(sql);
    fetch(n);
}

/* Asks for the rows of the lane's step. */
static void
step_open(struct lane *n)
{
    char list[ROWS_SQL_BYTES];
    if (n->step == STEP_FILLS && n->with_fills_count == 0)
        n->step = STEP_DONE;
    switch (n->step) {
    case STEP_SHARDS:
        rows_select_list(TABLE_SHARD, "t", list);
        ask(n, "SELECT %s FROM ledger.shard AS t WHERE t.shard = ANY ('%s')", list, n->shards);
        break;
    case STEP_ACCOUNTS:
        ask_accounts(n);
        break;
    case STEP_BALANCES:
        rows_select_list(TABLE_BALANCE, "t", list);
        ask(n, "SELECT %s FROM ledger.balance AS t WHERE t.shard = ANY ('%s')", list, n->shards);
        break;
    case STEP_LIVE:
        ask_open(n, " AND t.status <> 8", "");
        break;
    case STEP_PENDING:
        ask_open(n, " AND t.status = 8", " ORDER BY t.order_id");
        break;
    case STEP_EDGES:
        ask_edges(n);
        break;
    case STEP_RECENT:
        ask_recent(n);
        break;
    case STEP_FILLS:
        ask_fills(n);
        break;
    case STEP_DONE:
        break;
    }
}

/* ---- Lanes -------------------------------------------------------------------------------- */

static void lane_open(struct load *l, struct lane *n);

static void
moment_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct lane *n = arg;
    struct load *l = n->load;
    note(n, outcome, result);
    if (outcome != PG_ROWS || l->is_lost)
        return;
    snprintf(l->moment, sizeof l->moment, "%s", PQgetvalue(result, 0, 0));
    step_open(n);
    for (uint32_t i = 1; i < l->count; i++)
        lane_open(l, &l->lanes[i]);
}

/* The moment is gone when the first lane is; that may be heard of here first. */
static void
join_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    (void)result;
    ((struct lane *)arg)->load->is_lost |= outcome == PG_FAILED;
}

static void
lane_up(void *arg)
{
    struct lane *n = arg;
    struct load *l = n->load;
    bool is_first = n == l->lanes;
    char sql[sizeof l->moment + 32] = "SELECT pg_export_snapshot()";
    if (l->is_lost)
        return;
    say(n, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    say(n, "SET LOCAL cursor_tuple_fraction = 1");
    say(n, "SET LOCAL work_mem = '64MB'");
    say(n, "SET LOCAL jit = off");
    if (!is_first)
        snprintf(sql, sizeof sql, "SET TRANSACTION SNAPSHOT '%s'", l->moment);
    (void)pg_send(n->pg, sql, 0, NULL, NULL, NULL, NULL, false,
                  is_first ? moment_answer : join_answer, n);
    if (is_first)
        (void)pg_sync(n->pg, NULL, NULL);
    else
        step_open(n);
}

static void
lane_down(void *arg)
{
    struct load *l = ((struct lane *)arg)->load;
    l->is_lost = true;
    loop_soon(l->o.loop);
}

static void
lane_open(struct load *l, struct lane *n)
{
    n->load = l;
    n->pg = pg_open(l->o.loop, &(struct pg_options){
                                   .conninfo = l->o.conninfo,
                                   .label = "restore",
                                   .arg = n,
                                   .on_up = lane_up,
                                   .on_down = lane_down,
                               });
}

static void
lane_close(struct lane *n)
{
    pg_close(&n->pg);
    n->step = STEP_SHARDS;
    n->in_flight = 0;
    n->with_fills_count = n->with_fills_at = 0;
}

/* Neighbours go together, so that a lane's orders are a range of the index. */
static void
share_out(struct load *l)
{
    uint32_t owned = 0, given = 0;
    for (int i = 0; i < LEDGER_SHARDS; i++)
        owned += l->o.owned[i];
    CHECK(owned > 0 && l->o.lanes > 0 && l->o.lanes <= LANES_MAX);
    l->count = l->o.lanes < owned ? l->o.lanes : owned;
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++) {
        if (!l->o.owned[i])
            continue;
        struct lane *n = &l->lanes[given++ * l->count / owned];
        size_t at = strlen(n->shards);
        if (at == 0)
            n->first = i;
        else
            at--; /* over the bracket */
        n->last = i;
        snprintf(n->shards + at, sizeof n->shards - at, "%c%u}", at == 0 ? '{' : ',', i);
    }
}

/* ---- Life --------------------------------------------------------------------------------- */

struct load *
load_begin(const struct load_options *o)
{
    struct load *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    l->o = *o;
    share_out(l);
    lane_open(l, l->lanes);
    return l;
}

void
load_end(struct load **l)
{
    if (*l == NULL)
        return;
    for (uint32_t i = 0; i < (*l)->count; i++) {
        lane_close(&(*l)->lanes[i]);
        free((*l)->lanes[i].with_fills);
    }
    free(*l);
    *l = NULL;
}

/* What a lane has read is of a moment that the others do not know of any more. */
static void
begin_again(struct load *l)
{
    log_line(LOG_WARN, "load_begins_again", "rows=%" PRIu64, l->rows);
    for (uint32_t i = 0; i < l->count; i++)
        lane_close(&l->lanes[i]);
    ledger_clear(l->o.ledger);
    l->is_lost = false;
    l->rows = 0;
    lane_open(l, l->lanes);
}

static enum step
slowest(const struct load *l)
{
    enum step step = STEP_DONE;
    for (uint32_t i = 0; i < l->count; i++)
        if (l->lanes[i].step < step)
            step = l->lanes[i].step;
    return step;
}

bool
load_turn(struct load *l)
{
    if (l->why[0] != '\0' || slowest(l) == STEP_DONE)
        return true;
    if (l->is_lost)
        begin_again(l);
    return false;
}

const char *
load_why(const struct load *l)
{
    return l->why;
}

const char *
load_step(const struct load *l)
{
    return step_names[slowest(l)];
}

uint64_t
load_rows(const struct load *l)
{
    return l->rows;
}
