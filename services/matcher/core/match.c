/*
 * match.c - messages to the parts they are for, and the order in which their effects happen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/match.h"

#include "base/check.h"
#include "base/msg_stream.h"
#include "matcher/core/house.h"
#include "matcher/core/life.h"
#include "matcher/core/model.h"
#include "matcher/core/pair.h"
#include "matcher/core/report.h"
#include "matcher/core/sync.h"
#include "matcher/core/work.h"

static size_t
lines(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

size_t
match_bytes(const struct match_limits *l)
{
    return lines(sizeof(struct match)) + lines(l->books.books_max * sizeof(struct book)) +
           lines(l->ledgers_max * sizeof(struct link)) + lines(map_bytes(l->books.books_max)) +
           lines(timers_bytes(l->books.orders_max, l->errands_max)) +
           lines(triggers_bytes(l->books.levels_max, l->books.books_max)) +
           lines(books_bytes(&l->books));
}

struct match *
match_init(const struct match_limits *l, void *zeroed)
{
    CHECK(((uintptr_t)zeroed & 63) == 0);
    CHECK(l->ledgers_max > 0 && l->ledgers_max <= UINT16_MAX);
    uint8_t *at = zeroed;
    struct match *m = (struct match *)(void *)at;
    at += lines(sizeof(*m));
    m->limits = *l;
    m->book = (struct book *)(void *)at;
    at += lines(l->books.books_max * sizeof(struct book));
    m->links = (struct link *)(void *)at;
    at += lines(l->ledgers_max * sizeof(struct link));
    map_init(&m->symbols, l->books.books_max, at);
    at += lines(map_bytes(l->books.books_max));
    books_init(&m->books, &l->books, at);
    m->books.stale_fills = l->stale_fills;
    at += lines(books_bytes(&l->books));
    timers_init(&m->timers, &m->books.orders, l->errands_max, at);
    at += lines(timers_bytes(l->books.orders_max, l->errands_max));
    triggers_init(&m->triggers, l->books.levels_max, l->books.books_max, at);
    chain_init(&m->ready);
    m->dirty = BOOK_NONE;
    m->syncing = MATCH_LINK_NONE;
    m->sync_before = RESTING_NONE;
    return m;
}

/* ---- Symbols and their market -------------------------------------------------------------- */

/* The key of a symbol, or the free key where it belongs. */
static uint64_t
symbol_key(const struct match *m, const code_t *symbol, uint32_t *book)
{
    uint64_t key = map_hash(symbol->text, sizeof(symbol->text));
    for (;; key = key + 1 != 0 ? key + 1 : 1) {
        *book = map_get(&m->symbols, key);
        if (*book == MAP_NONE || code_same(m->book[*book].symbol, *symbol))
            return key;
    }
}

/* BOOK_NONE when there is no room for another symbol. */
static uint32_t
book_of(struct match *m, const code_t *symbol)
{
    uint32_t book;
    uint64_t key = symbol_key(m, symbol, &book);
    if (book != MAP_NONE)
        return book;
    if (m->books_count == m->limits.books.books_max) {
        m->counts.symbols_refused++;
        return BOOK_NONE;
    }
    book = m->books_count++;
    book_open(&m->book[book], *symbol, book);
    map_set(&m->symbols, key, book);
    return book;
}

const struct book *
match_book(const struct match *m, code_t symbol)
{
    uint32_t book;
    (void)symbol_key(m, &symbol, &book);
    return book != MAP_NONE ? &m->book[book] : NULL;
}

/* Asks for the snapshot of a symbol, unless it was asked for just now. */
static void
ask(struct match *m, struct book *b, struct outbox *out)
{
    if (b->house.asked_us != 0 && m->now_us - b->house.asked_us < m->limits.ask_again_us)
        return;
    b->house.asked_us = m->now_us;
    struct msg *msg = outbox_put(out, OUT_MARKET, 0, MSG_md_snapshot_get, b->number + 1);
    msg->md_snapshot_get.symbol = b->symbol;
}

