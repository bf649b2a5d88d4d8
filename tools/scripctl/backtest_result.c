/*
 * backtest_result.c - see backtest_result.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/backtest_result.h"

#include <stdio.h>
#include <stdlib.h>

#define FILL_COLUMNS                                                                               \
    "trade_id,time,account,order_id,client_order_id,symbol,side,price,quantity,quote_quantity,"    \
    "fee,fee_asset,is_maker,evidence,evidence_sequence,evidence_time,evidence_price,"              \
    "evidence_quantity,evidence_is_stale"
#define ORDER_COLUMNS                                                                              \
    "line,at,action,account,order_id,client_order_id,symbol,side,type,time_in_force,price,"        \
    "stop_price,quantity,quote_order_quantity,status,end,executed_quantity,"                       \
    "executed_quote_quantity,fills,fee_base,fee_quote,held,updated,why"

void
result_init(struct result *r, const struct actions *actions, struct equity *equity,
            const char *folder)
{
    *r = (struct result){.actions = actions, .equity = equity, .orders_max = actions->orders + 1};
    r->answers = calloc(actions->count + 1, sizeof *r->answers);
    r->orders = calloc(r->orders_max, sizeof *r->orders);
    r->by_id_bytes = malloc(map_bytes(r->orders_max));
    CHECK(r->answers != NULL && r->orders != NULL && r->by_id_bytes != NULL);
    map_init(&r->by_id, r->orders_max, r->by_id_bytes);
    sheet_open(&r->fills_sheet, folder, "fills.csv", FILL_COLUMNS);
}

void
result_fini(struct result *r)
{
    sheet_drop(&r->fills_sheet);
    free(r->answers);
    free(r->orders);
    free(r->by_id_bytes);
}

/* ---- Rows of the ledger ---------------------------------------------------------------------- */

static struct result_order *
order_of(struct result *r, uint64_t order_id)
{
    uint32_t i = map_get(&r->by_id, order_id);
    CHECK(i != MAP_NONE);
    return &r->orders[i];
}

static void
on_order(void *arg, const struct order_row *row)
{
    struct result *r = arg;
    if (map_get(&r->by_id, row->order.order_id) == MAP_NONE) {
        struct result_answer *a = &r->answers[r->at];
        CHECK(r->orders_count < r->orders_max);
        if (a->orders++ == 0)
            a->first_order = r->orders_count;
        map_set(&r->by_id, row->order.order_id, r->orders_count);
        r->orders[r->orders_count++].action = r->at;
    }
    struct result_order *o = order_of(r, row->order.order_id);
    o->order = row->order;
    o->account_id = row->order.account_id;
}

static const char *
account_name(const struct result *r, uint64_t account_id)
{
    CHECK(account_id >= 1 && account_id <= r->actions->accounts_count);
    return r->actions->accounts[account_id - 1].text;
}

static void
write_fill(struct result *r, uint64_t account_id, const struct trade *t, const char *client_id)
{
    struct sheet *s = &r->fills_sheet;
    sheet_uint(s, t->trade_id);
    sheet_time(s, t->time_us);
    sheet_text(s, account_name(r, account_id));
    sheet_uint(s, t->order_id);
    sheet_text(s, client_id);
    sheet_text(s, t->symbol.text);
    sheet_text(s, msg_enum_name(MSG_ENUM_side, t->side));
    sheet_amount(s, t->price.v);
    sheet_amount(s, t->quantity.v);
    sheet_amount(s, t->quote_quantity.v);
    sheet_amount(s, t->fee.v);
    sheet_text(s, t->fee_asset.text);
    sheet_text(s, t->is_maker ? "true" : "false");
    sheet_text(s, msg_enum_name(MSG_ENUM_liquidity, t->evidence.source));
    sheet_uint(s, t->evidence.sequence);
    sheet_time(s, t->evidence.time_us);
    sheet_amount(s, t->evidence.price.v);
    sheet_amount(s, t->evidence.quantity.v);
    sheet_text(s, t->evidence.is_stale ? "true" : "false");
    sheet_row_end(s);
}

