/*
 * live_ask.c - what is asked of REST, in order of need, and what its answers give.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/live_priv.h"
#include "marketdata/core/live_text.h"

#define ASK_LIMIT_US    (60 * LIVE_SECOND_US) /* an answer that did not come will not */
#define BOOKS_MAX       2u                    /* snapshots under way: symbols one after another */
#define KLINES_MAX      2u
#define ITEMS_MAX       1000u /* of one answer */
#define RULES_EVERY_US  (3600 * LIVE_SECOND_US)
#define RULES_LEAST_US  (2 * LIVE_SECOND_US)
#define RULES_MOST_US   (60 * LIVE_SECOND_US)
#define KLINES_LEAST_US (2 * LIVE_SECOND_US)
#define KLINES_MOST_US  (120 * LIVE_SECOND_US)
#define BOOK_LEAST_US   INT64_C(500000)
#define BOOK_MOST_US    (30 * LIVE_SECOND_US)
#define LOST_LEAST_US   (5 * LIVE_SECOND_US)
#define LOST_MOST_US    (120 * LIVE_SECOND_US)
#define LOST_ASKS_MAX   10u
#define HISTORY_US      (24 * 60 * LIVE_MINUTE_US)

/* ---- Asking ----------------------------------------------------------------------------- */

static uint32_t
under_way(const struct live *l, enum live_ask_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->o.asks_max; i++)
        count += l->asks[i].kind == kind;
    return count;
}

static bool
rules_next(struct live *l, struct live_ask *out)
{
    if (l->rules_asked || l->by_name.count == 0 || (!l->rules_wanted && l->now_us < l->rules_us) ||
        (l->rules_wanted && l->now_us < l->rules_ask_us))
        return false;
    l->rules_asked = true;
    *out = (struct live_ask){.kind = LIVE_ASK_RULES};
    return true;
}

static bool
trades_next(struct live *l, struct live_symbol *s, struct live_ask *out)
{
    struct live_trades *t = &s->trades;
    if (!t->has_gap || t->gives_up || t->is_asked || l->now_us < t->ask_us)
        return false;
    t->is_asked = true;
    *out = (struct live_ask){.kind = LIVE_ASK_TRADES, .from = t->last_id + 1};
    return true;
}

static bool
book_next(struct live *l, struct live_symbol *s, struct live_ask *out)
{
    struct live_book *b = &s->book;
    if (b->is_asked || l->now_us < b->ask_us || !live_book_waits(s))
        return false;
    b->is_asked = true;
    *out = (struct live_ask){.kind = LIVE_ASK_BOOK};
    return true;
}

static bool
klines_next(struct live *l, struct live_symbol *s, enum live_ask_kind kind, struct live_ask *out)
{
    struct live_klines *k = kind == LIVE_ASK_MINUTES ? &s->minutes : &s->days;
    if (!k->is_wanted || k->is_asked || l->now_us < k->ask_us || !live_carried(l, s))
        return false;
    int64_t from_us = l->wall_us - HISTORY_US;
    if (k->closed_us > 0)
        from_us = k->closed_us + LIVE_MINUTE_US;
    k->is_asked = true;
    *out = (struct live_ask){.kind = kind, .from = (uint64_t)(from_us / 1000)};
    return true;
}

static bool
lost_next(struct live *l, struct live_ask *out)
{
    for (uint32_t i = 0; i < LIVE_LOST_MAX; i++) {
        struct live_lost *lost = &l->lost[i];
        if (lost->is_used && live_symbol_of(l, lost->symbol, lost->generation) == NULL)
            lost->is_used = false;
        if (!lost->is_used || lost->is_asked || l->now_us < lost->ask_us)
            continue;
        lost->is_asked = true;
        *out = (struct live_ask){.kind = LIVE_ASK_LOST,
                                 .from = lost->first,
                                 .place = i,
                                 .symbol = lost->symbol,
                                 .generation = lost->generation};
        return true;
    }
    return false;
}

static bool
symbol_asks(struct live *l, struct live_symbol *s, enum live_ask_kind kind, struct live_ask *out)
{
    switch (kind) {
    case LIVE_ASK_TRADES:
        return trades_next(l, s, out);
    case LIVE_ASK_BOOK:
        return book_next(l, s, out);
    case LIVE_ASK_MINUTES:
    case LIVE_ASK_DAYS:
        return klines_next(l, s, kind, out);
    case LIVE_ASK_NONE:
    case LIVE_ASK_RULES:
    case LIVE_ASK_LOST:
    case LIVE_ASK_KINDS:
        break;
    }
    return false;
}

/* What is needed most. */
static bool
ask_next(struct live *l, enum live_ask_kind kind, struct live_ask *out)
{
    if (kind == LIVE_ASK_RULES)
        return rules_next(l, out);
    if (kind == LIVE_ASK_LOST)
        return lost_next(l, out);
    if ((kind == LIVE_ASK_BOOK && under_way(l, kind) >= BOOKS_MAX) ||
        (kind >= LIVE_ASK_MINUTES && under_way(l, kind) >= KLINES_MAX))
        return false;
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        struct live_symbol *s = &l->symbols[i];
        if (s->is_used && !s->is_leaving && s->has_rules && symbol_asks(l, s, kind, out)) {
            out->symbol = i;
            out->generation = s->generation;
            return true;
        }
    }
    return false;
}

