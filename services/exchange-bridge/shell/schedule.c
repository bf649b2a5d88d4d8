/*
 * schedule.c - see schedule.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/schedule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "exchange-bridge/shell/sync.h"
#include "host/log.h"
#include "host/pg_array.h"

#define TICK_MS     1000
#define MINUTES_MIN 5u
#define MINUTES_MAX 10080u
#define MINUTE_US   INT64_C(60000000)

#define ROW "account_id, user_id, trading_type, every_minutes, next_us, last_us, last_error"

static const char get_sql[] =
    "SELECT " ROW " FROM bridge.sync_schedule WHERE account_id = $1 AND trading_type = $2";
static const char set_sql[] =
    "INSERT INTO bridge.sync_schedule (account_id, user_id, trading_type, every_minutes, next_us) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account_id, trading_type) DO UPDATE SET "
    "user_id = excluded.user_id, every_minutes = excluded.every_minutes, "
    "next_us = excluded.next_us RETURNING " ROW;
static const char delete_sql[] =
    "DELETE FROM bridge.sync_schedule WHERE account_id = $1 AND trading_type = $2";
/* Those that were due long ago are made once, not as often as they were missed. */
static const char take_sql[] =
    "UPDATE bridge.sync_schedule t SET last_us = $1, last_error = NULL, "
    "next_us = $1 + every_minutes * 60000000::bigint FROM (SELECT account_id, trading_type "
    "FROM bridge.sync_schedule WHERE next_us <= $1 ORDER BY next_us LIMIT 16 "
    "FOR UPDATE SKIP LOCKED) due WHERE t.account_id = due.account_id "
    "AND t.trading_type = due.trading_type RETURNING t.account_id, t.user_id, t.trading_type, "
    "t.every_minutes, t.next_us, t.last_us, t.last_error";
static const char note_sql[] = "UPDATE bridge.sync_schedule SET last_error = $3 "
                               "WHERE account_id = $1 AND trading_type = $2";

struct schedule {
    struct shell *s;
    struct loop_timer *tick;
    bool is_taking;
};

struct numbers {
    char text[5][24];
    const char *values[5];
};

static void
numbers_set(struct numbers *n, int count, const int64_t *from)
{
    for (int i = 0; i < count; i++) {
        snprintf(n->text[i], sizeof n->text[i], "%" PRId64, from[i]);
        n->values[i] = n->text[i];
    }
}

static bool
statement(struct schedule *c, const char *sql, int count, const int64_t *from, pg_answer *answer,
          void *arg)
{
    static const Oid types[5] = {PG_INT8, PG_INT8, PG_INT8, PG_INT8, PG_INT8};
    struct numbers n;
    numbers_set(&n, count, from);
    return pg_is_up(c->s->pg) &&
           pg_send(c->s->pg, sql, count, types, n.values, NULL, NULL, true, answer, arg) &&
           pg_sync(c->s->pg, NULL, NULL);
}

static int64_t
cell(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column)
               ? 0
               : pg_read_int(PQgetvalue(r, row, column), PQgetlength(r, row, column));
}

/* ---- Asked for ---- */

struct schedule_ask {
    struct ask *ask;
    struct bridge_schedule none; /* what is told when there is no row */
};

static void
on_row(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct schedule_ask *a = arg;
    struct bridge_schedule b = a->none;
    if (outcome != PG_ROWS) {
        ask_refuse_plain(a->ask, ERR_KEYS_UNAVAILABLE);
    } else {
        if (PQntuples(result) > 0) {
            b.every_minutes = (uint32_t)cell(result, 0, 3);
            b.next_us = cell(result, 0, 4);
            b.last_us = cell(result, 0, 5);
            b.last_error = (enum err)cell(result, 0, 6);
        }
        ask_answer(a->ask, MSG_bridge_schedule, &b);
    }
    pending_free(a);
}

