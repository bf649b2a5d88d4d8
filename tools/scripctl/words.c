/*
 * words.c - what the journal's messages say, in words.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/words.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "ledger/core/shape.h"
#include "ledger/core/why.h"
#include "scripctl/value.h"

#define ROOM_BYTES 256 /* what most additions fit into */

void
words_add(struct bytes *out, const char *format, ...)
{
    va_list args, again;
    bytes_reserve(out, ROOM_BYTES);
    size_t room = out->room - out->length;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf((char *)out->data + out->length, room, format, args);
    va_end(args);
    CHECK(length >= 0);
    if ((size_t)length >= room) {
        bytes_reserve(out, (size_t)length + 1);
        vsnprintf((char *)out->data + out->length, (size_t)length + 1, format, again);
    }
    va_end(again);
    out->length += (size_t)length;
}

const char *
words_text(const struct bytes *b)
{
    return b->length == 0 ? "" : (const char *)b->data;
}

void
words_amount(struct bytes *out, int64_t amount)
{
    char text[DECIMAL_BYTES];
    decimal_write_short(amount, text);
    words_add(out, "%s", text);
}

/* " at 64000": nothing for 0. */
static void
add_amount(struct bytes *out, const char *before, int64_t amount, const char *after)
{
    if (amount == 0)
        return;
    words_add(out, "%s", before);
    words_amount(out, amount);
    words_add(out, "%s", after);
}

static const char *
name_of(enum msg_enum id, uint32_t value)
{
    const char *name = msg_enum_name(id, value);
    return name == NULL ? "?" : name;
}

/* ---- Orders -----------------------------------------------------------------------------------
 */

static void
add_stop(struct bytes *out, const struct order_wish *w)
{
    add_amount(out, ", stop ", w->stop_price.v, "");
    if (w->trailing_delta != 0)
        words_add(out, ", trailing by %u bps", w->trailing_delta);
    if (w->trigger_source > TRIGGER_SOURCE_LAST)
        words_add(out, ", watching %s", name_of(MSG_ENUM_trigger_source, w->trigger_source));
}

void
words_wish(struct bytes *out, const struct order_wish *w)
{
    char time[VALUE_TIME_BYTES];
    words_add(out, "%s %s ", name_of(MSG_ENUM_side, w->side),
              name_of(MSG_ENUM_order_type, w->type));
    add_amount(out, "", w->quantity.v, " ");
    words_add(out, "%s", w->symbol.text);
    add_amount(out, " for ", w->quote_order_quantity.v, " ");
    if (w->quote_order_quantity.v != 0)
        words_add(out, "%s", w->quote_asset.text);
    add_amount(out, " at ", w->price.v, "");
    add_stop(out, w);
    if (w->time_in_force > TIME_IN_FORCE_GTC)
        words_add(out, ", %s", name_of(MSG_ENUM_time_in_force, w->time_in_force));
    if (w->expire_us != 0)
        words_add(out, " until %s", value_time_text(w->expire_us, time));
    add_amount(out, ", showing ", w->iceberg_quantity.v, "");
    if (w->self_trade_prevention > SELF_TRADE_PREVENTION_ALLOW)
        words_add(out, ", %s", name_of(MSG_ENUM_self_trade_prevention, w->self_trade_prevention));
    if (w->client_order_id.text[0] != 0 && !w->id_was_made)
        words_add(out, ", called %s", w->client_order_id.text);
}

const char *
words_end(enum order_end end)
{
    if (end == ORDER_END_NONE)
        return "it is open";
    if (end == ORDER_END_COMPLETE)
        return "all of it is filled";
    return end == ORDER_END_CLIENT_CANCEL ? "its client cancelled it" : why_ended(end);
}

/* ---- Messages ---------------------------------------------------------------------------------
 */

static void
say_report_fills(struct bytes *out, const struct order_report *r)
{
    int64_t least = INT64_MAX, most = 0;
    int64_t sum = 0;
    for (uint32_t i = 0; i < r->fills_count; i++) {
        int64_t price = r->fills[i].price.v;
        least = price < least ? price : least;
        most = price > most ? price : most;
        if (__builtin_add_overflow(sum, r->fills[i].quantity.v, &sum))
            sum = INT64_MAX;
    }
    if (r->fills_count == 0)
        return;
    words_add(out, ", filled ");
    words_amount(out, sum);
    words_add(out, " at ");
    words_amount(out, least);
    add_amount(out, " to ", most == least ? 0 : most, "");
    if (r->fills_count > 1)
        words_add(out, " in %u fills", r->fills_count);
}

