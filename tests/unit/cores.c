/*
 * cores.c - see cores.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cores.h"

#include <stdlib.h>
#include <string.h>

#include "ledger_parts.h"

#define OUT_SLOTS (LEDGER_OUT_MAX + 8)
#define CENT      (DECIMAL_ONE / 100)

static const struct ledger_policy policy = {
    .spot_opening = {100000 * DECIMAL_ONE},
    .futures_opening = {5000 * DECIMAL_ONE},
    .slippage_max = {DECIMAL_ONE / 20},
    .orders_per_account_max = 40,
    .tiers_count = 2,
    .tiers = {{{100000}, {200000}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}},
              {{0}, {33333}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}}}};

static uint64_t
draw(struct cores *w, uint64_t below)
{
    return random_draw(&w->orders, below);
}

/* ---- Messages between the two ------------------------------------------------------------- */

static void
ledger_said(struct cores *w)
{
    for (uint32_t i = 0; i < w->out.count; i++) {
        const struct out *o = &w->out.slots[i];
        w->refusals += o->to == OUT_REPLY && o->msg.type == MSG_refused;
        if (o->to != OUT_MATCHER)
            continue;
        CHECK(w->queue_end < CORES_QUEUE_MAX);
        w->queue[w->queue_end++] = o->msg;
    }
    outbox_clear(&w->out);
}

/* The tables know nothing that memory has forgotten. */
static enum ledger_outcome
looked_up(struct cores *w, enum ledger_outcome outcome, struct msg *cmd)
{
    if (outcome != LEDGER_LOOKUP || cmd->type == MSG_order_why)
        return outcome;
    if (cmd->type == MSG_list_place)
        return ledger_found_list(&w->ledger, 1, cmd, NULL, w->now_us, &w->out);
    return ledger_found(&w->ledger, 1, cmd, NULL, w->now_us, &w->out);
}

static void
tell(struct cores *w, enum ledger_outcome outcome, const struct msg *cmd)
{
    if (outcome == LEDGER_CHANGED && w->o.on_changed != NULL)
        w->o.on_changed(w->o.arg, cmd, w->now_us);
}

static void
matcher_said(struct cores *w)
{
    for (uint32_t i = 0; i < w->match_out.count; i++) {
        const struct out *o = &w->match_out.slots[i];
        w->is_asked = w->is_asked || o->to == OUT_MARKET;
        if (o->msg.type != MSG_order_report && o->msg.type != MSG_order_explained)
            continue;
        struct msg m = o->msg;
        w->reports++;
        uint64_t refused = w->ledger.reports_refused;
        enum ledger_outcome outcome = ledger_request(&w->ledger, 0, &m, w->now_us, &w->out);
        if (w->ledger.reports_refused != refused)
            w->wrong = w->out.slots[0].msg.refused.detail;
        if (m.type == MSG_order_report)
            w->ends[m.order_report.end]++;
        tell(w, outcome, &m);
        ledger_said(w);
    }
    outbox_clear(&w->match_out);
}

static void
matcher_drain(struct cores *w)
{
    matcher_said(w);
    while (match_busy(w->match)) {
        match_resume(w->match, &w->match_out);
        matcher_said(w);
    }
}

static void
matcher_feed(struct cores *w, const struct msg *m, bool is_market)
{
    if (match_next_us(w->match) <= w->now_us) {
        match_due(w->match, w->now_us, &w->match_out);
        matcher_drain(w);
    }
    w->frame.sequence += !is_market;
    match_apply(w->match, !is_market, is_market ? NULL : &w->frame, m, w->now_us, &w->match_out);
    matcher_drain(w);
}

/* Until nothing is under way. What the ledger says during a resync comes after it. */
static void
settle(struct cores *w)
{
    while (w->queue_first < w->queue_end) {
        const struct msg m = w->queue[w->queue_first++];
        matcher_feed(w, &m, false);
    }
    w->queue_first = w->queue_end = 0;
}

