/*
 * ledger_match_test.c - the ledger's core and the matcher's, wired to each other, over a market
 * that walks: whatever the matcher says of any order, the ledger takes.
 *
 * After each step, when nothing is under way, both must know the same orders with the same rest.
 * Sessions break now and then and begin from the books. SCRIP_SEED picks another seed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_parts.h"
#include "matcher/core/match.h"
#include "random_orders.h"

#define SEEDS      6u
#define STEPS      6000u
#define ACCOUNTS   5u
#define OUT_SLOTS  (LEDGER_OUT_MAX + 8)
#define MATCH_OUTS 16u
#define QUEUE_MAX  4096u
#define CENT       (DECIMAL_ONE / 100)

struct world {
    struct random_orders orders;
    uint64_t seed;
    uint32_t step;
    struct ledger ledger;
    void *ledger_memory;
    struct outbox out;
    struct match *match;
    struct outbox match_out;
    struct out match_outs[MATCH_OUTS];
    uint8_t match_lists[MATCH_OUT_BYTES] __attribute__((aligned(16)));
    struct frame frame;
    struct msg queue[QUEUE_MAX]; /* from the ledger to the matcher */
    uint32_t queue_first, queue_end;
    int64_t now_us;
    uint64_t sequence;
    bool is_asked;
    uint64_t reports, ends[32], refusals;
};

static const struct ledger_limits limits = {.accounts_max = 8,
                                            .balances_max = 64,
                                            .orders_max = 20000,
                                            .orders_high = 20000,
                                            .assets_max = 8,
                                            .symbols_max = 4,
                                            .fills_max = 65536,
                                            .changes_max = 1024,
                                            .stories_max = 65536,
                                            .events_max = 512,
                                            .waiters_max = 512,
                                            .keep_us = 1};

static const struct ledger_policy policy = {
    .spot_opening = {100000 * DECIMAL_ONE},
    .slippage_max = {DECIMAL_ONE / 20},
    .orders_per_account_max = 40,
    .tiers_count = 1,
    .tiers = {{{100000}, {200000}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}}}};

static const struct match_limits match_limits = {.books = {.orders_max = 4096,
                                                           .levels_max = 512,
                                                           .house_levels_max = 256,
                                                           .queues_max = 512,
                                                           .stories_max = 4096,
                                                           .books_max = 2},
                                                 .ledgers_max = 2,
                                                 .silence_us = INT64_MAX / 4,
                                                 .ask_again_us = 300000,
                                                 .tell_again_us = 200000,
                                                 .errands_max = 64};

static uint64_t
draw(struct world *w, uint64_t below)
{
    return random_draw(&w->orders, below);
}

/* ---- Messages between the two ------------------------------------------------------------- */

static void
ledger_said(struct world *w)
{
    for (uint32_t i = 0; i < w->out.count; i++) {
        const struct out *o = &w->out.slots[i];
        w->refusals += o->to == OUT_REPLY && o->msg.type == MSG_refused;
        if (o->to != OUT_MATCHER)
            continue;
        cr_assert_lt(w->queue_end, QUEUE_MAX);
        w->queue[w->queue_end++] = o->msg;
    }
    outbox_clear(&w->out);
}

static void
matcher_said(struct world *w)
{
    for (uint32_t i = 0; i < w->match_out.count; i++) {
        const struct out *o = &w->match_out.slots[i];
        w->is_asked = w->is_asked || o->to == OUT_MARKET;
        if (o->msg.type != MSG_order_report && o->msg.type != MSG_order_explained)
            continue;
        struct msg m = o->msg;
        w->reports++;
        uint64_t refused = w->ledger.reports_refused;
        ledger_request(&w->ledger, 0, &m, w->now_us, &w->out);
        if (w->ledger.reports_refused != refused) {
            const struct refused *why = &w->out.slots[0].msg.refused;
            cr_assert_fail("seed %llu step %u order %llu: %s", (unsigned long long)w->seed, w->step,
                           (unsigned long long)why->order_id, why->detail.text);
        }
        if (m.type == MSG_order_report)
            w->ends[m.order_report.end]++;
        ledger_said(w);
    }
    outbox_clear(&w->match_out);
}

static void
matcher_drain(struct world *w)
{
    matcher_said(w);
    while (match_busy(w->match)) {
        match_resume(w->match, &w->match_out);
        matcher_said(w);
    }
}

static void
matcher_feed(struct world *w, const struct msg *m, bool is_market)
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
settle(struct world *w)
{
    while (w->queue_first < w->queue_end) {
        const struct msg m = w->queue[w->queue_first++];
        matcher_feed(w, &m, false);
    }
    w->queue_first = w->queue_end = 0;
}

static void
ledger_ask(struct world *w, struct msg *cmd)
{
    cmd->corr = ++w->orders.next_id;
    ledger_settle_nowhere(&w->ledger);
    ledger_request(&w->ledger, 1, cmd, w->now_us, &w->out);
    ledger_said(w);
    settle(w);
}

/* ---- What happens ------------------------------------------------------------------------- */

/* A new session begins from the books; what was under way did not happen. */
static void
resync(struct world *w)
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
market(struct world *w)
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
any_open(struct world *w)
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
change_one(struct world *w)
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
place(struct world *w)
{
    struct msg cmd = {.type = MSG_order_place};
    struct order_wish orders[3];
    if (draw(w, 3) == 0) {
        cmd.type = MSG_list_place;
        cmd.list_place = random_list(&w->orders, orders, w->now_us);
        cmd.list_place.account_id = 1 + draw(w, ACCOUNTS);
    } else {
        orders[0] = random_wish(&w->orders, w->now_us);
        cmd.order_place = random_place_of(&orders[0]);
        cmd.order_place.account_id = 1 + draw(w, ACCOUNTS);
    }
    ledger_ask(w, &cmd);
}

