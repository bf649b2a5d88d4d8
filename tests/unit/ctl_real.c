/*
 * ctl_real.c - see ctl_real.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ctl_real.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BTC DECIMAL_ONE

static const struct ledger_limits limits = {.accounts_max = 16,
                                            .balances_max = 1000,
                                            .orders_max = 100,
                                            .orders_high = 50,
                                            .assets_max = 100,
                                            .symbols_max = 8,
                                            .fills_max = 1024,
                                            .changes_max = 1024,
                                            .stories_max = 1024,
                                            .events_max = 64,
                                            .waiters_max = 64,
                                            .keep_us = 1000000};
static const struct ledger_policy policy = {
    .spot_opening = {10000 * DECIMAL_ONE},
    .futures_opening = {10000 * DECIMAL_ONE},
    .slippage_max = {DECIMAL_ONE / 20},
    .fill_preset = FILL_PRESET_optimistic,
    .orders_per_account_max = 40,
    .trading_mode = LEDGER_TRADES_TESTNET,
    .bridge_send_us = 5000000,
    .tiers_count = 1,
    .tiers = {{{100000}, {100000}, {0}, {1000000 * DECIMAL_ONE}}},
};

static struct ctl_journal *journal;
static uint64_t account_id;
static struct ledger core;
static struct outbox out;
static void *memory;
int64_t ctl_real_now_us;
uint64_t ctl_real_order_id;

void
ctl_real_begin(struct ctl_journal *to, uint64_t of)
{
    const struct symbol_rules rules = {.symbol = code_of("BTCUSDT"),
                                       .base_asset = code_of("BTC"),
                                       .quote_asset = code_of("USDT"),
                                       .is_trading = true,
                                       .tick_size = {1000000},
                                       .price_min = {1000000},
                                       .price_max = {1000000 * DECIMAL_ONE},
                                       .step_size = {1000},
                                       .quantity_min = {1000},
                                       .quantity_max = {1000 * DECIMAL_ONE}};
    const struct md_price price = {.symbol = code_of("BTCUSDT"), .last = {50000 * DECIMAL_ONE}};
    journal = to;
    account_id = of;
    memory = calloc(1, ledger_bytes(&limits));
    outbox_init(&out, calloc(LEDGER_OUT_MAX, sizeof(struct out)), LEDGER_OUT_MAX,
                aligned_alloc(16, LEDGER_OUT_BYTES), LEDGER_OUT_BYTES);
    ledger_init(&core, &limits, &policy, memory);
    cr_assert_eq(ledger_set_rules(&core, &rules), OK);
    ledger_set_price(&core, &price);
    ctl_real_now_us = 1700000000000000;
}

void
ctl_real_end(void)
{
    free(memory);
    free(out.slots);
    free(out.lists.bytes);
}

/* What changes is journaled. */
enum ledger_outcome
ctl_real_tell(struct msg *m)
{
    ctl_real_now_us += 1000;
    outbox_clear(&out);
    enum ledger_outcome outcome = ledger_request(&core, 1, m, ctl_real_now_us, &out);
    if (outcome == LEDGER_CHANGED)
        ctl_journal_add(journal, m, ctl_real_now_us);
    return outcome;
}

void
ctl_real_must_tell(struct msg *m)
{
    enum ledger_outcome outcome = ctl_real_tell(m);
    const struct msg *said = out.count > 0 ? &out.slots[0].msg : NULL;
    cr_assert_eq(outcome, LEDGER_CHANGED, "%s",
                 said != NULL && said->type == MSG_refused ? err_name(said->refused.error) : "");
}

void
ctl_real_open(bool with_twin)
{
    struct msg m = {.type = MSG_account_open};
    m.account_open = (struct account_open){.account_id = account_id, .user_id = 3};
    ctl_real_must_tell(&m);
    m = (struct msg){.type = MSG_settings_set};
    m.settings_set = (struct settings_set){.account_id = account_id,
                                           .trading_type = TRADING_TYPE_spot,
                                           .mode = TRADING_MODE_REAL,
                                           .confirm_real = true,
                                           .environment = ENVIRONMENT_testnet,
                                           .api_key_tail = code_of("a1b2"),
                                           .changed_by = 3,
                                           .live_twin = with_twin ? TRI_TRUE : TRI_ABSENT,
                                           .command_id = 1};
    ctl_real_must_tell(&m);
}

