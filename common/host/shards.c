/*
 * shards.c - see shards.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/shards.h"

#include <stdio.h>
#include <string.h>

#define ENDPOINT_BYTES 256

bool
shards_read(const char *text, void *arg,
            bool (*take)(void *arg, unsigned from, unsigned to, const char *endpoint))
{
    while (*text != 0) {
        char part[ENDPOINT_BYTES], endpoint[ENDPOINT_BYTES];
        unsigned from, to;
        size_t length = strcspn(text, ",");
        if (length >= sizeof part)
            return false;
        memcpy(part, text, length);
        part[length] = 0;
        if (sscanf(part, "%u-%u=%255s", &from, &to, endpoint) != 3 || from > to || to >= SHARDS)
            return false;
        if (!take(arg, from, to, endpoint))
            return false;
        text += length + (text[length] == ',');
    }
    return true;
}
