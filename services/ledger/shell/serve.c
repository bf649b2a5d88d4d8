/*
 * serve.c - the phases of the ledger process; see serve.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/serve.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/log.h"
#include "host/metrics.h"
#include "host/notify.h"
#include "host/pages.h"

#define LEASE_MS          25      /* a standby asks so often */
#define OPENING_US        1000000 /* requests wait so long for matchers and prices */
#define TABLES_US         5000000 /* and so long for the connection that reads the tables */
#define RETURN_MS         1500    /* after an outage of the database the owner comes first */
#define GAP_US            1000000 /* between two turns: the clock was set, or the process stood */
#define STALL_US          2000000 /* a commit that takes longer makes the ledger unavailable */
#define ANCHOR_RETRY_US   5000000
#define ASKS_MAX          256 /* questions to bridges under way */
#define EXIT_FENCED       3
#define EXIT_NOT_RESTORED 4
#define PROOF_SHARE       100 /* the proof of the books may take one part in so many of the time */

/* ---- The end ------------------------------------------------------------------------------ */

/* Memory may be ahead of what another owner has read: nothing of it may be said any more. */
static void
on_fenced(void *arg, const char *why)
{
    const struct serve *s = arg;
    log_line(LOG_ERROR, "fenced", "epoch=%" PRIu64 " why=\"%s\"", s->epoch, why);
    _exit(EXIT_FENCED);
}

static void
on_store_fenced(void *arg)
{
    on_fenced(arg, "the lease has another owner");
}

/* ---- The lease ---------------------------------------------------------------------------- */

static void lease_won(struct serve *s, uint64_t epoch);
static void follow(struct serve *s);

static void
on_lease(void *arg, enum store_outcome outcome, uint64_t epoch)
{
    struct serve *s = arg;
    s->lease_asked = false;
    if (outcome == STORE_REFUSED)
        log_line(LOG_ERROR, "lease_refused", "why=\"is the schema there?\"");
    if (outcome == STORE_DONE && epoch > 0)
        lease_won(s, epoch);
    else
        loop_timer_again(s->lease_timer, LEASE_MS);
    if (outcome == STORE_DONE && epoch == 0)
        follow(s);
}

static void
lease_ask(void *arg)
{
    struct serve *s = arg;
    if (s->phase != PHASE_STANDBY || s->epoch != 0 || s->lease_asked)
        return;
    s->lease_asked = store_lease_take(s->store, loop_now_us(s->host.loop), on_lease, s);
}

static void
on_store_up(void *arg)
{
    struct serve *s = arg;
    loop_soon(s->host.loop);
    if (s->phase == PHASE_STANDBY)
        loop_timer_again(s->lease_timer, s->was_up ? RETURN_MS : 0);
    s->was_up = true;
}

static void
on_store_down(void *arg)
{
    struct serve *s = arg;
    loop_timer_stop(s->lease_timer);
    log_line(LOG_WARN, "store_down", "pending=%u", journal_pending(s->journal));
}

/* ---- Restoring ---------------------------------------------------------------------------- */

static void
on_restored(void *arg, const char *why)
{
    struct serve *s = arg;
    if (why[0] != '\0') {
        log_line(LOG_ERROR, "not_restored", "why=\"%s\"", why);
        _exit(EXIT_NOT_RESTORED);
    }
    s->is_restored = true; /* the rest in the next turn: we are inside the restore */
    loop_soon(s->host.loop);
}

static struct restore *
restore_start(struct serve *s)
{
    return restore_begin(&(struct restore_options){
        .loop = s->host.loop,
        .conninfo = s->config->database,
        .store = s->store,
        .ledger = &s->ledger,
        .journal = s->journal,
        .project = s->project,
        .owned = s->owned,
        .arg = s,
        .on_done = on_restored,
    });
}

/* Another has the lease: a standby loads what it has written, and stays behind it. */
static void
follow(struct serve *s)
{
    if (s->restore == NULL)
        s->restore = restore_start(s);
    else if (restore_is_following(s->restore))
        notify_ready(); /* all that a standby can be */
}

static void
lease_won(struct serve *s, uint64_t epoch)
{
    s->epoch = epoch;
    s->phase = PHASE_RESTORING;
    metric_set(s->m_epoch, (int64_t)epoch);
    log_line(LOG_INFO, "lease_taken", "group=%lld epoch=%" PRIu64, (long long)s->config->group,
             epoch);
    s->project = project_open(&(struct project_options){
        .loop = s->host.loop,
        .conninfo = s->config->database,
        .ledger = &s->ledger,
        .journal = s->journal,
        .group = (uint32_t)s->config->group,
        .epoch = epoch,
        .interval_us = s->config->projection_interval_ms * 1000,
        .rows_max = (uint32_t)s->config->projection_rows,
        .arg = s,
        .on_fenced = on_fenced,
    });
    if (s->restore == NULL)
        s->restore = restore_start(s);
    else
        restore_take(s->restore, s->project);
}

