/*
 * rules.c - see rules.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instrument.h"
#include "host/log.h"
#include "host/pg_array.h"
#include "market/rules.h"

#define TICK_MS      1000
#define AGAIN_US     INT64_C(15000000)
#define HOUR_US      INT64_C(3600000000)
#define SYMBOLS_MAX  16384u /* spot tells those that are over, too: some thousands */
#define BRACKETS_MAX 16384u

static const char read_sql[] =
    "SELECT environment, trading_type, fetched_us, body FROM bridge.rules";
/* Those of the last answer alone: what it did not name is gone. */
static const char read_caps_sql[] =
    "SELECT environment, symbol, max(notional_cap) FROM bridge.bracket b WHERE fetched_us = "
    "(SELECT max(fetched_us) FROM bridge.bracket l WHERE l.environment = b.environment) "
    "GROUP BY environment, symbol";
static const char write_sql[] =
    "INSERT INTO bridge.rules (environment, trading_type, fetched_us, body) "
    "VALUES ($1, $2, $3, $4) ON CONFLICT (environment, trading_type) DO UPDATE SET "
    "fetched_us = excluded.fetched_us, body = excluded.body";
static const char brackets_sql[] =
    "INSERT INTO bridge.bracket (environment, symbol, bracket, initial_leverage, notional_floor, "
    "notional_cap, maintenance_margin_rate, cumulative, fetched_us) SELECT $1, b.*, $9 FROM "
    "unnest($2::text[], $3::int2[], $4::int4[], $5::int8[], $6::int8[], $7::int8[], $8::int8[]) b "
    "ON CONFLICT (environment, symbol, bracket) DO UPDATE SET "
    "initial_leverage = excluded.initial_leverage, notional_floor = excluded.notional_floor, "
    "notional_cap = excluded.notional_cap, cumulative = excluded.cumulative, "
    "maintenance_margin_rate = excluded.maintenance_margin_rate, fetched_us = excluded.fetched_us";

struct rules_waiter {
    void (*done)(void *arg);
    void *arg;
    struct rules_waiter *next;
};

/* A contract's largest leverage bracket. */
struct cap {
    code_t symbol; /* as Binance names it */
    money_t notional;
};

/* One exchange's market. */
struct rulebook {
    struct rules *rules;
    enum environment environment;
    enum trading_type type;
    struct symbol_rules *list; /* SYMBOLS_MAX; NULL until there are some */
    uint32_t count;
    struct cap *caps; /* SYMBOLS_MAX; NULL until there are some; of futures */
    uint32_t caps_count;
    bool is_wanted, is_asked;
    bool are_brackets_due, are_brackets_asked;
    int64_t fetched_us, due_us;
    uint64_t a_user; /* whose key reads the brackets */
    struct rules_waiter *waiters;
};

struct rules {
    struct shell *s;
    struct rulebook books[ENVIRONMENTS][MARKETS];
    struct loop_timer *tick;
    bool is_read; /* the database's */
};

static struct rulebook *
book_of(const struct rules *r, enum environment e, enum trading_type type)
{
    CHECK(e >= 1 && e <= ENVIRONMENTS && type >= 1 && type <= MARKETS);
    return (struct rulebook *)&r->books[e - 1][type - 1];
}

bool
rules_known(const struct rules *r, enum environment e, enum trading_type type)
{
    return book_of(r, e, type)->count > 0;
}

const struct symbol_rules *
rules_of(const struct rules *r, enum environment e, enum trading_type type, code_t symbol)
{
    const struct rulebook *book = book_of(r, e, type);
    return book->count == 0 ? NULL : rules_find(book->list, book->count, symbol);
}

static struct cap *
cap_of(const struct rulebook *book, code_t symbol)
{
    for (uint32_t i = 0; i < book->caps_count; i++)
        if (code_same(book->caps[i].symbol, symbol))
            return &book->caps[i];
    return NULL;
}

money_t
rules_notional_cap(const struct rules *r, enum environment e, code_t symbol)
{
    const struct cap *cap =
        cap_of(book_of(r, e, TRADING_TYPE_futures), instrument_at_exchange(symbol));
    return cap == NULL ? (money_t){0} : cap->notional;
}

