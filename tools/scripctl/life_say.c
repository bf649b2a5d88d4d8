/*
 * life_say.c - what a record meant for an account or an order, in sentences.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/kind.h"
#include "scripctl/life.h"
#include "scripctl/value.h"
#include "scripctl/words.h"

#define ID(id) ((unsigned long long)(id))

static const char *
amount_text(int64_t amount, char out[DECIMAL_BYTES])
{
    decimal_write_short(amount, out);
    return out;
}

static bool
is_own(const struct life_entry *e, const struct order_row *row)
{
    return row->order.account_id == e->subject.account_id;
}

static const struct order_row *
row_of(const struct life_entry *e, uint64_t order_id)
{
    for (uint32_t i = 0; i < e->step->orders_count; i++)
        if (e->step->orders[i].order.order_id == order_id)
            return &e->step->orders[i];
    return NULL;
}

/* "order 12 (BUY LIMIT 0.5 BTCUSDT at 64000)" */
static void
add_order(struct bytes *out, const struct order_row *row)
{
    const struct order *o = &row->order;
    const struct order_wish wish = {.symbol = o->symbol,
                                    .side = o->side,
                                    .type = o->type,
                                    .quantity = o->quantity,
                                    .quote_order_quantity = o->quote_order_quantity,
                                    .quote_asset = row->quote_asset,
                                    .price = o->price,
                                    .stop_price = o->stop_price,
                                    .trailing_delta = o->trailing_delta};
    words_add(out, "order %llu (", ID(o->order_id));
    words_wish(out, &wish);
    words_add(out, ")");
}

static const code_t *
pays_with(const struct order_row *row)
{
    return row->order.side == SIDE_BUY ? &row->quote_asset : &row->base_asset;
}

/* ---- Orders that came -------------------------------------------------------------------------
 */

static void
say_terms(struct life_entry *e, const struct order_row *row)
{
    char maker[DECIMAL_BYTES], taker[DECIMAL_BYTES], last[DECIMAL_BYTES], worst[DECIMAL_BYTES];
    char time[VALUE_TIME_BYTES];
    struct bytes text = {NULL, 0, 0};
    words_add(&text, "its fee is %s of what it receives when it rested, %s when it takes",
              amount_text(row->maker_fee_rate.v, maker), amount_text(row->taker_fee_rate.v, taker));
    if (row->reference_price.v != 0)
        words_add(&text, "; the last price known was %s",
                  amount_text(row->reference_price.v, last));
    if (row->worst_price.v != 0)
        words_add(&text, "; no fill may be worse than %s", amount_text(row->worst_price.v, worst));
    if (row->order.latency_us != 0)
        words_add(&text, "; %u us on its way to the book", row->order.latency_us);
    if (row->order.market_us != 0)
        words_add(&text, "; the market's clock stood at %s",
                  value_time_text(row->order.market_us, time));
    life_add(e, "%s", words_text(&text));
    bytes_free(&text);
}

/* It is the exchange's to judge and to fill. */
static void
say_came_real(struct life_entry *e, const struct order *o)
{
    char time[VALUE_TIME_BYTES];
    life_add(e,
             "order %llu is accepted and given to a bridge for %s, once: it is not sent later than "
             "%s; nothing is held for it here",
             ID(o->order_id), msg_enum_name(MSG_ENUM_environment, o->environment),
             value_time_text(o->send_by_us, time));
    if (o->twin_refused != OK)
        life_add(e, "no paper order mirrors it: %s", err_sentence(o->twin_refused));
}

static void
say_came(struct life_entry *e, const struct order_row *row)
{
    const struct order *o = &row->order;
    char held[DECIMAL_BYTES];
    if (o->environment != ENVIRONMENT_NONE) {
        say_came_real(e, o);
        return;
    }
    if (o->twin_of != 0)
        life_add(e, "order %llu mirrors order %llu on paper", ID(o->order_id), ID(o->twin_of));
    switch (o->status) {
    case ORDER_STATUS_PENDING_NEW:
        life_add(e, "order %llu is accepted and waits for order %llu: it holds nothing yet",
                 ID(o->order_id), ID(o->waits_for));
        break;
    case ORDER_STATUS_NEW:
        if (o->held.v == 0)
            life_add(e, "order %llu is accepted; the other order of its pair holds for both",
                     ID(o->order_id));
        else
            life_add(e, "order %llu is accepted and holds %s %s", ID(o->order_id),
                     amount_text(o->held.v, held), pays_with(row)->text);
        break;
    default:
        life_add(e, "order %llu is %s: %s", ID(o->order_id),
                 msg_enum_name(MSG_ENUM_order_status, o->status), words_end(o->end_reason));
        return;
    }
    say_terms(e, row);
}

