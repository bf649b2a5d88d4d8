/*
 * reply_account.c - balances and positions, of replies and of events; see reply.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/reply_account.h"

#include <string.h>

#include "base/instrument.h"

static enum balance_kind
balance_make(struct slice name, struct slice free, struct slice locked,
             struct exchange_balance *out)
{
    int64_t held = 0;
    enum amount_kind a = read_any_amount(free, &out->free.v);
    enum amount_kind b = is_there(locked) ? read_any_amount(locked, &held) : AMOUNT_FINE;
    if (name.kind != 's' || name.length == 0 || a == AMOUNT_REFUSED || b == AMOUNT_REFUSED)
        return BALANCE_REFUSED;
    out->locked.v = held;
    if (!read_code(name, &out->asset) || a != AMOUNT_FINE || b != AMOUNT_FINE)
        return BALANCE_LEFT_OUT;
    return BALANCE_FINE;
}

/* ---- Adding to an account ----------------------------------------------------------------- */

bool
account_balance(struct reply_account *to, struct slice name, struct slice free, struct slice locked,
                bool even_zero)
{
    struct exchange_balance b = {0};
    switch (balance_make(name, free, locked, &b)) {
    case BALANCE_REFUSED:
        return false;
    case BALANCE_LEFT_OUT:
        to->left_out++;
        return true;
    case BALANCE_FINE:
        break;
    }
    if (b.free.v == 0 && b.locked.v == 0 && !even_zero)
        return true;
    if (to->balances_count == to->balances_max)
        return false;
    to->balances[to->balances_count++] = b;
    return true;
}

bool
account_position(struct reply_account *to, struct slice symbol, struct slice quantity,
                 struct slice entry, bool even_zero)
{
    struct exchange_position p = {0};
    code_t name;
    if (!read_signed(quantity, &p.quantity.v) ||
        (is_there(entry) && !read_average(entry, &p.entry_price.v)) || symbol.kind != 's')
        return false;
    if (p.quantity.v == 0 && !even_zero)
        return true;
    if (!read_code(symbol, &name) ||
        !instrument_from_exchange(TRADING_TYPE_futures, name, &p.symbol)) {
        to->left_out++;
        return true;
    }
    for (uint32_t i = 0; i < to->positions_count; i++) {
        struct exchange_position *same = &to->positions[i];
        if (code_same(same->symbol, p.symbol)) {
            same->quantity.v += p.quantity.v; /* two sides: both below a quarter of int64 */
            return same->quantity.v <= AMOUNT_MAX && same->quantity.v >= -AMOUNT_MAX;
        }
    }
    if (to->positions_count == to->positions_max)
        return false;
    to->positions[to->positions_count++] = p;
    return true;
}

void
account_clear(struct reply_account *a)
{
    a->can_trade = a->can_withdraw = false;
    a->time_us = 0;
    a->balances_count = a->positions_count = a->left_out = 0;
}

/* ---- Replies ------------------------------------------------------------------------------ */

/* 0 is "not told". */
static bool
newer_time(struct slice time, int64_t *newest)
{
    int64_t time_us;
    if (!is_there(time) || slice_is(time, "0"))
        return true;
    if (!read_time(time, &time_us))
        return false;
    if (time_us > *newest)
        *newest = time_us;
    return true;
}

static bool
spot_balances(struct slice list, struct reply_account *out)
{
    struct slice item, asset, free, locked;
    const struct member members[] = {{"asset", &asset}, {"free", &free}, {"locked", &locked}};
    struct items it;
    if (!items_begin(&it, list))
        return false;
    while (items_next(&it, &item))
        if (!members_read(item, MEMBERS(members)) || !is_there(locked) ||
            !account_balance(out, asset, free, locked, false))
            return false;
    return it.is_whole;
}

bool
reply_rights(const char *json, size_t length, struct reply_rights *out)
{
    struct slice withdraw, spot, futures;
    const struct member members[] = {{"enableWithdrawals", &withdraw},
                                     {"enableSpotAndMarginTrading", &spot},
                                     {"enableFutures", &futures}};
    *out = (struct reply_rights){0};
    if (!text_members(json, length, MEMBERS(members)) || withdraw.kind != 'w' || spot.kind != 'w' ||
        futures.kind != 'w')
        return false;
    *out = (struct reply_rights){read_true(withdraw), read_true(spot), read_true(futures)};
    return true;
}

static bool
usdm_balances(struct slice list, struct reply_account *out)
{
    struct slice item, asset, balance, time;
    const struct member members[] = {
        {"asset", &asset}, {"walletBalance", &balance}, {"updateTime", &time}};
    struct items it;
    if (!items_begin(&it, list))
        return false;
    while (items_next(&it, &item))
        if (!members_read(item, MEMBERS(members)) || !newer_time(time, &out->time_us) ||
            !account_balance(out, asset, balance, (struct slice){0}, false))
            return false;
    return it.is_whole;
}

static bool
usdm_positions(struct slice list, struct reply_account *out)
{
    struct slice item, symbol, quantity, entry, time;
    const struct member members[] = {{"symbol", &symbol},
                                     {"positionAmt", &quantity},
                                     {"entryPrice", &entry},
                                     {"updateTime", &time}};
    struct items it;
    if (!items_begin(&it, list))
        return false;
    while (items_next(&it, &item))
        if (!members_read(item, MEMBERS(members)) || !newer_time(time, &out->time_us) ||
            !account_position(out, symbol, quantity, entry, false))
            return false;
    return it.is_whole;
}

bool
reply_account(enum trading_type market, const char *json, size_t length, struct reply_account *out)
{
    struct slice trade, withdraw, time, balances, assets, positions;
    const struct member members[] = {{"canTrade", &trade},  {"canWithdraw", &withdraw},
                                     {"updateTime", &time}, {"balances", &balances},
                                     {"assets", &assets},   {"positions", &positions}};
    bool spot = market == TRADING_TYPE_spot;
    account_clear(out);
    if (!text_members(json, length, MEMBERS(members)) || !newer_time(time, &out->time_us))
        return false;
    out->can_trade = read_true(trade);
    out->can_withdraw = spot && read_true(withdraw);
    if (spot)
        return spot_balances(balances, out);
    return usdm_balances(assets, out) && usdm_positions(positions, out);
}