static void
cap_note(struct rulebook *book, code_t symbol, money_t notional)
{
    if (book->caps == NULL)
        book->caps = calloc(SYMBOLS_MAX, sizeof *book->caps);
    CHECK(book->caps != NULL);
    struct cap *cap = cap_of(book, symbol);
    if (cap == NULL && book->caps_count < SYMBOLS_MAX) {
        cap = &book->caps[book->caps_count++];
        *cap = (struct cap){.symbol = symbol};
    }
    if (cap != NULL && notional.v > cap->notional.v)
        cap->notional = notional;
}

/* ---- From text ---- */

static bool
take(struct rulebook *book, const char *json, size_t length, int64_t fetched_us)
{
    struct symbol_rules *list = malloc(SYMBOLS_MAX * sizeof *list);
    char why[RULES_WHY_BYTES];
    uint32_t count = 0;
    CHECK(list != NULL);
    if (rules_read(json, length, list, SYMBOLS_MAX, &count, why) != OK) {
        log_line(LOG_ERROR, "exchange_rules_not_readable", "why=\"%s\"", why);
        free(list);
        return false;
    }
    free(book->list);
    book->list = list;
    book->count = count;
    book->fetched_us = fetched_us;
    struct reply_limits l;
    if (reply_limits(json, length, &l))
        caller_set_limits(book->rules->s->caller, book->environment, book->type, l.weight_1m,
                          l.orders_10s, l.orders_1m, l.orders_1d);
    return true;
}

/* ---- Database ---- */

static void
on_rows(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct rules *r = arg;
    r->is_read = outcome != PG_LOST; /* what the database refuses the exchange tells */
    if (outcome == PG_FAILED)
        log_line(LOG_ERROR, "kept_rules_not_read", "reason=\"the database refused\"");
    if (outcome != PG_ROWS)
        return;
    for (int i = 0; i < PQntuples(result); i++) {
        int64_t e = pg_read_int(PQgetvalue(result, i, 0), PQgetlength(result, i, 0));
        int64_t type = pg_read_int(PQgetvalue(result, i, 1), PQgetlength(result, i, 1));
        int64_t at = pg_read_int(PQgetvalue(result, i, 2), PQgetlength(result, i, 2));
        if (e < 1 || e > (int64_t)ENVIRONMENTS || type < 1 || type > (int64_t)MARKETS)
            continue;
        struct rulebook *book = book_of(r, (enum environment)e, (enum trading_type)type);
        if (at <= book->fetched_us)
            continue;
        if (take(book, PQgetvalue(result, i, 3), (size_t)PQgetlength(result, i, 3), at))
            book->due_us = at + r->s->config->rules_hours * HOUR_US;
    }
}

static void
on_caps(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct rules *r = arg;
    if (outcome != PG_ROWS)
        return;
    for (int i = 0; i < PQntuples(result); i++) {
        int64_t e = pg_read_int(PQgetvalue(result, i, 0), PQgetlength(result, i, 0));
        code_t symbol;
        if (e < 1 || e > (int64_t)ENVIRONMENTS ||
            code_from(PQgetvalue(result, i, 1), (size_t)PQgetlength(result, i, 1), &symbol) != OK)
            continue;
        money_t cap = {pg_read_int(PQgetvalue(result, i, 2), PQgetlength(result, i, 2))};
        cap_note(book_of(r, (enum environment)e, TRADING_TYPE_futures), symbol, cap);
    }
}

/* No exchange is asked before the rules of the database are here, and so are the brackets. */
void
rules_database_up(struct rules *r)
{
    struct pg *pg = r->s->pg;
    if (!r->is_read && pg_send(pg, read_caps_sql, 0, NULL, NULL, NULL, NULL, true, on_caps, r) &&
        pg_send(pg, read_sql, 0, NULL, NULL, NULL, NULL, true, on_rows, r))
        pg_sync(pg, NULL, NULL);
}

static void
keep(struct rulebook *book, const char *json)
{
    static const Oid types[] = {PG_INT2, PG_INT2, PG_INT8, PG_TEXT};
    char environment[12], type[12], at[24];
    snprintf(environment, sizeof environment, "%d", (int)book->environment);
    snprintf(type, sizeof type, "%d", (int)book->type);
    snprintf(at, sizeof at, "%" PRId64, book->fetched_us);
    const char *values[] = {environment, type, at, json};
    struct pg *pg = book->rules->s->pg;
    if (pg_is_up(pg) && pg_send(pg, write_sql, 4, types, values, NULL, NULL, false, NULL, NULL))
        pg_sync(pg, NULL, NULL);
}

