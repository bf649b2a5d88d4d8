/*
 * reply_stream.c - the events of user data streams, of both markets; see reply.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "exchange-bridge/core/reply_account.h"

/* ---- Orders ------------------------------------------------------------------------------- */

/* What both markets' reports have, by the same letters; spot says its time beside them. */
struct report {
    struct slice s, c, C, q, p, X, x, i, l, z, L, n, N, T, t, m, Y;
};

static bool
fill_of(const struct report *r, struct reply_order *o)
{
    struct exchange_fill *f = &o->fills[0];
    *f = (struct exchange_fill){.executed_after = o->executed, .time_us = o->time_us};
    if (!read_trade_id(r->t, &f->trade_id) || !read_amount(r->L, &f->price.v) || f->price.v == 0 ||
        !read_amount(r->l, &f->quantity.v) || f->quantity.v == 0 || f->quantity.v > o->executed.v ||
        (is_there(r->n) && !read_signed(r->n, &f->fee.v)) ||
        (is_there(r->N) && !read_code(r->N, &f->fee_asset)) || r->m.kind != 'w')
        return false;
    if (is_there(r->Y) ? !read_amount(r->Y, &f->quote_quantity.v)
                       : notional_floor(f->price, f->quantity, &f->quote_quantity) != OK)
        return false;
    f->is_maker = read_true(r->m);
    o->fills_count = 1;
    return true;
}

/* On a cancel of spot, `c` is the cancel's own id and `C` the order's; else `C` is empty. */
static bool
order_of(const struct report *r, struct stream_event *out)
{
    struct reply_order *o = &out->order;
    struct slice client = r->C.kind == 's' && r->C.length > 0 ? r->C : r->c;
    o->fills_count = 0;
    if (!read_code(r->s, &o->symbol) || !slice_u64(r->i, &o->exchange_order_id) ||
        o->exchange_order_id == 0 || !read_client_id(client, &o->client_id) ||
        !read_amount(r->q, &o->quantity.v) || !read_amount(r->z, &o->executed.v) ||
        !read_amount(r->p, &o->price.v) || !read_time(r->T, &o->time_us) || r->x.kind != 's' ||
        r->X.kind != 's' || (o->quantity.v != 0 && o->executed.v > o->quantity.v))
        return false;
    o->status = read_status(r->X, o->executed);
    out->kind = o->status == ORDER_STATUS_NONE ? STREAM_EVENT_CHANGED : STREAM_EVENT_ORDER;
    /* CALCULATED: a liquidation's execution. */
    if (slice_is(r->x, "TRADE") || slice_is(r->x, "CALCULATED"))
        return fill_of(r, o);
    return true;
}

#define REPORT_MEMBERS(r)                                                                          \
    {"s", &(r).s}, {"c", &(r).c}, {"q", &(r).q}, {"p", &(r).p}, {"X", &(r).X}, {"x", &(r).x},      \
        {"i", &(r).i}, {"l", &(r).l}, {"z", &(r).z}, {"L", &(r).L}, {"n", &(r).n}, {"N", &(r).N},  \
        {"T", &(r).T}, {"t", &(r).t},                                                              \
    {                                                                                              \
        "m", &(r).m                                                                                \
    }

static bool
spot_order(struct slice event, struct stream_event *out)
{
    struct report r;
    const struct member list[] = {REPORT_MEMBERS(r), {"C", &r.C}, {"Y", &r.Y}};
    return members_read(event, MEMBERS(list)) && order_of(&r, out);
}

static bool
usdm_order(struct slice event, struct stream_event *out)
{
    struct report r = {.C = {0}};
    struct slice order;
    const struct member outer[] = {{"o", &order}};
    const struct member list[] = {REPORT_MEMBERS(r)};
    return members_read(event, MEMBERS(outer)) && members_read(order, MEMBERS(list)) &&
           order_of(&r, out);
}

/* ---- Accounts ----------------------------------------------------------------------------- */

/* More than there is room for is better asked for as a whole. */
static bool
ask_for_all(struct stream_event *out)
{
    account_clear(&out->account);
    out->kind = STREAM_EVENT_CHANGED;
    return true;
}

static bool
spot_account(struct slice event, struct stream_event *out)
{
    struct slice list, time, item, asset, free, locked;
    const struct member outer[] = {{"B", &list}, {"u", &time}};
    const struct member inner[] = {{"a", &asset}, {"f", &free}, {"l", &locked}};
    struct reply_account *a = &out->account;
    struct items it;
    out->kind = STREAM_EVENT_ACCOUNT;
    if (!members_read(event, MEMBERS(outer)) || !items_begin(&it, list) ||
        (is_there(time) && !read_time(time, &a->time_us)))
        return false;
    if (a->time_us == 0)
        a->time_us = out->time_us;
    while (items_next(&it, &item)) {
        if (a->balances_count == a->balances_max)
            return ask_for_all(out);
        if (!members_read(item, MEMBERS(inner)) || !is_there(locked) ||
            !account_balance(a, asset, free, locked, true))
            return false;
    }
    return it.is_whole;
}

static bool
usdm_balances(struct slice list, struct reply_account *a, bool *is_full)
{
    struct slice item, asset, balance;
    const struct member inner[] = {{"a", &asset}, {"wb", &balance}};
    struct items it;
    if (!is_there(list))
        return true;
    if (!items_begin(&it, list))
        return false;
    while (items_next(&it, &item)) {
        *is_full = *is_full || a->balances_count == a->balances_max;
        if (!members_read(item, MEMBERS(inner)) ||
            (!*is_full && !account_balance(a, asset, balance, (struct slice){0}, true)))
            return false;
    }
    return it.is_whole;
}

