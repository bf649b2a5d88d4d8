/*
 * project.c - see project.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/project.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/metrics.h"
#include "host/pg.h"
#include "ledger/shell/rows.h"

#define LIMITS_MAX 4096   /* paper balances set between two drains */
#define RETRY_US   200000 /* after a refusal */
#define SETTLE_US  20000  /* written, but the journal rests: make it durable by itself */

enum state { STATE_IDLE, STATE_READY, STATE_SENT, STATE_WRITTEN, STATE_FLUSHED };

struct project {
    struct project_options o;
    struct pg *pg;
    enum state state;
    bool is_durable_send; /* the transaction on its way waits for the disk */
    bool must_be_durable; /* the next one has to */
    bool is_repeat;       /* this drain was sent before: its new rows may be there */
    bool knows_types;     /* the row types of this connection's database */
    bool hurry;
    bool is_started;
    enum pg_outcome outcome;
    char trouble[160];

    struct rows tables[TABLES];
    uint32_t types[TABLES]; /* oid of the row type, of tables sent as records */
    struct limits_row limits[LIMITS_MAX];
    uint32_t limits_count;
    uint64_t generation;
    uint64_t drained[LEDGER_SHARDS]; /* seq that the drain at work is true at */
    uint64_t stamps[LEDGER_SHARDS];  /* seq that the tables are true at */
    uint64_t on_disk[LEDGER_SHARDS]; /* the same, once nothing can take it back */
    uint64_t sends_before;           /* sendings of the journal when the tables had it */

    int64_t steady_us, drained_us, sent_us, written_us, retry_us;
    struct metric *m_rows, *m_latency, *m_lag, *m_failed;
};

static const char *const names[TABLES] = {
    [TABLE_SHARD] = "put_shard",       [TABLE_ACCOUNT] = "put_account",
    [TABLE_SETTINGS] = "put_settings", [TABLE_LIMITS] = "put_limits",
    [TABLE_BALANCE] = "put_balance",   [TABLE_ORDER] = "put_order",
    [TABLE_NEW_ORDER] = "put_new",     [TABLE_TRADE] = "put_trade",
    [TABLE_CHANGE] = "put_change",     [TABLE_STORY] = "put_story",
};
static const char *const names_again[TABLES] = {
    [TABLE_SHARD] = "put_shard",       [TABLE_ACCOUNT] = "put_account",
    [TABLE_SETTINGS] = "put_settings", [TABLE_LIMITS] = "put_limits",
    [TABLE_BALANCE] = "put_balance",   [TABLE_ORDER] = "put_order",
    [TABLE_NEW_ORDER] = "again_new",   [TABLE_TRADE] = "again_trade",
    [TABLE_CHANGE] = "again_change",   [TABLE_STORY] = "again_story",
};

/* ---- Draining ----------------------------------------------------------------------------- */

static void
sink_account(void *arg, const struct account_row *row)
{
    struct project *p = arg;
    rows_add_account(&p->tables[TABLE_ACCOUNT], row);
    for (int i = 0; i < LEDGER_TYPES; i++) {
        if ((row->dirty & (i == 0 ? DIRTY_SPOT_SETTINGS : DIRTY_FUTURES_SETTINGS)) == 0)
            continue;
        const struct settings_row settings = {
            .account_id = row->account_id,
            .wallet = (enum trading_type)(i + 1),
            .settings = row->settings[i],
        };
        rows_add_settings(&p->tables[TABLE_SETTINGS], &settings);
    }
}

static void
sink_balance(void *arg, const struct balance_row *row)
{
    rows_add_balance(&((struct project *)arg)->tables[TABLE_BALANCE], row);
}

static void
sink_order(void *arg, const struct order_row *row)
{
    struct project *p = arg;
    rows_add_order(&p->tables[row->is_new ? TABLE_NEW_ORDER : TABLE_ORDER], row);
}

static void
sink_trade(void *arg, const struct trade_row *row)
{
    rows_add_trade(&((struct project *)arg)->tables[TABLE_TRADE], row);
}

static void
sink_change(void *arg, const struct change_row *row)
{
    rows_add_change(&((struct project *)arg)->tables[TABLE_CHANGE], row);
}

static void
sink_story(void *arg, const struct story_row *row)
{
    rows_add_story(&((struct project *)arg)->tables[TABLE_STORY], row);
}