static void
open_doors(struct serve *s)
{
    restore_end(&s->restore);
    s->query = query_open(&(struct query_options){
        .loop = s->host.loop,
        .conninfo = s->config->database,
        .journal = s->journal,
        .project = s->project,
        .waiting_max = (uint32_t)s->config->queries_max,
        .arg = s,
        .on_page = take_page,
        .on_found = take_found,
        .on_list = take_list,
        .on_story = take_story,
    });
    s->anchoring = anchoring_open(&(struct anchoring_options){
        .loop = s->host.loop,
        .conninfo = s->config->database,
        .journal = s->journal,
        .owned = s->owned,
        .group = (uint32_t)s->config->group,
        .epoch = s->epoch,
        .key_file = s->config->anchor_key_file,
        .folder = s->config->anchor_folder,
        .interval_us = s->config->anchor_seconds * 1000000,
        .retry_us = ANCHOR_RETRY_US,
        .arg = s,
        .on_fenced = on_fenced,
    });
    ledger_set_matcher_away(&s->ledger, NULL, true);
    s->links = links_open(&(struct links_options){
        .loop = s->host.loop,
        .ledger = &s->ledger,
        .endpoints = s->config->matcher_endpoints,
        .group = (uint32_t)s->config->group,
        .epoch = s->epoch,
        .arg = s,
        .on_report = take_report,
        .on_explained = take_explained,
    });
    s->bridges = bridges_open(&(struct bridges_options){
        .loop = s->host.loop,
        .ledger = &s->ledger,
        .endpoints = s->config->bridge_endpoints,
        .group = (uint32_t)s->config->group,
        .epoch = s->epoch,
        .asks_max = ASKS_MAX,
    });
    s->market = market_open(&(struct market_options){
        .loop = s->host.loop,
        .ledger = &s->ledger,
        .name = s->host.name,
        .follow_endpoint = s->config->market_endpoint,
        .ask_endpoint = s->config->market_ask_endpoint,
    });
    if (s->links == NULL || s->bridges == NULL || s->market == NULL || take_open(s) != OK) {
        log_line(LOG_ERROR, "not_serving", "why=\"a socket could not be opened\"");
        _exit(EXIT_NOT_RESTORED);
    }
    take_pause(s, true);
    s->opened_us = loop_steady_us(s->host.loop);
    s->phase = s->is_draining ? PHASE_DRAINING : PHASE_OPENING;
}

/* The doors were open so far as that requests could queue up behind them. */
static void
serve_when_linked(struct serve *s, int64_t steady_us)
{
    bool has_bridge =
        s->ledger.policy.trading_mode == LEDGER_TRADES_PAPER || bridges_are_there(s->bridges);
    bool is_whole = links_working(s->links) == links_count(s->links) &&
                    market_is_loaded(s->market) && has_bridge;
    int64_t waited_us = steady_us - s->opened_us;
    if ((!is_whole && waited_us < OPENING_US) || (!query_is_up(s->query) && waited_us < TABLES_US))
        return;
    take_pause(s, false);
    s->phase = PHASE_SERVING;
    log_line(LOG_INFO, "serving", "epoch=%" PRIu64 " endpoint=%s opening_ms=%lld", s->epoch,
             s->config->serve_endpoint, (long long)waited_us / 1000);
}

/* ---- Proof -------------------------------------------------------------------------------- */

static void
prove_shard(struct serve *s, uint32_t shard)
{
    text_t why;
    s->is_violated[shard] = !ledger_check_shard(&s->ledger, shard, &why);
    if (s->is_violated[shard]) {
        s->violation = why;
        log_line(LOG_ERROR, "books_violated", "shard=%u why=\"%s\"", shard, why.text);
    }
    s->violated = 0;
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        s->violated += s->is_violated[i];
    metric_set(s->m_violated, s->violated > 0);
}

/* One shard a time, so that no request waits long for it; each once in check_seconds. */
static void
on_check(void *arg)
{
    struct serve *s = arg;
    int64_t usual_us = s->config->check_seconds * 1000000 / LEDGER_SHARDS, rest_us = 0;
    if (s->phase == PHASE_SERVING) {
        int64_t before_us = loop_measure_us();
        prove_shard(s, s->check_shard);
        s->check_shard = (s->check_shard + 1) % LEDGER_SHARDS;
        rest_us = (loop_measure_us() - before_us) * PROOF_SHARE;
    }
    loop_timer_again(s->check_timer, (rest_us > usual_us ? rest_us : usual_us) / 1000);
}

/* ---- Turns -------------------------------------------------------------------------------- */

static void
on_wake(void *arg)
{
    (void)arg; /* the turn hook does the work */
}

