/*
 * lookup.h - the addresses of a host name, looked up on a thread of its own.
 *
 * The C library's look-up waits for seconds when name service is away; the loop never does. An
 * address in digits needs no look-up and is given back as it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_LOOKUP_H
#define SCRIP_HOST_LOOKUP_H

#include <arpa/inet.h>
#include <stdint.h>

#include "host/loop.h"

#define LOOKUP_ADDRESSES_MAX 8u
#define LOOKUP_HOST_BYTES    256u

struct lookup;

/* In the order in which they are best tried. */
struct lookup_found {
    uint32_t count; /* 0 = the name is not known, or name service is away */
    char address[LOOKUP_ADDRESSES_MAX][INET6_ADDRSTRLEN];
};

/* `host` is shorter than LOOKUP_HOST_BYTES. on_found comes in a later turn; the look-up is gone
 * when it is called. */
struct lookup *lookup_start(struct loop *l, const char *host,
                            void (*on_found)(void *arg, const struct lookup_found *found),
                            void *arg);
/* No answer is wanted any more. */
void lookup_drop(struct lookup **k);

#endif
