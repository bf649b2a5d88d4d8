/*
 * ledger_driver.c - tells stories to the ledger core: it plays shell, journal and tables.
 *
 * Inputs are messages to the ledger, `md_price`, and these directives:
 *
 *   market symbol=S last=P     a symbol with common rules (a name of 3 + the quote asset) and price
 *   quiet MESSAGE              a command that must be accepted, and whose answers are not told
 *   now US                     the clocks (they stand still otherwise)
 *   peer N                     who asks from here on (1 at first)
 *   show WHAT... / hide WHAT.. which answers are told: reply matcher bridge event journal log
 *                              (at first: all but event)
 *   limits orders_max=N ...    starts anew with these pool sizes; first line of a story
 *   policy KEY=VALUE ...       balance_min balance_max maker taker tiers slippage orders_max
 *                              fill_preset (none at first) trading_mode (paper at first, then
 *                              testnet or live)
 *   rules symbol=... ...       a symbol's rules, fields of record symbol_rules
 *   matcher away|back          whether new orders can be worked
 *   bridge away|back           whether new REAL orders can be sent
 *   tables                     projects what changed and lets the tables have it
 *   evict                      forgets finished orders
 *   restart                    a new process: rows of the tables loaded, digests compared
 *   reload                     a new process: the whole journal replayed, digests compared
 *   state account=N | system   balances that are not zero
 *   record                     the last journaled command, as enriched
 *   work                       what a matcher is sent after a new session
 *   asks                       what bridges are asked, and told to cancel, again and again
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_tables.h"
#include "scenario.h"
#include "wire/codec.h"

#define OUT_SLOTS (LEDGER_OUT_MAX + 64)

enum shown {
    SHOW_REPLY = 1,
    SHOW_MATCHER = 2,
    SHOW_EVENT = 4,
    SHOW_JOURNAL = 8,
    SHOW_LOG = 16,
    SHOW_BRIDGE = 32
};

static const struct {
    const char *word;
    unsigned bit;
} shown_words[] = {{"reply", SHOW_REPLY},     {"matcher", SHOW_MATCHER}, {"event", SHOW_EVENT},
                   {"journal", SHOW_JOURNAL}, {"log", SHOW_LOG},         {"bridge", SHOW_BRIDGE}};

struct record {
    char *text; /* msg_print of the command as enriched: a replay reads it back */
    int64_t now_us;
};

struct driver {
    struct ledger ledger;
    void *memory;
    struct ledger_limits limits;
    struct ledger_policy policy;
    struct outbox out;
    struct out *slots;
    void *lists;
    struct tables tables;
    struct record *records;
    uint32_t records_count;
    char **market; /* rules and price lines, told again to a new process */
    uint32_t market_count;
    int64_t now_us;
    uint32_t peer;
    unsigned shown;
};

static const struct ledger_limits small_limits = {.accounts_max = 64,
                                                  .balances_max = 1024,
                                                  .orders_max = 4096,
                                                  .orders_high = 4000,
                                                  .assets_max = 64,
                                                  .symbols_max = 64,
                                                  .fills_max = 1024,
                                                  .changes_max = 1024,
                                                  .stories_max = 1024,
                                                  .events_max = 4096,
                                                  .waiters_max = 1024,
                                                  .keep_us = 10000000};

/* 10 and 20 basis points, so that maker and taker can be told apart. */
static const struct ledger_policy plain_policy = {
    .spot_opening = {10000 * DECIMAL_ONE},
    .futures_opening = {5000 * DECIMAL_ONE},
    .slippage_max = {DECIMAL_ONE / 20},
    .orders_per_account_max = LEDGER_OPEN_MAX,
    .bridge_send_us = 5000000,
    .tiers_count = 2,
    .tiers = {{{100000}, {200000}, {10 * DECIMAL_ONE}, {1000000 * DECIMAL_ONE}},
              {{50000}, {100000}, {10 * DECIMAL_ONE}, {5000000 * DECIMAL_ONE}}}};

