/*
 * life_entry.c - what a record did to one account's balances, step by step, and entries as text and
 * JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "scripctl/life.h"
#include "scripctl/places.h"
#include "scripctl/value.h"
#include "scripctl/words.h"
#include "wire/json.h"

/* ---- Whose ------------------------------------------------------------------------------------
 */

static bool
is_of_order(struct life_subject *subject, const struct twin_step *step)
{
    for (uint32_t i = 0; i < step->orders_count; i++) {
        const struct order *o = &step->orders[i].order;
        if (o->order_id == subject->order_id)
            subject->account_id = o->account_id;
        if (o->order_id == subject->order_id || o->replaces == subject->order_id)
            return true;
    }
    return false;
}

bool
life_is_of(struct life_subject *subject, const struct twin_step *step)
{
    if (subject->order_id != 0)
        return is_of_order(subject, step);
    uint64_t id = subject->account_id;
    for (uint32_t i = 0; i < step->postings_count; i++)
        if (step->postings[i].account_id == id)
            return true;
    for (uint32_t i = 0; i < step->orders_count; i++)
        if (step->orders[i].order.account_id == id)
            return true;
    for (uint32_t i = 0; i < step->accounts_count; i++)
        if (step->accounts[i].account_id == id)
            return true;
    return false;
}

/* ---- Postings ---------------------------------------------------------------------------------
 */

static struct life_posting *
posting_add(struct life_entry *e, const char *what, const struct twin_posting *p)
{
    e->postings =
        array_room(e->postings, e->postings_count, &e->postings_max, sizeof(*e->postings));
    struct life_posting *new = &e->postings[e->postings_count++];
    *new = (struct life_posting){.what = what, .wallet = p->wallet, .asset = p->asset};
    return new;
}

/* A balance on its way from what it was to what it is. */
struct balance_walk {
    const struct twin_posting *posting;
    money_t free, held; /* so far */
};

static void
move(struct life_entry *e, struct balance_walk *w, const char *what, int64_t free, int64_t held,
     uint64_t trade_id)
{
    if (free == 0 && held == 0)
        return;
    struct life_posting *p = posting_add(e, what, w->posting);
    w->free.v += free;
    w->held.v += held;
    p->free_change.v = free;
    p->held_change.v = held;
    p->free = w->free;
    p->held = w->held;
    p->trade_id = trade_id;
}

static struct balance_walk *
walk_of(struct balance_walk *walks, uint32_t count, code_t asset)
{
    for (uint32_t i = 0; i < count; i++)
        if (walks[i].posting->wallet == WALLET_spot && code_same(walks[i].posting->asset, asset))
            return &walks[i];
    return NULL;
}

static void
move_fill(struct life_entry *e, struct balance_walk *walks, uint32_t count, const struct trade *t)
{
    const struct order_row *row = NULL;
    for (uint32_t i = 0; i < e->step->orders_count; i++)
        if (e->step->orders[i].order.order_id == t->order_id)
            row = &e->step->orders[i];
    if (row == NULL)
        return;
    bool buys = t->side == SIDE_BUY;
    int64_t base = t->quantity.v, quote = t->quote_quantity.v;
    struct balance_walk *pays = walk_of(walks, count, buys ? row->quote_asset : row->base_asset);
    struct balance_walk *gets = walk_of(walks, count, buys ? row->base_asset : row->quote_asset);
    if (pays != NULL)
        move(e, pays, "paid", 0, buys ? -quote : -base, t->trade_id);
    if (gets == NULL)
        return;
    move(e, gets, "received", buys ? base : quote, 0, t->trade_id);
    move(e, gets, "fee", -t->fee.v, 0, t->trade_id);
}

/* What is left once the fills were told. */
static void
move_rest(struct life_entry *e, struct balance_walk *w)
{
    int64_t free = w->posting->free.v - w->free.v, held = w->posting->held.v - w->held.v;
    const char *what = "moved";
    if (e->step->cmd->type == MSG_account_open)
        what = "opening";
    else if (e->step->cmd->type == MSG_balance_set || wallet_is_exchange(w->posting->wallet))
        what = "set"; /* at the exchange: as that told, or left behind */
    else if (held == -free)
        what = held > 0 ? "held" : "released";
    move(e, w, what, free, held, 0);
}

