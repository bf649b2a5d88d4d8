/*
 * accounts.c - who has what: accounts by id or name, and what all of them come to.
 *
 * Read from the tables, which are true at each shard's stamp; `verify` proves that they follow from
 * the journal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "ledger/core/ledger.h"
#include "scripctl/ask.h"
#include "scripctl/source.h"
#include "scripctl/value.h"
#include "scripctl/words.h"

#define SHOWN_DEFAULT 50
#define NAMES_SQL     "gateway.users u ON u.id = a.user_id"

/* Another role may be let at the ledger's tables and not at the users'. */
static const char may_sql[] = "SELECT coalesce(bool_or(has_schema_privilege(n.oid, 'USAGE')"
                              " AND has_column_privilege(c.oid, 'id', 'SELECT')"
                              " AND has_column_privilege(c.oid, 'username', 'SELECT')), false)"
                              " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                              " WHERE n.nspname = 'gateway' AND c.relname = 'users'";

#define COLUMNS_SQL                                                                                \
    "a.shard, a.user_id, a.tier, a.orders_placed, (SELECT count(*) FROM ledger.\"order\" o"        \
    " WHERE o.account_id = a.account_id AND o.status IN (1, 2, 8))"
#define PAGE_SQL " AND a.account_id > $2 ORDER BY a.account_id LIMIT $3"

static const char named_sql[] =
    "SELECT a.account_id, u.username, " COLUMNS_SQL " FROM ledger.account a LEFT JOIN " NAMES_SQL
    " WHERE ($1 = '' OR a.account_id::text = $1 OR position(lower($1) IN lower(u.username)) > "
    "0)" PAGE_SQL;
static const char unnamed_sql[] = "SELECT a.account_id, NULL, " COLUMNS_SQL " FROM ledger.account a"
                                  " WHERE ($1 = '' OR a.account_id::text = $1)" PAGE_SQL;
enum column { C_ID, C_NAME, C_SHARD, C_USER, C_TIER, C_EVER, C_OPEN };

static const char balances_sql[] =
    "SELECT account_id, wallet, asset, free, held FROM ledger.balance"
    " WHERE account_id = ANY($1::bigint[]) ORDER BY account_id, wallet, asset";

/* ---- Accounts ---------------------------------------------------------------------------------
 */

/* "44499.24 USDT + 2700 held, 0.04 BTC": what is there at all. */
static void
say_balance(struct bytes *out, const PGresult *b, int row)
{
    int64_t free = ask_int(b, row, 3), held = ask_int(b, row, 4);
    if (free == 0 && held == 0)
        return;
    words_add(out, "%s", out->length == 0 ? "" : ", ");
    words_amount(out, free);
    words_add(out, " %s", PQgetvalue(b, row, 2));
    if (held != 0) {
        words_add(out, " + ");
        words_amount(out, held);
        words_add(out, " held");
    }
    if (ask_int(b, row, 1) == WALLET_futures)
        words_add(out, " (futures)");
    else if (ask_int(b, row, 1) != WALLET_spot)
        words_add(out, " (exchange)");
}

static void
add_balance_json(struct bytes *out, const PGresult *b, int row)
{
    char free[DECIMAL_BYTES], held[DECIMAL_BYTES];
    const char *wallet = msg_enum_name(MSG_ENUM_wallet, (uint32_t)ask_int(b, row, 1));
    decimal_write(ask_int(b, row, 3), free);
    decimal_write(ask_int(b, row, 4), held);
    words_add(out, "%s{\"wallet\":\"%s\",\"asset\":\"%s\",\"free\":\"%s\",\"held\":\"%s\"}",
              out->length == 1 ? "" : ",", wallet == NULL ? "?" : wallet, PQgetvalue(b, row, 2),
              free, held);
}

/* The balances of one account; *at moves behind them. */
static void
put_balances(struct out *o, const PGresult *b, int *at, int64_t account_id)
{
    struct bytes text = {NULL, 0, 0};
    bool is_json = out_is_json(o);
    if (is_json)
        words_add(&text, "[");
    for (; *at < PQntuples(b) && ask_int(b, *at, 0) <= account_id; (*at)++) {
        if (ask_int(b, *at, 0) < account_id)
            continue;
        if (is_json)
            add_balance_json(&text, b, *at);
        else
            say_balance(&text, b, *at);
    }
    if (is_json) {
        words_add(&text, "]");
        out_json(o, words_text(&text));
    } else {
        out_text(o, words_text(&text));
    }
    bytes_free(&text);
}

