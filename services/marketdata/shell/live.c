/*
 * live.c - the source `binance`: what is heard goes through the core, and is recorded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "market/rules.h"
#include "marketdata/shell/live_priv.h"

#define ATTEMPTS_MAX    60u /* connections in 5 minutes; the exchange takes 300 */
#define LEVELS_MAX      5000u
#define KEPT_LEVELS_MAX 16384u /* as the process's core is given */

/* ---- Life ------------------------------------------------------------------------------- */

static void
on_tick(void *arg)
{
    struct live_source *s = arg;
    if (s->has_tick)
        return;
    s->has_tick = true;
    live_heard(s, LIVE_IN_TICK, 0, NULL, 0);
}

/* USD-M takes these alone. */
static uint32_t
levels_asked(int64_t levels)
{
    return levels <= 100 ? 100 : levels <= 500 ? 500 : 1000;
}

static void
core_open(struct live_source *s)
{
    const struct marketdata_config *c = s->env.net->config;
    struct live_options o = {.market = s->market,
                             .symbols_max = LIVE_SYMBOLS_MAX,
                             .streams_max = (uint32_t)c->streams_max,
                             .attempts_max = ATTEMPTS_MAX,
                             .asks_max = LIVE_ASKS_MAX,
                             .held_max = (uint32_t)c->held_trades_max,
                             .levels_max = LEVELS_MAX,
                             .kept_levels_max = KEPT_LEVELS_MAX,
                             .snapshot_levels = levels_asked(c->snapshot_levels),
                             .swap_us = c->swap_ms * 1000,
                             .overlap_us = c->overlap_ms * 1000,
                             .heal_us = c->heal_trades_ms * 1000,
                             .seed = (uint64_t)loop_now_us(s->env.loop)};
    s->memory = malloc(live_bytes(&o));
    CHECK(s->memory != NULL);
    live_init(&s->core, &o, s->memory);
    s->sockets_count = s->core.lines_max * LIVE_SLOTS;
    s->sockets = calloc(s->sockets_count, sizeof(*s->sockets));
    CHECK(s->sockets != NULL);
    for (uint32_t i = 0; i < s->sockets_count; i++)
        s->sockets[i].source = s;
}

static void
clocks_read(struct live_source *s)
{
    live_time(&s->core, loop_steady_us(s->env.loop), loop_now_us(s->env.loop));
}

static enum err
symbol_add(void *self, code_t symbol, char why[SOURCE_WHY_BYTES])
{
    struct live_source *s = self;
    bool has_rules = rules_find(s->env.rules, s->env.rules_count, symbol) != NULL;
    clocks_read(s);
    enum err e = live_symbol_add(&s->core, symbol, has_rules);
    if (e != OK)
        snprintf(why, SOURCE_WHY_BYTES, "%s: %s", symbol.text, err_sentence(e));
    if (e != OK)
        return e;
    /* It may have been given and recorded before: what was then is not followed on from. */
    if (s->is_open && s->env.net->recorder != NULL)
        recorder_mark(s->env.net->recorder, s->market, loop_now_us(s->env.loop) * 1000, "begin",
                      symbol, 0, 0);
    s->env.on_ready(s->env.arg);
    return OK;
}

static void
binance_close(void **self)
{
    struct live_source *s = *self;
    if (s == NULL)
        return;
    live_net_close(s);
    loop_timer_end(&s->tick);
    while (s->first != NULL) {
        struct live_input *in = s->first;
        s->first = in->next;
        free(in);
    }
    free(s->current);
    free(s->line);
    free(s->rules);
    free(s->sockets);
    free(s->memory);
    free(s);
    *self = NULL;
}

static enum err
binance_open(const struct spec *spec, const struct source_env *env, void **self,
             char why[SOURCE_WHY_BYTES])
{
    if (env->net == NULL) {
        snprintf(why, SOURCE_WHY_BYTES, "there is no way to an exchange here");
        return ERR_CONFIG_BAD_VALUE;
    }
    struct live_source *s = calloc(1, sizeof(*s));
    CHECK(s != NULL);
    const struct marketdata_config *c = env->net->config;
    bool is_spot = spec->market == TRADING_TYPE_spot;
    s->env = *env;
    s->market = spec->market;
    s->stream_url = is_spot ? c->spot_stream_url : c->usdm_stream_url;
    s->rest_url = is_spot ? c->spot_rest_url : c->usdm_rest_url;
    core_open(s);
    s->tick = loop_timer_new(env->loop, 1, LIVE_TICK_US / 1000, on_tick, s);
    *self = s;
    enum err e = OK;
    for (uint32_t i = 0; i < spec->symbol_count && e == OK; i++)
        e = symbol_add(s, spec->symbols[i], why);
    s->is_open = e == OK;
    if (e != OK)
        binance_close(self);
    return e;
}

static void
symbol_remove(void *self, code_t symbol)
{
    struct live_source *s = self;
    clocks_read(s);
    live_symbol_remove(&s->core, symbol);
}

