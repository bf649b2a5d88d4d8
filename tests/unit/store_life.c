/*
 * store_life.c - see store_life.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store_life.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "store_random.h"

#define LIMIT_MS  30000
#define OUT_SLOTS LEDGER_OUT_MAX

struct life life;
uint64_t acknowledged[LEDGER_SHARDS];
uint64_t next_corr;
const char *conninfo;
const char *expected_why = "";
void (*while_restoring)(void);
struct ledger_limits life_limits = {
    .accounts_max = 100,
    .balances_max = 1000,
    .orders_max = 4000,
    .orders_high = 300,
    .assets_max = 16,
    .symbols_max = 8,
    .fills_max = 131072,
    .changes_max = 4096,
    .stories_max = 4096,
    .events_max = 1024,
    .waiters_max = 1024,
};

/* ---- A ledger ----------------------------------------------------------------------------- */

void
ledger_make(struct ledger *l, void **memory, struct outbox *out)
{
    const struct ledger_policy policy = {
        .spot_opening = {INT64_C(1000000) * DECIMAL_ONE},
        .futures_opening = {INT64_C(1000) * DECIMAL_ONE},
        .slippage_max = {DECIMAL_ONE / 20},
        .fill_preset = FILL_PRESET_realistic,
        .orders_per_account_max = 100,
        .tiers_count = 1,
        .tiers = {{.maker_fee_rate = {DECIMAL_ONE / 1000},
                   .taker_fee_rate = {DECIMAL_ONE / 1000},
                   .balance_min = {10 * DECIMAL_ONE},
                   .balance_max = {INT64_C(10000000) * DECIMAL_ONE}}},
    };
    const struct symbol_rules rules = {.symbol = code_of("BTCUSDT"),
                                       .base_asset = code_of("BTC"),
                                       .quote_asset = code_of("USDT"),
                                       .is_trading = true};
    const struct md_price price = {.symbol = code_of("BTCUSDT"),
                                   .last = {RANDOM_PRICE},
                                   .average = {RANDOM_PRICE},
                                   .bid = {RANDOM_PRICE},
                                   .ask = {RANDOM_PRICE},
                                   .mark = {RANDOM_PRICE}};
    *memory = calloc(1, ledger_bytes(&life_limits));
    cr_assert_not_null(*memory);
    ledger_init(l, &life_limits, &policy, *memory);
    cr_assert_eq(ledger_set_rules(l, &rules), OK);
    ledger_set_price(l, &price);
    outbox_init(out, calloc(OUT_SLOTS, sizeof(struct out)), OUT_SLOTS,
                aligned_alloc(16, LEDGER_OUT_BYTES), LEDGER_OUT_BYTES);
}

void
ledger_free(void *memory, struct outbox *out)
{
    free(memory);
    free(out->slots);
    free(out->lists.bytes);
}

/* ---- A life ------------------------------------------------------------------------------- */

static void
on_turn(void *arg)
{
    struct life *s = arg;
    journal_turn(s->journal, loop_steady_us(s->loop));
    if (s->project != NULL)
        project_turn(s->project, loop_steady_us(s->loop));
    if (s->restore != NULL && !s->is_restored && while_restoring != NULL)
        while_restoring();
    if (s->restore != NULL && !s->is_restored)
        restore_turn(s->restore);
    ledger_evict(&s->ledger, loop_now_us(s->loop));
}

static void
on_limit(void *arg)
{
    (void)arg;
    cr_assert_fail("nothing happened for too long");
}

static void
stop(void *arg)
{
    loop_stop(((struct life *)arg)->loop);
}

static void
on_reply(void *arg, uint32_t peer, const uint8_t *data, size_t length)
{
    (void)arg, (void)peer, (void)length;
    cr_assert(data[0] != 0);
}

/* Everything up to here was durable before anybody heard of it. */
static void
on_committed(void *arg)
{
    struct life *s = arg;
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        acknowledged[i] = journal_committed(s->journal, i);
    loop_stop(s->loop);
}

static void
on_fenced(void *arg, const char *why)
{
    (void)arg;
    cr_assert_fail("fenced: %s", why);
}

static void
on_restored(void *arg, const char *why)
{
    struct life *s = arg;
    cr_assert(strstr(why, expected_why) != NULL && (expected_why[0] != '\0' || why[0] == '\0'),
              "%s", why);
    s->is_restored = true;
    loop_stop(s->loop);
}

static void
on_lease(void *arg, enum store_outcome outcome, uint64_t epoch)
{
    struct life *s = arg;
    cr_assert_eq(outcome, STORE_DONE);
    s->epoch = epoch;
    loop_stop(s->loop);
}

static void
ignore(void *arg)
{
    (void)arg;
}

