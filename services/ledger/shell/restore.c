/*
 * restore.c - see restore.h. One question at a time; each answer decides the next.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/restore.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/pg.h"
#include "ledger/shell/rows.h"
#include "wire/codec.h"

#define PAGE_ROWS       5000
#define PAGE_RECORDS    1000 /* replayed before the rings are looked at again */
#define FILLS_A_RECORD  64
#define ORDERS_A_RECORD 3    /* of a list */
#define FILL_ORDERS     2000 /* orders whose fills are asked for at once */
#define LISTS_BYTES     (1u << 20)
#define SAY_US          1000000
#define RECENT_US       30000000 /* finished orders that a retry may still ask for */

enum step {
    STEP_SHARDS,
    STEP_ACCOUNTS,
    STEP_BALANCES,
    STEP_EDGE,        /* of each shard: the newest order that is not recent */
    STEP_OPEN_ORDERS, /* of each shard: open ones up to there */
    STEP_ORDERS,      /* of each shard: all after it */
    STEP_FILLS,       /* of open orders */
    STEP_JOURNAL,     /* of each shard */
    STEP_DONE
};

static const char *const step_names[] = {
    "loading shards", "loading accounts",      "loading balances",
    "loading orders", "loading orders",        "loading orders",
    "loading fills",  "replaying the journal", "proving the books"};

struct restore {
    struct restore_options o;
    struct pg *pg;
    struct journal_hasher *hasher;
    enum step step;
    bool is_asked;
    bool is_over;
    uint16_t shard;
    char owned[LEDGER_SHARDS * 3 + 3]; /* '{0,1,2}' */
    char select[2 * ROWS_SQL_BYTES];

    uint64_t after_id, edge_id; /* where the next page begins */
    int after_wallet;
    char after_asset[CODE_BYTES];

    uint64_t *with_fills; /* open orders that have fills */
    uint32_t with_fills_count, with_fills_room, with_fills_at, with_fills_asked;

    struct arena lists;
    struct outbox out;
    uint32_t page_records;
    uint64_t rows, records;
    int64_t began_us, said_us;
    char why[256];
};

/* ---- Steps -------------------------------------------------------------------------------- */

static void fail(struct restore *r, const char *format, ...) PRINTF(2, 3);

