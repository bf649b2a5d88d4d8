/*
 * journal.c - durable ledger commands a second: the ledger without its sockets, fed as fast as it
 * takes.
 *
 * Each order is two commands: order_place, and an order_report that fills it. Both go through the
 * core, the journal's group commit and, behind it, the tables; what counts is what was committed.
 * At most --window commands wait for their commit, as they would with as many clients.
 *
 *   journal --database CONNINFO [--seconds 4] [--window 2000] [--accounts 1000] [--resting 0]
 *
 * With --resting it places so many orders that stay open, the accounts in turn, and ends when the
 * tables have them. Prints one JSON object. The database may hold what an earlier run left: it is
 * restored first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "ledger/shell/journal.h"
#include "ledger/shell/project.h"
#include "ledger/shell/restore.h"

#define PRICE       (INT64_C(50000) * DECIMAL_ONE)
#define LATENCY_MAX (1u << 20)

enum phase { STARTING, OPENING, RUNNING, SETTLING };

struct bench {
    const char *database;
    int64_t seconds, window, accounts;
    uint64_t resting; /* orders to leave open; 0: orders that fill, for so many seconds */

    struct loop *loop;
    struct loop_timer *tick;
    struct store *store;
    struct journal *journal;
    struct project *project;
    struct restore *restore;
    struct ledger ledger;
    void *memory;
    struct outbox out;
    bool owned[LEDGER_SHARDS];
    uint64_t epoch;
    bool is_restored;
    enum phase phase;

    uint64_t next; /* of accounts opened, then of orders placed */
    uint64_t run;  /* makes client ids differ from those of earlier runs */
    int64_t began_us, ended_us, settled_us, sent_us;
    uint64_t commands, committed, commits, full_turns;
    uint32_t *latencies;
    uint32_t latency_count;
};

static struct bench bench;

static void
fail(const char *why)
{
    fprintf(stderr, "journal: %s\n", why);
    exit(1);
}

/* ---- Commands ----------------------------------------------------------------------------- */

/* Gives the answer's order_work, when there is one, to `work`. */
static bool
apply(struct bench *b, struct msg *cmd, struct order_work *work)
{
    int64_t now_us = journal_time_us(b->journal, loop_now_us(b->loop));
    bool has_work = false;
    enum ledger_outcome outcome = ledger_request(&b->ledger, 0, cmd, now_us, &b->out);
    if (outcome == LEDGER_LOOKUP)
        fail("a command wants to look into the tables");
    if (outcome == LEDGER_CHANGED) {
        journal_append(b->journal, (uint16_t)ledger_shard_of_cmd(cmd), cmd, code_of("gateway-0"),
                       now_us);
        project_note(b->project, cmd);
        b->commands++;
    }
    for (uint32_t i = 0; i < b->out.count; i++)
        if (b->out.slots[i].to == OUT_MATCHER && b->out.slots[i].msg.type == MSG_order_work) {
            *work = b->out.slots[i].msg.order_work;
            has_work = true;
        }
    outbox_clear(&b->out);
    return has_work;
}

static void
open_account(struct bench *b, uint64_t id)
{
    struct msg cmd = {.type = MSG_account_open, .corr = id};
    cmd.account_open = (struct account_open){.account_id = id, .user_id = id};
    apply(b, &cmd, &(struct order_work){0});
}