bool
live_asks_poll(struct live *l, struct live_do *out)
{
    struct live_ask *a = NULL;
    for (uint32_t i = 0; i < l->o.asks_max && a == NULL; i++) {
        if (l->asks[i].kind == LIVE_ASK_NONE)
            a = &l->asks[i];
    }
    for (enum live_ask_kind k = LIVE_ASK_RULES; a != NULL && k < LIVE_ASK_KINDS; k++) {
        if (!ask_next(l, k, a))
            continue;
        a->number = ++l->ask_numbers;
        a->asked_us = l->now_us;
        struct pen p = pen_on(l->text, LIVE_TEXT_BYTES);
        *out = (struct live_do){.kind = LIVE_DO_ASK,
                                .ask = a->number,
                                .text = l->text,
                                .what = a->kind,
                                .is_urgent = k == LIVE_ASK_TRADES || k == LIVE_ASK_BOOK};
        live_ask_write(&p, l, a, &out->weight);
        return true;
    }
    return false;
}

/* ---- Answers ---------------------------------------------------------------------------- */

static void
rules_answered(struct live *l, bool is_ok, int status, int64_t retry_us)
{
    l->rules_asked = false;
    bool is_missing = false;
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        const struct live_symbol *s = &l->symbols[i];
        is_missing |= s->is_used && !s->is_leaving && !s->has_rules;
    }
    /* One name it does not know, and nothing is told of the others. */
    if (status == 400)
        l->rules_whole = true;
    l->rules_wanted = !is_ok || is_missing;
    l->rules_failures = l->rules_wanted ? l->rules_failures + 1 : 0;
    l->rules_us = l->now_us + RULES_EVERY_US;
    l->rules_ask_us =
        l->now_us + retry_us + live_backoff(l, l->rules_failures, RULES_LEAST_US, RULES_MOST_US);
}

static void
klines_answered(struct live *l, struct live_klines *k, bool is_ok, uint64_t items, int64_t retry_us)
{
    k->is_asked = false;
    if (is_ok && items > 0) {
        k->is_wanted = items >= ITEMS_MAX;
        k->failures = 0;
        k->ask_us = l->now_us;
        return;
    }
    k->ask_us =
        l->now_us + retry_us + live_backoff(l, k->failures++, KLINES_LEAST_US, KLINES_MOST_US);
}

static void
lost_answered(struct live *l, struct live_lost *lost, int64_t retry_us)
{
    lost->is_asked = false;
    if (lost->first > lost->last || ++lost->failures >= LOST_ASKS_MAX)
        lost->is_used = false;
    lost->ask_us =
        l->now_us + retry_us + live_backoff(l, lost->failures, LOST_LEAST_US, LOST_MOST_US);
}

/* The request is over: whether anything came of it. */
static void
ask_end(struct live *l, const struct live_ask *a, bool is_ok, int64_t retry_us)
{
    struct live_symbol *s = live_symbol_of(l, a->symbol, a->generation);
    l->is_due = true;
    if (a->kind == LIVE_ASK_LOST) {
        struct live_lost *lost = &l->lost[a->place];
        if (lost->is_asked && lost->symbol == a->symbol && lost->generation == a->generation)
            lost_answered(l, lost, retry_us);
        return;
    }
    if (s == NULL)
        return;
    switch (a->kind) {
    case LIVE_ASK_TRADES:
        live_trades_answered(l, s, is_ok, l->answer_used);
        s->trades.ask_us += retry_us;
        break;
    case LIVE_ASK_BOOK:
        s->book.is_asked = false;
        if (!is_ok)
            s->book.ask_us = l->now_us + retry_us +
                             live_backoff(l, s->book.failures++, BOOK_LEAST_US, BOOK_MOST_US);
        break;
    case LIVE_ASK_MINUTES:
        klines_answered(l, &s->minutes, is_ok, l->answer_items, retry_us);
        break;
    case LIVE_ASK_DAYS:
        klines_answered(l, &s->days, is_ok, l->answer_items, retry_us);
        break;
    case LIVE_ASK_NONE:
    case LIVE_ASK_RULES:
    case LIVE_ASK_LOST:
    case LIVE_ASK_KINDS:
        break;
    }
}

static void
book_answered(struct live *l, const struct live_ask *a, const char *body, size_t length)
{
    struct binance_room room = {l->levels, l->o.levels_max};
    struct live_symbol *s = live_symbol_of(l, a->symbol, a->generation);
    struct md_event e;
    if (s == NULL)
        return;
    if (binance_json(body, length, &room, &e) != OK || e.kind != MD_EVENT_BOOK) {
        l->counts.invalid++;
        ask_end(l, a, false, 0);
        return;
    }
    s->book.is_asked = false;
    if (live_book_waits(s))
        live_book_take(l, s, &e, body, length);
}

