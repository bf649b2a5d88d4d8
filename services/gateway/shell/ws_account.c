/*
 * ws_account.c - an account's events on a WebSocket: each number once and in order.
 *
 * A gap on the way here is healed by asking the ledger, so a client sees every number, or a
 * snapshot that stands in for what is too old.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/shell/ws_conn.h"
#include "wire/json.h"

#define FIRST_LOOK_US 400000   /* a subscription takes a moment to reach the publisher */
#define LOOK_US       10000000 /* and the last event before a silence may get lost */
#define ASK_AGAIN_US  1000000

static void
add_text(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

static void
account_topic(const struct ws_conn *c, char out[STREAM_TOPIC_BYTES])
{
    snprintf(out, STREAM_TOPIC_BYTES, "a%" PRIu64 ".", c->who.account_id);
}

/* ---- Asking the ledger ------------------------------------------------------------------- */

/* Asks for what the cursor misses, or (from_now) only where the account is. */
static enum err
question_ask(struct ws_conn *c, enum ws_question question, bool from_now)
{
    struct shell *s = c->ws->shell;
    uint64_t owner = WS_OWNER | (uint64_t)c->generation << 32 | c->index;
    uint32_t server = call_ledger_of(s, c->who.account_id);
    uint64_t corr = corr_new(s);
    struct event_resume resume = {.account_id = c->who.account_id, .after = c->cursor.last};
    struct account_get get = {.account_id = c->who.account_id};
    gw_forget(&s->gw, c->question_corr);
    enum err e = from_now ? call_send(s, server, MSG_account_get, corr, owner, false, &get)
                          : call_send(s, server, MSG_event_resume, corr, owner, false, &resume);
    c->question = e == OK ? question : WS_ASK_NONE;
    c->question_corr = e == OK ? corr : 0;
    c->ask_at_us = e == OK ? 0 : loop_steady_us(s->loop) + ASK_AGAIN_US;
    return e;
}

static void
heal(struct ws_conn *c)
{
    enum err e = question_ask(c, WS_ASK_HEAL, false);
    (void)e; /* refused: ask_at_us is set, and the timer asks again */
}

/* The answer is whole: all up to `sequence` was delivered. */
static void
resumed(struct ws_conn *c, uint64_t sequence)
{
    struct ws *w = c->ws;
    c->question = WS_ASK_NONE;
    c->question_corr = 0;
    w->resuming_corr = 0;
    if (cursor_resumed(&c->cursor, sequence)) {
        heal(c);
        return;
    }
    bool is_early = c->ask_at_us == 0 && !c->has_looked;
    c->has_looked = true;
    c->ask_at_us = loop_steady_us(w->shell->loop) + (is_early ? FIRST_LOOK_US : LOOK_US);
}

static void
question_failed(struct ws_conn *c, enum ws_question question, enum err e)
{
    char topic[STREAM_TOPIC_BYTES];
    c->question_corr = 0;
    c->question = WS_ASK_NONE;
    if (question == WS_ASK_HEAL) {
        c->ask_at_us = loop_steady_us(c->ws->shell->loop) + ASK_AGAIN_US;
        return;
    }
    account_topic(c, topic);
    ws_topic_remove(c, topic);
    c->cursor = (struct cursor){0};
    memcpy(c->id, c->question_id, sizeof c->id);
    struct refused why = {.error = e, .retry_after_seconds = 1};
    ws_say_refused(c, question == WS_ASK_RESUME ? "resume" : "subscribe", &why);
    c->id[0] = 0;
}

static void
say_sequence(struct ws_conn *c, enum ws_question question, uint64_t sequence, bool is_snapshot)
{
    char more[128];
    memcpy(c->id, c->question_id, sizeof c->id);
    snprintf(more, sizeof more, ",\"channel\":\"orders\",\"sequence\":%" PRIu64 "%s", sequence,
             is_snapshot ? ",\"is_snapshot\":true" : "");
    if (question != WS_ASK_HEAL)
        ws_say_ok(c, question == WS_ASK_RESUME ? "resume" : "subscribe", more);
    c->id[0] = 0;
}

static void
on_resumed(struct ws_conn *c, enum ws_question question, const struct event_resumed *m,
           uint64_t corr)
{
    say_sequence(c, question, m->sequence, m->is_snapshot);
    if (m->is_snapshot) {
        struct bytes *out = &c->ws->text;
        char head[64];
        bytes_clear(out);
        snprintf(head, sizeof head,
                 "{\"event\":\"snapshot\",\"sequence\":%" PRIu64 ",\"data\":", m->sequence);
        add_text(out, head);
        json_write_body(out, msg_layout(MSG_event_resumed), m);
        add_text(out, "}");
        ws_send_text(c, out);
    }
    if (m->is_snapshot || m->events == 0) {
        resumed(c, m->sequence);
        return;
    }
    c->resume_left = m->events;
    c->resume_sequence = m->sequence;
    c->ws->resuming_corr = corr;
    c->ws->resuming_conn = c->index;
}

void
ws_answer(struct ws *w, uint64_t owner, const struct msg *m, enum err e)
{
    uint32_t index = (uint32_t)owner;
    if (index >= w->conns_max)
        return;
    struct ws_conn *c = &w->conns[index];
    if (c->wsi == NULL || c->generation != (owner >> 32 & INT32_MAX) || c->close_code != 0)
        return;
    enum ws_question question = c->question;
    if (m == NULL)
        question_failed(c, question, e);
    else if (m->type == MSG_refused)
        question_failed(c, question, m->refused.error);
    else if (m->type == MSG_event_resumed)
        on_resumed(c, question, &m->event_resumed, m->corr);
    else if (m->type == MSG_account_view) {
        say_sequence(c, question, m->account_view.event_sequence, false);
        resumed(c, m->account_view.event_sequence);
    } else
        question_failed(c, question, ERR_INTERNAL);
}

void
ws_account_tick(struct ws_conn *c)
{
    struct shell *s = c->ws->shell;
    bool has_ended = tokens_session_ended(s->tokens, c->who.session_id);
    if (c->is_signed_in && (has_ended || c->who.expires_us <= loop_now_us(s->loop))) {
        ws_cut(c, WS_TOKEN_EXPIRED, err_name(has_ended ? ERR_TOKEN_INVALID : ERR_TOKEN_EXPIRED));
        return;
    }
    if (c->ask_at_us == 0 || c->ask_at_us > loop_steady_us(s->loop) || c->question != WS_ASK_NONE)
        return;
    if (c->cursor.is_asking || cursor_recheck(&c->cursor))
        heal(c);
}

/* ---- Events ------------------------------------------------------------------------------ */

/* An account event's number and text; NULL for other messages. What happened to what is in its one
 * record, which names it. */
static struct note *
event_note(struct ws *w, const struct msg *m, uint64_t *sequence)
{
    const struct msg_layout *l = msg_layout(m->type);
    if (strncmp(l->name, "event_", 6) != 0)
        return NULL;
    const struct msg_field *number = msg_field_by_name(l, "sequence");
    const struct msg_field *part = msg_field_by_tag(l, 3);
    if (number == NULL || part == NULL || part->kind != KIND_RECORD)
        return NULL;
    struct bytes *out = &w->text;
    const uint8_t *body = msg_body_const(m);
    char head[80];
    memcpy(sequence, body + number->offset, sizeof *sequence);
    bytes_clear(out);
    snprintf(head, sizeof head,
             "{\"event\":\"%s\",\"sequence\":%" PRIu64 ",\"data\":", part->items->name, *sequence);
    add_text(out, head);
    json_write_body(out, part->items, body + part->offset);
    add_text(out, "}");
    return note_new(out);
}

bool
ws_takes_event(struct ws *w, uint32_t server, const struct msg *m)
{
    (void)server;
    uint64_t sequence;
    struct note *n = event_note(w, m, &sequence);
    if (n == NULL)
        return false;
    struct ws_conn *c = &w->conns[w->resuming_conn];
    if (w->resuming_corr != 0 && w->resuming_corr == m->corr && c->question_corr == m->corr) {
        if (cursor_resent(&c->cursor, sequence) == CURSOR_DELIVER)
            ws_send(c, n);
        if (c->close_code == 0 && --c->resume_left == 0)
            resumed(c, c->resume_sequence);
    }
    note_drop(n);
    return true;
}

void
ws_account_event(struct ws *w, const char *topic, const struct msg *m)
{
    uint32_t sub = stream_first(&w->stream, topic);
    uint64_t sequence;
    struct note *n = sub == STREAM_NONE ? NULL : event_note(w, m, &sequence);
    if (n == NULL)
        return;
    for (uint32_t next; sub != STREAM_NONE; sub = next) {
        struct ws_conn *c = &w->conns[stream_conn(&w->stream, sub)];
        next = stream_next(&w->stream, sub); /* a client that is cut off leaves the list */
        if (!c->cursor.has_started)
            continue;
        switch (cursor_event(&c->cursor, sequence)) {
        case CURSOR_DELIVER:
            ws_send(c, n);
            break;
        case CURSOR_ASK:
            metric_add(w->gaps, 1);
            heal(c);
            break;
        case CURSOR_DROP:
            break;
        }
    }
    note_drop(n);
}

/* ---- Following --------------------------------------------------------------------------- */

void
ws_account_follow(struct ws_conn *c, const char *op, bool from_now, uint64_t after)
{
    char topic[STREAM_TOPIC_BYTES];
    if (!c->is_signed_in) {
        ws_say_error(c, op, ERR_TOKEN_MISSING, "", "send {\"op\":\"auth\",\"token\":...} first");
        return;
    }
    account_topic(c, topic);
    enum err e = ws_topic_add(c, topic, 0);
    if (e != OK) {
        ws_say_error(c, op, e, "", "");
        return;
    }
    cursor_start(&c->cursor, after);
    c->has_looked = false;
    c->ask_at_us = 0;
    memcpy(c->question_id, c->id, sizeof c->question_id); /* others may come before the answer */
    enum ws_question question = from_now ? WS_ASK_SUBSCRIBE : WS_ASK_RESUME;
    e = question_ask(c, question, from_now);
    if (e != OK) {
        c->ask_at_us = 0;
        question_failed(c, question, e);
    }
}

void
ws_account_unfollow(struct ws_conn *c)
{
    char topic[STREAM_TOPIC_BYTES];
    account_topic(c, topic);
    ws_topic_remove(c, topic);
    c->cursor = (struct cursor){0};
    c->ask_at_us = 0;
}

void
ws_account_forget(struct ws_conn *c)
{
    gw_forget(&c->ws->shell->gw, c->question_corr);
    c->question_corr = 0;
    c->question = WS_ASK_NONE;
    c->cursor = (struct cursor){0};
    c->ask_at_us = 0;
}
