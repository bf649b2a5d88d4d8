/*
 * reply.c - writing answers into the outbox.
 *
 * Replies are read from memory as it stands after the command at work; the shell holds them back
 * until that is committed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/reply.h"

#include <string.h>

#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/order.h"

struct refused
refusal(enum err why)
{
    return (struct refused){.error = why, .retry_after_seconds = err_again(why) ? 1 : 0};
}

struct refused
refusal_of(enum err why, const char *field, text_t detail)
{
    struct refused said = refusal(why);
    said.field = code_of(field);
    said.detail = detail;
    return said;
}

void
reply_refused(struct outbox *out, struct asker who, const struct refused *why)
{
    if (who.peer != 0)
        outbox_put(out, OUT_REPLY, who.peer, MSG_refused, who.corr)->refused = *why;
}

const struct balance *
list_balances(const struct ledger *l, struct outbox *out, const struct ledger_account *a,
              uint32_t *count)
{
    struct balance *list = arena_take(&out->lists, a->balances, sizeof(*list));
    CHECK(list != NULL || a->balances == 0);
    *count = 0;
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next)
        list[(*count)++] = balance_say(l, &l->balances[i]);
    return list;
}

money_t
paper_balance(const struct ledger *l, const struct ledger_account *a, enum trading_type wallet)
{
    uint32_t cash = asset_find(l, code_of(LEDGER_CASH));
    CHECK(cash != LEDGER_NONE);
    const struct ledger_balance *b =
        balance_find(l, account_index(l, a), wallet_on_paper(wallet), cash);
    return b == NULL ? (money_t){0} : balance_total(b);
}

void
reply_account(const struct ledger *l, struct outbox *out, struct asker who,
              const struct ledger_account *a)
{
    if (who.peer == 0)
        return;
    struct msg *m = outbox_put(out, OUT_REPLY, who.peer, MSG_account_view, who.corr);
    /* A tier that the configuration no longer has is charged as the last one. */
    uint32_t last = l->policy.tiers_count - 1;
    const struct ledger_tier *tier = &l->policy.tiers[a->tier < last ? a->tier : last];
    const struct ledger_settings *spot = &a->settings[TRADING_TYPE_spot - 1];
    const struct ledger_settings *futures = &a->settings[TRADING_TYPE_futures - 1];
    m->account_view = (struct account_view){.account_id = a->id,
                                            .user_id = a->user_id,
                                            .tier = a->tier,
                                            .maker_fee_rate = tier->maker_fee_rate,
                                            .taker_fee_rate = tier->taker_fee_rate,
                                            .open_orders = a->open_orders,
                                            .event_sequence = a->event_sequence,
                                            .spot_mode = spot->mode,
                                            .spot_environment = spot->environment,
                                            .spot_as_of_us = a->exchange_us[0],
                                            .futures_mode = futures->mode,
                                            .futures_environment = futures->environment,
                                            .futures_as_of_us = a->exchange_us[1]};
    m->account_view.balances = list_balances(l, out, a, &m->account_view.balances_count);
}

void
reply_balance(const struct ledger *l, struct outbox *out, struct asker who,
              const struct ledger_account *a, enum trading_type wallet)
{
    if (who.peer == 0)
        return;
    struct msg *m = outbox_put(out, OUT_REPLY, who.peer, MSG_balance_view, who.corr);
    m->balance_view.trading_type = wallet;
    m->balance_view.paper_balance_usdt = paper_balance(l, a, wallet);
    m->balance_view.dry_run_mode = a->settings[wallet - 1].dry_run_mode;
    m->balance_view.mode = a->settings[wallet - 1].mode;
}

void
reply_settings(const struct ledger *l, struct outbox *out, struct asker who,
               const struct ledger_account *a, enum trading_type wallet)
{
    if (who.peer == 0)
        return;
    const struct ledger_settings *s = &a->settings[wallet - 1];
    struct msg *m = outbox_put(out, OUT_REPLY, who.peer, MSG_settings_view, who.corr);
    m->settings_view = (struct settings_view){.trading_type = wallet,
                                              .mode = s->mode,
                                              .dry_run_mode = s->dry_run_mode,
                                              .margin_per_trade = s->margin_per_trade,
                                              .leverage = s->leverage,
                                              .auto_trading = s->auto_trading,
                                              .fill_rules = s->fill,
                                              .paper_balance_usdt = paper_balance(l, a, wallet),
                                              .environment = s->environment,
                                              .live_twin = s->live_twin,
                                              .api_key_tail = s->api_key_tail,
                                              .real_since_us = s->real_since_us};
}

