/*
 * ledger_link.c - see ledger_link.h.
 *
 * What waits stands in the order in which it is to be sent again, which is the order in which it
 * was sent last.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/ledger_link.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "host/log.h"
#include "host/metrics.h"
#include "host/shards.h"
#include "wire/bus.h"

#define RESEND_US INT64_C(500000)
#define TICK_MS   50
#define NONE      UINT32_MAX

struct waiting {
    uint64_t corr; /* 0 = free */
    uint32_t shard;
    int64_t resend_us, give_up_us; /* steady; 0 = never */
    uint8_t *packed;
    size_t length;
    ledger_answer *done;
    void *arg;
    uint32_t next, prev; /* by resend_us; free ones by next */
};

struct ledger_link {
    struct loop *loop;
    const char *name;
    struct bus *buses[SHARDS]; /* one for each ledger, in the order of their first shards */
    uint32_t bus_count;
    struct bus *bus_of[SHARDS];
    struct waiting *waiting;
    uint32_t free, first, last, count;
    struct map by_corr;
    void *map_memory;
    uint64_t corr_base, corr_count;
    struct bytes packed;
    struct loop_timer *tick;
    struct metric *m_waiting, *m_resent, *m_full;
};

uint64_t
ledger_link_corr(struct ledger_link *l)
{
    uint64_t corr = map_mix(l->corr_base + ++l->corr_count);
    return corr == 0 ? 1 : corr;
}

uint32_t
ledger_link_waiting(const struct ledger_link *l)
{
    return l->count;
}

/* ---- The list ---- */

static void
take_out(struct ledger_link *l, uint32_t i)
{
    struct waiting *w = &l->waiting[i];
    if (w->prev == NONE)
        l->first = w->next;
    else
        l->waiting[w->prev].next = w->next;
    if (w->next == NONE)
        l->last = w->prev;
    else
        l->waiting[w->next].prev = w->prev;
}

static void
put_last(struct ledger_link *l, uint32_t i)
{
    struct waiting *w = &l->waiting[i];
    w->next = NONE;
    w->prev = l->last;
    if (l->last == NONE)
        l->first = i;
    else
        l->waiting[l->last].next = i;
    l->last = i;
}

static void
finish(struct ledger_link *l, uint32_t i, const struct msg *m)
{
    struct waiting *w = &l->waiting[i];
    ledger_answer *done = w->done;
    void *arg = w->arg;
    take_out(l, i);
    map_remove(&l->by_corr, w->corr);
    free(w->packed);
    *w = (struct waiting){.next = l->free};
    l->free = i;
    l->count--;
    metric_set(l->m_waiting, l->count);
    if (done != NULL)
        done(arg, m);
}

/* ---- In and out ---- */

static void
on_answer(void *arg, const struct bus_in *in)
{
    struct ledger_link *l = arg;
    uint32_t i = in->msg->corr == 0 ? MAP_NONE : map_get(&l->by_corr, in->msg->corr);
    log_msg("answer", in->msg);
    if (i == MAP_NONE)
        return;
    /* It cannot commit now, or is not the owner any more: whoever is will answer. */
    bool is_turned_away =
        in->msg->type == MSG_refused && (in->msg->refused.error == ERR_LEDGER_UNAVAILABLE ||
                                         in->msg->refused.error == ERR_LEDGER_BUSY);
    if (!is_turned_away)
        finish(l, i, in->msg);
}

static void
on_tick(void *arg)
{
    struct ledger_link *l = arg;
    int64_t now = loop_steady_us(l->loop);
    while (l->first != NONE && l->waiting[l->first].resend_us <= now) {
        uint32_t i = l->first;
        struct waiting *w = &l->waiting[i];
        if (w->give_up_us != 0 && w->give_up_us <= now) {
            finish(l, i, NULL);
            continue;
        }
        metric_add(l->m_resent, 1);
        bus_put_packed(l->bus_of[w->shard], 0, w->packed, w->length);
        w->resend_us = now + RESEND_US;
        take_out(l, i);
        put_last(l, i);
    }
}

