/*
 * budget_count.c - what is spent in each window: in Redis, by one script, and what is known here.
 *
 *   scrip:budget:<host>:<window>       spent in it; the window's number since the epoch
 *   scrip:budget:<host>:banned_until   until when nobody may ask (microseconds); expires by itself
 *
 * A take carries what this process knows to be spent, so that a Redis that came back empty begins
 * with the highest of what its processes know.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/budget_priv.h"
#include "host/log.h"
#include "host/metrics.h"

#define KEY_BYTES     320
#define NUMBER_BYTES  24
#define START_WAIT_US 1000000 /* for Redis, before the first request is judged without it */

/* KEYS: the ban, the windows. ARGV: weight, the most that may be spent, life of a window in ms,
 * what is known to be spent in each window. Gives: granted, ms of the ban, spent in each window. */
static const char take_script[] =
    "local ban = redis.call('PTTL', KEYS[1])\n"
    "local room = ban <= 0\n"
    "local out = {0, math.max(ban, 0)}\n"
    "for i = 2, #KEYS do\n"
    "  local used = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), tonumber(ARGV[i + 2]))\n"
    "  room = room and used + tonumber(ARGV[1]) <= tonumber(ARGV[2])\n"
    "  out[i + 1] = used\n"
    "end\n"
    "if not room then return out end\n"
    "out[1] = 1\n"
    "for i = 2, #KEYS do\n"
    "  out[i + 1] = out[i + 1] + tonumber(ARGV[1])\n"
    "  redis.call('SET', KEYS[i], out[i + 1], 'PX', ARGV[3])\n"
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

/* ---- Windows ----------------------------------------------------------------------------- */

/*
 * A cancel lowers risk and may use all of it. Orders leave room for the cancels of a minute in
 * which everything is taken back. Snapshots and heals (SYNC) leave a fifth for trading; what only
 * informs (READ) leaves a tenth more, so that a busy screen never delays a book's heal.
 */
uint32_t
budget_ceiling(const struct budget *b, enum budget_priority p)
{
    static const uint32_t percent[BUDGET_PRIORITIES] = {
        [BUDGET_CANCEL] = 100, [BUDGET_ORDER] = 95, [BUDGET_SYNC] = 80, [BUDGET_READ] = 70};
    return (uint32_t)((uint64_t)b->limit * percent[p] / 100);
}

uint32_t
budget_windows(const struct budget *b, int64_t out[2])
{
    int64_t now_us = loop_now_us(b->loop);
    out[0] = (now_us - b->edge_us) / b->window_us;
    out[1] = (now_us + b->edge_us) / b->window_us;
    return out[0] == out[1] ? 1 : 2;
}

struct window *
budget_window(struct budget *b, int64_t index)
{
    struct window *w = &b->windows[(uint64_t)index % BUDGET_WINDOWS];
    if (w->index < index)
        *w = (struct window){.index = index};
    return w->index == index ? w : NULL;
}

/* When a window is counted in no more. */
static int64_t
window_over_us(const struct budget *b, int64_t index)
{
    return (index + 1) * b->window_us + b->edge_us;
}

/* ---- Alone ------------------------------------------------------------------------------- */

bool
budget_is_starting(const struct budget *b)
{
    return b->redis != NULL && b->ups == 0 && !b->was_alone &&
           loop_steady_us(b->loop) - b->opened_us < START_WAIT_US;
}

static void
alone_begin(struct budget *b)
{
    int64_t at[2];
    uint32_t count = budget_windows(b, at);
    for (uint32_t i = 0; i < count; i++) {
        struct window *w = budget_window(b, at[i]);
        if (w != NULL)
            w->base = w->known;
    }
    b->was_alone = true;
    log_line(LOG_WARN, "budget_alone", "host=%s percent=%u", b->host, b->alone_percent);
}

static void
alone_end(struct budget *b)
{
    b->was_alone = false;
    log_line(LOG_INFO, "budget_shared", "host=%s", b->host);
}

