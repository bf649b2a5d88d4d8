/*
 * probe.h - the small HTTP server that operators and Kubernetes ask: /healthz, /readyz, /metrics.
 *
 * libwebsockets on the process's own loop, in a context of its own, with tight limits. It answers
 * GET only and holds no state; whoever can reach its address may read all of it, so bind it to
 * loopback or to the cluster's network.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_PROBE_H
#define SCRIP_HOST_PROBE_H

#include "base/err.h"
#include "host/loop.h"

struct probe;

/* `endpoint` is "address:port". `not_ready` gives NULL or the reason. FIELD_TYPE when the endpoint
 * is not one, FILE_UNREADABLE when it cannot be bound; both are logged. */
MUST_USE enum err probe_open(struct loop *l, const char *endpoint,
                             const char *(*not_ready)(void *arg), void *arg, struct probe **out);
/* Whether its address can be bound now. */
bool probe_is_free(const char *endpoint);
void probe_close(struct probe **p);

#endif
