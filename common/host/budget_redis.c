/*
 * budget_redis.c - what all processes spent, in Redis, changed by one atomic script.
 *
 *   scrip:budget:<host>:state               "RUN BIRTH": which Redis this is, and since when it
 *                                           knows all (microseconds; 0 = nothing was before it)
 *   scrip:budget:<limit>:<birth>:<window>   hash: `spent` of it, `kept` for single processes; the
 *                                           window's number since the epoch
 *   scrip:budget:<host>:banned_until        until when nobody may ask (microseconds); expires by
 *                                           itself
 *
 * What the numbers mean, and why they hold whatever dies: base/allowance.h.
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

/* Words of a command: of each window a key and seven numbers, each ask names windows. */
#define SPANS_MAX      (BUDGET_BATCH * BUDGET_PARTS_MAX + 1)
#define WORDS_MAX      (8 + SPANS_MAX * 2 * 8 + BUDGET_BATCH * (2 + 3 * 2 * BUDGET_NEEDS))
#define TEXT_BYTES_MAX 98304u
#define AGAIN_US       1000000 /* a Redis that refuses is asked again */
/* A Redis that has just begun may be one that lost what others know: they are waited for. */
#define NEWBORN_MS 3000

/* KEYS: the state, the ban, the windows. ARGV: the state as it is known, ms of a ban, its end; of
 * each window its life in ms, the limit, what is known to be spent, what is kept at first, then
 * what is given back, spent further, asked to be kept; then for each run of equal asks how many
 * they are, how many amounts each needs, and of each the window's place, the amount, and the most
 * that may be spent. Gives: ms of the ban, of each window what is spent, kept, and kept further;
 * of each run how many are granted, the first ones; -1 alone when the state is another one. An ask
 * without room closes what it lacks to those behind it. */
static const char take_script[] =
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1} end\n"
    "local ban = math.max(redis.call('PTTL', KEYS[2]), 0)\n"
    "if tonumber(ARGV[2]) > ban then\n"
    "  ban = tonumber(ARGV[2])\n"
    "  redis.call('SET', KEYS[2], ARGV[3], 'PX', ban)\n"
    "end\n"
    "local windows, spent, kept, more, limit, closed = #KEYS - 2, {}, {}, {}, {}, {}\n"
    "local old_spent, old_kept, at = {}, {}, 4\n"
    "for i = 1, windows do\n"
    "  local old = redis.call('HMGET', KEYS[i + 2], 'spent', 'kept')\n"
    "  old_spent[i], old_kept[i] = tonumber(old[1]) or 0, tonumber(old[2]) or tonumber(ARGV[at + "
    "3])\n"
    "  limit[i] = tonumber(ARGV[at + 1])\n"
    "  spent[i] = math.max(old_spent[i] + tonumber(ARGV[at + 5]), tonumber(ARGV[at + 2]))\n"
    "  kept[i] = math.max(old_kept[i] - tonumber(ARGV[at + 4]), 0)\n"
    "  more[i] = math.max(math.min(tonumber(ARGV[at + 6]), limit[i] - spent[i] - kept[i]), 0)\n"
    "  kept[i] = kept[i] + more[i]\n"
    "  at = at + 7\n"
    "end\n"
    "local runs = {}\n"
    "while at <= #ARGV do\n"
    "  local times, last = tonumber(ARGV[at]), at + 1 + 3 * tonumber(ARGV[at + 1])\n"
    "  local granted = ban == 0 and times or 0\n"
    "  for e = at + 2, last, 3 do\n"
    "    local w = tonumber(ARGV[e])\n"
    "    local most = math.min(tonumber(ARGV[e + 2]), limit[w] - kept[w])\n"
    "    local room = closed[w] and 0 or most - spent[w]\n"
    "    granted = math.max(math.min(granted, math.floor(room / tonumber(ARGV[e + 1]))), 0)\n"
    "  end\n"
    "  for e = at + 2, last, 3 do\n"
    "    local w, amount = tonumber(ARGV[e]), tonumber(ARGV[e + 1])\n"
    "    spent[w] = spent[w] + granted * amount\n"
    "    local most = math.min(tonumber(ARGV[e + 2]), limit[w] - kept[w])\n"
    "    if granted < times and spent[w] + amount > most then closed[w] = true end\n"
    "  end\n"
    "  runs[#runs + 1] = granted\n"
    "  at = last + 1\n"
    "end\n"
    "local out = {ban}\n"
    "for i = 1, windows do\n"
    "  if spent[i] ~= old_spent[i] or kept[i] ~= old_kept[i] then\n"
    "    redis.call('HSET', KEYS[i + 2], 'spent', spent[i], 'kept', kept[i])\n"
    "    redis.call('PEXPIRE', KEYS[i + 2], ARGV[7 * i - 3])\n"
    "  end\n"
    "  out[3 * i - 1], out[3 * i], out[3 * i + 1] = spent[i], kept[i], more[i]\n"
    "end\n"
    "for i = 1, #runs do out[#out + 1] = runs[i] end\n"
    "return out\n";

