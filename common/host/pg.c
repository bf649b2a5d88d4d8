/*
 * pg.c - libpq's pipeline mode on the loop.
 *
 * Every statement and every sync sent has an entry in a ring, in the order of the answers. The
 * connection is always in pipeline mode: connecting, then preparing statements, then up. Once it
 * breaks, the ring is answered with PG_LOST, in order, each entry once, and only then on_down is
 * told. Reconnecting waits 50 ms, doubling to a second.
 *
 * libpq resolves host names in the calling thread: give an address, or a name that the machine
 * itself can tell.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/pg.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "host/log.h"
#include "host/metrics.h"

#define QUEUE_MAX        65536 /* a power of two */
#define QUEUE_SYNC_ROOM  1024  /* kept free for syncs: what was sent can always be ended */
#define PREPARED_MAX     64
#define TYPES_MAX        64
#define BACKOFF_FIRST_MS 50
#define BACKOFF_LAST_MS  1000
#define CONNECT_LIMIT_MS 5000

enum pg_state { PG_DOWN, PG_CONNECTING, PG_PREPARING, PG_UP };
enum entry_kind { ENTRY_QUERY, ENTRY_PREPARE, ENTRY_SYNC };

struct entry {
    enum entry_kind kind;
    bool answered; /* a statement's result came; the NULL that ends it is still to come */
    bool failed;   /* a sync: the error of its commit came, and the NULL behind it is to come */
    pg_answer *answer;
    void *arg;
    int64_t sent_us;
};

struct prepared {
    char *name, *sql;
    int count;
    Oid types[TYPES_MAX];
};

struct pg {
    struct loop *loop;
    struct pg_options o;
    char *conninfo, *label;
    PGconn *connection;
    struct loop_watch *watch;
    struct loop_timer *timer; /* the next attempt, the limit of this one, or a break to carry out */
    enum pg_state state;
    bool broken;  /* the connection failed under a caller; the timer takes it down */
    bool unsent;  /* libpq may hold bytes that PQflush has to send */
    bool in_call; /* inside an answer or on_up / on_down */
    int64_t backoff_ms;
    unsigned failures; /* attempts in a row */
    struct entry *ring;
    uint32_t head, count;
    PGresult *failure; /* why the transaction under way failed */
    struct prepared prepared[PREPARED_MAX];
    int prepared_count;
    struct metric *queries, *failed, *lost, *connects, *is_up, *outstanding, *sync_us;
};

/* ---- The ring --------------------------------------------------------------------------- */

static struct entry *
ring_front(struct pg *p)
{
    return p->count == 0 ? NULL : &p->ring[p->head];
}

static void
ring_push(struct pg *p, enum entry_kind kind, pg_answer *answer, void *arg)
{
    CHECK(p->count < QUEUE_MAX);
    struct entry *e = &p->ring[(p->head + p->count) & (QUEUE_MAX - 1)];
    *e = (struct entry){kind, false, false, answer, arg, loop_steady_us(p->loop)};
    p->count++;
    metric_set(p->outstanding, p->count);
}

static void
ring_pop(struct pg *p)
{
    p->head = (p->head + 1) & (QUEUE_MAX - 1);
    p->count--;
    metric_set(p->outstanding, p->count);
}

static void
answer_call(struct pg *p, pg_answer *answer, void *arg, enum pg_outcome outcome,
            const PGresult *result)
{
    if (answer == NULL)
        return;
    p->in_call = true;
    answer(arg, outcome, result);
    p->in_call = false;
}

/* ---- Going down and coming up ----------------------------------------------------------- */

static void
failure_forget(struct pg *p)
{
    PQclear(p->failure);
    p->failure = NULL;
}

static void
pg_complain(struct pg *p, const char *event)
{
    /* The first of a row of failures, then one in thirty: about twice a minute. */
    if (p->failures++ % 30 != 0)
        return;
    char reason[256];
    snprintf(reason, sizeof reason, "%s",
             p->connection != NULL ? PQerrorMessage(p->connection) : "out of memory");
    reason[strcspn(reason, "\n")] = '\0';
    log_line(LOG_WARN, event, "connection=%s attempt=%u reason=%s", p->label, p->failures, reason);
}

