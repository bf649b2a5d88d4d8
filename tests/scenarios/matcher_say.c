/*
 * matcher_say.c - what the matcher's core answers, and how its books stand, as lines of a story.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher_say.h"

#include <stdarg.h>
#include <stdio.h>

#include "scenario.h"

/* A line that grows. */
struct line {
    char text[8192];
    size_t length;
};

static const char *
decimal(int64_t value)
{
    static char texts[8][DECIMAL_BYTES];
    static unsigned next;
    char *text = texts[next++ % 8];
    decimal_write_short(value, text);
    return text;
}

static void add(struct line *l, const char *format, ...) PRINTF(2, 3);

static void
add(struct line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(l->text + l->length, sizeof(l->text) - l->length, format, args);
    va_end(args);
    CHECK(length >= 0 && (size_t)length < sizeof(l->text) - l->length);
    l->length += (size_t)length;
}

/* ---- Reports -------------------------------------------------------------------------------- */

static void
add_fill(struct line *l, const struct match_fill *f)
{
    const struct evidence *e = &f->evidence;
    add(l, " %s %s at %s (%s %s x %s", f->is_maker ? "gives" : "takes", decimal(f->quantity.v),
        decimal(f->price.v), msg_enum_name(MSG_ENUM_liquidity, e->source), decimal(e->price.v),
        decimal(e->quantity.v));
    if (e->sequence != 0)
        add(l, ", tick %llu", (unsigned long long)e->sequence);
    if (e->is_stale)
        add(l, ", stale");
    add(l, ")");
}

/* What the report says of the order's story, as the answer to order_explain would. */
static void
say_story(uint32_t peer, const struct order_report *r, struct scenario_out *out)
{
    struct msg m = {.type = MSG_order_explained};
    m.order_explained.order_id = r->order_id;
    m.order_explained.stories = r->stories;
    m.order_explained.stories_count = r->stories_count;
    char prefix[32];
    snprintf(prefix, sizeof(prefix), "ledger-%u told with it:", peer);
    scenario_say_msg(out, prefix, &m);
}

void
matcher_say_report(uint32_t peer, const struct order_report *r, struct scenario_out *out)
{
    struct line l = {.length = 0};
    add(&l, "ledger-%u order %llu:", peer, (unsigned long long)r->order_id);
    if (r->triggered_us != 0)
        add(&l, " is set off at %lld", (long long)r->triggered_us);
    for (uint32_t i = 0; i < r->fills_count; i++)
        add_fill(&l, &r->fills[i]);
    if (r->prevented.v != 0)
        add(&l, " %s prevented", decimal(r->prevented.v));
    if (r->rank != 0)
        add(&l, " rests rank=%llu", (unsigned long long)r->rank);
    if (r->trail_extreme.v != 0)
        add(&l, " trails from %s", decimal(r->trail_extreme.v));
    if (r->was_trimmed && r->trimmed_to.v != 0)
        add(&l, " trimmed to %s", decimal(r->trimmed_to.v));
    else if (r->was_trimmed)
        add(&l, " not trimmed");
    if (r->end != ORDER_END_NONE)
        add(&l, " ends %s", msg_enum_name(MSG_ENUM_order_end, r->end));
    if (r->was_pulled)
        add(&l, ", pulled");
    scenario_say(out, "%s", l.text);
    if (r->stories_count > 0)
        say_story(peer, r, out);
}

/* ---- How it stands -------------------------------------------------------------------------- */

static void
say_side(const struct match *m, const struct book *b, enum side side, struct scenario_out *out)
{
    const struct books *s = &m->books;
    const char *name = side == SIDE_BUY ? "bid" : "ask";
    const struct book_side *bs = &b->sides[side - 1];
    struct ladder_at at;
    for (bool on = ladder_first(&bs->users, &s->nodes, &at); on; on = ladder_next(&s->nodes, &at)) {
        const struct price_level *l = &s->levels[ladder_slot(&s->nodes, at)];
        for (uint32_t o = l->count > 0 ? l->head : RESTING_NONE; o != RESTING_NONE;
             o = s->orders.at[o].next) {
            const struct resting *r = &s->orders.at[o];
            int64_t hidden = book_left(s, o) - r->quantity;
            scenario_say(out, "%s %s x %s%s%s order %llu rank=%llu", name, decimal(l->price),
                         decimal(r->quantity), hidden > 0 ? " of " : "",
                         hidden > 0 ? decimal(r->quantity + hidden) : "", (unsigned long long)r->id,
                         (unsigned long long)r->rank);
        }
    }
    for (bool on = ladder_first(&bs->house, &s->nodes, &at); on; on = ladder_next(&s->nodes, &at)) {
        const struct house_level *h = &s->houses[ladder_slot(&s->nodes, at)];
        scenario_say(out, "%s %s x %s house tick %llu", name, decimal(h->price), decimal(h->left),
                     (unsigned long long)h->sequence);
    }
}

