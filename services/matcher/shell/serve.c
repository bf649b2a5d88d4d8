/*
 * serve.c - messages from ledgers and the market into the core, its reports out.
 *
 * Everything happens within the handler of a message or of a timer: one is set to the millisecond
 * in which the core has something due next. The bus sends one frame per ledger at the end of the
 * turn. After a start the ledgers' socket is not read until the market's snapshots are there, so
 * that no market order meets an empty house for want of a millisecond.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/shell/serve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/log.h"
#include "host/metrics.h"
#include "matcher/core/match.h"
#include "matcher/shell/batch.h"
#include "matcher/shell/market.h"
#include "matcher/shell/venues.h"
#include "wire/bus.h"

#define TIME_MS     100
#define OUTS_MAX    1024
#define LISTS_BYTES (2u << 20)

/* The epoch and session that head the frames to a peer. */
struct said {
    uint32_t peer;
    uint64_t epoch, session;
};

struct counter {
    struct metric *metric;
    const uint64_t *count; /* in the core */
};

struct serve {
    struct host *host;
    const struct matcher_config *config;
    struct match *match;
    void *memory;
    size_t memory_size;
    struct outbox out;
    struct bus *bus;
    struct market *market; /* NULL = no house */
    struct batch batch;
    struct loop_timer *time, *beat, *due;
    int64_t due_us;     /* for which `due` is set; TIMER_NEVER = it is not */
    int64_t started_us; /* steady */
    bool is_open;       /* the ledgers' socket is read */
    struct said *said;  /* by the number of the link */
    struct counter counters[24];
    uint32_t counters_count;
    struct metric *m_resting, *m_levels, *m_house, *m_sessions, *m_tick;
    struct metric *m_armed, *m_delayed, *m_pairs, *m_stories;
};

/* ---- Out ------------------------------------------------------------------------------------ */

/* Frames to a ledger bear its own epoch and session. */
static void
say_session(struct serve *s, uint32_t peer)
{
    const struct link *l = match_link(s->match, peer);
    if (l == NULL)
        return;
    struct said *said = &s->said[l - s->match->links];
    if (said->peer == peer && said->epoch == l->epoch && said->session == l->session)
        return;
    *said = (struct said){peer, l->epoch, l->session};
    bus_set_peer_epoch(s->bus, peer, l->epoch);
    bus_set_session(s->bus, peer, l->session);
}

static void
send_outs(struct serve *s)
{
    for (uint32_t i = 0; i < s->out.count; i++) {
        const struct out *o = &s->out.slots[i];
        if (o->to == OUT_LEDGER) {
            say_session(s, o->peer);
            bus_put(s->bus, o->peer, o->msg.type, o->msg.corr, msg_body_const(&o->msg));
            if (o->msg.type == MSG_link_ready || o->msg.type == MSG_link_lost)
                log_line(LOG_INFO, msg_layout(o->msg.type)->name, "ledger=%s",
                         bus_peer_name(s->bus, o->peer));
        } else if (s->market != NULL) {
            market_ask(s->market, &o->msg);
        }
    }
    outbox_clear(&s->out);
}

/* Sends until the core has said all. */
static void
drain(struct serve *s)
{
    send_outs(s);
    while (match_busy(s->match)) {
        match_resume(s->match, &s->out);
        send_outs(s);
    }
}

/* What is due by now happens before anything that comes now. */
static void
carry_out_due(struct serve *s)
{
    int64_t now_us = loop_now_us(s->host->loop);
    if (match_next_us(s->match) > now_us)
        return;
    match_due(s->match, now_us, &s->out);
    drain(s);
}

static void
apply(struct serve *s, uint32_t peer, const struct frame *frame, const struct msg *m)
{
    carry_out_due(s);
    match_apply(s->match, peer, frame, m, loop_now_us(s->host->loop), &s->out);
    drain(s);
}

/* ---- In ------------------------------------------------------------------------------------- */

/* What was held of a frame. */
static void
apply_batch(struct serve *s)
{
    struct batch *b = &s->batch;
    match_look_ahead(s->match, b->msgs, b->count);
    for (uint32_t i = 0; i < b->count; i++)
        apply(s, b->peer, &b->frame, &b->msgs[i]);
    b->count = 0;
}

