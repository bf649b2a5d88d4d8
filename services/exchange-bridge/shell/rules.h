/*
 * rules.h - what each exchange takes: its symbols' rules, its limits, its leverage brackets.
 *
 * Read from the exchange as soon as an account is bound to it, then every `rules_hours`; kept in
 * the database, so that a bridge that starts while the exchange is away has yesterday's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_RULES_H
#define SCRIP_BRIDGE_SHELL_RULES_H

#include "exchange-bridge/shell/shell.h"

struct rules *rules_open(struct shell *s);
void rules_close(struct rules **r);
/* The database is there (again); keys or bindings have changed. */
void rules_database_up(struct rules *r);
void rules_keys_changed(struct rules *r);
/* Reads them if they are not known; `done` is called once that was tried, maybe at once. */
void rules_want(struct rules *r, enum environment e, enum trading_type type, uint64_t a_user,
                void (*done)(void *arg), void *arg);
bool rules_known(const struct rules *r, enum environment e, enum trading_type type);
/* By our name; NULL when it is not known. */
const struct symbol_rules *rules_of(const struct rules *r, enum environment e,
                                    enum trading_type type, code_t symbol);
/* Of a contract's largest leverage bracket; 0 when it is not known. */
money_t rules_notional_cap(const struct rules *r, enum environment e, code_t symbol);

#endif
