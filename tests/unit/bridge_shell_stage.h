/*
 * bridge_shell_stage.h - the bridge's real orders.c and streams.c on a real loop, between the
 * interfaces that they speak to: keys, calls, ledgers, rules, readings, WebSockets. What they ask
 * of those is written down; the test answers when it likes. Clocks move when the test says so, and
 * timers come every millisecond.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_BRIDGE_SHELL_STAGE_H
#define SCRIP_TESTS_BRIDGE_SHELL_STAGE_H

#include <criterion/criterion.h>

#include "exchange-bridge/shell/orders.h"
#include "exchange-bridge/shell/refresh.h"
#include "exchange-bridge/shell/streams.h"
#include "host/ws_client.h"

#define SECOND   INT64_C(1000000)
#define ONE      INT64_C(100000000)
#define ACCOUNT  7
#define USER     3
#define ORDER_ID 77
/* Numbers of the user's keys. */
#define KEY_SPOT_TESTNET 11
#define KEY_SPOT_LIVE    12
#define KEY_USDM_TESTNET 21
#define KEY_USDM_LIVE    22

struct staged_call {
    struct caller_request r;
    struct call call;
};
struct staged_word {
    enum msg_type type;
    uint64_t account_id;
    struct bridge_report report;
    struct exchange_account account;
    struct exchange_fill fills[REPLY_FILLS_MAX];
    struct exchange_balance balances[80];
    struct exchange_position positions[80];
    int64_t patience_ms;
    ledger_answer *done;
    void *arg;
};
struct staged_reading {
    struct guard_binding binding;
    refresh_done *done;
    void *arg;
};
struct ws_client {
    struct ws_client_options o;
    char url[512], sent[512];
    bool is_closed; /* by who opened it */
};

struct shell_stage {
    struct shell s;
    struct bridge_config config;
    int64_t now_us, steady_us;
    /* Keys. */
    bool are_keys_away, is_key_missing, is_not_owner;
    uint32_t own_asked;    /* how often */
    uint64_t other_number; /* of all keys, instead of those above */
    const char *deployment;
    int64_t restored_us; /* orders from before this have the name "olddep" */
    struct guard_binding bindings[1100];
    uint32_t bindings_count;
    /* Calls. */
    bool is_caller_full, is_exchange_clock_unknown, is_signing_off;
    struct staged_call calls[64];
    uint32_t calls_count;
    enum environment signed_for; /* of the last WebSocket request */
    uint64_t signed_by;
    /* What the ledger is told. */
    bool is_ledger_full;
    struct staged_word told[64];
    uint32_t told_count;
    /* Rules. */
    struct symbol_rules rules;
    bool are_rules_unknown, is_symbol_unknown;
    money_t notional_cap;
    /* Readings. */
    struct staged_reading readings[1100];
    uint32_t readings_count;
    /* WebSockets. */
    bool is_ws_away, is_ws_refused, is_ws_full;
    uint32_t ws_closed; /* all of them, how often */
    struct ws_client sockets[1100];
    uint32_t sockets_count;
};
extern struct shell_stage stage;

void stage_open(void);
void stage_close(void);
/* So many ticks of each timer. */
void stage_ticks(uint32_t count);
/* The clocks move on, and then ten ticks come. */
void stage_later(int64_t us);
/* Binds the account. */
void stage_bind(enum trading_type type, enum environment e);

/* An order of spot's testnet, to be sent within 5 s. */
struct bridge_place stage_order(void);
/* Ends a call: with a ruling, or with such an order. */
void stage_end(uint32_t call, enum verdict v, enum err e, const char *body);
void stage_end_order(uint32_t call, const char *status, const char *executed);
/* The ledger's answer to what it was told. */
void stage_reported(uint32_t word, int64_t executed, bool is_behind);
/* Ends a reading; ERR of 0 = all was read. */
void stage_read(uint32_t reading, int64_t as_of_us, enum err e);
/* What a stream says. */
void stage_opened(uint32_t socket);
void stage_says(uint32_t socket, const char *text);
void stage_lost(uint32_t socket);
int64_t stage_counter(const char *name, const char *labels);
int64_t stage_gauge(const char *name);
/* So many calls were made, the last of them this one. */
void calls_are(uint32_t count, enum call_name last);
/* So many reports were told, of the testnet, the last of them this one. */
const struct bridge_report *told_is(uint32_t count, enum exchange_state last);

#endif
