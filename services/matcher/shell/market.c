/*
 * market.c - see market.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/shell/market.h"

#include <stdlib.h>

#include "host/log.h"
#include "host/metrics.h"
#include "matcher/core/house.h"
#include "wire/bus.h"

#define LISTS_BYTES  (1u << 20) /* of one held message */
#define ASK_AGAIN_US 500000

/* Messages of a symbol that wait for its snapshot. */
struct held {
    struct bytes bytes;
};

struct market {
    struct market_options o;
    struct bus *follow, *ask;
    struct held *held; /* by the number of the book */
    struct arena lists;
    bool has_symbols;
    int64_t symbols_asked_us;
    uint64_t asked, answered;
    struct metric *m_held, *m_overflows, *m_refused;
};

static bool
is_waiting(const struct market *m, const code_t *symbol, uint32_t *book)
{
    const struct book *b = match_book(m->o.match, *symbol);
    if (b == NULL)
        return false;
    *book = b->number;
    return b->house.state == HOUSE_AWAITING;
}

/* Beats say nothing that a snapshot would not; books are whole by themselves. */
static bool
is_held(const struct msg *msg)
{
    return msg->type == MSG_md_trade || msg->type == MSG_md_quote || msg->type == MSG_md_depth ||
           msg->type == MSG_md_mark;
}

static void
hold(struct market *m, uint32_t book, const struct msg *msg)
{
    struct bytes *held = &m->held[book].bytes;
    msg_pack(held, msg);
    metric_add(m->m_held, 1);
    if (held->length <= m->o.held_bytes_max)
        return;
    /* What is dropped here shows as a gap behind the snapshot, which is then asked for anew. */
    metric_add(m->m_overflows, 1);
    bytes_free(held);
}

static void
on_follow(void *arg, const struct bus_in *in)
{
    struct market *m = arg;
    const struct msg *msg = in->msg;
    const code_t *symbol = house_symbol(msg);
    uint32_t book;
    if (symbol == NULL)
        return;
    if (is_held(msg) && is_waiting(m, symbol, &book)) {
        hold(m, book, msg);
        return;
    }
    m->o.on_tick(m->o.arg, msg);
    const struct book *b = match_book(m->o.match, *symbol);
    if (b == NULL)
        return;
    if (b->house.state == HOUSE_AWAITING && is_held(msg))
        hold(m, b->number, msg);
    else if (b->house.state == HOUSE_LIVE && m->held[b->number].bytes.length > 0)
        bytes_free(&m->held[b->number].bytes);
}

/* After a snapshot: what was kept, in the order it came. */
static void
replay(struct market *m, uint32_t book)
{
    struct bytes held = m->held[book].bytes;
    m->held[book].bytes = (struct bytes){NULL, 0, 0};
    for (size_t at = 0; at < held.length;) {
        struct msg msg;
        arena_reset(&m->lists);
        if (msg_unpack(held.data, held.length, &at, &m->lists, &msg) != OK)
            break; /* lists beyond the arena: the gap will show */
        m->o.on_tick(m->o.arg, &msg);
    }
    bytes_free(&held);
}

static void
on_book(struct market *m, const struct msg *msg)
{
    m->o.on_tick(m->o.arg, msg);
    const struct book *b = match_book(m->o.match, msg->md_book.symbol);
    if (b != NULL && b->house.state == HOUSE_LIVE)
        replay(m, b->number);
}

static void
on_symbols(struct market *m, const struct md_symbols *symbols)
{
    if (m->has_symbols)
        return;
    m->has_symbols = true;
    for (uint32_t i = 0; i < symbols->symbols_count; i++)
        m->o.on_symbol(m->o.arg, symbols->symbols[i].symbol);
    log_line(LOG_INFO, "symbols", "count=%u", symbols->symbols_count);
}

static void
on_answer(void *arg, const struct bus_in *in)
{
    struct market *m = arg;
    const struct msg *msg = in->msg;
    if (msg->type == MSG_md_symbols) {
        on_symbols(m, &msg->md_symbols);
    } else if (msg->type == MSG_md_book && msg->corr != 0) {
        m->answered++;
        on_book(m, msg);
    } else if (msg->type == MSG_refused) {
        m->answered += msg->corr != 0;
        metric_add(m->m_refused, 1);
        log_msg("market_refused", msg);
    }
}

void
market_ask(struct market *m, const struct msg *question)
{
    m->asked++;
    bus_put(m->ask, 0, question->type, question->corr, &question->md_snapshot_get);
}

bool
market_is_loaded(const struct market *m)
{
    return m->has_symbols && m->answered >= m->asked;
}

void
market_time(struct market *m)
{
    int64_t now_us = loop_steady_us(m->o.loop);
    if (m->has_symbols || (m->symbols_asked_us != 0 && now_us - m->symbols_asked_us < ASK_AGAIN_US))
        return;
    m->symbols_asked_us = now_us;
    const struct md_symbols_get get = {0};
    bus_put(m->ask, 0, MSG_md_symbols_get, 0, &get);
}

struct market *
market_open(const struct market_options *o)
{
    struct market *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    m->o = *o;
    m->held = calloc(o->symbols_max, sizeof *m->held);
    void *lists = aligned_alloc(16, LISTS_BYTES);
    CHECK(m->held != NULL && lists != NULL);
    arena_init(&m->lists, lists, LISTS_BYTES);
    m->m_held = metric_counter("scrip_matcher_market_held_total", "",
                               "Market messages kept until a snapshot came.");
    m->m_overflows = metric_counter("scrip_matcher_market_overflows_total", "",
                                    "Times held_bytes_max was reached.");
    m->m_refused = metric_counter("scrip_matcher_market_refused_total", "",
                                  "Questions that market data refused.");
    m->follow = bus_open(o->loop, &(struct bus_options){.role = BUS_FOLLOW,
                                                        .endpoint = o->follow_endpoint,
                                                        .name = o->name,
                                                        .arg = m,
                                                        .on_msg = on_follow});
    m->ask = bus_open(o->loop, &(struct bus_options){.role = BUS_ASK,
                                                     .endpoint = o->ask_endpoint,
                                                     .name = o->name,
                                                     .queue_max = 64,
                                                     .arg = m,
                                                     .on_msg = on_answer});
    if (m->follow == NULL || m->ask == NULL) {
        market_close(&m);
        return NULL;
    }
    bus_follow(m->follow, "t.");
    market_time(m);
    return m;
}

void
market_close(struct market **m)
{
    if (*m == NULL)
        return;
    bus_close(&(*m)->follow);
    bus_close(&(*m)->ask);
    for (uint32_t i = 0; i < (*m)->o.symbols_max; i++)
        bytes_free(&(*m)->held[i].bytes);
    free((*m)->held);
    free((*m)->lists.bytes);
    free(*m);
    *m = NULL;
}