static void
on_ledger(void *arg, const struct bus_in *in)
{
    struct serve *s = arg;
    if (in->msg->type != MSG_link_beat)
        log_msg("heard", in->msg);
    if (batch_wants(&s->batch, s->match, in)) {
        if (batch_hold(&s->batch, in))
            apply_batch(s);
        return;
    }
    apply_batch(s);
    apply(s, in->peer, in->frame, in->msg);
    if (in->msg->type == MSG_link_synced)
        log_line(LOG_INFO, "link_synced", "ledger=%s orders=%llu resting=%u",
                 in->frame->sender.text, (unsigned long long)in->msg->link_synced.orders,
                 s->match->books.orders.used);
}

static void
on_bad_frame(void *arg, uint32_t peer, enum err why)
{
    struct serve *s = arg;
    (void)why; /* counted and logged by the bus */
    apply_batch(s);
    match_unreadable(s->match, peer, loop_now_us(s->host->loop), &s->out);
    send_outs(s);
}

static void
on_tick(void *arg, const struct msg *m)
{
    struct serve *s = arg;
    int64_t before_us = loop_measure_us();
    apply(s, 0, NULL, m);
    metric_observe_us(s->m_tick, loop_measure_us() - before_us);
}

static void
on_symbol(void *arg, code_t symbol, bool is_given)
{
    struct serve *s = arg;
    if (!is_given) {
        carry_out_due(s);
        match_unwatch(s->match, symbol, loop_now_us(s->host->loop));
        drain(s);
        return;
    }
    match_watch(s->match, symbol, loop_now_us(s->host->loop), &s->out);
    send_outs(s);
}

/* ---- Time ----------------------------------------------------------------------------------- */

static void
on_due(void *arg)
{
    struct serve *s = arg;
    s->due_us = TIMER_NEVER;
    carry_out_due(s);
}

/* At the end of a turn: sets the timer for what is due next. */
static void
set_due(void *arg)
{
    struct serve *s = arg;
    int64_t next_us = match_next_us(s->match);
    if (next_us == s->due_us)
        return;
    s->due_us = next_us;
    if (next_us == TIMER_NEVER) {
        loop_timer_stop(s->due);
        return;
    }
    int64_t left_us = next_us - loop_now_us(s->host->loop);
    loop_timer_again(s->due, left_us > 0 ? (left_us - 1) / 1000 + 1 : 0);
}

static void
open_when_loaded(struct serve *s)
{
    int64_t waited_us = loop_steady_us(s->host->loop) - s->started_us;
    bool is_loaded = s->market == NULL || market_is_loaded(s->market);
    if (s->is_open || (!is_loaded && waited_us < s->config->market_wait_ms * 1000))
        return;
    s->is_open = true;
    bus_pause(s->bus, false);
    log_line(LOG_INFO, "open", "market_loaded=%d waited_us=%lld", is_loaded, (long long)waited_us);
}

static void
show_metrics(struct serve *s)
{
    for (uint32_t i = 0; i < s->counters_count; i++) {
        struct metric *metric = s->counters[i].metric;
        metric_add(metric, (int64_t)*s->counters[i].count - metric_value(metric));
    }
    uint32_t working = 0;
    for (uint32_t i = 0; i < s->match->links_count; i++)
        working += s->match->links[i].state == LINK_WORKING;
    metric_set(s->m_sessions, working);
    metric_set(s->m_resting, s->match->books.orders.used);
    metric_set(s->m_levels, s->match->books.levels_used);
    metric_set(s->m_house, s->match->books.houses_used);
    metric_set(s->m_armed, s->match->triggers.armed);
    metric_set(s->m_delayed, s->match->delayed);
    metric_set(s->m_pairs, s->match->pairs);
    metric_set(s->m_stories, s->match->books.stories.used);
}

static void
on_time(void *arg)
{
    struct serve *s = arg;
    match_time(s->match, loop_now_us(s->host->loop), &s->out);
    drain(s);
    if (s->market != NULL)
        market_time(s->market);
    open_when_loaded(s);
    show_metrics(s);
}

static void
on_beat(void *arg)
{
    struct serve *s = arg;
    for (uint32_t i = 0; i < s->match->links_count; i++) {
        const struct link *l = &s->match->links[i];
        if (l->state != LINK_SYNCING && l->state != LINK_WORKING)
            continue;
        const struct link_beat beat = {.frames = bus_frames_sent(s->bus, l->peer)};
        bus_put(s->bus, l->peer, MSG_link_beat, 0, &beat);
    }
}

/* ---- Start and stop ------------------------------------------------------------------------- */

static void
count(struct serve *s, const char *name, const char *labels, const char *sentence,
      const uint64_t *value)
{
    CHECK(s->counters_count < sizeof s->counters / sizeof s->counters[0]);
    s->counters[s->counters_count++] =
        (struct counter){metric_counter(name, labels, sentence), value};
}

