/*
 * market.c - see market.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/market.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/log.h"
#include "host/metrics.h"
#include "market/rules.h"
#include "wire/bus.h"

#define ASK_MS   500
#define ALONE_US 100000 /* unlinked for so long: there is nobody to ask */
#define ASK_MAX  256    /* symbols asked about at once */

struct market {
    struct market_options o;
    struct bus *follow, *ask;
    struct loop_timer *timer;
    int64_t opened_us;    /* steady */
    bool is_linked;       /* market data is there to be asked */
    uint32_t next;        /* symbol to ask about */
    uint8_t *is_answered; /* by place of the symbol: asked, and answered or refused */
    uint32_t places;      /* of those that are waited for at the start */
    bool has_list;        /* market data has told its list of symbols */
    uint64_t version;     /* of that list */
    uint64_t *listed;     /* by place of the symbol: version of the last list that had it */
    uint32_t listed_max;
    struct metric *m_prices, *m_unknown, *m_symbols;
};

enum err
market_rules(struct ledger *l, const char *path)
{
    char why[RULES_WHY_BYTES];
    uint32_t count = 0;
    struct symbol_rules *rules = calloc(RULES_MAX, sizeof *rules);
    CHECK(rules != NULL);
    enum err e = rules_load(path, rules, RULES_MAX, &count, why);
    if (e != OK)
        log_line(LOG_ERROR, "rules_failed", "file=%s why=\"%s\"", path, why);
    for (uint32_t i = 0; e == OK && i < count; i++) {
        e = ledger_set_rules(l, &rules[i]);
        if (e != OK)
            log_line(LOG_ERROR, "rules_failed", "symbol=%s why=\"symbols_max is too small\"",
                     rules[i].symbol.text);
    }
    free(rules);
    if (e == OK)
        log_line(LOG_INFO, "rules", "file=%s symbols=%u", path, count);
    return e;
}

/* ---- Symbols ------------------------------------------------------------------------------ */

static void
ask_symbols(struct market *m)
{
    const struct md_symbols_get ask = {0};
    bus_put(m->ask, 0, MSG_md_symbols_get, 0, &ask);
}

static void
take_rules(struct market *m, const struct symbol_rules *rules, uint64_t version)
{
    struct ledger *l = m->o.ledger;
    if (ledger_set_rules(l, rules) != OK) {
        log_line(LOG_ERROR, "symbol_not_taken", "symbol=%s why=\"symbols_max is too small\"",
                 rules->symbol.text);
        return;
    }
    uint32_t place = map_get(&l->symbol_by_code, map_hash(&rules->symbol, sizeof(code_t)));
    CHECK(place != MAP_NONE);
    m->listed[place] = version;
}

/* What an earlier list had and this one has not is traded no more. Symbols that market data never
 * listed keep the rules of the file. */
static void
on_symbols(struct market *m, const struct md_symbols *list)
{
    struct ledger *l = m->o.ledger;
    m->has_list = true;
    if (list->version == m->version)
        return;
    CHECK(l->limits.symbols_max <= m->listed_max);
    for (uint32_t i = 0; i < list->symbols_count; i++)
        take_rules(m, &list->symbols[i], list->version);
    for (uint32_t i = 0; i < l->symbols_count; i++) {
        if (m->listed[i] == 0 || m->listed[i] == list->version)
            continue;
        struct symbol_rules gone = l->symbols[i].rules;
        gone.is_trading = false;
        CHECK(ledger_set_rules(l, &gone) == OK);
    }
    m->version = list->version;
    metric_set(m->m_symbols, list->symbols_count);
    log_line(LOG_INFO, "symbols", "version=%llu count=%u", (unsigned long long)list->version,
             list->symbols_count);
}

/* ---- Prices ------------------------------------------------------------------------------- */

static void
price_tell(struct market *m, const struct md_price *price)
{
    ledger_set_steady(m->o.ledger, loop_steady_us(m->o.loop));
    ledger_set_price(m->o.ledger, price);
}

static void
on_follow(void *arg, const struct bus_in *in)
{
    struct market *m = arg;
    if (in->msg->type == MSG_md_symbols_beat && in->msg->md_symbols_beat.version != m->version)
        ask_symbols(m);
    if (in->msg->type != MSG_md_price)
        return;
    price_tell(m, &in->msg->md_price);
    metric_add(m->m_prices, 1);
}

