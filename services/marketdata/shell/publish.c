/*
 * publish.c - the core's messages to topics, the resend ring and the candle table.
 *
 *     t.<SYMBOL>.             md_trade md_quote md_depth md_mark md_liquidation md_book md_beat
 *     p.<SYMBOL>.             md_price
 *     k.<SYMBOL>.             md_ticker
 *     c.<SYMBOL>.<interval>.  md_candle
 *     s.                      md_symbols_beat: change.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "base/msg_stream.h"
#include "marketdata/shell/serve_priv.h"

#define TOPIC_BYTES 64

/* The symbol of a published message: the first field of each of them. */
static code_t
symbol_of(const struct msg *m)
{
    const code_t *symbol = msg_stream_symbol(m);
    if (symbol != NULL)
        return *symbol;
    switch (m->type) {
    case MSG_md_price:
        return m->md_price.symbol;
    case MSG_md_candle:
        return m->md_candle.symbol;
    case MSG_md_ticker:
        return m->md_ticker.symbol;
    default:
        CHECK(!"a message without a topic");
    }
    return (code_t){""};
}

static bool
is_sequenced(enum msg_type type)
{
    return type == MSG_md_trade || type == MSG_md_quote || type == MSG_md_depth ||
           type == MSG_md_mark || type == MSG_md_liquidation || type == MSG_md_book;
}

static char
topic_letter(enum msg_type type)
{
    return type == MSG_md_price ? 'p' : type == MSG_md_ticker ? 'k' : 't';
}

/* Put together by hand: it is done for every tick. */
static void
topic_write(const struct msg *m, code_t symbol, char out[TOPIC_BYTES])
{
    bool is_candle = m->type == MSG_md_candle;
    out[0] = is_candle ? 'c' : topic_letter(m->type);
    out[1] = '.';
    char *at = stpcpy(out + 2, symbol.text);
    *at++ = '.';
    if (is_candle) {
        at = stpcpy(at, interval_name(m->md_candle.interval));
        *at++ = '.';
    }
    *at = '\0';
}

static void
candle_keep(struct serve *s, const struct md_candle *c, const struct md_symbol *y)
{
    if (s->history == NULL || !c->candle.is_closed)
        return;
    struct history_row row = {.symbol = c->symbol,
                              .interval = c->interval,
                              .candle = c->candle,
                              .as_of_us = y->market_us};
    history_put(s->history, &row);
}

/* The last words about a symbol that was removed come when the core has it no more. */
static void
publish(struct serve *s, struct md_symbol *y, const struct msg *m)
{
    char topic[TOPIC_BYTES];
    code_t symbol = symbol_of(m);
    if (y == NULL || !code_same(y->rules.symbol, symbol))
        y = md_symbol_find(&s->md, symbol);
    topic_write(m, symbol, topic);
    bytes_clear(&s->packed);
    msg_pack(&s->packed, m);
    if (is_sequenced(m->type) && y != NULL)
        ring_put(&y->ring, s->packed.data, s->packed.length);
    bus_publish_packed(s->publisher, topic, s->packed.data, s->packed.length);
    metric_add(s->published, 1);
    metric_add(s->published_bytes, (int64_t)s->packed.length);
    if (m->type == MSG_md_candle && y != NULL)
        candle_keep(s, &m->md_candle, y);
}

void
publish_outbox(struct serve *s, struct md_symbol *y)
{
    for (uint32_t i = 0; i < s->out.count; i++) {
        const struct out *o = &s->out.slots[i];
        if (o->to == OUT_PUBLISH) {
            publish(s, y, &o->msg);
            continue;
        }
        if (o->to == OUT_KEEP) {
            candle_keep(s, &o->msg.md_candle, y);
            continue;
        }
        CHECK(o->to == OUT_REPLY);
        bytes_clear(&s->packed);
        msg_pack(&s->packed, &o->msg);
        bus_put_packed(s->server, o->peer, s->packed.data, s->packed.length);
        metric_add(s->answered, 1);
    }
    outbox_clear(&s->out);
}

/* The topic is a prefix: "p." follows every price. */
static bool
is_followed(const char *topic, enum msg_type type, code_t symbol)
{
    char own[TOPIC_BYTES];
    snprintf(own, sizeof(own), "%c.%s.", topic_letter(type), symbol.text);
    return strncmp(own, topic, strlen(topic)) == 0;
}

void
publish_topic(void *arg, const char *topic, bool followed)
{
    struct serve *s = arg;
    if (!followed)
        return;
    if (strncmp("s.", topic, strlen(topic)) == 0)
        change_beat(s);
    for (uint32_t i = 0; i < s->md.count; i++) {
        struct md_symbol *y = s->md.symbols[i];
        if (!md_has_price(y))
            continue;
        if (is_followed(topic, MSG_md_price, y->rules.symbol))
            md_view_price(y, &outbox_put(&s->out, OUT_PUBLISH, 0, MSG_md_price, 0)->md_price);
        if (is_followed(topic, MSG_md_ticker, y->rules.symbol)) {
            struct md_ticker *m = &outbox_put(&s->out, OUT_PUBLISH, 0, MSG_md_ticker, 0)->md_ticker;
            md_view_ticker(y, m);
            m->written_us = loop_now_us(s->host->loop);
        }
        publish_outbox(s, y);
    }
}
