/*
 * life.c - the steps before an order is worked, and all ways in which it can leave early.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/life.h"

#include "base/check.h"
#include "matcher/core/pair.h"
#include "matcher/core/report.h"
#include "matcher/core/sync.h"
#include "matcher/core/work.h"

/* ---- Received ------------------------------------------------------------------------------- */

bool
life_is_plain(const struct order_work *w)
{
    return !order_is_conditional(w->type) && (uint32_t)w->fill_model == 0 && w->latency_us == 0 &&
           (w->iceberg_quantity.v | w->expire_us) == 0 && w->list_id == 0;
}

/* When it arrives by the matcher's clock. A ledger's clock that is ahead delays it no further. */
static int64_t
arrives_us(const struct match *m, const struct order_work *w)
{
    int64_t latest_us = m->now_us + w->latency_us, us;
    if (w->latency_us == 0)
        return 0;
    if (__builtin_add_overflow(w->time_us, (int64_t)w->latency_us, &us))
        return latest_us;
    return us < latest_us ? us : latest_us;
}

static void
more_set(const struct match *m, struct order_more *more, const struct order_work *w, uint64_t corr)
{
    more->funds = w->funds.v;
    more->step_size = w->step_size.v;
    more->slice = w->iceberg_quantity.v;
    more->executed = w->executed.v;
    more->total = w->executed.v + w->quantity.v;
    more->stop_price = w->stop_price.v;
    more->trail_extreme = w->trail_extreme.v;
    more->expire_us = w->expire_us;
    more->arrives_us = arrives_us(m, w);
    more->list_id = w->list_id;
    more->corr = corr;
    more->trailing_delta = w->trailing_delta;
    more->slippage_bps = w->slippage_bps;
    more->type = (uint8_t)w->type;
    more->in_force = (uint8_t)w->time_in_force;
    more->source = (uint8_t)w->trigger_source;
    more->is_triggered = w->is_triggered;
    more->is_tracking = w->trailing_delta > 0 && w->trail_extreme.v > 0;
}

uint32_t
life_record(struct match *m, const struct order_work *w, uint32_t book, uint16_t ledger,
            uint64_t corr)
{
    uint32_t record = resting_new(&m->books.orders, w->order_id);
    if (record == RESTING_NONE)
        return RESTING_NONE;
    struct resting *r = &m->books.orders.at[record];
    r->rank = 0;
    r->quantity = w->quantity.v;
    r->price = w->price.v;
    r->mark = 0;
    r->account = w->account_id;
    r->book = book;
    r->ledger = ledger;
    r->side = w->side & 3;
    r->model = w->fill_model & 3;
    r->prevention = w->self_trade_prevention & 7;
    more_set(m, resting_more(&m->books.orders, record), w, corr);
    pair_find(m, record);
    return record;
}

/* ---- Arrived -------------------------------------------------------------------------------- */

static struct book *
book_of(struct match *m, uint32_t record)
{
    const struct resting *r = &m->books.orders.at[record];
    bool is_in_book = r->state == RESTING_IN_BOOK;
    return &m->book[is_in_book ? m->books.levels[r->level].owner / 4 : r->book];
}

static void
arrive(struct match *m, struct outbox *out, uint32_t record)
{
    const struct order_more *more = &m->books.orders.more[record];
    if (more->expire_us > 0 && more->expire_us <= m->now_us) {
        m->counts.expired++;
        (void)life_end(m, out, record, more->corr, ORDER_END_GTD_REACHED);
        return;
    }
    if (more->expire_us > 0)
        timer_set(&m->timers, record, more->expire_us);
    pair_arrive(m, record);
}

void
life_start(struct match *m, struct outbox *out, uint32_t record)
{
    int64_t at_us = m->books.orders.more[record].arrives_us;
    m->books.orders.at[record].state = RESTING_DELAYED;
    if (at_us <= m->now_us) {
        arrive(m, out, record);
        return;
    }
    m->delayed++;
    timer_set(&m->timers, record, at_us);
}

/* ---- Armed ---------------------------------------------------------------------------------- */

static uint64_t
corr_take(struct order_more *more)
{
    uint64_t corr = more->corr;
    more->corr = 0;
    return corr;
}

