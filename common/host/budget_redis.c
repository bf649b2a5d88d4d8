/*
 * budget_redis.c - what all processes spent, in Redis, changed by one atomic script.
 *
 *   scrip:budget:<limit>:<window>       spent in it; the window's number since the epoch
 *   scrip:budget:<host>:banned_until    until when nobody may ask (microseconds); expires by itself
 *
 * A take carries what this process knows to be spent, so that a Redis that came back empty begins
 * with the highest of what its processes know.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/budget_priv.h"
#include "host/log.h"

/* Words of a command: each span has two windows of a key and two numbers, each ask names them. */
#define SPANS_MAX      (BUDGET_BATCH * BUDGET_PARTS_MAX + 1)
#define WORDS_MAX      (4 + SPANS_MAX * 6 + BUDGET_BATCH * (2 + 3 * 2 * BUDGET_NEEDS))
#define TEXT_BYTES_MAX 65536u
#define WINDOWS_MAX    (SPANS_MAX * 2)

/* KEYS: the ban, the windows. ARGV: of each window its life in ms and what is known to be spent in
 * it; then for each run of equal asks how many they are, how many amounts each needs, and of each
 * the window's place, the amount, and the most that may be spent. Gives: ms of the ban, spent in
 * each window, and of each run how many are granted, the first ones. An ask without room closes
 * what it lacks to those behind it. */
static const char take_script[] =
    "local ban = math.max(redis.call('PTTL', KEYS[1]), 0)\n"
    "local out, changed, closed = {ban}, {}, {}\n"
    "local windows = #KEYS - 1\n"
    "for i = 1, windows do\n"
    "  local used = tonumber(redis.call('GET', KEYS[i + 1]) or 0)\n"
    "  out[i + 1] = math.max(used, tonumber(ARGV[2 * i]))\n"
    "end\n"
    "local at = 2 * windows + 1\n"
    "while at <= #ARGV do\n"
    "  local times, last = tonumber(ARGV[at]), at + 1 + 3 * tonumber(ARGV[at + 1])\n"
    "  local granted = ban == 0 and times or 0\n"
    "  for e = at + 2, last, 3 do\n"
    "    local w = tonumber(ARGV[e])\n"
    "    local room = closed[w] and 0 or tonumber(ARGV[e + 2]) - out[w + 1]\n"
    "    granted = math.max(math.min(granted, math.floor(room / tonumber(ARGV[e + 1]))), 0)\n"
    "  end\n"
    "  for e = at + 2, last, 3 do\n"
    "    local w, amount = tonumber(ARGV[e]), tonumber(ARGV[e + 1])\n"
    "    out[w + 1] = out[w + 1] + granted * amount\n"
    "    if granted > 0 then changed[w] = true end\n"
    "    if granted < times and out[w + 1] + amount > tonumber(ARGV[e + 2]) then\n"
    "      closed[w] = true\n"
    "    end\n"
    "  end\n"
    "  out[#out + 1] = granted\n"
    "  at = last + 1\n"
    "end\n"
    "for w in pairs(changed) do\n"
    "  redis.call('SET', KEYS[w + 1], out[w + 1], 'PX', ARGV[2 * w - 1])\n"
    "end\n"
    "return out\n";

/* KEYS: the ban, a window. ARGV: spent further, at least spent in all, life of a window in ms, ms
 * of a ban, its end. Gives: spent, ms of the ban. */
static const char tell_script[] =
    "local used = tonumber(redis.call('GET', KEYS[2]) or 0) + tonumber(ARGV[1])\n"
    "used = math.max(used, tonumber(ARGV[2]))\n"
    "redis.call('SET', KEYS[2], used, 'PX', ARGV[3])\n"
    "local ban = math.max(redis.call('PTTL', KEYS[1]), 0)\n"
    "if tonumber(ARGV[4]) > ban then\n"
    "  ban = tonumber(ARGV[4])\n"
    "  redis.call('SET', KEYS[1], ARGV[5], 'PX', ban)\n"
    "end\n"
    "return {used, ban}\n";

/* ---- Commands ---------------------------------------------------------------------------- */

struct command {
    const char *words[WORDS_MAX];
    size_t lengths[WORDS_MAX];
    int count;
    size_t used;
    char text[TEXT_BYTES_MAX];
};

static void
word_lend(struct command *c, const char *word)
{
    CHECK(c->count < (int)WORDS_MAX);
    c->lengths[c->count] = strlen(word);
    c->words[c->count++] = word;
}

static void word_add(struct command *c, const char *format, ...) PRINTF(2, 3);