/* KEYS: the state. ARGV: the state as it was known to who asks, or nothing; when he last tried in
 * vain and spent a share by that, or 0; his clock; ms for which a newborn is waited with. Gives
 * the state, or ms to wait. */
static const char meet_script[] =
    "local info = redis.call('INFO', 'server')\n"
    "local run, up_s = info:match('run_id:(%x+)'), info:match('uptime_in_seconds:(%d+)')\n"
    "local state, guessed = redis.call('GET', KEYS[1]), tonumber(ARGV[2])\n"
    "local old_run, born = (state or ''):match('^(%x+) (%d+)$')\n"
    "born = tonumber(born)\n"
    "if run ~= old_run then\n"
    "  local is_fresh = ARGV[1] == '' and guessed == 0\n"
    "  local wait_ms = tonumber(ARGV[4]) - 1000 * tonumber(up_s)\n"
    "  if is_fresh and wait_ms > 0 then return wait_ms end\n"
    "  state = run .. ' ' .. (is_fresh and '0' or ARGV[3])\n"
    "  redis.call('SET', KEYS[1], state)\n"
    "elseif guessed > born or (born == 0 and ARGV[1] ~= '' and ARGV[1] ~= state) then\n"
    "  state = run .. ' ' .. ARGV[3]\n"
    "  redis.call('SET', KEYS[1], state)\n"
    "end\n"
    "return state\n";

/* KEYS: the ban. ARGV: its ms, its end. Of two the longer one holds. */
static const char ban_script[] = "if tonumber(ARGV[1]) > redis.call('PTTL', KEYS[1]) then\n"
                                 "  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])\n"
                                 "end\n";

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

/* A window is told of before it begins, and until its edge is over. */
static int64_t
window_life_ms(const struct budget_limit *l)
{
    return (ALLOWANCE_AHEAD + 3) * l->count.window_us / 1000;
}