/* One side of a hedged position is not all of it. */
static bool
usdm_positions(struct slice list, struct reply_account *a, bool *is_full)
{
    struct slice item, symbol, quantity, entry, side;
    const struct member inner[] = {
        {"s", &symbol}, {"pa", &quantity}, {"ep", &entry}, {"ps", &side}};
    struct items it;
    if (!is_there(list))
        return true;
    if (!items_begin(&it, list))
        return false;
    while (items_next(&it, &item)) {
        *is_full = *is_full || a->positions_count == a->positions_max;
        if (!members_read(item, MEMBERS(inner)))
            return false;
        *is_full = *is_full || (is_there(side) && !slice_is(side, "BOTH"));
        if (!*is_full && !account_position(a, symbol, quantity, entry, true))
            return false;
    }
    return it.is_whole;
}

static bool
usdm_account(struct slice event, struct stream_event *out)
{
    struct slice inner, time, balances, positions;
    const struct member outer[] = {{"a", &inner}, {"T", &time}};
    const struct member list[] = {{"B", &balances}, {"P", &positions}};
    struct reply_account *a = &out->account;
    bool is_full = false;
    out->kind = STREAM_EVENT_ACCOUNT;
    if (!members_read(event, MEMBERS(outer)) || !members_read(inner, MEMBERS(list)) ||
        (is_there(time) && !read_time(time, &a->time_us)) ||
        !usdm_balances(balances, a, &is_full) || !usdm_positions(positions, a, &is_full))
        return false;
    if (a->time_us == 0)
        a->time_us = out->time_us;
    return is_full ? ask_for_all(out) : true;
}

/* ---- Which event it is -------------------------------------------------------------------- */

static bool
event_read(enum trading_type market, struct slice event, struct stream_event *out)
{
    struct slice name, time;
    const struct member list[] = {{"e", &name}, {"E", &time}};
    if (!members_read(event, MEMBERS(list)) || name.kind != 's' ||
        (is_there(time) && !read_time(time, &out->time_us)))
        return false;
    bool spot = market == TRADING_TYPE_spot;
    if (slice_is(name, spot ? "executionReport" : "ORDER_TRADE_UPDATE"))
        return spot ? spot_order(event, out) : usdm_order(event, out);
    if (slice_is(name, spot ? "outboundAccountPosition" : "ACCOUNT_UPDATE"))
        return spot ? spot_account(event, out) : usdm_account(event, out);
    static const struct {
        const char *name;
        enum stream_event_kind kind;
    } OTHERS[] = {{"balanceUpdate", STREAM_EVENT_CHANGED},
                  {"externalLockUpdate", STREAM_EVENT_CHANGED},
                  {"listenKeyExpired", STREAM_EVENT_ENDED},
                  {"eventStreamTerminated", STREAM_EVENT_ENDED},
                  {"serverShutdown", STREAM_EVENT_SHUTDOWN}};
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
        if (slice_is(name, OTHERS[i].name))
            out->kind = OTHERS[i].kind;
    return true;
}

/* An id of ours is a number; a server may give it back as a string. */
static uint64_t
id_of(struct slice id)
{
    uint64_t value;
    id.kind = id.kind == 's' ? 'n' : id.kind;
    return slice_u64(id, &value) ? value : 0;
}

static bool
answer_read(struct slice id, struct slice status, struct slice error, struct stream_event *out)
{
    struct slice code, text;
    const struct member list[] = {{"code", &code}, {"msg", &text}};
    out->kind = STREAM_EVENT_ANSWER;
    out->id = id_of(id);
    if (is_there(status) && !read_i64(status, &out->code))
        return false;
    if (!is_there(error))
        return true;
    if (!members_read(error, MEMBERS(list)) || !read_i64(code, &out->error))
        return false;
    read_sentence(text, out->message);
    return true;
}

static void
event_clear(struct stream_event *e)
{
    e->kind = STREAM_EVENT_NONE;
    e->time_us = e->code = e->error = 0;
    e->id = 0;
    memset(e->message, 0, sizeof(e->message));
    e->order.fills_count = 0;
    account_clear(&e->account);
}

/* Events come bare, in spot's envelope `event`, or in that of a combined stream, `data`. */
bool
reply_stream_event(enum trading_type market, const char *json, size_t length,
                   struct stream_event *out)
{
    struct slice name, event, data, id, status, result, error, whole;
    const struct member list[] = {{"e", &name},     {"event", &event},   {"data", &data},
                                  {"id", &id},      {"status", &status}, {"result", &result},
                                  {"error", &error}};
    struct scan s = {json, json + length};
    event_clear(out);
    if (!scan_value(&s, &whole) || !scan_done(&s) || !members_read(whole, MEMBERS(list)))
        return false;
    if (is_there(name))
        return event_read(market, whole, out);
    if (event.kind == '{')
        return event_read(market, event, out);
    if (data.kind == '{')
        return event_read(market, data, out);
    if (id.kind != 0 && (status.kind != 0 || result.kind != 0 || error.kind != 0))
        return answer_read(id, status, error, out);
    return true;
}