void
ctl_real_place(const char *cid)
{
    struct msg m = {.type = MSG_order_place};
    m.order_place = (struct order_place){.account_id = account_id,
                                         .symbol = code_of("BTCUSDT"),
                                         .side = SIDE_BUY,
                                         .type = ORDER_TYPE_LIMIT,
                                         .time_in_force = TIME_IN_FORCE_GTC,
                                         .quantity = {BTC / 100},
                                         .price = {40000 * DECIMAL_ONE}};
    cr_assert_eq(cid_from(cid, strlen(cid), &m.order_place.client_order_id), OK);
    ctl_real_must_tell(&m);
    for (uint32_t i = 0; i < out.count; i++)
        if (out.slots[i].to == OUT_BRIDGE)
            ctl_real_order_id = out.slots[i].msg.bridge_place.order.order_id;
    cr_assert_neq(ctl_real_order_id, 0);
}

static struct exchange_fill told[2] = {{.trade_id = 900,
                                        .price = {40000 * DECIMAL_ONE},
                                        .quantity = {BTC / 200},
                                        .executed_after = {BTC / 200},
                                        .fee = {7},
                                        .fee_asset = {"BNB"},
                                        .time_us = 5},
                                       {.trade_id = 901,
                                        .price = {39999 * DECIMAL_ONE},
                                        .quantity = {BTC / 200},
                                        .executed_after = {BTC / 100},
                                        .fee = {7},
                                        .fee_asset = {"BNB"},
                                        .is_maker = true,
                                        .time_us = 6}};

struct msg
ctl_real_report(enum exchange_state state, enum order_status status, uint32_t fills)
{
    struct msg m = {.type = MSG_bridge_report};
    m.bridge_report =
        (struct bridge_report){.account_id = account_id,
                               .order_id = ctl_real_order_id,
                               .exchange_state = state,
                               .environment = ENVIRONMENT_testnet,
                               .status = status,
                               .exchange_order_id = state == EXCHANGE_STATE_PLACED ? 4711 : 0,
                               .fills = told,
                               .fills_count = fills,
                               .executed_quantity = {BTC / 200 * fills}};
    return m;
}

/* A life with every kind of record in it. */
void
ctl_real_live(void)
{
    static const struct exchange_balance first[] = {
        {.asset = {"USDT"}, .free = {500 * DECIMAL_ONE}, .locked = {20 * DECIMAL_ONE}},
        {.asset = {"BNB"}, .free = {3 * DECIMAL_ONE}}};
    ctl_real_open(true);
    ctl_real_place("one");
    struct msg m = ctl_real_report(EXCHANGE_STATE_UNKNOWN, ORDER_STATUS_NONE, 0);
    m.bridge_report.error = ERR_EXCHANGE_TIMEOUT;
    ctl_real_must_tell(&m);
    m = ctl_real_report(EXCHANGE_STATE_PLACED, ORDER_STATUS_PARTIALLY_FILLED, 1);
    ctl_real_must_tell(&m);
    m = ctl_real_report(EXCHANGE_STATE_PLACED, ORDER_STATUS_FILLED, 2); /* the first fill again */
    ctl_real_must_tell(&m);
    m = (struct msg){.type = MSG_exchange_account};
    m.exchange_account = (struct exchange_account){.account_id = account_id,
                                                   .trading_type = TRADING_TYPE_spot,
                                                   .environment = ENVIRONMENT_testnet,
                                                   .as_of_us = ctl_real_now_us,
                                                   .is_whole = true,
                                                   .balances = first,
                                                   .balances_count = 2};
    ctl_real_must_tell(&m);
    m.exchange_account.as_of_us++;
    m.exchange_account.balances_count = 1; /* the other one is gone */
    ctl_real_must_tell(&m);
    ctl_real_place("two");
    m = ctl_real_report(EXCHANGE_STATE_REFUSED, ORDER_STATUS_NONE, 0);
    m.bridge_report.error = ERR_EXCHANGE_REFUSED;
    m.bridge_report.exchange_code = -2010;
    m.bridge_report.message = text_of("Account has insufficient balance");
    ctl_real_must_tell(&m);
    ctl_real_place("three");
    ctl_real_now_us += 60000000;
    m = (struct msg){.type = MSG_order_settle};
    m.order_settle = (struct order_settle){.order_id = ctl_real_order_id,
                                           .settlement = SETTLEMENT_NOT_PLACED,
                                           .changed_by = code_of("anna"),
                                           .reason = text_of("looked at the exchange")};
    ctl_real_must_tell(&m);
}

void
ctl_real_to_paper(void)
{
    struct msg m = {.type = MSG_settings_set};
    m.settings_set = (struct settings_set){.account_id = account_id,
                                           .trading_type = TRADING_TYPE_spot,
                                           .mode = TRADING_MODE_PAPER,
                                           .command_id = 2};
    ctl_real_must_tell(&m);
}