static void
on_trade(void *arg, const struct trade_row *row)
{
    struct result *r = arg;
    const struct trade *t = &row->trade;
    struct result_order *o = order_of(r, t->order_id);
    const struct symbol_rules *rules;
    int64_t turnover = 0, fee = 0;
    bool is_valued = false;
    r->fills++;
    r->maker_fills += t->is_maker;
    o->fills++;
    if (t->side == SIDE_BUY)
        o->fee_base += t->fee.v;
    else
        o->fee_quote += t->fee.v;
    for (uint32_t i = 0; !is_valued && (rules = tape_heard(r->equity->o.tape, i)) != NULL; i++)
        is_valued = code_same(rules->symbol, t->symbol) &&
                    equity_value(r->equity, rules->quote_asset, t->quote_quantity.v, &turnover) &&
                    equity_value(r->equity, t->fee_asset, t->fee.v, &fee);
    r->unvalued += !is_valued || __builtin_add_overflow(r->turnover, turnover, &r->turnover) ||
                   __builtin_add_overflow(r->fees, fee, &r->fees);
    write_fill(r, row->account_id, t, o->order.client_order_id.text);
}

static void
on_change(void *arg, const struct change_row *row)
{
    struct result *r = arg;
    if (row->wallet == TRADING_TYPE_spot)
        equity_paid(r->equity, row->account_id,
                    row->change.new_balance.v - row->change.old_balance.v);
}

static void
on_story(void *arg, const struct story_row *row)
{
    order_of(arg, row->order_id)->story = row->story;
}

struct ledger_sink
result_sink(struct result *r)
{
    return (struct ledger_sink){.arg = r,
                                .on_order = on_order,
                                .on_trade = on_trade,
                                .on_change = on_change,
                                .on_story = on_story};
}

void
result_reply(void *arg, const struct msg *m)
{
    struct result *r = arg;
    if (m->corr > r->actions->count) {
        uint64_t i = m->corr - r->actions->count - 1;
        if (m->type == MSG_order_story && i < r->orders_count)
            r->orders[i].why = m->order_story.sentence;
        return;
    }
    if (m->corr == 0)
        return;
    struct result_answer *a = &r->answers[m->corr - 1];
    a->kind = ANSWER_GIVEN;
    if (m->type != MSG_refused)
        return;
    a->kind = ANSWER_REFUSED;
    a->refused = m->refused;
    r->refused++;
    if ((uint32_t)m->refused.error < RESULT_ERRORS_MAX)
        r->refusals[m->refused.error]++;
}

/* ---- orders.csv ------------------------------------------------------------------------------ */

static void
write_begin(const struct result *r, struct sheet *s, const struct action *a)
{
    sheet_uint(s, a->line);
    sheet_time(s, a->at_us);
    sheet_text(s, a->name);
    sheet_text(s, r->actions->accounts[a->account].text);
}

static void
write_order(const struct result *r, struct sheet *s, const struct result_order *o)
{
    const struct order *x = &o->order;
    write_begin(r, s, &r->actions->actions[o->action]);
    sheet_uint(s, x->order_id);
    sheet_text(s, x->client_order_id.text);
    sheet_text(s, x->symbol.text);
    sheet_text(s, msg_enum_name(MSG_ENUM_side, x->side));
    sheet_text(s, msg_enum_name(MSG_ENUM_order_type, x->type));
    sheet_text(s, msg_enum_name(MSG_ENUM_time_in_force, x->time_in_force));
    sheet_amount(s, x->price.v);
    sheet_amount(s, x->stop_price.v);
    sheet_amount(s, x->quantity.v);
    sheet_amount(s, x->quote_order_quantity.v);
    sheet_text(s, msg_enum_name(MSG_ENUM_order_status, x->status));
    sheet_text(s, x->end_reason == ORDER_END_NONE
                      ? "OPEN"
                      : msg_enum_name(MSG_ENUM_order_end, x->end_reason));
    sheet_amount(s, x->executed_quantity.v);
    sheet_amount(s, x->executed_quote_quantity.v);
    sheet_uint(s, o->fills);
    sheet_amount(s, o->fee_base);
    sheet_amount(s, o->fee_quote);
    sheet_amount(s, x->held.v);
    sheet_time(s, x->updated_us);
    sheet_text(s, o->why.text);
    sheet_row_end(s);
}