static void
span_add(struct command *c, const struct budget_span *s)
{
    for (uint32_t n = 0; n < s->count; n++) {
        const struct allowance_tell *t = &s->tells[n];
        word_add(c, "%" PRId64, window_life_ms(s->limit));
        word_add(c, "%u", t->limit);
        word_add(c, "%u", t->known);
        word_add(c, "%u", t->kept);
        word_add(c, "%u", t->give);
        word_add(c, "%u", t->add);
        word_add(c, "%u", t->ask);
    }
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

/* All but the asks. */
static void
command_begin(struct budget *b, struct command *c, const struct take_call *call)
{
    uint32_t windows = 0;
    int64_t ban_us = b->own_ban_until_us - loop_now_us(b->loop);
    c->count = 0;
    c->used = 0;
    if (b->script_sha[0] == 0)
        script_sha_write(b);
    for (uint32_t i = 0; i < call->spans_count; i++)
        windows += call->spans[i].count;
    word_lend(c, b->knows_script ? "EVALSHA" : "EVAL");
    word_lend(c, b->knows_script ? b->script_sha : take_script);
    word_add(c, "%u", windows + 2);
    word_add(c, "scrip:budget:%s:state", b->own.name);
    word_add(c, "scrip:budget:%s:banned_until", b->own.name);
    for (uint32_t i = 0; i < call->spans_count; i++)
        for (uint32_t n = 0; n < call->spans[i].count; n++)
            word_add(c, "scrip:budget:%s:%" PRId64 ":%" PRId64, call->spans[i].limit->name,
                     b->allowance.born_us, call->spans[i].tells[n].index);
    word_lend(c, b->state);
    word_add(c, "%" PRId64, ban_us > 0 ? (ban_us + 999) / 1000 : 0);
    word_add(c, "%" PRId64, b->own_ban_until_us);
    for (uint32_t i = 0; i < call->spans_count; i++)
        span_add(c, &call->spans[i]);
}

/* ---- Meeting ----------------------------------------------------------------------------- */

struct meet_call {
    struct budget *budget; /* NULL once it is closed */
    int64_t begun_us, guessed_us;
};

static void
meet_read(struct budget *b, const struct meet_call *call, const struct redisReply *r)
{
    int64_t born_us = 0;
    if (r != NULL && r->type == REDIS_REPLY_STRING && r->len < sizeof b->state &&
        sscanf(r->str, "%*40[0-9a-f] %" SCNd64, &born_us) == 1) {
        b->is_newborn = false;
        if (budget_meet(b, born_us, call->guessed_us))
            snprintf(b->state, sizeof b->state, "%s", r->str);
        return;
    }
    b->meet_at_us = loop_steady_us(b->loop) + AGAIN_US;
    b->is_newborn = r != NULL && r->type == REDIS_REPLY_INTEGER;
    if (b->is_newborn) {
        b->meet_at_us = loop_steady_us(b->loop) + r->integer * 1000;
        return;
    }
    if (r != NULL)
        log_line(LOG_WARN, "budget_redis_refuses", "host=%s why=\"%s\"", b->own.name,
                 r->type == REDIS_REPLY_ERROR ? r->str : "not its script's answer");
    budget_fail(b, call->begun_us);
}

static void
on_meet(void *arg, const struct redisReply *r)
{
    struct meet_call *call = arg;
    struct budget *b = call->budget;
    if (b != NULL) {
        b->meeting = NULL;
        meet_read(b, call, r);
    }
    free(call);
}

void
budget_greet(struct budget *b)
{
    struct command c = {.count = 0};
    if (b->meeting != NULL || loop_steady_us(b->loop) < b->meet_at_us ||
        !redis_link_ready(b->redis))
        return;
    struct meet_call *call = malloc(sizeof *call);
    CHECK(call != NULL);
    *call = (struct meet_call){b, loop_now_us(b->loop), b->allowance.guessed_us};
    word_lend(&c, "EVAL");
    word_lend(&c, meet_script);
    word_lend(&c, "1");
    word_add(&c, "scrip:budget:%s:state", b->own.name);
    word_lend(&c, b->state);
    word_add(&c, "%" PRId64, call->guessed_us);
    word_add(&c, "%" PRId64, call->begun_us);
    word_add(&c, "%d", NEWBORN_MS);
    if (redis_link_send(b->redis, c.count, c.words, c.lengths, on_meet, call))
        b->meeting = call;
    else
        free(call);
}

/* ---- Taking ------------------------------------------------------------------------------ */

static int64_t
element(const struct redisReply *r, size_t i)
{
    return i < r->elements && r->element[i]->type == REDIS_REPLY_INTEGER ? r->element[i]->integer
                                                                         : 0;
}

/* It was not carried out. */
static void
take_refused(struct budget *b, const struct take_call *call, const struct redisReply *r)
{
    for (uint32_t i = 0; i < call->spans_count; i++)
        for (uint32_t n = 0; call->spans[i].limit != NULL && n < call->spans[i].count; n++)
            allowance_not_told(&b->allowance, &call->spans[i].limit->count,
                               &call->spans[i].tells[n]);
    if (r->type == REDIS_REPLY_ARRAY) { /* it was born meanwhile */
        budget_part(b);
        return;
    }
    const char *why = r->type == REDIS_REPLY_ERROR ? r->str : "not its script's answer";
    if (strncmp(why, "NOSCRIPT", 8) == 0 && b->knows_script) {
        b->knows_script = false; /* asked again with the whole script */
        return;
    }
    log_line(LOG_WARN, "budget_redis_refuses", "host=%s why=\"%s\"", b->own.name, why);
    budget_part(b);
    b->meet_at_us = loop_steady_us(b->loop) + AGAIN_US;
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
        for (uint32_t n = 0; n < s->count; n++, at += 3)
            if (s->limit != NULL)
                allowance_told(&b->allowance, &s->limit->count, s->tells[n].index,
                               loop_now_us(b->loop), (uint64_t)element(r, at),
                               (uint64_t)element(r, at + 1), (uint64_t)element(r, at + 2));
    }
    for (uint32_t i = 0, run = 0; i < call->asks_count; run++) {
        int64_t count = element(r, at++);
        for (uint32_t n = 0; n < call->runs[run]; n++)
            granted[i++] = n < count;
    }
}

