/*
 * fetch.h - HTTP requests to elsewhere, over libcurl's multi interface on the loop.
 *
 * Connections are kept and used again. A request is sent once: whether it may be sent again is the
 * caller's to know. Bodies are bounded. TLS is always verified, against `ca_file` or the system's
 * certificates. Redirects are not followed, and a proxy of the environment is not used.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_FETCH_H
#define SCRIP_HOST_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/loop.h"

struct fetch;

struct fetch_options {
    struct loop *loop;
    const char *ca_file;    /* NULL or "" = the system's; copied */
    uint32_t in_flight_max; /* requests at once; further ones are refused */
    size_t body_bytes_max;  /* of a reply, unpacked; a longer one counts as none */
    int64_t timeout_ms;     /* of a whole request, where it names none */
};

/* Lent. */
struct fetch_reply {
    int status;       /* of HTTP; 0 = no whole reply came, and `why` says what happened */
    const char *why;  /* one sentence without secrets; "" when there is a status */
    bool was_sent;    /* without a status: whether the exchange may have read the request */
    bool timed_out;   /* without a status: the time was over */
    const char *body; /* a NUL stands behind it */
    size_t length;
    int64_t retry_after_s;  /* of Retry-After; -1 = absent */
    int64_t used_weight_1m; /* of X-MBX-USED-WEIGHT-1M; -1 = absent */
    int64_t order_count_10s, order_count_1m,
        order_count_1d; /* of X-MBX-ORDER-COUNT-*; -1 = absent */
    int64_t date_us;    /* of Date, in whole seconds: the other side's clock; -1 = absent */
};

/* All lent for the call. */
struct fetch_request {
    const char *method; /* NULL = GET */
    const char *url;
    const char *const *headers; /* "Name: value"; NULL ends them; NULL = none */
    const char *body;           /* NULL = none */
    size_t body_length;
    int64_t timeout_ms; /* 0 = the options' */
    bool is_short;      /* the reply will be: that it may be packed is not said */
    void *arg;
    void (*on_reply)(void *arg, const struct fetch_reply *r);
};

struct fetch *fetch_open(const struct fetch_options *o);
/* What is under way is dropped without a word. Not from within on_reply. */
void fetch_close(struct fetch **f);
/* The request's number, or 0 when in_flight_max are under way. The reply comes in a later turn. */
uint64_t fetch_send(struct fetch *f, const struct fetch_request *r);
/* No reply will come. Harmless for a request that is over. */
void fetch_drop(struct fetch *f, uint64_t request);

#endif