void
match_watch(struct match *m, code_t symbol, int64_t now_us, struct outbox *out)
{
    m->now_us = now_us;
    uint32_t book = book_of(m, &symbol);
    if (book != BOOK_NONE && m->book[book].house.state == HOUSE_UNKNOWN)
        ask(m, &m->book[book], out);
}

/* What the market's prices are now, for those who wait for one. */
static void
tell_prices(struct match *m, const struct book *b)
{
    const struct trigger_prices *known = &m->triggers.prices[b->number];
    int64_t bid = b->sides[SIDE_BUY - 1].house.best_key;
    int64_t ask = b->sides[SIDE_SELL - 1].house.best_key;
    const int64_t now[TRIGGER_FEEDS] = {
        [TRIGGER_LAST] = b->house.last.v,
        [TRIGGER_BID] = bid != LADDER_NO_KEY ? ladder_price(SIDE_BUY, bid) : 0,
        [TRIGGER_ASK] = ask != LADDER_NO_KEY ? ladder_price(SIDE_SELL, ask) : 0,
        [TRIGGER_MARK] = b->house.mark.v};
    for (uint32_t i = 0; i < TRIGGER_FEEDS; i++)
        if (known->price[i] != now[i])
            trigger_price(m, b->number, (enum trigger_feed)i, now[i]);
}

void
match_unwatch(struct match *m, code_t symbol, int64_t now_us)
{
    uint32_t book;
    (void)symbol_key(m, &symbol, &book);
    if (book == MAP_NONE || m->book[book].house.state == HOUSE_UNKNOWN)
        return;
    m->now_us = m->books.now_us = now_us;
    house_withdraw(&m->books, &m->book[book]);
    tell_prices(m, &m->book[book]);
}

void
match_set_venue(struct match *m, code_t symbol, enum venue venue)
{
    uint32_t book = book_of(m, &symbol);
    if (book != BOOK_NONE)
        m->book[book].venue = venue;
}

static void
apply_market(struct match *m, const code_t *symbol, const struct msg *msg, struct outbox *out)
{
    uint32_t book = book_of(m, symbol);
    if (book == BOOK_NONE)
        return;
    struct book *b = &m->book[book];
    bool was_live = b->house.state == HOUSE_LIVE;
    m->counts.ticks++;
    b->house.spoke_us = m->now_us;
    switch (house_apply(&m->books, b, msg)) {
    case HOUSE_CHANGED:
        work_dirty(m, book);
        break;
    case HOUSE_LOST:
        m->counts.gaps += was_live;
        /* What a publisher doubts itself is not asked for: a beat says when it is over. */
        if (!b->house.is_doubtful)
            ask(m, b, out);
        break;
    case HOUSE_SAME:
        break;
    }
    tell_prices(m, b);
}

/* ---- Ledgers ------------------------------------------------------------------------------- */

static uint32_t
link_of(struct match *m, const code_t *ledger)
{
    for (uint32_t i = 0; i < m->links_count; i++)
        if (code_same(m->links[i].ledger, *ledger))
            return i;
    if (m->links_count == m->limits.ledgers_max)
        return MATCH_LINK_NONE;
    link_init(&m->links[m->links_count], *ledger);
    return m->links_count++;
}

const struct link *
match_link(const struct match *m, uint32_t peer)
{
    for (uint32_t i = 0; i < m->links_count; i++)
        if (m->links[i].state != LINK_NONE && m->links[i].peer == peer)
            return &m->links[i];
    return NULL;
}