/* Every account buys, then sells what it bought, less the fee. */
static void
place_and_fill(struct bench *b, uint64_t n)
{
    uint64_t round = n / (uint64_t)b->accounts;
    struct msg cmd = {.type = MSG_order_place, .corr = n + 1};
    cmd.order_place = (struct order_place){.account_id = 1 + n % (uint64_t)b->accounts,
                                           .symbol = code_of("BTCUSDT"),
                                           .side = round % 2 == 0 ? SIDE_BUY : SIDE_SELL,
                                           .type = ORDER_TYPE_MARKET,
                                           .quantity = {round % 2 == 0 ? 100000 : 99800},
                                           .id_was_made = true};
    snprintf(cmd.order_place.client_order_id.text, CID_BYTES, "b-%" PRIx64 "-%" PRIx64, b->run, n);
    struct order_work work;
    if (!apply(b, &cmd, &work))
        fail("an order was refused");
    struct match_fill fill = {.price = {PRICE},
                              .quantity = work.quantity,
                              .evidence = {.source = LIQUIDITY_DEPTH,
                                           .sequence = n,
                                           .price = {PRICE},
                                           .quantity = {DECIMAL_ONE},
                                           .time_us = loop_now_us(b->loop)}};
    struct msg report = {.type = MSG_order_report};
    report.order_report = (struct order_report){
        .order_id = work.order_id, .fills = &fill, .fills_count = 1, .end = ORDER_END_COMPLETE};
    apply(b, &report, &work);
}

/* Far below the market, on some thousand levels. */
static void
place_and_rest(struct bench *b, uint64_t n)
{
    struct msg cmd = {.type = MSG_order_place, .corr = n + 1};
    cmd.order_place = (struct order_place){.account_id = 1 + n % (uint64_t)b->accounts,
                                           .symbol = code_of("BTCUSDT"),
                                           .side = SIDE_BUY,
                                           .type = ORDER_TYPE_LIMIT,
                                           .time_in_force = TIME_IN_FORCE_GTC,
                                           .quantity = {DECIMAL_ONE / 2000},
                                           .price = {PRICE / 2 + (int64_t)(n % 7919) * DECIMAL_ONE},
                                           .id_was_made = true};
    snprintf(cmd.order_place.client_order_id.text, CID_BYTES, "b-%" PRIx64 "-%" PRIx64, b->run, n);
    struct order_work work;
    if (!apply(b, &cmd, &work))
        fail("an order was refused");
    struct msg report = {.type = MSG_order_report};
    report.order_report = (struct order_report){.order_id = work.order_id, .rank = n + 1};
    apply(b, &report, &work);
}

/* ---- Turns -------------------------------------------------------------------------------- */

static bool
may_go_on(struct bench *b)
{
    return journal_pending(b->journal) < b->window && journal_has_room(b->journal) &&
           ledger_ready(&b->ledger, &b->out) &&
           b->ledger.orders_count < b->ledger.limits.orders_max;
}

static void
feed(struct bench *b)
{
    bool blocked = journal_pending(b->journal) < b->window && !may_go_on(b);
    b->full_turns += blocked;
    while (b->phase == OPENING && b->next < (uint64_t)b->accounts && may_go_on(b))
        open_account(b, ++b->next);
    while (b->phase == RUNNING && b->resting == 0 && may_go_on(b))
        place_and_fill(b, b->next++);
    while (b->phase == RUNNING && b->next < b->resting && may_go_on(b))
        place_and_rest(b, b->next++);
}

static bool
has_run(const struct bench *b, int64_t now_us)
{
    if (b->resting > 0)
        return b->next == b->resting && journal_is_empty(b->journal);
    return now_us - b->began_us >= b->seconds * 1000000;
}

static void
go_on(struct bench *b)
{
    int64_t now = loop_steady_us(b->loop);
    if (b->phase == STARTING && b->is_restored) {
        b->phase = OPENING;
    } else if (b->phase == OPENING && b->next == (uint64_t)b->accounts &&
               journal_is_empty(b->journal) && project_is_done(b->project)) {
        b->phase = RUNNING;
        b->next = b->commands = b->committed = b->commits = 0;
        b->latency_count = 0;
        b->began_us = now;
    } else if (b->phase == RUNNING && has_run(b, now)) {
        b->phase = SETTLING;
        b->ended_us = now;
    } else if (b->phase == SETTLING && journal_is_empty(b->journal) &&
               project_is_done(b->project)) {
        b->settled_us = now;
        loop_stop(b->loop);
    }
}

