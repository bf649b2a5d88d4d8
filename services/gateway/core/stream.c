/*
 * stream.c - subscriptions in fixed tables, and the cursor of numbered events.
 *
 * No I/O, no clock, no allocation after init.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/core/stream.h"

#include <string.h>

#include "base/check.h"

static size_t
rounded(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

size_t
stream_bytes(uint32_t conns_max, uint32_t subs_max)
{
    return rounded(map_bytes(subs_max)) + rounded(subs_max * sizeof(struct stream_topic)) +
           rounded(subs_max * sizeof(struct stream_sub)) +
           rounded(conns_max * sizeof(struct stream_conn));
}

void
stream_init(struct stream *s, uint32_t conns_max, uint32_t subs_max, uint32_t per_conn_max,
            void *bytes)
{
    char *at = bytes;
    memset(s, 0, sizeof *s);
    map_init(&s->by_hash, subs_max, at);
    at += rounded(map_bytes(subs_max));
    s->topics = (struct stream_topic *)at;
    at += rounded(subs_max * sizeof(struct stream_topic));
    s->subs = (struct stream_sub *)at;
    at += rounded(subs_max * sizeof(struct stream_sub));
    s->conns = (struct stream_conn *)at;
    s->conns_max = conns_max;
    s->subs_max = subs_max;
    s->per_conn_max = per_conn_max;
    for (uint32_t i = 0; i < subs_max; i++) {
        uint32_t next = i + 1 < subs_max ? i + 1 : STREAM_NONE;
        s->topics[i].text[0] = 0;
        s->topics[i].next = next;
        s->subs[i].topic = STREAM_NONE;
        s->subs[i].conn_next = next;
    }
    for (uint32_t i = 0; i < conns_max; i++)
        s->conns[i] = (struct stream_conn){STREAM_NONE, 0, STREAM_NONE, STREAM_NONE};
}

static uint32_t
topic_find(const struct stream *s, const char *text)
{
    uint32_t i = map_get(&s->by_hash, map_hash(text, strlen(text)));
    if (i == MAP_NONE)
        return STREAM_NONE;
    while (i != STREAM_NONE && strcmp(s->topics[i].text, text) != 0)
        i = s->topics[i].next;
    return i;
}

static uint32_t
topic_make(struct stream *s, const char *text)
{
    uint32_t i = s->free_topic;
    CHECK(i != STREAM_NONE); /* there are as many topics as subscriptions */
    struct stream_topic *t = &s->topics[i];
    s->free_topic = t->next;
    memcpy(t->text, text, strlen(text) + 1);
    t->hash = map_hash(text, strlen(text));
    t->first_sub = STREAM_NONE;
    uint32_t same = map_get(&s->by_hash, t->hash);
    t->next = same == MAP_NONE ? STREAM_NONE : same;
    map_set(&s->by_hash, t->hash, i);
    return i;
}

static void
topic_free(struct stream *s, uint32_t i)
{
    struct stream_topic *t = &s->topics[i];
    uint32_t first = map_get(&s->by_hash, t->hash);
    if (first == i) {
        if (t->next == STREAM_NONE)
            map_remove(&s->by_hash, t->hash);
        else
            map_set(&s->by_hash, t->hash, t->next);
    } else {
        while (s->topics[first].next != i)
            first = s->topics[first].next;
        s->topics[first].next = t->next;
    }
    t->text[0] = 0;
    t->next = s->free_topic;
    s->free_topic = i;
}

static uint32_t
sub_find(const struct stream *s, uint32_t conn, uint32_t topic)
{
    uint32_t i = s->conns[conn].first;
    while (i != STREAM_NONE && s->subs[i].topic != topic)
        i = s->subs[i].conn_next;
    return i;
}

