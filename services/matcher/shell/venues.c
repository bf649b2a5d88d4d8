/*
 * venues.c - see venues.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/shell/venues.h"

#include <string.h>

static const char *const modes[] = {
    [VENUE_FIRST] = "first", [VENUE_PARTICIPANT] = "participant", [VENUE_OFF] = "off"};

static enum err
mode_of(const char *text, size_t length, enum venue *out)
{
    for (uint32_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strlen(modes[i]) == length && memcmp(modes[i], text, length) == 0) {
            *out = (enum venue)i;
            return OK;
        }
    return ERR_CONFIG_BAD_VALUE;
}

enum err
venues_set(struct match *m, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, ","), name = strcspn(text, "=,");
        code_t symbol;
        enum venue venue;
        if (name == 0 || name >= length || code_from(text, name, &symbol) != OK ||
            mode_of(text + name + 1, length - name - 1, &venue) != OK)
            return ERR_CONFIG_BAD_VALUE;
        if (m != NULL)
            match_set_venue(m, symbol, venue);
        text += length;
        text += *text == ',';
    }
    return OK;
}
