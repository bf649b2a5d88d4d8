/*
 * random_orders.h - orders of every kind, drawn from a seed, most of them such as are taken.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_RANDOM_ORDERS_H
#define SCRIP_TESTS_RANDOM_ORDERS_H

#include "base/msg.h"

#define ORDERS_STEP (DECIMAL_ONE / 100) /* of quantities */

struct random_orders {
    uint64_t random;  /* the seed, and where it has come to */
    uint64_t next_id; /* of what is made */
    int64_t last;     /* the market's price */
};

uint64_t random_draw(struct random_orders *r, uint64_t below);
bool random_chance(struct random_orders *r, uint64_t of_thousand);
/* BTCUSDT orders. Now and then the client order id is one used before. */
struct order_wish random_wish(struct random_orders *r, int64_t now_us);
/* A list with its orders in `orders`; the account is left open. */
struct list_place random_list(struct random_orders *r, struct order_wish orders[3], int64_t now_us);
/* A wish as the command that places it, and as one that replaces an order. */
struct order_place random_place_of(const struct order_wish *from);
struct order_replace random_replace_of(const struct order_wish *from);

#endif