static void
make_postings(struct life_entry *e)
{
    const struct twin_step *s = e->step;
    struct balance_walk *walks = calloc(s->postings_count + 1, sizeof(*walks));
    uint32_t count = 0;
    CHECK(walks != NULL);
    for (uint32_t i = 0; i < s->postings_count; i++)
        if (s->postings[i].account_id == e->subject.account_id)
            walks[count++] = (struct balance_walk){&s->postings[i], s->postings[i].free_before,
                                                   s->postings[i].held_before};
    for (uint32_t i = 0; i < s->trades_count; i++)
        if (s->trades[i].account_id == e->subject.account_id)
            move_fill(e, walks, count, &s->trades[i].trade);
    for (uint32_t i = 0; i < count; i++)
        move_rest(e, &walks[i]);
    free(walks);
}

/* ---- Entries ----------------------------------------------------------------------------------
 */

void
life_add(struct life_entry *e, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    bytes_add(&e->words, text, strlen(text) + 1);
    e->words_count++;
}

void
life_entry_make(struct life_entry *e, const struct life_subject *subject,
                const struct twin_step *step)
{
    e->step = step;
    e->subject = *subject;
    e->words_count = e->postings_count = 0;
    bytes_clear(&e->words);
    make_postings(e);
    life_say(e);
}

void
life_entry_free(struct life_entry *e)
{
    bytes_free(&e->words);
    free(e->postings);
}

/* ---- For people -------------------------------------------------------------------------------
 */

#define LABEL_BYTES (CODE_BYTES + 24)

static int
label(const struct life_posting *p, char out[LABEL_BYTES])
{
    static const char *const wallets[] = {[WALLET_spot] = "",
                                          [WALLET_futures] = " (futures)",
                                          [WALLET_exchange_spot] = " (exchange)",
                                          [WALLET_exchange_futures] = " (exchange, futures)"};
    const char *wallet = wallets[p->wallet];
    return snprintf(out, LABEL_BYTES, "%s%s", p->asset.text, wallet);
}

static void
print_posting(const struct life_posting *p, int width, struct out *o)
{
    char free[DECIMAL_BYTES], held[DECIMAL_BYTES], change[DECIMAL_BYTES], name[LABEL_BYTES];
    int64_t moved = p->free_change.v != 0 ? p->free_change.v : p->held_change.v;
    decimal_write(p->free.v, free);
    decimal_write(p->held.v, held);
    decimal_write(moved, change);
    bool is_move = p->free_change.v != 0 && p->held_change.v != 0;
    const char *sign = is_move ? "" : moved > 0 ? "+" : "-";
    label(p, name);
    out_say(o, "      %-8s  %s%*s %-*s  free %16s  held %16s", p->what, sign, *sign == 0 ? 18 : 17,
            moved < 0 ? change + 1 : change, width, name, free, held);
}

#define LINE_CHARS 100
#define INDENT     4

/* A sentence, in as many lines as it takes. */
static void
print_sentence(const char *text, struct out *o)
{
    int indent = INDENT;
    while (*text != 0) {
        int room = LINE_CHARS - indent, length = (int)strlen(text);
        if (length > room) {
            length = room;
            while (length > 0 && text[length] != ' ')
                length--;
            length = length == 0 ? (int)strcspn(text, " ") : length;
        }
        out_say(o, "%*s%.*s", indent, "", length, text);
        text += length;
        text += strspn(text, " ");
        indent = 2 * INDENT;
    }
}

void
life_entry_print(const struct life_entry *e, struct out *o)
{
    const struct journal_record *r = e->step->record;
    const struct msg_layout *l = msg_layout((enum msg_type)r->kind);
    char time[VALUE_TIME_BYTES];
    char request[32] = "";
    if (r->corr != 0)
        snprintf(request, sizeof(request), ", request %016llx", (unsigned long long)r->corr);
    out_say(o, "%s  record %llu, %s from %s%s", value_time_text(r->time_us, time),
            (unsigned long long)r->seq, l == NULL ? "?" : l->name, r->source.text, request);
    const char *at = (const char *)e->words.data;
    for (uint32_t i = 0; i < e->words_count; i++, at += strlen(at) + 1)
        print_sentence(at, o);
    int width = 0;
    for (uint32_t i = 0; i < e->postings_count; i++) {
        char name[LABEL_BYTES];
        int length = label(&e->postings[i], name);
        width = length > width ? length : width;
    }
    for (uint32_t i = 0; i < e->postings_count; i++)
        print_posting(&e->postings[i], width, o);
    out_say(o, "%s", "");
}