static void
gauges_open(struct serve *s)
{
    s->m_resting = metric_gauge("scrip_matcher_resting_orders", "", "Orders in hand.");
    s->m_armed = metric_gauge("scrip_matcher_armed_orders", "", "Orders that wait for a price.");
    s->m_delayed = metric_gauge("scrip_matcher_delayed_orders", "",
                                "Orders on their way, for their simulated latency.");
    s->m_pairs = metric_gauge("scrip_matcher_pairs", "", "Pairs of which one cancels the other.");
    s->m_stories = metric_gauge("scrip_matcher_stories", "", "Orders with a story.");
    s->m_levels = metric_gauge("scrip_matcher_price_levels", "", "Price levels with orders.");
    s->m_house = metric_gauge("scrip_matcher_house_levels", "", "Price levels of the market.");
    s->m_sessions = metric_gauge("scrip_matcher_links_working", "", "Ledgers in session.");
    s->m_tick = metric_histogram("scrip_matcher_tick_microseconds", "",
                                 "From a market message to the reports it caused.");
}

static void
metrics_open(struct serve *s)
{
    const struct match_counts *c = &s->match->counts;
    count(s, "scrip_matcher_orders_total", "", "Orders received.", &c->works);
    count(s, "scrip_matcher_orders_refused_total", "why=\"invalid\"", "Orders not worked.",
          &c->works_invalid);
    count(s, "scrip_matcher_orders_refused_total", "why=\"repeated\"", "Orders not worked.",
          &c->works_repeated);
    count(s, "scrip_matcher_pulls_total", "", "Pulls received.", &c->pulls);
    count(s, "scrip_matcher_pulls_unknown_total", "",
          "Pulls of orders whose end was already on its way.", &c->pulls_unknown);
    count(s, "scrip_matcher_trims_total", "", "Trims received.", &c->trims);
    count(s, "scrip_matcher_trims_unknown_total", "",
          "Trims of orders whose end was already on its way.", &c->trims_unknown);
    count(s, "scrip_matcher_triggered_total", "", "Orders set off by a price.", &c->triggered);
    count(s, "scrip_matcher_expired_total", "", "Orders whose time was over.", &c->expired);
    count(s, "scrip_matcher_stories_dropped_total", "", "Stories for want of stories_max.",
          &s->match->books.stories.dropped);
    count(s, "scrip_matcher_queues_full_total", "", "Orders whose queue found no room.",
          &s->match->books.queues.full);
    count(s, "scrip_matcher_reports_total", "", "Reports sent.", &c->reports);
    count(s, "scrip_matcher_fills_total", "", "Fills.", &c->fills);
    count(s, "scrip_matcher_stale_total", "", "Messages of past sessions.", &c->stale);
    count(s, "scrip_matcher_unexpected_total", "", "Messages not for a matcher.", &c->unexpected);
    count(s, "scrip_matcher_links_begun_total", "", "Sessions begun.", &c->sessions);
    count(s, "scrip_matcher_links_lost_total", "", "Sessions lost.", &c->losses);
    count(s, "scrip_matcher_gaps_total", "", "Times a symbol's house was withdrawn.", &c->gaps);
    count(s, "scrip_matcher_ticks_total", "", "Market messages applied.", &c->ticks);
    count(s, "scrip_matcher_symbols_refused_total", "", "Messages for want of symbols_max.",
          &c->symbols_refused);
    count(s, "scrip_matcher_house_levels_dropped_total", "",
          "Market levels for want of house_levels_max.", &s->match->books.houses_dropped);
    gauges_open(s);
}

static const char *const stale_names[] = {
    [STALE_HOLD] = "hold", [STALE_FLAG] = "flag", [STALE_GO_ON] = "go_on"};

/* The policy of that name; one past the last when there is none. */
static enum stale_fills
stale_fills_of(const char *name)
{
    enum stale_fills policy = STALE_HOLD;
    while (policy <= STALE_GO_ON && strcmp(stale_names[policy], name) != 0)
        policy++;
    return policy;
}

