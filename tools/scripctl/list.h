/*
 * list.h - records of the journal as lines; shared by `journal list` and `journal tail`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_LIST_H
#define SCRIPCTL_LIST_H

#include "scripctl/filter.h"

void list_begin(struct out *o);
/* 16 hexadecimal digits, as in the logs; nothing for 0. */
void list_corr(struct out *o, uint64_t corr);
void list_put(struct out *o, const struct filter_hit *hit);
/* "order_place"; NULL for a number that is in no row. */
const char *list_kind(uint32_t kind);

#endif