static void
lease(struct life *s)
{
    s->store = store_pg_open(&(struct store_pg_options){
        .loop = s->loop,
        .conninfo = conninfo,
        .owner = "test",
        .watch = {.arg = s, .on_up = stop, .on_down = ignore, .on_fenced = ignore},
    });
    s->journal = journal_new(&(struct journal_options){
        .store = s->store,
        .records_max = 4096,
        .bytes_max = 4 << 20,
        .held_max = 8 * LEDGER_OUT_MAX,
        .delay_us = 500,
        .stall_us = 1000000,
        .arg = s,
        .on_reply = on_reply,
        .on_committed = on_committed,
        .on_fenced = on_fenced,
    });
    loop_on_turn(s->loop, on_turn, s);
    while (!store_is_up(s->store))
        loop_run(s->loop);
    while (s->epoch == 0) { /* the life before may still be ending at the server */
        cr_assert(store_lease_take(s->store, loop_now_us(s->loop), on_lease, s));
        loop_run(s->loop);
    }
}

void
life_begin(void)
{
    memset(&life, 0, sizeof life);
    struct life *s = &life;
    for (int i = 0; i < LEDGER_SHARDS; i++)
        s->owned[i] = true;
    s->loop = loop_new();
    s->limit = loop_timer_new(s->loop, LIMIT_MS, 0, on_limit, s);
    ledger_make(&s->ledger, &s->memory, &s->out);
    lease(s);
    s->project = project_open(&(struct project_options){.loop = s->loop,
                                                        .conninfo = conninfo,
                                                        .ledger = &s->ledger,
                                                        .journal = s->journal,
                                                        .epoch = s->epoch,
                                                        .interval_us = 3000,
                                                        .rows_max = 200,
                                                        .on_fenced = on_fenced});
    s->restore = restore_begin(&(struct restore_options){.loop = s->loop,
                                                         .conninfo = conninfo,
                                                         .store = s->store,
                                                         .ledger = &s->ledger,
                                                         .journal = s->journal,
                                                         .project = s->project,
                                                         .owned = s->owned,
                                                         .arg = s,
                                                         .on_done = on_restored});
    while (!s->is_restored)
        loop_run(s->loop);
    restore_end(&s->restore);
    /* In place of the wake times; not before, so that a restore that nobody wakes is found out. */
    s->tick = loop_timer_new(s->loop, 1, 1, ignore, s);
}

/* As a kill does: sockets close, whatever they were in the middle of. */
void
life_end(void)
{
    struct life *s = &life;
    project_close(&s->project);
    store_close(&s->store);
    journal_destroy(&s->journal);
    loop_timer_end(&s->limit);
    loop_timer_end(&s->tick);
    loop_destroy(&s->loop);
    ledger_free(s->memory, &s->out);
}

void
run_ms(int64_t ms)
{
    struct loop_timer *once = loop_timer_new(life.loop, ms, 0, stop, &life);
    loop_run(life.loop);
    loop_timer_end(&once);
}

/* ---- Commands ----------------------------------------------------------------------------- */

void
request(uint32_t peer, struct msg *cmd)
{
    struct life *s = &life;
    cr_assert(ledger_ready(&s->ledger, &s->out));
    int64_t now_us = journal_time_us(s->journal, loop_now_us(s->loop));
    enum ledger_outcome outcome = ledger_request(&s->ledger, peer, cmd, now_us, &s->out);
    /* A fresh client id: the tables do not know it either. */
    if (outcome == LEDGER_LOOKUP && cmd->type == MSG_list_place)
        outcome = ledger_found_list(&s->ledger, peer, cmd, NULL, now_us, &s->out);
    else if (outcome == LEDGER_LOOKUP)
        outcome = ledger_found(&s->ledger, peer, cmd, NULL, now_us, &s->out);
    if (outcome == LEDGER_CHANGED) {
        journal_append(s->journal, (uint16_t)ledger_shard_of_cmd(cmd), cmd, code_of("test"),
                       now_us);
        project_note(s->project, cmd);
    }
    for (uint32_t i = 0; i < s->out.count; i++)
        if (s->out.slots[i].to == OUT_REPLY && s->out.slots[i].peer != 0)
            journal_reply(s->journal, s->out.slots[i].peer, &s->out.slots[i].msg);
    outbox_clear(&s->out);
}

void
until_projected(void)
{
    while (!journal_is_empty(life.journal) || !project_is_done(life.project))
        run_ms(1);
}

void
open_account(uint64_t id)
{
    struct msg m = {.type = MSG_account_open, .corr = ++next_corr};
    m.account_open = (struct account_open){.account_id = id, .user_id = id};
    request(1, &m);
}
