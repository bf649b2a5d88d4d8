/*
 * schedule.h - paper balances that are set to the exchange's by themselves, every so many minutes.
 *
 * The times are in the database. What is due is taken by one replica, which moves it to its next
 * time first: one that dies meanwhile leaves out one sync, and none is made twice.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_SCHEDULE_H
#define SCRIP_BRIDGE_SHELL_SCHEDULE_H

#include "exchange-bridge/shell/shell.h"

struct schedule *schedule_open(struct shell *s);
void schedule_close(struct schedule **c);
void schedule_set(struct schedule *c, struct ask *k, const struct bridge_schedule_set *m);
void schedule_get(struct schedule *c, struct ask *k, const struct bridge_schedule_get *m);

#endif
