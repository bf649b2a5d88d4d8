/*
 * diff.c - scripctl diff: the first record of each shard in which two journals differ, and the
 * first account in which what they come to does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ledger/core/account.h"
#include "ledger/core/order.h"
#include "scripctl/places.h"
#include "scripctl/replay.h"
#include "scripctl/source.h"
#include "scripctl/words.h"

#define LIST_BYTES     (1u << 20)
#define TEXT_BYTES_MAX 256

/* One of the two. */
struct part {
    struct records *records;
    struct records_cursor *cursor;
    struct journal_record record;
    enum records_result result;
    struct twin *twin;
};

struct differ {
    const struct call *c;
    struct part parts[2];
    struct progress progress;
    struct arena lists;
    uint32_t shards; /* that differ */
    uint64_t records;
};

/* ---- Records ------------------------------------------------------------------------------ */

static enum status
part_open(const struct call *c, const char *name, struct part *p)
{
    struct stat is;
    char why[WHY_BYTES];
    bool is_folder = stat(name, &is) == 0 && S_ISDIR(is.st_mode);
    const struct records_options from = {is_folder ? NULL : name, is_folder ? name : NULL};
    p->records = records_open(&from, why);
    return p->records != NULL ? STATUS_OK
                              : refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s: %s",
                                       is_folder ? name : "a database", why);
}

static void
part_close(struct part *p)
{
    if (p->records != NULL)
        records_close(&p->records);
}

static void
part_next(const struct differ *d, struct part *p)
{
    p->result = records_next(p->cursor, &p->record);
    int64_t until_us = d->c->o.until;
    if (p->result == RECORDS_ONE && until_us != INT64_MIN && p->record.time_us >= until_us)
        p->result = RECORDS_END;
}

/* NULL, or what of two records differs. */
static const char *
record_differs(const struct differ *d, const struct journal_record *a,
               const struct journal_record *b)
{
    if (a->seq != b->seq)
        return "number";
    if (a->kind != b->kind)
        return "kind";
    if (a->payload_length != b->payload_length ||
        memcmp(a->payload, b->payload, a->payload_length) != 0)
        return "command";
    if (d->c->o.contents)
        return NULL;
    if (a->time_us != b->time_us)
        return "time";
    if (a->corr != b->corr)
        return "corr";
    if (!code_same(a->source, b->source))
        return "source";
    return memcmp(a->hash, b->hash, HASH_BYTES) != 0 ? "hash" : NULL;
}

static void
record_text(struct differ *d, const struct part *p, struct bytes *out)
{
    const struct journal_record *r = &p->record;
    struct msg cmd;
    if (p->result != RECORDS_ONE) {
        words_add(out, "has no such record");
        return;
    }
    arena_reset(&d->lists);
    if (msg_unpack_payload(r->payload, r->payload_length, (enum msg_type)r->kind, &d->lists,
                           &cmd) == OK)
        words_message(out, &cmd);
    else
        words_add(out, "a payload of %u bytes that cannot be read", r->payload_length);
}

static void
put_time(struct out *o, const struct part *p)
{
    out_time(o, p->result == RECORDS_ONE ? p->record.time_us : 0);
}

static void
put_record(struct differ *d, uint16_t shard, const char *what)
{
    struct out *o = d->c->out;
    struct bytes texts[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    const struct part *a = &d->parts[0], *b = &d->parts[1];
    record_text(d, a, &texts[0]);
    record_text(d, b, &texts[1]);
    out_table(o, "shard> seq> differs time_a a time_b b");
    out_uint(o, shard);
    out_uint(o, a->result == RECORDS_ONE ? a->record.seq : b->record.seq);
    out_text(o, what);
    put_time(o, a);
    out_text(o, words_text(&texts[0]));
    put_time(o, b);
    out_text(o, words_text(&texts[1]));
    out_row_end(o);
    bytes_free(&texts[0]);
    bytes_free(&texts[1]);
}

/* NULL when both shards are the same, else what differs; the parts stand at that record. */
static const char *
shard_differs(struct differ *d)
{
    for (;;) {
        struct part *a = &d->parts[0], *b = &d->parts[1];
        part_next(d, a);
        part_next(d, b);
        if (a->result != RECORDS_ONE && b->result != RECORDS_ONE)
            return NULL;
        if (a->result != RECORDS_ONE || b->result != RECORDS_ONE)
            return "end";
        const char *what = record_differs(d, &a->record, &b->record);
        if (what != NULL)
            return what;
        d->records++;
        progress_add(&d->progress, 1);
    }
}

/* ---- Accounts ----------------------------------------------------------------------------- */

struct field {
    char name[64];
    char a[TEXT_BYTES_MAX], b[TEXT_BYTES_MAX];
};

struct fields {
    struct field *at;
    uint32_t count, max;
};

static void
field_add(struct fields *f, const char *name, const char *a, const char *b)
{
    if (strcmp(a, b) == 0)
        return;
    f->at = array_room(f->at, f->count, &f->max, sizeof *f->at);
    struct field *own = &f->at[f->count++];
    snprintf(own->name, sizeof own->name, "%s", name);
    snprintf(own->a, sizeof own->a, "%s", a);
    snprintf(own->b, sizeof own->b, "%s", b);
}

static void
number_add(struct fields *f, const char *name, uint64_t a, uint64_t b)
{
    char texts[2][24];
    snprintf(texts[0], sizeof texts[0], "%" PRIu64, a);
    snprintf(texts[1], sizeof texts[1], "%" PRIu64, b);
    field_add(f, name, texts[0], texts[1]);
}

static const struct ledger_balance *
balance_like(const struct ledger *l, const struct ledger_account *a, code_t asset, uint8_t wallet)
{
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next)
        if (l->balances[i].wallet == wallet && code_same(l->assets[l->balances[i].asset], asset))
            return &l->balances[i];
    return NULL;
}