static void
ledger_ask(struct cores *w, struct msg *cmd)
{
    cmd->corr = ++w->orders.next_id;
    ledger_settle_nowhere(&w->ledger);
    ledger_evict(&w->ledger, w->now_us);
    tell(w, looked_up(w, ledger_request(&w->ledger, 1, cmd, w->now_us, &w->out), cmd), cmd);
    ledger_said(w);
    settle(w);
}

/* ---- What happens ------------------------------------------------------------------------- */

/* A new session begins from the books; what was under way did not happen. */
static void
resync(struct cores *w)
{
    struct ledger *l = &w->ledger;
    struct msg m = {.type = MSG_link_hello};
    w->frame.session++;
    w->frame.sequence = 0;
    matcher_feed(w, &m, false);
    uint64_t sent = 0;
    for (uint32_t i = ledger_next_open(l, 0); i != LEDGER_NONE; i = ledger_next_open(l, i + 1)) {
        m = (struct msg){.type = MSG_order_work};
        ledger_order_work(l, i, &m.order_work);
        matcher_feed(w, &m, false);
        sent++;
    }
    m = (struct msg){.type = MSG_link_synced};
    m.link_synced.orders = sent;
    matcher_feed(w, &m, false);
    for (uint32_t i = ledger_next_open(l, 0); i != LEDGER_NONE; i = ledger_next_open(l, i + 1)) {
        if (!ledger_is_pulled(l, i))
            continue;
        m = (struct msg){.type = MSG_order_pull};
        m.order_pull.order_id = l->orders[i].id;
        m.order_pull.symbol = code_of("BTCUSDT");
        matcher_feed(w, &m, false);
    }
    settle(w);
}

static void
market(struct cores *w)
{
    struct level bids[2], asks[2];
    struct msg m = {.type = MSG_md_trade};
    code_t symbol = code_of("BTCUSDT");
    int64_t last = w->orders.last + CENT * ((int64_t)draw(w, 401) - 200);
    w->orders.last = last = last < 80 * DECIMAL_ONE ? 80 * DECIMAL_ONE : last;
    for (int i = 0; i < 2; i++) {
        bids[i] = (struct level){{last - CENT * (int64_t)(1 + draw(w, 300))},
                                 {CENT * (int64_t)draw(w, 300)}};
        asks[i] = (struct level){{last + CENT * (int64_t)(1 + draw(w, 300))},
                                 {CENT * (int64_t)draw(w, 300)}};
    }
    w->sequence += 1 + (draw(w, 300) == 0);
    uint64_t what = w->is_asked ? 9 : draw(w, 5);
    if (what == 9) {
        w->is_asked = false;
        m.type = MSG_md_book;
        m.corr = 1;
        m.md_book = (struct md_book){.symbol = symbol,
                                     .sequence = w->sequence,
                                     .source = LIQUIDITY_DEPTH,
                                     .bids = bids,
                                     .bids_count = 2,
                                     .asks = asks,
                                     .asks_count = 2,
                                     .last_price = {last}};
    } else if (what < 2) {
        m.type = MSG_md_depth;
        m.md_depth = (struct md_depth){.symbol = symbol,
                                       .sequence = w->sequence,
                                       .bids = bids,
                                       .bids_count = 2,
                                       .asks = asks,
                                       .asks_count = 2};
    } else if (what == 2) {
        m.type = MSG_md_mark;
        m.md_mark = (struct md_mark){.symbol = symbol, .sequence = w->sequence, .mark = {last}};
    } else {
        m.md_trade = (struct md_trade){.symbol = symbol, .sequence = w->sequence};
        m.md_trade.trade = (struct public_trade){.trade_id = w->sequence,
                                                 .price = {last},
                                                 .quantity = {CENT * (int64_t)(1 + draw(w, 300))},
                                                 .time_us = w->now_us,
                                                 .buyer_is_maker = draw(w, 2) == 0};
    }
    matcher_feed(w, &m, true);
    settle(w);
    const struct md_price price = {.symbol = symbol,
                                   .last = {last},
                                   .bid = {last - CENT},
                                   .ask = {last + CENT},
                                   .mark = {last}};
    ledger_set_price(&w->ledger, &price);
}