static void
list_answered(struct live *l, const struct live_ask *a, const char *body, size_t length)
{
    bool is_klines = a->kind == LIVE_ASK_MINUTES || a->kind == LIVE_ASK_DAYS;
    enum binance_items items = BINANCE_KLINES;
    if (!is_klines)
        items = l->o.market == TRADING_TYPE_spot ? BINANCE_TRADES : BINANCE_AGG_TRADES;
    enum interval interval = a->kind == LIVE_ASK_DAYS ? INTERVAL_1d : INTERVAL_1m;
    binance_list_begin(&l->list, items, interval, body, length);
    l->answer = *a;
}

void
live_answer(struct live *l, uint32_t ask, enum live_reply reply, int status, const char *body,
            size_t length, int64_t retry_us)
{
    struct live_ask *place = NULL;
    CHECK(l->answer.kind == LIVE_ASK_NONE);
    for (uint32_t i = 0; i < l->o.asks_max; i++) {
        if (l->asks[i].kind != LIVE_ASK_NONE && l->asks[i].number == ask)
            place = &l->asks[i];
    }
    if (place == NULL)
        return;
    struct live_ask a = *place;
    bool is_ok = reply == LIVE_REPLY_OK && status == 200;
    *place = (struct live_ask){0};
    l->answer_items = l->answer_used = 0;
    l->is_due = true;
    if (a.kind == LIVE_ASK_RULES)
        rules_answered(l, is_ok, status, retry_us);
    else if (!is_ok)
        ask_end(l, &a, false, retry_us);
    else if (a.kind == LIVE_ASK_BOOK)
        book_answered(l, &a, body, length);
    else
        list_answered(l, &a, body, length);
}

/* ---- Lists ------------------------------------------------------------------------------ */

/* An item is closed when another follows, or when it is long over: our clock may be ahead. */
static void
kline_give(struct live *l, struct live_symbol *s, struct live_klines *k, struct md_event *e)
{
    e->kline.is_closed =
        binance_list_has_more(&l->list) || l->wall_us - e->time_us > LIVE_MINUTE_US;
    int64_t closed_us = e->kline.open_time_us;
    if (!e->kline.is_closed)
        closed_us -= LIVE_MINUTE_US;
    if (closed_us > k->closed_us)
        k->closed_us = closed_us;
    if (!e->kline.is_closed)
        return;
    struct pen p = pen_on(l->written, LIVE_WRITTEN_BYTES);
    live_kline_write(&p, s, e);
    live_give(l, s, e, p.text, p.length);
}

/* False: the rest is not wanted. */
static bool
item_take(struct live *l, struct live_symbol *s, struct md_event *e)
{
    const struct live_ask *a = &l->answer;
    uint64_t last_id = s->trades.last_id;
    bool goes_on = true;
    switch (a->kind) {
    case LIVE_ASK_TRADES:
        goes_on = live_trades_backfill(l, s, e);
        l->answer_used += s->trades.last_id != last_id;
        break;
    case LIVE_ASK_LOST:
        goes_on = l->lost[a->place].is_asked && live_lost_backfill(l, &l->lost[a->place], e);
        break;
    case LIVE_ASK_MINUTES:
        kline_give(l, s, &s->minutes, e);
        break;
    case LIVE_ASK_DAYS:
        kline_give(l, s, &s->days, e);
        break;
    case LIVE_ASK_NONE:
    case LIVE_ASK_RULES:
    case LIVE_ASK_BOOK:
    case LIVE_ASK_KINDS:
        break;
    }
    return goes_on;
}

bool
live_answer_next(struct live *l)
{
    struct live_ask a = l->answer;
    struct live_symbol *s = live_symbol_of(l, a.symbol, a.generation);
    struct md_event e;
    if (s != NULL && binance_list_next(&l->list, &e)) {
        l->answer_items++;
        if (item_take(l, s, &e))
            return true;
    }
    if (l->list.why != OK)
        l->counts.invalid++;
    l->answer.kind = LIVE_ASK_NONE;
    ask_end(l, &a, l->list.why == OK, 0);
    return true;
}

void
live_asks_tick(struct live *l)
{
    for (uint32_t i = 0; i < l->o.asks_max; i++) {
        struct live_ask a = l->asks[i];
        if (a.kind == LIVE_ASK_NONE || l->now_us - a.asked_us < ASK_LIMIT_US)
            continue;
        l->asks[i] = (struct live_ask){0};
        l->answer_items = l->answer_used = 0;
        if (a.kind == LIVE_ASK_RULES)
            rules_answered(l, false, 0, 0);
        else
            ask_end(l, &a, false, 0);
    }
}

enum live_do_kind
live_poll(struct live *l, struct live_do *out)
{
    *out = (struct live_do){0};
    if (!l->is_due)
        return LIVE_DO_NOTHING;
    if (live_conns_poll(l, out) || live_asks_poll(l, out))
        return out->kind;
    l->is_due = false;
    return LIVE_DO_NOTHING;
}
