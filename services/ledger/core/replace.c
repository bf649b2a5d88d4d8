/*
 * replace.c - see replace.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/replace.h"

#include "ledger/core/account.h"
#include "ledger/core/admit.h"
#include "ledger/core/cancel.h"
#include "ledger/core/contingent.h"
#include "ledger/core/events.h"
#include "ledger/core/order.h"
#include "ledger/core/place.h"
#include "ledger/core/query.h"
#include "ledger/core/real.h"
#include "ledger/core/shape.h"
#include "ledger/core/twin.h"
#include "ledger/core/waiter.h"

static enum ledger_rule
rule_of(const struct order_replace *cmd)
{
    return cmd->mode == REPLACE_MODE_ALLOW_FAILURE ? RULE_ANY_END : RULE_CANCELLED;
}

/* The order that is named, as far as memory has it. */
static struct ledger_order *
old_order(const struct ledger *l, const struct ledger_account *a, const struct order_replace *cmd)
{
    uint32_t account = account_index(l, a);
    if (cmd->cancel_order_id == 0)
        return order_find_client(l, account, &cmd->cancel_client_order_id);
    struct ledger_order *o = order_find(l, cmd->cancel_order_id);
    return o != NULL && o->account == account ? o : NULL;
}

static void
old_pull(struct ledger *l, const struct turn *t, struct ledger_order *old)
{
    if (old->list_id != 0) /* one of them, all of them */
        cancel_pull_list(l, t, old);
    else
        cancel_pull(l, t, old);
}

/* ---- Retries ------------------------------------------------------------------------------ */

/* An order whose old one was unknown names none. */
static bool
replace_same(const struct ledger *l, const struct ledger_account *a, const struct order *placed,
             const struct order_replace *cmd, const struct order_place *fresh)
{
    const struct ledger_order *old = old_order(l, a, cmd);
    uint64_t old_id = old != NULL ? old->id : cmd->cancel_order_id;
    /* It may have replaced nothing because the old one was not known then. */
    return order_same(placed, fresh) && placed->list_id == 0 &&
           (old_id == 0 || placed->replaces == 0 || placed->replaces == old_id);
}

static enum ledger_outcome
replace_retry(struct ledger *l, const struct turn *t, struct ledger_order *o)
{
    if (!order_has_spoken(o)) {
        struct ledger_order *old = order_find(l, o->waits_for);
        if (t->who.peer != 0 && !waiter_add(l, o, WAITER_PLACE, t->who))
            return turn_refuse_plain(t, ERR_LEDGER_BUSY);
        if (old != NULL)
            old_pull(l, t, old);
        return LEDGER_ANSWERED;
    }
    if (rejection_of((enum order_status)o->status, (enum order_end)o->end) != OK)
        reply_placed(l, t->out, t->who, o);
    else
        reply_order_known(l, t->out, t->who, o, NULL, 0);
    return LEDGER_ANSWERED;
}

/* ---- Judging ------------------------------------------------------------------------------ */

static enum ledger_outcome
cancel_failed(const struct turn *t, uint64_t order_id, const char *detail)
{
    struct refused why = refusal_of(ERR_CANCEL_FAILED, "cancel_order_id", text_of("%s", detail));
    why.order_id = order_id;
    return turn_refuse(t, &why);
}

/* Which order is to go, and whether it can be waited for. */
static enum ledger_outcome
replace_admit(struct ledger *l, const struct turn *t, const struct ledger_account *a,
              struct order_replace *cmd, struct order_place *fresh)
{
    struct refused why;
    struct ledger_order *old = old_order(l, a, cmd);
    bool is_open = old != NULL && order_is_open(old);
    if (real_is_for(a, fresh->symbol) || (old != NULL && order_is_real(old))) {
        why = real_unsupported("cancel_order_id", "real orders are not replaced");
        return turn_refuse(t, &why);
    }
    if (twin_judge_id(&fresh->client_order_id, &why) != OK)
        return turn_refuse(t, &why);
    const struct admit_with with = {.now_us = t->now_us, .replaces = is_open ? old : NULL};
    if (admit_order(l, a, &with, fresh, &why) != OK)
        return turn_refuse(t, &why);
    uint64_t id = old != NULL ? old->id : cmd->cancel_order_id;
    if (!is_open && rule_of(cmd) == RULE_CANCELLED)
        return cancel_failed(t, id, "it is not open");
    if (is_open && order_is_pending(old))
        return cancel_failed(t, id, "it waits for another order itself");
    if (is_open && contingent_replacement(l, old) != NULL)
        return cancel_failed(t, id, "another order is to replace it");
    cmd->cancel_order_id = id;
    shape_into_replace(fresh, cmd);
    return replace_apply(l, t, cmd);
}

