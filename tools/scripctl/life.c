/*
 * life.c - the whole life of an order or an account, from replaying its shard.
 *
 * Every record of the shard is judged on the way, as `verify` does, so that what is told is
 * proved up to there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/life.h"

#include "ledger/core/account.h"
#include "scripctl/command.h"
#include "scripctl/progress.h"
#include "scripctl/source.h"
#include "scripctl/value.h"
#include "scripctl/words.h"

struct life {
    const struct call *c;
    struct life_subject subject;
    uint32_t shard;
    struct twin *twin;
    struct life_entry entry;
    struct bytes entries; /* as JSON */
    struct bytes state;   /* of the account or order behind the last entry, as JSON */
    struct order_row order;
    bool is_known;
    uint64_t shown, last, next; /* `next`: 0, or the last entry's record when there are more */
};

/* ---- What stands at the end -------------------------------------------------------------------
 */

static void
add_balances(struct bytes *out, const struct ledger *l, const struct ledger_account *a)
{
    char free[DECIMAL_BYTES], held[DECIMAL_BYTES];
    const char *before = "[";
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next) {
        const struct ledger_balance *b = &l->balances[i];
        decimal_write(b->free.v, free);
        decimal_write(b->held.v, held);
        words_add(out, "%s{\"wallet\":\"%s\",\"asset\":\"%s\",\"free\":\"%s\",\"held\":\"%s\"}",
                  before, msg_enum_name(MSG_ENUM_wallet, b->wallet), l->assets[b->asset].text, free,
                  held);
        before = ",";
    }
    words_add(out, "%s]", *before == '[' ? "[" : "");
}

/* As of the last record that was applied. */
static void
keep_state(struct life *life)
{
    const struct ledger *l = twin_ledger(life->twin);
    const struct ledger_account *a = account_find_any(l, life->subject.account_id);
    bytes_clear(&life->state);
    if (life->subject.order_id != 0) {
        life_order_json(&life->order, &life->state);
        return;
    }
    if (a == NULL)
        return;
    words_add(&life->state,
              "{\"user_id\":%llu,\"tier\":%u,\"orders_placed\":%llu,\"open_orders\":%u,"
              "\"balances\":",
              (unsigned long long)a->user_id, a->tier, (unsigned long long)a->orders_placed,
              a->open_orders);
    add_balances(&life->state, l, a);
    words_add(&life->state, "}");
}

/* ---- Walking ----------------------------------------------------------------------------------
 */

static void
keep_order(struct life *life, const struct twin_step *step)
{
    for (uint32_t i = 0; i < step->orders_count; i++)
        if (step->orders[i].order.order_id == life->subject.order_id)
            life->order = step->orders[i];
}

static void
show(struct life *life, const struct twin_step *step)
{
    life_entry_make(&life->entry, &life->subject, step);
    if (out_is_json(life->c->out)) {
        words_add(&life->entries, life->shown == 0 ? "" : ",");
        life_entry_json(&life->entry, &life->entries);
    } else {
        life_entry_print(&life->entry, life->c->out);
    }
    life->shown++;
    life->last = step->record->seq;
    if (life->shown == (uint64_t)life->c->o.limit)
        keep_state(life);
}

/* False once nothing more is wanted. */
static bool
take(struct life *life, const struct journal_record *r)
{
    const struct options *o = &life->c->o;
    const struct twin_step *step = twin_step(life->twin);
    if (!life_is_of(&life->subject, step))
        return true;
    bool is_full = o->limit != 0 && life->shown == (uint64_t)o->limit;
    life->is_known = true;
    if (r->seq <= (uint64_t)o->after || r->time_us < o->since) {
        keep_order(life, step);
        return true;
    }
    if (is_full) {
        life->next = life->last;
        return false;
    }
    keep_order(life, step);
    show(life, step);
    return true;
}

static enum status
walk(struct life *life, struct records *r, const struct records_extent *extent)
{
    const struct call *c = life->c;
    uint64_t to = c->o.upto == 0 ? extent->last : (uint64_t)c->o.upto;
    struct records_cursor *cursor = records_read(r, (uint16_t)life->shard, 0, to);
    enum records_result result = cursor == NULL ? RECORDS_FAILED : RECORDS_END;
    struct journal_record record;
    struct progress progress;
    enum status status = STATUS_OK;
    progress_begin(&progress, "replaying", "records", to < extent->last ? to : extent->last,
                   c->o.quiet);
    while (cursor != NULL && status == STATUS_OK &&
           (result = records_next(cursor, &record)) == RECORDS_ONE) {
        if (c->o.until != INT64_MIN && record.time_us >= c->o.until)
            break;
        if (!twin_apply(life->twin, &record)) {
            progress_end(&progress);
            status = refuse(c, STATUS_NO, "JOURNAL_WRONG", "%s; nothing behind it is told",
                            twin_why(life->twin));
        } else if (!take(life, &record)) {
            break;
        }
        progress_add(&progress, 1);
    }
    progress_end(&progress);
    if (result == RECORDS_FAILED)
        status = source_failed(c, r);
    if (cursor != NULL)
        records_end(&cursor);
    return status;
}

