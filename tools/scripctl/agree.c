/*
 * agree.c - see agree.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/agree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/core/ledger.h"

#define ERRORS_MAX 1024 /* above every number of errors.def */
#define SHOWN_MAX  20

/* ---- One order ------------------------------------------------------------------------------- */

void
agree_take(struct plan_order *o, const struct order_view *there)
{
    o->is_known = true;
    o->there = there->order;
    o->there_fills = there->fills_count;
    o->there_fee_base = o->there_fee_quote = 0;
    for (uint32_t i = 0; i < there->fills_count; i++) {
        const struct trade *t = &there->fills[i];
        *(t->side == SIDE_BUY ? &o->there_fee_base : &o->there_fee_quote) += t->fee.v;
    }
    bool has_all_fills = there->fills_count < LEDGER_VIEW_FILLS;
    o->agrees = o->order.status == o->there.status && o->order.end_reason == o->there.end_reason &&
                o->order.quantity.v == o->there.quantity.v &&
                o->order.executed_quantity.v == o->there.executed_quantity.v &&
                o->order.executed_quote_quantity.v == o->there.executed_quote_quantity.v &&
                (!has_all_fills ||
                 (o->fee_base == o->there_fee_base && o->fee_quote == o->there_fee_quote));
}

const char *
agree_what(const struct plan *p, const struct plan_order *o)
{
    const struct plan_command *command = &p->commands[o->command];
    if (o->agrees)
        return "";
    if (o->there_id == 0)
        return command->outcome == PLAN_REFUSED      ? "it was refused there"
               : command->outcome == PLAN_UNANSWERED ? "nobody answered"
                                                     : "it was not sent";
    if (!o->is_known)
        return "it is not told of there";
    if (o->there.executed_quantity.v < o->order.executed_quantity.v)
        return o->there.executed_quantity.v == 0 ? "not filled there" : "filled less there";
    if (o->there.executed_quantity.v > o->order.executed_quantity.v)
        return o->order.executed_quantity.v == 0 ? "filled there only" : "filled more there";
    if (o->there.executed_quote_quantity.v != o->order.executed_quote_quantity.v)
        return "filled at other prices";
    if (o->there.status != o->order.status || o->there.end_reason != o->order.end_reason)
        return "it ended otherwise";
    if (o->there.quantity.v != o->order.quantity.v)
        return "its quantity differs";
    return "its fees differ";
}

/* ---- Tables ---------------------------------------------------------------------------------- */

struct tally {
    uint64_t planned, told, sent, accepted, refused, unanswered, kept_back;
    uint64_t orders, agree, differ, fills, fills_there;
    uint32_t refusals[ERRORS_MAX];
    int64_t *times;
};

static void
tally_make(struct tally *t, const struct plan *p)
{
    t->times = calloc(p->commands_count + 1, sizeof *t->times);
    CHECK(t->times != NULL);
    t->planned = p->commands_count;
    for (uint32_t i = 0; i < p->commands_count; i++) {
        const struct plan_command *c = &p->commands[i];
        t->told += c->is_told;
        t->sent += c->sent_us != 0;
        t->kept_back += c->sent_us == 0;
        if (c->outcome == PLAN_ACCEPTED || c->outcome == PLAN_REFUSED)
            t->times[t->accepted + t->refused] = c->took_us;
        t->accepted += c->outcome == PLAN_ACCEPTED;
        t->refused += c->outcome == PLAN_REFUSED;
        t->unanswered += c->outcome == PLAN_UNANSWERED;
        if (c->outcome == PLAN_REFUSED && (uint32_t)c->error < ERRORS_MAX)
            t->refusals[c->error]++;
    }
    for (uint32_t i = 0; i < p->orders_count; i++) {
        t->agree += p->orders[i].agrees;
        t->fills += p->orders[i].fills;
        t->fills_there += p->orders[i].there_fills;
    }
    t->orders = p->orders_count;
    t->differ = t->orders - t->agree;
}

static int
by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t
percentile(const struct tally *t, uint32_t percent)
{
    uint64_t count = t->accepted + t->refused;
    return count == 0 ? 0 : t->times[(count - 1) * percent / 100];
}

static void
tell_refusals(struct out *o, const struct plan *p, const struct tally *t)
{
    if (t->refused == 0)
        return;
    out_table(o, "refused_there commands> first_time first_command first_account>");
    for (uint32_t e = 0; e < ERRORS_MAX; e++) {
        uint32_t i = 0;
        while (t->refusals[e] > 0 && i < p->commands_count &&
               (p->commands[i].outcome != PLAN_REFUSED || (uint32_t)p->commands[i].error != e))
            i++;
        if (t->refusals[e] == 0 || i == p->commands_count)
            continue;
        out_text(o, err_name((enum err)e));
        out_uint(o, t->refusals[e]);
        out_time(o, p->commands[i].time_us);
        out_text(o, msg_layout(p->commands[i].type)->name);
        out_uint(o, p->commands[i].account_id);
        out_row_end(o);
    }
}

static const char *
stands(const struct order *o, bool is_known)
{
    if (!is_known)
        return "";
    return o->end_reason == ORDER_END_NONE || o->end_reason == ORDER_END_COMPLETE
               ? msg_enum_name(MSG_ENUM_order_status, o->status)
               : msg_enum_name(MSG_ENUM_order_end, o->end_reason);
}

