/*
 * answer_klines.c - candles asked for, and what an earlier process left of them.
 *
 * The database has what was closed, memory has what closed a moment ago and what is still open.
 * Where both have one, memory's is the newer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "marketdata/shell/serve_priv.h"

#define KLINES_MAX     1000u
#define KLINES_DEFAULT 500u
#define KLINES_MERGED  (KLINES_MAX + MD_MINUTES)
#define DAY_US         INT64_C(86400000000)
#define MINUTE_US      INT64_C(60000000)

/* A klines question that waits for the database. */
struct kline_call {
    struct serve *serve;
    uint32_t peer;
    uint64_t corr;
    struct md_klines_get get;
};

/* ---- Candles ---------------------------------------------------------------------------- */

struct merge {
    struct candle list[KLINES_MERGED];
    uint32_t count;
    struct candle known[MD_MINUTES]; /* to memory */
};

/* In order; one that is there already is replaced, unless it alone is final or has more trades:
 * then what comes is a part of it. */
static void
merge_add(struct merge *m, const struct candle *c, const struct md_klines_get *get)
{
    if ((get->from_us != 0 && c->open_time_us < get->from_us) ||
        (get->to_us != 0 && c->open_time_us > get->to_us))
        return;
    uint32_t at = m->count;
    while (at > 0 && m->list[at - 1].open_time_us > c->open_time_us)
        at--;
    if (at > 0 && m->list[at - 1].open_time_us == c->open_time_us) {
        const struct candle *there = &m->list[at - 1];
        if (c->is_final || (!there->is_final && c->trades >= there->trades))
            m->list[at - 1] = *c;
        return;
    }
    if (m->count == KLINES_MERGED)
        return;
    memmove(&m->list[at + 1], &m->list[at], (m->count - at) * sizeof(m->list[0]));
    m->list[at] = *c;
    m->count++;
}

static void
merge_memory(struct merge *m, const struct md_symbol *y, const struct md_klines_get *get)
{
    uint32_t max = get->from_us == 0 && get->limit < MD_MINUTES ? get->limit : MD_MINUTES;
    uint32_t count = md_candles_known(y, get->interval, get->from_us,
                                      get->to_us == 0 ? INT64_MAX : get->to_us, max, m->known);
    for (uint32_t i = 0; i < count; i++)
        merge_add(m, &m->known[i], get);
}

/* An earlier process may have ended inside a candle: by now that interval is over. */
static void
close_passed(struct merge *m, enum interval i, int64_t market_us)
{
    for (uint32_t n = 0; n < m->count; n++) {
        if (interval_end(i, m->list[n].open_time_us) <= market_us)
            m->list[n].is_closed = true;
    }
}

static void
klines_send(const struct kline_call *call, struct merge *m)
{
    struct serve *s = call->serve;
    const struct md_klines_get *get = &call->get;
    const struct md_symbol *y = md_symbol_find(&s->md, get->symbol);
    if (y != NULL) {
        merge_memory(m, y, get);
        close_passed(m, get->interval, y->market_us);
    }
    /* From a start the first ones are wanted, otherwise the last. */
    uint32_t count = m->count < get->limit ? m->count : get->limit;
    uint32_t first = get->from_us != 0 ? 0 : m->count - count;
    struct md_klines answer = {.symbol = get->symbol,
                               .interval = get->interval,
                               .candles = &m->list[first],
                               .candles_count = count};
    answer_reply(s, call->peer, MSG_md_klines, call->corr, &answer);
}

static void
klines_read(void *arg, const struct history_row *rows, uint32_t count)
{
    struct kline_call *call = arg;
    call->serve->kline_calls--;
    if (rows == NULL) {
        answer_refuse(call->serve, call->peer, call->corr, ERR_MARKET_UNAVAILABLE, "");
    } else {
        struct merge *m = calloc(1, sizeof(*m));
        CHECK(m != NULL);
        for (uint32_t i = 0; i < count; i++)
            merge_add(m, &rows[i].candle, &call->get);
        klines_send(call, m);
        free(m);
    }
    free(call);
}