void
matcher_say_book(const struct match *m, const struct book *b, struct scenario_out *out)
{
    if (b == NULL) {
        scenario_say(out, "no book");
        return;
    }
    say_side(m, b, SIDE_SELL, out);
    say_side(m, b, SIDE_BUY, out);
    if (b->orders == 0 && b->sides[0].house.count + b->sides[1].house.count == 0)
        scenario_say(out, "empty");
}

static void
say_waiting(const struct match *m, uint32_t record, struct scenario_out *out)
{
    static const char *const states[] = {
        [RESTING_IN_BOOK] = "rests",       [RESTING_WAITING] = "waits for its resync",
        [RESTING_DELAYED] = "on its way",  [RESTING_PAIRING] = "waits for its pair",
        [RESTING_ARMED] = "armed",         [RESTING_READY] = "ready",
        [RESTING_AT_WORK] = "being worked"};
    const struct resting *r = &m->books.orders.at[record];
    const struct order_more *more = &m->books.orders.more[record];
    struct line l = {.length = 0};
    add(&l, "order %llu %s x %s: %s", (unsigned long long)r->id,
        r->side == SIDE_BUY ? "buy" : "sell", decimal(r->quantity), states[r->state]);
    if (r->state == RESTING_ARMED && trigger_extreme(m, record) != 0)
        add(&l, ", trails from %s", decimal(trigger_extreme(m, record)));
    else if (r->state == RESTING_ARMED && more->stop_price != 0)
        add(&l, " at %s", decimal(more->stop_price));
    scenario_say(out, "%s", l.text);
}

void
matcher_say_waiting(const struct match *m, struct scenario_out *out)
{
    uint32_t waiting = 0;
    for (uint32_t i = 0; i < m->books.orders.fresh; i++) {
        const struct resting *r = &m->books.orders.at[i];
        if (r->id == 0 || r->state == RESTING_IN_BOOK)
            continue;
        say_waiting(m, i, out);
        waiting++;
    }
    if (waiting == 0)
        scenario_say(out, "nobody waits");
}

void
matcher_say_counts(const struct match *m, struct scenario_out *out)
{
    const struct match_counts *c = &m->counts;
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"works", c->works},
               {"pulls", c->pulls},
               {"pulls_unknown", c->pulls_unknown},
               {"reports", c->reports},
               {"fills", c->fills},
               {"works_invalid", c->works_invalid},
               {"works_repeated", c->works_repeated},
               {"stale", c->stale},
               {"unexpected", c->unexpected},
               {"sessions", c->sessions},
               {"losses", c->losses},
               {"gaps", c->gaps},
               {"symbols_refused", c->symbols_refused},
               {"triggered", c->triggered},
               {"expired", c->expired},
               {"trims", c->trims},
               {"trims_unknown", c->trims_unknown},
               {"queues_full", m->books.queues.full},
               {"stories_dropped", m->books.stories.dropped}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].value != 0)
            scenario_say(out, "%s %llu", all[i].name, (unsigned long long)all[i].value);
}

void
matcher_say_queues(const struct match *m, struct scenario_out *out)
{
    const struct queue_pool *p = &m->books.queues;
    for (uint32_t i = 0; i < p->fresh; i++) {
        const struct queue_level *q = &p->at[i];
        struct line l = {.length = 0};
        if (q->price == 0)
            continue;
        add(&l, "%s %s: %s shown", q->owner % 4 == SIDE_BUY ? "bid" : "ask", decimal(q->price),
            q->is_known ? decimal(q->shown) : "nobody knows what is");
        if (q->unseen != 0)
            add(&l, ", %s printed since", decimal(q->unseen));
        if (q->gone != 0)
            add(&l, ", %s gone", decimal(q->gone));
        for (uint32_t k = 0; k < q->count; k++)
            add(&l, " %s%s%s%s", q->segments[k].mixed ? "(" : "[", decimal(q->segments[k].quantity),
                q->segments[k].mixed ? ")" : "]", q->segments[k].edge ? "|" : "");
        scenario_say(out, "%s", l.text);
    }
    if (p->used == 0)
        scenario_say(out, "no queues");
}
