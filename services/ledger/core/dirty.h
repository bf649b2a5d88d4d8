/*
 * dirty.h - lists of what changed since the last drain; each index stands in its list once.
 *
 * The owner of the thing keeps the mark that says whether it is listed already.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_DIRTY_H
#define SCRIP_LEDGER_CORE_DIRTY_H

#include "ledger/core/ledger.h"

static inline void
dirty_add(struct ledger_list *list, uint32_t index)
{
    list->items[list->count++] = index;
}

#endif
