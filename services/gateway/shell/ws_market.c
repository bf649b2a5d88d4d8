/*
 * ws_market.c - the market for all who follow it: what a topic has is written once, and each
 * client gets of it what still counts when its turn comes.
 *
 *   channel        topic        of the bus   a slow client gets
 *   ticks          p.SYMBOL.    p.           the newest
 *   ticker         k.SYMBOL.    k.           the newest
 *   mark           m.SYMBOL.    t.           the newest
 *   candles        c.SYMBOL.I.  c.           all that closed, and of the open one the newest
 *   trades         t.SYMBOL.    t.           the last of them, and how many it missed
 *   liquidations   l.SYMBOL.    t.           the same
 *   depth          d.SYMBOL.    t.           all changes in one, or a snapshot (ws_book.c)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg_stream.h"
#include "gateway/shell/ws_conn.h"
#include "wire/json.h"

#define LISTS_BYTES (1u << 20) /* of one held message */

static const struct channel {
    const char *name;
    char key;
    bool keeps; /* messages that count one by one */
    bool is_of_stream;
} channels[] = {
    {"ticks", 'p', false, false},      {"ticker", 'k', false, false}, {"trades", 't', true, true},
    {"candles", 'c', true, false},     {"depth", 'd', false, true},   {"mark", 'm', false, true},
    {"liquidations", 'l', true, true},
};

#define CHANNELS (sizeof channels / sizeof channels[0])

char
ws_channel_key(const char *channel)
{
    for (size_t i = 0; i < CHANNELS; i++)
        if (strcmp(channels[i].name, channel) == 0)
            return channels[i].key;
    return 0;
}

/* NULL of an account's topic. */
static const struct channel *
channel_of(const char *topic)
{
    for (size_t i = 0; i < CHANNELS; i++)
        if (channels[i].key == topic[0])
            return &channels[i];
    return NULL;
}

static code_t
symbol_of(const char *topic)
{
    code_t symbol = {{0}};
    size_t length = strcspn(topic + 2, ".");
    CHECK(length < sizeof symbol.text);
    memcpy(symbol.text, topic + 2, length);
    return symbol;
}

void
ws_market_open(struct ws *w)
{
    uint32_t topics = w->stream.subs_max;
    w->lanes = calloc(topics, sizeof *w->lanes);
    w->books = calloc(topics, sizeof *w->books);
    w->levels = calloc(DEPTH_LEVELS_MAX * 2, sizeof *w->levels);
    void *lists = aligned_alloc(16, LISTS_BYTES);
    CHECK(w->lanes != NULL && w->books != NULL && w->levels != NULL && lists != NULL);
    _Static_assert(DEPTH_CHANGES_MAX <= 2 * DEPTH_LEVELS_MAX, "changes find room too");
    arena_init(&w->lists, lists, LISTS_BYTES);
    w->conflated = metric_counter("scrip_gateway_stream_conflated_total", "",
                                  "Market messages that a newer one stood in for.");
    w->missed = metric_counter("scrip_gateway_stream_missed_total", "",
                               "Trades and the like that slow clients were told to have missed.");
    w->snapshots = metric_counter("scrip_gateway_stream_snapshots_total", "",
                                  "Snapshots of books sent to WebSockets.");
    w->book_gauge = metric_gauge("scrip_gateway_books", "", "Books kept for WebSockets.");
    w->resends = metric_counter("scrip_gateway_book_gaps_total", "",
                                "Gaps in a symbol's messages, for which market data was asked.");
    w->held = metric_counter("scrip_gateway_book_held_total", "",
                             "Messages kept until market data answered.");
}

static void
lane_clear(struct lane *l)
{
    struct note *n;
    while ((n = lane_take(l)) != NULL)
        note_drop(n);
    free(l->kept);
    *l = (struct lane){0};
}

void
ws_market_close(struct ws *w)
{
    for (uint32_t t = 0; t < w->stream.subs_max; t++) {
        lane_clear(&w->lanes[t]);
        if (w->books[t] != NULL)
            ws_book_close(w, t);
    }
    free(w->lanes);
    free(w->books);
    free(w->levels);
    free(w->lists.bytes);
}

/* ---- Topics ------------------------------------------------------------------------------ */

/* The bus that a topic comes from, and its name there. */
static struct bus *
topic_bus(struct ws *w, const char *topic, char out[STREAM_TOPIC_BYTES])
{
    const struct channel *k = channel_of(topic);
    snprintf(out, STREAM_TOPIC_BYTES, "%s", topic);
    if (k == NULL)
        return w->shell->events[call_ledger_of(w->shell, strtoull(topic + 1, NULL, 10))];
    if (k->is_of_stream)
        out[0] = 't';
    return w->shell->market;
}