static void
say_report(struct bytes *out, const struct order_report *r)
{
    words_add(out, "order %llu", (unsigned long long)r->order_id);
    size_t before = out->length;
    if (r->triggered_us != 0)
        words_add(out, ", set off");
    if (r->rank != 0)
        words_add(out, ", rests with rank %llu", (unsigned long long)r->rank);
    say_report_fills(out, r);
    add_amount(out, ", trailed to ", r->trail_extreme.v, "");
    add_amount(out, ", ", r->prevented.v, " prevented");
    add_amount(out, ", lowered to ", r->trimmed_to.v, "");
    if (r->end != ORDER_END_NONE)
        words_add(out, ", %s", words_end(r->end));
    if (out->length == before)
        words_add(out, ", nothing new");
    else
        out->data[before] = ':';
}

static void
say_replace(struct bytes *out, const struct order_replace *p)
{
    const struct order_place placed = shape_of_replace(p);
    const struct order_wish wish = shape_to_wish(&placed);
    words_wish(out, &wish);
    words_add(out, " in place of order ");
    if (p->cancel_order_id != 0)
        words_add(out, "%llu", (unsigned long long)p->cancel_order_id);
    else
        words_add(out, "%s", p->cancel_client_order_id.text);
}

static void
say_list(struct bytes *out, const struct list_place *p)
{
    words_add(out, "%s:", name_of(MSG_ENUM_contingency, p->contingency));
    for (uint32_t i = 0; i < p->orders_count; i++) {
        words_add(out, i == 0 ? " " : "; ");
        words_wish(out, &p->orders[i]);
    }
}

static void
say_open(struct bytes *out, const struct account_open *p)
{
    words_add(out, "opened for user %llu with ", (unsigned long long)p->user_id);
    words_amount(out, p->spot_balance.v);
    words_add(out, " USDT spot and ");
    words_amount(out, p->futures_balance.v);
    words_add(out, " USDT futures, tier %u", p->tier);
}

static void
say_balance(struct bytes *out, const struct balance_set *p)
{
    words_add(out, "%s balance set to ", name_of(MSG_ENUM_trading_type, p->trading_type));
    words_amount(out, p->balance.v);
    words_add(out, " USDT");
    if (p->source != BALANCE_SOURCE_NONE)
        words_add(out, ", %s", name_of(MSG_ENUM_balance_source, p->source));
    if (p->changed_by != 0)
        words_add(out, ", by user %llu", (unsigned long long)p->changed_by);
}

/* What a client can set, as it stands in the message. */
static void
say_settings(struct bytes *out, const struct settings_set *p)
{
    const struct msg_layout *l = msg_layout(MSG_settings_set);
    words_add(out, "%s settings", name_of(MSG_ENUM_trading_type, p->trading_type));
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        bool was_zero = f->tag < 32 && (p->fill_overrides >> f->tag & 1) != 0;
        if ((f->flags & MSG_FLAG_IN) == 0 || (f->flags & MSG_FLAG_REQ) != 0 ||
            (msg_field_zero(f, p) && !was_zero))
            continue;
        words_add(out, ", %s ", f->name);
        words_value(out, f, p);
    }
    if (p->mode == TRADING_MODE_REAL)
        words_add(out, ", key ...%s", p->api_key_tail.text);
    if (p->changed_by != 0)
        words_add(out, ", by user %llu", (unsigned long long)p->changed_by);
}

/* ---- The exchange -----------------------------------------------------------------------------
 */

static void
say_why(struct bytes *out, enum err error, int64_t code, const text_t *message)
{
    if (error != OK)
        words_add(out, " (%s)", err_name(error));
    if (code != 0)
        words_add(out, ", its code %lld", (long long)code);
    if (message->text[0] != 0)
        words_add(out, ": \"%s\"", message->text);
}

/* "testnet said at ... of order 12: it has it as #4711, FILLED, 0.5 filled" */
static void
say_heard(struct bytes *out, const struct bridge_report *r)
{
    char time[VALUE_TIME_BYTES];
    words_add(out, "%s said", name_of(MSG_ENUM_environment, r->environment));
    if (r->time_us != 0)
        words_add(out, " at %s", value_time_text(r->time_us, time));
    words_add(out, " of order %llu: ", (unsigned long long)r->order_id);
    switch (r->exchange_state) {
    case EXCHANGE_STATE_PLACED:
        words_add(out, "it has it as #%llu, %s", (unsigned long long)r->exchange_order_id,
                  name_of(MSG_ENUM_order_status, r->status));
        add_amount(out, ", ", r->executed_quantity.v, " filled");
        add_amount(out, ", sent as ", r->placed_quantity.v, "");
        add_amount(out, " at ", r->placed_price.v, "");
        return;
    case EXCHANGE_STATE_REFUSED:
        words_add(out, "it refused it");
        break;
    case EXCHANGE_STATE_NOT_PLACED:
        words_add(out, "it never had it, and never will");
        break;
    default:
        words_add(out, "nobody knows what became of it");
    }
    say_why(out, r->error, r->exchange_code, &r->message);
}

