/*
 * marketdata_events.h - events of a source as lines of a story:
 *
 *   trade id=N price=P quantity=Q time=US [maker=buyer]
 *   quote [update=N] bid=P bid_quantity=Q ask=P ask_quantity=Q [time=US]
 *   diff first=N last=N [previous=N] [bids=P@Q,P@Q] [asks=P@Q]
 *   book last=N [bids=P@Q,...] [asks=P@Q,...]
 *   begin time=US / end        of the source
 *   aggregate id=N first=N last=N price=P quantity=Q time=US [maker=buyer]
 *   kline interval=I open_time=US prices=O,H,L,C quantity=Q [quote=M] trades=N [bought=Q]
 *         [bought_quote=M] [last_trade=N] [closed] [time=US]
 *   liquidation side=S quantity=Q price=P [average=P] [executed=Q] [time=US]
 *   gap first=N last=N / healed [lost=N] / away / alive
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_MARKETDATA_EVENTS_H
#define SCRIP_TESTS_MARKETDATA_EVENTS_H

#include "marketdata/core/event.h"
#include "scenario.h"

#define SCENARIO_LEVELS_MAX 64u /* a side */

/* The event of a line, on top of what *e says already: symbol and time. False when the line is
 * none. Levels go to `levels`, of twice SCENARIO_LEVELS_MAX. */
bool scenario_event(const char *line, struct level *levels, struct md_event *e,
                    struct scenario_out *out);

int64_t scenario_number(const char *line, const char *key, int64_t fallback);
int64_t scenario_decimal(struct scenario_out *out, const char *line, const char *key);
enum interval scenario_interval(struct scenario_out *out, const char *name);

#endif
