/*
 * backtest_run.c - see backtest_run.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/backtest_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/msg_stream.h"
#include "market/rules.h"
#include "scripctl/value.h"

#define SEED_TAG 15 /* of settings_set */

static int64_t
steady_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* ---- Judging the input ----------------------------------------------------------------------- */

static bool
read_orders(struct backtest *b, char why[WHY_BYTES])
{
    FILE *file = fopen(b->o.orders, "re");
    if (file == NULL) {
        snprintf(why, WHY_BYTES, "%.400s: %s", b->o.orders, strerror(errno));
        return false;
    }
    actions_read(&b->actions, file, b->o.orders);
    fclose(file);
    return true;
}

static void
judge_symbol(struct backtest *b, uint32_t line, code_t symbol, const char *field)
{
    uint32_t count;
    const struct symbol_rules *rules = tape_rules(b->tape, &count);
    if (rules_find(rules, count, symbol) == NULL)
        actions_complain(&b->actions, line, field, "there are no rules for %s", symbol.text);
    else if (!tape_may_have(b->tape, symbol))
        actions_complain(&b->actions, line, field, "the market has no %s", symbol.text);
}

static void
judge(struct backtest *b, const struct action *a)
{
    char begin[VALUE_TIME_BYTES];
    const code_t *symbol = action_symbol(a);
    if (symbol != NULL)
        judge_symbol(b, a->line, *symbol, "symbol");
    if (a->at_us < b->begin_us)
        actions_complain(&b->actions, a->line, "at", "the market begins later, at %s",
                         value_time_text(b->begin_us, begin));
}

/* Opening balances and prices stay far from the edge of int64. */
static void
judge_sums(struct backtest *b)
{
    int64_t all;
    if (__builtin_mul_overflow(b->o.policy.spot_opening.v, b->actions.accounts_count, &all) ||
        all > INT64_MAX / 16)
        actions_complain(&b->actions, 0, "", "%u accounts cannot have so large a balance each",
                         b->actions.accounts_count);
}

static enum backtest_end
prepare(struct backtest *b, char why[WHY_BYTES])
{
    char tape_why[TAPE_WHY_BYTES] = "";
    if (!read_orders(b, why))
        return BACKTEST_FAILED;
    b->tape = tape_open(b->o.rules, b->o.sources, tape_why);
    if (b->tape == NULL) {
        snprintf(why, WHY_BYTES, "%s", tape_why);
        return BACKTEST_FAILED;
    }
    if (tape_is_endless(b->tape) && b->o.length_us == 0) {
        snprintf(why, WHY_BYTES, "a synthetic market has no end: --length says how long it lasts");
        return BACKTEST_WRONG;
    }
    if (!tape_peek(b->tape, &b->begin_us)) {
        const char *complaint = tape_complaint(b->tape);
        snprintf(why, WHY_BYTES, "the market is empty%s%.400s", complaint[0] == '\0' ? "" : ": ",
                 complaint);
        return BACKTEST_WRONG;
    }
    if (b->o.length_us == 0 || __builtin_add_overflow(b->begin_us, b->o.length_us, &b->end_us))
        b->end_us = INT64_MAX;
    actions_settle(&b->actions, b->begin_us);
    for (uint32_t i = 0; i < b->actions.count; i++)
        judge(b, &b->actions.actions[i]);
    judge_sums(b);
    if (b->actions.wrong == 0)
        return BACKTEST_DONE;
    snprintf(why, WHY_BYTES, "%s: %u things are wrong; nothing was run", b->o.orders,
             b->actions.wrong);
    return BACKTEST_WRONG;
}

/* ---- Setting up ------------------------------------------------------------------------------ */

/* How many symbols the order file is about. */
static uint32_t
symbols_of(const struct actions *a)
{
    code_t seen[TAPE_SYMBOLS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const code_t *symbol = action_symbol(&a->actions[i]);
        uint32_t n = 0;
        while (symbol != NULL && n < count && !code_same(seen[n], *symbol))
            n++;
        if (symbol != NULL && n == count && count < TAPE_SYMBOLS_MAX)
            seen[count++] = *symbol;
    }
    return count;
}

static void
open_accounts(struct backtest *b)
{
    for (uint64_t id = 1; id <= b->actions.accounts_count; id++) {
        struct msg m = {.type = MSG_account_open};
        m.account_open = (struct account_open){.account_id = id, .user_id = id};
        engine_request(b->engine, &m, b->now_us);
        if (b->o.seed == 0)
            continue;
        m = (struct msg){.type = MSG_settings_set};
        /* No line of the file has this number. */
        m.settings_set = (struct settings_set){.account_id = id,
                                               .trading_type = TRADING_TYPE_spot,
                                               .command_id = UINT64_MAX,
                                               .seed = b->o.seed,
                                               .fill_overrides = 1u << SEED_TAG};
        engine_request(b->engine, &m, b->now_us);
    }
}