void
life_arm(struct match *m, struct outbox *out, uint32_t record)
{
    struct resting *r = &m->books.orders.at[record];
    struct order_more *more = &m->books.orders.more[record];
    bool is_new = r->rank == 0;
    if (is_new)
        r->rank = books_next_rank(&m->books);
    story_begin(&m->books, book_of(m, record), record);
    enum trigger_armed armed = trigger_arm(m, record);
    switch (armed) {
    case TRIGGER_MET:
        r->state = RESTING_READY;
        chain_append(m->books.orders.at, &m->ready, record);
        return;
    case TRIGGER_FULL:
        (void)life_end(m, out, record, more->corr, ORDER_END_BOOK_FULL);
        return;
    case TRIGGER_TRAILS:
    case TRIGGER_ARMED:
        break;
    }
    if (!is_new && armed == TRIGGER_ARMED)
        return;
    struct order_report *told = report_alone(m, out, r->id, r->ledger, corr_take(more), NULL);
    told->rank = is_new ? r->rank : 0;
    told->trail_extreme.v = armed == TRIGGER_TRAILS ? more->trail_extreme : 0;
}

bool
life_next(struct match *m, struct outbox *out)
{
    uint32_t record = m->ready.head;
    if (record == RESTING_NONE)
        return false;
    const struct order_more *more = &m->books.orders.more[record];
    chain_remove(m->books.orders.at, &m->ready, record);
    m->books.orders.at[record].state = RESTING_AT_WORK;
    if (order_is_conditional((enum order_type)more->type) && !more->is_triggered)
        life_arm(m, out, record);
    else
        work_record(m, record);
    return true;
}

/* ---- Gone ----------------------------------------------------------------------------------- */

/* Takes an order out of the list it is in. */
static void
take_out(struct match *m, uint32_t record)
{
    const struct resting *r = &m->books.orders.at[record];
    switch ((enum resting_state)r->state) {
    case RESTING_IN_BOOK:
        book_unlink(&m->books, book_of(m, record), record);
        break;
    case RESTING_WAITING:
        sync_unlink(m, &m->links[r->ledger], record);
        break;
    case RESTING_DELAYED:
        m->delayed -= m->books.orders.more[record].timer != RESTING_NONE;
        break;
    case RESTING_ARMED:
        trigger_unlink(m, record);
        break;
    case RESTING_READY:
        chain_remove(m->books.orders.at, &m->ready, record);
        break;
    case RESTING_PAIRING:
    case RESTING_AT_WORK:
        break;
    }
}

void
life_forget(struct match *m, uint32_t record)
{
    if (m->books.orders.at[record].has_more) {
        timer_clear(&m->timers, record);
        pair_untie(m, record);
        story_drop(&m->books, record);
    }
    if (m->sync_before == record)
        m->sync_before = RESTING_NONE;
    resting_free(&m->books.orders, record);
}

void
life_drop(struct match *m, uint32_t record)
{
    take_out(m, record);
    life_forget(m, record);
}

void
life_ended(struct match *m, struct outbox *out, const struct book *b, uint32_t record,
           struct order_report *told)
{
    int64_t extreme = trigger_extreme(m, record);
    pair_decided(m, record);
    if (m->books.orders.more[record].story == RESTING_NONE)
        return;
    struct story *story = arena_take(&out->lists, 1, sizeof(*story));
    CHECK(story != NULL);
    (void)story_take(&m->books, b, record, story);
    story->trail_extreme.v = extreme;
    told->stories = story;
    told->stories_count = 1;
}

struct order_report *
life_end(struct match *m, struct outbox *out, uint32_t record, uint64_t corr, enum order_end end)
{
    const struct resting *r = &m->books.orders.at[record];
    struct order_report *told = report_alone(m, out, r->id, r->ledger, corr, NULL);
    told->end = end;
    if (r->has_more)
        life_ended(m, out, book_of(m, record), record, told);
    life_drop(m, record);
    return told;
}

