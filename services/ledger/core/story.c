/*
 * story.c - see story.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/story.h"

void
story_keep(struct ledger *l, const struct ledger_order *o, const struct story *story)
{
    CHECK(l->story_ring.put - l->story_ring.drained < l->story_ring.max);
    struct ledger_story *s = &l->stories[l->story_ring.put++ % l->story_ring.max];
    *s = (struct ledger_story){l->accounts[o->account].id, o->id, *story};
}