static bool
is_to_place(const struct action *a)
{
    return a->type == MSG_order_place || a->type == MSG_order_replace || a->type == MSG_list_place;
}

/* A request that made no order: refused, a repetition, or never sent because the market had
 * ended. */
static void
write_other(const struct result *r, struct sheet *s, uint32_t action)
{
    const struct action *a = &r->actions->actions[action];
    const struct result_answer *answer = &r->answers[action];
    const struct msg_field *cid = msg_field_by_name(msg_layout(a->type), "client_order_id");
    const code_t *symbol = action_symbol(a);
    bool is_sent = action < r->sent, is_refused = answer->kind == ANSWER_REFUSED;
    write_begin(r, s, a);
    sheet_text(s, "");
    sheet_text(s, cid == NULL ? "" : (const char *)a->body + cid->offset);
    sheet_text(s, symbol == NULL ? "" : symbol->text);
    for (int i = 0; i < 7; i++)
        sheet_text(s, "");
    sheet_text(s, !is_sent ? "NOT_SENT" : is_refused ? "REFUSED" : "REPEATED");
    sheet_text(s, is_refused ? err_name(answer->refused.error) : "");
    for (int i = 0; i < 7; i++)
        sheet_text(s, "");
    if (!is_sent)
        sheet_text(s, "the market ends before it");
    else if (!is_refused)
        sheet_text(s, "the same request was sent before, and its order is there");
    else if (answer->refused.detail.text[0] != '\0')
        sheet_text(s, answer->refused.detail.text);
    else
        sheet_text(s, err_sentence(answer->refused.error));
    sheet_row_end(s);
}

static bool
write_orders(const struct result *r, const char *folder, char why[WHY_BYTES])
{
    struct sheet s;
    sheet_open(&s, folder, "orders.csv", ORDER_COLUMNS);
    for (uint32_t i = 0; i < r->actions->count; i++) {
        const struct result_answer *a = &r->answers[i];
        for (uint32_t n = 0; n < a->orders; n++)
            write_order(r, &s, &r->orders[a->first_order + n]);
        bool is_repeated = is_to_place(&r->actions->actions[i]) && a->orders == 0;
        if (i >= r->sent || a->kind == ANSWER_REFUSED || is_repeated)
            write_other(r, &s, i);
    }
    bool is_kept = sheet_keep(&s);
    if (!is_kept)
        snprintf(why, WHY_BYTES, "%s", s.why);
    sheet_drop(&s);
    return is_kept;
}

bool
result_finish(struct result *r, struct engine *e, const char *folder, int64_t now_us,
              char why[WHY_BYTES])
{
    for (uint32_t i = 0; i < r->orders_count; i++) {
        struct result_order *o = &r->orders[i];
        const struct order_story row = {.order = o->order, .story = o->story};
        r->filled += o->order.status == ORDER_STATUS_FILLED;
        r->open += o->order.end_reason == ORDER_END_NONE;
        engine_why(e, &row, o->account_id, r->actions->count + 1 + i, now_us);
    }
    if (!sheet_keep(&r->fills_sheet)) {
        snprintf(why, WHY_BYTES, "%s", r->fills_sheet.why);
        return false;
    }
    return write_orders(r, folder, why);
}
