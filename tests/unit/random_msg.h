/*
 * random_msg.h - messages with seeded random contents, made and compared by their layouts.
 *
 * Whatever messages.def grows is covered by the property tests without a line here. Values lean
 * to the ends of their ranges.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_RANDOM_MSG_H
#define SCRIP_TESTS_RANDOM_MSG_H

#include "base/arena.h"
#include "base/msg.h"

struct random {
    uint64_t state;
};

uint64_t random_next(struct random *r);
/* Below `end`, which is above 0. */
uint64_t random_below(struct random *r, uint64_t end);

/* A message that every rule of its layout allows; optional fields are there about half the time.
 * Lists have up to `items_max` items. */
void random_msg(struct random *r, const struct msg_layout *l, uint32_t items_max,
                struct arena *lists, struct msg *out);
/* Field by field, lists by their items. */
bool same_body(const struct msg_layout *l, const void *a, const void *b);

#endif