static void
drain(struct project *p)
{
    for (int t = 0; t < TABLES; t++)
        rows_clear(&p->tables[t]);
    const struct ledger_sink sink = {
        .arg = p,
        .on_account = sink_account,
        .on_balance = sink_balance,
        .on_order = sink_order,
        .on_trade = sink_trade,
        .on_change = sink_change,
        .on_story = sink_story,
    };
    p->generation = ledger_drain(p->o.ledger, &sink);
    for (uint32_t i = 0; i < p->limits_count; i++)
        rows_add_limits(&p->tables[TABLE_LIMITS], &p->limits[i]);
    p->limits_count = 0;
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++) {
        p->drained[i] = journal_applied(p->o.journal, i);
        if (p->drained[i] == p->stamps[i])
            continue;
        struct stamp_row stamp = {.shard = ledger_shard_row(p->o.ledger, i), .seq = p->drained[i]};
        journal_head_hash(p->o.journal, i, stamp.hash);
        rows_add_stamp(&p->tables[TABLE_SHARD], &stamp);
    }
    p->drained_us = p->steady_us;
    p->state = STATE_READY;
    p->must_be_durable = false;
    p->is_repeat = false;
    p->hurry = false;
}

/* ---- Sending ------------------------------------------------------------------------------ */

static void
note_outcome(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct project *p = arg;
    if (p->outcome != PG_ROWS || outcome == PG_ROWS)
        return;
    p->outcome = outcome;
    if (outcome != PG_FAILED)
        return;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state != NULL && strcmp(state, "SF001") == 0) {
        p->o.on_fenced(p->o.arg, "the lease has another owner");
        return;
    }
    char trouble[sizeof p->trouble];
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(trouble, sizeof trouble, "the tables refuse: %s", text == NULL ? "" : text);
    if (strcmp(trouble, p->trouble) == 0)
        return; /* it is tried five times a second: once is enough to say */
    memcpy(p->trouble, trouble, sizeof trouble);
    log_line(LOG_ERROR, "projection_refused", "sqlstate=%s message=\"%s\"",
             state == NULL ? "" : state, text == NULL ? "" : text);
}

static void
written(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct project *p = arg;
    note_outcome(p, outcome, result);
    if (p->outcome != PG_ROWS) {
        metric_add(p->m_failed, 1);
        p->state = STATE_READY;
        p->must_be_durable = true;
        p->retry_us = p->outcome == PG_FAILED ? p->steady_us + RETRY_US : 0;
        return;
    }
    p->trouble[0] = '\0';
    memcpy(p->stamps, p->drained, sizeof p->stamps);
    p->state = STATE_WRITTEN;
    p->written_us = p->steady_us;
    p->sends_before = journal_sends(p->o.journal);
    metric_observe_us(p->m_latency, p->steady_us - p->sent_us);
}

static bool
send_text(struct project *p, const char *name, const char *a, const char *b)
{
    const char *values[] = {a, b};
    return pg_send_prepared(p->pg, name, b == NULL ? 1 : 2, values, NULL, NULL, false, note_outcome,
                            p);
}

static bool
send_fence(struct project *p)
{
    char group[12], epoch[24];
    snprintf(group, sizeof group, "%u", p->o.group);
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)p->o.epoch);
    return send_text(p, "fence", group, epoch);
}

static bool
send_rows(struct project *p, enum table table)
{
    struct rows *r = &p->tables[table];
    if (r->count == 0)
        return true;
    const char *values[ROWS_COLUMNS_MAX];
    int lengths[ROWS_COLUMNS_MAX], formats[ROWS_COLUMNS_MAX];
    if (rows_record(table) != NULL)
        pg_array_set_type(&r->arrays[0], p->types[table]);
    int count = rows_arrays(table);
    for (int i = 0; i < count; i++) {
        values[i] = pg_array_value(&r->arrays[i]);
        lengths[i] = pg_array_length(&r->arrays[i]);
        formats[i] = 1;
    }
    metric_add(p->m_rows, r->count);
    const char *name = (p->is_repeat ? names_again : names)[table];
    return pg_send_prepared(p->pg, name, count, values, lengths, formats, true, note_outcome, p);
}

/* One transaction: fence, durability, rows, stamps. When any of it cannot be sent the connection
 * is breaking, nothing of it is committed, and it is sent again on the next one. */
static void
send(struct project *p)
{
    p->is_durable_send = p->must_be_durable || journal_is_empty(p->o.journal);
    p->outcome = PG_ROWS;
    bool sent = send_fence(p) && send_text(p, "durable", p->is_durable_send ? "on" : "off", NULL);
    for (int t = TABLES - 1; sent && t >= 0; t--)
        if (t != TABLE_LIMITS)
            sent = send_rows(p, (enum table)t);
    sent = sent && send_rows(p, TABLE_LIMITS) && pg_sync(p->pg, written, p);
    p->is_repeat = true;
    if (sent) {
        p->state = STATE_SENT;
        p->sent_us = p->steady_us;
    }
}