static void
process_start(struct driver *d)
{
    free(d->memory);
    d->memory = calloc(1, ledger_bytes(&d->limits));
    CHECK(d->memory != NULL);
    ledger_init(&d->ledger, &d->limits, &d->policy, d->memory);
    ledger_set_steady(&d->ledger, d->now_us);
}

static void *
driver_open(void)
{
    struct driver *d = calloc(1, sizeof(*d));
    CHECK(d != NULL);
    d->limits = small_limits;
    d->policy = plain_policy;
    d->slots = calloc(OUT_SLOTS, sizeof(*d->slots));
    d->lists = malloc(2 * LEDGER_OUT_BYTES);
    CHECK(d->slots != NULL && d->lists != NULL);
    outbox_init(&d->out, d->slots, OUT_SLOTS, d->lists, 2 * LEDGER_OUT_BYTES);
    d->now_us = 1000000;
    d->peer = 1;
    d->shown = SHOW_REPLY | SHOW_LOG | SHOW_MATCHER | SHOW_JOURNAL | SHOW_BRIDGE;
    process_start(d);
    return d;
}

static void
driver_close(void *state)
{
    struct driver *d = state;
    for (uint32_t i = 0; i < d->records_count; i++)
        free(d->records[i].text);
    for (uint32_t i = 0; i < d->market_count; i++)
        free(d->market[i]);
    free(d->records);
    free(d->market);
    tables_free(&d->tables);
    free(d->slots);
    free(d->lists);
    free(d->memory);
    free(d);
}

/* ---- What the core says ---------------------------------------------------------------------- */

static void
say_one(struct driver *d, const struct out *o, struct scenario_out *out)
{
    const char *prefix = "event";
    char reply[32] = "reply";
    unsigned bit = SHOW_EVENT;
    if (o->to == OUT_MATCHER) {
        bit = SHOW_MATCHER;
        prefix = "to-matcher";
    } else if (o->to == OUT_BRIDGE) {
        bit = SHOW_BRIDGE;
        prefix = "to-bridge";
    } else if (o->to == OUT_REPLY && o->peer == 0) {
        bit = SHOW_LOG;
        prefix = "log";
    } else if (o->to == OUT_REPLY) {
        bit = SHOW_REPLY;
        prefix = reply;
        if (o->peer != 1)
            snprintf(reply, sizeof(reply), "reply-%u", o->peer);
    } else if (o->to != OUT_EVENT) {
        scenario_fail(out, "the ledger has nobody to send this to");
    }
    if ((d->shown & bit) != 0)
        scenario_say_msg(out, prefix, &o->msg);
}

static void
say_all(struct driver *d, struct scenario_out *out)
{
    for (uint32_t i = 0; i < d->out.count; i++)
        say_one(d, &d->out.slots[i], out);
    outbox_clear(&d->out);
    text_t why;
    if (!ledger_check(&d->ledger, &why))
        scenario_fail(out, "ledger_check: %s", why.text);
}

/* ---- Commands -----------------------------------------------------------------------------------
 */

static void
journal(struct driver *d, const struct msg *cmd, struct scenario_out *out)
{
    static char line[SCENARIO_LINE_MAX];
    msg_print(cmd, line, sizeof(line));
    d->records = realloc(d->records, (d->records_count + 1) * sizeof(*d->records));
    CHECK(d->records != NULL);
    d->records[d->records_count++] = (struct record){strdup(line), d->now_us};
    if ((d->shown & SHOW_JOURNAL) != 0)
        scenario_say(out, "journaled record=%u %s", d->records_count, msg_layout(cmd->type)->name);
}

static enum ledger_outcome
look_up_list(struct driver *d, struct msg *cmd)
{
    struct list_view view;
    bool placing = cmd->type == MSG_list_place;
    bool found = placing ? tables_find_list(&d->tables, cmd->list_place.account_id, 0,
                                            &cmd->list_place.orders[0].client_order_id, &view)
                         : tables_find_list(&d->tables, cmd->list_get.account_id,
                                            cmd->list_get.list_id, NULL, &view);
    return ledger_found_list(&d->ledger, d->peer, cmd, found ? &view : NULL, d->now_us, &d->out);
}