static const struct ledger_order *
any_open(struct cores *w)
{
    const struct ledger *l = &w->ledger;
    for (uint32_t tries = 0; l->orders_reached > 0 && tries < 200; tries++) {
        uint32_t back = (uint32_t)draw(w, l->orders_reached < 400 ? l->orders_reached : 400);
        const struct ledger_order *o = &l->orders[l->orders_reached - 1 - back];
        if (o->end == ORDER_END_NONE)
            return o;
    }
    return NULL;
}

static void
change_one(struct cores *w)
{
    const struct ledger_order *o = any_open(w);
    struct msg cmd = {.type = MSG_order_cancel};
    if (o == NULL)
        return;
    uint64_t who = w->ledger.accounts[o->account].id;
    uint64_t what = draw(w, 4);
    if (what == 0) {
        cmd.order_cancel = (struct order_cancel){.account_id = who, .order_id = o->id};
    } else if (what == 1) {
        const struct order_wish wish = random_wish(&w->orders, w->now_us);
        cmd.type = MSG_order_replace;
        cmd.order_replace = random_replace_of(&wish);
        cmd.order_replace.account_id = who;
        cmd.order_replace.cancel_order_id = o->id;
        cmd.order_replace.mode = (enum replace_mode)draw(w, 3);
    } else if (what == 2) {
        int64_t part = o->quantity.v / ORDERS_STEP * (int64_t)(1 + draw(w, 9)) / 10;
        cmd.type = MSG_order_amend;
        cmd.order_amend = (struct order_amend){
            .account_id = who, .order_id = o->id, .quantity = {ORDERS_STEP * (part + 1)}};
    } else {
        cmd.type = MSG_order_why;
        cmd.order_why = (struct order_why){who, o->id};
    }
    ledger_ask(w, &cmd);
}

static void
place(struct cores *w)
{
    struct msg cmd = {.type = MSG_order_place};
    struct order_wish orders[3];
    if (draw(w, 3) == 0) {
        cmd.type = MSG_list_place;
        cmd.list_place = random_list(&w->orders, orders, w->now_us);
        cmd.list_place.account_id = 1 + draw(w, w->o.accounts);
    } else {
        orders[0] = random_wish(&w->orders, w->now_us);
        cmd.order_place = random_place_of(&orders[0]);
        cmd.order_place.account_id = 1 + draw(w, w->o.accounts);
    }
    ledger_ask(w, &cmd);
}

/* Settings, a paper balance, or a tier. */
static void
settings(struct cores *w)
{
    uint64_t account = 1 + draw(w, w->o.accounts), id = ++w->orders.next_id;
    enum trading_type wallet = (enum trading_type)(1 + draw(w, 2));
    uint64_t what = draw(w, 4);
    struct msg cmd = {.type = MSG_settings_set};
    if (what == 0) {
        cmd.type = MSG_tier_set;
        cmd.tier_set = (struct tier_set){
            .account_id = account, .tier = (uint32_t)draw(w, 2), .command_id = id};
    } else if (what == 1) {
        cmd.type = MSG_balance_set;
        cmd.balance_set = (struct balance_set){.account_id = account,
                                               .trading_type = wallet,
                                               .balance = {(int64_t)draw(w, 500000) * DECIMAL_ONE},
                                               .command_id = id};
    } else {
        cmd.settings_set = (struct settings_set){.account_id = account,
                                                 .trading_type = wallet,
                                                 .fill_preset = (enum fill_preset)(1 + draw(w, 3)),
                                                 .command_id = id};
    }
    ledger_ask(w, &cmd);
}