enum bracket_column { AT_SYMBOL, AT_BRACKET, AT_LEVERAGE, AT_FLOOR, AT_CAP, AT_RATE, AT_SUM };
#define COLUMNS 7

static void
brackets_keep(struct rulebook *book, const struct bracket *list, uint32_t count)
{
    static const enum pg_oid kinds[COLUMNS] = {PG_TEXT, PG_INT2, PG_INT4, PG_INT8,
                                               PG_INT8, PG_INT8, PG_INT8};
    struct pg *pg = book->rules->s->pg;
    struct pg_array columns[COLUMNS];
    Oid types[COLUMNS + 2] = {PG_INT2};
    char environment[2] = {0, (char)book->environment}, at[8];
    const char *values[COLUMNS + 2] = {environment};
    int lengths[COLUMNS + 2] = {2}, formats[COLUMNS + 2] = {1};
    for (int c = 0; c < COLUMNS; c++)
        pg_array_init(&columns[c], kinds[c]);
    for (uint32_t i = 0; i < count; i++) {
        pg_array_text(&columns[AT_SYMBOL], list[i].symbol.text);
        pg_array_int2(&columns[AT_BRACKET], (int16_t)list[i].bracket);
        pg_array_int4(&columns[AT_LEVERAGE], (int32_t)list[i].leverage);
        pg_array_int8(&columns[AT_FLOOR], list[i].notional_floor.v);
        pg_array_int8(&columns[AT_CAP], list[i].notional_cap.v);
        pg_array_int8(&columns[AT_RATE], list[i].maintenance_rate.v);
        pg_array_int8(&columns[AT_SUM], list[i].cumulative.v);
    }
    for (int c = 0; c < COLUMNS; c++) {
        types[c + 1] = pg_array_type(kinds[c]);
        values[c + 1] = pg_array_value(&columns[c]);
        lengths[c + 1] = pg_array_length(&columns[c]);
        formats[c + 1] = 1;
    }
    pg_write_int8(loop_now_us(book->rules->s->loop), at);
    types[COLUMNS + 1] = PG_INT8;
    values[COLUMNS + 1] = at;
    lengths[COLUMNS + 1] = 8;
    formats[COLUMNS + 1] = 1;
    if (pg_is_up(pg) &&
        pg_send(pg, brackets_sql, COLUMNS + 2, types, values, lengths, formats, false, NULL, NULL))
        pg_sync(pg, NULL, NULL);
    for (int c = 0; c < COLUMNS; c++)
        pg_array_fini(&columns[c]);
}

/* ---- Exchange ---- */

static void
failed(struct rulebook *book, const char *what, const struct caller_reply *r)
{
    log_line(LOG_WARN, what, "environment=%d market=%d error=%s code=%" PRId64 " why=\"%s\"",
             (int)book->environment, (int)book->type, err_name(r->ruling.error), r->code,
             r->message.text);
}

static void
waiters_tell(struct rulebook *book)
{
    struct rules_waiter *next = book->waiters;
    book->waiters = NULL;
    while (next != NULL) {
        struct rules_waiter *w = next;
        next = w->next;
        w->done(w->arg);
        pending_free(w);
    }
}

static void
on_rules(void *arg, const struct caller_reply *r)
{
    struct rulebook *book = arg;
    int64_t now = loop_now_us(book->rules->s->loop);
    book->is_asked = false;
    book->due_us = now + AGAIN_US;
    if (r->ruling.verdict != VERDICT_OK) {
        failed(book, "exchange_rules_not_read", r);
    } else if (take(book, r->body, r->length, now)) {
        book->due_us = now + book->rules->s->config->rules_hours * HOUR_US;
        book->are_brackets_due = book->type == TRADING_TYPE_futures;
        keep(book, r->body);
        log_line(LOG_INFO, "exchange_rules_read", "environment=%d market=%d symbols=%u",
                 (int)book->environment, (int)book->type, book->count);
    }
    waiters_tell(book);
}