static void
on_turn(void *arg)
{
    struct bench *b = arg;
    go_on(b);
    feed(b);
    uint64_t sends = journal_sends(b->journal);
    journal_turn(b->journal, loop_steady_us(b->loop));
    if (journal_sends(b->journal) != sends)
        b->sent_us = loop_steady_us(b->loop);
    if (b->project != NULL)
        project_turn(b->project, loop_steady_us(b->loop));
    if (b->restore != NULL && !b->is_restored)
        restore_turn(b->restore);
    ledger_evict(&b->ledger, loop_now_us(b->loop));
}

static void
on_committed(void *arg)
{
    struct bench *b = arg;
    b->commits++;
    if (b->phase == RUNNING) {
        b->committed = b->commands - journal_pending(b->journal);
        if (b->latency_count < LATENCY_MAX)
            b->latencies[b->latency_count++] = (uint32_t)(loop_steady_us(b->loop) - b->sent_us);
    }
}

/* ---- Beginning ---------------------------------------------------------------------------- */

static void
on_fenced(void *arg, const char *why)
{
    (void)arg;
    fail(why);
}

static void
on_store_fenced(void *arg)
{
    on_fenced(arg, "the lease has another owner");
}

static void
on_restored(void *arg, const char *why)
{
    if (why[0] != '\0')
        fail(why);
    ((struct bench *)arg)->is_restored = true;
}

static void lease_ask(void *arg);

static void
on_lease(void *arg, enum store_outcome outcome, uint64_t epoch)
{
    struct bench *b = arg;
    if (outcome != STORE_DONE)
        fail("the lease cannot be taken: is the schema there?");
    if (epoch == 0) { /* the run before is still ending */
        lease_ask(b);
        return;
    }
    b->project = project_open(&(struct project_options){.loop = b->loop,
                                                        .conninfo = b->database,
                                                        .ledger = &b->ledger,
                                                        .journal = b->journal,
                                                        .epoch = epoch,
                                                        .interval_us = 50000,
                                                        .rows_max = 4000,
                                                        .arg = b,
                                                        .on_fenced = on_fenced});
    b->restore = restore_begin(&(struct restore_options){.loop = b->loop,
                                                         .conninfo = b->database,
                                                         .store = b->store,
                                                         .ledger = &b->ledger,
                                                         .journal = b->journal,
                                                         .project = b->project,
                                                         .owned = b->owned,
                                                         .arg = b,
                                                         .on_done = on_restored});
}

static void
lease_ask(void *arg)
{
    struct bench *b = arg;
    if (!store_lease_take(b->store, loop_now_us(b->loop), on_lease, b))
        fail("the database went away");
}

static void
ignore(void *arg)
{
    (void)arg;
}

static void
make_ledger(struct bench *b)
{
    const struct ledger_limits limits = {.accounts_max = (uint32_t)b->accounts + 100000,
                                         .balances_max = (uint32_t)b->accounts * 4 + 400000,
                                         .orders_max = 1000000 + (uint32_t)b->resting,
                                         .orders_high = 100000,
                                         .assets_max = 64,
                                         .symbols_max = 64,
                                         .fills_max = 262144,
                                         .changes_max = 65536,
                                         .stories_max = 65536,
                                         .events_max = 65536,
                                         .waiters_max = 1024,
                                         .keep_us = 100000};
    const struct ledger_policy policy = {.spot_opening = {INT64_C(100000) * DECIMAL_ONE},
                                         .fill_preset = FILL_PRESET_realistic,
                                         .slippage_max = {DECIMAL_ONE / 20},
                                         .orders_per_account_max = 500,
                                         .tiers_count = 1,
                                         .tiers = {{.maker_fee_rate = {DECIMAL_ONE / 1000},
                                                    .taker_fee_rate = {DECIMAL_ONE / 1000}}}};
    const struct symbol_rules rules = {.symbol = code_of("BTCUSDT"),
                                       .base_asset = code_of("BTC"),
                                       .quote_asset = code_of("USDT"),
                                       .is_trading = true};
    const struct md_price price = {
        .symbol = code_of("BTCUSDT"), .last = {PRICE}, .average = {PRICE}};
    b->memory = calloc(1, ledger_bytes(&limits));
    struct out *slots = calloc(LEDGER_OUT_MAX, sizeof *slots);
    void *lists = aligned_alloc(16, LEDGER_OUT_BYTES);
    b->latencies = calloc(LATENCY_MAX, sizeof *b->latencies);
    CHECK(b->memory != NULL && slots != NULL && lists != NULL && b->latencies != NULL);
    outbox_init(&b->out, slots, LEDGER_OUT_MAX, lists, LEDGER_OUT_BYTES);
    ledger_init(&b->ledger, &limits, &policy, b->memory);
    CHECK(ledger_set_rules(&b->ledger, &rules) == OK);
    ledger_set_price(&b->ledger, &price);
}

