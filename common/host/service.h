/*
 * service.h - what every Scrip process does the same way: configuration, loop, signals, probe.
 *
 * service_run() reads the configuration, opens the log, ignores SIGPIPE, turns SIGTERM and SIGINT
 * into a drain, serves /healthz, /readyz and /metrics on the probe endpoint, and runs the loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_SERVICE_H
#define SCRIP_HOST_SERVICE_H

#include "host/config.h"
#include "host/loop.h"

struct host {
    struct loop *loop;
    const char *service; /* "ledger" */
    const char *name;    /* this process: "ledger-0"; unique in the deployment */
};

struct service {
    const char *name;
    const struct config_row *rows; /* own rows; the common ones are added */
    size_t row_count;
    size_t config_size;
    /* It holds what nobody else may read: no core is dumped, and other processes of its user can
     * neither trace it nor read its memory. */
    bool keeps_secrets;
    /* Opens sockets and begins to load. Gives its state, or logs why not. */
    enum err (*start)(struct host *h, const void *config, void **state);
    /* NULL when it serves; otherwise why not, for /readyz and `./scrip status`. */
    const char *(*not_ready)(void *state);
    /* Stop taking work; finish what was taken; then call loop_stop(). NULL = stop at once. */
    void (*drain)(void *state);
    /* Frees; after the loop has ended. */
    void (*stop)(void *state);
};

/* The exit status for main(): 0 after a drain, 1 when it could not start, 2 bad configuration. */
int service_run(const struct service *s, int argc, char **argv);

#endif
