/*
 * guard.c - see guard.h. What is not known to be right is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/guard.h"

#include <string.h>

#include "base/instrument.h"

bool
guard_mode_read(const char *text, enum guard_mode *out)
{
    static const char *const NAMES[] = {
        [GUARD_PAPER] = "paper", [GUARD_TESTNET] = "testnet", [GUARD_LIVE] = "live"};
    for (int mode = GUARD_PAPER; mode <= GUARD_LIVE; mode++)
        if (strcmp(text, NAMES[mode]) == 0) {
            *out = (enum guard_mode)mode;
            return true;
        }
    return false;
}

bool
guard_mode_allows(enum guard_mode mode, enum environment e)
{
    if (e == ENVIRONMENT_testnet)
        return mode == GUARD_TESTNET || mode == GUARD_LIVE;
    return e == ENVIRONMENT_live && mode == GUARD_LIVE;
}

/* ---- Orders ------------------------------------------------------------------------------- */

static bool
is_environment(enum environment e)
{
    return e == ENVIRONMENT_testnet || e == ENVIRONMENT_live;
}

/* The message by itself: a REAL order of this account, in a symbol of this market. */
static bool
is_sound(const struct bridge_place *m)
{
    return m->account_id != 0 && m->user_id != 0 && m->order.account_id == m->account_id &&
           m->order.mode == TRADING_MODE_REAL && is_environment(m->order.environment) &&
           (m->trading_type == TRADING_TYPE_spot || m->trading_type == TRADING_TYPE_futures) &&
           instrument_fits(m->trading_type, m->order.symbol);
}

enum err
guard_order(enum guard_mode mode, const struct bridge_place *m, const struct guard_binding *b,
            const struct guard_key *k)
{
    if (!is_sound(m))
        return ERR_ENVIRONMENT_MISMATCH;
    if (!guard_mode_allows(mode, m->order.environment))
        return ERR_ENVIRONMENT_NOT_ALLOWED;
    if (b == NULL || !b->is_known || b->account_id != m->account_id || b->user_id != m->user_id ||
        b->trading_type != m->trading_type || !is_environment(b->environment))
        return ERR_NOT_BOUND;
    if (b->environment != m->order.environment)
        return ERR_ENVIRONMENT_MISMATCH;
    if (k == NULL || !k->is_known || k->user_id != m->user_id ||
        k->trading_type != m->trading_type || k->environment != m->order.environment)
        return ERR_CREDENTIALS_MISSING;
    return OK;
}

/* ---- URLs --------------------------------------------------------------------------------- */

#define URL_HOST_BYTES 254u

struct url {
    bool is_secure;
    char host[URL_HOST_BYTES]; /* small letters, without a dot at its end; "[::1]" as it is */
};

static char
small(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool
begins_with(const char *text, const char *head)
{
    for (; *head != '\0'; text++, head++)
        if (small(*text) != *head)
            return false;
    return true;
}

static bool
ends_with(const char *text, const char *tail)
{
    size_t length = strlen(text), end = strlen(tail);
    return length >= end && strcmp(text + length - end, tail) == 0;
}

/* Behind the scheme. */
static const char *
scheme_read(const char *url, bool *is_secure)
{
    static const struct {
        const char *head;
        bool is_secure;
    } ALL[] = {{"https://", true}, {"wss://", true}, {"http://", false}, {"ws://", false}};
    for (size_t i = 0; i < sizeof(ALL) / sizeof(ALL[0]); i++)
        if (begins_with(url, ALL[i].head)) {
            *is_secure = ALL[i].is_secure;
            return url + strlen(ALL[i].head);
        }
    return NULL;
}

static bool
is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* ":" and 1 to 65535, or nothing. */
static bool
port_read(const char **at)
{
    uint32_t port = 0;
    if (**at != ':')
        return true;
    for ((*at)++; **at >= '0' && **at <= '9'; (*at)++) {
        port = port * 10 + (uint32_t)(**at - '0');
        if (port > 65535)
            return false;
    }
    return port > 0;
}

/* Labels that are not empty, but for the root's dot at the end, which is left out. */
static bool
host_read(const char **at, char out[URL_HOST_BYTES])
{
    size_t length = 0;
    bool is_address = **at == '[';
    for (; **at != '\0' && **at != '/' && (is_address || **at != ':'); (*at)++) {
        char c = small(**at);
        bool fits = is_address ? strchr("[]:.abcdef0123456789", c) != NULL : is_host_char(c);
        if (!fits || length + 1 == URL_HOST_BYTES)
            return false;
        if (c == '.' && (length == 0 || out[length - 1] == '.'))
            return false;
        out[length++] = c;
        if (c == ']') {
            (*at)++;
            break;
        }
    }
    if (!is_address && length > 0 && out[length - 1] == '.')
        length--;
    out[length] = '\0';
    return length > 0 && (!is_address || out[length - 1] == ']');
}

/* No user, no query, no fragment, nothing encoded, no blanks, no backslashes: none of what one
 * reader takes for the host and another for something else. */
static bool
url_read(const char *text, struct url *out)
{
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || strchr("@?#%\\\"'<>^`{|}", *c) != NULL)
            return false;
    const char *at = scheme_read(text, &out->is_secure);
    if (at == NULL || !host_read(&at, out->host) || !port_read(&at))
        return false;
    return *at == '\0' || *at == '/';
}

enum place { PLACE_STAND_IN, PLACE_TESTNET, PLACE_LIVE, PLACE_REFUSED };

/* The host itself, or one below it. */
static bool
is_within(const char *host, const char *zone)
{
    size_t length = strlen(host), end = strlen(zone);
    return ends_with(host, zone) && (length == end || host[length - end - 1] == '.');
}

/* One more label before the zone, which begins so. */
static bool
is_named(const char *host, const char *head, const char *zone)
{
    const char *dot = strchr(host, '.');
    return begins_with(host, head) && dot != NULL && strcmp(dot + 1, zone) == 0;
}

static bool
contains(const char *text, const char *part)
{
    for (; *text != '\0'; text++)
        if (begins_with(text, part))
            return true;
    return false;
}

/* Binance's zones: its demo is below the live one, spot's testnet below binance.vision. What is in
 * its zones and not known to be a test is live; what says it is a test in an unknown way is
 * refused, and so is what has the exchange's name and is not the exchange's. */
static enum place
place_of(const char *host)
{
    bool has_test = contains(host, "testnet") || contains(host, "demo");
    if (is_within(host, "binancefuture.com") || is_within(host, "testnet.binance.vision") ||
        is_named(host, "demo-", "binance.com"))
        return PLACE_TESTNET;
    if (is_within(host, "binance.com") || is_within(host, "binance.vision"))
        return has_test ? PLACE_REFUSED : PLACE_LIVE;
    return contains(host, "binance") ? PLACE_REFUSED : PLACE_STAND_IN;
}

bool
guard_url(enum environment e, const char *url)
{
    struct url u;
    if (!is_environment(e))
        return false;
    if (url[0] == '\0')
        return true;
    if (!url_read(url, &u))
        return false;
    enum place place = place_of(u.host);
    if (place == PLACE_STAND_IN)
        return true;
    return u.is_secure && place == (e == ENVIRONMENT_live ? PLACE_LIVE : PLACE_TESTNET);
}
