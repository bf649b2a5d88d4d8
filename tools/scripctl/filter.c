/*
 * filter.c - see filter.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/filter.h"

#include <stdlib.h>
#include <string.h>

#include "ledger/core/ledger.h"
#include "scripctl/value.h"
#include "wire/codec.h"

#define LIST_BYTES (1u << 20) /* of one command */

/* ---- Opening ----------------------------------------------------------------------------------
 */

static enum status
read_kind(struct filter *f, const struct call *c)
{
    if (f->o->kind == NULL)
        return STATUS_OK;
    const struct msg_layout *l = msg_layout_by_name(f->o->kind);
    if (l == NULL || strcmp(l->effect, "MUTATES") != 0) {
        char kinds[400] = "";
        size_t used = 0;
        for (uint32_t i = 0; (l = msg_layout_at(i)) != NULL; i++)
            if (strcmp(l->effect, "MUTATES") == 0 && strcmp(l->to, "LEDGER") == 0 &&
                used + strlen(l->name) + 3 < sizeof(kinds))
                used += (size_t)snprintf(kinds + used, sizeof(kinds) - used, "%s%s",
                                         used == 0 ? "" : ", ", l->name);
        return refuse(c, STATUS_USAGE, "USAGE", "--kind is one of: %s; not '%.40s'", kinds,
                      f->o->kind);
    }
    f->kind = l->type;
    return STATUS_OK;
}

/* Only one shard can have records of an account or an order. */
static void
narrow_to(struct filter *f, uint32_t shard)
{
    for (uint32_t i = 0; i < RECORDS_SHARDS; i++)
        f->is_wanted[i] &= i == shard;
}

static enum status
set_ranges(struct filter *f, const struct call *c, struct records *r)
{
    for (uint16_t i = 0; i < RECORDS_SHARDS; i++) {
        struct records_extent extent;
        if (!records_extent(r, i, &extent))
            return refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", records_why(r));
        uint64_t first = extent.first > 0 ? extent.first - 1 : 0;
        uint64_t after = (uint64_t)f->o->after, to = (uint64_t)f->o->upto;
        f->after[i] = after;
        f->ranges[i] = (struct walk_range){f->counts || after < first ? first : after,
                                           to == 0 || to > extent.last ? extent.last : to};
        f->is_wanted[i] = f->o->shard[i];
    }
    if (f->o->account != 0)
        narrow_to(f, ledger_shard_of((uint64_t)f->o->account));
    if (f->o->order != 0)
        narrow_to(f, ledger_shard_of_id((uint64_t)f->o->order));
    for (uint32_t i = 0; i < RECORDS_SHARDS; i++)
        if (!f->is_wanted[i])
            f->ranges[i].to = 0;
    return STATUS_OK;
}

static enum status
check_beginnings(const struct filter *f, const struct call *c)
{
    for (uint32_t i = 0; f->counts && i < RECORDS_SHARDS; i++)
        if (f->ranges[i].to > f->ranges[i].after && f->ranges[i].after > 0)
            return refuse(c, STATUS_FAILED, "RECORDS_MISSING",
                          "whose orders these are is known from records 1 to %llu of shard %u, "
                          "which are not here: name the --archive that has them",
                          (unsigned long long)f->ranges[i].after, i);
    return STATUS_OK;
}

/* What lies outside these numbers is not wanted; read from the live part of each shard. */
static const char narrow_sql[] =
    "SELECT shard, min(seq), max(seq) FROM ledger.journal"
    " WHERE time_us >= $1 AND time_us < $2 AND ($3 = 0 OR kind = $3) AND ($4 = 0 OR corr = $4)"
    " GROUP BY shard";