/* The first who follows a topic. */
static enum err
topic_open(struct ws *w, uint32_t t, const char *topic)
{
    const struct channel *k = channel_of(topic);
    uint32_t kept_max =
        k != NULL && k->keeps ? (uint32_t)w->shell->config->stream_kept_messages : 0;
    void **kept = kept_max == 0 ? NULL : calloc(kept_max, sizeof *kept);
    char followed[STREAM_TOPIC_BYTES];
    CHECK(kept_max == 0 || kept != NULL);
    lane_init(&w->lanes[t], kept, kept_max);
    bus_follow(topic_bus(w, topic, followed), followed);
    return k != NULL && k->key == 'd' ? ws_book_open(w, t, symbol_of(topic)) : OK;
}

/* The last has left: the topic's number is another's from now on. */
static void
topic_close(struct ws *w, uint32_t t, const char *topic)
{
    char followed[STREAM_TOPIC_BYTES];
    lane_clear(&w->lanes[t]);
    if (w->books[t] != NULL)
        ws_book_close(w, t);
    bus_unfollow(topic_bus(w, topic, followed), followed);
}

enum err
ws_topic_add(struct ws_conn *c, const char *topic, uint32_t levels)
{
    struct ws *w = c->ws;
    uint32_t sub;
    bool is_first;
    enum err e = stream_add(&w->stream, c->index, topic, &sub, &is_first);
    if (e != OK)
        return e;
    uint32_t t = stream_topic_of(&w->stream, sub);
    if (is_first && (e = topic_open(w, t, topic)) != OK) {
        ws_topic_remove(c, topic);
        return e;
    }
    if (channel_of(topic) == NULL)
        return OK;
    struct stream_sub *of = &w->stream.subs[sub];
    bool is_new = of->levels == 0;
    of->levels = levels;
    /* Who asks for a book again gets it again, whole. */
    if (is_new || w->books[t] != NULL)
        of->place = lane_join(&w->lanes[t]);
    stream_wake(&w->stream, sub);
    ws_ready(c);
    return OK;
}

void
ws_topic_remove(struct ws_conn *c, const char *topic)
{
    struct ws *w = c->ws;
    bool was_last;
    uint32_t t = stream_topic(&w->stream, topic);
    if (stream_remove(&w->stream, c->index, topic, &was_last) && was_last)
        topic_close(w, t, topic);
}

void
ws_forget(struct ws_conn *c)
{
    struct stream *s = &c->ws->stream;
    char topic[STREAM_TOPIC_BYTES];
    uint32_t sub;
    while ((sub = stream_conn_first(s, c->index)) != STREAM_NONE) {
        snprintf(topic, sizeof topic, "%s", stream_topic_text(s, stream_topic_of(s, sub)));
        ws_topic_remove(c, topic);
    }
    ws_account_forget(c);
}

/* ---- Messages in ------------------------------------------------------------------------- */

void
ws_topic_wake(struct ws *w, uint32_t topic)
{
    for (uint32_t sub = w->stream.topics[topic].first_sub; sub != STREAM_NONE;
         sub = stream_next(&w->stream, sub)) {
        stream_wake(&w->stream, sub);
        ws_ready(&w->conns[stream_conn(&w->stream, sub)]);
    }
}