/* Answers. A price that was published meanwhile is newer than a book's. */
static void
on_answer(void *arg, const struct bus_in *in)
{
    struct market *m = arg;
    if (in->msg->type == MSG_md_symbols)
        on_symbols(m, &in->msg->md_symbols);
    if (in->msg->corr > 0 && in->msg->corr <= m->places)
        m->is_answered[in->msg->corr - 1] = 1;
    if (in->msg->type != MSG_md_book || in->msg->md_book.last_price.v <= 0)
        return;
    const struct md_book *book = &in->msg->md_book;
    const struct ledger *l = m->o.ledger;
    for (uint32_t i = 0; i < l->symbols_count; i++)
        if (l->symbols[i].last.v == 0 && code_same(l->symbols[i].code, book->symbol)) {
            const struct md_price price = {.symbol = book->symbol,
                                           .last = book->last_price,
                                           .time_us = book->time_us,
                                           .state = book->state};
            price_tell(m, &price);
        }
}

/* Prices are published when they change. In a quiet market one has to ask. */
static void
on_tick(void *arg)
{
    struct market *m = arg;
    const struct ledger *l = m->o.ledger;
    uint32_t unknown = 0, asked = 0;
    if (!m->has_list)
        ask_symbols(m);
    for (uint32_t i = 0; i < l->symbols_count; i++)
        unknown += l->symbols[i].is_known && l->symbols[i].last.v == 0;
    metric_set(m->m_unknown, unknown);
    for (uint32_t i = 0; i < l->symbols_count && unknown > 0 && asked < ASK_MAX; i++) {
        m->next = (m->next + 1) % l->symbols_count;
        const struct ledger_symbol *s = &l->symbols[m->next];
        if (!s->is_known || s->last.v != 0)
            continue;
        const struct md_depth_get ask = {.symbol = s->code, .limit = 1};
        bus_put(m->ask, 0, MSG_md_depth_get, m->next + 1, &ask);
        asked++;
    }
    loop_timer_again(m->timer, unknown > 0 || !m->has_list ? ASK_MS : 10 * ASK_MS);
}

bool
market_is_loaded(const struct market *m)
{
    if (!m->is_linked)
        return loop_steady_us(m->o.loop) - m->opened_us >= ALONE_US;
    if (!m->has_list)
        return false;
    const struct ledger *l = m->o.ledger;
    for (uint32_t i = 0; i < m->places; i++)
        if (l->symbols[i].is_known && l->symbols[i].last.v == 0 && m->is_answered[i] == 0)
            return false;
    return true;
}

static void
on_link(void *arg, bool is_up)
{
    ((struct market *)arg)->is_linked = is_up;
}

struct market *
market_open(const struct market_options *o)
{
    struct market *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    m->o = *o;
    m->opened_us = loop_steady_us(o->loop);
    m->places = o->ledger->symbols_count;
    m->is_answered = calloc(m->places + 1, sizeof *m->is_answered);
    m->listed_max = o->ledger->limits.symbols_max;
    m->listed = calloc(m->listed_max, sizeof *m->listed);
    CHECK(m->is_answered != NULL && m->listed != NULL);
    m->m_prices = metric_counter("scrip_ledger_prices_total", "", "Prices heard.");
    m->m_unknown =
        metric_gauge("scrip_ledger_prices_unknown", "", "Symbols whose price nobody has told.");
    m->m_symbols = metric_gauge("scrip_ledger_symbols", "", "Symbols that market data lists.");
    m->follow = bus_open(o->loop, &(struct bus_options){.role = BUS_FOLLOW,
                                                        .endpoint = o->follow_endpoint,
                                                        .name = o->name,
                                                        .arg = m,
                                                        .on_msg = on_follow});
    /* A short queue: what was asked while nobody was there is asked again. */
    m->ask = bus_open(o->loop, &(struct bus_options){.role = BUS_ASK,
                                                     .endpoint = o->ask_endpoint,
                                                     .name = o->name,
                                                     .queue_max = 16,
                                                     .arg = m,
                                                     .on_msg = on_answer,
                                                     .on_link = on_link});
    if (m->follow == NULL || m->ask == NULL) {
        market_close(&m);
        return NULL;
    }
    bus_follow(m->follow, "p.");
    bus_follow(m->follow, "s.");
    m->timer = loop_timer_new(o->loop, 0, 0, on_tick, m);
    return m;
}

void
market_close(struct market **m)
{
    if (*m == NULL)
        return;
    bus_close(&(*m)->follow);
    bus_close(&(*m)->ask);
    if ((*m)->timer != NULL)
        loop_timer_end(&(*m)->timer);
    free((*m)->is_answered);
    free((*m)->listed);
    free(*m);
    *m = NULL;
}