static enum ledger_outcome
replace_judge(struct ledger *l, const struct turn *t, struct order_replace *cmd, bool looked_up,
              const struct order_view *row)
{
    struct order_place fresh = shape_of_replace(cmd);
    struct refused why = {.error = OK};
    bool names_none = cmd->cancel_order_id == 0 && cid_empty(&cmd->cancel_client_order_id);
    if (names_none) {
        why = refusal_of(ERR_FIELD_MISSING, "cancel_order_id",
                         text_of("which order is to be replaced"));
        return turn_refuse(t, &why);
    }
    if (shape_order(&fresh, &why) != OK)
        return turn_refuse(t, &why);
    const struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    if (!cid_valid(&fresh.client_order_id)) {
        why = refusal(ERR_CLIENT_ID_INVALID);
        why.field = code_of("client_order_id");
        return turn_refuse(t, &why);
    }
    struct ledger_order *known = order_find_client(l, account_index(l, a), &fresh.client_order_id);
    if (known != NULL) {
        const struct order placed = order_say(l, known);
        if (!replace_same(l, a, &placed, cmd, &fresh) || known->rule != rule_of(cmd))
            return place_differs(t, known->id);
        return replace_retry(l, t, known);
    }
    if (row != NULL)
        return replace_same(l, a, &row->order, cmd, &fresh) ? place_answer_row(t, row)
                                                            : place_differs(t, row->order.order_id);
    if (!looked_up && !fresh.id_was_made && order_some_evicted(a))
        return LEDGER_LOOKUP;
    return replace_admit(l, t, a, cmd, &fresh);
}

enum ledger_outcome
replace_request(struct ledger *l, const struct turn *t, struct order_replace *cmd)
{
    return replace_judge(l, t, cmd, false, NULL);
}

enum ledger_outcome
replace_found(struct ledger *l, const struct turn *t, struct order_replace *cmd,
              const struct order_view *row)
{
    return replace_judge(l, t, cmd, true, row);
}

/* ---- Applying ----------------------------------------------------------------------------- */

enum ledger_outcome
replace_apply(struct ledger *l, const struct turn *t, const struct order_replace *cmd)
{
    const struct order_place fresh = shape_of_replace(cmd);
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    if (!t->live && (!place_is_enriched(&fresh) ||
                     order_find_client(l, account_index(l, a), &fresh.client_order_id) != NULL))
        return turn_refuse_plain(t, ERR_INTERNAL);
    struct ledger_order *old = order_find(l, cmd->cancel_order_id);
    if (old != NULL && (old->account != account_index(l, a) || !order_is_open(old)))
        old = NULL;
    if (old == NULL && rule_of(cmd) == RULE_CANCELLED)
        return turn_refuse_plain(t, ERR_CANCEL_FAILED);
    bool waits = t->live && t->who.peer != 0 && !fresh.is_refused;
    if (waits && l->waiters_spare == 0)
        return turn_refuse_plain(t, ERR_LEDGER_BUSY);
    struct place_names names;
    enum err e = place_room(l, a, &fresh, 1, &names);
    if (e == OK && old == NULL && !fresh.is_refused)
        e = place_funds(l, a, &fresh, &names);
    if (e != OK)
        return turn_refuse_plain(t, e);

    /* Nothing below can fail. */
    const struct place_ties ties = {.replaces = cmd->cancel_order_id,
                                    .waits_for = old != NULL ? old->id : 0,
                                    .rule = rule_of(cmd),
                                    .end = fresh.is_refused ? ORDER_END_SIMULATED_REJECT
                                                            : ORDER_END_NONE};
    struct ledger_order *o = place_add(l, t, a, &fresh, &names, &ties);
    if (waits)
        CHECK(waiter_add(l, o, WAITER_PLACE, t->who));
    if (old == NULL && !fresh.is_refused) {
        contingent_start(l, t, o, NULL);
        return LEDGER_CHANGED;
    }
    event_of_order(l, o, t->out);
    if (fresh.is_refused) /* the old order stays as it is */
        reply_placed(l, t->out, t->who, o);
    else
        old_pull(l, t, old);
    return LEDGER_CHANGED;
}
