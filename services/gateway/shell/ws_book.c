/*
 * ws_book.c - the books that clients follow: questions to market data, what waits for an answer,
 * and texts that clients at the same place share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg_stream.h"
#include "gateway/shell/ws_conn.h"
#include "host/log.h"
#include "wire/json.h"

#define ASK_AGAIN_US   500000
#define HELD_BYTES_MAX (4u << 20)
#define TEXTS          4

/* What clients at place `from` heard (levels == 0), or whoever has nothing. */
struct book_text {
    struct note *note; /* NULL = free */
    uint64_t from, to;
    uint32_t levels;
};

struct ws_book {
    struct depth depth;
    void *room;
    struct bytes held; /* messages that wait for an answer */
    uint64_t owner, corr;
    int64_t ask_at_us;
    struct book_text texts[TEXTS];
    uint32_t next_text;
};

/* ---- Questions --------------------------------------------------------------------------- */

static void
book_ask(struct ws *w, struct ws_book *b)
{
    struct shell *s = w->shell;
    const struct depth *d = &b->depth;
    struct md_snapshot_get get = {.symbol = d->symbol};
    struct md_resend_get resend = {
        .symbol = d->symbol, .from = d->sequence + 1, .to = d->missing_to};
    gw_forget(&s->gw, b->corr);
    b->corr = corr_new(s);
    enum err e =
        d->state == DEPTH_AWAITS_BOOK
            ? call_send(s, s->market_server, MSG_md_snapshot_get, b->corr, b->owner, false, &get)
            : call_send(s, s->market_server, MSG_md_resend_get, b->corr, b->owner, false, &resend);
    b->corr = e == OK ? b->corr : 0;
    b->ask_at_us = loop_steady_us(s->loop) + ASK_AGAIN_US;
}

void
ws_book_tick(struct ws *w)
{
    int64_t now_us = loop_steady_us(w->shell->loop);
    if (w->books_count == 0)
        return;
    for (uint32_t t = 0; t < w->stream.subs_max; t++) {
        struct ws_book *b = w->books[t];
        if (b != NULL && b->depth.state != DEPTH_TRUE && b->corr == 0 && b->ask_at_us <= now_us)
            book_ask(w, b);
    }
}

enum err
ws_book_open(struct ws *w, uint32_t topic, code_t symbol)
{
    if (w->books_count >= (uint32_t)w->shell->config->stream_books_max)
        return ERR_STREAM_LIMIT;
    struct ws_book *b = calloc(1, sizeof *b);
    CHECK(b != NULL);
    b->room = calloc(1, depth_bytes(DEPTH_LEVELS_MAX));
    CHECK(b->room != NULL);
    depth_init(&b->depth, symbol, DEPTH_LEVELS_MAX, b->room);
    b->owner = WS_BOOK_OWNER | (uint64_t)(w->books_made++ & INT32_MAX) << 32 | topic;
    w->books[topic] = b;
    metric_set(w->book_gauge, ++w->books_count);
    book_ask(w, b);
    return OK;
}

void
ws_book_close(struct ws *w, uint32_t topic)
{
    struct ws_book *b = w->books[topic];
    gw_forget(&w->shell->gw, b->corr);
    for (int i = 0; i < TEXTS; i++)
        if (b->texts[i].note != NULL)
            note_drop(b->texts[i].note);
    bytes_free(&b->held);
    free(b->room);
    free(b);
    w->books[topic] = NULL;
    metric_set(w->book_gauge, --w->books_count);
}

/* ---- Messages ---------------------------------------------------------------------------- */

static void
hold(struct ws *w, struct ws_book *b, const struct msg *m)
{
    msg_pack(&b->held, m);
    metric_add(w->held, 1);
    /* What is dropped here shows as a gap behind the answer, and is then asked for. */
    if (b->held.length > HELD_BYTES_MAX)
        bytes_free(&b->held);
}

/* One message, new or kept; whether clients have something to hear. */
static bool
take(struct ws *w, struct ws_book *b, const struct msg *m, bool is_late)
{
    enum depth_verdict v = depth_take(&b->depth, m, is_late);
    if (v == DEPTH_ASK) {
        metric_add(w->resends, 1);
        book_ask(w, b);
    }
    if ((v == DEPTH_ASK || v == DEPTH_HOLD) && m->type != MSG_md_beat)
        hold(w, b, m);
    return v == DEPTH_CHANGED;
}

/* An answer was taken: now what was kept, in the order it came. */
static bool
replay(struct ws *w, struct ws_book *b)
{
    struct bytes held = b->held;
    bool is_changed = false;
    b->held = (struct bytes){NULL, 0, 0};
    for (size_t at = 0; at < held.length;) {
        struct msg m;
        arena_reset(&w->lists);
        if (msg_unpack(held.data, held.length, &at, &w->lists, &m) != OK)
            break; /* lists beyond the arena: the gap will show */
        is_changed |= take(w, b, &m, true);
    }
    bytes_free(&held);
    return is_changed;
}

