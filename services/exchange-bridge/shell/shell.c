/*
 * shell.c - see shell.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/shell.h"

struct refused
shell_refusal(const struct caller_reply *r)
{
    struct refused why = {.error = r->ruling.error == OK ? ERR_EXCHANGE_FAILED : r->ruling.error,
                          .detail = r->message};
    if (err_http(why.error) == 503)
        why.retry_after_seconds = r->retry_after_s == 0 ? 1 : r->retry_after_s;
    return why;
}

bool
shell_keeps(const struct shell *s, enum environment e)
{
    return e == ENVIRONMENT_testnet || (e == ENVIRONMENT_live && s->mode != GUARD_TESTNET);
}

enum environment
shell_environment(const struct shell *s)
{
    return s->mode == GUARD_TESTNET ? ENVIRONMENT_testnet : ENVIRONMENT_live;
}

bool
shell_reading_key(const struct shell *s, uint64_t user_id, enum trading_type type,
                  struct key_view *out)
{
    enum environment own = shell_environment(s);
    enum environment other = own == ENVIRONMENT_live ? ENVIRONMENT_testnet : ENVIRONMENT_live;
    return keys_find(s->keys, user_id, type, own, out) ||
           (shell_keeps(s, other) && keys_find(s->keys, user_id, type, other, out));
}