/* The session is over: without its ledger's word the orders here may be the wrong ones. */
static void
lose(struct match *m, uint32_t link, struct outbox *out)
{
    struct link *l = &m->links[link];
    sync_drop(m, link);
    link_lose(l);
    if (l->told_us != 0 && m->now_us - l->told_us < m->limits.tell_again_us)
        return;
    l->told_us = m->now_us;
    m->counts.losses++;
    struct msg *msg = outbox_put(out, OUT_LEDGER, l->peer, MSG_link_lost, 0);
    msg->link_lost.expected = l->received + 1;
}

static void
refuse(struct match *m, const struct msg *msg, uint16_t ledger, enum order_end end,
       struct outbox *out)
{
    work_refuse(m, out, msg->order_work.order_id, ledger, msg->corr, end);
    pair_refused(m, &msg->order_work, ledger);
}

static void
apply_work(struct match *m, uint32_t link, const struct msg *msg, struct outbox *out)
{
    const struct order_work *w = &msg->order_work;
    struct link *l = &m->links[link];
    uint16_t ledger = (uint16_t)link;
    m->counts.works++;
    l->synced += l->state == LINK_SYNCING;
    l->has_orders = true;
    if (resting_find(&m->books.orders, w->order_id) != RESTING_NONE) {
        m->counts.works_repeated++;
        return;
    }
    if (pair_was_refused(m, w, ledger))
        return;
    if (!work_is_valid(w)) {
        m->counts.works_invalid++;
        refuse(m, msg, ledger, ORDER_END_INSUFFICIENT_LIQUIDITY, out);
        return;
    }
    uint32_t book = book_of(m, &w->symbol);
    if (book == BOOK_NONE) {
        refuse(m, msg, ledger, ORDER_END_BOOK_FULL, out);
        return;
    }
    if (m->book[book].house.state == HOUSE_UNKNOWN && m->book[book].house.asked_us == 0)
        ask(m, &m->book[book], out);
    bool is_new = l->state == LINK_WORKING && w->rank == 0;
    if (is_new && life_is_plain(w)) {
        work_begin(m, w, book, ledger, msg->corr);
        return;
    }
    uint32_t record = is_new ? life_record(m, w, book, ledger, msg->corr) : RESTING_NONE;
    if (record != RESTING_NONE)
        life_start(m, out, record);
    else if (is_new || !sync_wait(m, w, book, ledger))
        refuse(m, msg, ledger, ORDER_END_BOOK_FULL, out);
    else if (l->state == LINK_WORKING)
        sync_begin(m, link);
}

static void
apply_pull(struct match *m, uint16_t ledger, const struct msg *msg, struct outbox *out)
{
    const struct order_pull *p = &msg->order_pull;
    const struct errand e = {.order_id = p->order_id, .corr = msg->corr, .ledger = ledger};
    m->counts.pulls++;
    life_errand(m, out, &e, p->latency_us);
}

static void
apply_trim(struct match *m, uint16_t ledger, const struct msg *msg, struct outbox *out)
{
    const struct order_trim *t = &msg->order_trim;
    const struct errand e = {
        .order_id = t->order_id, .corr = msg->corr, .quantity = t->quantity.v, .ledger = ledger};
    m->counts.trims++;
    life_errand(m, out, &e, t->latency_us);
}

static void
apply_ledger(struct match *m, uint32_t link, const struct msg *msg, struct outbox *out)
{
    struct link *l = &m->links[link];
    switch (msg->type) {
    case MSG_order_work:
        apply_work(m, link, msg, out);
        break;
    case MSG_order_pull:
        apply_pull(m, (uint16_t)link, msg, out);
        break;
    case MSG_order_trim:
        apply_trim(m, (uint16_t)link, msg, out);
        break;
    case MSG_order_explain:
        life_explain(m, out, msg->order_explain.order_id, (uint16_t)link, msg->corr);
        break;
    case MSG_link_synced:
        if (l->state != LINK_SYNCING)
            break;
        if (msg->link_synced.orders != l->synced) {
            lose(m, link, out);
            break;
        }
        l->state = LINK_WORKING;
        sync_begin(m, link);
        break;
    case MSG_link_beat:
        if (msg->link_beat.frames > l->received)
            lose(m, link, out);
        break;
    default:
        m->counts.unexpected++;
        break;
    }
}