static void
say_account(struct bytes *out, const struct exchange_account *a)
{
    char time[VALUE_TIME_BYTES];
    words_add(out, "%s said what the %s account has as of %s: ",
              name_of(MSG_ENUM_environment, a->environment),
              name_of(MSG_ENUM_trading_type, a->trading_type), value_time_text(a->as_of_us, time));
    words_add(out, "%u assets", a->balances_count);
    if (a->positions_count > 0)
        words_add(out, ", %u positions", a->positions_count);
    words_add(out, a->is_whole ? ", and nothing else" : "");
}

static void
say_settle(struct bytes *out, const struct order_settle *c)
{
    words_add(out, "%s %s order %llu: \"%s\"", c->changed_by.text,
              c->settlement == SETTLEMENT_NOT_PLACED ? "settled as never placed"
                                                     : "had the exchange asked again about",
              (unsigned long long)c->order_id, c->reason.text);
}

static void
say_place(struct bytes *out, const struct order_place *p)
{
    const struct order_wish wish = shape_to_wish(p);
    words_wish(out, &wish);
    if (p->environment == ENVIRONMENT_NONE)
        return;
    words_add(out, ", really, at %s", name_of(MSG_ENUM_environment, p->environment));
    if (p->has_twin)
        words_add(out, ", mirrored on paper");
    if (p->twin_refused != OK)
        words_add(out, ", not mirrored on paper (%s)", err_name(p->twin_refused));
}

void
words_message(struct bytes *out, const struct msg *m)
{
    char text[1024];
    switch ((int)m->type) {
    case MSG_account_open:
        say_open(out, &m->account_open);
        break;
    case MSG_balance_set:
        say_balance(out, &m->balance_set);
        break;
    case MSG_settings_set:
        say_settings(out, &m->settings_set);
        break;
    case MSG_tier_set:
        words_add(out, "moved to fee tier %u", m->tier_set.tier);
        break;
    case MSG_order_place:
        say_place(out, &m->order_place);
        break;
    case MSG_bridge_report:
        say_heard(out, &m->bridge_report);
        break;
    case MSG_exchange_account:
        say_account(out, &m->exchange_account);
        break;
    case MSG_order_settle:
        say_settle(out, &m->order_settle);
        break;
    case MSG_order_replace:
        say_replace(out, &m->order_replace);
        break;
    case MSG_list_place:
        say_list(out, &m->list_place);
        break;
    case MSG_order_report:
        say_report(out, &m->order_report);
        break;
    default:
        msg_print(m, text, sizeof(text));
        words_add(out, "%s", text);
    }
}

/* ---- Stories ----------------------------------------------------------------------------------
 */

void
words_story(struct bytes *out, const struct story *s)
{
    char time[VALUE_TIME_BYTES];
    words_add(out, "it reached the book");
    if (s->arrived_us != 0)
        words_add(out, " at %s", value_time_text(s->arrived_us, time));
    if (s->bid_at_arrival.v != 0 || s->ask_at_arrival.v != 0) {
        words_add(out, " when bid and ask were ");
        words_amount(out, s->bid_at_arrival.v);
        words_add(out, " and ");
        words_amount(out, s->ask_at_arrival.v);
    }
    add_amount(out, ", with ", s->ahead_at_arrival.v, " ahead of it");
    add_amount(out, ", ", s->printed.v, " traded at its price or through it meanwhile");
    add_amount(out, ", ", s->cancelled_ahead.v, " was taken to be cancelled ahead of it");
    add_amount(out, ", ", s->ahead.v, " was still ahead of it at its end");
    add_amount(out, ", the other side came as near as ", s->nearest_price.v, "");
    add_amount(out, ", ", s->trigger_price.v, " set it off");
    if (s->trigger_sequence != 0)
        words_add(out, " (tick #%llu)", (unsigned long long)s->trigger_sequence);
    add_amount(out, ", it trailed to ", s->trail_extreme.v, "");
    if (s->held_us != 0)
        words_add(out, ", stale market data held its fills for %lld ms",
                  (long long)(s->held_us / 1000));
}
