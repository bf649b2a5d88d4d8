/*
 * link.c - epochs, sessions and frame numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/link.h"

void
link_init(struct link *l, code_t ledger)
{
    *l = (struct link){.ledger = ledger};
    chain_init(&l->waiting_list);
}

void
link_lose(struct link *l)
{
    l->state = LINK_LOST;
}

/* Below, at or above the session that is known. */
static int
compare(const struct link *l, const struct frame *f)
{
    if (f->epoch != l->epoch)
        return f->epoch < l->epoch ? -1 : 1;
    if (f->session != l->session)
        return f->session < l->session ? -1 : 1;
    return 0;
}

/* A session nobody began here: the matcher is younger than it, or its hello was lost. */
static enum link_verdict
judge_unknown(struct link *l, uint32_t peer, const struct frame *f)
{
    l->peer = peer;
    l->epoch = f->epoch;
    l->session = f->session;
    l->received = f->sequence;
    link_lose(l);
    return LINK_BREAK;
}

static enum link_verdict
judge_hello(struct link *l, uint32_t peer, const struct frame *f, int64_t now_us)
{
    l->peer = peer;
    l->epoch = f->epoch;
    l->session = f->session;
    l->received = f->sequence;
    l->synced = 0;
    l->heard_us = now_us;
    l->state = LINK_SYNCING;
    return LINK_BEGIN; /* has_orders still speaks of the session before */
}

enum link_verdict
link_judge(struct link *l, uint32_t peer, const struct frame *f, enum msg_type type, int64_t now_us)
{
    int order = l->state == LINK_NONE ? 1 : compare(l, f);
    if (order < 0 || (order == 0 && peer != l->peer))
        return LINK_DROP;
    if (type == MSG_link_hello)
        return order > 0 ? judge_hello(l, peer, f, now_us) : LINK_DROP;
    if (order > 0)
        return judge_unknown(l, peer, f);
    if (l->state == LINK_LOST)
        return LINK_BREAK;
    l->heard_us = now_us;
    if (f->sequence == l->received)
        return LINK_TAKE;
    if (f->sequence == l->received + 1) {
        l->received++;
        return LINK_TAKE;
    }
    link_lose(l);
    return LINK_BREAK;
}

bool
link_is_silent(const struct link *l, int64_t now_us, int64_t silence_us)
{
    bool is_live = l->state == LINK_SYNCING || l->state == LINK_WORKING;
    return is_live && now_us - l->heard_us > silence_us;
}