static void
amounts_text(const struct ledger_balance *b, char out[TEXT_BYTES_MAX])
{
    char free[DECIMAL_BYTES], held[DECIMAL_BYTES];
    decimal_write_short(b == NULL ? 0 : b->free.v, free);
    decimal_write_short(b == NULL ? 0 : b->held.v, held);
    snprintf(out, TEXT_BYTES_MAX, "%s free, %s held", free, held);
}

/* Balances that `l` has; with `is_back` those that only the second one has. */
static void
balances_add(struct fields *f, const struct ledger *l, const struct ledger_account *a,
             const struct ledger *other, const struct ledger_account *b, bool is_back)
{
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next) {
        const struct ledger_balance *own = &l->balances[i];
        char name[64], texts[2][TEXT_BYTES_MAX];
        code_t asset = l->assets[own->asset];
        const struct ledger_balance *theirs = balance_like(other, b, asset, own->wallet);
        if (is_back && theirs != NULL)
            continue;
        snprintf(name, sizeof name, "%s %s", msg_enum_name(MSG_ENUM_wallet, own->wallet),
                 asset.text);
        amounts_text(own, texts[is_back]);
        amounts_text(theirs, texts[!is_back]);
        field_add(f, name, texts[0], texts[1]);
    }
}

static void
order_text(const struct ledger *l, const struct ledger_order *o, char out[TEXT_BYTES_MAX])
{
    char executed[DECIMAL_BYTES], held[DECIMAL_BYTES];
    if (o == NULL || !order_is_open(o)) {
        snprintf(out, TEXT_BYTES_MAX, "not open");
        return;
    }
    const struct order said = order_say(l, o);
    decimal_write_short(said.executed_quantity.v, executed);
    decimal_write_short(said.held.v, held);
    snprintf(out, TEXT_BYTES_MAX, "%s %s %s, %s, %s executed, %s held",
             msg_enum_name(MSG_ENUM_side, said.side), said.symbol.text,
             msg_enum_name(MSG_ENUM_order_type, said.type),
             msg_enum_name(MSG_ENUM_order_status, said.status), executed, held);
}

static void
orders_add(struct fields *f, const struct ledger *l, const struct ledger_account *a,
           const struct ledger *other, bool is_back)
{
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older) {
        const struct ledger_order *own = &l->orders[i], *theirs = order_find(other, own->id);
        char name[64], texts[2][TEXT_BYTES_MAX];
        if (is_back && theirs != NULL)
            continue;
        snprintf(name, sizeof name, "order %" PRIu64, own->id);
        order_text(l, own, texts[is_back]);
        order_text(other, theirs, texts[!is_back]);
        field_add(f, name, texts[0], texts[1]);
    }
}

static void
settings_add(struct fields *f, const struct ledger_account *a, const struct ledger_account *b)
{
    for (uint32_t i = 0; i < LEDGER_TYPES; i++) {
        const struct ledger_settings *x = &a->settings[i], *y = &b->settings[i];
        char texts[2][TEXT_BYTES_MAX], name[64];
        const struct ledger_settings *each[2] = {x, y};
        for (int k = 0; k < 2; k++)
            snprintf(texts[k], TEXT_BYTES_MAX,
                     "mode %u dry_run %d auto %d margin %lld leverage %u fill %u %u %u %u %u %u "
                     "%" PRIu64 " environment %u twin %d key %s since %" PRId64,
                     each[k]->mode, each[k]->dry_run_mode, each[k]->auto_trading,
                     (long long)each[k]->margin_per_trade.v, each[k]->leverage,
                     each[k]->fill.fill_preset, each[k]->fill.fill_model, each[k]->fill.latency_us,
                     each[k]->fill.latency_spread_us, each[k]->fill.slippage_bps,
                     each[k]->fill.reject_bps, each[k]->fill.seed, each[k]->environment,
                     each[k]->live_twin, each[k]->api_key_tail.text, each[k]->real_since_us);
        snprintf(name, sizeof name, "%s settings",
                 msg_enum_name(MSG_ENUM_trading_type, TRADING_TYPE_spot + i));
        field_add(f, name, texts[0], texts[1]);
    }
}