/* Drops the connection, answers what is outstanding, and plans the next attempt. */
static void
pg_break(struct pg *p, const char *event)
{
    bool was_up = p->state == PG_UP;
    pg_complain(p, event);
    p->state = PG_DOWN;
    p->broken = p->unsent = false;
    loop_watch_end(&p->watch);
    PQfinish(p->connection);
    p->connection = NULL;
    failure_forget(p);
    metric_set(p->is_up, 0);
    while (p->count > 0) {
        struct entry e = *ring_front(p);
        ring_pop(p);
        metric_add(p->lost, e.kind != ENTRY_PREPARE);
        if (!e.answered)
            answer_call(p, e.answer, e.arg, PG_LOST, NULL);
    }
    if (was_up && p->o.on_down != NULL) {
        p->in_call = true;
        p->o.on_down(p->o.arg);
        p->in_call = false;
    }
    loop_timer_again(p->timer, p->backoff_ms);
    p->backoff_ms = p->backoff_ms * 2 < BACKOFF_LAST_MS ? p->backoff_ms * 2 : BACKOFF_LAST_MS;
}

/* For failures seen inside a caller's pg_send(): its other answers must not come from within. */
static void
pg_break_soon(struct pg *p)
{
    p->broken = true;
    loop_timer_again(p->timer, 0);
}

static void
pg_came_up(struct pg *p)
{
    p->state = PG_UP;
    p->backoff_ms = BACKOFF_FIRST_MS;
    p->failures = 0;
    loop_timer_stop(p->timer);
    metric_set(p->is_up, 1);
    metric_add(p->connects, 1);
    log_line(LOG_INFO, "database_up", "connection=%s", p->label);
    if (p->o.on_up != NULL) {
        p->in_call = true;
        p->o.on_up(p->o.arg);
        p->in_call = false;
    }
}

/* ---- Sending ---------------------------------------------------------------------------- */

/* Sends what libpq holds; asks for write readiness while it could not send all. False = lost. */
static bool
pg_flush(struct pg *p)
{
    int left = PQflush(p->connection);
    if (left < 0)
        return false;
    p->unsent = left > 0;
    loop_watch_set(p->watch, left > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
    return true;
}

static void
on_flush(void *arg)
{
    struct pg *p = arg;
    if (p->state >= PG_PREPARING && p->unsent && !p->broken && !pg_flush(p))
        pg_break_soon(p);
}

static bool
pg_ready(const struct pg *p, uint32_t room)
{
    return p->state == PG_UP && !p->broken && p->count + room < QUEUE_MAX;
}

/* After a PQsend call: either an entry of the ring, or a connection to be taken down. */
static bool
pg_sent(struct pg *p, int sent, enum entry_kind kind, pg_answer *answer, void *arg)
{
    if (!sent) {
        if (PQstatus(p->connection) == CONNECTION_BAD)
            pg_break_soon(p);
        else
            log_line(LOG_ERROR, "query_not_sent", "connection=%s reason=%s", p->label,
                     PQerrorMessage(p->connection));
        return false;
    }
    p->unsent = true;
    ring_push(p, kind, answer, arg);
    metric_add(p->queries, kind == ENTRY_QUERY);
    return true;
}

bool
pg_send(struct pg *p, const char *sql, int count, const Oid *types, const char *const *values,
        const int *lengths, const int *formats, bool binary_result, pg_answer *answer, void *arg)
{
    if (!pg_ready(p, QUEUE_SYNC_ROOM))
        return false;
    int sent = PQsendQueryParams(p->connection, sql, count, types, values, lengths, formats,
                                 binary_result);
    return pg_sent(p, sent, ENTRY_QUERY, answer, arg);
}

bool
pg_send_prepared(struct pg *p, const char *name, int count, const char *const *values,
                 const int *lengths, const int *formats, bool binary_result, pg_answer *answer,
                 void *arg)
{
    if (!pg_ready(p, QUEUE_SYNC_ROOM))
        return false;
    int sent =
        PQsendQueryPrepared(p->connection, name, count, values, lengths, formats, binary_result);
    return pg_sent(p, sent, ENTRY_QUERY, answer, arg);
}

bool
pg_sync(struct pg *p, pg_answer *answer, void *arg)
{
    if (!pg_ready(p, 0))
        return false;
    return pg_sent(p, PQpipelineSync(p->connection), ENTRY_SYNC, answer, arg);
}

static bool
prepare_send(struct pg *p, const struct prepared *s)
{
    int sent = PQsendPrepare(p->connection, s->name, s->sql, s->count, s->types);
    return pg_sent(p, sent, ENTRY_PREPARE, NULL, NULL);
}

void
pg_prepare(struct pg *p, const char *name, const char *sql, int count, const Oid *types)
{
    CHECK(p->prepared_count < PREPARED_MAX && count <= TYPES_MAX);
    for (int i = 0; i < p->prepared_count; i++)
        if (strcmp(p->prepared[i].name, name) == 0)
            return; /* on_up may ask for it again */
    struct prepared *s = &p->prepared[p->prepared_count++];
    s->name = strdup(name);
    s->sql = strdup(sql);
    CHECK(s->name != NULL && s->sql != NULL);
    s->count = count;
    if (types != NULL)
        memcpy(s->types, types, (size_t)count * sizeof *types);
    if (p->state >= PG_PREPARING && !p->broken)
        prepare_send(p, s);
}

/* ---- Answers ---------------------------------------------------------------------------- */

static bool
result_good(const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        return true;
    default:
        return false;
    }
}