static void
core_open(struct serve *s)
{
    const struct matcher_config *c = s->config;
    const struct match_limits limits = {
        .books = {.orders_max = (uint32_t)c->orders_max,
                  .levels_max = (uint32_t)c->levels_max,
                  .house_levels_max = (uint32_t)c->house_levels_max,
                  .books_max = (uint32_t)c->symbols_max,
                  .queues_max = (uint32_t)c->queues_max,
                  .stories_max = (uint32_t)c->stories_max},
        .ledgers_max = (uint32_t)c->ledgers_max,
        .silence_us = c->ledger_silence_ms * 1000,
        .market_silence_us = c->market_silence_ms * 1000,
        .ask_again_us = c->ask_again_ms * 1000,
        .tell_again_us = 100000,
        .stale_fills = stale_fills_of(c->stale_fills),
        .errands_max = (uint32_t)c->errands_max,
    };
    /* Zeroed, and touched only as it is needed. */
    s->memory_size = match_bytes(&limits);
    s->memory = mmap(NULL, s->memory_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(s->memory != MAP_FAILED);
    (void)madvise(s->memory, s->memory_size, MADV_HUGEPAGE); /* a hint */
    s->match = match_init(&limits, s->memory);
    CHECK(venues_set(s->match, c->venues) == OK);
    struct out *slots = calloc(OUTS_MAX, sizeof *slots);
    void *lists = aligned_alloc(16, LISTS_BYTES);
    s->said = calloc(limits.ledgers_max, sizeof *s->said);
    CHECK(slots != NULL && lists != NULL && s->said != NULL);
    outbox_init(&s->out, slots, OUTS_MAX, lists, LISTS_BYTES);
}

static bool
sockets_open(struct serve *s)
{
    const struct matcher_config *c = s->config;
    struct loop *loop = s->host->loop;
    s->bus = bus_open(loop, &(struct bus_options){.role = BUS_SERVE,
                                                  .endpoint = c->serve_endpoint,
                                                  .name = s->host->name,
                                                  .arg = s,
                                                  .on_msg = on_ledger,
                                                  .on_bad_frame = on_bad_frame});
    if (s->bus == NULL)
        return false;
    bus_pause(s->bus, true);
    if (c->market_endpoint[0] == '\0' || c->market_ask_endpoint[0] == '\0')
        return true;
    s->market = market_open(&(struct market_options){
        .loop = loop,
        .name = s->host->name,
        .follow_endpoint = c->market_endpoint,
        .ask_endpoint = c->market_ask_endpoint,
        .held_bytes_max = (size_t)c->held_bytes_max,
        .symbols_max = (uint32_t)c->symbols_max,
        .match = s->match,
        .arg = s,
        .on_tick = on_tick,
        .on_symbol = on_symbol,
    });
    return s->market != NULL;
}

enum err
serve_start(struct host *h, const void *config, void **state)
{
    const struct matcher_config *c = config;
    if (stale_fills_of(c->stale_fills) > STALE_GO_ON) {
        log_line(LOG_ERROR, "bad_setting", "stale_fills=%s known=hold,flag,go_on", c->stale_fills);
        return ERR_INTERNAL;
    }
    if (venues_set(NULL, c->venues) != OK) {
        log_line(LOG_ERROR, "bad_setting", "venues=%s known=first,participant,off", c->venues);
        return ERR_INTERNAL;
    }
    struct serve *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->host = h;
    s->config = config;
    s->due_us = TIMER_NEVER;
    s->started_us = loop_steady_us(h->loop);
    core_open(s);
    metrics_open(s);
    if (!sockets_open(s)) {
        serve_stop(s);
        return ERR_INTERNAL;
    }
    s->time = loop_timer_new(h->loop, 0, TIME_MS, on_time, s);
    s->due = loop_timer_new(h->loop, 0, 0, on_due, s);
    loop_on_turn(h->loop, set_due, s);
    s->beat = loop_timer_new(h->loop, s->config->beat_ms, s->config->beat_ms, on_beat, s);
    *state = s;
    log_line(LOG_INFO, "started", "endpoint=%s market=%s memory_max=%zu", s->config->serve_endpoint,
             s->config->market_endpoint, s->memory_size);
    return OK;
}

const char *
serve_not_ready(void *state)
{
    const struct serve *s = state;
    return s->is_open ? NULL : "waiting for the market's first snapshots";
}

void
serve_stop(void *state)
{
    struct serve *s = state;
    if (s->time != NULL)
        loop_timer_end(&s->time);
    if (s->beat != NULL)
        loop_timer_end(&s->beat);
    if (s->due != NULL)
        loop_timer_end(&s->due);
    market_close(&s->market);
    bus_close(&s->bus);
    munmap(s->memory, s->memory_size);
    free(s->out.slots);
    free(s->out.lists.bytes);
    free(s->said);
    free(s);
}
