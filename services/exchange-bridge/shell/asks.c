/*
 * asks.c - see asks.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/asks.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "host/metrics.h"

#define KEPT_US  INT64_C(10000000) /* an answer is remembered */
#define BEAT_MS  100
#define STILL_US INT64_C(1000000) /* without a beat: it stood still */
#define WOKEN_US INT64_C(1000000) /* until all is read that waited meanwhile */
#define NONE     UINT32_MAX

struct ask {
    struct asks *asks;
    uint64_t key; /* 0 = free */
    uint64_t corr;
    uint32_t peer, copies;
    uint8_t *packed; /* the answer; NULL = there is none yet */
    size_t length;
    int64_t taken_us, answered_us; /* steady */
    uint32_t next;                 /* answered ones, oldest first; free ones */
};

struct asks {
    struct loop *loop;
    struct bus *bus;
    struct ask *asks;
    uint32_t free, first, last; /* answered ones */
    struct map by_key;
    void *map_memory;
    struct bytes packed;
    struct loop_timer *beat;
    int64_t beat_us, woken_us; /* steady; the latest, and the end of the latest standstill */
    struct metric *m_taken, *m_refused, *m_full, *m_late;
};

/* By a timer, and before whatever was heard first after a standstill. */
static void
on_beat(void *arg)
{
    struct asks *a = arg;
    int64_t now_us = loop_steady_us(a->loop);
    if (now_us - a->beat_us >= STILL_US)
        a->woken_us = now_us;
    a->beat_us = now_us;
}

struct asks *
asks_open(struct loop *loop, uint32_t asks_max)
{
    struct asks *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    *a = (struct asks){.loop = loop, .first = NONE, .last = NONE};
    a->asks = calloc(asks_max, sizeof *a->asks);
    a->map_memory = malloc(map_bytes(asks_max));
    CHECK(a->asks != NULL && a->map_memory != NULL);
    map_init(&a->by_key, asks_max, a->map_memory);
    for (uint32_t i = 0; i < asks_max; i++)
        a->asks[i].next = i + 1 < asks_max ? i + 1 : NONE;
    a->m_taken = metric_counter("scrip_bridge_requests_total", "", "Requests that were taken.");
    a->m_refused = metric_counter("scrip_bridge_refused_total", "", "Of these, refused.");
    a->m_full =
        metric_counter("scrip_bridge_requests_full_total", "", "Requests there was no room for.");
    a->m_late = metric_counter("scrip_bridge_requests_late_total", "",
                               "Copies that were left, as this process had stood still.");
    a->beat_us = loop_steady_us(loop);
    a->woken_us = INT64_MIN / 2;
    a->beat = loop_timer_new(loop, BEAT_MS, BEAT_MS, on_beat, a);
    return a;
}

void
asks_answer_on(struct asks *a, struct bus *bus)
{
    a->bus = bus;
}

void
asks_close(struct asks **asks)
{
    struct asks *a = *asks;
    if (a == NULL)
        return;
    loop_timer_end(&a->beat);
    for (uint32_t i = 0; i < a->by_key.max; i++)
        free(a->asks[i].packed);
    bytes_free(&a->packed);
    free(a->asks);
    free(a->map_memory);
    free(a);
    *asks = NULL;
}

/* Forgets the answers that nobody asks for any more, or the oldest one when room is needed. */
static void
sweep(struct asks *a)
{
    int64_t until = loop_steady_us(a->loop) - KEPT_US;
    while (a->first != NONE && (a->free == NONE || a->asks[a->first].answered_us < until)) {
        uint32_t i = a->first;
        struct ask *k = &a->asks[i];
        a->first = k->next;
        if (a->first == NONE)
            a->last = NONE;
        map_remove(&a->by_key, k->key);
        free(k->packed);
        *k = (struct ask){.next = a->free};
        a->free = i;
    }
}

static void
refuse_full(struct asks *a, uint32_t peer, uint64_t corr)
{
    struct refused why = {.error = ERR_EXCHANGE_BUSY, .retry_after_seconds = 1};
    metric_add(a->m_full, 1);
    bus_put(a->bus, peer, MSG_refused, corr, &why);
}

/* Of the others a late one does no harm: a sync has its command id, what is read has its time. */
static bool
is_overwriting(enum msg_type type)
{
    return type == MSG_bridge_keys_put || type == MSG_bridge_keys_delete ||
           type == MSG_bridge_bind || type == MSG_bridge_schedule_set;
}

struct ask *
asks_take(struct asks *a, uint32_t peer, const struct msg *m)
{
    const uint64_t words[] = {peer, m->corr};
    uint64_t key = map_hash(words, sizeof words);
    uint32_t i = map_get(&a->by_key, key);
    if (i != MAP_NONE && a->asks[i].packed != NULL) {
        bus_put_packed(a->bus, peer, a->asks[i].packed, a->asks[i].length);
        return NULL;
    }
    if (i != MAP_NONE) {
        a->asks[i].copies++;
        return NULL;
    }
    on_beat(a);
    if (is_overwriting(m->type) && loop_steady_us(a->loop) - a->woken_us < WOKEN_US) {
        metric_add(a->m_late, 1);
        return NULL;
    }
    sweep(a);
    if (a->free == NONE) {
        refuse_full(a, peer, m->corr);
        return NULL;
    }
    i = a->free;
    struct ask *k = &a->asks[i];
    a->free = k->next;
    *k = (struct ask){.asks = a,
                      .key = key,
                      .corr = m->corr,
                      .peer = peer,
                      .copies = 1,
                      .taken_us = loop_steady_us(a->loop)};
    map_set(&a->by_key, key, i);
    metric_add(a->m_taken, 1);
    return k;
}

uint64_t
ask_corr(const struct ask *k)
{
    return k->corr;
}

bool
ask_is_late(const struct ask *k)
{
    on_beat(k->asks);
    return k->taken_us < k->asks->woken_us;
}

void
ask_drop(struct ask *k)
{
    struct asks *a = k->asks;
    CHECK(k->key != 0 && k->packed == NULL);
    metric_add(a->m_late, k->copies);
    map_remove(&a->by_key, k->key);
    *k = (struct ask){.next = a->free};
    a->free = (uint32_t)(k - a->asks);
}

void
ask_answer(struct ask *k, enum msg_type type, const void *body)
{
    struct asks *a = k->asks;
    CHECK(k->key != 0 && k->packed == NULL);
    bytes_clear(&a->packed);
    msg_pack_body(&a->packed, type, k->corr, body);
    k->packed = malloc(a->packed.length);
    CHECK(k->packed != NULL);
    memcpy(k->packed, a->packed.data, a->packed.length);
    k->length = a->packed.length;
    k->answered_us = loop_steady_us(a->loop);
    k->next = NONE;
    uint32_t i = (uint32_t)(k - a->asks);
    if (a->last == NONE)
        a->first = i;
    else
        a->asks[a->last].next = i;
    a->last = i;
    for (uint32_t copy = 0; copy < k->copies; copy++)
        bus_put_packed(a->bus, k->peer, k->packed, k->length);
}

void
ask_refuse(struct ask *k, const struct refused *why)
{
    metric_add(k->asks->m_refused, 1);
    ask_answer(k, MSG_refused, why);
}

void
ask_refuse_plain(struct ask *k, enum err e)
{
    struct refused why = {.error = e};
    ask_refuse(k, &why);
}
