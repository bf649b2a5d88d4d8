/*
 * md_live_model.c - the made-up exchange.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "md_live_model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS UINT64_C(1700000000000)
#define TEXT_MAX 8192

static const char *const NAMES[MODEL_SYMBOLS] = {"BTCUSDT", "ETHUSDT", "XRPUSDT"};
static const char *const LOWER[MODEL_SYMBOLS] = {"btcusdt", "ethusdt", "xrpusdt"};

uint64_t
model_dice(struct model *m, uint64_t below)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return below == 0 ? 0 : m->random % below;
}

void
model_init(struct model *m, bool is_spot, uint64_t seed)
{
    memset(m, 0, sizeof(*m));
    m->is_spot = is_spot;
    m->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    m->now_ms = START_MS + model_dice(m, 3000) * 20;
    for (int i = 0; i < MODEL_SYMBOLS; i++) {
        struct model_symbol *s = &m->symbols[i];
        snprintf(s->name, sizeof(s->name), "%s", NAMES[i]);
        snprintf(s->lower, sizeof(s->lower), "%s", LOWER[i]);
        s->is_listed = true;
        s->last_raw = 5000 + model_dice(m, 1000);
        s->update_id = s->published_id = 100000 + model_dice(m, 1000);
        for (int side = 0; side < 2; side++) {
            for (int n = 0; n < MODEL_LEVELS; n++)
                s->quantity[side][n] = 1 + (uint32_t)model_dice(m, 50);
        }
        s->minute_ms = m->now_ms / 60000 * 60000;
    }
}

void
model_fini(struct model *m)
{
    for (uint32_t i = 0; i < MODEL_SOCKS; i++)
        model_close(m, i);
    for (uint32_t i = 0; i < MODEL_RESTS; i++)
        free(m->rests[i].body);
}

/* ---- Truth ------------------------------------------------------------------------------ */

uint64_t
model_digest(const uint32_t quantity[2][MODEL_LEVELS])
{
    uint64_t h = UINT64_C(1469598103934665603);
    for (int side = 0; side < 2; side++) {
        for (int n = 0; n < MODEL_LEVELS; n++)
            h = (h ^ (quantity[side][n] + 1)) * UINT64_C(1099511628211);
    }
    return h;
}

const struct model_book *
model_book_at(const struct model_symbol *s, uint64_t update_id)
{
    for (uint32_t i = 0; i < s->books_count && i < MODEL_BOOKS; i++) {
        const struct model_book *b = &s->books[(s->books_count - 1 - i) % MODEL_BOOKS];
        if (b->update_id == update_id)
            return b;
        if (b->update_id < update_id)
            return NULL;
    }
    return NULL;
}

const struct model_trade *
model_trade_of(const struct model_symbol *s, uint64_t id)
{
    if (s->trade_count == 0 || id < s->trades[0].id || id > s->trades[s->trade_count - 1].id)
        return NULL;
    return &s->trades[id - s->trades[0].id];
}

/* ---- Streams ---------------------------------------------------------------------------- */

static void
sock_push(struct model *m, struct model_sock *c, const char *text)
{
    if (c->count == MODEL_QUEUE)
        return;
    uint64_t due = m->now_ms + 1 + model_dice(m, 40);
    if (due < c->last_due_ms)
        due = c->last_due_ms;
    c->last_due_ms = due;
    c->queue[(c->head + c->count++) % MODEL_QUEUE] = (struct model_message){due, strdup(text)};
}

static bool
is_hit(struct model *m, uint32_t *left, const char *stream)
{
    if (*left == 0 || strstr(stream, m->pattern) == NULL)
        return false;
    (*left)--;
    return true;
}

static void
sock_say(struct model *m, struct model_sock *c, const char *stream, const char *text)
{
    uint32_t i = 0;
    while (i < c->stream_count && strcmp(c->streams[i], stream) != 0)
        i++;
    if (!c->is_open || c->is_silent || i == c->stream_count || c->is_dead[i] ||
        is_hit(m, &m->drop, stream))
        return;
    sock_push(m, c, text);
    if (is_hit(m, &m->duplicate, stream))
        sock_push(m, c, text);
    if (c->count >= 2 && is_hit(m, &m->reorder, stream)) {
        struct model_message *a = &c->queue[(c->head + c->count - 1) % MODEL_QUEUE];
        struct model_message *b = &c->queue[(c->head + c->count - 2) % MODEL_QUEUE];
        char *swap = a->text;
        a->text = b->text;
        b->text = swap;
    }
}

