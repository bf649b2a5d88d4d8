/*
 * rows.c - the lists of columns and what they expand to; see rows.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * C(kind, column, field): `field` of the row struct. Kinds: I8 I4 I2 BOOL for numbers, AMT for the
 * one-field structs of money.h, CODE and CID for short texts, HASH for 32 bytes, COMMANDS for an
 * account's commands, SHARD for the shard that the id in `field` belongs to (written, not read),
 * TERMS for what most orders lack, STORY for an order's story: packed as in messages.
 */
#define COLUMNS_stamp(C)                                                                           \
    C(I2, shard, shard.shard)                                                                      \
    C(I8, seq, seq)                                                                                \
    C(HASH, hash, hash)                                                                            \
    C(I8, order_sequence, shard.order_sequence)                                                    \
    C(I8, trade_sequence, shard.trade_sequence)                                                    \
    C(I8, change_sequence, shard.change_sequence)

#define COLUMNS_account(C)                                                                         \
    C(I8, account_id, account_id)                                                                  \
    C(SHARD, shard, account_id)                                                                    \
    C(I8, user_id, user_id)                                                                        \
    C(I4, tier, tier)                                                                              \
    C(I8, event_sequence, event_sequence)                                                          \
    C(I8, orders_placed, orders_placed)                                                            \
    C(I4, commands_next, commands_next)                                                            \
    C(COMMANDS, commands, commands)                                                                \
    C(I8, exchange_spot_us, exchange_us[0])                                                        \
    C(I8, exchange_futures_us, exchange_us[1])

#define COLUMNS_settings(C)                                                                        \
    C(I8, account_id, account_id)                                                                  \
    C(I2, wallet, wallet)                                                                          \
    C(I2, mode, settings.mode)                                                                     \
    C(BOOL, dry_run_mode, settings.dry_run_mode)                                                   \
    C(BOOL, auto_trading, settings.auto_trading)                                                   \
    C(AMT, margin_per_trade, settings.margin_per_trade)                                            \
    C(I4, leverage, settings.leverage)                                                             \
    C(I2, fill_preset, settings.fill.fill_preset)                                                  \
    C(I2, fill_model, settings.fill.fill_model)                                                    \
    C(I4, latency_us, settings.fill.latency_us)                                                    \
    C(I4, latency_spread_us, settings.fill.latency_spread_us)                                      \
    C(I4, slippage_bps, settings.fill.slippage_bps)                                                \
    C(I4, reject_bps, settings.fill.reject_bps)                                                    \
    C(I8, seed, settings.fill.seed)                                                                \
    C(I2, environment, settings.environment)                                                       \
    C(CODE, api_key_tail, settings.api_key_tail)                                                   \
    C(I8, real_since_us, settings.real_since_us)                                                   \
    C(BOOL, live_twin, settings.live_twin)

#define COLUMNS_limits(C)                                                                          \
    C(I8, account_id, account_id)                                                                  \
    C(I2, wallet, wallet)                                                                          \
    C(AMT, paper_balance, balance)                                                                 \
    C(AMT, balance_min, balance_min)                                                               \
    C(AMT, balance_max, balance_max)

#define COLUMNS_balance(C)                                                                         \
    C(I8, account_id, account_id)                                                                  \
    C(I2, wallet, wallet)                                                                          \
    C(CODE, asset, asset)                                                                          \
    C(SHARD, shard, account_id)                                                                    \
    C(AMT, free, free)                                                                             \
    C(AMT, held, held)

#define COLUMNS_order(C)                                                                           \
    C(I8, order_id, order.order_id)                                                                \
    C(I8, account_id, order.account_id)                                                            \
    C(CID, client_order_id, order.client_order_id)                                                 \
    C(CODE, symbol, order.symbol)                                                                  \
    C(I2, side, order.side)                                                                        \
    C(I2, type, order.type)                                                                        \
    C(I2, time_in_force, order.time_in_force)                                                      \
    C(I2, status, order.status)                                                                    \
    C(I2, end_reason, order.end_reason)                                                            \
    C(I2, mode, order.mode)                                                                        \
    C(AMT, price, order.price)                                                                     \
    C(AMT, quantity, order.quantity)                                                               \
    C(AMT, quote_order_quantity, order.quote_order_quantity)                                       \
    C(AMT, executed_quantity, order.executed_quantity)                                             \
    C(AMT, executed_quote_quantity, order.executed_quote_quantity)                                 \
    C(AMT, hold, hold)                                                                             \
    C(AMT, held, order.held)                                                                       \
    C(I8, created_us, order.created_us)                                                            \
    C(I8, updated_us, order.updated_us)                                                            \
    C(CODE, base_asset, base_asset)                                                                \
    C(CODE, quote_asset, quote_asset)                                                              \
    C(BOOL, id_was_made, id_was_made)                                                              \
    C(AMT, worst_price, worst_price)                                                               \
    C(AMT, reference_price, reference_price)                                                       \
    C(AMT, step_size, step_size)                                                                   \
    C(AMT, maker_fee_rate, maker_fee_rate)                                                         \
    C(AMT, taker_fee_rate, taker_fee_rate)                                                         \
    C(I8, rank, rank)                                                                              \
    C(I4, fills, fills)                                                                            \
    C(TERMS, terms, order)