static void
arm(struct serve *s, int64_t steady_us)
{
    int64_t wake_us = journal_wake_us(s->journal);
    if (s->project != NULL && project_wake_us(s->project) < wake_us)
        wake_us = project_wake_us(s->project);
    if (anchoring_wake_us(s->anchoring) < wake_us)
        wake_us = anchoring_wake_us(s->anchoring);
    if (wake_us == INT64_MAX)
        loop_timer_stop(s->wake_timer);
    else
        loop_timer_again(s->wake_timer,
                         wake_us <= steady_us ? 0 : (wake_us - steady_us) / 1000 + 1);
}

static void
measure(struct serve *s)
{
    uint64_t open = 0;
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        open += s->ledger.shards[i].open_orders;
    metric_set(s->m_open_orders, (int64_t)open);
    metric_set(s->m_accounts, s->ledger.accounts_count);
    metric_set(s->m_evicted, (int64_t)s->ledger.orders_evicted);
    metric_set(s->m_reports_refused, (int64_t)s->ledger.reports_refused);
    metric_set(s->m_working, links_working(s->links));
    metric_set(s->m_real_refused, (int64_t)s->ledger.real_refused);
}

/* Everything accepted is durable, answered, and in the tables. */
static bool
is_drained(const struct serve *s)
{
    return journal_is_empty(s->journal) && project_is_done(s->project) &&
           query_waiting(s->query) == 0;
}

/* The last thing is an anchor of all that this process has committed. */
static void
end_drained(struct serve *s)
{
    anchoring_hurry(s->anchoring);
    if (anchoring_is_done(s->anchoring))
        loop_stop(s->host.loop);
}

/* Who repeats a request finds what came of it in memory, for so long. A clock that steps ahead, or
 * was ahead of the one under which the orders ended, must not shorten that, nor a process that was
 * frozen while the repetition waited at its door: then the time begins anew. */
static void
evict(struct serve *s, int64_t steady_us)
{
    int64_t now_us = loop_now_us(s->host.loop);
    if (now_us - s->turn_us > GAP_US || s->phase < PHASE_SERVING)
        s->evict_us = steady_us + s->ledger.limits.keep_us;
    s->turn_us = now_us;
    if (steady_us >= s->evict_us)
        ledger_evict(&s->ledger, journal_time_us(s->journal, now_us));
}

static void
on_turn(void *arg)
{
    struct serve *s = arg;
    int64_t steady_us = loop_steady_us(s->host.loop);
    if (s->is_restored && s->phase == PHASE_RESTORING)
        open_doors(s);
    if (s->links != NULL) {
        bool crowded = take_is_crowded(s);
        metric_set(s->m_crowded, crowded);
        links_pause(s->links, crowded);
        links_turn(s->links);
        measure(s);
    }
    if (s->phase == PHASE_OPENING)
        serve_when_linked(s, steady_us);
    journal_turn(s->journal, steady_us);
    if (s->project != NULL)
        project_turn(s->project, steady_us);
    if (s->restore != NULL && !s->is_restored)
        restore_turn(s->restore); /* after the tables, which it may wait for */
    if (s->query != NULL)
        query_turn(s->query);
    anchoring_turn(s->anchoring, steady_us);
    evict(s, steady_us);
    ahead_turn(s->ahead);
    if (s->phase == PHASE_DRAINING && is_drained(s))
        end_drained(s);
    arm(s, steady_us);
}

/* ---- Life --------------------------------------------------------------------------------- */

static void
metrics_open(struct serve *s)
{
    s->m_epoch = metric_gauge("scrip_ledger_epoch", "", "Epoch of the lease; 0 in a standby.");
    s->m_violated = metric_gauge("scrip_ledger_books_violated", "",
                                 "1 while the last proof of a shard's books has failed.");
    s->m_reports_refused = metric_gauge("scrip_ledger_reports_refused", "",
                                        "Reports that made no sense, since the start.");
    s->m_open_orders = metric_gauge("scrip_ledger_open_orders", "", "Open orders.");
    s->m_accounts = metric_gauge("scrip_ledger_accounts", "", "Accounts, the system's included.");
    s->m_evicted = metric_gauge("scrip_ledger_orders_evicted", "",
                                "Finished orders forgotten since the start.");
    s->m_working = metric_gauge("scrip_ledger_links_working", "", "Matchers in a synced session.");
    s->m_real_refused = metric_gauge("scrip_ledger_bridge_reports_refused", "",
                                     "Reports of bridges that contradict the books.");
    s->m_crowded = metric_gauge("scrip_ledger_crowded", "", "1 while reports must wait.");
}

