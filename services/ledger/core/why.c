/*
 * why.c - see why.h; the sentence is put together here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/why.h"

#include "ledger/core/account.h"
#include "ledger/core/kind.h"
#include "ledger/core/order.h"
#include "ledger/core/send.h"
#include "ledger/core/waiter.h"

/* ---- The sentence ------------------------------------------------------------------------- */

const char *
why_ended(enum order_end end)
{
    switch (end) {
    case ORDER_END_NONE:
    case ORDER_END_COMPLETE:
        break;
    case ORDER_END_CLIENT_CANCEL:
        return "it was cancelled";
    case ORDER_END_IOC_REMAINDER:
        return "no more could be had at once";
    case ORDER_END_FOK_UNFILLABLE:
        return "it could not be filled whole";
    case ORDER_END_INSUFFICIENT_LIQUIDITY:
        return "the market had no more within its worst price";
    case ORDER_END_WOULD_TAKE:
        return "it would have taken";
    case ORDER_END_BOOK_FULL:
        return "the matcher had no room for it";
    case ORDER_END_SYMBOL_REMOVED:
        return "its symbol is no longer traded";
    case ORDER_END_OCO_TRIGGER:
        return "the other order of its pair came first";
    case ORDER_END_OTO_PHASE_ONE_EXPIRED:
        return "the order it waited for was not filled";
    case ORDER_END_LIST_REJECTED:
        return "another order of its list was rejected";
    case ORDER_END_SELF_TRADE:
        return "it met an order of its own account";
    case ORDER_END_GTD_REACHED:
        return "its time was over";
    case ORDER_END_MARKET_STALE:
        return "there was no market data to fill it by";
    case ORDER_END_SIMULATED_REJECT:
        return "it was rejected at random, as the fill rules ask";
    case ORDER_END_NOT_ACTIVATED:
        return "the funds were not there when it was its turn";
    case ORDER_END_CANCEL_FAILED:
        return "the order to be replaced could not be cancelled";
    case ORDER_END_EXCHANGE_REFUSED:
        return "the exchange refused it";
    case ORDER_END_NOT_PLACED:
        return "it never reached the exchange";
    case ORDER_END_EXCHANGE_EXPIRED:
        return "the exchange let it expire";
    }
    return "it ended";
}

static const char *
waits_because(enum waiting_for what)
{
    switch (what) {
    case WAITING_FOR_NONE:
        return "nothing that is known holds it back";
    case WAITING_FOR_LATENCY:
        return "it is on its way, by the latency of its fill rules";
    case WAITING_FOR_LIST:
        return "it waits for another order of its list to be filled";
    case WAITING_FOR_CANCEL:
        return "it waits for the end of the order it replaces";
    case WAITING_FOR_TRIGGER:
        return "no price has set it off";
    case WAITING_FOR_PRICE:
    case WAITING_FOR_QUEUE:
    case WAITING_FOR_PRINTS:
        return "it waits for trades at its price";
    case WAITING_FOR_MARKET_DATA:
        return "the market data is stale: nothing is filled by it";
    case WAITING_FOR_MATCHER:
        return "the matcher is away";
    }
    return "it waits";
}

/* Of a REAL order only its way to the exchange is known here. */
static const char *
real_waits(enum exchange_state state)
{
    switch (state) {
    case EXCHANGE_STATE_SENDING:
        return "it is on its way to the exchange";
    case EXCHANGE_STATE_UNKNOWN:
        return "it was sent, and nobody knows yet what became of it";
    case EXCHANGE_STATE_NONE:
    case EXCHANGE_STATE_PLACED:
    case EXCHANGE_STATE_REFUSED:
    case EXCHANGE_STATE_NOT_PLACED:
        break;
    }
    return "it is at the exchange";
}

/* What an open order waits for, with the number that matters. */
static text_t
waits_for_text(const struct order_story *s)
{
    char number[DECIMAL_BYTES];
    if (s->order.exchange_state != EXCHANGE_STATE_NONE)
        return text_of("%s", real_waits(s->order.exchange_state));
    switch (s->story.waiting_for) {
    case WAITING_FOR_TRIGGER:
        decimal_write_short(s->order.stop_price.v, number);
        if (s->order.stop_price.v != 0 && s->story.trail_extreme.v == 0)
            return text_of("no price has come to %s", number);
        break;
    case WAITING_FOR_PRICE:
        decimal_write_short(s->order.price.v, number);
        return text_of("the market has not come to %s", number);
    case WAITING_FOR_QUEUE:
        decimal_write_short(s->story.ahead.v, number);
        return text_of("%s are ahead of it at its price", number);
    case WAITING_FOR_NONE:
    case WAITING_FOR_LATENCY:
    case WAITING_FOR_LIST:
    case WAITING_FOR_CANCEL:
    case WAITING_FOR_PRINTS:
    case WAITING_FOR_MARKET_DATA:
    case WAITING_FOR_MATCHER:
        break;
    }
    return text_of("%s", waits_because(s->story.waiting_for));
}