/* The server said that it ends the connection: what it did with the statement is not known. */
static bool
result_fatal(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

static void
failure_keep(struct pg *p, const struct entry *e, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED || p->failure != NULL) {
        PQclear(result);
        return;
    }
    p->failure = result;
    metric_add(p->failed, 1);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    log_line(e->kind == ENTRY_PREPARE ? LOG_ERROR : LOG_DEBUG, "query_failed",
             "connection=%s sqlstate=%s reason=%s", p->label, state != NULL ? state : "",
             text != NULL ? text : PQresultErrorMessage(result));
}

/* The end of a transaction: committed unless something in it, or the commit itself, failed.
 * False when the statements could not be prepared: then the connection is of no use. */
static bool
sync_take(struct pg *p)
{
    struct entry e = *ring_front(p);
    PGresult *failure = p->failure;
    p->failure = NULL;
    ring_pop(p);
    if (p->state == PG_PREPARING) {
        PQclear(failure);
        if (failure != NULL)
            return false;
        pg_came_up(p);
        return true;
    }
    metric_observe_us(p->sync_us, loop_steady_us(p->loop) - e.sent_us);
    answer_call(p, e.answer, e.arg, failure == NULL ? PG_ROWS : PG_FAILED, failure);
    PQclear(failure);
    return true;
}

/* One result or the NULL behind it. False when the connection is to be taken down. */
static bool
result_take(struct pg *p, PGresult *result)
{
    struct entry *e = ring_front(p);
    if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
        PQclear(result);
        return e->kind == ENTRY_SYNC && sync_take(p);
    }
    bool good = result_good(result);
    if (!good && (result_fatal(result) || PQstatus(p->connection) == CONNECTION_BAD)) {
        PQclear(result);
        return false;
    }
    if (e->kind == ENTRY_SYNC) { /* the commit itself failed: a NULL, then the sync will follow */
        e->failed = true;
        failure_keep(p, e, result);
        return true;
    }
    e->answered = true;
    answer_call(p, e->answer, e->arg, good ? PG_ROWS : PG_FAILED, result);
    if (good)
        PQclear(result);
    else
        failure_keep(p, e, result);
    return true;
}

static void
notifications_take(struct pg *p)
{
    for (PGnotify *n = PQnotifies(p->connection); n != NULL; n = PQnotifies(p->connection)) {
        if (p->o.on_notify != NULL) {
            p->in_call = true;
            p->o.on_notify(p->o.arg, n->relname, n->be_pid == PQbackendPID(p->connection));
            p->in_call = false;
        }
        PQfreemem(n);
    }
}

static bool
results_take(struct pg *p)
{
    while (p->count > 0 && !PQisBusy(p->connection)) {
        PGresult *result = PQgetResult(p->connection);
        if (result != NULL) {
            if (!result_take(p, result))
                return false;
        } else if (ring_front(p)->answered) {
            ring_pop(p);
        } else if (ring_front(p)->failed) {
            ring_front(p)->failed = false;
        } else {
            break;
        }
        if (p->broken)
            return true; /* the timer takes it down */
    }
    notifications_take(p);
    return PQstatus(p->connection) == CONNECTION_OK;
}

static void
on_socket(void *arg, unsigned events)
{
    struct pg *p = arg;
    if (p->broken)
        return;
    bool alive = true;
    if (events & LOOP_READ) {
        /* Even when the connection ended, answers may stand in libpq's buffer: read them first. */
        bool more = PQconsumeInput(p->connection) == 1;
        alive = results_take(p) && more;
    }
    if (alive && !p->broken)
        alive = pg_flush(p);
    if (!alive)
        pg_break(p, "database_lost");
}

/* ---- Connecting ------------------------------------------------------------------------- */

static void
notice_drop(void *arg, const PGresult *result)
{
    struct pg *p = arg;
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    log_line(LOG_DEBUG, "database_notice", "connection=%s text=%s", p->label,
             text != NULL ? text : "");
}