static void
begin(struct bench *b)
{
    for (int i = 0; i < LEDGER_SHARDS; i++)
        b->owned[i] = true;
    make_ledger(b);
    b->loop = loop_new();
    b->run = (uint64_t)loop_now_us(b->loop);
    b->store = store_pg_open(&(struct store_pg_options){
        .loop = b->loop,
        .conninfo = b->database,
        .owner = "bench",
        .watch = {.arg = b, .on_up = lease_ask, .on_down = ignore, .on_fenced = on_store_fenced}});
    b->journal = journal_new(&(struct journal_options){.store = b->store,
                                                       .records_max = 65536,
                                                       .bytes_max = 32 << 20,
                                                       .held_max = 8 * LEDGER_OUT_MAX,
                                                       .delay_us = 0,
                                                       .stall_us = 10000000,
                                                       .arg = b,
                                                       .on_committed = on_committed,
                                                       .on_fenced = on_fenced});
    loop_on_turn(b->loop, on_turn, b);
    b->tick = loop_timer_new(b->loop, 1, 1, ignore, b);
}

/* ---- Figures ------------------------------------------------------------------------------ */

static int
by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t
percentile(const struct bench *b, uint64_t p)
{
    return b->latency_count == 0 ? 0 : b->latencies[(b->latency_count - 1) * p / 100];
}

static void
print(struct bench *b)
{
    int64_t ran_us = b->ended_us - b->began_us;
    qsort(b->latencies, b->latency_count, sizeof b->latencies[0], by_value);
    printf("{\"per_second\": %" PRId64 ", \"commands\": %" PRIu64 ", \"seconds\": %" PRId64
           ", \"window\": %" PRId64 ", \"records_per_commit\": %" PRIu64
           ", \"commit_p50_us\": %u, \"commit_p99_us\": %u, \"tables_behind_ms\": %" PRId64
           ", \"turns_waiting_for_tables\": %" PRIu64 "}\n",
           (int64_t)b->committed * 1000000 / ran_us, b->committed, b->seconds, b->window,
           b->latency_count == 0 ? 0 : b->committed / b->latency_count, percentile(b, 50),
           percentile(b, 99), (b->settled_us - b->ended_us) / 1000, b->full_turns);
}

static void
read_args(struct bench *b, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            fail("a setting has no value");
        if (strcmp(argv[i], "--database") == 0)
            b->database = argv[i + 1];
        else if (strcmp(argv[i], "--seconds") == 0)
            b->seconds = strtoll(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--window") == 0)
            b->window = strtoll(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--accounts") == 0)
            b->accounts = strtoll(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--resting") == 0)
            b->resting = strtoull(argv[i + 1], NULL, 10);
        else
            fail("it takes --database, --seconds, --window, --accounts, --resting");
    }
    if (b->database == NULL || b->seconds < 1 || b->window < 1 || b->accounts < 1)
        fail("it needs --database, and numbers above 0");
}

int
main(int argc, char **argv)
{
    struct bench *b = &bench;
    *b = (struct bench){.seconds = 4, .window = 2000, .accounts = 1000};
    read_args(b, argc, argv);
    log_open("bench", LOG_ERROR);
    begin(b);
    loop_run(b->loop);
    print(b);
    restore_end(&b->restore);
    project_close(&b->project);
    store_close(&b->store);
    journal_destroy(&b->journal);
    return 0;
}