enum err
stream_add(struct stream *s, uint32_t conn, const char *topic, uint32_t *out, bool *is_first)
{
    CHECK(conn < s->conns_max);
    CHECK(topic[0] != 0 && strlen(topic) < STREAM_TOPIC_BYTES);
    *is_first = false;
    uint32_t t = topic_find(s, topic);
    *out = t == STREAM_NONE ? STREAM_NONE : sub_find(s, conn, t);
    if (*out != STREAM_NONE)
        return OK;
    if (s->conns[conn].count >= s->per_conn_max || s->free_sub == STREAM_NONE)
        return ERR_STREAM_LIMIT;

    /* Nothing below can fail. */
    if (t == STREAM_NONE) {
        t = topic_make(s, topic);
        *is_first = true;
    }
    uint32_t i = *out = s->free_sub;
    struct stream_sub *sub = &s->subs[i];
    s->free_sub = sub->conn_next;
    *sub = (struct stream_sub){.topic = t,
                               .conn = conn,
                               .topic_next = s->topics[t].first_sub,
                               .topic_prev = STREAM_NONE,
                               .conn_next = s->conns[conn].first,
                               .conn_prev = STREAM_NONE};
    if (sub->topic_next != STREAM_NONE)
        s->subs[sub->topic_next].topic_prev = i;
    if (sub->conn_next != STREAM_NONE)
        s->subs[sub->conn_next].conn_prev = i;
    s->topics[t].first_sub = i;
    s->conns[conn].first = i;
    s->conns[conn].count++;
    s->sub_count++;
    return OK;
}

static bool
sub_free(struct stream *s, uint32_t i)
{
    struct stream_sub *sub = &s->subs[i];
    uint32_t t = sub->topic;
    stream_rest(s, i);
    if (sub->topic_prev == STREAM_NONE)
        s->topics[t].first_sub = sub->topic_next;
    else
        s->subs[sub->topic_prev].topic_next = sub->topic_next;
    if (sub->topic_next != STREAM_NONE)
        s->subs[sub->topic_next].topic_prev = sub->topic_prev;
    if (sub->conn_prev == STREAM_NONE)
        s->conns[sub->conn].first = sub->conn_next;
    else
        s->subs[sub->conn_prev].conn_next = sub->conn_next;
    if (sub->conn_next != STREAM_NONE)
        s->subs[sub->conn_next].conn_prev = sub->conn_prev;
    s->conns[sub->conn].count--;
    s->sub_count--;
    sub->topic = STREAM_NONE;
    sub->conn_next = s->free_sub;
    s->free_sub = i;
    if (s->topics[t].first_sub != STREAM_NONE)
        return false;
    topic_free(s, t);
    return true;
}

bool
stream_remove(struct stream *s, uint32_t conn, const char *topic, bool *was_last)
{
    CHECK(conn < s->conns_max);
    *was_last = false;
    uint32_t t = topic_find(s, topic);
    uint32_t i = t == STREAM_NONE ? STREAM_NONE : sub_find(s, conn, t);
    if (i == STREAM_NONE)
        return false;
    *was_last = sub_free(s, i);
    return true;
}

bool
stream_pop(struct stream *s, uint32_t conn, char topic[STREAM_TOPIC_BYTES], bool *was_last)
{
    CHECK(conn < s->conns_max);
    uint32_t i = s->conns[conn].first;
    if (i == STREAM_NONE)
        return false;
    memcpy(topic, s->topics[s->subs[i].topic].text, STREAM_TOPIC_BYTES);
    *was_last = sub_free(s, i);
    return true;
}

bool
stream_has(const struct stream *s, uint32_t conn, const char *topic)
{
    uint32_t t = topic_find(s, topic);
    return t != STREAM_NONE && sub_find(s, conn, t) != STREAM_NONE;
}

uint32_t
stream_first(const struct stream *s, const char *topic)
{
    uint32_t t = topic_find(s, topic);
    return t == STREAM_NONE ? STREAM_NONE : s->topics[t].first_sub;
}

uint32_t
stream_next(const struct stream *s, uint32_t sub)
{
    return s->subs[sub].topic_next;
}

uint32_t
stream_conn(const struct stream *s, uint32_t sub)
{
    return s->subs[sub].conn;
}

uint32_t
stream_topic(const struct stream *s, const char *topic)
{
    return topic_find(s, topic);
}

uint32_t
stream_topic_of(const struct stream *s, uint32_t sub)
{
    return s->subs[sub].topic;
}

const char *
stream_topic_text(const struct stream *s, uint32_t topic)
{
    return s->topics[topic].text;
}

uint32_t
stream_conn_first(const struct stream *s, uint32_t conn)
{
    return s->conns[conn].first;
}

uint32_t
stream_conn_next(const struct stream *s, uint32_t sub)
{
    return s->subs[sub].conn_next;
}