/* Either may be NULL. */
static void
account_fields(const struct differ *d, uint64_t id, struct fields *f)
{
    const struct ledger *x = twin_ledger(d->parts[0].twin), *y = twin_ledger(d->parts[1].twin);
    const struct ledger_account *a = account_find(x, id), *b = account_find(y, id);
    f->count = 0;
    if (a == NULL || b == NULL) {
        field_add(f, "account", a == NULL ? "not open" : "open", b == NULL ? "not open" : "open");
        return;
    }
    number_add(f, "user", a->user_id, b->user_id);
    number_add(f, "tier", a->tier, b->tier);
    number_add(f, "orders placed", a->orders_placed, b->orders_placed);
    settings_add(f, a, b);
    balances_add(f, x, a, y, b, false);
    balances_add(f, y, b, x, a, true);
    orders_add(f, x, a, y, false);
    orders_add(f, y, b, x, true);
}

/* The lowest account of the shard that either has and that is above `after`; 0 = none. */
static uint64_t
account_after(const struct differ *d, uint16_t shard, uint64_t after)
{
    uint64_t next = 0;
    for (int k = 0; k < 2; k++) {
        const struct ledger *l = twin_ledger(d->parts[k].twin);
        for (uint32_t i = l->shards[shard].newest_account; i != LEDGER_NONE;
             i = l->accounts[i].older) {
            uint64_t id = l->accounts[i].id;
            if (id > after && id < SYSTEM_ACCOUNT_FIRST && (next == 0 || id < next))
                next = id;
        }
    }
    return next;
}

static void
put_fields(struct out *o, uint16_t shard, uint64_t id, const struct fields *f)
{
    out_table(o, "shard> account_id> field a b");
    for (uint32_t i = 0; i < f->count; i++) {
        out_uint(o, shard);
        out_uint(o, id);
        out_text(o, f->at[i].name);
        out_text(o, f->at[i].a);
        out_text(o, f->at[i].b);
        out_row_end(o);
    }
}

/* ---- A shard ------------------------------------------------------------------------------ */

static enum status
replay_part(struct differ *d, struct part *p, uint16_t shard)
{
    struct replay_range range = {.upto = (uint64_t)d->c->o.upto, .until_us = d->c->o.until};
    p->twin = twin_new(&(struct twin_options){.is_trusting = true});
    enum replay_result e = replay_shard(p->records, p->twin, shard, &range, &d->progress);
    if (e == REPLAY_UNREADABLE)
        return source_failed(d->c, p->records);
    if (e == REPLAY_WRONG)
        out_say(d->c->out, "%s goes no further: %s", p == d->parts ? "A" : "B", twin_why(p->twin));
    return STATUS_OK;
}

static enum status
accounts_differ(struct differ *d, uint16_t shard)
{
    struct fields f = {.at = NULL};
    enum status status = replay_part(d, &d->parts[0], shard);
    if (status == STATUS_OK)
        status = replay_part(d, &d->parts[1], shard);
    uint64_t id = 0;
    while (status == STATUS_OK && f.count == 0 && (id = account_after(d, shard, id)) != 0)
        account_fields(d, id, &f);
    if (f.count > 0)
        put_fields(d->c->out, shard, id, &f);
    else if (status == STATUS_OK)
        out_say(d->c->out, "shard %u: all accounts are the same nevertheless", shard);
    free(f.at);
    twin_destroy(&d->parts[0].twin);
    twin_destroy(&d->parts[1].twin);
    return status;
}

static enum status
diff_shard(struct differ *d, uint16_t shard)
{
    for (int k = 0; k < 2; k++)
        d->parts[k].cursor = records_read(d->parts[k].records, shard, 0, (uint64_t)d->c->o.upto);
    const char *what = shard_differs(d);
    bool is_read = d->parts[0].result != RECORDS_FAILED && d->parts[1].result != RECORDS_FAILED;
    if (is_read && what != NULL)
        put_record(d, shard, what);
    for (int k = 0; k < 2; k++)
        records_end(&d->parts[k].cursor);
    for (int k = 0; k < 2; k++)
        if (d->parts[k].result == RECORDS_FAILED)
            return source_failed(d->c, d->parts[k].records);
    if (what == NULL)
        return STATUS_OK;
    d->shards++;
    return accounts_differ(d, shard);
}

enum status
diff(const struct call *c)
{
    struct differ d = {.c = c};
    enum status status = part_open(c, c->words[0], &d.parts[0]);
    if (status == STATUS_OK)
        status = part_open(c, c->words[1], &d.parts[1]);
    void *memory = aligned_alloc(16, LIST_BYTES);
    CHECK(memory != NULL);
    arena_init(&d.lists, memory, LIST_BYTES);
    progress_begin(&d.progress, "comparing", "records", 0, c->o.quiet);
    for (uint16_t i = 0; i < LEDGER_SHARDS && status == STATUS_OK; i++)
        if (c->o.shard[i])
            status = diff_shard(&d, i);
    progress_end(&d.progress);
    if (status == STATUS_OK && d.shards == 0)
        out_say(c->out, "Both are the same: %llu records.", (unsigned long long)d.records);
    if (status == STATUS_OK && d.shards > 0)
        status = STATUS_NO;
    free(memory);
    part_close(&d.parts[0]);
    part_close(&d.parts[1]);
    return status;
}