/* ---- As JSON ----------------------------------------------------------------------------------
 */

static void
add_amount(struct bytes *out, const char *name, money_t amount)
{
    char text[DECIMAL_BYTES];
    decimal_write(amount.v, text);
    words_add(out, ",\"%s\":\"%s\"", name, text);
}

static void
add_text(struct bytes *out, const char *name, const char *text)
{
    words_add(out, "\"%s\":", name);
    json_write_text(out, text);
}

void
life_order_json(const struct order_row *row, struct bytes *out)
{
    words_json(out, msg_record_at(MSG_RECORD_order), &row->order, true);
    out->length--;
    words_add(out, ",\"base_asset\":\"%s\",\"quote_asset\":\"%s\"", row->base_asset.text,
              row->quote_asset.text);
    add_amount(out, "hold", row->hold);
    add_amount(out, "worst_price", (money_t){row->worst_price.v});
    words_add(out, ",\"rank\":%llu,\"fills\":%u}", (unsigned long long)row->rank, row->fills);
}

static void
add_posting(struct bytes *out, const struct life_posting *p)
{
    words_add(out, "{\"what\":\"%s\",\"wallet\":\"%s\",", p->what,
              msg_enum_name(MSG_ENUM_wallet, p->wallet));
    add_text(out, "asset", p->asset.text);
    add_amount(out, "free_change", p->free_change);
    add_amount(out, "held_change", p->held_change);
    add_amount(out, "free", p->free);
    add_amount(out, "held", p->held);
    if (p->trade_id == 0)
        words_add(out, ",\"trade_id\":null}");
    else
        words_add(out, ",\"trade_id\":%llu}", (unsigned long long)p->trade_id);
}

static void
add_head(struct bytes *out, const struct journal_record *r)
{
    const struct msg_layout *l = msg_layout((enum msg_type)r->kind);
    char time[VALUE_TIME_BYTES];
    words_add(out, "{\"shard\":%u,\"seq\":%llu,\"time\":\"%s\",\"kind\":\"%s\",", r->shard,
              (unsigned long long)r->seq, value_time_text(r->time_us, time),
              l == NULL ? "?" : l->name);
    add_text(out, "source", r->source.text);
    if (r->corr == 0)
        words_add(out, ",\"corr\":null,\"hash\":\"");
    else
        words_add(out, ",\"corr\":\"%016llx\",\"hash\":\"", (unsigned long long)r->corr);
    for (int i = 0; i < HASH_BYTES; i++)
        words_add(out, "%02x", r->hash[i]);
    words_add(out, "\"");
}

void
life_entry_json(const struct life_entry *e, struct bytes *out)
{
    const struct twin_step *s = e->step;
    const char *before = "", *at = (const char *)e->words.data;
    add_head(out, s->record);
    words_add(out, ",\"words\":[");
    for (uint32_t i = 0; i < e->words_count; i++, at += strlen(at) + 1) {
        words_add(out, i == 0 ? "" : ",");
        json_write_text(out, at);
    }
    words_add(out, "],\"command\":");
    words_json(out, msg_layout(s->cmd->type), msg_body_const(s->cmd), false);
    words_add(out, ",\"orders\":[");
    for (uint32_t i = 0; i < s->orders_count; i++) {
        if (s->orders[i].order.account_id != e->subject.account_id)
            continue;
        words_add(out, "%s", before);
        life_order_json(&s->orders[i], out);
        before = ",";
    }
    words_add(out, "],\"fills\":[");
    before = "";
    for (uint32_t i = 0; i < s->trades_count; i++) {
        if (s->trades[i].account_id != e->subject.account_id)
            continue;
        words_add(out, "%s", before);
        words_json(out, msg_record_at(MSG_RECORD_trade), &s->trades[i].trade, true);
        before = ",";
    }
    words_add(out, "],\"postings\":[");
    for (uint32_t i = 0; i < e->postings_count; i++) {
        words_add(out, i == 0 ? "" : ",");
        add_posting(out, &e->postings[i]);
    }
    words_add(out, "]}");
}
