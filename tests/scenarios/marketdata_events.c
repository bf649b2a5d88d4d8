/*
 * marketdata_events.c - lines of stories to events of the market data core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata_events.h"

#include <stdlib.h>
#include <string.h>

int64_t
scenario_number(const char *line, const char *key, int64_t fallback)
{
    const char *text = scenario_value(line, key);
    return text == NULL ? fallback : strtoll(text, NULL, 10);
}

int64_t
scenario_decimal(struct scenario_out *out, const char *line, const char *key)
{
    const char *text = scenario_value(line, key);
    int64_t v = 0;
    if (text != NULL && decimal_read(text, strlen(text), &v) != OK)
        scenario_fail(out, "%s=%s is not a decimal", key, text);
    return v;
}

enum interval
scenario_interval(struct scenario_out *out, const char *name)
{
    uint32_t i = name == NULL ? 0 : msg_enum_by_name(MSG_ENUM_interval, name);
    if (i == 0)
        scenario_fail(out, "no such interval: %s", name == NULL ? "none" : name);
    return (enum interval)i;
}

/* P@Q,P@Q */
static uint32_t
levels(struct scenario_out *out, const char *line, const char *key, struct level *to)
{
    const char *text = scenario_value(line, key);
    uint32_t count = 0;
    while (text != NULL && *text != '\0') {
        size_t length = strcspn(text, ","), price = strcspn(text, "@");
        if (count == SCENARIO_LEVELS_MAX || price >= length ||
            decimal_read(text, price, &to[count].price.v) != OK ||
            decimal_read(text + price + 1, length - price - 1, &to[count].quantity.v) != OK) {
            scenario_fail(out, "%s= is not P@Q,P@Q", key);
            return 0;
        }
        count++;
        text += length + (text[length] == ',');
    }
    return count;
}

/* O,H,L,C */
static void
prices(struct scenario_out *out, const char *line, struct candle *c)
{
    price_t *to[] = {&c->open, &c->high, &c->low, &c->close};
    const char *text = scenario_value(line, "prices");
    for (size_t i = 0; i < 4; i++) {
        size_t length = text == NULL ? 0 : strcspn(text, ",");
        if (length == 0 || decimal_read(text, length, &to[i]->v) != OK) {
            scenario_fail(out, "prices= is not O,H,L,C");
            return;
        }
        text += length + (text[length] == ',');
    }
}

static void
trade(const char *line, struct level *levels_to, struct md_event *e, struct scenario_out *out)
{
    (void)levels_to;
    const char *maker = scenario_value(line, "maker");
    e->trade.buyer_is_maker = maker != NULL && strcmp(maker, "buyer") == 0;
    e->is_aggregate = scenario_is(line, "aggregate");
    e->first_trade = (uint64_t)scenario_number(line, "first", 0);
    e->last_trade = (uint64_t)scenario_number(line, "last", 0);
    e->trade.trade_id = (uint64_t)scenario_number(line, "id", 0);
    e->trade.price.v = scenario_decimal(out, line, "price");
    e->trade.quantity.v = scenario_decimal(out, line, "quantity");
    e->trade.time_us = e->time_us;
}

static void
quote(const char *line, struct level *levels_to, struct md_event *e, struct scenario_out *out)
{
    (void)levels_to;
    e->quote.update_id = (uint64_t)scenario_number(line, "update", 0);
    e->quote.bid.v = scenario_decimal(out, line, "bid");
    e->quote.bid_quantity.v = scenario_decimal(out, line, "bid_quantity");
    e->quote.ask.v = scenario_decimal(out, line, "ask");
    e->quote.ask_quantity.v = scenario_decimal(out, line, "ask_quantity");
}

static void
depth(const char *line, struct level *levels_to, struct md_event *e, struct scenario_out *out)
{
    e->first_id = (uint64_t)scenario_number(line, "first", 0);
    e->last_id = (uint64_t)scenario_number(line, "last", 0);
    e->has_previous_id = scenario_value(line, "previous") != NULL;
    e->previous_id = (uint64_t)scenario_number(line, "previous", 0);
    e->bids = levels_to;
    e->asks = levels_to + SCENARIO_LEVELS_MAX;
    e->bid_count = levels(out, line, "bids", levels_to);
    e->ask_count = levels(out, line, "asks", levels_to + SCENARIO_LEVELS_MAX);
}

static void
kline(const char *line, struct level *levels_to, struct md_event *e, struct scenario_out *out)
{
    (void)levels_to;
    e->interval = scenario_interval(out, scenario_value(line, "interval"));
    e->kline_last_trade = (uint64_t)scenario_number(line, "last_trade", 0);
    prices(out, line, &e->kline);
    e->kline.open_time_us = scenario_number(line, "open_time", 0);
    e->kline.volume.v = scenario_decimal(out, line, "quantity");
    e->kline.quote_volume.v = scenario_decimal(out, line, "quote");
    e->kline.taker_buy_volume.v = scenario_decimal(out, line, "bought");
    e->kline.taker_buy_quote_volume.v = scenario_decimal(out, line, "bought_quote");
    e->kline.trades = (uint64_t)scenario_number(line, "trades", 0);
    e->kline.is_closed = strstr(line, " closed") != NULL;
}

static void
liquidation(const char *line, struct level *levels_to, struct md_event *e, struct scenario_out *out)
{
    (void)levels_to;
    const char *side = scenario_value(line, "side");
    e->liquidation.side = side == NULL ? 0 : (enum side)msg_enum_by_name(MSG_ENUM_side, side);
    e->liquidation.quantity.v = scenario_decimal(out, line, "quantity");
    e->liquidation.executed.v = scenario_decimal(out, line, "executed");
    e->liquidation.price.v = scenario_decimal(out, line, "price");
    e->liquidation.average_price.v = scenario_decimal(out, line, "average");
}

/* What a source says of itself. */
static void
source(const char *line, struct level *levels_to, struct md_event *e, struct scenario_out *out)
{
    (void)levels_to;
    (void)out;
    e->first_id = (uint64_t)scenario_number(line, "first", 0);
    e->last_id = (uint64_t)scenario_number(line, "last", 0);
    e->lost = (uint64_t)scenario_number(line, "lost", 0);
    e->until_alive = scenario_value(line, "until") != NULL;
    e->time_us = scenario_number(line, "time", 0);
}

bool
scenario_event(const char *line, struct level *levels_to, struct md_event *e,
               struct scenario_out *out)
{
    static const struct {
        const char *word;
        enum md_event_kind kind;
        void (*read)(const char *line, struct level *levels, struct md_event *e,
                     struct scenario_out *out);
    } WORDS[] = {
        {"trade", MD_EVENT_TRADE, trade},
        {"aggregate", MD_EVENT_TRADE, trade},
        {"quote", MD_EVENT_QUOTE, quote},
        {"diff", MD_EVENT_DIFF, depth},
        {"book", MD_EVENT_BOOK, depth},
        {"kline", MD_EVENT_KLINE, kline},
        {"begin", MD_EVENT_BEGIN, source},
        {"end", MD_EVENT_END, source},
        {"gap", MD_EVENT_GAP, source},
        {"healed", MD_EVENT_HEALED, source},
        {"away", MD_EVENT_AWAY, source},
        {"alive", MD_EVENT_ALIVE, source},
        {"liquidation", MD_EVENT_LIQUIDATION, liquidation},
    };
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        if (!scenario_is(line, WORDS[i].word))
            continue;
        e->kind = WORDS[i].kind;
        e->time_us = scenario_number(line, "time", e->time_us);
        WORDS[i].read(line, levels_to, e, out);
        return true;
    }
    return false;
}