void
answer_klines(struct serve *s, const struct bus_in *in)
{
    struct md_klines_get get = in->msg->md_klines_get;
    if (get.limit > KLINES_MAX || get.from_us < 0 || get.to_us < 0) {
        answer_refuse(s, in->peer, in->msg->corr, ERR_NUMBER_RANGE,
                      get.limit > KLINES_MAX ? "limit" : "from_us");
        return;
    }
    if (md_rules_find(&s->md, get.symbol) == NULL) {
        answer_refuse(s, in->peer, in->msg->corr, ERR_SYMBOL_UNKNOWN, "symbol");
        return;
    }
    if (get.limit == 0)
        get.limit = KLINES_DEFAULT;
    struct kline_call *call = malloc(sizeof(*call));
    CHECK(call != NULL);
    *call = (struct kline_call){s, in->peer, in->msg->corr, get};
    int64_t to_us = get.to_us == 0 ? INT64_MAX : get.to_us;
    if (s->history == NULL || s->kline_calls == KLINE_CALLS_MAX ||
        !history_read(s->history, get.symbol, get.interval, get.from_us, to_us, get.limit,
                      get.from_us != 0, klines_read, call)) {
        free(call);
        answer_refuse(s, in->peer, in->msg->corr, ERR_MARKET_UNAVAILABLE, "");
        return;
    }
    s->kline_calls++;
}

/* ---- What the process before left ------------------------------------------------------- */

/* Meanwhile the symbol may be gone, or gone and back: then another one has begun since. */
struct history_call {
    struct serve *serve;
    code_t symbol;
    int64_t first_minute_us;
    enum { ASK_DAYS, ASK_MINUTES, ASK_OPEN, ASK_LONGER, ASK_NOTHING } ask;
};

static uint32_t
index_asked_for(const struct history_call *call)
{
    uint32_t index = serve_symbol_index(call->serve, call->symbol);
    bool is_it =
        index != UINT32_MAX && call->serve->symbols[index].first_minute_us == call->first_minute_us;
    return is_it ? index : UINT32_MAX;
}

/* Asks for the next part; open candles may be written over once all of them are known. */
static void history_ask(struct history_call *call);

/* The symbol that rows are for; NULL when there are none to take in. */
static struct md_symbol *
symbol_asked_for(const struct history_call *call, const struct history_row *rows)
{
    uint32_t index = index_asked_for(call);
    if (index == UINT32_MAX)
        return NULL;
    if (rows == NULL) /* not answered: ask again */
        call->serve->symbols[index].asked_history = false;
    return rows == NULL ? NULL : call->serve->md.symbols[index];
}

static void
part_read(void *arg, const struct history_row *rows, uint32_t count)
{
    struct history_call *call = arg;
    struct md_symbol *y = symbol_asked_for(call, rows);
    if (y == NULL) {
        free(call);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct history_row *r = &rows[i];
        if (call->ask == ASK_DAYS && r->candle.is_closed)
            md_remember_day(y, &r->candle);
        if (call->ask == ASK_MINUTES)
            md_remember_minute(y, &r->candle);
        if (call->ask == ASK_LONGER)
            md_remember_longer(y, r->interval, &r->candle);
        if (call->ask != ASK_OPEN)
            continue;
        md_remember_open(y, r->interval, &r->candle, r->as_of_us);
        /* A minute that ended while nobody was there to close it still counts for the day. */
        if (r->candle.open_time_us < call->first_minute_us)
            md_remember_minute(y, &r->candle);
    }
    call->ask++;
    history_ask(call);
}

static void
history_ask(struct history_call *call)
{
    struct history *h = call->serve->history;
    int64_t minute_us = call->first_minute_us, day_us = interval_open(INTERVAL_1d, minute_us);
    bool is_asked = false;
    switch (call->ask) {
    case ASK_DAYS:
        is_asked = history_read(h, call->symbol, INTERVAL_1d, day_us - MD_DAYS * DAY_US, day_us - 1,
                                MD_DAYS, false, part_read, call);
        break;
    case ASK_MINUTES:
        is_asked = history_read(h, call->symbol, INTERVAL_1m, minute_us - MD_MINUTES * MINUTE_US,
                                minute_us - MINUTE_US, MD_MINUTES, false, part_read, call);
        break;
    case ASK_OPEN:
        is_asked = history_read_open(h, call->symbol, minute_us - DAY_US, part_read, call);
        break;
    case ASK_LONGER:
        is_asked = history_read_longer(h, call->symbol, minute_us - MD_MINUTES * MINUTE_US,
                                       day_us - MD_DAYS * DAY_US, part_read, call);
        break;
    case ASK_NOTHING:
        call->serve->symbols[index_asked_for(call)].knows_history = true;
        break;
    }
    if (is_asked)
        return;
    if (call->ask != ASK_NOTHING)
        (void)symbol_asked_for(call, NULL);
    free(call);
}

void
answer_history(struct serve *s, uint32_t index)
{
    struct serve_symbol *k = &s->symbols[index];
    if (s->history == NULL || k->asked_history || k->first_minute_us == 0 ||
        !history_is_up(s->history))
        return;
    struct history_call *call = malloc(sizeof(*call));
    CHECK(call != NULL);
    *call =
        (struct history_call){s, s->md.symbols[index]->rules.symbol, k->first_minute_us, ASK_DAYS};
    k->asked_history = true;
    history_ask(call);
}