#define COLUMNS_trade(C)                                                                           \
    C(I8, trade_id, trade.trade_id)                                                                \
    C(I8, order_id, trade.order_id)                                                                \
    C(I8, account_id, account_id)                                                                  \
    C(CODE, symbol, trade.symbol)                                                                  \
    C(I2, side, trade.side)                                                                        \
    C(AMT, price, trade.price)                                                                     \
    C(AMT, quantity, trade.quantity)                                                               \
    C(AMT, quote_quantity, trade.quote_quantity)                                                   \
    C(AMT, fee, trade.fee)                                                                         \
    C(CODE, fee_asset, trade.fee_asset)                                                            \
    C(BOOL, is_maker, trade.is_maker)                                                              \
    C(I8, time_us, trade.time_us)                                                                  \
    C(I2, evidence_source, trade.evidence.source)                                                  \
    C(I8, evidence_sequence, trade.evidence.sequence)                                              \
    C(AMT, evidence_price, trade.evidence.price)                                                   \
    C(AMT, evidence_quantity, trade.evidence.quantity)                                             \
    C(I8, evidence_time_us, trade.evidence.time_us)                                                \
    C(BOOL, evidence_is_stale, trade.evidence.is_stale)

#define COLUMNS_change(C)                                                                          \
    C(I8, change_id, change.change_id)                                                             \
    C(I8, account_id, account_id)                                                                  \
    C(I2, wallet, wallet)                                                                          \
    C(I8, time_us, change.time_us)                                                                 \
    C(AMT, old_balance, change.old_balance)                                                        \
    C(AMT, new_balance, change.new_balance)                                                        \
    C(I2, source, change.source)                                                                   \
    C(I8, changed_by, change.changed_by)

#define COLUMNS_story(C)                                                                           \
    C(I8, account_id, account_id)                                                                  \
    C(I8, order_id, order_id)                                                                      \
    C(STORY, story, story)

/* ---- Columns as data ---------------------------------------------------------------------- */

#define OID_I8       PG_INT8
#define OID_I4       PG_INT4
#define OID_I2       PG_INT2
#define OID_AMT      PG_INT8
#define OID_BOOL     PG_BOOL
#define OID_CODE     PG_TEXT
#define OID_CID      PG_TEXT
#define OID_HASH     PG_BYTEA
#define OID_COMMANDS PG_BYTEA
#define OID_SHARD    PG_INT2
#define OID_TERMS    PG_BYTEA
#define OID_STORY    PG_BYTEA

struct column {
    const char *name;
    enum pg_oid oid;
};

#define AS_COLUMN(kind, name, field) {#name, OID_##kind},
static const struct column columns_stamp[] = {COLUMNS_stamp(AS_COLUMN)};
static const struct column columns_account[] = {COLUMNS_account(AS_COLUMN)};
static const struct column columns_settings[] = {COLUMNS_settings(AS_COLUMN)};
static const struct column columns_limits[] = {COLUMNS_limits(AS_COLUMN)};
static const struct column columns_balance[] = {COLUMNS_balance(AS_COLUMN)};
static const struct column columns_order[] = {COLUMNS_order(AS_COLUMN)};
static const struct column columns_trade[] = {COLUMNS_trade(AS_COLUMN)};
static const struct column columns_change[] = {COLUMNS_change(AS_COLUMN)};
static const struct column columns_story[] = {COLUMNS_story(AS_COLUMN)};