static void
book_lost(void *self, code_t symbol)
{
    struct live_source *s = self;
    clocks_read(s);
    live_book_lost(&s->core, symbol);
}

static void
rules_set(void *self, const struct symbol_rules *rules, uint32_t count)
{
    struct live_source *s = self;
    s->env.rules = rules;
    s->env.rules_count = count;
}

/* ---- Recording -------------------------------------------------------------------------- */

static void
line_put(struct live_source *s, const char *head, const char *text, size_t length, const char *tail,
         int64_t at_us)
{
    size_t before = strlen(head), after = strlen(tail);
    if (before + length + after > s->line_bytes) {
        s->line_bytes = 2 * (before + length + after);
        s->line = realloc(s->line, s->line_bytes);
        CHECK(s->line != NULL);
    }
    memcpy(s->line, head, before);
    memcpy(s->line + before, text, length);
    memcpy(s->line + before + length, tail, after);
    for (size_t i = 0; i < length; i++) {
        if (s->line[before + i] == '\n' || s->line[before + i] == '\r')
            s->line[before + i] = ' ';
    }
    recorder_line(s->env.net->recorder, s->market, at_us * 1000, s->line, before + length + after);
}

static void
record(struct live_source *s, const struct live_given *g)
{
    const struct md_event *e = &g->event;
    char head[CODE_BYTES + 64];
    if (s->env.net->recorder == NULL)
        return;
    if (g->mark != NULL)
        recorder_mark(s->env.net->recorder, s->market, e->at_us * 1000, g->mark, e->symbol,
                      g->mark_first, g->mark_last);
    if (g->text == NULL)
        return;
    if (!g->is_snapshot) {
        line_put(s, "", g->text, g->length, "", e->at_us);
        return;
    }
    snprintf(head, sizeof(head), "{\"stream\":\"%s@snapshot\",\"data\":", g->lower);
    line_put(s, head, g->text, g->length, "}", e->at_us);
}

/* ---- Events ----------------------------------------------------------------------------- */

static void
input_tell(struct live_source *s, const struct live_input *in)
{
    code_t nobody = {0};
    switch (in->kind) {
    case LIVE_IN_TICK:
        s->has_tick = false;
        live_tick(&s->core);
        break;
    case LIVE_IN_OPENED:
        live_opened(&s->core, in->conn);
        if (s->env.net->recorder != NULL)
            recorder_mark(s->env.net->recorder, s->market, loop_now_us(s->env.loop) * 1000,
                          "connected", nobody, 0, 0);
        break;
    case LIVE_IN_CLOSED:
        live_closed(&s->core, in->conn);
        break;
    case LIVE_IN_ALIVE:
        live_alive(&s->core, in->conn);
        break;
    case LIVE_IN_TEXT:
        live_text(&s->core, in->conn, in->text, in->length);
        break;
    case LIVE_IN_ANSWER:
        live_answer(&s->core, in->conn, in->reply, in->status, in->text, in->length, in->retry_us);
        break;
    }
}

static bool
input_take(struct live_source *s)
{
    free(s->current);
    s->current = s->first;
    if (s->current == NULL)
        return false;
    s->first = s->current->next;
    if (s->first == NULL)
        s->last = NULL;
    s->queued_bytes -= sizeof(*s->current) + s->current->length;
    return true;
}

static void
counts_bring(struct live_source *s)
{
    s->env.counts->skipped = s->core.counts.invalid;
    s->env.counts->ignored = s->core.counts.ignored;
}

static enum source_step
binance_next(void *self, struct md_event *out)
{
    struct live_source *s = self;
    struct live_given given;
    for (;;) {
        clocks_read(s);
        while (live_next(&s->core, &given)) {
            record(s, &given);
            if (!given.has_event)
                continue;
            *out = given.event;
            return SOURCE_EVENT;
        }
        live_act(s);
        counts_bring(s);
        if (!input_take(s))
            return SOURCE_WAIT;
        input_tell(s, s->current);
    }
}

static const char *
binance_where(const void *self)
{
    return ((const struct live_source *)self)->stream_url;
}

static void
view(const void *self, struct source_view *out)
{
    const struct live_source *s = self;
    const struct live_counts *c = &s->core.counts;
    out->state = live_is_complete(&s->core) ? SOURCE_STATE_RUNNING : SOURCE_STATE_CONNECTING;
    out->where = text_of("%s", s->stream_url);
    out->connections = live_connections(&s->core);
    out->reconnects = c->reconnects;
    out->gaps = c->gaps;
    out->heals = c->heals;
    out->lost = c->lost;
    if (s->env.net->recorder != NULL)
        out->recording = text_of("%s", recorder_path(s->env.net->recorder, s->market));
}

const struct source_ops source_binance = {
    .kind = "binance",
    .open = binance_open,
    .next = binance_next,
    .close = binance_close,
    .where = binance_where,
    .symbol_add = symbol_add,
    .symbol_remove = symbol_remove,
    .book_lost = book_lost,
    .rules_set = rules_set,
    .view = view,
};
