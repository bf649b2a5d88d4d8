/*
 * market.c - `scripctl market`: market data as it stands, recordings that are steered, symbols that
 * are added and removed while it runs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "scripctl/command.h"
#include "scripctl/question.h"
#include "scripctl/value.h"

/* ---- What is said ---------------------------------------------------------------------------- */

static void
say_sources(const struct call *c, const struct md_sources *s)
{
    out_table(c->out, "source> kind state market_time begin_time end_time speed> loop symbols> "
                      "events> skipped> lag_us> connections> reconnects> gaps> heals> lost> where "
                      "recording");
    for (uint32_t i = 0; i < s->sources_count; i++) {
        const struct source_view *v = &s->sources[i];
        bool is_playback = code_same(v->kind, code_of("playback"));
        char speed[DECIMAL_BYTES] = "";
        if (is_playback)
            decimal_write_short(v->speed.v, speed);
        out_uint(c->out, v->source);
        out_text(c->out, v->kind.text);
        out_text(c->out, msg_enum_name(MSG_ENUM_source_state, v->state));
        out_time(c->out, v->market_us);
        out_time(c->out, v->begin_us);
        out_time(c->out, v->end_us);
        out_text(c->out, is_playback && v->speed.v == 0 ? "max" : speed);
        out_bool(c->out, v->loop);
        out_uint(c->out, v->symbols);
        out_uint(c->out, v->events);
        out_uint(c->out, v->skipped);
        out_int(c->out, v->lag_us);
        out_uint(c->out, v->connections);
        out_uint(c->out, v->reconnects);
        out_uint(c->out, v->gaps);
        out_uint(c->out, v->heals);
        out_uint(c->out, v->lost);
        out_text(c->out, v->where.text);
        out_text(c->out, v->recording.text);
        out_row_end(c->out);
    }
}

static void
say_symbol(const struct call *c, const struct md_symbol_view *v)
{
    const char *state =
        v->state == STREAM_STATE_NONE ? "" : msg_enum_name(MSG_ENUM_stream_state, v->state);
    out_table(c->out, "symbol source> state is_removed is_kept");
    out_text(c->out, v->symbol.text);
    out_uint(c->out, v->source);
    out_text(c->out, state);
    out_bool(c->out, v->is_removed);
    out_bool(c->out, v->is_kept);
    out_row_end(c->out);
    if (!v->is_kept)
        out_say(c->out, "No database has it: it counts until market data ends.");
}

static enum status
say_refused(const struct call *c, const struct refused *r)
{
    bool has_detail = r->detail.text[0] != '\0';
    return refuse(c, STATUS_NO, err_name(r->error), "%s%s%s", err_sentence(r->error),
                  has_detail ? ": " : "", r->detail.text);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static enum status
ask(const struct call *c, const struct msg *m)
{
    char why[WHY_BYTES] = "";
    if (c->o.endpoint == NULL)
        return refuse(c, STATUS_USAGE, "NO_ENDPOINT",
                      "--endpoint or SCRIPCTL_ENDPOINT says where market data answers, such as "
                      "tcp://127.0.0.1:7402");
    struct question *q = question_open(c->o.endpoint, why);
    const struct msg *answer = q == NULL ? NULL : question_ask(q, m, why);
    enum status status = STATUS_OK;
    if (answer == NULL)
        status = refuse(c, STATUS_FAILED, "MARKET_UNREACHABLE", "%s", why);
    else if (answer->type == MSG_refused)
        status = say_refused(c, &answer->refused);
    else if (answer->type == MSG_md_sources)
        say_sources(c, &answer->md_sources);
    else if (answer->type == MSG_md_symbol_view)
        say_symbol(c, &answer->md_symbol_view);
    else
        status = refuse(c, STATUS_FAILED, "MARKET_UNREACHABLE", "it answered something else: %s",
                        msg_layout(answer->type)->name);
    question_close(&q);
    return status;
}

static enum status
steer(const struct call *c, const struct md_playback_set *set)
{
    struct msg m = {.type = MSG_md_playback_set};
    m.md_playback_set = *set;
    m.md_playback_set.source = (uint32_t)c->o.source;
    return ask(c, &m);
}

static bool
read_symbol(const struct call *c, code_t *symbol, enum status *status)
{
    if (c->words[0][0] != '\0' && code_from(c->words[0], strlen(c->words[0]), symbol) == OK)
        return true;
    *status = refuse(c, STATUS_USAGE, "SYMBOL_INVALID", "'%.40s' is no symbol such as BTCUSDT",
                     c->words[0]);
    return false;
}

/* ---- Commands -------------------------------------------------------------------------------- */

enum status
market_status(const struct call *c)
{
    struct msg m = {.type = MSG_md_sources_get};
    m.md_sources_get.source = (uint32_t)c->o.source;
    return ask(c, &m);
}

enum status
market_play(const struct call *c)
{
    return steer(c, &(struct md_playback_set){.action = PLAYBACK_ACTION_PLAY});
}

enum status
market_pause(const struct call *c)
{
    return steer(c, &(struct md_playback_set){.action = PLAYBACK_ACTION_PAUSE});
}

enum status
market_seek(const struct call *c)
{
    int64_t to_us;
    if (!value_time(c->words[0], value_now_us(), &to_us))
        return refuse(c, STATUS_USAGE, "TIME_INVALID",
                      "'%.40s' is no time such as 2026-11-21T12:00:00Z or 2026-11-21", c->words[0]);
    return steer(c, &(struct md_playback_set){.action = PLAYBACK_ACTION_SEEK, .to_us = to_us});
}

enum status
market_speed(const struct call *c)
{
    struct md_playback_set set = {.action = PLAYBACK_ACTION_SPEED};
    const char *word = c->words[0];
    bool is_max = strcmp(word, "max") == 0;
    if (!is_max && (decimal_read(word, strlen(word), &set.speed.v) != OK || set.speed.v <= 0))
        return refuse(c, STATUS_USAGE, "SPEED_INVALID",
                      "'%.40s' is no speed: a number above 0 such as 10 or 0.5, or max", word);
    return steer(c, &set);
}

enum status
market_loop(const struct call *c)
{
    bool on = strcmp(c->words[0], "on") == 0;
    if (!on && strcmp(c->words[0], "off") != 0)
        return refuse(c, STATUS_USAGE, "LOOP_INVALID", "loop is on or off, not '%.40s'",
                      c->words[0]);
    return steer(c, &(struct md_playback_set){.action = PLAYBACK_ACTION_LOOP, .loop = on});
}

enum status
market_add(const struct call *c)
{
    struct msg m = {.type = MSG_md_symbol_add};
    enum status status = STATUS_OK;
    if (!read_symbol(c, &m.md_symbol_add.symbol, &status))
        return status;
    m.md_symbol_add.source = (uint32_t)c->o.source;
    return ask(c, &m);
}

enum status
market_remove(const struct call *c)
{
    struct msg m = {.type = MSG_md_symbol_remove};
    enum status status = STATUS_OK;
    if (!read_symbol(c, &m.md_symbol_remove.symbol, &status))
        return status;
    return ask(c, &m);
}