static enum ledger_outcome
look_up_story(struct driver *d, struct msg *cmd)
{
    struct order_view view;
    struct order_story story = {.is_live = false};
    bool found =
        tables_find(&d->tables, cmd->order_why.account_id, cmd->order_why.order_id, NULL, &view);
    const struct story *told = tables_story(&d->tables, cmd->order_why.order_id);
    if (found) {
        story.order = view.order;
        story.fills = view.fills;
        story.fills_count = view.fills_count;
    }
    if (told != NULL)
        story.story = *told;
    ledger_found_story(&d->ledger, d->peer, cmd, found ? &story : NULL, &d->out);
    return LEDGER_ANSWERED;
}

/* The shell's part of a look-up: reads its tables and comes back. It waits for them where the
 * answer must be true as of now. */
static enum ledger_outcome
look_up(struct driver *d, struct msg *cmd, struct scenario_out *out)
{
    scenario_say(out, "looks-up %s", msg_layout(cmd->type)->name);
    struct order_view view;
    if (cmd->type == MSG_order_why || cmd->type == MSG_list_get)
        tables_project(&d->tables, &d->ledger);
    bool found;
    switch (cmd->type) {
    case MSG_order_place:
        found = tables_find(&d->tables, cmd->order_place.account_id, 0,
                            &cmd->order_place.client_order_id, &view);
        break;
    case MSG_order_replace:
        found = tables_find(&d->tables, cmd->order_replace.account_id, 0,
                            &cmd->order_replace.client_order_id, &view);
        break;
    case MSG_order_amend:
        found = tables_find(&d->tables, cmd->order_amend.account_id, cmd->order_amend.order_id,
                            &cmd->order_amend.client_order_id, &view);
        break;
    case MSG_list_place:
    case MSG_list_get:
        return look_up_list(d, cmd);
    case MSG_order_why:
        return look_up_story(d, cmd);
    case MSG_order_get:
        found = tables_find(&d->tables, cmd->order_get.account_id, cmd->order_get.order_id,
                            &cmd->order_get.client_order_id, &view);
        break;
    case MSG_order_cancel:
        found = tables_find(&d->tables, cmd->order_cancel.account_id, cmd->order_cancel.order_id,
                            &cmd->order_cancel.client_order_id, &view);
        break;
    default:
        return LEDGER_ANSWERED;
    }
    return ledger_found(&d->ledger, d->peer, cmd, found ? &view : NULL, d->now_us, &d->out);
}

static void
command(struct driver *d, const char *line, bool quiet, struct scenario_out *out)
{
    struct msg cmd;
    if (!scenario_read_msg(out, line, &cmd))
        return;
    unsigned shown = d->shown;
    if (quiet)
        d->shown = 0;
    bool is_matcher = cmd.type == MSG_order_report || cmd.type == MSG_order_explained;
    uint32_t peer = is_matcher ? 0 : d->peer;
    enum ledger_outcome outcome = ledger_request(&d->ledger, peer, &cmd, d->now_us, &d->out);
    if (outcome == LEDGER_LOOKUP)
        outcome = look_up(d, &cmd, out);
    if (outcome == LEDGER_CHANGED)
        journal(d, &cmd, out);
    else if (quiet)
        scenario_fail(out, "this should have changed something: %s", line);
    say_all(d, out);
    d->shown = shown;
}

/* ---- Market and configuration
 * -------------------------------------------------------------------- */

static void
market_tell(struct driver *d, const char *line, struct scenario_out *out)
{
    struct msg m;
    static char text[SCENARIO_LINE_MAX];
    if (scenario_is(line, "rules"))
        snprintf(text, sizeof(text), "md_symbols symbols=[{%s}]", line + strlen("rules "));
    else
        snprintf(text, sizeof(text), "%s", line);
    if (!scenario_read_msg(out, text, &m))
        return;
    if (m.type == MSG_md_price)
        ledger_set_price(&d->ledger, &m.md_price);
    else if (ledger_set_rules(&d->ledger, &m.md_symbols.symbols[0]) != OK)
        scenario_fail(out, "no room for the symbol");
}