static enum err
configure(struct serve *s)
{
    text_t why;
    struct ledger_limits limits;
    struct ledger_policy policy;
    enum err e = policy_limits(s->config, &limits, &why);
    if (e == OK)
        e = policy_read(s->config, &policy, &why);
    if (e == OK)
        e = policy_shards(s->config->shards, s->owned, &why);
    if (e != OK) {
        log_line(LOG_ERROR, "configuration", "why=\"%s\"", why.text);
        return e;
    }
    s->memory_bytes = ledger_bytes(&limits);
    s->memory = pages_take(s->memory_bytes);
    struct out *slots = calloc(LEDGER_OUT_MAX, sizeof *slots);
    void *lists = aligned_alloc(16, LEDGER_OUT_BYTES);
    CHECK(s->memory != NULL && slots != NULL && lists != NULL);
    outbox_init(&s->out, slots, LEDGER_OUT_MAX, lists, LEDGER_OUT_BYTES);
    ledger_init(&s->ledger, &limits, &policy, s->memory);
    s->ahead = ahead_new(&s->ledger);
    return market_rules(&s->ledger, s->config->rules_file);
}

static void
open_store(struct serve *s)
{
    const struct ledger_config *c = s->config;
    s->store = store_pg_open(&(struct store_pg_options){
        .loop = s->host.loop,
        .conninfo = c->database,
        .group = (uint32_t)c->group,
        .owner = s->host.name,
        .partition_hours = c->partition_hours,
        .watch = {.arg = s,
                  .on_up = on_store_up,
                  .on_down = on_store_down,
                  .on_fenced = on_store_fenced},
    });
    s->journal = journal_new(&(struct journal_options){
        .store = s->store,
        .records_max = (uint32_t)c->batch_records_max,
        .bytes_max = (uint32_t)c->batch_bytes_max,
        .held_max = (uint32_t)c->held_max,
        .delay_us = c->commit_delay_us,
        .stall_us = STALL_US,
        .arg = s,
        .on_reply = take_reply,
        .on_event = take_event,
        .on_bridge = take_order,
        .on_fenced = on_fenced,
    });
}

enum err
serve_start(struct host *h, const void *config, void **state)
{
    struct serve *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->config = config;
    s->host = *h;
    *state = s;
    metrics_open(s);
    enum err e = configure(s);
    if (e != OK)
        return e;
    loop_on_turn(h->loop, on_turn, s);
    s->wake_timer = loop_timer_new(h->loop, 0, 0, on_wake, s);
    s->check_timer =
        loop_timer_new(h->loop, s->config->check_seconds * 1000 / LEDGER_SHARDS, 0, on_check, s);
    s->lease_timer = loop_timer_new(h->loop, LEASE_MS, 0, lease_ask, s);
    open_store(s);
    return OK;
}

const char *
serve_not_ready(void *state)
{
    struct serve *s = state;
    switch (s->phase) {
    case PHASE_STANDBY:
        if (!store_is_up(s->store))
            return "the database is away";
        return s->restore != NULL && restore_is_following(s->restore)
                   ? "standby: another process has the lease"
                   : "standby: it loads what the owner has written";
    case PHASE_RESTORING:
        return restore_step(s->restore);
    case PHASE_OPENING:
        return "waiting for the matchers, the bridges, the market's prices and the tables";
    case PHASE_DRAINING:
        return "draining";
    case PHASE_SERVING:
        break;
    }
    if (s->violated > 0)
        return s->violation.text;
    if (!journal_is_writable(s->journal, loop_steady_us(s->host.loop)))
        return "the journal cannot be written";
    return project_trouble(s->project);
}

void
serve_drain(void *state)
{
    struct serve *s = state;
    s->is_draining = true;
    journal_hurry(s->journal);
    if (s->phase == PHASE_OPENING || s->phase == PHASE_SERVING) {
        s->phase = PHASE_DRAINING;
        take_pause(s, true);
        project_hurry(s->project);
    } else if (s->phase == PHASE_STANDBY) {
        loop_stop(s->host.loop);
    }
    loop_soon(s->host.loop);
}

void
serve_stop(void *state)
{
    struct serve *s = state;
    if (s->links != NULL)
        links_close(&s->links);
    bridges_close(&s->bridges);
    market_close(&s->market);
    take_close(s);
    bus_teardown();
    query_close(&s->query);
    anchoring_close(&s->anchoring);
    restore_end(&s->restore);
    project_close(&s->project);
    journal_destroy(&s->journal);
    if (s->store != NULL)
        store_close(&s->store);
    if (s->wake_timer != NULL) {
        loop_off_turn(s->host.loop, on_turn, s);
        loop_timer_end(&s->wake_timer);
        loop_timer_end(&s->check_timer);
        loop_timer_end(&s->lease_timer);
    }
    ahead_end(&s->ahead);
    free(s->out.slots);
    free(s->out.lists.bytes);
    pages_give(s->memory, s->memory_bytes);
    free(s);
}