static bool
journal_covers(const struct project *p)
{
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        if (journal_committed(p->o.journal, i) < p->drained[i])
            return false;
    return true;
}

static bool
is_behind(const struct project *p)
{
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        if (journal_applied(p->o.journal, i) != p->stamps[i])
            return true;
    return false;
}

static bool
is_due(const struct project *p)
{
    return p->is_started &&
           (p->hurry || p->steady_us - p->drained_us >= p->o.interval_us ||
            ledger_dirty_rows(p->o.ledger) >= p->o.rows_max) &&
           is_behind(p);
}

static void
settled(struct project *p)
{
    p->state = STATE_IDLE;
    memcpy(p->on_disk, p->stamps, sizeof p->on_disk);
    ledger_projected(p->o.ledger, p->generation);
}

static void
flushed(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct project *p = arg;
    note_outcome(p, outcome, result);
    if (p->state != STATE_FLUSHED)
        return;
    if (p->outcome == PG_ROWS) {
        settled(p);
        return;
    }
    p->state = STATE_READY;
    p->must_be_durable = true;
}

/* Any commit that waits for the disk takes along what was committed before it. */
static void
flush(struct project *p)
{
    p->outcome = PG_ROWS;
    if (send_text(p, "durable", "on", NULL) && send_fence(p) &&
        pg_send_prepared(p->pg, "flush", 0, NULL, NULL, NULL, false, note_outcome, p) &&
        pg_sync(p->pg, flushed, p))
        p->state = STATE_FLUSHED;
}

/* On the disk: a commit of the journal that was sent after the tables had it has flushed it. */
static void
settle(struct project *p)
{
    if (p->is_durable_send || journal_sends_durable(p->o.journal) > p->sends_before)
        settled(p);
    else if (journal_is_empty(p->o.journal) &&
             (p->hurry || p->steady_us - p->written_us >= SETTLE_US))
        flush(p);
}

void
project_turn(struct project *p, int64_t steady_us)
{
    p->steady_us = steady_us;
    if (p->state == STATE_WRITTEN)
        settle(p);
    if (p->state == STATE_IDLE && is_due(p))
        drain(p);
    if (p->state == STATE_READY && pg_is_up(p->pg) && p->knows_types && steady_us >= p->retry_us &&
        journal_covers(p))
        send(p);
    uint64_t lag = 0;
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        lag += journal_applied(p->o.journal, i) - p->stamps[i];
    metric_set(p->m_lag, (int64_t)lag);
}

int64_t
project_wake_us(const struct project *p)
{
    switch (p->state) {
    case STATE_IDLE:
        return p->is_started && is_behind(p) ? p->drained_us + p->o.interval_us : INT64_MAX;
    case STATE_READY:
        return p->retry_us > p->steady_us ? p->retry_us : INT64_MAX;
    case STATE_SENT:
    case STATE_FLUSHED:
        return INT64_MAX;
    case STATE_WRITTEN:
        return p->written_us + SETTLE_US;
    }
    CHECK(false);
}

/* What was written without waiting for the disk may be gone with the server: nobody may read the
 * tables as if they had it. */
static void
connection_down(void *arg)
{
    struct project *p = arg;
    p->knows_types = false;
    memcpy(p->stamps, p->on_disk, sizeof p->stamps);
    bool is_at_risk = p->state == STATE_WRITTEN && !p->is_durable_send;
    if (p->state == STATE_SENT || p->state == STATE_FLUSHED || is_at_risk) {
        p->state = STATE_READY;
        p->must_be_durable = true;
        p->retry_us = 0;
    }
}

/* ---- Row types ---------------------------------------------------------------------------- */

/* Records are taken by position, so that columns in another order would be written as if they were
 * ours: nothing is written then. */
static void
take_type(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct project *p = arg;
    if (outcome != PG_ROWS)
        return; /* asked again on the next connection */
    uint32_t known = 0, wanted = 0;
    for (int t = 0; t < TABLES; t++) {
        const char *record = rows_record((enum table)t);
        if (record == NULL)
            continue;
        wanted++;
        for (int i = 0; i < PQntuples(result); i++) {
            if (strcmp(PQgetvalue(result, i, 0), record) != 0 ||
                !rows_agree((enum table)t, PQgetvalue(result, i, 2)))
                continue;
            p->types[t] = (uint32_t)strtoul(PQgetvalue(result, i, 1), NULL, 10);
            known++;
        }
    }
    p->knows_types = known == wanted;
    if (p->knows_types)
        return;
    snprintf(p->trouble, sizeof p->trouble,
             "the types of orders' and trades' rows have other columns");
    log_line(LOG_ERROR, "projection_refused", "message=\"%s\"", p->trouble);
}

