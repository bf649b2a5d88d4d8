/*
 * positions.h - what accounts have open in futures, as the exchange last told: by it an order that
 * only closes is known. Memory alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_POSITIONS_H
#define SCRIP_BRIDGE_SHELL_POSITIONS_H

#include "base/msg.h"

struct positions;

struct positions *positions_open(uint32_t positions_max);
void positions_close(struct positions **p);
/* 0 = none, or not known. */
qty_t positions_of(const struct positions *p, uint64_t account_id, code_t symbol);
/* `is_whole`: the account has no others. */
void positions_note(struct positions *p, uint64_t account_id, const struct exchange_position *list,
                    uint32_t count, bool is_whole);

#endif
