/*
 * policy.c - settings to limits, fees and shards.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/policy.h"

#include <stdlib.h>
#include <string.h>

enum err
policy_limits(const struct ledger_config *c, struct ledger_limits *out, text_t *why)
{
    if (c->orders_high > c->orders_max) {
        *why = text_of("orders_high is above orders_max");
        return ERR_CONFIG_BAD_VALUE;
    }
    *out = (struct ledger_limits){
        .accounts_max = (uint32_t)c->accounts_max,
        .balances_max = (uint32_t)c->balances_max,
        .orders_max = (uint32_t)c->orders_max,
        .orders_high = (uint32_t)c->orders_high,
        .assets_max = (uint32_t)c->assets_max,
        .symbols_max = (uint32_t)c->symbols_max,
        .fills_max = (uint32_t)c->fills_max,
        .changes_max = (uint32_t)c->changes_max,
        .stories_max = (uint32_t)c->stories_max,
        .events_max = (uint32_t)c->events_max,
        .waiters_max = (uint32_t)c->waiters_max,
        .keep_us = c->keep_seconds * 1000000,
    };
    return OK;
}

/* One decimal up to the next separator; moves *at behind it. */
static bool
read_decimal(const char **at, char separator, int64_t *out)
{
    size_t length = strcspn(*at, ":,");
    if (decimal_read(*at, length, out) != OK || *out < 0 || (*at)[length] != separator)
        return false;
    *at += length + (separator != '\0' ? 1 : 0);
    return true;
}

static bool
read_tier(const char **at, struct ledger_tier *tier)
{
    bool is_last = strchr(*at, ',') == NULL;
    return read_decimal(at, ':', &tier->maker_fee_rate.v) &&
           read_decimal(at, ':', &tier->taker_fee_rate.v) &&
           read_decimal(at, ':', &tier->balance_min.v) &&
           read_decimal(at, is_last ? '\0' : ',', &tier->balance_max.v) &&
           tier->maker_fee_rate.v < DECIMAL_ONE && tier->taker_fee_rate.v < DECIMAL_ONE &&
           tier->balance_min.v <= tier->balance_max.v;
}

static bool
read_mode(const char *text, enum ledger_trading *out)
{
    static const char *const names[] = {[LEDGER_TRADES_PAPER] = "paper",
                                        [LEDGER_TRADES_TESTNET] = "testnet",
                                        [LEDGER_TRADES_LIVE] = "live"};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum ledger_trading)i;
            return true;
        }
    return false;
}

enum err
policy_read(const struct ledger_config *c, struct ledger_policy *out, text_t *why)
{
    *out = (struct ledger_policy){
        .spot_opening = {c->spot_balance},
        .futures_opening = {c->futures_balance},
        .tier_opening = (uint32_t)c->tier_opening,
        .slippage_max = {c->slippage_max},
        .orders_per_account_max = (uint32_t)c->orders_per_account_max,
        .bridge_send_us = c->bridge_send_ms * 1000,
    };
    if (!read_mode(c->trading_mode, &out->trading_mode)) {
        *why = text_of("trading_mode: \"%s\" is not paper, testnet or live", c->trading_mode);
        return ERR_CONFIG_BAD_VALUE;
    }
    out->fill_preset = (enum fill_preset)msg_enum_by_name(MSG_ENUM_fill_preset, c->fill_preset);
    if (out->fill_preset == FILL_PRESET_NONE || out->fill_preset == FILL_PRESET_custom) {
        *why = text_of("fill_preset: \"%s\" is not optimistic, realistic or harsh", c->fill_preset);
        return ERR_CONFIG_BAD_VALUE;
    }
    const char *at = c->tiers;
    do {
        if (out->tiers_count == LEDGER_TIERS_MAX ||
            !read_tier(&at, &out->tiers[out->tiers_count])) {
            *why = text_of("tiers: tier %u is not maker:taker:least:largest", out->tiers_count);
            return ERR_CONFIG_BAD_VALUE;
        }
        out->tiers_count++;
    } while (*at != '\0');
    if (out->tier_opening >= out->tiers_count) {
        *why = text_of("tier_opening: there are %u tiers", out->tiers_count);
        return ERR_CONFIG_BAD_VALUE;
    }
    return OK;
}

static bool
read_shard(const char **at, unsigned long *out)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    *out = strtoul(*at, &end, 10);
    *at = end;
    return *out < LEDGER_SHARDS;
}

enum err
policy_shards(const char *text, bool owned[LEDGER_SHARDS], text_t *why)
{
    memset(owned, 0, LEDGER_SHARDS * sizeof owned[0]);
    for (const char *at = text;; at++) {
        unsigned long first, last;
        bool good = read_shard(&at, &first);
        last = first;
        if (good && *at == '-') {
            at++;
            good = read_shard(&at, &last);
        }
        if (!good || last < first || (*at != ',' && *at != '\0')) {
            *why = text_of("shards: \"%s\" is not like 0-15,32", text);
            return ERR_CONFIG_BAD_VALUE;
        }
        for (unsigned long i = first; i <= last; i++)
            owned[i] = true;
        if (*at == '\0')
            return OK;
    }
}