static void
apply_session(struct match *m, uint32_t peer, const struct frame *frame, const struct msg *msg,
              struct outbox *out)
{
    uint32_t link = frame != NULL ? link_of(m, &frame->sender) : MATCH_LINK_NONE;
    if (link == MATCH_LINK_NONE) {
        m->counts.unexpected++;
        return;
    }
    switch (link_judge(&m->links[link], peer, frame, msg->type, m->now_us)) {
    case LINK_TAKE:
        apply_ledger(m, link, msg, out);
        break;
    case LINK_BEGIN:
        sync_drop(m, link);
        m->counts.sessions++;
        (void)outbox_put(out, OUT_LEDGER, peer, MSG_link_ready, msg->corr);
        break;
    case LINK_DROP:
        m->counts.stale++;
        break;
    case LINK_BREAK:
        lose(m, link, out);
        break;
    }
}

void
match_unreadable(struct match *m, uint32_t peer, int64_t now_us, struct outbox *out)
{
    m->now_us = now_us;
    for (uint32_t i = 0; i < m->links_count; i++)
        if (m->links[i].state != LINK_NONE && m->links[i].peer == peer)
            lose(m, i, out);
}

/* ---- One message --------------------------------------------------------------------------- */

/* Whether nothing waits for its turn any more. */
static bool
is_idle(const struct match *m)
{
    return chain_is_empty(&m->ready) && m->syncing == MATCH_LINK_NONE &&
           (!m->is_due || timers_next_us(&m->timers) > m->now_us);
}

/* The next thing that waits for its turn: an order that is ready, one that waited for its resync,
 * what is due by now. */
static void
next(struct match *m, struct outbox *out)
{
    if (!life_next(m, out) && !sync_next(m, out))
        (void)life_due(m, out);
}

/* Carries out what is left to do, in this order: the order at work; extremes that are news;
 * resynced orders back to their ranks; what crosses; the next thing that waits for its turn. */
static void
run(struct match *m, struct outbox *out)
{
    m->is_busy = true;
    for (;;) {
        if (m->is_working && !work_run(m, out))
            return;
        if (!trigger_tell(m, out) || !sync_insert(m, out) || !work_fire(m, out))
            return;
        if (is_idle(m))
            break;
        if (!report_room(out))
            return;
        next(m, out);
    }
    m->is_due = m->is_busy = false;
}

void
match_apply(struct match *m, uint32_t peer, const struct frame *frame, const struct msg *msg,
            int64_t now_us, struct outbox *out)
{
    CHECK(!m->is_busy);
    CHECK(outbox_room(out) >= MATCH_OUT_MIN);
    m->now_us = m->books.now_us = now_us;
    const code_t *symbol = msg_stream_symbol(msg);
    if (symbol != NULL)
        apply_market(m, symbol, msg, out);
    else
        apply_session(m, peer, frame, msg, out);
    run(m, out);
}

void
match_resume(struct match *m, struct outbox *out)
{
    CHECK(m->is_busy);
    CHECK(report_room(out));
    run(m, out);
}

/* Whether the market behind a book's house has stopped to speak. */
static bool
is_silent(const struct match *m, const struct book *b)
{
    int64_t limit_us = m->limits.market_silence_us;
    return b->house.state == HOUSE_LIVE && limit_us > 0 && m->now_us - b->house.spoke_us > limit_us;
}

void
match_due(struct match *m, int64_t now_us, struct outbox *out)
{
    CHECK(!m->is_busy);
    m->now_us = m->books.now_us = now_us;
    m->is_due = true;
    run(m, out);
}