static void
connection_up(void *arg)
{
    struct project *p = arg;
    if (pg_send_prepared(p->pg, "types", 0, NULL, NULL, NULL, false, take_type, p))
        (void)pg_sync(p->pg, NULL, NULL);
}

/* ---- Life --------------------------------------------------------------------------------- */

static void
prepare_table(struct project *p, enum table table)
{
    char sql[ROWS_SQL_BYTES];
    Oid types[ROWS_COLUMNS_MAX];
    int count = rows_arrays(table);
    rows_init(&p->tables[table], table);
    rows_types(table, types);
    rows_write_sql(table, false, sql);
    pg_prepare(p->pg, names[table], sql, count, types);
    rows_write_sql(table, true, sql);
    pg_prepare(p->pg, names_again[table], sql, count, types); /* nothing when it is the same */
}

static void
prepare(struct project *p)
{
    const Oid fence_types[] = {PG_INT4, PG_INT8};
    const Oid text_types[] = {PG_TEXT};
    pg_prepare(p->pg, "fence", "SELECT ledger.fence($1, $2)", 2, fence_types);
    pg_prepare(p->pg, "durable", "SELECT set_config('synchronous_commit', $1, true)", 1,
               text_types);
    pg_prepare(p->pg, "flush",
               "UPDATE ledger.shard SET seq = seq WHERE shard = (SELECT min(shard) FROM "
               "ledger.shard)",
               0, NULL);
    pg_prepare(p->pg, "types",
               "SELECT c.oid::regclass, c.reltype, string_agg(a.attname, ',' ORDER BY a.attnum) "
               "FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 "
               "AND NOT a.attisdropped WHERE c.oid IN (to_regclass('ledger.order_row'), "
               "to_regclass('ledger.trade_row')) GROUP BY c.oid, c.reltype",
               0, NULL);
    for (int t = 0; t < TABLES; t++)
        prepare_table(p, (enum table)t);
}

struct project *
project_open(const struct project_options *o)
{
    struct project *p = calloc(1, sizeof *p);
    CHECK(p != NULL);
    p->o = *o;
    p->m_rows = metric_counter("scrip_ledger_projected_rows_total", "", "Rows sent to the tables.");
    p->m_latency = metric_histogram("scrip_ledger_projection_latency_us", "",
                                    "From sending rows to the tables to the answer.");
    p->m_lag = metric_gauge("scrip_ledger_projection_lag_records", "",
                            "Journal records that the tables do not know of yet.");
    p->m_failed = metric_counter("scrip_ledger_projection_failures_total", "",
                                 "Transactions of rows that were lost or refused.");
    p->pg = pg_open(o->loop, &(struct pg_options){
                                 .conninfo = o->conninfo,
                                 .label = "tables",
                                 .arg = p,
                                 .on_up = connection_up,
                                 .on_down = connection_down,
                             });
    prepare(p);
    return p;
}

void
project_close(struct project **p)
{
    if (*p == NULL)
        return;
    pg_close(&(*p)->pg);
    for (int t = 0; t < TABLES; t++)
        rows_fini(&(*p)->tables[t]);
    free(*p);
    *p = NULL;
}

void
project_set_stamp(struct project *p, uint16_t shard, uint64_t seq)
{
    p->stamps[shard] = p->on_disk[shard] = seq;
}

void
project_start(struct project *p)
{
    p->is_started = true;
}

uint64_t
project_stamp(const struct project *p, uint16_t shard)
{
    return p->stamps[shard];
}

void
project_note(struct project *p, const struct msg *cmd)
{
    if (cmd->type != MSG_balance_set)
        return;
    const struct balance_set *set = &cmd->balance_set;
    uint32_t i = 0;
    while (i < p->limits_count &&
           (p->limits[i].account_id != set->account_id || p->limits[i].wallet != set->trading_type))
        i++;
    CHECK(i < LIMITS_MAX);
    p->limits[i] = (struct limits_row){
        .account_id = set->account_id,
        .wallet = set->trading_type,
        .balance = set->balance,
        .balance_min = set->balance_min,
        .balance_max = set->balance_max,
    };
    if (i == p->limits_count)
        p->limits_count++;
}

bool
project_has_room(const struct project *p, uint32_t commands)
{
    return LIMITS_MAX - p->limits_count >= commands;
}

void
project_hurry(struct project *p)
{
    p->hurry = true;
}

bool
project_is_done(const struct project *p)
{
    return p->state == STATE_IDLE && !is_behind(p);
}

bool
project_is_idle(const struct project *p)
{
    return p->state == STATE_IDLE;
}

const char *
project_trouble(const struct project *p)
{
    return p->trouble[0] == '\0' ? NULL : p->trouble;
}
