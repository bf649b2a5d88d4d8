/*
 * caller_send.c - a call's bytes, signed at the moment of sending, and what counts for its key.
 *
 * Everything stands in the query string, whatever the method; the signature is over those very
 * bytes and comes last. The key is opened for one signature and wiped behind it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "exchange-bridge/shell/caller_priv.h"

#define HEADER_BYTES (SIGN_API_KEY_BYTES + 16)
#define NAME_BYTES   64u
#define HEAD_BYTES   512u /* scheme, host, port and path */
#define TAIL_BYTES   96u  /* recvWindow, timestamp, the signature's name */
#define HASH_BYTES   8    /* of the API key: enough to tell some thousands apart */

/* ---- Lanes ------------------------------------------------------------------------------- */

static uint64_t
lane_key(const struct caller *c, const struct caller_host_state *h, uint64_t key)
{
    return key * CALLER_HOSTS + (uint64_t)(h - c->hosts) + 1;
}

static void
lane_close(struct caller *c, struct lane *l)
{
    for (int w = 0; l->has_limits && w < ORDERS_WINDOWS; w++)
        budget_limit_close(l->host->budget, &l->orders[w]);
    if (l->number != 0)
        map_remove(&c->lane_of, lane_key(c, l->host, l->number));
    *l = (struct lane){0};
}

/* A free place, or that of the one that was used longest ago and by nobody now. */
static struct lane *
lane_place(struct caller *c)
{
    struct lane *found = NULL;
    for (uint32_t i = 0; i < CALLER_LANES; i++) {
        struct lane *l = &c->lanes[i];
        if (l->number == 0)
            return l;
        if (l->users == 0 && (found == NULL || l->used_us < found->used_us))
            found = l;
    }
    if (found != NULL)
        lane_close(c, found);
    return found;
}

struct lane *
caller_lane(struct caller *c, struct caller_host_state *h, uint64_t key)
{
    uint32_t index = map_get(&c->lane_of, lane_key(c, h, key));
    struct lane *l = index == MAP_NONE ? lane_place(c) : &c->lanes[index];
    if (l == NULL)
        return NULL;
    if (index == MAP_NONE) {
        *l = (struct lane){.number = key, .host = h};
        map_set(&c->lane_of, lane_key(c, h, key), (uint32_t)(l - c->lanes));
    }
    l->used_us = loop_steady_us(c->loop);
    return l;
}