static void
call_end(struct budget *b, struct take_call *call)
{
    struct take_call **at = &b->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    if (b->call == call)
        b->call = NULL;
}

static void
on_take(void *arg, const struct redisReply *r)
{
    struct take_call *call = arg;
    struct budget *b = call->budget;
    bool granted[BUDGET_BATCH] = {false};
    if (b != NULL) {
        call_end(b, call);
        bool is_done = r != NULL && r->type == REDIS_REPLY_ARRAY && element(r, 0) >= 0;
        if (is_done)
            take_read(b, call, r, granted);
        else if (r != NULL)
            take_refused(b, call, r);
        if (call->asks_count > 0)
            budget_took(b, call, granted);
    }
    free(call);
}

static struct take_call *
call_new(struct budget *b)
{
    struct take_call *call = malloc(sizeof *call);
    CHECK(call != NULL);
    call->budget = b;
    call->asks_count = call->spans_count = 0;
    return call;
}

static bool
call_send(struct budget *b, const struct command *c, struct take_call *call)
{
    if (!redis_link_send(b->redis, c->count, c->words, c->lengths, on_take, call))
        return false;
    call->next = b->calls;
    b->calls = call;
    return true;
}

/* The span of a limit in a call, made when it is the first to need it, and the place of its first
 * window among all. */
static const struct budget_span *
span_of(struct budget *b, struct take_call *call, struct budget_limit *l, uint32_t *place)
{
    struct allowance_span windows;
    *place = 1;
    for (uint32_t i = 0; i < call->spans_count; i++) {
        if (call->spans[i].limit == l)
            return &call->spans[i];
        *place += call->spans[i].count;
    }
    struct budget_span *s = &call->spans[call->spans_count++];
    budget_span_fill(b, l, &windows);
    s->limit = l;
    s->count = windows.count;
    for (uint32_t n = 0; n < s->count; n++)
        allowance_tell(&b->allowance, &l->count, windows.windows[n], loop_now_us(b->loop), false,
                       &s->tells[n]);
    return s;
}

static uint32_t
needs_of(const struct ask *k, const struct take_call *call)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < k->needs_count; i++)
        for (uint32_t n = 0; n < call->spans_count; n++)
            if (call->spans[n].limit == k->needs[i].limit && k->needs[i].amount > 0 &&
                k->needs[i].limit->count.limit > 0)
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

static uint32_t
ceiling(const struct budget *b, const struct budget_limit *l, enum budget_priority p,
        int64_t window)
{
    bool is_closed = allowance_is_closed(&b->allowance, &l->count, window, loop_now_us(b->loop));
    return is_closed ? 0 : budget_ceiling(b, l, p, window);
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
        for (uint32_t n = 0; need->amount > 0 && need->limit->count.limit > 0 && n < s->count;
             n++) {
            word_add(c, "%u", place + n);
            word_add(c, "%u", need->amount);
            word_add(c, "%u", ceiling(b, need->limit, k->priority, s->tells[n].index));
        }
    }
}

