/*
 * story.h - stories of ended orders on their way to the tables.
 *
 * A story is told by the matcher with the end of an order that waited or rested. Memory keeps it
 * until the tables have it, and reads it no more: why an order that is not open did or did not
 * fill is answered from the tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_STORY_H
#define SCRIP_LEDGER_CORE_STORY_H

#include "ledger/core/ledger.h"

/* Keeps the story of an order that ends. ledger_ready() says that there is room for one. */
void story_keep(struct ledger *l, const struct ledger_order *o, const struct story *story);

#endif