static text_t
why_sentence(const struct order_story *s)
{
    const struct order *o = &s->order;
    char done[DECIMAL_BYTES], of[DECIMAL_BYTES];
    bool by_quote = o->quantity.v == 0;
    decimal_write_short(by_quote ? o->executed_quote_quantity.v : o->executed_quantity.v, done);
    decimal_write_short(by_quote ? o->quote_order_quantity.v : o->quantity.v, of);
    /* Of an order for an amount of the quote asset that is what was spent, or received. */
    const char *verb = !by_quote ? "filled" : o->side == SIDE_BUY ? "spent" : "received";
    if (o->end_reason == ORDER_END_COMPLETE)
        return by_quote ? text_of("%s of %s %s.", done, of, verb) : text_of("%s filled.", done);
    if (o->end_reason == ORDER_END_NONE)
        return text_of("%s of %s %s: %s.", done, of, verb, waits_for_text(s).text);
    return text_of("%s of %s %s: %s.", done, of, verb, why_ended(o->end_reason));
}

/* ---- Answers ------------------------------------------------------------------------------ */

/* What is known without the matcher. */
static enum waiting_for
waits_for_what(const struct ledger *l, const struct ledger_order *o)
{
    if (order_is_pending(o))
        return o->rule == RULE_COMPLETE ? WAITING_FOR_LIST : WAITING_FOR_CANCEL;
    if (!order_is_open(o) || order_is_real(o))
        return WAITING_FOR_NONE;
    return l->symbols[o->symbol].matcher_away ? WAITING_FOR_MATCHER : WAITING_FOR_NONE;
}

void
why_answer(const struct ledger *l, struct outbox *out, struct asker who,
           const struct ledger_order *o, const struct story *story)
{
    if (who.peer == 0)
        return;
    struct order_story said = {.order = order_say(l, o), .is_live = story != NULL};
    if (story != NULL)
        said.story = *story;
    else
        said.story.waiting_for = waits_for_what(l, o);
    said.fills = list_fills(l, out, o, &said.fills_count);
    said.sentence = why_sentence(&said);
    outbox_put(out, OUT_REPLY, who.peer, MSG_order_story, who.corr)->order_story = said;
}

enum ledger_outcome
why_request(struct ledger *l, const struct turn *t, const struct order_why *ask)
{
    const struct ledger_account *a = account_find(l, ask->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    struct ledger_order *o = order_find(l, ask->order_id);
    bool is_own = o != NULL && o->account == account_index(l, a);
    if (ledger_shard_of_id(ask->order_id) != a->shard || (o != NULL && !is_own) ||
        (o == NULL && !order_some_evicted(a)))
        return turn_refuse_plain(t, ERR_ORDER_NOT_FOUND);
    if (o == NULL || !order_is_open(o))
        return LEDGER_LOOKUP;
    if (order_is_real(o) || waits_for_what(l, o) != WAITING_FOR_NONE) {
        why_answer(l, t->out, t->who, o, NULL);
        return LEDGER_ANSWERED;
    }
    if (!waiter_add(l, o, WAITER_WHY, t->who))
        return turn_refuse_plain(t, ERR_LEDGER_BUSY);
    struct msg *m = send_matcher(t, o, MSG_order_explain);
    m->order_explain.order_id = o->id;
    m->order_explain.symbol = l->symbols[o->symbol].code;
    return LEDGER_ANSWERED;
}

void
why_found(const struct ledger *l, const struct turn *t, const struct order_why *ask,
          const struct order_story *row)
{
    const struct ledger_order *o = order_find(l, ask->order_id);
    if (row == NULL && o == NULL) {
        turn_refuse_plain(t, ERR_ORDER_NOT_FOUND);
        return;
    }
    if (row == NULL) { /* it ended just now: its story is on its way to the tables */
        why_answer(l, t->out, t->who, o, NULL);
        return;
    }
    struct order_story said = *row;
    said.sentence = why_sentence(&said);
    outbox_put(t->out, OUT_REPLY, t->who.peer, MSG_order_story, t->who.corr)->order_story = said;
}

enum ledger_outcome
why_explained(struct ledger *l, const struct turn *t, const struct order_explained *said)
{
    struct ledger_order *o = order_find(l, said->order_id);
    if (t->who.peer != 0)
        return turn_refuse_plain(t, ERR_WIRE_UNKNOWN);
    if (o != NULL)
        waiters_explained(l, o, said->stories_count > 0 ? &said->stories[0] : NULL, t->out);
    return LEDGER_ANSWERED;
}
