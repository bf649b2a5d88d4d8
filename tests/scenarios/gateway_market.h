/*
 * gateway_market.h - the market's part of the gateway's driver.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_GATEWAY_MARKET_H
#define SCRIP_TESTS_GATEWAY_MARKET_H

#include "scenario.h"

struct gateway_market;

struct gateway_market *gateway_market_open(void);
void gateway_market_close(struct gateway_market *s);
/* Whether the line was understood. */
bool gateway_market_input(struct gateway_market *s, const char *line, struct scenario_out *out);

#endif
