/*
 * gw_stage.c - the stage of gw_http_test: a database, the real gateway, and Criterion within.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <criterion/options.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECTIONS 40

static void
fail(const char *what)
{
    fprintf(stderr, "gw_http_test: %s\n", what);
    exit(1);
}

static void
run(PGconn *c, const char *sql)
{
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail(PQerrorMessage(c));
    PQclear(r);
}

static void
database_make(const char *server, const char *name, char *conninfo, size_t size)
{
    static char sql[65536];
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
    PGconn *c = PQconnectdb(server);
    run(c, sql);
    snprintf(conninfo, size, "%s dbname=%s", server, name);
    static const char *const changes[] = {SCRIP_SOURCE "/db/deploy/gateway_users.sql",
                                          SCRIP_SOURCE "/db/deploy/gateway_sessions_ended.sql",
                                          SCRIP_SOURCE "/db/deploy/gateway_auditors.sql"};
    PQfinish(c);
    c = PQconnectdb(conninfo);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        FILE *f = fopen(changes[i], "r");
        if (f == NULL)
            fail(changes[i]);
        sql[fread(sql, 1, sizeof sql - 1, f)] = 0;
        fclose(f);
        run(c, sql);
    }
    PQfinish(c);
}

static void
database_drop(const char *server, const char *name)
{
    char sql[128];
    snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", name);
    PGconn *c = PQconnectdb(server);
    run(c, sql);
    PQfinish(c);
}

/* Starts the gateway and waits for its port and its database. */
static pid_t
gateway_start(const char *folder, const char *conninfo)
{
    char path[128];
    int log[2];
    snprintf(path, sizeof path, "%s/gateway.conf", folder);
    FILE *f = fopen(path, "w");
    if (f == NULL || pipe(log) != 0)
        fail("no settings");
    fprintf(
        f,
        "http_port = 0\nledger_endpoints = 0-63=ipc://%s/ledger\n"
        "ledger_event_endpoints = 0-63=ipc://%s/events\nmarket_endpoint = ipc://%s/market\n"
        "market_ask_endpoint = ipc://%s/ask\nbridge_endpoints = ipc://%s/bridge,ipc://%s/bridge2\n"
        "redis = unix:%s/redis\ndatabase = %s\njwt_key_file = %s/keys\nhash_kib = 1024\n"
        "call_timeout_ms = 2000\ncall_silent_ms = 500\nhttp_request_ms = 700\n"
        "connections_max = %d\nlogin_lock_after = 3\nlogin_lock_max_s = 60\n"
        "account_requests_burst = 30\naccount_requests_per_second = 5\n"
        "stream_queue_bytes = 4096\n",
        folder, folder, folder, folder, folder, folder, folder, conninfo, folder, CONNECTIONS);
    fclose(f);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(log[1], STDERR_FILENO);
        close(log[0]);
        execl(GATEWAY_PROGRAM, GATEWAY_PROGRAM, "--config", path, (char *)NULL);
        _exit(127);
    }
    close(log[1]);
    static char text[65536];
    size_t length = 0;
    while (strstr(text, "event=listening") == NULL || strstr(text, "event=database_up") == NULL) {
        ssize_t n = read(log[0], text + length, sizeof text - 1 - length);
        if (n <= 0)
            fail(text);
        length += (size_t)n;
    }
    char *found = strstr(strstr(text, "event=listening"), "port=") + 5;
    found[strcspn(found, "\n")] = 0;
    setenv("GW_HTTP_TEST_PORT", found, 1);
    /* The pipe stays open: the gateway goes on logging into it, far less than it holds. */
    return pid;
}

/* Has the gateway wait for an answer of its database, which must not matter when it ends. */
static PGconn *
answers_hold(const char *conninfo)
{
    PGconn *c = PQconnectdb(conninfo);
    run(c, "BEGIN");
    run(c, "LOCK TABLE gateway.sessions");
    for (bool waits = false; !waits;) {
        PGresult *r = PQexec(c, "SELECT pg_sleep(0.01), count(*) FROM pg_locks WHERE NOT granted"
                                " AND relation = 'gateway.sessions'::regclass");
        if (PQresultStatus(r) != PGRES_TUPLES_OK)
            fail(PQerrorMessage(c));
        waits = strcmp(PQgetvalue(r, 0, 1), "0") != 0;
        PQclear(r);
    }
    return c;
}

/* Criterion's main, with the gateway around it. */
int
main(int argc, char **argv)
{
    const char *server = getenv("SCRIP_TEST_PG");
    char folder[] = "/tmp/gw_http_test.XXXXXX", name[64], conninfo[512], command[64];
    if (server == NULL) {
        fprintf(stderr, "SKIPPED: SCRIP_TEST_PG is not set: no PostgreSQL to test with\n");
        return 77;
    }
    if (mkdtemp(folder) == NULL)
        fail("no folder");
    snprintf(name, sizeof name, "gw_http_test_%d", (int)getpid());
    database_make(server, name, conninfo, sizeof conninfo);
    setenv("GW_HTTP_TEST_DATABASE", name, 1);
    setenv("GW_HTTP_TEST_FOLDER", folder, 1);
    pid_t pid = gateway_start(folder, conninfo);

    struct criterion_test_set *tests = criterion_initialize();
    int status = 0, ended = 0;
    bool runs = criterion_handle_args(argc, argv, true);
    /* One after the other: they share the gateway's connections, and one takes its database. */
    criterion_options.jobs = 1;
    if (runs)
        status = criterion_run_all_tests(tests) ? 0 : 1;
    criterion_finalize(tests);

    PGconn *held = answers_hold(conninfo);
    kill(pid, SIGTERM);
    waitpid(pid, &ended, 0);
    PQfinish(held);
    if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0) {
        fprintf(stderr, "gw_http_test: the gateway ended with status %d\n", ended);
        status = 1;
    }
    database_drop(server, name);
    static const char *const files[] = {"gateway.conf", "keys"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(command, sizeof command, "%s/%s", folder, files[i]);
        unlink(command);
    }
    rmdir(folder);
    return status;
}