struct table_info {
    const char *name;
    const char *key; /* of ON CONFLICT */
    enum { WRITE_OVER, WRITE_ONCE, WRITE_NEW } write;
    const char *record; /* type of the records it is sent as; NULL = an array for each column */
    const struct column *columns;
    int count;
};

#define INFO(columns) columns, (int)(sizeof columns / sizeof columns[0])
static const struct table_info tables[TABLES] = {
    [TABLE_SHARD] = {"ledger.shard", "shard", WRITE_OVER, NULL, INFO(columns_stamp)},
    [TABLE_ACCOUNT] = {"ledger.account", "account_id", WRITE_OVER, NULL, INFO(columns_account)},
    [TABLE_SETTINGS] = {"ledger.settings", "account_id, wallet", WRITE_OVER, NULL,
                        INFO(columns_settings)},
    [TABLE_LIMITS] = {"ledger.settings", "account_id, wallet", WRITE_OVER, NULL,
                      INFO(columns_limits)},
    [TABLE_BALANCE] = {"ledger.balance", "account_id, wallet, asset", WRITE_OVER, NULL,
                       INFO(columns_balance)},
    [TABLE_ORDER] = {"ledger.\"order\"", "account_id, order_id", WRITE_OVER, "ledger.order_row",
                     INFO(columns_order)},
    [TABLE_NEW_ORDER] = {"ledger.\"order\"", "account_id, order_id", WRITE_NEW, "ledger.order_row",
                         INFO(columns_order)},
    [TABLE_TRADE] = {"ledger.trade", "account_id, trade_id", WRITE_ONCE, "ledger.trade_row",
                     INFO(columns_trade)},
    [TABLE_CHANGE] = {"ledger.balance_change", "account_id, wallet, change_id", WRITE_ONCE, NULL,
                      INFO(columns_change)},
    [TABLE_STORY] = {"ledger.order_story", "account_id, order_id", WRITE_ONCE, NULL,
                     INFO(columns_story)},
};

int
rows_arrays(enum table table)
{
    return rows_record(table) != NULL ? 1 : tables[table].count;
}

static enum pg_oid
array_oid(const struct table_info *t, int array)
{
    return t->record != NULL ? PG_RECORD : t->columns[array].oid;
}

const char *
rows_record(enum table table)
{
    return tables[table].record;
}

bool
rows_agree(enum table table, const char *columns)
{
    const struct table_info *t = &tables[table];
    for (int i = 0; i < t->count; i++) {
        size_t length = strlen(t->columns[i].name);
        bool is_last = i == t->count - 1;
        if (strncmp(columns, t->columns[i].name, length) != 0 ||
            columns[length] != (is_last ? '\0' : ','))
            return false;
        columns += length + 1;
    }
    return true;
}

void
rows_types(enum table table, Oid types[ROWS_COLUMNS_MAX])
{
    for (int i = 0; i < rows_arrays(table); i++)
        types[i] = pg_array_type(array_oid(&tables[table], i));
}

/* ---- SQL ---------------------------------------------------------------------------------- */

/* Appends; the buffer is large enough for every table, which each start proves. */
static void add(char sql[ROWS_SQL_BYTES], size_t *at, const char *format, ...) PRINTF(3, 4);

static void
add(char sql[ROWS_SQL_BYTES], size_t *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(sql + *at, ROWS_SQL_BYTES - *at, format, args);
    va_end(args);
    CHECK(length >= 0 && *at + (size_t)length < ROWS_SQL_BYTES);
    *at += (size_t)length;
}

static void
add_list(char sql[ROWS_SQL_BYTES], size_t *at, const struct table_info *t, const char *format)
{
    for (int i = 0; i < t->count; i++) {
        add(sql, at, "%s", i == 0 ? "" : ", ");
        for (const char *f = format; *f != '\0'; f++)
            if (*f == '#')
                add(sql, at, "%d", i + 1);
            else if (*f == '@')
                add(sql, at, "%s", t->columns[i].name);
            else
                add(sql, at, "%c", *f);
    }
}

/* The settings row is there already: account_open made it in this transaction or before. */
static const char limits_sql[] =
    "UPDATE ledger.settings AS s SET paper_balance = r.paper_balance, balance_min = r.balance_min, "
    "balance_max = r.balance_max FROM unnest($1, $2, $3, $4, $5) "
    "AS r (account_id, wallet, paper_balance, balance_min, balance_max) "
    "WHERE s.account_id = r.account_id AND s.wallet = r.wallet";

