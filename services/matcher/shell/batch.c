/*
 * batch.c - see batch.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/shell/batch.h"

bool
batch_wants(const struct batch *b, const struct match *m, const struct bus_in *in)
{
    if (!match_may_look_ahead(m, in->msg->type))
        return false;
    return !in->last || b->count > 0; /* one alone would gain nothing */
}

bool
batch_hold(struct batch *b, const struct bus_in *in)
{
    b->peer = in->peer;
    b->frame = *in->frame;
    b->msgs[b->count++] = *in->msg;
    return in->last || b->count == MATCH_AHEAD_MAX;
}