static void
ask_database(struct schedule *c, struct ask *k, const char *sql, int count, const int64_t *from,
             enum trading_type type)
{
    struct schedule_ask *a = pending_new(&c->s->pending, sizeof *a);
    *a = (struct schedule_ask){.ask = k,
                               .none = {.account_id = (uint64_t)from[0], .trading_type = type}};
    if (statement(c, sql, count, from, on_row, a))
        return;
    ask_refuse_plain(k, ERR_KEYS_UNAVAILABLE);
    pending_free(a);
}

void
schedule_get(struct schedule *c, struct ask *k, const struct bridge_schedule_get *m)
{
    int64_t values[] = {(int64_t)m->account_id, m->trading_type};
    ask_database(c, k, get_sql, 2, values, m->trading_type);
}

void
schedule_set(struct schedule *c, struct ask *k, const struct bridge_schedule_set *m)
{
    uint32_t every = m->every_minutes;
    if (every == 0) {
        int64_t values[] = {(int64_t)m->account_id, m->trading_type};
        ask_database(c, k, delete_sql, 2, values, m->trading_type);
        return;
    }
    if (every < MINUTES_MIN || every > MINUTES_MAX) {
        struct refused why = {
            .error = ERR_NUMBER_RANGE,
            .field = code_of("every_minutes"),
            .detail = text_of("it must be 0 or between %u and %u", MINUTES_MIN, MINUTES_MAX)};
        ask_refuse(k, &why);
        return;
    }
    struct key_view key;
    if (!keys_ready(c->s->keys)) {
        ask_refuse_plain(k, ERR_KEYS_UNAVAILABLE);
        return;
    }
    if (!shell_reading_key(c->s, m->user_id, m->trading_type, &key)) {
        ask_refuse_plain(k, ERR_CREDENTIALS_MISSING);
        return;
    }
    int64_t values[] = {(int64_t)m->account_id, (int64_t)m->user_id, m->trading_type, every,
                        loop_now_us(c->s->loop) + every * MINUTE_US};
    ask_database(c, k, set_sql, 5, values, m->trading_type);
}

/* ---- Due ---- */

struct due {
    struct schedule *schedule;
    uint64_t account_id;
    enum trading_type type;
};

static void
on_synced(void *arg, const struct bridge_balance *balance, const struct refused *why)
{
    struct due *d = arg;
    (void)balance;
    if (why != NULL) {
        int64_t values[] = {(int64_t)d->account_id, d->type, why->error};
        if (!statement(d->schedule, note_sql, 3, values, NULL, NULL))
            log_line(LOG_WARN, "sync_not_noted", "account=%" PRIu64, d->account_id);
    }
    pending_free(d);
}

static void
on_taken(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct schedule *c = arg;
    c->is_taking = false;
    if (outcome != PG_ROWS)
        return;
    for (int i = 0; i < PQntuples(result); i++) {
        struct due *d = pending_new(&c->s->pending, sizeof *d);
        *d = (struct due){c, (uint64_t)cell(result, i, 0), (enum trading_type)cell(result, i, 2)};
        const uint64_t words[] = {d->account_id, d->type, (uint64_t)cell(result, i, 5)};
        struct sync_wish w = {.account_id = d->account_id,
                              .user_id = (uint64_t)cell(result, i, 1),
                              .trading_type = d->type,
                              .source = BALANCE_SOURCE_scheduled_sync,
                              .command_id = map_hash(words, sizeof words)};
        sync_begin(c->s, &w, on_synced, d);
    }
}

static void
on_tick(void *arg)
{
    struct schedule *c = arg;
    int64_t values[] = {loop_now_us(c->s->loop)};
    if (!c->is_taking && keys_ready(c->s->keys))
        c->is_taking = statement(c, take_sql, 1, values, on_taken, c);
}

struct schedule *
schedule_open(struct shell *s)
{
    struct schedule *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    c->s = s;
    c->tick = loop_timer_new(s->loop, TICK_MS, TICK_MS, on_tick, c);
    return c;
}

void
schedule_close(struct schedule **c)
{
    if (*c == NULL)
        return;
    loop_timer_end(&(*c)->tick);
    free(*c);
    *c = NULL;
}