void
ws_book_message(struct ws *w, uint32_t topic, const struct msg *m)
{
    struct ws_book *b = w->books[topic];
    bool is_changed = b != NULL && take(w, b, m, false);
    if (b != NULL && b->depth.state == DEPTH_TRUE && b->held.length > 0)
        is_changed |= replay(w, b); /* a book of the stream stood for itself */
    if (is_changed)
        ws_topic_wake(w, topic);
}

void
ws_book_answer(struct ws *w, uint64_t owner, const struct msg *m)
{
    uint32_t topic = (uint32_t)owner & INT32_MAX;
    struct ws_book *b = topic < w->stream.subs_max ? w->books[topic] : NULL;
    if (b == NULL || b->owner != owner)
        return;
    b->corr = 0;
    b->ask_at_us = loop_steady_us(w->shell->loop) + ASK_AGAIN_US;
    if (m == NULL || m->type == MSG_refused) {
        if (m != NULL)
            log_msg("book_refused", m);
    } else if (m->type == MSG_md_book && depth_take_book(&b->depth, &m->md_book)) {
        (void)replay(w, b);
        ws_topic_wake(w, topic);
    } else if (m->type == MSG_md_resent && depth_take_head(&b->depth, &m->md_resent) == DEPTH_ASK) {
        book_ask(w, b); /* too old: a snapshot */
    }
}

void
ws_book_resent(struct ws *w, const struct msg *m)
{
    char topic[STREAM_TOPIC_BYTES];
    enum depth_verdict v;
    snprintf(topic, sizeof topic, "d.%s.", msg_stream_symbol(m)->text);
    uint32_t t = stream_topic(&w->stream, topic);
    struct ws_book *b = t == STREAM_NONE ? NULL : w->books[t];
    if (b == NULL)
        return;
    bool is_changed = depth_take_resent(&b->depth, m, &v) && replay(w, b);
    if (is_changed || v == DEPTH_CHANGED)
        ws_topic_wake(w, t);
}

/* ---- Texts ------------------------------------------------------------------------------- */

static void
add_text(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

static struct note *
snapshot_note(struct ws *w, const struct ws_book *b, uint32_t levels, uint64_t *place)
{
    struct bytes *out = &w->text;
    struct md_book book;
    depth_snapshot(&b->depth, levels, place, w->levels, &book);
    bytes_clear(out);
    add_text(out, "{\"event\":\"depth_snapshot\",\"data\":");
    json_write_body(out, msg_layout(MSG_md_book), &book);
    add_text(out, "}");
    return note_new(out);
}

/* NULL: the place is too old. */
static struct note *
change_note(struct ws *w, const struct ws_book *b, uint64_t *place)
{
    struct bytes *out = &w->text;
    struct md_depth change;
    uint64_t previous;
    char head[96];
    if (!depth_since(&b->depth, place, w->levels, &change, &previous))
        return NULL;
    snprintf(head, sizeof head,
             "{\"event\":\"depth\",\"previous_sequence\":%" PRIu64 ",\"data\":", previous);
    bytes_clear(out);
    add_text(out, head);
    json_write_body(out, msg_layout(MSG_md_depth), &change);
    add_text(out, "}");
    return note_new(out);
}

static struct book_text *
text_find(struct ws_book *b, uint64_t from, uint32_t levels)
{
    for (int i = 0; i < TEXTS; i++) {
        struct book_text *t = &b->texts[i];
        if (t->note != NULL && t->from == from && t->levels == levels &&
            t->to == b->depth.steps_end)
            return t;
    }
    return NULL;
}

/* Writes what is asked, in the place of the oldest text. */
static struct book_text *
text_make(struct ws *w, struct ws_book *b, uint64_t from, uint32_t levels)
{
    uint64_t place = from;
    struct note *n = levels > 0 ? snapshot_note(w, b, levels, &place) : change_note(w, b, &place);
    if (n == NULL)
        return NULL;
    struct book_text *t = &b->texts[b->next_text++ % TEXTS];
    if (t->note != NULL)
        note_drop(t->note);
    *t = (struct book_text){.note = n, .from = from, .to = place, .levels = levels};
    return t;
}

struct note *
ws_book_next(struct ws *w, uint32_t topic, uint64_t *place, uint32_t levels)
{
    struct ws_book *b = w->books[topic];
    const struct depth *d = &b->depth;
    if (!depth_is_due(d, *place))
        return NULL;
    bool is_snapshot = *place < d->steps_begin;
    uint64_t from = is_snapshot ? DEPTH_NO_PLACE : *place;
    uint32_t wanted = is_snapshot ? levels : 0;
    struct book_text *t = text_find(b, from, wanted);
    if (t == NULL)
        t = text_make(w, b, from, wanted);
    if (t == NULL)
        return NULL;
    metric_add(w->snapshots, is_snapshot);
    metric_add(w->conflated, is_snapshot ? 0 : (int64_t)(d->steps_end - *place) - 1);
    *place = t->to;
    t->note->refs++;
    return t->note;
}
