/*
 * service.c - the life of a process: settings, log, loop, probe, start, run, drain, stop.
 *
 * The struct of a service's own settings and the one of host.def lie in one block, so that one
 * pass over all sources reads both and refuses what neither knows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/service.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/code.h"
#include "host/host_config.h"
#include "host/log.h"
#include "host/notify.h"
#include "host/probe.h"
#include "wire/bus.h"

#define CONFIG_DEF    "host/host.def"
#define CONFIG_STRUCT host_config
#define CONFIG_ROWS   host_rows
#include "host/config_rows.h"

#define TAKE_OVER_MS 20

#define HOST_ROW_COUNT (sizeof host_rows / sizeof host_rows[0])

struct run {
    const struct service *service;
    struct host host;
    char name[CODE_BYTES];
    void *config;            /* struct host_config, then the service's own */
    struct config_row *rows; /* of both, sorted by key */
    size_t row_count;
    void *state;
    struct probe *probe;
    struct loop_timer *drain_limit;
    struct loop_timer *take_over; /* while it is to replace another process */
    ev_signal on_term, on_int;
    bool started, draining;
};

static const struct host_config *
run_host_config(const struct run *r)
{
    return r->config;
}

static void *
run_own_config(const struct run *r)
{
    return (char *)r->config + sizeof(struct host_config);
}

static int
row_order(const void *a, const void *b)
{
    const struct config_row *x = a, *y = b;
    return strcmp(x->key, y->key);
}

static enum err
run_configure(struct run *r, int argc, char **argv)
{
    const struct service *s = r->service;
    r->row_count = HOST_ROW_COUNT + s->row_count;
    r->rows = calloc(r->row_count, sizeof *r->rows);
    r->config = calloc(1, sizeof(struct host_config) + s->config_size);
    CHECK(r->rows != NULL && r->config != NULL);
    memcpy(r->rows, host_rows, sizeof host_rows);
    for (size_t i = 0; i < s->row_count; i++) {
        r->rows[HOST_ROW_COUNT + i] = s->rows[i];
        r->rows[HOST_ROW_COUNT + i].offset += sizeof(struct host_config);
    }
    qsort(r->rows, r->row_count, sizeof *r->rows, row_order);
    return config_read(s->name, r->rows, r->row_count, r->config, argc, argv, stderr);
}

/* log_level and name have rules that a row cannot tell. */
static enum err
run_identify(struct run *r)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    const struct host_config *c = run_host_config(r);
    int level = -1;
    for (int i = 0; i < 4; i++)
        if (strcmp(c->log_level, levels[i]) == 0)
            level = i;
    if (level < 0) {
        fprintf(stderr,
                "scrip-%s: log_level = %s is refused: it takes debug, info, warn or error\n",
                r->service->name, c->log_level);
        return ERR_CONFIG_BAD_VALUE;
    }
    if (strlen(c->name) >= CODE_BYTES || strpbrk(c->name, " \t\"=") != NULL) {
        fprintf(stderr,
                "scrip-%s: name = %s is refused: it takes at most %d characters, no blanks\n",
                r->service->name, c->name, CODE_BYTES - 1);
        return ERR_CONFIG_BAD_VALUE;
    }
    if (c->name[0] != '\0')
        snprintf(r->name, sizeof r->name, "%s", c->name);
    else
        snprintf(r->name, sizeof r->name, "%.20s-0", r->service->name);
    log_open(r->service->name, (enum log_level)level);
    return OK;
}

static const char *
run_not_ready(void *arg)
{
    struct run *r = arg;
    if (r->draining)
        return "draining";
    if (!r->started)
        return "starting";
    return r->service->not_ready != NULL ? r->service->not_ready(r->state) : NULL;
}

static void
on_drain_limit(void *arg)
{
    struct run *r = arg;
    log_line(LOG_WARN, "drain_ended", "reason=%s limit_ms=%ld", "it took too long",
             (long)run_host_config(r)->drain_ms);
    loop_stop(r->host.loop);
}

static void
on_signal(struct ev_loop *ev, ev_signal *w, int events)
{
    (void)ev, (void)events;
    struct run *r = w->data;
    if (r->draining || r->service->drain == NULL) {
        loop_stop(r->host.loop); /* nothing to drain, or asked for a second time */
        return;
    }
    r->draining = true;
    log_line(LOG_INFO, "draining", "signal=%d", w->signum);
    r->drain_limit =
        loop_timer_new(r->host.loop, run_host_config(r)->drain_ms, 0, on_drain_limit, r);
    r->service->drain(r->state);
}