static void
tell_difference(struct out *o, const struct plan *p, const struct plan_order *x)
{
    out_uint(o, p->commands[x->command].account_id);
    out_uint(o, x->order.order_id);
    out_text(o, x->order.client_order_id.text);
    out_text(o, x->order.symbol.text);
    out_text(o, msg_enum_name(MSG_ENUM_side, x->order.side));
    out_text(o, msg_enum_name(MSG_ENUM_order_type, x->order.type));
    out_text(o, agree_what(p, x));
    out_text(o, stands(&x->order, true));
    out_amount(o, x->order.executed_quantity.v);
    out_amount(o, x->order.executed_quote_quantity.v);
    out_text(o, stands(&x->there, x->is_known));
    out_amount(o, x->there.executed_quantity.v);
    out_amount(o, x->there.executed_quote_quantity.v);
    out_row_end(o);
}

static void
tell_differences(const struct call *c, const struct plan *p, const struct tally *t)
{
    uint64_t shown = 0, most = c->o.limit > 0 ? (uint64_t)c->o.limit : SHOWN_MAX;
    if (t->differ == 0)
        return;
    out_table(c->out, "account> order> client_order_id symbol side type difference here executed> "
                      "quote> there executed_there> quote_there>");
    for (uint32_t i = 0; i < p->orders_count && shown < most; i++)
        if (!p->orders[i].agrees) {
            tell_difference(c->out, p, &p->orders[i]);
            shown++;
        }
    if (shown < t->differ)
        out_say(c->out, "... and %llu more", (unsigned long long)(t->differ - shown));
}

/* What it comes to, in a sentence. */
static text_t
verdict_of(const struct tally *t)
{
    if (t->differ == 0 && t->refused == 0 && t->unanswered == 0 && t->kept_back == 0)
        return text_of("Every reply and every order agrees with the record.");
    if (t->fills > 0 && t->fills_there == 0)
        return text_of("Nothing was filled there: it has no market, or one that never came to "
                       "these prices.");
    if (t->differ > 0)
        return text_of("%llu of %llu orders differ: fills rest on the market, and it was not the "
                       "same there.",
                       (unsigned long long)t->differ, (unsigned long long)t->orders);
    return text_of("Orders agree, but not every command was accepted.");
}

static void
tell_summary(const struct call *c, const struct plan *p, struct tally *t, int64_t took_us)
{
    qsort(t->times, t->accepted + t->refused, sizeof *t->times, by_value);
    char columns[256];
    snprintf(columns, sizeof columns, "%s%s",
             "records> commands> told_by_reports> sent> accepted> refused> unanswered> kept_back> "
             "orders> agree> differ> fills> fills_there> ties> p50_us> p99_us> took_ms>",
             out_is_json(c->out) ? " verdict" : "");
    out_table(c->out, columns);
    out_uint(c->out, p->records);
    out_uint(c->out, t->planned);
    out_uint(c->out, t->told);
    out_uint(c->out, t->sent);
    out_uint(c->out, t->accepted);
    out_uint(c->out, t->refused);
    out_uint(c->out, t->unanswered);
    out_uint(c->out, t->kept_back);
    out_uint(c->out, t->orders);
    out_uint(c->out, t->agree);
    out_uint(c->out, t->differ);
    out_uint(c->out, t->fills);
    out_uint(c->out, t->fills_there);
    out_uint(c->out, p->ties);
    out_int(c->out, percentile(t, 50));
    out_int(c->out, percentile(t, 99));
    out_int(c->out, took_us / 1000);
    if (out_is_json(c->out))
        out_text(c->out, verdict_of(t).text);
    out_row_end(c->out);
    out_say(c->out, "%s", verdict_of(t).text);
}

/* ---- In words -------------------------------------------------------------------------------- */

static void
say_plan(const struct call *c, const struct plan *p, uint64_t differ)
{
    uint32_t with_more = 0, real = 0, unlike = 0;
    for (uint32_t i = 0; i < p->accounts_count; i++) {
        const struct plan_account *a = &p->accounts[i];
        with_more += a->has_more;
        real += a->is_real;
        unlike += a->fix_error != OK;
    }
    if (with_more > 0)
        out_say(c->out,
                "%u accounts had more than cash when the range began, which cannot be sent: what "
                "they sold of it is refused there.",
                with_more);
    if (real > 0)
        out_say(c->out,
                "%u accounts are not known to be in mode PAPER there: nothing was sent for "
                "them.",
                real);
    if (unlike > 0)
        out_say(c->out,
                "%u accounts could not be given the cash, fill rules or tier that they "
                "had.",
                unlike);
    if (p->ties > 0 && differ > 0)
        out_say(c->out,
                "%llu commands came in the same turn of the ledger as another account's: which was "
                "first is not in the journal, and orders that met each other then may differ.",
                (unsigned long long)p->ties);
    if (p->real > 0)
        out_say(c->out,
                "%llu real orders were left out: nothing of a record is sent to an exchange.",
                (unsigned long long)p->real);
    if (p->before > 0)
        out_say(c->out,
                "%llu cancels and amendments are of orders from before the range: they "
                "were left out.",
                (unsigned long long)p->before);
}

enum status
agree_tell(const struct call *c, const struct plan *p, int64_t took_us)
{
    struct tally *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    tally_make(t, p);
    tell_refusals(c->out, p, t);
    tell_differences(c, p, t);
    tell_summary(c, p, t, took_us);
    say_plan(c, p, t->differ);
    bool is_same = t->differ == 0 && t->refused == 0 && t->unanswered == 0 && t->kept_back == 0;
    free(t->times);
    free(t);
    return is_same ? STATUS_OK : STATUS_NO;
}