void
life_touched(struct match *m, struct outbox *out, const struct book *b, const struct filled *who,
             struct order_report *told)
{
    bool is_gone = who->end != ORDER_END_NONE && !who->is_kept;
    if (is_gone || !m->books.orders.at[who->record].has_more)
        return;
    if (who->is_kept) {
        life_ended(m, out, b, who->record, told);
        life_forget(m, who->record);
    } else if (told->fills_count > 0) {
        pair_decided(m, who->record);
    }
}

/* ---- Due ------------------------------------------------------------------------------------ */

bool
life_due(struct match *m, struct outbox *out)
{
    struct errand errand;
    if (!m->is_due || timers_next_us(&m->timers) > m->now_us)
        return false;
    uint32_t record = timer_take(&m->timers, &errand);
    if (record == TIMER_NONE) {
        if (errand.quantity > 0)
            life_trim(m, out, &errand);
        else
            life_pull(m, out, &errand);
    } else if (m->books.orders.at[record].state == RESTING_DELAYED) {
        m->delayed--;
        arrive(m, out, record);
    } else {
        m->counts.expired++;
        (void)life_end(m, out, record, corr_take(&m->books.orders.more[record]),
                       ORDER_END_GTD_REACHED);
    }
    return true;
}

/* ---- A ledger's word on an order ------------------------------------------------------------- */

/* RESTING_NONE when it is not here, or another ledger's. */
static uint32_t
find(const struct match *m, uint64_t order_id, uint16_t ledger)
{
    uint32_t record = resting_find(&m->books.orders, order_id);
    if (record == RESTING_NONE || m->books.orders.at[record].ledger != ledger)
        return RESTING_NONE;
    return record;
}

void
life_errand(struct match *m, struct outbox *out, const struct errand *e, uint32_t latency_us)
{
    if (latency_us > 0 && timer_errand(&m->timers, e, m->now_us + latency_us))
        return;
    if (e->quantity > 0)
        life_trim(m, out, e);
    else
        life_pull(m, out, e);
}

void
life_pull(struct match *m, struct outbox *out, const struct errand *e)
{
    uint32_t record = find(m, e->order_id, e->ledger);
    if (record == RESTING_NONE) {
        m->counts.pulls_unknown++;
        return;
    }
    life_end(m, out, record, e->corr, ORDER_END_CLIENT_CANCEL)->was_pulled = true;
}

/* Lowers an order to this quantity as a whole; false when no less than that is filled, or it has no
 * more than that. */
static bool
trim(struct match *m, uint32_t record, int64_t quantity)
{
    struct resting *r = &m->books.orders.at[record];
    int64_t *total = r->has_more ? &m->books.orders.more[record].total : &r->total;
    bool is_in_book = r->state == RESTING_IN_BOOK;
    int64_t left = is_in_book ? book_left(&m->books, record) : r->quantity;
    if (quantity >= *total || left <= *total - quantity)
        return false;
    left -= *total - quantity;
    *total = quantity;
    if (is_in_book)
        book_trim(&m->books, record, left);
    else
        r->quantity = left;
    return true;
}

void
life_trim(struct match *m, struct outbox *out, const struct errand *e)
{
    uint32_t record = find(m, e->order_id, e->ledger);
    if (record == RESTING_NONE) {
        m->counts.trims_unknown++;
        return;
    }
    struct order_report *told = report_alone(m, out, e->order_id, e->ledger, e->corr, NULL);
    told->was_trimmed = true;
    told->trimmed_to.v = trim(m, record, e->quantity) ? e->quantity : 0;
}

void
life_explain(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger, uint64_t corr)
{
    struct msg *msg = outbox_put(out, OUT_LEDGER, m->links[ledger].peer, MSG_order_explained, corr);
    struct order_explained *e = &msg->order_explained;
    uint32_t record = find(m, order_id, ledger);
    e->order_id = order_id;
    if (record == RESTING_NONE)
        return;
    struct story *story = arena_take(&out->lists, 1, sizeof(*story));
    CHECK(story != NULL);
    (void)story_now(&m->books, book_of(m, record), record, story);
    if (m->books.orders.at[record].has_more)
        story->trail_extreme.v = trigger_extreme(m, record);
    e->stories = story;
    e->stories_count = 1;
}
