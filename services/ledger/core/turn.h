/*
 * turn.h - what one command is applied with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_TURN_H
#define SCRIP_LEDGER_CORE_TURN_H

#include "ledger/core/ledger.h"
#include "ledger/core/reply.h"

struct turn {
    struct asker who; /* peer 0: nobody asked */
    bool live;        /* not a replay */
    int64_t now_us;
    struct outbox *out;
};

/* Answers with a refusal: nothing changed. */
static inline enum ledger_outcome
turn_refuse(const struct turn *t, const struct refused *why)
{
    reply_refused(t->out, t->who, why);
    return LEDGER_ANSWERED;
}

static inline enum ledger_outcome
turn_refuse_plain(const struct turn *t, enum err e)
{
    struct refused why = refusal(e);
    return turn_refuse(t, &why);
}

#endif