static void
word_add(struct command *c, const char *format, ...)
{
    va_list args;
    char *at = c->text + c->used;
    va_start(args, format);
    int length = vsnprintf(at, sizeof c->text - c->used, format, args);
    va_end(args);
    CHECK(length >= 0 && (size_t)length < sizeof c->text - c->used && c->count < (int)WORDS_MAX);
    c->lengths[c->count] = (size_t)length;
    c->words[c->count++] = at;
    c->used += (size_t)length + 1;
}

static void
window_add(struct command *c, const struct budget_limit *l, int64_t index)
{
    word_add(c, "scrip:budget:%s:%" PRId64, l->name, index);
}

/* A window is asked for until its edge is over, by hosts whose clocks differ a little. */
static int64_t
window_life_ms(const struct budget_limit *l)
{
    return 3 * l->window_us / 1000;
}

/* ---- Taking ------------------------------------------------------------------------------ */

static int64_t
element(const struct redisReply *r, size_t i)
{
    return i < r->elements && r->element[i]->type == REDIS_REPLY_INTEGER ? r->element[i]->integer
                                                                         : 0;
}

static void
known_raise(struct window *w, int64_t used)
{
    if (w != NULL && used > w->known)
        w->known = used > UINT32_MAX ? UINT32_MAX : (uint32_t)used;
}

static void
take_refused(struct budget *b, const char *why)
{
    if (b->knows_script && strncmp(why, "NOSCRIPT", 8) == 0) {
        b->knows_script = false; /* asked again with the whole script */
        return;
    }
    log_line(LOG_WARN, "budget_redis_refuses", "host=%s why=\"%s\"", b->own.name, why);
    budget_be_alone(b);
}

/* What was spent, and who was granted what he asked for. */
static void
take_read(struct budget *b, const struct take_call *call, const struct redisReply *r,
          bool granted[BUDGET_BATCH])
{
    size_t at = 1;
    int64_t ban_ms = element(r, 0);
    int64_t until_us = loop_now_us(b->loop) + ban_ms * 1000;
    b->knows_script = true;
    if (ban_ms > 0 && until_us > b->banned_until_us)
        b->banned_until_us = until_us;
    for (uint32_t i = 0; i < call->spans_count; i++) {
        const struct budget_span *s = &call->spans[i];
        for (uint32_t n = 0; n < s->count; n++, at++)
            if (s->limit != NULL)
                known_raise(budget_window(s->limit, s->windows[n]), element(r, at));
    }
    for (uint32_t i = 0, run = 0; i < call->asks_count; run++) {
        int64_t count = element(r, at++);
        for (uint32_t n = 0; n < call->runs[run]; n++)
            granted[i++] = n < count;
    }
}

static void
on_take(void *arg, const struct redisReply *r)
{
    struct take_call *call = arg;
    struct budget *b = call->budget;
    bool granted[BUDGET_BATCH] = {false};
    if (b != NULL) {
        b->call = NULL;
        if (r != NULL && r->type == REDIS_REPLY_ARRAY)
            take_read(b, call, r, granted);
        else if (r != NULL)
            take_refused(b, r->type == REDIS_REPLY_ERROR ? r->str : "not its script's answer");
        budget_took(b, call, granted);
    }
    free(call);
}

static void
script_sha_write(struct budget *b)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    CHECK(EVP_Digest(take_script, sizeof take_script - 1, digest, &length, EVP_sha1(), NULL) == 1);
    for (unsigned i = 0; i < length; i++)
        snprintf(b->script_sha + (size_t)2 * i, 3, "%02x", digest[i]);
}

/* The span of a limit in a call, made when it is the first to need it, and the place of its first
 * window among all. */
static const struct budget_span *
span_of(struct budget *b, struct take_call *call, struct budget_limit *l, uint32_t *place)
{
    *place = 1;
    for (uint32_t i = 0; i < call->spans_count; i++) {
        if (call->spans[i].limit == l)
            return &call->spans[i];
        *place += call->spans[i].count;
    }
    struct budget_span *s = &call->spans[call->spans_count++];
    budget_span_fill(b, l, s);
    return s;
}

static uint32_t
needs_of(const struct ask *k, const struct take_call *call)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < k->needs_count; i++)
        for (uint32_t n = 0; n < call->spans_count; n++)
            if (call->spans[n].limit == k->needs[i].limit && k->needs[i].amount > 0 &&
                k->needs[i].limit->limit > 0)
                count += call->spans[n].count;
    return count;
}

static bool
is_equal(const struct ask *a, const struct ask *b)
{
    bool is_same = a->priority == b->priority && a->needs_count == b->needs_count;
    for (uint32_t i = 0; is_same && i < a->needs_count; i++)
        is_same =
            a->needs[i].limit == b->needs[i].limit && a->needs[i].amount == b->needs[i].amount;
    return is_same;
}

