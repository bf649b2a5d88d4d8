/*
 * endpoints.c - see endpoints.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/endpoints.h"

#include <stddef.h>
#include <string.h>

bool
endpoints_read(const char *text, void *arg, bool (*take)(void *arg, const char *endpoint))
{
    for (const char *at = text[0] == '\0' ? NULL : text; at != NULL;) {
        char endpoint[ENDPOINT_BYTES];
        size_t length = strcspn(at, ",");
        if (length == 0 || length >= sizeof endpoint)
            return false;
        memcpy(endpoint, at, length);
        endpoint[length] = '\0';
        if (!take(arg, endpoint))
            return false;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return true;
}