void
stream_wake(struct stream *s, uint32_t i)
{
    struct stream_sub *sub = &s->subs[i];
    struct stream_conn *c = &s->conns[sub->conn];
    if (sub->is_waiting)
        return;
    sub->is_waiting = true;
    sub->wait_next = STREAM_NONE;
    sub->wait_prev = c->wait_last;
    if (c->wait_last == STREAM_NONE)
        c->wait_first = i;
    else
        s->subs[c->wait_last].wait_next = i;
    c->wait_last = i;
}

uint32_t
stream_waiting(const struct stream *s, uint32_t conn)
{
    return s->conns[conn].wait_first;
}

void
stream_rest(struct stream *s, uint32_t i)
{
    struct stream_sub *sub = &s->subs[i];
    struct stream_conn *c = &s->conns[sub->conn];
    if (!sub->is_waiting)
        return;
    sub->is_waiting = false;
    if (sub->wait_prev == STREAM_NONE)
        c->wait_first = sub->wait_next;
    else
        s->subs[sub->wait_prev].wait_next = sub->wait_next;
    if (sub->wait_next == STREAM_NONE)
        c->wait_last = sub->wait_prev;
    else
        s->subs[sub->wait_next].wait_prev = sub->wait_prev;
}

/* Its waiting list holds just those of its subscriptions that say so. */
static void
conn_check(const struct stream *s, uint32_t conn, uint32_t waiting)
{
    const struct stream_conn *c = &s->conns[conn];
    uint32_t before = STREAM_NONE;
    for (uint32_t i = c->wait_first; i != STREAM_NONE; i = s->subs[i].wait_next, waiting--) {
        CHECK(s->subs[i].conn == conn && s->subs[i].is_waiting && s->subs[i].wait_prev == before);
        before = i;
    }
    CHECK(waiting == 0 && c->wait_last == before);
}

void
stream_check(const struct stream *s)
{
    uint32_t by_conn = 0, by_topic = 0;
    for (uint32_t c = 0; c < s->conns_max; c++) {
        uint32_t count = 0, waiting = 0;
        for (uint32_t i = s->conns[c].first; i != STREAM_NONE; i = s->subs[i].conn_next) {
            CHECK(s->subs[i].conn == c && s->subs[i].topic != STREAM_NONE);
            count++;
            waiting += s->subs[i].is_waiting;
        }
        CHECK(count == s->conns[c].count && count <= s->per_conn_max);
        conn_check(s, c, waiting);
        by_conn += count;
    }
    for (uint32_t t = 0; t < s->subs_max; t++) {
        if (s->topics[t].text[0] == 0)
            continue;
        CHECK(s->topics[t].first_sub != STREAM_NONE && topic_find(s, s->topics[t].text) == t);
        for (uint32_t i = s->topics[t].first_sub; i != STREAM_NONE; i = s->subs[i].topic_next)
            by_topic++;
    }
    CHECK(by_conn == s->sub_count && by_topic == s->sub_count);
}

void
cursor_start(struct cursor *c, uint64_t after)
{
    *c = (struct cursor){.last = after, .is_asking = true, .has_started = true};
}

enum cursor_verdict
cursor_event(struct cursor *c, uint64_t sequence)
{
    CHECK(c->has_started);
    if (c->is_asking) {
        if (sequence > c->seen)
            c->seen = sequence;
        return CURSOR_DROP;
    }
    if (sequence <= c->last)
        return CURSOR_DROP;
    if (sequence == c->last + 1) {
        c->last = sequence;
        return CURSOR_DELIVER;
    }
    c->seen = sequence;
    c->is_asking = true;
    return CURSOR_ASK;
}

enum cursor_verdict
cursor_resent(struct cursor *c, uint64_t sequence)
{
    if (sequence <= c->last)
        return CURSOR_DROP;
    c->last = sequence;
    return CURSOR_DELIVER;
}

bool
cursor_resumed(struct cursor *c, uint64_t sequence)
{
    /* A client that claims numbers from the future goes on from where the account is. */
    c->last = sequence;
    c->is_asking = c->seen > sequence;
    if (!c->is_asking)
        c->seen = 0;
    return c->is_asking;
}

bool
cursor_recheck(struct cursor *c)
{
    if (!c->has_started || c->is_asking)
        return false;
    c->is_asking = true;
    return true;
}
