/*
 * bridge.h - the bridge's rules: what is asked of the exchange, and what it said.
 *
 * This deployment trades on paper only, so there is no exchange behind the bridge: every request
 * is refused with NOT_AVAILABLE_YET, and what is no request to the bridge with REQUEST_MALFORMED.
 * Nothing is ever sent out, and no state but the counts is kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_BRIDGE_H
#define SCRIP_BRIDGE_CORE_BRIDGE_H

#include "base/outbox.h"

struct bridge {
    uint64_t asked;     /* requests meant for the bridge */
    uint64_t misplaced; /* messages meant for somebody else */
};

void bridge_init(struct bridge *b);
/* Answers one message of `peer` with one message of OUT_REPLY; needs room for it. */
void bridge_apply(struct bridge *b, uint32_t peer, const struct msg *m, struct outbox *out);

#endif