/* `older` (from the tables) up to where the ring begins, then the ring, the latest of them all. */
static const struct trade *
list_fills_with(const struct ledger *l, struct outbox *out, const struct ledger_order *o,
                const struct trade *older, uint32_t older_count, uint32_t *count)
{
    const struct ledger_fill *first = fill_at(l, o->first_fill);
    uint32_t kept = o->fills_kept;
    uint32_t before = 0;
    while (before < older_count &&
           (first == NULL || older[before].trade_id < first->trade.trade_id))
        before++;
    uint32_t total = before + kept < LEDGER_VIEW_FILLS ? before + kept : LEDGER_VIEW_FILLS;
    struct trade *list = arena_take(&out->lists, total, sizeof(*list));
    CHECK(list != NULL || total == 0);

    uint32_t skip = before + kept - total;
    uint32_t put = 0;
    for (uint32_t i = skip < before ? skip : before; i < before; i++)
        list[put++] = older[i];
    uint32_t skip_kept = skip > before ? skip - before : 0;
    for (const struct ledger_fill *f = first; f != NULL; f = fill_at(l, f->next)) {
        if (skip_kept > 0)
            skip_kept--;
        else
            list[put++] = f->trade;
    }
    CHECK(put == total);
    *count = total;
    return list;
}

const struct trade *
list_fills(const struct ledger *l, struct outbox *out, const struct ledger_order *o,
           uint32_t *count)
{
    return list_fills_with(l, out, o, NULL, 0, count);
}

static void
put_order(const struct ledger *l, struct outbox *out, struct asker who,
          const struct ledger_order *o, const struct trade *older, uint32_t count, bool was_known)
{
    if (who.peer == 0)
        return;
    struct msg *m = outbox_put(out, OUT_REPLY, who.peer, MSG_order_view, who.corr);
    m->order_view.order = order_say(l, o);
    m->order_view.fills = list_fills_with(l, out, o, older, count, &m->order_view.fills_count);
    m->order_view.was_known = was_known;
}

void
reply_order_with(const struct ledger *l, struct outbox *out, struct asker who,
                 const struct ledger_order *o, const struct trade *older, uint32_t count)
{
    put_order(l, out, who, o, older, count, false);
}

void
reply_order_known(const struct ledger *l, struct outbox *out, struct asker who,
                  const struct ledger_order *o, const struct trade *older, uint32_t count)
{
    put_order(l, out, who, o, older, count, true);
}

void
reply_order(const struct ledger *l, struct outbox *out, struct asker who,
            const struct ledger_order *o)
{
    reply_order_with(l, out, who, o, NULL, 0);
}

enum err
rejection_of(enum order_status status, enum order_end end)
{
    if (status != ORDER_STATUS_REJECTED)
        return OK;
    if (end == ORDER_END_WOULD_TAKE)
        return ERR_WOULD_TAKE;
    if (end == ORDER_END_SIMULATED_REJECT)
        return ERR_SIMULATED_REJECT;
    if (end == ORDER_END_CANCEL_FAILED)
        return ERR_CANCEL_FAILED;
    if (end == ORDER_END_EXCHANGE_REFUSED)
        return ERR_EXCHANGE_REFUSED;
    if (end == ORDER_END_NOT_PLACED)
        return ERR_NOT_PLACED;
    return end == ORDER_END_NOT_ACTIVATED ? ERR_FUNDS_TOO_LOW : ERR_ORDERS_FULL;
}

struct refused
rejection_said(const struct order *o)
{
    enum err e = rejection_of(o->status, o->end_reason);
    if (e == ERR_EXCHANGE_REFUSED && o->refused_by != OK)
        e = o->refused_by;
    if (o->exchange_state == EXCHANGE_STATE_UNKNOWN)
        e = ERR_OUTCOME_UNKNOWN;
    struct refused why = refusal(e);
    why.order_id = o->order_id;
    if (o->exchange_code != 0)
        why.detail = text_of("the exchange's code is %lld", (long long)o->exchange_code);
    return why;
}

void
reply_placed(const struct ledger *l, struct outbox *out, struct asker who,
             const struct ledger_order *o)
{
    const struct order said = order_say(l, o);
    const struct refused why = rejection_said(&said);
    if (why.error == OK)
        reply_order(l, out, who, o);
    else
        reply_refused(out, who, &why);
}
