/*
 * twin.c - see twin.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/twin.h"

#include <string.h>

#include "ledger/core/account.h"
#include "ledger/core/admit.h"
#include "ledger/core/balance.h"
#include "ledger/core/cancel.h"
#include "ledger/core/contingent.h"
#include "ledger/core/events.h"
#include "ledger/core/order.h"
#include "ledger/core/place.h"

#define TWIN_PREFIX    "twin-"
#define TWIN_BALANCES  7 /* that both orders may open */
#define TWIN_PER_OWNER 4 /* of these, the account's own */

bool
twin_owns(const cid_t *cid)
{
    const char *digits = cid->text + strlen(TWIN_PREFIX);
    if (strncmp(cid->text, TWIN_PREFIX, strlen(TWIN_PREFIX)) != 0 || *digits == '\0')
        return false;
    while (*digits >= '0' && *digits <= '9')
        digits++;
    return *digits == '\0';
}

enum err
twin_judge_id(const cid_t *cid, struct refused *why)
{
    if (!twin_owns(cid))
        return OK;
    *why = refusal_of(ERR_CLIENT_ID_INVALID, "client_order_id",
                      text_of("names of this kind are those of live twins"));
    return ERR_CLIENT_ID_INVALID;
}

static cid_t
twin_id(uint64_t real_id)
{
    const text_t text = text_of(TWIN_PREFIX "%llu", (unsigned long long)real_id);
    cid_t cid = {.text = ""};
    memcpy(cid.text, text.text, strnlen(text.text, sizeof(cid.text) - 1));
    return cid;
}

/* The order that the twin would be placed by. */
static struct order_place
twin_command(const struct order_place *cmd)
{
    struct order_place own = *cmd;
    own.environment = ENVIRONMENT_NONE;
    own.reduce_only = false;
    return own;
}

static enum err
twin_admit(const struct ledger *l, const struct ledger_account *a, int64_t now_us,
           struct order_place *own)
{
    const struct admit_with with = {.now_us = now_us, .beside = 1};
    struct refused why;
    uint64_t id = (uint64_t)a->shard << 47 | (l->shards[a->shard].order_sequence + 1);
    cid_t cid = twin_id(id);
    if (order_find_client(l, account_index(l, a), &cid) != NULL)
        return ERR_CLIENT_ID_INVALID;
    enum err e = admit_order(l, a, &with, own, &why);
    return e == OK ? twin_room(l, a, own) : e;
}

void
twin_judge(const struct ledger *l, const struct ledger_account *a, int64_t now_us,
           struct order_place *cmd)
{
    struct order_place own = twin_command(cmd);
    enum err e = twin_admit(l, a, now_us, &own);
    cmd->has_twin = e == OK;
    cmd->twin_refused = e;
    if (e != OK)
        return;
    own.environment = cmd->environment;
    own.reduce_only = cmd->reduce_only;
    own.has_twin = true;
    *cmd = own;
}

static bool
balances_are_there(const struct ledger *l, const struct ledger_account *a, enum side side,
                   uint32_t base, uint32_t quote)
{
    if (balance_room(l, TWIN_BALANCES))
        return true;
    bool buys = side == SIDE_BUY;
    uint32_t account = account_index(l, a), more = 0;
    more += order_bind_opens(l, account, WALLET_exchange_spot, base, quote, buys, !buys);
    more += order_bind_opens(l, account, WALLET_spot, base, quote, buys, !buys);
    return balance_room(l, more);
}

enum err
twin_room(const struct ledger *l, const struct ledger_account *a, const struct order_place *cmd)
{
    uint32_t base = asset_find(l, cmd->base_asset), quote = asset_find(l, cmd->quote_asset);
    uint32_t pays = cmd->side == SIDE_BUY ? quote : base;
    const struct ledger_balance *b =
        pays == LEDGER_NONE ? NULL : balance_find(l, account_index(l, a), WALLET_spot, pays);
    if (!cmd->is_refused && (b == NULL || money_less(b->free, cmd->hold)))
        return ERR_FUNDS_TOO_LOW;
    if (l->limits.orders_max - l->orders_count < 2 ||
        !balances_are_there(l, a, cmd->side, base, quote) ||
        a->balances + TWIN_PER_OWNER > BALANCES_PER_ACCOUNT)
        return ERR_ORDERS_FULL;
    return OK;
}

void
twin_place(struct ledger *l, const struct turn *t, struct ledger_account *a,
           const struct order_place *cmd, struct ledger_order *real)
{
    struct order_place own = twin_command(cmd);
    own.client_order_id = twin_id(real->id);
    own.id_was_made = true;
    const struct place_names names = {real->symbol, asset_find(l, cmd->base_asset),
                                      asset_find(l, cmd->quote_asset)};
    const struct place_ties ties = {
        .twin_of = real->id, .end = cmd->is_refused ? ORDER_END_SIMULATED_REJECT : ORDER_END_NONE};
    struct ledger_order *twin = place_add(l, t, a, &own, &names, &ties);
    real->twin = twin->id;
    if (cmd->is_refused)
        event_of_order(l, twin, t->out);
    else
        contingent_start(l, t, twin, NULL);
}

void
twin_pull(struct ledger *l, const struct turn *t, const struct ledger_order *real)
{
    struct ledger_order *twin = order_find(l, real->twin);
    if (t->live && twin != NULL && order_is_open(twin))
        cancel_pull(l, t, twin);
}