static void
market(struct driver *d, const char *line, struct scenario_out *out)
{
    d->market = realloc(d->market, (d->market_count + 1) * sizeof(*d->market));
    CHECK(d->market != NULL);
    d->market[d->market_count++] = strdup(line);
    market_tell(d, line, out);
}

/* Rules as Binance has them for its large symbols. */
static void
market_common(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[512], symbol[CODE_BYTES], last[DECIMAL_BYTES];
    const char *value = scenario_value(line, "symbol");
    CHECK(value != NULL && strlen(value) > 3);
    snprintf(symbol, sizeof(symbol), "%s", value);
    value = scenario_value(line, "last");
    CHECK(value != NULL);
    snprintf(last, sizeof(last), "%s", value);
    snprintf(text, sizeof(text),
             "rules symbol=%s base_asset=%.3s quote_asset=%s is_trading=true price_min=0.01 "
             "price_max=1000000 tick_size=0.01 quantity_min=0.00001 quantity_max=9000 "
             "step_size=0.00001 market_quantity_max=50 notional_min=5 notional_min_market=true "
             "notional_max=9000000 bid_multiplier_up=5 bid_multiplier_down=0.2 "
             "ask_multiplier_up=5 ask_multiplier_down=0.2 orders_max=200",
             symbol, symbol, symbol + 3);
    market(d, text, out);
    snprintf(text, sizeof(text), "md_price symbol=%s last=%s", symbol, last);
    market(d, text, out);
}

static void
limits(struct driver *d, const char *line)
{
    struct {
        const char *key;
        uint32_t *at;
    } keys[] = {
        {"accounts_max", &d->limits.accounts_max}, {"orders_max", &d->limits.orders_max},
        {"orders_high", &d->limits.orders_high},   {"fills_max", &d->limits.fills_max},
        {"events_max", &d->limits.events_max},     {"waiters_max", &d->limits.waiters_max},
        {"assets_max", &d->limits.assets_max},     {"balances_max", &d->limits.balances_max}};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *value = scenario_value(line, keys[i].key);
        if (value != NULL)
            *keys[i].at = (uint32_t)strtoul(value, NULL, 10);
    }
    if (d->limits.orders_high > d->limits.orders_max)
        d->limits.orders_high = d->limits.orders_max;
    process_start(d);
}

static void
policy(struct driver *d, const char *line, struct scenario_out *out)
{
    struct ledger_tier *tier = &d->policy.tiers[0];
    struct {
        const char *key;
        int64_t *at;
    } amounts[] = {{"balance_min", &tier->balance_min.v},   {"balance_max", &tier->balance_max.v},
                   {"maker", &tier->maker_fee_rate.v},      {"taker", &tier->taker_fee_rate.v},
                   {"slippage", &d->policy.slippage_max.v}, {"spot", &d->policy.spot_opening.v}};
    for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
        const char *value = scenario_value(line, amounts[i].key);
        if (value != NULL && decimal_read(value, strlen(value), amounts[i].at) != OK)
            scenario_fail(out, "not a decimal: %s", value);
    }
    const char *value = scenario_value(line, "orders_max");
    if (value != NULL)
        d->policy.orders_per_account_max = (uint32_t)strtoul(value, NULL, 10);
    value = scenario_value(line, "fill_preset");
    if (value != NULL)
        d->policy.fill_preset = (enum fill_preset)msg_enum_by_name(MSG_ENUM_fill_preset, value);
    value = scenario_value(line, "trading_mode");
    if (value != NULL)
        d->policy.trading_mode = strcmp(value, "live") == 0      ? LEDGER_TRADES_LIVE
                                 : strcmp(value, "testnet") == 0 ? LEDGER_TRADES_TESTNET
                                                                 : LEDGER_TRADES_PAPER;
    ledger_set_policy(&d->ledger, &d->policy);
}