void
rows_write_sql(enum table table, bool again, char sql[ROWS_SQL_BYTES])
{
    const struct table_info *t = &tables[table];
    size_t at = 0;
    if (table == TABLE_LIMITS) {
        add(sql, &at, "%s", limits_sql);
        return;
    }
    add(sql, &at, "INSERT INTO %s (", t->name);
    add_list(sql, &at, t, "@");
    add(sql, &at, ") SELECT * FROM unnest(");
    if (t->record != NULL)
        add(sql, &at, "$1::%s[]", t->record);
    else
        add_list(sql, &at, t, "$#");
    add(sql, &at, ")");
    if (t->write != WRITE_OVER && !again)
        return;
    add(sql, &at, " ON CONFLICT (%s) DO ", t->key);
    if (t->write == WRITE_ONCE) {
        add(sql, &at, "NOTHING");
        return;
    }
    add(sql, &at, "UPDATE SET ");
    add_list(sql, &at, t, "@ = excluded.@");
}

void
rows_select_list(enum table table, const char *alias, char sql[ROWS_SQL_BYTES])
{
    const struct table_info *t = &tables[table];
    size_t at = 0;
    for (int i = 0; i < t->count; i++)
        add(sql, &at, "%s%s.%s", i == 0 ? "" : ", ", alias, t->columns[i].name);
}

/* ---- Rows to arrays ----------------------------------------------------------------------- */

void
rows_init(struct rows *r, enum table table)
{
    memset(r, 0, sizeof *r);
    r->table = table;
    CHECK(tables[table].count <= ROWS_COLUMNS_MAX);
    for (int i = 0; i < rows_arrays(table); i++)
        pg_array_init(&r->arrays[i], array_oid(&tables[table], i));
}

void
rows_fini(struct rows *r)
{
    for (int i = 0; i < rows_arrays(r->table); i++)
        pg_array_fini(&r->arrays[i]);
}

void
rows_clear(struct rows *r)
{
    for (int i = 0; i < rows_arrays(r->table); i++)
        pg_array_clear(&r->arrays[i]);
    r->count = 0;
}

size_t
rows_bytes(const struct rows *r)
{
    size_t sum = 0;
    for (int i = 0; i < rows_arrays(r->table); i++)
        sum += (size_t)pg_array_length(&r->arrays[i]);
    return sum;
}

static void
put_commands(struct pg_array *a, const struct ledger_command commands[LEDGER_COMMANDS_MAX])
{
    char bytes[ROWS_COMMANDS];
    size_t used = 0;
    for (size_t i = 0; i < LEDGER_COMMANDS_MAX; i++) {
        pg_write_int8((int64_t)commands[i].id, bytes + i * 16);
        pg_write_int8((int64_t)commands[i].hash, bytes + i * 16 + 8);
        if (commands[i].id != 0 || commands[i].hash != 0)
            used = (i + 1) * 16;
    }
    pg_array_bytea(a, bytes, used);
}

/* Most orders became live as they were accepted: two bytes for that. */
static void
put_terms(struct pg_array *a, const struct order_row *row)
{
    const struct order *o = &row->order;
    const struct order_terms terms = {
        .stop_price = o->stop_price,
        .trailing_delta = o->trailing_delta,
        .trigger_source = o->trigger_source,
        .triggered_us = o->triggered_us,
        .trail_extreme = row->trail_extreme,
        .iceberg_quantity = o->iceberg_quantity,
        .expire_us = o->expire_us,
        .self_trade_prevention = o->self_trade_prevention,
        .prevented_quantity = o->prevented_quantity,
        .list_id = o->list_id,
        .contingency = row->contingency,
        .leg = row->leg,
        .waits_for = o->waits_for,
        .rule = (uint32_t)row->rule,
        .replaces = o->replaces,
        .live_after_us = row->live_us == 0 ? 0 : row->live_us - o->created_us + 1,
        .fill_preset = o->fill_preset,
        .fill_model = o->fill_model,
        .latency_us = o->latency_us,
        .cancel_latency_us = row->cancel_latency_us,
        .slippage_bps = o->slippage_bps,
        .refused_by = o->refused_by,
        .amended_from = o->amended_from,
        .amends = row->amends,
        .market_us = o->market_us,
        .environment = o->environment,
        .exchange_state = o->exchange_state,
        .exchange_order_id = o->exchange_order_id,
        .exchange_code = o->exchange_code,
        .send_by_us = o->send_by_us,
        .reduce_only = o->reduce_only,
        .twin_of = o->twin_of,
        .twin = o->twin,
        .twin_refused = o->twin_refused,
        .placed_quantity = o->placed_quantity,
        .placed_price = o->placed_price,
    };
    pg_array_packed(a, MSG_RECORD_order_terms, &terms);
}