static void
fail(struct restore *r, const char *format, ...)
{
    if (r->why[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
}

static bool
next_shard(struct restore *r)
{
    do
        r->shard++;
    while (r->shard < LEDGER_SHARDS && !r->o.owned[r->shard]);
    return r->shard < LEDGER_SHARDS;
}

static void
first_shard(struct restore *r)
{
    r->shard = 0;
    if (!r->o.owned[0])
        (void)next_shard(r);
}

static void
go(struct restore *r, enum step step)
{
    r->step = step;
    r->after_id = 0;
    r->after_wallet = 0;
    r->after_asset[0] = '\0';
    r->is_asked = false;
    loop_soon(r->o.loop);
}

/* The loop over shards: edge, open orders, recent orders, then the next shard's edge. */
static void
orders_go_on(struct restore *r)
{
    if (r->step == STEP_EDGE)
        go(r, STEP_OPEN_ORDERS);
    else if (r->step == STEP_OPEN_ORDERS) {
        go(r, STEP_ORDERS);
        r->after_id = r->edge_id;
    } else if (next_shard(r))
        go(r, STEP_EDGE);
    else
        go(r, STEP_FILLS);
}

/* ---- Rows into memory --------------------------------------------------------------------- */

static void
take_shard(struct restore *r, const PGresult *result, int i)
{
    int column = 0;
    struct stamp_row row;
    rows_get_stamp(result, i, &column, &row);
    enum err e = ledger_load_shard(r->o.ledger, &row.shard);
    if (e != OK) {
        fail(r, "shard %u: %s", row.shard.shard, err_name(e));
        return;
    }
    journal_set_head(r->o.journal, (uint16_t)row.shard.shard, row.seq, row.hash);
    project_set_stamp(r->o.project, (uint16_t)row.shard.shard, row.seq);
}

static void
take_account(struct restore *r, const PGresult *result, int i)
{
    int column = 0;
    struct account_row row;
    struct settings_row spot, futures;
    rows_get_account(result, i, &column, &row);
    rows_get_settings(result, i, &column, &spot);
    rows_get_settings(result, i, &column, &futures);
    row.settings[TRADING_TYPE_spot - 1] = spot.settings;
    row.settings[TRADING_TYPE_futures - 1] = futures.settings;
    enum err e = ledger_load_account(r->o.ledger, &row);
    if (e != OK)
        fail(r, "account %" PRIu64 ": %s", row.account_id, err_name(e));
    r->after_id = row.account_id;
}

static void
take_balance(struct restore *r, const PGresult *result, int i)
{
    int column = 0;
    struct balance_row row;
    rows_get_balance(result, i, &column, &row);
    enum err e = ledger_load_balance(r->o.ledger, &row);
    if (e != OK)
        fail(r, "balance of account %" PRIu64 " in %s: %s", row.account_id, row.asset.text,
             err_name(e));
    r->after_id = row.account_id;
    r->after_wallet = (int)row.wallet;
    memcpy(r->after_asset, row.asset.text, sizeof r->after_asset);
}

static void
remember_fills(struct restore *r, uint64_t order_id)
{
    if (r->with_fills_count == r->with_fills_room) {
        r->with_fills_room = r->with_fills_room == 0 ? 1024 : 2 * r->with_fills_room;
        r->with_fills = realloc(r->with_fills, r->with_fills_room * sizeof *r->with_fills);
        CHECK(r->with_fills != NULL);
    }
    r->with_fills[r->with_fills_count++] = order_id;
}

static void
take_order(struct restore *r, const PGresult *result, int i)
{
    int column = 0;
    struct order_row row;
    rows_get_order(result, i, &column, &row);
    r->after_id = row.order.order_id;
    bool is_open = row.order.end_reason == ORDER_END_NONE;
    /* Finished ones only serve retries, and the tables can answer these too. */
    const struct ledger *l = r->o.ledger;
    if (!is_open && l->orders_count >= l->limits.orders_high)
        return;
    enum err e = ledger_load_order(r->o.ledger, &row);
    if (e != OK)
        fail(r, "order %" PRIu64 ": %s", row.order.order_id, err_name(e));
    else if (is_open && row.fills > 0)
        remember_fills(r, row.order.order_id);
}

static void
take_fill(struct restore *r, const PGresult *result, int i)
{
    int column = 0;
    struct trade_row row;
    rows_get_trade(result, i, &column, &row);
    enum err e = ledger_load_fill(r->o.ledger, &row);
    if (e != OK)
        fail(r, "trade %" PRIu64 ": %s", row.trade.trade_id, err_name(e));
}

/* ---- Answers ------------------------------------------------------------------------------ */

static void
page_take(struct restore *r, const PGresult *result, int i)
{
    switch (r->step) {
    case STEP_SHARDS:
        take_shard(r, result, i);
        break;
    case STEP_ACCOUNTS:
        take_account(r, result, i);
        break;
    case STEP_BALANCES:
        take_balance(r, result, i);
        break;
    case STEP_EDGE:
        r->edge_id = (uint64_t)pg_read_int(PQgetvalue(result, i, 0), PQgetlength(result, i, 0));
        break;
    case STEP_OPEN_ORDERS:
    case STEP_ORDERS:
        take_order(r, result, i);
        break;
    case STEP_FILLS:
        take_fill(r, result, i);
        break;
    case STEP_JOURNAL:
    case STEP_DONE:
        CHECK(false);
    }
}

static void
page_done(struct restore *r, int rows)
{
    bool more = rows == PAGE_ROWS;
    switch (r->step) {
    case STEP_SHARDS:
        go(r, STEP_ACCOUNTS);
        break;
    case STEP_ACCOUNTS:
        if (!more)
            go(r, STEP_BALANCES);
        break;
    case STEP_BALANCES:
        if (!more) {
            first_shard(r);
            go(r, STEP_EDGE);
        }
        break;
    case STEP_EDGE:
    case STEP_OPEN_ORDERS:
    case STEP_ORDERS:
        if (!more)
            orders_go_on(r);
        break;
    case STEP_FILLS:
        r->with_fills_at += r->with_fills_asked;
        break;
    case STEP_JOURNAL:
    case STEP_DONE:
        CHECK(false);
    }
}

static void
page_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct restore *r = arg;
    r->is_asked = false;
    if (outcome == PG_LOST)
        return; /* asked again once the connection is back; nothing of the page was taken */
    if (outcome == PG_FAILED) {
        fail(r, "the tables cannot be read: %s",
             PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
        return;
    }
    int rows = PQntuples(result);
    for (int i = 0; i < rows && r->why[0] == '\0'; i++)
        page_take(r, result, i);
    r->rows += (uint64_t)rows;
    page_done(r, rows);
    loop_soon(r->o.loop);
}

/* ---- Questions ---------------------------------------------------------------------------- */

static void ask(struct restore *r, const char *asset, const char *format, ...) PRINTF(3, 4);

static void
ask(struct restore *r, const char *asset, const char *format, ...)
{
    char sql[3 * ROWS_SQL_BYTES];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    CHECK(length > 0 && (size_t)length < sizeof sql);
    const char *values[] = {asset};
    r->is_asked =
        pg_send(r->pg, sql, asset == NULL ? 0 : 1, NULL, values, NULL, NULL, true, page_answer, r);
    if (r->is_asked)
        (void)pg_sync(r->pg, NULL, NULL);
}

static void
ask_accounts(struct restore *r)
{
    char account[ROWS_SQL_BYTES], spot[ROWS_SQL_BYTES], futures[ROWS_SQL_BYTES];
    rows_select_list(TABLE_ACCOUNT, "a", account);
    rows_select_list(TABLE_SETTINGS, "s", spot);
    rows_select_list(TABLE_SETTINGS, "f", futures);
    ask(r, NULL,
        "SELECT %s, %s, %s FROM ledger.account AS a "
        "JOIN ledger.settings AS s ON s.account_id = a.account_id AND s.wallet = %d "
        "JOIN ledger.settings AS f ON f.account_id = a.account_id AND f.wallet = %d "
        "WHERE a.account_id > %" PRIu64 " AND a.shard = ANY ('%s') ORDER BY a.account_id LIMIT %d",
        account, spot, futures, TRADING_TYPE_spot, TRADING_TYPE_futures, r->after_id, r->owned,
        PAGE_ROWS);
}

static void
ask_orders(struct restore *r)
{
    rows_select_list(TABLE_ORDER, "t", r->select);
    uint64_t first = (uint64_t)r->shard << 47;
    uint64_t after = r->after_id > first ? r->after_id : first;
    if (r->step == STEP_OPEN_ORDERS)
        ask(r, NULL,
            "SELECT %s FROM ledger.\"order\" AS t WHERE t.order_id > %" PRIu64
            " AND t.order_id <= %" PRIu64 " AND t.status IN (1, 2, 8) ORDER BY t.order_id LIMIT %d",
            r->select, after, r->edge_id, PAGE_ROWS);
    else /* account by account: there is no index by order id alone */
        ask(r, NULL,
            "SELECT %s FROM ledger.account AS a CROSS JOIN LATERAL (SELECT * FROM ledger.\"order\" "
            "AS o WHERE o.account_id = a.account_id AND o.order_id > %" PRIu64
            " ORDER BY o.order_id LIMIT %d) AS t WHERE a.shard = %u ORDER BY t.order_id LIMIT %d",
            r->select, after, PAGE_ROWS, r->shard, PAGE_ROWS);
}

static void
ask_fills(struct restore *r)
{
    uint32_t left = r->with_fills_count - r->with_fills_at;
    uint32_t count = left < FILL_ORDERS ? left : FILL_ORDERS;
    char *list = malloc(count * 24 + 1);
    CHECK(list != NULL);
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++)
        at += (size_t)snprintf(list + at, 24, "%s%" PRIu64, i == 0 ? "" : ",",
                               r->with_fills[r->with_fills_at + i]);
    rows_select_list(TABLE_TRADE, "t", r->select);
    size_t size = at + 2 * ROWS_SQL_BYTES;
    char *sql = malloc(size);
    CHECK(sql != NULL);
    snprintf(sql, size,
             "SELECT %s FROM ledger.trade AS t WHERE t.order_id IN (%.*s) ORDER BY t.trade_id",
             r->select, (int)at, list);
    r->is_asked = pg_send(r->pg, sql, 0, NULL, NULL, NULL, NULL, true, page_answer, r);
    r->with_fills_asked = count;
    if (r->is_asked)
        (void)pg_sync(r->pg, NULL, NULL);
    free(list);
    free(sql);
}

/* ---- The journal's tail ------------------------------------------------------------------- */

static void
replay_record(void *arg, const struct journal_record *record)
{
    struct restore *r = arg;
    if (r->why[0] != '\0')
        return;
    uint8_t before[HASH_BYTES], hash[HASH_BYTES];
    journal_head_hash(r->o.journal, record->shard, before);
    journal_hash(r->hasher, before, record, hash);
    if (record->seq != journal_applied(r->o.journal, record->shard) + 1 ||
        memcmp(hash, record->hash, HASH_BYTES) != 0) {
        fail(r, "the journal's chain is broken at shard %u seq %" PRIu64, record->shard,
             record->seq);
        return;
    }
    struct msg cmd;
    arena_reset(&r->lists);
    outbox_clear(&r->out);
    enum err e = msg_unpack_payload(record->payload, record->payload_length,
                                    (enum msg_type)record->kind, &r->lists, &cmd);
    if (e == OK) {
        cmd.corr = record->corr;
        e = ledger_shard_of_cmd(&cmd) == record->shard
                ? ledger_replay(r->o.ledger, &cmd, record->time_us, &r->out)
                : ERR_INTERNAL;
    }
    if (e != OK) {
        fail(r, "record %" PRIu64 " of shard %u, of kind %d, cannot be replayed: %s", record->seq,
             record->shard, (int)record->kind, err_name(e));
        return;
    }
    project_note(r->o.project, &cmd);
    journal_set_head(r->o.journal, record->shard, record->seq, record->hash);
    r->page_records++;
    r->records++;
}

static void
replay_done(void *arg, enum store_outcome outcome)
{
    struct restore *r = arg;
    r->is_asked = false;
    loop_soon(r->o.loop);
    if (outcome == STORE_LOST)
        return;
    if (outcome != STORE_DONE)
        fail(r, "the journal cannot be read: %s", store_outcome_name(outcome));
    else if (r->page_records < PAGE_RECORDS && !next_shard(r))
        go(r, STEP_DONE);
}

/* The core keeps fills, changes, stories and orders that ended until they are in the tables. */
static bool
replay_room(const struct restore *r, uint32_t page)
{
    struct ledger *l = r->o.ledger;
    ledger_evict(l, loop_now_us(r->o.loop));
    return ledger_ring_room(&l->fill_ring) >= page * FILLS_A_RECORD &&
           ledger_ring_room(&l->change_ring) >= page * 2 &&
           ledger_ring_room(&l->story_ring) >= page &&
           l->limits.orders_max - l->orders_count >= page * ORDERS_A_RECORD &&
           project_is_idle(r->o.project) && project_has_room(r->o.project, page);
}

static void
ask_journal(struct restore *r)
{
    if (!replay_room(r, PAGE_RECORDS) && !project_is_done(r->o.project)) {
        project_hurry(r->o.project);
        if (project_is_idle(r->o.project))
            loop_soon(r->o.loop); /* its next turn drains; the answer then brings ours */
        return;
    }
    r->page_records = 0;
    r->is_asked = store_read(r->o.store, r->shard, journal_applied(r->o.journal, r->shard),
                             PAGE_RECORDS, replay_record, replay_done, r);
}

/* ---- Going on ----------------------------------------------------------------------------- */

static void
ask_next(struct restore *r)
{
    char list[ROWS_SQL_BYTES];
    switch (r->step) {
    case STEP_SHARDS:
        rows_select_list(TABLE_SHARD, "t", list);
        ask(r, NULL, "SELECT %s FROM ledger.shard AS t WHERE t.shard = ANY ('%s')", list, r->owned);
        break;
    case STEP_ACCOUNTS:
        ask_accounts(r);
        break;
    case STEP_BALANCES:
        rows_select_list(TABLE_BALANCE, "t", list);
        ask(r, r->after_asset,
            "SELECT %s FROM ledger.balance AS t WHERE (t.account_id, t.wallet, t.asset) > "
            "(%" PRIu64 ", %d, $1) AND t.shard = ANY ('%s') "
            "ORDER BY t.account_id, t.wallet, t.asset LIMIT %d",
            list, r->after_id, r->after_wallet, r->owned, PAGE_ROWS);
        break;
    case STEP_EDGE:
        r->edge_id = (uint64_t)r->shard << 47;
        ask(r, NULL,
            "SELECT t.order_id FROM ledger.account AS a CROSS JOIN LATERAL (SELECT o.order_id FROM "
            "ledger.\"order\" AS o WHERE o.account_id = a.account_id AND o.created_us < %" PRId64
            " ORDER BY o.order_id DESC LIMIT 1) AS t WHERE a.shard = %u "
            "ORDER BY t.order_id DESC LIMIT 1",
            loop_now_us(r->o.loop) - RECENT_US, r->shard);
        break;
    case STEP_OPEN_ORDERS:
    case STEP_ORDERS:
        ask_orders(r);
        break;
    case STEP_FILLS:
        ask_fills(r);
        break;
    case STEP_JOURNAL:
        ask_journal(r);
        break;
    case STEP_DONE:
        break;
    }
}

static void
finish(struct restore *r)
{
    text_t why = {{0}};
    r->is_over = true;
    if (r->why[0] == '\0' && !ledger_check(r->o.ledger, &why))
        fail(r, "the books do not add up: %s", why.text);
    log_line(r->why[0] == '\0' ? LOG_INFO : LOG_ERROR, "restored",
             "rows=%" PRIu64 " records=%" PRIu64 " accounts=%u orders=%u ms=%lld why=\"%s\"",
             r->rows, r->records, r->o.ledger->accounts_count, r->o.ledger->orders_count,
             (long long)(loop_steady_us(r->o.loop) - r->began_us) / 1000, r->why);
    r->o.on_done(r->o.arg, r->why);
}

void
restore_turn(struct restore *r)
{
    if (r->is_over || r->is_asked)
        return;
    if (r->step == STEP_FILLS && r->with_fills_at == r->with_fills_count) {
        first_shard(r);
        go(r, STEP_JOURNAL);
    }
    if (r->why[0] != '\0' || r->step == STEP_DONE) {
        finish(r);
        return;
    }
    int64_t now = loop_steady_us(r->o.loop);
    if (now - r->said_us >= SAY_US) {
        r->said_us = now;
        log_line(LOG_INFO, "restoring", "step=\"%s\" rows=%" PRIu64 " records=%" PRIu64,
                 step_names[r->step], r->rows, r->records);
    }
    if (pg_is_up(r->pg) && store_is_up(r->o.store))
        ask_next(r);
}

const char *
restore_step(const struct restore *r)
{
    return step_names[r->step];
}

static void
connection_up(void *arg)
{
    loop_soon(((struct restore *)arg)->o.loop);
}

struct restore *
restore_begin(const struct restore_options *o)
{
    struct restore *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->o = *o;
    size_t at = 0;
    for (int i = 0; i < LEDGER_SHARDS; i++)
        if (o->owned[i])
            at += (size_t)snprintf(r->owned + at, 5, "%c%d", at == 0 ? '{' : ',', i);
    CHECK(at > 0);
    memcpy(r->owned + at, "}", 2);
    r->hasher = journal_hasher_new();
    void *bytes = aligned_alloc(16, LISTS_BYTES + LEDGER_OUT_BYTES);
    struct out *slots = calloc(LEDGER_OUT_MAX, sizeof *slots);
    CHECK(bytes != NULL && slots != NULL);
    arena_init(&r->lists, bytes, LISTS_BYTES);
    outbox_init(&r->out, slots, LEDGER_OUT_MAX, (char *)bytes + LISTS_BYTES, LEDGER_OUT_BYTES);
    r->began_us = r->said_us = loop_steady_us(o->loop);
    r->pg = pg_open(o->loop, &(struct pg_options){
                                 .conninfo = o->conninfo,
                                 .label = "restore",
                                 .arg = r,
                                 .on_up = connection_up,
                             });
    return r;
}

void
restore_end(struct restore **r)
{
    if (*r == NULL)
        return;
    pg_close(&(*r)->pg);
    journal_hasher_destroy(&(*r)->hasher);
    free((*r)->lists.bytes);
    free((*r)->out.slots);
    free((*r)->with_fills);
    free(*r);
    *r = NULL;
}