bool
caller_lane_limits(struct caller *c, struct lane *l)
{
    static const char *const names[ORDERS_WINDOWS] = {"10s", "1m", "1d"};
    static const int64_t windows_ms[ORDERS_WINDOWS] = {10000, 60000, 86400000};
    unsigned char hash[EVP_MAX_MD_SIZE];
    char text[2 * HASH_BYTES + 1], name[NAME_BYTES];
    struct sign_key key;
    if (l->has_limits)
        return true;
    if (keys_open_secret(c->keys, l->number, &key) != OK)
        return false;
    size_t length = strnlen(key.api_key, SIGN_API_KEY_BYTES);
    CHECK(EVP_Digest(key.api_key, length, hash, NULL, EVP_sha256(), NULL) == 1);
    sign_wipe(&key);
    for (size_t i = 0; i < HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    for (int w = 0; w < ORDERS_WINDOWS; w++) {
        snprintf(name, sizeof name, "orders:%s:%s", text, names[w]);
        l->orders[w] = budget_limit_open(l->host->budget, name, l->host->orders[w], windows_ms[w]);
    }
    l->has_limits = true;
    return true;
}

void
caller_lane_learn(struct slot *s, const struct fetch_reply *r)
{
    struct lane *l = s->lane;
    if (l == NULL || !l->has_limits)
        return;
    budget_limit_learn(s->host->budget, l->orders[ORDERS_10S], r->order_count_10s, r->date_us);
    budget_limit_learn(s->host->budget, l->orders[ORDERS_1M], r->order_count_1m, r->date_us);
    budget_limit_learn(s->host->budget, l->orders[ORDERS_1D], r->order_count_1d, r->date_us);
}

/* Which of them it is, only the wait tells: the first that may last so long. */
void
caller_lane_fill(struct slot *s, int64_t retry_after_s)
{
    static const int64_t seconds[ORDERS_WINDOWS] = {10, 60, 86400};
    struct lane *l = s->lane;
    if (l == NULL || !l->has_limits)
        return;
    for (int w = 0; w < ORDERS_WINDOWS; w++)
        if (l->host->orders[w] > 0 && retry_after_s <= seconds[w]) {
            budget_limit_fill(s->host->budget, l->orders[w]);
            return;
        }
}

void
caller_lanes_close(struct caller *c)
{
    for (uint32_t i = 0; i < CALLER_LANES; i++)
        lane_close(c, &c->lanes[i]);
}

/* ---- Bytes ------------------------------------------------------------------------------- */

static int64_t
timestamp_ms(const struct caller_host_state *h)
{
    return server_clock_us(&h->clock, loop_measure_us()) / 1000;
}

static char *
number_put(char *at, int64_t value)
{
    char digits[20];
    size_t first = sizeof digits;
    for (uint64_t left = (uint64_t)value; first == sizeof digits || left > 0; left /= 10)
        digits[--first] = (char)('0' + left % 10);
    memcpy(at, digits + first, sizeof digits - first);
    return at + sizeof digits - first;
}

/* The whole URL; 0 when the key cannot sign. What is signed is what stands in it. */
static size_t
url_write(const struct slot *s, const struct sign_key *key, int64_t timestamp,
          char out[CALLER_URL_BYTES])
{
    _Static_assert(HEAD_BYTES + CALL_QUERY_BYTES + TAIL_BYTES + SIGN_TEXT_BYTES <= CALLER_URL_BYTES,
                   "a URL has room for all of its parts");
    CHECK(strlen(s->host->base_url) + strlen(s->facts->path) + 1 < HEAD_BYTES);
    char *path_end = stpcpy(stpcpy(out, s->host->base_url), s->facts->path);
    char *query = path_end + 1, *at;
    size_t length = call_write(&s->call, query);
    bool is_signed = s->facts->security == CALL_SIGNED;
    *path_end = length > 0 || is_signed ? '?' : '\0';
    if (!is_signed)
        return strlen(out);
    at = stpcpy(query + length, length > 0 ? "&recvWindow=" : "recvWindow=");
    at = number_put(at, s->caller->recv_window_ms);
    at = number_put(stpcpy(at, "&timestamp="), timestamp);
    length = (size_t)(at - query);
    at = stpcpy(at, "&signature=");
    size_t size = sign_text(key, query, length, false, at);
    return size == 0 ? 0 : (size_t)(at - out) + size;
}

static bool
key_open(const struct slot *s, struct sign_key *out)
{
    if (s->trial != NULL)
        *out = *s->trial;
    return s->trial != NULL || keys_open_secret(s->caller->keys, s->key, out) == OK;
}

/* A lane's key stays what it is: looked at once. */
static enum key_kind
kind_of(const struct slot *s)
{
    struct sign_key key;
    if (s->trial != NULL)
        return s->trial->kind;
    if (s->lane != NULL && s->lane->kind == KEY_KIND_NONE && key_open(s, &key)) {
        s->lane->kind = key.kind;
        sign_wipe(&key);
    }
    return s->lane == NULL ? KEY_KIND_NONE : s->lane->kind;
}

bool
caller_slot_signs_slowly(const struct slot *s)
{
    return s->facts->security == CALL_SIGNED && kind_of(s) == KEY_KIND_RSA;
}

/* An answer to a placement is worth being waited for; a read's is not when nobody does any more. */
static int64_t
timeout_of(const struct slot *s)
{
    const struct caller *c = s->caller;
    int64_t left_ms = (s->give_up_us - loop_steady_us(c->loop)) / 1000;
    bool is_bounded = s->facts->class_ != CALL_PLACES && left_ms < c->timeout_ms;
    if (!is_bounded)
        return c->timeout_ms;
    return left_ms > 0 ? left_ms : 1;
}

/* Its answer is a few lines: of one order or one stream. Lists and accounts may be long. */
static bool
is_about_one(const struct slot *s)
{
    return s->facts->class_ != CALL_READS || s->call.name == CALL_SPOT_ORDER_GET ||
           s->call.name == CALL_USDM_ORDER_GET;
}

bool
caller_slot_send(struct slot *s)
{
    struct caller *c = s->caller;
    char url[CALLER_URL_BYTES], header[HEADER_BYTES] = "X-MBX-APIKEY: ";
    const char *headers[] = {header, NULL};
    bool is_keyed = s->facts->security != CALL_PUBLIC;
    int64_t timestamp = timestamp_ms(s->host);
    struct sign_key key; /* only of a keyed call */
    if (is_keyed && !key_open(s, &key)) {
        caller_slot_over(s, VERDICT_AGAIN, ERR_KEYS_UNAVAILABLE, 0, "the key cannot be opened");
        return false;
    }
    size_t length = url_write(s, &key, timestamp, url);
    if (is_keyed) {
        memcpy(header + strlen(header), key.api_key, sizeof key.api_key);
        sign_wipe(&key);
    }
    if (length == 0) {
        caller_slot_over(s, VERDICT_KEY, ERR_CREDENTIALS_INVALID, 0, "the key cannot sign");
        return false;
    }
    s->timeout_ms = timeout_of(s);
    s->request = fetch_send(c->fetch, &(struct fetch_request){.method = s->facts->method,
                                                              .url = url,
                                                              .headers = is_keyed ? headers : NULL,
                                                              .timeout_ms = s->timeout_ms,
                                                              .is_short = is_about_one(s),
                                                              .arg = s,
                                                              .on_reply = caller_on_fetch});
    CHECK(s->request != 0); /* there are as many rooms as may be granted */
    s->left_us = loop_measure_us();
    s->last.sent_us = timestamp * 1000;
    s->last.attempts++;
    return true;
}

/* ---- The WebSocket API ------------------------------------------------------------------- */

size_t
caller_sign_ws(struct caller *c, enum environment e, uint64_t key_number, char *out, size_t size)
{
    struct caller_host_state *h = caller_host_find(c, e, TRADING_TYPE_spot);
    char text[256], signature[SIGN_TEXT_BYTES];
    struct sign_key key;
    int written = 0;
    if (h->base_url == NULL)
        return 0;
    caller_host_want(h);
    int64_t timestamp = timestamp_ms(h);
    if (timestamp == 0 || keys_open_secret(c->keys, key_number, &key) != OK)
        return 0;
    int length = snprintf(text, sizeof text, "apiKey=%s&recvWindow=%" PRId64 "&timestamp=%" PRId64,
                          key.api_key, c->recv_window_ms, timestamp);
    if (sign_text(&key, text, (size_t)length, true, signature) > 0)
        written = snprintf(out, size,
                           "{\"apiKey\":\"%s\",\"recvWindow\":%" PRId64 ",\"timestamp\":%" PRId64
                           ",\"signature\":\"%s\"}",
                           key.api_key, c->recv_window_ms, timestamp, signature);
    sign_wipe(&key);
    return written > 0 && (size_t)written < size ? (size_t)written : 0;
}