static enum status
narrow(struct filter *f, const struct call *c, struct records *r)
{
    char since[24], until[24], kind[24], corr[24];
    const struct options *o = f->o;
    PGconn *conn = records_connection(r);
    bool is_whole = o->since == INT64_MIN && o->until == INT64_MIN && f->kind == 0 && f->corr == 0;
    if (conn == NULL || f->counts || is_whole)
        return STATUS_OK;
    snprintf(since, sizeof(since), "%lld", (long long)(o->since == INT64_MIN ? 0 : o->since));
    snprintf(until, sizeof(until), "%lld",
             (long long)(o->until == INT64_MIN ? INT64_MAX : o->until));
    snprintf(kind, sizeof(kind), "%u", f->kind);
    snprintf(corr, sizeof(corr), "%lld", (long long)(int64_t)f->corr);
    const char *values[] = {since, until, kind, corr};
    const Oid types[] = {20, 20, 23, 20}; /* bigint, bigint, integer, bigint */
    PGresult *rows = PQexecParams(conn, narrow_sql, 4, types, values, NULL, NULL, 0);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        PQclear(rows);
        return refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", PQerrorMessage(conn));
    }
    uint64_t least[RECORDS_SHARDS] = {0}, most[RECORDS_SHARDS] = {0};
    for (int i = 0; i < PQntuples(rows); i++) {
        int64_t shard, first, last;
        if (!value_int(PQgetvalue(rows, i, 0), 0, RECORDS_SHARDS - 1, &shard) ||
            !value_int(PQgetvalue(rows, i, 1), 1, INT64_MAX, &first) ||
            !value_int(PQgetvalue(rows, i, 2), 1, INT64_MAX, &last))
            continue;
        least[shard] = (uint64_t)first;
        most[shard] = (uint64_t)last;
    }
    PQclear(rows);
    for (uint16_t i = 0; i < RECORDS_SHARDS; i++) {
        struct walk_range *range = &f->ranges[i];
        struct records_extent extent;
        if (!records_extent(r, i, &extent) || extent.live == 0)
            continue;
        /* What was archived is before the live part, and is walked. */
        uint64_t archived_to = extent.live - 1;
        bool has_archived = extent.first < extent.live && range->after < archived_to;
        if (most[i] == 0 && range->to > archived_to)
            range->to = has_archived ? archived_to : 0;
        else if (most[i] < range->to && most[i] != 0)
            range->to = most[i];
        if (!has_archived && least[i] > 0 && range->after < least[i] - 1)
            range->after = least[i] - 1;
    }
    return STATUS_OK;
}

enum status
filter_open(struct filter *f, const struct call *c, struct records *r)
{
    memset(f, 0, sizeof(*f));
    f->o = &c->o;
    f->counts = c->o.account != 0 || c->o.order != 0 || c->o.symbol != NULL;
    places_init(&f->mine);
    f->memory = malloc(LIST_BYTES);
    CHECK(f->memory != NULL);
    arena_init(&f->lists, f->memory, LIST_BYTES);
    if (c->o.upto != 0 && c->o.upto <= c->o.after)
        return refuse(c, STATUS_USAGE, "USAGE",
                      "there is nothing behind --after %lld up to --upto %lld",
                      (long long)c->o.after, (long long)c->o.upto);
    if (c->o.until != INT64_MIN && c->o.until <= c->o.since)
        return refuse(c, STATUS_USAGE, "USAGE", "--until is not behind --since");
    if (c->o.corr != NULL && (!value_hex(c->o.corr, &f->corr) || f->corr == 0))
        return refuse(c, STATUS_USAGE, "USAGE",
                      "--corr is 1 to 16 hexadecimal digits, as in the logs; not '%.40s'",
                      c->o.corr);
    enum status status = read_kind(f, c);
    if (status == STATUS_OK)
        status = set_ranges(f, c, r);
    if (status == STATUS_OK)
        status = check_beginnings(f, c);
    return status == STATUS_OK ? narrow(f, c, r) : status;
}

void
filter_close(struct filter *f)
{
    places_fini(&f->mine);
    free(f->memory);
}

/* ---- Judging ----------------------------------------------------------------------------------
 */

