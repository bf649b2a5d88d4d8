/*
 * ended.h - the sessions that ended, kept until their last access token has run out.
 *
 * An access token is believed by its signature alone, so whoever logs out would be believed until
 * it runs out; a session in here is not. The table is bounded: when it is full the session that
 * ended first is forgotten, and its tokens live out their minutes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_CORE_ENDED_H
#define SCRIP_GATEWAY_CORE_ENDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

struct ended_session {
    uint64_t id;
    int64_t until_us;
};

struct ended {
    struct map map;
    struct ended_session *ring; /* in the order in which they came */
    uint32_t first, count, max;
    int64_t keep_us;
};

size_t ended_bytes(uint32_t max);
/* Borrows `bytes`, of ended_bytes(max). keep_us is the life of an access token. */
void ended_init(struct ended *e, uint32_t max, int64_t keep_us, void *bytes);
/* Notes a session (not 0) that has ended by now; again is harmless. False when another had to be
 * forgotten before its time. */
bool ended_add(struct ended *e, uint64_t id, int64_t now_us);
/* False for 0, which is nobody's. */
bool ended_has(const struct ended *e, uint64_t id);

#endif
