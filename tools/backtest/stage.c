/*
 * stage.c - see stage.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backtest/stage.h"

#include <stdlib.h>
#include <string.h>

#include "matcher/core/house.h"

void
stage_init(struct stage *s, const struct books_limits *books, void *arg, stage_said *on_said)
{
    *s = (struct stage){.limits = {.books = *books,
                                   .ledgers_max = 1,
                                   .silence_us = INT64_MAX,
                                   .ask_again_us = INT64_MAX,
                                   .tell_again_us = INT64_MAX,
                                   .errands_max = books->orders_max},
                        .arg = arg,
                        .on_said = on_said};
    s->memory = aligned_alloc(64, (match_bytes(&s->limits) + 63) & ~(size_t)63);
    CHECK(s->memory != NULL);
    outbox_init(&s->out, s->outs, sizeof(s->outs) / sizeof(s->outs[0]), s->lists, sizeof(s->lists));
}

void
stage_fini(struct stage *s)
{
    free(s->memory);
    s->memory = NULL;
}

/* Hands on what the matcher said. */
static void
hear(struct stage *s)
{
    for (uint32_t i = 0; i < s->out.count; i++)
        if (s->out.slots[i].msg.type == MSG_order_report ||
            s->out.slots[i].msg.type == MSG_order_explained)
            s->on_said(s->arg, &s->out.slots[i].msg);
    outbox_clear(&s->out);
}

static void
finish(struct stage *s)
{
    hear(s);
    while (match_busy(s->match)) {
        match_resume(s->match, &s->out);
        hear(s);
    }
}

void
stage_market(struct stage *s, const struct msg *m, int64_t now_us)
{
    match_apply(s->match, 0, NULL, m, now_us, &s->out);
    finish(s);
}

void
stage_ledger(struct stage *s, const struct msg *m, int64_t now_us)
{
    const struct frame frame = {
        .sender = code_of("ledger-0"), .epoch = 1, .session = 1, .sequence = ++s->frames};
    match_apply(s->match, 1, &frame, m, now_us, &s->out);
    finish(s);
}

void
stage_until(struct stage *s, int64_t now_us)
{
    while (match_next_us(s->match) <= now_us) {
        match_due(s->match, match_next_us(s->match), &s->out);
        finish(s);
    }
}

void
stage_begin(struct stage *s, int64_t now_us)
{
    memset(s->memory, 0, match_bytes(&s->limits));
    s->match = match_init(&s->limits, s->memory);
    s->frames = 0;
    outbox_clear(&s->out);
    struct msg m = {.type = MSG_link_hello};
    stage_ledger(s, &m, now_us);
    m = (struct msg){.type = MSG_link_synced};
    stage_ledger(s, &m, now_us);
}

bool
stage_lacks_book(const struct stage *s, code_t symbol)
{
    const struct book *book = match_book(s->match, symbol);
    return book != NULL && book->house.state != HOUSE_LIVE;
}