static void
run_watch_signals(struct run *r)
{
    signal(SIGPIPE, SIG_IGN);
    ev_signal_init(&r->on_term, on_signal, SIGTERM);
    ev_signal_init(&r->on_int, on_signal, SIGINT);
    r->on_term.data = r->on_int.data = r;
    ev_signal_start(loop_ev(r->host.loop), &r->on_term);
    ev_signal_start(loop_ev(r->host.loop), &r->on_int);
}

static void
run_log_config(const struct run *r)
{
    if (!log_on(LOG_DEBUG))
        return;
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    CHECK(f != NULL);
    config_print(r->rows, r->row_count, r->config, f);
    fclose(f);
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        log_line(LOG_DEBUG, "setting", "line=%.*s", (int)strcspn(line, "\n"), line);
    free(text);
}

static enum err
run_open_probe(struct run *r)
{
    const struct host_config *c = run_host_config(r);
    if (c->probe_endpoint[0] == '\0' || r->probe != NULL)
        return OK;
    return probe_open(r->host.loop, c->probe_endpoint, run_not_ready, r, &r->probe);
}

/* Its predecessor is told to end when this one is ready, and leaves it the probe's address. */
static void
on_take_over(void *arg)
{
    struct run *r = arg;
    if (notify_is_wanted() && run_not_ready(r) == NULL)
        notify_ready();
    if (r->probe == NULL && probe_is_free(run_host_config(r)->probe_endpoint))
        (void)run_open_probe(r);
    if (!notify_is_wanted() && r->probe != NULL)
        loop_timer_stop(r->take_over);
}

static enum err
run_start(struct run *r)
{
    const struct host_config *c = run_host_config(r);
    bus_setup(&(struct bus_limits){.io_threads = (int)c->bus_io_threads,
                                   .arena_bytes = (size_t)c->bus_arena_bytes,
                                   .frame_bytes = (size_t)c->bus_frame_bytes,
                                   .frame_messages = (uint32_t)c->bus_frame_messages});
    r->host.loop = loop_new();
    r->host.service = r->service->name;
    r->host.name = r->name;
    run_watch_signals(r);
    if (notify_is_wanted())
        r->take_over = loop_timer_new(r->host.loop, TAKE_OVER_MS, TAKE_OVER_MS, on_take_over, r);
    enum err e = notify_is_wanted() ? OK : run_open_probe(r);
    if (e != OK)
        return e;
    e = r->service->start(&r->host, run_own_config(r), &r->state);
    if (e != OK)
        log_line(LOG_ERROR, "start_failed", "error=%s reason=%s", err_name(e), err_sentence(e));
    r->started = e == OK;
    return e;
}

static void
run_end(struct run *r)
{
    /* After a failed start nobody knows which sockets are open: the system takes them back. */
    if (r->started) {
        if (r->service->stop != NULL)
            r->service->stop(r->state);
        probe_close(&r->probe);
        loop_timer_end(&r->drain_limit);
        loop_timer_end(&r->take_over);
        ev_signal_stop(loop_ev(r->host.loop), &r->on_term);
        ev_signal_stop(loop_ev(r->host.loop), &r->on_int);
        bus_teardown();
        loop_destroy(&r->host.loop);
    }
    free(r->config);
    free(r->rows);
}

/* Before anything is read that is secret. */
static void
run_close_memory(void)
{
    CHECK(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0);
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
}

int
service_run(const struct service *s, int argc, char **argv)
{
    struct run r = {.service = s};
    int status = 2;
    if (s->keeps_secrets)
        run_close_memory();
    if (run_configure(&r, argc, argv) == OK && run_identify(&r) == OK) {
        status = 1;
        if (run_start(&r) == OK) {
            log_line(LOG_INFO, "started", "name=%s version=%s pid=%d", r.name, SCRIP_VERSION,
                     (int)getpid());
            run_log_config(&r);
            loop_run(r.host.loop);
            status = 0;
        }
    }
    run_end(&r);
    if (status == 0)
        log_line(LOG_INFO, "stopped", "pid=%d", (int)getpid());
    return status;
}