/* How many orders a command places. */
static uint32_t
orders_placed(const struct msg *m)
{
    switch ((int)m->type) {
    case MSG_order_place:
    case MSG_order_replace:
        return 1;
    case MSG_list_place:
        return m->list_place.orders_count;
    default:
        return 0;
    }
}

static uint64_t
account_of(const struct msg *m)
{
    const struct msg_layout *l = msg_layout(m->type);
    const struct msg_field *f = l == NULL ? NULL : msg_field_by_name(l, "account_id");
    if (f == NULL)
        return 0;
    return *(const uint64_t *)((const uint8_t *)msg_body_const(m) + f->offset);
}

static const char *
symbol_of(const struct msg *m)
{
    switch ((int)m->type) {
    case MSG_order_place:
        return m->order_place.symbol.text;
    case MSG_order_replace:
        return m->order_replace.symbol.text;
    case MSG_list_place:
        return m->list_place.symbol.text;
    default:
        return "";
    }
}

static bool
is_of(const struct filter *f, const struct msg *m, uint64_t account_id)
{
    const struct options *o = f->o;
    return (o->account == 0 || account_id == (uint64_t)o->account) &&
           (o->symbol == NULL || strcmp(symbol_of(m), o->symbol) == 0);
}

/* Whether its account, order and symbol are those that are asked for. */
static bool
is_mine(struct filter *f, const struct filter_hit *hit, uint32_t placed)
{
    const struct options *o = f->o;
    const struct msg *m = hit->cmd;
    uint64_t order = (uint64_t)o->order;
    bool is_report = m->type == MSG_order_report;
    bool is_same = is_report ? places_get(&f->mine, m->order_report.order_id) != MAP_NONE
                             : is_of(f, m, hit->account_id);
    for (uint32_t i = 0; is_same && i < placed; i++)
        places_set(&f->mine, hit->order_id + i, 0);
    if (order == 0)
        return is_same;
    bool names = (placed > 0 && order >= hit->order_id && order < hit->order_id + placed) ||
                 (is_report && m->order_report.order_id == order) ||
                 (m->type == MSG_order_replace && m->order_replace.cancel_order_id == order);
    if (is_same && names && hit->account_id != 0)
        f->owner = hit->account_id;
    return is_same && names;
}

static bool
is_in_range(const struct filter *f, const struct journal_record *r)
{
    const struct options *o = f->o;
    return r->seq > f->after[r->shard] && (o->upto == 0 || r->seq <= (uint64_t)o->upto) &&
           r->time_us >= o->since && (o->until == INT64_MIN || r->time_us < o->until) &&
           (f->kind == 0 || r->kind == f->kind) && (f->corr == 0 || r->corr == f->corr);
}

bool
filter_unpack(struct filter *f, const struct journal_record *r)
{
    arena_reset(&f->lists);
    return msg_unpack_payload(r->payload, r->payload_length, (enum msg_type)r->kind, &f->lists,
                              &f->cmd) == OK;
}

bool
filter_take(struct filter *f, const struct journal_record *r, struct filter_hit *hit)
{
    bool is_wanted = is_in_range(f, r);
    *hit = (struct filter_hit){.record = r};
    if (!is_wanted && !f->counts)
        return false;
    if (!filter_unpack(f, r))
        return is_wanted && !f->counts;
    hit->cmd = &f->cmd;
    hit->account_id = account_of(&f->cmd);
    if (f->cmd.type == MSG_order_report)
        hit->order_id = f->cmd.order_report.order_id;
    if (!f->counts)
        return is_wanted;
    uint32_t placed = orders_placed(&f->cmd);
    if (placed > 0)
        hit->order_id = (uint64_t)r->shard << 47 | (f->orders[r->shard] + 1);
    f->orders[r->shard] += placed;
    bool mine = is_mine(f, hit, placed);
    if (mine && hit->account_id == 0)
        hit->account_id = f->o->account != 0 ? (uint64_t)f->o->account : f->owner;
    return mine && is_wanted;
}