/* ---- A world ------------------------------------------------------------------------------ */

void
cores_step(struct cores *w)
{
    w->step++;
    w->now_us += (int64_t)draw(w, 20000);
    uint64_t what = draw(w, 1000);
    if (what < 250)
        place(w);
    else if (what < 400)
        change_one(w);
    else if (what < 405)
        settings(w);
    else if (what < 410)
        resync(w);
    else
        market(w);
}

static void
ledger_make(struct cores *w, const struct symbol_rules *rules)
{
    const struct ledger_limits limits = {.accounts_max = w->o.accounts + 8,
                                         .balances_max = 4 * w->o.accounts + 512,
                                         .orders_max = w->o.orders_max,
                                         .orders_high = w->o.orders_max / 2,
                                         .assets_max = 8,
                                         .symbols_max = 4,
                                         .fills_max = 65536,
                                         .changes_max = 1024,
                                         .stories_max = 65536,
                                         .events_max = 512,
                                         .waiters_max = 512,
                                         .keep_us = 1};
    w->ledger_memory = calloc(1, ledger_bytes(&limits));
    CHECK(w->ledger_memory != NULL);
    ledger_init(&w->ledger, &limits, &policy, w->ledger_memory);
    CHECK(ledger_set_rules(&w->ledger, rules) == OK);
    struct out *slots = calloc(OUT_SLOTS, sizeof *slots);
    void *lists = aligned_alloc(16, LEDGER_OUT_BYTES);
    CHECK(slots != NULL && lists != NULL);
    outbox_init(&w->out, slots, OUT_SLOTS, lists, LEDGER_OUT_BYTES);
}

static void
match_make(struct cores *w, code_t symbol)
{
    const struct match_limits limits = {.books = {.orders_max = w->o.orders_max,
                                                  .levels_max = w->o.orders_max / 4,
                                                  .house_levels_max = 256,
                                                  .queues_max = 512,
                                                  .stories_max = 4096,
                                                  .books_max = 2},
                                        .ledgers_max = 2,
                                        .silence_us = INT64_MAX / 4,
                                        .ask_again_us = 300000,
                                        .tell_again_us = 200000,
                                        .errands_max = 64};
    size_t bytes = (match_bytes(&limits) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes);
    CHECK(memory != NULL);
    memset(memory, 0, bytes);
    outbox_init(&w->match_out, w->match_outs, CORES_OUTS, w->match_lists, sizeof w->match_lists);
    w->match = match_init(&limits, memory);
    match_watch(w->match, symbol, w->now_us, &w->match_out);
    matcher_drain(w);
}

struct cores *
cores_new(const struct cores_options *o)
{
    const struct symbol_rules rules = {.symbol = code_of("BTCUSDT"),
                                       .base_asset = code_of("BTC"),
                                       .quote_asset = code_of("USDT"),
                                       .is_trading = true,
                                       .step_size = {ORDERS_STEP}};
    struct cores *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->o = *o;
    w->orders.random = o->seed;
    w->orders.last = 100 * DECIMAL_ONE;
    w->now_us = 1700000000000000;
    w->frame = (struct frame){.sender = code_of("ledger-0"), .epoch = 1};
    ledger_make(w, &rules);
    match_make(w, rules.symbol);
    resync(w);
    market(w);
    for (uint64_t i = 1; i <= o->accounts; i++) {
        struct msg cmd = {.type = MSG_account_open};
        cmd.account_open = (struct account_open){.account_id = i, .user_id = 1};
        ledger_ask(w, &cmd);
    }
    return w;
}

void
cores_destroy(struct cores **cores)
{
    struct cores *w = *cores;
    free(w->out.slots);
    free(w->out.lists.bytes);
    free(w->ledger_memory);
    free(w->match);
    free(w);
    *cores = NULL;
}