/* ---- New processes
 * -------------------------------------------------------------------------------- */

static void
hash_sink(void *arg, const void *bytes, size_t length)
{
    uint64_t *hash = arg;
    *hash = map_mix(*hash ^ map_hash(bytes, length)) + 1;
}

static void
digests(const struct ledger *l, uint64_t out[LEDGER_SHARDS])
{
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++) {
        out[shard] = 0;
        ledger_digest(l, shard, hash_sink, &out[shard]);
    }
}

static void
reload(struct driver *d, bool from_tables, struct scenario_out *out)
{
    uint64_t before[LEDGER_SHARDS], after[LEDGER_SHARDS];
    digests(&d->ledger, before);
    if (from_tables)
        tables_project(&d->tables, &d->ledger);
    process_start(d);
    enum err e = from_tables ? tables_load(&d->tables, &d->ledger, 0) : OK;
    for (uint32_t i = 0; !from_tables && e == OK && i < d->records_count; i++) {
        struct msg cmd;
        if (!scenario_read_msg(out, d->records[i].text, &cmd))
            return;
        e = ledger_replay(&d->ledger, &cmd, d->records[i].now_us, &d->out);
        for (uint32_t k = 0; k < d->out.count; k++)
            if (d->out.slots[k].to == OUT_BRIDGE)
                scenario_fail(out, "a replay sends to the exchange");
        outbox_clear(&d->out);
    }
    for (uint32_t i = 0; i < d->market_count; i++)
        market_tell(d, d->market[i], out);
    if (e != OK)
        scenario_fail(out, "%s", err_name(e));
    digests(&d->ledger, after);
    bool same = memcmp(before, after, sizeof(before)) == 0;
    if (!same)
        scenario_fail(out, "the state is not what it was");
    scenario_say(out, "%s same-state=%s", from_tables ? "restarted" : "reloaded",
                 same ? "yes" : "no");
    say_all(d, out);
}

/* ---- State
 * ------------------------------------------------------------------------------------------ */

static void
state_account(const struct ledger *l, uint64_t id, const char *name, struct scenario_out *out)
{
    uint32_t index = map_get(&l->account_by_id, id);
    if (index == MAP_NONE) {
        scenario_say(out, "state %s unknown", name);
        return;
    }
    for (uint32_t i = l->accounts[index].first_balance; i != LEDGER_NONE; i = l->balances[i].next) {
        const struct ledger_balance *b = &l->balances[i];
        char free_text[DECIMAL_BYTES], held_text[DECIMAL_BYTES];
        if (b->free.v == 0 && b->held.v == 0)
            continue;
        decimal_write_short(b->free.v, free_text);
        decimal_write_short(b->held.v, held_text);
        scenario_say(out, "state %s wallet=%s asset=%s free=%s held=%s", name,
                     msg_enum_name(MSG_ENUM_wallet, b->wallet), l->assets[b->asset].text, free_text,
                     held_text);
    }
}

static void
state(struct driver *d, const char *line, struct scenario_out *out)
{
    const char *value = scenario_value(line, "account");
    if (value != NULL) {
        uint64_t id = strtoull(value, NULL, 10);
        char name[40];
        snprintf(name, sizeof(name), "account=%llu", (unsigned long long)id);
        state_account(&d->ledger, id, name, out);
        return;
    }
    static const char *const kinds[] = {"issuance", "house", "fees", "exchange"};
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        for (enum system_account kind = SYSTEM_ISSUANCE; kind <= SYSTEM_EXCHANGE; kind++)
            state_account(&d->ledger, ledger_system_id(kind, shard), kinds[kind - 1], out);
}