static bool
is_placement(const struct msg *m)
{
    return m->type == MSG_order_place || m->type == MSG_order_replace || m->type == MSG_list_place;
}

/* ---- Orders that changed ----------------------------------------------------------------------
 */

static void
say_done(struct bytes *out, const struct order_row *row)
{
    const struct order *o = &row->order;
    char done[DECIMAL_BYTES], of[DECIMAL_BYTES], quote[DECIMAL_BYTES];
    bool is_by_quote = o->quantity.v == 0;
    words_add(out, "%s", amount_text(o->executed_quantity.v, done));
    if (!is_by_quote)
        words_add(out, " of %s", amount_text(o->quantity.v, of));
    words_add(out, " %s %s for %s", row->base_asset.text, o->side == SIDE_BUY ? "bought" : "sold",
              amount_text(o->executed_quote_quantity.v, quote));
    if (is_by_quote)
        words_add(out, " of %s", amount_text(o->quote_order_quantity.v, of));
    words_add(out, " %s", row->quote_asset.text);
}

static void
say_stands(struct life_entry *e, const struct order_row *row)
{
    const struct order *o = &row->order;
    struct bytes text = {NULL, 0, 0};
    char held[DECIMAL_BYTES];
    add_order(&text, row);
    words_add(&text, " is %s", msg_enum_name(MSG_ENUM_order_status, o->status));
    if (o->environment != ENVIRONMENT_NONE)
        words_add(&text, " (%s, %s)", msg_enum_name(MSG_ENUM_environment, o->environment),
                  msg_enum_name(MSG_ENUM_exchange_state, o->exchange_state));
    words_add(&text, ": ");
    say_done(&text, row);
    if (o->end_reason != ORDER_END_NONE)
        words_add(&text, "; %s", words_end(o->end_reason));
    else if (o->held.v != 0)
        words_add(&text, "; it holds %s %s", amount_text(o->held.v, held), pays_with(row)->text);
    if (o->refused_by != OK)
        words_add(&text, " (%s)", err_name(o->refused_by));
    life_add(e, "%s", words_text(&text));
    bytes_free(&text);
}

/* What the record did to an order that it is not about. */
static void
say_other(struct life_entry *e, const struct order_row *row)
{
    const struct order *o = &row->order;
    bool is_live_now = row->live_us == e->step->record->time_us &&
                       o->created_us != e->step->record->time_us && o->status == ORDER_STATUS_NEW;
    if (is_live_now)
        life_add(e, "order %llu has waited for this and goes to the matcher", ID(o->order_id));
    say_stands(e, row);
}

/* ---- Reports ----------------------------------------------------------------------------------
 */

/* "bought 0.5 at 64000 as taker against DEPTH #12 of 64000 x 1.2; 64000 x 0.5 = 32000 USDT, ..." */
static void
say_fill(struct life_entry *e, const struct trade *t, const struct order_row *row)
{
    char price[DECIMAL_BYTES], quantity[DECIMAL_BYTES], quote[DECIMAL_BYTES], fee[DECIMAL_BYTES];
    char shown[DECIMAL_BYTES], size[DECIMAL_BYTES], time[VALUE_TIME_BYTES];
    struct bytes text = {NULL, 0, 0};
    amount_text(t->price.v, price);
    amount_text(t->quantity.v, quantity);
    words_add(&text, "%s %s at %s as %s", t->side == SIDE_BUY ? "bought" : "sold", quantity, price,
              t->is_maker ? "maker" : "taker");
    if (t->evidence.source != LIQUIDITY_NONE) {
        words_add(&text, " against %s", msg_enum_name(MSG_ENUM_liquidity, t->evidence.source));
        if (t->evidence.sequence != 0)
            words_add(&text, " #%llu", ID(t->evidence.sequence));
        words_add(&text, " of %s x %s", amount_text(t->evidence.price.v, shown),
                  amount_text(t->evidence.quantity.v, size));
        if (t->evidence.time_us != 0)
            words_add(&text, " at %s", value_time_text(t->evidence.time_us, time));
        words_add(&text, "%s", t->evidence.is_stale ? ", while the market was stale" : "");
    }
    words_add(&text, "; %s x %s = %s %s, fee %s %s (trade %llu)", price, quantity,
              amount_text(t->quote_quantity.v, quote), row == NULL ? "" : row->quote_asset.text,
              amount_text(t->fee.v, fee), t->fee_asset.text, ID(t->trade_id));
    life_add(e, "%s", words_text(&text));
    bytes_free(&text);
}

