/*
 * instrument.c - see instrument.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/instrument.h"

#include <string.h>

#include "base/code.h"

bool
instrument_fits(enum trading_type market, code_t name)
{
    bool has_mark = strchr(name.text, '_') != NULL;
    return !code_empty(name) && has_mark == (market == TRADING_TYPE_futures);
}

bool
instrument_from_exchange(enum trading_type market, code_t exchange, code_t *out)
{
    size_t length = strlen(exchange.text), mark = strlen(INSTRUMENT_PERPETUAL);
    *out = exchange;
    if (market != TRADING_TYPE_futures || length == 0 || strchr(exchange.text, '_') != NULL)
        return true;
    if (length + mark >= sizeof(out->text))
        return false;
    memcpy(out->text + length, INSTRUMENT_PERPETUAL, mark);
    return true;
}

code_t
instrument_at_exchange(code_t name)
{
    size_t length = strlen(name.text), mark = strlen(INSTRUMENT_PERPETUAL);
    if (length > mark && strcmp(name.text + length - mark, INSTRUMENT_PERPETUAL) == 0)
        memset(name.text + length - mark, 0, mark);
    return name;
}

code_t
instrument_small(code_t exchange)
{
    for (char *c = exchange.text; *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    return exchange;
}

code_t
instrument_large(code_t exchange)
{
    for (char *c = exchange.text; *c != '\0'; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    return exchange;
}