static void
set_up(struct backtest *b)
{
    struct engine_options o = {.policy = b->o.policy,
                               .accounts = b->actions.accounts_count,
                               .orders = b->actions.orders,
                               .symbols = symbols_of(&b->actions),
                               .sink = result_sink(&b->result),
                               .arg = &b->result,
                               .on_reply = result_reply};
    o.rules = tape_rules(b->tape, &o.rules_count);
    b->now_us = b->begin_us;
    result_init(&b->result, &b->actions, &b->equity, b->o.folder);
    b->has_result = true;
    sheet_open(&b->equity_sheet, b->o.folder, "equity.csv",
               "time,account,cash,positions,equity,profit,drawdown,drawdown_ratio");
    b->engine = engine_new(&o, b->now_us);
    const struct equity_options equity = {.tape = b->tape,
                                          .ledger = engine_ledger(b->engine),
                                          .accounts = b->actions.accounts,
                                          .accounts_count = b->actions.accounts_count,
                                          .every_us = b->o.every_us,
                                          .by_middle = b->o.by_middle,
                                          .sheet = &b->equity_sheet};
    equity_init(&b->equity, &equity, b->begin_us);
    b->has_equity = true;
    open_accounts(b);
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Moves the clock: what is due by then, and the rows of equity before it: a row tells of
 * everything up to its time. */
static void
go_to(struct backtest *b, int64_t at_us)
{
    while (b->equity.next_us < at_us) {
        engine_until(b->engine, b->equity.next_us);
        equity_row(&b->equity, b->equity.next_us);
    }
    engine_until(b->engine, at_us);
    b->now_us = at_us;
}

/* What marketdata said goes to whom it goes in a deployment. */
static void
hear(struct backtest *b)
{
    const struct msg *m;
    for (uint32_t i = 0; (m = tape_msg(b->tape, i)) != NULL; i++)
        if (m->type == MSG_md_price || msg_stream_symbol(m) != NULL)
            engine_market(b->engine, m, b->now_us);
}

static void
market_speaks(struct backtest *b)
{
    code_t symbol = tape_take(b->tape);
    if (code_empty(symbol))
        return;
    hear(b);
    if (stage_lacks_book(engine_stage(b->engine), symbol)) {
        const struct msg *book = tape_book(b->tape, symbol);
        if (book != NULL)
            engine_market(b->engine, book, b->now_us);
    }
    tape_tick(b->tape, symbol, b->now_us);
    hear(b);
}

static void
client_acts(struct backtest *b, uint32_t i)
{
    const struct action *a = &b->actions.actions[i];
    const code_t *symbol = action_symbol(a);
    if (symbol != NULL) {
        tape_tick(b->tape, *symbol, b->now_us);
        hear(b);
    }
    struct msg m = {.type = a->type, .corr = i + 1};
    memcpy(msg_body(&m), a->body, msg_layout(a->type)->size);
    b->result.at = i;
    engine_request(b->engine, &m, b->now_us);
}

static void
play(struct backtest *b)
{
    struct progress p;
    int64_t market_us, act_us;
    uint32_t next = 0;
    bool is_endless = b->end_us != INT64_MAX;
    progress_begin(&p, "backtest", "events", 0, b->o.is_quiet);
    for (;;) {
        bool has_market = tape_peek(b->tape, &market_us) && market_us < b->end_us;
        bool has_act = next < b->actions.count;
        act_us = has_act ? b->actions.actions[next].at_us : INT64_MAX;
        if (has_market && market_us <= act_us) {
            go_to(b, market_us);
            market_speaks(b);
            progress_add(&p, 1);
        } else if (has_act && act_us < b->end_us &&
                   (has_market || is_endless || act_us <= b->now_us)) {
            go_to(b, act_us);
            client_acts(b, next++);
        } else {
            break;
        }
    }
    if (is_endless)
        go_to(b, b->end_us);
    equity_row(&b->equity, b->now_us);
    b->result.sent = next;
    progress_end(&p);
}

static enum backtest_end
finish(struct backtest *b, char why[WHY_BYTES])
{
    text_t broken;
    engine_hash(b->engine, b->hash);
    if (!result_finish(&b->result, b->engine, b->o.folder, b->now_us, why))
        return BACKTEST_FAILED;
    if (!sheet_keep(&b->equity_sheet)) {
        snprintf(why, WHY_BYTES, "%s", b->equity_sheet.why);
        return BACKTEST_FAILED;
    }
    if (!engine_check(b->engine, &broken)) {
        snprintf(why, WHY_BYTES, "the books do not hold: %s", broken.text);
        return BACKTEST_FAILED;
    }
    if (!b->equity.is_exceeded)
        return BACKTEST_DONE;
    snprintf(why, WHY_BYTES, "what accounts are worth went past the largest amount");
    return BACKTEST_FAILED;
}

enum backtest_end
backtest_run(struct backtest *b, const struct backtest_options *o, char why[WHY_BYTES])
{
    *b = (struct backtest){.o = *o};
    why[0] = '\0';
    enum backtest_end end = prepare(b, why);
    if (end != BACKTEST_DONE)
        return end;
    set_up(b);
    int64_t began_us = steady_us();
    play(b);
    b->took_us = steady_us() - began_us;
    return finish(b, why);
}

void
backtest_fini(struct backtest *b)
{
    if (b->has_result)
        result_fini(&b->result);
    if (b->has_equity)
        equity_fini(&b->equity);
    sheet_drop(&b->equity_sheet);
    engine_destroy(&b->engine);
    tape_close(&b->tape);
    actions_fini(&b->actions);
}