#define PUT_I8(a, value)       pg_array_int8(a, (int64_t)(value));
#define PUT_I4(a, value)       pg_array_int4(a, (int32_t)(value));
#define PUT_I2(a, value)       pg_array_int2(a, (int16_t)(value));
#define PUT_AMT(a, value)      pg_array_int8(a, (value).v);
#define PUT_BOOL(a, value)     pg_array_bool(a, value);
#define PUT_CODE(a, value)     pg_array_text(a, (value).text);
#define PUT_CID(a, value)      pg_array_text(a, (value).text);
#define PUT_HASH(a, value)     pg_array_bytea(a, value, HASH_BYTES);
#define PUT_COMMANDS(a, value) put_commands(a, value);
#define PUT_SHARD(a, value)    pg_array_int2(a, (int16_t)ledger_shard_of(value));
#define PUT_TERMS(a, value)    put_terms(a, row);
#define PUT_STORY(a, value)    pg_array_packed(a, MSG_RECORD_story, &(value));

#define AS_PUT(kind, name, field) PUT_##kind(&r->arrays[array], row->field) array += step;

/* Every column's value into an array of its own, or all into the one of records. */
#define ROWS_ADD(noun, are_right)                                                                  \
    void rows_add_##noun(struct rows *r, const struct noun##_row *row)                             \
    {                                                                                              \
        CHECK(are_right);                                                                          \
        int array = 0, step = rows_record(r->table) != NULL ? 0 : 1;                               \
        if (step == 0)                                                                             \
            pg_array_begin(&r->arrays[0]);                                                         \
        COLUMNS_##noun(AS_PUT);                                                                    \
        if (step == 0)                                                                             \
            pg_array_end(&r->arrays[0]);                                                           \
        r->count++;                                                                                \
    }

ROWS_ADD(stamp, r->table == TABLE_SHARD)
ROWS_ADD(account, r->table == TABLE_ACCOUNT)
ROWS_ADD(settings, r->table == TABLE_SETTINGS)
ROWS_ADD(limits, r->table == TABLE_LIMITS)
ROWS_ADD(balance, r->table == TABLE_BALANCE)
ROWS_ADD(order, r->table == (row->is_new ? TABLE_NEW_ORDER : TABLE_ORDER))
ROWS_ADD(trade, r->table == TABLE_TRADE)
ROWS_ADD(change, r->table == TABLE_CHANGE)
ROWS_ADD(story, r->table == TABLE_STORY)

/* ---- Results to rows ---------------------------------------------------------------------- */

static int64_t
get_int(const PGresult *r, int i, int column)
{
    if (PQgetisnull(r, i, column))
        return 0;
    return pg_read_int(PQgetvalue(r, i, column), PQgetlength(r, i, column));
}

/* Texts that do not fit were not written by this program; they are cut. */
static void
get_text(const PGresult *r, int i, int column, char *out, size_t size)
{
    size_t length = (size_t)PQgetlength(r, i, column);
    memset(out, 0, size);
    memcpy(out, PQgetvalue(r, i, column), length < size ? length : size - 1);
}

static void
get_hash(const PGresult *r, int i, int column, uint8_t out[HASH_BYTES])
{
    memset(out, 0, HASH_BYTES);
    if (PQgetlength(r, i, column) == HASH_BYTES)
        memcpy(out, PQgetvalue(r, i, column), HASH_BYTES);
}

static void
get_commands(const PGresult *r, int i, int column, struct ledger_command out[LEDGER_COMMANDS_MAX])
{
    const char *bytes = PQgetvalue(r, i, column);
    int used = PQgetlength(r, i, column) / 16;
    memset(out, 0, LEDGER_COMMANDS_MAX * sizeof *out);
    for (int k = 0; k < used && k < LEDGER_COMMANDS_MAX; k++) {
        out[k].id = (uint64_t)pg_read_int(bytes + k * 16, 8);
        out[k].hash = (uint64_t)pg_read_int(bytes + k * 16 + 8, 8);
    }
}