void
match_time(struct match *m, int64_t now_us, struct outbox *out)
{
    CHECK(!m->is_busy);
    m->now_us = m->books.now_us = now_us;
    for (uint32_t i = 0; i < m->links_count && outbox_room(out) > 0; i++)
        if (link_is_silent(&m->links[i], now_us, m->limits.silence_us))
            lose(m, i, out);
    for (uint32_t i = 0; i < m->books_count && outbox_room(out) > 0; i++) {
        struct book *b = &m->book[i];
        if (is_silent(m, b)) {
            m->counts.gaps++;
            (void)house_lose(&m->books, b);
            tell_prices(m, b);
        }
        if (b->house.state == HOUSE_AWAITING && !b->house.is_doubtful)
            ask(m, b, out);
    }
    match_due(m, now_us, out);
}

/* Whether a side's best users' order should have met the other side's users or house. */
static bool
crosses(const struct match *m, const struct book *b, enum side side)
{
    enum side other = side_other(side);
    const struct ladder *users = &b->sides[side - 1].users;
    if (users->count == 0)
        return false;
    int64_t key = ladder_key(other, ladder_price(side, users->best_key));
    return b->sides[other - 1].users.best_key >= key || book_house_best(b, other) > key ||
           (book_house_best(b, other) == key && !model_may_lock(&m->books, b, users->best_slot));
}

static const char *
check_book(const struct match *m, const struct book *b)
{
    const char *wrong = book_verify(&m->books, b);
    if (wrong != NULL || m->is_busy)
        return wrong;
    if (b->is_dirty)
        return "match: a book is still dirty";
    if (crosses(m, b, SIDE_BUY))
        return "match: a bid rests at or above the best ask";
    if (crosses(m, b, SIDE_SELL))
        return "match: an ask rests at or below the best bid";
    return NULL;
}

/* Every order is in the one place that its state says. */
static const char *
check_places(const struct match *m)
{
    uint32_t counts[RESTING_AT_WORK + 1] = {0}, in_books = 0, waiting = 0, ready = 0;
    for (uint32_t i = 0; i < m->books.orders.fresh; i++) {
        const struct resting *r = &m->books.orders.at[i];
        if (r->id == 0)
            continue;
        counts[r->state]++;
        if (r->state != RESTING_IN_BOOK && !r->has_more)
            return "match: an order that waits does not know what for";
        if (r->state == RESTING_DELAYED && m->books.orders.more[i].timer == RESTING_NONE)
            return "match: an order is on its way and never arrives";
    }
    for (uint32_t i = 0; i < m->books_count; i++)
        in_books += m->book[i].orders;
    for (uint32_t i = 0; i < m->links_count; i++)
        waiting += m->links[i].waiting;
    for (uint32_t i = m->ready.head; i != RESTING_NONE; i = m->books.orders.at[i].next)
        ready++;
    if (counts[RESTING_IN_BOOK] != in_books || counts[RESTING_WAITING] != waiting)
        return "match: an order is in no book and in no waiting list";
    if (counts[RESTING_DELAYED] != m->delayed || counts[RESTING_ARMED] != m->triggers.armed)
        return "match: the number of delayed or armed orders is wrong";
    if (counts[RESTING_READY] != ready || (ready > 0 && !m->is_busy))
        return "match: an order is ready and nobody goes on with it";
    bool is_at_work = m->is_working && m->work.record != RESTING_NONE;
    return counts[RESTING_AT_WORK] == is_at_work ? NULL : "match: an order is nowhere";
}

const char *
match_check(const struct match *m)
{
    const char *wrong = resting_check(&m->books.orders);
    for (uint32_t i = 0; i < m->books_count && wrong == NULL; i++)
        wrong = check_book(m, &m->book[i]);
    if (wrong == NULL)
        wrong = check_places(m);
    if (wrong == NULL)
        wrong = timers_check(&m->timers);
    if (wrong == NULL)
        wrong = triggers_check(m);
    return wrong != NULL ? wrong : pair_check(m);
}