static void
say_report(struct life_entry *e, const struct order_report *r)
{
    const struct order_row *row = row_of(e, r->order_id);
    char amount[DECIMAL_BYTES], before[DECIMAL_BYTES], time[VALUE_TIME_BYTES];
    if (row == NULL)
        return;
    bool is_armed = kind_is_stop(row->order.type) && row->order.triggered_us == 0;
    if (r->triggered_us != 0)
        life_add(e, "the market set it off at %s", value_time_text(r->triggered_us, time));
    if (r->trail_extreme.v != 0)
        life_add(e, "it trails: the best price since it began is %s",
                 amount_text(r->trail_extreme.v, amount));
    if (r->rank != 0)
        life_add(e,
                 is_armed ? "it waits at the matcher for its trigger, with rank %llu"
                          : "it rests on the matcher's book, with rank %llu",
                 ID(r->rank));
    for (uint32_t i = 0; i < e->step->trades_count; i++)
        if (e->step->trades[i].trade.order_id == r->order_id)
            say_fill(e, &e->step->trades[i].trade, row);
    if (r->prevented.v != 0)
        life_add(e, "%s of it is taken off: it met an order of its own account",
                 amount_text(r->prevented.v, amount));
    if (r->trimmed_to.v != 0)
        life_add(e, "its client amended it: %s in place of %s as it was placed",
                 amount_text(r->trimmed_to.v, amount),
                 amount_text(row->order.amended_from.v, before));
    say_stands(e, row);
}

/* What the exchange said of an order, or an operator, and what that makes of it. */
static void
say_real(struct life_entry *e, const struct msg *m, uint64_t order_id)
{
    const struct order_row *row = row_of(e, order_id);
    struct bytes text = {NULL, 0, 0};
    words_message(&text, m);
    life_add(e, "%s", words_text(&text));
    bytes_free(&text);
    for (uint32_t i = 0; i < e->step->trades_count; i++)
        say_fill(e, &e->step->trades[i].trade, row);
    if (row != NULL)
        say_stands(e, row);
}

/* The order that a record is about; 0 = it is about the account. */
static uint64_t
order_of(const struct msg *m)
{
    switch ((int)m->type) {
    case MSG_order_report:
        return m->order_report.order_id;
    case MSG_bridge_report:
        return m->bridge_report.order_id;
    case MSG_order_settle:
        return m->order_settle.order_id;
    default:
        return 0;
    }
}

static void
say_stories(struct life_entry *e)
{
    for (uint32_t i = 0; i < e->step->stories_count; i++) {
        const struct story_row *row = &e->step->stories[i];
        bool is_asked = e->subject.order_id == 0 || row->order_id == e->subject.order_id;
        if (row->account_id != e->subject.account_id || !is_asked)
            continue;
        struct bytes text = {NULL, 0, 0};
        words_story(&text, &row->story);
        life_add(e, "its story: %s", words_text(&text));
        bytes_free(&text);
    }
}

void
life_say(struct life_entry *e)
{
    const struct msg *m = e->step->cmd;
    uint64_t about = order_of(m);
    struct bytes text = {NULL, 0, 0};
    words_message(&text, m);
    if (about == 0)
        life_add(e, "%s: %s", is_placement(m) ? "its client asked" : "what was asked",
                 words_text(&text));
    else if (m->type != MSG_order_report)
        say_real(e, m, about);
    else if (row_of(e, about) != NULL && is_own(e, row_of(e, about)))
        say_report(e, &m->order_report);
    for (uint32_t i = 0; i < e->step->orders_count; i++) {
        const struct order_row *row = &e->step->orders[i];
        if (!is_own(e, row) || row->order.order_id == about)
            continue;
        if (is_placement(m) && row->is_new)
            say_came(e, row);
        else
            say_other(e, row);
    }
    say_stories(e);
    bytes_free(&text);
}