static void
settings(struct world *w)
{
    struct msg cmd = {.type = MSG_settings_set};
    cmd.settings_set = (struct settings_set){.account_id = 1 + draw(w, ACCOUNTS),
                                             .trading_type = TRADING_TYPE_spot,
                                             .fill_preset = (enum fill_preset)(1 + draw(w, 3)),
                                             .command_id = ++w->orders.next_id};
    ledger_ask(w, &cmd);
}

/* ---- Comparing ---------------------------------------------------------------------------- */

/* What the matcher still has of an order; -1 when it is not there. */
static int64_t
rest_at_matcher(const struct world *w, const struct ledger_order *o)
{
    const struct resting_pool *p = &w->match->books.orders;
    uint32_t i = resting_find(p, o->id);
    if (i == RESTING_NONE)
        return -1;
    return p->at[i].quantity + (p->at[i].has_more ? p->more[i].hidden : 0);
}

static void
must_agree(const struct world *w)
{
    const struct ledger *l = &w->ledger;
    uint32_t live = 0;
    text_t why;
    cr_assert(ledger_check(l, &why), "seed %llu step %u: %s", (unsigned long long)w->seed, w->step,
              why.text);
    for (uint32_t i = ledger_next_open(l, 0); i != LEDGER_NONE; i = ledger_next_open(l, i + 1)) {
        const struct ledger_order *o = &l->orders[i];
        int64_t rest = o->quantity.v - o->executed.v - o->prevented.v;
        int64_t theirs = rest_at_matcher(w, o);
        cr_assert(theirs >= 0, "seed %llu step %u: order %llu is not at the matcher",
                  (unsigned long long)w->seed, w->step, (unsigned long long)o->id);
        cr_assert(o->quantity.v == 0 || theirs == rest,
                  "seed %llu step %u: order %llu has %lld left, at the matcher %lld",
                  (unsigned long long)w->seed, w->step, (unsigned long long)o->id, (long long)rest,
                  (long long)theirs);
        live++;
    }
    cr_assert_eq(w->match->books.orders.used, live, "seed %llu step %u: the matcher has %u orders",
                 (unsigned long long)w->seed, w->step, w->match->books.orders.used);
    const char *wrong = match_check(w->match);
    cr_assert(wrong == NULL, "seed %llu step %u: %s", (unsigned long long)w->seed, w->step, wrong);
}

/* ---- A world ------------------------------------------------------------------------------ */

static void
step(struct world *w)
{
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

static struct world *
world_new(uint64_t seed)
{
    const struct symbol_rules rules = {.symbol = code_of("BTCUSDT"),
                                       .base_asset = code_of("BTC"),
                                       .quote_asset = code_of("USDT"),
                                       .is_trading = true,
                                       .step_size = {ORDERS_STEP}};
    struct world *w = calloc(1, sizeof(*w));
    cr_assert_not_null(w);
    w->seed = w->orders.random = seed;
    w->orders.last = 100 * DECIMAL_ONE;
    w->now_us = 1700000000000000;
    w->frame = (struct frame){.sender = code_of("ledger-0"), .epoch = 1};
    w->ledger_memory = calloc(1, ledger_bytes(&limits));
    size_t bytes = (match_bytes(&match_limits) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes);
    cr_assert(w->ledger_memory != NULL && memory != NULL);
    memset(memory, 0, bytes);
    ledger_init(&w->ledger, &limits, &policy, w->ledger_memory);
    cr_assert_eq(ledger_set_rules(&w->ledger, &rules), OK);
    outbox_init(&w->out, calloc(OUT_SLOTS, sizeof(struct out)), OUT_SLOTS, malloc(LEDGER_OUT_BYTES),
                LEDGER_OUT_BYTES);
    outbox_init(&w->match_out, w->match_outs, MATCH_OUTS, w->match_lists, sizeof(w->match_lists));
    w->match = match_init(&match_limits, memory);
    match_watch(w->match, rules.symbol, w->now_us, &w->match_out);
    matcher_drain(w);
    resync(w);
    market(w);
    for (uint64_t i = 1; i <= ACCOUNTS; i++) {
        struct msg cmd = {.type = MSG_account_open};
        cmd.account_open = (struct account_open){.account_id = i, .user_id = 1};
        ledger_ask(w, &cmd);
    }
    return w;
}

static void
world_free(struct world *w)
{
    free(w->out.slots);
    free(w->out.lists.bytes);
    free(w->ledger_memory);
    free(w->match);
    free(w);
}

Test(ledger_match, whatever_the_matcher_says_the_ledger_takes)
{
    const char *chosen = getenv("SCRIP_SEED");
    uint64_t ends[32] = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *w = world_new(chosen == NULL ? seed : strtoull(chosen, NULL, 10));
        for (w->step = 0; w->step < STEPS; w->step++) {
            step(w);
            must_agree(w);
        }
        for (uint32_t i = 0; i < 32; i++)
            ends[i] += w->ends[i];
        world_free(w);
    }
    for (uint32_t i = ORDER_END_COMPLETE; i <= ORDER_END_CANCEL_FAILED; i++)
        if (ends[i] > 0)
            printf("%s %llu\n", msg_enum_name(MSG_ENUM_order_end, i), (unsigned long long)ends[i]);
    /* That the test is about something: */
    cr_expect(ends[ORDER_END_COMPLETE] > 1000 && ends[ORDER_END_CLIENT_CANCEL] > 300);
    cr_expect(ends[ORDER_END_SELF_TRADE] > 20 && ends[ORDER_END_GTD_REACHED] > 50);
}