static void
asks_add(struct budget *b, struct command *c, struct take_call *call, const struct ask *k,
         uint32_t times)
{
    word_add(c, "%u", times);
    word_add(c, "%u", needs_of(k, call));
    for (uint32_t i = 0; i < k->needs_count; i++) {
        const struct budget_part *need = &k->needs[i];
        uint32_t place;
        const struct budget_span *s = span_of(b, call, need->limit, &place);
        for (uint32_t n = 0; need->amount > 0 && need->limit->limit > 0 && n < s->count; n++) {
            word_add(c, "%u", place + n);
            word_add(c, "%u", need->amount);
            word_add(c, "%u", budget_ceiling(b, need->limit, k->priority, s->windows[n]));
        }
    }
}

static void
take_write(struct budget *b, struct command *c, struct take_call *call, struct ask *const *asks)
{
    uint32_t windows = 0, place;
    for (uint32_t i = 0; i < call->asks_count; i++)
        for (uint32_t n = 0; n < asks[i]->needs_count; n++)
            (void)span_of(b, call, asks[i]->needs[n].limit, &place);
    for (uint32_t i = 0; i < call->spans_count; i++)
        windows += call->spans[i].count;
    word_lend(c, b->knows_script ? "EVALSHA" : "EVAL");
    word_lend(c, b->knows_script ? b->script_sha : take_script);
    word_add(c, "%u", windows + 1);
    word_add(c, "scrip:budget:%s:banned_until", b->own.name);
    for (uint32_t i = 0; i < call->spans_count; i++)
        for (uint32_t n = 0; n < call->spans[i].count; n++)
            window_add(c, call->spans[i].limit, call->spans[i].windows[n]);
    for (uint32_t i = 0; i < call->spans_count; i++) {
        const struct budget_span *s = &call->spans[i];
        for (uint32_t n = 0; n < s->count; n++) {
            const struct window *w = budget_window(s->limit, s->windows[n]);
            word_add(c, "%" PRId64, window_life_ms(s->limit));
            word_add(c, "%u", w == NULL ? 0 : w->known);
        }
    }
    for (uint32_t i = 0, run = 0, times; i < call->asks_count; i += times) {
        for (times = 1; i + times < call->asks_count && is_equal(asks[i], asks[i + times]);)
            times++;
        asks_add(b, c, call, asks[i], times);
        call->runs[run++] = times;
    }
}

bool
budget_take_shared(struct budget *b, struct ask *const *asks, uint32_t count)
{
    struct command c;
    CHECK(count > 0 && count <= BUDGET_BATCH);
    if (!redis_link_ready(b->redis))
        return false;
    if (b->script_sha[0] == 0)
        script_sha_write(b);
    struct take_call *call = malloc(sizeof *call);
    CHECK(call != NULL);
    call->budget = b;
    call->asks_count = count;
    call->spans_count = 0;
    for (uint32_t i = 0; i < count; i++)
        call->asks[i] = asks[i]->number;
    c.count = 0;
    c.used = 0;
    take_write(b, &c, call, asks);
    if (redis_link_send(b->redis, c.count, c.words, c.lengths, on_take, call)) {
        b->call = call;
        return true;
    }
    free(call);
    return false;
}

void
budget_limit_forget(struct budget *b, const struct budget_limit *l)
{
    for (uint32_t i = 0; b->call != NULL && i < b->call->spans_count; i++)
        if (b->call->spans[i].limit == l)
            b->call->spans[i].limit = NULL;
}

/* ---- Telling ----------------------------------------------------------------------------- */

void
budget_tell(struct budget *b, const struct budget_limit *l, struct window *w)
{
    struct command c;
    if (b->redis == NULL || !redis_link_is_up(b->redis))
        return;
    int64_t ban_us = b->banned_until_us - loop_now_us(b->loop);
    c.count = 0;
    c.used = 0;
    word_lend(&c, "EVAL");
    word_lend(&c, tell_script);
    word_lend(&c, "2");
    word_add(&c, "scrip:budget:%s:banned_until", b->own.name);
    window_add(&c, l, w->index);
    word_add(&c, "%u", w->unreported);
    word_add(&c, "%u", w->known);
    word_add(&c, "%" PRId64, window_life_ms(l));
    word_add(&c, "%" PRId64, ban_us > 0 ? ban_us / 1000 : 0);
    word_add(&c, "%" PRId64, b->banned_until_us);
    if (redis_link_send(b->redis, c.count, c.words, c.lengths, NULL, NULL))
        w->unreported = 0;
}
