/*
 * endpoints.h - the addresses of several that do the same, as settings tell them:
 * "ENDPOINT,ENDPOINT".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_ENDPOINTS_H
#define SCRIP_HOST_ENDPOINTS_H

#include <stdbool.h>

#define ENDPOINT_BYTES 128 /* of one, with its end */

/* Calls `take` for each, in their order; "" has none. False when one is empty, too long, or
 * refused. */
bool endpoints_read(const char *text, void *arg, bool (*take)(void *arg, const char *endpoint));

#endif