/* False when these are not the bytes that this program, or an older one, wrote. */
static bool
get_packed(const PGresult *r, int i, int column, enum msg_record id, void *out)
{
    const uint8_t *bytes = (const uint8_t *)PQgetvalue(r, i, column);
    return msg_unpack_record(bytes, (size_t)PQgetlength(r, i, column), id, out) == OK;
}

/* All absent of a paper order, but for what it mirrors. */
static void
get_real_terms(const struct order_terms *t, struct order *o)
{
    o->environment = t->environment;
    o->exchange_state = t->exchange_state;
    o->exchange_order_id = t->exchange_order_id;
    o->exchange_code = t->exchange_code;
    o->send_by_us = t->send_by_us;
    o->reduce_only = t->reduce_only;
    o->twin_of = t->twin_of;
    o->twin = t->twin;
    o->twin_refused = t->twin_refused;
    o->placed_quantity = t->placed_quantity;
    o->placed_price = t->placed_price;
}

/* Rows from before there were terms have none: those orders were live from the start. */
static void
get_terms(const PGresult *r, int i, int column, struct order_row *out)
{
    struct order *o = &out->order;
    struct order_terms t;
    out->live_us = o->created_us;
    if (PQgetlength(r, i, column) == 0)
        return;
    if (!get_packed(r, i, column, MSG_RECORD_order_terms, &t)) {
        o->order_id = 0; /* no order has it: it cannot be loaded */
        return;
    }
    o->stop_price = t.stop_price;
    o->trailing_delta = t.trailing_delta;
    o->trigger_source = t.trigger_source;
    o->triggered_us = t.triggered_us;
    out->trail_extreme = t.trail_extreme;
    o->iceberg_quantity = t.iceberg_quantity;
    o->expire_us = t.expire_us;
    o->self_trade_prevention = t.self_trade_prevention;
    o->prevented_quantity = t.prevented_quantity;
    o->list_id = t.list_id;
    out->contingency = t.contingency;
    out->leg = t.leg;
    o->waits_for = t.waits_for;
    out->rule = (enum ledger_rule)t.rule;
    o->replaces = t.replaces;
    out->live_us = t.live_after_us == 0 ? 0 : o->created_us + t.live_after_us - 1;
    o->fill_preset = t.fill_preset;
    o->fill_model = t.fill_model;
    o->latency_us = t.latency_us;
    out->cancel_latency_us = t.cancel_latency_us;
    o->slippage_bps = t.slippage_bps;
    o->refused_by = t.refused_by;
    o->amended_from = t.amended_from;
    out->amends = t.amends;
    o->market_us = t.market_us;
    get_real_terms(&t, o);
}

/* A story that cannot be read is none. */
static void
get_story(const PGresult *r, int i, int column, struct story *out)
{
    if (!get_packed(r, i, column, MSG_RECORD_story, out))
        memset(out, 0, sizeof *out);
}

#define GET_NUMBER(field)   field = (__typeof__(field))get_int(r, i, (*column)++);
#define GET_I8(field)       GET_NUMBER(field)
#define GET_I4(field)       GET_NUMBER(field)
#define GET_I2(field)       GET_NUMBER(field)
#define GET_AMT(field)      GET_NUMBER((field).v)
#define GET_BOOL(field)     field = PQgetvalue(r, i, (*column)++)[0] != 0;
#define GET_CODE(field)     get_text(r, i, (*column)++, (field).text, sizeof(field).text);
#define GET_CID(field)      get_text(r, i, (*column)++, (field).text, sizeof(field).text);
#define GET_HASH(field)     get_hash(r, i, (*column)++, field);
#define GET_COMMANDS(field) get_commands(r, i, (*column)++, field);
#define GET_SHARD(field)    (*column)++;
#define GET_TERMS(field)    get_terms(r, i, (*column)++, out);
#define GET_STORY(field)    get_story(r, i, (*column)++, &(field));

#define AS_GET(kind, name, field) GET_##kind(out->field)

#define ROWS_GET(noun)                                                                             \
    void rows_get_##noun(const PGresult *r, int i, int *column, struct noun##_row *out)            \
    {                                                                                              \
        memset(out, 0, sizeof *out);                                                               \
        COLUMNS_##noun(AS_GET);                                                                    \
    }

ROWS_GET(stamp)
ROWS_GET(account)
ROWS_GET(settings)
ROWS_GET(balance)
ROWS_GET(order)
ROWS_GET(trade)
ROWS_GET(change)
ROWS_GET(story)