static void
take_write(struct budget *b, struct command *c, struct take_call *call, struct ask *const *asks)
{
    uint32_t place;
    for (uint32_t i = 0; i < call->asks_count; i++)
        for (uint32_t n = 0; n < asks[i]->needs_count; n++)
            (void)span_of(b, call, asks[i]->needs[n].limit, &place);
    command_begin(b, c, call);
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
    struct take_call *call = call_new(b);
    call->asks_count = count;
    for (uint32_t i = 0; i < count; i++)
        call->asks[i] = asks[i]->number;
    take_write(b, &c, call, asks);
    if (call_send(b, &c, call)) {
        b->call = call;
        return true;
    }
    free(call);
    return false;
}

void
budget_limit_forget(struct budget *b, const struct budget_limit *l)
{
    for (struct take_call *call = b->calls; call != NULL; call = call->next)
        for (uint32_t i = 0; i < call->spans_count; i++)
            if (call->spans[i].limit == l)
                call->spans[i].limit = NULL;
}

void
budget_calls_forget(struct budget *b)
{
    for (struct take_call *call = b->calls; call != NULL; call = call->next)
        call->budget = NULL;
    if (b->meeting != NULL)
        b->meeting->budget = NULL;
}

/* ---- Telling ----------------------------------------------------------------------------- */

/* Nothing may be sent to a Redis whose birth is not known. */
static bool
is_told(const struct budget *b)
{
    return b->redis != NULL && b->allowance.is_met && redis_link_ready(b->redis) &&
           redis_link_ups(b->redis) == b->ups;
}

void
budget_tell_ban(struct budget *b)
{
    struct command c = {.count = 0};
    int64_t ban_us = b->own_ban_until_us - loop_now_us(b->loop);
    if (b->redis == NULL || ban_us <= 0)
        return;
    word_lend(&c, "EVAL");
    word_lend(&c, ban_script);
    word_lend(&c, "1");
    word_add(&c, "scrip:budget:%s:banned_until", b->own.name);
    word_add(&c, "%" PRId64, (ban_us + 999) / 1000);
    word_add(&c, "%" PRId64, b->own_ban_until_us);
    (void)redis_link_send(b->redis, c.count, c.words, c.lengths, NULL, NULL); /* else by a take */
}

void
budget_tell(struct budget *b, struct budget_limit *l)
{
    int64_t now_us = loop_now_us(b->loop), now = now_us / l->count.window_us;
    int64_t used_us = loop_steady_us(b->loop) - l->asked_us;
    /* Others are too many to be kept for where nobody asks. */
    bool asks = l == &b->own || (l->asked_us > 0 && used_us < ALLOWANCE_AHEAD * l->count.window_us);
    struct command c;
    if (!is_told(b))
        return;
    struct take_call *call = call_new(b);
    struct budget_span *s = &call->spans[0];
    s->limit = l;
    s->count = 0;
    for (int64_t i = now - 1; i < now - 1 + BUDGET_TELLS; i++)
        if (allowance_has_to_tell(&b->allowance, &l->count, i, now_us, asks))
            allowance_tell(&b->allowance, &l->count, i, now_us, asks, &s->tells[s->count++]);
    call->spans_count = 1;
    if (s->count > 0)
        command_begin(b, &c, call);
    if (s->count == 0 || !call_send(b, &c, call))
        free(call);
}

void
budget_leave(struct budget *b)
{
    struct command c;
    for (struct budget_limit *l = &b->own; l != NULL && is_told(b); l = l->next) {
        int64_t now = loop_now_us(b->loop) / l->count.window_us;
        if (l != &b->own && l->asked_us == 0)
            continue;
        struct take_call *call = call_new(b);
        struct budget_span *s = &call->spans[0];
        *s = (struct budget_span){.limit = l, .count = BUDGET_TELLS};
        for (int i = 0; i < BUDGET_TELLS; i++)
            allowance_leave(&b->allowance, &l->count, now - 1 + i, &s->tells[i]);
        call->spans_count = 1;
        command_begin(b, &c, call);
        if (!call_send(b, &c, call))
            free(call);
    }
}
