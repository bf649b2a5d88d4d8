/*
 * report.c - what the ledgers are told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/report.h"

#include <string.h>

#include "base/check.h"
#include "matcher/core/house.h"

/* A step puts at most two reports, and a pause or an end one more; one of them may be full. */
#define STEP_OUTS  4
#define STEP_BYTES (2 * MATCH_FILLS_MAX * sizeof(struct match_fill) + 1024)
_Static_assert(STEP_OUTS <= MATCH_OUT_MIN && STEP_BYTES <= MATCH_OUT_BYTES, "room for a step");

bool
report_room(const struct outbox *out)
{
    return outbox_room(out) >= STEP_OUTS && out->lists.size - out->lists.used >= STEP_BYTES;
}

static struct order_report *
report_put(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger, uint64_t corr,
           const struct match_fill *fills, uint32_t count)
{
    struct msg *msg = outbox_put(out, OUT_LEDGER, m->links[ledger].peer, MSG_order_report, corr);
    struct order_report *r = &msg->order_report;
    r->order_id = order_id;
    if (count > 0) {
        struct match_fill *copy = arena_take(&out->lists, count, sizeof(*copy));
        CHECK(copy != NULL);
        memcpy(copy, fills, count * sizeof(*copy));
        r->fills = copy;
        r->fills_count = count;
    }
    m->counts.reports++;
    return r;
}

void
report_for(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger, uint64_t corr)
{
    struct gathered *g = &m->gathered;
    if (g->order_id == order_id)
        return;
    report_flush(m, out);
    g->order_id = order_id;
    g->ledger = ledger;
    g->corr = corr;
}

void
report_fill(struct match *m, struct outbox *out, const struct match_fill *fill)
{
    struct gathered *g = &m->gathered;
    if (g->count == MATCH_FILLS_MAX)
        report_flush(m, out);
    g->fills[g->count++] = *fill;
}

/* Puts what is gathered; the next report of the order begins with nothing. */
static struct order_report *
put_gathered(struct match *m, struct outbox *out)
{
    struct gathered *g = &m->gathered;
    struct order_report *r =
        report_put(m, out, g->order_id, g->ledger, g->corr, g->fills, g->count);
    r->rank = g->rank;
    r->triggered_us = g->triggered_us;
    r->prevented.v = g->prevented;
    g->count = 0;
    g->rank = 0;
    g->triggered_us = g->prevented = 0;
    return r;
}

void
report_flush(struct match *m, struct outbox *out)
{
    if (m->gathered.count > 0)
        (void)put_gathered(m, out);
}

struct order_report *
report_end(struct match *m, struct outbox *out, uint64_t rank, enum order_end end)
{
    struct order_report *r = put_gathered(m, out);
    if (rank != 0)
        r->rank = rank;
    r->end = end;
    m->gathered.order_id = 0;
    return r;
}

struct order_report *
report_alone(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger, uint64_t corr,
             const struct match_fill *fill)
{
    return report_put(m, out, order_id, ledger, corr, fill, fill != NULL ? 1 : 0);
}

struct match_fill
report_of(const struct match *m, const struct book *b, const struct fill *f,
          const struct filled *other, bool is_maker)
{
    bool is_house = f->is_house && other == &f->maker;
    struct match_fill fill = {.price = {f->price}, .quantity = {f->quantity}, .is_maker = is_maker};
    enum liquidity source = other->source != LIQUIDITY_NONE ? other->source : b->house.source;
    fill.evidence.source = is_house ? source : LIQUIDITY_USER;
    fill.evidence.sequence = is_house ? other->sequence : 0;
    fill.evidence.price.v = other->price;
    fill.evidence.quantity.v = other->shown;
    fill.evidence.time_us = is_house ? other->time_us : m->now_us;
    fill.evidence.is_stale = is_house && m->books.stale_fills == STALE_FLAG && house_is_stale(b);
    return fill;
}