/* Redis was away: what was spent since is told, and shared again is the next window. */
static void
rejoin(struct budget *b)
{
    int64_t at[2];
    uint32_t count = budget_windows(b, at);
    b->alone_until_us = window_over_us(b, at[count - 1]);
    for (uint32_t i = 0; i < count; i++) {
        struct window *w = budget_window(b, at[i]);
        if (w != NULL)
            budget_tell(b, w);
    }
}

bool
budget_is_alone(struct budget *b)
{
    bool is_up = b->redis != NULL && redis_link_is_up(b->redis);
    uint32_t ups = b->redis == NULL ? 0 : redis_link_ups(b->redis);
    bool was_lost = b->was_alone || (ups != b->ups && b->ups != 0);
    if (!b->was_alone && (!is_up || was_lost))
        alone_begin(b);
    if (is_up && ups != b->ups) {
        b->ups = ups;
        b->knows_script = false;
        if (was_lost)
            rejoin(b);
    }
    if (b->was_alone && is_up && loop_now_us(b->loop) >= b->alone_until_us)
        alone_end(b);
    metric_set(b->is_alone, b->was_alone);
    return b->was_alone;
}

/* The most that this process may spend alone in a window. */
static uint32_t
alone_room(const struct budget *b, const struct window *w, enum budget_priority p)
{
    uint64_t left = w->base < b->limit ? b->limit - w->base : 0;
    uint64_t share = left * b->alone_percent / 100;
    return b->limit == 0 ? 0 : (uint32_t)(share * budget_ceiling(b, p) / b->limit);
}

bool
budget_take_alone(struct budget *b, const struct ask *k, int64_t *blocked_until_us)
{
    int64_t at[2];
    uint32_t count = budget_windows(b, at);
    for (uint32_t i = count; i > 0; i--) {
        const struct window *w = budget_window(b, at[i - 1]);
        if (w != NULL && w->alone + k->weight <= alone_room(b, w, k->priority) &&
            w->known + k->weight <= budget_ceiling(b, k->priority))
            continue;
        *blocked_until_us = window_over_us(b, at[i - 1]);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct window *w = budget_window(b, at[i]);
        w->alone += k->weight;
        w->known += k->weight;
        w->unreported += k->weight;
        budget_tell(b, w);
    }
    return true;
}

/* ---- Redis ------------------------------------------------------------------------------- */

static void
key_write(const struct budget *b, const char *what, char out[KEY_BYTES])
{
    snprintf(out, KEY_BYTES, "scrip:budget:%s:%s", b->host, what);
}

static void
window_key_write(const struct budget *b, int64_t index, char out[KEY_BYTES])
{
    char number[NUMBER_BYTES];
    snprintf(number, sizeof number, "%" PRId64, index);
    key_write(b, number, out);
}

/* A window is asked for until its edge is over, by hosts whose clocks differ a little. */
static int64_t
window_life_ms(const struct budget *b)
{
    return 3 * b->window_us / 1000;
}

static void
banned_for(struct budget *b, int64_t ms)
{
    int64_t until_us = loop_now_us(b->loop) + ms * 1000;
    if (ms > 0 && until_us > b->banned_until_us)
        b->banned_until_us = until_us;
}

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

/* Redis is there and of no use: alone until the window is over. */
static void
take_refused(struct budget *b, const char *why)
{
    int64_t at[2];
    if (b->knows_script && strncmp(why, "NOSCRIPT", 8) == 0) {
        b->knows_script = false; /* asked again with the whole script */
        return;
    }
    log_line(LOG_WARN, "budget_redis_refuses", "host=%s why=\"%s\"", b->host, why);
    if (!b->was_alone)
        alone_begin(b);
    b->alone_until_us = window_over_us(b, at[budget_windows(b, at) - 1]);
}