static void
put_account(struct out *o, const PGresult *rows, int i, const PGresult *balances, int *at)
{
    int64_t id = ask_int(rows, i, C_ID);
    out_int(o, id);
    out_text(o, ask_text(rows, i, C_NAME));
    out_int(o, ask_int(rows, i, C_USER));
    out_int(o, ask_int(rows, i, C_SHARD));
    out_int(o, ask_int(rows, i, C_TIER));
    out_int(o, ask_int(rows, i, C_OPEN));
    out_int(o, ask_int(rows, i, C_EVER));
    put_balances(o, balances, at, id);
    out_row_end(o);
}

static PGresult *
read_balances(const struct call *c, struct records *r, const PGresult *accounts)
{
    struct bytes ids = {NULL, 0, 0};
    words_add(&ids, "{");
    for (int i = 0; i < PQntuples(accounts); i++)
        words_add(&ids, "%s%s", i == 0 ? "" : ",", PQgetvalue(accounts, i, C_ID));
    words_add(&ids, "}");
    const char *const values[] = {words_text(&ids), NULL};
    PGresult *rows = ask_rows(c, r, balances_sql, values);
    bytes_free(&ids);
    return rows;
}

#define PAGE_ROWS 500

/* False when something failed. *shown are how many; *has_more: the limit cut them. */
static bool
show_accounts(const struct call *c, struct records *r, bool has_names, uint64_t *shown,
              bool *has_more)
{
    uint64_t limit = c->o.limit > 0 ? (uint64_t)c->o.limit : SHOWN_DEFAULT;
    char after[24] = "0", rows_wanted[24];
    const char *search = c->words_count > 0 ? c->words[0] : "";
    const char *const values[] = {search, after, rows_wanted, NULL};
    if (c->o.limit == 0 && out_is_json(c->out))
        limit = UINT64_MAX;
    out_table(c->out, "account_id> user user_id> shard> tier> open_orders> orders_ever> balances");
    for (*shown = 0, *has_more = false; !*has_more;) {
        int page = limit - *shown < PAGE_ROWS ? (int)(limit - *shown) : PAGE_ROWS;
        snprintf(rows_wanted, sizeof(rows_wanted), "%d", page + 1);
        PGresult *rows = ask_rows(c, r, has_names ? named_sql : unnamed_sql, values);
        PGresult *balances = rows == NULL ? NULL : read_balances(c, r, rows);
        int count = balances == NULL ? 0 : PQntuples(rows), at = 0;
        for (int i = 0; i < count && i < page; i++)
            put_account(c->out, rows, i, balances, &at);
        *shown += (uint64_t)(count < page ? count : page);
        *has_more = *shown == limit && count > page;
        if (count > 0)
            snprintf(after, sizeof(after), "%lld",
                     (long long)ask_int(rows, (count < page ? count : page) - 1, C_ID));
        PQclear(rows);
        PQclear(balances);
        if (balances == NULL)
            return false;
        if (count <= page)
            return true;
    }
    return true;
}

/* ---- What all of them come to -----------------------------------------------------------------
 */

static const char count_sql[] =
    "SELECT count(*), coalesce(sum(orders_placed), 0),"
    " (SELECT count(*) FROM ledger.\"order\" WHERE status IN (1, 2, 8)) FROM ledger.account";
/* Exact: sums may be larger than any one amount. System accounts have ids from 2^50 on, 64 of a
 * kind: issuance, house, fees, exchange. */
