/*
 * agree.h - one order here and there: what differs, and what is to be said of all of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_AGREE_H
#define SCRIPCTL_AGREE_H

#include "scripctl/plan.h"

/* Takes in what the other deployment says of an order, and compares. */
void agree_take(struct plan_order *o, const struct order_view *there);
/* In a few words what differs; "" when nothing does. */
const char *agree_what(const struct plan *p, const struct plan_order *o);

/* What was done and found, on the call's output; gives the exit status. */
enum status agree_tell(const struct call *c, const struct plan *p, int64_t took_us);

#endif