static void
work(struct driver *d, struct scenario_out *out)
{
    for (uint32_t i = ledger_next_open(&d->ledger, 0); i != LEDGER_NONE;
         i = ledger_next_open(&d->ledger, i + 1)) {
        struct msg m = {.type = MSG_order_work};
        ledger_order_work(&d->ledger, i, &m.order_work);
        scenario_say_msg(out, "to-matcher", &m);
        if (ledger_is_pulled(&d->ledger, i)) {
            m = (struct msg){.type = MSG_order_pull};
            m.order_pull.order_id = d->ledger.orders[i].id;
            m.order_pull.symbol = d->ledger.symbols[d->ledger.orders[i].symbol].code;
            scenario_say_msg(out, "to-matcher", &m);
        }
    }
}

static void
asks(struct driver *d, struct scenario_out *out)
{
    for (uint32_t i = ledger_next_real(&d->ledger, 0); i != LEDGER_NONE;
         i = ledger_next_real(&d->ledger, i + 1)) {
        struct msg m = {.type = MSG_bridge_ask};
        if (ledger_real_ask(&d->ledger, i, &m.bridge_ask))
            scenario_say_msg(out, "to-bridge", &m);
        m = (struct msg){.type = MSG_bridge_cancel};
        if (ledger_real_cancel(&d->ledger, i, &m.bridge_cancel))
            scenario_say_msg(out, "to-bridge", &m);
    }
}

/* ---- Directives
 * --------------------------------------------------------------------------------------- */

static void
show(struct driver *d, const char *line, bool on, struct scenario_out *out)
{
    unsigned bits = 0;
    for (size_t i = 0; i < sizeof(shown_words) / sizeof(shown_words[0]); i++)
        if (strstr(line, shown_words[i].word) != NULL)
            bits |= shown_words[i].bit;
    if (bits == 0)
        scenario_fail(out, "nothing that can be shown: %s", line);
    d->shown = on ? d->shown | bits : d->shown & ~bits;
}

static void
driver_now(struct driver *d, int64_t now_us)
{
    d->now_us = now_us;
    ledger_set_steady(&d->ledger, now_us);
}

static void
driver_input(void *arg, const char *line, struct scenario_out *out)
{
    struct driver *d = arg;
    if (scenario_is(line, "now"))
        driver_now(d, strtoll(line + strlen("now"), NULL, 10));
    else if (scenario_is(line, "peer"))
        d->peer = (uint32_t)strtoul(line + strlen("peer"), NULL, 10);
    else if (scenario_is(line, "show") || scenario_is(line, "hide"))
        show(d, line, scenario_is(line, "show"), out);
    else if (scenario_is(line, "limits"))
        limits(d, line);
    else if (scenario_is(line, "policy"))
        policy(d, line, out);
    else if (scenario_is(line, "rules") || scenario_is(line, "md_price"))
        market(d, line, out);
    else if (scenario_is(line, "market"))
        market_common(d, line, out);
    else if (scenario_is(line, "quiet"))
        command(d, line + strlen("quiet "), true, out);
    else if (scenario_is(line, "matcher"))
        ledger_set_matcher_away(&d->ledger, NULL, strstr(line, "away") != NULL);
    else if (scenario_is(line, "bridge"))
        ledger_set_bridge_away(&d->ledger, strstr(line, "away") != NULL);
    else if (scenario_is(line, "asks"))
        asks(d, out);
    else if (scenario_is(line, "tables"))
        tables_project(&d->tables, &d->ledger);
    else if (scenario_is(line, "evict"))
        scenario_say(out, "evicted orders=%u", ledger_evict(&d->ledger, d->now_us));
    else if (scenario_is(line, "restart") || scenario_is(line, "reload"))
        reload(d, scenario_is(line, "restart"), out);
    else if (scenario_is(line, "state"))
        state(d, line, out);
    else if (scenario_is(line, "work"))
        work(d, out);
    else if (scenario_is(line, "record") && d->records_count > 0)
        scenario_say(out, "record %s", d->records[d->records_count - 1].text);
    else
        command(d, line, false, out);
}

const struct scenario_core ledger_scenario = {
    .service = "ledger", .open = driver_open, .close = driver_close, .input = driver_input};