static const char assets_sql[] =
    "SELECT asset,"
    " coalesce(sum(free) FILTER (WHERE account_id < 1::bigint << 50), 0) * 0.00000001,"
    " coalesce(sum(held) FILTER (WHERE account_id < 1::bigint << 50), 0) * 0.00000001,"
    " coalesce(sum(free) FILTER (WHERE (account_id - (1::bigint << 50)) / 64 = 1), 0) * 0.00000001,"
    " coalesce(sum(free) FILTER (WHERE (account_id - (1::bigint << 50)) / 64 = 2), 0) * 0.00000001,"
    " coalesce(sum(free) FILTER (WHERE (account_id - (1::bigint << 50)) / 64 = 3), 0) * 0.00000001,"
    " coalesce(sum(free) FILTER (WHERE (account_id - (1::bigint << 50)) / 64 = 4), 0) * 0.00000001,"
    " sum(free + held) * 0.00000001, sum(free + held) = 0"
    " FROM ledger.balance GROUP BY asset ORDER BY asset";
static const char active_sql[] =
    "SELECT account_id, orders_placed FROM ledger.account WHERE orders_placed > 0"
    " ORDER BY orders_placed DESC, account_id LIMIT 5";

static bool
show_assets(const struct call *c, struct records *r, bool *sum_to_zero)
{
    PGresult *rows = ask_rows(c, r, assets_sql, NULL);
    if (rows == NULL)
        return false;
    out_table(c->out,
              "asset users_free> users_held> issuance> house> fees> exchange> sum> is_zero");
    *sum_to_zero = true;
    for (int i = 0; i < PQntuples(rows); i++) {
        for (int k = 0; k < 8; k++)
            out_text(c->out, ask_text(rows, i, k));
        out_bool(c->out, ask_is_true(rows, i, 8));
        out_row_end(c->out);
        *sum_to_zero &= ask_is_true(rows, i, 8);
    }
    PQclear(rows);
    return true;
}

static bool
show_counts(const struct call *c, struct records *r)
{
    PGresult *rows = ask_rows(c, r, count_sql, NULL);
    if (rows == NULL)
        return false;
    out_table(c->out, "accounts> open_orders> orders_ever>");
    out_int(c->out, ask_int(rows, 0, 0));
    out_int(c->out, ask_int(rows, 0, 2));
    out_int(c->out, ask_int(rows, 0, 1));
    out_row_end(c->out);
    PQclear(rows);
    rows = ask_rows(c, r, active_sql, NULL);
    if (rows == NULL)
        return false;
    out_table(c->out, "most_active> orders_ever>");
    for (int i = 0; i < PQntuples(rows); i++) {
        out_int(c->out, ask_int(rows, i, 0));
        out_int(c->out, ask_int(rows, i, 1));
        out_row_end(c->out);
    }
    PQclear(rows);
    return true;
}

static enum status
show_totals(const struct call *c, struct records *r)
{
    bool sum_to_zero = false;
    if (!show_counts(c, r) || !show_assets(c, r, &sum_to_zero))
        return STATUS_FAILED;
    if (!sum_to_zero)
        return refuse(c, STATUS_NO, "SUM_NOT_ZERO", "an asset does not sum to zero");
    out_say(c->out, "Each asset sums to zero over all accounts.");
    return STATUS_OK;
}

static enum status
show(const struct call *c, struct records *r)
{
    uint64_t shown;
    bool has_more;
    PGresult *rows = ask_rows(c, r, may_sql, NULL);
    if (rows == NULL)
        return STATUS_FAILED;
    bool has_names = ask_is_true(rows, 0, 0);
    PQclear(rows);
    if (!show_accounts(c, r, has_names, &shown, &has_more))
        return STATUS_FAILED;
    if (shown == 0 && c->words_count > 0)
        return refuse(c, STATUS_NO, "ACCOUNT_NOT_FOUND", "no account is like '%.40s'", c->words[0]);
    if (!has_names)
        out_say(c->out, "The names of users cannot be read here.");
    if (has_more)
        out_say(c->out, "There are more: --limit.");
    return c->words_count > 0 ? STATUS_OK : show_totals(c, r);
}

enum status
accounts(const struct call *c)
{
    enum status status;
    if (c->o.database == NULL)
        return refuse(c, STATUS_FAILED, "NO_SOURCE",
                      "accounts are read from a deployment's tables: name its --database");
    struct records *r = source_open(c, &status);
    if (r == NULL)
        return status;
    status = show(c, r);
    records_close(&r);
    return status;
}
