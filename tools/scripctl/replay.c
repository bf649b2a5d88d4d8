/*
 * replay.c - scripctl replay: what the journal comes to, at its end or at any moment before.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/replay.h"

#include <inttypes.h>

#include "ledger/core/account.h"
#include "ledger/core/order.h"
#include "scripctl/send.h"
#include "scripctl/source.h"

enum replay_result
replay_shard(struct records *r, struct twin *t, uint16_t shard, struct replay_range *range,
             struct progress *progress)
{
    struct records_cursor *c = records_read(r, shard, 0, range->upto);
    struct journal_record record;
    enum records_result result;
    enum replay_result end = REPLAY_DONE;
    while (end == REPLAY_DONE && (result = records_next(c, &record)) == RECORDS_ONE) {
        if (range->until_us != INT64_MIN && record.time_us >= range->until_us)
            break;
        if (!twin_apply(t, &record)) {
            end = REPLAY_WRONG;
            break;
        }
        range->seq = record.seq;
        range->time_us = record.time_us;
        range->records++;
        progress_add(progress, 1);
    }
    if (result == RECORDS_FAILED)
        end = REPLAY_UNREADABLE;
    records_end(&c);
    return end;
}

/* ---- An account --------------------------------------------------------------------------- */

static void
put_balances(struct out *o, const struct ledger *l, const struct ledger_account *a)
{
    out_table(o, "account_id> wallet asset free> held>");
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next) {
        const struct ledger_balance *b = &l->balances[i];
        out_uint(o, a->id);
        out_text(o, msg_enum_name(MSG_ENUM_wallet, b->wallet));
        out_text(o, l->assets[b->asset].text);
        out_amount(o, b->free.v);
        out_amount(o, b->held.v);
        out_row_end(o);
    }
}

static void
put_orders(struct out *o, const struct ledger *l, const struct ledger_account *a)
{
    if (a->newest_open != LEDGER_NONE)
        out_table(o, "order_id> symbol side type status price> quantity> executed> held> created");
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older) {
        const struct order said = order_say(l, &l->orders[i]);
        out_uint(o, said.order_id);
        out_text(o, said.symbol.text);
        out_text(o, msg_enum_name(MSG_ENUM_side, said.side));
        out_text(o, msg_enum_name(MSG_ENUM_order_type, said.type));
        out_text(o, msg_enum_name(MSG_ENUM_order_status, said.status));
        out_amount(o, said.price.v);
        out_amount(o, said.quantity.v);
        out_amount(o, said.executed_quantity.v);
        out_amount(o, said.held.v);
        out_time(o, said.created_us);
        out_row_end(o);
    }
}

static enum status
put_account(const struct call *c, const struct twin *t)
{
    const struct ledger *l = twin_ledger(t);
    const struct ledger_account *a = account_find(l, (uint64_t)c->o.account);
    if (a == NULL)
        return refuse(c, STATUS_NO, "ACCOUNT_NOT_FOUND",
                      "account %" PRId64 " was not opened by then", c->o.account);
    put_balances(c->out, l, a);
    put_orders(c->out, l, a);
    out_say(c->out, "%u open orders, %llu ever placed.", a->open_orders,
            (unsigned long long)a->orders_placed);
    return STATUS_OK;
}

/* ---- States ------------------------------------------------------------------------------- */

static void
put_shard(struct out *o, struct twin *t, uint16_t shard, const struct replay_range *range)
{
    const struct ledger_shard *s = &twin_ledger(t)->shards[shard];
    uint8_t hash[HASH_BYTES];
    twin_state_hash(t, shard, hash);
    out_uint(o, shard);
    out_uint(o, range->records);
    out_uint(o, range->seq);
    out_time(o, range->time_us);
    out_uint(o, s->accounts);
    out_uint(o, s->open_orders);
    out_hex(o, hash, HASH_BYTES);
    out_row_end(o);
}

/* The hash of a state of all shards, those included that were not asked for and are empty. */
static void
put_all(const struct call *c, struct twin *t, uint64_t records)
{
    char text[2 * HASH_BYTES + 1];
    uint8_t hash[HASH_BYTES];
    twin_state_hash_all(t, hash);
    if (out_is_json(c->out)) {
        out_table(c->out, "records state_hash");
        out_uint(c->out, records);
        out_hex(c->out, hash, HASH_BYTES);
        out_row_end(c->out);
        return;
    }
    for (uint32_t i = 0; i < HASH_BYTES; i++) {
        text[2 * i] = "0123456789abcdef"[hash[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
    }
    text[2 * HASH_BYTES] = '\0';
    out_say(c->out, "%llu records; the state of all shards is %s", (unsigned long long)records,
            text);
}

static enum status
failed(const struct call *c, const struct records *r, const struct twin *t, enum replay_result e)
{
    if (e == REPLAY_WRONG)
        return refuse(c, STATUS_NO, "JOURNAL_WRONG", "%s", twin_why(t));
    return source_failed(c, r);
}

/* A shard whose first records are not there cannot be replayed. */
static enum status
must_begin(const struct call *c, struct records *r, uint16_t shard, bool *is_empty)
{
    struct records_extent extent;
    if (!records_extent(r, shard, &extent))
        return source_failed(c, r);
    *is_empty = extent.last == 0;
    if (!*is_empty && extent.first != 1)
        return refuse(c, STATUS_FAILED, "ARCHIVED",
                      "shard %u begins with record %" PRIu64
                      ": what is before it was archived; name the folder with --archive",
                      shard, extent.first);
    return STATUS_OK;
}

static enum status
run(const struct call *c, struct records *r, struct twin *t)
{
    struct progress progress;
    enum status status = STATUS_OK;
    uint64_t records = 0;
    bool is_of_one = c->o.account != 0;
    if (!is_of_one)
        out_table(c->out, "shard> records> seq> time accounts> open_orders> state_hash");
    progress_begin(&progress, "replaying", "records", 0, c->o.quiet);
    for (uint16_t i = 0; i < LEDGER_SHARDS && status == STATUS_OK; i++) {
        struct replay_range range = {.upto = (uint64_t)c->o.upto, .until_us = c->o.until};
        bool is_empty = true;
        if (is_of_one ? ledger_shard_of((uint64_t)c->o.account) == i : c->o.shard[i])
            status = must_begin(c, r, i, &is_empty);
        if (is_empty || status != STATUS_OK)
            continue;
        enum replay_result e = replay_shard(r, t, i, &range, &progress);
        if (e != REPLAY_DONE)
            status = failed(c, r, t, e);
        else if (!is_of_one)
            put_shard(c->out, t, i, &range);
        records += range.records;
    }
    progress_end(&progress);
    if (status != STATUS_OK)
        return status;
    if (is_of_one)
        return put_account(c, t);
    put_all(c, t, records);
    return STATUS_OK;
}

enum status
replay(const struct call *c)
{
    enum status status;
    if (c->o.to != NULL)
        return replay_into(c);
    if (send_is_meant(c))
        return refuse(c, STATUS_USAGE, "OPTION_INVALID",
                      "--after, --since, --symbol, --limit, --speed, --patience and --yes go with "
                      "--to");
    struct records *r = source_open(c, &status);
    if (r == NULL)
        return status;
    struct twin *t = twin_new(&(struct twin_options){.skips_books = true});
    status = run(c, r, t);
    twin_destroy(&t);
    records_close(&r);
    return status;
}
