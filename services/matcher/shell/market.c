/*
 * market.c - see market.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/shell/market.h"

#include <stdlib.h>
#include <string.h>

#include "base/msg_stream.h"
#include "host/log.h"
#include "host/metrics.h"
#include "matcher/core/house.h"
#include "wire/bus.h"

#define LISTS_BYTES  (1u << 20) /* of one held message */
#define ASK_AGAIN_US 500000

/* Of a symbol. */
struct held {
    struct bytes bytes; /* messages that wait for its snapshot */
    bool is_removed;    /* what is still said of it is not listened to */
};

struct market {
    struct market_options o;
    struct bus *follow, *ask;
    struct held *held; /* by the number of the book */
    struct arena lists;
    bool has_symbols;
    uint64_t version; /* of the list of symbols */
    code_t *listed;   /* symbols that are given, by name */
    uint32_t listed_count;
    int64_t symbols_asked_us;
    uint64_t asked, answered;
    struct metric *m_held, *m_overflows, *m_refused;
};

/* Beats say nothing that a snapshot would not; books are whole by themselves. */
static bool
is_held(const struct msg *msg)
{
    return msg->type == MSG_md_trade || msg->type == MSG_md_quote || msg->type == MSG_md_depth ||
           msg->type == MSG_md_mark || msg->type == MSG_md_liquidation;
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

/* ---- The list of symbols ------------------------------------------------------------------ */

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const code_t *)a)->text, ((const code_t *)b)->text);
}

static bool
is_listed(const code_t *list, uint32_t count, const code_t *symbol)
{
    return count > 0 && bsearch(symbol, list, count, sizeof *list, by_name) != NULL;
}

static void
ask_symbols(struct market *m)
{
    const struct md_symbols_get get = {0};
    m->symbols_asked_us = loop_steady_us(m->o.loop);
    bus_put(m->ask, 0, MSG_md_symbols_get, 0, &get);
}

/* A market that was removed has no house, whatever is still said of it. */
static void
listen(struct market *m, code_t symbol, bool is_given)
{
    const struct book *b = match_book(m->o.match, symbol);
    if (b != NULL) {
        m->held[b->number].is_removed = !is_given;
        bytes_free(&m->held[b->number].bytes);
    }
    m->o.on_symbol(m->o.arg, symbol, is_given);
}

static void
on_symbols(struct market *m, const struct md_symbols *symbols)
{
    if (m->has_symbols && symbols->version == m->version)
        return;
    uint32_t count = 0;
    code_t *list = calloc(symbols->symbols_count + 1, sizeof *list);
    CHECK(list != NULL);
    for (uint32_t i = 0; i < symbols->symbols_count; i++)
        if (!symbols->symbols[i].is_removed)
            list[count++] = symbols->symbols[i].symbol;
    for (uint32_t i = 0; i < m->listed_count; i++)
        if (!is_listed(list, count, &m->listed[i]))
            listen(m, m->listed[i], false);
    for (uint32_t i = 0; i < count; i++)
        if (!is_listed(m->listed, m->listed_count, &list[i]))
            listen(m, list[i], true);
    free(m->listed);
    m->listed = list;
    m->listed_count = count;
    m->has_symbols = true;
    m->version = symbols->version;
    log_line(LOG_INFO, "symbols", "version=%llu count=%u", (unsigned long long)m->version, count);
}

/* ---- The stream --------------------------------------------------------------------------- */

static void
on_follow(void *arg, const struct bus_in *in)
{
    struct market *m = arg;
    const struct msg *msg = in->msg;
    if (msg->type == MSG_md_symbols_beat) {
        if (!m->has_symbols || msg->md_symbols_beat.version != m->version)
            ask_symbols(m);
        return;
    }
    const code_t *symbol = msg_stream_symbol(msg);
    if (symbol == NULL)
        return;
    const struct book *b = match_book(m->o.match, *symbol);
    if (b != NULL && m->held[b->number].is_removed)
        return;
    if (b != NULL && is_held(msg) && b->house.state == HOUSE_AWAITING) {
        hold(m, b->number, msg);
        return;
    }
    m->o.on_tick(m->o.arg, msg);
    b = match_book(m->o.match, *symbol);
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
    const struct book *b = match_book(m->o.match, msg->md_book.symbol);
    if (b != NULL && m->held[b->number].is_removed)
        return;
    m->o.on_tick(m->o.arg, msg);
    b = match_book(m->o.match, msg->md_book.symbol);
    if (b != NULL && b->house.state == HOUSE_LIVE)
        replay(m, b->number);
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
    ask_symbols(m);
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
    bus_follow(m->follow, "s.");
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
    free((*m)->listed);
    free((*m)->lists.bytes);
    free(*m);
    *m = NULL;
}