static void
add_text(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

static struct note *
event_note(struct ws *w, const struct channel *k, const struct msg *m)
{
    struct bytes *out = &w->text;
    bytes_clear(out);
    add_text(out, "{\"event\":\"");
    add_text(out, k->name);
    add_text(out, "\",\"data\":");
    json_write_body(out, msg_layout(m->type), &m->frame);
    add_text(out, "}");
    return note_new(out);
}

/* For all who follow `topic`; if nobody does, it is not even written. */
static void
tell(struct ws *w, const char *topic, const struct msg *m, bool is_kept)
{
    uint32_t t = stream_topic(&w->stream, topic);
    if (t == STREAM_NONE)
        return;
    struct lane *l = &w->lanes[t];
    struct note *n = event_note(w, channel_of(topic), m);
    struct note *old = is_kept ? lane_put_kept(l, n) : lane_put_newest(l, n);
    if (old != NULL)
        note_drop(old);
    /* A candle that has closed is no longer open. */
    if (is_kept && l->newest != NULL)
        note_drop(lane_put_newest(l, NULL));
    ws_topic_wake(w, t);
}

static void
stream_message(struct ws *w, const char *topic, const struct msg *m)
{
    char other[STREAM_TOPIC_BYTES];
    snprintf(other, sizeof other, "%s", topic);
    if (m->type == MSG_md_trade)
        tell(w, topic, m, true);
    other[0] = 'm';
    if (m->type == MSG_md_mark)
        tell(w, other, m, false);
    other[0] = 'l';
    if (m->type == MSG_md_liquidation)
        tell(w, other, m, true);
    other[0] = 'd';
    uint32_t t = stream_topic(&w->stream, other);
    if (t != STREAM_NONE && msg_stream_symbol(m) != NULL)
        ws_book_message(w, t, m);
}

void
ws_market_event(struct ws *w, const char *topic, const struct msg *m)
{
    if (strlen(topic) >= STREAM_TOPIC_BYTES)
        return;
    if (topic[0] == 't')
        stream_message(w, topic, m);
    else if ((topic[0] == 'p' && m->type == MSG_md_price) ||
             (topic[0] == 'k' && m->type == MSG_md_ticker))
        tell(w, topic, m, false);
    else if (topic[0] == 'c' && m->type == MSG_md_candle)
        tell(w, topic, m, m->md_candle.candle.is_closed);
    /* A turn may bring more than a lane keeps: who is not slow is to miss nothing of it. */
    if (++w->told_count >= w->shell->config->stream_kept_messages / 2)
        ws_flush(w);
}

/* ---- Messages out ------------------------------------------------------------------------ */

static struct note *
missed_note(struct ws *w, const char *topic, uint64_t count)
{
    struct bytes *out = &w->text;
    char text[160];
    snprintf(text, sizeof text,
             "{\"event\":\"missed\",\"channel\":\"%s\",\"symbol\":\"%s\",\"count\":%" PRIu64 "}",
             channel_of(topic)->name, symbol_of(topic).text, count);
    metric_add(w->missed, (int64_t)count);
    bytes_clear(out);
    add_text(out, text);
    return note_new(out);
}

static struct note *
lane_note(struct ws *w, uint32_t t, struct lane_place *place)
{
    const struct lane *l = &w->lanes[t];
    uint64_t conflated, missed = lane_missed(l, place);
    if (missed > 0)
        return missed_note(w, stream_topic_text(&w->stream, t), missed);
    struct note *n = lane_next(l, place, &conflated);
    metric_add(w->conflated, (int64_t)conflated);
    if (n != NULL)
        n->refs++;
    return n;
}

struct note *
ws_market_next(struct ws_conn *c)
{
    struct ws *w = c->ws;
    uint32_t sub;
    while ((sub = stream_waiting(&w->stream, c->index)) != STREAM_NONE) {
        struct stream_sub *s = &w->stream.subs[sub];
        struct note *n = w->books[s->topic] != NULL
                             ? ws_book_next(w, s->topic, &s->place.kept, s->levels)
                             : lane_note(w, s->topic, &s->place);
        stream_rest(&w->stream, sub);
        if (n == NULL)
            continue;
        /* It may have more, and others wait too: to the end of the list. */
        stream_wake(&w->stream, sub);
        return n;
    }
    return NULL;
}

/* ---- Symbols that go --------------------------------------------------------------------- */

/* Whether the connection followed anything of the symbol, which it does no more. */
static bool
symbol_leave(struct ws_conn *c, const char *symbol)
{
    struct stream *s = &c->ws->stream;
    bool was_there = false;
    for (uint32_t next, sub = stream_conn_first(s, c->index); sub != STREAM_NONE; sub = next) {
        char topic[STREAM_TOPIC_BYTES];
        next = stream_conn_next(s, sub);
        snprintf(topic, sizeof topic, "%s", stream_topic_text(s, stream_topic_of(s, sub)));
        if (channel_of(topic) == NULL || strcmp(symbol_of(topic).text, symbol) != 0)
            continue;
        ws_topic_remove(c, topic);
        was_there = true;
    }
    return was_there;
}

void
ws_symbol_removed(struct ws *w, const char *symbol)
{
    for (uint32_t i = 0; i < w->conns_max; i++) {
        struct ws_conn *c = &w->conns[i];
        if (c->wsi == NULL || !symbol_leave(c, symbol))
            continue;
        bytes_clear(&w->text);
        add_text(&w->text, "{\"event\":\"symbol_removed\",\"symbol\":");
        json_write_text(&w->text, symbol);
        add_text(&w->text, "}");
        ws_send_text(c, &w->text);
    }
}