/* ---- Telling ----------------------------------------------------------------------------------
 */

static void
print_end(struct life *life)
{
    struct out *o = life->c->out;
    if (life->next != 0) {
        out_say(o, "There is more: --after %llu.", (unsigned long long)life->next);
        return;
    }
    if (life->subject.order_id != 0)
        return;
    const struct ledger *l = twin_ledger(life->twin);
    const struct ledger_account *a = account_find_any(l, life->subject.account_id);
    if (a == NULL)
        return;
    out_say(o, "So account %llu has:", (unsigned long long)life->subject.account_id);
    out_table(o, "wallet asset free> held>");
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next) {
        out_text(o, msg_enum_name(MSG_ENUM_wallet, l->balances[i].wallet));
        out_text(o, l->assets[l->balances[i].asset].text);
        out_amount(o, l->balances[i].free.v);
        out_amount(o, l->balances[i].held.v);
        out_row_end(o);
    }
}

static void
put_json(struct life *life)
{
    struct out *o = life->c->out;
    bool is_order = life->subject.order_id != 0;
    if (life->state.length == 0)
        keep_state(life);
    bytes_reserve(&life->entries, 2);
    words_add(&life->entries, "]");
    out_table(o, is_order ? "order_id account_id shard order entries next"
                          : "account_id shard account entries next");
    if (is_order)
        out_uint(o, life->subject.order_id);
    out_uint(o, life->subject.account_id);
    out_uint(o, life->shard);
    out_json(o, life->state.length == 0 ? "null" : words_text(&life->state));
    out_json(o, words_text(&life->entries));
    if (life->next == 0)
        out_json(o, "null");
    else
        out_uint(o, life->next);
    out_row_end(o);
}

static enum status
tell(struct life *life, struct records *r)
{
    const struct call *c = life->c;
    struct records_extent extent;
    if (!records_extent(r, (uint16_t)life->shard, &extent))
        return source_failed(c, r);
    if (extent.first > 1 && extent.last > 0)
        return refuse(
            c, STATUS_FAILED, "RECORDS_MISSING",
            "records 1 to %llu of shard %u are not here: name the --archive that has them",
            (unsigned long long)extent.first - 1, life->shard);
    enum status status = walk(life, r, &extent);
    if (status != STATUS_OK)
        return status;
    bool is_order = life->subject.order_id != 0;
    if (!life->is_known)
        return refuse(c, STATUS_NO, is_order ? "ORDER_NOT_FOUND" : "ACCOUNT_NOT_FOUND",
                      "shard %u has no %s %s", life->shard, is_order ? "order" : "account",
                      c->words[0]);
    if (out_is_json(c->out))
        put_json(life);
    else
        print_end(life);
    return STATUS_OK;
}

static enum status
run(const struct call *c, struct life_subject subject, uint32_t shard)
{
    enum status status;
    struct records *r = source_open(c, &status);
    if (r == NULL)
        return status;
    struct life life = {.c = c, .subject = subject, .shard = shard};
    life.twin = twin_new(&(struct twin_options){.is_trusting = false});
    words_add(&life.entries, "[");
    status = tell(&life, r);
    twin_destroy(&life.twin);
    life_entry_free(&life.entry);
    bytes_free(&life.entries);
    bytes_free(&life.state);
    records_close(&r);
    return status;
}

#define ID_MAX ((INT64_C(1) << 53) - 1)

enum status
order_life(const struct call *c)
{
    int64_t id;
    if (!value_int(c->words[0], 1, ID_MAX, &id))
        return refuse(c, STATUS_USAGE, "USAGE", "'%.40s' is no order id", c->words[0]);
    return run(c, (struct life_subject){.order_id = (uint64_t)id},
               ledger_shard_of_id((uint64_t)id));
}

enum status
account_life(const struct call *c)
{
    int64_t id;
    if (!value_int(c->words[0], 1, ID_MAX, &id))
        return refuse(c, STATUS_USAGE, "USAGE", "'%.40s' is no account id", c->words[0]);
    return run(c, (struct life_subject){.account_id = (uint64_t)id}, ledger_shard_of((uint64_t)id));
}