static void
on_take(void *arg, const struct redisReply *r)
{
    struct take_call *call = arg;
    struct budget *b = call->budget;
    struct take t = {0};
    free(call);
    if (b == NULL)
        return;
    b->call = NULL;
    if (r != NULL && r->type == REDIS_REPLY_ARRAY) {
        b->knows_script = true;
        t.is_granted = element(r, 0) == 1;
        banned_for(b, element(r, 1));
        for (size_t i = 0; i < 2 && i + 2 < r->elements; i++) {
            int64_t used = element(r, i + 2);
            known_raise(budget_window(b, b->taking_windows[i]), used);
            if (used + b->taking_weight > b->taking_ceiling)
                t.blocked_until_us = window_over_us(b, b->taking_windows[i]);
        }
    } else if (r != NULL) {
        take_refused(b, r->type == REDIS_REPLY_ERROR ? r->str : "not the answer of its script");
    }
    budget_took(b, &t);
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

static bool
words_send(struct budget *b, int count, const char *const *words, redis_answer *answer, void *arg)
{
    size_t lengths[16];
    CHECK(count <= 16);
    for (int i = 0; i < count; i++)
        lengths[i] = strlen(words[i]);
    return redis_link_send(b->redis, count, words, lengths, answer, arg);
}

bool
budget_take_shared(struct budget *b, const struct ask *k)
{
    char ban[KEY_BYTES], keys[2][KEY_BYTES], known[2][NUMBER_BYTES], numbers[4][NUMBER_BYTES];
    const char *words[16];
    int at = 0;
    uint32_t count = budget_windows(b, b->taking_windows);
    if (b->script_sha[0] == 0)
        script_sha_write(b);
    key_write(b, "banned_until", ban);
    snprintf(numbers[0], NUMBER_BYTES, "%u", count + 1);
    snprintf(numbers[1], NUMBER_BYTES, "%u", k->weight);
    snprintf(numbers[2], NUMBER_BYTES, "%u", budget_ceiling(b, k->priority));
    snprintf(numbers[3], NUMBER_BYTES, "%" PRId64, window_life_ms(b));
    words[at++] = b->knows_script ? "EVALSHA" : "EVAL";
    words[at++] = b->knows_script ? b->script_sha : take_script;
    words[at++] = numbers[0];
    words[at++] = ban;
    for (uint32_t i = 0; i < count; i++) {
        const struct window *w = budget_window(b, b->taking_windows[i]);
        window_key_write(b, b->taking_windows[i], keys[i]);
        snprintf(known[i], NUMBER_BYTES, "%u", w == NULL ? 0 : w->known);
        words[at++] = keys[i];
    }
    words[at++] = numbers[1];
    words[at++] = numbers[2];
    words[at++] = numbers[3];
    for (uint32_t i = 0; i < count; i++)
        words[at++] = known[i];
    b->call = malloc(sizeof *b->call);
    CHECK(b->call != NULL);
    *b->call = (struct take_call){b};
    b->taking_weight = k->weight;
    b->taking_ceiling = budget_ceiling(b, k->priority);
    if (words_send(b, at, words, on_take, b->call))
        return true;
    free(b->call);
    b->call = NULL;
    return false;
}

void
budget_tell(struct budget *b, struct window *w)
{
    char ban[KEY_BYTES], key[KEY_BYTES], numbers[5][NUMBER_BYTES];
    if (b->redis == NULL || !redis_link_is_up(b->redis))
        return;
    int64_t ban_us = b->banned_until_us - loop_now_us(b->loop);
    key_write(b, "banned_until", ban);
    window_key_write(b, w->index, key);
    snprintf(numbers[0], NUMBER_BYTES, "%u", w->unreported);
    snprintf(numbers[1], NUMBER_BYTES, "%u", w->known);
    snprintf(numbers[2], NUMBER_BYTES, "%" PRId64, window_life_ms(b));
    snprintf(numbers[3], NUMBER_BYTES, "%" PRId64, ban_us > 0 ? ban_us / 1000 : 0);
    snprintf(numbers[4], NUMBER_BYTES, "%" PRId64, b->banned_until_us);
    const char *const words[] = {"EVAL",     tell_script, "2",        ban,        key,
                                 numbers[0], numbers[1],  numbers[2], numbers[3], numbers[4]};
    if (words_send(b, 10, words, NULL, NULL))
        w->unreported = 0;
}