static bool
ledger_take(void *arg, unsigned from, unsigned to, const char *endpoint)
{
    struct ledger_link *l = arg;
    struct bus *bus = bus_open(
        l->loop,
        &(struct bus_options){
            .role = BUS_ASK, .endpoint = endpoint, .name = l->name, .arg = l, .on_msg = on_answer});
    if (bus == NULL)
        return false;
    l->buses[l->bus_count++] = bus;
    for (unsigned shard = from; shard <= to; shard++) {
        if (l->bus_of[shard] != NULL)
            return false;
        l->bus_of[shard] = bus;
    }
    return true;
}

static bool
buses_open(struct ledger_link *l, const char *endpoints)
{
    bool is_whole = shards_read(endpoints, l, ledger_take);
    for (uint32_t i = 0; i < SHARDS; i++)
        is_whole = is_whole && l->bus_of[i] != NULL;
    if (!is_whole)
        log_line(LOG_ERROR, "setting_invalid", "key=ledger_endpoints");
    return is_whole;
}

struct ledger_link *
ledger_link_open(struct loop *loop, const char *name, const char *endpoints, uint32_t waiting_max)
{
    struct ledger_link *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    *l = (struct ledger_link){.loop = loop, .name = name, .first = NONE, .last = NONE};
    l->waiting = calloc(waiting_max, sizeof *l->waiting);
    l->map_memory = malloc(map_bytes(waiting_max));
    CHECK(l->waiting != NULL && l->map_memory != NULL && waiting_max > 0);
    map_init(&l->by_corr, waiting_max, l->map_memory);
    for (uint32_t i = 0; i < waiting_max; i++)
        l->waiting[i].next = i + 1 < waiting_max ? i + 1 : NONE;
    CHECK(RAND_bytes((unsigned char *)&l->corr_base, sizeof l->corr_base) == 1);
    l->m_waiting = metric_gauge("scrip_bridge_ledger_waiting", "",
                                "Messages that wait for a ledger's answer.");
    l->m_resent =
        metric_counter("scrip_bridge_ledger_resent_total", "", "Messages sent again to a ledger.");
    l->m_full = metric_counter("scrip_bridge_ledger_full_total", "",
                               "Messages that were not sent, as many waited as may.");
    l->tick = loop_timer_new(loop, TICK_MS, TICK_MS, on_tick, l);
    if (!buses_open(l, endpoints))
        ledger_link_close(&l);
    return l;
}

void
ledger_link_close(struct ledger_link **link)
{
    struct ledger_link *l = *link;
    if (l == NULL)
        return;
    loop_timer_end(&l->tick);
    for (uint32_t i = 0; i < l->bus_count; i++)
        bus_close(&l->buses[i]);
    for (uint32_t i = l->first; i != NONE; i = l->waiting[i].next)
        free(l->waiting[i].packed);
    bytes_free(&l->packed);
    free(l->waiting);
    free(l->map_memory);
    free(l);
    *link = NULL;
}

bool
ledger_link_ask(struct ledger_link *l, uint64_t account_id, enum msg_type type, uint64_t corr,
                const void *body, int64_t patience_ms, ledger_answer *done, void *arg)
{
    uint32_t i = l->free;
    if (i == NONE || l->count == l->by_corr.max || map_get(&l->by_corr, corr) != MAP_NONE) {
        metric_add(l->m_full, 1);
        return false;
    }
    struct waiting *w = &l->waiting[i];
    int64_t now = loop_steady_us(l->loop);
    l->free = w->next;
    bytes_clear(&l->packed);
    msg_pack_body(&l->packed, type, corr, body);
    *w = (struct waiting){.corr = corr,
                          .shard = shard_of_account(account_id),
                          .resend_us = now + RESEND_US,
                          .give_up_us = patience_ms == 0 ? 0 : now + patience_ms * 1000,
                          .packed = malloc(l->packed.length),
                          .length = l->packed.length,
                          .done = done,
                          .arg = arg};
    CHECK(w->packed != NULL);
    memcpy(w->packed, l->packed.data, l->packed.length);
    map_set(&l->by_corr, corr, i);
    put_last(l, i);
    l->count++;
    metric_set(l->m_waiting, l->count);
    bus_put_packed(l->bus_of[w->shard], 0, w->packed, w->length);
    return true;
}