static void
on_brackets(void *arg, const struct caller_reply *r)
{
    struct rulebook *book = arg;
    uint32_t count = 0;
    book->are_brackets_asked = false;
    if (r->ruling.verdict != VERDICT_OK) {
        failed(book, "brackets_not_read", r);
        return;
    }
    struct bracket *list = malloc(BRACKETS_MAX * sizeof *list);
    CHECK(list != NULL);
    if (reply_brackets(r->body, r->length, list, BRACKETS_MAX, &count)) {
        book->caps_count = 0;
        for (uint32_t i = 0; i < count; i++)
            cap_note(book, list[i].symbol, list[i].notional_cap);
        brackets_keep(book, list, count);
    } else {
        log_line(LOG_WARN, "brackets_not_readable", "length=%zu", r->length);
    }
    free(list);
}

static void
ask(struct rulebook *book)
{
    bool is_spot = book->type == TRADING_TYPE_spot;
    struct call c = {.name = is_spot ? CALL_SPOT_EXCHANGE_INFO : CALL_USDM_EXCHANGE_INFO};
    struct caller_request q = {
        .environment = book->environment, .call = &c, .done = on_rules, .arg = book};
    book->is_asked = caller_send(book->rules->s->caller, &q) != 0;
}

static void
ask_brackets(struct rulebook *book)
{
    struct shell *s = book->rules->s;
    struct key_view key;
    struct call c = {.name = CALL_USDM_BRACKETS};
    book->are_brackets_due = false;
    if (!keys_find(s->keys, book->a_user, book->type, book->environment, &key))
        return;
    struct caller_request q = {.environment = book->environment,
                               .call = &c,
                               .key = key.number,
                               .done = on_brackets,
                               .arg = book};
    book->are_brackets_asked = caller_send(s->caller, &q) != 0;
}

static void
on_tick(void *arg)
{
    struct rules *r = arg;
    int64_t now = loop_now_us(r->s->loop);
    for (uint32_t e = 0; e < ENVIRONMENTS; e++)
        for (uint32_t m = 0; m < MARKETS; m++) {
            struct rulebook *book = &r->books[e][m];
            if (!book->is_wanted || !r->is_read)
                continue;
            if (!book->is_asked && book->due_us <= now)
                ask(book);
            if (book->are_brackets_due && !book->are_brackets_asked)
                ask_brackets(book);
        }
}

void
rules_keys_changed(struct rules *r)
{
    struct guard_binding b;
    for (uint32_t at = keys_next_binding(r->s->keys, 0, &b); at != UINT32_MAX;
         at = keys_next_binding(r->s->keys, at + 1, &b)) {
        struct rulebook *book = book_of(r, b.environment, b.trading_type);
        book->is_wanted = guard_mode_allows(r->s->mode, b.environment);
        book->a_user = b.user_id;
    }
    on_tick(r);
}

void
rules_want(struct rules *r, enum environment e, enum trading_type type, uint64_t a_user,
           void (*done)(void *arg), void *arg)
{
    struct rulebook *book = book_of(r, e, type);
    book->is_wanted = true;
    book->a_user = a_user;
    if (!book->is_asked && book->count == 0)
        ask(book);
    if (!book->is_asked) {
        done(arg);
        return;
    }
    struct rules_waiter *w = pending_new(&r->s->pending, sizeof *w);
    *w = (struct rules_waiter){done, arg, book->waiters};
    book->waiters = w;
}

struct rules *
rules_open(struct shell *s)
{
    struct rules *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->s = s;
    for (uint32_t e = 0; e < ENVIRONMENTS; e++)
        for (uint32_t m = 0; m < MARKETS; m++)
            r->books[e][m] = (struct rulebook){.rules = r,
                                               .environment = (enum environment)(e + 1),
                                               .type = (enum trading_type)(m + 1)};
    r->tick = loop_timer_new(s->loop, TICK_MS, TICK_MS, on_tick, r);
    return r;
}

void
rules_close(struct rules **rules)
{
    struct rules *r = *rules;
    if (r == NULL)
        return;
    loop_timer_end(&r->tick);
    for (uint32_t e = 0; e < ENVIRONMENTS; e++)
        for (uint32_t m = 0; m < MARKETS; m++) {
            free(r->books[e][m].list);
            free(r->books[e][m].caps);
        }
    free(r);
    *rules = NULL;
}