static void say(struct model *m, const struct model_symbol *s, const char *suffix,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

static void
say(struct model *m, const struct model_symbol *s, const char *suffix, const char *format, ...)
{
    char stream[40], data[TEXT_MAX], text[TEXT_MAX + 128];
    va_list ap;
    va_start(ap, format);
    vsnprintf(data, sizeof(data), format, ap);
    va_end(ap);
    snprintf(stream, sizeof(stream), "%s%s", s->lower, suffix);
    snprintf(text, sizeof(text), "{\"stream\":\"%s\",\"data\":%s}", stream, data);
    for (uint32_t i = 0; i < MODEL_SOCKS; i++)
        sock_say(m, &m->socks[i], stream, text);
}

/* ---- The market ------------------------------------------------------------------------- */

static const char *
word(bool b)
{
    return b ? "true" : "false";
}

static void
trade_happens(struct model *m, struct model_symbol *s)
{
    if (s->trade_count == MODEL_TRADES_MAX)
        return;
    struct model_trade *t = &s->trades[s->trade_count];
    uint64_t parts = m->is_spot ? 1 : 1 + model_dice(m, 3);
    t->id = s->trade_count > 0 ? t[-1].id + 1 : m->is_spot ? s->last_raw + 1 : 777;
    t->first = s->last_raw + 1;
    t->last = s->last_raw + parts;
    t->price = 990 + (uint32_t)model_dice(m, 20);
    t->quantity = 1 + (uint32_t)model_dice(m, 9);
    t->time_ms = m->now_ms;
    t->buyer_is_maker = model_dice(m, 2) == 0;
    s->trade_count++;
    s->last_raw = t->last;
    s->minute_trades += parts;
    if (m->is_spot)
        say(m, s, "@trade",
            "{\"e\":\"trade\",\"E\":%" PRIu64 ",\"s\":\"%s\",\"t\":%" PRIu64
            ",\"p\":\"%u.00\",\"q\":\"%u.50\",\"T\":%" PRIu64 ",\"m\":%s,\"M\":true}",
            m->now_ms, s->name, t->id, t->price, t->quantity, t->time_ms, word(t->buyer_is_maker));
    else
        say(m, s, "@aggTrade",
            "{\"e\":\"aggTrade\",\"E\":%" PRIu64 ",\"s\":\"%s\",\"a\":%" PRIu64
            ",\"p\":\"%u.00\",\"q\":\"%u.50\",\"f\":%" PRIu64 ",\"l\":%" PRIu64 ",\"T\":%" PRIu64
            ",\"m\":%s}",
            m->now_ms, s->name, t->id, t->price, t->quantity, t->first, t->last, t->time_ms,
            word(t->buyer_is_maker));
}

static int
best(const struct model_symbol *s, int side)
{
    for (int n = 0; n < MODEL_LEVELS; n++) {
        if (s->quantity[side][n] > 0)
            return n;
    }
    return 0;
}

static void
quote_happens(struct model *m, struct model_symbol *s)
{
    int bid = best(s, 0), ask = best(s, 1);
    s->quote_update = s->update_id;
    say(m, s, "@bookTicker",
        "{%s\"u\":%" PRIu64
        ",\"s\":\"%s\",\"b\":\"%d.00\",\"B\":\"%u\",\"a\":\"%d.00\",\"A\":\"%u\"}",
        m->is_spot ? "" : "\"e\":\"bookTicker\",", s->update_id, s->name, 1000 - bid,
        s->quantity[0][bid], 1001 + ask, s->quantity[1][ask]);
}

static void
level_happens(struct model *m, struct model_symbol *s)
{
    int side = (int)model_dice(m, 2), n = (int)model_dice(m, MODEL_LEVELS);
    if (model_dice(m, 3) == 0)
        n = (int)model_dice(m, 2);
    bool is_best = n <= best(s, side);
    s->quantity[side][n] =
        n < MODEL_LEVELS - 1 && model_dice(m, 4) == 0 ? 0 : 1 + (uint32_t)model_dice(m, 50);
    /* The worst level stays, so that no side is ever empty. */
    s->changed[side][n] = true;
    s->update_id += m->is_spot ? 1 : 1 + model_dice(m, 30);
    if (s->first_changed == 0)
        s->first_changed = s->update_id;
    if (is_best)
        quote_happens(m, s);
}

static size_t
levels_print(const struct model_symbol *s, int side, bool only_changed, char *out, size_t room)
{
    size_t length = 0;
    for (int n = 0; n < MODEL_LEVELS; n++) {
        if (only_changed ? !s->changed[side][n] : s->quantity[side][n] == 0)
            continue;
        length += (size_t)snprintf(out + length, room - length, "%s[\"%d.00\",\"%u\"]",
                                   length > 0 ? "," : "", side == 0 ? 1000 - n : 1001 + n,
                                   s->quantity[side][n]);
    }
    out[length] = '\0';
    return length;
}

static void
snapshot_print(const struct model_symbol *s, char *out, size_t room)
{
    char bids[1024], asks[1024];
    levels_print(s, 0, false, bids, sizeof(bids));
    levels_print(s, 1, false, asks, sizeof(asks));
    snprintf(out, room, "{\"lastUpdateId\":%" PRIu64 ",\"bids\":[%s],\"asks\":[%s]}", s->update_id,
             bids, asks);
}

static void
diff_happens(struct model *m, struct model_symbol *s)
{
    char bids[1024], asks[1024], pu[48] = "";
    if (s->first_changed == 0)
        return;
    levels_print(s, 0, true, bids, sizeof(bids));
    levels_print(s, 1, true, asks, sizeof(asks));
    if (!m->is_spot)
        snprintf(pu, sizeof(pu), ",\"pu\":%" PRIu64, s->published_id);
    say(m, s, "@depth@100ms",
        "{\"e\":\"depthUpdate\",\"E\":%" PRIu64 ",\"s\":\"%s\",\"U\":%" PRIu64 ",\"u\":%" PRIu64
        "%s,\"b\":[%s],\"a\":[%s]}",
        m->now_ms, s->name, s->first_changed, s->update_id, pu, bids, asks);
    s->published_id = s->update_id;
    s->first_changed = 0;
    memset(s->changed, 0, sizeof(s->changed));
    s->books[s->books_count++ % MODEL_BOOKS] =
        (struct model_book){s->update_id, model_digest(s->quantity)};
    if (s->books_count % 40 == 0)
        snapshot_print(s, s->older, sizeof(s->older));
}

static void
kline_say(struct model *m, struct model_symbol *s, bool is_closed)
{
    say(m, s, "@kline_1m",
        "{\"e\":\"kline\",\"E\":%" PRIu64 ",\"s\":\"%s\",\"k\":{\"t\":%" PRIu64 ",\"T\":%" PRIu64
        ",\"s\":\"%s\",\"i\":\"1m\",\"f\":-1,\"L\":%" PRId64
        ",\"o\":\"1000\",\"c\":\"1000\",\"h\":\"1010\",\"l\":\"990\",\"v\":\"1\",\"n\":%" PRIu64
        ",\"x\":%s,\"q\":\"1000\",\"V\":\"0.5\",\"Q\":\"500\",\"B\":\"0\"}}",
        m->now_ms, s->name, s->minute_ms, s->minute_ms + 59999, s->name,
        s->minute_trades > 0 ? (int64_t)s->last_raw : -1, s->minute_trades, word(is_closed));
    s->kline_ms = m->now_ms;
    s->minute_raw = s->last_raw;
}

static void
minute_happens(struct model *m, struct model_symbol *s)
{
    if (m->now_ms / 60000 * 60000 != s->minute_ms) {
        kline_say(m, s, true);
        s->minute_ms = m->now_ms / 60000 * 60000;
        s->minute_trades = 0;
    } else if (m->now_ms - s->kline_ms >= 2000 && s->minute_raw != s->last_raw) {
        kline_say(m, s, false);
    }
}

static void
futures_happen(struct model *m, struct model_symbol *s)
{
    if (m->is_spot)
        return;
    if (m->now_ms % 1000 == 0)
        say(m, s, "@markPrice@1s",
            "{\"e\":\"markPriceUpdate\",\"E\":%" PRIu64
            ",\"s\":\"%s\",\"p\":\"1000\",\"i\":\"1000\",\"r\":\"0.0001\",\"T\":%" PRIu64 "}",
            m->now_ms, s->name, m->now_ms + 3600000);
    if (model_dice(m, 500) == 0)
        say(m, s, "@forceOrder",
            "{\"e\":\"forceOrder\",\"E\":%" PRIu64
            ",\"o\":{\"s\":\"%s\",\"S\":\"SELL\",\"o\":\"LIMIT\",\"f\":\"IOC\",\"q\":\"%" PRIu64
            "\",\"p\":\"990\",\"ap\":\"995\",\"X\":\"FILLED\",\"l\":\"1\",\"z\":\"1\",\"T\":"
            "%" PRIu64 "}}",
            m->now_ms, s->name, ++s->forced, m->now_ms);
}

void
model_step(struct model *m, bool is_quiet)
{
    for (int i = 0; i < MODEL_SYMBOLS; i++) {
        struct model_symbol *s = &m->symbols[i];
        /* The last one is quiet: little happens there. */
        uint64_t rare = i == MODEL_SYMBOLS - 1 ? 60 : 3;
        while (!is_quiet && model_dice(m, rare) == 0)
            trade_happens(m, s);
        while (!is_quiet && model_dice(m, rare) == 0)
            level_happens(m, s);
        if (m->now_ms % 100 < 20)
            diff_happens(m, s);
        minute_happens(m, s);
        futures_happen(m, s);
    }
}