static void
pg_connected(struct pg *p)
{
    loop_watch_end(&p->watch);
    if (PQsetnonblocking(p->connection, 1) != 0 || PQenterPipelineMode(p->connection) != 1) {
        pg_break(p, "database_away");
        return;
    }
    p->watch = loop_watch_fd(p->loop, PQsocket(p->connection), LOOP_READ, on_socket, p);
    p->state = PG_PREPARING;
    bool sent = true;
    for (int i = 0; sent && i < p->prepared_count; i++)
        sent = prepare_send(p, &p->prepared[i]);
    sent = sent && pg_sent(p, PQpipelineSync(p->connection), ENTRY_SYNC, NULL, NULL);
    if (!sent || !pg_flush(p))
        pg_break(p, "database_away");
}

static void
on_connecting(void *arg, unsigned events)
{
    (void)events;
    struct pg *p = arg;
    PostgresPollingStatusType poll = PQconnectPoll(p->connection);
    if (poll == PGRES_POLLING_OK) {
        pg_connected(p);
    } else if (poll == PGRES_POLLING_FAILED) {
        pg_break(p, "database_away");
    } else {
        /* libpq may have moved to another socket, even one of the same number. */
        loop_watch_end(&p->watch);
        p->watch =
            loop_watch_fd(p->loop, PQsocket(p->connection),
                          poll == PGRES_POLLING_READING ? LOOP_READ : LOOP_WRITE, on_connecting, p);
    }
}

static void
pg_connect(struct pg *p)
{
    /* The conninfo stands first, so that what follows wins. Three lost keepalives, or 5 s without
     * an acknowledgement, end a connection whose server vanished. */
    const char *const keys[] = {"dbname",           "application_name", "client_encoding",
                                "keepalives",       "keepalives_idle",  "keepalives_interval",
                                "keepalives_count", "tcp_user_timeout", NULL};
    const char *const values[] = {p->conninfo, p->label, "UTF8", "1", "5", "2", "3", "5000", NULL};
    p->connection = PQconnectStartParams(keys, values, 1);
    if (p->connection == NULL || PQstatus(p->connection) == CONNECTION_BAD) {
        pg_break(p, "database_away");
        return;
    }
    PQsetNoticeReceiver(p->connection, notice_drop, p);
    p->state = PG_CONNECTING;
    loop_timer_again(p->timer, CONNECT_LIMIT_MS);
    p->watch = loop_watch_fd(p->loop, PQsocket(p->connection), LOOP_WRITE, on_connecting, p);
}

static void
on_timer(void *arg)
{
    struct pg *p = arg;
    if (p->broken)
        pg_break(p, "database_lost");
    else if (p->state == PG_DOWN)
        pg_connect(p);
    else if (p->state != PG_UP)
        pg_break(p, "database_away"); /* it took too long */
}

static void
metrics_open(struct pg *p)
{
    char labels[64];
    snprintf(labels, sizeof labels, "connection=\"%.40s\"", p->label);
    p->queries = metric_counter("scrip_pg_queries_total", labels, "Statements sent.");
    p->failed = metric_counter("scrip_pg_failed_total", labels, "Transactions the server refused.");
    p->lost = metric_counter("scrip_pg_lost_total", labels, "Answers lost with a connection.");
    p->connects = metric_counter("scrip_pg_connects_total", labels, "Connections made.");
    p->is_up = metric_gauge("scrip_pg_up", labels, "1 while the connection is up.");
    p->outstanding = metric_gauge("scrip_pg_outstanding", labels, "Answers waited for.");
    p->sync_us = metric_histogram("scrip_pg_commit_us", labels, "From pg_sync to its answer.");
}

struct pg *
pg_open(struct loop *l, const struct pg_options *o)
{
    struct pg *p = calloc(1, sizeof *p);
    CHECK(p != NULL);
    p->loop = l;
    p->o = *o;
    p->conninfo = strdup(o->conninfo);
    p->label = strdup(o->label);
    p->ring = calloc(QUEUE_MAX, sizeof *p->ring);
    CHECK(p->conninfo != NULL && p->label != NULL && p->ring != NULL);
    p->backoff_ms = BACKOFF_FIRST_MS;
    metrics_open(p);
    p->timer = loop_timer_new(l, 0, 0, on_timer, p); /* connects in the first turn */
    loop_on_flush(l, on_flush, p);
    return p;
}

void
pg_close(struct pg **p)
{
    struct pg *old = *p;
    if (old == NULL)
        return;
    CHECK(!old->in_call);
    *p = NULL;
    loop_off_turn(old->loop, on_flush, old);
    loop_timer_end(&old->timer);
    loop_watch_end(&old->watch);
    PQfinish(old->connection);
    failure_forget(old);
    for (int i = 0; i < old->prepared_count; i++) {
        free(old->prepared[i].name);
        free(old->prepared[i].sql);
    }
    free(old->ring);
    free(old->conninfo);
    free(old->label);
    free(old);
}

bool
pg_is_up(const struct pg *p)
{
    return p->state == PG_UP && !p->broken;
}
